//! Sigstore bundles around a key-signed statement.
//!
//! Sigstore bundle v0.3 (sigstore/protobuf-specs, `sigstore_bundle.proto`, in its JSON form) with a
//! public key hint and a DSSE envelope. What is written has a fixed key order and no optional part:
//!
//! ```json
//! {"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",
//!  "verificationMaterial":{"publicKey":{"hint":"<base64 of the SHA-256 of the key>"}},
//!  "dsseEnvelope":{"payload":"…","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"…"}]}}
//! ```
//!
//! Read are also bundles with transparency log entries and timestamps, as cosign writes them; these
//! are counted, kept and not verified. Unknown fields are refused, as by the reference
//! implementation sigstore-go.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::{
    dsse::{self, Envelope, IN_TOTO_PAYLOAD},
    error::{Error, quoted},
    json::{self, Limits, Object},
    key::{KeyHandle, PublicKey},
};

/// Media type of the bundles that are written.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// Second spelling of the same version, which `sigstore_bundle.proto` obliges readers to accept.
const MEDIA_TYPE_PARAMETER: &str = "application/vnd.dev.sigstore.bundle+json;version=0.3";

/// Largest bundle that is read or written, in bytes.
pub const MAX_SIZE: usize = 10 * 1024 * 1024;

const WHAT: &str = "bundle";

/// A log entry has some sixty hashes; sigstore-go accepts 32 entries.
const LIMITS: Limits = Limits { what: WHAT, bytes: MAX_SIZE, depth: 16, values: 16_384 };

const STATEMENT_LIMITS: Limits =
    Limits { what: "statement", bytes: MAX_SIZE, depth: 100, values: 1_000_000 };

const STATEMENT_V1: &str = "https://in-toto.io/Statement/v1";
/// What `cosign attest` still writes.
const STATEMENT_V0_1: &str = "https://in-toto.io/Statement/v0.1";

/// Holds a bundle with one key-signed in-toto statement.
///
/// The JSON text is kept as it was read: its digest is what a registry knows the bundle by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    json: Vec<u8>,
    hint: Option<String>,
    envelope: Envelope,
    log_entries: usize,
    timestamps: usize,
}

/// Holds the bytes of an in-toto statement whose signature was verified.
///
/// They are one JSON object without duplicate keys, of the type in-toto statement v1 or v0.1.
/// Subject and predicate type are not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedStatementBytes(Vec<u8>);

