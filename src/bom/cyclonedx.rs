//! Writes bills as CycloneDX 1.6 JSON.
//!
//! Source: the JSON schema `bom-1.6.schema.json` of the CycloneDX specification.

use super::document::{self, TOOL, VERSION};
use super::subject::image_purl;
use super::{About, Bom, Completeness, Component, Kind, Subject};
use crate::oci::Digest;
use std::collections::BTreeSet;

mod elements;

use elements::{
    Component as Element, Composition, Dependency, Document, ExternalReference, Hash, Lifecycle,
    Metadata, Organization, Pedigree, Property, Tools,
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
    Document {
        schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: format!("urn:uuid:{}", document::uuid(&subject.digest, "cyclonedx-1.6")),
        version: 1,
        metadata: Metadata {
            timestamp: subject.epoch.to_string(),
            lifecycles: vec![Lifecycle { phase: if bom.built { "build" } else { "post-build" } }],
            tools: Tools { components: vec![tool()] },
            supplier: organization(subject.supplier.as_deref()),
            component: root,
        },
        components: components.iter().map(|component| element(component, subject)).collect(),
        dependencies,
        compositions: compositions(bom, own.is_none()),
        properties: bom
            .gaps
            .iter()
            .map(|gap| property("gap", &format!("{}: {}: {}", gap.path, gap.what, gap.why)))
            .collect(),
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
    image.supplier = organization(subject.supplier.as_deref());
    image.hashes = vec![hash(&subject.digest)];
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
    element.hashes = component.file.iter().map(|file| hash(&file.sha256)).collect();
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
    element.properties =
        document::facts(component).iter().map(|(name, value)| property(name, value)).collect();
    element
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

fn property(name: &str, value: &str) -> Property {
    Property { name: format!("{TOOL}:{name}"), value: value.to_owned() }
}

fn organization(name: Option<&str>) -> Option<Organization> {
    let name = name.filter(|name| !name.trim().is_empty())?;
    Some(Organization { name: name.to_owned() })
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
            supplier: None,
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
        let document = to_value(&bom::file(b"bin/app", &content(&bytes)), &subject);
        assert_eq!(document["metadata"]["component"]["type"], "application");
        assert_eq!(
            document["metadata"]["component"]["hashes"][0]["content"],
            Digest::of(&bytes).hex()
        );
        assert_eq!(document["components"].as_array().unwrap().len(), 1);
    }
}
