//! The one pass over the bytes of a file: which strings are in them, where executables begin,
//! and whether they are a text.

use super::needles::Needles;
use super::secret::{self, SHARED as NEAR, Secret};
use crate::binary::ReadAt;
use std::io;
use std::ops::Range;

/// From how many bytes on a file is read by two threads.
const SHARED: u64 = 1 << 20;
/// How much of a file is searched at a time.
pub(super) const CHUNK: usize = 256 << 10;
/// The most places of one file that are kept for a closer look.
pub(super) const PLACES: usize = 64;
/// What every ELF file begins with, and what its base64 begins with.
pub(super) const ELF: &[u8] = b"\x7fELF";
pub(super) const ENCODED_ELF: &[u8] = b"f0VMR";

/// What one pass over bytes has seen.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pass {
    /// The strings, by their numbers.
    pub(super) found: Vec<bool>,
    /// Where the ELF magic stands; the first few places.
    pub(super) executables: Vec<u64>,
    /// Where base64 of the ELF magic may begin; the first few places.
    pub(super) encoded: Vec<u64>,
    /// The secrets; the first few.
    pub(super) secrets: Vec<Secret>,
    /// Whether there is no zero byte.
    pub(super) is_text: bool,
}

impl Pass {
    fn nothing(marks: usize) -> Self {
        Self {
            found: vec![false; marks],
            executables: Vec::new(),
            encoded: Vec::new(),
            secrets: Vec::new(),
            is_text: true,
        }
    }

    /// Reads a file once, a large one by two threads, each a half.
    pub(super) fn over(source: &dyn ReadAt, needles: &Needles, marks: usize) -> io::Result<Self> {
        let half = source.len() / 2;
        if source.len() < SHARED {
            return Self::part(source, needles, marks, 0..u64::MAX);
        }
        std::thread::scope(|scope| {
            let first = scope.spawn(|| Self::part(source, needles, marks, 0..half));
            // What lies across the middle is in the second half whole.
            let overlap = overlap(needles) as u64;
            let second = Self::part(source, needles, marks, half.saturating_sub(overlap)..u64::MAX);
            let first = first.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok(first?.with(second?))
        })
    }

    /// Reads a part of a file.
    fn part(
        source: &dyn ReadAt,
        needles: &Needles,
        marks: usize,
        range: Range<u64>,
    ) -> io::Result<Self> {
        let room = usize::try_from(source.len()).unwrap_or(CHUNK).clamp(1, CHUNK);
        let mut search = Search::new(needles, marks, room);
        search.offset = range.start;
        // A part that begins inside the file: what is before that is looked at by the other.
        search.asked = if range.start == 0 { 0 } else { NEAR - secret::REACH };
        while search.offset < range.end {
            let left = usize::try_from(range.end - search.offset).unwrap_or(usize::MAX);
            let (offset, free) = (search.offset, search.free());
            let end = free.len().min(left);
            let count = source.fill_at(offset, &mut free[..end])?;
            if count == 0 {
                break;
            }
            search.filled(count, needles);
        }
        if range.end >= source.len() {
            search.secrets(true);
        }
        Ok(search.pass)
    }

    /// Adds what was seen behind it.
    fn with(mut self, next: Self) -> Self {
        self.found.iter_mut().zip(next.found).for_each(|(found, next)| *found |= next);
        for (places, further) in
            [(&mut self.executables, next.executables), (&mut self.encoded, next.encoded)]
        {
            let last = places.last().copied();
            let new = further.into_iter().filter(|place| last.is_none_or(|last| last < *place));
            let room = PLACES.saturating_sub(places.len());
            places.extend(new.take(room));
        }
        self.secrets.extend(next.secrets);
        self.secrets.truncate(secret::MOST);
        self.is_text &= next.is_text;
        self
    }
}

/// Returns how many bytes neighbouring windows share.
fn overlap(needles: &Needles) -> usize {
    needles.overlap().max(NEAR)
}

/// A pass that is under way: a window over the bytes, which moves on piece by piece.
#[derive(Debug)]
pub(super) struct Search {
    pass: Pass,
    window: Vec<u8>,
    /// How much of the window was searched already, and is kept for what lies across.
    kept: usize,
    /// Where in the file the window's free part begins.
    offset: u64,
    overlap: usize,
    /// How much of the window was asked for secrets already: what is near its end waits for
    /// what follows.
    asked: usize,
}

