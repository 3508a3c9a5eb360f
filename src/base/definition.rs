//! What a base is: a reviewed file in `bases/`.
//!
//! Takes the text of `bases/NAME.toml`, gives a [`Definition`] in which every value has its
//! meaning. Opens no file.

mod check;
pub mod schema;

use crate::finding::diagnostic::Diagnostics;
use crate::oci::{Digest, ImagePath, Platform, Reference, canonical};
use crate::strict_toml;
use crate::time::Date;
use serde::Serialize;

/// The folder of a project's bases.
pub const FOLDER: &str = "bases";

/// A base as somebody has decided that it shall be.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Definition {
    /// The name.
    #[serde(skip)]
    pub name: String,
    /// What it is made of.
    pub kind: Kind,
    /// What it is made for; none for `scratch`, which is for everything.
    pub platforms: Vec<Platform>,
    /// The last day on which whoever makes it fixes what is wrong with it.
    pub maintained_until: Option<Date>,
    /// How many days old its lock may be.
    pub max_age: Option<u32>,
    /// The environment, in order.
    pub env: Vec<(String, String)>,
}

/// What a base is made of.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Nothing.
    Scratch,
    /// The layers of an image.
    Image(ImageBase),
    /// Packages of a distribution.
    Packages(Box<Packages>),
}

/// An image that is a base.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ImageBase {
    /// Where it is, as it is written.
    pub reference: String,
    /// Where it is.
    #[serde(skip)]
    pub parsed: Reference,
    /// Who must have signed it.
    pub signer: Option<Signer>,
}

/// Who must have signed an image.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signer {
    /// Whoever has the private half of this key, by its path in the project.
    Key(String),
    /// An identity.
    Identity {
        /// Who vouches for it.
        issuer: String,
        /// The identity.
        identity: String,
    },
}

/// Packages, and what is made of them.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Packages {
    /// The release of the distribution.
    pub release: String,
    /// The keyring: `debian-archive`, or a path.
    pub keyring: String,
    /// The component of the suites.
    pub component: String,
    /// The suites.
    pub suites: Vec<Suite>,
    /// Whether `/bin`, `/sbin` and `/lib*` are links into `/usr`.
    pub usr_merged: bool,
    /// The package whose certificates become one file.
    pub certificates: Option<String>,
    /// The layers.
    pub layers: Vec<LayerPackages>,
    /// What is left out.
    pub excludes: Vec<Exclude>,
    /// The users.
    pub users: Vec<User>,
    /// The groups.
    pub groups: Vec<Group>,
    /// Files of the definition's own.
    pub files: Vec<OwnFile>,
}

/// A suite of an archive.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Suite {
    pub name: String,
    pub archive: String,
}

/// A layer of packages.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LayerPackages {
    /// The name.
    pub name: String,
    /// The packages that are asked for.
    pub packages: Vec<String>,
    /// Whether what they depend on is part of the layer.
    pub dependencies: bool,
}

/// What packages hold and the base does not.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Exclude {
    /// The path as it is written.
    pub path: String,
    /// The package; none for all.
    pub package: Option<String>,
    /// Why.
    pub reason: String,
    /// The folder whose whole content goes, without the slash at its end.
    #[serde(skip)]
    folder: Option<globset::GlobMatcher>,
    #[serde(skip)]
    glob: globset::GlobMatcher,
}

impl Exclude {
    /// Reads a path with `*` for a part of one component, and `/**` at its end for a folder.
    fn new(path: String, package: Option<String>, reason: String) -> Result<Self, String> {
        let relative = path.strip_prefix('/').filter(|rest| !rest.is_empty());
        let relative = relative.ok_or_else(|| format!("`{path}` does not begin with `/`"))?;
        let of_folder = relative.strip_suffix("/**");
        let simple = of_folder.unwrap_or(relative);
        let plain = |c: char| c.is_ascii_graphic() && !"?[]{}!\\".contains(c);
        if simple.contains("**")
            || !simple.chars().all(plain)
            || simple.split('/').any(|part| matches!(part, "" | "." | ".."))
        {
            return Err(format!("`{path}` is no path of this form"));
        }
        let glob = |text: &str| {
            let built = globset::GlobBuilder::new(text).literal_separator(true).build();
            built.map(|glob| glob.compile_matcher()).map_err(|error| error.to_string())
        };
        let folder = of_folder.map(|folder| glob(&format!("{folder}/**"))).transpose()?;
        Ok(Self { glob: glob(simple)?, folder, path, package, reason })
    }

    /// Says whether it leaves out a path of a package.
    pub fn leaves_out(&self, package: &str, path: &[u8]) -> bool {
        use std::os::unix::ffi::OsStrExt as _;
        let path = std::ffi::OsStr::from_bytes(path);
        self.package.as_deref().is_none_or(|own| own == package)
            && (self.glob.is_match(path)
                || self.folder.as_ref().is_some_and(|folder| folder.is_match(path)))
    }
}

/// A user.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct User {
    pub name: String,
    pub id: u32,
    #[serde(serialize_with = "as_text")]
    pub home: ImagePath,
}

/// A group.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Group {
    pub name: String,
    pub id: u32,
}

/// A file of the definition's own.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct OwnFile {
    #[serde(serialize_with = "as_text")]
    pub path: ImagePath,
    pub text: String,
}

fn as_text<S: serde::Serializer>(path: &ImagePath, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(path)
}

impl Definition {
    /// Reads a definition. `file` is the name that messages show, `name` the base's.
    ///
    /// # Errors
    /// Every fault of the text together.
    pub fn parse(name: &str, file: &str, text: &str) -> Result<Self, Box<Diagnostics>> {
        let diagnose = |faults| Box::new(Diagnostics::new(file, text, faults));
        let written: schema::File = strict_toml::parse(text, schema::JSON).map_err(diagnose)?;
        let mut faults = Vec::new();
        let read = check::kind(written, &mut faults);
        match read {
            Some((head, kind)) if faults.is_empty() => Ok(Self {
                name: name.to_owned(),
                kind,
                platforms: head.platforms,
                maintained_until: head.maintained_until,
                max_age: head.max_age,
                env: head.env,
            }),
            _ => Err(diagnose(faults)),
        }
    }

    /// Returns the hash of what the definition means: comments and order of keys do not count.
    pub fn digest(&self) -> Digest {
        Digest::of(&canonical::json(self))
    }

    /// Returns what the packages of a base of that kind are.
    pub fn packages(&self) -> Option<&Packages> {
        match &self.kind {
            Kind::Packages(packages) => Some(packages),
            _ => None,
        }
    }
}
