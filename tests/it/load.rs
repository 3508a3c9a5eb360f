//! `karat load`: what an engine is given. The engines here are scripts that keep it.

#![cfg(unix)]

use crate::registry::project;
use crate::support::registry::{Registry, Ways};
use crate::support::{Output, Project};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// Makes a program that keeps its last argument's file, and its words.
fn engine(project: &Project, name: &str, code: i32) {
    let kept = project.outside().join("kept.tar");
    let words = project.outside().join("words");
    let script = format!(
        "#!/bin/sh\necho \"$0 $*\" >'{}'\nfor last; do :; done\ncp \"$last\" '{}'\necho loaded\nexit {code}\n",
        words.display(),
        kept.display()
    );
    let path = project.outside().join("bin").join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(&path, script).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("rights");
}

fn load(project: &Project, line: &str) -> Output {
    let args: Vec<_> = line.split_whitespace().collect();
    let bin = project.outside().join("bin");
    project
        .karat(&args)
        .env("PATH", format!("{}:/bin", bin.display()))
        .env("HOME", project.outside())
        .run()
}

/// Reads `manifest.json` of what the engine was given, and looks for what it names.
fn given(project: &Project) -> Value {
    let bytes = fs::read(project.outside().join("kept.tar")).expect("it was loaded");
    let members = crate::support::layout::members(&bytes);
    let find = |path: &str| members.iter().find(|one| one.path == path).expect(path).bytes.clone();
    let manifest: Value = serde_json::from_slice(&find("manifest.json")).expect("JSON");
    for layer in manifest[0]["Layers"].as_array().expect("layers") {
        assert!(!find(layer.as_str().expect("a path")).is_empty());
    }
    let config = find(manifest[0]["Config"].as_str().expect("a path"));
    let config: Value = serde_json::from_slice(&config).expect("JSON");
    serde_json::json!({ "tags": manifest[0]["RepoTags"], "architecture": config["architecture"] })
}

#[test]
fn an_engine_is_given_the_platform_and_the_name() {
    let project = project();
    for (name, words) in [
        ("docker", "load --input"),
        ("podman", "load --input"),
        ("nerdctl", "load --input"),
        ("ctr", "--namespace k8s.io images import"),
        ("kind", "load image-archive"),
    ] {
        engine(&project, name, 0);
        let line = format!("load oci:two --to {name} --name team/app --platform linux/arm64");
        let done = load(&project, &line).exits(0).says(&["loaded"]);
        assert_eq!(done.stdout, "team/app:local\n");
        let said = fs::read_to_string(project.outside().join("words")).expect("words");
        assert!(said.contains(&format!("/{name} {words} /")), "{said}");
        assert_eq!(given(&project)["tags"][0], "team/app:local");
        assert_eq!(given(&project)["architecture"], "arm64");
    }
    // Docker is the first of those that are looked for.
    load(&project, "load oci:one").exits(0).prints(&["one:local"]);
    assert!(
        fs::read_to_string(project.outside().join("words")).expect("words").contains("/docker ")
    );
    assert_eq!(given(&project)["tags"][0], "one:local");
    project.is_tidy();
}

#[test]
fn an_image_of_a_registry_is_loaded_whole_or_not() {
    let registry = Registry::start(Ways::default());
    let (project, host) = (project(), registry.host());
    crate::registry::run(&project, &format!("push oci:one docker://{host}/team/one:v1")).exits(0);
    engine(&project, "podman", 0);
    let line = format!("load docker://{host}/team/one:v1 --to podman");
    load(&project, &line).exits(0).says(&["leads to sha256:"]).prints(&["team/one:local"]);
    fs::remove_file(project.outside().join("kept.tar")).expect("it was loaded");
    registry.change("team/one", |held| {
        for bytes in held.blobs.values_mut() {
            *bytes.last_mut().expect("bytes") ^= 1;
        }
    });
    load(&project, &line).exits(1);
    assert!(!project.outside().join("kept.tar").exists(), "bytes that are others were loaded");
}

#[test]
fn what_cannot_be_loaded_is_said() {
    let project = project();
    load(&project, "load oci:one").exits(3).says(&["no docker, podman or nerdctl"]);
    load(&project, "load oci:one --to kind").exits(3).says(&["no `kind`"]);
    engine(&project, "docker", 1);
    load(&project, "load oci:one").exits(3).says(&["failed", "daemon"]);
    load(&project, "load oci:one --platform linux/s390x").exits(2).says(&["linux/amd64"]);
    load(&project, "load oci:one --platform vax").exits(2);
    load(&project, "load oci:one --name A/b").exits(2).says(&["no name of an image"]);
    load(&project, "load oci:nothing").exits(2);
}
