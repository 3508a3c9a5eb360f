//! What refers to a digest: signatures, SBOMs, provenance.
//!
//! Source: distribution-spec 1.1, "Listing Referrers", "Referrers Tag Schema", and "Pushing
//! Manifests with Subject".

use super::read::MAX_PAGES;
use super::{Document, RegistryError, Repository, Way, WriteError};
use crate::http::{Body, Fault, Method, Request};
use crate::oci::document::{Index, MAX_MANIFEST, Manifest as ImageManifest};
use crate::oci::{Descriptor, Digest, MediaType};
use std::collections::BTreeSet;

/// The most referrers of one digest that are looked at.
pub(super) const MAX_REFERRERS: usize = 1000;
/// How often a lost update of the list is tried again.
const TRIES: usize = 8;

/// Returns the tag under which registries without the API keep the list of referrers.
pub fn fallback_tag(digest: &Digest) -> String {
    // `<algorithm>-<encoded>`; of sha256, nothing is to be cut or replaced.
    format!("sha256-{}", digest.hex())
}

impl Repository {
    /// Lists what refers to a digest: by the API, else by the fallback tag.
    ///
    /// # Errors
    /// When the registry does not answer, or with something else than a list.
    pub fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, RegistryError> {
        match self.listed(subject)? {
            Some(found) => Ok(found),
            None => {
                Ok(self.fallback(subject)?.map(|list| list.index.manifests).unwrap_or_default())
            }
        }
    }

    /// Asks the API; none when the registry has none.
    pub(super) fn listed(
        &self,
        subject: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, RegistryError> {
        let mut url = self.at(&format!("referrers/{subject}"))?;
        let mut found: Vec<Descriptor> = Vec::new();
        let mut known = BTreeSet::new();
        for page in 0..MAX_PAGES {
            let answer = self.send(&Request::get(url.clone()), Way::Followed)?;
            // 404: no such API. Some say 405, or 400 for a path that they do not know.
            if page == 0 && matches!(answer.status(), 400 | 404 | 405) {
                return Ok(None);
            }
            let answer = answer.expect(&[200])?;
            let next = self.next_page(&answer)?;
            let place = self.place(&subject.to_string());
            let bytes = answer.bytes(MAX_MANIFEST)?;
            let list = Index::parse(&bytes, MAX_REFERRERS)
                .map_err(|error| RegistryError::Document { place, error })?;
            found.extend(list.manifests.into_iter().filter(|one| known.insert(one.digest)));
            if found.len() > MAX_REFERRERS {
                let (host, limit) = (self.host.clone(), MAX_REFERRERS);
                return Err(RegistryError::Many { host, what: "referrers", limit });
            }
            match next {
                None => return Ok(Some(found)),
                Some(next) if next == url => break,
                Some(next) => url = next,
            }
        }
        Err(RegistryError::Endless(self.place(&subject.to_string())))
    }

    /// Reads the list under the fallback tag; none when there is none.
    fn fallback(&self, subject: &Digest) -> Result<Option<List>, RegistryError> {
        let tag = fallback_tag(subject);
        let (found, entity) = match self.manifest_with_tag(&tag) {
            Ok(found) => found,
            Err(RegistryError::Missing(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        // Some registries take such a tag for the digest, and give the subject itself.
        if found.descriptor.digest == *subject {
            return Ok(None);
        }
        let place = self.place(&tag);
        if !found.descriptor.media_type.is_index() {
            return Err(WriteError::NoList { place, tag }.into());
        }
        let index = Index::parse(&found.bytes, MAX_REFERRERS)
            .map_err(|error| RegistryError::Document { place, error })?;
        Ok(Some(List { index, entity }))
    }

    /// Writes a manifest that refers to another, and makes sure that it is listed: where the
    /// registry does not keep the list itself, we do.
    ///
    /// # Errors
    /// When it cannot be written, or others keep overwriting the list.
    pub fn put_referrer(&self, manifest: &Document) -> Result<(), RegistryError> {
        let place = self.place(&manifest.descriptor.digest.to_string());
        let kept = self.put_manifest(&manifest.descriptor.digest.to_string(), manifest)?;
        let mut parsed = match ImageManifest::parse(&manifest.bytes) {
            Ok(parsed) => parsed,
            // karat makes no index that refers to something.
            Err(_) if manifest.descriptor.media_type.is_index() => return Ok(()),
            Err(error) => return Err(RegistryError::Document { place, error }),
        };
        let Some(subject) = parsed.subject.take() else { return Ok(()) };
        if kept.lists_referrers {
            return Ok(());
        }
        // The answer may have been lost, and with it the header.
        let listed = self.listed(&subject.digest)?;
        if listed.is_some_and(|list| contains(&list, &manifest.descriptor.digest)) {
            return Ok(());
        }
        self.add_to_list(&subject.digest, referrer(&manifest.descriptor, parsed))
    }

    /// Adds to the list under the fallback tag, keeping what others have put there.
    fn add_to_list(&self, subject: &Digest, own: Descriptor) -> Result<(), RegistryError> {
        let tag = fallback_tag(subject);
        for _ in 0..TRIES {
            let list = self.fallback(subject)?;
            let (mut index, entity) = match list {
                Some(list) if contains(&list.index.manifests, &own.digest) => return Ok(()),
                Some(list) => (list.index, list.entity),
                None => (Index::new(Vec::new()), None),
            };
            index.media_type = Some(MediaType::INDEX);
            index.manifests.push(own.clone());
            index.manifests.sort_by_key(|one| one.digest);
            let bytes = index.to_bytes();
            let url = self.at(&format!("manifests/{tag}"))?;
            let mut request = Request::new(Method::Put, url)
                .header("content-type", MediaType::INDEX.as_str())
                .body(Body::Bytes(&bytes));
            // Registries that know conditions refuse what would undo another's write; the
            // others pay no heed (RFC 9110, section 13.1.1).
            if let Some(entity) = entity {
                request = request.header("if-match", entity);
            }
            let answer = self.send(&request, Way::Retried)?;
            match answer.status() {
                409 | 412 => continue,
                _ => answer.expect(&[200, 201, 202])?,
            };
            // Another may have written between our reading and our writing.
            let now = self.fallback(subject)?;
            if now.is_some_and(|list| contains(&list.index.manifests, &own.digest)) {
                return Ok(());
            }
        }
        Err(WriteError::LostUpdate { place: self.place(&subject.to_string()), tag }.into())
    }

    /// Says whether the registry keeps the lists of referrers itself.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn has_referrers_api(&self, subject: &Digest) -> Result<bool, RegistryError> {
        match self.listed(subject) {
            Ok(list) => Ok(list.is_some()),
            Err(RegistryError::Http(error)) if matches!(error.fault, Fault::Status { .. }) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

struct List {
    index: Index,
    entity: Option<String>,
}

fn contains(list: &[Descriptor], digest: &Digest) -> bool {
    list.iter().any(|one| one.digest == *digest)
}

/// Describes a referrer as a list has it: with the type of the artifact, which is that of the
/// configuration where none is named, and with all annotations.
pub fn referrer(descriptor: &Descriptor, manifest: ImageManifest) -> Descriptor {
    Descriptor {
        artifact_type: Some(manifest.artifact_type.unwrap_or(manifest.config.media_type)),
        annotations: manifest.annotations,
        ..descriptor.bare()
    }
}
