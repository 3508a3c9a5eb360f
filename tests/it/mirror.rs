//! `karat mirror`: what upstream has signed, approved here, copied by digest, and watched. Two
//! fakes on loopback stand for the registry of the makers and for the private one.

use crate::old_form::with_key;
use crate::registry::{project, run};
use crate::scan::{advisory, database};
use crate::signing::signed;
use crate::support::elf::Elf;
use crate::support::registry::{Registry, Ways, digest};
use crate::support::{Output, Project, day, keys, recipe_on};
use serde_json::{Value, json};

/// A project that approved `app:v1` of its makers, and nothing copied yet.
struct Mirror {
    project: Project,
    makers: Registry,
    own: Registry,
    root: String,
}

const APPROVE: &str = "--key cosign.pub --owner team-x --ticket SEC-1";

impl Mirror {
    fn new(ways: Ways) -> Self {
        let project = project();
        let (makers, own) = (Registry::start(ways.clone()), Registry::start(ways));
        let upstream = format!("docker://{}/up/app:v1", makers.host());
        run(&project, &format!("push oci:two {upstream}")).exits(0);
        let root = project.layout("two").index()["manifests"][0]["digest"]
            .as_str()
            .expect("a digest")
            .to_owned();
        let mirror = Self { project, makers, own, root };
        mirror.policy("");
        mirror
    }

    /// Writes the policy of the project.
    fn policy(&self, further: &str) {
        let (makers, own) = (self.makers.host(), self.own.host());
        self.project.write(
            "karat-policy.toml",
            format!(
                "[policy]\nname = \"golden\"\n[registry]\npublish = \"{own}/golden\"\n\
                 mirrors = {{ \"{makers}\" = \"{own}/mirror\" }}\nallowlist-only = true\n\
                 [mirror]\nsources = [\"{makers}\"]\n{further}\n[gate.rules]\n\
                 not-scanned = {{ severity = \"medium\", reason = \"r\", owner = \"o\", expires = \"{}\" }}\n",
                day(60)
            ),
        );
    }

    fn approved() -> Self {
        let mirror = Self::new(Ways { referrers: true, ..Ways::default() });
        mirror.approve().exits(0);
        mirror
    }

    fn copied() -> Self {
        let mirror = Self::approved();
        mirror.run("mirror run").exits(0);
        mirror
    }

    fn run(&self, line: &str) -> Output {
        run(&self.project, line)
    }

    fn approve(&self) -> Output {
        self.run(&format!("mirror approve docker://{}/up/app:v1 {APPROVE}", self.makers.host()))
    }

    /// `HOST/REPO` where it goes.
    fn target(&self) -> String {
        format!("{}/mirror/up/app", self.own.host())
    }

    /// The tag that is set there.
    fn tag(&self) -> String {
        format!("{}-{}", day(0).replace('-', ""), &self.root[7..19])
    }

    fn change_file(&self, from: &str, to: &str) {
        let text = String::from_utf8(self.project.read("approved.lock.toml")).expect("a text");
        assert!(text.contains(from), "{text}");
        self.project.write("approved.lock.toml", text.replace(from, to));
    }

    /// Checks for drift, and returns the states of the only approval.
    #[track_caller]
    fn states(&self, code: i32) -> Vec<String> {
        let document = self.run("mirror check --format json").exits(code).json();
        assert_eq!(document["schema"], "karat.drift/v1");
        let verdict = if code == 0 { "accepted" } else { "rejected" };
        assert_eq!(document["verdict"], verdict);
        let states = document["artifacts"][0]["states"].as_object().expect("states");
        states.keys().cloned().collect()
    }
}

fn is_reading(registry: &Registry) -> bool {
    let lines = registry.server.lines();
    lines.iter().all(|line| line.starts_with("GET ") || line.starts_with("HEAD "))
}

