//! Writing: what cosign 1 and 2 wrote, and 3 writes with `--new-bundle-format=false`.
//!
//! Source: cosign, `specs/SIGNATURE_SPEC.md`; the order of the members is that of the Go structs in
//! sigstore, `pkg/signature/payload`.

use super::{Form, SIGNATURE, TYPE, verify};
use crate::signature::dsse::{Envelope, IN_TOTO_PAYLOAD};
use crate::signature::error::Error;
use crate::signature::json;
use crate::signature::key::KeyHandle;
use crate::signature::sigstore::{Signer, TrustedRoot};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use std::collections::BTreeMap;

/// By which cosign tells attestations apart before it reads them.
const PREDICATE_TYPE: &str = "predicateType";

/// A layer that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// What it is.
    pub form: Form,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What belongs to it.
    pub annotations: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Payload<'a> {
    critical: Critical<'a>,
    /// What cosign takes as `-a KEY=VALUE`.
    optional: Option<()>,
}

#[derive(Serialize)]
struct Critical<'a> {
    identity: Identity<'a>,
    image: Image<'a>,
    r#type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Identity<'a> {
    docker_reference: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Image<'a> {
    docker_manifest_digest: &'a str,
}

/// Returns the document that a signature of an image is over. `reference` is the repository that
/// it is in, `HOST/NAME`, or nothing where nobody knows it.
///
/// # Errors
/// [`Error::Json`] if the serialiser fails, which no input is known to cause.
pub fn payload(reference: &str, sha256: &[u8; 32]) -> Result<Vec<u8>, Error> {
    let payload = Payload {
        critical: Critical {
            identity: Identity { docker_reference: reference },
            image: Image { docker_manifest_digest: &format!("sha256:{}", super::hex(sha256)) },
            r#type: TYPE,
        },
        optional: None,
    };
    serde_json::to_vec(&payload).map_err(|error| json::invalid("signed document", &error))
}

/// Signs an image, by the SHA-256 of its manifest, and verifies the signature.
///
/// # Errors
/// As [`KeyHandle::sign`], and when what comes out does not verify.
pub fn sign_image(reference: &str, sha256: &[u8; 32], key: &dyn KeyHandle) -> Result<Layer, Error> {
    let bytes = payload(reference, sha256)?;
    let signature = STANDARD.encode(key.sign(&bytes)?);
    let annotations = BTreeMap::from([(SIGNATURE.to_owned(), signature)]);
    verified(Layer { form: Form::Signature, bytes, annotations }, sha256, key)
}

/// Signs a statement about an image, by the SHA-256 of its manifest, and verifies it.
///
/// # Errors
/// As [`sign_image`].
pub fn sign_statement(
    statement: &[u8],
    predicate_type: &str,
    sha256: &[u8; 32],
    key: &dyn KeyHandle,
) -> Result<Layer, Error> {
    let bytes = Envelope::sign(IN_TOTO_PAYLOAD, statement, key)?.to_json()?;
    // cosign has the annotation of the signature everywhere, and here nothing in it.
    let annotations = BTreeMap::from([
        (SIGNATURE.to_owned(), String::new()),
        (PREDICATE_TYPE.to_owned(), predicate_type.to_owned()),
    ]);
    verified(Layer { form: Form::Attestation, bytes, annotations }, sha256, key)
}

/// Hands a layer out only if everybody will take it.
fn verified(layer: Layer, sha256: &[u8; 32], key: &dyn KeyHandle) -> Result<Layer, Error> {
    let signer = Signer::Key(key.public_key().clone());
    // A key without an entry in a log needs no root of trust, and any will do.
    TrustedRoot::public_good()
        .and_then(|root| {
            verify(layer.form, &layer.bytes, &layer.annotations, sha256, &signer, &root)
        })
        .map_err(|refusal| Error::Unverified(refusal.to_string()))?;
    Ok(layer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::test_keys::PKCS8;
    use crate::signature::{PrivateKey, PublicKey};

    const SHA256: [u8; 32] = [0xab; 32];

    /// A key whose service signs something else.
    struct Astray(PrivateKey);

    impl KeyHandle for Astray {
        fn public_key(&self) -> &PublicKey {
            self.0.public_key()
        }

        fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Error> {
            self.0.sign(b"something else")
        }

        fn sign_sha256(&self, _: &[u8; 32]) -> Result<Vec<u8>, Error> {
            self.0.sign_sha256(&[0; 32])
        }
    }

    fn statement(hex: &str) -> String {
        format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://x.test/y","subject":[{{"digest":{{"sha256":"{hex}"}}}}],"predicate":{{}}}}"#
        )
    }

    #[test]
    fn the_document_is_that_of_cosign_byte_for_byte() {
        let digest = "ab".repeat(32);
        let expected = format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"reg.example/app"}},"image":{{"docker-manifest-digest":"sha256:{digest}"}},"type":"cosign container image signature"}},"optional":null}}"#
        );
        assert_eq!(payload("reg.example/app", &SHA256).unwrap(), expected.as_bytes());
    }

    #[test]
    fn what_does_not_verify_is_not_handed_out() {
        let good = PrivateKey::from_unencrypted_pem(PKCS8).unwrap();
        let (ours, other) = (statement(&"ab".repeat(32)), statement(&"0".repeat(64)));
        sign_image("", &SHA256, &good).unwrap();
        sign_statement(ours.as_bytes(), "https://x.test/y", &SHA256, &good).unwrap();
        let sign = |statement: &str, key: &dyn KeyHandle| {
            sign_statement(statement.as_bytes(), "https://x.test/y", &SHA256, key)
        };
        let astray = Astray(good);
        for refused in [
            sign_image("", &SHA256, &astray),
            sign(&ours, &astray),
            sign(&other, &astray.0),
            sign("{}", &astray.0),
        ] {
            assert!(matches!(refused, Err(Error::Unverified(_))), "{refused:?}");
        }
    }
}
