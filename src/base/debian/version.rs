//! Versions of Debian packages and their order.
//!
//! Source: deb-version(5), "Sorting algorithm"; Debian Policy, 5.6.12.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The longest version that is read, in bytes.
const MAX: usize = 256;

/// A version: `[EPOCH:]UPSTREAM[-REVISION]`.
///
/// Equal versions may be written differently (`1.0`, `1.00`): equality is that of the order.
#[derive(Debug, Clone)]
pub struct Version {
    text: String,
    epoch: u32,
    /// Where the upstream version begins and ends; the revision begins one byte later.
    upstream: (usize, usize),
}

/// The text is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no version of a Debian package")]
pub struct InvalidVersion(String);

impl Version {
    /// Returns the version as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn upstream(&self) -> &str {
        &self.text[self.upstream.0..self.upstream.1]
    }

    fn revision(&self) -> &str {
        self.text.get(self.upstream.1 + 1..).unwrap_or("")
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let invalid = || InvalidVersion(text.chars().take(60).collect());
        if text.len() > MAX {
            return Err(invalid());
        }
        let (epoch, start) = match text.split_once(':') {
            Some((epoch, _)) => {
                let digits = !epoch.is_empty() && epoch.bytes().all(|c| c.is_ascii_digit());
                // dpkg keeps it in an int.
                let number = epoch.parse().ok().filter(|number| digits && *number <= 0x7fff_ffff);
                (number.ok_or_else(invalid)?, epoch.len() + 1)
            }
            None => (0, 0),
        };
        let end = text[start..].rfind('-').map_or(text.len(), |at| start + at);
        let version = Self { text: text.to_owned(), epoch, upstream: (start, end) };
        let plain = |c: u8, more: &[u8]| c.is_ascii_alphanumeric() || more.contains(&c);
        let upstream = version.upstream();
        let revision_fits = end == text.len()
            || !version.revision().is_empty()
                && version.revision().bytes().all(|c| plain(c, b"+.~"));
        if !upstream.bytes().next().is_some_and(|c| c.is_ascii_digit())
            || !upstream.bytes().all(|c| plain(c, b".+-~:"))
            || !revision_fits
        {
            return Err(invalid());
        }
        Ok(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| part(self.upstream().as_bytes(), other.upstream().as_bytes()))
            .then_with(|| part(self.revision().as_bytes(), other.revision().as_bytes()))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

/// Compares two parts: stretches without digits and numbers, by turns.
fn part(mut one: &[u8], mut other: &[u8]) -> Ordering {
    while !one.is_empty() || !other.is_empty() {
        loop {
            let (a, b) = (weight(one.first()), weight(other.first()));
            if a != b {
                return a.cmp(&b);
            }
            // Both are at a digit or at their end.
            if a == 0 {
                break;
            }
            (one, other) = (&one[1..], &other[1..]);
        }
        let (a, b);
        (a, one) = number(one);
        (b, other) = number(other);
        let order = a.len().cmp(&b.len()).then_with(|| a.cmp(b));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// Returns where a character stands outside of numbers: `~` before the end, letters before all
/// other characters.
fn weight(c: Option<&u8>) -> i32 {
    match c {
        None => 0,
        Some(c) if c.is_ascii_digit() => 0,
        Some(b'~') => -1,
        Some(c) if c.is_ascii_alphabetic() => i32::from(*c),
        Some(c) => i32::from(*c) + 256,
    }
}

/// Splits off a number, without its leading zeros.
fn number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|c| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let zeros = digits.iter().take_while(|c| **c == b'0').count();
    (&digits[zeros..], rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn versions_are_ordered_as_the_policy_says() {
        // Debian Policy, 5.6.12: sorted from the earliest.
        let sorted = ["1~~", "1~~a", "1~", "1", "1a"];
        for (place, one) in sorted.iter().enumerate() {
            for (other_place, other) in sorted.iter().enumerate() {
                assert_eq!(
                    version(one).cmp(&version(other)),
                    place.cmp(&other_place),
                    "{one} {other}"
                );
            }
        }
        for (less, more) in [
            ("1.9", "1.10"),
            ("1.0-1", "1.0-2"),
            ("1.0", "1.0-1"),
            ("1.0-1~bpo1", "1.0-1"),
            ("9", "1:1"),
            ("2.41-12", "2.41-12+b1"),
            ("1.0a", "1.0+"),
            ("13.8+deb13u6", "13.8+deb13u10"),
            ("20250419~deb12u2", "20250419"),
            ("1-2-3", "1-2-4"),
        ] {
            assert!(version(less) < version(more), "{less} {more}");
        }
        for (one, other) in [("1.0", "1.00"), ("0:1", "1"), ("1-0", "1"), ("1.a0", "1.a")] {
            assert_eq!(version(one), version(other));
        }
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for bad in [
            "",
            "a1",
            "1:",
            ":1",
            "-1:1",
            "x:1",
            "1-",
            "1 2",
            "1_2",
            "99999999999:1",
            "1\n",
            "é1",
            "1-é",
        ] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
        assert!("1".repeat(MAX + 1).parse::<Version>().is_err());
        assert_eq!(version("1:2-3-4").to_string(), "1:2-3-4");
    }

    fn any_version() -> impl Strategy<Value = String> {
        "([0-3]:)?[0-9][0-9a-b.+~:-]{0,6}(-[0-9a-b.+~]{1,3})?"
            .prop_filter("no version", |text| text.parse::<Version>().is_ok())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_order_is_one(a in any_version(), b in any_version(), c in any_version()) {
            let (a, b, c) = (version(&a), version(&b), version(&c));
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert!(a.cmp(&a).is_eq());
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
            if a == b {
                prop_assert_eq!(a.cmp(&c), b.cmp(&c));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,20}") {
            if let Ok(version) = text.parse::<Version>() {
                prop_assert_eq!(version.to_string(), text);
            }
        }

        #[test]
        fn a_tilde_comes_before_nothing_and_a_letter_after(text in "[0-9][0-9a-z.]{0,8}") {
            let (before, after) = (text.clone() + "~", text.clone() + "z");
            prop_assert!(version(&before) < version(&text));
            prop_assert!(version(&after) > version(&text));
        }
    }
}
