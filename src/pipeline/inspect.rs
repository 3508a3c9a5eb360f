//! Looking at what somebody else has made: an image in a layout or an archive, a folder, or
//! a file.

use super::known::{self, Known};
use crate::advisory::DatabaseError;
use crate::advisory::scanner::Identity;
use crate::archive::Limits;
use crate::bom;
use crate::finding::report::{Report, Subject, Verdict};
use crate::finding::{Finding, rules};
use crate::image::Image;
use crate::image::folder::{self, FolderError};
use crate::image::stored::{Stored, StoredError};
use crate::inspect::{self, Ahead, Rules};
use crate::oci::document::{Config, Manifest};
use crate::oci::{Descriptor, DiffId, Reference};
use crate::policy::{self, Cleared, Terms};
use crate::store::{Content, SpoolError, SpoolRoom};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The largest lone file that is inspected, in bytes.
pub(super) const MAX_FILE: u64 = 4 << 30;

/// What the layers of an image keep in memory, in bytes: less than inputs, for their entries
/// and the window of a zstd layer need room too.
pub(super) const LAYERS: usize = 12 << 20;

/// Why nothing could be inspected.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InspectError {
    #[error(transparent)]
    Stored(#[from] StoredError),
    #[error("this version of karat does not inspect `{0}`")]
    Unsupported(Reference),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("the folder `{0}` is empty")]
    Empty(String),
    #[error("`{path}` is neither a file nor a folder")]
    Special { path: String },
    #[error("`{path}`: {error}")]
    File { path: String, error: SpoolError },
    #[error("`{path}`: {error}")]
    Open { path: String, error: io::Error },
    #[error("the database of advisories: {0}")]
    Database(#[from] DatabaseError),
}

/// What was found of an image, and the proof that it passed, where it did.
#[derive(Debug)]
pub struct Judgement {
    /// The report.
    pub report: Report,
    /// The proof; below an index that of every platform.
    pub cleared: Option<Cleared<()>>,
}

impl Judgement {
    fn of(report: Report, cleared: Option<Cleared<()>>) -> Self {
        Self { report, cleared }
    }
}

/// Inspects what a reference names and judges it.
///
/// # Errors
/// When it cannot be found or opened. What is there and cannot be read in one way only is
/// a finding.
pub fn inspect(reference: &Reference, terms: &Terms<'_>) -> Result<Report, InspectError> {
    std::thread::scope(|scope| {
        // The tables are read while the first bytes are.
        scope.spawn(inspect::prepare);
        Ok(inspected(reference, terms)?.report)
    })
}

/// Inspects an image that was opened already, in a registry for one, and judges it.
///
/// # Errors
/// When it cannot be read. What is there and cannot be read in one way only is a finding.
pub fn opened(
    reference: &Reference,
    stored: &Stored,
    root: &Descriptor,
    terms: &Terms<'_>,
) -> Result<Judgement, InspectError> {
    std::thread::scope(|scope| {
        scope.spawn(inspect::prepare);
        of_root(reference, stored, root, terms)
    })
}

fn inspected(reference: &Reference, terms: &Terms<'_>) -> Result<Judgement, InspectError> {
    let opened = match Stored::open(reference) {
        Ok(opened) => opened,
        Err(error) if error.is_judgement() => {
            return Ok(unreadable(reference, terms, None, &error));
        }
        // A tar that is no image is a file like any other.
        Err(StoredError::NoLayout(_)) if matches!(reference, Reference::Path(_)) => None,
        Err(error) => return Err(error.into()),
    };
    match (opened, reference) {
        (Some(stored), _) => image(reference, &stored, terms),
        (None, Reference::Path(_)) => file(reference, terms),
        (None, other) => Err(InspectError::Unsupported(other.clone())),
    }
}

fn report(
    reference: &Reference,
    terms: &Terms<'_>,
    findings: Vec<Finding>,
    accepted: bool,
) -> Report {
    Report {
        schema: Report::SCHEMA,
        subject: Subject { reference: reference.to_string(), digest: None, platform: None },
        policy: super::policy_name(terms),
        rules: inspect::rule_set(),
        verdict: if accepted { Verdict::Accepted } else { Verdict::Rejected },
        findings,
        packages: Vec::new(),
        vulnerabilities: Vec::new(),
        database: None,
        scanner_reports: Vec::new(),
        images: Vec::new(),
    }
}

fn unreadable(
    reference: &Reference,
    terms: &Terms<'_>,
    descriptor: Option<&Descriptor>,
    error: &StoredError,
) -> Judgement {
    let finding = error.finding();
    let mut report = report(reference, terms, vec![finding], false);
    report.subject.digest = descriptor.map(|descriptor| descriptor.digest);
    Judgement::of(report, None)
}

