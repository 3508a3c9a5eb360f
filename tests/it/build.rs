//! `karat build`: what a user types and what comes out.

use crate::support::elf::{Elf, SCRIPT};
use crate::support::layout::{Layout, MANIFEST, REF_NAME, members};
use crate::support::{Project, digest_of, is_digest, recipe, recipe_on, sha256};
use serde_json::Value;
use std::fs;

const PAPERS: [&str; 6] =
    ["image", "provenance.json", "report.html", "report.json", "sbom.cdx.json", "sbom.spdx.json"];

#[test]
fn default_output_has_an_image_and_all_documents() {
    let project = Project::small();
    let output = project.done("build app.karat.toml");
    let layout = project.dist("app");
    let image = layout.image(None);
    let digest = image["digest"].as_str().expect("a digest");
    assert_eq!(output.stdout, format!("oci:dist/app/image@{digest}\n"));
    assert_eq!(project.names("dist/app"), PAPERS);
    assert_eq!(image["mediaType"], MANIFEST);
    assert_eq!(image["annotations"][REF_NAME], "local");
    layout.is_whole();
    project.is_tidy();
    let report = project.json("dist/app/report.json");
    assert_eq!(report["schema"], "karat.report/v1");
    assert_eq!(report["verdict"], "accepted");
    assert_eq!(report["subject"]["digest"], digest);
    assert_eq!(report["subject"]["platform"], "linux/amd64");
    assert_eq!(report["subject"]["reference"], "oci:dist/app/image");
}

#[test]
fn account_goes_to_stderr_and_names_inputs_policy_and_digest() {
    let project = Project::small();
    let output = project.done("build app.karat.toml");
    let app = sha256(&project.read("app"));
    let digest = output.digest();
    output.says(&["/usr/bin/app", &app, "golden sha256:", &digest]);
}

#[test]
fn image_comes_first_in_the_index_and_referrers_have_no_name() {
    let project = Project::small().with_keys();
    project.signed("build app.karat.toml --sign cosign.key").exits(0);
    let layout = project.dist("app");
    let entries = layout.entries();
    assert!(entries[0]["artifactType"].is_null());
    assert_eq!(entries.len(), 4, "an image, its signature, SBOM and provenance");
    for referrer in &entries[1..] {
        assert!(referrer["annotations"][REF_NAME].is_null(), "{referrer}");
        let manifest = layout.document(referrer);
        assert_eq!(manifest["subject"]["digest"], entries[0]["digest"]);
    }
    layout.is_whole();
}

#[test]
fn without_arguments_the_only_recipe_is_built() {
    let project = Project::new();
    project.write("app", Elf::default().build());
    project.write("recipes/deep/app.toml", recipe("app", "app"));
    project.write("Cargo.toml", "[package]\nname = \"no recipe\"\n");
    assert!(is_digest(&project.done("build").digest()));
    project.dist("app").is_whole();
}

#[test]
fn without_arguments_the_only_recipe_is_found_from_a_folder_below() {
    let project = Project::small();
    let below = project.write("src/deep/file", "").parent().expect("a folder").to_owned();
    crate::support::Karat::new(&below, &["build"]).run().exits(0);
    project.dist("app").is_whole();
    assert_eq!(crate::support::names(&below), ["file"]);
}

#[test]
fn without_a_recipe_build_says_where_recipes_lie() {
    let project = Project::new();
    project.run("build").exits(2).says(&["no recipe", "recipes/", ".karat.toml"]);
}

#[test]
fn without_arguments_several_recipes_are_listed_and_none_is_built() {
    let project = Project::small();
    project.write("recipes/other.toml", recipe("other", "app"));
    project.run("build").exits(2).says(&["app.karat.toml", "recipes/other.toml"]);
    assert!(!project.path("dist").exists());
}

#[test]
fn folder_stands_for_every_recipe_below_it_in_byte_order() {
    let project = Project::new();
    project.write("app", Elf::default().build());
    for name in ["b", "a", "x/c", "B"] {
        let image = name.replace('/', "-").to_lowercase() + if name == "B" { "2" } else { "" };
        project.write(&format!("recipes/{name}.toml"), recipe(&image, "app"));
    }
    project.write("elsewhere/d.karat.toml", recipe("d", "app"));
    let output = project.done("build recipes");
    let built: Vec<_> = output.stdout.lines().map(|line| line.split('@').next()).collect();
    let expected = ["b2", "a", "b", "x-c"].map(|name| format!("oci:dist/{name}/image"));
    assert_eq!(built, expected.iter().map(|line| Some(&line[..])).collect::<Vec<_>>());
    assert_eq!(project.names("dist"), ["a", "b", "b2", "x-c"]);
}

