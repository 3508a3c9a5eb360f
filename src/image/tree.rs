//! The file system that the layers of an image make together.
//!
//! Source: image-spec, layer.md, "Applying Changesets" and "Whiteouts". Links are followed
//! as the kernel follows them inside a container: absolute targets start at the image's root.

use super::{Entry, Kind, Layer};
use std::collections::{BTreeMap, HashSet};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most links that are followed on one path (Linux, `MAXSYMLINKS`).
const MAX_LINKS: usize = 40;
/// What following paths may cost in one tree: hundreds of times what ordinary images need,
/// and a few seconds. A component costs one, and one more for each 64 bytes before it.
const MAX_STEPS: u64 = 20_000_000;

/// The merged view of layers: for each path, the entry that a container sees.
#[derive(Debug, Default)]
pub struct Tree<'a> {
    nodes: BTreeMap<&'a [u8], Node<'a>>,
    /// The last components of all paths, gathered when they are first asked for.
    names: OnceLock<HashSet<&'a [u8]>>,
    /// What following paths has cost so far.
    steps: AtomicU64,
}

/// One entry of the merged view.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// The layer that it is from.
    pub layer: &'a Layer,
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Unresolved {
    #[error("`{0}` does not exist")]
    Missing(String),
    #[error("`{0}` is no folder")]
    NotAFolder(String),
    #[error("`{0}` is a link that leads to itself")]
    Loop(String),
    #[error("the links of the image lead too far to be followed")]
    TooFar,
}

impl<'a> Tree<'a> {
    /// Applies layers one after another, the base first.
    pub fn of(layers: &'a [Layer]) -> Self {
        let mut tree = Self::default();
        for layer in layers {
            tree.apply(layer);
        }
        tree
    }

    /// Applies one more layer.
    pub fn apply(&mut self, layer: &'a Layer) {
        self.names = OnceLock::new();
        // Whiteouts hide what lower layers hold, whatever their order in the layer.
        for entry in &layer.entries {
            let (folder, name) = split(&entry.path);
            if name == b".wh..wh..opq" {
                self.remove_below(folder);
            } else if let Some(hidden) = name.strip_prefix(b".wh.") {
                let path = join(folder, hidden);
                self.nodes.remove(path.as_slice());
                self.remove_below(&path);
            }
        }
        for entry in &layer.entries {
            if split(&entry.path).1.starts_with(b".wh.") {
                continue;
            }
            if !matches!(entry.kind, Kind::Directory) {
                self.remove_below(&entry.path);
            }
            self.nodes.insert(&entry.path, Node { entry, layer });
        }
    }

    fn remove_below(&mut self, folder: &[u8]) {
        let prefix = if folder.is_empty() { Vec::new() } else { [folder, b"/"].concat() };
        let below: Vec<_> = self
            .nodes
            .range(prefix.as_slice()..)
            .map(|(path, _)| *path)
            .take_while(|path| path.starts_with(&prefix))
            .filter(|path| !path.is_empty())
            .collect();
        for path in below {
            self.nodes.remove(path);
        }
    }

