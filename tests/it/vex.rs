//! OpenVEX: statements that somebody has signed and put beside an image, and documents of the
//! project that are about another image.

use crate::registry::run;
use crate::scan::{advisory, database};
use crate::support::registry::{Registry, Ways};
use crate::support::{Output, Project, copy_folder, digest_of, recipe_on, rules};
use serde_json::{Value, json};
use std::sync::OnceLock;

const V0_2: &str = "https://openvex.dev/ns/v0.2.0";

/// A signed image on a base of Debian packages, `oci:deb`, and another key, `other.key`.
fn image() -> &'static Project {
    static IMAGE: OnceLock<Project> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let project = Project::small().with_keys();
        project.write("deb.karat.toml", recipe_on("static-debian13", "", "deb", "app"));
        project.signed("build deb.karat.toml --sign cosign.key --output oci:deb").exits(0);
        project.signed("key generate --output other").exits(0);
        project
    })
}

/// A copy of it, with a database of which `CVE-D-1` of base-files rejects the image.
fn project() -> Project {
    let project = Project::new().with_keys();
    copy_folder(&image().path("deb"), &project.path("deb"));
    for key in ["other.key", "other.pub"] {
        project.write(key, image().read(key));
    }
    database(&project, "Debian", &[advisory("D-1", "base-files", "9999", "high")]);
    project
}

fn document(product: &Value) -> Value {
    json!({"@context": V0_2, "@id": "x", "author": "a", "timestamp": "2026-01-01T00:00:00Z",
        "version": 1, "statements": [{"vulnerability": {"name": "CVE-D-1"}, "products": [product],
            "status": "not_affected", "justification": "inline_mitigations_already_exist"}]})
}

fn of_part() -> Value {
    document(&json!({"@id": "pkg:deb/debian/base-files"}))
}

/// Puts a signed document beside the image.
fn attest(project: &Project, kind: &str, key: &str) {
    project.write("signed.json", of_part().to_string());
    let line = format!("attest oci:deb --type {kind} --predicate signed.json --key {key}");
    project.signed(&line).exits(0);
}

/// Writes a policy by which the holder of `cosign.pub` signs images, and that of `other.pub` may
/// state something of those below `host`.
fn policy(project: &Project, host: &str, statements: &str) {
    let entry = |key: &str, statements: &str| {
        format!(
            "[[trust]]\nimages = \"{host}/golden/*\"\nkey = \"{key}\"\nstatements = [{statements}]\n\
             transparency-log = \"none\"\n"
        )
    };
    let text = format!(
        "[policy]\nname = \"golden\"\n[registry]\npublish = \"{host}/golden\"\nstaging = \"{host}/staging\"\n{}{}",
        entry("cosign.pub", "\"signature\", \"sbom\", \"provenance\""),
        entry("other.pub", statements)
    );
    project.write("karat-policy.toml", text);
}

fn verify(project: &Project, further: &str) -> Output {
    project.run(&format!("verify oci:deb --db advisories.db --format json {further}"))
}

fn first(document: &Value) -> &Value {
    &document["vulnerabilities"]["images"][0]["vulnerabilities"][0]
}

#[test]
fn what_a_trusted_one_has_signed_suppresses_and_shows() {
    for kind in ["openvex", V0_2] {
        let project = project();
        verify(&project, "--key cosign.pub").exits(1);
        attest(&project, kind, "cosign.key");
        let document = verify(&project, "--key cosign.pub").exits(0).json();
        assert_eq!(first(&document)["state"], "suppressed", "{kind}");
        let why = first(&document)["why"].as_str().expect("why");
        assert!(why.contains("the statement sha256:") && why.contains("of the key"), "{why}");
        assert_eq!(document["vulnerabilities"]["ignored"], json!([]));
    }
}

#[test]
fn what_others_have_signed_is_named_and_ignored() {
    let project = project();
    attest(&project, "openvex", "other.key");
    let document = verify(&project, "--key cosign.pub").exits(1).json();
    assert_eq!(first(&document)["state"], "open");
    let ignored = document["vulnerabilities"]["ignored"].as_array().expect("ignored");
    assert_eq!(ignored.len(), 1, "{document:#}");
    project
        .run("verify oci:deb --db advisories.db --key cosign.pub")
        .exits(1)
        .prints(&["ignored   the OpenVEX document sha256:"]);
    // The policy says who may state it.
    let place = "--as registry.example/golden/deb";
    policy(&project, "registry.example", "\"test-result\"");
    let document = verify(&project, place).exits(1).json();
    let why = document["vulnerabilities"]["ignored"][0]["why"].as_str().expect("why");
    assert!(why.contains("may not state") && why.contains("openvex"), "{why}");
    policy(&project, "registry.example", "\"vex\"");
    let document = verify(&project, place).exits(0).json();
    assert_eq!(first(&document)["state"], "suppressed");
    // A revoked one counts no longer.
    let referrer = project
        .layout("deb")
        .referrers()
        .into_iter()
        .find(|one| one["annotations"].to_string().contains("openvex"));
    let digest = referrer.expect("the document")["digest"].as_str().expect("a digest").to_owned();
    let text = String::from_utf8(project.read("karat-policy.toml")).expect("text");
    let revoked =
        format!("[[revoked]]\ndigest = \"{digest}\"\nsince = \"2026-01-01\"\nreason = \"wrong\"\n");
    project.write("karat-policy.toml", text + &revoked);
    let document = verify(&project, place).exits(1).json();
    assert!(document["vulnerabilities"]["ignored"][0]["why"].to_string().contains("revoked"));
}

