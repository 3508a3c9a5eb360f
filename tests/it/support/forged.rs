//! What somebody who has the key can sign and put beside an image, that karat would not.

use super::layout::Layout;
use super::{PASSWORD, digest_of, keys};
use karat::signature::{Envelope, PrivateKey};
use serde_json::{Value, json};
use std::fs;

/// Puts a referrer of the image around a bundle, whatever the bundle is; `times` entries of it.
pub(crate) fn refer(layout: &Layout, image: &Value, bundle: &[u8], times: usize) {
    let store = |bytes: &[u8]| {
        let digest = digest_of(bytes);
        fs::write(layout.blob_path(&digest), bytes).expect("a blob");
        json!({ "digest": digest, "size": bytes.len() })
    };
    let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let with = |mut descriptor: Value, media_type: &str| {
        descriptor["mediaType"] = media_type.into();
        descriptor
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": kind,
        "config": with(store(b"{}"), "application/vnd.oci.empty.v1+json"),
        "layers": [with(store(bundle), kind)],
        "subject": image,
    });
    let mut entry =
        with(store(manifest.to_string().as_bytes()), "application/vnd.oci.image.manifest.v1+json");
    entry["artifactType"] = kind.into();
    let mut index = layout.index();
    let manifests = index["manifests"].as_array_mut().expect("manifests");
    manifests.extend(std::iter::repeat_n(entry, times));
    fs::write(layout.root().join("index.json"), index.to_string()).expect("the index");
}

/// A bundle around any statement, rightly signed.
pub(crate) fn bundle(statement: &Value) -> Vec<u8> {
    let key = PrivateKey::from_encrypted_pem(&keys().0, PASSWORD.as_bytes()).expect("a key");
    let kind = "application/vnd.in-toto+json";
    let envelope = Envelope::sign(kind, statement.to_string().as_bytes(), &key).expect("signed");
    let envelope: Value = serde_json::from_slice(&envelope.to_json().expect("JSON")).expect("JSON");
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": { "publicKey": { "hint": key.public_key().hint() } },
        "dsseEnvelope": envelope,
    })
    .to_string()
    .into_bytes()
}
