//! The `Release` file of a suite: what its indexes hash to, from when it is and until when.
//!
//! Source: Debian wiki, "DebianRepository/Format", "Release" files.

use super::control::{self, ControlError, Limits};
use super::is_pool_path;
use crate::oci::Digest;
use crate::time::Moment;

/// The most indexes that are listed.
const MOST: usize = 100_000;

/// What a release says.
#[derive(Debug, Clone)]
pub struct Release {
    /// The name that moves: `stable`.
    pub suite: Option<String>,
    /// The name that stays: `trixie`.
    pub codename: Option<String>,
    /// When it was made.
    pub date: Moment,
    /// Until when it may be believed; none when it does not say.
    pub valid_until: Option<Moment>,
    /// Whether indexes can be fetched by their hashes.
    pub by_hash: bool,
    /// The indexes, by their paths below the release.
    pub indexes: Vec<Index>,
}

/// One index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// The path below the release.
    pub path: String,
    /// How many bytes it has.
    pub size: u64,
    /// What they hash to.
    pub sha256: Digest,
}

/// Why a release says nothing.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ReleaseError {
    #[error("{0}")]
    Control(#[from] ControlError),
    #[error("it has no `{0}`")]
    Missing(&'static str),
    #[error("its `{0}` is no date of the form `Sat, 21 Nov 2026 09:15:44 UTC`: `{1}`")]
    Date(&'static str, String),
    #[error("a line of its `SHA256` is none: `{0}`")]
    Line(String),
    #[error("it lists more than {MOST} indexes")]
    Many,
    #[error("it lists `{0}` twice, and not alike")]
    Twice(String),
}

impl Release {
    /// Reads a release.
    ///
    /// # Errors
    /// When the text is no control file of one paragraph, or a field that decides is missing
    /// or has no meaning.
    pub fn parse(text: &[u8]) -> Result<Self, ReleaseError> {
        let paragraph = control::single(text, Limits::RELEASE)?;
        let date = |name| {
            let Some(value) = paragraph.get(name) else { return Ok(None) };
            let wrong = || ReleaseError::Date(name, value.chars().take(60).collect());
            moment(value).map(Some).ok_or_else(wrong)
        };
        let list = paragraph.get("SHA256").ok_or(ReleaseError::Missing("SHA256"))?;
        let mut indexes: Vec<Index> = Vec::new();
        for line in list.lines().filter(|line| !line.trim().is_empty()) {
            let index = index(line)
                .ok_or_else(|| ReleaseError::Line(line.trim().chars().take(100).collect()))?;
            if indexes.len() == MOST {
                return Err(ReleaseError::Many);
            }
            indexes.push(index);
        }
        indexes.sort_by(|one, other| one.path.cmp(&other.path));
        indexes.dedup();
        if let Some(pair) = indexes.windows(2).find(|pair| pair[0].path == pair[1].path) {
            return Err(ReleaseError::Twice(pair[0].path.clone()));
        }
        Ok(Self {
            suite: paragraph.get("Suite").map(str::to_owned),
            codename: paragraph.get("Codename").map(str::to_owned),
            date: date("Date")?.ok_or(ReleaseError::Missing("Date"))?,
            valid_until: date("Valid-Until")?,
            by_hash: paragraph.get("Acquire-By-Hash") == Some("yes"),
            indexes,
        })
    }

    /// Returns what is said of the index at a path.
    pub fn index(&self, path: &str) -> Option<&Index> {
        let at = self.indexes.binary_search_by(|index| index.path.as_str().cmp(path)).ok()?;
        self.indexes.get(at)
    }
}

fn index(line: &str) -> Option<Index> {
    let mut words = line.split_ascii_whitespace();
    let sha256 = format!("sha256:{}", words.next()?).parse().ok()?;
    let size = words.next()?.parse().ok()?;
    let path = words.next().filter(|path| is_pool_path(path))?.to_owned();
    words.next().is_none().then_some(Index { path, size, sha256 })
}

/// Reads a date of RFC 5322 in UTC, the only zone that archives write.
pub(super) fn moment(text: &str) -> Option<Moment> {
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.split_ascii_whitespace();
    let day: u8 = words.next()?.parse().ok()?;
    let months =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let name = words.next()?;
    let month = months.iter().position(|month| *month == name)? + 1;
    let year: u16 = words.next()?.parse().ok()?;
    let time = words.next()?;
    if !matches!(words.next()?, "UTC" | "GMT" | "+0000") || words.next().is_some() {
        return None;
    }
    // Some archives write hours of one digit.
    let (hour, minutes) = time.split_once(':')?;
    let hour: u8 = hour.parse().ok()?;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minutes}Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Origin: Debian\nSuite: stable-security\nCodename: trixie-security\nDate: Sat, 21 Nov 2026 00:53:03 UTC\nValid-Until: Sat, 28 Nov 2026 00:53:03 UTC\nAcquire-By-Hash: yes\nSHA256:\n e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855        0 main/binary-amd64/Packages\n e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 12 main/a\n";

    #[test]
    fn a_release_is_read() {
        let release = Release::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(release.codename.as_deref(), Some("trixie-security"));
        assert_eq!(release.date.to_string(), "2026-11-21T00:53:03Z");
        assert_eq!(release.valid_until.unwrap().to_string(), "2026-11-28T00:53:03Z");
        assert!(release.by_hash);
        let index = release.index("main/binary-amd64/Packages").unwrap();
        assert_eq!((index.size, index.sha256), (0, Digest::of(b"")));
        assert!(release.index("main").is_none());
    }

    #[test]
    fn what_decides_must_be_there_and_have_a_meaning() {
        let with = |from: &str, to: &str| Release::parse(TEXT.replacen(from, to, 1).as_bytes());
        assert!(matches!(with("Date: ", "Day: "), Err(ReleaseError::Missing("Date"))));
        assert!(matches!(with("SHA256", "SHA1"), Err(ReleaseError::Missing("SHA256"))));
        for (from, to) in [
            ("21 Nov", "32 Nov"),
            ("Nov", "November"),
            ("UTC", "CET"),
            ("00:53", "25:53"),
            ("Sat, ", ""),
        ] {
            assert!(matches!(with(from, to), Err(ReleaseError::Date("Date", _))), "{from} {to}");
        }
        for (from, to) in [
            ("e3b", "e3"),
            ("12 main/a", "main/a"),
            ("12 main/a", "12 ../a"),
            ("12 main/a", "-1 main/a"),
            ("main/a", "main/a b"),
        ] {
            assert!(matches!(with(from, to), Err(ReleaseError::Line(_))), "{from} {to}");
        }
        assert!(matches!(
            with("main/a", "main/binary-amd64/Packages"),
            Err(ReleaseError::Twice(_))
        ));
        assert!(matches!(Release::parse(b"<html>\n</html>\n"), Err(ReleaseError::Control(_))));
    }
}
