//! Assembly: from a recipe, a base and inputs to an image.
//!
//! Takes a [`Recipe`], a [`Base`] and a project's files, gives an [`Image`] that can be
//! judged, and packs it into blobs and documents. What comes out is a pure function of
//! the recipe, its vars, the inputs' bytes, the base, the epoch and [`FORMAT`]; nothing
//! of the machine, the user, the folder or the clock gets in.

pub mod config;
pub mod input;
pub mod layer;
pub mod rootfs;
pub mod sidecar;

use crate::base::{Base, BaseError};
use crate::finding::diagnostic::Span;
use crate::image::{Image, Layer, Origin};
use crate::oci::layout::LayoutWriter;
use crate::oci::{Descriptor, DiffId, ImagePath, Platform};
use crate::recipe::{Compression, Recipe};
use crate::store::{Content, SpoolRoom};
use crate::time::Epoch;
use input::{InputError, Project};
use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// The version of the rules by which bytes become images. Any change that gives other
/// bytes for the same input gets a new number; `docs/assembly-format.md` says what counts.
pub const FORMAT: u32 = 1;

/// What an image is assembled from.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// The platform, one of the recipe's.
    pub platform: &'a Platform,
    /// The base for that platform.
    pub base: &'a Base,
    /// The project that the recipe's sources are relative to.
    pub project: &'a Project,
    /// The value of every var of the recipe.
    pub vars: &'a BTreeMap<String, String>,
    /// The time that is written.
    pub epoch: Epoch,
}

/// An assembled image, and where its files are from.
#[derive(Debug)]
pub struct Assembled {
    /// The image.
    pub image: Image,
    /// What was read, in byte order of the sources.
    pub inputs: Vec<Input>,
}

/// One file that was read.
#[derive(Debug, Clone)]
pub struct Input {
    /// Its path relative to the project root, with `/` between the components.
    pub source: String,
    /// Where it went; for what comes with a binary, where the binary went.
    pub path: ImagePath,
    /// Its bytes, as they were copied.
    pub content: Content,
    /// What it is.
    pub role: Role,
}

/// What an input is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// A declared executable.
    Binary,
    /// Data.
    File,
    /// An SBOM that comes with a binary; it is not in the image.
    Sbom,
    /// The provenance of a binary's own build, and its bytes; it is not in the image.
    Provenance(Vec<u8>),
}

/// A fault of one line of the recipe that shows only when its inputs are there.
#[derive(Debug)]
pub struct Fault {
    /// The line's bytes in the recipe.
    pub span: Span,
    /// What is wrong.
    pub error: FaultError,
    /// The command that makes the missing input.
    pub make: Option<String>,
}

/// What is wrong with a line of a recipe.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum FaultError {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("`{path}` is already taken by `{by}`")]
    Taken { path: String, by: String },
    #[error("`{path}` is a folder of the base; the base's folders stay as they are")]
    BaseFolder { path: String },
    #[error("`{path}` lies below `{parent}`, which is no folder")]
    NoFolder { path: String, parent: String },
    #[error("{0}")]
    Path(#[from] crate::oci::path::InvalidPath),
    #[error("`{source_path}` does not fit the binary: {error}")]
    Sidecar { source_path: String, error: sidecar::SidecarError },
    #[error("the input hashes to {found}, and the recipe pins {pinned}")]
    Pin { pinned: String, found: String },
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum AssembleError {
    #[error("{} of the recipe's inputs cannot be packed", .0.len())]
    Faults(Vec<Fault>),
    #[error(transparent)]
    Base(Box<BaseError>),
    #[error("failed to write the layer: {0}")]
    Layer(io::Error),
    #[error("failed to write `{path}`: {error}")]
    Write { path: PathBuf, error: io::Error },
}

impl From<BaseError> for AssembleError {
    fn from(error: BaseError) -> Self {
        Self::Base(Box::new(error))
    }
}

/// Assembles the image of one platform, reading every input once.
///
/// # Errors
/// Every input that is missing, is of the wrong kind, lies outside the project, cannot
/// be read, or claims a path that is taken: all together. And when the base cannot be read.
pub fn image(request: Request<'_>, room: &SpoolRoom) -> Result<Assembled, AssembleError> {
    // The base is unpacked and hashed while the inputs are read.
    let (layers, binaries) = std::thread::scope(|scope| {
        let layers = scope.spawn(|| request.base.read_layers(room));
        let binaries = rootfs::read_binaries(request, room);
        (layers.join(), binaries)
    });
    let mut layers =
        layers.unwrap_or_else(|_| Err(BaseError::Unreadable(request.base.name.clone())))?;
    let (entries, inputs) = rootfs::entries(request, &layers, binaries, room)?;
    if !entries.is_empty() {
        layers.push(Layer { origin: Origin::Added, diff_id: None, entries });
    }
    let (config, annotations) = config::config(request, layers.len());
    Ok(Assembled { image: Image { config, layers, annotations }, inputs })
}

/// The layers of an image as they are stored.
#[derive(Debug, Clone)]
pub struct Packed {
    /// Types, digests and sizes of the stored bytes.
    pub layers: Vec<Descriptor>,
    /// The digests of the uncompressed bytes.
    pub diff_ids: Vec<DiffId>,
}

impl Packed {
    /// Returns the number of stored bytes of the layers that are not the base's.
    pub fn added_size(&self, base: &Base) -> u64 {
        self.layers.iter().skip(base.layers.len()).map(|layer| layer.size).sum()
    }
}

/// Writes the layers of an image into a layout: the base's as they are, the added one
/// in one pass from the spools, with both digests computed as the bytes stream.
///
/// # Errors
/// When a blob cannot be written.
pub fn pack(
    image: &Image,
    base: &Base,
    layout: &LayoutWriter,
    compression: Compression,
    epoch: Epoch,
    threads: NonZeroUsize,
) -> Result<Packed, AssembleError> {
    let mut packed = Packed { layers: Vec::new(), diff_ids: Vec::new() };
    for stored in &base.layers {
        let path = layout.blob_path(&stored.descriptor.digest);
        layout.write_blob(&stored.bytes).map_err(|error| AssembleError::Write { path, error })?;
        packed.layers.push(stored.descriptor.clone());
        packed.diff_ids.push(stored.diff_id);
    }
    for added in image.layers.iter().filter(|layer| layer.origin == Origin::Added) {
        let (descriptor, diff_id) =
            layer::write(&added.entries, layout, compression, epoch, threads)
                .map_err(AssembleError::Layer)?;
        packed.layers.push(descriptor);
        packed.diff_ids.push(diff_id);
    }
    Ok(packed)
}
