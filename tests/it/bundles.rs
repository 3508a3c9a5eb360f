//! Bundles over files and digests, and signatures and statements that are added to an image
//! that is there already.

use crate::support::elf::Elf;
use crate::support::registry::{Registry, Ways};
use crate::support::{PASSWORD, Project, digest_of, keys, recipe_on};
use serde_json::{Value, json};
use std::fs;

/// A project with keys and a layout of two platforms that nobody has signed.
fn project() -> Project {
    let project = Project::new().with_keys();
    project.write("amd64/app", Elf::default().build());
    project.write("arm64/app", Elf::arm64().build());
    let platforms = "platforms = [\"linux/amd64\", \"linux/arm64\"]\n";
    project.write("app.karat.toml", recipe_on("scratch", platforms, "app", "{arch}/app"));
    project.done("build app.karat.toml --output oci:image");
    project
}

/// A project with keys, a file and its bundle.
fn signed_file() -> Project {
    let project = Project::new().with_keys();
    project.write("weights", vec![7; 300_000]);
    project.signed("sign weights --key cosign.key --bundle weights.json").exits(0);
    project
}

#[test]
fn file_is_signed_and_verified_by_path_and_by_digest() {
    let project = signed_file();
    let digest = digest_of(&project.read("weights"));
    let by_path = project.done("verify weights --bundle weights.json --key cosign.pub");
    by_path.prints(&["accepted", &digest, "the bytes of the file", "not in a log"]);
    project.done(&format!("verify {digest} --bundle weights.json --key cosign.pub"));
    let again = project.read("weights.json");
    project.signed(&format!("sign {digest} --key cosign.key --bundle weights.json")).exits(0);
    assert_eq!(project.read("weights.json"), again);
    project.is_tidy();
}

#[test]
fn key_may_come_from_the_environment() {
    let project = signed_file();
    let line = ["sign", "weights", "--key", "env://KEY", "--bundle", "env.json"];
    let run =
        project.karat(&line).env("KEY", &keys().0).env("COSIGN_PASSWORD", crate::support::PASSWORD);
    run.run().exits(0);
    assert_eq!(project.read("env.json"), project.read("weights.json"));
    let line = ["verify", "weights", "--key", "env://PUB", "--bundle", "env.json"];
    project.karat(&line).env("PUB", &keys().1).run().exits(0);
    project.run("verify weights --key env://NONE --bundle env.json").exits(2).says(&["NONE"]);
    project
        .run("verify weights --key awskms://x --bundle env.json")
        .exits(2)
        .says(&["sigstore-kms-awskms", "PATH"]);
}

#[test]
fn what_is_not_what_was_signed_is_rejected_for_what_it_is() {
    let project = signed_file();
    project.write("other", "other");
    project.signed("key generate --output other").exits(0);
    let bundle: Value = project.json("weights.json");
    let changed = |name: &str, pointer: &str, value: Value| {
        let mut bundle = bundle.clone();
        *bundle.pointer_mut(pointer).expect(pointer) = value;
        project.write(name, bundle.to_string());
    };
    let other_signature = json!(
        "MEUCIQDxnAFd9Ks0h7i3iNTXOBjJXrYuKuYYw+k3cXkBEBbH3QIgV/9sZT1F3p9Gv5E0gcoeZ2mZ1K6kX7AjGYuYZ1X5GJ4="
    );
    changed("signature.json", "/messageSignature/signature", other_signature);
    changed("hint.json", "/verificationMaterial/publicKey/hint", json!("AAAA"));
    changed("digest.json", "/messageSignature/messageDigest/digest", json!("AAAA"));
    changed("type.json", "/mediaType", json!("application/vnd.dev.sigstore.bundle.v0.4+json"));
    project.write("text.json", "hello");
    let twice = String::from_utf8(project.read("weights.json")).expect("text");
    project.write("twice.json", twice.replacen('{', "{\"mediaType\":\"\",", 1));
    project.write("deep.json", "[".repeat(100_000));
    for (file, bundle, key, reason) in [
        ("other", "weights.json", "cosign.pub", "artifact"),
        ("weights", "weights.json", "other.pub", "key"),
        ("weights", "signature.json", "cosign.pub", "signature"),
        ("weights", "hint.json", "cosign.pub", "key"),
        ("weights", "digest.json", "cosign.pub", "artifact"),
        ("weights", "type.json", "cosign.pub", "bundle"),
        ("weights", "text.json", "cosign.pub", "bundle"),
        ("weights", "twice.json", "cosign.pub", "bundle"),
        ("weights", "deep.json", "cosign.pub", "bundle"),
    ] {
        let line = format!("verify {file} --bundle {bundle} --key {key} --format json");
        let answer = project.run(&line).exits(1).json();
        assert_eq!(answer["verdict"], "rejected", "{answer}");
        assert_eq!(answer["reason"], reason, "{bundle}: {answer}");
    }
    let line = "verify weights --bundle weights.json --identity me@example.org --issuer https://issuer.example --format json";
    assert_eq!(project.run(line).exits(1).json()["reason"], "key");
    let line =
        "verify weights --bundle weights.json --key cosign.pub --type https://spdx.dev/Document";
    project.run(line).exits(1).prints(&["rejected", "the bytes of the file"]);
}

