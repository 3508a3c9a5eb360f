//! `karat doctor registry`: what publishing will need, tried out on registries that differ.

use crate::registry::{policy, run};
use crate::support::Project;
use crate::support::registry::{Registry, Ways};
use crate::support::server::Reply;
use serde_json::Value;

/// Returns the states of the checks, by what was tried.
#[track_caller]
fn states(project: &Project, line: &str, code: i32) -> Vec<(String, String)> {
    let document = run(project, &format!("{line} --format json")).exits(code).json();
    assert_eq!(document["schema"], "karat.doctor/v1");
    assert_eq!(document["code"], code);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let checks = document["checks"].as_array().expect("checks").iter();
    checks.map(|check| (text(&check["what"]), text(&check["state"]))).collect()
}

fn pairs(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
    wanted.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn a_registry_that_can_everything_is_left_as_it_was() {
    let registry = Registry::start(Ways { referrers: true, ..Ways::default() });
    let (project, host) = (Project::new(), registry.host());
    let line = format!("doctor registry {host}/a/trial --mount-from b/other");
    let wanted = [
        ("reach", "ok"),
        ("write", "ok"),
        ("manifest", "ok"),
        ("retention", "warning"),
        ("referrers", "ok"),
        ("tag", "ok"),
        ("tag-moves", "ok"),
        ("mount", "ok"),
        ("delete", "ok"),
    ];
    assert_eq!(states(&project, &line, 0), pairs(&wanted));
    let held = registry.repository("a/trial");
    assert!(held.manifests.is_empty() && held.tags.is_empty(), "{held:?}");
    run(&project, &line).exits(0).prints(&["ok       referrers", "warning  retention", "help: "]);
}

#[test]
fn what_a_registry_lacks_is_said() {
    let ways = Ways { no_mount: true, no_delete: true, ..Ways::default() };
    let registry = Registry::start(ways);
    let (project, host) = (Project::new(), registry.host());
    let line = format!("doctor registry {host}/a/trial --mount-from b/other");
    let wanted = [
        ("reach", "ok"),
        ("write", "ok"),
        ("manifest", "ok"),
        ("retention", "warning"),
        ("referrers", "warning"),
        ("tag", "ok"),
        ("tag-moves", "ok"),
        ("mount", "warning"),
        ("delete", "warning"),
    ];
    assert_eq!(states(&project, &line, 0), pairs(&wanted));
    run(&project, &line).exits(0).prints(&["the tag `sha256-…`", "are still there", "405"]);
    // The policy wants tags to stay, and this registry moves them.
    project.write(
        "karat-policy.toml",
        policy(&host, "immutable-tags = true\nallow = [\"x.example/y\"]", ""),
    );
    let line = format!("doctor registry {host}/golden/trial");
    let found = states(&project, &line, 0);
    assert!(found.contains(&("tag-moves".to_owned(), "warning".to_owned())), "{found:?}");
}

#[test]
fn a_rule_of_immutable_tags_that_catches_the_fallback_tag_is_found() {
    let registry = Registry::start(Ways { immutable: true, ..Ways::default() });
    let (project, host) = (Project::new(), registry.host());
    let line = format!("doctor registry {host}/a/trial");
    let found = states(&project, &line, 1);
    assert!(found.contains(&("referrers".to_owned(), "failed".to_owned())), "{found:?}");
    assert!(found.contains(&("tag-moves".to_owned(), "ok".to_owned())), "{found:?}");
    run(&project, &line).exits(1).prints(&["FAILED   referrers", "exempt it"]);
    // With lists of its own the rule is harmless.
    let registry = Registry::start(Ways { immutable: true, referrers: true, ..Ways::default() });
    states(&project, &format!("doctor registry {}/a/trial", registry.host()), 0);
}

#[test]
fn a_registry_that_lets_nobody_write_or_read_is_found() {
    let registry = Registry::faulty(Ways::default(), |asked, _| {
        (asked.method == "POST").then(|| Reply::new(403))
    });
    let (project, host) = (Project::new(), registry.host());
    let line = format!("doctor registry {host}/a/trial");
    assert_eq!(states(&project, &line, 1), pairs(&[("reach", "ok"), ("write", "failed")]));
    run(&project, &line).exits(1).prints(&["FAILED   write", "403", "right to push"]);

    // Only what is signed is given out, which nothing is that was just written.
    let registry = Registry::faulty(Ways::default(), |asked, _| {
        let manifest = asked.path().contains("/manifests/sha256:");
        (asked.method == "GET" && manifest).then(|| Reply::new(412))
    });
    let line = format!("doctor registry {}/a/trial", registry.host());
    run(&project, &line).exits(1).prints(&["FAILED   manifest", "412", "Harbor"]);
    assert!(registry.repository("a/trial").manifests.is_empty(), "what was written is left");

    let registry = Registry::faulty(Ways::default(), |asked, _| {
        (asked.method == "PUT").then(|| Reply::new(500))
    });
    run(&project, &format!("doctor registry {}/a/trial", registry.host())).exits(3).says(&["500"]);
}

#[test]
fn nothing_is_written_where_the_policy_lets_nothing_be_written() {
    let registry = Registry::start(Ways::default());
    let (project, host) = (Project::new(), registry.host());
    project.write("karat-policy.toml", policy(&host, "", ""));
    run(&project, &format!("doctor registry {host}/other/trial")).exits(1).says(&["does not let"]);
    let line = format!("doctor registry {host}/golden/trial --mount-from other/trial");
    run(&project, &line).exits(1).says(&["does not let"]);
    assert!(registry.server.lines().is_empty());
    run(&project, &format!("doctor registry {host}/golden/trial")).exits(0);
    for bad in ["", "trial", "reg.example", "oci:x", "Reg.example/a", "u@reg.example/a"] {
        let arguments = ["doctor", "registry", bad];
        project.karat(&arguments).run().exits(2);
    }
}
