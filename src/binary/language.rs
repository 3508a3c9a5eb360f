//! The language a program was written in, by marks of the compilers.
//!
//! Takes: a source and its view. Gives: a [`Language`]. Must not: be used for anything but switching off advice that
//! does not apply, since marks can be forged.

use super::{ReadAt, elf::View, go, rust};
use std::io;

/// A language whose programs are hardened in their own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Go: build information or a function table is there.
    Go,
    /// Rust: see [`rust::is_rust`].
    Rust,
    /// C, C++ and everything else.
    Other,
}

/// Returns the language by the marks in the file, Go before Rust.
///
/// Reads up to 768 MiB of a large file without marks, in chunks.
///
/// # Errors
/// Failures of the medium.
pub fn language(view: &View, source: &dyn ReadAt) -> io::Result<Language> {
    Ok(if go::has_build_info(source, view)? || go::has_function_table(source, view)? {
        Language::Go
    } else if rust::is_rust(source, view)? {
        Language::Rust
    } else {
        Language::Other
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::elf::testing::Writer;

    #[test]
    fn marks_decide() {
        let of = |writer: Writer| {
            let file = writer.finish();
            language(&View::read(&file).unwrap().unwrap(), &file).unwrap()
        };
        assert_eq!(of(Writer::executable()), Language::Other);
        assert_eq!(of(Writer::executable().loose(b"rust_eh_personality")), Language::Rust);
        assert_eq!(
            of(Writer::executable().section(".go.buildinfo", b"\xff Go buildinf:\x08\x02")),
            Language::Go
        );
        // Both marks: a Go program that links a Rust library.
        let both = Writer::executable()
            .section(".go.buildinfo", b"\xff Go buildinf:")
            .loose(b"rust_eh_personality");
        assert_eq!(of(both), Language::Go);
    }

    #[test]
    fn test_executable_is_rust() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(language(&View::read(&file).unwrap().unwrap(), &file).unwrap(), Language::Rust);
    }
}
