//! Bases that are images which somebody else has made: locked by digest, with who signed them.
//!
//! Takes a definition and where the image is, gives a lock; takes a lock, gives the base. Every
//! byte is held against a digest: the root that was locked lists the manifest of the platform,
//! that lists configuration and layers, and the configuration lists what these unpack to. What
//! was fetched once is kept, the bundle of the signature too, and verified again each time.

use super::assembly::{self, Made};
use super::definition::{Definition, ImageBase};
use super::error::BaseError;
use super::lock::{
    self, Evidence, Lock, LockedImage, LockedLayer, LockedManifest, LockedPlatform,
    LockedSignature, SignedBy,
};
use super::locking::Locked;
use super::supply::Supply;
use super::{Base, StoredLayer};
use crate::archive::{self, Limits};
use crate::image::stored::{Stored, StoredError};
use crate::image::{Layer, Origin, read};
use crate::oci::document::{Config, Index, MAX_CONFIG, MAX_MANIFEST, MAX_MANIFESTS, Manifest};
use crate::oci::legacy::Legacy;
use crate::oci::{Descriptor, DiffId, Digest, MediaType, Platform, Reference};
use crate::registry::Registries;
use crate::settings::Requirement;
use crate::signature::bundle;
use crate::store::SpoolRoom;
use crate::store::cache::CacheError;
use crate::time::Date;
use crate::trust::{self, MAX_CANDIDATES, Refused, Signed, Trust};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The most bytes of the stored layers of one platform.
const MAX_STORED: u64 = 512 << 20;
/// The most refusals that a message repeats.
const SHOWN: usize = 3;

/// Whoever makes connections to registries: knows which hosts may be reached, who we are there,
/// and from where an image is read in its stead.
pub trait Connect: Sync {
    /// Returns the connections, and the reference under which the image is read here.
    ///
    /// # Errors
    /// When the host may not be reached, or what says who we are cannot be read.
    fn connect(&self, reference: &Reference) -> Result<(Registries, Reference), Unconnected>;
}

/// Why there are no connections.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Unconnected {
    /// What is wrong.
    pub message: String,
    /// What helps.
    pub hint: Option<String>,
    /// The exit code of whoever could not connect.
    pub code: u8,
}

/// An image that is a base, and all that is needed to lock it and to read it.
#[derive(Clone, Copy)]
pub(super) struct Upstream<'a> {
    pub(super) definition: &'a Definition,
    pub(super) image: &'a ImageBase,
    pub(super) supply: Supply<'a>,
    /// The root of the project, for layouts.
    pub(super) root: Option<&'a Path>,
    /// Who must have signed.
    pub(super) trust: Option<&'a Trust>,
}

