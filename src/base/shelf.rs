//! Where bases are: those that are compiled in, and those of a project's `bases/`.
//!
//! Opens the files of the project and the cache, writes only the cache and, when it is told
//! to, a lock.

use super::debian::{Keyring, keyring};
use super::definition::{Definition, FOLDER, ImageBase, Kind, Signer};
use super::error::BaseError;
use super::lock::{self, Lock, LockedPlatform};
use super::locking::{self, Locked};
use super::supply::Supply;
use super::upstream::Upstream;
use super::{Base, Known, builtin, of_lock};
use crate::image::Origin;
use crate::oci::{DiffId, Digest, Platform};
use crate::settings::trust::RevokedThing;
use crate::signature::sigstore::{self, Identity, TrustedRoot};
use crate::signature::{PublicKey, key};
use crate::store::SpoolRoom;
use crate::time::Moment;
use crate::trust::Trust;
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// The longest definition and lock, in bytes.
const MAX_TEXT: u64 = 1 << 20;
/// The longest list of entries, in bytes.
const MAX_CONTENTS: u64 = 64 << 20;
/// The most definitions of a project.
const MOST: usize = 1000;

/// Where bases are, and where their bytes come from.
#[derive(Clone, Copy)]
pub struct Shelf<'a> {
    /// The root of the project; none where there is no project.
    root: Option<&'a Path>,
    /// How the root is shown in messages: as a user would write it.
    shown: &'a Path,
    supply: Option<Supply<'a>>,
    threads: NonZeroUsize,
}

/// A base of the shelf, as it is defined and locked.
#[derive(Debug)]
pub struct Found {
    /// The definition.
    pub definition: Definition,
    /// The lock, and why there is none.
    pub lock: Result<Lock, BaseError>,
    /// Whether it is compiled in.
    pub is_builtin: bool,
}

impl<'a> Shelf<'a> {
    /// Takes the bases that are compiled in, and no other.
    pub fn builtin() -> Self {
        Self { root: None, shown: Path::new(""), supply: None, threads: NonZeroUsize::MIN }
    }

    /// Takes the bases of a project too.
    pub fn new(root: &'a Path, shown: &'a Path, supply: Supply<'a>, threads: NonZeroUsize) -> Self {
        Self { root: Some(root), shown, supply: Some(supply), threads }
    }

    /// Takes the bases of a project for reading their files alone.
    pub fn reading(root: &'a Path, shown: &'a Path) -> Self {
        Self { root: Some(root), shown, supply: None, threads: NonZeroUsize::MIN }
    }

    /// Returns the path of a base's file as a user would write it: `.toml`, `.lock.toml` or
    /// `.contents.txt`.
    pub fn shown(&self, name: &str, ending: &str) -> PathBuf {
        self.shown.join(FOLDER).join(format!("{name}{ending}"))
    }

    fn path(&self, name: &str, ending: &str) -> Option<PathBuf> {
        Some(self.root?.join(FOLDER).join(format!("{name}{ending}")))
    }

