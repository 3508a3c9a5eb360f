//! The table that maps program counters to functions, `pclntab`.
//!
//! Takes: a source and its view. Gives: the names in it, one after the other. Must not: hold more than a chunk and
//! one name.

use super::Error;
use crate::binary::ReadAt;
use crate::binary::elf::{Layout, Segment, View};
use crate::binary::search::scan;
use std::io;
use std::ops::Range;

/// Most bytes of the name table.
const NAMES_MAX: u64 = 256 * 1024 * 1024;
/// Longest name; type arguments make some of 10 KiB.
const NAME_MAX: usize = 64 * 1024;
/// Longest name of Go 1.2 to 1.15, which has no type arguments.
const OLD_NAME_MAX: usize = 1024;
/// Most functions of Go 1.2 to 1.15, whose names are read one by one.
const OLD_FUNCTIONS_MAX: u64 = 400_000;
/// Most bytes searched for the table.
const SEARCH_MAX: u64 = 512 * 1024 * 1024;
/// Bytes of the largest header: magic, sizes and eight words.
const HEADER: usize = 8 + 8 * 8;
/// Places of the table when it has a section of its own.
const SECTIONS: [&str; 2] = [".gopclntab", ".data.rel.ro.gopclntab"];

/// The versions of the table, by the magic (`internal/abi.PCLnTabMagic`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Go12,
    Go116,
    /// Go 1.18 and 1.20, which differ in the names only.
    Go118,
}

/// The header of a table.
struct Table {
    start: u64,
    layout: Layout,
    version: Version,
    functions: u64,
    /// Where the names are, from Go 1.16 on.
    names: Range<u64>,
}

impl Table {
    /// Parses the header at `start` of a file of `len` bytes, `None` when it is none.
    fn parse(bytes: &[u8], start: u64, len: u64, view: &View) -> Option<Self> {
        let [m0, m1, m2, m3, 0, 0, 1 | 2 | 4, word] = *bytes.first_chunk::<8>()? else {
            return None;
        };
        let layout = view.layout();
        if usize::from(word) != layout.word_size() {
            return None;
        }
        let version = match layout.u32(&[m0, m1, m2, m3], 0)? {
            0xffff_fffb => Version::Go12,
            0xffff_fffa => Version::Go116,
            0xffff_fff0 | 0xffff_fff1 => Version::Go118,
            _ => return None,
        };
        let field = |index: usize| layout.word(bytes, 8 + index * layout.word_size());
        let functions = field(0)?;
        let room = len.checked_sub(start)?;
        let names = match version {
            Version::Go12 => 0..0,
            Version::Go116 => field(2)?..field(3)?,
            Version::Go118 => field(3)?..field(4)?,
        };
        let plausible = match version {
            Version::Go12 => functions <= room / (2 * layout.word_size() as u64),
            _ => {
                names.start >= 32
                    && names.start < names.end
                    && names.end <= room
                    && functions <= room
            }
        };
        (functions > 0 && plausible).then_some(Self { start, layout, version, functions, names })
    }
}

/// Calls `visit` with the name of every function in the table, inlined ones included from Go 1.16 on, and returns
/// whether the whole table was read; `false` also when there is no table.
///
/// The table is found by section name, else by its magic in the loaded segments. It survives `-s -w`. A name may be
/// visited more than once; see [`package_of`](super::package_of) for its parts. Limits: 256 MiB of names, 64 KiB a
/// name, 400,000 functions for Go before 1.16. Source: Go `debug/gosym/pclntab.go`.
///
/// # Errors
/// [`Error::Io`] when the medium fails.
pub fn visit_functions(
    source: &dyn ReadAt,
    view: &View,
    visit: &mut dyn FnMut(&[u8]),
) -> Result<bool, Error> {
    let Some(table) = find(source, view)? else {
        return Ok(false);
    };
    let whole = if table.version == Version::Go12 {
        visit_one_by_one(source, &table, visit)?
    } else {
        visit_names(source, &table, visit)?
    };
    Ok(whole)
}

/// Returns whether there is a function table, by section name or by its magic in the loaded segments.
///
/// # Errors
/// Failures of the medium.
pub fn has_function_table(source: &dyn ReadAt, view: &View) -> io::Result<bool> {
    find(source, view).map(|found| found.is_some())
}

