//! `karat base`.

mod verify;

use super::args::{self, BaseCommand};
use super::build::threads;
use super::failure::{CODE_DONE, CODE_REJECTED, CODE_USAGE, Failure};
use super::output::{Output, bytes};
use super::settings;
use super::site;
use super::stock::Stock;
use karat::base::definition::{Definition, Kind};
use karat::base::lock::Lock;
use karat::base::{BaseError, Shelf, difference};
use karat::oci::{Digest, Platform};
use karat::time::{Moment, Now};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub(super) fn run(args: &args::BaseCommands, output: &Output) -> Result<u8, Failure> {
    let project = settings::project(Path::new("."))?;
    let root = project.root();
    let shown = site::from_here(root);
    let offline = match &args.command {
        BaseCommand::List => true,
        BaseCommand::Lock(args) => args.offline,
        BaseCommand::Build(args) => args.offline,
        BaseCommand::Verify(args) => args.offline,
    };
    let count = match &args.command {
        BaseCommand::Build(args) => args.threads.unwrap_or_else(threads),
        _ => threads(),
    };
    let policy = match &args.command {
        BaseCommand::Verify(args) => settings::policy(root, &args.policy)?.policy,
        _ => settings::policy(root, &args::Policy::default())?.policy,
    };
    // Only who locks looks upstream.
    let is_lock = matches!(args.command, BaseCommand::Lock(_));
    let sources = is_lock.then_some(&policy.mirror);
    let now = Now::new(std::time::SystemTime::now());
    let stock = Stock::read(&policy, sources, offline, now)?;
    let shelf = stock.shelf(root, &shown, count);
    match &args.command {
        BaseCommand::List => list(shelf, output),
        BaseCommand::Lock(args) => lock(args, shelf, now, output),
        BaseCommand::Build(args) => build(args, shelf, output),
        BaseCommand::Verify(args) => verify::run(args, shelf, &policy, now, output),
    }
}

fn list(shelf: Shelf<'_>, output: &Output) -> Result<u8, Failure> {
    let local: BTreeSet<String> = shelf.local()?.into_iter().collect();
    let mut rows = Vec::new();
    for name in shelf.names()? {
        let place = if local.contains(&name) { "project" } else { "built in" };
        let row = match name == "scratch" && place == "built in" {
            true => json!({ "name": name, "from": place, "kind": "scratch", "state": "ready" }),
            false => row(shelf, &name, place),
        };
        rows.push(row);
    }
    if output.is_json() {
        output.json(&json!({ "schema": "karat.bases/v1", "bases": rows }));
        return Ok(CODE_DONE);
    }
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or("-").to_owned();
    for row in &rows {
        output.result(&karat::finding::escape::terminal(&format!(
            "{:<20} {:<9} {:<9} {:<12} {}",
            text(row, "name"),
            text(row, "kind"),
            text(row, "from"),
            text(row, "maintained-until"),
            text(row, "state")
        )));
    }
    Ok(CODE_DONE)
}

fn row(shelf: Shelf<'_>, name: &str, place: &str) -> Value {
    let definition = match shelf.definition(name) {
        Ok(definition) => definition,
        Err(error) => {
            return json!({ "name": name, "from": place, "state": error.to_string() });
        }
    };
    let kind = match definition.kind {
        Kind::Scratch => "scratch",
        Kind::Image(_) => "image",
        Kind::Packages(_) => "packages",
    };
    let state = match shelf.locked(name) {
        _ if kind == "scratch" => "ready".to_owned(),
        Ok((_, lock)) => match lock.date() {
            Some(date) => format!("locked on {date}"),
            None => "locked".to_owned(),
        },
        Err(BaseError::NoLock { .. }) => "not locked".to_owned(),
        Err(error) => error.to_string(),
    };
    json!({
        "name": name,
        "from": place,
        "kind": kind,
        "platforms": definition.platforms,
        "maintained-until": definition.maintained_until,
        "state": state,
    })
}

/// Returns the bases that a command is about: the named ones, else the project's.
fn chosen(names: &[String], shelf: Shelf<'_>) -> Result<Vec<String>, Failure> {
    if !names.is_empty() {
        return Ok(names.to_vec());
    }
    let local = shelf.local()?;
    match local.is_empty() {
        false => Ok(local),
        true => Err(Failure::usage("the project has no base of its own")
            .hint("write `bases/NAME.toml`; `karat base list` shows what karat has")),
    }
}

/// 2 wins over 1 wins over 3.
fn worst(codes: &[u8]) -> u8 {
    let order = [CODE_USAGE, CODE_REJECTED, super::failure::CODE_FAILED];
    order.into_iter().find(|code| codes.contains(code)).unwrap_or(CODE_DONE)
}

/// Does something for each base, and gathers what came of it.
fn each(
    names: &[String],
    output: &Output,
    schema: &str,
    mut one: impl FnMut(&str) -> Result<(u8, Value), Failure>,
) -> Result<u8, Failure> {
    let (mut codes, mut results, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        match one(name) {
            Ok((code, value)) => {
                codes.push(code);
                results.push(value);
            }
            Err(failure) => {
                codes.push(failure.code);
                if !output.is_json() {
                    output.failure(&failure);
                }
                failures.push(failure);
            }
        }
    }
    let code = worst(&codes);
    if output.is_json() {
        if results.is_empty()
            && failures.len() == 1
            && let Some(only) = failures.pop()
        {
            return Err(only);
        }
        let errors: Vec<_> = failures.iter().map(Failure::to_json).collect();
        output.json(&json!({ "schema": schema, "code": code, "bases": results, "errors": errors }));
    }
    Ok(code)
}

