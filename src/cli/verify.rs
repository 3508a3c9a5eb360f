//! `karat verify` of an image.

use super::args;
use super::failure::{CODE_DONE, CODE_REJECTED, Failure};
use super::output::Output;
use super::{network, settings, verify_bundle};
use karat::finding::escape;
use karat::image::stored::Stored;
use karat::oci::reference::is_hosted_repository;
use karat::oci::{Descriptor, Digest, Reference};
use karat::settings::{Policy, Requirement};
use karat::signature::sigstore::Signer;
use karat::time::Now;
use karat::trust::Trusted;
use karat::verify::{self, Trust, Verification};
use serde_json::{Value, json};
use std::time::SystemTime;

pub(super) fn run(args: &args::Verify, output: &Output) -> Result<u8, Failure> {
    if let Some(bundle) = &args.bundle {
        return verify_bundle::run(args, bundle, output);
    }
    let policy = settings::policy_here(&args.policy)?.policy;
    let reference = Reference::parse(&args.reference, |path| path.symlink_metadata().is_ok())?;
    let place = place(&reference, args.place.as_deref())?;
    let trust = trust(&args.signer, &policy, place.as_deref())?;
    let require: Vec<Requirement> = if args.require.is_empty() {
        policy.gate.require.clone()
    } else {
        args.require.iter().map(|one| one.requirement()).collect()
    };
    let (stored, root) = match &reference {
        Reference::Registry { .. } => {
            let origin = network::origin(&reference, &policy, args.offline, true, output)?;
            (origin.stored, origin.root)
        }
        _ => local(&reference)?,
    };
    let verification = verify::stored(&stored, &root, &trust, &require)?;
    let accepted = verification.accepted();
    if output.is_json() {
        let mut document = json!({
            "schema": "karat.verification/v1",
            "verdict": verdict(accepted),
            "reference": reference.to_string(),
            "policy": { "name": policy.name, "digest": policy.digest() },
            "verification": verification,
        });
        demanded(&mut document, &trust);
        output.json(&document);
    } else {
        print(&reference, &verification, &policy, output);
    }
    Ok(code(accepted))
}

pub(super) fn local(reference: &Reference) -> Result<(Stored, Descriptor), Failure> {
    let Some(stored) = Stored::open(reference)? else {
        return Err(Failure::usage(format!(
            "`{reference}` is no image that this version of karat verifies"
        ))
        .hint("`oci:DIR[:TAG]`, `archive:FILE` or `docker://HOST/REPO@sha256:…`; for any other file, name its `--bundle`"));
    };
    let tag = match reference {
        Reference::Layout { tag, .. } => tag.as_deref(),
        _ => None,
    };
    let root = stored.image(tag)?.clone();
    Ok((stored, root))
}

/// Returns the repository whose image this is: the reference's own, or the one that is named.
fn place(reference: &Reference, named: Option<&str>) -> Result<Option<String>, Failure> {
    let own = match reference {
        Reference::Registry { host, repository, .. } => Some(format!("{host}/{repository}")),
        _ => None,
    };
    match (own, named) {
        (Some(own), Some(named)) if own != named => Err(Failure::usage(format!(
            "`{reference}` is in a repository, and it is not `{named}`"
        ))
        .hint("`--as` is for what lies on this machine")),
        (_, Some(named)) if !is_hosted_repository(named) => {
            Err(Failure::usage(format!("`--as {named}` is no repository")).hint("`HOST/REPO`"))
        }
        (own, named) => Ok(own.or(named.map(str::to_owned))),
    }
}

/// Reads who must have signed, and the root of trust: whom the arguments name, else whom the
/// policy trusts for an image at `place`.
pub(super) fn trust(
    args: &args::Signer,
    policy: &Policy,
    place: Option<&str>,
) -> Result<Trust, Failure> {
    let now = Now::new(SystemTime::now());
    let root = settings::trusted_root(args.trusted_root.as_deref(), policy)?;
    if args.is_named() || policy.trust.is_empty() {
        return Ok(Trust::in_one(settings::signer(args)?, root).under(policy, now));
    }
    let Some(place) = place else {
        return Err(Failure::usage("nothing says which image this is, and whom to trust for it")
            .hint("name its repository, `--as HOST/REPO`, or who has signed, `--key cosign.pub`"));
    };
    Trust::of_policy(policy, place, root, now).map_err(Failure::usage)
}

/// Adds to a document who was demanded.
pub(super) fn demanded(document: &mut Value, trust: &Trust) {
    if let [Trusted { signer, statements: None, .. }] = &trust.signers[..] {
        match signer {
            Signer::Key(key) => document["key"] = json!(key.fingerprint()),
            Signer::Identity(identity) => document["identity"] = json!(identity.to_string()),
        }
    }
    let trusted = |one: &Trusted| {
        let may = one.statements.as_ref();
        may.map(|may| json!({ "signer": one.signer.to_string(), "statements": may }))
    };
    let of_policy: Vec<_> = trust.signers.iter().filter_map(trusted).collect();
    if !of_policy.is_empty() || trust.signers.is_empty() {
        document["trust"] = json!(of_policy);
    }
    document["trustedRoot"] = json!(Digest::from(*trust.root.sha256()));
}

pub(super) fn verdict(accepted: bool) -> &'static str {
    if accepted { "accepted" } else { "rejected" }
}

pub(super) fn code(accepted: bool) -> u8 {
    if accepted { CODE_DONE } else { CODE_REJECTED }
}

fn print(reference: &Reference, verification: &Verification, policy: &Policy, output: &Output) {
    output.result(&format!(
        "{}  {}  {}",
        verdict(verification.accepted()),
        escape::terminal(&reference.to_string()),
        verification.digest
    ));
    output.result(&format!("policy    {} {}", policy.name, policy.digest()));
    for damage in &verification.damage {
        output.result(&format!("  differs   {}", escape::terminal(damage)));
    }
    for revoked in &verification.revoked {
        output.result(&format!("  REVOKED   {}", escape::terminal(revoked)));
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
                    let by = candidate.certified.as_ref().map(|(identity, issuer)| {
                        format!(
                            " by {} of {}",
                            escape::terminal(identity),
                            escape::terminal(issuer)
                        )
                    });
                    let by = by.unwrap_or_default();
                    format!("taken   {}: {}{by}", candidate.digest, escape::terminal(kind))
                }
                (None, None) => continue,
            };
            output.result(&format!("    {what}"));
        }
    }
}

impl args::Require {
    /// Returns what is demanded by this name.
    pub(super) fn requirement(self) -> Requirement {
        match self {
            Self::Signature => Requirement::Signature,
            Self::Sbom => Requirement::Sbom,
            Self::Provenance => Requirement::Provenance,
            Self::Vsa => Requirement::Vsa,
        }
    }
}
