//! Manifests, indexes and image configurations: what is written into images, and what
//! is read from foreign ones.

use super::descriptor::{Descriptor, MediaType, PlatformFields};
use super::{DiffId, canonical, strict_json};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest manifest or index that is read, in bytes (distribution-spec, "Pushing Manifests").
pub const MAX_MANIFEST: u64 = 4 << 20;
/// The longest image configuration that is read, in bytes.
pub const MAX_CONFIG: u64 = 8 << 20;
/// The most layers that one image may have (containerd's limit).
pub const MAX_LAYERS: usize = 127;
/// The most manifests that one index may list.
pub const MAX_MANIFESTS: usize = 64;

/// Why a document could not be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum DocumentError {
    #[error("the {kind} is no valid JSON of its kind: {error}")]
    Json { kind: &'static str, error: serde_json::Error },
    #[error("the {kind} is longer than {limit} bytes")]
    Long { kind: &'static str, limit: u64 },
    #[error("the {kind} has the schema version {version}, and only 2 is known")]
    SchemaVersion { kind: &'static str, version: u32 },
    #[error("the {kind} says that it is a `{found}`")]
    MediaType { kind: &'static str, found: String },
    #[error("the {kind} lists {count} {what}, more than {limit}")]
    Many { kind: &'static str, what: &'static str, count: usize, limit: usize },
}

/// An image manifest, also of artifacts.
///
/// Source: image-spec 1.1, manifest.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// The type of this document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The type of the artifact, when the configuration is the empty document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// The image's configuration.
    pub config: Descriptor,
    /// The layers, the base first.
    pub layers: Vec<Descriptor>,
    /// What this manifest is about, for referrers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An image index.
///
/// Source: image-spec 1.1, image-index.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The type of this document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The manifests, in order of priority.
    pub manifests: Vec<Descriptor>,
    /// Free annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An image configuration.
///
/// Source: image-spec 1.1, config.md. Unknown properties are ignored when read, and a
/// foreign configuration is never written again from this form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The time of creation, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The processor architecture as Go spells it.
    pub architecture: String,
    /// The operating system as Go spells it.
    pub os: String,
    /// The variant of the architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// How a container of the image is started.
    #[serde(default)]
    pub config: RunConfig,
    /// The layers by their uncompressed bytes.
    pub rootfs: RootFs,
    /// How each layer came to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
}

/// How a container of an image is started (image-spec, config.md, `config`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RunConfig {
    /// The user, as `UID`, `UID:GID` or by names.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The ports that the program listens on; the values are empty objects.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_null")]
    pub exposed_ports: BTreeMap<String, Empty>,
    /// The environment, `NAME=VALUE`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_null")]
    pub env: Vec<String>,
    /// The program and its fixed arguments.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_null")]
    pub entrypoint: Vec<String>,
    /// The arguments that a user may replace.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_null")]
    pub cmd: Vec<String>,
    /// The working directory.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Free labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_null")]
    pub labels: BTreeMap<String, String>,
    /// The signal that asks the program to stop.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// The folders that a runtime keeps outside the image; the values are empty objects.
    /// This and what follows is read from foreign images and never written.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_null")]
    pub volumes: BTreeMap<String, Empty>,
    /// How Docker asks whether the program is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// The steps that Docker runs in builds that begin with the image.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_null")]
    pub on_build: Vec<String>,
    /// The shell of commands that a Dockerfile writes as text.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_null")]
    pub shell: Vec<String>,
}

/// How Docker asks a container whether it is well (moby, image specification 1.2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `NONE`; `CMD` and a program with its arguments; or `CMD-SHELL` and a text.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_null")]
    pub test: Vec<String>,
}

/// Go writes an empty list or map as `null`.
fn or_null<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// An empty JSON object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// The layers of a configuration (image-spec, config.md, `rootfs`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The digests of the uncompressed layers, the base first.
    pub diff_ids: Vec<DiffId>,
}

/// One step of a configuration's history (image-spec, config.md, `history`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// The time of the step, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// What made the layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// A remark on the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether the step made no layer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

