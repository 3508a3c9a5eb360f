//! Pinned base layers.
//!
//! Takes the name of a base and a platform, gives a [`Base`]: its layers as they are
//! stored, what is known of their origin, and the environment that they want. A base is a
//! reviewed file ([`definition`]), a lock beside it ([`lock`]), and a check that the two
//! agree, byte for byte ([`locking`]); where both are, [`shelf`] knows.

pub mod assembly;
mod builtin;
pub mod closure;
pub mod debian;
pub mod definition;
pub mod difference;
pub mod error;
pub mod lock;
pub mod locking;
pub mod mirror;
mod needed;
pub mod shelf;
pub mod supply;
pub mod upstream;

use crate::archive::Limits;
use crate::image::read;
use crate::image::{Layer, Origin};
use crate::oci::descriptor::MediaType;
use crate::oci::document::{Config, History, Manifest, RootFs, RunConfig};
use crate::oci::{Descriptor, DiffId, Digest, Platform};
use crate::store::SpoolRoom;
use crate::time::Date;
use definition::Definition;
use lock::{Lock, LockedPlatform};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

pub use builtin::names;
pub use error::BaseError;
pub use shelf::Shelf;

/// A base of one platform.
#[derive(Debug)]
pub struct Base {
    /// Its name.
    pub name: String,
    /// The digest of its manifest, as an image of its own; none for `scratch`, which has no layers.
    pub digest: Option<Digest>,
    /// Whether its layers are made here, or those of an image of somebody else.
    pub origin: Origin,
    /// The layers, in order.
    pub layers: Vec<StoredLayer>,
    /// The environment, `NAME=VALUE`.
    pub env: Vec<String>,
    /// The packages that the layers are made of.
    pub packages: Vec<Package>,
    /// The last day on which the packages get security updates.
    pub maintained_until: Option<Date>,
    /// The day of the archive that the packages were chosen from.
    pub locked_on: Option<Date>,
    /// The checksum of the lock that it was resolved by.
    pub lock: Option<Digest>,
    /// How many days old that may be, by the base's own definition.
    pub max_age: Option<u32>,
    /// What the packages hold and the base does not: the path, and why.
    pub excluded: Vec<(String, String)>,
}

/// A layer as it is stored: compressed bytes, and what they are.
#[derive(Debug, Clone)]
pub struct StoredLayer {
    /// The name of the layer's file.
    pub file: String,
    /// Type, digest and size of the stored bytes.
    pub descriptor: Descriptor,
    /// The digest of the uncompressed bytes.
    pub diff_id: DiffId,
    /// The stored bytes.
    pub bytes: Cow<'static, [u8]>,
}

/// A package of a distribution that a base is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Package {
    /// The name of the package.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture, or `all`.
    pub architecture: String,
    /// The source package that it was built from.
    pub source: String,
    /// The hash of the package's file.
    pub sha256: Digest,
    /// Where the file is in the distribution's archive.
    pub pool: String,
    /// The distribution, as in `os-release`: `debian`.
    pub distribution: String,
    /// The release of the distribution: `13`.
    pub release: String,
}

/// A base as it is recognised in an image that stands on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// The digests of its uncompressed layers, in order.
    pub diff_ids: Vec<DiffId>,
}

/// Makes a base of what was locked for a platform, and of the layers' bytes.
fn of_lock(
    definition: &Definition,
    locked: &LockedPlatform,
    lock: Option<&Lock>,
    layers: Vec<Cow<'static, [u8]>>,
) -> Base {
    let release = definition.packages().map_or("", |packages| &packages.release);
    let packages = locked.packages.iter().map(|package| Package {
        name: package.name.clone(),
        version: package.version.clone(),
        architecture: package.architecture.clone(),
        source: package.source.clone(),
        sha256: package.sha256,
        pool: package.path.clone(),
        distribution: "debian".to_owned(),
        release: release.to_owned(),
    });
    let excludes = definition.packages().map(|packages| &packages.excludes[..]);
    let stored = locked.layers.iter().zip(layers);
    Base {
        name: definition.name.clone(),
        digest: None,
        origin: Origin::Base,
        layers: stored.map(|(layer, bytes)| locking::stored(layer, bytes)).collect(),
        env: definition.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        packages: packages.collect(),
        maintained_until: definition.maintained_until,
        locked_on: lock.and_then(Lock::date),
        lock: lock.map(Lock::checksum),
        max_age: definition.max_age,
        excluded: excludes
            .unwrap_or_default()
            .iter()
            .map(|one| (one.path.clone(), one.reason.clone()))
            .collect(),
    }
}

