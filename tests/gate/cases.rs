//! Single cases with real programs: each disguise with the rule that must refuse it, each
//! ordinary thing that must be left alone. What needs no real program is in `tests/it/`.

use crate::{corpus_or_skip, say};
use karat::finding::{Finding, Severity};
use karat::image::{Entry, Image, Kind, Layer, Origin};
use karat::inspect::{self, Rules};
use karat::oci::document::Config;
use karat::store::{Content, Spool};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// How many cases there are: none can get lost.
const CASES: usize = 113;

/// What must come of a case.
enum Expected {
    /// Every one of these rules refuses it, with critical or high.
    Refused(&'static [&'static str]),
    /// Nothing refuses it, and these rules say something milder of it.
    Told(&'static [&'static str]),
}
use Expected::{Refused, Told};

/// Rules about a lone program's surroundings: the loader is not there.
const SURROUNDINGS: [&str; 2] = ["elf-interpreter-missing", "elf-library-missing"];

struct Cases<'a> {
    folder: &'a Path,
    count: usize,
    failures: Vec<String>,
}

#[test]
fn every_disguise_has_its_verdict_and_its_rule() {
    let Some(folder) = corpus_or_skip() else { return };
    let mut cases = Cases { folder: &folder, count: 0, failures: Vec::new() };
    names(&mut cases);
    disguises(&mut cases);
    headers(&mut cases);
    places(&mut cases);
    languages(&mut cases);
    say(&format!("gate: {} cases, {} wrong", cases.count, cases.failures.len()));
    assert!(cases.failures.is_empty(), "\n{}", cases.failures.join("\n"));
    assert_eq!(cases.count, CASES);
}

fn content(bytes: impl Into<Vec<u8>>) -> Content {
    Content::whole(Arc::new(Spool::of(bytes.into())))
}

impl Cases<'_> {
    /// Reads a program of Debian 12: `PACKAGE/PATH`.
    fn real(&self, path: &str) -> Vec<u8> {
        let path = self.folder.join("bookworm-amd64").join(path);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn file(&mut self, what: &str, bytes: impl Into<Vec<u8>>, expected: Expected) {
        let (_, findings) = inspect::file("usr/bin/app", &content(bytes)).into_parts(&[]);
        self.judge(what, &findings, &expected);
    }

    fn image(&mut self, what: &str, layers: Vec<Vec<Entry>>, expected: Expected) {
        let layers = layers.into_iter().map(|entries| Layer {
            origin: Origin::Foreign,
            diff_id: None,
            entries,
        });
        let config = br#"{"architecture":"amd64","os":"linux","config":{"User":"65532:65532",
            "Entrypoint":["/usr/bin/app"],"WorkingDir":"/"},
            "rootfs":{"type":"layers","diff_ids":[]}}"#;
        let config = Config::parse(config).expect("a configuration");
        let platform = config.platform().known();
        let image = Image { config, layers: layers.collect(), annotations: BTreeMap::new() };
        let rules = Rules { platform, ..Rules::default() };
        let (_, findings) =
            inspect::image(&image, &rules, &inspect::Ahead::default()).into_parts(&[]);
        self.judge(what, &findings, &expected);
    }

    fn judge(&mut self, what: &str, findings: &[Finding], expected: &Expected) {
        self.count += 1;
        let refuses =
            |one: &&Finding| one.severity >= Severity::High && !SURROUNDINGS.contains(&one.rule.id);
        let all: BTreeSet<_> = findings.iter().map(|one| one.rule.id).collect();
        let hard: BTreeSet<_> = findings.iter().filter(refuses).map(|one| one.rule.id).collect();
        let holds = match expected {
            Refused(rules) => rules.iter().all(|rule| {
                hard.contains(rule) || SURROUNDINGS.contains(rule) && all.contains(rule)
            }),
            Told(rules) => hard.is_empty() && rules.iter().all(|rule| all.contains(rule)),
        };
        if !holds {
            let wanted = match expected {
                Refused(rules) => format!("refused by {rules:?}"),
                Told(rules) => format!("accepted, told {rules:?}"),
            };
            self.failures.push(format!("{what}: not {wanted}: refused {hard:?}, all {all:?}"));
        }
    }
}

fn entry(path: &str, kind: Kind) -> Entry {
    let mode = if matches!(kind, Kind::Symlink(_)) { 0o777 } else { 0o755 };
    Entry { path: path.into(), kind, mode, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new() }
}

fn program(path: &str, bytes: &[u8]) -> Entry {
    entry(path, Kind::File(content(bytes)))
}

