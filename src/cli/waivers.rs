//! `karat waivers`.

use super::args::{self, ApproveWaiver, NewWaivers, WaiversCommand};
use super::build::from_here;
use super::failure::{CODE_DONE, CODE_REJECTED, Failure};
use super::hand::Hand;
use super::output::Output;
use super::{check, settings, waiver_files};
use karat::finding::escape;
use karat::oci::Digest;
use karat::policy::draft::{self, Selection};
use karat::policy::{Standing, standing, standing_of_level};
use karat::recipe::discover;
use karat::settings::Policy;
use karat::signature::sigstore::{self, Signer};
use karat::strict_toml::suggestion;
use karat::time::Now;
use karat::trust::approval;
use karat::waiver::{self, Waiver};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The longest report that is read, in bytes.
const MAX_REPORT: u64 = 64 << 20;

pub(super) fn run(args: &args::Waivers, output: &Output) -> Result<u8, Failure> {
    match &args.command {
        WaiversCommand::List(policy) => list(policy, None, output).map(|_| CODE_DONE),
        WaiversCommand::Report { policy, now } => {
            let void = list(policy, now.as_deref(), output)?;
            Ok(if void == 0 { CODE_DONE } else { CODE_REJECTED })
        }
        WaiversCommand::New(args) => new(args, output),
        WaiversCommand::Approve(args) => approve(args, output),
    }
}

/// One line of the list.
struct Line {
    id: String,
    rule: String,
    subject: String,
    images: Option<String>,
    owner: String,
    ticket: Option<String>,
    reason: String,
    expires: String,
    file: String,
    standing: Standing,
}

/// Prints every waiver and every rule that the policy lowers, and returns how many do not hold.
fn list(args: &args::Policy, day: Option<&str>, output: &Output) -> Result<usize, Failure> {
    let now = settings::now(day)?;
    let loaded = settings::policy_here(args)?;
    let policy = &loaded.policy;
    let project = settings::project(Path::new("."))?;
    let waivers = all(project.root())?;
    let file = loaded.file.clone().unwrap_or_default();
    let lines: Vec<_> = waivers
        .iter()
        .map(|waiver| line(waiver, policy, now))
        .chain(lowered(policy, &file, now))
        .collect();
    print(&lines, now, output);
    Ok(lines.iter().filter(|line| matches!(line.standing, Standing::Void(..))).count())
}

/// Reads every waiver of a project's recipes and of `waivers/`.
fn all(root: &Path) -> Result<Vec<Waiver>, Failure> {
    let mut waivers = Vec::new();
    let found =
        discover::recipes(root, root).map_err(|error| Failure::failed(error.to_string()))?;
    for path in found {
        waivers.extend(check::recipe(&from_here(&path))?.waivers);
    }
    waiver_files::approvals(root)?.hand_out(&mut waivers);
    waivers.extend(waiver_files::shared(root)?);
    Ok(waivers)
}

fn line(waiver: &Waiver, policy: &Policy, now: Now) -> Line {
    Line {
        id: waiver.id.clone(),
        rule: waiver.rule.clone(),
        subject: waiver.subject.to_string(),
        images: waiver.images.as_ref().map(ToString::to_string),
        owner: waiver.owner.clone(),
        ticket: Some(waiver.ticket.clone()),
        reason: waiver.reason.clone(),
        expires: waiver.expires.to_string(),
        file: waiver.file.clone(),
        standing: standing(waiver, policy, now),
    }
}

/// The rules that the policy lowers: exceptions too.
fn lowered<'a>(policy: &'a Policy, file: &'a str, now: Now) -> impl Iterator<Item = Line> + 'a {
    let everywhere = policy.gate.rules.iter().map(|rule| (None, rule));
    let in_profiles = policy.profile.iter().flat_map(|profile| {
        profile.rules.iter().map(|rule| (Some(profile.images.to_string()), rule))
    });
    everywhere.chain(in_profiles).filter_map(move |(images, (rule, level))| {
        let exception = level.exception.as_ref()?;
        let severity = level.severity.map_or_else(|| "off".to_owned(), |one| one.to_string());
        Some(Line {
            id: "policy".to_owned(),
            rule: rule.clone(),
            subject: format!("every file: {severity}"),
            images,
            owner: exception.owner.clone(),
            ticket: None,
            reason: exception.reason.clone(),
            expires: exception.expires.to_string(),
            file: file.to_owned(),
            standing: standing_of_level(exception, now),
        })
    })
}

