//! The outer archive of a package (deb(5); the common format of ar(5)).
//!
//! Takes a stream, gives its members in order. No long names, no symbol table: a package has
//! neither.

use std::io::{self, Read};

const MAGIC: &[u8] = b"!<arch>\n";
const HEADER: usize = 60;

/// Why an archive is none.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ArError {
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("it is no ar archive")]
    NoArchive,
    #[error("it ends in the middle of a member")]
    Truncated,
    #[error("the header at byte {0} is none")]
    Header(u64),
}

/// A member: its name and its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The name, at most 16 printable characters.
    pub name: String,
    /// How many bytes it has.
    pub size: u64,
}

/// Reads members one after another.
#[derive(Debug)]
pub struct Ar<R> {
    source: R,
    at: u64,
    /// Of the current member: the bytes that are not read yet, and the one that pads it.
    left: u64,
    padding: u64,
}

impl<R: Read> Ar<R> {
    /// Reads the magic.
    ///
    /// # Errors
    /// When the stream begins otherwise.
    pub fn new(mut source: R) -> Result<Self, ArError> {
        let mut magic = [0; MAGIC.len()];
        match source.read_exact(&mut magic) {
            Ok(()) if magic == *MAGIC => {}
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error.into()),
            _ => return Err(ArError::NoArchive),
        }
        Ok(Self { source, at: MAGIC.len() as u64, left: 0, padding: 0 })
    }

    /// Goes to the next member, past what was not read of the last one; none at the end.
    ///
    /// # Errors
    /// When the stream ends in the middle, or what follows is no header.
    pub fn next_member(&mut self) -> Result<Option<Member>, ArError> {
        io::copy(self, &mut io::sink())?;
        if self.left > 0 {
            return Err(ArError::Truncated);
        }
        if std::mem::take(&mut self.padding) == 1 {
            let mut pad = [0];
            match self.source.read(&mut pad)? {
                // Some writers leave it out behind the last member.
                0 => return Ok(None),
                _ if pad == *b"\n" => self.at += 1,
                _ => return Err(ArError::Header(self.at)),
            }
        }
        let mut header = Vec::with_capacity(HEADER);
        self.source.by_ref().take(HEADER as u64).read_to_end(&mut header)?;
        match header.len() {
            0 => return Ok(None),
            HEADER => {}
            _ => return Err(ArError::Truncated),
        }
        let member = member(&header).ok_or(ArError::Header(self.at))?;
        self.at += HEADER as u64 + member.size;
        self.left = member.size;
        self.padding = member.size % 2;
        Ok(Some(member))
    }
}

/// Gives the bytes of the current member.
impl<R: Read> Read for Ar<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        let count = self.source.read(&mut buf[..room])?;
        if count == 0 && room > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, ArError::Truncated));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

/// Reads a header: name, time, owner, group, mode, size, and two bytes that end it.
fn member(header: &[u8]) -> Option<Member> {
    let field = |range: std::ops::Range<usize>| {
        std::str::from_utf8(header.get(range)?).ok().map(|text| text.trim_end_matches(' '))
    };
    let name = field(0..16)?;
    // GNU ends names with a slash.
    let name = name.strip_suffix('/').unwrap_or(name);
    let plain = |c: u8| c.is_ascii_graphic() && c != b'/';
    if name.is_empty() || !name.bytes().all(plain) || header.get(58..60)? != b"`\n" {
        return None;
    }
    let digits = field(48..58)?;
    let size = digits.parse().ok().filter(|_| digits.bytes().all(|c| c.is_ascii_digit()))?;
    Some(Member { name: name.to_owned(), size })
}

#[cfg(test)]
pub(crate) mod testing {
    /// Writes an archive.
    pub(crate) fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = super::MAGIC.to_vec();
        for (name, content) in members {
            let header = format!(
                "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                0,
                0,
                0,
                "100644",
                content.len()
            );
            bytes.extend_from_slice(header.as_bytes());
            bytes.extend_from_slice(content);
            if content.len() % 2 == 1 {
                bytes.push(b'\n');
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::testing::ar;
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, ArError> {
        let mut archive = Ar::new(bytes)?;
        let mut members = Vec::new();
        while let Some(member) = archive.next_member()? {
            let mut content = Vec::new();
            archive.read_to_end(&mut content)?;
            assert_eq!(content.len() as u64, member.size);
            members.push((member.name, content));
        }
        Ok(members)
    }

    #[test]
    fn members_come_in_order() {
        let bytes =
            ar(&[("debian-binary", b"2.0\n"), ("odd", b"abc"), ("empty/", b""), ("x", b"y")]);
        let members = read(&bytes).unwrap();
        let names: Vec<_> = members.iter().map(|(name, _)| &name[..]).collect();
        assert_eq!(names, ["debian-binary", "odd", "empty", "x"]);
        assert_eq!(members[1].1, b"abc");
        assert_eq!(read(&bytes[..bytes.len() - 1]).unwrap(), members, "the last pad is missing");
        let mut skipping = Ar::new(&bytes[..]).unwrap();
        assert_eq!(skipping.next_member().unwrap().unwrap().size, 4);
        assert_eq!(skipping.next_member().unwrap().unwrap().name, "odd");
    }

    #[test]
    fn every_cut_and_every_wrong_header_is_refused() {
        let bytes = ar(&[("a", b"12345"), ("b", b"6789")]);
        for cut in 0..bytes.len() {
            // Behind a whole member, with its pad or without, the archive may end.
            if [8, 8 + 60 + 5, 8 + 60 + 6].contains(&cut) {
                assert!(read(&bytes[..cut]).is_ok(), "{cut}");
            } else {
                assert!(read(&bytes[..cut]).is_err(), "{cut}");
            }
        }
        for (at, byte) in [
            (0, b'?'),
            (8, b'/'),
            (8, b' '),
            (8, 0),
            (56, b'-'),
            (56, b'x'),
            (66, b'\''),
            (67, b'x'),
            (73, b'x'),
        ] {
            let mut broken = bytes.clone();
            broken[at] = byte;
            assert!(read(&broken).is_err(), "{at}");
        }
        let mut long = bytes.clone();
        long[56..66].copy_from_slice(b"9999999999");
        assert!(read(&long).is_err());
    }
}
