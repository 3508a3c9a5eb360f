//! `karat base verify`: bases by their names, and what images stand on.

use super::super::args;
use super::super::failure::{CODE_DONE, CODE_REJECTED, Failure};
use super::super::output::Output;
use super::super::{network, verify};
use super::{chosen, each};
use karat::base::definition::{Definition, Kind};
use karat::base::lock::{Lock, LockError};
use karat::base::{Base, BaseError, Shelf};
use karat::finding::escape;
use karat::image::stored::{Stored, StoredError};
use karat::oci::{Descriptor, Digest, Platform, Reference};
use karat::settings::Policy;
use karat::time::{Date, Now};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What every base is judged by.
#[derive(Clone, Copy)]
struct Ground<'a> {
    shelf: Shelf<'a>,
    policy: &'a Policy,
    today: Date,
    offline: bool,
    output: &'a Output,
}

/// What is wrong, and what is on each platform.
#[derive(Default)]
struct Outcome {
    faults: Vec<String>,
    platforms: BTreeMap<String, String>,
}

impl Outcome {
    /// Prints it, `about` what was asked for, and returns the exit code and the account.
    fn told(self, about: &str, shown: impl Fn(&str) -> String, output: &Output) -> (u8, Value) {
        let Self { faults, platforms } = self;
        let accepted = faults.is_empty();
        if !output.is_json() {
            for fault in &faults {
                output.tell(&escape::terminal(&format!("{about}: {fault}")));
            }
            for (platform, base) in &platforms {
                let what = if accepted { "ok     " } else { "REFUSED" };
                output.result(&escape::terminal(&format!("{what} {}  {platform}", shown(base))));
            }
        }
        let code = if accepted { CODE_DONE } else { CODE_REJECTED };
        let verdict = if accepted { "accepted" } else { "rejected" };
        (code, json!({ "name": about, "verdict": verdict, "faults": faults, "digests": platforms }))
    }
}

pub(super) fn run(
    args: &args::VerifyBase,
    shelf: Shelf<'_>,
    policy: &Policy,
    now: Now,
    output: &Output,
) -> Result<u8, Failure> {
    let names = chosen(&args.names, shelf)?;
    let ground = Ground { shelf, policy, today: now.date(), offline: args.offline, output };
    each(&names, output, "karat.base-verify/v1", |name| match is_name(name) {
        true => of_name(ground, name),
        false => of_image(ground, name),
    })
}

/// Says whether somebody means a base and not an image: every reference has a `:` or a `/`, and
/// no name of a base has.
fn is_name(text: &str) -> bool {
    !text.contains(['/', ':', '\\'])
}

fn of_name(ground: Ground<'_>, name: &str) -> Result<(u8, Value), Failure> {
    if name == "scratch" {
        if !ground.output.is_json() {
            ground.output.result("ok      scratch  has no layers");
        }
        return Ok((CODE_DONE, json!({ "name": name, "verdict": "accepted", "faults": [] })));
    }
    let (definition, lock) = ground.shelf.locked(name).map_err(judged)?;
    let mut outcome =
        Outcome { faults: of_files(ground, &definition, &lock)?, ..Outcome::default() };
    for platform in &definition.platforms {
        if lock.platform(platform).is_none() {
            outcome.faults.push(format!("the lock has nothing for {platform}"));
            continue;
        }
        // Its bytes and its signature are verified here.
        let base = ground.shelf.resolve(name, platform)?;
        if let Some(digest) = base.digest {
            outcome.platforms.insert(platform.to_string(), digest.to_string());
        }
    }
    Ok(outcome.told(name, |digest| format!("{name}@{digest}"), ground.output))
}

/// Says what is wrong with the files of a base in the project, and with its age.
fn of_files(
    ground: Ground<'_>,
    definition: &Definition,
    lock: &Lock,
) -> Result<Vec<String>, Failure> {
    let name = &definition.name;
    let mut faults = age(definition, lock, ground.policy.bases.max_age, ground.today);
    let local = ground.shelf.local()?.contains(name);
    let is_scratch = matches!(definition.kind, Kind::Scratch);
    if local && !is_scratch && ground.shelf.contents(name, lock).is_none() {
        let file = ground.shelf.shown(name, ".contents.txt").display().to_string();
        faults
            .push(format!("`{file}` is missing or is not the list that the lock was written with"));
    }
    Ok(faults)
}

