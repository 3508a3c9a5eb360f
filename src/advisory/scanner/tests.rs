use super::*;
use serde_json::{Value, json};

fn hex(digit: &str) -> String {
    format!("sha256:{}", digit.repeat(64))
}

fn image() -> Identity {
    Identity {
        manifest: hex("a").parse().unwrap(),
        config: hex("c").parse().unwrap(),
        index: Some(hex("e").parse().unwrap()),
        diff_ids: vec![hex("1").parse().unwrap(), hex("2").parse().unwrap()],
    }
}

fn trivy(metadata: Value, vulnerabilities: Value) -> Value {
    json!({"SchemaVersion": 2, "Trivy": {"Version": "0.70.0"}, "ArtifactName": "app",
        "ArtifactType": "container_image", "Metadata": metadata,
        "Results": [{"Target": "usr/bin/app", "Class": "lang-pkgs", "Type": "gobinary",
            "Vulnerabilities": vulnerabilities}]})
}

fn grype(source: Value, matches: Value) -> Value {
    json!({"matches": matches, "source": source, "distro": {"name": "debian"},
        "descriptor": {"name": "grype", "version": "0.100.0"}})
}

fn osv(layers: Value, packages: Value) -> Value {
    json!({"results": [{"source": {"path": "/usr/bin/app", "type": "artifact"}, "packages": packages}],
        "experimental_config": {"licenses": {"summary": false, "allowlist": null}},
        "image_metadata": {"os": "Debian", "layer_metadata": layers, "base_images": []}})
}

fn read(document: &Value) -> Result<Report, ScannerError> {
    Report::read("r.json", document.to_string().as_bytes())
}

fn layers(digits: &[&str]) -> Value {
    digits
        .iter()
        .map(|one| json!({"diff_id": hex(one), "command": "", "is_empty": false}))
        .collect()
}

#[test]
fn each_format_is_known_by_its_content() {
    let id = json!({"ImageID": hex("c")});
    let target = json!({"type": "image", "target": {"imageID": hex("c")}});
    for (document, scanner) in [
        (trivy(id, json!([])), Scanner::Trivy),
        (grype(target, json!([])), Scanner::Grype),
        (osv(layers(&["1", "2"]), json!([])), Scanner::OsvScanner),
    ] {
        let report = read(&document).unwrap();
        assert_eq!(report.scanner, scanner);
        assert!(report.is_about(&image()), "{document}");
        assert_eq!(report.digest, Digest::of(document.to_string().as_bytes()));
    }
    let mut both = trivy(json!({"ImageID": hex("c")}), json!([]));
    both["results"] = json!([]);
    let expected = ScannerError::Ambiguous(Scanner::Trivy, Scanner::OsvScanner);
    assert_eq!(read(&both), Err(expected));
    for text in ["", "{}", "[]", "null", "7", "{\"bomFormat\":\"CycloneDX\"}", "{\"matches\":[]}"] {
        assert_eq!(Report::read("x", text.as_bytes()), Err(ScannerError::Unknown), "{text}");
    }
}

#[test]
fn the_image_is_the_one_that_is_named_and_no_other() {
    let repository = |digit: &str| json!([format!("registry.example/app@{}", hex(digit))]);
    for (metadata, about) in [
        (json!({"ImageID": hex("c")}), true),
        // An engine that keeps images as registries do.
        (json!({"ImageID": hex("a")}), true),
        (json!({"ImageID": hex("e")}), true),
        (json!({"RepoDigests": repository("a")}), true),
        (json!({"RepoDigests": repository("e")}), true),
        (json!({"RepoDigests": repository("f")}), false),
        // The same index, and another platform of it.
        (json!({"ImageID": hex("f"), "RepoDigests": repository("e")}), false),
        (json!({"ImageID": hex("f")}), false),
    ] {
        let report = read(&trivy(metadata.clone(), json!([]))).unwrap();
        assert_eq!(report.is_about(&image()), about, "{metadata}");
    }
    for (target, about) in [
        (json!({"imageID": hex("c"), "manifestDigest": hex("f")}), true),
        (json!({"manifestDigest": hex("a")}), true),
        (json!({"imageID": hex("f"), "manifestDigest": hex("a")}), false),
        (json!({"imageID": "", "manifestDigest": "", "repoDigests": repository("a")}), true),
    ] {
        let source = json!({"type": "image", "target": target});
        let report = read(&grype(source, json!([]))).unwrap();
        assert_eq!(report.is_about(&image()), about, "{target}");
    }
    for (digits, about) in
        [(&["1", "2"][..], true), (&["1"], false), (&["2", "1"], false), (&["1", "2", "3"], false)]
    {
        let report = read(&osv(layers(digits), json!([]))).unwrap();
        assert_eq!(report.is_about(&image()), about, "{digits:?}");
    }
}

