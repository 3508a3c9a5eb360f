//! Statements about an image: what is signed.
//!
//! Takes what the gate has cleared, its bill of materials and the record of its making,
//! gives in-toto statements as canonical bytes. Only a [`Cleared`] image gets any.

pub mod ci;
pub mod provenance;
pub mod recorded;
pub mod summary;
pub mod vulns;

use crate::finding::report::Report;
use crate::oci::{Digest, canonical, purl};
use crate::policy::Cleared;
use crate::settings::{Policy, Requirement};
use crate::time::Now;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use summary::Evidence;

/// The type of an in-toto statement.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// A statement, ready to be signed.
#[derive(Debug, Clone)]
pub struct Statement {
    /// What kind of statement it is.
    pub predicate_type: String,
    /// The statement's bytes.
    pub bytes: Vec<u8>,
}

/// Makes the statements about one digest: signature, bill of materials, provenance.
///
/// `cleared` is the proof that the image passed the gate.
pub fn statements<T>(
    _cleared: &Cleared<T>,
    name: &str,
    digest: &Digest,
    sbom: &Value,
    provenance: &Value,
) -> Vec<Statement> {
    // cosign's own signatures name no subject: the digest says it all.
    let unnamed = BTreeMap::from([("digest", json!({ "sha256": digest.hex() }))]);
    let mut named = unnamed.clone();
    named.insert("name", json!(name));
    vec![
        statement(Requirement::Signature.predicate_type(), &unnamed, &json!({})),
        statement(Requirement::Sbom.predicate_type(), &named, sbom),
        statement(Requirement::Provenance.predicate_type(), &named, provenance),
    ]
}

/// Makes the statements about one digest of what is known of it: an OpenVEX document, and the
/// vulnerabilities that count ([`vulns::predicate`]).
pub fn known<T>(
    _cleared: &Cleared<T>,
    name: &str,
    digest: &Digest,
    vex: &Value,
    vulns: &Value,
) -> Vec<Statement> {
    let named = json!({ "name": name, "digest": { "sha256": digest.hex() } });
    vec![
        statement(Requirement::Vex.predicate_type(), &named, vex),
        statement(Requirement::Vulnerabilities.predicate_type(), &named, vulns),
    ]
}

/// Makes the statements about one digest that say how it was judged: what the gate found, and
/// that it has passed the policy. For the rest as [`passed`].
pub fn judgements<T>(
    cleared: &Cleared<T>,
    image: &str,
    policy: &Policy,
    report: &Report,
    digest: &Digest,
    evidence: &Evidence,
    now: Now,
) -> Vec<Statement> {
    let unnamed = BTreeMap::from([("digest", json!({ "sha256": digest.hex() }))]);
    let found = summary::test_result(&policy.name, &policy.digest(), report);
    let publish = policy.registry.as_ref().and_then(|registry| registry.publish.as_ref());
    let place = publish.map(|publish| format!("{publish}/{image}"));
    vec![
        statement(Requirement::TestResult.predicate_type(), &unnamed, &found),
        passed(cleared, (image, place.as_deref()), policy, digest, evidence, now),
    ]
}

/// Makes the statement that an image has passed a policy: a summary of the verification. `image`
/// is its name, and where it is published, `HOST/REPO`; `evidence` is what the
/// statements about it give that were made or verified. For images of which the known vulnerabilities
/// were looked up; the summary tells the time.
pub fn passed<T>(
    _cleared: &Cleared<T>,
    (name, place): (&str, Option<&str>),
    policy: &Policy,
    digest: &Digest,
    evidence: &Evidence,
    now: Now,
) -> Statement {
    let unnamed = BTreeMap::from([("digest", json!({ "sha256": digest.hex() }))]);
    let last = name.rsplit('/').next().unwrap_or(name);
    let place = [("repository_url", place.unwrap_or_default())];
    let resource = purl::build("oci", "", last, &digest.to_string(), &place);
    let predicate = summary::verification(&policy.name, &policy.digest(), &resource, now, evidence);
    statement(Requirement::Vsa.predicate_type(), &unnamed, &predicate)
}

/// Makes a statement (in-toto attestation framework, Statement v1).
pub fn statement(predicate_type: &str, subject: &impl Serialize, predicate: &Value) -> Statement {
    let bytes = canonical::json(&json!({
        "_type": STATEMENT,
        "subject": [subject],
        "predicateType": predicate_type,
        "predicate": predicate,
    }));
    Statement { predicate_type: predicate_type.to_owned(), bytes }
}

/// Makes the statement that an image is signed, for one that is there already. It says nothing
/// of what is in the image.
pub fn signature(digest: &Digest) -> Statement {
    let subject = json!({ "digest": { "sha256": digest.hex() } });
    statement(Requirement::Signature.predicate_type(), &subject, &json!({}))
}

/// The short names of predicate types that users of cosign know.
const SHORT: [(&str, &str); 7] = [
    ("spdx", "https://spdx.dev/Document"),
    ("spdxjson", "https://spdx.dev/Document"),
    ("cyclonedx", "https://cyclonedx.org/bom"),
    ("link", "https://in-toto.io/Link/v1"),
    ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
    ("openvex", "https://openvex.dev/ns"),
    ("custom", "https://cosign.sigstore.dev/attestation/v1"),
];
/// What only karat states, of what it has seen itself: each with the beginning of the types of
/// other versions, and cosign's short names.
const OWN: [&str; 6] = [
    "https://sigstore.dev/cosign/sign/",
    "https://slsa.dev/provenance/",
    "https://slsa.dev/verification_summary/",
    "https://in-toto.io/attestation/test-result/",
    "https://in-toto.io/attestation/vulns/",
    "slsaprovenance",
];

/// Why a predicate type is refused.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PredicateTypeError {
    #[error("`{0}` is stated by karat alone, of what it has seen itself")]
    Own(String),
    #[error("`{0}` is neither a URI nor a short name of a predicate type")]
    Unknown(String),
}

/// Returns the predicate type that a user names: a URI, or one of cosign's short names.
///
/// # Errors
/// When it is neither, or one that karat states itself.
pub fn predicate_type(named: &str) -> Result<String, PredicateTypeError> {
    if let Some((_, long)) = SHORT.iter().find(|(short, _)| *short == named) {
        return Ok((*long).to_owned());
    }
    // Schemes and hosts are the same in every case of letters.
    let folded = named.to_ascii_lowercase();
    if OWN.iter().any(|own| folded.starts_with(own)) {
        return Err(PredicateTypeError::Own(named.to_owned()));
    }
    let is_uri = named.split_once("://").is_some_and(|(scheme, rest)| {
        !scheme.is_empty() && !rest.is_empty() && named.bytes().all(|byte| byte.is_ascii_graphic())
    });
    if is_uri { Ok(named.to_owned()) } else { Err(PredicateTypeError::Unknown(named.to_owned())) }
}
