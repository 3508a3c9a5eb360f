//! The directions of the house: who may use whom, read out of the source text.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The stations of the line, in order.
const LINE: [&str; 11] = [
    "recipe", "base", "assemble", "inspect", "bom", "advisory", "policy", "attest", "sign",
    "publish", "verify",
];
/// What lies below the line and knows nothing of it.
const FOUNDATIONS: [&str; 17] = [
    "approval",
    "archive",
    "binary",
    "finding",
    "http",
    "image",
    "keyless",
    "oci",
    "registry",
    "settings",
    "signature",
    "site",
    "store",
    "strict_toml",
    "time",
    "trust",
    "waiver",
];
/// Who must not use whom, although the order of the line would let them.
const NEVER: [(&str, &[&str]); 4] = [
    ("inspect", &["recipe", "bom"]),
    ("bom", &["inspect"]),
    ("attest", &["publish"]),
    ("verify", &["assemble", "recipe"]),
];

/// A line of code that is no test and no comment.
struct Line {
    file: String,
    module: String,
    number: usize,
    text: String,
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("src") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found.sort();
}

/// Returns every line of code outside tests. Relies on rustfmt: an item's last line is a `}`
/// with the indent of its first.
fn code() -> Vec<Line> {
    let mut paths = Vec::new();
    files(&source(), &mut paths);
    let mut of_tests: BTreeSet<PathBuf> = BTreeSet::new();
    let mut lines = Vec::new();
    for path in &paths {
        let text = fs::read_to_string(path).expect("source");
        let folder = match path.file_name().and_then(|name| name.to_str()) {
            Some("lib.rs" | "main.rs") => source(),
            _ => path.with_extension(""),
        };
        let relative = path.strip_prefix(source()).expect("below src");
        let module = relative.with_extension("").iter().next().expect("a name").to_owned();
        let mut test: Option<String> = None;
        let mut pending = false;
        let mut own_path: Option<String> = None;
        for (number, line) in text.lines().enumerate() {
            let code = line.trim_start();
            let indent = &line[..line.len() - code.len()];
            if let Some(end) = &test {
                if line == end {
                    test = None;
                }
                continue;
            }
            if code.starts_with("#[cfg(test)]") || code.starts_with("#[cfg(all(test") {
                pending = true;
                continue;
            }
            if pending {
                if let Some(name) = code.strip_prefix("#[path = \"") {
                    own_path = name.split('"').next().map(str::to_owned);
                }
                if code.starts_with("#[") || code.starts_with("//") {
                    continue;
                }
                pending = false;
                if let Some(name) = code.strip_suffix(';') {
                    if let Some((_, name)) = name.split_once("mod ") {
                        let parent = path.parent().expect("a folder");
                        of_tests.insert(match own_path.take() {
                            Some(file) => parent.join(file).with_extension(""),
                            None => folder.join(name),
                        });
                    }
                } else {
                    test = Some(format!("{indent}}}"));
                }
                continue;
            }
            if code.starts_with("//") {
                continue;
            }
            lines.push(Line {
                file: relative.display().to_string(),
                module: module.to_string_lossy().into_owned(),
                number: number + 1,
                text: code.split(" // ").next().unwrap_or_default().to_owned(),
            });
        }
        assert!(test.is_none(), "{}: the end of a test was not found", path.display());
    }
    lines.retain(|line| {
        let path = source().join(&line.file).with_extension("");
        !of_tests.iter().any(|tests| path.starts_with(tests))
    });
    assert!(lines.len() > 5000, "the source was not read: {} lines", lines.len());
    lines
}

/// Returns the modules of the crate that a line names.
fn named(line: &Line) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in line.text.match_indices("crate::") {
        let before = line.text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &line.text[at + "crate::".len()..];
        let name = |text: &str| {
            let text = text.trim();
            let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
            text[..end].to_owned()
        };
        match rest.strip_prefix('{') {
            Some(group) => {
                let mut depth = 0;
                let mut start = 0;
                for (at, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => {
                            found.push(name(&group[start..at]));
                            break;
                        }
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            found.push(name(&group[start..at]));
                            start = at + 1;
                        }
                        _ => {}
                    }
                }
            }
            None => found.push(name(rest)),
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

