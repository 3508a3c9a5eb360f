//! What the Go command writes about the commit that a program was built from.

use crate::project::{Project, json};
use crate::support::{Outcome, command, program, succeed};
use std::collections::BTreeSet;

pub(crate) fn a_go_program_of_another_commit_or_of_changed_sources_is_told() -> Outcome {
    let (go, git) = (program("go")?, program("git")?);
    let project = Project::new();
    project.write("go.mod", "module example.test/interop/source\n\ngo 1.21\n");
    project.write("main.go", "package main\n\nfunc main() { println(1) }\n");
    project.write(".gitignore", "/app\n/dist\n");
    project.write(
        "app.karat.toml",
        "[image]\nname = \"app\"\nbase = \"scratch\"\nplatforms = [\"host\"]\n\n\
         [[binary]]\nsource = \"app\"\npath = \"/usr/bin/app\"\n",
    );
    let git = |line: &str| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.test"];
        let words = line.split_whitespace();
        succeed(command(&git).args(identity).args(words).current_dir(project.path("")))
    };
    let build = || {
        let mut build = command(&go);
        build.args(["build", "-buildvcs=true", "-o", "app", "."]).current_dir(project.path(""));
        succeed(build.env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=mod"));
    };
    let found = || {
        let mut karat = command(env!("CARGO_BIN_EXE_karat"));
        succeed(karat.arg("build").current_dir(project.path("")));
        let report = json(&std::fs::read(project.path("dist/app/report.json")).expect("a report"));
        let findings = report["findings"].as_array().expect("findings").clone();
        let about_source = |rule: &str| rule.starts_with("binary-");
        findings
            .iter()
            .map(|one| {
                (one["rule"].as_str().expect("a rule"), one["severity"].as_str().expect("one"))
            })
            .filter(|(rule, _)| about_source(rule))
            .map(|(rule, severity)| format!("{rule} {severity}"))
            .collect::<BTreeSet<_>>()
    };
    git("init -q");
    git("add .");
    git("commit -q -m first");
    build();
    assert_eq!(found(), BTreeSet::new(), "built from the commit that is checked out");
    project.write("main.go", "package main\n\nfunc main() { println(2) }\n");
    build();
    assert_eq!(found(), BTreeSet::from(["binary-dirty low".to_owned()]));
    git("commit -q -a -m second");
    let both = ["binary-dirty low", "binary-revision-differs low"].map(str::to_owned);
    assert_eq!(found(), BTreeSet::from(both), "the program is still the one of before");
    build();
    assert_eq!(found(), BTreeSet::new());
    Ok(())
}
