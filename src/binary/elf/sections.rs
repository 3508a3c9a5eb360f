//! Section headers as what they are: hints that neither kernel nor loader reads.
//!
//! Takes: the section header table of a file. Gives: ranges by name. Must not: believe a range that leaves the file,
//! hold the table, or hold more than 64 KiB of the name table.

use super::{Refusal, View, header::Header};
use crate::binary::ReadAt;
use goblin::elf::section_header as sh;
use std::io;
use std::ops::{ControlFlow, Range};

/// Most section headers read.
const SECTIONS_MAX: u64 = 65_535;
/// Most bytes of a section name.
const NAME_MAX: usize = 256;
/// Largest name table held in memory; names of a larger one are read one by one.
const NAMES_HELD_MAX: u64 = 64 * 1024;
/// Headers read at once.
const CHUNK: u64 = 64;

/// Whether the section header table can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionTable {
    /// `e_shoff` is 0 and no section is claimed.
    Absent,
    /// The table and its name table lie within the file.
    Readable,
    /// What the header says of it is wrong. The kernel runs the file all the same.
    Unreadable,
}

/// What the file header claims about sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sections {
    /// The number of headers claimed, by `e_shnum` or by the first header.
    pub claimed: u64,
    /// Whether they can be read.
    pub table: SectionTable,
    offset: u64,
    names: (u64, u64),
}

/// One section header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The name, at most 256 bytes; empty when it cannot be read or is longer.
    pub name: Vec<u8>,
    /// `sh_type`.
    pub kind: u32,
    /// `sh_flags`.
    pub flags: u64,
    /// `sh_addr`.
    pub address: u64,
    /// `sh_addralign`.
    pub align: u64,
    /// The bytes in the file; `None` when there are none (`SHT_NOBITS`) or they would leave the file.
    pub range: Option<Range<u64>>,
}

/// A section header before its name is known.
struct Raw {
    name: u32,
    kind: u32,
    flags: u64,
    address: u64,
    offset: u64,
    size: u64,
    link: u32,
    align: u64,
}

impl Raw {
    fn parse(layout: super::Layout, bytes: &[u8]) -> Option<Self> {
        let word = layout.word_size();
        let behind = 8 + 4 * word;
        Some(Self {
            name: layout.u32(bytes, 0)?,
            kind: layout.u32(bytes, 4)?,
            flags: layout.word(bytes, 8)?,
            address: layout.word(bytes, 8 + word)?,
            offset: layout.word(bytes, 8 + 2 * word)?,
            size: layout.word(bytes, 8 + 3 * word)?,
            link: layout.u32(bytes, behind)?,
            align: layout.word(bytes, behind + 8)?,
        })
    }

    fn range(&self, len: u64) -> Option<Range<u64>> {
        let end = self.offset.checked_add(self.size)?;
        (self.kind != sh::SHT_NOBITS && self.kind != sh::SHT_NULL && end <= len)
            .then_some(self.offset..end)
    }
}

impl Sections {
    /// Returns where a readable table ends in the file, 0 for any other.
    #[must_use]
    pub fn end(&self, bits: u8) -> u64 {
        if self.table != SectionTable::Readable {
            return 0;
        }
        let size = if bits == 64 { 64 } else { 40 };
        self.offset.saturating_add(self.claimed.saturating_mul(size))
    }

