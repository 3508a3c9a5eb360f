//! The unpacked image under runc, as a hardened cluster would start it.

use crate::project::{Layout, Project, json, unpack};
use crate::support::{Outcome, Skip, account, command, finish, program, root, succeed};
use serde_json::{Value, json as value};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// An image, unpacked by umoci, and set up for runc.
pub(crate) struct Container {
    folder: TempDir,
    runc: PathBuf,
    id: String,
}

impl Container {
    /// Unpacks an image and takes every right from it: read-only root, no capabilities, no
    /// new privileges. The user is the image's.
    pub(crate) fn of(layout: &Path, tag: &str) -> Result<Self, Skip> {
        root()?;
        let runc = program("runc")?;
        let folder = unpack(layout, tag)?;
        let id = folder.path().file_name().expect("a name").to_string_lossy().into_owned();
        let container = Self { folder, runc, id };
        container.change(|config| {
            assert_eq!(config["process"]["user"], value!({ "uid": 65532, "gid": 65532 }));
            config["root"]["readonly"] = true.into();
            let process = &mut config["process"];
            process["terminal"] = false.into();
            process["noNewPrivileges"] = true.into();
            process["capabilities"] = value!({
                "bounding": [], "effective": [], "inheritable": [], "permitted": [], "ambient": [],
            });
            // Not every machine that runs these tests grants these.
            process.as_object_mut().expect("process").remove("rlimits");
            config["linux"].as_object_mut().expect("linux").remove("resources");
            let mounts = config["mounts"].as_array_mut().expect("mounts");
            mounts.retain(|mount| mount["type"] != "cgroup");
        });
        Ok(container)
    }

    fn bundle(&self) -> PathBuf {
        self.folder.path().join("bundle")
    }

    fn change(&self, change: impl FnOnce(&mut Value)) {
        let path = self.bundle().join("config.json");
        let mut config = json(&fs::read(&path).expect("config.json"));
        change(&mut config);
        fs::write(&path, config.to_string()).expect("config.json");
    }

    /// Sets the arguments after the entrypoint.
    pub(crate) fn arguments(&self, arguments: &[&str]) {
        self.change(|config| {
            let args = config["process"]["args"].as_array_mut().expect("args");
            args.truncate(1);
            args.extend(arguments.iter().map(|argument| Value::from(*argument)));
        });
    }

    fn mount(&self, mount: Value) {
        self.change(|config| {
            let mounts = config["mounts"].as_array_mut().expect("mounts");
            mounts.retain(|other| other["destination"] != mount["destination"]);
            mounts.push(mount);
        });
    }

    /// A place to write, as a cluster mounts an `emptyDir`.
    fn mount_empty(&self, path: &str) {
        self.mount(value!({
            "destination": path, "type": "tmpfs", "source": "tmpfs",
            "options": ["nosuid", "nodev", "noexec", "mode=0750", "uid=65532", "gid=65532"],
        }));
    }

    /// A file of the host's, as a cluster mounts `/etc/hosts` and `/etc/resolv.conf`.
    fn mount_file(&self, path: &str, text: &str) {
        let source = self.folder.path().join(path.replace('/', "_"));
        fs::write(&source, text).expect(path);
        self.mount(value!({
            "destination": path, "type": "bind", "source": source, "options": ["bind", "ro"],
        }));
    }

    /// A folder of the host's, read-only.
    fn mount_folder(&self, path: &str, source: &Path) {
        self.mount(value!({
            "destination": path, "type": "bind", "source": source, "options": ["rbind", "ro"],
        }));
    }

    /// Runs the image's command to its end.
    pub(crate) fn run(&self) -> Output {
        let bundle = self.bundle();
        finish(command(&self.runc).args(["run", "--bundle"]).arg(bundle).arg(&self.id))
    }

    /// Runs the image's command, whose success is expected.
    pub(crate) fn succeed(&self) -> String {
        let bundle = self.bundle();
        succeed(command(&self.runc).args(["run", "--bundle"]).arg(bundle).arg(&self.id))
    }

    fn state(&self) -> Value {
        json(succeed(command(&self.runc).args(["state", &self.id])).as_bytes())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = command(&self.runc).args(["delete", "--force", &self.id]).output();
    }
}

