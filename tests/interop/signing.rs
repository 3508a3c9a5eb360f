//! cosign and @sigstore/verify on karat's bundles and keys.

use crate::project::{Bundle, Layout, PASSWORD, Project, json};
use crate::support::{
    Outcome, Skip, command, fail, finish, node_modules, program, repository, succeed,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What a signed build states.
const TYPES: [&str; 3] = [
    "https://sigstore.dev/cosign/sign/v1",
    "https://slsa.dev/provenance/v1",
    "https://spdx.dev/Document",
];

/// The bundles of a signed image, which must be all that are promised.
fn bundles(layout: &Layout) -> Vec<Bundle> {
    let bundles = layout.bundles();
    for descriptor in layout.manifests() {
        let on_it = bundles.iter().filter(|bundle| descriptor["digest"] == *bundle.subject);
        let mut types: Vec<_> = on_it.map(|bundle| bundle.predicate_type.as_str()).collect();
        types.sort_unstable();
        assert_eq!(types, TYPES, "on {}", descriptor["digest"]);
    }
    assert!(bundles.iter().any(|bundle| bundle.subject == layout.digest), "none is on the image");
    bundles
}

/// `cosign verify-blob-attestation`, without a transparency log.
pub(crate) fn cosign_verify(
    cosign: &Path,
    key: &Path,
    file: &Path,
    kind: &str,
    hex: &str,
) -> Command {
    let mut cosign = command(cosign);
    cosign.arg("verify-blob-attestation").arg("--key").arg(key).arg("--bundle").arg(file);
    cosign.args(["--type", kind, "--digest", hex, "--digestAlg", "sha256"]);
    cosign.arg("--insecure-ignore-tlog");
    cosign
}

pub(crate) fn cosign_verifies_every_bundle() -> Outcome {
    let cosign = program("cosign")?;
    let projects = [Project::of_a_c_program()?, Project::of_a_go_program()?];
    for project in projects {
        let layout = project.signed();
        let file = project.path("bundle.json");
        for bundle in bundles(&layout) {
            fs::write(&file, &bundle.bytes).expect("a file");
            let key = project.path("cosign.pub");
            succeed(&mut cosign_verify(&cosign, &key, &file, &bundle.predicate_type, bundle.hex()));
        }
        let reference = format!("oci:{}", layout.path.display());
        succeed(project.karat().args(["verify", &reference, "--key", "cosign.pub"]));
    }
    Ok(())
}

pub(crate) fn cosign_refuses_other_keys_and_other_digests() -> Outcome {
    let cosign = program("cosign")?;
    let project = Project::of_a_c_program()?;
    let layout = project.signed();
    succeed(project.karat().args(["key", "generate", "--output", "other"]));
    let file = project.path("bundle.json");
    let (ours, other) = (project.path("cosign.pub"), project.path("other.pub"));
    for bundle in bundles(&layout) {
        fs::write(&file, &bundle.bytes).expect("a file");
        let kind = &bundle.predicate_type;
        fail(&mut cosign_verify(&cosign, &other, &file, kind, bundle.hex()));
        fail(&mut cosign_verify(&cosign, &ours, &file, kind, &"0".repeat(64)));
        fail(&mut cosign_verify(&cosign, &ours, &file, "https://other.test/type", bundle.hex()));
    }
    let reference = format!("oci:{}", layout.path.display());
    let output = finish(project.karat().args(["verify", &reference, "--key", "other.pub"]));
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

pub(crate) fn cosign_and_karat_read_each_others_keys() -> Outcome {
    let cosign = program("cosign")?;
    let project = Project::of_a_c_program()?;
    let run = |arguments: &[&str], password: &str| {
        let mut cosign = command(&cosign);
        cosign.args(arguments).current_dir(project.path("")).env("COSIGN_PASSWORD", password);
        cosign
    };
    project.key();
    succeed(&mut run(&["generate-key-pair", "--output-key-prefix", "theirs"], PASSWORD));
    let public = succeed(&mut run(&["public-key", "--key", "cosign.key"], PASSWORD));
    assert_eq!(public.as_bytes(), project.read("cosign.pub"), "karat's key, read by cosign");
    fail(&mut run(&["public-key", "--key", "cosign.key"], "wrong"));
    let public = succeed(project.karat().args(["key", "public", "--key", "theirs.key"]));
    assert_eq!(public.as_bytes(), project.read("theirs.pub"), "cosign's key, read by karat");
    let wrong = ["key", "public", "--key", "theirs.key"];
    fail(project.karat().args(wrong).env("COSIGN_PASSWORD", "wrong"));

    // What karat signs with cosign's key, cosign verifies.
    let digest = project.build(&["--sign", "theirs.key", "--output", "oci:layout"]);
    let layout = Layout::open(project.path("layout"), digest);
    let file = project.path("bundle.json");
    for bundle in bundles(&layout) {
        fs::write(&file, &bundle.bytes).expect("a file");
        let key = project.path("theirs.pub");
        succeed(&mut cosign_verify(&cosign, &key, &file, &bundle.predicate_type, bundle.hex()));
    }
    succeed(project.karat().args(["verify", "oci:layout", "--key", "theirs.pub"]));
    Ok(())
}

pub(crate) fn cosign_and_karat_verify_each_others_files() -> Outcome {
    let cosign = program("cosign")?;
    let project = Project::of_a_c_program()?;
    project.key();
    fs::write(project.path("weights"), vec![7; 100_000]).expect("a file");
    fs::write(project.path("other"), "other").expect("a file");
    let run = |arguments: &[&str]| {
        let mut cosign = command(&cosign);
        cosign.args(arguments).current_dir(project.path("")).env("COSIGN_PASSWORD", PASSWORD);
        cosign
    };
    let verify = ["verify-blob", "--key", "cosign.pub", "--insecure-ignore-tlog", "--bundle"];
    let ours = ["sign", "weights", "--key", "cosign.key", "--bundle", "ours.json"];
    succeed(project.karat().args(ours));
    succeed(run(&verify).args(["ours.json", "weights"]));
    fail(run(&verify).args(["ours.json", "other"]));

    // A configuration without services: nothing is sent anywhere.
    let config = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}"#;
    fs::write(project.path("none.json"), config).expect("a file");
    let theirs = ["sign-blob", "--yes", "--key", "cosign.key", "--signing-config", "none.json"];
    succeed(run(&theirs).args(["--bundle", "theirs.json", "weights"]));
    let karat = |file: &str| {
        let mut karat = command(env!("CARGO_BIN_EXE_karat"));
        karat.current_dir(project.path("")).args(["verify", file, "--key", "cosign.pub"]);
        karat.args(["--bundle", "theirs.json"]);
        karat
    };
    succeed(&mut karat("weights"));
    fail(&mut karat("other"));
    Ok(())
}

pub(crate) fn cosign_verifies_what_karat_adds_to_an_image() -> Outcome {
    let cosign = program("cosign")?;
    let project = Project::of_a_c_program()?;
    project.key();
    let digest = project.build(&["--output", "oci:layout"]);
    fs::write(project.path("vex.json"), r#"{"statements":[]}"#).expect("a file");
    let attest = ["attest", "oci:layout", "--type", "openvex", "--predicate", "vex.json"];
    succeed(project.karat().args(attest).args(["--key", "cosign.key"]));
    succeed(project.karat().args(["sign", "oci:layout", "--key", "cosign.key"]));
    let layout = Layout::open(project.path("layout"), digest);
    let file = project.path("bundle.json");
    let mut types = Vec::new();
    for bundle in layout.bundles() {
        fs::write(&file, &bundle.bytes).expect("a file");
        let key = project.path("cosign.pub");
        succeed(&mut cosign_verify(&cosign, &key, &file, &bundle.predicate_type, bundle.hex()));
        types.push(bundle.predicate_type);
    }
    assert_eq!(types, ["https://openvex.dev/ns", TYPES[0]]);
    Ok(())
}

/// `@sigstore/verify`, as `node/verify.js` calls it.
fn sigstore_js(key: &Path, file: &Path, hex: &str) -> Result<Command, Skip> {
    let mut node = command(program("node")?);
    node.env("NODE_PATH", node_modules("@sigstore/verify")?);
    node.arg(repository().join("tests/interop/node/verify.js")).arg(key).arg(file).arg(hex);
    Ok(node)
}

pub(crate) fn sigstore_js_verifies_every_bundle() -> Outcome {
    node_modules("@sigstore/verify")?;
    let project = Project::of_a_c_program()?;
    let file = project.path("bundle.json");
    for bundle in bundles(&project.signed()) {
        fs::write(&file, &bundle.bytes).expect("a file");
        let printed = succeed(&mut sigstore_js(&project.path("cosign.pub"), &file, bundle.hex())?);
        assert_eq!(printed.trim_end(), bundle.predicate_type);
    }
    Ok(())
}

/// A name for what is altered, and how.
type Alteration = (&'static str, fn(&mut Value));

/// What changes the meaning of a bundle.
const ALTERATIONS: [Alteration; 5] = [
    ("payload", |bundle| flip(&mut bundle["dsseEnvelope"]["payload"], 60)),
    ("signature", |bundle| flip(&mut bundle["dsseEnvelope"]["signatures"][0]["sig"], 20)),
    ("payload type", |bundle| bundle["dsseEnvelope"]["payloadType"] = "application/json".into()),
    ("hint", |bundle| bundle["verificationMaterial"]["publicKey"]["hint"] = "other".into()),
    ("envelope", |bundle| drop(bundle.as_object_mut().expect("a bundle").remove("dsseEnvelope"))),
];

/// Changes one bit of what a string holds as base64.
fn flip(text: &mut Value, position: usize) {
    let mut bytes = STANDARD.decode(text.as_str().expect("text")).expect("base64");
    bytes[position] ^= 1;
    *text = STANDARD.encode(bytes).into();
}

pub(crate) fn sigstore_js_refuses_what_was_altered() -> Outcome {
    node_modules("@sigstore/verify")?;
    let project = Project::of_a_c_program()?;
    let layout = project.signed();
    let bundle = &bundles(&layout)[0];
    let file = project.path("bundle.json");
    for (what, alter) in ALTERATIONS {
        let mut altered = json(&bundle.bytes);
        alter(&mut altered);
        fs::write(&file, altered.to_string()).expect("a file");
        let refusal = fail(&mut sigstore_js(&project.path("cosign.pub"), &file, bundle.hex())?);
        assert!(refusal.contains("refused:"), "{what}: {refusal}");
    }
    Ok(())
}

/// The same alterations, in a layout whose digests are right again.
pub(crate) fn karat_refuses_what_was_altered() -> Outcome {
    use crate::project::sha256;
    let project = Project::of_a_c_program()?;
    let layout = project.signed();
    for (what, alter) in ALTERATIONS {
        let store = |bytes: &[u8]| {
            let digest = sha256(bytes);
            let name = digest.trim_start_matches("sha256:");
            fs::write(layout.path.join("blobs/sha256").join(name), bytes).expect("a blob");
            (Value::from(digest.as_str()), Value::from(bytes.len()))
        };
        let mut index = layout.index.clone();
        let entries = index["manifests"].as_array_mut().expect("manifests");
        for entry in entries.iter_mut().skip(1) {
            let mut manifest = layout.document(entry);
            let mut bundle = layout.document(&manifest["layers"][0]);
            alter(&mut bundle);
            let (digest, size) = store(bundle.to_string().as_bytes());
            manifest["layers"][0]["digest"] = digest;
            manifest["layers"][0]["size"] = size;
            let (digest, size) = store(manifest.to_string().as_bytes());
            entry["digest"] = digest;
            entry["size"] = size;
        }
        fs::write(layout.path.join("index.json"), index.to_string()).expect("index.json");
        let output = finish(project.karat().args(["verify", "oci:layout", "--key", "cosign.pub"]));
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{what}: {said}");
    }
    Ok(())
}
