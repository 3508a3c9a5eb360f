//! Walks the members of a foreign tar archive, strictly.
//!
//! Every member is reported as the headers write it; every archive that two
//! readers could understand differently is refused with an [`Ambiguity`]. The
//! walk ends only at the end of the stream, so decompressors beneath have
//! checked their trailers by then. Memory: one member's headers and 16 bytes
//! per path seen, whatever the archive claims.
//!
//! Input: an uncompressed stream. Output: [`Member`] values with their data, and
//! a [`Summary`]. Merging layers, whiteouts and judging paths are not done here:
//! `..`, absolute paths and devices are passed on.

use std::collections::HashSet;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

pub use super::tar_pax::Xattr;

use super::ambiguity::Ambiguity;
use super::limits::{LimitExceeded, Limits};
use super::tar_field::{BLOCK, Format, RawHeader};
use super::{Error, tar_field, tar_pax};

/// Size from which a PAX record is needed and may differ from the ustar field.
const USTAR_SIZE_END: u64 = 0o100_000_000_000;

/// Describes one member as its headers do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The path as written, never empty and without NUL; not normalised, may be
    /// absolute, contain `..`, or not be UTF-8.
    pub path: Vec<u8>,
    /// What the member is.
    pub kind: Kind,
    /// The mode field; old writers put file type bits above `0o7777`.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Modification time in seconds since 1970.
    pub mtime: i64,
    /// Bytes of data; 0 for everything but files.
    pub size: u64,
    /// Extended attributes, in the order written.
    pub xattrs: Vec<Xattr>,
    /// Where the data begins, in bytes of the uncompressed stream.
    pub data_offset: u64,
}

/// Says what a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Type `0`, NUL or `7`.
    File,
    /// Type `1`, with the path of another member as written.
    Hardlink {
        /// Never empty, without NUL.
        target: Vec<u8>,
    },
    /// Type `2`, with its text as written.
    Symlink {
        /// Never empty, without NUL.
        target: Vec<u8>,
    },
    /// Type `3`.
    CharDevice {
        /// Major number.
        major: u64,
        /// Minor number.
        minor: u64,
    },
    /// Type `4`.
    BlockDevice {
        /// Major number.
        major: u64,
        /// Minor number.
        minor: u64,
    },
    /// Type `5`.
    Directory,
    /// Type `6`.
    Fifo,
}

/// Reports how a completely read archive ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Members visited.
    pub members: u64,
    /// Bytes of the stream, padding included.
    pub bytes: u64,
    /// How the end was marked.
    pub end: End,
}

/// Says how the end of an archive was marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Two zero blocks, as POSIX demands.
    Marked,
    /// One zero block and then the end of the stream.
    HalfMarked,
    /// The stream ended after a member; truncation there goes unnoticed (TAR-011).
    Unmarked,
}

/// Calls `visit` with every member and its data, and reads to the end.
///
/// What `visit` leaves unread is skipped. Its own errors end the walk; an error
/// of the stream that `visit` ran into wins over the error it made of it.
///
/// # Errors
///
/// [`Error::Ambiguous`], [`Error::Limit`], the errors of `reader`, or those of
/// `visit`.
pub fn walk<R: Read, E: From<Error>>(
    reader: R,
    limits: &Limits,
    visit: &mut dyn FnMut(Member, &mut dyn Read) -> Result<(), E>,
) -> Result<Summary, E> {
    let mut walk = Walk::new(reader, limits);
    loop {
        let (member, offset) = match walk.next_member() {
            Ok(Step::Member(member, offset)) => (member, offset),
            Ok(Step::End(end)) => return Ok(walk.drain(end)?),
            Err(error) => return Err(error.in_entry(&walk.current).into()),
        };
        let size = member.size;
        let mut data = Data { source: &mut walk.source, header: offset, left: size, failure: None };
        let visited = visit(member, &mut data);
        if let Some(failure) = data.failure.take() {
            return Err(failure.in_entry(&walk.current).into());
        }
        visited?;
        data.skip()
            .and_then(|()| walk.source.skip_padding(size, offset))
            .map_err(|error| error.in_entry(&walk.current))?;
    }
}

