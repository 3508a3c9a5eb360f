//! Finds secrets in bytes that come piece by piece.

use super::forms::{BEFORE, FORMS, Form, PUBLISHED, REACH};
use crate::oci::Digest;
use aho_corasick::AhoCorasick;
use aho_corasick::packed;
use std::ops::Range;
use std::sync::LazyLock;

/// How many bytes neighbouring pieces must share, so that every secret is whole in one.
pub(in crate::inspect) const SHARED: usize = REACH + BEFORE;
/// The most secrets of one file that are told one by one.
pub(in crate::inspect) const MOST: usize = 32;
/// How many marks are looked for at a time: what fits the processor's short vectors.
const TOGETHER: usize = 32;

/// A secret in bytes. Not its characters: it is told by where it stands and by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::inspect) struct Secret {
    /// The number of its form.
    form: usize,
    /// Where it begins, in bytes from the start.
    pub(super) place: u64,
    /// How long it is, in bytes; of a long key, how much of it was looked at.
    pub(super) length: usize,
    /// The first digits of its SHA-256.
    pub(super) hash: String,
}

impl Secret {
    /// Returns what kind it is.
    pub(super) fn form(&self) -> &'static Form {
        FORMS.get(self.form).unwrap_or(&FORMS[0])
    }
}

/// Looks for some of the marks.
enum Marks {
    Vectors(packed::Searcher),
    /// On processors without such vectors.
    Automaton(AhoCorasick),
}

static MARKS: LazyLock<Vec<(usize, Marks)>> = LazyLock::new(|| {
    let made = |(number, forms): (usize, &[Form])| {
        let marks = || forms.iter().map(|form| form.mark());
        let vectors = packed::Config::new().builder().extend(marks()).build();
        let marks = match vectors {
            Some(searcher) => Marks::Vectors(searcher),
            None => Marks::Automaton(AhoCorasick::new(marks()).ok()?),
        };
        Some((number * TOGETHER, marks))
    };
    FORMS.chunks(TOGETHER).enumerate().filter_map(made).collect()
});

/// Adds the secrets whose marks begin in a range of some bytes, which begin at `offset` of a
/// file. What is behind the range, up to [`SHARED`] bytes, is looked at as well.
pub(in crate::inspect) fn find(
    bytes: &[u8],
    range: Range<usize>,
    offset: u64,
    found: &mut Vec<Secret>,
) {
    // A mark that begins in the range may end behind it.
    let longest = 32;
    let Some(window) = bytes.get(range.start..bytes.len().min(range.end + longest)) else { return };
    let first = found.len();
    for (number, marks) in MARKS.iter() {
        let mut hit = |form: usize, start: usize| {
            let at = range.start + start;
            if at >= range.end || found.len() >= 2 * MOST {
                return;
            }
            let form = number + form;
            let Some(length) = FORMS.get(form).and_then(|form| form.fits(bytes, at)) else {
                return;
            };
            let secret = bytes.get(at..bytes.len().min(at + length)).unwrap_or_default();
            let hash = Digest::of(secret).hex();
            if PUBLISHED.iter().any(|(known, _)| hash.starts_with(known)) {
                return;
            }
            let hash = hash.chars().take(16).collect();
            found.push(Secret { form, place: offset.saturating_add(at as u64), length, hash });
        };
        match marks {
            Marks::Vectors(searcher) => searcher
                .find_iter(window)
                .for_each(|found| hit(found.pattern().as_usize(), found.start())),
            Marks::Automaton(automaton) => automaton
                .find_iter(window)
                .for_each(|found| hit(found.pattern().as_usize(), found.start())),
        }
    }
    found[first..].sort_by_key(|secret| secret.place);
    found.truncate(MOST);
}

/// Returns the secrets in a text.
pub(super) fn in_text(text: &[u8]) -> Vec<Secret> {
    let mut found = Vec::new();
    find(text, 0..text.len(), 0, &mut found);
    found
}

#[cfg(test)]
pub(super) fn marks_are_ready() -> bool {
    MARKS.len() == FORMS.len().div_ceil(TOGETHER)
}
