//! What bases are made from: the mirrors of packages, the registries of images, and the cache.
//! Read from `KARAT_*` and its like, `karat-site.toml`, and the machine's own apt sources.

use super::failure::Failure;
use super::site::{text, variable};
use super::{network, site};
use karat::base::Shelf;
use karat::base::mirror::Mirrors;
use karat::base::supply::Supply;
use karat::base::upstream::{Connect, Unconnected};
use karat::http::HostPolicy;
use karat::oci::Reference;
use karat::pipeline::transfer;
use karat::registry::Registries;
use karat::settings;
use karat::site::{FILE, apt_list, apt_sources, security_of};
use karat::store::cache::Cache;
use karat::time::Now;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

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
        let hosts =
            transfer::hosts(policy, &[&reference], None, &network::plain_hosts().map_err(refused)?);
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
        policy: &settings::Policy,
        sources: Option<&settings::Mirror>,
        offline: bool,
        now: Now,
    ) -> Result<Self, Failure> {
        let here = site::here()?;
        let site = &here.site;
        let client = network::client(HostPolicy::new(), offline, std::iter::empty())?;
        let mut mirrors = Mirrors::default();
        let mut add = |archive: &str, text: &str, origin: &str| {
            mirrors
                .add(archive, text, &client)
                .map_err(|error| Failure::usage(format!("{origin}: {error}")))
        };
        let main = variable("KARAT_DEBIAN_MIRROR");
        let security =
            variable("KARAT_DEBIAN_SECURITY_MIRROR").or_else(|| main.as_deref().map(security_of));
        let named = [("debian", main), ("debian-security", security)];
        for (archive, text) in named {
            if let Some(text) = text {
                add(archive, &text, "KARAT_DEBIAN_MIRROR")?;
                continue;
            }
            if let Some(list) = site.mirrors.get(archive) {
                for text in list {
                    add(archive, text, FILE)?;
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
                    add(archive, text, FILE)?;
                }
            }
        }
        let upstream = Upstream {
            registry: policy.registry.clone(),
            sources: sources.cloned().unwrap_or_default(),
            offline,
        };
        let (cache, policy) = (Cache::new(here.cache_folder()), policy.clone());
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
            Some("sources") => found.extend(apt_sources(&text)),
            Some("list") => found.extend(apt_list(&text)),
            _ => {}
        }
    }
    found
}