fn print(lines: &[Line], now: Now, output: &Output) {
    if output.is_json() {
        let value = |line: &Line| -> Value {
            let (standing, why) = match &line.standing {
                Standing::Holds => ("holds", None),
                Standing::Expiring(days) => ("expiring", Some(format!("in {days} days"))),
                Standing::Void(rule, why) => (rule.id, Some(why.clone())),
            };
            json!({
                "id": line.id, "rule": line.rule, "subject": line.subject, "images": line.images,
                "owner": line.owner, "ticket": line.ticket, "reason": line.reason,
                "expires": line.expires, "file": line.file, "standing": standing, "why": why,
            })
        };
        let waivers: Vec<_> = lines.iter().map(value).collect();
        return output.json(&json!({
            "schema": "karat.waivers/v1", "day": now.date(), "waivers": waivers,
        }));
    }
    if lines.is_empty() {
        return output.result("there are no waivers");
    }
    for line in lines {
        let standing = match &line.standing {
            Standing::Holds => format!("holds until {}", line.expires),
            Standing::Expiring(days) => format!("EXPIRES on {}, in {days} days", line.expires),
            Standing::Void(rule, why) => format!("DOES NOT HOLD: {why} ({})", rule.id),
        };
        let images = line.images.as_ref().map(|images| format!(" in {images}")).unwrap_or_default();
        let ticket = line.ticket.as_ref().map(|one| format!(", {one}")).unwrap_or_default();
        for text in [
            format!("{}  {}  {}{images}", line.id, line.rule, line.subject),
            format!("    {standing}"),
            format!("    {} ({}{ticket}; {})", line.reason, line.owner, line.file),
        ] {
            output.result(&escape::terminal(&text));
        }
    }
}

/// Signs a waiver as it is now, into a bundle beside the project's waivers.
fn approve(args: &ApproveWaiver, output: &Output) -> Result<u8, Failure> {
    let policy = settings::policy_here(&args.policy)?.policy;
    let project = settings::project(Path::new("."))?;
    let now = settings::now(None)?;
    let waivers = all(project.root())?;
    let waiver = named(&waivers, &args.id)?;
    let shown = escape::terminal(&waiver.id);
    let mut unsigned = policy.clone();
    unsigned.waivers.approvers = None;
    if let Standing::Void(rule, why) = standing(waiver, &unsigned, now) {
        let message = format!("the waiver `{shown}` does not hold, whoever approves it: {why}");
        return Err(Failure::usage(message).hint(format!("`karat explain {}`", rule.id)));
    }
    let format = args.signing.signature_format;
    if format.has_old_form() {
        return Err(Failure::usage(
            "cosign's old form is kept beside images, and a waiver is none",
        )
        .hint("leave `--signature-format` out"));
    }
    let hand = Hand::read(args.signing.key(), &args.signing.keyless, format, &policy, false)?;
    let (digest, signer) = (waiver.digest(), hand.signer());
    let root = settings::trusted_root(args.signing.keyless.trusted_root.as_deref(), &policy)?;
    let is_theirs = |bundle: &[u8]| sigstore::verify(bundle, digest.bytes(), &signer, &root);
    if waiver.approvals.iter().any(|bundle| is_theirs(bundle).is_ok()) {
        output.tell(&format!("the waiver `{shown}` is approved by {signer} already"));
        return Ok(CODE_DONE);
    }
    let made = hand.artifact(digest.bytes())?;
    is_theirs(&made).map_err(|refusal| {
        Failure::failed(format!("what was just signed does not verify: {refusal}"))
    })?;
    if let Some(approvers) = &policy.waivers.approvers {
        approval(&digest, &[made.clone().into()], approvers, &policy, now).map_err(|why| {
            Failure::usage(format!("the policy `{}` does not take this: {why}", policy.name))
                .hint("`[waivers] approvers` says who approves")
        })?;
    }
    let folder = project.root().join(waiver::FOLDER);
    let path = folder.join(file_name(waiver, &signer));
    let wrong = |error: std::io::Error| {
        Failure::failed(format!("`{}` cannot be written: {error}", from_here(&path).display()))
    };
    std::fs::create_dir_all(&folder).map_err(wrong)?;
    karat::oci::layout::write_whole(&path, &made).map_err(wrong)?;
    let path = from_here(&path);
    output.tell(&format!(
        "approved the waiver `{shown}` of {} into {}",
        waiver.file,
        path.display()
    ));
    if policy.waivers.approvers.is_none() {
        output.tell(&format!("the policy `{}` does not ask for signed approvals", policy.name));
    }
    Ok(CODE_DONE)
}

