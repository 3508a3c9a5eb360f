//! Rules about places: what the runtime mounts over, what the dynamic loader reads, what
//! builds leave behind, and names that one takes for another.

use super::Look;
use super::access::RunAs;
use crate::binary::ReadAt as _;
use crate::finding::{Finding, escape, rules};
use crate::image::{Entry, Kind, Layer, Origin, shown, tree};
use std::collections::{BTreeMap, BTreeSet};

/// How much of a configuration of the dynamic loader is read.
const LOADER: usize = 64 << 10;
/// The most lines that are shown of one.
const SHOWN: usize = 10;

/// Names, anywhere, of what is no part of a program.
const LEFTOVERS: [(&[u8], &str); 15] = [
    (b".git", "a repository"),
    (b".hg", "a repository"),
    (b".svn", "a repository"),
    (b".ssh", "keys and hosts of a person"),
    (b".gnupg", "keys of a person"),
    (b".bash_history", "what a person typed"),
    (b".ash_history", "what a person typed"),
    (b".sh_history", "what a person typed"),
    (b".zsh_history", "what a person typed"),
    (b".python_history", "what a person typed"),
    (b".psql_history", "what a person typed"),
    (b".mysql_history", "what a person typed"),
    (b".node_repl_history", "what a person typed"),
    (b".sqlite_history", "what a person typed"),
    (b"_cacache", "the cache of a package manager"),
];
/// Folders whose content is the cache of a package manager or a build.
const CACHES: [&[u8]; 8] = [
    b"root/.cache",
    b"root/.cargo",
    b"root/.npm",
    b"root/go/pkg",
    b"usr/local/cargo/registry",
    b"var/cache/apk",
    b"var/cache/dnf",
    b"var/cache/yum",
];

/// Looks at every layer's entries by their places.
pub(super) fn check(look: &mut Look<'_>, layers: &[Layer], runs: Option<RunAs>) {
    for (number, layer) in layers.iter().enumerate() {
        look.layer = Some(number);
        let mut told: BTreeSet<&[u8]> = BTreeSet::new();
        for entry in &layer.entries {
            look.hidden = look.is_hidden(entry);
            mounted(look, entry);
            loader(look, entry, runs);
            if let Some((at, what)) = leftover(entry)
                && told.insert(at)
            {
                let message = format!("this is {what}");
                look.report(Finding::new(&rules::LEFTOVER, message).at(shown(at)));
            }
        }
        look.hidden = false;
    }
    collisions(look, layers);
    look.layer = None;
}

fn mounted(look: &mut Look<'_>, entry: &Entry) {
    let below = |folder: &[u8]| entry.path.starts_with(folder);
    if !below(b"dev/") && !below(b"proc/") && !below(b"sys/") {
        return;
    }
    let what = match &entry.kind {
        Kind::Directory | Kind::Special(_) => return,
        // What runtimes leave to mount on, and what every /dev has.
        Kind::File(content) if content.is_empty() => return,
        Kind::Symlink(target) if below(b"dev/") && target.starts_with(b"/proc/") => return,
        Kind::Symlink(target) if entry.path == b"dev/ptmx" && target == b"pts/ptmx" => return,
        Kind::File(_) | Kind::Hardlink(_) => "file",
        Kind::Symlink(_) => "link",
    };
    let message = format!("the runtime mounts over this {what}");
    look.report(Finding::new(&rules::FILE_IN_MOUNT, message).at(entry.shown()));
}

