//! The file system that the layers of an image make together.
//!
//! Source: image-spec, layer.md, "Applying Changesets" and "Whiteouts". Links are followed
//! as the kernel follows them inside a container: absolute targets start at the image's root.

use super::{Entry, Kind, Layer};
use std::collections::HashSet;
use std::ops::Range;
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
    /// In the order of their paths, each path once. A list, for it takes a fraction of the
    /// memory of a map.
    nodes: Vec<Node<'a>>,
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
        let mut gone = Vec::new();
        let mut own: Vec<(usize, Node<'a>)> = Vec::with_capacity(layer.entries.len());
        for (position, entry) in layer.entries.iter().enumerate() {
            let (folder, name) = split(&entry.path);
            // Whiteouts hide what lower layers hold, whatever their order in the layer.
            if name == b".wh..wh..opq" {
                gone.push(below(&self.nodes, Node::path, folder));
            } else if let Some(hidden) = name.strip_prefix(b".wh.") {
                let path = join(folder, hidden);
                gone.extend(self.find(&path).ok().map(|at| at..at + 1));
                gone.push(below(&self.nodes, Node::path, &path));
            } else {
                if !matches!(entry.kind, Kind::Directory) {
                    gone.push(below(&self.nodes, Node::path, &entry.path));
                }
                gone.extend(self.find(&entry.path).ok().map(|at| at..at + 1));
                own.push((position, Node { entry, layer }));
            }
        }
        remove(&mut self.nodes, gone);
        let before = self.nodes.len();
        self.nodes.extend(latest(own));
        // Both parts are in order already, so that this merges them.
        if before > 0 {
            self.nodes.sort_by(|one, other| one.path().cmp(other.path()));
        }
    }

    fn find(&self, path: &[u8]) -> Result<usize, usize> {
        self.nodes.binary_search_by(|node| node.path().cmp(path))
    }

    /// Iterates over all paths and their entries, in byte order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Node<'a>)> {
        self.nodes.iter().map(|node| (node.path(), *node))
    }

    /// Returns the entry at a path itself, without following it if it is a link.
    pub fn get(&self, path: &[u8]) -> Option<Node<'a>> {
        self.find(path).ok().and_then(|at| self.nodes.get(at)).copied()
    }

    /// Says whether a container sees this very entry.
    pub fn shows(&self, entry: &Entry) -> bool {
        self.get(&entry.path).is_some_and(|node| std::ptr::eq(node.entry, entry))
    }

    /// Says whether anything in the image has this name, whatever folder it lies in.
    pub fn holds_name(&self, name: &[u8]) -> bool {
        let gather = || self.nodes.iter().map(|node| split(node.path()).1).collect();
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
        match self.get(path) {
            Some(node) => matches!(node.entry.kind, Kind::Directory),
            None => !below(&self.nodes, Node::path, path).is_empty(),
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
            match self.get(&at).map(|node| &node.entry.kind) {
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
            match self.get(&at) {
                Some(node) => match &node.entry.kind {
                    Kind::Hardlink(target) => at.clone_from(target),
                    _ => return Ok(node),
                },
                None => break,
            }
        }
        Err(Unresolved::Missing(super::shown(&at)))
    }
}

impl<'a> Node<'a> {
    fn path(&self) -> &'a [u8] {
        &self.entry.path
    }
}

/// Returns which of a list, ordered by paths, lie below a folder. The root, whose path is
/// empty, lies below nothing.
fn below<'p, T>(nodes: &[T], path: impl Fn(&T) -> &'p [u8], folder: &[u8]) -> Range<usize> {
    if folder.is_empty() {
        return nodes.partition_point(|node| path(node).is_empty())..nodes.len();
    }
    // What follows the slash in the order of bytes ends the folder.
    let bound = |end: u8| {
        nodes.partition_point(|node| {
            let path = path(node);
            let front = path.get(..folder.len()).unwrap_or(path);
            match front.cmp(folder) {
                std::cmp::Ordering::Equal => path.get(folder.len()).is_none_or(|byte| *byte < end),
                order => order.is_lt(),
            }
        })
    };
    let start = bound(b'/');
    start..bound(b'/' + 1).max(start)
}

