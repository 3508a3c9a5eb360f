use super::*;
use crate::advisory::database::testing::database;
use crate::bom::testing::{auditable, content, entry, go_binary, image, layer};
use crate::bom::{self, Detail};
use crate::image::Origin;
use crate::settings::Verdict;
use serde_json::{Value, json};

const RULES: Vulnerabilities = Vulnerabilities {
    fail_on: Vec::new(),
    unknown_severity: Verdict::Fail,
    unfixed: Verdict::Fail,
};
/// Nobody says anything of what is scanned.
const NOBODY: Outside<'static> = Outside {
    statements: &[],
    reports: &[],
    image: vex::Concerned { digests: &[], names: &[] },
    rules: &RULES,
};

fn advisory(id: &str, ecosystem: &str, name: &str, fixed: &str) -> Value {
    json!({"id": id, "affected": [{"package": {"ecosystem": ecosystem, "name": name},
        "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": fixed}]}]}]})
}

fn with(mut record: Value, further: Value) -> Value {
    record.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    record
}

fn scanned(bytes: &[u8], records: &[Value]) -> Scan {
    let content = content(bytes);
    let bom = bom::file(b"app", &content, Detail::All);
    scan(&bom, Some(&database(records)), &|_| Some(content.clone()), NOBODY).unwrap()
}

const GO: &str = "mod\texample.com/app\tv1.0.0\t\ndep\tgolang.org/x/text\tv0.3.6\th1:aa=\n\
    dep\tgithub.com/Sirupsen/logrus\tv1.0.0\t\n=>\tgithub.com/sirupsen/logrus\tv1.9.0\t\n\
    dep\tlocal.example/dir\tv1.0.0\t\n=>\t./dir\t(devel)\t\nbuild\tCGO_ENABLED=0\n";

#[test]
fn modules_match_under_the_name_and_version_that_is_built() {
    let scan = scanned(
        &go_binary(GO),
        &[
            advisory("GO-1", "Go", "golang.org/x/text", "0.3.7"),
            advisory("GO-2", "Go", "golang.org/x/text", "0.3.6"),
            advisory("GO-3", "Go", "github.com/sirupsen/logrus", "1.9.3"),
            advisory("GO-4", "Go", "github.com/Sirupsen/logrus", "9.0.0"),
            advisory("GO-5", "Go", "local.example/dir", "9.0.0"),
            advisory("GO-6", "Go", "stdlib", "1.26.9"),
            advisory("GO-7", "Go", "stdlib", "1.26.8"),
            advisory("GO-8", "crates.io", "golang.org/x/text", "9.0.0"),
        ],
    );
    let ids: Vec<_> = scan.found.iter().map(|one| one.ids[0].as_str()).collect();
    assert_eq!(ids, ["GO-1", "GO-3", "GO-6"]);
    assert_eq!(scan.found[0].fixed.as_deref(), Some("0.3.7"));
    assert_eq!(scan.found[0].paths, ["/app"]);
    assert!(scan.found.iter().all(|one| one.state == State::Open));
    // The main one, both modules and the standard library; the folder is none of them.
    assert_eq!(scan.looked_up["Go"], 4);
    assert_eq!(scan.unknown["go-module"], 1);
}

#[test]
fn crates_of_the_registry_match_and_others_do_not() {
    let scan = scanned(
        &auditable(
            r#"{"packages":[{"name":"app","version":"1.0.0","source":"local","root":true,"dependencies":[1,2,3,4]},
                {"name":"a","version":"1.0.0","source":"crates.io"},{"name":"g","version":"1.0.0","source":"git"},
                {"name":"l","version":"1.0.0","source":"local"},{"name":"b","version":"1.0.0","source":"crates.io","kind":"build"}]}"#,
        ),
        &["app", "a", "g", "l", "b"].map(|name| advisory(name, "crates.io", name, "2.0.0")),
    );
    let names: Vec<_> = scan.found.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["a"]);
}

