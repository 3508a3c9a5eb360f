//! Why there is no base.

use super::assembly::AssemblyError;
use super::closure::ClosureError;
use super::debian::clear_sign::ClearSignError;
use super::debian::index::IndexError;
use super::debian::keyring::{KeyringError, NotSigned};
use super::debian::release::ReleaseError;
use super::lock::LockError;
use super::mirror::MirrorError;
use super::upstream::Unconnected;
use crate::archive;
use crate::finding::diagnostic::Diagnostics;
use crate::image::read::LayerError;
use crate::image::stored::StoredError;
use crate::oci::{Digest, Platform};
use crate::registry::RegistryError;
use crate::time::Moment;
use std::io;
use std::path::PathBuf;

/// Why there is no base.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BaseError {
    #[error("there is no base `{0}`")]
    Unknown(String),
    #[error("the base `{name}` has no layers for {platform}; it is made for {}", .made_for.join(", "))]
    Platform { name: String, platform: Platform, made_for: Vec<String> },
    #[error("the record of the built-in base `{name}` is broken: {what}")]
    Broken { name: String, what: String },
    #[error("the base `{0}` could not be read")]
    Unreadable(String),
    #[error("the layer `{file}` of the base cannot be read: {error}")]
    Layer { file: String, error: LayerError },
    #[error("the definition `{}` has faults", .0.file)]
    Definition(Box<Diagnostics>),
    #[error("`{file}` has the name of the built-in base `{name}`, and is not that")]
    Shadow { name: String, file: String },
    #[error("the base `{name}` has no lock `{file}`")]
    NoLock { name: String, file: String },
    #[error("the lock `{file}` of the base `{name}` is stale: {why}")]
    Stale { name: String, file: String, why: String },
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("`{}` cannot be read: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("the base `{name}`: {what}")]
    Unsupported { name: String, what: &'static str },
    #[error("the keyring `{name}`: {error}")]
    Keyring { name: String, error: KeyringError },
    #[error("there is no keyring `{0}`")]
    NoKeyring(String),
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    #[error("`{what}` broke off: {error}")]
    Transfer { what: String, error: io::Error },
    #[error("the cache `{}` cannot be written: {error}", path.display())]
    Cache { path: PathBuf, error: io::Error },
    #[error("`{what}` is not what was promised: {error}")]
    Bytes { what: String, error: archive::Error },
    #[error("the release of `{suite}` is not signed: {error}")]
    ClearSign { suite: String, error: ClearSignError },
    #[error("the release of `{suite}` is not signed by a key of the keyring: {error}")]
    NotSigned { suite: String, error: NotSigned },
    #[error("the release of `{suite}`: {error}")]
    Release { suite: String, error: ReleaseError },
    #[error("the release of `{suite}` is that of `{found}`")]
    OtherSuite { suite: String, found: String },
    #[error("the release of `{suite}` has expired: it was good until {until}, and now it is {now}")]
    Expired { suite: String, until: Moment, now: Moment },
    #[error("the release of `{suite}` is of {date}, which is to come; is the clock right?")]
    Future { suite: String, date: Moment },
    #[error("the release of `{suite}` lists no index `{index}`")]
    NoIndex { suite: String, index: String },
    #[error("the index `{index}` of `{suite}`: {error}")]
    Index { suite: String, index: String, error: IndexError },
    #[error(transparent)]
    Closure(#[from] ClosureError),
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    #[error("libraries are needed that the base does not have: {}", .0.join("; "))]
    Libraries(Vec<String>),
    #[error(
        "the layer `{layer}` of {platform} comes out as {found}, and the lock says {locked}: {why}"
    )]
    Differs { platform: Platform, layer: String, found: Digest, locked: Digest, why: String },
    #[error("the base for {platform} comes out as {found}, and the lock says {locked}")]
    DiffersWhole { platform: Platform, found: Digest, locked: Digest },
    #[error("the list `{file}` is not the one that the lock was written with")]
    Contents { file: String },
    #[error(transparent)]
    Unconnected(#[from] Unconnected),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("the image of the base `{name}`: {error}")]
    Stored { name: String, error: Box<StoredError> },
    #[error("the base `{name}`: {what}")]
    Image { name: String, what: String },
    #[error("the base `{name}`: `{reference}` has no image for {platform}")]
    NoPlatform { name: String, reference: String, platform: Platform },
    #[error("the base `{name}` is not signed by {signer}: the image {digest}: {why}")]
    Unsigned { name: String, digest: Digest, signer: String, why: String },
    #[error("the base `{name}`: {digest} is revoked: {reason}")]
    Revoked { name: String, digest: Digest, reason: String },
    #[error("the key `{path}` of the base `{name}`: {error}")]
    Key { name: String, path: String, error: crate::signature::Error },
    #[error("the signatures of the base `{name}` cannot be verified: {error}")]
    TrustedRoot { name: String, error: crate::signature::sigstore::Refusal },
    #[error("failed to write a layer: {0}")]
    Write(io::Error),
}

impl BaseError {
    /// Says whether something was looked at and found wrong: neither what the user wrote, nor
    /// the transport.
    pub fn is_judgement(&self) -> bool {
        match self {
            Self::Bytes { .. }
            | Self::ClearSign { .. }
            | Self::NotSigned { .. }
            | Self::Release { .. }
            | Self::OtherSuite { .. }
            | Self::Expired { .. }
            | Self::Future { .. }
            | Self::NoIndex { .. }
            | Self::Index { .. }
            | Self::Libraries(_)
            | Self::Differs { .. }
            | Self::DiffersWhole { .. }
            | Self::Contents { .. }
            | Self::Image { .. }
            | Self::NoPlatform { .. }
            | Self::Unsigned { .. }
            | Self::Revoked { .. }
            | Self::Layer { .. } => true,
            Self::Assembly(error) => {
                !matches!(error, AssemblyError::Idle(_) | AssemblyError::NoCertificates(_))
            }
            _ => false,
        }
    }

    /// Says whether trying again may help: the network, a disk, a mirror.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Mirror(error) => !matches!(error, MirrorError::Unknown(_)),
            Self::File { error, .. } => {
                !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::NotFound)
            }
            Self::Transfer { .. } | Self::Cache { .. } | Self::Write(_) => true,
            Self::Unreadable(_) | Self::Broken { .. } => true,
            _ => false,
        }
    }
}
