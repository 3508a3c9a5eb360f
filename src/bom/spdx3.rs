//! Writes bills as SPDX 3.0.1 JSON-LD.
//!
//! Source: SPDX specification 3.0.1, model "Core", "Software" and "SimpleLicensing", annex
//! "RDF serialization". Executables are packages, and the file that they are given away in
//! is an element of its own (`hasDistributionArtifact`): that is where BSI TR-03183-2 wants
//! the hashes. A licence or a copyright that nothing states is left out, which SPDX reads
//! as "no assertion".

use super::document::{self, TOOL, VERSION};
use super::subject::{image_purl, web_address};
use super::{About, Bom, Completeness, Component, Id, Kind, Subject};
use crate::oci::digest::hex;
use crate::oci::{Digest, Platform};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

mod elements;

use elements::{CREATION, Creation, Document, Element, ExternalIdentifier, Hash, Node};

/// The predicate type of an attestation that holds such a document.
pub const PREDICATE_TYPE: &str = "https://spdx.dev/Document/v3";

/// Returns the document as indented JSON with a line break at the end: the same bytes for the
/// same bill and subject, on every machine.
pub fn to_bytes(bom: &Bom, subject: &Subject) -> Vec<u8> {
    let mut writer = Writer::new(subject);
    let roots = match subject.about {
        About::Image { .. } => vec![writer.image(bom)],
        About::File => bom.roots.iter().map(|root| writer.id(root.as_str())).collect(),
    };
    for component in &bom.components {
        writer.component(component);
    }
    for gap in &bom.gaps {
        let statement = format!("Not read: {}: {}: {}", gap.path, gap.what, gap.why);
        writer.annotation(&roots, statement);
    }
    writer.finish(roots, if bom.built { "build" } else { "analyzed" })
}

/// Returns the document of an image index as indented JSON with a line break at the end: its
/// images, by platform, manifest digest and manifest size in bytes, are variants of it.
/// `subject` is about the index.
pub fn index(subject: &Subject, images: &[(Platform, Digest, u64)]) -> Vec<u8> {
    let mut writer = Writer::new(subject);
    let root = writer.id("index");
    let mut element = writer.container(root.clone(), &subject.name, &subject.digest, None);
    element.comment = Some("An image index: one image a platform.".to_owned());
    writer.push(element);
    writer.licences(&root, subject.licence.as_deref());
    let mut variants = BTreeSet::new();
    for (platform, digest, size) in images {
        let id = writer.id(&format!("image-{}", digest.hex()));
        let mut element = writer.container(id.clone(), &subject.name, digest, Some(platform));
        element.comment = Some(format!("platform: {platform}; manifest: {size} bytes"));
        writer.push(element);
        writer.licences(&id, subject.licence.as_deref());
        variants.insert(id);
    }
    writer.relate(&root, "contains", variants.clone(), Completeness::Complete);
    writer.relate(&root, "hasVariant", variants, Completeness::Complete);
    writer.finish(vec![root], "build")
}

/// What is said of a component that is known to need nothing. SPDX has an element for "none",
/// but readers take an edge to it for one that leads nowhere.
const LEAF: &str = "Complete: it needs nothing else.";

/// Collects the elements of a document.
struct Writer<'a> {
    subject: &'a Subject,
    namespace: String,
    elements: Vec<Element>,
    /// Who gives things away, by name; and licence expressions by their text.
    agents: BTreeMap<String, String>,
    expressions: BTreeMap<String, String>,
    relationships: usize,
}

impl<'a> Writer<'a> {
    fn new(subject: &'a Subject) -> Self {
        Self {
            subject,
            namespace: document::namespace(&subject.name, &subject.digest),
            elements: Vec::new(),
            agents: BTreeMap::new(),
            expressions: BTreeMap::new(),
            relationships: 0,
        }
    }

    fn id(&self, text: &str) -> String {
        format!("{}#{text}", self.namespace)
    }

    fn push(&mut self, element: Element) {
        self.elements.push(element);
    }

