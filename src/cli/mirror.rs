//! `karat mirror`.

use super::args::{self, mirror};
use super::clearance::{Seal, rejected};
use super::failure::{CODE_DONE, CODE_FAILED, CODE_REJECTED, Failure};
use super::meter::Meter;
use super::output::{Output, bytes};
use super::{network, scan, settings, waiver_files};
use karat::approval::{self, Approvals, Artifact, MAX_DAYS};
use karat::finding::{Severity, escape};
use karat::http::Access;
use karat::oci::layout::write_whole;
use karat::oci::{Digest, Reference};
use karat::pipeline::mirror::{self as mirroring, Candidate, Drift, Outcome, Stray};
use karat::policy::{Occasion, Terms};
use karat::registry::Registries;
use karat::settings::{DriftState, Policy, Requirement, names_at};
use karat::signature::sigstore::{Identity, Signer};
use karat::store::progress::Progress;
use karat::time::{Date, Now};
use karat::trust::Trusted;
use karat::verify::Trust;
use karat::waiver::Waiver;
use serde_json::{Value, json};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// How many days an approval holds when nobody says.
const USUAL_DAYS: u32 = 90;
/// The longest file of approvals, in bytes.
const MAX_FILE: usize = 1 << 20;

pub(super) fn run(args: &mirror::MirrorCommands, output: &Output) -> Result<u8, Failure> {
    match &args.command {
        mirror::MirrorCommand::Approve(args) => approve(args, output),
        mirror::MirrorCommand::Run(args) => copy(args, output),
        mirror::MirrorCommand::Check(args) => check(args, output),
    }
}

/// What all three commands stand on.
struct Ground {
    root: PathBuf,
    policy: Policy,
    waivers: Vec<Waiver>,
    advisories: Option<scan::Advisories>,
    now: Now,
}

impl Ground {
    fn read(args: &args::Policy, advisories: &args::Advisories) -> Result<Self, Failure> {
        let root = settings::project(Path::new("."))?.root().to_owned();
        let policy = settings::policy_here(args)?.policy;
        let waivers = waiver_files::shared(&root)?;
        let advisories = scan::advisories(advisories, &policy, &root)?;
        Ok(Self { root, policy, waivers, advisories, now: Now::new(SystemTime::now()) })
    }

    fn file(&self) -> PathBuf {
        self.root.join(approval::FILE)
    }

    /// Reads what was approved; none when there is no file.
    fn approvals(&self) -> Result<Option<Approvals>, Failure> {
        let path = self.file();
        if let Err(error) = path.symlink_metadata()
            && error.kind() == io::ErrorKind::NotFound
        {
            return Ok(None);
        }
        let text = settings::file(&path, "approvals", MAX_FILE)?;
        let text = String::from_utf8(text)
            .map_err(|_| Failure::usage(format!("`{}` is no text", path.display())))?;
        Ok(Some(Approvals::parse(approval::FILE, &text)?))
    }

    fn demanded(&self) -> Result<Approvals, Failure> {
        self.approvals()?.filter(|found| !found.artifacts.is_empty()).ok_or_else(|| {
            Failure::usage(format!("nothing is approved: there is no `{}`", approval::FILE)).hint(
                "`karat mirror approve docker://HOST/REPO:TAG --key KEY --owner WHO --ticket WHERE`",
            )
        })
    }

