//! A repository as a place that stored images are read from.

use super::{Document, Purpose, Registries, RegistryError, Repository};
use crate::image::stored::{Blobs, Stored};
use crate::oci::document::{Index, MAX_MANIFESTS};
use crate::oci::layout::REF_NAME;
use crate::oci::legacy;
use crate::oci::{Descriptor, Digest, Reference};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

/// What a reference to a registry leads to now.
#[derive(Debug)]
pub struct Resolved {
    /// The repository.
    pub repository: Repository,
    /// The manifest or index.
    pub root: Document,
    /// The tag that was asked for, and that could lead elsewhere tomorrow: none when the
    /// reference has a digest.
    pub by_tag: Option<String>,
}

/// A repository from which blobs are read when they are asked for; manifests that were read
/// are kept.
#[derive(Debug)]
pub(super) struct Remote {
    repository: Repository,
    manifests: Mutex<BTreeMap<Digest, Vec<u8>>>,
}

impl Registries {
    /// Finds what a reference leads to. The digest counts where there is one; a tag beside it
    /// is a name for people.
    ///
    /// # Errors
    /// When it is no reference to a registry, is not there, or is not what its digest says.
    pub fn resolve(&self, reference: &Reference) -> Result<Resolved, RegistryError> {
        let Reference::Registry { host, repository, tag, digest } = reference else {
            return Err(RegistryError::Host(reference.to_string()));
        };
        let repository = self.open(host, repository, Purpose::Pull, None)?;
        let (root, by_tag) = match (digest, tag) {
            (Some(digest), _) => (repository.manifest(digest)?, None),
            (None, tag) => {
                // The one name that every tool means when there is none.
                let tag = tag.as_deref().unwrap_or("latest");
                (repository.tagged(tag)?, Some(tag.to_owned()))
            }
        };
        Ok(Resolved { repository, root, by_tag })
    }
}

impl Resolved {
    /// Opens the image so that it can be read like one on disk: nothing but documents is
    /// fetched before it is asked for. With `referrers`, what refers to it and to its
    /// platforms is listed too, also in cosign's old form.
    ///
    /// # Errors
    /// When the referrers cannot be listed.
    pub fn stored(&self, referrers: bool) -> Result<Stored, RegistryError> {
        let mut index = Index::new(vec![self.root.descriptor.clone()]);
        let mut manifests =
            BTreeMap::from([(self.root.descriptor.digest, self.root.bytes.clone())]);
        if referrers {
            for subject in self.subjects() {
                for found in self.repository.referrers(&subject)? {
                    if !index.manifests.iter().any(|known| known.digest == found.digest) {
                        index.manifests.push(as_artifact(found));
                    }
                }
                for tag in legacy::ENDS.map(|end| legacy::tag(&subject, end)) {
                    let Document { mut descriptor, bytes } = match self.repository.tagged(&tag) {
                        Ok(found) => found,
                        Err(RegistryError::Missing(_)) => continue,
                        Err(error) => return Err(error),
                    };
                    manifests.insert(descriptor.digest, bytes);
                    descriptor.annotations.insert(REF_NAME.to_owned(), tag);
                    index.manifests.push(descriptor);
                }
            }
        }
        let repository = self.repository.clone();
        let remote = Remote { repository, manifests: Mutex::new(manifests) };
        Ok(Stored::remote(index, Box::new(remote)))
    }

    /// Returns the digests that others may refer to: the image, and the platforms of an index.
    pub fn subjects(&self) -> Vec<Digest> {
        let mut subjects = vec![self.root.descriptor.digest];
        if self.root.descriptor.media_type.is_index()
            && let Ok(index) = Index::parse(&self.root.bytes, MAX_MANIFESTS)
        {
            subjects.extend(index.manifests.iter().map(|one| one.digest));
        }
        subjects
    }
}

/// Some registries leave the type of the artifact out of their lists; in the index of a
/// layout it is what tells a referrer from an image.
fn as_artifact(mut descriptor: Descriptor) -> Descriptor {
    if descriptor.artifact_type.is_none() {
        descriptor.artifact_type = Some(descriptor.media_type.clone());
    }
    descriptor
}

impl Blobs for Remote {
    fn open(&self, descriptor: &Descriptor) -> io::Result<Box<dyn Read + Send + '_>> {
        let digest = &descriptor.digest;
        let of_registry = |error| match error {
            RegistryError::Missing(_) => io::ErrorKind::NotFound.into(),
            RegistryError::Http(error) => io::Error::from(error),
            other => io::Error::other(other),
        };
        if !descriptor.media_type.is_index() && !descriptor.media_type.is_manifest() {
            let blob = self.repository.blob(digest, descriptor.size).map_err(of_registry)?;
            return Ok(Box::new(blob));
        }
        let kept = || self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept().get(digest).cloned();
        let bytes = match known {
            Some(bytes) => bytes,
            None => {
                let bytes = self.repository.manifest(digest).map_err(of_registry)?.bytes;
                kept().insert(*digest, bytes.clone());
                bytes
            }
        };
        Ok(Box::new(io::Cursor::new(bytes)))
    }
}
