//! Keyless signing: a key for one run, a certificate for who runs it, and an entry in a log.
//!
//! Source: sigstore's client specification, section "Signing". The order: the identity token is
//! checked, a key is made, Fulcio certifies it for the token, and each statement is signed,
//! stamped by timestamp authorities and entered into the logs. What comes out is verified with the
//! same code and the same root of trust as everybody's signatures before it is handed out.
//!
//! What answers is foreign: answers have limits, and what they hold is believed only when it
//! verifies. The token is sent to the certificate authority alone.

mod der;
mod log;
pub mod token;

use crate::http::{Body, Client, HttpError, Method, Request, Response, Url};
use crate::signature::sigstore::{self, Identity, Refusal, Signer, TrustedRoot};
use crate::signature::{self, Envelope, PrivateKey, Services, Signing, bundle, dsse};
use crate::time::Now;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use token::Token;

/// The longest answer that is read, in bytes: a certificate, a timestamp or an entry.
const MAX_ANSWER: u64 = 1 << 20;
/// The most certificates of a chain.
const MAX_CHAIN: usize = 10;
/// How a certificate begins and ends (RFC 7468, section 5).
const PEM: (&str, &str) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");

/// Why nothing could be signed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum KeylessError {
    #[error("{0}")]
    NoToken(&'static str),
    #[error("the identity token cannot be read: {0}")]
    Token(&'static str),
    #[error("the identity token expired {ago} seconds ago, by the clock of this machine")]
    Expired { ago: u64 },
    #[error("the identity token holds only in {ahead} seconds, by the clock of this machine")]
    Early { ahead: u64 },
    #[error("`{0}` is no address of a service: {1}")]
    Address(String, String),
    #[error("{what}: {error}")]
    Http { what: &'static str, error: Box<HttpError> },
    #[error("{what} `{place}` answers {status}{}", told(.words))]
    Refused { what: &'static str, place: String, status: u16, words: String },
    #[error("{what} answers what cannot be understood: {why}")]
    Answer { what: &'static str, why: String },
    #[error(transparent)]
    Sign(#[from] signature::Error),
    #[error("what was signed does not verify, and is thrown away: {0}")]
    Unverified(Refusal),
}

fn told(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

/// A key that lives as long as this run, and its certificate.
pub struct Session {
    key: PrivateKey,
    /// The certificate, DER.
    certificate: Vec<u8>,
    /// Who is demanded of what was signed.
    signer: Signer,
    services: Services,
    client: Client,
    root: Arc<TrustedRoot>,
    /// The identity in the certificate and its issuer.
    named: (String, String),
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("signer", &self.signer).finish_non_exhaustive()
    }
}

impl Session {
    /// Makes a key and has it certified. `client` must reach the services.
    ///
    /// # Errors
    /// When the token does not hold, or no certificate is given.
    pub fn open(
        token: &Token,
        services: Services,
        client: Client,
        root: Arc<TrustedRoot>,
        now: Now,
    ) -> Result<Self, KeylessError> {
        token.check(now)?;
        let key = PrivateKey::generate()?;
        let certificate = certificate(&client, &services.authority, token, &key)?;
        let named = sigstore::certified(&certificate).map_err(KeylessError::Unverified)?;
        // What is demanded of what is signed here: the certificate itself is verified with it.
        let signer = Signer::Identity(Identity::exact(named.0.clone(), named.1.clone()));
        Ok(Self { key, certificate, signer, services, client, root, named })
    }

    /// Returns the identity in the certificate and its issuer. Everything that is signed is
    /// verified to be theirs.
    pub fn named(&self) -> &(String, String) {
        &self.named
    }

    /// Signs a statement into a bundle and verifies it. `sha256` is that of one of its subjects.
    ///
    /// # Errors
    /// When a service fails, or what comes out does not verify.
    pub fn statement(&self, statement: &[u8], sha256: &[u8; 32]) -> Result<Vec<u8>, KeylessError> {
        let envelope = Envelope::sign(dsse::IN_TOTO_PAYLOAD, statement, &self.key)?;
        let envelope: Value = serde_json::from_slice(&envelope.to_json()?).map_err(|error| {
            KeylessError::Answer { what: "the envelope", why: error.to_string() }
        })?;
        let signature = envelope["signatures"][0]["sig"].as_str().unwrap_or_default();
        let signature = STANDARD.decode(signature).unwrap_or_default();
        let signed = dsse::pre_authentication_encoding(dsse::IN_TOTO_PAYLOAD, statement);
        let of = log::Signed {
            sha256: Sha256::digest(&signed).into(),
            signature: &signature,
            envelope: Some(&envelope),
            certificate: &self.certificate,
        };
        self.bundle(&of, "dsseEnvelope", envelope.clone(), sha256)
    }

    /// Signs an artifact, by its SHA-256, into a bundle and verifies it.
    ///
    /// # Errors
    /// As [`Session::statement`].
    pub fn artifact(&self, sha256: &[u8; 32]) -> Result<Vec<u8>, KeylessError> {
        let signature = self.key.sign_sha256(sha256)?;
        let of = log::Signed {
            sha256: *sha256,
            signature: &signature,
            envelope: None,
            certificate: &self.certificate,
        };
        let content = json!({
            "messageDigest": { "algorithm": "SHA2_256", "digest": STANDARD.encode(sha256) },
            "signature": STANDARD.encode(&signature),
        });
        self.bundle(&of, "messageSignature", content, sha256)
    }

    fn bundle(
        &self,
        signed: &log::Signed<'_>,
        field: &str,
        content: Value,
        sha256: &[u8; 32],
    ) -> Result<Vec<u8>, KeylessError> {
        // First the time, then the log: an entry of a log without a time of its own is of no use.
        let stamped: [u8; 32] = Sha256::digest(signed.signature).into();
        let mut stamps = Vec::new();
        for place in &self.services.timestamps {
            let stamp = timestamp(&self.client, place, &stamped)?;
            stamps.push(json!({ "signedTimestamp": STANDARD.encode(stamp) }));
        }
        let mut entries = Vec::new();
        for (place, version) in &self.services.logs {
            entries.push(log::enter(&self.client, place, *version, signed)?);
        }
        let mut bundle = json!({
            "mediaType": bundle::MEDIA_TYPE,
            "verificationMaterial": {
                "certificate": { "rawBytes": STANDARD.encode(&self.certificate) },
                "tlogEntries": entries,
                "timestampVerificationData": { "rfc3161Timestamps": stamps },
            },
        });
        bundle[field] = content;
        let bundle = bundle.to_string().into_bytes();
        sigstore::verify(&bundle, sha256, &self.signer, &self.root)
            .map_err(KeylessError::Unverified)?;
        Ok(bundle)
    }
}

impl Signing for Session {
    fn bundle(&self, statement: &[u8], sha256: &[u8; 32]) -> Result<Vec<u8>, signature::Error> {
        self.statement(statement, sha256).map_err(|error| signature::Error::Service {
            may_help: error.is_transient(),
            message: error.to_string(),
        })
    }
}

impl KeylessError {
    /// Says whether trying again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Http { .. } => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }
}

/// Asks for what `path` of a service gives for a body, again and again where the service asks for
/// patience.
fn post(
    client: &Client,
    what: &'static str,
    (place, path): (&str, &str),
    (kind, accept): (&str, &str),
    body: &[u8],
) -> Result<Vec<u8>, KeylessError> {
    let address = format!("{}{path}", place.trim_end_matches('/'));
    let url = Url::parse(&address)
        .map_err(|error| KeylessError::Address(address.clone(), error.to_string()))?;
    let request = Request::new(Method::Post, url)
        .header("content-type", kind)
        .header("accept", accept)
        .body(Body::Bytes(body));
    let failed = |error| KeylessError::Http { what, error: Box::new(error) };
    let answer = client.retried(&request).map_err(failed)?;
    match answer.status() {
        200 | 201 => answer.bytes(MAX_ANSWER).map_err(failed),
        status => {
            let place = answer.url().origin().to_string();
            Err(KeylessError::Refused { what, place, status, words: words(answer) })
        }
    }
}

/// What a service says of its refusal, in one short line.
fn words(answer: Response) -> String {
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }
    let bytes = answer.bytes(MAX_ANSWER).unwrap_or_default();
    let said: Option<Said> = serde_json::from_slice(&bytes).ok();
    let text =
        said.map_or_else(|| String::from_utf8_lossy(&bytes).into_owned(), |said| said.message);
    let line: String = text.lines().next().unwrap_or_default().chars().take(200).collect();
    crate::finding::escape::terminal(&line)
}

/// Has a key certified (Fulcio, `POST /api/v2/signingCert`).
fn certificate(
    client: &Client,
    place: &str,
    token: &Token,
    key: &PrivateKey,
) -> Result<Vec<u8>, KeylessError> {
    const WHAT: &str = "the certificate authority";
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        #[serde(alias = "signedCertificateDetachedSct")]
        signed_certificate_embedded_sct: Given,
    }
    #[derive(Deserialize)]
    struct Given {
        chain: Chain,
    }
    #[derive(Deserialize)]
    struct Chain {
        certificates: Vec<String>,
    }
    let request = der::certificate_request(key)?;
    let request = format!(
        "-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n",
        STANDARD.encode(request)
    );
    // The one place that the token is sent to. Its bytes are wiped with the body.
    let body = zeroize::Zeroizing::new(
        json!({
            "credentials": { "oidcIdentityToken": token.expose() },
            "certificateSigningRequest": STANDARD.encode(request),
        })
        .to_string(),
    );
    let kind = ("application/json", "application/json");
    let answer = post(client, WHAT, (place, "/api/v2/signingCert"), kind, body.as_bytes())?;
    let unclear = |why: String| KeylessError::Answer { what: WHAT, why };
    let answer: Answer =
        serde_json::from_slice(&answer).map_err(|error| unclear(error.to_string()))?;
    let chain = answer.signed_certificate_embedded_sct.chain.certificates;
    if chain.len() > MAX_CHAIN {
        return Err(unclear(format!("a chain of {} certificates", chain.len())));
    }
    let first = chain.first().ok_or_else(|| unclear("no certificate".to_owned()))?;
    let inner = first.trim().strip_prefix(PEM.0).and_then(|rest| rest.strip_suffix(PEM.1));
    let inner: String = inner
        .ok_or_else(|| unclear("a certificate that is no PEM".to_owned()))?
        .split_ascii_whitespace()
        .collect();
    STANDARD.decode(inner).map_err(|error| unclear(error.to_string()))
}

/// Has a hash stamped (RFC 3161 over HTTP, section 3.4). Gives the whole answer, as bundles hold it.
fn timestamp(client: &Client, place: &str, sha256: &[u8; 32]) -> Result<Vec<u8>, KeylessError> {
    let kind = ("application/timestamp-query", "application/timestamp-reply");
    post(client, "the timestamp authority", (place, ""), kind, &der::timestamp_request(sha256))
}
