//! The gate against real programs: tools that it must refuse in every disguise, and
//! ordinary programs and libraries that it must leave alone.
//!
//! `scripts/make-gate-corpus` makes the corpus from Debian packages, outside of this
//! repository; `corpus.toml` says what is in it and what each tool is. The test runs with
//! `KARAT_REQUIRE_GATE_CORPUS=1`, as `just gate` sets it, and then fails without the corpus;
//! else it is skipped and says so on standard error. `KARAT_GATE_CORPUS` names another folder.
//!
//! What depends on the name of a file, on the libraries beside it or on its being declared
//! does not count here: a tool must be refused for what it is.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod cases;
mod corpus;
mod hardening;
mod held_out;
mod measure;

use corpus::{Corpus, Sample};
use karat::finding::{Finding, Severity};
use karat::store::{Content, Spool};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What must be there.
const TOOLS: usize = 150;
const ARM64: usize = 40;
const ORDINARY: usize = 1000;
/// How many tools the program itself inspects.
const BY_PROGRAM: usize = 12;

/// What is asked of each disguise: the share, in per cent, that must be refused, and that
/// must be called by its class.
struct Threshold {
    variant: &'static str,
    refused: usize,
    named: usize,
}

const THRESHOLDS: [Threshold; 7] = [
    Threshold { variant: "as it is", refused: 100, named: 99 },
    Threshold { variant: "renamed", refused: 100, named: 99 },
    Threshold { variant: "stripped", refused: 100, named: 99 },
    Threshold { variant: "no sections", refused: 100, named: 97 },
    Threshold { variant: "packed", refused: 100, named: 0 },
    Threshold { variant: "glued", refused: 100, named: 90 },
    Threshold { variant: "gzip", refused: 100, named: 97 },
];

/// Rules that are about a file's place and not about what it is.
const BY_PLACE: [&str; 4] =
    ["elf-interpreter-missing", "elf-library-missing", "not-an-executable", "forbidden-name"];

#[test]
fn the_gate_knows_real_tools_and_leaves_ordinary_programs_alone() {
    let Some(folder) = corpus_or_skip() else { return };
    let corpus = Corpus::read();
    let mut failures = Vec::new();
    recall(&corpus, &folder, &mut failures);
    precision(&corpus, &folder, &mut failures);
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// Returns the folder of the corpus; none when it was not asked for.
fn corpus_or_skip() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    let required = set("KARAT_REQUIRE_GATE_CORPUS");
    let folder = corpus::folder();
    let why = if !required {
        Some("it takes the corpus of real programs: `just gate` makes it and runs this".to_owned())
    } else if folder.join("fetched.tsv").is_file() {
        None
    } else {
        Some("there is no corpus: `scripts/make-gate-corpus` makes it".to_owned())
    };
    if let Some(why) = why {
        say(&format!("gate: skipped: {why}"));
        assert!(!required, "{why}");
        return None;
    }
    Some(folder)
}

/// Hits of one class in one disguise.
#[derive(Default, Clone, Copy)]
struct Count {
    total: usize,
    refused: usize,
    named: usize,
}

fn recall(corpus: &Corpus, folder: &Path, failures: &mut Vec<String>) {
    let (samples, missing) = corpus.samples(folder);
    check(failures, missing.is_empty(), || format!("missing tools: {}", missing.join(", ")));
    let arm64 = samples.iter().filter(|sample| sample.place.ends_with("-arm64")).count();
    let other = samples.len() - arm64;
    check(failures, other >= TOOLS, || format!("{other} tools of amd64, not {TOOLS}"));
    check(failures, arm64 >= ARM64, || format!("{arm64} tools of arm64, not {ARM64}"));

    let counts: Mutex<BTreeMap<(&str, &str), Count>> = Mutex::default();
    let misses: Mutex<BTreeSet<String>> = Mutex::default();
    let not_stripped = AtomicUsize::new(0);
    in_parallel(&samples, |sample| {
        let variants = variants(sample);
        if !variants.iter().any(|(variant, ..)| *variant == "stripped") {
            not_stripped.fetch_add(1, Ordering::Relaxed);
        }
        for (variant, name, bytes) in variants {
            let rules = refusals(name, bytes);
            let named = sample.tool.rules.iter().any(|rule| rules.contains(rule.as_str()));
            let mut counts = counts.lock().expect("the harness works");
            let count = counts.entry((&sample.tool.rules[0], variant)).or_default();
            count.total += 1;
            count.refused += usize::from(!rules.is_empty());
            count.named += usize::from(named);
            drop(counts);
            let wanted =
                THRESHOLDS.iter().find(|one| one.variant == variant).expect("the harness works");
            if rules.is_empty() && wanted.refused > 0 || !named && wanted.named > 0 {
                misses.lock().expect("the harness works").insert(format!(
                    "{} of {} ({variant}): expected {}, got {rules:?}",
                    sample.tool.tool,
                    sample.place,
                    sample.tool.rules.join(" or ")
                ));
            }
        }
    });
    let counts = counts.into_inner().expect("the harness works");
    say(&table(&counts));
    say(&format!(
        "gate: {other} tools of amd64, {arm64} of arm64; {} could not be stripped here, \
         {} could not be packed",
        not_stripped.into_inner(),
        samples.iter().filter(|sample| sample.packed.is_none()).count()
    ));
    let misses = misses.into_inner().expect("the harness works");
    if !misses.is_empty() {
        say("gate: missed:");
    }
    for miss in &misses {
        say(&format!("  {miss}"));
    }
    for Threshold { variant, refused, named } in THRESHOLDS {
        let sum = sum(&counts, |(_, of)| of == variant);
        check(failures, sum.total > 0, || format!("{variant}: not a single file"));
        check(failures, sum.refused * 100 >= sum.total * refused, || {
            format!("{variant}: {} of {} refused, not {refused} %", sum.refused, sum.total)
        });
        check(failures, sum.named * 100 >= sum.total * named, || {
            format!("{variant}: {} of {} named, not {named} %", sum.named, sum.total)
        });
    }
    by_program(&samples, failures);
}

