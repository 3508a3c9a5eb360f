use super::*;
use crate::settings::{Lowered, Registry};
use crate::store::{Content, Spool};
use crate::waiver::Subject;
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
        subject: Subject::Path(path.parse().unwrap()),
        images: None,
        reason: "r".into(),
        owner: "o".into(),
        ticket: "t".into(),
        created: created.parse().unwrap(),
        expires: expires.parse().unwrap(),
        file: "app.karat.toml".into(),
        shared: false,
        span: 0..0,
        image: Some("app".to_owned()),
        approvals: Vec::new(),
    }
}

fn judged_by(policy: &Policy, waivers: &[Waiver]) -> (Vec<(&'static str, Status)>, bool) {
    let content = Content::whole(Arc::new(Spool::of(b"#!/bin/sh\n".to_vec())));
    let inspected = crate::inspect::file("/run.sh", &content);
    let names = policy.names_of("payments/api");
    let terms = Terms::new(policy, waivers, &names, Occasion::Local, now()).unwrap();
    let judged = judge(inspected, &[], Vec::new(), &terms);
    (judged.findings.iter().map(|f| (f.rule.id, f.status)).collect(), judged.cleared.is_some())
}

fn judged(waivers: &[Waiver]) -> (Vec<(&'static str, Status)>, bool) {
    judged_by(&Policy::golden(), waivers)
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
    for (created, expires, said) in [
        ("2026-09-01", "2026-11-22", "waiver-expired"),
        ("2026-11-24", "2026-12-01", "waiver-future"),
    ] {
        let (found, cleared) = judged(&[waiver("script", "/run.sh", created, expires)]);
        assert!(!cleared && found.contains(&(said, Status::Open)), "{found:?}");
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
    assert!(!cleared && found.contains(&("waiver-refused", Status::Open)), "91 days: {found:?}");
}

#[test]
fn a_shared_waiver_is_for_the_images_that_it_names() {
    let policy = Policy {
        registry: Some(Registry {
            publish: Some("registry.example/golden".to_owned()),
            ..Registry::default()
        }),
        ..Policy::golden()
    };
    for (images, waived, said) in [
        (Some("payments/*"), true, None),
        (Some("golden/payments/api"), true, None),
        (Some("registry.example/golden/**"), true, None),
        (Some("payments/web"), false, None),
        (Some("payments"), false, None),
        (Some("**"), false, Some("waiver-too-wide")),
        (Some("*/*"), false, Some("waiver-too-wide")),
        (None, false, Some("waiver-too-wide")),
    ] {
        let shared = Waiver {
            images: images.map(|images| images.parse().unwrap()),
            shared: true,
            ..waiver("script", "/run.sh", DAY, "2027-01-31")
        };
        let (found, cleared) = judged_by(&policy, &[shared]);
        assert_eq!(cleared, waived, "{images:?}: {found:?}");
        let others: Vec<_> = found.iter().filter(|(rule, _)| *rule != "script").collect();
        assert_eq!(others.first().map(|(rule, _)| *rule), said, "{images:?}: {found:?}");
    }
    // What is bound to bytes needs no images, and is not called unused where they are not.
    let digest = crate::oci::Digest::of(b"#!/bin/sh\n");
    for (digest, waived) in [(digest, true), (crate::oci::Digest::of(b"other"), false)] {
        let shared = Waiver {
            subject: Subject::Sha256(digest),
            shared: true,
            ..waiver("script", "/", DAY, "2027-01-31")
        };
        let (found, cleared) = judged_by(&policy, &[shared]);
        assert_eq!((cleared, found.len()), (waived, 1), "{found:?}");
    }
}

fn profile(images: &str, until: Option<&str>, rules: &[(&str, Option<Severity>, &str)]) -> Policy {
    let level = |(rule, severity, expires): &(&str, Option<Severity>, &str)| {
        let exception = Some(Lowered {
            reason: "r".to_owned(),
            owner: "o".to_owned(),
            expires: expires.parse().unwrap(),
        });
        ((*rule).to_owned(), RuleLevel { severity: *severity, exception })
    };
    Policy {
        profile: vec![Profile {
            images: images.parse().unwrap(),
            rules: rules.iter().map(level).collect(),
            report_until: until.map(|until| until.parse().unwrap()),
        }],
        ..Policy::golden()
    }
}

#[test]
fn a_profile_lowers_rules_for_its_images_and_for_its_time() {
    let later = "2026-12-31";
    for (images, expires, cleared) in [
        ("payments/*", later, true),
        ("payments/*", "2026-11-22", false),
        ("shipping/*", later, false),
    ] {
        let policy = profile(images, None, &[("script", Some(Severity::Medium), expires)]);
        assert_eq!(judged_by(&policy, &[]).1, cleared, "{images} {expires}");
    }
    let policy = profile("payments/*", None, &[("script", None, later)]);
    assert_eq!(judged_by(&policy, &[]), (vec![("script", Status::Waived)], true));
}

#[test]
fn a_profile_that_only_reports_lets_all_pass_but_what_was_not_read() {
    for (until, cleared, said) in
        [(DAY, true, "report-only"), ("2026-11-22", false, "report-only-expired")]
    {
        let policy = profile("payments/*", Some(until), &[]);
        let (found, passed) = judged_by(&policy, &[]);
        assert_eq!(passed, cleared, "{until}");
        assert!(found.contains(&("script", Status::Open)), "it still shows: {found:?}");
        assert!(found.contains(&(said, Status::Open)), "{found:?}");
    }
    let policy = profile("payments/*", Some(DAY), &[]);
    let names = policy.names_of("payments/api");
    let terms = Terms::new(&policy, &[], &names, Occasion::Local, now()).unwrap();
    assert!(!rejects(&[Finding::new(&rules::SHELL, "s")], &terms));
    assert!(rejects(&[Finding::new(&rules::COULD_NOT_INSPECT, "c")], &terms));
}

#[test]
fn the_occasion_and_the_edition_set_severities() {
    let policy = Policy::golden();
    let names = [String::new()];
    for (occasion, severity) in
        [(Occasion::Local, Severity::Medium), (Occasion::Release, Severity::High)]
    {
        let terms = Terms::new(&policy, &[], &names, occasion, now()).unwrap();
        let mut findings = [Finding::new(&rules::NOT_SCANNED, "not scanned")];
        set_levels(&mut findings, &terms);
        assert_eq!(findings[0].severity, severity);
    }
}
