//! Rules about how the layers of somebody else's image lie on one another: what they hide,
//! how they delete, and what they write through links.

use super::Look;
use crate::binary::ReadAt as _;
use crate::finding::{Finding, rules};
use crate::image::{Entry, Kind, Layer, Origin, Tree, shown, tree};
use std::collections::{BTreeSet, HashMap, HashSet};

/// The mark of a deletion, and the one that deletes all of a folder (image-spec, layer.md).
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// The most folders that are looked at for links above them, for one image.
const MAX_STEPS: usize = 4_000_000;
/// The most paths of one layer that are shown.
const SHOWN: usize = 5;

/// Files that tell who or what is in an image, and folders of such files.
const EVIDENCE: [&[u8]; 15] = [
    b"etc/passwd",
    b"etc/group",
    b"etc/os-release",
    b"usr/lib/os-release",
    b"etc/ssl/certs/ca-certificates.crt",
    b"etc/ssl/cert.pem",
    b"etc/pki/tls/certs/ca-bundle.crt",
    b"var/lib/dpkg/status",
    b"lib/apk/db/installed",
    b"usr/lib/apk/db/installed",
    b"var/lib/rpm/Packages",
    b"var/lib/rpm/Packages.db",
    b"var/lib/rpm/rpmdb.sqlite",
    b"usr/lib/sysimage/rpm/Packages.db",
    b"usr/lib/sysimage/rpm/rpmdb.sqlite",
];
const EVIDENCE_FOLDERS: [&[u8]; 2] = [b"var/lib/dpkg/status.d", b"var/lib/db/sbom"];

/// Looks at the layers one on another. Those that karat makes have no deletions.
pub(super) fn check(look: &mut Look<'_>, layers: &[Layer]) {
    let foreign = [Origin::Foreign, Origin::Upstream];
    if layers.iter().all(|layer| !foreign.contains(&layer.origin)) {
        return;
    }
    let mut below = Tree::default();
    let mut steps = MAX_STEPS;
    for (number, layer) in layers.iter().enumerate() {
        look.layer = Some(number);
        deletions(look, layer, &below);
        hard_links(look, layer, &below);
        below.apply(layer);
        if !through_links(look, layer, &below, &mut steps) {
            let message = "the folders of the image are too many to be followed";
            look.report(Finding::new(&rules::COULD_NOT_INSPECT, message));
        }
    }
    hidden(look, layers);
    look.layer = None;
}

/// Says whether an entry is the mark of a deletion.
pub(super) fn is_deletion(entry: &Entry) -> bool {
    tree::split(&entry.path).1.starts_with(WHITEOUT)
}

fn deletions(look: &mut Look<'_>, layer: &Layer, below: &Tree<'_>) {
    let deletions: Vec<&Entry> = layer.entries.iter().filter(|entry| is_deletion(entry)).collect();
    if deletions.is_empty() {
        return;
    }
    let own: BTreeSet<&[u8]> = layer.entries.iter().map(|entry| entry.path.as_slice()).collect();
    for entry in deletions {
        let (folder, name) = tree::split(&entry.path);
        let gone = name.strip_prefix(WHITEOUT).unwrap_or_default();
        let path = tree::join(folder, gone);
        let odd = match &entry.kind {
            Kind::File(content) if !content.is_empty() => Some("it is a file with content"),
            Kind::File(_) if name == OPAQUE => continue,
            Kind::File(_) => match gone {
                b"" => Some("it names nothing"),
                b"." | b".." => Some("it names a folder above it"),
                _ if gone.starts_with(WHITEOUT) => Some("it is no mark that the format knows"),
                _ if own.contains(path.as_slice()) => Some("the same layer holds what it deletes"),
                _ => None,
            },
            _ => Some("it is no regular file"),
        };
        let finding = match odd {
            Some(why) => {
                let message = format!("readers take this deletion in different ways: {why}");
                Finding::new(&rules::WHITEOUT_ODD, message)
            }
            None if below.get(&path).is_none() && !below.has_folder(&path) => {
                let message = format!("no layer below holds {}", shown(&path));
                Finding::new(&rules::WHITEOUT_OF_NOTHING, message)
            }
            None => continue,
        };
        look.report(finding.at(entry.shown()));
    }
}