#[test]
fn the_old_form_is_copied_beside_what_is_signed_at_the_target() {
    let mirror = Mirror::new(Ways { referrers: true, ..Ways::default() });
    let signer = Project::new().with_keys();
    signer.signed("key generate --output own").exits(0);
    let sign = |place: &str, key: &str| {
        let image = format!("docker://{place}@{}", mirror.root);
        let line = format!("sign {image} --key {key}.key --signature-format legacy");
        with_key(&signer, &line).exits(0).says(&["added 3"]);
    };
    let tag = format!("{}.sig", mirror.root.replace(':', "-"));
    let layers = || {
        let held = mirror.own.repository("mirror/up/app");
        let manifest = &held.manifests[held.tags.get(&tag).expect("a signature")].1;
        let manifest: Value = serde_json::from_slice(manifest).expect("JSON");
        manifest["layers"].as_array().expect("layers").clone()
    };
    sign(&format!("{}/up/app", mirror.makers.host()), "cosign");
    mirror.approve().exits(0);
    mirror.run("mirror run").exits(0).prints(&["copied"]);
    let theirs = layers();
    assert_eq!(theirs.len(), 1);
    sign(&mirror.target(), "own");
    let both = layers();
    assert_eq!((both.len(), &both[0]), (2, &theirs[0]));
    assert_eq!(mirror.states(0), ["in-sync"]);
    mirror.run("mirror run").exits(0).prints(&["in-sync"]);
    assert_eq!(layers(), both);
    // What is missing is copied again.
    mirror.own.change("mirror/up/app", |held| drop(held.tags.remove(&tag)));
    mirror.run("mirror run").exits(0).prints(&["copied"]);
    assert_eq!(layers(), theirs);
}

/// A project with layouts of other programs: `signed` by the same key, and `unsigned`.
fn others() -> Project {
    let project = Project::small();
    crate::support::copy_folder(&signed().path("other"), &project.path("signed"));
    project.write("third", Elf::with("third").build());
    project.write("third.karat.toml", recipe_on("scratch", "", "third", "third"));
    project.done("build third.karat.toml --output oci:unsigned");
    project
}

#[test]
fn what_was_approved_is_copied_with_all_that_refers_to_it_and_watched() {
    for referrers in [true, false] {
        let mirror = Mirror::new(Ways { referrers, ..Ways::default() });
        mirror.makers.server.forget();
        let done = mirror.approve().exits(0);
        done.says(&["the tag `v1` leads to", &mirror.root, "have it reviewed"]).prints(&[
            "approved",
            &mirror.target(),
            "until",
            &day(90),
        ]);
        let file = String::from_utf8(mirror.project.read("approved.lock.toml")).expect("a text");
        for part in [
            format!("source = \"{}/up/app:v1\"", mirror.makers.host()),
            format!("digest = \"{}\"", mirror.root),
            format!("target = \"{}\"", mirror.target()),
            "\"linux/amd64\" = \"sha256:".to_owned(),
            "\"linux/arm64\" = \"sha256:".to_owned(),
            "signer = { key = \"cosign.pub\", fingerprint = \"".to_owned(),
            "owner = \"team-x\"\nticket = \"SEC-1\"\n".to_owned(),
        ] {
            assert!(file.contains(&part), "{part}\n{file}");
        }
        assert!(mirror.own.repository("mirror/up/app").manifests.is_empty());
        assert_eq!(mirror.states(0), ["not-copied"]);

        let ran = mirror.run("mirror run --format json").exits(0).json();
        assert_eq!(ran["schema"], "karat.mirror/v1");
        assert_eq!(ran["artifacts"][0]["outcome"], "copied");
        assert!(ran["artifacts"][0]["uploaded"]["bytes"].as_u64() > Some(0));
        let held = mirror.own.repository("mirror/up/app");
        assert_eq!(held.tags.get(&mirror.tag()), Some(&mirror.root));
        let upstream = mirror.makers.repository("up/app");
        assert!(upstream.blobs.keys().all(|digest| held.blobs.contains_key(digest)));
        for (name, manifest) in &upstream.manifests {
            // Lists under fallback tags are each registry's own.
            let is_list = manifest.0.contains("index") && *name != mirror.root;
            assert!(is_list || held.manifests.get(name) == Some(manifest), "{name}");
        }
        let place = format!("docker://{}@{}", mirror.target(), mirror.root);
        mirror.run(&format!("verify {place} --key cosign.pub")).exits(0);
        assert_eq!(mirror.states(0), ["in-sync"]);

        // Again: nothing is sent, and no layer is read.
        for registry in [&mirror.makers, &mirror.own] {
            registry.server.forget();
        }
        mirror.run("mirror run").exits(0).prints(&["in-sync", &mirror.target()]);
        assert!(is_reading(&mirror.own));
        assert!(mirror.makers.server.lines().iter().all(|line| !line.contains("/blobs/")));
        assert!(is_reading(&mirror.makers));
    }
}

