//! Whether a base has every library that its own programs and libraries ask for.
//!
//! Source: glibc, `elf/dl-load.c`: `DT_RPATH` or `DT_RUNPATH`, then the folders of the system.

use crate::binary::elf::View;
use crate::image::{Kind, Layer, Tree, shown, tree};
use std::collections::BTreeSet;

/// Where the loader looks on Debian, beside the folder of the architecture.
const FOLDERS: [&[u8]; 4] = [b"lib", b"usr/lib", b"lib64", b"usr/lib64"];
/// The most that are named.
const SHOWN: usize = 20;

/// Returns what is missing, each with who asks for it.
pub(super) fn missing(layers: &[Layer], triplet: &str) -> Vec<String> {
    let tree = Tree::of(layers);
    let mut missing = BTreeSet::new();
    let of_system: Vec<Vec<u8>> = FOLDERS
        .iter()
        .flat_map(|folder| [folder.to_vec(), tree::join(folder, triplet.as_bytes())])
        .collect();
    for (path, node) in tree.iter() {
        let Kind::File(content) = &node.entry.kind else { continue };
        let Ok(Some(view)) = View::read(content) else { continue };
        let Some(dynamic) = &view.dynamic else { continue };
        let (folder, _) = tree::split(path);
        let own = [&dynamic.rpath, &dynamic.runpath].into_iter().flatten();
        let own = own.flat_map(|list| list.split(':')).take(64).map(|element| {
            let origin = String::from_utf8_lossy(folder);
            let element =
                element.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", &format!("/{origin}"));
            element.trim_start_matches('/').as_bytes().to_vec()
        });
        let folders: Vec<Vec<u8>> = own.chain(of_system.iter().cloned()).collect();
        for name in &dynamic.needed {
            let is_there =
                |folder: &Vec<u8>| tree.file(&tree::join(folder, name.as_bytes())).is_ok();
            if !folders.iter().any(is_there) {
                missing.insert(format!("`{name}` for `{}`", shown(path)));
            }
        }
    }
    missing.into_iter().take(SHOWN).collect()
}
