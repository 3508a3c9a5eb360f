//! Reads stored layers into lists of entries.

use super::{Entry, Kind, Layer, Origin};
use crate::archive::reader::LayerReader;
use crate::archive::tar_walk::{self, Member};
use crate::archive::{Compression, Error, Limits};
use crate::finding::{Rule, escape, rules};
use crate::oci::{DiffId, Digest, MediaType};
use crate::store::{Content, SpoolRoom};
use sha2::{Digest as _, Sha256};
use std::io::{self, Read, Write};
use std::sync::Arc;

/// Why a layer could not be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum LayerError {
    #[error("`{0}` is no media type of a layer that karat reads")]
    MediaType(MediaType),
    #[error(transparent)]
    Archive(#[from] Error),
    #[error("the entry `{}` leads out of the root", escape::bytes(.0))]
    Escape(Vec<u8>),
    #[error("the path of the entry `{}` is absolute", escape::bytes(.0))]
    Absolute(Vec<u8>),
    #[error("the uncompressed bytes hash to {found}, and {expected} was promised")]
    DiffId { expected: DiffId, found: DiffId },
}

impl LayerError {
    /// Returns the rule that the layer breaks; none where the medium failed.
    pub fn rule(&self) -> Option<&'static Rule> {
        match self {
            Self::MediaType(_) => Some(&rules::LAYER_MEDIA_TYPE),
            Self::Archive(error) => error.rule(),
            Self::Absolute(_) => Some(&rules::PATH_ABSOLUTE),
            Self::Escape(_) => Some(&rules::PATH_ESCAPES),
            Self::DiffId { .. } => Some(&rules::DIFF_ID_MISMATCH),
        }
    }

    /// Returns the name of the entry that is at fault, as far as there is one.
    pub(super) fn entry(&self) -> Option<&[u8]> {
        match self {
            Self::Escape(path) | Self::Absolute(path) => Some(path),
            Self::Archive(error) => entry_of(error),
            Self::MediaType(_) | Self::DiffId { .. } => None,
        }
    }
}

/// Returns the name of the entry that makes an archive ambiguous.
pub(super) fn entry_of(error: &Error) -> Option<&[u8]> {
    match error {
        Error::Ambiguous { entry, .. } if !entry.is_empty() => Some(entry),
        _ => None,
    }
}

/// Brings the name of an entry into the form of a path, as far as that goes; for messages.
pub(super) fn simplified(name: &[u8]) -> Vec<u8> {
    normalise(name).unwrap_or_else(|| name.to_vec())
}

/// Returns how a layer of this media type is compressed; none for what is no layer.
pub fn compression(media_type: &MediaType) -> Option<Compression> {
    let known = [
        (MediaType::LAYER, Compression::None),
        (MediaType::LAYER_GZIP, Compression::Gzip),
        (MediaType::LAYER_ZSTD, Compression::Zstd),
        (MediaType::DOCKER_LAYER_GZIP, Compression::Gzip),
    ];
    known.into_iter().find(|(known, _)| known == media_type).map(|(_, compression)| compression)
}

/// Reads a layer in one pass: decompressed, hashed, walked strictly, and copied into
/// a spool from which its files can be read again. Nothing is unpacked.
///
/// # Errors
/// When the archive cannot be read to its end, is ambiguous, names entries outside the
/// root, or its uncompressed bytes are not those of `expected`.
pub fn layer(
    room: &SpoolRoom,
    blob: impl Read,
    media_type: &MediaType,
    expected: Option<DiffId>,
    limits: &Limits,
    origin: Origin,
) -> Result<Layer, LayerError> {
    let compression =
        compression(media_type).ok_or_else(|| LayerError::MediaType(media_type.clone()))?;
    let mut reader = LayerReader::new(blob, compression, limits)?;
    let mut spool = room.writer();
    let mut found = Vec::new();
    let tee = Tee { reader: &mut reader, copy: &mut spool };
    tar_walk::walk::<_, LayerError>(tee, limits, &mut |member, data| {
        let sha256 = match member.kind {
            tar_walk::Kind::File => hash(data).map_err(Error::from)?,
            _ => Digest::of(b""),
        };
        // The root itself is written as `/` by some builders, and is the same for everybody.
        if member.path.starts_with(b"/") && member.path.iter().any(|byte| *byte != b'/') {
            return Err(LayerError::Absolute(member.path));
        }
        let path =
            normalise(&member.path).ok_or_else(|| LayerError::Escape(member.path.clone()))?;
        found.push((path, member, sha256));
        Ok(())
    })?;
    reader.finish()?;
    let spool = Arc::new(spool.finish());
    let diff_id = DiffId::from(*spool.sha256().bytes());
    if let Some(expected) = expected.filter(|expected| *expected != diff_id) {
        return Err(LayerError::DiffId { expected, found: diff_id });
    }
    let entries = found
        .into_iter()
        .map(|(path, member, sha256)| entry(path, member, sha256, &spool))
        .collect::<Result<_, _>>()?;
    Ok(Layer { origin, diff_id: Some(diff_id), entries })
}

fn entry(
    path: Vec<u8>,
    member: Member,
    sha256: Digest,
    spool: &Arc<crate::store::Spool>,
) -> Result<Entry, LayerError> {
    let kind = match member.kind {
        tar_walk::Kind::File => {
            Kind::File(Content::part(spool.clone(), member.data_offset, member.size, sha256))
        }
        tar_walk::Kind::Directory => Kind::Directory,
        tar_walk::Kind::Symlink { target } => Kind::Symlink(target),
        tar_walk::Kind::Hardlink { target } => Kind::Hardlink(
            normalise(&target).ok_or_else(|| LayerError::Escape(member.path.clone()))?,
        ),
        tar_walk::Kind::CharDevice { .. } => Kind::Special("character device"),
        tar_walk::Kind::BlockDevice { .. } => Kind::Special("block device"),
        tar_walk::Kind::Fifo => Kind::Special("FIFO"),
    };
    let name = |xattr: &tar_walk::Xattr| escape::bytes(xattr.name());
    Ok(Entry {
        path,
        kind,
        mode: member.mode & 0o7777,
        uid: member.uid,
        gid: member.gid,
        mtime: member.mtime,
        xattrs: member.xattrs.iter().map(name).collect(),
    })
}

fn hash(data: &mut dyn Read) -> io::Result<Digest> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        let count = data.read(&mut chunk)?;
        if count == 0 {
            return Ok(Digest::from(<[u8; 32]>::from(hash.finalize())));
        }
        hash.update(&chunk[..count]);
    }
}

/// Brings a path of an archive into the one form: relative, no empty or `.` components.
/// None when it holds `..`, which every unpacker treats in its own way.
fn normalise(path: &[u8]) -> Option<Vec<u8>> {
    let mut normal = Vec::with_capacity(path.len());
    for component in path.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => return None,
            component => {
                if !normal.is_empty() {
                    normal.push(b'/');
                }
                normal.extend_from_slice(component);
            }
        }
    }
    Some(normal)
}

/// Gives what a reader gives, and copies it on the way.
struct Tee<R, W> {
    reader: R,
    copy: W,
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buf)?;
        self.copy.write_all(&buf[..count])?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_or_refused() {
        assert_eq!(normalise(b"./usr//bin/./x/").unwrap(), b"usr/bin/x");
        assert_eq!(normalise(b"/etc").unwrap(), b"etc");
        assert_eq!(normalise(b"./").unwrap(), b"");
        assert_eq!(normalise(b"a/../b"), None);
    }
}
