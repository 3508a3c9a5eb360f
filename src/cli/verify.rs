//! `karat verify` of an image.

use super::args;
use super::failure::{CODE_DONE, CODE_REJECTED, Failure};
use super::meter::Meter;
use super::output::Output;
use super::{network, scan, settings, verify_bundle, waiver_files};
use karat::finding::escape;
use karat::image::stored::Stored;
use karat::oci::reference::is_hosted_repository;
use karat::oci::{Descriptor, Digest, Reference};
use karat::pipeline::signed_vex;
use karat::pipeline::vouched::{self, Vouched};
use karat::policy::{Occasion, Terms};
use karat::settings::{Policy, Requirement, names_at};
use karat::signature::sigstore::Signer;
use karat::time::Now;
use karat::trust::Trusted;
use karat::verify::{self, Trust, Verification};
use serde_json::{Value, json};
use std::path::Path;
use std::time::SystemTime;

pub(super) fn run(args: &args::Verify, output: &Output) -> Result<u8, Failure> {
    if let Some(bundle) = &args.bundle {
        if !args.reports.files.is_empty() || !args.advisories.vex.is_empty() {
            return Err(Failure::usage("`--scanner-report` and `--vex` are about an image")
                .hint("leave `--bundle` out"));
        }
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
    if args.attest_vsa {
        let place = place.as_deref();
        return super::attest_vsa::run(args, &reference, place, &policy, &trust, output);
    }
    let (stored, root) = match &reference {
        Reference::Registry { .. } => {
            let origin = network::origin(&reference, &policy, args.offline, true, output)?;
            (origin.stored, origin.root)
        }
        _ => local(&reference)?,
    };
    let meter = Meter::start(&reference.to_string(), &stored.progress, output);
    let verification = verify::stored(&stored, &root, &trust, &require)?;
    drop(meter);
    let known = known(args, &policy, place.as_deref(), (&stored, &root), &trust)?;
    let is_bad = |known: &Looked| known.images.iter().any(|one| one.rejected);
    let accepted = verification.accepted() && !known.as_ref().is_some_and(is_bad);
    if output.is_json() {
        let mut document = json!({
            "schema": "karat.verification/v1",
            "verdict": verdict(accepted),
            "reference": reference.to_string(),
            "policy": { "name": policy.name, "digest": policy.digest() },
            "verification": verification,
        });
        demanded(&mut document, &trust);
        if let Some(Looked { database, images, ignored }) = &known {
            let ignored: Vec<Value> = ignored
                .iter()
                .map(|(digest, why)| json!({ "digest": digest, "why": why }))
                .collect();
            document["vulnerabilities"] =
                json!({ "database": database, "images": images, "ignored": ignored });
        }
        output.json(&document);
    } else {
        print(&reference, accepted, &verification, &policy, output);
        if let Some(known) = &known {
            known.print(output);
        }
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

/// What is known of an image by its signed bills of materials.
struct Looked {
    database: Option<Digest>,
    images: Vec<Vouched>,
    /// The OpenVEX documents beside the image that do not count, and why.
    ignored: Vec<(Digest, String)>,
}

/// Looks up what is signed to be in an image, where somebody has given a database or the report
/// of another scanner.
fn known(
    args: &args::Verify,
    policy: &Policy,
    place: Option<&str>,
    (stored, root): (&Stored, &Descriptor),
    trust: &Trust,
) -> Result<Option<Looked>, Failure> {
    let project = settings::project(Path::new("."))?;
    let advisories = scan::advisories(&args.advisories, policy, project.root())?;
    let reported = scan::reports(&args.reports, &args.advisories, project.root())?;
    if advisories.is_none() && reported.reports.is_empty() {
        return Ok(None);
    }
    let waivers = waiver_files::shared(project.root())?;
    let names = place.map(names_at).unwrap_or_default();
    let now = Now::new(SystemTime::now());
    let vex = signed_vex::of(stored, root, trust)?;
    let terms = Terms::new(policy, &waivers, &names, Occasion::Local, now)?
        .heeding(&vex.signed)
        .advised(advisories.as_ref().map(scan::Advisories::advised))
        .reported(reported.reported());
    let images = vouched::vulnerabilities(stored, root, trust, &terms)?;
    let taken =
        |digest| images.iter().flat_map(|one| &one.scanner_reports).any(|one| one.digest == digest);
    let judged = images.iter().all(|one| one.error.is_none());
    if let Some(stray) = reported.reports.iter().find(|one| judged && !taken(one.digest)) {
        let digests: Vec<String> = images.iter().map(|one| one.digest.to_string()).collect();
        return Err(scan::other_image(stray, &digests));
    }
    let database = advisories.as_ref().map(|one| one.database.digest());
    Ok(Some(Looked { database, images, ignored: vex.ignored }))
}

impl Looked {
    fn print(&self, output: &Output) {
        match &self.database {
            Some(digest) => output.result(&format!("database  {digest}")),
            None => output.result("database  none"),
        }
        for (digest, why) in &self.ignored {
            let line = format!("ignored   the OpenVEX document {digest}: {why}");
            output.result(&escape::terminal(&line));
        }
        for one in &self.images {
            let platform = one.platform.as_deref().unwrap_or("unknown");
            let verdict = verdict(!one.rejected);
            output.result(&format!("  {}  {platform}  vulnerabilities {verdict}", one.digest));
            if let Some(why) = &one.error {
                output.result(&format!("    NOT JUDGED {}", escape::terminal(why)));
            }
            for finding in &one.findings {
                let waived = finding.waiver.as_ref().map(|id| format!(" (waived by {id})"));
                let line = format!(
                    "    {:<8} {}  {}{}",
                    finding.severity,
                    finding.rule.id,
                    finding.message,
                    waived.unwrap_or_default()
                );
                output.result(&escape::terminal(&line));
            }
            let hidden = |found: &&Value| found["state"] != "open" && found["state"] != "waived";
            for found in one.vulnerabilities.iter().filter(hidden) {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let line = format!(
                    "    {} {}  {}: {}",
                    text(&found["state"]),
                    text(&found["ids"][0]),
                    text(&found["package"]["name"]),
                    text(&found["why"])
                );
                output.result(&escape::terminal(&line));
            }
        }
    }
}

fn print(
    reference: &Reference,
    accepted: bool,
    verification: &Verification,
    policy: &Policy,
    output: &Output,
) {
    output.result(&format!(
        "{}  {}  {}",
        verdict(accepted),
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
