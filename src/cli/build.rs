//! `karat build`.

use super::args;
use super::checkout;
use super::failure::{CODE_DONE, CODE_FAILED, CODE_REJECTED, CODE_USAGE, Failure};
use super::hand::Hand;
use super::output::{Output, bytes};
use super::scan;
use super::settings;
use super::site;
use super::stock::Stock;
use super::transfer::Publication;
use super::waiver_files;
use karat::assemble::Role;
use karat::assemble::input::Project;
use karat::binary::ReadAt as _;
use karat::binary::elf::{Machine, View};
use karat::finding::report::{Report, Verdict};
use karat::finding::{Severity, escape};
use karat::oci::{Platform, Reference};
use karat::pipeline::build::{self, Built, Options};
use karat::policy::Occasion;
use karat::publish::Destination;
use karat::recipe::{self, Recipe, discover, infer};
use karat::store::Positioned;
use karat::time::Now;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The most threads that compress one layer.
const MAX_THREADS: usize = 8;
/// The longest recipe that is read, in bytes.
const MAX_RECIPE: u64 = 1 << 20;

/// The path of a recipe that nobody has written.
const INFERRED: &str = "inferred";

/// A recipe, found and read.
struct Job {
    recipe: Recipe,
    path: String,
    project: Project,
    dist: PathBuf,
}

pub(super) fn run(args: &args::Build, output: &Output) -> Result<u8, Failure> {
    let vars = vars(&args.vars)?;
    let platforms =
        args.platforms.iter().map(|text| text.parse::<Platform>()).collect::<Result<Vec<_>, _>>();
    let platforms = platforms.map_err(|error| Failure::usage(error.to_string()))?;
    let epoch = settings::epoch(args.source_date_epoch.as_deref())?;
    let destinations = args
        .output
        .iter()
        .map(|text| Ok(Destination::new(Reference::parse(text, |_| false)?)?))
        .collect::<Result<Vec<_>, Failure>>()?;
    let jobs = jobs(&args.recipes, output)?;
    if jobs.len() > 1 && !destinations.is_empty() {
        return Err(Failure::usage("`--output` is for one recipe, and several were named")
            .hint("leave it out: each image goes to `dist/NAME/`"));
    }
    if jobs.len() > 1 && !args.reports.files.is_empty() {
        return Err(Failure::usage("`--scanner-report` is for one image, and several are built")
            .hint("name its recipe alone"));
    }
    let hand = match &args.sign {
        Some(key) => {
            let policy = settings::policy_here(&args.policy)?.policy;
            let format = args.signature_format;
            Some(Hand::read(key, &args.keyless, format, &policy, args.offline)?)
        }
        None => None,
    };
    let now = Now::new(SystemTime::now());
    let threads = threads();
    let ci = settings::ci();
    let mut outcome = Outcome::default();
    for job in jobs {
        let built = job.and_then(|job| {
            let policy = settings::policy(job.project.root(), &args.policy)?.policy;
            let waivers = waiver_files::shared(job.project.root())?;
            let advisories = scan::advisories(&args.advisories, &policy, job.project.root())?;
            let reported = scan::reports(&args.reports, &args.advisories, job.project.root())?;
            let written = (job.path != INFERRED).then_some((&*job.path, &*job.recipe.text));
            let checkout = checkout::of(job.project.root(), written, output);
            if args.make {
                make(&job, &platforms, output)?;
            }
            let publication = match args.push {
                true if job.path == INFERRED => {
                    return Err(Failure::usage("`--push` needs a recipe that was reviewed")
                        .hint("write down the one that was inferred, and build that"));
                }
                true => Some(Publication::of(args, &policy, &job.recipe.name)?),
                false => None,
            };
            // Where the policy says nothing, nobody knows where the image will be.
            let publish = policy.registry.as_ref().and_then(|one| one.publish.as_ref());
            let place = publish.map(|publish| format!("{publish}/{}", job.recipe.name));
            let place = place.unwrap_or_default();
            let trusted_root = args.keyless.trusted_root.as_deref();
            let to_dist = [Destination::Dist(job.dist.clone())];
            let stock = Stock::read(&policy, None, args.offline, now)?;
            let shown = site::from_here(job.project.root());
            let options = Options {
                recipe: &job.recipe,
                recipe_path: &job.path,
                project: &job.project,
                vars: &vars,
                platforms: (!platforms.is_empty()).then_some(&platforms),
                epoch,
                now,
                policy: &policy,
                shelf: stock.shelf(job.project.root(), &shown, threads),
                waivers: &waivers,
                advised: advisories.as_ref().map(scan::Advisories::advised),
                reported: reported.reported(),
                checkout: checkout.as_ref(),
                ci: ci.as_ref(),
                occasion: if args.push { Occasion::Release } else { Occasion::Local },
                key: hand.as_ref().and_then(|hand| hand.bundles(args.signature_format)),
                old_form: hand
                    .as_ref()
                    .and_then(|hand| hand.old_form(args.signature_format, &place)),
                threads,
                destinations: if destinations.is_empty() { &to_dist } else { &destinations },
            };
            let built =
                build::build(options).map_err(|error| Failure::of_build(error, &job.recipe))?;
            account(&options, &built, output);
            let published = match (&publication, &hand, options.destinations.first()) {
                (Some(publication), Some(hand), Some(first)) if built.root.is_some() => {
                    Some(publication.publish(first, &policy, hand, trusted_root, output)?)
                }
                _ => None,
            };
            outcome.fail_on.extend(&policy.gate.fail_on);
            Ok((built, job.recipe.file, published))
        });
        outcome.take(built, output);
        if args.fail_fast && outcome.code() != CODE_DONE {
            break;
        }
    }
    outcome.finish(output)
}

