//! Signatures and attestations in cosign's old form, in layouts, registries and under bases.

use crate::registry::run;
use crate::signing::signed;
use crate::support::registry::{Registry, Ways};
use crate::support::{PASSWORD, Project, copy_folder, digest_of, keys};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karat::signature::PrivateKey;
use serde_json::{Value, json};
use std::fs;

const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// A layer: media type, bytes and annotations.
type Layer = (&'static str, Vec<u8>, Value);

fn key() -> PrivateKey {
    PrivateKey::from_encrypted_pem(&keys().0, PASSWORD.as_bytes()).expect("a key")
}

fn payload(subject: &str) -> String {
    format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"reg.example/app"}},"image":{{"docker-manifest-digest":"{subject}"}},"type":"cosign container image signature"}},"optional":null}}"#
    )
}

fn sign(bytes: &[u8]) -> String {
    STANDARD.encode(key().sign(bytes).expect("a signature"))
}

/// A layer as cosign signs one.
fn signature(subject: &str) -> Layer {
    let bytes = payload(subject).into_bytes();
    let annotations = json!({ SIGNATURE: sign(&bytes) });
    (SIMPLE_SIGNING, bytes, annotations)
}

/// A project with a copy of a signed layout, of which only the image is left, and the envelopes
/// that referred to each digest.
fn bare(name: &str) -> (Project, Vec<(String, Vec<u8>)>) {
    let project = Project::new().with_keys();
    copy_folder(&signed().path(name), &project.path("layout"));
    let layout = project.layout("layout");
    let mut envelopes = Vec::new();
    for referrer in layout.referrers() {
        let manifest = layout.document(&referrer);
        let bundle = layout.document(&manifest["layers"][0]);
        let subject = manifest["subject"]["digest"].as_str().expect("a subject").to_owned();
        envelopes.push((subject, bundle["dsseEnvelope"].to_string().into_bytes()));
    }
    let mut index = layout.index();
    index["manifests"].as_array_mut().expect("manifests").truncate(1);
    project.write("layout/index.json", index.to_string());
    (project, envelopes)
}

/// Puts a manifest with these layers into the layout, under a name or as `cosign save` does.
fn put(project: &Project, annotations: &Value, layers: &[Layer]) {
    let layout = project.layout("layout");
    let store = |bytes: &[u8]| {
        let digest = digest_of(bytes);
        fs::write(layout.blob_path(&digest), bytes).expect("a blob");
        (digest, bytes.len())
    };
    let (config, size) = store(b"{}");
    let layers: Vec<_> = layers
        .iter()
        .map(|(media_type, bytes, annotations)| {
            let (digest, size) = store(bytes);
            json!({ "mediaType": media_type, "digest": digest, "size": size, "annotations": annotations })
        })
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": size },
        "layers": layers,
    });
    let (digest, size) = store(manifest.to_string().as_bytes());
    let mut index = layout.index();
    index["manifests"].as_array_mut().expect("manifests").push(json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest,
        "size": size,
        "annotations": annotations,
    }));
    project.write("layout/index.json", index.to_string());
}

fn tagged(subject: &str, end: &str) -> Value {
    json!({ "org.opencontainers.image.ref.name": format!("{}.{end}", subject.replace(':', "-")) })
}

/// The digests of the layout: the image, and the platforms of an index.
fn subjects(project: &Project) -> Vec<String> {
    let layout = project.layout("layout");
    let root = layout.entries()[0].clone();
    let digest = |one: &Value| one["digest"].as_str().expect("a digest").to_owned();
    let mut subjects = vec![digest(&root)];
    if root["mediaType"].as_str().expect("a type").contains("index") {
        let index = layout.document(&root);
        subjects.extend(index["manifests"].as_array().expect("manifests").iter().map(digest));
    }
    subjects
}

/// Signs everything in the layout as cosign did before bundles.
fn sign_all(project: &Project, envelopes: &[(String, Vec<u8>)]) {
    for subject in subjects(project) {
        put(project, &tagged(&subject, "sig"), &[signature(&subject)]);
        let of_subject = envelopes.iter().filter(|(about, _)| *about == subject);
        let layers: Vec<Layer> = of_subject
            .map(|(_, bytes)| (ENVELOPE, bytes.clone(), json!({ SIGNATURE: "" })))
            .collect();
        assert!(!layers.is_empty(), "{subject}");
        put(project, &tagged(&subject, "att"), &layers);
    }
}

