//! What the record of a build names: the commit of its recipe, the lock of its base, and the run of
//! a CI system.

use crate::support::elf::Elf;
use crate::support::{Project, recipe, recipe_on};
use serde_json::{Value, json};

/// The dependencies of a kind that the record of `app` names.
fn of_kind(project: &Project, kind: &str) -> Vec<Value> {
    let record = project.json("dist/app/provenance.json");
    let named = record["buildDefinition"]["resolvedDependencies"].as_array().expect("a list");
    named.iter().filter(|one| one["annotations"]["kind"] == kind).cloned().collect()
}

#[test]
fn commit_is_named_that_has_the_recipe_as_it_is() {
    let project = Project::small();
    std::fs::remove_dir(project.path(".git")).expect("the marker");
    project.write(".gitignore", "dist\n/app\n");
    project.git("init -q");
    // No commit, no source.
    project.done("build app.karat.toml");
    assert_eq!(of_kind(&project, "source"), Vec::<Value>::new());
    let image = project.dist("app").image(None)["digest"].clone();
    project.git("add .");
    project.git("commit -q -m first");
    project.done("build app.karat.toml");
    let commit = project.git("rev-parse HEAD").trim().to_owned();
    let source = json!({
        "name": "app.karat.toml",
        "digest": { "gitCommit": commit },
        "annotations": { "kind": "source" },
    });
    assert_eq!(of_kind(&project, "source"), std::slice::from_ref(&source));
    assert_eq!(project.dist("app").image(None)["digest"], image, "the commit is in the image");
    // A recipe that nobody has committed is of no commit, staged or not.
    let changed = recipe("app", "app") + "# changed\n";
    project.write("app.karat.toml", &changed);
    project.done("build app.karat.toml");
    assert_eq!(of_kind(&project, "source"), Vec::<Value>::new());
    project.git("add .");
    project.done("build app.karat.toml");
    assert_eq!(of_kind(&project, "source"), Vec::<Value>::new());
    project.write("app.karat.toml", recipe("app", "app"));
    project.done("build app.karat.toml");
    assert_eq!(of_kind(&project, "source"), [source]);
}

#[test]
fn nothing_that_a_checkout_configures_is_run() {
    let project = Project::small();
    std::fs::remove_dir(project.path(".git")).expect("the marker");
    project.git("init -q");
    project.write(".gitattributes", "*.toml filter=own diff=own\n");
    project.git("add .");
    project.git("commit -q -m first");
    for key in ["filter.own.clean", "filter.own.smudge", "diff.own.textconv", "diff.own.command"] {
        project.git(&format!("config {key} touch$IFS$PWD/run"));
    }
    project.git("config core.fsmonitor touch$IFS$PWD/run");
    project.done("build app.karat.toml");
    assert_eq!(of_kind(&project, "source").len(), 1);
    assert!(!project.path("run").exists());
    // They would be run by whoever asks git for more.
    project.write("app.karat.toml", recipe("app", "app") + "# changed\n");
    project.git("add .");
    assert!(project.path("run").exists());
}

#[test]
fn base_is_named_with_its_lock() {
    let project = Project::small();
    project.write("amd64/app", Elf::default().build());
    project.write("app.karat.toml", recipe_on("static-debian13", "", "app", "amd64/app"));
    project.done("build app.karat.toml");
    let listed = of_kind(&project, "base-lock");
    let [lock] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!(lock["name"], "static-debian13");
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/bases/static-debian13.lock.toml"
    ))
    .expect("the lock");
    let checksum = text.lines().find_map(|line| line.strip_prefix("checksum = \"sha256:"));
    let written = checksum.and_then(|rest| rest.strip_suffix('"')).expect("a checksum");
    assert_eq!(lock["digest"]["sha256"], written);
}

#[test]
fn run_of_a_ci_system_is_named_and_no_secret_of_it() {
    let project = Project::small();
    project.done("build app.karat.toml");
    let plain = project.json("dist/app/provenance.json");
    assert_eq!(plain["runDetails"]["metadata"], json!({}));
    let image = project.dist("app").image(None)["digest"].clone();
    let token = "glcbt-64_secretsecretsecret";
    let run = project
        .karat(&["build", "app.karat.toml"])
        .env("GITLAB_CI", "true")
        .env("CI_PROJECT_URL", format!("https://gitlab-ci-token:{token}@git.example/us/app"))
        .env("CI_JOB_TOKEN", token)
        .env("CI_COMMIT_SHA", "c0ffee")
        .env("CI_JOB_URL", "https://git.example/us/app/-/jobs/17")
        .run();
    run.exits(0);
    let record = project.json("dist/app/provenance.json");
    assert_eq!(
        record["buildDefinition"]["internalParameters"]["ci"],
        json!({"system": "gitlab", "repository": "https://git.example/us/app", "commit": "c0ffee"})
    );
    let id = "https://git.example/us/app/-/jobs/17";
    assert_eq!(record["runDetails"]["metadata"], json!({ "invocationId": id }));
    assert_eq!(record["runDetails"]["builder"], plain["runDetails"]["builder"]);
    assert!(!record.to_string().contains(token));
    assert_eq!(project.dist("app").image(None)["digest"], image, "the run is in the image");
}
