//! What a file is by its first bytes, other than an ELF file or a script.
//!
//! Purpose: to name foreign executables, bytecode, file system images and archives.
//! Takes: a source. Gives: a [`Format`]. Must not: follow what the bytes say beyond a header.
//! A magic of two or four bytes alone is believed only where the fields behind it make sense too.

use super::ReadAt;
use std::io;

/// What is read of a file at once.
const HEAD: usize = 2048;
/// Where an ISO 9660 image names itself: behind 16 sectors (ECMA-119, 8.4).
const ISO: u64 = 32_769;
/// The bytes of a tar header.
const TAR: usize = 512;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Something that another system, a virtual machine or a linker takes, by its name.
    Program(&'static str),
    /// A file system in a file, by its name.
    FileSystem(&'static str),
    /// An archive or a compressed file.
    Archive(Archive),
}

/// How a file holds others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Archive {
    Gzip,
    Zstd,
    Xz,
    Bzip2,
    Zip,
    Tar,
    Ar,
    Cpio,
    /// One that nothing here unpacks, by its name.
    Other(&'static str),
}

impl Format {
    /// Returns what a file is by its magic, `None` for everything else.
    ///
    /// # Errors
    /// Whatever the medium reports.
    pub fn of(source: &dyn ReadAt) -> io::Result<Option<Self>> {
        let head = source.read_vec(0, HEAD)?;
        if head.len() < 4 {
            return Ok(None);
        }
        if is_pe(source, &head)? {
            return Ok(Some(Self::Program("a Windows program")));
        }
        let found = program(&head, source.len())
            .map(Self::Program)
            .or_else(|| archive(&head).map(Self::Archive))
            .or_else(|| file_system(&head).map(Self::FileSystem));
        if found.is_some() || source.len() < ISO + 5 {
            return Ok(found);
        }
        let iso = source.read_vec(ISO, 5)? == b"CD001";
        Ok(iso.then_some(Self::FileSystem("an ISO 9660 image")))
    }
}

fn at<const N: usize>(head: &[u8], offset: usize) -> Option<[u8; N]> {
    head.get(offset..)?.first_chunk().copied()
}

fn u16_le(head: &[u8], offset: usize) -> Option<u16> {
    at(head, offset).map(u16::from_le_bytes)
}

fn u32_le(head: &[u8], offset: usize) -> Option<u32> {
    at(head, offset).map(u32::from_le_bytes)
}

fn u32_be(head: &[u8], offset: usize) -> Option<u32> {
    at(head, offset).map(u32::from_be_bytes)
}

/// Says whether this is a PE file: `MZ`, and `PE\0\0` where the word at 0x3c says.
fn is_pe(source: &dyn ReadAt, head: &[u8]) -> io::Result<bool> {
    let Some(place) = u32_le(head, 0x3c).filter(|_| head.starts_with(b"MZ")) else {
        return Ok(false);
    };
    Ok(source.read_vec(place.into(), 4)? == b"PE\0\0")
}

fn program(head: &[u8], len: u64) -> Option<&'static str> {
    let starts = |magic: &[u8]| head.starts_with(magic);
    let little = u32_le(head, 0)?;
    let big = u32_be(head, 0)?;
    let second = u32_be(head, 4).unwrap_or(0);
    // Mach-O: the file type (loader.h) is between 1 and 12, in the order of the magic.
    let kind = match (little, big) {
        (0xfeed_face | 0xfeed_facf, _) => u32_le(head, 12),
        (_, 0xfeed_face | 0xfeed_facf) => u32_be(head, 12),
        _ => None,
    };
    if kind.is_some_and(|kind| (1..=12).contains(&kind)) {
        return Some("a Mach-O program");
    }
    match big {
        // A class file has its version where a fat file has the number of its machines:
        // Java began with 45, and there have never been 45 machines.
        0xcafe_babe if (45..200).contains(&(second & 0xffff)) => return Some("a Java class"),
        0xcafe_babe | 0xcafe_babf if (1..45).contains(&second) => {
            return Some("a Mach-O program for several machines");
        }
        0x4243_c0de | 0xdec0_170b => return Some("LLVM bitcode"),
        _ => {}
    }
    if starts(b"\0asm") && matches!(u32_le(head, 4), Some(1 | 0x0001_000d)) {
        return Some("a WebAssembly module");
    }
    if (starts(b"dex\n") || starts(b"dey\n")) && head.get(7) == Some(&0) {
        return Some("an Android program");
    }
    if starts(b"\x1bLua") || starts(b"\x1bLJ\x01") || starts(b"\x1bLJ\x02") {
        return Some("Lua bytecode");
    }
    if starts(b"YARB") && u32_le(head, 4).is_some_and(|version| (1..=16).contains(&version)) {
        return Some("Ruby bytecode");
    }
    if starts(b"FOR1") && head.get(8..12) == Some(b"BEAM") {
        return Some("an Erlang module");
    }
    // A number that each version of Python raises, then CR LF, then flags of two bits.
    let python = u16_le(head, 0).is_some_and(|number| (3000..5000).contains(&number))
        && head.get(2..4) == Some(b"\r\n")
        && u32_le(head, 4).is_some_and(|flags| flags < 4);
    let python2 = u16_le(head, 0).is_some_and(|number| (60_202..=62_211).contains(&number))
        && head.get(2..4) == Some(b"\r\n");
    if python || python2 {
        return Some("Python bytecode");
    }
    if starts(b"!<thin>\n") {
        return Some("a static library");
    }
    is_a_out(head, len).then_some("an a.out program")
}

