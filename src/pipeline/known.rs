//! Known vulnerabilities at judgement: what is looked up of an image that is to be judged.
//!
//! Takes a bill of materials and the terms, gives findings and what the report lists. Without
//! advisories it says that nobody has looked, and never that nothing is known.

use super::scan;
use crate::advisory::scanner::{Identity, Report};
use crate::advisory::{Database, DatabaseError, Matched, Outside, State, vex};
use crate::bom::Bom;
use crate::finding::report::ScannerReport;
use crate::finding::{Finding, Severity, Status, Vulnerability, rules};
use crate::image::Image;
use crate::oci::Digest;
use crate::policy::Terms;
use crate::store::Content;
use crate::time::Date;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How bad a vulnerability is shown to be that nobody has rated.
const UNRATED: Severity = Severity::High;

/// What was looked up.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Findings, for the judgement.
    pub(super) findings: Vec<Finding>,
    /// Every vulnerability, those too that do not count.
    pub(super) vulnerabilities: Vec<Value>,
    /// The database; none when there was none.
    pub(super) database: Option<Digest>,
    /// The reports of other scanners that are about it.
    pub(super) reports: Vec<ScannerReport>,
    /// What was found, as statements tell it.
    pub(super) found: Vec<Matched>,
}

/// Looks up the components of an image or file. `files` are its executables by their hashes,
/// `image` is what the reports of other scanners must be about.
///
/// # Errors
/// When the database cannot be read.
pub(super) fn known(
    bom: &Bom,
    files: &BTreeMap<Digest, Content>,
    image: Option<&Identity>,
    terms: &Terms<'_>,
) -> Result<Known, DatabaseError> {
    let (advised, reported) = (terms.advisories(), terms.reports());
    let about = |report: &&Report| image.is_some_and(|image| report.is_about(image));
    let reports: Vec<&Report> = reported.reports.iter().filter(about).collect();
    if advised.is_none() && reports.is_empty() {
        return Ok(Known { findings: vec![not_scanned()], ..Known::default() });
    }
    let digests: Vec<Digest> = image
        .map(|image| [Some(image.manifest), Some(image.config), image.index])
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    // What the project says wins over what came with the image.
    let own = advised.map_or(reported.statements, |advised| advised.statements);
    let signed = terms.signed_vex().iter().filter(|one| digests.contains(&one.subject));
    let statements: Vec<vex::Statement> =
        signed.flat_map(|one| &one.statements).chain(own).cloned().collect();
    let outside = Outside {
        statements: &statements,
        reports: &reports,
        image: vex::Concerned { digests: &digests, names: terms.names() },
        rules: &terms.policy().gate.vulnerabilities,
    };
    let database = advised.map(|advised| advised.database);
    let scan = scan::scan_with(bom, files, database, outside)?;
    let open = scan.found.iter().filter(|one| one.state == State::Open);
    let mut findings: Vec<Finding> = open.map(finding).collect();
    match database {
        Some(database) => {
            let sources = database.header().sources.iter();
            let newest = sources.map(|source| source.newest.as_str()).max();
            findings.extend(stale(newest.unwrap_or_default(), terms));
            findings.extend(lacking(&scan.lacking));
        }
        // What others have found is no reason not to look.
        None => findings.push(not_scanned()),
    }
    findings.extend(scan.unused.iter().map(|document| {
        let message = format!("no statement of `{document}` is about a vulnerability that is here");
        Finding::new(&rules::VEX_UNUSED, message)
    }));
    Ok(Known {
        findings,
        vulnerabilities: scan
            .found
            .iter()
            .map(|one| scan::found(one, &terms.policy().gate.vulnerabilities))
            .collect(),
        database: database.map(Database::digest),
        reports: reports.into_iter().map(named).collect(),
        found: scan.found,
    })
}

/// Names a report for the account.
fn named(report: &Report) -> ScannerReport {
    ScannerReport {
        scanner: report.scanner.to_string(),
        version: report.version.clone(),
        digest: report.digest,
    }
}