/// Renamed: no name helps.
fn names(cases: &mut Cases<'_>) {
    for (rule, programs) in [
        (
            "multicall",
            &[
                "busybox-static/bin/busybox",
                "busybox/bin/busybox",
                "toybox/bin/toybox",
                "rust-coreutils/usr/bin/coreutils",
            ][..],
        ),
        (
            "shell",
            &[
                "dash/bin/dash",
                "bash/bin/bash",
                "bash-static/bin/bash-static",
                "zsh/bin/zsh",
                "mksh/bin/mksh",
                "mksh/usr/lib/klibc/bin/mksh",
                "mksh/usr/lib/x86_64-linux-musl/bin/mksh",
                "ksh93u+m/bin/ksh93",
                "yash/usr/bin/yash",
                "fish/usr/bin/fish",
                "tcsh/bin/tcsh",
                "csh/bin/bsd-csh",
                "rc/usr/bin/rc.byron",
                "posh/usr/bin/posh",
                "elvish/usr/bin/elvish",
            ],
        ),
        (
            "package-manager",
            &[
                "apt/usr/bin/apt-get",
                "apt/usr/bin/apt-mark",
                "dpkg/usr/bin/dpkg",
                "rpm/usr/bin/rpm",
                "zypper/usr/bin/zypper",
                "cargo/usr/bin/cargo",
            ],
        ),
        (
            "debugger",
            &[
                "strace/usr/bin/strace",
                "gdb/usr/bin/gdb",
                "ltrace/usr/bin/ltrace",
                "valgrind/usr/bin/valgrind.bin",
                "bpftrace/usr/bin/bpftrace",
                "linux-perf/usr/bin/perf",
            ],
        ),
        ("sniffer", &["tcpdump/usr/bin/tcpdump"]),
        ("network-scanner", &["nmap/usr/bin/nmap"]),
        ("remote-access", &["dropbear-bin/usr/sbin/dropbear", "openssh-server/usr/sbin/sshd"]),
        (
            "privilege-tool",
            &[
                "sudo/usr/bin/sudo",
                "pkexec/usr/bin/pkexec",
                "opendoas/usr/bin/doas",
                "login/bin/login",
            ],
        ),
        (
            "container-tool",
            &[
                "kubernetes-client/usr/bin/kubectl",
                "docker.io/usr/bin/docker",
                "runc/usr/sbin/runc",
                "containerd/usr/bin/ctr",
            ],
        ),
        (
            "compiler",
            &["cpp-12/usr/lib/gcc/x86_64-linux-gnu/12/cc1", "tcc/usr/bin/tcc", "nasm/usr/bin/nasm"],
        ),
        (
            "interpreter",
            &["perl-base/usr/bin/perl", "lua5.4/usr/bin/lua5.4", "luajit/usr/bin/luajit"],
        ),
        (
            "shell-escape",
            &[
                "nano/bin/nano",
                "ed/bin/ed",
                "less/usr/bin/less",
                "git/usr/bin/git",
                "vim-tiny/usr/bin/vim.tiny",
            ],
        ),
        (
            "network-client",
            &[
                "curl/usr/bin/curl",
                "wget/usr/bin/wget",
                "socat/usr/bin/socat",
                "ncat/usr/bin/ncat",
                "netcat-traditional/bin/nc.traditional",
            ],
        ),
        ("namespace-tool", &["util-linux/usr/bin/unshare", "libcap2-bin/sbin/capsh"]),
    ] {
        for path in programs {
            let bytes = cases.real(path);
            // Some are of two classes; one of them must be named.
            let expected = match *path {
                "libcap2-bin/sbin/capsh" => Refused(&["privilege-tool"]),
                _ => Refused(Box::leak(Box::new([rule]))),
            };
            cases.file(path, bytes, expected);
        }
    }
}