#[test]
fn a_report_of_no_image_is_refused() {
    let mut folder = trivy(json!({"ImageID": hex("c")}), json!([]));
    folder["ArtifactType"] = json!("filesystem");
    assert_eq!(read(&folder), Err(ScannerError::NoImage(Scanner::Trivy)));
    for metadata in [json!({}), json!({"ImageID": "latest", "RepoDigests": ["app:v1"]})] {
        let report = read(&trivy(metadata, json!([])));
        assert_eq!(report, Err(ScannerError::NoImage(Scanner::Trivy)));
    }
    for source in [
        json!(null),
        json!({"type": "directory", "target": "/src"}),
        json!({"type": "sbom-file", "target": "x.json"}),
        json!({"type": "image", "target": "app"}),
        json!({"type": "image", "target": {"repoDigests": [7]}}),
    ] {
        let report = read(&grype(source.clone(), json!([])));
        assert_eq!(report, Err(ScannerError::NoImage(Scanner::Grype)), "{source}");
    }
    // One layer of which nothing is said could be any.
    let unknown = json!([{"diff_id": hex("1")}, {"diff_id": "sha256:x"}]);
    let mut lockfile = osv(json!([]), json!([]));
    lockfile["image_metadata"] = json!(null);
    for document in [osv(unknown, json!([])), osv(json!([]), json!([])), lockfile] {
        assert_eq!(read(&document), Err(ScannerError::NoImage(Scanner::OsvScanner)));
    }
}

