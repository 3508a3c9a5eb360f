//! One crafted archive per rule of the strict tar walk, and ordinary archives.

use std::io::{self, Read};

use super::tar_walk::{End, Kind, Member, Summary, walk};
use super::{Ambiguity, Error, Limits, tar_write};

/// A header to be broken on purpose: ustar, mode 644, all numbers zero.
#[derive(Clone)]
struct Block([u8; 512]);

impl Block {
    fn new(kind: u8, name: &[u8], size: u64) -> Self {
        let mut block = Self([0; 512]);
        for (offset, text) in
            [(100, "0000644"), (108, "0000000"), (116, "0000000"), (136, "00000000000")]
        {
            block = block.put(offset, text.as_bytes());
        }
        block
            .put(0, name)
            .put(124, format!("{size:011o}").as_bytes())
            .put(156, &[kind])
            .put(257, b"ustar\x0000")
    }

    fn put(mut self, offset: usize, bytes: &[u8]) -> Self {
        self.0[offset..offset + bytes.len()].copy_from_slice(bytes);
        self
    }

    fn gnu(self) -> Self {
        self.put(257, b"ustar  \0")
    }

    fn done(mut self) -> Vec<u8> {
        self.0[148..156].fill(b' ');
        let sum: u32 = self.0.iter().map(|&byte| u32::from(byte)).sum();
        self.put(148, format!("{sum:06o}\0 ").as_bytes()).0.to_vec()
    }
}

fn padded(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    data.resize(data.len() + tar_write::padding(data.len() as u64), 0);
    data
}

fn with_data(kind: u8, name: &[u8], data: &[u8]) -> Vec<u8> {
    [Block::new(kind, name, data.len() as u64).done(), padded(data)].concat()
}

fn file(name: &[u8]) -> Vec<u8> {
    with_data(b'0', name, b"data")
}

fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (1..).find(|length| rest + length.to_string().len() == *length).unwrap();
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let data: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
    with_data(b'x', b"PaxHeaders/x", &data)
}

fn long(kind: u8, name: &[u8]) -> Vec<u8> {
    let data = [name, b"\0"].concat();
    let header = Block::new(kind, b"././@LongLink", data.len() as u64).gnu();
    [header.done(), padded(&data)].concat()
}

/// Members with their data.
type Listing = Vec<(Member, Vec<u8>)>;

fn list_with(archive: &[u8], limits: &Limits) -> Result<(Listing, Summary), Error> {
    let mut members = Vec::new();
    let summary = walk(archive, limits, &mut |member, data| {
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes)?;
        members.push((member, bytes));
        Ok::<(), Error>(())
    })?;
    Ok((members, summary))
}

fn list(parts: &[Vec<u8>]) -> Result<Listing, Error> {
    let archive = [&parts.concat()[..], &tar_write::END].concat();
    let (members, summary) = list_with(&archive, &Limits::default())?;
    assert_eq!(summary.end, End::Marked);
    assert_eq!(summary.members, members.len() as u64);
    assert_eq!(summary.bytes, archive.len() as u64);
    Ok(members)
}

#[track_caller]
fn refused(parts: &[Vec<u8>], code: &str) {
    match list(parts) {
        Err(Error::Ambiguous { ambiguity, .. }) => assert_eq!(ambiguity.rule().id, code),
        other => panic!("{code}: {other:?}"),
    }
}

#[test]
fn tar_001_size_without_data() {
    for kind in b'1'..=b'6' {
        let header = Block::new(kind, b"a", 4).put(157, b"target").done();
        refused(&[header, padded(b"data")], "tar-link-with-size");
    }
    let header = Block::new(b'2', b"a", 0).put(157, b"target").done();
    refused(&[pax(&[("size", b"8589934592")]), header], "tar-link-with-size");
}

#[test]
fn tar_002_duplicate_pax_keys() {
    for key in ["path", "linkpath", "comment"] {
        refused(&[pax(&[(key, b"first"), (key, b"second")]), file(b"a")], "tar-duplicate-pax-key");
    }
    let comments = [record("comment", b"a"), record("comment", b"b")].concat();
    refused(&[with_data(b'g', b"g", &comments)], "tar-duplicate-pax-key");
}

