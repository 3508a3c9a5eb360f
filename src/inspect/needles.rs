//! Finds which of many strings occur in a stream of bytes, in one pass.
//!
//! The search of Wu and Manber ("A fast algorithm for multi-pattern searching", 1994)
//! with blocks of four bytes: it looks at one position in about five, which an
//! automaton cannot, and its tables stay in the processor's cache. Memory is bounded
//! by the strings; hostile input costs at most one comparison with each string of one
//! hash a position.

/// The bytes of a block.
const BLOCK: usize = 4;
/// The number of hashes.
const HASHES: usize = 1 << 16;

/// Strings to look for, made ready.
#[derive(Debug)]
pub(super) struct Needles {
    strings: Vec<Vec<u8>>,
    /// The length of the part of each string that the search slides along.
    window: usize,
    longest: usize,
    /// How far the window may move when it ends with a block of this hash.
    shift: Vec<u8>,
    /// The strings whose window ends with a block of this hash.
    bucket: Vec<Vec<u32>>,
}

fn hash(block: &[u8]) -> usize {
    let word = u32::from_le_bytes([block[0], block[1], block[2], block[3]]);
    (word.wrapping_mul(0x9E37_79B1) >> 16) as usize
}

impl Needles {
    /// Makes strings ready. Each has at least four bytes; shorter ones are never found.
    pub(super) fn new(strings: Vec<Vec<u8>>) -> Self {
        let usable = || strings.iter().enumerate().filter(|(_, string)| string.len() >= BLOCK);
        let window = usable().map(|(_, string)| string.len()).min().unwrap_or(BLOCK).min(64);
        let mut shift = vec![(window - BLOCK + 1) as u8; HASHES];
        let mut bucket = vec![Vec::new(); HASHES];
        for (index, string) in usable() {
            for end in BLOCK..=window {
                let hash = hash(&string[end - BLOCK..end]);
                shift[hash] = shift[hash].min((window - end) as u8);
                if end == window {
                    bucket[hash].push(index as u32);
                }
            }
        }
        let longest = strings.iter().map(Vec::len).max().unwrap_or(0);
        Self { strings, window, longest, shift, bucket }
    }

    /// Returns how many bytes of a stream must be kept when more are read, so that no
    /// string is missed that lies across the border.
    pub(super) fn overlap(&self) -> usize {
        self.longest.saturating_sub(1)
    }

    /// Marks the strings that occur in some bytes.
    pub(super) fn mark(&self, bytes: &[u8], found: &mut [bool]) {
        let mut end = self.window;
        while end <= bytes.len() {
            let hash = hash(&bytes[end - BLOCK..end]);
            let shift = usize::from(self.shift[hash]);
            if shift > 0 {
                end += shift;
                continue;
            }
            let rest = &bytes[end - self.window..];
            for index in &self.bucket[hash] {
                let index = *index as usize;
                if !found[index] && rest.starts_with(&self.strings[index]) {
                    found[index] = true;
                }
            }
            end += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn marked(strings: &[Vec<u8>], bytes: &[u8]) -> Vec<bool> {
        let needles = Needles::new(strings.to_vec());
        let mut found = vec![false; strings.len()];
        needles.mark(bytes, &mut found);
        found
    }

    proptest! {
        #[test]
        fn finds_what_a_plain_search_finds(
            strings in proptest::collection::vec(proptest::collection::vec(0_u8..3, 4..9), 1..20),
            bytes in proptest::collection::vec(0_u8..3, 0..400),
        ) {
            let plain: Vec<bool> =
                strings.iter().map(|string| bytes.windows(string.len()).any(|window| window == string)).collect();
            prop_assert_eq!(marked(&strings, &bytes), plain);
        }
    }

    #[test]
    fn strings_at_both_ends_are_found() {
        let strings: Vec<Vec<u8>> =
            ["first", "the last one"].iter().map(|s| s.as_bytes().to_vec()).collect();
        assert_eq!(marked(&strings, b"first and the last one"), [true, true]);
        assert_eq!(marked(&strings, b"firs"), [false, false]);
        assert_eq!(marked(&[], b"anything"), Vec::<bool>::new());
    }
}