enum Step {
    Member(Member, u64),
    End(End),
}

struct Walk<'a, R> {
    source: Source<R>,
    limits: &'a Limits,
    headers: u64,
    members: u64,
    seen: HashSet<[u8; 16]>,
    /// The name of the entry that is being read, as far as it is known; for messages alone.
    current: Vec<u8>,
}

/// Extension headers read since the last member.
#[derive(Default)]
struct Pending {
    bytes: u64,
    pax: Option<tar_pax::Records>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl Pending {
    /// Returns the name that an extension header gives the next entry.
    fn path(&self) -> Option<&Vec<u8>> {
        self.pax.as_ref().and_then(|pax| pax.path.as_ref()).or(self.name.as_ref())
    }

    fn is_empty(&self) -> bool {
        self.pax.is_none() && self.name.is_none() && self.link.is_none()
    }
}

impl<'a, R: Read> Walk<'a, R> {
    fn new(reader: R, limits: &'a Limits) -> Self {
        Self {
            source: Source { inner: reader, offset: 0 },
            limits,
            headers: 0,
            members: 0,
            seen: HashSet::new(),
            current: Vec::new(),
        }
    }

    fn next_member(&mut self) -> Result<Step, Error> {
        let mut pending = Pending::default();
        loop {
            let offset = self.source.offset;
            let at = |ambiguity| Error::ambiguous(offset, ambiguity);
            let block = match self.source.block()? {
                Some(block) if block != [0; BLOCK] => block,
                _ if !pending.is_empty() => return Err(at(Ambiguity::DanglingExtension)),
                None => return Ok(Step::End(End::Unmarked)),
                Some(_) => return self.second_zero_block(offset),
            };
            self.current = pending.path().cloned().unwrap_or_else(|| tar_field::raw_name(&block));
            let header = RawHeader::new(&block).map_err(at)?;
            if !matches!(header.kind(), b'x' | b'L' | b'K') {
                self.headers += 1;
                let most = self.limits.max_entries;
                LimitExceeded::check(LimitExceeded::ENTRIES, self.headers, most)?;
            }
            if matches!(header.kind(), b'x' | b'g' | b'L' | b'K') {
                // Without a magic Rust's tar takes them for files, Go's for extensions.
                if header.format == Format::V7 {
                    return Err(at(Ambiguity::UnknownType { kind: char::from(header.kind()) }));
                }
                let data = self.extension(&header, &mut pending, offset)?;
                extend(&mut pending, header.kind(), data).map_err(at)?;
                continue;
            }
            let mut member = member(&header, pending).map_err(at)?;
            self.current.clone_from(&member.path);
            self.check_limits(&member)?;
            self.check_unique(&member).map_err(at)?;
            member.data_offset = self.source.offset;
            self.members += 1;
            return Ok(Step::Member(member, offset));
        }
    }

    fn second_zero_block(&mut self, offset: u64) -> Result<Step, Error> {
        match self.source.block()? {
            None => Ok(Step::End(End::HalfMarked)),
            Some(block) if block == [0; BLOCK] => Ok(Step::End(End::Marked)),
            Some(block) => {
                self.current = tar_field::raw_name(&block);
                Err(Error::ambiguous(offset, Ambiguity::LoneZeroBlock))
            }
        }
    }

    /// Reads the data of an `x`, `g`, `L` or `K` header, within the limit.
    fn extension(
        &mut self,
        header: &RawHeader<'_>,
        pending: &mut Pending,
        offset: u64,
    ) -> Result<Vec<u8>, Error> {
        let at = |ambiguity| Error::ambiguous(offset, ambiguity);
        // Go reads every field of an extension header, and refuses what others never look at.
        header.check().map_err(at)?;
        let size = header.size().map_err(at)?;
        pending.bytes = pending.bytes.saturating_add(size);
        let limit = self.limits.max_header_bytes;
        LimitExceeded::check("tar extension header bytes", pending.bytes, limit)?;
        let mut data = Vec::new();
        self.source.by_ref().take(size).read_to_end(&mut data)?;
        if data.len() as u64 != size {
            return Err(at(Ambiguity::Truncated));
        }
        self.source.skip_padding(size, offset)?;
        Ok(data)
    }

