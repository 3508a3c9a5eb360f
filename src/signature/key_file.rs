//! Kinds of key files, told apart by their text.

use std::fmt;

/// Names what a key file looks like.
///
/// Only the label of the first PEM block, or the first words of the text, are looked at: the kind
/// decides which reader to use and what an error says, never whether a key is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyFileKind {
    /// `ENCRYPTED SIGSTORE PRIVATE KEY` or `ENCRYPTED COSIGN PRIVATE KEY`.
    EncryptedSigstore,
    /// `PRIVATE KEY`: PKCS#8 without a password.
    Pkcs8,
    /// `ENCRYPTED PRIVATE KEY`: PKCS#8 with a password, as OpenSSL writes it.
    EncryptedPkcs8,
    /// `EC PRIVATE KEY`: SEC1, with or without a leading `EC PARAMETERS` block.
    Sec1,
    /// `RSA PRIVATE KEY`: PKCS#1.
    Pkcs1Rsa,
    /// `OPENSSH PRIVATE KEY`.
    OpenSshPrivate,
    /// A line of an OpenSSH `.pub` or `authorized_keys` file.
    OpenSshPublic,
    /// `PUBLIC KEY`: `SubjectPublicKeyInfo`.
    Public,
    /// `RSA PUBLIC KEY`: PKCS#1.
    Pkcs1RsaPublic,
    /// `CERTIFICATE`: X.509.
    Certificate,
    /// An OpenPGP block.
    OpenPgp,
    /// A minisign or signify file.
    Minisign,
    /// A JSON Web Key.
    Jwk,
    /// A PEM block with a label that is none of the above.
    OtherPem,
    /// No text at all.
    Empty,
    /// No PEM block at all.
    Unknown,
}

impl KeyFileKind {
    /// Returns the kind of key file that a text looks like.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::Empty;
        }
        // RFC 7468 section 2 allows explanatory text before the block, and OpenSSL writes some.
        if let Some(label) =
            text.lines().find_map(|line| line.trim_end().strip_prefix("-----BEGIN "))
        {
            return Self::of_label(label.trim_end_matches('-'));
        }
        let first_line = text.lines().next().unwrap_or_default();
        if ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"]
            .iter()
            .any(|prefix| first_line.starts_with(prefix))
        {
            Self::OpenSshPublic
        } else if first_line.starts_with("untrusted comment:") {
            Self::Minisign
        } else if first_line.starts_with('{') && text.contains("\"kty\"") {
            Self::Jwk
        } else {
            Self::Unknown
        }
    }

    fn of_label(label: &str) -> Self {
        match label {
            "ENCRYPTED SIGSTORE PRIVATE KEY" | "ENCRYPTED COSIGN PRIVATE KEY" => {
                Self::EncryptedSigstore
            }
            "PRIVATE KEY" => Self::Pkcs8,
            "ENCRYPTED PRIVATE KEY" => Self::EncryptedPkcs8,
            "EC PRIVATE KEY" | "EC PARAMETERS" => Self::Sec1,
            "RSA PRIVATE KEY" => Self::Pkcs1Rsa,
            "OPENSSH PRIVATE KEY" => Self::OpenSshPrivate,
            "PUBLIC KEY" => Self::Public,
            "RSA PUBLIC KEY" => Self::Pkcs1RsaPublic,
            "CERTIFICATE" => Self::Certificate,
            other if other.starts_with("PGP ") => Self::OpenPgp,
            _ => Self::OtherPem,
        }
    }
}

impl fmt::Display for KeyFileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EncryptedSigstore => "an encrypted sigstore private key",
            Self::Pkcs8 => "an unencrypted PKCS#8 private key",
            Self::EncryptedPkcs8 => "a PKCS#8 private key encrypted by OpenSSL",
            Self::Sec1 => "an unencrypted SEC1 private key",
            Self::Pkcs1Rsa => "an RSA private key",
            Self::OpenSshPrivate => "an OpenSSH private key",
            Self::OpenSshPublic => "an OpenSSH public key",
            Self::Public => "a public key",
            Self::Pkcs1RsaPublic => "an RSA public key",
            Self::Certificate => "a certificate",
            Self::OpenPgp => "an OpenPGP block",
            Self::Minisign => "a minisign key",
            Self::Jwk => "a JSON Web Key",
            Self::OtherPem => "a PEM block of another kind",
            Self::Empty => "an empty file",
            Self::Unknown => "no PEM text",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_from_the_first_block() {
        let block = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        for (text, kind) in [
            (block("ENCRYPTED SIGSTORE PRIVATE KEY"), KeyFileKind::EncryptedSigstore),
            (block("ENCRYPTED COSIGN PRIVATE KEY"), KeyFileKind::EncryptedSigstore),
            (block("PRIVATE KEY"), KeyFileKind::Pkcs8),
            (block("ENCRYPTED PRIVATE KEY"), KeyFileKind::EncryptedPkcs8),
            (block("EC PRIVATE KEY"), KeyFileKind::Sec1),
            (block("RSA PRIVATE KEY"), KeyFileKind::Pkcs1Rsa),
            (block("OPENSSH PRIVATE KEY"), KeyFileKind::OpenSshPrivate),
            (block("PUBLIC KEY"), KeyFileKind::Public),
            (block("RSA PUBLIC KEY"), KeyFileKind::Pkcs1RsaPublic),
            (block("CERTIFICATE"), KeyFileKind::Certificate),
            (block("PGP PRIVATE KEY BLOCK"), KeyFileKind::OpenPgp),
            (block("SSH2 ENCRYPTED PRIVATE KEY"), KeyFileKind::OtherPem),
            ("-----BEGIN broken".to_owned(), KeyFileKind::OtherPem),
            ("ssh-ed25519 AAAA me".to_owned(), KeyFileKind::OpenSshPublic),
            ("untrusted comment: x\nRWQ".to_owned(), KeyFileKind::Minisign),
            ("{\"kty\":\"EC\"}".to_owned(), KeyFileKind::Jwk),
            (" \n".to_owned(), KeyFileKind::Empty),
            ("hello".to_owned(), KeyFileKind::Unknown),
        ] {
            assert_eq!(KeyFileKind::of(&text), kind, "{text}");
        }
    }
}
