//! Entries of transparency logs, as bundles hold them: Rekor's interfaces 1 and 2.
//!
//! Sources: sigstore/rekor, `openapi.yaml`; sigstore/rekor-tiles, `rekor/v2/`; protobuf-specs,
//! `sigstore_rekor.proto`, in its JSON form.

use super::{KeylessError, post};
use crate::http::Client;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const WHAT: &str = "the transparency log";
/// The most hashes of a proof: a log of 2^64 entries has no more.
const MAX_HASHES: usize = 64;

/// What is entered.
pub(super) struct Signed<'a> {
    /// The hash of what was signed.
    pub(super) sha256: [u8; 32],
    /// The signature, DER.
    pub(super) signature: &'a [u8],
    /// The envelope around it, where there is one.
    pub(super) envelope: Option<&'a Value>,
    /// The certificate, DER.
    pub(super) certificate: &'a [u8],
}

fn unclear(why: impl ToString) -> KeylessError {
    KeylessError::Answer { what: WHAT, why: why.to_string() }
}

/// Enters a signature into a log and returns the entry.
pub(super) fn enter(
    client: &Client,
    place: &str,
    version: u32,
    signed: &Signed<'_>,
) -> Result<Value, KeylessError> {
    let (path, body) = match version {
        1 => ("/api/v1/log/entries", first(signed)),
        _ => ("/api/v2/log/entries", second(signed)),
    };
    let kind = ("application/json", "application/json");
    let answer = post(client, WHAT, (place, path), kind, body.to_string().as_bytes())?;
    match version {
        1 => entry_of_first(&answer),
        _ => serde_json::from_slice(&answer).map_err(unclear),
    }
}

/// A request to the second interface, whose entries are all hashes and signatures.
fn second(signed: &Signed<'_>) -> Value {
    json!({ "hashedRekordRequestV002": {
        "digest": STANDARD.encode(signed.sha256),
        "signature": {
            "content": STANDARD.encode(signed.signature),
            "verifier": {
                "x509Certificate": { "rawBytes": STANDARD.encode(signed.certificate) },
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            },
        },
    } })
}

/// A request to the first interface: an envelope, or a hash and a signature.
fn first(signed: &Signed<'_>) -> Value {
    let certificate = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines(&STANDARD.encode(signed.certificate))
    );
    let certificate = STANDARD.encode(certificate);
    match signed.envelope {
        Some(envelope) => json!({
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": { "proposedContent": {
                "envelope": envelope.to_string(),
                "verifiers": [certificate],
            } },
        }),
        None => json!({
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": { "hash": { "algorithm": "sha256", "value": hex(&signed.sha256) } },
                "signature": {
                    "content": STANDARD.encode(signed.signature),
                    "publicKey": { "content": certificate },
                },
            },
        }),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Breaks base64 into the lines of PEM (RFC 7468, section 2).
fn lines(text: &str) -> String {
    let chunks = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned());
    chunks.collect::<Vec<_>>().join("\n")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    body: String,
    integrated_time: u64,
    #[serde(rename = "logID")]
    log_id: String,
    log_index: u64,
    verification: Verification,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verification {
    inclusion_proof: Proof,
    signed_entry_timestamp: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proof {
    checkpoint: String,
    hashes: Vec<String>,
    log_index: u64,
    root_hash: String,
    tree_size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    kind: String,
    api_version: String,
}

/// Writes the answer of the first interface in the form of bundles: hexadecimal digits become
/// base64, numbers text.
fn entry_of_first(answer: &[u8]) -> Result<Value, KeylessError> {
    let entries: BTreeMap<String, Entry> = serde_json::from_slice(answer).map_err(unclear)?;
    let mut entries = entries.into_values();
    let (Some(entry), None) = (entries.next(), entries.next()) else {
        return Err(unclear("not exactly one entry"));
    };
    let body = STANDARD.decode(&entry.body).map_err(unclear)?;
    let body: Body = serde_json::from_slice(&body).map_err(unclear)?;
    let proof = entry.verification.inclusion_proof;
    if proof.hashes.len() > MAX_HASHES {
        return Err(unclear("a proof of too many hashes"));
    }
    let hashes: Result<Vec<_>, _> = proof.hashes.iter().map(|hash| base64_of_hex(hash)).collect();
    Ok(json!({
        "logIndex": entry.log_index.to_string(),
        "logId": { "keyId": base64_of_hex(&entry.log_id)? },
        "kindVersion": { "kind": body.kind, "version": body.api_version },
        "integratedTime": entry.integrated_time.to_string(),
        "inclusionPromise": { "signedEntryTimestamp": entry.verification.signed_entry_timestamp },
        "inclusionProof": {
            "logIndex": proof.log_index.to_string(),
            "rootHash": base64_of_hex(&proof.root_hash)?,
            "treeSize": proof.tree_size.to_string(),
            "hashes": hashes?,
            "checkpoint": { "envelope": proof.checkpoint },
        },
        "canonicalizedBody": entry.body,
    }))
}

fn base64_of_hex(text: &str) -> Result<String, KeylessError> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some((digit(high)? << 4 | digit(low)?) as u8),
        _ => None,
    });
    let bytes: Option<Vec<u8>> = pairs.collect();
    bytes.map(|bytes| STANDARD.encode(bytes)).ok_or_else(|| unclear("a hash that is none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_of_the_first_interface_is_written_as_bundles_have_it() {
        let body = STANDARD.encode(r#"{"apiVersion":"0.0.1","kind":"dsse","spec":{}}"#);
        let answer = json!({ "24296fb2": {
            "body": body, "integratedTime": 1700000000, "logID": "c0ffee", "logIndex": 7,
            "verification": {
                "inclusionProof": { "checkpoint": "c", "hashes": ["00ff"], "logIndex": 3,
                                    "rootHash": "ab", "treeSize": 4 },
                "signedEntryTimestamp": "c2V0",
            },
        } });
        let entry = entry_of_first(answer.to_string().as_bytes()).unwrap();
        assert_eq!(entry["logId"]["keyId"], "wP/u");
        assert_eq!(entry["kindVersion"], json!({ "kind": "dsse", "version": "0.0.1" }));
        assert_eq!(entry["inclusionProof"]["hashes"], json!(["AP8="]));
        assert_eq!(
            (&entry["logIndex"], &entry["inclusionProof"]["logIndex"]),
            (&json!("7"), &json!("3"))
        );
        for wrong in
            [json!({}), json!([]), json!({ "a": answer["24296fb2"], "b": answer["24296fb2"] })]
        {
            assert!(entry_of_first(wrong.to_string().as_bytes()).is_err());
        }
        let mut odd = answer.clone();
        odd["24296fb2"]["logID"] = "abc".into();
        assert!(entry_of_first(odd.to_string().as_bytes()).is_err());
    }
}
