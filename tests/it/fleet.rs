//! `karat fleet`: what is published is judged again and searched by its signed bills of materials.

use crate::registry::run;
use crate::scan::{advisory, database};
use crate::signing::signed;
use crate::support::elf::Elf;
use crate::support::registry::{Registry, Ways};
use crate::support::{Output, Project, copy_folder, digest_of, recipe_on};
use serde_json::{Value, json};
use std::sync::OnceLock;

/// A project with signed images: `deb`, on a base of packages, and `two`, of two platforms
/// without a base; and `plain`, which nobody has signed.
fn images() -> &'static Project {
    static IMAGES: OnceLock<Project> = OnceLock::new();
    IMAGES.get_or_init(|| {
        let project = Project::small().with_keys();
        project.write("deb.karat.toml", recipe_on("static-debian13", "", "deb", "app"));
        project.signed("build deb.karat.toml --sign cosign.key --output oci:deb").exits(0);
        copy_folder(&signed().path("two"), &project.path("two"));
        project.write("third", Elf::with("third").build());
        project.write("third.karat.toml", recipe_on("scratch", "", "third", "third"));
        project.done("build third.karat.toml --output oci:plain");
        project
    })
}

struct Fleet {
    project: Project,
    registry: Registry,
}

impl Fleet {
    fn new() -> Self {
        let registry = Registry::start(Ways { referrers: true, ..Ways::default() });
        let project = Project::small().with_keys();
        for name in ["deb", "two", "plain"] {
            copy_folder(&images().path(name), &project.path(name));
            let place = format!("docker://{}/golden/{name}:v1", registry.host());
            run(&project, &format!("push oci:{name} {place}")).exits(0);
        }
        let known = [advisory("D-1", "base-files", "9999", "high")];
        database(&project, "Debian", &known);
        registry.server.forget();
        Self { project, registry }
    }

    fn place(&self, name: &str) -> String {
        format!("{}/golden/{name}", self.registry.host())
    }

    fn run(&self, line: &str) -> Output {
        run(&self.project, &format!("fleet {line} --key cosign.pub"))
    }

    fn layers(&self, name: &str) -> Vec<String> {
        let layout = self.project.layout(name);
        let manifests = layout.platforms(None).into_iter().map(|one| layout.document(&one));
        let blobs = manifests.flat_map(|one| one["layers"].as_array().cloned().expect("layers"));
        blobs.map(|layer| layer["digest"].as_str().expect("a digest").to_owned()).collect()
    }
}

#[test]
fn what_is_published_is_judged_again_without_its_layers() {
    let fleet = Fleet::new();
    let (deb, two) = (fleet.place("deb"), fleet.place("two"));
    let line = format!("scan {deb} {two} --db advisories.db --format json");
    let document = fleet.run(&line).exits(1).json();
    assert_eq!(document["schema"], "karat.fleet/v1");
    assert_eq!(document["database"]["digest"], digest_of(&fleet.project.read("advisories.db")));
    let images = document["images"].as_array().expect("images");
    let verdicts: Vec<_> = images.iter().map(|one| (&one["place"], &one["verdict"])).collect();
    assert_eq!(verdicts, [(&json!(deb), &json!("rejected")), (&json!(two), &json!("accepted"))]);
    assert_eq!(images[0]["tags"], json!(["v1"]));
    let found = &images[0]["images"][0]["vulnerabilities"][0];
    assert_eq!((&found["ids"][0], &found["state"]), (&json!("CVE-D-1"), &json!("open")));
    let platforms: Vec<_> = images[1]["images"]
        .as_array()
        .expect("images")
        .iter()
        .map(|one| one["platform"].as_str().expect("a platform"))
        .collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    let asked = fleet.registry.server.lines();
    for layer in fleet.layers("deb").iter().chain(&fleet.layers("two")) {
        assert!(!asked.iter().any(|line| line.contains(layer)), "a layer was pulled");
    }
    assert!(asked.iter().all(|line| line.starts_with("GET ") || line.starts_with("HEAD ")));

    // What the bill says is what the image says.
    let scan = run(&fleet.project, "scan oci:deb --db advisories.db --format json").exits(1).json();
    let whole = |one: &Value| (one["ids"].clone(), one["package"].clone(), one["severity"].clone());
    assert_eq!(whole(found), whole(&scan["vulnerabilities"][0]));

    let text = fleet.run(&format!("scan {deb} {two} --db advisories.db")).exits(1);
    text.prints(&["rejected", "CVE-D-1  base-files", "accepted", "v1"]);
    fleet.run(&format!("scan {two} --db advisories.db")).exits(0);
    let root = fleet.project.layout("two").index()["manifests"][0]["digest"].clone();
    let root = root.as_str().expect("a digest");
    fleet.run(&format!("scan docker://{two}@{root} --db advisories.db")).exits(0).prints(&[root]);
}

