//! Manifests in cosign's old form: one tag that all signers of an image write to.
//!
//! Source: cosign, `specs/SIGNATURE_SPEC.md`, "Storage".

use super::{Bytes, Document, RegistryError, Repository, Way, WriteError};
use crate::http::{Body, Method, Request};
use crate::oci::document::Manifest;
use crate::oci::legacy::joined;
use crate::oci::{Descriptor, Digest};
use std::io::{self, Read};

/// How often a lost update is tried again.
const TRIES: usize = 8;

/// A configuration, which is sent from memory.
struct Small<'a>(&'a [u8]);

impl Bytes for Small<'_> {
    fn digest(&self) -> Digest {
        Digest::of(self.0)
    }

    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let from = usize::try_from(offset).ok().and_then(|from| self.0.get(from..));
        Ok(Box::new(from.ok_or(io::ErrorKind::UnexpectedEof)?))
    }
}

impl Repository {
    /// Adds the layers of a manifest to those under a tag, and says whether any was missing there.
    /// What others have put there stays. The layers' bytes, and the configuration of the manifest,
    /// are there already.
    ///
    /// # Errors
    /// When something else is under the tag, or others keep overwriting it.
    pub fn attach(&self, tag: &str, own: &Document) -> Result<bool, RegistryError> {
        let of_document = |error| RegistryError::Document { place: self.place(tag), error };
        let layers = Manifest::parse(&own.bytes).map_err(of_document)?.layers;
        let mut has_written = false;
        for _ in 0..TRIES {
            let (there, entity) = match self.manifest_with_tag(tag) {
                Ok((there, entity)) => (Some(there), entity),
                Err(RegistryError::Missing(_)) => (None, None),
                Err(error) => return Err(error),
            };
            let (descriptor, bytes) = match &there {
                None => (own.descriptor.clone(), own.bytes.clone()),
                Some(there) => {
                    let manifest = Manifest::parse(&there.bytes).map_err(of_document)?;
                    let joined = joined(Some(&manifest), &layers).map_err(of_document)?;
                    // Also what is read back after the write: all of ours must be there.
                    let Some(joined) = joined else { return Ok(has_written) };
                    if let Some(config) = &joined.config {
                        self.put_blob(&Small(config), None)?;
                    }
                    let media_type = there.descriptor.media_type.clone();
                    (Descriptor::of(media_type, &joined.manifest), joined.manifest)
                }
            };
            let url = self.at(&format!("manifests/{tag}"))?;
            let mut request = Request::new(Method::Put, url)
                .header("content-type", descriptor.media_type.as_str().to_owned())
                .body(Body::Bytes(&bytes));
            // Registries that know conditions refuse what would undo another's write. The others
            // pay no heed (RFC 9110, section 13.1.1), and the later of two writes wins: so it is
            // read again, and whoever has lost adds to what the winner wrote.
            let is_conditional = entity.is_some();
            if let Some(entity) = entity {
                request = request.header("if-match", entity);
            }
            let answer = self.send(&request, Way::Retried)?;
            match answer.status() {
                409 | 412 if is_conditional => continue,
                _ => answer.expect(&[200, 201, 202])?,
            };
            has_written = true;
        }
        // The last write is read back too.
        if self.has_attached(tag, &layers)? {
            return Ok(has_written);
        }
        let tag = tag.to_owned();
        Err(WriteError::LostUpdate { place: format!("{}/{}", self.host, self.name), tag }.into())
    }

    /// Says whether the manifest under a tag has all of these layers.
    ///
    /// # Errors
    /// When the registry does not answer, or something else is under the tag.
    pub fn has_attached(&self, tag: &str, layers: &[Descriptor]) -> Result<bool, RegistryError> {
        let there = match self.tagged(tag) {
            Ok(there) => there,
            Err(RegistryError::Missing(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        let there = Manifest::parse(&there.bytes)
            .map_err(|error| RegistryError::Document { place: self.place(tag), error })?;
        Ok(layers.iter().all(|layer| there.layers.contains(layer)))
    }
}
