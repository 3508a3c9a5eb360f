//! What may be mirrored from its makers, and which drift is refused.

use super::is_below;
use serde::Serialize;
use std::fmt;

/// What may be mirrored from its makers, and which drift is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Mirror {
    /// The hosts and places that may be read, even where no other host is reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// The states that `karat mirror check` rejects, in their order.
    #[serde(skip_serializing_if = "is_usual")]
    pub fail_on_drift: Vec<DriftState>,
}

impl Default for Mirror {
    fn default() -> Self {
        Self { sources: Vec::new(), fail_on_drift: USUAL.to_vec() }
    }
}

/// What is rejected where a policy says nothing.
const USUAL: [DriftState; 5] = [
    DriftState::SignatureLost,
    DriftState::SignerChanged,
    DriftState::ExpiredApproval,
    DriftState::NewVulnerabilities,
    DriftState::UnapprovedInTarget,
];

fn is_usual(states: &[DriftState]) -> bool {
    states == USUAL
}

impl Mirror {
    /// Says whether a policy says nothing of this.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Says whether a `HOST/REPO` is a source. Whole path segments are compared.
    pub fn is_source(&self, place: &str) -> bool {
        self.sources.iter().any(|source| is_below(place, source))
    }
}

/// How what was mirrored differs from what was approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriftState {
    /// Its signature is not there any more, at its makers or where it went.
    SignatureLost,
    /// Somebody else has signed it, or what its tag leads to now.
    SignerChanged,
    /// The approval has ended.
    ExpiredApproval,
    /// A vulnerability is known of it that is worse than what was approved.
    NewVulnerabilities,
    /// Something is where it went that was never approved.
    UnapprovedInTarget,
    /// The tag that was set where it went is gone or leads elsewhere.
    TagDrift,
    /// The tag that was asked for leads to something else now.
    TagMoved,
    /// Its makers do not have it any more.
    GoneUpstream,
    /// It was not copied yet.
    NotCopied,
    /// Nothing differs.
    InSync,
}

impl DriftState {
    /// Every state that is a difference.
    pub const ALL: [Self; 9] = [
        Self::SignatureLost,
        Self::SignerChanged,
        Self::ExpiredApproval,
        Self::NewVulnerabilities,
        Self::UnapprovedInTarget,
        Self::TagDrift,
        Self::TagMoved,
        Self::GoneUpstream,
        Self::NotCopied,
    ];

    /// Returns the state of a name; none when there is none of it.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.to_string() == name)
    }
}

impl fmt::Display for DriftState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::SignatureLost => "signature-lost",
            Self::SignerChanged => "signer-changed",
            Self::ExpiredApproval => "expired-approval",
            Self::NewVulnerabilities => "new-vulnerabilities",
            Self::UnapprovedInTarget => "unapproved-in-target",
            Self::TagDrift => "tag-drift",
            Self::TagMoved => "tag-moved",
            Self::GoneUpstream => "gone-upstream",
            Self::NotCopied => "not-copied",
            Self::InSync => "in-sync",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_are_written() {
        for state in DriftState::ALL.into_iter().chain([DriftState::InSync]) {
            assert_eq!(serde_json::to_value(state).unwrap(), state.to_string());
        }
        assert!(DriftState::of("in-sync").is_none() && DriftState::of("drift").is_none());
        let usual = serde_json::to_string(&Mirror::default()).unwrap();
        assert_eq!(usual, "{}", "a policy that says nothing has the digest that it had");
    }
}
