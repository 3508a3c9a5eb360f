//! What belongs to a site and not to a policy: where packages come from.
//!
//! Takes the text of a `karat-site.toml` and of apt's sources, gives the addresses of mirrors
//! by the archives that they hold. Opens no file. Nothing here is part of a policy's digest:
//! what a mirror gives is verified.

pub mod schema;

use crate::finding::diagnostic::{Diagnostic, Diagnostics};
use crate::strict_toml;
use std::collections::BTreeMap;

/// The name of the file, in a project's root or in the user's configuration.
pub const FILE: &str = "karat-site.toml";

/// A site.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// The mirrors, in order, by the archives that they hold.
    pub mirrors: BTreeMap<String, Vec<String>>,
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
        if faults.is_empty() { Ok(site) } else { Err(diagnose(faults)) }
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
    }
}
