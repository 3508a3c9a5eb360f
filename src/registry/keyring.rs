//! The files of credentials that a command has read, in their order.

use super::credentials::{Config, Credential, Found, InvalidConfig};
use super::helper::{self, HelperError};

/// Files of credentials. The first that says something about a repository counts.
#[derive(Default)]
pub struct Keyring {
    files: Vec<(String, Config)>,
}

/// Why no credential could be found out.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum KeyringError {
    #[error("the credentials `{file}`: {error}")]
    File { file: String, error: InvalidConfig },
    #[error(transparent)]
    Helper(#[from] HelperError),
}

impl Keyring {
    /// Adds the text of a file, behind those that are there.
    ///
    /// # Errors
    /// When it is no file of credentials.
    pub fn add(&mut self, file: &str, text: &[u8]) -> Result<(), KeyringError> {
        let wrong = |error| KeyringError::File { file: file.to_owned(), error };
        self.files.push((file.to_owned(), Config::parse(text).map_err(wrong)?));
        Ok(())
    }

    /// Returns who we are to a repository; nobody when no file says anything.
    ///
    /// # Errors
    /// When a file or a helper fails.
    pub(super) fn find(&self, host: &str, repository: &str) -> Result<Credential, KeyringError> {
        for (file, config) in &self.files {
            let wrong = |error| KeyringError::File { file: file.clone(), error };
            match config.find(host, repository).map_err(wrong)? {
                None => {}
                Some(Found::Here(credential)) => return Ok(credential),
                // A helper for everything that knows nothing of this registry.
                Some(Found::Helper { name, server }) => match helper::get(&name, &server)? {
                    Credential::Anonymous => {}
                    found => return Ok(found),
                },
            }
        }
        Ok(Credential::Anonymous)
    }
}
