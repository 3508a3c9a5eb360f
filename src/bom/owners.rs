//! Which package each file of an image belongs to, by the lists that package managers keep.
//!
//! Sources: dpkg, `info/NAME.list` and `info/NAME.md5sums`; distroless, `status.d/NAME.md5sums`;
//! Alpine, "APKINDEX format", `F` and `R` of the installed database.

use super::Id;
use crate::image::Tree;
use std::collections::BTreeMap;

/// The most files that packages of one image own.
const FILES: usize = 1_000_000;

/// The files that packages own, by their paths in the tree.
#[derive(Debug, Default)]
pub(super) struct Owners {
    of: BTreeMap<Vec<u8>, Id>,
    /// Whether there are more files than are kept.
    pub(super) truncated: bool,
}

impl Owners {
    /// Says that a package owns a file, at an absolute or relative path. Folders, and what is
    /// not in the tree, belong to nobody.
    pub(super) fn add(&mut self, tree: &Tree<'_>, path: &[u8], package: &Id) {
        let path = path.strip_prefix(b"/").unwrap_or(path);
        let path = path.strip_prefix(b"./").unwrap_or(path);
        // Lists name paths as they were before `/bin` became a link.
        let Ok(path) = tree.resolve_parents(path) else { return };
        if tree.get(&path).is_none_or(|node| node.entry.content().is_none()) {
            return;
        }
        if self.of.len() < FILES {
            self.of.insert(path, package.clone());
        } else {
            self.truncated = true;
        }
    }

    /// Adds the lines of a list: absolute paths, or checksums and relative paths.
    pub(super) fn add_list(&mut self, tree: &Tree<'_>, list: &[u8], package: &Id) {
        for line in list.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
            let path = match line.first() {
                Some(b'/') => line,
                // `md5sum` writes two characters between them.
                Some(_) => match line.get(32..) {
                    Some(rest) if rest.starts_with(b"  ") => rest.trim_ascii_start(),
                    _ => continue,
                },
                None => continue,
            };
            self.add(tree, path, package);
        }
    }

    /// Returns the package of a file.
    pub(super) fn of(&self, path: &[u8]) -> Option<&Id> {
        self.of.get(path)
    }

    /// Tells whether nothing is known of any file.
    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }
}