/// Says whether this is an a.out file: the magic, no flags, sizes that fill the file, and an
/// entry within the text.
fn is_a_out(head: &[u8], len: u64) -> bool {
    let field = |number: usize| u32_le(head, number * 4).map(u64::from);
    let (Some(text), Some(data), Some(symbols), Some(entry), Some(text_relocations), Some(rest)) =
        (field(1), field(2), field(4), field(5), field(6), field(7))
    else {
        return false;
    };
    let magic = matches!(u16_le(head, 0), Some(0o407 | 0o410 | 0o413 | 0o314));
    let machine = matches!(head.get(2..4), Some([0 | 1 | 2 | 3 | 100 | 134, 0]));
    let size = text + data + symbols + text_relocations + rest;
    let fills = text > 0 && size <= len && size.saturating_mul(2).saturating_add(2048) >= len;
    magic && machine && fills && entry < text.saturating_add(0x1_0000)
}

fn archive(head: &[u8]) -> Option<Archive> {
    let starts = |magic: &[u8]| head.starts_with(magic);
    Some(match head {
        [0x1f, 0x8b, 8, ..] => Archive::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Archive::Zstd,
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Archive::Zip,
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => Archive::Bzip2,
        _ if starts(b"!<arch>\n") => Archive::Ar,
        _ if starts(b"\xfd7zXZ\0") => Archive::Xz,
        _ if is_cpio(head) => Archive::Cpio,
        _ if is_lzma(head) => Archive::Other("lzma"),
        _ if starts(b"7z\xbc\xaf\x27\x1c") => Archive::Other("7z"),
        _ if starts(b"Rar!\x1a\x07") => Archive::Other("rar"),
        _ if starts(b"\x04\x22\x4d\x18") => Archive::Other("lz4"),
        _ if starts(b"LZIP\x01") => Archive::Other("lzip"),
        _ if starts(b"\x89LZO\0\r\n\x1a\n") => Archive::Other("lzop"),
        _ if starts(b"\x1f\x9d") => Archive::Other("compress"),
        _ if starts(b"MSCF\0\0\0\0") => Archive::Other("cabinet"),
        _ if starts(b"\xed\xab\xee\xdb") => Archive::Other("rpm"),
        _ if starts(b"xar!\0") => Archive::Other("xar"),
        _ if is_tar(head) => Archive::Tar,
        _ => return None,
    })
}

