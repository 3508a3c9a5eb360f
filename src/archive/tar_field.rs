//! Reads the fields of one 512-byte tar header, without interpretation.
//!
//! Input: a raw block. Output: field values, or the [`Ambiguity`] that makes a
//! field mean different things to different readers. Offsets: POSIX.1-2017 pax,
//! "ustar Interchange Format"; GNU fields: tar manual, "Basic Tar Format".

use std::ops::Range;

use super::Ambiguity;

pub(super) const BLOCK: usize = 512;

const CHECKSUM: Range<usize> = 148..156;

/// Which fields exist beyond the linkname.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    V7,
    Ustar,
    Gnu,
}

/// A header block whose checksum and magic were checked.
#[derive(Debug)]
pub(super) struct RawHeader<'a> {
    block: &'a [u8; BLOCK],
    pub(super) format: Format,
}

impl<'a> RawHeader<'a> {
    pub(super) fn new(block: &'a [u8; BLOCK]) -> Result<Self, Ambiguity> {
        let sum: u64 = block
            .iter()
            .enumerate()
            .map(|(at, &byte)| u64::from(if CHECKSUM.contains(&at) { b' ' } else { byte }))
            .sum();
        // Only the unsigned sum of POSIX: signed sums differ where names leave ASCII.
        if number(&block[CHECKSUM]) != Some(Some(sum)) {
            return Err(Ambiguity::Checksum);
        }
        let format = match &block[257..265] {
            // star's trailer makes Go read a shorter prefix than others do.
            b"ustar\x0000" if &block[508..] != b"tar\0" => Format::Ustar,
            b"ustar  \0" => Format::Gnu,
            [0, 0, 0, 0, 0, 0, 0, 0] => Format::V7,
            _ => return Err(Ambiguity::UnknownFormat),
        };
        Ok(Self { block, format })
    }

    pub(super) fn kind(&self) -> u8 {
        self.block[156]
    }

    /// Returns prefix and name joined as POSIX says.
    pub(super) fn path(&self) -> Result<Vec<u8>, Ambiguity> {
        let name = text(&self.block[..100], "name")?;
        if self.format != Format::Ustar {
            return Ok(name.to_vec());
        }
        let prefix = text(&self.block[345..500], "prefix")?;
        if prefix.is_empty() {
            return Ok(name.to_vec());
        }
        Ok([prefix, b"/", name].concat())
    }

    pub(super) fn link(&self) -> Result<&'a [u8], Ambiguity> {
        text(&self.block[157..257], "linkname")
    }

    /// Returns the size, the one number that must not be blank.
    pub(super) fn size(&self) -> Result<u64, Ambiguity> {
        let field = "size";
        let value = number(&self.block[124..136]).flatten();
        value.ok_or(Ambiguity::Number { field })
    }

    pub(super) fn mode(&self) -> Result<u32, Ambiguity> {
        let field = "mode";
        let value = self.optional(100..108, field)?;
        u32::try_from(value).map_err(|_| Ambiguity::Number { field })
    }

    pub(super) fn uid(&self) -> Result<u64, Ambiguity> {
        self.optional(108..116, "uid")
    }

    pub(super) fn gid(&self) -> Result<u64, Ambiguity> {
        self.optional(116..124, "gid")
    }

    pub(super) fn mtime(&self) -> Result<u64, Ambiguity> {
        self.optional(136..148, "mtime")
    }

    /// Returns the device numbers, and checks GNU's times on the way.
    ///
    /// Go takes bad GNU times as a sign that the field is a ustar prefix.
    pub(super) fn device(&self) -> Result<(u64, u64), Ambiguity> {
        match self.format {
            Format::V7 => return Ok((0, 0)),
            Format::Ustar => {}
            Format::Gnu => {
                self.optional(345..357, "atime")?;
                self.optional(357..369, "ctime")?;
            }
        }
        let major = self.optional(329..337, "devmajor")?;
        let minor = self.optional(337..345, "devminor")?;
        Ok((major, minor))
    }

    /// Checks all fields, of a header of which only the size counts.
    pub(super) fn check(&self) -> Result<(), Ambiguity> {
        self.path()?;
        self.link()?;
        self.mode()?;
        self.uid()?;
        self.gid()?;
        self.mtime()?;
        self.device().map(drop)
    }

    fn optional(&self, range: Range<usize>, field: &'static str) -> Result<u64, Ambiguity> {
        let value = number(&self.block[range]).ok_or(Ambiguity::Number { field })?;
        Ok(value.unwrap_or(0))
    }
}

/// Returns the name field of a block that may be no header, for messages alone.
pub(super) fn raw_name(block: &[u8; BLOCK]) -> Vec<u8> {
    block[..100].iter().copied().take_while(|&byte| byte != 0).collect()
}

/// Returns the text before the first NUL; the field may also be full.
fn text<'a>(field: &'a [u8], name: &'static str) -> Result<&'a [u8], Ambiguity> {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    if field[end..].iter().any(|&byte| byte != 0) {
        return Err(Ambiguity::BytesAfterNul { field: name });
    }
    Ok(&field[..end])
}

/// Returns `None` for what is no number up to 2^63 - 1, `Some(None)` for a blank.
///
/// Accepted: leading spaces, octal digits, then only spaces and NULs; or GNU's
/// base 256 with the first byte exactly 0x80, because readers use different
/// numbers of its remaining bits.
fn number(field: &[u8]) -> Option<Option<u64>> {
    if let [0x80, rest @ ..] = field {
        let mut value: u64 = 0;
        for &byte in rest {
            value = value.checked_mul(256)?.checked_add(u64::from(byte))?;
        }
        return (value <= i64::MAX as u64).then_some(Some(value));
    }
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|&byte| byte != b' ').unwrap_or(field.len());
    let digits = field[start..].iter().take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    let (octal, rest) = field[start..].split_at(digits);
    if !rest.iter().all(blank) {
        return None;
    }
    if octal.is_empty() {
        return Some(None);
    }
    // Fields have at most 12 bytes, 36 bits.
    Some(Some(octal.iter().fold(0, |value, digit| value * 8 + u64::from(digit - b'0'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let cases: [(&[u8], Option<Option<u64>>); 14] = [
            (b"0000644\0", Some(Some(0o644))),
            (b"  644 \0\0", Some(Some(0o644))),
            (b"77777777", Some(Some(0o77_777_777))),
            (b"\0\0\0\0\0\0\0\0", Some(None)),
            (b"        ", Some(None)),
            (b"644\x007\0\0\0", None),
            (b"-000001\0", None),
            (b"0000648\0", None),
            (b"0x10\0\0\0\0", None),
            (b"\x80\0\0\0\0\0\x01\x02", Some(Some(258))),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(Some(i64::MAX as u64))),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\x80\x01\0\0\0\0\0\0\0\0\0\0", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", None),
        ];
        for (field, expected) in cases {
            assert_eq!(number(field), expected, "{field:?}");
        }
    }

    #[test]
    fn texts() {
        assert_eq!(text(b"ab\0\0", "name"), Ok(&b"ab"[..]));
        assert_eq!(text(b"abcd", "name"), Ok(&b"abcd"[..]));
        assert!(text(b"a\0b\0", "name").is_err());
    }
}
