//! Package URLs.
//!
//! Source: ECMA-427, sections 5.4 (characters) and 5.6 (components), and the type definitions
//! of `package-url/purl-spec` for what is lower-cased.

use std::fmt::Write as _;

/// The types whose namespace and name are written in lower case.
const LOWER_CASE: [&str; 5] = ["apk", "deb", "golang", "oci", "github"];

/// Builds a package URL in its canonical form.
///
/// Empty parts and qualifiers with an empty value are left out. A `kind` or key must be plain
/// lower-case ASCII, as all of karat's are.
pub fn build(
    kind: &str,
    namespace: &str,
    name: &str,
    version: &str,
    qualifiers: &[(&str, &str)],
) -> String {
    let lower = LOWER_CASE.contains(&kind);
    let mut purl = format!("pkg:{kind}/");
    for segment in namespace.split('/').filter(|segment| !segment.is_empty()) {
        encode(&mut purl, segment, lower);
        purl.push('/');
    }
    encode(&mut purl, name.trim_matches('/'), lower);
    if !version.is_empty() {
        purl.push('@');
        encode(&mut purl, version, false);
    }
    let mut qualifiers: Vec<_> = qualifiers.iter().filter(|(_, value)| !value.is_empty()).collect();
    qualifiers.sort_unstable();
    for (index, (key, value)) in qualifiers.into_iter().enumerate() {
        purl.push(if index == 0 { '?' } else { '&' });
        purl.push_str(key);
        purl.push('=');
        encode(&mut purl, value, false);
    }
    purl
}

/// Builds the package URL of a Go module: the name is the last segment of its path.
pub fn golang(path: &str, version: &str) -> String {
    let (namespace, name) = path.trim_end_matches('/').rsplit_once('/').unwrap_or(("", path));
    build("golang", namespace, name, version, &[])
}

/// A package URL in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The type.
    pub kind: &'a str,
    /// Namespace and name, decoded.
    pub path: String,
    /// The version, decoded; may be empty.
    pub version: String,
    qualifiers: &'a str,
}

impl Parsed<'_> {
    /// Returns a qualifier, decoded.
    pub fn qualifier(&self, key: &str) -> Option<String> {
        let pairs = self.qualifiers.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| decoded(value))
    }
}

/// Takes a package URL apart. None for what is none.
pub fn parse(purl: &str) -> Option<Parsed<'_>> {
    let rest = purl.strip_prefix("pkg:")?.trim_start_matches('/');
    let rest = rest.split('#').next().unwrap_or_default();
    let (rest, qualifiers) = rest.split_once('?').unwrap_or((rest, ""));
    let (kind, rest) = rest.split_once('/')?;
    // A version has no slash; an npm scope begins with an at sign.
    let (path, version) = match rest.rsplit_once('@') {
        Some((path, version)) if !path.is_empty() && !version.contains('/') => (path, version),
        _ => (rest, ""),
    };
    let path = decoded(path.trim_matches('/'));
    (!path.is_empty()).then(|| Parsed { kind, path, version: decoded(version), qualifiers })
}

/// Says whether a package URL is the one that is wanted, of any version where that names none.
/// Qualifiers do not count.
pub fn covers(wanted: &str, found: &str) -> bool {
    let (Some(wanted), Some(found)) = (parse(wanted), parse(found)) else { return false };
    let versions = wanted.version.is_empty() || wanted.version == found.version;
    (wanted.kind, &wanted.path) == (found.kind, &found.path) && versions
}

/// Takes percent-encoding off; what is none stays as it is.
fn decoded(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let pair = digit(bytes.get(at + 1)).zip(digit(bytes.get(at + 2)));
        match pair.filter(|_| *byte == b'%') {
            Some((high, low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Percent-encodes text, for a segment of a package URL or of any other URL.
pub fn encoded(text: &str) -> String {
    let mut out = String::new();
    encode(&mut out, text, false);
    out
}

/// ECMA-427, 5.4: letters, digits, `.-_~` and the colon stay as they are.
fn encode(out: &mut String, text: &str, lower: bool) {
    for c in text.chars() {
        match c {
            'A'..='Z' if lower => out.push(c.to_ascii_lowercase()),
            'A'..='Z' | 'a'..='z' | '0'..='9' | '.' | '-' | '_' | '~' | ':' => out.push(c),
            c => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(out, "%{byte:02X}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the test suite of package-url/purl-spec, `tests/types/*-test.json`, "build".
    #[test]
    fn examples_of_the_specification() {
        for (purl, expected) in [
            (
                build(
                    "deb",
                    "debian",
                    "curl",
                    "7.50.3-1",
                    &[("distro", "jessie"), ("arch", "i386")],
                ),
                "pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=jessie",
            ),
            (
                build("deb", "debian", "attr", "1:2.4.47-2+b1", &[("arch", "amd64")]),
                "pkg:deb/debian/attr@1:2.4.47-2%2Bb1?arch=amd64",
            ),
            (
                build(
                    "oci",
                    "",
                    "debian",
                    "sha256:244fd47e07d10",
                    &[
                        ("tag", "latest"),
                        ("repository_url", "docker.io/library/debian"),
                        ("arch", "amd64"),
                    ],
                ),
                "pkg:oci/debian@sha256:244fd47e07d10?arch=amd64&repository_url=docker.io%2Flibrary%2Fdebian&tag=latest",
            ),
            (
                golang("github.com/gorilla/context", "234fd47e07d1004f0aed9c"),
                "pkg:golang/github.com/gorilla/context@234fd47e07d1004f0aed9c",
            ),
            (golang("google.golang.org/genproto", ""), "pkg:golang/google.golang.org/genproto"),
            (build("cargo", "", "rand", "0.7.2", &[]), "pkg:cargo/rand@0.7.2"),
        ] {
            assert_eq!(purl, expected);
        }
    }

    #[test]
    fn case_is_kept_where_it_means_something() {
        assert_eq!(
            golang("GitHub.com/BurntSushi/TOML", "v1.0.0-RC1"),
            "pkg:golang/github.com/burntsushi/toml@v1.0.0-RC1"
        );
        assert_eq!(build("cargo", "", "Inflector", "0.11.4", &[]), "pkg:cargo/Inflector@0.11.4");
    }

    #[test]
    fn nothing_leaves_its_part() {
        let hostile = build(
            "deb",
            "a/../b?c",
            "n@1#x/y",
            "1?arch=no&x",
            &[("arch", "a&b=c"), ("distro", "")],
        );
        assert_eq!(hostile, "pkg:deb/a/../b%3Fc/n%401%23x%2Fy@1%3Farch%3Dno%26x?arch=a%26b%3Dc");
        assert_eq!(build("cargo", "", "\u{1b}é 100%", "", &[]), "pkg:cargo/%1B%C3%A9%20100%25");
        assert_eq!(golang("stdlib", "1.26.0"), "pkg:golang/stdlib@1.26.0");
        assert_eq!(golang("//", ""), "pkg:golang/");
    }
}
