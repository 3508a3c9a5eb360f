//! What goes wrong with a registry.

use super::KeyringError;
use crate::http::{HttpError, Refused};
use crate::oci::Digest;
use crate::oci::document::DocumentError;
use std::io;

/// Why a registry could not be read or written. Shows no credentials.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum RegistryError {
    #[error("`{0}` is no host of a registry")]
    Host(String),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    #[error("`{0}` holds no such image")]
    Missing(String),
    #[error(
        "`{place}` gives other bytes than were asked for: {expected} was promised, {found} came"
    )]
    Differs { place: String, expected: Digest, found: Digest },
    #[error("what `{place}` gives cannot be read: {error}")]
    Document { place: String, error: DocumentError },
    #[error("what `{place}` gives is no manifest, but `{found}`")]
    MediaType { place: String, found: String },
    #[error(
        "`{host}` asks for a token from `{realm}`, which is no address that karat goes to: {why}"
    )]
    Realm { host: String, realm: String, why: String },
    #[error("`{host}` asks for a token from `{realm}`: {why}")]
    RealmRefused { host: String, realm: String, why: Refused },
    #[error("the token server of `{0}` answers without a token")]
    NoToken(String),
    #[error("`{0}` does not say how it wants to be asked for permission")]
    NoChallenge(String),
    #[error("`{host}` lists more than {limit} {what}")]
    Many { host: String, what: &'static str, limit: usize },
    #[error("`{0}` lists pages without end")]
    Endless(String),
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why something could not be written, or is not there after it was.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum WriteError {
    #[error("`{0}` names no place to upload to")]
    NoLocation(String),
    #[error("`{place}` sends uploads to an address that is none: {why}")]
    Location { place: String, why: String },
    #[error("`{place}` says that it holds {found}, and {expected} was sent")]
    Digest { place: String, expected: Digest, found: String },
    #[error("`{place}` does not give back what was written: {what}")]
    ReadBack { place: String, what: String },
    #[error("`{place}` loses what is added under the tag `{tag}`: somebody else writes there")]
    LostUpdate { place: String, tag: String },
    #[error("`{place}` has something else than a list of referrers under the tag `{tag}`")]
    NoList { place: String, tag: String },
    #[error("the blob {digest} cannot be read: {error}")]
    Source { digest: Digest, error: io::Error },
}

impl RegistryError {
    /// Says whether what came was judged and found wrong, and no connection is at fault.
    pub fn is_judgement(&self) -> bool {
        matches!(self, Self::Differs { .. } | Self::Document { .. } | Self::MediaType { .. })
    }

    /// Returns the HTTP error that this is, if it is one.
    pub fn http(&self) -> Option<&HttpError> {
        match self {
            Self::Http(error) => Some(error),
            _ => None,
        }
    }
}
