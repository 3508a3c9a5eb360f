//! Rules about where symbolic links lead, across all layers.

use super::Look;
use crate::finding::{Finding, escape, rules};
use crate::image::{Kind, Layer, Origin, Tree, tree};

/// The most links of one path (Linux, `MAXSYMLINKS`).
const MAX_LINKS: usize = 40;
/// The most components that are walked for one image: hundreds of times those of ordinary
/// images, and a few seconds.
const MAX_STEPS: usize = 4_000_000;
/// Places whose content a runtime makes, so that links into them are whole only then.
const RUNTIME: [&[u8]; 13] = [
    b"dev",
    b"proc",
    b"run",
    b"sys",
    b"tmp",
    b"var/run",
    b"var/tmp",
    b"etc/hostname",
    b"etc/hosts",
    b"etc/localtime",
    b"etc/mtab",
    b"etc/resolv.conf",
    b"etc/timezone",
];

/// Where a link leads.
enum End {
    There,
    Nowhere(Vec<u8>),
    Loop,
    TooFar,
}

/// Looks at the links of every layer that nobody has pinned.
pub(super) fn check(look: &mut Look<'_>, layers: &[Layer]) {
    let mut steps = MAX_STEPS;
    for (number, layer) in layers.iter().enumerate() {
        if layer.origin == Origin::Base {
            continue;
        }
        look.layer = Some(number);
        for entry in &layer.entries {
            let Kind::Symlink(target) = &entry.kind else { continue };
            look.hidden = look.is_hidden(entry);
            let shown = escape::bytes(target);
            if look.hidden {
                if leaves(&entry.path, target) {
                    let message = format!("its target `{shown}` leads out of the root");
                    look.report(Finding::new(&rules::LINK_ESCAPES, message).at(entry.shown()));
                }
                continue;
            }
            let (end, left) = walk(look.tree, &entry.path, &mut steps);
            let finding = match end {
                End::TooFar => {
                    let message = "the links of the image lead too far to be followed";
                    look.report(Finding::new(&rules::COULD_NOT_INSPECT, message).at(entry.shown()));
                    look.layer = None;
                    look.hidden = false;
                    return;
                }
                _ if left => {
                    let message = format!("its target `{shown}` leads out of the root");
                    Finding::new(&rules::LINK_ESCAPES, message)
                }
                End::Loop => {
                    let message = format!("its target `{shown}` leads back to it");
                    Finding::new(&rules::LINK_LOOP, message)
                }
                End::Nowhere(at) if !made_at_runtime(&at) => {
                    let message = format!(
                        "its target `{shown}` leads to {}, which is not there",
                        crate::image::shown(&at)
                    );
                    Finding::new(&rules::LINK_DANGLING, message)
                }
                _ => continue,
            };
            look.report(finding.at(entry.shown()));
        }
    }
    look.layer = None;
    look.hidden = false;
}

fn made_at_runtime(path: &[u8]) -> bool {
    RUNTIME.iter().any(|place| {
        path.strip_prefix(*place).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    })
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".")
}

/// Says whether a target leads out of the root by its text alone.
fn leaves(path: &[u8], target: &[u8]) -> bool {
    let mut depth = match target.starts_with(b"/") {
        true => 0,
        false => components(tree::split(path).0).count(),
    };
    for part in components(target) {
        if part != b".." {
            depth += 1;
        } else if depth == 0 {
            return true;
        } else {
            depth -= 1;
        }
    }
    false
}

/// Follows a path to its end, and says whether it left the root on its way.
fn walk(tree: &Tree<'_>, path: &[u8], steps: &mut usize) -> (End, bool) {
    let mut waiting: Vec<&[u8]> = components(path).rev().collect();
    let mut at: Vec<u8> = Vec::new();
    let (mut links, mut left) = (0, false);
    while let Some(part) = waiting.pop() {
        let Some(rest) = steps.checked_sub(1) else { return (End::TooFar, left) };
        *steps = rest;
        if part == b".." {
            left |= at.is_empty();
            at.truncate(tree::split(&at).0.len());
            continue;
        }
        let parent = at.len();
        if !at.is_empty() {
            at.push(b'/');
        }
        at.extend_from_slice(part);
        match tree.get(&at).map(|node| &node.entry.kind) {
            Some(Kind::Symlink(target)) => {
                links += 1;
                if links > MAX_LINKS {
                    return (End::Loop, left);
                }
                at.truncate(if target.starts_with(b"/") { 0 } else { parent });
                waiting.extend(components(target).rev());
            }
            Some(Kind::Directory) => {}
            Some(_) if waiting.is_empty() => {}
            None if tree.has_folder(&at) => {}
            _ => return (End::Nowhere(at), left),
        }
    }
    (End::There, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_that_leave_the_root_are_known_by_their_text() {
        for (path, target, out) in [
            ("a", "b", false),
            ("a", "../b", true),
            ("x/a", "../b", false),
            ("x/a", "../../b", true),
            ("x/a", "y/../../b", false),
            ("x/a", "/b/../..", true),
            ("x/a", "/b/..", false),
        ] {
            assert_eq!(leaves(path.as_bytes(), target.as_bytes()), out, "{path} -> {target}");
        }
    }

    #[test]
    fn what_runtimes_make_is_no_missing_target() {
        assert!(made_at_runtime(b"proc/mounts") && made_at_runtime(b"etc/localtime"));
        assert!(!made_at_runtime(b"process") && !made_at_runtime(b"etc/hosts2"));
    }
}
