//! Publishing: a finished image goes where the user wants it, as one.
//!
//! Takes a [`Release`] in a staging folder, gives it its place: a layout, an archive, or
//! the default output. Everything is written under a temporary name first; a run that is
//! killed leaves the old output whole. Into registries images go by [`registry`].

mod archive;
mod dist;
mod layout;
pub mod registry;
mod staging;

use crate::image::stored::StoredError;
use crate::oci::layout::BLOBS;
use crate::oci::{Descriptor, Reference};
use crate::sign::Referrer;
use crate::sign::legacy::Legacy;
pub use staging::Staging;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// An image whose blobs are all in a staging layout.
#[derive(Debug)]
pub struct Release {
    /// The manifest, or the index over several.
    pub root: Descriptor,
    /// What refers to it and to its platforms' manifests.
    pub referrers: Vec<Descriptor>,
    /// The name of the image.
    pub name: String,
}

/// Where an image can go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// The default output: a folder with the image, the report and the documents.
    Dist(PathBuf),
    /// An OCI layout, where the image gets a name or not.
    Layout {
        /// The folder of the layout.
        dir: PathBuf,
        /// The image's name in it.
        tag: Option<String>,
    },
    /// One tar.
    Archive(PathBuf),
}

/// The documents that the default output has beside the image, by their file names.
pub type Papers = Vec<(String, Vec<u8>)>;

/// Why an output could not be written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PublishError {
    #[error("`{}` exists and is {what}; it is left as it is", path.display())]
    SomethingElse { path: PathBuf, what: &'static str },
    #[error("this version of karat does not write to `{0}`")]
    Unsupported(Reference),
    #[error("the layout `{}` cannot be read: {error}", path.display())]
    Old { path: PathBuf, error: Box<StoredError> },
    #[error("another process is writing in `{}`", path.display())]
    Held { path: PathBuf },
    #[error("failed to write `{}`: {error}", path.display())]
    Write { path: PathBuf, error: io::Error },
}

impl Destination {
    /// Takes a reference as a destination.
    ///
    /// # Errors
    /// When this version does not write there.
    pub fn new(reference: Reference) -> Result<Self, PublishError> {
        match reference {
            Reference::Layout { dir, tag } => Ok(Self::Layout { dir, tag }),
            Reference::Archive(file) => Ok(Self::Archive(file)),
            other => Err(PublishError::Unsupported(other)),
        }
    }

    /// Returns the path that is written.
    pub fn path(&self) -> &Path {
        match self {
            Self::Dist(path) | Self::Layout { dir: path, .. } | Self::Archive(path) => path,
        }
    }

    /// Makes sure that what is there already may be replaced, before any work is done.
    ///
    /// # Errors
    /// When something else is there.
    pub fn check(&self) -> Result<(), PublishError> {
        match self {
            Self::Dist(path) => dist::check(path),
            Self::Layout { dir, .. } => layout::check(dir),
            Self::Archive(file) => archive::check(file),
        }
    }
}

/// Writes where the image itself is, in the words of `--output`.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dist(path) => write!(f, "oci:{}", path.join("image").display()),
            Self::Layout { dir, tag } => {
                Reference::Layout { dir: dir.clone(), tag: tag.clone() }.fmt(f)
            }
            Self::Archive(file) => Reference::Archive(file.clone()).fmt(f),
        }
    }
}

/// Brings a release to its destinations. The last one takes the staged blobs, the others
/// get copies.
///
/// # Errors
/// When one cannot be written; those before it are whole.
pub fn release(
    release: &Release,
    staging: Staging,
    papers: &Papers,
    destinations: &[Destination],
) -> Result<(), PublishError> {
    let Some((last, others)) = destinations.split_last() else { return Ok(()) };
    for destination in others {
        match destination {
            Destination::Archive(file) => {
                archive::write(release, &staging.image(), &Staging::beside(destination)?, file)?;
            }
            Destination::Layout { dir, tag } => {
                let own = Staging::beside(destination)?;
                copy_blobs(&staging.image(), &own.image())
                    .map_err(|error| PublishError::Write { path: dir.clone(), error })?;
                layout::write(release, own, dir, tag.as_deref())?;
            }
            Destination::Dist(path) => {
                let own = Staging::beside(destination)?;
                copy_blobs(&staging.image(), &own.image())
                    .map_err(|error| PublishError::Write { path: path.clone(), error })?;
                dist::write(Some(release), own, papers, path)?;
            }
        }
    }
    match last {
        Destination::Archive(file) => archive::write(release, &staging.image(), &staging, file),
        Destination::Layout { dir, tag } => layout::write(release, staging, dir, tag.as_deref()),
        Destination::Dist(path) => dist::write(Some(release), staging, papers, path),
    }
}

/// Adds referrers, and layers in cosign's old form, to a layout, where they are not yet, and
/// returns how many were added.
///
/// # Errors
/// When it cannot be read or written; it is left as it was, with blobs that nothing names.
pub fn refer(dir: &Path, referrers: &[Referrer], legacy: &[Legacy]) -> Result<usize, PublishError> {
    layout::refer(dir, referrers, legacy)
}

/// Leaves the report of a rejected image in the default output, and no image. Other
/// destinations stay as they were.
///
/// # Errors
/// When it cannot be written.
pub fn rejection(
    staging: Staging,
    papers: &Papers,
    destinations: &[Destination],
) -> Result<(), PublishError> {
    match destinations {
        [Destination::Dist(path)] => dist::write(None, staging, papers, path),
        _ => Ok(()),
    }
}

fn is_empty(folder: &Path) -> io::Result<bool> {
    Ok(folder.read_dir()?.next().is_none())
}

fn copy_blobs(from: &Path, to: &Path) -> io::Result<()> {
    for entry in from.join(BLOBS).read_dir()? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(BLOBS).join(entry.file_name()))?;
    }
    Ok(())
}
