//! Reports as JUnit XML, for the test views of CI services.
//!
//! One suite a report, one case a rule that found something, and one for the verdict: so
//! that an accepted image is a passed case and not an empty file.

use super::report::{Report, Verdict};
use super::{Finding, Severity, Status, escape};
use std::collections::BTreeMap;
use std::fmt::{Result, Write};

/// Writes reports as one document. Findings of the severities in `fail_on` are failures;
/// milder ones are text beside a passed case, and waived ones are skipped.
pub fn document(reports: &[(&str, &Report)], fail_on: &[Severity]) -> String {
    let mut xml =
        String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"karat\">\n");
    for (about, report) in reports {
        for one in std::iter::once(*report).chain(&report.images) {
            // Writing to a text cannot fail.
            let _ = suite(&mut xml, about, one, fail_on);
        }
    }
    xml.push_str("</testsuites>\n");
    xml
}

#[derive(Default)]
struct Case<'a> {
    failing: Vec<&'a Finding>,
    waived: Vec<&'a Finding>,
    told: Vec<&'a Finding>,
}

fn suite(xml: &mut String, about: &str, report: &Report, fail_on: &[Severity]) -> Result {
    let mut cases: BTreeMap<&str, Case<'_>> = BTreeMap::new();
    for finding in &report.findings {
        let case = cases.entry(finding.rule.id).or_default();
        match finding.status {
            Status::Waived => case.waived.push(finding),
            Status::Open if fail_on.contains(&finding.severity) => case.failing.push(finding),
            Status::Open => case.told.push(finding),
        }
    }
    let rejected = report.verdict == Verdict::Rejected;
    let failures =
        cases.values().filter(|case| !case.failing.is_empty()).count() + usize::from(rejected);
    let skipped =
        cases.values().filter(|case| case.failing.is_empty() && !case.waived.is_empty()).count();
    let platform = report.subject.platform.as_ref().map(|one| format!(" {one}"));
    let name = escape::html(&format!("{about}{}", platform.unwrap_or_default()));
    let tests = cases.len() + 1;
    writeln!(
        xml,
        "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" skipped=\"{skipped}\" errors=\"0\">"
    )?;
    write!(xml, "    <testcase classname=\"{name}\" name=\"verdict\"")?;
    if rejected {
        let policy = escape::html(&report.policy.name);
        writeln!(xml, "><failure message=\"rejected under the policy {policy}\"/></testcase>")?;
    } else {
        writeln!(xml, "/>")?;
    }
    for (rule, case) in cases {
        write!(xml, "    <testcase classname=\"{name}\" name=\"{rule}\">")?;
        if let Some(first) = case.failing.first() {
            let title = escape::html(first.rule.title);
            writeln!(xml, "<failure type=\"{}\" message=\"{title}\">", first.severity)?;
            lines(xml, &case.failing)?;
            write!(xml, "help: {}</failure>", escape::html(first.rule.remedy))?;
        } else if !case.waived.is_empty() {
            let ids: Vec<_> =
                case.waived.iter().filter_map(|finding| finding.waiver.as_deref()).collect();
            write!(xml, "<skipped message=\"waived by {}\"/>", escape::html(&ids.join(", ")))?;
        }
        if !case.told.is_empty() {
            writeln!(xml, "<system-out>")?;
            lines(xml, &case.told)?;
            write!(xml, "</system-out>")?;
        }
        writeln!(xml, "</testcase>")?;
    }
    writeln!(xml, "  </testsuite>")
}

fn lines(xml: &mut String, findings: &[&Finding]) -> Result {
    for finding in findings {
        let path = finding.path.as_deref().unwrap_or("image");
        let line = format!("{} {path}: {}", finding.severity, finding.message);
        writeln!(xml, "{}", escape::html(&line))?;
        for evidence in &finding.evidence {
            writeln!(xml, "  - {}", escape::html(evidence))?;
        }
    }
    Ok(())
}
