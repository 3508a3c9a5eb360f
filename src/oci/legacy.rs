//! Where cosign has kept signatures, attestations and SBOMs: under tags made of the digest.
//!
//! Source: cosign, `specs/SIGNATURE_SPEC.md`, "Storage"; for layouts what `cosign save` writes.

use super::document::{Config, DocumentError, History, MAX_LAYERS, Manifest, RootFs};
use super::layout::REF_NAME;
use super::{Descriptor, DiffId, Digest, MediaType};

/// The ends of such tags.
pub const ENDS: [&str; 3] = ["sig", "att", "sbom"];
/// The annotation by which `cosign save` tells the entries of a layout, and its values.
const KIND: &str = "kind";
const KINDS: [&str; 2] = ["dev.cosignproject.cosign/sigs", "dev.cosignproject.cosign/atts"];

/// The kinds by which `cosign verify --local-image` finds the image itself.
const IMAGES: [&str; 2] = ["dev.cosignproject.cosign/image", "dev.cosignproject.cosign/imageIndex"];
/// The configuration of an image of docker's.
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// The time that cosign writes.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// Returns the tag of a digest with an end.
pub fn tag(subject: &Digest, end: &str) -> String {
    format!("sha256-{}.{end}", subject.hex())
}

/// Returns the entry of a layout's index for the manifest of a tag: found by its name, which is the
/// tag, and by its kind, which is all that cosign looks at.
pub fn entry(manifest: &Descriptor, tag: &str) -> Descriptor {
    let mut entry = manifest.bare();
    entry.annotations.insert(REF_NAME.to_owned(), tag.to_owned());
    let kind = [".sig", ".att"].iter().zip(KINDS).find(|(end, _)| tag.ends_with(**end));
    if let Some((_, kind)) = kind {
        entry.annotations.insert(KIND.to_owned(), kind.to_owned());
    }
    entry
}

/// Says in the entry of an image, for cosign, that it is one.
pub fn name_kind(image: &mut Descriptor) {
    let kind = IMAGES[usize::from(image.media_type.is_index())];
    image.annotations.insert(KIND.to_owned(), kind.to_owned());
}

/// A manifest in this form, to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The manifest.
    pub manifest: Vec<u8>,
    /// Its configuration; none where that stays as it is.
    pub config: Option<Vec<u8>>,
}

/// Adds layers to a manifest in this form. What is there stays as and where it is, whoever has put
/// it there; what is new follows in its order. None when all is there.
///
/// # Errors
/// When the layers would be too many.
pub fn joined(
    there: Option<&Manifest>,
    more: &[Descriptor],
) -> Result<Option<Joined>, DocumentError> {
    let mut manifest = there.cloned().unwrap_or_else(|| Manifest {
        schema_version: 2,
        media_type: Some(MediaType::MANIFEST),
        artifact_type: None,
        config: Descriptor::of(MediaType::CONFIG, &[]),
        layers: Vec::new(),
        subject: None,
        annotations: Default::default(),
    });
    let before = manifest.layers.len();
    for layer in more {
        if !manifest.layers.contains(layer) {
            manifest.layers.push(layer.clone());
        }
    }
    let count = manifest.layers.len();
    if count == before {
        return Ok(None);
    }
    if count > MAX_LAYERS {
        let (kind, what) = ("manifest", "layers");
        return Err(DocumentError::Many { kind, what, count, limit: MAX_LAYERS });
    }
    // Who writes it as an artifact has another configuration, which says nothing of the layers.
    let media_type = manifest.config.media_type.clone();
    let lists = media_type == MediaType::CONFIG || media_type.as_str() == DOCKER_CONFIG;
    let config = lists.then(|| config(&manifest.layers));
    if let Some(bytes) = &config {
        manifest.config = Descriptor::of(media_type, bytes);
    }
    Ok(Some(Joined { manifest: manifest.to_bytes(), config }))
}

/// Makes the configuration that cosign writes: that of an image for no platform, whose layers
/// are not compressed.
fn config(layers: &[Descriptor]) -> Vec<u8> {
    let step = History { created: Some(NO_TIME.to_owned()), ..History::default() };
    Config {
        created: Some(NO_TIME.to_owned()),
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: layers.iter().map(|layer| DiffId::from(*layer.digest.bytes())).collect(),
        },
        history: vec![step; layers.len()],
        ..Config::default()
    }
    .to_bytes()
}

/// What an entry of an index is in this form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Legacy {
    /// It has a tag: the digest that it is about, and the tag's end.
    Tagged(Digest, &'static str),
    /// It says that it is one, and not about what.
    Untagged,
}

