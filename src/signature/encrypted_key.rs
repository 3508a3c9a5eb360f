//! Password container of cosign's private keys.
//!
//! A JSON object with the parameters of scrypt (RFC 7914) and of NaCl's `secretbox`
//! (XSalsa20-Poly1305) around any secret bytes, as `go-securesystemslib/encrypted` writes it:
//!
//! ```json
//! {"kdf":{"name":"scrypt","params":{"N":65536,"r":8,"p":1},"salt":"<32 bytes>"},
//!  "cipher":{"name":"nacl/secretbox","nonce":"<24 bytes>"},"ciphertext":"<16 bytes of tag, then the content>"}
//! ```
//!
//! The parameters come from the file, so an attacker who can replace the file could ask for any
//! amount of memory and time. Only the settings that cosign writes now and wrote before are
//! accepted.

use base64::{Engine, engine::general_purpose::STANDARD};
use crypto_secretbox::{AeadInPlace, KeyInit, XSalsa20Poly1305};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    error::{Error, quoted},
    json::{self, Limits, Object},
};

const LIMITS: Limits =
    Limits { what: "encrypted key", bytes: super::key::MAX_FILE, depth: 3, values: 16 };

const KDF: &str = "scrypt";
const CIPHER: &str = "nacl/secretbox";
const SALT_SIZE: usize = 32;
const NONCE_SIZE: usize = 24;
const TAG_SIZE: usize = 16;
/// A P-256 key in PKCS#8 takes 138 bytes; a container far beyond that holds something else.
const MAX_CIPHERTEXT: usize = 16 * 1024;

