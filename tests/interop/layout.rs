//! skopeo, umoci, crane and GNU tar on layouts and archives.

use crate::project::{Layout, Project, json, sha256, unpack};
use crate::support::{Outcome, command, finish, program, succeed};
use serde_json::Value;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::process::Stdio;

pub(crate) fn skopeo_inspects_the_signed_layout() -> Outcome {
    let skopeo = program("skopeo")?;
    let project = Project::of_a_c_program()?;
    project.key();
    // The default output, as the contract names it.
    let digest = project.build(&["--sign", "cosign.key"]);
    let reference = "oci:dist/app/image:local";
    let inspect = |further: &[&str]| {
        let mut skopeo = command(&skopeo);
        skopeo.arg("inspect").args(further).arg(reference).current_dir(project.path(""));
        succeed(&mut skopeo)
    };
    let found = json(inspect(&[]).as_bytes());
    assert_eq!(found["Digest"], *digest);
    assert_eq!(found["Architecture"], Value::from(architecture()));
    assert_eq!(found["Labels"]["tier"], "test");
    assert_eq!(sha256(inspect(&["--raw"]).trim_end_matches('\n').as_bytes()), digest);
    let config = &json(inspect(&["--config"]).as_bytes())["config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"][0], "/usr/bin/app");
    assert_eq!(config["WorkingDir"], "/data");
    Ok(())
}

pub(crate) fn skopeo_copies_the_signed_layout_without_changing_its_digest() -> Outcome {
    let skopeo = program("skopeo")?;
    let project = Project::of_a_c_program()?;
    let layout = project.signed();
    let copy = format!("oci:{}:copied", project.path("copy").display());
    succeed(command(&skopeo).args(["copy", "--quiet", &layout.reference("v1"), &copy]));
    let found = json(succeed(command(&skopeo).args(["inspect", &copy])).as_bytes());
    assert_eq!(found["Digest"], *layout.digest);
    Layout::open(project.path("copy"), layout.digest).manifests();
    Ok(())
}

pub(crate) fn skopeo_reads_the_archive_in_both_of_its_formats() -> Outcome {
    let skopeo = program("skopeo")?;
    let project = Project::of_a_c_program()?;
    project.key();
    let digest = project.build(&[
        "--sign",
        "cosign.key",
        "--output",
        "archive:app.tar",
        "--output",
        "oci:layout",
    ]);
    let layout = Layout::open(project.path("layout"), digest.clone());
    let manifest = layout.document(&layout.manifests()[0]);
    let archive = project.path("app.tar");

    let as_oci = format!("oci-archive:{}:local", archive.display());
    let found = json(succeed(command(&skopeo).args(["inspect", &as_oci])).as_bytes());
    assert_eq!(found["Digest"], *digest);

    // skopeo reads every layer here, and compares it with the configuration's diff ids.
    let as_docker = format!("docker-archive:{}", archive.display());
    let copy = format!("oci:{}:copied", project.path("copy").display());
    succeed(command(&skopeo).args(["copy", "--quiet", &as_docker, &copy]));
    let config = |reference: &str| {
        json(succeed(command(&skopeo).args(["inspect", "--config", reference])).as_bytes())
    };
    let expected = layout.document(&manifest["config"]);
    let found = config(&copy);
    assert_eq!(found["rootfs"], expected["rootfs"]);
    assert_eq!(found["config"], expected["config"]);
    assert_eq!(config(&as_docker)["config"], expected["config"]);
    Ok(())
}