    /// Iterates over all paths and their entries, in byte order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Node<'a>)> {
        self.nodes.iter().map(|(path, node)| (*path, *node))
    }

    /// Returns the entry at a path itself, without following it if it is a link.
    pub fn get(&self, path: &[u8]) -> Option<Node<'a>> {
        self.nodes.get(path).copied()
    }

    /// Says whether a container sees this very entry.
    pub fn shows(&self, entry: &Entry) -> bool {
        self.nodes.get(entry.path.as_slice()).is_some_and(|node| std::ptr::eq(node.entry, entry))
    }

    /// Says whether anything in the image has this name, whatever folder it lies in.
    pub fn holds_name(&self, name: &[u8]) -> bool {
        let gather = || self.nodes.keys().map(|path| split(path).1).collect();
        self.names.get_or_init(gather).contains(name)
    }

    /// Says whether paths were not followed because following had cost too much: whoever
    /// judges an image must not take their [`Unresolved::TooFar`] for an answer.
    pub fn went_too_far(&self) -> bool {
        self.steps.load(Ordering::Relaxed) > MAX_STEPS
    }

    /// Says whether a folder is at this path, by an entry or by something below it.
    pub fn has_folder(&self, path: &[u8]) -> bool {
        if path.is_empty() {
            return true;
        }
        match self.nodes.get(path) {
            Some(node) => matches!(node.entry.kind, Kind::Directory),
            None => {
                let prefix = [path, b"/"].concat();
                self.nodes
                    .range(prefix.as_slice()..)
                    .next()
                    .is_some_and(|(below, _)| below.starts_with(&prefix))
            }
        }
    }

    /// Follows every link of a path, the last component's too, and returns where it leads.
    ///
    /// # Errors
    /// When a component is missing, is no folder, or links lead in a circle; and when the
    /// links of this tree have cost too much to follow already.
    pub fn resolve(&self, path: &[u8]) -> Result<Vec<u8>, Unresolved> {
        self.follow(path, false)
    }

    /// Follows the links of a path that is to be made: a component that is missing is
    /// taken as it is, and the last one is not followed.
    ///
    /// # Errors
    /// When a component is neither a folder nor a link to one, or links lead in a circle; and
    /// when the links of this tree have cost too much to follow already.
    pub fn resolve_parents(&self, path: &[u8]) -> Result<Vec<u8>, Unresolved> {
        let (folder, name) = split(path);
        Ok(join(&self.follow(folder, true)?, name))
    }

    fn follow(&self, path: &[u8], create: bool) -> Result<Vec<u8>, Unresolved> {
        let mut waiting: Vec<&[u8]> = components(path).rev().collect();
        let mut at: Vec<u8> = Vec::new();
        let mut links = 0;
        while let Some(component) = waiting.pop() {
            let cost = 1 + at.len() as u64 / 64;
            if self.steps.fetch_add(cost, Ordering::Relaxed) + cost > MAX_STEPS {
                return Err(Unresolved::TooFar);
            }
            let parent = at.len();
            if component == b".." {
                at.truncate(split(&at).0.len());
                continue;
            }
            if !at.is_empty() {
                at.push(b'/');
            }
            at.extend_from_slice(component);
            match self.nodes.get(at.as_slice()).map(|node| &node.entry.kind) {
                Some(Kind::Symlink(target)) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Unresolved::Loop(super::shown(path)));
                    }
                    at.truncate(if target.starts_with(b"/") { 0 } else { parent });
                    waiting.extend(components(target).rev());
                }
                Some(Kind::Directory) => {}
                Some(_) if waiting.is_empty() && !create => {}
                Some(_) => return Err(Unresolved::NotAFolder(super::shown(&at))),
                None if create || self.has_folder(&at) => {}
                None => return Err(Unresolved::Missing(super::shown(&at))),
            }
        }
        Ok(at)
    }

    /// Returns the regular file that a path leads to, links and other names followed.
    ///
    /// # Errors
    /// When it leads nowhere, or to something else.
    pub fn file(&self, path: &[u8]) -> Result<Node<'a>, Unresolved> {
        let mut at = self.resolve(path)?;
        for _ in 0..MAX_LINKS {
            match self.nodes.get(at.as_slice()) {
                Some(node) => match &node.entry.kind {
                    Kind::Hardlink(target) => at.clone_from(target),
                    _ => return Ok(*node),
                },
                None => break,
            }
        }
        Err(Unresolved::Missing(super::shown(&at)))
    }
}

