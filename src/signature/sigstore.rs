//! Sigstore bundles of every form, verified against a root of trust: certificates of Fulcio,
//! entries of Rekor v1 and v2, RFC 3161 timestamps, and keys beside them.
//!
//! This is the one module that knows the crates of sigstore. They read a bundle; that it is
//! one unambiguous JSON document is made sure before. Nothing is fetched: what is trusted is
//! what the caller gives. The format: sigstore/protobuf-specs, `sigstore_bundle.proto` and
//! `sigstore_trustroot.proto`; the steps: sigstore's client specification, section "Verification".

use super::bundle::{MAX_SIZE, check_statement};
use super::dsse::IN_TOTO_PAYLOAD;
use super::error::{Error, quoted};
use super::json::{self, Limits};
use super::key::PublicKey;
use super::{Bundle, bundle, provider};
use regex::Regex;
use sha2::{Digest as _, Sha256};
use sigstore_verify::crypto::parse_certificate_info;
use sigstore_verify::trust_root::{SIGSTORE_PRODUCTION_TRUSTED_ROOT, TrustedRoot as Root};
use sigstore_verify::types::bundle::VerificationMaterialContent as Material;
use sigstore_verify::types::{DerCertificate, DerPublicKey, Sha256Hash, SignatureContent};
use sigstore_verify::{
    CertificateError, PublicKeyVerificationPolicy, TimestampError, TransparencyLogError,
    VerificationPolicy, VerificationResult, Verifier,
};

/// The longest root of trust that is read, in bytes.
pub const MAX_ROOT: usize = 4 << 20;
/// The longest pattern of an identity, in bytes.
pub const MAX_PATTERN: usize = 4096;

const BUNDLE_LIMITS: Limits = Limits { what: "bundle", bytes: MAX_SIZE, depth: 16, values: 16_384 };
const ROOT_LIMITS: Limits =
    Limits { what: "root of trust", bytes: MAX_ROOT, depth: 16, values: 100_000 };

/// The media types of roots of trust that are read: the current one, and those that every
/// root published so far has.
const ROOT_TYPES: [&str; 3] = [
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
    "application/vnd.dev.sigstore.trustedroot.v0.1+json",
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
];

/// The certificate authorities, logs and timestamp authorities that are trusted.
pub struct TrustedRoot {
    verifier: Verifier,
    sha256: [u8; 32],
}

impl std::fmt::Debug for TrustedRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustedRoot").field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

/// Whose signature is demanded.
#[derive(Debug)]
pub enum Signer {
    /// The holder of a key.
    Key(PublicKey),
    /// Whoever an issuer has given an identity to.
    Identity(Identity),
}

/// An identity in a certificate, and who vouches for it. One says nothing without the other.
#[derive(Debug)]
pub struct Identity {
    subject: Subject,
    issuer: String,
    source: Source,
}

/// From which source an identity must have worked, as the certificate says.
#[derive(Debug, Default)]
struct Source {
    /// The address of the repository.
    repository: Option<String>,
    /// The branch or tag, `refs/…`.
    reference: Option<Regex>,
}

#[derive(Debug)]
enum Subject {
    Exact(String),
    Pattern(Regex),
}

/// What was verified.
#[derive(Debug)]
pub struct Verified {
    /// What was signed.
    pub content: Content,
    /// The identity that signed, and its issuer; none of a key.
    pub certified: Option<(String, String)>,
    /// Whether an entry of a trusted log was verified.
    pub logged: bool,
    /// The verified times of the signature, in seconds since 1970; none of a key without a log.
    pub times: Vec<i64>,
}

/// What a bundle signs.
#[derive(Debug)]
pub enum Content {
    /// An in-toto statement, one of whose subjects is the artifact.
    Statement(bundle::VerifiedStatementBytes),
    /// The artifact itself.
    Artifact,
    /// A document that says that the artifact, an image, is signed, and nothing else.
    Signature,
}

/// What a refusal is about; the same word whatever the message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Reason {
    Artifact,
    Bundle,
    Certificate,
    Checkpoint,
    Identity,
    InclusionPromise,
    InclusionProof,
    IntegratedTime,
    Issuer,
    Key,
    LogEntry,
    NoTime,
    Signature,
    SignedCertificateTimestamp,
    Source,
    Timestamp,
    TrustedRoot,
    UnknownLog,
    Unsupported,
}

/// Why a bundle or a root of trust was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What it is about.
    pub reason: Reason,
    message: String,
}

impl Refusal {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// Errors of our own reading, by what they are about.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let reason = match &error {
            Error::SignatureMismatch { .. } | Error::MalformedSignature => Reason::Signature,
            Error::HintMismatch { .. } | Error::CertificateBundle => Reason::Key,
            Error::StatementType { .. } | Error::PayloadType { .. } => Reason::Unsupported,
            _ => Reason::Bundle,
        };
        Self::new(reason, error.to_string())
    }
}

