//! What an executable's bytes say it is, for the comparison with what a recipe declares.

use super::{Bom, Component, Kind};
use crate::oci::Digest;

/// Returns the names that an executable gives itself: `go:` and its main module, `cargo:` and
/// its root crate, `note:` and the package of its note. In byte order; empty when it says
/// nothing or cannot be read.
pub fn names(bom: &Bom, executable: &Component) -> Vec<String> {
    let parts = executable.contains.iter().filter_map(|id| bom.get(id));
    let mut names: Vec<String> = parts.filter_map(name).collect();
    names.sort();
    names.dedup();
    names
}

/// Returns whether the executable of these bytes calls itself `declared`, such as `cargo:hello`.
pub fn says(bom: &Bom, sha256: &Digest, declared: &str) -> bool {
    bom.executables()
        .filter(|component| component.file.as_ref().is_some_and(|file| file.sha256 == *sha256))
        .any(|component| names(bom, component).iter().any(|name| name == declared))
}

fn name(component: &Component) -> Option<String> {
    let kind = match component.kind {
        Kind::GoMain => "go",
        Kind::CrateRoot => "cargo",
        Kind::NotedPackage => "note",
        _ => return None,
    };
    Some(format!("{kind}:{}", component.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::elf::testing::Writer;
    use crate::bom::file;
    use crate::bom::testing::{auditable, content, go_binary};

    #[test]
    fn the_bytes_decide() {
        let rust = auditable(
            r#"{"packages":[{"name":"hello","version":"1.0.0","source":"local","root":true,"dependencies":[1]},
                {"name":"other","version":"1.0.0","source":"crates.io"}]}"#,
        );
        let note = Writer::executable().note("FDO", 0xcafe_1a7e, br#"{"name":"curl"}"#).finish();
        let go = go_binary("path\ta.org/m/cmd\nmod\ta.org/m\tv1.0.0\t\ndep\ta.org/n\tv1.0.0\n");
        for (bytes, expected) in [
            (rust, vec!["cargo:hello"]),
            (note, vec!["note:curl"]),
            (go, vec!["go:a.org/m"]),
            (Writer::executable().finish(), vec![]),
            (b"\x7fELF".to_vec(), vec![]),
        ] {
            let content = content(&bytes);
            let bom = file(b"app", &content);
            assert_eq!(names(&bom, bom.executables().next().unwrap()), expected);
            for name in ["cargo:hello", "note:curl", "go:a.org/m", "cargo:other", "go:a.org/n", ""]
            {
                assert_eq!(says(&bom, &content.sha256(), name), expected.contains(&name), "{name}");
            }
            assert!(!says(&bom, &Digest::of(b"other bytes"), "cargo:hello"));
        }
    }
}
