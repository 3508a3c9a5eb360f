//! OpenVEX statements that somebody has signed and put beside an image.
//!
//! Takes a stored image and who may state what of it, gives the statements that count, each with
//! the digest that it is about, and what was ignored and why. What lies in the image is never
//! looked at.

use super::statements;
use crate::advisory::vex;
use crate::image::stored::{Stored, StoredError};
use crate::oci::document::Manifest;
use crate::oci::{Descriptor, Digest};
use crate::settings::Requirement;
use crate::trust::{Signed, Trust};
use serde_json::Value;

/// What was found beside an image.
#[derive(Debug, Default)]
pub struct SignedVex {
    /// The statements that count.
    pub signed: Vec<vex::Signed>,
    /// The documents that do not, by the digests of their manifests, and why.
    pub ignored: Vec<(Digest, String)>,
}

/// Reads the statements about an image and its platforms.
///
/// # Errors
/// When the image or what refers to it cannot be read for want of a registry or disk.
pub fn of(stored: &Stored, root: &Descriptor, trust: &Trust) -> Result<SignedVex, StoredError> {
    let mut found = SignedVex::default();
    for one in statements::about(stored, &statements::subjects(stored, root)?, trust)? {
        match one.judged {
            Ok(signed) if is_vex(&signed.predicate_type) => {
                match read(&signed, &one.referrer.digest) {
                    Ok(statements) => {
                        found.signed.push(vex::Signed { subject: one.subject, statements });
                    }
                    Err(why) => found.ignored.push((one.referrer.digest, why)),
                }
            }
            Ok(_) => {}
            Err(why) if claims(one.referrer, &one.manifest) => {
                found.ignored.push((one.referrer.digest, why.to_string()));
            }
            Err(_) => {}
        }
    }
    Ok(found)
}

fn is_vex(predicate_type: &str) -> bool {
    Requirement::of(predicate_type) == Some(Requirement::Vex)
}

/// Says whether something says of itself that it is such a document.
fn claims(descriptor: &Descriptor, manifest: &Manifest) -> bool {
    let annotations = descriptor.annotations.values().chain(manifest.annotations.values());
    let kinds = descriptor.artifact_type.iter().chain(&manifest.artifact_type);
    let layers = manifest.layers.iter().map(|layer| &layer.media_type);
    annotations.map(String::as_str).any(is_vex)
        || kinds.chain(layers).any(|kind| kind.as_str().contains("openvex"))
}

/// Reads the document out of a signed statement (in-toto, Statement v1).
fn read(signed: &Signed, referrer: &Digest) -> Result<Vec<vex::Statement>, String> {
    let statement = signed.statement.as_deref().unwrap_or_default();
    let statement: Value = serde_json::from_slice(statement).map_err(|error| error.to_string())?;
    let document = statement.get("predicate").map(Value::to_string).unwrap_or_default();
    let by = match (&signed.key, &signed.certified) {
        (Some(key), _) => format!("the key {key}"),
        (None, Some((identity, _))) => identity.clone(),
        (None, None) => "somebody".to_owned(),
    };
    let source = format!("the statement {referrer} of {by}");
    let mut statements =
        vex::read(&source, document.as_bytes()).map_err(|error| error.to_string())?;
    statements.iter_mut().for_each(|one| one.signed = true);
    Ok(statements)
}
