//! The dynamic table as the loader reads it.
//!
//! Takes: `PT_DYNAMIC` by its address. Gives: the facts that decide what else is loaded. Must not: build a table of
//! strings or symbols.

use super::{Layout, Refusal, Segment, header};
use crate::binary::ReadAt;
use goblin::elf::dynamic as dt;
use goblin::elf::program_header as ph;

/// Most entries of a dynamic table.
const ENTRIES_MAX: usize = 4096;
/// Most `DT_NEEDED` entries.
const NEEDED_MAX: usize = 512;
/// Most bytes of a string with its NUL.
const STRING_MAX: usize = 4096;

/// What the dynamic table asks of the loader.
///
/// Strings keep printable ASCII; every other byte and the backslash are written `\xNN`, so that they can be reported
/// as they are and two different names never become equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dynamic {
    /// `DT_NEEDED` in their order, at most 512.
    pub needed: Vec<String>,
    /// `DT_SONAME`.
    pub soname: Option<String>,
    /// `DT_RPATH`.
    pub rpath: Option<String>,
    /// `DT_RUNPATH`.
    pub runpath: Option<String>,
    /// `DT_AUDIT` and `DT_DEPAUDIT`: libraries that run before the program.
    pub audit: Vec<String>,
    /// `DT_FILTER` and `DT_AUXILIARY`.
    pub filters: Vec<String>,
    /// The flags.
    pub flags: Flags,
    /// Whether there is a `DT_JMPREL`, that is, calls that could be bound lazily.
    pub lazy_calls: bool,
}

/// The flags of the dynamic table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `DT_BIND_NOW`, `DF_BIND_NOW` or `DF_1_NOW`.
    pub bind_now: bool,
    /// `DF_1_PIE`.
    pub pie: bool,
    /// `DT_TEXTREL` or `DF_TEXTREL`: code is written to when loading.
    pub textrel: bool,
    /// `DT_AUDIT` is present.
    pub audit: bool,
    /// `DT_DEPAUDIT` is present.
    pub depaudit: bool,
}

/// Reads the dynamic table; `None` without `PT_DYNAMIC`.
pub(super) fn read(
    source: &dyn ReadAt,
    layout: Layout,
    segments: &[Segment],
) -> Result<Option<Dynamic>, Refusal> {
    let Some(segment) = segments.iter().find(|segment| segment.kind == ph::PT_DYNAMIC) else {
        return Ok(None);
    };
    let entries = entries(source, layout, segments, segment)?;
    // Of a tag that stands twice the loader keeps the last value.
    let last = |tag| entries.iter().rev().find(|(found, _)| *found == tag).map(|(_, value)| *value);
    let table = last(dt::DT_STRTAB);
    let string = |tag: u64, value: u64| {
        table
            .and_then(|base| base.checked_add(value))
            .map_or(Ok(None), |address| string_at(source, segments, address))?
            .ok_or(Refusal::DynamicString { tag })
    };
    let single = |tag| last(tag).map(|value| string(tag, value)).transpose();
    let every = |wanted: &[u64]| -> Result<Vec<String>, Refusal> {
        let found = entries.iter().filter(|(tag, _)| wanted.contains(tag));
        found.take(NEEDED_MAX).map(|(tag, value)| string(*tag, *value)).collect()
    };
    if entries.iter().filter(|(tag, _)| *tag == dt::DT_NEEDED).count() > NEEDED_MAX {
        return Err(Refusal::TooManyNeeded(NEEDED_MAX));
    }
    let flags = last(dt::DT_FLAGS).unwrap_or(0);
    let flags_1 = last(dt::DT_FLAGS_1).unwrap_or(0);
    let present = |tag| last(tag).is_some();
    Ok(Some(Dynamic {
        needed: every(&[dt::DT_NEEDED])?,
        soname: single(dt::DT_SONAME)?,
        rpath: single(dt::DT_RPATH)?,
        runpath: single(dt::DT_RUNPATH)?,
        audit: every(&[dt::DT_AUDIT, dt::DT_DEPAUDIT])?,
        filters: every(&[DT_FILTER, DT_AUXILIARY])?,
        flags: Flags {
            bind_now: present(dt::DT_BIND_NOW)
                || flags & dt::DF_BIND_NOW != 0
                || flags_1 & dt::DF_1_NOW != 0,
            pie: flags_1 & dt::DF_1_PIE != 0,
            textrel: present(dt::DT_TEXTREL) || flags & dt::DF_TEXTREL != 0,
            audit: present(dt::DT_AUDIT),
            depaudit: present(dt::DT_DEPAUDIT),
        },
        lazy_calls: present(dt::DT_JMPREL),
    }))
}

