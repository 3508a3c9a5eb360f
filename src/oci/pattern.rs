//! Patterns of repositories: which images something is for.
//!
//! A pattern is compared segment by segment, never as a prefix of a string: a look-alike
//! such as `registry.example.evil` never fits `registry.example`.

use super::reference::{is_hosted_repository, is_repository};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A pattern of repositories: segments between `/`, in which `*` stands for any run of
/// characters of one segment, and a segment `**` for any number of segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryPattern {
    segments: Vec<Segment>,
    written: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// Text with `*` between its parts; one part alone is a plain name.
    Parts(Vec<String>),
    /// `**`.
    Any,
}

/// The text is no pattern of repositories.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no pattern of repositories")]
pub struct InvalidPattern(String);

impl InvalidPattern {
    /// Takes the text.
    pub fn of(text: &str) -> Self {
        Self(text.chars().take(80).collect())
    }
}

/// The most segments of a pattern or a repository: matching is quadratic in them.
const MAX_SEGMENTS: usize = 64;

impl RepositoryPattern {
    /// Says whether a repository fits: `payments/api`, with its host or without.
    pub fn fits(&self, repository: &str) -> bool {
        let names: Vec<&str> = repository.split('/').collect();
        if names.len() > MAX_SEGMENTS {
            return false;
        }
        // reached[n]: the segments so far can stand for the first n names.
        let mut reached = vec![false; names.len() + 1];
        reached[0] = true;
        for segment in &self.segments {
            let mut next = vec![false; names.len() + 1];
            match segment {
                Segment::Any => {
                    let mut before = false;
                    for (at, place) in next.iter_mut().enumerate() {
                        before |= reached[at];
                        *place = before;
                    }
                }
                Segment::Parts(parts) => {
                    for (at, name) in names.iter().enumerate() {
                        next[at + 1] = reached[at] && fits_parts(parts, name);
                    }
                }
            }
            reached = next;
        }
        reached[names.len()]
    }

    /// Says whether the pattern leaves every part of the name open.
    pub fn is_unbounded(&self) -> bool {
        self.segments.iter().all(|segment| match segment {
            Segment::Any => true,
            Segment::Parts(parts) => parts.iter().all(String::is_empty),
        })
    }

    /// Compares how narrow two patterns are: the greater one says more of the name. First
    /// counts how many segments behind the host are plain, then how many bytes are written out, then whether
    /// the number of segments is fixed.
    pub fn cmp_narrowness(&self, other: &Self) -> Ordering {
        // Which registry is named narrows nothing: an image has one name in one registry.
        let path = |pattern: &'_ Self| match pattern.written.split_once('/') {
            Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => 1,
            _ => 0,
        };
        let narrowness = |pattern: &Self| {
            let segments = pattern.segments.get(path(pattern)..).unwrap_or_default();
            let plain =
                |segment: &&Segment| matches!(segment, Segment::Parts(parts) if parts.len() == 1);
            let bytes: usize = segments
                .iter()
                .map(|segment| match segment {
                    Segment::Any => 0,
                    Segment::Parts(parts) => parts.iter().map(String::len).sum(),
                })
                .sum();
            let fixed = !segments.contains(&Segment::Any);
            (segments.iter().filter(plain).count(), bytes, fixed)
        };
        narrowness(self).cmp(&narrowness(other))
    }
}

/// Says whether a name is the parts with anything between them.
fn fits_parts(parts: &[String], name: &str) -> bool {
    let [first, middle @ .., last] = parts else {
        return parts.first().is_some_and(|only| only == name);
    };
    let Some(mut rest) =
        name.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str()))
    else {
        return false;
    };
    // The earliest place of each part leaves the most for those after it.
    middle.iter().all(|part| match rest.find(part.as_str()) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

impl FromStr for RepositoryPattern {
    type Err = InvalidPattern;
    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let invalid = || InvalidPattern::of(text);
        // What is left when the stars are letters must be a repository, with a host or without.
        let plain = text.replace('*', "x");
        if !is_repository(&plain) && !is_hosted_repository(&plain) {
            return Err(invalid());
        }
        let segments = text
            .split('/')
            .map(|segment| match segment {
                "**" => Ok(Segment::Any),
                _ if segment.contains("**") => Err(invalid()),
                _ => Ok(Segment::Parts(segment.split('*').map(str::to_owned).collect())),
            })
            .collect::<Result<Vec<_>, _>>()?;
        if segments.len() > MAX_SEGMENTS {
            return Err(invalid());
        }
        Ok(Self { segments, written: text.to_owned() })
    }
}

impl fmt::Display for RepositoryPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.written)
    }
}

impl serde::Serialize for RepositoryPattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> RepositoryPattern {
        text.parse().unwrap()
    }

    #[test]
    fn segments_are_compared_whole() {
        for (text, fits, not) in [
            ("golden/api", &["golden/api"][..], &["golden/api2", "golden", "x/golden/api"][..]),
            ("golden/*", &["golden/api"], &["golden", "golden/a/b", "goldens/api"]),
            ("golden/**", &["golden", "golden/a", "golden/a/b"], &["goldens/a", "x/golden"]),
            ("**/api", &["api", "a/api", "a/b/api"], &["a/apis", "api/a"]),
            ("a/**/z", &["a/z", "a/b/z", "a/b/c/z"], &["a", "z", "a/b", "ab/z"]),
            ("pay-*-svc", &["pay-a-svc", "pay-a-b-svc", "pay--svc"], &["pay-svc", "pay-a-svcs"]),
            ("*a*b*", &["ab", "xaxbx", "aabb"], &["ba", "b", "a/b"]),
            ("r.example:5000/g/*", &["r.example:5000/g/x"], &["r.example/g/x", "g/x"]),
        ] {
            for name in fits {
                assert!(pattern(text).fits(name), "{text} fits {name}");
            }
            for name in not {
                assert!(!pattern(text).fits(name), "{text} does not fit {name}");
            }
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let long = "a/".repeat(70) + "a";
        for text in [
            "", "/", "a//b", "a/", "/a", "A/b", "a b", "a/../b", "***", "a**", "a/**b", "[a]",
            "a?", &long,
        ] {
            assert!(text.parse::<RepositoryPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_long_name_takes_no_long_time() {
        let names = "a/".repeat(60) + "b";
        assert!(!pattern(&("**/a/".repeat(20) + "**/c")).fits(&names));
        assert!(!pattern("*a*a*a*a*a*a*a*a*c").fits(&"a".repeat(10_000)));
    }

    #[test]
    fn the_narrower_pattern_wins() {
        for (narrow, wide) in [
            ("a/b", "a/*"),
            ("a/*", "a/**"),
            ("a/b*", "a/*"),
            ("a/b/**", "a/**"),
            ("*/b/c", "*/*/c"),
            ("a/b/*", "registry.example:5000/a/**"),
        ] {
            assert_eq!(
                pattern(narrow).cmp_narrowness(&pattern(wide)),
                Ordering::Greater,
                "{narrow} {wide}"
            );
        }
        assert_eq!(pattern("a/*").cmp_narrowness(&pattern("*/b")), Ordering::Equal);
        for (text, unbounded) in
            [("*", true), ("**", true), ("*/**", true), ("a/**", false), ("a*", false)]
        {
            assert_eq!(pattern(text).is_unbounded(), unbounded, "{text}");
        }
    }
}
