//! Finds which of many strings occur in a stream of bytes, in one pass.
//!
//! Every string of at least seven bytes holds, wherever it lies, a whole word of four
//! bytes at an offset that is a multiple of four. So only every fourth offset is looked
//! at: its word is asked of a small filter, and what passes is compared. The look-ups do
//! not wait for each other, which those of an automaton do. Hostile bytes cost at most
//! a comparison with each string of one word an offset.

/// The bytes of a word, and the distance between two looks.
const WORD: usize = 4;
/// The shortest string that is found wherever it lies: one word, and the three bytes that
/// may lie before it.
pub(super) const SHORTEST: usize = 2 * WORD - 1;
/// The bits of the filter: 32 KiB, which stays in the processor's nearest cache.
const FILTER_BITS: u32 = 18;

/// Strings to look for, made ready.
#[derive(Debug)]
pub(super) struct Needles {
    strings: Vec<Vec<u8>>,
    longest: usize,
    filter: Vec<u64>,
    /// The words with the strings that they may belong to, ordered by their buckets.
    words: Vec<Word>,
    /// Where each bucket begins, and the end of the last one.
    buckets: Vec<u32>,
}

/// A word of a string.
#[derive(Debug)]
struct Word {
    word: u32,
    /// The number of the string.
    index: u32,
    /// Where the word stands in it.
    offset: u32,
    /// A place beside the word, and the byte there: it tells most other bytes apart.
    probe: u32,
    byte: u8,
}

/// The bits of the number of a bucket: there are more buckets than words.
const BUCKET_BITS: u32 = 13;

fn bucket(word: u32) -> usize {
    (word.wrapping_mul(0x85EB_CA6B) >> (32 - BUCKET_BITS)) as usize
}

fn bit(word: u32) -> (usize, u64) {
    let hash = word.wrapping_mul(0x9E37_79B1) >> (32 - FILTER_BITS);
    ((hash / 64) as usize, 1 << (hash % 64))
}

impl Needles {
    /// Makes strings ready. Those shorter than [`SHORTEST`] are never found.
    pub(super) fn new(strings: Vec<Vec<u8>>) -> Self {
        let mut filter = vec![0; 1 << (FILTER_BITS - 6)];
        let mut words = Vec::new();
        for (index, string) in
            strings.iter().enumerate().filter(|(_, string)| string.len() >= SHORTEST)
        {
            for (offset, word) in string.windows(WORD).take(WORD).enumerate() {
                let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
                let (place, bit) = bit(word);
                filter[place] |= bit;
                let behind = offset + WORD;
                let probe = if behind < string.len() { behind } else { offset - 1 };
                let (index, offset, byte) = (index as u32, offset as u32, string[probe]);
                words.push(Word { word, index, offset, probe: probe as u32, byte });
            }
        }
        words.sort_by_key(|one| bucket(one.word));
        let start = |number| words.partition_point(|one| bucket(one.word) < number) as u32;
        let buckets = (0..=1 << BUCKET_BITS).map(start).collect();
        let longest = strings.iter().map(Vec::len).max().unwrap_or(0);
        Self { strings, longest, filter, words, buckets }
    }

    /// Returns how many bytes of a stream must be kept when more are read, so that no
    /// string is missed that lies across the border.
    pub(super) fn overlap(&self) -> usize {
        self.longest.saturating_sub(1)
    }

    /// Marks the strings that occur in some bytes.
    pub(super) fn mark(&self, bytes: &[u8], found: &mut [bool]) {
        for (number, word) in bytes.chunks_exact(WORD).enumerate() {
            let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            let (place, bit) = bit(word);
            if self.filter[place] & bit != 0 {
                self.compare(word, number * WORD, bytes, found);
            }
        }
    }

    #[cold]
    fn compare(&self, word: u32, at: usize, bytes: &[u8], found: &mut [bool]) {
        let number = bucket(word);
        let range = self.buckets[number] as usize..self.buckets[number + 1] as usize;
        for one in self.words[range].iter().filter(|one| one.word == word) {
            let index = one.index as usize;
            let start = at.checked_sub(one.offset as usize);
            let fits = |start: usize| {
                bytes.get(start + one.probe as usize) == Some(&one.byte)
                    && bytes[start..].starts_with(&self.strings[index])
            };
            if !found[index] && start.is_some_and(fits) {
                found[index] = true;
            }
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
            strings in proptest::collection::vec(proptest::collection::vec(0_u8..2, 7..10), 1..20),
            bytes in proptest::collection::vec(0_u8..2, 0..400),
        ) {
            let plain: Vec<bool> =
                strings.iter().map(|string| bytes.windows(string.len()).any(|window| window == string)).collect();
            prop_assert_eq!(marked(&strings, &bytes), plain);
        }
    }

    #[test]
    fn strings_at_both_ends_are_found_at_every_offset() {
        let strings: Vec<Vec<u8>> =
            ["first one", "the last one"].iter().map(|s| s.as_bytes().to_vec()).collect();
        for gap in ["", "-", "--", "---", "----"] {
            assert_eq!(
                marked(&strings, format!("first one{gap}the last one").as_bytes()),
                [true, true]
            );
            assert_eq!(marked(&strings, format!("{gap}first one").as_bytes()), [true, false]);
        }
        assert_eq!(marked(&strings, b"first on"), [false, false]);
        assert_eq!(marked(&[], b"anything"), Vec::<bool>::new());
    }
}
