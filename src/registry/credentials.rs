//! Who we are to a registry: what `docker login` and `podman login` have written.
//!
//! Takes the text of such files, gives what they say about a repository. Formats: docker's
//! `config.json` (docker/cli, `cli/config/configfile`), containers' `auth.json`
//! (containers-auth.json(5)).

use crate::http::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// The longest file that is read, in bytes.
pub const MAX_FILE: usize = 1 << 20;

/// Who asks.
#[derive(Clone)]
pub enum Credential {
    /// Nobody in particular.
    Anonymous,
    /// A user with a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token that is exchanged for others (`docker login` to a registry with OAuth).
    Identity(Secret),
}

/// Where a credential is to be had.
#[derive(Clone)]
pub enum Found {
    /// It is in the file.
    Here(Credential),
    /// A program gives it out.
    Helper {
        /// The end of the program's name, behind `docker-credential-`.
        name: String,
        /// What the program calls the registry.
        server: String,
    },
}

/// Why a file of credentials cannot be used. Says nothing of what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InvalidConfig {
    #[error("it is longer than {MAX_FILE} bytes")]
    Long,
    #[error("it is no valid JSON of its kind (line {line}, column {column})")]
    Json { line: usize, column: usize },
    #[error("the entry of `{0}` cannot be read")]
    Entry(String),
    #[error("`{0}` is no name of a credential helper")]
    Helper(String),
}

/// A file of credentials.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: Option<String>,
}

/// No `Debug`: the fields are secrets.
#[derive(Deserialize, Default)]
struct Entry {
    #[serde(default)]
    auth: Zeroizing<String>,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: Zeroizing<String>,
    #[serde(default, rename = "identitytoken", alias = "identityToken")]
    identity_token: Zeroizing<String>,
}

/// Docker Hub under the name by which `docker login` has always kept it.
const HUB: &str = "https://index.docker.io/v1/";
const HUB_HOSTS: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

impl Config {
    /// Reads a file of credentials.
    ///
    /// # Errors
    /// When it is no JSON of that form. The message holds nothing of the text.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidConfig> {
        if text.len() > MAX_FILE {
            return Err(InvalidConfig::Long);
        }
        // A login of docker before the first one leaves an empty file.
        if text.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(text)
            .map_err(|error| InvalidConfig::Json { line: error.line(), column: error.column() })
    }

    /// Returns what the file says about a repository of a `HOST[:PORT]`: a helper of the host
    /// first, then the narrowest entry, then the helper for everything. None when it says
    /// nothing: then the registry is asked by nobody in particular.
    ///
    /// # Errors
    /// When the entry cannot be read, or names no helper.
    pub fn find(&self, host: &str, repository: &str) -> Result<Option<Found>, InvalidConfig> {
        let helper = |name: &str, server: String| {
            let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
            if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
                return Err(InvalidConfig::Helper(name.chars().take(100).collect()));
            }
            Ok(Some(Found::Helper { name: name.to_owned(), server }))
        };
        let is_hub = HUB_HOSTS.contains(&host);
        let keys = keys(host, repository, is_hub);
        for key in &keys {
            if let Some(name) = self.cred_helpers.get(key) {
                return helper(name, key.clone());
            }
        }
        for key in &keys {
            if let Some(entry) = self.auths.get(key)
                && let Some(credential) = entry.read(key)?
            {
                return Ok(Some(Found::Here(credential)));
            }
        }
        match self.creds_store.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => helper(name, if is_hub { HUB.to_owned() } else { host.to_owned() }),
            None => Ok(None),
        }
    }
}

/// The keys under which a repository's credentials may be kept, the narrowest first.
fn keys(host: &str, repository: &str, is_hub: bool) -> Vec<String> {
    let mut keys = Vec::new();
    let mut path = Some(repository);
    while let Some(own) = path {
        keys.push(format!("{host}/{own}"));
        path = own.rsplit_once('/').map(|(above, _)| above);
    }
    keys.push(host.to_owned());
    for scheme in ["https", "http"] {
        for end in ["", "/", "/v1", "/v1/", "/v2", "/v2/"] {
            keys.push(format!("{scheme}://{host}{end}"));
        }
    }
    if is_hub {
        keys.push(HUB.to_owned());
        keys.push("docker.io".to_owned());
    }
    keys
}

impl Entry {
    /// Reads an entry; none when it is empty, as `docker login` with a store leaves it.
    fn read(&self, key: &str) -> Result<Option<Credential>, InvalidConfig> {
        if !self.identity_token.is_empty() {
            return Ok(Some(Credential::Identity(Secret::new(self.identity_token.as_str()))));
        }
        if !self.auth.is_empty() {
            let wrong = || InvalidConfig::Entry(key.to_owned());
            let bytes =
                Zeroizing::new(STANDARD.decode(self.auth.trim_ascii_end()).map_err(|_| wrong())?);
            let text = std::str::from_utf8(&bytes).map_err(|_| wrong())?;
            let (user, password) = text.split_once(':').ok_or_else(wrong)?;
            // Old versions of docker have written zero bytes at the end.
            return Ok(Some(credential(user, password.trim_end_matches('\0'))));
        }
        if self.username.is_empty() {
            return Ok(None);
        }
        Ok(Some(credential(&self.username, &self.password)))
    }
}

