//! What a site demands: the policy, built in or from a `karat-policy.toml`.
//!
//! Takes the text of a policy file, gives the effective [`Policy`] and where each of its
//! values is from. Opens no file.

pub mod file;

use crate::finding::Severity;
use crate::oci::{Digest, canonical};
use crate::time::Date;
use serde::Serialize;
use std::collections::BTreeMap;

/// The rules by which images are judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// What the gate demands.
    pub gate: Gate,
    /// What waivers may do.
    pub waivers: Waivers,
}

/// What the gate demands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Gate {
    /// The number of the rule set that the policy was written for.
    pub edition: u32,
    /// The severities of which one open finding rejects an image.
    pub fail_on: Vec<Severity>,
    /// The most bytes that the stored layers beside the base's may have.
    pub max_size: u64,
    /// What must be signed for an image before it is released or accepted.
    pub require: Vec<Requirement>,
    /// Severities that differ from the rules' own.
    pub rules: BTreeMap<String, RuleLevel>,
}

/// The severity that a policy gives a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RuleLevel {
    /// The severity; none when findings of the rule do not count at all.
    pub severity: Option<Severity>,
    /// Who answers for it when it is lower than the rule's own.
    pub exception: Option<Lowered>,
}

/// Who answers for a lower severity, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Lowered {
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// The last day on which it holds.
    pub expires: Date,
}

/// A signed statement that can be demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Requirement {
    /// A signature on the image.
    Signature,
    /// A bill of materials of the image.
    Sbom,
    /// How the image was made.
    Provenance,
}

impl Requirement {
    /// Returns the predicate type of the statements that satisfy it: cosign 3's own for
    /// signatures, `spdx.dev/Document`, and SLSA provenance v1.
    pub fn predicate_type(self) -> &'static str {
        match self {
            Self::Signature => "https://sigstore.dev/cosign/sign/v1",
            Self::Sbom => "https://spdx.dev/Document",
            Self::Provenance => "https://slsa.dev/provenance/v1",
        }
    }
}

impl std::fmt::Display for Requirement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Signature => "signature",
            Self::Sbom => "sbom",
            Self::Provenance => "provenance",
        })
    }
}

/// What waivers may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Waivers {
    /// The most days from a waiver's creation to its end.
    pub max_days: u32,
    /// Rules that are never waived, beside those that cannot be; `*` at the end stands for anything.
    pub never: Vec<String>,
}

impl Waivers {
    /// Says whether findings of a rule are never waived.
    pub fn forbid(&self, rule: &str) -> bool {
        self.never.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => rule.starts_with(start),
            None => pattern == rule,
        })
    }
}

impl Policy {
    /// Returns the built-in policy.
    pub fn golden() -> Self {
        let never = ["shell", "multicall", "package-manager", "secret-*", "user-root"];
        Self {
            name: "golden".to_owned(),
            gate: Gate {
                edition: 1,
                fail_on: vec![Severity::Critical, Severity::High],
                max_size: 256 << 20,
                require: vec![Requirement::Signature, Requirement::Sbom, Requirement::Provenance],
                rules: BTreeMap::new(),
            },
            waivers: Waivers { max_days: 90, never: never.map(str::to_owned).to_vec() },
        }
    }

    /// Returns the hash of the policy's canonical JSON: the same for everybody who judges alike.
    pub fn digest(&self) -> Digest {
        Digest::of(&canonical::json(self))
    }
}