/// Looks for hard links to what neither a layer below nor an earlier entry holds.
fn hard_links(look: &mut Look<'_>, layer: &Layer, below: &Tree<'_>) {
    if layer.entries.iter().all(|entry| !matches!(entry.kind, Kind::Hardlink(_))) {
        return;
    }
    let mut earlier: HashSet<&[u8]> = HashSet::new();
    for entry in &layer.entries {
        if let Kind::Hardlink(target) = &entry.kind
            && !earlier.contains(target.as_slice())
            && !below.get(target).is_some_and(|node| !matches!(node.entry.kind, Kind::Directory))
        {
            let message = format!("its target {} is not there before it", shown(target));
            let finding = Finding::new(&rules::HARD_LINK_WITHOUT_TARGET, message);
            look.hidden = look.is_hidden(entry);
            look.report(finding.at(entry.shown()));
            look.hidden = false;
        }
        if !matches!(entry.kind, Kind::Directory) {
            earlier.insert(&entry.path);
        }
    }
}

/// Looks for entries whose folder is a link, or no folder. Says whether the steps were enough.
fn through_links<'a>(
    look: &mut Look<'_>,
    layer: &'a Layer,
    merged: &Tree<'_>,
    steps: &mut usize,
) -> bool {
    // For each folder: the link, or other thing that is no folder, that it is or lies below.
    let mut known: HashMap<&'a [u8], Option<&'a [u8]>> = HashMap::new();
    for entry in &layer.entries {
        let mut waiting: Vec<&[u8]> = Vec::new();
        let mut folder = tree::split(&entry.path).0;
        let mut link = None;
        while !folder.is_empty() {
            if let Some(found) = known.get(folder) {
                link = *found;
                break;
            }
            let Some(rest) = steps.checked_sub(1) else { return false };
            *steps = rest;
            waiting.push(folder);
            folder = tree::split(folder).0;
        }
        while let Some(folder) = waiting.pop() {
            let is_other = |path: &[u8]| {
                let node = merged.get(path);
                node.is_some_and(|node| !matches!(node.entry.kind, Kind::Directory))
            };
            link = link.or_else(|| is_other(folder).then_some(folder));
            known.insert(folder, link);
        }
        if let Some(link) = link {
            look.hidden = look.is_hidden(entry);
            let node = merged.get(link);
            let finding = match node.is_some_and(|node| matches!(node.entry.kind, Kind::Symlink(_)))
            {
                true => Finding::new(
                    &rules::WRITE_THROUGH_LINK,
                    format!("{} above it is a link", shown(link)),
                ),
                false => Finding::new(
                    &rules::PARENT_NOT_FOLDER,
                    format!("{} above it is no folder", shown(link)),
                ),
            };
            look.report(finding.at(entry.shown()));
            look.hidden = false;
        }
    }
    true
}

/// Looks at what later layers hide.
fn hidden(look: &mut Look<'_>, layers: &[Layer]) {
    let mut told: BTreeSet<&[u8]> = BTreeSet::new();
    for (number, layer) in layers.iter().enumerate() {
        look.layer = Some(number);
        let (mut count, mut paths) = (0_usize, Vec::new());
        for entry in &layer.entries {
            let file = matches!(entry.kind, Kind::File(_) | Kind::Hardlink(_));
            if !file || !look.is_hidden(entry) {
                continue;
            }
            let now = look.tree.get(&entry.path);
            if now.is_none() && is_evidence(&entry.path) && told.insert(&entry.path) {
                look.hidden = true;
                let message = "a later layer deletes this";
                look.report(Finding::new(&rules::EVIDENCE_HIDDEN, message).at(entry.shown()));
                look.hidden = false;
            }
            let same = now.and_then(|node| node.entry.content()).map(|content| content.sha256());
            if same.is_none() || same != entry.content().map(|content| content.sha256()) {
                count += 1;
                if paths.len() < SHOWN {
                    paths.push(entry.shown());
                }
            }
        }
        if count > 0 {
            let message = format!(
                "later layers hide {count} files of layer {}, which can still be pulled",
                number + 1
            );
            look.report(Finding::new(&rules::HIDDEN_CONTENT, message).because(paths));
        }
    }
}

fn is_evidence(path: &[u8]) -> bool {
    EVIDENCE.contains(&path) || EVIDENCE_FOLDERS.contains(&tree::split(path).0)
}