#[test]
fn folder_without_recipes_is_wrong_input() {
    let project = Project::small();
    project.write("empty/file", "");
    project.run("build empty").exits(2).says(&["no recipe", "empty"]);
}

#[test]
fn several_recipes_are_all_built_although_one_is_rejected() {
    let project = Project::small();
    project.write("script", SCRIPT);
    project.write("bad.karat.toml", recipe("bad", "script"));
    let output = project.run("build bad.karat.toml app.karat.toml").exits(1);
    assert_eq!(output.stdout.lines().count(), 1);
    project.dist("app").is_whole();
    assert_eq!(project.names("dist/bad"), ["report.html", "report.json"]);
}

#[test]
fn fail_fast_stops_at_the_first_failure() {
    let project = Project::small();
    project.write("script", SCRIPT);
    project.write("bad.karat.toml", recipe("bad", "script"));
    project.run("build bad.karat.toml app.karat.toml --fail-fast").exits(1);
    assert!(!project.path("dist/app").exists());
}

#[test]
fn exit_code_2_wins_over_1_wins_over_3() {
    let project = Project::small();
    project.write("script", SCRIPT);
    project.write("rejected.karat.toml", recipe("rejected", "script"));
    project.write("wrong.karat.toml", recipe("wrong", "not-there"));
    // A FIFO of a name where the output goes cannot be made without a program; a file in the
    // way of the folder `dist` makes the medium fail.
    project.write("failed.karat.toml", recipe("blocked/failed", "app"));
    project.write("dist/blocked", "a file where a folder is due");
    let code = |line: &str| project.run(line).code;
    assert_eq!(code("build rejected.karat.toml wrong.karat.toml app.karat.toml"), 2);
    assert_eq!(code("build wrong.karat.toml rejected.karat.toml"), 2);
    assert_eq!(code("build rejected.karat.toml app.karat.toml"), 1);
    let failed = code("build failed.karat.toml app.karat.toml");
    assert!(failed == 2 || failed == 3, "{failed}");
    if failed == 3 {
        assert_eq!(code("build failed.karat.toml rejected.karat.toml"), 1);
        assert_eq!(code("build failed.karat.toml wrong.karat.toml"), 2);
    }
}

#[test]
fn two_recipes_of_one_name_are_wrong_and_both_are_named() {
    let project = Project::small();
    project.write("other.karat.toml", recipe("app", "app"));
    let output = project.run("build app.karat.toml other.karat.toml").exits(2);
    output.says(&["app.karat.toml", "other.karat.toml"]);
    assert!(!project.path("dist").exists());
}

#[test]
fn lone_executable_is_built_and_its_recipe_printed() {
    let project = Project::new();
    project.write("out/My_Tool", Elf::default().build());
    let output = project.done("build out/My_Tool");
    let digest = output.digest();
    assert_eq!(output.stdout, format!("oci:dist/my-tool/image@{digest}\n"));
    output.says(&["[image]", "base = \"static-debian13\"", "[[binary]]", "source = \"My_Tool\""]);
    let layout = project.dist("my-tool");
    assert_eq!(layout.config()["config"]["Entrypoint"], serde_json::json!(["/usr/bin/My_Tool"]));
    layout.is_whole();
}

#[test]
fn recipe_printed_for_a_lone_executable_builds_the_same_image() {
    let project = Project::new();
    project.write("tool", Elf::default().build());
    let output = project.done("build tool");
    let start = output.stderr.find("[image]").expect("a recipe");
    let text: String = output.stderr[start..]
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with('[') || line.contains(" = "))
        .map(|line| format!("{line}\n"))
        .collect();
    project.write("tool.karat.toml", text);
    assert_eq!(project.done("build tool.karat.toml").digest(), output.digest());
}