impl Upstream<'_> {
    fn name(&self) -> String {
        self.definition.name.clone()
    }

    fn of_stored(&self, error: StoredError) -> BaseError {
        BaseError::Stored { name: self.name(), error: Box::new(error) }
    }

    fn wrong(&self, what: impl Into<String>) -> BaseError {
        BaseError::Image { name: self.name(), what: what.into() }
    }

    /// Opens the image where it is; with `referrers`, what refers to it is listed too.
    fn open(&self, referrers: bool) -> Result<(Stored, Descriptor), BaseError> {
        match &self.image.parsed {
            Reference::Layout { dir, tag } => {
                let stored = Stored::open_folder(&self.layout(dir)?);
                let stored = stored.map_err(|error| self.of_stored(error))?;
                let root = stored.image(tag.as_deref()).map_err(|error| self.of_stored(error))?;
                let root = root.clone();
                Ok((stored, root))
            }
            reference => {
                let connect = self
                    .supply
                    .upstream
                    .ok_or_else(|| BaseError::Unreadable(self.definition.name.clone()))?;
                let (registries, reference) = connect.connect(reference)?;
                let resolved = registries.resolve(&reference)?;
                Ok((resolved.stored(referrers)?, resolved.root.descriptor))
            }
        }
    }

    /// Returns the folder of a layout, which must lie in the project with every link resolved.
    fn layout(&self, dir: &Path) -> Result<PathBuf, BaseError> {
        let root = self.root.ok_or_else(|| BaseError::Unreadable(self.name()))?;
        let failed = |error| BaseError::File { path: dir.to_owned(), error };
        let (root, path) = (root.canonicalize(), root.join(dir).canonicalize());
        let (root, path) = (root.map_err(failed)?, path.map_err(failed)?);
        match path.starts_with(root) {
            true => Ok(path),
            false => Err(self.wrong(format!("`{}` lies outside of the project", dir.display()))),
        }
    }

    /// Makes the lock. `before` is the lock that there is: while the image is the same, so is
    /// the day on which it was locked.
    pub(super) fn lock(&self, before: Option<&Lock>, today: Date) -> Result<Locked, BaseError> {
        let (stored, root) = self.open(self.trust.is_some())?;
        // Whose image this is comes before what is in it.
        let signature =
            self.trust.map(|trust| self.signature(&stored, &root, trust)).transpose()?;
        let of = |error| self.of_stored(error);
        let document = stored.document(&root, MAX_MANIFEST).map_err(of)?;
        self.keep(&root.digest, &document);
        let manifests = stored.manifests(&root).map_err(of)?;
        let mut platforms = Vec::new();
        for platform in &self.definition.platforms {
            let manifest = self.manifest_of(&stored, &manifests, platform)?;
            platforms.push(self.platform(&stored, manifest, platform)?);
        }
        let listed: Vec<_> = platforms.iter().map(|(locked, made)| (locked, &made[..])).collect();
        let contents = assembly::contents(&listed);
        let old = before.and_then(|lock| lock.image.as_ref());
        let same = old.filter(|old| old.digest == root.digest);
        let lock = Lock {
            definition: self.definition.digest(),
            assembly: lock::AS_IT_IS.to_owned(),
            contents: Digest::of(contents.as_bytes()),
            suites: Vec::new(),
            image: Some(LockedImage {
                digest: root.digest,
                size: root.size,
                media_type: root.media_type,
                locked: same.map_or(today, |old| old.locked),
                signature,
            }),
            platforms: platforms.into_iter().map(|(locked, _)| locked).collect(),
        };
        Ok(Locked { lock, contents })
    }

    /// Keeps bytes that are what their digest says. A cache that cannot be written costs time
    /// and nothing else.
    fn keep(&self, digest: &Digest, bytes: &[u8]) {
        let _ = self.supply.cache.put(digest, bytes.len() as u64, bytes);
    }

    /// Finds the manifest of a platform.
    fn manifest_of<'m>(
        &self,
        stored: &Stored,
        manifests: &'m [Descriptor],
        platform: &Platform,
    ) -> Result<&'m Descriptor, BaseError> {
        let is_it = |one: &&Descriptor| {
            one.platform.as_ref().and_then(|fields| fields.known()).as_ref() == Some(platform)
        };
        if let Some(found) = manifests.iter().find(is_it) {
            return Ok(found);
        }
        if let [only] = manifests
            && only.platform.is_none()
        {
            let (_, config) = stored.documents(only).map_err(|error| self.of_stored(error))?;
            if config.platform().known().as_ref() == Some(platform) {
                return Ok(only);
            }
        }
        Err(BaseError::NoPlatform {
            name: self.name(),
            reference: self.image.reference.clone(),
            platform: platform.clone(),
        })
    }

    /// Reads the image of a platform to its last byte, and keeps it.
    fn platform(
        &self,
        stored: &Stored,
        descriptor: &Descriptor,
        platform: &Platform,
    ) -> Result<(LockedPlatform, Vec<Made>), BaseError> {
        let of = |error| self.of_stored(error);
        let (manifest, config) = stored.documents(descriptor).map_err(of)?;
        self.fits(&manifest, &config, platform)?;
        for (part, limit) in [(descriptor, MAX_MANIFEST), (&manifest.config, MAX_CONFIG)] {
            let bytes = stored.document(part, limit).map_err(of)?;
            self.keep(&part.digest, &bytes);
        }
        let room = SpoolRoom::default();
        let mut left = Limits::default();
        let (mut layers, mut made) = (Vec::new(), Vec::new());
        for (number, (layer, diff_id)) in
            manifest.layers.iter().zip(&config.rootfs.diff_ids).enumerate()
        {
            // One after another, so that no two are in memory.
            let bytes = match self.supply.cache.get(&layer.digest, layer.size) {
                Some(bytes) => bytes,
                None => self.fetch(stored, layer)?,
            };
            let locked = LockedLayer {
                name: format!("layer-{}", number + 1),
                digest: layer.digest,
                diff_id: *diff_id,
                size: layer.size,
                media_type: Some(stored_type(&layer.media_type))
                    .filter(|media_type| *media_type != MediaType::LAYER_GZIP),
            };
            let read = unpack(&locked, &bytes, &room, &left)?;
            read::take_off(&mut left, &read);
            let owners = vec![None; read.entries.len()];
            made.push(Made { name: locked.name.clone(), entries: read.entries, owners });
            layers.push(locked);
        }
        let locked = LockedPlatform {
            platform: platform.clone(),
            digest: descriptor.digest,
            image: Some(LockedManifest {
                size: descriptor.size,
                media_type: descriptor.media_type.clone(),
                config: manifest.config.digest,
                config_size: manifest.config.size,
            }),
            layers,
            packages: Vec::new(),
        };
        Ok((locked, made))
    }

    /// Makes sure that documents are of the platform, and that the layers are not too many bytes.
    fn fits(
        &self,
        manifest: &Manifest,
        config: &Config,
        platform: &Platform,
    ) -> Result<(), BaseError> {
        let said = config.platform();
        if said.known().as_ref() != Some(platform) {
            let said = format!("{}/{}", said.os, said.architecture);
            let said = crate::finding::escape::terminal(&said);
            return Err(self
                .wrong(format!("the image for {platform} says of itself that it is for {said}")));
        }
        let sizes = manifest.layers.iter().map(|layer| layer.size);
        if sizes.fold(0, u64::saturating_add) > MAX_STORED {
            return Err(self.wrong(format!("its layers have more than {MAX_STORED} bytes")));
        }
        Ok(())
    }

    /// Reads a blob whole, checked, and keeps it.
    fn fetch(&self, stored: &Stored, part: &Descriptor) -> Result<Vec<u8>, BaseError> {
        let reader = stored.blob(part).map_err(|error| self.of_stored(error))?;
        match self.supply.cache.put(&part.digest, part.size, reader) {
            Ok(bytes) => Ok(bytes),
            Err(CacheError::Bytes(error)) => Err(self.of_bytes(part, error)),
            // A cache that cannot be written costs time and nothing else.
            Err(CacheError::Write { .. }) => self.blob(stored, part),
        }
    }

    /// Says what is wrong with bytes that were being read.
    fn of_bytes(&self, part: &Descriptor, error: archive::Error) -> BaseError {
        self.of_stored(match error {
            archive::Error::Io(error) => StoredError::Io(error),
            error => StoredError::Differs { digest: part.digest, error },
        })
    }

    /// Reads a blob whole, checked.
    fn blob(&self, stored: &Stored, part: &Descriptor) -> Result<Vec<u8>, BaseError> {
        let mut bytes = Vec::new();
        let mut reader = stored.blob(part).map_err(|error| self.of_stored(error))?;
        reader
            .read_to_end(&mut bytes)
            .map_err(|error| self.of_bytes(part, archive::Error::from(error)))?;
        Ok(bytes)
    }

    /// Finds a signature on the image that counts.
    fn signature(
        &self,
        stored: &Stored,
        root: &Descriptor,
        trust: &Trust,
    ) -> Result<LockedSignature, BaseError> {
        let mut refused = Vec::new();
        for referrer in stored.artifacts().take(MAX_CANDIDATES) {
            match self.candidate(stored, referrer, &root.digest, trust) {
                Ok(signature) => return Ok(signature),
                Err(Refused::OtherSubject(_)) => {}
                // What could not be read says nothing about who has signed.
                Err(Refused::Stored(error)) if !error.is_judgement() => {
                    return Err(self.of_stored(error));
                }
                Err(why) => refused.push(format!("{}: {why}", referrer.digest)),
            }
        }
        for (holder, legacy) in stored.legacy() {
            match legacy {
                Legacy::Tagged(about, "sig") if about == root.digest => {}
                Legacy::Untagged => {}
                Legacy::Tagged(..) => continue,
            }
            let bytes = match stored.document(holder, MAX_MANIFEST) {
                Ok(bytes) => bytes,
                Err(error) if error.is_judgement() => {
                    refused.push(format!("{}: {error}", holder.digest));
                    continue;
                }
                Err(error) => return Err(self.of_stored(error)),
            };
            let layers = match Manifest::parse(&bytes) {
                Ok(manifest) => manifest.layers,
                Err(error) => {
                    refused.push(format!("{}: {error}", holder.digest));
                    continue;
                }
            };
            for layer in layers.iter().take(MAX_CANDIDATES) {
                match self.legacy(stored, (holder, legacy), &bytes, layer, &root.digest, trust) {
                    Ok(signature) => return Ok(signature),
                    Err(Refused::Stored(error)) if !error.is_judgement() => {
                        return Err(self.of_stored(error));
                    }
                    Err(why) => refused.push(format!("{}: {why}", layer.digest)),
                }
            }
        }
        Err(self.unsigned(root.digest, trust, refused))
    }

    fn unsigned(&self, digest: Digest, trust: &Trust, refused: Vec<String>) -> BaseError {
        let count = refused.len();
        let mut why = match count {
            0 => "it has no signature".to_owned(),
            _ => refused.into_iter().take(SHOWN).collect::<Vec<_>>().join("; "),
        };
        if count > SHOWN {
            why.push_str(&format!("; and {} more", count - SHOWN));
        }
        let (name, signer) = (self.name(), trust.to_string());
        BaseError::Unsigned { name, digest, signer, why: crate::finding::escape::terminal(&why) }
    }

    fn candidate(
        &self,
        stored: &Stored,
        referrer: &Descriptor,
        subject: &Digest,
        trust: &Trust,
    ) -> Result<LockedSignature, Refused> {
        let bytes = stored.document(referrer, MAX_MANIFEST)?;
        let manifest =
            Manifest::parse(&bytes).map_err(|error| Refused::Unreadable(error.to_string()))?;
        let part = trust::bundle_of(&manifest, subject)?;
        let bytes = stored.document(part, bundle::MAX_SIZE as u64)?;
        let by = signed_by(trust::bundle(&bytes, subject, trust)?)?;
        // To be verified again without a connection.
        self.keep(&part.digest, &bytes);
        let evidence = Evidence::Bundle { bundle: part.digest, size: part.size };
        Ok(LockedSignature { by, evidence })
    }

    /// Judges a signature in cosign's old form: a layer of the manifest `holder`.
    fn legacy(
        &self,
        stored: &Stored,
        (holder, legacy): (&Descriptor, Legacy),
        manifest: &[u8],
        layer: &Descriptor,
        subject: &Digest,
        trust: &Trust,
    ) -> Result<LockedSignature, Refused> {
        let (signed, payload) = trust::legacy_layer(stored, legacy, layer, subject, trust)?;
        let by = signed_by(signed)?;
        self.keep(&holder.digest, manifest);
        self.keep(&layer.digest, &payload);
        let (payload, size) = (layer.digest, layer.size);
        let (manifest, manifest_size) = (holder.digest, holder.size);
        let evidence = Evidence::Legacy { payload, size, manifest, manifest_size };
        Ok(LockedSignature { by, evidence })
    }

    /// Verifies again the signature that was locked. `get` gives the bytes of its parts.
    fn again(
        &self,
        evidence: &Evidence,
        subject: &Digest,
        trust: &Trust,
        get: &dyn Fn(&Descriptor) -> Result<Vec<u8>, BaseError>,
    ) -> Result<Result<SignedBy, Refused>, BaseError> {
        let limited = |part: Descriptor, limit: usize| match part.size > limit as u64 {
            true => Err(self.wrong(format!("{} has more than {limit} bytes", part.digest))),
            false => get(&part),
        };
        match *evidence {
            Evidence::Bundle { bundle, size } => {
                let part = Descriptor::new(MediaType::SIGSTORE_BUNDLE, bundle, size);
                let bytes = limited(part, bundle::MAX_SIZE)?;
                Ok(trust::bundle(&bytes, subject, trust).and_then(signed_by))
            }
            Evidence::Legacy { payload, size, manifest, manifest_size } => {
                let part = Descriptor::new(MediaType::MANIFEST, manifest, manifest_size);
                let bytes = limited(part, MAX_MANIFEST as usize)?;
                let found = Manifest::parse(&bytes);
                let found = found.map_err(|error| self.of_stored(error.into()))?;
                let payload = Descriptor::new(MediaType::EMPTY, payload, size);
                let bytes = limited(payload.clone(), bundle::MAX_SIZE)?;
                let layers = found.layers.iter().filter(|one| one.digest == payload.digest);
                let mut why = Refused::Unreadable("its manifest does not hold it".to_owned());
                for layer in layers {
                    match trust::legacy_bytes(layer, &bytes, subject, trust).and_then(signed_by) {
                        Ok(by) => return Ok(Ok(by)),
                        Err(refused) => why = refused,
                    }
                }
                Ok(Err(why))
            }
        }
    }

    /// Returns the base of a locked platform, its bytes held against the lock and its signature
    /// verified: out of the cache, else from where the image is.
    pub(super) fn resolve(&self, lock: &Lock, locked: &LockedPlatform) -> Result<Base, BaseError> {
        let (Some(image), Some(of_manifest)) = (&lock.image, &locked.image) else {
            return Err(self.wrong("its lock is one of packages"));
        };
        let opened: OnceCell<Stored> = OnceCell::new();
        let get = |part: &Descriptor| -> Result<Vec<u8>, BaseError> {
            if let Some(bytes) = self.supply.cache.get(&part.digest, part.size) {
                return Ok(bytes);
            }
            if part.size > MAX_STORED {
                return Err(self.wrong(format!("{} has more than {MAX_STORED} bytes", part.digest)));
            }
            let stored = match opened.get() {
                Some(stored) => stored,
                None => {
                    let (stored, _) = self.open(false)?;
                    opened.get_or_init(|| stored)
                }
            };
            self.fetch(stored, part)
        };
        if let Reference::Registry { digest: Some(named), .. } = &self.image.parsed
            && *named != image.digest
        {
            return Err(self.wrong(format!("its lock is of the image {}", image.digest)));
        }
        if let Some(trust) = self.trust {
            let Some(signature) = &image.signature else {
                let why = vec!["the lock holds no signature".to_owned()];
                return Err(self.unsigned(image.digest, trust, why));
            };
            match self.again(&signature.evidence, &image.digest, trust, &get)? {
                Ok(by) if by == signature.by => {}
                Ok(by) => {
                    let why =
                        vec![format!("it is signed by {by}, and the lock says {}", signature.by)];
                    return Err(self.unsigned(image.digest, trust, why));
                }
                Err(why) => {
                    return Err(self.unsigned(image.digest, trust, vec![why.to_string()]));
                }
            }
        }
        self.lists(
            &get(&Descriptor::new(image.media_type.clone(), image.digest, image.size))?,
            image,
            locked,
        )?;
        let document = |error: crate::oci::document::DocumentError| self.of_stored(error.into());
        let part = Descriptor::new(of_manifest.media_type.clone(), locked.digest, of_manifest.size);
        let manifest = Manifest::parse(&get(&part)?).map_err(document)?;
        let part = Descriptor::new(MediaType::CONFIG, of_manifest.config, of_manifest.config_size);
        let config = Config::parse(&get(&part)?).map_err(document)?;
        self.fits(&manifest, &config, &locked.platform)?;
        self.same(&manifest, &config, of_manifest, locked)?;
        let mut layers = Vec::new();
        for (part, layer) in manifest.layers.iter().zip(&locked.layers) {
            layers.push(stored_layer(layer, get(part)?));
        }
        Ok(Base {
            name: self.name(),
            digest: Some(locked.digest),
            origin: Origin::Upstream,
            layers,
            env: self.env(&config),
            packages: Vec::new(),
            maintained_until: self.definition.maintained_until,
            locked_on: lock.date(),
            lock: Some(lock.checksum()),
            max_age: self.definition.max_age,
            excluded: Vec::new(),
        })
    }

    /// Makes sure that the root that was locked lists the manifest that was locked.
    fn lists(
        &self,
        bytes: &[u8],
        image: &LockedImage,
        locked: &LockedPlatform,
    ) -> Result<(), BaseError> {
        let listed = match image.media_type.is_index() {
            false => image.digest == locked.digest,
            true => Index::parse(bytes, MAX_MANIFESTS)
                .map_err(|error| self.of_stored(error.into()))?
                .manifests
                .iter()
                .any(|one| one.digest == locked.digest),
        };
        match listed {
            true => Ok(()),
            false => Err(self.wrong(format!(
                "the image {} does not list {}, which its lock has for {}",
                image.digest, locked.digest, locked.platform
            ))),
        }
    }

    /// Makes sure that the documents say of the layers what the lock says.
    fn same(
        &self,
        manifest: &Manifest,
        config: &Config,
        of_manifest: &LockedManifest,
        locked: &LockedPlatform,
    ) -> Result<(), BaseError> {
        let counts = [manifest.layers.len(), config.rootfs.diff_ids.len()];
        let pairs = manifest.layers.iter().zip(&config.rootfs.diff_ids).zip(&locked.layers);
        let same = |((layer, diff_id), own): ((&Descriptor, &DiffId), &LockedLayer)| {
            layer.digest == own.digest
                && layer.size == own.size
                && *diff_id == own.diff_id
                && stored_type(&layer.media_type) == own.media_type()
        };
        let all = counts.iter().all(|count| *count == locked.layers.len())
            && manifest.config.digest == of_manifest.config
            && pairs.into_iter().all(same);
        match all {
            true => Ok(()),
            false => Err(self.wrong(format!(
                "the lock has other layers for {} than the image {}",
                locked.platform, locked.digest
            ))),
        }
    }

    /// The image's environment, with what the definition sets in its place.
    fn env(&self, config: &Config) -> Vec<String> {
        let own = &self.definition.env;
        let is_own = |line: &&String| {
            let name = line.split_once('=').map_or(line.as_str(), |(name, _)| name);
            own.iter().any(|(known, _)| known == name)
        };
        let kept = config.config.env.iter().filter(|line| !is_own(line)).cloned();
        kept.chain(own.iter().map(|(name, value)| format!("{name}={value}"))).collect()
    }
}

