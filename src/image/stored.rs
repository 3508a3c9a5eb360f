//! Images where they are stored: the documents and blobs of an OCI layout in a folder or
//! in one tar, read with every digest and size checked.

use super::{Image, Layer, Origin, read};
use crate::archive::verified::VerifiedReader;
use crate::archive::{Compression, Error as ArchiveError, LimitExceeded, Limits, tar_walk};
use crate::binary::ReadAt as _;
use crate::finding::{Finding, escape, rules};
use crate::oci::descriptor::{Descriptor, MediaType};
use crate::oci::docker::{self, SavedImage};
use crate::oci::document::{
    Config, DocumentError, Index, MAX_CONFIG, MAX_MANIFEST, MAX_MANIFESTS, Manifest,
};
use crate::oci::layout::{REF_NAME, blob_path};
use crate::oci::legacy::Legacy;
use crate::oci::{Digest, Reference};
use crate::store::progress::{Progress, Watched};
use crate::store::{Positioned, SpoolRoom};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most entries of the index of a layout: images and their referrers.
const MAX_INDEX: usize = 10_000;

/// An opened layout.
#[derive(Debug)]
pub struct Stored {
    place: Place,
    /// The entries of its `index.json`; none of an archive that only `docker load` reads.
    pub index: Index,
    /// The images that `docker load` finds in an archive.
    pub saved: Vec<SavedImage>,
    /// Documents that are not there yet, by their digests.
    beside: BTreeMap<Digest, Vec<u8>>,
    /// How much of the blobs has been read.
    pub progress: Arc<Progress>,
}

#[derive(Debug)]
enum Place {
    Folder(PathBuf),
    Archive { file: Positioned, members: BTreeMap<String, Member> },
    Remote(Box<dyn Blobs>),
}

/// A place from which blobs are read one by one, such as a repository of a registry.
pub trait Blobs: std::fmt::Debug + Send + Sync {
    /// Opens a blob or a manifest. What it gives is checked by whoever reads.
    ///
    /// # Errors
    /// `NotFound` when it is not there.
    fn open(&self, descriptor: &Descriptor) -> io::Result<Box<dyn Read + Send + '_>>;
}

