//! The bases that are compiled into karat: `scratch`, and `static-debian13` with the
//! definition, the lock and the layers of `bases/`; and Debian's keys.

use super::BaseError;
use super::definition::{Definition, FOLDER};
use super::lock::Lock;
use crate::oci::Digest;

/// The name of the base that has layers.
pub(super) const NAME: &str = "static-debian13";

/// Its definition, its lock, and the list of its entries.
const DEFINITION: &str = include_str!("../../bases/static-debian13.toml");
const LOCK: &str = include_str!("../../bases/static-debian13.lock.toml");

/// The keys of Debian's archive; where they are from: `bases/keyrings/README.md`.
const KEYS: &[u8] = include_bytes!("../../bases/keyrings/debian-archive.gpg");
/// The name of that keyring.
const KEYRING: &str = "debian-archive";

macro_rules! layers {
    ($($file:literal),* $(,)?) => {
        [$(include_bytes!(concat!("../../bases/static-debian13/", $file)).as_slice()),*]
    };
}

/// The layers of the built-in base, in any order: the lock knows them by their hashes.
const LAYERS: [&[u8]; 6] = layers![
    "rootfs-amd64.tar.gz",
    "rootfs-arm64.tar.gz",
    "netbase.tar.gz",
    "tzdata.tar.gz",
    "media-types.tar.gz",
    "ca-certificates.tar.gz",
];

/// Returns the names of the built-in bases.
pub fn names() -> [&'static str; 2] {
    [NAME, "scratch"]
}

/// Returns the definition of a built-in base and its text.
///
/// # Errors
/// When what was compiled in cannot be read.
pub(super) fn definition() -> Result<Definition, BaseError> {
    let file = format!("{FOLDER}/{NAME}.toml");
    Definition::parse(NAME, &file, DEFINITION)
        .map_err(|faults| BaseError::Broken { name: NAME.to_owned(), what: faults.render(false) })
}

/// Returns the lock of the built-in base.
///
/// # Errors
/// When what was compiled in cannot be read.
pub(super) fn lock() -> Result<Lock, BaseError> {
    let broken = |error: super::lock::LockError| BaseError::Broken {
        name: NAME.to_owned(),
        what: error.to_string(),
    };
    Lock::parse(&format!("{FOLDER}/{NAME}.lock.toml"), LOCK).map_err(broken)
}

/// Returns the layer of a digest.
pub(super) fn layer(digest: &Digest, size: u64) -> Option<&'static [u8]> {
    let is_it = |bytes: &&&[u8]| bytes.len() as u64 == size && Digest::of(bytes) == *digest;
    LAYERS.iter().find(is_it).copied()
}

/// Returns the keys of a built-in keyring.
pub(super) fn keyring(name: &str) -> Option<&'static [u8]> {
    (name == KEYRING).then_some(KEYS)
}
