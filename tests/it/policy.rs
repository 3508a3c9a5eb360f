//! The policy file: who reads it, what it changes, and what is refused.

use crate::support::{Project, elf::SCRIPT, recipe};
use std::fs;

const NAME: &str = "[policy]\nname = \"mine\"\n";

/// A project whose policy file goes on after its name.
fn project(further: &str) -> Project {
    let project = Project::small();
    project.write("karat-policy.toml", format!("{NAME}{further}"));
    project
}

#[test]
fn policy_file_in_the_root_judges_and_is_named() {
    let project = project("[gate]\nmax-size = \"10\"\n");
    let output = project.run("build").exits(1);
    output.says(&["image-too-large", "mine sha256:"]);
    let report = project.json("dist/app/report.json");
    assert_eq!(report["policy"]["name"], "mine");
    let digest = report["policy"]["digest"].as_str().expect("a digest").to_owned();
    project.run(&format!("build --policy-digest {digest}")).exits(1);
    project.done("inspect app").prints(&["mine", &digest]);
    project.write("loose.toml", "[policy]\nname = \"golden\"\n");
    project.done("build --policy loose.toml");
    project.run(&format!("build --policy loose.toml --policy-digest {digest}")).exits(2);
}

#[test]
fn policy_show_names_the_origin_of_each_value() {
    let built_in = Project::new().done("policy show");
    let built_in =
        built_in.prints(&["policy golden sha256:", "gate.max-size = 268435456", "# built in"]);
    assert!(!built_in.stdout.contains("karat-policy.toml"), "{}", built_in.stdout);
    let project = project(
        "[gate]\nfail-on = [\"critical\"]\n[gate.rules]\nscript = { severity = \"low\", reason = \"r\", owner = \"o\", expires = \"2027-01-31\" }\n",
    );
    let shown = project.done("policy show").stdout;
    let line = |key: &str| {
        let line = shown.lines().find(|line| line.starts_with(key));
        line.unwrap_or_else(|| panic!("{key}: {shown}")).to_owned()
    };
    assert!(line("gate.fail-on = [\"critical\"]").ends_with("# karat-policy.toml:4"), "{shown}");
    assert!(line("gate.max-size").ends_with("# built in"), "{shown}");
    assert!(line("gate.rules.script").contains("owner = \"o\""), "{shown}");
    let json = project.done("policy show --format json").json();
    assert_eq!(json["schema"], "karat.policy/v1");
    let values = json["values"].as_array().expect("values");
    let of = |key: &str| values.iter().find(|one| one["key"] == key).expect("the key").clone();
    assert_eq!(of("gate.fail-on")["line"], 4);
    assert_eq!(of("gate.max-size")["line"], serde_json::Value::Null);
}

#[test]
fn faults_of_a_policy_have_their_places_in_every_command() {
    let project = project("[gates]\n[gate]\nfail-on = [\"hihg\"]\n").with_keys();
    for line in ["build", "check", "inspect app", "policy show", "verify oci:x --key cosign.pub"] {
        let output = project.run(line).exits(2);
        output.says(&["karat-policy.toml:3", "gates", "did you mean `gate`?"]);
    }
    let json = project.run("build --format json").exits(2).json();
    assert_eq!(json["faults"][0]["line"], 3, "{json}");
    project.write("karat-policy.toml", format!("{NAME}[gate]\nfail-on = [\"hihg\"]\n"));
    project.run("check").exits(2).says(&["karat-policy.toml:4:12", "hihg"]);
}

#[test]
fn lowered_rule_counts_until_its_day_and_is_told_afterwards() {
    for (expires, accepted) in [("2099-12-31", true), ("2001-01-01", false)] {
        let rule = |severity: &str| {
            format!(
                "[gate.rules]\nscript = {{ severity = \"{severity}\", reason = \"r\", owner = \"o\", expires = \"{expires}\" }}\n"
            )
        };
        for severity in ["low", "off"] {
            let project = project(&rule(severity));
            project.write("data/run.sh", SCRIPT);
            let text = recipe("app", "app") + "\n[[file]]\nsource = \"data\"\npath = \"/data\"\n";
            project.write("app.karat.toml", text);
            project.run("build").exits(if accepted { 0 } else { 1 });
            let report = project.json("dist/app/report.json");
            let found = report["findings"].as_array().expect("findings");
            let script = found.iter().find(|one| one["rule"] == "script").expect("it still shows");
            let told = found.iter().any(|one| one["rule"] == "waiver-expired");
            assert_eq!(told, !accepted, "{report}");
            match (accepted, severity) {
                (true, "low") => assert_eq!(script["severity"], "low"),
                (true, _) => assert_eq!(script["status"], "waived"),
                (false, _) => assert_eq!(script["status"], "open"),
            }
        }
    }
}