/// `DT_FILTER` of glibc `elf.h`, missing in goblin.
const DT_FILTER: u64 = 0x7fff_ffff;
/// `DT_AUXILIARY` of glibc `elf.h`, missing in goblin.
const DT_AUXILIARY: u64 = 0x7fff_fffd;

/// Returns the entries before `DT_NULL`, read where the loader reads them: at the address.
fn entries(
    source: &dyn ReadAt,
    layout: Layout,
    segments: &[Segment],
    segment: &Segment,
) -> Result<Vec<(u64, u64)>, Refusal> {
    let elsewhere = Refusal::DynamicElsewhere { offset: segment.offset, address: segment.address };
    match header::file_rest(segments, segment.address) {
        // Memory that is not from the file is zero: an empty table, as in files that hold debug data only.
        None if segment.file_size == 0 => return Ok(Vec::new()),
        Some(rest)
            if rest.start == segment.offset
                && segment.file_size != 0
                && segment.file_range().end <= rest.end => {}
        _ => return Err(elsewhere),
    }
    let word = layout.word_size();
    // The loader looks at no size, other readers see no table at all.
    if !segment.file_size.is_multiple_of(2 * word as u64) {
        return Err(Refusal::DynamicSize { size: segment.file_size });
    }
    let limit = ENTRIES_MAX * 2 * word;
    let size = usize::try_from(segment.file_size).unwrap_or(usize::MAX).min(limit);
    let bytes = source.read_vec(segment.offset, size)?;
    let mut entries = Vec::new();
    for raw in bytes.chunks_exact(2 * word) {
        match (layout.word(raw, 0), layout.word(raw, word)) {
            (Some(dt::DT_NULL), _) | (None, _) | (_, None) => return Ok(entries),
            (Some(tag), Some(value)) => entries.push((tag, value)),
        }
    }
    Err(if segment.file_size > limit as u64 {
        Refusal::DynamicTooLong(ENTRIES_MAX)
    } else {
        Refusal::DynamicUnterminated { size: segment.file_size }
    })
}

/// Returns the escaped string loaded at `address`, `None` if it is not from the file or does not end in time.
fn string_at(
    source: &dyn ReadAt,
    segments: &[Segment],
    address: u64,
) -> std::io::Result<Option<String>> {
    let Some(rest) = header::file_rest(segments, address) else {
        return Ok(None);
    };
    let room = usize::try_from(rest.end - rest.start).unwrap_or(usize::MAX).min(STRING_MAX);
    // Nearly all names are short; 512 names of 4 KiB each would be 2 MiB of reads otherwise.
    for size in [room.min(256), room] {
        let bytes = source.read_vec(rest.start, size)?;
        if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
            return Ok(Some(escape(&bytes[..end])));
        }
    }
    Ok(None)
}

/// Returns `bytes` with everything but printable ASCII, and the backslash, as `\xNN`.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b' '..=b'[' | b']'..=b'~' => text.push(char::from(*byte)),
            _ => {
                text.push_str("\\x");
                for digit in [byte >> 4, byte & 15] {
                    text.extend(char::from_digit(u32::from(digit), 16));
                }
            }
        }
    }
    text
}