#[test]
fn lone_executable_for_arm64_gets_an_arm64_image() {
    let project = Project::new();
    project.write("tool", Elf::arm64().build());
    project.done("build tool");
    assert_eq!(project.dist("tool").config()["architecture"], "arm64");
}

#[test]
fn output_to_a_layout_makes_it_without_a_name() {
    let project = Project::small();
    let output = project.done("build --output oci:out");
    let layout = project.layout("out");
    layout.is_whole();
    let image = layout.image(None);
    assert_eq!(output.stdout, format!("oci:out@{}\n", image["digest"].as_str().expect("one")));
    assert!(image["annotations"][REF_NAME].is_null());
    assert!(!project.path("dist").exists());
    project.is_tidy();
}

#[test]
fn output_with_a_tag_adds_to_the_images_of_a_layout() {
    let project = Project::small().with_keys();
    project.signed("build --output oci:out:one --sign cosign.key").exits(0);
    let one = project.layout("out").image(Some("one"));
    let referrers = project.layout("out").referrers();
    assert_eq!(referrers.len(), 3);
    project.write("app", Elf::with("second").build());
    project.signed("build --output oci:out:two --sign cosign.key").exits(0);
    let layout = project.layout("out");
    layout.is_whole();
    assert_eq!(layout.images().len(), 2);
    assert_eq!(layout.image(Some("one")), one);
    assert_ne!(layout.image(Some("two"))["digest"], one["digest"]);
    for referrer in referrers {
        assert!(layout.referrers().contains(&referrer), "lost: {referrer}");
    }
    assert_eq!(layout.referrers().len(), 6);
}

#[test]
fn output_to_a_known_tag_replaces_it_and_clears_its_blobs() {
    let project = Project::small().with_keys();
    project.signed("build --output oci:out:one --sign cosign.key").exits(0);
    project.done("build --output oci:out:other");
    // Both names are for one image: its referrers must stay when one name goes.
    project.write("app", Elf::with("second").build());
    project.done("build --output oci:out:one");
    let layout = project.layout("out");
    layout.is_whole();
    assert_eq!(layout.images().len(), 2);
    assert_ne!(layout.image(Some("one"))["digest"], layout.image(Some("other"))["digest"]);
    assert_eq!(layout.referrers().len(), 3, "referrers of an image that is still there");
    // Now the old image goes for good, with its referrers and its blobs.
    project.done("build --output oci:out:other");
    let layout = project.layout("out");
    layout.is_whole();
    assert_eq!(layout.referrers().len(), 0);
    assert_eq!(layout.images().len(), 2);
    assert_eq!(layout.image(Some("one"))["digest"], layout.image(Some("other"))["digest"]);
}

#[test]
fn archive_is_a_layout_and_loads_into_docker() {
    let project = Project::small();
    let output = project.done("build --output archive:out/app.tar");
    let members = members(&project.read("out/app.tar"));
    let names: Vec<_> = members.iter().map(|member| &member.path[..]).collect();
    assert_eq!(names[..3], ["oci-layout", "index.json", "manifest.json"]);
    let get = |path: &str| {
        &members.iter().find(|member| member.path == path).unwrap_or_else(|| panic!("{path}")).bytes
    };
    // The layout is whole: unpack it and read it.
    for member in &members {
        if member.path != "manifest.json" {
            project.write(&format!("unpacked/{}", member.path), &member.bytes);
        }
    }
    let layout = project.layout("unpacked");
    layout.is_whole();
    let image = layout.image(None);
    let digest = image["digest"].as_str().expect("a digest");
    assert_eq!(output.stdout, format!("archive:out/app.tar@{digest}\n"));
    // What docker reads names files that are there, in the order of the diff ids.
    let docker: Value = serde_json::from_slice(get("manifest.json")).expect("JSON");
    assert_eq!(docker.as_array().map(Vec::len), Some(1));
    let config = get(docker[0]["Config"].as_str().expect("a config"));
    assert_eq!(digest_of(config), layout.manifest()["config"]["digest"]);
    let layers = docker[0]["Layers"].as_array().expect("layers");
    assert_eq!(layers.len(), layout.manifest()["layers"].as_array().expect("layers").len());
    for (path, layer) in layers.iter().zip(layout.manifest()["layers"].as_array().expect("layers"))
    {
        assert_eq!(digest_of(get(path.as_str().expect("a path"))), layer["digest"]);
    }
    assert_eq!(docker[0]["RepoTags"], serde_json::json!(["app:local"]));
    project.is_tidy();
}