/// Returns the waiver of a name.
fn named<'w>(waivers: &'w [Waiver], id: &str) -> Result<&'w Waiver, Failure> {
    let shown = escape::terminal(id);
    let found: Vec<_> = waivers.iter().filter(|waiver| waiver.id == id).collect();
    match found[..] {
        [waiver] => Ok(waiver),
        [] => {
            let known = suggestion(id, waivers.iter().map(|waiver| waiver.id.as_str()));
            let hint = match known {
                Some(known) => format!("did you mean `{}`?", escape::terminal(&known)),
                None => "`karat waivers list` shows all".to_owned(),
            };
            Err(Failure::usage(format!("there is no waiver `{shown}`")).hint(hint))
        }
        [first, second, ..] => {
            let message =
                format!("{} and {} both have a waiver `{shown}`", first.file, second.file);
            Err(Failure::usage(message).hint("give each a name of its own"))
        }
    }
}

/// Names the bundle of a signer over a waiver as it is now. The name is for people: what a bundle
/// approves is in it.
fn file_name(waiver: &Waiver, signer: &Signer) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let id: String = waiver.id.chars().take(64).map(plain).collect();
    let id = id.trim_start_matches(['.', '-']);
    let short = |digest: Digest| digest.hex().chars().take(12).collect::<String>();
    let (of, by) = (short(waiver.digest()), short(Digest::of(signer.to_string().as_bytes())));
    format!("{id}-{of}-{by}{}", waiver::APPROVAL_ENDING)
}

fn new(args: &NewWaivers, output: &Output) -> Result<u8, Failure> {
    let policy = settings::policy_here(&args.policy)?.policy;
    let most = policy.waivers.max_days;
    if !(1..=most).contains(&args.days) {
        return Err(Failure::usage(format!(
            "`--days {}`: the policy `{}` allows waivers of 1 to {most} days",
            args.days, policy.name
        )));
    }
    if let Some(images) = &args.images {
        images
            .parse::<karat::oci::RepositoryPattern>()
            .map_err(|error| Failure::usage(format!("`--images`: {error}")))?;
    }
    let shown = args.from.display().to_string();
    let bytes = read(&args.from)?;
    let today = settings::now(None)?.date();
    let selection = Selection {
        policy: &policy,
        rules: &args.rules,
        by_sha256: args.by_sha256,
        images: args.images.as_deref(),
        reason: &args.reason,
        owner: &args.owner,
        ticket: &args.ticket,
        created: today,
        expires: today.plus(args.days),
    };
    let drafts = draft::from_report(&bytes, &selection).map_err(|error| {
        Failure::usage(format!("`{shown}`: {error}"))
            .hint("name `dist/NAME/report.json`, or what `--format json` has printed")
    })?;
    for refused in &drafts.refused {
        output.tell(&format!("no waiver can be written: {refused}"));
    }
    if drafts.waivers.is_empty() {
        output.tell("the report holds no finding that a waiver could take off the count");
        return Ok(CODE_DONE);
    }
    let blocks: Vec<_> = drafts.waivers.iter().map(draft::Draft::to_toml).collect();
    output.document(&blocks.join("\n"));
    if [&args.reason, &args.owner, &args.ticket].iter().any(|text| text.trim().is_empty()) {
        output.tell("fill in what is empty: a waiver without reason, owner and ticket is refused");
    }
    Ok(CODE_DONE)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let shown = path.display();
    let wrong = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::usage(format!("there is no `{shown}`"))
            .hint("`karat build` writes `dist/NAME/report.json`"),
        _ => Failure::failed(format!("`{shown}` cannot be read: {error}")),
    };
    let found = path.metadata().map_err(wrong)?;
    if !found.is_file() || found.len() > MAX_REPORT {
        return Err(Failure::usage(format!(
            "`{shown}` is no file of at most {MAX_REPORT} bytes, as reports are"
        )));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_REPORT).read_to_end(&mut bytes))
        .map_err(wrong)?;
    Ok(bytes)
}
