//! A package: its control data and what it installs (deb(5), format 2).
//!
//! Nothing is unpacked and nothing is run: entries are ranges of a private copy. What no
//! layer of a base may hold (devices, setuid files, links out of the root) is refused by
//! [`Package::read`] already, unless the caller leaves the path out.

use super::ar::{Ar, ArError};
use super::control::{self, ControlError, Paragraph};
use crate::archive::reader::LayerReader;
use crate::archive::{Compression, Limits};
use crate::finding::escape;
use crate::image::read::{self, LayerError};
use crate::image::{Entry, Kind};
use crate::store::SpoolRoom;
use std::io::{self, BufReader, Read};

/// The longest control archive, and the longest of its files, in bytes.
const CONTROL: u64 = 16 << 20;
/// What a decoder of xz may use, in KiB: a dictionary of 64 MiB, as `xz -9` has it.
const XZ_MEMORY: u32 = 66 << 10;

/// A package, read.
#[derive(Debug)]
pub struct Package {
    /// The control file as it is.
    pub control: Vec<u8>,
    /// The fields of the control file.
    pub fields: Paragraph,
    /// The list of MD5 sums; none when there is none.
    pub md5sums: Option<Vec<u8>>,
    /// What the package installs, in the order of its archive; paths without the root's.
    pub entries: Vec<Entry>,
}

/// Why a package cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PackageError {
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("{0}")]
    Ar(#[from] ArError),
    #[error("its member `{found}` stands where `{wanted}` should")]
    Member { wanted: &'static str, found: String },
    #[error("it ends before its `{0}`")]
    Missing(&'static str),
    #[error("it is of format `{0}`, and only 2 is known")]
    Format(String),
    #[error("its `{0}` is compressed in a way that is not known")]
    Compression(String),
    #[error("its `{0}`: {1}")]
    Archive(String, LayerError),
    #[error("its control archive has no `control`")]
    NoControl,
    #[error("its `{0}` is longer than {CONTROL} bytes")]
    LongControl(&'static str),
    #[error("its control file: {0}")]
    Control(#[from] ControlError),
}

/// Returns the bounds of one package: the largest of Debian's have 1 GB, those of bases a
/// hundredth of it.
pub fn limits() -> Limits {
    Limits {
        max_compressed: 512 << 20,
        max_uncompressed: 1 << 30,
        max_ratio: 500,
        max_entries: 100_000,
        max_file: 512 << 20,
        ..Limits::default()
    }
}

impl Package {
    /// Reads a package from its first byte to its last.
    ///
    /// # Errors
    /// When it is none, is cut, or its archives are ambiguous or lead out of the root.
    pub fn read(
        source: impl Read + Send,
        limits: &Limits,
        room: &SpoolRoom,
    ) -> Result<Self, PackageError> {
        let mut archive = Ar::new(BufReader::with_capacity(64 << 10, source))?;
        let mut format = String::new();
        let name = next(&mut archive, "debian-binary")?;
        if name != "debian-binary" {
            return Err(PackageError::Member { wanted: "debian-binary", found: name });
        }
        archive.by_ref().take(100).read_to_string(&mut format)?;
        // deb(5): what follows the first line is for later.
        if !format.lines().next().is_some_and(|line| line.starts_with("2.")) {
            return Err(PackageError::Format(escape::terminal(format.trim())));
        }
        let small = Limits { max_uncompressed: CONTROL, max_entries: 1000, ..limits.clone() };
        let control = tar(&mut archive, "control.tar", &small, room)?;
        let entries = tar(&mut archive, "data.tar", limits, room)?;
        if let Some(member) = archive.next_member()? {
            return Err(PackageError::Member { wanted: "the end", found: member.name });
        }
        let file = |name: &'static str| {
            let content = control.iter().find(|entry| entry.path == name.as_bytes())?.content()?;
            let mut bytes = Vec::new();
            Some(content.reader().read_to_end(&mut bytes).map(|_| bytes))
        };
        let control = file("control").ok_or(PackageError::NoControl)??;
        let fields = control::single(&control, control::Limits::PACKAGES)?;
        Ok(Self { fields, control, md5sums: file("md5sums").transpose()?, entries })
    }
}

/// Goes to the next member that is not for others: deb(5) lets names with `_` stand anywhere
/// before the data.
fn next(archive: &mut Ar<impl Read>, wanted: &'static str) -> Result<String, PackageError> {
    loop {
        let member = archive.next_member()?.ok_or(PackageError::Missing(wanted))?;
        if !member.name.starts_with('_') {
            return Ok(member.name);
        }
    }
}

fn tar(
    archive: &mut Ar<impl Read + Send>,
    wanted: &'static str,
    limits: &Limits,
    room: &SpoolRoom,
) -> Result<Vec<Entry>, PackageError> {
    let name = next(archive, wanted)?;
    let Some(ending) = name.strip_prefix(wanted) else {
        return Err(PackageError::Member { wanted, found: name });
    };
    let failed = |error: LayerError| PackageError::Archive(name.clone(), error);
    let of_archive = |error: crate::archive::Error| failed(error.into());
    let compression = match ending {
        "" => Compression::None,
        ".gz" => Compression::Gzip,
        ".zst" => Compression::Zstd,
        ".xz" => {
            let decoder = lzma_rust2::XzReader::new_mem_limit(&mut *archive, true, XZ_MEMORY);
            let mut bounded = Bounded { inner: decoder, left: limits.max_uncompressed };
            let entries = read::archive(room, &mut bounded, limits).map_err(failed)?;
            whole(archive, &name)?;
            return Ok(entries.into_iter().filter(|entry| !entry.path.is_empty()).collect());
        }
        _ => return Err(PackageError::Compression(name)),
    };
    let mut reader = LayerReader::new(&mut *archive, compression, limits).map_err(of_archive)?;
    let entries = read::archive(room, &mut reader, limits).map_err(failed)?;
    reader.finish().map_err(of_archive)?;
    Ok(entries.into_iter().filter(|entry| !entry.path.is_empty()).collect())
}

/// Makes sure that nothing of a member was left over.
fn whole(archive: &mut Ar<impl Read>, name: &str) -> Result<(), PackageError> {
    match archive.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(PackageError::Archive(
            name.to_owned(),
            crate::archive::Error::Trailing { compression: Compression::None }.into(),
        )),
    }
}

/// Ends a stream with an error when it gives too much.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buf)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other("it unpacks to more than is believable")),
        }
        Ok(count)
    }
}

