//! `--scanner-report`: what other scanners have found, taken in as evidence.
//!
//! The reports are written by these tests, after the schemas that the scanners' sources document
//! (Trivy `pkg/types`, Grype `grype/presenter/models`, OSV-Scanner `pkg/models`): none of the
//! programs can look anything up without a database that it fetches.

use crate::scan::{advisory, database};
use crate::support::{Project, digest_of, recipe_on, rules};
use serde_json::{Value, json};

/// An image on a base of Debian packages, `oci:one`, and a database with one vulnerability of
/// `base-files`, `CVE-D-1`, which Debian calls `low`.
struct Image {
    project: Project,
    manifest: String,
    config: String,
    diff_ids: Vec<String>,
    version: String,
}

impl Image {
    fn new() -> Self {
        let project = Project::small();
        project.write("one.karat.toml", recipe_on("static-debian13", "", "one", "app"));
        project.done("build one.karat.toml --output oci:one");
        database(&project, "Debian", &[advisory("D-1", "base-files", "9999", "low")]);
        let layout = project.layout("one");
        let image = layout.image(None);
        let manifest = layout.document(&image);
        let config = layout.document(&manifest["config"]);
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let diff_ids = config["rootfs"]["diff_ids"].as_array().expect("digests").iter().map(text);
        let diff_ids = diff_ids.collect();
        let report = project.run("inspect oci:one --db advisories.db --format json").json();
        let packages = report["packages"].as_array().expect("packages");
        let base = packages.iter().find(|one| one["name"] == "base-files").expect("the package");
        Self {
            manifest: text(&image["digest"]),
            config: text(&manifest["config"]["digest"]),
            diff_ids,
            version: text(&base["version"]),
            project,
        }
    }

    fn trivy(&self, vulnerabilities: Value) {
        self.trivy_about(json!({"ImageID": self.config}), vulnerabilities);
    }

    fn trivy_about(&self, metadata: Value, vulnerabilities: Value) {
        let report = json!({"SchemaVersion": 2, "Trivy": {"Version": "0.70.0"}, "ArtifactName": "one",
            "ArtifactType": "container_image", "Metadata": metadata,
            "Results": [{"Target": "one (debian 13.1)", "Class": "os-pkgs", "Type": "debian",
                "Vulnerabilities": vulnerabilities}]});
        self.project.write("trivy.json", report.to_string());
    }

    /// A vulnerability of base-files, as Trivy writes it.
    fn of_base(&self, id: &str, severity: &str) -> Value {
        let purl =
            format!("pkg:deb/debian/base-files@{}?arch=amd64&distro=debian-13.1", self.version);
        json!({"VulnerabilityID": id, "PkgID": "base-files@1", "PkgName": "base-files",
            "PkgIdentifier": {"PURL": purl, "UID": "1"}, "InstalledVersion": self.version,
            "Status": "affected", "SeveritySource": "debian", "Title": "It breaks", "Severity": severity})
    }

    fn inspect(&self, further: &str) -> crate::support::Output {
        self.project.run(&format!("inspect oci:one --format json {further}"))
    }
}

fn found<'a>(report: &'a Value, id: &str) -> Vec<&'a Value> {
    let all = report["vulnerabilities"].as_array().expect("vulnerabilities").iter();
    all.filter(|one| one["ids"].as_array().expect("ids").contains(&json!(id))).collect()
}

fn evidence(one: &Value) -> String {
    one["evidence"].to_string()
}

#[test]
fn what_another_scanner_finds_is_judged_and_named() {
    let image = Image::new();
    image.trivy(json!([image.of_base("CVE-2026-7777", "CRITICAL")]));
    let report = image.inspect("--db advisories.db --scanner-report trivy.json").exits(1).json();
    let [only] = found(&report, "CVE-2026-7777")[..] else { panic!("{report:#}") };
    assert_eq!((&only["severity"], &only["state"]), (&json!("critical"), &json!("open")));
    assert!(
        only["package"]["purl"].as_str().expect("a purl").starts_with("pkg:deb/debian/base-files@")
    );
    assert!(evidence(only).contains("Trivy 0.70.0"), "{only:#}");
    let digest = digest_of(&image.project.read("trivy.json"));
    let expected = json!([{"scanner": "Trivy", "version": "0.70.0", "digest": digest}]);
    assert_eq!(report["scanner-reports"], expected);
    let finding = report["findings"].as_array().expect("findings").iter().find(|one| {
        one["vulnerability"]["ids"]
            .as_array()
            .is_some_and(|ids| ids.contains(&json!("CVE-2026-7777")))
    });
    let finding = finding.expect("a finding");
    assert_eq!(
        (&finding["rule"], &finding["severity"]),
        (&json!("vulnerability"), &json!("critical"))
    );
    assert!(finding["evidence"].to_string().contains("Trivy"), "{finding:#}");
    // Karat's own is there as before.
    assert_eq!(found(&report, "CVE-D-1").len(), 1);
    // Without it, nothing of it is left.
    let without = image.inspect("--db advisories.db").exits(0).json();
    assert!(
        found(&without, "CVE-2026-7777").is_empty() && without.get("scanner-reports").is_none()
    );
}

