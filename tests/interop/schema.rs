//! The image specification's own JSON schemas on every document of a layout.

use crate::project::{Layout, Project, json};
use crate::support::{Outcome, Skip, corpus};
use jsonschema::{Retrieve, Uri, Validator};
use serde_json::{Value, json as value};
use std::error::Error;
use std::fs;
use std::path::PathBuf;

/// The schemas refer to each other by file name, under several base addresses.
struct Files(PathBuf);

impl Retrieve for Files {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn Error + Send + Sync>> {
        let name = uri.path().as_str().rsplit('/').next().unwrap_or_default();
        Ok(serde_json::from_slice(&fs::read(self.0.join(name))?)?)
    }
}

struct Schemas {
    config: Validator,
    index: Validator,
    layout: Validator,
    manifest: Validator,
}

impl Schemas {
    fn load() -> Result<Self, Skip> {
        let folder = corpus("oci-schema")?;
        let schema = |name: &str| {
            let schema = json(&fs::read(folder.join(name)).expect(name));
            jsonschema::options()
                .with_retriever(Files(folder.clone()))
                .build(&schema)
                .unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        Ok(Self {
            config: schema("config-schema.json"),
            index: schema("image-index-schema.json"),
            layout: schema("image-layout-schema.json"),
            manifest: schema("image-manifest-schema.json"),
        })
    }

    /// Validates every document of a layout and returns how many there were.
    fn validate(&self, layout: &Layout) -> usize {
        let marker = json(&fs::read(layout.path.join("oci-layout")).expect("oci-layout"));
        check(&self.layout, &marker, "oci-layout");
        check(&self.index, &layout.index, "index.json");
        let mut documents = 2;
        for entry in layout.entries() {
            let document = layout.document(entry);
            if document["manifests"].is_array() {
                check(&self.index, &document, "an index");
                documents += 1;
            }
        }
        for descriptor in layout.manifests() {
            let manifest = layout.document(&descriptor);
            check(&self.manifest, &manifest, "a manifest");
            check(&self.config, &layout.document(&manifest["config"]), "a configuration");
            documents += 2;
        }
        for manifest in layout.referrers() {
            check(&self.manifest, &manifest, "a referrer");
            documents += 1;
        }
        documents
    }
}

fn check(schema: &Validator, document: &Value, what: &str) {
    let errors: Vec<_> = schema
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}\n{document:#}");
}

pub(crate) fn every_document_of_a_signed_layout_validates() -> Outcome {
    let schemas = Schemas::load()?;
    let project = Project::of_a_c_program()?;
    let layout = project.signed();
    // The marker, the index, manifest and configuration, and three bundles.
    assert_eq!(schemas.validate(&layout), 7);
    Ok(())
}

pub(crate) fn every_document_of_two_platforms_validates() -> Outcome {
    let schemas = Schemas::load()?;
    let project = Project::of_a_go_program()?;
    let layout = project.signed();
    let referrers = layout.referrers().len();
    assert!(referrers >= 3, "{referrers} referrers");
    // The marker, two indexes, a manifest and a configuration for each platform.
    assert_eq!(schemas.validate(&layout), 7 + referrers);
    Ok(())
}

/// Shows that the references between the schemas are followed.
pub(crate) fn the_validator_refuses_what_is_wrong() -> Outcome {
    let schemas = Schemas::load()?;
    let descriptor = value!({
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": format!("sha256:{}", "0".repeat(64)),
        "size": 2,
    });
    let good = value!({ "schemaVersion": 2, "config": descriptor, "layers": [descriptor] });
    check(&schemas.manifest, &good, "a manifest");
    let wrong: [(&str, Value); 6] = [
        ("/schemaVersion", value!(1)),
        ("/config/digest", value!("sha256")),
        ("/config/mediaType", value!("text")),
        ("/config/size", value!("2")),
        ("/layers", value!([])),
        ("/layers/0/digest", value!(null)),
    ];
    for (pointer, value) in wrong {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).expect(pointer) = value;
        assert!(!schemas.manifest.is_valid(&bad), "accepted: {bad}");
    }
    let config = value!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [] } });
    check(&schemas.config, &config, "a configuration");
    assert!(!schemas.config.is_valid(&value!({ "os": "linux" })));
    assert!(!schemas.index.is_valid(&value!({ "schemaVersion": 2, "manifests": null })));
    assert!(!schemas.layout.is_valid(&value!({ "imageLayoutVersion": "2.0.0" })));
    Ok(())
}