/// Says whether a cpio header of the new kind begins here: fields of eight hexadecimal digits.
fn is_cpio(head: &[u8]) -> bool {
    let digits = |fields: &[u8]| fields.iter().all(u8::is_ascii_hexdigit);
    (head.starts_with(b"070701") || head.starts_with(b"070702"))
        && head.get(6..20).is_some_and(digits)
}

/// Says whether a stream of the format before xz begins here: the usual properties, a
/// dictionary of 2^n or 2^n + 2^(n-1) bytes, and a size that is unknown or below 256 GiB.
fn is_lzma(head: &[u8]) -> bool {
    let size: Option<[u8; 8]> = at(head, 5);
    let size = size.map(u64::from_le_bytes);
    head.first() == Some(&0x5d)
        && size.is_some_and(|size| size == u64::MAX || size < 1 << 38)
        && u32_le(head, 1).is_some_and(|dictionary| {
            let top = dictionary.checked_ilog2().map_or(0, |log| 1_u32 << log);
            dictionary >= 1 << 12 && (dictionary == top || dictionary == top + top / 2)
        })
}

/// Says whether a tar header begins here, by its checksum, which old headers have too.
fn is_tar(head: &[u8]) -> bool {
    let Some(header) = head.get(..TAR) else { return false };
    let field = header.get(148..156).unwrap_or_default();
    let digits = field.iter().skip_while(|byte| **byte == b' ');
    let mut promised = None;
    for digit in digits.take_while(|byte| (b'0'..=b'7').contains(*byte)) {
        promised = Some(promised.unwrap_or(0_u32) * 8 + u32::from(digit - b'0'));
    }
    let outside: u32 = header
        .iter()
        .enumerate()
        .filter(|(place, _)| !(148..156).contains(place))
        .map(|(_, byte)| u32::from(*byte))
        .sum();
    promised == Some(outside + 8 * u32::from(b' '))
}

