//! Rules about what the kernel and the dynamic loader do with an executable beyond
//! starting it, and about what the linker or others left in it.

use super::Look;
use crate::binary::ReadAt as _;
use crate::binary::elf::{Dynamic, Kind, Linkage, SectionTable, Segment, View};
use crate::finding::{FileFacts, Finding, Rule, Severity, escape, rules};
use crate::image::{Entry, Origin, tree};
use crate::store::Content;
use std::collections::BTreeSet;
use std::io;
use std::ops::{ControlFlow, Range};

/// The lowest address that linkers give to a program of fixed address.
const LOWEST: u64 = 64 << 10;
/// The largest segment, in memory.
const LARGEST: u64 = 1 << 30;
/// The bytes behind the end of a file that nobody minds.
const OVERLAY: u64 = 4 << 10;
/// `SHF_EXECINSTR` of the gABI.
const CODE: u64 = 4;
/// The most loaders and names of loaders that are remembered.
const LOADERS: usize = 1000;
/// The names that dynamic loaders have, by their beginning.
const LOADER_NAMES: [&[u8]; 4] = [b"ld-linux", b"ld-musl-", b"ld64.so", b"ld.so"];

/// The dynamic loaders of an image, and what its programs name.
#[derive(Debug, Default)]
pub(super) struct Loaders {
    there: Vec<Loader>,
    named: BTreeSet<Vec<u8>>,
}

impl Loaders {
    /// Says whether all of these can be added, and more would have fitted.
    pub(super) fn have_room_for<'a>(&self, parts: impl Iterator<Item = &'a Self>) -> bool {
        let (there, named) = (self.there.len(), self.named.len());
        let sum = parts.fold((there, named), |(there, named), part| {
            (there + part.there.len(), named + part.named.len())
        });
        sum.0 < LOADERS && sum.1 < LOADERS
    }

    /// Adds what was remembered of other entries, in the order of their numbers.
    pub(super) fn add(&mut self, parts: impl Iterator<Item = Self>) {
        let before = self.there.len();
        for part in parts {
            self.there.extend(part.there);
            self.named.extend(part.named);
        }
        self.there[before..].sort_by_key(|loader| loader.number);
    }
}

#[derive(Debug)]
struct Loader {
    /// The number of its entry, among those that were looked at together.
    number: usize,
    path: Vec<u8>,
    layer: Option<usize>,
    /// Whether it is part of a pinned base.
    is_of_base: bool,
    file: FileFacts,
}

/// What the section table says, read once.
#[derive(Debug, Default)]
pub(super) struct SectionFacts {
    /// The largest section of code.
    pub(super) code: Option<Range<u64>>,
    has_debug_info: bool,
    end: u64,
}

impl SectionFacts {
    /// Reads the section table; `None` when there is none that can be read.
    ///
    /// # Errors
    /// When the bytes cannot be read.
    pub(super) fn read(content: &Content, view: &View) -> io::Result<Option<Self>> {
        let mut facts = Self::default();
        let read = view.visit_sections(content, &mut |section| {
            let name = section.name.as_slice();
            facts.has_debug_info |= name.starts_with(b".debug_") || name.starts_with(b".zdebug_");
            if let Some(range) = &section.range {
                facts.end = facts.end.max(range.end);
                let length = |range: &Range<u64>| range.end - range.start;
                if section.flags & CODE != 0
                    && facts.code.as_ref().is_none_or(|code| length(code) < length(range))
                {
                    facts.code = Some(range.clone());
                }
            }
            ControlFlow::Continue(())
        })?;
        facts.end = facts.end.max(view.sections.end(view.bits));
        Ok(read.then_some(facts))
    }
}

