//! Writes the added layer: tar, both digests, and compression, in one pass.

use crate::archive::verified::HashingWriter;
use crate::archive::{gzip, zstd};
use crate::image::Entry;
use crate::image::write::archive;
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