    /// Adds the image and what it is made of at first sight; returns its id.
    fn image(&mut self, bom: &Bom) -> String {
        let subject = self.subject;
        let id = self.id("image");
        let About::Image { platform, base } = &subject.about else { return id };
        let mut image =
            self.container(id.clone(), &subject.name, &subject.digest, platform.as_ref());
        image.comment = Some(format!("manifest: {} bytes", subject.size));
        image.copyright_text = bom.copyright();
        self.push(image);
        self.licences(&id, subject.licence.as_deref());
        let manifest = self.id("image-manifest");
        let mut file = Element::new("software_File", manifest.clone()).named("manifest.json");
        file.file_kind = Some("file");
        file.primary_purpose = Some("manifest");
        // BSI TR-03183-2, 8.1.6: a `container` is what can be taken apart again.
        file.additional_purpose = vec!["container"];
        file.verified_using = hashes(&subject.digest, subject.sha512.as_deref());
        self.push(file);
        self.relate(&id, "hasDistributionArtifact", [manifest].into(), Completeness::Complete);
        if let Some((name, digest)) = base {
            let base = self.id("base-image");
            let element = self.container(base.clone(), name, digest, platform.as_ref());
            self.push(element);
            self.relate(&id, "descendantOf", [base].into(), Completeness::Complete);
        }
        let parts: BTreeSet<_> = bom.roots.iter().map(|root| self.id(root.as_str())).collect();
        if !parts.is_empty() {
            self.relate(&id, "contains", parts, bom.completeness);
        }
        id
    }

    /// Makes the package of an image or an index.
    fn container(
        &mut self,
        id: String,
        name: &str,
        digest: &Digest,
        platform: Option<&Platform>,
    ) -> Element {
        let mut image = Element::new("software_Package", id).named(name);
        image.primary_purpose = Some("container");
        image.package_version = Some(digest.to_string());
        image.verified_using = hashes(digest, None);
        self.purl(&mut image, image_purl(name, digest, platform));
        let supplier = self.subject.supplier.clone();
        self.given_by(&mut image, supplier.as_deref());
        image
    }

    fn component(&mut self, component: &Component) {
        let id = self.id(component.id.as_str());
        let supplier = document::supplier(component, self.subject).map(str::to_owned);
        let facts = document::facts(component).into_iter();
        let facts: Vec<String> = facts.map(|(name, value)| format!("{name}: {value}")).collect();
        let facts = facts.join("; ");
        let unknown = document::known_unknown(component).map(str::to_owned);
        if component.kind == Kind::File {
            let mut file = Element::new("software_File", id.clone()).named(&component.name);
            file.file_kind = Some("file");
            file.primary_purpose = Some("data");
            file.comment = Some(facts);
            file.verified_using = own_hashes(component);
            self.given_by(&mut file, supplier.as_deref());
            self.push(file);
            return self.licences(&id, document::licence(component, self.subject));
        }
        let mut package = Element::new("software_Package", id.clone()).named(&component.name);
        package.primary_purpose = Some(match component.kind {
            Kind::OperatingSystem => "operatingSystem",
            Kind::Executable | Kind::GoMain | Kind::CrateRoot => "application",
            _ => "library",
        });
        package.package_version = document::version(component);
        let leaf = component.edges == Completeness::Complete && component.depends_on.is_empty();
        package.comment = unknown.or_else(|| leaf.then(|| LEAF.to_owned()));
        package.source_info = Some(facts);
        package.copyright_text.clone_from(&component.copyright);
        if let Some(purl) = &component.purl {
            self.purl(&mut package, purl.clone());
        }
        self.given_by(&mut package, supplier.as_deref());
        self.push(package);
        self.licences(&id, document::licence(component, self.subject));
        self.distributed(component, &id);
        self.edges(component, &id);
    }

