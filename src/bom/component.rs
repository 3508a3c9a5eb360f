//! Components: the things that something is made of, and how they hang together.

use super::Detail;
use crate::binary::ReadAt;
use crate::binary::language::Language;
use crate::image::{shown, tree};
use crate::oci::Digest;
use crate::oci::digest::hex;
use crate::store::Content;
use sha2::{Digest as _, Sha256, Sha512};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;

/// How many bytes are hashed at a time.
const CHUNK: usize = 256 << 10;
/// The most readable characters of an id.
const SLUG: usize = 40;

/// An id inside one bill: ASCII letters, digits, `.` and `-` only, derived from what the
/// component is, so that the same component has the same id on every machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(String);

impl Id {
    /// Makes the id of a component: kind and name to read, a hash of all fields to be unique.
    pub(crate) fn of(kind: Kind, name: &str, fields: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for field in [kind.word().as_bytes(), name.as_bytes()].iter().chain(fields) {
            hash.update((<[u8]>::len(field) as u64).to_be_bytes());
            hash.update(field);
        }
        let keep = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        let slug: String = name.chars().take(SLUG).map(keep).collect();
        Self(format!("{}-{slug}-{}", kind.word(), hex(&hash.finalize()[..12])))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a component is. The order is that of the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A distribution, which contains its packages.
    OperatingSystem,
    /// A package of a distribution.
    Package,
    /// An ELF file that the kernel can start, or one that cannot be read.
    Executable,
    /// Any other ELF file.
    Library,
    /// A file that is not ELF.
    File,
    /// The module of a Go program itself.
    GoMain,
    /// A module that a Go program is linked from.
    GoModule,
    /// The standard library of Go.
    GoStandardLibrary,
    /// The crate of a Rust program itself.
    CrateRoot,
    /// A crate that is in the program.
    Crate,
    /// A crate that only ran while the program was built.
    BuildCrate,
    /// The standard library of Rust.
    RustStandardLibrary,
    /// A package that an ELF file says it belongs to.
    NotedPackage,
    /// A package of a Go program whose module is not known.
    GoPackage,
    /// A library in another language that is linked in.
    NativeLibrary,
    /// A part that only a document names that came with the file.
    ToldLibrary,
}

impl Kind {
    /// Returns the word for ids and properties.
    pub fn word(self) -> &'static str {
        match self {
            Self::OperatingSystem => "operating-system",
            Self::Package => "package",
            Self::Executable => "executable",
            Self::Library => "library",
            Self::File => "file",
            Self::GoMain => "go-main",
            Self::GoModule => "go-module",
            Self::GoStandardLibrary => "go-standard-library",
            Self::CrateRoot => "crate-root",
            Self::Crate => "crate",
            Self::BuildCrate => "build-crate",
            Self::RustStandardLibrary => "rust-standard-library",
            Self::NotedPackage => "noted-package",
            Self::GoPackage => "go-package",
            Self::NativeLibrary => "native-library",
            Self::ToldLibrary => "told-library",
        }
    }
}

/// Whether a list holds everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Completeness {
    /// It holds everything.
    Complete,
    /// Something is known to be missing.
    Incomplete,
    /// Nothing is known.
    Unknown,
}

/// Where the knowledge of a component is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The record of a pinned base.
    BaseRecord,
    /// dpkg's database in the image.
    DpkgStatus,
    /// The file itself.
    Content,
    /// The list that the Go linker leaves.
    GoBuildInfo,
    /// The list that `cargo auditable` leaves.
    CargoAuditable,
    /// The note `.note.package`.
    PackageNote,
    /// apk's database in the image.
    ApkDatabase,
    /// The names of a Go program's functions.
    GoFunctions,
    /// The words with which a library names itself and its version.
    Banner,
    /// The paths of source files that panics name.
    PanicPath,
    /// The list that native-image or .NET leaves.
    EmbeddedList,
    /// A document that came with the file, and names it by its hash.
    Sidecar,
}

impl Evidence {
    /// Returns the word for properties.
    pub fn word(self) -> &'static str {
        match self {
            Self::BaseRecord => "base-record",
            Self::DpkgStatus => "dpkg-status",
            Self::Content => "content",
            Self::GoBuildInfo => "go-buildinfo",
            Self::CargoAuditable => "cargo-auditable",
            Self::PackageNote => "note-package",
            Self::ApkDatabase => "apk-database",
            Self::GoFunctions => "go-functions",
            Self::Banner => "banner",
            Self::PanicPath => "panic-path",
            Self::EmbeddedList => "embedded-list",
            Self::Sidecar => "sidecar",
        }
    }

    /// Returns how sure such knowledge is, in percent: whole hashes are, lists that tools
    /// leave nearly are, what was found by its looks is less.
    pub fn confidence(self) -> u8 {
        match self {
            Self::BaseRecord | Self::Content => 100,
            Self::DpkgStatus | Self::ApkDatabase => 95,
            Self::GoBuildInfo | Self::CargoAuditable => 95,
            Self::EmbeddedList => 90,
            Self::PackageNote | Self::Banner => 80,
            Self::GoFunctions | Self::PanicPath => 60,
            Self::Sidecar => 50,
        }
    }
}

