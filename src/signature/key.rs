//! ECDSA keys on the curve P-256 with SHA-256.
//!
//! The algorithm cosign generates keys for by default (`PKIX_ECDSA_P256_SHA_256` in sigstore's
//! algorithm registry). Keys of other algorithms are refused by name.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use p256::{
    ecdsa::{
        Signature, SigningKey, VerifyingKey,
        signature::{
            Signer, Verifier,
            hazmat::{PrehashSigner as _, PrehashVerifier as _},
        },
    },
    pkcs8::{
        DecodePrivateKey, EncodePrivateKey, ObjectIdentifier, PrivateKeyInfoRef,
        der::{
            Decode,
            asn1::AnyRef,
            pem::{self, LineEnding},
        },
        spki::{AlgorithmIdentifier, SubjectPublicKeyInfoRef},
    },
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{encrypted_key, error::Error, key_file::KeyFileKind};

/// Largest key file that is read, in bytes.
pub const MAX_FILE: usize = 64 * 1024;

const ENCRYPTED_LABEL: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";
const EC_PARAMETERS_END: &str = "-----END EC PARAMETERS-----";

/// `SubjectPublicKeyInfo` of RFC 5480 for a P-256 key, up to the 65 bytes of the uncompressed
/// point.
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A private key that signs, wherever it is: in memory, or in a service that keeps it.
pub trait KeyHandle: Send + Sync {
    /// Says whether the same message gives the same signature each time.
    fn is_deterministic(&self) -> bool {
        false
    }

    /// Returns the public key.
    fn public_key(&self) -> &PublicKey;

    /// Signs a message with ECDSA and SHA-256 and returns the DER encoded signature.
    ///
    /// # Errors
    ///
    /// [`Error::SigningFailed`], or [`Error::Service`] of a key that a service keeps.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error>;

    /// Signs the message that has this SHA-256.
    ///
    /// # Errors
    ///
    /// As [`KeyHandle::sign`].
    fn sign_sha256(&self, sha256: &[u8; 32]) -> Result<Vec<u8>, Error>;
}

impl KeyHandle for PrivateKey {
    fn is_deterministic(&self) -> bool {
        true
    }

    fn public_key(&self) -> &PublicKey {
        self.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.sign(message)
    }

    fn sign_sha256(&self, sha256: &[u8; 32]) -> Result<Vec<u8>, Error> {
        self.sign_sha256(sha256)
    }
}

impl KeyHandle for Box<dyn KeyHandle> {
    fn is_deterministic(&self) -> bool {
        (**self).is_deterministic()
    }

    fn public_key(&self) -> &PublicKey {
        (**self).public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        (**self).sign(message)
    }

    fn sign_sha256(&self, sha256: &[u8; 32]) -> Result<Vec<u8>, Error> {
        (**self).sign_sha256(sha256)
    }
}

/// Holds a private signing key.
///
/// The secret is zeroized when the value is dropped, and `Debug` shows the fingerprint of the
/// public key only.
pub struct PrivateKey {
    signing: SigningKey,
    public: PublicKey,
}

impl PrivateKey {
    /// Generates a key from random bytes of the operating system.
    ///
    /// # Errors
    ///
    /// [`Error::Randomness`] if the operating system gives none.
    pub fn generate() -> Result<Self, Error> {
        let mut candidate = Zeroizing::new([0; 32]);
        loop {
            getrandom::fill(&mut *candidate).map_err(|_| Error::Randomness)?;
            // FIPS 186-5 section A.2.2: numbers that are zero or not below the order are drawn
            // again, about one in 2^32.
            if let Ok(signing) = SigningKey::from_slice(&*candidate) {
                return Ok(Self::new(signing));
            }
        }
    }

