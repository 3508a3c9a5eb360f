//! The folder beside an output in which the next one takes shape, and the lock on its place.
//!
//! Two runs may write below one folder at the same time, and a run may be killed. What
//! takes shape is therefore held by a lock of its own: what no living process holds was
//! left behind, and the next run removes it.

use super::{Destination, PublishError};
use crate::oci::layout::LayoutWriter;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// How the names of the folders begin.
const PREFIX: &str = ".karat-tmp-";
/// How long one run waits for another that is writing its output, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(5);

/// A folder beside an output, in which an image takes shape. Removed with all that is in
/// it, unless its content has been moved to its place.
#[derive(Debug)]
pub struct Staging {
    folder: TempDir,
    /// The layout that takes shape.
    pub layout: LayoutWriter,
    /// Says that the folder is in use. Released after the folder is gone.
    _held: Option<File>,
}

impl Staging {
    /// Makes the folder beside a destination, so that moving is a rename, and removes what
    /// killed runs have left there.
    ///
    /// # Errors
    /// When it cannot be made, or another process holds the place for a minute.
    pub fn beside(destination: &Destination) -> Result<Self, PublishError> {
        let parent = parent(destination.path());
        let write = |error| PublishError::Write { path: parent.to_owned(), error };
        fs::create_dir_all(parent).map_err(write)?;
        // Between the making of a folder and its locking, nobody may take it for abandoned.
        let place = lock(destination.path())?;
        remove_abandoned(parent).map_err(write)?;
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent).map_err(write)?;
        let held = open_folder(folder.path()).map_err(write)?;
        if let Some(held) = &held {
            match held.try_lock() {
                Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Unsupported => {
                    return Err(write(error));
                }
                _ => {}
            }
        }
        drop(place);
        make_enterable(folder.path()).map_err(write)?;
        let layout = LayoutWriter::create(&folder.path().join("image")).map_err(write)?;
        Ok(Self { folder, layout, _held: held })
    }

    /// Returns the folder itself, which is the output when it is the default one.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the folder of the layout in it.
    pub(super) fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Holds the place of an output, so that what is there can be read, changed and written
/// as one step. The place is free again when the file is dropped, or its process has died.
///
/// # Errors
/// When another process holds it for a minute.
pub(super) fn lock(path: &Path) -> Result<Option<File>, PublishError> {
    let folder = parent(path);
    let write = |error| PublishError::Write { path: folder.to_owned(), error };
    let Some(file) = open_folder(folder).map_err(write)? else { return Ok(None) };
    let mut waited = Duration::ZERO;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if waited < PATIENCE => {
                std::thread::sleep(PAUSE);
                waited += PAUSE;
            }
            Err(TryLockError::WouldBlock) => {
                return Err(PublishError::Held { path: folder.to_owned() });
            }
            // Some network file systems know no locks: there, the last writer wins.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                return Ok(None);
            }
            Err(TryLockError::Error(error)) => return Err(write(error)),
        }
    }
}

/// Opens a folder to lock it, where the system can.
fn open_folder(folder: &Path) -> io::Result<Option<File>> {
    if cfg!(unix) { File::open(folder).map(Some) } else { Ok(None) }
}

/// Removes the folders of runs that were killed: those that nobody holds. What cannot be
/// removed stays, as it is in nobody's way.
fn remove_abandoned(parent: &Path) -> io::Result<()> {
    for entry in parent.read_dir()? {
        let entry = entry?;
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if !ours || !entry.file_type()?.is_dir() {
            continue;
        }
        if let Ok(Some(folder)) = open_folder(&entry.path())
            && folder.try_lock().is_ok()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// Temporary folders are for their owner alone; an output is an ordinary folder.
fn make_enterable(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    }
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}
