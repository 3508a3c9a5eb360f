//! What is stated of known vulnerabilities: of every platform, signed beside the image.

use crate::scan::{advisory, database};
use crate::support::elf::Elf;
use crate::support::{Project, recipe_on, rules};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const VULNS: &str = "https://in-toto.io/attestation/vulns/v0.2";
const VEX: &str = "https://openvex.dev/ns/v0.2.0";

/// A project of an image of two platforms on Debian packages, with a database.
fn project(severity: &str) -> Project {
    let project = Project::new().with_keys();
    project.write("amd64/app", Elf::default().build());
    project.write("arm64/app", Elf::arm64().build());
    let two = "platforms = [\"linux/amd64\", \"linux/arm64\"]\n";
    project.write("two.karat.toml", recipe_on("static-debian13", two, "two", "{arch}/app"));
    let known = [
        advisory("D-1", "base-files", "9999", severity),
        advisory("D-2", "netbase", "9999", "low"),
    ];
    database(&project, "Debian", &known);
    project
}

/// The predicates of a kind that are signed in a layout, by the digests that they are about.
fn stated(project: &Project, layout: &str, kind: &str) -> Vec<(String, Value)> {
    let layout = project.layout(layout);
    let mut found = Vec::new();
    for referrer in layout.referrers() {
        if referrer["annotations"]["dev.sigstore.bundle.predicateType"] != kind {
            continue;
        }
        let manifest = layout.document(&referrer);
        let bundle = layout.document(&manifest["layers"][0]);
        let payload = bundle["dsseEnvelope"]["payload"].as_str().expect("a payload");
        let statement: Value =
            serde_json::from_slice(&STANDARD.decode(payload).expect("base64")).expect("JSON");
        assert_eq!(statement["predicateType"], kind);
        let about = statement["subject"][0]["digest"]["sha256"].as_str().expect("a digest");
        assert_eq!(format!("sha256:{about}"), manifest["subject"]["digest"].as_str().expect("one"));
        found.push((format!("sha256:{about}"), statement["predicate"].clone()));
    }
    found
}

fn ids(predicate: &Value) -> Vec<&str> {
    let results = predicate["scanner"]["result"].as_array().expect("results").iter();
    results.map(|one| one["id"].as_str().expect("an id")).collect()
}

#[test]
fn every_platform_of_an_index_is_looked_up() {
    let project = project("high");
    project.done("build two.karat.toml --output oci:two");
    let scan = project.run("scan oci:two --db advisories.db --format json").exits(1).json();
    let index = project.layout("two").image(None);
    assert_eq!(
        (&scan["verdict"], &scan["subject"]["digest"]),
        (&json!("rejected"), &index["digest"])
    );
    let images = scan["images"].as_array().expect("images");
    let platforms: Vec<_> =
        images.iter().map(|one| one["platform"].as_str().expect("one")).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    for one in images {
        assert_eq!(one["vulnerabilities"].as_array().map(Vec::len), Some(2), "{one:#}");
    }
    let text = project.run("scan oci:two --db advisories.db").exits(1);
    text.prints(&["platform  linux/amd64", "platform  linux/arm64", "CVE-D-1  base-files"]);
    // One document, in which the same is said once.
    let vex = project.run("scan oci:two --db advisories.db --as openvex").exits(1).json();
    let statements = vex["statements"].as_array().expect("statements");
    assert_eq!(statements.len(), 2, "{vex:#}");
    for statement in statements {
        assert_eq!(statement["products"].as_array().map(Vec::len), Some(2), "{statement:#}");
    }
    // One of them, as before.
    let one = project.run("scan oci:two --platform linux/arm64 --db advisories.db --format json");
    let one = one.exits(1).json();
    assert!(one.get("images").is_none() && one["vulnerabilities"].as_array().is_some());
}

#[test]
fn what_the_database_lacks_is_named() {
    let project = project("low");
    project.done("build two.karat.toml --output oci:two");
    let line = "inspect oci:two --db advisories.db --format json";
    let report = project.done(line).json();
    assert!(!rules(&report["images"][0]).contains(&"not-scanned".to_owned()));
    std::fs::remove_dir_all(project.path("dumps")).expect("the dumps");
    let go = json!({"id": "GO-1", "modified": "2026-08-01T00:00:00Z",
        "affected": [{"package": {"ecosystem": "Go", "name": "example.com/x"}}]});
    database(&project, "Go", &[("GO-1.json".to_owned(), go.to_string())]);
    let report = project.done(line).json();
    for image in report["images"].as_array().expect("images") {
        let finding = image["findings"].as_array().expect("findings").iter();
        let finding = finding.clone().find(|one| one["rule"] == "not-scanned").expect("a finding");
        let message = finding["message"].as_str().expect("a message");
        assert!(message.contains("NOT SCANNED") && message.contains("Debian:13"), "{message}");
    }
    project.done("scan oci:two --db advisories.db").prints(&["NOT SCANNED", "Debian:13"]);
    let scan = project.done("scan oci:two --db advisories.db --format json").json();
    assert!(scan["images"][0]["not-scanned"]["Debian:13"].as_u64().is_some_and(|count| count > 0));
}