#[test]
fn archive_is_the_same_bytes_each_time() {
    let project = Project::small();
    project.done("build --output archive:one.tar");
    project.done("build --output archive:two.tar");
    assert_eq!(sha256(&project.read("one.tar")), sha256(&project.read("two.tar")));
    project.done("build --output archive:one.tar");
    assert_eq!(sha256(&project.read("one.tar")), sha256(&project.read("two.tar")), "replaced");
}

#[test]
fn several_outputs_get_one_and_the_same_image() {
    let project = Project::small();
    project.done("build --output oci:a --output archive:b.tar --output oci:c:tag -o oci:d");
    let digest = project.layout("a").image(None)["digest"].clone();
    for (path, tag) in [("a", None), ("c", Some("tag")), ("d", None)] {
        let layout = project.layout(path);
        layout.is_whole();
        assert_eq!(layout.image(tag)["digest"], digest);
    }
    let index = members(&project.read("b.tar")).swap_remove(1).bytes;
    assert!(String::from_utf8_lossy(&index).contains(digest.as_str().expect("a digest")));
    project.is_tidy();
}

#[test]
fn two_outputs_into_one_layout_give_two_names() {
    let project = Project::small();
    project.done("build --output oci:a:one --output oci:a:two");
    let layout = project.layout("a");
    layout.is_whole();
    assert_eq!(layout.image(Some("one"))["digest"], layout.image(Some("two"))["digest"]);
}

#[test]
fn output_with_several_recipes_is_wrong_input() {
    let project = Project::small();
    project.write("other.karat.toml", recipe("other", "app"));
    project
        .run("build app.karat.toml other.karat.toml --output oci:out")
        .exits(2)
        .says(&["--output"]);
    assert!(!project.path("out").exists() && !project.path("dist").exists());
}

#[test]
fn output_that_is_no_reference_is_wrong_input() {
    let project = Project::small();
    for output in
        ["out", "docker://registry.example/app:1", "oci:", "archive:", "oci:out:bad tag", ""]
    {
        let run = project.karat(&["build", "--output", output]).run();
        assert_eq!(run.code, 2, "{output:?}: {}", run.stderr);
    }
    assert_eq!(project.names("."), [".git", "app", "app.karat.toml"]);
}

#[test]
fn json_is_one_document_on_stdout() {
    let project = Project::small();
    let output = project.done("build --format json");
    let document = output.json();
    let text = document.to_string();
    let digest = project.dist("app").image(None)["digest"].as_str().expect("one").to_owned();
    assert!(
        document["schema"].as_str().is_some_and(|schema| schema.starts_with("karat.")),
        "{text}"
    );
    assert!(text.contains(&digest) && text.contains("karat.report/v1"), "{text}");
}

#[test]
fn json_error_is_a_document_too() {
    let project = Project::small();
    for line in [
        "build nowhere.karat.toml --format json",
        "--format json build nowhere.karat.toml",
        "build --format=json --var novalue",
        "build --no-such-flag --format json",
        "verify nowhere --key nowhere --format json",
        "inspect nowhere --format json",
        "explain no-such-rule --format json",
    ] {
        let output = project.run(line).exits(2);
        let error = output.json();
        assert_eq!(error["schema"], "karat.error/v1", "{line}");
        assert_eq!(error["code"], 2, "{line}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{line}");
        assert!(error.as_object().is_some_and(|error| error.contains_key("hint")), "{line}");
    }
}

#[test]
fn json_of_several_recipes_is_one_document_with_errors_in_it() {
    let project = Project::small();
    project.write("wrong.karat.toml", recipe("wrong", "not-there"));
    let output = project.run("build app.karat.toml wrong.karat.toml --format json").exits(2);
    let document = output.json();
    assert_eq!(document["results"].as_array().map(Vec::len), Some(1), "{document}");
    let error = &document["errors"][0];
    assert_eq!(error["schema"], "karat.error/v1", "{document}");
    assert_eq!(error["code"], 2);
}

