//! Known vulnerabilities of programs that real compilers have made, and the real advisories.

use crate::project::{Layout, Project};
use crate::signing::cosign_verify;
use crate::support::{Outcome, command, corpus, finish, program, succeed};
use serde_json::{Value, json};
use std::io::{Cursor, Write as _};
use std::path::Path;
use zip::write::{SimpleFileOptions, ZipWriter};

/// Writes a dump of the Go ecosystem and makes a database of it.
fn database(project: &Project, records: &[Value]) {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for record in records {
        let name = format!("{}.json", record["id"].as_str().expect("an id"));
        writer.start_file(name, SimpleFileOptions::default()).expect("a member");
        writer.write_all(record.to_string().as_bytes()).expect("a member");
    }
    let bytes = writer.finish().expect("a zip file").into_inner();
    std::fs::create_dir_all(project.path("dumps/Go")).expect("a folder");
    std::fs::write(project.path("dumps/Go/all.zip"), bytes).expect("the dump");
    succeed(project.karat().args(["db", "import", "dumps", "--output", "go.db"]));
}

fn scanned(project: &Project, file: &str) -> Vec<(String, String)> {
    let mut karat = project.karat();
    karat.args(["scan", file, "--db", "go.db", "--format", "json"]);
    let report: Value = serde_json::from_slice(&finish(&mut karat).stdout).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let found = report["vulnerabilities"].as_array().expect("vulnerabilities").iter();
    found.map(|one| (text(&one["ids"][0]), text(&one["state"]))).collect()
}

/// Functions that the linker has left out count as not there, in a program with its symbols
/// and in one without; those that are there count.
pub(crate) fn functions_that_go_has_not_linked_are_not_affected() -> Outcome {
    let project = Project::of_a_go_program()?;
    let advisory = |id: &str, path: &str, symbols: &[&str]| {
        json!({"id": id, "affected": [{"package": {"ecosystem": "Go", "name": "stdlib"},
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "99.0.0"}]}],
            "ecosystem_specific": {"imports": [{"path": path, "symbols": symbols}]}}]})
    };
    let mut elsewhere = advisory("GO-4", "fmt", &["Println"]);
    elsewhere["affected"][0]["ecosystem_specific"]["imports"][0]["goos"] = json!(["windows"]);
    database(
        &project,
        &[
            advisory("GO-1", "runtime", &["mallocgc"]),
            advisory("GO-2", "archive/zip", &["OpenReader", "Reader.Open"]),
            advisory("GO-3", "archive/zip", &[]),
            elsewhere,
        ],
    );
    let expected = [
        ("GO-1", "open"),
        ("GO-2", "not-affected"),
        ("GO-3", "not-affected"),
        ("GO-4", "not-affected"),
    ]
    .map(|(id, state)| (id.to_owned(), state.to_owned()));
    assert_eq!(scanned(&project, "hello-amd64"), expected);
    assert_eq!(scanned(&project, "hello-arm64"), expected);
    // Without symbols and section names.
    let strip = crate::support::program("strip")?;
    succeed(command(strip).args(["-o", "stripped", "hello-amd64"]).current_dir(project.path("")));
    assert_eq!(scanned(&project, "stripped"), expected);
    Ok(())
}

/// All of RustSec and of Go's database, as they were in August 2026.
pub(crate) fn the_real_dumps_are_imported_whole() -> Outcome {
    let dumps = corpus("osv")?;
    let project = Project::new();
    let import = |to: &str, dumps: &Path| {
        succeed(project.karat().args(["db", "import"]).arg(dumps).args(["--output", to]))
    };
    let digest = import("one.db", &dumps);
    assert_eq!(digest, import("two.db", &dumps));
    assert_eq!(project.read("one.db"), project.read("two.db"));
    let info = succeed(project.karat().args(["db", "info", "one.db", "--format", "json"]));
    let info: Value = serde_json::from_str(&info).expect("JSON");
    let sources = info["contents"]["sources"].as_array().expect("sources").iter();
    let counts: Vec<_> = sources
        .map(|one| {
            (
                one["ecosystem"].as_str(),
                one["records"].as_u64(),
                one["broken"].as_array().map(Vec::len),
            )
        })
        .collect();
    // As many as `unzip -l` counts.
    assert_eq!(
        counts,
        [(Some("Go"), Some(4291), Some(0)), (Some("crates.io"), Some(1206), Some(0))]
    );
    Ok(())
}

/// What a signed build states of vulnerabilities is signed as everything else.
pub(crate) fn cosign_verifies_what_is_stated_of_vulnerabilities() -> Outcome {
    let cosign = program("cosign")?;
    let project = Project::of_a_go_program()?;
    let unreached = json!({"id": "GO-2", "modified": "2026-08-01T00:00:00Z",
        "affected": [{"package": {"ecosystem": "Go", "name": "stdlib"},
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "99.0.0"}]}],
            "ecosystem_specific": {"imports": [{"path": "archive/zip", "symbols": ["OpenReader"]}]}}]});
    database(&project, &[unreached]);
    project.key();
    let digest =
        project.build(&["--sign", "cosign.key", "--db", "go.db", "--output", "oci:layout"]);
    let layout = Layout::open(project.path("layout"), digest);
    let file = project.path("bundle.json");
    for kind in ["https://openvex.dev/ns/v0.2.0", "https://in-toto.io/attestation/vulns/v0.2"] {
        let bundles = layout.bundles();
        let stated: Vec<_> = bundles.iter().filter(|one| one.predicate_type == kind).collect();
        assert_eq!(stated.len(), layout.manifests().len() + 1, "{kind}: of the index too");
        for bundle in stated {
            std::fs::write(&file, &bundle.bytes).expect("a file");
            let key = project.path("cosign.pub");
            succeed(&mut cosign_verify(&cosign, &key, &file, kind, bundle.hex()));
        }
    }
    // No bill tells functions: what the build has found in them is known by what it has signed.
    let verify =
        ["verify", "oci:layout", "--key", "cosign.pub", "--db", "go.db", "--format", "json"];
    let verified: Value =
        serde_json::from_str(&succeed(project.karat().args(verify))).expect("JSON");
    let images = verified["vulnerabilities"]["images"].as_array().expect("images");
    for image in images {
        assert_eq!(image["vulnerabilities"][0]["state"], "suppressed", "{image:#}");
        let why = image["vulnerabilities"][0]["why"].as_str().expect("why");
        assert!(why.contains("vulnerable_code_not_present"), "{why}");
    }
    Ok(())
}