fn lock(args: &args::LockBase, shelf: Shelf<'_>, now: Now, output: &Output) -> Result<u8, Failure> {
    let names = chosen(&args.names, shelf)?;
    let names: Vec<String> = if args.names.is_empty() {
        // `scratch` has nothing to lock; one of that kind is no fault of who asks for all.
        let has = |name: &String| {
            let definition = shelf.definition(name);
            definition.map_or(true, |definition| !matches!(definition.kind, Kind::Scratch))
        };
        names.into_iter().filter(has).collect()
    } else {
        names
    };
    each(&names, output, "karat.base-lock/v1", |name| {
        let local = shelf.local()?;
        if !local.iter().any(|one| one == name) {
            return Err(match shelf.definition(name) {
                Ok(_) => Failure::usage(format!("`{name}` is built in, and its lock with it"))
                    .hint("a base of the project is defined in `bases/NAME.toml`"),
                Err(error) => error.into(),
            });
        }
        let definition = shelf.definition(name)?;
        let old = shelf.lock(name).ok();
        let old_contents = old.as_ref().and_then(|old| shelf.contents(name, old));
        let locked = shelf.relock(&definition, Moment::from(now))?;
        let before = old.as_ref().map(|old| (old, old_contents.as_deref()));
        let difference = difference::text(before, (&locked.lock, &locked.contents));
        let file = shelf.shown(name, ".lock.toml").display().to_string();
        let changes = old.as_ref() != Some(&locked.lock);
        if !args.check {
            shelf.write(name, &locked)?;
        }
        if !output.is_json() {
            output.document(&difference);
            account(&definition, output);
            output.result(&match (changes, args.check) {
                (false, _) => format!("ok      {file}  nothing new"),
                (true, true) => format!("stale   {file}"),
                (true, false) => format!("written {file}"),
            });
        }
        let code = if changes && args.check { CODE_REJECTED } else { CODE_DONE };
        let digests: BTreeMap<String, String> = locked
            .lock
            .platforms
            .iter()
            .map(|one| (one.platform.to_string(), one.digest.to_string()))
            .collect();
        Ok((
            code,
            json!({
                "name": name,
                "lock": file,
                "changed": changes,
                "difference": difference.lines().collect::<Vec<_>>(),
                "digests": digests,
            }),
        ))
    })
}

/// Says what a definition leaves out of its packages.
fn account(definition: &Definition, output: &Output) {
    let Some(packages) = definition.packages() else { return };
    for exclude in &packages.excludes {
        let of = exclude.package.as_deref().unwrap_or("every package");
        output.tell(&format!("left out    {}  of {of}: {}", exclude.path, exclude.reason));
    }
}

fn platforms(written: &[String], lock: &Lock) -> Result<Vec<Platform>, Failure> {
    let read = |text: &String| text.parse().map_err(|error| Failure::usage(format!("{error}")));
    match written.is_empty() {
        true => Ok(lock.platforms.iter().map(|one| one.platform.clone()).collect()),
        false => written.iter().map(read).collect(),
    }
}

fn build(args: &args::BuildBase, shelf: Shelf<'_>, output: &Output) -> Result<u8, Failure> {
    let (_, lock) = shelf.locked(&args.name)?;
    let mut layers: BTreeMap<String, Vec<(Platform, Vec<u8>)>> = BTreeMap::new();
    let mut results = Vec::new();
    for platform in platforms(&args.platforms, &lock)? {
        let made = shelf.rebuild(&args.name, &platform)?;
        let size: u64 = made.iter().map(|(_, layer)| layer.len() as u64).sum();
        let digest = lock.platform(&platform).map(|one| one.digest.to_string());
        let digest = digest.unwrap_or_default();
        if !output.is_json() {
            output.result(&format!("{}@{digest}  {platform}  {}", args.name, bytes(size)));
        }
        results.push(json!({ "platform": platform, "digest": digest, "size": size }));
        if args.output.is_some() {
            for (name, layer) in made {
                layers.entry(name).or_default().push((platform.clone(), layer));
            }
        }
    }
    if let Some(folder) = &args.output {
        write(folder, &layers)?;
    }
    if output.is_json() {
        output.json(&json!({ "schema": "karat.base-build/v1", "code": 0, "name": args.name, "platforms": results }));
    }
    Ok(CODE_DONE)
}

fn write(
    folder: &Path,
    layers: &BTreeMap<String, Vec<(Platform, Vec<u8>)>>,
) -> Result<(), Failure> {
    let failed = |path: &Path| {
        let shown = path.display().to_string();
        move |error: std::io::Error| {
            Failure::failed(format!("`{shown}` cannot be written: {error}"))
        }
    };
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    for (name, made) in layers {
        let distinct: BTreeSet<Digest> = made.iter().map(|(_, bytes)| Digest::of(bytes)).collect();
        for (platform, bytes) in made {
            let file = match distinct.len() {
                1 => format!("{name}.tar.gz"),
                _ => {
                    let of = platform.to_string().replace("linux/", "").replace('/', "-");
                    format!("{name}-{of}.tar.gz")
                }
            };
            let path = folder.join(file);
            karat::oci::layout::write_whole(&path, bytes).map_err(failed(&path))?;
        }
    }
    Ok(())
}
