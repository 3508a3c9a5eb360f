//! The files of a project: found below its root, copied once, hashed on the way.

use crate::recipe::discover;
use crate::store::{Positioned, Spool, SpoolError, SpoolRoom};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// The largest input, in bytes.
pub const MAX_INPUT: u64 = 4 << 30;
/// The most files that one folder brings.
const MAX_FILES: usize = 100_000;
/// The deepest folder that is entered.
const MAX_DEPTH: usize = 64;

/// A project's root, from which inputs are taken.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
}

/// Why an input cannot be taken. Paths are shown as the recipe wrote them.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InputError {
    #[error("`{source_path}` does not exist")]
    Missing { source_path: String, looked_for: PathBuf, nearest: Option<PathBuf> },
    #[error("`{source_path}` leads to `{}`, outside the project", leads_to.display())]
    Outside { source_path: String, leads_to: PathBuf },
    #[error("`{source_path}` is a folder, and a file is needed")]
    Folder { source_path: String },
    #[error("`{source_path}` is neither a file nor a folder")]
    Special { source_path: String },
    #[error("`{source_path}` is a link to a folder; name that folder in a `[[file]]` of its own")]
    LinkedFolder { source_path: String },
    #[error("`{source_path}` has {size} bytes, more than {MAX_INPUT}")]
    Long { source_path: String, size: u64 },
    #[error(
        "`{source_path}` holds more than {MAX_FILES} files, or folders more than {MAX_DEPTH} deep"
    )]
    Many { source_path: String },
    #[error("`{source_path}` has a name that is no UTF-8: {name}")]
    Name { source_path: String, name: String },
    #[error("`{source_path}` changed while it was read")]
    Changed { source_path: String },
    #[error("`{source_path}` cannot be read: {error}")]
    Read { source_path: String, error: io::Error },
    #[error("no room for a copy of `{source_path}` in the temporary folder: {error}")]
    Spool { source_path: String, error: io::Error },
}

impl InputError {
    /// Says whether trying again can help: the medium failed, not the user.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Changed { .. } | Self::Read { .. } | Self::Spool { .. })
    }
}

/// A file below a folder input.
#[derive(Debug)]
pub struct Found {
    /// The path of the file, links resolved.
    pub file: PathBuf,
    /// Its path relative to the folder, with `/` between the components.
    pub below: String,
    /// Whether it is a folder itself.
    pub folder: bool,
}

impl Project {
    /// Takes the root of a project.
    ///
    /// # Errors
    /// When it cannot be resolved.
    pub fn new(root: &Path) -> io::Result<Self> {
        Ok(Self { root: root.canonicalize()? })
    }

