//! Signatures and attestations in cosign's old form: layers of a manifest whose tag is the
//! digest of the image.
//!
//! A signature is over the exact bytes of a small JSON document that names the image; an
//! attestation is a DSSE envelope. What belongs to them (signature, certificate, entry of a log,
//! timestamp) is in annotations of the layer. All that is put into a sigstore bundle of the first
//! version here, which is then verified like any other: this form has no checks of its own
//! but those of the document. The chain of certificates beside the certificate is not read:
//! chains come from the root of trust. Source: cosign, `specs/SIGNATURE_SPEC.md`; the document:
//! containers/image, `docs/containers-signature.5.md`.

mod write;

use super::bundle::{self, MAX_SIZE};
use super::dsse::Envelope;
use super::error::{Error, quoted};
use super::json::{self, Limits, Object};
use super::sigstore::{self, Content, Reason, Refusal, Signer, TrustedRoot, Verified};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

pub use write::{Layer, payload, sign_image, sign_statement};

/// The longest document that a signature is over, in bytes. Real ones have some 250.
pub const MAX_PAYLOAD: usize = 64 << 10;

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const ENTRY: &str = "dev.sigstore.cosign/bundle";
const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

/// What the document says that it is.
const TYPE: &str = "cosign container image signature";
/// A bundle whose log entries may have a promise alone, as these have.
const BUNDLE_V0_1: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";

const PAYLOAD_LIMITS: Limits =
    Limits { what: "signed document", bytes: MAX_PAYLOAD, depth: 8, values: 1000 };
const ENTRY_LIMITS: Limits =
    Limits { what: "log entry", bytes: MAX_SIZE / 2, depth: 16, values: 1000 };
const TIMESTAMP_LIMITS: Limits = Limits { what: "timestamp", bytes: 1 << 20, depth: 2, values: 8 };

/// What a layer of this form is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A signature: tag `sha256-….sig`.
    Signature,
    /// An attestation: tag `sha256-….att`.
    Attestation,
}

impl Form {
    /// Tells by the media type of a layer.
    pub fn of(media_type: &str) -> Option<Self> {
        [Self::Signature, Self::Attestation].into_iter().find(|one| one.media_type() == media_type)
    }

    /// Returns the media type of such layers.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Signature => "application/vnd.dev.cosign.simplesigning.v1+json",
            Self::Attestation => "application/vnd.dsse.envelope.v1+json",
        }
    }

    /// Returns the end of the tags under which such layers are.
    pub fn end(self) -> &'static str {
        match self {
            Self::Signature => "sig",
            Self::Attestation => "att",
        }
    }

    /// Returns the most bytes that such a layer may have.
    pub fn limit(self) -> usize {
        match self {
            Self::Signature => MAX_PAYLOAD,
            // What belongs to it must fit beside it.
            Self::Attestation => MAX_SIZE / 2,
        }
    }
}

/// Verifies that a layer holds a signature on an image, or a signed statement about it.
///
/// `layer` are its bytes, `sha256` is the digest of the image's manifest. What is demanded of
/// certificates, log entries and timestamps is said at [`sigstore::verify`].
///
/// # Errors
/// When anything in the layer or its annotations is not as it must be.
pub fn verify(
    form: Form,
    layer: &[u8],
    annotations: &BTreeMap<String, String>,
    sha256: &[u8; 32],
    signer: &Signer,
    root: &TrustedRoot,
) -> Result<Verified, Refusal> {
    if layer.len() > form.limit() {
        return Err(Error::TooLarge { what: "layer", limit: form.limit() }.into());
    }
    match form {
        Form::Signature => {
            let named = image(layer)?;
            let payload: [u8; 32] = Sha256::digest(layer).into();
            let bundle = of_payload(&payload, annotations)?;
            let verified = sigstore::verify(&bundle, &payload, signer, root)?;
            if named != hex(sha256) {
                let message = format!("the signed document names another image, sha256:{named}");
                return Err(Refusal::new(Reason::Artifact, message));
            }
            Ok(Verified { content: Content::Signature, ..verified })
        }
        Form::Attestation => {
            if annotations.get(SIGNATURE).is_some_and(|signature| !signature.is_empty()) {
                let message = "an attestation has its signature in its envelope alone";
                return Err(Refusal::new(Reason::Bundle, message));
            }
            let envelope = serde_json::to_value(Envelope::parse(layer)?.to_wire());
            let envelope = envelope.map_err(|error| json::invalid("envelope", &error))?;
            let bundle = bundle("dsseEnvelope", envelope, annotations)?;
            sigstore::verify(&bundle, sha256, signer, root)
        }
    }
}

