//! Known vulnerabilities in the gate: what a database says of an image accepts or rejects it.

use crate::scan::{advisory, database};
use crate::support::registry::{Registry, Ways};
use crate::support::{Output, Project, day, digest_of, recipe_on, rules};
use serde_json::{Value, json};

const HEAD: &str = "[policy]\nname = \"golden\"\n";

/// A project of an image on Debian packages, with one advisory about `base-files`.
fn project(severity: &str) -> Project {
    let project = Project::small();
    project.write("one.karat.toml", recipe_on("static-debian13", "", "one", "app"));
    database(&project, "Debian", &[advisory("D-1", "base-files", "9999", severity)]);
    project
}

fn build(project: &Project) -> Output {
    project.run("build one.karat.toml --db advisories.db --format json")
}

fn report(output: &Output) -> Value {
    output.json()["results"][0]["report"].clone()
}

fn finding<'a>(report: &'a Value, rule: &str) -> &'a Value {
    let all = report["findings"].as_array().expect("findings");
    all.iter().find(|one| one["rule"] == rule).unwrap_or_else(|| panic!("{rule} in {report:#}"))
}

#[test]
fn a_vulnerable_image_is_rejected_and_the_report_says_by_what() {
    let project = project("high");
    let built = build(&project).exits(1);
    let report = report(&built);
    assert_eq!(report["verdict"], "rejected");
    assert!(!rules(&report).contains(&"not-scanned".to_owned()));
    let found = finding(&report, "vulnerability");
    assert_eq!((&found["severity"], &found["status"]), (&json!("high"), &json!("open")));
    assert_eq!(found["vulnerability"]["ids"], json!(["CVE-D-1", "D-1"]));
    assert_eq!(found["vulnerability"]["fixed"], "9999");
    let purl = found["vulnerability"]["package"].as_str().expect("a package URL");
    assert!(purl.starts_with("pkg:deb/debian/base-files@"), "{purl}");
    assert_eq!(report["database"], digest_of(&project.read("advisories.db")));
    let listed = &report["vulnerabilities"][0];
    assert_eq!((&listed["state"], &listed["rejects"]), (&json!("open"), &json!(true)));
    let text = project.run("build one.karat.toml --db advisories.db").exits(1);
    text.says(&["CVE-D-1 in base-files", "fixed in 9999", "REJECTED"]);
    assert!(!project.path("dist/one/image").exists());
    // The same of an image that is there already, and of one without a database.
    project.done("build one.karat.toml --output oci:one");
    let inspected = project.run("inspect oci:one --db advisories.db --format json").exits(1).json();
    assert_eq!(finding(&inspected, "vulnerability")["vulnerability"], found["vulnerability"]);
    assert_eq!(inspected["vulnerabilities"], report["vulnerabilities"]);
    let without = project.run("inspect oci:one --format json").exits(0).json();
    assert!(rules(&without).contains(&"not-scanned".to_owned()) && without["database"].is_null());
    for (format, told) in [("sarif", "CVE-D-1"), ("junit", "CVE-D-1"), ("html", "CVE-D-1")] {
        let line = format!("inspect oci:one --db advisories.db --format {format}");
        assert!(project.run(&line).exits(1).stdout.contains(told), "{format}");
    }
}

#[test]
fn what_passes_names_the_database_in_report_and_provenance() {
    let project = project("medium");
    let report = report(&build(&project).exits(0));
    assert_eq!(finding(&report, "vulnerability")["severity"], "medium");
    assert_eq!(report["vulnerabilities"][0]["rejects"], false);
    let digest = digest_of(&project.read("advisories.db"));
    let provenance = project.json("dist/one/provenance.json");
    let inputs = provenance["buildDefinition"]["resolvedDependencies"].as_array().expect("inputs");
    let named: Vec<_> =
        inputs.iter().filter(|one| one.to_string().contains("advisories")).collect();
    assert_eq!(named.len(), 1);
    assert_eq!(format!("sha256:{}", named[0]["digest"]["sha256"].as_str().expect("hex")), digest);
    // The image itself does not change.
    let with = project.dist("one").image(None)["digest"].clone();
    project.done("build one.karat.toml");
    assert_eq!(project.dist("one").image(None)["digest"], with);
}

