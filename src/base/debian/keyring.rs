//! Public keys, and whether one of them has signed a text (RFC 9580).
//!
//! Takes key packets and clear-signed documents, gives who signed. Only this file knows the
//! OpenPGP crate; why it is that one: docs/adr/0009-openpgp.md. A key counts when its own
//! signatures say that it may sign, it is neither revoked nor expired, and a subkey and its
//! primary key have signed each other.

use super::clear_sign::ClearSigned;
use crate::time::Moment;
use pgp::composed::{Deserializable as _, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails, Tag, VerifyingKey};

/// The longest keyring, in bytes.
pub const MAX: usize = 1 << 20;
/// The most keys of a keyring, and of one key the most signatures and subkeys that are looked at.
const KEYS: usize = 200;
const PARTS: usize = 200;
/// The most signatures of one document.
const SIGNATURES: usize = 16;
/// How far the clock of who signs may be ahead of ours, in seconds.
pub const AHEAD: u64 = 24 * 3600;

/// Keys that may sign.
#[derive(Debug, Clone)]
pub struct Keyring {
    keys: Vec<SignedPublicKey>,
}

/// Why there is no keyring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum KeyringError {
    #[error("it is longer than {MAX} bytes")]
    Long,
    #[error("it is no OpenPGP keyring: {0}")]
    Broken(String),
    #[error("it holds no key")]
    Empty,
    #[error("it holds more than {KEYS} keys")]
    Many,
}

/// Why nobody has signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum NotSigned {
    #[error("the signatures cannot be read: {0}")]
    Broken(String),
    #[error("none of its signatures is good: {}", .0.join("; "))]
    None(Vec<String>),
}

impl Keyring {
    /// Reads a keyring, armoured or not.
    ///
    /// # Errors
    /// When it is none, or has none or too many keys.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyringError> {
        if bytes.len() > MAX {
            return Err(KeyringError::Long);
        }
        let broken = |error: pgp::errors::Error| KeyringError::Broken(first_line(&error));
        let (parsed, _) = SignedPublicKey::from_reader_many(bytes).map_err(broken)?;
        let mut keys = Vec::new();
        for key in parsed {
            if keys.len() == KEYS {
                return Err(KeyringError::Many);
            }
            keys.push(key.map_err(broken)?);
        }
        match keys.is_empty() {
            true => Err(KeyringError::Empty),
            false => Ok(Self { keys }),
        }
    }

    /// Returns the fingerprints of the primary keys, in hexadecimal digits.
    pub fn fingerprints(&self) -> Vec<String> {
        self.keys.iter().map(fingerprint).collect()
    }

    /// Returns the fingerprints of the primary keys whose good signatures a document has.
    ///
    /// # Errors
    /// When it has none, with what is wrong with each.
    pub fn signers(&self, document: &ClearSigned, now: Moment) -> Result<Vec<String>, NotSigned> {
        let broken = |error: pgp::errors::Error| NotSigned::Broken(first_line(&error));
        let armor = document.armor.as_bytes();
        let (parsed, _) = DetachedSignature::from_armor_many(armor).map_err(broken)?;
        let signed = document.signed_bytes();
        let (mut signers, mut faults) = (Vec::new(), Vec::new());
        for signature in parsed.take(SIGNATURES) {
            let signature = signature.map_err(broken)?.signature;
            match self.signer(&signature, &signed, now) {
                Ok(fingerprint) => signers.push(fingerprint),
                Err(fault) => faults.push(fault),
            }
        }
        signers.sort();
        signers.dedup();
        match signers.is_empty() {
            false => Ok(signers),
            true if faults.is_empty() => Err(NotSigned::Broken("there are none".to_owned())),
            true => Err(NotSigned::None(faults)),
        }
    }

    fn signer(&self, signature: &Signature, signed: &[u8], now: Moment) -> Result<String, String> {
        let issuers = signature.issuer_fingerprint();
        let ids = signature.issuer_key_id();
        let is_by = |key: &dyn KeyDetails| {
            let (fingerprint, id) = (key.fingerprint(), key.legacy_key_id());
            issuers.iter().any(|one| **one == fingerprint) || ids.iter().any(|one| **one == id)
        };
        let shown = issuers.first().map(|one| format!("{one:?}").to_uppercase());
        let shown = shown.or_else(|| ids.first().map(|id| format!("{id:?}").to_uppercase()));
        let shown = digits(&shown.unwrap_or_default());
        let mut why = "its key is not in the keyring".to_owned();
        for primary in &self.keys {
            let own = is_by(&primary.primary_key).then_some(None);
            let subkeys = primary.public_subkeys.iter().take(PARTS);
            let subkeys = subkeys.filter(|subkey| is_by(&subkey.key)).map(Some);
            for candidate in own.into_iter().chain(subkeys) {
                let good = match candidate {
                    None => good(signature, &primary.primary_key, signed, now)
                        .and_then(|()| may_sign(primary, None, now)),
                    Some(subkey) => good(signature, &subkey.key, signed, now)
                        .and_then(|()| may_sign(primary, Some(subkey), now)),
                };
                match good {
                    Ok(()) => return Ok(fingerprint(primary)),
                    Err(fault) => why = fault,
                }
            }
        }
        Err(format!("of key {shown}: {why}"))
    }
}

