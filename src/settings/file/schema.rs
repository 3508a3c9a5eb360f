//! What a user may write in a policy file, key by key.
//!
//! These types are the one description: the JSON schema that `karat schema policy` prints is
//! made from them (a test asserts it). What the values must mean is `check`'s.

use crate::strict_toml::Spanned;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The JSON schema of a policy file.
pub const JSON: &str = include_str!("../../../schemas/policy.schema.json");

/// A karat policy: what images must be, everywhere that it is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct File {
    /// What the policy is called, and what reads it.
    pub(super) policy: Head,
    /// What the gate demands.
    #[serde(default)]
    pub(super) gate: Gate,
    /// What waivers may do.
    #[serde(default)]
    pub(super) waivers: Waivers,
    /// The single trust root.
    #[serde(default)]
    pub(super) registry: Registry,
    /// Other rules for some images.
    #[serde(default)]
    pub(super) profile: Vec<Spanned<Profile>>,
    /// What bases must be.
    #[serde(default)]
    pub(super) bases: Bases,
    /// By which advisories is judged.
    pub(super) advisories: Option<Spanned<Advisories>>,
    /// A private sigstore; by default the public good instance.
    pub(super) sigstore: Option<Spanned<Sigstore>>,
    /// Who may sign what, for which images.
    #[serde(default)]
    pub(super) trust: Vec<Spanned<Trust>>,
    /// What is no longer trusted, whoever has signed it.
    #[serde(default)]
    pub(super) revoked: Vec<Spanned<Revoked>>,
    /// What `verify` demands beside signatures.
    pub(super) verify: Option<Spanned<Verify>>,
    /// What may be read from its makers.
    pub(super) mirror: Option<Spanned<Mirror>>,
    /// Whose findings may be reused. Not enforced by this version.
    pub(super) cache: Option<Later>,
    /// What model weights must be. Not enforced by this version.
    pub(super) weights: Option<Later>,
    /// Values that recipes inherit. Not enforced by this version.
    pub(super) defaults: Option<Later>,
}

/// A table that a later version reads.
pub(super) type Later = Spanned<BTreeMap<String, Any>>;

/// Any value: what a later version reads has no form here yet.
#[derive(Debug)]
pub(super) struct Any;

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Any {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Any".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({})
    }
}

/// What the policy is called, and what reads it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Head {
    /// Its name: lower-case letters, digits and `-`.
    pub(super) name: Spanned<String>,
    /// The oldest version of karat that may judge by it: `0.1`.
    pub(super) karat_min: Option<Spanned<String>>,
    /// Another policy, by its digest, that takes the place of this file. Not enforced by this version.
    pub(super) from: Option<Spanned<String>>,
    /// Who must have signed that policy. Not enforced by this version.
    pub(super) signer: Option<Later>,
}

/// What the gate demands.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Gate {
    /// The edition of the rules: those of a newer one only inform. 1 is the only one so far.
    pub(super) edition: Option<Spanned<u32>>,
    /// The severities of which one open finding rejects an image: `["critical", "high"]`.
    pub(super) fail_on: Option<Spanned<Vec<Spanned<String>>>>,
    /// The most that the added layers may weigh as they are stored: `"256MiB"`.
    pub(super) max_size: Option<Spanned<String>>,
    /// What must be signed: `signature`, `sbom`, `provenance`, `vsa`.
    pub(super) require: Option<Spanned<Vec<Spanned<String>>>>,
    /// What known vulnerabilities do.
    pub(super) vulnerabilities: Option<Spanned<Vulnerabilities>>,
    /// Severities of single rules that differ from their own.
    #[serde(default)]
    pub(super) rules: BTreeMap<String, Spanned<Level>>,
}

/// What known vulnerabilities do.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Vulnerabilities {
    /// The severities of which an open one rejects an image: `["critical", "high"]`.
    pub(super) fail_on: Option<Spanned<Vec<Spanned<String>>>>,
    /// What one does that nobody has rated: `fail` or `inform`.
    pub(super) unknown_severity: Option<Spanned<String>>,
    /// What one does for which no fix is known, where its severity rejects: `fail` or `inform`.
    pub(super) unfixed: Option<Spanned<String>>,
}

/// By which advisories is judged.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Advisories {
    /// The digest of the only database that may be used: `sha256:…`.
    pub(super) database: Option<Spanned<String>>,
    /// How many days may have gone by since the newest change of its advisories: `"7d"`.
    pub(super) max_age: Option<Spanned<String>>,
}

/// What bases must be.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Bases {
    /// How old the lock of a base may be: `"90d"`.
    pub(super) max_age: Option<Spanned<String>>,
}

/// The single trust root: where images are published, and what may be reached for that.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Registry {
    /// Where images are published: `HOST/REPO`, before their names.
    pub(super) publish: Option<Spanned<String>>,
    /// Where images wait to be published: `HOST/REPO`.
    pub(super) staging: Option<Spanned<String>>,
    /// What may run: places `HOST/REPO`, with all that lies below them.
    pub(super) allow: Option<Spanned<Vec<Spanned<String>>>>,
    /// Hosts, `HOST[:PORT]`, that uploads and downloads may be redirected to, without credentials.
    pub(super) storage_hosts: Option<Spanned<Vec<Spanned<String>>>>,
    /// Hosts, `HOST[:PORT]`, that registries may name to be asked for tokens, with credentials.
    pub(super) auth_hosts: Option<Spanned<Vec<Spanned<String>>>>,
    /// Where images are read from: a host or place upstream, and the place that takes its stead.
    pub(super) mirrors: Option<Spanned<BTreeMap<String, Spanned<String>>>>,
    /// Whether no other host is reached.
    pub(super) allowlist_only: Option<Spanned<bool>>,
    /// Whether images in registries are to be named by digest.
    pub(super) require_digest: Option<Spanned<bool>>,
    /// Whether a tag never moves to another digest.
    pub(super) immutable_tags: Option<Spanned<bool>>,
}

