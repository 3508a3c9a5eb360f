//! What files are by their bytes, and what is hidden in them.

use crate::support::elf::{Elf, SCRIPT};
use crate::support::{Project, recipe, rules};
use base64::Engine as _;
use serde_json::Value;
use std::io::Write as _;

/// Rules that every report of this file has, whatever is in the image.
const ALWAYS: [&str; 1] = ["not-scanned"];

/// Builds an image with a data file, and returns the report.
fn data(bytes: &[u8]) -> Value {
    let project = Project::small();
    project.write("data/x.bin", bytes);
    let text = recipe("app", "app") + "[[file]]\nsource = \"data\"\npath = \"/srv\"\n";
    project.write("app.karat.toml", text);
    let output = project.run("build");
    assert!(output.code == 0 || output.code == 1, "{}", output.stderr);
    let report = project.json("dist/app/report.json");
    assert_eq!(report["verdict"] == "accepted", output.code == 0);
    report
}

/// Builds an image of one program, and returns the report.
fn program(bytes: &[u8]) -> Value {
    let project = Project::new();
    project.write("app", bytes);
    project.write("app.karat.toml", recipe("app", "app"));
    let output = project.run("build");
    assert!(output.code == 0 || output.code == 1, "{}", output.stderr);
    project.json("dist/app/report.json")
}

fn found(report: &Value) -> Vec<String> {
    let mut found = rules(report);
    found.retain(|rule| !ALWAYS.contains(&rule.as_str()));
    found.sort();
    found.dedup();
    found
}

fn finding<'a>(report: &'a Value, rule: &str) -> &'a Value {
    let findings = report["findings"].as_array().expect("findings");
    findings.iter().find(|one| one["rule"] == rule).unwrap_or_else(|| panic!("{rule}: {report}"))
}

fn placed(size: usize, parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; size];
    for (at, part) in parts {
        bytes[*at..at + part.len()].copy_from_slice(part);
    }
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("gzip");
    encoder.finish().expect("gzip")
}

fn tar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, path, *bytes).expect("a member");
    }
    tar.into_inner().expect("a tar")
}

/// A zip file of one member, deflated or stored.
fn zip_of(name: &str, bytes: &[u8], deflated: bool, flags: u16) -> Vec<u8> {
    let mut packed = bytes.to_vec();
    if deflated {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("deflate");
        packed = encoder.finish().expect("deflate");
    }
    let mut common = Vec::new();
    for half in [20, flags, if deflated { 8 } else { 0 }, 0, 0] {
        common.extend(u16::to_le_bytes(half));
    }
    common.extend([0; 4]);
    common.extend((packed.len() as u32).to_le_bytes());
    common.extend((bytes.len() as u32).to_le_bytes());
    common.extend((name.len() as u16).to_le_bytes());
    common.extend([0; 2]);
    let mut file = [b"PK\x03\x04", &common[..], name.as_bytes(), &packed].concat();
    let directory = file.len() as u32;
    file.extend(b"PK\x01\x02\x14\0");
    file.extend(&common);
    file.extend([0; 14]);
    file.extend(name.as_bytes());
    let size = file.len() as u32 - directory;
    file.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    file.extend(size.to_le_bytes());
    file.extend(directory.to_le_bytes());
    file.extend([0; 2]);
    file
}

/// Bytes that no compression makes smaller and that hold no magic.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..size).map(|_| next()).collect()
}

#[test]
fn programs_of_other_systems_are_found_among_data() {
    let pe = placed(512, &[(0, b"MZ"), (0x3c, &[0x80]), (0x80, b"PE\0\0")]);
    let mach = placed(512, &[(0, b"\xcf\xfa\xed\xfe\x07\0\0\x01\x03\0\0\0\x02")]);
    for bad in [
        &pe[..],
        &mach,
        b"\xca\xfe\xba\xbe\0\0\0\x41\0\x10",
        b"\0asm\x01\0\0\0",
        b"BC\xc0\xde\x35\x14\0\0",
        b"dex\n035\0\0",
        b"\xcb\x0d\r\n\0\0\0\0\0\0\0\0",
        b"\x1bLua\x54\0",
        b"YARB\x03\0\0\0\x01",
        b"FOR1\0\0\0\x20BEAMAtU8",
    ] {
        assert_eq!(found(&data(bad)), ["foreign-executable"], "{:?}", &bad[..8]);
    }
    for good in [
        &b"MZ is a text"[..],
        b"\xca\xfe\xba\xbe\0\0\0\0\0",
        b"YARB is a word",
        b"FOR1 is one more",
    ] {
        assert_eq!(found(&data(good)), Vec::<String>::new(), "{good:?}");
    }
}