#[test]
fn debian_goes_by_the_source_package_and_its_version() {
    let status = b"Package: libc6\nStatus: install ok installed\nVersion: 2.36-9+b1\nArchitecture: amd64\nSource: glibc (2.36-9)\n";
    let entries = vec![
        entry("etc/os-release", b"ID=debian\nVERSION_ID=\"12\"\n"),
        entry("var/lib/dpkg/status.d/libc6", status),
    ];
    let bom = bom::of(&image(vec![layer(Origin::Foreign, entries)]), &[]);
    let records = [
        advisory("DEBIAN-CVE-2026-1", "Debian:12", "glibc", "2.36-9+deb12u1"),
        advisory("DEBIAN-CVE-2026-2", "Debian:12", "glibc", "2.36-9"),
        advisory("DEBIAN-CVE-2026-3", "Debian:13", "glibc", "9"),
        advisory("DEBIAN-CVE-2026-4", "Debian:12", "libc6", "9"),
    ];
    let scan = scan(&bom, Some(&database(&records)), &|_| None, NOBODY).unwrap();
    let ids: Vec<_> = scan.found.iter().map(|one| one.ids[0].as_str()).collect();
    assert_eq!(ids, ["DEBIAN-CVE-2026-1"]);
}

#[test]
fn alpine_goes_by_the_branch_and_the_origin() {
    let apk = b"P:libcrypto3\nV:3.3.2-r4\nA:x86_64\no:openssl\n\n";
    let entries = vec![
        entry("etc/os-release", b"ID=alpine\nVERSION_ID=3.21.0\n"),
        entry("lib/apk/db/installed", apk),
    ];
    let bom = bom::of(&image(vec![layer(Origin::Foreign, entries)]), &[]);
    let records = [
        advisory("ALPINE-CVE-2026-1", "Alpine:v3.21", "openssl", "3.3.2-r5"),
        advisory("ALPINE-CVE-2026-2", "Alpine:v3.21", "openssl", "3.3.2-r4"),
        advisory("ALPINE-CVE-2026-3", "Alpine:v3.20", "openssl", "9"),
        advisory("ALPINE-CVE-2026-4", "Alpine:v3.21", "libcrypto3", "9"),
    ];
    let scan = scan(&bom, Some(&database(&records)), &|_| None, NOBODY).unwrap();
    let ids: Vec<_> = scan.found.iter().map(|one| one.ids[0].as_str()).collect();
    assert_eq!(ids, ["ALPINE-CVE-2026-1"]);
    assert_eq!(scan.looked_up["Alpine:v3.21"], 1);
}

#[test]
fn aliases_are_one_vulnerability_whichever_way_they_lead() {
    let of =
        |id: &str, further: Value| with(advisory(id, "Go", "golang.org/x/text", "0.3.7"), further);
    let vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
    let scan = scanned(
        &go_binary(GO),
        &[
            of("GO-1", json!({"aliases": ["CVE-2026-1"]})),
            // Shares an id with the first only by way of the third.
            of("GHSA-a", json!({"aliases": ["CVE-2026-2"]})),
            of("GO-9", json!({"aliases": ["CVE-2026-1", "CVE-2026-2"], "related": ["GO-5"]})),
            of("GO-5", json!({})),
            // Names no package of ours, and how bad it is.
            json!({"id": "CVE-2026-2", "severity": [{"type": "CVSS_V3", "score": vector}]}),
        ],
    );
    assert_eq!(scan.found.len(), 2);
    let first = &scan.found[0];
    assert_eq!(first.ids, ["CVE-2026-1", "CVE-2026-2", "GO-1", "GO-9", "GHSA-a"]);
    assert_eq!(first.severity, Some(Severity::Critical));
    assert!(first.rated.as_ref().unwrap().starts_with("CVE-2026-2 says CVSS:3.1/"));
    assert_eq!((&scan.found[1].ids[..], scan.found[1].severity), (&["GO-5".to_owned()][..], None));
}

