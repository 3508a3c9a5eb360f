//! Images where they are stored: the documents and blobs of an OCI layout in a folder or
//! in one tar, read with every digest and size checked.

use super::{Image, Origin, read};
use crate::archive::verified::VerifiedReader;
use crate::archive::{Error as ArchiveError, Limits, tar_walk};
use crate::binary::ReadAt as _;
use crate::oci::descriptor::{Descriptor, MediaType};
use crate::oci::document::{
    Config, DocumentError, Index, MAX_CONFIG, MAX_MANIFEST, MAX_MANIFESTS, Manifest,
};
use crate::oci::layout::{REF_NAME, blob_path};
use crate::oci::{Digest, Reference};
use crate::store::{Positioned, SpoolRoom};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The most entries of the index of a layout: images and their referrers.
const MAX_INDEX: usize = 10_000;

/// An opened layout.
#[derive(Debug)]
pub struct Stored {
    place: Place,
    /// The entries of its `index.json`.
    pub index: Index,
}

#[derive(Debug)]
enum Place {
    Folder(PathBuf),
    Archive { file: Positioned, members: BTreeMap<String, (u64, u64)> },
}

/// Why a stored image could not be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum StoredError {
    #[error("`{0}` is no OCI image layout: it has no `index.json`")]
    NoLayout(String),
    #[error("the layout holds no image `{0}`")]
    NoTag(String),
    #[error("the layout holds {} images, and none was named: {}", .0.len(), .0.join(", "))]
    Several(Vec<String>),
    #[error("the layout holds no image")]
    Empty,
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error("the blob {0} is missing")]
    Missing(Digest),
    #[error("the blob {digest} is not what its digest says: {error}")]
    Differs { digest: Digest, error: ArchiveError },
    #[error("the layer {digest}: {error}")]
    Layer { digest: Digest, error: read::LayerError },
    #[error("the manifest {digest} lists {layers} layers, and its configuration {diff_ids}")]
    Count { digest: Digest, layers: usize, diff_ids: usize },
    #[error("the descriptor of {digest} says `{found}`, which is no image")]
    MediaType { digest: Digest, found: MediaType },
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl StoredError {
    /// Says whether what is stored is itself at fault, and not the medium or the name.
    pub fn is_judgement(&self) -> bool {
        match self {
            Self::Io(_) | Self::NoLayout(_) | Self::NoTag(_) | Self::Several(_) | Self::Empty => {
                false
            }
            Self::Differs { error, .. }
            | Self::Layer { error: read::LayerError::Archive(error), .. } => {
                !matches!(error, ArchiveError::Io(_))
            }
            _ => true,
        }
    }
}