/// Says whether a signature over data is good, whoever the key belongs to.
fn good(
    signature: &Signature,
    key: &impl VerifyingKey,
    signed: &[u8],
    now: Moment,
) -> Result<(), String> {
    if !matches!(signature.typ(), Some(SignatureType::Text | SignatureType::Binary)) {
        return Err("it is no signature over a document".to_owned());
    }
    is_strong(signature, key)?;
    let created = signature.created().ok_or("it does not say when it was made")?;
    if u64::from(created.as_secs()) > now.seconds() + AHEAD {
        return Err("it was made in the future; is the clock right?".to_owned());
    }
    let lasts = signature.signature_expiration_time().map_or(0, |lasts| lasts.as_secs());
    if lasts > 0 && u64::from(created.as_secs()) + u64::from(lasts) < now.seconds() {
        return Err("it has expired".to_owned());
    }
    signature.verify(key, signed).map_err(|_| "the text is not what was signed".to_owned())
}

/// Refuses what today's practice does not trust any more, and algorithms that no archive uses.
fn is_strong(signature: &Signature, key: &dyn KeyDetails) -> Result<(), String> {
    let strong = [HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512];
    if !signature.hash_alg().is_some_and(|hash| strong.contains(&hash)) {
        return Err("its hash is not trusted".to_owned());
    }
    let known = [
        PublicKeyAlgorithm::RSA,
        PublicKeyAlgorithm::RSASign,
        PublicKeyAlgorithm::ECDSA,
        PublicKeyAlgorithm::EdDSALegacy,
        PublicKeyAlgorithm::Ed25519,
    ];
    let algorithm = signature.config().map(|config| config.pub_alg);
    match algorithm == Some(key.algorithm()) && known.contains(&key.algorithm()) {
        true => Ok(()),
        false => Err("its algorithm is not trusted".to_owned()),
    }
}