    /// Makes the connections for some approvals; `access` is what may be done where they go.
    fn registries<'a>(
        &self,
        ends: impl Iterator<Item = (&'a Reference, Option<&'a Reference>)> + Clone,
        access: Access,
    ) -> Result<Registries, Failure> {
        let plain = network::plain_hosts()?;
        let hosts = mirroring::hosts(&self.policy, ends.clone(), access, &plain)?;
        let all: Vec<_> = ends.flat_map(|(from, to)| [Some(from), to]).flatten().collect();
        network::registries(hosts, false, &all)
    }

    fn terms<'a>(&'a self, names: &'a [String]) -> Result<Terms<'a>, Failure> {
        let (policy, waivers) = (&self.policy, &self.waivers);
        let advised = self.advisories.as_ref().map(scan::Advisories::advised);
        Ok(Terms::new(policy, waivers, names, Occasion::Release, self.now)?.advised(advised))
    }

    /// Returns who must have signed what was approved.
    fn trust(&self, artifact: &Artifact, root: Option<&Path>) -> Result<Trust, Failure> {
        let root = settings::trusted_root(root, &self.policy)?;
        let signer = match &artifact.signer {
            approval::Signer::Identity { issuer, identity } => {
                Signer::Identity(Identity::exact(identity, issuer))
            }
            approval::Signer::Key { file, fingerprint } => {
                let key = settings::public_key(&self.root.join(file))?;
                if key.fingerprint() != *fingerprint {
                    return Err(Failure::usage(format!(
                        "the key `{file}` is another than the one of the approval of {}",
                        artifact.digest
                    ))
                    .hint("approve it again with the new key, or bring the old one back"));
                }
                Signer::Key(key)
            }
        };
        Ok(Trust::in_one(signer, root).under(&self.policy, self.now))
    }
}

fn approve(args: &mirror::Approve, output: &Output) -> Result<u8, Failure> {
    let ground = Ground::read(&args.policy, &args.advisories)?;
    let source = Reference::parse(&args.reference, |path| path.symlink_metadata().is_ok())?;
    let Reference::Registry { host, repository, tag, .. } = &source else {
        return Err(Failure::usage(format!("`{source}` is in no registry"))
            .hint("`docker://HOST/REPO:TAG` or `docker://HOST/REPO@sha256:…`"));
    };
    let place = format!("{host}/{repository}");
    let target = target(&ground, &place, args.to.as_deref())?;
    let today = ground.now.date();
    let expires = expires(args.expires.as_deref(), today)?;
    let max_severity = args.max_severity.parse::<Severity>();
    let max_severity = max_severity.map_err(|()| {
        Failure::usage(format!("`--max-severity`: `{}` is no severity", args.max_severity))
            .hint("`critical`, `high`, `medium`, `low` or `info`")
    })?;
    for (name, text) in [("owner", &args.owner), ("ticket", &args.ticket)] {
        if text.trim().is_empty() {
            return Err(Failure::usage(format!("`--{name}` says something")));
        }
    }
    let mut require = vec![Requirement::Signature];
    require.extend(args.require.iter().map(|one| one.requirement()));
    require.sort_unstable();
    require.dedup();
    // Whom makers sign by is for this approval to say, and not for the policy's own trust.
    let root = settings::trusted_root(args.signer.trusted_root.as_deref(), &ground.policy)?;
    let trust = Trust::in_one(settings::signer(&args.signer)?, root);
    let trust = trust.under(&ground.policy, ground.now);
    let mut approvals = ground.approvals()?.unwrap_or_default();

    let destination = Reference::parse(&format!("docker://{target}"), |_| false)?;
    let registries =
        ground.registries([(&source, Some(&destination))].into_iter(), Access::READ)?;
    let names = names_at(&target);
    let terms = ground.terms(&names)?;
    let demanded = mirroring::required(&ground.policy, &destination, &require);
    let found = mirroring::candidate(&registries, &source, &trust, &demanded, &terms)?;
    if let Some(tag) = &found.by_tag {
        output.tell(&format!("the tag `{tag}` leads to {} now", found.digest));
    }
    if !found.clearance.accepted() {
        rejected(&source, &found.clearance, Some(&trust), output);
        output.tell("nothing was approved");
        if output.is_json() {
            output.json(&json!(found.clearance.report));
        }
        return Ok(CODE_REJECTED);
    }
    let signer = signer_of(&ground, &args.signer, &trust, &found)?;
    let artifact = Artifact {
        source: place,
        tag: found.by_tag.clone().or_else(|| tag.clone()),
        digest: found.digest,
        target,
        require,
        max_severity,
        owner: args.owner.clone(),
        ticket: args.ticket.clone(),
        reason: args.reason.clone(),
        approved: today,
        expires,
        platforms: found.platforms,
        signer,
    };
    let account = format!(
        "approved  {}@{}\n  for       {}:{}\n  signed by {}\n  until     {expires}",
        artifact.source,
        artifact.digest,
        artifact.target,
        artifact.target_tag(),
        artifact.signer
    );
    let document = of_artifact(&artifact);
    approvals.insert(artifact);
    let path = ground.file();
    write_whole(&path, approvals.to_text().as_bytes())
        .map_err(|error| Failure::failed(format!("`{}`: {error}", path.display())))?;
    output.tell(&format!("wrote {}: have it reviewed, then `karat mirror run`", approval::FILE));
    if output.is_json() {
        output.json(&json!({"schema": "karat.approval/v1", "artifact": document}));
    } else {
        account.lines().for_each(|line| output.result(&escape::terminal(line)));
    }
    Ok(CODE_DONE)
}