/// Looks at an ELF file.
pub(super) fn check(
    look: &mut Look<'_>,
    entry: &Entry,
    content: &Content,
    view: &View,
    sections: Option<&SectionFacts>,
) {
    let mut report = |rule: &'static Rule, message: &str, evidence: Vec<String>| {
        look.report_file(entry, content, Finding::new(rule, message).because(evidence));
    };
    if view.sections.table == SectionTable::Unreadable {
        report(
            &rules::ELF_MALFORMED,
            "the header lies about the section table, which is not where it says",
            vec![format!("{} sections are claimed", view.sections.claimed)],
        );
    }
    let runs = matches!(view.kind, Kind::Executable | Kind::SharedOrPie);
    if runs && view.executable_stack.is_none() && view.bits != 64 {
        report(
            &rules::ELF_EXECUTABLE_STACK,
            "the program does not say that its stack is not executable, so it is",
            vec!["no PT_GNU_STACK in a program of 32 bits".to_owned()],
        );
    }
    let strange = |segment: &&Segment| {
        let low = view.kind == Kind::Executable && segment.address < LOWEST;
        segment.memory_size > LARGEST || low && segment.memory_size > 0
    };
    if let Some(segment) = view.loads().find(strange) {
        report(
            &rules::ELF_MEMORY_LAYOUT,
            "a segment lies where no linker puts one",
            vec![format!(
                "PT_LOAD at address {:#x}, {} bytes",
                segment.address, segment.memory_size
            )],
        );
    }
    if !view.abi_is_linux() {
        report(
            &rules::ELF_OS_ABI,
            "the header names another system than Linux",
            vec![format!("EI_OSABI is {}", view.os_abi)],
        );
    }
    if let Some(dynamic) = &view.dynamic {
        let wrong = wrong_search_paths(dynamic, entry.mode & 0o6000 != 0);
        if !wrong.is_empty() {
            report(
                &rules::ELF_SEARCH_PATH,
                "the loader searches libraries where they do not belong",
                wrong,
            );
        }
        let named = |names: &[String]| vec![escape::terminal(&names.join(", "))];
        if !dynamic.audit.is_empty() {
            let message = "the loader runs a library before this program";
            report(&rules::ELF_AUDIT_LIBRARY, message, named(&dynamic.audit));
        }
        if !dynamic.filters.is_empty() {
            let message = "functions of this library are taken from another";
            report(&rules::ELF_FILTER_LIBRARY, message, named(&dynamic.filters));
        }
    }
    if let Some(sections) = sections {
        if sections.has_debug_info {
            report(&rules::ELF_DEBUG_INFO, "this holds debug information", Vec::new());
        }
        let segments = view.segments.iter().map(|segment| segment.file_range().end).max();
        let end = sections.end.max(segments.unwrap_or(0));
        let over = content.len().saturating_sub(end);
        if over > OVERLAY {
            let evidence = vec![format!("{over} bytes from byte {end} on")];
            report(&rules::ELF_OVERLAY, "bytes were appended to this executable", evidence);
        }
    }
}

/// Returns the elements of the search paths that lead elsewhere than to the folders of the
/// system or to those beside the file.
fn wrong_search_paths(dynamic: &Dynamic, privileged: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let lists = [("RPATH", &dynamic.rpath), ("RUNPATH", &dynamic.runpath)];
    for (tag, list) in lists.iter().filter_map(|(tag, list)| Some((tag, list.as_ref()?))) {
        for element in list.split(':').take(64) {
            let why = match element {
                "" => "an empty element, which is the working directory",
                _ if is_beside(element) && !privileged => continue,
                _ if is_beside(element) => "$ORIGIN in a file that hands over an identity",
                _ if !element.starts_with('/') => "a relative folder",
                _ if is_of_the_system(element) => continue,
                _ => "a folder outside of /lib and /usr/lib",
            };
            wrong.push(format!("{tag} \"{}\": {why}", escape::terminal(element)));
        }
    }
    wrong
}

