//! What belongs to a site and not to a project: mirrors of packages, and the cache.
//! Read from `KARAT_*` and its like, `karat-site.toml`, and the machine's own apt sources.

use super::failure::Failure;
use super::network;
use karat::base::Shelf;
use karat::base::mirror::Mirrors;
use karat::base::supply::Supply;
use karat::base::upstream::{Connect, Unconnected};
use karat::http::HostPolicy;
use karat::oci::Reference;
use karat::pipeline::transfer;
use karat::registry::Registries;
use karat::settings;
use karat::site::{self, Site};
use karat::store::cache::Cache;
use karat::time::Now;
use std::env;
use std::fs;
use std::io::{self, Read as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// The longest file that is read here, in bytes.
const MAX: u64 = 4 << 20;
/// Where apt keeps its sources.
const APT: &str = "/etc/apt";

/// The cache and the mirrors of this site.
pub(super) struct Stock {
    cache: Cache,
    mirrors: Mirrors,
    upstream: Upstream,
    policy: settings::Policy,
    now: Now,
}

/// Connects to the registries that bases are read from, when one is.
struct Upstream {
    registry: Option<settings::Registry>,
    /// What may be read beside.
    sources: settings::Mirror,
    offline: bool,
}

impl Connect for Upstream {
    fn connect(&self, reference: &Reference) -> Result<(Registries, Reference), Unconnected> {
        let refused = |failure: Failure| Unconnected {
            message: failure.message,
            hint: failure.hint,
            code: failure.code,
        };
        let policy = self.registry.as_ref();
        let reference = transfer::mirrored(policy, reference);
        let beside = match &reference {
            Reference::Registry { host, repository, .. }
                if self.sources.is_source(&format!("{host}/{repository}")) =>
            {
                policy.map(|policy| settings::Registry { allowlist_only: false, ..policy.clone() })
            }
            _ => None,
        };
        let policy = beside.as_ref().or(policy);
        let hosts = transfer::hosts(policy, &[&reference], None, &network::plain_hosts());
        let hosts = hosts.map_err(|error| refused(error.into()))?;
        let registries =
            network::registries(hosts, self.offline, &[&reference]).map_err(refused)?;
        Ok((registries, reference))
    }
}

impl Stock {
    /// Reads everything once. The policy says which registries may be reached and by what
    /// signatures are judged; `sources` which others may be read; `offline` makes every connection
    /// fail.
    pub(super) fn read(
        root: &Path,
        policy: &settings::Policy,
        sources: Option<&settings::Mirror>,
        offline: bool,
        now: Now,
    ) -> Result<Self, Failure> {
        let site = site_file(root)?;
        let client = network::client(HostPolicy::new(), offline, std::iter::empty())?;
        let mut mirrors = Mirrors::default();
        let mut add = |archive: &str, text: &str, origin: &str| {
            mirrors
                .add(archive, text, &client)
                .map_err(|error| Failure::usage(format!("{origin}: {error}")))
        };
        let main = variable("KARAT_DEBIAN_MIRROR");
        let security = variable("KARAT_DEBIAN_SECURITY_MIRROR")
            .or_else(|| main.as_deref().map(site::security_of));
        let named = [("debian", main), ("debian-security", security)];
        for (archive, text) in named {
            if let Some(text) = text {
                add(archive, &text, "KARAT_DEBIAN_MIRROR")?;
                continue;
            }
            if let Some(list) = site.mirrors.get(archive) {
                for text in list {
                    add(archive, text, site::FILE)?;
                }
                continue;
            }
            for text in apt().iter().filter(|(of, _)| of == archive).map(|(_, text)| text) {
                // What apt knows and karat does not (`cdrom:`, `mirror+file:`) is for apt.
                let _ = add(archive, text, "apt");
            }
        }
        for (archive, list) in &site.mirrors {
            if !matches!(&archive[..], "debian" | "debian-security") {
                for text in list {
                    add(archive, text, site::FILE)?;
                }
            }
        }
        let upstream = Upstream {
            registry: policy.registry.clone(),
            sources: sources.cloned().unwrap_or_default(),
            offline,
        };
        let (cache, policy) = (Cache::new(cache_folder()), policy.clone());
        Ok(Self { cache, mirrors, upstream, policy, now })
    }

    /// Returns the bases of a project. `shown` is its root as a user would write it.
    pub(super) fn shelf<'a>(
        &'a self,
        root: &'a Path,
        shown: &'a Path,
        threads: NonZeroUsize,
    ) -> Shelf<'a> {
        let upstream: Option<&dyn Connect> = Some(&self.upstream);
        let policy = Some((&self.policy, self.now));
        let supply = Supply { cache: &self.cache, mirrors: &self.mirrors, upstream, policy };
        Shelf::new(root, shown, supply, threads)
    }
}

/// Writes the root of a project as a user in this folder would; empty when it is this folder.
pub(super) fn from_here(root: &Path) -> PathBuf {
    let here = env::current_dir().and_then(|here| here.canonicalize());
    match here.is_ok_and(|here| here == root) {
        true => PathBuf::new(),
        false => super::build::from_here(root),
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns where bytes are kept between runs.
fn cache_folder() -> PathBuf {
    if let Some(folder) = variable("KARAT_CACHE") {
        return PathBuf::from(folder);
    }
    let user = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute())
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")));
    user.unwrap_or_else(env::temp_dir).join("karat")
}

/// Reads `karat-site.toml`: the project's, else the user's.
fn site_file(root: &Path) -> Result<Site, Failure> {
    let config = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".config")));
    let user = config.map(|folder| folder.join("karat").join(site::FILE));
    for path in [Some(root.join(site::FILE)), user].into_iter().flatten() {
        let shown = super::build::from_here(&path).display().to_string();
        match text(&path) {
            Ok(Some(text)) => return Ok(Site::parse(&shown, &text)?),
            Ok(None) => {}
            Err(error) => {
                return Err(Failure::failed(format!("`{shown}` cannot be read: {error}")));
            }
        }
    }
    Ok(Site::default())
}

fn text(path: &Path) -> io::Result<Option<String>> {
    let mut text = String::new();
    match fs::File::open(path) {
        Ok(file) => file.take(MAX).read_to_string(&mut text).map(|_| Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the machine's apt sources. What cannot be read is not there.
fn apt() -> Vec<(String, String)> {
    let folder = Path::new(APT);
    let mut files: Vec<PathBuf> = vec![folder.join("sources.list")];
    if let Ok(entries) = folder.join("sources.list.d").read_dir() {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files.sort();
    let mut found = Vec::new();
    for path in files {
        let Ok(Some(text)) = text(&path) else { continue };
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("sources") => found.extend(site::apt_sources(&text)),
            Some("list") => found.extend(site::apt_list(&text)),
            _ => {}
        }
    }
    found
}
