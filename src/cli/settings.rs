//! Values ready to use, read from arguments, environment and disk.

use super::args;
use super::build::from_here;
use super::failure::Failure;
use super::pkcs11;
use super::service_key::ServiceKey;
use karat::assemble::input::Project;
use karat::attest::ci::Ci;
use karat::oci::Digest;
use karat::recipe::discover::{self, POLICY_FILE};
use karat::settings::Policy;
use karat::settings::file::Loaded;
use karat::signature::sigstore::{self, Identity, Refusal, Signer, TrustedRoot};
use karat::signature::{self, KeyFileKind, KeyHandle, PrivateKey, PublicKey, key};
use karat::time::{Date, Epoch, Now};
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Why a setting cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    #[error("the policy `{}` cannot be read: {error}", path.display())]
    PolicyFile { path: PathBuf, error: io::Error },
    #[error("`{}` cannot be read: {error}", path.display())]
    WaiverFile { path: PathBuf, error: io::Error },
    #[error("`{}` lies below another policy, `{}`", below.display(), above.display())]
    SecondPolicy { above: PathBuf, below: PathBuf },
    #[error("the policy has the digest {found}, and {wanted} was demanded")]
    PolicyDigest { found: Digest, wanted: String },
    #[error("`{}`: {error}", path.display())]
    Folder { path: PathBuf, error: io::Error },
    #[error("the key `{}` cannot be read: {error}", path.display())]
    KeyFile { path: PathBuf, error: io::Error },
    #[error("`{}` is no regular file", .0.display())]
    KeySpecial(PathBuf),
    #[error("`{}` is longer than {limit} bytes, which no key file is", path.display())]
    KeyLong { path: PathBuf, limit: usize },
    #[error("`{}`: {error}", path.display())]
    Key { path: PathBuf, error: signature::Error },
    #[error("`{}` cannot be read: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("`{}` is longer than {limit} bytes, the most that is read of {what}", path.display())]
    Long { path: PathBuf, what: &'static str, limit: usize },
    #[error("the root of trust `{}`: {error}", path.display())]
    TrustedRoot { path: PathBuf, error: Refusal },
    #[error("`{}` is another root of trust than the policy's", .0.display())]
    OtherRoot(PathBuf),
    #[error("nothing says who must have signed")]
    NoSigner,
    #[error("`--identity-regexp`: {0}")]
    Pattern(String),
    #[error("the key needs a password, and there is no terminal to ask for it")]
    NoPassword,
    #[error("the two passwords differ")]
    PasswordsDiffer,
    #[error("failed to read the password: {0}")]
    Password(io::Error),
}

impl SettingsError {
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Folder { error, .. }
            | Self::KeyFile { error, .. }
            | Self::File { error, .. }
            | Self::WaiverFile { error, .. }
            | Self::PolicyFile { error, .. } => !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
            ),
            Self::Password(_) => true,
            _ => false,
        }
    }

    /// Says what is wrong with a file, without its name.
    fn why(&self) -> String {
        match self {
            Self::File { error, .. } => error.to_string(),
            Self::Long { limit, .. } => format!("it is longer than {limit} bytes"),
            other => other.to_string(),
        }
    }

    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::OtherRoot(_) => {
                Some("leave `--trusted-root` out: the policy's is taken".to_owned())
            }
            Self::SecondPolicy { .. } => Some(
                "a project has one policy, in its root: remove the lower one, or name one with `--policy`"
                    .to_owned(),
            ),
            Self::KeyFile { error, .. } if error.kind() == io::ErrorKind::NotFound => Some(
                "`karat key generate` makes a new pair, `cosign.key` and `cosign.pub`".to_owned(),
            ),
            Self::Key { path, .. } if path.extension().is_some_and(|ending| ending == "pub") => {
                Some("to sign, name the private key: `cosign.key`".to_owned())
            }
            Self::Key { path, .. } if path.extension().is_some_and(|ending| ending == "key") => {
                Some("check the password; to verify, name the public key: `cosign.pub`".to_owned())
            }
            Self::NoSigner => Some(
                "name the public key, `--key cosign.pub`, or `--identity` with `--issuer`"
                    .to_owned(),
            ),
            Self::NoPassword => Some("set COSIGN_PASSWORD; it may be empty".to_owned()),
            _ => None,
        }
    }
}

/// Finds the project that a folder belongs to.
pub(super) fn project(start: &Path) -> Result<Project, SettingsError> {
    let folder = |error| SettingsError::Folder { path: start.to_owned(), error };
    let start = if start.as_os_str().is_empty() { Path::new(".") } else { start };
    let root = discover::root(start).map_err(folder)?;
    Project::new(&root).map_err(folder)
}

