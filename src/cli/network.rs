//! What the environment and the site say about connections, read once a command.

use super::failure::Failure;
use super::output::Output;
use super::site::{self, variable};
use karat::http::{Client, HostPolicy, Proxies, Retry, Secret, Settings, Timeouts, Tls};
use karat::oci::Reference;
use karat::pipeline::transfer::{self, Origin};
use karat::registry::credentials::MAX_FILE;
use karat::registry::{Keyring, Registries, host_of};
use karat::settings::{Policy, Registry};
use karat::site::{RETRIES, TIMEOUT};
use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Where docker and podman look for the certificates of single registries.
const CERTIFICATES: [&str; 2] = ["/etc/containers/certs.d", "/etc/docker/certs.d"];

/// The time since the first look at the clock.
fn clock() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Returns the hosts at which the site wants plain http, `KARAT_PLAIN_HTTP`.
pub(super) fn plain_hosts() -> Result<Vec<String>, Failure> {
    let Some(hosts) = variable("KARAT_PLAIN_HTTP") else {
        return Ok(site::here()?.site.network.plain_http.clone());
    };
    let hosts = hosts.split(',').map(str::trim).filter(|host| !host.is_empty());
    Ok(hosts.map(str::to_owned).collect())
}

/// Makes the connections of a command. `references` are those whose hosts may have
/// certificates of their own.
pub(super) fn registries(
    hosts: HostPolicy,
    offline: bool,
    references: &[&Reference],
) -> Result<Registries, Failure> {
    let authorities = references.iter().filter_map(|reference| match reference {
        Reference::Registry { host, .. } => Some(host_of(host).to_owned()),
        _ => None,
    });
    Ok(Registries::new(client(hosts, offline, authorities)?, keyring()?))
}

/// Opens an image where a reference says that it is, and says which digest a tag leads to; with
/// `referrers`, what refers to it is listed too.
pub(super) fn origin(
    reference: &Reference,
    policy: &Policy,
    offline: bool,
    referrers: bool,
    output: &Output,
) -> Result<Origin, Failure> {
    let policy = policy.registry.as_ref();
    let reference = &mirrored(policy, reference, output);
    let hosts = transfer::hosts(policy, &[reference], None, &plain_hosts()?)?;
    let registries = registries(hosts, offline, &[reference])?;
    let require_digest = policy.is_some_and(|one| one.require_digest);
    let origin = transfer::open(&registries, reference, require_digest, referrers)?;
    if let Some(tag) = &origin.by_tag {
        output.tell(&format!("the tag `{tag}` leads to {} now", origin.root.digest));
    }
    Ok(origin)
}

/// Returns the reference under which an image is read here, and says so when it is another.
pub(super) fn mirrored(
    policy: Option<&Registry>,
    reference: &Reference,
    output: &Output,
) -> Reference {
    let found = transfer::mirrored(policy, reference);
    if found != *reference {
        output.tell(&format!("`{reference}` is read from its mirror, `{found}`"));
    }
    found
}

/// Makes the client of a command for any hosts. `authorities`, `HOST[:PORT]`, may have
/// certificates of their own.
pub(super) fn client(
    hosts: HostPolicy,
    offline: bool,
    authorities: impl Iterator<Item = String>,
) -> Result<Client, Failure> {
    let here = site::here()?;
    let own = &here.site.network;
    let roots = match named("SSL_CERT_FILE", "ca-file", here.path(own.ca_file.as_ref())) {
        Some((name, file)) => {
            let text = read(&file, karat::http::tls::MAX_PEM)?;
            Some(text.ok_or_else(|| missing(name, &file))?)
        }
        None => None,
    };
    let tls = Tls { roots, ..Tls::default() };
    let mut tls_of = BTreeMap::new();
    for authority in authorities {
        if let Some(own) = tls_of_host(&authority, &tls)? {
            tls_of.insert(authority, own);
        }
    }
    let timeouts = match number("KARAT_HTTP_TIMEOUT", TIMEOUT)?.or(own.timeout) {
        Some(seconds) => Timeouts::of(Duration::from_secs(seconds)),
        None => Timeouts::default(),
    };
    let mut retry = Retry::default();
    if let Some(times) = number("KARAT_HTTP_RETRIES", RETRIES)?.or(own.retries) {
        retry.times = u32::try_from(times).unwrap_or(retry.times);
    }
    // In upper case a web server that runs programs would take it from its client.
    let upper = env::var_os("REQUEST_METHOD").is_none();
    let http = upper.then(|| variable("HTTP_PROXY")).flatten().or_else(|| variable("http_proxy"));
    let proxy = |names: [&str; 2], own: &Option<String>| {
        names.into_iter().find_map(variable).or_else(|| own.clone())
    };
    let proxies = Proxies {
        https: proxy(["HTTPS_PROXY", "https_proxy"], &own.https_proxy),
        http: http.or_else(|| own.http_proxy.clone()),
        except: proxy(["NO_PROXY", "no_proxy"], &own.no_proxy).unwrap_or_default(),
    };
    let settings = Settings { offline, proxies, tls, tls_of, timeouts, retry, clock };
    Client::new(settings, hosts).map_err(|error| Failure::usage(error.to_string()))
}

