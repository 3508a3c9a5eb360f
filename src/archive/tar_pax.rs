//! Parses the records of PAX extended headers.
//!
//! Input: the data of an `x` or `g` entry. Output: [`Records`] with the values
//! that change an entry, or the [`Ambiguity`] on which readers disagree. Format:
//! POSIX.1-2017 pax, "pax Extended Header"; vendor keys: GNU.sparse (GNU tar),
//! SCHILY.xattr (star, GNU tar, Go), LIBARCHIVE.xattr (bsdtar).

use std::collections::BTreeSet;

use super::Ambiguity;

/// One extended attribute, as its PAX record gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xattr {
    /// The whole key, such as `SCHILY.xattr.security.capability`.
    pub key: Vec<u8>,
    /// The raw value; `LIBARCHIVE.xattr` values are base64 of the attribute.
    pub value: Vec<u8>,
}

impl Xattr {
    /// Returns the attribute's name, without the vendor prefix.
    ///
    /// `LIBARCHIVE.xattr` names are percent-encoded and returned as they are.
    pub fn name(&self) -> &[u8] {
        XATTR_PREFIXES.iter().find_map(|prefix| self.key.strip_prefix(*prefix)).unwrap_or(&self.key)
    }
}

const XATTR_PREFIXES: [&[u8]; 2] = [b"SCHILY.xattr.", b"LIBARCHIVE.xattr."];

/// The records that change an entry.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<i64>,
    pub(super) xattrs: Vec<Xattr>,
}

/// Parses the data of an `x` header.
pub(super) fn entry(data: &[u8]) -> Result<Records, Ambiguity> {
    let mut records = Records::default();
    let mut seen = BTreeSet::new();
    let mut rest = data;
    while !rest.is_empty() {
        let Record { key, value, after } = Record::split(rest)?;
        rest = after;
        if !seen.insert(key) {
            return Err(Ambiguity::DuplicatePaxKey { key: lossy(key) });
        }
        records.take(key, value)?;
    }
    Ok(records)
}

/// Checks the data of a `g` header: well formed, and nothing but a comment.
pub(super) fn global(data: &[u8]) -> Result<(), Ambiguity> {
    let mut rest = data;
    let mut seen = false;
    while !rest.is_empty() {
        let Record { key, after, .. } = Record::split(rest)?;
        rest = after;
        if key != b"comment" {
            return Err(Ambiguity::GlobalPax { key: lossy(key) });
        }
        if std::mem::replace(&mut seen, true) {
            return Err(Ambiguity::DuplicatePaxKey { key: lossy(key) });
        }
    }
    Ok(())
}

impl Records {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Ambiguity> {
        match key {
            b"path" => self.path = Some(name(value)?),
            b"linkpath" => self.link = Some(name(value)?),
            b"uname" | b"gname" if value.contains(&0) => return Err(Ambiguity::NulInExtendedName),
            b"size" => self.size = Some(decimal(value)?),
            b"uid" => self.uid = Some(decimal(value)?),
            b"gid" => self.gid = Some(decimal(value)?),
            b"mtime" => self.mtime = Some(seconds(value)?),
            // They change nothing here, and Go refuses an archive in which they are no times.
            b"atime" | b"ctime" => drop(seconds(value)?),
            b"hdrcharset" if !matches!(value, b"ISO-IR 10646 2000 UTF-8" | b"BINARY") => {
                return Err(Ambiguity::Charset);
            }
            // star's sparse files; libarchive honours it, Go does not.
            b"SCHILY.realsize" => return Err(Ambiguity::Sparse),
            _ if key.starts_with(b"GNU.sparse.") => return Err(Ambiguity::Sparse),
            _ if XATTR_PREFIXES.iter().any(|prefix| key.starts_with(prefix)) => {
                self.xattrs.push(Xattr { key: key.to_vec(), value: value.to_vec() });
            }
            _ => {}
        }
        Ok(())
    }
}

/// One record of a header, and what comes after it.
struct Record<'a> {
    key: &'a [u8],
    value: &'a [u8],
    after: &'a [u8],
}

