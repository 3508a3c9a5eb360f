//! A registry as the place where an image goes.
//!
//! The order is the promise: blobs, manifests by digest, what refers to them, all read back
//! and compared, and the tags last. Whoever stops in between leaves the tags where they were;
//! whoever begins again sends nothing twice, for everything before the tags has its digest
//! for a name.

use crate::image::graph::{Document, Graph};
use crate::image::stored::{Stored, StoredError};
use crate::oci::document::Manifest;
use crate::oci::{Descriptor, Digest};
use crate::registry::{BlobSent, Bytes, RegistryError, Repository};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

/// How many blobs travel at once.
const AT_ONCE: usize = 4;

/// What is written where.
pub struct Push<'a> {
    /// Where the parts are read from.
    pub stored: &'a Stored,
    /// All parts.
    pub graph: &'a Graph,
    /// Where they go.
    pub repository: &'a Repository,
    /// A repository of the same registry that has the blobs already.
    pub mount_from: Option<&'a str>,
    /// The tags that will lead to the image.
    pub tags: &'a [String],
    /// Whether a tag that leads elsewhere stays there.
    pub immutable_tags: bool,
    /// Further manifests that are known by a tag alone: signatures in cosign's old form.
    pub tagged: &'a [(String, Graph)],
}

/// What has been done.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// How many blobs were there already.
    pub present: usize,
    /// How many the registry took from another repository of its own.
    pub mounted: usize,
    /// How many were sent.
    pub uploaded: usize,
    /// How many bytes of blobs were sent.
    pub bytes: u64,
    /// How many manifests were written.
    pub manifests: usize,
    /// How many of what refers to the image is in the registry now.
    pub referrers: usize,
    /// The tags that lead to the image now and did not before.
    pub tagged: Vec<String>,
}

/// Why nothing, or not all, was published.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PushError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("`{place}:{tag}` leads to {found}, and the policy says that tags do not move")]
    TagMoved { place: String, tag: String, found: Digest },
    #[error(transparent)]
    Stored(#[from] StoredError),
}

/// A blob of a stored image.
struct StoredBlob<'a> {
    stored: &'a Stored,
    descriptor: &'a Descriptor,
}

impl Bytes for StoredBlob<'_> {
    fn digest(&self) -> Digest {
        self.descriptor.digest
    }

    fn size(&self) -> u64 {
        self.descriptor.size
    }

    fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let mut reader = self.stored.blob(self.descriptor).map_err(|error| match error {
            StoredError::Io(error) => error,
            other => io::Error::other(other),
        })?;
        // From the first byte on, so that the digest is checked whatever is sent.
        if io::copy(&mut reader.by_ref().take(offset), &mut io::sink())? != offset {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Box::new(reader))
    }
}

/// Publishes an image with all that refers to it.
///
/// # Errors
/// When a tag may not be moved, a part cannot be read, or the registry does not take it or
/// does not give it back. The tags are as they were then.
pub fn push(push: &Push<'_>) -> Result<Receipt, PushError> {
    let root = &push.graph.root;
    // Before anything is sent: what cannot end well is not begun.
    let mut tags = Vec::new();
    for tag in push.tags {
        if !leads_there(push, tag, &root.descriptor.digest)? {
            tags.push(tag.clone());
        }
    }
    let mut receipt = Receipt { referrers: push.graph.referrers.len(), ..Receipt::default() };
    blobs(push, &mut receipt)?;
    let mut written = Vec::new();
    for document in push.graph.children.iter().chain([root]) {
        if put(push.repository, document)? {
            written.push(document);
        }
    }
    let mut listed = Listed { repository: push.repository, lists: BTreeMap::new() };
    for document in &push.graph.referrers {
        let digest = document.descriptor.digest;
        let is_there = push.repository.head(&digest.to_string())? == Some(digest);
        // One that is there may still be missing in the list.
        if !is_there || !listed.has(document)? {
            push.repository.put_referrer(document)?;
            written.push(document);
        }
    }
    for (tag, graph) in push.tagged {
        for document in &graph.children {
            if put(push.repository, document)? {
                written.push(document);
            }
        }
        receipt.manifests += usize::from(put_tagged(push.repository, tag, &graph.root)?);
    }
    receipt.manifests += written.len();
    read_back(push, &written)?;
    for tag in &tags {
        // It may have been taken meanwhile.
        if !leads_there(push, tag, &root.descriptor.digest)? {
            push.repository.put(tag, root)?;
            if push.repository.head(tag)? != Some(root.descriptor.digest) {
                return Err(push.repository.not_read_back(tag, "the tag leads elsewhere").into());
            }
            receipt.tagged.push(tag.clone());
        }
    }
    Ok(receipt)
}

/// Says whether a tag leads to a digest already.
fn leads_there(push: &Push<'_>, tag: &str, digest: &Digest) -> Result<bool, PushError> {
    match push.repository.head(tag)? {
        Some(found) if found == *digest => Ok(true),
        Some(found) if push.immutable_tags => Err(PushError::TagMoved {
            place: format!("{}/{}", push.repository.host(), push.repository.name()),
            tag: tag.to_owned(),
            found,
        }),
        _ => Ok(false),
    }
}

