//! Trust: does a referrer of an image count as signed by whom it must be signed by?
//!
//! Takes stored referrers, a digest and a signer, gives what was signed, or why it does not
//! count. Opens nothing. Used by whoever judges an image that somebody has signed.

use crate::image::stored::{Stored, StoredError};
use crate::oci::document::Manifest;
use crate::oci::{Descriptor, Digest, MediaType};
use crate::signature::bundle;
use crate::signature::sigstore::{self, Content, Reason, Refusal, Signer, TrustedRoot};
use serde::Deserialize;
use serde_json::Value;

/// The most referrers of one digest that are looked at.
pub const MAX_CANDIDATES: usize = 100;

/// Whose signatures count, and what vouches for certificates and logs.
#[derive(Debug)]
pub struct Trust {
    /// Who must have signed.
    pub signer: Signer,
    /// The authorities and logs.
    pub root: TrustedRoot,
}

/// A statement about a digest whose signature counts.
#[derive(Debug)]
pub struct Signed {
    /// What kind of statement it is.
    pub predicate_type: String,
    /// The identity that signed and its issuer; none of a key.
    pub certified: Option<(String, String)>,
    /// Whether an entry of a trusted log was verified.
    pub logged: bool,
}

/// Why a candidate does not count.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Refused {
    #[error("it is about {0}")]
    OtherSubject(Digest),
    #[error("it has no subject")]
    NoSubject,
    #[error("it holds {0} layers, and a bundle is one")]
    Layers(usize),
    #[error("it holds a `{0}`")]
    MediaType(MediaType),
    #[error(transparent)]
    Stored(#[from] StoredError),
    #[error("{0}")]
    Unreadable(String),
    #[error(transparent)]
    Signature(#[from] Refusal),
    #[error("it signs the bytes of the manifest, and not a statement about them")]
    NoStatement,
    #[error("the signed statement cannot be read: {0}")]
    Statement(String),
}

impl Refused {
    /// Returns what of the signature is wrong, where that is what is wrong.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Signature(refusal) => Some(refusal.reason),
            _ => None,
        }
    }
}

/// The parts of a signed statement that are judged (in-toto, Statement v1).
#[derive(Deserialize)]
struct Statement {
    #[serde(rename = "predicateType")]
    predicate_type: String,
}

/// Returns the descriptor of the bundle that a referrer's manifest holds.
///
/// # Errors
/// When it is about another digest than `subject`, or holds something else.
pub fn bundle_of<'m>(manifest: &'m Manifest, subject: &Digest) -> Result<&'m Descriptor, Refused> {
    let about = manifest.subject.as_ref().ok_or(Refused::NoSubject)?;
    if about.digest != *subject {
        return Err(Refused::OtherSubject(about.digest));
    }
    let [layer] = &manifest.layers[..] else {
        return Err(Refused::Layers(manifest.layers.len()));
    };
    if layer.media_type != MediaType::SIGSTORE_BUNDLE {
        return Err(Refused::MediaType(layer.media_type.clone()));
    }
    Ok(layer)
}

/// Judges the bytes of a bundle.
///
/// # Errors
/// When the signature does not count, or nothing is stated.
pub fn bundle(bytes: &[u8], subject: &Digest, trust: &Trust) -> Result<Signed, Refused> {
    let verified = sigstore::verify(bytes, subject.bytes(), &trust.signer, &trust.root)?;
    let Content::Statement(statement) = verified.content else { return Err(Refused::NoStatement) };
    let Statement { predicate_type } = serde_json::from_slice(statement.as_bytes())
        .map_err(|error| Refused::Statement(error.to_string()))?;
    Ok(Signed { predicate_type, certified: verified.certified, logged: verified.logged })
}

/// Judges one referrer.
///
/// # Errors
/// When it is about another digest, cannot be read, or its signature does not count.
pub fn referrer(
    stored: &Stored,
    manifest: &Manifest,
    subject: &Digest,
    trust: &Trust,
) -> Result<Signed, Refused> {
    let layer = bundle_of(manifest, subject)?;
    let bytes = stored.document(layer, bundle::MAX_SIZE as u64)?;
    self::bundle(&bytes, subject, trust)
}

/// Returns what a referrer states, where its signature counts and it states something of this
/// type.
///
/// # Errors
/// As [`referrer`].
pub fn predicate(
    stored: &Stored,
    manifest: &Manifest,
    subject: &Digest,
    trust: &Trust,
    predicate_type: &str,
) -> Result<Option<Value>, Refused> {
    #[derive(Deserialize)]
    struct Whole {
        #[serde(rename = "predicateType")]
        predicate_type: String,
        #[serde(default)]
        predicate: Value,
    }
    let layer = bundle_of(manifest, subject)?;
    let bytes = stored.document(layer, bundle::MAX_SIZE as u64)?;
    let verified = sigstore::verify(&bytes, subject.bytes(), &trust.signer, &trust.root)?;
    let Content::Statement(statement) = verified.content else { return Err(Refused::NoStatement) };
    let whole: Whole = serde_json::from_slice(statement.as_bytes())
        .map_err(|error| Refused::Statement(error.to_string()))?;
    Ok((whole.predicate_type == predicate_type).then_some(whole.predicate))
}
