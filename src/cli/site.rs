//! What belongs to a site and not to a project: mirrors, proxies, certificates, the cache.
//! Read from `KARAT_*` and its like, `karat-site.toml`, and the machine's own apt sources.

use super::failure::Failure;
use karat::base::mirror::Mirrors;
use karat::base::supply::Supply;
use karat::http::{Client, HostPolicy, Proxies, Retry, Settings, Timeouts, Tls};
use karat::site::{self, Site};
use karat::store::cache::Cache;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The longest file that is read here, in bytes.
const MAX: u64 = 4 << 20;
/// Where apt keeps its sources.
const APT: &str = "/etc/apt";

/// The cache and the mirrors of this site.
pub(super) struct Local {
    cache: Cache,
    mirrors: Mirrors,
}

impl Local {
    /// Reads everything once. `offline` makes every connection fail.
    pub(super) fn read(root: &Path, offline: bool) -> Result<Self, Failure> {
        let site = site_file(root)?;
        let client = client(offline)?;
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
        Ok(Self { cache: Cache::new(cache_folder()), mirrors })
    }

    pub(super) fn supply(&self) -> Supply<'_> {
        Supply { cache: &self.cache, mirrors: &self.mirrors }
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
            Err(error) => return Err(Failure::failed(format!("`{shown}` cannot be read: {error}"))),
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

/// Makes the one client of a command.
fn client(offline: bool) -> Result<Client, Failure> {
    let either = |upper: &str, lower: &str| variable(lower).or_else(|| variable(upper));
    let roots = match variable("SSL_CERT_FILE") {
        None => None,
        Some(path) => match fs::read(&path) {
            Ok(bytes) if bytes.len() as u64 <= MAX => Some(bytes),
            Ok(_) => return Err(Failure::usage(format!("SSL_CERT_FILE: `{path}` is too long"))),
            Err(error) => {
                return Err(Failure::usage(format!("SSL_CERT_FILE: `{path}` cannot be read: {error}")));
            }
        },
    };
    let settings = Settings {
        offline,
        proxies: Proxies {
            https: either("HTTPS_PROXY", "https_proxy"),
            // The upper-case form may come from a request where a web server runs programs.
            http: variable("http_proxy"),
            except: either("NO_PROXY", "no_proxy").unwrap_or_default(),
        },
        tls: Tls { roots, ..Tls::default() },
        tls_of: BTreeMap::new(),
        timeouts: match variable("KARAT_TIMEOUT").map(|text| text.parse::<u64>()) {
            None => Timeouts::default(),
            Some(Ok(seconds @ 1..=3600)) => Timeouts::of(Duration::from_secs(seconds)),
            Some(_) => {
                return Err(Failure::usage("KARAT_TIMEOUT is no number of seconds from 1 to 3600"));
            }
        },
        retry: Retry::default(),
        clock: since_start,
    };
    Client::new(settings, HostPolicy::new()).map_err(|error| Failure::usage(error.to_string()))
}

fn since_start() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
