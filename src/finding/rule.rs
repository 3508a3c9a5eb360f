//! What a rule is.

use super::Severity;

/// A rule of the gate: one entry, with everything that is to be said about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// The stable name, kebab-case. Never reused for another rule.
    pub id: &'static str,
    /// What the rule is about, in a few words.
    pub title: &'static str,
    /// How bad a finding of this rule is.
    pub severity: Severity,
    /// Why it matters.
    pub rationale: &'static str,
    /// What to do about a finding.
    pub remedy: &'static str,
    /// An input that the rule refuses.
    pub bad: &'static str,
    /// The same, done right.
    pub good: &'static str,
    /// Whether a waiver may take a finding off the count.
    pub waivable: bool,
}