/// A member of an archive: where its bytes are, or where it leads.
#[derive(Debug)]
enum Member {
    File { offset: u64, size: u64 },
    Link(String),
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
    #[error("layer {number} of {count}, {digest}: {error}")]
    Layer { digest: Digest, number: usize, count: usize, error: read::LayerError },
    #[error("the manifest {digest} lists {layers} layers, and its configuration {diff_ids}")]
    Count { digest: Digest, layers: usize, diff_ids: usize },
    #[error("the descriptor of {digest} says `{found}`, which is no image")]
    MediaType { digest: Digest, found: MediaType },
    #[error("the archive lists the member `{0}`, which it does not have")]
    NoMember(String),
    #[error(
        "the archive holds two different images: `docker load` reads `{0}`, which its `index.json` does not have"
    )]
    TwoImages(String),
    #[error("layer {number} of {count}, `{member}`: {error}")]
    SavedLayer { member: String, number: usize, count: usize, error: read::LayerError },
    #[error("the archive `{path}`: {error}")]
    Archive { path: String, error: ArchiveError },
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl StoredError {
    /// Returns the finding that this is, where what is stored is at fault: under the rule
    /// that was broken, at the entry that broke it.
    pub fn finding(&self) -> Finding {
        let (rule, entry) = match self {
            Self::Layer { error, .. } | Self::SavedLayer { error, .. } => {
                (error.rule(), error.entry())
            }
            Self::TwoImages(_) => (Some(&rules::ARCHIVE_TWO_IMAGES), None),
            Self::Archive { error, .. } => (error.rule(), read::entry_of(error)),
            Self::Count { .. } => (Some(&rules::CONFIG_LAYER_COUNT), None),
            _ => (None, None),
        };
        let rule = rule.unwrap_or(&rules::COULD_NOT_INSPECT);
        let finding = Finding::new(rule, self.to_string());
        let finding = match entry {
            Some(entry) => finding.at(super::shown(&read::simplified(entry))),
            None => finding,
        };
        match self {
            Self::Layer { .. }
            | Self::SavedLayer { .. }
            | Self::TwoImages(_)
            | Self::Archive { .. }
            | Self::Count { .. } => finding.because([rule.rationale.to_owned()]),
            _ => finding,
        }
    }

    /// Says whether what is stored is itself at fault, and not the medium or the name.
    pub fn is_judgement(&self) -> bool {
        match self {
            Self::Io(_) | Self::NoLayout(_) | Self::NoTag(_) | Self::Several(_) | Self::Empty => {
                false
            }
            Self::Differs { error, .. }
            | Self::Archive { error, .. }
            | Self::SavedLayer { error: read::LayerError::Archive(error), .. }
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
        Ok(Self {
            place: Place::Folder(folder.to_owned()),
            index,
            saved: Vec::new(),
            beside: BTreeMap::new(),
            progress: Arc::default(),
        })
    }

    /// Opens a layout in one tar, or what `docker save` and `podman save` write.
    ///
    /// # Errors
    /// When the tar cannot be read to its end, is ambiguous, or has neither a valid
    /// `index.json` nor a valid `manifest.json`.
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
            // A member may be a whole layer.
            &Limits { max_file: Limits::default().max_uncompressed, ..Limits::default() },
            &mut |member, _| {
                let name =
                    |path: &[u8]| String::from_utf8_lossy(path).trim_start_matches("./").to_owned();
                let own = name(&member.path);
                let found = match member.kind {
                    tar_walk::Kind::File => {
                        Member::File { offset: member.data_offset, size: member.size }
                    }
                    tar_walk::Kind::Symlink { target } => {
                        let folder = own.rsplit_once('/').map_or("", |(folder, _)| folder);
                        Member::Link(beside(folder, &String::from_utf8_lossy(&target)))
                    }
                    tar_walk::Kind::Hardlink { target } => Member::Link(name(&target)),
                    _ => return Ok(()),
                };
                members.insert(own, found);
                Ok(())
            },
        );
        match walked {
            Ok(_) => {}
            Err(ArchiveError::Io(error)) => return Err(error.into()),
            // What does not even begin as an archive is something else.
            Err(ArchiveError::Ambiguous { offset: 0, .. }) => {
                return Err(StoredError::NoLayout(path.display().to_string()));
            }
            Err(error) => {
                return Err(StoredError::Archive { path: path.display().to_string(), error });
            }
        }
        let file = Positioned::new(File::open(path)?)?;
        let index = match part(&file, &members, "index.json") {
            Some(part) => Some(Index::parse(&at_most(part, MAX_MANIFEST)?, MAX_INDEX)?),
            None => None,
        };
        let saved = match part(&file, &members, docker::FILE) {
            Some(part) => SavedImage::parse_list(&at_most(part, MAX_MANIFEST)?)?,
            None if index.is_none() => {
                return Err(StoredError::NoLayout(path.display().to_string()));
            }
            None => Vec::new(),
        };
        let index = index.unwrap_or_else(|| Index::new(Vec::new()));
        Ok(Self {
            place: Place::Archive { file, members },
            index,
            saved,
            beside: BTreeMap::new(),
            progress: Arc::default(),
        })
    }

    /// Takes a place of blobs as a layout with this index.
    pub fn remote(index: Index, blobs: Box<dyn Blobs>) -> Self {
        Self {
            place: Place::Remote(blobs),
            index,
            saved: Vec::new(),
            beside: BTreeMap::new(),
            progress: Arc::default(),
        }
    }

    /// Puts something beside what is stored, so that it is read and written elsewhere as if it
    /// were there: an entry of the index, and the bytes of all that it names. Says whether it was
    /// not there before.
    pub fn add(&mut self, entry: Descriptor, blobs: impl IntoIterator<Item = Vec<u8>>) -> bool {
        if self.index.manifests.iter().any(|one| one.digest == entry.digest) {
            return false;
        }
        // A tag leads to one manifest.
        if let Some(tagged @ Legacy::Tagged(..)) = Legacy::of(&entry) {
            self.index.manifests.retain(|one| Legacy::of(one) != Some(tagged));
        }
        self.index.manifests.push(entry);
        self.beside.extend(blobs.into_iter().map(|bytes| (Digest::of(&bytes), bytes)));
        true
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
        // Referrers are manifests too: they have an artifact type, or a name of cosign's.
        let is_image = |one: &&Descriptor| one.artifact_type.is_none() && Legacy::of(one).is_none();
        let images: Vec<_> = self.index.manifests.iter().filter(is_image).collect();
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
        let is_one = |one: &&Descriptor| one.artifact_type.is_some() && Legacy::of(one).is_none();
        self.index.manifests.iter().filter(is_one)
    }

    /// Returns the entries of the index that are signatures, attestations and SBOMs in
    /// cosign's old form.
    pub fn legacy(&self) -> impl Iterator<Item = (&Descriptor, Legacy)> {
        let all = self.index.manifests.iter();
        all.filter_map(|one| Legacy::of(one).map(|legacy| (one, legacy)))
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
        if let Some(bytes) = self.beside.get(digest) {
            let reader: Box<dyn Read + Send> = Box::new(&bytes[..]);
            return Ok(VerifiedReader::new(reader, *digest.bytes(), descriptor.size));
        }
        let reader: Box<dyn Read + Send> = match &self.place {
            Place::Folder(root) => match open_regular(&blob_path(root, digest)) {
                Ok(file) => Box::new(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(StoredError::Missing(*digest));
                }
                Err(error) => return Err(error.into()),
            },
            Place::Archive { file, members } => {
                let part = part(file, members, &format!("blobs/sha256/{}", digest.hex()));
                Box::new(part.ok_or(StoredError::Missing(*digest))?)
            }
            Place::Remote(blobs) => match blobs.open(descriptor) {
                Ok(reader) => reader,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(StoredError::Missing(*digest));
                }
                Err(error) => return Err(error.into()),
            },
        };
        let watched: Box<dyn Read + Send> =
            Box::new(Watched::new(reader, Arc::clone(&self.progress)));
        Ok(VerifiedReader::new(watched, *digest.bytes(), descriptor.size))
    }

    /// Reads a blob to its end and makes sure that it is what its digest says.
    ///
    /// # Errors
    /// When it is missing, or is not.
    pub fn check(&self, descriptor: &Descriptor) -> Result<(), StoredError> {
        let mut blob = self.blob(descriptor)?;
        let mut chunk = vec![0; 256 << 10];
        loop {
            match blob.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(differs(descriptor, error)),
            }
        }
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

    /// Reads the bytes of a manifest or an index, checked.
    ///
    /// # Errors
    /// When it is missing, too long, or not what its digest says.
    pub fn manifest_bytes(&self, descriptor: &Descriptor) -> Result<Vec<u8>, StoredError> {
        self.document(descriptor, MAX_MANIFEST)
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
        self.read_observed(descriptor, room, limits, &mut ())
    }

    /// Reads a whole image as [`Stored::read`] does, and shows the bytes of its files to an
    /// observer.
    ///
    /// # Errors
    /// As [`Stored::read`].
    pub fn read_observed(
        &self,
        descriptor: &Descriptor,
        room: &SpoolRoom,
        limits: &Limits,
        observer: &mut dyn read::Observer,
    ) -> Result<Image, StoredError> {
        let (manifest, config) = self.documents(descriptor)?;
        let count = manifest.layers.len();
        // The limits of entries and names are those of the image: their list is kept in memory.
        let mut left = limits.clone();
        let mut layers: Vec<Layer> = Vec::with_capacity(count);
        for (number, (layer, diff_id)) in
            manifest.layers.iter().zip(&config.rootfs.diff_ids).enumerate()
        {
            let mut blob = self.blob(layer)?;
            let origin = Origin::Foreign;
            let read = read::layer_observed(
                room,
                &mut blob,
                &layer.media_type,
                Some(*diff_id),
                &left,
                origin,
                observer,
            );
            let read = read.map_err(|error| {
                let error = of_the_image(error, left.max_entries, limits.max_entries);
                // Bytes that are not those of the digest say nothing about the image.
                if error.rule().is_some_and(|rule| rule.id != rules::COULD_NOT_INSPECT.id)
                    && let Err(
                        differs @ (ArchiveError::DigestMismatch { .. }
                        | ArchiveError::SizeMismatch { .. }),
                    ) = blob.finish()
                {
                    return StoredError::Differs { digest: layer.digest, error: differs };
                }
                let (digest, number) = (layer.digest, number + 1);
                StoredError::Layer { digest, number, count, error }
            })?;
            read::take_off(&mut left, &read);
            layers.push(read);
        }
        Ok(Image { config, layers, annotations: manifest.annotations })
    }
}