/// Says who has signed.
fn signed_by(signed: Signed) -> Result<SignedBy, Refused> {
    if signed.predicate_type != Requirement::Signature.predicate_type() {
        return Err(Refused::Statement(format!(
            "it states `{}`, and is no signature",
            signed.predicate_type
        )));
    }
    match (signed.key, signed.certified) {
        (Some(fingerprint), _) => Ok(SignedBy::Key(fingerprint)),
        (None, Some((identity, issuer))) => Ok(SignedBy::Identity { issuer, identity }),
        (None, None) => {
            Err(Refused::Unreadable("it is signed by a key, and by no identity".to_owned()))
        }
    }
}

/// Unpacks a layer, which checks its diff id.
fn unpack(
    layer: &LockedLayer,
    bytes: &[u8],
    room: &SpoolRoom,
    limits: &Limits,
) -> Result<Layer, BaseError> {
    let media_type = layer.media_type();
    read::layer(room, bytes, &media_type, Some(layer.diff_id), limits, Origin::Upstream)
        .map_err(|error| BaseError::Layer { file: layer.name.clone(), error })
}

/// The type under which a layer goes into an image of karat's: the same bytes by OCI's name.
fn stored_type(media_type: &MediaType) -> MediaType {
    match *media_type == MediaType::DOCKER_LAYER_GZIP {
        true => MediaType::LAYER_GZIP,
        false => media_type.clone(),
    }
}

fn stored_layer(layer: &LockedLayer, bytes: Vec<u8>) -> StoredLayer {
    StoredLayer {
        file: layer.name.clone(),
        descriptor: Descriptor::new(layer.media_type(), layer.digest, layer.size),
        diff_id: layer.diff_id,
        bytes: Cow::Owned(bytes),
    }
}
