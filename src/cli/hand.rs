//! Who signs in this run: the holder of a key, or somebody whom a certificate names.

use super::args::{self, SignatureFormat};
use super::failure::{CODE_FAILED, Failure};
use super::{network, settings};
use karat::http::{Access, Client, HostPolicy, Method, Request, Url};
use karat::keyless::token::{self, Found, MAX_TOKEN, Token};
use karat::keyless::{KeylessError, Session};
use karat::settings::Policy;
use karat::sign::legacy::OldForm;
use karat::signature::services::{MAX_CONFIG, Services};
use karat::signature::sigstore::{Identity, Signer};
use karat::signature::{KeyHandle, Signing, bundle};
use karat::time::Now;
use serde::Deserialize;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

/// What stands for a key in `--sign` and asks for a certificate instead.
const KEYLESS: &str = "keyless";

/// Who signs.
pub(super) enum Hand {
    Key(Box<dyn KeyHandle>),
    Keyless(Box<Session>),
}

impl Hand {
    /// Reads the key, or has a new one certified.
    pub(super) fn read(
        key: &Path,
        keyless: &args::Keyless,
        format: SignatureFormat,
        policy: &Policy,
        offline: bool,
    ) -> Result<Self, Failure> {
        if key != Path::new(KEYLESS) {
            if keyless.is_named() {
                return Err(Failure::usage(
                    "`--identity-token` and `--signing-config` are for signing without a key",
                ));
            }
            return Ok(Self::Key(settings::private_key(key)?));
        }
        // Before anybody is asked for anything.
        if format.has_old_form() {
            return Err(Failure::usage(
                "cosign's old form is signed with a key: beside a certificate it has the promise of a log of Rekor's first version alone, and nothing of a newer one",
            )
            .hint("name a key, or leave `--signature-format` at `bundle`"));
        }
        if offline {
            return Err(Failure::usage(
                "a certificate needs a connection, and `--offline` forbids all",
            ));
        }
        let root = settings::trusted_root(keyless.trusted_root.as_deref(), policy)?;
        let services = match &keyless.signing_config {
            Some(path) => {
                Services::of(&settings::file(path, "a signing configuration", MAX_CONFIG)?)
                    .map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))?
            }
            None => Services::public_good().map_err(|error| Failure::failed(error.to_string()))?,
        };
        let now = Now::new(SystemTime::now());
        let token = self::token(keyless.identity_token.as_deref())?;
        // Before anybody is asked for anything.
        token.check(now)?;
        let all = services.logs.iter().map(|(place, _)| place).chain(&services.timestamps);
        let client = client(all.chain([&services.authority]))?;
        let session = Session::open(&token, services, client, Arc::new(root), now)?;
        Ok(Self::Keyless(Box::new(session)))
    }

    /// Returns what signs statements.
    pub(super) fn signing(&self) -> &dyn Signing {
        match self {
            Self::Key(key) => key,
            Self::Keyless(session) => &**session,
        }
    }

    /// Returns what signs bundles, if the format has any.
    pub(super) fn bundles(&self, format: SignatureFormat) -> Option<&dyn Signing> {
        format.has_bundles().then(|| self.signing())
    }

    /// Returns what signs in cosign's old form, if the format has it, for images in a repository.
    pub(super) fn old_form<'a>(
        &'a self,
        format: SignatureFormat,
        reference: &'a str,
    ) -> Option<OldForm<'a>> {
        match self {
            Self::Key(key) if format.has_old_form() => Some(OldForm { key, reference }),
            _ => None,
        }
    }

    /// Returns whose signature is to be demanded of what was signed.
    pub(super) fn signer(&self) -> Signer {
        match self {
            Self::Key(key) => Signer::Key(key.public_key().clone()),
            Self::Keyless(session) => {
                let (subject, issuer) = session.named();
                Signer::Identity(Identity::exact(subject.clone(), issuer.clone()))
            }
        }
    }

    /// Says whether the same statement gives the same bundle each time.
    pub(super) fn is_deterministic(&self) -> bool {
        match self {
            Self::Key(key) => key.is_deterministic(),
            Self::Keyless(_) => false,
        }
    }

    /// Signs a file, by its hash, into a bundle.
    pub(super) fn artifact(&self, sha256: &[u8; 32]) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Key(key) => bundle::sign_artifact(sha256, key)
                .map_err(|error| Failure::failed(error.to_string())),
            Self::Keyless(session) => Ok(session.artifact(sha256)?),
        }
    }
}

