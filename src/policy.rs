//! Judging: the only place where findings become a verdict.
//!
//! Takes an inspected image and [`Terms`] (a policy, the waivers, the image's names and the
//! day), gives a [`Judged`]: every finding with its status, and the image cleared or not.
//! Only this module makes a [`Cleared`], and only what is cleared can be attested.

pub mod draft;
mod waivers;

use crate::advisory::scanner::Report;
use crate::advisory::{Database, vex};
use crate::base::Known;
use crate::finding::{Finding, Origin, Rule, Severity, Status, rules};
use crate::inspect::Inspected;
use crate::oci::DiffId;
use crate::settings::{Policy, Profile, ProfileTie, RuleLevel};
use crate::time::Now;
use crate::waiver::Waiver;
use std::collections::BTreeMap;

pub use waivers::{Standing, standing, standing_of_level};

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

/// What an image is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    policy: &'a Policy,
    profile: Option<&'a Profile>,
    waivers: &'a [Waiver],
    names: &'a [String],
    occasion: Occasion,
    now: Now,
    bases: &'a [Known],
    advised: Option<Advised<'a>>,
    reported: Reported<'a>,
    signed_vex: &'a [vex::Signed],
}

/// What is known to be vulnerable, and what somebody has said of it.
#[derive(Debug, Clone, Copy)]
pub struct Advised<'a> {
    /// The advisories.
    pub database: &'a Database,
    /// Who says that which of them do not count.
    pub statements: &'a [vex::Statement],
}

/// What other scanners have found, and what somebody has said of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reported<'a> {
    /// Their reports; those that are about another image say nothing of this one.
    pub reports: &'a [Report],
    /// Who says that which of it does not count.
    pub statements: &'a [vex::Statement],
}

/// What an image is judged for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// To be tried out or looked at.
    Local,
    /// To enter a registry that others trust.
    Release,
}

impl<'a> Terms<'a> {
    /// Sets what an image is judged by. `names` are the names that it goes by: they decide
    /// which profile of the policy and which waivers of `waivers/` are for it.
    ///
    /// # Errors
    /// When two profiles are for it and neither is narrower.
    pub fn new(
        policy: &'a Policy,
        waivers: &'a [Waiver],
        names: &'a [String],
        occasion: Occasion,
        now: Now,
    ) -> Result<Self, ProfileTie> {
        let profile = policy.profile_for(names)?;
        let (bases, advised, reported) = (&[][..], None, Reported::default());
        let signed_vex = &[][..];
        Ok(Self {
            policy,
            profile,
            waivers,
            names,
            occasion,
            now,
            bases,
            advised,
            reported,
            signed_vex,
        })
    }

    /// Takes bases too, by which findings in layers of a base are told apart.
    #[must_use]
    pub fn knowing(self, bases: &'a [Known]) -> Self {
        Self { bases, ..self }
    }

    /// Takes advisories too, in which the parts of an image are looked up.
    #[must_use]
    pub fn advised(self, advised: Option<Advised<'a>>) -> Self {
        Self { advised, ..self }
    }

    /// Takes what other scanners have found too.
    #[must_use]
    pub fn reported(self, reported: Reported<'a>) -> Self {
        Self { reported, ..self }
    }

    /// Takes statements too that somebody has signed who may.
    #[must_use]
    pub fn heeding(self, signed_vex: &'a [vex::Signed]) -> Self {
        Self { signed_vex, ..self }
    }

    /// Returns the statements that somebody has signed who may.
    pub fn signed_vex(&self) -> &'a [vex::Signed] {
        self.signed_vex
    }

    /// Returns the names that the image goes by, that of its place first.
    pub fn names(&self) -> &'a [String] {
        self.names
    }

    /// Returns what other scanners have found.
    pub fn reports(&self) -> Reported<'a> {
        self.reported
    }

    /// Returns the advisories that were given.
    pub fn advisories(&self) -> Option<Advised<'a>> {
        self.advised
    }

    /// Returns the time that decides what has expired.
    pub fn now(&self) -> Now {
        self.now
    }

    /// Returns the policy.
    pub fn policy(&self) -> &'a Policy {
        self.policy
    }

    /// Returns the profile of the policy that is for the image.
    pub fn profile(&self) -> Option<&'a Profile> {
        self.profile
    }

    /// Says whether findings reject nothing today.
    pub fn only_reports(&self) -> bool {
        let until = self.profile.and_then(|profile| profile.report_until);
        until.is_some_and(|until| self.now.date() <= until)
    }

    /// The severities that differ from the rules' own: the profile's before the gate's.
    fn levels(&self) -> BTreeMap<&'a str, &'a RuleLevel> {
        let of_profile = self.profile.map(|profile| &profile.rules).into_iter().flatten();
        let all = self.policy.gate.rules.iter().chain(of_profile);
        all.map(|(rule, level)| (rule.as_str(), level)).collect()
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
    terms: &Terms<'_>,
) -> Judged<T> {
    let (subject, mut findings) = inspected.into_parts(diff_ids);
    set_origins(&mut findings, diff_ids, terms.bases);
    findings.extend(further);
    let about_levels = set_levels(&mut findings, terms);
    let about_waivers = waivers::apply(&mut findings, terms);
    findings.extend(about_levels.into_iter().chain(about_waivers));
    findings.extend(about_profile(terms));
    findings.sort_by(Finding::order);
    let rejected = rejects(&findings, terms);
    Judged { findings, cleared: (!rejected).then_some(Cleared(subject)) }
}

