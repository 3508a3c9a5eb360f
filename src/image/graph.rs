//! All that belongs to a stored image: its documents, the blobs that they name, and what
//! refers to it, in the order in which they can be written elsewhere.

use super::stored::{Stored, StoredError};
use crate::oci::document::{Index, MAX_MANIFEST, MAX_MANIFESTS, Manifest};
use crate::oci::{Descriptor, Digest};
use std::collections::BTreeSet;

/// How deep an index may lie in another.
const MAX_DEPTH: usize = 4;
/// The most documents and blobs of one image with all that refers to it.
const MAX_PARTS: usize = 20_000;

/// A manifest or an index, with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What it is, with the digest of the bytes.
    pub descriptor: Descriptor,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// All parts of an image.
#[derive(Debug)]
pub struct Graph {
    /// The manifest, or the index over several.
    pub root: Document,
    /// The manifests below the root, each before whatever lists it.
    pub children: Vec<Document>,
    /// The manifests of what refers to the root or to a child.
    pub referrers: Vec<Document>,
    /// All blobs, each once.
    pub blobs: Vec<Descriptor>,
}

/// Why the parts could not be gathered.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum GraphError {
    #[error(transparent)]
    Stored(#[from] StoredError),
    #[error("the indexes of {0} lie in one another more than {MAX_DEPTH} deep")]
    Deep(Digest),
    #[error("{0} has more than {MAX_PARTS} parts")]
    Many(Digest),
}

impl Graph {
    /// Gathers all parts of an image. `referrers` are the manifests of what refers to it.
    ///
    /// # Errors
    /// When a document is missing, is not what its digest says, or cannot be read.
    pub fn of(
        stored: &Stored,
        root: &Descriptor,
        referrers: &[Descriptor],
    ) -> Result<Self, GraphError> {
        let mut walk =
            Walk { stored, root: root.digest, known: BTreeSet::new(), blobs: Vec::new() };
        let mut children = Vec::new();
        walk.visit(root, 0, &mut children)?;
        let Some(root) = children.pop() else { return Err(GraphError::Deep(root.digest)) };
        let mut found = Vec::new();
        for referrer in referrers {
            walk.visit(referrer, 0, &mut found)?;
        }
        Ok(Self { root, children, referrers: found, blobs: walk.blobs })
    }

    /// Returns all documents, each before whatever lists it, the referrers last.
    pub fn documents(&self) -> impl Iterator<Item = &Document> {
        self.children.iter().chain([&self.root]).chain(&self.referrers)
    }

    /// Returns the number of bytes of all blobs.
    pub fn blob_bytes(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.size).sum()
    }
}

struct Walk<'a> {
    stored: &'a Stored,
    root: Digest,
    known: BTreeSet<Digest>,
    blobs: Vec<Descriptor>,
}

impl Walk<'_> {
    fn visit(
        &mut self,
        descriptor: &Descriptor,
        depth: usize,
        found: &mut Vec<Document>,
    ) -> Result<(), GraphError> {
        if depth > MAX_DEPTH {
            return Err(GraphError::Deep(self.root));
        }
        if !self.known.insert(descriptor.digest) {
            return Ok(());
        }
        if self.known.len() > MAX_PARTS {
            return Err(GraphError::Many(self.root));
        }
        let stored = |error| GraphError::Stored(StoredError::Document(error));
        let bytes = self.stored.document(descriptor, MAX_MANIFEST)?;
        if descriptor.media_type.is_index() {
            for child in Index::parse(&bytes, MAX_MANIFESTS).map_err(stored)?.manifests {
                self.visit(&child, depth + 1, found)?;
            }
        } else if descriptor.media_type.is_manifest() {
            let manifest = Manifest::parse(&bytes).map_err(stored)?;
            for blob in std::iter::once(manifest.config).chain(manifest.layers) {
                if self.known.insert(blob.digest) {
                    self.blobs.push(blob.bare());
                }
            }
        } else {
            let (digest, found) = (descriptor.digest, descriptor.media_type.clone());
            return Err(StoredError::MediaType { digest, found }.into());
        }
        found.push(Document { descriptor: descriptor.bare(), bytes });
        Ok(())
    }
}