/// The disguises of a tool: which, the path that it gets, its bytes.
fn variants(sample: &Sample<'_>) -> Vec<(&'static str, String, Vec<u8>)> {
    let bytes = std::fs::read(&sample.path).expect("a tool of the corpus");
    let own = sample.path.to_string_lossy().into_owned();
    let app = || "usr/bin/app".to_owned();
    let mut variants = Vec::new();
    if let Some(stripped) = stripped(sample) {
        variants.push(("stripped", app(), stripped));
    }
    if let Some(packed) = &sample.packed {
        variants.push(("packed", app(), std::fs::read(packed).expect("a packed tool")));
    }
    variants.push(("no sections", app(), without_sections(&bytes)));
    // 31,337 bytes of a text, and then the tool.
    let mut glued: Vec<u8> = b"Lorem ipsum dolor. ".iter().copied().cycle().take(31_337).collect();
    glued.extend_from_slice(&bytes);
    glued.extend_from_slice(b"And more text.");
    variants.push(("glued", "data/file".to_owned(), glued));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&bytes).expect("memory takes bytes");
    variants.push(("gzip", "data/file.gz".to_owned(), gzip.finish().expect("memory")));
    variants.push(("renamed", app(), bytes.clone()));
    variants.push(("as it is", own, bytes));
    variants
}

/// Strips a tool with the machine's own `strip`, or with the one of the corpus for arm64; none
/// where neither can.
fn stripped(sample: &Sample<'_>) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let target = folder.path().join("stripped");
    let mut strip = match sample.place.ends_with("-arm64") {
        true => Command::new(corpus::folder().join("strip-aarch64")),
        false => Command::new("strip"),
    };
    let done = strip.arg("-s").arg("-o").arg(&target).arg(&sample.path).output().ok()?;
    if done.status.success() { std::fs::read(target).ok() } else { None }
}

/// Sets the fields of the header to nothing that say where the sections are.
fn without_sections(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    assert_eq!(bytes[5], 1, "little endian");
    // e_shoff, then e_shnum and e_shstrndx; fasm has 32 bits.
    let (offset, numbers) =
        if bytes[4] == 2 { (0x28..0x30, 0x3C..0x40) } else { (0x20..0x24, 0x30..0x34) };
    bytes[offset].fill(0);
    bytes[numbers].fill(0);
    bytes
}

/// Returns the rules by which the gate refuses a file for what it is.
fn refusals(name: impl AsRef<str>, bytes: Vec<u8>) -> BTreeSet<&'static str> {
    let content = Content::whole(Arc::new(Spool::of(bytes)));
    let (_, findings) = karat::inspect::file(name.as_ref(), &content).into_parts(&[]);
    let refuses = |finding: &Finding| {
        matches!(finding.severity, Severity::High | Severity::Critical)
            && !BY_PLACE.contains(&finding.rule.id)
    };
    findings.iter().filter(|finding| refuses(finding)).map(|finding| finding.rule.id).collect()
}