/// The longest policy or waiver file that is read, in bytes.
const MAX_POLICY: u64 = 1 << 20;

/// Returns the policy of the project that the current folder belongs to, for commands that
/// judge what lies anywhere.
pub(super) fn policy_here(args: &args::Policy) -> Result<Loaded, Failure> {
    policy(project(Path::new("."))?.root(), args)
}

/// Returns the policy: the named one, the project's, or the built-in one; and makes sure that
/// it is the one demanded.
pub(super) fn policy(root: &Path, args: &args::Policy) -> Result<Loaded, Failure> {
    let own = root.join(POLICY_FILE);
    let file = args.file.clone().or_else(|| own.exists().then(|| from_here(&own)));
    let loaded = match file {
        Some(file) => {
            if args.file.is_none() {
                refuse_second(root)?;
            }
            let folder = file.parent().unwrap_or(Path::new(""));
            let beside = |path: &str, limit: usize| {
                self::file(&folder.join(path), "a file of the policy", limit)
                    .map_err(|error| error.why())
            };
            let text = policy_text(&file)?;
            Loaded::parse_beside(&file.display().to_string(), &text, &beside)?
        }
        None => Loaded::golden(),
    };
    let found = loaded.policy.digest();
    match args.digest.as_ref().filter(|wanted| **wanted != found.to_string()) {
        Some(wanted) => {
            Err(SettingsError::PolicyDigest { found, wanted: wanted.to_owned() }.into())
        }
        None => Ok(loaded),
    }
}

/// A policy below another would let whoever adds it loosen everything.
fn refuse_second(root: &Path) -> Result<(), SettingsError> {
    let above = root.ancestors().skip(1).find(|folder| folder.join(POLICY_FILE).is_file());
    match above {
        Some(above) => Err(SettingsError::SecondPolicy {
            above: above.join(POLICY_FILE),
            below: root.join(POLICY_FILE),
        }),
        None => Ok(()),
    }
}

fn policy_text(file: &Path) -> Result<String, SettingsError> {
    text(file).map_err(|error| SettingsError::PolicyFile { path: file.to_owned(), error })
}

