//! `karat rebase`.

use super::args;
use super::build::{from_here, threads};
use super::failure::{CODE_DONE, CODE_REJECTED, Failure};
use super::output::Output;
use super::site;
use super::stock::Stock;
use super::{network, scan, settings, verify, waiver_files};
use karat::finding::{Severity, escape};
use karat::oci::Reference;
use karat::oci::reference::is_hosted_repository;
use karat::pipeline::rebase::{self, Options, RebaseError, Rebased};
use karat::policy::Occasion;
use karat::publish::Destination;
use karat::settings::{Policy, Standing};
use karat::time::Now;
use karat::verify::Verification;
use serde_json::json;
use std::path::Path;
use std::time::SystemTime;

pub(super) fn run(args: &args::Rebase, output: &Output) -> Result<u8, Failure> {
    let reference = Reference::parse(&args.reference, |path| path.symlink_metadata().is_ok())?;
    let project = settings::project(Path::new("."))?;
    let policy = settings::policy(project.root(), &args.policy)?.policy;
    let waivers = waiver_files::shared(project.root())?;
    let advisories = scan::advisories(&args.advisories, &policy, project.root())?;
    let epoch = settings::epoch(args.source_date_epoch.as_deref())?;
    let name = name(args, &reference, &policy)?;
    let key = settings::private_key(&args.sign)?;
    let trust = verify::trust(&args.signer, &policy, place(&reference).as_deref())?;
    let mut destinations = Vec::new();
    for text in &args.output {
        destinations.push(Destination::new(Reference::parse(text, |_| false)?)?);
    }
    if destinations.is_empty() {
        let dist = from_here(&project.root().join("dist").join(&name));
        destinations.push(Destination::Dist(dist));
    }
    let (stored, root) = match &reference {
        Reference::Registry { .. } => {
            let origin = network::origin(&reference, &policy, args.offline, true, output)?;
            (origin.stored, origin.root)
        }
        _ => verify::local(&reference)?,
    };
    let now = Now::new(SystemTime::now());
    let stock = Stock::read(&policy, None, args.offline, now)?;
    let shown = site::from_here(project.root());
    let ci = settings::ci();
    let options = Options {
        stored: &stored,
        root: &root,
        trust: &trust,
        name: &name,
        base: &args.base,
        shelf: stock.shelf(project.root(), &shown, threads()),
        policy: &policy,
        waivers: &waivers,
        advised: advisories.as_ref().map(scan::Advisories::advised),
        occasion: Occasion::Local,
        epoch,
        ci: ci.as_ref(),
        now,
        key: &key,
        destinations: &destinations,
    };
    let rebased = match rebase::rebase(&options) {
        Ok(rebased) => rebased,
        Err(RebaseError::NotSigned(verification)) => {
            return Err(unsigned(&reference, &verification, &trust.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    Ok(tell(args, &rebased, &destinations, output))
}

/// Returns the repository that the image is in.
fn place(reference: &Reference) -> Option<String> {
    match reference {
        Reference::Registry { host, repository, .. } => Some(format!("{host}/{repository}")),
        _ => None,
    }
}

/// Returns what the image is called.
fn name(args: &args::Rebase, reference: &Reference, policy: &Policy) -> Result<String, Failure> {
    let name = match (&args.name, reference) {
        (Some(name), _) => name.clone(),
        (None, Reference::Registry { host, repository, .. }) => {
            let place = format!("{host}/{repository}");
            let registry = policy.registry.as_ref();
            let known = registry.filter(|one| one.standing(&place) != Standing::Unknown);
            let roots = known.into_iter().flat_map(|one| [&one.publish, &one.staging]).flatten();
            let mut below = roots.filter_map(|root| place.strip_prefix(&format!("{root}/")));
            below.next().map_or_else(|| repository.clone(), str::to_owned)
        }
        _ => {
            return Err(Failure::usage(format!(
                "`{reference}` does not say what the image is called"
            ))
            .hint("give it: `--name NAME`"));
        }
    };
    // The grammar of repositories is that of names.
    match is_hosted_repository(&format!("registry.example/{name}")) {
        true => Ok(name),
        false => Err(Failure::usage(format!("`{name}` is no name of an image"))
            .hint("lower-case letters, digits, `-`, `.`, `_` and `/`")),
    }
}

fn unsigned(reference: &Reference, verification: &Verification, signer: &str) -> Failure {
    let mut missing: Vec<String> = verification.damage.clone();
    missing.extend(verification.revoked.iter().cloned());
    for subject in &verification.subjects {
        let of_subject = subject.met.iter().filter(|(_, met)| !**met);
        missing.extend(of_subject.map(|(what, _)| format!("no {what} of {}", subject.digest)));
    }
    let message =
        format!("`{reference}` is not signed as it must be, by {signer}: {}", missing.join("; "));
    Failure { code: CODE_REJECTED, ..Failure::usage(escape::terminal(&message)) }
        .hint("`karat verify` shows what was looked at; nothing was written")
}

fn tell(
    args: &args::Rebase,
    rebased: &Rebased,
    destinations: &[Destination],
    output: &Output,
) -> u8 {
    let report = &rebased.report;
    let code = if rebased.root.is_some() { CODE_DONE } else { CODE_REJECTED };
    for (platform, old, new) in &rebased.bases {
        let new = new.map_or_else(String::new, |digest| format!("@{digest}"));
        output.tell(&escape::terminal(&format!(
            "{platform}  {}@{} -> {}{new}",
            old.name, old.digest, args.base
        )));
    }
    output.tell(&format!("policy    {} {}", report.policy.name, report.policy.digest));
    output.tell(&format!("findings  {}", report.counts()));
    output.tell(&report.findings_text(Severity::Low));
    if output.is_json() {
        output.json(&json!({
            "schema": "karat.rebase/v1",
            "code": code,
            "signed": rebased.signed,
            "report": report,
        }));
        return code;
    }
    match &rebased.root {
        Some(root) => {
            let place = destinations.first().map(ToString::to_string).unwrap_or_default();
            output.result(&escape::terminal(&format!("{place}@{}", root.digest)));
        }
        None => output.tell("REJECTED  no image was written"),
    }
    code
}
