//! Signing: from a statement to a bundle that refers to its subject.
//!
//! Takes a [`Statement`] and a key, gives the documents of an OCI 1.1 referrer whose one
//! layer is a sigstore bundle, or a layer in cosign's old form ([`legacy`]). Sees no registry and
//! no folder.

pub mod legacy;

use crate::attest::Statement;
use crate::oci::Descriptor;
use crate::oci::descriptor::MediaType;
use crate::oci::document::Manifest;
use crate::signature::{self, Signing};
use crate::time::Epoch;
use std::collections::BTreeMap;

/// The annotation by which cosign finds bundles of a kind.
const CONTENT: &str = "dev.sigstore.bundle.content";
/// The annotation by which cosign knows the predicate type.
const PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";
/// The annotation by which scanners know the predicate type.
const IN_TOTO_PREDICATE_TYPE: &str = "in-toto.io/predicate-type";
/// The configuration of an artifact (image-spec, manifest.md, "Guidance for an Empty Descriptor").
pub const EMPTY: &[u8] = b"{}";

/// The documents of a referrer.
#[derive(Debug, Clone)]
pub struct Referrer {
    /// The bundle.
    pub bundle: Vec<u8>,
    /// The manifest that holds the bundle and names its subject.
    pub manifest: Vec<u8>,
    /// What describes the manifest in an index.
    pub descriptor: Descriptor,
}

impl Referrer {
    /// Returns the bytes of all that the referrer consists of.
    pub fn blobs(&self) -> [Vec<u8>; 3] {
        [self.manifest.clone(), self.bundle.clone(), EMPTY.to_vec()]
    }
}

/// Signs a statement about a subject.
///
/// # Errors
/// When the statement cannot be signed.
pub fn statement(
    statement: &Statement,
    subject: &Descriptor,
    by: &dyn Signing,
    epoch: Epoch,
) -> Result<Referrer, signature::Error> {
    let bundle = by.bundle(&statement.bytes, subject.digest.bytes())?;
    let annotations = BTreeMap::from([
        (CONTENT.to_owned(), "dsse-envelope".to_owned()),
        (PREDICATE_TYPE.to_owned(), statement.predicate_type.clone()),
        (IN_TOTO_PREDICATE_TYPE.to_owned(), statement.predicate_type.clone()),
        ("org.opencontainers.image.created".to_owned(), epoch.to_string()),
    ]);
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MediaType::MANIFEST),
        artifact_type: Some(MediaType::SIGSTORE_BUNDLE),
        config: Descriptor::of(MediaType::EMPTY, EMPTY),
        layers: vec![Descriptor::of(MediaType::SIGSTORE_BUNDLE, &bundle)],
        subject: Some(subject.bare()),
        annotations: annotations.clone(),
    }
    .to_bytes();
    let mut descriptor = Descriptor::of(MediaType::MANIFEST, &manifest);
    descriptor.artifact_type = Some(MediaType::SIGSTORE_BUNDLE);
    descriptor.annotations = annotations;
    Ok(Referrer { bundle, manifest, descriptor })
}