#[test]
fn json_of_a_rejection_holds_the_report() {
    let project = Project::new();
    project.write("script", SCRIPT);
    project.write("bad.karat.toml", recipe("bad", "script"));
    let document = project.run("build --format json").exits(1).json();
    assert!(document.to_string().contains("\"rejected\""), "{document}");
}

fn two_platforms(project: &Project) {
    project.write("out/amd64/app", Elf::default().build());
    project.write("out/arm64/app", Elf::arm64().build());
    let platforms = "platforms = [\"linux/arm64\", \"linux/amd64\"]\n";
    project.write("app.karat.toml", recipe_on("scratch", platforms, "app", "out/{arch}/app"));
}

#[test]
fn platform_selects_one_of_the_recipe() {
    let project = Project::new();
    two_platforms(&project);
    project.done("build --platform linux/arm64");
    let layout = project.dist("app");
    assert_eq!(layout.image(None)["mediaType"], MANIFEST);
    assert_eq!(layout.config()["architecture"], "arm64");
    project.run("build --platform linux/s390x").exits(2).says(&["linux/s390x", "linux/amd64"]);
    project.run("build --platform nonsense").exits(2).says(&["nonsense"]);
}

#[test]
fn selected_platform_is_the_same_image_as_in_the_index() {
    let project = Project::new();
    two_platforms(&project);
    project.done("build");
    let whole = project.dist("app").platforms(None);
    project.done("build --platform linux/arm64");
    assert_eq!(project.dist("app").image(None)["digest"], whole[0]["digest"]);
}

fn with_vars(project: &Project) {
    project.write("app", Elf::default().build());
    project.write(
        "app.karat.toml",
        r#"[image]
name = "app"
base = "scratch"
platforms = ["linux/amd64"]
env = { VERSION = "{version}" }
labels = { "org.example.version" = "v-{version}-{stage}", fixed = "{{x}}" }
annotations = { "org.opencontainers.image.version" = "{version}" }

[[binary]]
source = "app"

[vars]
version = { pattern = 'v\d+\.\d+', default = "dev" }
stage = { pattern = 'test|prod', default = "test" }
"#,
    );
}

#[test]
fn var_shows_in_labels_annotations_and_env_and_nowhere_else() {
    let project = Project::new();
    with_vars(&project);
    project.done("build");
    let before = project.dist("app");
    let (manifest, config) = (before.manifest(), before.config());
    assert_eq!(config["config"]["Labels"]["org.example.version"], "v-dev-test");
    assert_eq!(config["config"]["Labels"]["fixed"], "{x}");
    let default = config.clone();
    let layers = manifest["layers"].clone();
    project.done("build --var version=v1.2 --var stage=prod");
    let after = project.dist("app");
    let (manifest, mut config) = (after.manifest(), after.config());
    assert_eq!(config["config"]["Labels"]["org.example.version"], "v-v1.2-prod");
    assert_eq!(config["config"]["Env"], serde_json::json!(["VERSION=v1.2"]));
    assert_eq!(manifest["annotations"]["org.opencontainers.image.version"], "v1.2");
    assert_eq!(manifest["layers"], layers);
    config["config"] = default["config"].clone();
    assert_eq!(config, default, "a var reached beyond labels and env");
    let provenance = project.json("dist/app/provenance.json").to_string();
    assert!(provenance.contains("v1.2") && provenance.contains("prod"), "{provenance}");
}

#[test]
fn var_that_is_unknown_or_does_not_fit_is_wrong_input() {
    let project = Project::new();
    with_vars(&project);
    project.run("build --var versoin=v1.2").exits(2).says(&["versoin", "version"]);
    // The whole value must match, not a part of it.
    project.run("build --var version=v1.2-evil").exits(2).says(&["v1.2-evil", "v\\d+"]);
    project.run("build --var version=xv1.2").exits(2);
    project.karat(&["build", "--var", "version=v1.2\n"]).run().exits(2);
    project.run("build --var stage=production").exits(2);
    project.run("build --var version").exits(2).says(&["="]);
    project.run("build --var version=v1.1 --var version=v1.2").exits(2).says(&["twice"]);
    assert!(!project.path("dist").exists());
}

