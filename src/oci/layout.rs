//! The OCI image layout: documents and blobs in a folder.
//!
//! Source: image-spec 1.1, image-layout.md. Blobs are written first, under a temporary
//! name, and the index last, so that a killed run leaves no index that names what is
//! not there.

use super::Digest;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The content of the file `oci-layout`.
pub const LAYOUT_FILE: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// The annotation that names an image inside a layout.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Where a layout keeps its blobs, below its root.
pub const BLOBS: &str = "blobs/sha256";

/// A layout in a folder that is being written.
#[derive(Debug)]
pub struct LayoutWriter {
    root: PathBuf,
}

impl LayoutWriter {
    /// Makes the folders of a layout in `root`, which exists already or not.
    ///
    /// # Errors
    /// When a folder cannot be made.
    pub fn create(root: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(root.join(BLOBS))?;
        Ok(Self { root: root.to_owned() })
    }

    /// Returns the path of a blob in this layout.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        blob_path(&self.root, digest)
    }

    /// Says whether the layout holds a blob of this digest and size.
    pub fn has_blob(&self, digest: &Digest, size: u64) -> bool {
        self.blob_path(digest).metadata().is_ok_and(|found| found.is_file() && found.len() == size)
    }

    /// Opens a temporary file beside the blobs, for bytes whose digest is not known yet.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn start_blob(&self) -> io::Result<NamedTempFile> {
        NamedTempFile::with_prefix_in(".tmp-", self.root.join(BLOBS))
    }

    /// Gives a finished temporary file its name.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn finish_blob(&self, file: NamedTempFile, digest: &Digest) -> io::Result<()> {
        make_readable(file.as_file())?;
        file.persist(self.blob_path(digest)).map_err(|error| error.error)?;
        Ok(())
    }

    /// Writes a blob.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_blob(&self, bytes: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(bytes);
        if !self.has_blob(&digest, bytes.len() as u64) {
            let mut file = self.start_blob()?;
            file.write_all(bytes)?;
            self.finish_blob(file, &digest)?;
        }
        Ok(digest)
    }

    /// Writes the layout's marker and its index: from now on it is a layout.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn finish(&self, index: &[u8]) -> io::Result<()> {
        write_whole(&self.root.join("oci-layout"), LAYOUT_FILE)?;
        write_whole(&self.root.join("index.json"), index)
    }
}

/// Returns the path of a blob below the root of a layout.
pub fn blob_path(root: &Path, digest: &Digest) -> PathBuf {
    root.join(BLOBS).join(digest.hex())
}

/// Writes a file under a temporary name and renames it, so that readers see the old
/// bytes or the new ones. Does not wait for the disk: what is written here can be built again.
///
/// # Errors
/// When the file cannot be written or renamed.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = NamedTempFile::with_prefix_in(".tmp-", folder)?;
    file.write_all(bytes)?;
    make_readable(file.as_file())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Gives a temporary file, which only its owner may read, the mode of an ordinary file.
///
/// # Errors
/// When the mode cannot be set.
pub fn make_readable(file: &std::fs::File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_is_one_only_when_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let layout = LayoutWriter::create(folder.path()).unwrap();
        let digest = layout.write_blob(b"{}").unwrap();
        assert!(layout.has_blob(&digest, 2));
        assert!(!layout.has_blob(&digest, 3));
        assert!(!folder.path().join("index.json").exists());
        layout.finish(b"{}").unwrap();
        assert_eq!(std::fs::read(folder.path().join("oci-layout")).unwrap(), LAYOUT_FILE);
        let left: Vec<_> = std::fs::read_dir(folder.path().join(BLOBS)).unwrap().collect();
        assert_eq!(left.len(), 1, "no temporary file is left");
    }
}
