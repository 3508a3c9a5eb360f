//! Writes entries as a layer: tar, both digests, and gzip.

use super::{Entry, Kind};
use crate::archive::verified::HashingWriter;
use crate::archive::{gzip, tar_write};
use crate::binary::ReadAt as _;
use crate::oci::{DiffId, Digest};
use crate::time::Epoch;
use std::io::{self, Write};
use std::num::NonZeroUsize;

/// How much of a file is read at a time.
const CHUNK: usize = 256 << 10;

/// Writes entries as a tar archive: every time is the epoch, every owner a number.
///
/// # Errors
/// When an entry cannot be expressed in tar, its content cannot be read, or `out` fails.
pub fn archive(entries: &[Entry], epoch: Epoch, out: &mut dyn Write) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    for entry in entries {
        let (kind, content) = match &entry.kind {
            Kind::File(content) => (tar_write::Kind::File { size: content.len() }, Some(content)),
            Kind::Directory => (tar_write::Kind::Directory, None),
            Kind::Symlink(target) => (tar_write::Kind::Symlink { target }, None),
            Kind::Hardlink(target) => (tar_write::Kind::Hardlink { target }, None),
            Kind::Special(what) => {
                return Err(io::Error::other(format!("{} is a {what}", entry.shown())));
            }
        };
        let header = tar_write::header(&tar_write::Entry {
            path: &entry.path,
            kind,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: epoch.seconds(),
        })
        .map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {error}", entry.shown()))
        })?;
        out.write_all(&header)?;
        if let Some(content) = content {
            content.write_to(out, &mut chunk)?;
            out.write_all(&tar_write::END[..tar_write::padding(content.len())])?;
        }
    }
    out.write_all(&tar_write::END)
}

/// A layer's stored bytes and what they hash to.
#[derive(Debug, Clone)]
pub struct Written {
    /// The stored bytes.
    pub bytes: Vec<u8>,
    /// Their hash.
    pub digest: Digest,
    /// The hash of the uncompressed bytes.
    pub diff_id: DiffId,
}

/// Writes entries as a layer with gzip, in memory. The bytes depend on the entries and the
/// epoch alone.
///
/// # Errors
/// As [`archive`].
pub fn gzipped(entries: &[Entry], epoch: Epoch, threads: NonZeroUsize) -> io::Result<Written> {
    let mut tar = HashingWriter::new(gzip::Encoder::new(Vec::new(), threads));
    archive(entries, epoch, &mut tar)?;
    let (encoder, diff_id, _) = tar.finish();
    let bytes = encoder.finish()?;
    Ok(Written { digest: Digest::of(&bytes), diff_id: DiffId::from(diff_id), bytes })
}
