//! Zip files, read by their central directory (PKWARE APPNOTE 6.3, section 4.3).
//!
//! Other readers go from one local header to the next. So everything that the two see must be
//! the same: each byte belongs to one member or to the directory, each name occurs once, and
//! headers and directory agree. What does not is a finding of its own, before anything is
//! unpacked: members that share bytes are how a small file unpacks to petabytes.

use super::stream::Packing;
use super::{Inside, NAME, Trouble, damaged, number};
use crate::archive::{Error, LimitExceeded};
use crate::binary::{ReadAt, Window};
use crate::finding::{Finding, escape, rules};
use crate::store::Content;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::ops::Range;

/// The end record with the longest comment.
const TAIL: u64 = 22 + 65_535;
const END: &[u8] = b"PK\x05\x06";
const LOCAL: &[u8] = b"PK\x03\x04";
/// How many places are named in a finding.
const NAMED: usize = 4;

/// Where the directory lies.
struct Directory {
    place: Range<u64>,
    count: u64,
    /// What all offsets count from.
    base: u64,
    /// Where the end record ends.
    end: u64,
}

/// A member, as the directory and its local header say alike.
#[derive(Clone)]
struct Member {
    /// Where its name lies.
    name: Range<u64>,
    /// From the local header to the end of the data, or of what describes it.
    whole: Range<u64>,
    data: Range<u64>,
    plain: u64,
    method: u64,
    flags: u64,
    mode: u32,
}

fn ambiguous(why: impl Into<String>) -> Trouble {
    Trouble::Broken(&rules::ZIP_AMBIGUOUS, why.into())
}

impl Inside<'_, '_, '_> {
    /// Looks at every member of a zip file.
    pub(super) fn zip(&mut self) -> Result<(), Trouble> {
        let content = self.content;
        let directory = directory(content)?;
        let most = self.look.gathered.budget.members;
        if directory.count > most {
            return Err(
                Error::from(LimitExceeded { what: "members of archives", limit: most }).into()
            );
        }
        let mut members = members(content, &directory)?;
        members.sort_by_key(|member| member.whole.start);
        let hidden = hidden(content, &directory, &members)?;
        for member in &members {
            self.zip_member(member)?;
        }
        if hidden.is_empty() {
            return Ok(());
        }
        self.loose = true;
        let evidence = hidden
            .iter()
            .take(NAMED)
            .map(|place| format!("{} bytes at byte {}", place.end - place.start, place.start));
        let message = "the directory of this zip file does not name all that is in it";
        let finding = Finding::new(&rules::ZIP_HIDDEN_MEMBER, message).because(evidence);
        self.look.report_file(self.entry, content, finding);
        for place in hidden {
            self.hidden_members(place)?;
        }
        Ok(())
    }

    fn zip_member(&mut self, member: &Member) -> Result<(), Trouble> {
        let content = self.content;
        let length = member.name.end - member.name.start;
        let name = content.read_vec(member.name.start, length as usize)?;
        if name.ends_with(b"/") && member.plain == 0 {
            return Ok(());
        }
        if member.flags & 0x41 != 0 {
            self.skip(&name, "is encrypted");
            return Ok(());
        }
        let packing = match member.method {
            0 => Packing::Stored,
            8 => Packing::Deflate,
            12 => Packing::Bzip2,
            93 => Packing::Zstd,
            95 => Packing::Xz,
            _ => {
                self.skip(&name, "is compressed in a way that karat does not know");
                return Ok(());
            }
        };
        let window = Window::new(content, member.data.clone());
        let name = name.get(..NAME).unwrap_or(&name);
        let read = self.unpack(Some(name), member.mode, &window, packing)?;
        if read != member.plain {
            return Err(ambiguous(format!(
                "{} has {read} bytes, and {} are promised",
                escape::bytes(name),
                member.plain
            )));
        }
        Ok(())
    }

    /// Looks at members that only readers see that go from header to header.
    fn hidden_members(&mut self, place: Range<u64>) -> Result<(), Trouble> {
        let mut position = place.start;
        while let Some(member) = lone_member(self.content, position..place.end)? {
            position = member.whole.end;
            self.zip_member(&member)?;
        }
        Ok(())
    }
}