    fn check_limits(&self, member: &Member) -> Result<(), LimitExceeded> {
        let limits = self.limits;
        LimitExceeded::check("file bytes", member.size, limits.max_file)?;
        let path = &member.path;
        LimitExceeded::check("path bytes", path.len() as u64, limits.max_path as u64)?;
        for component in path.split(|&byte| byte == b'/') {
            let (length, limit) = (component.len() as u64, limits.max_component as u64);
            LimitExceeded::check("path component bytes", length, limit)?;
        }
        if let Kind::Hardlink { target } | Kind::Symlink { target } = &member.kind {
            let (length, limit) = (target.len() as u64, limits.max_path as u64);
            LimitExceeded::check("link target bytes", length, limit)?;
        }
        Ok(())
    }

    /// Refuses a second entry for one path; `a`, `./a`, `/a` and `a//` are one path.
    fn check_unique(&mut self, member: &Member) -> Result<(), Ambiguity> {
        let mut hash = Sha256::new();
        for component in member.path.split(|&byte| byte == b'/') {
            if !matches!(component, b"" | b".") {
                hash.update(component);
                hash.update(b"/");
            }
        }
        // Half of the digest: memory stays small, and a forged collision only refuses.
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        if !self.seen.insert(key) {
            let path = String::from_utf8_lossy(&member.path).into_owned();
            return Err(Ambiguity::DuplicatePath { path });
        }
        Ok(())
    }

