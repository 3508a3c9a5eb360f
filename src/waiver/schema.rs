//! What a user may write in a waiver, key by key.
//!
//! These types are the one description of waivers in recipes and in `waivers/*.toml`: the
//! JSON schemas are made from them (tests assert it). What the values must mean is
//! `check`'s.

use crate::strict_toml::Spanned;
use serde::Deserialize;

/// The JSON schema of a file of waivers.
pub const JSON: &str = include_str!("../../schemas/waivers.schema.json");

/// A file of waivers: exceptions from single rules, for some images of a project.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct File {
    /// Exceptions from single rules, for the reviewer to see.
    #[serde(default)]
    pub(super) waiver: Vec<Spanned<Waiver>>,
}

/// An exception from one rule for one file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Waiver {
    /// Its name, unique in the project.
    pub(super) id: Spanned<String>,
    /// The rule's id.
    pub(super) rule: Spanned<String>,
    /// The path in the image that it is for; `/` stands for the image as a whole.
    pub(super) path: Option<Spanned<String>>,
    /// Instead of the path: the hash of the file that it is for.
    pub(super) sha256: Option<Spanned<String>>,
    /// Of the rule `vulnerability`, instead of the path: the package URL of the package; without a version, of every version.
    pub(super) package: Option<Spanned<String>>,
    /// Of the rule `vulnerability`, with `package`: any id of the vulnerability.
    pub(super) vulnerability: Option<Spanned<String>>,
    /// In `waivers/` only: the images it is for, `payments/*`; `**` stands for any number of segments.
    pub(super) images: Option<Spanned<String>>,
    /// Why.
    pub(super) reason: Spanned<String>,
    /// Who answers for it.
    pub(super) owner: Spanned<String>,
    /// Where it was decided.
    pub(super) ticket: Spanned<String>,
    /// The day from which it holds: `YYYY-MM-DD`.
    pub(super) created: Spanned<String>,
    /// The last day on which it holds: `YYYY-MM-DD`.
    pub(super) expires: Spanned<String>,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_is_made_from_these_types() {
        crate::strict_toml::testing::schema_is_made_from::<super::File>("waivers");
    }
}
