//! Reports as SARIF, for code scanning services and editors.
//!
//! Source: SARIF 2.1.0 (OASIS, 2020). Every result has a physical location, because services
//! refuse a whole log for one result without: a file in the image by its path relative to
//! `IMAGE`, or the file that the image was made from.

use super::report::Report;
use super::{Finding, Rule, Severity, Status};
use crate::oci::Digest;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The schema that the log says it follows.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
/// The name of the base that paths in an image are relative to.
const IMAGE: &str = "IMAGE";

/// Writes reports as one log with one run. Each report comes with the file that findings
/// about the image as a whole are shown at: its recipe, or what was inspected.
pub fn log(reports: &[(&str, &Report)], version: &str) -> Value {
    let mut rules: BTreeMap<&str, &'static Rule> = BTreeMap::new();
    for finding in reports.iter().flat_map(|(_, report)| report.all_findings()) {
        rules.insert(finding.rule.id, finding.rule);
    }
    let places: BTreeMap<&str, usize> =
        rules.keys().enumerate().map(|(place, id)| (*id, place)).collect();
    let mut results = Vec::new();
    for (about, report) in reports {
        for one in std::iter::once(*report).chain(&report.images) {
            let place = |finding: &Finding| places.get(finding.rule.id).copied();
            results.extend(
                one.findings.iter().map(|finding| result(about, one, finding, place(finding))),
            );
        }
    }
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "karat",
                "semanticVersion": version,
                "rules": rules.values().map(|rule| descriptor(rule)).collect::<Vec<_>>(),
            }},
            "originalUriBaseIds": { IMAGE: { "description": { "text": "the root of the image" } } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// The number from 0 to 10 by which code scanning services sort.
fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.0",
        Severity::Low => "2.0",
        Severity::Info => "0.0",
    }
}

fn descriptor(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.title },
        "fullDescription": { "text": rule.rationale },
        "help": { "text": rule.remedy },
        "defaultConfiguration": { "level": level(rule.severity) },
        "properties": { "security-severity": score(rule.severity), "tags": ["security"] },
    })
}

fn result(about: &str, report: &Report, finding: &Finding, rule: Option<usize>) -> Value {
    let location = match &finding.path {
        Some(path) => json!({ "uri": uri(path.trim_start_matches('/')), "uriBaseId": IMAGE }),
        None => json!({ "uri": uri(about) }),
    };
    let mut location = json!({
        "physicalLocation": { "artifactLocation": location, "region": { "startLine": 1 } },
    });
    if let Some(layer) = finding.layer {
        location["logicalLocations"] = json!([{ "name": layer.to_string(), "kind": "layer" }]);
    }
    // The same finding in the next build is the same alert.
    let file = finding.file.as_ref().map(|file| file.sha256.hex()).unwrap_or_default();
    let path = finding.path.as_deref().unwrap_or_default();
    let print = Digest::of(format!("{}\0{path}\0{file}", finding.rule.id).as_bytes());
    let mut result = json!({
        "ruleId": finding.rule.id,
        "level": level(finding.severity),
        "message": { "text": finding.message },
        "locations": [location],
        "partialFingerprints": { "karat/v1": print.hex() },
        "properties": {
            "severity": finding.severity,
            "evidence": finding.evidence,
            "platform": report.subject.platform,
            "digest": report.subject.digest,
        },
    });
    if let Some(origin) = &finding.origin {
        result["properties"]["origin"] = json!(origin);
    }
    if let Some(base) = finding.base() {
        result["properties"]["base"] = json!(base);
    }
    if let Some(place) = rule {
        result["ruleIndex"] = json!(place);
    }
    if finding.status == Status::Waived {
        let id = finding.waiver.as_deref().unwrap_or_default();
        result["suppressions"] =
            json!([{ "kind": "external", "status": "accepted", "justification": id }]);
    }
    result
}

/// Writes a path as a relative URI reference (RFC 3986, section 2.1).
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            _ => uri += &format!("%{byte:02X}"),
        }
    }
    // The root itself has an empty path, which would stand for the log.
    if uri.is_empty() { ".".to_owned() } else { uri }
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_are_uri_references() {
        assert_eq!(uri("usr/bin/app"), "usr/bin/app");
        assert_eq!(uri("a b:c%d?e#f/é"), "a%20b%3Ac%25d%3Fe%23f/%C3%A9");
        assert_eq!(uri(""), ".");
    }
}
