//! Archives inside the image, and inside one another: their members are judged like files,
//! bombs and deceits end, and nothing is unpacked to disk.

use crate::support::archive_cases::{gzip, zstd};
use crate::support::elf::Elf;
use crate::support::foreign::{Image, file};
use crate::support::raw_tar::{self, END};
use crate::support::{Project, rules};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// The rules that a data file of these bytes breaks, in an image that is right without it.
fn found(bytes: &[u8]) -> Vec<String> {
    let report = report(bytes);
    let found: BTreeSet<_> = rules(&report).into_iter().collect();
    found.into_iter().filter(|rule| rule != "not-scanned").collect()
}

fn report(bytes: &[u8]) -> Value {
    let project = Project::new();
    let image = Image {
        run: json!({ "User": "65532:65532", "Entrypoint": ["/usr/bin/app"], "WorkingDir": "/" }),
        config: json!({}),
        annotations: json!({}),
        layers: vec![vec![
            file("usr/bin/app", Elf::default().build()),
            file("srv/x", bytes).mode(0o644),
        ]],
    };
    let start = Instant::now();
    let report = image.report(&project);
    assert!(start.elapsed() < Duration::from_secs(300), "it takes {:?}", start.elapsed());
    report
}

/// A program that has no place in an image, whatever it is called.
fn tool() -> Vec<u8> {
    let table = include_str!("../../src/inspect/fingerprints.toml");
    let table: toml::Table = table.parse().expect("the table");
    let tools = table["fingerprint"].as_array().expect("fingerprints");
    let busybox =
        tools.iter().find(|one| one["tool"].as_str() == Some("busybox")).expect("busybox");
    let marks = busybox["strings"].as_array().expect("strings").iter();
    let marks: Vec<_> = marks.filter_map(|mark| mark.as_str()).collect();
    Elf::with(format!("\0{}\0", marks.join("\0"))).build()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(6);
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).expect("xz");
    encoder.write_all(bytes).expect("xz");
    encoder.finish().expect("xz")
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(bytes).expect("bzip2");
    encoder.finish().expect("bzip2")
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("deflate");
    encoder.finish().expect("deflate")
}

fn tar(name: &str, bytes: &[u8]) -> Vec<u8> {
    [&raw_tar::file(name.as_bytes(), bytes)[..], &END].concat()
}

fn cpio(name: &str, mode: u32, bytes: &[u8]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, mode, bytes) in [(name, mode, bytes), ("TRAILER!!!", 0, &b""[..])] {
        let length = name.len() + 1;
        let fields = [1, mode, 0, 0, 1, 0, bytes.len() as u32, 0, 0, 0, 0, length as u32, 0];
        archive.extend(b"070701");
        archive.extend(fields.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
        archive.extend(name.as_bytes());
        archive.push(0);
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend(bytes);
        archive.resize(archive.len().next_multiple_of(4), 0);
    }
    archive
}

/// A member of a zip file: its name, how it is packed, the packed bytes, the size of the plain.
struct Zipped {
    name: &'static str,
    method: u16,
    packed: Vec<u8>,
    plain: u32,
}

fn stored(name: &'static str, bytes: &[u8]) -> Zipped {
    Zipped { name, method: 0, packed: bytes.to_vec(), plain: bytes.len() as u32 }
}

fn packed(name: &'static str, method: u16, packed: Vec<u8>, plain: usize) -> Zipped {
    Zipped { name, method, packed, plain: plain as u32 }
}

/// What local header and directory say alike of a member.
fn common(one: &Zipped) -> Vec<u8> {
    let mut common = Vec::new();
    for half in [20, 0, one.method, 0, 0] {
        common.extend(u16::to_le_bytes(half));
    }
    common.extend([0; 4]);
    common.extend((one.packed.len() as u32).to_le_bytes());
    common.extend(one.plain.to_le_bytes());
    common.extend((one.name.len() as u16).to_le_bytes());
    common.extend([0; 2]);
    common
}

fn local(one: &Zipped) -> Vec<u8> {
    [b"PK\x03\x04", &common(one)[..], one.name.as_bytes(), &one.packed].concat()
}

