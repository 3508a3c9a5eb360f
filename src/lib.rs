//! karat assembles golden container images: distroless, from static binaries and a
//! pinned base layer, without a daemon, without root and without a Dockerfile.
//!
//! The modules are the line that an image travels, in order; below the line lie
//! foundations that know nothing of it. [`pipeline`] is the only one that calls several
//! stations. The library never prints and never reads the environment, the clock or the
//! terminal: the binary reads them once and hands values over.
#![forbid(unsafe_code)]

// The line, in the order of travel. Blank lines keep the order from being sorted away.
pub mod recipe;

pub mod base;

pub mod assemble;

pub mod inspect;

pub mod bom;

pub mod policy;

pub mod attest;

pub mod sign;

pub mod publish;

pub mod verify;

pub mod pipeline;

// Foundations: values and formats, lowest first.
pub mod oci;

pub mod finding;

pub mod time;

pub mod strict_toml;

pub mod waiver;

pub mod approval;

pub mod settings;

pub mod site;

pub mod binary;

pub mod advisory;
pub mod archive;

pub mod signature;

pub mod store;

pub mod http;

pub mod keyless;

pub mod image;

pub mod registry;

pub mod trust;
