//! The formats of the Open Container Initiative: names, digests, descriptors,
//! documents, and the layout that holds them on disk.
//!
//! Takes bytes and plain values, gives typed values or errors. Everything written
//! here is written in one fixed order, so that equal values have equal bytes.
//! Knows nothing of recipes, policies, or how an image comes to be.

pub mod canonical;
pub mod descriptor;
pub mod digest;
pub mod docker;
pub mod document;
pub mod layout;
pub mod legacy;
pub mod path;
pub mod pattern;
pub mod platform;
pub mod purl;
pub mod reference;
pub mod strict_json;

pub use descriptor::{Descriptor, MediaType};
pub use digest::{DiffId, Digest};
pub use path::ImagePath;
pub use pattern::RepositoryPattern;
pub use platform::Platform;
pub use reference::Reference;
