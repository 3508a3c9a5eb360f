//! Projects in temporary folders, the programs they pack, and what `karat build` made of them.

use crate::support::{self, Skip, command, program, repository, succeed};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use tempfile::TempDir;

/// The password of every key of these tests.
pub(crate) const PASSWORD: &str = "karat pässword";

/// A folder with a recipe, removed when the case ends.
pub(crate) struct Project {
    folder: TempDir,
}

impl Project {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::with_prefix("karat-interop-").expect("a temporary folder") }
    }

    /// A project that packs a static C program, with a file, a folder to write in and a link.
    pub(crate) fn of_a_c_program() -> Result<Self, Skip> {
        let project = Self::new();
        let cc = program("cc")?;
        project.copy("app.c");
        succeed(
            command(cc)
                .args(["-static-pie", "-O2", "-s", "-o", "app", "app.c"])
                .current_dir(project.path("")),
        );
        project.write("config/app.conf", "mode = interop\n");
        project.write(
            "app.karat.toml",
            r#"
[image]
name = "app"
base = "static-debian13"
platforms = ["host"]
cmd = ["serve", "--port=8080"]
workdir = "/data"
env = { LOG = "info" }
ports = ["8080/tcp"]
labels = { tier = "test" }
annotations = { "org.opencontainers.image.title" = "Interop" }

[[binary]]
source = "app"
path = "/usr/bin/app"

[[file]]
source = "config/"
path = "/etc/app/"

[[directory]]
path = "/data"
owner = "65532:65532"
mode = "0750"

[[link]]
path = "/app/server"
target = "/usr/bin/app"
"#,
        );
        Ok(project)
    }

    /// A project that packs nothing but one static C program, and says who gives it away.
    pub(crate) fn of_a_bare_program() -> Result<Self, Skip> {
        let project = Self::new();
        let cc = program("cc")?;
        project.copy("app.c");
        succeed(
            command(cc)
                .args(["-static-pie", "-O2", "-s", "-o", "app", "app.c"])
                .current_dir(project.path("")),
        );
        project.write(
            "bare.karat.toml",
            r#"
[image]
name = "bare"
base = "scratch"
platforms = ["host"]

[image.annotations]
"org.opencontainers.image.vendor" = "Interop"
"org.opencontainers.image.url" = "https://interop.example/"
"org.opencontainers.image.licenses" = "Apache-2.0"

[[binary]]
source = "app"
path = "/usr/bin/app"
"#,
        );
        Ok(project)
    }

    /// A project that packs a Go program for two platforms.
    pub(crate) fn of_a_go_program() -> Result<Self, Skip> {
        // One at a time: the second takes from Go's cache what the first has compiled.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let project = Self::new();
        let go = program("go")?;
        project.copy("hello.go");
        project.write("go.mod", "module example.test/interop/hello\n\ngo 1.21\n");
        for architecture in ["amd64", "arm64"] {
            succeed(
                command(&go)
                    .args(["build", "-trimpath", "-buildvcs=false"])
                    .args(["-o", &format!("hello-{architecture}"), "."])
                    .current_dir(project.path(""))
                    .env("CGO_ENABLED", "0")
                    .env("GOOS", "linux")
                    .env("GOARCH", architecture)
                    .env("GOTOOLCHAIN", "local")
                    .env("GOPROXY", "off"),
            );
        }
        project.write(
            "hello.karat.toml",
            r#"
[image]
name = "hello"
base = "static-debian13"
platforms = ["linux/amd64", "linux/arm64"]
cmd = ["one", "two"]

[[binary]]
source = "hello-{goarch}"
path = "/usr/bin/hello"
identity = "go:example.test/interop/hello"
"#,
        );
        Ok(project)
    }

    /// A project that packs Rust programs of this folder, made with the flags and the
    /// profile of karat's own release.
    pub(crate) fn of_rust_programs() -> Self {
        let project = Self::new();
        let manifest = fs::read_to_string(repository().join("Cargo.toml")).expect("Cargo.toml");
        let profile: String = manifest
            .lines()
            .skip_while(|line| *line != "[profile.release]")
            .take_while(|line| !line.is_empty())
            .flat_map(|line| [line, "\n"])
            .collect();
        assert!(profile.contains("strip"), "the release profile was not found in Cargo.toml");
        project.write(
            "Cargo.toml",
            &format!(
                "[package]\nname = \"interop-programs\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
                 [workspace]\n\n{profile}"
            ),
        );
        fs::create_dir_all(project.path("src/bin")).expect("a folder");
        fs::create_dir_all(project.path(".cargo")).expect("a folder");
        let copies = [
            ("examples/resolve.rs", "src/bin/resolve.rs"),
            ("tests/interop/programs/nameserver.rs", "src/bin/nameserver.rs"),
            (".cargo/config.toml", ".cargo/config.toml"),
        ];
        for (from, to) in copies {
            fs::copy(repository().join(from), project.path(to)).expect(from);
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = command(cargo);
        command
            .args(["build", "--quiet", "--release", "--offline", "--target-dir", "target"])
            .current_dir(project.path(""));
        // What the outer cargo has set would take the place of .cargo/config.toml.
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
            command.env_remove(name);
        }
        succeed(&mut command);
        project.write(
            "resolve.karat.toml",
            r#"
[image]
name = "resolve"
base = "static-debian13"
platforms = ["host"]

[[binary]]
source = "target/{rust-gnu}/release/resolve"
path = "/usr/bin/resolve"
"#,
        );
        project
    }

    /// A project that packs karat itself, as it was built for these tests.
    pub(crate) fn of_karat() -> Self {
        let project = Self::new();
        fs::copy(env!("CARGO_BIN_EXE_karat"), project.path("karat")).expect("the karat binary");
        project.write(
            "self.karat.toml",
            r#"
[image]
name = "self"
base = "static-debian13"
platforms = ["host"]
cmd = ["--version"]

[[binary]]
source = "karat"
path = "/usr/bin/karat"
identity = "cargo:karat"
"#,
        );
        project
    }

    /// A path in the project.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    pub(crate) fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect(relative);
    }

    pub(crate) fn read(&self, relative: &str) -> Vec<u8> {
        fs::read(self.path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
    }

    /// Copies a program's source from `tests/interop/programs`.
    pub(crate) fn copy(&self, name: &str) {
        let from = repository().join("tests/interop/programs").join(name);
        fs::copy(from, self.path(name)).expect(name);
    }

    /// Makes a command that runs karat in the project.
    pub(crate) fn karat(&self) -> Command {
        let mut karat = command(env!("CARGO_BIN_EXE_karat"));
        karat.current_dir(self.path("")).env("COSIGN_PASSWORD", PASSWORD);
        karat.env_remove("SOURCE_DATE_EPOCH");
        karat
    }

    /// Makes `cosign.key` and `cosign.pub`.
    pub(crate) fn key(&self) {
        succeed(self.karat().args(["key", "generate"]));
    }

    /// Builds the only recipe and returns the digest that was printed.
    pub(crate) fn build(&self, arguments: &[&str]) -> String {
        let printed = succeed(self.karat().arg("build").args(arguments));
        let digest = printed.trim_end().rsplit('@').next().unwrap_or_default().to_owned();
        let form = digest.strip_prefix("sha256:").is_some_and(|hex| {
            hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        });
        assert!(form && printed.lines().count() == 1, "one line ending in a digest: {printed:?}");
        digest
    }

    /// Builds the only recipe into `layout`, signed, and opens that.
    pub(crate) fn signed(&self) -> Layout {
        self.key();
        let digest = self.build(&["--sign", "cosign.key", "--output", "oci:layout:v1"]);
        Layout::open(self.path("layout"), digest)
    }
}