    /// Adds the file that a component is given away in.
    fn distributed(&mut self, component: &Component, id: &str) {
        let (name, hashes) = match (&component.file, &component.archive) {
            (Some(file), _) => (file.path.as_str(), own_hashes(component)),
            (None, Some(archive)) => (archive.path.as_str(), hashes(&archive.sha256, None)),
            (None, None) => return,
        };
        let file_id = format!("{id}-file");
        let name = name.rsplit('/').next().unwrap_or(name);
        let mut file = Element::new("software_File", file_id.clone()).named(name);
        file.file_kind = Some("file");
        // BSI TR-03183-2, 8.1.6: `firmware` is its word for what is not taken apart again.
        (file.primary_purpose, file.additional_purpose) = match component.kind {
            Kind::Executable => (Some("executable"), vec!["firmware"]),
            Kind::Library => (Some("library"), vec!["firmware"]),
            _ => (Some("archive"), vec!["container"]),
        };
        file.verified_using = hashes;
        self.push(file);
        self.relate(id, "hasDistributionArtifact", [file_id].into(), Completeness::Complete);
    }

    fn edges(&mut self, component: &Component, id: &str) {
        let whole =
            matches!(component.kind, Kind::Executable | Kind::Library | Kind::OperatingSystem);
        let ids = |writer: &Self, parts: &BTreeSet<Id>, build: bool| -> BTreeSet<String> {
            let of_build = |part: &&Id| part.as_str().starts_with(Kind::BuildCrate.word()) == build;
            parts.iter().filter(of_build).map(|part| writer.id(part.as_str())).collect()
        };
        let contains = component.contains.iter().map(|part| self.id(part.as_str())).collect();
        if !component.contains.is_empty() {
            let known = if whole { component.parts } else { component.edges };
            self.relate(id, "contains", contains, known);
        }
        let needed = ids(self, &component.depends_on, false);
        if !needed.is_empty() {
            self.relate(id, "dependsOn", needed, component.edges);
        }
        let tools = ids(self, &component.depends_on, true);
        if !tools.is_empty() {
            let completeness = component.edges;
            let mut relationship = self.relationship(id, "dependsOn", tools, completeness);
            relationship.kind = "LifecycleScopedRelationship";
            relationship.scope = Some("build");
            self.push(relationship);
        }
    }

    fn relate(
        &mut self,
        from: &str,
        kind: &'static str,
        to: BTreeSet<String>,
        completeness: Completeness,
    ) {
        let relationship = self.relationship(from, kind, to, completeness);
        self.push(relationship);
    }

    fn relationship(
        &mut self,
        from: &str,
        kind: &'static str,
        to: BTreeSet<String>,
        completeness: Completeness,
    ) -> Element {
        self.relationships += 1;
        let id = self.id(&format!("relationship-{}", self.relationships));
        let mut relationship = Element::new("Relationship", id);
        relationship.from = Some(from.to_owned());
        relationship.relationship_type = Some(kind);
        relationship.to = to;
        relationship.completeness = Some(match completeness {
            Completeness::Complete => "complete",
            Completeness::Incomplete => "incomplete",
            Completeness::Unknown => "noAssertion",
        });
        relationship
    }

    fn annotation(&mut self, roots: &[String], statement: String) {
        self.relationships += 1;
        let id = self.id(&format!("annotation-{}", self.relationships));
        let mut annotation = Element::new("Annotation", id);
        annotation.annotation_type = Some("other");
        annotation.subject = roots.first().cloned();
        annotation.statement = Some(statement);
        self.push(annotation);
    }

    fn purl(&self, element: &mut Element, purl: String) {
        element.external_identifier = vec![ExternalIdentifier::new("packageUrl", purl.clone())];
        element.package_url = Some(purl);
    }

    /// Says who supplies an artifact and who made it, as far as it is known.
    fn given_by(&mut self, element: &mut Element, supplier: Option<&str>) {
        let Some(name) = supplier.filter(|name| !name.trim().is_empty()) else { return };
        let next = self.id(&format!("agent-{}", short(name)));
        let id = self.agents.entry(name.to_owned()).or_insert(next).clone();
        element.supplied_by = Some(id.clone());
        element.originated_by = vec![id];
    }