impl From<sigstore_verify::Error> for Refusal {
    fn from(error: sigstore_verify::Error) -> Self {
        use sigstore_verify::Error as E;
        let reason = match &error {
            E::IdentityMismatch { .. } => Reason::Identity,
            E::IssuerMismatch { .. } => Reason::Issuer,
            E::SignatureInvalid(_) => Reason::Signature,
            E::Crypto(sigstore_verify::crypto::Error::UnsupportedAlgorithm(_)) => {
                Reason::Unsupported
            }
            E::Crypto(_) => Reason::Signature,
            E::ArtifactMismatch(_) => Reason::Artifact,
            E::Certificate(CertificateError::Sct(_)) => Reason::SignedCertificateTimestamp,
            E::Certificate(_) => Reason::Certificate,
            E::TransparencyLog(error) => match error {
                TransparencyLogError::UnknownLog { .. } => Reason::UnknownLog,
                TransparencyLogError::InclusionProof(_) => Reason::InclusionProof,
                TransparencyLogError::Checkpoint(_) => Reason::Checkpoint,
                TransparencyLogError::InclusionPromise(_) => Reason::InclusionPromise,
                TransparencyLogError::IntegratedTime(_) => Reason::IntegratedTime,
                _ => Reason::LogEntry,
            },
            E::Timestamp(TimestampError::NoVerifiedTimestamp(_)) => Reason::NoTime,
            E::Timestamp(_) => Reason::Timestamp,
            E::UnsupportedBundle(_) | E::UnsupportedArtifact(_) => Reason::Unsupported,
            E::InvalidTrustRoot(_) | E::TrustRoot(_) | E::TrustedCertificate(_) => {
                Reason::TrustedRoot
            }
            _ => Reason::Bundle,
        };
        // These messages repeat what the bundle says.
        let message: String = error.to_string().chars().flat_map(char::escape_debug).collect();
        Self::new(reason, message.replace("\\\"", "\"").replace("\\'", "'"))
    }
}

impl TrustedRoot {
    /// Reads a root of trust from JSON of at most [`MAX_ROOT`] bytes.
    ///
    /// # Errors
    /// When it is no unambiguous JSON, of another media type, or holds what cannot be trusted:
    /// malformed keys, keys without a beginning, the same log twice.
    pub fn parse(text: &[u8]) -> Result<Self, Refusal> {
        provider::install();
        let refused = |message: String| Refusal::new(Reason::TrustedRoot, message);
        json::check(text, ROOT_LIMITS).map_err(|error| refused(error.to_string()))?;
        let text = std::str::from_utf8(text).map_err(|error| refused(error.to_string()))?;
        let root = Root::from_json(text).map_err(|error| refused(quoted(&error.to_string())))?;
        let media_type = MediaType::of(text)?;
        if !ROOT_TYPES.contains(&media_type.as_str()) {
            let found = quoted(&media_type);
            return Err(refused(format!("media type is \"{found}\", which is no root of trust")));
        }
        let verifier = Verifier::new(&root)?;
        Ok(Self { verifier, sha256: Sha256::digest(text).into() })
    }

    /// Returns the root of the public good instance of sigstore, as it was when this program
    /// was made.
    ///
    /// # Errors
    /// None that is known: the root comes with the program.
    pub fn public_good() -> Result<Self, Refusal> {
        Self::parse(SIGSTORE_PRODUCTION_TRUSTED_ROOT.as_bytes())
    }

    /// Returns the hash of the text that was read.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct MediaType {
    #[serde(default)]
    media_type: String,
}

impl MediaType {
    fn of(text: &str) -> Result<String, Refusal> {
        let this: Self = json::object(text.as_bytes(), ROOT_LIMITS.what)?;
        Ok(this.media_type)
    }
}

impl Identity {
    /// Takes an identity, which must be equal, and its issuer.
    pub fn exact(subject: impl Into<String>, issuer: impl Into<String>) -> Self {
        let (subject, issuer) = (Subject::Exact(subject.into()), issuer.into());
        Self { subject, issuer, source: Source::default() }
    }

    /// Takes a regular expression, which must match the whole identity, and the issuer.
    ///
    /// # Errors
    /// When the expression is none, or too long.
    pub fn matching(pattern: &str, issuer: impl Into<String>) -> Result<Self, String> {
        let (subject, issuer) = (Subject::Pattern(anchored(pattern)?), issuer.into());
        Ok(Self { subject, issuer, source: Source::default() })
    }

