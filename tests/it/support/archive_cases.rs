//! Layers that are made to deceive their readers, and what becomes of each: one table.
//!
//! The numbers are those of the gate's corpus of archives and metadata: every number has its
//! cases here. Layers are bytes made by code; whether readers agree on what is accepted is
//! for others to say.

use super::raw_tar::{END, Header, entry, file, link, long, padded, pax, record};
use std::io::Write as _;

pub(crate) const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// One layer, as it is stored.
#[derive(Clone)]
pub(crate) struct Layer {
    pub(crate) blob: Vec<u8>,
    pub(crate) media_type: &'static str,
    /// The uncompressed bytes, as far as there are any that all readers agree on.
    pub(crate) tar: Vec<u8>,
}

/// One image, by its layers.
pub(crate) struct Case {
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) layers: Vec<Layer>,
    /// The rules that the image breaks; none where it is right.
    pub(crate) rules: &'static [&'static str],
    /// The path that the first finding names.
    pub(crate) path: Option<&'static str>,
}

/// The program of every image: executable, root's, static.
pub(crate) fn program(elf: &[u8]) -> Vec<u8> {
    [Header::new(b'0', b"usr/bin/app", elf.len() as u64).mode(0o755).done(), padded(elf)].concat()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("gzip");
    encoder.finish().expect("gzip")
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).expect("zstd")
}

fn plain(tar: Vec<u8>) -> Layer {
    Layer { blob: tar.clone(), media_type: TAR, tar }
}

struct Table<'e> {
    elf: &'e [u8],
    cases: Vec<Case>,
}

impl Table<'_> {
    fn add(
        &mut self,
        number: u32,
        name: impl Into<String>,
        layers: Vec<Layer>,
        rules: &'static [&'static str],
    ) -> &mut Case {
        self.cases.push(Case { number, name: name.into(), layers, rules, path: None });
        self.cases.last_mut().expect("the case")
    }

    /// A layer of the program, these bytes and the end.
    fn one(
        &mut self,
        number: u32,
        name: impl Into<String>,
        parts: &[&[u8]],
        rules: &'static [&'static str],
    ) -> &mut Case {
        let tar = [&program(self.elf), &parts.concat()[..], &END].concat();
        self.add(number, name, vec![plain(tar)], rules)
    }

    /// A layer of the program and these bytes, which end as they will.
    fn open(
        &mut self,
        number: u32,
        name: impl Into<String>,
        parts: &[&[u8]],
        rules: &'static [&'static str],
    ) -> &mut Case {
        let tar = [&program(self.elf), &parts.concat()[..]].concat();
        self.add(number, name, vec![plain(tar)], rules)
    }

    /// A stored layer of a whole tar.
    fn stored(
        &mut self,
        number: u32,
        name: &str,
        blob: Vec<u8>,
        media_type: &'static str,
        tar: Vec<u8>,
        rules: &'static [&'static str],
    ) {
        self.add(number, name, vec![Layer { blob, media_type, tar }], rules);
    }
}

impl Case {
    fn at(&mut self, path: &'static str) -> &mut Self {
        self.path = Some(path);
        self
    }
}

/// Every case, on images of this program.
pub(crate) fn cases(elf: &[u8]) -> Vec<Case> {
    let mut table = Table { elf, cases: Vec::new() };
    sizes_and_names(&mut table);
    ends_and_numbers(&mut table);
    paths_and_links(&mut table);
    metadata(&mut table);
    compressions(&mut table);
    table.cases
}

/// What an archive hides in the data of an entry that has none: a shell script.
fn shell() -> Vec<u8> {
    file(b"bin/sh", b"#!/bin/sh\n")
}

