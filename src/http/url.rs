//! Addresses that a connection may be opened to, read by one strict grammar.
//!
//! Every address that a server names (a redirect, an upload's place, the realm of a token)
//! passes through here before anything else looks at it. What two programs could read in
//! two ways is refused: user information, upper-case hosts, `..`, backslashes, fragments.

use crate::oci::reference::is_host;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The longest address that is read, in bytes. Signed addresses of storage hosts have up to
/// some four thousand.
const MAX_URL: usize = 16 << 10;

/// How bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// With TLS.
    Https,
    /// Without.
    Http,
}

impl Scheme {
    /// Returns the name, as it stands before `://`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

/// A scheme, a host and a port: what credentials belong to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    scheme: Scheme,
    /// Without the port; an IPv6 address with its brackets.
    host: String,
    port: u16,
}

/// The text is no address that karat opens a connection to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InvalidUrl {
    #[error("it is longer than {MAX_URL} bytes")]
    Long,
    #[error("it does not begin with `https://` or `http://`")]
    Scheme,
    #[error("it has no valid host")]
    Host,
    #[error("it carries a user name or a password")]
    UserInfo,
    #[error("it has a fragment")]
    Fragment,
    #[error("it holds a byte that no address has")]
    Byte,
    #[error("its path leads upwards")]
    Upwards,
}

impl Origin {
    /// Takes `HOST[:PORT]` as image references have it.
    ///
    /// # Errors
    /// What is no host, with upper case among it.
    pub fn new(scheme: Scheme, authority: &str) -> Result<Self, InvalidUrl> {
        if !is_host(authority) {
            return Err(InvalidUrl::Host);
        }
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of `[::1]` are no port's.
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| InvalidUrl::Host)?)
            }
            _ => (authority, scheme.default_port()),
        };
        Ok(Self { scheme, host: host.to_owned(), port })
    }

    /// Returns the scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the host without the port; an IPv6 address has its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, which is that of the scheme where none was named.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns `HOST[:PORT]`, without the port that the scheme has anyway.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Says whether the host is this machine: `localhost`, or an address of the loopback
    /// network (RFC 6761, section 6.3; RFC 1122, section 3.2.1.3; RFC 4291, section 2.5.3).
    pub fn is_loopback(&self) -> bool {
        let address = self.host.trim_start_matches('[').trim_end_matches(']');
        self.host == "localhost"
            || address.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
            || address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
    }

    /// Returns the address of a path, which begins with `/`, on this origin.
    ///
    /// # Errors
    /// A path that no address has.
    pub fn at(&self, target: &str) -> Result<Url, InvalidUrl> {
        check_target(target)?;
        Ok(Url(Box::new(Parts { origin: self.clone(), target: target.to_owned() })))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.authority())
    }
}

/// An address: an origin, a path, and a query where there is one.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(Box<Parts>);

#[derive(Clone, PartialEq, Eq)]
struct Parts {
    origin: Origin,
    /// Begins with `/`; holds the query.
    target: String,
}

impl Url {
    /// Reads an absolute address.
    ///
    /// # Errors
    /// Everything that is not plainly one.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        if text.len() > MAX_URL {
            return Err(InvalidUrl::Long);
        }
        let (scheme, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (Scheme::Https, rest),
            (None, Some(rest)) => (Scheme::Http, rest),
            (None, None) => return Err(InvalidUrl::Scheme),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            return Err(InvalidUrl::UserInfo);
        }
        let origin = Origin::new(scheme, authority)?;
        match target.as_bytes().first() {
            None => origin.at("/"),
            Some(b'?') => origin.at(&format!("/{target}")),
            Some(_) => origin.at(target),
        }
    }

    /// Resolves what a `Location` header says against the address that answered it
    /// (RFC 9110, section 10.2.2).
    ///
    /// # Errors
    /// As [`Url::parse`].
    pub fn join(&self, location: &str) -> Result<Self, InvalidUrl> {
        if location.len() > MAX_URL {
            return Err(InvalidUrl::Long);
        }
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.0.origin.scheme.name()));
        }
        if location.starts_with('/') {
            return self.0.origin.at(location);
        }
        if location.starts_with('?') {
            return self.0.origin.at(&format!("{}{location}", self.path()));
        }
        let head = &location[..location.find(['/', '?', '#']).unwrap_or(location.len())];
        if head.contains(':') {
            return Self::parse(location);
        }
        let folder = &self.path()[..=self.path().rfind('/').unwrap_or(0)];
        self.0.origin.at(&format!("{folder}{location}"))
    }

    /// Returns the origin.
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// Returns the path, without the query.
    pub fn path(&self) -> &str {
        self.0.target.split('?').next().unwrap_or_default()
    }

    /// Returns the address with a query pair more; the value is escaped.
    #[must_use]
    pub fn with_query(&self, name: &str, value: &str) -> Self {
        let separator = if self.0.target.contains('?') { '&' } else { '?' };
        let target = format!("{}{separator}{name}={}", self.0.target, escaped(value));
        Self(Box::new(Parts { origin: self.0.origin.clone(), target }))
    }

    /// Returns the whole address as a request names it. It may hold the signature of a storage
    /// host: messages show [`Url`] by its `Display`, which leaves the query out.
    pub(super) fn to_request(&self) -> String {
        format!("{}{}", self.0.origin, self.0.target)
    }
}

