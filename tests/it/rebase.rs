//! `karat rebase`: the image's own layers on another base, verified before and signed after.

use crate::registry::{policy, project};
use crate::support::registry::{Registry, Ways};
use crate::support::{Output, PASSWORD, Project, elf, recipe_on};
use serde_json::Value;

const SIGNED: &str = "--key cosign.pub --sign cosign.key";

/// A project with a signed image `oci:app` of two platforms on `static-debian13`, and the base
/// `up`, which is another image.
fn stage() -> Project {
    let project = project();
    project.write("amd64/own", elf::Elf::with("own").build());
    project.write("arm64/own", elf::Elf::arm64().build());
    let two = "platforms = [\"linux/amd64\", \"linux/arm64\"]\nenv = { OWN = \"1\" }\n";
    project.write("app.karat.toml", recipe_on("static-debian13", two, "app", "{arch}/own"));
    project.write("bases/up.toml", "[base]\nkind = \"image\"\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\nenv = { NEW = \"2\", OWN = \"3\" }\n[image]\nreference = \"oci:two\"\nsigner = { key = \"cosign.pub\" }\n");
    go(&project, "base lock up").exits(0);
    go(&project, "build app.karat.toml --sign cosign.key --output oci:app").exits(0);
    project
}

fn go(project: &Project, line: &str) -> Output {
    let args: Vec<_> = line.split_whitespace().collect();
    project
        .karat(&args)
        .env("COSIGN_PASSWORD", PASSWORD)
        .env("KARAT_CACHE", project.outside().join("cache"))
        .env("HOME", project.outside())
        .run()
}

fn root(project: &Project, layout: &str) -> String {
    project.layout(layout).image(None)["digest"].as_str().expect("a digest").to_owned()
}

#[test]
fn on_its_own_base_an_image_is_what_it_was() {
    let project = stage();
    let line = format!("rebase oci:app --name app --base static-debian13 {SIGNED} -o oci:again");
    let again = go(&project, &line).exits(0);
    assert_eq!(again.digest(), root(&project, "app"));
    assert_eq!(root(&project, "again"), root(&project, "app"));
    project.layout("again").is_whole();
}

#[test]
fn on_another_base_the_images_own_layers_stay() {
    let project = stage();
    let before = project.read("app/index.json");
    go(&project, &format!("rebase oci:app --name app --base up {SIGNED} --offline"))
        .exits(0)
        .says(&["static-debian13@sha256:", "-> up@sha256:"]);
    assert_eq!(project.read("app/index.json"), before);
    let (old, new) = (project.layout("app"), project.layout("dist/app/image"));
    new.is_whole();
    go(&project, "verify oci:dist/app/image:local --key cosign.pub").exits(0);
    let up = crate::signing::signed().layout("two");
    let bases = up.platforms(None);
    let pairs = old.platforms(None).into_iter().zip(new.platforms(Some("local"))).zip(&bases);
    for ((was, now), base) in pairs {
        let (was, now) = (old.document(&was), new.document(&now));
        let layers = |manifest: &Value| manifest["layers"].as_array().expect("layers").clone();
        assert_eq!(layers(&now).len(), 2);
        assert_eq!(layers(&now)[0], layers(&up.document(base))[0]);
        assert_eq!(layers(&now)[1], *layers(&was).last().expect("a layer"));
        assert_eq!(now["annotations"]["org.opencontainers.image.base.name"], "up");
        assert_eq!(now["annotations"]["org.opencontainers.image.base.digest"], base["digest"]);
        let (was, now) = (old.document(&was["config"]), new.document(&now["config"]));
        assert_eq!(was["config"]["Entrypoint"], now["config"]["Entrypoint"]);
        assert_eq!(was["config"]["User"], now["config"]["User"]);
        let env: Vec<_> = now["config"]["Env"].as_array().expect("an environment").clone();
        assert!(env.contains(&"OWN=1".into()) && env.contains(&"NEW=2".into()), "{env:?}");
        assert!(!env.contains(&"OWN=3".into()), "what the image sets stays: {env:?}");
        assert_eq!(now["history"].as_array().expect("a history").len(), 2);
    }
    let provenance = project.json("dist/app/provenance.json");
    assert_eq!(provenance["buildDefinition"]["buildType"], "urn:karat:build-type:rebase:v1");
    let was = root(&project, "app");
    assert_eq!(provenance["buildDefinition"]["externalParameters"]["image"], was);
    let made_of = provenance["buildDefinition"]["resolvedDependencies"].to_string();
    for name in ["static-debian13?platform=linux/amd64", "up?platform=linux/arm64", "\"old-base\""]
    {
        assert!(made_of.contains(name), "{name}: {made_of}");
    }
    let sbom = project.json("dist/app/sbom.linux-amd64.spdx.json").to_string();
    assert!(sbom.contains("usr/bin/own") && !sbom.contains("tzdata"), "{sbom}");
    project.is_tidy();
}