#[test]
fn a_signed_document_that_is_none_is_ignored() {
    let project = project();
    project.write("signed.json", "{\"statements\": 7}");
    let line = "attest oci:deb --type openvex --predicate signed.json --key cosign.key";
    project.signed(line).exits(0);
    let document = verify(&project, "--key cosign.pub").exits(1).json();
    assert!(document["vulnerabilities"]["ignored"][0]["why"].to_string().contains("no OpenVEX"));
    // What the project says comes after what came with the image, and wins.
    let project = crate::vex::project();
    attest(&project, "openvex", "cosign.key");
    let affected = of_part().to_string().replace("not_affected", "affected");
    project.write("vex/ours.json", affected);
    let document = verify(&project, "--key cosign.pub").exits(1).json();
    assert_eq!(first(&document)["state"], "open");
}

#[test]
fn published_images_and_those_that_are_promoted_are_judged_with_it() {
    let registry = Registry::start(Ways { referrers: true, ..Ways::default() });
    let host = registry.host();
    let project = project();
    attest(&project, "openvex", "other.key");
    for place in ["golden/deb", "staging/deb"] {
        run(&project, &format!("push oci:deb docker://{host}/{place}:v1")).exits(0);
    }
    let fleet = format!("fleet scan {host}/golden/deb --db advisories.db");
    let promote = format!("promote docker://{host}/staging/deb:v1 --db advisories.db --tag v2");
    policy(&project, &host, "\"test-result\"");
    run(&project, &fleet).exits(1).prints(&["ignored the OpenVEX document", "may not state"]);
    run(&project, &promote).exits(1).says(&["ignored   the OpenVEX document", "may not state"]);
    policy(&project, &host, "\"vex\"");
    let document = run(&project, &format!("{fleet} --format json")).exits(0).json();
    let found = &document["images"][0]["images"][0]["vulnerabilities"][0];
    assert_eq!(found["state"], "suppressed");
    run(&project, &promote).exits(0).says(&["tagged v2"]);
}

#[test]
fn mirrors_heed_whom_the_policy_trusts_and_not_the_maker() {
    let registry = Registry::start(Ways { referrers: true, ..Ways::default() });
    let host = registry.host();
    let write = |project: &Project, trust: &str| {
        let text = format!(
            "[policy]\nname = \"golden\"\n[registry]\npublish = \"{host}/golden\"\n\
             mirrors = {{ \"{host}/up\" = \"{host}/mirror/up\" }}\n{trust}"
        );
        project.write("karat-policy.toml", text);
    };
    let approve = format!(
        "mirror approve docker://{host}/up/deb:v1 --key cosign.pub --db advisories.db --require signature \
         --owner o --reason r --ticket T-1 --expires {}",
        crate::support::day(30)
    );
    let project = project();
    attest(&project, "openvex", "cosign.key");
    run(&project, &format!("push oci:deb docker://{host}/up/deb:v1")).exits(0);
    write(&project, "");
    run(&project, &approve).exits(1).says(&["CVE-D-1 in base-files"]);
    let entry = format!(
        "[[trust]]\nimages = \"{host}/mirror/up/*\"\nkey = \"cosign.pub\"\nstatements = [\"vex\"]\n\
         transparency-log = \"none\"\n"
    );
    write(&project, &entry);
    run(&project, &approve).exits(0);
}

/// What a build says of a document of the project.
fn built(project: &Project, product: &Value) -> (Value, bool) {
    project.write("vex/one.json", document(product).to_string());
    let report = project.run("build deb.karat.toml --db advisories.db --format json").json();
    let report = report["results"][0]["report"].clone();
    let unused = rules(&report).contains(&"vex-unused".to_owned());
    (report["vulnerabilities"][0]["state"].clone(), unused)
}

#[test]
fn documents_about_other_images_of_the_project_are_left_alone() {
    let project = Project::small();
    project.write("deb.karat.toml", recipe_on("static-debian13", "", "deb", "app"));
    database(&project, "Debian", &[advisory("D-1", "base-files", "9999", "high")]);
    project.done("build deb.karat.toml --output oci:deb");
    let digest = project.layout("deb").image(None)["digest"].as_str().expect("one").to_owned();
    let part = json!([{"@id": "pkg:deb/debian/base-files"}]);
    let other = digest_of(b"another");
    let encoded = |digest: &str| digest.replace(':', "%3A");
    for (product, suppressed, unused) in [
        (json!({"@id": format!("pkg:oci/deb@{digest}"), "subcomponents": part}), true, false),
        (json!({"@id": format!("pkg:oci/deb@{}?arch=amd64", encoded(&digest))}), true, false),
        (json!({"@id": "pkg:oci/deb", "subcomponents": part}), true, false),
        (json!({"@id": "pkg:oci/deb"}), true, false),
        (json!({"@id": format!("pkg:oci/deb@{other}"), "subcomponents": part}), false, false),
        (json!({"@id": "pkg:oci/web", "subcomponents": part}), false, false),
        (json!({"@id": "pkg:oci/web"}), false, false),
        // A package that is in another image, and one that is here in another version.
        (json!({"@id": "pkg:golang/golang.org/x/net@v0.30.0"}), false, false),
        (json!({"@id": "pkg:deb/debian/base-files@1"}), false, true),
    ] {
        let expected = (json!(if suppressed { "suppressed" } else { "open" }), unused);
        assert_eq!(built(&project, &product), expected, "{product}");
    }
}