/// Hidden in other bytes.
fn disguises(cases: &mut Cases<'_>) {
    let dash = cases.real("dash/bin/dash");
    let busybox = cases.real("busybox-static/bin/busybox");
    let good = age(cases);
    let shell = || Refused(&["shell"]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let on_disk = folder.path().join("program");

    std::fs::write(&on_disk, &dash).expect("a file");
    assert!(Command::new("strip").arg("-s").arg(&on_disk).status().expect("strip").success());
    cases.file("stripped dash", std::fs::read(&on_disk).expect("a file"), shell());
    let mut bare = dash.clone();
    bare[0x28..0x30].fill(0);
    bare[0x3c..0x40].fill(0);
    cases.file("dash without sections", bare, Refused(&["shell", "elf-no-sections"]));

    let packed = cases.folder.join("packed/bookworm-amd64/busybox-static-busybox");
    let packed = std::fs::read(packed).expect("busybox, packed with UPX");
    cases.file("busybox packed", packed.clone(), Refused(&["elf-packed"]));
    let mut scrubbed = packed;
    while let Some(at) = scrubbed.windows(4).position(|word| word == b"UPX!") {
        scrubbed[at..at + 4].copy_from_slice(b"\x13\x37\0\x01");
    }
    cases.file("busybox packed, without the packer's name", scrubbed, Refused(&["elf-packed"]));

    // Bytes of no pattern, from a generator with a fixed seed (Numerical Recipes' LCG).
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    let glued: Vec<u8> = noise.take(31_337).chain(dash.iter().copied()).collect();
    cases.file("dash behind noise", glued, shell());
    cases.file("dash behind a good program", [&good[..], &dash].concat(), shell());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&dash).expect("memory");
    let gzip = gzip.finish().expect("memory");
    cases.file("dash.gz", gzip.clone(), shell());
    let two = [gzip_of(b"nothing"), gzip.clone()].concat();
    cases.file("dash in the second member of a gzip file", two, shell());
    cases.file("dash.zst", zstd::encode_all(&dash[..], 3).expect("memory"), shell());
    for (program, ending) in [("xz", "xz"), ("bzip2", "bz2")] {
        std::fs::write(&on_disk, &dash).expect("a file");
        let output = Command::new(program).args(["-k", "-c"]).arg(&on_disk).output();
        let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(output.status.success(), "{program}");
        cases.file(&format!("dash.{ending}"), output.stdout, shell());
    }
    let jar = zip("lib/inner.zip", &zip("bin/tool", &busybox));
    cases.file("busybox in a zip in a jar", jar, Refused(&["multicall"]));
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(gzip.len() as u64);
    tar.append_data(&mut header, "x/dash.gz", &gzip[..]).expect("memory");
    cases.file("dash.gz in a tar", tar.into_inner().expect("memory"), shell());
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &busybox);
    cases.file("busybox as base64", text, Refused(&["encoded-executable"]));

    // An attacker edits the texts that the program is known by.
    let mut edited = dash.clone();
    for text in [&b"getopts"[..], b"OPTIND"] {
        while let Some(at) = edited.windows(text.len()).position(|word| word == text) {
            edited[at..at + text.len()].fill(b'x');
        }
    }
    cases.file("dash with two texts edited", edited, shell());

    // What only speaks of shells.
    let words =
        "BASH_EXECUTION_STRING ZDOTDIR getopts PS4 you have no permission to run this applet\n";
    let mut text = program("etc/words", words.repeat(200).as_bytes());
    text.mode = 0o644;
    let app = program("usr/bin/app", &good);
    cases.image("a text about shells", vec![vec![app, text]], Told(&[]));
    cases.file(
        "karat itself",
        std::fs::read(env!("CARGO_BIN_EXE_karat")).expect("karat"),
        Told(&[]),
    );
}

fn gzip_of(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).expect("memory");
    gzip.finish().expect("memory")
}

/// Packs one member without compression (APPNOTE.TXT 4.3).
fn zip(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    let (size, length) = ((bytes.len() as u32).to_le_bytes(), (name.len() as u16).to_le_bytes());
    let fields = [
        &[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0][..],
        &crc.sum().to_le_bytes(),
        &size,
        &size,
        &length,
        &[0, 0],
    ]
    .concat();
    let local = [b"PK\x03\x04", &fields[..], name.as_bytes()].concat();
    let central = [b"PK\x01\x02\x14\0", &fields[..], &[0; 14], name.as_bytes()].concat();
    // The ten bytes behind the name's length: comment, disk, attributes; then the offset, 0.
    let start = (local.len() + bytes.len()) as u32;
    let end = [
        &b"PK\x05\x06\0\0\0\0\x01\0\x01\0"[..],
        &(central.len() as u32).to_le_bytes(),
        &start.to_le_bytes(),
        &[0, 0],
    ]
    .concat();
    [&local[..], bytes, &central, &end].concat()
}