#[test]
fn var_without_default_must_be_given() {
    let project = Project::new();
    with_vars(&project);
    let text = String::from_utf8(project.read("app.karat.toml")).expect("text");
    project.write("app.karat.toml", text.replace(", default = \"dev\"", ""));
    project.run("build").exits(2).says(&["version", "--var version="]);
    project.done("build --var version=v0.1");
}

#[test]
fn var_in_a_source_is_refused() {
    let project = Project::new();
    with_vars(&project);
    let text = String::from_utf8(project.read("app.karat.toml")).expect("text");
    project.write("app.karat.toml", text.replace("source = \"app\"", "source = \"{version}\""));
    project.run("build --var version=v1.2").exits(2).says(&["app.karat.toml:10:"]);
}

#[cfg(unix)]
#[test]
fn make_runs_only_when_asked_and_only_when_the_file_is_missing() {
    let project = Project::new();
    project.write("prebuilt", Elf::default().build());
    let make = "make = \"echo made >> log; mkdir -p out; cp prebuilt out/{arch}\"\n";
    project.write("app.karat.toml", recipe("app", "out/{arch}") + "path = \"/app\"\n" + make);
    let output = project.run("build").exits(2);
    output.says(&["out/amd64", "cp prebuilt out/amd64", "--make"]);
    assert!(!project.path("log").exists(), "make ran although nobody asked");
    let output = project.done("build --make");
    assert_eq!(output.stdout.lines().count(), 1, "{}", output.stdout);
    project.dist("app").is_whole();
    project.done("build --make");
    assert_eq!(project.read("log"), b"made\n", "make ran although the file was there");
}

#[cfg(unix)]
#[test]
fn make_that_fails_says_so_and_builds_nothing() {
    let project = Project::new();
    project.write("app.karat.toml", recipe("app", "out/app") + "make = \"exit 7\"\n");
    let output = project.run("build --make").exits(3);
    output.says(&["exit 7"]);
    assert!(!project.path("dist").exists());
}

#[test]
fn missing_input_says_where_it_looked_and_what_lies_nearby() {
    let project = Project::new();
    project.write("target/release/hello", Elf::default().build());
    let recipe = recipe("app", "target/release/helo")
        + "path = \"/usr/bin/hello\"\nmake = \"cargo build --release\"\n";
    project.write("app.karat.toml", recipe);
    let looked = project.path("target/release/helo");
    project.run("build").exits(2).says(&[
        "app.karat.toml:7:10",
        "target/release/helo",
        &looked.display().to_string(),
        "target/release/hello\n",
        "cargo build --release",
    ]);
}

#[test]
fn dynamic_binary_on_a_static_base_is_explained() {
    let project = Project::new();
    project.write("app", Elf::dynamic().build());
    project.write("app.karat.toml", recipe_on("static-debian13", "", "app", "app"));
    project.run("build").exits(1).says(&[
        "elf-interpreter-missing",
        "/usr/bin/app",
        "/lib64/ld-linux-x86-64.so.2",
        "libc.so.6",
        "libm.so.6",
        "CGO_ENABLED=0",
        "+crt-static",
        "musl",
        "cc-debian13",
    ]);
}

#[test]
fn unknown_key_gets_a_suggestion() {
    let project = Project::small();
    let text = recipe("app", "app");
    project.write("app.karat.toml", text.replace("source =", "sorce ="));
    project.run("build").exits(2).says(&["app.karat.toml:7:1", "sorce", "did you mean `source`"]);
    project.write("app.karat.toml", text.replace("[[binary]]", "[[binaries]]"));
    project.run("build").exits(2).says(&["binaries", "did you mean `binary`"]);
}

#[test]
fn several_faults_are_told_at_once_with_their_places() {
    let project = Project::small();
    project.write(
        "app.karat.toml",
        "[image]\nname = \"App\"\nbase = \"scratch\"\nplatforms = [\"linux/amd64\", \"plan9/x\"]\nuser = \"0:0\"\nports = [\"http\"]\n\n[[binary]]\nsource = \"app\"\npath = \"usr/bin/app\"\n",
    );
    let output = project.run("build").exits(2);
    let output = output.says(&[
        "app.karat.toml:2:8",
        "app.karat.toml:4:",
        "app.karat.toml:5:8",
        "app.karat.toml:6:",
        "app.karat.toml:10:8",
        "5 faults",
        "/usr/bin/app",
    ]);
    assert_eq!(output.stdout, "");
    let faults = project.run("build --format json").exits(2).json()["faults"].clone();
    let lines: Vec<_> =
        faults.as_array().expect("faults").iter().map(|one| one["line"].as_u64()).collect();
    assert_eq!(lines, [2, 4, 5, 6, 10].map(Some));
}