fn loader(look: &mut Look<'_>, entry: &Entry, runs: Option<RunAs>) {
    let path = entry.path.as_slice();
    if path == b"etc/ld.so.preload" && !matches!(entry.kind, Kind::Directory) {
        let message = "the dynamic loader loads what this file names into every program";
        return look.report(Finding::new(&rules::LOADER_PRELOAD, message).at(entry.shown()));
    }
    let folder = tree::split(path).0;
    let glibc = path == b"etc/ld.so.conf" || folder == b"etc/ld.so.conf.d";
    let musl = folder == b"etc" && path.starts_with(b"etc/ld-musl-") && path.ends_with(b".path");
    let Some(content) = entry.content().filter(|_| glibc || musl) else { return };
    let bytes = content.read_vec(0, LOADER).unwrap_or_default();
    let mut evidence = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default().trim_ascii();
        if line.starts_with(b"include ") || line.starts_with(b"hwcap ") {
            continue;
        }
        let parts = line.split(|byte| byte.is_ascii_whitespace() || matches!(byte, b':' | b','));
        for named in parts.filter(|named| !named.is_empty()) {
            if evidence.len() > SHOWN {
                break;
            }
            let text = escape::bytes(named);
            if !is_library_folder(named) {
                evidence.push(format!("`{text}` is none of the folders of libraries"));
            } else if let Some(runs) = runs.filter(|runs| runs.uid != 0)
                && let Some(why) = runs.fills(look.tree, named)
            {
                evidence.push(format!("`{text}`: {why}, or what would hold it"));
            }
        }
    }
    if bytes.len() == LOADER {
        evidence.push(format!("it is longer than {LOADER} bytes"));
    }
    if !evidence.is_empty() {
        let message = "the dynamic loader takes libraries from where none belong";
        let finding = Finding::new(&rules::LOADER_PATH, message).because(evidence);
        look.report_file(entry, content, finding);
    }
}

fn is_library_folder(path: &[u8]) -> bool {
    if !path.starts_with(b"/") || path.windows(2).any(|pair| pair == b"..") {
        return false;
    }
    let parts: Vec<&[u8]> =
        path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    let place = match parts.as_slice() {
        [b"usr", b"local", rest @ ..] | [b"usr", rest @ ..] => rest,
        all => all,
    };
    place.first().is_some_and(|name| matches!(*name, b"lib" | b"lib32" | b"lib64" | b"libx32"))
}

/// Returns the path of the leftover that an entry is or lies in.
fn leftover(entry: &Entry) -> Option<(&[u8], &'static str)> {
    let path = entry.path.as_slice();
    let inside =
        |cache: &&&[u8]| path.strip_prefix(**cache).is_some_and(|rest| rest.starts_with(b"/"));
    if let Some(cache) = CACHES.iter().find(inside)
        && !matches!(entry.kind, Kind::Directory)
    {
        return Some((cache, "in the cache of a package manager or a build"));
    }
    let mut end = 0;
    for part in path.split(|byte| *byte == b'/') {
        end += part.len();
        if part.first().is_some_and(|first| matches!(first, b'.' | b'_'))
            && let Some((_, what)) = LEFTOVERS.iter().find(|(name, _)| *name == part)
        {
            return Some((path.get(..end)?, what));
        }
        end += 1;
    }
    None
}

/// Looks for names of one folder of programs or libraries that differ in case only.
fn collisions(look: &mut Look<'_>, layers: &[Layer]) {
    let tree = look.tree;
    let mut names = BTreeMap::new();
    let mut found = Vec::new();
    for (path, node) in tree.iter() {
        let (folder, name) = tree::split(path);
        if !holds_programs(folder) {
            continue;
        }
        let folded = String::from_utf8_lossy(name).to_lowercase();
        if let Some((other, origin)) = names.insert((folder, folded), (path, node.layer.origin))
            && (origin != Origin::Base || node.layer.origin != Origin::Base)
        {
            found.push((path, other, node.layer));
        }
    }
    for (path, other, layer) in found {
        look.layer = layers.iter().position(|one| std::ptr::eq(one, layer));
        let message = format!("it differs from {} in case only", shown(other));
        look.report(Finding::new(&rules::NAME_COLLISION, message).at(shown(path)));
    }
}

fn holds_programs(folder: &[u8]) -> bool {
    let name = tree::split(folder).1;
    matches!(name, b"bin" | b"sbin" | b"lib" | b"lib64" | b"libexec")
        || folder == b"etc"
        || memchr::memmem::find(name, b"-linux-gnu").is_some()
}