/// Judges what each platform of an image stands on: a base whose lock is whole and not too old,
/// and whose layers are those of the image to the last byte.
fn of_image(ground: Ground<'_>, text: &str) -> Result<(u8, Value), Failure> {
    let reference = Reference::parse(text, |path| path.symlink_metadata().is_ok())?;
    let (stored, root) = match &reference {
        Reference::Registry { .. } => {
            let (offline, output) = (ground.offline, ground.output);
            let origin = network::origin(&reference, ground.policy, offline, false, output)?;
            (origin.stored, origin.root)
        }
        _ => verify::local(&reference)?,
    };
    let mut outcome = Outcome::default();
    let mut seen = Vec::new();
    for manifest in stored.manifests(&root)? {
        let (platform, base) = match under(ground, &stored, &manifest)? {
            Ok(found) => found,
            Err(fault) => {
                outcome.faults.push(fault);
                continue;
            }
        };
        if !seen.contains(&base.name) {
            let (definition, lock) = ground.shelf.locked(&base.name).map_err(judged)?;
            let faults = of_files(ground, &definition, &lock)?.into_iter();
            outcome.faults.extend(faults.map(|fault| format!("{}: {fault}", base.name)));
            seen.push(base.name.clone());
        }
        outcome.faults.extend(differing(&stored, &manifest, &base)?);
        let digest = base.digest.as_ref().map(Digest::to_string).unwrap_or_default();
        outcome.platforms.insert(platform.to_string(), format!("{}@{digest}", base.name));
    }
    Ok(outcome.told(text, |base| format!("{text}  on {base}"), ground.output))
}

/// Returns the base that the image of a manifest stands on, verified, or what is wrong.
fn under(
    ground: Ground<'_>,
    stored: &Stored,
    manifest: &Descriptor,
) -> Result<Result<(Platform, Base), String>, Failure> {
    let (_, config) = stored.documents(manifest)?;
    let said = config.platform();
    let Some(platform) = said.known() else {
        return Ok(Err(format!("{} is for {}/{}", manifest.digest, said.os, said.architecture)));
    };
    let Some(name) = ground.shelf.under(&platform, &config.rootfs.diff_ids)? else {
        let names = ground.shelf.names()?.join(", ");
        return Ok(Err(format!(
            "{platform} stands on no base that is locked here; there are {names}"
        )));
    };
    let base = ground.shelf.resolve(&name, &platform)?;
    Ok(Ok((platform, base)))
}

/// Says which layers of an image are not those of its base, byte for byte.
fn differing(
    stored: &Stored,
    manifest: &Descriptor,
    base: &Base,
) -> Result<Vec<String>, StoredError> {
    let (manifest, _) = stored.documents(manifest)?;
    let mut faults = Vec::new();
    for (found, layer) in manifest.layers.iter().zip(&base.layers) {
        if found.digest != layer.descriptor.digest {
            faults.push(format!(
                "the layer `{}` of {} is stored as {}, and the lock has {}",
                layer.file, base.name, found.digest, layer.descriptor.digest
            ));
            continue;
        }
        match stored.check(found) {
            Ok(()) => {}
            Err(error) if error.is_judgement() => faults.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    Ok(faults)
}

/// A lock that a hand has changed is what this command is there to reject.
fn judged(error: BaseError) -> Failure {
    let edited = matches!(error, BaseError::Lock(LockError::Edited(_)));
    let failure = Failure::from(error);
    if edited { Failure { code: CODE_REJECTED, ..failure } } else { failure }
}

/// Says what is wrong with the age of a base.
fn age(definition: &Definition, lock: &Lock, max_age: u32, today: Date) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(until) = definition.maintained_until.filter(|until| *until < today) {
        faults.push(format!("it was maintained until {until}"));
    }
    let most = definition.max_age.map_or(max_age, |own| own.min(max_age));
    if let Some(locked) = lock.date() {
        let days = today.days_since(locked);
        if days > i64::from(most) {
            faults.push(format!(
                "it is that of {locked}, {days} days ago, and at most {most} are allowed"
            ));
        }
    }
    faults
}
