//! Search through a range of a source in chunks of constant size.
//!
//! Purpose: to look for a pattern in files of any size. Takes: a source and a range of it. Gives: what the visitor
//! finds. Must not: hold more than one chunk.

use super::ReadAt;
use std::io;
use std::ops::Range;

/// The bytes read at once.
const CHUNK: usize = 256 * 1024;

/// Calls `visit` with the position and the bytes of every chunk of `range`, until it finds something.
///
/// Neighbouring chunks share `overlap` bytes, so that a pattern of up to `overlap + 1` bytes is whole in one of them.
/// Every chunk starts a multiple of 32 behind the start of the range if `overlap` is a multiple of 32.
pub(super) fn scan<T>(
    source: &dyn ReadAt,
    range: Range<u64>,
    overlap: usize,
    visit: &mut dyn FnMut(u64, &[u8]) -> Option<T>,
) -> io::Result<Option<T>> {
    let end = range.end.min(source.len());
    let mut position = range.start;
    let mut buffer =
        vec![0; CHUNK.min(usize::try_from(end.saturating_sub(position)).unwrap_or(CHUNK))];
    while position < end {
        let want = buffer.len().min(usize::try_from(end - position).unwrap_or(CHUNK));
        let read = source.fill_at(position, &mut buffer[..want])?;
        if let Some(found) = visit(position, &buffer[..read]) {
            return Ok(Some(found));
        }
        if read < want || position.saturating_add(read as u64) >= end {
            break;
        }
        position = position.saturating_add(read.saturating_sub(overlap).max(1) as u64);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_across_chunks_is_found() {
        let mut bytes = vec![0; 3 * CHUNK];
        let at = CHUNK - 2;
        bytes[at..at + 4].copy_from_slice(b"find");
        let found = scan(&bytes, 0..u64::MAX, 32, &mut |position, chunk| {
            chunk
                .windows(4)
                .position(|window| window == b"find")
                .map(|index| position + index as u64)
        });
        assert_eq!(found.unwrap(), Some(at as u64));
    }

    #[test]
    fn range_behind_the_end_visits_nothing() {
        let bytes = vec![0; 10];
        assert_eq!(scan(&bytes, 10..20, 4, &mut |_, _| Some(())).unwrap(), None);
        assert_eq!(scan(&bytes, u64::MAX..u64::MAX, 4, &mut |_, _| Some(())).unwrap(), None);
    }
}
