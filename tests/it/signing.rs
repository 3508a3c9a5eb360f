//! Keys, signatures and verification: what was signed is what is there, or karat says no.

use crate::support::elf::Elf;
use crate::support::layout::Layout;
use crate::support::{PASSWORD, Project, copy_folder, digest_of, keys, recipe_on};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// A project with signed layouts in it, made once: `one` of a platform, `two` of two
/// platforms, `other` of another program, `plain` without signatures, `one.tar`.
pub(crate) fn signed() -> &'static Project {
    static SIGNED: OnceLock<Project> = OnceLock::new();
    SIGNED.get_or_init(|| {
        let project = Project::new().with_keys();
        project.write("amd64/app", Elf::default().build());
        project.write("arm64/app", Elf::arm64().build());
        project.write("other-app", Elf::with("other").build());
        let two = "platforms = [\"linux/amd64\", \"linux/arm64\"]\n";
        project.write("one.karat.toml", recipe_on("scratch", "", "one", "amd64/app"));
        project.write("two.karat.toml", recipe_on("scratch", two, "two", "{arch}/app"));
        project.write("other.karat.toml", recipe_on("scratch", "", "one", "other-app"));
        let sign = "--sign cosign.key";
        project
            .signed(&format!(
                "build one.karat.toml {sign} --output oci:one --output archive:one.tar"
            ))
            .exits(0);
        project.signed(&format!("build two.karat.toml {sign} --output oci:two")).exits(0);
        project.signed(&format!("build other.karat.toml {sign} --output oci:other")).exits(0);
        project.done("build one.karat.toml --output oci:plain");
        project
    })
}

/// A copy of one of the signed layouts, to be tampered with.
struct Copy(Project);

impl Copy {
    fn of(name: &str) -> Self {
        let project = Project::new();
        copy_folder(&signed().path(name), &project.path("layout"));
        project.write("cosign.pub", &keys().1);
        Self(project)
    }

    fn layout(&self) -> Layout {
        self.0.layout("layout")
    }

    fn verify(&self, further: &str) -> crate::support::Output {
        self.0.run(&format!("verify oci:layout --key cosign.pub {further}"))
    }

    fn flip(&self, digest: &Value) {
        let path = self.layout().blob_path(digest.as_str().expect("a digest"));
        flip(&path, fs::metadata(&path).expect("a blob").len() as usize / 2);
    }

