//! A sigstore of one's own: who vouches for certificates, logs and times.

use crate::oci::Digest;
use serde::Serialize;
use std::sync::Arc;

/// A private sigstore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sigstore {
    /// The root of trust that every signature is judged by.
    pub trusted_root: TrustedRootFile,
}

/// A root of trust, as its file has it. A policy's digest covers it by the digest of the bytes.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(into = "Digest")]
pub struct TrustedRootFile(Arc<[u8]>);

impl TrustedRootFile {
    /// Takes the bytes of a file.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// Returns the bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<TrustedRootFile> for Digest {
    fn from(file: TrustedRootFile) -> Self {
        Self::of(&file.0)
    }
}

impl std::fmt::Debug for TrustedRootFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TrustedRootFile").field(&Digest::of(&self.0)).finish()
    }
}
