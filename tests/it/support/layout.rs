//! Reads OCI layouts with no help of karat (image-spec 1.1): every byte is hashed again.

use super::digest_of;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A layout on disk.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) folder: PathBuf,
}

/// A member of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) path: String,
    pub(crate) kind: tar::EntryType,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) names: (String, String),
    pub(crate) mtime: u64,
    pub(crate) target: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

impl Layout {
    #[track_caller]
    pub(crate) fn open(folder: &Path) -> Self {
        let layout = Self { folder: folder.to_owned() };
        let mark: Value = serde_json::from_slice(
            &fs::read(folder.join("oci-layout"))
                .unwrap_or_else(|error| panic!("{}: {error}", folder.display())),
        )
        .expect("oci-layout is JSON");
        assert_eq!(mark["imageLayoutVersion"], "1.0.0");
        layout
    }

    pub(crate) fn root(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn index(&self) -> Value {
        serde_json::from_slice(&fs::read(self.folder.join("index.json")).expect("index.json"))
            .expect("index.json is JSON")
    }

    /// The descriptors of `index.json`.
    pub(crate) fn entries(&self) -> Vec<Value> {
        self.index()["manifests"].as_array().expect("manifests").clone()
    }

    /// The images in `index.json`: what is no referrer.
    pub(crate) fn images(&self) -> Vec<Value> {
        self.entries().into_iter().filter(|one| one["artifactType"].is_null()).collect()
    }

    /// The referrers in `index.json`.
    pub(crate) fn referrers(&self) -> Vec<Value> {
        self.entries().into_iter().filter(|one| !one["artifactType"].is_null()).collect()
    }

    pub(crate) fn blob_path(&self, digest: &str) -> PathBuf {
        self.folder.join("blobs/sha256").join(digest.strip_prefix("sha256:").expect("sha256"))
    }

    /// Reads a blob, hashing it.
    #[track_caller]
    pub(crate) fn blob(&self, descriptor: &Value) -> Vec<u8> {
        let digest = descriptor["digest"].as_str().expect("a digest");
        let bytes =
            fs::read(self.blob_path(digest)).unwrap_or_else(|error| panic!("{digest}: {error}"));
        assert_eq!(digest_of(&bytes), digest, "a blob is not what its name says");
        assert_eq!(descriptor["size"], bytes.len(), "a size is wrong: {digest}");
        bytes
    }

    #[track_caller]
    pub(crate) fn document(&self, descriptor: &Value) -> Value {
        serde_json::from_slice(&self.blob(descriptor)).expect("a document is JSON")
    }

    /// The only image, or the one of a tag.
    #[track_caller]
    pub(crate) fn image(&self, tag: Option<&str>) -> Value {
        let images = self.images();
        let named: Vec<_> = images
            .iter()
            .filter(|one| tag.is_none_or(|tag| one["annotations"][REF_NAME] == tag))
            .collect();
        assert_eq!(named.len(), 1, "{tag:?} in {images:#?}");
        named[0].clone()
    }

    /// The manifests of an image, platform by platform.
    #[track_caller]
    pub(crate) fn platforms(&self, tag: Option<&str>) -> Vec<Value> {
        let root = self.image(tag);
        if root["mediaType"] == INDEX {
            self.document(&root)["manifests"].as_array().expect("manifests").clone()
        } else {
            vec![root]
        }
    }

    /// The manifest of the only image of one platform.
    #[track_caller]
    pub(crate) fn manifest(&self) -> Value {
        let platforms = self.platforms(None);
        assert_eq!(platforms.len(), 1);
        self.document(&platforms[0])
    }

    #[track_caller]
    pub(crate) fn config(&self) -> Value {
        self.document(&self.manifest()["config"])
    }

    /// The uncompressed bytes of a layer.
    #[track_caller]
    pub(crate) fn tar(&self, layer: &Value) -> Vec<u8> {
        let bytes = self.blob(layer);
        let mut tar = Vec::new();
        if layer["mediaType"] == LAYER_ZSTD {
            zstd::stream::read::Decoder::new(&bytes[..])
                .expect("zstd")
                .read_to_end(&mut tar)
                .expect("zstd");
        } else if layer["annotations"]["dev.cosignproject.cosign/signature"].is_string() {
            // cosign says of what it has signed that it is a layer of an image.
            tar = bytes;
        } else {
            assert_eq!(layer["mediaType"], LAYER_GZIP);
            flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut tar).expect("gzip");
        }
        tar
    }