/// What `docker load` reads of an archive.
impl Stored {
    fn member(&self, name: &str) -> Result<Part<'_>, StoredError> {
        let found = match &self.place {
            Place::Archive { file, members } => part(file, members, name),
            Place::Folder(_) | Place::Remote(_) => None,
        };
        found.ok_or_else(|| StoredError::NoMember(escape::bytes(name.as_bytes())))
    }

    fn saved_config(&self, image: &SavedImage) -> Result<(Digest, Config), StoredError> {
        let bytes = at_most(self.member(&image.config)?, MAX_CONFIG)?;
        Ok((Digest::of(&bytes), Config::parse(&bytes)?))
    }

    /// Reads a saved image whole, and the digest of its configuration, by which engines call
    /// it. The layers are checked by the configuration's diff ids.
    ///
    /// # Errors
    /// When a member is missing, or cannot be read in one way only.
    pub fn read_saved(
        &self,
        image: &SavedImage,
        room: &SpoolRoom,
        limits: &Limits,
        observer: &mut dyn read::Observer,
    ) -> Result<(Digest, Image), StoredError> {
        let (digest, config) = self.saved_config(image)?;
        let (count, diff_ids) = (image.layers.len(), config.rootfs.diff_ids.len());
        if count != diff_ids {
            return Err(StoredError::Count { digest, layers: count, diff_ids });
        }
        let mut layers: Vec<Layer> = Vec::with_capacity(count);
        let mut left = limits.clone();
        for (number, (member, diff_id)) in
            image.layers.iter().zip(&config.rootfs.diff_ids).enumerate()
        {
            let mut magic = [0; Compression::MAGIC_LEN];
            let length = read_up_to(&mut self.member(member)?, &mut magic)?;
            let media_type = match Compression::detect(&magic[..length]) {
                Compression::None => MediaType::LAYER,
                Compression::Gzip => MediaType::LAYER_GZIP,
                Compression::Zstd => MediaType::LAYER_ZSTD,
            };
            let (blob, origin) = (self.member(member)?, Origin::Foreign);
            let layer = read::layer_observed(
                room,
                blob,
                &media_type,
                Some(*diff_id),
                &left,
                origin,
                observer,
            );
            let layer = layer.map_err(|error| {
                let error = of_the_image(error, left.max_entries, limits.max_entries);
                let member = escape::bytes(member.as_bytes());
                StoredError::SavedLayer { member, number: number + 1, count, error }
            })?;
            read::take_off(&mut left, &layer);
            layers.push(layer);
        }
        Ok((digest, Image { config, layers, annotations: BTreeMap::new() }))
    }

    /// Makes sure that an archive that is both a layout and loadable by `docker load` holds
    /// the same images for both.
    ///
    /// # Errors
    /// When `docker load` would find another image, or anything cannot be read.
    pub fn check_saved(&self) -> Result<(), StoredError> {
        if self.index.manifests.is_empty() {
            return Ok(());
        }
        let mut known = Vec::new();
        let is_image = |one: &&Descriptor| one.artifact_type.is_none() && Legacy::of(one).is_none();
        for root in self.index.manifests.iter().filter(is_image) {
            for descriptor in self.manifests(root)? {
                known.push(self.documents(&descriptor)?.0);
            }
        }
        let name = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
        for image in &self.saved {
            let is_listed = known.iter().any(|manifest| {
                name(&manifest.config.digest) == image.config
                    && manifest
                        .layers
                        .iter()
                        .map(|layer| name(&layer.digest))
                        .eq(image.layers.iter().cloned())
            });
            if !is_listed {
                return Err(StoredError::TwoImages(escape::bytes(image.config.as_bytes())));
            }
        }
        Ok(())
    }
}

/// The most links from one member to the next.
const MAX_LINKS: usize = 8;

/// Finds a member of an archive, through links.
fn part<'a>(
    file: &'a Positioned,
    members: &BTreeMap<String, Member>,
    name: &str,
) -> Option<Part<'a>> {
    let mut name = name;
    for _ in 0..MAX_LINKS {
        match members.get(name)? {
            Member::File { offset, size } => {
                return Some(Part { file, offset: *offset, end: offset + size });
            }
            Member::Link(target) => name = target,
        }
    }
    None
}

/// Resolves the target of a link in a folder of an archive by its text alone.
fn beside(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn read_up_to(reader: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match reader.read(&mut bytes[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// Says the limit of the image where a layer was over what was left of it.
fn of_the_image(error: read::LayerError, left: u64, limit: u64) -> read::LayerError {
    match error {
        read::LayerError::Archive(ArchiveError::Limit(LimitExceeded {
            what: LimitExceeded::ENTRIES,
            limit: reached,
        })) if reached == left => {
            let what = "the number of entries of the image";
            ArchiveError::Limit(LimitExceeded { what, limit }).into()
        }
        other => other,
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