impl Legacy {
    /// Tells what an entry of an index is; none for an image.
    pub fn of(descriptor: &Descriptor) -> Option<Self> {
        if let Some(name) = descriptor.annotations.get(REF_NAME) {
            for end in ENDS {
                let stem = name.strip_suffix(end).and_then(|rest| rest.strip_suffix('.'));
                let hex = stem.and_then(|stem| stem.strip_prefix("sha256-"));
                if let Some(Ok(subject)) = hex.map(|hex| format!("sha256:{hex}").parse()) {
                    return Some(Self::Tagged(subject, end));
                }
            }
        }
        let kind = descriptor.annotations.get(KIND)?;
        KINDS.contains(&kind.as_str()).then_some(Self::Untagged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::MediaType;

    #[test]
    fn entries_are_told_by_their_names_and_kinds() {
        let subject = Digest::of(b"image");
        let entry = |key: &str, value: &str| {
            let mut entry = Descriptor::of(MediaType::MANIFEST, b"{}");
            entry.annotations.insert(key.to_owned(), value.to_owned());
            Legacy::of(&entry)
        };
        for end in ENDS {
            let found = entry(REF_NAME, &tag(&subject, end));
            assert_eq!(found, Some(Legacy::Tagged(subject, end)));
        }
        for kind in KINDS {
            assert_eq!(entry(KIND, kind), Some(Legacy::Untagged));
        }
        for name in ["v1", "local", "sha256-12.sig", &tag(&subject, "sigs"), &tag(&subject, "")] {
            assert_eq!(entry(REF_NAME, name), None, "{name}");
        }
        let folded = tag(&subject, "sig").to_uppercase();
        assert_eq!(entry(REF_NAME, &folded), None);
        assert_eq!(entry(KIND, "dev.cosignproject.cosign/image"), None);
    }

    #[test]
    fn entries_are_written_as_they_are_read() {
        let subject = Digest::of(b"image");
        let mut manifest = Descriptor::of(MediaType::MANIFEST, b"{}");
        for (end, kind) in ENDS.iter().zip([Some(KINDS[0]), Some(KINDS[1]), None]) {
            let mut entry = entry(&manifest, &tag(&subject, end));
            assert_eq!(Legacy::of(&entry), Some(Legacy::Tagged(subject, end)));
            assert_eq!(entry.annotations.get(KIND).map(String::as_str), kind);
            entry.annotations.remove(REF_NAME);
            assert_eq!(Legacy::of(&entry), kind.map(|_| Legacy::Untagged));
        }
        name_kind(&mut manifest);
        assert_eq!((Legacy::of(&manifest), &*manifest.annotations[KIND]), (None, IMAGES[0]));
        let mut index = Descriptor::of(MediaType::INDEX, b"{}");
        name_kind(&mut index);
        assert_eq!(index.annotations[KIND], IMAGES[1]);
    }

    fn layer(bytes: &[u8], signature: &str) -> Descriptor {
        let mut layer = Descriptor::of(MediaType::from("application/x".to_owned()), bytes);
        layer.annotations.insert("signature".to_owned(), signature.to_owned());
        layer
    }

    #[test]
    fn what_others_have_put_there_stays() {
        let (ours, theirs) = (layer(b"payload", "ours"), layer(b"payload", "theirs"));
        let first = joined(None, &[theirs.clone(), theirs.clone()]).unwrap().unwrap();
        let mut first = Manifest::parse(&first.manifest).unwrap();
        assert_eq!(first.layers, std::slice::from_ref(&theirs));
        first.annotations.insert("note".to_owned(), "kept".to_owned());
        let both = joined(Some(&first), std::slice::from_ref(&ours)).unwrap().unwrap();
        let second = Manifest::parse(&both.manifest).unwrap();
        assert_eq!(second.layers, [theirs.clone(), ours.clone()]);
        assert_eq!(second.annotations, first.annotations);
        let config = both.config.unwrap();
        assert_eq!(second.config, Descriptor::of(MediaType::CONFIG, &config));
        let ids = Config::parse(&config).unwrap().rootfs.diff_ids;
        assert!(ids.iter().map(DiffId::bytes).eq([ours.digest.bytes(), theirs.digest.bytes()]));
        assert_eq!(joined(Some(&second), &[ours.clone(), theirs]).unwrap(), None);
        // The configuration of an artifact is its maker's.
        first.config = Descriptor::of(MediaType::EMPTY, b"{}");
        let kept = joined(Some(&first), &[ours]).unwrap().unwrap();
        assert_eq!(kept.config, None);
        assert_eq!(Manifest::parse(&kept.manifest).unwrap().config, first.config);
    }

    #[test]
    fn nobody_can_be_made_to_write_more_layers_than_are_read() {
        let layers: Vec<_> = (0..=MAX_LAYERS).map(|n| layer(b"x", &n.to_string())).collect();
        let full = joined(None, &layers[1..]).unwrap().unwrap();
        let full = Manifest::parse(&full.manifest).unwrap();
        let refused = joined(Some(&full), &layers[..1]).unwrap_err();
        assert!(matches!(refused, DocumentError::Many { count: 128, limit: 127, .. }));
    }
}