#[test]
fn only_what_is_signed_and_karats_own_is_put_on_another_base() {
    let project = stage();
    let refuses = |line: &str, code: i32, says: &str| {
        go(&project, &format!("{line} -o oci:new")).exits(code).says(&[says]);
        assert!(!project.path("new").exists(), "something was written");
    };
    refuses(
        &format!("rebase oci:plain --name a --base up {SIGNED}"),
        1,
        "not signed as it must be",
    );
    go(&project, "key generate --output other").exits(0);
    let other = "rebase oci:app --name app --base up --key other.pub --sign cosign.key";
    refuses(other, 1, "not signed as it must be");
    refuses(&format!("rebase oci:one --name one --base up {SIGNED}"), 2, "it names no base");
    refuses(&format!("rebase oci:app --name app --base gone {SIGNED}"), 2, "no base `gone`");
    refuses(&format!("rebase oci:app --base up {SIGNED}"), 2, "--name");
    refuses(&format!("rebase oci:app --name ../x --base up {SIGNED}"), 2, "no name of an image");
    // What is there is not what was signed.
    let layout = project.layout("app");
    let manifest = layout.document(&layout.platforms(None)[0]);
    let layer = manifest["layers"].as_array().expect("layers").last().expect("one").clone();
    let path = layout.blob_path(layer["digest"].as_str().expect("a digest"));
    let mut bytes = std::fs::read(&path).expect("a blob");
    *bytes.last_mut().expect("bytes") ^= 1;
    std::fs::write(&path, bytes).expect("a blob");
    refuses(
        &format!("rebase oci:app --name app --base up {SIGNED}"),
        1,
        "not signed as it must be",
    );
}

#[test]
fn what_the_gate_rejects_on_the_new_base_is_not_written() {
    let project = stage();
    let text = "[policy]\nname = \"strict\"\n[gate.rules]\nhardening = \"critical\"\n";
    project.write("karat-policy.toml", text);
    let line = format!("rebase oci:app --name app --base up {SIGNED}");
    go(&project, &format!("{line} -o oci:new")).exits(1).says(&["REJECTED", "hardening"]);
    assert!(!project.path("new").exists(), "a rejected image was written");
    go(&project, &line).exits(1);
    assert_eq!(project.json("dist/app/report.json")["verdict"], "rejected");
    assert!(!project.path("dist/app/image").exists());
}

#[test]
fn an_image_of_a_registry_has_its_name_from_there() {
    let registry = Registry::start(Ways { referrers: true, ..Ways::default() });
    let (project, host) = (stage(), registry.host());
    project.write("karat-policy.toml", policy(&host, "", ""));
    go(&project, &format!("push oci:app docker://{host}/golden/team/app:v1 --key cosign.pub"))
        .exits(0);
    let reference = format!("docker://{host}/golden/team/app@{}", root(&project, "app"));
    go(&project, &format!("rebase {reference} --base up {SIGNED}")).exits(0);
    let sbom = project.json("dist/team/app/sbom.spdx.json").to_string();
    assert!(sbom.contains("team/app"), "{sbom}");
    go(
        &project,
        &format!(
            "push oci:dist/team/app/image:local docker://{host}/golden/team/app:v2 --key cosign.pub"
        ),
    )
    .exits(0)
    .says(&["tagged v2"]);
}
