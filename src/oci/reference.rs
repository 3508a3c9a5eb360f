//! Where an image is: one strict grammar for every place that a user can name.

use super::Digest;
use std::fmt;
use std::path::{Path, PathBuf};

/// A place of an image, in skopeo's spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// `oci:DIR[:TAG]`, an OCI image layout. Without a tag: its only image.
    Layout {
        /// The folder of the layout.
        dir: PathBuf,
        /// The value of `org.opencontainers.image.ref.name`.
        tag: Option<String>,
    },
    /// `archive:FILE`, one tar that is both an OCI layout and loadable by `docker load`.
    Archive(PathBuf),
    /// `docker://HOST/REPO[:TAG][@sha256:…]`, a registry.
    Registry {
        /// The host, with its port where it is named.
        host: String,
        /// The repository on that host.
        repository: String,
        /// The tag.
        tag: Option<String>,
        /// The digest.
        digest: Option<Digest>,
    },
    /// `docker-daemon:NAME:TAG`, the store of a local engine.
    Daemon(String),
    /// An existing path that is what it is: layout, archive, plain file or folder.
    Path(PathBuf),
}

/// Why a text names no place of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InvalidReference {
    #[error("`{0}` names no file or folder here, and no image either")]
    Nothing(String),
    #[error("`{0}` names no registry; there is no implicit Docker Hub")]
    NoHost(String),
    #[error("`{0}` names an image by a tag alone; a bare image reference needs its digest")]
    NoDigest(String),
    #[error("the reference `{text}` has {what}")]
    Malformed { text: String, what: &'static str },
}

/// The longest reference that is read, in bytes.
const MAX_REFERENCE: usize = 8192;

impl Reference {
    /// Returns how documents call what is referred to: by its repository, or by its file's name
    /// without folder and extension.
    #[must_use]
    pub fn short_name(&self) -> String {
        match self {
            Self::Registry { repository, .. } => repository.clone(),
            Self::Daemon(name) => name.clone(),
            Self::Layout { dir: path, .. } | Self::Archive(path) | Self::Path(path) => {
                let stem = path.file_stem().unwrap_or_default();
                stem.to_string_lossy().into_owned()
            }
        }
    }

    /// Reads a reference. `exists` says whether a bare text is a path of this machine.
    ///
    /// # Errors
    /// Every text that is not exactly of one of the forms above. A bare `HOST/REPO` needs a
    /// digest; a tag alone is read only behind `docker://`.
    pub fn parse(text: &str, exists: impl Fn(&Path) -> bool) -> Result<Self, InvalidReference> {
        let malformed =
            |what| InvalidReference::Malformed { text: text.chars().take(200).collect(), what };
        if text.len() > MAX_REFERENCE {
            return Err(malformed("more than 8192 bytes"));
        }
        if let Some(rest) = text.strip_prefix("oci:") {
            let (dir, tag) = match rest.rsplit_once(':') {
                // On Windows, `oci:C:\images` has a drive and no tag.
                Some((dir, tag)) if !tag.contains(['/', '\\']) && !dir.is_empty() => {
                    (dir, Some(tag))
                }
                _ => (rest, None),
            };
            if dir.is_empty() {
                return Err(malformed("no folder"));
            }
            if !tag.is_none_or(is_ref_name) {
                return Err(malformed("no valid tag behind the last `:`"));
            }
            return Ok(Self::Layout { dir: dir.into(), tag: tag.map(str::to_owned) });
        }
        if let Some(file) = text.strip_prefix("archive:") {
            return if file.is_empty() {
                Err(malformed("no file"))
            } else {
                Ok(Self::Archive(file.into()))
            };
        }
        if let Some(name) = text.strip_prefix("docker-daemon:") {
            return if name.is_empty() {
                Err(malformed("no name"))
            } else {
                Ok(Self::Daemon(name.to_owned()))
            };
        }
        if let Some(rest) = text.strip_prefix("docker://") {
            return parse_registry(text, rest);
        }
        if exists(Path::new(text)) {
            return Ok(Self::Path(text.into()));
        }
        let looks_like_path =
            text.starts_with(['.', '/', '~']) || text.contains('\\') || text.is_empty();
        if looks_like_path {
            return Err(InvalidReference::Nothing(text.to_owned()));
        }
        match parse_registry(text, text) {
            Ok(Self::Registry { digest: None, .. }) => {
                Err(InvalidReference::NoDigest(text.to_owned()))
            }
            Err(InvalidReference::NoHost(_)) if text.contains('/') => {
                Err(InvalidReference::Nothing(text.to_owned()))
            }
            other => other,
        }
    }
}

fn parse_registry(text: &str, rest: &str) -> Result<Reference, InvalidReference> {
    let malformed =
        |what| InvalidReference::Malformed { text: text.chars().take(200).collect(), what };
    let (name, digest) = match rest.split_once('@') {
        Some((name, digest)) => {
            let digest =
                digest.parse().map_err(|_| malformed("no valid sha256 digest behind the `@`"))?;
            (name, Some(digest))
        }
        None => (rest, None),
    };
    let Some((host, path)) = name.split_once('/') else {
        return Err(InvalidReference::NoHost(text.to_owned()));
    };
    if !host.contains(['.', ':']) && host != "localhost" {
        return Err(InvalidReference::NoHost(text.to_owned()));
    }
    if !is_host(host) {
        return Err(malformed("no valid host"));
    }
    let (repository, tag) = match path.rsplit_once(':') {
        Some((repository, tag)) => (repository, Some(tag)),
        None => (path, None),
    };
    if !is_repository(repository) {
        return Err(malformed(
            "no valid repository (lower-case letters, digits, `.`, `_`, `-`, `/`)",
        ));
    }
    if !tag.is_none_or(is_tag) {
        return Err(malformed("no valid tag"));
    }
    Ok(Reference::Registry {
        host: host.to_owned(),
        repository: repository.to_owned(),
        tag: tag.map(str::to_owned),
        digest,
    })
}