    /// Reads what the header claims; wrong claims are no refusal, since the kernel does not read them.
    pub(super) fn read(source: &dyn ReadAt, header: &Header) -> Result<Self, Refusal> {
        let mut sections = Self {
            claimed: u64::from(header.section_count),
            table: SectionTable::Unreadable,
            offset: header.section_table,
            names: (0, 0),
        };
        if header.section_table == 0 {
            if header.section_count == 0 {
                sections.table = SectionTable::Absent;
            }
            return Ok(sections);
        }
        let size = entry_size(header.layout);
        if u64::from(header.section_size) != size {
            return Ok(sections);
        }
        let entry = |index: u64| -> io::Result<Option<Raw>> {
            let at =
                index.checked_mul(size).and_then(|inside| inside.checked_add(header.section_table));
            let bytes = source
                .read_vec(at.unwrap_or(u64::MAX), usize::try_from(size).unwrap_or_default())?;
            Ok(Raw::parse(header.layout, &bytes))
        };
        let Some(first) = entry(0)? else {
            return Ok(sections);
        };
        // Numbers that do not fit into the file header stand in the first section header (gABI, "Section Header").
        if header.section_count == 0 {
            sections.claimed = first.size;
        }
        let names_index = match u32::from(header.section_names) {
            sh::SHN_XINDEX => u64::from(first.link),
            index => u64::from(index),
        };
        let table_end = sections
            .claimed
            .checked_mul(size)
            .and_then(|size| size.checked_add(header.section_table));
        let fits =
            table_end.is_some_and(|end| end <= source.len()) && sections.claimed <= SECTIONS_MAX;
        if !fits || names_index >= sections.claimed {
            return Ok(sections);
        }
        if let Some(range) = entry(names_index)?.and_then(|raw| raw.range(source.len())) {
            sections.names = (range.start, range.end);
            sections.table = SectionTable::Readable;
        }
        Ok(sections)
    }
}

fn entry_size(layout: super::Layout) -> u64 {
    if layout.wide { 64 } else { 40 }
}

impl View {
    /// Calls `visit` with every section header but the first until it breaks off, and returns whether the table is
    /// readable. Reads at most 65,535 headers.
    ///
    /// # Errors
    /// Failures of the medium.
    pub fn visit_sections(
        &self,
        source: &dyn ReadAt,
        visit: &mut dyn FnMut(&Section) -> ControlFlow<()>,
    ) -> io::Result<bool> {
        if self.sections.table != SectionTable::Readable {
            return Ok(false);
        }
        let names = self.names(source)?;
        let size = entry_size(self.layout());
        let step = usize::try_from(size).unwrap_or(64);
        for chunk in (1..self.sections.claimed.min(SECTIONS_MAX)).step_by(CHUNK as usize) {
            let count = CHUNK.min(self.sections.claimed - chunk);
            let length = usize::try_from(count * size).unwrap_or_default();
            let bytes =
                source.read_vec(self.sections.offset.saturating_add(chunk * size), length)?;
            for raw in bytes.chunks_exact(step).filter_map(|bytes| Raw::parse(self.layout(), bytes))
            {
                let section = Section {
                    name: self.name(source, names.as_deref(), raw.name)?,
                    kind: raw.kind,
                    flags: raw.flags,
                    address: raw.address,
                    align: raw.align,
                    range: raw.range(source.len()),
                };
                if visit(&section).is_break() {
                    return Ok(true);
                }
            }
        }
        Ok(true)
    }

    /// Returns the bytes of the file in the first section called `name`, at most 256 bytes long.
    ///
    /// Sections are hints: a missing one proves nothing. `None` also when the table is unreadable or the section has
    /// no bytes in the file.
    ///
    /// # Errors
    /// Failures of the medium.
    pub fn section(&self, source: &dyn ReadAt, name: &str) -> io::Result<Option<Range<u64>>> {
        let mut found = None;
        self.visit_sections(source, &mut |section| {
            if section.name != name.as_bytes() {
                return ControlFlow::Continue(());
            }
            found = section.range.clone();
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// Returns the name table if it is small enough to hold.
    fn names(&self, source: &dyn ReadAt) -> io::Result<Option<Vec<u8>>> {
        let (start, end) = self.sections.names;
        let size = end.saturating_sub(start);
        if size > NAMES_HELD_MAX {
            return Ok(None);
        }
        source.read_vec(start, usize::try_from(size).unwrap_or_default()).map(Some)
    }

    fn name(&self, source: &dyn ReadAt, names: Option<&[u8]>, index: u32) -> io::Result<Vec<u8>> {
        let (start, end) = self.sections.names;
        let at = start.saturating_add(u64::from(index));
        let read;
        let bytes = if let Some(names) = names {
            usize::try_from(index).ok().and_then(|index| names.get(index..)).unwrap_or_default()
        } else {
            let room = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
            read = source.read_vec(at, room.min(NAME_MAX + 1))?;
            &read
        };
        let length = bytes.iter().take(NAME_MAX + 1).position(|byte| *byte == 0).unwrap_or(0);
        Ok(bytes[..length].to_vec())
    }
}
