//! What something is made of: an image, one of its platforms, or a single file.
//!
//! Takes a reference, gives bills of materials with what they are about. Judges nothing.

use super::inspect::{InspectError, LAYERS, MAX_FILE};
use crate::archive::Limits;
use crate::bom::{self, About, Bom, Component, Detail, Subject};
use crate::image::Image;
use crate::image::stored::{Stored, StoredError};
use crate::oci::{Descriptor, Digest, Platform, Reference};
use crate::store::{Content, SpoolRoom};
use crate::time::Epoch;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// What a reference leads to.
#[derive(Debug)]
pub enum Described {
    /// One image, or a file: its bill, what that is about, and its ELF files by their hashes.
    One(Box<Bom>, Subject, BTreeMap<Digest, Content>),
    /// An index: its digest, and its platforms with the digests and sizes of their manifests.
    Index {
        /// What the documents are about.
        subject: Subject,
        /// Its images of platforms that karat knows.
        platforms: Vec<(Platform, Digest, u64)>,
    },
}

/// Why there is no bill of materials.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SbomError {
    #[error(transparent)]
    Inspect(#[from] InspectError),
    #[error("the image has no platform {wanted}: {}", .there.join(", "))]
    NoPlatform { wanted: Platform, there: Vec<String> },
    #[error("`{0}` is a folder: a bill of materials is about something that has a digest")]
    Folder(String),
}

impl From<StoredError> for SbomError {
    fn from(error: StoredError) -> Self {
        Self::Inspect(error.into())
    }
}

/// Describes what a reference names, in this detail; of an index the platform that is asked for,
/// or the index.
///
/// # Errors
/// When it cannot be found, or cannot be read in one way only.
pub fn describe(
    reference: &Reference,
    platform: Option<&Platform>,
    epoch: Epoch,
    detail: Detail,
) -> Result<Described, SbomError> {
    match Stored::open(reference) {
        Ok(Some(stored)) => image(reference, &stored, platform, epoch, detail),
        // A tar that is no image is a file like any other.
        Ok(None) | Err(StoredError::NoLayout(_)) => match reference {
            Reference::Path(path) => file(path, epoch, detail),
            other => Err(InspectError::Unsupported(other.clone()).into()),
        },
        Err(error) => Err(error.into()),
    }
}

fn image(
    reference: &Reference,
    stored: &Stored,
    platform: Option<&Platform>,
    epoch: Epoch,
    detail: Detail,
) -> Result<Described, SbomError> {
    let tag = match reference {
        Reference::Layout { tag, .. } => tag.as_deref(),
        _ => None,
    };
    let name = reference.short_name();
    if let ([only], true) = (&stored.saved[..], stored.index.manifests.is_empty()) {
        let room = SpoolRoom::of(LAYERS);
        let (digest, image) = stored.read_saved(only, &room, &Limits::default(), &mut ())?;
        let subject = of_image(about(name, None, (digest, 0), epoch), &image);
        return Ok(one(&image, subject, detail));
    }
    opened(name, stored, stored.image(tag)?, platform, epoch, detail)
}

fn one(image: &Image, subject: Subject, detail: Detail) -> Described {
    let bom = bom::describe(image, &[], detail);
    let files = super::known::executables(image, &bom);
    Described::One(Box::new(bom), subject, files)
}

fn about(name: String, platform: Option<Platform>, of: (Digest, u64), epoch: Epoch) -> Subject {
    let (digest, size) = of;
    let about = About::Image { platform, base: None };
    Subject::new(name, digest, size, about, epoch)
}

/// Adds what an image says of itself; annotations come before labels.
fn of_image(subject: Subject, image: &Image) -> Subject {
    let labels = &image.config.config.labels;
    let mut subject =
        subject.says(|key| image.annotations.get(key).or_else(|| labels.get(key)).cloned());
    subject.about = About::Image { platform: image.config.platform().known(), base: None };
    subject
}

/// Describes an image that was opened, called `name`, as [`describe`] does.
///
/// # Errors
/// When it cannot be read in one way only, or has not the platform.
pub fn opened(
    name: String,
    stored: &Stored,
    root: &Descriptor,
    platform: Option<&Platform>,
    epoch: Epoch,
    detail: Detail,
) -> Result<Described, SbomError> {
    let manifests = stored.manifests(root)?;
    let known = |one: &Descriptor| one.platform.as_ref().and_then(|one| one.known());
    let chosen = match platform {
        None if root.media_type.is_index() => {
            let entry = |one: &Descriptor| Some((known(one)?, one.digest, one.size));
            let platforms = manifests.iter().filter_map(entry).collect();
            let mut subject = about(name, None, (root.digest, root.size), epoch);
            subject.sha512 = bom::sha512(&stored.manifest_bytes(root)?.as_slice()).ok();
            return Ok(Described::Index { subject, platforms });
        }
        None => root,
        Some(wanted) => match manifests.iter().find(|one| known(one).as_ref() == Some(wanted)) {
            Some(found) => found,
            // A lone manifest says its platform in its configuration.
            None if !root.media_type.is_index()
                && stored.documents(root)?.1.platform().known().as_ref() == Some(wanted) =>
            {
                root
            }
            None => {
                let there = manifests.iter().filter_map(known).map(|one| one.to_string()).collect();
                return Err(SbomError::NoPlatform { wanted: wanted.clone(), there });
            }
        },
    };
    let image = stored.read(chosen, &SpoolRoom::of(LAYERS), &Limits::default())?;
    let of = (chosen.digest, chosen.size);
    let mut subject = of_image(about(name, None, of, epoch), &image);
    subject.sha512 = bom::sha512(&stored.manifest_bytes(chosen)?.as_slice()).ok();
    Ok(one(&image, subject, detail))
}

fn file(path: &Path, epoch: Epoch, detail: Detail) -> Result<Described, SbomError> {
    let shown = path.display().to_string();
    let open = |error| InspectError::Open { path: shown.clone(), error };
    let found = path.metadata().map_err(open)?;
    if found.is_dir() {
        return Err(SbomError::Folder(shown));
    }
    if !found.is_file() {
        return Err(InspectError::Special { path: shown }.into());
    }
    let opened = File::open(path).map_err(open)?;
    let spool = SpoolRoom::default()
        .copy(opened, found.len(), MAX_FILE)
        .map_err(|error| InspectError::File { path: shown.clone(), error })?;
    let content = Content::whole(Arc::new(spool));
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let bom = bom::file(name.as_bytes(), &content, detail);
    let (digest, size) = (content.sha256(), found.len());
    let mut subject = Subject::new(name, digest, size, About::File, epoch);
    // Made already for the component of the file.
    let own =
        |one: &Component| one.file.as_ref().filter(|one| one.sha256 == digest)?.sha512.clone();
    subject.sha512 = bom.components.iter().find_map(own);
    let files = BTreeMap::from([(digest, content)]);
    Ok(Described::One(Box::new(bom), subject, files))
}
