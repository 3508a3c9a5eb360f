//! What Rust tools leave in executables: the dependency list of `cargo-auditable` and the compiler's version.
//!
//! Purpose: to give the crates of a program with versions. Takes: a source and its view. Gives: [`Dependencies`].
//! Must not: inflate more than 8 MiB, or trust an index.
//! Sources: cargo-auditable `PARSING.md` and `cargo-auditable.schema.json`.

use super::ReadAt;
use super::elf::View;
use super::search::scan;
use aho_corasick::AhoCorasick;
use serde::Deserialize;
use std::io;
use std::io::Read;

/// Most bytes of the section.
const COMPRESSED_MAX: u64 = 8 * 1024 * 1024;
/// Most bytes of the JSON text.
const INFLATED_MAX: u64 = 8 * 1024 * 1024;
/// Most packages.
const PACKAGES_MAX: usize = 100_000;
/// Most bytes of `.comment` read.
const COMMENT_MAX: usize = 64 * 1024;
/// Most bytes searched for marks of the compiler.
const SEARCH_MAX: u64 = 256 * 1024 * 1024;

/// Why a dependency list that is there cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The medium failed.
    #[error("cannot read the Rust dependency list: {0}")]
    Io(#[from] io::Error),
    /// The section or its content is larger than any real program's.
    #[error("Rust dependency list: {what} is larger than {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit, in bytes or packages.
        limit: u64,
    },
    /// The section is not a zlib stream.
    #[error("Rust dependency list is not a zlib stream: {0}")]
    Inflate(io::Error),
    /// The content is not the JSON of the schema.
    #[error("Rust dependency list is not the expected JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// There is not exactly one root package.
    #[error("Rust dependency list has {0} root packages, not 1")]
    Roots(usize),
    /// A dependency refers to a package that is not there.
    #[error("Rust dependency list: package {package} depends on {index}, which is not there")]
    Index {
        /// Index of the package.
        package: usize,
        /// What it refers to.
        index: usize,
    },
    /// Packages depend on themselves.
    #[error("Rust dependency list has a cycle through package {0}")]
    Cycle(usize),
}

/// The dependency list of a program.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Dependencies {
    /// The revision: 0 counts procedural macros as run time, 1 does not, 8 is exact.
    #[serde(default)]
    pub format: u32,
    /// The packages, exactly one of which is the root.
    pub packages: Vec<Package>,
}

/// One package.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Package {
    /// The crate name.
    pub name: String,
    /// The version, by semantic versioning.
    pub version: String,
    /// `crates.io`, `git`, `local`, `registry` or another word.
    pub source: String,
    /// Where the package runs.
    #[serde(default)]
    pub kind: Kind,
    /// Indices into [`Dependencies::packages`], within bounds and without cycles.
    #[serde(default)]
    pub dependencies: Vec<usize>,
    /// Whether this is the program itself.
    #[serde(default)]
    pub root: bool,
}

/// Where a package runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// In the program.
    #[default]
    Runtime,
    /// When building only.
    Build,
}

impl Dependencies {
    /// Returns the dependency list in the section `.dep-v0`, `None` when there is no such section.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above 8 MiB compressed or inflated or 100,000 packages, other variants when the list
    /// contradicts itself.
    pub fn read(source: &dyn ReadAt, view: &View) -> Result<Option<Self>, Error> {
        let Some(range) = view.section(source, ".dep-v0")? else {
            return Ok(None);
        };
        let size = range.end.saturating_sub(range.start);
        if size > COMPRESSED_MAX {
            return Err(Error::TooLarge { what: "section", limit: COMPRESSED_MAX });
        }
        let compressed = source.read_vec(range.start, usize::try_from(size).unwrap_or_default())?;
        let mut text = Vec::new();
        let mut inflated =
            flate2::read::ZlibDecoder::new(compressed.as_slice()).take(INFLATED_MAX + 1);
        inflated.read_to_end(&mut text).map_err(Error::Inflate)?;
        if text.len() as u64 > INFLATED_MAX {
            return Err(Error::TooLarge { what: "JSON text", limit: INFLATED_MAX });
        }
        let list: Self = serde_json::from_slice(&text)?;
        list.check()?;
        Ok(Some(list))
    }