/// A program that ends with its case.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn runc_runs_the_image_as_its_user_without_rights() -> Outcome {
    root()?;
    let project = Project::of_a_c_program()?;
    let container = Container::of(&project.signed().path, "v1")?;
    container.mount_empty("/data");
    let output = container.run();
    let expected = "\
user 65532:65532
argument 0: /usr/bin/app
argument 1: serve
argument 2: --port=8080
folder /data
LOG info
Groups:\t\x20
CapInh:\t0000000000000000
CapPrm:\t0000000000000000
CapEff:\t0000000000000000
CapBnd:\t0000000000000000
CapAmb:\t0000000000000000
NoNewPrivs:\t1
write /written: Read-only file system
write /usr/bin/app: File exists
write /etc/app/written: Read-only file system
write /data/written: done
/etc/app/app.conf: mode = interop
/app/server: found
/bin/sh: No such file or directory
";
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(printed, expected, "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(7));
    Ok(())
}

/// The image of a Rust program that resolves its argument.
fn resolver(project: &Project) -> Result<Container, Skip> {
    let digest = project.build(&["resolve.karat.toml", "--output", "oci:layout:v1"]);
    Container::of(&Layout::open(project.path("layout"), digest).path, "v1")
}

pub(crate) fn names_resolve_inside_the_image_from_the_hosts_file() -> Outcome {
    root()?;
    program("runc")?;
    program("umoci")?;
    let project = Project::of_rust_programs();
    let container = resolver(&project)?;
    container.mount_file("/etc/hosts", "127.0.0.1 localhost\n192.0.2.10 karat.interop.test\n");
    // A name server that nobody listens at: the hosts file alone must answer.
    container
        .mount_file("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
    container.arguments(&["karat.interop.test"]);
    assert_eq!(container.succeed(), "192.0.2.10\n");
    container.arguments(&["localhost"]);
    assert_eq!(container.succeed(), "127.0.0.1\n");
    container.arguments(&["other.interop.test"]);
    let output = container.run();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

pub(crate) fn names_resolve_inside_the_image_by_dns() -> Outcome {
    root()?;
    program("umoci")?;
    let runc = program("runc")?;
    let nsenter = program("nsenter")?;
    let project = Project::of_rust_programs();
    let container = resolver(&project)?;
    container.mount_file("/etc/hosts", "127.0.0.1 localhost\n");
    container
        .mount_file("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n");
    container.arguments(&["karat.interop.test"]);

    // The container waits, created, until a name server listens in its network.
    let printed = project.path("printed");
    let complaints = project.path("complaints");
    let mut create = command(&runc);
    create.args(["create", "--bundle"]).arg(container.bundle()).arg(&container.id);
    create.stdout(File::create(&printed).expect("a file"));
    create.stderr(File::create(&complaints).expect("a file"));
    let status = create.status().expect("runc");
    let complained = || fs::read_to_string(&complaints).unwrap_or_default();
    assert!(status.success(), "{}", complained());
    let network = format!("--net=/proc/{}/ns/net", container.state()["pid"]);
    let nameserver = ["target", triple(), "release/nameserver"].join("/");
    let mut server = command(nsenter);
    server.arg(network).arg(project.path(&nameserver)).stdout(Stdio::piped());
    let mut server = Ending(server.spawn().expect("nsenter"));
    let mut ready = String::new();
    let stdout = server.0.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut ready).expect("a line");
    assert_eq!(ready, "ready\n", "the name server does not listen");

    let started = finish(command(&runc).args(["start", &container.id]));
    assert!(started.status.success(), "{}", account(&command(&runc), &started));
    let begun = Instant::now();
    while container.state()["status"] != "stopped" {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not end: {}", complained());
        std::thread::sleep(Duration::from_millis(50));
    }
    let printed = fs::read_to_string(printed).expect("what was printed");
    let mut addresses: Vec<_> = printed.lines().collect();
    addresses.sort_unstable();
    assert_eq!(addresses, ["192.0.2.7", "2001:db8::7"], "{}", complained());
    Ok(())
}

/// What `{rust-gnu}` stands for on this machine.
fn triple() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "aarch64-unknown-linux-gnu",
        _ => "x86_64-unknown-linux-gnu",
    }
}

pub(crate) fn karat_runs_inside_its_own_image() -> Outcome {
    root()?;
    program("runc")?;
    program("umoci")?;
    let project = Project::of_karat();
    let digest = project.build(&["--output", "oci:layout:v1"]);
    let container = Container::of(&Layout::open(project.path("layout"), digest).path, "v1")?;
    assert_eq!(container.succeed(), succeed(project.karat().arg("--version")));
    // The same build inside the image gives the same digest as outside.
    let inner = Project::of_a_c_program()?;
    let outside = inner.build(&["--output", "oci:layout"]);
    container.mount_folder("/src", &inner.path(""));
    container.mount_empty("/tmp");
    container.arguments(&["build", "/src/app.karat.toml", "--output", "oci:/tmp/layout"]);
    assert_eq!(container.succeed(), format!("oci:/tmp/layout@{outside}\n"));
    Ok(())
}
