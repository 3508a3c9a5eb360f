//! karat assembles golden container images: distroless, from static binaries and a
//! pinned base layer, without a daemon, without root and without a Dockerfile.
//!
//! The modules are the line that an image travels, in order; below the line lie
//! foundations that know nothing of it. `pipeline` is the only one that calls several
//! stations. The library never prints and never reads the environment, the clock or the
//! terminal: the binary reads them once and hands values over.
#![forbid(unsafe_code)]

// The line.
pub mod assemble;
pub mod attest;
pub mod base;
pub mod bom;
pub mod inspect;
pub mod pipeline;
pub mod policy;
pub mod publish;
pub mod recipe;
pub mod sign;
pub mod verify;

// Foundations.
pub mod archive;
pub mod binary;
pub mod finding;
pub mod image;
pub mod oci;
pub mod settings;
pub mod signature;
pub mod store;
pub mod time;