fn image(
    reference: &Reference,
    stored: &Stored,
    terms: &Terms<'_>,
) -> Result<Judgement, InspectError> {
    let tag = match reference {
        Reference::Layout { tag, .. } => tag.as_deref(),
        _ => None,
    };
    if stored.index.manifests.is_empty() && !stored.saved.is_empty() {
        return saved(reference, stored, terms);
    }
    // What else is wrong shows when the image is read.
    if let Err(error @ StoredError::TwoImages(_)) = stored.check_saved() {
        return Ok(unreadable(reference, terms, None, &error));
    }
    of_root(reference, stored, stored.image(tag)?, terms)
}

fn of_root(
    reference: &Reference,
    stored: &Stored,
    root: &Descriptor,
    terms: &Terms<'_>,
) -> Result<Judgement, InspectError> {
    let manifests = match stored.manifests(root) {
        Ok(manifests) => manifests,
        Err(error) if error.is_judgement() => {
            return Ok(unreadable(reference, terms, Some(root), &error));
        }
        Err(error) => return Err(error.into()),
    };
    let mut all = Vec::new();
    for descriptor in &manifests {
        let mut ahead = Ahead::default();
        let (room, limits) = (SpoolRoom::of(LAYERS), Limits::default());
        let read = stored.read_observed(descriptor, &room, &limits, &mut ahead);
        let mut one = match read {
            Ok(image) => {
                let identity = identity(stored, root, descriptor, &image, terms)?;
                judged(reference, terms, &identity, &image, &ahead)?
            }
            Err(error) if error.is_judgement() => {
                unreadable(reference, terms, Some(descriptor), &error)
            }
            Err(error) => return Err(error.into()),
        };
        if one.report.subject.platform.is_none() {
            one.report.subject.platform =
                descriptor.platform.as_ref().and_then(|known| known.known()).map(|p| p.to_string());
        }
        all.push(one);
    }
    if !root.media_type.is_index()
        && let Some(only) = all.pop()
    {
        return Ok(only);
    }
    let mut whole = whole(reference, terms, all);
    whole.report.subject.digest = Some(root.digest);
    Ok(whole)
}

/// Returns what reports of other scanners must be about.
fn identity(
    stored: &Stored,
    root: &Descriptor,
    descriptor: &Descriptor,
    image: &Image,
    terms: &Terms<'_>,
) -> Result<Identity, InspectError> {
    let manifest = descriptor.digest;
    let mut config = manifest;
    // Of an image in a registry the manifest comes once more: only for whoever needs it.
    if !terms.reports().reports.is_empty() {
        let bytes = stored.manifest_bytes(descriptor)?;
        config = Manifest::parse(&bytes).map_err(StoredError::from)?.config.digest;
    }
    let index = root.media_type.is_index().then_some(root.digest);
    Ok(Identity { manifest, config, index, diff_ids: diff_ids(image) })
}

fn diff_ids(image: &Image) -> Vec<DiffId> {
    image.layers.iter().filter_map(|layer| layer.diff_id).collect()
}

/// Inspects an image of a platform that was read.
fn judged(
    reference: &Reference,
    terms: &Terms<'_>,
    identity: &Identity,
    image: &Image,
    ahead: &Ahead,
) -> Result<Judgement, InspectError> {
    let platform = image.config.platform().known();
    let rules = Rules { platform: platform.clone(), ..Rules::default() };
    let inspected = inspect::image(image, &rules, ahead);
    let bom = bom::describe(image, &[], detail(terms));
    let known = known::known(&bom, &known::executables(image, &bom), Some(identity), terms)?;
    let mut one = judged_with(inspected, &identity.diff_ids, known, reference, terms);
    one.report.subject.digest = Some(identity.manifest);
    one.report.subject.platform = platform.map(|platform| platform.to_string());
    one.report.packages = super::packages(&bom);
    Ok(one)
}

/// Judges what was inspected and looked up.
fn judged_with<T>(
    inspected: inspect::Inspected<T>,
    diff_ids: &[DiffId],
    mut known: Known,
    reference: &Reference,
    terms: &Terms<'_>,
) -> Judgement {
    let further = std::mem::take(&mut known.findings);
    let judged = policy::judge(inspected, diff_ids, further, terms);
    let known = known.waived(&judged.findings);
    let mut report = report(reference, terms, judged.findings, judged.cleared.is_some());
    report.vulnerabilities = known.vulnerabilities;
    report.database = known.database;
    report.scanner_reports = known.reports;
    Judgement::of(report, judged.cleared.map(Cleared::forget))
}

