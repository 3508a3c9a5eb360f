//! Every rule about executables and about what is recognised, each raised by bytes that are
//! made here: a rule that nothing raises says nothing.

use super::{Declared, Rules, recognise};
use crate::binary::elf::testing::Writer;
use crate::finding::{Finding, Severity, rules};
use crate::image::{Entry, Image, Kind, Layer, Origin};
use crate::oci::document::Config;
use crate::store::{Content, Spool};
use goblin::elf::dynamic as dt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The rules of the categories of the table.
const RECOGNISED: [&str; 21] = [
    "shell",
    "multicall",
    "package-manager",
    "debugger",
    "sniffer",
    "net-recon",
    "net-client",
    "remote-access",
    "tunnel",
    "privilege",
    "namespace",
    "container-tool",
    "compiler",
    "interpreter",
    "shell-escape",
    "file-tool",
    "process-tool",
    "firewall",
    "init",
    "emulator",
    "sanitizer",
];

fn entry(path: &str, mode: u32, kind: Kind) -> Entry {
    let path = path.as_bytes().to_vec();
    Entry { path, kind, mode, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new() }
}

fn file(path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Entry {
    entry(path, mode, Kind::File(Content::whole(Arc::new(Spool::of(bytes.into())))))
}

fn program(bytes: impl Into<Vec<u8>>) -> Vec<Entry> {
    vec![file("app", 0o555, bytes)]
}

fn link(path: &str, target: &str) -> Entry {
    entry(path, 0o777, Kind::Symlink(target.as_bytes().to_vec()))
}

/// What an image raises whose recipe, where it has one, declares `/app`.
fn findings(entries: Vec<Entry>, origin: Origin, identity: Option<&str>) -> Vec<Finding> {
    let layers = vec![Layer { origin, diff_id: None, entries }];
    let image = Image { config: Config::default(), layers, annotations: BTreeMap::new() };
    let declared =
        Declared { path: "/app".parse().unwrap(), identity: identity.map(str::to_owned) };
    let rules = Rules {
        platform: Some("linux/amd64".parse().unwrap()),
        declared: (origin == Origin::Added).then(|| vec![declared]),
        commit: None,
    };
    super::image(&image, &rules, &super::Ahead::default()).into_parts(&[]).1
}

fn ids(findings: &[Finding]) -> BTreeSet<&'static str> {
    findings.iter().map(|finding| finding.rule.id).collect()
}

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

/// A program that is as it should be.
fn sound() -> Writer {
    let mut writer = Writer::dynamic_pie()
        .section(".text", b"code")
        .loose(b"\0__stack_chk_fail\0__printf_chk\0");
    writer.relro = true;
    writer
}

/// Each rule, and an image that raises it.
fn cases() -> Vec<(&'static str, Vec<Entry>, Origin)> {
    let foreign = |rule, entries| (rule, entries, Origin::Foreign);
    let added = |rule, entries| (rule, entries, Origin::Added);
    let of = |rule, writer: Writer| foreign(rule, program(writer.finish()));
    let mut lie = sound().finish();
    lie[4] = 0;
    let mut partial = sound();
    partial.numbers = vec![(dt::DT_FLAGS_1, dt::DF_1_PIE), (dt::DT_JMPREL, 0)];
    let bare = Writer { relro: false, ..sound() };
    let packed = Writer { sections: Vec::new(), ..sound() }.loose(&noise(64 << 10));
    let loader = Writer { interpreter: None, ..sound() };
    let loader = loader.string(dt::DT_SONAME, b"ld-linux-x86-64.so.2").finish();
    let beside = |bytes: Vec<u8>| {
        vec![file("app", 0o555, bytes), file("lib64/ld-linux-x86-64.so.2", 0o755, loader.clone())]
    };
    let mut many = program(sound().finish());
    many.extend(["cat", "ls", "wc", "tr", "vi"].map(|name| link(name, "app")));
    let mut cases = vec![
        foreign("elf-malformed", program(lie)),
        of("elf-kind", Writer { kind: 1, ..Writer::executable() }.section(".text", b"x")),
        of("elf-kind", Writer { kind: 4, ..Writer::executable() }.section(".text", b"x")),
        of("elf-machine", Writer { machine: 183, ..sound() }),
        of("elf-interpreter-missing", sound()),
        foreign("elf-library-missing", beside(sound().finish())),
        of("elf-packed", packed),
        of("elf-no-sections", Writer { sections: Vec::new(), ..sound() }),
        of("elf-writable-code", Writer { load_flags: 7, ..sound() }),
        of("elf-executable-stack", Writer { stack_flags: Some(7), ..sound() }),
        of("elf-text-relocations", sound().number(dt::DT_TEXTREL, 0)),
        of("elf-text-relocations", sound().number(dt::DT_FLAGS, dt::DF_TEXTREL)),
        of("elf-debug-info", sound().section(".debug_info", b"x")),
        of("hardening", sound()),
        of("elf-no-relro", bare),
        of("elf-partial-relro", partial),
        of("elf-not-pie", Writer { kind: 2, ..sound() }),
        of("elf-no-canary", Writer { loose: b"\0__printf_chk\0".to_vec(), ..sound() }),
        of("elf-no-fortify", Writer { loose: b"\0printf\0".to_vec(), ..sound() }),
        foreign("elf-orphan-loader", beside(Writer::executable().section(".x", b"x").finish())),
        foreign("script", program("#!/bin/sh\n")),
        foreign("many-names", many),
        added("undeclared-executable", vec![file("data", 0o444, sound().finish())]),
        added("not-an-executable", program("a text")),
        added("identity-differs", program(sound().finish())),
    ];
    for category in RECOGNISED {
        let (rule, marks) = recognise::marks_of(category);
        cases.push(of(rule.id, sound().loose(&marks)));
    }
    cases
}

