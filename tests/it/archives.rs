//! Layers and documents that readers understand differently: one table with the verdict and
//! the rules of each, through the command that users type. Nothing else may be found.

use crate::support::archive_cases::{Case, Layer, TAR, cases};
use crate::support::elf::Elf;
use crate::support::raw_tar::{END, Header, file};
use crate::support::{Project, digest_of, rules, sha256};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The cases of the table, so that none can get lost.
const CASES: usize = 165;

/// What is found in every image that was read.
const ALWAYS: [&str; 1] = ["not-scanned"];

fn config(layers: &[Layer]) -> Value {
    let diff_ids: Vec<_> = layers.iter().map(|layer| digest_of(&layer.tar)).collect();
    json!({ "architecture": "amd64", "os": "linux",
        "config": { "User": "65532:65532", "Entrypoint": ["/usr/bin/app"], "WorkingDir": "/" },
        "rootfs": { "type": "layers", "diff_ids": diff_ids } })
}

/// Writes an image of stored layers as a layout.
fn write(project: &Project, at: &str, layers: &[Layer], config: &[u8]) {
    let blob = |bytes: &[u8], media_type: &str| {
        project.write(&format!("{at}/blobs/sha256/{}", sha256(bytes)), bytes);
        json!({ "mediaType": media_type, "digest": digest_of(bytes), "size": bytes.len() })
    };
    let layers: Vec<_> = layers.iter().map(|layer| blob(&layer.blob, layer.media_type)).collect();
    let config = blob(config, "application/vnd.oci.image.config.v1+json");
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({ "schemaVersion": 2, "mediaType": media_type, "config": config,
        "layers": layers });
    let manifest = blob(manifest.to_string().as_bytes(), media_type);
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    project.write(&format!("{at}/index.json"), index.to_string());
    project.write(&format!("{at}/oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
}

/// What a case that went wrong has to say.
fn wrong(case: &Case, report: &Value) -> Option<String> {
    let mut found: BTreeSet<String> = rules(report).into_iter().collect();
    found.retain(|rule| !ALWAYS.contains(&rule.as_str()));
    let expected: BTreeSet<_> = case.rules.iter().map(|rule| (*rule).to_owned()).collect();
    let verdict = if case.rules.is_empty() { "accepted" } else { "rejected" };
    let findings = report["findings"].as_array().cloned().unwrap_or_default();
    let first =
        findings.iter().find(|one| case.rules.contains(&one["rule"].as_str().unwrap_or("")));
    let path = first.and_then(|first| first["path"].as_str());
    let right = found == expected
        && report["verdict"] == verdict
        && case.path.is_none_or(|expected| path == Some(expected));
    (!right).then(|| {
        format!(
            "{} {}: {} {found:?} at {path:?} in place of {expected:?} at {:?}\n{findings:#?}",
            case.number, case.name, report["verdict"], case.path
        )
    })
}

#[test]
fn every_case_is_judged_by_its_own_rule_and_no_other() {
    let project = Project::new();
    let cases = cases(&Elf::default().build());
    let mut wrongs = Vec::new();
    for case in &cases {
        let start = Instant::now();
        write(&project, "image", &case.layers, config(&case.layers).to_string().as_bytes());
        let output = project.run("inspect oci:image --format json");
        std::fs::remove_dir_all(project.path("image")).expect("a folder");
        let code = i32::from(!case.rules.is_empty());
        if output.code != code {
            wrongs.push(format!("{} {}: exit code {}", case.number, case.name, output.code));
        }
        wrongs.extend(wrong(case, &output.json()));
        let spent = start.elapsed();
        assert!(spent < Duration::from_secs(20), "{}: {spent:?}", case.name);
    }
    assert!(wrongs.is_empty(), "{} are wrong\n{}", wrongs.len(), wrongs.join("\n"));
    let numbers: BTreeSet<_> = cases.iter().map(|case| case.number).collect();
    let expected = (63..=93).chain([104, 107]);
    assert_eq!(numbers, expected.collect(), "a number of the corpus has no case");
    assert_eq!(cases.len(), CASES);
}

#[test]
fn refusal_says_layer_entry_and_what_readers_see() {
    let project = Project::new();
    let good = [file(b"opt/good", b"x"), END.to_vec()].concat();
    let bad =
        [file(b"opt/a\x1b[2J\nb", b"1"), file(b"opt/a\x1b[2J\nb", b"2"), END.to_vec()].concat();
    let layers = [good, bad.clone()].map(|tar| Layer { blob: tar.clone(), media_type: TAR, tar });
    write(&project, "image", &layers, config(&layers).to_string().as_bytes());
    let report = project.run("inspect oci:image --format json").exits(1).json();
    let findings = report["findings"].as_array().expect("findings");
    let [only] = &findings[..] else { panic!("{findings:#?}") };
    assert_eq!(only["rule"], "tar-duplicate-path");
    assert_eq!(only["severity"], "critical");
    assert_eq!(only["path"], "/opt/a\\x1b[2J\\nb");
    let message = only["message"].as_str().expect("a message");
    assert!(message.contains("layer 2 of 2"), "{message}");
    assert!(message.contains(&digest_of(&bad)), "{message}");
    assert!(message.contains("byte 1024"), "{message}");
    assert!(only["evidence"].to_string().contains("keep the last"), "{only}");
    let text = project.run("inspect oci:image").exits(1);
    assert!(!text.stdout.contains('\x1b'), "{}", text.stdout);
    assert!(!text.stdout.contains("\nb"), "{}", text.stdout);
}

/// Case 98, and its siblings: documents that say something else than the layers.
#[test]
fn configuration_that_does_not_fit_its_layers_is_refused() {
    let project = Project::new();
    let tar = [file(b"opt/a", b"x"), END.to_vec()].concat();
    let layer = Layer { blob: tar.clone(), media_type: TAR, tar };
    let one = std::slice::from_ref(&layer);
    let mut other = config(one);
    other["rootfs"]["diff_ids"][0] = digest_of(b"another").into();
    let mut more = config(one);
    more["rootfs"]["diff_ids"] = json!([digest_of(&layer.tar), digest_of(b"another")]);
    for (config, rule) in [(other, "diff-id-mismatch"), (more, "config-layer-count")] {
        write(&project, "image", one, config.to_string().as_bytes());
        let report = project.run("inspect oci:image --format json").exits(1).json();
        assert_eq!(rules(&report), [rule]);
        std::fs::remove_dir_all(project.path("image")).expect("a folder");
    }
}

/// Case 105.
#[test]
fn configuration_that_is_too_much_or_ambiguous_is_refused() {
    let project = Project::new();
    let tar = [file(b"opt/a", b"x"), END.to_vec()].concat();
    let layer = Layer { blob: tar.clone(), media_type: TAR, tar };
    let one = std::slice::from_ref(&layer);
    let right = config(one).to_string();
    let rest = &right[1..];
    let cases = [
        ("20 MiB", format!("{{\"x\":\"{}\",{rest}", "x".repeat(20 << 20))),
        ("nested", format!("{{\"x\":{}{},{rest}", "[".repeat(10_000), "]".repeat(10_000))),
        ("twice", format!("{{\"config\":{{\"User\":\"0\"}},{rest}")),
        ("twice inside", right.replacen("\"User\"", "\"User\":\"0\",\"User\"", 1)),
        ("a mark", format!("\u{feff}{right}")),
        ("two documents", format!("{right}{right}")),
        (
            "in UTF-16",
            right.encode_utf16().map(|unit| format!("{}\0", unit as u8 as char)).collect(),
        ),
    ];
    assert_eq!(cases.len(), 7);
    for (name, config) in cases {
        write(&project, "image", one, config.as_bytes());
        let report = project.run("inspect oci:image --format json").exits(1).json();
        assert_eq!(rules(&report), ["could-not-inspect"], "{name}");
        std::fs::remove_dir_all(project.path("image")).expect("a folder");
    }
}

/// Case 106.
#[test]
fn entries_without_number_are_refused_in_bounded_time() {
    let project = Project::new();
    let entries = |from: usize, count: usize| {
        let mut tar = Vec::with_capacity((count + 2) * 512);
        for number in from..from + count {
            let name = format!("d/{number}");
            tar.extend(Header::new(b'0', name.as_bytes(), 0).done());
        }
        tar.extend(END);
        Layer { blob: tar.clone(), media_type: TAR, tar }
    };
    for (name, layers) in [
        ("in one layer", vec![entries(0, 500_001)]),
        ("in two layers", vec![entries(0, 400_000), entries(400_000, 100_001)]),
    ] {
        write(&project, "image", &layers, config(&layers).to_string().as_bytes());
        let start = Instant::now();
        let report = project.run("inspect oci:image --format json").exits(1).json();
        assert_eq!(rules(&report), ["could-not-inspect"], "{name}");
        assert!(report.to_string().contains("500000"), "{name}: {report}");
        assert!(start.elapsed() < Duration::from_secs(300), "{name}: {:?}", start.elapsed());
        std::fs::remove_dir_all(project.path("image")).expect("a folder");
    }
}

/// Names that try to write over the report, in every format that a report has.
#[test]
fn names_cannot_forge_a_report_in_any_format() {
    /// What a name may try: escapes of a terminal in seven and eight bits, line breaks of every
    /// kind, text from right to left, tags, entities, the end of a CDATA section, workflow
    /// commands of CI services, quotes of JSON, bytes that are no text.
    const NAMES: [&[u8]; 12] = [
        b"a\x1b[2J\x1b]0;owned\x07",
        "a\u{9b}2J\u{85}b\u{2028}c\u{2029}d".as_bytes(),
        b"a\rverdict: accepted\n\nverdict: accepted",
        "a\u{202e}txt.exe\u{2066}\u{200f}".as_bytes(),
        b"</td><script>alert(1)</script>",
        b"]]><testcase name=\"forged\"/>",
        b"&lt;img src=x onerror=alert(1)&gt;",
        b"::error file=x::forged",
        b"##[error]forged\n::set-output name=x::y",
        b"\",\"verdict\":\"accepted\",\"x\":\"",
        b"\xff\xfe\x80\xc0\xaf",
        b"a\x7f\x08\x08\x00b",
    ];
    let project = Project::new();
    let path = |name: &[u8]| -> Vec<u8> {
        let name = name.iter().map(|byte| if *byte == b'/' { b'|' } else { *byte });
        b"opt/".iter().copied().chain(name.filter(|byte| *byte != 0)).collect()
    };
    // Each is found for what it is, and once more in a refusal of the whole layer.
    let files: Vec<u8> = NAMES.iter().flat_map(|name| file(&path(name), b"#!/bin/sh\n")).collect();
    let good = [&files[..], &END].concat();
    let bad = [&files[..], &file(&path(NAMES[2]), b"x"), &END].concat();
    for tar in [good, bad] {
        let layer = [Layer { blob: tar.clone(), media_type: TAR, tar }];
        write(&project, "image", &layer, config(&layer).to_string().as_bytes());
        for format in ["text", "json", "sarif", "junit", "html"] {
            let output = project.run(&format!("inspect oci:image --format {format}")).exits(1);
            for text in [&output.stdout, &output.stderr] {
                let seen = text.chars().find(|c| match c {
                    '\n' => false,
                    '\u{80}'..='\u{9f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => true,
                    '\u{2066}'..='\u{2069}' | '\u{feff}' => true,
                    c => c.is_ascii_control(),
                });
                assert_eq!(seen, None, "{format}");
                let forged =
                    ["verdict: accepted", "::error", "::set-output", "##[error]", "accepted"];
                let line = text
                    .lines()
                    .find(|line| forged.iter().any(|start| line.trim_start().starts_with(start)));
                assert_eq!(line, None, "{format}");
            }
            match format {
                "json" => assert_eq!(output.json()["verdict"], "rejected"),
                "sarif" => assert_eq!(output.json()["version"], "2.1.0"),
                "junit" => {
                    let document = roxmltree::Document::parse(&output.stdout).expect("XML");
                    let forged = |node: &roxmltree::Node<'_, '_>| {
                        node.attribute("name").is_some_and(|name| name == "forged")
                    };
                    assert_eq!(document.descendants().filter(forged).count(), 0);
                }
                "html" => {
                    let lower = output.stdout.to_lowercase();
                    assert!(!lower.contains("<script>alert") && !lower.contains("<img"), "{lower}");
                }
                _ => {}
            }
        }
        std::fs::remove_dir_all(project.path("image")).expect("a folder");
    }
}
