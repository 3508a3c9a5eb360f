//! Publishing: a finished image goes where the user wants it, as one.
//!
//! Takes a [`Release`] in a staging folder, gives it its place: a layout, an archive, or
//! the default output. Everything is written under a temporary name first; a run that is
//! killed leaves the old output whole. Registries come with a later version.

mod archive;
mod dist;
mod layout;

use crate::image::stored::StoredError;
use crate::oci::layout::LayoutWriter;
use crate::oci::{Descriptor, Reference};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

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

/// A folder beside an output, in which an image takes shape. Removed with all that is in
/// it, unless its content has been moved to its place.
#[derive(Debug)]
pub struct Staging {
    folder: TempDir,
    /// The layout that takes shape.
    pub layout: LayoutWriter,
}

impl Staging {
    /// Makes the folder beside a destination, so that moving is a rename.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn beside(destination: &Destination) -> Result<Self, PublishError> {
        let path = destination.path();
        let parent =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let write = |error| PublishError::Write { path: parent.to_owned(), error };
        std::fs::create_dir_all(parent).map_err(write)?;
        let folder =
            tempfile::Builder::new().prefix(".karat-").tempdir_in(parent).map_err(write)?;
        make_enterable(folder.path()).map_err(write)?;
        let layout = LayoutWriter::create(&folder.path().join("image")).map_err(write)?;
        Ok(Self { folder, layout })
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }
}

/// Temporary folders are for their owner alone; an output is an ordinary folder.
fn make_enterable(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
    }
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
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
            Destination::Archive(file) => archive::write(release, &staging.image(), file)?,
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
        Destination::Archive(file) => archive::write(release, &staging.image(), file),
        Destination::Layout { dir, tag } => layout::write(release, staging, dir, tag.as_deref()),
        Destination::Dist(path) => dist::write(Some(release), staging, papers, path),
    }
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
    for entry in from.join("blobs/sha256").read_dir()? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join("blobs/sha256").join(entry.file_name()))?;
    }
    Ok(())
}
