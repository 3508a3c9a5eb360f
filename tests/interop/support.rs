//! Finding programs, running them, skipping, counting.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

/// Why a case did not run.
#[derive(Debug)]
pub(crate) struct Skip(pub(crate) String);

/// What a case gives: it panics when it fails.
pub(crate) type Outcome = Result<(), Skip>;

static COUNT: Mutex<Count> = Mutex::new(Count { passed: 0, skipped: 0, failed: 0 });

struct Count {
    passed: usize,
    skipped: usize,
    failed: usize,
}

/// Runs a case and counts it; after the last one, prints the sum.
pub(crate) fn case(name: &str, run: fn() -> Outcome) {
    let required = set("KARAT_REQUIRE_INTEROP");
    let outcome = if set("KARAT_SKIP_INTEROP") && !required {
        Ok(Err(Skip("KARAT_SKIP_INTEROP is set".to_owned())))
    } else {
        std::panic::catch_unwind(run)
    };
    let mut count = COUNT.lock().unwrap_or_else(PoisonError::into_inner);
    match &outcome {
        Ok(Ok(())) => count.passed += 1,
        Ok(Err(Skip(why))) if required => {
            say(&format!("interop: MISSING {name}: {why}"));
            count.failed += 1;
        }
        Ok(Err(Skip(why))) => {
            say(&format!("interop: skipped {name}: {why}"));
            count.skipped += 1;
        }
        Err(_) => count.failed += 1,
    }
    let Count { passed, skipped, failed } = *count;
    if passed + skipped + failed == super::CASES {
        say(&format!(
            "interop: {} cases: {passed} passed, {failed} failed, {skipped} skipped",
            super::CASES
        ));
    }
    drop(count);
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(Skip(why))) => assert!(!required, "{why}, and KARAT_REQUIRE_INTEROP is set"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Writes past the test harness, which keeps what passing tests print to itself.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0")
}

/// Where `scripts/install-tools` puts its programs.
fn tools() -> PathBuf {
    std::env::var_os("KARAT_TOOLS").map_or_else(|| home().join(".cache/karat-tools"), PathBuf::from)
}

fn home() -> PathBuf {
    std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from)
}

/// Returns the path of a program: a pinned one first, then what the machine has.
pub(crate) fn program(name: &str) -> Result<PathBuf, Skip> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let further = ["/usr/sbin", "/sbin", "/usr/local/go/bin"].map(PathBuf::from);
    [tools().join("go/bin"), tools().join("venv/bin")]
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain(further)
        .chain([home().join("go/bin")])
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| Skip(format!("there is no program `{name}`")))
}

/// Returns the folder of npm packages, where it holds `package`.
pub(crate) fn node_modules(package: &str) -> Result<PathBuf, Skip> {
    let modules = tools().join("node/node_modules");
    match modules.join(package).is_dir() {
        true => Ok(modules),
        false => Err(Skip(format!("there is no npm package `{package}`"))),
    }
}

/// Returns the Python that has the pinned packages.
pub(crate) fn python() -> Result<PathBuf, Skip> {
    let python = tools().join("venv/bin/python3");
    match python.is_file() {
        true => Ok(python),
        false => Err(Skip("there is no Python environment with the pinned packages".to_owned())),
    }
}

/// Returns a folder of test data of other projects.
pub(crate) fn corpus(name: &str) -> Result<PathBuf, Skip> {
    let corpora = std::env::var_os("KARAT_CORPORA")
        .map_or_else(|| repository().join("../shared/corpora"), PathBuf::from);
    match corpora.join(name).is_dir() {
        true => Ok(corpora.join(name)),
        false => Err(Skip(format!("there is no corpus `{name}` (see KARAT_CORPORA)"))),
    }
}

/// Says no where the tests do not run as root.
pub(crate) fn root() -> Result<(), Skip> {
    use std::os::unix::fs::MetadataExt as _;
    match std::fs::metadata("/proc/self").map(|own| own.uid()) {
        Ok(0) => Ok(()),
        _ => Err(Skip("it needs root".to_owned())),
    }
}

/// The folder of this project.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Makes a command that reads nothing and speaks English.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    command
}

/// Runs a command whose success is expected and returns its standard output.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = finish(command);
    assert!(output.status.success(), "{}", account(command, &output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a command whose failure is expected and returns its standard error.
pub(crate) fn fail(command: &mut Command) -> String {
    let output = finish(command);
    assert!(!output.status.success(), "this should fail: {}", account(command, &output));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command.
pub(crate) fn finish(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Says what a command did.
pub(crate) fn account(command: &Command, output: &Output) -> String {
    format!(
        "{command:?}: {}\n--- standard output\n{}\n--- standard error\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    )
}
