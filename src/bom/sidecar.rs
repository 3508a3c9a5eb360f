//! What a document that came with an executable says of it and of its parts.
//!
//! Such a document was bound to the file by its hash before it comes here. It wins for what
//! no executable can say: licences, notices, who supplies a part. Of the parts themselves the
//! file's own list wins; where both have a list and they differ, that is a gap.
//!
//! Sources: CycloneDX 1.6, `component`; SPDX 2.3, clause 7.

use super::builder::Builder;
use super::executable::NAME;
use super::{Completeness, Component, Evidence, Id, Kind, licence};
use crate::oci::Digest;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The most components of one document.
const COMPONENTS: usize = 100_000;
/// The longest copyright text that is taken over, in bytes.
const COPYRIGHT: usize = 16 << 10;
/// How many names of parts that differ are told.
const NAMED: usize = 5;

/// What a document says of one component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) purl: String,
    licence: Option<String>,
    copyright: Option<String>,
    supplier: Option<String>,
    pub(super) sha256: Option<String>,
    /// Whether it is a program and no part of one.
    pub(super) application: bool,
}

impl Told {
    /// Gives a component the words of the document.
    pub(super) fn describe(self, component: &mut Component) {
        component.licence = self.licence;
        component.copyright = self.copyright;
        component.supplier = self.supplier;
    }
}

/// Reads the components of a document, SPDX 2 or CycloneDX, the one that it is about first.
/// None for other documents, and for those with more than 100,000 components.
pub(super) fn told(document: &Value) -> Option<Vec<Told>> {
    let items = |key: &str| document[key].as_array().into_iter().flatten();
    let told: Vec<Told> = if document["bomFormat"] == "CycloneDX" {
        let main = std::iter::once(&document["metadata"]["component"]);
        main.chain(items("components")).take(COMPONENTS + 1).map(cyclonedx).collect()
    } else {
        items("packages").take(COMPONENTS + 1).map(spdx).collect()
    };
    let named = told.iter().any(|one| !one.name.is_empty());
    (named && told.len() <= COMPONENTS).then_some(told)
}

/// A document about an executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sidecar {
    binary: Digest,
    told: Vec<Told>,
}

impl Sidecar {
    /// Reads a document about the executable of a hash: CycloneDX or SPDX 2 in JSON. None for
    /// other documents, and for those with more than 100,000 components.
    pub fn read(bytes: &[u8], binary: Digest) -> Option<Self> {
        let document: Value = serde_json::from_slice(bytes).ok()?;
        told(&document).map(|told| Self { binary, told })
    }

    /// Adds what it says to a bill that has the executable already.
    pub(super) fn merge(&self, builder: &mut Builder) {
        let Some(executable) = builder.executable(&self.binary) else { return };
        let hex = self.binary.hex();
        let parts = builder.below(&executable);
        let mut told: BTreeMap<(&str, &str), &Told> = BTreeMap::new();
        for one in self.told.iter().filter(|one| one.sha256.as_deref() != Some(&hex)) {
            told.entry((&one.name, version(&one.version))).or_insert(one);
        }
        let main = self.told.iter().find(|one| one.sha256.as_deref() == Some(&hex));
        let mut known = BTreeSet::new();
        let mut lacking = Vec::new();
        for id in std::iter::once(&executable).chain(&parts) {
            let Some(component) = builder.get_mut(id) else { continue };
            let own = component.version.as_deref().unwrap_or_default();
            let key = (component.name.as_str(), version(own));
            let is_main =
                *id == executable || matches!(component.kind, Kind::GoMain | Kind::CrateRoot);
            match told.get(&key).copied().or(main.filter(|_| is_main)) {
                Some(one) => {
                    known.insert((one.name.as_str(), version(&one.version)));
                    component.licence = one.licence.clone().or_else(|| component.licence.take());
                    component.copyright =
                        one.copyright.clone().or_else(|| component.copyright.take());
                    component.supplier = one.supplier.clone().or_else(|| component.supplier.take());
                }
                None if matches!(component.kind, Kind::GoModule | Kind::Crate) => {
                    lacking.push(component.name.clone());
                }
                None => {}
            }
        }
        let further: Vec<&Told> =
            told.iter().filter(|(key, _)| !known.contains(*key)).map(|(_, one)| *one).collect();
        builder.told(&executable, further, &self.binary, lacking);
    }
}