#[test]
fn tar_003_duplicate_paths() {
    for other in [&b"a/b"[..], b"./a/b", b"/a/b", b"a//b", b"a/./b"] {
        refused(&[file(b"a/b"), file(other)], "tar-duplicate-path");
    }
    refused(&[file(b"a"), Block::new(b'5', b"a/", 0).done()], "tar-duplicate-path");
    refused(&[pax(&[("path", b"b")]), file(b"a"), file(b"b")], "tar-duplicate-path");
    assert_eq!(list(&[file(b"a/b"), file(b"a/bc"), file(b"ab")]).unwrap().len(), 3);
}

#[test]
fn tar_004_sparse_files() {
    refused(&[Block::new(b'S', b"a", 0).gnu().done()], "tar-sparse");
    for key in ["GNU.sparse.major", "GNU.sparse.map", "GNU.sparse.name", "SCHILY.realsize"] {
        refused(&[pax(&[(key, b"1")]), file(b"a")], "tar-sparse");
    }
}

#[test]
fn tar_005_malformed_pax() {
    for data in [&b"99 path=a\n"[..], b"path=a\n", b"9 path=ab\n", b"9 path=a\n\0"] {
        refused(&[with_data(b'x', b"x", data), file(b"a")], "tar-malformed-pax");
    }
    refused(&[with_data(b'g', b"g", b"99 comment=a\n")], "tar-malformed-pax");
    // A record within a value: a path to Rust's tar, which takes every line for a record.
    for (key, value) in [
        ("path", &b"a\n"[..]),
        ("linkpath", b"a\nb"),
        ("SCHILY.xattr.user.x", b"x\n11 path=b\n"),
        ("SCHILY.xattr.user.x", b"x\n1"),
        ("SCHILY.xattr.user.x", b"x\n"),
        ("comment", b"\n"),
        ("ke\ny", b"x"),
        ("SCHILY.xattr.user\n.x", b"x"),
    ] {
        refused(&[pax(&[(key, value)]), file(b"a")], "tar-malformed-pax");
    }
    assert!(list(&[pax(&[("SCHILY.xattr.user.x", b"x\ny")]), file(b"a")]).is_ok());
}

#[test]
fn tar_006_nul_in_extended_names() {
    for key in ["path", "linkpath", "uname"] {
        refused(&[pax(&[(key, b"bin/sh\0.txt")]), file(b"a")], "tar-nul-in-extended-name");
    }
    refused(&[long(b'L', b"bin/sh\0.txt"), file(b"a")], "tar-nul-in-extended-name");
}

#[test]
fn tar_007_global_headers() {
    for key in ["path", "linkpath", "size", "mtime", "SCHILY.xattr.user.a"] {
        let global = with_data(b'g', b"g", &record(key, b"1"));
        refused(&[global, file(b"a")], "tar-global-pax");
    }
    let comment = with_data(b'g', b"pax_global_header", &record("comment", b"git commit"));
    assert_eq!(list(&[comment, file(b"a")]).unwrap().len(), 1);
}

#[test]
fn tar_008_pax_and_gnu_names() {
    let (path, name) = (pax(&[("path", b"pax")]), long(b'L', b"gnu"));
    refused(&[path.clone(), name.clone(), file(b"a")], "tar-two-long-names");
    refused(&[name, path, file(b"a")], "tar-two-long-names");
    let link = Block::new(b'2', b"a", 0).put(157, b"t").done();
    refused(&[pax(&[("linkpath", b"p")]), long(b'K', b"g"), link], "tar-two-long-names");
}

#[test]
fn tar_009_lone_zero_block() {
    refused(&[file(b"a"), vec![0; 512], file(b"b")], "tar-lone-zero-block");
    refused(&[vec![0; 512], file(b"b")], "tar-lone-zero-block");
}

