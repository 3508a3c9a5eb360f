//! Drafts of waivers, written from findings for a person to complete.

use crate::finding::{Severity, Status, escape, rules};
use crate::oci::{Digest, ImagePath};
use crate::settings::Policy;
use crate::time::Date;
use crate::waiver::Subject;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Which findings waivers are drafted for, and what they say.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// The policy: it says what rejects and what can be waived.
    pub policy: &'a Policy,
    /// Only findings of these rules, whatever their severity; empty for all that reject.
    pub rules: &'a [String],
    /// Whether waivers are bound to the bytes of files instead of paths.
    pub by_sha256: bool,
    /// The images they are for, in a file of `waivers/`.
    pub images: Option<&'a str>,
    /// Why.
    pub reason: &'a str,
    /// Who answers for them.
    pub owner: &'a str,
    /// Where it was decided.
    pub ticket: &'a str,
    /// The day from which they hold.
    pub created: Date,
    /// The last day on which they hold.
    pub expires: Date,
}

/// What was drafted.
#[derive(Debug, Default)]
pub struct Drafts {
    /// The waivers, by their names.
    pub waivers: Vec<Draft>,
    /// The findings that none can be written for, and why.
    pub refused: Vec<String>,
}

/// Why a text is no report.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ReportError {
    #[error("this is no report of karat: {0}")]
    Json(serde_json::Error),
    #[error("this is no report of karat: its schema is `{0}`")]
    Schema(String),
}

/// What a report says, as far as waivers need it: `karat.report/v1`, or several of them in
/// `karat.build/v1` or `karat.reports/v1`.
#[derive(Debug, Deserialize)]
struct Document {
    schema: String,
    #[serde(default)]
    findings: Vec<Found>,
    #[serde(default)]
    images: Vec<Document>,
    #[serde(default)]
    reports: Vec<Document>,
    #[serde(default)]
    results: Vec<Outcome>,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    report: Document,
}

#[derive(Debug, Deserialize)]
struct Found {
    rule: String,
    severity: String,
    status: String,
    path: Option<String>,
    file: Option<FoundFile>,
    message: String,
    vulnerability: Option<FoundVulnerability>,
}

#[derive(Debug, Deserialize)]
struct FoundVulnerability {
    ids: Vec<String>,
    package: Option<String>,
}

#[derive(Debug, Deserialize)]
struct FoundFile {
    sha256: String,
}

impl Document {
    fn findings(&self) -> Vec<&Found> {
        let below = self.images.iter().chain(&self.reports);
        let below = below.chain(self.results.iter().map(|outcome| &outcome.report));
        self.findings.iter().chain(below.flat_map(Self::findings)).collect()
    }
}

/// Drafts waivers for the open findings of a report, one a rule and file.
///
/// # Errors
/// When the text is no report of karat.
pub fn from_report(json: &[u8], selection: &Selection<'_>) -> Result<Drafts, ReportError> {
    let document: Document = serde_json::from_slice(json).map_err(ReportError::Json)?;
    if !["karat.report/v1", "karat.build/v1", "karat.reports/v1"]
        .contains(&document.schema.as_str())
    {
        return Err(ReportError::Schema(document.schema.chars().take(80).collect()));
    }
    let mut waivers = BTreeMap::new();
    let mut drafts = Drafts::default();
    for found in document.findings() {
        let chosen = match selection.rules {
            [] => found
                .severity
                .parse::<Severity>()
                .is_ok_and(|severity| selection.policy.gate.fail_on.contains(&severity)),
            rules => rules.contains(&found.rule),
        };
        let open = found.status == Status::Open.to_string();
        if !chosen || !open {
            continue;
        }
        match draft(found, selection) {
            Ok(draft) => {
                waivers.insert(draft.id.clone(), draft);
            }
            Err(why) => {
                let place = found.path.as_deref().unwrap_or("the image");
                let refused = format!("`{}` at {place}: {why}", found.rule);
                if !drafts.refused.contains(&refused) {
                    drafts.refused.push(refused);
                }
            }
        }
    }
    drafts.waivers = waivers.into_values().collect();
    Ok(drafts)
}

fn draft(found: &Found, selection: &Selection<'_>) -> Result<Draft, &'static str> {
    let rule = rules::find(&found.rule).ok_or("this version has no such rule")?;
    if !rule.waivable || selection.policy.waivers.forbid(rule.id) {
        return Err("the rule cannot be waived");
    }
    let bytes = || {
        let file = found.file.as_ref()?;
        format!("sha256:{}", file.sha256).parse::<Digest>().ok().map(Subject::Sha256)
    };
    let path = || match &found.path {
        None => Some(Subject::Path(ImagePath::root())),
        Some(path) => path.parse().ok().map(Subject::Path),
    };
    let vulnerability = || {
        let found = found.vulnerability.as_ref()?;
        let (id, package) = (found.ids.first()?.clone(), found.package.clone()?);
        Some(Subject::Vulnerability { id, package })
    };
    let subject = match selection.by_sha256 {
        _ if found.vulnerability.is_some() => vulnerability(),
        true => bytes(),
        false => path().or_else(bytes),
    };
    let subject = subject.ok_or("the finding names no file that a waiver could be bound to")?;
    let print = Digest::of(format!("{}\0{subject}", rule.id).as_bytes()).hex();
    Ok(Draft {
        id: format!("wv-{}-{}", rule.id, print.get(..8).unwrap_or_default()),
        rule: rule.id.to_owned(),
        subject,
        images: selection.images.map(str::to_owned),
        reason: selection.reason.to_owned(),
        owner: selection.owner.to_owned(),
        ticket: selection.ticket.to_owned(),
        created: selection.created,
        expires: selection.expires,
        found: format!("{}: {}", found.severity, found.message),
    })
}

/// A waiver that is to be written.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Its name.
    pub id: String,
    /// The rule.
    pub rule: String,
    /// The file it is for.
    pub subject: Subject,
    /// The images it is for; none in a recipe.
    pub images: Option<String>,
    /// Why; empty when that is still to be said, and so on.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// Where it was decided.
    pub ticket: String,
    /// The day from which it holds.
    pub created: Date,
    /// The last day on which it holds.
    pub expires: Date,
    /// What was found, to stand above it as a comment.
    pub found: String,
}

impl Draft {
    /// Writes it as a `[[waiver]]` block.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for line in self.found.lines() {
            let _ = writeln!(text, "# {}", escape::terminal(line));
        }
        text.push_str("[[waiver]]\n");
        let (key, subject) = match &self.subject {
            Subject::Path(path) => ("path", path.to_string()),
            Subject::Sha256(digest) => ("sha256", digest.hex()),
            Subject::Vulnerability { id, .. } => ("vulnerability", id.clone()),
        };
        let package = match &self.subject {
            Subject::Vulnerability { package, .. } => Some(package),
            _ => None,
        };
        let (created, expires) = (self.created.to_string(), self.expires.to_string());
        let values = [
            ("id", Some(&self.id)),
            ("rule", Some(&self.rule)),
            (key, Some(&subject)),
            ("package", package),
            ("images", self.images.as_ref()),
            ("reason", Some(&self.reason)),
            ("owner", Some(&self.owner)),
            ("ticket", Some(&self.ticket)),
            ("created", Some(&created)),
            ("expires", Some(&expires)),
        ];
        for (key, value) in values {
            if let Some(value) = value {
                let _ = writeln!(text, "{key} = {}", toml::Value::from(value.as_str()));
            }
        }
        text
    }
}
