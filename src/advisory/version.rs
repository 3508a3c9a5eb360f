//! The order of versions, and whether one lies in a range.
//!
//! Sources: OSV schema 1.7, "Evaluation"; Semantic Versioning 2.0.0, clause 11; Debian Policy,
//! 5.6.12; "Go Modules Reference", "Versions".

mod alpine;

use super::osv::{Affected, Event, Range};
use crate::base::debian;
use semver::Version;
use std::cmp::Ordering;

/// A version of an ecosystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    /// Semantic versions: Go, crates.io.
    Semantic(Version),
    /// Versions of Debian's source packages.
    Debian(debian::Version),
    /// Versions of apk packages.
    Alpine(alpine::Version),
}

impl Known {
    /// Reads a version of an ecosystem as OSV calls it; none for one that has no order here, or
    /// for a text that is no version.
    pub(super) fn parse(ecosystem: &str, text: &str) -> Option<Self> {
        match ecosystem.split(':').next()? {
            "Go" | "crates.io" => semantic(text).map(Self::Semantic),
            "Debian" => text.parse().ok().map(Self::Debian),
            "Alpine" | "Wolfi" | "Chainguard" => text.parse().ok().map(Self::Alpine),
            _ => None,
        }
    }

    /// Reads a version of the same ecosystem.
    fn alike(&self, text: &str) -> Option<Self> {
        match self {
            Self::Semantic(_) => semantic(text).map(Self::Semantic),
            Self::Debian(_) => text.parse().ok().map(Self::Debian),
            Self::Alpine(_) => text.parse().ok().map(Self::Alpine),
        }
    }

    /// Compares with a version of the same ecosystem; none when that is no version.
    fn compare(&self, other: &str) -> Option<Ordering> {
        self.alike(other).map(|other| self.order(&other))
    }

    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            // Build metadata has no part in the order (clause 10).
            (Self::Semantic(own), Self::Semantic(other)) => own.cmp_precedence(other),
            (Self::Debian(own), Self::Debian(other)) => own.cmp(other),
            (Self::Alpine(own), Self::Alpine(other)) => own.cmp(other),
            _ => Ordering::Equal,
        }
    }

    /// Says whether the Go command has made the version up of a commit, where no tag comes
    /// before it: what it comes before and behind says nothing of tags then.
    fn is_made_up(&self) -> bool {
        let Self::Semantic(own) = self else { return false };
        (own.major, own.minor, own.patch) == (0, 0, 0) && !own.pre.is_empty()
    }

    fn is(&self, other: &str) -> bool {
        self.compare(other) == Some(Ordering::Equal)
    }
}

/// Reads a semantic version as Go, crates.io and their databases write it: with or without
/// `v`, with fewer than three numbers.
fn semantic(text: &str) -> Option<Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let text = text.split_once('+').map_or(text, |(version, _)| version);
    if let Ok(version) = Version::parse(text) {
        return Some(version);
    }
    let (numbers, stage) =
        text.split_once('-').map_or((text, None), |(numbers, stage)| (numbers, Some(stage)));
    let count = numbers.split('.').count();
    let padded = format!("{numbers}{}", ".0".repeat(3_usize.checked_sub(count)?));
    let whole = stage.map_or(padded.clone(), |stage| format!("{padded}-{stage}"));
    Version::parse(&whole).ok()
}

/// Says whether a version is affected: it is listed, or lies in one of the ranges.
///
/// Where Go's module versions cannot say it, its records give the tags of the repository beside
/// ("custom ranges"): what lies outside those is not affected.
pub(super) fn is_affected(version: &Known, affected: &Affected) -> bool {
    let listed = affected.versions.iter().any(|listed| version.is(listed));
    let of_tags = &affected.ecosystem_specific.custom_ranges;
    listed
        || affected.ranges.iter().any(|range| lies_in(version, range))
            && (!is_comparable(version, of_tags)
                || of_tags.iter().any(|range| lies_in(version, range)))
}

