//! Programs that have no place in a golden image, recognised by what they are.
//!
//! A fingerprint is a list of strings that one program carries and no other; it fires
//! when enough of them occur anywhere in the bytes of an executable. Names, sections and
//! symbols are not looked at, so renaming and stripping hide nothing. The table with its
//! counts and provenance is `fingerprints.toml` beside this file.

use super::needles::{Needles, SHORTEST};
use crate::binary::elf::{Linkage, View};
use crate::binary::go::{self, BuildInfo};
use crate::binary::{ReadAt, rust};
use crate::finding::{Rule, rules};
use serde::Deserialize;
use std::io::{self, Read as _};
use std::sync::LazyLock;

/// The part of the table that recognising needs, deflated: in plain bytes, this program
/// would carry every string that it looks for.
static TABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/fingerprints.deflate"));
/// The largest launcher: those of Python, Ruby, Tcl and Node.js have less than half of it.
const LAUNCHER: u64 = 64 << 10;
/// How much of a file is searched at a time.
const CHUNK: usize = 256 << 10;

/// A program that was recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recognised {
    pub(super) rule: &'static Rule,
    pub(super) tool: String,
    pub(super) evidence: Vec<String>,
}

#[derive(Deserialize)]
struct Table {
    fingerprint: Vec<Fingerprint>,
    needed: Vec<Prefix>,
    go_package: Vec<Prefix>,
    rust_crate: Vec<Crate>,
}

#[derive(Deserialize)]
struct Fingerprint {
    tool: String,
    category: String,
    need: usize,
    encoding: String,
    strings: Vec<String>,
}

#[derive(Deserialize)]
struct Prefix {
    prefix: String,
    category: String,
    severity: String,
    /// Of a Go package: whether it gives a program away that is called otherwise.
    #[serde(default)]
    linked: bool,
    /// Of a library: which of the files that need it are meant.
    #[serde(default)]
    only: Only,
}

/// Which files a needed library gives away.
#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Only {
    /// Each.
    #[default]
    Any,
    /// Programs. A plug-in that needs the library is not the tool.
    Program,
    /// Programs that do nothing but start the library: servers need it to be configured.
    Launcher,
}

impl Only {
    fn means(self, source: &dyn ReadAt, view: &View) -> bool {
        let program = !matches!(view.linkage(), Linkage::SharedLibrary | Linkage::RunnableLibrary);
        match self {
            Self::Any => true,
            Self::Program => program,
            Self::Launcher => program && source.len() <= LAUNCHER,
        }
    }
}

#[derive(Deserialize)]
struct Crate {
    name: String,
    category: String,
    severity: String,
}

struct Recogniser {
    needles: Needles,
    /// Each fingerprint with the numbers of its strings.
    fingerprints: Vec<(Fingerprint, Vec<usize>)>,
    needed: Vec<Prefix>,
    go_packages: Vec<Prefix>,
    rust_crates: Vec<Crate>,
}

static RECOGNISER: LazyLock<Recogniser> = LazyLock::new(|| {
    let mut text = String::new();
    let read = flate2::read::DeflateDecoder::new(TABLE).read_to_string(&mut text);
    let table: Result<Table, _> = toml::from_str(&text);
    #[expect(clippy::expect_used, reason = "the table is compiled in, and a test reads it")]
    let table =
        read.ok().and_then(|_| table.ok()).expect("the compiled-in fingerprint table is whole");
    let mut strings: Vec<Vec<u8>> = Vec::new();
    let fingerprints = table
        .fingerprint
        .into_iter()
        .map(|mut fingerprint| {
            // Compilers turn shorter ones into immediate operands anyway.
            fingerprint.strings.retain(|string| string.len() >= SHORTEST);
            let numbers = fingerprint.strings.iter().map(|string| {
                strings.push(match fingerprint.encoding.as_str() {
                    "utf32le" => string.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(),
                    _ => string.as_bytes().to_vec(),
                });
                strings.len() - 1
            });
            let numbers = numbers.collect();
            (fingerprint, numbers)
        })
        .collect();
    let refused = |prefixes: Vec<Prefix>| {
        prefixes.into_iter().filter(|one| one.severity == "reject").collect()
    };
    Recogniser {
        needles: Needles::new(strings),
        fingerprints,
        needed: refused(table.needed),
        go_packages: refused(table.go_package),
        rust_crates: {
            let crates = table.rust_crate.into_iter();
            crates.filter(|one| one.severity == "reject").collect()
        },
    }
});

/// Reads the table, so that the first executable does not wait for it.
pub(super) fn prepare() {
    LazyLock::force(&RECOGNISER);
}