/// Brings all blobs to the registry, several at once. The first fault ends it.
fn blobs(push: &Push<'_>, receipt: &mut Receipt) -> Result<(), PushError> {
    let mut known = BTreeSet::new();
    let all = push.tagged.iter().flat_map(|(_, graph)| &graph.blobs);
    let mut wanted: Vec<_> =
        push.graph.blobs.iter().chain(all).filter(|blob| known.insert(blob.digest)).collect();
    // The largest first, so that no thread is left with it at the end.
    wanted.sort_by_key(|blob| std::cmp::Reverse(blob.size));
    let progress = &push.stored.progress;
    progress.begin(wanted.iter().map(|blob| blob.size).sum());
    let next = Mutex::new(wanted.into_iter());
    let failed = Mutex::new(None);
    let done = Mutex::new(receipt);
    let work = || {
        loop {
            if lock(&failed).is_some() {
                return;
            }
            let Some(descriptor) = lock(&next).next() else { return };
            let bytes = StoredBlob { stored: push.stored, descriptor };
            match push.repository.put_blob(&bytes, push.mount_from) {
                Ok(sent) => {
                    if !matches!(sent, BlobSent::Uploaded) {
                        progress.skip(descriptor.size);
                    }
                    let mut receipt = lock(&done);
                    match sent {
                        BlobSent::Present => receipt.present += 1,
                        BlobSent::Mounted => receipt.mounted += 1,
                        BlobSent::Uploaded => {
                            receipt.uploaded += 1;
                            receipt.bytes += descriptor.size;
                        }
                    }
                }
                Err(error) => {
                    lock(&failed).get_or_insert(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..AT_ONCE {
            scope.spawn(work);
        }
        work();
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// Nobody panics while holding one of these.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a manifest under its digest, if it is not there.
fn put(repository: &Repository, document: &Document) -> Result<bool, RegistryError> {
    let digest = document.descriptor.digest;
    if repository.head(&digest.to_string())? == Some(digest) {
        return Ok(false);
    }
    repository.put(&digest.to_string(), document)?;
    Ok(true)
}

/// Brings a manifest in cosign's old form under its tag, and says whether that was to be done.
fn put_tagged(repository: &Repository, tag: &str, root: &Document) -> Result<bool, RegistryError> {
    let digest = Some(root.descriptor.digest);
    if repository.head(tag)? == digest {
        return Ok(false);
    }
    if is_shared(tag, root) {
        return repository.attach(tag, root);
    }
    repository.put(tag, root)?;
    match repository.head(tag)? == digest {
        true => Ok(true),
        false => Err(repository.not_read_back(tag, "the tag leads elsewhere")),
    }
}

/// Says whether all that a manifest in cosign's old form holds is under its tag, whatever others
/// have added there.
///
/// # Errors
/// When the registry does not answer, or something else is under the tag.
pub fn has_tagged(
    repository: &Repository,
    tag: &str,
    root: &Document,
) -> Result<bool, RegistryError> {
    if repository.head(tag)? == Some(root.descriptor.digest) {
        return Ok(true);
    }
    match Manifest::parse(&root.bytes) {
        Ok(manifest) if is_shared(tag, root) => repository.has_attached(tag, &manifest.layers),
        _ => Ok(false),
    }
}

/// Says whether several write to a tag in cosign's old form. A bill of materials is not signed, and
/// there is one.
fn is_shared(tag: &str, root: &Document) -> bool {
    root.descriptor.media_type.is_manifest() && !tag.ends_with(".sbom")
}

/// The lists of referrers as the registry had them before anything was added.
struct Listed<'a> {
    repository: &'a Repository,
    lists: BTreeMap<Digest, BTreeSet<Digest>>,
}

impl Listed<'_> {
    /// Says whether a referrer is in the list of its subject.
    fn has(&mut self, referrer: &Document) -> Result<bool, RegistryError> {
        let Some(subject) = subject(referrer) else { return Ok(true) };
        let list = match self.lists.entry(subject) {
            Entry::Occupied(list) => list.into_mut(),
            Entry::Vacant(none) => {
                let found = self.repository.referrers(&subject)?;
                none.insert(found.iter().map(|one| one.digest).collect())
            }
        };
        Ok(list.contains(&referrer.descriptor.digest))
    }
}

/// Returns what a manifest refers to.
fn subject(document: &Document) -> Option<Digest> {
    Some(Manifest::parse(&document.bytes).ok()?.subject?.digest)
}

/// Reads back what was written, and its place in the lists. Of blobs the registry has checked
/// the digests when it took them, and it would not let them be named if it had not.
fn read_back(push: &Push<'_>, written: &[&Document]) -> Result<(), PushError> {
    for document in written {
        push.repository.check_written(document)?;
    }
    let mut listed = Listed { repository: push.repository, lists: BTreeMap::new() };
    for document in written {
        if !listed.has(document)? {
            let digest = document.descriptor.digest;
            let reference = push.graph.root.descriptor.digest.to_string();
            let what = format!("{digest} is not among what refers to it");
            return Err(push.repository.not_read_back(&reference, what).into());
        }
    }
    Ok(())
}