/// Finds the one end record, and the directory by it.
fn directory(content: &Content) -> Result<Directory, Trouble> {
    let from = content.len().saturating_sub(TAIL);
    let tail = content.read_vec(from, TAIL as usize)?;
    let places: Vec<usize> = memchr::memmem::find_iter(&tail, END).collect();
    let fits = |at: &usize| {
        let comment = number(tail.get(*at..).unwrap_or_default(), 20, 2).unwrap_or(u64::MAX);
        comment.checked_add(*at as u64 + 22) == Some(tail.len() as u64)
    };
    let last = *places.last().ok_or_else(|| damaged("there is no end of the directory"))?;
    let fitting: Vec<usize> = places.iter().copied().filter(fits).collect();
    let at = match fitting[..] {
        // Bytes behind the end; they are told with those between the members.
        [] => last,
        [one] if one == last => one,
        _ => return Err(ambiguous("it has more than one end of the directory")),
    };
    let record = tail.get(at..).unwrap_or_default();
    let place = from + at as u64;
    let end = place + 22 + if fitting.is_empty() { 0 } else { number(record, 20, 2)? };
    let here = [number(record, 4, 2)?, number(record, 6, 2)?];
    let counts = [number(record, 8, 2)?, number(record, 10, 2)?];
    let (mut size, mut offset) = (number(record, 12, 4)?, number(record, 16, 4)?);
    if here != [0, 0] && here != [0xffff, 0xffff] || counts[0] != counts[1] {
        return Err(damaged("it is a part of several"));
    }
    let mut count = counts[1];
    let mut directory_end = place;
    if let Some(big) = zip64(content, place)? {
        let said = [(count, 0xffff, big.count), (size, u32::MAX.into(), big.size)];
        let said = said.into_iter().chain([(offset, u32::MAX.into(), big.offset)]);
        if said.into_iter().any(|(small, none, big)| small != none && small != big) {
            return Err(ambiguous("its two end records contradict each other"));
        }
        (count, size, offset, directory_end) = (big.count, big.size, big.offset, big.place);
    }
    let start =
        directory_end.checked_sub(size).ok_or_else(|| damaged("the directory is too long"))?;
    let base = start.checked_sub(offset).ok_or_else(|| damaged("the directory is elsewhere"))?;
    Ok(Directory { place: start..directory_end, count, base, end })
}

/// The end record of the zip64 form.
struct Zip64 {
    place: u64,
    count: u64,
    size: u64,
    offset: u64,
}

/// Reads the end record of the zip64 form, whose locator lies before the other.
fn zip64(content: &Content, end: u64) -> Result<Option<Zip64>, Trouble> {
    let Some(locator) = end.checked_sub(20) else { return Ok(None) };
    let found = content.read_vec(locator, 20)?;
    if !found.starts_with(b"PK\x06\x07") {
        return Ok(None);
    }
    let place = number(&found, 8, 8)?;
    if place >= locator {
        return Err(damaged("the zip64 end record is elsewhere"));
    }
    let record = content.read_vec(place, 56)?;
    let length = number(&record, 4, 8)?;
    if !record.starts_with(b"PK\x06\x06") || place.checked_add(length) != locator.checked_sub(12) {
        return Err(damaged("the zip64 end record is elsewhere"));
    }
    let (here, count) = (number(&record, 24, 8)?, number(&record, 32, 8)?);
    if here != count {
        return Err(damaged("it is a part of several"));
    }
    Ok(Some(Zip64 { place, count, size: number(&record, 40, 8)?, offset: number(&record, 48, 8)? }))
}

/// Reads the directory, and compares each member with its local header.
fn members(content: &Content, directory: &Directory) -> Result<Vec<Member>, Trouble> {
    let mut members = Vec::new();
    let mut names = HashSet::new();
    let mut position = directory.place.start;
    for _ in 0..directory.count {
        let header = content.read_vec(position, 46)?;
        if !header.starts_with(b"PK\x01\x02") || position >= directory.place.end {
            return Err(damaged("the directory is broken"));
        }
        let (names_length, extra_length) = (number(&header, 28, 2)?, number(&header, 30, 2)?);
        let name = position + 46..position + 46 + names_length;
        let text = content.read_vec(name.start, names_length as usize)?;
        let extra = content.read_vec(name.end, extra_length as usize)?;
        position = name.end + extra_length + number(&header, 32, 2)?;
        // Half of the digest keeps memory small, and a forged collision only refuses.
        let mut key = [0; 16];
        key.copy_from_slice(&Sha256::digest(&text)[..16]);
        if !names.insert(key) {
            return Err(ambiguous(format!("the name {} occurs twice", escape::bytes(&text))));
        }
        let sizes = [number(&header, 24, 4)?, number(&header, 20, 4)?, number(&header, 42, 4)?];
        let [plain, packed, offset] = long_numbers(sizes, &extra)?;
        let (flags, method) = (number(&header, 8, 2)?, number(&header, 10, 2)?);
        let local = directory.base.saturating_add(offset);
        let own = local_header(content, local)?
            .ok_or_else(|| damaged("the directory names a member that is not there"))?;
        if own.text != text {
            return Err(ambiguous(format!(
                "a member is called {} in the directory and {} before its data",
                escape::bytes(&text),
                escape::bytes(&own.text)
            )));
        }
        let later = flags & 8 != 0;
        if own.method != method
            || own.flags & 0x9 != flags & 0x9
            || !later && [own.plain, own.packed] != [plain, packed]
        {
            return Err(ambiguous(format!("{} is described in two ways", escape::bytes(&text))));
        }
        let end = own.data.checked_add(packed).filter(|end| *end <= directory.place.start);
        let end = end.ok_or_else(|| damaged("a member ends behind the members"))?;
        let whole = if later { local..described_until(content, end)? } else { local..end };
        members.push(Member {
            name,
            whole,
            data: own.data..end,
            plain,
            method,
            flags,
            mode: (number(&header, 38, 4)? >> 16) as u32,
        });
    }
    if position != directory.place.end {
        return Err(damaged("the directory ends elsewhere than it says"));
    }
    Ok(members)
}

