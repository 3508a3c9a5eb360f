//! The list of images in an archive that `docker save` writes.
//!
//! Source: moby, image/spec v1.2, "Combined Image JSON + Filesystem Changeset Format";
//! `podman save --format docker-archive` and BuildKit's exporter `docker` write the same.

use super::document::{DocumentError, MAX_LAYERS, MAX_MANIFEST, read};
use serde::{Deserialize, Deserializer};

/// The name of the list in the archive.
pub const FILE: &str = "manifest.json";
/// The most images that one archive may list.
const MAX_IMAGES: usize = 64;

/// An image of the archive: the names of the members that make it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SavedImage {
    /// The image configuration.
    pub config: String,
    /// What it is called.
    #[serde(default, deserialize_with = "or_none")]
    pub repo_tags: Vec<String>,
    /// The layers, the base first.
    #[serde(default, deserialize_with = "or_none")]
    pub layers: Vec<String>,
}

/// Go writes an empty list as `null`.
fn or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl SavedImage {
    /// Reads the list.
    ///
    /// # Errors
    /// Over 4 MiB, no JSON of this shape, or more than 64 images or 127 layers of one.
    pub fn parse_list(bytes: &[u8]) -> Result<Vec<Self>, DocumentError> {
        const KIND: &str = "list of saved images";
        let images: Vec<Self> = read(KIND, MAX_MANIFEST, bytes)?;
        let many = |what, count, limit| DocumentError::Many { kind: KIND, what, count, limit };
        if images.len() > MAX_IMAGES {
            return Err(many("images", images.len(), MAX_IMAGES));
        }
        match images.iter().map(|image| image.layers.len()).max() {
            Some(count) if count > MAX_LAYERS => Err(many("layers", count, MAX_LAYERS)),
            _ => Ok(images),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_strictly() {
        let list = br#"[{"Config":"c.json","RepoTags":null,"Layers":["a.tar"],"Other":1}]"#;
        let image = &SavedImage::parse_list(list).unwrap()[0];
        assert_eq!(
            (image.config.as_str(), &image.layers[..]),
            ("c.json", &["a.tar".to_owned()][..])
        );
        for bad in [
            &br#"{"Config":"c"}"#[..],
            br#"[{"Layers":[]}]"#,
            br#"[{"Config":"a","Config":"b"}]"#,
            b"[] ]",
        ] {
            assert!(SavedImage::parse_list(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        let many = format!("[{}]", vec![r#"{"Config":"c"}"#; 65].join(","));
        assert!(matches!(SavedImage::parse_list(many.as_bytes()), Err(DocumentError::Many { .. })));
    }
}