#[test]
fn tar_010_after_the_end() {
    refused(&[file(b"a"), vec![0; 1024], file(b"b")], "tar-data-after-end");
    refused(&[file(b"a"), vec![0; 1024], vec![0; 100], vec![1]], "tar-data-after-end");
    refused(&[file(b"a"), vec![0; 65536 + 1]], "tar-data-after-end");
    assert!(list(&[file(b"a"), vec![0; 65536]]).is_ok());
}

#[test]
fn tar_011_ends() {
    let whole = file(b"a");
    let end =
        |archive: &[u8]| list_with(archive, &Limits::default()).map(|(_, summary)| summary.end);
    assert_eq!(end(&whole).unwrap(), End::Unmarked);
    assert_eq!(end(&[&whole[..], &[0; 512]].concat()).unwrap(), End::HalfMarked);
    assert_eq!(end(b"").unwrap(), End::Unmarked);
    for length in (1..whole.len()).filter(|length| length % 512 != 0 || *length == 512) {
        let result = end(&whole[..length]);
        let truncated =
            matches!(result, Err(Error::Ambiguous { ambiguity: Ambiguity::Truncated, .. }));
        assert!(truncated, "{length}: {result:?}");
    }
    let cut = [&whole[..], &[0; 700]].concat();
    assert!(end(&cut).is_err());
}

#[test]
fn tar_012_checksums() {
    let mut header = file(b"a");
    header[0] ^= 1;
    refused(&[header], "tar-bad-checksum");
    let mut header = file(b"a");
    header[148..156].fill(0);
    refused(&[header], "tar-bad-checksum");
    refused(&[vec![0xaa; 512]], "tar-bad-checksum");
}

