//! The hardening of programs that real compilers make here: C, Rust and Go.

use super::{check, refusals, say};
use karat::store::{Content, Spool};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

const C: &str = "#include <stdio.h>\n#include <string.h>\n\
    int main(int argc, char **argv) { char b[64]; strcpy(b, argv[0]); \
    return printf(\"%s %d\\n\", b, argc); }\n";
const RUST: &str = "fn main() { println!(\"{}\", std::env::args().count()); }\n";
const GO: &str = "package main\nimport \"fmt\"\nfunc main() { fmt.Println(1) }\n";

/// The program, how it is compiled, what stands in the table, and which rules it raises.
type Case = (&'static str, &'static [&'static str], [&'static str; 5], &'static [&'static str]);

const GO_NONE: &str = "n/a (Go internal linker)";
const CASES: [Case; 8] = [
    (
        "gcc",
        &[
            "-O2",
            "-D_FORTIFY_SOURCE=2",
            "-fstack-protector-all",
            "-fPIE",
            "-pie",
            "-Wl,-z,relro,-z,now",
        ],
        ["yes", "full", "yes", "yes", "yes"],
        &[],
    ),
    (
        "gcc",
        &[
            "-O1",
            "-U_FORTIFY_SOURCE",
            "-fno-stack-protector",
            "-fno-pie",
            "-no-pie",
            "-Wl,-z,norelro",
        ],
        ["yes", "none", "no", "no", "no"],
        &["elf-no-canary", "elf-no-fortify", "elf-no-relro", "elf-not-pie"],
    ),
    (
        "gcc",
        &[
            "-O2",
            "-D_FORTIFY_SOURCE=2",
            "-fstack-protector-all",
            "-fPIE",
            "-pie",
            "-Wl,-z,relro,-z,lazy",
        ],
        ["yes", "partial", "yes", "yes", "yes"],
        &["elf-partial-relro"],
    ),
    (
        "gcc",
        &[
            "-O2",
            "-D_FORTIFY_SOURCE=2",
            "-fstack-protector-all",
            "-fPIE",
            "-pie",
            "-Wl,-z,now,-z,execstack",
        ],
        ["no", "full", "yes", "yes", "yes"],
        &["elf-executable-stack"],
    ),
    (
        "gcc",
        &["-O2", "-fstack-protector-all", "-static-pie", "-s"],
        ["yes", "full", "yes (static)", "yes", "unknown (static)"],
        &[],
    ),
    ("rustc", &["-O"], ["yes", "full", "yes", "n/a (Rust)", "n/a (Rust)"], &[]),
    (
        "rustc",
        &["-O", "-Crelro-level=off", "-Cstrip=symbols"],
        ["yes", "none", "yes", "n/a (Rust)", "n/a (Rust)"],
        &["elf-no-relro"],
    ),
    ("go", &["-ldflags=-s -w"], ["yes", GO_NONE, GO_NONE, GO_NONE, GO_NONE], &[]),
];

#[test]
fn programs_of_real_compilers_are_judged_by_their_language() {
    if super::corpus_or_skip().is_none() {
        return;
    }
    let mut failures = Vec::new();
    for (compiler, arguments, table, rules) in CASES {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let Some(bytes) = compiled(compiler, arguments, folder.path()) else {
            say(&format!("gate: no {compiler} here: {arguments:?} is not compiled"));
            continue;
        };
        let content = Content::whole(Arc::new(Spool::of(bytes.clone())));
        let (_, findings) = karat::inspect::file("usr/bin/app", &content).into_parts(&[]);
        let row = findings.iter().find(|finding| finding.rule.id == "hardening");
        let row: Vec<&str> = row
            .into_iter()
            .flat_map(|row| &row.evidence)
            .filter_map(|line| line.split_once(": "))
            .map(|(_, value)| value)
            .take(5)
            .collect();
        let about = |id: &&str| {
            id.starts_with("elf-no-") || ["elf-not-pie", "elf-partial-relro"].contains(id)
        };
        let mut found: BTreeSet<&str> =
            findings.iter().map(|finding| finding.rule.id).filter(about).collect();
        found.extend(refusals("usr/bin/app", bytes));
        let expected: BTreeSet<&str> = rules.iter().copied().collect();
        check(&mut failures, row == table && found == expected, || {
            format!("{compiler} {arguments:?}: {row:?}, {found:?}")
        });
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// Compiles a program; none where there is no such compiler.
fn compiled(compiler: &str, arguments: &[&str], folder: &Path) -> Option<Vec<u8>> {
    let (name, text) = match compiler {
        "rustc" => ("main.rs", RUST),
        "go" => ("main.go", GO),
        _ => ("main.c", C),
    };
    std::fs::write(folder.join(name), text).expect("a source");
    let mut command = Command::new(compiler);
    command.current_dir(folder);
    if compiler == "go" {
        command.arg("build").env("CGO_ENABLED", "0");
        command.env("GO111MODULE", "off");
    }
    let output = command.args(arguments).args(["-o", "app", name]).output().ok()?;
    assert!(
        output.status.success(),
        "{compiler} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(std::fs::read(folder.join("app")).expect("a program"))
}
