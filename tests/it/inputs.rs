//! What can be inspected: archives of engines, folders, files, several at once.

use crate::support::elf::{Elf, SCRIPT};
use crate::support::{Project, digest_of, recipe, rules};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

/// A member of an archive: its name, and bytes or the target of a link.
enum Part<'a> {
    File(&'a str, Vec<u8>),
    Link(&'a str, &'a str),
}

fn tar(parts: &[Part<'_>]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for part in parts {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o755);
        match part {
            Part::File(name, bytes) => {
                header.set_size(bytes.len() as u64);
                tar.append_data(&mut header, name, &bytes[..]).expect("a member");
            }
            Part::Link(name, target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                tar.append_link(&mut header, name, target).expect("a link");
            }
        }
    }
    tar.into_inner().expect("a tar")
}

/// A layer with one program, and the configuration of an image of it.
fn image(program: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let layer = tar(&[Part::File("usr/bin/app", program.to_vec())]);
    let config = json!({ "architecture": "amd64", "os": "linux",
        "config": { "User": "65532:65532", "Entrypoint": ["/usr/bin/app"], "WorkingDir": "/" },
        "rootfs": { "type": "layers", "diff_ids": [digest_of(&layer)] } });
    (layer, config.to_string().into_bytes())
}

fn list(images: &[(&str, &str)]) -> Vec<u8> {
    let image = |(config, layer): &(&str, &str)| json!({ "Config": config, "RepoTags": ["app:1"], "Layers": [layer] });
    json!(images.iter().map(image).collect::<Vec<_>>()).to_string().into_bytes()
}

fn report(project: &Project, code: i32) -> Value {
    project.run("inspect saved.tar --format json").exits(code).json()
}

#[test]
fn archives_of_engines_are_read() {
    let project = Project::new();
    let (good, good_config) = image(&Elf::default().build());
    let (bad, bad_config) = image(SCRIPT);
    // As podman writes it: layers by their names, and links with the old ones.
    let podman = [
        Part::File("good.tar", good.clone()),
        Part::Link("good/layer.tar", "../good.tar"),
        Part::File("c.json", good_config.clone()),
        Part::File("manifest.json", list(&[("c.json", "good.tar")])),
    ];
    project.write("saved.tar", tar(&podman));
    let found = report(&project, 0);
    assert_eq!(found["subject"]["digest"], digest_of(&good_config));
    assert_eq!(found["subject"]["platform"], "linux/amd64");
    project.done("inspect archive:saved.tar");
    // As docker has written it: a folder a layer, here only a link to the first.
    let docker = [
        Part::File("good.tar", good.clone()),
        Part::Link("good/layer.tar", "../good.tar"),
        Part::File("c.json", good_config.clone()),
        Part::File("manifest.json", list(&[("c.json", "good/layer.tar")])),
    ];
    project.write("saved.tar", tar(&docker));
    report(&project, 0);
    // Two images: each is judged, and the worst counts.
    let two = [
        Part::File("good.tar", good.clone()),
        Part::File("c.json", good_config.clone()),
        Part::File("bad.tar", bad),
        Part::File("d.json", bad_config),
        Part::File("manifest.json", list(&[("c.json", "good.tar"), ("d.json", "bad.tar")])),
    ];
    project.write("saved.tar", tar(&two));
    let found = report(&project, 1);
    let verdicts: Vec<_> =
        found["images"].as_array().expect("images").iter().map(|one| &one["verdict"]).collect();
    assert_eq!(verdicts, ["accepted", "rejected"]);
    assert!(rules(&found["images"][1]).contains(&"script".to_owned()));
}

