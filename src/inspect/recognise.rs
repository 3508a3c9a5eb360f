//! Programs that have no place in a golden image, recognised by what they are.
//!
//! A fingerprint is a list of strings that one program carries and no other; it fires
//! when enough of them occur anywhere in the bytes of an executable. Names, sections and
//! symbols are not looked at, so renaming and stripping hide nothing. The table with its
//! counts and provenance is `fingerprints.toml` beside this file.
//!
//! Every file is read once, front to back, and this pass carries whatever else is to be
//! found at any place of a file: other executables, as they are or as base64, and the
//! marks of what a program can do.

use super::family::{self, Family};
use super::hardening::{self, Marks};
use super::needles::{Needles, SHORTEST};
use super::pass::Pass;
use super::secret::Secret;
use crate::binary::elf::{Linkage, View};
use crate::binary::go::{self, BuildInfo};
use crate::binary::{ReadAt, rust};
use crate::finding::{Rule, rules};
use serde::Deserialize;
use std::collections::HashMap;
use std::io::{self, Read as _};
use std::sync::LazyLock;

/// The part of the table that recognising needs, deflated: in plain bytes, this program
/// would carry every string that it looks for.
static TABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/fingerprints.deflate"));
/// The largest launcher: those of Python, Ruby, Tcl and Node.js have less than half of it.
const LAUNCHER: u64 = 64 << 10;

/// What was found in the bytes of a file.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The programs that were recognised, one a rule and program.
    pub(super) known: Vec<Recognised>,
    /// Where the ELF magic stands, the start of the file apart; the first few places.
    pub(super) executables: Vec<u64>,
    /// Where base64 of the ELF magic may begin; the first few places.
    pub(super) encoded: Vec<u64>,
    /// The secrets; the first few.
    pub(super) secrets: Vec<Secret>,
    /// What says that the program can start others.
    pub(super) starts_programs: Vec<&'static str>,
    /// What says how the program was compiled.
    pub(super) marks: Marks,
}

/// What the code that a language links in to start a program leaves: the marks, all of
/// which must be there, and what they say. The bars are taken out before they are looked
/// for, so that this program does not carry them.
const ABILITIES: [(&[&str], &str); 5] = [
    (&["syscall.|forkExec"], "it holds the function forkExec of Go"),
    (&["os.|StartProcess"], "it holds the function StartProcess of Go"),
    (&["the CLOEXEC| pipe failed: "], "it holds the code of Rust's Command"),
    (&["memfd|_create", "fex|ecve"], "it can make files in memory and start them"),
    (&["memfd|_create", "exec|veat"], "it can make files in memory and start them by number"),
];
/// What the runtimes of coverage leave.
const COVERAGE: [&str; 2] = ["libgcov| profiling error:", "LLVM Profile| Error: "];

/// A program that was recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recognised {
    pub(super) rule: &'static Rule,
    pub(super) tool: String,
    pub(super) evidence: Vec<String>,
    /// Whether only its kind is known; `tool` says it in words then.
    pub(super) is_family: bool,
}

#[derive(Deserialize)]
struct Table {
    fingerprint: Vec<Fingerprint>,
    family: Vec<Family>,
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
    families: Vec<family::Numbered>,
    needed: Vec<Prefix>,
    go_packages: Vec<Prefix>,
    /// The packages that are no fault in a program of another purpose.
    go_engines: Vec<Prefix>,
    /// The numbers of the marks of [`ABILITIES`], of [`COVERAGE`] and of
    /// [`family::HINTS`], in their order.
    abilities: Vec<Vec<usize>>,
    coverage: Vec<usize>,
    shell_hints: Vec<usize>,
    /// The numbers of the words of other languages.
    other_words: Vec<usize>,
    /// The numbers of the marks of [`hardening`].
    hardening: [Vec<usize>; 5],
    /// How many marks there are.
    marks: usize,
    rust_crates: Vec<Crate>,
}

