//! Writes the added layer: tar, both digests, and compression, in one pass.

use crate::archive::verified::HashingWriter;
use crate::archive::{gzip, tar_write, zstd};
use crate::binary::ReadAt as _;
use crate::image::{Entry, Kind};
use crate::oci::descriptor::MediaType;
use crate::oci::layout::LayoutWriter;
use crate::oci::{Descriptor, DiffId, Digest};
use crate::recipe::Compression;
use crate::time::Epoch;
use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;

/// How much of a file is read at a time.
const CHUNK: usize = 256 << 10;

/// Writes entries as a layer into a layout.
///
/// # Errors
/// When the blob cannot be written, or an entry cannot be expressed in tar.
pub(super) fn write(
    entries: &[Entry],
    layout: &LayoutWriter,
    compression: Compression,
    epoch: Epoch,
    threads: NonZeroUsize,
) -> io::Result<(Descriptor, DiffId)> {
    let mut file = layout.start_blob()?;
    let stored = HashingWriter::new(BufWriter::with_capacity(CHUNK, file.as_file_mut()));
    let (stored, diff_id, media_type) = match compression {
        Compression::Gzip => {
            let mut tar = HashingWriter::new(gzip::Encoder::new(stored, threads));
            archive(entries, epoch, &mut tar)?;
            let (encoder, diff_id, _) = tar.finish();
            (encoder.finish()?, diff_id, MediaType::LAYER_GZIP)
        }
        Compression::Zstd => {
            let mut tar = HashingWriter::new(zstd::Encoder::new(stored)?);
            archive(entries, epoch, &mut tar)?;
            let (encoder, diff_id, _) = tar.finish();
            (encoder.finish()?, diff_id, MediaType::LAYER_ZSTD)
        }
    };
    let (mut buffer, digest, size) = stored.finish();
    buffer.flush()?;
    drop(buffer);
    let digest = Digest::from(digest);
    layout.finish_blob(file, &digest)?;
    Ok((Descriptor::new(media_type, digest, size), DiffId::from(diff_id)))
}

/// Writes entries as a tar archive: every time is the epoch, every owner a number.
pub(super) fn archive(entries: &[Entry], epoch: Epoch, out: &mut dyn Write) -> io::Result<()> {
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