fn file_system(head: &[u8]) -> Option<&'static str> {
    let starts = |magic: &[u8]| head.starts_with(magic);
    // The old kind of cpio writes its fields in octal digits.
    let octal = |fields: &[u8]| fields.iter().all(|c| (b'0'..=b'7').contains(c));
    if starts(b"070707") && head.get(6..20).is_some_and(octal) {
        return Some("a cpio archive");
    }
    if (starts(b"hsqs") || starts(b"sqsh"))
        && (u16_le(head, 28) == Some(4) || head.get(28..30) == Some(&[0, 4]))
    {
        return Some("a squashfs image");
    }
    if u32_le(head, 1024) == Some(0xe0f5_e1e2) {
        return Some("an erofs image");
    }
    // The superblock of ext2 and its heirs: magic, block size and revision.
    let ext = u16_le(head, 1080) == Some(0xef53)
        && u32_le(head, 1048).is_some_and(|size| size <= 6)
        && u32_le(head, 1100).is_some_and(|revision| revision <= 1)
        && u32_le(head, 1024).is_some_and(|inodes| inodes > 0);
    if ext {
        return Some("an ext image");
    }
    if starts(b"XFSB\0") {
        return Some("an XFS image");
    }
    if starts(b"UBI#\x01") || starts(b"\x31\x18\x10\x06") {
        return Some("a UBI image");
    }
    if starts(b"\x45\x3d\xcd\x28") || starts(b"-rom1fs-") {
        return Some("a ROM file system");
    }
    (starts(b"QFI\xfb\0") || starts(b"KDMV\x01") || starts(b"vhdxfile")).then_some("a disk image")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Option<Format> {
        let mut bytes = bytes.to_vec();
        bytes.resize(bytes.len().max(64), 0);
        Format::of(&bytes).unwrap()
    }

    fn placed(parts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 40_000];
        for (at, part) in parts {
            bytes[*at..at + <[u8]>::len(part)].copy_from_slice(part);
        }
        bytes
    }

    #[test]
    fn foreign_programs_are_named() {
        let mach = [&b"\xcf\xfa\xed\xfe\x07\0\0\x01\x03\0\0\0\x02\0\0\0"[..], &[0; 40]].concat();
        let pe = placed(&[(0, b"MZ"), (0x3c, &[0x80, 0, 0, 0]), (0x80, b"PE\0\0")]);
        let a_out = placed(&[
            (0, &[7, 1, 100, 0]),
            (4, &30_000_u32.to_le_bytes()),
            (20, &0x20_u32.to_le_bytes()),
        ]);
        for (bytes, word) in [
            (&mach[..], "Mach-O"),
            (b"\xca\xfe\xba\xbe\0\0\0\x02\x01\0\0\x07", "several"),
            (b"\xca\xfe\xba\xbe\0\0\0\x41", "Java"),
            (b"\0asm\x01\0\0\0", "WebAssembly"),
            (b"BC\xc0\xde", "LLVM"),
            (b"dex\n035\0", "Android"),
            (b"\x1bLua\x54", "Lua"),
            (b"\x1bLJ\x02", "Lua"),
            (b"YARB\x03\0\0\0", "Ruby"),
            (b"FOR1\0\0\0\x20BEAM", "Erlang"),
            (b"\xcb\x0d\r\n\0\0\0\0", "Python"),
            (&pe, "Windows"),
            (&a_out, "a.out"),
        ] {
            let found = of(bytes);
            assert!(
                matches!(found, Some(Format::Program(name)) if name.contains(word)),
                "{word}: {found:?}"
            );
        }
    }

    #[test]
    fn a_magic_alone_is_not_enough() {
        for bytes in [
            &b"MZ"[..],
            b"MZ and other letters",
            b"\xca\xfe\xba\xbe\0\0\0\0",
            b"YARB is a word",
            b"FOR1 is another",
            b"dex\nis a line",
            b"]\0\0 and more, which is no stream",
            b"07070 and more",
            b"070701 is a number",
            b"BZh is no stream",
            b"PK is a name",
            b"hsqs",
            b"a\x0b\r\ntext of two lines",
            &[7, 1, 100, 0],
            b"TZif2\0\0\0",
            b"-----BEGIN CERTIFICATE-----",
            b"",
        ] {
            assert_eq!(of(bytes), None, "{bytes:?}");
        }
        assert_eq!(of(&[0; 40_000]), None);
    }

    #[test]
    fn file_systems_and_archives_are_named() {
        let ext =
            placed(&[(1080, &[0x53, 0xef]), (1024, &[1, 0, 0, 0]), (1048, &[2]), (1100, &[1])]);
        for bytes in [
            placed(&[(0, b"hsqs"), (28, &[4, 0])]),
            placed(&[(1024, &[0xe2, 0xe1, 0xf5, 0xe0])]),
            ext,
            placed(&[(32_769, b"CD001")]),
            b"070707000001000002000003000004".to_vec(),
        ] {
            assert!(matches!(of(&bytes), Some(Format::FileSystem(_))), "{:?}", of(&bytes));
        }
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        tar.append_data(&mut header, "a", &b"abc"[..]).unwrap();
        assert_eq!(of(&tar.into_inner().unwrap()), Some(Format::Archive(Archive::Tar)));
        for (bytes, archive) in [
            (&b"\x1f\x8b\x08\0"[..], Archive::Gzip),
            (b"\x28\xb5\x2f\xfd", Archive::Zstd),
            (b"PK\x03\x04", Archive::Zip),
            (b"!<arch>\n", Archive::Ar),
            (b"\xfd7zXZ\0", Archive::Xz),
            (b"BZh91AY&SY", Archive::Bzip2),
            (b"070701000000010000000200000003", Archive::Cpio),
            (b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff", Archive::Other("lzma")),
            (b"7z\xbc\xaf\x27\x1c", Archive::Other("7z")),
            (b"Rar!\x1a\x07", Archive::Other("rar")),
            (b"\x1f\x9d", Archive::Other("compress")),
        ] {
            assert_eq!(of(bytes), Some(Format::Archive(archive)));
        }
    }
}