pub(super) fn read<T: DeserializeOwned>(
    kind: &'static str,
    limit: u64,
    bytes: &[u8],
) -> Result<T, DocumentError> {
    if bytes.len() as u64 > limit {
        return Err(DocumentError::Long { kind, limit });
    }
    strict_json::check(bytes)
        .and_then(|()| serde_json::from_slice(bytes))
        .map_err(|error| DocumentError::Json { kind, error })
}

fn expect_version(kind: &'static str, version: u32) -> Result<(), DocumentError> {
    if version == 2 { Ok(()) } else { Err(DocumentError::SchemaVersion { kind, version }) }
}

impl Manifest {
    /// Reads a manifest of OCI or Docker.
    ///
    /// # Errors
    /// Over 4 MiB, no JSON of this shape, another schema version, another media type
    /// inside than a manifest's (a document that is read as two things is refused),
    /// or more than [`MAX_LAYERS`] layers.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let kind = "manifest";
        let manifest: Self = read(kind, MAX_MANIFEST, bytes)?;
        expect_version(kind, manifest.schema_version)?;
        match &manifest.media_type {
            Some(found) if !found.is_manifest() => {
                return Err(DocumentError::MediaType { kind, found: found.to_string() });
            }
            _ => {}
        }
        let count = manifest.layers.len();
        if count > MAX_LAYERS {
            return Err(DocumentError::Many { kind, what: "layers", count, limit: MAX_LAYERS });
        }
        Ok(manifest)
    }

    /// Writes the manifest in its one form.
    pub fn to_bytes(&self) -> Vec<u8> {
        canonical::json(self)
    }
}

impl Index {
    /// Makes an index of these manifests.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::INDEX),
            manifests,
            annotations: BTreeMap::new(),
        }
    }

    /// Reads an index of OCI or Docker.
    ///
    /// # Errors
    /// As [`Manifest::parse`], with `limit` on the number of manifests: [`MAX_MANIFESTS`]
    /// for an image; the index of a layout may list more, for it holds referrers too.
    pub fn parse(bytes: &[u8], limit: usize) -> Result<Self, DocumentError> {
        let kind = "index";
        let index: Self = read(kind, MAX_MANIFEST, bytes)?;
        expect_version(kind, index.schema_version)?;
        match &index.media_type {
            Some(found) if !found.is_index() => {
                return Err(DocumentError::MediaType { kind, found: found.to_string() });
            }
            _ => {}
        }
        let count = index.manifests.len();
        if count > limit {
            return Err(DocumentError::Many { kind, what: "manifests", count, limit });
        }
        Ok(index)
    }

    /// Writes the index in its one form.
    pub fn to_bytes(&self) -> Vec<u8> {
        canonical::json(self)
    }
}

impl Config {
    /// Reads an image configuration.
    ///
    /// # Errors
    /// Over 8 MiB, or no JSON of this shape.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        read("image configuration", MAX_CONFIG, bytes)
    }

    /// Writes the configuration in its one form.
    pub fn to_bytes(&self) -> Vec<u8> {
        canonical::json(self)
    }

    /// Returns what the configuration says that the image runs on.
    pub fn platform(&self) -> PlatformFields {
        PlatformFields {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            variant: self.variant.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_another_kind_is_refused() {
        let index = Index::new(Vec::new()).to_bytes();
        assert!(matches!(Manifest::parse(&index), Err(DocumentError::Json { .. })));
        let claims = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[]}"#;
        assert!(matches!(Index::parse(claims, 8), Err(DocumentError::MediaType { .. })));
        let old = br#"{"schemaVersion":1,"manifests":[]}"#;
        assert!(matches!(Index::parse(old, 8), Err(DocumentError::SchemaVersion { .. })));
    }

    #[test]
    fn a_duplicate_key_is_refused() {
        let twice = br#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#;
        assert!(matches!(Index::parse(twice, 8), Err(DocumentError::Json { .. })));
    }

    #[test]
    fn nulls_of_go_are_empty_lists() {
        let config = br#"{"architecture":"amd64","os":"linux","config":{"Env":null,"Cmd":null,"Labels":null},
            "rootfs":{"type":"layers","diff_ids":[]}}"#;
        assert_eq!(Config::parse(config).unwrap().config, RunConfig::default());
    }
}