#[test]
fn a_report_is_no_reason_not_to_look() {
    let image = Image::new();
    image.trivy(json!([image.of_base("CVE-2026-7777", "LOW")]));
    let report = image.inspect("--scanner-report trivy.json").exits(0).json();
    assert!(rules(&report).contains(&"not-scanned".to_owned()), "{report:#}");
    assert_eq!(found(&report, "CVE-2026-7777").len(), 1);
}

#[test]
fn the_same_vulnerability_is_one_and_never_less_bad() {
    for (severity, shown, code) in
        [("UNKNOWN", "low", 0), ("LOW", "low", 0), ("CRITICAL", "critical", 1)]
    {
        let image = Image::new();
        image.trivy(json!([image.of_base("CVE-D-1", severity)]));
        let report =
            image.inspect("--db advisories.db --scanner-report trivy.json").exits(code).json();
        let [only] = found(&report, "CVE-D-1")[..] else { panic!("{report:#}") };
        assert_eq!(only["severity"], shown);
        assert!(evidence(only).contains("Trivy"), "{only:#}");
    }
    // The advisories call it by the CVE too: D-1 alone is the same.
    let image = Image::new();
    image.trivy(json!([image.of_base("D-1", "LOW")]));
    let report = image.inspect("--db advisories.db --scanner-report trivy.json").exits(0).json();
    assert_eq!(report["vulnerabilities"].as_array().map(Vec::len), Some(1), "{report:#}");
    // What nobody has rated rejects, whatever somebody else calls it.
    let unrated = [advisory("D-1", "base-files", "9999", "not yet assigned")];
    database(&image.project, "Debian", &unrated);
    image.trivy(json!([image.of_base("CVE-D-1", "LOW")]));
    let report = image.inspect("--db advisories.db --scanner-report trivy.json").exits(1).json();
    let [only] = found(&report, "CVE-D-1")[..] else { panic!("{report:#}") };
    assert_eq!(only["severity"], "unknown");
}

#[test]
fn what_nobody_rates_is_unknown_and_rejects() {
    let image = Image::new();
    for severity in ["UNKNOWN", "", "whatever"] {
        image.trivy(json!([image.of_base("CVE-2026-7777", severity)]));
        let report =
            image.inspect("--db advisories.db --scanner-report trivy.json").exits(1).json();
        let [only] = found(&report, "CVE-2026-7777")[..] else { panic!("{report:#}") };
        assert_eq!(only["severity"], "unknown", "{severity}");
    }
}

