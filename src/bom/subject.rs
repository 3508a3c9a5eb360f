//! What a bill of materials is about.

use super::purl;
use crate::oci::{Digest, Platform};
use crate::time::Epoch;

/// What a document is about, and what only the caller knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The name of the image, without registry, tag and digest; or of the file.
    pub name: String,
    /// The digest of the manifest, or of the file.
    pub digest: Digest,
    /// The size of the manifest, or of the file, in bytes.
    pub size: u64,
    /// What it is.
    pub about: About,
    /// Who gives it away, such as `org.opencontainers.image.vendor`; only if that is known.
    pub supplier: Option<String>,
    /// The time that is written.
    pub epoch: Epoch,
}

/// What a subject is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// An image of one platform.
    Image {
        /// The platform; none when it is one that karat does not know.
        platform: Option<Platform>,
        /// Name and manifest digest of the base.
        base: Option<(String, Digest)>,
    },
    /// One file, which is the only root of its bill.
    File,
}

impl Subject {
    /// Returns the package URL of an image; none for a file.
    pub(super) fn purl(&self) -> Option<String> {
        let About::Image { platform, .. } = &self.about else { return None };
        Some(image_purl(&self.name, &self.digest, platform.as_ref()))
    }
}

/// Returns the package URL of an image (purl types, `oci`: the name is the last part of the
/// repository, the version the manifest's digest).
pub(super) fn image_purl(name: &str, digest: &Digest, platform: Option<&Platform>) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    let arch = platform.map_or("", Platform::goarch);
    purl::build("oci", "", last, &digest.to_string(), &[("arch", arch)])
}
