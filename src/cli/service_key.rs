//! Keys that a service keeps: the transit engine of Vault and OpenBao, and whatever a plugin of
//! sigstore's reaches.
//!
//! Sources: "Transit secrets engine (API)" of Vault and of OpenBao; sigstore/sigstore,
//! `pkg/signature/kms/cliplugin`, protocol `v1`. The key never leaves its service. What comes back
//! is held against the public key by whoever puts it into a bundle.

use super::failure::Failure;
use super::network;
use super::site::variable;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karat::finding::escape;
use karat::http::{Access, Body, Client, HostPolicy, Method, Request, Scheme, Secret, Url};
use karat::signature::{Error, KeyHandle, PublicKey};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The longest answer of a service, in bytes.
const MAX_ANSWER: u64 = 1 << 20;
/// How long a plugin may take: a person may have to touch a token.
const PATIENCE: Duration = Duration::from_secs(120);
/// `crypto.SHA256`, as the plugin protocol numbers hash functions.
const SHA256: u8 = 5;

/// A key that a service keeps.
pub(super) struct ServiceKey {
    public: PublicKey,
    service: Service,
}

enum Service {
    Transit(Transit),
    Plugin(Plugin),
}

/// What is signed.
enum What<'a> {
    Message(&'a [u8]),
    Sha256(&'a [u8; 32]),
}

impl ServiceKey {
    /// Asks the service for the public key, and makes sure that it is one that karat uses.
    pub(super) fn find(scheme: &str, name: &str) -> Result<Self, Failure> {
        let service = match scheme {
            "hashivault" => Service::Transit(Transit::new(&["VAULT"], name)?),
            "openbao" => Service::Transit(Transit::new(&["BAO", "VAULT"], name)?),
            _ => Service::Plugin(Plugin::new(scheme, name)?),
        };
        let pem = match &service {
            Service::Transit(transit) => transit.public_key(),
            Service::Plugin(plugin) => plugin.public_key(),
        };
        let public = PublicKey::from_pem(&pem?).map_err(|error| {
            Failure::usage(format!("the key `{scheme}://{}`: {error}", escape::terminal(name)))
        })?;
        Ok(Self { public, service })
    }

    fn signature(&self, what: &What<'_>) -> Result<Vec<u8>, Error> {
        match &self.service {
            Service::Transit(transit) => transit.sign(what),
            Service::Plugin(plugin) => plugin.sign(what),
        }
    }
}

impl KeyHandle for ServiceKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.signature(&What::Message(message))
    }

    fn sign_sha256(&self, sha256: &[u8; 32]) -> Result<Vec<u8>, Error> {
        self.signature(&What::Sha256(sha256))
    }
}

fn failed(message: String, may_help: bool) -> Error {
    Error::Service { message, may_help }
}