/// What cosign v3 writes (64 MiB of memory), and what new containers get.
const STANDARD_COST: Cost = Cost { n: 65536, r: 8, p: 1 };
/// What older cosign and `sigstore-rs` write (32 MiB of memory).
const LEGACY_COST: Cost = Cost { n: 32768, r: 8, p: 1 };

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Container {
    kdf: Object<Kdf>,
    cipher: Object<Cipher>,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf {
    name: String,
    params: Object<Cost>,
    salt: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cost {
    #[serde(rename = "N")]
    n: u32,
    r: u32,
    p: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cipher {
    name: String,
    nonce: String,
}

/// Encrypts a secret under a password and fresh random salt and nonce, as compact JSON.
pub(super) fn seal(secret: &[u8], password: &[u8]) -> Result<Vec<u8>, Error> {
    let mut salt = [0; SALT_SIZE];
    let mut nonce = [0; NONCE_SIZE];
    getrandom::fill(&mut salt).map_err(|_| Error::Randomness)?;
    getrandom::fill(&mut nonce).map_err(|_| Error::Randomness)?;

    let cipher = derive(password, &salt, STANDARD_COST)?;
    // Reserved in advance: growing a vector would leave an unzeroized copy of the secret behind.
    let mut content = Zeroizing::new(Vec::with_capacity(secret.len() + TAG_SIZE));
    content.extend_from_slice(secret);
    cipher
        .encrypt_in_place(&nonce.into(), b"", &mut *content)
        .map_err(|_| Error::MalformedKey("secret cannot be encrypted"))?;

    let container = Container {
        kdf: Object(Kdf {
            name: KDF.to_owned(),
            params: Object(STANDARD_COST),
            salt: STANDARD.encode(salt),
        }),
        cipher: Object(Cipher { name: CIPHER.to_owned(), nonce: STANDARD.encode(nonce) }),
        ciphertext: STANDARD.encode(&*content),
    };
    serde_json::to_vec(&container).map_err(|error| json::invalid(LIMITS.what, &error))
}

/// Decrypts a container.
///
/// Every parameter is checked before the password is used. A wrong password and an altered
/// container cannot be told apart, since the cipher authenticates with the password.
pub(super) fn open(container: &[u8], password: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    json::check(container, LIMITS)?;
    let Container { kdf: Object(kdf), cipher: Object(cipher), ciphertext } =
        json::object(container, LIMITS.what)?;

    if kdf.name != KDF {
        return refuse(format!("key derivation \"{}\", expected \"{KDF}\"", quoted(&kdf.name)));
    }
    if cipher.name != CIPHER {
        return refuse(format!("cipher \"{}\", expected \"{CIPHER}\"", quoted(&cipher.name)));
    }
    let cost = kdf.params.0;
    if cost != STANDARD_COST && cost != LEGACY_COST {
        return refuse(format!(
            "scrypt N={} r={} p={}, expected N=65536 or N=32768 with r=8 p=1",
            cost.n, cost.r, cost.p
        ));
    }
    let salt: [u8; SALT_SIZE] = sized("kdf.salt", &kdf.salt)?;
    let nonce: [u8; NONCE_SIZE] = sized("cipher.nonce", &cipher.nonce)?;
    let mut content = Zeroizing::new(decode("ciphertext", &ciphertext)?);
    if content.len() <= TAG_SIZE || content.len() > MAX_CIPHERTEXT {
        return refuse(format!("ciphertext of {} bytes", content.len()));
    }

    derive(password, &salt, cost)?
        .decrypt_in_place(&nonce.into(), b"", &mut *content)
        .map_err(|_| Error::WrongPassword)?;
    Ok(content)
}

/// Derives the cipher key from a password.
///
/// The working memory of scrypt is freed without being zeroized: the `scrypt` crate does not offer
/// it.
fn derive(password: &[u8], salt: &[u8], cost: Cost) -> Result<XSalsa20Poly1305, Error> {
    let refused = |_| Error::RefusedKeyParameters("scrypt rejects its parameters".to_owned());
    // The allow-list holds powers of two only, whose logarithm is their number of trailing zeros.
    let log_n = u8::try_from(cost.n.trailing_zeros()).unwrap_or(u8::MAX);
    let params = scrypt::Params::new(log_n, cost.r, cost.p).map_err(refused)?;
    let mut key = Zeroizing::new(crypto_secretbox::Key::default());
    scrypt::scrypt(password, salt, &params, &mut key)
        .map_err(|_| Error::RefusedKeyParameters("scrypt rejects its output size".to_owned()))?;
    Ok(XSalsa20Poly1305::new(&key))
}

fn decode(field: &'static str, text: &str) -> Result<Vec<u8>, Error> {
    STANDARD.decode(text).map_err(|_| Error::Base64 { field })
}

fn sized<const N: usize>(field: &'static str, text: &str) -> Result<[u8; N], Error> {
    decode(field, text)?.try_into().map_err(|bytes: Vec<u8>| {
        Error::RefusedKeyParameters(format!("{field} of {} bytes, expected {N}", bytes.len()))
    })
}

fn refuse<T>(reason: String) -> Result<T, Error> {
    Err(Error::RefusedKeyParameters(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const NONCE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn container() -> serde_json::Value {
        serde_json::json!({
            "kdf": {"name": "scrypt", "params": {"N": 32768, "r": 8, "p": 1}, "salt": SALT},
            "cipher": {"name": "nacl/secretbox", "nonce": NONCE},
            "ciphertext": STANDARD.encode([0; 64]),
        })
    }

    fn refusal(path: &str, value: serde_json::Value) -> Error {
        let mut container = container();
        *container.pointer_mut(path).unwrap() = value;
        open(&serde_json::to_vec(&container).unwrap(), b"").unwrap_err()
    }

    #[test]
    fn parameters_outside_the_list_are_refused_before_any_work() {
        for (path, value, reason) in [
            ("/kdf/name", "argon2".into(), "key derivation \"argon2\""),
            ("/cipher/name", "none".into(), "cipher \"none\""),
            ("/kdf/params/N", 2.into(), "N=2 "),
            ("/kdf/params/N", 131_072.into(), "N=131072"),
            ("/kdf/params/N", 1_073_741_824.into(), "N=1073741824"),
            ("/kdf/params/r", 4_000_000.into(), "r=4000000"),
            ("/kdf/params/p", 0.into(), "p=0"),
            ("/kdf/salt", "AAAA".into(), "kdf.salt of 3 bytes"),
            ("/cipher/nonce", SALT.into(), "cipher.nonce of 32 bytes"),
            ("/ciphertext", "".into(), "ciphertext of 0 bytes"),
            (
                "/ciphertext",
                STANDARD.encode([0; MAX_CIPHERTEXT + 1]).into(),
                "ciphertext of 16385 bytes",
            ),
        ] {
            let Error::RefusedKeyParameters(found) = refusal(path, value) else {
                panic!("{path} is not refused as a parameter");
            };
            assert!(found.contains(reason), "{found}");
        }
    }

    #[test]
    fn malformed_containers_are_refused() {
        for (path, value) in [
            ("/kdf", serde_json::json!(["scrypt", {}, SALT])),
            ("/kdf/params/N", (-1).into()),
            ("/kdf/params/N", 65536.5.into()),
            ("/kdf/params/N", (1u64 << 40).into()),
            ("/kdf/params", serde_json::json!({"N": 65536, "r": 8, "p": 1, "q": 1})),
            ("/ciphertext", serde_json::Value::Null),
        ] {
            assert!(matches!(refusal(path, value), Error::Json { .. }), "{path}");
        }
        assert_eq!(
            refusal("/cipher/nonce", "__==".into()),
            Error::Base64 { field: "cipher.nonce" }
        );
        assert!(matches!(open(b"hello", b""), Err(Error::Json { .. })));
        let twice = br#"{"kdf":{"params":{"N":2,"N":65536}}}"#;
        assert!(matches!(open(twice, b""), Err(Error::DuplicateKey { .. })));
    }

    /// `tests/secretbox.c` of NaCl.
    #[test]
    fn cipher_matches_the_nacl_example() {
        let bytes = |hex: &str| -> Vec<u8> {
            (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect()
        };
        let key = bytes("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389");
        let nonce = bytes("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37");
        let mut content = bytes(concat!(
            "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffc",
            "e5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb31",
            "0e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde",
            "048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f93776384864",
            "5e0705"
        ));
        XSalsa20Poly1305::new_from_slice(&key)
            .unwrap()
            .encrypt_in_place(nonce.as_slice().into(), b"", &mut content)
            .unwrap();
        let tag = bytes("f3ffc7703f9400e52a7dfb4b3d3305d9");
        assert_eq!(content[..16], tag);
        assert_eq!(content[16..32], bytes("8e993b9f48681273c29650ba32fc76ce"));
    }
}
