//! Bases that are images of others: locked by digest and signer, and never taken unverified.

use crate::registry::{policy, project, run};
use crate::support::registry::{Registry, Ways};
use crate::support::server::Reply;
use crate::support::{Project, elf, keys};
use karat::base::lock::{Lock, LockedPlatform};
use serde_json::Value;
use std::fs;

const SIGNER: &str = "signer = { key = \"cosign.pub\" }\n";
const RECIPE: &str = "[image]\nname = \"on\"\nbase = \"up\"\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n[[binary]]\nsource = \"{arch}/own\"\n";

/// A project with a recipe that stands on the base `up`, which is the image of a reference.
fn on(reference: &str, signer: &str) -> Project {
    let project = project();
    define(&project, reference, signer);
    project.write("amd64/own", elf::Elf::with("own").build());
    project.write("arm64/own", elf::Elf::arm64().build());
    project.write("recipes/on.toml", RECIPE);
    project
}

fn define(project: &Project, reference: &str, signer: &str) {
    let text = format!(
        "[base]\nkind = \"image\"\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\nenv = {{ OWN = \"1\" }}\n[image]\nreference = \"{reference}\"\n{signer}"
    );
    project.write("bases/up.toml", text);
}

/// The same, with the image in a registry.
fn in_registry(ways: Ways, signer: &str) -> (Registry, Project) {
    let registry = Registry::start(ways);
    let project = at(&registry, signer);
    (registry, project)
}

fn at(registry: &Registry, signer: &str) -> Project {
    let host = registry.host();
    let reference = format!("docker://{host}/their/app@{}", root("two"));
    let project = on(&reference, signer);
    run(&project, &format!("push oci:two docker://{host}/their/app:v1")).exits(0);
    registry.server.forget();
    project
}

fn root(layout: &str) -> String {
    let index = crate::signing::signed().layout(layout).index();
    index["manifests"][0]["digest"].as_str().expect("a digest").to_owned()
}

fn cached(project: &Project, line: &str) -> crate::support::Output {
    let args: Vec<_> = line.split_whitespace().collect();
    project
        .karat(&args)
        .env("KARAT_CACHE", project.outside().join("cache"))
        .env("KARAT_HTTP_TIMEOUT", "1")
        .env("KARAT_HTTP_RETRIES", "1")
        .env("HOME", project.outside())
        .run()
}

fn lock_of(project: &Project) -> Lock {
    let text = String::from_utf8(project.read("bases/up.lock.toml")).expect("text");
    Lock::parse("up", &text).expect("a lock")
}

/// Writes a lock that somebody has changed and given the right checksum.
fn forge(project: &Project, change: impl FnOnce(&mut Lock)) {
    let mut lock = lock_of(project);
    change(&mut lock);
    project.write("bases/up.lock.toml", lock.to_text("up"));
}

fn amd64(lock: &mut Lock) -> &mut LockedPlatform {
    lock.platforms.iter_mut().find(|one| one.platform.to_string() == "linux/amd64").expect("amd64")
}

fn has_no_lock(project: &Project) {
    assert!(!project.path("bases/up.lock.toml").exists(), "a lock was written");
    assert!(!project.path("bases/up.contents.txt").exists(), "a list was written");
}

