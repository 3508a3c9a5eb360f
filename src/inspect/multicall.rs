//! Programs that are called by many names.
//!
//! A multi-call program does what its name says, so that one file is many tools. Which
//! tools those are cannot be seen in a program that nobody knows; that it is called so can.

use super::Look;
use crate::binary::ReadAt as _;
use crate::finding::{Finding, escape, rules};
use crate::image::{Kind, tree};
use std::collections::{BTreeMap, BTreeSet};

/// From how many other names on a program is one of many.
const NAMES: usize = 5;
/// How many of them are shown.
const SHOWN: usize = 12;
/// The most programs, and the most names of one, that are kept.
const PROGRAMS: usize = 100_000;
const KEPT: usize = 2_000;

/// Looks for programs with many names in the file system that a container sees.
pub(super) fn check(look: &mut Look<'_>) {
    let tree = look.tree;
    let mut names: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for (path, node) in tree.iter() {
        if !matches!(node.entry.kind, Kind::Symlink(_) | Kind::Hardlink(_)) {
            continue;
        }
        let (_, name) = tree::split(path);
        let Ok(target) = tree.file(path) else { continue };
        let (_, own) = tree::split(&target.entry.path);
        // The names of a library are its versions.
        if name == own || super::path::is_library(own) || target.entry.mode & 0o111 == 0 {
            continue;
        }
        if names.len() < PROGRAMS || names.contains_key(&target.entry.path) {
            let of = names.entry(target.entry.path.clone()).or_default();
            if of.len() < KEPT {
                of.insert(name.to_vec());
            }
        }
    }
    for (path, names) in names.into_iter().filter(|(_, names)| names.len() >= NAMES) {
        let Ok(node) = tree.file(&path) else { continue };
        let Kind::File(content) = &node.entry.kind else { continue };
        if content.read_vec(0, 4).is_ok_and(|magic| magic != b"\x7fELF") {
            continue;
        }
        let shown: Vec<String> = names.iter().take(SHOWN).map(|name| escape::bytes(name)).collect();
        let more = if names.len() > SHOWN { ", ..." } else { "" };
        let message = format!("this program is called by {} other names", names.len());
        let finding = Finding::new(&rules::MANY_NAMES, message)
            .because([format!("{}{more}", shown.join(", "))]);
        let content = content.clone();
        look.report_file(node.entry, &content, finding);
    }
}