impl Stored {
    /// Opens a layout in a folder.
    ///
    /// # Errors
    /// When it has no valid `index.json`.
    pub fn open_folder(folder: &Path) -> Result<Self, StoredError> {
        let file = match open_regular(&folder.join("index.json")) {
            Ok(file) => file,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Err(StoredError::NoLayout(folder.display().to_string()));
            }
            Err(error) => return Err(error.into()),
        };
        let index = Index::parse(&at_most(file, MAX_MANIFEST)?, MAX_INDEX)?;
        Ok(Self { place: Place::Folder(folder.to_owned()), index })
    }

    /// Opens a layout in one tar.
    ///
    /// # Errors
    /// When the tar cannot be read to its end, is ambiguous, or has no valid `index.json`.
    pub fn open_archive(path: &Path) -> Result<Self, StoredError> {
        let opened = match open_regular(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoredError::NoLayout(path.display().to_string()));
            }
            opened => opened?,
        };
        let mut members = BTreeMap::new();
        let walked = tar_walk::walk::<_, ArchiveError>(
            io::BufReader::with_capacity(256 << 10, opened),
            &Limits::default(),
            &mut |member, _| {
                if member.kind == tar_walk::Kind::File {
                    let name =
                        String::from_utf8_lossy(&member.path).trim_start_matches("./").to_owned();
                    members.insert(name, (member.data_offset, member.size));
                }
                Ok(())
            },
        );
        match walked {
            Ok(_) => {}
            Err(ArchiveError::Io(error)) => return Err(error.into()),
            Err(_) => return Err(StoredError::NoLayout(path.display().to_string())),
        }
        let file = Positioned::new(File::open(path)?)?;
        let Some((offset, size)) = members.get("index.json").copied() else {
            return Err(StoredError::NoLayout(path.display().to_string()));
        };
        let part = Part { file: &file, offset, end: offset + size };
        let index = Index::parse(&at_most(part, MAX_MANIFEST)?, MAX_INDEX)?;
        Ok(Self { place: Place::Archive { file, members }, index })
    }

    /// Opens what a reference names: `oci:`, `archive:`, or a path that is one of them.
    /// Returns none when the path is something else.
    ///
    /// # Errors
    /// As for opening a folder or an archive.
    pub fn open(reference: &Reference) -> Result<Option<Self>, StoredError> {
        match reference {
            Reference::Layout { dir, .. } => Self::open_folder(dir).map(Some),
            Reference::Archive(file) => Self::open_archive(file).map(Some),
            Reference::Path(path) if path.join("index.json").is_file() => {
                Self::open_folder(path).map(Some)
            }
            Reference::Path(path) if path.is_file() && is_tar(path)? => {
                Self::open_archive(path).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Returns the image of a name, or the only one.
    ///
    /// # Errors
    /// When there is none, or several and none is named.
    pub fn image(&self, tag: Option<&str>) -> Result<&Descriptor, StoredError> {
        let name = |descriptor: &Descriptor| descriptor.annotations.get(REF_NAME).cloned();
        // Referrers are manifests too: they have an artifact type.
        let images: Vec<_> =
            self.index.manifests.iter().filter(|one| one.artifact_type.is_none()).collect();
        match (tag, &images[..]) {
            (Some(tag), images) => images
                .iter()
                .find(|one| name(one).as_deref() == Some(tag))
                .copied()
                .ok_or_else(|| StoredError::NoTag(tag.to_owned())),
            (None, [only]) => Ok(only),
            (None, []) => Err(StoredError::Empty),
            (None, several) => {
                let names =
                    several.iter().map(|one| name(one).unwrap_or_else(|| one.digest.to_string()));
                Err(StoredError::Several(names.collect()))
            }
        }
    }

    /// Returns the entries of the index that are artifacts: referrers of images, most likely.
    pub fn artifacts(&self) -> impl Iterator<Item = &Descriptor> {
        self.index.manifests.iter().filter(|one| one.artifact_type.is_some())
    }

    /// Reads a small blob whole, checked.
    ///
    /// # Errors
    /// When it is missing, longer than `limit`, or not what its digest says.
    pub fn document(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, StoredError> {
        if descriptor.size > limit {
            return Err(DocumentError::Long { kind: "document", limit }.into());
        }
        let mut bytes = Vec::new();
        let mut reader = self.blob(descriptor)?;
        reader.read_to_end(&mut bytes).map_err(|error| differs(descriptor, error))?;
        Ok(bytes)
    }

    /// Opens a blob; reading it to the end checks its digest and size.
    ///
    /// # Errors
    /// When it is missing or cannot be opened.
    pub fn blob(
        &self,
        descriptor: &Descriptor,
    ) -> Result<VerifiedReader<Box<dyn Read + Send + '_>>, StoredError> {
        let digest = &descriptor.digest;
        let reader: Box<dyn Read + Send> = match &self.place {
            Place::Folder(root) => match open_regular(&blob_path(root, digest)) {
                Ok(file) => Box::new(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(StoredError::Missing(*digest));
                }
                Err(error) => return Err(error.into()),
            },
            Place::Archive { file, members } => {
                let (offset, size) = members
                    .get(&format!("blobs/sha256/{}", digest.hex()))
                    .copied()
                    .ok_or(StoredError::Missing(*digest))?;
                Box::new(Part { file, offset, end: offset + size })
            }
        };
        Ok(VerifiedReader::new(reader, *digest.bytes(), descriptor.size))
    }

    /// Returns the manifests of the images of a descriptor: itself, or those that an index
    /// lists, in its order. Attestation manifests of BuildKit (platform `unknown`) are left out.
    ///
    /// # Errors
    /// When a document is missing, not what its digest says, or malformed.
    pub fn manifests(&self, root: &Descriptor) -> Result<Vec<Descriptor>, StoredError> {
        if root.media_type.is_manifest() {
            return Ok(vec![root.clone()]);
        }
        if !root.media_type.is_index() {
            return Err(StoredError::MediaType {
                digest: root.digest,
                found: root.media_type.clone(),
            });
        }
        let index = Index::parse(&self.document(root, MAX_MANIFEST)?, MAX_MANIFESTS)?;
        let attestation = |one: &Descriptor| {
            one.platform.as_ref().is_some_and(|platform| platform.os == "unknown")
                && one.annotations.contains_key("vnd.docker.reference.type")
        };
        Ok(index.manifests.into_iter().filter(|one| !attestation(one)).collect())
    }

    /// Reads the manifest and the configuration of an image, checked.
    ///
    /// # Errors
    /// When one is missing, not what its digest says, malformed, or does not fit the other.
    pub fn documents(&self, descriptor: &Descriptor) -> Result<(Manifest, Config), StoredError> {
        if !descriptor.media_type.is_manifest() {
            let (digest, found) = (descriptor.digest, descriptor.media_type.clone());
            return Err(StoredError::MediaType { digest, found });
        }
        let manifest = Manifest::parse(&self.document(descriptor, MAX_MANIFEST)?)?;
        let config = Config::parse(&self.document(&manifest.config, MAX_CONFIG)?)?;
        let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
        if layers != diff_ids {
            return Err(StoredError::Count { digest: descriptor.digest, layers, diff_ids });
        }
        Ok((manifest, config))
    }

    /// Reads a whole image: documents, and every layer to its last byte. The limits on entries
    /// and their names are those of all layers together.
    ///
    /// # Errors
    /// When anything is missing, not what its digest says, or cannot be read in one way only.
    pub fn read(
        &self,
        descriptor: &Descriptor,
        room: &SpoolRoom,
        limits: &Limits,
    ) -> Result<Image, StoredError> {
        let (manifest, config) = self.documents(descriptor)?;
        let mut left = limits.clone();
        let mut layers = Vec::with_capacity(manifest.layers.len());
        for (layer, diff_id) in manifest.layers.iter().zip(&config.rootfs.diff_ids) {
            let blob = self.blob(layer)?;
            let read =
                read::layer(room, blob, &layer.media_type, Some(*diff_id), &left, Origin::Foreign)
                    .map_err(|error| StoredError::Layer { digest: layer.digest, error })?;
            read::take_off(&mut left, &read);
            layers.push(read);
        }
        Ok(Image { config, layers, annotations: manifest.annotations })
    }
}

fn differs(descriptor: &Descriptor, error: io::Error) -> StoredError {
    match ArchiveError::from(error) {
        ArchiveError::Io(error) => error.into(),
        error => StoredError::Differs { digest: descriptor.digest, error },
    }
}

/// Opens a regular file. Anything else counts as not there: opening a FIFO would wait for
/// somebody to write.
fn open_regular(path: &Path) -> io::Result<File> {
    if path.metadata()?.is_file() { File::open(path) } else { Err(io::ErrorKind::NotFound.into()) }
}

fn at_most(reader: impl Read, limit: u64) -> Result<Vec<u8>, StoredError> {
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Says whether a file starts as a tar archive with a ustar header.
fn is_tar(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    File::open(path)?.take(512).read_to_end(&mut head)?;
    Ok(head.get(257..262) == Some(b"ustar"))
}

/// A part of a file, read one byte after another.
struct Part<'a> {
    file: &'a Positioned,
    offset: u64,
    end: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX).min(buf.len());
        let count = self.file.read_at(self.offset, &mut buf[..left])?;
        self.offset += count as u64;
        Ok(count)
    }
}
