//! `karat verify`.

use super::args::{self, Require};
use super::failure::{CODE_DONE, CODE_REJECTED, Failure};
use super::output::Output;
use super::settings;
use karat::finding::escape;
use karat::image::stored::Stored;
use karat::oci::Reference;
use karat::settings::Requirement;
use karat::verify::{self, Verification};
use serde_json::json;

pub(super) fn run(args: &args::Verify, output: &Output) -> Result<u8, Failure> {
    let policy = settings::policy_here(&args.policy)?.policy;
    let reference = Reference::parse(&args.reference, |path| path.symlink_metadata().is_ok())?;
    let key = settings::public_key(&args.key)?;
    let require: Vec<Requirement> = if args.require.is_empty() {
        policy.gate.require.clone()
    } else {
        args.require
            .iter()
            .map(|one| match one {
                Require::Signature => Requirement::Signature,
                Require::Sbom => Requirement::Sbom,
                Require::Provenance => Requirement::Provenance,
            })
            .collect()
    };
    let Some(stored) = Stored::open(&reference)? else {
        return Err(Failure::usage(format!(
            "`{reference}` is no image that this version of karat verifies"
        ))
        .hint("`oci:DIR[:TAG]` or `archive:FILE`"));
    };
    let tag = match &reference {
        Reference::Layout { tag, .. } => tag.as_deref(),
        _ => None,
    };
    let root = stored.image(tag)?;
    let verification = verify::stored(&stored, root, &key, &require)?;
    let accepted = verification.accepted();
    if output.is_json() {
        output.json(&json!({
            "schema": "karat.verification/v1",
            "verdict": if accepted { "accepted" } else { "rejected" },
            "reference": reference.to_string(),
            "policy": { "name": policy.name, "digest": policy.digest() },
            "key": key.fingerprint(),
            "verification": verification,
        }));
    } else {
        print(&reference, &verification, &policy, output);
    }
    Ok(if accepted { CODE_DONE } else { CODE_REJECTED })
}

fn print(
    reference: &Reference,
    verification: &Verification,
    policy: &karat::settings::Policy,
    output: &Output,
) {
    let verdict = if verification.accepted() { "accepted" } else { "rejected" };
    output.result(&format!(
        "{verdict}  {}  {}",
        escape::terminal(&reference.to_string()),
        verification.digest
    ));
    output.result(&format!("policy    {} {}", policy.name, policy.digest()));
    for damage in &verification.damage {
        output.result(&format!("  differs   {}", escape::terminal(damage)));
    }
    if verification.subjects.iter().all(|subject| subject.candidates.is_empty()) {
        output.tell("nothing is signed here: sign with `karat build --sign KEY`");
    }
    for subject in &verification.subjects {
        let platform =
            subject.platform.as_deref().map(|platform| format!("  {platform}")).unwrap_or_default();
        output.result(&format!("  {}{platform}", subject.digest));
        for (requirement, met) in &subject.met {
            output.result(&format!(
                "    {requirement:<11} {}",
                if *met { "verified" } else { "MISSING" }
            ));
        }
        for candidate in &subject.candidates {
            let what = match (&candidate.refused, &candidate.predicate_type) {
                (Some(why), _) => {
                    format!("refused {}: {}", candidate.digest, escape::terminal(why))
                }
                (None, Some(kind)) => {
                    format!("taken   {}: {}", candidate.digest, escape::terminal(kind))
                }
                (None, None) => continue,
            };
            output.result(&format!("    {what}"));
        }
    }
}