impl Builder {
    /// Adds parts that only a document names, where the file's own list is not complete;
    /// where it is, says what differs.
    fn told(&mut self, executable: &Id, further: Vec<&Told>, owner: &Digest, lacking: Vec<String>) {
        let Some(component) = self.get_mut(executable) else { return };
        let path = component.file.as_ref().map(|file| file.path.clone()).unwrap_or_default();
        let complete = component.parts == Completeness::Complete;
        if !complete {
            for one in &further {
                let fields = [owner.bytes(), one.version.as_bytes(), one.purl.as_bytes()];
                let id = Id::of(Kind::ToldLibrary, &one.name, &fields);
                let mut part = Component::new(id, Kind::ToldLibrary, &one.name, Evidence::Sidecar);
                part.version = (!one.version.is_empty()).then(|| one.version.clone());
                part.purl = (!one.purl.is_empty()).then(|| one.purl.clone());
                Told::clone(one).describe(&mut part);
                if let Some(component) = self.get_mut(executable) {
                    component.depends_on.insert(part.id.clone());
                }
                self.add(part);
            }
        }
        let differ = |names: Vec<&str>| {
            let count = names.len();
            let names = names.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
            format!("{count}, among them {names}")
        };
        let what = "agreement with the document that came with it";
        if complete && !further.is_empty() {
            let names = differ(further.iter().map(|one| one.name.as_str()).collect());
            let why = format!("it names parts that the file's own list has not: {names}");
            self.gap(path.clone(), what, why);
        }
        if !lacking.is_empty() {
            let names = differ(lacking.iter().map(String::as_str).collect());
            self.gap(path, what, format!("it does not name parts that the file has: {names}"));
        }
    }
}

/// Versions of Go modules are written with and without their `v`.
fn version(text: &str) -> &str {
    text.strip_prefix('v').unwrap_or(text)
}

fn text(value: &Value) -> String {
    value.as_str().filter(|text| text.len() <= NAME).unwrap_or_default().to_owned()
}

fn some(text: String) -> Option<String> {
    (!text.trim().is_empty() && text != "NOASSERTION").then_some(text)
}

fn copyright(value: &Value) -> Option<String> {
    let text = value.as_str().filter(|text| text.len() <= COPYRIGHT)?;
    some(text.to_owned())
}

fn cyclonedx(one: &Value) -> Told {
    let (group, name) = (text(&one["group"]), text(&one["name"]));
    let name = match group.is_empty() {
        true => name,
        false => format!("{group}/{name}"),
    };
    let licences = one["licenses"].as_array().into_iter().flatten();
    let expressions: Vec<String> = licences
        .filter_map(|licence| {
            let id = licence["expression"].as_str().or_else(|| licence["license"]["id"].as_str());
            licence::expression(id?)
        })
        .collect();
    // Several are all of them (CycloneDX, "Licensing": the list is a conjunction).
    let joined = match expressions.as_slice() {
        [only] => only.clone(),
        several => several.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" AND "),
    };
    let supplier = text(&one["supplier"]["name"]);
    let hashes = one["hashes"].as_array().into_iter().flatten();
    Told {
        name,
        version: text(&one["version"]),
        purl: text(&one["purl"]),
        licence: licence::expression(&joined),
        copyright: copyright(&one["copyright"]),
        supplier: some(supplier).or_else(|| some(text(&one["publisher"]))),
        sha256: hash(hashes, "alg", "SHA-256", "content"),
        application: one["type"] == "application",
    }
}

fn spdx(one: &Value) -> Told {
    let references = one["externalRefs"].as_array().into_iter().flatten();
    let mut purls = references.filter(|reference| reference["referenceType"] == "purl");
    let licence = |key: &str| licence::expression(&text(&one[key]));
    let supplier = text(&one["supplier"]);
    let supplier = supplier.split_once(": ").map(|(_, name)| name.to_owned());
    let checksums = one["checksums"].as_array().into_iter().flatten();
    let version = some(text(&one["versionInfo"])).unwrap_or_default();
    Told {
        name: text(&one["name"]),
        version,
        purl: purls.next().map(|purl| text(&purl["referenceLocator"])).unwrap_or_default(),
        licence: licence("licenseConcluded").or_else(|| licence("licenseDeclared")),
        copyright: copyright(&one["copyrightText"]),
        supplier: supplier.and_then(some),
        sha256: hash(checksums, "algorithm", "SHA256", "checksumValue"),
        application: one["primaryPackagePurpose"] == "APPLICATION",
    }
}

