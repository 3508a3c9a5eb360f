//! Reading of executables without running or mapping them.
//!
//! Purpose: to say what the kernel and the dynamic loader would make of a file, and which dependency list a compiler
//! left in it.
//! Takes: positioned reads of one file, [`ReadAt`]. Every byte of it is hostile.
//! Gives: [`elf::View`], [`banner::Banners`], [`go::BuildInfo`], [`rust::Dependencies`], [`script::Shebang`], [`language::Language`],
//! [`format::Format`].
//! Must not: panic, hold more than a bounded part of the file in memory, print, look at the environment, or decide
//! whether a file is allowed. That is the gate's work.

pub mod banner;
pub mod elf;
pub mod embedded;
pub mod format;
pub mod go;
pub mod language;
pub mod rust;
pub mod script;
mod search;

use std::io;
use std::ops::Range;

/// Reads bytes at a position, without a cursor.
///
/// Short reads are allowed; a read at or behind the end gives 0 bytes. The source must not change while it is read.
pub trait ReadAt: Send + Sync {
    /// Returns the length in bytes.
    fn len(&self) -> u64;

    /// Reads up to `buf.len()` bytes at `offset` and returns how many were read, 0 at the end.
    ///
    /// # Errors
    /// Whatever the medium reports.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Returns whether there is no byte at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` from `offset` as far as there are bytes and returns their number.
    ///
    /// # Errors
    /// Whatever the medium reports, interruptions apart.
    fn fill_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let room = rest.len();
            let Some(position) = offset.checked_add(filled as u64) else {
                break;
            };
            match self.read_at(position, rest) {
                Ok(0) => break,
                // A source that claims more than it was asked for must not push the count past the buffer.
                Ok(count) => filled += count.min(room),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Fills `buf` wholly from `offset`.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when the source ends before, else what the medium reports.
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        if self.fill_at(offset, buf)? == buf.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    /// Returns the bytes from `offset`, at most `len_limit` of them and fewer where the source ends before.
    ///
    /// # Errors
    /// Whatever the medium reports.
    fn read_vec(&self, offset: u64, len_limit: usize) -> io::Result<Vec<u8>> {
        let rest = self.len().saturating_sub(offset);
        let size = usize::try_from(rest).unwrap_or(usize::MAX).min(len_limit);
        let mut bytes = vec![0; size];
        let filled = self.fill_at(offset, &mut bytes)?;
        bytes.truncate(filled);
        Ok(bytes)
    }
}

impl ReadAt for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let rest =
            usize::try_from(offset).ok().and_then(|start| self.get(start..)).unwrap_or_default();
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

impl ReadAt for Vec<u8> {
    fn len(&self) -> u64 {
        ReadAt::len(self.as_slice())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.as_slice().read_at(offset, buf)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, buf)
    }
}

/// A range of another source that is itself a source, for executables inside other files.
#[derive(Clone)]
pub struct Window<'a> {
    source: &'a dyn ReadAt,
    start: u64,
    len: u64,
}

impl<'a> Window<'a> {
    /// Returns the window over `range`, cut to the end of `source`; an inverted range is empty.
    #[must_use]
    pub fn new(source: &'a dyn ReadAt, range: Range<u64>) -> Self {
        let end = range.end.min(source.len());
        Self { source, start: range.start, len: end.saturating_sub(range.start) }
    }
}

impl ReadAt for Window<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = rest.min(buf.len());
        if count == 0 {
            return Ok(0);
        }
        self.source.read_at(self.start.saturating_add(offset), &mut buf[..count])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source that gives one byte a call and is interrupted every other call.
    struct Dripping(Vec<u8>, std::sync::atomic::AtomicU32);

    impl ReadAt for Dripping {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
            if self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed).is_multiple_of(2) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let size = buf.len().min(1);
            self.0.read_at(offset, &mut buf[..size])
        }
    }

    #[test]
    fn short_and_interrupted_reads_are_joined() {
        let source = Dripping(b"abcdef".to_vec(), 0.into());
        assert_eq!(source.read_vec(1, 3).unwrap(), b"bcd");
        assert_eq!(source.read_vec(4, 100).unwrap(), b"ef");
        let mut buffer = [0; 7];
        assert_eq!(
            source.read_exact_at(0, &mut buffer).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        assert!(!source.is_empty());
    }

    #[test]
    fn reads_behind_the_end_are_empty() {
        let bytes: &[u8] = b"abc";
        for offset in [3, 4, u64::MAX] {
            assert_eq!(bytes.read_vec(offset, 10).unwrap(), b"");
            assert_eq!(bytes.read_at(offset, &mut [0; 4]).unwrap(), 0);
        }
    }

    #[test]
    fn window_keeps_to_its_range() {
        let bytes = b"0123456789".to_vec();
        let window = Window::new(&bytes, 2..6);
        assert_eq!(ReadAt::len(&window), 4);
        assert_eq!(window.read_vec(0, 100).unwrap(), b"2345");
        assert_eq!(window.read_vec(3, 100).unwrap(), b"5");
        assert_eq!(window.read_vec(u64::MAX, 100).unwrap(), b"");
        let inner = Window::new(&window, 1..100);
        assert_eq!(inner.read_vec(0, 100).unwrap(), b"345");
        #[allow(clippy::reversed_empty_ranges)]
        let inverted = Window::new(&bytes, 6..2);
        assert!(inverted.is_empty());
        assert!(Window::new(&bytes, u64::MAX - 1..u64::MAX).is_empty());
    }
}