#[test]
fn the_old_form_counts_in_layouts() {
    for name in ["one", "two"] {
        let (project, envelopes) = bare(name);
        let verify = "verify oci:layout --key cosign.pub";
        project.run(verify).exits(1);
        sign_all(&project, &envelopes);
        project.done(verify).prints(&["accepted"]);
        let answer = project.done(&format!("{verify} --format json")).json();
        let candidates = answer["verification"]["subjects"][0]["candidates"].clone();
        let of_old_form = candidates.as_array().expect("candidates").iter();
        let of_old_form: Vec<_> = of_old_form.filter(|one| one["layer"].is_string()).collect();
        assert_eq!(of_old_form.len(), envelopes.len() / subjects(&project).len() + 1);
        // It is no image of the layout.
        project.done("inspect oci:layout --exit-zero");
        let other = Project::new();
        other.signed("key generate").exits(0);
        project.write("other.pub", other.read("cosign.pub"));
        let output = project.run("verify oci:layout --key other.pub").exits(1);
        assert!(!output.stdout.contains("taken"), "{}", output.stdout);
    }
}

#[test]
fn what_cosign_saves_is_found_by_its_kind() {
    let (project, envelopes) = bare("one");
    let subject = subjects(&project).remove(0);
    put(&project, &json!({ "kind": "dev.cosignproject.cosign/sigs" }), &[signature(&subject)]);
    let layers: Vec<Layer> =
        envelopes.iter().map(|(_, bytes)| (ENVELOPE, bytes.clone(), json!({}))).collect();
    put(&project, &json!({ "kind": "dev.cosignproject.cosign/atts" }), &layers);
    project.done("verify oci:layout --key cosign.pub").prints(&["accepted"]);
}

/// Verifies a layout that holds one signature, and gives the answer on it.
fn refused(tag: &Value, layer: Layer) -> Value {
    let (project, _) = bare("one");
    put(&project, tag, &[layer]);
    let verify = "verify oci:layout --key cosign.pub --require signature --format json";
    let answer = project.run(verify).exits(1).json();
    assert_eq!(answer["verdict"], "rejected");
    answer["verification"]["subjects"][0]["candidates"].clone()
}

