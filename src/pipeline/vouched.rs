//! Known vulnerabilities of an image by what is signed of it: its bills of materials are looked
//! up, and none of its layers is read.
//!
//! Takes a stored image, who may sign what of it, and the terms; gives a judgement a platform, by
//! the same rules, waivers and statements as a build. A platform without a bill that counts
//! cannot be judged, and is never taken for clean.

use super::fleet::{self, Part};
use super::known;
use crate::advisory::DatabaseError;
use crate::advisory::scanner::Identity;
use crate::finding::Finding;
use crate::finding::report::ScannerReport;
use crate::image::stored::{Stored, StoredError};
use crate::oci::{Descriptor, Digest};
use crate::policy::{self, Terms};
use crate::trust::Trust;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What is known of one platform.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Vouched {
    /// The platform, where karat knows it.
    pub platform: Option<String>,
    /// The digest of its manifest.
    pub digest: Digest,
    /// Why it could not be judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether anything rejects it.
    pub rejected: bool,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// Every vulnerability, those too that do not count.
    pub vulnerabilities: Vec<Value>,
    /// The reports of other scanners that were taken in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scanner_reports: Vec<ScannerReport>,
}

/// Why nothing could be judged.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum VouchedError {
    #[error(transparent)]
    Stored(#[from] StoredError),
    #[error("the database of advisories: {0}")]
    Database(#[from] DatabaseError),
}

/// Judges what is known of an image, platform by platform.
///
/// # Errors
/// When the image or the database cannot be read.
pub fn vulnerabilities(
    stored: &Stored,
    root: &Descriptor,
    trust: &Trust,
    terms: &Terms<'_>,
) -> Result<Vec<Vouched>, VouchedError> {
    let index = root.media_type.is_index().then_some(root.digest);
    let judge = |part: Part| judged(part, index, terms);
    fleet::parts(stored, root, trust)?.into_iter().map(judge).collect()
}

fn judged(part: Part, index: Option<Digest>, terms: &Terms<'_>) -> Result<Vouched, VouchedError> {
    let mut vouched = Vouched {
        platform: part.platform.map(|platform| platform.to_string()),
        digest: part.digest,
        error: None,
        rejected: true,
        findings: Vec::new(),
        vulnerabilities: Vec::new(),
        scanner_reports: Vec::new(),
    };
    let listed = match part.bill {
        Ok(listed) => listed,
        Err(why) => {
            vouched.error = Some(why);
            return Ok(vouched);
        }
    };
    let identity = Identity {
        manifest: part.digest,
        // The configuration stands first among the blobs.
        config: part.blobs.first().copied().unwrap_or(part.digest),
        index,
        diff_ids: part.diff_ids,
    };
    let mut known = known::known(&listed.bom(), &BTreeMap::new(), Some(&identity), terms)?;
    let further = std::mem::take(&mut known.findings);
    (vouched.findings, vouched.rejected) = policy::judge_known(further, terms);
    let known = known.waived(&vouched.findings);
    vouched.vulnerabilities = known.vulnerabilities;
    vouched.scanner_reports = known.reports;
    Ok(vouched)
}