impl<'a> Record<'a> {
    fn split(data: &'a [u8]) -> Result<Self, Ambiguity> {
        let malformed = |reason| Ambiguity::MalformedPax { reason };
        // No data exceeds the header limit, so more digits than this are wrong anyhow.
        let space = data.iter().take(12).position(|&byte| byte == b' ');
        let space = space.ok_or(malformed("no length"))?;
        let length = match &data[..space] {
            [b'1'..=b'9', ..] => decimal(&data[..space])?,
            _ => return Err(malformed("length is not a decimal number")),
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length <= space + 1 || length > data.len() {
            return Err(malformed("length does not fit the header"));
        }
        let (record, after) = data.split_at(length);
        let Some((b'\n', body)) = record[space + 1..].split_last() else {
            return Err(malformed("no newline at the end"));
        };
        if splits(body) {
            return Err(malformed("newline within a record"));
        }
        let equals = body.iter().position(|&byte| byte == b'=');
        let (key, value) = body.split_at(equals.ok_or(malformed("no equals sign"))?);
        if key.is_empty() || key.contains(&0) {
            return Err(malformed("bad key"));
        }
        Ok(Self { key, value: &value[1..], after })
    }
}

/// Says whether a newline in a record, its last one left out, hides something from those who take
/// every line for a record, as Rust's tar does, and an empty one for the end: what Go reads as part
/// of a name or an attribute is a path of its own to them. The binary value of an attribute may
/// have a newline that hides nothing.
fn splits(body: &[u8]) -> bool {
    let mut lines = body.split(|&byte| byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let key = first.split(|&byte| byte == b'=').next().unwrap_or_default();
    let is_attribute =
        key.len() < first.len() && XATTR_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
    lines.any(|line| !is_attribute || line.first().is_none_or(u8::is_ascii_digit))
}

fn name(value: &[u8]) -> Result<Vec<u8>, Ambiguity> {
    if value.is_empty() {
        // POSIX: removes the record; Go: keeps the ustar value; tar-rs: empty name.
        return Err(Ambiguity::MalformedPax { reason: "empty name" });
    }
    if value.contains(&0) {
        return Err(Ambiguity::NulInExtendedName);
    }
    Ok(value.to_vec())
}

/// Parses ASCII digits only: `parse` alone would take a leading plus.
fn decimal(value: &[u8]) -> Result<u64, Ambiguity> {
    let malformed = Ambiguity::MalformedPax { reason: "value is not a decimal number" };
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(malformed);
    }
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<i64>().ok());
    number.and_then(|number| u64::try_from(number).ok()).ok_or(malformed)
}

/// Parses a time, dropping its fraction towards the past.
fn seconds(value: &[u8]) -> Result<i64, Ambiguity> {
    let (negative, digits) = match value {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let mut parts = digits.splitn(2, |&byte| byte == b'.');
    let whole = decimal(parts.next().unwrap_or_default())?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(Ambiguity::MalformedPax { reason: "time is not a decimal number" });
    }
    let whole = whole as i64;
    let past = i64::from(fraction.iter().any(|&byte| byte != b'0'));
    Ok(if negative { -whole - past } else { whole })
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_records() {
        let data =
            b"30 mtime=1350244992.023960108\n14 path=a/b=c\n12 uid=1000\n19 GNU.volume.x=ab\n";
        let records = entry(data).unwrap();
        assert_eq!(records.path.as_deref(), Some(&b"a/b=c"[..]));
        assert_eq!((records.mtime, records.uid), (Some(1_350_244_992), Some(1000)));
    }

    #[test]
    fn attributes_keep_binary_values() {
        let mut data = b"43 SCHILY.xattr.security.capability=".to_vec();
        data.extend_from_slice(b"\x01\0\n=\0\x02\n");
        let records = entry(&data).unwrap();
        assert_eq!(records.xattrs[0].name(), b"security.capability");
        assert_eq!(records.xattrs[0].value, b"\x01\0\n=\0\x02");
    }

    #[test]
    fn malformed_records() {
        for data in [
            &b"x"[..],
            b"7 path=a",
            b"99 path=a\n",
            b"0 path=a\n",
            b"+9 path=a\n",
            b"09 path=a\n",
            b" 9 path=a\n",
            b"8 path=a\n",
            b"3 \n",
            b"8 patha\n",
            b"5 =a\n",
            b"99999999999999999999999 path=a\n",
            b"8 path=\n",
            b"9 size=a\n",
            b"10 size=-1\n",
            b"10 size=+1\n",
            b"8 size=\n",
            b"27 size=9223372036854775808\n",
            b"12 mtime=1x\n",
            b"9 path=a\n\0\0",
        ] {
            let result = entry(data);
            let malformed = matches!(result, Err(Ambiguity::MalformedPax { .. }));
            assert!(malformed, "{:?}: {result:?}", lossy(data));
        }
    }

    #[test]
    fn times() {
        for (text, expected) in
            [("0", 0), ("12.9", 12), ("-1", -1), ("-1.5", -2), ("-1.0", -1), ("3.", 3)]
        {
            assert_eq!(seconds(text.as_bytes()), Ok(expected), "{text}");
        }
        assert!(seconds(b"").is_err());
        assert!(seconds(b".5").is_err());
        assert!(seconds(b"1.2.3").is_err());
    }
}