impl VerifiedStatementBytes {
    /// Returns the statement, the very bytes the signature was verified over.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the statement and gives up the mark of verification.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Signs an in-toto statement and wraps the signature in a bundle.
///
/// The statement is one JSON object of type in-toto statement v1 without duplicate keys, at most
/// 100 levels deep and with at most 1,000,000 values; its bytes are signed as they are. The same
/// statement and key give the same bundle, byte for byte. The new bundle is verified before it is
/// returned.
///
/// # Errors
///
/// [`Error::StatementType`] or a JSON error if the statement could not be verified later,
/// [`Error::TooLarge`] if the bundle would exceed [`MAX_SIZE`], [`Error::SigningFailed`].
pub fn sign_statement(statement_json: &[u8], key: &dyn KeyHandle) -> Result<Bundle, Error> {
    check_type(statement_json, &[STATEMENT_V1])?;
    let envelope = Envelope::sign(IN_TOTO_PAYLOAD, statement_json, key)?;
    let hint = key.public_key().hint();
    let wire = WireOut {
        media_type: MEDIA_TYPE,
        verification_material: MaterialOut { public_key: PublicKeyOut { hint: &hint } },
        dsse_envelope: envelope.to_wire(),
    };
    let json = serde_json::to_vec(&wire).map_err(|error| json::invalid(WHAT, &error))?;
    if json.len() > MAX_SIZE {
        return Err(Error::TooLarge { what: WHAT, limit: MAX_SIZE });
    }
    let bundle = Bundle { json, hint: Some(hint), envelope, log_entries: 0, timestamps: 0 };
    // A fault during a deterministic signature can reveal the key to whoever sees the faulty
    // result.
    bundle.verify_with_key(key.public_key())?;
    Ok(bundle)
}

/// Signs an artifact, by its SHA-256, into a bundle that holds the signature itself and no
/// statement, as `cosign sign-blob` writes it. Gives the JSON text. The same artifact and key
/// give the same bundle, byte for byte; it is verified before it is returned.
///
/// # Errors
///
/// [`Error::SigningFailed`], or the error of verifying.
pub fn sign_artifact(sha256: &[u8; 32], key: &dyn KeyHandle) -> Result<Vec<u8>, Error> {
    let signature = key.sign_sha256(sha256)?;
    key.public_key().verify_sha256(sha256, &signature)?;
    let hint = key.public_key().hint();
    let wire = ArtifactOut {
        media_type: MEDIA_TYPE,
        verification_material: MaterialOut { public_key: PublicKeyOut { hint: &hint } },
        message_signature: MessageOut {
            message_digest: MessageDigestOut {
                algorithm: "SHA2_256",
                digest: STANDARD.encode(sha256),
            },
            signature: STANDARD.encode(signature),
        },
    };
    serde_json::to_vec(&wire).map_err(|error| json::invalid(WHAT, &error))
}

impl Bundle {
    /// Reads a bundle from JSON of at most [`MAX_SIZE`] bytes.
    ///
    /// Nothing is verified. The media type is checked before anything else is interpreted.
    ///
    /// # Errors
    ///
    /// [`Error::MediaType`] for another version; [`Error::CertificateBundle`],
    /// [`Error::MessageSignatureBundle`], [`Error::MissingEnvelope`] and
    /// [`Error::MissingPublicKey`] for another form of bundle; [`Error::PayloadType`] for another
    /// content; [`Error::KeyIdMismatch`] for a contradiction; [`Error::SignatureCount`],
    /// [`Error::Base64`], [`Error::TooLarge`], [`Error::TooDeep`], [`Error::TooManyValues`],
    /// [`Error::DuplicateKey`] and [`Error::Json`] for a malformed one.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        json::check(text, LIMITS)?;

        let WireMediaType { media_type } = json::object(text, WHAT)?;
        if media_type != MEDIA_TYPE && media_type != MEDIA_TYPE_PARAMETER {
            return Err(Error::MediaType(quoted(&media_type)));
        }

        let wire: WireIn<'_> = json::object(text, WHAT)?;
        let material =
            wire.verification_material.map(|Object(material)| material).unwrap_or_default();
        if material.certificate.is_some() || material.x509_certificate_chain.is_some() {
            return Err(Error::CertificateBundle);
        }
        if wire.message_signature.is_some() {
            return Err(Error::MessageSignatureBundle);
        }
        let Object(envelope) = wire.dsse_envelope.ok_or(Error::MissingEnvelope)?;
        let envelope = Envelope::from_wire(envelope)?;
        let Object(public_key) = material.public_key.ok_or(Error::MissingPublicKey)?;
        if envelope.payload_type() != IN_TOTO_PAYLOAD {
            return Err(Error::PayloadType {
                found: quoted(envelope.payload_type()),
                expected: IN_TOTO_PAYLOAD,
            });
        }
        let hint = public_key.hint.filter(|hint| !hint.is_empty());
        // `sigstore_bundle.proto`: the two hints must be exactly the same. An absent one
        // contradicts nothing.
        if let (Some(keyid), Some(hint)) = (envelope.keyid(), hint.as_deref())
            && keyid != hint
        {
            return Err(Error::KeyIdMismatch { keyid: quoted(keyid), hint: quoted(hint) });
        }
        Ok(Self {
            json: text.to_vec(),
            hint,
            envelope,
            log_entries: material.tlog_entries.map_or(0, |entries| entries.len()),
            timestamps: material
                .timestamp_verification_data
                .and_then(|Object(data)| data.rfc3161_timestamps)
                .map_or(0, |timestamps| timestamps.len()),
        })
    }