/// A domain name or an address, with an optional port. Upper case is refused: it
/// would let two spellings of one host pass an allowlist differently.
pub(crate) fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) => return address.parse::<std::net::Ipv6Addr>().is_ok(),
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
                ("localhost", port.strip_prefix(':'))
            }
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
    };
    let valid_port = match port {
        Some(port) => {
            port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0)
        }
        None => !host.starts_with('[') || host.ends_with(']'),
    };
    name.len() <= 253 && name.split('.').all(label) && valid_port
}

/// Says whether a text is a repository (distribution-spec, "Pulling manifests", `<name>`).
pub fn is_repository(text: &str) -> bool {
    let component = |component: &str| {
        let bytes = component.as_bytes();
        let alphanumeric = |c: &u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        bytes.first().is_some_and(alphanumeric)
            && bytes.last().is_some_and(alphanumeric)
            && bytes.iter().all(|c| alphanumeric(c) || matches!(c, b'.' | b'_' | b'-'))
            && !component.contains("..")
            && !component.contains("___")
            && !["._", "_.", "-.", ".-", "_-", "-_"].iter().any(|pair| component.contains(pair))
    };
    text.len() <= 255 && text.split('/').all(component)
}

/// Says whether a text is a repository with the host of its registry before it.
pub fn is_hosted_repository(text: &str) -> bool {
    text.split_once('/').is_some_and(|(host, repository)| {
        (host.contains(['.', ':']) || host == "localhost")
            && is_host(host)
            && is_repository(repository)
    })
}

/// Says whether a text is a tag (distribution-spec, "Pulling manifests", `<reference>`).
pub fn is_tag(text: &str) -> bool {
    let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    (1..=128).contains(&text.len())
        && text.bytes().enumerate().all(|(i, c)| word(c) || i > 0 && matches!(c, b'.' | b'-'))
}

/// Says whether a text may be the name of an image in a layout (image-spec, annotations.md,
/// `ref.name`): a tag here, so that one name works in a layout and in a registry.
fn is_ref_name(text: &str) -> bool {
    is_tag(text)
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout { dir, tag: None } => write!(f, "oci:{}", dir.display()),
            Self::Layout { dir, tag: Some(tag) } => write!(f, "oci:{}:{tag}", dir.display()),
            Self::Archive(file) => write!(f, "archive:{}", file.display()),
            Self::Registry { host, repository, tag, digest } => {
                write!(f, "docker://{host}/{repository}")?;
                tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
                digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
            }
            Self::Daemon(name) => write!(f, "docker-daemon:{name}"),
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Reference, InvalidReference> {
        Reference::parse(text, |path| path == Path::new("here") || path == Path::new("a.b/c"))
    }

    #[test]
    fn each_form_is_read_and_written_back() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for text in [
            "oci:dist/hello/image".to_owned(),
            "oci:dist/hello/image:local".to_owned(),
            "archive:hello.tar".to_owned(),
            "docker-daemon:hello:dev".to_owned(),
            "docker://registry.internal.example:5000/golden/hello:v1.2".to_owned(),
            format!("docker://localhost/hello@{digest}"),
            format!("docker://127.0.0.1:5000/a/b:v1@{digest}"),
            "docker://[::1]:5000/a".to_owned(),
            "here".to_owned(),
            "a.b/c".to_owned(),
        ] {
            assert_eq!(parse(&text).unwrap().to_string(), text);
        }
        assert_eq!(
            parse(&format!("reg.example/a@{digest}")).unwrap().to_string(),
            format!("docker://reg.example/a@{digest}")
        );
    }

    #[test]
    fn there_is_no_implicit_registry() {
        assert_eq!(parse("nginx"), Err(InvalidReference::NoHost("nginx".into())));
        assert!(matches!(parse("library/nginx"), Err(InvalidReference::Nothing(_))));
        assert!(matches!(parse("reg.example/nginx:1"), Err(InvalidReference::NoDigest(_))));
        assert!(matches!(parse("./nginx"), Err(InvalidReference::Nothing(_))));
    }

    #[test]
    fn look_alikes_are_refused() {
        for text in [
            "oci:",
            "oci:dir:",
            "oci:dir:a b",
            "archive:",
            "docker://",
            "docker://Reg.example/a",
            "docker://reg.example/A",
            "docker://reg.example/a/../b",
            "docker://reg.example//a",
            "docker://user:pw@reg.example/a",
            "docker://reg.example:99999/a",
            "docker://reg.example:0/a",
            "docker://reg..example/a",
            "docker://-reg.example/a",
            "docker://reg.example/a@sha256:00",
            "docker://reg.example/a@sha512:00",
            "docker://reg.example/a:",
            "docker://[::1/a",
            "docker://[::1]x/a",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
