//! The rule about what the user could change to stay: programs, libraries, and whom
//! programs trust.

use super::access::RunAs;
use super::{Look, config, path};
use crate::finding::{Finding, rules};
use crate::image::{Kind, shown, tree};
use crate::oci::document::Config;
use std::collections::BTreeSet;

/// Files by which programs are loaded or decide whom they trust.
const TRUSTED: [&[u8]; 9] = [
    b"etc/ld.so.cache",
    b"etc/ld.so.conf",
    b"etc/ld.so.preload",
    b"etc/nsswitch.conf",
    b"etc/passwd",
    b"etc/pki/tls/certs/ca-bundle.crt",
    b"etc/ssl/cert.pem",
    b"etc/ssl/certs/ca-certificates.crt",
    b"etc/ssl/ca-bundle.pem",
];

/// Looks for such files, and folders above them, that the user may change. What everybody
/// may write has a rule of its own.
pub(super) fn check(look: &mut Look<'_>, config: &Config, runs: Option<RunAs>) {
    let Some(runs) = runs.filter(|runs| runs.uid != 0) else { return };
    let program = config::program(look, config);
    let tree = look.tree;
    let mut done: BTreeSet<&[u8]> = BTreeSet::new();
    let mut found = Vec::new();
    for (at, node) in tree.iter() {
        let name = tree::split(at).1;
        let matters = program.as_deref() == Some(at)
            || TRUSTED.contains(&at)
            || at.starts_with(b"etc/ld.so.conf.d/")
            || path::is_library(name)
                && matches!(node.entry.kind, Kind::File(_) | Kind::Hardlink(_));
        if !matters {
            continue;
        }
        let mut one = at;
        // A folder that was looked at has had everything above it looked at.
        while done.insert(one) {
            if let Some(node) = tree.get(one)
                && !matches!(node.entry.kind, Kind::Symlink(_))
                && (node.entry.mode & 0o002 == 0 || node.entry.uid == runs.uid)
                && let Some(why) = runs.changes(node.entry)
            {
                found.push((one, at, why));
            }
            if one.is_empty() {
                break;
            }
            one = tree::split(one).0;
        }
    }
    for (one, at, why) in found {
        let why = if one == at { why } else { format!("{why}, and it holds {}", shown(at)) };
        look.report(Finding::new(&rules::WRITABLE_BY_USER, why).at(shown(one)));
    }
}
