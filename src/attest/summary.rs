//! What a judgement leaves behind: that an image has passed a policy, and what the gate found.
//!
//! Sources: slsa.dev/spec/v1.0/verification_summary; in-toto attestation framework,
//! `spec/predicates/test-result.md`, version 0.1. No level of SLSA is claimed.

use crate::finding::report::Report;
use crate::finding::{Finding, Status};
use crate::oci::Digest;
use crate::time::{Moment, Now};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Who says so: this program, run by whoever holds the key that signs.
pub const VERIFIER: &str = "urn:karat:verifier:local";

/// On what a summary rests.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The statements that were verified, by the digests of their manifests.
    pub inputs: Vec<Digest>,
    /// Whether two signers have recorded, each for itself, that they have built it.
    pub reproduced: bool,
}

/// Writes the predicate that an image, at `resource`, has passed a policy: gate, signed
/// statements and known vulnerabilities.
///
/// The caller has judged all that; it must not be written without a database of
/// vulnerabilities.
pub fn verification(
    policy_name: &str,
    policy: &Digest,
    resource: &str,
    now: Now,
    evidence: &Evidence,
) -> Value {
    let mut levels = vec!["SLSA_BUILD_LEVEL_UNEVALUATED"];
    if evidence.reproduced {
        levels.push("SLSA_BUILD_REPRODUCED");
    }
    let input = |digest: &Digest| json!({ "digest": { "sha256": digest.hex() } });
    json!({
        "verifier": { "id": VERIFIER, "version": { "karat": env!("CARGO_PKG_VERSION") } },
        "timeVerified": Moment::from(now).to_string(),
        "resourceUri": resource,
        "policy": { "uri": policy_name, "digest": { "sha256": policy.hex() } },
        "inputAttestations": evidence.inputs.iter().map(input).collect::<Vec<_>>(),
        "verificationResult": "PASSED",
        "verifiedLevels": levels,
        "slsaVersion": "1.0",
    })
}

/// Writes the predicate of what the gate found: which rules found nothing that is open, and
/// which warn. Says nothing of the time: the same judgement gives the same record.
pub fn test_result(policy_name: &str, policy: &Digest, report: &Report) -> Value {
    let found = report.findings.iter().chain(report.images.iter().flat_map(|one| &one.findings));
    let open = |finding: &&Finding| finding.status == Status::Open;
    let warned: BTreeSet<&str> = found.filter(open).map(|finding| finding.rule.id).collect();
    let rules = crate::finding::rules::all().map(|rule| rule.id);
    let passed: Vec<&str> = rules.filter(|id| !warned.contains(id)).collect();
    json!({
        "result": if warned.is_empty() { "PASSED" } else { "WARNED" },
        "configuration": [{ "name": policy_name, "digest": { "sha256": policy.hex() } }],
        "passedTests": passed,
        "warnedTests": warned,
        "failedTests": [],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::report::{PolicyName, RuleSet, Subject, Verdict};
    use crate::finding::rules;

    fn report(findings: Vec<Finding>, images: Vec<Report>) -> Report {
        Report {
            schema: Report::SCHEMA,
            subject: Subject { reference: "oci:x".to_owned(), digest: None, platform: None },
            policy: PolicyName { name: "p".to_owned(), digest: Digest::of(b""), profile: None },
            rules: RuleSet { version: 0, digest: Digest::of(b"") },
            verdict: Verdict::Accepted,
            findings,
            packages: Vec::new(),
            vulnerabilities: Vec::new(),
            database: None,
            scanner_reports: Vec::new(),
            images,
        }
    }

    #[test]
    fn what_is_open_warns_and_what_is_waived_does_not() {
        let digest = Digest::of(b"policy");
        let open = Finding::new(&rules::NOT_SCANNED, "nobody has looked");
        let waived = Finding { status: Status::Waived, ..Finding::new(&rules::SCRIPT, "x") };
        let all = rules::all().count();
        let clean = test_result("p", &digest, &report(vec![waived.clone()], Vec::new()));
        assert_eq!(clean["result"], "PASSED");
        assert_eq!(clean["passedTests"].as_array().map(Vec::len), Some(all));
        assert_eq!(clean["configuration"][0]["digest"]["sha256"], digest.hex());
        let below = report(Vec::new(), vec![report(vec![open.clone(), waived], Vec::new())]);
        let warned = test_result("p", &digest, &below);
        assert_eq!(warned["result"], "WARNED");
        assert_eq!(warned["warnedTests"], json!([open.rule.id]));
        assert_eq!(warned["passedTests"].as_array().map(Vec::len), Some(all - 1));
    }
}
