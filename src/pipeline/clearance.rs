//! May an image that is made already enter a place that others trust?
//!
//! Takes an image where it is, gives what the gate says of it and what is signed of it. The
//! layers are read once, by the gate, each against its digest. What may enter can be given a
//! signed summary that says so.

use super::inspect::{self, InspectError};
use super::signed_vex::{self, SignedVex};
use super::transfer::{self, Origin, TransferError};
use crate::attest;
use crate::attest::summary::Evidence;
use crate::finding::report::Report;
use crate::image::stored::StoredError;
use crate::oci::{Descriptor, Digest, Reference};
use crate::policy::{Cleared, Terms};
use crate::registry::{Purpose, Registries};
use crate::settings::{Policy, Requirement};
use crate::sign::{self, Referrer};
use crate::signature::{self, Signing};
use crate::time::{Epoch, Now};
use crate::verify::{self, Trust, Verification};
use std::sync::Arc;

/// What must be signed of an image, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    /// By whom.
    pub trust: &'a Trust,
    /// What.
    pub require: &'a [Requirement],
    /// Whether each platform must have everything, as karat signs, or the image as a whole, as
    /// many makers do.
    pub of_each: bool,
}

/// What was found of an image that is to enter a place.
#[derive(Debug)]
pub struct Clearance {
    /// What the gate says.
    pub report: Report,
    /// What is signed; none where nothing has to be.
    pub verification: Option<Verification>,
    /// The OpenVEX documents beside it that do not count, and why.
    pub ignored: Vec<(Digest, String)>,
    /// The proof that it has passed the gate.
    cleared: Option<Cleared<()>>,
    of_each: bool,
}

