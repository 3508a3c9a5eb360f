//! The default output: `dist/NAME/`, replaced as one.

use super::{Papers, PublishError, Release, Staging, layout, staging};
use crate::oci::layout::write_whole;
use std::fs;
use std::io;
use std::path::Path;

/// The name that the image has in its layout, so that `oci:dist/NAME/image:local` works.
pub(super) const TAG: &str = "local";
/// The file by which a folder is known as an output of karat.
const MARK: &str = "report.json";

pub(super) fn check(path: &Path) -> Result<(), PublishError> {
    let something_else = |what| PublishError::SomethingElse { path: path.to_owned(), what };
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(PublishError::Write { path: path.to_owned(), error }),
        Ok(found) if !found.is_dir() => Err(something_else("no folder")),
        Ok(_) if path.join(MARK).is_file() => Ok(()),
        Ok(_) => match super::is_empty(path) {
            Ok(true) => Ok(()),
            Ok(false) => Err(something_else("a folder that karat did not make")),
            Err(error) => Err(PublishError::Write { path: path.to_owned(), error }),
        },
    }
}

/// Puts the staged image and the papers in place of what was there.
pub(super) fn write(
    release: Option<&Release>,
    staging: Staging,
    papers: &Papers,
    path: &Path,
) -> Result<(), PublishError> {
    let write = |error| PublishError::Write { path: path.to_owned(), error };
    match release {
        Some(release) => {
            let index = layout::index(release, Some(TAG), Vec::new());
            staging.layout.finish(&index.to_bytes()).map_err(write)?;
        }
        None => fs::remove_dir_all(staging.image()).map_err(write)?,
    }
    for (name, bytes) in papers {
        write_whole(&staging.folder().join(name), bytes).map_err(write)?;
    }
    let place = staging::lock(path)?;
    check(path)?;
    replace(staging.folder(), path).map_err(write)?;
    // What lies under the staging name now is the old output, or nothing. Images whose names
    // continue this one's have their folders in it: they move over. Dropping removes the rest.
    keep_others(staging.folder(), path).map_err(write)?;
    drop(staging);
    drop(place);
    Ok(())
}

/// Moves the outputs of images below an old output, `dist/a/b` in `dist/a`, to the new one.
fn keep_others(old: &Path, new: &Path) -> io::Result<()> {
    if !old.is_dir() {
        return Ok(());
    }
    for entry in old.read_dir()? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.file_name() != "image" {
            fs::rename(entry.path(), new.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Puts a folder in the place of another. On Linux the two change places in one step;
/// elsewhere the old one is moved aside first.
fn replace(new: &Path, place: &Path) -> io::Result<()> {
    if !place.exists() {
        return fs::rename(new, place);
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, new, CWD, place, RenameFlags::EXCHANGE) {
            Ok(()) => return Ok(()),
            // Some file systems cannot do it.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let aside = new.with_extension("old");
    fs::rename(place, &aside)?;
    if let Err(error) = fs::rename(new, place) {
        fs::rename(&aside, place)?;
        return Err(error);
    }
    fs::remove_dir_all(aside)
}
