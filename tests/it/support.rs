//! A project in a temporary folder, and karat as a program.

pub(crate) mod archive_cases;
pub(crate) mod elf;
pub(crate) mod foreign;
pub(crate) mod forged;
pub(crate) mod layout;
pub(crate) mod mirror;
pub(crate) mod proxy;
pub(crate) mod raw_tar;
pub(crate) mod registry;
pub(crate) mod server;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The program under test.
pub(crate) const KARAT: &str = env!("CARGO_BIN_EXE_karat");

/// What a run of karat has left.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// Makes sure of the exit code, and that nothing panicked.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert!(!self.stderr.contains("panicked"), "a panic:\n{}", self.stderr);
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Makes sure that standard error holds every one of these.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not said:\n{}", self.stderr);
        }
        self
    }

    /// Makes sure that standard output holds every one of these.
    #[track_caller]
    pub(crate) fn prints(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stdout.contains(part), "`{part}` is not printed:\n{}", self.stdout);
        }
        self
    }

    /// Reads standard output as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}:\n{}\n{}", self.stdout, self.stderr))
    }

    /// Reads the digests of the lines of standard output, `REF@sha256:…`.
    #[track_caller]
    pub(crate) fn digest(&self) -> String {
        let digest = self.stdout.trim_end().rsplit_once('@').map(|(_, digest)| digest.to_owned());
        digest.unwrap_or_else(|| panic!("no digest: {}\n{}", self.stdout, self.stderr))
    }
}

/// A command line of karat in a folder, with an empty environment.
pub(crate) struct Karat(Command);

impl Karat {
    pub(crate) fn new(folder: &Path, args: &[impl AsRef<OsStr>]) -> Self {
        let mut command = Command::new(KARAT);
        command.args(args).current_dir(folder).env_clear().stdin(Stdio::null());
        // What programs need to start at all, and `--make` to find its tools.
        for name in ["PATH", "SystemRoot", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        Self(command)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub(crate) fn command(&mut self) -> &mut Command {
        &mut self.0
    }

    /// Runs karat to its end. One that waits for something is stopped and a fault.
    #[track_caller]
    pub(crate) fn run(mut self) -> Output {
        let mut files =
            [tempfile::tempfile().expect("a file"), tempfile::tempfile().expect("a file")];
        let [stdout, stderr] = [0, 1].map(|at: usize| files[at].try_clone().expect("a file"));
        let mut child = self.0.stdout(stdout).stderr(stderr).spawn().expect("karat starts");
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("karat ends") {
                break status;
            }
            if start.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                panic!("hangs: {:?}", self.0);
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let [stdout, stderr] = [0, 1].map(|at: usize| {
            let mut text = String::new();
            files[at].rewind().expect("a file");
            files[at].read_to_string(&mut text).expect("karat prints UTF-8");
            text
        });
        let output = Output { code: status.code().unwrap_or(-1), stdout, stderr };
        assert!(!output.stderr.contains("panicked at"), "a panic:\n{}", output.stderr);
        output
    }
}

/// How long a run may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// A temporary folder with `.git` in it, so that it is the root of a project.
pub(crate) struct Project {
    folder: TempDir,
    root: PathBuf,
}

impl Project {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("karat-it-").tempdir().expect("a folder");
        // In a folder of its own, so that there is an outside.
        let root = folder.path().canonicalize().expect("a folder").join("project");
        fs::create_dir_all(root.join(".git")).expect("a marker");
        Self { folder, root }
    }

    /// A project with one static executable, and the smallest recipe for it on `scratch`.
    pub(crate) fn small() -> Self {
        let project = Self::new();
        project.write("app", elf::Elf::default().build());
        project.write("app.karat.toml", recipe("app", "app"));
        project
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A folder that is no part of the project.
    pub(crate) fn outside(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(crate) fn write(&self, path: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(&path, bytes).expect("a file");
        path
    }

    pub(crate) fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    #[track_caller]
    /// Runs git in the project's folder and returns what it prints.
    pub(crate) fn git(&self, line: &str) -> String {
        let identity = [
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.test",
            "-c",
            "init.defaultBranch=main",
        ];
        let run = Command::new("git")
            .args(identity)
            .args(line.split_whitespace())
            .current_dir(self.root())
            .output()
            .expect("git runs");
        assert!(run.status.success(), "{line}: {run:?}");
        String::from_utf8(run.stdout).expect("text")
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.read(path)).expect("JSON")
    }

    pub(crate) fn karat(&self, args: &[impl AsRef<OsStr>]) -> Karat {
        Karat::new(&self.root, args)
    }

    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> Output {
        self.karat(&line.split_whitespace().collect::<Vec<_>>()).run()
    }

    /// Runs karat, which must do its work.
    #[track_caller]
    pub(crate) fn done(&self, line: &str) -> Output {
        self.run(line).exits(0)
    }

    pub(crate) fn layout(&self, path: &str) -> layout::Layout {
        layout::Layout::open(&self.path(path))
    }

    /// The layout of the default output.
    pub(crate) fn dist(&self, name: &str) -> layout::Layout {
        self.layout(&format!("dist/{name}/image"))
    }

    /// The names in a folder, sorted.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        names(&self.path(path))
    }

    /// Makes sure that karat left nothing half-made anywhere in the project.
    #[track_caller]
    pub(crate) fn is_tidy(&self) {
        let mut waiting = vec![self.root.clone()];
        while let Some(folder) = waiting.pop() {
            for entry in fs::read_dir(&folder).expect("a folder").flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                assert!(!name.starts_with(".karat"), "left behind: {}", entry.path().display());
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    waiting.push(entry.path());
                }
            }
        }
    }

    /// Copies the key pair of all tests: `cosign.key` and `cosign.pub`.
    pub(crate) fn with_keys(self) -> Self {
        let (private, public) = keys();
        self.write("cosign.key", private);
        self.write("cosign.pub", public);
        self
    }

    /// Runs karat with the password of the key pair.
    #[track_caller]
    pub(crate) fn signed(&self, line: &str) -> Output {
        let args: Vec<_> = line.split_whitespace().collect();
        self.karat(&args).env("COSIGN_PASSWORD", PASSWORD).run()
    }
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The password of the key pair.
pub(crate) const PASSWORD: &str = "correct horse";

