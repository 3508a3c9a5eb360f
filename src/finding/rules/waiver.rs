//! Rules about waivers.

use super::Severity::{High, Low, Medium};

rules! {
    /// A waiver that no longer holds.
    WAIVER_EXPIRED {
        id: "waiver-expired",
        title: "a waiver that is past its last day",
        severity: Medium,
        rationale: "The exception was for a time, and the time is over.",
        remedy: "Remove the waiver and what it was for, or have it decided again.",
        bad: "expires = \"2026-01-31\", today",
        good: "a waiver within its days",
        waivable: false,
    }

    /// A waiver that no approver has signed.
    WAIVER_NOT_APPROVED {
        id: "waiver-not-approved",
        title: "a waiver that none of the policy's approvers has signed",
        severity: Medium,
        rationale: "The policy lets exceptions count only when one of its approvers has signed them as they are: whoever writes one down cannot also let it through.",
        remedy: "Have an approver run `karat waivers approve ID`, and commit the bundle that it writes. Every change of the waiver needs a new one.",
        bad: "a waiver whose end was moved after it was approved",
        good: "a waiver with an approver's bundle beside it",
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

    /// A waiver that does not hold yet.
    WAIVER_FUTURE {
        id: "waiver-future",
        title: "a waiver that has not begun",
        severity: Medium,
        rationale: "The exception is for later; what it is for counts until then.",
        remedy: "Wait for its first day, or have it decided for an earlier one.",
        bad: "created = \"2027-01-01\", today",
        good: "a waiver within its days",
        waivable: false,
    }

    /// A waiver for every image.
    WAIVER_TOO_WIDE {
        id: "waiver-too-wide",
        title: "a waiver for every image",
        severity: High,
        rationale: "An exception is for what somebody has looked at, not for whatever comes.",
        remedy: "Name the images, `images = \"payments/api\"`, or bind it to the file's `sha256`.",
        bad: "images = \"**\"",
        good: "images = \"payments/*\"",
        waivable: false,
    }

    /// Findings that reject nothing for a time.
    REPORT_ONLY {
        id: "report-only",
        title: "findings that reject nothing for a time",
        severity: Medium,
        rationale: "A profile of the policy lets images in while their owners clean up.",
        remedy: "Clear the findings before the day on which they count again.",
        bad: "a profile with mode = \"report\"",
        good: "mode = \"enforce\", the default",
        waivable: false,
    }

    /// Findings that reject again.
    REPORT_ONLY_EXPIRED {
        id: "report-only-expired",
        title: "a profile whose time to report only is over",
        severity: Low,
        rationale: "The findings count again; the profile says otherwise and misleads.",
        remedy: "Take `mode` and `until` out of the profile.",
        bad: "until = \"2026-01-31\", today",
        good: "a profile without mode",
        waivable: false,
    }
}