#[test]
fn every_rule_about_programs_is_raised() {
    let mut raised = BTreeSet::new();
    for (rule, entries, origin) in cases() {
        let found = findings(entries, origin, Some("go:example.com/other"));
        assert!(ids(&found).contains(rule), "{rule}: {:?}", ids(&found));
        raised.insert(rule);
    }
    let silent: Vec<_> =
        rules::about_programs().map(|rule| rule.id).filter(|id| !raised.contains(id)).collect();
    assert_eq!(silent, Vec::<&str>::new(), "rules that no case raises");
}

/// What is as it should be raises what must be said of every program, and no more.
#[test]
fn sound_program_raises_nothing_else() {
    let mut entries = program(sound().finish());
    let library = Writer { interpreter: None, ..sound() };
    entries.push(file(
        "lib/libc.so.6",
        0o644,
        library.clone().string(dt::DT_SONAME, b"libc.so.6").finish(),
    ));
    let loader = library.string(dt::DT_SONAME, b"ld-linux-x86-64.so.2");
    entries.push(file("lib64/ld-linux-x86-64.so.2", 0o755, loader.finish()));
    let found = findings(entries, Origin::Foreign, None);
    let about: Vec<_> = rules::about_programs().map(|rule| rule.id).collect();
    let found: Vec<_> = ids(&found).into_iter().filter(|id| about.contains(id)).collect();
    // The writer's one library needs itself.
    assert_eq!(found, ["hardening"]);
}

#[test]
fn loader_of_a_pinned_base_does_not_stop_a_static_program() {
    let loader = Writer { interpreter: None, ..sound() };
    let loader = loader.string(dt::DT_SONAME, b"ld-linux-x86-64.so.2").finish();
    for (origin, severity) in [(Origin::Base, Severity::Info), (Origin::Foreign, Severity::High)] {
        let entries = vec![file("lib64/ld-linux-x86-64.so.2", 0o755, loader.clone())];
        let found = findings(entries, origin, None);
        let orphan = found.iter().find(|finding| finding.rule.id == "elf-orphan-loader").unwrap();
        assert_eq!(orphan.severity, severity, "{origin:?}");
    }
}

#[test]
fn programs_of_the_base_are_summed_up() {
    let bare = Writer { relro: false, ..sound() };
    let entries = vec![file("bin/a", 0o755, sound().finish()), file("bin/b", 0o755, bare.finish())];
    let found = findings(entries, Origin::Base, None);
    let rows: Vec<_> = found.iter().filter(|one| one.rule.id == "hardening").collect();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0].evidence, ["RELRO in full: 1; PIE: 2; canary: 2; of 2"]);
    assert!(!ids(&found).contains("elf-no-relro"));
}

#[test]
fn names_of_a_library_and_four_names_of_a_program_are_ordinary() {
    let library = Writer { interpreter: None, ..sound() };
    let library = library.string(dt::DT_SONAME, b"libx.so.1").finish();
    let mut entries = vec![file("lib/libx.so.1.2.3", 0o755, library)];
    for name in ["libx.so", "libx.so.1", "liby.so", "libz.so.1", "libx.so.1.2"] {
        entries.push(link(&format!("lib/{name}"), "libx.so.1.2.3"));
    }
    entries.extend(program(sound().finish()));
    entries.extend(["a", "b", "c", "d"].map(|name| link(name, "app")));
    assert!(!ids(&findings(entries, Origin::Foreign, None)).contains("many-names"));
    let mut hard = program(sound().finish());
    hard.extend(
        ["a", "b", "c", "d", "e"].map(|name| entry(name, 0o555, Kind::Hardlink(b"app".to_vec()))),
    );
    assert!(ids(&findings(hard, Origin::Foreign, None)).contains("many-names"));
}

#[test]
fn name_that_looks_like_a_shells_is_deceptive() {
    for (name, deceptive) in [
        ("bin/\u{455}h", true),
        ("bin/\u{441}url", true),
        ("bin/F\u{151}tan\u{fa}s\u{ed}tv\u{e1}ny.crt", false),
        ("bin/\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442}", false),
        ("bin/app", false),
    ] {
        let found = findings(vec![file(name, 0o644, "a text")], Origin::Foreign, None);
        assert_eq!(ids(&found).contains("path-deceptive"), deceptive, "{name}");
    }
}