/// What a local header says.
struct Local {
    text: Vec<u8>,
    name: Range<u64>,
    flags: u64,
    method: u64,
    packed: u64,
    plain: u64,
    data: u64,
}

fn local_header(content: &Content, at: u64) -> Result<Option<Local>, Trouble> {
    if at >= content.len() {
        return Ok(None);
    }
    let header = content.read_vec(at, 30)?;
    if !header.starts_with(LOCAL) || header.len() < 30 {
        return Ok(None);
    }
    let (names, extra) = (number(&header, 26, 2)?, number(&header, 28, 2)?);
    let name = at + 30..at + 30 + names;
    let text = content.read_vec(name.start, names as usize)?;
    let further = content.read_vec(name.end, extra as usize)?;
    let sizes = [number(&header, 22, 4)?, number(&header, 18, 4)?, 0];
    let [plain, packed, _] = long_numbers(sizes, &further)?;
    let data = name.end + extra;
    let (flags, method) = (number(&header, 6, 2)?, number(&header, 8, 2)?);
    Ok(Some(Local { text, name, flags, method, packed, plain, data }))
}

/// Replaces numbers that are all ones by those of the zip64 field (4.5.3): the size of the
/// data, of what it is packed into, and the offset.
fn long_numbers(mut numbers: [u64; 3], extra: &[u8]) -> Result<[u64; 3], Trouble> {
    if numbers.iter().all(|number| *number != 0xffff_ffff) {
        return Ok(numbers);
    }
    let mut rest = extra;
    while rest.len() >= 4 {
        let (id, length) = (number(rest, 0, 2)?, number(rest, 2, 2)? as usize);
        let field = rest.get(4..4 + length).ok_or_else(|| damaged("a field is cut off"))?;
        rest = rest.get(4 + length..).unwrap_or_default();
        if id == 1 {
            let small = numbers.iter_mut().filter(|number| **number == 0xffff_ffff);
            for (place, long) in small.enumerate() {
                *long = number(field, place * 8, 8)?;
            }
            return Ok(numbers);
        }
    }
    Err(damaged("a member of the zip64 form lacks its numbers"))
}

/// Returns the end of the descriptor that follows data whose size was not known before (4.3.9).
fn described_until(content: &Content, data_end: u64) -> Result<u64, Trouble> {
    let found = content.read_vec(data_end, 28)?;
    let begins = |at: usize| {
        let next = found.get(at..at + 4).unwrap_or_default();
        matches!(next, b"PK\x03\x04" | b"PK\x01\x02" | b"PK\x06\x06")
    };
    let signed = found.starts_with(b"PK\x07\x08");
    let lengths = if signed { [16, 24] } else { [12, 20] };
    let length = lengths.into_iter().find(|length| begins(*length));
    Ok(data_end + length.unwrap_or(0) as u64)
}

/// Returns the places that belong to no member, and refuses members that share bytes.
fn hidden(
    content: &Content,
    directory: &Directory,
    members: &[Member],
) -> Result<Vec<Range<u64>>, Trouble> {
    let mut hidden = Vec::new();
    let mut position = 0;
    for member in members {
        if member.whole.start < position {
            return Err(ambiguous("two members share bytes"));
        }
        if member.whole.start > position {
            hidden.push(position..member.whole.start);
        }
        position = member.whole.end;
    }
    if position > directory.place.start {
        return Err(ambiguous("a member and the directory share bytes"));
    }
    hidden.push(position..directory.place.start);
    hidden.push(directory.end..content.len());
    hidden.retain(|place| !place.is_empty());
    Ok(hidden)
}

/// Reads a member that no directory names, where its header says all that is needed.
fn lone_member(content: &Content, place: Range<u64>) -> Result<Option<Member>, Trouble> {
    let Some(own) = local_header(content, place.start)? else { return Ok(None) };
    let end = own.data.saturating_add(own.packed);
    if own.flags & 8 != 0 || end > place.end {
        return Ok(None);
    }
    Ok(Some(Member {
        name: own.name,
        whole: place.start..end,
        data: own.data..end,
        plain: own.plain,
        method: own.method,
        flags: own.flags,
        mode: 0,
    }))
}
