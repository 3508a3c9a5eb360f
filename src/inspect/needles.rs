//! Finds which of many strings occur in a stream of bytes, in one pass.
//!
//! Seven bytes in a row hold, wherever they lie, a whole word of four bytes at an offset that
//! is a multiple of four. So only every fourth offset is looked at: its word is asked of a
//! small filter, with a byte beside it of a second one, and what passes is compared. The
//! look-ups do not wait for each other, which those of an automaton do. Of each string those
//! seven bytes are taken that the other strings have least: what is common among them is
//! common in files. Hostile bytes cost at most a comparison with each string of one word an
//! offset.

/// The bytes of a word, and the distance between two looks.
const WORD: usize = 4;
/// The shortest string that is found wherever it lies: one word, and the three bytes that
/// may lie before it.
pub(super) const SHORTEST: usize = 2 * WORD - 1;
/// The bits of a filter: 32 KiB, which stays in the processor's nearest caches.
const FILTER_BITS: u32 = 18;
/// The bits of the number under which a word is counted.
const COUNT_BITS: u32 = 16;

/// Strings to look for, made ready.
#[derive(Debug)]
pub(super) struct Needles {
    strings: Vec<Vec<u8>>,
    longest: usize,
    /// Which words there are.
    filter: Vec<u64>,
    /// Which words there are with the byte beside them.
    beside: Vec<u64>,
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
    /// The byte beside the word: it tells most other bytes apart.
    beside: Beside,
}

/// The byte before a word or behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Before(u8),
    Behind(u8),
}

/// The bits of the number of a bucket: there are more buckets than words.
const BUCKET_BITS: u32 = 14;

fn bucket(word: u32) -> usize {
    (word.wrapping_mul(0x85EB_CA6B) >> (32 - BUCKET_BITS)) as usize
}

/// Returns where in a filter the bit of a word is.
fn bit(word: u32) -> (usize, u64) {
    let hash = word.wrapping_mul(0x9E37_79B1) >> (32 - FILTER_BITS);
    ((hash / 64) as usize, 1 << (hash % 64))
}

/// Returns where in a filter the bit of a word and the byte beside it is.
fn bit_beside(word: u32, beside: Beside) -> (usize, u64) {
    let key = match beside {
        Beside::Before(byte) => 1 << 40 | u64::from(byte) << 32,
        Beside::Behind(byte) => u64::from(byte) << 32,
    };
    let hash = (key | u64::from(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - FILTER_BITS);
    ((hash / 64) as usize, 1 << (hash % 64))
}

fn word_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

/// How often words occur in some strings, about: words may share a number.
struct Counts(Vec<u16>);

impl Counts {
    fn of(strings: &[Vec<u8>]) -> Self {
        let mut counts = vec![0_u16; 1 << COUNT_BITS];
        for word in strings.iter().flat_map(|string| string.windows(WORD)) {
            let count = word_at(word, 0).map(Self::number).and_then(|at| counts.get_mut(at));
            count.into_iter().for_each(|count| *count = count.saturating_add(1));
        }
        Self(counts)
    }

    fn number(word: u32) -> usize {
        (word.wrapping_mul(0x9E37_79B1) >> (32 - COUNT_BITS)) as usize
    }

    /// Returns where in a string those seven bytes begin whose words are rarest.
    fn rarest(&self, string: &[u8]) -> usize {
        let count = |word: &[u8]| {
            word_at(word, 0).and_then(|word| self.0.get(Self::number(word))).copied().unwrap_or(0)
        };
        let cost = |start: usize| {
            string[start..start + SHORTEST].windows(WORD).map(|word| u32::from(count(word))).sum()
        };
        (0..=string.len() - SHORTEST).min_by_key(|start| -> u32 { cost(*start) }).unwrap_or(0)
    }
}

impl Needles {
    /// Makes strings ready. Those shorter than [`SHORTEST`] are never found.
    pub(super) fn new(strings: Vec<Vec<u8>>) -> Self {
        let mut filter = vec![0; 1 << (FILTER_BITS - 6)];
        let mut filter_beside = filter.clone();
        let mut words = Vec::new();
        let counts = Counts::of(&strings);
        for (index, string) in
            strings.iter().enumerate().filter(|(_, string)| string.len() >= SHORTEST)
        {
            let start = counts.rarest(string);
            for offset in start..start + WORD {
                let Some(word) = word_at(string, offset) else { continue };
                let beside = match offset {
                    first if first == start => Beside::Behind(string[first + WORD]),
                    later => Beside::Before(string[later - 1]),
                };
                let (place, bit) = bit(word);
                filter[place] |= bit;
                let (place, bit) = bit_beside(word, beside);
                filter_beside[place] |= bit;
                let (index, offset) = (index as u32, offset as u32);
                words.push(Word { word, index, offset, beside });
            }
        }
        words.sort_by_key(|one| bucket(one.word));
        let start = |number| words.partition_point(|one| bucket(one.word) < number) as u32;
        let buckets = (0..=1 << BUCKET_BITS).map(start).collect();
        let longest = strings.iter().map(Vec::len).max().unwrap_or(0);
        Self { strings, longest, filter, beside: filter_beside, words, buckets }
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
        let before = at.checked_sub(1).and_then(|at| bytes.get(at)).copied().map(Beside::Before);
        let behind = bytes.get(at + WORD).copied().map(Beside::Behind);
        let passes = |beside: &Beside| {
            let (place, bit) = bit_beside(word, *beside);
            self.beside[place] & bit != 0
        };
        let (before, behind) = (before.filter(passes), behind.filter(passes));
        if before.is_none() && behind.is_none() {
            return;
        }
        let number = bucket(word);
        let range = self.buckets[number] as usize..self.buckets[number + 1] as usize;
        let fits = |one: &&Word| {
            one.word == word && (Some(one.beside) == before || Some(one.beside) == behind)
        };
        for one in self.words[range].iter().filter(fits) {
            let index = one.index as usize;
            let start = at.checked_sub(one.offset as usize);
            let is_here = |start: usize| bytes[start..].starts_with(&self.strings[index]);
            if !found[index] && start.is_some_and(is_here) {
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