/// A file of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The absolute path, safe to show.
    pub path: String,
    /// The hash of its bytes.
    pub sha256: Digest,
    /// The other hash of its bytes, in lower-case hexadecimal digits; none when they could
    /// not be read again.
    pub sha512: Option<String>,
    /// The number of its bytes.
    pub size: u64,
}

/// The file in which a package is distributed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Its path in the archive of the distribution.
    pub path: String,
    /// The hash of its bytes.
    pub sha256: Digest,
}

/// The source package that a package was built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its version, when it is not that of the package.
    pub version: Option<String>,
}

/// One thing that something is made of. Texts are as the evidence has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its id in this bill.
    pub id: Id,
    /// What it is.
    pub kind: Kind,
    /// Its name; the last part of the path for files.
    pub name: String,
    /// Its version; none when nothing says it.
    pub version: Option<String>,
    /// Its package URL; none for what no registry has.
    pub purl: Option<String>,
    /// Who distributes it; none when nothing says it.
    pub supplier: Option<String>,
    /// Its licence, an SPDX expression; none when nothing says it.
    pub licence: Option<String>,
    /// Its copyright notices; none when nothing says them.
    pub copyright: Option<String>,
    /// The file that it is, for files.
    pub file: Option<File>,
    /// The file that it is distributed in, for packages.
    pub archive: Option<Archive>,
    /// The source package, for packages.
    pub source: Option<Source>,
    /// The language, for ELF files.
    pub language: Option<Language>,
    /// Where the knowledge is from.
    pub evidence: Evidence,
    /// How sure the knowledge is, in percent.
    pub confidence: u8,
    /// Further facts by name.
    pub facts: BTreeMap<&'static str, String>,
    /// What is in it.
    pub contains: BTreeSet<Id>,
    /// What it needs.
    pub depends_on: BTreeSet<Id>,
    /// Whether everything that is in it is a component.
    pub parts: Completeness,
    /// Whether `depends_on` holds everything that it needs.
    pub edges: Completeness,
}

impl Component {
    /// Makes a component of which nothing else is known.
    pub(super) fn new(id: Id, kind: Kind, name: &str, evidence: Evidence) -> Self {
        Self {
            id,
            kind,
            name: name.to_owned(),
            version: None,
            purl: None,
            supplier: None,
            licence: None,
            copyright: None,
            file: None,
            archive: None,
            source: None,
            language: None,
            evidence,
            confidence: evidence.confidence(),
            facts: BTreeMap::new(),
            contains: BTreeSet::new(),
            depends_on: BTreeSet::new(),
            parts: Completeness::Unknown,
            edges: Completeness::Unknown,
        }
    }

    /// Returns about how much memory its texts take, in bytes.
    pub(super) fn weight(&self) -> usize {
        let texts = [&self.version, &self.purl, &self.supplier, &self.licence, &self.copyright];
        self.id.0.len()
            + self.name.len()
            + texts.into_iter().flatten().map(String::len).sum::<usize>()
            + self.facts.values().map(String::len).sum::<usize>()
    }
}

/// Makes the component of a file at a relative path.
pub(super) fn of_file(kind: Kind, path: &[u8], content: &Content, detail: Detail) -> Component {
    let name = String::from_utf8_lossy(tree::split(path).1).into_owned();
    let sha256 = content.sha256();
    let id = Id::of(kind, &name, &[path, sha256.bytes()]);
    let mut component = Component::new(id, kind, &name, Evidence::Content);
    let sha512 = if detail == Detail::All { sha512(content).ok() } else { None };
    component.file = Some(File { path: shown(path), sha256, sha512, size: content.len() });
    component
}

/// Returns the SHA-512 of bytes in lower-case hexadecimal digits.
///
/// # Errors
/// When the bytes cannot be read.
pub fn sha512(bytes: &dyn ReadAt) -> io::Result<String> {
    let mut hash = Sha512::new();
    let mut chunk = vec![0; CHUNK.min(usize::try_from(bytes.len()).unwrap_or(CHUNK)).max(1)];
    let mut at = 0;
    loop {
        let count = bytes.fill_at(at, &mut chunk)?;
        let Some(read) = chunk.get(..count).filter(|read| !read.is_empty()) else {
            return Ok(hex(&hash.finalize()));
        };
        hash.update(read);
        at += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_made_of_harmless_characters_and_tell_all_fields_apart() {
        let hostile = "a/b\u{1b}[2J\n\"é\u{202e}";
        let id = Id::of(Kind::Crate, hostile, &[b"1"]);
        assert!(id.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)));
        assert!(id.as_str().starts_with("crate-a-b--2J-"));
        // Fields that only join to the same bytes are different fields.
        assert_ne!(
            Id::of(Kind::Crate, "x", &[b"ab", b"c"]),
            Id::of(Kind::Crate, "x", &[b"a", b"bc"])
        );
        assert_ne!(Id::of(Kind::Crate, "x", &[]), Id::of(Kind::BuildCrate, "x", &[]));
        assert!(Id::of(Kind::File, &"x".repeat(5000), &[]).as_str().len() < 100);
    }
}
