//! Waivers at judgement: which hold, and what they take off the count.

use super::Terms;
use crate::finding::{Finding, Rule, Status, rules};
use crate::oci::purl;
use crate::settings::{Lowered, Policy};
use crate::time::Now;
use crate::trust::approval;
use crate::waiver::{Subject, Waiver};

/// How many days before its end a waiver is announced to expire.
const EXPIRING: i64 = 14;

/// How a waiver stands under a policy on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It holds.
    Holds,
    /// It holds, for so many days more.
    Expiring(i64),
    /// It does not hold: by which rule, and why.
    Void(&'static Rule, String),
}

/// Says how a waiver stands. The one place that decides it: every command asks here.
pub fn standing(waiver: &Waiver, policy: &Policy, now: Now) -> Standing {
    if let Some(why) = refused(waiver, policy) {
        return Standing::Void(&rules::WAIVER_REFUSED, why);
    }
    if waiver.shared && is_too_wide(waiver) {
        let why = match &waiver.images {
            Some(images) => format!("`{images}` is every image"),
            None => "it names a path and no `images`, and so is for every image".to_owned(),
        };
        return Standing::Void(&rules::WAIVER_TOO_WIDE, why);
    }
    let today = now.date();
    if today > waiver.expires {
        return Standing::Void(&rules::WAIVER_EXPIRED, format!("it expired on {}", waiver.expires));
    }
    if today < waiver.created {
        let why = format!("it begins on {}", waiver.created);
        return Standing::Void(&rules::WAIVER_FUTURE, why);
    }
    if let Some(approvers) = &policy.waivers.approvers {
        let (digest, bundles) = (waiver.digest(), &waiver.approvals);
        if let Err(why) = approval(&digest, bundles, approvers, policy, now) {
            return Standing::Void(&rules::WAIVER_NOT_APPROVED, why);
        }
    }
    match waiver.expires.days_since(today) {
        left if left < EXPIRING => Standing::Expiring(left),
        _ => Standing::Holds,
    }
}

/// Says how a lower severity in a policy stands on a day.
pub fn standing_of_level(lowered: &Lowered, now: Now) -> Standing {
    match lowered.expires.days_since(now.date()) {
        left if left < 0 => {
            Standing::Void(&rules::WAIVER_EXPIRED, format!("it expired on {}", lowered.expires))
        }
        left if left < EXPIRING => Standing::Expiring(left),
        _ => Standing::Holds,
    }
}

/// A waiver that is bound to bytes is for one file, wherever it is.
fn is_too_wide(waiver: &Waiver) -> bool {
    match (&waiver.images, &waiver.subject) {
        (Some(images), _) => images.is_unbounded(),
        (None, Subject::Sha256(_) | Subject::Vulnerability { .. }) => false,
        (None, Subject::Path(_)) => true,
    }
}

fn refused(waiver: &Waiver, policy: &Policy) -> Option<String> {
    match rules::find(&waiver.rule) {
        None => return Some(format!("there is no rule `{}`", waiver.rule)),
        Some(rule) if !rule.waivable || policy.waivers.forbid(&waiver.rule) => {
            return Some(format!("the rule `{}` cannot be waived", waiver.rule));
        }
        Some(_) => {}
    }
    let days = waiver.expires.days_since(waiver.created);
    if days < 0 {
        return Some("it ends before it begins".to_owned());
    }
    let most = policy.waivers.max_days;
    (days > i64::from(most)).then(|| format!("it holds {days} days, and the policy allows {most}"))
}

/// Takes findings off the count as waivers say, and returns what is to be said of the waivers.
pub(super) fn apply(findings: &mut [Finding], terms: &Terms<'_>) -> Vec<Finding> {
    let mut said = Vec::new();
    for waiver in terms.waivers.iter().filter(|waiver| is_for(waiver, terms.names)) {
        let mut say = |rule, message: String| {
            let finding = Finding::new(rule, format!("waiver `{}`: {message}", waiver.id));
            said.push(finding.because([format!("it is in {}", waiver.file)]));
        };
        match standing(waiver, terms.policy, terms.now) {
            Standing::Void(rule, why) => {
                say(rule, why);
                continue;
            }
            Standing::Expiring(left) => say(
                &rules::WAIVER_EXPIRING,
                format!("it expires on {}, in {left} days", waiver.expires),
            ),
            Standing::Holds => {}
        }
        let mut used = false;
        for finding in findings.iter_mut().filter(|finding| fits(waiver, finding)) {
            finding.status = Status::Waived;
            finding.waiver = Some(waiver.id.clone());
            used = true;
        }
        // A file or package that is not in this image may be in another one that shares the
        // waiver.
        let elsewhere = waiver.shared && !matches!(waiver.subject, Subject::Path(_));
        if !used && !elsewhere {
            say(&rules::WAIVER_UNUSED, format!("no finding of `{}` fits it", waiver.rule));
        }
    }
    said
}

/// Says whether a waiver is for an image of these names. One that is too wide is for each, so
/// that somebody hears of it.
fn is_for(waiver: &Waiver, names: &[String]) -> bool {
    match &waiver.images {
        Some(images) => names.iter().any(|name| images.fits(name)),
        None => true,
    }
}

fn fits(waiver: &Waiver, finding: &Finding) -> bool {
    finding.rule.id == waiver.rule
        && match &waiver.subject {
            Subject::Path(path) => finding.path.as_deref().unwrap_or("/") == path.as_str(),
            Subject::Sha256(digest) => {
                finding.file.as_ref().is_some_and(|file| file.sha256 == *digest)
            }
            Subject::Vulnerability { id, package } => {
                finding.vulnerability.as_ref().is_some_and(|found| {
                    found.ids.iter().any(|known| known.eq_ignore_ascii_case(id))
                        && found.package.as_ref().is_some_and(|found| purl::covers(package, found))
                })
            }
        }
}