/// Who may sign what, for which images.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Trust {
    /// The images: `HOST/REPO`, in which `*` stands for a part of one segment, `**` for any number of segments, and `{repo}` for one segment that is the same everywhere in the entry.
    pub(super) images: Spanned<String>,
    /// What may be stated: `signature`, `sbom`, `provenance`, `vulnerabilities`, `test-result`, `vsa`.
    pub(super) statements: Spanned<Vec<Spanned<String>>>,
    /// The public key that signs: a file's path, relative to the policy's.
    pub(super) key: Option<Spanned<String>>,
    /// The identity that signs.
    pub(super) keyless: Option<Spanned<Keyless>>,
    /// `required`, the default, or `none`, which only a key may have.
    pub(super) transparency_log: Option<Spanned<String>>,
    /// The first day on which they may have signed: `YYYY-MM-DD`.
    pub(super) not_before: Option<Spanned<String>>,
    /// The last day on which they may have signed: `YYYY-MM-DD`.
    pub(super) not_after: Option<Spanned<String>>,
}

/// An identity, as certificates have it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Keyless {
    /// Who vouches for the identity.
    pub(super) issuer: Spanned<String>,
    /// The identity.
    pub(super) subject: Option<Spanned<String>>,
    /// A regular expression that the whole identity matches.
    pub(super) subject_regexp: Option<Spanned<String>>,
    /// The address of the repository that the identity has worked from.
    pub(super) source_repository: Option<Spanned<String>>,
    /// A regular expression that the whole name of the branch or tag matches: `refs/tags/v.*`.
    pub(super) source_ref_regexp: Option<Spanned<String>>,
}

/// What is no longer trusted, whoever has signed it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Revoked {
    /// The digest of an image, of one of its platforms, or of what refers to it.
    pub(super) digest: Option<Spanned<String>>,
    /// A public key: a file's path, relative to the policy's.
    pub(super) key: Option<Spanned<String>>,
    /// The first day on which it is not trusted: `YYYY-MM-DD`.
    pub(super) since: Spanned<String>,
    /// Why.
    pub(super) reason: Spanned<String>,
}

/// What `verify` demands beside signatures.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Verify {
    /// How old a summary of a verification may be: `"90d"`.
    pub(super) vsa_max_age: Option<Spanned<String>>,
}

/// A private sigstore.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Sigstore {
    /// The root of trust: the path of a `trusted_root.json`, relative to this file.
    pub(super) trusted_root: Option<Spanned<String>>,
    /// Where certificates, log entries and timestamps come from. Not enforced by this version.
    pub(super) signing_config: Option<Spanned<Any>>,
}

/// What may be read from its makers.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Mirror {
    /// Hosts or places, `HOST` or `HOST/REPO`, that `karat base lock` and `karat mirror` may read from, even where no other host is reached.
    pub(super) sources: Option<Spanned<Vec<Spanned<String>>>>,
    /// The states of what was mirrored that `karat mirror check` rejects.
    pub(super) fail_on_drift: Option<Spanned<Vec<Spanned<String>>>>,
}

/// Other rules for some images: of those that fit an image, the narrowest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Profile {
    /// The images: a repository, in which `*` stands for a part of one segment and `**` for any number of segments.
    pub(super) images: Spanned<String>,
    /// Severities of single rules that differ from the gate's.
    #[serde(default)]
    pub(super) rules: BTreeMap<String, Spanned<Level>>,
    /// `enforce`, the default, or `report`: findings reject nothing, until a day.
    pub(super) mode: Option<Spanned<String>>,
    /// The last day of `report`: `YYYY-MM-DD`.
    pub(super) until: Option<Spanned<String>>,
}

/// A severity: `critical`, `high`, `medium`, `low` or `info`; or a lower one, or `off`, with
/// who answers for it and until when.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) enum Level {
    Severity(String),
    Exception(Exception),
}

/// A lower severity, or `off`, for a time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Exception {
    /// The severity, or `off`.
    pub(super) severity: String,
    /// Why.
    pub(super) reason: String,
    /// Who answers for it.
    pub(super) owner: String,
    /// The last day on which it holds: `YYYY-MM-DD`.
    pub(super) expires: String,
}

/// What waivers may do.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Waivers {
    /// The most days from a waiver's creation to its end.
    pub(super) max_days: Option<Spanned<u32>>,
    /// How waivers are approved: `code-review`, by whoever takes the change; or `signed`, by a
    /// bundle of one of the `approvers` beside the waiver.
    pub(super) approval: Option<Spanned<String>>,
    /// Who may approve waivers, with `approval = "signed"`.
    pub(super) approvers: Option<Spanned<Vec<Spanned<Approver>>>>,
    /// Rules that are never waived; `*` at the end stands for anything.
    pub(super) never: Option<Spanned<Vec<Spanned<String>>>>,
}

/// Who may approve waivers: a key, or an identity.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Approver {
    /// The path of a public key, relative to this file.
    pub(super) key: Option<Spanned<String>>,
    /// An identity, as certificates have it.
    pub(super) keyless: Option<Spanned<Keyless>>,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_is_made_from_these_types() {
        crate::strict_toml::testing::schema_is_made_from::<super::File>("policy");
    }
}