/// Returns the digest of the image that a signed document names, in hexadecimal digits. Nothing
/// is verified.
///
/// # Errors
/// When it is none, or another reader could read another digest in it.
pub fn image(payload: &[u8]) -> Result<String, Refusal> {
    json::check(payload, PAYLOAD_LIMITS)?;
    let document: Value = json::object(payload, PAYLOAD_LIMITS.what)?;
    let critical = member(&document, "critical")?;
    let kind = text(critical, "type")?;
    if kind != TYPE {
        let message = format!("the signed document is a \"{}\"", quoted(kind));
        return Err(Refusal::new(Reason::Unsupported, message));
    }
    let digest = text(member(critical, "image")?, "docker-manifest-digest")?;
    let is_hex =
        |hex: &&str| hex.len() == 64 && hex.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    let hex = digest.strip_prefix("sha256:").filter(is_hex);
    hex.map(str::to_owned).ok_or_else(|| {
        let message = format!("the signed document names \"{}\", no image", quoted(digest));
        Refusal::new(Reason::Bundle, message)
    })
}

/// Returns a member of an object. Its name is compared as Go does, whose reader takes it in any
/// case of letters; one that is there in two spellings is refused.
fn member<'v>(value: &'v Value, name: &'static str) -> Result<&'v Value, Refusal> {
    let refused = |what: &str| {
        let message = format!("the signed document has {what} `{name}`");
        Err(Refusal::new(Reason::Bundle, message))
    };
    let Some(object) = value.as_object() else { return refused("no object around") };
    // Go folds some letters of other alphabets into these.
    if !object.keys().all(|key| key.is_ascii()) {
        return refused("a name of no plain letters beside");
    }
    let mut found = object.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Ok(value),
        (None, _) => refused("no"),
        (Some(_), Some(_)) => refused("more than one"),
    }
}

fn text<'v>(value: &'v Value, name: &'static str) -> Result<&'v str, Refusal> {
    member(value, name)?.as_str().ok_or_else(|| {
        Refusal::new(Reason::Bundle, format!("`{name}` of the signed document is no text"))
    })
}

/// Makes the bundle of a signature over a document.
fn of_payload(
    sha256: &[u8; 32],
    annotations: &BTreeMap<String, String>,
) -> Result<Vec<u8>, Refusal> {
    let Some(signature) = annotations.get(SIGNATURE) else {
        let message = format!("the layer has no annotation `{SIGNATURE}`");
        return Err(Refusal::new(Reason::Signature, message));
    };
    let content = json!({
        "messageDigest": { "algorithm": "SHA2_256", "digest": STANDARD.encode(sha256) },
        "signature": base64("signature", signature)?,
    });
    bundle("messageSignature", content, annotations)
}