/// Returns where an image goes: where the user says, or where the policy reads it from in its
/// makers' stead.
fn target(ground: &Ground, place: &str, named: Option<&str>) -> Result<String, Failure> {
    if let Some(named) = named {
        return Ok(named.strip_prefix("docker://").unwrap_or(named).to_owned());
    }
    let registry = ground.policy.registry.as_ref();
    let mirrored = registry.map(|registry| registry.mirrored(place));
    mirrored.filter(|found| found != place).ok_or_else(|| {
        Failure::usage(format!("nothing says where `{place}` goes"))
            .hint("name the place, `--to HOST/REPO`, or give it a mirror in `[registry] mirrors`")
    })
}

fn expires(named: Option<&str>, today: Date) -> Result<Date, Failure> {
    let Some(text) = named else { return Ok(today.plus(USUAL_DAYS)) };
    let day: Date =
        text.parse().map_err(|error| Failure::usage(format!("`--expires`: {error}")))?;
    if day < today || day > today.plus(MAX_DAYS) {
        return Err(Failure::usage(format!(
            "`--expires`: an approval ends at most {MAX_DAYS} days from now"
        )));
    }
    Ok(day)
}

/// Returns who has signed, for the approval: the key's file in the project, or the identity as
/// the certificate has it.
fn signer_of(
    ground: &Ground,
    args: &args::Signer,
    trust: &Trust,
    found: &Candidate,
) -> Result<approval::Signer, Failure> {
    let key = match &trust.signers[..] {
        [Trusted { signer: Signer::Key(key), .. }] => Some(key),
        _ => None,
    };
    if let (Some(key), Some(file)) = (key, &args.key) {
        let outside = || {
            Failure::usage(format!("the key `{}` is no file of the project", file.display()))
                .hint("copy it into the project: the approval names it")
        };
        let path = file.canonicalize().map_err(|_| outside())?;
        let root = ground.root.canonicalize().map_err(|_| outside())?;
        let own = path.strip_prefix(root).map_err(|_| outside())?;
        let file = own.to_str().ok_or_else(outside)?.to_owned();
        return Ok(approval::Signer::Key { file, fingerprint: key.fingerprint() });
    }
    let verification = found.clearance.verification.as_ref();
    let subjects = verification.into_iter().flat_map(|one| &one.subjects);
    let certified = subjects.flat_map(|one| &one.candidates).find_map(|one| one.certified.clone());
    let (identity, issuer) = certified
        .ok_or_else(|| Failure::failed("the signature was verified, and names no identity"))?;
    Ok(approval::Signer::Identity { issuer, identity })
}

fn of_artifact(artifact: &Artifact) -> Value {
    let platforms: serde_json::Map<_, _> =
        artifact.platforms.iter().map(|(name, one)| (name.to_string(), json!(one))).collect();
    let signer = match &artifact.signer {
        approval::Signer::Key { file, fingerprint } => {
            json!({"key": file, "fingerprint": fingerprint})
        }
        approval::Signer::Identity { issuer, identity } => {
            json!({"issuer": issuer, "identity": identity})
        }
    };
    json!({
        "source": artifact.source,
        "tag": artifact.tag,
        "digest": artifact.digest,
        "target": artifact.target,
        "target-tag": artifact.target_tag(),
        "platforms": platforms,
        "signer": signer,
        "owner": artifact.owner,
        "ticket": artifact.ticket,
        "expires": artifact.expires,
    })
}