/// Returns a file or folder that a variable names, else the site's file, with who has named it.
fn named(
    variable: &'static str,
    key: &'static str,
    own: Option<PathBuf>,
) -> Option<(&'static str, PathBuf)> {
    match env::var_os(variable).filter(|value| !value.is_empty()) {
        Some(path) => Some((variable, PathBuf::from(path))),
        None => own.map(|path| (key, path)),
    }
}

fn number(name: &str, range: std::ops::RangeInclusive<u64>) -> Result<Option<u64>, Failure> {
    let Some(text) = variable(name) else { return Ok(None) };
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(Some(number)),
        _ => Err(Failure::usage(format!(
            "`{name}` is no whole number from {} to {}",
            range.start(),
            range.end()
        ))),
    }
}

/// Reads the certificates of one host: `HOST[:PORT]/*.crt` are its authorities, `client.cert`
/// with `client.key` say who we are (containers-certs.d(5)).
fn tls_of_host(authority: &str, general: &Tls) -> Result<Option<Tls>, Failure> {
    let here = site::here()?;
    let own = here.path(here.site.network.certs_dir.as_ref());
    let folders = match named("KARAT_CERTS_DIR", "certs-dir", own) {
        Some((_, folder)) => vec![folder],
        None => {
            let own = env::var_os("HOME")
                .map(|home| PathBuf::from(home).join(".config/containers/certs.d"));
            own.into_iter().chain(CERTIFICATES.map(PathBuf::from)).collect()
        }
    };
    let Some(folder) = folders.iter().map(|one| one.join(authority)).find(|one| one.is_dir())
    else {
        return Ok(None);
    };
    let limit = karat::http::tls::MAX_PEM;
    let mut names: Vec<PathBuf> = folder
        .read_dir()
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>())
        .map_err(|error| failed(&folder, &error))?;
    names.sort();
    let mut roots = Vec::new();
    for name in names.iter().filter(|name| name.extension().is_some_and(|end| end == "crt")) {
        roots.extend(read(name, limit)?.unwrap_or_default());
        roots.push(b'\n');
    }
    let key = read(&folder.join("client.key"), limit)?;
    let key = key.map(|bytes| Secret::new(String::from_utf8_lossy(&bytes).into_owned()));
    Ok(Some(Tls {
        roots: if roots.is_empty() { general.roots.clone() } else { Some(roots) },
        client_certificate: read(&folder.join("client.cert"), limit)?,
        client_key: key,
    }))
}

/// Reads what `docker login` and `podman login` have written: the file that
/// `REGISTRY_AUTH_FILE` names alone, else that of `DOCKER_CONFIG`, else the one that the site's file
/// names, else the usual places.
fn keyring() -> Result<Keyring, Failure> {
    let mut keyring = Keyring::default();
    let here = site::here()?;
    let path = |name: &str| variable(name).map(PathBuf::from);
    let of_docker = path("DOCKER_CONFIG");
    let own = here.path(here.site.network.auth_file.as_ref()).filter(|_| of_docker.is_none());
    let files = match (named("REGISTRY_AUTH_FILE", "auth-file", own), of_docker) {
        (Some((name, file)), _) => {
            if !file.exists() {
                return Err(missing(name, &file));
            }
            vec![file]
        }
        (None, Some(folder)) => vec![folder.join("config.json")],
        (None, None) => {
            let of_run = path("XDG_RUNTIME_DIR").map(|run| run.join("containers/auth.json"));
            let home = path("HOME");
            let of_home = home.into_iter().flat_map(|home| {
                [".config/containers/auth.json", ".docker/config.json"].map(|end| home.join(end))
            });
            of_run.into_iter().chain(of_home).collect()
        }
    };
    for file in files {
        if let Some(text) = read(&file, MAX_FILE)? {
            let text = zeroize::Zeroizing::new(text);
            keyring
                .add(&file.display().to_string(), &text)
                .map_err(|error| Failure::usage(error.to_string()))?;
        }
    }
    Ok(keyring)
}

/// Reads a file of at most so many bytes; none when it is not there.
fn read(file: &Path, limit: usize) -> Result<Option<Vec<u8>>, Failure> {
    // Before it is opened: opening a FIFO waits for a writer.
    match file.metadata() {
        Ok(found) if found.is_file() => {}
        Ok(_) => {
            return Err(Failure::usage(format!("`{}` is no regular file", file.display())));
        }
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(failed(file, &error)),
    }
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| failed(file, &error))?;
    if bytes.len() > limit {
        let message = format!("`{}` is longer than {limit} bytes", file.display());
        return Err(Failure::usage(message));
    }
    Ok(Some(bytes))
}

fn failed(file: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("`{}` cannot be read: {error}", file.display()))
}

fn missing(name: &str, file: &Path) -> Failure {
    Failure::usage(format!("`{name}` names `{}`, which is not there", file.display()))
}