#[test]
fn an_image_of_a_layout_is_locked_and_stood_on() {
    let project = on("oci:two", SIGNER);
    let locked = cached(&project, "base lock up").exits(0);
    let key = lock_of(&project).image.expect("an image").signature.expect("a signature");
    locked.prints(&["image", &root("two"), "signed by the key", "written"]);
    assert!(matches!(key.by, karat::base::lock::SignedBy::Key(_)));
    let first = project.read("bases/up.lock.toml");
    cached(&project, "base lock").exits(0).prints(&["nothing new"]);
    assert_eq!(project.read("bases/up.lock.toml"), first, "locking again changes no byte");
    let contents = String::from_utf8(project.read("bases/up.contents.txt")).expect("text");
    assert!(contents.contains("/usr/bin/app  layer-1  f"), "{contents}");
    cached(&project, "check").exits(0);
    cached(&project, "base list").exits(0).prints(&["up", "image", "locked on"]);
    let digest = amd64(&mut lock_of(&project)).digest.to_string();
    cached(&project, "base build up --output layers").exits(0).prints(&[&digest]);
    assert_eq!(project.names("layers"), ["layer-1-amd64.tar.gz", "layer-1-arm64.tar.gz"]);

    // From here on only the cache is there.
    fs::rename(project.path("two"), project.outside().join("two")).expect("the layout goes");
    cached(&project, "base verify up --offline").exits(0).prints(&["ok", &digest]);
    cached(&project, "build --offline recipes/on.toml").exits(0);
    assert_eq!(project.read("bases/up.lock.toml"), first, "a build writes no lock");
    let layout = project.layout("dist/on/image");
    layout.is_whole();
    let platforms = layout.platforms(Some("local"));
    let manifest = layout.document(&platforms[0]);
    assert_eq!(manifest["annotations"]["org.opencontainers.image.base.digest"], digest);
    let theirs = crate::signing::signed().layout("two");
    let their = theirs.document(&theirs.platforms(None)[0]);
    assert_eq!(manifest["layers"][0]["digest"], their["layers"][0]["digest"]);
    assert_eq!(manifest["layers"].as_array().expect("layers").len(), 2);
    let config = layout.document(&manifest["config"]);
    let env: Vec<_> = config["config"]["Env"].as_array().expect("an environment").iter().collect();
    assert!(env.contains(&&Value::from("OWN=1")), "{env:?}");
    let sbom = project.json("dist/on/sbom.linux-amd64.spdx.json").to_string();
    assert!(sbom.contains("usr/bin/app") && sbom.contains("usr/bin/own"), "{sbom}");
}

#[test]
fn findings_in_the_base_are_told_from_findings_in_what_was_added() {
    let project = on("oci:two", SIGNER);
    cached(&project, "base lock up").exits(0);
    cached(&project, "build recipes/on.toml").exits(0);
    let origins = |report: &Value| -> Vec<(String, Value)> {
        let findings = report["images"].as_array().expect("images");
        let findings = findings.iter().flat_map(|one| one["findings"].as_array().expect("some"));
        let findings = findings.filter(|one| one["rule"] == "hardening");
        findings
            .map(|one| (one["path"].as_str().expect("a path").to_owned(), one["origin"].clone()))
            .collect()
    };
    let expected: Vec<(String, Value)> = [("/usr/bin/app", "base"), ("/usr/bin/own", "added")]
        .repeat(2)
        .into_iter()
        .map(|(path, origin)| (path.to_owned(), Value::from(origin)))
        .collect();
    assert_eq!(origins(&project.json("dist/on/report.json")), expected);
    let page = String::from_utf8(project.read("dist/on/report.html")).expect("text");
    assert_eq!(
        page.matches("in the base up").count(),
        page.matches("<code>/usr/bin/app</code>").count()
    );
    assert!(page.contains("in the base up"));
    let image = "inspect oci:dist/on/image:local --exit-zero";
    assert_eq!(
        origins(&cached(&project, &format!("{image} --format json")).exits(0).json()),
        expected
    );
    cached(&project, image).exits(0).prints(&["/usr/bin/app (linux/amd64) [in the base up]"]);
    let log = cached(&project, &format!("{image} --format sarif")).exits(0).json();
    let results = log["runs"][0]["results"].as_array().expect("results").clone();
    let base: Vec<_> = results.iter().filter(|one| one["properties"]["base"] == "up").collect();
    assert!(!base.is_empty());
    for one in base {
        assert_eq!(one["properties"]["origin"], "base");
    }

    // Where the base is not known, nobody says whose layer it is.
    fs::remove_file(project.path("bases/up.lock.toml")).expect("the lock");
    let unknown = cached(&project, &format!("{image} --format json")).exits(0).json();
    assert!(origins(&unknown).iter().all(|(_, origin)| origin.is_null()));
}

