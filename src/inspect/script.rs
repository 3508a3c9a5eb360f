//! Rules about files that the kernel hands to an interpreter, and about declared
//! executables that are none.

use super::{Declared, Look};
use crate::binary::ReadAt as _;
use crate::binary::script::{HEAD, Shebang};
use crate::finding::{Finding, escape, rules};
use crate::image::Entry;
use crate::store::Content;
use std::io;

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
    let head = content.read_vec(0, HEAD)?;
    if head.starts_with(b"#!") {
        let finding = match Shebang::parse(&head) {
            Ok(Some(shebang)) => {
                let program = escape::bytes(&shebang.program);
                let there = look
                    .tree
                    .file(shebang.program.strip_prefix(b"/").unwrap_or(&shebang.program))
                    .is_ok();
                let there =
                    if there { "which is in the image" } else { "which is not in the image" };
                Finding::new(&rules::SCRIPT, format!("this is a script for {program}, {there}"))
            }
            Ok(None) | Err(_) => {
                Finding::new(&rules::SCRIPT, "this starts as a script, with a broken first line")
            }
        };
        let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        look.report_file(
            entry,
            content,
            finding.because([format!("first line: {}", escape::bytes(first))]),
        );
    } else if let Some(first) = late_shebang(&head) {
        let finding = Finding::new(
            &rules::SCRIPT,
            "this is a script with something before its #!, so that only a shell starts it",
        );
        let evidence = format!("first line: {}", escape::bytes(first));
        look.report_file(entry, content, finding.because([evidence]));
    }
    if head.starts_with(b"#!") {
        return Ok(());
    }
    if matches!(declared, Some(Some(_))) {
        let message = if content.is_empty() {
            "the declared binary is an empty file".to_owned()
        } else {
            format!(
                "the declared binary is no executable: it starts with \"{}\"",
                escape::bytes(&head[..head.len().min(16)])
            )
        };
        look.report_file(entry, content, Finding::new(&rules::NOT_AN_EXECUTABLE, message));
    } else if entry.mode & 0o111 != 0 && is_text(&head) {
        let message = format!("this is text, and its mode {:04o} lets it be executed", entry.mode);
        look.report_file(entry, content, Finding::new(&rules::TEXT_EXECUTABLE, message));
    }
    Ok(())
}

/// Returns the line of a script that begins with a byte order mark or blanks.
fn late_shebang(head: &[u8]) -> Option<&[u8]> {
    let rest = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let line = rest.split(|byte| *byte == b'\n').next()?;
    // `#![` opens an attribute of Rust.
    line.strip_prefix(b"#!")?.trim_ascii_start().starts_with(b"/").then_some(line)
}

/// Says whether bytes are text: nothing but characters that show, and at least one.
fn is_text(head: &[u8]) -> bool {
    let control = |byte: &u8| *byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c);
    !head.is_empty() && !head.iter().any(control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_known_behind_a_mark_or_blanks() {
        for script in ["\u{feff}#!/bin/sh\n", "\n#!/bin/sh\n", " \t#! /usr/bin/env sh\r\n"] {
            assert!(late_shebang(script.as_bytes()).is_some(), "{script:?}");
        }
        for other in ["", "text #!/bin/sh", "\n#![allow(x)]\n", "\n# !/bin/sh"] {
            assert_eq!(late_shebang(other.as_bytes()), None, "{other:?}");
        }
    }

    #[test]
    fn text_has_no_control_characters() {
        assert!(is_text("héllo\r\n\tx".as_bytes()));
        assert!(!is_text(b""));
        assert!(!is_text(b"a\0b"));
    }
}
