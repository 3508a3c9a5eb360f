//! DSSE envelopes.
//!
//! Dead Simple Signing Envelope 1.0.0 (secure-systems-lab/dsse, `protocol.md` and `envelope.md`): a
//! payload, its type, and signatures over both. Stricter than the specification in three ways:
//! exactly one signature (the sigstore bundle requires that), padded base64 of the standard
//! alphabet only (the one form that cosign, sigstore-js and this program write; the specification
//! also lets signers use the URL-safe alphabet), and no unknown fields.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::{
    error::{Error, quoted},
    json::{self, Limits, Object},
    key::{KeyHandle, PublicKey},
};

/// Payload type of in-toto statements (in-toto attestation framework, `envelope.md`).
pub const IN_TOTO_PAYLOAD: &str = "application/vnd.in-toto+json";

const WHAT: &str = "envelope";

const LIMITS: Limits = Limits { what: WHAT, bytes: super::bundle::MAX_SIZE, depth: 4, values: 64 };

/// Marks a value as covered by a signature that was verified.
///
/// Only the verifying functions of this module make one, so a function that takes a `Verified`
/// cannot be handed the content of an envelope nobody checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// Returns the verified value.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.0
    }

    /// Returns the verified value and gives up the mark.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// Holds a payload with exactly one signature.
///
/// The payload cannot be read without verifying it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    payload_type: String,
    payload: Vec<u8>,
    signature: Vec<u8>,
    keyid: Option<String>,
}

impl Envelope {
    /// Signs a payload of the given type.
    ///
    /// # Errors
    ///
    /// [`Error::SigningFailed`], see [`KeyHandle::sign`].
    pub fn sign(payload_type: &str, payload: &[u8], key: &dyn KeyHandle) -> Result<Self, Error> {
        Ok(Self {
            signature: key.sign(&pre_authentication_encoding(payload_type, payload))?,
            payload_type: payload_type.to_owned(),
            payload: payload.to_vec(),
            keyid: None,
        })
    }

    /// Reads an envelope from JSON of at most 10 MiB.
    ///
    /// Nothing is verified.
    ///
    /// # Errors
    ///
    /// [`Error::SignatureCount`], [`Error::Base64`], or one of the JSON errors.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        json::check(text, LIMITS)?;
        Self::from_wire(json::object(text, WHAT)?)
    }

    /// Returns the envelope as compact JSON with the keys `payload`, `payloadType`, `signatures` in
    /// this order.
    ///
    /// # Errors
    ///
    /// [`Error::Json`] if the serialiser fails, which no envelope is known to cause.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(&self.to_wire()).map_err(|error| json::invalid(WHAT, &error))
    }

    /// Returns the payload type the envelope claims.
    #[must_use]
    pub fn payload_type(&self) -> &str {
        &self.payload_type
    }

    /// Returns the key identifier of the signature, if there is one. It is not authenticated.
    #[must_use]
    pub fn keyid(&self) -> Option<&str> {
        self.keyid.as_deref()
    }

    /// Verifies the signature and returns the payload, the very bytes it was verified over.
    ///
    /// The caller says which payload type it is about to interpret: the type is signed, and
    /// accepting whatever type the envelope names would let a signature over one kind of document
    /// pass for another.
    ///
    /// # Errors
    ///
    /// [`Error::PayloadType`] for another type, [`Error::MalformedSignature`] or
    /// [`Error::SignatureMismatch`].
    pub fn verify(
        &self,
        payload_type: &'static str,
        key: &PublicKey,
    ) -> Result<Verified<&[u8]>, Error> {
        if self.payload_type != payload_type {
            return Err(Error::PayloadType {
                found: quoted(&self.payload_type),
                expected: payload_type,
            });
        }
        key.verify(
            &pre_authentication_encoding(&self.payload_type, &self.payload),
            &self.signature,
        )?;
        Ok(Verified(&self.payload))
    }

    pub(super) fn from_wire(wire: Wire<'_>) -> Result<Self, Error> {
        let [Object(signature)] = wire.signatures.as_slice() else {
            return Err(Error::SignatureCount { found: wire.signatures.len() });
        };
        let decode = |field, text: &str| STANDARD.decode(text).map_err(|_| Error::Base64 { field });
        Ok(Self {
            payload: decode("payload", &wire.payload)?,
            signature: decode("sig", &signature.sig)?,
            // sigstore-js writes an empty identifier where others write none.
            keyid: signature.keyid.clone().filter(|keyid| !keyid.is_empty()),
            payload_type: wire.payload_type.into_owned(),
        })
    }

    pub(super) fn to_wire(&self) -> Wire<'_> {
        Wire {
            payload: STANDARD.encode(&self.payload).into(),
            payload_type: Cow::Borrowed(&self.payload_type),
            signatures: vec![Object(WireSignature {
                sig: STANDARD.encode(&self.signature),
                keyid: self.keyid.clone(),
            })],
        }
    }
}