fn sizes_and_names(table: &mut Table<'_>) {
    let hidden = shell();
    let size = hidden.len() as u64;
    for (kind, what) in [
        (b'1', "hard link"),
        (b'2', "symbolic link"),
        (b'3', "character device"),
        (b'4', "block device"),
        (b'5', "folder"),
        (b'6', "FIFO"),
    ] {
        let header = Header::new(kind, b"opt/x", size).target(b"usr/bin/app").done();
        table
            .one(63, format!("a {what} with a size"), &[&header, &hidden], &["tar-link-with-size"])
            .at("/opt/x");
    }
    let sized = pax(&[("size", b"9000000000")]);
    let target = link(b'2', b"opt/x", b"/usr/bin/app");
    table.one(63, "a link with a PAX size", &[&sized, &target], &["tar-link-with-size"]);
    for key in ["path", "linkpath"] {
        let twice = pax(&[(key, b"first"), (key, b"bin/second")]);
        let rules = &["tar-duplicate-pax-key"];
        table.one(64, format!("{key} twice"), &[&twice, &link(b'2', b"x", b"y")], rules);
    }
    let comments = [record("comment", b"a"), record("comment", b"b")].concat();
    let global = entry(b'g', b"g", &comments);
    table.one(64, "a global comment twice", &[&global], &["tar-duplicate-pax-key"]);
    let a = || file(b"opt/a", b"first");
    for (name, again) in [
        ("a path twice", file(b"opt/a", b"second")),
        ("a path twice, with a dot", file(b"./opt/a", b"second")),
        ("a path twice, with slashes", file(b"opt//a", b"second")),
        ("a file and a folder", entry(b'5', b"opt/a/", b"")),
        ("a path twice, once by PAX", [pax(&[("path", b"opt/a")]), file(b"b", b"x")].concat()),
    ] {
        table.one(65, name, &[&a(), &again], &["tar-duplicate-path"]).at("/opt/a");
    }
    let major = pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0")]);
    table.one(66, "PAX sparse 1.0", &[&major, &a()], &["tar-sparse"]).at("/PaxHeaders.0/x");
    let old = Header::new(b'S', b"opt/s", 0).gnu().done();
    table.one(66, "old GNU sparse", &[&old], &["tar-sparse"]).at("/opt/s");
    let star = pax(&[("SCHILY.realsize", b"9")]);
    table.one(66, "star's sparse", &[&star, &a()], &["tar-sparse"]);
    for (name, data) in [
        ("a length too long", &b"99 path=a\n"[..]),
        ("no length", b"path=a\n"),
        ("no newline", b"9 path=ab"),
        ("no equals sign", b"8 pathx\n"),
        ("a length with a sign", b"+9 path=a\n"),
        ("NUL behind", b"9 path=a\n\0"),
        ("an empty path", b"8 path=\n"),
        ("a record within a value", b"31 SCHILY.xattr.x=1\n11 path=b\n\n"),
        ("a size that is none", b"10 size=x\n"),
    ] {
        let bad = entry(b'x', b"PaxHeaders.0/x", data);
        table.one(67, name, &[&bad, &a()], &["tar-malformed-pax"]);
    }
    for (name, header) in [
        ("NUL in a PAX path", pax(&[("path", b"bin/sh\0.txt")])),
        ("NUL in a PAX link", pax(&[("linkpath", b"bin/sh\0.txt")])),
        ("NUL in a GNU name", long(b'L', b"bin/sh\0.txt")),
    ] {
        table.one(68, name, &[&header, &a()], &["tar-nul-in-extended-name"]);
    }
    for key in ["path", "linkpath", "size", "mtime", "SCHILY.xattr.user.x"] {
        let global = entry(b'g', b"g", &record(key, b"1"));
        table.one(69, format!("a global {key}"), &[&global, &a()], &["tar-global-pax"]);
    }
    let comment = entry(b'g', b"pax_global_header", &record("comment", b"of git archive"));
    table.one(69, "a global comment", &[&comment, &a()], &[]);
    let (path, name) = (pax(&[("path", b"opt/p")]), long(b'L', b"opt/g"));
    table.one(70, "PAX, then GNU", &[&path, &name, &a()], &["tar-two-long-names"]);
    table.one(70, "GNU, then PAX", &[&name, &path, &a()], &["tar-two-long-names"]);
    let both = [pax(&[("linkpath", b"x")]), long(b'K', b"y"), link(b'2', b"l", b"z")].concat();
    table.one(70, "link targets of both", &[&both], &["tar-two-long-names"]);
    table.one(70, "a GNU name alone", &[&name, &a()], &[]);
    table.one(70, "a PAX path alone", &[&path, &a()], &[]);
    let sized = pax(&[("size", b"5")]);
    let rules = &["tar-pax-size-before-long-name"];
    table.one(93, "a PAX size before a GNU name", &[&sized, &name, &a()], rules);
    let rules = &["tar-pax-size"];
    table.one(93, "a PAX size that differs", &[&pax(&[("size", b"4")]), &a()], rules);
    table.one(93, "a PAX size that agrees", &[&sized, &a()], &[]);
    for (name, parts, rules) in [
        ("two PAX headers", vec![path.clone(), path.clone()], &["tar-repeated-extension"]),
        ("two GNU names", vec![name.clone(), name.clone()], &["tar-repeated-extension"]),
        ("PAX before a global", vec![path.clone(), comment.clone()], &["tar-dangling-extension"]),
        ("another character set", vec![pax(&[("hdrcharset", b"X")])], &["tar-charset"]),
    ] {
        table.one(93, name, &[&parts.concat(), &a()], rules);
    }
    table.one(93, "a GNU name for nothing", &[&name], &["tar-dangling-extension"]);
}

