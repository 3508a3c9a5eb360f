//! Descriptors: what a document is, how long it is, and what its bytes hash to.

use super::{Digest, Platform};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// A media type, compared byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaType(Cow<'static, str>);

impl MediaType {
    /// An image index of OCI.
    pub const INDEX: Self = Self::fixed("application/vnd.oci.image.index.v1+json");
    /// An image manifest of OCI.
    pub const MANIFEST: Self = Self::fixed("application/vnd.oci.image.manifest.v1+json");
    /// An image configuration of OCI.
    pub const CONFIG: Self = Self::fixed("application/vnd.oci.image.config.v1+json");
    /// The empty JSON document, used as the configuration of artifacts.
    pub const EMPTY: Self = Self::fixed("application/vnd.oci.empty.v1+json");
    /// An uncompressed layer.
    pub const LAYER: Self = Self::fixed("application/vnd.oci.image.layer.v1.tar");
    /// A layer compressed with gzip.
    pub const LAYER_GZIP: Self = Self::fixed("application/vnd.oci.image.layer.v1.tar+gzip");
    /// A layer compressed with zstd.
    pub const LAYER_ZSTD: Self = Self::fixed("application/vnd.oci.image.layer.v1.tar+zstd");
    /// A manifest list of Docker (read, never written).
    pub const DOCKER_LIST: Self =
        Self::fixed("application/vnd.docker.distribution.manifest.list.v2+json");
    /// A manifest of Docker (read, never written).
    pub const DOCKER_MANIFEST: Self =
        Self::fixed("application/vnd.docker.distribution.manifest.v2+json");
    /// A gzip layer of Docker (read, never written).
    pub const DOCKER_LAYER_GZIP: Self =
        Self::fixed("application/vnd.docker.image.rootfs.diff.tar.gzip");
    /// A sigstore bundle of version 0.3.
    pub const SIGSTORE_BUNDLE: Self = Self::fixed("application/vnd.dev.sigstore.bundle.v0.3+json");

    const fn fixed(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// Returns the media type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Says whether a document of this type lists manifests of platforms.
    pub fn is_index(&self) -> bool {
        *self == Self::INDEX || *self == Self::DOCKER_LIST
    }

    /// Says whether a document of this type describes one image or artifact.
    pub fn is_manifest(&self) -> bool {
        *self == Self::MANIFEST || *self == Self::DOCKER_MANIFEST
    }
}

impl From<String> for MediaType {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The platform of a descriptor, as written in an index.
///
/// Source: image-spec, image-index.md, `platform`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformFields {
    /// The processor architecture as Go spells it.
    pub architecture: String,
    /// The operating system as Go spells it.
    pub os: String,
    /// The variant of the architecture, where it has more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl PlatformFields {
    /// Returns the platform that the fields name, if karat knows it.
    pub fn known(&self) -> Option<Platform> {
        match &self.variant {
            Some(variant) => format!("{}/{}/{variant}", self.os, self.architecture),
            None => format!("{}/{}", self.os, self.architecture),
        }
        .parse()
        .ok()
    }
}

impl From<&Platform> for PlatformFields {
    fn from(platform: &Platform) -> Self {
        Self {
            architecture: platform.goarch().to_owned(),
            os: platform.os().to_owned(),
            variant: platform.variant().map(str::to_owned),
        }
    }
}

/// A content descriptor.
///
/// Source: image-spec 1.1, descriptor.md. Unknown properties are ignored when read;
/// `urls` and `data` are never followed or trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The type of the bytes.
    pub media_type: MediaType,
    /// The hash of the bytes.
    pub digest: Digest,
    /// The number of bytes.
    pub size: u64,
    /// The type of the artifact, when the descriptor points at an artifact's manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// What the image runs on, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformFields>,
    /// Free annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// Describes the bytes.
    pub fn of(media_type: MediaType, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    /// Describes bytes whose digest and size are known.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            artifact_type: None,
            platform: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Returns the descriptor without what only its holder says about it: media type, digest and size.
    pub fn bare(&self) -> Self {
        Self::new(self.media_type.clone(), self.digest, self.size)
    }
}
