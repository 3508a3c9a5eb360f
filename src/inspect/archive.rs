//! Rules about archives inside the image: their members are looked at like files.
//!
//! Bounded in every direction: how deep archives lie in archives, how many members and
//! how many bytes of one image are unpacked, and how far a stream may grow.

use super::{Declared, Look};
use crate::archive::reader::LayerReader;
use crate::archive::{Compression, Error, LimitExceeded, Limits, tar_walk};
use crate::binary::format::Archive;
use crate::binary::{ReadAt, Window};
use crate::finding::{Finding, escape, rules};
use crate::image::{Entry, Kind};
use crate::store::{Content, Cursor, Spool, SpoolError, SpoolRoom};
use std::io::{self, Read};
use std::sync::Arc;

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
#[derive(Debug)]
pub(super) struct Budget {
    archives: u8,
    compressions: u8,
    bytes: u64,
    members: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { archives: DEPTH, compressions: DEPTH, bytes: BYTES, members: MEMBERS }
    }
}

/// Why an archive was not read to its end.
enum Trouble {
    Archive(Error),
    /// The bytes contradict themselves, or go beyond what is read.
    Damaged(String),
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
    let budget = &mut look.budget;
    let left = match kind {
        Archive::Gzip | Archive::Zstd => &mut budget.compressions,
        _ => &mut budget.archives,
    };
    let Some(less) = left.checked_sub(1) else {
        let message = format!("archives lie in each other more than {DEPTH} deep");
        look.report_file(entry, content, Finding::new(&rules::ARCHIVE_UNREADABLE, message));
        return Ok(false);
    };
    let before = std::mem::replace(left, less);
    let mut inside = Inside { look, entry, content, declared, skipped: Vec::new() };
    let read = match kind {
        Archive::Gzip => inside.stream(Compression::Gzip),
        Archive::Zstd => inside.stream(Compression::Zstd),
        Archive::Tar => inside.tar(),
        Archive::Zip => inside.zip(),
        Archive::Ar => inside.ar(),
        Archive::Other(name) => {
            inside.skipped.push(format!("this is an archive of the kind {name}"));
            Ok(())
        }
    };
    let skipped = inside.skipped;
    match kind {
        Archive::Gzip | Archive::Zstd => look.budget.compressions = before,
        _ => look.budget.archives = before,
    }
    let whole = read.is_ok() && skipped.is_empty();
    if let Some(first) = skipped.first() {
        let finding = Finding::new(&rules::ARCHIVE_NOT_INSPECTED, first.clone());
        look.report_file(entry, content, finding);
    }
    let why = match read {
        Ok(()) => return Ok(whole),
        Err(Trouble::Archive(Error::Io(error))) => return Err(error),
        Err(Trouble::Archive(error)) => error.to_string(),
        Err(Trouble::Damaged(why)) => why,
    };
    let finding =
        Finding::new(&rules::ARCHIVE_UNREADABLE, "this archive could not be read to its end")
            .because([escape::terminal(&why)]);
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
}