    /// The members of the last layer of the only image of one platform.
    #[track_caller]
    pub(crate) fn added(&self) -> Vec<Member> {
        let manifest = self.manifest();
        members(&self.tar(manifest["layers"].as_array().expect("layers").last().expect("one")))
    }

    /// One member of the last layer.
    #[track_caller]
    pub(crate) fn member(&self, path: &str) -> Member {
        let added = self.added();
        let shown: Vec<_> = added.iter().map(|one| one.path.clone()).collect();
        added.into_iter().find(|one| one.path == path).unwrap_or_else(|| panic!("{shown:?}"))
    }

    /// Makes sure that everything the index leads to is there, with its digest and size, that
    /// diff ids are those of the layers, and that nothing else lies among the blobs.
    #[track_caller]
    pub(crate) fn is_whole(&self) {
        let mut seen = BTreeSet::new();
        let mut waiting = self.entries();
        while let Some(descriptor) = waiting.pop() {
            seen.insert(descriptor["digest"].as_str().expect("a digest").to_owned());
            let document = self.document(&descriptor);
            assert_eq!(document["mediaType"], descriptor["mediaType"]);
            if descriptor["mediaType"] == INDEX {
                waiting.extend(document["manifests"].as_array().expect("manifests").clone());
                continue;
            }
            let layers = document["layers"].as_array().expect("layers");
            for part in std::iter::once(&document["config"]).chain(layers) {
                self.blob(part);
                seen.insert(part["digest"].as_str().expect("a digest").to_owned());
            }
            if document["config"]["mediaType"] == CONFIG {
                let config = self.document(&document["config"]);
                let tars: Vec<Value> =
                    layers.iter().map(|layer| digest_of(&self.tar(layer)).into()).collect();
                assert_eq!(config["rootfs"]["diff_ids"], Value::Array(tars), "diff ids");
            }
        }
        let there: BTreeSet<String> = super::names(&self.folder.join("blobs/sha256"))
            .into_iter()
            .map(|name| format!("sha256:{name}"))
            .collect();
        assert_eq!(there, seen, "blobs that nothing names, or none where one is named");
        assert_eq!(super::names(&self.folder), ["blobs", "index.json", "oci-layout"]);
    }

    /// Every file of the layout with its bytes.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for name in ["oci-layout", "index.json"] {
            files.insert(name.to_owned(), fs::read(self.folder.join(name)).expect("a file"));
        }
        for name in super::names(&self.folder.join("blobs/sha256")) {
            let bytes = fs::read(self.folder.join("blobs/sha256").join(&name)).expect("a blob");
            files.insert(name, bytes);
        }
        files
    }
}

/// Reads a tar.
#[track_caller]
pub(crate) fn members(tar: &[u8]) -> Vec<Member> {
    let mut archive = tar::Archive::new(tar);
    let mut members = Vec::new();
    for entry in archive.entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("content");
        let path = String::from_utf8(entry.path_bytes().into_owned()).expect("UTF-8");
        let target = entry
            .link_name_bytes()
            .filter(|target| !target.is_empty())
            .map(|target| String::from_utf8(target.into_owned()).expect("UTF-8"));
        let header = entry.header();
        let name = |name: Option<&[u8]>| String::from_utf8_lossy(name.unwrap_or(b"")).into_owned();
        members.push(Member {
            path,
            kind: header.entry_type(),
            mode: header.mode().expect("a mode"),
            uid: header.uid().expect("an owner"),
            gid: header.gid().expect("a group"),
            names: (name(header.username_bytes()), name(header.groupname_bytes())),
            mtime: header.mtime().expect("a time"),
            target,
            bytes,
        });
    }
    members
}