    /// Demands too that the identity has worked from this repository: the certificate's
    /// source repository URI (1.3.6.1.4.1.57264.1.12) is equal.
    #[must_use]
    pub fn from_repository(mut self, address: impl Into<String>) -> Self {
        self.source.repository = Some(address.into());
        self
    }

    /// Demands too that the identity has worked from a branch or tag whose whole name, `refs/…`,
    /// an expression matches: the certificate's source repository ref (1.3.6.1.4.1.57264.1.14).
    ///
    /// # Errors
    /// When the expression is none, or too long.
    pub fn from_ref_matching(mut self, pattern: &str) -> Result<Self, String> {
        self.source.reference = Some(anchored(pattern)?);
        Ok(self)
    }

    fn policy(&self) -> VerificationPolicy {
        match &self.subject {
            Subject::Exact(subject) => {
                VerificationPolicy::new(subject.as_str(), self.issuer.as_str())
            }
            Subject::Pattern(_) => {
                VerificationPolicy::any_identity().require_issuer(self.issuer.as_str())
            }
        }
    }

    /// Checks what the crate's policy does not.
    fn check(&self, result: &VerificationResult) -> Result<(), Refusal> {
        let found = result.identity().map(|identity| identity.as_str());
        let fits = match &self.subject {
            Subject::Exact(subject) => found == Some(subject),
            Subject::Pattern(pattern) => found.is_some_and(|found| pattern.is_match(found)),
        };
        if !fits {
            let found = quoted(found.unwrap_or("nobody"));
            let message =
                format!("the certificate is for \"{found}\", who is not the one demanded");
            return Err(Refusal::new(Reason::Identity, message));
        }
        if result.issuer() != Some(&self.issuer) {
            let found = quoted(result.issuer().unwrap_or("nobody"));
            let message =
                format!("the identity was issued by \"{found}\", not by the one demanded");
            return Err(Refusal::new(Reason::Issuer, message));
        }
        self.source.check(result)
    }
}

impl Source {
    fn check(&self, result: &VerificationResult) -> Result<(), Refusal> {
        let claims = result.certificate().map(|certificate| &certificate.ci_claims);
        let refused = |what: &str, found: Option<&String>| {
            let found = quoted(found.map_or("nothing", |found| found));
            let message =
                format!("the certificate names \"{found}\" as {what}, not the one demanded");
            Err(Refusal::new(Reason::Source, message))
        };
        let found = claims.and_then(|claims| claims.source_repository_uri.as_ref());
        if self.repository.as_ref().is_some_and(|wanted| found != Some(wanted)) {
            return refused("the repository of the source", found);
        }
        let found = claims.and_then(|claims| claims.source_repository_ref.as_ref());
        let fits = |pattern: &Regex| found.is_some_and(|found| pattern.is_match(found));
        if self.reference.as_ref().is_some_and(|pattern| !fits(pattern)) {
            return refused("the branch or tag of the source", found);
        }
        Ok(())
    }
}

/// Reads a regular expression that must match a whole text.
///
/// # Errors
/// When it is none, or longer than [`MAX_PATTERN`].
pub fn anchored(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > MAX_PATTERN {
        return Err(format!("it is longer than {MAX_PATTERN} bytes"));
    }
    // An expression that closes the group would get around the anchors.
    Regex::new(pattern).map_err(|error| error.to_string())?;
    Regex::new(&format!(r"\A(?:{pattern})\z")).map_err(|error| error.to_string())
}

/// Reads whom a certificate of Fulcio names, and who vouches for that. Nothing is verified.
///
/// # Errors
/// When it is no such certificate.
pub fn certified(certificate: &[u8]) -> Result<(String, String), Refusal> {
    let refused = |message: String| Refusal::new(Reason::Certificate, quoted(&message));
    let info = parse_certificate_info(&DerCertificate::new(certificate.to_vec()))
        .map_err(|error| refused(error.to_string()))?;
    let named = info.identity.map(|identity| identity.as_str().to_owned());
    named.zip(info.issuer).ok_or_else(|| refused("the certificate names nobody".to_owned()))
}

