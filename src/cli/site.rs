//! What belongs to a site and not to a project: `karat-site.toml`, and the environment, which has
//! precedence.

use super::failure::Failure;
use super::settings;
use karat::site::{FILE, Site};
use std::env;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The longest file that is read here, in bytes.
const MAX: u64 = 4 << 20;

/// A site, and the folder that its file is in.
#[derive(Default)]
pub(super) struct Here {
    pub(super) site: Site,
    folder: PathBuf,
}

/// Returns the site of this run: `karat-site.toml` in the root of the project that the current
/// folder belongs to, else that of the user. Read once.
pub(super) fn here() -> Result<&'static Here, Failure> {
    static HERE: OnceLock<Here> = OnceLock::new();
    match HERE.get() {
        Some(here) => Ok(here),
        None => read().map(|here| HERE.get_or_init(|| here)),
    }
}

fn read() -> Result<Here, Failure> {
    let root = settings::project(Path::new("."))?.root().to_owned();
    let config = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".config")));
    for folder in [Some(root), config.map(|folder| folder.join("karat"))].into_iter().flatten() {
        let path = folder.join(FILE);
        let shown = super::build::from_here(&path).display().to_string();
        match text(&path) {
            Ok(Some(text)) => return Ok(Here { site: Site::parse(&shown, &text)?, folder }),
            Ok(None) => {}
            Err(error) => {
                return Err(Failure::failed(format!("`{shown}` cannot be read: {error}")));
            }
        }
    }
    Ok(Here::default())
}

impl Here {
    /// Returns a file or folder that the site's file names.
    pub(super) fn path(&self, written: Option<&PathBuf>) -> Option<PathBuf> {
        written.map(|path| self.folder.join(path))
    }

    /// Returns where bytes are kept between runs.
    pub(super) fn cache_folder(&self) -> PathBuf {
        let named = variable("KARAT_CACHE").map(PathBuf::from);
        if let Some(folder) = named.or_else(|| self.path(self.site.cache.as_ref())) {
            return folder;
        }
        let user = variable("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|folder| folder.is_absolute())
            .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")));
        user.unwrap_or_else(env::temp_dir).join("karat")
    }
}

/// Writes the root of a project as a user in this folder would; empty when it is this folder.
pub(super) fn from_here(root: &Path) -> PathBuf {
    let here = env::current_dir().and_then(|here| here.canonicalize());
    match here.is_ok_and(|here| here == root) {
        true => PathBuf::new(),
        false => super::build::from_here(root),
    }
}

/// Returns a variable of the environment that says something.
pub(super) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reads a file as text; none when it is not there.
pub(super) fn text(path: &Path) -> io::Result<Option<String>> {
    let mut text = String::new();
    match fs::File::open(path) {
        Ok(file) => file.take(MAX).read_to_string(&mut text).map(|_| Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