fn listed(one: &Zipped, at: u32) -> Vec<u8> {
    let mut entry = [b"PK\x01\x02\x14\0", &common(one)[..], &[0; 10]].concat();
    entry.extend(at.to_le_bytes());
    entry.extend(one.name.as_bytes());
    entry
}

fn end(count: u16, size: usize, offset: usize, comment: &[u8]) -> Vec<u8> {
    let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
    end.extend(count.to_le_bytes());
    end.extend(count.to_le_bytes());
    end.extend((size as u32).to_le_bytes());
    end.extend((offset as u32).to_le_bytes());
    end.extend((comment.len() as u16).to_le_bytes());
    end.extend(comment);
    end
}

/// A zip file of parts: members that the directory lists, and bytes that it does not.
fn zip_of(parts: &[Result<Zipped, Vec<u8>>]) -> Vec<u8> {
    let (mut file, mut directory, mut count) = (Vec::new(), Vec::new(), 0);
    for part in parts {
        match part {
            Ok(member) => {
                directory.extend(listed(member, file.len() as u32));
                file.extend(local(member));
                count += 1;
            }
            Err(bytes) => file.extend(bytes),
        }
    }
    let end = end(count, directory.len(), file.len(), b"");
    [file, directory, end].concat()
}

fn zip(members: Vec<Zipped>) -> Vec<u8> {
    zip_of(&members.into_iter().map(Ok).collect::<Vec<_>>())
}