/// Returns how many threads compress.
pub(super) fn threads() -> NonZeroUsize {
    let most = NonZeroUsize::new(MAX_THREADS).unwrap_or(NonZeroUsize::MIN);
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN).min(most)
}

fn vars(written: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut vars = BTreeMap::new();
    for text in written {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            Failure::usage(format!("`--var {text}` has no `=`")).hint("`--var NAME=VALUE`")
        })?;
        if vars.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(Failure::usage(format!("the var `{name}` was given twice")));
        }
    }
    Ok(vars)
}

/// What all recipes together have come to.
#[derive(Default)]
struct Outcome {
    results: Vec<(String, usize, Report)>,
    /// The severities that the policies reject at.
    fail_on: Vec<Severity>,
    codes: Vec<u8>,
    failures: Vec<Failure>,
}

impl Outcome {
    fn take(&mut self, built: Result<(Built, String, Option<String>), Failure>, output: &Output) {
        match built {
            Ok((built, recipe, published)) => {
                let accepted = built.report.verdict == Verdict::Accepted;
                self.codes.push(if accepted { CODE_DONE } else { CODE_REJECTED });
                if let Some(root) = built.root.as_ref().filter(|_| output.is_text()) {
                    let local = format!("{}@{}", built.report.subject.reference, root.digest);
                    output.result(&published.unwrap_or(local));
                }
                self.results.push((recipe, built.signed, built.report));
            }
            Err(failure) => {
                self.codes.push(failure.code);
                if !output.is_json() {
                    output.failure(&failure);
                }
                self.failures.push(failure);
            }
        }
    }

    /// 2 wins over 1 wins over 3: 3 always means that trying again may help.
    fn code(&self) -> u8 {
        [CODE_USAGE, CODE_REJECTED, CODE_FAILED]
            .into_iter()
            .find(|code| self.codes.contains(code))
            .unwrap_or(CODE_DONE)
    }

    fn finish(mut self, output: &Output) -> Result<u8, Failure> {
        let code = self.code();
        if output.is_json() {
            if self.results.is_empty()
                && self.failures.len() == 1
                && let Some(only) = self.failures.pop()
            {
                return Err(only);
            }
            let failed = self.failures.iter().map(Failure::to_json);
            let failed: Vec<_> = failed.collect();
            let result = |(recipe, signed, report): &(String, usize, Report)| json!({ "recipe": recipe, "signed": signed, "report": report });
            let results: Vec<_> = self.results.iter().map(result).collect();
            output.json(&json!({ "schema": "karat.build/v1", "code": code, "results": results, "errors": failed }));
        }
        let reports: Vec<_> =
            self.results.iter().map(|(recipe, _, report)| (recipe.as_str(), report)).collect();
        output.reports(&reports, &self.fail_on);
        Ok(code)
    }
}

/// Finds and reads what is to be built. What cannot be read stands for itself, so that
/// the others are built all the same.
fn jobs(named: &[PathBuf], output: &Output) -> Result<Vec<Result<Job, Failure>>, Failure> {
    let mut paths = Vec::new();
    if named.is_empty() {
        let project = settings::project(Path::new("."))?;
        let found = find(project.root(), project.root())?;
        match &found[..] {
            [only] => paths.push(from_here(only)),
            [] => {
                return Err(Failure::usage("there is no recipe here")
                    .hint("recipes lie in `recipes/*.toml` or are called `*.karat.toml`; `karat build PATH-TO-ELF` works without one"));
            }
            several => {
                let list: Vec<_> = several
                    .iter()
                    .map(|path| format!("  karat build {}", from_here(path).display()))
                    .collect();
                return Err(Failure::usage(format!(
                    "there are {} recipes; name one, or the folder",
                    several.len()
                ))
                .hint(list.join("\n")));
            }
        }
    }
    for path in named {
        if path.is_dir() {
            let project = settings::project(path)?;
            let below = path
                .canonicalize()
                .map_err(|error| Failure::failed(format!("`{}`: {error}", path.display())))?;
            let found = find(project.root(), &below)?;
            if found.is_empty() {
                return Err(Failure::usage(format!(
                    "there is no recipe below `{}`",
                    path.display()
                ))
                .hint("recipes lie in `recipes/` or are called `*.karat.toml`"));
            }
            paths.extend(found.iter().map(|path| from_here(path)));
        } else {
            paths.push(path.clone());
        }
    }
    let jobs: Vec<_> = paths.iter().map(|path| job(path, output)).collect();
    let mut names = BTreeMap::new();
    for job in jobs.iter().flatten() {
        if let Some(other) = names.insert(&job.recipe.name, &job.recipe.file) {
            return Err(Failure::usage(format!(
                "`{other}` and `{}` both make the image `{}`",
                job.recipe.file, job.recipe.name
            )));
        }
    }
    Ok(jobs)
}

