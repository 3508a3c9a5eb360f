//! How a repository lets us in: basic authentication, or a token from a token server.
//!
//! Source: `distribution`, `docs/content/spec/auth/token.md` and `oauth.md`; RFC 7617;
//! RFC 6749, section 6.

use super::challenge::{self, Bearer, Challenge};
use super::credentials::Credential;
use super::{RegistryError, Repository};
use crate::http::url::escaped;
use crate::http::{Body, Method, Refused, Request, Response, Scheme, Secret, Url};
use serde::Deserialize;
use std::sync::{Arc, PoisonError};
use zeroize::Zeroizing;

/// The longest answer of a token server that is read, in bytes.
const MAX_TOKEN: u64 = 1 << 20;
/// What we call ourselves to token servers.
const CLIENT: &str = "karat";

/// No `Debug`: it is a secret.
#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: Zeroizing<String>,
    #[serde(default)]
    access_token: Zeroizing<String>,
}

impl Repository {
    /// Gets permission from the challenges of an answer, and keeps it for the next requests.
    pub(super) fn log_in(&self, answer: &Response) -> Result<Option<Arc<Secret>>, RegistryError> {
        let challenges: Vec<Challenge> =
            answer.headers("www-authenticate").flat_map(challenge::parse).collect();
        let bearer = challenges.iter().find_map(|challenge| match challenge {
            Challenge::Bearer(bearer) => Some(bearer),
            Challenge::Basic => None,
        });
        let credential = self.registries.shared.keyring.find(&self.host, &self.name)?;
        let secret = match bearer {
            Some(bearer) => Some(self.token(bearer, &credential)?),
            None if challenges.contains(&Challenge::Basic) => credential.basic(),
            None => return Err(RegistryError::NoChallenge(self.host.clone())),
        };
        let secret = secret.map(Arc::new);
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = secret.clone();
        Ok(secret)
    }

    /// Asks a token server for what this repository needs.
    fn token(&self, bearer: &Bearer, who: &Credential) -> Result<Secret, RegistryError> {
        let realm = self.realm(bearer, who)?;
        let client = &self.registries.client;
        let answer = match who {
            Credential::Identity(token) => {
                let service = bearer.service.as_deref().unwrap_or_default();
                let form = Zeroizing::new(format!(
                    "grant_type=refresh_token&client_id={CLIENT}&service={}&scope={}&refresh_token={}",
                    escaped(service),
                    escaped(&self.scopes.join(" ")),
                    escaped(token.expose()),
                ));
                let request = Request::new(Method::Post, realm)
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(Body::Bytes(form.as_bytes()));
                client.retried(&request)?
            }
            who => {
                let mut url = realm;
                if let Some(service) = &bearer.service {
                    url = url.with_query("service", service);
                }
                for scope in &self.scopes {
                    url = url.with_query("scope", scope);
                }
                let basic = who.basic();
                client.retried(&Request::get(url).authorized(basic.as_ref()))?
            }
        };
        let none = || RegistryError::NoToken(self.host.clone());
        let bytes = Zeroizing::new(answer.expect(&[200])?.bytes(MAX_TOKEN)?);
        let token: Token = serde_json::from_slice(&bytes).map_err(|_| none())?;
        let text = if token.token.is_empty() { &token.access_token } else { &token.token };
        let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if good { Ok(Secret::new(format!("Bearer {}", **text))) } else { Err(none()) }
    }

    /// Holds the address of a token server against the policy: who could name any address
    /// would be sent the password.
    fn realm(&self, bearer: &Bearer, who: &Credential) -> Result<Url, RegistryError> {
        let (host, shown) = (self.host.clone(), bearer.realm.chars().take(200).collect::<String>());
        let realm = Url::parse(&bearer.realm).map_err(|why| RegistryError::Realm {
            host: host.clone(),
            realm: shown.split('?').next().unwrap_or_default().to_owned(),
            why: why.to_string(),
        })?;
        let origin = realm.origin();
        let refused =
            |why| RegistryError::RealmRefused { host: host.clone(), realm: realm.to_string(), why };
        if origin.scheme() == Scheme::Http && self.origin.scheme() == Scheme::Https {
            return Err(refused(Refused::PlainHttp(origin.authority())));
        }
        let credentials = !matches!(who, Credential::Anonymous);
        let method = match who {
            Credential::Identity(_) => Method::Post,
            _ => Method::Get,
        };
        let policy = self.registries.client.policy();
        // The registry's own host may be one that is only read from.
        let method = if *origin == self.origin { Method::Get } else { method };
        policy.check(method, &realm, credentials).map_err(refused)?;
        Ok(realm)
    }
}