fn ends_and_numbers(table: &mut Table<'_>) {
    let hidden = shell();
    let a = file(b"opt/a", b"data");
    let zeros = [0; 512];
    table.one(71, "a lone zero block", &[&zeros, &hidden], &["tar-lone-zero-block"]).at("/bin/sh");
    table.open(72, "an entry behind the end", &[&END, &hidden, &END], &["tar-data-after-end"]);
    table.open(72, "one byte behind the end", &[&END, &zeros, b"x"], &["tar-data-after-end"]);
    let padding = vec![0; 65_536];
    table.open(72, "64 KiB of padding", &[&a, &END, &padding], &[]);
    table.open(72, "more padding", &[&a, &END, &padding, &zeros], &["tar-data-after-end"]);
    table.open(73, "cut off in a header", &[&a[..300]], &["tar-truncated"]);
    table.open(73, "cut off before the data", &[&a[..512]], &["tar-truncated"]).at("/opt/a");
    table.open(73, "cut off in the data", &[&a[..514]], &["tar-truncated"]).at("/opt/a");
    table.open(73, "cut off in the padding", &[&a[..700]], &["tar-truncated"]).at("/opt/a");
    table.open(73, "no end at all", &[&a], &[]);
    table.open(73, "half an end", &[&a, &zeros], &[]);
    let mut broken = a.clone();
    broken[3] ^= 1;
    table.one(74, "a wrong checksum", &[&broken], &["tar-bad-checksum"]);
    let mut signed = Header::new(b'0', b"opt/\xff", 0).done();
    let sum: i32 = signed.iter().map(|&byte| i32::from(byte as i8)).sum();
    let own: i32 = signed[148..156].iter().map(|&byte| i32::from(byte as i8)).sum();
    let sum = format!("{:06o}\0 ", sum - own + 8 * 32);
    signed[148..156].copy_from_slice(sum.as_bytes());
    table.one(74, "a signed checksum", &[&signed], &["tar-bad-checksum"]);
    let size = |bytes: &[u8]| Header::new(b'0', b"opt/a", 0).put(124, bytes).done();
    for (name, bytes, rules) in [
        ("2^63 bytes", &b"\x80\0\0\0\x80\0\0\0\0\0\0\0"[..], &["tar-bad-number"]),
        ("2^64 bytes and more", b"\x80\0\0\x01\0\0\0\0\0\0\0\0", &["tar-bad-number"]),
        ("-1 in base 256", &[0xff; 12], &["tar-bad-number"]),
        ("a negative octal", b"-0000000001\0", &["tar-bad-number"]),
        ("a decimal", b"00000000009\0", &["tar-bad-number"]),
        ("no size", &[0; 12], &["tar-bad-number"]),
        ("8 GiB less one", b"77777777777\0", &["could-not-inspect"]),
        ("2^62 bytes", b"\x80\0\0\0\x40\0\0\0\0\0\0\0", &["could-not-inspect"]),
    ] {
        table.one(75, name, &[&size(bytes)], rules);
    }
    let mode = Header::new(b'0', b"opt/a", 0).put(100, b"rw-r--r-").done();
    table.one(75, "a mode in letters", &[&mode], &["tar-bad-number"]);
    for kind in *b"ZVMDNAX" {
        let name = format!("type {}", char::from(kind));
        table.one(76, name, &[&entry(kind, b"opt/a", b"")], &["tar-unknown-type"]);
    }
    table.one(76, "type 7", &[&entry(b'7', b"opt/a", b"data")], &[]);
    table.one(76, "type NUL", &[&entry(0, b"opt/a", b"data")], &[]);
    table.one(77, "a file odd/", &[&file(b"odd/", b"x")], &["tar-slash-after-file"]).at("/odd");
    let odd = link(b'2', b"odd/", b"/usr/bin/app");
    table.one(77, "a link odd/", &[&odd], &["tar-slash-after-file"]);
    let fields = Header::new(b'0', b"opt/a\0bin/sh", 0).done();
    table.one(77, "bytes behind a NUL", &[&fields], &["tar-bytes-after-nul"]);
    let prefix = Header::new(b'0', b"a", 0).put(345, b"opt\0x").done();
    table.one(77, "bytes behind a NUL in the prefix", &[&prefix], &["tar-bytes-after-nul"]);
    let magic = Header::new(b'0', b"opt/a", 0).put(257, b"ustaX\x0000").done();
    table.one(77, "an unknown magic", &[&magic], &["tar-unknown-format"]);
    let star = Header::new(b'0', b"opt/a", 0).put(508, b"tar\0").done();
    table.one(77, "star's format", &[&star], &["tar-unknown-format"]);
    table.one(77, "no name", &[&file(b"", b"x")], &["tar-empty-name"]);
    table.one(77, "no target", &[&link(b'2', b"x", b"")], &["tar-empty-name"]);
}