/// Takes a name and a password; the name `<token>` says that the password is an identity token
/// (docker/docker-credential-helpers).
pub fn credential(user: &str, password: &str) -> Credential {
    if user == "<token>" {
        return Credential::Identity(Secret::new(password));
    }
    Credential::Password { user: user.to_owned(), password: Secret::new(password) }
}

impl Credential {
    /// Returns the value of `Authorization` for basic authentication (RFC 7617); none when
    /// there is no name.
    pub fn basic(&self) -> Option<Secret> {
        let Self::Password { user, password } = self else { return None };
        let text = Zeroizing::new(format!("{user}:{}", password.expose()));
        let encoded = Zeroizing::new(STANDARD.encode(text.as_bytes()));
        Some(Secret::new(format!("Basic {}", *encoded)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str, host: &str, repository: &str) -> Result<String, InvalidConfig> {
        Ok(match Config::parse(text.as_bytes())?.find(host, repository)? {
            None | Some(Found::Here(Credential::Anonymous)) => "nobody".to_owned(),
            Some(Found::Here(Credential::Identity(token))) => format!("token {}", token.expose()),
            Some(Found::Here(Credential::Password { user, password })) => {
                format!("{user}:{}", password.expose())
            }
            Some(Found::Helper { name, server }) => format!("helper {name} for {server}"),
        })
    }

    #[test]
    fn entries_of_docker_and_podman_are_found() {
        // `dTpw` is `u:p`, `dTpxOnI=` is `u:q:r`.
        let text = r#"{"auths":{
            "reg.example":{"auth":"dTpw"},
            "reg.example/team/app":{"auth":"dTpxOnI="},
            "https://old.example/v1/":{"auth":"dTpw"},
            "port.example:5000":{"username":"a","password":"b"},
            "token.example":{"auth":"dTpw","identitytoken":"id"},
            "https://index.docker.io/v1/":{"auth":"dTpw"},
            "empty.example":{}
        },"credHelpers":{"helped.example":"pass"},"HttpHeaders":{"X":"y"}}"#;
        for (host, repository, found) in [
            ("reg.example", "other/app", "u:p"),
            ("reg.example", "team/app", "u:q:r"),
            ("reg.example", "team/app/part", "u:q:r"),
            ("reg.example", "team/apps", "u:p"),
            ("reg.example:5000", "a", "nobody"),
            ("old.example", "a", "u:p"),
            ("port.example:5000", "a", "a:b"),
            ("token.example", "a", "token id"),
            ("docker.io", "library/x", "u:p"),
            ("registry-1.docker.io", "library/x", "u:p"),
            ("empty.example", "a", "nobody"),
            ("helped.example", "a", "helper pass for helped.example"),
            ("evil-reg.example", "a", "nobody"),
        ] {
            assert_eq!(find(text, host, repository).unwrap(), found, "{host}/{repository}");
        }
        let stored = r#"{"credsStore":"desktop","auths":{"reg.example":{}}}"#;
        assert_eq!(find(stored, "reg.example", "a").unwrap(), "helper desktop for reg.example");
        assert_eq!(find(stored, "docker.io", "a").unwrap(), format!("helper desktop for {HUB}"));
        assert_eq!(find("", "reg.example", "a").unwrap(), "nobody");
    }

    #[test]
    fn bad_files_are_refused_without_showing_them() {
        for text in [
            r#"{"auths":{"reg.example":{"auth":"s3cr3t!"}}}"#,
            r#"{"auths":{"reg.example":{"auth":"czNjcjN0"}}}"#,
            r#"{"auths":{"reg.example":"s3cr3t"}}"#,
            r#"{"auths":["s3cr3t"]}"#,
            r#"{"credHelpers":{"reg.example":"../s3cr3t/x"}}"#,
            r#"{"credsStore":"a b"}"#,
            "s3cr3t",
        ] {
            let error = find(text, "reg.example", "a").unwrap_err().to_string();
            assert!(!error.contains("czNj"), "{error}");
            assert!(!error.contains("s3cr3t") || error.contains("helper"), "{error}");
        }
    }

    #[test]
    fn passwords_become_headers() {
        // RFC 7617, section 2.
        let aladdin = credential("Aladdin", "open sesame").basic().unwrap();
        assert_eq!(aladdin.expose(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(matches!(credential("<token>", "x"), Credential::Identity(_)));
    }
}