#[test]
fn tar_013_numbers() {
    let fields: [(usize, &[u8]); 9] = [
        (124, b"\x80\0\0\0\x80\0\0\0\0\0\0\0"),
        (124, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        (124, b"0000000000x\0"),
        (124, b"            "),
        (100, b"0000648\0"),
        (108, b"-000001\0"),
        (116, b"0x00000\0"),
        (136, b"1\x002\0"),
        (329, b"00000!0\0"),
    ];
    for (offset, bytes) in fields {
        refused(&[Block::new(b'0', b"a", 0).put(offset, bytes).done()], "tar-bad-number");
        // Go reads every field of an extension header too, and refuses the archive.
        for kind in *b"xgLK" {
            let extension = Block::new(kind, b"x", 0).put(offset, bytes).done();
            refused(&[extension, file(b"a")], "tar-bad-number");
        }
    }
    for key in ["atime", "ctime", "mtime"] {
        refused(&[pax(&[(key, b"now")]), file(b"a")], "tar-malformed-pax");
    }
    // Go takes bad GNU times as a sign that this is a prefix.
    let header = Block::new(b'0', b"sh", 0).gnu().put(345, b"bin");
    refused(&[header.done()], "tar-bad-number");
    let base256 = Block::new(b'0', b"a", 0).gnu().put(124, b"\x80\0\0\0\0\0\0\0\0\0\0\x04");
    let members = list(&[base256.done(), padded(b"data")]).unwrap();
    assert_eq!(members[0].1, b"data");
}

#[test]
fn tar_014_types() {
    for kind in *b"89ADEIMNVXZ" {
        refused(&[Block::new(kind, b"a", 0).done()], "tar-unknown-type");
    }
    // GNU and PAX extensions in a header of before there were any.
    for kind in *b"xgLK" {
        let old = Block::new(kind, b"a", 0).put(257, &[0; 8]).done();
        refused(&[old, file(b"a")], "tar-unknown-type");
    }
    for kind in [b'0', b'7', 0] {
        let members = list(&[with_data(kind, b"a", b"data")]).unwrap();
        assert_eq!(members[0].0.kind, Kind::File);
    }
}

#[test]
fn tar_015_slash_after_a_file() {
    for kind in [b'0', b'7', 0, b'2', b'6'] {
        let header = Block::new(kind, b"odd/", 0).put(157, b"target");
        refused(&[header.done()], "tar-slash-after-file");
    }
}

#[test]
fn tar_016_repeated_extensions() {
    let comment = pax(&[("comment", b"1")]);
    refused(&[comment.clone(), comment.clone(), file(b"a")], "tar-repeated-extension");
    refused(
        &[comment.clone(), long(b'L', b"l"), comment.clone(), file(b"a")],
        "tar-repeated-extension",
    );
    for kind in *b"LK" {
        refused(&[long(kind, b"l"), long(kind, b"l"), file(b"a")], "tar-repeated-extension");
    }
    refused(std::slice::from_ref(&comment), "tar-dangling-extension");
    let global = with_data(b'g', b"g", &record("comment", b"1"));
    refused(&[comment.clone(), global, file(b"a")], "tar-dangling-extension");
    assert!(list(&[comment, long(b'K', b"k"), long(b'L', b"l"), file(b"a")]).is_ok());
}

#[test]
fn tar_016_header_bytes_are_limited() {
    let big = pax(&[("comment", &[b'c'; 65000])]);
    assert!(list(&[big.clone(), long(b'L', b"l"), file(b"a")]).is_ok());
    let result = list(&[big, long(b'L', &[b'l'; 1000]), file(b"a")]);
    assert!(matches!(result, Err(Error::Limit(_))), "{result:?}");
    let header = Block::new(b'x', b"x", 0o7_777_777_777).done();
    assert!(matches!(list(&[header]), Err(Error::Limit(_))));
}

#[test]
fn tar_017_pax_sizes() {
    refused(&[pax(&[("size", b"5")]), file(b"a")], "tar-pax-size");
    assert!(list(&[pax(&[("size", b"4")]), file(b"a")]).is_ok());
    refused(
        &[pax(&[("size", b"4")]), long(b'L', b"l"), file(b"a")],
        "tar-pax-size-before-long-name",
    );
    let huge = [pax(&[("size", b"8589934592")]), Block::new(b'0', b"a", 0).done()];
    let limits = Limits { max_file: u64::MAX, ..Limits::default() };
    let mut size = 0;
    let result = walk(&huge.concat()[..], &limits, &mut |member, _| {
        size = member.size;
        Ok::<(), Error>(())
    });
    assert_eq!(size, 8 << 30);
    assert!(result.is_err());
}

#[test]
fn tar_018_bytes_after_nul() {
    for (offset, bytes) in [(0, b"bin/sh\0.txt"), (157, b"target\0more"), (345, b"prefix\0more")] {
        refused(&[Block::new(b'2', b"a", 0).put(offset, bytes).done()], "tar-bytes-after-nul");
    }
}

#[test]
fn tar_019_charsets() {
    refused(&[pax(&[("hdrcharset", b"ISO-IR 8859 1 1998")]), file(b"a")], "tar-charset");
    for charset in [&b"BINARY"[..], b"ISO-IR 10646 2000 UTF-8"] {
        assert!(list(&[pax(&[("hdrcharset", charset)]), file(b"a")]).is_ok());
    }
}

#[test]
fn unknown_formats_and_empty_names() {
    for magic in [&b"ustar\0\0\0"[..], b"ustar   ", b"USTAR\x0000", b"\0\0\0\0\0\0\x0000"] {
        refused(&[Block::new(b'0', b"a", 0).put(257, magic).done()], "tar-unknown-format");
    }
    refused(&[Block::new(b'0', b"a", 0).put(508, b"tar\0").done()], "tar-unknown-format");
    refused(&[Block::new(b'0', b"", 0).done()], "tar-empty-name");
    refused(&[Block::new(b'2', b"a", 0).done()], "tar-empty-name");
    refused(&[long(b'L', b""), file(b"a")], "tar-empty-name");
    let v7 = Block::new(0, b"old", 0).put(257, &[0; 8]).put(345, b"no prefix in v7").done();
    assert_eq!(list(&[v7]).unwrap()[0].0.path, b"old");
}

#[test]
fn members_are_reported_as_written() {
    let device = Block::new(b'3', b"../null", 0).put(329, b"0000001\0").put(337, b"0000003\0");
    let prefixed = Block::new(b'6', b"fifo", 0).put(345, b"run");
    let attributes = pax(&[
        ("SCHILY.xattr.security.capability", b"\x01\0\0\x02"),
        ("LIBARCHIVE.xattr.user.a", b"YQ=="),
        ("uid", b"3000000"),
        ("mtime", b"12.5"),
    ]);
    let members = list(&[device.done(), prefixed.done(), attributes, file(b"/abs")]).unwrap();
    assert_eq!(members[0].0.path, b"../null");
    assert_eq!(members[0].0.kind, Kind::CharDevice { major: 1, minor: 3 });
    assert_eq!((&members[1].0.path[..], &members[1].0.kind), (&b"run/fifo"[..], &Kind::Fifo));
    let (member, data) = &members[2];
    assert_eq!(
        (member.uid, member.mtime, member.size, &data[..]),
        (3_000_000, 12, 4, &b"data"[..])
    );
    let names: Vec<_> = member.xattrs.iter().map(|xattr| xattr.name()).collect();
    assert_eq!(names, [&b"security.capability"[..], b"user.a"]);
    assert_eq!(member.data_offset, 512 * 5);
}

#[test]
fn limits_end_the_walk() {
    let three = [file(b"a"), file(b"b/cc"), file(b"d")].concat();
    let default = Limits::default;
    let limits = [
        Limits { max_entries: 2, ..default() },
        Limits { max_file: 3, ..default() },
        Limits { max_path: 3, ..default() },
        Limits { max_component: 1, ..default() },
    ];
    for limits in limits {
        assert!(matches!(list_with(&three, &limits), Err(Error::Limit(_))), "{limits:?}");
    }
    let globals = with_data(b'g', b"g", &record("comment", b"1")).repeat(3);
    let limits = Limits { max_entries: 2, ..default() };
    assert!(matches!(list_with(&globals, &limits), Err(Error::Limit(_))));
}

#[test]
fn unread_data_is_skipped_and_visitor_errors_end_the_walk() {
    let archive = [file(b"a"), file(b"b")].concat();
    let mut paths = Vec::new();
    let mut visit = |member: Member, data: &mut dyn Read| {
        paths.push(member.path);
        data.read_exact(&mut [0; 1]).map_err(Error::Io)
    };
    walk(&archive[..], &Limits::default(), &mut visit).unwrap();
    assert_eq!(paths, [b"a", b"b"]);
    let mut calls = 0;
    let result = walk(&archive[..], &Limits::default(), &mut |_, _| {
        calls += 1;
        Err::<(), Error>(Error::Io(io::Error::other("visitor")))
    });
    assert!(matches!((calls, result), (1, Err(Error::Io(_)))));
}

#[test]
fn stream_errors_win_over_the_visitors_view_of_them() {
    let mut archive = file(b"a");
    archive.truncate(514);
    let mut visit = |_: Member, data: &mut dyn Read| {
        let result = io::copy(data, &mut io::sink());
        result.map(drop).map_err(|_| Error::Io(io::Error::other("visitor")))
    };
    let result = walk(&archive[..], &Limits::default(), &mut visit);
    assert!(matches!(result, Err(Error::Ambiguous { ambiguity: Ambiguity::Truncated, .. })));
}

#[test]
fn gnu_archives_as_docker_and_dpkg_write_them() {
    let long_name = "usr/share/doc/".to_owned() + &"long/".repeat(30) + "copyright";
    let long_link = "../".repeat(40) + "lib";
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header.set_entry_type(tar::EntryType::Directory);
    builder.append_data(&mut header, "./usr/", io::empty()).unwrap();
    header.set_entry_type(tar::EntryType::Symlink);
    builder.append_link(&mut header, "./lib", &long_link).unwrap();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(4);
    builder.append_data(&mut header, &long_name, &b"text"[..]).unwrap();
    let archive = builder.into_inner().unwrap();
    let (members, summary) = list_with(&archive, &Limits::default()).unwrap();
    assert_eq!(summary.end, End::Marked);
    assert_eq!(members[0].0.path, b"usr/");
    assert_eq!(members[1].0.kind, Kind::Symlink { target: long_link.into_bytes() });
    assert_eq!((&members[2].0.path, &members[2].1[..]), (&long_name.into_bytes(), &b"text"[..]));
}

#[test]
fn pax_archives_as_go_writes_them() {
    // archive/tar repeats an ASCII-only, cut name in ustar beside the PAX path.
    let path = "etc/ssl/certs/NetLock_Arany_=Class_Gold=_Főtanúsítvány.pem".as_bytes();
    let records = pax(&[("mtime", b"1700000000.5"), ("path", path)]);
    let members = list(&[records, file(b"etc/ssl/certs/NetLock_Arany.pem")]).unwrap();
    assert_eq!((&members[0].0.path[..], members[0].0.mtime), (path, 1_700_000_000));
}

#[test]
fn own_archives_are_never_ambiguous() {
    let long = [vec![b'l'; 200], b"/".to_vec(), vec![b'n'; 200]].concat();
    let paths: [&[u8]; 4] = [b"app", b"usr/bin/app", &long, "ő".as_bytes()];
    let mut archive = Vec::new();
    for (path, mtime) in paths.into_iter().zip([0, 1 << 40, 5, 6]) {
        let kind = tar_write::Kind::File { size: 3 };
        let entry = tar_write::Entry { path, kind, mode: 0o755, uid: 65532, gid: 3_000_000, mtime };
        archive.extend(tar_write::header(&entry).unwrap());
        archive.extend(padded(b"abc"));
    }
    let members = list(&[archive]).unwrap();
    let walked: Vec<_> = members.iter().map(|(member, _)| &member.path[..]).collect();
    assert_eq!(walked, paths);
    assert_eq!((members[1].0.mtime, members[1].0.gid), (1 << 40, 3_000_000));
}

/// Paths and data as tar-rs sees them.
fn tar_rs(archive: &[u8]) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut archive = tar::Archive::new(archive);
    let mut seen = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        // tar-rs hands on global headers as entries.
        if entry.header().entry_type() == tar::EntryType::XGlobalHeader {
            continue;
        }
        let path = entry.path_bytes().into_owned();
        let mut data = Vec::new();
        entry.read_to_end(&mut data)?;
        seen.push((path, data));
    }
    Ok(seen)
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        cases: 3000,
        failure_persistence: None,
        ..proptest::prelude::ProptestConfig::default()
    })]

    #[test]
    fn accepted_mutants_look_the_same_to_tar_rs(
        edits in proptest::collection::vec((0..8usize, 0..512usize, proptest::prelude::any::<u8>()), 1..4),
        length in 0..9000usize,
    ) {
        let symlink = Block::new(b'2', b"link", 0).put(157, b"target").done();
        let mut archive = [
            file(b"a"),
            pax(&[("path", b"long/name"), ("mtime", b"1.5")]),
            file(b"b"),
            symlink,
            Block::new(b'5', b"dir/", 0).put(345, b"prefix").done(),
            vec![0; 1024],
        ]
        .concat();
        for (block, offset, byte) in edits {
            archive[block * 512 + offset] = byte;
            // Without a right checksum nothing behind it would be tested.
            if [0, 2, 4, 6, 7].contains(&block) {
                let header = &mut archive[block * 512..(block + 1) * 512];
                header[148..156].fill(b' ');
                let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
                header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
        }
        archive.truncate(length.max(600));
        if let Ok((members, _)) = list_with(&archive, &Limits::default()) {
            let ours: Vec<_> = members.into_iter().map(|(member, data)| (member.path, data)).collect();
            if let Ok(theirs) = tar_rs(&archive) {
                proptest::prop_assert_eq!(ours, theirs);
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(data in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..2000)) {
        drop(list_with(&data, &Limits::default()));
        let header = Block::new(b'x', b"x", data.len() as u64).done();
        drop(list_with(&[header, padded(&data), file(b"a")].concat(), &Limits::default()));
    }
}
