//! Registries: images are read from them and written to them, by digest.
//!
//! Takes references and bytes, gives documents, blobs and errors. Everything goes through
//! [`crate::http`], which holds each address against the hosts that may be reached; this
//! module knows neither a policy file nor where credentials are kept. Source:
//! distribution-spec 1.1.
//!
//! Nothing that a registry says is believed: digests are computed from the bytes, lengths
//! are limits, and every address that it names is checked.

mod attached;
pub mod challenge;
pub mod credentials;
mod error;
pub mod helper;
mod keyring;
pub mod link;
mod login;
mod read;
mod referrers;
mod remote;
mod write;

pub use crate::image::graph::Document;
pub use credentials::Credential;
pub use error::{RegistryError, WriteError};
pub use keyring::{Keyring, KeyringError};
pub use referrers::{fallback_tag, referrer};
pub use remote::Resolved;
pub use write::{BlobSent, Bytes};

use crate::http::{
    Access, Client, Fault, HttpError, Origin, Request, Response, Scheme, Secret, Url,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Docker Hub's own name, and the host at which its registry answers (docker/distribution,
/// `reference`).
const HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// All registries that a command talks to: the connections and who we are there. Cheap to
/// clone.
#[derive(Clone)]
pub struct Registries {
    client: Client,
    shared: Arc<Shared>,
}

struct Shared {
    keyring: Keyring,
    /// By which scheme a host has answered.
    origins: Mutex<BTreeMap<String, Origin>>,
}

/// One repository of a registry. Cheap to clone; clones share what was allowed to them.
#[derive(Clone)]
pub struct Repository {
    registries: Registries,
    origin: Origin,
    host: String,
    name: String,
    scopes: Vec<String>,
    authorization: Arc<Mutex<Option<Arc<Secret>>>>,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.host, self.name)
    }
}

/// What a repository is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To read.
    Pull,
    /// To read and write.
    Push,
}

/// How often and where to a request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Once: the caller finds out what has become of it before it tries again.
    Once,
    /// Again when the moment was bad.
    Retried,
    /// Again, and after redirects.
    Followed,
}

/// Returns the hosts that a registry answers at: for all but Docker Hub its own name.
pub fn host_of(host: &str) -> &str {
    if host == HUB.0 { HUB.1 } else { host }
}

impl Registries {
    /// Takes the connections and the credentials.
    pub fn new(client: Client, keyring: Keyring) -> Self {
        let origins = Mutex::new(BTreeMap::new());
        Self { client, shared: Arc::new(Shared { keyring, origins }) }
    }

    /// Returns the client that everything goes through.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Opens a repository: finds out how its host is reached and who may ask. From
    /// `mounted_from`, a repository of the same host, blobs may be mounted.
    ///
    /// # Errors
    /// When the host may not be or is not reached, is no registry, or does not let us in.
    pub fn open(
        &self,
        host: &str,
        name: &str,
        purpose: Purpose,
        mounted_from: Option<&str>,
    ) -> Result<Repository, RegistryError> {
        let (origin, answer) = self.find(host)?;
        let actions = match purpose {
            Purpose::Pull => "pull",
            Purpose::Push => "pull,push",
        };
        let mut scopes = vec![format!("repository:{name}:{actions}")];
        if let Some(other) = mounted_from.filter(|other| *other != name) {
            scopes.push(format!("repository:{other}:pull"));
        }
        let repository = Repository {
            registries: self.clone(),
            origin,
            host: host.to_owned(),
            name: name.to_owned(),
            scopes,
            authorization: Arc::default(),
        };
        if answer.status() == 401 {
            repository.log_in(&answer)?;
        }
        Ok(repository)
    }

    /// Finds the scheme of a host, and returns what it answers to somebody unknown.
    fn find(&self, host: &str) -> Result<(Origin, Response), RegistryError> {
        let authority = host_of(host);
        let known = self.origins().get(authority).cloned();
        let mut candidates: Vec<Origin> = match known {
            Some(origin) => vec![origin],
            None => {
                let policy = self.client.policy();
                let schemes = policy.schemes(authority).unwrap_or_else(|_| vec![Scheme::Https]);
                schemes
                    .into_iter()
                    .filter_map(|scheme| Origin::new(scheme, authority).ok())
                    .collect()
            }
        };
        let Some(mut last) = candidates.pop() else {
            return Err(RegistryError::Host(host.to_owned()));
        };
        // Plain http first, where it may be: a server that speaks TLS answers it with 400, or
        // with bytes that are no HTTP.
        if let Some(plain) = candidates.pop() {
            let request = Request::get(base(&plain)?);
            let first = match self.client.once(&request) {
                Ok(answer) if answer.status() == 400 => None,
                Ok(_) => {
                    last = plain;
                    None
                }
                Err(error) if matches!(error.fault, Fault::Broken(_)) => Some(error),
                Err(error) => return Err(error.into()),
            };
            if let Some(error) = first
                && self.client.once(&Request::get(base(&last)?)).is_err()
            {
                return Err(error.into());
            }
        }
        let answer = self.client.retried(&Request::get(base(&last)?))?;
        // 404: some registries have nothing there (distribution-spec says that it must be 200).
        if !matches!(answer.status(), 200 | 401 | 403 | 404) {
            return Err(answer.into_error().into());
        }
        self.origins().insert(authority.to_owned(), last.clone());
        Ok((last, answer))
    }

    fn origins(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Origin>> {
        self.shared.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn base(origin: &Origin) -> Result<Url, RegistryError> {
    origin.at("/v2/").map_err(|_| RegistryError::Host(origin.authority()))
}

impl Repository {
    /// Returns the host as the reference had it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the name on its host.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Says whether another repository is of the same registry.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.origin == other.origin
    }

    /// Returns the address of something of this repository.
    fn at(&self, path: &str) -> Result<Url, RegistryError> {
        let target = format!("/v2/{}/{path}", self.name);
        self.origin.at(&target).map_err(|_| RegistryError::Host(self.host.clone()))
    }

    fn allowed(&self) -> Option<Arc<Secret>> {
        self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a request with what we are allowed by; when that is not enough or not any more,
    /// asks for more and sends it once again.
    fn send(&self, request: &Request<'_>, way: Way) -> Result<Response, RegistryError> {
        let client = &self.registries.client;
        let send = |secret: Option<&Secret>| -> Result<Response, HttpError> {
            // Storage on other hosts has the permission in the address.
            let secret = secret.filter(|_| *request.url.origin() == self.origin);
            let request = request.clone().authorized(secret);
            match way {
                Way::Once => client.once(&request),
                Way::Retried => client.retried(&request),
                Way::Followed => client.follow(&request),
            }
        };
        let before = self.allowed();
        let answer = send(before.as_deref())?;
        if answer.status() != 401 || *answer.url().origin() != self.origin {
            return Ok(answer);
        }
        let now = self.log_in(&answer)?;
        Ok(send(now.as_deref())?)
    }
}

/// Lets a client reach what a registry is made of: its host, in this way.
///
/// # Errors
/// When the host is none.
pub fn allow(
    policy: &mut crate::http::HostPolicy,
    host: &str,
    access: Access,
) -> Result<(), RegistryError> {
    policy.allow(host_of(host), access).map_err(|_| RegistryError::Host(host.to_owned()))
}

#[cfg(test)]
mod tests;
