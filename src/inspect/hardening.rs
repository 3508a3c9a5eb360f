//! How a program was hardened when it was compiled and linked, and what is missing.
//!
//! Program headers and the dynamic table decide; names of functions are looked for as words
//! between zero bytes, as the dynamic table has them. What a language or a way of linking
//! has no use for is `n/a`, and what cannot be seen is `unknown`: neither is a fault. The
//! marks of a language can be forged, so they switch off advice, never a refusal: a stack
//! that can be executed and code that can be written have rules of their own.
//!
//! What is asked: of every program a stack that is not executable; of C, and of all that is
//! linked like it, a read-only table of addresses (RELRO) in any form, and better all of it,
//! a position of its own (PIE), a canary and FORTIFY; of Rust the first three; of Go, whose
//! own linker has none of the rest, the first.

use super::Look;
use super::recognise::Scan;
use crate::binary::elf::{Linkage, Machine, Relro, View};
use crate::binary::go;
use crate::finding::{Finding, Rule, rules};
use crate::image::{Entry, Origin};
use crate::store::Content;
use std::io;

/// `NT_GNU_PROPERTY_TYPE_0`, and the properties of x86 and of arm64 (Linux extensions to gABI).
const PROPERTY_NOTE: u32 = 5;
const X86_FEATURES: u32 = 0xc000_0002;
const ARM_FEATURES: u32 = 0xc000_0000;
/// The most properties of one note that are read.
const PROPERTIES: usize = 64;

/// What the pass over the bytes of a program looks for.
pub(super) const CANARY: [&[u8]; 6] = [
    b"\0__stack_chk_fail\0",
    b"\0__stack_chk_fail@",
    b"\0__stack_chk_guard\0",
    b"\0__stack_chk_fail_local\0",
    // mov %fs:0x28, %rax and sub %fs:0x28, %rax: x86-64 code that loads and compares it.
    b"\x64\x48\x8b\x04\x25\x28\0\0\0",
    b"\x64\x48\x2b\x04\x25\x28\0\0\0",
];
pub(super) const FORTIFIED: [&[u8]; 24] = [
    b"\0__memcpy_chk\0",
    b"\0__memset_chk\0",
    b"\0__memmove_chk\0",
    b"\0__strcpy_chk\0",
    b"\0__strcat_chk\0",
    b"\0__strncpy_chk\0",
    b"\0__strncat_chk\0",
    b"\0__sprintf_chk\0",
    b"\0__snprintf_chk\0",
    b"\0__vsprintf_chk\0",
    b"\0__vsnprintf_chk\0",
    b"\0__printf_chk\0",
    b"\0__fprintf_chk\0",
    b"\0__vfprintf_chk\0",
    b"\0__asprintf_chk\0",
    b"\0__vasprintf_chk\0",
    b"\0__read_chk\0",
    b"\0__fgets_chk\0",
    b"\0__fread_chk\0",
    b"\0__recv_chk\0",
    b"\0__realpath_chk\0",
    b"\0__fdelt_chk\0",
    b"\0__syslog_chk\0",
    b"\0__longjmp_chk\0",
];
pub(super) const FORTIFIABLE: [&[u8]; 16] = [
    b"\0memcpy\0",
    b"\0memset\0",
    b"\0memmove\0",
    b"\0strcpy\0",
    b"\0strcat\0",
    b"\0strncpy\0",
    b"\0strncat\0",
    b"\0sprintf\0",
    b"\0snprintf\0",
    b"\0vsprintf\0",
    b"\0vsnprintf\0",
    b"\0printf\0",
    b"\0fprintf\0",
    b"\0vfprintf\0",
    b"\0asprintf\0",
    b"\0realpath\0",
];
pub(super) const GO: [&[u8]; 1] = [b"\xff Go buildinf:"];
pub(super) const RUST: [&[u8]; 3] =
    [b"rust_eh_personality", b"/library/core/src/", b"/library/std/src/"];

/// Which of these marks there are.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Marks {
    pub(super) canary: bool,
    pub(super) fortified: bool,
    pub(super) fortifiable: bool,
    pub(super) go: bool,
    pub(super) rust: bool,
}

/// How a property stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Yes(&'static str),
    No(&'static str),
    /// Not asked of this program, or not to be seen.
    Open(&'static str),
}

impl State {
    fn text(self) -> &'static str {
        match self {
            Self::Yes(text) | Self::No(text) | Self::Open(text) => text,
        }
    }
}

/// The hardening of one program.
#[derive(Debug, PartialEq, Eq)]
struct Table {
    nx: State,
    relro: State,
    pie: State,
    canary: State,
    fortify: State,
    branches: String,
}