#[test]
fn second_policy_below_the_first_is_refused() {
    let project = project("");
    project.write("services/karat-policy.toml", NAME);
    project.write("services/app", project.read("app"));
    project.write("services/app.karat.toml", recipe("app", "app"));
    project.run("build services/app.karat.toml").exits(2).says(&["below another policy"]);
    project.done("build services/app.karat.toml --policy karat-policy.toml");
}

#[test]
fn policy_that_cannot_be_read_is_wrong_input() {
    let project = Project::small();
    project.run("build --policy nowhere.toml").exits(2).says(&["nowhere.toml"]);
    fs::create_dir(project.path("folder")).expect("a folder");
    project.run("build --policy folder").exits(2).says(&["regular file"]);
    project.write("bytes", b"\xff\xfe");
    project.run("build --policy bytes").exits(2).says(&["bytes"]);
    project.write("long", "#".repeat((1 << 20) + 1));
    project.run("build --policy long").exits(2).says(&["longer"]);
}

/// A root of trust that vouches for nothing, which keys do not need.
const ROOT: &str = r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","tlogs":[],"certificateAuthorities":[],"ctlogs":[],"timestampAuthorities":[]}"#;

#[test]
fn the_root_of_trust_is_that_of_the_policy() {
    let project = project("[sigstore]\ntrusted-root = \"trust/root.json\"\n").with_keys();
    project.signed("build --sign cosign.key").exits(2).says(&["trust/root.json", "cannot be read"]);
    project.write("trust/root.json", ROOT);
    project.signed("build --sign cosign.key").exits(0);
    let verify = "verify oci:dist/app/image --key cosign.pub --format json";
    let digest = crate::support::digest_of(ROOT.as_bytes());
    assert_eq!(project.done(verify).json()["trustedRoot"], digest);
    project.done("policy show").prints(&["sigstore.trusted-root", &digest, "karat-policy.toml:4"]);
    // The same bytes are the same root; no other takes its place.
    project.done(&format!("{verify} --trusted-root trust/root.json"));
    project.write("other.json", format!("{ROOT}\n"));
    let other = project.run(&format!("{verify} --trusted-root other.json")).exits(2);
    assert!(other.stdout.contains("another root of trust"), "{}", other.stdout);
    project.run("sign app --key cosign.key --bundle app.json").exits(2);
    project.signed("sign app --key cosign.key --bundle app.json").exits(0);
    let file = "verify app --bundle app.json --key cosign.pub";
    assert_eq!(project.done(&format!("{file} --format json")).json()["trustedRoot"], digest);
    project.run(&format!("{file} --trusted-root other.json")).exits(2);
    // It is covered by the policy's digest.
    let shown = || project.done("policy show --format json").json()["digest"].clone();
    let before = shown();
    project.write("trust/root.json", format!("{ROOT}\n"));
    assert_ne!(shown(), before);
    project.write("trust/root.json", "{}");
    project.run(verify).exits(2);
}

#[test]
fn required_statements_are_those_of_the_policy() {
    let project = project("[gate]\nrequire = [\"signature\"]\n").with_keys();
    project.signed("build --sign cosign.key").exits(0);
    // Without the attestations the image is signed, and nothing else.
    let mut index = project.json("dist/app/image/index.json");
    let manifests = index["manifests"].as_array_mut().expect("manifests");
    manifests.retain(|one| {
        let text = one.to_string();
        !text.contains("spdx.dev") && !text.contains("slsa.dev")
    });
    assert_eq!(manifests.len(), 2, "the image and its signature");
    project.write("dist/app/image/index.json", index.to_string());
    let verify = "verify oci:dist/app/image --key cosign.pub";
    project.done(verify).prints(&["mine"]);
    project.write("karat-policy.toml", NAME);
    project.run(verify).exits(1).prints(&["sbom", "provenance"]);
    project.write("karat-policy.toml", format!("{NAME}[gate]\nrequire = []\n"));
    project.run(verify).exits(2).says(&["nothing would have to be signed"]);
    project.done("schema policy").prints(&["urn:karat:schema:policy:v1", "max-size"]);
}