/// One key pair for all tests: making and opening one takes a while, on purpose.
pub(crate) fn keys() -> &'static (String, String) {
    static KEYS: OnceLock<(String, String)> = OnceLock::new();
    KEYS.get_or_init(|| {
        let project = Project::new();
        project.signed("key generate").exits(0);
        let text = |path| String::from_utf8(project.read(path)).expect("PEM");
        (text("cosign.key"), text("cosign.pub"))
    })
}

/// The smallest recipe.
pub(crate) fn recipe(name: &str, source: &str) -> String {
    recipe_on("scratch", "", name, source)
}

/// A recipe with further lines in `[image]`.
pub(crate) fn recipe_on(base: &str, further: &str, name: &str, source: &str) -> String {
    let platforms =
        if further.contains("platforms =") { "" } else { "platforms = [\"linux/amd64\"]\n" };
    format!(
        "[image]\nname = \"{name}\"\nbase = \"{base}\"\n{platforms}{further}\n[[binary]]\nsource = \"{source}\"\n"
    )
}

/// A date so many days from today, by the clock.
pub(crate) fn day(offset: i64) -> String {
    let days = Duration::from_secs(offset.unsigned_abs() * 86_400);
    let now = std::time::SystemTime::now();
    let clock = if offset < 0 { now - days } else { now + days };
    karat::time::Now::new(clock).date().to_string()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256(bytes))
}

pub(crate) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
    })
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// The rules of the open findings of a report, with those of its platforms.
pub(crate) fn rules(report: &Value) -> Vec<String> {
    let mut found: Vec<String> = report["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|finding| finding["status"] == "open")
        // A fact that every program has.
        .filter(|finding| finding["rule"] != "hardening")
        .filter_map(|finding| finding["rule"].as_str().map(str::to_owned))
        .collect();
    for image in report["images"].as_array().into_iter().flatten() {
        found.extend(rules(image));
    }
    found
}