/// Returns `FILE:LINE MODULE -> OTHER` for each use that `forbidden` tells of.
fn uses(forbidden: impl Fn(&str, &str) -> bool) -> Vec<String> {
    code()
        .iter()
        .flat_map(|line| named(line).into_iter().map(move |other| (line, other)))
        .filter(|(line, other)| line.module != *other && forbidden(&line.module, other))
        .map(|(line, other)| {
            format!("src/{}:{} {} uses {other}", line.file, line.number, line.module)
        })
        .collect()
}

#[track_caller]
fn none(violations: Vec<String>) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

fn place(module: &str) -> Option<usize> {
    LINE.iter().position(|station| *station == module)
}

#[test]
fn every_module_has_its_place() {
    let known: BTreeSet<&str> =
        LINE.into_iter().chain(FOUNDATIONS).chain(["pipeline", "lib", "main", "cli"]).collect();
    let found: BTreeSet<String> = code().into_iter().map(|line| line.module).collect();
    let unknown: Vec<_> = found.iter().filter(|one| !known.contains(&one[..])).collect();
    assert!(unknown.is_empty(), "say in this test where these belong: {unknown:?}");
}

#[test]
fn the_reader_of_source_sees_uses_and_skips_tests() {
    let seen = uses(|module, other| module == "pipeline" && LINE.contains(&other));
    assert!(seen.iter().any(|one| one.contains("src/pipeline/build.rs")), "{seen:?}");
    let line = |text: &str| Line {
        file: String::new(),
        module: String::new(),
        number: 0,
        text: text.to_owned(),
    };
    assert_eq!(
        named(&line("use crate::{oci, image::{Entry, Kind}, bom};")),
        ["oci", "image", "bom"]
    );
    assert_eq!(named(&line("x: crate::oci::Digest, y: crate::bom::Bom")), ["oci", "bom"]);
    assert_eq!(named(&line("pub(crate) use mycrate::x;")), Vec::<String>::new());
    assert!(code().iter().all(|line| !line.text.starts_with("#[test]")), "a test was not skipped");
}

#[test]
fn foundations_use_no_station() {
    none(uses(|module, other| {
        FOUNDATIONS.contains(&module) && (LINE.contains(&other) || other == "pipeline")
    }));
}

#[test]
fn stations_use_only_stations_before_them() {
    none(uses(|module, other| match (place(module), place(other)) {
        (Some(own), Some(other)) => other > own,
        (Some(_), None) => other == "pipeline",
        _ => false,
    }));
}

#[test]
fn stations_keep_away_from_whom_they_must_not_know() {
    none(uses(|module, other| {
        NEVER.iter().any(|(own, never)| *own == module && never.contains(&other))
            || module == "sign" && other == "publish"
    }));
}

#[test]
fn library_does_not_print_and_does_not_read_the_environment() {
    let words = [
        "println!",
        "eprintln!",
        "print!(",
        "eprint!(",
        "dbg!(",
        "std::env",
        "env::var",
        "io::stdout",
        "io::stderr",
        "SystemTime::now",
        "Instant::now",
    ];
    none(
        code()
            .iter()
            .filter(|line| !matches!(&line.module[..], "cli" | "main"))
            .flat_map(|line| words.iter().map(move |word| (line, *word)))
            .filter(|(line, word)| line.text.contains(word))
            // What a machine is, is known when the program is compiled.
            .filter(|(line, _)| !line.text.contains("std::env::consts"))
            .map(|(line, word)| format!("src/{}:{} {word}", line.file, line.number))
            .collect(),
    );
}

#[test]
fn only_recipes_platform_knows_the_machine() {
    let uses: Vec<_> = code()
        .iter()
        .filter(|line| line.text.contains("env::consts"))
        .map(|line| format!("src/{}:{}", line.file, line.number))
        .collect();
    assert!(uses.len() <= 2 && uses.iter().all(|one| one.contains("platform.rs")), "{uses:?}");
}

#[test]
fn nothing_is_unwrapped() {
    none(
        code()
            .iter()
            .filter(|line| line.text.contains(".unwrap()"))
            .map(|line| format!("src/{}:{}", line.file, line.number))
            .collect(),
    );
}