impl Search {
    /// Starts a pass that takes at most `room` bytes at a time.
    pub(super) fn new(needles: &Needles, marks: usize, room: usize) -> Self {
        let overlap = overlap(needles);
        let window = vec![0; overlap + room];
        Self { pass: Pass::nothing(marks), window, kept: 0, offset: 0, overlap, asked: 0 }
    }

    /// Searches the next bytes of the file.
    pub(super) fn bytes(&mut self, mut bytes: &[u8], needles: &Needles) {
        while !bytes.is_empty() {
            let free = self.free();
            let count = free.len().min(bytes.len());
            free[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            self.filled(count, needles);
        }
    }

    /// Ends the pass, and makes ready for the next file.
    pub(super) fn finish(&mut self) -> Pass {
        self.secrets(true);
        (self.kept, self.offset, self.asked) = (0, 0, 0);
        let marks = self.pass.found.len();
        std::mem::replace(&mut self.pass, Pass::nothing(marks))
    }

    /// Returns where the next bytes go.
    fn free(&mut self) -> &mut [u8] {
        &mut self.window[self.kept..]
    }

    /// Searches so many bytes that were put there.
    fn filled(&mut self, count: usize, needles: &Needles) {
        let start = self.offset.saturating_sub(self.kept as u64);
        self.offset += count as u64;
        let filled = self.kept + count;
        let (bytes, pass) = (&self.window[..filled], &mut self.pass);
        needles.mark(bytes, &mut pass.found);
        places(bytes, ELF, start, &mut pass.executables);
        places(bytes, ENCODED_ELF, start, &mut pass.encoded);
        pass.is_text = pass.is_text && memchr::memchr(0, bytes).is_none();
        self.kept = filled;
        self.secrets(false);
        self.kept = filled.min(self.overlap);
        self.window.copy_within(filled - self.kept..filled, 0);
        self.asked = self.asked.saturating_sub(filled - self.kept);
    }

    /// Asks what is in the window for secrets; at the end of the file all of it.
    fn secrets(&mut self, end: bool) {
        let near = if end { 0 } else { secret::REACH };
        let to = self.kept.saturating_sub(near);
        if self.asked < to {
            let start = self.offset.saturating_sub(self.kept as u64);
            let bytes = &self.window[..self.kept];
            secret::find(bytes, self.asked..to, start, &mut self.pass.secrets);
            self.asked = to;
        }
    }
}

/// Notes where a word stands in bytes that begin at `start`. Neighbouring windows share
/// bytes, so a place that is known already is left out.
fn places(bytes: &[u8], word: &[u8], start: u64, found: &mut Vec<u64>) {
    for at in memchr::memmem::find_iter(bytes, word) {
        if found.len() >= PLACES {
            return;
        }
        let place = start.saturating_add(at as u64);
        if found.last().is_none_or(|last| *last < place) {
            found.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_halves_see_what_the_whole_holds() {
        let needles = Needles::new(vec![
            b"across-the-middle".to_vec(),
            b"at-the-end".to_vec(),
            b"nowhere".to_vec(),
        ]);
        let size = 3 << 20;
        let mut bytes = vec![b'x'; size];
        // Around the middle, and around the ends of windows: at every offset once.
        for shift in 0..20 {
            let half = size / 2;
            let at = half - shift;
            bytes[at..at + 17].copy_from_slice(b"across-the-middle");
            bytes[size - 10..].copy_from_slice(b"at-the-end");
            for place in [0, half - 5 - shift - 20, half + 30, size - 30] {
                bytes[place..place + 4].copy_from_slice(ELF);
            }
            let whole = Pass::part(&&bytes[..], &needles, 3, 0..u64::MAX).unwrap();
            let halves = Pass::over(&&bytes[..], &needles, 3).unwrap();
            assert_eq!(halves, whole, "shift {shift}");
            assert_eq!(whole.found, [true, true, false]);
            bytes.fill(b'x');
        }
        bytes[size / 2] = 0;
        assert!(!Pass::over(&&bytes[..], &needles, 3).unwrap().is_text);
        // More places than are kept: the first of all.
        for place in (0..size - 4).step_by(4096) {
            bytes[place..place + 4].copy_from_slice(ELF);
        }
        let halves = Pass::over(&&bytes[..], &needles, 3).unwrap();
        assert_eq!(halves, Pass::part(&&bytes[..], &needles, 3, 0..u64::MAX).unwrap());
        assert_eq!(halves.executables.len(), PLACES);
    }
}