/// An image layout whose first entry is the image.
pub(crate) struct Layout {
    pub(crate) path: PathBuf,
    /// The digest of the image that the layout was made for.
    pub(crate) digest: String,
    pub(crate) index: Value,
}

impl Layout {
    pub(crate) fn open(path: PathBuf, digest: String) -> Self {
        let index = json(&fs::read(path.join("index.json")).expect("index.json"));
        Self { path, digest, index }
    }

    /// The bytes of a blob, checked against its digest.
    pub(crate) fn blob(&self, digest: &str) -> Vec<u8> {
        let hex = digest.strip_prefix("sha256:").unwrap_or_else(|| panic!("{digest} is no sha256"));
        let path = self.path.join("blobs/sha256").join(hex);
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{digest}: {error}"));
        assert_eq!(sha256(&bytes), digest, "the blob is not what it is called");
        bytes
    }

    /// The document of a descriptor.
    pub(crate) fn document(&self, descriptor: &Value) -> Value {
        let bytes = self.blob(descriptor["digest"].as_str().expect("a digest"));
        assert_eq!(descriptor["size"].as_u64(), Some(bytes.len() as u64), "{descriptor}");
        json(&bytes)
    }

    /// The descriptors of `index.json`.
    pub(crate) fn entries(&self) -> &[Value] {
        self.index["manifests"].as_array().expect("manifests")
    }

