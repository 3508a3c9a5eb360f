//! Judging: the only place where findings become a verdict.
//!
//! Takes an inspected image, the waivers that were given for it, a policy and the day,
//! gives a [`Judged`]: every finding with its status, and the image cleared or not.
//! Only this module makes a [`Cleared`], and only what is cleared can be attested.

use crate::finding::{Finding, Rule, Severity, Status, rules};
use crate::inspect::Inspected;
use crate::oci::DiffId;
use crate::recipe::{Waiver, WaiverSubject};
use crate::settings::Policy;
use crate::time::Now;

/// How many days before its end a waiver is announced to expire.
const EXPIRING: i64 = 14;

/// What passed the gate. Only [`judge`] makes one.
#[derive(Debug)]
pub struct Cleared<T>(T);

impl<T> Cleared<T> {
    /// Returns what passed.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// Keeps the proof alone, for when what passed is no longer held.
    pub fn forget(self) -> Cleared<()> {
        Cleared(())
    }
}

/// The outcome of judging.
#[derive(Debug)]
pub struct Judged<T> {
    /// Every finding, the worst first, waived ones too.
    pub findings: Vec<Finding>,
    /// What passed; none when an open finding rejects it.
    pub cleared: Option<Cleared<T>>,
}

/// Judges what was inspected.
///
/// `further` are findings about the image that no file shows. `diff_ids` are the digests
/// of the layers, in order.
pub fn judge<T>(
    inspected: Inspected<T>,
    diff_ids: &[DiffId],
    further: Vec<Finding>,
    waivers: &[Waiver],
    policy: &Policy,
    now: Now,
) -> Judged<T> {
    let (subject, mut findings) = inspected.into_parts(diff_ids);
    findings.extend(further);
    let about_levels = set_levels(&mut findings, policy, now);
    let about_waivers = apply(&mut findings, waivers, policy, now);
    findings.extend(about_levels.into_iter().chain(about_waivers));
    findings.sort_by(Finding::order);
    let rejects = |finding: &Finding| {
        finding.status == Status::Open && policy.gate.fail_on.contains(&finding.severity)
    };
    let cleared = (!findings.iter().any(rejects)).then_some(Cleared(subject));
    Judged { findings, cleared }
}

/// Gives findings the severities of the policy, and returns what is to be said of those that
/// are past their day.
fn set_levels(findings: &mut [Finding], policy: &Policy, now: Now) -> Vec<Finding> {
    let mut said = Vec::new();
    for (rule, level) in &policy.gate.rules {
        let exception = level.exception.as_ref();
        if let Some(lowered) = exception.filter(|lowered| now.date() > lowered.expires) {
            let message = format!(
                "the policy lowers the rule `{rule}`, and that expired on {}",
                lowered.expires
            );
            said.push(Finding::new(&rules::WAIVER_EXPIRED, message));
            continue;
        }
        for finding in findings.iter_mut().filter(|finding| finding.rule.id == rule) {
            match level.severity {
                Some(severity) => finding.severity = severity,
                None => {
                    finding.status = Status::Waived;
                    finding.waiver = Some(format!("policy: {rule} is off"));
                }
            }
        }
    }
    said
}

/// Takes findings off the count as waivers say, and returns what is to be said of the waivers.
fn apply(findings: &mut [Finding], waivers: &[Waiver], policy: &Policy, now: Now) -> Vec<Finding> {
    let today = now.date();
    let mut said = Vec::new();
    for waiver in waivers {
        let say = |rule, message: String| {
            Finding::new(rule, format!("waiver `{}`: {message}", waiver.id))
        };
        if let Some((rule, why)) = objection(waiver, policy, now) {
            said.push(say(rule, why));
            continue;
        }
        let left = waiver.expires.days_since(today);
        if left < EXPIRING {
            said.push(say(
                &rules::WAIVER_EXPIRING,
                format!("it expires on {}, in {left} days", waiver.expires),
            ));
        }
        let mut used = false;
        for finding in findings.iter_mut().filter(|finding| fits(waiver, finding)) {
            finding.status = Status::Waived;
            finding.waiver = Some(waiver.id.clone());
            used = true;
        }
        if !used {
            said.push(say(
                &rules::WAIVER_UNUSED,
                format!("no finding of `{}` fits it", waiver.rule),
            ));
        }
    }
    said
}