/// An approval with all that is needed to act on it.
struct Entry<'a> {
    artifact: &'a Artifact,
    source: Reference,
    target: Reference,
    trust: Trust,
}

impl Ground {
    /// Makes ready what was approved, before anything is done: a key that is missing stops
    /// everything.
    fn entries<'a>(
        &self,
        approvals: &'a Approvals,
        root: Option<&Path>,
    ) -> Result<Vec<Entry<'a>>, Failure> {
        let entry = |artifact: &'a Artifact| {
            let none = || Failure::usage(format!("`{}` is no place", artifact.source));
            Ok(Entry {
                source: artifact.reference().ok_or_else(none)?,
                target: artifact.destination().ok_or_else(none)?,
                trust: self.trust(artifact, root)?,
                artifact,
            })
        };
        approvals.artifacts.iter().map(entry).collect()
    }
}

fn copy(args: &mirror::Run, output: &Output) -> Result<u8, Failure> {
    let sign = args.sign.as_deref();
    let args = &args.ground;
    let ground = Ground::read(&args.policy, &args.advisories)?;
    let approvals = ground.demanded()?;
    let entries = ground.entries(&approvals, args.trusted_root.as_deref())?;
    let seal = Seal::read(sign, ground.advisories.is_some())?;
    let ends = entries.iter().map(|one| (&one.source, Some(&one.target)));
    let registries = ground.registries(ends, Access::WRITE)?;
    output.tell(&format!("policy {} {}", ground.policy.name, ground.policy.digest()));
    let mut sum = Sum::default();
    let mut documents = Vec::new();
    for entry in &entries {
        let Entry { artifact, trust, .. } = entry;
        let names = names_at(&artifact.target);
        let terms = ground.terms(&names)?;
        let (policy, place, now) = (&ground.policy, &artifact.target, ground.now);
        let own = seal.as_ref().map(|seal| seal.trust(policy, place, now)).transpose()?;
        let voucher = seal.as_ref().zip(own.as_ref());
        let voucher = voucher.map(|(seal, own)| seal.voucher(own, policy, place, now));
        let mut meter = None;
        let mut watched = |progress: &Arc<Progress>| {
            meter = Some(Meter::start(&artifact.target, progress, output));
        };
        let by = voucher.as_ref();
        let done = mirroring::run(&registries, artifact, trust, &terms, by, &mut watched);
        drop(meter);
        let mut document = of_artifact(artifact);
        let (word, detail) = match &done {
            Ok(Outcome::InSync) => ("in-sync", String::new()),
            Ok(Outcome::Copied(receipt)) => {
                document["uploaded"] = json!({"blobs": receipt.uploaded, "bytes": receipt.bytes});
                document["referrers"] = json!(receipt.referrers);
                let sent = bytes(receipt.bytes);
                let referrers = receipt.referrers;
                (
                    "copied",
                    format!("{sent} sent, {referrers} referrers, tagged {}", artifact.target_tag()),
                )
            }
            Ok(Outcome::Expired) => {
                sum.rejected = true;
                ("expired", format!("the approval ended on {}: approve it again", artifact.expires))
            }
            Ok(Outcome::Rejected(clearance)) => {
                sum.rejected = true;
                rejected(&entry.source, clearance, Some(trust), output);
                document["report"] = json!(clearance.report);
                document["verification"] = json!(clearance.verification);
                ("rejected", "nothing was copied".to_owned())
            }
            Err(_) => ("failed", String::new()),
        };
        document["outcome"] = json!(word);
        let detail = match done {
            Err(error) => sum.failed(error.into(), &mut document),
            Ok(_) => detail,
        };
        line(word, artifact, &detail, output);
        documents.push(document);
    }
    if output.is_json() {
        output.json(&json!({
            "schema": "karat.mirror/v1",
            "policy": {"name": ground.policy.name, "digest": ground.policy.digest()},
            "artifacts": documents,
        }));
    }
    Ok(sum.code())
}

/// What a run comes to.
#[derive(Default)]
struct Sum {
    wrong: bool,
    rejected: bool,
    failed: bool,
}

