//! `--signature-format`: what karat writes in cosign's old form, into layouts and registries, beside
//! what others have put there.

use crate::registry::run;
use crate::signing::signed;
use crate::support::registry::{Registry, Ways};
use crate::support::server::Reply;
use crate::support::{PASSWORD, Project, copy_folder, digest_of, keys};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karat::signature::{PrivateKey, PublicKey};
use serde_json::{Value, json};
use std::fs;
use std::sync::{Arc, Mutex};

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const SIGN: &str = "sign oci:layout --key cosign.key --signature-format";

/// A project with an unsigned layout: `one` of a platform, or `two` of two.
fn unsigned(name: &str) -> Project {
    let project = Project::new().with_keys();
    copy_folder(&signed().path(name), &project.path("layout"));
    let layout = project.layout("layout");
    let mut named = Vec::new();
    for referrer in layout.referrers() {
        let manifest = layout.document(&referrer);
        named.push(referrer["digest"].clone());
        named
            .extend([&manifest["config"], &manifest["layers"][0]].map(|one| one["digest"].clone()));
    }
    for digest in named {
        let _ = fs::remove_file(layout.blob_path(digest.as_str().expect("a digest")));
    }
    let mut index = layout.index();
    index["manifests"].as_array_mut().expect("manifests").truncate(1);
    project.write("layout/index.json", index.to_string());
    project
}

/// A second key, `other.key` and `other.pub`.
fn other_key(project: &Project) {
    project.signed("key generate --output other").exits(0);
}

fn digests(project: &Project) -> Vec<String> {
    let layout = project.layout("layout");
    let root = layout.entries()[0].clone();
    let digest = |one: &Value| one["digest"].as_str().expect("a digest").to_owned();
    let mut digests = vec![digest(&root)];
    if root["mediaType"].as_str().expect("a type").contains("index") {
        let index = layout.document(&root);
        digests.extend(index["manifests"].as_array().expect("manifests").iter().map(digest));
    }
    digests
}

fn tag(subject: &str, end: &str) -> String {
    format!("{}.{end}", subject.replace(':', "-"))
}

/// The entries with this tag.
fn tagged(project: &Project, subject: &str, end: &str) -> Vec<Value> {
    let entries = project.layout("layout").entries().into_iter();
    entries.filter(|one| one["annotations"][REF_NAME] == tag(subject, end)).collect()
}

/// The manifest of the only entry with this tag.
#[track_caller]
fn manifest(project: &Project, subject: &str, end: &str) -> Value {
    let entries = tagged(project, subject, end);
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    project.layout("layout").document(entry)
}

fn layers(manifest: &Value) -> Vec<Value> {
    manifest["layers"].as_array().expect("layers").clone()
}

fn payload(reference: &str, subject: &str) -> String {
    format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"{reference}"}},"image":{{"docker-manifest-digest":"{subject}"}},"type":"cosign container image signature"}},"optional":null}}"#
    )
}

#[test]
fn a_layout_is_signed_in_the_old_form() {
    for name in ["one", "two"] {
        let project = unsigned(name);
        let digests = digests(&project);
        let says = format!("added {} to", digests.len());
        project.signed(&format!("{SIGN} legacy")).exits(0).says(&[&says]);
        let layout = project.layout("layout");
        layout.is_whole();
        assert!(layout.referrers().is_empty());
        let kind = layout.entries()[0]["annotations"]["kind"].clone();
        let expected = ["image", "imageIndex"][usize::from(name == "two")];
        assert_eq!(kind, format!("dev.cosignproject.cosign/{expected}"));
        let public = PublicKey::from_pem(&keys().1).expect("a key");
        for subject in &digests {
            let entry = &tagged(&project, subject, "sig")[0];
            assert_eq!(entry["annotations"]["kind"], "dev.cosignproject.cosign/sigs");
            let manifest = manifest(&project, subject, "sig");
            assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
            let config = "application/vnd.oci.image.config.v1+json";
            assert_eq!(manifest["config"]["mediaType"], config);
            let [layer] = &layers(&manifest)[..] else { panic!("{manifest}") };
            let media_type = "application/vnd.dev.cosign.simplesigning.v1+json";
            assert_eq!(layer["mediaType"], media_type);
            let bytes = layout.blob(layer);
            assert_eq!(String::from_utf8(bytes.clone()).expect("text"), payload("", subject));
            let signature = layer["annotations"][SIGNATURE].as_str().expect("a signature");
            let signature = STANDARD.decode(signature).expect("base64");
            public.verify(&bytes, &signature).expect("it verifies");
        }
        let verify = "verify oci:layout --key cosign.pub --require signature";
        project.done(verify).prints(&["accepted"]);
        // Once more, nothing changes.
        let before = layout.files();
        project.signed(&format!("{SIGN} legacy")).exits(0).says(&["nothing was added"]);
        assert!(project.layout("layout").files() == before);
        // Somebody else comes after, and takes nothing away.
        other_key(&project);
        let first = layers(&manifest(&project, &digests[0], "sig"));
        project.signed(&format!("{} legacy", SIGN.replace("cosign.key", "other.key"))).exits(0);
        let both = layers(&manifest(&project, &digests[0], "sig"));
        assert_eq!((both.len(), &both[0]), (2, &first[0]));
        project.done(verify);
        project.done(&verify.replace("cosign.pub", "other.pub"));
        project.layout("layout").is_whole();
        project.signed(&format!("{SIGN} legacy")).exits(0).says(&["nothing was added"]);
    }
}