/// Says why a waiver does not hold under a policy on a day, and by which rule; none when it
/// holds.
pub fn objection(waiver: &Waiver, policy: &Policy, now: Now) -> Option<(&'static Rule, String)> {
    if let Some(why) = refused(waiver, policy) {
        return Some((&rules::WAIVER_REFUSED, why));
    }
    let today = now.date();
    if today > waiver.expires {
        return Some((&rules::WAIVER_EXPIRED, format!("it expired on {}", waiver.expires)));
    }
    (today < waiver.created)
        .then(|| (&rules::WAIVER_EXPIRED, format!("it begins on {}", waiver.created)))
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

fn fits(waiver: &Waiver, finding: &Finding) -> bool {
    finding.rule.id == waiver.rule
        && match &waiver.subject {
            WaiverSubject::Path(path) => finding.path.as_deref() == Some(path.as_str()),
            WaiverSubject::Sha256(digest) => {
                finding.file.as_ref().is_some_and(|file| file.sha256 == *digest)
            }
        }
}

/// Returns the worst severity among open findings.
pub fn worst(findings: &[Finding]) -> Option<Severity> {
    findings
        .iter()
        .filter(|finding| finding.status == Status::Open)
        .map(|finding| finding.severity)
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Content, Spool};
    use std::sync::Arc;
    use std::time::{Duration, UNIX_EPOCH};

    const DAY: &str = "2026-11-23";

    fn now() -> Now {
        Now::new(UNIX_EPOCH + Duration::from_secs(1_795_392_000))
    }

    fn waiver(rule: &str, path: &str, created: &str, expires: &str) -> Waiver {
        Waiver {
            id: "w".into(),
            rule: rule.into(),
            subject: WaiverSubject::Path(path.parse().unwrap()),
            reason: "r".into(),
            owner: "o".into(),
            ticket: "t".into(),
            created: created.parse().unwrap(),
            expires: expires.parse().unwrap(),
            span: 0..0,
        }
    }

    fn judged(waivers: &[Waiver]) -> (Vec<(&'static str, Status)>, bool) {
        let content = Content::whole(Arc::new(Spool::of(b"#!/bin/sh\n".to_vec())));
        let inspected = crate::inspect::file("/run.sh", &content);
        let judged = judge(inspected, &[], Vec::new(), waivers, &Policy::golden(), now());
        (judged.findings.iter().map(|f| (f.rule.id, f.status)).collect(), judged.cleared.is_some())
    }

    #[test]
    fn a_waiver_holds_from_its_first_to_its_last_day() {
        assert_eq!(now().date().to_string(), DAY);
        assert_eq!(judged(&[]), (vec![("script", Status::Open)], false));
        assert_eq!(
            judged(&[waiver("script", "/run.sh", DAY, "2027-01-31")]),
            (vec![("script", Status::Waived)], true)
        );
        let (found, cleared) = judged(&[waiver("script", "/run.sh", "2026-09-01", DAY)]);
        assert!(cleared && found.contains(&("waiver-expiring", Status::Open)), "{found:?}");
        for (created, expires) in [("2026-09-01", "2026-11-22"), ("2026-11-24", "2026-12-01")] {
            let (found, cleared) = judged(&[waiver("script", "/run.sh", created, expires)]);
            assert!(!cleared && found.contains(&("waiver-expired", Status::Open)), "{found:?}");
        }
    }

    #[test]
    fn a_waiver_is_for_one_rule_and_one_file() {
        for (rule, path, said) in [
            ("script", "/other.sh", "waiver-unused"),
            ("setuid", "/run.sh", "waiver-unused"),
            ("shell", "/run.sh", "waiver-refused"),
            ("secret-aws", "/run.sh", "waiver-refused"),
            ("no-such-rule", "/run.sh", "waiver-refused"),
        ] {
            let (found, cleared) = judged(&[waiver(rule, path, DAY, "2027-01-31")]);
            assert!(!cleared && found.contains(&(said, Status::Open)), "{rule}: {found:?}");
        }
        let (found, cleared) = judged(&[waiver("script", "/run.sh", DAY, "2027-02-22")]);
        assert!(
            !cleared && found.contains(&("waiver-refused", Status::Open)),
            "91 days: {found:?}"
        );
    }
}