#[test]
fn what_is_listed_is_read() {
    let of_trivy = json!([{"VulnerabilityID": "CVE-2026-1", "VendorIDs": ["GHSA-x"], "PkgName": "golang.org/x/net",
        "PkgIdentifier": {"PURL": "pkg:golang/golang.org/x/net@v0.30.0", "UID": "1"},
        "InstalledVersion": "v0.30.0", "FixedVersion": "0.33.0", "Severity": "CRITICAL", "Title": "It breaks"},
        {"VulnerabilityID": "CVE-2026-2", "PkgName": "x", "InstalledVersion": "1", "Severity": "UNKNOWN"}]);
    let report = read(&trivy(json!({"ImageID": hex("c")}), of_trivy)).unwrap();
    let [first, second] = &report.found[..] else { panic!("{report:?}") };
    assert_eq!(first.ids, ["CVE-2026-1", "GHSA-x"]);
    assert_eq!(
        (first.severity, first.fixed.as_deref()),
        (Some(Severity::Critical), Some("0.33.0"))
    );
    assert_eq!(first.paths, ["/usr/bin/app"]);
    assert_eq!((second.severity, &second.fixed, &second.package.purl), (None, &None, &None));

    let of_grype = json!([{"vulnerability": {"id": "GHSA-y", "severity": "Unknown", "description": "One\nTwo",
            "fix": {"versions": ["1.2", "2.0"], "state": "fixed"}},
        "relatedVulnerabilities": [{"id": "CVE-2026-3", "severity": "Medium"}],
        "artifact": {"name": "bash", "version": "5.0-4", "purl": "pkg:deb/debian/bash@5.0-4?arch=amd64",
            "locations": [{"path": "/var/lib/dpkg/status"}]}}]);
    let source = json!({"type": "image", "target": {"imageID": hex("c")}});
    let report = read(&grype(source, of_grype)).unwrap();
    let [only] = &report.found[..] else { panic!("{report:?}") };
    assert_eq!(only.ids, ["GHSA-y", "CVE-2026-3"]);
    assert_eq!((only.severity, only.summary.as_str()), (Some(Severity::Medium), "One"));
    assert_eq!(
        (only.fixed.as_deref(), &only.paths[..]),
        (Some("1.2"), &["/var/lib/dpkg/status".to_owned()][..])
    );

    let record = json!({"id": "RUSTSEC-2026-1", "aliases": ["CVE-2026-4"], "summary": "Bad",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [{"package": {"ecosystem": "crates.io", "name": "c"},
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}]}]});
    let notice = json!({"id": "RUSTSEC-2026-2", "affected": [{"package": {"ecosystem": "crates.io", "name": "c"},
        "database_specific": {"informational": "unmaintained"}}]});
    let packages = json!([{"package": {"name": "c", "version": "1.0.0", "ecosystem": "crates.io"},
        "vulnerabilities": [record, notice],
        "groups": [{"ids": ["RUSTSEC-2026-1"], "aliases": ["CVE-2026-4", "RUSTSEC-2026-1"], "max_severity": "9.8"},
            {"ids": ["RUSTSEC-2026-2"], "aliases": ["RUSTSEC-2026-2"], "max_severity": ""}]},
        {"package": {"name": "glibc", "os_package_name": "libc6", "version": "2.36-9", "ecosystem": "Debian:12"},
         "groups": [{"ids": ["DEBIAN-CVE-2026-5"], "aliases": ["CVE-2026-5"], "max_severity": "7.5"}]}]);
    let report = read(&osv(layers(&["1", "2"]), packages)).unwrap();
    let [crates, unmaintained, debian] = &report.found[..] else { panic!("{report:?}") };
    assert_eq!(crates.ids, ["CVE-2026-4", "RUSTSEC-2026-1"]);
    assert_eq!(crates.severity, Some(Severity::Critical));
    assert_eq!(crates.package.purl.as_deref(), Some("pkg:cargo/c@1.0.0"));
    assert_eq!(crates.fixed.as_deref(), Some("2.0.0"));
    assert_eq!(unmaintained.notice.as_deref(), Some("unmaintained"));
    assert_eq!(debian.severity, Some(Severity::High));
    assert_eq!(debian.package.purl.as_deref(), Some("pkg:deb/debian/libc6@2.36-9"));
    assert_eq!(debian.package.source.as_deref(), Some("glibc"));
}

#[test]
fn hostile_reports_are_refused_or_cut() {
    let id = || json!({"ImageID": hex("c")});
    let one = |id: &str, name: &str| json!({"VulnerabilityID": id, "PkgName": name, "InstalledVersion": "1"});
    for (bad, expected) in [
        (one("", "x"), ScannerError::Id(1)),
        (one("CVE-1\u{1b}[2J", "x"), ScannerError::Id(1)),
        (one("CVE 1", "x"), ScannerError::Id(1)),
        (one(&"C".repeat(ID + 1), "x"), ScannerError::Id(1)),
        (one("CVE-1", ""), ScannerError::Package(1)),
    ] {
        assert_eq!(read(&trivy(id(), json!([bad]))), Err(expected));
    }
    let many: Vec<_> = (0..=ENTRIES).map(|_| one("CVE-1", "x")).collect();
    assert_eq!(read(&trivy(id(), json!(many))), Err(ScannerError::Many));
    let mut long = one("CVE-1", &"n".repeat(100_000));
    long["VendorIDs"] = (0..10_000).map(|number| json!(format!("V-{number}"))).collect();
    long["PkgIdentifier"] = json!({"PURL": "no purl"});
    let report = read(&trivy(id(), json!([long]))).unwrap();
    let [only] = &report.found[..] else { panic!("{report:?}") };
    assert_eq!((only.package.name.len(), only.ids.len()), (TEXT, LIST));
    assert_eq!(only.package.purl, None);

    let deep = format!("{{\"SchemaVersion\":2,\"x\":{}", "[".repeat(1_000_000));
    assert_eq!(Report::read("x", deep.as_bytes()), Err(ScannerError::Unknown));
    // Two answers to which image it is.
    let twice = format!(
        "{{\"SchemaVersion\":2,\"ArtifactType\":\"container_image\",\"Metadata\":{{\"ImageID\":\"{}\",\"ImageID\":\"{}\"}}}}",
        hex("c"),
        hex("f")
    );
    assert!(matches!(Report::read("x", twice.as_bytes()), Err(ScannerError::Form(..))), "{twice}");
    let mut newer = trivy(id(), json!([]));
    newer["SchemaVersion"] = json!(3);
    assert!(matches!(read(&newer), Err(ScannerError::Form(Scanner::Trivy, _))));
    let length = vec![b' '; LONGEST + 1];
    assert_eq!(Report::read("x", &length), Err(ScannerError::Long));
}

