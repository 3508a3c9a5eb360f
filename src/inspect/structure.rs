//! Rules about what a file is by its bytes, and about executables hidden in it.

use super::recognise::Scan;
use super::{Declared, Look, archive, executable, secret};
use crate::binary::elf::{Kind, Linkage, Machine, View};
use crate::binary::format::Format;
use crate::binary::{ReadAt, Window};
use crate::finding::{Finding, Severity, rules};
use crate::image::Entry;
use crate::store::Content;
use base64::Engine as _;
use std::io;

/// How many characters of base64 must follow each other, line breaks apart.
const ENCODED: usize = 4096;
/// The bytes of an ELF file header of 64 bits.
const HEADER: usize = 64;
/// How many places are named in a finding.
const NAMED: usize = 4;

/// Looks at a regular file that is no ELF file.
///
/// # Errors
/// When the bytes cannot be read.
pub(super) fn check(
    look: &mut Look<'_>,
    entry: &Entry,
    content: &Content,
    declared: Option<Option<&Declared>>,
) -> io::Result<()> {
    let scan = look.scan(content, None)?;
    executable::report_known(look, entry, content, &scan)?;
    secret::report(look, entry, content, &scan.secrets);
    let mut unpacked = false;
    match Format::of(content)? {
        Some(Format::Program(name)) => {
            let finding = Finding::new(&rules::FOREIGN_EXECUTABLE, format!("this is {name}"));
            look.report_file(entry, content, finding);
        }
        Some(Format::FileSystem(name)) => {
            let message = format!("this is {name}, which karat does not read");
            look.report_file(entry, content, Finding::new(&rules::FILESYSTEM_IMAGE, message));
        }
        Some(Format::Archive(kind)) => {
            let inside = declared.map(|_| None);
            unpacked = archive::check(look, entry, content, kind, inside)?;
        }
        None => {}
    }
    // Of an archive that was read to its end, the members were looked at one by one.
    if !unpacked {
        embedded(look, entry, content, &scan)?;
    }
    encoded(look, entry, content, &scan)
}

/// Looks at the ELF files that lie behind the first byte of a file.
///
/// # Errors
/// When the bytes cannot be read.
pub(super) fn embedded(
    look: &mut Look<'_>,
    entry: &Entry,
    content: &Content,
    scan: &Scan,
) -> io::Result<()> {
    let mut severity = Severity::Medium;
    let mut evidence = Vec::new();
    let mut count = 0;
    for place in &scan.executables {
        let window = Window::new(content, *place..content.len());
        let (what, runs) = match View::read(&window) {
            Ok(Some(view)) => described(look, &view),
            // Linux starts files that contradict themselves, so a header that makes sense is enough.
            Err(_) if is_plausible(&window)? => ("with headers that do not hold together", false),
            _ => continue,
        };
        count += 1;
        if runs || !scan.known.is_empty() {
            severity = Severity::High;
        }
        if evidence.len() < NAMED {
            evidence.push(format!("at byte {place}: an ELF file, {what}"));
        }
    }
    if count == 0 {
        return Ok(());
    }
    let message = match count {
        1 => "another ELF file lies inside this file".to_owned(),
        _ => format!("{count} other ELF files lie inside this file"),
    };
    let mut finding = Finding::new(&rules::EMBEDDED_EXECUTABLE, message).because(evidence);
    finding.severity = severity;
    look.report_file(entry, content, finding);
    Ok(())
}

/// Says what an ELF file inside another is, and whether it can be started on the platform.
fn described(look: &Look<'_>, view: &View) -> (&'static str, bool) {
    let here = match look.platform {
        Some(platform) => executable::machine(platform) == view.machine,
        None => !matches!(view.machine, Machine::Other(_)),
    };
    match view.linkage() {
        Linkage::NotLoadable if view.kind == Kind::Relocatable => ("an object", false),
        Linkage::NotLoadable => ("of a kind that does not start", false),
        Linkage::SharedLibrary => ("a library", false),
        Linkage::Packed => ("without anything that a loader needs", false),
        _ if !here => ("a program for another machine", false),
        _ => ("a program", true),
    }
}

/// Says whether an ELF header makes sense in the fields that Linux reads: a kind that is
/// started, a machine, the size of a program header, and a number of them.
fn is_plausible(source: &dyn ReadAt) -> io::Result<bool> {
    let head = source.read_vec(0, HEADER)?;
    let field = |at: usize| head.get(at..).and_then(|rest| rest.first_chunk::<2>()).copied();
    let fits = |read: fn([u8; 2]) -> u16| {
        let field = |at| field(at).map_or(0, read);
        let sizes = match field(18) {
            3 | 40 => (field(42), 32, field(44)),
            62 | 183 | 243 | 21 | 22 => (field(54), 56, field(56)),
            _ => return false,
        };
        matches!(field(16), 2 | 3) && sizes.0 == sizes.1 && (1..=64).contains(&sizes.2)
    };
    Ok(fits(u16::from_le_bytes) || fits(u16::from_be_bytes))
}

/// Looks at the places where base64 of an ELF file may begin.
///
/// # Errors
/// When the bytes cannot be read.
pub(super) fn encoded(
    look: &mut Look<'_>,
    entry: &Entry,
    content: &Content,
    scan: &Scan,
) -> io::Result<()> {
    for place in &scan.encoded {
        let mut text = content.read_vec(*place, 2 * ENCODED)?;
        text.retain(|byte| !matches!(byte, b'\n' | b'\r' | b' ' | b'\t'));
        let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        if text.iter().take_while(|byte| is_digit(byte)).count() < ENCODED {
            continue;
        }
        let start = text.get(..HEADER.div_ceil(3) * 4).unwrap_or_default();
        let decoded = base64::engine::general_purpose::STANDARD_NO_PAD.decode(start);
        if let Ok(decoded) = decoded
            && is_plausible(&decoded)?
        {
            let finding =
                Finding::new(&rules::ENCODED_EXECUTABLE, "this text holds an ELF file in base64")
                    .because([format!("it begins at byte {place}")]);
            look.report_file(entry, content, finding);
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::elf::testing::Writer;

    #[test]
    fn headers_that_linux_would_read_are_plausible() {
        let elf = Writer::executable().loose(b"code").finish();
        assert!(is_plausible(&elf).unwrap());
        let mut lie = elf.clone();
        lie[4] = 0;
        assert!(is_plausible(&lie).unwrap(), "EI_CLASS is not read");
        for (at, byte) in [(16, 9), (18, 0), (54, 1), (56, 0)] {
            let mut other = elf.clone();
            other[at] = byte;
            assert!(!is_plausible(&other).unwrap(), "{at}");
        }
        assert!(!is_plausible(&b"\x7fELF".to_vec()).unwrap());
    }
}
