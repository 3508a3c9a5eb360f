//! Layouts that hold images of several names: one is added or replaced, the others stay.

use super::{PublishError, Release, Staging, staging};
use crate::image::stored::{Stored, StoredError};
use crate::oci::document::{Index, MAX_MANIFEST, MAX_MANIFESTS, Manifest};
use crate::oci::layout::{BLOBS, LayoutWriter, REF_NAME, blob_path};
use crate::oci::legacy::{self, Legacy};
use crate::oci::{Descriptor, Digest};
use crate::sign::legacy::{self as old_form, attach};
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
    let is_on_it = |one: &Descriptor| matches!(Legacy::of(one), Some(Legacy::Tagged(about, _)) if about == image.digest);
    if release.referrers.iter().any(is_on_it) {
        legacy::name_kind(&mut image);
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
    let mut before = old.as_ref().map(reachable).unwrap_or_default();
    let mut others = old.as_ref().map(|old| kept(old, tag)).unwrap_or_default();
    let mut referrers = release.referrers.clone();
    if let Some(old) = &old {
        let joined = join(old, &mut others, &mut referrers, &staging);
        before.extend(
            joined.map_err(|error| PublishError::Old {
                path: dir.to_owned(),
                error: Box::new(error),
            })?,
        );
    }
    let release = &Release { root: release.root.clone(), referrers, name: release.name.clone() };
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
    remove_unnamed(dir, &before);
    Ok(())
}

/// Makes one manifest of two in cosign's old form that have one tag: of an image that stays under
/// another name, and of the same image that is written. Returns what is staged and may be named by
/// nothing any more.
fn join(
    old: &Stored,
    others: &mut Vec<Descriptor>,
    referrers: &mut [Descriptor],
    staging: &Staging,
) -> Result<Vec<Digest>, StoredError> {
    let mut replaced = Vec::new();
    for referrer in referrers {
        let Some(tagged @ Legacy::Tagged(subject, end)) = Legacy::of(referrer) else { continue };
        let Some(at) = others.iter().position(|one| Legacy::of(one) == Some(tagged)) else {
            continue;
        };
        let theirs = others.remove(at);
        let there = Manifest::parse(&old.document(&theirs, MAX_MANIFEST)?)?;
        let staged = fs::read(blob_path(&staging.image(), &referrer.digest))?;
        let ours = Manifest::parse(&staged)?;
        replaced.extend([referrer.digest, ours.config.digest]);
        let Some(joined) = legacy::joined(Some(&there), &ours.layers)? else {
            *referrer = theirs;
            continue;
        };
        for bytes in std::iter::once(&joined.manifest).chain(&joined.config) {
            staging.layout.write_blob(bytes)?;
        }
        let manifest = Descriptor::of(theirs.media_type, &joined.manifest);
        *referrer = legacy::entry(&manifest, &legacy::tag(&subject, end));
    }
    Ok(replaced)
}

/// Puts referrers and layers in cosign's old form into a layout: their blobs first, then the index
/// that names them.
pub(super) fn refer(
    dir: &Path,
    referrers: &[Referrer],
    layers: &[old_form::Legacy],
) -> Result<usize, PublishError> {
    let write = |error| PublishError::Write { path: dir.to_owned(), error };
    let unreadable = |error| PublishError::Old { path: dir.to_owned(), error: Box::new(error) };
    let _place = staging::lock(dir)?;
    let old = Stored::open_folder(dir).map_err(unreadable)?;
    let before = if layers.is_empty() { BTreeSet::new() } else { reachable(&old) };
    let mut manifests = old.index.manifests.clone();
    let mut added = 0;
    let layout = LayoutWriter::create(dir).map_err(write)?;
    for referrer in referrers {
        if manifests.iter().any(|known| known.digest == referrer.descriptor.digest) {
            continue;
        }
        for bytes in [sign::EMPTY, &referrer.bundle, &referrer.manifest] {
            layout.write_blob(bytes).map_err(write)?;
        }
        manifests.push(referrer.descriptor.clone());
        added += 1;
    }
    for (tag, layers) in old_form::by_tag(layers) {
        let tagged = Some(Legacy::Tagged(tag.0, tag.1.end()));
        let at = manifests.iter().position(|one| Legacy::of(one) == tagged);
        let there = at.map(|at| old.document(&manifests[at], MAX_MANIFEST));
        let there = there.transpose().map_err(unreadable)?;
        let there = there.map(|bytes| Manifest::parse(&bytes)).transpose();
        let there = there.map_err(|error| unreadable(error.into()))?;
        let attached = attach(&tag, there.as_ref(), &layers);
        let attached = attached.map_err(|error| unreadable(error.into()))?;
        let Some(attached) = attached else { continue };
        for bytes in &attached.blobs {
            layout.write_blob(bytes).map_err(write)?;
        }
        added += attached.added;
        match at {
            Some(at) => manifests[at] = attached.entry,
            None => manifests.push(attached.entry),
        }
        let is_image = |one: &&mut Descriptor| one.digest == tag.0 && !is_about_another(one);
        manifests.iter_mut().filter(is_image).for_each(legacy::name_kind);
    }
    if added > 0 {
        layout.finish(&Index::new(manifests).to_bytes()).map_err(write)?;
        remove_unnamed(dir, &before);
    }
    Ok(added)
}

/// Removes what was named by the index of a layout before, and by nothing now.
fn remove_unnamed(dir: &Path, before: &BTreeSet<Digest>) {
    if let Ok(new) = Stored::open_folder(dir) {
        for digest in before.difference(&reachable(&new)) {
            let _ = fs::remove_file(blob_path(dir, digest));
        }
    }
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