#[test]
fn another_signature_of_the_same_key_over_the_same_bytes_is_enough() {
    let project = unsigned("one");
    let subject = digests(&project).remove(0);
    project.signed(&format!("{SIGN} legacy")).exits(0);
    // Services sign with a random number each time. The twin of a signature is another one.
    let layout = project.layout("layout");
    let mut twin = manifest(&project, &subject, "sig");
    let text = twin["layers"][0]["annotations"][SIGNATURE].as_str().expect("one").to_owned();
    let signature = STANDARD.decode(&text).expect("base64");
    let signature = p256::ecdsa::Signature::from_der(&signature).expect("DER");
    let (r, s) = signature.split_scalars();
    let signature = p256::ecdsa::Signature::from_scalars(r.to_bytes(), (-*s).to_bytes());
    let signature = STANDARD.encode(signature.expect("a signature").to_der());
    assert_ne!(signature, text);
    twin["layers"][0]["annotations"][SIGNATURE] = json!(signature);
    let bytes = twin.to_string();
    let digest = digest_of(bytes.as_bytes());
    fs::write(layout.blob_path(&digest), &bytes).expect("a blob");
    let mut index = layout.index();
    index["manifests"][1]["digest"] = json!(digest);
    index["manifests"][1]["size"] = json!(bytes.len());
    project.write("layout/index.json", index.to_string());
    project.signed(&format!("{SIGN} legacy")).exits(0).says(&["nothing was added"]);
    // One that is over something else is not.
    twin["layers"][0]["annotations"][SIGNATURE] = json!(
        STANDARD.encode(
            PrivateKey::from_encrypted_pem(&keys().0, PASSWORD.as_bytes())
                .expect("a key")
                .sign(b"another document")
                .expect("signed")
        )
    );
    let bytes = twin.to_string();
    let digest = digest_of(bytes.as_bytes());
    fs::write(layout.blob_path(&digest), &bytes).expect("a blob");
    index["manifests"][1]["digest"] = json!(digest);
    index["manifests"][1]["size"] = json!(bytes.len());
    project.write("layout/index.json", index.to_string());
    project.signed(&format!("{SIGN} legacy")).exits(0).says(&["added 1"]);
    assert_eq!(layers(&manifest(&project, &subject, "sig")).len(), 2);
}