    /// Returns the package of the program itself.
    #[must_use]
    pub fn root(&self) -> Option<&Package> {
        self.packages.iter().find(|package| package.root)
    }

    fn check(&self) -> Result<(), Error> {
        let packages = &self.packages;
        if packages.len() > PACKAGES_MAX {
            return Err(Error::TooLarge { what: "number of packages", limit: PACKAGES_MAX as u64 });
        }
        let roots = packages.iter().filter(|package| package.root).count();
        if roots != 1 {
            return Err(Error::Roots(roots));
        }
        let mut dependants = vec![0_usize; packages.len()];
        for (package, index) in packages
            .iter()
            .enumerate()
            .flat_map(|(at, package)| package.dependencies.iter().map(move |index| (at, *index)))
        {
            *dependants.get_mut(index).ok_or(Error::Index { package, index })? += 1;
        }
        // Kahn's algorithm: what cannot be taken away from the top lies on or below a cycle.
        let mut free: Vec<usize> =
            (0..packages.len()).filter(|index| dependants[*index] == 0).collect();
        while let Some(taken) = free.pop() {
            for index in &packages[taken].dependencies {
                dependants[*index] -= 1;
                if dependants[*index] == 0 {
                    free.push(*index);
                }
            }
        }
        dependants
            .iter()
            .position(|count| *count > 0)
            .map_or(Ok(()), |index| Err(Error::Cycle(index)))
    }
}

/// Returns the compiler's version from the section `.comment`, such as `1.95.0 (f2d3ce0bd 2026-03-21)`, at most 128
/// printable ASCII characters; `None` when there is none, as in stripped files.
///
/// # Errors
/// Failures of the medium.
pub fn rustc_version(source: &dyn ReadAt, view: &View) -> io::Result<Option<String>> {
    let Some(range) = view.section(source, ".comment")? else {
        return Ok(None);
    };
    let size = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
    let text = source.read_vec(range.start, size.min(COMMENT_MAX))?;
    let found = text.split(|byte| *byte == 0).find_map(|line| line.strip_prefix(b"rustc version "));
    Ok(found
        .filter(|version| {
            version.len() <= 128 && version.iter().all(|byte| matches!(byte, b' '..=b'~'))
        })
        .map(|version| String::from_utf8_lossy(version).into_owned()))
}

