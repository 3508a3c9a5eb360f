//! `karat verify --db`: known vulnerabilities by the signed bills of materials.

use crate::scan::{advisory, database};
use crate::support::{Output, Project, copy_folder, day, digest_of, recipe_on};
use serde_json::{Value, json};
use std::sync::OnceLock;

/// A signed image on a base of Debian packages, `oci:deb`, and one that nobody has signed,
/// `oci:plain`.
fn image() -> &'static Project {
    static IMAGE: OnceLock<Project> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let project = Project::small().with_keys();
        project.write("deb.karat.toml", recipe_on("static-debian13", "", "deb", "app"));
        project.signed("build deb.karat.toml --sign cosign.key --output oci:deb").exits(0);
        project.done("build deb.karat.toml --output oci:plain");
        project
    })
}

fn project(severity: &str) -> Project {
    let project = Project::new().with_keys();
    for name in ["deb", "plain"] {
        copy_folder(&image().path(name), &project.path(name));
    }
    database(&project, "Debian", &[advisory("D-1", "base-files", "9999", severity)]);
    project
}

fn verify(project: &Project, further: &str) -> Output {
    project.run(&format!("verify oci:deb --key cosign.pub --format json {further}"))
}

fn only(document: &Value) -> &Value {
    let images = document["vulnerabilities"]["images"].as_array().expect("images");
    assert_eq!(images.len(), 1, "{document:#}");
    &images[0]
}

#[test]
fn what_is_signed_to_be_in_it_is_judged_as_a_build_judges() {
    let project = project("high");
    let document = verify(&project, "--db advisories.db").exits(1).json();
    assert_eq!(document["verdict"], "rejected");
    assert_eq!(document["vulnerabilities"]["database"], digest_of(&project.read("advisories.db")));
    let one = only(&document);
    assert_eq!((&one["rejected"], &one["platform"]), (&json!(true), &json!("linux/amd64")));
    let found = &one["vulnerabilities"][0];
    assert_eq!((&found["ids"], &found["state"]), (&json!(["CVE-D-1", "D-1"]), &json!("open")));
    let inspected = project.run("inspect oci:deb --db advisories.db --format json").exits(1).json();
    for key in ["ids", "package", "severity", "fixed", "state", "rejects"] {
        assert_eq!(found[key], inspected["vulnerabilities"][0][key], "{key}");
    }
    let text = project.run("verify oci:deb --key cosign.pub --db advisories.db").exits(1);
    text.prints(&["rejected", "database", "CVE-D-1 in base-files", "fixed in 9999"]);
    // The signatures are as they were: without a database nothing of it is judged.
    let without = verify(&project, "").exits(0).json();
    assert!(without.get("vulnerabilities").is_none());
    // Nothing is found in what is not as bad as the policy says.
    let low = crate::vouched::project("low");
    let document = verify(&low, "--db advisories.db").exits(0).json();
    assert_eq!(
        (&document["verdict"], &only(&document)["rejected"]),
        (&json!("accepted"), &json!(false))
    );
}

#[test]
fn waivers_statements_and_reports_count_as_in_a_build() {
    let project = project("high");
    let found = verify(&project, "--db advisories.db").exits(1).json();
    let purl = only(&found)["vulnerabilities"][0]["package"]["purl"].clone();
    let statement = json!({"@context": "https://openvex.dev/ns/v0.2.0", "@id": "x", "author": "a",
        "timestamp": "2026-01-01T00:00:00Z", "version": 1, "statements": [{
            "vulnerability": {"name": "D-1"}, "products": [{"@id": purl}],
            "status": "not_affected", "justification": "inline_mitigations_already_exist"}]});
    project.write("ours.json", statement.to_string());
    let document = verify(&project, "--db advisories.db --vex ours.json").exits(0).json();
    assert_eq!(only(&document)["vulnerabilities"][0]["state"], "suppressed");
    let text = project.done("verify oci:deb --key cosign.pub --db advisories.db --vex ours.json");
    text.prints(&["suppressed CVE-D-1", "ours.json"]);
    let waiver = format!(
        "[[waiver]]\nid = \"wv-1\"\nrule = \"vulnerability\"\nvulnerability = \"CVE-D-1\"\npackage = {purl}\n\
         reason = \"r\"\nowner = \"o\"\nticket = \"T-1\"\ncreated = \"{}\"\nexpires = \"{}\"\n",
        day(-1),
        day(40)
    );
    project.write("waivers/one.toml", waiver);
    let document = verify(&project, "--db advisories.db").exits(0).json();
    assert_eq!(only(&document)["vulnerabilities"][0]["state"], "waived");
    // A report adds to it, and is one about this image.
    let layout = project.layout("deb");
    let config = layout.document(&layout.image(None))["config"]["digest"].clone();
    let trivy = |id: &Value| {
        json!({"SchemaVersion": 2, "ArtifactType": "container_image", "Metadata": {"ImageID": id},
            "Results": [{"Target": "x", "Class": "os-pkgs", "Vulnerabilities": [{
                "VulnerabilityID": "CVE-2026-7", "PkgName": "base-files", "InstalledVersion": "1",
                "PkgIdentifier": {"PURL": purl}, "Severity": "CRITICAL"}]}]})
    };
    project.write("trivy.json", trivy(&config).to_string());
    for further in ["--db advisories.db --scanner-report trivy.json", "--scanner-report trivy.json"]
    {
        let document = verify(&project, further).exits(1).json();
        let one = only(&document);
        assert_eq!(one["vulnerabilities"][0]["ids"], json!(["CVE-2026-7"]));
        assert_eq!(one["scanner-reports"][0]["scanner"], "Trivy");
    }
    project.write("trivy.json", trivy(&json!(digest_of(b"another"))).to_string());
    verify(&project, "--scanner-report trivy.json").exits(2);
    project.write("file", "x");
    project
        .run("verify file --bundle b --key cosign.pub --scanner-report trivy.json")
        .exits(2)
        .says(&["--bundle"]);
}

#[test]
fn what_nobody_has_signed_is_never_taken_for_clean() {
    let project = project("low");
    let line = "verify oci:plain --key cosign.pub --require signature --db advisories.db";
    let text = project.run(line).exits(1);
    text.prints(&["NOT JUDGED no signed bill of materials"]);
    let document = project.run(&format!("{line} --format json")).exits(1).json();
    assert_eq!(
        (&only(&document)["error"], &only(&document)["rejected"]),
        (&json!("no signed bill of materials"), &json!(true))
    );
}

#[test]
fn the_policy_pins_the_database() {
    let project = project("low");
    let pin = |digest: &str| {
        let text = format!("[policy]\nname = \"golden\"\n[advisories]\ndatabase = \"{digest}\"\n");
        project.write("karat-policy.toml", text);
    };
    pin(&digest_of(&project.read("advisories.db")));
    verify(&project, "--db advisories.db").exits(0);
    pin(&digest_of(b"another"));
    verify(&project, "--db advisories.db").exits(2);
}
