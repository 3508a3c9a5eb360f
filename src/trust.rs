//! Trust: does what refers to an image count as signed by whom it must be signed by?
//!
//! Takes stored referrers, a digest and who is trusted, gives what was signed, or why it does not
//! count. Opens nothing. Used by whoever judges an image that somebody has signed.

mod approval;
mod of_policy;
mod vsa;

use crate::image::stored::{Stored, StoredError};
use crate::oci::document::Manifest;
use crate::oci::legacy::Legacy;
use crate::oci::{Descriptor, Digest, MediaType};
use crate::settings::Requirement;
use crate::settings::trust::{Revocation, RevokedThing};
use crate::signature::bundle;
use crate::signature::legacy::{self as old_form, Form};
use crate::signature::sigstore::{self, Content, Reason, Refusal, Signer, TrustedRoot, Verified};
use crate::time::{Date, Moment};
pub use approval::approval;
use serde::Deserialize;
use std::sync::Arc;
pub use vsa::VsaTerms;

/// The most signatures on one digest that are looked at.
pub const MAX_CANDIDATES: usize = 100;

/// Whose signatures count, and what vouches for certificates and logs.
#[derive(Debug)]
pub struct Trust {
    /// Who is trusted. What any of them may state and has signed counts.
    pub signers: Vec<Trusted>,
    /// The authorities and logs.
    pub root: Arc<TrustedRoot>,
    /// What is trusted no longer, whoever has signed it.
    pub revoked: Vec<Revocation>,
    /// The day on which it is asked, for signatures of which nobody says when they were made;
    /// none where it does not matter.
    pub today: Option<Date>,
    /// What is demanded of summaries of verifications; without it none counts.
    pub vsa: Option<VsaTerms>,
}

/// A signer, and what is taken from them.
#[derive(Debug)]
pub struct Trusted {
    /// Who must have signed.
    pub signer: Signer,
    /// What they may state; none for anything.
    pub statements: Option<Vec<Requirement>>,
    /// Whether an entry of a trusted log is demanded where a key has signed. With a certificate
    /// it always is.
    pub needs_log: bool,
    /// The first and the last day on which they may have signed.
    pub period: (Option<Date>, Option<Date>),
}

impl Trust {
    /// Takes one signer for everything, for whoever names one.
    pub fn in_one(signer: Signer, root: impl Into<Arc<TrustedRoot>>) -> Self {
        let root = root.into();
        let all = Trusted { signer, statements: None, needs_log: false, period: (None, None) };
        Self { signers: vec![all], root, revoked: Vec::new(), today: None, vsa: None }
    }

    /// Returns why a digest is trusted no longer.
    pub fn revoked_digest(&self, digest: &Digest) -> Option<&str> {
        let is_it = |one: &&Revocation| one.what == RevokedThing::Digest(*digest);
        self.revoked.iter().find(is_it).map(|one| one.reason.as_str())
    }

    fn revoked_key(&self, signer: &Signer) -> Option<&str> {
        let Signer::Key(key) = signer else { return None };
        let fingerprint = RevokedThing::Key(key.fingerprint());
        self.revoked.iter().find(|one| one.what == fingerprint).map(|one| one.reason.as_str())
    }

    /// Tries each signer; the first whose signature counts is the one.
    fn judge(
        &self,
        verify: impl Fn(&Signer) -> Result<Verified, Refusal>,
    ) -> Result<Signed, Refused> {
        let mut refused = Vec::new();
        for trusted in &self.signers {
            let judged = match self.revoked_key(&trusted.signer) {
                Some(reason) => {
                    Err(Refused::RevokedKey(trusted.signer.to_string(), reason.to_owned()))
                }
                None => verify(&trusted.signer)
                    .map_err(Refused::from)
                    .and_then(|verified| self.take(trusted, verified)),
            };
            match judged {
                Ok(signed) => return Ok(signed),
                Err(why) => refused.push((trusted.signer.to_string(), why)),
            }
        }
        Err(match refused.len() {
            0 => Refused::Nobody,
            1 => refused.remove(0).1,
            _ => Refused::Each(refused),
        })
    }