/// Takes ranges, in any order, out of a list.
fn remove<T>(nodes: &mut Vec<T>, mut gone: Vec<Range<usize>>) {
    gone.retain(|range| !range.is_empty());
    if gone.is_empty() {
        return;
    }
    gone.sort_unstable_by_key(|range| range.start);
    let (mut next, mut end, mut position) = (0, 0, 0);
    nodes.retain(|_| {
        while let Some(range) = gone.get(next).filter(|range| range.start <= position) {
            end = end.max(range.end);
            next += 1;
        }
        position += 1;
        position > end
    });
}

/// Orders the entries of one layer by their paths. Of a path that stands twice the last one
/// counts; what is no folder hides what stood below it before.
fn latest<'a>(mut own: Vec<(usize, Node<'a>)>) -> impl Iterator<Item = Node<'a>> {
    own.sort_by(|one, other| one.1.path().cmp(other.1.path()).then(other.0.cmp(&one.0)));
    let mut gone = Vec::new();
    for (position, node) in &own {
        if !matches!(node.entry.kind, Kind::Directory) {
            let range = below(&own, |(_, node)| node.path(), node.path());
            let hidden = |at: &usize| own.get(*at).is_some_and(|(other, _)| other < position);
            gone.extend(range.filter(hidden).map(|at| at..at + 1));
        }
    }
    remove(&mut own, gone);
    own.dedup_by(|later, first| later.1.path() == first.1.path());
    own.into_iter().map(|(_, node)| node)
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

    /// Layers applied one entry after another, as the format describes it.
    fn plainly(layers: &[Layer]) -> std::collections::BTreeMap<&[u8], &Entry> {
        let mut nodes: std::collections::BTreeMap<&[u8], &Entry> = Default::default();
        let is_below = |path: &[u8], folder: &[u8]| {
            let rest = if folder.is_empty() { Some(path) } else { path.strip_prefix(folder) };
            rest.is_some_and(|rest| {
                !rest.is_empty() && (folder.is_empty() || rest.starts_with(b"/"))
            })
        };
        for layer in layers {
            for entry in &layer.entries {
                let (folder, name) = split(&entry.path);
                if name == b".wh..wh..opq" {
                    nodes.retain(|path, _| !is_below(path, folder));
                } else if let Some(hidden) = name.strip_prefix(b".wh.") {
                    let hidden = join(folder, hidden);
                    nodes.retain(|path, _| *path != hidden && !is_below(path, &hidden));
                }
            }
            for entry in &layer.entries {
                if !split(&entry.path).1.starts_with(b".wh.") {
                    if !matches!(entry.kind, Kind::Directory) {
                        nodes.retain(|path, _| !is_below(path, &entry.path));
                    }
                    nodes.insert(&entry.path, entry);
                }
            }
        }
        nodes
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        #[test]
        fn layers_are_applied_as_the_format_says(
            written in proptest::collection::vec(
                proptest::collection::vec(("([ab.-]/){0,2}([ab.-]|\\.wh\\.[ab]|\\.wh\\.\\.wh\\.\\.opq)?", 0..3_usize), 0..8),
                1..4,
            ),
        ) {
            let kinds = ["dir", "file", "target"];
            let layers: Vec<Layer> = written
                .iter()
                .map(|entries| {
                    let entries: Vec<_> = entries
                        .iter()
                        .map(|(path, kind)| (path.trim_end_matches('/'), kinds[*kind]))
                        .collect();
                    layer(&entries)
                })
                .collect();
            let tree = Tree::of(&layers);
            let found: Vec<_> = tree.iter().map(|(path, node)| (path, std::ptr::from_ref(node.entry))).collect();
            let expected: Vec<_> =
                plainly(&layers).into_iter().map(|(path, entry)| (path, std::ptr::from_ref(entry))).collect();
            proptest::prop_assert_eq!(found, expected);
            for (path, _) in tree.iter() {
                let folder = split(path).0;
                if folder.is_empty() {
                    continue;
                }
                let is_folder = tree.get(folder).is_none_or(|node| matches!(node.entry.kind, Kind::Directory));
                proptest::prop_assert_eq!(tree.has_folder(folder), is_folder);
            }
        }
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