#[test]
fn several_missing_inputs_are_told_at_once() {
    let project = Project::new();
    let mut text = recipe("app", "one");
    text += "[[file]]\nsource = \"two\"\npath = \"/two\"\n[[file]]\nsource = \"three\"\npath = \"/three\"\n";
    project.write("app.karat.toml", text);
    let output = project.run("build").exits(2);
    output.says(&["`one`", "`two`", "`three`", ":7:", ":9:", ":12:"]);
}

#[test]
fn recipe_of_broken_toml_has_a_place() {
    let project = Project::small();
    project.write("app.karat.toml", "[image]\nname = \"app\nbase = \"scratch\"\n");
    project.run("build").exits(2).says(&["app.karat.toml:2:"]);
    project.write("app.karat.toml", b"\xff\xfe[image]");
    project.run("build app.karat.toml").exits(2);
    project.write("app.karat.toml", "");
    project.run("build").exits(2).says(&["image"]);
}

#[test]
fn recipe_that_is_not_there_has_a_neighbour() {
    let project = Project::small();
    project.run("build ap.karat.toml").exits(2).says(&["ap.karat.toml", "app.karat.toml"]);
}

#[test]
fn base_that_is_unknown_is_wrong_input_with_the_known_ones() {
    let project = Project::small();
    project.write("app.karat.toml", recipe_on("debian", "", "app", "app"));
    project.run("build").exits(2).says(&[
        "app.karat.toml:3:8",
        "debian",
        "static-debian13",
        "scratch",
    ]);
    project.write("app.karat.toml", recipe_on("gcr.io/distroless/static", "", "app", "app"));
    project.run("build").exits(2).says(&["app.karat.toml:3:8"]);
    let further = "platforms = [\"linux/s390x\"]\n";
    project.write("app.karat.toml", recipe_on("static-debian13", further, "app", "app"));
    project.run("build").exits(2).says(&["s390x", "linux/amd64"]);
}

#[test]
fn source_date_epoch_must_be_a_number_of_seconds() {
    let project = Project::small();
    for wrong in ["yesterday", "-1", "1.5", "99999999999999999999", " 1", "0x10"] {
        let output = project.karat(&["build"]).env("SOURCE_DATE_EPOCH", wrong).run();
        assert_eq!(output.code, 2, "{wrong}: {}", output.stderr);
    }
    let from_environment =
        project.karat(&["build"]).env("SOURCE_DATE_EPOCH", "86400").run().exits(0);
    let from_flag = project.done("build --source-date-epoch 86400");
    assert_eq!(from_environment.digest(), from_flag.digest());
    assert_ne!(from_flag.digest(), project.done("build").digest());
}

#[test]
fn policy_digest_refuses_any_other_policy() {
    let project = Project::small();
    project.done("build");
    let policy = project.json("dist/app/report.json")["policy"].clone();
    assert_eq!(policy["name"], "golden");
    let digest = policy["digest"].as_str().expect("a digest");
    assert!(is_digest(digest));
    project.done(&format!("build --policy-digest {digest}"));
    let other = digest_of(b"other");
    project.run(&format!("build --policy-digest {other}")).exits(2).says(&[digest, &other]);
}

#[test]
fn pinned_binary_must_have_the_pinned_hash() {
    let project = Project::small();
    let pin = |hash: &str| {
        recipe("app", "app") + &format!("sha256 = {{ \"linux/amd64\" = \"{hash}\" }}\n")
    };
    project.write("app.karat.toml", pin(&sha256(&project.read("app"))));
    project.done("build");
    project.write("app.karat.toml", pin(&sha256(b"other")));
    let found = sha256(&project.read("app"));
    project.run("build").exits(2).says(&[&found, &sha256(b"other"), "app.karat.toml:"]);
}

