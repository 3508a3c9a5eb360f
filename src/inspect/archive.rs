//! Rules about archives inside the image: their members are looked at like files.
//!
//! Bounded in every direction: how deep archives lie in archives, how many members and
//! how many bytes of one image are unpacked, how far a stream may grow, and what a decoder
//! may keep in memory. Nothing is unpacked to a path: a member is bytes with a name.

mod cpio;
mod plain;
mod stream;
mod zip;

use super::{Declared, Look};
use crate::archive::{Error, LimitExceeded};
use crate::binary::ReadAt;
use crate::binary::format::Archive;
use crate::finding::{Finding, Rule, escape, rules};
use crate::image::{Entry, Kind};
use crate::store::{Content, Spool, SpoolError, SpoolRoom};
use std::io::{self, Read};
use std::sync::Arc;
use stream::Packing;

/// How many archives may lie in each other, and how many compressions around them.
const DEPTH: u8 = 3;
/// The bytes of one image that are unpacked.
const BYTES: u64 = 1 << 30;
/// The members of one image that are looked at.
const MEMBERS: u64 = 100_000;
/// How much a stream may grow, and the bytes from which that counts.
const RATIO: u64 = 200;
const RATIO_GRACE: u64 = 16 << 20;
/// What one member keeps in memory; more goes to an unlinked file.
const MEMORY: usize = 2 << 20;
/// What is unpacked without a spool.
const SMALL: u64 = 64 << 10;
/// Binary logarithm of the largest zstd window: 8 MiB, which every level but `--ultra` keeps to.
const WINDOW_LOG: u32 = 23;
/// The longest name of a member that is shown.
const NAME: usize = 1024;

/// What is left of the limits of one image.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    archives: u8,
    compressions: u8,
    bytes: u64,
    members: u64,
    /// Whether a limit was reached.
    is_spent: bool,
}

impl Default for Budget {
    fn default() -> Self {
        let (archives, compressions) = (DEPTH, DEPTH);
        Self { archives, compressions, bytes: BYTES, members: MEMBERS, is_spent: false }
    }
}

impl Budget {
    /// Returns the same limits, none of which was reached yet.
    pub(super) fn fork(&self) -> Self {
        Self { is_spent: false, ..self.clone() }
    }

    #[cfg(test)]
    pub(super) fn with_members(&self, members: u64) -> Self {
        Self { members, ..self.clone() }
    }

    /// Takes off what several have used who each began with this; none where all of them
    /// together have used more, or one has reached a limit.
    pub(super) fn without(&self, parts: &[&Self]) -> Option<Self> {
        let mut left = self.clone();
        for part in parts {
            if part.is_spent {
                return None;
            }
            left.bytes = left.bytes.checked_sub(self.bytes.checked_sub(part.bytes)?)?;
            left.members = left.members.checked_sub(self.members.checked_sub(part.members)?)?;
        }
        Some(left)
    }
}

/// Why an archive was not read to its end.
enum Trouble {
    Archive(Error),
    /// The bytes contradict themselves, or go beyond what is read.
    Damaged(String),
    /// The bytes break a rule of their own.
    Broken(&'static Rule, String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Archive(error)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Archive(error.into())
    }
}

fn damaged(what: &str) -> Trouble {
    Trouble::Damaged(what.to_owned())
}

/// A stream that grows more than is believable.
fn bomb(what: &str) -> Trouble {
    Trouble::Broken(&rules::ARCHIVE_BOMB, format!("{what} grows more than {RATIO}:1"))
}

