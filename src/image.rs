//! An image in memory: its layers as lists of entries, its configuration, and the file
//! system that the layers make together.
//!
//! Assembly makes one out of a recipe, [`read`] makes one out of stored bytes; whoever
//! judges or describes an image sees no difference.

pub mod difference;
pub mod folder;
pub mod graph;
pub mod read;
pub mod stored;
pub mod tree;
pub mod write;

use crate::binary::ReadAt as _;
use crate::finding::escape;
use crate::oci::document::Config;
use crate::oci::{DiffId, Digest};
use crate::store::Content;
use std::collections::BTreeMap;

pub use tree::Tree;

/// An image of one platform.
#[derive(Debug)]
pub struct Image {
    /// The configuration. The digests of its layers are known only when they are packed.
    pub config: Config,
    /// The layers, the base first.
    pub layers: Vec<Layer>,
    /// The manifest's annotations.
    pub annotations: BTreeMap<String, String>,
}

/// One layer.
#[derive(Debug)]
pub struct Layer {
    /// Where it is from.
    pub origin: Origin,
    /// The digest of its uncompressed bytes; none before it is packed.
    pub diff_id: Option<DiffId>,
    /// What it holds, in the order of the archive.
    pub entries: Vec<Entry>,
}

/// Where a layer is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The pinned base of a recipe, made from packages.
    Base,
    /// The pinned base of a recipe, an image that somebody else has made.
    Upstream,
    /// Made from a recipe.
    Added,
    /// Stored bytes that nobody here has made.
    Foreign,
}

/// One entry of a layer.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The path, relative to the root, normalised, without a trailing slash; empty for the root.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// The permission bits, with setuid, setgid and sticky.
    pub mode: u32,
    /// The user that owns it.
    pub uid: u64,
    /// The group that owns it.
    pub gid: u64,
    /// The time of its last change, in seconds since 1970.
    pub mtime: i64,
    /// The names of its extended attributes.
    pub xattrs: Vec<String>,
}

/// What an entry is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A regular file.
    File(Content),
    /// A folder.
    Directory,
    /// A symbolic link and the text of its target.
    Symlink(Vec<u8>),
    /// Another name of an earlier file, by its normalised path.
    Hardlink(Vec<u8>),
    /// A device, a FIFO or another thing that has no place in an image, by its name.
    Special(&'static str),
}

impl Entry {
    /// Returns the path with its leading slash, safe to show.
    pub fn shown(&self) -> String {
        shown(&self.path)
    }

    /// Returns the content of a regular file.
    pub fn content(&self) -> Option<&Content> {
        match &self.kind {
            Kind::File(content) => Some(content),
            _ => None,
        }
    }
}

/// Writes a relative path with its leading slash, safe to show.
pub fn shown(path: &[u8]) -> String {
    format!("/{}", escape::bytes(path))
}

impl Image {
    /// Returns the file system that the layers make together.
    pub fn tree(&self) -> Tree<'_> {
        Tree::of(&self.layers)
    }

    /// Returns the number of bytes of all regular files of the layers of an origin.
    pub fn file_bytes(&self, origin: Origin) -> u64 {
        let layers = self.layers.iter().filter(|layer| layer.origin == origin);
        layers
            .flat_map(|layer| &layer.entries)
            .filter_map(Entry::content)
            .map(|content| content.len())
            .sum()
    }
}

impl Layer {
    /// Returns the hashes of the regular files, by path.
    pub fn files(&self) -> impl Iterator<Item = (&Entry, Digest)> {
        self.entries.iter().filter_map(|entry| Some((entry, entry.content()?.sha256())))
    }
}
