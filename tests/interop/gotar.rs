//! Go's `archive/tar`, on which container runtimes are built, as the second reader: whatever
//! karat's reader accepts, Go lists the same entries.

use crate::archive_cases::{self, Case, Layer};
use crate::project::{Project, sha256};
use crate::raw_tar::{END, Header, entry, file, link, long, padded, pax, record};
use crate::support::{Outcome, Skip, command, program, succeed};
use karat::archive::reader::LayerReader;
use karat::archive::{Compression, Error, Limits, tar_walk};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Go's reader as a program.
struct Go {
    project: Project,
    lister: PathBuf,
}

impl Go {
    fn new() -> Result<Self, Skip> {
        let project = Project::new();
        let go = program("go")?;
        project.copy("tarlist.go");
        let folder = project.path("");
        succeed(
            command(go)
                .args(["build", "-o", "tarlist", "tarlist.go"])
                .env("CGO_ENABLED", "0")
                .current_dir(folder),
        );
        let lister = project.path("tarlist");
        Ok(Self { project, lister })
    }

    /// Lists archives, each with its entries or the error.
    fn list(&self, blobs: &[&[u8]]) -> Vec<Result<Vec<Value>, String>> {
        let mut listings: Vec<_> = blobs.iter().map(|_| Ok(Vec::new())).collect();
        for (first, some) in blobs.chunks(500).enumerate() {
            let mut lister = command(&self.lister);
            for (number, blob) in some.iter().enumerate() {
                let name = format!("{}.tar", first * 500 + number);
                std::fs::write(self.project.path(&name), blob).expect("an archive");
                lister.arg(name);
            }
            for line in succeed(lister.current_dir(self.project.path(""))).lines() {
                let mut line: Value = serde_json::from_str(line).expect("a line of JSON");
                let name = line["file"].take();
                let number = name.as_str().and_then(|name| name.strip_suffix(".tar"));
                let number: usize = number.and_then(|text| text.parse().ok()).expect("a number");
                match line["error"].as_str() {
                    Some(error) => listings[number] = Err(error.to_owned()),
                    None => {
                        line.as_object_mut().expect("an object").remove("file");
                        // Both are regular files; nobody has contiguous ones.
                        if line["type"] == "7" {
                            line["type"] = "0".into();
                        }
                        // A global header changes nothing; karat accepts comments alone.
                        if line["type"] != "g" {
                            listings[number].as_mut().expect("no error before").push(line);
                        }
                    }
                }
            }
        }
        listings
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lists what karat's reader sees, in the form of the Go program.
fn own(blob: &[u8], compression: Compression) -> Result<Vec<Value>, Error> {
    let limits = Limits::default();
    let mut reader = LayerReader::new(blob, compression, &limits)?;
    let mut entries = Vec::new();
    tar_walk::walk::<_, Error>(&mut reader, &limits, &mut |member, data| {
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes)?;
        let none: &[u8] = b"";
        let (kind, link, major, minor) = match &member.kind {
            tar_walk::Kind::File => ("0", none, 0, 0),
            tar_walk::Kind::Hardlink { target } => ("1", &target[..], 0, 0),
            tar_walk::Kind::Symlink { target } => ("2", &target[..], 0, 0),
            tar_walk::Kind::CharDevice { major, minor } => ("3", none, *major, *minor),
            tar_walk::Kind::BlockDevice { major, minor } => ("4", none, *major, *minor),
            tar_walk::Kind::Directory => ("5", none, 0, 0),
            tar_walk::Kind::Fifo => ("6", none, 0, 0),
        };
        let xattrs: BTreeMap<_, _> =
            member.xattrs.iter().map(|one| (hex(&one.key), hex(&one.value))).collect();
        entries.push(json!({ "name": hex(&member.path), "type": kind, "link": hex(link),
            "size": member.size, "mode": member.mode, "uid": member.uid, "gid": member.gid,
            "mtime": member.mtime, "major": major, "minor": minor, "sha256": sha256_hex(&bytes),
            "xattrs": xattrs }));
        Ok(())
    })?;
    reader.finish()?;
    Ok(entries)
}

fn sha256_hex(bytes: &[u8]) -> String {
    sha256(bytes).trim_start_matches("sha256:").to_owned()
}

/// Brings what Go says of fields that mean nothing for a type into the form of karat.
fn without_meaningless(mut entry: Value) -> Value {
    let kind = entry["type"].as_str().unwrap_or_default().to_owned();
    if !matches!(&kind[..], "1" | "2") {
        entry["link"] = "".into();
    }
    if !matches!(&kind[..], "3" | "4") {
        entry["major"] = 0.into();
        entry["minor"] = 0.into();
    }
    entry
}

/// Says in which way two listings differ; none where they do not.
fn difference(listed: &Result<Vec<Value>, String>, own: &[Value]) -> Option<String> {
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) => return Some(format!("Go refuses it: {error}")),
    };
    let pairs = listed.iter().zip(own);
    let fields = pairs.filter_map(|(go, own)| {
        let fields = own.as_object()?.keys();
        fields.into_iter().find(|key| go[key.as_str()] != own[key.as_str()])
    });
    match fields.into_iter().next() {
        Some(field) => Some(format!("the field {field} differs")),
        None if listed.len() != own.len() => Some("another number of entries".to_owned()),
        None => None,
    }
}

