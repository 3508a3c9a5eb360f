//! Writes bills as CycloneDX 1.6 JSON.
//!
//! Source: the JSON schema `bom-1.6.schema.json` of the CycloneDX specification.

use super::document::{self, TOOL, VERSION};
use super::subject::image_purl;
use super::{About, Bom, Completeness, Component, Evidence as Known, Kind, Subject};
use crate::oci::{Digest, Platform};
use std::collections::BTreeSet;

mod elements;

use elements::{
    Component as Element, Composition, Dependency, Document, Evidence, ExternalReference, Hash,
    Identity, License, Lifecycle, Metadata, Method, Occurrence, Organization, Pedigree, Property,
    Tools,
};

/// The predicate type of an attestation that holds such a document.
pub const PREDICATE_TYPE: &str = "https://cyclonedx.org/bom";

/// The reference of the image.
const ROOT: &str = "image";

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
/// images, by platform, manifest digest and manifest size in bytes, are its components.
/// `subject` is about the index.
pub fn index(subject: &Subject, images: &[(Platform, Digest, u64)]) -> Vec<u8> {
    let mut root = image(subject);
    root.description = Some("An image index: one image a platform.".to_owned());
    let components: Vec<Element> = images
        .iter()
        .map(|(platform, digest, size)| {
            let about = About::Image { platform: Some(platform.clone()), base: None };
            let (digest, size) = (*digest, *size);
            let mut element =
                image(&Subject { digest, size, about, sha512: None, ..subject.clone() });
            element.bom_ref = Some(format!("image-{}", digest.hex()));
            element
        })
        .collect();
    let ids: BTreeSet<String> = components.iter().filter_map(|one| one.bom_ref.clone()).collect();
    let leaf = |id: &String| Dependency { reference: id.clone(), depends_on: BTreeSet::new() };
    let mut dependencies: Vec<Dependency> = ids.iter().map(leaf).collect();
    // What the images are made of is in their own documents.
    let unknown = Composition {
        aggregate: "unknown",
        assemblies: ids.iter().cloned().collect(),
        dependencies: ids.iter().cloned().collect(),
    };
    dependencies.insert(0, Dependency { reference: ROOT.to_owned(), depends_on: ids });
    let assemblies = vec![ROOT.to_owned()];
    let whole = Composition { aggregate: "complete", assemblies, dependencies: Vec::new() };
    let compositions = vec![whole, unknown];
    document::bytes(&frame(subject, true, root, components, dependencies, compositions))
}

fn document(bom: &Bom, subject: &Subject) -> Document {
    // A file is its own subject; everything else is below it.
    let (root, own) = match (&subject.about, bom.roots.as_slice()) {
        (About::File, [only]) => (bom.get(only).map(|c| element(c, subject)), Some(only)),
        _ => (None, None),
    };
    let root = root.unwrap_or_else(|| image(subject));
    let components: Vec<&Component> =
        bom.components.iter().filter(|component| Some(&component.id) != own).collect();
    let mut dependencies: Vec<Dependency> = bom.components.iter().map(dependency).collect();
    if own.is_none() {
        let parts: BTreeSet<String> = bom.roots.iter().map(ToString::to_string).collect();
        dependencies.insert(0, Dependency { reference: ROOT.to_owned(), depends_on: parts });
    }
    let elements = components.iter().map(|component| element(component, subject)).collect();
    let compositions = compositions(bom, own.is_none());
    let mut document = frame(subject, bom.built, root, elements, dependencies, compositions);
    let gaps = bom.gaps.iter();
    let gaps = gaps.map(|gap| property("gap", &format!("{}: {}: {}", gap.path, gap.what, gap.why)));
    document.properties = gaps.collect();
    document
}

/// Makes a document about what was built, or found, of all that is in it.
fn frame(
    subject: &Subject,
    built: bool,
    root: Element,
    components: Vec<Element>,
    dependencies: Vec<Dependency>,
    compositions: Vec<Composition>,
) -> Document {
    Document {
        schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: format!("urn:uuid:{}", document::uuid(&subject.digest, "cyclonedx-1.6")),
        version: 1,
        metadata: Metadata {
            timestamp: subject.epoch.to_string(),
            lifecycles: vec![Lifecycle { phase: if built { "build" } else { "post-build" } }],
            tools: Tools { components: vec![tool()] },
            supplier: supplier(subject),
            component: root,
        },
        components,
        dependencies,
        compositions,
        properties: Vec::new(),
    }
}

fn tool() -> Element {
    let mut tool = Element::new("application", TOOL);
    tool.version = Some(VERSION.to_owned());
    tool
}