    /// Reads what follows the end marker, which may only be a little padding.
    fn drain(mut self, end: End) -> Result<Summary, Error> {
        let offset = self.source.offset;
        let refuse = |reason| Error::ambiguous(offset, Ambiguity::AfterEnd { reason });
        let mut buffer = [0; 4096];
        loop {
            let count = self.source.read_some(&mut buffer)?;
            if count == 0 {
                break;
            }
            if buffer[..count].iter().any(|&byte| byte != 0) {
                return Err(refuse("data"));
            }
            if self.source.offset - offset > self.limits.max_padding {
                return Err(refuse("too much padding"));
            }
        }
        Ok(Summary { members: self.members, bytes: self.source.offset, end })
    }
}

/// Adds an extension header to those that wait for their entry.
fn extend(pending: &mut Pending, kind: u8, data: Vec<u8>) -> Result<(), Ambiguity> {
    let repeated = Ambiguity::RepeatedExtension { kind: char::from(kind) };
    match kind {
        b'g' if !pending.is_empty() => return Err(Ambiguity::DanglingExtension),
        b'g' => {
            tar_pax::global(&data)?;
            pending.bytes = 0;
        }
        b'x' if pending.pax.is_some() => return Err(repeated),
        b'x' => pending.pax = Some(tar_pax::entry(&data)?),
        _ => {
            let has_size = |pax: &tar_pax::Records| pax.size.is_some();
            if pending.pax.as_ref().is_some_and(has_size) {
                return Err(Ambiguity::PaxSizeBeforeLongName);
            }
            let slot = if kind == b'L' { &mut pending.name } else { &mut pending.link };
            if slot.replace(long_name(data)?).is_some() {
                return Err(repeated);
            }
        }
    }
    Ok(())
}

/// Takes the NUL off a GNU long name.
fn long_name(mut data: Vec<u8>) -> Result<Vec<u8>, Ambiguity> {
    if data.last() == Some(&0) {
        data.pop();
    }
    if data.contains(&0) {
        return Err(Ambiguity::NulInExtendedName);
    }
    if data.is_empty() {
        return Err(Ambiguity::EmptyName { field: "long name" });
    }
    Ok(data)
}

fn member(header: &RawHeader<'_>, pending: Pending) -> Result<Member, Ambiguity> {
    let pax = pending.pax.unwrap_or_default();
    let header_path = header.path()?;
    let header_link = header.link()?;
    let path = one_name(pax.path, pending.name)?.unwrap_or(header_path);
    let link = one_name(pax.link, pending.link)?.unwrap_or_else(|| header_link.to_vec());
    if path.is_empty() {
        return Err(Ambiguity::EmptyName { field: "path" });
    }
    let header_size = header.size()?;
    let size = pax.size.unwrap_or(header_size);
    if size != header_size && size < USTAR_SIZE_END {
        return Err(Ambiguity::PaxSize { pax: size, header: header_size });
    }
    let (major, minor) = header.device()?;
    let target = |target: Vec<u8>| match target.is_empty() {
        true => Err(Ambiguity::EmptyName { field: "link target" }),
        false => Ok(target),
    };
    let kind = match header.kind() {
        b'0' | b'7' | 0 => Kind::File,
        b'1' => Kind::Hardlink { target: target(link)? },
        b'2' => Kind::Symlink { target: target(link)? },
        b'3' => Kind::CharDevice { major, minor },
        b'4' => Kind::BlockDevice { major, minor },
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        b'S' => return Err(Ambiguity::Sparse),
        other => {
            return Err(Ambiguity::UnknownType { kind: char::from(other) });
        }
    };
    if kind != Kind::File && size.max(header_size) != 0 {
        let kind = char::from(header.kind());
        return Err(Ambiguity::SizeWithoutData { kind, size });
    }
    if kind != Kind::Directory && path.ends_with(b"/") {
        return Err(Ambiguity::SlashAfterFile);
    }
    let header_mtime = i64::try_from(header.mtime()?).unwrap_or(i64::MAX);
    let (header_uid, header_gid) = (header.uid()?, header.gid()?);
    Ok(Member {
        path,
        kind,
        mode: header.mode()?,
        uid: pax.uid.unwrap_or(header_uid),
        gid: pax.gid.unwrap_or(header_gid),
        mtime: pax.mtime.unwrap_or(header_mtime),
        size,
        xattrs: pax.xattrs,
        data_offset: 0,
    })
}

fn one_name(pax: Option<Vec<u8>>, gnu: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, Ambiguity> {
    if pax.is_some() && gnu.is_some() {
        return Err(Ambiguity::TwoLongNames);
    }
    Ok(pax.or(gnu))
}

/// The archive stream with its position.
struct Source<R> {
    inner: R,
    offset: u64,
}

impl<R: Read> Source<R> {
    fn read_some(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(buf) {
                Ok(count) => {
                    self.offset += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads one block, or `None` at a clean end of the stream.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Error> {
        let start = self.offset;
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.read_some(&mut block[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(truncated(start)),
                count => filled += count,
            }
        }
        Ok(Some(block))
    }

    /// Skips to the next block after `size` bytes of data.
    ///
    /// Its content is free: no reader looks at it, and some writers leave rubbish.
    fn skip_padding(&mut self, size: u64, header: u64) -> Result<(), Error> {
        let mut rest = [0; BLOCK];
        let length = super::tar_write::padding(size);
        let mut filled = 0;
        while filled < length {
            match self.read_some(&mut rest[filled..length])? {
                0 => return Err(truncated(header)),
                count => filled += count,
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_some(buf)
    }
}

/// The data of one member.
struct Data<'a, R> {
    source: &'a mut Source<R>,
    header: u64,
    left: u64,
    failure: Option<Error>,
}

impl<R: Read> Data<'_, R> {
    fn advance(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let room = buf.len().min(left);
        if room == 0 {
            return Ok(0);
        }
        let count = self.source.read_some(&mut buf[..room])?;
        if count == 0 {
            return Err(truncated(self.header));
        }
        self.left -= count as u64;
        Ok(count)
    }

    fn skip(mut self) -> Result<(), Error> {
        let mut buffer = [0; 16 * 1024];
        while self.left > 0 {
            self.advance(&mut buffer)?;
        }
        Ok(())
    }
}

impl<R: Read> Read for Data<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.advance(buf).map_err(|error| {
            let message = error.to_string();
            self.failure.get_or_insert(error);
            io::Error::new(io::ErrorKind::InvalidData, message)
        })
    }
}

fn truncated(offset: u64) -> Error {
    Error::ambiguous(offset, Ambiguity::Truncated)
}
