//! The documents of an image: configuration, manifest, and the index over platforms.

use super::{FORMAT, Packed, Request};
use crate::image::Image;
use crate::oci::descriptor::{MediaType, PlatformFields};
use crate::oci::document::{Config, Empty, History, Index, Manifest, RootFs, RunConfig};
use crate::oci::{Descriptor, Platform};
use std::collections::BTreeMap;

/// The annotation that names the base.
pub const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// The annotation that holds the digest of the base's manifest.
pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// The annotation that holds the time of creation.
pub const CREATED: &str = "org.opencontainers.image.created";

/// Makes the configuration, without the layers' digests, and the annotations.
pub(super) fn config(request: Request<'_>, layers: usize) -> (Config, BTreeMap<String, String>) {
    let Request { recipe, platform, base, vars, epoch, .. } = request;
    let created = epoch.to_string();
    let mut history = base.history(Some(&created));
    if layers > base.layers.len() {
        history.push(History {
            created: Some(created.clone()),
            created_by: Some(format!("karat assembly format {FORMAT}")),
            ..History::default()
        });
    }
    let mut env: Vec<String> = base
        .env
        .iter()
        .filter(|line| line.split_once('=').is_none_or(|(name, _)| !recipe.env.contains_key(name)))
        .cloned()
        .collect();
    env.extend(recipe.env.iter().map(|(name, value)| format!("{name}={}", value.fill(vars))));
    let fill = |texts: &BTreeMap<String, crate::recipe::placeholder::Template>| {
        texts.iter().map(|(key, text)| (key.clone(), text.fill(vars))).collect::<BTreeMap<_, _>>()
    };
    let mut annotations = fill(&recipe.annotations);
    annotations.insert(CREATED.to_owned(), created.clone());
    if let Some(digest) = base.digest {
        annotations.insert(BASE_NAME.to_owned(), base.name.clone());
        annotations.insert(BASE_DIGEST.to_owned(), digest.to_string());
    }
    let run = RunConfig {
        user: recipe.user.to_string(),
        exposed_ports: recipe.ports.iter().map(|port| (port.clone(), Empty {})).collect(),
        env,
        entrypoint: recipe.entrypoint.value.clone(),
        cmd: recipe.cmd.clone(),
        working_dir: recipe.workdir.to_string(),
        labels: fill(&recipe.labels),
        stop_signal: recipe.stop_signal.clone().unwrap_or_default(),
        ..RunConfig::default()
    };
    let config = Config {
        created: Some(created),
        architecture: platform.goarch().to_owned(),
        os: platform.os().to_owned(),
        variant: platform.variant().map(str::to_owned),
        config: run,
        rootfs: RootFs { kind: "layers".to_owned(), diff_ids: Vec::new() },
        history,
    };
    (config, annotations)
}

/// The documents of one platform's image.
#[derive(Debug, Clone)]
pub struct Documents {
    /// The configuration's bytes.
    pub config: Vec<u8>,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// What describes the manifest in an index, with the platform.
    pub descriptor: Descriptor,
}

/// Writes the documents of an image whose layers are packed.
pub fn documents(image: &Image, packed: &Packed) -> Documents {
    let mut config = image.config.clone();
    config.rootfs.diff_ids.clone_from(&packed.diff_ids);
    let platform = config.platform();
    let config = config.to_bytes();
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MediaType::MANIFEST),
        artifact_type: None,
        config: Descriptor::of(MediaType::CONFIG, &config),
        layers: packed.layers.clone(),
        subject: None,
        annotations: image.annotations.clone(),
    }
    .to_bytes();
    let mut descriptor = Descriptor::of(MediaType::MANIFEST, &manifest);
    descriptor.platform = Some(platform);
    Documents { config, manifest, descriptor }
}

/// Writes the index over the manifests of several platforms, in the recipe's order.
pub fn index(
    manifests: &[(Platform, Descriptor)],
    annotations: &BTreeMap<String, String>,
) -> (Vec<u8>, Descriptor) {
    let described = manifests.iter().map(|(platform, descriptor)| {
        let mut descriptor = descriptor.bare();
        descriptor.platform = Some(PlatformFields::from(platform));
        descriptor
    });
    let mut index = Index::new(described.collect());
    index.annotations.clone_from(annotations);
    let bytes = index.to_bytes();
    let descriptor = Descriptor::of(MediaType::INDEX, &bytes);
    (bytes, descriptor)
}
