//! What is in a lock, key by key. `karat base lock` writes it, nobody else.

use crate::strict_toml::Spanned;
use serde::Deserialize;

/// The JSON schema of a lock.
pub const JSON: &str = include_str!("../../../schemas/base-lock.schema.json");

/// A lock: exactly what a base is made of, and what comes out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct File {
    /// The version of this format: 1.
    pub(super) version: Spanned<u32>,
    /// The hash of what the definition means that this was made from.
    pub(super) definition: Spanned<String>,
    /// The rules by which packages become layers, and what compresses these.
    pub(super) assembly: Spanned<String>,
    /// The hash of the list of the base's entries beside this file.
    pub(super) contents: Spanned<String>,
    /// The hash of everything else in this file.
    pub(super) checksum: Spanned<String>,
    /// The suites that the packages were chosen from.
    #[serde(default)]
    pub(super) suite: Vec<Spanned<Suite>>,
    /// The image that the layers are of, for a base of that kind.
    pub(super) image: Option<Spanned<Image>>,
    /// What was chosen for each platform.
    pub(super) platform: Vec<Spanned<Platform>>,
}

/// A suite as it was signed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Suite {
    /// The codename.
    pub(super) name: Spanned<String>,
    /// The archive that has it.
    pub(super) archive: Spanned<String>,
    /// When it was signed.
    pub(super) date: Spanned<String>,
    /// The hash of `InRelease`.
    pub(super) in_release: Spanned<String>,
    /// The fingerprints of the keys that signed.
    pub(super) signed_by: Vec<String>,
}

/// An image as it was found.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Image {
    /// The hash of its manifest, or of the index over several.
    pub(super) digest: Spanned<String>,
    /// How many bytes that has.
    pub(super) size: u64,
    /// The media type of that.
    pub(super) media_type: Spanned<String>,
    /// The day on which this hash was first locked.
    pub(super) locked: Spanned<String>,
    /// The signature that was verified.
    pub(super) signature: Option<Spanned<Signature>>,
}

/// A signature that was verified.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Signature {
    /// The fingerprint of the key that signed.
    pub(super) key: Option<String>,
    /// Who vouches for the identity that signed.
    pub(super) issuer: Option<String>,
    /// The identity that signed.
    pub(super) identity: Option<String>,
    /// The hash of the bundle that holds the signature.
    pub(super) bundle: Option<Spanned<String>>,
    /// The hash of the document that was signed, for a signature in cosign's old form.
    pub(super) payload: Option<Spanned<String>>,
    /// How many bytes the bundle or the document has.
    pub(super) size: u64,
    /// The hash of the manifest that has such a signature in its annotations.
    pub(super) manifest: Option<Spanned<String>>,
    /// How many bytes that manifest has.
    pub(super) manifest_size: Option<u64>,
}

/// What was chosen for a platform.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Platform {
    /// The platform.
    pub(super) name: Spanned<String>,
    /// The hash of the manifest of the base as an image of its own.
    pub(super) digest: Spanned<String>,
    /// How many bytes the manifest of an image has.
    pub(super) size: Option<u64>,
    /// The media type of that manifest.
    pub(super) media_type: Option<Spanned<String>>,
    /// The hash of the configuration of an image.
    pub(super) config: Option<Spanned<String>>,
    /// How many bytes that has.
    pub(super) config_size: Option<u64>,
    /// The layers, in order.
    #[serde(default)]
    pub(super) layer: Vec<Spanned<Layer>>,
    /// The packages, in order of the layers.
    #[serde(default)]
    pub(super) package: Vec<Spanned<Package>>,
}

/// A layer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Layer {
    /// The name.
    pub(super) name: Spanned<String>,
    /// The hash of the stored bytes.
    pub(super) digest: Spanned<String>,
    /// The hash of the uncompressed bytes.
    pub(super) diff_id: Spanned<String>,
    /// How many bytes are stored.
    pub(super) size: u64,
    /// The media type of the stored bytes; that of a tar with gzip by default.
    pub(super) media_type: Option<Spanned<String>>,
}

/// A package.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Package {
    /// The name.
    pub(super) name: Spanned<String>,
    /// The version.
    pub(super) version: Spanned<String>,
    /// Its architecture, or `all`.
    pub(super) architecture: Spanned<String>,
    /// The source package.
    pub(super) source: Spanned<String>,
    /// The archive that has it.
    pub(super) archive: Spanned<String>,
    /// The path below a mirror of the archive.
    pub(super) path: Spanned<String>,
    /// How many bytes it has.
    pub(super) size: u64,
    /// What they hash to.
    pub(super) sha256: Spanned<String>,
    /// The layer that it is part of.
    pub(super) layer: Spanned<String>,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_is_made_from_these_types() {
        crate::strict_toml::testing::schema_is_made_from::<super::File>("base-lock");
    }
}
