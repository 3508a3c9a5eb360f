//! What a user may write in a site's file, key by key.

use crate::strict_toml::Spanned;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The JSON schema of a site's file.
pub const JSON: &str = include_str!("../../schemas/site.schema.json");

/// What belongs to a site and not to a policy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct File {
    /// Where archives of packages are: lists of addresses by the names that definitions of bases use, `debian` and `debian-security`.
    #[serde(default)]
    pub(super) mirrors: BTreeMap<String, Vec<Spanned<String>>>,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_is_made_from_these_types() {
        crate::strict_toml::testing::schema_is_made_from::<super::File>("site");
    }
}
