//! The report: what was judged, by which policy, and what was found.

use super::{Finding, Severity, Status, escape};
use crate::oci::Digest;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write;

/// The most findings of one rule that text shows; the rest is counted.
const SHOWN: usize = 20;

/// A report, `karat.report/v1`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Always `karat.report/v1`.
    pub schema: &'static str,
    /// What was judged.
    pub subject: Subject,
    /// By which policy.
    pub policy: PolicyName,
    /// By which rules.
    pub rules: RuleSet,
    /// `accepted` or `rejected`.
    pub verdict: Verdict,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// The packages that are in it.
    pub packages: Vec<Package>,
    /// The known vulnerabilities, those too that do not count, as `karat scan` writes them.
    pub vulnerabilities: Vec<Value>,
    /// The database in which they were looked up; none when nobody has looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<Digest>,
    /// The reports of other scanners that were taken in.
    #[serde(rename = "scanner-reports", skip_serializing_if = "Vec::is_empty")]
    pub scanner_reports: Vec<ScannerReport>,
    /// One report a platform, for an image of several.
    pub images: Vec<Report>,
}

/// What was judged.
#[derive(Debug, Clone, Serialize)]
pub struct Subject {
    /// Where it is, as the user named it.
    pub reference: String,
    /// The digest of its manifest, or of the file; none for an image that was rejected
    /// before it had one.
    pub digest: Option<Digest>,
    /// What it runs on.
    pub platform: Option<String>,
}

/// The policy that judged.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyName {
    /// Its name.
    pub name: String,
    /// The hash of its canonical JSON.
    pub digest: Digest,
    /// Its profile that is for the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileName>,
}

/// The profile of a policy that was for an image.
#[derive(Debug, Clone, Serialize)]
pub struct ProfileName {
    /// The images that it is for.
    pub images: String,
    /// `enforce`, or `report` while findings reject nothing.
    pub mode: &'static str,
}

/// What images are inspected by.
#[derive(Debug, Clone, Serialize)]
pub struct RuleSet {
    /// The number of the rule set.
    pub version: u32,
    /// The hash of the rules and of the table of programs.
    pub digest: Digest,
}

/// The outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No open finding stops it.
    Accepted,
    /// An open finding stops it.
    Rejected,
}

/// A report of another scanner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ScannerReport {
    /// Whose it is.
    pub scanner: String,
    /// The scanner's version; empty where the report does not tell it.
    pub version: String,
    /// The digest of its bytes.
    pub digest: Digest,
}

/// A package, as the report lists it.
#[derive(Debug, Clone, Serialize)]
pub struct Package {
    /// The package URL, where the package has one.
    pub purl: Option<String>,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
}

impl Report {
    /// The name and version of the schema.
    pub const SCHEMA: &'static str = "karat.report/v1";