/// Headers that lie, on a program that Linux would still start.
fn headers(cases: &mut Cases<'_>) {
    let dash = cases.real("dash/bin/dash");
    let malformed = || Refused(&["elf-malformed"]);
    for (what, at, bytes) in [
        ("class 1", 4, &[1][..]),
        ("class 0", 4, &[0]),
        ("big endian", 5, &[2]),
        ("identification version 0", 6, &[0]),
        ("version 0", 0x14, &[0]),
        ("sections at a wild place", 0x28, &[0xff; 8]),
        ("65,535 sections", 0x3c, &[0xff, 0xff]),
        ("section headers of one byte", 0x3a, &[1, 0]),
        ("a header of no size", 0x34, &[0, 0]),
        ("program headers outside", 0x20, &[0, 0, 0, 0, 0, 1, 0, 0]),
        ("65,535 program headers", 0x38, &[0xff, 0xff]),
    ] {
        let mut lie = dash.clone();
        lie[at..at + bytes.len()].copy_from_slice(bytes);
        cases.file(&format!("dash with {what}"), lie, malformed());
    }
    cases.file("half of dash", &dash[..dash.len() / 2], malformed());
    let headers = |dash: &[u8], kind: u32| -> Vec<usize> {
        let count = usize::from(u16::from_le_bytes([dash[0x38], dash[0x39]]));
        (0..count)
            .map(|number| 64 + number * 56)
            .filter(|at| {
                u32::from_le_bytes([dash[*at], dash[at + 1], dash[at + 2], dash[at + 3]]) == kind
            })
            .collect()
    };
    // The note becomes a second interpreter.
    let (interpreter, note) = (headers(&dash, 3)[0], headers(&dash, 4)[0]);
    let mut two = dash.clone();
    let copy = two[interpreter..interpreter + 56].to_vec();
    two[note..note + 56].copy_from_slice(&copy);
    cases.file("dash with two interpreters", two, malformed());
    let mut foreign = dash.clone();
    let at = u64::from_le_bytes(dash[interpreter + 8..interpreter + 16].try_into().expect("eight"));
    foreign[at as usize + 1] = 0xff;
    let missing = Refused(&["shell", "elf-interpreter-missing"]);
    cases.file("dash whose interpreter is no text", foreign, missing);
    for (what, kind, rule) in [
        ("an executable stack", 0x6474_e551, &["elf-executable-stack"]),
        ("writable code", 1, &["elf-writable-code"]),
    ] {
        let mut edited = dash.clone();
        for at in headers(&dash, kind) {
            edited[at + 4] = 7;
        }
        cases.file(&format!("dash with {what}"), edited, Refused(rule));
    }
    // 64 MiB of string table, of which a careless reader makes gigabytes.
    let mut bomb = dash;
    bomb.resize(64 << 20, 0);
    let at = headers(&bomb, 2)[0];
    let dynamic = u64::from_le_bytes(bomb[at + 8..at + 16].try_into().expect("eight")) as usize;
    for tag in (dynamic..dynamic + 0x400).step_by(16) {
        if bomb[tag] == 10 {
            bomb[tag + 8..tag + 16].copy_from_slice(&(60_u64 << 20).to_le_bytes());
        }
    }
    cases.file("dash with a string table of 60 MiB", bomb, Refused(&["shell"]));
}

/// In an image: names, links, layers, other machines.
fn places(cases: &mut Cases<'_>) {
    let busybox = cases.real("busybox-static/bin/busybox");
    let toybox = cases.real("toybox/bin/toybox");
    let dash = cases.real("dash/bin/dash");
    let app = || program("usr/bin/app", &age_of(cases.folder));
    let hard = entry("etc/ssl/certs/x.pem", Kind::Hardlink(b"usr/lib/x".to_vec()));
    cases.image(
        "busybox with a second, harmless name",
        vec![vec![app(), program("usr/lib/x", &busybox), hard]],
        Refused(&["multicall"]),
    );
    let link = entry("usr/bin/foo", Kind::Symlink(b"../lib/x".to_vec()));
    cases.image(
        "busybox behind a link",
        vec![vec![app(), program("usr/lib/x", &busybox), link]],
        Refused(&["multicall"]),
    );
    let mut data = program("data/blob", &toybox);
    data.mode = 0o644;
    cases.image("toybox as data", vec![vec![app(), data]], Refused(&["multicall"]));
    let library = program("usr/lib/libfoo.so.1", &dash);
    cases.image("dash as a library", vec![vec![app(), library]], Refused(&["shell"]));
    let whiteout = program("usr/bin/.wh.sh", b"");
    cases.image(
        "dash that a later layer deletes",
        vec![vec![app(), program("usr/bin/sh", &dash)], vec![whiteout]],
        Refused(&["shell"]),
    );
    let opaque = program("opt/.wh..wh..opq", b"");
    cases.image(
        "dash that an opaque folder hides",
        vec![vec![app(), program("opt/x", &dash)], vec![opaque]],
        Refused(&["shell"]),
    );
    let arm64 = std::fs::read(cases.folder.join("bookworm-arm64/dash/bin/dash")).expect("dash");
    cases.image(
        "dash of arm64 in an image of amd64",
        vec![vec![app(), program("usr/bin/x", &arm64)]],
        Refused(&["shell", "elf-machine"]),
    );
    let mut setuid = program("usr/bin/x", &cases.real("sudo/usr/bin/sudo"));
    setuid.mode = 0o4755;
    cases.image("sudo", vec![vec![app(), setuid]], Refused(&["privilege-tool", "setuid"]));
    cases.image("a program alone", vec![vec![app()]], Told(&[]));
    // The loader is there, and it is not.
    let compiled = c_program();
    let libc =
        ["libc6/lib/x86_64-linux-gnu/libc.so.6", "libc6/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"];
    let mut base: Vec<_> = libc
        .map(|path| program(path.split_once('/').expect("a package").1, &cases.real(path)))
        .into();
    base.push(entry("lib64", Kind::Symlink(b"lib/x86_64-linux-gnu".to_vec())));
    base.push(program("usr/bin/app", &compiled));
    cases.image("a C program with its libc", vec![base], Told(&[]));
    cases.image(
        "a C program without its libc",
        vec![vec![program("usr/bin/app", &compiled)]],
        Refused(&["elf-interpreter-missing"]),
    );
}