/// A few tools go through the program itself: what the library finds gets out.
fn by_program(samples: &[Sample<'_>], failures: &mut Vec<String>) {
    let mut inspected = 0;
    for sample in samples.iter().step_by((samples.len() / BY_PROGRAM).max(1)).take(BY_PROGRAM) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let app = folder.path().join("app");
        std::fs::copy(&sample.path, &app).expect("a copy of a tool");
        let output = Command::new(env!("CARGO_BIN_EXE_karat"))
            .args(["inspect", "--format", "json"])
            .arg(&app)
            .output()
            .expect("karat runs");
        let found = refusals("app", std::fs::read(&app).expect("the copy"));
        let report = String::from_utf8_lossy(&output.stdout);
        let all = found.iter().all(|rule| report.contains(&format!("\"{rule}\"")));
        check(failures, output.status.code() == Some(1) && all, || {
            format!("karat inspect {}: {}, {found:?}", sample.path.display(), output.status)
        });
        inspected += 1;
    }
    check(failures, inspected == BY_PROGRAM, || format!("karat inspected {inspected} tools"));
}

fn precision(corpus: &Corpus, folder: &Path, failures: &mut Vec<String>) {
    let (files, missing) = corpus.ordinary(folder);
    check(failures, missing.is_empty(), || format!("missing packages: {}", missing.join(", ")));
    let (distinct, alarms) = alarms(&files, folder);
    say(&format!("gate: {distinct} ordinary files, {} false alarms", alarms.len()));
    for alarm in &alarms {
        say(&format!("  {alarm}"));
    }
    check(failures, distinct >= ORDINARY, || format!("{distinct} ordinary files, not {ORDINARY}"));
    check(failures, alarms.is_empty(), || format!("{} false alarms", alarms.len()));
}

/// Returns how many different files there are, and what the gate refuses them for.
fn alarms(files: &[PathBuf], folder: &Path) -> (usize, BTreeSet<String>) {
    let distinct: Mutex<BTreeSet<[u8; 32]>> = Mutex::default();
    let alarms: Mutex<BTreeSet<String>> = Mutex::default();
    in_parallel(files, |path| {
        let bytes = std::fs::read(path).expect("an ordinary file");
        assert!(bytes.starts_with(b"\x7fELF"), "{} is no ELF file", path.display());
        let digest: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest(&bytes).into();
        if !distinct.lock().expect("the harness works").insert(digest) {
            return;
        }
        let shown = path.strip_prefix(folder).expect("the harness works").display().to_string();
        let content = Content::whole(Arc::new(Spool::of(bytes)));
        let (_, findings) = karat::inspect::file("usr/bin/app", &content).into_parts(&[]);
        for finding in findings {
            let rule = finding.rule.id;
            if finding.severity >= Severity::High && !BY_PLACE.contains(&rule) {
                let evidence = finding.evidence.join("; ");
                let line = format!("{shown}: {rule}: {}: {evidence}", finding.message);
                alarms.lock().expect("the harness works").insert(line);
            }
        }
    });
    (
        distinct.into_inner().expect("the harness works").len(),
        alarms.into_inner().expect("the harness works"),
    )
}

fn sum(counts: &BTreeMap<(&str, &str), Count>, which: impl Fn((&str, &str)) -> bool) -> Count {
    counts.iter().filter(|(key, _)| which(**key)).fold(Count::default(), |sum, (_, one)| Count {
        total: sum.total + one.total,
        refused: sum.refused + one.refused,
        named: sum.named + one.named,
    })
}

/// One line a class: for each disguise refused, named and all.
fn table(counts: &BTreeMap<(&str, &str), Count>) -> String {
    let mut text = format!("{:<17}", "refused/named/all");
    let variants = THRESHOLDS.map(|threshold| threshold.variant);
    for variant in variants {
        write!(text, " {variant:>12}").expect("the harness works");
    }
    let classes: BTreeSet<&str> = counts.keys().map(|(class, _)| *class).collect();
    for class in classes.into_iter().map(Some).chain([None]) {
        write!(text, "\n{:<17}", class.unwrap_or("all")).expect("the harness works");
        for variant in variants {
            let one = sum(counts, |(of, in_variant)| {
                in_variant == variant && class.is_none_or(|class| class == of)
            });
            let shown = format!("{}/{}/{}", one.refused, one.named, one.total);
            write!(text, " {shown:>12}").expect("the harness works");
        }
    }
    text
}

/// Does something with each, on every processor.
fn in_parallel<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(item);
                }
            });
        }
    });
}

fn check(failures: &mut Vec<String>, holds: bool, message: impl FnOnce() -> String) {
    if !holds {
        failures.push(message());
    }
}

/// Writes past the test harness, which keeps what passing tests print to itself.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
