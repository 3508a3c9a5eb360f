//! The file system that the layers of an image make together.
//!
//! Source: image-spec, layer.md, "Applying Changesets" and "Whiteouts". Links are followed
//! as the kernel follows them inside a container: absolute targets start at the image's root.

use super::{Entry, Kind, Layer};
use std::collections::BTreeMap;

/// The most links that are followed on one path (Linux, `MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// The merged view of layers: for each path, the entry that a container sees.
#[derive(Debug, Default, Clone)]
pub struct Tree<'a> {
    nodes: BTreeMap<Vec<u8>, Node<'a>>,
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
        // Whiteouts hide what lower layers hold, whatever their order in the layer.
        for entry in &layer.entries {
            let (folder, name) = split(&entry.path);
            if name == b".wh..wh..opq" {
                self.remove_below(folder);
            } else if let Some(hidden) = name.strip_prefix(b".wh.") {
                let path = join(folder, hidden);
                self.nodes.remove(&path);
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
            self.nodes.insert(entry.path.clone(), Node { entry, layer });
        }
    }

    fn remove_below(&mut self, folder: &[u8]) {
        let prefix = if folder.is_empty() { Vec::new() } else { [folder, b"/"].concat() };
        let below: Vec<_> = self
            .nodes
            .range(prefix.clone()..)
            .map(|(path, _)| path)
            .take_while(|path| path.starts_with(&prefix))
            .filter(|path| !path.is_empty())
            .cloned()
            .collect();
        for path in below {
            self.nodes.remove(&path);
        }
    }

    /// Iterates over all paths and their entries, in byte order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Node<'a>)> {
        self.nodes.iter().map(|(path, node)| (path.as_slice(), *node))
    }

    /// Returns the entry at a path itself, without following it if it is a link.
    pub fn get(&self, path: &[u8]) -> Option<Node<'a>> {
        self.nodes.get(path).copied()
    }

    /// Says whether a container sees this very entry.
    pub fn shows(&self, entry: &Entry) -> bool {
        self.nodes.get(&entry.path).is_some_and(|node| std::ptr::eq(node.entry, entry))
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
                    .range(prefix.clone()..)
                    .next()
                    .is_some_and(|(below, _)| below.starts_with(&prefix))
            }
        }
    }

    /// Follows every link of a path, the last component's too, and returns where it leads.
    ///
    /// # Errors
    /// When a component is missing, is no folder, or links lead in a circle.
    pub fn resolve(&self, path: &[u8]) -> Result<Vec<u8>, Unresolved> {
        self.follow(path, false)
    }

    /// Follows the links of a path that is to be made: a component that is missing is
    /// taken as it is, and the last one is not followed.
    ///
    /// # Errors
    /// When a component is neither a folder nor a link to one, or links lead in a circle.
    pub fn resolve_parents(&self, path: &[u8]) -> Result<Vec<u8>, Unresolved> {
        let (folder, name) = split(path);
        Ok(join(&self.follow(folder, true)?, name))
    }

    fn follow(&self, path: &[u8], create: bool) -> Result<Vec<u8>, Unresolved> {
        let mut waiting: Vec<Vec<u8>> = components(path).rev().map(<[u8]>::to_vec).collect();
        let mut at: Vec<u8> = Vec::new();
        let mut links = 0;
        while let Some(component) = waiting.pop() {
            if component == b".." {
                at = split(&at).0.to_vec();
                continue;
            }
            let next = join(&at, &component);
            match self.nodes.get(&next).map(|node| &node.entry.kind) {
                Some(Kind::Symlink(target)) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Unresolved::Loop(super::shown(path)));
                    }
                    if target.starts_with(b"/") {
                        at.clear();
                    }
                    waiting.extend(components(target).rev().map(<[u8]>::to_vec));
                }
                Some(Kind::Directory) => at = next,
                Some(_) if waiting.is_empty() && !create => at = next,
                Some(_) => return Err(Unresolved::NotAFolder(super::shown(&next))),
                None if create || self.has_folder(&next) => at = next,
                None => return Err(Unresolved::Missing(super::shown(&next))),
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
            match self.nodes.get(&at) {
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
