//! What a program says about the commit that it was built from.
//!
//! Source: `go help buildvcs`; the settings `vcs`, `vcs.revision` and `vcs.modified` of the
//! build information.

use super::Look;
use crate::binary::elf::View;
use crate::binary::go::{BuildInfo, Error};
use crate::finding::{Finding, rules};
use crate::image::Entry;
use crate::store::Content;
use std::io;

/// Looks at an executable. `declared` says whether a recipe does.
///
/// # Errors
/// When its bytes cannot be read.
pub(super) fn check(
    look: &mut Look<'_>,
    entry: &Entry,
    content: &Content,
    declared: bool,
) -> io::Result<()> {
    // What is malformed has been reported.
    let Ok(Some(view)) = View::read(content) else { return Ok(()) };
    let info = match BuildInfo::read(content, &view) {
        Ok(Some(info)) => info,
        Err(Error::Io(error)) => return Err(error),
        Ok(None) | Err(_) => return Ok(()),
    };
    let revision = info.setting("vcs.revision").unwrap_or_default();
    if info.setting("vcs.modified") == Some("true") {
        let message = "the program was built from sources that no commit holds";
        let evidence = format!("its build information says vcs.modified=true at {revision}");
        look.report_file(
            entry,
            content,
            Finding::new(&rules::BINARY_DIRTY, message).because([evidence]),
        );
    }
    let of_git = info.setting("vcs") == Some("git") && !revision.is_empty();
    if let Some(commit) = look.commit.filter(|commit| of_git && declared && *commit != revision) {
        let message = "the program was built from another commit than the recipe's";
        let evidence =
            [format!("its build information says {revision}"), format!("{commit} is checked out")];
        look.report_file(
            entry,
            content,
            Finding::new(&rules::BINARY_REVISION_DIFFERS, message).because(evidence),
        );
    }
    Ok(())
}