static RECOGNISER: LazyLock<Recogniser> = LazyLock::new(|| {
    let mut text = String::new();
    let read = flate2::read::DeflateDecoder::new(TABLE).read_to_string(&mut text);
    let table: Result<Table, _> = serde_json::from_str(&text);
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
    let of_severity = |prefixes: &mut Vec<Prefix>, severity: &str| {
        prefixes.extract_if(.., |one| one.severity == severity).collect()
    };
    // A word of several families is looked for once.
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut number = |text: &str| {
        *known.entry(text.to_owned()).or_insert_with(|| {
            strings.push(text.as_bytes().to_vec());
            strings.len() - 1
        })
    };
    let families = table.family.into_iter();
    let families = families.map(|one| family::Numbered::new(one, &mut number)).collect();
    let shell_hints = family::HINTS.iter().map(|text| number(text)).collect();
    let other_words = family::OTHERS.iter().map(|text| number(text)).collect();
    let mut all = |marks: &[&[u8]]| -> Vec<usize> {
        let first = strings.len();
        strings.extend(marks.iter().map(|mark| mark.to_vec()));
        (first..strings.len()).collect()
    };
    let hardening = [
        all(&hardening::CANARY),
        all(&hardening::FORTIFIED),
        all(&hardening::FORTIFIABLE),
        all(&hardening::GO),
        all(&hardening::RUST),
    ];
    let (mut needed, mut go_packages) = (table.needed, table.go_package);
    let mut mark = |text: &&str| {
        strings.push(text.replace('|', "").into_bytes());
        strings.len() - 1
    };
    let abilities =
        ABILITIES.iter().map(|(marks, _)| marks.iter().map(&mut mark).collect()).collect();
    let coverage = COVERAGE.iter().map(&mut mark).collect();
    Recogniser {
        marks: strings.len(),
        needles: Needles::new(strings),
        fingerprints,
        abilities,
        coverage,
        families,
        shell_hints,
        other_words,
        hardening,
        needed: of_severity(&mut needed, "reject"),
        go_engines: of_severity(&mut go_packages, "warn"),
        go_packages: of_severity(&mut go_packages, "reject"),
        rust_crates: {
            let crates = table.rust_crate.into_iter();
            crates.filter(|one| one.severity == "reject").collect()
        },
    }
});

/// Returns the digest of the compiled-in table.
pub(super) fn table_digest() -> crate::oci::Digest {
    crate::oci::Digest::of(TABLE)
}

/// Returns the strings that are looked for, and how many numbers they have.
pub(super) fn needles() -> (&'static Needles, usize) {
    (&RECOGNISER.needles, RECOGNISER.marks)
}

/// Reads the table, so that the first executable does not wait for it.
pub(super) fn prepare() {
    LazyLock::force(&RECOGNISER);
}

/// Reads a file once and says what is in it: programs by their strings, the libraries that
/// they need, their Go packages and their Rust crates, one result a rule and program; and
/// what else this pass finds. `seen` is the pass, if somebody has made it already.
///
/// # Errors
/// When the bytes cannot be read.
pub(super) fn scan(
    source: &dyn ReadAt,
    view: Option<&View>,
    seen: Option<Pass>,
) -> io::Result<Scan> {
    let recogniser = &*RECOGNISER;
    let (mut scan, found) = recogniser.scan(match seen {
        Some(pass) => pass,
        None => recogniser.pass(source)?,
    });
    let Some(view) = view else { return Ok(scan) };
    let recognised = &mut scan.known;
    let libraries = view.dynamic.as_ref().map_or(&[][..], |dynamic| &dynamic.needed);
    for library in libraries {
        if let Some(known) = recogniser
            .needed
            .iter()
            .find(|known| library.starts_with(&known.prefix) && known.only.means(source, view))
        {
            push(
                recognised,
                &known.category,
                "a program of this family",
                format!("it needs {library}"),
            );
        }
    }
    recogniser.by_go_packages(source, view, recognised)?;
    if let Ok(Some(dependencies)) = rust::Dependencies::read(source, view) {
        for package in dependencies.packages.iter().filter(|one| one.kind == rust::Kind::Runtime) {
            let known = recogniser.rust_crates.iter().find(|known| known.name == package.name);
            if let Some(known) = known {
                let evidence = format!("the crate {} is linked into it", package.name);
                push(recognised, &known.category, &known.name, evidence);
            }
        }
    }
    if Only::Program.means(source, view) {
        recogniser.by_family(source, &found, recognised)?;
    }
    Ok(scan)
}