#[test]
fn what_is_suppressed_stays_so_and_shows() {
    let image = Image::new();
    let purl = format!("pkg:deb/debian/base-files@{}", image.version);
    let statement = |id: &str| {
        json!({"@context": "https://openvex.dev/ns/v0.2.0", "@id": "x", "author": "a",
            "timestamp": "2026-01-01T00:00:00Z", "version": 1, "statements": [{
                "vulnerability": {"name": id}, "products": [{"@id": purl}],
                "status": "not_affected", "justification": "inline_mitigations_already_exist"}]})
    };
    image.project.write("ours.json", statement("D-1").to_string());
    image.project.write("theirs.json", statement("CVE-2026-7777").to_string());
    let both = [image.of_base("CVE-D-1", "CRITICAL"), image.of_base("CVE-2026-7777", "CRITICAL")];
    image.trivy(json!(both));
    let vex = "--vex ours.json --vex theirs.json --scanner-report trivy.json";
    for (database, count) in [("--db advisories.db", 2), ("", 1)] {
        let report = image.inspect(&format!("{database} {vex}"));
        let report = report.json();
        let suppressed: Vec<_> = found(&report, "CVE-D-1")
            .into_iter()
            .chain(found(&report, "CVE-2026-7777"))
            .filter(|one| one["state"] == "suppressed" && evidence(one).contains("Trivy"))
            .collect();
        assert!(suppressed.len() >= count, "{report:#}");
    }
    let waiver = format!(
        "[[waiver]]\nid = \"wv-1\"\nrule = \"vulnerability\"\nvulnerability = \"CVE-2026-7777\"\npackage = \"{purl}\"\n\
         reason = \"r\"\nowner = \"o\"\nticket = \"T-1\"\ncreated = \"{}\"\nexpires = \"{}\"\n",
        crate::support::day(-1),
        crate::support::day(40)
    );
    image.project.write("waivers/one.toml", waiver);
    image.trivy(json!([image.of_base("CVE-2026-7777", "CRITICAL")]));
    let report = image.inspect("--db advisories.db --scanner-report trivy.json").exits(0).json();
    let [only] = found(&report, "CVE-2026-7777")[..] else { panic!("{report:#}") };
    assert_eq!((&only["state"], &only["rejects"]), (&json!("waived"), &json!(false)));
}