fn find(root: &Path, below: &Path) -> Result<Vec<PathBuf>, Failure> {
    discover::recipes(root, below).map_err(|error| Failure::failed(error.to_string()))
}

/// Writes a path as a user in this folder would.
pub(super) fn from_here(path: &Path) -> PathBuf {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    match here.ok().and_then(|here| path.strip_prefix(here).map(Path::to_owned).ok()) {
        Some(relative) if !relative.as_os_str().is_empty() => relative,
        _ => path.to_owned(),
    }
}

fn job(path: &Path, output: &Output) -> Result<Job, Failure> {
    let text = read(path)?;
    if text.starts_with(b"\x7fELF") {
        return lone_executable(path, output);
    }
    let shown = path.display().to_string();
    let text = String::from_utf8(text).map_err(|_| {
        Failure::usage(format!("`{shown}` is neither a recipe nor an ELF executable"))
    })?;
    if text.starts_with("#!") {
        return Err(Failure::usage(format!("`{shown}` is a script"))
            .hint("a golden image has compiled programs only"));
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let project = settings::project(folder)?;
    let mut recipe = recipe::parse(&shown, &text, Platform::host().as_ref())?;
    waiver_files::approvals(project.root())?.hand_out(&mut recipe.waivers);
    let canonical =
        path.canonicalize().map_err(|error| Failure::failed(format!("`{shown}`: {error}")))?;
    let relative = canonical.strip_prefix(project.root()).unwrap_or(&canonical);
    let relative = relative
        .components()
        .map(|one| one.as_os_str().to_string_lossy())
        .collect::<Vec<_>>()
        .join("/");
    let dist = from_here(&project.root().join("dist").join(&recipe.name));
    Ok(Job { path: relative, project, dist, recipe })
}

/// Reads a recipe, or the first bytes of something longer.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let shown = path.display();
    let mut bytes = Vec::new();
    let opened = match path.metadata() {
        Ok(found) if !found.is_file() => {
            return Err(Failure::usage(format!("`{shown}` is no file")));
        }
        Ok(_) => File::open(path),
        Err(error) => Err(error),
    };
    match opened.and_then(|file| file.take(MAX_RECIPE + 1).read_to_end(&mut bytes)) {
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let failure = Failure::usage(format!("there is no `{shown}`"));
            let absolute = std::env::current_dir()
                .map(|here| here.join(path))
                .unwrap_or_else(|_| path.to_owned());
            Err(match discover::nearest(&absolute) {
                Some(near) => {
                    failure.hint(format!("did you mean `{}`?", from_here(&near).display()))
                }
                None => failure.hint("name a recipe, a folder of recipes, or an executable"),
            })
        }
        Err(error) => Err(Failure::failed(format!("`{shown}` cannot be read: {error}"))),
    }
}

/// Makes a job of an executable without a recipe: the inferred one is printed.
fn lone_executable(path: &Path, output: &Output) -> Result<Job, Failure> {
    let shown = path.display().to_string();
    let failed = |error: std::io::Error| Failure::failed(format!("`{shown}`: {error}"));
    // The head is enough for the machine; what is wrong with the rest, the gate says.
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(64).read_to_end(&mut head)).map_err(failed)?;
    head.resize(64, 0);
    let platform = platform(path, &head).ok_or_else(|| {
        Failure::usage(format!("`{shown}` is for a machine that karat does not pack for"))
    })?;
    let canonical = path.canonicalize().map_err(failed)?;
    let (Some(folder), Some(name)) =
        (canonical.parent(), canonical.file_name().and_then(|name| name.to_str()))
    else {
        return Err(Failure::usage(format!("`{shown}` has a name that is no UTF-8")));
    };
    let text = infer::recipe(name, &platform);
    output.tell(&format!("no recipe was given; this one is used:\n\n{text}"));
    let recipe = recipe::parse(&format!("(inferred for {shown})"), &text, None)?;
    let project = Project::new(folder).map_err(failed)?;
    let dist = Path::new("dist").join(&recipe.name);
    Ok(Job { path: INFERRED.to_owned(), project, dist, recipe })
}

