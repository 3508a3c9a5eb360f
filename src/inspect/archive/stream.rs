//! Compressed files and members: gzip, zstd, xz, bzip2, and the deflate of zip files.

use super::{Inside, RATIO, RATIO_GRACE, Trouble, WINDOW_LOG, bomb, corrupt};
use crate::archive::reader::LayerReader;
use crate::archive::{Compression, Limits};
use crate::binary::ReadAt;
use crate::binary::format::Archive;
use crate::finding::rules;
use crate::store::Cursor;
use std::io::{BufReader, Read};

/// What a decoder of xz may use, in KiB: a dictionary of 8 MiB, as `xz -6` has it, and what
/// lies around it.
const XZ_MEMORY: u32 = 9 << 10;

/// How bytes are compressed.
#[derive(Clone, Copy)]
pub(super) enum Packing {
    Stored,
    Deflate,
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

/// Says whether an archive is one compressed file.
pub(super) fn is_one(kind: Archive) -> bool {
    matches!(kind, Archive::Gzip | Archive::Zstd | Archive::Xz | Archive::Bzip2)
}

impl Inside<'_, '_, '_> {
    /// Looks at what a compressed file holds.
    pub(super) fn stream(&mut self, packing: Packing) -> Result<(), Trouble> {
        let content = self.content;
        self.unpack(None, 0, content, packing)?;
        Ok(())
    }

    /// Decompresses all of `packed`, looks at it like at a file, and returns its size.
    pub(super) fn unpack(
        &mut self,
        name: Option<&[u8]>,
        mode: u32,
        packed: &dyn ReadAt,
        packing: Packing,
    ) -> Result<u64, Trouble> {
        let mut source = Cursor::new(packed);
        let most = packed.len().saturating_mul(RATIO).max(RATIO_GRACE);
        let read = match packing {
            Packing::Stored => return self.member(name, mode, &mut source),
            Packing::Gzip => return self.blob(name, mode, source, Compression::Gzip),
            Packing::Zstd => return self.blob(name, mode, source, Compression::Zstd),
            Packing::Deflate => {
                let mut decoder = flate2::read::DeflateDecoder::new(source);
                let read =
                    self.member(name, mode, &mut decoder.by_ref().take(most.saturating_add(1)));
                if read.as_ref().is_ok_and(|read| *read <= most)
                    && decoder.total_in() != packed.len()
                {
                    let why = "bytes follow the compressed data of a member";
                    return Err(Trouble::Broken(&rules::ZIP_HIDDEN_MEMBER, why.to_owned()));
                }
                read
            }
            Packing::Xz => {
                let source = BufReader::new(source);
                let decoder = lzma_rust2::XzReader::new_mem_limit(source, true, XZ_MEMORY);
                self.member(name, mode, &mut decoder.take(most.saturating_add(1)))
            }
            Packing::Bzip2 => {
                let source = BufReader::new(source);
                let decoder = bzip2::bufread::MultiBzDecoder::new(source);
                self.member(name, mode, &mut decoder.take(most.saturating_add(1)))
            }
        };
        let read = read.map_err(corrupt)?;
        if read > most { Err(bomb("it")) } else { Ok(read) }
    }

    fn blob(
        &mut self,
        name: Option<&[u8]>,
        mode: u32,
        source: impl Read,
        compression: Compression,
    ) -> Result<u64, Trouble> {
        let limits = Limits {
            max_uncompressed: self.look.gathered.budget.bytes,
            max_ratio: RATIO as u32,
            ratio_grace: RATIO_GRACE,
            max_window_log: WINDOW_LOG,
            ..Limits::default()
        };
        let mut reader = LayerReader::new(source, compression, &limits)?;
        let read = self.member(name, mode, &mut reader)?;
        reader.finish()?;
        Ok(read)
    }
}
