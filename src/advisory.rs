//! Known vulnerabilities: what advisories say of the components of a bill of materials.
//!
//! Takes a [`Bom`](crate::bom::Bom) and a [`Database`], gives [`Matched`] vulnerabilities, one
//! for each group of aliases and component, with what says so. Opens no connection. Whether a
//! vulnerability rejects an image is the policy's.

pub mod database;
pub mod import;
mod matching;
pub mod osv;
pub mod scanner;
mod severity;
mod symbols;
mod version;
pub mod vex;

pub use database::{Database, DatabaseError};
pub use matching::{Matched, Outside, Scan, State, scan};
