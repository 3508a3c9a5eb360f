//! Rules about executables: what the kernel makes of them, whether they can start in
//! this image, and what they are.

use super::applets::Applets;
use super::loader::{self, SectionFacts};
use super::recognise::{self, Scan};
use super::{Declared, Look, hardening, secret, structure as structure_rules};
use crate::binary::ReadAt;
use crate::binary::elf::{Kind, Linkage, Machine, Refusal, SectionTable, Segment, View};
use crate::finding::{Finding, escape, rules};
use crate::image::Entry;
use crate::oci::Platform;
use crate::oci::platform::Architecture;
use crate::store::Content;
use std::io;

/// The entropy, in bits a byte, from which code counts as packed; 0 of 8,136 ordinary
/// executables reach it without having a section table.
const PACKED_ENTROPY: f64 = 6.9;
/// The smallest code that entropy says something about.
const PACKED_SIZE: u64 = 4096;
/// How much code is sampled.
const SAMPLE: usize = 4 << 20;
/// The same for a section of code: only compressed and encrypted bytes reach it.
const DENSE_ENTROPY: f64 = 7.6;
/// The smallest section of code that counts, and how much of it is sampled.
const DENSE_SIZE: u64 = 16 << 10;
const DENSE_SAMPLE: u64 = 128 << 10;
/// What UPX leaves in its header and in its trailer.
const UPX: &[u8] = b"UPX!";
/// The file header, the header that UPX puts behind the program headers, and its trailer.
const HEADERS: usize = 64;
const UPX_HEADER: usize = 64;
const TRAILER: u64 = 64;

/// Looks at a regular file. Says whether it is an ELF file, or claims to be one.
///
/// # Errors
/// When the bytes cannot be read.
pub(super) fn check(
    look: &mut Look<'_>,
    entry: &Entry,
    content: &Content,
    declared: Option<Option<&Declared>>,
) -> io::Result<bool> {
    let view = match View::read(content) {
        Ok(None) => return Ok(false),
        Ok(Some(view)) => Some(view),
        Err(Refusal::Io(error)) => return Err(error),
        Err(refusal) => {
            let finding = Finding::new(
                &rules::ELF_MALFORMED,
                "this file starts as an executable, and its headers do not hold together",
            )
            .because([refusal.to_string()]);
            look.report_file(entry, content, finding);
            None
        }
    };
    if matches!(declared, Some(None)) {
        let finding = Finding::new(
            &rules::UNDECLARED_EXECUTABLE,
            "this is an executable, and the recipe declares it as data",
        );
        look.report_file(entry, content, finding);
    }
    let scan = look.scan(content, view.as_ref())?;
    report_known(look, entry, content, &scan)?;
    secret::report(look, entry, content, &scan.secrets);
    structure_rules::embedded(look, entry, content, &scan)?;
    structure_rules::encoded(look, entry, content, &scan)?;
    let Some(view) = view else { return Ok(true) };
    let sections = SectionFacts::read(content, &view)?;
    structure(look, entry, content, &view, sections.as_ref())?;
    loader::check(look, entry, content, &view, sections.as_ref());
    loader::remember(look, entry, content, &view, !matches!(declared, Some(None)));
    loading(look, entry, content, &view);
    abilities(look, entry, content, &scan);
    hardening::check(look, entry, content, &view, &scan)?;
    if let Some(Some(Declared { identity: Some(wanted), .. })) = declared {
        let said = recognise::identities(content, &view)?;
        if !said.contains(wanted) {
            let says = if said.is_empty() {
                "say nothing".to_owned()
            } else {
                format!("say {}", said.join(", "))
            };
            let message = format!(
                "the recipe says that this is {wanted}, and its bytes {}",
                escape::terminal(&says)
            );
            look.report_file(entry, content, Finding::new(&rules::IDENTITY_DIFFERS, message));
        }
    }
    Ok(true)
}

/// Reports the programs that were recognised in a file.
///
/// # Errors
/// When the bytes cannot be read.
pub(super) fn report_known(
    look: &mut Look<'_>,
    entry: &Entry,
    content: &Content,
    scan: &Scan,
) -> io::Result<()> {
    for known in &scan.known {
        let applets = Applets::read(content, &known.tool)?;
        let message = match &applets {
            _ if known.is_family => format!("this is {}", known.tool),
            Some(applets) => format!("this is {}, {}", applets.what, known.rule.title),
            None => format!("this is {}, {}", known.tool, known.rule.title),
        };
        let mut finding = Finding::new(known.rule, message).because(known.evidence.iter().cloned());
        if let Some(applets) = applets.filter(|applets| !applets.notable.is_empty()) {
            let notable = applets.notable.join(", ");
            finding.evidence.push(format!("among the applets: {notable}"));
        }
        look.report_file(entry, content, finding);
    }
    Ok(())
}

