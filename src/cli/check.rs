//! `karat check`.

use super::args;
use super::build::{from_here, read};
use super::failure::{CODE_DONE, CODE_USAGE, Failure};
use super::output::Output;
use super::settings;
use super::site;
use super::waiver_files;
use karat::base::{BaseError, Shelf, definition};
use karat::finding::diagnostic::{Diagnostic, Diagnostics};
use karat::finding::rules;
use karat::oci::Platform;
use karat::policy::{Standing, standing};
use karat::recipe::{self, Recipe, discover};
use karat::settings::Policy;
use karat::strict_toml::suggestion;
use karat::time::Now;
use karat::waiver::{self, Waiver};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is checked, and what has come of it so far.
struct Check<'a> {
    policy: &'a Policy,
    now: Now,
    output: &'a Output,
    checked: Vec<Value>,
    code: u8,
    /// The files by the images that they make.
    images: BTreeMap<String, String>,
    /// The files by the waivers that they hold.
    waivers: BTreeMap<String, String>,
}

pub(super) fn run(args: &args::Check, output: &Output) -> Result<u8, Failure> {
    let policy = settings::policy_here(&args.policy)?.policy;
    let now = settings::now(args.now.as_deref())?;
    let mut recipes = Vec::new();
    let mut waivers = Vec::new();
    let mut bases = Vec::new();
    let here = [PathBuf::from(".")];
    for path in if args.paths.is_empty() { &here[..] } else { &args.paths[..] } {
        if !path.is_dir() {
            let folder = path.parent().and_then(Path::file_name);
            let list = match folder {
                Some(name) if name == waiver::FOLDER => &mut waivers,
                Some(name) if name == definition::FOLDER => &mut bases,
                _ => &mut recipes,
            };
            list.push(path.clone());
            continue;
        }
        let project = settings::project(path)?;
        let below = path
            .canonicalize()
            .map_err(|error| Failure::failed(format!("`{}`: {error}", path.display())))?;
        let found = discover::recipes(project.root(), &below)
            .map_err(|error| Failure::failed(error.to_string()))?;
        recipes.extend(found.iter().map(|path| from_here(path)));
        if project.root().join(waiver::FOLDER).starts_with(&below) {
            waivers.extend(waiver_files::list(project.root())?);
        }
        let folder = project.root().join(definition::FOLDER);
        if folder.starts_with(&below) {
            let shown = site::from_here(project.root());
            let shelf = Shelf::reading(project.root(), &shown);
            bases.extend(shelf.local()?.iter().map(|name| shelf.shown(name, ".toml")));
        }
    }
    if recipes.is_empty() && waivers.is_empty() && bases.is_empty() {
        return Err(Failure::usage("there is no recipe here")
            .hint("recipes lie in `recipes/*.toml` or are called `*.karat.toml`"));
    }
    let mut check = Check {
        policy: &policy,
        now,
        output,
        checked: Vec::new(),
        code: CODE_DONE,
        images: BTreeMap::new(),
        waivers: BTreeMap::new(),
    };
    for path in &recipes {
        let done = check.recipe(path);
        check.note("recipe", path, done);
    }
    for path in &waivers {
        let done = check.waiver_file(path);
        check.note("waivers", path, done);
    }
    for path in &bases {
        let done = base(path);
        check.note("base", path, done);
    }
    if output.is_json() {
        let document =
            json!({ "schema": "karat.check/v1", "code": check.code, "recipes": check.checked });
        output.json(&document);
    }
    Ok(check.code)
}

