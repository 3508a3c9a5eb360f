//! OpenVEX statements that somebody has signed and put beside an image.
//!
//! Takes a stored image and who may state what of it, gives the statements that count, each with
//! the digest that it is about, and what was ignored and why. What lies in the image is never
//! looked at.

use crate::advisory::vex;
use crate::image::stored::{Stored, StoredError};
use crate::oci::document::{MAX_MANIFEST, Manifest};
use crate::oci::{Descriptor, Digest};
use crate::settings::Requirement;
use crate::trust::{self, MAX_CANDIDATES, Refused, Signed, Trust};
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
    let mut subjects = vec![root.digest];
    if root.media_type.is_index() {
        match stored.manifests(root) {
            Ok(manifests) => subjects.extend(manifests.iter().map(|one| one.digest)),
            // Whoever judges the image says so.
            Err(error) if error.is_judgement() => {}
            Err(error) => return Err(error),
        }
    }
    let mut found = SignedVex::default();
    let mut looked_at = 0;
    for referrer in stored.artifacts() {
        let manifest = match stored.document(referrer, MAX_MANIFEST) {
            Ok(bytes) => Manifest::parse(&bytes),
            Err(error) if error.is_judgement() => continue,
            Err(error) => return Err(error),
        };
        let Ok(manifest) = manifest else { continue };
        let about = manifest.subject.as_ref().map(|about| about.digest);
        let Some(subject) = about.filter(|about| subjects.contains(about)) else { continue };
        looked_at += 1;
        if looked_at > MAX_CANDIDATES * subjects.len() {
            break;
        }
        let judged = match trust.revoked_digest(&referrer.digest) {
            Some(why) => Err(Refused::Revoked(why.to_owned())),
            None => trust::referrer(stored, &manifest, &subject, trust),
        };
        match judged {
            Ok(signed) if is_vex(&signed.predicate_type) => {
                match statements(&signed, &referrer.digest) {
                    Ok(statements) => found.signed.push(vex::Signed { subject, statements }),
                    Err(why) => found.ignored.push((referrer.digest, why)),
                }
            }
            Ok(_) => {}
            Err(Refused::Stored(error)) if !error.is_judgement() => return Err(error),
            Err(why) if claims(referrer, &manifest) => {
                found.ignored.push((referrer.digest, why.to_string()));
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
fn statements(signed: &Signed, referrer: &Digest) -> Result<Vec<vex::Statement>, String> {
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
