//! The cryptography that the crates of sigstore compute with.
//!
//! Their own choice is a library in C that takes minutes to build. Here it is `ring`, which
//! TLS needs anyway, `sha2`, and for signatures over a digest `p256`, since `ring` hashes
//! what it verifies itself. A signature over the digest of a file by another kind of key, and
//! ML-DSA, are refused as not supported.

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use ring::signature::{self as schemes, UnparsedPublicKey, VerificationAlgorithm};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use sigstore_verify::crypto::provider::{CryptoProvider, HashContext, install_default_provider};
use sigstore_verify::crypto::{Error, Result, SigningScheme};
use sigstore_verify::types::HashAlgorithm;

#[derive(Debug)]
struct Provider;

/// Makes this the provider of the process.
pub(super) fn install() {
    // It fails only where it was done before.
    let _ = install_default_provider(&Provider);
}

struct Hash<H>(H);

impl<H: sha2::Digest + Send> HashContext for Hash<H> {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finalize(self: Box<Self>) -> Vec<u8> {
        self.0.finalize().to_vec()
    }
}

fn unsupported(what: &str) -> Error {
    Error::UnsupportedAlgorithm(format!("{what} is not supported"))
}

fn algorithm(scheme: SigningScheme) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match scheme {
        SigningScheme::EcdsaP256Sha256 => &schemes::ECDSA_P256_SHA256_ASN1,
        SigningScheme::EcdsaP256Sha384 => &schemes::ECDSA_P256_SHA384_ASN1,
        SigningScheme::EcdsaP384Sha256 => &schemes::ECDSA_P384_SHA256_ASN1,
        SigningScheme::EcdsaP384Sha384 => &schemes::ECDSA_P384_SHA384_ASN1,
        SigningScheme::Ed25519 => &schemes::ED25519,
        SigningScheme::RsaPssSha256 => &schemes::RSA_PSS_2048_8192_SHA256,
        SigningScheme::RsaPssSha384 => &schemes::RSA_PSS_2048_8192_SHA384,
        SigningScheme::RsaPssSha512 => &schemes::RSA_PSS_2048_8192_SHA512,
        SigningScheme::RsaPkcs1Sha256 => &schemes::RSA_PKCS1_2048_8192_SHA256,
        SigningScheme::RsaPkcs1Sha384 => &schemes::RSA_PKCS1_2048_8192_SHA384,
        SigningScheme::RsaPkcs1Sha512 => &schemes::RSA_PKCS1_2048_8192_SHA512,
        _ => return None,
    })
}

fn invalid(scheme: SigningScheme) -> Error {
    Error::Verification(format!("{} signature invalid", scheme.name()))
}

impl CryptoProvider for Provider {
    fn hash(&self, algorithm: HashAlgorithm) -> Result<Box<dyn HashContext>> {
        match algorithm {
            HashAlgorithm::Sha2256 => Ok(Box::new(Hash(Sha256::new()))),
            HashAlgorithm::Sha2384 => Ok(Box::new(Hash(Sha384::new()))),
            HashAlgorithm::Sha2512 => Ok(Box::new(Hash(Sha512::new()))),
            other => Err(unsupported(&other.to_string())),
        }
    }

    fn verify_raw(
        &self,
        scheme: SigningScheme,
        key: &[u8],
        data: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        let algorithm = algorithm(scheme).ok_or_else(|| unsupported(scheme.name()))?;
        UnparsedPublicKey::new(algorithm, key).verify(data, signature).map_err(|_| invalid(scheme))
    }

    fn verify_prehashed(
        &self,
        scheme: SigningScheme,
        key: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        if scheme != SigningScheme::EcdsaP256Sha256 {
            let what = format!("a signature over a digest by {}", scheme.name());
            return Err(unsupported(&what));
        }
        let key = VerifyingKey::from_sec1_bytes(key).map_err(|_| invalid(scheme))?;
        let signature = Signature::from_der(signature).map_err(|_| invalid(scheme))?;
        key.verify_prehash(digest, &signature).map_err(|_| invalid(scheme))
    }
}