#[test]
fn arguments_that_make_no_sense_are_wrong_input() {
    let project = signed_file();
    project.write("root.json", "{}");
    let long = fs::File::create(project.path("long.json")).expect("a file");
    long.set_len(100 << 20).expect("a sparse file");
    for (line, words) in [
        ("verify weights --bundle weights.json", &["--key"][..]),
        ("verify weights --bundle weights.json --identity me", &["--issuer"]),
        (
            "verify weights --bundle weights.json --key cosign.pub --identity me --issuer u",
            &["--key"],
        ),
        (
            "verify weights --bundle weights.json --identity-regexp ( --issuer u",
            &["--identity-regexp"],
        ),
        (
            "verify weights --bundle weights.json --identity-regexp x)|(?:.* --issuer u",
            &["--identity-regexp"],
        ),
        ("verify weights --bundle nowhere.json --key cosign.pub", &["nowhere.json"]),
        ("verify nowhere --bundle weights.json --key cosign.pub", &["nowhere", "sha256:HEX"]),
        ("verify . --bundle weights.json --key cosign.pub", &["regular file"]),
        ("verify /dev/zero --bundle weights.json --key cosign.pub", &["regular file"]),
        ("verify weights --bundle /dev/zero --key cosign.pub", &["regular file"]),
        ("verify weights --bundle long.json --key cosign.pub", &["longer than"]),
        ("verify weights --bundle weights.json --key .", &["regular file"]),
        ("verify weights --bundle weights.json --key long.json", &["longer than"]),
        (
            "verify weights --bundle weights.json --key cosign.pub --trusted-root root.json",
            &["root of trust"],
        ),
        ("verify weights --key cosign.pub", &["--bundle"]),
    ] {
        project.run(line).exits(2).says(words);
    }
}

#[test]
fn signing_an_image_again_adds_nothing_and_changes_no_digest() {
    let project = project();
    let before = project.layout("image").image(None)["digest"].clone();
    project.run("verify oci:image --key cosign.pub --require signature").exits(1);
    project.signed("sign oci:image --key cosign.key").exits(0).says(&["added 3"]);
    assert_eq!(project.layout("image").image(None)["digest"], before);
    project.done("verify oci:image --key cosign.pub --require signature");
    project.run("verify oci:image --key cosign.pub").exits(1).prints(&["sbom        MISSING"]);
    let index = project.read("image/index.json");
    project.signed("sign oci:image --key cosign.key").exits(0).says(&["nothing was added"]);
    assert_eq!(project.read("image/index.json"), index);
    project.layout("image").is_whole();
}