#[test]
fn what_cannot_be_judged_is_never_taken_for_clean() {
    let fleet = Fleet::new();
    let (plain, two) = (fleet.place("plain"), fleet.place("two"));
    fleet
        .run(&format!("scan {plain} --db advisories.db"))
        .exits(1)
        .prints(&["rejected", "could not be judged: no signed bill of materials"]);
    fleet.run(&format!("scan {two}")).exits(2).says(&["NOT SCANNED", "--db"]);
    // Signed, by somebody else.
    fleet.project.signed("key generate --output other").exits(0);
    run(&fleet.project, &format!("fleet scan {two} --db advisories.db --key other.pub"))
        .exits(1)
        .prints(&["could not be judged: no bill of materials that is signed by"]);
    run(&fleet.project, &format!("fleet scan {two} --db advisories.db"))
        .exits(2)
        .says(&["who must have signed"]);
    // A registry that is down: the others are judged all the same.
    let gone = format!("{}/golden/two", Registry::start(Ways::default()).host());
    fleet
        .run(&format!("scan {gone} {two} --db advisories.db"))
        .exits(3)
        .says(&["failed"])
        .prints(&["accepted"]);
    fleet
        .run(&format!("scan {} --db advisories.db", fleet.place("nothing")))
        .exits(0)
        .says(&["no tags"]);
    fleet.run("scan golden --db advisories.db").exits(2);
}

#[test]
fn images_are_found_by_package_file_and_vulnerability() {
    let fleet = Fleet::new();
    let host = fleet.registry.host();
    fleet.project.write(
        "karat-policy.toml",
        format!("[policy]\nname = \"golden\"\n[registry]\npublish = \"{host}/golden\"\n"),
    );
    let places = |document: &Value| -> Vec<String> {
        let found = document["found"].as_array().expect("found").iter();
        found.map(|one| one["place"].as_str().expect("a place").to_owned()).collect()
    };
    let app = digest_of(&fleet.project.read("app"));
    let layer = fleet.layers("two").remove(0);
    for (wanted, image) in [
        ("pkg:deb/debian/base-files", "deb"),
        ("pkg:deb/debian/base-files@0", ""),
        (&app, "deb"),
        (&layer, "two"),
        ("CVE-D-1 --db advisories.db", "deb"),
        ("cve-d-1 --db advisories.db", "deb"),
        ("CVE-2026-0001 --db advisories.db", ""),
    ] {
        let found = fleet.run(&format!("find {wanted} --format json")).exits(0);
        let document = found.json();
        assert_eq!(document["schema"], "karat.fleet-find/v1");
        let names = places(&document);
        match image {
            "" => assert!(names.is_empty(), "{wanted}: {names:?}"),
            image => assert!(names.contains(&fleet.place(image)), "{wanted}: {names:?}"),
        }
        // Of what nobody has signed nothing is known, which is said.
        assert_eq!(document["unknown"], 1);
        found.says(&["unknown", "golden/plain"]);
    }
    fleet
        .run("find pkg:deb/debian/base-files")
        .exits(0)
        .prints(&[&fleet.place("deb"), "base-files"]);
    let named = format!("find pkg:deb/debian/base-files {}", fleet.place("two"));
    fleet.run(&named).exits(0).says(&["no image is known to hold"]);
}

#[test]
fn what_cannot_be_looked_for_is_said() {
    let fleet = Fleet::new();
    for (line, told) in [
        ("find CVE-2026-0001", "--db"),
        ("find libssl", "package URL"),
        ("find pkg:nothing", "no package URL"),
        ("find sha256:12", "sha256:HEX"),
        ("find pkg:deb/debian/base-files", "[registry] publish"),
    ] {
        fleet.run(line).exits(2).says(&[told]);
    }
}