/// Says whether a key, or a subkey of it, may sign now.
fn may_sign(
    key: &SignedPublicKey,
    subkey: Option<&SignedPublicSubKey>,
    now: Moment,
) -> Result<(), String> {
    let primary = &key.primary_key;
    let revocations = key.details.revocation_signatures.iter().take(PARTS);
    if revocations.into_iter().any(|one| one.verify_key(primary).is_ok()) {
        return Err("its key is revoked".to_owned());
    }
    let own = own_signature(key).ok_or("its key says nothing of itself that can be believed")?;
    is_in_time(own, primary, now)?;
    let Some(subkey) = subkey else {
        return match own.key_flags().sign() {
            true => Ok(()),
            false => Err("its key is not for signing".to_owned()),
        };
    };
    let signatures = || subkey.signatures.iter().take(PARTS);
    let holds = |one: &&Signature| {
        is_strong(one, primary).is_ok() && one.verify_subkey_binding(primary, &subkey.key).is_ok()
    };
    let revoked = |one: &Signature| {
        one.typ() == Some(SignatureType::SubkeyRevocation)
            && one.verify_subkey_binding(primary, &subkey.key).is_ok()
    };
    if signatures().any(revoked) {
        return Err("its subkey is revoked".to_owned());
    }
    let bindings = signatures().filter(|one| one.typ() == Some(SignatureType::SubkeyBinding));
    let binding = newest(bindings.filter(holds)).ok_or("its subkey is not bound to its key")?;
    is_in_time(binding, &subkey.key, now)?;
    if !binding.key_flags().sign() {
        return Err("its subkey is not for signing".to_owned());
    }
    let back = binding.embedded_signature().ok_or("its subkey has not signed its key")?;
    is_strong(back, &subkey.key)?;
    back.verify_primary_key_binding(&subkey.key, primary)
        .map_err(|_| "its subkey has not signed its key".to_owned())
}

/// Returns the newest signature by which a key says what it is for.
fn own_signature(key: &SignedPublicKey) -> Option<&Signature> {
    let primary = &key.primary_key;
    let strong = |one: &&Signature| is_strong(one, primary).is_ok();
    let direct = key.details.direct_signatures.iter().take(PARTS);
    let direct = direct.filter(strong).filter(|one| one.verify_key(primary).is_ok());
    let users = key.details.users.iter().take(PARTS).flat_map(|user| {
        let is_own = |one: &&Signature| {
            one.typ() != Some(SignatureType::CertRevocation)
                && one.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        };
        user.signatures.iter().take(PARTS).filter(strong).filter(is_own)
    });
    newest(direct.chain(users))
}

fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<&'a Signature> {
    signatures.max_by_key(|one| one.created().map_or(0, |created| created.as_secs()))
}

fn is_in_time(own: &Signature, key: &dyn KeyDetails, now: Moment) -> Result<(), String> {
    let created = u64::from(key.created_at().as_secs());
    let lasts = own.key_expiration_time().map_or(0, |lasts| u64::from(lasts.as_secs()));
    if created > now.seconds() + AHEAD {
        return Err("its key was made in the future; is the clock right?".to_owned());
    }
    match lasts > 0 && created + lasts < now.seconds() {
        true => Err("its key has expired".to_owned()),
        false => Ok(()),
    }
}

fn fingerprint(key: &SignedPublicKey) -> String {
    digits(&key.fingerprint().to_string().to_uppercase())
}

/// Keeps the hexadecimal digits at the end of a text.
fn digits(text: &str) -> String {
    let end = text.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
    let start = end.rfind(|c: char| !c.is_ascii_hexdigit()).map_or(0, |at| at + 1);
    end[start..].to_owned()
}

fn first_line(error: &pgp::errors::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().chars().take(120).collect()
}

#[cfg(test)]
pub(crate) mod testing {
    use pgp::composed::{
        ArmorOptions, CleartextSignedMessage, KeyType, SecretKeyParamsBuilder, SignedSecretKey,
        SubkeyParamsBuilder,
    };
    use pgp::types::Password;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    /// A key pair that signs.
    pub(crate) struct Signer(SignedSecretKey);

    impl Signer {
        /// Makes a key whose primary key signs, or which has a subkey for that.
        pub(crate) fn new(seed: u64, subkey: bool) -> Self {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut params = SecretKeyParamsBuilder::default();
            params
                .key_type(KeyType::Ed25519Legacy)
                .can_certify(true)
                .can_sign(!subkey)
                .primary_user_id("test".into());
            if subkey {
                let mut sub = SubkeyParamsBuilder::default();
                sub.key_type(KeyType::Ed25519Legacy).can_sign(true);
                params.subkey(sub.build().unwrap());
            }
            Self(params.build().unwrap().generate(&mut rng).unwrap())
        }