fn find(source: &dyn ReadAt, view: &View) -> io::Result<Option<Table>> {
    let at = |start| -> io::Result<Option<Table>> {
        Ok(Table::parse(&source.read_vec(start, HEADER)?, start, source.len(), view))
    };
    for name in SECTIONS {
        if let Some(range) = view.section(source, name)?
            && let Some(table) = at(range.start)?
        {
            return Ok(Some(table));
        }
    }
    // Read-only data first, then what is relocated at start (PIE), then code: old linkers put constants there.
    let order = |segment: &&Segment| (segment.is_executable(), segment.is_writable());
    let mut segments: Vec<&Segment> = view.loads().collect();
    segments.sort_by_key(order);
    let mut room = SEARCH_MAX;
    for segment in segments {
        // The table is aligned by address, at 16 or 32.
        let range = segment.file_range();
        let start = range.start.saturating_add(segment.address.wrapping_neg() % 16);
        let size = range.end.saturating_sub(start).min(room);
        room -= size;
        let found =
            scan(source, start..start.saturating_add(size), 128, &mut |position, chunk| {
                chunk.chunks(16).enumerate().find_map(|(index, line)| {
                    // Cheaper than a full parse: the two zeros behind the magic.
                    if !matches!(line, [0xf0 | 0xf1 | 0xfa | 0xfb | 0xff, 0xff, 0xff, _, 0, 0, ..])
                    {
                        return None;
                    }
                    Table::parse(
                        chunk.get(index * 16..)?,
                        position + index as u64 * 16,
                        source.len(),
                        view,
                    )
                })
            })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Visits the table of NUL-separated names of Go 1.16 and later.
fn visit_names(
    source: &dyn ReadAt,
    table: &Table,
    visit: &mut dyn FnMut(&[u8]),
) -> io::Result<bool> {
    let start = table.start.saturating_add(table.names.start);
    let size = table.names.end - table.names.start;
    let range = start..start.saturating_add(size.min(NAMES_MAX));
    let mut whole = size <= NAMES_MAX;
    let mut pending: Vec<u8> = Vec::new();
    let mut dropping = false;
    scan(source, range, 0, &mut |_, chunk| -> Option<()> {
        for part in chunk.split_inclusive(|byte| *byte == 0) {
            let (text, ended) = part.strip_suffix(&[0]).map_or((part, false), |text| (text, true));
            if pending.len() + text.len() > NAME_MAX {
                dropping = true;
                whole = false;
                pending.clear();
            }
            if !ended {
                if !dropping {
                    pending.extend_from_slice(text);
                }
                continue;
            }
            if !dropping && pending.is_empty() && !text.is_empty() {
                visit(text);
            } else if !dropping && !pending.is_empty() {
                pending.extend_from_slice(text);
                visit(&pending);
            }
            pending.clear();
            dropping = false;
        }
        None
    })?;
    Ok(whole && pending.is_empty() && !dropping)
}

/// Visits the names of Go 1.2 to 1.15: each function record points to its own.
fn visit_one_by_one(
    source: &dyn ReadAt,
    table: &Table,
    visit: &mut dyn FnMut(&[u8]),
) -> io::Result<bool> {
    let word = table.layout.word_size();
    let count = table.functions.min(OLD_FUNCTIONS_MAX);
    let mut whole = count == table.functions;
    let entry = 2 * word as u64;
    let first = table.start.saturating_add(8 + word as u64);
    let mut entries = Block { source, start: 0, bytes: Vec::new() };
    let mut records = Block { source, start: 0, bytes: Vec::new() };
    for index in 0..count {
        let pair = entries.read(first.saturating_add(index * entry), 2 * word)?;
        let Some(record) = table.layout.word(pair, word) else {
            return Ok(false);
        };
        let record =
            records.read(table.start.saturating_add(record).saturating_add(word as u64), 4)?;
        let Some(name) = table.layout.u32(record, 0) else {
            whole = false;
            continue;
        };
        let bytes = records.read(table.start.saturating_add(name.into()), OLD_NAME_MAX)?;
        match bytes.iter().position(|byte| *byte == 0) {
            Some(0) => {}
            Some(end) => visit(&bytes[..end]),
            None => whole = false,
        }
    }
    Ok(whole)
}

/// The last block read, since records and their names lie side by side.
struct Block<'a> {
    source: &'a dyn ReadAt,
    start: u64,
    bytes: Vec<u8>,
}

impl Block<'_> {
    /// Bytes read at once.
    const SIZE: usize = 4 * 1024;

    /// Returns `size` bytes at `at`, fewer at the end.
    fn read(&mut self, at: u64, size: usize) -> io::Result<&[u8]> {
        let held = |start: u64, bytes: &[u8]| {
            let inside = usize::try_from(at.checked_sub(start)?).ok()?;
            (inside.checked_add(size)? <= bytes.len()).then_some(inside)
        };
        if held(self.start, &self.bytes).is_none() {
            self.bytes = self.source.read_vec(at, Self::SIZE.max(size))?;
            self.start = at;
        }
        let inside = held(self.start, &self.bytes).unwrap_or(0);
        let end = self.bytes.len().min(inside + size);
        Ok(self.bytes.get(inside..end).unwrap_or_default())
    }
}
