//! What belongs to a site and not to a policy: where packages come from, how connections are
//! made, and where bytes are kept.
//!
//! Takes the text of a `karat-site.toml` and of apt's sources. Opens no file. Nothing here is part
//! of a policy's digest: what comes from outside is verified.

pub mod schema;

use crate::finding::diagnostic::{Diagnostic, Diagnostics};
use crate::strict_toml::{self, Spanned};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// The name of the file, in a project's root or in the user's configuration.
pub const FILE: &str = "karat-site.toml";

/// How long silence may last, in seconds.
pub const TIMEOUT: RangeInclusive<u64> = 1..=3600;
/// How often a request may be tried again.
pub const RETRIES: RangeInclusive<u64> = 0..=20;

/// A site.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// The mirrors, in order, by the archives that they hold.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// How connections are made.
    pub network: Network,
    /// Where bytes are kept between runs.
    pub cache: Option<PathBuf>,
}

/// How connections are made, as far as the site's file says it. Files and folders are as written:
/// they stand below the folder of the site's file unless they are absolute.
#[derive(Clone, Default)]
pub struct Network {
    /// The file with the authorities that take the place of the compiled-in ones, PEM.
    pub ca_file: Option<PathBuf>,
    /// The folder with certificates of single hosts.
    pub certs_dir: Option<PathBuf>,
    /// The file with credentials, in the form of `docker login`.
    pub auth_file: Option<PathBuf>,
    /// The hosts without TLS, `HOST[:PORT]`.
    pub plain_http: Vec<String>,
    /// After how many seconds of silence a peer counts as dead.
    pub timeout: Option<u64>,
    /// How often a request is tried again.
    pub retries: Option<u64>,
    /// The proxy for addresses with TLS. May hold a password.
    pub https_proxy: Option<String>,
    /// The proxy for addresses without TLS.
    pub http_proxy: Option<String>,
    /// The hosts that are reached without a proxy, in the form of `NO_PROXY`.
    pub no_proxy: Option<String>,
}

/// Shows no proxy: its address may hold a password.
impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = &self.plain_http;
        f.debug_struct("Network").field("plain_http", plain).finish_non_exhaustive()
    }
}

impl Site {
    /// Reads a site's file. `file` is the name that messages show.
    ///
    /// # Errors
    /// Every fault of the text together.
    pub fn parse(file: &str, text: &str) -> Result<Self, Box<Diagnostics>> {
        let diagnose = |faults| Box::new(Diagnostics::new(file, text, faults));
        let written: schema::File = strict_toml::parse(text, schema::JSON).map_err(diagnose)?;
        let mut faults = Vec::new();
        let mut site = Self::default();
        for (archive, list) in written.mirrors {
            for one in list {
                let starts = ["https://", "http://", "file:/"];
                match starts.iter().any(|start| one.value.starts_with(start)) {
                    true => site.mirrors.entry(archive.clone()).or_default().push(one.value),
                    false => faults.push(
                        Diagnostic::new(one.span, format!("`{}` is no mirror", one.value))
                            .hint("`https://HOST/PATH`, `http://HOST/PATH` or `file:/PATH`"),
                    ),
                }
            }
        }
        site.cache = written.cache.and_then(|cache| cache.folder).map(PathBuf::from);
        if let Some(network) = written.network {
            site.network = Network::of(network, &mut faults);
        }
        if faults.is_empty() { Ok(site) } else { Err(diagnose(faults)) }
    }
}

impl Network {
    fn of(written: schema::Network, faults: &mut Vec<Diagnostic>) -> Self {
        let mut number = |value: Option<Spanned<u64>>, range: RangeInclusive<u64>| {
            let value = value?;
            if range.contains(&value.value) {
                return Some(value.value);
            }
            let (from, to) = range.into_inner();
            let message = format!("{} is no number from {from} to {to}", value.value);
            faults.push(Diagnostic::new(value.span, message));
            None
        };
        Self {
            timeout: number(written.timeout, TIMEOUT),
            retries: number(written.retries, RETRIES),
            ca_file: written.ca_file.map(PathBuf::from),
            certs_dir: written.certs_dir.map(PathBuf::from),
            auth_file: written.auth_file.map(PathBuf::from),
            plain_http: written.plain_http,
            https_proxy: written.https_proxy,
            http_proxy: written.http_proxy,
            no_proxy: written.no_proxy,
        }
    }
}

/// Returns the mirror of the security archive that belongs to a mirror of the main one: what
/// lies in `debian-security` instead of `debian`. The same address where that says nothing.
pub fn security_of(main: &str) -> String {
    let parts: Vec<&str> = main.split('/').collect();
    let own = parts.iter().rposition(|part| *part == "debian");
    let part = |(at, part): (usize, &&str)| match Some(at) == own {
        true => "debian-security".to_owned(),
        false => (*part).to_owned(),
    };
    parts.iter().enumerate().map(part).collect::<Vec<_>>().join("/")
}