impl Sum {
    /// Takes a failure of one approval; the others go on.
    fn failed(&mut self, failure: Failure, document: &mut Value) -> String {
        match failure.code {
            CODE_FAILED => self.failed = true,
            CODE_REJECTED => self.rejected = true,
            _ => self.wrong = true,
        }
        document["error"] = failure.to_json();
        match failure.hint {
            Some(hint) => format!("{}; {hint}", failure.message),
            None => failure.message,
        }
    }

    fn code(&self) -> u8 {
        match (self.wrong, self.rejected, self.failed) {
            (true, ..) => super::failure::CODE_USAGE,
            (_, true, _) => CODE_REJECTED,
            (_, _, true) => CODE_FAILED,
            _ => CODE_DONE,
        }
    }
}

fn line(word: &str, artifact: &Artifact, detail: &str, output: &Output) {
    let text = format!("{word:<9} {}@{}  {detail}", artifact.target, artifact.digest);
    if output.is_json() {
        output.tell(text.trim_end());
    } else {
        output.result(&escape::terminal(text.trim_end()));
    }
}

fn check(args: &mirror::Ground, output: &Output) -> Result<u8, Failure> {
    let ground = Ground::read(&args.policy, &args.advisories)?;
    let approvals = ground.demanded()?;
    let advised = ground.advisories.as_ref().map(scan::Advisories::advised);
    let entries = ground.entries(&approvals, args.trusted_root.as_deref())?;
    let ends = entries.iter().map(|one| (&one.source, Some(&one.target)));
    let registries = ground.registries(ends, Access::READ)?;
    output.tell(&format!("policy {} {}", ground.policy.name, ground.policy.digest()));
    if advised.is_none() {
        output.tell("NOT SCANNED for known vulnerabilities: name a database with `--db FILE`");
    }
    let fails = &ground.policy.mirror.fail_on_drift;
    let mut sum = Sum::default();
    let mut documents = Vec::new();
    for Entry { artifact, trust, .. } in &entries {
        let today = ground.now.date();
        let found = mirroring::check(&registries, artifact, trust, advised, today);
        let mut document = of_artifact(artifact);
        match found {
            Ok(Drift { states }) => {
                for (state, notes) in &states {
                    sum.rejected |= fails.contains(state);
                    told(*state, artifact, notes, fails, output);
                }
                document["states"] = json!(states);
            }
            Err(error) => {
                let detail = sum.failed(error.into(), &mut document);
                line("failed", artifact, &detail, output);
            }
        }
        documents.push(document);
    }
    let strays = match mirroring::strays(&registries, &approvals) {
        Ok(strays) => strays,
        Err(error) => {
            let mut nothing = json!({});
            let why = sum.failed(error.into(), &mut nothing);
            output.tell(&format!("what else is in the targets could not be listed: {why}"));
            Vec::new()
        }
    };
    let state = DriftState::UnapprovedInTarget;
    sum.rejected |= !strays.is_empty() && fails.contains(&state);
    for Stray { place, digest, tags } in strays.iter().filter(|_| !output.is_json()) {
        let text =
            format!("{state} {place}@{digest}  tagged {}{}", tags.join(", "), mark(state, fails));
        output.result(&escape::terminal(&text));
    }
    if output.is_json() {
        output.json(&json!({
            "schema": "karat.drift/v1",
            "policy": {"name": ground.policy.name, "digest": ground.policy.digest()},
            "database": advised.map(|advised| -> Digest { advised.database.digest() }),
            "verdict": if sum.rejected { "rejected" } else { "accepted" },
            "artifacts": documents,
            "unapproved-in-target": strays,
        }));
    }
    Ok(sum.code())
}

/// Says of a state that the policy rejects it.
fn mark(state: DriftState, fails: &[DriftState]) -> &'static str {
    if fails.contains(&state) { "  (rejected)" } else { "" }
}

fn told(
    state: DriftState,
    artifact: &Artifact,
    notes: &[String],
    fails: &[DriftState],
    output: &Output,
) {
    if output.is_json() {
        return;
    }
    let (place, digest) = (&artifact.target, artifact.digest);
    let text = format!("{state} {place}@{digest}{}", mark(state, fails));
    output.result(&escape::terminal(&text));
    for note in notes {
        output.result(&format!("  {}", escape::terminal(note)));
    }
}
