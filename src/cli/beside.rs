//! Where statements about an image are put: beside it, in its layout or its repository.

use super::failure::Failure;
use super::network;
use super::output::Output;
use karat::image::stored::Stored;
use karat::oci::Reference;
use karat::pipeline::transfer::{self, Origin};
use karat::publish;
use karat::registry::Registries;
use karat::settings::Policy;
use karat::sign::Referrer;
use karat::sign::legacy::Legacy;
use std::path::PathBuf;

/// An image that something can be put beside.
pub(super) struct Placed {
    pub(super) origin: Origin,
    place: Place,
}

enum Place {
    Layout(PathBuf),
    Registry { registries: Registries, repository: Reference },
}

impl Placed {
    /// Opens an image with all that refers to it.
    pub(super) fn open(
        reference: &Reference,
        policy: &Policy,
        output: &Output,
    ) -> Result<Self, Failure> {
        let (folder, tag) = match reference {
            Reference::Registry { .. } => return Self::remote(reference, policy, output),
            Reference::Layout { dir, tag } => (dir.clone(), tag.clone()),
            Reference::Path(path) if path.join("index.json").is_file() => (path.clone(), None),
            other => {
                return Err(Failure::usage(format!(
                    "`{other}` is no layout and no repository, to which a signature can be added"
                ))
                .hint(
                    "`oci:DIR[:TAG]` or `docker://HOST/REPO@sha256:…`; for any other file, name the `--bundle` to write",
                ));
            }
        };
        let stored = Stored::open_folder(&folder)?;
        let root = stored.image(tag.as_deref())?.clone();
        let origin = Origin { stored, root, repository: None, by_tag: None };
        Ok(Self { origin, place: Place::Layout(folder) })
    }

    fn remote(reference: &Reference, policy: &Policy, output: &Output) -> Result<Self, Failure> {
        let of_policy = policy.registry.as_ref();
        transfer::standing(of_policy, reference)?;
        let plain = network::plain_hosts()?;
        let hosts = transfer::hosts(of_policy, &[reference], Some(reference), &plain)?;
        let registries = network::registries(hosts, false, &[reference])?;
        let require_digest = of_policy.is_some_and(|one| one.require_digest);
        let origin = transfer::open(&registries, reference, require_digest, true)?;
        if let Some(tag) = &origin.by_tag {
            output.tell(&format!("the tag `{tag}` leads to {} now", origin.root.digest));
        }
        // What is put beside an image moves no tag.
        let repository = match reference.clone() {
            Reference::Registry { host, repository, .. } => {
                Reference::Registry { host, repository, tag: None, digest: None }
            }
            other => other,
        };
        Ok(Self { origin, place: Place::Registry { registries, repository } })
    }

    /// Returns the repository that the image is in, `HOST/NAME`; none of a layout.
    pub(super) fn repository(&self) -> Option<String> {
        let repository = self.origin.repository.as_ref()?;
        Some(format!("{}/{}", repository.host(), repository.name()))
    }

    /// Puts referrers, and layers in cosign's old form, beside the image, where they are not yet,
    /// and returns how many were put.
    pub(super) fn put(
        &mut self,
        referrers: &[Referrer],
        layers: &[Legacy],
    ) -> Result<usize, Failure> {
        let (registries, repository) = match &self.place {
            Place::Layout(folder) => return Ok(publish::refer(folder, referrers, layers)?),
            Place::Registry { registries, repository } => (registries, repository),
        };
        for one in referrers {
            self.origin.stored.add(one.descriptor.clone(), one.blobs());
        }
        self.origin.add_layers(layers)?;
        let receipt = transfer::publish(registries, &self.origin, repository, &[], false)?;
        Ok(receipt.manifests)
    }
}
