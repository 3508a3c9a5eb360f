//! A folder on disk, read as the one layer of a file system.
//!
//! Links are not followed and nothing but regular files is opened. Files are copied, so that
//! what is inspected cannot change meanwhile.

use super::{Entry, Kind, Layer, Origin};
use crate::archive::{LimitExceeded, Limits};
use crate::oci::Digest;
use crate::store::{Content, SpoolRoom};
use sha2::{Digest as _, Sha256};
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use walkdir::WalkDir;

/// Why a folder could not be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum FolderError {
    #[error("`{path}`: {error}")]
    Io { path: String, error: io::Error },
    #[error("{0}")]
    Limit(#[from] LimitExceeded),
}

/// A file of the folder, before its bytes have their place.
struct Found {
    entry: Entry,
    content: Option<(u64, u64, Digest)>,
}

/// Reads a folder, in byte order of the paths. Owners, modes and extended attributes are
/// those on disk, where the machine has them.
///
/// # Errors
/// When something cannot be read, or a limit of `limits` is passed.
pub fn read(folder: &Path, room: &SpoolRoom, limits: &Limits) -> Result<Layer, FolderError> {
    let mut spool = room.writer();
    let mut size = 0;
    let mut found = Vec::new();
    let mut chunk = vec![0; 256 << 10];
    for walked in WalkDir::new(folder).min_depth(1).sort_by_file_name() {
        let failed = |path: &Path, error| {
            let path = crate::finding::escape::bytes(path.as_os_str().as_encoded_bytes());
            FolderError::Io { path, error }
        };
        let walked = walked.map_err(|error| {
            let path = error.path().unwrap_or(folder).to_owned();
            failed(&path, error.into())
        })?;
        LimitExceeded::check("files of the folder", found.len() as u64 + 1, limits.max_entries)?;
        let of_walk = |error: walkdir::Error| failed(walked.path(), error.into());
        let of_file = |error| failed(walked.path(), error);
        let below = walked.path().strip_prefix(folder).unwrap_or(walked.path());
        let meta = walked.metadata().map_err(of_walk)?;
        let kind = meta.file_type();
        let mut content = None;
        let kind = if kind.is_dir() {
            Kind::Directory
        } else if kind.is_symlink() {
            let target = walked.path().read_link().map_err(of_file)?;
            Kind::Symlink(target.as_os_str().as_encoded_bytes().to_vec())
        } else if kind.is_file() {
            let offset = size;
            let mut file = File::open(walked.path()).map_err(of_file)?;
            if !file.metadata().map_err(of_file)?.is_file() {
                return Err(of_file(io::ErrorKind::InvalidInput.into()));
            }
            let mut hash = Sha256::new();
            loop {
                let count = file.read(&mut chunk).map_err(of_file)?;
                if count == 0 {
                    break;
                }
                size += count as u64;
                LimitExceeded::check("bytes of a file", size - offset, limits.max_file)?;
                LimitExceeded::check("bytes of the folder", size, limits.max_uncompressed)?;
                hash.update(&chunk[..count]);
                spool.write_all(&chunk[..count]).map_err(of_file)?;
            }
            let sha256 = Digest::from(<[u8; 32]>::from(hash.finalize()));
            content = Some((offset, size - offset, sha256));
            Kind::Directory
        } else {
            Kind::Special("device, FIFO or socket")
        };
        let path = components(below);
        found.push(Found { entry: entry(path, kind, &meta, walked.path()), content });
    }
    let spool = Arc::new(spool.finish());
    let whole = |found: Found| match found.content {
        Some((offset, size, sha256)) => {
            let content = Content::part(spool.clone(), offset, size, sha256);
            Entry { kind: Kind::File(content), ..found.entry }
        }
        None => found.entry,
    };
    let entries = found.into_iter().map(whole).collect();
    Ok(Layer { origin: Origin::Foreign, diff_id: None, entries })
}

fn components(path: &Path) -> Vec<u8> {
    let names: Vec<_> = path.components().map(|one| one.as_os_str().as_encoded_bytes()).collect();
    names.join(&b'/')
}

#[cfg(unix)]
fn entry(path: Vec<u8>, kind: Kind, meta: &Metadata, at: &Path) -> Entry {
    use std::os::unix::fs::MetadataExt as _;
    // Permissions of a link mean nothing.
    let mode = if matches!(kind, Kind::Symlink(_)) { 0o777 } else { meta.mode() & 0o7777 };
    let (uid, gid) = (u64::from(meta.uid()), u64::from(meta.gid()));
    Entry { path, kind, mode, uid, gid, mtime: meta.mtime(), xattrs: xattrs(at) }
}

#[cfg(not(unix))]
fn entry(path: Vec<u8>, kind: Kind, _: &Metadata, _: &Path) -> Entry {
    Entry { path, kind, mode: 0o644, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new() }
}

/// The names of the extended attributes; none where the file system has none.
#[cfg(target_os = "linux")]
fn xattrs(path: &Path) -> Vec<String> {
    let mut names = vec![0; 64 << 10];
    let Ok(length) = rustix::fs::llistxattr(path, &mut names[..]) else { return Vec::new() };
    names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(crate::finding::escape::bytes)
        .collect()
}

#[cfg(all(unix, not(target_os = "linux")))]
fn xattrs(_: &Path) -> Vec<String> {
    Vec::new()
}
