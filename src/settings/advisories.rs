//! What known vulnerabilities do, and by which advisories.

use crate::finding::Severity;
use crate::oci::Digest;
use serde::Serialize;

/// What known vulnerabilities do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Vulnerabilities {
    /// The severities of which one that is open rejects an image.
    pub fail_on: Vec<Severity>,
    /// Whether one that nobody has rated does.
    pub unknown_severity: Verdict,
    /// Whether one without a fix does, where its severity would.
    pub unfixed: Verdict,
}

/// Whether something rejects an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It does.
    Fail,
    /// It is shown and does not.
    Inform,
}

impl Default for Vulnerabilities {
    fn default() -> Self {
        Self {
            fail_on: vec![Severity::Critical, Severity::High],
            unknown_severity: Verdict::Fail,
            unfixed: Verdict::Fail,
        }
    }
}

impl Vulnerabilities {
    /// Says whether a policy says nothing of this.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Says whether an open vulnerability rejects: by its severity, none when nobody has rated
    /// it, and by whether a newer version without it is known.
    pub fn reject(&self, severity: Option<Severity>, is_fixed: bool) -> bool {
        let bad = match severity {
            Some(severity) => self.fail_on.contains(&severity),
            None => self.unknown_severity == Verdict::Fail,
        };
        bad && (is_fixed || self.unfixed == Verdict::Fail)
    }
}

/// By which advisories is judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Advisories {
    /// The digest of the only database that may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<Digest>,
    /// How many days may have gone by since the newest change of its advisories.
    pub max_age: u32,
}

impl Default for Advisories {
    fn default() -> Self {
        Self { database: None, max_age: 7 }
    }
}

impl Advisories {
    /// Says whether a policy says nothing of this.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_and_fix_decide() {
        let usual = Vulnerabilities::default();
        let high = Some(Severity::High);
        assert!(usual.reject(high, true) && usual.reject(high, false) && usual.reject(None, true));
        assert!(!usual.reject(Some(Severity::Medium), true));
        let mild = Vulnerabilities {
            unknown_severity: Verdict::Inform,
            unfixed: Verdict::Inform,
            ..Vulnerabilities::default()
        };
        assert!(mild.reject(high, true) && !mild.reject(high, false) && !mild.reject(None, true));
    }
}