#[test]
fn the_makers_are_only_read() {
    let mirror = Mirror::new(Ways { referrers: true, ..Ways::default() });
    mirror.makers.server.forget();
    mirror.approve().exits(0);
    mirror.run("mirror run").exits(0);
    mirror.run("mirror check").exits(0);
    assert!(is_reading(&mirror.makers));
}

#[test]
fn what_is_not_signed_by_whom_it_must_be_is_neither_approved_nor_copied() {
    let mirror = Mirror::new(Ways { referrers: true, ..Ways::default() });
    mirror.project.signed("key generate --output other").exits(0);
    let upstream = format!("docker://{}/up/app:v1", mirror.makers.host());
    let line = format!("mirror approve {upstream} --key other.pub --owner o --ticket t");
    mirror.run(&line).exits(1).says(&["missing   signature", "refused", "nothing was approved"]);
    assert!(!mirror.project.path("approved.lock.toml").exists());
    // Signed when it was approved, and not any more when it is copied.
    mirror.approve().exits(0);
    mirror.makers.change("up/app", |held| {
        let root = mirror.root.clone();
        let keep = ["image.index", "config.v1+json"];
        held.manifests.retain(|digest, (_, bytes)| {
            let text = String::from_utf8_lossy(bytes);
            *digest == root
                || keep.iter().any(|one| text.contains(one)) && !text.contains("\"subject\"")
        });
    });
    mirror.run("mirror run").exits(1).prints(&["rejected", "nothing was copied"]);
    assert!(mirror.own.repository("mirror/up/app").manifests.is_empty());
    assert_eq!(mirror.states(1), ["not-copied", "signature-lost"]);
}

#[test]
fn the_gate_judges_what_is_mirrored() {
    let mirror = Mirror::approved();
    // The image has no shell, so that a stricter rule stands for one.
    let text = String::from_utf8(mirror.project.read("karat-policy.toml")).expect("a text");
    mirror.project.write(
        "karat-policy.toml",
        text.replace(
            "not-scanned = { severity = \"medium\", reason = \"r\", owner = \"o\", expires = ",
            "not-scanned = { severity = \"high\", reason = \"r\", owner = \"o\", expires = ",
        ),
    );
    mirror.run("mirror run").exits(1).prints(&["rejected"]).says(&["not-scanned"]);
    mirror.approve().exits(1).says(&["nothing was approved"]);
    assert!(mirror.own.repository("mirror/up/app").manifests.is_empty());
}

#[test]
fn an_approval_that_has_ended_copies_nothing() {
    let mirror = Mirror::approved();
    mirror.change_file(
        &format!("approved = \"{}\"", day(0)),
        &format!("approved = \"{}\"", day(-30)),
    );
    mirror
        .change_file(&format!("expires = \"{}\"", day(90)), &format!("expires = \"{}\"", day(-1)));
    mirror.run("mirror run").exits(1).prints(&["expired", "approve it again"]);
    assert!(mirror.own.repository("mirror/up/app").manifests.is_empty());
    assert_eq!(mirror.states(1), ["expired-approval", "not-copied"]);
    // Approved again, it holds again.
    mirror.approve().exits(0);
    assert_eq!(mirror.states(0), ["not-copied"]);
}

#[test]
fn a_tag_that_moves_upstream_is_told_with_what_differs() {
    let mirror = Mirror::copied();
    let upstream = format!("docker://{}/up/app:v1", mirror.makers.host());
    let outside = others();
    run(&outside, &format!("push oci:signed {upstream}")).exits(0);
    assert_eq!(mirror.states(0), ["tag-moved"]);
    mirror.run("mirror check").exits(0).prints(&["tag-moved", "gone: linux/arm64"]);
    // What was approved is copied all the same, by its digest.
    mirror.run("mirror run").exits(0).prints(&["in-sync"]);
    mirror.policy("fail-on-drift = [\"tag-moved\"]");
    mirror.run("mirror check").exits(1).prints(&["tag-moved", "(rejected)"]);
    // The same tag, and nobody has signed what it leads to now.
    mirror.policy("");
    run(&outside, &format!("push oci:unsigned {upstream}")).exits(0);
    assert_eq!(mirror.states(1), ["signer-changed", "tag-moved"]);
}

