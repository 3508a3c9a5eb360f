//! Identity tokens: who asks for a certificate.
//!
//! A token is a JSON Web Token (RFC 7519) of an OpenID provider. It is a secret, as whoever holds
//! it can have a certificate in its name. Nothing of it is believed here: what it says is read for
//! messages, and the certificate authority verifies it.

use super::KeylessError;
use crate::http::Secret;
use crate::time::{Moment, Now};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// The longest token that is read, in bytes.
pub const MAX_TOKEN: usize = 64 << 10;
/// What a token must be for: sigstore's certificate authority.
pub const AUDIENCE: &str = "sigstore";
/// How far clocks may differ, in seconds.
const SKEW: u64 = 60;

/// A token, and what it says of itself.
pub struct Token {
    secret: Secret,
    /// Who vouches for the identity.
    pub issuer: String,
    expires: u64,
    begins: Option<u64>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// What is read of a token's payload (RFC 7519, section 4.1).
#[derive(Deserialize)]
struct Claims {
    iss: String,
    exp: u64,
    nbf: Option<u64>,
}

impl Token {
    /// Reads a token in its compact form (RFC 7515, section 7.1).
    ///
    /// # Errors
    /// When it is none. The message says nothing of its content.
    pub fn parse(text: &str) -> Result<Self, KeylessError> {
        let text = text.trim();
        let malformed = |why| KeylessError::Token(why);
        if text.len() > MAX_TOKEN {
            return Err(malformed("it is longer than 64 KiB"));
        }
        let parts: Vec<_> = text.split('.').collect();
        let [_, payload, _] = parts[..] else {
            return Err(malformed("it has not three parts, as a JSON Web Token has"));
        };
        let payload = URL_SAFE_NO_PAD
            .decode(payload.trim_end_matches('='))
            .map_err(|_| malformed("its second part is no base64url"))?;
        let claims: Claims = serde_json::from_slice(&payload)
            .map_err(|_| malformed("its second part is no JSON object with `iss` and `exp`"))?;
        let (issuer, expires, begins) = (claims.iss, claims.exp, claims.nbf);
        Ok(Self { secret: Secret::new(text), issuer, expires, begins })
    }

    /// Makes sure that the token holds now, before anybody is asked.
    ///
    /// # Errors
    /// When it has expired, or does not hold yet.
    pub fn check(&self, now: Now) -> Result<(), KeylessError> {
        let now = Moment::from(now).seconds();
        if self.expires <= now {
            return Err(KeylessError::Expired { ago: now - self.expires });
        }
        match self.begins {
            Some(begins) if begins > now + SKEW => Err(KeylessError::Early { ahead: begins - now }),
            _ => Ok(()),
        }
    }

