//! Attacks on signatures: that each of `docs/evidence/attacks.md` has its tests, and those that
//! no other file has.

use crate::signing::signed;
use crate::support::forged::{bundle, refer};
use crate::support::{Project, copy_folder};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

#[test]
fn each_attack_of_the_table_has_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("docs/evidence/attacks.md")).expect("the table");
    let mut attacks = Vec::new();
    for line in table.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Some(number) = cells.get(1).and_then(|cell| cell.parse::<usize>().ok()) else {
            continue;
        };
        attacks.push(number);
        let tests: Vec<&str> = cells[4].split('`').filter(|part| part.contains("::")).collect();
        assert!(!tests.is_empty(), "{line}");
        for test in tests {
            let (file, name) = test.split_once("::").expect("a file and a test");
            let source = fs::read_to_string(root.join(file)).unwrap_or_else(|_| panic!("{file}"));
            assert!(source.contains(&format!("fn {name}()")), "{file} has no {name}");
        }
    }
    assert_eq!(attacks, (1..=18).collect::<Vec<_>>());
}

/// A copy of a signed layout without what referred to the image.
fn bare() -> (Project, Value) {
    let project = Project::new().with_keys();
    copy_folder(&signed().path("one"), &project.path("layout"));
    let mut index = project.layout("layout").index();
    let manifests = index["manifests"].as_array_mut().expect("manifests");
    manifests.truncate(1);
    let image = manifests[0].clone();
    project.write("layout/index.json", index.to_string());
    (project, image)
}

/// Judges the image with this bundle, and gives the candidate.
fn judge(bundle: &[u8], code: i32) -> Value {
    let (project, image) = bare();
    refer(&project.layout("layout"), &image, bundle, 1);
    let verify = "verify oci:layout --key cosign.pub --require signature --format json";
    let answer = project.run(verify).exits(code).json();
    answer["verification"]["subjects"][0]["candidates"][0].clone()
}

#[test]
fn statements_about_something_else() {
    let image = bare().1;
    let hex = image["digest"].as_str().and_then(|one| one.strip_prefix("sha256:")).expect("one");
    let statement = |subject: Value| {
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": subject,
            "predicateType": "https://sigstore.dev/cosign/sign/v1",
            "predicate": {},
        })
    };
    let about = |digest: Value| statement(json!([{ "digest": digest }]));
    assert_eq!(judge(&bundle(&about(json!({ "sha256": hex }))), 0)["refused"], Value::Null);
    let both = json!([{ "digest": { "sha256": "0".repeat(64) } }, { "digest": { "sha256": hex } }]);
    assert_eq!(judge(&bundle(&statement(both)), 0)["refused"], Value::Null);
    for (what, statement, reason) in [
        ("another digest", about(json!({ "sha256": "0".repeat(64) })), "artifact"),
        ("upper case", about(json!({ "sha256": hex.to_uppercase() })), "artifact"),
        ("a part", about(json!({ "sha256": &hex[..63] })), "artifact"),
        ("with its prefix", about(json!({ "sha256": format!("sha256:{hex}") })), "artifact"),
        ("another algorithm", about(json!({ "sha512": hex })), "artifact"),
        ("no digest", statement(json!([{ "name": hex }])), "artifact"),
        ("no subject", statement(json!([])), "artifact"),
        ("null for subjects", statement(Value::Null), "bundle"),
        ("a text for subjects", statement(json!(hex)), "bundle"),
        ("a number for a digest", about(json!({ "sha256": 7 })), "bundle"),
    ] {
        let candidate = judge(&bundle(&statement), 1);
        assert_eq!(candidate["reason"], reason, "{what}: {candidate}");
    }
}

#[test]
fn what_would_never_end() {
    // Bundles that are too long or too deep to be read.
    let long = vec![b' '; (10 << 20) + 1];
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    for (bundle, says) in [(long, "longer"), (deep, "deeper")] {
        let candidate = judge(&bundle, 1);
        assert!(candidate["refused"].as_str().expect("why").contains(says), "{candidate}");
    }
    // Thousands of referrers, none of which counts: so many are looked at, and no more.
    let (project, image) = bare();
    refer(&project.layout("layout"), &image, b"{}", 9_000);
    let verify = "verify oci:layout --key cosign.pub --format json";
    let answer = project.run(verify).exits(1).json();
    let candidates = &answer["verification"]["subjects"][0]["candidates"];
    assert_eq!(candidates.as_array().expect("candidates").len(), 100);
    refer(&project.layout("layout"), &image, b"{}", 1_001);
    let answer = project.run(verify).exits(1).json();
    assert!(answer["message"].as_str().expect("why").contains("lists"), "{answer}");
    // Keys that are devices, folders or without end.
    let project = Project::new().with_keys();
    project.write("long.pub", vec![b'x'; 1 << 20]);
    for key in ["/dev/zero", ".", "long.pub"] {
        project.run(&format!("verify oci:layout --key {key}")).exits(2);
    }
}
