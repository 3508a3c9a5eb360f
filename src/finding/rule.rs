//! What a rule is.

use super::Severity;
use serde::Serialize;

/// A rule of the gate: one entry, with everything that is to be said about it.
#[derive(Debug, PartialEq, Eq, Serialize)]
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
    /// The edition of the rules that brought it: under an older one its findings inform.
    pub edition: u32,
    /// The edition from which its severity holds, and the severity before; none when it has
    /// always been the same.
    pub stricter: Option<(u32, Severity)>,
    /// How bad a finding is on release, where that is worse than elsewhere.
    pub on_release: Option<Severity>,
}

impl Rule {
    /// What most rules are in the parts that few differ in.
    pub const PLAIN: Self = Self {
        id: "",
        title: "",
        severity: Severity::Info,
        rationale: "",
        remedy: "",
        bad: "",
        good: "",
        waivable: true,
        edition: 1,
        stricter: None,
        on_release: None,
    };

    /// Returns how bad a finding is under an edition of the rules: of a rule that is newer,
    /// none is worse than information, and where a rule has become stricter since, the
    /// severity of that time holds.
    pub fn severity_in(&self, edition: u32) -> Severity {
        match self.stricter {
            _ if edition < self.edition => Severity::Info,
            Some((since, before)) if edition < since => before,
            _ => self.severity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_edition_is_not_held_to_newer_rules() {
        let rule = Rule {
            severity: Severity::High,
            edition: 2,
            stricter: Some((4, Severity::Medium)),
            ..Rule::PLAIN
        };
        let severities = [1, 2, 3, 4, 5].map(|edition| rule.severity_in(edition));
        let wanted =
            [Severity::Info, Severity::Medium, Severity::Medium, Severity::High, Severity::High];
        assert_eq!(severities, wanted);
        assert_eq!(Rule { edition: 1, stricter: None, ..rule }.severity_in(1), Severity::High);
    }
}