    /// Takes what was verified, if it is what this signer may state.
    fn take(&self, trusted: &Trusted, verified: Verified) -> Result<Signed, Refused> {
        if trusted.needs_log && !verified.logged {
            return Err(Refused::NoLog);
        }
        let of_seconds = |time: &i64| Moment::from_seconds(u64::try_from(*time).unwrap_or(0));
        let mut days: Vec<Date> =
            verified.times.iter().map(|time| of_seconds(time).date()).collect();
        let (first, last) = trusted.period;
        if days.is_empty() && (first.is_some() || last.is_some()) {
            // Nobody says when it was signed.
            days.push(self.today.ok_or(Refused::NoTime)?);
        }
        for day in days {
            if first.is_some_and(|first| day < first) || last.is_some_and(|last| last < day) {
                return Err(Refused::Period(day));
            }
        }
        let (predicate_type, statement) = match verified.content {
            Content::Artifact => return Err(Refused::NoStatement),
            Content::Signature => (Requirement::Signature.predicate_type().to_owned(), None),
            Content::Statement(statement) => {
                let Statement { predicate_type } = serde_json::from_slice(statement.as_bytes())
                    .map_err(|error| Refused::Statement(error.to_string()))?;
                (predicate_type, Some(statement.into_bytes()))
            }
        };
        if let Some(may) = &trusted.statements
            && !Requirement::of(&predicate_type).is_some_and(|kind| may.contains(&kind))
        {
            return Err(Refused::NotTheirs(predicate_type));
        }
        if predicate_type == Requirement::Vsa.predicate_type() {
            let why = match (&self.vsa, &statement) {
                (Some(terms), Some(statement)) => terms.judge(statement),
                _ => Err("nothing says what a summary must be of".to_owned()),
            };
            why.map_err(Refused::Summary)?;
        }
        let key = match &trusted.signer {
            Signer::Key(key) => Some(key.fingerprint()),
            Signer::Identity(_) => None,
        };
        let (certified, logged) = (verified.certified, verified.logged);
        Ok(Signed { predicate_type, key, certified, logged, statement })
    }
}

impl std::fmt::Display for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let signers: Vec<_> = self.signers.iter().map(|one| one.signer.to_string()).collect();
        match signers.is_empty() {
            true => f.write_str("anybody whom the policy trusts"),
            false => f.write_str(&signers.join(" or ")),
        }
    }
}

/// A statement about a digest whose signature counts.
#[derive(Debug)]
pub struct Signed {
    /// What kind of statement it is.
    pub predicate_type: String,
    /// The fingerprint of the key that signed; none of a certificate.
    pub key: Option<String>,
    /// The identity that signed and its issuer; none of a key.
    pub certified: Option<(String, String)>,
    /// Whether an entry of a trusted log was verified.
    pub logged: bool,
    /// The statement; none of a signature in the old form.
    pub statement: Option<Vec<u8>>,
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
    #[error("the policy trusts nobody to sign this image")]
    Nobody,
    #[error("who signed may not state `{0}` about this image")]
    NotTheirs(String),
    #[error("it has no entry in a trusted log, and one is demanded")]
    NoLog,
    #[error("nobody says when it was signed, and the signer is trusted for a time")]
    NoTime,
    #[error("it was signed on {0}, and the signer is not trusted on that day")]
    Period(Date),
    #[error("{0}")]
    Summary(String),
    #[error("{0} is revoked: {1}")]
    RevokedKey(String, String),
    #[error("it is revoked: {0}")]
    Revoked(String),
    #[error("{}", each(.0))]
    Each(Vec<(String, Refused)>),
}

fn each(all: &[(String, Refused)]) -> String {
    let one = |(signer, why): &(String, Refused)| format!("as {signer}: {why}");
    all.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl Refused {
    /// Returns what of the signature is wrong, where that is what is wrong.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Signature(refusal) => Some(refusal.reason),
            // That somebody else has signed says less than what is wrong with the signature.
            Self::Each(all) => {
                let reasons: Vec<_> = all.iter().filter_map(|(_, why)| why.reason()).collect();
                let of_others = [Reason::Key, Reason::Identity, Reason::Issuer];
                let first = reasons.iter().find(|reason| !of_others.contains(reason));
                first.or(reasons.first()).copied()
            }
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
    trust.judge(|signer| sigstore::verify(bytes, subject.bytes(), signer, &trust.root))
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

/// Judges one layer of a manifest in cosign's old form, which `legacy` says what it is.
///
/// # Errors
/// When it is about another digest, cannot be read, or its signature does not count.
pub fn legacy_layer(
    stored: &Stored,
    legacy: Legacy,
    layer: &Descriptor,
    subject: &Digest,
    trust: &Trust,
) -> Result<(Signed, Vec<u8>), Refused> {
    let form = form(layer)?;
    // Under the tag of signatures an attestation is none, and the other way round.
    if matches!(
        (legacy, form),
        (Legacy::Tagged(_, "sig"), Form::Attestation) | (Legacy::Tagged(_, "att"), Form::Signature)
    ) {
        return Err(Refused::MediaType(layer.media_type.clone()));
    }
    let bytes = stored.document(layer, form.limit() as u64)?;
    legacy_bytes(layer, &bytes, subject, trust).map(|signed| (signed, bytes))
}

/// Judges the bytes of such a layer.
///
/// # Errors
/// When the signature does not count.
pub fn legacy_bytes(
    layer: &Descriptor,
    bytes: &[u8],
    subject: &Digest,
    trust: &Trust,
) -> Result<Signed, Refused> {
    let form = form(layer)?;
    trust.judge(|signer| {
        old_form::verify(form, bytes, &layer.annotations, subject.bytes(), signer, &trust.root)
    })
}

fn form(layer: &Descriptor) -> Result<Form, Refused> {
    Form::of(layer.media_type.as_str()).ok_or_else(|| Refused::MediaType(layer.media_type.clone()))
}