#[test]
fn an_image_of_a_registry_is_fetched_once_and_then_never() {
    for referrers in [true, false] {
        let (registry, project) = in_registry(Ways { referrers, ..Ways::default() }, SIGNER);
        cached(&project, "build recipes/on.toml").exits(2).says(&["has no lock", "base lock up"]);
        assert!(registry.server.lines().is_empty(), "a build without a lock asks nobody");
        cached(&project, "base lock up").exits(0);
        let first = project.read("bases/up.lock.toml");
        registry.server.forget();
        cached(&project, "build recipes/on.toml").exits(0);
        cached(&project, "base verify up").exits(0);
        assert!(registry.server.lines().is_empty(), "what is kept is not fetched again");

        fs::remove_dir_all(project.outside().join("cache")).expect("the cache");
        cached(&project, "build --offline recipes/on.toml").exits(3).says(&["--offline"]);
        assert!(registry.server.lines().is_empty(), "`--offline` opens no connection");
        cached(&project, "build recipes/on.toml").exits(0);
        let lines = registry.server.lines();
        assert!(lines.iter().all(|line| line.starts_with("GET") || line.starts_with("HEAD")));
        assert_eq!(project.read("bases/up.lock.toml"), first, "a build writes no lock");
    }
}

#[test]
fn who_must_have_signed_must_have_signed() {
    // Nobody has.
    let project = on("oci:plain", SIGNER);
    cached(&project, "base lock up").exits(1).says(&["is not signed by", "no signature"]);
    has_no_lock(&project);
    // Somebody else has.
    let project = on("oci:two", SIGNER);
    let theirs = karat_key(&project);
    project.write("cosign.pub", theirs);
    cached(&project, "base lock up").exits(1).says(&["is not signed by"]);
    has_no_lock(&project);
    // A key, where an identity must.
    let identity = "signer = { issuer = \"https://issuer.example\", identity = \"a@b.example\" }\n";
    let project = on("oci:two", identity);
    cached(&project, "base lock up").exits(1).says(&["is not signed by", "a@b.example"]);
    has_no_lock(&project);
    // The key is not there, or none.
    let project = on("oci:two", "signer = { key = \"gone.pub\" }\n");
    cached(&project, "base lock up").exits(2).says(&["gone.pub"]);
    project.write("gone.pub", "no key");
    cached(&project, "base lock up").exits(2).says(&["gone.pub"]);
    has_no_lock(&project);
}

/// Makes a key pair beside and returns its public half.
fn karat_key(project: &Project) -> String {
    project
        .karat(&["key", "generate", "--output", "other"])
        .env("COSIGN_PASSWORD", "x")
        .run()
        .exits(0);
    let key = String::from_utf8(project.read("other.pub")).expect("text");
    assert_ne!(key, keys().1);
    key
}

#[test]
fn a_signer_who_is_gone_is_noticed_at_the_next_build() {
    let project = on("oci:two", SIGNER);
    cached(&project, "base lock up").exits(0);
    let theirs = karat_key(&project);
    project.write("cosign.pub", theirs);
    for line in ["build --offline recipes/on.toml", "base verify up", "base build up"] {
        cached(&project, line).exits(1).says(&["is not signed by"]);
    }
    // The lock stays what it was when it cannot be made anew.
    let before = project.read("bases/up.lock.toml");
    cached(&project, "base lock up").exits(1);
    assert_eq!(project.read("bases/up.lock.toml"), before);
}