/// Inspects the images that `docker load` finds in an archive that is no layout.
fn saved(
    reference: &Reference,
    stored: &Stored,
    terms: &Terms<'_>,
) -> Result<Judgement, InspectError> {
    let mut all = Vec::new();
    for image in &stored.saved {
        let mut ahead = Ahead::default();
        let (room, limits) = (SpoolRoom::of(LAYERS), Limits::default());
        match stored.read_saved(image, &room, &limits, &mut ahead) {
            Ok((digest, image)) => {
                let diff_ids = diff_ids(&image);
                let identity = Identity { manifest: digest, config: digest, index: None, diff_ids };
                all.push(judged(reference, terms, &identity, &image, &ahead)?);
            }
            Err(error) if error.is_judgement() => {
                all.push(unreadable(reference, terms, None, &error));
            }
            Err(error) => return Err(error.into()),
        }
    }
    match <[Judgement; 1]>::try_from(all) {
        Ok([only]) => Ok(only),
        Err(all) => Ok(whole(reference, terms, all)),
    }
}

/// Gathers what was found of several images: they passed if all did.
fn whole(reference: &Reference, terms: &Terms<'_>, all: Vec<Judgement>) -> Judgement {
    let (reports, cleared): (Vec<_>, Vec<_>) =
        all.into_iter().map(|one| (one.report, one.cleared)).unzip();
    // Of one platform the proof is as good as of another: there is one of each.
    let cleared: Option<Vec<_>> = cleared.into_iter().collect();
    let cleared = cleared.and_then(|mut all| all.pop());
    let mut whole = report(reference, terms, Vec::new(), cleared.is_some());
    whole.images = reports;
    Judgement::of(whole, cleared)
}

/// Inspects a folder as if it were the file system of an image without a configuration.
fn folder(
    reference: &Reference,
    path: &Path,
    terms: &Terms<'_>,
) -> Result<Judgement, InspectError> {
    let layer = match folder::read(path, &SpoolRoom::of(LAYERS), &Limits::default()) {
        // To accept nothing would hide a mistyped name.
        Ok(layer) if layer.entries.is_empty() => {
            return Err(InspectError::Empty(path.display().to_string()));
        }
        Ok(layer) => layer,
        Err(FolderError::Limit(limit)) => {
            let finding = Finding::new(&rules::COULD_NOT_INSPECT, limit.to_string());
            return Ok(Judgement::of(report(reference, terms, vec![finding], false), None));
        }
        Err(error) => return Err(error.into()),
    };
    let layers = vec![layer];
    let image = Image { config: Config::default(), layers, annotations: BTreeMap::new() };
    let bom = bom::describe(&image, &[], detail(terms));
    let known =
        asked(terms, || known::known(&bom, &known::executables(&image, &bom), None, terms))?;
    let Some(layer) = image.layers.first() else {
        return Err(InspectError::Empty(path.display().to_string()));
    };
    let mut one = judged_with(inspect::layer(layer), &[], known, reference, terms);
    one.report.packages = super::packages(&bom);
    Ok(one)
}

fn file(reference: &Reference, terms: &Terms<'_>) -> Result<Judgement, InspectError> {
    let Reference::Path(path) = reference else {
        return Err(InspectError::Unsupported(reference.clone()));
    };
    let shown = path.display().to_string();
    let open = |error| InspectError::Open { path: shown.clone(), error };
    let found = path.metadata().map_err(open)?;
    if found.is_dir() {
        return folder(reference, path, terms);
    }
    if !found.is_file() {
        return Err(InspectError::Special { path: shown });
    }
    if found.len() > MAX_FILE {
        let message = format!("the file is longer than {MAX_FILE} bytes");
        let finding = Finding::new(&rules::COULD_NOT_INSPECT, message).at(&shown);
        return Ok(Judgement::of(report(reference, terms, vec![finding], false), None));
    }
    let opened = File::open(path).map_err(open)?;
    let room = SpoolRoom::default();
    let spool = room
        .copy(opened, found.len(), MAX_FILE)
        .map_err(|error| InspectError::File { path: shown.clone(), error })?;
    let content = Content::whole(Arc::new(spool));
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let bom = bom::file(name.as_bytes(), &content, detail(terms));
    let files = BTreeMap::from([(content.sha256(), content.clone())]);
    let known = asked(terms, || known::known(&bom, &files, None, terms))?;
    let mut one = judged_with(inspect::file(&name, &content), &[], known, reference, terms);
    one.report.subject.digest = Some(content.sha256());
    one.report.packages = super::packages(&bom);
    Ok(one)
}

/// How much of the bytes is read for the list of packages.
fn detail(terms: &Terms<'_>) -> bom::Detail {
    let asked = terms.advisories().is_some() || !terms.reports().reports.is_empty();
    if asked { bom::Detail::Software } else { bom::Detail::Lists }
}

/// Looks up what is no image only when somebody has given a database: a lone file or folder is
/// not published, so that nobody has to be told that it was not looked up.
fn asked(
    terms: &Terms<'_>,
    look: impl FnOnce() -> Result<Known, DatabaseError>,
) -> Result<Known, DatabaseError> {
    if terms.advisories().is_some() { look() } else { Ok(Known::default()) }
}
