//! A project's waivers, with what approvers have signed of them.

use super::build::from_here;
use super::failure::Failure;
use super::settings::{self, SettingsError};
use karat::signature::bundle;
use karat::waiver::{self, APPROVAL_ENDING, Approvals, Waiver};
use std::io;
use std::path::{Path, PathBuf};

/// The most files of waivers, and the most bundles beside them, that a project has.
const MOST: usize = 1000;

/// Lists a project's `waivers/*.toml` in byte order, as a user in this folder would.
pub(super) fn list(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    ending_with(root, ".toml")
}

fn ending_with(root: &Path, ending: &str) -> Result<Vec<PathBuf>, Failure> {
    let folder = root.join(waiver::FOLDER);
    let read = |error| SettingsError::WaiverFile { path: from_here(&folder), error };
    let entries = match folder.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(read(error).into()),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(read)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.ends_with(ending) && name.len() > ending.len()) {
            files.push(from_here(&path));
        }
        if files.len() > MOST {
            let error = format!("it holds more than {MOST} files that end with `{ending}`");
            return Err(read(io::Error::new(io::ErrorKind::InvalidInput, error)).into());
        }
    }
    files.sort();
    Ok(files)
}

/// Reads a file of waivers; gives its text too.
pub(super) fn read(path: &Path) -> Result<(Vec<Waiver>, String), Failure> {
    let text = settings::text(path)
        .map_err(|error| SettingsError::WaiverFile { path: path.to_owned(), error })?;
    Ok((waiver::parse(&path.display().to_string(), &text)?, text))
}

/// Reads all waivers of a project's `waivers/`, with their approvals.
pub(super) fn shared(root: &Path) -> Result<Vec<Waiver>, Failure> {
    let mut waivers = Vec::new();
    for path in list(root)? {
        waivers.extend(read(&path)?.0);
    }
    approvals(root)?.hand_out(&mut waivers);
    Ok(waivers)
}

/// Reads the bundles beside a project's waivers.
pub(super) fn approvals(root: &Path) -> Result<Approvals, Failure> {
    let mut approvals = Approvals::default();
    for path in ending_with(root, APPROVAL_ENDING)? {
        let bytes = settings::file(&path, "a bundle", bundle::MAX_SIZE)?;
        approvals
            .add(bytes)
            .map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))?;
    }
    Ok(approvals)
}