    /// Returns the root, with no link in it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Finds a source. Every link on the way is resolved, and where they lead must lie
    /// below the root.
    ///
    /// # Errors
    /// When it does not exist or lies outside.
    pub fn locate(&self, source_path: &str) -> Result<PathBuf, InputError> {
        let looked_for = self.root.join(source_path);
        let found = looked_for.canonicalize().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => InputError::Missing {
                source_path: source_path.to_owned(),
                nearest: discover::nearest(&looked_for),
                looked_for: looked_for.clone(),
            },
            // A link that leads to itself leads nowhere, however often it is tried.
            kind if kind != io::ErrorKind::PermissionDenied && looked_for.is_symlink() => {
                InputError::Missing {
                    source_path: source_path.to_owned(),
                    nearest: None,
                    looked_for: looked_for.clone(),
                }
            }
            _ => InputError::Read { source_path: source_path.to_owned(), error },
        })?;
        self.contain(source_path, found)
    }

    fn contain(&self, source_path: &str, found: PathBuf) -> Result<PathBuf, InputError> {
        if found.starts_with(&self.root) {
            Ok(found)
        } else {
            Err(InputError::Outside { source_path: source_path.to_owned(), leads_to: found })
        }
    }

    /// Copies a located file into a spool.
    ///
    /// # Errors
    /// When it is no regular file, is longer than [`MAX_INPUT`], changes while it is read,
    /// or cannot be read or copied.
    pub fn copy(
        &self,
        source_path: &str,
        located: &Path,
        room: &SpoolRoom,
    ) -> Result<Spool, InputError> {
        let own = || source_path.to_owned();
        let read = |error| InputError::Read { source_path: own(), error };
        let kind = fs::symlink_metadata(located).map_err(read)?.file_type();
        if kind.is_dir() {
            return Err(InputError::Folder { source_path: own() });
        }
        // Before it is opened: opening a FIFO waits for a writer.
        if !kind.is_file() {
            return Err(InputError::Special { source_path: own() });
        }
        let file = File::open(located).map_err(read)?;
        // The name may have been given to something else since it was resolved.
        let before = file.metadata().map_err(read)?;
        if !before.is_file() || located.canonicalize().map_err(read)? != located {
            return Err(InputError::Changed { source_path: own() });
        }
        if before.len() > MAX_INPUT {
            return Err(InputError::Long { source_path: own(), size: before.len() });
        }
        let file = Positioned::of(before.len(), file);
        let spool = room.copy_file(&file, MAX_INPUT).map_err(|error| match error {
            SpoolError::Long(_) => InputError::Changed { source_path: own() },
            SpoolError::Read(error) => read(error),
            SpoolError::Write(error) => InputError::Spool { source_path: own(), error },
        })?;
        let after = file.metadata().map_err(read)?;
        let changed = after.len() != before.len()
            || after.modified().ok() != before.modified().ok()
            || crate::binary::ReadAt::len(&spool) != before.len();
        if changed { Err(InputError::Changed { source_path: own() }) } else { Ok(spool) }
    }

    /// Lists the files below a located folder in byte order. A link to a file counts as the
    /// file; it must lie below the root too.
    ///
    /// # Errors
    /// On links that lead outside or to folders, on anything that is no file or folder,
    /// on names that are no UTF-8, and on too many files.
    pub fn list(&self, source_path: &str, folder: &Path) -> Result<Vec<Found>, InputError> {
        let own = || source_path.to_owned();
        let read = |error| InputError::Read { source_path: own(), error };
        let mut found = Vec::new();
        for entry in WalkDir::new(folder).min_depth(1).max_depth(MAX_DEPTH).sort_by_file_name() {
            let entry = entry.map_err(|error| read(error.into()))?;
            if found.len() >= MAX_FILES || entry.depth() == MAX_DEPTH {
                return Err(InputError::Many { source_path: own() });
            }
            let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path());
            let mut below = String::new();
            for component in relative.components() {
                let name = component.as_os_str().to_str().ok_or_else(|| InputError::Name {
                    source_path: own(),
                    name: crate::finding::escape::bytes(component.as_os_str().as_encoded_bytes()),
                })?;
                if !below.is_empty() {
                    below.push('/');
                }
                below.push_str(name);
            }
            let kind = entry.file_type();
            let file = if kind.is_symlink() {
                let shown = format!("{}/{below}", source_path.trim_end_matches('/'));
                let target = self.locate(&shown).or_else(|error| match error {
                    // The folder itself may be a link: resolve from where the walk is.
                    InputError::Missing { .. } => {
                        let target = entry.path().canonicalize().map_err(|_| error)?;
                        self.contain(&shown, target)
                    }
                    other => Err(other),
                })?;
                if target.is_dir() {
                    return Err(InputError::LinkedFolder { source_path: shown });
                }
                target
            } else {
                entry.path().to_owned()
            };
            found.push(Found { file, below, folder: kind.is_dir() });
        }
        Ok(found)
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn project() -> (tempfile::TempDir, Project) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("project");
        fs::create_dir_all(root.join("data/sub")).unwrap();
        fs::create_dir_all(folder.path().join("outside")).unwrap();
        fs::write(folder.path().join("outside/secret"), "secret").unwrap();
        fs::write(root.join("data/a"), "a").unwrap();
        fs::write(root.join("data/sub/b"), "b").unwrap();
        let project = Project::new(&root).unwrap();
        (folder, project)
    }

    #[test]
    fn links_out_of_the_root_are_refused() {
        let (folder, project) = project();
        symlink(folder.path().join("outside/secret"), project.root.join("direct")).unwrap();
        symlink(folder.path().join("outside"), project.root.join("parent")).unwrap();
        symlink("parent/secret", project.root.join("chain")).unwrap();
        for source in ["direct", "parent/secret", "chain", "data/../../outside/secret"] {
            assert!(matches!(project.locate(source), Err(InputError::Outside { .. })), "{source}");
        }
        symlink("data/a", project.root.join("inside")).unwrap();
        assert_eq!(project.locate("inside").unwrap(), project.root.join("data/a"));
        symlink(folder.path().join("outside/secret"), project.root.join("data/sub/leak")).unwrap();
        assert!(matches!(
            project.list("data", &project.root.join("data")),
            Err(InputError::Outside { .. })
        ));
    }

    #[test]
    fn folders_are_listed_in_byte_order() {
        let (_folder, project) = project();
        fs::write(project.root.join("data/sub-x"), "").unwrap();
        symlink("sub/b", project.root.join("data/z")).unwrap();
        let list = project.list("data/", &project.root.join("data")).unwrap();
        let names: Vec<_> = list.iter().map(|found| (found.below.as_str(), found.folder)).collect();
        assert_eq!(
            names,
            [("a", false), ("sub", true), ("sub/b", false), ("sub-x", false), ("z", false)]
        );
        assert_eq!(list[4].file, project.root.join("data/sub/b"));
        symlink("sub", project.root.join("data/folder-link")).unwrap();
        assert!(matches!(
            project.list("data", &project.root.join("data")),
            Err(InputError::LinkedFolder { .. })
        ));
    }

    #[test]
    fn only_regular_files_are_copied() {
        let (_folder, project) = project();
        let room = SpoolRoom::default();
        let copy = |name: &str| project.copy(name, &project.root.join(name), &room);
        assert!(matches!(copy("data"), Err(InputError::Folder { .. })));
        assert!(
            std::process::Command::new("mkfifo")
                .arg(project.root.join("fifo"))
                .status()
                .unwrap()
                .success()
        );
        assert!(matches!(copy("fifo"), Err(InputError::Special { .. })));
        let huge = File::create(project.root.join("huge")).unwrap();
        huge.set_len(10 << 30).unwrap();
        assert!(matches!(copy("huge"), Err(InputError::Long { size, .. }) if size == 10 << 30));
        assert_eq!(copy("data/a").unwrap().sha256(), crate::oci::Digest::of(b"a"));
    }
}
