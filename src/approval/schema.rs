//! What is in `approved.lock.toml`, key by key. `karat mirror approve` writes it; people review it.

use crate::strict_toml::Spanned;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The JSON schema of the file.
pub const JSON: &str = include_str!("../../schemas/approved.schema.json");

/// What was approved to be mirrored.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct File {
    /// The version of this format: 1.
    pub(super) version: Spanned<u32>,
    /// What was approved.
    #[serde(default)]
    pub(super) artifact: Vec<Spanned<Artifact>>,
}

/// One image of somebody else's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Artifact {
    /// Where it is from: `HOST/REPO`, and the tag that was asked for: `HOST/REPO:TAG`.
    pub(super) source: Spanned<String>,
    /// The digest of its manifest or index; this alone is copied.
    pub(super) digest: Spanned<String>,
    /// Where it goes: `HOST/REPO`.
    pub(super) target: Spanned<String>,
    /// What must be signed of it: `signature`, `sbom`, `provenance`.
    pub(super) require: Vec<Spanned<String>>,
    /// The highest severity that a known vulnerability of it may have.
    pub(super) max_severity: Spanned<String>,
    /// Who answers for it.
    pub(super) owner: Spanned<String>,
    /// Where it was decided.
    pub(super) ticket: Spanned<String>,
    /// Why it is needed.
    pub(super) reason: Option<Spanned<String>>,
    /// The day on which it was approved.
    pub(super) approved: Spanned<String>,
    /// The last day on which the approval holds.
    pub(super) expires: Spanned<String>,
    /// The digests of its platforms, as they were found.
    #[serde(default)]
    pub(super) platforms: BTreeMap<String, Spanned<String>>,
    /// Who has signed it, as it was verified.
    pub(super) signer: Spanned<Signer>,
}

/// Who has signed: a key, or an identity.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Signer {
    /// The file of the public key, relative to the root of the project.
    pub(super) key: Option<Spanned<String>>,
    /// The fingerprint of that key.
    pub(super) fingerprint: Option<Spanned<String>>,
    /// Who vouches for the identity.
    pub(super) issuer: Option<Spanned<String>>,
    /// The identity.
    pub(super) identity: Option<Spanned<String>>,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_is_made_from_these_types() {
        crate::strict_toml::testing::schema_is_made_from::<super::File>("approved");
    }
}