impl Inside<'_, '_, '_> {
    /// Looks at one member like at a file. The name is `None` for what a compression holds.
    fn member(
        &mut self,
        name: Option<&[u8]>,
        mode: u32,
        reader: &mut dyn Read,
    ) -> Result<u64, Trouble> {
        let budget = &mut self.look.budget;
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

    fn stream(&mut self, compression: Compression) -> Result<(), Trouble> {
        let limits = Limits {
            max_uncompressed: self.look.budget.bytes,
            max_ratio: RATIO as u32,
            ratio_grace: RATIO_GRACE,
            max_window_log: WINDOW_LOG,
            ..Limits::default()
        };
        let mut reader = LayerReader::new(self.content.reader(), compression, &limits)?;
        self.member(None, 0, &mut reader)?;
        reader.finish()?;
        Ok(())
    }

    fn tar(&mut self) -> Result<(), Trouble> {
        let limits = Limits {
            max_entries: self.look.budget.members,
            max_file: self.look.budget.bytes,
            ..Limits::default()
        };
        let content = self.content;
        let mut visit = |member: tar_walk::Member, data: &mut dyn Read| -> Result<(), Trouble> {
            if member.kind == tar_walk::Kind::File {
                self.member(Some(&member.path), member.mode, data)?;
            }
            Ok(())
        };
        tar_walk::walk(content.reader(), &limits, &mut visit)?;
        Ok(())
    }

    fn skip(&mut self, name: &[u8], why: &str) {
        if self.skipped.is_empty() {
            let name = name.get(..NAME).unwrap_or(name);
            self.skipped.push(format!("{} {why}", escape::bytes(name)));
        }
    }

    /// Reads a zip file by its central directory (PKWARE APPNOTE, 4.3). What the local
    /// headers say must agree.
    fn zip(&mut self) -> Result<(), Trouble> {
        /// The end record with the longest comment.
        const TAIL: u64 = 22 + 65_535;
        let content = self.content;
        let tail_start = content.len().saturating_sub(TAIL);
        let tail = content.read_vec(tail_start, TAIL as usize)?;
        let end = memchr::memmem::rfind(&tail, b"PK\x05\x06")
            .ok_or_else(|| damaged("there is no end of the directory"))?;
        let record = tail.get(end..).unwrap_or_default();
        let (count, size, offset) =
            (number(record, 10, 2)?, number(record, 12, 4)?, number(record, 16, 4)?);
        if count == 0xffff || size == 0xffff_ffff || offset == 0xffff_ffff {
            return Err(damaged("it is of the zip64 form, which is not read"));
        }
        let end = tail_start + end as u64;
        let start = end.checked_sub(size).ok_or_else(|| damaged("the directory is too long"))?;
        let base =
            start.checked_sub(offset).ok_or_else(|| damaged("the directory is elsewhere"))?;
        let mut position = start;
        for _ in 0..count {
            let header = content.read_vec(position, 46)?;
            if !header.starts_with(b"PK\x01\x02") {
                return Err(damaged("the directory is broken"));
            }
            let names = number(&header, 28, 2)?;
            let name = content.read_vec(position + 46, names as usize)?;
            position += 46 + names + number(&header, 30, 2)? + number(&header, 32, 2)?;
            let (flags, method) = (number(&header, 8, 2)?, number(&header, 10, 2)?);
            let (packed, plain) = (number(&header, 20, 4)?, number(&header, 24, 4)?);
            let local = base + number(&header, 42, 4)?;
            let mode = (number(&header, 38, 4)? >> 16) as u32;
            if packed == 0xffff_ffff || plain == 0xffff_ffff {
                return Err(damaged("it is of the zip64 form, which is not read"));
            }
            let header = content.read_vec(local, 30)?;
            if !header.starts_with(b"PK\x03\x04") || number(&header, 26, 2)? != names {
                return Err(damaged("the directory names a member that is not there"));
            }
            if content.read_vec(local + 30, names as usize)? != name {
                return Err(damaged("a member has two names"));
            }
            let data = local + 30 + names + number(&header, 28, 2)?;
            if data.saturating_add(packed) > content.len() {
                return Err(damaged("a member ends behind the file"));
            }
            if name.ends_with(b"/") && plain == 0 {
                continue;
            }
            if flags & 1 != 0 {
                self.skip(&name, "is encrypted");
                continue;
            }
            let window = Window::new(content, data..data + packed);
            let read = match method {
                0 => self.member(Some(&name), mode, &mut Cursor::new(&window))?,
                8 => {
                    let most = packed.saturating_mul(RATIO).max(RATIO_GRACE);
                    let decoder = flate2::read::DeflateDecoder::new(Cursor::new(&window));
                    let read = self
                        .member(Some(&name), mode, &mut decoder.take(most + 1))
                        .map_err(corrupt)?;
                    if read > most {
                        return Err(damaged("a member grows too much"));
                    }
                    read
                }
                _ => {
                    self.skip(&name, "is compressed in a way that karat does not know");
                    continue;
                }
            };
            if read != plain {
                return Err(damaged("a member has another size than it says"));
            }
        }
        if position != end {
            return Err(damaged("the directory ends elsewhere than it says"));
        }
        Ok(())
    }

    /// Reads an ar archive, as of static libraries and Debian packages.
    fn ar(&mut self) -> Result<(), Trouble> {
        let content = self.content;
        let mut position = 8;
        let mut is_package = false;
        while position < content.len() {
            let header = content.read_vec(position, 60)?;
            let text = |range: std::ops::Range<usize>| {
                let field = header.get(range).unwrap_or_default();
                String::from_utf8_lossy(field).trim().to_owned()
            };
            if header.get(58..60) != Some(b"`\n") {
                return Err(damaged("a header of a member is broken"));
            }
            let size: u64 = text(48..58).parse().map_err(|_| damaged("a size is no number"))?;
            let mode = u32::from_str_radix(&text(40..48), 8).unwrap_or(0);
            let name = text(0..16);
            is_package |= name.starts_with("debian-binary");
            // The names of BSD stand before the data.
            let before: u64 = name.strip_prefix("#1/").and_then(|n| n.parse().ok()).unwrap_or(0);
            let start = position + 60;
            let end = start.checked_add(size).filter(|end| *end <= content.len());
            let end = end.ok_or_else(|| damaged("a member ends behind the archive"))?;
            let window = Window::new(content, start.saturating_add(before)..end);
            let shown = name.trim_end_matches('/').to_owned();
            if !shown.is_empty() && shown != "/SYM64" {
                self.member(Some(shown.as_bytes()), mode, &mut Cursor::new(&window))?;
            }
            position = end + size % 2;
        }
        if !is_package {
            let finding = Finding::new(&rules::FOREIGN_EXECUTABLE, "this is a static library");
            self.look.report_file(self.entry, content, finding);
        }
        Ok(())
    }
}

/// Tells a broken stream from a medium that fails: the decoder reports both as input errors.
fn corrupt(trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Archive(Error::Io(error))
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput
                    | io::ErrorKind::InvalidData
                    | io::ErrorKind::UnexpectedEof
            ) =>
        {
            Trouble::Damaged(format!("a member cannot be unpacked: {error}"))
        }
        other => other,
    }
}

/// Reads a number of two or four bytes, little endian.
fn number(bytes: &[u8], at: usize, size: usize) -> Result<u64, Trouble> {
    let field = at.checked_add(size).and_then(|end| bytes.get(at..end));
    let field = field.ok_or_else(|| damaged("a header is cut off"))?;
    Ok(field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}