/// Says whether a Go package is one of a prefix, or lies below it.
fn lies_below(package: &str, prefix: &str) -> bool {
    package.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Says whether a Go main package belongs to the module of an engine: the module itself, its
/// `cmd`, or a folder beside the engine's.
fn is_of_module(package: &str, engine: &str) -> bool {
    // `go.starlark.net/starlark` is a package; `github.com/dop251/goja` is a module.
    let module = if engine.matches('/').count() < 2 {
        engine.split('/').next().unwrap_or(engine)
    } else {
        engine
    };
    lies_below(package, module)
}

fn push(recognised: &mut Vec<Recognised>, category: &str, tool: &str, evidence: String) {
    let Some(rule) = of_category(category) else { return };
    match recognised.iter_mut().find(|known| known.rule == rule) {
        Some(known) => known.evidence.push(evidence),
        None => {
            let tool = tool.to_owned();
            recognised.push(Recognised { rule, tool, evidence: vec![evidence], is_family: false });
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
        // An engine is a part of many programs; the command beside it is the engine itself.
        if let Some(info) = &info
            && let Some(known) =
                self.go_engines.iter().find(|known| is_of_module(&info.path, &known.prefix))
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

    /// By what the programs of a kind have in common; only where nothing said so before.
    fn by_family(
        &self,
        source: &dyn ReadAt,
        found: &[bool],
        recognised: &mut Vec<Recognised>,
    ) -> io::Result<()> {
        let mut add = |category: &str, tool: &str, evidence: String| {
            let Some(rule) = of_category(category) else { return };
            match recognised.iter_mut().find(|known| known.rule == rule) {
                Some(known) if known.is_family => known.evidence.push(evidence),
                Some(_) => {}
                None => recognised.push(Recognised {
                    rule,
                    tool: tool.to_owned(),
                    evidence: vec![evidence],
                    is_family: true,
                }),
            }
        };
        if self.shell_hints.iter().filter(|number| found[**number]).count() >= family::HINTED
            && !self.other_words.iter().all(|number| found[*number])
            && let Some(evidence) = family::shell_words(source)?
        {
            add("shell", "a shell, by its words", evidence);
        }
        for one in &self.families {
            if let Some(evidence) = one.evidence(found) {
                add(&one.family.category, &one.family.tool, evidence);
            }
        }
        Ok(())
    }

    fn pass(&self, source: &dyn ReadAt) -> io::Result<Pass> {
        Pass::over(source, &self.needles, self.marks)
    }

    /// Returns what was found, and which of the strings there are; none of a text.
    fn scan(&self, pass: Pass) -> (Scan, Vec<bool>) {
        let Pass { mut found, executables, encoded, secrets, is_text } = pass;
        let mut scan = Scan { executables, encoded, secrets, ..Scan::default() };
        scan.executables.retain(|place| *place != 0);
        // No program is without a zero byte: a text that has the marks only speaks of it.
        if is_text {
            found.fill(false);
            return (scan, found);
        }
        scan.known = self.by_strings(&found);
        let [canary, fortified, fortifiable, go, rust] =
            self.hardening.each_ref().map(|numbers| numbers.iter().any(|number| found[*number]));
        scan.marks = Marks { canary, fortified, fortifiable, go, rust };
        for (numbers, (_, says)) in self.abilities.iter().zip(ABILITIES) {
            if numbers.iter().all(|number| found[*number]) {
                scan.starts_programs.push(says);
            }
        }
        for (number, text) in self.coverage.iter().zip(COVERAGE) {
            if found[*number] {
                let evidence = format!("it holds \"{}\"", text.replace('|', ""));
                push(&mut scan.known, "sanitizer", "a program that measures coverage", evidence);
            }
        }
        (scan, found)
    }

    fn by_strings(&self, found: &[bool]) -> Vec<Recognised> {
        let mut recognised = Vec::new();
        for (fingerprint, numbers) in &self.fingerprints {
            // Of most fingerprints there is next to nothing in a file.
            if numbers.iter().filter(|number| found[**number]).count() < fingerprint.need {
                continue;
            }
            let strings = fingerprint.strings.iter().zip(numbers);
            let hits: Vec<_> =
                strings.filter(|(_, number)| found[**number]).map(|(string, _)| string).collect();
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
                is_family: false,
            });
        }
        recognised
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

/// Returns the rule of a category, and bytes that raise it.
#[cfg(test)]
pub(super) fn marks_of(category: &str) -> (&'static Rule, Vec<u8>) {
    let rule = of_category(category).expect("a rule");
    let fingerprints = RECOGNISER.fingerprints.iter().map(|(known, _)| known);
    let known = fingerprints
        .filter(|known| known.encoding == "ascii")
        .find(|known| known.category == category);
    let text = match known {
        Some(known) => known.strings.join("\0"),
        None => COVERAGE[0].replace('|', ""),
    };
    (rule, format!("\0{text}\0").into_bytes())
}

#[cfg(test)]
mod tests;
