//! Writes bills as SPDX 2.3 JSON.
//!
//! Source: SPDX specification 2.3, clauses 6 (document), 7 (packages), 11 (relationships) and
//! 12 (annotations). Files are packages with their name and hash: a package that is not
//! analysed must not contain File elements (clause 7.8).

use super::document::{self, TOOL, VERSION};
use super::subject::image_purl;
use super::{About, Bom, Completeness, Component, Kind, Subject};
use crate::oci::{Digest, Platform};
use crate::time::Epoch;

mod elements;

use elements::{
    Annotation, Checksum, CreationInfo, Document, ExternalRef, NOASSERTION, Package, Relationship,
};

/// The predicate type of an attestation that holds such a document.
pub const PREDICATE_TYPE: &str = "https://spdx.dev/Document";

/// Returns the document as indented JSON with a line break at the end: the same bytes for the
/// same bill and subject, on every machine.
pub fn to_bytes(bom: &Bom, subject: &Subject) -> Vec<u8> {
    document::bytes(&document(bom, subject))
}

/// Returns the document as a value, for the predicate of an attestation.
pub fn to_value(bom: &Bom, subject: &Subject) -> serde_json::Value {
    document::value(&document(bom, subject))
}

/// Returns the document of an image index as indented JSON with a line break at the end: its
/// images, by platform, manifest digest and manifest size in bytes, are variants of it.
/// `subject` is about the index.
pub fn index(subject: &Subject, images: &[(Platform, Digest, u64)]) -> Vec<u8> {
    let (name, supplier) = (&subject.name, subject.supplier.as_deref());
    let root_id = id("index");
    let mut root = container(root_id.clone(), name, &subject.digest, None, supplier);
    root.checksums.extend(subject.sha512.as_deref().map(Checksum::sha512));
    root.licence(subject.licence.as_deref());
    root.comment = Some("An image index: one image a platform.".to_owned());
    let mut packages = vec![root];
    let mut relationships = vec![Relationship::new(DOCUMENT, "DESCRIBES", &root_id)];
    for (platform, image, size) in images {
        let image_id = id(&format!("image-{}", image.hex()));
        let mut package = container(image_id.clone(), name, image, Some(platform), supplier);
        package.comment = Some(format!("platform: {platform}; manifest: {size} bytes"));
        package.licence(subject.licence.as_deref());
        packages.push(package);
        relationships.push(Relationship::new(&root_id, "CONTAINS", &image_id));
        relationships.push(Relationship::new(&image_id, "VARIANT_OF", &root_id));
    }
    document::bytes(&frame(subject, packages, relationships, Vec::new(), "build"))
}

const DOCUMENT: &str = "SPDXRef-DOCUMENT";

fn id(text: &str) -> String {
    format!("SPDXRef-{text}")
}

fn document(bom: &Bom, subject: &Subject) -> Document {
    let mut packages = Vec::new();
    let mut relationships = Vec::new();
    if let About::Image { platform, base } = &subject.about {
        let root_id = id("image");
        let name = &subject.name;
        let supplier = subject.supplier.as_deref();
        let mut root =
            container(root_id.clone(), name, &subject.digest, platform.as_ref(), supplier);
        root.comment = Some(format!("manifest: {} bytes", subject.size));
        root.checksums.extend(subject.sha512.as_deref().map(Checksum::sha512));
        root.licence(subject.licence.as_deref());
        if let Some(copyright) = bom.copyright() {
            root.copyright_text = copyright;
        }
        packages.push(root);
        relationships.push(Relationship::new(DOCUMENT, "DESCRIBES", &root_id));
        if let Some((name, digest)) = base {
            let base_id = id("base-image");
            // Its layers are given away with the image.
            packages.push(container(base_id.clone(), name, digest, platform.as_ref(), supplier));
            relationships.push(Relationship::new(&root_id, "DESCENDANT_OF", &base_id));
        }
        for part in &bom.roots {
            relationships.push(Relationship::new(&root_id, "CONTAINS", &id(part.as_str())));
        }
        if bom.completeness != Completeness::Complete {
            relationships.push(Relationship::new(&root_id, "CONTAINS", NOASSERTION));
        }
    } else {
        for part in &bom.roots {
            relationships.push(Relationship::new(DOCUMENT, "DESCRIBES", &id(part.as_str())));
        }
    }
    for component in &bom.components {
        packages.push(package(component, subject));
        relate(component, &mut relationships);
    }
    let gaps = bom
        .gaps
        .iter()
        .map(|gap| {
            annotation(subject.epoch, format!("Not read: {}: {}: {}", gap.path, gap.what, gap.why))
        })
        .collect();
    let kind = if bom.built { "build" } else { "analyzed" };
    frame(subject, packages, relationships, gaps, kind)
}

