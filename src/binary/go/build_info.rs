//! Finding and decoding of the build information blob.
//!
//! Takes: a source and its view. Gives: the two strings in it, then [`BuildInfo`]. Must not: read more than the
//! limits below.

use super::{BuildInfo, Error};
use crate::binary::ReadAt;
use crate::binary::elf::{Layout, View};
use crate::binary::search::scan;
use std::io;
use std::ops::Range;

/// What the blob begins with (`cmd/link/internal/ld`, `buildinfo`).
const MAGIC: &[u8] = b"\xff Go buildinf:";
/// The blob lies at a multiple of this.
const ALIGN: u64 = 16;
/// Bytes of its header.
const HEADER: usize = 32;
/// Bit of the flags: numbers are big endian.
const BIG_ENDIAN: u8 = 1;
/// Bit of the flags: the strings follow the header (Go 1.18), instead of pointers to them.
const INLINE: u8 = 2;
/// Most bytes searched when no section tells the place.
const SEARCH_MAX: u64 = 16 * 1024 * 1024;
/// Most bytes of the version string.
const VERSION_MAX: u64 = 4096;
/// Most bytes of the module list.
const MODULES_MAX: u64 = 16 * 1024 * 1024;

impl BuildInfo {
    /// Returns the build information of a Go executable, `None` when there is none.
    ///
    /// Looks into the section `.go.buildinfo`, then through the first 16 MiB of the writable segments. Reads both
    /// the form with inline strings (Go 1.18 and later) and the one with pointers (1.12 to 1.17). Values are as the
    /// file has them and may hold control characters. Source: Go `debug/buildinfo`.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above 16 MiB or 100,000 modules, [`Error::Malformed`] when the blob is there but cannot
    /// be decoded, [`Error::Io`] when the medium fails.
    pub fn read(source: &dyn ReadAt, view: &View) -> Result<Option<Self>, Error> {
        let Some(blob) = find(source, view)? else {
            return Ok(None);
        };
        let mut header = [0; HEADER];
        if source.fill_at(blob, &mut header)? != HEADER {
            return Err(Error::Malformed("header of build information is cut off"));
        }
        let (word_size, flags) = (header[14], header[15]);
        let (version, modules) = if flags & INLINE != 0 {
            let (version, next) =
                inline(source, blob.saturating_add(HEADER as u64), "version", VERSION_MAX)?;
            (version, inline(source, next, "module list", MODULES_MAX)?.0)
        } else {
            let wide = match word_size {
                4 => false,
                8 => true,
                _ => {
                    return Err(Error::Malformed(
                        "pointer size of build information is neither 4 nor 8",
                    ));
                }
            };
            let layout = Layout { wide, little_endian: flags & BIG_ENDIAN == 0 };
            let pointer = |at| layout.word(&header, at).ok_or(Error::Malformed("no pointer"));
            let modules = pointer(16 + usize::from(word_size))?;
            (
                pointed(source, view, layout, pointer(16)?, "version", VERSION_MAX)?,
                pointed(source, view, layout, modules, "module list", MODULES_MAX)?,
            )
        };
        if version.is_empty() {
            return Err(Error::Malformed("build information has no Go version"));
        }
        Self::parse(String::from_utf8_lossy(&version).into_owned(), &modules).map(Some)
    }
}

/// Returns whether the magic of the build information is there, wherever [`BuildInfo::read`] looks for it.
///
/// # Errors
/// Failures of the medium.
pub fn has_build_info(source: &dyn ReadAt, view: &View) -> io::Result<bool> {
    find(source, view).map(|found| found.is_some())
}

/// Returns the offset of the blob.
fn find(source: &dyn ReadAt, view: &View) -> io::Result<Option<u64>> {
    if let Some(range) = view.section(source, ".go.buildinfo")?
        && let Some(found) = search(source, range, SEARCH_MAX)?.0
    {
        return Ok(Some(found));
    }
    let mut room = SEARCH_MAX;
    for segment in view.loads().filter(|segment| segment.is_writable() && !segment.is_executable())
    {
        // The alignment is one of addresses.
        let skipped = segment.address.wrapping_neg() % ALIGN;
        let range = segment.file_range();
        let (found, read) = search(source, range.start.saturating_add(skipped)..range.end, room)?;
        if found.is_some() {
            return Ok(found);
        }
        room -= read;
    }
    Ok(None)
}

/// Returns the first blob at a multiple of 16 behind the start of `range`, and how many bytes were looked at.
fn search(source: &dyn ReadAt, range: Range<u64>, room: u64) -> io::Result<(Option<u64>, u64)> {
    let size = range.end.saturating_sub(range.start).min(room);
    let cut = range.start..range.start.saturating_add(size);
    let found = scan(source, cut, ALIGN as usize, &mut |position, chunk| {
        let index = chunk.chunks(ALIGN as usize).position(|line| line.starts_with(MAGIC))?;
        Some(position + index as u64 * ALIGN)
    })?;
    Ok((found, size))
}

/// Returns the string whose length stands before it as a varint at `at`, and the offset behind it.
fn inline(
    source: &dyn ReadAt,
    at: u64,
    what: &'static str,
    limit: u64,
) -> Result<(Vec<u8>, u64), Error> {
    let (mut size, mut digits) = (0_u64, 0);
    for byte in source.read_vec(at, 10)? {
        // Seven bits a byte; nothing above the limits needs more than five bytes.
        if digits < 5 {
            size |= u64::from(byte & 0x7f) << (7 * digits);
        } else if byte & 0x7f != 0 {
            return Err(Error::TooLarge { what, limit });
        }
        digits += 1;
        if byte & 0x80 == 0 {
            let start = at.saturating_add(digits);
            return Ok((string(source, start, size, what, limit)?, start.saturating_add(size)));
        }
    }
    Err(Error::Malformed("length of a string of the build information does not end"))
}

/// Returns the string of the Go string header {pointer, length} at `address`; none at address 0.
fn pointed(
    source: &dyn ReadAt,
    view: &View,
    layout: Layout,
    address: u64,
    what: &'static str,
    limit: u64,
) -> Result<Vec<u8>, Error> {
    if address == 0 {
        return Ok(Vec::new());
    }
    let word = layout.word_size();
    let unloaded = Error::Malformed("string of the build information is not loaded from the file");
    let Some(place) = view.file_range(address, 2 * word as u64) else {
        return Err(unloaded);
    };
    let header = source.read_vec(place.start, 2 * word)?;
    let (Some(data), Some(size)) = (layout.word(&header, 0), layout.word(&header, word)) else {
        return Err(unloaded);
    };
    if size == 0 {
        return Ok(Vec::new());
    }
    if size > limit {
        return Err(Error::TooLarge { what, limit });
    }
    let Some(place) = view.file_range(data, size) else {
        return Err(unloaded);
    };
    string(source, place.start, size, what, limit)
}

fn string(
    source: &dyn ReadAt,
    at: u64,
    size: u64,
    what: &'static str,
    limit: u64,
) -> Result<Vec<u8>, Error> {
    if size > limit {
        return Err(Error::TooLarge { what, limit });
    }
    let bytes = source.read_vec(at, usize::try_from(size).unwrap_or(usize::MAX))?;
    if bytes.len() as u64 == size {
        Ok(bytes)
    } else {
        Err(Error::Malformed("string of the build information is cut off"))
    }
}