/// Splits a path into its folder, empty for the root, and its last component.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// Puts a folder and a name together.
pub fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|component| !component.is_empty() && *component != b".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Origin;
    use crate::store::{Content, Spool};
    use std::sync::Arc;

    fn layer(entries: &[(&str, &str)]) -> Layer {
        let entry = |(path, what): &(&str, &str)| Entry {
            path: path.as_bytes().to_vec(),
            kind: match *what {
                "dir" => Kind::Directory,
                "file" => Kind::File(Content::whole(Arc::new(Spool::of(path.as_bytes().to_vec())))),
                link => Kind::Symlink(link.as_bytes().to_vec()),
            },
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: Vec::new(),
        };
        Layer {
            origin: Origin::Foreign,
            diff_id: None,
            entries: entries.iter().map(entry).collect(),
        }
    }

    fn paths(tree: &Tree<'_>) -> Vec<String> {
        tree.iter().map(|(path, _)| String::from_utf8(path.to_vec()).unwrap()).collect()
    }

    #[test]
    fn whiteouts_hide_lower_layers_only() {
        let layers = [
            layer(&[
                ("a", "dir"),
                ("a/x", "file"),
                ("b", "file"),
                ("c", "dir"),
                ("c/y", "file"),
                ("c-d", "file"),
            ]),
            layer(&[
                ("a", "dir"),
                ("a/new", "file"),
                ("a/.wh..wh..opq", "file"),
                (".wh.b", "file"),
                (".wh.c", "file"),
            ]),
        ];
        assert_eq!(paths(&Tree::of(&layers)), ["a", "a/new", "c-d"]);
    }

    #[test]
    fn a_file_over_a_folder_replaces_what_is_below() {
        let layers = [layer(&[("a", "dir"), ("a/x", "file")]), layer(&[("a", "file")])];
        assert_eq!(paths(&Tree::of(&layers)), ["a"]);
        let layers = [layer(&[("bin", "usr/bin")]), layer(&[("bin", "dir"), ("bin/x", "file")])];
        assert!(Tree::of(&layers).get(b"bin/x").is_some());
    }

    #[test]
    fn names_are_those_of_the_merged_view() {
        let lower = layer(&[("usr", "dir"), ("usr/libc.so.6", "file"), ("old", "file")]);
        let upper = layer(&[(".wh.old", "file"), ("new", "file")]);
        let mut tree = Tree::default();
        tree.apply(&lower);
        assert!(
            tree.holds_name(b"old") && tree.holds_name(b"libc.so.6") && !tree.holds_name(b"new")
        );
        tree.apply(&upper);
        assert!(!tree.holds_name(b"old") && tree.holds_name(b"new") && !tree.holds_name(b"libc"));
    }

    #[test]
    fn following_ends_when_it_has_cost_too_much() {
        // Each path costs 40 links with 2,000 components; nothing of it is a circle.
        let far = "./x/../".repeat(600) + "x";
        let names: Vec<String> = (0..40).map(|i| format!("{i:02}")).collect();
        let targets: Vec<String> = (1..40).map(|i| format!("{far}/../{i:02}")).collect();
        let targets = targets.iter().map(String::as_str).chain(["x"]);
        let mut entries: Vec<_> = names.iter().map(String::as_str).zip(targets).collect();
        entries.push(("x", "dir"));
        let layers = [layer(&entries)];
        let tree = Tree::of(&layers);
        assert_eq!(tree.resolve(b"00").unwrap(), b"x");
        let begun = std::time::Instant::now();
        let end = (0..10_000_000).find(|_| tree.resolve(b"00") == Err(Unresolved::TooFar));
        assert!(end.is_some() && tree.went_too_far());
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", begun.elapsed());
        assert_eq!(tree.resolve(b"x"), Err(Unresolved::TooFar));
    }

    #[test]
    fn links_are_followed_inside_the_image() {
        let layers = [layer(&[
            ("bin", "usr/bin"),
            ("usr", "dir"),
            ("usr/bin", "dir"),
            ("usr/bin/sh", "/../../usr/bin/dash"),
            ("usr/bin/dash", "file"),
            ("x", "y"),
            ("y", "/x"),
        ])];
        let tree = Tree::of(&layers);
        assert_eq!(tree.resolve(b"bin/sh").unwrap(), b"usr/bin/dash");
        assert_eq!(tree.resolve_parents(b"bin/new/file").unwrap(), b"usr/bin/new/file");
        assert!(matches!(tree.resolve(b"x"), Err(Unresolved::Loop(_))));
        assert!(matches!(tree.resolve(b"bin/no"), Err(Unresolved::Missing(_))));
        assert!(matches!(tree.resolve_parents(b"bin/dash/x"), Err(Unresolved::NotAFolder(_))));
        assert_eq!(tree.file(b"bin/sh").unwrap().entry.path, b"usr/bin/dash");
    }
}