fn is_beside(element: &str) -> bool {
    let rest = element.strip_prefix("$ORIGIN").or_else(|| element.strip_prefix("${ORIGIN}"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Says whether an absolute path leads below `/lib*`, `/usr/lib*` or `/usr/local/lib*`.
fn is_of_the_system(path: &str) -> bool {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let parts = parts.strip_prefix(&["usr"]).unwrap_or(&parts);
    let parts = parts.strip_prefix(&["local"]).unwrap_or(parts);
    parts.first().is_some_and(|first| first.starts_with("lib") || *first == "$LIB")
}

/// Remembers an ELF file as a loader, or the loader that it names. What a recipe does not
/// declare names none.
pub(super) fn remember(
    look: &mut Look<'_>,
    entry: &Entry,
    content: &Content,
    view: &View,
    declared: bool,
) {
    let (_, name) = tree::split(&entry.path);
    let own = view.dynamic.as_ref().and_then(|dynamic| dynamic.soname.as_deref()).unwrap_or("");
    let is_loader = |name: &[u8]| LOADER_NAMES.iter().any(|start| name.starts_with(start));
    // The loader of musl is its C library, which calls itself libc.so.
    let is_library = view.kind == Kind::SharedOrPie && view.interpreter.is_none();
    if is_library && (is_loader(own.as_bytes()) || is_loader(name)) {
        if look.gathered.loaders.there.len() < LOADERS {
            let file = FileFacts { sha256: content.sha256(), size: content.len() };
            let path = entry.path.clone();
            let is_of_base = matches!(look.origin, Origin::Base | Origin::Upstream);
            let (number, layer) = (look.number, look.layer);
            look.gathered.loaders.there.push(Loader { number, path, layer, is_of_base, file });
        }
        return;
    }
    let is_program = !matches!(view.linkage(), Linkage::RunnableLibrary);
    if let Some(interpreter) = view.interpreter.as_ref().filter(|_| declared && is_program)
        && look.gathered.loaders.named.len() < LOADERS
    {
        let path = interpreter.strip_prefix(b"/").unwrap_or(interpreter);
        let resolved = look.tree.resolve(path).unwrap_or_else(|_| path.to_vec());
        look.gathered.loaders.named.insert(resolved);
    }
}

/// Looks at the loaders of an image, after all of its files.
pub(super) fn check_orphans(look: &mut Look<'_>) {
    let loaders = std::mem::take(&mut look.gathered.loaders);
    for loader in loaders.there {
        let resolved = look.tree.resolve(&loader.path).unwrap_or_else(|_| loader.path.clone());
        if loaders.named.contains(&resolved) {
            continue;
        }
        let mut finding = Finding::new(
            &rules::ELF_ORPHAN_LOADER,
            "this is a dynamic loader, and no program of the image names it",
        );
        // A base with a C library has its loader for the next program; it is pinned, and the
        // static program beside it is no reason to take another base.
        if loader.is_of_base {
            finding.severity = Severity::Info;
            finding.evidence.push("it is part of the pinned base".to_owned());
        }
        finding.file = Some(loader.file);
        let finding = finding.at(crate::image::shown(&loader.path));
        look.gathered.found.add(look.number, loader.layer, finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_paths_are_judged_by_where_they_lead() {
        let wrong = |path: &str, privileged| {
            let runpath = Some(path.to_owned());
            wrong_search_paths(&Dynamic { runpath, ..Dynamic::default() }, privileged).len()
        };
        for good in [
            "$ORIGIN",
            "$ORIGIN/../lib",
            "${ORIGIN}/lib:/usr/lib",
            "/lib64",
            "/usr/lib/x86_64-linux-gnu/app",
            "/usr/local/lib",
        ] {
            assert_eq!(wrong(good, false), 0, "{good}");
        }
        for bad in [
            "",
            ".",
            "lib",
            "/tmp/lib",
            "/usr/lib/../../tmp",
            "$ORIGINAL/x",
            "/opt/lib",
            "/usr/lib:",
            ":/usr/lib",
            "$ORIGIN:x",
        ] {
            assert_eq!(wrong(bad, false), 1, "{bad}");
        }
        assert_eq!(wrong("::", false), 3);
        assert_eq!(wrong("$ORIGIN/../lib", true), 1);
    }
}
