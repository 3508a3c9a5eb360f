//! A registry on loopback, small and a fake: it keeps repositories in memory and does what
//! the distribution specification says, except for the faults that a test asks for.

use super::server::{Asked, Reply, Server};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a repository holds.
#[derive(Debug, Default, Clone)]
pub(crate) struct Held {
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    /// By digest: media type and bytes.
    pub(crate) manifests: BTreeMap<String, (String, Vec<u8>)>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// How the registry differs from the specification.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ways {
    /// It keeps lists of referrers.
    pub(crate) referrers: bool,
    /// `user:password`, which a client must give.
    pub(crate) basic: Option<String>,
    /// A token must be had at this realm; none is a realm of its own.
    pub(crate) realm: Option<String>,
    /// Uploads go to this origin.
    pub(crate) uploads_at: Option<String>,
    /// Blobs are at this origin.
    pub(crate) blobs_at: Option<String>,
    /// Mounting is answered with an upload.
    pub(crate) no_mount: bool,
    /// Nothing is removed.
    pub(crate) no_delete: bool,
    /// A tag that leads somewhere stays there.
    pub(crate) immutable: bool,
}

type Fault = dyn Fn(&Asked, usize) -> Option<Reply> + Send + Sync;

/// The registry and what it holds.
pub(crate) struct Registry {
    pub(crate) server: Server,
    pub(crate) held: Arc<Mutex<BTreeMap<String, Held>>>,
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    format!("sha256:{}", hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

impl Registry {
    pub(crate) fn start(ways: Ways) -> Self {
        Self::faulty(ways, |_, _| None)
    }

    /// Answers a request with what `fault` gives, where it gives something. It is told how many
    /// requests of this method and path have been there before.
    pub(crate) fn faulty(
        ways: Ways,
        fault: impl Fn(&Asked, usize) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        Self::cutting(ways, fault, |_| None)
    }

    pub(crate) fn cutting(
        ways: Ways,
        fault: impl Fn(&Asked, usize) -> Option<Reply> + Send + Sync + 'static,
        cutter: impl Fn(&Asked) -> Option<usize> + Send + Sync + 'static,
    ) -> Self {
        let held: Arc<Mutex<BTreeMap<String, Held>>> = Arc::default();
        let state = State {
            held: held.clone(),
            uploads: Mutex::default(),
            number: AtomicUsize::new(0),
            seen: Mutex::default(),
            fault: Box::new(fault),
            ways,
        };
        let server = Server::start_cutting(move |asked| state.answer(asked), cutter);
        Self { server, held }
    }

    /// `HOST:PORT`.
    pub(crate) fn host(&self) -> String {
        self.server.authority()
    }

    pub(crate) fn repository(&self, name: &str) -> Held {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(name).cloned().unwrap_or_default()
    }

    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Held)) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        change(held.entry(name.to_owned()).or_default());
    }
}

struct State {
    held: Arc<Mutex<BTreeMap<String, Held>>>,
    uploads: Mutex<BTreeMap<String, Vec<u8>>>,
    number: AtomicUsize,
    seen: Mutex<BTreeMap<String, usize>>,
    fault: Box<Fault>,
    ways: Ways,
}