        pub(crate) fn public(&self) -> Vec<u8> {
            self.0.to_public_key().to_armored_bytes(ArmorOptions::default()).unwrap()
        }

        /// Signs a text.
        pub(crate) fn sign(&self, text: &str) -> String {
            let rng = StdRng::seed_from_u64(7);
            let password = Password::empty();
            let message = match self.0.secret_subkeys.first() {
                Some(subkey) => CleartextSignedMessage::sign(rng, text, &subkey.key, &password),
                None => CleartextSignedMessage::sign(rng, text, &self.0.primary_key, &password),
            };
            message.unwrap().to_armored_string(ArmorOptions::default()).unwrap()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Signer;
    use super::*;
    use crate::time::Now;
    use std::time::SystemTime;

    fn now() -> Moment {
        Now::new(SystemTime::now()).into()
    }

    const TEXT: &str = "Origin: Test\n- dash\nblank\n\nlast";

    #[test]
    fn keys_and_subkeys_sign() {
        for subkey in [false, true] {
            let signer = Signer::new(1, subkey);
            let keyring = Keyring::parse(&signer.public()).unwrap();
            let document = ClearSigned::parse(signer.sign(TEXT).as_bytes()).unwrap();
            let signers = keyring.signers(&document, now()).unwrap();
            assert_eq!(signers, keyring.fingerprints());
            assert_eq!(signers[0].len(), 40);
        }
    }

    #[test]
    fn other_keys_and_other_texts_are_refused() {
        let (signer, other) = (Signer::new(1, true), Signer::new(2, true));
        let document = ClearSigned::parse(signer.sign(TEXT).as_bytes()).unwrap();
        let why = |keyring: &Signer, document: &ClearSigned, now| {
            let keyring = Keyring::parse(&keyring.public()).unwrap();
            keyring.signers(document, now).unwrap_err().to_string()
        };
        assert!(why(&other, &document, now()).contains("not in the keyring"));
        let changed =
            ClearSigned { text: document.text.replace("Test", "Evil"), ..document.clone() };
        assert!(why(&signer, &changed, now()).contains("not what was signed"));
        let past = "2020-01-01T00:00:00Z".parse().unwrap();
        assert!(why(&signer, &document, past).contains("future"));
        let none = ClearSigned {
            armor: "-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n".to_owned(),
            ..document.clone()
        };
        assert!(matches!(
            Keyring::parse(&signer.public()).unwrap().signers(&none, now()),
            Err(NotSigned::Broken(_))
        ));
        // The key of the subkey's signature must be a key that may sign.
        let certifies = Signer::new(3, true);
        let public = Keyring::parse(&certifies.public()).unwrap();
        assert!(may_sign(&public.keys[0], None, now()).unwrap_err().contains("not for signing"));
        assert!(may_sign(&public.keys[0], Some(&public.keys[0].public_subkeys[0]), now()).is_ok());
        let mut grafted = public.keys[0].clone();
        let foreign = Keyring::parse(&other.public()).unwrap().keys[0].public_subkeys[0].clone();
        grafted.public_subkeys = vec![foreign.clone()];
        assert!(may_sign(&grafted, Some(&foreign), now()).unwrap_err().contains("not bound"));
    }

    #[test]
    fn broken_keyrings_are_refused() {
        let public = Signer::new(1, true).public();
        assert!(Keyring::parse(b"").is_err());
        assert!(Keyring::parse(b"<html></html>").is_err());
        assert!(Keyring::parse(&vec![0; MAX + 1]).is_err());
        for cut in (0..public.len() - 40).step_by(37) {
            assert!(Keyring::parse(&public[..cut]).is_err(), "{cut}");
        }
    }
}
