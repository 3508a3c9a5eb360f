//! `karat doctor`.

use super::args::{self, DoctorCommand};
use super::failure::{CODE_DONE, CODE_REJECTED, Failure};
use super::network;
use super::output::Output;
use super::settings;
use karat::finding::escape;
use karat::oci::Reference;
use karat::oci::reference::is_hosted_repository;
use karat::pipeline::doctor::{self, Asked, State};
use karat::pipeline::transfer;
use karat::settings::Standing;
use karat::time::{Moment, Now};
use serde_json::json;
use std::time::SystemTime;

pub(super) fn run(args: &args::DoctorCommands, output: &Output) -> Result<u8, Failure> {
    let DoctorCommand::Registry(args) = &args.command;
    let policy = settings::policy_here(&args.policy)?.policy;
    let place = args.place.strip_prefix("docker://").unwrap_or(&args.place);
    let Some((host, name)) = place.split_once('/').filter(|_| is_hosted_repository(place)) else {
        return Err(Failure::usage(format!("`{}` is no repository", args.place))
            .hint("`HOST/REPO`: `registry.internal.example/golden/trial`"));
    };
    let reference = |name: &str| Reference::Registry {
        host: host.to_owned(),
        repository: name.to_owned(),
        tag: None,
        digest: None,
    };
    let destination = reference(name);
    let registry = policy.registry.as_ref();
    // What is written here has nobody judged: it goes only where images may go.
    let others = args.mount_from.as_deref().map(reference);
    for place in [Some(&destination), others.as_ref()].into_iter().flatten() {
        let _: Standing = transfer::standing(registry, place)?;
    }
    let hosts = transfer::hosts(registry, &[], Some(&destination), &network::plain_hosts()?)?;
    let registries = network::registries(hosts, false, &[&destination])?;
    let now = Moment::from(Now::new(SystemTime::now()));
    let stamp = format!("{}-{}", now.seconds(), std::process::id());
    let asked = Asked {
        host,
        name,
        mount_from: args.mount_from.as_deref(),
        immutable_tags: registry.is_some_and(|one| one.immutable_tags),
        stamp: &stamp,
    };
    let checks = doctor::registry(&registries, &asked)?;
    let failed = checks.iter().any(|check| check.state == State::Failed);
    let code = if failed { CODE_REJECTED } else { CODE_DONE };
    if output.is_json() {
        output.json(&json!({
            "schema": "karat.doctor/v1",
            "code": code,
            "registry": place,
            "checks": checks,
        }));
        return Ok(code);
    }
    for check in &checks {
        let state = match check.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Failed => "FAILED",
        };
        let line = format!("{state:<8} {:<10} {}", check.what, check.message);
        output.result(&escape::terminal(&line));
        if let Some(help) = check.help {
            output.result(&format!("         help: {help}"));
        }
    }
    Ok(code)
}
