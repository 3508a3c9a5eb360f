//! Which bytes a bundle is about, before anybody has verified it.

use super::bundle::MAX_SIZE;
use super::error::Error;
use super::json::{self, Limits};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

const LIMITS: Limits = Limits { what: "bundle", bytes: MAX_SIZE, depth: 32, values: 20_000 };

/// The part of a bundle that is asked for (sigstore/protobuf-specs, `sigstore_bundle.proto`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    message_signature: Option<MessageSignature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageSignature {
    message_digest: MessageDigest,
}

#[derive(Deserialize)]
struct MessageDigest {
    digest: String,
}

/// Returns the SHA-256 that a bundle over the bytes of a file says they have; none of a bundle over
/// something else. Nothing is verified.
///
/// # Errors
/// When it is no unambiguous JSON within the limits of bundles.
pub fn claimed_digest(bundle: &[u8]) -> Result<Option<[u8; 32]>, Error> {
    json::check(bundle, LIMITS)?;
    let bundle: Bundle = json::object(bundle, LIMITS.what)?;
    let digest = bundle.message_signature.map(|message| message.message_digest.digest);
    let digest = digest.and_then(|digest| STANDARD.decode(digest).ok());
    Ok(digest.and_then(|digest| digest.try_into().ok()))
}

#[cfg(test)]
mod tests {
    use super::super::{PrivateKey, bundle};
    use super::*;

    #[test]
    fn what_is_signed_is_what_is_claimed() {
        let key = PrivateKey::generate().unwrap();
        let made = bundle::sign_artifact(&[7; 32], &key).unwrap();
        assert_eq!(claimed_digest(&made).unwrap(), Some([7; 32]));
        assert_eq!(claimed_digest(b"{}").unwrap(), None);
        let other = br#"{"messageSignature":{"messageDigest":{"digest":"AAAA"}}}"#;
        assert_eq!(claimed_digest(other).unwrap(), None);
        for broken in [&b"["[..], b"[]", b"", br#"{"messageSignature":[]}"#] {
            assert!(claimed_digest(broken).is_err(), "{}", String::from_utf8_lossy(broken));
        }
    }
}