/// Says why no base may hold an entry; none when it may.
pub fn objection(entry: &Entry) -> Option<String> {
    match &entry.kind {
        Kind::Special(what) => Some(format!("it is a {what}")),
        _ if !matches!(entry.kind, Kind::Symlink(_)) && entry.mode & 0o6000 != 0 => {
            Some(format!("it is setuid or setgid (mode {:04o})", entry.mode))
        }
        _ if !entry.xattrs.is_empty() => Some("it has extended attributes".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::super::ar::testing::ar;
    use crate::archive::tar_write::{self, Kind};

    /// One member of a tar archive.
    pub(crate) struct Member<'a>(
        pub(crate) &'a str,
        pub(crate) Kind<'a>,
        pub(crate) u32,
        pub(crate) &'a [u8],
    );

    impl<'a> Member<'a> {
        pub(crate) fn file(path: &'a str, mode: u32, bytes: &'a [u8]) -> Self {
            Self(path, Kind::File { size: bytes.len() as u64 }, mode, bytes)
        }

        pub(crate) fn folder(path: &'a str, mode: u32) -> Self {
            Self(path, Kind::Directory, mode, b"")
        }

        pub(crate) fn link(path: &'a str, target: &'a str) -> Self {
            Self(path, Kind::Symlink { target: target.as_bytes() }, 0o777, b"")
        }
    }

    /// Writes a tar archive.
    pub(crate) fn tar(members: &[Member<'_>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for Member(path, kind, mode, content) in members {
            let entry = tar_write::Entry {
                path: path.as_bytes(),
                kind: *kind,
                mode: *mode,
                uid: 0,
                gid: 0,
                mtime: 5,
            };
            bytes.extend(tar_write::header(&entry).unwrap());
            bytes.extend_from_slice(content);
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
        bytes.extend_from_slice(&tar_write::END);
        bytes
    }

    pub(crate) fn xz(bytes: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let mut writer =
            lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(0)).unwrap();
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    pub(crate) fn control(name: &str, version: &str) -> String {
        format!("Package: {name}\nVersion: {version}\nArchitecture: all\nDescription: a test\n")
    }

    /// Writes a package with xz.
    pub(crate) fn deb(control: &str, members: &[Member<'_>]) -> Vec<u8> {
        let own = tar(&[Member::file("control", 0o644, control.as_bytes())]);
        ar(&[
            ("debian-binary", b"2.0\n"),
            ("control.tar.xz", &xz(&own)),
            ("data.tar.xz", &xz(&tar(members))),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::super::ar::testing::ar;
    use super::testing::{Member, control, deb, tar, xz};
    use super::{Package, PackageError, limits, objection};
    use crate::archive::Limits;
    use crate::archive::tar_write;
    use crate::image::Entry;
    use crate::store::SpoolRoom;
    use std::io::Read as _;
    use std::io::Write as _;

    fn read(bytes: &[u8]) -> Result<Package, PackageError> {
        Package::read(bytes, &limits(), &SpoolRoom::default())
    }

    fn members() -> Vec<Member<'static>> {
        vec![
            Member::folder("etc", 0o755),
            Member::file("etc/a", 0o644, b"text"),
            Member::link("etc/b", "a"),
        ]
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_compression_is_read() {
        let plain_control = tar(&[
            Member::file(
                "./control".trim_start_matches("./"),
                0o644,
                control("aa", "1").as_bytes(),
            ),
            Member::file("md5sums", 0o644, b"0 x\n"),
        ]);
        let data = tar(&members());
        let zst = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        for (ending, pack) in [
            ("", &(|bytes: &[u8]| bytes.to_vec()) as &dyn Fn(&[u8]) -> Vec<u8>),
            (".gz", &gzip),
            (".xz", &xz),
            (".zst", &zst),
        ] {
            let bytes = ar(&[
                ("debian-binary", b"2.0\n"),
                ("_ignored", b"x"),
                (&format!("control.tar{ending}"), &pack(&plain_control)),
                (&format!("data.tar{ending}"), &pack(&data)),
            ]);
            let package = read(&bytes).unwrap_or_else(|error| panic!("{ending}: {error}"));
            assert_eq!(package.fields.get("Package"), Some("aa"));
            assert_eq!(package.md5sums.as_deref(), Some(&b"0 x\n"[..]));
            let paths: Vec<_> = package.entries.iter().map(Entry::shown).collect();
            assert_eq!(paths, ["/etc", "/etc/a", "/etc/b"]);
            let mut text = String::new();
            package.entries[1].content().unwrap().reader().read_to_string(&mut text).unwrap();
            assert_eq!(text, "text");
        }
    }

    #[test]
    fn a_package_that_is_cut_anywhere_is_refused() {
        let bytes = deb(&control("aa", "1"), &members());
        assert!(read(&bytes).is_ok());
        for cut in 0..bytes.len() - 1 {
            assert!(read(&bytes[..cut]).is_err(), "{cut} of {}", bytes.len());
        }
    }

    #[test]
    fn members_are_those_of_a_package_and_in_order() {
        let own = xz(&tar(&[Member::file("control", 0o644, control("aa", "1").as_bytes())]));
        let data = xz(&tar(&members()));
        let refused = |parts: &[(&str, &[u8])]| read(&ar(parts)).unwrap_err();
        let format: (&str, &[u8]) = ("debian-binary", b"2.0\n");
        let (control, data) = (("control.tar.xz", &own[..]), ("data.tar.xz", &data[..]));
        assert!(matches!(refused(&[control, data]), PackageError::Member { .. }));
        assert!(matches!(
            refused(&[("debian-binary", b"3.0\n"), control, data]),
            PackageError::Format(_)
        ));
        assert!(matches!(refused(&[format, data, control]), PackageError::Member { .. }));
        assert!(matches!(refused(&[format, control]), PackageError::Missing("data.tar")));
        assert!(matches!(refused(&[format, control, data, data]), PackageError::Member { .. }));
        assert!(matches!(
            refused(&[format, ("control.tar.lzma", &own), data]),
            PackageError::Compression(_)
        ));
        assert!(matches!(
            refused(&[format, ("control.tar.gz", &own), data]),
            PackageError::Archive(..)
        ));
        assert!(matches!(
            refused(&[format, ("control.tar.xz", &xz(&tar(&[]))), data]),
            PackageError::NoControl
        ));
        let trailing = [&own[..], b"xx"].concat();
        assert!(read(&ar(&[format, ("control.tar.xz", &trailing), data])).is_err());
    }

    /// Writes a header as somebody who means no good would.
    fn raw(path: &str, kind: u8, target: &str, mode: u32) -> Vec<u8> {
        let mut header = tar_write::header(&tar_write::Entry {
            path: b"x",
            kind: tar_write::Kind::File { size: 0 },
            mode,
            uid: 0,
            gid: 0,
            mtime: 0,
        })
        .unwrap();
        header[..path.len()].copy_from_slice(path.as_bytes());
        header[156] = kind;
        header[157..157 + target.len()].copy_from_slice(target.as_bytes());
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        header
    }

    fn with(members: &[Vec<u8>]) -> Result<Package, PackageError> {
        let own = tar(&[Member::file("control", 0o644, control("aa", "1").as_bytes())]);
        let mut data = members.concat();
        data.extend_from_slice(&tar_write::END);
        read(&ar(&[("debian-binary", b"2.0\n"), ("control.tar", &own), ("data.tar", &data)]))
    }

    #[test]
    fn what_leads_out_of_the_root_is_refused() {
        for path in ["../etc/passwd", "a/../../b", "/etc/passwd", "a/.."] {
            assert!(
                matches!(with(&[raw(path, b'0', "", 0o644)]), Err(PackageError::Archive(..))),
                "{path}"
            );
        }
        assert!(with(&[raw("a", b'1', "../b", 0o644)]).is_err(), "a hard link outside");
        assert!(
            with(&[raw("a", b'0', "", 0o644), raw("./a", b'0', "", 0o644)]).is_err(),
            "a path twice"
        );
        assert!(with(&[raw("./", b'5', "", 0o755), raw("./a", b'0', "", 0o644)]).is_ok());
    }

    #[test]
    fn what_no_base_holds_is_objected_to() {
        for (kind, mode, part) in [
            (b'3', 0o644, "character device"),
            (b'4', 0o644, "block device"),
            (b'6', 0o644, "FIFO"),
            (b'0', 0o4755, "setuid"),
            (b'0', 0o2755, "setgid"),
            (b'5', 0o2775, "setgid"),
        ] {
            let package = with(&[raw("a", kind, "", mode)]).unwrap();
            assert!(objection(&package.entries[0]).unwrap().contains(part), "{part}");
        }
        let package = with(&[raw("a", b'0', "", 0o755), raw("b", b'2', "a", 0o6777)]).unwrap();
        assert!(package.entries.iter().all(|entry| objection(entry).is_none()));
    }

    #[test]
    fn limits_hold() {
        let bytes = deb(&control("aa", "1"), &[Member::file("big", 0o644, &[0; 100_000])]);
        let small = Limits { max_uncompressed: 50_000, ..limits() };
        assert!(Package::read(&bytes[..], &small, &SpoolRoom::default()).is_err());
        let few = Limits { max_entries: 1, ..limits() };
        let two = deb(&control("aa", "1"), &members());
        assert!(Package::read(&two[..], &few, &SpoolRoom::default()).is_err());
    }
}
