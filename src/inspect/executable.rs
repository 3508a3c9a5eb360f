//! Rules about executables: what the kernel makes of them, whether they can start in
//! this image, and what they are.

use super::{Declared, Look, recognise};
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
    for known in recognise::executable(content, view.as_ref())? {
        let message = match version(content, &known.tool)? {
            Some(version) => format!("this is {} {version}, {}", known.tool, known.rule.title),
            None => format!("this is {}, {}", known.tool, known.rule.title),
        };
        look.report_file(entry, content, Finding::new(known.rule, message).because(known.evidence));
    }
    let Some(view) = view else { return Ok(true) };
    structure(look, entry, content, &view)?;
    loading(look, entry, content, &view);
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

/// Reads the version that BusyBox and Toybox carry beside their name.
fn version(content: &Content, tool: &str) -> io::Result<Option<String>> {
    let banner: &[u8] = match tool {
        "busybox" => b"BusyBox v",
        "toybox" => b"toybox ",
        _ => return Ok(None),
    };
    let bytes = content.read_vec(0, 8 << 20)?;
    let start = memchr::memmem::find_iter(&bytes, banner).map(|at| at + banner.len());
    let version = |at: usize| {
        let rest = &bytes[at..bytes.len().min(at + 20)];
        let end = rest.iter().position(|c| !c.is_ascii_digit() && *c != b'.')?;
        (end >= 3).then(|| String::from_utf8_lossy(&rest[..end]).into_owned())
    };
    Ok(start.filter_map(version).next())
}

fn structure(look: &mut Look<'_>, entry: &Entry, content: &Content, view: &View) -> io::Result<()> {
    if matches!(view.kind, Kind::Relocatable | Kind::Core | Kind::Other(_)) {
        let what = match view.kind {
            Kind::Relocatable => "an object file or kernel module",
            Kind::Core => "a core dump",
            _ => "an ELF file of a kind that Linux does not start",
        };
        look.report_file(entry, content, Finding::new(&rules::ELF_KIND, format!("this is {what}")));
    }
    if view.sections.table == SectionTable::Absent {
        match packed(content, view)? {
            Some(entropy) => {
                let finding = Finding::new(
                    &rules::ELF_PACKED,
                    "the code is packed: it unpacks itself when it starts",
                )
                .because([format!(
                    "no section table, and {entropy:.2} bits of entropy a byte of code"
                )]);
                look.report_file(entry, content, finding);
            }
            None => {
                let finding =
                    Finding::new(&rules::ELF_NO_SECTIONS, "the section table was removed");
                look.report_file(entry, content, finding);
            }
        }
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

/// Returns the entropy of the largest executable segment, if it is that of packed code.
fn packed(content: &Content, view: &View) -> io::Result<Option<f64>> {
    let code = view
        .loads()
        .filter(|segment| segment.is_executable())
        .max_by_key(|segment| segment.file_size);
    let Some(code) = code.filter(|code| code.file_size > PACKED_SIZE) else { return Ok(None) };
    let length = usize::try_from(code.file_size).unwrap_or(SAMPLE).min(SAMPLE);
    let bytes = content.read_vec(code.offset, length)?;
    let mut counts = [0_u64; 256];
    for byte in &bytes {
        counts[usize::from(*byte)] += 1;
    }
    let total = bytes.len().max(1) as f64;
    let share = |count: &u64| *count as f64 / total;
    let entropy: f64 = counts.iter().map(share).filter(|p| *p > 0.0).map(|p| -p * p.log2()).sum();
    Ok((entropy >= PACKED_ENTROPY).then_some(entropy))
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
    look.tree.iter().any(|(path, _)| crate::image::tree::split(path).1 == name)
}

fn machine(platform: &Platform) -> Machine {
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