impl Check<'_> {
    /// Takes what has come of one file: what it is, in a word or two, or what is wrong.
    fn note(&mut self, kind: &str, path: &Path, done: Result<String, Failure>) {
        let shown = path.display().to_string();
        match done {
            Ok(what) => {
                if !self.output.is_json() {
                    self.output.result(&format!("ok      {shown}  {what}"));
                }
                self.checked.push(json!({ kind: shown, "name": what, "faults": [] }));
            }
            Err(failure) => {
                self.code = CODE_USAGE;
                if !self.output.is_json() {
                    self.output.failure(&failure);
                }
                let located =
                    failure.diagnostics.as_ref().map(|diagnostics| json!(diagnostics.located()));
                let faults = located.unwrap_or(json!([{ "message": failure.message }]));
                self.checked.push(json!({ kind: shown, "faults": faults }));
            }
        }
    }

    fn recipe(&mut self, path: &Path) -> Result<String, Failure> {
        let mut recipe = recipe(path)?;
        let root = settings::project(path.parent().unwrap_or(Path::new(".")))?.root().to_owned();
        waiver_files::approvals(&root)?.hand_out(&mut recipe.waivers);
        self.all_hold(&recipe.file, &recipe.text, &recipe.waivers)?;
        let shown = site::from_here(&root);
        let shelf = Shelf::reading(&root, &shown);
        for platform in &recipe.platforms {
            shelf
                .check(&recipe.base.value, platform)
                .map_err(|error| Failure::of_build(error.into(), &recipe))?;
        }
        match self.images.insert(recipe.name.clone(), recipe.file.clone()) {
            None => Ok(recipe.name),
            Some(other) => Err(Failure::usage(format!(
                "`{other}` and `{}` both make the image `{}`",
                recipe.file, recipe.name
            ))),
        }
    }

    fn waiver_file(&mut self, path: &Path) -> Result<String, Failure> {
        let (mut waivers, text) = waiver_files::read(path)?;
        let project = settings::project(path.parent().unwrap_or(Path::new(".")))?;
        waiver_files::approvals(project.root())?.hand_out(&mut waivers);
        self.all_hold(&path.display().to_string(), &text, &waivers)?;
        Ok(match waivers.len() {
            1 => "1 waiver".to_owned(),
            count => format!("{count} waivers"),
        })
    }

    /// Makes sure that every waiver of a file holds, and has its name alone.
    fn all_hold(&mut self, file: &str, text: &str, waivers: &[Waiver]) -> Result<(), Failure> {
        let mut faults: Vec<_> = waivers.iter().filter_map(|one| self.objection(one)).collect();
        for waiver in waivers {
            if let Some(other) = self.waivers.insert(waiver.id.clone(), file.to_owned()) {
                let message = format!("the name `{}` is that of a waiver in {other}", waiver.id);
                faults.push(Diagnostic::new(waiver.span.clone(), message));
            }
        }
        match faults.is_empty() {
            true => Ok(()),
            false => Err(Box::new(Diagnostics::new(file, text, faults)).into()),
        }
    }

    fn objection(&self, waiver: &Waiver) -> Option<Diagnostic> {
        let Standing::Void(_, why) = standing(waiver, self.policy, self.now) else { return None };
        let message = format!("the waiver `{}`: {why}", waiver.id);
        let fault = Diagnostic::new(waiver.span.clone(), message);
        if rules::find(&waiver.rule).is_some() {
            return Some(fault);
        }
        Some(match suggestion(&waiver.rule, rules::all().map(|rule| rule.id)) {
            Some(known) => fault.hint(format!("did you mean `{known}`?")),
            None => fault.hint("`karat explain` lists all rules"),
        })
    }
}

/// Reads the definition of a base, and the lock beside it if there is one.
fn base(path: &Path) -> Result<String, Failure> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let folder = path.parent().unwrap_or(Path::new("."));
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let root = folder.canonicalize().ok().and_then(|folder| folder.parent().map(Path::to_owned));
    let root = root.ok_or_else(|| Failure::usage(format!("`{}` is no file", path.display())))?;
    let shown = site::from_here(&root);
    let shelf = Shelf::reading(&root, &shown);
    let name = name.strip_suffix(".toml").unwrap_or(name);
    let name = name.strip_suffix(".lock").unwrap_or(name);
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if name.is_empty() || !name.bytes().all(fits) {
        return Err(Failure::usage(format!("`{name}` is no name of a base"))
            .hint("lower-case letters, digits and `-`"));
    }
    shelf.definition(name)?;
    match shelf.lock(name) {
        Err(BaseError::NoLock { .. }) => {}
        Err(error) => return Err(error.into()),
        Ok(_) => drop(shelf.locked(name)?),
    }
    Ok(name.to_owned())
}

/// Reads a recipe, whatever it is called.
pub(super) fn recipe(path: &Path) -> Result<Recipe, Failure> {
    let shown = path.display().to_string();
    let text = String::from_utf8(read(path)?)
        .map_err(|_| Failure::usage(format!("`{shown}` is no text")))?;
    Ok(recipe::parse(&shown, &text, Platform::host().as_ref())?)
}