fn frame(
    subject: &Subject,
    packages: Vec<Package>,
    relationships: Vec<Relationship>,
    annotations: Vec<Annotation>,
    kind: &str,
) -> Document {
    let Subject { name, digest, .. } = subject;
    Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        spdx_id: DOCUMENT,
        name: format!("{name}@{digest}"),
        document_namespace: document::namespace(name, digest),
        creation_info: CreationInfo {
            created: subject.epoch.to_string(),
            creators: vec![format!("Tool: {TOOL}-{VERSION}")],
            comment: format!("SBOM Type: {kind}"),
        },
        packages,
        relationships,
        annotations,
    }
}

/// Makes the package of an image or an index.
fn container(
    spdx_id: String,
    name: &str,
    digest: &Digest,
    platform: Option<&Platform>,
    supplier: Option<&str>,
) -> Package {
    let mut package = Package::new(spdx_id, name, "CONTAINER");
    package.version_info = digest.to_string();
    package.supplier = person(supplier);
    package.checksums = vec![Checksum::sha256(digest)];
    package.external_refs = vec![ExternalRef::purl(image_purl(name, digest, platform))];
    package
}

fn package(component: &Component, subject: &Subject) -> Package {
    let purpose = match component.kind {
        Kind::OperatingSystem => "OPERATING-SYSTEM",
        Kind::Executable | Kind::GoMain | Kind::CrateRoot => "APPLICATION",
        Kind::File => "FILE",
        _ => "LIBRARY",
    };
    let mut package = Package::new(id(component.id.as_str()), &component.name, purpose);
    package.version_info = document::version(component).unwrap_or_else(|| NOASSERTION.to_owned());
    package.supplier = person(document::supplier(component, subject));
    if let Some(file) = &component.file {
        package.package_file_name = Some(file.path.clone());
        let long = file.sha512.as_deref().map(Checksum::sha512);
        package.checksums = std::iter::once(Checksum::sha256(&file.sha256)).chain(long).collect();
    }
    if let Some(archive) = &component.archive {
        package.package_file_name = archive.path.rsplit('/').next().map(str::to_owned);
        package.checksums = vec![Checksum::sha256(&archive.sha256)];
    }
    package.licence(document::licence(component, subject));
    if let Some(copyright) = &component.copyright {
        package.copyright_text.clone_from(copyright);
    }
    package.external_refs = component.purl.iter().cloned().map(ExternalRef::purl).collect();
    package.comment = document::known_unknown(component).map(str::to_owned);
    let facts = document::facts(component).into_iter();
    let facts: Vec<String> = facts.map(|(name, value)| format!("{name}: {value}")).collect();
    package.source_info = Some(facts.join("; "));
    package
}

fn relate(component: &Component, relationships: &mut Vec<Relationship>) {
    let from = id(component.id.as_str());
    for part in &component.contains {
        relationships.push(Relationship::new(&from, "CONTAINS", &id(part.as_str())));
    }
    for needed in &component.depends_on {
        let to = id(needed.as_str());
        relationships.push(match needed.as_str().starts_with(Kind::BuildCrate.word()) {
            true => Relationship::new(&to, "BUILD_DEPENDENCY_OF", &from),
            false => Relationship::new(&from, "DEPENDS_ON", &to),
        });
    }
    let whole = matches!(component.kind, Kind::Executable | Kind::Library | Kind::OperatingSystem);
    if whole && component.parts != Completeness::Complete {
        relationships.push(Relationship::new(&from, "CONTAINS", NOASSERTION));
    }
    if component.edges == Completeness::Complete && component.depends_on.is_empty() && !whole {
        relationships.push(Relationship::new(&from, "DEPENDS_ON", "NONE"));
    }
}