#[test]
fn what_goes_away_is_told() {
    let mirror = Mirror::copied();
    let all = mirror.makers.repository("up/app");
    mirror.makers.change("up/app", |held| {
        held.manifests.clear();
        held.tags.clear();
    });
    assert_eq!(mirror.states(0), ["gone-upstream"]);
    mirror.makers.change("up/app", |held| *held = all.clone());
    // The signature, where it was copied to.
    let kept = mirror.own.repository("mirror/up/app");
    mirror.own.change("mirror/up/app", |held| {
        held.manifests
            .retain(|_, (_, bytes)| !String::from_utf8_lossy(bytes).contains("\"subject\""));
    });
    assert_eq!(mirror.states(1), ["signature-lost"]);
    // Running again brings it back.
    mirror.run("mirror run").exits(0).prints(&["copied"]);
    assert_eq!(mirror.states(0), ["in-sync"]);
    assert_eq!(mirror.own.repository("mirror/up/app").manifests.len(), kept.manifests.len());
}

#[test]
fn what_nobody_approved_in_a_target_is_told() {
    let mirror = Mirror::copied();
    let place = format!("docker://{}", mirror.target());
    run(&others(), &format!("push oci:unsigned {place}:sneaky")).exits(0);
    let document = mirror.run("mirror check --format json").exits(1).json();
    let strays = document["unapproved-in-target"].as_array().expect("a list");
    assert_eq!(strays.len(), 1);
    assert_eq!(strays[0]["tags"], json!(["sneaky"]));
    mirror.run("mirror check").exits(1).prints(&["unapproved-in-target", "sneaky", "(rejected)"]);
    // Our own tag, moved.
    let stray = strays[0]["digest"].as_str().expect("a digest").to_owned();
    mirror.own.change("mirror/up/app", |held| {
        held.tags.remove("sneaky");
        held.tags.insert(mirror.tag(), stray);
    });
    let states = mirror.run("mirror check --format json").exits(1).json();
    let states = states["artifacts"][0]["states"].as_object().expect("states").clone();
    assert_eq!(states.keys().collect::<Vec<_>>(), ["tag-drift"]);
    // It is not set right over somebody's head: tags of a mirror do not move.
    mirror.run("mirror run").exits(1).prints(&["failed", "tags do not move"]);
}

#[test]
fn a_registry_that_is_down_stops_only_its_own() {
    let mirror = Mirror::approved();
    let gone = Registry::start(Ways::default()).host();
    let file = String::from_utf8(mirror.project.read("approved.lock.toml")).expect("a text");
    let at = file.find("\n[[artifact]]").expect("an entry");
    let other =
        file[at..].replace(&mirror.makers.host(), &gone).replace("/mirror/up/app", "/mirror/a");
    mirror.project.write("approved.lock.toml", format!("{file}{other}"));
    let text = String::from_utf8(mirror.project.read("karat-policy.toml")).expect("a text");
    let sources = format!("sources = [\"{}\"]", mirror.makers.host());
    let both = format!("sources = [\"{}\", \"{gone}\"]", mirror.makers.host());
    mirror.project.write("karat-policy.toml", text.replace(&sources, &both));
    let ran = mirror.run("mirror run --format json").exits(3).json();
    let of = |number: usize| ran["artifacts"][number]["outcome"].as_str().expect("a word");
    assert_eq!((of(0), of(1)), ("failed", "copied"));
    assert_eq!(ran["artifacts"][0]["error"]["code"], 3);
}

#[test]
fn vulnerabilities_that_are_worse_than_approved_are_told() {
    let mirror = Mirror::new(Ways { referrers: true, ..Ways::default() });
    let upstream = format!("docker://{}/up/deb:v1", mirror.makers.host());
    let maker = Project::small().with_keys();
    maker.write("deb.karat.toml", recipe_on("static-debian13", "", "deb", "app"));
    maker.signed("build deb.karat.toml --sign cosign.key --output oci:deb").exits(0);
    run(&maker, &format!("push oci:deb {upstream}")).exits(0);
    let approve = |most: &str| {
        mirror.run(&format!("mirror approve {upstream} {APPROVE} --max-severity {most}")).exits(0);
    };
    approve("medium");
    mirror.run("mirror run").exits(0);
    mirror.run("mirror check --db nowhere.db").exits(2).says(&["nowhere.db"]);
    mirror.run("mirror check").exits(0).says(&["NOT SCANNED"]);
    for (severity, most, states) in [
        ("high", "medium", "new-vulnerabilities"),
        ("high", "high", "in-sync"),
        ("medium", "medium", "in-sync"),
        ("not yet assigned", "high", "new-vulnerabilities"),
    ] {
        approve(most);
        let known = [advisory("D-1", "base-files", "9999", severity)];
        let db = database(&mirror.project, "Debian", &known);
        let code = i32::from(states == "new-vulnerabilities");
        let found = mirror.run(&format!("mirror check --db {db}")).exits(code);
        found.prints(&[states]);
    }
    let document = mirror.run("mirror check --db advisories.db --format json").exits(1).json();
    let notes = &document["artifacts"][0]["states"]["new-vulnerabilities"];
    assert!(notes[0].as_str().expect("a note").contains("D-1 in base-files"), "{notes}");
}