    /// Returns the findings of this report and of its platforms.
    pub fn all_findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().chain(self.images.iter().flat_map(|image| &image.findings))
    }

    /// Writes the report as JSON, the same bytes for the same report.
    pub fn to_json(&self) -> Vec<u8> {
        // The types have text keys only, so that writing cannot fail.
        let mut json = serde_json::to_vec_pretty(self).unwrap_or_default();
        json.push(b'\n');
        json
    }

    /// Writes the findings from a severity on for a terminal, the worst first, with what helps.
    pub fn findings_text(&self, least: Severity) -> String {
        let mut text = String::new();
        for report in std::iter::once(self).chain(&self.images) {
            let platform = report.subject.platform.as_deref().filter(|_| !self.images.is_empty());
            let mut last = None;
            let mut of_rule = 0;
            for finding in report.findings.iter().filter(|one| one.severity >= least) {
                of_rule = if last == Some(finding.rule.id) { of_rule + 1 } else { 1 };
                if of_rule > SHOWN {
                    if of_rule == SHOWN + 1 {
                        let all =
                            report.findings.iter().filter(|one| one.rule == finding.rule).count();
                        let _ = writeln!(text, "  … {} more of `{}`", all - SHOWN, finding.rule.id);
                    }
                    continue;
                }
                last = Some(finding.rule.id);
                let _ = finding_text(&mut text, finding, platform);
            }
        }
        text
    }

    /// Counts the open findings by severity: `1 critical, 2 medium`, or `none`.
    pub fn counts(&self) -> String {
        let open = |severity: Severity| {
            self.all_findings()
                .filter(|one| one.status == Status::Open && one.severity == severity)
                .count()
        };
        let mut parts: Vec<String> =
            [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info]
                .into_iter()
                .map(|severity| (severity, open(severity)))
                .filter(|(_, count)| *count > 0)
                .map(|(severity, count)| format!("{count} {severity}"))
                .collect();
        let waived = self.all_findings().filter(|one| one.status == Status::Waived).count();
        if waived > 0 {
            parts.push(format!("{waived} waived"));
        }
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    }

    /// Writes the report as one HTML page without scripts.
    pub fn to_html(&self) -> String {
        let mut page = String::from(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>karat report</title>\
             <style>body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
             table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ccc;padding:.3rem .6rem;\
             text-align:left;vertical-align:top}code{font-size:90%}.critical,.high{color:#a00}</style>\n",
        );
        for report in std::iter::once(self).chain(&self.images) {
            let digest = report
                .subject
                .digest
                .map_or_else(|| "no digest".to_owned(), |digest| digest.to_string());
            let platform = report.subject.platform.as_deref().unwrap_or("");
            let verdict = if report.verdict == Verdict::Accepted { "accepted" } else { "rejected" };
            let _ = writeln!(
                page,
                "<h1>{} {}</h1><p>{verdict} under policy <b>{}</b> <code>{}</code><br><code>{digest}</code></p>",
                escape::html(&report.subject.reference),
                escape::html(platform),
                escape::html(&report.policy.name),
                report.policy.digest
            );
            page.push_str("<table><tr><th>severity<th>rule<th>path<th>what<th>what helps</tr>\n");
            for finding in &report.findings {
                let waiver =
                    finding.waiver.as_ref().map(|id| format!(" (waived by {})", escape::html(id)));
                let base = finding
                    .base()
                    .map(|base| format!("<br><small>in the base {}</small>", escape::html(base)));
                let _ = writeln!(
                    page,
                    "<tr><td class=\"{0}\">{0}{1}<td>{2}<td><code>{3}</code>{7}<td>{4}<br><small>{5}</small><td>{6}</tr>",
                    finding.severity,
                    waiver.unwrap_or_default(),
                    finding.rule.id,
                    escape::html(finding.path.as_deref().unwrap_or("")),
                    escape::html(&finding.message),
                    finding
                        .evidence
                        .iter()
                        .map(|line| escape::html(line))
                        .collect::<Vec<_>>()
                        .join("<br>"),
                    escape::html(finding.rule.remedy),
                    base.unwrap_or_default()
                );
            }
            let _ = writeln!(page, "</table><p>{} packages</p>", report.packages.len());
            if let Some(database) = report.database {
                let count = report.vulnerabilities.len();
                let _ = writeln!(page, "<p>{count} vulnerabilities in <code>{database}</code></p>");
            }
            for ScannerReport { scanner, version, digest } in &report.scanner_reports {
                let by = escape::html(&format!("{scanner} {version}"));
                let _ = writeln!(page, "<p>with the report <code>{digest}</code> of {by}</p>");
            }
        }
        page
    }
}

fn finding_text(text: &mut String, finding: &Finding, platform: Option<&str>) -> std::fmt::Result {
    let path = finding.path.as_deref().unwrap_or("image");
    let platform = platform.map(|platform| format!(" ({platform})")).unwrap_or_default();
    let base = finding.base().map(|base| format!(" [in the base {}]", escape::terminal(base)));
    let base = base.unwrap_or_default();
    let waived = finding.waiver.as_ref().map(|id| format!(" [waived by {}]", escape::terminal(id)));
    writeln!(
        text,
        "{:<8} {}  {}{platform}{base}{}\n         {}",
        finding.severity,
        finding.rule.id,
        escape::terminal(path),
        waived.unwrap_or_default(),
        escape::terminal(&finding.message)
    )?;
    for evidence in &finding.evidence {
        writeln!(text, "         - {}", escape::terminal(evidence))?;
    }
    if let Some(file) = &finding.file {
        writeln!(text, "         - {} bytes, {}", file.size, file.sha256)?;
    }
    writeln!(text, "         help: {}", finding.rule.remedy)
}
