//! What all forms of a bill say in the same words.

use super::{Completeness, Component, Evidence, Kind, Subject};
use crate::oci::Digest;
use crate::oci::digest::hex;
use sha2::{Digest as _, Sha256};

/// The name of the tool.
pub(super) const TOOL: &str = "karat";
/// The version of the tool.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Returns the version of a component for readers who demand one: what nothing names is
/// known by the hash of its bytes.
pub(super) fn version(component: &Component) -> Option<String> {
    let hash = || component.file.as_ref().map(|file| file.sha256.to_string());
    component.version.clone().or_else(hash)
}

/// Returns who gives a component away (SPDX 2.3, 7.5, "actual distribution source"): what
/// exists nowhere but in the subject comes from whoever gives away the subject.
pub(super) fn supplier<'a>(component: &'a Component, subject: &'a Subject) -> Option<&'a str> {
    let subject = subject.supplier.as_deref().filter(|_| is_ours(component));
    component.supplier.as_deref().or(subject)
}

/// Returns the licence of a component, an SPDX expression: its own; of what exists nowhere but
/// in the subject, that of the subject.
pub(super) fn licence<'a>(component: &'a Component, subject: &'a Subject) -> Option<&'a str> {
    let subject = subject.licence.as_deref().filter(|_| is_ours(component));
    component.licence.as_deref().or(subject)
}

fn is_ours(component: &Component) -> bool {
    let local = component.facts.get("cargo:source").is_some_and(|source| source == "local")
        || component.facts.contains_key("go:replaced-by");
    local || component.file.is_some() || matches!(component.kind, Kind::GoMain | Kind::CrateRoot)
}

/// Returns the name of the document that is about a subject, before `#` and an id.
pub(super) fn namespace(name: &str, digest: &Digest) -> String {
    let path: Vec<String> = name.split('/').map(super::purl::encoded).collect();
    format!("https://spdx.org/spdxdocs/{TOOL}/{}-{}", path.join("/"), digest.hex())
}

/// Says what is known to be unknown of a component.
pub(super) fn known_unknown(component: &Component) -> Option<&'static str> {
    Some(match (component.kind, component.parts) {
        (Kind::Executable | Kind::Library, Completeness::Unknown) => {
            "Known unknown: nothing in the file says what it is made of."
        }
        (Kind::Executable | Kind::Library, Completeness::Incomplete) => {
            "Known unknown: native code that is linked into the file is in none of its lists."
        }
        (Kind::OperatingSystem, Completeness::Incomplete | Completeness::Unknown) => {
            "Known unknown: packages of the distribution could not be read."
        }
        (Kind::GoPackage, _) => {
            "Known unknown: the program was built without modules, so that no version is known."
        }
        (Kind::NativeLibrary, _) => {
            "Known unknown: recognised by its own words; what else is linked in need not have any."
        }
        (Kind::Crate, _) if component.evidence == Evidence::PanicPath => {
            "Known unknown: recognised by the paths that panics name; crates without panics are not."
        }
        (Kind::GoMain, _) => {
            "Known unknown: the file does not say which module needs which; all are listed as needed by the main one."
        }
        _ => return None,
    })
}

/// Returns how sure the knowledge of a component is, from 0.00 to 1.00.
fn confidence(component: &Component) -> String {
    let percent = component.confidence.min(100);
    format!("{}.{:02}", percent / 100, percent % 100)
}

/// Returns the facts of a component as names and values, in the order of the names.
pub(super) fn facts(component: &Component) -> Vec<(String, String)> {
    let mut facts: Vec<(String, String)> =
        component.facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    facts.push(("kind".to_owned(), component.kind.word().to_owned()));
    facts.push(("evidence".to_owned(), component.evidence.word().to_owned()));
    facts.push(("confidence".to_owned(), confidence(component)));
    if let Some(language) = component.language {
        facts.push(("language".to_owned(), format!("{language:?}").to_lowercase()));
    }
    if let Some(file) = &component.file {
        facts.push(("path".to_owned(), file.path.clone()));
        facts.push(("size".to_owned(), file.size.to_string()));
    }
    if let Some(source) = &component.source {
        let version = source.version.as_ref().or(component.version.as_ref());
        facts.push(("source-package".to_owned(), source.name.clone()));
        facts.extend(version.map(|v| ("source-version".to_owned(), v.clone())));
    }
    facts.sort();
    facts
}

/// Makes a UUID out of a digest: version 8, which is what RFC 9562 (5.8, B.2) has for names
/// hashed with SHA-256, in the layout of RFC 4122.
pub(super) fn uuid(digest: &Digest, form: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(TOOL.as_bytes());
    hash.update([0]);
    hash.update(form.as_bytes());
    hash.update([0]);
    hash.update(digest.bytes());
    let mut bytes: [u8; 32] = hash.finalize().into();
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes[..16]);
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

/// Writes a document: indented, with one spelling for everything, a line break at the end.
///
/// # Panics
/// Never: the documents have text keys and no numbers that JSON lacks.
pub(super) fn bytes(document: &impl serde::Serialize) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "the documents have text keys and whole numbers")]
    let mut bytes = serde_json::to_vec_pretty(document).expect("the document is JSON");
    bytes.push(b'\n');
    bytes
}

/// Makes the value of a document, for the predicate of an attestation.
///
/// # Panics
/// Never, as [`bytes`].
pub(super) fn value(document: &impl serde::Serialize) -> serde_json::Value {
    #[expect(clippy::expect_used, reason = "the documents have text keys and whole numbers")]
    serde_json::to_value(document).expect("the document is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_have_version_variant_and_no_chance() {
        let digest = Digest::of(b"manifest");
        let first = uuid(&digest, "cyclonedx");
        assert_eq!(first, uuid(&digest, "cyclonedx"));
        assert_ne!(first, uuid(&digest, "other"));
        assert_ne!(first, uuid(&Digest::of(b"another"), "cyclonedx"));
        let lengths: Vec<_> = first.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(&first[14..15], "8");
        assert!("89ab".contains(&first[19..20]));
    }
}
