//! What the Go linker leaves in every executable: module list and function names.
//!
//! Purpose: to give dependencies with versions, and the packages and functions that are really linked.
//! Takes: a source and its [`View`](super::elf::View). Gives: [`BuildInfo`] and function names.
//! Must not: hold more than 16 MiB of module list, or trust a length or an offset.
//! Sources: Go `debug/buildinfo`, `runtime/debug/mod.go`, `debug/gosym/pclntab.go`, `internal/abi/symtab.go`.

mod build_info;
mod function_table;
mod modules;
mod names;

pub use build_info::has_build_info;
pub use function_table::{has_function_table, visit_functions};
pub use modules::{BuildInfo, Module};
pub use names::{Function, function, package_of};

/// Why Go data that is there cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The medium failed.
    #[error("cannot read the Go data: {0}")]
    Io(#[from] std::io::Error),
    /// The data contradicts itself.
    #[error("malformed Go data: {0}")]
    Malformed(&'static str),
    /// The data is larger than any real program's.
    #[error("Go {what} is larger than {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit, in bytes or entries.
        limit: u64,
    },
}

#[cfg(test)]
mod tests;