fn error(status: u16, code: &str) -> Reply {
    Reply::new(status)
        .json(format!(r#"{{"errors":[{{"code":"{code}","message":"says the fake"}}]}}"#))
}

impl State {
    fn answer(&self, asked: &Asked) -> Reply {
        // Each session of an upload has a path of its own; its blob has not.
        let place = asked.query("digest").unwrap_or_else(|| asked.path().to_owned());
        let key = format!("{} {place}", asked.method);
        let before = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let count = seen.entry(key).or_default();
            *count += 1;
            *count - 1
        };
        if let Some(reply) = (self.fault)(asked, before) {
            // A marker: do it, and then answer so.
            if reply.headers.iter().any(|(name, _)| name == "X-Done") {
                let _ = self.serve(asked);
            }
            return reply;
        }
        if let Some(reply) = self.unknown(asked) {
            return reply;
        }
        self.serve(asked)
    }

    /// Asks who it is.
    fn unknown(&self, asked: &Asked) -> Option<Reply> {
        let given = asked.header("authorization");
        if let Some(realm) = &self.ways.realm {
            if asked.path() == "/token" {
                return Some(Reply::new(200).json(r#"{"token":"t0ken"}"#));
            }
            if given == Some("Bearer t0ken") {
                return None;
            }
            let challenge = format!(r#"Bearer realm="{realm}",service="fake",scope="x""#);
            return Some(error(401, "UNAUTHORIZED").header("WWW-Authenticate", challenge));
        }
        if let Some(basic) = &self.ways.basic {
            use base64::Engine as _;
            let wanted = base64::engine::general_purpose::STANDARD.encode(basic);
            if given == Some(&format!("Basic {wanted}")) {
                return None;
            }
            let challenge = "Basic realm=\"fake\"";
            return Some(error(401, "UNAUTHORIZED").header("WWW-Authenticate", challenge));
        }
        None
    }

    fn serve(&self, asked: &Asked) -> Reply {
        let path = asked.path();
        if path == "/v2/" {
            return Reply::new(200).json("{}");
        }
        if path == "/v2/_catalog" {
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let names: Vec<_> = held.keys().cloned().collect();
            return Reply::new(200).json(serde_json::json!({ "repositories": names }).to_string());
        }
        let Some(rest) = path.strip_prefix("/v2/") else { return error(404, "NOT_FOUND") };
        for (part, kind) in [
            ("/blobs/uploads/", 0),
            ("/blobs/", 1),
            ("/manifests/", 2),
            ("/referrers/", 3),
            ("/tags/", 4),
        ] {
            if let Some((name, reference)) = rest.split_once(part) {
                let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
                return match kind {
                    0 => self.upload(asked, &mut held, name, reference),
                    1 => self.blob(asked, &mut held, name, reference),
                    2 => self.manifest(asked, held.entry(name.to_owned()).or_default(), reference),
                    3 => self.referrers(held.entry(name.to_owned()).or_default(), reference),
                    _ => {
                        let tags: Vec<_> =
                            held.entry(name.to_owned()).or_default().tags.keys().cloned().collect();
                        Reply::new(200)
                            .json(serde_json::json!({"name":name,"tags":tags}).to_string())
                    }
                };
            }
        }
        error(404, "NOT_FOUND")
    }

    fn upload(
        &self,
        asked: &Asked,
        held: &mut BTreeMap<String, Held>,
        name: &str,
        session: &str,
    ) -> Reply {
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |session: &str| {
            let origin = self.ways.uploads_at.clone().unwrap_or_default();
            format!("{origin}/v2/{name}/blobs/uploads/{session}?state=x")
        };
        match &asked.method[..] {
            "POST" => {
                if let (Some(wanted), Some(from)) = (asked.query("mount"), asked.query("from"))
                    && !self.ways.no_mount
                    && let Some(bytes) = held.get(&from).and_then(|one| one.blobs.get(&wanted))
                {
                    let bytes = bytes.clone();
                    held.entry(name.to_owned()).or_default().blobs.insert(wanted, bytes);
                    return Reply::new(201);
                }
                let session = self.number.fetch_add(1, Ordering::SeqCst).to_string();
                uploads.insert(session.clone(), Vec::new());
                Reply::new(202).header("Location", at(&session))
            }
            "PATCH" => {
                let Some(bytes) = uploads.get_mut(session) else {
                    return error(404, "BLOB_UPLOAD_UNKNOWN");
                };
                bytes.extend_from_slice(&asked.body);
                let last = bytes.len().saturating_sub(1);
                Reply::new(202).header("Location", at(session)).header("Range", format!("0-{last}"))
            }
            "GET" => {
                let Some(bytes) = uploads.get(session) else {
                    return error(404, "BLOB_UPLOAD_UNKNOWN");
                };
                let last = bytes.len().saturating_sub(1);
                Reply::new(204).header("Location", at(session)).header("Range", format!("0-{last}"))
            }
            "PUT" => {
                let Some(mut bytes) = uploads.remove(session) else {
                    return error(404, "BLOB_UPLOAD_UNKNOWN");
                };
                bytes.extend_from_slice(&asked.body);
                let own = digest(&bytes);
                if asked.query("digest").as_deref() != Some(&own) {
                    return error(400, "DIGEST_INVALID");
                }
                held.entry(name.to_owned()).or_default().blobs.insert(own.clone(), bytes);
                Reply::new(201).header("Docker-Content-Digest", own)
            }
            _ => error(405, "UNSUPPORTED"),
        }
    }

    fn blob(
        &self,
        asked: &Asked,
        held: &mut BTreeMap<String, Held>,
        name: &str,
        digest: &str,
    ) -> Reply {
        let Some(bytes) = held.get(name).and_then(|held| held.blobs.get(digest)) else {
            return error(404, "BLOB_UNKNOWN");
        };
        if let (Some(origin), "GET") = (&self.ways.blobs_at, &asked.method[..]) {
            let place = format!("{origin}{}?signature=s3cret", asked.path());
            return Reply::new(307).header("Location", place);
        }
        let from = asked.header("range").and_then(|range| {
            range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok()
        });
        let reply = match from {
            Some(from) => Reply::new(206).header(
                "Content-Range",
                format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len()),
            ),
            None => Reply::new(200),
        };
        reply.header("Content-Type", "application/octet-stream").body(&bytes[from.unwrap_or(0)..])
    }

    fn manifest(&self, asked: &Asked, held: &mut Held, reference: &str) -> Reply {
        if asked.method == "DELETE" {
            if self.ways.no_delete {
                return error(405, "UNSUPPORTED");
            }
            held.tags.retain(|_, digest| digest != reference);
            return match held.manifests.remove(reference) {
                Some(_) => Reply::new(202),
                None => error(404, "MANIFEST_UNKNOWN"),
            };
        }
        if asked.method == "PUT" {
            let own = digest(&asked.body);
            if reference.starts_with("sha256:") && reference != own {
                return error(400, "DIGEST_INVALID");
            }
            let Ok(document) = serde_json::from_slice::<serde_json::Value>(&asked.body) else {
                return error(400, "MANIFEST_INVALID");
            };
            // What is named must be there, as registries demand.
            let blobs = document["layers"].as_array().into_iter().flatten();
            for blob in blobs.chain(document.get("config")) {
                if !held.blobs.contains_key(blob["digest"].as_str().unwrap_or_default()) {
                    return error(404, "MANIFEST_BLOB_UNKNOWN");
                }
            }
            for child in document["manifests"].as_array().into_iter().flatten() {
                if !held.manifests.contains_key(child["digest"].as_str().unwrap_or_default()) {
                    return error(404, "MANIFEST_UNKNOWN");
                }
            }
            if self.ways.immutable && held.tags.get(reference).is_some_and(|old| *old != own) {
                return error(412, "DENIED");
            }
            let kind = asked.header("content-type").unwrap_or_default().to_owned();
            held.manifests.insert(own.clone(), (kind, asked.body.clone()));
            if !reference.starts_with("sha256:") {
                held.tags.insert(reference.to_owned(), own.clone());
            }
            let mut reply = Reply::new(201).header("Docker-Content-Digest", own);
            if let Some(subject) = document["subject"]["digest"].as_str()
                && self.ways.referrers
            {
                reply = reply.header("OCI-Subject", subject);
            }
            return reply;
        }
        let own = held.tags.get(reference).cloned().unwrap_or_else(|| reference.to_owned());
        match held.manifests.get(&own) {
            Some((kind, bytes)) => Reply::new(200)
                .header("Content-Type", kind)
                .header("Docker-Content-Digest", own)
                .body(bytes.clone()),
            None => error(404, "MANIFEST_UNKNOWN"),
        }
    }

    fn referrers(&self, held: &Held, subject: &str) -> Reply {
        if !self.ways.referrers {
            return Reply::new(404).header("Content-Type", "text/plain").body("404 page not found");
        }
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for (digest, (kind, bytes)) in &held.manifests {
            let document: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
            if document["subject"]["digest"] == subject && seen.insert(digest) {
                found.push(serde_json::json!({
                    "mediaType": kind, "digest": digest, "size": bytes.len(),
                    "artifactType": document["artifactType"],
                }));
            }
        }
        Reply::new(200).header("Content-Type", "application/vnd.oci.image.index.v1+json").body(
            serde_json::json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "manifests": found,
            })
            .to_string(),
        )
    }
}
