//! `karat check`.

use super::args;
use super::build::{from_here, read};
use super::failure::{CODE_DONE, CODE_USAGE, Failure};
use super::output::Output;
use super::settings;
use karat::base;
use karat::finding::diagnostic::{Diagnostic, Diagnostics};
use karat::finding::rules;
use karat::oci::Platform;
use karat::policy;
use karat::recipe::{self, Waiver, discover};
use karat::settings::Policy;
use karat::strict_toml::suggestion;
use karat::time::Now;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub(super) fn run(args: &args::Check, output: &Output) -> Result<u8, Failure> {
    let policy = settings::policy_here(&args.policy)?.policy;
    let now = Now::new(SystemTime::now());
    let mut paths = Vec::new();
    let here = [PathBuf::from(".")];
    for path in if args.paths.is_empty() { &here[..] } else { &args.paths[..] } {
        if !path.is_dir() {
            paths.push(path.clone());
            continue;
        }
        let project = settings::project(path)?;
        let below = path
            .canonicalize()
            .map_err(|error| Failure::failed(format!("`{}`: {error}", path.display())))?;
        let found = discover::recipes(project.root(), &below)
            .map_err(|error| Failure::failed(error.to_string()))?;
        paths.extend(found.iter().map(|path| from_here(path)));
    }
    if paths.is_empty() {
        return Err(Failure::usage("there is no recipe here")
            .hint("recipes lie in `recipes/*.toml` or are called `*.karat.toml`"));
    }
    let mut checked = Vec::new();
    let mut code = CODE_DONE;
    let mut names = std::collections::BTreeMap::new();
    for path in &paths {
        match check(path, &policy, now) {
            Ok(name) if names.contains_key(&name) => {
                code = CODE_USAGE;
                let other = names.get(&name).cloned().unwrap_or_default();
                let message =
                    format!("`{other}` and `{}` both make the image `{name}`", path.display());
                if !output.is_json() {
                    output.failure(&Failure::usage(message.clone()));
                }
                checked.push(json!({ "recipe": path.display().to_string(), "faults": [{ "message": message }] }));
            }
            Ok(name) => {
                names.insert(name.clone(), path.display().to_string());
                if !output.is_json() {
                    output.result(&format!("ok      {}  {name}", path.display()));
                }
                checked.push(
                    json!({ "recipe": path.display().to_string(), "name": name, "faults": [] }),
                );
            }
            Err(failure) => {
                code = CODE_USAGE;
                if !output.is_json() {
                    output.failure(&failure);
                }
                let faults =
                    failure.diagnostics.as_ref().map(|diagnostics| json!(diagnostics.located()));
                checked.push(json!({ "recipe": path.display().to_string(), "faults": faults.unwrap_or(json!([{ "message": failure.message }])) }));
            }
        }
    }
    if output.is_json() {
        output.json(&json!({ "schema": "karat.check/v1", "code": code, "recipes": checked }));
    }
    Ok(code)
}

fn check(path: &Path, policy: &Policy, now: Now) -> Result<String, Failure> {
    let shown = path.display().to_string();
    let text = String::from_utf8(read(path)?)
        .map_err(|_| Failure::usage(format!("`{shown}` is no text")))?;
    let recipe = recipe::parse(&shown, &text, Platform::host().as_ref())?;
    let fault = |waiver: &Waiver| {
        let (_, why) = policy::objection(waiver, policy, now)?;
        let fault =
            Diagnostic::new(waiver.span.clone(), format!("the waiver `{}`: {why}", waiver.id));
        if rules::find(&waiver.rule).is_some() {
            return Some(fault);
        }
        Some(match suggestion(&waiver.rule, rules::all().map(|rule| rule.id)) {
            Some(known) => fault.hint(format!("did you mean `{known}`?")),
            None => fault.hint("`karat explain` lists all rules"),
        })
    };
    let faults: Vec<_> = recipe.waivers.iter().filter_map(fault).collect();
    if !faults.is_empty() {
        return Err(Box::new(Diagnostics::new(&recipe.file, &recipe.text, faults)).into());
    }
    for platform in &recipe.platforms {
        base::resolve(&recipe.base.value, platform)
            .map_err(|error| Failure::of_build(error.into(), &recipe))?;
    }
    Ok(recipe.name)
}
