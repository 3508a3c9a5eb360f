//! Measures the fingerprint table against a folder of unpacked packages:
//! `just fingerprints FOLDER`.
//!
//! For every entry: the files of that name that it knows, those that it misses, and how near
//! files of other names come to it; and the strings that are nowhere. So the table can be
//! looked at again with each release of a distribution. Nothing is judged here: which of the
//! other files are the same program under another name is for a reader to say.

use super::{in_parallel, say};
use aho_corasick::AhoCorasick;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

#[derive(Deserialize)]
struct Table {
    fingerprint: Vec<Entry>,
    #[serde(default)]
    family: Vec<Family>,
}

#[derive(Deserialize)]
struct Entry {
    tool: String,
    category: String,
    need: usize,
    encoding: String,
    strings: Vec<String>,
}

#[derive(Deserialize)]
struct Family {
    tool: String,
    category: String,
    groups: Vec<Group>,
    #[serde(default)]
    unless: Vec<String>,
}

#[derive(Deserialize)]
struct Group {
    need: usize,
    strings: Vec<String>,
}

/// One line of the table of results.
#[derive(Default)]
struct Measured {
    own: usize,
    known: usize,
    foreign: BTreeSet<String>,
    fewest: Option<usize>,
    most: usize,
    seen: BTreeSet<usize>,
}

#[test]
fn the_table_is_measured_against_a_folder() {
    let Some(folder) = std::env::var_os("KARAT_FINGERPRINTS").map(PathBuf::from) else {
        say("fingerprints: skipped: `just fingerprints FOLDER` measures the table");
        return;
    };
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/inspect/fingerprints.toml");
    let table: Table =
        toml::from_str(&std::fs::read_to_string(table).expect("the table")).expect("TOML");
    let mut files = Vec::new();
    super::corpus::walk(&folder, &mut files);
    let report = measure(&table, &files, &folder);
    assert!(!report.is_empty(), "there is no executable in {}", folder.display());
    say(&report);
}

fn bytes(text: &str, encoding: &str) -> Vec<u8> {
    match encoding {
        "utf32le" => text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(),
        _ => text.as_bytes().to_vec(),
    }
}

