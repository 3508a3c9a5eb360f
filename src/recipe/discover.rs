//! Where a project is, and which recipes it has.

use std::io;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// The name of the policy file, which also marks the root of a project.
pub const POLICY_FILE: &str = "karat-policy.toml";
/// The most entries that are looked at when recipes are searched for.
const MAX_ENTRIES: usize = 200_000;

/// Returns the root of the project that `start`, an existing folder, belongs to: the nearest
/// ancestor (itself included) with a `karat-policy.toml`, else the nearest with a `.git`,
/// else `start`.
///
/// # Errors
/// When `start` cannot be resolved.
pub fn root(start: &Path) -> io::Result<PathBuf> {
    let start = start.canonicalize()?;
    let nearest = |marker: &str| start.ancestors().find(|folder| folder.join(marker).exists());
    Ok(nearest(POLICY_FILE).or_else(|| nearest(".git")).unwrap_or(&start).to_owned())
}

/// Returns the recipes below a folder in byte order: `recipes/**/*.toml` of a project's
/// root, every `*.toml` of a folder that is or lies below such a `recipes/`, and
/// `*.karat.toml` anywhere. Hidden folders, `target` and `node_modules` are not entered,
/// and links are not followed.
///
/// # Errors
/// When a folder cannot be read, or holds more than 200,000 entries.
pub fn recipes(root: &Path, below: &Path) -> io::Result<Vec<PathBuf>> {
    let entered = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        let skipped = entry.file_type().is_dir()
            && (name.starts_with('.') || name == "target" || name == "node_modules");
        entry.depth() == 0 || !skipped
    };
    let recipes = root.join("recipes");
    let mut found = Vec::new();
    for (count, entry) in WalkDir::new(below).into_iter().filter_entry(entered).enumerate() {
        let entry = entry?;
        if count >= MAX_ENTRIES {
            return Err(io::Error::other(format!(
                "`{}` holds more than {MAX_ENTRIES} entries; name the recipes",
                below.display()
            )));
        }
        let name = entry.file_name().to_string_lossy();
        let is_recipe = name.ends_with(".karat.toml")
            || name.ends_with(".toml") && entry.path().starts_with(&recipes);
        if entry.file_type().is_file() && is_recipe {
            found.push(entry.into_path());
        }
    }
    found.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    Ok(found)
}

/// Returns the existing name beside `missing` that is most like it, for messages: a file
/// in the nearest folder above that exists.
pub fn nearest(missing: &Path) -> Option<PathBuf> {
    let folder = missing.ancestors().skip(1).find(|folder| folder.is_dir())?;
    let rest = missing.strip_prefix(folder).ok()?;
    let wanted = rest.components().next()?.as_os_str().to_string_lossy().into_owned();
    let names = folder
        .read_dir()
        .ok()?
        .take(1000)
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<_> = names.collect();
    names.sort();
    crate::strict_toml::suggestion(&wanted, names.iter()).map(|name| folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_policy_file_marks_the_root_before_git_does() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let deep = top.join("a/b/c");
        fs::create_dir_all(&deep).unwrap();
        assert_eq!(root(&deep).unwrap(), deep);
        fs::create_dir(top.join("a/b/.git")).unwrap();
        assert_eq!(root(&deep).unwrap(), top.join("a/b"));
        fs::write(top.join("a").join(POLICY_FILE), "").unwrap();
        assert_eq!(root(&deep).unwrap(), top.join("a"));
    }

    #[test]
    fn recipes_are_found_in_byte_order() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        for file in [
            "recipes/b.toml",
            "recipes/x/a.toml",
            "z.karat.toml",
            "other.toml",
            "target/t.karat.toml",
            ".h/h.karat.toml",
        ] {
            fs::create_dir_all(top.join(file).parent().unwrap()).unwrap();
            fs::write(top.join(file), "").unwrap();
        }
        let found = recipes(top, top).unwrap();
        let names: Vec<_> =
            found.iter().map(|path| path.strip_prefix(top).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["recipes/b.toml", "recipes/x/a.toml", "z.karat.toml"]);
        assert_eq!(recipes(top, &top.join("recipes/x")).unwrap().len(), 1);
    }

    #[test]
    fn a_mistyped_path_has_a_neighbour() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("target/release")).unwrap();
        fs::write(folder.path().join("target/release/hello"), "").unwrap();
        let near = |path: &str| nearest(&folder.path().join(path));
        assert_eq!(near("target/release/helo"), Some(folder.path().join("target/release/hello")));
        assert_eq!(near("target/releas/hello"), Some(folder.path().join("target/release")));
        assert_eq!(near("zzz"), None);
    }
}
