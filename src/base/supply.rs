//! The bytes that a base is made of: out of the cache, else from a mirror, always verified.

use super::debian::index::IndexError;
use super::error::BaseError;
use super::lock::LockedPackage;
use super::mirror::{MirrorError, Mirrors};
use super::upstream::Connect;
use crate::archive::Error;
use crate::oci::Digest;
use crate::settings::Policy;
use crate::store::cache::{Cache, CacheError};
use crate::time::Now;
use std::io;

/// The largest package of a base, in bytes.
const MAX_PACKAGE: u64 = 256 << 20;

/// Where bytes are from.
#[derive(Clone, Copy)]
pub struct Supply<'a> {
    /// What earlier runs have kept.
    pub cache: &'a Cache,
    /// Where the rest comes from.
    pub mirrors: &'a Mirrors,
    /// Who connects to registries, for bases that are images; none where none is read.
    pub upstream: Option<&'a dyn Connect>,
    /// The policy, and when it is asked: what it has revoked is no base, and signatures on images
    /// are judged by its root of trust. Without one nothing is revoked, and they are judged by
    /// that of the public good instance of sigstore.
    pub policy: Option<(&'a Policy, Now)>,
}

impl Supply<'_> {
    /// Returns a file of an archive of which size and hash are known.
    ///
    /// # Errors
    /// When no mirror has it, its bytes are others, or the cache cannot be written.
    pub fn get(
        &self,
        archive: &str,
        paths: &[&str],
        digest: &Digest,
        size: u64,
    ) -> Result<Vec<u8>, BaseError> {
        if let Some(bytes) = self.cache.get(digest, size) {
            return Ok(bytes);
        }
        let what = paths.last().copied().unwrap_or_default().to_owned();
        if size > MAX_PACKAGE {
            return Err(MirrorError::Long { path: what, limit: MAX_PACKAGE }.into());
        }
        let mut source = Err(MirrorError::Gone { archive: archive.to_owned(), path: what.clone() });
        for path in paths {
            source = self.mirrors.open(archive, path);
            if !matches!(source, Err(MirrorError::Gone { .. })) {
                break;
            }
        }
        let of_bytes = |error| match error {
            Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                BaseError::Transfer { what: what.clone(), error }
            }
            Error::Io(error) => BaseError::Transfer { what: what.clone(), error },
            error => BaseError::Bytes { what: what.clone(), error },
        };
        self.cache.put(digest, size, source?).map_err(|error| match error {
            CacheError::Bytes(error) => of_bytes(error),
            CacheError::Write { path, error } => BaseError::Cache { path, error },
        })
    }

    /// Returns the bytes of a package.
    ///
    /// # Errors
    /// As [`Supply::get`].
    pub fn package(&self, locked: &LockedPackage) -> Result<Vec<u8>, BaseError> {
        self.get(&locked.archive, &[&locked.path], &locked.sha256, locked.size)
    }
}

/// Says whether an index could not be read because its bytes are others than promised.
pub(super) fn of_index(suite: &str, index: &str, error: IndexError) -> BaseError {
    BaseError::Index { suite: suite.to_owned(), index: index.to_owned(), error }
}
