//! The gate against tools that its table was not made from.
//!
//! The corpus of `corpus.toml` is where many fingerprints come from, so that its figures
//! say little about tools of tomorrow. What `held-out.toml` names was never searched for
//! strings: tools that no entry of the table is about (`unseen`), and later or earlier
//! releases of tools that it knows (`newer`). Which of them are missed is not shown, so that
//! nobody writes an entry for one; `KARAT_GATE_SHOW_HELD_OUT=1` shows it, and whoever then
//! adds an entry moves the tool to `corpus.toml`.
//!
//! The ordinary files are from packages that nobody looked at either.

use super::corpus::{self, Corpus, Sample};
use super::{check, in_parallel, refusals, say, stripped};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;

/// How many tools and ordinary files there must be.
const TOOLS: usize = 60;
const ORDINARY: usize = 500;
const VARIANTS: [&str; 3] = ["as it is", "renamed", "stripped"];

/// What the gate holds, in per cent refused and called by the class, in the worst of the
/// variants. These figures are measured, not asked for: the entries of the table do not
/// follow them.
const BOUNDS: [(&str, usize, usize); 2] = [("unseen", 46, 38), ("newer", 94, 94)];

/// The most ordinary files with a false alarm, in a thousand.
const FALSE_ALARMS: usize = 1;

#[derive(Default, Clone, Copy)]
struct Count {
    total: usize,
    refused: usize,
    named: usize,
}

#[test]
fn the_gate_knows_families_and_not_only_the_tools_of_its_table() {
    let Some(folder) = super::corpus_or_skip() else { return };
    let corpus = Corpus::held_out();
    let mut failures = Vec::new();
    recall(&corpus, &folder, &mut failures);
    let (files, missing) = corpus.ordinary(&folder);
    check(&mut failures, missing.is_empty(), || format!("missing: {}", missing.join(", ")));
    let (distinct, alarms) = super::alarms(&files, &folder);
    let files: BTreeSet<_> = alarms.iter().filter_map(|line| line.split(": ").next()).collect();
    say(&format!(
        "gate, held out: {distinct} ordinary files, {} false alarms in {} of them",
        alarms.len(),
        files.len()
    ));
    if shows() {
        alarms.iter().for_each(|alarm| say(&format!("  {alarm}")));
    }
    check(&mut failures, distinct >= ORDINARY, || format!("{distinct} ordinary files"));
    check(&mut failures, files.len() * 1000 <= distinct * FALSE_ALARMS, || {
        format!("{} of {distinct} ordinary files raise an alarm", files.len())
    });
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn shows() -> bool {
    std::env::var_os("KARAT_GATE_SHOW_HELD_OUT").is_some_and(|value| value == "1")
}

fn recall(corpus: &Corpus, folder: &Path, failures: &mut Vec<String>) {
    let (samples, missing) = corpus.samples(folder);
    check(failures, missing.is_empty(), || format!("missing tools: {}", missing.join(", ")));
    check(failures, samples.len() >= TOOLS, || format!("{} tools, not {TOOLS}", samples.len()));
    let counts: Mutex<BTreeMap<(&str, &str, &str), Count>> = Mutex::default();
    let misses: Mutex<BTreeSet<String>> = Mutex::default();
    in_parallel(&samples, |sample| {
        for (variant, name, bytes) in variants(sample) {
            let rules = refusals(name, bytes);
            let named = sample.tool.rules.iter().any(|rule| rules.contains(rule.as_str()));
            let key = (sample.tool.set.as_str(), sample.tool.rules[0].as_str(), variant);
            let mut counts = counts.lock().expect("the harness works");
            let count = counts.entry(key).or_default();
            count.total += 1;
            count.refused += usize::from(!rules.is_empty());
            count.named += usize::from(named);
            if !named {
                let tool = &sample.tool.tool;
                misses.lock().expect("the harness works").insert(format!(
                    "{} {tool} of {} ({variant}): {rules:?}",
                    sample.tool.rules[0], sample.place
                ));
            }
        }
    });
    let counts = counts.into_inner().expect("the harness works");
    say(&table(&counts));
    if shows() {
        misses.into_inner().expect("the harness works").iter().for_each(|miss| say(miss));
    }
    for (set, refused, named) in BOUNDS {
        for variant in VARIANTS {
            let sum = sum(&counts, |(of, _, in_variant)| of == set && in_variant == variant);
            check(failures, sum.total > 0, || format!("{set}, {variant}: not a single file"));
            check(failures, sum.refused * 100 >= sum.total * refused, || {
                format!("{set}, {variant}: {} of {} refused", sum.refused, sum.total)
            });
            check(failures, sum.named * 100 >= sum.total * named, || {
                format!("{set}, {variant}: {} of {} named", sum.named, sum.total)
            });
        }
    }
}

fn variants(sample: &Sample<'_>) -> Vec<(&'static str, String, Vec<u8>)> {
    let bytes = std::fs::read(&sample.path).expect("a tool of the corpus");
    let own = sample.path.to_string_lossy().into_owned();
    let app = || "usr/bin/app".to_owned();
    let mut variants = Vec::new();
    if let Some(stripped) = stripped(sample) {
        variants.push((VARIANTS[2], app(), stripped));
    }
    variants.push((VARIANTS[1], app(), bytes.clone()));
    variants.push((VARIANTS[0], own, bytes));
    variants
}

fn sum(
    counts: &BTreeMap<(&str, &str, &str), Count>,
    which: impl Fn((&str, &str, &str)) -> bool,
) -> Count {
    counts.iter().filter(|(key, _)| which(**key)).fold(Count::default(), |sum, (_, one)| Count {
        total: sum.total + one.total,
        refused: sum.refused + one.refused,
        named: sum.named + one.named,
    })
}

/// One line a class and set: for each variant refused, named and all.
fn table(counts: &BTreeMap<(&str, &str, &str), Count>) -> String {
    let mut text = format!("{:<24}", "held out");
    for variant in VARIANTS {
        write!(text, " {variant:>12}").expect("the harness works");
    }
    let mut lines: BTreeSet<(&str, Option<&str>)> =
        counts.keys().map(|(set, class, _)| (*set, Some(*class))).collect();
    lines.extend(counts.keys().map(|(set, ..)| (*set, None)).collect::<Vec<_>>());
    for (set, class) in lines {
        write!(text, "\n{set:<6} {:<17}", class.unwrap_or("all")).expect("the harness works");
        for variant in VARIANTS {
            let one = sum(counts, |(of, in_class, in_variant)| {
                of == set && in_variant == variant && class.is_none_or(|class| class == in_class)
            });
            let shown = format!("{}/{}/{}", one.refused, one.named, one.total);
            write!(text, " {shown:>12}").expect("the harness works");
        }
    }
    text
}

/// A tool that was looked at may not count as one that was not.
#[test]
fn no_tool_and_no_package_is_in_both_lists() {
    let (corpus, held_out) = (Corpus::read(), Corpus::held_out());
    let known: BTreeSet<_> = corpus.files().collect();
    let both: Vec<_> = held_out.files().filter(|file| known.contains(file)).collect();
    assert_eq!(both, Vec::<(String, String)>::new());
    assert!(held_out.tool.iter().all(|tool| matches!(tool.set.as_str(), "unseen" | "newer")));
    let _ = corpus::folder();
}