/// Looks into an archive, and says whether it was read to its end.
///
/// # Errors
/// When the bytes of the archive cannot be read.
pub(super) fn check(
    look: &mut Look<'_>,
    entry: &Entry,
    content: &Content,
    kind: Archive,
    declared: Option<Option<&Declared>>,
) -> io::Result<bool> {
    let budget = &mut look.gathered.budget;
    let left = match kind {
        _ if stream::is_one(kind) => &mut budget.compressions,
        _ => &mut budget.archives,
    };
    let Some(less) = left.checked_sub(1) else {
        let message = format!("archives lie in each other more than {DEPTH} deep");
        look.report_file(entry, content, Finding::new(&rules::ARCHIVE_UNREADABLE, message));
        return Ok(false);
    };
    let before = std::mem::replace(left, less);
    let mut inside = Inside { look, entry, content, declared, skipped: Vec::new(), loose: false };
    let read = match kind {
        Archive::Gzip => inside.stream(Packing::Gzip),
        Archive::Zstd => inside.stream(Packing::Zstd),
        Archive::Xz => inside.stream(Packing::Xz),
        Archive::Bzip2 => inside.stream(Packing::Bzip2),
        Archive::Cpio => inside.cpio(),
        Archive::Tar => inside.tar(),
        Archive::Zip => inside.zip(),
        Archive::Ar => inside.ar(),
        Archive::Other(name) => {
            inside.skipped.push(format!("this is an archive of the kind {name}"));
            Ok(())
        }
    };
    let (skipped, loose) = (inside.skipped, inside.loose);
    match kind {
        _ if stream::is_one(kind) => look.gathered.budget.compressions = before,
        _ => look.gathered.budget.archives = before,
    }
    if let Err(Trouble::Archive(Error::Limit(_))) = &read {
        look.gathered.budget.is_spent = true;
    }
    let whole = read.is_ok() && skipped.is_empty() && !loose;
    if let Some(first) = skipped.first() {
        let finding = Finding::new(&rules::ARCHIVE_NOT_INSPECTED, first.clone());
        look.report_file(entry, content, finding);
    }
    let unreadable = "an archive that could not be read to its end";
    let (rule, what, why) = match read {
        Ok(()) => return Ok(whole),
        Err(Trouble::Archive(Error::Io(error))) => return Err(error),
        Err(Trouble::Archive(error)) => match error.rule() {
            Some(rule) if rule.id == rules::LAYER_BOMB.id => {
                (&rules::ARCHIVE_BOMB, rules::ARCHIVE_BOMB.title, error.to_string())
            }
            _ => (&rules::ARCHIVE_UNREADABLE, unreadable, error.to_string()),
        },
        Err(Trouble::Damaged(why)) => (&rules::ARCHIVE_UNREADABLE, unreadable, why),
        Err(Trouble::Broken(rule, why)) => (rule, rule.title, why),
    };
    let finding = Finding::new(rule, format!("this is {what}")).because([escape::terminal(&why)]);
    look.report_file(entry, content, finding);
    Ok(false)
}

/// One archive that is being read.
struct Inside<'l, 'a, 'e> {
    look: &'l mut Look<'a>,
    entry: &'e Entry,
    content: &'e Content,
    declared: Option<Option<&'e Declared>>,
    /// Why members were not looked at; the first few reasons.
    skipped: Vec<String>,
    /// Whether there are bytes that belong to no member.
    loose: bool,
}

impl Inside<'_, '_, '_> {
    /// Looks at one member like at a file. The name is `None` for what a compression holds.
    fn member(
        &mut self,
        name: Option<&[u8]>,
        mode: u32,
        reader: &mut dyn Read,
    ) -> Result<u64, Trouble> {
        let budget = &mut self.look.gathered.budget;
        budget.members = budget
            .members
            .checked_sub(1)
            .ok_or(Error::Limit(LimitExceeded { what: "members of archives", limit: MEMBERS }))?;
        let too_many =
            || Error::Limit(LimitExceeded { what: "unpacked bytes of archives", limit: BYTES });
        let limit = budget.bytes;
        let mut small = Vec::new();
        (&mut *reader).take(SMALL).read_to_end(&mut small)?;
        let spool = if (small.len() as u64) < SMALL {
            Spool::of(small)
        } else {
            let rest = io::Cursor::new(small).chain(reader);
            SpoolRoom::of(MEMORY).copy(rest, 0, limit).map_err(|error| match error {
                SpoolError::Long(_) => too_many(),
                SpoolError::Read(error) => error.into(),
                SpoolError::Write(error) => Error::Io(error),
            })?
        };
        let content = Content::whole(Arc::new(spool));
        let size = content.len();
        budget.bytes = limit.checked_sub(size).ok_or_else(too_many)?;
        let mut path = self.entry.path.clone();
        if !path.ends_with(b"!") {
            path.push(b'!');
        }
        if let Some(name) = name {
            let name = name.strip_prefix(b"./").unwrap_or(name);
            path.push(b'/');
            let name = name.strip_prefix(b"/").unwrap_or(name);
            path.extend_from_slice(name.get(..NAME).unwrap_or(name));
        }
        let entry = Entry {
            path,
            kind: Kind::File(content.clone()),
            mode: mode & 0o7777,
            uid: self.entry.uid,
            gid: self.entry.gid,
            mtime: self.entry.mtime,
            xattrs: Vec::new(),
        };
        self.look.content(&entry, &content, self.declared);
        Ok(size)
    }

    fn skip(&mut self, name: &[u8], why: &str) {
        if self.skipped.is_empty() {
            let name = name.get(..NAME).unwrap_or(name);
            self.skipped.push(format!("{} {why}", escape::bytes(name)));
        }
    }
}

/// Tells a broken stream from a medium that fails: the decoders report both as input errors,
/// and only those of the medium come from the operating system.
fn corrupt(trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Archive(Error::Io(error)) if error.raw_os_error().is_none() => {
            Trouble::Damaged(format!("it cannot be unpacked: {error}"))
        }
        other => other,
    }
}

/// Reads a number of two, four or eight bytes, little endian.
fn number(bytes: &[u8], at: usize, size: usize) -> Result<u64, Trouble> {
    let field = at.checked_add(size).and_then(|end| bytes.get(at..end));
    let field = field.ok_or_else(|| damaged("a header is cut off"))?;
    Ok(field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}
