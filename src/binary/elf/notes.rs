//! Notes: build id and package metadata.
//!
//! Takes: `PT_NOTE` segments and, as a hint, note sections. Gives: at most 4,096 notes of at most 1 MiB together.
//! Must not: trust a size.

use super::{Layout, View};
use crate::binary::ReadAt;
use goblin::elf::{note::NT_GNU_BUILD_ID, program_header::PT_NOTE, section_header::SHT_NOTE};
use std::io;
use std::ops::{ControlFlow, Range};

/// Most bytes of notes read from one file.
const BYTES_MAX: usize = 1024 * 1024;
/// Most notes of one file.
const NOTES_MAX: usize = 4096;
/// Most ranges with notes.
const RANGES_MAX: usize = 1024;
/// `NT_FDO_PACKAGING_METADATA` of the UAPI specification "Package Metadata for Executable Files".
const NT_PACKAGE: u32 = 0xcafe_1a7e;

/// One note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The owner without its NUL, such as `GNU`, `Go` or `FDO`.
    pub owner: Vec<u8>,
    /// `n_type`, whose meaning the owner defines.
    pub kind: u32,
    /// The content.
    pub description: Vec<u8>,
}

/// The notes of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// The notes, those of segments first.
    pub notes: Vec<Note>,
    /// Whether everything was read: false when a limit was met or a note does not fit its range.
    pub complete: bool,
}

impl Notes {
    /// Returns the first GNU build id (`NT_GNU_BUILD_ID`), usually 20 bytes, at most 64.
    #[must_use]
    pub fn build_id(&self) -> Option<&[u8]> {
        let found = self.of(b"GNU", NT_GNU_BUILD_ID)?;
        (1..=64).contains(&found.len()).then_some(found)
    }

    /// Returns the object of the first `.note.package` note (owner `FDO`, type 0xcafe1a7e), `None` without one or
    /// when it is not a JSON object.
    ///
    /// Source: UAPI specification "Package Metadata for Executable Files".
    #[must_use]
    pub fn package(&self) -> Option<serde_json::Map<String, serde_json::Value>> {
        let text = self.of(b"FDO", NT_PACKAGE)?;
        // The text ends with one or more NUL, depending on the linker.
        let end = text.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        serde_json::from_slice(&text[..end]).ok()
    }

    fn of(&self, owner: &[u8], kind: u32) -> Option<&[u8]> {
        let found = self.notes.iter().find(|note| note.owner == owner && note.kind == kind)?;
        Some(&found.description)
    }
}

impl View {
    /// Returns the notes of `PT_NOTE` segments, then those of note sections outside of them.
    ///
    /// At most 4,096 notes and 1 MiB; [`Notes::complete`] tells whether that was all.
    ///
    /// # Errors
    /// Failures of the medium.
    pub fn notes(&self, source: &dyn ReadAt) -> io::Result<Notes> {
        let mut ranges: Vec<(Range<u64>, u64)> = self
            .segments
            .iter()
            .filter(|s| s.kind == PT_NOTE)
            .map(|s| (s.file_range(), s.align))
            .collect();
        let mut complete = true;
        self.visit_sections(source, &mut |section| {
            let Some(range) = section.range.clone().filter(|_| section.kind == SHT_NOTE) else {
                return ControlFlow::Continue(());
            };
            let known = |(known, _): &(Range<u64>, u64)| {
                known.start <= range.start && range.end <= known.end
            };
            if ranges.iter().any(known) {
                return ControlFlow::Continue(());
            }
            if ranges.len() == RANGES_MAX {
                complete = false;
                return ControlFlow::Break(());
            }
            ranges.push((range, section.align));
            ControlFlow::Continue(())
        })?;

        let mut notes = Notes { notes: Vec::new(), complete };
        let mut room = BYTES_MAX;
        for (range, align) in ranges {
            let size = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
            let bytes = source.read_vec(range.start, size.min(room))?;
            room -= bytes.len();
            let whole =
                parse(self.layout(), &bytes, if align == 8 { 8 } else { 4 }, &mut notes.notes);
            notes.complete &= whole && bytes.len() == size;
        }
        Ok(notes)
    }
}

/// Appends the notes in `bytes` and returns whether they fill it.
fn parse(layout: Layout, bytes: &[u8], align: usize, notes: &mut Vec<Note>) -> bool {
    let mut rest = bytes;
    // Padding of zeros behind the last note is shorter than a header.
    while rest.len() >= 12 {
        if notes.len() == NOTES_MAX {
            return false;
        }
        let Some((note, size)) = next(layout, rest, align) else {
            return false;
        };
        notes.push(note);
        rest = rest.get(size..).unwrap_or_default();
    }
    true
}

/// Returns the first note and its size with padding, which is at least the 12 bytes of its header.
fn next(layout: Layout, bytes: &[u8], align: usize) -> Option<(Note, usize)> {
    let owner_size = usize::try_from(layout.u32(bytes, 0)?).ok()?;
    let size = usize::try_from(layout.u32(bytes, 4)?).ok()?;
    let kind = layout.u32(bytes, 8)?;
    let owner_end = owner_size.checked_add(12)?;
    let owner = bytes.get(12..owner_end)?;
    let start = owner_end.checked_next_multiple_of(align)?;
    let end = start.checked_add(size)?;
    let description = bytes.get(start..end)?.to_vec();
    let owner = owner.strip_suffix(&[0]).unwrap_or(owner).to_vec();
    Some((Note { owner, kind, description }, end.checked_next_multiple_of(align)?))
}