/// Judges what is known of an image that is not inspected: gives the findings with what waivers
/// take off them, the worst first, and whether they reject. Waivers for what only an inspection
/// finds are left alone.
pub fn judge_known(mut findings: Vec<Finding>, terms: &Terms<'_>) -> (Vec<Finding>, bool) {
    set_levels(&mut findings, terms);
    let is_about = |waiver: &&Waiver| ABOUT_KNOWN.iter().any(|rule| rule.id == waiver.rule);
    let waivers: Vec<Waiver> = terms.waivers.iter().filter(is_about).cloned().collect();
    let about_waivers = waivers::apply(&mut findings, &Terms { waivers: &waivers, ..*terms });
    findings.extend(about_waivers);
    findings.sort_by(Finding::order);
    let rejected = rejects(&findings, terms);
    (findings, rejected)
}

/// The rules of what is known of an image.
const ABOUT_KNOWN: [&Rule; 4] =
    [&rules::VULNERABILITY, &rules::NOT_SCANNED, &rules::ADVISORIES_STALE, &rules::VEX_UNUSED];

/// Says of findings in the layers of a known base that they are: of the longest one that the
/// image begins with.
fn set_origins(findings: &mut [Finding], diff_ids: &[DiffId], bases: &[Known]) {
    let fits = |base: &&Known| !base.diff_ids.is_empty() && diff_ids.starts_with(&base.diff_ids);
    let Some(base) = bases.iter().filter(fits).max_by_key(|base| base.diff_ids.len()) else {
        return;
    };
    for finding in findings {
        let Some(layer) = finding.layer else { continue };
        finding.origin = Some(match base.diff_ids.contains(&layer) {
            true => Origin::Base(base.name.clone()),
            false => Origin::Added,
        });
    }
}

/// Says whether findings reject an image under the terms.
pub fn rejects(findings: &[Finding], terms: &Terms<'_>) -> bool {
    let only_reports = terms.only_reports();
    findings.iter().any(|finding| {
        finding.status == Status::Open
            && is_bad(finding, terms)
            // What was not read is never let in.
            && (!only_reports || rules::is_about_reading(finding.rule))
    })
}

/// Says whether a finding is as bad as what rejects. Of vulnerabilities the policy speaks apart,
/// unless it gives their rule a severity.
fn is_bad(finding: &Finding, terms: &Terms<'_>) -> bool {
    let gate = &terms.policy.gate;
    match &finding.vulnerability {
        Some(found) if found.notice => false,
        Some(found) => gate.vulnerabilities.reject(found.severity, found.fixed.is_some()),
        None => gate.fail_on.contains(&finding.severity),
    }
}

/// Gives findings the severities of the edition, the occasion and the policy, and returns
/// what is to be said of those of the policy that are past their day.
fn set_levels(findings: &mut [Finding], terms: &Terms<'_>) -> Vec<Finding> {
    let edition = terms.policy.gate.edition;
    for finding in findings.iter_mut() {
        let of_edition = finding.rule.severity_in(edition);
        if of_edition < finding.rule.severity {
            finding.severity = finding.severity.min(of_edition);
            finding.evidence.push(format!(
                "the rule became this strict with edition {}, and the policy has edition {edition}",
                finding.rule.stricter.map_or(finding.rule.edition, |(since, _)| since)
            ));
        } else if let Some(severity) = finding.rule.on_release
            && terms.occasion == Occasion::Release
        {
            finding.severity = finding.severity.max(severity);
        }
    }
    let mut said = Vec::new();
    for (rule, level) in terms.levels() {
        match level.exception.as_ref().map(|lowered| standing_of_level(lowered, terms.now)) {
            Some(Standing::Void(by, why)) => {
                let message = format!("the policy lowers the rule `{rule}`: {why}");
                said.push(Finding::new(by, message));
                continue;
            }
            Some(Standing::Expiring(left)) => {
                let message = format!("the policy lowers the rule `{rule}` for {left} more days");
                said.push(Finding::new(&rules::WAIVER_EXPIRING, message));
            }
            Some(Standing::Holds) | None => {}
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

/// Says that findings reject nothing for a time, or that this time is over.
fn about_profile(terms: &Terms<'_>) -> Option<Finding> {
    let profile = terms.profile?;
    let until = profile.report_until?;
    let left = until.days_since(terms.now.date());
    Some(if left < 0 {
        let message =
            format!("the profile for `{}` was to report only until {until}", profile.images);
        Finding::new(&rules::REPORT_ONLY_EXPIRED, message)
    } else {
        let message = format!(
            "the profile for `{}` only reports: findings reject nothing until {until}, for {left} more days",
            profile.images
        );
        Finding::new(&rules::REPORT_ONLY, message)
    })
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
mod tests;
