//! What the user that an image runs as may do to its files.

use crate::image::{Entry, Kind, Tree, tree};

/// The user and the group that a container of the image runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunAs {
    /// The user's number.
    pub(super) uid: u64,
    /// The group's number.
    pub(super) gid: u64,
}

impl RunAs {
    /// Says why the user may change an entry; none when it may not. An owner may, whatever
    /// the mode says, for it may change the mode.
    pub(super) fn changes(self, entry: &Entry) -> Option<String> {
        let mode = entry.mode;
        if entry.uid == self.uid {
            Some(format!("it belongs to user {}", self.uid))
        } else if entry.gid == self.gid && mode & 0o020 != 0 {
            Some(format!("group {} may write it (mode {mode:04o})", self.gid))
        } else if mode & 0o002 != 0 {
            Some(format!("everybody may write it (mode {mode:04o})"))
        } else {
            None
        }
    }

    /// Says whether the user may run a program, or enter a folder.
    pub(super) fn enters(self, entry: &Entry) -> bool {
        let class = match () {
            () if entry.uid == self.uid => 0o100,
            () if entry.gid == self.gid => 0o010,
            () => 0o001,
        };
        entry.mode & class != 0 || self.uid == 0
    }

    /// Says why the user may put files in a folder, or make it: the folder itself or, while
    /// it is not there, the nearest one above it decides.
    pub(super) fn fills(self, tree: &Tree<'_>, folder: &[u8]) -> Option<String> {
        let resolved = tree.resolve_parents(folder).ok()?;
        let mut at = tree.resolve(&resolved).unwrap_or(resolved);
        loop {
            if let Some(node) = tree.get(&at) {
                return match node.entry.kind {
                    Kind::Directory => self.changes(node.entry),
                    _ => None,
                };
            }
            if at.is_empty() {
                return None;
            }
            at = tree::split(&at).0.to_vec();
        }
    }
}
