//! Builds tar headers whose bytes depend on nothing but the entry.
//!
//! Format: POSIX.1-2017 `pax` utility, "ustar Interchange Format", with one
//! extended header (type `x`, "pax Extended Header") before an entry that ustar
//! cannot express: a name that cannot be split into 155 + 100 bytes, a link
//! target over 100 bytes, size of 8 GiB or more, an id above 2 097 151, a time
//! after the year 2242, or a name that is not ASCII. User and group names stay
//! empty, device numbers are zero, and GNU extensions are never written.
//!
//! Names outside ASCII: POSIX gives ustar names no encoding and PAX records
//! UTF-8, so the PAX record is the only place where such a name has a defined
//! meaning. Go's archive/tar and Python's tarfile write it there, while GNU tar
//! in ustar format writes raw bytes. This module follows POSIX and Go; the ustar
//! field repeats the same bytes when they fit, so that a reader without PAX sees
//! the same name. Names that are not UTF-8 are refused.
//!
//! Input: [`Entry`]. Output: header blocks; the caller writes the data,
//! [`padding`] and finally [`END`].

use tar::{EntryType, Header};
use thiserror::Error;

/// Bytes of one tar block.
pub const BLOCK: usize = 512;

/// The two zero blocks that end an archive.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

const MAX_OCTAL_7: u64 = 0o7_777_777;
const MAX_OCTAL_11: u64 = 0o77_777_777_777;
const MAX_PATH: usize = 4096;
const MAX_COMPONENT: usize = 255;

/// Describes one member of an archive.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Relative path without leading slash; a directory gets its trailing slash
    /// from [`header`], whether the path already has one or not.
    pub path: &'a [u8],
    /// What the member is.
    pub kind: Kind<'a>,
    /// Permission bits, at most `0o7777`.
    pub mode: u32,
    /// Numeric owner; [`u32::MAX`] and above are refused, no kernel accepts them.
    pub uid: u64,
    /// Numeric group; same range as `uid`.
    pub gid: u64,
    /// Modification time in seconds since 1970, at most [`i64::MAX`].
    pub mtime: u64,
}

/// Says what a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A regular file of `size` bytes, at most [`i64::MAX`].
    File {
        /// Bytes of data that follow the header.
        size: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink {
        /// The text of the link, not interpreted.
        target: &'a [u8],
    },
    /// Another name for an earlier member.
    Hardlink {
        /// The path of the earlier member, under the rules of [`Entry::path`].
        target: &'a [u8],
    },
}

/// Explains why an entry cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The path is empty, absolute, ends in a slash, or has an empty, `.` or `..` component.
    #[error("tar path is not a plain relative path")]
    UnsafePath,
    /// A path or link target contains a NUL byte.
    #[error("tar path contains a NUL byte")]
    Nul,
    /// A path or link target is not UTF-8.
    #[error("tar path is not UTF-8")]
    NotUtf8,
    /// A path or link target exceeds 4096 bytes, or a component 255.
    #[error("tar path is longer than 4096 bytes or has a component longer than 255")]
    TooLong,
    /// A symbolic link has no target.
    #[error("symbolic link has an empty target")]
    EmptyTarget,
    /// A number has no meaning for the kernels that will unpack the archive.
    #[error("{field} {value} is out of range")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u64,
    },
}

/// Returns the header blocks of `entry`: 512 bytes, or more with a PAX header.
///
/// # Errors
///
/// [`EntryError`] when the entry could be understood differently by two readers
/// or not be unpacked at all.
pub fn header(entry: &Entry<'_>) -> Result<Vec<u8>, EntryError> {
    let path = full_path(entry)?;
    let (entry_type, size, target) = match entry.kind {
        Kind::File { size } => (EntryType::Regular, size, &b""[..]),
        Kind::Directory => (EntryType::Directory, 0, &b""[..]),
        Kind::Symlink { target } => (EntryType::Symlink, 0, symlink_target(target)?),
        Kind::Hardlink { target } => (EntryType::Link, 0, plain_path(target)?),
    };
    in_range("mode", u64::from(entry.mode), 0o7777)?;
    in_range("uid", entry.uid, u64::from(u32::MAX) - 1)?;
    in_range("gid", entry.gid, u64::from(u32::MAX) - 1)?;
    in_range("mtime", entry.mtime, i64::MAX as u64)?;
    in_range("size", size, i64::MAX as u64)?;

    let (prefix, name) = split(&path);
    let split_fits = prefix.len() <= 155 && name.len() <= 100;
    let mut records = Records::default();
    // In the order of the keys: readers accept any order, digests do not.
    let gid = records.number("gid", entry.gid, MAX_OCTAL_7);
    if target.len() > 100 || !target.is_ascii() {
        records.push("linkpath", target);
    }
    let mtime = records.number("mtime", entry.mtime, MAX_OCTAL_11);
    if !split_fits || !path.is_ascii() {
        records.push("path", &path);
    }
    let size = records.number("size", size, MAX_OCTAL_11);
    let uid = records.number("uid", entry.uid, MAX_OCTAL_7);

    let mut blocks = records.into_blocks(&path);
    let mut ustar = blank(entry_type, entry.mode, size);
    ustar.set_uid(uid);
    ustar.set_gid(gid);
    ustar.set_mtime(mtime);
    if split_fits {
        fill(&mut ustar, prefix, name, target);
    } else {
        fill(&mut ustar, b"", &path, target);
    }
    blocks.extend_from_slice(ustar.as_bytes());
    Ok(blocks)
}

