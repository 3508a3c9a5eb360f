//! What a user may write in a recipe, key by key.
//!
//! These types are the one description: the JSON schema that `karat schema recipe`
//! prints, and by which [`crate::strict_toml`] finds unknown keys and wrong types, is made
//! from them (a test asserts it). What the values must mean is [`super::check`]'s.

use crate::strict_toml::Spanned;
use crate::waiver::schema::Waiver;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The JSON schema of a recipe.
pub const JSON: &str = include_str!("../../schemas/recipe.schema.json");

/// A karat recipe: what goes into one golden image.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Recipe {
    /// The image as a whole.
    pub(crate) image: Spanned<Image>,
    /// Executables for the platform: static, or dynamic with all their libraries in the base.
    #[serde(default)]
    pub(crate) binary: Vec<Spanned<Binary>>,
    /// Data, never executable.
    #[serde(default)]
    pub(crate) file: Vec<Spanned<File>>,
    /// Places to write, when a volume will be mounted there.
    #[serde(default)]
    pub(crate) directory: Vec<Spanned<Directory>>,
    /// Symbolic links.
    #[serde(default)]
    pub(crate) link: Vec<Spanned<Link>>,
    /// Values that a build may give with `--var`; usable as `{name}` in labels, annotations and env.
    #[serde(default)]
    pub(crate) vars: BTreeMap<String, Spanned<Var>>,
    /// The layer that is added to the base.
    #[serde(default)]
    pub(crate) layer: Layer,
    /// Exceptions from single rules, for the reviewer to see.
    #[serde(default)]
    pub(crate) waiver: Vec<Spanned<Waiver>>,
}

/// The image as a whole.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Image {
    /// The repository below the publishing registry: `[a-z0-9._/-]`.
    pub(crate) name: Spanned<String>,
    /// The name of a base: `static-debian13` or `scratch`.
    pub(crate) base: Spanned<String>,
    /// `linux/amd64`, `linux/arm64`, …, or `host` for the building machine's own.
    pub(crate) platforms: Spanned<Vec<Spanned<String>>>,
    /// The program and its fixed arguments; by default the path of the only `[[binary]]`.
    pub(crate) entrypoint: Option<Spanned<Vec<String>>>,
    /// Arguments that whoever starts the container may replace.
    #[serde(default)]
    pub(crate) cmd: Vec<String>,
    /// `UID:GID` in numbers; `65532:65532` by default, 0 is refused.
    pub(crate) user: Option<Spanned<String>>,
    /// The working directory; `/` by default.
    pub(crate) workdir: Option<Spanned<String>>,
    /// The environment; `{name}` stands for a declared var.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, Spanned<String>>,
    /// The ports that the program listens on: `8080/tcp`.
    #[serde(default)]
    pub(crate) ports: Vec<Spanned<String>>,
    /// The signal that asks the program to stop: `SIGTERM`.
    pub(crate) stop_signal: Option<Spanned<String>>,
    /// Labels of the image's configuration; `{name}` stands for a declared var.
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, Spanned<String>>,
    /// Annotations of the manifest; `{name}` stands for a declared var.
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, Spanned<String>>,
}

/// An executable: root-owned, mode 0555.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Binary {
    /// The file, relative to the project root: one path with placeholders, or one a platform.
    pub(crate) source: Spanned<Source>,
    /// Where it goes; `/usr/bin/` and the file's name by default.
    pub(crate) path: Option<Spanned<String>>,
    /// What its bytes must say that it is: `go:MODULE`, `cargo:CRATE` or `note:PACKAGE`.
    pub(crate) identity: Option<Spanned<String>>,
    /// What its bytes must hash to, by platform: 64 hexadecimal digits.
    #[serde(default)]
    pub(crate) sha256: BTreeMap<String, Spanned<String>>,
    /// A side-car SBOM that names this binary by its hash.
    pub(crate) sbom: Option<Spanned<Source>>,
    /// The provenance of its own build, which names it by its hash.
    pub(crate) provenance: Option<Spanned<Source>>,
    /// The command that makes it: shown when it is missing, run only by `build --make`.
    pub(crate) make: Option<String>,
}

/// One path with the placeholders `{os}`, `{arch}`, `{variant}`, `{goarch}`, `{rust-musl}`
/// and `{rust-gnu}`, or a path for each platform.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum Source {
    Pattern(String),
    Table(BTreeMap<String, String>),
}

/// Data: a file, or a folder with what is below it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct File {
    /// The file or folder, relative to the project root.
    pub(crate) source: Spanned<Source>,
    /// Where it goes; with a trailing slash, the folder to put it into.
    pub(crate) path: Spanned<String>,
    /// The permission bits of each file in octal digits; `0444` by default, never executable.
    pub(crate) mode: Option<Spanned<String>>,
    /// `UID:GID` in numbers; `0:0` by default.
    pub(crate) owner: Option<Spanned<String>>,
    /// What below a folder stays out: globs relative to it.
    #[serde(default)]
    pub(crate) exclude: Vec<Spanned<String>>,
}

/// A place to write, when a volume will be mounted there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Directory {
    /// Where it is.
    pub(crate) path: Spanned<String>,
    /// `UID:GID` in numbers; the image's user by default.
    pub(crate) owner: Option<Spanned<String>>,
    /// Its permission bits in octal digits; `0750` by default.
    pub(crate) mode: Option<Spanned<String>>,
}

/// A symbolic link.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Link {
    /// Where it is.
    pub(crate) path: Spanned<String>,
    /// The absolute path that it points at.
    pub(crate) target: Spanned<String>,
}

/// A value that a build may give with `--var NAME=VALUE`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Var {
    /// The regular expression that a given value must match as a whole.
    pub(crate) pattern: Spanned<String>,
    /// The value when none is given; without it, the build must give one.
    pub(crate) default: Option<String>,
}

/// The layer that is added to the base.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Layer {
    /// `gzip`, the default, or `zstd`.
    pub(crate) compression: Option<Spanned<String>>,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_is_made_from_these_types() {
        crate::strict_toml::testing::schema_is_made_from::<super::Recipe>("recipe");
    }
}