#[test]
fn the_three_formats_are_taken() {
    let image = Image::new();
    let grype = json!({"matches": [{
            "vulnerability": {"id": "CVE-2026-8888", "dataSource": "", "severity": "High", "urls": [],
                "cvss": [], "fix": {"versions": ["14"], "state": "fixed"}, "advisories": []},
            "relatedVulnerabilities": [], "matchDetails": [],
            "artifact": {"id": "1", "name": "base-files", "version": image.version, "type": "deb",
                "locations": [{"path": "/var/lib/dpkg/status.d/base-files"}], "licenses": [], "cpes": [],
                "purl": format!("pkg:deb/debian/base-files@{}?arch=amd64&distro=debian-13", image.version)}}],
        "source": {"type": "image", "target": {"userInput": "one", "imageID": image.config,
            "manifestDigest": image.manifest, "tags": [], "repoDigests": []}},
        "distro": {"name": "debian", "version": "13", "idLike": []},
        "descriptor": {"name": "grype", "version": "0.100.0"}});
    image.project.write("grype.json", grype.to_string());
    let layers: Vec<Value> = image
        .diff_ids
        .iter()
        .map(|one| json!({"diff_id": one, "command": "", "is_empty": false, "base_image_index": 0}))
        .collect();
    let osv = json!({"results": [{"source": {"path": "var/lib/dpkg/status.d/base-files", "type": "os"}, "packages": [{
            "package": {"name": "base-files", "os_package_name": "base-files", "version": image.version, "ecosystem": "Debian:13"},
            "vulnerabilities": [{"id": "DEBIAN-CVE-2026-9999", "upstream": ["CVE-2026-9999"],
                "affected": [{"package": {"ecosystem": "Debian:13", "name": "base-files"}}],
                "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]}],
            "groups": [{"ids": ["DEBIAN-CVE-2026-9999"], "aliases": ["DEBIAN-CVE-2026-9999", "CVE-2026-9999"], "max_severity": "9.8"}]}]}],
        "experimental_config": {"licenses": {"summary": false, "allowlist": null}},
        "image_metadata": {"os": "Debian GNU/Linux 13", "layer_metadata": layers, "base_images": []}});
    image.project.write("osv.json", osv.to_string());
    image.trivy(json!([image.of_base("CVE-2026-8888", "MEDIUM")]));
    let reports =
        "--scanner-report trivy.json --scanner-report grype.json --scanner-report osv.json";
    let report = image.inspect(&format!("--db advisories.db {reports}")).exits(1).json();
    assert_eq!(report["scanner-reports"].as_array().map(Vec::len), Some(3));
    // Two of them mean the same: it is one, as bad as the worse of them says.
    let [both] = found(&report, "CVE-2026-8888")[..] else { panic!("{report:#}") };
    assert_eq!((&both["severity"], &both["fixed"]), (&json!("high"), &json!("14")));
    assert!(evidence(both).contains("Trivy 0.70.0") && evidence(both).contains("Grype 0.100.0"));
    let [third] = found(&report, "CVE-2026-9999")[..] else { panic!("{report:#}") };
    assert_eq!(third["severity"], "critical");
    assert!(evidence(third).contains("OSV-Scanner"), "{third:#}");
    assert!(
        third["package"]["purl"]
            .as_str()
            .expect("a purl")
            .starts_with("pkg:deb/debian/base-files@")
    );
}

#[test]
fn a_report_about_another_image_is_refused() {
    let image = Image::new();
    let other = digest_of(b"another");
    image.trivy_about(json!({"ImageID": other}), json!([]));
    for line in [
        "inspect oci:one --db advisories.db --scanner-report trivy.json",
        "build one.karat.toml --output oci:again --scanner-report trivy.json",
        "build one.karat.toml --scanner-report trivy.json",
    ] {
        let said = [other.as_str(), &image.manifest, "trivy.json", "scan this very image"];
        image.project.run(line).exits(2).says(&said);
    }
    assert!(!image.project.path("again").exists() && !image.project.path("dist/one").exists());
    image.project.is_tidy();
    image.trivy_about(json!({"RepoTags": ["one:latest"]}), json!([]));
    image
        .project
        .run("inspect oci:one --scanner-report trivy.json")
        .exits(2)
        .says(&["does not say which image", "scan the image itself"]);
    image.trivy(json!([]));
    // One file is no image.
    image.project.run("inspect app --scanner-report trivy.json").exits(2).says(&[&image.config]);
    image.project.write("other.json", "{}");
    image
        .project
        .run("inspect oci:one --scanner-report other.json")
        .exits(2)
        .says(&["Trivy, Grype"]);
    image
        .project
        .run("inspect oci:one --scanner-report nowhere.json")
        .exits(2)
        .says(&["nowhere.json"]);
    let two = "build one.karat.toml app.karat.toml --scanner-report trivy.json";
    image.project.run(two).exits(2).says(&["for one image"]);
}

#[test]
fn a_build_takes_reports_about_what_it_makes() {
    let image = Image::new();
    image.trivy(json!([image.of_base("CVE-2026-7777", "MEDIUM")]));
    let line = "build one.karat.toml --db advisories.db --scanner-report trivy.json";
    image.project.done(line);
    let digest = digest_of(&image.project.read("trivy.json"));
    let report = image.project.json("dist/one/report.json");
    assert_eq!(report["scanner-reports"][0]["digest"], json!(digest));
    assert_eq!(found(&report, "CVE-2026-7777").len(), 1);
    assert_eq!(report["subject"]["digest"], json!(image.manifest));
    let provenance = image.project.json("dist/one/provenance.json");
    let dependencies =
        provenance["buildDefinition"]["resolvedDependencies"].as_array().expect("some");
    let kind = |one: &&Value| one["annotations"]["kind"] == "scanner-report";
    let [only] = dependencies.iter().filter(kind).collect::<Vec<_>>()[..] else {
        panic!("{provenance:#}")
    };
    assert_eq!(only["name"], "Trivy 0.70.0");
    assert_eq!(format!("sha256:{}", only["digest"]["sha256"].as_str().expect("hex")), digest);
    image.trivy(json!([image.of_base("CVE-2026-7777", "HIGH")]));
    image.project.run(line).exits(1);
    assert!(!image.project.path("dist/one/image").exists());
}

#[test]
fn hostile_words_of_a_report_do_not_reach_the_terminal() {
    let image = Image::new();
    let mut one = image.of_base("CVE-2026-7777", "CRITICAL\u{1b}[2J");
    one["Title"] = json!("a\u{202e}b\nc\u{1b}]0;x\u{7}");
    one["PkgName"] = json!("<script>\u{0}");
    one["PkgIdentifier"] = json!({});
    image.trivy(json!([one]));
    let output = image.project.run("inspect oci:one --scanner-report trivy.json").exits(1);
    for bad in ['\u{1b}', '\u{202e}', '\u{7}', '\u{0}'] {
        assert!(!output.stdout.contains(bad) && !output.stderr.contains(bad), "{bad:?}");
    }
    let page =
        image.project.run("inspect oci:one --scanner-report trivy.json --format html").exits(1);
    assert!(!page.stdout.contains("<script>"));
    image
        .project
        .write("deep.json", format!("{{\"SchemaVersion\":2,\"Results\":{}", "[".repeat(200_000)));
    image.project.run("inspect oci:one --scanner-report deep.json").exits(2);
}