/// What OSV-Scanner 2.1.0 wrote of an image of karat's with a Go program on Debian packages,
/// without details, references and credits. It calls every module of the program by the main one's
/// name.
const REAL: &[u8] = include_bytes!("../../../tests/it/data/osv-scanner-2.1.0.json");

#[test]
fn a_report_of_the_real_program_is_read() {
    let report = Report::read("osv.json", REAL).unwrap();
    assert_eq!((report.scanner, report.found.len()), (Scanner::OsvScanner, 3));
    assert_eq!(report.names.diff_ids.len(), 6);
    for one in &report.found {
        assert!(one.ids[0].starts_with("CVE-") && one.severity.is_none(), "{one:?}");
        assert_eq!(one.package.meant, ["pkg:golang/golang.org/x/text"]);
        assert_eq!(one.paths, ["/usr/bin/hello"]);
        assert!(one.fixed.is_some(), "{one:?}");
    }
}

#[test]
fn modules_under_the_name_of_the_main_one_are_told_apart() {
    use crate::advisory::database::testing::database;
    use crate::advisory::{Outside, scan, vex};
    use crate::bom::testing::{content, go_binary};
    use crate::bom::{self, Detail};
    use crate::settings::Vulnerabilities;
    let modules = "mod\texample.com/hello\t(devel)\t\ndep\tgolang.org/x/text\tv0.3.6\th1:aa=\n";
    let bom = bom::file(b"hello", &content(&go_binary(modules)), Detail::All);
    let known = json!({"id": "GO-2021-0113", "affected": [{"package": {"ecosystem": "Go", "name": "golang.org/x/text"},
        "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "0.3.7"}]}]}]});
    let (report, rules) = (Report::read("osv.json", REAL).unwrap(), Vulnerabilities::default());
    let image = vex::Concerned::default();
    let outside = Outside { statements: &[], reports: &[&report], image, rules: &rules };
    let found = scan(&bom, Some(&database(&[known])), &|_| None, outside).unwrap().found;
    assert_eq!(found.len(), 3, "{found:?}");
    for one in &found {
        assert_eq!((one.name.as_str(), one.version.as_str()), ("golang.org/x/text", "v0.3.6"));
        assert_eq!(one.purl.as_deref(), Some("pkg:golang/golang.org/x/text@v0.3.6"));
        assert!(one.evidence.iter().any(|line| line.starts_with("OSV-Scanner reports")), "{one:?}");
    }
}

/// How Syft 1.20.0 names an image of karat's, which Grype takes over into `source`.
const SYFT: &[u8] = include_bytes!("../../../tests/it/data/syft-1.20.0-source.json");

#[test]
fn the_image_is_named_as_the_real_syft_names_it() {
    let source: Value = serde_json::from_slice(SYFT).unwrap();
    let report = read(&grype(source, json!([]))).unwrap();
    // The digests of the manifest in the layout's `index.json`, and of the configuration in it.
    let manifest = "sha256:8b4877211b4aa9f2d4991dd5738bdfe7fba7771d38878314546e567953e9d0d7";
    let config = "sha256:1af3fb164a932a645316dd3786857fff32a3d680823b2494297d376fb3d237d9";
    let named = Identity {
        manifest: manifest.parse().unwrap(),
        config: config.parse().unwrap(),
        ..image()
    };
    assert!(report.is_about(&named) && !report.is_about(&image()));
    assert_eq!(report.names.manifest, Some(named.manifest));
}
