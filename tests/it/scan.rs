//! `karat db` and `karat scan`: known vulnerabilities, without a network.

use crate::registry::run;
use crate::support::registry::{Registry, Ways};
use crate::support::{Project, digest_of, recipe_on};
use serde_json::{Value, json};
use std::io::{Cursor, Write as _};
use zip::write::{SimpleFileOptions, ZipWriter};

/// Writes a dump as OSV gives it out.
fn dump(project: &Project, ecosystem: &str, members: &[(&str, String)]) {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in members {
        writer.start_file(*name, SimpleFileOptions::default()).expect("a member");
        writer.write_all(text.as_bytes()).expect("a member");
    }
    let bytes = writer.finish().expect("a zip file").into_inner();
    project.write(&format!("dumps/{ecosystem}/all.zip"), bytes);
}

pub(crate) fn advisory(id: &str, package: &str, fixed: &str, severity: &str) -> (String, String) {
    let text = json!({"id": id, "modified": "2026-08-01T00:00:00Z", "summary": "It breaks",
        "aliases": [format!("CVE-{id}")],
        "affected": [{"package": {"ecosystem": "Debian:13", "name": package},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}],
            "ecosystem_specific": {"urgency": severity}}]});
    (format!("{id}.json"), text.to_string())
}

/// Makes a database of advisories of one ecosystem, and returns its name.
pub(crate) fn database(
    project: &Project,
    ecosystem: &str,
    advisories: &[(String, String)],
) -> &'static str {
    let members: Vec<(&str, String)> =
        advisories.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
    dump(project, ecosystem, &members);
    project.done("db import dumps --output advisories.db");
    "advisories.db"
}

/// A project with an image of Debian packages, `oci:one`, and a database, `advisories.db`.
fn project(advisories: &[(String, String)]) -> Project {
    let project = Project::small();
    project.write("one.karat.toml", recipe_on("static-debian13", "", "one", "app"));
    project.done("build one.karat.toml --output oci:one");
    database(&project, "Debian", advisories);
    project
}

fn ids(scan: &Value) -> Vec<(&str, &str)> {
    let found = scan["vulnerabilities"].as_array().expect("vulnerabilities").iter();
    found
        .map(|one| {
            (one["ids"][0].as_str().expect("an id"), one["state"].as_str().expect("a state"))
        })
        .collect()
}

#[test]
fn vulnerable_packages_of_an_image_reject_it() {
    let project = project(&[
        advisory("D-1", "base-files", "9999", "high"),
        advisory("D-2", "base-files", "0", "high"),
        advisory("D-3", "openssl", "9999", "high"),
    ]);
    let scan = project.run("scan oci:one --db advisories.db --format json").exits(1).json();
    assert_eq!(ids(&scan), [("CVE-D-1", "open")]);
    assert_eq!((&scan["verdict"], &scan["schema"]), (&"rejected".into(), &"karat.scan/v1".into()));
    let found = &scan["vulnerabilities"][0];
    assert_eq!((&found["fixed"], &found["severity"]), (&"9999".into(), &"high".into()));
    assert_eq!(scan["database"]["digest"], digest_of(&project.read("advisories.db")));
    // The same bytes again.
    let again = project.run("scan oci:one --db advisories.db --format json").exits(1).json();
    assert_eq!(scan, again);
    let text = project.run("scan oci:one --db advisories.db").exits(1);
    assert!(text.stdout.contains("CVE-D-1  base-files") && text.stdout.contains("fixed in 9999"));
}

#[test]
fn what_is_not_bad_does_not_reject_and_what_nobody_rated_does() {
    for (severity, code) in [("low", 0), ("medium", 0), ("high", 1), ("not yet assigned", 1)] {
        let project = project(&[advisory("D-1", "base-files", "9999", severity)]);
        project.run("scan oci:one --db advisories.db").exits(code);
    }
}

#[test]
fn without_a_database_nothing_is_called_clean() {
    let project = project(&[advisory("D-1", "base-files", "9999", "high")]);
    project.run("scan oci:one").exits(2).says(&["NOT SCANNED", "karat db import", "--db"]);
    project.run("scan oci:one --db nowhere.db").exits(2).says(&["nowhere.db"]);
    project.write("other.db", "PK");
    project.run("scan oci:one --db other.db").exits(2).says(&["no database", "karat db import"]);
    let mut newer = project.read("advisories.db");
    newer[16] = 9;
    project.write("newer.db", newer);
    project.run("scan oci:one --db newer.db").exits(2).says(&["format 9", "use a karat as new"]);
    let cut = project.read("advisories.db");
    project.write("cut.db", &cut[..cut.len() / 3]);
    project.run("scan oci:one --db cut.db").exits(2).says(&["damaged"]);
}

#[test]
fn broken_records_are_named_and_the_rest_is_used() {
    let project = Project::small();
    let (name, good) = advisory("D-1", "base-files", "9999", "high");
    dump(
        &project,
        "Debian",
        &[(&name, good.clone()), ("broken.json", "{".to_owned()), ("../../etc/x.json", good)],
    );
    let done = project.done("db import dumps --output a.db");
    assert!(
        done.stderr.contains("broken.json") && done.stderr.contains("2 broken"),
        "{}",
        done.stderr
    );
    assert_eq!(done.stdout.trim(), digest_of(&project.read("a.db")));
    let info = project.done("db info a.db --format json").json();
    assert_eq!(info["contents"]["records"], 1);
    assert_eq!(info["contents"]["sources"][0]["broken"].as_array().map(Vec::len), Some(2));
    project.done("db info a.db");
    // Made again, it is the same; and nothing half-made is left beside it.
    project.done("db import dumps --output b.db");
    assert_eq!(project.read("a.db"), project.read("b.db"));
    project.write("empty/Go/notes.txt", "x");
    project.run("db import empty --output c.db").exits(2).says(&["no dump", "all.zip"]);
    project.write("empty/Go/all.zip", "no zip");
    project.run("db import empty --output c.db").exits(2).says(&["no zip file"]);
    assert!(!project.path("c.db").exists());
}