#[test]
fn file_systems_are_found_among_data() {
    for bad in [
        placed(4096, &[(0, b"hsqs"), (28, &[4])]),
        placed(4096, &[(1024, &[0xe2, 0xe1, 0xf5, 0xe0])]),
        placed(4096, &[(1080, &[0x53, 0xef]), (1024, &[9]), (1048, &[2]), (1100, &[1])]),
        placed(40_000, &[(32_769, b"CD001")]),
        b"0707070000010000020000030000040000".to_vec(),
    ] {
        assert_eq!(found(&data(&bad)), ["filesystem-image"]);
    }
    for good in [placed(4096, &[(0, b"hsqs")]), placed(4096, &[(1080, &[0x53, 0xef])])] {
        assert_eq!(found(&data(&good)), Vec::<String>::new());
    }
}

#[test]
fn program_behind_other_bytes_is_found() {
    let elf = Elf::default().build();
    let report = data(&[noise(31_337), elf.clone()].concat());
    assert_eq!(found(&report), ["embedded-executable"]);
    let one = finding(&report, "embedded-executable");
    assert_eq!((&one["severity"], &one["path"]), (&"high".into(), &"/srv/x.bin".into()));
    assert!(one["evidence"].to_string().contains("31337"), "{one}");
    // A program for another machine cannot be started here.
    let report = data(&[noise(100), Elf::arm64().build()].concat());
    assert_eq!(finding(&report, "embedded-executable")["severity"], "medium");
    assert_eq!(report["verdict"], "accepted");
    // Headers that Linux reads otherwise than others do.
    let mut lie = elf.clone();
    lie[4] = 0;
    let report = data(&[noise(100), lie].concat());
    assert_eq!(finding(&report, "embedded-executable")["severity"], "medium");
    for good in [&b"the magic is \x7fELF and no more"[..], &[b"x", &elf[..30]].concat()] {
        assert_eq!(found(&data(good)), Vec::<String>::new());
    }
}

#[test]
fn program_inside_a_program_is_found() {
    let inner = Elf::with("inner").build();
    let report = program(&Elf::with(inner).build());
    assert_eq!(found(&report), ["embedded-executable"]);
    assert_eq!(found(&program(&Elf::with(&b"\0\x7fELF\0"[..]).build())), Vec::<String>::new());
}

#[test]
fn program_in_base64_is_found() {
    let elf = Elf::with(noise(8000)).build();
    let encoded = base64::engine::general_purpose::STANDARD.encode(&elf);
    let lines: Vec<&[u8]> = encoded.as_bytes().chunks(76).collect();
    let text = [b"data:\n", &lines.join(&b"\r\n"[..])[..]].concat();
    assert_eq!(found(&data(&text)), ["encoded-executable"]);
    assert_eq!(found(&data(encoded.as_bytes())), ["encoded-executable"]);
    assert_eq!(found(&data(&encoded.as_bytes()[..4000])), Vec::<String>::new(), "too short");
    let other = base64::engine::general_purpose::STANDARD.encode(noise(9000));
    assert_eq!(found(&data(format!("f0VMR{other}").as_bytes())), Vec::<String>::new());
}

