//! Bytes that are kept between runs, by what they hash to.
//!
//! Whole or not at all: a file gets its name only when it holds the bytes that the name
//! promises. Nobody trusts a cache: whatever is taken out is hashed again.

use crate::archive::Error;
use crate::archive::verified::VerifiedReader;
use crate::oci::Digest;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

/// The most bytes that room is made for before they come.
const ROOM: u64 = 256 << 20;

/// A folder of blobs.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// Why bytes were not taken into a cache.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CacheError {
    #[error("{0}")]
    Bytes(Error),
    #[error("the cache `{}` cannot be written: {error}", path.display())]
    Write { path: PathBuf, error: io::Error },
}

impl Cache {
    /// Takes a folder, which need not be there yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Returns where the bytes of a digest are, if they are.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.root.join("sha256").join(&hex[..2]).join(&hex[2..])
    }

    /// Returns the bytes of a digest. Those of another size or hash are none.
    pub fn get(&self, digest: &Digest, size: u64) -> Option<Vec<u8>> {
        let file = File::open(self.path(digest)).ok()?;
        let found = file.metadata().ok()?;
        if !found.is_file() || found.len() != size {
            return None;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).ok()?);
        file.take(size + 1).read_to_end(&mut bytes).ok()?;
        (bytes.len() as u64 == size && Digest::of(&bytes) == *digest).then_some(bytes)
    }

    /// Reads a source to its end and keeps its bytes, if they are those that the digest and
    /// the size promise. Nobody sees them before.
    ///
    /// # Errors
    /// When the source fails or gives other bytes, or the folder cannot be written.
    pub fn put(
        &self,
        digest: &Digest,
        size: u64,
        source: impl Read,
    ) -> Result<Vec<u8>, CacheError> {
        let room = usize::try_from(size.min(ROOM)).unwrap_or_default();
        let mut bytes = Vec::with_capacity(room);
        let mut verified = VerifiedReader::new(source, *digest.bytes(), size);
        verified.read_to_end(&mut bytes).map_err(|error| CacheError::Bytes(Error::from(error)))?;
        let path = self.path(digest);
        self.write(&path, &bytes).map_err(|error| CacheError::Write { path, error })?;
        Ok(bytes)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::with_prefix_in(".tmp-", folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_promised_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("not/there/yet"));
        let digest = Digest::of(b"bytes");
        assert!(cache.get(&digest, 5).is_none());
        for (bytes, size) in
            [(&b"bytez"[..], 5), (b"byte", 5), (b"bytes and more", 5), (b"bytes", 6)]
        {
            assert!(matches!(cache.put(&digest, size, bytes), Err(CacheError::Bytes(_))));
            assert!(!cache.path(&digest).exists());
        }
        assert_eq!(cache.put(&digest, 5, &b"bytes"[..]).unwrap(), b"bytes");
        assert_eq!(cache.get(&digest, 5).unwrap(), b"bytes");
        assert!(cache.get(&digest, 4).is_none());
        fs::write(cache.path(&digest), b"BYTES").unwrap();
        assert!(cache.get(&digest, 5).is_none(), "a cache that was changed is not believed");
        cache.put(&digest, 5, &b"bytes"[..]).unwrap();
        assert!(cache.get(&digest, 5).is_some());
    }
}