fn platform(path: &Path, head: &[u8]) -> Option<Platform> {
    let file = File::open(path).and_then(Positioned::new).ok();
    let name = match file.and_then(|file| View::read(&file).ok().flatten()) {
        Some(view) => match view.machine {
            Machine::X86_64 => "linux/amd64",
            Machine::Aarch64 => "linux/arm64",
            Machine::Arm => "linux/arm/v7",
            Machine::I386 => "linux/386",
            Machine::S390x => "linux/s390x",
            Machine::Ppc64 { little_endian: true } => "linux/ppc64le",
            Machine::Riscv64 => "linux/riscv64",
            Machine::Ppc64 { .. } | Machine::Other(_) => return None,
        },
        // e_machine of a little-endian header whose rest is broken.
        None => match (head[5], u16::from_le_bytes([head[18], head[19]])) {
            (1, 183) => "linux/arm64",
            _ => "linux/amd64",
        },
    };
    name.parse().ok()
}

/// Runs the `make` commands of the binaries whose files are missing.
fn make(job: &Job, platforms: &[Platform], output: &Output) -> Result<(), Failure> {
    for platform in
        job.recipe.platforms.iter().filter(|one| platforms.is_empty() || platforms.contains(one))
    {
        for binary in &job.recipe.binaries {
            let Some(make) = &binary.make else { continue };
            if job.project.root().join(binary.source.path(platform)).exists() {
                continue;
            }
            let command = karat::recipe::placeholder::for_platform(make, platform);
            output.heading(&format!("make  {command}"));
            let status = std::process::Command::new("sh")
                .args(["-c", &command])
                .current_dir(job.project.root())
                .stdout(std::io::stderr())
                .status()
                .map_err(|error| {
                    Failure::failed(format!("`{command}` could not be run: {error}"))
                })?;
            if !status.success() {
                return Err(Failure::failed(format!("`{command}` failed: {status}"))
                    .hint("what it printed above says why"));
            }
        }
    }
    Ok(())
}

/// Tells the line from the base to the outputs, for people.
fn account(options: &Options<'_>, built: &Built, output: &Output) {
    let report = &built.report;
    output.heading(&format!("{}  {}", options.recipe.name, options.recipe.file));
    let several = built.account.len() > 1;
    for one in &built.account {
        let line = |what: &str, text: String| output.tell(&format!("  {what:<10} {text}"));
        if several {
            line("platform", one.platform.to_string());
        }
        let base = match &one.base {
            (name, Some(digest)) => format!("{name}  {digest}  {}", bytes(one.stored.0)),
            (name, None) => name.clone(),
        };
        line("base", base);
        const SHOWN: usize = 8;
        for input in one.inputs.iter().take(SHOWN) {
            let what = match input.role {
                Role::Binary | Role::File => "packed",
                Role::Sbom | Role::Provenance(_) => "checked",
            };
            line(
                what,
                format!(
                    "{} -> {}  {}  {}",
                    input.source,
                    input.path,
                    bytes(input.content.len()),
                    input.content.sha256()
                ),
            );
        }
        if one.inputs.len() > SHOWN {
            line("", format!("and {} more files", one.inputs.len() - SHOWN));
        }
        line("layer", format!("{} stored", bytes(one.stored.1)));
        line("packages", format!("{} in the SBOM", one.packages));
    }
    let line = |what: &str, text: String| output.tell(&format!("  {what:<10} {text}"));
    line("policy", format!("{} {}", report.policy.name, report.policy.digest));
    line("findings", report.counts());
    output.tell(
        &report
            .findings_text(Severity::Low)
            .lines()
            .map(|text| format!("    {text}\n"))
            .collect::<String>(),
    );
    match &built.root {
        Some(root) => {
            let signed = match built.signed {
                0 => "not signed".to_owned(),
                count => format!("{count} statements signed"),
            };
            line("image", format!("{}  {}, {signed}", root.digest, platforms(built)));
            for destination in options.destinations {
                let place = match destination {
                    Destination::Dist(path) => format!("{}/", path.display()),
                    other => other.to_string(),
                };
                line("output", escape::terminal(&place));
            }
        }
        None => {
            line("REJECTED", "no image was written".to_owned());
            if let [Destination::Dist(path)] = options.destinations {
                line("report", path.join("report.json").display().to_string());
            }
        }
    }
}

fn platforms(built: &Built) -> String {
    built.account.iter().map(|one| one.platform.to_string()).collect::<Vec<_>>().join(", ")
}