fn abilities(look: &mut Look<'_>, entry: &Entry, content: &Content, scan: &Scan) {
    if !scan.starts_programs.is_empty() {
        let evidence = scan.starts_programs.iter().map(|says| (*says).to_owned());
        let finding =
            Finding::new(&rules::CAN_START_PROGRAMS, "this program can start other programs")
                .because(evidence);
        look.report_file(entry, content, finding);
    }
}

fn structure(
    look: &mut Look<'_>,
    entry: &Entry,
    content: &Content,
    view: &View,
    sections: Option<&SectionFacts>,
) -> io::Result<()> {
    if matches!(view.kind, Kind::Relocatable | Kind::Core | Kind::Other(_)) {
        let what = match view.kind {
            Kind::Relocatable => "an object file or kernel module",
            Kind::Core => "a core dump",
            _ => "an ELF file of a kind that Linux does not start",
        };
        look.report_file(entry, content, Finding::new(&rules::ELF_KIND, format!("this is {what}")));
    }
    if content.read_vec(8, 2)? == b"AI" {
        let message = "this is an AppImage, a program with a file system behind it";
        look.report_file(entry, content, Finding::new(&rules::FILESYSTEM_IMAGE, message));
    }
    let absent = view.sections.table == SectionTable::Absent;
    let evidence = packed(content, view, sections)?;
    if !evidence.is_empty() {
        let message = "the code is packed: it unpacks itself when it starts";
        let finding = Finding::new(&rules::ELF_PACKED, message).because(evidence);
        look.report_file(entry, content, finding);
    } else if absent {
        let finding = Finding::new(&rules::ELF_NO_SECTIONS, "the section table was removed");
        look.report_file(entry, content, finding);
    }
    let both = |segment: &&Segment| segment.is_writable() && segment.is_executable();
    if let Some(segment) = view.loads().find(both) {
        let finding =
            Finding::new(&rules::ELF_WRITABLE_CODE, "a segment is loaded writable and executable")
                .because([format!(
                    "PT_LOAD at address {:#x}, {} bytes",
                    segment.address, segment.memory_size
                )]);
        look.report_file(entry, content, finding);
    }
    if view.executable_stack == Some(true) {
        let finding =
            Finding::new(&rules::ELF_EXECUTABLE_STACK, "the program asks for an executable stack");
        look.report_file(entry, content, finding);
    }
    if view.dynamic.as_ref().is_some_and(|dynamic| dynamic.flags.textrel) {
        let finding =
            Finding::new(&rules::ELF_TEXT_RELOCATIONS, "the loader has to write into the code");
        look.report_file(entry, content, finding);
    }
    Ok(())
}

/// Returns what says that the code is packed; nothing for ordinary code.
///
/// Without a section table the entropy of the code decides. With one, the sections of code
/// must be as dense as compressed bytes are, since a segment may hold data beside code.
/// The magic of UPX stands in its header, behind the program headers, and in its trailer.
fn packed(
    content: &Content,
    view: &View,
    sections: Option<&SectionFacts>,
) -> io::Result<Vec<String>> {
    let mut evidence = Vec::new();
    let absent = view.sections.table == SectionTable::Absent;
    if absent {
        let code = view
            .loads()
            .filter(|segment| segment.is_executable())
            .max_by_key(|segment| segment.file_size);
        if let Some(code) = code.filter(|code| code.file_size > PACKED_SIZE) {
            let length = usize::try_from(code.file_size).unwrap_or(SAMPLE).min(SAMPLE);
            let entropy = entropy(&content.read_vec(code.offset, length)?);
            if entropy >= PACKED_ENTROPY {
                evidence.push(format!(
                    "no section table, and {entropy:.2} bits of entropy a byte of code"
                ));
            }
        }
    } else if let Some(code) = sections.and_then(|sections| sections.code.as_ref()) {
        let length = code.end - code.start;
        if length > DENSE_SIZE {
            let sample = DENSE_SAMPLE.min(length);
            let start = code.start + (length - sample) / 2;
            let bytes = content.read_vec(start, usize::try_from(sample).unwrap_or_default())?;
            let entropy = entropy(&bytes);
            if entropy >= DENSE_ENTROPY {
                evidence.push(format!("{entropy:.2} bits of entropy a byte in a section of code"));
            }
        }
    }
    let upx = |bytes: &[u8]| memchr::memmem::find(bytes, UPX).is_some();
    // A program that speaks of UPX has its name among its data, not at these places.
    let trailer = content.read_vec(content.len().saturating_sub(TRAILER), TRAILER as usize)?;
    let table = HEADERS + view.segments.len() * if view.bits == 64 { 56 } else { 32 };
    let header = content.read_vec(0, table + UPX_HEADER)?;
    let header = header.get(table.saturating_sub(HEADERS)..).unwrap_or_default();
    if upx(header) && (absent || upx(&trailer)) {
        evidence.push("the marks of the packer UPX".to_owned());
    }
    Ok(evidence)
}

fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u64; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    let total = bytes.len().max(1) as f64;
    let share = |count: &u64| *count as f64 / total;
    counts.iter().map(share).filter(|p| *p > 0.0).map(|p| -p * p.log2()).sum()
}

fn loading(look: &mut Look<'_>, entry: &Entry, content: &Content, view: &View) {
    if let Some(platform) = look.platform {
        let wanted = machine(platform);
        let bits = if matches!(wanted, Machine::Arm | Machine::I386) { 32 } else { 64 };
        if view.machine != wanted || view.bits != bits {
            let message = format!(
                "this is built for {} ({} bit), and the image is for {platform}",
                name(view.machine),
                view.bits
            );
            return look.report_file(entry, content, Finding::new(&rules::ELF_MACHINE, message));
        }
    }
    let libraries: &[String] = view.dynamic.as_ref().map_or(&[], |dynamic| &dynamic.needed);
    let runnable = !matches!(view.linkage(), Linkage::SharedLibrary | Linkage::RunnableLibrary);
    if let Some(interpreter) = view.interpreter.as_ref().filter(|_| runnable) {
        let relative = interpreter.strip_prefix(b"/").unwrap_or(interpreter);
        if look.tree.file(relative).is_err() {
            let shown = escape::bytes(interpreter);
            let mut evidence = vec![format!("loader: {shown}")];
            if !libraries.is_empty() {
                evidence.push(format!("libraries: {}", escape::terminal(&libraries.join(", "))));
            }
            let what = if libraries.is_empty() {
                "a position-independent build that names a loader although it needs no library"
            } else {
                "a dynamic executable"
            };
            let finding = Finding::new(
                &rules::ELF_INTERPRETER_MISSING,
                format!("this is {what}, and its loader {shown} is not in the image"),
            )
            .because(evidence);
            return look.report_file(entry, content, finding);
        }
    }
    let missing: Vec<_> =
        libraries.iter().filter(|library| !is_there(look, library)).cloned().collect();
    if !missing.is_empty() && runnable {
        let message =
            format!("libraries are not in the image: {}", escape::terminal(&missing.join(", ")));
        look.report_file(entry, content, Finding::new(&rules::ELF_LIBRARY_MISSING, message));
    }
}

/// Says whether a library is anywhere in the image by its name: which of the folders the
/// loader searches is for the base to say.
fn is_there(look: &Look<'_>, library: &str) -> bool {
    let name = library.rsplit('/').next().unwrap_or(library).as_bytes();
    look.tree.holds_name(name)
}

pub(super) fn machine(platform: &Platform) -> Machine {
    match platform.architecture() {
        Architecture::Amd64 => Machine::X86_64,
        Architecture::Arm64 => Machine::Aarch64,
        Architecture::ArmV6 | Architecture::ArmV7 => Machine::Arm,
        Architecture::I386 => Machine::I386,
        Architecture::Ppc64le => Machine::Ppc64 { little_endian: true },
        Architecture::Riscv64 => Machine::Riscv64,
        Architecture::S390x => Machine::S390x,
    }
}

fn name(machine: Machine) -> String {
    match machine {
        Machine::X86_64 => "amd64".to_owned(),
        Machine::Aarch64 => "arm64".to_owned(),
        Machine::Arm => "arm".to_owned(),
        Machine::I386 => "386".to_owned(),
        Machine::S390x => "s390x".to_owned(),
        Machine::Ppc64 { little_endian: true } => "ppc64le".to_owned(),
        Machine::Ppc64 { little_endian: false } => "ppc64".to_owned(),
        Machine::Riscv64 => "riscv64".to_owned(),
        Machine::Other(number) => format!("machine number {number}"),
    }
}