    /// Reads a private key that is encrypted in cosign's format.
    ///
    /// The text is one PEM block labelled `ENCRYPTED SIGSTORE PRIVATE KEY` or, from older versions,
    /// `ENCRYPTED COSIGN PRIVATE KEY`, of at most [`MAX_FILE`] bytes. It holds PKCS#8 under scrypt
    /// and NaCl `secretbox`; scrypt must have N=65536 or N=32768 with r=8 and p=1. The empty
    /// password is legal. Takes some tenths of a second and 64 MiB of memory by design of the
    /// format.
    ///
    /// # Errors
    ///
    /// [`Error::WrongKeyFormat`] says what another kind of file looks like,
    /// [`Error::RefusedKeyParameters`] which parameter is not accepted, [`Error::WrongPassword`]
    /// that decryption failed, [`Error::UnsupportedKey`] that the content is a key of another
    /// algorithm. [`Error::KeyTooLarge`], [`Error::MalformedKey`], [`Error::Base64`] and the JSON
    /// errors mean a damaged file.
    pub fn from_encrypted_pem(text: &str, password: &[u8]) -> Result<Self, Error> {
        let container = decode_pem(
            text,
            &[KeyFileKind::EncryptedSigstore],
            "an encrypted sigstore private key",
        )?;
        let secret = encrypted_key::open(&container, password)?;
        Self::from_pkcs8_der(&secret)
    }

    /// Reads a private key that is not encrypted.
    ///
    /// The text is one PEM block of at most [`MAX_FILE`] bytes: `PRIVATE KEY` (PKCS#8, RFC 5958) or
    /// `EC PRIVATE KEY` (SEC1, RFC 5915), the latter also after the `EC PARAMETERS` block that
    /// OpenSSL writes. A SEC1 key that names no curve is taken to be on P-256. A public key inside
    /// must belong to the private one.
    ///
    /// # Errors
    ///
    /// [`Error::WrongKeyFormat`], [`Error::UnsupportedKey`], [`Error::KeyTooLarge`] or
    /// [`Error::MalformedKey`], as for [`PrivateKey::from_encrypted_pem`].
    pub fn from_unencrypted_pem(text: &str) -> Result<Self, Error> {
        check_size(text)?;
        let text = text.split_once(EC_PARAMETERS_END).map_or(text, |(_, key)| key);
        let der = decode_pem(
            text,
            &[KeyFileKind::Pkcs8, KeyFileKind::Sec1],
            "an unencrypted PKCS#8 or SEC1 private key",
        )?;
        match KeyFileKind::of(text) {
            KeyFileKind::Pkcs8 => Self::from_pkcs8_der(&der),
            _ => p256::SecretKey::from_sec1_der(&der)
                .map(|secret| Self::new(secret.into()))
                .map_err(|_| Error::MalformedKey("not a SEC1 private key on the curve P-256")),
        }
    }

    /// Encrypts the key under a password, in cosign's format.
    ///
    /// The form is that of cosign v3: PEM label `ENCRYPTED SIGSTORE PRIVATE KEY`, lines of 64
    /// characters, scrypt N=65536 r=8 p=1. The empty password is legal. Salt and nonce are random,
    /// so two calls give two texts.
    ///
    /// # Errors
    ///
    /// [`Error::Randomness`] if the operating system gives no random bytes.
    pub fn to_encrypted_pem(&self, password: &[u8]) -> Result<String, Error> {
        let secret = self
            .signing
            .to_pkcs8_der()
            .map_err(|_| Error::MalformedKey("key cannot be written as PKCS#8"))?;
        let container = encrypted_key::seal(secret.as_bytes(), password)?;
        pem::encode_string(ENCRYPTED_LABEL, LineEnding::LF, &container)
            .map_err(|_| Error::MalformedKey("key cannot be written as PEM"))
    }

