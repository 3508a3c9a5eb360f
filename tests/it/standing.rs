//! What an image stands on, and bases that the policy has revoked.

use crate::support::{Output, Project, copy_folder, day, digest_of, elf};
use karat::base::lock::Lock;
use serde_json::{Value, json};
use std::fs;

const BASE: &str = "[base]\nkind = \"image\"\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n[image]\nreference = \"oci:two\"\nsigner = { key = \"cosign.pub\" }\n";
const RECIPE: &str = "[image]\nname = \"on\"\nbase = \"up\"\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n[[binary]]\nsource = \"{arch}/own\"\n";

/// A project with the base `up`, locked, and an image that was built on it.
fn built() -> Project {
    let project = crate::registry::project();
    project.write("bases/up.toml", BASE);
    project.write("amd64/own", elf::Elf::with("own").build());
    project.write("arm64/own", elf::Elf::arm64().build());
    project.write("recipes/on.toml", RECIPE);
    cached(&project, "base lock up").exits(0);
    cached(&project, "build recipes/on.toml").exits(0);
    project
}

fn cached(project: &Project, line: &str) -> Output {
    let args: Vec<_> = line.split_whitespace().collect();
    project.karat(&args).env("KARAT_CACHE", project.outside().join("cache")).run()
}

fn lock_of(project: &Project) -> Lock {
    let text = String::from_utf8(project.read("bases/up.lock.toml")).expect("text");
    Lock::parse("up", &text).expect("a lock")
}

#[test]
fn an_image_stands_on_a_base_that_is_verified_too() {
    let project = built();
    let image = "base verify oci:dist/on/image:local --offline";
    let digests = lock_of(&project).platforms.into_iter().map(|one| one.digest.to_string());
    let digests: Vec<_> = digests.collect();
    cached(&project, image).exits(0).prints(&[
        &format!("on up@{}  linux/amd64", digests[0]),
        &format!("on up@{}  linux/arm64", digests[1]),
    ]);
    let account = cached(&project, &format!("{image} --format json")).exits(0).json();
    assert_eq!(account["schema"], "karat.base-verify/v1");
    let base = &account["bases"][0];
    assert_eq!(base["verdict"], "accepted");
    assert_eq!(base["digests"]["linux/arm64"], format!("up@{}", digests[1]));

    // The base itself is an image that stands on the base, and so does what is in an archive.
    cached(&project, "base verify oci:two --offline").exits(0).prints(&["on up@"]);
    cached(&project, "build recipes/on.toml --output archive:on.tar").exits(0);
    cached(&project, "base verify archive:on.tar up").exits(0).prints(&["on up@", "ok      up@"]);

    // What is wrong with the base is wrong with what stands on it.
    project.write("karat-policy.toml", "[policy]\nname = \"p\"\n[bases]\nmax-age = \"1d\"\n");
    cached(&project, image).exits(0);
    let list = project.read("bases/up.contents.txt");
    project.write("bases/up.contents.txt", "another");
    cached(&project, image).exits(1).says(&["up: ", "up.contents.txt"]).prints(&["REFUSED"]);
    project.write("bases/up.contents.txt", list);

    // One that no lock is of.
    let recipe = crate::support::recipe("bare", "amd64/own");
    project.write("bare.karat.toml", recipe);
    project.done("build bare.karat.toml --output oci:bare");
    cached(&project, "base verify oci:bare").exits(1).says(&[
        "linux/amd64 stands on no base that is locked here",
        "static-debian13",
        "up",
    ]);
    fs::remove_file(project.path("bases/up.lock.toml")).expect("the lock");
    cached(&project, image).exits(1).says(&["stands on no base", "linux/arm64"]);
    // And none at all.
    cached(&project, "base verify oci:gone").exits(2);
    cached(&project, "base verify gone").exits(2).says(&["no base `gone`"]);
}

#[test]
fn the_layers_of_an_image_are_those_of_its_base_byte_for_byte() {
    let project = built();
    let layout = project.layout("dist/on/image");
    let descriptor = layout.platforms(Some("local")).remove(0);
    let mut manifest = layout.document(&descriptor);

    // The same files, stored otherwise: the diff id is right, the bytes are others.
    copy_folder(&project.path("dist/on/image"), &project.path("other"));
    let other = project.layout("other");
    let put = |bytes: &[u8]| fs::write(other.blob_path(&digest_of(bytes)), bytes).expect("a blob");
    let tar = layout.tar(&manifest["layers"][0]);
    put(&tar);
    manifest["layers"][0] = json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": digest_of(&tar),
        "size": tar.len(),
    });
    let bytes = serde_json::to_vec(&manifest).expect("JSON");
    put(&bytes);
    let index: Value = json!({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": descriptor["mediaType"],
            "digest": digest_of(&bytes),
            "size": bytes.len(),
        }],
    });
    project.write("other/index.json", index.to_string());
    cached(&project, "base verify oci:other").exits(1).says(&[
        "layer-1",
        &digest_of(&tar),
        "and the lock has",
    ]);

    // Bytes that are not what their digest says.
    let manifest = layout.document(&descriptor);
    let digest = manifest["layers"][0]["digest"].as_str().expect("a digest");
    let mut bytes = layout.blob(&manifest["layers"][0]);
    *bytes.last_mut().expect("bytes") ^= 1;
    fs::write(layout.blob_path(digest), bytes).expect("a blob");
    cached(&project, "base verify oci:dist/on/image:local").exits(1).says(&[digest]);
}

#[test]
fn a_base_that_is_revoked_is_no_base() {
    let project = built();
    let lock = lock_of(&project);
    let amd64 = &lock.platforms[0];
    let revoke = |what: String, since: i64| {
        project.write(
            "karat-policy.toml",
            format!(
                "[policy]\nname = \"p\"\n[[revoked]]\n{what}\nsince = \"{}\"\nreason = \"it leaked\"\n",
                day(since)
            ),
        );
    };
    let digest = |digest: String| format!("digest = \"{digest}\"");
    let before = project.read("bases/up.lock.toml");
    let things = [
        digest(lock.image.as_ref().expect("an image").digest.to_string()),
        digest(amd64.digest.to_string()),
        digest(amd64.layers[0].digest.to_string()),
        "key = \"cosign.pub\"".to_owned(),
    ];
    for what in things {
        revoke(what.clone(), 0);
        for line in [
            "build --offline recipes/on.toml",
            "base verify up",
            "base verify oci:dist/on/image:local",
            "base lock up",
            "base build up",
        ] {
            cached(&project, line).exits(1).says(&["revoked: it leaked"]);
        }
        assert_eq!(project.read("bases/up.lock.toml"), before, "{what}");
        revoke(what, 1);
        cached(&project, "base verify up").exits(0);
    }
    // One that is compiled in is no exception.
    let shelf = karat::base::Shelf::builtin();
    let built_in = shelf.lock("static-debian13").expect("a lock");
    let package = built_in.platforms[0].packages[0].sha256;
    revoke(digest(package.to_string()), 0);
    cached(&project, "base verify static-debian13").exits(1).says(&["revoked: it leaked"]);
    let recipe = RECIPE.replace("base = \"up\"", "base = \"static-debian13\"");
    project.write("recipes/on.toml", recipe);
    cached(&project, "build recipes/on.toml").exits(1).says(&["revoked: it leaked"]);
}