#[test]
fn a_lock_that_a_hand_has_changed_is_refused() {
    let project = on("oci:two", SIGNER);
    cached(&project, "base lock up").exits(0);
    let good = String::from_utf8(project.read("bases/up.lock.toml")).expect("text");
    let arm64 = lock_of(&project).platforms[1].clone();
    assert_eq!(arm64.platform.to_string(), "linux/arm64");

    let edited = good.replacen("locked = \"20", "locked = \"21", 1);
    project.write("bases/up.lock.toml", edited);
    cached(&project, "build recipes/on.toml").exits(2).says(&["changed by hand"]);
    cached(&project, "base verify up").exits(1).says(&["changed by hand"]);

    let refuses = |change: &dyn Fn(&mut Lock), says: &str| {
        project.write("bases/up.lock.toml", &good);
        forge(&project, change);
        for line in ["build --offline recipes/on.toml", "base verify up", "base build up"] {
            cached(&project, line).exits(1).says(&[says]);
        }
    };
    refuses(&|lock| amd64(lock).layers = arm64.layers.clone(), "other layers for linux/amd64");
    refuses(
        &|lock| {
            let platform = amd64(lock).platform.clone();
            *amd64(lock) = LockedPlatform { platform, ..arm64.clone() };
        },
        "says of itself that it is for linux/arm64",
    );
    refuses(
        &|lock| {
            let root = lock.image.clone().expect("an image");
            amd64(lock).digest = root.digest;
        },
        "does not list",
    );
    refuses(
        &|lock| lock.image.as_mut().expect("an image").signature = None,
        "the lock holds no signature",
    );

    // One of the other kind, and one of another platform alone.
    project.write("bases/up.lock.toml", &good);
    forge(&project, |lock| lock.image = None);
    cached(&project, "build recipes/on.toml").exits(2);
    project.write("bases/up.lock.toml", &good);
    forge(&project, |lock| drop(lock.platforms.remove(0)));
    cached(&project, "build recipes/on.toml").exits(2).says(&["has no layers for linux/amd64"]);
    cached(&project, "base verify up").exits(1).says(&["nothing for linux/amd64"]);
    project.write("bases/up.lock.toml", &good);
    cached(&project, "base verify up").exits(0);
}

#[test]
fn the_digest_of_the_definition_is_the_digest_of_the_lock() {
    let (registry, project) = in_registry(Ways::default(), "");
    cached(&project, "base lock up").exits(0).prints(&["nobody who is asked for"]);
    // Another image, the same lock: the definition has changed.
    let reference = format!("docker://{}/their/app@{}", registry.host(), root("other"));
    define(&project, &reference, "");
    cached(&project, "build recipes/on.toml").exits(2).says(&["stale"]);
    cached(&project, "base lock up").exits(3).says(&["holds no such image"]);
    let before = project.read("bases/up.lock.toml");
    forge(&project, |lock| {
        let text = String::from_utf8(project.read("bases/up.toml")).expect("text");
        let definition = karat::base::definition::Definition::parse("up", "up", &text);
        lock.definition = definition.expect("a definition").digest();
    });
    cached(&project, "build recipes/on.toml").exits(1).says(&["its lock is of the image"]);
    project.write("bases/up.lock.toml", before);
}

#[test]
fn a_layer_that_is_missing_or_another_is_no_base() {
    let (registry, project) = in_registry(Ways::default(), SIGNER);
    cached(&project, "base lock up").exits(0);
    let layer = amd64(&mut lock_of(&project)).layers[0].digest.to_string();
    let forget = || fs::remove_dir_all(project.outside().join("cache")).expect("the cache");
    registry.change("their/app", |held| {
        let bytes = held.blobs.get_mut(&layer).expect("a layer");
        *bytes.last_mut().expect("bytes") ^= 1;
    });
    forget();
    for line in ["build recipes/on.toml", "base verify up"] {
        cached(&project, line).exits(1).says(&[&layer]);
    }
    registry.change("their/app", |held| drop(held.blobs.remove(&layer)));
    for line in ["build recipes/on.toml", "base build up", "base verify up"] {
        cached(&project, line).exits(1).says(&[&layer, "missing"]);
    }
    fs::remove_file(project.path("bases/up.lock.toml")).expect("the lock");
    fs::remove_file(project.path("bases/up.contents.txt")).expect("the list");
    cached(&project, "base lock up").exits(1).says(&[&layer]);
    has_no_lock(&project);
}

