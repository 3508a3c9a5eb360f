//! What a registry can do and lets do, tried out before anything depends on it: writing, reading
//! back, referrers, tags that stay or move, mounting, deleting.
//!
//! Everything that is written is small, new, and taken away again as far as the registry lets
//! that be done.

use crate::http::Fault;
use crate::oci::document::Manifest;
use crate::oci::{Descriptor, Digest, MediaType};
use crate::registry::{
    BlobSent, Bytes, Document, Purpose, Registries, RegistryError, Repository, fallback_tag,
};
use crate::sign::EMPTY;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Read};

/// The type of the artifacts that are written.
const ARTIFACT: &str = "application/vnd.karat.doctor.v1";

/// What is tried out.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// `HOST[:PORT]`.
    pub host: &'a str,
    /// The repository on it.
    pub name: &'a str,
    /// Another repository of the same host, that blobs are mounted from.
    pub mount_from: Option<&'a str>,
    /// Whether the policy wants tags to stay.
    pub immutable_tags: bool,
    /// What no earlier run had: names and bytes are made of it.
    pub stamp: &'a str,
}

/// What came out of one try.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What was tried.
    pub what: &'static str,
    /// Whether it will do.
    pub state: State,
    /// What happened.
    pub message: String,
    /// What helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<&'static str>,
}

/// Whether something will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It will.
    Ok,
    /// Publishing goes without it.
    Warning,
    /// Publishing would fail.
    Failed,
}

/// A few bytes.
struct Small(Vec<u8>);

impl Bytes for Small {
    fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }

    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
        Ok(Box::new(&self.0[offset..]))
    }
}

/// Tries out a repository. Stops at what everything later would need.
///
/// # Errors
/// When the registry is not reached, does not let us in, or does not answer.
pub fn registry(registries: &Registries, asked: &Asked<'_>) -> Result<Vec<Check>, RegistryError> {
    let repository = registries.open(asked.host, asked.name, Purpose::Push, None)?;
    let mut trial = Trial { repository, asked, checks: Vec::new(), written: Vec::new() };
    trial.ok("reach", format!("`{}` answers", asked.host));
    let run = trial.run(registries);
    let cleaned = trial.clean();
    run.and(cleaned)?;
    Ok(trial.checks)
}

/// Tells what a registry refuses from what went wrong on the way.
fn refused<T>(result: Result<T, RegistryError>) -> Result<Result<T, RegistryError>, RegistryError> {
    match result {
        Ok(done) => Ok(Ok(done)),
        Err(RegistryError::Http(error)) => match error.fault {
            Fault::Status { code: 400..=499, .. } if !error.is_transient() => {
                Ok(Err(RegistryError::Http(error)))
            }
            _ => Err(RegistryError::Http(error)),
        },
        Err(error @ (RegistryError::Write(_) | RegistryError::Missing(_))) => Ok(Err(error)),
        Err(error) if error.is_judgement() => Ok(Err(error)),
        Err(error) => Err(error),
    }
}

fn has_status(error: &RegistryError, wanted: u16) -> bool {
    let http = error.http().map(|http| &http.fault);
    matches!(http, Some(Fault::Status { code, .. }) if *code == wanted)
}

struct Trial<'a> {
    repository: Repository,
    asked: &'a Asked<'a>,
    checks: Vec<Check>,
    /// The manifests that were written.
    written: Vec<Digest>,
}

