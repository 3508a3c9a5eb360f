//! Which hosts may be reached, and what may be done there.

use super::Method;
use super::url::{InvalidUrl, Origin, Scheme, Url};
use std::collections::{BTreeMap, BTreeSet};

/// What may be done at one origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Whether anything but `GET` and `HEAD` may be sent.
    pub write: bool,
    /// Whether credentials may be sent.
    pub credentials: bool,
}

impl Access {
    /// A registry that is written to.
    pub const WRITE: Self = Self { write: true, credentials: true };
    /// A registry that is read.
    pub const READ: Self = Self { write: false, credentials: true };
    /// A host of a registry's storage, to which it redirects uploads and downloads.
    pub const STORAGE: Self = Self { write: true, credentials: false };
    /// A server that hands out plain files, whose bytes are verified by what is signed.
    pub const FETCH: Self = Self { write: false, credentials: false };
    /// A server that gives tokens for credentials.
    pub const TOKENS: Self = Self { write: true, credentials: true };

    fn and(self, other: Self) -> Self {
        Self {
            write: self.write || other.write,
            credentials: self.credentials || other.credentials,
        }
    }
}

/// The hosts that may be reached: those that a user or a policy has named, and no other.
/// Compared are whole origins (scheme, host, port), never parts of a name.
#[derive(Debug, Clone, Default)]
pub struct HostPolicy {
    origins: BTreeMap<Origin, Access>,
    /// The `HOST[:PORT]` at which a user has asked for plain http.
    plain: BTreeSet<String>,
}

/// Why an address is not reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Refused {
    #[error("`{0}` is a host that neither the command nor the policy names")]
    Host(String),
    #[error("`{0}` would be reached without TLS")]
    PlainHttp(String),
    #[error("`{0}` is only read from")]
    ReadOnly(String),
    #[error("`{0}` gets no credentials")]
    Credentials(String),
}

impl HostPolicy {
    /// Names no host yet: nothing can be reached.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes plain http at this `HOST[:PORT]` for what the user wants. Loopback needs no such
    /// permission.
    ///
    /// # Errors
    /// What is no host.
    pub fn allow_plain_http(&mut self, authority: &str) -> Result<(), InvalidUrl> {
        let origin = Origin::new(Scheme::Http, authority)?;
        self.plain.insert(origin.authority());
        Ok(())
    }

    /// Lets a `HOST[:PORT]` be reached: over TLS, and without it where the host is loopback or
    /// was named for that.
    ///
    /// # Errors
    /// What is no host.
    pub fn allow(&mut self, authority: &str, access: Access) -> Result<(), InvalidUrl> {
        for scheme in self.schemes(authority)? {
            self.allow_origin(Origin::new(scheme, authority)?, access);
        }
        Ok(())
    }

    /// Lets one origin be reached that a user has written out, `http://` included.
    pub fn allow_origin(&mut self, origin: Origin, access: Access) {
        let known = self.origins.entry(origin).or_insert(access);
        *known = known.and(access);
    }

    /// Returns the schemes by which a `HOST[:PORT]` may be reached, the likelier first.
    ///
    /// # Errors
    /// What is no host.
    pub fn schemes(&self, authority: &str) -> Result<Vec<Scheme>, InvalidUrl> {
        let plain = Origin::new(Scheme::Http, authority)?;
        Ok(if plain.is_loopback() || self.plain.contains(&plain.authority()) {
            vec![Scheme::Http, Scheme::Https]
        } else {
            vec![Scheme::Https]
        })
    }

    /// Says whether credentials may be sent to an origin.
    pub fn gives_credentials(&self, origin: &Origin) -> bool {
        self.origins.get(origin).is_some_and(|access| access.credentials)
    }

    /// Makes sure that a request may be sent.
    ///
    /// # Errors
    /// The reason why it may not.
    pub fn check(&self, method: Method, url: &Url, credentials: bool) -> Result<(), Refused> {
        let origin = url.origin();
        let Some(access) = self.origins.get(origin) else {
            let authority = origin.authority();
            let known_with_tls = origin.scheme() == Scheme::Http
                && Origin::new(Scheme::Https, &authority)
                    .is_ok_and(|secure| self.origins.contains_key(&secure));
            return Err(if known_with_tls {
                Refused::PlainHttp(authority)
            } else {
                Refused::Host(authority)
            });
        };
        if !access.write && !method.only_reads() {
            return Err(Refused::ReadOnly(origin.authority()));
        }
        if credentials && !access.credentials {
            return Err(Refused::Credentials(origin.authority()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &HostPolicy, method: Method, url: &str) -> Result<(), Refused> {
        policy.check(method, &Url::parse(url).unwrap(), false)
    }

    #[test]
    fn only_whole_origins_that_were_named_are_reached() {
        let mut policy = HostPolicy::new();
        policy.allow("reg.example", Access::WRITE).unwrap();
        policy.allow("files.example:8443", Access::FETCH).unwrap();
        assert_eq!(check(&policy, Method::Put, "https://reg.example/v2/"), Ok(()));
        assert_eq!(check(&policy, Method::Get, "https://reg.example:443/v2/"), Ok(()));
        assert_eq!(check(&policy, Method::Get, "https://files.example:8443/x"), Ok(()));
        for other in [
            "https://reg.example.evil.example/",
            "https://xreg.example/",
            "https://reg.example:5000/",
            "https://files.example/x",
            "https://169.254.169.254/",
        ] {
            assert!(matches!(check(&policy, Method::Get, other), Err(Refused::Host(_))), "{other}");
        }
        assert!(matches!(
            check(&policy, Method::Get, "http://reg.example:443/"),
            Err(Refused::PlainHttp(_))
        ));
        assert!(matches!(
            check(&policy, Method::Put, "https://files.example:8443/x"),
            Err(Refused::ReadOnly(_))
        ));
        let url = Url::parse("https://files.example:8443/x").unwrap();
        assert!(matches!(policy.check(Method::Get, &url, true), Err(Refused::Credentials(_))));
        assert!(policy.allow("Reg.example", Access::READ).is_err());
        assert!(policy.allow("user@reg.example", Access::READ).is_err());
    }

    #[test]
    fn plain_http_is_for_loopback_and_for_whom_a_user_names() {
        let mut policy = HostPolicy::new();
        policy.allow_plain_http("old.example:5000").unwrap();
        for host in ["127.0.0.1:5000", "localhost:5000", "old.example:5000", "old.example"] {
            policy.allow(host, Access::READ).unwrap();
        }
        for url in ["http://127.0.0.1:5000/", "http://localhost:5000/", "http://old.example:5000/"]
        {
            assert_eq!(check(&policy, Method::Get, url), Ok(()), "{url}");
        }
        assert!(check(&policy, Method::Get, "http://old.example/").is_err());
        assert_eq!(policy.schemes("reg.example").unwrap(), [Scheme::Https]);
    }
}