/// A key of the transit engine.
struct Transit {
    client: Client,
    /// Where the engine is: `ADDRESS/v1/PATH`.
    engine: String,
    name: String,
    token: Secret,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Keys {
    latest_version: u64,
    #[serde(rename = "type")]
    kind: String,
    keys: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Signed {
    signature: String,
}

impl Transit {
    /// Takes the address and the token of the first of `families` of variables that has one.
    fn new(families: &[&str], name: &str) -> Result<Self, Failure> {
        let of =
            |what: &str| families.iter().find_map(|family| variable(&format!("{family}_{what}")));
        if name.is_empty() || name.contains(['/', '?', '#', '%']) {
            return Err(Failure::usage(format!(
                "`{}` is no name of a key",
                escape::terminal(name)
            )));
        }
        let named = format!("{}_ADDR", families[0]);
        let address = of("ADDR").ok_or_else(|| {
            Failure::usage(format!("nothing says where the service is that keeps the key `{name}`"))
                .hint(format!("set {named}"))
        })?;
        let url = Url::parse(&address)
            .map_err(|error| Failure::usage(format!("`{address}` is no address: {error}")))?;
        let origin = url.origin().clone();
        if origin.scheme() == Scheme::Http && !origin.is_loopback() {
            return Err(Failure::usage(format!("`{origin}` would be told a token without TLS"))
                .hint("`https://`; plain http is for this machine alone"));
        }
        let token = of("TOKEN").or_else(token_file).ok_or_else(|| {
            Failure::usage("no token opens the service that keeps the key")
                .hint(format!("set {}_TOKEN, or log in", families[0]))
        })?;
        let path = variable("TRANSIT_SECRET_ENGINE_PATH").unwrap_or_else(|| "transit".to_owned());
        let mut hosts = HostPolicy::new();
        hosts.allow_origin(origin.clone(), Access::WRITE);
        let client = network::client(hosts, false, [origin.authority()].into_iter())?;
        let engine = format!("{}/v1/{}", address.trim_end_matches('/'), path.trim_matches('/'));
        let token = Secret::new(format!("Bearer {token}"));
        Ok(Self { client, engine, name: name.to_owned(), token })
    }

    fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, Error> {
        let url = Url::parse(&format!("{}{path}", self.engine))
            .map_err(|error| failed(error.to_string(), false))?;
        let body = body.map(Value::to_string);
        let mut request =
            Request::new(if body.is_some() { Method::Post } else { Method::Get }, url)
                .authorized(Some(&self.token));
        if let Some(body) = &body {
            request = request
                .header("content-type", "application/json")
                .body(Body::Bytes(body.as_bytes()));
        }
        if let Some(namespace) = variable("VAULT_NAMESPACE") {
            request = request.header("x-vault-namespace", namespace);
        }
        let answer = self.client.retried(&request).and_then(|answer| answer.expect(&[200]));
        let bytes = answer.and_then(|answer| answer.bytes(MAX_ANSWER)).map_err(|error| {
            let may_help = !matches!(error.status(), Some(400..=499));
            failed(format!("the key `{}`: {error}", self.name), may_help)
        })?;
        serde_json::from_slice::<Answer<T>>(&bytes).map(|answer| answer.data).map_err(|error| {
            failed(
                format!(
                    "the service of the key `{}` answers what cannot be understood: {error}",
                    self.name
                ),
                true,
            )
        })
    }

    fn public_key(&self) -> Result<String, Failure> {
        let keys: Keys = self.ask(&format!("/keys/{}", self.name), None)?;
        if keys.kind != "ecdsa-p256" {
            return Err(Failure::usage(format!(
                "the key `{}` is of the type `{}`, and karat signs with `ecdsa-p256`",
                self.name,
                escape::terminal(&keys.kind)
            )));
        }
        let latest = keys.keys.get(&keys.latest_version.to_string());
        let pem = latest.and_then(|version| version["public_key"].as_str());
        let none =
            || Failure::failed(format!("the service gives no public key of `{}`", self.name));
        pem.map(str::to_owned).ok_or_else(none)
    }

    fn sign(&self, what: &What<'_>) -> Result<Vec<u8>, Error> {
        let sha256: [u8; 32] = match what {
            What::Message(message) => Sha256::digest(message).into(),
            What::Sha256(sha256) => **sha256,
        };
        let body = json!({
            "input": STANDARD.encode(sha256),
            "prehashed": true,
            "marshaling_algorithm": "asn1",
        });
        let signed: Signed = self.ask(&format!("/sign/{}/sha2-256", self.name), Some(&body))?;
        // `vault:v1:BASE64`, with the version of the key.
        let text = signed.signature.rsplit(':').next().unwrap_or_default();
        STANDARD
            .decode(text)
            .map_err(|_| failed(format!("the service gives no signature by `{}`", self.name), true))
    }
}

/// Reads the token that `vault login` and `bao login` leave.
fn token_file() -> Option<String> {
    let path = std::path::Path::new(&variable("HOME")?).join(".vault-token");
    let bytes = super::settings::file(&path, "a token", 4096).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A key that a program reaches, `sigstore-kms-SCHEME`.
struct Plugin {
    program: String,
    name: String,
}

impl Plugin {
    fn new(scheme: &str, name: &str) -> Result<Self, Failure> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if scheme.is_empty() || !scheme.bytes().all(plain) {
            return Err(Failure::usage(format!("`{}://` is no kind of key", escape::terminal(scheme)))
                .hint("a file, `env://VARIABLE`, `hashivault://KEY`, `openbao://KEY`, or a scheme for which `sigstore-kms-SCHEME` is on the PATH"));
        }
        Ok(Self { program: format!("sigstore-kms-{scheme}"), name: name.to_owned() })
    }

    /// Runs the program with a method and its arguments, and gives what it answers for that method.
    fn call(&self, method: &str, arguments: &Value, message: &[u8]) -> Result<Value, Error> {
        let arguments = json!({
            "initOptions": {
                "protocolVersion": "v1",
                "keyResourceID": self.name,
                "hashFunc": SHA256,
                "rpcOptions": {},
            },
            "methodName": method,
            method: arguments,
        });
        let program = &self.program;
        let mut child = Command::new(program)
            .args(["v1", &arguments.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => failed(
                    format!("no program `{program}` is on the PATH, which would reach such keys"),
                    false,
                ),
                _ => failed(format!("`{program}`: {error}"), true),
            })?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (sender, receiver) = mpsc::channel();
        // A program that does not answer is left to itself: these threads end with this run.
        let message = message.to_vec();
        std::thread::spawn(move || {
            // One that does not want the message may close its input.
            let _ = stdin.map(|mut input| input.write_all(&message));
        });
        std::thread::spawn(move || {
            let mut answer = Vec::new();
            let read = stdout.map(|out| out.take(MAX_ANSWER + 1).read_to_end(&mut answer));
            let _ = sender.send(read.transpose().map(|_| answer));
        });
        let answer = receiver.recv_timeout(PATIENCE);
        let _ = child.kill();
        let _ = child.wait();
        let unclear = |why: &str| failed(format!("`{program}` answers {why}"), true);
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(failed(format!("`{program}`: {error}"), true)),
            Err(_) => return Err(unclear("nothing within two minutes")),
        };
        if answer.len() as u64 > MAX_ANSWER {
            return Err(unclear("more than 1 MiB"));
        }
        let mut answer: Value = serde_json::from_slice(&answer)
            .map_err(|error| unclear(&format!("what cannot be understood: {error}")))?;
        match answer["errorMessage"].as_str() {
            Some(said) if !said.is_empty() => {
                let said: String = said.chars().take(200).collect();
                Err(failed(format!("`{program}`: {}", escape::terminal(&said)), false))
            }
            _ => Ok(answer[method].take()),
        }
    }

    /// Reads a field of an answer, which is base64.
    fn bytes(&self, answer: &Value, field: &str) -> Result<Vec<u8>, Error> {
        let text = answer[field].as_str().unwrap_or_default();
        STANDARD
            .decode(text)
            .ok()
            .filter(|bytes| !bytes.is_empty())
            .ok_or_else(|| failed(format!("`{}` answers without `{field}`", self.program), true))
    }

    fn public_key(&self) -> Result<String, Failure> {
        let answer =
            self.call("publicKey", &json!({ "publicKeyOptions": { "rpcOptions": {} } }), &[])?;
        let pem = self.bytes(&answer, "publicKeyPEM")?;
        String::from_utf8(pem)
            .map_err(|_| Failure::failed(format!("`{}` gives no public key", self.program)))
    }

    fn sign(&self, what: &What<'_>) -> Result<Vec<u8>, Error> {
        let (message, digest) = match what {
            What::Message(message) => (*message, json!({ "hashFunc": SHA256 })),
            What::Sha256(sha256) => {
                (&[][..], json!({ "hashFunc": SHA256, "digest": STANDARD.encode(sha256) }))
            }
        };
        let options = json!({ "signOptions": { "rpcOptions": {}, "messageOptions": digest } });
        let answer = self.call("signMessage", &options, message)?;
        self.bytes(&answer, "signature")
    }
}
