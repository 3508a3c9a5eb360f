//! What a bill of materials is about.

use super::{licence, purl};
use crate::oci::{Digest, Platform};
use crate::time::Epoch;

/// The longest text that is taken over from an image, in bytes.
const LONGEST: usize = 2048;

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
    /// The hash of the manifest, or of the file, in lower-case hexadecimal digits.
    pub sha512: Option<String>,
    /// Who gives it away, such as `org.opencontainers.image.vendor`; only if that is known.
    pub supplier: Option<String>,
    /// Where to find out more about who gives it away: a web address.
    pub supplier_url: Option<String>,
    /// Its licence, an SPDX expression, as in `org.opencontainers.image.licenses`; only if
    /// that is known.
    pub licence: Option<String>,
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
    /// Makes a subject of which only name, digest and size are known.
    pub fn new(name: String, digest: Digest, size: u64, about: About, epoch: Epoch) -> Self {
        let (sha512, supplier, supplier_url, licence) = (None, None, None, None);
        Self { name, digest, size, about, sha512, supplier, supplier_url, licence, epoch }
    }

    /// Takes over what an image says of itself: `value` gives its annotations or labels.
    ///
    /// Source: OCI image specification, "Annotations", "Pre-Defined Annotation Keys".
    pub fn says(mut self, value: impl Fn(&str) -> Option<String>) -> Self {
        let of = |key: &str| {
            let text = value(&format!("org.opencontainers.image.{key}"))?;
            let known = !text.trim().is_empty() && text.len() <= LONGEST;
            known.then(|| text.trim().to_owned())
        };
        self.supplier = of("vendor");
        self.supplier_url = of("url").or_else(|| of("source")).filter(|url| web_address(url));
        self.licence = of("licenses").as_deref().and_then(licence::expression);
        self
    }

    /// Returns the package URL of an image or a file.
    pub fn purl_of_any(&self) -> String {
        let of_file = || purl::build("generic", "", &self.name, &self.digest.to_string(), &[]);
        self.purl().unwrap_or_else(of_file)
    }

    /// Returns the package URL of an image; none for a file.
    pub(super) fn purl(&self) -> Option<String> {
        let About::Image { platform, .. } = &self.about else { return None };
        Some(image_purl(&self.name, &self.digest, platform.as_ref()))
    }
}

/// Tells whether a text is a web address of the characters that such a one has (RFC 3986, 2).
pub(super) fn web_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&c);
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(plain))
}

/// Returns the package URL of an image (purl types, `oci`: the name is the last part of the
/// repository, the version the manifest's digest).
pub(super) fn image_purl(name: &str, digest: &Digest, platform: Option<&Platform>) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    let arch = platform.map_or("", Platform::goarch);
    purl::build("oci", "", last, &digest.to_string(), &[("arch", arch)])
}
