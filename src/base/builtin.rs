//! The bases that are compiled into karat: `scratch`, and `static-debian13` with the
//! files and the record of `bases/static-debian13/`.

use super::{Base, BaseError, Package, StoredLayer};
use crate::oci::descriptor::MediaType;
use crate::oci::{Descriptor, DiffId, Digest, Platform};
use serde::Deserialize;

/// The record of the built-in base.
const RECORD: &str = include_str!("../../bases/static-debian13/base.toml");

macro_rules! layers {
    ($($file:literal),* $(,)?) => {
        [$(($file, include_bytes!(concat!("../../bases/static-debian13/", $file)).as_slice())),*]
    };
}

/// The layers of the built-in base, by the names that the record uses.
const LAYERS: [(&str, &[u8]); 6] = layers![
    "layers/rootfs-amd64.tar.gz",
    "layers/rootfs-arm64.tar.gz",
    "layers/netbase.tar.gz",
    "layers/tzdata.tar.gz",
    "layers/media-types.tar.gz",
    "layers/ca-certificates.tar.gz",
];

/// Returns the names of the built-in bases.
pub fn names() -> [&'static str; 2] {
    ["static-debian13", "scratch"]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    base: Facts,
    package: Vec<RecordedPackage>,
    layer: Vec<RecordedLayer>,
    #[serde(rename = "excluded")]
    _excluded: Vec<toml::Table>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Facts {
    name: String,
    distribution: String,
    release: String,
    maintained_until: String,
    env: Vec<String>,
}

#[derive(Deserialize)]
struct RecordedPackage {
    name: String,
    version: String,
    architecture: String,
    source: String,
    pool: String,
    sha256: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RecordedLayer {
    file: String,
    platforms: Vec<Platform>,
    digest: Digest,
    diff_id: DiffId,
    size: u64,
}

/// Returns a built-in base, without the digest of its manifest.
pub(super) fn read(name: &str, platform: &Platform) -> Result<Base, BaseError> {
    let empty = Base {
        name: name.to_owned(),
        digest: None,
        layers: Vec::new(),
        env: Vec::new(),
        packages: Vec::new(),
        maintained_until: None,
    };
    if name == "scratch" {
        return Ok(empty);
    }
    let broken = |what: String| BaseError::Broken { name: name.to_owned(), what };
    let record: Record = toml::from_str(RECORD).map_err(|error| broken(error.to_string()))?;
    if name != record.base.name {
        return Err(BaseError::Unknown(name.to_owned()));
    }
    let mut layers = Vec::new();
    for layer in record.layer.iter().filter(|layer| layer.platforms.contains(platform)) {
        let (_, bytes) = LAYERS
            .iter()
            .find(|(file, _)| *file == layer.file)
            .ok_or_else(|| broken(format!("`{}` is not compiled in", layer.file)))?;
        layers.push(StoredLayer {
            file: layer.file.rsplit('/').next().unwrap_or_default().to_owned(),
            descriptor: Descriptor::new(MediaType::LAYER_GZIP, layer.digest, layer.size),
            diff_id: layer.diff_id,
            bytes,
        });
    }
    if layers.is_empty() {
        let mut made_for: Vec<_> = record.layer.iter().flat_map(|layer| &layer.platforms).collect();
        made_for.sort();
        made_for.dedup();
        return Err(BaseError::Platform {
            name: name.to_owned(),
            platform: platform.clone(),
            made_for: made_for.into_iter().map(ToString::to_string).collect(),
        });
    }
    let packages = record
        .package
        .into_iter()
        .filter(|package| {
            package.architecture == "all" || package.architecture == platform.goarch()
        })
        .map(|package| {
            Ok(Package {
                sha256: format!("sha256:{}", package.sha256).parse()?,
                name: package.name,
                version: package.version,
                architecture: package.architecture,
                source: package.source,
                pool: package.pool,
                distribution: record.base.distribution.clone(),
                release: record.base.release.clone(),
            })
        })
        .collect::<Result<_, crate::oci::digest::InvalidDigest>>()
        .map_err(|error| broken(error.to_string()))?;
    let maintained_until = record
        .base
        .maintained_until
        .parse()
        .map_err(|error: crate::time::InvalidDate| broken(error.to_string()))?;
    Ok(Base {
        layers,
        packages,
        env: record.base.env,
        maintained_until: Some(maintained_until),
        ..empty
    })
}