    fn edit_index(&self, edit: impl FnOnce(&mut Vec<Value>)) {
        let mut index = self.layout().index();
        edit(index["manifests"].as_array_mut().expect("manifests"));
        self.0.write("layout/index.json", index.to_string());
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("a file");
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("a file");
}

#[test]
fn key_generate_writes_a_pair_in_the_format_of_cosign() {
    let project = Project::new();
    let output = project.signed("key generate").exits(0);
    assert_eq!(project.names("."), [".git", "cosign.key", "cosign.pub"]);
    let private = String::from_utf8(project.read("cosign.key")).expect("PEM");
    assert!(private.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"), "{private}");
    let public = String::from_utf8(project.read("cosign.pub")).expect("PEM");
    assert!(public.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{public}");
    assert!(public.ends_with("-----END PUBLIC KEY-----\n"));
    assert_eq!(output.stdout, "");
    let shown = project.signed("key public --key cosign.key").exits(0);
    assert_eq!(shown.stdout, public);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path| fs::metadata(project.path(path)).expect("a key").permissions().mode();
        assert_eq!(mode("cosign.key") & 0o777, 0o600);
        assert_eq!(mode("cosign.pub") & 0o777, 0o644);
    }
}

#[test]
fn key_generate_never_overwrites() {
    for existing in ["cosign.key", "cosign.pub"] {
        let project = Project::new();
        project.write(existing, "precious");
        project.signed("key generate").exits(2).says(&[existing]);
        assert_eq!(project.read(existing), b"precious");
        assert_eq!(project.names("."), [".git", existing]);
    }
}

#[test]
fn key_generate_takes_a_prefix() {
    let project = Project::new();
    fs::create_dir(project.path("keys")).expect("a folder");
    project.signed("key generate --output keys/release.v1").exits(0);
    assert_eq!(project.names("keys"), ["release.v1.key", "release.v1.pub"]);
}

#[test]
fn two_generated_keys_differ() {
    let project = Project::new();
    project.signed("key generate").exits(0);
    assert_ne!(String::from_utf8(project.read("cosign.pub")).expect("PEM"), keys().1);
}

#[test]
fn key_without_password_and_terminal_is_wrong_input_with_a_hint() {
    let project = Project::small().with_keys();
    project.run("build --sign cosign.key").exits(2).says(&["password", "COSIGN_PASSWORD"]);
    project.run("key generate --output other").exits(2).says(&["COSIGN_PASSWORD"]);
    assert!(!project.path("dist").exists() && !project.path("other.key").exists());
}

#[test]
fn wrong_password_is_wrong_input() {
    let project = Project::small().with_keys();
    let output = project.karat(&["build", "--sign", "cosign.key"]).env("COSIGN_PASSWORD", "wrong");
    output.run().exits(2).says(&["cosign.key", "password"]);
    assert!(!project.path("dist").exists());
}

#[test]
fn what_is_no_key_is_wrong_input() {
    let project = Project::small().with_keys();
    project.write("text", "no key");
    project.signed("build --sign text").exits(2);
    project.signed("build --sign nowhere.key").exits(2).says(&["karat key generate"]);
    project.signed("build --sign cosign.pub").exits(2);
    project.signed("build --sign .").exits(2);
    project.done("build");
    project.run("verify oci:dist/app/image --key text").exits(2);
    project.run("verify oci:dist/app/image --key nowhere").exits(2);
    project.run("verify oci:dist/app/image").exits(2);
}

#[test]
fn password_shows_nowhere() {
    let project = Project::small().with_keys();
    let output = project.signed("build --sign cosign.key --format json").exits(0);
    assert!(!output.stdout.contains(PASSWORD) && !output.stderr.contains(PASSWORD));
    for (name, bytes) in project.dist("app").files() {
        assert!(!String::from_utf8_lossy(&bytes).contains(PASSWORD), "{name}");
    }
}

#[test]
fn signed_image_is_verified() {
    let project = signed();
    let digest = project.layout("one").image(None)["digest"].as_str().expect("one").to_owned();
    let output = project.done("verify oci:one --key cosign.pub");
    let output = output.prints(&["accepted", &digest, "signature", "sbom", "provenance"]);
    assert!(!output.stdout.contains("MISSING"), "{}", output.stdout);
    project.done("verify one --key cosign.pub");
    project.done("verify oci:two --key cosign.pub");
}

#[test]
fn verification_as_json_is_one_document() {
    let document = signed().done("verify oci:one --key cosign.pub --format json").json();
    assert_eq!(document["verdict"], "accepted");
    let plain = signed().run("verify oci:plain --key cosign.pub --format json").exits(1).json();
    assert_eq!(plain["verdict"], "rejected");
}

#[test]
fn archive_is_verified_too() {
    let project = Project::new();
    project.write("cosign.pub", &keys().1);
    project.write("one.tar", signed().read("one.tar"));
    project.done("verify archive:one.tar --key cosign.pub").prints(&["accepted"]);
    project.done("verify one.tar --key cosign.pub");
    // One changed byte in the middle of each blob.
    let bytes = signed().read("one.tar");
    let mut archive = tar::Archive::new(&bytes[..]);
    let blobs: Vec<_> = archive
        .entries()
        .expect("a tar")
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path_bytes().starts_with(b"blobs/") && entry.size() > 2)
        .map(|entry| (entry.raw_file_position() + entry.size() / 2) as usize)
        .collect();
    assert!(blobs.len() >= 9, "{blobs:?}");
    for at in blobs {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        project.write("changed.tar", changed);
        project.run("verify archive:changed.tar --key cosign.pub").exits(1).prints(&["rejected"]);
    }
}

#[test]
fn other_key_is_rejected() {
    let project = Copy::of("one").0;
    project.signed("key generate --output other").exits(0);
    project.run("verify oci:layout --key other.pub").exits(1).prints(&["rejected", "MISSING"]);
}

#[test]
fn unsigned_image_is_rejected_and_what_is_missing_is_named() {
    let output = signed().run("verify oci:plain --key cosign.pub").exits(1);
    for statement in ["signature", "sbom", "provenance"] {
        let line = output.stdout.lines().find(|line| line.trim_start().starts_with(statement));
        assert!(line.is_some_and(|line| line.contains("MISSING")), "{}", output.stdout);
    }
}

#[test]
fn changed_byte_anywhere_is_rejected_and_named() {
    let whole = signed().layout("one");
    let image = whole.image(None);
    let manifest = whole.manifest();
    let parts = [&image["digest"], &manifest["config"]["digest"], &manifest["layers"][0]["digest"]];
    for digest in parts {
        let copy = Copy::of("one");
        copy.flip(digest);
        let output = copy.verify("").exits(1);
        output.prints(&["rejected", digest.as_str().expect("a digest")]);
    }
    for referrer in whole.referrers() {
        let bundle = &whole.document(&referrer)["layers"][0]["digest"];
        for digest in [&referrer["digest"], bundle] {
            let copy = Copy::of("one");
            copy.flip(digest);
            let output = copy.verify("").exits(1);
            output.prints(&["rejected", "MISSING", digest.as_str().expect("a digest")]);
        }
    }
}

#[test]
fn lost_blob_is_rejected_and_named() {
    let manifest = signed().layout("one").manifest();
    for digest in [&manifest["config"]["digest"], &manifest["layers"][0]["digest"]] {
        let copy = Copy::of("one");
        let digest = digest.as_str().expect("a digest");
        fs::remove_file(copy.layout().blob_path(digest)).expect("a blob");
        copy.verify("").exits(1).prints(&["rejected", digest]);
    }
}

#[test]
fn cut_and_lengthened_blobs_are_rejected() {
    let layer = signed().layout("one").manifest()["layers"][0]["digest"].clone();
    for change in [-1_i64, 1] {
        let copy = Copy::of("one");
        let path = copy.layout().blob_path(layer.as_str().expect("a digest"));
        let mut bytes = fs::read(&path).expect("a blob");
        match change {
            1 => bytes.push(0),
            _ => bytes.truncate(bytes.len() - 1),
        }
        fs::write(&path, bytes).expect("a blob");
        copy.verify("").exits(1).prints(&[layer.as_str().expect("a digest")]);
    }
}

#[test]
fn index_that_names_another_digest_is_rejected() {
    let copy = Copy::of("one");
    let other = digest_of(b"another image");
    copy.edit_index(|manifests| manifests[0]["digest"] = json!(other));
    copy.verify("").exits(1);
    // The other image's manifest is there, under the name of this one.
    let copy = Copy::of("one");
    copy_folder(&signed().path("other"), &copy.0.path("layout-other"));
    let other = copy.0.layout("layout-other");
    let image = other.image(None);
    for name in other.files().keys().filter(|name| name.len() == 64) {
        fs::copy(
            other.blob_path(&format!("sha256:{name}")),
            copy.layout().blob_path(&format!("sha256:{name}")),
        )
        .expect("a copy");
    }
    copy.edit_index(|manifests| manifests[0] = image);
    copy.verify("").exits(1).prints(&["MISSING"]);
}

#[test]
fn index_that_is_no_json_is_never_accepted() {
    for text in
        ["", "{", "[]", "null", "{\"schemaVersion\":2}", "{\"schemaVersion\":2,\"manifests\":[]}"]
    {
        let copy = Copy::of("one");
        copy.0.write("layout/index.json", text);
        let code = copy.verify("").code;
        assert!(code == 1 || code == 2, "{text}: {code}");
    }
}

#[test]
fn lost_referrer_is_rejected_and_its_statement_named() {
    let whole = signed().layout("one");
    let mut named = Vec::new();
    for number in 1..=whole.referrers().len() {
        let copy = Copy::of("one");
        copy.edit_index(|manifests| {
            manifests.remove(number);
        });
        let output = copy.verify("").exits(1);
        let missing: Vec<_> =
            output.stdout.lines().filter(|line| line.contains("MISSING")).collect();
        assert_eq!(missing.len(), 1, "{}", output.stdout);
        named.extend(missing[0].split_whitespace().next().map(str::to_owned));
    }
    named.sort();
    assert_eq!(named, ["provenance", "sbom", "signature"]);
}

#[test]
fn referrers_of_another_image_do_not_count() {
    let copy = Copy::of("one");
    let other = signed().layout("other");
    for name in other.files().keys().filter(|name| name.len() == 64) {
        let digest = format!("sha256:{name}");
        fs::copy(other.blob_path(&digest), copy.layout().blob_path(&digest)).expect("a copy");
    }
    let referrers = other.referrers();
    copy.edit_index(|manifests| {
        manifests.truncate(1);
        manifests.extend(referrers);
    });
    let output = copy.verify("").exits(1);
    assert_eq!(output.stdout.matches("MISSING").count(), 3, "{}", output.stdout);
}

#[test]
fn bundle_of_another_image_behind_a_forged_subject_does_not_count() {
    // A referrer that says it is about this image, around a bundle that was signed for another.
    let copy = Copy::of("one");
    let (layout, other) = (copy.layout(), signed().layout("other"));
    let image = layout.image(None);
    let mut forged = Vec::new();
    for referrer in other.referrers() {
        let mut manifest = other.document(&referrer);
        for part in [manifest["config"].clone(), manifest["layers"][0].clone()] {
            fs::write(layout.blob_path(part["digest"].as_str().expect("one")), other.blob(&part))
                .expect("a blob");
        }
        manifest["subject"]["digest"] = image["digest"].clone();
        manifest["subject"]["size"] = image["size"].clone();
        let bytes = manifest.to_string();
        fs::write(layout.blob_path(&digest_of(bytes.as_bytes())), &bytes).expect("a blob");
        let mut descriptor = referrer.clone();
        descriptor["digest"] = json!(digest_of(bytes.as_bytes()));
        descriptor["size"] = json!(bytes.len());
        forged.push(descriptor);
    }
    copy.edit_index(|manifests| {
        manifests.truncate(1);
        manifests.extend(forged);
    });
    let output = copy.verify("").exits(1);
    assert_eq!(output.stdout.matches("MISSING").count(), 3, "{}", output.stdout);
}

#[test]
fn annotations_that_claim_another_statement_do_not_count() {
    // Only the signature is left, and its annotations say that it is everything.
    let copy = Copy::of("one");
    copy.edit_index(|manifests| {
        let types: Vec<_> = manifests[2..].iter().map(|one| one["annotations"].clone()).collect();
        manifests.truncate(2);
        let only = manifests[1].clone();
        for annotations in types {
            let mut claim = only.clone();
            claim["annotations"] = annotations;
            manifests.push(claim);
        }
    });
    let output = copy.verify("").exits(1);
    assert_eq!(output.stdout.matches("MISSING").count(), 2, "{}", output.stdout);
}

#[test]
fn require_narrows_what_must_be_signed() {
    let copy = Copy::of("one");
    // Whichever statement is left, one requirement is met by it alone.
    copy.edit_index(|manifests| manifests.truncate(2));
    copy.verify("").exits(1);
    let met: Vec<_> = ["signature", "sbom", "provenance"]
        .into_iter()
        .filter(|one| copy.verify(&format!("--require {one}")).code == 0)
        .collect();
    assert_eq!(met.len(), 1, "{met:?}");
    copy.verify("--require signature,sbom,provenance").exits(1);
    copy.verify("--require nonsense").exits(2);
    signed().run("verify oci:plain --key cosign.pub --require signature").exits(1);
}

#[test]
fn each_platform_needs_its_own_statements() {
    let whole = signed().layout("two");
    let platforms = whole.platforms(None);
    assert_eq!(whole.referrers().len(), 9, "three statements on the index and on each platform");
    for platform in &platforms {
        for number in 1..=whole.referrers().len() {
            let referrer = &whole.entries()[number];
            if whole.document(referrer)["subject"]["digest"] != platform["digest"] {
                continue;
            }
            let copy = Copy::of("two");
            copy.edit_index(|manifests| {
                manifests.remove(number);
            });
            let output = copy.verify("").exits(1);
            assert_eq!(output.stdout.matches("MISSING").count(), 1, "{}", output.stdout);
        }
    }
}

#[test]
fn changed_layer_of_the_second_platform_is_rejected() {
    let whole = signed().layout("two");
    let second = whole.document(&whole.platforms(None)[1]);
    let copy = Copy::of("two");
    copy.flip(&second["layers"][0]["digest"]);
    copy.verify("").exits(1).prints(&[second["layers"][0]["digest"].as_str().expect("a digest")]);
}

#[test]
fn verify_of_what_is_not_there_is_wrong_input() {
    let project = Copy::of("one").0;
    for reference in ["oci:nowhere", "nowhere", "oci:layout:notag", "cosign.pub"] {
        let output = project.run(&format!("verify {reference} --key cosign.pub"));
        assert_eq!(output.code, 2, "{reference}: {}{}", output.stdout, output.stderr);
    }
}

#[test]
fn bundle_is_a_sigstore_bundle_about_the_image() {
    use base64::Engine as _;
    let layout = signed().layout("one");
    let image = layout.image(None);
    let mut kinds = Vec::new();
    for referrer in layout.referrers() {
        let manifest = layout.document(&referrer);
        assert_eq!(manifest["subject"]["digest"], image["digest"]);
        assert_eq!(manifest["subject"]["size"], image["size"]);
        assert_eq!(manifest["artifactType"], referrer["artifactType"]);
        let layer = &manifest["layers"][0];
        assert_eq!(layer["mediaType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
        let bundle = layout.document(layer);
        assert_eq!(bundle["mediaType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
        let payload = bundle["dsseEnvelope"]["payload"].as_str().expect("a payload");
        let payload = base64::engine::general_purpose::STANDARD.decode(payload).expect("base64");
        let statement: Value = serde_json::from_slice(&payload).expect("a statement");
        let hex = image["digest"].as_str().expect("a digest").trim_start_matches("sha256:");
        assert_eq!(statement["subject"][0]["digest"]["sha256"], hex);
        kinds.push(statement["predicateType"].as_str().expect("a type").to_owned());
    }
    kinds.sort();
    assert_eq!(
        kinds,
        [
            "https://sigstore.dev/cosign/sign/v1",
            "https://slsa.dev/provenance/v1",
            "https://spdx.dev/Document"
        ]
    );
}

#[test]
fn changed_statement_or_signature_in_a_bundle_is_rejected() {
    // The blobs are consistent, so that only the signature can tell.
    let whole = signed().layout("one");
    for part in ["payload", "signature", "type"] {
        let copy = Copy::of("one");
        let layout = copy.layout();
        let referrers = whole.referrers();
        let mut forged = Vec::new();
        for referrer in &referrers {
            let mut manifest = layout.document(referrer);
            let mut bundle = layout.document(&manifest["layers"][0]);
            let envelope = &mut bundle["dsseEnvelope"];
            match part {
                "payload" => {
                    let text = envelope["payload"].as_str().expect("a payload").to_owned();
                    // The first byte of the statement, `{`, becomes `{ ` plus the rest: other bytes.
                    use base64::Engine as _;
                    let engine = base64::engine::general_purpose::STANDARD;
                    let mut bytes = engine.decode(text).expect("base64");
                    bytes.insert(1, b' ');
                    envelope["payload"] = json!(engine.encode(bytes));
                }
                "signature" => {
                    let text = envelope["signatures"][0]["sig"].as_str().expect("one").to_owned();
                    let at = text.len() / 2;
                    let other = if &text[at..=at] == "A" { "B" } else { "A" };
                    let text = format!("{}{other}{}", &text[..at], &text[at + 1..]);
                    envelope["signatures"][0]["sig"] = json!(text);
                }
                _ => envelope["payloadType"] = json!("application/json"),
            }
            let bytes = bundle.to_string();
            fs::write(layout.blob_path(&digest_of(bytes.as_bytes())), &bytes).expect("a blob");
            manifest["layers"][0]["digest"] = json!(digest_of(bytes.as_bytes()));
            manifest["layers"][0]["size"] = json!(bytes.len());
            let bytes = manifest.to_string();
            fs::write(layout.blob_path(&digest_of(bytes.as_bytes())), &bytes).expect("a blob");
            let mut descriptor = referrer.clone();
            descriptor["digest"] = json!(digest_of(bytes.as_bytes()));
            descriptor["size"] = json!(bytes.len());
            forged.push(descriptor);
        }
        copy.edit_index(|manifests| {
            manifests.truncate(1);
            manifests.extend(forged);
        });
        let output = copy.verify("").exits(1);
        assert_eq!(output.stdout.matches("MISSING").count(), 3, "{part}: {}", output.stdout);
    }
}

#[test]
fn what_is_no_key_is_refused_before_it_is_read() {
    let project = Project::small();
    std::fs::create_dir(project.path("folder.key")).expect("a folder");
    let huge = std::fs::File::create(project.path("huge.key")).expect("a file");
    huge.set_len(1 << 30).expect("a sparse file");
    for (key, says) in [
        ("folder.key", "no regular file"),
        ("/dev/zero", "no regular file"),
        ("huge.key", "which no key file is"),
        ("nothing.key", "cannot be read"),
    ] {
        project.signed(&format!("build --sign {key}")).exits(2).says(&[key, says]);
        project.signed(&format!("key public --key {key}")).exits(2).says(&[key, says]);
    }
}