    /// Says the licence of an artifact: what is declared is all that is known, and so is what
    /// is concluded.
    fn licences(&mut self, id: &str, expression: Option<&str>) {
        let Some(expression) = expression else { return };
        let next = self.id(&format!("licence-{}", short(expression)));
        let licence = self.expressions.entry(expression.to_owned()).or_insert(next).clone();
        for kind in ["hasConcludedLicense", "hasDeclaredLicense"] {
            self.relate(id, kind, [licence.clone()].into(), Completeness::Complete);
        }
    }

    fn agent(&self, name: &str, id: &str) -> Element {
        let mut agent = Element::new("Organization", id.to_owned()).named(name);
        let ours = self.subject.supplier.as_deref() == Some(name);
        let place = match ours {
            true => self.subject.supplier_url.clone(),
            // Who keeps a Go module is named by where it is kept.
            false => name.contains('.').then(|| format!("https://{name}")),
        };
        let place = place.filter(|place| web_address(place));
        agent.external_identifier =
            place.into_iter().map(|url| ExternalIdentifier::new("urlScheme", url)).collect();
        agent
    }

    fn finish(mut self, roots: Vec<String>, kind: &'static str) -> Vec<u8> {
        let subject = self.subject;
        let tool = self.id("tool");
        let data_licence = self.id("licence-of-the-document");
        let mut own = vec![Element::new("Tool", tool.clone()).named(&format!("{TOOL}-{VERSION}"))];
        // The document is made by whoever gives the subject away; without a name, by the tool.
        let author = match subject.supplier.as_deref().and_then(|name| self.agents.get(name)) {
            Some(agent) => agent.clone(),
            None => {
                let id = self.id("author");
                let name = format!("{TOOL}-{VERSION}");
                own.push(Element::new("SoftwareAgent", id.clone()).named(&name));
                id
            }
        };
        own.extend(self.agents.iter().map(|(name, id)| self.agent(name, id)));
        let expressions = [("CC0-1.0".to_owned(), data_licence.clone())];
        for (text, id) in expressions.into_iter().chain(std::mem::take(&mut self.expressions)) {
            let mut expression = Element::new("simplelicensing_LicenseExpression", id);
            expression.license_expression = Some(text);
            own.push(expression);
        }
        own.append(&mut self.elements);
        let sbom = self.id("sbom");
        let mut bill = Element::new("software_Sbom", sbom.clone()).named(&subject.name);
        bill.sbom_type = vec![kind];
        bill.profile_conformance = vec!["core", "software"];
        bill.root_element = roots;
        bill.element = own.iter().map(|element| element.spdx_id.clone()).collect();
        let name = format!("{}@{}", subject.name, subject.digest);
        let mut document = Element::new("SpdxDocument", self.id("document")).named(&name);
        document.profile_conformance = vec!["core", "software", "simpleLicensing"];
        document.data_license = Some(data_licence);
        document.root_element = vec![sbom.clone()];
        document.element = bill.element.iter().cloned().chain([sbom]).collect();
        let creation = Creation {
            kind: "CreationInfo",
            id: CREATION,
            spec_version: "3.0.1",
            created: subject.epoch.to_string(),
            created_by: vec![author],
            created_using: vec![tool],
        };
        let elements = [document, bill].into_iter().chain(own);
        let graph = std::iter::once(Node::Creation(creation))
            .chain(elements.map(|element| Node::Element(Box::new(element))))
            .collect();
        let context = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld";
        document::bytes(&Document { context, graph })
    }
}

fn own_hashes(component: &Component) -> Vec<Hash> {
    component.file.iter().flat_map(|file| hashes(&file.sha256, file.sha512.as_deref())).collect()
}

fn hashes(sha256: &Digest, sha512: Option<&str>) -> Vec<Hash> {
    let long = sha512.map(|hash| Hash::new("sha512", hash.to_owned()));
    std::iter::once(Hash::new("sha256", sha256.hex())).chain(long).collect()
}