/// Reads a file of apt in the form of paragraphs (sources.list(5), "DEB822-STYLE FORMAT"):
/// the archives of Debian that it names, each with its mirror.
pub fn apt_sources(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let lines: Vec<&str> = lines.collect();
    for paragraph in lines.split(|line| line.trim().is_empty()) {
        let mut fields: BTreeMap<String, String> = BTreeMap::new();
        let mut last = String::new();
        for line in paragraph {
            if line.starts_with([' ', '\t']) {
                fields.entry(last.clone()).or_default().push_str(line);
            } else if let Some((name, value)) = line.split_once(':') {
                last = name.trim().to_ascii_lowercase();
                fields.insert(last.clone(), value.to_owned());
            }
        }
        let words = |name: &str| fields.get(name).map_or("", |text| text).split_ascii_whitespace();
        let is_off = fields.get("enabled").is_some_and(|text| text.trim() == "no");
        if is_off || !words("types").any(|word| word == "deb") {
            continue;
        }
        found.extend(words("uris").filter_map(of_debian));
    }
    found
}

/// Reads a file of apt in the form of lines (sources.list(5), "ONE-LINE-STYLE FORMAT").
pub fn apt_list(text: &str) -> Vec<(String, String)> {
    let line = |line: &str| {
        let rest = line.trim().strip_prefix("deb")?;
        let mut rest = rest.strip_prefix([' ', '\t'])?.trim();
        if rest.starts_with('[') {
            rest = rest.split_once(']')?.1.trim();
        }
        of_debian(rest.split_ascii_whitespace().next()?)
    };
    text.lines().filter_map(line).collect()
}

/// Says which archive of Debian an address holds, by the folder that all mirrors have it in.
fn of_debian(address: &str) -> Option<(String, String)> {
    let archive = address.trim_end_matches('/').split('/').find_map(|part| match part {
        "debian" => Some("debian"),
        "debian-security" => Some("debian-security"),
        _ => None,
    })?;
    Some((archive.to_owned(), address.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(archive: &str, address: &str) -> (String, String) {
        (archive.to_owned(), address.to_owned())
    }

    #[test]
    fn apt_says_where_debian_is() {
        let text = "Types: deb deb-src\n# URIs: http://commented.example/debian\nURIs: http://mirror.example/debian\n http://second.example/debian/\nSuites: trixie\n\nTypes: deb\nURIs: https://other.example/node\nSuites: x\n\nTypes: deb\nEnabled: no\nURIs: http://off.example/debian\n\nTypes: deb\nURIs: http://mirror.example/debian-security\n";
        assert_eq!(
            apt_sources(text),
            [
                pair("debian", "http://mirror.example/debian"),
                pair("debian", "http://second.example/debian/"),
                pair("debian-security", "http://mirror.example/debian-security"),
            ]
        );
        let lines = "# deb http://commented.example/debian trixie main\ndeb [signed-by=/x arch=amd64] http://mirror.example/debian trixie main\ndeb-src http://source.example/debian trixie main\ndeb http://packages.example/apt stable main\n";
        assert_eq!(apt_list(lines), [pair("debian", "http://mirror.example/debian")]);
        assert!(apt_list("deb\ndeb [x\n").is_empty());
    }

    #[test]
    fn the_security_archive_lies_beside() {
        assert_eq!(security_of("http://m.example/debian"), "http://m.example/debian-security");
        assert_eq!(
            security_of("https://s.example/archive/debian/20261101T000000Z/"),
            "https://s.example/archive/debian-security/20261101T000000Z/"
        );
        assert_eq!(security_of("file:/srv/mirror"), "file:/srv/mirror");
    }

    #[test]
    fn a_site_is_strict() {
        let site = Site::parse(
            "s",
            "[mirrors]\ndebian = [\"file:/srv/debian\", \"https://m.example/debian\"]\n",
        )
        .unwrap();
        assert_eq!(site.mirrors["debian"].len(), 2);
        for bad in
            ["[mirrors]\ndebian = \"x\"\n", "[mirrors]\ndebian = [\"x\"]\n", "[mirror]\n", ""]
        {
            assert!(Site::parse("s", bad).is_err(), "{bad}");
        }
        for bad in
            ["timeout = 0", "timeout = 3601", "retries = 21", "retries = -1", "proxy = \"x\""]
        {
            assert!(Site::parse("s", &format!("[network]\n{bad}\n")).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_proxys_password_is_not_shown() {
        let text = "[network]\nhttps-proxy = \"http://u:hidden@p.example\"\ntimeout = 7\n";
        let site = Site::parse("s", text).unwrap();
        assert_eq!(site.network.timeout, Some(7));
        assert!(site.network.https_proxy.as_ref().unwrap().contains("hidden"));
        assert!(!format!("{site:?}").contains("hidden"));
    }
}