/// Makes sure that Go lists what karat lists, of every archive.
#[track_caller]
fn agree(go: &Go, archives: &[(String, Vec<u8>, Vec<Value>)]) {
    let blobs: Vec<_> = archives.iter().map(|(_, blob, _)| &blob[..]).collect();
    let mut different: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for ((name, _, own), listed) in archives.iter().zip(go.list(&blobs)) {
        let listed =
            listed.map(|entries| entries.into_iter().map(without_meaningless).collect::<Vec<_>>());
        if let Some(what) = difference(&listed, own) {
            let example = || (0, format!("{name}\n  Go: {listed:?}\n  karat: {own:?}"));
            different.entry(what).or_insert_with(example).0 += 1;
        }
    }
    let told: Vec<_> = different
        .iter()
        .map(|(what, (count, example))| format!("{what}, {count} times: {example}"))
        .collect();
    assert!(told.is_empty(), "of {} archives: {}", archives.len(), told.join("\n"));
}

fn cases() -> Vec<Case> {
    archive_cases::cases(b"what stands for a program")
}

pub(crate) fn go_lists_the_accepted_layers_of_the_table() -> Outcome {
    let go = Go::new()?;
    let mut archives = Vec::new();
    for case in cases() {
        for Layer { tar, .. } in &case.layers {
            // What is refused for what it says, and not for how it is packed, is listed too.
            if let Ok(entries) = own(tar, Compression::None) {
                archives.push((format!("{} {}", case.number, case.name), tar.clone(), entries));
            } else {
                assert!(!case.rules.is_empty(), "{} {} is accepted", case.number, case.name);
            }
        }
    }
    assert!(archives.len() > 60, "only {} are accepted", archives.len());
    agree(&go, &archives);
    Ok(())
}

pub(crate) fn go_lists_the_layers_that_karat_builds() -> Outcome {
    let go = Go::new()?;
    let project = Project::of_a_c_program()?;
    let layout = project.signed();
    let mut archives = Vec::new();
    for descriptor in layout.manifests() {
        let manifest = layout.document(&descriptor);
        for layer in manifest["layers"].as_array().expect("layers") {
            let digest = layer["digest"].as_str().expect("a digest");
            let blob = layout.blob(digest);
            let entries = own(&blob, Compression::Gzip).expect("a layer of karat's own");
            assert!(!entries.is_empty(), "{digest}");
            archives.push((digest.to_owned(), blob, entries));
        }
    }
    assert!(archives.len() >= 2, "the base and what is added");
    agree(&go, &archives);
    Ok(())
}

/// Go takes the header that such an entry hides for an entry: this is why it is refused.
pub(crate) fn go_sees_what_a_refused_layer_hides() -> Outcome {
    let go = Go::new()?;
    let hiding: Vec<_> = cases()
        .into_iter()
        .filter(|case| case.rules == ["tar-link-with-size"] && case.path.is_some())
        .map(|case| case.layers[0].tar.clone())
        .collect();
    assert_eq!(hiding.len(), 6);
    let blobs: Vec<_> = hiding.iter().map(|tar| &tar[..]).collect();
    for listed in go.list(&blobs) {
        let listed = listed.expect("Go reads it");
        assert!(listed.iter().any(|one| one["name"] == hex(b"bin/sh")), "{listed:#?}");
    }
    Ok(())
}