/// How many programs of the base have what.
#[derive(Debug, Default)]
pub(super) struct Base {
    programs: usize,
    relro: usize,
    pie: usize,
    canary: usize,
}

impl Base {
    /// Adds what other programs have.
    pub(super) fn add(&mut self, part: &Self) {
        self.programs += part.programs;
        self.relro += part.relro;
        self.pie += part.pie;
        self.canary += part.canary;
    }
}

/// Looks at a program. Libraries have no table of their own.
///
/// # Errors
/// When the bytes cannot be read.
pub(super) fn check(
    look: &mut Look<'_>,
    entry: &Entry,
    content: &Content,
    view: &View,
    scan: &Scan,
) -> io::Result<()> {
    use Linkage::{NotLoadable, Packed, RunnableLibrary, SharedLibrary};
    if matches!(view.linkage(), SharedLibrary | RunnableLibrary | NotLoadable | Packed) {
        return Ok(());
    }
    let named = view.section(content, ".symtab")?.is_some();
    // The words alone stand in every program that looks for them, this one too.
    let mut marks = scan.marks;
    marks.go = marks.go && go::has_build_info(content, view)?;
    let table = Table::of(view, marks, named, branches(content, view)?);
    if look.origin == Origin::Base {
        let yes = |state: State| usize::from(matches!(state, State::Yes(_)));
        let base = &mut look.gathered.base_hardening;
        base.programs += 1;
        base.relro += yes(table.relro);
        base.pie += yes(table.pie);
        base.canary += yes(table.canary);
        return Ok(());
    }
    let row = table.rows().map(|(name, value)| format!("{name}: {value}"));
    let finding = Finding::new(&rules::HARDENING, "how this program is hardened").because(row);
    look.report_file(entry, content, finding);
    for (rule, message) in table.faults() {
        look.report_file(entry, content, Finding::new(rule, message));
    }
    Ok(())
}

/// Says of the programs of the base, which somebody else has built, how they are hardened.
pub(super) fn check_base(look: &mut Look<'_>) {
    let Base { programs, relro, pie, canary } = std::mem::take(&mut look.gathered.base_hardening);
    if programs > 0 {
        let message = format!("how the {programs} programs of the base are hardened");
        look.report(Finding::new(&rules::HARDENING, message).because([format!(
            "RELRO in full: {relro}; PIE: {pie}; canary: {canary}; of {programs}"
        )]));
    }
}

impl Table {
    /// `named` says whether there is a table of symbols.
    fn of(view: &View, marks: Marks, named: bool, branches: String) -> Self {
        use State::{No, Open, Yes};
        let linkage = view.linkage();
        let alone = matches!(linkage, Linkage::Static | Linkage::StaticPie);
        let hidden = alone && !named;
        let nx = match view.executable_stack {
            Some(false) => Yes("yes"),
            Some(true) => No("no"),
            None if view.bits == 64 => Open("by the kernel's default"),
            None => No("no"),
        };
        let go = marks.go.then_some(Open("n/a (Go internal linker)"));
        let unseen = Open("unknown (static, stripped)");
        let relro = match view.relro_level() {
            Relro::Full => Yes("full"),
            // Without a loader nothing is bound late.
            Relro::Partial if alone => Yes("full"),
            _ if go.is_some() => Open("n/a (Go internal linker)"),
            Relro::Partial => No("partial"),
            Relro::None if hidden && !marks.rust => unseen,
            Relro::None => No("none"),
        };
        let pie = match linkage {
            Linkage::StaticPie => Yes("yes (static)"),
            Linkage::DynamicPie => Yes("yes"),
            _ if view.kind == crate::binary::elf::Kind::SharedOrPie => Yes("yes"),
            _ if go.is_some() => Open("n/a (Go internal linker)"),
            _ if hidden && !marks.rust => unseen,
            _ => No("no"),
        };
        let canary = match go {
            Some(state) => state,
            None if marks.rust => Open("n/a (Rust)"),
            None if marks.canary => Yes("yes"),
            None if hidden => unseen,
            None => No("no"),
        };
        let fortify = match go {
            Some(state) => state,
            None if marks.rust => Open("n/a (Rust)"),
            None if alone => Open("unknown (static)"),
            None if marks.fortified => Yes("yes"),
            None if marks.fortifiable => No("no"),
            None => Open("nothing to fortify"),
        };
        Self { nx, relro, pie, canary, fortify, branches }
    }

