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
    } else if matches!(declared, Some(Some(_))) {
        let message = if content.is_empty() {
            "the declared binary is an empty file".to_owned()
        } else {
            format!(
                "the declared binary is no executable: it starts with \"{}\"",
                escape::bytes(&head[..head.len().min(16)])
            )
        };
        look.report_file(entry, content, Finding::new(&rules::NOT_AN_EXECUTABLE, message));
    }
    Ok(())
}