impl Base {
    /// Returns a base of packages as an image of its own: configuration, and manifest's descriptor.
    /// It is what `org.opencontainers.image.base.digest` of the images built on it names.
    pub fn manifest(&self, platform: &Platform) -> (Vec<u8>, Descriptor) {
        let config = Config {
            created: None,
            architecture: platform.goarch().to_owned(),
            os: platform.os().to_owned(),
            variant: platform.variant().map(str::to_owned),
            config: RunConfig { env: self.env.clone(), ..RunConfig::default() },
            rootfs: RootFs {
                kind: "layers".to_owned(),
                diff_ids: self.layers.iter().map(|layer| layer.diff_id).collect(),
            },
            history: self.history(None),
        }
        .to_bytes();
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MediaType::MANIFEST),
            artifact_type: None,
            config: Descriptor::of(MediaType::CONFIG, &config),
            layers: self.layers.iter().map(|layer| layer.descriptor.clone()).collect(),
            subject: None,
            annotations: BTreeMap::new(),
        };
        (config, Descriptor::of(MediaType::MANIFEST, &manifest.to_bytes()))
    }

    /// Returns that by which the base is recognised.
    pub fn known(&self) -> Known {
        let diff_ids = self.layers.iter().map(|layer| layer.diff_id).collect();
        Known { name: self.name.clone(), diff_ids }
    }

    /// Returns how each layer came to be, one step a layer.
    pub fn history(&self, created: Option<&str>) -> Vec<History> {
        let step = |layer: &StoredLayer| History {
            created: created.map(str::to_owned),
            created_by: Some(format!("karat base {} {}", self.name, layer.file)),
            ..History::default()
        };
        self.layers.iter().map(step).collect()
    }

    /// Reads the layers' entries.
    ///
    /// # Errors
    /// When a layer's bytes are not those of its record.
    pub fn read_layers(&self, room: &SpoolRoom) -> Result<Vec<Layer>, BaseError> {
        let read = |layer: &StoredLayer| {
            read::layer(
                room,
                &layer.bytes[..],
                &layer.descriptor.media_type,
                Some(layer.diff_id),
                &Limits::default(),
                self.origin,
            )
            .map_err(|error| BaseError::Layer { file: layer.file.clone(), error })
        };
        self.layers.iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Kind, Tree};

    #[test]
    fn the_built_in_base_is_what_its_record_says() {
        for platform in ["linux/amd64", "linux/arm64"] {
            let platform = platform.parse().unwrap();
            let base = Shelf::builtin().resolve("static-debian13", &platform).unwrap();
            for layer in &base.layers {
                assert_eq!(Digest::of(&layer.bytes), layer.descriptor.digest, "{}", layer.file);
                assert_eq!(layer.bytes.len() as u64, layer.descriptor.size, "{}", layer.file);
            }
            let layers = base.read_layers(&SpoolRoom::default()).unwrap();
            let tree = Tree::of(&layers);
            assert_eq!(tree.resolve(b"bin").unwrap(), b"usr/bin");
            for (path, node) in tree.iter() {
                let shown = String::from_utf8_lossy(path);
                assert_eq!(node.entry.mode & 0o6000, 0, "{shown}");
                assert_eq!(node.entry.mtime, 0, "{shown}");
                if matches!(node.entry.kind, Kind::File(_)) {
                    assert_eq!(node.entry.mode & 0o111, 0, "{shown} is executable");
                }
                assert!(
                    !matches!(node.entry.kind, Kind::Special(_) | Kind::Hardlink(_)),
                    "{shown}"
                );
            }
            for path in [
                "etc/passwd",
                "etc/ssl/certs/ca-certificates.crt",
                "usr/share/zoneinfo/Europe/Berlin",
                "var/lib/dpkg/status.d/tzdata",
            ] {
                assert!(tree.file(path.as_bytes()).is_ok(), "{path}");
            }
            assert_eq!(tree.get(b"tmp").unwrap().entry.mode, 0o1777);
            assert_eq!(tree.get(b"home/nonroot").unwrap().entry.uid, 65532);
        }
    }

    #[test]
    fn the_lock_of_the_built_in_base_is_its_definitions_and_names_its_layers() {
        let (definition, lock) = Shelf::builtin().locked("static-debian13").unwrap();
        assert_eq!(lock.platforms.len(), 2);
        assert!(lock.suites.iter().all(|suite| !suite.signed_by.is_empty()));
        for locked in &lock.platforms {
            for layer in &locked.layers {
                assert!(builtin::layer(&layer.digest, layer.size).is_some(), "{}", layer.name);
            }
        }
        let text = lock.to_text(&definition.name);
        assert_eq!(Lock::parse("again", &text).unwrap(), lock);
        assert!(!text.contains("http"), "a lock names no mirror");
    }

    #[test]
    fn what_is_no_base_is_refused() {
        let platform = "linux/s390x".parse().unwrap();
        let resolve = |name| Shelf::builtin().resolve(name, &platform);
        assert!(matches!(resolve("static-debian13"), Err(BaseError::Platform { .. })));
        assert!(matches!(resolve("debian"), Err(BaseError::Unknown(_))));
        assert!(resolve("scratch").unwrap().layers.is_empty());
    }
}
