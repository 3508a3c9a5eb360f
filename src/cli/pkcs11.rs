//! Keys in tokens that speak PKCS #11: `pkcs11:…`, where this build has the feature of that name.

#[cfg(feature = "pkcs11")]
mod token;
mod uri;

use super::failure::Failure;
use karat::signature::KeyHandle;
use std::path::Path;

#[cfg(all(feature = "pkcs11", target_feature = "crt-static"))]
compile_error!(
    "a static program loads no library of a token: build with RUSTFLAGS=\"-C target-feature=-crt-static\""
);

/// Returns the address of a key in a token; none of another key.
pub(super) fn address(key: &Path) -> Option<&str> {
    key.to_str()?.strip_prefix("pkcs11:")
}

/// Finds the key of an address, logging in where the token asks for it.
pub(super) fn find(address: &str) -> Result<Box<dyn KeyHandle>, Failure> {
    let uri = uri::Uri::parse(address)
        .map_err(|error| Failure::usage(format!("the address of the key is wrong: {error}")))?;
    open(uri)
}

#[cfg(feature = "pkcs11")]
fn open(uri: uri::Uri) -> Result<Box<dyn KeyHandle>, Failure> {
    Ok(Box::new(token::TokenKey::find(&uri)?))
}

#[cfg(not(feature = "pkcs11"))]
fn open(_: uri::Uri) -> Result<Box<dyn KeyHandle>, Failure> {
    Err(Failure::usage("this build of karat reaches no keys in tokens").hint(
        "RUSTFLAGS=\"-C target-feature=-crt-static\" cargo build --release --features pkcs11; or a plugin, `sigstore-kms-NAME`",
    ))
}