    /// Returns the token itself, for the one request that sends it.
    pub(super) fn expose(&self) -> &str {
        self.secret.expose()
    }
}

/// Where a token is to be had, by the environment of a run.
#[derive(Clone)]
pub enum Found {
    /// The token itself.
    Here(Secret),
    /// A file that somebody keeps fresh.
    File(String),
    /// An address that gives one for a secret of the run (GitHub Actions, "OpenID Connect").
    Asked {
        /// The address, with its query.
        url: String,
        /// What is sent as `Authorization`.
        authorization: Secret,
    },
    /// A program of the system that prints one: its name and its arguments.
    Printed(&'static str, &'static [&'static str]),
}

/// What somebody who has no token is told.
pub const NO_TOKEN: &str = "`--identity-token FILE`, SIGSTORE_ID_TOKEN, or a job of GitHub Actions \
     (with `id-token: write`), GitLab (`id_tokens`), Buildkite, CircleCI, Kubernetes or SPIFFE that gives one";

/// Where Kubernetes and SPIFFE's helper put tokens for sigstore.
const FILES: [&str; 2] =
    ["/var/run/sigstore/cosign/oidc-token", "/var/run/secrets/sigstore/oidc-token"];

/// Finds out who gives a token: a variable that says it, the system that runs the job, a file that
/// is put there. `get` gives the value of a variable, `exists` says whether there is a file.
pub fn find(
    get: impl Fn(&str) -> Option<String>,
    exists: impl Fn(&str) -> bool,
) -> Result<Found, KeylessError> {
    let text = |name: &str| get(name).filter(|value| !value.is_empty());
    let is = |name: &str| get(name).as_deref() == Some("true");
    if let Some(token) = text("SIGSTORE_ID_TOKEN") {
        return Ok(Found::Here(Secret::new(token)));
    }
    let (url, secret) =
        (text("ACTIONS_ID_TOKEN_REQUEST_URL"), text("ACTIONS_ID_TOKEN_REQUEST_TOKEN"));
    if let (Some(url), Some(secret)) = (url, secret) {
        let join = if url.contains('?') { '&' } else { '?' };
        return Ok(Found::Asked {
            url: format!("{url}{join}audience={AUDIENCE}"),
            authorization: Secret::new(format!("bearer {secret}")),
        });
    }
    if is("GITHUB_ACTIONS") {
        return Err(KeylessError::NoToken(
            "the job of GitHub Actions has no `permissions: id-token: write`",
        ));
    }
    if is("BUILDKITE") {
        let arguments = &["oidc", "request-token", "--audience", AUDIENCE];
        return Ok(Found::Printed("buildkite-agent", arguments));
    }
    if is("CIRCLECI") {
        let arguments =
            &["run", "oidc", "get", "--root-issuer", "--claims", r#"{"aud":"sigstore"}"#];
        return Ok(Found::Printed("circleci", arguments));
    }
    if is("GITLAB_CI") {
        return Err(KeylessError::NoToken(
            "the job of GitLab has no `id_tokens: {SIGSTORE_ID_TOKEN: {aud: sigstore}}`",
        ));
    }
    let file = text("SIGSTORE_ID_TOKEN_FILE").into_iter().chain(FILES.map(str::to_owned));
    match file.into_iter().find(|path| exists(path)) {
        Some(path) => Ok(Found::File(path)),
        None => Err(KeylessError::NoToken("nothing gives an identity token")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn token(payload: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn times_are_checked_before_anybody_is_asked() {
        let at = |seconds| Now::new(UNIX_EPOCH + Duration::from_secs(seconds));
        let token = Token::parse(&token(r#"{"iss":"https://i","exp":2000,"nbf":1000}"#)).unwrap();
        assert_eq!(token.issuer, "https://i");
        token.check(at(1999)).unwrap();
        token.check(at(940)).unwrap();
        assert!(matches!(token.check(at(2000)), Err(KeylessError::Expired { ago: 0 })));
        assert!(matches!(token.check(at(88_400)), Err(KeylessError::Expired { ago: 86_400 })));
        assert!(matches!(token.check(at(900)), Err(KeylessError::Early { ahead: 100 })));
    }

    #[test]
    fn what_is_no_token_is_refused_and_nothing_of_it_told() {
        let long = "a".repeat(MAX_TOKEN + 1);
        for text in ["", "secret", "a.secret", "a.secret.b.c", "a.c2VjcmV0.b", "a.!.b", &long] {
            let error = Token::parse(text).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let parsed = Token::parse(&token(r#"{"iss":"i","exp":1}"#)).unwrap();
        let secret = token(r#"{"iss":"i","exp":1}"#);
        assert!(!format!("{parsed:?}").contains(&secret));
    }

    #[test]
    fn systems_are_asked_in_their_own_way() {
        let find = |variables: &[(&str, &str)], file: &str| {
            let get = |name: &str| {
                variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned())
            };
            super::find(get, |path| path == file)
        };
        assert!(matches!(find(&[("SIGSTORE_ID_TOKEN", "t")], ""), Ok(Found::Here(_))));
        let request = [
            ("GITHUB_ACTIONS", "true"),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://r.example/x?api-version=2"),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "s"),
        ];
        let Ok(Found::Asked { url, authorization }) = find(&request, "") else { panic!() };
        assert_eq!(url, "https://r.example/x?api-version=2&audience=sigstore");
        assert_eq!(authorization.expose(), "bearer s");
        let refused = find(&request[..1], "").err().unwrap().to_string();
        assert!(refused.contains("id-token: write"), "{refused}");
        let refused = find(&[("GITLAB_CI", "true")], "").err().unwrap().to_string();
        assert!(refused.contains("id_tokens"), "{refused}");
        assert!(matches!(
            find(&[("BUILDKITE", "true")], ""),
            Ok(Found::Printed("buildkite-agent", _))
        ));
        assert!(matches!(find(&[("CIRCLECI", "true")], ""), Ok(Found::Printed("circleci", _))));
        assert!(matches!(find(&[], FILES[0]), Ok(Found::File(path)) if path == FILES[0]));
        assert!(find(&[("SIGSTORE_ID_TOKEN", "")], "").is_err());
    }
}