/// Recognises an executable: by its strings, the libraries that it needs, its Go packages
/// and its Rust crates. One result a rule and program.
///
/// # Errors
/// When the bytes cannot be read.
pub(super) fn executable(source: &dyn ReadAt, view: Option<&View>) -> io::Result<Vec<Recognised>> {
    let recogniser = &*RECOGNISER;
    let mut recognised = recogniser.by_strings(source)?;
    let Some(view) = view else { return Ok(recognised) };
    let libraries = view.dynamic.as_ref().map_or(&[][..], |dynamic| &dynamic.needed);
    for library in libraries {
        if let Some(known) = recogniser
            .needed
            .iter()
            .find(|known| library.starts_with(&known.prefix) && known.only.means(source, view))
        {
            push(
                &mut recognised,
                &known.category,
                "a program of this family",
                format!("it needs {library}"),
            );
        }
    }
    recogniser.by_go_packages(source, view, &mut recognised)?;
    if let Ok(Some(dependencies)) = rust::Dependencies::read(source, view) {
        for package in dependencies.packages.iter().filter(|one| one.kind == rust::Kind::Runtime) {
            let known = recogniser.rust_crates.iter().find(|known| known.name == package.name);
            if let Some(known) = known {
                let evidence = format!("the crate {} is linked into it", package.name);
                push(&mut recognised, &known.category, &known.name, evidence);
            }
        }
    }
    Ok(recognised)
}

/// Says whether a Go package is one of a prefix, or lies below it.
fn lies_below(package: &str, prefix: &str) -> bool {
    package.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn push(recognised: &mut Vec<Recognised>, category: &str, tool: &str, evidence: String) {
    let Some(rule) = of_category(category) else { return };
    match recognised.iter_mut().find(|known| known.rule == rule) {
        Some(known) => known.evidence.push(evidence),
        None => {
            recognised.push(Recognised { rule, tool: tool.to_owned(), evidence: vec![evidence] })
        }
    }
}

impl Recogniser {
    /// By the main package; else by the functions of packages that only such programs link.
    fn by_go_packages(
        &self,
        source: &dyn ReadAt,
        view: &View,
        recognised: &mut Vec<Recognised>,
    ) -> io::Result<()> {
        let info = match BuildInfo::read(source, view) {
            Ok(info) => info,
            Err(go::Error::Io(error)) => return Err(error),
            // What is forged says nothing; the functions do.
            Err(_) => None,
        };
        if let Some(info) = &info
            && let Some(known) =
                self.go_packages.iter().find(|known| lies_below(&info.path, &known.prefix))
        {
            let evidence = format!("its Go main package is {}", info.path);
            push(recognised, &known.category, &known.prefix, evidence);
        }
        // Without modules, as distributions build, only the functions say what is linked.
        let modules = info.map(|info| info.deps).unwrap_or_default();
        let candidates: Vec<&Prefix> = self
            .go_packages
            .iter()
            .filter(|known| {
                let holds = |module: &go::Module| lies_below(&known.prefix, &module.path);
                known.linked && (modules.is_empty() || modules.iter().any(holds))
            })
            .collect();
        let mut linked = vec![false; candidates.len()];
        if !candidates.is_empty() {
            let visited = go::visit_functions(source, view, &mut |name| {
                let Some(package) = go::package_of(name) else { return };
                for (known, linked) in candidates.iter().zip(&mut linked) {
                    *linked = *linked || lies_below(&package, &known.prefix);
                }
            });
            if let Err(go::Error::Io(error)) = visited {
                return Err(error);
            }
        }
        for (known, _) in candidates.into_iter().zip(linked).filter(|(_, linked)| *linked) {
            let evidence = format!("the Go package {} is linked into it", known.prefix);
            push(recognised, &known.category, &known.prefix, evidence);
        }
        Ok(())
    }

    fn by_strings(&self, source: &dyn ReadAt) -> io::Result<Vec<Recognised>> {
        let mut found =
            vec![false; self.fingerprints.iter().map(|(_, numbers)| numbers.len()).sum()];
        let overlap = self.needles.overlap();
        let mut window = vec![0; overlap + CHUNK];
        let mut kept = 0;
        let mut offset = 0;
        loop {
            let count = source.fill_at(offset, &mut window[kept..])?;
            if count == 0 {
                break;
            }
            offset += count as u64;
            let filled = kept + count;
            self.needles.mark(&window[..filled], &mut found);
            kept = filled.min(overlap);
            window.copy_within(filled - kept..filled, 0);
        }
        let mut recognised = Vec::new();
        for (fingerprint, numbers) in &self.fingerprints {
            let strings = fingerprint.strings.iter().zip(numbers);
            let hits: Vec<_> =
                strings.filter(|(_, number)| found[**number]).map(|(string, _)| string).collect();
            if hits.len() < fingerprint.need {
                continue;
            }
            let Some(rule) = of_category(&fingerprint.category) else { continue };
            let quoted = hits
                .iter()
                .take(4)
                .map(|string| format!("\"{string}\""))
                .collect::<Vec<_>>()
                .join(", ");
            let evidence = format!(
                "{} of {} marks of {}, among them {quoted}",
                hits.len(),
                fingerprint.strings.len(),
                fingerprint.tool
            );
            recognised.push(Recognised {
                rule,
                tool: fingerprint.tool.clone(),
                evidence: vec![evidence],
            });
        }
        Ok(recognised)
    }
}

/// Returns the rule of a category of the fingerprint table.
fn of_category(category: &str) -> Option<&'static Rule> {
    Some(match category {
        "shell" => &rules::SHELL,
        "multicall" => &rules::MULTICALL,
        "package-manager" => &rules::PACKAGE_MANAGER,
        "debugger" => &rules::DEBUGGER,
        "sniffer" => &rules::SNIFFER,
        "net-recon" => &rules::NETWORK_SCANNER,
        "net-client" => &rules::NETWORK_CLIENT,
        "remote-access" => &rules::REMOTE_ACCESS,
        "tunnel" => &rules::TUNNEL,
        "privilege" => &rules::PRIVILEGE_TOOL,
        "namespace" => &rules::NAMESPACE_TOOL,
        "container-tool" => &rules::CONTAINER_TOOL,
        "compiler" => &rules::COMPILER,
        "interpreter" => &rules::INTERPRETER,
        "shell-escape" => &rules::SHELL_ESCAPE,
        "file-tool" => &rules::FILE_TOOL,
        "process-tool" => &rules::PROCESS_TOOL,
        "firewall" => &rules::FIREWALL_TOOL,
        "init" => &rules::INIT_SYSTEM,
        "emulator" => &rules::EMULATOR,
        "sanitizer" => &rules::SANITIZER,
        _ => return None,
    })
}