/// Returns the results as text; empty when no file is an executable.
fn measure(table: &Table, files: &[PathBuf], folder: &Path) -> String {
    let mut patterns: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut number = |bytes: Vec<u8>| {
        let next = patterns.len();
        *patterns.entry(bytes).or_insert(next)
    };
    let entries: Vec<Vec<usize>> = table
        .fingerprint
        .iter()
        .map(|one| one.strings.iter().map(|text| number(bytes(text, &one.encoding))).collect())
        .collect();
    let mut plain = |strings: &[String]| -> Vec<usize> {
        strings.iter().map(|text| number(bytes(text, "ascii"))).collect()
    };
    let families: Vec<(Vec<Vec<usize>>, Vec<usize>)> = table
        .family
        .iter()
        .map(|one| {
            let groups = one.groups.iter().map(|group| plain(&group.strings)).collect();
            (groups, plain(&one.unless))
        })
        .collect();
    let mut ordered = vec![Vec::new(); patterns.len()];
    for (bytes, number) in patterns {
        ordered[number] = bytes;
    }
    let search = AhoCorasick::new(&ordered).expect("the strings");

    let measured: Mutex<BTreeMap<usize, Measured>> = Mutex::default();
    let hits: Mutex<BTreeSet<String>> = Mutex::default();
    let count = Mutex::new(0_usize);
    in_parallel(files, |path| {
        let content = std::fs::read(path).expect("a file of the folder");
        if !content.starts_with(b"\x7fELF") {
            return;
        }
        *count.lock().expect("the harness works") += 1;
        let mut found = vec![false; ordered.len()];
        for hit in search.find_overlapping_iter(&content) {
            found[hit.pattern().as_usize()] = true;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let shown = path.strip_prefix(folder).unwrap_or(path).display().to_string();
        for (at, (entry, numbers)) in table.fingerprint.iter().zip(&entries).enumerate() {
            let here: Vec<usize> =
                (0..numbers.len()).filter(|index| found[numbers[*index]]).collect();
            let mut measured = measured.lock().expect("the harness works");
            let one = measured.entry(at).or_default();
            one.seen.extend(&here);
            if is_of(&name, &entry.tool) {
                one.own += 1;
                one.known += usize::from(here.len() >= entry.need);
                one.fewest = Some(one.fewest.map_or(here.len(), |few| few.min(here.len())));
            } else if here.len() >= entry.need {
                one.foreign.insert(shown.clone());
            } else {
                one.most = one.most.max(here.len());
            }
        }
        for (family, (groups, unless)) in table.family.iter().zip(&families) {
            let reached = |group: &Group, numbers: &Vec<usize>| {
                numbers.iter().filter(|number| found[**number]).count() >= group.need
            };
            let all = family.groups.iter().zip(groups).all(|(group, one)| reached(group, one));
            if all && !unless.iter().any(|number| found[*number]) {
                let line = format!("{}\t{}\t{shown}", family.category, family.tool);
                hits.lock().expect("the harness works").insert(line);
            }
        }
    });
    if count.into_inner().expect("the harness works") == 0 {
        return String::new();
    }
    let measured = measured.into_inner().expect("the harness works");
    let mut text = String::from(
        "fingerprint\tneed\tknown/own\tfewest\tnearest foreign\tforeign hits\tnever seen\n",
    );
    for (at, one) in &measured {
        let entry = &table.fingerprint[*at];
        let never: Vec<&str> = (0..entry.strings.len())
            .filter(|index| one.own > 0 && !one.seen.contains(index))
            .map(|index| entry.strings[index].as_str())
            .collect();
        writeln!(
            text,
            "{} {}\t{}\t{}/{}\t{}\t{}\t{}\t{}",
            entry.category,
            entry.tool,
            entry.need,
            one.known,
            one.own,
            one.fewest.map_or_else(|| "-".to_owned(), |few| few.to_string()),
            one.most,
            one.foreign.iter().cloned().collect::<Vec<_>>().join(" "),
            never.join(" | ")
        )
        .expect("text grows");
    }
    text.push_str("\nfamily\ttool\tfile\n");
    for hit in hits.into_inner().expect("the harness works") {
        writeln!(text, "{hit}").expect("text grows");
    }
    text
}

/// Says whether a file is named as a tool is, apart from versions: `python3.13`, `mksh-static`.
fn is_of(name: &str, tool: &str) -> bool {
    name.strip_prefix(tool)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(|c: char| !c.is_ascii_alphabetic()))
}

#[test]
fn a_made_up_folder_is_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = [
        ("ed2", "\x7fELF first mark, second mark"),
        ("other", "\x7fELF first mark"),
        ("copy", "\x7fELF first mark, second mark\0ptrace\0"),
        ("text", "first mark, second mark"),
    ];
    let paths: Vec<PathBuf> = files
        .iter()
        .map(|(name, text)| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        })
        .collect();
    let table: Table = toml::from_str(
        "[[fingerprint]]\ntool = 'ed'\ncategory = 'shell-escape'\nneed = 2\nencoding = 'ascii'\n\
         strings = ['first mark', 'second mark', 'third mark']\n\
         [[family]]\ntool = 'a tracer'\ncategory = 'debugger'\n\
         groups = [{ need = 1, strings = [\"\\u0000ptrace\\u0000\"] }]\n",
    )
    .expect("TOML");
    let report = measure(&table, &paths, folder.path());
    assert!(report.contains("shell-escape ed\t2\t1/1\t2\t1\tcopy\tthird mark\n"), "{report}");
    assert!(report.ends_with("debugger\ta tracer\tcopy\n"), "{report}");
    assert_eq!(measure(&table, &paths[3..], folder.path()), "");
}