/// Numbers without a pattern, the same in every run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Valid archives of every form that is accepted.
fn seeds() -> Vec<Vec<u8>> {
    let with_end = |parts: &[Vec<u8>]| [&parts.concat()[..], &END].concat();
    let owner = Header::new(b'0', b"owned", 3)
        .put(108, b"0177776")
        .put(116, b"\x80\0\0\0\0\x01\x02\x03")
        .put(136, b"14713512345");
    vec![
        with_end(&[
            entry(b'5', b"etc/", b""),
            file(b"etc/a", b"data"),
            link(b'2', b"etc/b", b"a"),
            link(b'1', b"etc/c", b"etc/a"),
        ]),
        with_end(&[
            pax(&[("path", "long/é".as_bytes()), ("mtime", b"1234.5"), ("uid", b"70000")]),
            file(b"short", b"0123456789"),
            pax(&[("SCHILY.xattr.user.x", b"\0val\nue"), ("LIBARCHIVE.xattr.user.y", b"YQ==")]),
            file(b"attributes", &[7; 600]),
        ]),
        with_end(&[
            long(b'L', &[b'n'; 150]),
            Header::new(b'0', b"n", 2).gnu().done(),
            padded(b"ab"),
            long(b'K', b"target"),
            Header::new(b'2', b"l", 0).gnu().target(b"t").done(),
        ]),
        with_end(&[
            Header::new(b'3', b"dev/c", 0).put(329, b"0000001").put(337, b"0000003").done(),
            Header::new(b'4', b"dev/b", 0).put(329, b"0000010").done(),
            Header::new(b'6', b"fifo", 0).done(),
            Header::new(b'0', b"name", 0).put(345, b"a/prefix").done(),
            [owner.done(), padded(b"abc")].concat(),
        ]),
        with_end(&[
            entry(b'g', b"pax_global_header", &record("comment", b"0123456789abcdef")),
            Header::new(b'0', b"old", 4).put(257, &[0; 8]).done(),
            padded(b"text"),
            entry(b'7', b"seven", b"x"),
            entry(0, b"nul", b"y"),
        ]),
        [file(b"open", b"end"), vec![0; 512]].concat(),
        with_end(&[
            pax(&[("linkpath", &[b'p'; 120])]),
            link(b'2', b"x", b"y"),
            pax(&[("size", b"5"), ("gid", b"1")]),
            file(b"sized", b"12345"),
        ]),
    ]
}

/// Changes an archive in one of the ways of those who write, or break, archives.
fn mutate(random: &mut Random, seeds: &[Vec<u8>], tar: &mut Vec<u8>) {
    let blocks = tar.len() / 512;
    let block = random.below(blocks) * 512;
    match random.below(10) {
        0 => tar.truncate(random.below(tar.len() + 1)),
        1 => tar.truncate(block),
        2 => drop(tar.drain(block..block + 512)),
        3 => {
            let copy = tar[block..block + 512].to_vec();
            let at = random.below(blocks + 1) * 512;
            tar.splice(at..at, copy);
        }
        4 => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len() / 512) * 512;
            tar.splice(block..block, other[from..from + 512].iter().copied());
        }
        // A field of a header, with what somebody may write there.
        5..=7 => {
            let (at, length) = [
                (0, 100),
                (100, 8),
                (108, 8),
                (116, 8),
                (124, 12),
                (136, 12),
                (156, 1),
                (157, 100),
                (257, 8),
                (265, 32),
                (329, 8),
                (337, 8),
                (345, 155),
                (500, 12),
            ][random.below(14)];
            let texts: [&[u8]; 22] = [
                b"",
                b"\0",
                b"0",
                b" ",
                b"7",
                b"1",
                b"2",
                b"5",
                b"x",
                b"L",
                b"a/",
                b"a",
                b"a\0b",
                b"./a",
                b"00000000010\0",
                b"         4 \0",
                b"0000004",
                b"\x80\0\0\0\0\0\0\x04",
                b"ustar\x0000",
                b"ustar  \0",
                b"\xff\xff\xff\xff",
                b"-1",
            ];
            let text = texts[random.below(texts.len())];
            let count = text.len().min(length);
            if random.below(2) == 0 {
                tar[block + at..block + at + length].fill(0);
            }
            tar[block + at..block + at + count].copy_from_slice(&text[..count]);
        }
        _ => {
            let at = block + random.below(512);
            tar[at] = [0, b'0', b'/', b'.', b' ', b'=', b'\n', 0x80, random.next() as u8]
                [random.below(9)];
        }
    }
    // A wrong checksum hides what else is wrong.
    if block + 512 <= tar.len() && random.below(8) != 0 && tar[block..block + 512] != [0; 512] {
        tar[block + 148..block + 156].fill(b' ');
        let sum: u32 = tar[block..block + 512].iter().map(|&byte| u32::from(byte)).sum();
        let sum = format!("{sum:06o}\0 ");
        tar[block + 148..block + 156].copy_from_slice(sum.as_bytes());
    }
}

pub(crate) fn go_lists_generated_archives_alike() -> Outcome {
    const ROUNDS: usize = 30_000;
    let go = Go::new()?;
    let seeds = seeds();
    let mut random = Random(20_261_123);
    let mut accepted: BTreeMap<Vec<u8>, Vec<Value>> = BTreeMap::new();
    for seed in &seeds {
        let entries = own(seed, Compression::None).expect("a seed is valid");
        accepted.insert(seed.clone(), entries);
    }
    for _ in 0..ROUNDS {
        let mut tar = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(3) {
            if tar.len() >= 512 {
                mutate(&mut random, &seeds, &mut tar);
            }
        }
        if let Ok(entries) = own(&tar, Compression::None) {
            accepted.insert(tar, entries);
        }
    }
    assert!(accepted.len() > 3000, "only {} of {ROUNDS} are accepted", accepted.len());
    let archives: Vec<_> =
        accepted.into_iter().map(|(tar, entries)| (hex(&tar), tar, entries)).collect();
    agree(&go, &archives);
    Ok(())
}