#[test]
fn what_lies_in_archives_is_judged_like_what_lies_outside() {
    let elf = Elf::default().build();
    let tar = tar_of(&[("etc/a.txt", b"text"), ("bin/tool", &elf)]);
    let deep = zip_of("b.tar.gz", &gzip(&tar), false, 0);
    let zstd = zstd::encode_all(&tar[..], 3).expect("zstd");
    for (bytes, path) in [
        (tar.clone(), "/srv/x.bin!/bin/tool"),
        (gzip(&elf), "/srv/x.bin!"),
        (gzip(&tar), "/srv/x.bin!/bin/tool"),
        (zstd, "/srv/x.bin!/bin/tool"),
        (zip_of("bin/tool", &elf, true, 0), "/srv/x.bin!/bin/tool"),
        (zip_of("bin/tool", &elf, false, 0), "/srv/x.bin!/bin/tool"),
        (deep, "/srv/x.bin!/b.tar.gz!/bin/tool"),
    ] {
        let report = data(&bytes);
        assert_eq!(found(&report), ["undeclared-executable"], "{path}");
        assert_eq!(finding(&report, "undeclared-executable")["path"], path);
    }
    let report = data(&gzip(&tar_of(&[("run\n.sh", SCRIPT)])));
    assert_eq!(found(&report), ["script"]);
    assert_eq!(finding(&report, "script")["path"], "/srv/x.bin!/run\\n.sh");
    let text = tar_of(&[("a.txt", b"text"), ("b.txt", b"more")]);
    for good in [text.clone(), gzip(&text), gzip(b"text"), zip_of("a.txt", b"text", true, 0)] {
        assert_eq!(found(&data(&good)), Vec::<String>::new());
    }
}

#[test]
fn members_of_ar_archives_are_looked_at() {
    let member = |name: &str, bytes: &[u8]| {
        let head = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, "644", bytes.len());
        [head.as_bytes(), bytes, if bytes.len() % 2 == 1 { b"\n" } else { b"" }].concat()
    };
    let package = [b"!<arch>\n", &member("debian-binary", b"2.0\n")[..]].concat();
    assert_eq!(found(&data(&package)), Vec::<String>::new());
    let tar = tar_of(&[("bin/sh", &Elf::default().build())]);
    let report = data(&[package, member("data.tar.gz/", &gzip(&tar))].concat());
    assert_eq!(found(&report), ["undeclared-executable"]);
    let library = [b"!<arch>\n", &member("a.o/", b"odd")[..]].concat();
    assert_eq!(found(&data(&library)), ["foreign-executable"]);
}

#[test]
fn archives_that_cannot_be_read_are_found() {
    let whole = gzip(&noise(5000));
    let mut deep = tar_of(&[("a", b"text")]);
    for _ in 0..3 {
        deep = tar_of(&[("a.tar", &deep)]);
    }
    let mut layers = b"text".to_vec();
    for _ in 0..4 {
        layers = gzip(&layers);
    }
    let tar = tar_of(&[("a", &noise(2000))]);
    let zip = zip_of("a", b"text", true, 0);
    for (bad, what) in [
        (whole[..2000].to_vec(), "a gzip file that ends in the middle"),
        ([&whole[..], b"more"].concat(), "bytes behind a gzip file"),
        (deep, "archives four deep"),
        (layers, "gzip four deep"),
        (tar[..1000].to_vec(), "a tar that ends in the middle"),
        (zip[..zip.len() - 30].to_vec(), "a zip without its end"),
        ([&zip[..4], b" and nothing"].concat(), "a zip of nothing"),
    ] {
        assert_eq!(found(&data(&bad)), ["archive-unreadable"], "{what}");
    }
    let two = tar_of(&[("a.tar", &tar_of(&[("b.tar", &tar_of(&[("c", b"text")]))]))]);
    assert_eq!(found(&data(&two)), Vec::<String>::new(), "three deep");
}

#[test]
fn archives_that_are_not_unpacked_are_warned_of() {
    for bad in [
        &b"7z\xbc\xaf\x27\x1c\0\x04"[..],
        b"Rar!\x1a\x07\x01\0",
        b"\x1f\x9d\x90an old compression",
        b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff",
        &zip_of("secret", b"text", false, 1),
    ] {
        let report = data(bad);
        assert_eq!(found(&report), ["archive-not-inspected"], "{bad:?}");
        assert_eq!(report["verdict"], "accepted");
    }
}

