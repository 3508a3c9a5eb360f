//! Errors of signing and verification.

use super::key_file::KeyFileKind;

/// Tells why a key, an envelope or a bundle was refused.
///
/// The messages are lower-case fragments for use after "failed to …: ". They never contain secrets.
/// Foreign text in them is escaped and cut to 80 characters, so that a hostile file cannot write
/// control sequences to a terminal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Randomness,
    /// A key file is larger than any key file has a reason to be.
    #[error("key file is larger than {limit} bytes")]
    KeyTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A key file is of another kind than the function reads.
    #[error("expected {expected}, found {found}")]
    WrongKeyFormat {
        /// What the function reads.
        expected: &'static str,
        /// What the file looks like.
        found: KeyFileKind,
    },
    /// A key file is of the right kind but damaged.
    #[error("malformed key: {0}")]
    MalformedKey(&'static str),
    /// A key of an algorithm or curve that is not supported.
    #[error("key is {found}, only ECDSA P-256 is supported")]
    UnsupportedKey {
        /// The algorithm found.
        found: &'static str,
    },
    /// A key file asks for a key derivation or cipher outside the list of accepted ones.
    #[error("refused key encryption parameters: {0}")]
    RefusedKeyParameters(String),
    /// A private key could not be decrypted.
    #[error("wrong password, or the key file was altered")]
    WrongPassword,
    /// The signature primitive failed.
    #[error("signature computation failed")]
    SigningFailed,
    /// A service that keeps keys, or one of sigstore, did not do its part.
    #[error("{message}")]
    Service {
        /// What happened, escaped.
        message: String,
        /// Whether trying again may help.
        may_help: bool,
    },
    /// What has just been signed would be refused.
    #[error("what was signed does not verify, and is thrown away: {0}")]
    Unverified(String),
    /// A signature is not a DER encoded ECDSA signature.
    #[error("signature is not a DER encoded ECDSA signature")]
    MalformedSignature,
    /// A signature was not made by this key over these bytes.
    #[error("signature does not match the content and the key with fingerprint {fingerprint}")]
    SignatureMismatch {
        /// Hexadecimal SHA-256 of the public key that was tried.
        fingerprint: String,
    },
    /// A document is larger than its limit.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// The kind of document.
        what: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// A document is not JSON, or not of the expected shape.
    #[error("{what} is not valid: {reason}")]
    Json {
        /// The kind of document.
        what: &'static str,
        /// What the parser says, escaped.
        reason: String,
    },
    /// A document has two equal keys in one object.
    #[error("{what} has the key \"{key}\" twice in one object")]
    DuplicateKey {
        /// The kind of document.
        what: &'static str,
        /// The key, escaped.
        key: String,
    },
    /// A document is nested too deeply.
    #[error("{what} is nested deeper than {limit} levels")]
    TooDeep {
        /// The kind of document.
        what: &'static str,
        /// The limit in levels.
        limit: usize,
    },
    /// A document has too many values.
    #[error("{what} has more than {limit} values")]
    TooManyValues {
        /// The kind of document.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A field is not strict base64.
    #[error("{field} is not padded base64 of the standard alphabet")]
    Base64 {
        /// The field.
        field: &'static str,
    },
    /// An envelope has no signature or several.
    #[error("envelope has {found} signatures, exactly one is required")]
    SignatureCount {
        /// How many there are.
        found: usize,
    },
    /// An envelope holds another type of payload.
    #[error("payload type is \"{found}\", expected \"{expected}\"")]
    PayloadType {
        /// The type found, escaped.
        found: String,
        /// The type required.
        expected: &'static str,
    },
    /// A bundle is of another version, or no bundle.
    #[error("media type is \"{0}\", expected a sigstore bundle v0.3")]
    MediaType(String),
    /// A bundle is signed with a certificate instead of a key.
    #[error("bundle is signed with a certificate (keyless), not with a key")]
    CertificateBundle,
    /// A bundle signs a blob directly instead of holding a statement.
    #[error("bundle holds a signature over a blob, not a signed statement")]
    MessageSignatureBundle,
    /// A bundle has no DSSE envelope.
    #[error("bundle has no DSSE envelope")]
    MissingEnvelope,
    /// A bundle names neither key nor certificate.
    #[error("bundle names no public key")]
    MissingPublicKey,
    /// The key identifier of the envelope contradicts the key hint of the bundle.
    #[error(
        "key identifier \"{keyid}\" of the envelope differs from the key hint \"{hint}\" of the bundle"
    )]
    KeyIdMismatch {
        /// The identifier in the envelope, escaped.
        keyid: String,
        /// The hint in the bundle, escaped.
        hint: String,
    },
    /// A bundle says that another key signed it.
    #[error("bundle names the key \"{found}\", but the key to verify with is \"{expected}\"")]
    HintMismatch {
        /// The hint in the bundle, escaped.
        found: String,
        /// The hint of the key the caller trusts.
        expected: String,
    },
    /// A statement is not an in-toto statement.
    #[error("statement type is \"{found}\", expected an in-toto statement")]
    StatementType {
        /// The `_type` found, escaped.
        found: String,
    },
}

/// Escapes control characters in foreign text and cuts it to 80 characters.
pub(super) fn quoted(text: &str) -> String {
    const LIMIT: usize = 80;
    let mut shown: String = text.chars().take(LIMIT).flat_map(char::escape_debug).collect();
    if text.chars().nth(LIMIT).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_escaped_and_cut() {
        assert_eq!(quoted("a\u{1b}[31m\n"), "a\\u{1b}[31m\\n");
        let long = quoted(&"é".repeat(200));
        assert_eq!(long.chars().count(), 81);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn messages_are_lower_case_fragments() {
        let samples = [
            Error::WrongPassword.to_string(),
            Error::WrongKeyFormat { expected: "a public key", found: KeyFileKind::OpenSshPrivate }
                .to_string(),
            Error::SignatureCount { found: 2 }.to_string(),
        ];
        for text in samples {
            assert!(text.starts_with(char::is_lowercase), "{text}");
            assert!(!text.ends_with('.'), "{text}");
        }
    }
}