#[test]
fn a_platform_that_the_image_does_not_have_cannot_be_locked() {
    let project = on("oci:one", "");
    cached(&project, "base lock up").exits(1).says(&["no image for linux/arm64"]);
    has_no_lock(&project);
    for (reference, says) in [
        ("oci:../outside", "no folder of the project"),
        ("oci:/srv/images", "no folder of the project"),
        ("docker://reg.example/a:v1", "by its digest"),
    ] {
        define(&project, reference, "");
        cached(&project, "base lock up").exits(2).says(&[says]);
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../outside", project.path("link")).expect("a link");
        fs::create_dir(project.outside().join("outside")).expect("a folder");
        define(&project, "oci:link", "");
        cached(&project, "base lock up").exits(1).says(&["lies outside of the project"]);
    }
    has_no_lock(&project);
}

#[test]
fn a_registry_that_fails_leaves_no_lock() {
    let registry = Registry::faulty(Ways::default(), |asked, _| {
        (asked.method == "GET" && asked.path().contains("/blobs/")).then(|| Reply::new(500))
    });
    let project = at(&registry, SIGNER);
    cached(&project, "base lock up").exits(3).says(&["500"]);
    has_no_lock(&project);
    // The host must be one that the policy knows.
    let text = policy("reg.example", "allowlist-only = true", "");
    project.write("karat-policy.toml", text);
    registry.server.forget();
    cached(&project, "base lock up").exits(1).says(&["does not let be reached"]);
    assert!(registry.server.lines().is_empty(), "a host that is not allowed was asked");
}

#[test]
fn a_base_is_read_from_its_mirror() {
    let registry = Registry::start(Ways::default());
    let project = at(&registry, SIGNER);
    let host = registry.host();
    define(&project, &format!("docker://up.example/app@{}", root("two")), SIGNER);
    let mirrors =
        format!("mirrors = {{ \"up.example\" = \"{host}/their\" }}\nallowlist-only = true");
    project.write("karat-policy.toml", policy(&host, &mirrors, ""));
    cached(&project, "base lock up").exits(0);
    let lock = String::from_utf8(project.read("bases/up.lock.toml")).expect("text");
    assert!(!lock.contains(&host), "the lock names a mirror");
    fs::remove_dir_all(project.outside().join("cache")).expect("the cache");
    cached(&project, "build recipes/on.toml").exits(0);
    assert!(registry.server.lines().iter().any(|line| line.contains("/v2/their/app/blobs/")));
}

#[test]
fn only_who_locks_reads_from_the_sources() {
    let (registry, project) = in_registry(Ways::default(), SIGNER);
    let host = registry.host();
    let closed = policy("reg.example", "allowlist-only = true", "");
    let open = |source: &str| format!("{closed}[mirror]\nsources = [\"{source}\"]\n");
    project.write("karat-policy.toml", open(&format!("{host}/theirs")));
    cached(&project, "base lock up").exits(1).says(&["does not let be reached"]);
    project.write("karat-policy.toml", open(&format!("{host}/their")));
    cached(&project, "base lock up").exits(0);
    let lines = registry.server.lines();
    assert!(!lines.is_empty() && lines.iter().all(|line| line.starts_with("GET")), "{lines:?}");
    cached(&project, "build recipes/on.toml").exits(0);
    fs::remove_dir_all(project.outside().join("cache")).expect("the cache");
    registry.server.forget();
    cached(&project, "build recipes/on.toml").exits(1).says(&["does not let be reached"]);
    assert!(registry.server.lines().is_empty(), "a build has asked a source");
}
