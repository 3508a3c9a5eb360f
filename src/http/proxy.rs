//! Proxies, and which hosts are reached without one.
//!
//! The names and their meaning are those that other programs of the trade give them
//! (Go, `golang.org/x/net/http/httpproxy`): a host in `NO_PROXY` covers what lies below it,
//! one with a leading dot only that; a network is written `10.0.0.0/8`; `*` is everything.
//! Loopback never goes through a proxy.

use super::url::{Origin, Scheme};
use std::net::IpAddr;

/// The proxies of a site, read from the environment by whoever calls.
#[derive(Clone, Default)]
pub struct Proxies {
    /// `HTTPS_PROXY`: the proxy for addresses with TLS. May hold a password.
    pub https: Option<String>,
    /// `HTTP_PROXY`: the proxy for addresses without.
    pub http: Option<String>,
    /// `NO_PROXY`: the hosts that are reached without.
    pub except: String,
}

impl Proxies {
    /// Returns the proxy for a scheme.
    pub(super) fn of(&self, scheme: Scheme) -> Option<&str> {
        let proxy = match scheme {
            Scheme::Https => &self.https,
            Scheme::Http => &self.http,
        };
        proxy.as_deref().filter(|proxy| !proxy.is_empty())
    }

    /// Says whether an origin is reached through the proxy of its scheme.
    pub(super) fn is_for(&self, origin: &Origin) -> bool {
        self.of(origin.scheme()).is_some()
            && !origin.is_loopback()
            && !self.except.split(',').any(|entry| covers(entry.trim(), origin))
    }
}

fn covers(entry: &str, origin: &Origin) -> bool {
    let entry = entry.to_ascii_lowercase();
    if entry == "*" {
        return true;
    }
    let host = origin.host().trim_start_matches('[').trim_end_matches(']');
    if let Some((network, bits)) = entry.split_once('/') {
        return match (network.parse(), bits.parse(), host.parse()) {
            (Ok(network), Ok(bits), Ok(host)) => in_network(network, bits, host),
            _ => false,
        };
    }
    let (name, port) = match entry.rsplit_once(':') {
        Some((name, port)) if entry.parse::<IpAddr>().is_err() && !port.ends_with(']') => {
            (name, Some(port))
        }
        _ => (&entry[..], None),
    };
    if port.is_some_and(|port| port.parse() != Ok(origin.port())) || name.is_empty() {
        return false;
    }
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let name = name.strip_prefix('*').unwrap_or(name);
    match name.strip_prefix('.') {
        Some(_) => host.ends_with(name),
        None => host == name || host.strip_suffix(name).is_some_and(|head| head.ends_with('.')),
    }
}

fn in_network(network: IpAddr, bits: u32, host: IpAddr) -> bool {
    let (network, host, width) = match (network, host) {
        (IpAddr::V4(network), IpAddr::V4(host)) => {
            (u128::from(u32::from(network)), u128::from(u32::from(host)), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(host)) => (u128::from(network), u128::from(host), 128),
        _ => return false,
    };
    match width {
        _ if bits > width => false,
        _ if bits == 0 => true,
        width => network >> (width - bits) == host >> (width - bits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_read_as_others_read_them() {
        let proxies = |except: &str| Proxies {
            https: Some("http://proxy.example:3128".to_owned()),
            http: None,
            except: except.to_owned(),
        };
        let goes = |except: &str, host: &str| {
            proxies(except).is_for(&Origin::new(Scheme::Https, host).unwrap())
        };
        assert!(goes("", "reg.example"));
        for (except, host) in [
            ("", "127.0.0.1:5000"),
            ("", "localhost"),
            ("*", "reg.example"),
            ("other, reg.example", "reg.example"),
            ("example", "reg.example"),
            ("REG.example", "reg.example"),
            (".example", "reg.example"),
            ("*.example", "reg.example"),
            ("reg.example:5000", "reg.example:5000"),
            ("10.0.0.0/8", "10.1.2.3"),
            ("10.1.2.3", "10.1.2.3:5000"),
            ("fd00::/8", "[fd00::1]:5000"),
            ("[fd00::1]", "[fd00::1]"),
        ] {
            assert!(!goes(except, host), "{except}: {host}");
        }
        for (except, host) in [
            ("ample", "reg.example"),
            (".reg.example", "reg.example"),
            ("reg.example:5000", "reg.example"),
            ("10.0.0.0/8", "11.1.2.3"),
            ("10.0.0.0/40", "10.1.2.3"),
            (",,", "reg.example"),
        ] {
            assert!(goes(except, host), "{except}: {host}");
        }
        let plain = Origin::new(Scheme::Http, "mirror.example").unwrap();
        assert!(!proxies("").is_for(&plain), "no proxy was named for plain http");
    }
}
