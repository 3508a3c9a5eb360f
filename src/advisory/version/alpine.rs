//! The order of versions of apk packages.
//!
//! Source: apk-tools, `doc/apk-package.5.scd`, "Package version", and its order of suffixes:
//! `1.2.3a_rc1~0123abc-r4` is numbers, a letter, suffixes, a commit and a revision.

use std::cmp::Ordering;
use std::str::FromStr;

/// The longest version that is read, in bytes.
const LONGEST: usize = 256;
/// The suffixes in their order; those before the gap come before the version without one.
const BEFORE: [&str; 4] = ["alpha", "beta", "pre", "rc"];
const AFTER: [&str; 5] = ["cvs", "svn", "git", "hg", "p"];

/// A part of a version. Where one version has ended or goes on with another kind of part, the
/// kind that is listed first here is the newer one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// The first number.
    First(String),
    /// A further number.
    Number(String),
    /// The letter behind the numbers.
    Letter(u8),
    /// A suffix, by its place in the order: below zero before the version without.
    Suffix(i8),
    /// The number of a suffix.
    SuffixNumber(String),
    /// The commit.
    Commit(String),
    /// The revision of the package.
    Revision(String),
    /// Nothing more.
    End,
}

impl Part {
    fn kind(&self) -> u8 {
        match self {
            Self::First(_) => 0,
            Self::Number(_) => 1,
            Self::Letter(_) => 2,
            Self::Suffix(_) => 3,
            Self::SuffixNumber(_) => 4,
            Self::Commit(_) => 5,
            Self::Revision(_) => 6,
            Self::End => 7,
        }
    }

    fn is_before(&self) -> bool {
        matches!(self, Self::Suffix(place) if *place < 0)
    }
}

/// A version of an apk package.
#[derive(Debug, Clone)]
pub(in crate::advisory) struct Version(Vec<Part>);

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        for number in 0.. {
            let part = |version: &Self| version.0.get(number).cloned().unwrap_or(Part::End);
            let (a, b) = (part(self), part(other));
            let order = match (&a, &b) {
                (Part::End, Part::End) => return Ordering::Equal,
                // As fractions are: `1.05` comes before `1.1`.
                (Part::Number(a), Part::Number(b)) if a.starts_with('0') || b.starts_with('0') => {
                    a.cmp(b)
                }
                (Part::First(a), Part::First(b))
                | (Part::Number(a), Part::Number(b))
                | (Part::SuffixNumber(a), Part::SuffixNumber(b))
                | (Part::Revision(a), Part::Revision(b)) => by_value(a, b),
                (Part::Letter(a), Part::Letter(b)) => a.cmp(b),
                (Part::Suffix(a), Part::Suffix(b)) => a.cmp(b),
                (Part::Commit(a), Part::Commit(b)) => a.cmp(b),
                (a, b) => match (a.is_before(), b.is_before()) {
                    (true, _) => Ordering::Less,
                    (_, true) => Ordering::Greater,
                    _ => b.kind().cmp(&a.kind()),
                },
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    }
}

/// Compares numbers of any length.
fn by_value(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.len() > LONGEST {
            return Err(());
        }
        let mut rest = text;
        let mut parts = vec![Part::First(digits(&mut rest).ok_or(())?)];
        while let Some(further) = rest.strip_prefix('.') {
            rest = further;
            parts.push(Part::Number(digits(&mut rest).ok_or(())?));
        }
        if let Some(letter) = rest.bytes().next().filter(u8::is_ascii_lowercase) {
            parts.push(Part::Letter(letter));
            rest = &rest[1..];
        }
        while let Some(further) = rest.strip_prefix('_') {
            let end = further.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(further.len());
            let (name, behind) = further.split_at(end);
            let place = |list: &[&str]| list.iter().position(|one| *one == name);
            let place = match (place(&BEFORE), place(&AFTER)) {
                (Some(place), _) => place as i8 - BEFORE.len() as i8,
                (_, Some(place)) => place as i8 + 1,
                _ => return Err(()),
            };
            parts.push(Part::Suffix(place));
            rest = behind;
            parts.extend(digits(&mut rest).map(Part::SuffixNumber));
        }
        if let Some(further) = rest.strip_prefix('~') {
            let end = further.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(further.len());
            let (commit, behind) = further.split_at(end);
            if commit.is_empty() {
                return Err(());
            }
            parts.push(Part::Commit(commit.to_owned()));
            rest = behind;
        }
        if let Some(further) = rest.strip_prefix("-r") {
            rest = further;
            parts.push(Part::Revision(digits(&mut rest).ok_or(())?));
        }
        if rest.is_empty() { Ok(Self(parts)) } else { Err(()) }
    }
}

/// Takes the digits off the front of a text; none when there is none.
fn digits(rest: &mut &str) -> Option<String> {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, behind) = rest.split_at(end);
    *rest = behind;
    (!digits.is_empty()).then(|| digits.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_are_ordered_as_apk_orders_them() {
        // Each is older than the next.
        for line in [
            &[
                "1.0_alpha",
                "1.0_alpha2",
                "1.0_beta",
                "1.0_pre1",
                "1.0_rc1",
                "1.0",
                "1.0_git1",
                "1.0_p1",
                "1.0_p1-r1",
                "1.0_p2",
                "1.0a",
                "1.0b_rc1",
                "1.0b",
                "1.0.1",
            ][..],
            &["3.3.2-r0", "3.3.2-r4", "3.3.2-r10", "3.3.3-r0"],
            &["1.05", "1.1", "1.9", "1.10"],
            &["2.0_rc1-r5", "2.0-r0"],
            &["0.1~abc-r0", "0.1~abd-r0"],
            &["99999999999999999999998", "99999999999999999999999"],
        ] {
            for (number, older) in line.iter().enumerate() {
                for newer in &line[number + 1..] {
                    let (a, b): (Version, Version) =
                        (older.parse().unwrap(), newer.parse().unwrap());
                    assert_eq!(
                        (a.cmp(&b), b.cmp(&a)),
                        (Ordering::Less, Ordering::Greater),
                        "{older} {newer}"
                    );
                }
            }
        }
        assert_eq!("1.0-r0".parse::<Version>(), "1.0-r0".parse());
        for no in ["", "a", "1.", "1.0_x", "1.0-r", "1.0-1", "1.0 ", "1.0~", "v1", "1..2"] {
            assert!(no.parse::<Version>().is_err(), "{no}");
        }
    }

    proptest! {
        #[test]
        fn the_order_is_total(
            a in "[0-9]{1,2}(\\.[0-9]{1,2}){0,2}[ab]?(_(rc|p)[1-9]?)?(-r[0-3])?",
            b in "[0-9]{1,2}(\\.[0-9]{1,2}){0,2}[ab]?(_(rc|p)[1-9]?)?(-r[0-3])?",
            c in "[0-9]{1,2}(\\.[0-9]{1,2}){0,2}[ab]?(_(rc|p)[1-9]?)?(-r[0-3])?",
        ) {
            let [a, b, c]: [Version; 3] = [a, b, c].map(|text| text.parse().unwrap());
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            if a.cmp(&b) == b.cmp(&c) {
                prop_assert_eq!(a.cmp(&c), a.cmp(&b));
            }
        }
    }
}