#[test]
fn archives_of_engines_that_do_not_hold_together_are_refused() {
    let (layer, config) = image(&Elf::default().build());
    let (_, other) = image(SCRIPT);
    for (parts, rule) in [
        (vec![Part::File("manifest.json", list(&[("c.json", "l.tar")]))], "could-not-inspect"),
        (
            vec![
                Part::File("c.json", config.clone()),
                Part::Link("l.tar", "l.tar"),
                Part::File("manifest.json", list(&[("c.json", "l.tar")])),
            ],
            "could-not-inspect",
        ),
        (
            vec![
                Part::File("c.json", other.clone()),
                Part::File("l.tar", layer.clone()),
                Part::File("manifest.json", list(&[("c.json", "l.tar")])),
            ],
            "diff-id-mismatch",
        ),
        (
            vec![
                Part::File("c.json", config.clone()),
                Part::File("l.tar", layer[..layer.len() - 1000].to_vec()),
                Part::File("manifest.json", list(&[("c.json", "l.tar")])),
            ],
            "tar-truncated",
        ),
        (
            vec![
                Part::File("c.json", config.clone()),
                Part::File("manifest.json", br#"[{"Config":"c.json","Layers":[]}]"#.to_vec()),
            ],
            "config-layer-count",
        ),
    ] {
        let project = Project::new();
        project.write("saved.tar", tar(&parts));
        assert_eq!(rules(&report(&project, 1)), [rule]);
    }
    let project = Project::new();
    project.write("saved.tar", tar(&[Part::File("manifest.json", b"{".to_vec())]));
    assert_eq!(rules(&report(&project, 1)), ["could-not-inspect"]);
}

#[test]
fn an_archive_that_is_another_image_for_docker_is_refused() {
    let project = Project::small();
    project.done("build --output archive:app.tar");
    project.done("inspect app.tar");
    let (layer, config) = image(SCRIPT);
    let mut parts = Vec::new();
    let bytes = project.read("app.tar");
    let mut archive = tar::Archive::new(&bytes[..]);
    let mut names = Vec::new();
    for entry in archive.entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a path").display().to_string();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).expect("bytes");
        names.push((name, content));
    }
    for (name, content) in &names {
        let content =
            if name == "manifest.json" { list(&[("c.json", "l.tar")]) } else { content.clone() };
        parts.push(Part::File(name, content));
    }
    parts.push(Part::File("c.json", config));
    parts.push(Part::File("l.tar", layer));
    project.write("saved.tar", tar(&parts));
    assert_eq!(rules(&report(&project, 1)), ["archive-two-images"]);
}

#[test]
fn a_folder_is_inspected_as_a_file_system() {
    let project = Project::new();
    project.write("root/usr/bin/app", Elf::default().build());
    project.write("root/etc/app.conf", "a = 1\n");
    project.done("inspect root").prints(&["accepted"]);
    let script = project.write("root/usr/bin/run", SCRIPT);
    fs::set_permissions(&script, fs::Permissions::from_mode(0o4755)).expect("a mode");
    symlink("run", project.path("root/usr/bin/again")).expect("a link");
    let status = std::process::Command::new("mkfifo").arg(project.path("root/pipe")).status();
    assert!(status.expect("mkfifo").success());
    let found = project.run("inspect root --format json").exits(1).json();
    let found = rules(&found);
    for rule in ["script", "setuid", "special-file"] {
        assert!(found.contains(&rule.to_owned()), "{rule}: {found:?}");
    }
    assert!(!found.contains(&"user-root".to_owned()), "a folder has no configuration: {found:?}");
    // A link out of it is looked at as a link.
    let project = Project::new();
    project.write("root/data", "x");
    symlink("/etc", project.path("root/etc")).expect("a link");
    let found = project.run("inspect root --format json --exit-zero").exits(0).json();
    assert!(!found.to_string().contains("passwd"), "{found}");
    fs::create_dir(project.path("empty")).expect("a folder");
    project.run("inspect empty").exits(2).says(&["the folder `empty` is empty"]);
}

#[test]
fn a_tar_that_is_no_image_is_a_file_with_an_archive_in_it() {
    let project = Project::new();
    project.write("root.tar", tar(&[Part::File("bin/run", SCRIPT.to_vec())]));
    let found = project.run("inspect root.tar --format json").exits(1).json();
    assert!(!rules(&found).is_empty());
    project.run("inspect archive:root.tar").exits(2).says(&["root.tar"]);
}

#[test]
fn many_things_are_inspected_at_once_and_the_worst_code_is_the_answer() {
    let project = Project::small();
    project.write("run.sh", SCRIPT);
    project.write("app.karat.toml", recipe("app", "app"));
    project.done("build --output oci:layout");
    project.done("inspect app oci:layout layout");
    let output = project.run("inspect app run.sh oci:layout none.tar").exits(2);
    assert_eq!(output.stdout.matches("accepted").count(), 2, "{}", output.stdout);
    assert_eq!(output.stdout.matches("rejected").count(), 1, "{}", output.stdout);
    let both = project.run("inspect app run.sh --format json").exits(1).json();
    assert_eq!(both["schema"], "karat.reports/v1");
    assert_eq!(both["reports"].as_array().expect("reports").len(), 2);
    project.done("inspect app run.sh --exit-zero");
}
