//! Rules about modes, owners, extended attributes and special files.

use super::Look;
use crate::finding::{Finding, rules};
use crate::image::{Entry, Kind};

/// Looks at what an entry grants.
pub(super) fn check(look: &mut Look<'_>, entry: &Entry) {
    let at = entry.shown();
    let is_file = matches!(entry.kind, Kind::File(_) | Kind::Hardlink(_));
    let is_folder = matches!(entry.kind, Kind::Directory);
    if is_file && entry.mode & 0o6000 != 0 {
        let bits = match entry.mode & 0o6000 {
            0o4000 => "setuid",
            0o2000 => "setgid",
            _ => "setuid and setgid",
        };
        let message = format!(
            "the file is {bits} (mode {:04o}, owner {}:{})",
            entry.mode, entry.uid, entry.gid
        );
        look.report(Finding::new(&rules::SETUID, message).at(&at));
    }
    if entry.xattrs.iter().any(|name| name == "security.capability") {
        look.report(
            Finding::new(&rules::FILE_CAPABILITIES, "the file carries capabilities").at(&at),
        );
    }
    if let Kind::Special(what) = entry.kind {
        look.report(Finding::new(&rules::SPECIAL_FILE, format!("this is a {what}")).at(&at));
    }
    if entry.mode & 0o002 != 0 && (is_file || is_folder && entry.mode & 0o1000 == 0) {
        let message = format!("everybody may write it (mode {:04o})", entry.mode);
        look.report(Finding::new(&rules::WORLD_WRITABLE, message).at(&at));
    }
}
