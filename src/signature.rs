//! Signs in-toto statements with a key and verifies such signatures.
//!
//! The result is a sigstore bundle v0.3 that holds a DSSE envelope, the form `cosign sign --key`
//! and `cosign attest --key` of version 3 write. Keys are cosign's key files. Everything here is
//! computation on bytes: no file, network, clock, environment or terminal is touched, and only key
//! generation and key encryption ask the operating system for random bytes.
//!
//! | file | subject |
//! |---|---|
//! | [`key`] | ECDSA P-256 keys: generate, read, write, sign, verify |
//! | [`key_file`] | tells from the text of a key file what kind of key it is |
//! | [`dsse`] | DSSE envelope and its pre-authentication encoding |
//! | [`bundle`] | sigstore bundle around an envelope, signed with a key |
//! | [`sigstore`] | sigstore bundles of every form, against a root of trust |
//! | [`services`] | which services of a sigstore instance are asked |
//! | [`legacy`] | cosign's form before bundles |
//! | `provider` | the cryptography that the crates of sigstore compute with |
//! | `encrypted_key` | the password container of cosign's private keys |
//! | `json` | one strict pass over foreign JSON before any of it is interpreted |
//! | [`error`] | everything that can go wrong |
//!
//! What a verified bundle does and does not say: the holder of the key signed these very statement
//! bytes. It says nothing about when, nothing about a transparency log, and the subject and the
//! predicate type inside the statement are still the caller's to check.
//!
//! ## Why the types are our own
//!
//! `sigstore-types` 0.15.1 was measured against three needs and serves only as a second opinion in
//! the tests. Reading: it accepts unknown fields, two `publicKey` objects, a certificate beside a
//! key, a message signature beside an envelope and arrays in place of objects, so two readers can
//! see two different bundles in the same bytes. Writing: it always adds an empty `tlogEntries` and
//! `timestampVerificationData`, and its releases break often, while the digest of our bundles must
//! not change with a dependency. Weight: it brings `jiff`, `pem` and `hex`. What a key-signed
//! bundle needs of the format is eight field names.

pub mod bundle;
pub mod dsse;
mod encrypted_key;
pub mod error;
mod json;
pub mod key;
pub mod key_file;
pub mod legacy;
mod message;
mod provider;
pub mod services;
pub mod sigstore;
#[cfg(test)]
mod test_keys;

pub use bundle::{Bundle, VerifiedStatementBytes, sign_statement};
pub use dsse::{Envelope, Verified};
pub use error::Error;
pub use key::{KeyHandle, PrivateKey, PublicKey};
pub use key_file::KeyFileKind;
pub use message::claimed_digest;
pub use services::Services;

/// Whoever signs statements: the holder of a key, or somebody whom a certificate names.
pub trait Signing: Sync {
    /// Signs a statement into a sigstore bundle, which is verified. `sha256` is that of one of the
    /// statement's subjects.
    ///
    /// # Errors
    /// When it cannot be signed.
    fn bundle(&self, statement: &[u8], sha256: &[u8; 32]) -> Result<Vec<u8>, Error>;
}

impl<K: KeyHandle> Signing for K {
    fn bundle(&self, statement: &[u8], _: &[u8; 32]) -> Result<Vec<u8>, Error> {
        Ok(sign_statement(statement, self)?.to_json())
    }
}