/// Says whether ranges of tags say anything of a version: there are some, and a version that was
/// made up of a commit is only held against others that were.
fn is_comparable(version: &Known, ranges: &[Range]) -> bool {
    let mut texts = ranges.iter().flat_map(|range| &range.events).flat_map(|event| {
        [&event.introduced, &event.fixed, &event.last_affected, &event.limit].into_iter().flatten()
    });
    let made_up = |text: &String| version.alike(text).is_some_and(|other| other.is_made_up());
    !ranges.is_empty() && (!version.is_made_up() || texts.all(|text| text == "0" || made_up(text)))
}

/// Walks the events of a range in their order. One whose version cannot be read begins a range
/// and never ends one, so that nothing is missed.
fn lies_in(version: &Known, range: &Range) -> bool {
    let reached = |text: &str, least: Ordering| {
        version.compare(text).map(|order| order == Ordering::Greater || order == least)
    };
    let limits: Vec<bool> = range
        .events
        .iter()
        .filter_map(|event| event.limit.as_deref())
        .map(|limit| limit == "*" || reached(limit, Ordering::Equal) != Some(true))
        .collect();
    if !limits.is_empty() && !limits.contains(&true) {
        return false;
    }
    let mut events: Vec<&Event> = range.events.iter().collect();
    events.sort_by(|a, b| order(version, a).cmp_to(&order(version, b)));
    let mut inside = false;
    for event in events {
        if let Some(introduced) = &event.introduced {
            inside |= introduced == "0" || reached(introduced, Ordering::Equal).unwrap_or(true);
        }
        if let Some(fixed) = &event.fixed {
            inside &= !reached(fixed, Ordering::Equal).unwrap_or(false);
        }
        if let Some(last) = &event.last_affected {
            inside &= !reached(last, Ordering::Greater).unwrap_or(false);
        }
    }
    inside
}

/// Where an event stands among the others of its range.
enum Place {
    First,
    At(Known, u8),
}

impl Place {
    fn cmp_to(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::First, Self::First) => Ordering::Equal,
            (Self::First, Self::At(..)) => Ordering::Less,
            (Self::At(..), Self::First) => Ordering::Greater,
            (Self::At(a, kind_a), Self::At(b, kind_b)) => {
                let order = a.order(b);
                // A range that ends where it begins is empty.
                order.then(kind_a.cmp(kind_b))
            }
        }
    }
}

fn order(like: &Known, event: &Event) -> Place {
    let texts = [&event.introduced, &event.fixed, &event.last_affected];
    let found = texts.iter().zip(0_u8..).find_map(|(text, kind)| Some((text.as_deref()?, kind)));
    let Some((text, kind)) = found.filter(|(text, _)| *text != "0") else { return Place::First };
    let known = like.alike(text);
    known.map_or(Place::First, |known| Place::At(known, kind))
}