/// Returns a short name of a text.
fn short(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes())[..12])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bom::testing::{auditable, content, entry, go_binary, image, layer};
    use crate::bom::{self};
    use crate::image::Origin;
    use serde_json::Value;

    fn subject() -> Subject {
        let about = About::Image {
            platform: "linux/arm64".parse().ok(),
            base: Some(("static-debian13".to_owned(), Digest::of(b"base"))),
        };
        let (digest, epoch) = (Digest::of(b"manifest"), "1795392000".parse().unwrap());
        let subject = Subject::new("team/hello".to_owned(), digest, 8, about, epoch);
        Subject { sha512: bom::sha512(&&b"manifest"[..]).ok(), ..subject }
    }

    fn sample() -> Bom {
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

    fn graph(bytes: &[u8]) -> Vec<Value> {
        let document: Value = serde_json::from_slice(bytes).unwrap();
        document["@graph"].as_array().unwrap().clone()
    }

    fn of_type<'a>(graph: &'a [Value], kind: &str) -> Vec<&'a Value> {
        graph.iter().filter(|element| element["type"] == kind).collect()
    }

    #[test]
    fn documents_are_reproducible_and_every_reference_leads_somewhere() {
        let bytes = to_bytes(&sample(), &subject());
        assert_eq!(bytes, to_bytes(&sample(), &subject()));
        let graph = graph(&bytes);
        let ids: BTreeSet<&str> =
            graph.iter().filter_map(|element| element["spdxId"].as_str()).collect();
        // All but the creation information are elements with an id of their own.
        assert_eq!(ids.len(), graph.len() - 1);
        for element in &graph {
            let single = ["from", "suppliedBy", "subject", "dataLicense"].map(|key| &element[key]);
            let many = ["to", "originatedBy", "rootElement", "element", "createdBy"]
                .iter()
                .flat_map(|key| element[key].as_array().into_iter().flatten());
            for reference in single.into_iter().chain(many).filter_map(Value::as_str) {
                assert!(ids.contains(reference), "{reference} in {element}");
            }
        }
        let document = of_type(&graph, "SpdxDocument")[0];
        let listed = document["element"].as_array().unwrap();
        // Everything but itself.
        assert_eq!(listed.len(), ids.len() - 1);
    }

    #[test]
    fn the_graph_says_what_the_bill_says() {
        let bom = sample();
        let graph = graph(&to_bytes(&bom, &subject()));
        let relationships: Vec<(String, String, String, String)> = graph
            .iter()
            .filter(|element| element["relationshipType"].is_string())
            .flat_map(|one| {
                let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
                let ends = one["to"].as_array().unwrap().iter();
                ends.map(move |to| {
                    let kind = format!("{}{}", text("relationshipType"), text("scope"));
                    (text("from"), kind, to.as_str().unwrap().to_owned(), text("completeness"))
                })
            })
            .collect();
        let has = |from: &str, kind: &str, to: &str, completeness: &str| {
            relationships.iter().any(|(f, k, t, c)| {
                f.contains(from) && k == kind && t.contains(to) && c == completeness
            })
        };
        assert!(has("#image", "descendantOf", "#base-image", "complete"));
        assert!(has("#image", "hasDistributionArtifact", "#image-manifest", "complete"));
        assert!(has("#image", "contains", "#executable-go-", "complete"));
        assert!(has("#executable-go-", "contains", "#go-main-a.b-c-", "incomplete"));
        assert!(has("#go-main-a.b-c-", "dependsOn", "#go-module-a.b-d-", "incomplete"));
        assert!(has("#crate-root-r-", "dependsOn", "#crate-c-", "complete"));
        assert!(has("#crate-root-r-", "dependsOnbuild", "#build-crate-b-", "complete"));
        // An edge to nothing is no edge: readers take it for one that leads nowhere.
        let leaf = graph.iter().find(|one| one["name"] == "c").unwrap();
        assert!(leaf["comment"].as_str().unwrap().contains("needs nothing else"));
        assert!(has("#go-standard-library-", "hasDeclaredLicense", "#licence-", "complete"));
        assert!(!has("#go-module-", "hasDeclaredLicense", "", "complete"));
        let sbom = of_type(&graph, "software_Sbom")[0];
        assert_eq!(sbom["software_sbomType"][0], "build");
        assert!(sbom["rootElement"][0].as_str().unwrap().ends_with("#image"));
        let gaps = of_type(&graph, "Annotation");
        assert_eq!(gaps.len(), 1);
        assert!(gaps[0]["statement"].as_str().unwrap().contains("/usr/bin/broken"));
        // Files have both hashes, and the manifest too.
        for file in of_type(&graph, "software_File") {
            let algorithms: Vec<_> = file["verifiedUsing"]
                .as_array()
                .unwrap()
                .iter()
                .map(|hash| {
                    (hash["algorithm"].as_str().unwrap(), hash["hashValue"].as_str().unwrap().len())
                })
                .collect();
            assert_eq!(algorithms, [("sha256", 64), ("sha512", 128)], "{file}");
        }
    }

    #[test]
    fn who_gives_it_away_is_the_author_and_else_the_tool_is() {
        let graph_of = |subject: &Subject| graph(&to_bytes(&sample(), subject));
        let creation = |graph: &[Value]| of_type(graph, "CreationInfo")[0].clone();
        let tool = graph_of(&subject());
        let author = creation(&tool)["createdBy"][0].as_str().unwrap().to_owned();
        assert!(author.ends_with("#author"));
        assert_eq!(creation(&tool)["created"], "2026-11-23T00:00:00Z");
        let ours = subject().says(|key| {
            let text = match key {
                "org.opencontainers.image.vendor" => "Us",
                "org.opencontainers.image.url" => "https://us.example/",
                "org.opencontainers.image.licenses" => "Apache-2.0",
                _ => return None,
            };
            Some(text.to_owned())
        });
        let graph = graph_of(&ours);
        let author = creation(&graph)["createdBy"][0].clone();
        let us = graph.iter().find(|element| element["spdxId"] == author).unwrap();
        assert_eq!((&us["type"], &us["name"]), (&"Organization".into(), &"Us".into()));
        assert_eq!(us["externalIdentifier"][0]["identifier"], "https://us.example/");
        let expressions: Vec<_> = of_type(&graph, "simplelicensing_LicenseExpression")
            .iter()
            .map(|one| one["simplelicensing_licenseExpression"].as_str().unwrap())
            .collect();
        let all = ["CC0-1.0", "Apache-2.0", "BSD-3-Clause", "MIT OR Apache-2.0"];
        assert_eq!(expressions, all);
    }

    #[test]
    fn one_file_describes_itself() {
        let bytes = go_binary("");
        let subject = Subject { about: About::File, digest: Digest::of(&bytes), ..subject() };
        let graph =
            graph(&to_bytes(&bom::file(b"app", &content(&bytes), bom::Detail::All), &subject));
        let sbom = of_type(&graph, "software_Sbom")[0];
        assert!(sbom["rootElement"][0].as_str().unwrap().contains("#executable-app-"));
        assert_eq!(sbom["software_sbomType"][0], "analyzed");
    }

    #[test]
    fn an_index_has_its_images_as_variants() {
        let images: Vec<_> = ["linux/amd64", "linux/arm/v7"]
            .iter()
            .map(|text| (text.parse().unwrap(), Digest::of(text.as_bytes()), 500))
            .collect();
        let about = About::Image { platform: None, base: None };
        let graph = graph(&index(&Subject { about, ..subject() }, &images));
        let variants: Vec<_> =
            graph.iter().filter(|one| one["relationshipType"] == "hasVariant").collect();
        assert_eq!(variants.len(), 1);
        assert_eq!(variants[0]["to"].as_array().unwrap().len(), 2);
        assert_eq!(of_type(&graph, "software_Package").len(), 3);
    }
}