#[test]
fn what_a_user_gives_wrong_is_said_with_what_helps() {
    let mirror = Mirror::new(Ways { referrers: true, ..Ways::default() });
    let upstream = format!("docker://{}/up/app:v1", mirror.makers.host());
    for line in ["mirror run", "mirror check"] {
        mirror.run(line).exits(2).says(&["nothing is approved", "karat mirror approve"]);
    }
    for (line, told) in [
        (
            "mirror approve oci:two --key cosign.pub --owner o --ticket t".to_owned(),
            "in no registry",
        ),
        (format!("mirror approve {upstream} --owner o --ticket t"), "who must have signed"),
        (format!("mirror approve {upstream} {APPROVE} --expires 2040-01-01"), "at most 366 days"),
        (format!("mirror approve {upstream} {APPROVE} --expires soon"), "--expires"),
        (format!("mirror approve {upstream} {APPROVE} --max-severity bad"), "no severity"),
        (format!("mirror approve {upstream} {APPROVE} --to nowhere"), "nowhere"),
        (format!("mirror approve {upstream} --key cosign.pub --ticket t"), "--owner"),
    ] {
        mirror.run(&line).exits(2).says(&[told]);
    }
    // A key that the reviewers of the file could not see.
    let outside = mirror.project.outside().join("far.pub");
    std::fs::write(&outside, &keys().1).expect("a key");
    let line =
        format!("mirror approve {upstream} --key {} --owner o --ticket t", outside.display());
    mirror.run(&line).exits(2).says(&["no file of the project", "copy it into the project"]);
    // Places that the policy does not name.
    let elsewhere = format!("{}/elsewhere/app", mirror.own.host());
    mirror.run(&format!("mirror approve {upstream} {APPROVE} --to {elsewhere}")).exits(1);
    let other = Registry::start(Ways::default()).host();
    let line =
        format!("mirror approve docker://{other}/up/app:v1 {APPROVE} --to {}", mirror.target());
    mirror.run(&line).exits(1).says(&["[mirror] sources"]);
    assert!(!mirror.project.path("approved.lock.toml").exists());
    // A file that a hand has broken.
    mirror.approve().exits(0);
    mirror.change_file("owner =", "woner =");
    mirror.run("mirror check").exits(2).says(&["approved.lock.toml", "woner"]);
    mirror.change_file("woner =", "owner =");
    mirror.project.signed("key generate --output other").exits(0);
    std::fs::copy(mirror.project.path("other.pub"), mirror.project.path("cosign.pub"))
        .expect("a copy");
    mirror.run("mirror run").exits(2).says(&["another than the one of the approval"]);
}

#[test]
fn signatures_in_the_old_form_travel_too() {
    let mirror = Mirror::approved();
    let blob = b"payload";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(b"{}"), "size": 2},
        "layers": [{"mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
            "digest": digest(blob), "size": blob.len()}],
    });
    let bytes = serde_json::to_vec(&manifest).expect("JSON");
    let tag = format!("sha256-{}.sig", &mirror.root[7..]);
    mirror.makers.change("up/app", |held| {
        held.blobs.insert(digest(blob), blob.to_vec());
        held.blobs.insert(digest(b"{}"), b"{}".to_vec());
        let kind = "application/vnd.oci.image.manifest.v1+json".to_owned();
        held.manifests.insert(digest(&bytes), (kind, bytes.clone()));
        held.tags.insert(tag.clone(), digest(&bytes));
    });
    mirror.run("mirror run").exits(0);
    let held = mirror.own.repository("mirror/up/app");
    assert_eq!(held.tags.get(&tag), Some(&digest(&bytes)));
    assert_eq!(mirror.states(0), ["in-sync"]);
    mirror.own.change("mirror/up/app", |held| {
        held.tags.remove(&tag);
    });
    assert_eq!(mirror.states(1), ["signature-lost"]);
    let document: Value = mirror.run("mirror check --format json").exits(1).json();
    assert_eq!(document["unapproved-in-target"], json!([]));
}