#[test]
fn statements_are_layers_in_the_order_in_which_they_were_made() {
    let project = unsigned("two");
    project.write("vex.json", r#"{"statements":[]}"#);
    let attest = |kind: &str, further: &str| {
        project.signed(&format!(
            "attest oci:layout --type {kind} --predicate vex.json --key cosign.key {further}"
        ))
    };
    attest("openvex", "--signature-format legacy").exits(0).says(&["added 3"]);
    attest("https://x.test/y", "--signature-format legacy").exits(0).says(&["added 3"]);
    attest("openvex", "--signature-format legacy").exits(0).says(&["nothing was added"]);
    let digests = digests(&project);
    for subject in &digests {
        assert!(tagged(&project, subject, "sig").is_empty());
        let entry = &tagged(&project, subject, "att")[0];
        assert_eq!(entry["annotations"]["kind"], "dev.cosignproject.cosign/atts");
        let layers = layers(&manifest(&project, subject, "att"));
        let types = layers.iter().map(|one| one["annotations"]["predicateType"].clone());
        assert_eq!(types.collect::<Vec<_>>(), ["https://openvex.dev/ns", "https://x.test/y"]);
        for layer in &layers {
            assert_eq!(layer["mediaType"], "application/vnd.dsse.envelope.v1+json");
            assert_eq!(layer["annotations"][SIGNATURE], "");
            let envelope = project.layout("layout").document(layer);
            assert_eq!(envelope["payloadType"], "application/vnd.in-toto+json");
            let statement = STANDARD.decode(envelope["payload"].as_str().expect("one"));
            let statement: Value =
                serde_json::from_slice(&statement.expect("base64")).expect("JSON");
            let hex = subject.strip_prefix("sha256:").expect("sha256");
            assert_eq!(statement["subject"][0]["digest"]["sha256"], hex);
        }
    }
    // As a bundle it is not there yet.
    attest("openvex", "--signature-format both").exits(0).says(&["added 3"]);
    assert_eq!(project.layout("layout").referrers().len(), 3);
    attest("openvex", "").exits(0).says(&["nothing was added"]);
    project.layout("layout").is_whole();
}

#[test]
fn a_build_is_signed_in_the_form_that_is_named() {
    let source = signed();
    let project = Project::new().with_keys();
    for file in ["two.karat.toml", "amd64/app", "arm64/app"] {
        project.write(file, source.read(file));
    }
    let build = "build two.karat.toml --sign cosign.key";
    for (format, bundles, tags) in [("legacy", 0, 6), ("both", 9, 6), ("bundle", 9, 0)] {
        let to = format!("oci:{format}");
        let line = format!("{build} --signature-format {format} --output {to}");
        project.signed(&line).exits(0).says(&["9 statements signed"]);
        let layout = project.layout(format);
        layout.is_whole();
        assert_eq!(layout.referrers().len(), bundles, "{format}");
        assert_eq!(layout.entries().len(), 1 + bundles + tags, "{format}");
        project.done(&format!("verify {to} --key cosign.pub")).prints(&["accepted"]);
        // The image is the same whatever it is signed with.
        assert_eq!(layout.entries()[0]["digest"], project.layout("legacy").entries()[0]["digest"]);
    }
    // In the default output and in an archive.
    project.signed(&format!("{build} --signature-format legacy")).exits(0);
    project.done("verify oci:dist/two/image --key cosign.pub");
    let archive = format!("{build} --signature-format legacy --output archive:two.tar");
    project.signed(&archive).exits(0);
    project.done("verify archive:two.tar --key cosign.pub");
    project.done("inspect archive:two.tar --exit-zero");

    // Nobody knows where the image will be, unless the policy says it.
    let subject = project.layout("legacy").entries()[0]["digest"].as_str().expect("one").to_owned();
    let first = |layout: &str| {
        let layout = project.layout(layout);
        let tag = tag(&subject, "sig");
        let entry = layout.entries().into_iter().find(|one| one["annotations"][REF_NAME] == tag);
        let manifest = layout.document(&entry.expect("an entry"));
        String::from_utf8(layout.blob(&manifest["layers"][0])).expect("text")
    };
    assert_eq!(first("legacy"), payload("", &subject));
    project.write(
        "karat-policy.toml",
        "[policy]\nname = \"golden\"\n[registry]\npublish = \"registry.example/golden\"\n",
    );
    project.signed(&format!("{build} --signature-format legacy --output oci:placed")).exits(0);
    assert_eq!(first("placed"), payload("registry.example/golden/two", &subject));
}

#[test]
fn one_image_under_two_names_has_one_manifest_of_signatures() {
    let source = signed();
    let project = Project::new().with_keys();
    for file in ["one.karat.toml", "amd64/app"] {
        project.write(file, source.read(file));
    }
    other_key(&project);
    let build = |key: &str, name: &str| {
        let line = "build one.karat.toml --signature-format legacy";
        project.signed(&format!("{line} --sign {key}.key --output oci:layout:{name}")).exits(0);
        project.layout("layout").is_whole();
    };
    build("cosign", "v1");
    build("other", "v2");
    let subject = digests(&project).remove(0);
    let both = layers(&manifest(&project, &subject, "sig"));
    assert_eq!(both.len(), 2);
    assert_eq!(layers(&manifest(&project, &subject, "att")).len(), 4);
    build("cosign", "v2");
    assert_eq!(layers(&manifest(&project, &subject, "sig")), both);
    for key in ["cosign", "other"] {
        project.done(&format!("verify oci:layout:v1 --key {key}.pub"));
    }
}

#[test]
fn what_cannot_be_is_wrong_input() {
    let project = unsigned("one");
    let before = project.layout("layout").files();
    project.signed(&format!("{SIGN} old")).exits(2).says(&["legacy", "both"]);
    for format in ["legacy", "both"] {
        for keyless in [
            format!("sign oci:layout --keyless --signature-format {format}"),
            format!(
                "attest oci:layout --type custom --predicate cosign.pub --keyless --signature-format {format}"
            ),
        ] {
            project.write("cosign.pub", "{}");
            project.run(&keyless).exits(2).says(&["signed with a key", "--signature-format"]);
        }
        let file =
            format!("sign cosign.pub --key cosign.key --bundle out --signature-format {format}");
        project.signed(&file).exits(2).says(&["a file has none"]);
        assert!(!project.path("out").exists());
    }
    assert!(project.layout("layout").files() == before);
    let small = Project::small();
    small.run("build app.karat.toml --signature-format legacy").exits(2).says(&["--sign"]);
    let keyless = "build app.karat.toml --sign keyless --signature-format both";
    small.run(keyless).exits(2).says(&["signed with a key"]);
    assert!(!small.path("dist").exists());
}

/// An unsigned image in a fake registry, as `their/app`, and what is held under a tag.
fn pushed(registry: &Registry) -> (Project, String, String) {
    let project = unsigned("two");
    let host = registry.host();
    run(&project, &format!("push oci:layout docker://{host}/their/app:v1")).exits(0);
    let root = digests(&project).remove(0);
    let reference = format!("docker://{host}/their/app@{root}");
    (project, root, reference)
}

fn held(registry: &Registry, name: &str, tag: &str) -> Value {
    let held = registry.repository(name);
    let digest = held.tags.get(tag).unwrap_or_else(|| panic!("no {tag}: {:?}", held.tags));
    serde_json::from_slice(&held.manifests[digest].1).expect("JSON")
}

/// Runs with the password of the keys.
pub(crate) fn with_key(project: &Project, line: &str) -> crate::support::Output {
    let args: Vec<_> = line.split_whitespace().collect();
    let karat = project.karat(&args).env("COSIGN_PASSWORD", PASSWORD);
    karat.env("KARAT_HTTP_TIMEOUT", "2").env("KARAT_HTTP_RETRIES", "1").run()
}

#[test]
fn an_image_in_a_registry_is_signed_for_its_repository_and_travels() {
    for referrers in [true, false] {
        let registry = Registry::start(Ways { referrers, ..Ways::default() });
        let (project, root, reference) = pushed(&registry);
        let host = registry.host();
        let sign = |key: &str, format: &str| {
            with_key(
                &project,
                &format!("sign {reference} --key {key}.key --signature-format {format}"),
            )
        };
        let sig = tag(&root, "sig");
        sign("cosign", "legacy").exits(0).says(&["added 3"]);
        let first = held(&registry, "their/app", &sig);
        let payload = payload(&format!("{host}/their/app"), &root);
        assert_eq!(first["layers"][0]["digest"], digest_of(payload.as_bytes()));
        let tags = registry.repository("their/app").tags;
        assert!(!tags.contains_key(&root.replace(':', "-")), "no list of referrers");
        sign("cosign", "legacy").exits(0).says(&["nothing was added"]);
        assert_eq!(registry.repository("their/app").tags, tags);
        other_key(&project);
        sign("other", "legacy").exits(0).says(&["added 3"]);
        let both = layers(&held(&registry, "their/app", &sig));
        assert_eq!((both.len(), &both[0]), (2, &first["layers"][0]));
        sign("cosign", "both").exits(0).says(&["added 3"]);
        sign("cosign", "both").exits(0).says(&["nothing was added"]);
        assert_eq!(layers(&held(&registry, "their/app", &sig)), both);

        let verify = |place: &str, key: &str| {
            run(&project, &format!("verify {place} --key {key}.pub --require signature")).exits(0);
        };
        let copy = format!("docker://{host}/copied/app:v1");
        run(&project, &format!("copy {reference} {copy}")).exits(0);
        run(&project, &format!("pull {reference} oci:got:v1")).exits(0);
        run(&project, &format!("push oci:got:v1 docker://{host}/again/app:v1")).exits(0);
        for place in [&copy, "oci:got:v1", &format!("docker://{host}/again/app:v1")] {
            verify(place, "cosign");
            verify(place, "other");
        }
        assert_eq!(layers(&held(&registry, "again/app", &sig)), both);
    }
}

#[test]
fn a_push_takes_away_nothing_that_others_have_signed() {
    let registry = Registry::start(Ways::default());
    let (project, root, reference) = pushed(&registry);
    other_key(&project);
    let (sig, host) = (tag(&root, "sig"), registry.host());
    let sign = format!("sign {reference} --key other.key --signature-format legacy");
    with_key(&project, &sign).exits(0);
    let theirs = layers(&held(&registry, "their/app", &sig));
    project.signed(&format!("{SIGN} legacy")).exits(0);
    let push = format!("push oci:layout docker://{host}/their/app:v1");
    run(&project, &push).exits(0).says(&["wrote 3 manifests"]);
    let both = layers(&held(&registry, "their/app", &sig));
    assert_eq!((both.len(), &both[0]), (2, &theirs[0]));
    run(&project, &push).exits(0).says(&["wrote 0 manifests"]);
    assert_eq!(layers(&held(&registry, "their/app", &sig)), both);
    for key in ["cosign", "other"] {
        run(&project, &format!("verify {reference} --key {key}.pub --require signature")).exits(0);
    }
}

#[test]
fn a_write_that_is_lost_is_done_again() {
    // The first write of each tag is answered, and overwritten by somebody else.
    let lost = |asked: &crate::support::server::Asked, before: usize| {
        let is_it = asked.method == "PUT" && asked.path().ends_with(".sig") && before == 0;
        is_it.then(|| Reply::new(201))
    };
    let registry = Registry::faulty(Ways::default(), lost);
    let (project, root, reference) = pushed(&registry);
    let sign = format!("sign {reference} --key cosign.key --signature-format legacy");
    with_key(&project, &sign).exits(0).says(&["added 3"]);
    assert_eq!(layers(&held(&registry, "their/app", &tag(&root, "sig"))).len(), 1);
    run(&project, &format!("verify {reference} --key cosign.pub --require signature")).exits(0);

    // One that is always lost is told.
    let registry = Registry::faulty(Ways::default(), |asked, _| {
        (asked.method == "PUT" && asked.path().ends_with(".sig")).then(|| Reply::new(201))
    });
    let (project, _, reference) = pushed(&registry);
    let sign = format!("sign {reference} --key cosign.key --signature-format legacy");
    with_key(&project, &sign).exits(3).says(&["somebody else writes", "try again"]);
}

/// A tag and what is under it.
type Tagged = (String, Vec<u8>);

#[test]
fn a_condition_that_fails_is_met_by_reading_again() {
    // Given with an entity tag until a write is refused.
    let theirs: Arc<Mutex<Option<Tagged>>> = Arc::default();
    let shown = theirs.clone();
    let registry = Registry::faulty(Ways::default(), move |asked, _| {
        let mut shown = shown.lock().expect("nobody panics");
        let (_, bytes) = shown.as_ref().filter(|(tag, _)| asked.path().ends_with(tag.as_str()))?;
        match asked.method.as_str() {
            "GET" => Some(
                Reply::new(200)
                    .header("Content-Type", "application/vnd.oci.image.manifest.v1+json")
                    .header("ETag", "\"theirs\"")
                    .body(bytes.clone()),
            ),
            "PUT" => {
                assert_eq!(asked.header("if-match"), Some("\"theirs\""));
                *shown = None;
                Some(Reply::new(412))
            }
            _ => None,
        }
    });
    let (project, root, reference) = pushed(&registry);
    other_key(&project);
    let sign = |key: &str| {
        let line = format!("sign {reference} --key {key}.key --signature-format legacy");
        with_key(&project, &line)
    };
    sign("other").exits(0);
    let sig = tag(&root, "sig");
    let manifest = held(&registry, "their/app", &sig);
    let bytes = registry.repository("their/app");
    let bytes = bytes.manifests[&bytes.tags[&sig]].1.clone();
    *theirs.lock().expect("nobody panics") = Some((sig.clone(), bytes));
    sign("cosign").exits(0);
    assert!(theirs.lock().expect("nobody panics").is_none(), "the write was refused once");
    let both = layers(&held(&registry, "their/app", &sig));
    assert_eq!((both.len(), &both[0]), (2, &manifest["layers"][0]));
}

#[test]
fn something_else_under_the_tag_stays() {
    let registry = Registry::start(Ways::default());
    let (project, root, reference) = pushed(&registry);
    let sig = tag(&root, "sig");
    registry.change("their/app", |held| {
        held.tags.insert(sig.clone(), root.clone());
    });
    let sign = format!("sign {reference} --key cosign.key --signature-format legacy");
    let output = with_key(&project, &sign);
    assert_ne!(output.code, 0);
    assert_eq!(registry.repository("their/app").tags[&sig], root);
}