fn image(subject: &Subject) -> Element {
    let mut image = Element::new("container", &subject.name);
    image.bom_ref = Some(ROOT.to_owned());
    image.version = Some(subject.digest.to_string());
    image.supplier = supplier(subject);
    image.hashes = hashes(&subject.digest, subject.sha512.as_deref());
    image.licenses = licences(subject.licence.as_deref());
    image.purl = subject.purl();
    image.properties.push(property("size", &subject.size.to_string()));
    let About::Image { platform, base } = &subject.about else { return image };
    if let Some(platform) = platform {
        image.properties.insert(0, property("platform", &platform.to_string()));
    }
    image.pedigree = base.as_ref().map(|(name, digest)| {
        let mut base = Element::new("container", name);
        base.version = Some(digest.to_string());
        base.hashes = vec![hash(digest)];
        base.purl = Some(image_purl(name, digest, platform.as_ref()));
        Pedigree { ancestors: vec![base] }
    });
    image
}

fn element(component: &Component, subject: &Subject) -> Element {
    let kind = match component.kind {
        Kind::OperatingSystem => "operating-system",
        Kind::Executable | Kind::GoMain | Kind::CrateRoot => "application",
        Kind::File => "file",
        _ => "library",
    };
    let mut element = Element::new(kind, &component.name);
    element.bom_ref = Some(component.id.to_string());
    element.version = document::version(component);
    element.supplier = organization(document::supplier(component, subject));
    element.description = document::known_unknown(component).map(str::to_owned);
    element.scope = match component.kind {
        Kind::BuildCrate => Some("excluded"),
        _ => None,
    };
    element.hashes = component
        .file
        .iter()
        .flat_map(|file| hashes(&file.sha256, file.sha512.as_deref()))
        .collect();
    element.licenses = licences(document::licence(component, subject));
    element.copyright.clone_from(&component.copyright);
    element.purl.clone_from(&component.purl);
    // The hash of the package's file is not the hash of what was unpacked from it.
    element.external_references = component
        .archive
        .iter()
        .map(|archive| ExternalReference {
            kind: "distribution",
            url: archive.path.split('/').map(super::purl::encoded).collect::<Vec<_>>().join("/"),
            hashes: vec![hash(&archive.sha256)],
        })
        .collect();
    element.evidence = Some(evidence(component));
    element.properties =
        document::facts(component).iter().map(|(name, value)| property(name, value)).collect();
    element
}

/// Says how it is known what a component is, and how sure that is.
fn evidence(component: &Component) -> Evidence {
    let technique = match component.evidence {
        Known::Content => "hash-comparison",
        Known::BaseRecord | Known::DpkgStatus | Known::ApkDatabase => "manifest-analysis",
        Known::Sidecar => "attestation",
        _ => "binary-analysis",
    };
    let field = match (&component.file, &component.purl) {
        (Some(_), _) => "hash",
        (None, Some(_)) => "purl",
        (None, None) => "name",
    };
    let confidence = f64::from(component.confidence.min(100)) / 100.0;
    let value = component.facts.get("banner").cloned();
    let value = value.unwrap_or_else(|| component.evidence.word().to_owned());
    let offset = component.facts.get("offset").and_then(|offset| offset.parse().ok());
    let location =
        component.file.as_ref().map(|file| Occurrence { location: file.path.clone(), offset });
    Evidence {
        identity: [Identity {
            field,
            confidence,
            methods: [Method { technique, confidence, value }],
        }],
        occurrences: location.into_iter().collect(),
    }
}

fn dependency(component: &Component) -> Dependency {
    let below = component.contains.iter().chain(&component.depends_on);
    Dependency {
        reference: component.id.to_string(),
        depends_on: below.map(ToString::to_string).collect(),
    }
}

/// Says of which components all parts, and of which all dependencies, are listed.
fn compositions(bom: &Bom, image: bool) -> Vec<Composition> {
    let levels = [
        (Completeness::Complete, "complete"),
        (Completeness::Incomplete, "incomplete"),
        (Completeness::Unknown, "unknown"),
    ];
    let of = |level: Completeness, aggregate: &'static str| {
        let ids = |keep: &dyn Fn(&&Component) -> bool| -> Vec<String> {
            bom.components.iter().filter(keep).map(|component| component.id.to_string()).collect()
        };
        let whole = |c: &&Component| {
            matches!(c.kind, Kind::Executable | Kind::Library | Kind::OperatingSystem)
        };
        let mut assemblies = ids(&|c| whole(c) && c.parts == level);
        if image && bom.completeness == level {
            assemblies.insert(0, ROOT.to_owned());
        }
        // Data has no dependencies of its own.
        let dependencies = ids(&|c| c.kind != Kind::File && c.edges == level);
        let some = !assemblies.is_empty() || !dependencies.is_empty();
        some.then_some(Composition { aggregate, assemblies, dependencies })
    };
    levels.into_iter().filter_map(|(level, aggregate)| of(level, aggregate)).collect()
}

fn hash(digest: &Digest) -> Hash {
    Hash { alg: "SHA-256", content: digest.hex() }
}

fn hashes(sha256: &Digest, sha512: Option<&str>) -> Vec<Hash> {
    let long = sha512.map(|text| Hash { alg: "SHA-512", content: text.to_owned() });
    std::iter::once(hash(sha256)).chain(long).collect()
}