/// What compilers make of ordinary programs, and of those that can start others.
fn languages(cases: &mut Cases<'_>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path();
    std::fs::write(at.join("go.mod"), "module example.test/cases\n\ngo 1.21\n").expect("a file");
    let go = |source: &str, flags: &[&str]| {
        std::fs::write(at.join("main.go"), source).expect("a file");
        let mut go = Command::new("go");
        go.args(["build", "-trimpath", "-ldflags=-s -w", "-o", "out"]).args(flags).arg(".");
        let done = go.env("CGO_ENABLED", "0").current_dir(at).output().expect("go");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        std::fs::read(at.join("out")).expect("a program")
    };
    let hello = "package main\nfunc main() { println(1) }\n";
    cases.file("a Go program", go(hello, &[]), Told(&[]));
    let server =
        "package main\nimport \"net/http\"\nfunc main() { http.ListenAndServe(\":1\", nil) }\n";
    cases.file("a Go server", go(server, &[]), Told(&[]));
    let starts = "package main\nimport \"os/exec\"\nfunc main() { exec.Command(\"sh\", \"-c\", \"id\").Run() }\n";
    cases.file("a Go program that starts others", go(starts, &[]), Told(&["can-start-programs"]));
    // A lone file is asked for nothing around it; the finding is there all the same.
    let pie = go(hello, &["-buildmode=pie"]);
    cases.file("a Go program at any address", pie, Refused(&["elf-interpreter-missing"]));
    let gosh = std::fs::read(cases.folder.join("go/gosh/gosh")).expect("gosh");
    cases.file("a Go program with a shell in it", gosh, Refused(&["shell"]));

    let rust = |source: &str| {
        std::fs::write(at.join("main.rs"), source).expect("a file");
        let mut rustc = Command::new("rustc");
        rustc.args([
            "-O",
            "-C",
            "target-feature=+crt-static",
            "-C",
            "strip=symbols",
            "-o",
            "out",
            "main.rs",
        ]);
        let done = rustc.current_dir(at).output().expect("rustc");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        std::fs::read(at.join("out")).expect("a program")
    };
    cases.file(
        "a Rust program",
        rust("fn main() { println!(\"sh apt curl busybox\") }\n"),
        Told(&[]),
    );
    let starts = "fn main() { std::process::Command::new(\"sh\").status().unwrap(); }\n";
    cases.file("a Rust program that starts others", rust(starts), Told(&["can-start-programs"]));
}

/// age, a good static program of Go.
fn age_of(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("go/age/age")).expect("age")
}

fn age(cases: &Cases<'_>) -> Vec<u8> {
    age_of(cases.folder)
}

/// A small dynamic C program.
fn c_program() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = folder.path().join("main.c");
    std::fs::write(&source, "#include <stdio.h>\nint main(void) { return puts(\"1\") < 0; }\n")
        .expect("a file");
    let mut cc = Command::new("cc");
    let done = cc.arg("-O2").arg("-o").arg(folder.path().join("out")).arg(source).status();
    assert!(done.expect("cc").success());
    std::fs::read(folder.path().join("out")).expect("a program")
}
