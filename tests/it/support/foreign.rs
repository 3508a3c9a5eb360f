//! Images of somebody else, made by code of this folder alone.

use super::{Project, digest_of, sha256};
use serde_json::{Value, json};

/// One entry of a layer.
#[derive(Clone)]
pub(crate) struct Member {
    path: Vec<u8>,
    kind: tar::EntryType,
    bytes: Vec<u8>,
    mode: u32,
    owner: (u64, u64),
    xattrs: Vec<(&'static str, &'static str)>,
}

/// A regular file of root's, which all may read and run.
pub(crate) fn file(path: impl AsRef<[u8]>, bytes: impl AsRef<[u8]>) -> Member {
    // Programs and scripts may be started; data that may be is a finding of its own.
    let starts = [&b"\x7fELF"[..], b"#!"].iter().any(|magic| bytes.as_ref().starts_with(magic));
    Member {
        path: path.as_ref().to_vec(),
        kind: tar::EntryType::Regular,
        bytes: bytes.as_ref().to_vec(),
        mode: if starts { 0o755 } else { 0o644 },
        owner: (0, 0),
        xattrs: Vec::new(),
    }
}

/// A folder of root's.
pub(crate) fn folder(path: &str) -> Member {
    Member { kind: tar::EntryType::Directory, mode: 0o755, ..file(path, "") }
}

/// A symbolic link.
pub(crate) fn link(path: &str, target: &str) -> Member {
    Member { kind: tar::EntryType::Symlink, ..file(path, target) }
}

impl Member {
    pub(crate) fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    pub(crate) fn owner(mut self, uid: u64, gid: u64) -> Self {
        self.owner = (uid, gid);
        self
    }

    pub(crate) fn xattr(mut self, name: &'static str) -> Self {
        self.xattrs.push((name, "x"));
        self
    }
}

/// An image.
#[derive(Clone)]
pub(crate) struct Image {
    /// How it is started.
    pub(crate) run: Value,
    /// Further properties of the configuration.
    pub(crate) config: Value,
    pub(crate) annotations: Value,
    pub(crate) layers: Vec<Vec<Member>>,
}

impl Image {
    /// Writes the image as a layout.
    pub(crate) fn write(&self, project: &Project, at: &str) {
        let blob = |bytes: &[u8], media_type: &str| {
            project.write(&format!("{at}/blobs/sha256/{}", sha256(bytes)), bytes);
            json!({ "mediaType": media_type, "digest": digest_of(bytes), "size": bytes.len() })
        };
        let tars: Vec<_> = self.layers.iter().map(|members| layer(members)).collect();
        let layers: Vec<_> =
            tars.iter().map(|tar| blob(tar, "application/vnd.oci.image.layer.v1.tar")).collect();
        let diff_ids: Vec<_> = tars.iter().map(|tar| digest_of(tar)).collect();
        let mut config = json!({ "architecture": "amd64", "os": "linux", "config": self.run,
            "rootfs": { "type": "layers", "diff_ids": diff_ids } });
        for (key, value) in self.config.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        let config =
            blob(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({ "schemaVersion": 2, "mediaType": media_type, "config": config,
            "layers": layers, "annotations": self.annotations });
        let manifest = blob(manifest.to_string().as_bytes(), media_type);
        let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
        project.write(&format!("{at}/index.json"), index.to_string());
        project.write(&format!("{at}/oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
    }

    /// Writes the image and has it inspected.
    #[track_caller]
    pub(crate) fn report(&self, project: &Project) -> Value {
        self.write(project, "image");
        let output = project.run("inspect oci:image --format json --exit-zero").exits(0);
        std::fs::remove_dir_all(project.path("image")).expect("a folder");
        output.json()
    }
}

/// Packs a layer. Names and targets are written as they are, valid or not.
fn layer(members: &[Member]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for member in members {
        let keys: Vec<_> =
            member.xattrs.iter().map(|(name, _)| format!("SCHILY.xattr.{name}")).collect();
        if !keys.is_empty() {
            let values = member.xattrs.iter().map(|(_, value)| value.as_bytes());
            tar.append_pax_extensions(keys.iter().map(String::as_str).zip(values))
                .expect("attributes");
        }
        let mut header = tar::Header::new_ustar();
        let raw = header.as_mut_bytes();
        raw[..member.path.len()].copy_from_slice(&member.path);
        let data = match member.kind {
            tar::EntryType::Symlink => {
                raw[157..157 + member.bytes.len()].copy_from_slice(&member.bytes);
                &[]
            }
            _ => &member.bytes[..],
        };
        header.set_mode(member.mode);
        header.set_uid(member.owner.0);
        header.set_gid(member.owner.1);
        header.set_mtime(0);
        header.set_entry_type(member.kind);
        header.set_size(data.len() as u64);
        header.set_cksum();
        tar.append(&header, data).expect("a member");
    }
    tar.into_inner().expect("a tar")
}
