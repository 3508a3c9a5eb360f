//! Where cosign has kept signatures, attestations and SBOMs: under tags made of the digest.
//!
//! Source: cosign, `specs/SIGNATURE_SPEC.md`, "Storage"; for layouts what `cosign save` writes.

use super::layout::REF_NAME;
use super::{Descriptor, Digest};

/// The ends of such tags.
pub const ENDS: [&str; 3] = ["sig", "att", "sbom"];
/// The annotation by which `cosign save` tells the entries of a layout, and its values.
const KIND: &str = "kind";
const KINDS: [&str; 2] = ["dev.cosignproject.cosign/sigs", "dev.cosignproject.cosign/atts"];

/// Returns the tag of a digest with an end.
pub fn tag(subject: &Digest, end: &str) -> String {
    format!("sha256-{}.{end}", subject.hex())
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
}
