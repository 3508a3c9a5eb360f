//! The recipe: what a user writes to get an image.
//!
//! Takes the text of a recipe, gives a [`Recipe`] in which every value has its meaning
//! and its place in the text, or every fault at once. Opens no input: that is assembly's.

pub mod check;
pub mod discover;
pub mod infer;
pub mod placeholder;
pub mod schema;

use crate::finding::diagnostic::{Diagnostics, Span};
use crate::oci::{Digest, ImagePath, Platform};
use crate::strict_toml;
use crate::waiver::Waiver;
use placeholder::Template;
use std::collections::BTreeMap;
use std::fmt;

/// A recipe whose every value has been checked.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The name of the file, as the user knows it.
    pub file: String,
    /// The text, kept so that later faults can show their line.
    pub text: String,
    /// The name of the image: a repository below the publishing registry.
    pub name: String,
    /// The name of the base.
    pub base: At<String>,
    /// The platforms, in the recipe's order, without repetition.
    pub platforms: Vec<Platform>,
    /// The program and its fixed arguments.
    pub entrypoint: At<Vec<String>>,
    /// The arguments that whoever starts the container may replace.
    pub cmd: Vec<String>,
    /// Who the program runs as.
    pub user: User,
    /// The working directory.
    pub workdir: ImagePath,
    /// The environment.
    pub env: BTreeMap<String, Template>,
    /// The ports, `PORT/PROTOCOL`.
    pub ports: Vec<String>,
    /// The signal that asks the program to stop.
    pub stop_signal: Option<String>,
    /// The labels.
    pub labels: BTreeMap<String, Template>,
    /// The annotations.
    pub annotations: BTreeMap<String, Template>,
    /// The executables.
    pub binaries: Vec<Binary>,
    /// The data.
    pub files: Vec<File>,
    /// The places to write.
    pub directories: Vec<Directory>,
    /// The symbolic links.
    pub links: Vec<Link>,
    /// The values that a build may give.
    pub vars: BTreeMap<String, Var>,
    /// How the added layer is compressed.
    pub compression: Compression,
    /// The exceptions from rules.
    pub waivers: Vec<Waiver>,
}

/// A value and its place in the recipe's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// The bytes of the text that hold it.
    pub span: Span,
}

/// A user and group by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl User {
    /// `nonroot`, the default.
    pub const NONROOT: Self = Self { uid: 65532, gid: 65532 };
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

/// An executable.
#[derive(Debug, Clone)]
pub struct Binary {
    /// Where its bytes are, for each platform.
    pub source: Source,
    /// Where it goes.
    pub path: ImagePath,
    /// What its bytes must say that it is.
    pub identity: Option<Identity>,
    /// What its bytes must hash to, by platform.
    pub sha256: BTreeMap<Platform, Digest>,
    /// A side-car SBOM.
    pub sbom: Option<Source>,
    /// The provenance of its own build.
    pub provenance: Option<Source>,
    /// The command that makes it.
    pub make: Option<String>,
}

/// Where the bytes of an input are, relative to the project root.
#[derive(Debug, Clone)]
pub struct Source {
    /// One path with placeholders, or a path a platform.
    pub place: Place,
    /// Its place in the recipe.
    pub span: Span,
}

/// One path for all platforms, or one for each.
#[derive(Debug, Clone)]
pub enum Place {
    /// A path with placeholders.
    Pattern(String),
    /// A path for each platform.
    Table(BTreeMap<Platform, String>),
}

impl Source {
    /// Returns the path for a platform, relative to the project root.
    pub fn path(&self, platform: &Platform) -> String {
        match &self.place {
            Place::Pattern(pattern) => placeholder::for_platform(pattern, platform),
            // `check` has made sure that the table has every platform of the recipe.
            Place::Table(paths) => paths.get(platform).cloned().unwrap_or_default(),
        }
    }
}

/// What an executable must say that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A Go main module, `go:PATH`.
    Go(String),
    /// The root crate of Rust's audit data, `cargo:NAME`.
    Cargo(String),
    /// The name in a package note, `note:NAME`.
    Note(String),
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Go(name) => write!(f, "go:{name}"),
            Self::Cargo(name) => write!(f, "cargo:{name}"),
            Self::Note(name) => write!(f, "note:{name}"),
        }
    }
}

/// Data: a file, or a folder with what is below it.
#[derive(Debug, Clone)]
pub struct File {
    /// Where the bytes are.
    pub source: Source,
    /// Where they go.
    pub path: ImagePath,
    /// Whether the path was written with a trailing slash: a folder to put the source into.
    pub into: bool,
    /// The permission bits of each file.
    pub mode: u32,
    /// Who owns each file and folder.
    pub owner: User,
    /// What below a folder stays out, relative to it.
    pub exclude: Vec<globset::Glob>,
}

/// A place to write, when a volume is mounted there.
#[derive(Debug, Clone)]
pub struct Directory {
    /// Where it is.
    pub path: ImagePath,
    /// Who owns it.
    pub owner: User,
    /// Its permission bits.
    pub mode: u32,
    /// Its place in the recipe.
    pub span: Span,
}

/// A symbolic link.
#[derive(Debug, Clone)]
pub struct Link {
    /// Where it is.
    pub path: ImagePath,
    /// What it points at.
    pub target: ImagePath,
    /// Its place in the recipe.
    pub span: Span,
}

/// A value that a build may give with `--var`.
#[derive(Debug, Clone)]
pub struct Var {
    /// What a given value must match, as a whole.
    pub pattern: regex::Regex,
    /// The pattern as it was written.
    pub written: String,
    /// The value when none is given; need not match the pattern.
    pub default: Option<String>,
}

/// How the added layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// gzip, which every runtime reads.
    #[default]
    Gzip,
    /// zstd, smaller and faster, for runtimes of 2021 and later.
    Zstd,
}

/// Reads a recipe.
///
/// `file` is the name that messages show. `host` is what `platforms = ["host"]` stands for.
///
/// # Errors
/// Every fault of the text together: syntax, unknown keys, wrong types, and values
/// without a meaning.
pub fn parse(file: &str, text: &str, host: Option<&Platform>) -> Result<Recipe, Box<Diagnostics>> {
    let diagnose = |faults| Box::new(Diagnostics::new(file, text, faults));
    let written = strict_toml::parse(text, schema::JSON).map_err(diagnose)?;
    check::check(file, text, written, host).map_err(diagnose)
}

#[cfg(test)]
mod tests;
