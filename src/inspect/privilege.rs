//! Rules about modes, owners, extended attributes and special files.

use super::Look;
use crate::finding::{Finding, Severity, escape, rules};
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
    let others: Vec<_> =
        entry.xattrs.iter().filter(|name| *name != "security.capability").collect();
    if !others.is_empty() {
        let names = others.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        let message = format!("it carries {}", escape::terminal(&names));
        let mut finding = Finding::new(&rules::EXTENDED_ATTRIBUTE, message).at(&at);
        // Labels of the build machine: no reader outside it takes them for anything.
        if others.iter().all(|name| *name == "security.selinux" || name.starts_with("com.apple.")) {
            finding.severity = Severity::Low;
        }
        look.report(finding);
    }
    if let Kind::Special(what) = entry.kind {
        look.report(Finding::new(&rules::SPECIAL_FILE, format!("this is a {what}")).at(&at));
    }
    if entry.mode & 0o002 != 0 && (is_file || is_folder && entry.mode & 0o1000 == 0) {
        let message = format!("everybody may write it (mode {:04o})", entry.mode);
        look.report(Finding::new(&rules::WORLD_WRITABLE, message).at(&at));
    }
}