fn hash<'a>(
    mut hashes: impl Iterator<Item = &'a Value>,
    key: &str,
    algorithm: &str,
    value: &str,
) -> Option<String> {
    let found = hashes.find(|hash| hash[key] == algorithm)?;
    found[value].as_str().map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bom::testing::{content, entry, go_binary, image, layer};
    use crate::bom::{self, Bom};
    use crate::image::Origin;
    use serde_json::json;

    const MODULES: &str =
        "mod\texample.com/app\tv1.0.0\t\ndep\tgolang.org/x/text\tv0.3.0\th1:aa=\n";

    fn merged(binary: &[u8], document: &Value) -> Bom {
        let digest = content(binary).sha256();
        let sidecar = Sidecar::read(document.to_string().as_bytes(), digest).unwrap();
        let layers = vec![layer(Origin::Added, vec![entry("app", binary)])];
        bom::with_sidecars(&image(layers), &[], &[sidecar])
    }

    fn named<'a>(bom: &'a Bom, name: &str) -> &'a Component {
        bom.components.iter().find(|component| component.name == name).unwrap()
    }

    #[test]
    fn licences_and_suppliers_are_taken_over() {
        let binary = go_binary(&format!("{MODULES}build\tCGO_ENABLED=0\n"));
        let hex = content(&binary).sha256().hex();
        let cyclonedx = json!({"bomFormat": "CycloneDX",
            "metadata": {"component": {"name": "app", "version": "1.0.0",
                "hashes": [{"alg": "SHA-256", "content": hex.to_uppercase()}],
                "licenses": [{"license": {"id": "MIT"}}, {"expression": "0BSD"}]}},
            "components": [
                {"name": "golang.org/x/text", "version": "v0.3.0", "copyright": "2009 Authors",
                 "licenses": [{"expression": "BSD-3-Clause"}], "supplier": {"name": "Go"}},
                {"name": "stdlib", "version": "1.26.8"}]});
        let spdx = json!({"spdxVersion": "SPDX-2.3", "packages": [
            {"name": "app", "checksums": [{"algorithm": "SHA256", "checksumValue": hex}],
             "licenseConcluded": "(MIT) AND (0BSD)", "licenseDeclared": "NOASSERTION"},
            {"name": "golang.org/x/text", "versionInfo": "0.3.0", "copyrightText": "2009 Authors",
             "licenseConcluded": "NOASSERTION", "licenseDeclared": "BSD-3-Clause",
             "supplier": "Organization: Go"}]});
        for document in [cyclonedx, spdx] {
            let bom = merged(&binary, &document);
            let text = named(&bom, "golang.org/x/text");
            assert_eq!(text.licence.as_deref(), Some("BSD-3-Clause"));
            assert_eq!(text.copyright.as_deref(), Some("2009 Authors"));
            assert_eq!(text.supplier.as_deref(), Some("Go"));
            // It is still the file that says what is in it.
            assert_eq!(text.evidence, Evidence::GoBuildInfo);
            for name in ["app", "example.com/app"] {
                assert_eq!(named(&bom, name).licence.as_deref(), Some("(MIT) AND (0BSD)"));
            }
            assert!(bom.gaps.is_empty(), "{:?}", bom.gaps);
        }
    }

    #[test]
    fn lists_that_differ_are_gaps_and_where_there_is_none_parts_are_added() {
        let document = json!({"bomFormat": "CycloneDX", "components": [
            {"name": "openssl", "version": "3.5.4", "purl": "pkg:generic/openssl@3.5.4"}]});
        let pure = go_binary(&format!("{MODULES}build\tCGO_ENABLED=0\n"));
        let bom = merged(&pure, &document);
        let whys: Vec<_> = bom.gaps.iter().map(|gap| gap.why.as_str()).collect();
        assert_eq!(whys.len(), 2, "{whys:?}");
        assert!(whys[0].contains("golang.org/x/text") && whys[1].contains("openssl"), "{whys:?}");
        assert!(!bom.components.iter().any(|component| component.name == "openssl"));
        let c = crate::binary::elf::testing::Writer::executable().finish();
        let bom = merged(&c, &document);
        let openssl = named(&bom, "openssl");
        assert_eq!((openssl.kind, openssl.evidence), (Kind::ToldLibrary, Evidence::Sidecar));
        assert!(named(&bom, "app").depends_on.contains(&openssl.id));
        assert!(bom.gaps.is_empty(), "{:?}", bom.gaps);
    }

    #[test]
    fn other_documents_say_nothing() {
        for text in ["", "[]", "{}", r#"{"bomFormat":"CycloneDX"}"#, r#"{"packages":[{}]}"#] {
            assert_eq!(Sidecar::read(text.as_bytes(), Digest::of(b"x")), None, "{text}");
        }
    }
}
