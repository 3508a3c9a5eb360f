//! `karat verify --attest-vsa`: says, signed, that an image which is published already passes now.

use super::args;
use super::beside::Placed;
use super::clearance::{self, Seal};
use super::failure::{CODE_DONE, CODE_REJECTED, Failure};
use super::meter::Meter;
use super::output::Output;
use super::{scan, settings, waiver_files};
use karat::finding::escape;
use karat::oci::Reference;
use karat::pipeline::clearance::{Demand, clear};
use karat::policy::{Occasion, Terms};
use karat::settings::{Policy, Requirement, names_at};
use karat::time::Now;
use karat::verify::{self, Trust};
use serde_json::json;
use std::path::Path;
use std::time::SystemTime;

/// Judges an image as if it entered its place now, and puts a fresh summary beside it and each of
/// its platforms.
pub(super) fn run(
    args: &args::Verify,
    reference: &Reference,
    place: Option<&str>,
    policy: &Policy,
    trust: &Trust,
    output: &Output,
) -> Result<u8, Failure> {
    if args.offline && matches!(reference, Reference::Registry { .. }) {
        return Err(Failure::usage("a registry is written to, and `--offline` forbids all"));
    }
    let Some(place) = place else {
        return Err(Failure::usage("a summary names the repository of its image")
            .hint("`--as HOST/REPO` for an image on this machine"));
    };
    let root = settings::project(Path::new("."))?.root().to_owned();
    let waivers = waiver_files::shared(&root)?;
    let advisories = scan::advisories(&args.advisories, policy, &root)?;
    let Some(seal) = Seal::read(args.sign.as_deref(), advisories.is_some())? else {
        return Err(Failure::usage("nothing says who vouches").hint("`--sign cosign.key`"));
    };
    let names = names_at(place);
    let now = Now::new(SystemTime::now());
    let terms = Terms::new(policy, &waivers, &names, Occasion::Release, now)?
        .advised(advisories.as_ref().map(scan::Advisories::advised));
    let require = clearance::before(&policy.gate.require, Some(&seal));
    let mut image = Placed::open(reference, policy, output)?;
    let found = {
        let _meter = Meter::start("judging", &image.origin.stored.progress, output);
        let demand = Demand { trust, require: &require, of_each: true };
        clear(reference, &image.origin, Some(demand), &terms)?
    };
    let digest = image.origin.root.digest;
    output.tell(&format!("policy {} {}", policy.name, policy.digest()));
    if !found.accepted() {
        clearance::rejected(reference, &found, Some(trust), output);
        if output.is_json() {
            output.json(&json!(found.report));
        }
        output.tell("nothing was attested");
        return Ok(CODE_REJECTED);
    }
    let own = seal.trust(policy, place, now)?;
    let (stored, root) = (&image.origin.stored, &image.origin.root);
    let there = verify::signed(stored, root, &own, &[Requirement::Vsa])?;
    let added = match there.accepted() {
        true => 0,
        false => {
            let voucher = seal.voucher(&own, policy, place, now);
            let made = found.vouch(&mut image.origin, &voucher)?;
            image.put(&made, &[])?
        }
    };
    output.tell(&match added {
        0 => format!("{digest} has a fresh summary already; nothing was added"),
        added => format!("added {added} summaries to {digest}"),
    });
    if output.is_json() {
        output.json(&json!({
            "schema": "karat.attested/v1",
            "reference": reference.to_string(),
            "digest": digest,
            "predicate-type": Requirement::Vsa.predicate_type(),
            "policy": { "name": policy.name, "digest": policy.digest() },
            "added": added,
        }));
    } else {
        output.result(&escape::terminal(&format!("{place}@{digest}")));
    }
    Ok(CODE_DONE)
}
