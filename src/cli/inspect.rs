//! `karat inspect`.

use super::args;
use super::failure::{CODE_DONE, CODE_FAILED, CODE_REJECTED, CODE_USAGE, Failure};
use super::meter::Meter;
use super::network;
use super::output::Output;
use super::scan;
use super::settings;
use super::site;
use super::waiver_files;
use karat::base::Shelf;
use karat::finding::Severity;
use karat::finding::report::{Report, Verdict};
use karat::oci::Reference;
use karat::oci::reference::is_hosted_repository;
use karat::pipeline;
use karat::policy::{Occasion, Terms};
use karat::settings::names_at;
use karat::time::Now;
use serde_json::json;
use std::path::Path;
use std::time::SystemTime;

pub(super) fn run(args: &args::Inspect, output: &Output) -> Result<u8, Failure> {
    let policy = settings::policy_here(&args.policy)?.policy;
    let now = Now::new(SystemTime::now());
    let project = settings::project(Path::new("."))?;
    let waivers = waiver_files::shared(project.root())?;
    let shown = site::from_here(project.root());
    let bases = Shelf::reading(project.root(), &shown).known();
    let names = match &args.place {
        Some(place) if !is_hosted_repository(place) => {
            return Err(Failure::usage(format!("`--as {place}` names no repository"))
                .hint("`HOST/REPO`: `registry.internal.example/golden/api`"));
        }
        Some(place) => names_at(place),
        None => Vec::new(),
    };
    let advisories = scan::advisories(&args.advisories, &policy, project.root())?;
    let reported = scan::reports(&args.reports, &args.advisories, project.root())?;
    let terms = Terms::new(&policy, &waivers, &names, Occasion::Local, now)?
        .knowing(&bases)
        .advised(advisories.as_ref().map(scan::Advisories::advised))
        .reported(reported.reported());
    let mut reports = Vec::new();
    let mut codes = Vec::new();
    let mut failures = Vec::new();
    for text in &args.references {
        let inspected = Reference::parse(text, |path| path.symlink_metadata().is_ok())
            .map_err(Failure::from)
            .and_then(|reference| match &reference {
                Reference::Registry { .. } => remote(&reference, &terms, args, output),
                _ => Ok(pipeline::inspect::inspect(&reference, &terms)?),
            });
        match inspected {
            Ok(report) => {
                let rejected = report.verdict == Verdict::Rejected && !args.exit_zero;
                codes.push(if rejected { CODE_REJECTED } else { CODE_DONE });
                if output.is_text() {
                    print(&report, output);
                }
                reports.push((text.as_str(), report));
            }
            Err(failure) => {
                codes.push(failure.code);
                if !output.is_json() {
                    output.failure(&failure);
                }
                failures.push(failure);
            }
        }
    }
    let of_inspected: Vec<&Report> = reports.iter().map(|(_, report)| report).collect();
    for stray in strays(&reported, &of_inspected) {
        codes.push(stray.code);
        if !output.is_json() {
            output.failure(&stray);
        }
        failures.push(stray);
    }
    if output.is_json() {
        match (&reports[..], failures.len()) {
            ([(_, only)], 0) => output.json(&json!(only)),
            ([], 1) => {
                if let Some(only) = failures.pop() {
                    return Err(only);
                }
            }
            _ => {
                let reports: Vec<_> = reports.iter().map(|(_, report)| report).collect();
                let errors: Vec<_> = failures
                    .iter()
                    .map(|failure| json!({ "schema": "karat.error/v1", "code": failure.code, "message": failure.message, "hint": failure.hint }))
                    .collect();
                output.json(
                    &json!({ "schema": "karat.reports/v1", "reports": reports, "errors": errors }),
                );
            }
        }
    }
    let shown: Vec<_> = reports.iter().map(|(about, report)| (*about, report)).collect();
    output.reports(&shown, &policy.gate.fail_on);
    let worst =
        [CODE_USAGE, CODE_REJECTED, CODE_FAILED].into_iter().find(|code| codes.contains(code));
    Ok(worst.unwrap_or(CODE_DONE))
}

/// Says of the reports of other scanners which ones are about nothing that was inspected.
fn strays(reported: &scan::Reports, inspected: &[&Report]) -> Vec<Failure> {
    let all = || inspected.iter().flat_map(|one| std::iter::once(*one).chain(&one.images));
    let images: Vec<String> =
        all().filter_map(|one| Some(one.subject.digest?.to_string())).collect();
    let taken = |digest| all().flat_map(|one| &one.scanner_reports).any(|one| one.digest == digest);
    let strays = reported.reports.iter().filter(|one| !taken(one.digest));
    strays.map(|one| scan::other_image(one, &images)).collect()
}

/// Inspects an image in a registry: its layers are read as they come.
fn remote(
    reference: &Reference,
    terms: &Terms<'_>,
    args: &args::Inspect,
    output: &Output,
) -> Result<Report, Failure> {
    let origin = network::origin(reference, terms.policy(), args.offline, false, output)?;
    let _meter = Meter::start(&reference.to_string(), &origin.stored.progress, output);
    Ok(pipeline::inspect::opened(reference, &origin.stored, &origin.root, terms)?.report)
}

fn print(report: &Report, output: &Output) {
    let verdict = if report.verdict == Verdict::Accepted { "accepted" } else { "rejected" };
    let digest = report.subject.digest.map_or_else(String::new, |digest| format!("  {digest}"));
    output.result(&format!(
        "{verdict}  {}{digest}",
        karat::finding::escape::terminal(&report.subject.reference)
    ));
    output.result(&format!("policy    {} {}", report.policy.name, report.policy.digest));
    output.result(&format!("rules     {} {}", report.rules.version, report.rules.digest));
    output.result(&format!("findings  {}", report.counts()));
    output.document(&report.findings_text(Severity::Info));
}
