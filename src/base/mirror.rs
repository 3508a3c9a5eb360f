//! Where the packages of a base come from: folders or servers that hold an archive.
//!
//! A mirror is believed nothing: what it gives is verified by a signature or a hash that is
//! known before.

use crate::http::{Access, Client, Fault, HostPolicy, HttpError, InvalidUrl, Url};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

/// The mirrors of a site, by the archives that they hold.
#[derive(Clone, Default)]
pub struct Mirrors {
    places: BTreeMap<String, Vec<Place>>,
}

/// One mirror.
#[derive(Clone)]
enum Place {
    Folder(PathBuf),
    Server { client: Client, root: String },
}

/// Why a file was not fetched.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum MirrorError {
    #[error("no mirror of the archive `{0}` is known here")]
    Unknown(String),
    #[error("no connection may be opened (`--offline`), and `{0}` is not in the cache")]
    Offline(String),
    #[error("`{path}` is gone from the mirror of `{archive}`")]
    Gone { archive: String, path: String },
    #[error("`{path}` cannot be read from the mirror of `{archive}`: {error}")]
    Read { archive: String, path: String, error: io::Error },
    #[error("the mirror of `{archive}`: {error}")]
    Http { archive: String, error: Box<HttpError> },
    #[error("`{path}` is longer than {limit} bytes")]
    Long { path: String, limit: u64 },
}

/// Why a text names no mirror.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InvalidMirror {
    #[error("`{0}` is no mirror: `https://HOST/PATH`, `http://HOST/PATH` or `file:/PATH`")]
    Form(String),
    #[error("`{0}`: {1}")]
    Url(String, InvalidUrl),
}

impl Mirrors {
    /// Adds a mirror of an archive, after those that are known: `https://…`, `http://…` or
    /// `file:/PATH`. `client` opens connections; its policy is replaced by one that reaches
    /// this host alone.
    ///
    /// # Errors
    /// When the text names none.
    pub fn add(&mut self, archive: &str, text: &str, client: &Client) -> Result<(), InvalidMirror> {
        let form = || InvalidMirror::Form(text.chars().take(200).collect());
        let place = if let Some(path) = text.strip_prefix("file:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            let path = Some(path).filter(|path| path.starts_with('/'));
            Place::Folder(PathBuf::from(path.ok_or_else(form)?))
        } else if text.starts_with("http://") || text.starts_with("https://") {
            let root = text.trim_end_matches('/').to_owned();
            let url = Url::parse(&root).map_err(|error| InvalidMirror::Url(root.clone(), error))?;
            let mut policy = HostPolicy::new();
            // Plain http is what mirrors speak; signatures and hashes vouch for what they give.
            policy.allow_origin(url.origin().clone(), Access::FETCH);
            Place::Server { client: client.with_policy(policy), root }
        } else {
            return Err(form());
        };
        self.places.entry(archive.to_owned()).or_default().push(place);
        Ok(())
    }

    /// Says whether a mirror of an archive is known.
    pub fn has(&self, archive: &str) -> bool {
        self.places.contains_key(archive)
    }

    /// Opens a file of an archive: of the first mirror that has it.
    ///
    /// # Errors
    /// When no mirror is known or has it, or the first that fails otherwise.
    pub fn open(&self, archive: &str, path: &str) -> Result<Box<dyn Read + Send>, MirrorError> {
        let places =
            self.places.get(archive).ok_or_else(|| MirrorError::Unknown(archive.to_owned()))?;
        for place in places {
            match place.open(archive, path) {
                Err(MirrorError::Gone { .. }) => {}
                other => return other,
            }
        }
        Err(MirrorError::Gone { archive: archive.to_owned(), path: path.to_owned() })
    }

    /// Reads a file of an archive that is at most `limit` bytes long.
    ///
    /// # Errors
    /// As [`Mirrors::open`], when it is longer, or breaks off.
    pub fn read(&self, archive: &str, path: &str, limit: u64) -> Result<Vec<u8>, MirrorError> {
        let mut bytes = Vec::new();
        let source = self.open(archive, path)?;
        source
            .take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| broken(archive, path, error))?;
        match bytes.len() as u64 > limit {
            true => Err(MirrorError::Long { path: path.to_owned(), limit }),
            false => Ok(bytes),
        }
    }
}

/// Says what happened to a stream that a mirror gave.
pub(super) fn broken(archive: &str, path: &str, error: io::Error) -> MirrorError {
    MirrorError::Read { archive: archive.to_owned(), path: path.to_owned(), error }
}

impl Place {
    fn open(&self, archive: &str, path: &str) -> Result<Box<dyn Read + Send>, MirrorError> {
        let gone = || MirrorError::Gone { archive: archive.to_owned(), path: path.to_owned() };
        match self {
            Self::Folder(root) => match File::open(root.join(path)) {
                Ok(file) => Ok(Box::new(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(gone()),
                Err(error) => Err(broken(archive, path, error)),
            },
            Self::Server { client, root } => {
                let of = |error: HttpError| match error.fault {
                    Fault::Offline => MirrorError::Offline(path.to_owned()),
                    Fault::Status { code: 404 | 410, .. } => gone(),
                    _ => MirrorError::Http { archive: archive.to_owned(), error: Box::new(error) },
                };
                // `+`, `~` and `:` are plain in paths of addresses; the path has nothing else
                // that would need an escape.
                let url = Url::parse(&format!("{root}/{path}")).map_err(|error| {
                    broken(archive, path, io::Error::new(io::ErrorKind::InvalidInput, error))
                })?;
                Ok(Box::new(client.download(&url).map_err(of)?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Proxies, Retry, Settings, Timeouts, Tls};

    fn client() -> Client {
        let settings = Settings {
            offline: true,
            proxies: Proxies::default(),
            tls: Tls::default(),
            tls_of: BTreeMap::new(),
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            clock: || std::time::Duration::ZERO,
        };
        Client::new(settings, HostPolicy::new()).unwrap()
    }

    #[test]
    fn folders_are_mirrors_too() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), b"bytes").unwrap();
        let mut mirrors = Mirrors::default();
        let root = format!("file:{}", folder.path().display());
        mirrors.add("debian", &format!("{root}/missing"), &client()).unwrap();
        mirrors.add("debian", &root, &client()).unwrap();
        assert_eq!(mirrors.read("debian", "a", 5).unwrap(), b"bytes");
        assert!(matches!(mirrors.read("debian", "a", 4), Err(MirrorError::Long { .. })));
        assert!(matches!(mirrors.read("debian", "b", 4), Err(MirrorError::Gone { .. })));
        assert!(matches!(mirrors.read("other", "a", 4), Err(MirrorError::Unknown(_))));
    }

    #[test]
    fn what_is_no_mirror_is_refused_and_offline_opens_nothing() {
        let mut mirrors = Mirrors::default();
        for bad in ["", "debian", "ftp://host/x", "file:relative", "http://", "/srv/mirror"] {
            assert!(mirrors.add("debian", bad, &client()).is_err(), "{bad}");
        }
        mirrors.add("debian", "http://mirror.example/debian/", &client()).unwrap();
        assert!(matches!(mirrors.read("debian", "a", 4), Err(MirrorError::Offline(_))));
    }
}