fn property(name: &str, value: &str) -> Property {
    Property { name: format!("{TOOL}:{name}"), value: value.to_owned() }
}

fn organization(name: Option<&str>) -> Option<Organization> {
    let name = name.filter(|name| !name.trim().is_empty())?;
    Some(Organization { name: name.to_owned(), url: Vec::new() })
}

/// Returns who gives the subject away.
fn supplier(subject: &Subject) -> Option<Organization> {
    let mut supplier = organization(subject.supplier.as_deref())?;
    supplier.url.extend(subject.supplier_url.clone());
    Some(supplier)
}

fn licences(expression: Option<&str>) -> Vec<License> {
    let licence = |text: &str| License { expression: text.to_owned(), acknowledgement: "declared" };
    expression.map(licence).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bom::testing::{auditable, content, entry, go_binary, image as image_of, layer};
    use crate::bom::{self};
    use crate::image::Origin;
    use serde_json::Value;

    fn subject() -> Subject {
        Subject {
            name: "team/hello".to_owned(),
            digest: Digest::of(b"manifest"),
            size: 8,
            about: About::Image {
                platform: "linux/amd64".parse().ok(),
                base: Some(("static-debian13".to_owned(), Digest::of(b"base"))),
            },
            sha512: None,
            supplier: None,
            supplier_url: None,
            licence: None,
            epoch: "0".parse().unwrap(),
        }
    }

    fn sample() -> Bom {
        let rust = auditable(
            r#"{"packages":[{"name":"r\u0007","version":"1.0.0","source":"local","root":true,"dependencies":[1]},
                {"name":"b","version":"0.2.0","source":"crates.io","kind":"build"}]}"#,
        );
        let go =
            go_binary("mod\ta.b/c\tv1.0.0\t\ndep\ta.b/d\tv1.0.0\th1:aa=\nbuild\tCGO_ENABLED=0\n");
        let entries = vec![
            entry("usr/bin/rust", &rust),
            entry("usr/bin/go", &go),
            entry("usr/bin/broken", b"\x7fELF"),
            entry("etc/a\nb\x1b", b"data"),
        ];
        bom::of(&image_of(vec![layer(Origin::Added, entries)]), &[])
    }

    fn texts(value: &Value) -> Vec<&str> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
    }

    #[test]
    fn every_reference_is_there_once_and_has_its_dependencies() {
        let bytes = to_bytes(&sample(), &subject());
        assert_eq!(bytes, to_bytes(&sample(), &subject()));
        let document: Value = serde_json::from_slice(&bytes).unwrap();
        let components = document["components"].as_array().unwrap();
        let mut refs: Vec<&str> =
            components.iter().map(|component| component["bom-ref"].as_str().unwrap()).collect();
        refs.push(ROOT);
        let unique: BTreeSet<&str> = refs.iter().copied().collect();
        assert_eq!(unique.len(), refs.len());
        let dependencies = document["dependencies"].as_array().unwrap();
        let listed: BTreeSet<&str> =
            dependencies.iter().map(|d| d["ref"].as_str().unwrap()).collect();
        assert_eq!(listed, unique);
        for dependency in dependencies {
            assert!(texts(&dependency["dependsOn"]).iter().all(|to| unique.contains(to)));
        }
        // From the image everything can be reached.
        let mut reached = BTreeSet::from([ROOT]);
        for _ in 0..refs.len() {
            for dependency in dependencies {
                if reached.contains(dependency["ref"].as_str().unwrap()) {
                    reached.extend(texts(&dependency["dependsOn"]));
                }
            }
        }
        assert_eq!(reached, unique);
    }

    #[test]
    fn completeness_is_told_apart() {
        let document = to_value(&sample(), &subject());
        let assemblies = |aggregate: &str| -> String {
            let all = document["compositions"].as_array().unwrap();
            let of = all.iter().find(|c| c["aggregate"] == aggregate).unwrap();
            texts(&of["assemblies"]).join(" ")
        };
        assert!(assemblies("complete").starts_with("image executable-go-"));
        assert!(assemblies("incomplete").starts_with("executable-rust-"));
        assert!(assemblies("unknown").starts_with("executable-broken-"));
        assert_eq!(document["metadata"]["lifecycles"][0]["phase"], "build");
        let gap = document["properties"][0]["value"].as_str().unwrap();
        assert!(gap.starts_with("/usr/bin/broken: the ELF header: "), "{gap}");
    }

    #[test]
    fn a_file_is_its_own_subject() {
        let bytes = go_binary("");
        let subject = Subject { about: About::File, digest: Digest::of(&bytes), ..subject() };
        let document =
            to_value(&bom::file(b"bin/app", &content(&bytes), bom::Detail::All), &subject);
        assert_eq!(document["metadata"]["component"]["type"], "application");
        assert_eq!(
            document["metadata"]["component"]["hashes"][0]["content"],
            Digest::of(&bytes).hex()
        );
        assert_eq!(document["components"].as_array().unwrap().len(), 1);
    }
}
