//! What a user may write in a base's definition, key by key.
//!
//! These types are the one description: the JSON schema that `karat schema base` prints is made
//! from them (a test asserts it). What the values must mean is `check`'s.

use crate::strict_toml::Spanned;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The JSON schema of a definition.
pub const JSON: &str = include_str!("../../../schemas/base.schema.json");

/// A base: what images stand on. The file's name is the base's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct File {
    /// What holds for every kind of base.
    pub(super) base: Spanned<Head>,
    /// Where packages come from; for the kind `packages`.
    pub(super) debian: Option<Spanned<Debian>>,
    /// The layers, in order, and the packages of each; for the kind `packages`.
    #[serde(default)]
    pub(super) layer: Vec<Spanned<Layer>>,
    /// What packages hold and the base does not.
    #[serde(default)]
    pub(super) exclude: Vec<Spanned<Exclude>>,
    /// Lines of `/etc/passwd`, and the homes.
    #[serde(default)]
    pub(super) user: Vec<Spanned<User>>,
    /// Lines of `/etc/group`.
    #[serde(default)]
    pub(super) group: Vec<Spanned<Group>>,
    /// Files that no package has.
    #[serde(default)]
    pub(super) file: Vec<Spanned<TextFile>>,
    /// An image by its digest; for the kind `image`.
    pub(super) image: Option<Spanned<Image>>,
}

/// What holds for every kind of base.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Head {
    /// `packages`, `image` or `scratch`.
    pub(super) kind: Spanned<String>,
    /// What it is made for: `["linux/amd64", "linux/arm64"]`. None for `scratch`, which is for all.
    pub(super) platforms: Option<Spanned<Vec<Spanned<String>>>>,
    /// The last day on which whoever makes it fixes what is wrong with it: `YYYY-MM-DD`.
    pub(super) maintained_until: Option<Spanned<String>>,
    /// How old its lock may be: `"90d"`.
    pub(super) max_age: Option<Spanned<String>>,
    /// The environment of images on it.
    #[serde(default)]
    pub(super) env: BTreeMap<String, Spanned<String>>,
}

/// Where packages come from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Debian {
    /// The release of the distribution: `"13"`.
    pub(super) release: Spanned<String>,
    /// The keys that sign the suites: `debian-archive`, which karat has, or a keyring by its path in the project.
    pub(super) keyring: Spanned<String>,
    /// The suites; of a package the newest version in any of them is taken.
    pub(super) suite: Vec<Spanned<Suite>>,
    /// The component of the suites; `main` by default.
    pub(super) component: Option<Spanned<String>>,
    /// Whether `/bin`, `/sbin` and `/lib*` are links into `/usr`.
    #[serde(default)]
    pub(super) usr_merged: bool,
    /// The package whose certificates become `/etc/ssl/certs/ca-certificates.crt`.
    pub(super) certificates: Option<Spanned<String>>,
}

/// A suite of an archive.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Suite {
    /// Its codename: `trixie-security`.
    pub(super) name: Spanned<String>,
    /// The archive that has it, which the site has a mirror of: `debian`, the default, or `debian-security`.
    pub(super) archive: Option<Spanned<String>>,
}

/// A layer of packages.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Layer {
    /// Its name.
    pub(super) name: Spanned<String>,
    /// Its packages.
    pub(super) packages: Spanned<Vec<Spanned<String>>>,
    /// Whether it also holds what the packages depend on, as far as no earlier layer does.
    #[serde(default)]
    pub(super) dependencies: bool,
}

/// What packages hold and the base does not.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Exclude {
    /// The path; `*` stays within one component, and `/**` at the end is the folder and all below it.
    pub(super) path: Spanned<String>,
    /// The package; all by default.
    pub(super) package: Option<Spanned<String>>,
    /// Why.
    pub(super) reason: Spanned<String>,
}

/// A line of `/etc/passwd`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct User {
    /// The name.
    pub(super) name: Spanned<String>,
    /// The number, also of the group.
    pub(super) id: Spanned<u32>,
    /// The home; one that no package has is made, for the user alone. `/nonexistent` is none.
    pub(super) home: Spanned<String>,
}

/// A line of `/etc/group`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Group {
    /// The name.
    pub(super) name: Spanned<String>,
    /// The number.
    pub(super) id: Spanned<u32>,
}

/// A file that no package has, owned by root, mode 0644.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct TextFile {
    /// The path.
    pub(super) path: Spanned<String>,
    /// What it holds.
    pub(super) text: String,
}

/// An image by its digest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Image {
    /// `docker://HOST/REPO@sha256:…`, or `oci:DIR` of a layout in the project.
    pub(super) reference: Spanned<String>,
    /// Who must have signed it.
    pub(super) signer: Option<Spanned<Signer>>,
}

/// Who must have signed an image: a key, or an identity and who vouches for it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Signer {
    /// The path of the public key in the project.
    pub(super) key: Option<Spanned<String>>,
    /// Who vouches for the identity.
    pub(super) issuer: Option<Spanned<String>>,
    /// The identity.
    pub(super) identity: Option<Spanned<String>>,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_is_made_from_these_types() {
        crate::strict_toml::testing::schema_is_made_from::<super::File>("base");
    }
}