#[test]
fn search_paths_and_audit_libraries_are_judged() {
    const RPATH: u64 = 15;
    const RUNPATH: u64 = 29;
    const AUDIT: u64 = 0x6fff_fefc;
    const DEPAUDIT: u64 = 0x6fff_fefb;
    const AUXILIARY: u64 = 0x7fff_fffd;
    for (tag, text, rule) in [
        (RUNPATH, "/tmp/lib", Some("elf-search-path")),
        (RUNPATH, "", Some("elf-search-path")),
        (RUNPATH, ".", Some("elf-search-path")),
        (RUNPATH, "/usr/lib::/lib", Some("elf-search-path")),
        (RPATH, "lib", Some("elf-search-path")),
        (RPATH, "/usr/lib/../../home", Some("elf-search-path")),
        (RUNPATH, "$ORIGIN/../lib", None),
        (RPATH, "/usr/lib/x86_64-linux-gnu:/lib64", None),
        (AUDIT, "libaudit.so", Some("elf-audit-library")),
        (DEPAUDIT, "libaudit.so", Some("elf-audit-library")),
        (AUXILIARY, "libother.so", Some("elf-filter-library")),
    ] {
        let elf = Elf { tags: vec![(tag, text)], ..Elf::default() };
        let expected: Vec<&str> = rule.into_iter().collect();
        assert_eq!(found(&program(&elf.build())), expected, "{tag:#x} {text}");
    }
}

#[test]
fn header_and_layout_of_a_program_are_judged() {
    let elf = Elf::default().build();
    let patched = |at: usize, bytes: &[u8]| {
        let mut elf = elf.clone();
        elf[at..at + bytes.len()].copy_from_slice(bytes);
        elf
    };
    // e_shoff behind the end, EI_OSABI, p_vaddr and p_memsz of the PT_LOAD.
    for (bad, rule) in [
        (patched(40, &0x7fff_0000_u64.to_le_bytes()), "elf-malformed"),
        (patched(7, &[9]), "elf-os-abi"),
        (patched(64 + 16, &0x1000_u64.to_le_bytes()), "elf-memory-layout"),
        (patched(64 + 40, &(2_u64 << 30).to_le_bytes()), "elf-memory-layout"),
        ([&elf[..], &noise(5000)].concat(), "elf-overlay"),
        (patched(8, b"AI\x02"), "filesystem-image"),
    ] {
        assert_eq!(found(&program(&bad)), [rule]);
    }
    for good in [patched(7, &[3]), [&elf[..], &noise(4000)].concat()] {
        assert_eq!(found(&program(&good)), Vec::<String>::new());
    }
}

#[test]
fn program_that_can_start_others_is_a_fact_and_no_fault() {
    for mark in ["syscall.forkExec", "os.StartProcess", "the CLOEXEC pipe failed: "] {
        let report = program(&Elf::with(format!("\0{mark}\0")).build());
        assert_eq!(found(&report), ["can-start-programs"], "{mark}");
        assert_eq!(report["verdict"], "accepted");
        assert_eq!(finding(&report, "can-start-programs")["severity"], "info");
    }
    let report = program(&Elf::with("\0memfd_create\0fexecve\0").build());
    assert_eq!(found(&report), ["can-start-programs"]);
    assert_eq!(found(&program(&Elf::with("\0memfd_create\0").build())), Vec::<String>::new());
    // A text speaks of it, and that is all.
    assert_eq!(found(&data(b"os.StartProcess starts a program")), Vec::<String>::new());
}

#[test]
fn scripts_behind_a_mark_or_a_blank_line_are_scripts() {
    for bad in ["\u{feff}#!/bin/sh\n", "\n#!/bin/sh\n", "  #! /bin/sh\r\n", "#!/bin/sh\r\n"] {
        assert_eq!(found(&data(bad.as_bytes())), ["script"], "{bad:?}");
    }
    for good in ["see #!/bin/sh", "\n# a comment\n", "\n#![allow(dead_code)]\n"] {
        assert_eq!(found(&data(good.as_bytes())), Vec::<String>::new(), "{good:?}");
    }
}