#[test]
fn notices_are_no_vulnerabilities_and_are_told_apart() {
    let mut notice = advisory("RUSTSEC-1", "crates.io", "a", "9.0.0");
    notice["affected"][0]["database_specific"] = json!({"informational": "unmaintained"});
    let rust = auditable(
        r#"{"packages":[{"name":"app","version":"1.0.0","source":"local","root":true,"dependencies":[1]},
            {"name":"a","version":"1.0.0","source":"crates.io"}]}"#,
    );
    let scan = scanned(&rust, &[notice, advisory("RUSTSEC-2", "crates.io", "a", "2.0.0")]);
    let found: Vec<_> =
        scan.found.iter().map(|one| (one.ids[0].as_str(), one.notice.as_deref())).collect();
    assert_eq!(found, [("RUSTSEC-2", None), ("RUSTSEC-1", Some("unmaintained"))]);
}

#[test]
fn functions_that_cannot_be_read_leave_it_open() {
    let mut record = advisory("GO-1", "Go", "golang.org/x/text", "0.3.7");
    record["affected"][0]["ecosystem_specific"] =
        json!({"imports": [{"path": "golang.org/x/text/language", "symbols": ["Parse"]}]});
    let scan = scanned(&go_binary(GO), &[record]);
    assert_eq!(scan.found[0].state, State::Open);
    assert!(scan.found[0].evidence[0].contains("not there or not whole"), "{:?}", scan.found);
}

#[test]
fn statements_suppress_what_they_name_and_it_still_shows() {
    let content = content(&go_binary(GO));
    let bom = bom::file(b"app", &content, Detail::All);
    let record = with(
        advisory("GO-1", "Go", "golang.org/x/text", "0.3.7"),
        json!({"aliases": ["CVE-2026-1"]}),
    );
    let database = database(&[record]);
    let state = |document: Value| {
        let statements = vex::read("our.json", document.to_string().as_bytes()).unwrap();
        scan(&bom, Some(&database), &|_| None, Outside { statements: &statements, ..NOBODY })
            .unwrap()
            .found[0]
            .state
            .clone()
    };
    let document = |name: &str, product: Value, status: &str| {
        json!({"@context": "https://openvex.dev/ns/v0.2.0", "statements": [{
            "vulnerability": {"name": name}, "products": [product], "status": status,
            "justification": "vulnerable_code_not_in_execute_path"}]})
    };
    let part =
        json!({"@id": "pkg:oci/app", "subcomponents": [{"@id": "pkg:golang/golang.org/x/text"}]});
    let other = json!({"@id": "pkg:golang/golang.org/x/text@v0.3.5"});
    let not = "not_affected";
    let State::Suppressed(by) = state(document("CVE-2026-1", part.clone(), not)) else { panic!() };
    assert!(by.contains("our.json") && by.contains("vulnerable_code_not_in_execute_path"), "{by}");
    assert_eq!(state(document("CVE-2026-9", part.clone(), not)), State::Open);
    assert_eq!(state(document("CVE-2026-1", other, not)), State::Open);
    assert_eq!(state(document("GO-1", part, "under_investigation")), State::Open);
}

#[test]
fn documents_that_say_what_cannot_be_said_are_refused() {
    let read = |text: &str| vex::read("x", text.as_bytes());
    let of = |statement: &str| {
        read(&format!(r#"{{"@context":"https://openvex.dev/ns","statements":[{statement}]}}"#))
    };
    assert!(matches!(read("{}"), Err(vex::VexError::Form(_))));
    assert!(matches!(read(r#"{"@context":"x","statements":[]}"#), Err(vex::VexError::Form(_))));
    let bare = r#"{"vulnerability":{"name":"C"},"status":"not_affected"}"#;
    assert_eq!(of(bare), Err(vex::VexError::Unjustified(1)));
    let odd = r#"{"vulnerability":{"name":"C"},"status":"harmless"}"#;
    assert_eq!(of(odd), Err(vex::VexError::Status(1, "harmless".to_owned())));
}