fn paths_and_links(table: &mut Table<'_>) {
    for (name, path) in [
        ("up and out", &b"../../etc/cron.d/x"[..]),
        ("up in the middle", b"opt/../../x"),
        ("up and back", b"opt/../x"),
        ("up alone", b".."),
    ] {
        table.one(78, name, &[&file(path, b"x")], &["path-escapes"]);
    }
    table.one(78, "absolute", &[&file(b"/abs", b"x")], &["path-absolute"]).at("/abs");
    table.one(
        78,
        "absolute by PAX",
        &[&pax(&[("path", b"//abs")]), &file(b"a", b"x")],
        &["path-absolute"],
    );
    table.one(78, "dots and slashes", &[&file(b"././opt//a", b"x")], &[]);
    let dotted = file(b"./././bin//sh", b"x");
    table.one(78, "a shell's name in disguise", &[&dotted], &["forbidden-name"]).at("/bin/sh");
    table.one(78, "the root", &[&Header::new(b'5', b"/", 0).mode(0o755).done()], &[]);
    let out = link(b'2', b"way", b"/etc");
    let below = file(b"way/passwd", b"x");
    let etc = Header::new(b'5', b"etc/", 0).mode(0o755).done();
    table
        .one(79, "through a link", &[&etc, &out, &below], &["write-through-link"])
        .at("/way/passwd");
    let upwards = link(b'2', b"way", b"../../etc");
    let rules = &["write-through-link", "link-escapes"];
    table.one(79, "through a link out", &[&etc, &upwards, &below], rules);
    let flat = file(b"way", b"x");
    table.one(79, "below a file", &[&flat, &below], &["parent-not-folder"]).at("/way/passwd");
    table.one(80, "a hard link out", &[&link(b'1', b"x", b"../etc/shadow")], &["path-escapes"]);
    let missing = &["hard-link-without-target"];
    table.one(80, "a hard link to nothing", &[&link(b'1', b"x", b"etc/shadow")], missing).at("/x");
    let later = [link(b'1', b"x", b"opt/a"), file(b"opt/a", b"x")].concat();
    table.one(80, "a hard link to a later file", &[&later], missing);
    table.one(80, "a hard link to itself", &[&link(b'1', b"x", b"x")], missing);
    let to_folder = [etc, link(b'1', b"x", b"etc")].concat();
    table.one(80, "a hard link to a folder", &[&to_folder], missing);
    table.one(80, "a hard link", &[&file(b"opt/a", b"x"), &link(b'1', b"x", b"opt/a")], &[]);
    let lower = [&program(table.elf), &file(b"opt/a", b"x")[..], &END].concat();
    let upper = [&link(b'1', b"opt/b", b"opt/a")[..], &END].concat();
    table.add(80, "a hard link to a layer below", vec![plain(lower), plain(upper)], &[]);
    for (kind, what) in [(b'3', "character device"), (b'4', "block device"), (b'6', "FIFO")] {
        let special = Header::new(kind, b"opt/x", 0).put(329, b"0000001").put(337, b"0000003");
        table.one(81, format!("a {what}"), &[&special.done()], &["special-file"]).at("/opt/x");
    }
    for (length, rules) in [(4096, &[][..]), (4097, &["could-not-inspect"])] {
        let component = [&[b'd'; 99][..], b"/"].concat();
        let mut path = component.repeat(41);
        path.truncate(length - 1);
        path.push(b'x');
        if path[length - 2] == b'/' {
            path[length - 2] = b'd';
        }
        let named = [pax(&[("path", &path)]), file(b"a", b"x")].concat();
        table.one(107, format!("a path of {length} bytes"), &[&named], rules);
    }
    for (length, rules) in [(255, &[][..]), (256, &["could-not-inspect"])] {
        let named = [pax(&[("path", &vec![b'x'; length])]), file(b"a", b"x")].concat();
        table.one(107, format!("a component of {length} bytes"), &[&named], rules);
    }
    let target = [pax(&[("linkpath", &[b'x'; 4097])]), link(b'2', b"l", b"x")].concat();
    table.one(107, "a target of 4097 bytes", &[&target], &["could-not-inspect"]);
    for (links, rules) in [(40, &[][..]), (41, &["link-loop"])] {
        let chain: Vec<u8> = (1..links)
            .flat_map(|n| link(b'2', format!("l/{n}").as_bytes(), (n + 1).to_string().as_bytes()))
            .chain(link(b'2', format!("l/{links}").as_bytes(), b"/l/end"))
            .chain(file(b"l/end", b"x"))
            .collect();
        table.one(107, format!("a chain of {links} links"), &[&chain], rules);
    }
    let header = pax(&[("SCHILY.xattr.user.x", &vec![b'x'; 65_600])]);
    table.one(107, "an attribute of more than 64 KiB", &[&header], &["could-not-inspect"]);
}