/// Envelope as it is written in JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Wire<'a> {
    #[serde(borrow)]
    payload: Cow<'a, str>,
    #[serde(borrow)]
    payload_type: Cow<'a, str>,
    signatures: Vec<Object<WireSignature>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSignature {
    sig: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
}

/// Returns the bytes a DSSE signature is made over: `DSSEv1 <length> <type> <length> <payload>`.
#[must_use]
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::super::test_keys::*;
    use super::*;
    use crate::signature::PrivateKey;

    /// `protocol.md` of DSSE, "Test Vectors".
    const HELLO_TYPE: &str = "http://example.com/HelloWorld";

    fn key() -> PrivateKey {
        PrivateKey::from_unencrypted_pem(PKCS8).unwrap()
    }

    #[test]
    fn pre_authentication_encoding_matches_the_specification() {
        assert_eq!(
            pre_authentication_encoding(HELLO_TYPE, b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
        assert_eq!(pre_authentication_encoding("", b""), b"DSSEv1 0  0 ");
        assert_eq!(pre_authentication_encoding("é", "é".as_bytes()), "DSSEv1 2 é 2 é".as_bytes());
    }

    /// The vector has the two numbers of the signature side by side where sigstore uses DER, hence
    /// the detour.
    #[test]
    fn signs_and_verifies_the_example_of_the_specification() {
        let raw = STANDARD
            .decode("A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==")
            .unwrap();
        let der = p256::ecdsa::Signature::from_slice(&raw).unwrap().to_der();
        let text = format!(
            r#"{{"payload": "aGVsbG8gd29ybGQ=",
 "payloadType": "http://example.com/HelloWorld",
 "signatures": [{{"sig": "{}"}}]}}"#,
            STANDARD.encode(der.as_bytes())
        );
        let key = PrivateKey::from_unencrypted_pem(DSSE_KEY).unwrap();
        let envelope = Envelope::parse(text.as_bytes()).unwrap();
        let verified = envelope.verify(HELLO_TYPE, key.public_key()).unwrap();
        assert_eq!(*verified.get(), b"hello world");
        let signed = Envelope::sign(HELLO_TYPE, b"hello world", &key).unwrap();
        assert_eq!(signed, envelope);
    }

    #[test]
    fn survives_a_round_trip() {
        let envelope = Envelope::sign(HELLO_TYPE, b"\x00\xff", &key()).unwrap();
        let text = envelope.to_json().unwrap();
        assert!(text.starts_with(br#"{"payload":"AP8=","payloadType":"http://example.com/HelloWorld","signatures":[{"sig":""#));
        assert_eq!(Envelope::parse(&text).unwrap(), envelope);
    }

    #[test]
    fn type_is_required_and_signed() {
        let envelope = Envelope::sign(HELLO_TYPE, b"x", &key()).unwrap();
        assert_eq!(
            envelope.verify(IN_TOTO_PAYLOAD, key().public_key()),
            Err(Error::PayloadType { found: HELLO_TYPE.to_owned(), expected: IN_TOTO_PAYLOAD })
        );
        let relabelled = Envelope { payload_type: IN_TOTO_PAYLOAD.to_owned(), ..envelope };
        assert!(matches!(
            relabelled.verify(IN_TOTO_PAYLOAD, key().public_key()),
            Err(Error::SignatureMismatch { .. })
        ));
    }

    #[test]
    fn refuses_malformed_envelopes() {
        let parse = |signatures: &str, payload: &str| {
            Envelope::parse(
                format!(r#"{{"payload":"{payload}","payloadType":"t","signatures":{signatures}}}"#)
                    .as_bytes(),
            )
        };
        let one = r#"[{"sig":"AA=="}]"#;
        assert!(parse(one, "AA==").is_ok());
        assert_eq!(parse("[]", ""), Err(Error::SignatureCount { found: 0 }));
        assert_eq!(
            parse(r#"[{"sig":"AA=="},{"sig":"AA=="}]"#, ""),
            Err(Error::SignatureCount { found: 2 })
        );
        for payload in ["AA", "AB==", "_-8=", "AA==\\n", " AA==", "A", "===="] {
            assert_eq!(parse(one, payload), Err(Error::Base64 { field: "payload" }), "{payload}");
        }
        assert_eq!(parse(r#"[{"sig":"AA"}]"#, ""), Err(Error::Base64 { field: "sig" }));
        for signatures in [
            "null",
            "{}",
            r#"[["AA=="]]"#,
            "[{}]",
            r#"[{"sig":null}]"#,
            r#"[{"sig":"AA==","cert":"x"}]"#,
        ] {
            assert!(matches!(parse(signatures, ""), Err(Error::Json { .. })), "{signatures}");
        }
        assert!(matches!(
            Envelope::parse(br#"["AA==","t",[{"sig":"AA=="}]]"#),
            Err(Error::Json { .. })
        ));
    }
}