    fn rows(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("NX", self.nx.text()),
            ("RELRO", self.relro.text()),
            ("PIE", self.pie.text()),
            ("canary", self.canary.text()),
            ("FORTIFY", self.fortify.text()),
            ("branches", self.branches.as_str()),
        ]
        .into_iter()
    }

    /// The rules that say what is missing. A stack that is executable has its own.
    fn faults(&self) -> Vec<(&'static Rule, &'static str)> {
        let mut faults: Vec<(&'static Rule, &'static str)> = Vec::new();
        match self.relro {
            State::No("partial") => faults.push((
                &rules::ELF_PARTIAL_RELRO,
                "addresses of functions stay writable, since they are bound late",
            )),
            State::No(_) => faults.push((
                &rules::ELF_NO_RELRO,
                "the tables of the loader stay writable while the program runs",
            )),
            _ => {}
        }
        for (state, rule, message) in [
            (self.pie, &rules::ELF_NOT_PIE, "the program is loaded at a fixed address"),
            (self.canary, &rules::ELF_NO_CANARY, "functions do not guard their stack"),
            (self.fortify, &rules::ELF_NO_FORTIFY, "calls of the C library are not checked"),
        ] {
            if matches!(state, State::No(_)) {
                faults.push((rule, message));
            }
        }
        faults
    }
}

