//! Reads back what a published bill of materials lists: for whoever judges an image again
//! without its layers.
//!
//! Sources: SPDX 2.3, clause 7; CycloneDX 1.6, `component`; ECMA-427 (package URLs).

use super::builder::Builder;
use super::sidecar::{self, Told};
use super::{Bom, Completeness, Component, Evidence, Id, Kind, Source, purl};
use serde_json::Value;

/// What a document lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    told: Vec<Told>,
}

/// What may be looked for in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A package URL, of any version where it names none. Qualifiers do not count.
    Purl(String),
    /// The hash of a file, in hexadecimal digits.
    Sha256(String),
}

impl Listed {
    /// Reads a document, SPDX 2 or CycloneDX as a JSON value. None for other documents, and for
    /// those with more than 100,000 components.
    pub fn read(document: &Value) -> Option<Self> {
        sidecar::told(document).map(|told| Self { told })
    }

    /// Returns the components that advisories could be about, by their package URLs. Which
    /// program holds which, and which functions are in it, no document says.
    pub fn bom(&self) -> Bom {
        let mut builder = Builder::default();
        for one in &self.told {
            if let Some(component) = component(one) {
                builder.add(component);
            }
        }
        builder.finish(Completeness::Unknown, false)
    }

    /// Returns name and version of everything that fits.
    pub fn find(&self, wanted: &Wanted) -> Vec<(String, String)> {
        let fits = |one: &&Told| match wanted {
            Wanted::Purl(purl) => !one.purl.is_empty() && purl::covers(purl, &one.purl),
            Wanted::Sha256(hex) => one.sha256.as_ref() == Some(hex),
        };
        let mut found: Vec<_> = self
            .told
            .iter()
            .filter(fits)
            .map(|one| (one.name.clone(), one.version.clone()))
            .collect();
        found.sort();
        found.dedup();
        found
    }
}

fn component(one: &Told) -> Option<Component> {
    let parsed = purl::parse(&one.purl)?;
    let kind = match (parsed.kind, parsed.path.as_str()) {
        ("golang", "stdlib" | "std") => Kind::GoStandardLibrary,
        ("golang", _) if one.application => Kind::GoMain,
        ("golang", _) => Kind::GoModule,
        ("cargo", _) if one.application => Kind::CrateRoot,
        ("cargo", _) => Kind::Crate,
        ("deb" | "apk", _) => Kind::Package,
        _ => return None,
    };
    let fields = [one.version.as_bytes(), one.purl.as_bytes()];
    let id = Id::of(kind, &one.name, &fields);
    let mut component = Component::new(id, kind, &one.name, Evidence::Sidecar);
    let version = if one.version.is_empty() { parsed.version.clone() } else { one.version.clone() };
    component.version = (!version.is_empty()).then_some(version);
    component.purl = Some(one.purl.clone());
    match kind {
        // Only what is from there has a package URL of this type.
        Kind::Crate | Kind::CrateRoot => {
            component.facts.insert("cargo:source", "crates.io".to_owned());
        }
        Kind::Package => {
            let upstream = parsed.qualifier("upstream").unwrap_or_else(|| one.name.clone());
            let (name, version) = match upstream.split_once('@') {
                Some((name, version)) => (name.to_owned(), Some(version.to_owned())),
                None => (upstream, None),
            };
            component.source = Some(Source { name, version });
        }
        _ => {}
    }
    Some(component)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bom::testing::{auditable, entry, go_binary, image, layer};
    use crate::bom::{self, About, Subject, cyclonedx, spdx23};
    use crate::image::Origin;
    use crate::oci::Digest;
    use crate::time::Epoch;

    fn documents() -> (Bom, [Value; 2]) {
        let rust = auditable(
            r#"{"packages":[{"name":"app","version":"1.0.0","source":"local","root":true,"dependencies":[1]},
                {"name":"c","version":"0.3.0","source":"crates.io"}]}"#,
        );
        let modules =
            "mod\texample.com/App\tv1.0.0\t\ndep\tgithub.com/Burnt/toml\tv1.0.0\th1:aa=\n";
        let status = "Package: libc6\nStatus: install ok installed\nVersion: 2.41-12+b1\n\
                      Architecture: amd64\nSource: glibc (2.41-12)\n\n";
        let entries = vec![
            entry("etc/os-release", b"ID=debian\nVERSION_ID=\"13\"\n"),
            entry("usr/bin/go", &go_binary(modules)),
            entry("usr/bin/rust", &rust),
            entry("var/lib/dpkg/status", status.as_bytes()),
        ];
        let bom = bom::of(&image(vec![layer(Origin::Foreign, entries)]), &[]);
        let about = About::Image { platform: None, base: None };
        let subject = Subject::new("x".to_owned(), Digest::of(b"m"), 1, about, Epoch::default());
        let parse = |bytes: Vec<u8>| serde_json::from_slice(&bytes).unwrap();
        let both =
            [parse(spdx23::to_bytes(&bom, &subject)), parse(cyclonedx::to_bytes(&bom, &subject))];
        (bom, both)
    }

    #[test]
    fn what_was_written_is_read_back_as_far_as_advisories_need_it() {
        let (bom, documents) = documents();
        let looked_at = |bom: &Bom| -> Vec<_> {
            let kinds = [Kind::Package, Kind::GoModule, Kind::GoStandardLibrary, Kind::Crate];
            let parts = bom.components.iter().filter(|one| kinds.contains(&one.kind));
            let source = |one: &Component| {
                one.source.as_ref().map(|source| (source.name.clone(), source.version.clone()))
            };
            parts
                .map(|one| {
                    (one.kind, one.name.clone(), one.version.clone(), one.purl.clone(), source(one))
                })
                .collect()
        };
        assert_eq!(looked_at(&bom).len(), 4);
        for document in &documents {
            let listed = Listed::read(document).unwrap();
            assert_eq!(looked_at(&listed.bom()), looked_at(&bom), "{document:#}");
        }
    }

    #[test]
    fn packages_and_files_are_found() {
        let (bom, documents) = documents();
        let file = bom.components.iter().find_map(|one| Some(one.file.as_ref()?.sha256)).unwrap();
        for document in &documents {
            let listed = Listed::read(document).unwrap();
            let find = |purl: &str| listed.find(&Wanted::Purl(purl.to_owned())).len();
            for (purl, count) in [
                ("pkg:golang/github.com/burnt/toml", 1),
                ("pkg:golang/github.com/burnt/toml@v1.0.0", 1),
                ("pkg:golang/github.com/burnt/toml@v1.0.1", 0),
                ("pkg:golang/github.com/burnt", 0),
                ("pkg:cargo/c@0.3.0", 1),
                ("pkg:npm/c@0.3.0", 0),
                ("pkg:deb/debian/libc6@2.41-12+b1", 1),
                ("pkg:deb/debian/libc6@2.41-12%2Bb1?arch=arm64", 1),
                ("libc6", 0),
            ] {
                assert_eq!(find(purl), count, "{purl}");
            }
            assert!(!listed.find(&Wanted::Sha256(file.hex())).is_empty());
            assert!(listed.find(&Wanted::Sha256("00".repeat(32))).is_empty());
        }
    }
}