    /// Returns the JSON text: of a bundle that was read, the bytes that were read.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        self.json.clone()
    }

    /// Returns the JSON text without copying it.
    #[must_use]
    pub fn as_json(&self) -> &[u8] {
        &self.json
    }

    /// Returns the hint that names the signing key, if there is one. It is not authenticated.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Returns how many transparency log entries the bundle carries. None of them is verified.
    #[must_use]
    pub fn log_entries(&self) -> usize {
        self.log_entries
    }

    /// Returns how many RFC 3161 timestamps the bundle carries. None of them is verified.
    #[must_use]
    pub fn timestamps(&self) -> usize {
        self.timestamps
    }

    /// Verifies the signature with a key that the caller trusts and returns the statement.
    ///
    /// The hint never selects the key. A bundle whose hint names another key is refused for that
    /// reason, even if the signature would verify; a bundle without a hint, which the format
    /// allows, is judged by its signature alone.
    ///
    /// # Errors
    ///
    /// [`Error::HintMismatch`], [`Error::MalformedSignature`] or [`Error::SignatureMismatch`];
    /// [`Error::StatementType`] or a JSON error if the signed bytes are no in-toto statement.
    pub fn verify_with_key(&self, key: &PublicKey) -> Result<VerifiedStatementBytes, Error> {
        let expected = key.hint();
        if let Some(found) = self.hint.as_deref()
            && found != expected
        {
            return Err(Error::HintMismatch { found: quoted(found), expected });
        }
        let statement = self.envelope.verify(IN_TOTO_PAYLOAD, key)?.into_inner();
        check_statement(statement)
    }
}

/// Takes bytes whose signature was verified, if they are one unambiguous in-toto statement.
pub(super) fn check_statement(statement: &[u8]) -> Result<VerifiedStatementBytes, Error> {
    check_type(statement, &[STATEMENT_V1, STATEMENT_V0_1])?;
    Ok(VerifiedStatementBytes(statement.to_vec()))
}