    /// Returns the public key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message and returns the DER encoded signature.
    ///
    /// The nonce is derived from key and message (RFC 6979 with SHA-256), so the same message gives
    /// the same bytes, and no weak random source can leak the key.
    ///
    /// # Errors
    ///
    /// [`Error::SigningFailed`] if the primitive fails, which no input is known to cause.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature: Signature =
            self.signing.try_sign(message).map_err(|_| Error::SigningFailed)?;
        Ok(signature.to_der().as_bytes().to_vec())
    }

    /// Signs the message that has this SHA-256, and returns the DER encoded signature: the same
    /// as [`PrivateKey::sign`] gives for the message.
    ///
    /// # Errors
    ///
    /// As [`PrivateKey::sign`].
    pub fn sign_sha256(&self, sha256: &[u8; 32]) -> Result<Vec<u8>, Error> {
        let signature: Signature =
            self.signing.sign_prehash(sha256).map_err(|_| Error::SigningFailed)?;
        Ok(signature.to_der().as_bytes().to_vec())
    }

    fn new(signing: SigningKey) -> Self {
        let public = PublicKey::new(*signing.verifying_key());
        Self { signing, public }
    }

    fn from_pkcs8_der(der: &[u8]) -> Result<Self, Error> {
        const MALFORMED: Error = Error::MalformedKey("not a PKCS#8 private key");
        let info = PrivateKeyInfoRef::from_der(der).map_err(|_| MALFORMED)?;
        require_p256(&info.algorithm)?;
        SigningKey::from_pkcs8_der(der).map(Self::new).map_err(|_| MALFORMED)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// Holds a public key that verifies signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    verifying: VerifyingKey,
    spki: [u8; SPKI_PREFIX.len() + 65],
}