impl Known {
    /// Marks what a waiver has taken off the count.
    pub(super) fn waived(mut self, findings: &[Finding]) -> Self {
        let waived = findings.iter().filter(|one| one.status == Status::Waived);
        for one in waived.filter_map(|one| one.vulnerability.as_ref().zip(one.waiver.as_ref())) {
            let (found, waiver) = one;
            let ids = Value::from(found.ids.clone());
            let package = Value::from(found.package.clone());
            for listed in &mut self.vulnerabilities {
                if listed["ids"] == ids && listed["package"]["purl"] == package {
                    listed["state"] = "waived".into();
                    listed["why"] = format!("waiver {waiver}").into();
                    listed["rejects"] = false.into();
                }
            }
        }
        self
    }
}

/// Says that nobody has looked for known vulnerabilities.
fn not_scanned() -> Finding {
    let message = "NOT SCANNED for known vulnerabilities: no database was looked at";
    Finding::new(&rules::NOT_SCANNED, message)
}

/// Says of which ecosystems nobody has looked for known vulnerabilities.
fn lacking(ecosystems: &BTreeMap<String, usize>) -> Option<Finding> {
    let names: Vec<&str> = ecosystems.keys().map(String::as_str).collect();
    let message = format!(
        "NOT SCANNED for known vulnerabilities of {}: the database has no advisories of it",
        names.join(" and of ")
    );
    let counts = ecosystems.iter().map(|(name, count)| format!("{count} components of {name}"));
    (!names.is_empty()).then(|| Finding::new(&rules::NOT_SCANNED, message).because(counts))
}

/// Says that the newest advisory is too old.
fn stale(newest: &str, terms: &Terms<'_>) -> Option<Finding> {
    let most = terms.policy().advisories.max_age;
    let day = newest.get(..10).and_then(|day| day.parse::<Date>().ok());
    let message = match day {
        Some(day) => {
            let age = terms.now().date().days_since(day);
            if age <= i64::from(most) {
                return None;
            }
            format!("the newest advisory of the database changed on {day}, {age} days ago")
        }
        None => "the database does not say how old its advisories are".to_owned(),
    };
    let why = [format!("at most {most} days are allowed")];
    Some(Finding::new(&rules::ADVISORIES_STALE, message).because(why))
}

fn finding(matched: &Matched) -> Finding {
    let id = matched.ids.first().map(String::as_str).unwrap_or_default();
    let fixed = match &matched.fixed {
        Some(fixed) => format!("fixed in {fixed}"),
        None => "no fix is known".to_owned(),
    };
    let message = format!("{id} in {} {}: {fixed}", matched.name, matched.version);
    let mut finding = Finding::new(&rules::VULNERABILITY, message);
    finding.severity = match (&matched.notice, matched.severity) {
        (Some(_), _) => Severity::Info,
        (None, severity) => severity.unwrap_or(UNRATED),
    };
    finding.path = matched.paths.first().cloned();
    let also = (matched.ids.len() > 1).then(|| format!("also {}", matched.ids[1..].join(", ")));
    let unrated = matched.severity.is_none() && matched.notice.is_none();
    finding.evidence = [
        Some(matched.summary.clone()).filter(|text| !text.is_empty()),
        also,
        unrated.then(|| "nobody has rated it".to_owned()),
        matched.rated.clone(),
        matched.notice.clone(),
        matched.purl.clone(),
    ]
    .into_iter()
    .flatten()
    .chain(matched.paths.iter().skip(1).cloned())
    .chain(matched.evidence.iter().cloned())
    .collect();
    finding.vulnerability = Some(Box::new(Vulnerability {
        ids: matched.ids.clone(),
        package: matched.purl.clone(),
        severity: matched.severity,
        fixed: matched.fixed.clone(),
        notice: matched.notice.is_some(),
    }));
    finding
}

/// Returns the executables of an image by their hashes, as far as a bill names them.
pub(super) fn executables(image: &Image, bom: &Bom) -> BTreeMap<Digest, Content> {
    let wanted: BTreeSet<Digest> =
        bom.executables().filter_map(|one| Some(one.file.as_ref()?.sha256)).collect();
    let entries = image.layers.iter().flat_map(|layer| &layer.entries);
    entries
        .filter_map(|entry| entry.content())
        .map(|content| (content.sha256(), content.clone()))
        .filter(|(sha256, _)| wanted.contains(sha256))
        .collect()
}