#[test]
fn statements_suppress_and_one_document_says_it_all() {
    let project = project(&[advisory("D-1", "base-files", "9999", "high")]);
    let open = project.run("scan oci:one --db advisories.db --as openvex").exits(1).json();
    assert_eq!(open["statements"][0]["status"], "affected");
    let part = &open["statements"][0]["products"][0]["subcomponents"][0]["@id"];
    assert!(part.as_str().expect("a purl").starts_with("pkg:deb/debian/base-files@"), "{part}");
    let statement = json!({"@context": "https://openvex.dev/ns/v0.2.0", "@id": "x", "author": "a",
        "timestamp": "2026-01-01T00:00:00Z", "version": 1, "statements": [{
            "vulnerability": {"name": "D-1"}, "products": [{"@id": part}],
            "status": "not_affected", "justification": "inline_mitigations_already_exist"}]});
    project.write("vex.json", statement.to_string());
    let scan = project.done("scan oci:one --db advisories.db --vex vex.json --format json").json();
    assert_eq!(ids(&scan), [("CVE-D-1", "suppressed")]);
    assert!(scan["vulnerabilities"][0]["why"].as_str().expect("why").contains("vex.json"));
    let shown = project.done("scan oci:one --db advisories.db --vex vex.json --all");
    assert!(shown.stdout.contains("suppressed CVE-D-1"), "{}", shown.stdout);
    project.write("vex.json", "{}");
    project.run("scan oci:one --db advisories.db --vex vex.json").exits(2).says(&["OpenVEX"]);
}

#[test]
fn databases_are_kept_in_registries_signed_and_by_digest() {
    for referrers in [true, false] {
        let registry = Registry::start(Ways { referrers, ..Ways::default() });
        let project = Project::new().with_keys();
        database(&project, "Debian", &[advisory("D-1", "base-files", "9999", "high")]);
        let place = format!("docker://{}/advisories/all", registry.host());
        let pushed =
            project.signed(&format!("db push advisories.db {place}:today --sign cosign.key"));
        let reference = pushed.exits(0).stdout.trim().to_owned();
        let fetch = format!("db fetch docker://{reference} --output got.db --key cosign.pub");
        let got = run(&project, &fetch).exits(0);
        assert_eq!(got.stdout.trim(), digest_of(&project.read("advisories.db")));
        assert_eq!(project.read("got.db"), project.read("advisories.db"));
        project.done("db info got.db");
        project.is_tidy();
    }
}

#[test]
fn a_database_that_is_not_the_one_that_it_should_be_is_not_fetched() {
    let registry = Registry::start(Ways { referrers: true, ..Ways::default() });
    let project = Project::small().with_keys();
    database(&project, "Debian", &[advisory("D-1", "base-files", "9999", "high")]);
    let place = format!("docker://{}/advisories/all", registry.host());
    let push = format!("db push advisories.db {place}:today");
    let reference = run(&project, &push).exits(0).stdout.trim().to_owned();
    let fetch = format!("db fetch docker://{reference} --output got.db");
    // Nobody has signed it, nothing says who must have, nothing pins it.
    run(&project, &format!("{fetch} --key cosign.pub"))
        .exits(1)
        .says(&["not signed", "nothing was written"]);
    run(&project, &fetch).exits(2).says(&["who must have signed", "[advisories] database"]);
    run(&project, &format!("db fetch {place}:today --output got.db --key cosign.pub"))
        .exits(2)
        .says(&["by a tag"]);
    run(&project, &format!("db fetch docker://{reference} --key cosign.pub"))
        .exits(2)
        .says(&["--output"]);
    // The policy pins it: its digest is enough, whatever leads to it.
    let pin = |digest: &str| {
        let text = format!("[policy]\nname = \"golden\"\n[advisories]\ndatabase = \"{digest}\"\n");
        project.write("karat-policy.toml", text);
    };
    let digest = digest_of(&project.read("advisories.db"));
    pin(&digest);
    run(&project, &format!("db fetch {place}:today --output got.db")).exits(0);
    pin(&digest_of(b"another"));
    run(&project, &fetch).exits(1).says(&["the policy demands"]);
    pin(&digest);
    // What is there already stays when what comes is wrong.
    let before = project.read("got.db");
    registry.change("advisories/all", |held| {
        let bytes = held.blobs.get_mut(&digest).expect("the database");
        bytes[100] ^= 1;
    });
    run(&project, &fetch).exits(1);
    assert_eq!(project.read("got.db"), before);
    // An image is no database.
    project.write("one.karat.toml", recipe_on("scratch", "", "one", "app"));
    project.done("build one.karat.toml --output oci:one");
    let image = run(&project, &format!("push oci:one {place}:image")).exits(0).stdout;
    run(&project, &format!("db fetch docker://{} --output got.db", image.trim()))
        .exits(1)
        .says(&["no database of advisories"]);
    let gone = format!("{}/x@{digest}", Registry::start(Ways::default()).host());
    run(&project, &format!("db fetch docker://{gone} --output got.db")).exits(3);
    project.write("bad.db", "PK");
    run(&project, &format!("db push bad.db {place}:bad")).exits(2).says(&["no database"]);
    project.is_tidy();
}
