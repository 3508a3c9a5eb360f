//! What is known to be vulnerable of an image or a file.
//!
//! Takes what [`sbom`](super::sbom) describes and a database, gives a scan and its account.

use crate::advisory::{self, Database, DatabaseError, Matched, Outside, Scan, State, vex};
use crate::bom::{Bom, Subject};
use crate::finding::escape;
use crate::oci::Digest;
use crate::settings::Vulnerabilities;
use crate::store::Content;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Looks up what was described.
///
/// # Errors
/// When the database cannot be read.
pub fn scan(
    bom: &Bom,
    files: &BTreeMap<Digest, Content>,
    database: &Database,
    statements: &[vex::Statement],
) -> Result<Scan, DatabaseError> {
    let (image, rules) = (vex::Concerned::default(), Vulnerabilities::default());
    let outside = Outside { statements, reports: &[], image, rules: &rules };
    scan_with(bom, files, Some(database), outside)
}

/// Looks up what was described, in a database where there is one, and adds what others say of it.
///
/// # Errors
/// When the database cannot be read.
pub fn scan_with(
    bom: &Bom,
    files: &BTreeMap<Digest, Content>,
    database: Option<&Database>,
    outside: Outside<'_>,
) -> Result<Scan, DatabaseError> {
    advisory::scan(bom, database, &|sha256| files.get(sha256).cloned(), outside)
}

/// Says whether a vulnerability rejects: it is open, no mere notice, and as bad as `rules` say.
pub fn rejects(matched: &Matched, rules: &Vulnerabilities) -> bool {
    matched.state == State::Open
        && matched.notice.is_none()
        && rules.reject(matched.severity, matched.fixed.is_some())
}

fn severity(matched: &Matched) -> String {
    match (&matched.notice, matched.severity) {
        (Some(notice), _) => notice.clone(),
        (None, Some(severity)) => severity.to_string(),
        (None, None) => "unknown".to_owned(),
    }
}

fn state(matched: &Matched) -> (&'static str, Option<&str>) {
    match &matched.state {
        State::Open => ("open", None),
        State::NotAffected => ("not-affected", Some("vulnerable_code_not_present")),
        State::Suppressed(by) => ("suppressed", Some(by)),
    }
}

/// Writes one vulnerability as JSON.
pub fn found(matched: &Matched, rules: &Vulnerabilities) -> Value {
    let (state, why) = state(matched);
    json!({
        "ids": matched.ids,
        "summary": matched.summary,
        "package": {"name": matched.name, "version": matched.version, "purl": matched.purl},
        "fixed": matched.fixed,
        "severity": severity(matched),
        "rated-by": matched.rated,
        "paths": matched.paths,
        "state": state,
        "why": why,
        "evidence": matched.evidence,
        "rejects": rejects(matched, rules),
    })
}

/// Writes a scan as JSON, `karat.scan/v1`: the same bytes for the same scan.
pub fn to_json(
    scan: &Scan,
    subject: &Subject,
    database: &Database,
    rules: &Vulnerabilities,
) -> Value {
    json!({
        "schema": "karat.scan/v1",
        "subject": {"name": subject.name, "digest": subject.digest},
        "database": {"digest": database.digest(), "sources": database.header().sources},
        "looked-up": scan.looked_up,
        "unknown": scan.unknown,
        "not-scanned": scan.lacking,
        "verdict": if scan.found.iter().any(|one| rejects(one, rules)) { "rejected" } else { "accepted" },
        "vulnerabilities": scan.found.iter().map(|one| found(one, rules)).collect::<Vec<_>>(),
    })
}

/// Writes a scan for a terminal, the worst first; what does not count comes last, and in
/// full only on request.
pub fn to_text(
    scan: &Scan,
    subject: &Subject,
    database: &Database,
    rules: &Vulnerabilities,
    all: bool,
) -> String {
    let mut text = String::new();
    let verdict =
        if scan.found.iter().any(|one| rejects(one, rules)) { "rejected" } else { "accepted" };
    let name = escape::terminal(&subject.name);
    let _ = writeln!(text, "{verdict}  {name}  {}", subject.digest);
    let _ = writeln!(text, "database  {}", database.digest());
    for source in &database.header().sources {
        let newest = source.newest.get(..10).map_or(String::new(), |day| format!(", newest {day}"));
        let _ =
            writeln!(text, "          {} {} advisories{newest}", source.ecosystem, source.records);
    }
    let counts = |counts: Vec<(String, usize)>| {
        let texts: Vec<String> =
            counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
        if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
    };
    let looked = scan.looked_up.iter().map(|(name, count)| (name.clone(), *count)).collect();
    let _ = writeln!(text, "looked up {}", counts(looked));
    if !scan.unknown.is_empty() {
        let unknown = scan.unknown.iter().map(|(name, count)| ((*name).to_owned(), *count));
        let unknown = counts(unknown.collect());
        let _ = writeln!(text, "UNKNOWN   no advisories can be looked up for: {unknown}");
    }
    if !scan.lacking.is_empty() {
        let lacking = scan.lacking.iter().map(|(name, count)| (name.clone(), *count));
        let lacking = counts(lacking.collect());
        let _ = writeln!(text, "NOT SCANNED, the database has no advisories of: {lacking}");
    }
    for matched in &scan.found {
        let (state, why) = state(matched);
        if matched.state != State::Open && !all {
            continue;
        }
        let fixed = match &matched.fixed {
            Some(fixed) => format!("fixed in {fixed}"),
            None => "no fix is known".to_owned(),
        };
        let line = format!(
            "{:<9} {}  {} {}  {fixed}",
            if state == "open" { severity(matched) } else { state.to_owned() },
            matched.ids.first().map_or("", String::as_str),
            matched.name,
            matched.version,
        );
        let _ = writeln!(text, "{}", escape::terminal(&line));
        let further = [Some(matched.summary.as_str()).filter(|text| !text.is_empty()), why]
            .into_iter()
            .flatten()
            .map(str::to_owned)
            .chain((matched.ids.len() > 1).then(|| format!("also {}", matched.ids[1..].join(", "))))
            .chain(matched.rated.clone())
            .chain(matched.evidence.iter().cloned());
        for line in further {
            let _ = writeln!(text, "          {}", escape::terminal(&line));
        }
    }
    let count = |is: &dyn Fn(&Matched) -> bool| scan.found.iter().filter(|one| is(one)).count();
    let _ = writeln!(
        text,
        "{} open, {} of which reject; {} not affected by their functions; {} suppressed; {} notices",
        count(&|one| one.state == State::Open && one.notice.is_none()),
        count(&|one| rejects(one, rules)),
        count(&|one| one.state == State::NotAffected),
        count(&|one| matches!(one.state, State::Suppressed(_))),
        count(&|one| one.notice.is_some()),
    );
    text
}