/// Refuses bytes that are not one unambiguous in-toto statement of an accepted type.
fn check_type(statement: &[u8], accepted: &[&str]) -> Result<(), Error> {
    json::check(statement, STATEMENT_LIMITS)?;
    let WireStatementType { kind } = json::object(statement, STATEMENT_LIMITS.what)?;
    if accepted.contains(&kind.as_str()) {
        Ok(())
    } else {
        Err(Error::StatementType { found: quoted(&kind) })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireOut<'a> {
    media_type: &'static str,
    verification_material: MaterialOut<'a>,
    dsse_envelope: dsse::Wire<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactOut<'a> {
    media_type: &'static str,
    verification_material: MaterialOut<'a>,
    message_signature: MessageOut,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageOut {
    message_digest: MessageDigestOut,
    signature: String,
}

#[derive(Serialize)]
struct MessageDigestOut {
    algorithm: &'static str,
    digest: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MaterialOut<'a> {
    public_key: PublicKeyOut<'a>,
}

#[derive(Serialize)]
struct PublicKeyOut<'a> {
    hint: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMediaType {
    media_type: String,
}

#[derive(Deserialize)]
struct WireStatementType {
    #[serde(rename = "_type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WireIn<'a> {
    #[serde(rename = "mediaType")]
    _media_type: IgnoredAny,
    verification_material: Option<Object<Material>>,
    message_signature: Option<IgnoredAny>,
    #[serde(borrow)]
    dsse_envelope: Option<Object<dsse::Wire<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Material {
    public_key: Option<Object<PublicKeyIn>>,
    certificate: Option<IgnoredAny>,
    x509_certificate_chain: Option<IgnoredAny>,
    tlog_entries: Option<Vec<Object<IgnoredAny>>>,
    timestamp_verification_data: Option<Object<Timestamps>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PublicKeyIn {
    hint: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Timestamps {
    rfc3161_timestamps: Option<Vec<Object<IgnoredAny>>>,
}

#[cfg(test)]
mod tests {
    use super::super::test_keys::*;
    use super::*;
    use crate::signature::PrivateKey;
    use serde_json::{Value, json};

    const STATEMENT: &[u8] = br#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"79d9964d5c3dfa2df182f18649e76a046b0f49c3685fc45de3699c077a7a4cf1"}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}"#;

    fn key() -> PrivateKey {
        PrivateKey::from_unencrypted_pem(PKCS8).unwrap()
    }

    fn signed() -> Bundle {
        sign_statement(STATEMENT, &key()).unwrap()
    }

    fn as_value(bundle: &Bundle) -> Value {
        serde_json::from_slice(bundle.as_json()).unwrap()
    }

    fn parse(value: &Value) -> Result<Bundle, Error> {
        Bundle::parse(&serde_json::to_vec(value).unwrap())
    }

    /// Parses the bundle after a change at one place of its JSON.
    fn changed(path: &str, value: Value) -> Result<Bundle, Error> {
        let mut bundle = as_value(&signed());
        *bundle.pointer_mut(path).unwrap() = value;
        parse(&bundle)
    }

    /// Parses the bundle after one field is added to or removed from one of its objects.
    fn with_field(object: &str, field: &str, value: Option<Value>) -> Result<Bundle, Error> {
        let mut bundle = as_value(&signed());
        let object = bundle.pointer_mut(object).unwrap().as_object_mut().unwrap();
        match value {
            Some(value) => object.insert(field.to_owned(), value),
            None => object.remove(field),
        };
        parse(&bundle)
    }

    #[test]
    fn signs_the_same_bytes_every_time() {
        let text = String::from_utf8(signed().to_json()).unwrap();
        let golden = concat!(
            r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","#,
            r#""verificationMaterial":{"publicKey":{"hint":"PhIsX0XkH0M8Sma/D1qHt617/BgyHjq/H9vy2pZ0JEQ="}},"#,
            r#""dsseEnvelope":{"payload":"eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJzdWJqZWN0IjpbeyJkaWdlc3QiO"#,
            "nsic2hhMjU2IjoiNzlkOTk2NGQ1YzNkZmEyZGYxODJmMTg2NDllNzZhMDQ2YjBmNDljMzY4NWZjNDVkZTM2OTljMDc3YTdhNGNmMSJ9fV0sI",
            "nByZWRpY2F0ZVR5cGUiOiJodHRwczovL3NpZ3N0b3JlLmRldi9jb3NpZ24vc2lnbi92MSIsInByZWRpY2F0ZSI6e319",
            r#"","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"#,
            r#""MEYCIQC8CSbisPuR0k5xZl/HOqbqE84HmkAnLzJLEJ6+1NaoFgIhAM2ySHf1bFF8vCfHALAUz5kKfV4obpGQIyvytZM1LZhn"}]}}"#,
        );
        assert_eq!(text, golden);
        assert_eq!(signed().as_json(), text.as_bytes());
    }

    #[test]
    fn verifies_what_it_signs() {
        let bundle = Bundle::parse(&signed().to_json()).unwrap();
        assert_eq!(bundle, signed());
        let verified = bundle.verify_with_key(key().public_key()).unwrap();
        assert_eq!(verified.as_bytes(), STATEMENT);
        assert_eq!((bundle.log_entries(), bundle.timestamps()), (0, 0));
    }

    #[test]
    fn verifies_a_bundle_of_cosign() {
        let bundle = Bundle::parse(COSIGN_BUNDLE.as_bytes()).unwrap();
        assert_eq!(bundle.to_json(), COSIGN_BUNDLE.as_bytes());
        let key = PublicKey::from_pem(COSIGN_PUB).unwrap();
        assert_eq!(bundle.hint(), Some(key.hint().as_str()));
        let statement = bundle.verify_with_key(&key).unwrap().into_bytes();
        let statement: Value = serde_json::from_slice(&statement).unwrap();
        assert_eq!(statement["subject"][0]["digest"]["sha256"], COSIGN_BUNDLE_SUBJECT);
    }

    #[test]
    fn sigstore_types_reads_what_it_writes() {
        let bundle = signed();
        let text = String::from_utf8(bundle.to_json()).unwrap();
        let other = sigstore_types::Bundle::from_json(&text).unwrap();
        let sigstore_types::SignatureContent::DsseEnvelope(envelope) = &other.content else {
            panic!("no envelope");
        };
        let pae = dsse::pre_authentication_encoding(IN_TOTO_PAYLOAD, STATEMENT);
        assert_eq!(envelope.pae(), pae);
        // What it writes in turn has empty fields that ours has not.
        let again = Bundle::parse(other.to_json().unwrap().as_bytes()).unwrap();
        assert_ne!(again.as_json(), bundle.as_json());
        assert!(again.verify_with_key(key().public_key()).is_ok());
    }

    #[test]
    fn every_changed_character_of_payload_and_signature_is_noticed() {
        let text = signed().to_json();
        let start = text.windows(10).position(|at| at == b"\"payload\":").unwrap();
        for at in start..text.len() {
            let mut bad = text.clone();
            bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
            let outcome =
                Bundle::parse(&bad).and_then(|bundle| bundle.verify_with_key(key().public_key()));
            assert!(outcome.is_err(), "character {at}");
        }
    }

    #[test]
    fn a_changed_payload_is_noticed() {
        let other = String::from_utf8(STATEMENT.to_vec()).unwrap().replace("79d9", "79da");
        let bundle = changed("/dsseEnvelope/payload", STANDARD.encode(other).into()).unwrap();
        assert!(matches!(
            bundle.verify_with_key(key().public_key()),
            Err(Error::SignatureMismatch { .. })
        ));
    }

    #[test]
    fn a_changed_signature_is_noticed() {
        let other = STANDARD.encode(key().sign(STATEMENT).unwrap());
        for (signature, expected) in [
            (other, Error::SignatureMismatch { fingerprint: key().public_key().fingerprint() }),
            (String::new(), Error::MalformedSignature),
        ] {
            let bundle = changed("/dsseEnvelope/signatures/0/sig", signature.into()).unwrap();
            assert_eq!(bundle.verify_with_key(key().public_key()), Err(expected));
        }
    }

    #[test]
    fn another_payload_type_is_refused() {
        assert_eq!(
            changed("/dsseEnvelope/payloadType", "application/json".into()),
            Err(Error::PayloadType {
                found: "application/json".to_owned(),
                expected: IN_TOTO_PAYLOAD
            })
        );
    }

    #[test]
    fn another_hint_is_refused_and_none_is_not() {
        let hint = "/verificationMaterial/publicKey/hint";
        let legacy = PublicKey::from_pem(LEGACY_PUB).unwrap();
        assert_eq!(
            changed(hint, legacy.hint().into()).unwrap().verify_with_key(key().public_key()),
            Err(Error::HintMismatch { found: legacy.hint(), expected: key().public_key().hint() })
        );
        assert!(matches!(signed().verify_with_key(&legacy), Err(Error::HintMismatch { .. })));
        for empty in ["".into(), Value::Null] {
            let bundle = changed(hint, empty).unwrap();
            assert_eq!(bundle.hint(), None);
            assert!(bundle.verify_with_key(key().public_key()).is_ok());
            assert!(matches!(
                bundle.verify_with_key(&legacy),
                Err(Error::SignatureMismatch { .. })
            ));
        }
    }

    /// A hint that names the trusted key does not make the signature of another key good.
    #[test]
    fn a_forged_hint_does_not_select_the_key() {
        let attacker = PrivateKey::generate().unwrap();
        let mut bundle = as_value(&sign_statement(STATEMENT, &attacker).unwrap());
        bundle["verificationMaterial"]["publicKey"]["hint"] = key().public_key().hint().into();
        assert!(matches!(
            parse(&bundle).unwrap().verify_with_key(key().public_key()),
            Err(Error::SignatureMismatch { .. })
        ));
    }

    #[test]
    fn key_identifier_must_agree_with_the_hint() {
        let signature = "/dsseEnvelope/signatures/0";
        let hint = key().public_key().hint();
        for agreeing in [hint.as_str(), ""] {
            let bundle = with_field(signature, "keyid", Some(agreeing.into())).unwrap();
            assert!(bundle.verify_with_key(key().public_key()).is_ok());
        }
        assert_eq!(
            with_field(signature, "keyid", Some("other".into())),
            Err(Error::KeyIdMismatch { keyid: "other".to_owned(), hint })
        );
    }

    #[test]
    fn media_type_is_checked_first() {
        let second = "application/vnd.dev.sigstore.bundle+json;version=0.3";
        assert!(changed("/mediaType", second.into()).is_ok());
        for other in [
            "application/vnd.dev.sigstore.bundle+json;version=0.1",
            "application/vnd.dev.sigstore.bundle.v0.4+json",
            "application/vnd.dev.sigstore.bundle.v0.3+json ",
            "APPLICATION/vnd.dev.sigstore.bundle.v0.3+json",
            "",
        ] {
            assert_eq!(
                changed("/mediaType", other.into()),
                Err(Error::MediaType(other.to_owned()))
            );
        }
        assert!(matches!(with_field("", "mediaType", None), Err(Error::Json { .. })));
        let future = br#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.9+json","new":1}"#;
        assert!(matches!(Bundle::parse(future), Err(Error::MediaType(_))));
    }

    #[test]
    fn other_forms_of_bundle_are_named() {
        let material = "/verificationMaterial";
        assert_eq!(
            changed(material, json!({"certificate": {"rawBytes": "AA=="}})),
            Err(Error::CertificateBundle)
        );
        assert_eq!(
            changed(material, json!({"x509CertificateChain": {"certificates": []}})),
            Err(Error::CertificateBundle)
        );
        // Beside a key it would be a second answer to the question who signed.
        assert_eq!(
            with_field(material, "certificate", Some(json!({"rawBytes": "AA=="}))),
            Err(Error::CertificateBundle)
        );
        let message = json!({"messageDigest": {"algorithm": "SHA2_256", "digest": "AA=="}, "signature": "AA=="});
        assert_eq!(
            with_field("", "messageSignature", Some(message)),
            Err(Error::MessageSignatureBundle)
        );
        assert_eq!(with_field("", "dsseEnvelope", None), Err(Error::MissingEnvelope));
        assert_eq!(changed(material, json!({})), Err(Error::MissingPublicKey));
        assert_eq!(changed(material, json!({"publicKey": null})), Err(Error::MissingPublicKey));
        assert_eq!(with_field("", "verificationMaterial", None), Err(Error::MissingPublicKey));
        assert_eq!(
            changed("/dsseEnvelope/signatures", json!([{"sig": "AA=="}, {"sig": "AA=="}])),
            Err(Error::SignatureCount { found: 2 })
        );
    }

    #[test]
    fn log_entries_and_timestamps_are_kept_and_counted() {
        let material = json!({
            "publicKey": {"hint": key().public_key().hint()},
            "tlogEntries": [{"logIndex": "1", "inclusionProof": {"hashes": ["AA=="], "checkpoint": {"envelope": "x"}}}],
            "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": "AA=="}, {}]},
        });
        let bundle = changed("/verificationMaterial", material).unwrap();
        assert_eq!((bundle.log_entries(), bundle.timestamps()), (1, 2));
        assert!(bundle.verify_with_key(key().public_key()).is_ok());
        let kept: Value = serde_json::from_slice(&bundle.to_json()).unwrap();
        assert_eq!(kept["verificationMaterial"]["tlogEntries"][0]["logIndex"], "1");
    }

    #[test]
    fn unknown_fields_and_wrong_types_are_refused() {
        for (object, field) in [
            ("", "extra"),
            ("", "media_type"),
            ("", "dsse_envelope"),
            ("/verificationMaterial", "public_key"),
            ("/verificationMaterial/publicKey", "rawBytes"),
            ("/dsseEnvelope", "payload_type"),
            ("/dsseEnvelope/signatures/0", "extension"),
        ] {
            assert!(
                matches!(with_field(object, field, Some("x".into())), Err(Error::Json { .. })),
                "{object}/{field}"
            );
        }
        for (path, value) in [
            ("", json!([MEDIA_TYPE, {}, null, {}])),
            ("/verificationMaterial", json!([{"hint": ""}])),
            ("/verificationMaterial/publicKey", json!([""])),
            ("/verificationMaterial/publicKey/hint", json!(1)),
            ("/dsseEnvelope", json!(["", IN_TOTO_PAYLOAD, []])),
            ("/dsseEnvelope/payload", json!(null)),
        ] {
            assert!(matches!(changed(path, value), Err(Error::Json { .. })), "{path}");
        }
    }

    #[test]
    fn duplicate_keys_are_refused_wherever_they_are() {
        let text = String::from_utf8(signed().to_json()).unwrap();
        let payload = r#""payloadType":"application/vnd.in-toto+json""#;
        for (from, to) in [
            (r#"{"mediaType""#, r#"{"mediaType":"","mediaType""#),
            (r#""hint""#, r#""hint":"x","h\u0069nt""#),
            (payload, &format!("{payload},{payload}")),
            (r#"{"publicKey""#, r#"{"tlogEntries":[{"a":1,"a":2}],"publicKey""#),
        ] {
            let bad = text.replacen(from, to, 1);
            assert_ne!(bad, text);
            assert!(
                matches!(Bundle::parse(bad.as_bytes()), Err(Error::DuplicateKey { .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        let text = signed().to_json();
        for length in 0..text.len() {
            assert!(Bundle::parse(&text[..length]).is_err(), "{length}");
        }
        let twice = [text.clone(), text.clone()].concat();
        assert!(matches!(Bundle::parse(&twice), Err(Error::Json { .. })));
    }

    #[test]
    fn limits_hold() {
        let text = String::from_utf8(signed().to_json()).unwrap();
        let with_entries = |entries: String| {
            let to = format!(r#"{{"tlogEntries":{entries},"publicKey""#);
            Bundle::parse(text.replacen(r#"{"publicKey""#, &to, 1).as_bytes())
        };
        assert!(matches!(with_entries("[".repeat(100_000)), Err(Error::TooDeep { .. })));
        assert!(matches!(
            with_entries(format!("[{}]", vec!["{}"; 20_000].join(","))),
            Err(Error::TooManyValues { .. })
        ));
        let spaces = " ".repeat(MAX_SIZE);
        assert!(matches!(
            Bundle::parse(format!("{text}{spaces}").as_bytes()),
            Err(Error::TooLarge { .. })
        ));
    }

    #[test]
    fn only_statements_are_signed() {
        let refused = |statement: &[u8]| sign_statement(statement, &key()).unwrap_err();
        assert!(matches!(refused(b"hello"), Error::Json { .. }));
        assert!(matches!(refused(b"{}"), Error::Json { .. }));
        assert!(matches!(refused(br#"["https://in-toto.io/Statement/v1"]"#), Error::Json { .. }));
        assert_eq!(
            refused(br#"{"_type":"https://in-toto.io/Statement/v0.1"}"#),
            Error::StatementType { found: STATEMENT_V0_1.to_owned() }
        );
        assert!(matches!(
            refused(br#"{"_type":"https://in-toto.io/Statement/v1","subject":[],"subject":[]}"#),
            Error::DuplicateKey { .. }
        ));
        let huge = format!(r#"{{"_type":"{STATEMENT_V1}","x":"{}"}}"#, "x".repeat(8 << 20));
        assert_eq!(refused(huge.as_bytes()), Error::TooLarge { what: "bundle", limit: MAX_SIZE });
    }

    #[test]
    fn a_signed_payload_that_is_no_statement_is_refused() {
        for payload in [&b"hello"[..], b"{}", br#"{"_type":"x"}"#] {
            let envelope = Envelope::sign(IN_TOTO_PAYLOAD, payload, &key()).unwrap();
            let mut bundle = as_value(&signed());
            bundle["dsseEnvelope"] = serde_json::from_slice(&envelope.to_json().unwrap()).unwrap();
            assert!(matches!(
                parse(&bundle).unwrap().verify_with_key(key().public_key()),
                Err(Error::Json { .. } | Error::StatementType { .. })
            ));
        }
    }
}
