//! Layouts that hold images of several names: one is added or replaced, the others stay.

use super::{PublishError, Release, Staging, staging};
use crate::image::stored::Stored;
use crate::oci::document::{Index, MAX_MANIFEST, MAX_MANIFESTS, Manifest};
use crate::oci::layout::{BLOBS, LayoutWriter, REF_NAME, blob_path};
use crate::oci::legacy::Legacy;
use crate::oci::{Descriptor, Digest};
use crate::sign::{self, Referrer};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

pub(super) fn check(dir: &Path) -> Result<(), PublishError> {
    let something_else = |what| PublishError::SomethingElse { path: dir.to_owned(), what };
    match dir.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(PublishError::Write { path: dir.to_owned(), error }),
        Ok(found) if !found.is_dir() => Err(something_else("no folder")),
        Ok(_) if dir.join("oci-layout").is_file() => match Stored::open_folder(dir) {
            Ok(_) => Ok(()),
            Err(error) => Err(PublishError::Old { path: dir.to_owned(), error: Box::new(error) }),
        },
        Ok(_) => match super::is_empty(dir) {
            Ok(true) => Ok(()),
            Ok(false) => Err(something_else("a folder, but no OCI image layout")),
            Err(error) => Err(PublishError::Write { path: dir.to_owned(), error }),
        },
    }
}

/// Makes the index of a layout: the image first, then other images, then all referrers.
pub(super) fn index(release: &Release, tag: Option<&str>, others: Vec<Descriptor>) -> Index {
    let mut image = release.root.clone();
    if let Some(tag) = tag {
        image.annotations.insert(REF_NAME.to_owned(), tag.to_owned());
    }
    let (artifacts, images): (Vec<_>, Vec<_>) = others.into_iter().partition(is_about_another);
    let mut manifests = vec![image];
    manifests.extend(images);
    for referrer in release.referrers.iter().cloned().chain(artifacts) {
        if !manifests.iter().any(|known| known.digest == referrer.digest) {
            manifests.push(referrer);
        }
    }
    Index::new(manifests)
}

/// Moves the staged blobs into a layout and names the image in its index.
pub(super) fn write(
    release: &Release,
    staging: Staging,
    dir: &Path,
    tag: Option<&str>,
) -> Result<(), PublishError> {
    let write = |error| PublishError::Write { path: dir.to_owned(), error };
    let _place = staging::lock(dir)?;
    check(dir)?;
    if !dir.exists() {
        staging.layout.finish(&index(release, tag, Vec::new()).to_bytes()).map_err(write)?;
        return fs::rename(staging.image(), dir).map_err(write);
    }
    let old = match Stored::open_folder(dir) {
        Ok(stored) => Some(stored),
        Err(_) if !dir.join("index.json").exists() => None,
        Err(error) => {
            return Err(PublishError::Old { path: dir.to_owned(), error: Box::new(error) });
        }
    };
    let before = old.as_ref().map(reachable).unwrap_or_default();
    let others = old.map(|old| kept(&old, tag)).unwrap_or_default();
    staging.layout.finish(&index(release, tag, others).to_bytes()).map_err(write)?;
    LayoutWriter::create(dir).map_err(write)?;
    for entry in staging.image().join(BLOBS).read_dir().map_err(write)? {
        let entry = entry.map_err(write)?;
        fs::rename(entry.path(), dir.join(BLOBS).join(entry.file_name())).map_err(write)?;
    }
    for file in ["oci-layout", "index.json"] {
        fs::rename(staging.image().join(file), dir.join(file)).map_err(write)?;
    }
    // Only now is what the old image alone needed no longer named by anything.
    if let Ok(new) = Stored::open_folder(dir) {
        for digest in before.difference(&reachable(&new)) {
            let _ = fs::remove_file(blob_path(dir, digest));
        }
    }
    Ok(())
}

/// Puts referrers into a layout: their blobs first, then the index that names them.
pub(super) fn refer(dir: &Path, referrers: &[Referrer]) -> Result<usize, PublishError> {
    let write = |error| PublishError::Write { path: dir.to_owned(), error };
    let _place = staging::lock(dir)?;
    let old = Stored::open_folder(dir)
        .map_err(|error| PublishError::Old { path: dir.to_owned(), error: Box::new(error) })?;
    let mut manifests = old.index.manifests;
    let before = manifests.len();
    let layout = LayoutWriter::create(dir).map_err(write)?;
    for referrer in referrers {
        if manifests.iter().any(|known| known.digest == referrer.descriptor.digest) {
            continue;
        }
        for bytes in [sign::EMPTY, &referrer.bundle, &referrer.manifest] {
            layout.write_blob(bytes).map_err(write)?;
        }
        manifests.push(referrer.descriptor.clone());
    }
    let added = manifests.len() - before;
    if added > 0 {
        layout.finish(&Index::new(manifests).to_bytes()).map_err(write)?;
    }
    Ok(added)
}

/// Returns the entries of an index that stay: not the image of this name, and not what
/// refers to it alone.
fn kept(old: &Stored, tag: Option<&str>) -> Vec<Descriptor> {
    let name = |descriptor: &Descriptor| descriptor.annotations.get(REF_NAME).cloned();
    let replaced = |one: &&Descriptor| !is_about_another(one) && name(one).as_deref() == tag;
    let (replaced, mut kept): (Vec<_>, Vec<_>) = old.index.manifests.iter().partition(replaced);
    let covers = |images: &[&Descriptor]| {
        let mut digests: BTreeSet<Digest> = images.iter().map(|image| image.digest).collect();
        for image in images {
            digests.extend(old.manifests(image).unwrap_or_default().iter().map(|one| one.digest));
        }
        digests
    };
    let images: Vec<_> = kept.iter().filter(|one| !is_about_another(one)).copied().collect();
    let staying = covers(&images);
    let leaving = covers(&replaced);
    kept.retain(|one| {
        let subject = || {
            if let Some(legacy) = Legacy::of(one) {
                return match legacy {
                    Legacy::Tagged(subject, _) => Some(subject),
                    Legacy::Untagged => None,
                };
            }
            let bytes = old.document(one, MAX_MANIFEST).ok()?;
            Some(Manifest::parse(&bytes).ok()?.subject?.digest)
        };
        !is_about_another(one)
            || subject().is_none_or(|about| !leaving.contains(&about) || staying.contains(&about))
    });
    kept.into_iter().cloned().collect()
}

/// Says whether an entry of an index refers to an image and is none.
fn is_about_another(descriptor: &Descriptor) -> bool {
    descriptor.artifact_type.is_some() || Legacy::of(descriptor).is_some()
}

/// Returns the digests of everything that an index leads to.
fn reachable(stored: &Stored) -> BTreeSet<Digest> {
    let mut found = BTreeSet::new();
    let mut waiting: Vec<Descriptor> = stored.index.manifests.clone();
    while let Some(descriptor) = waiting.pop() {
        if !found.insert(descriptor.digest) {
            continue;
        }
        let Ok(bytes) = stored.document(&descriptor, MAX_MANIFEST) else { continue };
        if descriptor.media_type.is_index() {
            waiting.extend(
                Index::parse(&bytes, MAX_MANIFESTS)
                    .map(|index| index.manifests)
                    .unwrap_or_default(),
            );
        } else if let Ok(manifest) = Manifest::parse(&bytes) {
            found.insert(manifest.config.digest);
            found.extend(manifest.layers.iter().map(|layer| layer.digest));
        }
    }
    found
}