/// Says which guards of branches the whole program was built with: IBT and shadow stack of
/// x86, BTI and PAC of arm64.
fn branches(content: &Content, view: &View) -> io::Result<String> {
    let (wanted, names) = match view.machine {
        Machine::X86_64 | Machine::I386 => (X86_FEATURES, ["IBT", "SHSTK"]),
        Machine::Aarch64 => (ARM_FEATURES, ["BTI", "PAC"]),
        _ => return Ok("n/a".to_owned()),
    };
    let notes = view.notes(content)?;
    let mut features = 0;
    let properties = notes.notes.iter().filter(|note| note.owner == b"GNU");
    for note in properties.filter(|note| note.kind == PROPERTY_NOTE) {
        let number = |at: usize| -> Option<u32> {
            let bytes = note.description.get(at..at.checked_add(4)?)?;
            let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
            let little = view.little_endian;
            Some(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
        };
        let align = if view.bits == 64 { 8 } else { 4 };
        let mut at = 0_usize;
        for _ in 0..PROPERTIES {
            let (Some(kind), Some(size)) = (number(at), number(at + 4)) else { break };
            if kind == wanted {
                features |= number(at + 8).unwrap_or(0);
            }
            let size = usize::try_from(size).unwrap_or(usize::MAX).min(note.description.len());
            at = (at + 8 + size).next_multiple_of(align);
        }
    }
    let has: Vec<&str> =
        (0..2).filter(|bit| features & (1 << bit) != 0).map(|bit| names[bit]).collect();
    Ok(if has.is_empty() { "no".to_owned() } else { has.join(" and ") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::elf::testing::Writer;
    use crate::store::Spool;
    use goblin::elf::dynamic as dt;
    use std::sync::Arc;

    /// The table and the rules that a file raises, by the ordinary way through the gate.
    fn table(writer: Writer) -> (Vec<String>, Vec<&'static str>) {
        let file = writer.section(".note", b"x").finish();
        let content = Content::whole(Arc::new(Spool::of(file)));
        let (_, findings) = crate::inspect::file("app", &content).into_parts(&[]);
        let row = findings.iter().find(|finding| finding.rule.id == "hardening");
        let mut faults: Vec<_> = findings
            .iter()
            .map(|finding| finding.rule.id)
            .filter(|id| id.starts_with("elf-no") || *id == "elf-partial-relro")
            .collect();
        faults.sort_unstable();
        (row.map(|row| row.evidence.clone()).unwrap_or_default(), faults)
    }

    fn value(rows: &[String], name: &str) -> String {
        let start = format!("{name}: ");
        rows.iter().find_map(|row| row.strip_prefix(&start)).expect("a row").to_owned()
    }

    /// A C program as a distribution builds it.
    fn hardened() -> Writer {
        let mut writer = Writer::dynamic_pie().loose(b"\0__stack_chk_fail\0__printf_chk\0");
        writer.relro = true;
        writer
    }

    fn values(rows: &[String]) -> Vec<String> {
        ["NX", "RELRO", "PIE", "canary", "FORTIFY"].map(|name| value(rows, name)).to_vec()
    }

    #[test]
    fn hardened_c_program_has_no_fault() {
        let (rows, faults) = table(hardened());
        assert_eq!(values(&rows), ["yes", "full", "yes", "yes", "yes"]);
        assert_eq!(faults, Vec::<&str>::new());
    }

    #[test]
    fn what_a_c_program_lacks_has_its_rule() {
        let mut no_relro = hardened();
        no_relro.relro = false;
        let mut partial = Writer { numbers: Vec::new(), ..hardened() };
        partial = partial.number(dt::DT_FLAGS_1, dt::DF_1_PIE).number(dt::DT_JMPREL, 0);
        let fixed = Writer { kind: 2, ..hardened() };
        let plain = Writer { loose: b"\0printf\0".to_vec(), ..hardened() };
        let bare = Writer { loose: b"\0__stack_chk_fail\0".to_vec(), ..hardened() };
        for (writer, expected) in [
            (no_relro, vec!["elf-no-relro"]),
            (partial, vec!["elf-partial-relro"]),
            (fixed, vec!["elf-not-pie"]),
            (plain, vec!["elf-no-canary", "elf-no-fortify"]),
            (bare, vec![]),
        ] {
            assert_eq!(table(writer).1, expected);
        }
    }

    #[test]
    fn language_decides_what_is_asked() {
        // Go: a fixed address and no more, as its own linker makes it.
        let (rows, faults) =
            table(Writer::executable().section(".go.buildinfo", b"\xff Go buildinf:\x08\x02"));
        let go = "n/a (Go internal linker)";
        assert_eq!(values(&rows), ["yes", go, go, go, go]);
        assert_eq!(faults, Vec::<&str>::new());
        let words = Writer::executable().loose(b"\xff Go buildinf:\x08\x02");
        assert_eq!(value(&table(words).0, "PIE"), "unknown (static, stripped)");
        // Rust: canary and FORTIFY are not for it; RELRO and PIE are.
        let mut rust = Writer::dynamic_pie().loose(b"\0rust_eh_personality\0memcpy\0");
        assert_eq!(table(rust.clone()).1, ["elf-no-relro"]);
        rust.relro = true;
        let (rows, faults) = table(rust);
        assert_eq!(values(&rows), ["yes", "full", "yes", "n/a (Rust)", "n/a (Rust)"]);
        assert_eq!(faults, Vec::<&str>::new());
        let fixed = Writer::executable().loose(b"/rustc/x/library/core/src/fmt.rs");
        assert_eq!(table(fixed).1, ["elf-no-relro", "elf-not-pie"]);
    }

    #[test]
    fn what_cannot_be_seen_is_unknown() {
        let (rows, faults) = table(Writer::executable());
        let unseen = "unknown (static, stripped)";
        assert_eq!(values(&rows), ["yes", unseen, unseen, unseen, "unknown (static)"]);
        assert_eq!(faults, Vec::<&str>::new());
        // With its symbols, a static program of C is judged.
        let (rows, faults) = table(Writer::executable().section(".symtab", b"x"));
        assert_eq!(values(&rows), ["yes", "none", "no", "no", "unknown (static)"]);
        assert_eq!(faults, ["elf-no-canary", "elf-no-relro", "elf-not-pie"]);
        // The code that loads the canary shows in a stripped one.
        let code = b"\x64\x48\x8b\x04\x25\x28\0\0\0";
        assert_eq!(value(&table(Writer::executable().loose(code)).0, "canary"), "yes");
        let none = Writer { stack_flags: None, ..Writer::executable() };
        assert_eq!(value(&table(none).0, "NX"), "by the kernel's default");
        let stack = Writer { stack_flags: Some(7), ..Writer::executable() };
        assert_eq!(value(&table(stack).0, "NX"), "no");
    }

    #[test]
    fn guards_of_branches_are_read_out_of_the_note() {
        let property = |kind: u32, features: u32| {
            let mut bytes = 0x1_u32.to_le_bytes().to_vec();
            bytes.extend([4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
            for number in [kind, 4, features, 0] {
                bytes.extend(number.to_le_bytes());
            }
            bytes
        };
        let of = |writer: Writer| value(&table(writer).0, "branches");
        let x86 = |features| {
            Writer::executable().note("GNU", PROPERTY_NOTE, &property(X86_FEATURES, features))
        };
        assert_eq!(of(x86(3)), "IBT and SHSTK");
        assert_eq!(of(x86(2)), "SHSTK");
        assert_eq!(of(x86(0)), "no");
        assert_eq!(of(Writer::executable()), "no");
        let arm = Writer { machine: 183, ..Writer::executable() };
        let note = property(ARM_FEATURES, 3);
        assert_eq!(of(arm.note("GNU", PROPERTY_NOTE, &note)), "BTI and PAC");
        // A size that leaves the note ends it.
        let mut lie = property(X86_FEATURES, 3);
        lie[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(of(Writer::executable().note("GNU", PROPERTY_NOTE, &lie)), "no");
    }

    #[test]
    fn library_has_no_table() {
        let mut library = Writer::dynamic_pie().string(dt::DT_SONAME, b"libx.so");
        library.interpreter = None;
        library.numbers = Vec::new();
        assert_eq!(table(library), (Vec::new(), Vec::new()));
    }
}