/// Reads a settings file, or the first bytes of one that is longer than any may be.
pub(super) fn text(file: &Path) -> io::Result<String> {
    // Before it is opened: opening a FIFO waits for a writer.
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let mut text = String::new();
    File::open(file)?.take(MAX_POLICY + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// Returns the day that a user named, or today.
pub(super) fn now(named: Option<&str>) -> Result<Now, Failure> {
    match named {
        None => Ok(Now::new(SystemTime::now())),
        Some(text) => match text.parse::<Date>() {
            Ok(day) => Ok(Now::on(day)),
            Err(error) => Err(Failure::usage(format!("`--now`: {error}"))),
        },
    }
}

/// Returns the time that a user wants to be written; nothing, or an empty text, is 1970.
pub(super) fn epoch(named: Option<&str>) -> Result<Epoch, Failure> {
    match named.filter(|text| !text.is_empty()) {
        Some(text) => text.parse().map_err(|error| {
            Failure::usage(format!("`--source-date-epoch` or SOURCE_DATE_EPOCH: {error}"))
        }),
        None => Ok(Epoch::default()),
    }
}

/// Returns the run of a CI system that this is, by its variables.
pub(super) fn ci() -> Option<Ci> {
    Ci::of(|name| std::env::var(name).ok())
}

/// Reads the text of a key: of a file, or of the variable that `env://` names.
fn key_text(path: &Path) -> Result<String, SettingsError> {
    if let Some(name) = path.to_str().and_then(|named| named.strip_prefix("env://")) {
        return std::env::var(name).map_err(|error| {
            let error = io::Error::new(io::ErrorKind::InvalidInput, error);
            SettingsError::KeyFile { path: path.to_owned(), error }
        });
    }
    let read = |error| SettingsError::KeyFile { path: path.to_owned(), error };
    if !path.metadata().map_err(read)?.is_file() {
        return Err(SettingsError::KeySpecial(path.to_owned()));
    }
    let mut text = String::new();
    File::open(path)
        .map_err(read)?
        .take(key::MAX_FILE as u64 + 1)
        .read_to_string(&mut text)
        .map_err(read)?;
    if text.len() > key::MAX_FILE {
        return Err(SettingsError::KeyLong { path: path.to_owned(), limit: key::MAX_FILE });
    }
    Ok(text)
}

/// Reads a private key, asking for its password where it has one, or finds the service that keeps
/// it.
pub(super) fn private_key(path: &Path) -> Result<Box<dyn KeyHandle>, Failure> {
    if let Some(address) = pkcs11::address(path) {
        return pkcs11::find(address);
    }
    Ok(match kept(path) {
        Some((scheme, name)) => Box::new(ServiceKey::find(scheme, name)?),
        None => Box::new(held(path)?),
    })
}

/// Returns scheme and name of a key that a service keeps; none of a file or a variable.
fn kept(path: &Path) -> Option<(&str, &str)> {
    let (scheme, name) = path.to_str()?.split_once("://")?;
    (scheme != "env").then_some((scheme, name))
}

fn held(path: &Path) -> Result<PrivateKey, SettingsError> {
    let wrong = |error| SettingsError::Key { path: path.to_owned(), error };
    let text = key_text(path)?;
    match KeyFileKind::of(&text) {
        KeyFileKind::EncryptedSigstore => {
            let password = password(&format!("Password for {}: ", path.display()), false)?;
            PrivateKey::from_encrypted_pem(&text, password.as_bytes()).map_err(wrong)
        }
        _ => PrivateKey::from_unencrypted_pem(&text).map_err(wrong),
    }
}

/// Reads a public key: of a file or a variable, or of the service that keeps the private one.
pub(super) fn public_key(path: &Path) -> Result<PublicKey, Failure> {
    if let Some(address) = pkcs11::address(path) {
        return Ok(pkcs11::find(address)?.public_key().clone());
    }
    if let Some((scheme, name)) = kept(path) {
        return Ok(ServiceKey::find(scheme, name)?.public_key().clone());
    }
    let wrong = |error| SettingsError::Key { path: path.to_owned(), error };
    Ok(PublicKey::from_pem(&key_text(path)?).map_err(wrong)?)
}

/// Reads a file that a user names, at most `limit` bytes of it.
pub(super) fn file(
    path: &Path,
    what: &'static str,
    limit: usize,
) -> Result<Vec<u8>, SettingsError> {
    let read = |error| SettingsError::File { path: path.to_owned(), error };
    // Before it is opened: opening a FIFO waits for a writer.
    if !path.metadata().map_err(read)?.is_file() {
        return Err(read(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes))
        .map_err(read)?;
    if bytes.len() > limit {
        return Err(SettingsError::Long { path: path.to_owned(), what, limit });
    }
    Ok(bytes)
}

/// Returns whose signature is demanded.
pub(super) fn signer(args: &args::Signer) -> Result<Signer, Failure> {
    // The arguments are checked: an identity comes with an issuer, and no key with either.
    let issuer = args.issuer.as_deref().unwrap_or_default();
    Ok(match (&args.key, &args.identity, &args.identity_regexp) {
        (Some(key), ..) => Signer::Key(public_key(key)?),
        (None, Some(identity), _) => Signer::Identity(Identity::exact(identity, issuer)),
        (None, None, None) => return Err(SettingsError::NoSigner.into()),
        (None, None, Some(pattern)) => {
            let identity = Identity::matching(pattern, issuer).map_err(SettingsError::Pattern)?;
            Signer::Identity(identity)
        }
    })
}

/// Reads a root of trust: the policy's, where it has one, which no other takes the place of; else
/// that of a file, else that of the public good instance.
pub(super) fn trusted_root(
    path: Option<&Path>,
    policy: &Policy,
) -> Result<TrustedRoot, SettingsError> {
    let own = policy.sigstore.as_ref().map(|sigstore| sigstore.trusted_root.bytes());
    let named = match path {
        Some(path) => Some(file(path, "a root of trust", sigstore::MAX_ROOT)?),
        None => None,
    };
    let shown = path.unwrap_or(Path::new("(built in)"));
    match (own, &named) {
        (Some(own), Some(named)) if own != named => {
            return Err(SettingsError::OtherRoot(shown.to_owned()));
        }
        (own, named) => match own.or(named.as_deref()) {
            Some(bytes) => TrustedRoot::parse(bytes),
            None => TrustedRoot::public_good(),
        },
    }
    .map_err(|error| SettingsError::TrustedRoot { path: shown.to_owned(), error })
}

/// Returns the password: from `COSIGN_PASSWORD`, which may be empty, or asked for, twice
/// for a new key.
pub(super) fn password(
    prompt: &str,
    new: bool,
) -> Result<zeroize::Zeroizing<String>, SettingsError> {
    if let Ok(password) = std::env::var("COSIGN_PASSWORD") {
        return Ok(password.into());
    }
    if !io::stdin().is_terminal() {
        return Err(SettingsError::NoPassword);
    }
    let first: zeroize::Zeroizing<String> =
        rpassword::prompt_password(prompt).map_err(SettingsError::Password)?.into();
    if new {
        let again: zeroize::Zeroizing<String> =
            rpassword::prompt_password("Once more: ").map_err(SettingsError::Password)?.into();
        if *again != *first {
            return Err(SettingsError::PasswordsDiffer);
        }
    }
    Ok(first)
}
