//! One digest on any machine, in any folder, by anybody.

use crate::support::elf::Elf;
use crate::support::{Project, recipe_on};
use std::fs;

const FILES: [(&str, &str); 4] =
    [("data/a", "a"), ("data/b/c", "c"), ("data/b-d", "d"), ("data/e/f/g", "g")];

/// A project whose data is written in some order.
fn project(order: impl Iterator<Item = usize>) -> Project {
    let project = Project::new();
    for number in order {
        let (path, text) = FILES[number];
        project.write(path, text);
    }
    project.write("app", Elf::with(vec![7; 100_000]).build());
    let text = recipe_on("static-debian13", "", "app", "app")
        + "[[file]]\nsource = \"data\"\npath = \"/srv/data\"\n[[directory]]\npath = \"/var/data\"\n";
    project.write("app.karat.toml", text);
    project
}

#[test]
fn digest_does_not_depend_on_folder_or_order_of_creation() {
    let one = project(0..4);
    let two = project((0..4).rev());
    assert_ne!(one.root(), two.root());
    assert_eq!(one.done("build").digest(), two.done("build").digest());
    assert_eq!(one.dist("app").files(), two.dist("app").files());
}

#[test]
fn digest_does_not_depend_on_the_folder_of_the_command() {
    let project = project(0..4);
    let digest = project.done("build").digest();
    let recipe = project.path("app.karat.toml");
    let recipe = recipe.to_str().expect("UTF-8");
    let elsewhere =
        crate::support::Karat::new(project.outside(), &["build", recipe]).run().exits(0);
    assert_eq!(elsewhere.digest(), digest);
    let below = project.path("data");
    let below = crate::support::Karat::new(&below, &["build", "../app.karat.toml"]).run().exits(0);
    assert_eq!(below.digest(), digest);
}

#[test]
fn digest_does_not_depend_on_locale_time_zone_user_or_temporary_folder() {
    let project = project(0..4);
    let digest = project.done("build").digest();
    let temporary = project.outside().join("other temporary folder");
    fs::create_dir(&temporary).expect("a folder");
    let output = project
        .karat(&["build"])
        .env("TZ", "Pacific/Kiritimati")
        .env("LANG", "tr_TR.UTF-8")
        .env("LC_ALL", "tr_TR.UTF-8")
        .env("TMPDIR", &temporary)
        .env("HOME", "/nonexistent")
        .env("USER", "somebody")
        .env("RAYON_NUM_THREADS", "1")
        .run()
        .exits(0);
    assert_eq!(output.digest(), digest);
    assert_eq!(crate::support::names(&temporary), [""; 0], "left in the temporary folder");
}

#[cfg(unix)]
#[test]
fn digest_does_not_depend_on_modes_and_times_of_the_sources() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, UNIX_EPOCH};
    let project = project(0..4);
    let digest = project.done("build").digest();
    for (path, mode) in [("app", 0o600), ("data/a", 0o777), ("data/b/c", 0o640), ("data/b", 0o700)]
    {
        let path = project.path(path);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        fs::File::open(&path)
            .and_then(|file| file.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_007)))
            .expect("a time");
    }
    assert_eq!(project.done("build").digest(), digest);
}

#[cfg(unix)]
#[test]
fn digest_does_not_depend_on_how_a_source_is_reached() {
    let project = project(0..4);
    let digest = project.done("build").digest();
    fs::rename(project.path("app"), project.path("app-1.0")).expect("a rename");
    std::os::unix::fs::symlink("app-1.0", project.path("app")).expect("a link");
    assert_eq!(project.done("build").digest(), digest, "a link inside the project is its file");
}

#[test]
fn signing_does_not_change_the_image() {
    let project = project(0..4).with_keys();
    let digest = project.done("build").digest();
    assert_eq!(project.signed("build --sign cosign.key").exits(0).digest(), digest);
}

#[test]
fn destination_does_not_change_the_image() {
    let project = project(0..4);
    let digest = project.done("build").digest();
    assert_eq!(project.done("build --output oci:out:tag").digest(), digest);
    assert_eq!(project.done("build --output archive:out.tar").digest(), digest);
}

#[test]
fn documents_are_the_same_bytes_each_time() {
    let project = project(0..4);
    project.done("build");
    let read = || {
        ["sbom.spdx.json", "sbom.cdx.json", "provenance.json", "report.json", "report.html"]
            .map(|name| (name, project.read(&format!("dist/app/{name}"))))
    };
    let first = read();
    project.done("build");
    for (first, second) in first.into_iter().zip(read()) {
        assert!(first.1 == second.1, "{} differs", first.0);
    }
}

#[test]
fn comments_of_a_recipe_change_provenance_but_not_the_image() {
    let project = project(0..4);
    let digest = project.done("build").digest();
    let provenance = project.read("dist/app/provenance.json");
    let text = String::from_utf8(project.read("app.karat.toml")).expect("text");
    project.write("app.karat.toml", format!("# why this is here\n{text}"));
    assert_eq!(project.done("build").digest(), digest);
    assert_ne!(project.read("dist/app/provenance.json"), provenance);
}

#[test]
fn every_input_changes_the_image() {
    let project = project(0..4);
    let mut digests = vec![project.done("build").digest()];
    project.write("data/a", "A");
    digests.push(project.done("build").digest());
    project.write("app", Elf::with(vec![8; 100_000]).build());
    digests.push(project.done("build").digest());
    digests.push(project.done("build --source-date-epoch 1").digest());
    let text = String::from_utf8(project.read("app.karat.toml")).expect("text");
    project.write("app.karat.toml", text.replace("/srv/data", "/srv/date"));
    digests.push(project.done("build").digest());
    let mut unique = digests.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), digests.len(), "{digests:?}");
}