impl PublicKey {
    /// Reads a public key from PEM.
    ///
    /// The text is one block labelled `PUBLIC KEY` of at most [`MAX_FILE`] bytes that holds the
    /// `SubjectPublicKeyInfo` of an ECDSA P-256 key (RFC 5480) with an uncompressed point.
    ///
    /// # Errors
    ///
    /// [`Error::WrongKeyFormat`] for another kind of file, a private key among them;
    /// [`Error::UnsupportedKey`] for another algorithm or curve; [`Error::KeyTooLarge`] or
    /// [`Error::MalformedKey`].
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        let der = decode_pem(text, &[KeyFileKind::Public], "a public key")?;
        let info = SubjectPublicKeyInfoRef::from_der(&der)
            .map_err(|_| Error::MalformedKey("not a SubjectPublicKeyInfo"))?;
        require_p256(&info.algorithm)?;
        let point = info
            .subject_public_key
            .as_bytes()
            .ok_or(Error::MalformedKey("public key is no whole number of bytes"))?;
        let key = VerifyingKey::from_sec1_bytes(point)
            .map(Self::new)
            .map_err(|_| Error::MalformedKey("public key is no point of the curve P-256"))?;
        // Hint and fingerprint are digests of these bytes. A second encoding of the same key, such
        // as a compressed point, would give it a second name, and Go's x509, hence cosign, does not
        // read it.
        if *der != key.spki {
            return Err(Error::MalformedKey(
                "public key is not in the usual uncompressed encoding",
            ));
        }
        Ok(key)
    }

    /// Returns the key as PEM with the label `PUBLIC KEY`, byte for byte what cosign writes to
    /// `cosign.pub`.
    ///
    /// # Errors
    ///
    /// [`Error::MalformedKey`] if the encoder fails, which no key is known to cause.
    pub fn to_pem(&self) -> Result<String, Error> {
        pem::encode_string("PUBLIC KEY", LineEnding::LF, &self.spki)
            .map_err(|_| Error::MalformedKey("key cannot be written as PEM"))
    }

    /// Returns the DER encoded `SubjectPublicKeyInfo` (RFC 5480).
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// Returns the hint that names this key in a bundle: the base64 of the SHA-256 of
    /// [`PublicKey::spki_der`].
    ///
    /// This is cosign's choice; the bundle format leaves the form of a hint open.
    #[must_use]
    pub fn hint(&self) -> String {
        STANDARD.encode(Sha256::digest(self.spki))
    }

    /// Returns the hexadecimal SHA-256 of [`PublicKey::spki_der`], for people and logs.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        Sha256::digest(self.spki).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Verifies a DER encoded signature over a message.
    ///
    /// Signatures with a high S are accepted, as in FIPS 186-5 and in cosign: the signers in Go and
    /// in hardware tokens produce them, and refusing them would refuse every second genuine
    /// signature. The price is that anyone can turn one valid signature into a second one over the
    /// same message, so signature bytes must never serve as an identifier.
    ///
    /// # Errors
    ///
    /// [`Error::MalformedSignature`] if the signature is not strict DER,
    /// [`Error::SignatureMismatch`] if it does not verify.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let signature = Signature::from_der(signature).map_err(|_| Error::MalformedSignature)?;
        self.verifying
            .verify(message, &signature)
            .map_err(|_| Error::SignatureMismatch { fingerprint: self.fingerprint() })
    }

    /// Verifies a DER encoded signature over the message that has this SHA-256. Signatures with
    /// a high S are accepted, as by [`PublicKey::verify`].
    ///
    /// # Errors
    ///
    /// As [`PublicKey::verify`].
    pub fn verify_sha256(&self, sha256: &[u8; 32], signature: &[u8]) -> Result<(), Error> {
        let signature = Signature::from_der(signature).map_err(|_| Error::MalformedSignature)?;
        self.verifying
            .verify_prehash(sha256, &signature)
            .map_err(|_| Error::SignatureMismatch { fingerprint: self.fingerprint() })
    }

    fn new(verifying: VerifyingKey) -> Self {
        let mut spki = [0; SPKI_PREFIX.len() + 65];
        let (prefix, point) = spki.split_at_mut(SPKI_PREFIX.len());
        prefix.copy_from_slice(&SPKI_PREFIX);
        point.copy_from_slice(verifying.to_sec1_point(false).as_bytes());
        Self { verifying, spki }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

fn check_size(text: &str) -> Result<(), Error> {
    if text.len() > MAX_FILE {
        return Err(Error::KeyTooLarge { limit: MAX_FILE });
    }
    Ok(())
}

/// Decodes the one PEM block of a key file, if it is of an accepted kind.
fn decode_pem(
    text: &str,
    accepted: &[KeyFileKind],
    expected: &'static str,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    check_size(text)?;
    let found = KeyFileKind::of(text);
    if !accepted.contains(&found) {
        return Err(Error::WrongKeyFormat { expected, found });
    }
    match pem::decode_vec(text.trim().as_bytes()) {
        Ok((_, der)) => Ok(Zeroizing::new(der)),
        Err(pem::Error::HeaderDisallowed) => Err(Error::MalformedKey(
            "PEM block has headers, as OpenSSL writes them for keys with a password",
        )),
        Err(_) => Err(Error::MalformedKey("not exactly one well-formed PEM block")),
    }
}

/// Refuses an algorithm identifier other than ECDSA on the named curve P-256.
fn require_p256(algorithm: &AlgorithmIdentifier<AnyRef<'_>>) -> Result<(), Error> {
    const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
    const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
    const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
    const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
    const SECP256K1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.10");
    const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
    const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
    const ED448: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.113");

    let found = match algorithm.oid {
        EC => match algorithm.parameters_oid() {
            Ok(P256) => return Ok(()),
            Ok(P384) => "ECDSA P-384",
            Ok(P521) => "ECDSA P-521",
            Ok(SECP256K1) => "ECDSA secp256k1",
            Ok(_) => "ECDSA on another curve",
            Err(_) => "ECDSA without a named curve",
        },
        RSA => "RSA",
        ED25519 => "Ed25519",
        ED448 => "Ed448",
        _ => "of another algorithm",
    };
    Err(Error::UnsupportedKey { found })
}

#[cfg(test)]
mod tests {
    use super::super::test_keys::*;
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    }

    fn from_scalar(hex: &str) -> PrivateKey {
        PrivateKey::new(SigningKey::from_slice(&bytes(hex)).unwrap())
    }

    fn der(r: &str, s: &str) -> Vec<u8> {
        let raw = [bytes(r), bytes(s)].concat();
        let signature = Signature::from_slice(&raw).unwrap();
        signature.to_der().as_bytes().to_vec()
    }

    /// RFC 6979 appendix A.2.5, P-256 with SHA-256.
    #[test]
    fn signs_as_rfc_6979_says() {
        let key = from_scalar("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
        assert_eq!(
            key.public_key().spki_der()[27..],
            bytes(concat!(
                "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6",
                "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
            ))
        );
        for (message, r, s) in [
            (
                "sample",
                "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
                "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
            ),
            (
                "test",
                "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
                "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
            ),
        ] {
            let signature = key.sign(message.as_bytes()).unwrap();
            assert_eq!(signature, der(r, s));
            assert_eq!(key.public_key().verify(message.as_bytes(), &signature), Ok(()));
        }
    }

    #[test]
    fn accepts_both_halves_of_s() {
        let key = PrivateKey::from_unencrypted_pem(PKCS8).unwrap();
        let low = Signature::from_der(&key.sign(b"message").unwrap()).unwrap().normalize_s();
        let (r, s) = low.split_scalars();
        let high = Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap();
        assert_ne!(low, high);
        for signature in [low, high] {
            let signature = signature.to_der();
            assert_eq!(key.public_key().verify(b"message", signature.as_bytes()), Ok(()));
        }
    }

    #[test]
    fn refuses_altered_signatures_messages_and_keys() {
        let key = PrivateKey::from_unencrypted_pem(PKCS8).unwrap();
        let public = key.public_key();
        let good = key.sign(b"message").unwrap();
        let mismatch = Err(Error::SignatureMismatch { fingerprint: public.fingerprint() });

        assert_eq!(public.verify(b"massage", &good), mismatch);
        assert_eq!(public.verify(b"", &good), mismatch);
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                assert!(public.verify(b"message", &bad).is_err(), "byte {at} bit {bit}");
            }
        }
        let trailing = [&good[..], &[0]].concat();
        for malformed in [&[][..], &good[..good.len() - 1], &trailing, &[0; 64]] {
            assert_eq!(public.verify(b"message", malformed), Err(Error::MalformedSignature));
        }
        let zero = [0x30, 0x06, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00];
        assert!(public.verify(b"message", &zero).is_err());
        assert!(PublicKey::from_pem(LEGACY_PUB).unwrap().verify(b"message", &good).is_err());
    }

    #[test]
    fn reads_a_key_of_cosign() {
        let key = PrivateKey::from_encrypted_pem(COSIGN_KEY, COSIGN_PASSWORD).unwrap();
        assert_eq!(key.public_key().to_pem().unwrap(), COSIGN_PUB);
        assert_eq!(key.public_key().hint(), "7hf5sJzQFI4cVNpCwNQ/ozTghp2r3NEi7fhgpulQJYQ=");
        assert_eq!(
            key.public_key().fingerprint(),
            "ee17f9b09cd0148e1c54da42c0d43fa334e0869dabdcd122edf860a6e9502584"
        );
    }

    #[test]
    fn reads_the_older_label_and_cost_and_the_empty_password() {
        let key = PrivateKey::from_encrypted_pem(LEGACY_KEY, b"").unwrap();
        assert_eq!(key.public_key().to_pem().unwrap(), LEGACY_PUB);
        assert!(matches!(
            PrivateKey::from_encrypted_pem(LEGACY_KEY, b"guess"),
            Err(Error::WrongPassword)
        ));
    }

    #[test]
    fn reads_back_what_it_encrypts() {
        let key = PrivateKey::generate().unwrap();
        let text = key.to_encrypted_pem("pässword\0".as_bytes()).unwrap();
        assert_eq!(KeyFileKind::of(&text), KeyFileKind::EncryptedSigstore);
        assert!(text.lines().all(|line| line.len() <= 64));
        let again = PrivateKey::from_encrypted_pem(&text, "pässword\0".as_bytes()).unwrap();
        assert_eq!(again.public_key(), key.public_key());
    }

    #[test]
    fn generates_different_keys() {
        let one = PrivateKey::generate().unwrap();
        let two = PrivateKey::generate().unwrap();
        assert_ne!(one.public_key(), two.public_key());
        let der = one.signing.verifying_key();
        let der = p256::pkcs8::EncodePublicKey::to_public_key_der(der).unwrap();
        assert_eq!(one.public_key().spki_der(), der.as_bytes());
    }

    #[test]
    fn reads_unencrypted_keys() {
        let without_parameters = &SEC1[SEC1.find("-----BEGIN EC PRIVATE").unwrap()..];
        let crlf = PKCS8.replace('\n', "\r\n");
        let padded = format!("\n  {PKCS8}\n\n");
        for text in [PKCS8, SEC1, without_parameters, &crlf, &padded] {
            let key = PrivateKey::from_unencrypted_pem(text).unwrap();
            assert_eq!(key.public_key().to_pem().unwrap(), PUB, "{text}");
        }
    }

    #[test]
    fn names_the_kind_of_a_wrong_file() {
        let huge = "x".repeat(MAX_FILE + 1);
        let expected = "expected an encrypted sigstore private key, found ";
        for (text, found) in [
            (PUB, "a public key"),
            (PKCS8, "an unencrypted PKCS#8 private key"),
            (SEC1, "an unencrypted SEC1 private key"),
            (PKCS8_ENCRYPTED, "a PKCS#8 private key encrypted by OpenSSL"),
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
                "an OpenSSH private key",
            ),
            ("", "an empty file"),
            ("hunter2", "no PEM text"),
        ] {
            let error = PrivateKey::from_encrypted_pem(text, b"").unwrap_err();
            assert_eq!(error.to_string(), format!("{expected}{found}"));
        }
        assert_eq!(
            PrivateKey::from_encrypted_pem(&huge, b"").unwrap_err(),
            Error::KeyTooLarge { limit: MAX_FILE }
        );
        assert!(matches!(
            PrivateKey::from_unencrypted_pem(COSIGN_KEY),
            Err(Error::WrongKeyFormat { found: KeyFileKind::EncryptedSigstore, .. })
        ));
        assert!(matches!(
            PublicKey::from_pem(COSIGN_KEY),
            Err(Error::WrongKeyFormat { found: KeyFileKind::EncryptedSigstore, .. })
        ));
    }

    #[test]
    fn names_the_algorithm_of_an_unsupported_key() {
        for (text, found) in [(PKCS8_ED25519, "Ed25519"), (PKCS8_P384, "ECDSA P-384")] {
            assert_eq!(
                PrivateKey::from_unencrypted_pem(text).unwrap_err(),
                Error::UnsupportedKey { found }
            );
        }
        for (text, found) in [(PUB_ED25519, "Ed25519"), (PUB_P384, "ECDSA P-384")] {
            assert_eq!(PublicKey::from_pem(text).unwrap_err(), Error::UnsupportedKey { found });
        }
    }

    #[test]
    fn refuses_damaged_key_files() {
        assert!(matches!(
            PrivateKey::from_unencrypted_pem(SEC1_ENCRYPTED),
            Err(Error::MalformedKey(reason)) if reason.contains("headers")
        ));
        for text in [
            PKCS8.replace("MIGH", "MIGG"),
            PKCS8.replace("-----END", "----END"),
            format!("{PKCS8}{PKCS8}"),
            PKCS8[..80].to_owned(),
        ] {
            assert!(
                matches!(PrivateKey::from_unencrypted_pem(&text), Err(Error::MalformedKey(_))),
                "{text}"
            );
        }
        for text in
            [PUB_COMPRESSED.to_owned(), PUB.replace("MFkw", "MFkx"), PUB.replace("cQ==", "cg==")]
        {
            assert!(matches!(PublicKey::from_pem(&text), Err(Error::MalformedKey(_))), "{text}");
        }
    }

    #[test]
    fn refuses_a_private_key_with_the_public_key_of_another() {
        let (_, mut document) = pem::decode_vec(PKCS8.as_bytes()).unwrap();
        let other = PrivateKey::generate().unwrap();
        let point = document.len() - 64;
        document[point..].copy_from_slice(&other.public_key().spki_der()[27..]);
        let text = pem::encode_string("PRIVATE KEY", LineEnding::LF, &document).unwrap();
        assert!(matches!(PrivateKey::from_unencrypted_pem(&text), Err(Error::MalformedKey(_))));
    }

    #[test]
    fn secrets_do_not_show() {
        let key = PrivateKey::from_unencrypted_pem(PKCS8).unwrap();
        let shown = format!("{key:?}");
        assert_eq!(
            shown,
            format!("PrivateKey {{ public: PublicKey({}), .. }}", key.public_key().fingerprint())
        );
        let secret = key.signing.to_bytes();
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!shown.contains(&hex[..8]));
    }
}