/// Returns the number of zero bytes that follow `size` bytes of data.
pub fn padding(size: u64) -> usize {
    let used = (size % BLOCK as u64) as usize;
    (BLOCK - used) % BLOCK
}

fn full_path(entry: &Entry<'_>) -> Result<Vec<u8>, EntryError> {
    if entry.kind != Kind::Directory {
        return plain_path(entry.path).map(<[u8]>::to_vec);
    }
    let bare = entry.path.strip_suffix(b"/").unwrap_or(entry.path);
    let mut path = plain_path(bare)?.to_vec();
    path.push(b'/');
    in_path_limit(&path)?;
    Ok(path)
}

fn plain_path(path: &[u8]) -> Result<&[u8], EntryError> {
    text(path)?;
    for component in path.split(|&byte| byte == b'/') {
        if matches!(component, b"" | b"." | b"..") {
            return Err(EntryError::UnsafePath);
        }
        if component.len() > MAX_COMPONENT {
            return Err(EntryError::TooLong);
        }
    }
    Ok(path)
}

fn symlink_target(target: &[u8]) -> Result<&[u8], EntryError> {
    if target.is_empty() {
        return Err(EntryError::EmptyTarget);
    }
    text(target)
}

fn text(bytes: &[u8]) -> Result<&[u8], EntryError> {
    in_path_limit(bytes)?;
    if bytes.contains(&0) {
        return Err(EntryError::Nul);
    }
    std::str::from_utf8(bytes).map_err(|_| EntryError::NotUtf8)?;
    Ok(bytes)
}

fn in_path_limit(bytes: &[u8]) -> Result<(), EntryError> {
    if bytes.len() > MAX_PATH {
        return Err(EntryError::TooLong);
    }
    Ok(())
}

fn in_range(field: &'static str, value: u64, max: u64) -> Result<(), EntryError> {
    if value > max {
        return Err(EntryError::OutOfRange { field, value });
    }
    Ok(())
}

/// Splits at the last slash that leaves at most 155 bytes before it.
///
/// The longest prefix is what GNU tar and Go choose; any split would be legal.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    if path.len() <= 100 {
        return (b"", path);
    }
    // A trailing slash belongs to the name and must not become the cut.
    let end = (path.len() - 1).min(156);
    match path[..end].iter().rposition(|&byte| byte == b'/') {
        Some(cut) => (&path[..cut], &path[cut + 1..]),
        None => (b"", path),
    }
}

fn blank(entry_type: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(entry_type);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header
}

/// Fills the text fields, the device numbers and, last, the checksum.
fn fill(header: &mut Header, prefix: &[u8], name: &[u8], target: &[u8]) {
    if let Some(ustar) = header.as_ustar_mut() {
        put(&mut ustar.prefix, prefix);
        put(&mut ustar.name, name);
        put(&mut ustar.linkname, target);
        ustar.set_device_major(0);
        ustar.set_device_minor(0);
    }
    header.set_cksum();
}

/// Copies as much as fits, ending at a character boundary.
fn put(field: &mut [u8], value: &[u8]) {
    let mut length = value.len().min(field.len());
    while length < value.len() && length > 0 && value[length] & 0xc0 == 0x80 {
        length -= 1;
    }
    field[..length].copy_from_slice(&value[..length]);
}

#[derive(Default)]
struct Records(Vec<u8>);

impl Records {
    /// Returns the value for the ustar field: itself, or 0 beside a record.
    fn number(&mut self, key: &str, value: u64, max: u64) -> u64 {
        if value <= max {
            return value;
        }
        self.push(key, value.to_string().as_bytes());
        0
    }

    /// Appends `"%d %s=%s\n"`, where the number counts its own digits.
    fn push(&mut self, key: &str, value: &[u8]) {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        self.0.extend_from_slice(length.to_string().as_bytes());
        self.0.push(b' ');
        self.0.extend_from_slice(key.as_bytes());
        self.0.push(b'=');
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
    }

