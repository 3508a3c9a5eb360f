//! May an image that somebody else has made enter a place that others trust?
//!
//! Takes an image where it is, gives what the gate says of it and what is signed of it. The
//! layers are read once, by the gate, each against its digest.

use super::inspect::{self, InspectError};
use super::transfer::Origin;
use crate::finding::report::{Report, Verdict};
use crate::image::stored::StoredError;
use crate::oci::Reference;
use crate::policy::Terms;
use crate::settings::Requirement;
use crate::verify::{self, Trust, Verification};

/// What was found of an image that is to enter a place.
#[derive(Debug)]
pub struct Clearance {
    /// What the gate says.
    pub report: Report,
    /// What is signed; none where nothing has to be.
    pub verification: Option<Verification>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ClearanceError {
    #[error(transparent)]
    Stored(#[from] StoredError),
    #[error(transparent)]
    Inspect(#[from] InspectError),
}

impl Clearance {
    /// Says whether the image may enter.
    pub fn accepted(&self) -> bool {
        self.report.verdict == Verdict::Accepted
            && self.verification.as_ref().is_none_or(Verification::accepted_as_whole)
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
    trust: Option<(&Trust, &[Requirement])>,
    terms: &Terms<'_>,
) -> Result<Clearance, ClearanceError> {
    // Whose image it is comes first, and costs no layer.
    let verification = match trust {
        Some((trust, require)) => {
            Some(verify::signed(&origin.stored, &origin.root, trust, require)?)
        }
        None => None,
    };
    let report = inspect::opened(reference, &origin.stored, &origin.root, terms)?;
    Ok(Clearance { report, verification })
}