#[test]
fn each_change_is_refused_for_what_it_is() {
    let subject = subjects(&bare("one").0).remove(0);
    let other = digest_of(b"another image");
    let of = |payload: String| {
        let annotations = json!({ SIGNATURE: sign(payload.as_bytes()) });
        (SIMPLE_SIGNING, payload.into_bytes(), annotations)
    };
    let good = signature(&subject);
    let mut other_bytes = good.clone();
    other_bytes.1.push(b'\n');
    let twice = payload(&other).replace(
        "\"docker-manifest-digest\"",
        &format!("\"docker-manifest-digest\":\"{subject}\",\"docker-manifest-digest\""),
    );
    let spelled = twice.replacen("docker-manifest-digest", "Docker-Manifest-Digest", 1);
    let huge = payload(&subject).replace("null", &format!("\"{}\"", "x".repeat(1 << 17)));
    let mut of_type = good.clone();
    of_type.0 = "application/json";
    let mut unsigned = good.clone();
    unsigned.2 = json!({});
    let mut certified = good.clone();
    certified.2["dev.sigstore.cosign/certificate"] =
        json!("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n");
    let mut logged = good.clone();
    logged.2["dev.sigstore.cosign/bundle"] = json!(json!({
        "SignedEntryTimestamp": "MAA=",
        "Payload": {
            "body": STANDARD.encode(r#"{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{}}"#),
            "integratedTime": 1_700_000_000,
            "logIndex": 7,
            "logID": "c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d",
        },
    })
    .to_string());
    for (layer, reason, says) in [
        (of(payload(&other)), json!("artifact"), "another image"),
        (of(payload(&subject).replace("cosign container", "some")), json!("unsupported"), "some"),
        (of(twice), json!("bundle"), "twice"),
        (of(spelled), json!("bundle"), "more than one"),
        (of(huge), Value::Null, "longer"),
        (other_bytes, json!("signature"), "does not match"),
        (of_type, Value::Null, "application/json"),
        (unsigned, json!("signature"), "no annotation"),
        (certified, json!("key"), "certificate"),
        (logged, json!("inclusion-promise"), "SET"),
    ] {
        let candidates = refused(&tagged(&subject, "sig"), layer);
        let [candidate] = &candidates.as_array().expect("candidates")[..] else {
            panic!("{candidates}")
        };
        assert_eq!(candidate["reason"], reason, "{candidate}");
        assert!(candidate["refused"].as_str().expect("why").contains(says), "{candidate}");
    }
    // Nor does it count under the tag of attestations.
    let candidates = refused(&tagged(&subject, "att"), good.clone());
    assert!(candidates[0]["refused"].to_string().contains("simplesigning"), "{candidates}");
    // Under another image's name it is not looked at, nor in a place for SBOMs.
    for tag in [tagged(&other, "sig"), tagged(&subject, "sbom")] {
        assert_eq!(refused(&tag, good.clone()), json!([]));
    }
}

#[test]
fn a_signature_is_no_attestation_and_the_other_way_round() {
    let (project, envelopes) = bare("one");
    let subject = subjects(&project).remove(0);
    // Only the attestations: nothing says that the image is signed.
    let of_type = |kind: &str| {
        let found = envelopes.iter().map(|(_, bytes)| bytes).find(|bytes| {
            let envelope: Value = serde_json::from_slice(bytes).expect("JSON");
            let payload = STANDARD.decode(envelope["payload"].as_str().expect("one"));
            String::from_utf8(payload.expect("base64")).expect("text").contains(kind)
        });
        found.expect(kind).clone()
    };
    let layers = ["spdx.dev/Document\"", "slsa.dev/provenance/"]
        .map(|kind| (ENVELOPE, of_type(kind), json!({})));
    put(&project, &tagged(&subject, "att"), &layers);
    let verify = "verify oci:layout --key cosign.pub";
    let output = project.run(verify).exits(1);
    let missing: Vec<_> = output.stdout.lines().filter(|one| one.contains("MISSING")).collect();
    assert!(matches!(&missing[..], [one] if one.contains("signature")), "{}", output.stdout);
    put(&project, &tagged(&subject, "sig"), &[signature(&subject)]);
    project.done(verify);
    // And the signature alone attests nothing.
    let (project, _) = bare("one");
    put(&project, &tagged(&subject, "sig"), &[signature(&subject)]);
    let output = project.run(verify).exits(1);
    assert_eq!(output.stdout.matches("MISSING").count(), 2, "{}", output.stdout);
}

#[test]
fn the_old_form_travels_and_counts_in_registries() {
    for referrers in [true, false] {
        let registry = Registry::start(Ways { referrers, ..Ways::default() });
        let host = registry.host();
        let (project, envelopes) = bare("two");
        sign_all(&project, &envelopes);
        let root = subjects(&project).remove(0);
        run(&project, &format!("push oci:layout docker://{host}/their/app:v1")).exits(0);
        let held = registry.repository("their/app");
        assert!(held.tags.contains_key(&format!("{}.sig", root.replace(':', "-"))));
        let reference = format!("docker://{host}/their/app@{root}");
        run(&project, &format!("verify {reference} --key cosign.pub")).exits(0);
        run(&project, &format!("pull {reference} oci:got")).exits(0).says(&["6 referrers"]);
        project.done("verify oci:got --key cosign.pub");
        run(&project, &format!("pull {reference} archive:got.tar")).exits(0);
        project.done("verify archive:got.tar --key cosign.pub");
        run(&project, &format!("copy {reference} docker://{host}/other/app:v1")).exits(0);
        let reference = format!("docker://{host}/other/app@{root}");
        run(&project, &format!("verify {reference} --key cosign.pub")).exits(0);
        registry.change("other/app", |held| {
            for end in ["sig", "att"] {
                held.tags.remove(&format!("{}.{end}", root.replace(':', "-")));
            }
        });
        run(&project, &format!("verify {reference} --key cosign.pub"))
            .exits(1)
            .prints(&["signature   MISSING"]);
    }
}

/// A project whose base `up` is the layout.
fn base(project: &Project) {
    project.write("bases/up.toml", "[base]\nkind = \"image\"\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n[image]\nreference = \"oci:layout\"\nsigner = { key = \"cosign.pub\" }\n");
    project.write("app", crate::support::elf::Elf::with("own").build());
    project.write("on.karat.toml", "[image]\nname = \"on\"\nbase = \"up\"\nplatforms = [\"linux/amd64\"]\n[[binary]]\nsource = \"app\"\npath = \"/usr/bin/own\"\n");
}

fn cached(project: &Project, line: &str) -> crate::support::Output {
    let args: Vec<_> = line.split_whitespace().collect();
    project.karat(&args).env("KARAT_CACHE", project.outside().join("cache")).run()
}

#[test]
fn a_base_may_be_signed_in_the_old_form() {
    let (project, envelopes) = bare("two");
    base(&project);
    cached(&project, "base lock up").exits(1).says(&["it has no signature"]);
    assert!(!project.path("bases/up.lock.toml").exists());
    // An attestation is no signature.
    let root = subjects(&project).remove(0);
    let layers: Vec<Layer> = envelopes
        .iter()
        .filter(|(about, _)| *about == root)
        .map(|(_, bytes)| (ENVELOPE, bytes.clone(), json!({})))
        .collect();
    put(&project, &tagged(&root, "att"), &layers);
    cached(&project, "base lock up").exits(1);
    put(&project, &tagged(&root, "sig"), &[signature(&root)]);
    cached(&project, "base lock up").exits(0).prints(&["signed by the key"]);
    let lock = String::from_utf8(project.read("bases/up.lock.toml")).expect("text");
    let held = digest_of(payload(&root).as_bytes());
    assert!(lock.contains(&format!("payload = \"{held}\"")), "{lock}");
    assert!(lock.contains("manifest-size = ") && !lock.contains("bundle = "), "{lock}");
    cached(&project, "base lock up").exits(0).prints(&["nothing new"]);
    // The evidence is kept: nothing but the cache is needed.
    fs::rename(project.path("layout"), project.outside().join("layout")).expect("it goes");
    for line in ["base verify up --offline", "build --offline on.karat.toml"] {
        cached(&project, line).exits(0);
    }
    // Somebody else's key, and a lock that names other evidence.
    project.write("cosign.pub", {
        let other = Project::new();
        other.signed("key generate").exits(0);
        other.read("cosign.pub")
    });
    for line in ["base verify up --offline", "build --offline on.karat.toml"] {
        cached(&project, line).exits(1).says(&["is not signed by"]);
    }
    project.write("cosign.pub", &keys().1);
    fs::rename(project.outside().join("layout"), project.path("layout")).expect("it comes");
    let forge = |change: &dyn Fn(&mut karat::base::lock::Evidence)| {
        let mut lock = karat::base::lock::Lock::parse("up", &lock).expect("a lock");
        let signature = lock.image.as_mut().and_then(|image| image.signature.as_mut());
        change(&mut signature.expect("a signature").evidence);
        project.write("bases/up.lock.toml", lock.to_text("up"));
    };
    use karat::base::lock::Evidence;
    let other: karat::oci::Digest = root.parse().expect("a digest");
    forge(&|evidence| {
        if let Evidence::Legacy { payload, size, .. } = evidence {
            let bytes = project.read(&format!("layout/blobs/sha256/{}", other.hex()));
            (*payload, *size) = (other, bytes.len() as u64);
        }
    });
    cached(&project, "base verify up").exits(1).says(&["does not hold it"]);
    forge(&|evidence| {
        if let Evidence::Legacy { size, .. } = evidence {
            *size = 1 << 40;
        }
    });
    cached(&project, "base verify up").exits(1).says(&["more than"]);
    forge(&|_| {});
    cached(&project, "base verify up").exits(0);
}