/// Who says that an image has passed, and of what.
#[derive(Clone, Copy)]
pub struct Voucher<'a> {
    /// The key that signs.
    pub key: &'a dyn Signing,
    /// Whose summaries count where the image goes.
    pub trust: &'a Trust,
    /// The policy that it has passed.
    pub policy: &'a Policy,
    /// Where the image goes, `HOST/REPO`.
    pub place: &'a str,
    /// The time that is written.
    pub epoch: Epoch,
    /// The time of the verification.
    pub now: Now,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ClearanceError {
    #[error(transparent)]
    Stored(#[from] StoredError),
    #[error(transparent)]
    Inspect(#[from] InspectError),
    #[error(transparent)]
    Transfer(Box<TransferError>),
    #[error("failed to sign: {0}")]
    Sign(#[from] signature::Error),
    #[error("the summary of {0} would not count where it goes: {1} must have signed it")]
    NotTheirs(Digest, String),
}

impl From<TransferError> for ClearanceError {
    fn from(error: TransferError) -> Self {
        Self::Transfer(Box::new(error))
    }
}

impl Clearance {
    /// Says whether the image may enter.
    pub fn accepted(&self) -> bool {
        self.cleared.is_some() && self.is_signed()
    }

    /// Says whether everything is signed that must be.
    pub fn is_signed(&self) -> bool {
        self.verification.as_ref().is_none_or(|verification| match self.of_each {
            true => verification.accepted(),
            false => verification.accepted_as_whole(),
        })
    }

    /// Puts beside an image what says that it and each of its platforms has passed, signed, and
    /// verifies it as others will. Nothing, unless the image was accepted. Gives what was put
    /// there. The caller has made sure that the known vulnerabilities were looked up.
    ///
    /// # Errors
    /// When it cannot be signed, or would not count where the image goes.
    pub fn vouch(
        &self,
        origin: &mut Origin,
        by: &Voucher<'_>,
    ) -> Result<Vec<Referrer>, ClearanceError> {
        let mut all = Vec::new();
        let Some(cleared) = self.cleared.as_ref().filter(|_| self.accepted()) else {
            return Ok(all);
        };
        let mut subjects = vec![origin.root.bare()];
        if origin.root.media_type.is_index() {
            subjects.extend(origin.stored.manifests(&origin.root)?.iter().map(Descriptor::bare));
        }
        for subject in &subjects {
            let name = (by.place, Some(by.place));
            let rests_on = self.evidence(&subject.digest);
            let passed =
                attest::passed(cleared, name, by.policy, &subject.digest, &rests_on, by.now);
            let made = sign::statement(&passed, subject, by.key, by.epoch)?;
            origin.stored.add(made.descriptor.clone(), made.blobs());
            all.push(made);
        }
        let require = [Requirement::Vsa];
        let verification = verify::signed(&origin.stored, &origin.root, by.trust, &require)?;
        match verification.accepted() {
            true => Ok(all),
            false => Err(ClearanceError::NotTheirs(origin.root.digest, by.trust.to_string())),
        }
    }

    /// Returns what counted of the statements about a digest.
    fn evidence(&self, subject: &Digest) -> Evidence {
        let subjects = self.verification.iter().flat_map(|one| &one.subjects);
        let Some(own) = subjects.into_iter().find(|one| one.digest == *subject) else {
            return Evidence::default();
        };
        let counted = own.candidates.iter().filter(|one| one.refused.is_none());
        Evidence {
            // A manifest in cosign's old form is another when somebody adds to it; its layer stays.
            inputs: counted.map(|one| one.layer.unwrap_or(one.digest)).collect(),
            reproduced: own.is_reproduced(),
        }
    }
}

/// Judges an image: by what must be signed, where somebody is named who must have, and by the
/// gate.
///
/// # Errors
/// When it cannot be read. What is there and wrong is in the outcome.
pub fn clear(
    reference: &Reference,
    origin: &Origin,
    demand: Option<Demand<'_>>,
    terms: &Terms<'_>,
) -> Result<Clearance, ClearanceError> {
    // Whose image it is comes first, and costs no layer.
    let verification = match demand {
        Some(Demand { trust, require, .. }) => {
            Some(verify::signed(&origin.stored, &origin.root, trust, require)?)
        }
        None => None,
    };
    let vex = signed_vex(origin, demand, terms)?;
    let terms = &terms.heeding(&vex.signed);
    let judged = inspect::opened(reference, &origin.stored, &origin.root, terms)?;
    let of_each = demand.is_none_or(|demand| demand.of_each);
    let (report, cleared) = (judged.report, judged.cleared);
    Ok(Clearance { report, verification, ignored: vex.ignored, cleared, of_each })
}

/// Reads the statements on vulnerabilities that somebody has signed who may: whom the policy trusts
/// for the place where the image goes. Where it trusts nobody, that is whoever was named to have
/// signed the image, and never a maker whose images are only mirrored.
fn signed_vex(
    origin: &Origin,
    demand: Option<Demand<'_>>,
    terms: &Terms<'_>,
) -> Result<SignedVex, ClearanceError> {
    let Some(demand) = demand else { return Ok(SignedVex::default()) };
    let (stored, root) = (&origin.stored, &origin.root);
    let policy = terms.policy();
    if policy.trust.is_empty() {
        return Ok(match demand.of_each {
            true => signed_vex::of(stored, root, demand.trust)?,
            false => SignedVex::default(),
        });
    }
    let Some(place) = terms.names().first() else { return Ok(SignedVex::default()) };
    let roots = Arc::clone(&demand.trust.root);
    match Trust::of_policy(policy, place, roots, terms.now()) {
        Ok(trust) => Ok(signed_vex::of(stored, root, &trust)?),
        // Nobody's statements count.
        Err(why) => Ok(SignedVex { ignored: vec![(root.digest, why)], ..SignedVex::default() }),
    }
}

/// Says whether a place has a summary of the verification of an image that counts there and does
/// not come with the image: one of an earlier run.
///
/// # Errors
/// When what is there cannot be read.
pub fn is_vouched_for(
    registries: &Registries,
    place: &Reference,
    image: &Origin,
    trust: &Trust,
) -> Result<bool, ClearanceError> {
    let Reference::Registry { host, repository, .. } = place else { return Ok(false) };
    let digest = Some(image.root.digest);
    let target = registries.open(host, repository, Purpose::Pull, None);
    let found = target.and_then(|target| target.head(&image.root.digest.to_string()));
    if found.map_err(TransferError::from)? != digest {
        return Ok(false);
    }
    let (host, repository) = (host.clone(), repository.clone());
    let there = Reference::Registry { host, repository, tag: None, digest };
    let there = transfer::open(registries, &there, true, true)?;
    let require = [Requirement::Vsa];
    let verification = verify::signed(&there.stored, &there.root, trust, &require)?;
    let came_along = |digest: &Digest| image.stored.artifacts().any(|one| one.digest == *digest);
    let own = |one: &verify::Candidate| {
        // In cosign's old form none is made here.
        one.predicate_type.as_deref() == Some(Requirement::Vsa.predicate_type())
            && one.layer.is_none()
            && !came_along(&one.digest)
    };
    Ok(verification.subjects.iter().all(|subject| subject.candidates.iter().any(own)))
}