fn metadata(table: &mut Table<'_>) {
    let mode = |kind, name: &[u8], mode| Header::new(kind, name, 0).mode(mode).done();
    for (key, rules) in [
        ("SCHILY.xattr.security.capability", &["file-capabilities"][..]),
        ("LIBARCHIVE.xattr.security.capability", &["file-capabilities"]),
        ("SCHILY.xattr.trusted.overlay.opaque", &["extended-attribute"]),
        ("SCHILY.xattr.user.payload", &["extended-attribute"]),
    ] {
        let with = [pax(&[(key, b"AQAAAgAgAAAAAAAAAAAAAAAAAAA=")]), file(b"opt/a", b"x")].concat();
        table.one(82, key, &[&with], rules).at("/opt/a");
    }
    table.one(83, "setuid", &[&mode(b'0', b"opt/a", 0o4755)], &["setuid"]).at("/opt/a");
    table.one(83, "setgid", &[&mode(b'0', b"opt/a", 0o2755)], &["setuid"]).at("/opt/a");
    table.one(83, "open to all", &[&mode(b'5', b"srv/", 0o777)], &["world-writable"]).at("/srv");
    table.one(83, "a file open to all", &[&mode(b'0', b"a", 0o666)], &["world-writable"]);
    table.one(83, "/tmp", &[&mode(b'5', b"tmp/", 0o1777)], &[]);
    let deceptive = &["path-deceptive"];
    table.one(84, "no UTF-8", &[&file(b"opt/a\xff", b"x")], deceptive).at("/opt/a\\xff");
    table.one(84, "zero width", &[&file("opt/a\u{200b}".as_bytes(), b"x")], deceptive);
    table.one(84, "from right to left", &[&file("opt/a\u{202e}b".as_bytes(), b"x")], deceptive);
    table.one(84, "a Cyrillic sh", &[&file("bin/\u{455}h".as_bytes(), b"x")], deceptive);
    table.one(84, "a wide bash", &[&file("bin/\u{ff42}ash".as_bytes(), b"x")], deceptive);
    let letters = file("etc/ssl/Főtanúsítvány.crt".as_bytes(), b"x");
    table.one(85, "letters of Hungary", &[&letters], &[]);
    table.one(85, "a Cyrillic word", &[&file("opt/мир".as_bytes(), b"x")], &[]);
    table.one(86, "SH", &[&file(b"bin/SH", b"x")], &["forbidden-name"]).at("/bin/SH");
    let collision = &["name-collision"];
    table.one(86, "APP beside app", &[&file(b"usr/bin/APP", b"x")], collision);
    table.one(86, "a space at the end", &[&file(b"opt/sh ", b"x")], deceptive);
    table.one(86, "a dot at the end", &[&file(b"opt/x.", b"x")], deceptive);
    table.one(87, "a line break", &[&file(b"opt/a\nverdict: accepted", b"x")], deceptive);
    table.one(87, "an escape", &[&file(b"opt/a\x1b[2J\x1b[H", b"x")], deceptive);
    let forged = file(b"opt/a\nverdict: accepted\x1b[2J", b"x");
    let twice = [forged.clone(), forged].concat();
    table.one(87, "both in a refusal", &[&twice], &["tar-duplicate-path"]);
    table.one(
        104,
        "ld.so.preload",
        &[&file(b"etc/ld.so.preload", b"/x.so\n")],
        &["loader-preload"],
    );
    table.one(104, "ld.so.conf", &[&file(b"etc/ld.so.conf", b"/tmp\n")], &["loader-path"]);
}