#[test]
fn statements_of_others_are_added_and_those_of_karat_are_not() {
    let project = project();
    project.write("vex.json", r#"{"statements":[]}"#);
    project
        .signed("attest oci:image --type openvex --predicate vex.json --key cosign.key")
        .exits(0);
    let line = "verify oci:image --key cosign.pub --require signature";
    // A statement is no signature.
    project.run(line).exits(1).prints(&["signature   MISSING", "https://openvex.dev/ns"]);
    let line = |kind: &str| {
        format!("attest oci:image --type {kind} --predicate vex.json --key cosign.key")
    };
    for kind in [
        "slsaprovenance1",
        "https://sigstore.dev/cosign/sign/v1",
        "HTTPS://SIGSTORE.DEV/cosign/sign/v1",
        "https://slsa.dev/provenance/v1",
        "https://slsa.dev/verification_summary/v1",
        "https://in-toto.io/attestation/test-result/v0.1",
        "https://in-toto.io/attestation/vulns/v0.2",
    ] {
        project.signed(&line(kind)).exits(2).says(&["by karat alone"]);
    }
    project.signed(&line("nonsense")).exits(2).says(&["nonsense"]);
    for (text, words) in
        [("[]", "another value"), ("{\"a\":1,\"a\":2}", "duplicate key"), ("{", "no JSON")]
    {
        project.write("vex.json", text);
        project.signed(&line("openvex")).exits(2).says(&[words]);
    }
    assert_eq!(project.layout("image").referrers().len(), 3);
}

#[test]
fn what_is_in_a_registry_is_signed_there() {
    for referrers in [true, false] {
        let registry = Registry::start(Ways { referrers, ..Ways::default() });
        let project = project();
        project.write("vex.json", r#"{"statements":[]}"#);
        let run = |line: &str| {
            let args: Vec<_> = line.split_whitespace().collect();
            project
                .karat(&args)
                .env("COSIGN_PASSWORD", PASSWORD)
                .env("KARAT_HTTP_TIMEOUT", "1")
                .env("HOME", project.outside())
                .run()
        };
        let (host, root) = (registry.host(), text(&project.layout("image").image(None)["digest"]));
        let place = format!("docker://{host}/up/app@{root}");
        run(&format!("push oci:image docker://{host}/up/app:v1")).exits(0);
        run(&format!("verify {place} --key cosign.pub --require signature")).exits(1);
        let tag = registry.repository("up/app").tags["v1"].clone();
        registry.server.forget();
        run(&format!("sign {place} --key cosign.key")).exits(0).says(&["added 3"]);
        let read = registry.server.lines();
        for layer in layers(&project) {
            let fetched = read.iter().find(|line| line.starts_with("GET") && line.contains(&layer));
            assert_eq!(fetched, None);
        }
        let held = registry.repository("up/app");
        assert_eq!(held.tags["v1"], tag);
        run(&format!("verify {place} --key cosign.pub --require signature")).exits(0);
        let line = format!("attest docker://{host}/up/app:v1 --type openvex --key cosign.key");
        run(&format!("{line} --predicate vex.json")).exits(0).says(&["leads to", "added 3"]);
        let after = registry.repository("up/app");
        run(&format!("sign {place} --key cosign.key")).exits(0).says(&["nothing was added"]);
        assert_eq!(registry.repository("up/app").manifests, after.manifests);
        // A registry that the policy does not know is not written to.
        project.write(
            "karat-policy.toml",
            "[policy]\nname = \"p\"\n[registry]\npublish = \"other.example/golden\"\n",
        );
        run(&format!("sign {place} --key cosign.key"))
            .exits(1)
            .says(&["does not let anything be written"]);
        assert_eq!(registry.repository("up/app").manifests, after.manifests);
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// The digests of all layers of `image`.
fn layers(project: &Project) -> Vec<String> {
    let layout = project.layout("image");
    let of_one = |one: &Value| layout.document(one)["layers"].as_array().expect("layers").clone();
    let layers: Vec<_> = layout.platforms(None).iter().flat_map(of_one).collect();
    assert!(!layers.is_empty());
    layers.iter().map(|one| text(&one["digest"])).collect()
}

#[test]
fn damaged_image_is_not_signed() {
    let project = project();
    let layout = project.layout("image");
    let platform = layout.platforms(None)[0].clone();
    let layer =
        layout.document(&platform)["layers"][0]["digest"].as_str().expect("a layer").to_owned();
    let path = layout.blob_path(&layer);
    let mut bytes = fs::read(&path).expect("the layer");
    bytes[20] ^= 1;
    fs::write(&path, bytes).expect("a change");
    let code = project.signed("sign oci:image --key cosign.key").code;
    assert_ne!(code, 0);
    assert_eq!(project.layout("image").referrers().len(), 0);
    project.signed("sign oci:nowhere --key cosign.key").exits(2);
    project.signed("sign archive:x.tar --key cosign.key").exits(2).says(&["no layout"]);
}