/// Verifies that a bundle holds a signature over an artifact, or over a statement about it, by
/// the signer who is demanded.
///
/// A certificate needs an entry in a trusted log and a trusted time. With a key, entries and
/// timestamps that are there must be right, and none need be there.
///
/// # Errors
/// When anything in the bundle is not as it must be.
pub fn verify(
    bundle: &[u8],
    sha256: &[u8; 32],
    signer: &Signer,
    root: &TrustedRoot,
) -> Result<Verified, Refusal> {
    json::check(bundle, BUNDLE_LIMITS)?;
    let text = std::str::from_utf8(bundle)
        .map_err(|error| Refusal::new(Reason::Bundle, error.to_string()))?;
    let read = sigstore_verify::types::Bundle::from_json(text).map_err(|error| {
        let message = format!("bundle is not valid: {}", quoted(&error.to_string()));
        Refusal::new(Reason::Bundle, message)
    })?;
    let artifact = Sha256Hash::new(*sha256);
    let material = &read.verification_material;
    let result = match (signer, &material.content) {
        (Signer::Identity(identity), Material::PublicKey(_)) => {
            let message = format!("bundle is signed with a key, and {identity} is demanded");
            return Err(Refusal::new(Reason::Key, message));
        }
        (Signer::Identity(identity), _) => {
            let result = root.verifier.verify(artifact, &read, &identity.policy())?;
            identity.check(&result)?;
            result
        }
        (Signer::Key(key), Material::PublicKey(named)) => {
            if !named.hint.is_empty() && named.hint != key.hint() {
                let (found, expected) = (quoted(&named.hint), key.hint());
                return Err(Error::HintMismatch { found, expected }.into());
            }
            let timestamps = &material.timestamp_verification_data.rfc3161_timestamps;
            if material.tlog_entries.is_empty() && timestamps.is_empty() {
                return by_key_alone(bundle, &read.content, sha256, key);
            }
            let policy =
                PublicKeyVerificationPolicy::new(DerPublicKey::new(key.spki_der().to_vec()));
            let policy = match material.tlog_entries.is_empty() {
                true => policy.skip_tlog_unsafe(),
                false => policy,
            };
            root.verifier.verify(artifact, &read, &policy)?
        }
        (Signer::Key(_), _) => return Err(Error::CertificateBundle.into()),
    };
    let certified = result
        .identity()
        .zip(result.issuer())
        .map(|(identity, issuer)| (identity.as_str().to_owned(), issuer.to_owned()));
    Ok(Verified {
        content: content(&read.content)?,
        certified,
        logged: result.tlog_verified(),
        times: result.verified_timestamps().iter().map(|time| time.as_second()).collect(),
    })
}

impl std::fmt::Display for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(key) => write!(f, "the key {}", key.fingerprint()),
            Self::Identity(identity) => identity.fmt(f),
        }
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.subject {
            Subject::Exact(subject) => write!(f, "\"{}\"", quoted(subject))?,
            Subject::Pattern(pattern) => {
                write!(f, "whoever matches \"{}\"", quoted(pattern.as_str()))?
            }
        }
        write!(f, " of {}", quoted(&self.issuer))
    }
}

/// Verifies a bundle that holds nothing but a key's hint and a signature.
fn by_key_alone(
    bundle: &[u8],
    content: &SignatureContent,
    sha256: &[u8; 32],
    key: &PublicKey,
) -> Result<Verified, Refusal> {
    let content = match content {
        SignatureContent::MessageSignature(message) => {
            let promised = message.message_digest.as_ref().map(|digest| digest.digest.as_bytes());
            if promised.is_some_and(|promised| promised != sha256) {
                let message = "the bundle is about another file: its digest is another";
                return Err(Refusal::new(Reason::Artifact, message));
            }
            key.verify_sha256(sha256, message.signature.as_bytes())?;
            Content::Artifact
        }
        _ => {
            let statement = Bundle::parse(bundle)?.verify_with_key(key)?;
            check_subject(statement.as_bytes(), sha256)?;
            Content::Statement(statement)
        }
    };
    Ok(Verified { content, certified: None, logged: false, times: Vec::new() })
}

/// Returns what a bundle that was verified signs.
fn content(content: &SignatureContent) -> Result<Content, Refusal> {
    let SignatureContent::DsseEnvelope(envelope) = content else {
        return Ok(Content::Artifact);
    };
    if envelope.payload_type != IN_TOTO_PAYLOAD {
        let (found, expected) = (quoted(&envelope.payload_type), IN_TOTO_PAYLOAD);
        return Err(Error::PayloadType { found, expected }.into());
    }
    let payload = envelope.payload.as_bytes();
    Ok(Content::Statement(check_statement(payload)?))
}

/// Makes sure that a statement is about an artifact.
fn check_subject(statement: &[u8], sha256: &[u8; 32]) -> Result<(), Refusal> {
    #[derive(serde::Deserialize)]
    struct Statement {
        #[serde(default)]
        subject: Vec<About>,
    }
    #[derive(serde::Deserialize)]
    struct About {
        #[serde(default)]
        digest: std::collections::BTreeMap<String, String>,
    }
    let statement: Statement = json::object(statement, "statement")?;
    let wanted: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    if statement.subject.iter().any(|one| one.digest.get("sha256") == Some(&wanted)) {
        return Ok(());
    }
    Err(Refusal::new(Reason::Artifact, "the signed statement is about other digests"))
}
