//! The two small requests that are written in DER: one for a certificate, one for a timestamp.
//!
//! Only fixed structures are written, so that a few tags do (ITU-T X.690). Nothing is read here.

use crate::signature::{self, PrivateKey};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const BOOLEAN: u8 = 0x01;
/// `[0]` around attributes.
const ATTRIBUTES: u8 = 0xa0;

/// `ecdsa-with-SHA256`, 1.2.840.10045.4.3.2 (RFC 5758, section 3.2), as an algorithm identifier.
const ECDSA_WITH_SHA256: [u8; 12] =
    [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// `id-sha256`, 2.16.840.1.101.3.4.2.1 (RFC 5754, section 2.2), as an algorithm identifier.
const SHA256: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00];

fn tagged(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length @ ..0x80) => out.push(length),
        Ok(length) => out.extend([0x81, length]),
        // What is written here is never longer than a key and a signature.
        Err(_) => {
            let [_, _, .., high, low] = content.len().to_be_bytes();
            out.extend([0x82, high, low]);
        }
    }
    out.extend(content);
    out
}

/// Writes a request for a certificate of a key (PKCS#10, RFC 2986, section 4), for nobody: whom the
/// certificate names, its authority takes from the identity token.
///
/// # Errors
/// When the key cannot sign.
pub(super) fn certificate_request(key: &PrivateKey) -> Result<Vec<u8>, signature::Error> {
    let nobody = tagged(SEQUENCE, &[]);
    let version = [INTEGER, 1, 0];
    let spki = key.public_key().spki_der();
    let info = tagged(SEQUENCE, &[&version, &nobody, spki, &tagged(ATTRIBUTES, &[])]);
    let signature = tagged(BIT_STRING, &[&[0], &key.sign(&info)?]);
    Ok(tagged(SEQUENCE, &[&info, &ECDSA_WITH_SHA256, &signature]))
}

/// Writes a request for a timestamp of bytes with this SHA-256 (RFC 3161, section 2.4.1), with the
/// authority's certificate in the answer. It has no nonce: the hash is of a signature that nobody
/// has seen before, so that no old answer fits.
pub(super) fn timestamp_request(sha256: &[u8; 32]) -> Vec<u8> {
    let imprint = tagged(SEQUENCE, &[&SHA256, &tagged(OCTET_STRING, &[sha256])]);
    tagged(SEQUENCE, &[&[INTEGER, 1, 1], &imprint, &[BOOLEAN, 1, 0xff]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_their_short_and_long_forms() {
        assert_eq!(tagged(4, &[&[7; 0x7f]])[..2], [4, 0x7f]);
        assert_eq!(tagged(4, &[&[7; 0x80]])[..3], [4, 0x81, 0x80]);
        assert_eq!(tagged(4, &[&[7; 0x1ff]])[..4], [4, 0x82, 0x01, 0xff]);
    }

    /// By `openssl ts -query -digest … -sha256 -no_nonce -cert`.
    #[test]
    fn timestamp_request_is_what_openssl_writes() {
        let written = timestamp_request(&[0xab; 32]);
        let mut expected = vec![
            0x30, 0x39, 0x02, 0x01, 0x01, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48,
            0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20,
        ];
        expected.extend([0xab; 32]);
        expected.extend([0x01, 0x01, 0xff]);
        assert_eq!(written, expected);
    }
}