    fn read(&self, name: &str, ending: &str, limit: u64) -> Result<Option<String>, BaseError> {
        let Some(path) = self.path(name, ending) else { return Ok(None) };
        let failed = |error| BaseError::File { path: self.shown(name, ending), error };
        let invalid = |what: String| failed(io::Error::new(io::ErrorKind::InvalidData, what));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(invalid("it is no file".to_owned()));
        }
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > limit {
            return Err(invalid(format!("it is longer than {limit} bytes")));
        }
        String::from_utf8(bytes).map(Some).map_err(|_| invalid("it is no text".to_owned()))
    }

    /// Returns the names of all bases, in byte order: those compiled in and the project's.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn names(&self) -> Result<Vec<String>, BaseError> {
        let mut names: Vec<String> = builtin::names().map(str::to_owned).to_vec();
        names.extend(self.local()?);
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Returns the names of the project's own bases, in byte order.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn local(&self) -> Result<Vec<String>, BaseError> {
        let Some(root) = self.root else { return Ok(Vec::new()) };
        let failed = |error| BaseError::File { path: self.shown.join(FOLDER), error };
        let entries = match root.join(FOLDER).read_dir() {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".toml")) else {
                continue;
            };
            if !name.ends_with(".lock") {
                names.push(name.to_owned());
            }
            if names.len() > MOST {
                let error = format!("it holds more than {MOST} definitions");
                return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, error)));
            }
        }
        names.sort();
        Ok(names)
    }

    /// Returns the definition of a base: the project's, else the one compiled in.
    ///
    /// # Errors
    /// When there is none, or it has faults.
    pub fn definition(&self, name: &str) -> Result<Definition, BaseError> {
        if let Some(text) = self.read(name, ".toml", MAX_TEXT)? {
            let file = self.shown(name, ".toml").display().to_string();
            return Definition::parse(name, &file, &text).map_err(BaseError::Definition);
        }
        match name {
            builtin::NAME => builtin::definition(),
            _ => Err(BaseError::Unknown(name.to_owned())),
        }
    }

    fn is_local(&self, name: &str) -> bool {
        self.path(name, ".toml").is_some_and(|path| path.exists())
    }

    /// Returns the lock of a base.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn lock(&self, name: &str) -> Result<Lock, BaseError> {
        if !self.is_local(name) && name == builtin::NAME {
            return builtin::lock();
        }
        let file = self.shown(name, ".lock.toml").display().to_string();
        match self.read(name, ".lock.toml", MAX_TEXT)? {
            Some(text) => Ok(Lock::parse(&file, &text)?),
            None => Err(BaseError::NoLock { name: name.to_owned(), file }),
        }
    }

    /// Returns the list of a base's entries beside its lock, if it is there and the lock's.
    pub fn contents(&self, name: &str, lock: &Lock) -> Option<String> {
        let text = self.read(name, ".contents.txt", MAX_CONTENTS).ok()??;
        (Digest::of(text.as_bytes()) == lock.contents).then_some(text)
    }

    /// Returns a base with its lock, made sure that the lock is the definition's.
    ///
    /// # Errors
    /// When there is none, it has faults, or the lock is missing, broken or stale.
    pub fn locked(&self, name: &str) -> Result<(Definition, Lock), BaseError> {
        let definition = self.definition(name)?;
        let lock = self.lock(name)?;
        let stale = |why: &str| BaseError::Stale {
            name: name.to_owned(),
            file: self.shown(name, ".lock.toml").display().to_string(),
            why: why.to_owned(),
        };
        if lock.definition != definition.digest() {
            return Err(stale("the definition has changed since"));
        }
        let is_image = matches!(definition.kind, Kind::Image(_));
        if is_image != lock.image.is_some() {
            return Err(stale("it is of another kind"));
        }
        if !is_image && lock.assembly != lock::assembly() {
            return Err(stale("this version of karat packs layers in another way"));
        }
        Ok((definition, lock))
    }

    /// Returns the bases whose locks can be read, one entry a platform.
    pub fn known(&self) -> Vec<Known> {
        let mut known = Vec::new();
        for name in self.names().unwrap_or_default() {
            let Ok(lock) = self.lock(&name) else { continue };
            known.extend(lock.platforms.iter().map(|platform| Known {
                name: name.clone(),
                diff_ids: platform.layers.iter().map(|layer| layer.diff_id).collect(),
            }));
        }
        known
    }

    /// Returns the name of the base that an image of a platform stands on: the one whose layers
    /// the image's begin with, of several the one with the most. Bases whose locks cannot be
    /// read are none.
    ///
    /// # Errors
    /// When the folder of bases cannot be read.
    pub fn under(
        &self,
        platform: &Platform,
        diff_ids: &[DiffId],
    ) -> Result<Option<String>, BaseError> {
        let mut found: Option<(usize, String)> = None;
        for name in self.names()? {
            let Ok(lock) = self.lock(&name) else { continue };
            let Some(locked) = lock.platform(platform) else { continue };
            let own = locked.layers.len();
            let is_under = own <= diff_ids.len()
                && locked.layers.iter().map(|layer| &layer.diff_id).eq(&diff_ids[..own]);
            if is_under && found.as_ref().map_or(0, |(most, _)| *most) < own {
                found = Some((own, name));
            }
        }
        Ok(found.map(|(_, name)| name))
    }

    /// Makes sure that a local base with the name of a built-in one is that very base.
    fn refuse_shadow(&self, name: &str) -> Result<(), BaseError> {
        if !builtin::names().contains(&name) || !self.is_local(name) {
            return Ok(());
        }
        let shadow = || BaseError::Shadow {
            name: name.to_owned(),
            file: self.shown(name, ".toml").display().to_string(),
        };
        let is_same = name == builtin::NAME
            && self.definition(name)?.digest() == builtin::definition()?.digest()
            && self.lock(name)? == builtin::lock()?;
        if is_same { Ok(()) } else { Err(shadow()) }
    }

    /// Makes sure that the policy has not revoked what a base is: its image, a layer, a package.
    fn refuse_revoked(
        &self,
        name: &str,
        lock: &Lock,
        locked: &LockedPlatform,
    ) -> Result<(), BaseError> {
        let Some((policy, now)) = self.supply.and_then(|supply| supply.policy) else {
            return Ok(());
        };
        let image = lock.image.as_ref().map(|image| image.digest);
        let layers = locked.layers.iter().map(|layer| layer.digest);
        let packages = locked.packages.iter().map(|package| package.sha256);
        for digest in image.into_iter().chain([locked.digest]).chain(layers).chain(packages) {
            let what = RevokedThing::Digest(digest);
            if let Some(revoked) = policy.revoked_on(now.date()).find(|one| one.what == what) {
                let (name, reason) = (name.to_owned(), revoked.reason.clone());
                return Err(BaseError::Revoked { name, digest, reason });
            }
        }
        Ok(())
    }

    /// Makes sure that a base can be built on for a platform, as far as its files say.
    ///
    /// # Errors
    /// When there is none, it has faults, its lock is missing or stale, or it is for other
    /// platforms.
    pub fn check(&self, name: &str, platform: &Platform) -> Result<(), BaseError> {
        self.refuse_shadow(name)?;
        if name == "scratch" {
            return Ok(());
        }
        let (definition, lock) = self.locked(name)?;
        of_platform(&definition, &lock, platform).map(|_| ())
    }

    /// Returns the base of a name for a platform, its bytes held against the lock: out of the
    /// cache, else made from its packages.
    ///
    /// # Errors
    /// As [`Shelf::check`], and when bytes are missing or are not those of the lock.
    pub fn resolve(&self, name: &str, platform: &Platform) -> Result<Base, BaseError> {
        self.refuse_shadow(name)?;
        if name == "scratch" {
            return Ok(scratch());
        }
        let (definition, lock) = self.locked(name)?;
        if let Kind::Scratch = definition.kind {
            let lock = Some(lock.checksum());
            return Ok(Base { name: name.to_owned(), lock, ..scratch() });
        }
        let locked = of_platform(&definition, &lock, platform)?;
        self.refuse_revoked(name, &lock, locked)?;
        if let Kind::Image(image) = &definition.kind {
            return self.upstream(&definition, image, |upstream| upstream.resolve(&lock, locked));
        }
        let layers = match self.stored(locked) {
            Some(layers) => layers,
            None => self.made(&definition, &lock, locked)?,
        };
        let mut base = of_lock(&definition, locked, Some(&lock), layers);
        let digest = base.manifest(platform).1.digest;
        if digest != locked.digest {
            return Err(BaseError::DiffersWhole {
                platform: platform.clone(),
                found: digest,
                locked: locked.digest,
            });
        }
        base.digest = Some(digest);
        Ok(base)
    }

    /// Returns the layers that are compiled in or in the cache, if all are.
    fn stored(&self, locked: &LockedPlatform) -> Option<Vec<Cow<'static, [u8]>>> {
        let stored = locked.layers.iter().map(|layer| {
            if let Some(bytes) = builtin::layer(&layer.digest, layer.size) {
                return Some(Cow::Borrowed(bytes));
            }
            self.supply?.cache.get(&layer.digest, layer.size).map(Cow::Owned)
        });
        stored.collect()
    }

    /// Makes the layers from packages, and keeps them.
    fn made(
        &self,
        definition: &Definition,
        lock: &Lock,
        locked: &LockedPlatform,
    ) -> Result<Vec<Cow<'static, [u8]>>, BaseError> {
        let supply = self.supply.ok_or_else(|| BaseError::Unreadable(definition.name.clone()))?;
        let contents = self.contents(&definition.name, lock);
        let built =
            locking::rebuild(definition, locked, contents.as_deref(), supply, self.threads)?;
        let mut layers = Vec::new();
        for (_, written) in built {
            let size = written.bytes.len() as u64;
            // A cache that cannot be written costs time and nothing else.
            let _ = supply.cache.put(&written.digest, size, &written.bytes[..]);
            layers.push(Cow::Owned(written.bytes));
        }
        Ok(layers)
    }

    /// Reads the keyring that a definition names.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn keyring(&self, name: &str) -> Result<Keyring, BaseError> {
        let of = |error| BaseError::Keyring { name: name.to_owned(), error };
        if let Some(keys) = builtin::keyring(name) {
            return Keyring::parse(keys).map_err(of);
        }
        let path = match self.root {
            _ if name.starts_with('/') => PathBuf::from(name),
            Some(root) => root.join(name),
            None => return Err(BaseError::NoKeyring(name.to_owned())),
        };
        let mut bytes = Vec::new();
        match File::open(&path)
            .and_then(|file| file.take(keyring::MAX as u64 + 1).read_to_end(&mut bytes))
        {
            Ok(_) => Keyring::parse(&bytes).map_err(of),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(BaseError::NoKeyring(name.to_owned()))
            }
            Err(error) => Err(BaseError::File { path, error }),
        }
    }

    /// Does something with the image of a base.
    fn upstream<T>(
        &self,
        definition: &Definition,
        image: &ImageBase,
        work: impl FnOnce(Upstream<'_>) -> Result<T, BaseError>,
    ) -> Result<T, BaseError> {
        let supply = self.supply.ok_or_else(|| BaseError::Unreadable(definition.name.clone()))?;
        let trust = image.signer.as_ref().map(|signer| self.trust(&definition.name, signer));
        let trust = trust.transpose()?;
        work(Upstream { definition, image, supply, root: self.root, trust: trust.as_ref() })
    }

    /// Reads who must have signed an image.
    fn trust(&self, name: &str, signer: &Signer) -> Result<Trust, BaseError> {
        let name = || name.to_owned();
        let signer = match signer {
            Signer::Key(path) => {
                let of = |error| BaseError::Key { name: name(), path: path.clone(), error };
                sigstore::Signer::Key(PublicKey::from_pem(&self.key(path)?).map_err(of)?)
            }
            Signer::Identity { issuer, identity } => {
                sigstore::Signer::Identity(Identity::exact(identity, issuer))
            }
        };
        let policy = self.supply.and_then(|supply| supply.policy);
        let root = match policy.and_then(|(policy, _)| policy.sigstore.as_ref()) {
            Some(sigstore) => TrustedRoot::parse(sigstore.trusted_root.bytes()),
            None => TrustedRoot::public_good(),
        };
        let root = root.map_err(|error| BaseError::TrustedRoot { name: name(), error })?;
        let trust = Trust::in_one(signer, root);
        Ok(match policy {
            Some((policy, now)) => trust.under(policy, now),
            None => trust,
        })
    }

    /// Reads a key of the project.
    fn key(&self, path: &str) -> Result<String, BaseError> {
        let failed = |error| BaseError::File { path: PathBuf::from(path), error };
        let whole = self.root.unwrap_or(Path::new("")).join(path);
        // Before it is opened: opening a FIFO waits for a writer.
        if !whole.metadata().map_err(failed)?.is_file() {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "it is no file")));
        }
        let mut text = String::new();
        let file = File::open(&whole).map_err(failed)?;
        file.take(key::MAX_FILE as u64 + 1).read_to_string(&mut text).map_err(failed)?;
        Ok(text)
    }

    /// Makes the lock of a base anew; writes nothing but the cache.
    ///
    /// # Errors
    /// As [`locking::lock`]; for an image when it is not there, is not what its digest says,
    /// is not signed as it must be, or has a layer that cannot be read in one way only.
    pub fn relock(&self, definition: &Definition, now: Moment) -> Result<Locked, BaseError> {
        let locked = match &definition.kind {
            Kind::Image(image) => {
                let before = self.lock(&definition.name).ok();
                self.upstream(definition, image, |upstream| {
                    upstream.lock(before.as_ref(), now.date())
                })?
            }
            Kind::Packages(packages) => {
                let keyring = self.keyring(&packages.keyring)?;
                let supply =
                    self.supply.ok_or_else(|| BaseError::Unreadable(definition.name.clone()))?;
                locking::lock(definition, &keyring, supply, now, self.threads)?
            }
            Kind::Scratch => return Err(unlocked(definition)),
        };
        for platform in &locked.lock.platforms {
            self.refuse_revoked(&definition.name, &locked.lock, platform)?;
        }
        Ok(locked)
    }

    /// Makes the layers of a locked base again from its packages, whatever is in the cache; for
    /// an image, takes them as they are and unpacks them.
    ///
    /// # Errors
    /// As [`locking::rebuild`]; for an image as [`Shelf::resolve`], and when a layer does not
    /// unpack to what was locked.
    pub fn rebuild(
        &self,
        name: &str,
        platform: &Platform,
    ) -> Result<Vec<(String, Vec<u8>)>, BaseError> {
        let (definition, lock) = self.locked(name)?;
        let supply = self.supply.ok_or_else(|| BaseError::Unreadable(name.to_owned()))?;
        let locked = of_platform(&definition, &lock, platform)?;
        self.refuse_revoked(name, &lock, locked)?;
        if let Kind::Image(_) = definition.kind {
            let base = self.resolve(name, platform)?;
            base.read_layers(&SpoolRoom::default())?;
            let layers = base.layers.into_iter();
            return Ok(layers.map(|layer| (layer.file, layer.bytes.into_owned())).collect());
        }
        let contents = self.contents(name, &lock);
        let built =
            locking::rebuild(&definition, locked, contents.as_deref(), supply, self.threads)?;
        Ok(built.into_iter().map(|(made, written)| (made.name, written.bytes)).collect())
    }

    /// Writes a lock and its list, each whole or not at all, the lock last: until then the
    /// old one counts.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, name: &str, locked: &Locked) -> Result<(), BaseError> {
        let texts =
            [(".contents.txt", locked.contents.clone()), (".lock.toml", locked.lock.to_text(name))];
        for (ending, text) in texts {
            let Some(path) = self.path(name, ending) else { continue };
            let shown = self.shown(name, ending);
            if fs::read(&path).is_ok_and(|old| old == text.as_bytes()) {
                continue;
            }
            write(&path, text.as_bytes())
                .map_err(|error| BaseError::File { path: shown, error })?;
        }
        Ok(())
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::with_prefix_in(".tmp-", folder)?;
    file.write_all(bytes)?;
    crate::oci::layout::make_readable(file.as_file())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn scratch() -> Base {
    Base {
        name: "scratch".to_owned(),
        digest: None,
        origin: Origin::Base,
        layers: Vec::new(),
        env: Vec::new(),
        packages: Vec::new(),
        maintained_until: None,
        locked_on: None,
        lock: None,
        max_age: None,
        excluded: Vec::new(),
    }
}

fn unlocked(definition: &Definition) -> BaseError {
    let what = "a base of this kind has no packages and needs no lock";
    BaseError::Unsupported { name: definition.name.clone(), what }
}

fn of_platform<'l>(
    definition: &Definition,
    lock: &'l Lock,
    platform: &Platform,
) -> Result<&'l LockedPlatform, BaseError> {
    lock.platform(platform).ok_or_else(|| BaseError::Platform {
        name: definition.name.clone(),
        platform: platform.clone(),
        made_for: lock.platforms.iter().map(|one| one.platform.to_string()).collect(),
    })
}
