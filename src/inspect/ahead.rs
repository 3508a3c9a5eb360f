//! What was seen of files while their layers were read, so that inspecting them does not
//! read them again.

use super::pass::{Pass, Search};
use super::recognise;
use super::secret::Secret;
use crate::image::read::Observer;
use crate::oci::Digest;
use std::collections::HashMap;

/// The smallest file that is worth remembering: smaller ones are read again in no time, and
/// an image can have half a million of them.
const SMALLEST: u64 = 16 << 10;
/// How many bytes may be kept about all files; what does not fit is read again.
const ROOM: usize = 2 << 20;
/// What a file costs, apart from what was found in it: its entry in the map.
const COST: usize = 128;
/// How much is searched at a time: what the reader of layers gives.
const PIECE: usize = 64 << 10;

/// Searches files while they are read, and keeps what it has found by their hashes.
#[derive(Debug, Default)]
pub struct Ahead {
    search: Option<Search>,
    /// Whether the file that is read now is searched.
    watches: bool,
    seen: HashMap<Digest, Seen>,
    used: usize,
}

/// A [`Pass`] in little memory.
#[derive(Debug)]
struct Seen {
    found: Box<[u32]>,
    executables: Box<[u64]>,
    encoded: Box<[u64]>,
    secrets: Box<[Secret]>,
    is_text: bool,
}

impl Observer for Ahead {
    fn begin(&mut self, size: u64) {
        self.watches = size >= SMALLEST && self.used < ROOM;
        // A file before this one may have broken off.
        if let Some(search) = self.search.as_mut().filter(|_| self.watches) {
            let _ = search.finish();
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if self.watches {
            let (needles, marks) = recognise::needles();
            let search = self.search.get_or_insert_with(|| Search::new(needles, marks, PIECE));
            search.bytes(bytes, needles);
        }
    }

    fn end(&mut self, sha256: Digest) {
        let Some(search) = self.search.as_mut().filter(|_| self.watches) else { return };
        let pass = search.finish();
        let numbers = pass.found.iter().zip(0_u32..).filter(|(found, _)| **found);
        let seen = Seen {
            found: numbers.map(|(_, number)| number).collect(),
            executables: pass.executables.into(),
            encoded: pass.encoded.into(),
            secrets: pass.secrets.into(),
            is_text: pass.is_text,
        };
        let places = seen.executables.len() + seen.encoded.len();
        let secrets = seen.secrets.len() * (size_of::<Secret>() + 16);
        self.used += COST + size_of_val(&*seen.found) + places * size_of::<u64>() + secrets;
        self.seen.insert(sha256, seen);
    }
}

impl Ahead {
    /// Returns what was seen of a file, by its size and, if it can be known, its hash.
    pub(super) fn pass(&self, size: u64, sha256: impl FnOnce() -> Digest) -> Option<Pass> {
        if size < SMALLEST || self.seen.is_empty() {
            return None;
        }
        let seen = self.seen.get(&sha256())?;
        let mut found = vec![false; recognise::needles().1];
        for number in &seen.found {
            // The numbers are those of this very table.
            if let Some(found) = found.get_mut(*number as usize) {
                *found = true;
            }
        }
        Some(Pass {
            found,
            executables: seen.executables.to_vec(),
            encoded: seen.encoded.to_vec(),
            secrets: seen.secrets.to_vec(),
            is_text: seen.is_text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_ahead_is_what_a_pass_sees() {
        let (needles, marks) = recognise::needles();
        let mut program = b"\x7fELF".to_vec();
        program.resize(100_000, 0);
        for (at, text) in [(65_530, "syscall.forkExec"), (90_000, "\x7fELF"), (70, "f0VMR")] {
            program[at..at + text.len()].copy_from_slice(text.as_bytes());
        }
        let text = "f0VMR and \x7fELF ".repeat(3000);
        let small = &program[..100];
        let mut ahead = Ahead::default();
        // A layer that breaks off leaves nothing behind.
        ahead.begin(1 << 20);
        ahead.bytes(b"syscall.forkExec");
        for file in [&program[..], text.as_bytes(), small] {
            ahead.begin(file.len() as u64);
            // In pieces of odd lengths, some longer than the window.
            let mut rest = file;
            for length in (1..).step_by(9973) {
                let (piece, next) = rest.split_at(rest.len().min(length));
                ahead.bytes(piece);
                rest = next;
                if rest.is_empty() {
                    break;
                }
            }
            ahead.end(Digest::of(file));
        }
        for file in [&program[..], text.as_bytes()] {
            let expected = Pass::over(&file, needles, marks).unwrap();
            let pass = ahead.pass(file.len() as u64, || Digest::of(file)).unwrap();
            assert_eq!(pass, expected);
        }
        assert!(ahead.pass(program.len() as u64, || Digest::of(b"another")).is_none());
        assert_eq!(ahead.seen.len(), 2);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut ahead = Ahead::default();
        let mut file = vec![0; SMALLEST as usize];
        for number in 0_u32..40_000 {
            file[..4].copy_from_slice(&number.to_le_bytes());
            ahead.begin(SMALLEST);
            if ahead.watches {
                ahead.end(Digest::of(&file[..4]));
                // The rest is no matter of this test.
                ahead.search.get_or_insert_with(|| {
                    let (needles, marks) = recognise::needles();
                    Search::new(needles, marks, 1)
                });
            }
        }
        assert!(
            ahead.seen.len() > 10_000 && ahead.seen.len() <= ROOM / COST,
            "{}",
            ahead.seen.len()
        );
    }
}
