//! Looking at what somebody else has made: an image in a layout or an archive, or a file.

use crate::archive::Limits;
use crate::bom;
use crate::finding::report::{PolicyName, Report, Subject, Verdict};
use crate::finding::{Finding, rules};
use crate::image::stored::{Stored, StoredError};
use crate::inspect::{self, Rules};
use crate::oci::{Descriptor, Reference};
use crate::policy;
use crate::settings::Policy;
use crate::store::{Content, SpoolError, SpoolRoom};
use crate::time::Now;
use std::fs::File;
use std::io;
use std::sync::Arc;

/// The largest lone file that is inspected, in bytes.
const MAX_FILE: u64 = 4 << 30;

/// What the layers of an image keep in memory, in bytes: less than inputs, for their entries
/// and the window of a zstd layer need room too.
const LAYERS: usize = 12 << 20;

/// Why nothing could be inspected.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InspectError {
    #[error(transparent)]
    Stored(#[from] StoredError),
    #[error("this version of karat does not inspect `{0}`")]
    Unsupported(Reference),
    #[error("`{0}` is a folder, but no OCI image layout")]
    Folder(String),
    #[error("`{path}` is neither a file nor a folder")]
    Special { path: String },
    #[error("`{path}`: {error}")]
    File { path: String, error: SpoolError },
    #[error("`{path}`: {error}")]
    Open { path: String, error: io::Error },
}

/// Inspects what a reference names and judges it by a policy.
///
/// # Errors
/// When it cannot be found or opened. What is there and cannot be read in one way only is
/// a finding.
pub fn inspect(reference: &Reference, policy: &Policy, now: Now) -> Result<Report, InspectError> {
    let opened = match Stored::open(reference) {
        Ok(opened) => opened,
        Err(error) if error.is_judgement() => {
            return Ok(unreadable(reference, policy, None, &error));
        }
        Err(error) => return Err(error.into()),
    };
    match (opened, reference) {
        (Some(stored), _) => image(reference, &stored, policy, now),
        (None, Reference::Path(_)) => file(reference, policy, now),
        (None, other) => Err(InspectError::Unsupported(other.clone())),
    }
}

fn report(
    reference: &Reference,
    policy: &Policy,
    findings: Vec<Finding>,
    accepted: bool,
) -> Report {
    Report {
        schema: Report::SCHEMA,
        subject: Subject { reference: reference.to_string(), digest: None, platform: None },
        policy: PolicyName { name: policy.name.clone(), digest: policy.digest() },
        verdict: if accepted { Verdict::Accepted } else { Verdict::Rejected },
        findings,
        packages: Vec::new(),
        vulnerabilities: Vec::new(),
        images: Vec::new(),
    }
}

/// Says that nobody has looked for known vulnerabilities.
pub(super) fn not_scanned() -> Finding {
    Finding::new(
        &rules::NOT_SCANNED,
        "NOT SCANNED for known vulnerabilities: this version of karat has no vulnerability database",
    )
}

fn unreadable(
    reference: &Reference,
    policy: &Policy,
    descriptor: Option<&Descriptor>,
    error: &StoredError,
) -> Report {
    let finding = Finding::new(&rules::COULD_NOT_INSPECT, error.to_string());
    let mut report = report(reference, policy, vec![finding], false);
    report.subject.digest = descriptor.map(|descriptor| descriptor.digest);
    report
}

fn image(
    reference: &Reference,
    stored: &Stored,
    policy: &Policy,
    now: Now,
) -> Result<Report, InspectError> {
    let tag = match reference {
        Reference::Layout { tag, .. } => tag.as_deref(),
        _ => None,
    };
    let root = stored.image(tag)?;
    let manifests = match stored.manifests(root) {
        Ok(manifests) => manifests,
        Err(error) if error.is_judgement() => {
            return Ok(unreadable(reference, policy, Some(root), &error));
        }
        Err(error) => return Err(error.into()),
    };
    let mut reports = Vec::new();
    for descriptor in &manifests {
        let mut one = match stored.read(descriptor, &SpoolRoom::of(LAYERS), &Limits::default()) {
            Ok(image) => {
                let platform = image.config.platform().known();
                let rules = Rules { platform: platform.clone(), declared: None };
                let diff_ids: Vec<_> =
                    image.layers.iter().filter_map(|layer| layer.diff_id).collect();
                let inspected = inspect::image(&image, &rules);
                let judged =
                    policy::judge(inspected, &diff_ids, vec![not_scanned()], &[], policy, now);
                let mut one = report(reference, policy, judged.findings, judged.cleared.is_some());
                one.subject.digest = Some(descriptor.digest);
                one.subject.platform = platform.map(|platform| platform.to_string());
                one.packages = super::packages(&bom::of(&image, &[]));
                one
            }
            Err(error) if error.is_judgement() => {
                unreadable(reference, policy, Some(descriptor), &error)
            }
            Err(error) => return Err(error.into()),
        };
        if one.subject.platform.is_none() {
            one.subject.platform =
                descriptor.platform.as_ref().and_then(|known| known.known()).map(|p| p.to_string());
        }
        reports.push(one);
    }
    if !root.media_type.is_index()
        && let Some(only) = reports.pop()
    {
        return Ok(only);
    }
    let accepted =
        !reports.is_empty() && reports.iter().all(|one| one.verdict == Verdict::Accepted);
    let mut whole = report(reference, policy, Vec::new(), accepted);
    whole.subject.digest = Some(root.digest);
    whole.images = reports;
    Ok(whole)
}

fn file(reference: &Reference, policy: &Policy, now: Now) -> Result<Report, InspectError> {
    let Reference::Path(path) = reference else {
        return Err(InspectError::Unsupported(reference.clone()));
    };
    let shown = path.display().to_string();
    let open = |error| InspectError::Open { path: shown.clone(), error };
    let found = path.metadata().map_err(open)?;
    if found.is_dir() {
        return Err(InspectError::Folder(shown));
    }
    if !found.is_file() {
        return Err(InspectError::Special { path: shown });
    }
    if found.len() > MAX_FILE {
        let message = format!("the file is longer than {MAX_FILE} bytes");
        let finding = Finding::new(&rules::COULD_NOT_INSPECT, message).at(&shown);
        return Ok(report(reference, policy, vec![finding], false));
    }
    let opened = File::open(path).map_err(open)?;
    let room = SpoolRoom::default();
    let spool = room
        .copy(opened, found.len(), MAX_FILE)
        .map_err(|error| InspectError::File { path: shown.clone(), error })?;
    let content = Content::whole(Arc::new(spool));
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let judged = policy::judge(inspect::file(&name, &content), &[], Vec::new(), &[], policy, now);
    let mut report = report(reference, policy, judged.findings, judged.cleared.is_some());
    report.subject.digest = Some(content.sha256());
    report.packages = super::packages(&bom::file(name.as_bytes(), &content));
    Ok(report)
}
