//! What has changed since something was approved, at its makers and where it went.

use super::{MirrorError, ends, lost, target};
use crate::advisory::{DatabaseError, Matched, State as Affected};
use crate::approval::{Approvals, Artifact};
use crate::bom::Detail;
use crate::finding::Severity;
use crate::image::graph::Document;
use crate::oci::document::{Index, MAX_MANIFESTS};
use crate::oci::{Digest, Platform, Reference};
use crate::pipeline::sbom::{self, Described, SbomError};
use crate::pipeline::scan;
use crate::pipeline::transfer::{self, Origin};
use crate::policy::Advised;
use crate::registry::{Purpose, Registries, RegistryError, Repository, fallback_tag};
use crate::settings::{DriftState as State, Requirement};
use crate::time::{Date, Epoch};
use crate::verify::{self, Trust};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The most tags of one repository of which each is looked at.
const MAX_TAGS: usize = 10_000;
/// How many names a note repeats.
const SHOWN: usize = 5;

/// Why something was not looked up in a database.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ScanError {
    #[error(transparent)]
    Sbom(#[from] SbomError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// What differs of one approval, each state with what was seen. Empty states mean nothing
/// does.
#[derive(Debug, Default, Serialize)]
pub struct Drift {
    /// The states, with what was seen.
    pub states: BTreeMap<State, Vec<String>>,
}

impl Drift {
    fn note(&mut self, state: State, what: impl Into<String>) {
        self.states.entry(state).or_default().push(what.into());
    }
}

/// Something in a target that no approval explains.
#[derive(Debug, Serialize)]
pub struct Stray {
    /// `HOST/REPO`.
    pub place: String,
    /// What it is.
    pub digest: Digest,
    /// The tags that lead to it.
    pub tags: Vec<String>,
}

/// Compares an approval with what is at its makers and where it went. With a database, what is
/// where it went is looked up in it.
///
/// # Errors
/// When one of the two registries does not answer, or something cannot be read.
pub fn check(
    registries: &Registries,
    artifact: &Artifact,
    trust: &Trust,
    advised: Option<Advised<'_>>,
    today: Date,
) -> Result<Drift, MirrorError> {
    let mut drift = Drift::default();
    if !artifact.holds_on(today) {
        drift.note(State::ExpiredApproval, format!("the approval ended on {}", artifact.expires));
    }
    let here = target(registries, artifact)?;
    let is_here = here.head(&artifact.digest.to_string())?.is_some();
    if is_here {
        of_target(registries, artifact, trust, &here, &mut drift)?;
    } else {
        drift.note(State::NotCopied, format!("`{}` does not have it", artifact.target));
    }
    of_source(registries, artifact, trust, &here, is_here, &mut drift)?;
    if let Some(advised) = advised.filter(|_| is_here) {
        vulnerabilities(registries, artifact, advised, &mut drift)?;
    }
    if drift.states.is_empty() {
        drift.states.insert(State::InSync, Vec::new());
    }
    Ok(drift)
}

/// Looks at the place where it went: its tag, and who has signed what is there.
fn of_target(
    registries: &Registries,
    artifact: &Artifact,
    trust: &Trust,
    here: &Repository,
    drift: &mut Drift,
) -> Result<(), MirrorError> {
    let tag = artifact.target_tag();
    match here.head(&tag)? {
        Some(found) if found == artifact.digest => {}
        Some(found) => {
            drift.note(State::TagDrift, format!("`{}:{tag}` leads to {found}", artifact.target));
        }
        None => drift.note(State::TagDrift, format!("`{}:{tag}` is gone", artifact.target)),
    }
    let (_, destination) = ends(artifact)?;
    let by_digest = at_digest(&destination, artifact.digest);
    let origin = transfer::open(registries, &by_digest, true, true)?;
    if let Signed::No(why) | Signed::ByOthers(why) = signed(&origin, trust)? {
        let place = &artifact.target;
        drift.note(State::SignatureLost, format!("in `{place}` it is not signed: {why}"));
    }
    Ok(())
}

/// Looks at its makers: whether it is still there, where the tag leads, and who signs now.
fn of_source(
    registries: &Registries,
    artifact: &Artifact,
    trust: &Trust,
    here: &Repository,
    is_here: bool,
    drift: &mut Drift,
) -> Result<(), MirrorError> {
    let (source, _) = ends(artifact)?;
    match transfer::open(registries, &source, true, true) {
        Ok(origin) => {
            match signed(&origin, trust)? {
                Signed::Yes => {}
                Signed::ByOthers(why) => {
                    drift.note(State::SignerChanged, format!("at its makers: {why}"));
                }
                Signed::No(why) => {
                    drift.note(State::SignatureLost, format!("at its makers: {why}"));
                }
            }
            let lost = if is_here { lost(&origin, here)? } else { Vec::new() };
            if !lost.is_empty() {
                let names = lost.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
                let text = format!(
                    "{} of what refers to it is not in `{}`: {names}",
                    lost.len(),
                    artifact.target
                );
                drift.note(State::SignatureLost, text);
            }
        }
        Err(error) if is_missing(&error) => {
            drift.note(State::GoneUpstream, format!("`{source}` is gone"));
        }
        Err(error) => return Err(error.into()),
    }
    let Some(tagged) = artifact.tagged() else { return Ok(()) };
    let origin = match transfer::open(registries, &tagged, false, true) {
        Ok(origin) => origin,
        Err(error) if is_missing(&error) => {
            drift.note(State::GoneUpstream, format!("the tag `{tagged}` is gone"));
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let now = origin.root.digest;
    if now == artifact.digest {
        return Ok(());
    }
    let differ = difference(&artifact.platforms, &super::platforms(&origin)?);
    drift.note(State::TagMoved, format!("`{tagged}` leads to {now} now: {differ}"));
    if let Signed::ByOthers(why) | Signed::No(why) = signed(&origin, trust)? {
        drift.note(State::SignerChanged, format!("{now}, to which the tag leads now: {why}"));
    }
    Ok(())
}

fn at_digest(reference: &Reference, digest: Digest) -> Reference {
    match reference {
        Reference::Registry { host, repository, .. } => Reference::Registry {
            host: host.clone(),
            repository: repository.clone(),
            tag: None,
            digest: Some(digest),
        },
        other => other.clone(),
    }
}

fn is_missing(error: &transfer::TransferError) -> bool {
    matches!(error, transfer::TransferError::Registry(RegistryError::Missing(_)))
}

/// Says in which platforms two images differ.
fn difference(before: &BTreeMap<Platform, Digest>, now: &BTreeMap<Platform, Digest>) -> String {
    let list = |names: Vec<&Platform>, what: &str| {
        let names: Vec<_> = names.into_iter().map(Platform::to_string).collect();
        (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
    };
    let changed =
        before.iter().filter(|(name, digest)| now.get(name).is_some_and(|other| other != *digest));
    let gone = before.keys().filter(|name| !now.contains_key(name));
    let new = now.keys().filter(|name| !before.contains_key(name));
    let parts = [
        list(changed.map(|(name, _)| name).collect(), "other bytes for"),
        list(new.collect(), "new:"),
        list(gone.collect(), "gone:"),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => "the platforms are the same".to_owned(),
        false => parts.join("; "),
    }
}

/// Whether something is signed by whom it must be.
enum Signed {
    Yes,
    /// There are signatures, and none counts.
    ByOthers(String),
    /// There is none.
    No(String),
}

fn signed(origin: &Origin, trust: &Trust) -> Result<Signed, MirrorError> {
    let require = [Requirement::Signature];
    let verification = verify::signed(&origin.stored, &origin.root, trust, &require)
        .map_err(transfer::TransferError::from)?;
    if verification.accepted_as_whole() {
        return Ok(Signed::Yes);
    }
    let candidates = verification.subjects.iter().flat_map(|subject| &subject.candidates);
    let refused: Vec<_> = candidates.filter_map(|one| one.refused.as_ref()).collect();
    Ok(match refused.first() {
        None => Signed::No("it has no signature".to_owned()),
        Some(first) => {
            let count = refused.len();
            Signed::ByOthers(format!("none of {count} signatures is by {trust}: {first}"))
        }
    })
}

/// Looks up what is where it went.
fn vulnerabilities(
    registries: &Registries,
    artifact: &Artifact,
    Advised { database, statements }: Advised<'_>,
    drift: &mut Drift,
) -> Result<(), MirrorError> {
    let (_, destination) = ends(artifact)?;
    let by_digest = at_digest(&destination, artifact.digest);
    let origin = transfer::open(registries, &by_digest, true, false)?;
    let mut above: BTreeSet<String> = BTreeSet::new();
    for platform in artifact.platforms.keys() {
        let name = artifact.target.clone();
        let (stored, root) = (&origin.stored, &origin.root);
        let (epoch, detail) = (Epoch::default(), Detail::Software);
        let described = sbom::opened(name, stored, root, Some(platform), epoch, detail);
        let Described::One(bom, _, files) = described.map_err(ScanError::from)? else { continue };
        let found = scan::scan(&bom, &files, database, statements).map_err(ScanError::from)?;
        let is_above = |one: &&Matched| is_above(one, artifact.max_severity);
        above.extend(found.found.iter().filter(is_above).map(|one| {
            let severity = one.severity.map_or("unknown".to_owned(), |one| one.to_string());
            let id = one.ids.first().map(String::as_str).unwrap_or_default();
            format!("{id} in {} {}, {severity}", one.name, one.version)
        }));
    }
    for one in above {
        drift.note(State::NewVulnerabilities, one);
    }
    Ok(())
}

/// Says whether a vulnerability is open and worse than what was approved; one that nobody has
/// rated is.
fn is_above(matched: &Matched, most: Severity) -> bool {
    let open = matched.state == Affected::Open && matched.notice.is_none();
    open && matched.severity.is_none_or(|severity| severity > most)
}

/// Finds what is in the targets and what no approval explains.
///
/// # Errors
/// When a registry does not answer.
pub fn strays(registries: &Registries, approvals: &Approvals) -> Result<Vec<Stray>, MirrorError> {
    let mut places: BTreeMap<&str, BTreeSet<Digest>> = BTreeMap::new();
    for artifact in &approvals.artifacts {
        places.entry(&artifact.target).or_default().insert(artifact.digest);
    }
    let mut strays = Vec::new();
    for (place, approved) in places {
        let Some((host, name)) = place.split_once('/') else { continue };
        let repository = registries.open(host, name, Purpose::Pull, None)?;
        let tags = match repository.tags() {
            Ok(tags) => tags,
            // Nothing was copied there yet.
            Err(RegistryError::Missing(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        if tags.len() > MAX_TAGS {
            let (host, limit) = (host.to_owned(), MAX_TAGS);
            return Err(RegistryError::Many { host, what: "tags", limit }.into());
        }
        let known = with_platforms(&repository, &approved)?;
        // Lists of referrers and signatures in cosign's old form are about a digest.
        let about: BTreeSet<String> = known.iter().map(fallback_tag).collect();
        let mut found: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
        for tag in tags {
            let subject = tag.split_once('.').map_or(tag.as_str(), |(front, _)| front);
            if about.contains(subject) {
                continue;
            }
            if let Some(digest) = repository.head(&tag)?
                && !known.contains(&digest)
            {
                found.entry(digest).or_default().push(tag);
            }
        }
        let stray = |(digest, tags)| Stray { place: place.to_owned(), digest, tags };
        strays.extend(found.into_iter().map(stray));
    }
    Ok(strays)
}

/// Adds the digests of what an index lists.
fn with_platforms(
    repository: &Repository,
    approved: &BTreeSet<Digest>,
) -> Result<BTreeSet<Digest>, MirrorError> {
    let mut known = approved.clone();
    for digest in approved {
        let document = match repository.manifest(digest) {
            Ok(document) => document,
            Err(RegistryError::Missing(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        known.extend(listed(&document));
    }
    Ok(known)
}

fn listed(document: &Document) -> Vec<Digest> {
    let is_index = document.descriptor.media_type.is_index();
    let index = is_index.then(|| Index::parse(&document.bytes, MAX_MANIFESTS).ok()).flatten();
    let manifests = index.into_iter().flat_map(|index| index.manifests);
    manifests.map(|one| one.digest).collect()
}
