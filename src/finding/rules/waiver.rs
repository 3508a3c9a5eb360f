//! Rules about waivers.

use super::Severity::{High, Low, Medium};

rules! {
    /// A waiver that no longer holds.
    WAIVER_EXPIRED {
        id: "waiver-expired",
        title: "a waiver that does not hold today",
        severity: Medium,
        rationale: "The exception was for a time, and the time is over or has not begun.",
        remedy: "Remove the waiver and what it was for, or have it decided again.",
        bad: "expires = \"2026-01-31\", today",
        good: "a waiver within its days",
        waivable: false,
    }

    /// A waiver that will soon no longer hold.
    WAIVER_EXPIRING {
        id: "waiver-expiring",
        title: "a waiver that expires within 14 days",
        severity: Low,
        rationale: "When it expires, the build is rejected.",
        remedy: "Remove what it is for, or have it decided again in time.",
        bad: "a waiver with three days left",
        good: "a waiver with a month left",
        waivable: false,
    }

    /// A waiver for nothing.
    WAIVER_UNUSED {
        id: "waiver-unused",
        title: "a waiver that no finding needs",
        severity: Low,
        rationale: "It would hide the next thing that happens to fit it.",
        remedy: "Remove it.",
        bad: "a waiver for a file that was fixed",
        good: "a waiver for a finding of this image",
        waivable: false,
    }

    /// A waiver that is not allowed.
    WAIVER_REFUSED {
        id: "waiver-refused",
        title: "a waiver that is not allowed",
        severity: High,
        rationale: "Some rules cannot be waived, and no waiver holds longer than the policy allows.",
        remedy: "Remove what the rule found, or shorten the waiver.",
        bad: "a waiver for `shell`, or for a year",
        good: "a waiver for a waivable rule, at most 90 days",
        waivable: false,
    }
}
