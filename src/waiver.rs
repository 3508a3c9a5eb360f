//! Waivers: exceptions from single rules for single files, with an owner and an end.
//!
//! Takes the text of a file in `waivers/`, or the `[[waiver]]` entries of a recipe, which
//! have the same form; gives [`Waiver`]s in which every value has its meaning. Whether a
//! waiver holds is for `policy` to say.

mod approvals;
mod check;
pub mod schema;

use crate::finding::diagnostic::{Diagnostics, Span};
use crate::oci::{Digest, ImagePath, RepositoryPattern, canonical};
use crate::strict_toml;
use crate::time::Date;
use serde_json::json;
use std::fmt;
use std::sync::Arc;

pub use approvals::{Approvals, ENDING as APPROVAL_ENDING};
pub(crate) use check::{Place, waiver};

/// The folder of a project's waiver files.
pub const FOLDER: &str = "waivers";

/// An exception from one rule for one file.
#[derive(Debug, Clone)]
pub struct Waiver {
    /// Its name.
    pub id: String,
    /// The rule.
    pub rule: String,
    /// The file it is for.
    pub subject: Subject,
    /// The images it is for; none for that of the recipe that holds it.
    pub images: Option<RepositoryPattern>,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// Where it was decided.
    pub ticket: String,
    /// The day from which it holds.
    pub created: Date,
    /// The last day on which it holds.
    pub expires: Date,
    /// The file that holds it, as the user knows it.
    pub file: String,
    /// Whether that file is one of `waivers/`, and not a recipe.
    pub shared: bool,
    /// Its place in that file.
    pub span: Span,
    /// The image of the recipe that holds it; none of a file of `waivers/`.
    pub image: Option<String>,
    /// The bundles beside it in which somebody has signed it as it is now. Whether they count is
    /// for `policy` to say.
    pub approvals: Vec<Arc<[u8]>>,
}

impl Waiver {
    /// Returns the bytes that approvers sign: all that it says, and what it is bound to, as
    /// canonical JSON. Where it is written does not matter, except for the image of a recipe.
    pub fn canonical(&self) -> Vec<u8> {
        let mut form = json!({
            "schema": "karat.waiver/v1",
            "id": self.id,
            "rule": self.rule,
            "reason": self.reason,
            "owner": self.owner,
            "ticket": self.ticket,
            "created": self.created.to_string(),
            "expires": self.expires.to_string(),
        });
        match &self.subject {
            Subject::Path(path) => form["path"] = json!(path.to_string()),
            Subject::Sha256(digest) => form["sha256"] = json!(digest.hex()),
            Subject::Vulnerability { id, package } => {
                form["vulnerability"] = json!(id);
                form["package"] = json!(package);
            }
        }
        if let Some(images) = &self.images {
            form["images"] = json!(images.to_string());
        }
        if let Some(image) = &self.image {
            form["image"] = json!(image);
        }
        canonical::json(&form)
    }

    /// Returns the digest of [`Waiver::canonical`].
    pub fn digest(&self) -> Digest {
        Digest::of(&self.canonical())
    }
}

/// What a waiver is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A path in the image; `/` stands for the image as a whole.
    Path(ImagePath),
    /// The bytes of a file.
    Sha256(Digest),
    /// A vulnerability of a package.
    Vulnerability {
        /// One of its ids.
        id: String,
        /// The package URL of the package; without a version, of every version.
        package: String,
    },
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Sha256(digest) => digest.fmt(f),
            Self::Vulnerability { id, package } => write!(f, "{id} of {package}"),
        }
    }
}

/// Reads a file of `waivers/`. `file` is the name that messages show.
///
/// # Errors
/// Every fault of the text together: syntax, unknown keys, wrong types, values without a
/// meaning, and a name that two of its waivers have.
pub fn parse(file: &str, text: &str) -> Result<Vec<Waiver>, Box<Diagnostics>> {
    let diagnose = |faults| Box::new(Diagnostics::new(file, text, faults));
    let written: schema::File = strict_toml::parse(text, schema::JSON).map_err(diagnose)?;
    let mut faults = Vec::new();
    let waivers: Vec<_> = written
        .waiver
        .into_iter()
        .filter_map(|one| waiver(one, Place::Shared(file), &mut faults))
        .collect();
    check::one_waiver_a_name(&waivers, &mut faults);
    if faults.is_empty() { Ok(waivers) } else { Err(diagnose(faults)) }
}

#[cfg(test)]
mod tests;