/// Returns whether the file bears marks of the Rust compiler: the sections `.dep-v0` or a `rustc version` in
/// `.comment`, or, within the first 256 MiB of the loaded segments, the path of the standard library
/// (`/rustc/<40 hex digits>/`) or `rust_eh_personality`.
///
/// Marks can be forged and removed.
///
/// # Errors
/// Failures of the medium.
pub fn is_rust(source: &dyn ReadAt, view: &View) -> io::Result<bool> {
    if view.section(source, ".dep-v0")?.is_some() || rustc_version(source, view)?.is_some() {
        return Ok(true);
    }
    let marks = AhoCorasick::new(["/rustc/", "rust_eh_personality"]).map_err(io::Error::other)?;
    let mut room = SEARCH_MAX;
    for segment in view.loads() {
        let range = segment.file_range();
        let size = segment.file_size.min(room);
        room -= size;
        let found =
            scan(source, range.start..range.start.saturating_add(size), 64, &mut |_, chunk| {
                marks.find_iter(chunk).find_map(|mark| {
                    let behind = chunk.get(mark.end()..).unwrap_or_default();
                    (mark.pattern().as_u32() == 1 || is_commit(behind)).then_some(())
                })
            })?;
        if found.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns whether `text` begins with a commit, 40 hexadecimal digits, as one part of a path.
fn is_commit(text: &[u8]) -> bool {
    text.get(..40).is_some_and(|hash| hash.iter().all(u8::is_ascii_hexdigit))
        && text.get(40) == Some(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::elf::testing::Writer;
    use std::io::Write;

    fn deflate(text: &[u8]) -> Vec<u8> {
        let mut encoder =
            flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read_section(content: &[u8]) -> Result<Option<Dependencies>, Error> {
        let file = Writer::executable().section(".dep-v0", content).finish();
        let view = View::read(&file).unwrap().unwrap();
        Dependencies::read(&file, &view)
    }

    fn read(text: &str) -> Result<Option<Dependencies>, Error> {
        read_section(&deflate(text.as_bytes()))
    }

    fn package(rest: &str) -> String {
        format!(r#"{{"name":"a","version":"1.0.0","source":"local"{rest}}}"#)
    }

    #[test]
    fn list_is_read() {
        let text = r#"{"packages":[
            {"name":"adler","version":"0.2.3","source":"crates.io"},
            {"name":"cc","version":"1.2.0","source":"crates.io","kind":"build","new field":1},
            {"name":"me","version":"0.1.0","source":"local","dependencies":[0,1],"root":true}],"format":8}"#;
        let list = read(text).unwrap().unwrap();
        assert_eq!(list.format, 8);
        assert_eq!(list.root().unwrap().name, "me");
        assert_eq!(list.packages[1].kind, Kind::Build);
        assert_eq!(list.packages[0].kind, Kind::Runtime);
        assert_eq!(list.packages[2].dependencies, [0, 1]);
    }

    #[test]
    fn no_section_is_no_list() {
        let file = Writer::executable().finish();
        let view = View::read(&file).unwrap().unwrap();
        assert!(Dependencies::read(&file, &view).unwrap().is_none());
    }

    #[test]
    fn contradictions_are_errors() {
        let list =
            |packages: &[String]| read(&format!(r#"{{"packages":[{}]}}"#, packages.join(",")));
        let root = r#","root":true"#;
        assert!(matches!(list(&[]), Err(Error::Roots(0))));
        assert!(matches!(list(&[package(root), package(root)]), Err(Error::Roots(2))));
        let outside = package(r#","root":true,"dependencies":[1]"#);
        assert!(matches!(list(&[outside]), Err(Error::Index { package: 0, index: 1 })));
        let own = package(r#","root":true,"dependencies":[0]"#);
        assert!(matches!(list(&[own]), Err(Error::Cycle(0))));
        let ring =
            [package(r#","dependencies":[1]"#), package(r#","dependencies":[0]"#), package(root)];
        assert!(matches!(list(&ring), Err(Error::Cycle(_))));
        assert!(matches!(list(&[package(r#","kind":"other""#)]), Err(Error::Json(_))));
        assert!(matches!(read("not json"), Err(Error::Json(_))));
        assert!(matches!(read_section(b"not zlib"), Err(Error::Inflate(_))));
        assert!(matches!(read_section(b""), Err(Error::Inflate(_))));
    }

    #[test]
    fn sizes_are_bounded() {
        let bomb = " ".repeat(INFLATED_MAX as usize + 10);
        assert!(matches!(read(&bomb), Err(Error::TooLarge { what: "JSON text", .. })));
        let large = vec![0; COMPRESSED_MAX as usize + 1];
        assert!(matches!(read_section(&large), Err(Error::TooLarge { what: "section", .. })));
    }

    #[test]
    fn number_of_packages_is_bounded() {
        let text = format!(r#"{{"packages":[{}]}}"#, vec![package(""); PACKAGES_MAX + 1].join(","));
        assert!(matches!(read(&text), Err(Error::TooLarge { what: "number of packages", .. })));
    }

    #[test]
    fn deep_chain_needs_no_stack() {
        let mut packages: Vec<String> =
            (1..50_000).map(|next| package(&format!(r#","dependencies":[{next}]"#))).collect();
        packages.push(package(r#","root":true"#));
        assert!(read(&format!(r#"{{"packages":[{}]}}"#, packages.join(","))).unwrap().is_some());
    }

    #[test]
    fn marks_are_found() {
        let is = |writer: Writer| {
            let file = writer.finish();
            is_rust(&file, &View::read(&file).unwrap().unwrap()).unwrap()
        };
        assert!(is(
            Writer::executable().section(".comment", b"GCC: 12\0rustc version 1.95.0 (f2d 2026)\0")
        ));
        assert!(is(Writer::executable()
            .loose(b"x/rustc/0123456789abcdef0123456789abcdef01234567/library/core")));
        assert!(is(Writer::executable().loose(b"\0rust_eh_personality\0")));
        assert!(!is(Writer::executable()
            .loose(b"/rustc/0123456789abcdef0123456789abcdef0123456/library/core")));
        assert!(!is(Writer::executable().loose(b"/rustc/0123")));
    }
}
