//! `karat rebuild`.

use super::args;
use super::beside::Placed;
use super::build::threads;
use super::failure::{CODE_DONE, CODE_REJECTED, Failure};
use super::output::Output;
use super::site;
use super::stock::Stock;
use super::{network, settings, verify};
use karat::attest;
use karat::finding::escape;
use karat::image::difference::{Difference, Part};
use karat::oci::Reference;
use karat::pipeline::rebuild::{self, Options, Rebuilt};
use karat::settings::{Policy, Requirement};
use karat::sign;
use karat::time::Now;
use serde_json::json;
use std::path::Path;
use std::time::SystemTime;

pub(super) fn run(args: &args::Rebuild, output: &Output) -> Result<u8, Failure> {
    let reference = Reference::parse(&args.reference, |path| path.symlink_metadata().is_ok())?;
    let project = settings::project(Path::new("."))?;
    let policy = settings::policy(project.root(), &args.policy)?.policy;
    let place = match &reference {
        Reference::Registry { host, repository, .. } => Some(format!("{host}/{repository}")),
        _ => args.place.clone(),
    };
    let trust = verify::trust(&args.signer, &policy, place.as_deref())?;
    if args.sign.is_some() && args.offline && matches!(reference, Reference::Registry { .. }) {
        return Err(Failure::usage("a registry is written to, and `--offline` forbids all"));
    }
    let shown = site::from_here(project.root());
    let here = if shown.as_os_str().is_empty() { Path::new(".") } else { &shown };
    let inputs = args.inputs.as_deref().unwrap_or(here);
    if !inputs.is_dir() {
        return Err(Failure::usage(format!("`{}` is no folder", inputs.display())));
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
    let options = Options {
        stored: &stored,
        root: &root,
        trust: &trust,
        inputs,
        shelf: stock.shelf(project.root(), &shown, threads()),
        threads: threads(),
    };
    let rebuilt = rebuild::rebuild(&options)?;
    let (statement, signer) = &rebuilt.by;
    output.tell(&escape::terminal(&format!(
        "followed the provenance {statement}, signed by {signer}: {} inputs",
        rebuilt.record.inputs.len() + 1
    )));
    let signed = match (&args.sign, &rebuilt.difference) {
        (Some(_), Some(_)) => {
            output.tell("nothing was attested");
            0
        }
        (Some(key), None) => vouch(key, &reference, &policy, &rebuilt, output)?,
        (None, _) => 0,
    };
    tell(&reference, &root.digest.to_string(), &rebuilt, signed, output);
    Ok(if rebuilt.difference.is_none() { CODE_DONE } else { CODE_REJECTED })
}

/// Signs the record of having built the same image, of it and each of its platforms, and puts it
/// beside the image.
fn vouch(
    key: &Path,
    reference: &Reference,
    policy: &Policy,
    rebuilt: &Rebuilt,
    output: &Output,
) -> Result<usize, Failure> {
    let mut placed = Placed::open(reference, policy, output)?;
    let key = settings::private_key(key)?;
    let (ci, epoch) = (settings::ci(), settings::epoch(None)?);
    let mut referrers = Vec::new();
    for (descriptor, record) in &rebuilt.records {
        let subject = json!({ "digest": { "sha256": descriptor.digest.hex() } });
        let predicate_type = Requirement::Provenance.predicate_type();
        let statement = attest::statement(predicate_type, &subject, &record.again(ci.as_ref()));
        let made = sign::statement(&statement, descriptor, &key, epoch);
        referrers.push(made.map_err(|error| Failure::usage(error.to_string()))?);
    }
    let about = placed.origin.root.digest;
    let added = placed.put(&referrers, &[])?;
    output.tell(&match added {
        0 => format!("{about} has it already; nothing was added"),
        added => format!("added {added} to {about}"),
    });
    Ok(added)
}

fn tell(reference: &Reference, digest: &str, rebuilt: &Rebuilt, added: usize, output: &Output) {
    let record = &rebuilt.record;
    if output.is_json() {
        let inputs = std::iter::once(&record.recipe)
            .chain(&record.inputs)
            .map(|one| json!({ "kind": one.kind, "name": one.name, "digest": one.digest }));
        output.json(&json!({
            "schema": "karat.rebuild/v1",
            "reference": reference.to_string(),
            "digest": digest,
            "rebuilt": rebuilt.digest,
            "equal": rebuilt.difference.is_none(),
            "difference": rebuilt.difference,
            "provenance": { "digest": rebuilt.by.0, "signer": rebuilt.by.1 },
            "assembly-format": record.format,
            "encoder": record.encoder,
            "inputs": inputs.collect::<Vec<_>>(),
            "added": added,
        }));
        return;
    }
    let Some(difference) = &rebuilt.difference else {
        output.result(&escape::terminal(&format!("reproduced  {reference}  {digest}")));
        return;
    };
    output.result(&escape::terminal(&format!("differs  {reference}  {digest}")));
    output.result(&format!("  rebuilt  {}", rebuilt.digest));
    output.result(&escape::terminal(&format!("  {}", told(difference))));
}

/// Says where two images part, in one line.
fn told(difference: &Difference) -> String {
    let mut place: Vec<String> = difference.platform.iter().cloned().collect();
    place.push(match (difference.part, difference.layer) {
        (Part::Layer, Some(number)) => format!("layer {number}"),
        (Part::Layer, None) => "layers".to_owned(),
        (Part::Index, _) => "index".to_owned(),
        (Part::Config, _) => "configuration".to_owned(),
        (Part::Manifest, _) => "manifest".to_owned(),
    });
    place.extend(difference.path.iter().cloned());
    place.extend(difference.offset.map(|offset| format!("byte {offset}")));
    format!("{}: {}", place.join(", "), difference.message)
}