/// Makes a client for addresses that the user has written out. Without TLS none but loopback is
/// reached.
fn client<'a>(places: impl Iterator<Item = &'a String>) -> Result<Client, Failure> {
    let mut hosts = HostPolicy::new();
    let mut authorities = Vec::new();
    for place in places {
        let url = address(place)?;
        let origin = url.origin();
        authorities.push(origin.authority());
        hosts.allow_origin(origin.clone(), Access::WRITE);
    }
    network::client(hosts, false, authorities.into_iter())
}

fn address(place: &str) -> Result<Url, Failure> {
    let url = Url::parse(place)
        .map_err(|error| Failure::usage(format!("`{place}` is no address: {error}")))?;
    let origin = url.origin();
    if origin.scheme() == karat::http::Scheme::Http && !origin.is_loopback() {
        return Err(Failure::usage(format!("`{origin}` would be told secrets without TLS"))
            .hint("`https://`; plain http is for this machine alone"));
    }
    Ok(url)
}

/// Gets an identity token: from the file that is named, else from whoever gives one.
fn token(named: Option<&Path>) -> Result<Token, Failure> {
    if let Some(path) = named {
        return Ok(Token::parse(&file(path)?)?);
    }
    let get = |name: &str| std::env::var(name).ok();
    let found = token::find(get, |path| Path::new(path).is_file())?;
    Ok(match found {
        Found::Here(token) => Token::parse(token.expose())?,
        Found::File(path) => Token::parse(&file(Path::new(&path))?)?,
        Found::Asked { url, authorization } => {
            let url = address(&url)?;
            let mut hosts = HostPolicy::new();
            hosts.allow_origin(url.origin().clone(), Access::READ);
            let client = network::client(hosts, false, [url.origin().authority()].into_iter())?;
            let request = Request::new(Method::Get, url).authorized(Some(&authorization));
            let answer = client
                .retried(&request)
                .and_then(|answer| answer.expect(&[200]))
                .and_then(|answer| answer.bytes(MAX_TOKEN as u64))
                .map_err(|error| Failure::of_http(&error))?;
            #[derive(Deserialize)]
            struct Answer {
                value: zeroize::Zeroizing<String>,
            }
            let answer: Answer = serde_json::from_slice(&answer)
                .map_err(|_| Failure::failed("the CI system gives no identity token"))?;
            Token::parse(&answer.value)?
        }
        Found::Printed(program, arguments) => Token::parse(&printed(program, arguments)?)?,
    })
}

fn file(path: &Path) -> Result<zeroize::Zeroizing<String>, Failure> {
    let bytes = settings::file(path, "an identity token", MAX_TOKEN)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::usage(format!("`{}` holds no text", path.display())))?;
    Ok(text.into())
}

/// Runs the program by which a CI system gives tokens.
fn printed(program: &str, arguments: &[&str]) -> Result<zeroize::Zeroizing<String>, Failure> {
    let failed = |why: String| Failure::failed(format!("`{program}` gives no token: {why}"));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let mut text = zeroize::Zeroizing::new(String::new());
    if let Some(out) = child.stdout.take() {
        out.take(MAX_TOKEN as u64 + 1)
            .read_to_string(&mut text)
            .map_err(|error| failed(error.to_string()))?;
    }
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    match status.success() {
        true => Ok(text),
        false => Err(failed(status.to_string())),
    }
}

impl From<KeylessError> for Failure {
    fn from(error: KeylessError) -> Self {
        let message = error.to_string();
        match error {
            KeylessError::NoToken(_) => Self::usage(message).hint(token::NO_TOKEN),
            KeylessError::Expired { .. } => Self::usage(message)
                .hint("get a new one; a clock that is wrong makes a fresh token look old"),
            KeylessError::Early { .. } => Self::usage(message).hint("is the clock right?"),
            KeylessError::Token(_) | KeylessError::Address(..) => Self::usage(message),
            KeylessError::Http { error, .. } => Self { message, ..Self::of_http(&error) },
            KeylessError::Refused { .. } if error.is_transient() => Self::failed(message),
            KeylessError::Refused { .. } => Self::usage(message).hint(
                "does the instance know the token's issuer, and is the token for `sigstore`?",
            ),
            _ => Self { code: CODE_FAILED, ..Self::usage(message) },
        }
    }
}