#[test]
fn a_signed_build_states_what_is_known() {
    let project = project("medium");
    project
        .signed("build two.karat.toml --sign cosign.key --db advisories.db --output oci:two")
        .exits(0);
    let vex = stated(&project, "two", VEX);
    let vulns = stated(&project, "two", VULNS);
    assert_eq!((vex.len(), vulns.len()), (3, 3), "of the index and of both platforms");
    for (digest, predicate) in &vulns {
        assert_eq!(ids(predicate), ["CVE-D-1", "CVE-D-2"], "{digest}");
        let scanner = &predicate["scanner"];
        assert_eq!(scanner["db"]["lastUpdate"], "2026-08-01T00:00:00Z");
        assert_eq!(
            scanner["result"][0]["severity"],
            json!([{"method": "level", "score": "medium"}])
        );
        assert!(scanner["uri"].as_str().is_some_and(|uri| uri.contains(':')));
        for time in ["scanStartedOn", "scanFinishedOn"] {
            assert!(predicate["metadata"][time].as_str().is_some_and(|time| time.ends_with('Z')));
        }
    }
    for (digest, predicate) in &vex {
        assert_eq!(
            (&predicate["@context"], predicate["statements"].as_array().map(Vec::len)),
            (&json!(VEX), Some(2))
        );
        let products = predicate["statements"][0]["products"].as_array().expect("products");
        let is_index =
            *digest == project.layout("two").image(None)["digest"].as_str().expect("one");
        assert_eq!(products.len(), if is_index { 2 } else { 1 });
    }
    // Without a database nobody says anything of it.
    project.signed("build two.karat.toml --sign cosign.key --output oci:other").exits(0);
    assert!(
        stated(&project, "other", VEX).is_empty() && stated(&project, "other", VULNS).is_empty()
    );
}

#[test]
fn what_the_build_has_suppressed_stays_so_for_whoever_verifies() {
    let project = project("high");
    let statement = json!({"@context": VEX, "@id": "x", "author": "a", "timestamp": "2026-01-01T00:00:00Z",
        "version": 1, "statements": [{"vulnerability": {"name": "CVE-D-1"},
            "products": [{"@id": "pkg:deb/debian/base-files"}],
            "status": "not_affected", "justification": "inline_mitigations_already_exist"}]});
    project.write("vex/ours.json", statement.to_string());
    project
        .signed("build two.karat.toml --sign cosign.key --db advisories.db --output oci:two")
        .exits(0);
    assert_eq!(ids(&stated(&project, "two", VULNS)[0].1), ["CVE-D-2"]);
    std::fs::remove_file(project.path("vex/ours.json")).expect("the document");
    let document =
        project.done("verify oci:two --key cosign.pub --db advisories.db --format json").json();
    for image in document["vulnerabilities"]["images"].as_array().expect("images") {
        let found = image["vulnerabilities"].as_array().expect("vulnerabilities");
        let first = found.iter().find(|one| one["ids"][0] == "CVE-D-1").expect("it shows");
        assert_eq!(first["state"], "suppressed");
        assert!(first["why"].as_str().expect("why").contains("vex/ours.json"), "{first:#}");
    }
}

#[test]
fn an_image_that_is_there_gets_statements_too() {
    let project = project("high");
    project.done("build two.karat.toml --output oci:two");
    for kind in ["openvex", "vulnerabilities"] {
        let line = format!("attest oci:two --type {kind} --db advisories.db --key cosign.key");
        project.signed(&line).exits(0);
    }
    assert_eq!((stated(&project, "two", VEX).len(), stated(&project, "two", VULNS).len()), (3, 3));
    let (_, vulns) = &stated(&project, "two", VULNS)[0];
    assert_eq!(ids(vulns), ["CVE-D-1", "CVE-D-2"]);
    let attest =
        |further: &str| project.signed(&format!("attest oci:two --key cosign.key {further}"));
    attest("--type openvex").exits(2).says(&["--db"]);
    attest("--type spdxjson --db advisories.db").exits(2).says(&["--predicate"]);
    // What karat finds out nobody else states in its place.
    project.write("made-up.json", "{}");
    attest(&format!("--type {VULNS} --predicate made-up.json")).exits(2);
}