/// Makes a bundle of what is signed and the annotations.
fn bundle(
    kind: &str,
    content: Value,
    annotations: &BTreeMap<String, String>,
) -> Result<Vec<u8>, Refusal> {
    let entry = annotations.get(ENTRY).map(|text| entry(text)).transpose()?;
    let certificate = annotations.get(CERTIFICATE).map(|pem| certificate(pem)).transpose()?;
    let key = match (certificate, entry.is_some()) {
        (None, _) => ("publicKey", json!({ "hint": "" })),
        (Some(der), true) => {
            ("x509CertificateChain", json!({ "certificates": [{ "rawBytes": der }] }))
        }
        (Some(der), false) => ("certificate", json!({ "rawBytes": der })),
    };
    let mut material = serde_json::Map::from_iter([(key.0.to_owned(), key.1)]);
    if let Some(text) = annotations.get(TIMESTAMP) {
        json::check(text.as_bytes(), TIMESTAMP_LIMITS)?;
        let stamp: Timestamp = json::object(text.as_bytes(), TIMESTAMP_LIMITS.what)?;
        let stamp = base64("timestamp", &stamp.signed)?;
        material.insert(
            "timestampVerificationData".to_owned(),
            json!({ "rfc3161Timestamps": [{ "signedTimestamp": stamp }] }),
        );
    }
    let media_type = if entry.is_some() { BUNDLE_V0_1 } else { bundle::MEDIA_TYPE };
    if let Some(entry) = entry {
        material.insert("tlogEntries".to_owned(), json!([entry]));
    }
    let bundle = json!({
        "mediaType": media_type, "verificationMaterial": material, kind: content,
    });
    Ok(bundle.to_string().into_bytes())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Timestamp {
    #[serde(rename = "SignedRFC3161Timestamp")]
    signed: String,
}

/// An entry of Rekor's first version, with the log's promise to keep it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(rename = "SignedEntryTimestamp")]
    promise: String,
    #[serde(rename = "Payload")]
    payload: Object<EntryPayload>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryPayload {
    body: String,
    #[serde(rename = "integratedTime")]
    time: u64,
    #[serde(rename = "logIndex")]
    index: u64,
    #[serde(rename = "logID")]
    log: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    api_version: String,
    kind: String,
}

/// Writes a log entry as a bundle has it.
fn entry(text: &str) -> Result<Value, Refusal> {
    json::check(text.as_bytes(), ENTRY_LIMITS)?;
    let Entry { promise, payload: Object(payload) } =
        json::object(text.as_bytes(), ENTRY_LIMITS.what)?;
    let body = base64("body", &payload.body)?;
    let decoded = STANDARD.decode(body).map_err(|_| Error::Base64 { field: "body" })?;
    json::check(&decoded, ENTRY_LIMITS)?;
    let kind: Body = json::object(&decoded, ENTRY_LIMITS.what)?;
    let log = unhex(&payload.log).ok_or_else(|| {
        let message = format!("the log entry names no log: \"{}\"", quoted(&payload.log));
        Refusal::new(Reason::LogEntry, message)
    })?;
    Ok(json!({
        "logIndex": payload.index.to_string(),
        "logId": { "keyId": STANDARD.encode(log) },
        "kindVersion": { "kind": kind.kind, "version": kind.api_version },
        "integratedTime": payload.time.to_string(),
        "inclusionPromise": { "signedEntryTimestamp": base64("promise", &promise)? },
        "canonicalizedBody": body,
    }))
}

/// Returns text that is strict base64.
fn base64<'t>(field: &'static str, text: &'t str) -> Result<&'t str, Refusal> {
    match STANDARD.decode(text) {
        Ok(_) => Ok(text),
        Err(_) => Err(Error::Base64 { field }.into()),
    }
}

/// Returns the one certificate of a PEM text, in base64 as a bundle has it.
fn certificate(pem: &str) -> Result<String, Refusal> {
    let lines = pem
        .trim()
        .strip_prefix("-----BEGIN CERTIFICATE-----")
        .and_then(|rest| rest.strip_suffix("-----END CERTIFICATE-----"));
    let body: Option<String> =
        lines.map(|lines| lines.split(['\n', '\r']).map(str::trim_end).collect());
    match body {
        // A second block would bring its own lines of minus signs.
        Some(body) if STANDARD.decode(&body).is_ok_and(|der| !der.is_empty()) => Ok(body),
        _ => {
            let message = format!("the annotation `{CERTIFICATE}` is not one certificate");
            Err(Refusal::new(Reason::Certificate, message))
        }
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