fn person(name: Option<&str>) -> String {
    name.filter(|name| !name.trim().is_empty())
        .map_or_else(|| NOASSERTION.to_owned(), |name| format!("Organization: {name}"))
}

fn annotation(epoch: Epoch, comment: String) -> Annotation {
    Annotation {
        annotation_date: epoch.to_string(),
        annotation_type: "OTHER",
        annotator: format!("Tool: {TOOL}-{VERSION}"),
        comment,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bom::testing::{auditable, content, entry, go_binary, image, layer};
    use crate::bom::{self};
    use crate::image::Origin;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn subject() -> Subject {
        Subject {
            name: "team/hello".to_owned(),
            digest: Digest::of(b"manifest"),
            size: 8,
            about: About::Image {
                platform: "linux/arm64".parse().ok(),
                base: Some(("static-debian13".to_owned(), Digest::of(b"base"))),
            },
            sha512: None,
            supplier: None,
            supplier_url: None,
            licence: None,
            epoch: "1795392000".parse().unwrap(),
        }
    }

    fn hostile() -> Bom {
        let rust = auditable(
            r#"{"packages":[{"name":"r\u001b\n\"","version":"1.0.0","source":"local","root":true,"dependencies":[1,2]},
                {"name":"b","version":"0.2.0","source":"crates.io","kind":"build"},
                {"name":"c","version":"0.3.0","source":"crates.io"}]}"#,
        );
        let entries = vec![
            entry("usr/bin/rust", &rust),
            entry("usr/bin/go", &go_binary("mod\ta.b/c\tv1.0.0\t\ndep\ta.b/d\tv1.0.0\th1:aa=\n")),
            entry("usr/bin/broken", b"\x7fELF"),
            entry("etc/a\nb\x1b", b"data"),
        ];
        bom::of(&image(vec![layer(Origin::Added, entries)]), &[])
    }

    fn relationships(document: &Value) -> BTreeSet<(String, String, String)> {
        let text = |r: &Value, key: &str| r[key].as_str().unwrap().to_owned();
        let all = document["relationships"].as_array().unwrap().iter();
        all.map(|r| {
            (text(r, "spdxElementId"), text(r, "relationshipType"), text(r, "relatedSpdxElement"))
        })
        .collect()
    }

    #[test]
    fn documents_are_reproducible_and_ids_hold() {
        let bytes = to_bytes(&hostile(), &subject());
        assert_eq!(bytes, to_bytes(&hostile(), &subject()));
        assert!(bytes.ends_with(b"}\n"));
        let document: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(document, to_value(&hostile(), &subject()));
        let packages = document["packages"].as_array().unwrap();
        let ids: BTreeSet<&str> =
            packages.iter().map(|package| package["SPDXID"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), packages.len());
        // Clause 3.2: letters, digits, `.` and `-`.
        let plain = |id: &&str| {
            id.strip_prefix("SPDXRef-").is_some_and(|id| {
                id.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))
            })
        };
        assert!(ids.iter().all(plain));
        let special = ["SPDXRef-DOCUMENT", "NONE", "NOASSERTION"];
        for (from, kind, to) in relationships(&document) {
            for end in [from.as_str(), to.as_str()] {
                assert!(ids.contains(end) || special.contains(&end), "{from} {kind} {to}");
            }
        }
    }

    #[test]
    fn the_image_is_described_and_everything_hangs_below_it() {
        let bom = hostile();
        let document = to_value(&bom, &subject());
        assert_eq!(document["creationInfo"]["created"], "2026-11-23T00:00:00Z");
        let hex = Digest::of(b"manifest").hex();
        assert_eq!(
            document["documentNamespace"],
            format!("https://spdx.org/spdxdocs/karat/team/hello-{hex}")
        );
        let root = &document["packages"][0];
        assert_eq!(root["primaryPackagePurpose"], "CONTAINER");
        assert_eq!(root["checksums"][0]["checksumValue"], hex);
        assert_eq!(
            root["externalRefs"][0]["referenceLocator"],
            format!("pkg:oci/hello@sha256:{hex}?arch=arm64")
        );
        let relationships = relationships(&document);
        let has = |from: &str, kind: &str, to: &str| {
            relationships.iter().any(|(f, k, t)| f.contains(from) && k == kind && t.contains(to))
        };
        assert!(has("DOCUMENT", "DESCRIBES", "SPDXRef-image"));
        assert!(has("SPDXRef-image", "DESCENDANT_OF", "SPDXRef-base-image"));
        assert!(has("SPDXRef-image", "CONTAINS", "executable-go-"));
        assert!(has("executable-go-", "CONTAINS", "go-main-a.b-c-"));
        assert!(has("go-main-a.b-c-", "DEPENDS_ON", "go-module-a.b-d-"));
        assert!(has("go-main-a.b-c-", "DEPENDS_ON", "go-standard-library"));
        assert!(has("executable-rust-", "CONTAINS", "crate-root-r-"));
        assert!(has("crate-root-r-", "DEPENDS_ON", "SPDXRef-crate-c-"));
        assert!(has("SPDXRef-build-crate-b-", "BUILD_DEPENDENCY_OF", "crate-root-r-"));
        assert!(has("executable-broken-", "CONTAINS", "NOASSERTION"));
        let gaps = document["annotations"].as_array().unwrap();
        assert_eq!(gaps.len(), 1);
        assert_eq!(gaps[0]["annotationDate"], "2026-11-23T00:00:00Z");
        assert!(gaps[0]["comment"].as_str().unwrap().contains("/usr/bin/broken"));
    }

    #[test]
    fn checksums_are_hashes_of_files_only() {
        let document = to_value(&hostile(), &subject());
        for package in document["packages"].as_array().unwrap() {
            let of_file = package["packageFileName"].is_string();
            let container = package["primaryPackagePurpose"] == "CONTAINER";
            assert_eq!(package["checksums"].is_array(), of_file || container, "{package}");
            assert_eq!(package["filesAnalyzed"], false);
        }
        assert!(document.to_string().contains("go:sum: h1:aa="));
    }

    #[test]
    fn only_what_is_nowhere_else_comes_from_the_supplier_of_the_image() {
        let subject = Subject { supplier: Some("Us".to_owned()), ..subject() };
        let rust = auditable(
            r#"{"packages":[{"name":"r","version":"1.0.0","source":"local","root":true,"dependencies":[1,2]},
                {"name":"l","version":"1.0.0","source":"local"},
                {"name":"g","version":"1.0.0","source":"git"}]}"#,
        );
        let layers = vec![layer(Origin::Added, vec![entry("app", &rust)])];
        let document = to_value(&bom::of(&image(layers), &[]), &subject);
        for (name, supplier) in [
            ("app", "Organization: Us"),
            ("r", "Organization: Us"),
            ("l", "Organization: Us"),
            ("g", "NOASSERTION"),
            ("std", "Organization: The Rust Project"),
        ] {
            let mut packages = document["packages"].as_array().unwrap().iter();
            let package = packages.find(|package| package["name"] == name).unwrap();
            assert_eq!(package["supplier"], supplier, "{name}");
        }
    }

    #[test]
    fn one_file_describes_itself() {
        let bytes = go_binary("");
        let bom = bom::file(b"app", &content(&bytes), bom::Detail::All);
        let subject = Subject {
            name: "app".to_owned(),
            digest: Digest::of(&bytes),
            about: About::File,
            ..subject()
        };
        let document = to_value(&bom, &subject);
        assert!(relationships(&document).iter().any(|(from, kind, to)| {
            from == DOCUMENT && kind == "DESCRIBES" && to.contains("executable-app-")
        }));
    }

    #[test]
    fn an_index_has_its_images_as_variants() {
        let platforms = ["linux/amd64", "linux/arm/v7"];
        let images: Vec<_> = platforms
            .iter()
            .map(|text| (text.parse().unwrap(), Digest::of(text.as_bytes()), 500))
            .collect();
        let subject = Subject {
            name: "a/b".to_owned(),
            digest: Digest::of(b"index"),
            epoch: Epoch::default(),
            ..subject()
        };
        let bytes = index(&subject, &images);
        let document: Value = serde_json::from_slice(&bytes).unwrap();
        let variants = relationships(&document);
        let variants =
            variants.iter().filter(|(_, kind, to)| kind == "VARIANT_OF" && to == "SPDXRef-index");
        assert_eq!(variants.count(), 2);
        assert_eq!(document["creationInfo"]["created"], "1970-01-01T00:00:00Z");
    }
}