impl Trial<'_> {
    fn say(&mut self, what: &'static str, state: State, message: String, help: &'static str) {
        let help = Some(help).filter(|help| !help.is_empty());
        self.checks.push(Check { what, state, message, help });
    }

    fn ok(&mut self, what: &'static str, message: impl Into<String>) {
        self.say(what, State::Ok, message.into(), "");
    }

    fn failed(&mut self, what: &'static str, error: &RegistryError, help: &'static str) {
        self.say(what, State::Failed, error.to_string(), help);
    }

    fn run(&mut self, registries: &Registries) -> Result<(), RegistryError> {
        let blob = Small(format!("karat doctor {}\n", self.asked.stamp).into_bytes());
        for bytes in [&Small(EMPTY.to_vec()), &blob] {
            if let Err(error) = refused(self.repository.put_blob(bytes, None))? {
                self.failed("write", &error, "ask whoever runs the registry for the right to push");
                return Ok(());
            }
        }
        self.ok("write", "blobs are taken");
        let Some(subject) = self.untagged(&blob)? else { return Ok(()) };
        self.referrers(&blob, &subject)?;
        self.tags(&blob, &subject)?;
        self.mount(registries)
    }

    /// Makes a manifest of an artifact, other than those of other numbers.
    fn manifest(&self, blob: &Small, number: u8, subject: Option<&Document>) -> Document {
        let mut annotations = BTreeMap::new();
        annotations.insert("karat.doctor".to_owned(), number.to_string());
        let bytes = Manifest {
            schema_version: 2,
            media_type: Some(MediaType::MANIFEST),
            artifact_type: Some(MediaType::from(ARTIFACT.to_owned())),
            config: Descriptor::of(MediaType::EMPTY, EMPTY),
            layers: vec![Descriptor::of(MediaType::from("text/plain".to_owned()), &blob.0)],
            subject: subject.map(|document| document.descriptor.bare()),
            annotations,
        }
        .to_bytes();
        Document { descriptor: Descriptor::of(MediaType::MANIFEST, &bytes), bytes }
    }

    /// Writes a manifest that has no tag, and reads it back.
    fn untagged(&mut self, blob: &Small) -> Result<Option<Document>, RegistryError> {
        let document = self.manifest(blob, 0, None);
        let digest = document.descriptor.digest;
        if let Err(error) = refused(self.repository.put(&digest.to_string(), &document))? {
            self.failed("manifest", &error, "karat writes manifests by digest, and tags last: ask whoever runs the registry to allow artifacts and manifests without a tag");
            return Ok(None);
        }
        self.written.push(digest);
        match refused(self.repository.check_written(&document))? {
            Ok(()) => {
                self.ok("manifest", "a manifest without a tag is taken and given back");
                self.say(
                    "retention",
                    State::Warning,
                    "whether manifests without a tag are kept cannot be seen from here".to_owned(),
                    "signatures have no tag: make sure that no rule of the registry removes what is untagged",
                );
                Ok(Some(document))
            }
            Err(error) if has_status(&error, 412) => {
                self.failed("manifest", &error, "the registry gives out only what is signed already (in Harbor: the project's deployment security, \"Cosign\"): switch that off for this project");
                Ok(None)
            }
            Err(error) => {
                self.failed("manifest", &error, "what was written cannot be read: ask whoever runs the registry for the right to pull");
                Ok(None)
            }
        }
    }

    /// Writes two manifests that refer to another, and looks for both.
    fn referrers(&mut self, blob: &Small, subject: &Document) -> Result<(), RegistryError> {
        const HELP: &str = "signatures and SBOMs are referrers: where the registry does not list them, karat keeps the list under the tag `sha256-…`, which must be free to move: exempt it from rules of immutable tags";
        let root = subject.descriptor.digest;
        let has_api = self.repository.has_referrers_api(&root)?;
        for number in [1, 2] {
            let referrer = self.manifest(blob, number, Some(subject));
            let digest = referrer.descriptor.digest;
            if let Err(error) = refused(self.repository.put_referrer(&referrer))? {
                self.failed("referrers", &error, HELP);
                return Ok(());
            }
            self.written.push(digest);
        }
        let listed = match refused(self.repository.referrers(&root))? {
            Ok(listed) => listed,
            Err(error) => {
                self.failed("referrers", &error, HELP);
                return Ok(());
            }
        };
        let found = self.written.iter().skip(1);
        let missing = found.filter(|own| !listed.iter().any(|one| one.digest == **own)).count();
        match (missing, has_api) {
            (0, true) => self.ok("referrers", "the registry lists what refers to an image"),
            (0, false) => self.say(
                "referrers",
                State::Warning,
                "the registry does not list what refers to an image; karat keeps the list under the tag `sha256-…`, and that tag moves".to_owned(),
                "nothing has to be done; others who sign at the same moment may undo each other's entries",
            ),
            (missing, _) => {
                let message = format!("{missing} of 2 referrers that were written are not listed");
                self.say("referrers", State::Failed, message, HELP);
            }
        }
        Ok(())
    }

    /// Writes a tag, and moves it.
    fn tags(&mut self, blob: &Small, first: &Document) -> Result<(), RegistryError> {
        let tag = format!("karat-doctor-{}", self.asked.stamp);
        if let Err(error) = refused(self.repository.put(&tag, first))? {
            self.failed(
                "tag",
                &error,
                "ask whoever runs the registry for the right to create tags",
            );
            return Ok(());
        }
        self.ok("tag", "a tag is taken");
        let second = self.manifest(blob, 3, None);
        let moved = refused(self.repository.put(&tag, &second))?;
        let leads = self.repository.head(&tag)?;
        if leads == Some(second.descriptor.digest) {
            self.written.push(second.descriptor.digest);
        }
        match (moved, self.asked.immutable_tags) {
            (Ok(()), _) if leads != Some(second.descriptor.digest) => self.say(
                "tag-moves",
                State::Failed,
                "the registry takes a tag for another manifest, and leaves it where it was".to_owned(),
                "nobody can rely on its answers: ask whoever runs it",
            ),
            (Ok(()), true) => self.say(
                "tag-moves",
                State::Warning,
                "tags can be moved; karat does not move them, others can".to_owned(),
                "the policy says `immutable-tags`: make a rule of the registry for it too, with an exception for `sha256-*`",
            ),
            (Ok(()), false) => self.ok("tag-moves", "tags can be moved, and the policy does not mind"),
            (Err(_), _) => self.ok("tag-moves", "the registry does not let tags be moved"),
        }
        Ok(())
    }

    /// Writes a blob to another repository, and lets the registry take it from there.
    fn mount(&mut self, registries: &Registries) -> Result<(), RegistryError> {
        let Some(from) = self.asked.mount_from else { return Ok(()) };
        const HELP: &str = "copies within the registry send every byte again";
        let blob = Small(format!("karat doctor mounts {}\n", self.asked.stamp).into_bytes());
        let Asked { host, name, .. } = *self.asked;
        let done = registries.open(host, from, Purpose::Push, None).and_then(|other| {
            other.put_blob(&blob, None)?;
            let own = registries.open(host, name, Purpose::Push, Some(from))?;
            own.put_blob(&blob, Some(from))
        });
        match refused(done)? {
            Ok(BlobSent::Mounted) => self.ok("mount", format!("blobs are mounted from `{from}`")),
            Ok(_) => {
                let message = format!("blobs are not mounted from `{from}`");
                self.say("mount", State::Warning, message, HELP);
            }
            Err(error) => self.say("mount", State::Warning, error.to_string(), HELP),
        }
        Ok(())
    }

    /// Takes away what was written.
    fn clean(&mut self) -> Result<(), RegistryError> {
        let Some(root) = self.written.first().copied() else { return Ok(()) };
        let mut left = Vec::new();
        // The list of referrers, where we keep it, goes with what it is about.
        let list = refused(self.repository.head(&fallback_tag(&root)))?.unwrap_or_default();
        let list = list.filter(|digest| *digest != root);
        for digest in self.written.iter().rev().chain(&list) {
            if let Err(error) = refused(self.repository.delete(digest))? {
                left.push(error);
            }
        }
        match left.first() {
            None => self.ok("delete", "what was written is gone again"),
            Some(error) => {
                let message = format!(
                    "{} of the manifests that were written are still there: {error}",
                    left.len()
                );
                self.say("delete", State::Warning, message, "publishing does not need it; remove the tags `karat-doctor-…` by hand where they disturb");
            }
        }
        Ok(())
    }
}