/// Returns the first version, in order, that is not affected any more and is newer; none when
/// there is none.
pub(super) fn fixed_in(version: &Known, affected: &Affected) -> Option<String> {
    let ranges = affected.ranges.iter().chain(&affected.ecosystem_specific.custom_ranges);
    let events = ranges.flat_map(|range| &range.events);
    let newer = |text: &&String| version.compare(text) == Some(Ordering::Less);
    let mut fixes: Vec<&String> =
        events.filter_map(|event| event.fixed.as_ref()).filter(newer).collect();
    fixes.sort_by(|a, b| {
        let place = |text: &str| version.alike(text);
        match (place(a), place(b)) {
            (Some(a), Some(b)) => Place::At(a, 0).cmp_to(&Place::At(b, 0)),
            _ => a.cmp(b),
        }
    });
    fixes.first().map(|text| (*text).clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(events: &[(&str, &str)]) -> Affected {
        let event = |(kind, text): &(&str, &str)| {
            let text = Some((*text).to_owned());
            let mut event = Event::default();
            *match *kind {
                "introduced" => &mut event.introduced,
                "fixed" => &mut event.fixed,
                "last" => &mut event.last_affected,
                _ => &mut event.limit,
            } = text;
            event
        };
        let events = events.iter().map(event).collect();
        Affected { ranges: vec![Range { kind: String::new(), events }], ..Affected::default() }
    }

    fn affected(ecosystem: &str, version: &str, of: &Affected) -> bool {
        is_affected(&Known::parse(ecosystem, version).unwrap(), of)
    }

    #[test]
    fn events_are_walked_in_the_order_of_their_versions() {
        let two = [
            ("fixed", "1.5.0"),
            ("introduced", "2.0.0"),
            ("introduced", "1.0.0"),
            ("fixed", "2.1.0"),
        ];
        for (version, expected) in [
            ("0.9.9", false),
            ("1.0.0", true),
            ("v1.4.9", true),
            ("1.5.0-rc.1", true),
            ("1.5.0", false),
            ("1.9.0", false),
            ("2.0.5", true),
            ("2.1.0+build", false),
        ] {
            assert_eq!(affected("Go", version, &range(&two)), expected, "{version}");
        }
        for (events, version, expected) in [
            (&[("introduced", "0"), ("last", "1.2.0")][..], "1.2.0", true),
            (&[("introduced", "0"), ("last", "1.2.0")], "1.2.1", false),
            (&[("introduced", "1.0.0"), ("fixed", "1.0.0")], "1.0.0", false),
            (&[("introduced", "0"), ("limit", "1.0.0")], "1.0.0", false),
            (&[("introduced", "0"), ("limit", "1.0.0"), ("limit", "*")], "1.0.0", true),
            (&[("introduced", "0")], "99.0.0", true),
            (&[("fixed", "1.0.0")], "0.1.0", false),
            // What cannot be read hides nothing.
            (&[("introduced", "soon")], "1.0.0", true),
            (&[("introduced", "0"), ("fixed", "soon")], "1.0.0", true),
            // Lower bounds as RustSec and Go write them.
            (&[("introduced", "0.0.0-0"), ("fixed", "0.8.2-0")], "0.8.1", true),
            (&[("introduced", "1.26.0-0"), ("fixed", "1.26.2")], "1.26.0-rc.1", true),
            (&[("introduced", "0"), ("fixed", "1.27.0-rc.2")], "1.27.0-rc.1", true),
            // Pseudo-versions come before their base.
            (
                &[("introduced", "0"), ("fixed", "0.0.0-20200101000000-0123456789ab")],
                "v0.0.0-20191231235959-ffffffffffff",
                true,
            ),
            (
                &[("introduced", "0"), ("fixed", "0.0.0-20200101000000-0123456789ab")],
                "v0.0.0-20200102000000-000000000000",
                false,
            ),
            (&[("introduced", "0"), ("fixed", "2.0.0")], "v3.2.1+incompatible", false),
        ] {
            assert_eq!(affected("Go", version, &range(events)), expected, "{events:?} {version}");
        }
    }

    #[test]
    fn every_range_and_every_listed_version_counts() {
        let mut both = range(&[("introduced", "5.0.0")]);
        both.ranges.push(range(&[("introduced", "1.0.0"), ("fixed", "1.1.0")]).ranges.remove(0));
        both.versions = vec!["0.3.0".to_owned()];
        for (version, expected) in
            [("0.3.0", true), ("0.3.1", false), ("1.0.5", true), ("6.0.0", true)]
        {
            assert_eq!(affected("crates.io", version, &both), expected, "{version}");
        }
        let debian = range(&[("introduced", "0"), ("fixed", "2.36-9+deb12u10")]);
        assert!(affected("Debian:12", "2.36-9+deb12u9", &debian));
        assert!(!affected("Debian:12", "2.36-9+deb12u10", &debian));
        assert!(affected("Debian:12", "2.36-9+deb12u10~bpo1", &debian));
        assert!(!affected("Debian:12", "1:0.1", &debian));
    }

    #[test]
    fn packages_of_alpine_go_by_their_own_order() {
        let alpine = range(&[("introduced", "0"), ("fixed", "3.3.2-r5")]);
        assert!(affected("Alpine:v3.21", "3.3.2-r4", &alpine));
        assert!(affected("Alpine:v3.21", "3.3.2_rc1-r9", &alpine));
        assert!(!affected("Alpine:v3.21", "3.3.2-r10", &alpine));
        assert!(!affected("Wolfi", "3.3.2_p1-r0", &alpine));
    }

    #[test]
    fn tags_of_a_repository_say_what_module_versions_cannot() {
        let with = |events: &[(&str, &str)]| {
            let mut of = range(&[("introduced", "0")]);
            of.ecosystem_specific.custom_ranges = range(events).ranges;
            of
        };
        let tags = with(&[("introduced", "13.0.0"), ("fixed", "13.4.13")]);
        for (version, expected) in [
            ("v13.1.0+incompatible", true),
            ("v13.4.13+incompatible", false),
            ("v12.0.0+incompatible", false),
            ("v13.4.13-0.20231016150651-428517fef5b9", true),
            ("v13.4.14-0.20231016150651-428517fef5b9", false),
            // Made up of a commit: no tag says whether it has it.
            ("v0.0.0-20231016150651-428517fef5b9", true),
            ("v0.0.0-20991016150651-428517fef5b9", true),
        ] {
            assert_eq!(affected("Go", version, &tags), expected, "{version}");
        }
        let commits = with(&[("introduced", "0"), ("fixed", "0.0.0-20231016150651-428517fef5b9")]);
        assert!(affected("Go", "v0.0.0-20231016150650-ffffffffffff", &commits));
        assert!(!affected("Go", "v0.0.0-20231017000000-ffffffffffff", &commits));
        let fixed = fixed_in(&Known::parse("Go", "v13.1.0").unwrap(), &tags);
        assert_eq!(fixed.as_deref(), Some("13.4.13"));
    }

    #[test]
    fn the_next_fix_is_the_one_of_the_same_line() {
        let of = range(&[
            ("introduced", "0"),
            ("fixed", "1.2.3"),
            ("introduced", "2.0.0"),
            ("fixed", "2.0.4"),
        ]);
        let fixed = |version| fixed_in(&Known::parse("Go", version).unwrap(), &of);
        assert_eq!(fixed("1.0.0").as_deref(), Some("1.2.3"));
        assert_eq!(fixed("2.0.0").as_deref(), Some("2.0.4"));
        assert_eq!(fixed("3.0.0"), None);
    }

    #[test]
    fn no_version_is_no_version() {
        for (ecosystem, text) in [
            ("Go", ""),
            ("Go", "(devel)"),
            ("Go", "1.2.3.4"),
            ("crates.io", "x"),
            ("npm", "1.0.0"),
            ("Debian:12", ""),
        ] {
            assert_eq!(Known::parse(ecosystem, text), None, "{text}");
        }
        assert_eq!(semantic("1.2"), semantic("v1.2.0"));
    }

    proptest! {
        #[test]
        fn the_order_is_total(
            a in "v?[0-9]{1,3}(\\.[0-9]{1,3}){0,2}(-(rc|beta|0)\\.[1-9]{1,2})?",
            b in "v?[0-9]{1,3}(\\.[0-9]{1,3}){0,2}(-(rc|beta|0)\\.[1-9]{1,2})?",
            c in "v?[0-9]{1,3}(\\.[0-9]{1,3}){0,2}(-(rc|beta|0)\\.[1-9]{1,2})?",
        ) {
            let parsed = |text: &str| Known::parse("Go", text);
            if let (Some(x), Some(y)) = (parsed(&a), parsed(&b)) {
                let (ab, ba) = (x.compare(&b), y.compare(&a));
                prop_assert_eq!(ab, ba.map(Ordering::reverse));
                if let (Some(bc), Some(ac)) = (y.compare(&c), x.compare(&c))
                    && ab == Some(bc)
                {
                    prop_assert_eq!(ac, bc);
                }
                // Introduced there and fixed right behind it: only that one.
                let only = range(&[("introduced", &a), ("last", &a)]);
                prop_assert_eq!(is_affected(&y, &only), ba == Some(Ordering::Equal));
            }
        }
    }
}