#[test]
fn the_policy_says_which_vulnerabilities_reject() {
    let unfixed = json!({"id": "D-2", "modified": "2026-08-01T00:00:00Z",
        "affected": [{"package": {"ecosystem": "Debian:13", "name": "base-files"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
            "ecosystem_specific": {"urgency": "high"}}]});
    let unfixed = ("D-2.json".to_owned(), unfixed.to_string());
    let fixed = |severity: &str| advisory("D-1", "base-files", "9999", severity);
    for (known, policy, code) in [
        (fixed("high"), "", 1),
        (fixed("high"), "fail-on = [\"critical\"]", 0),
        (fixed("medium"), "", 0),
        (fixed("medium"), "fail-on = [\"critical\", \"high\", \"medium\"]", 1),
        (fixed("not yet assigned"), "", 1),
        (fixed("not yet assigned"), "fail-on = [\"critical\"]", 1),
        (fixed("not yet assigned"), "unknown-severity = \"inform\"", 0),
        (unfixed.clone(), "", 1),
        (unfixed, "unfixed = \"inform\"", 0),
    ] {
        let project = project("low");
        database(&project, "Debian", &[known]);
        let text = format!("{HEAD}[gate]\nvulnerabilities = {{ {policy} }}\n");
        project.write("karat-policy.toml", if policy.is_empty() { HEAD } else { &text });
        let report = report(&build(&project).exits(code));
        finding(&report, "vulnerability");
        // `scan` judges by the same policy.
        project.done("build one.karat.toml --output oci:one");
        project.run("scan oci:one --db advisories.db").exits(code);
    }
}

#[test]
fn a_waiver_names_vulnerability_and_package() {
    let waiver = |vulnerability: &str, package: &str| {
        format!(
            "[[waiver]]\nid = \"wv-1\"\nrule = \"vulnerability\"\nvulnerability = \"{vulnerability}\"\n\
             package = \"{package}\"\nreason = \"r\"\nowner = \"o\"\nticket = \"t\"\n\
             created = \"{}\"\nexpires = \"{}\"\n",
            day(-1),
            day(60)
        )
    };
    let of_recipe = |text: &str| {
        let project = project("high");
        let recipe = recipe_on("static-debian13", "", "one", "app");
        project.write("one.karat.toml", format!("{recipe}\n{text}"));
        project
    };
    // Any of its ids, with any version or this one.
    for (id, package) in
        [("CVE-D-1", "pkg:deb/debian/base-files"), ("d-1", "pkg:deb/debian/base-files?arch=amd64")]
    {
        let report = report(&build(&of_recipe(&waiver(id, package))).exits(0));
        let found = finding(&report, "vulnerability");
        assert_eq!((&found["status"], &found["waiver"]), (&json!("waived"), &json!("wv-1")));
        let listed = &report["vulnerabilities"][0];
        assert_eq!((&listed["state"], &listed["rejects"]), (&json!("waived"), &json!(false)));
    }
    for (id, package) in [
        ("CVE-D-1", "pkg:deb/debian/base-files@0"),
        ("CVE-D-1", "pkg:deb/debian/base"),
        ("CVE-D-2", "pkg:deb/debian/base-files"),
    ] {
        let report = report(&build(&of_recipe(&waiver(id, package))).exits(1));
        assert_eq!(finding(&report, "vulnerability")["status"], "open");
        finding(&report, "waiver-unused");
    }
    for (text, told) in [
        (waiver("CVE-D-1", "base-files"), "no package URL"),
        (waiver("CVE 1", "pkg:deb/debian/base-files"), "no id of a vulnerability"),
        (
            waiver("CVE-D-1", "pkg:deb/a").replace("package =", "path ="),
            "`vulnerability` and `package`",
        ),
        (
            waiver("CVE-D-1", "pkg:deb/a").replace("\"vulnerability\"", "\"elf-not-pie\""),
            "and no other is",
        ),
    ] {
        build(&of_recipe(&text)).exits(2);
        let project = of_recipe(&text);
        project.run("check one.karat.toml").exits(2).says(&[told]);
    }
    // In `waivers/`, drafted from the report.
    let project = project("high");
    let built = build(&project).exits(1);
    project.write("report.json", report(&built).to_string());
    let line = "waivers new --from report.json --reason r --owner o --ticket t";
    let drafted = project.done(line).stdout;
    assert!(
        drafted.contains("vulnerability = \"CVE-D-1\"\npackage = \"pkg:deb/debian/base-files@"),
        "{drafted}"
    );
    project.write("waivers/all.toml", drafted);
    assert_eq!(finding(&report(&build(&project).exits(0)), "vulnerability")["status"], "waived");
}

#[test]
fn old_advisories_and_another_database_are_told() {
    let project = project("low");
    // The advisory is of August 2026.
    let found = report(&build(&project).exits(0));
    assert!(
        finding(&found, "advisories-stale")["message"]
            .as_str()
            .expect("a text")
            .contains("2026-08-01")
    );
    project.write("karat-policy.toml", format!("{HEAD}[advisories]\nmax-age = \"3660d\"\n"));
    assert!(!rules(&report(&build(&project).exits(0))).contains(&"advisories-stale".to_owned()));
    let digest = digest_of(&project.read("advisories.db"));
    let pin = |digest: &str| format!("{HEAD}[advisories]\ndatabase = \"{digest}\"\n");
    project.write("karat-policy.toml", pin(&digest));
    build(&project).exits(0);
    project.write("karat-policy.toml", pin(&digest_of(b"another")));
    build(&project).exits(2);
    for line in ["build one.karat.toml", "inspect one.karat.toml", "scan one.karat.toml"] {
        project
            .run(&format!("{line} --db advisories.db"))
            .exits(2)
            .says(&[&digest, "the policy demands"]);
    }
    project.write("karat-policy.toml", HEAD);
    project.run("build one.karat.toml --db nowhere.db").exits(2).says(&["nowhere.db"]);
    project.write("bad.db", "PK");
    project.run("build one.karat.toml --db bad.db").exits(2).says(&["no database"]);
}

#[test]
fn statements_of_the_project_count_and_those_of_the_image_do_not() {
    let statement = json!({"@context": "https://openvex.dev/ns/v0.2.0", "@id": "x", "author": "a",
        "timestamp": "2026-08-01T00:00:00Z", "version": 1, "statements": [{
            "vulnerability": {"name": "CVE-D-1"}, "products": [{"@id": "pkg:deb/debian/base-files"}],
            "status": "not_affected", "justification": "vulnerable_code_not_present"}]});
    let project = project("high");
    let recipe = recipe_on("static-debian13", "", "one", "app");
    project.write("data/x.openvex.json", statement.to_string());
    project.write(
        "one.karat.toml",
        format!("{recipe}\n[[file]]\nsource = \"data/x.openvex.json\"\npath = \"/vex/x.json\"\n"),
    );
    build(&project).exits(1);
    project.write("vex/base-files.json", statement.to_string());
    let report = report(&build(&project).exits(0));
    assert!(!rules(&report).contains(&"vulnerability".to_owned()));
    let listed = &report["vulnerabilities"][0];
    assert_eq!(listed["state"], "suppressed");
    assert!(listed["why"].as_str().expect("why").contains("base-files.json"));
    assert!(!rules(&report).contains(&"vex-unused".to_owned()));
    // Of a vulnerability that is not here any more.
    project.write("vex/old.json", statement.to_string().replace("CVE-D-1", "CVE-D-0"));
    let later = crate::known::report(&build(&project).exits(0));
    assert!(
        finding(&later, "vex-unused")["message"].as_str().expect("a text").contains("old.json")
    );
    project.write("vex/bad.json", "{}");
    project
        .run("build one.karat.toml --db advisories.db")
        .exits(2)
        .says(&["vex/bad.json", "OpenVEX"]);
}

#[test]
fn what_was_looked_up_may_enter_the_trust_root() {
    let registry = Registry::start(Ways { referrers: true, ..Ways::default() });
    let host = registry.host();
    let project = project("medium").with_keys();
    project.signed("build one.karat.toml --sign cosign.key --output oci:one").exits(0);
    let policy = format!("{HEAD}[registry]\npublish = \"{host}/golden\"\n");
    project.write("karat-policy.toml", policy);
    let line = format!("push oci:one docker://{host}/golden/one:v1 --key cosign.pub");
    crate::registry::run(&project, &line).exits(1).says(&["not-scanned"]);
    crate::registry::run(&project, &format!("{line} --db advisories.db")).exits(0);
    assert!(registry.repository("golden/one").tags.contains_key("v1"));
    // A release needs the same.
    let line = "build one.karat.toml --sign cosign.key --push --tag v2 --db advisories.db";
    project.signed(line).exits(0);
    assert!(registry.repository("golden/one").tags.contains_key("v2"));
    database(&project, "Debian", &[advisory("D-1", "base-files", "9999", "critical")]);
    project.signed(line).exits(1).says(&["CVE-D-1"]);
}

#[test]
fn what_was_looked_up_and_passed_gets_a_summary_that_verification_demands() {
    let project = project("medium").with_keys();
    let line = "build one.karat.toml --sign cosign.key --output oci:one --db advisories.db";
    project.signed(line).exits(0);
    let kinds = |layout: &str| -> Vec<String> {
        let referrers = project.layout(layout).referrers();
        let kind = |one: &Value| one["annotations"]["dev.sigstore.bundle.predicateType"].clone();
        let mut kinds: Vec<_> =
            referrers.iter().map(|one| kind(one).as_str().expect("a type").to_owned()).collect();
        kinds.sort();
        kinds
    };
    let (summary, result) = (
        "https://slsa.dev/verification_summary/v1".to_owned(),
        "https://in-toto.io/attestation/test-result/v0.1".to_owned(),
    );
    assert_eq!(kinds("one").len(), 7);
    for kind in ["https://openvex.dev/ns/v0.2.0", "https://in-toto.io/attestation/vulns/v0.2"] {
        assert!(kinds("one").contains(&kind.to_owned()), "{kind}");
    }
    assert!(kinds("one").contains(&summary) && kinds("one").contains(&result));
    let policy = |further: &str| {
        format!(
            "{HEAD}[gate]\nrequire = [\"signature\", \"sbom\", \"provenance\", \"vsa\"]\n{further}"
        )
    };
    // It is of the policy that judged.
    project.run("verify oci:one --key cosign.pub --require signature,vsa").exits(0);
    project.write("karat-policy.toml", policy(""));
    project.run("verify oci:one --key cosign.pub").exits(1).prints(&["vsa         MISSING"]);
    project.signed(line).exits(0);
    project.run("verify oci:one --key cosign.pub").exits(0).prints(&["vsa         verified"]);
    project.write("karat-policy.toml", policy("fail-on = [\"critical\"]\n"));
    project.run("verify oci:one --key cosign.pub").exits(1).prints(&["vsa         MISSING"]);
    // Without a database nobody says that the image has passed.
    project.signed("build one.karat.toml --sign cosign.key --output oci:two").exits(0);
    assert_eq!(kinds("two").len(), 3);
    assert!(!kinds("two").contains(&summary));
    project.run("verify oci:two --key cosign.pub").exits(1).prints(&["vsa         MISSING"]);
}