/// Writes the address without its query, which may be a secret.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0.origin, self.path())
    }
}

/// As it is displayed.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Escapes the value of a query pair (RFC 3986, section 2.3: all but the unreserved).
pub fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte));
            }
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

fn check_target(target: &str) -> Result<(), InvalidUrl> {
    if target.len() > MAX_URL {
        return Err(InvalidUrl::Long);
    }
    if target.contains('#') {
        return Err(InvalidUrl::Fragment);
    }
    let good = |byte: u8| byte.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&byte);
    if !target.starts_with('/') || !target.bytes().all(good) {
        return Err(InvalidUrl::Byte);
    }
    let path = target.split('?').next().unwrap_or_default();
    // Servers and proxies unescape before they resolve dots, once or more.
    let mut path = path.to_ascii_lowercase();
    for _ in 0..3 {
        path = path.replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
        if path.split('/').any(|part| part == ".." || part == ".") {
            return Err(InvalidUrl::Upwards);
        }
        path = path.replace("%25", "%");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Result<String, InvalidUrl> {
        Url::parse(text).map(|url| url.to_request())
    }

    #[test]
    fn plain_addresses_are_read() {
        for (text, read) in [
            ("https://reg.example/v2/", "https://reg.example/v2/"),
            ("https://reg.example", "https://reg.example/"),
            ("https://reg.example:443/a?b=c%2F..", "https://reg.example/a?b=c%2F.."),
            ("http://127.0.0.1:5000/v2/a", "http://127.0.0.1:5000/v2/a"),
            ("https://[::1]:5000/x", "https://[::1]:5000/x"),
            ("https://[::1]/x", "https://[::1]/x"),
            ("https://reg.example?x=1", "https://reg.example/?x=1"),
        ] {
            assert_eq!(whole(text).as_deref(), Ok(read), "{text}");
        }
    }

    #[test]
    fn look_alikes_are_refused() {
        for (text, why) in [
            ("ftp://reg.example/", InvalidUrl::Scheme),
            ("HTTPS://reg.example/", InvalidUrl::Scheme),
            ("https://Reg.example/", InvalidUrl::Host),
            ("https://reg.example.:443/", InvalidUrl::Host),
            ("https://reg.example:0/", InvalidUrl::Host),
            ("https://reg%2eexample/", InvalidUrl::Host),
            ("https://rég.example/", InvalidUrl::Host),
            ("https://reg.example\\@evil.example/", InvalidUrl::UserInfo),
            ("https://user:pw@reg.example/", InvalidUrl::UserInfo),
            ("https://reg.example/#x", InvalidUrl::Fragment),
            ("https://reg.example/a\\b", InvalidUrl::Byte),
            ("https://reg.example/a b", InvalidUrl::Byte),
            ("https://reg.example/a\r\nHost: x", InvalidUrl::Byte),
            ("https://reg.example/v2/../x", InvalidUrl::Upwards),
            ("https://reg.example/v2/%2E%2e/x", InvalidUrl::Upwards),
            ("https://reg.example/v2/..%2fx", InvalidUrl::Upwards),
            ("https://reg.example/v2/%252e%252e/x", InvalidUrl::Upwards),
            ("https:///v2/", InvalidUrl::Host),
        ] {
            assert_eq!(whole(text), Err(why), "{text}");
        }
    }

    #[test]
    fn locations_are_resolved_where_they_stand() {
        let base = Url::parse("https://reg.example:5000/v2/a/blobs/uploads/?x=1").unwrap();
        for (location, read) in [
            ("/v2/a/up/1?s=2", "https://reg.example:5000/v2/a/up/1?s=2"),
            ("?s=3", "https://reg.example:5000/v2/a/blobs/uploads/?s=3"),
            ("7f", "https://reg.example:5000/v2/a/blobs/uploads/7f"),
            ("//other.example/x", "https://other.example/x"),
            ("http://other.example/x", "http://other.example/x"),
        ] {
            assert_eq!(base.join(location).map(|url| url.to_request()).as_deref(), Ok(read));
        }
        assert_eq!(base.join("../x"), Err(InvalidUrl::Upwards));
        assert_eq!(base.join("javascript:alert(1)"), Err(InvalidUrl::Scheme));
    }

    #[test]
    fn a_query_is_never_shown() {
        let url = Url::parse("https://store.example/blob?signature=secret").unwrap();
        assert_eq!(
            format!("{url} {url:?}"),
            "https://store.example/blob https://store.example/blob"
        );
        assert!(
            url.with_query("a", "b c&d").to_request().ends_with("?signature=secret&a=b%20c%26d")
        );
    }

    #[test]
    fn loopback_is_known() {
        for host in ["localhost", "127.0.0.1", "127.8.9.1:80", "[::1]:5000", "[::1]"] {
            assert!(Origin::new(Scheme::Http, host).unwrap().is_loopback(), "{host}");
        }
        for host in ["localhost.example", "127.0.0.1.example", "10.0.0.1", "[::2]"] {
            assert!(!Origin::new(Scheme::Http, host).unwrap().is_loopback(), "{host}");
        }
    }
}