#[test]
fn check_needs_no_inputs_and_finds_the_same_faults() {
    let project = Project::new();
    project.write("app.karat.toml", recipe("app", "not-built-yet"));
    project.done("check");
    project.write("recipes/other.toml", recipe("Other", "x"));
    project.run("check").exits(2).says(&["recipes/other.toml:2:8"]);
    project.done("check app.karat.toml");
    assert!(!project.path("dist").exists());
}

#[test]
fn second_build_replaces_the_first_as_a_whole() {
    let project = Project::small();
    project.done("build");
    let first = project.dist("app").image(None)["digest"].clone();
    project.write("app", Elf::with("second").build());
    project.done("build");
    let layout = project.dist("app");
    layout.is_whole();
    assert_ne!(layout.image(None)["digest"], first);
    assert_eq!(project.names("dist"), ["app"]);
    project.is_tidy();
}

#[test]
fn name_with_slashes_lies_in_folders() {
    let project = Project::small();
    project.write("app.karat.toml", recipe("team/app", "app"));
    let output = project.done("build");
    assert!(output.stdout.starts_with("oci:dist/team/app/image@sha256:"), "{}", output.stdout);
    project.dist("team/app").is_whole();
}

#[test]
fn karat_itself_can_be_packed() {
    let project = Project::new();
    project.write("karat", fs::read(crate::support::KARAT).expect("karat"));
    let output = project.run("inspect karat");
    if output.code != 0 {
        // Built against a C library of the machine: then the gate says what is missing.
        output.exits(1).prints(&["elf-interpreter-missing"]);
        return;
    }
    project.done("build karat");
    let layout: Layout = project.dist("karat");
    layout.is_whole();
    assert_eq!(sha256(&layout.member("usr/bin/karat").bytes), sha256(&project.read("karat")));
}

#[test]
fn two_platforms_get_one_sbom_each_and_one_for_the_whole() {
    let project = Project::new();
    two_platforms(&project);
    project.done("build");
    let names = project.names("dist/app");
    for name in PAPERS.iter().filter(|name| !name.ends_with(".cdx.json")) {
        assert!(names.iter().any(|one| one == name), "{name} is missing: {names:?}");
    }
    for digest in project.dist("app").platforms(None) {
        let hex =
            digest["digest"].as_str().expect("a digest").trim_start_matches("sha256:").to_owned();
        let spdx = String::from_utf8(project.read("dist/app/sbom.spdx.json")).expect("text");
        assert!(spdx.contains(&hex), "the SBOM of the index names every platform");
    }
}

#[test]
fn check_finds_two_recipes_of_one_name() {
    let project = Project::new();
    project.write("app.karat.toml", recipe("app", "app"));
    project.write("recipes/app.toml", recipe("app", "app"));
    project.run("check").exits(2).says(&["app.karat.toml", "recipes/app.toml"]);
}

#[test]
fn json_faults_of_a_recipe_keep_their_places_when_several_are_built() {
    let project = Project::small();
    project.write("wrong.karat.toml", recipe("wrong", "not-there"));
    let alone = project.run("build wrong.karat.toml --format json").exits(2).json();
    assert_eq!(alone["faults"][0]["line"], 7, "{alone}");
    let several =
        project.run("build app.karat.toml wrong.karat.toml --format json").exits(2).json();
    assert_eq!(several["errors"][0]["faults"], alone["faults"], "{several}");
}

#[test]
fn one_image_below_the_folder_of_another_is_not_lost() {
    let project = Project::small();
    project.write("other.karat.toml", recipe("app/other", "app"));
    let output = project.run("build app.karat.toml other.karat.toml");
    // Either both are there, or the second is refused: never is one replaced by the other.
    match output.code {
        0 => {
            project.dist("app").is_whole();
            project.dist("app/other").is_whole();
            project.done("build app.karat.toml");
            project.dist("app/other").is_whole();
        }
        _ => assert_eq!(output.code, 2, "{}", output.stderr),
    }
}

#[test]
fn cut_lone_program_is_wrong_and_trying_again_does_not_help() {
    let project = Project::new();
    for length in [4, 20, 63] {
        project.write("tool", &Elf::default().build()[..length]);
        let output = project.run("build tool");
        assert!(output.code == 1 || output.code == 2, "{}: {}", output.code, output.stderr);
    }
}
