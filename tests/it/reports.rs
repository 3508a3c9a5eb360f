//! Reports in the formats of other programs.

use crate::support::elf::SCRIPT;
use crate::support::{Project, recipe};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

const DATA: &str = "\n[[file]]\nsource = \"data\"\npath = \"/data\"\n";

/// A project with a waived script, one that is not waived, and a hostile name.
fn project() -> Project {
    let project = Project::small();
    project.write("data/one.sh", SCRIPT);
    project.write("data/two <&\">.sh", "#!/bin/sh\necho other\n");
    let waiver = "[[waiver]]\nid = \"wv-1\"\nrule = \"script\"\npath = \"/data/one.sh\"\nreason = \"r\"\nowner = \"o\"\nticket = \"t\"\ncreated = \"2026-01-01\"\nexpires = \"2026-01-31\"\n";
    let today = crate::support::day(0);
    let waiver =
        waiver.replace("2026-01-01", &today).replace("2026-01-31", &crate::support::day(30));
    project.write("app.karat.toml", recipe("app", "app") + DATA + &waiver);
    project
}

/// Checks a log against the schema of SARIF 2.1.0 and returns its results.
fn results(log: &Value) -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data/sarif-2.1.0.schema.json");
    let mut schema: Value =
        serde_json::from_slice(&std::fs::read(file).expect("the schema")).expect("JSON");
    // A stray `]` makes this pattern invalid where `u` is set, as JSON Schema wants it; karat
    // writes no language.
    for definition in ["run", "toolComponent"] {
        let language =
            schema.pointer_mut(&format!("/definitions/{definition}/properties/language"));
        language.and_then(Value::as_object_mut).expect("the key").remove("pattern");
    }
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let faults: Vec<_> = validator.iter_errors(log).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    log["runs"][0]["results"].as_array().expect("results").clone()
}

#[test]
fn sarif_is_valid_and_every_result_has_a_file() {
    let project = project();
    let log = project.run("build --format sarif").exits(1).json();
    let results = results(&log);
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().expect("rules");
    for result in &results {
        let place = result["ruleIndex"].as_u64().expect("a place") as usize;
        assert_eq!(rules[place]["id"], result["ruleId"]);
        let physical = &result["locations"][0]["physicalLocation"];
        let uri = physical["artifactLocation"]["uri"].as_str().expect("a file");
        assert!(!uri.is_empty() && !uri.starts_with('/'), "{uri}");
        assert_eq!(physical["region"]["startLine"], 1);
    }
    let uris = |rule: &str| -> BTreeSet<String> {
        let of_rule = results.iter().filter(|one| one["ruleId"] == rule);
        of_rule
            .map(|one| {
                let location = &one["locations"][0]["physicalLocation"]["artifactLocation"];
                location["uri"].as_str().expect("a file").to_owned()
            })
            .collect()
    };
    assert_eq!(
        uris("script"),
        BTreeSet::from(["data/one.sh".into(), "data/two%20%3C%26%22%3E.sh".into()])
    );
    assert_eq!(uris("not-scanned"), BTreeSet::from(["app.karat.toml".into()]));
    let waived: Vec<_> = results.iter().filter(|one| one.get("suppressions").is_some()).collect();
    assert_eq!(waived.len(), 1);
    assert_eq!(waived[0]["suppressions"][0]["justification"], "wv-1");
}

#[test]
fn sarif_of_the_same_finding_has_the_same_fingerprint_in_another_build() {
    let project = project();
    let prints = || -> BTreeSet<String> {
        let results = results(&project.run("build --format sarif").exits(1).json());
        let of_scripts = results.iter().filter(|one| one["ruleId"] == "script");
        of_scripts.map(|one| one["partialFingerprints"]["karat/v1"].to_string()).collect()
    };
    let first = prints();
    assert_eq!(first.len(), 2, "two findings are two alerts");
    project.write("app", crate::support::elf::Elf::with("another build").build());
    assert_eq!(prints(), first);
}

#[test]
fn sarif_of_several_platforms_and_inputs_is_one_log() {
    let project = Project::small();
    project.done("build");
    let log = project.run("inspect oci:dist/app/image app --format sarif").exits(0).json();
    assert!(results(&log).iter().any(|one| {
        one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "oci%3Adist/app/image"
    }));
    assert_eq!(log["runs"].as_array().map(Vec::len), Some(1));
}

#[test]
fn junit_is_xml_with_a_case_a_rule_and_one_for_the_verdict() {
    let project = project();
    let output = project.run("build --format junit").exits(1);
    let document = roxmltree::Document::parse(&output.stdout).expect("XML");
    let suite =
        document.descendants().find(|node| node.has_tag_name("testsuite")).expect("a suite");
    let cases: Vec<_> = suite.children().filter(|node| node.has_tag_name("testcase")).collect();
    assert_eq!(suite.attribute("tests"), Some(cases.len().to_string().as_str()));
    let case = |name: &str| {
        *cases.iter().find(|case| case.attribute("name") == Some(name)).expect("the case")
    };
    let failed = |name: &str| case(name).children().any(|node| node.has_tag_name("failure"));
    assert!(failed("verdict") && failed("script"));
    assert!(!failed("not-scanned"), "a medium finding fails nothing");
    let text: String = case("script").descendants().filter_map(|node| node.text()).collect();
    assert!(text.contains("/data/two <&\">.sh"), "{text}");
    let failures = cases.iter().filter(|one| one.children().any(|n| n.has_tag_name("failure")));
    assert_eq!(suite.attribute("failures"), Some(failures.count().to_string().as_str()));

    std::fs::remove_file(project.path("data/two <&\">.sh")).expect("a file");
    let output = project.done("build --format junit");
    let document = roxmltree::Document::parse(&output.stdout).expect("XML");
    assert!(!document.descendants().any(|node| node.has_tag_name("failure")), "{}", output.stdout);
    let skipped = document.descendants().find(|node| node.has_tag_name("skipped"));
    assert_eq!(skipped.expect("waived").attribute("message"), Some("waived by wv-1"));
}

#[test]
fn html_and_other_formats_are_for_reports_alone() {
    let project = project();
    project.run("build --format html").exits(1).prints(&["<!doctype html>", "two &lt;&amp;"]);
    for line in ["check", "key public --key x", "explain", "policy show", "schema recipe"] {
        for format in ["sarif", "junit", "html"] {
            let output = project.run(&format!("{line} --format {format}")).exits(2);
            output.says(&["`build` and `inspect`"]);
        }
    }
}
