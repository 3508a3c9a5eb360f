//! Values ready to use, read from arguments, environment and disk.

use karat::assemble::input::Project;
use karat::oci::Digest;
use karat::recipe::discover::{self, POLICY_FILE};
use karat::settings::Policy;
use karat::signature::{self, KeyFileKind, PrivateKey, PublicKey, key};
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

/// Why a setting cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    #[error("this version of karat does not read policy files, and `{}` is one", .0.display())]
    PolicyFile(PathBuf),
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
            Self::Folder { error, .. } | Self::KeyFile { error, .. } => {
                error.kind() != io::ErrorKind::NotFound
            }
            Self::Password(_) => true,
            _ => false,
        }
    }

    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::PolicyFile(_) => Some(
                "it is not obeyed in part: use a later version, or build without it".to_owned(),
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

/// Returns the policy of a project, and makes sure that it is the one demanded.
pub(super) fn policy(root: &Path, demanded: Option<&str>) -> Result<Policy, SettingsError> {
    let file = root.join(POLICY_FILE);
    if file.exists() {
        return Err(SettingsError::PolicyFile(file));
    }
    let policy = Policy::golden();
    match demanded.filter(|wanted| **wanted != policy.digest().to_string()) {
        Some(wanted) => {
            Err(SettingsError::PolicyDigest { found: policy.digest(), wanted: wanted.to_owned() })
        }
        None => Ok(policy),
    }
}

fn key_text(path: &Path) -> Result<String, SettingsError> {
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

/// Reads a private key, asking for its password where it has one.
pub(super) fn private_key(path: &Path) -> Result<PrivateKey, SettingsError> {
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

/// Reads a public key.
pub(super) fn public_key(path: &Path) -> Result<PublicKey, SettingsError> {
    PublicKey::from_pem(&key_text(path)?)
        .map_err(|error| SettingsError::Key { path: path.to_owned(), error })
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