pub(crate) fn skopeo_unpacks_zstd() -> Outcome {
    let skopeo = program("skopeo")?;
    let project = Project::of_a_c_program()?;
    let recipe = String::from_utf8(project.read("app.karat.toml")).expect("text");
    project.write("app.karat.toml", &format!("{recipe}\n[layer]\ncompression = \"zstd\"\n"));
    let digest = project.build(&["--output", "oci:layout:v1"]);
    let layout = Layout::open(project.path("layout"), digest);
    let manifest = layout.document(&layout.manifests()[0]);
    let last = manifest["layers"].as_array().and_then(|layers| layers.last()).expect("a layer");
    assert_eq!(last["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
    // Each layer becomes a file, uncompressed, named after the digest of what is in it.
    let plain = project.path("plain");
    let folder = format!("dir:{}", plain.display());
    let mut copy = command(&skopeo);
    copy.args(["copy", "--quiet", "--dest-decompress", &layout.reference("v1"), &folder]);
    succeed(&mut copy);
    let config = layout.document(&manifest["config"]);
    for diff_id in config["rootfs"]["diff_ids"].as_array().expect("diff ids") {
        let diff_id = diff_id.as_str().expect("a digest");
        let tar = fs::read(plain.join(diff_id.trim_start_matches("sha256:"))).expect(diff_id);
        assert_eq!(sha256(&tar), diff_id);
    }
    Ok(())
}

pub(crate) fn crane_validates_the_archive() -> Outcome {
    let crane = program("crane")?;
    let project = Project::of_a_c_program()?;
    project.build(&["--output", "archive:app.tar"]);
    let output = finish(
        command(crane).args(["validate", "--tarball", "app.tar"]).current_dir(project.path("")),
    );
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("PASS: app.tar"), "{said}");
    Ok(())
}

pub(crate) fn umoci_unpacks_the_signed_layout() -> Outcome {
    let project = Project::of_a_c_program()?;
    let layout = project.signed();
    let bundle = unpack(&layout.path, "v1")?;
    let rootfs = bundle.path().join("bundle/rootfs");
    let packed = |path: &str| {
        let found = fs::symlink_metadata(rootfs.join(path)).expect(path);
        (found.mode(), found.uid(), found.gid(), found.mtime())
    };
    assert_eq!(packed("usr/bin/app"), (0o100_555, 0, 0, 0));
    assert_eq!(packed("etc/app/app.conf"), (0o100_444, 0, 0, 0));
    assert_eq!(packed("data"), (0o040_750, 65532, 65532, 0));
    assert_eq!(fs::read(rootfs.join("usr/bin/app")).expect("the program"), project.read("app"));
    let target = fs::read_link(rootfs.join("app/server")).expect("a link");
    assert_eq!(target.to_string_lossy(), "/usr/bin/app");
    let accounts = fs::read_to_string(rootfs.join("etc/passwd")).expect("etc/passwd");
    assert!(accounts.lines().any(|line| line.starts_with("nonroot:x:65532:65532:")), "{accounts}");
    for absent in ["bin/sh", "usr/bin/sh", "usr/bin/dpkg", "usr/bin/env"] {
        assert!(!rootfs.join(absent).exists(), "{absent} is in the image");
    }
    let umoci = program("umoci")?;
    let image = format!("{}:v1", layout.path.display());
    let stat = succeed(command(umoci).args(["stat", "--json", "--image", &image]));
    let history = json(stat.as_bytes())["history"].as_array().expect("history").len();
    let layers = layout.document(&layout.manifests()[0])["layers"].as_array().map(Vec::len);
    assert_eq!(Some(history), layers);
    Ok(())
}

pub(crate) fn gnu_tar_lists_every_layer_without_a_warning() -> Outcome {
    let tar = program("tar")?;
    let gzip = program("gzip")?;
    let project = Project::of_a_c_program()?;
    let layout = project.signed();
    let manifest = layout.document(&layout.manifests()[0]);
    let layers = manifest["layers"].as_array().expect("layers");
    let mut listed = String::new();
    for layer in layers {
        let hex = layer["digest"].as_str().expect("a digest").trim_start_matches("sha256:");
        let open = || File::open(layout.path.join("blobs/sha256").join(hex)).expect(hex);
        let tested =
            finish(command(&gzip).args(["--test", "--verbose"]).stdin(Stdio::from(open())));
        assert!(tested.status.success(), "{hex}: {}", String::from_utf8_lossy(&tested.stderr));
        let mut list = command(&tar);
        list.args(["--list", "--verbose", "--numeric-owner", "--gzip", "--file", "-"]);
        let output = finish(list.stdin(Stdio::from(open())));
        let warnings = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && warnings.is_empty(), "{hex}: {warnings}");
        assert!(!output.stdout.is_empty(), "{hex} is empty");
        listed.push_str(&String::from_utf8_lossy(&output.stdout));
    }
    let line = listed
        .lines()
        .find(|line| line.ends_with(" usr/bin/app") || line.ends_with(" ./usr/bin/app"));
    let line = line.unwrap_or_else(|| panic!("the program is not listed:\n{listed}"));
    assert!(line.starts_with("-r-xr-xr-x 0/0 ") && line.contains("1970-01-01"), "{line}");
    Ok(())
}

/// What Go calls the architecture that these tests run on.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// skopeo's `docker-archive` is what `podman save` writes: the same library.
pub(crate) fn karat_inspects_what_skopeo_saves_for_engines() -> Outcome {
    let skopeo = program("skopeo")?;
    let project = Project::of_a_c_program()?;
    let layout = project.signed();
    let inspect = |reference: &str| {
        let mut karat = command(env!("CARGO_BIN_EXE_karat"));
        karat.args(["inspect", "--format", "json", reference]).current_dir(project.path(""));
        json(succeed(&mut karat).as_bytes())
    };
    let findings = |report: &Value| {
        let findings = report["findings"].as_array().expect("findings");
        let one =
            |one: &Value| format!("{} {} {}", one["rule"], one["path"], one["file"]["sha256"]);
        findings.iter().map(one).collect::<Vec<_>>()
    };
    let expected = inspect(&layout.reference("v1"));
    for (transport, file) in [("docker-archive", "docker.tar"), ("oci-archive", "oci.tar")] {
        let target = format!("{transport}:{}:app:v1", project.path(file).display());
        succeed(command(&skopeo).args(["copy", "--quiet", &layout.reference("v1"), &target]));
        let found = inspect(file);
        assert_eq!(found["verdict"], "accepted", "{transport}");
        assert_eq!(found["subject"]["platform"], expected["subject"]["platform"]);
        assert_eq!(findings(&found), findings(&expected), "{transport}");
        assert_eq!(found["packages"], expected["packages"], "{transport}");
    }
    Ok(())
}