/// What an executable says that it is: `go:PACKAGE`, `go:MODULE`, `cargo:CRATE`, `note:NAME`.
///
/// # Errors
/// When the bytes cannot be read. Forged lists say nothing.
pub(super) fn identities(source: &dyn ReadAt, view: &View) -> io::Result<Vec<String>> {
    let mut identities = Vec::new();
    if let Ok(Some(info)) = BuildInfo::read(source, view) {
        identities.push(format!("go:{}", info.path));
        if let Some(main) = info.main.filter(|main| main.path != info.path) {
            identities.push(format!("go:{}", main.path));
        }
    }
    if let Ok(Some(dependencies)) = rust::Dependencies::read(source, view) {
        identities.extend(dependencies.root().map(|root| format!("cargo:{}", root.name)));
    }
    let package = view.notes(source)?.package();
    if let Some(name) =
        package.as_ref().and_then(|note| note.get("name")).and_then(|name| name.as_str())
    {
        identities.push(format!("note:{name}"));
    }
    Ok(identities)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_of_the_table_has_a_rule() {
        for (fingerprint, _) in &RECOGNISER.fingerprints {
            assert!(of_category(&fingerprint.category).is_some(), "{}", fingerprint.category);
            assert!(
                (1..=fingerprint.strings.len()).contains(&fingerprint.need),
                "{}",
                fingerprint.tool
            );
        }
        assert!(RECOGNISER.fingerprints.len() >= 177);
    }

    #[test]
    fn go_packages_are_compared_by_whole_segments() {
        assert!(lies_below("mvdan.cc/sh/v3/interp", "mvdan.cc/sh/v3/interp"));
        assert!(lies_below("github.com/a/b/cmd/c", "github.com/a/b"));
        assert!(!lies_below("github.com/a/bc", "github.com/a/b"));
        assert!(!lies_below("github.com/a", "github.com/a/b"));
        let linked = RECOGNISER.go_packages.iter().filter(|known| known.linked).count();
        assert!(linked >= 4 && RECOGNISER.rust_crates.iter().any(|one| one.name == "uucore"));
    }

    /// The marks of the tools that the gate must know, planted in other bytes.
    #[test]
    fn marks_are_found_across_the_borders_of_chunks() {
        for tool in ["busybox", "dash", "bash", "dpkg", "curl", "wget", "strace", "gdb"] {
            let known = RECOGNISER.fingerprints.iter().map(|(known, _)| known);
            let fingerprint = known
                .filter(|known| known.tool.starts_with(tool))
                .max_by_key(|known| known.strings.len());
            let fingerprint = fingerprint.unwrap_or_else(|| panic!("{tool} is in the table"));
            let mut bytes = vec![b'x'; 3 * CHUNK];
            for (i, string) in fingerprint.strings.iter().take(fingerprint.need).enumerate() {
                let at =
                    CHUNK * (1 + i % 2) + RECOGNISER.needles.overlap() - string.len() / 2 + i * 200;
                bytes[at..at + string.len()].copy_from_slice(string.as_bytes());
            }
            let found = RECOGNISER.by_strings(&bytes.as_slice()).unwrap();
            assert!(found.iter().any(|one| one.tool == fingerprint.tool), "{tool}: {found:?}");
            let one_short = fingerprint.strings[0].as_bytes();
            assert_eq!(RECOGNISER.by_strings(&one_short).unwrap(), Vec::new());
        }
    }

    #[test]
    fn karat_does_not_recognise_itself() {
        let itself = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let found = RECOGNISER.by_strings(&itself.as_slice()).unwrap();
        assert_eq!(found, Vec::new());
    }
}