    /// The descriptors of the image's manifests, one a platform.
    pub(crate) fn manifests(&self) -> Vec<Value> {
        let image = &self.entries()[0];
        assert_eq!(image["digest"].as_str(), Some(&*self.digest), "the image comes first");
        match self.document(image)["manifests"].as_array() {
            Some(manifests) => manifests.clone(),
            None => vec![image.clone()],
        }
    }

    /// The manifests that refer to others by their `subject`.
    pub(crate) fn referrers(&self) -> Vec<Value> {
        let manifests = self.entries()[1..].iter().map(|entry| self.document(entry));
        manifests.filter(|manifest| manifest["subject"].is_object()).collect()
    }

    /// The sigstore bundles on the image and its platforms.
    pub(crate) fn bundles(&self) -> Vec<Bundle> {
        let bundle = |manifest: Value| {
            assert_eq!(manifest["artifactType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
            let layers = manifest["layers"].as_array().expect("layers");
            assert_eq!(layers.len(), 1, "a bundle is one layer: {manifest}");
            let bytes = self.blob(layers[0]["digest"].as_str().expect("a digest"));
            let subject = manifest["subject"]["digest"].as_str().expect("a digest").to_owned();
            let statement = statement(&json(&bytes));
            let predicate_type = statement["predicateType"].as_str().expect("a type").to_owned();
            Bundle { bytes, subject, predicate_type }
        };
        self.referrers().into_iter().map(bundle).collect()
    }

    /// `oci:DIR:TAG`, as skopeo and others take it.
    pub(crate) fn reference(&self, tag: &str) -> String {
        format!("oci:{}:{tag}", self.path.display())
    }
}

/// A sigstore bundle that refers to an image.
pub(crate) struct Bundle {
    pub(crate) bytes: Vec<u8>,
    /// The digest that the manifest refers to.
    pub(crate) subject: String,
    pub(crate) predicate_type: String,
}

impl Bundle {
    /// The subject's digest without its algorithm.
    pub(crate) fn hex(&self) -> &str {
        self.subject.trim_start_matches("sha256:")
    }
}

fn statement(bundle: &Value) -> Value {
    use base64::Engine as _;
    let payload = bundle["dsseEnvelope"]["payload"].as_str().expect("a payload");
    json(&base64::engine::general_purpose::STANDARD.decode(payload).expect("base64"))
}

pub(crate) fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

/// The digest of bytes, with its algorithm.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let hex = sha2::Sha256::digest(bytes).into_iter().map(|byte| format!("{byte:02x}"));
    format!("sha256:{}", hex.collect::<String>())
}

/// Runs `umoci unpack` and returns the bundle's folder.
pub(crate) fn unpack(layout: &Path, tag: &str) -> Result<TempDir, Skip> {
    support::root()?;
    let umoci = program("umoci")?;
    let folder = TempDir::with_prefix("karat-bundle-").expect("a temporary folder");
    let image = format!("{}:{tag}", layout.display());
    succeed(command(umoci).args(["unpack", "--image", &image]).arg(folder.path().join("bundle")));
    Ok(folder)
}
