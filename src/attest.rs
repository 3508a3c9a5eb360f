//! Statements about an image: what is signed.
//!
//! Takes what the gate has cleared, its bill of materials and the record of its making,
//! gives in-toto statements as canonical bytes. Only a [`Cleared`] image gets any.

pub mod provenance;

use crate::oci::{Digest, canonical};
use crate::policy::Cleared;
use crate::settings::Requirement;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The type of an in-toto statement.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// A statement, ready to be signed.
#[derive(Debug, Clone)]
pub struct Statement {
    /// What kind of statement it is.
    pub predicate_type: &'static str,
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
        statement(Requirement::Signature, &unnamed, &json!({})),
        statement(Requirement::Sbom, &named, sbom),
        statement(Requirement::Provenance, &named, provenance),
    ]
}

/// Writes a statement (in-toto attestation framework, Statement v1).
fn statement(requirement: Requirement, subject: &impl Serialize, predicate: &Value) -> Statement {
    let predicate_type = requirement.predicate_type();
    let bytes = canonical::json(&json!({
        "_type": STATEMENT,
        "subject": [subject],
        "predicateType": predicate_type,
        "predicate": predicate,
    }));
    Statement { predicate_type, bytes }
}