fn compressions(table: &mut Table<'_>) {
    let whole = [&program(table.elf), &END[..]].concat();
    let (first, second) = ([&program(table.elf)[..], &shell()].concat(), END.to_vec());
    let both = [&first[..], &second].concat();
    let script = &["script", "forbidden-name"];
    let two = [gzip(&program(table.elf)), gzip(&[&shell()[..], &END].concat())].concat();
    table.stored(88, "a shell in the second member", two, GZIP, both.clone(), script);
    let members = [gzip(&whole[..700]), gzip(b""), gzip(&whole[700..])].concat();
    table.stored(88, "three members", members, GZIP, whole.clone(), &[]);
    let trailing = &["layer-trailing-bytes"];
    for (name, junk) in [
        ("words", &b"and more"[..]),
        ("a zero", b"\0"),
        ("zeros", &[0; 512]),
        ("half a magic", b"\x1f"),
        ("a broken header", b"\x1f\x8b\x07\0\0\0\0\0\0\0\0"),
        ("a tar", &both),
    ] {
        let name = format!("{name} behind gzip");
        let blob = [&gzip(&whole), junk].concat();
        table.stored(89, &name, blob, GZIP, whole.clone(), trailing);
    }
    let blob = [&zstd(&whole)[..], &both].concat();
    table.stored(89, "a tar behind zstd", blob, ZSTD, whole.clone(), trailing);
    let mut crc = gzip(&whole);
    let at = crc.len() - 8;
    crc[at] ^= 1;
    table.stored(90, "a wrong CRC", crc, GZIP, whole.clone(), &["layer-corrupt"]);
    let mut length = gzip(&whole);
    let at = length.len() - 1;
    length[at] ^= 1;
    table.stored(90, "a wrong length", length, GZIP, whole.clone(), &["layer-corrupt"]);
    let cut = gzip(&whole);
    let cut = cut[..cut.len() - 8].to_vec();
    table.stored(90, "no trailer", cut, GZIP, whole.clone(), &["layer-corrupt"]);
    let mut checked = zstd::stream::Encoder::new(Vec::new(), 3).expect("zstd");
    checked.include_checksum(true).expect("zstd");
    checked.write_all(&whole).expect("zstd");
    let mut checked = checked.finish().expect("zstd");
    let at = checked.len() - 1;
    checked[at] ^= 1;
    table.stored(90, "a wrong checksum of zstd", checked, ZSTD, whole.clone(), &["layer-corrupt"]);
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    let frames = [skippable.clone(), zstd(&first), skippable.clone(), zstd(&second)].concat();
    table.stored(91, "a shell between zstd frames", frames, ZSTD, both, script);
    let frames = [zstd(&whole[..700]), skippable.clone(), zstd(&whole[700..]), skippable].concat();
    table.stored(91, "frames of a right layer", frames, ZSTD, whole.clone(), &[]);
    let window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, (31 - 10) << 3, 1, 0, 0].to_vec();
    table.stored(91, "a window of 2 GiB", window, ZSTD, Vec::new(), &["zstd-window"]);
    let mismatch = &["compression-mismatch"];
    table.stored(91, "a tar called gzip", whole.clone(), GZIP, whole.clone(), mismatch);
    table.stored(91, "gzip called a tar", gzip(&whole), TAR, whole.clone(), mismatch);
    table.stored(91, "zstd called gzip", zstd(&whole), GZIP, whole.clone(), mismatch);
    let unknown = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    table.stored(91, "a foreign layer", whole.clone(), unknown, whole, &["layer-media-type"]);
    // 10 GiB of zeros: a header of 3.9 GiB, three times, and members of 1 MiB.
    let big = |name: &[u8]| Header::new(b'0', name, 0xf000_0000).done();
    let zeros = gzip(&vec![0; 1 << 20]);
    let mut bomb = gzip(&program(table.elf));
    for name in [b"opt/a", b"opt/b", b"opt/c"] {
        bomb.extend(gzip(&big(name)));
        bomb.extend(zeros.repeat(0xf00));
    }
    table.stored(92, "10 GiB of zeros in gzip", bomb, GZIP, Vec::new(), &["layer-bomb"]);
    let head = [program(table.elf), big(b"opt/a")].concat();
    let mut frame = zstd(&head);
    frame.extend(zstd(&vec![0; 64 << 20]));
    table.stored(92, "64 MiB of zeros in zstd", frame, ZSTD, Vec::new(), &["layer-bomb"]);
}