    fn into_blocks(self, path: &[u8]) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let size = self.0.len() as u64;
        let mut header = blank(EntryType::XHeader, 0o644, size);
        fill(&mut header, b"", &pax_name(path), b"");
        let mut blocks = header.as_bytes().to_vec();
        blocks.extend_from_slice(&self.0);
        blocks.resize(blocks.len() + padding(size), 0);
        blocks
    }
}

/// Names the extended header after the entry; no reader of PAX looks at it.
fn pax_name(path: &[u8]) -> Vec<u8> {
    let bare = path.strip_suffix(b"/").unwrap_or(path);
    let start = bare.iter().rposition(|&byte| byte == b'/').map_or(0, |cut| cut + 1);
    let mut name = b"PaxHeaders/".to_vec();
    name.extend(
        bare[start..].iter().map(|&byte| if byte.is_ascii_graphic() { byte } else { b'_' }),
    );
    name.truncate(100);
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn file(path: &[u8]) -> Entry<'_> {
        Entry {
            path,
            kind: Kind::File { size: 5 },
            mode: 0o755,
            uid: 65532,
            gid: 65532,
            mtime: 1_700_000_000,
        }
    }

    /// Reads the header back with the tar crate: (path, link, size, uid, gid, mtime).
    fn read_back(entry: &Entry<'_>) -> (Vec<u8>, Option<Vec<u8>>, u64, u64, u64, u64) {
        let mut bytes = header(entry).unwrap();
        if let Kind::File { size } = entry.kind
            && size < 1 << 20
        {
            bytes.resize(bytes.len() + size as usize + padding(size), b'x');
        }
        bytes.extend_from_slice(&END);
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut entries = archive.entries().unwrap();
        let mut member = entries.next().unwrap().unwrap();
        let mut mtime = member.header().mtime().unwrap();
        if let Some(records) = member.pax_extensions().unwrap() {
            for record in records {
                let record = record.unwrap();
                if record.key() == Ok("mtime") {
                    mtime = record.value().unwrap().parse().unwrap();
                }
            }
        }
        (
            member.path_bytes().into_owned(),
            member.link_name_bytes().map(std::borrow::Cow::into_owned),
            member.size(),
            member.header().uid().unwrap(),
            member.header().gid().unwrap(),
            mtime,
        )
    }

    #[test]
    fn every_byte_follows_posix() {
        // POSIX.1-2017 pax, "ustar Interchange Format": offset, length, content.
        let mut expected = [0u8; 512];
        let fields: [(usize, &[u8]); 12] = [
            (0, b"app/server"),
            (100, b"0000755\0"),
            (108, b"0177774\0"),
            (116, b"0177774\0"),
            (124, b"00000000005\0"),
            (136, b"14524770400\0"),
            (148, b"        "),
            (156, b"0"),
            (257, b"ustar\0"),
            (263, b"00"),
            (329, b"0000000\0"),
            (337, b"0000000\0"),
        ];
        for (offset, bytes) in fields {
            expected[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        let sum: u32 = expected.iter().map(|&byte| u32::from(byte)).sum();
        expected[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
        assert_eq!(header(&file(b"app/server")).unwrap(), expected);
    }

    #[test]
    fn padding_fills_the_block() {
        assert_eq!([0, 1, 511, 512, 513].map(padding), [0, 511, 1, 0, 511]);
        assert_eq!(padding(u64::MAX), 1);
    }

    #[test]
    fn directory_gets_exactly_one_slash() {
        for path in [&b"etc/ssl"[..], b"etc/ssl/"] {
            let entry = Entry { kind: Kind::Directory, ..file(path) };
            let bytes = header(&entry).unwrap();
            assert!(bytes.starts_with(b"etc/ssl/\0"));
            assert_eq!((bytes.len(), bytes[156]), (512, b'5'));
        }
    }

    #[test]
    fn links_carry_their_target_and_no_size() {
        let symlink = Entry { kind: Kind::Symlink { target: b"../lib/x" }, ..file(b"a/b") };
        let (_, link, size, ..) = read_back(&symlink);
        assert_eq!((link.as_deref(), size), (Some(&b"../lib/x"[..]), 0));
        let hardlink = Entry { kind: Kind::Hardlink { target: b"a/b" }, ..file(b"a/c") };
        assert_eq!(header(&hardlink).unwrap()[156], b'1');
        assert_eq!(read_back(&hardlink).1.as_deref(), Some(&b"a/b"[..]));
    }

    #[test]
    fn names_are_split_before_pax_is_used() {
        // (directory bytes, name bytes, header bytes)
        let cases = [
            (0, 100, 512),
            (99, 100, 512),
            (155, 100, 512),
            (156, 99, 1536),
            (100, 101, 1536),
            (0, 101, 1536),
        ];
        for (directory, name, length) in cases {
            let mut path = vec![b'd'; directory];
            if directory > 0 {
                path.push(b'/');
            }
            path.extend(vec![b'n'; name]);
            assert_eq!(header(&file(&path)).unwrap().len(), length, "{directory}+{name}");
            assert_eq!(read_back(&file(&path)).0, path, "{directory}+{name}");
        }
    }

    #[test]
    fn long_directory_keeps_its_slash_in_the_name() {
        let mut path = vec![b'd'; 120];
        path.push(b'/');
        path.extend(vec![b'n'; 99]);
        let entry = Entry { kind: Kind::Directory, ..file(&path) };
        assert_eq!(header(&entry).unwrap().len(), 512);
        assert_eq!(read_back(&entry).0, [&path[..], b"/"].concat());
    }

    #[test]
    fn names_outside_ascii_get_a_pax_path_and_keep_their_bytes() {
        let path = "etc/ő.pem".as_bytes();
        let bytes = header(&file(path)).unwrap();
        assert_eq!(bytes[156], b'x');
        assert!(bytes.starts_with(b"PaxHeaders/__.pem\0"));
        assert!(bytes[512..].starts_with("19 path=etc/ő.pem\n".as_bytes()));
        assert!(bytes[1024..].starts_with(path));
        assert_eq!(read_back(&file(path)).0, path);
    }

    #[test]
    fn truncation_respects_characters() {
        let mut field = [0; 4];
        put(&mut field, "abcő".as_bytes());
        assert_eq!(&field, b"abc\0");
    }

    #[test]
    fn numbers_beyond_octal_go_to_pax_in_key_order() {
        let entry = Entry {
            kind: Kind::File { size: 8 << 30 },
            uid: 2_097_152,
            gid: 4_294_967_294,
            mtime: 8_589_934_592,
            ..file(b"big")
        };
        let bytes = header(&entry).unwrap();
        let records =
            b"18 gid=4294967294\n20 mtime=8589934592\n19 size=8589934592\n15 uid=2097152\n";
        assert!(bytes[512..].starts_with(records));
        let (_, _, size, uid, gid, mtime) = read_back(&entry);
        assert_eq!((size, uid, gid, mtime), (8 << 30, 2_097_152, 4_294_967_294, 8_589_934_592));
        let largest =
            Entry { kind: Kind::File { size: MAX_OCTAL_11 }, uid: MAX_OCTAL_7, ..file(b"big") };
        assert_eq!(header(&largest).unwrap().len(), 512);
    }

    #[test]
    fn record_length_counts_itself() {
        // Lengths around 10 and 100, where one more digit changes the sum.
        for length in 1..300 {
            let mut records = Records::default();
            records.push("path", &vec![b'p'; length]);
            let text = String::from_utf8(records.0).unwrap();
            let (number, _) = text.split_once(' ').unwrap();
            assert_eq!(number.parse::<usize>(), Ok(text.len()));
        }
    }

    #[test]
    fn unsafe_entries_are_refused() {
        let long = vec![b'n'; 256];
        let paths: [(&[u8], EntryError); 9] = [
            (b"", EntryError::UnsafePath),
            (b"/etc", EntryError::UnsafePath),
            (b"a//b", EntryError::UnsafePath),
            (b"a/../b", EntryError::UnsafePath),
            (b"./a", EntryError::UnsafePath),
            (b"a/", EntryError::UnsafePath),
            (b"a\0b", EntryError::Nul),
            (b"a\xff", EntryError::NotUtf8),
            (&long, EntryError::TooLong),
        ];
        for (path, error) in paths {
            assert_eq!(header(&file(path)), Err(error));
        }
        let entry = Entry { uid: u64::from(u32::MAX), ..file(b"a") };
        assert!(matches!(header(&entry), Err(EntryError::OutOfRange { field: "uid", .. })));
        let entry = Entry { mode: 0o10000, ..file(b"a") };
        assert!(header(&entry).is_err());
        let entry = Entry { kind: Kind::Symlink { target: b"" }, ..file(b"a") };
        assert_eq!(header(&entry), Err(EntryError::EmptyTarget));
    }

    #[test]
    fn data_follows_the_header() {
        let mut bytes = header(&file(b"a")).unwrap();
        bytes.extend_from_slice(b"hello");
        bytes.resize(bytes.len() + padding(5), 0);
        bytes.extend_from_slice(&END);
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut text = String::new();
        let mut entries = archive.entries().unwrap();
        entries.next().unwrap().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        assert!(entries.next().is_none());
    }
}