/// The form for large files: sizes and offset in a field, a second end record, a locator.
fn zip64(name: &str, bytes: &[u8], count: u64) -> Vec<u8> {
    let long = |numbers: &[u64]| {
        let mut field = 1_u16.to_le_bytes().to_vec();
        field.extend((numbers.len() as u16 * 8).to_le_bytes());
        field.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        field
    };
    let size = bytes.len() as u64;
    let (in_front, in_directory) = (long(&[size, size]), long(&[size, size, 0]));
    let common = |extra: usize| {
        let mut common = [45, 0, 0, 0, 0, 0, 0]
            .iter()
            .flat_map(|half| u16::to_le_bytes(*half))
            .collect::<Vec<_>>();
        common.extend([0xff; 8]);
        common.extend((name.len() as u16).to_le_bytes());
        common.extend((extra as u16).to_le_bytes());
        common
    };
    let mut file =
        [b"PK\x03\x04", &common(in_front.len())[..], name.as_bytes(), &in_front, bytes].concat();
    let directory = file.len() as u64;
    file.extend(
        [b"PK\x01\x02\x2d\0", &common(in_directory.len())[..], &[0; 10], &[0xff; 4]].concat(),
    );
    file.extend([name.as_bytes(), &in_directory].concat());
    let place = file.len() as u64;
    file.extend(b"PK\x06\x06");
    file.extend(44_u64.to_le_bytes());
    file.extend([45, 0, 45, 0]);
    file.extend([0; 8]);
    for number in [count, count, place - directory, directory] {
        file.extend(number.to_le_bytes());
    }
    file.extend(b"PK\x06\x07\0\0\0\0");
    file.extend(place.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    file.extend(end(0xffff, 0xffff_ffff, 0xffff_ffff, b""));
    file
}

#[test]
fn what_any_archive_holds_is_refused_for_what_it_is() {
    let tool = tool();
    let size = tool.len();
    let deb = |data: Vec<u8>| {
        let head =
            format!("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", "data.tar", 0, 0, 0, "644", data.len());
        [
            b"!<arch>\ndebian-binary   0           0     0     644     4         `\n2.0\n",
            head.as_bytes(),
            &data,
        ]
        .concat()
    };
    let jar = zip(vec![stored("lib/a.zip", &zip(vec![packed("x", 8, deflate(&tool), size)]))]);
    let cases = [
        ("gzip", gzip(&tool)),
        ("zstd", zstd(&tool)),
        ("xz", xz(&tool)),
        ("bzip2", bzip2(&tool)),
        ("two streams of xz", [xz(b"text"), xz(&tool)].concat()),
        ("two streams of bzip2", [bzip2(b"text"), bzip2(&tool)].concat()),
        ("two members of gzip", [gzip(b"text"), gzip(&tool)].concat()),
        ("tar", tar("x", &tool)),
        ("cpio", cpio("x", 0o100_644, &tool)),
        (
            "two cpios",
            [cpio("y", 0o100_644, b"y"), vec![0; 512], cpio("x", 0o100_644, &tool)].concat(),
        ),
        ("gzip behind a cpio", [cpio("y", 0o100_644, b"y"), gzip(&tool)].concat()),
        ("ar of a tar", deb(tar("bin/x", &tool))),
        ("a stored zip", zip(vec![stored("x", &tool)])),
        ("a deflated zip", zip(vec![packed("x", 8, deflate(&tool), size)])),
        ("a zip by bzip2", zip(vec![packed("x", 12, bzip2(&tool), size)])),
        ("a zip by zstd", zip(vec![packed("x", 93, zstd(&tool), size)])),
        ("a zip by xz", zip(vec![packed("x", 95, xz(&tool), size)])),
        ("a zip64", zip64("x", &tool, 1)),
        ("a zip in a jar", jar.clone()),
        ("a jar in a tar in gzip", gzip(&tar("a.jar", &jar))),
        ("a tar in xz in a zip", zip(vec![stored("a.tar.xz", &xz(&tar("x", &tool)))])),
        ("a cpio in bzip2 in a tar", tar("i", &bzip2(&cpio("x", 0o100_755, &tool)))),
    ];
    assert_eq!(cases.len(), 22);
    for (name, bytes) in cases {
        let report = report(&bytes);
        assert!(rules(&report).contains(&"multicall".to_owned()), "{name}: {report:#}");
        assert_eq!(report["verdict"], "rejected");
        let unreadable = ["archive-unreadable", "archive-not-inspected", "zip-ambiguous"];
        assert!(
            rules(&report).iter().all(|rule| !unreadable.contains(&&rule[..])),
            "{name}: {report:#}"
        );
    }
}

#[test]
fn archives_of_text_are_right() {
    let text = b"nothing but text, over and over: text, text, text, text, text".repeat(40);
    let size = text.len();
    for (name, bytes) in [
        ("xz", xz(&text)),
        ("bzip2", bzip2(&text)),
        ("cpio", cpio("x", 0o100_644, &text)),
        ("a link in cpio", cpio("x", 0o120_777, b"/usr/bin/app")),
        ("padded cpio", [cpio("x", 0o100_644, &text), vec![0; 300]].concat()),
        (
            "zip",
            zip(vec![packed("a", 8, deflate(&text), size), stored("b/", b""), stored("b/c", b"c")]),
        ),
        ("zip64", zip64("x", &text, 1)),
        ("an empty zip", zip(vec![])),
        ("three deep", gzip(&zstd(&xz(&text)))),
        ("three archives", tar("a", &zip(vec![stored("b", &cpio("c", 0o100_644, &text))]))),
    ] {
        assert_eq!(found(&bytes), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn zip_files_that_readers_understand_differently_are_refused() {
    let text = b"some text";
    let (a, b) = (|| stored("a", text), || stored("b", text));
    let good = zip(vec![a(), b()]);
    let mut renamed = good.clone();
    renamed[30] = b'x';
    let mut resized = good.clone();
    resized[18] = 5;
    let mut method = good.clone();
    method[8] = 8;
    let promise = zip(vec![packed("a", 8, deflate(text), text.len() + 1)]);
    let comment = {
        let inner = end(0, 0, 0, b"");
        let mut file = local(&a());
        let directory = listed(&a(), 0);
        let end = end(1, directory.len(), file.len(), &inner);
        file.extend(directory);
        file.extend(end);
        file
    };
    // Both members of the directory are at one place.
    let overlapping = {
        let one = packed("a", 8, deflate(&vec![0; 1 << 20]), 1 << 20);
        let mut file = local(&one);
        let inner = local(&stored("b", b"x"));
        let mut outer = stored("o", &inner);
        outer.plain = inner.len() as u32;
        let outer_at = file.len() as u32;
        file.extend(local(&outer));
        let directory =
            [listed(&one, 0), listed(&outer, outer_at), listed(&stored("b", b"x"), outer_at + 31)]
                .concat();
        let end = end(3, directory.len(), file.len(), b"");
        [file, directory, end].concat()
    };
    let mut contradicting = zip64("x", text, 1);
    let at = contradicting.len() - 14;
    contradicting[at..at + 4].copy_from_slice(&[7, 0, 7, 0]);
    let ambiguous = &["zip-ambiguous"][..];
    let hidden = &["zip-hidden-member"][..];
    for (name, bytes, expected) in [
        ("two names for a member", renamed, ambiguous),
        ("two sizes for a member", resized, ambiguous),
        ("two methods for a member", method, ambiguous),
        ("a size that is not kept", promise, ambiguous),
        ("a name twice", zip(vec![a(), a()]), ambiguous),
        ("an end in the comment", comment, ambiguous),
        ("members that share bytes", overlapping, ambiguous),
        ("two ends that contradict", contradicting, ambiguous),
        ("a member that is not listed", zip_of(&[Ok(a()), Err(local(&b()))]), hidden),
        ("one between", zip_of(&[Ok(a()), Err(local(&stored("h", text))), Ok(b())]), hidden),
        ("one before", zip_of(&[Err(local(&stored("h", text))), Ok(a())]), hidden),
        ("bytes between", zip_of(&[Ok(a()), Err(b"hidden bytes".to_vec()), Ok(b())]), hidden),
        ("bytes behind the end", [&good[..], b"more"].concat(), hidden),
        (
            "bytes behind deflate",
            {
                let packed = [deflate(text), b"more".to_vec()].concat();
                zip(vec![Zipped { name: "a", method: 8, packed, plain: text.len() as u32 }])
            },
            hidden,
        ),
    ] {
        let found = found(&bytes);
        assert_eq!(found, expected, "{name}");
    }
    assert_eq!(found(&good), Vec::<String>::new());
    // What is hidden is judged too.
    let tool = zip_of(&[Ok(a()), Err(local(&stored("h", &tool())))]);
    let found = found(&tool);
    assert!(
        ["zip-hidden-member", "multicall"].iter().all(|rule| found.contains(&(*rule).to_owned())),
        "{found:?}"
    );
}

#[test]
fn bombs_end_quickly_with_their_rule() {
    let zeros = vec![0; 64 << 20];
    let size = zeros.len();
    let nested = {
        let level = gzip(&vec![0; 15 << 20]);
        let level = tar("a", &level.repeat(200));
        gzip(&level)
    };
    let many: Vec<Zipped> = ["a", "b", "c", "d", "e", "f", "g", "h"]
        .iter()
        .map(|name| packed(name, 8, deflate(&zeros[..15 << 20]), 15 << 20))
        .collect();
    let bomb = &["archive-bomb"][..];
    for (name, bytes, expected) in [
        ("gzip", gzip(&zeros), bomb),
        ("gzip of many members", gzip(&zeros[..1 << 20]).repeat(2000), bomb),
        ("zstd", zstd(&zeros), bomb),
        ("zstd of many frames", zstd(&zeros[..1 << 20]).repeat(2000), bomb),
        ("xz", xz(&zeros), bomb),
        ("bzip2", bzip2(&zeros), bomb),
        ("deflate in a zip", zip(vec![packed("a", 8, deflate(&zeros), size)]), bomb),
        ("bzip2 in a zip", zip(vec![packed("a", 12, bzip2(&zeros), size)]), bomb),
        ("xz in a zip", zip(vec![packed("a", 95, xz(&zeros), size)]), bomb),
        ("gzip in tar in gzip", nested, bomb),
        ("below the ratio at every step", zip(many), &[]),
    ] {
        let start = Instant::now();
        assert_eq!(found(&bytes), expected, "{name}");
        assert!(start.elapsed() < Duration::from_secs(200), "{name}: {:?}", start.elapsed());
    }
}

#[test]
fn archives_without_end_end() {
    let deep = |pack: &dyn Fn(&[u8]) -> Vec<u8>| {
        let mut bytes = b"text".to_vec();
        for _ in 0..40 {
            bytes = pack(&bytes);
        }
        bytes
    };
    let unreadable = ["archive-unreadable"];
    for (name, bytes) in [
        ("gzip", deep(&|bytes| gzip(bytes))),
        ("zstd", deep(&|bytes| zstd(bytes))),
        ("xz", deep(&|bytes| xz(bytes))),
        ("bzip2", deep(&|bytes| bzip2(bytes))),
        ("tar", deep(&|bytes| tar("a", bytes))),
        ("zip", deep(&|bytes| zip(vec![stored("a", bytes)]))),
        ("cpio", deep(&|bytes| cpio("a", 0o100_644, bytes))),
        ("all", deep(&|bytes| tar("a", &gzip(&zip(vec![stored("a", &xz(bytes))]))))),
    ] {
        assert_eq!(found(&bytes), unreadable, "{name}");
    }
}

#[test]
fn broken_archives_are_unreadable() {
    let text = b"some text".repeat(500);
    let (whole_xz, whole_bzip2) = (xz(&text), bzip2(&text));
    let changed = |mut bytes: Vec<u8>, at: usize| {
        bytes[at] ^= 0x10;
        bytes
    };
    let cpio = cpio("a", 0o100_644, &text);
    // The dictionary of 4 GiB - 1 byte: nobody gets as much memory.
    let mut huge = whole_xz.clone();
    let at = huge.windows(2).position(|two| two == [0x21, 1]).expect("the filter") + 2;
    huge[at] = 40;
    let header = (usize::from(huge[12]) + 1) * 4;
    let sum_at = 12 + header - 4;
    let sum = crc32(&huge[12..sum_at]);
    huge[sum_at..sum_at + 4].copy_from_slice(&sum.to_le_bytes());
    for (name, bytes) in [
        ("half of xz", whole_xz[..whole_xz.len() / 2].to_vec()),
        ("xz without its index", whole_xz[..whole_xz.len() - 20].to_vec()),
        ("xz with a changed byte", changed(whole_xz.clone(), whole_xz.len() / 2)),
        ("bytes behind xz", [&whole_xz[..], b"more"].concat()),
        ("xz that wants 4 GiB", huge),
        ("half of bzip2", whole_bzip2[..whole_bzip2.len() / 2].to_vec()),
        ("bzip2 with a changed byte", changed(whole_bzip2.clone(), whole_bzip2.len() / 2)),
        ("bytes behind bzip2", [&whole_bzip2[..], b"more"].concat()),
        ("cpio without its trailer", cpio[..110 + 2 + text.len() + 3].to_vec()),
        ("cpio with a broken magic", changed(cpio.clone(), 110 + 2 + text.len() + 4)),
        ("cpio with a size beyond its end", {
            let mut bytes = cpio.clone();
            bytes[54..62].copy_from_slice(b"7fffffff");
            bytes
        }),
        ("a zip cut off", zip(vec![stored("a", &text)])[..200].to_vec()),
    ] {
        assert_eq!(found(&bytes), ["archive-unreadable"], "{name}");
    }
}

/// The sum that xz has over its headers (RFC 1952, section 8).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}

/// What a run of karat had in memory at most, in KiB.
#[cfg(target_os = "linux")]
fn peak(project: &Project, args: &[&str]) -> u64 {
    let mut karat = project.karat(args);
    let command = karat.command();
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = command.spawn().expect("karat starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
        peak = peak.max(now.unwrap_or(0));
        if child.try_wait().expect("karat ends").is_some() {
            return peak;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn bombs_and_large_archives_stay_within_64_mib() {
    let project = Project::new();
    let zeros = vec![0; 64 << 20];
    // Nothing that compresses, and more than is kept in memory.
    let noise: Vec<u8> = (0..40_u64 << 20)
        .map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as u8 ^ (n >> 7) as u8)
        .collect();
    for (name, bytes) in [
        ("gzip", gzip(&zeros)),
        ("zstd", zstd(&zeros)),
        ("xz", xz(&zeros)),
        ("bzip2", bzip2(&zeros)),
        ("much in xz in tar in gzip", gzip(&tar("a", &xz(&noise)))),
        (
            "much in zip",
            zip(vec![stored("a", &noise), packed("b", 8, deflate(&noise), noise.len())]),
        ),
    ] {
        project.write("x", &bytes);
        let peak = peak(&project, &["inspect", "x"]);
        assert!((1 << 10..64 << 10).contains(&peak), "{name}: {peak} KiB");
    }
}
