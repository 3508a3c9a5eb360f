//! Bases: definitions, locks, and that what comes out is what was locked.

use crate::support::mirror::{Archive, Deb, Member, Signer, day};
use crate::support::{Karat, Output, Project, elf, server};
use karat::base::lock::Lock;
use karat::oci::Digest;
use std::fs;
use std::path::PathBuf;

const DEFINITION: &str = r#"
[base]
kind = "packages"
platforms = ["linux/amd64"]

[debian]
release = "1"
keyring = "keys.asc"

[[debian.suite]]
name = "test"

[[layer]]
name = "rootfs"
packages = ["aa"]

[[layer]]
name = "more"
packages = ["bb"]
dependencies = true

[[exclude]]
path = "/etc/scripts/**"
reason = "programs of others"

[[user]]
name = "nonroot"
id = 65532
home = "/home/nonroot"

[[group]]
name = "nonroot"
id = 65532
"#;

/// A project with a base `own`, and an archive that has its packages.
struct Site {
    project: Project,
    archive: Archive,
    signer: Signer,
}

fn debs() -> Vec<Deb> {
    let aa = vec![
        Member::Folder("./", 0o755),
        Member::Folder("./etc/", 0o755),
        Member::Folder("./home/", 0o755),
        Member::Folder("./var/", 0o755),
        Member::Folder("./var/lib/", 0o755),
        Member::Folder("./var/lib/dpkg/", 0o755),
        Member::File("./etc/a.conf", 0o644, b"a".to_vec()),
        Member::Folder("./etc/scripts/", 0o755),
        Member::File("./etc/scripts/run", 0o755, b"#!/bin/sh\n".to_vec()),
    ];
    let bb = vec![
        Member::Folder("./etc/", 0o755),
        Member::File("./etc/b.conf", 0o644, b"b".to_vec()),
        Member::Link("./etc/c.conf", "b.conf"),
    ];
    let cc =
        vec![Member::Folder("./etc/", 0o755), Member::File("./etc/d.conf", 0o644, b"d".to_vec())];
    let mut list =
        vec![Deb::new("aa", "1.0", aa), Deb::new("bb", "1.0-1", bb), Deb::new("cc", "2", cc)];
    list[1].depends = "cc (>= 1)";
    list
}

impl Site {
    fn of(debs: Vec<Deb>) -> Self {
        let project = Project::new();
        let signer = Signer::new(1);
        project.write("bases/own.toml", DEFINITION);
        project.write("keys.asc", signer.public());
        project.write("app", elf::Elf::default().build());
        project.write(
            "app.karat.toml",
            "[image]\nname = \"app\"\nbase = \"own\"\nplatforms = [\"linux/amd64\"]\n[[binary]]\nsource = \"app\"\n",
        );
        let archive = Archive::new(&project.outside().join("archive"), debs);
        Self { project, archive, signer }
    }

    fn new() -> Self {
        let site = Self::of(debs());
        site.archive.write(&site.signer);
        site
    }

    fn cache(&self) -> PathBuf {
        self.project.outside().join("cache")
    }

    fn karat(&self, line: &str) -> Karat {
        let words: Vec<_> = line.split_whitespace().collect();
        let mirror = format!("file:{}", self.archive.root.display());
        self.project
            .karat(&words)
            .env("KARAT_CACHE", self.cache())
            .env("KARAT_DEBIAN_MIRROR", mirror)
    }

    #[track_caller]
    fn run(&self, line: &str) -> Output {
        self.karat(line).run()
    }

    fn lock(&self) -> String {
        String::from_utf8(self.project.read("bases/own.lock.toml")).expect("text")
    }

    /// Changes the archive, locks, and expects a refusal that writes nothing.
    #[track_caller]
    fn refuses(&self, code: i32, says: &[&str]) {
        self.run("base lock own").exits(code).says(says);
        assert!(!self.project.path("bases/own.lock.toml").exists(), "half a lock was written");
        assert!(!self.project.path("bases/own.contents.txt").exists(), "half a lock was written");
    }
}

#[test]
fn a_base_is_locked_built_and_stood_on() {
    let site = Site::new();
    site.run("base lock own").exits(0).prints(&["package", "aa", "1.0", "cc", "written"]);
    let first = site.lock();
    let mirror = site.archive.root.display().to_string();
    assert!(!first.contains(&mirror), "the lock names a mirror");
    let parsed: toml::Table = first.parse().expect("TOML");
    let platform = &parsed["platform"][0];
    let names: Vec<_> = platform["package"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["aa", "bb", "cc"]);
    assert_eq!(platform["package"][0]["path"].as_str(), Some("pool/main/aa_1.0_all.deb"));
    site.run("base lock own").exits(0).prints(&["nothing new"]);
    assert_eq!(site.lock(), first, "locking again changes no byte");
    site.run("base lock own --check").exits(0);
    let digest = platform["digest"].as_str().expect("a digest").to_owned();
    site.run("base build own").exits(0).prints(&[&format!("own@{digest}")]);
    site.run("base verify own").exits(0).prints(&["ok", &digest]);
    site.run("base list").exits(0).prints(&[
        "own",
        "packages",
        "project",
        "static-debian13",
        "scratch",
    ]);
    site.run("check").exits(0).prints(&["bases/own.toml"]);
    site.run("build --offline --format json").exits(0);
    assert_eq!(site.lock(), first, "a build writes no lock");
    let report = site.project.json("dist/app/report.json");
    let findings = report["findings"].as_array().expect("findings");
    let excludes = findings.iter().find(|one| one["rule"] == "base-excludes").expect("said");
    assert!(excludes["evidence"][0].as_str().unwrap().contains("/etc/scripts/**"));
    let contents = String::from_utf8(site.project.read("bases/own.contents.txt")).unwrap();
    for path in [
        "/etc/a.conf  rootfs",
        "/etc/c.conf  more  l",
        "/etc/passwd  rootfs",
        "/home/nonroot  rootfs  d  0700  65532:65532",
        "/var/lib/dpkg/status.d/aa  rootfs",
        "/var/lib/dpkg/status.d/cc.md5sums  more",
    ] {
        assert!(contents.contains(path), "{path}:\n{contents}");
    }
    assert!(!contents.contains("scripts"));
}

#[test]
fn a_build_makes_what_the_cache_lacks_unless_it_is_offline() {
    let site = Site::new();
    site.run("base lock own").exits(0);
    fs::remove_dir_all(site.cache()).expect("the cache");
    site.karat("build --offline")
        .env("KARAT_DEBIAN_MIRROR", "http://127.0.0.1:1/debian")
        .run()
        .exits(3)
        .says(&["--offline", "pool/main/aa_1.0_all.deb"]);
    site.run("build").exits(0);
    let root = site.project.outside().join("gone");
    fs::rename(&site.archive.root, root).expect("the archive goes");
    site.run("build --offline").exits(0);
}

#[test]
fn something_new_is_a_reviewable_difference() {
    let mut site = Site::new();
    site.run("base lock own").exits(0);
    let first = site.lock();
    let mut newer = debs();
    newer[1] = Deb::new(
        "bb",
        "1.0-2",
        vec![
            Member::Folder("./etc/", 0o755),
            Member::File("./etc/b.conf", 0o644, b"other".to_vec()),
            Member::File("./etc/new.conf", 0o644, b"n".to_vec()),
        ],
    );
    newer[1].depends = "cc (>= 1)";
    site.archive.debs.extend(newer.into_iter().filter(|deb| deb.version == "1.0-2"));
    site.archive.write(&site.signer);
    site.run("base lock own --check").exits(1).prints(&["bb  1.0-1 -> 1.0-2"]);
    assert_eq!(site.lock(), first);
    site.run("base lock own").exits(0).prints(&[
        "bb  1.0-1 -> 1.0-2",
        "added       /etc/new.conf",
        "removed     /etc/c.conf",
        "changed     /etc/b.conf",
        "bytes",
    ]);
    assert_ne!(site.lock(), first);
}

#[test]
fn a_lock_is_missing_stale_edited_or_for_another_platform() {
    let site = Site::new();
    site.run("build").exits(2).says(&["no lock", "karat base lock own"]);
    site.run("check").exits(2).says(&["karat base lock own"]);
    site.run("base lock own").exits(0);
    let lock = site.lock();
    site.project.write("bases/own.lock.toml", lock.replace("1.0-1", "1.0-9"));
    for line in ["build", "base build own", "check"] {
        site.run(line).exits(2).says(&["changed by hand"]);
    }
    site.run("base verify own").exits(1).says(&["changed by hand"]);
    site.project.write(
        "bases/own.lock.toml",
        lock.replace("architecture = \"all\"", "architecture = \"arm64\""),
    );
    site.run("build").exits(2).says(&["is for arm64"]);
    site.project.write("bases/own.lock.toml", lock.replace("[[suite]]", "[[suit]]"));
    site.run("build").exits(2).says(&["unknown key `suit`"]);
    site.project.write("bases/own.lock.toml", &lock);
    site.project
        .write("bases/own.toml", DEFINITION.replace("programs of others", "another reason"));
    site.run("build").exits(2).says(&["stale", "karat base lock own"]);
    site.project.write("bases/own.toml", format!("# a comment\n{DEFINITION}"));
    site.run("build").exits(0);
    let recipe = String::from_utf8(site.project.read("app.karat.toml")).unwrap();
    site.project.write("app.karat.toml", recipe.replace("linux/amd64", "linux/arm64"));
    site.run("build").exits(2).says(&["no layers for linux/arm64"]);
}

#[test]
fn definitions_are_strict() {
    let project = Project::new();
    let check = |text: &str| {
        project.write("bases/own.toml", text);
        project.run("check bases/own.toml")
    };
    check(DEFINITION).exits(0);
    check("[base]\nkind = \"scratch\"\n").exits(0);
    check("[base]\nkind = \"image\"\nplatforms = [\"linux/amd64\"]\n[image]\nreference = \"docker://registry.example/static@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\nsigner = { key = \"cosign.pub\" }\n").exits(0);
    for (from, to, says) in [
        ("kind = \"packages\"", "kind = \"debs\"", "no kind of base"),
        ("kind = \"packages\"", "kind = \"scratch\"", "is not for a base of the kind"),
        ("kind = \"packages\"", "kin = \"packages\"", "unknown key `kin`"),
        ("linux/amd64", "linux/vax", "not a platform"),
        ("packages = [\"aa\"]", "packages = [\"../aa\"]", "no name of a package"),
        ("packages = [\"bb\"]", "packages = [\"aa\"]", "is there twice"),
        ("name = \"more\"", "name = \"rootfs\"", "is there twice"),
        ("/etc/scripts/**", "etc/scripts", "does not begin with `/`"),
        ("/etc/scripts/**", "/etc/**/x", "no path of this form"),
        ("reason = \"programs of others\"", "reason = \" \"", "the reason says something"),
        ("keyring = \"keys.asc\"", "keyring = \"../keys\"", "names no keyring"),
        ("id = 65532\nhome", "id = 4294967295\nhome", "no number of a user"),
        ("home = \"/home/nonroot\"", "home = \"home\"", "home"),
    ] {
        assert!(DEFINITION.contains(from), "{from}");
        check(&DEFINITION.replacen(from, to, 1)).exits(2).says(&[says, "bases/own.toml"]);
    }
    project.write("bases/own.toml", "[base]\nkind = \"image\"\nplatforms = [\"linux/amd64\"]\n[image]\nreference = \"docker://registry.example/static:latest\"\n");
    project.run("check bases/own.toml").exits(2).says(&["named by its digest"]);
    project.done("schema base").prints(&["\"exclude\"", "karat:schema:base"]);
}

#[test]
fn a_base_with_the_name_of_a_built_in_one_is_refused() {
    let site = Site::new();
    site.project.write("bases/static-debian13.toml", DEFINITION);
    site.project.write("bases/scratch.toml", "[base]\nkind = \"scratch\"\n");
    let recipe = String::from_utf8(site.project.read("app.karat.toml")).unwrap();
    for name in ["static-debian13", "scratch"] {
        site.project.write("app.karat.toml", recipe.replace("\"own\"", &format!("\"{name}\"")));
        if name == "static-debian13" {
            site.run("base lock static-debian13").exits(0);
        }
        site.run("build").exits(2).says(&["has the name of the built-in base"]);
    }
}

#[test]
fn releases_that_are_not_signed_or_not_valid_are_refused() {
    let mut site = Site::of(debs());
    site.archive.write(&Signer::new(2));
    site.refuses(1, &["not signed by a key of the keyring"]);
    site.archive.write(&site.signer);
    let path = site.archive.root.join("dists/test/InRelease");
    let good = fs::read_to_string(&path).expect("a release");
    fs::write(&path, good.replacen("Codename: test", "Codename: t3st", 1)).expect("a file");
    site.refuses(1, &["not what was signed"]);
    fs::write(&path, format!("Codename: test\n{good}")).expect("a file");
    site.refuses(1, &["does not begin with"]);
    fs::write(&path, "<!DOCTYPE html><html>sign in</html>").expect("a file");
    site.refuses(1, &["a web page"]);
    fs::write(&path, &good[..good.len() / 2]).expect("a file");
    site.refuses(1, &["not signed"]);
    for (key, value, says) in [
        ("Valid-Until", day(-1), "has expired"),
        ("Date", day(3), "to come"),
        ("Date", String::new(), "no `Date`"),
        ("Codename", "other".to_owned(), "is that of `other`"),
        ("SHA256", String::new(), "no `SHA256`"),
    ] {
        site.archive.release = [(key, value)].into();
        site.archive.write(&site.signer);
        site.refuses(1, &[says]);
    }
}

#[test]
fn indexes_that_lie_are_refused() {
    let mut site = Site::of(debs());
    site.archive.write(&site.signer);
    // Signed, but the file is another.
    let index = site.archive.root.join("dists/test/main/binary-amd64/Packages.gz");
    let good = fs::read(&index).expect("an index");
    let mut bad = good.clone();
    *bad.last_mut().expect("bytes") ^= 1;
    fs::write(&index, &bad).expect("a file");
    site.refuses(1, &["not what was promised"]);
    fs::write(&index, &good[..good.len() - 3]).expect("a file");
    site.refuses(1, &["not what was promised"]);
    for (from, to, says) in [
        ("Size: ", "Size: 1", "aa_1.0_all.deb"),
        ("SHA256: ", "SHA256: 00", "without a meaning"),
        ("Filename: pool", "Filename: ../pool", "without a meaning"),
        ("Version: 1.0\n", "Version: 1.1\n", "the lock has another"),
    ] {
        let _ = fs::remove_dir_all(site.cache());
        site.archive.lie = Some((from, to));
        site.archive.write(&site.signer);
        site.refuses(1, &[says]);
    }
}

#[test]
fn packages_that_are_not_what_was_promised_are_refused() {
    let site = Site::new();
    let path = site.archive.root.join("pool/main/aa_1.0_all.deb");
    let good = fs::read(&path).expect("a package");
    let mut bad = good.clone();
    bad[100] ^= 1;
    fs::write(&path, &bad).expect("a file");
    site.refuses(1, &["aa_1.0_all.deb", "not what was promised"]);
    fs::write(&path, &good[..100]).expect("a file");
    site.refuses(1, &["aa_1.0_all.deb"]);
    fs::write(&path, "<html></html>").expect("a file");
    site.refuses(1, &["aa_1.0_all.deb"]);
    fs::remove_file(&path).expect("a file");
    site.refuses(3, &["`pool/main/aa_1.0_all.deb` is gone", "snapshot"]);
}

#[test]
fn what_no_base_may_hold_is_refused() {
    for (member, says) in [
        (Member::Raw("../evil", b'0', "", 0o644), "leads out of the root"),
        (Member::Raw("./etc/../../evil", b'0', "", 0o644), "leads out of the root"),
        (Member::Raw("/etc/evil", b'0', "", 0o644), "absolute"),
        (Member::Raw("./etc/null", b'3', "", 0o644), "character device"),
        (Member::Raw("./etc/pipe", b'6', "", 0o644), "FIFO"),
        (Member::Raw("./etc/su", b'0', "", 0o4755), "setuid"),
        (Member::Raw("./etc/hard", b'1', "../../outside", 0o644), "leads out of the root"),
        (Member::Raw("./etc/hard", b'1', "./etc/nothing", 0o644), "hard link"),
        (Member::Raw("./nowhere/file", b'0', "", 0o644), "a folder that nothing makes"),
        (Member::File("./etc/b.conf", 0o644, b"other".to_vec()), "and not alike"),
    ] {
        let mut list = debs();
        list[0].members.push(member);
        let site = Site::of(list);
        site.archive.write(&site.signer);
        site.refuses(1, &[says]);
    }
}

#[test]
fn libraries_that_are_missing_fail_the_lock() {
    let mut list = debs();
    let program =
        elf::Elf { interpreter: None, needed: vec!["libgone.so.1"], ..elf::Elf::default() };
    list[1].members.push(Member::Folder("./usr/", 0o755));
    list[1].members.push(Member::Folder("./usr/lib/", 0o755));
    list[1].members.push(Member::File("./usr/lib/libb.so", 0o644, program.build()));
    let site = Site::of(list);
    site.archive.write(&site.signer);
    site.refuses(1, &["libgone.so.1", "/usr/lib/libb.so"]);
}

#[test]
fn exclusions_that_leave_nothing_out_and_dependencies_that_nobody_has_are_said() {
    let mut site = Site::of(debs());
    site.project.write("bases/own.toml", DEFINITION.replace("/etc/scripts/**", "/etc/other/**"));
    site.archive.write(&site.signer);
    site.refuses(2, &["leaves nothing out"]);
    site.project.write("bases/own.toml", DEFINITION);
    site.archive.debs[1].depends = "nobody | nothing";
    site.archive.write(&site.signer);
    site.refuses(2, &["`bb` depends on `nobody | nothing`"]);
}

#[test]
fn a_build_that_comes_out_differently_names_the_first_entry() {
    let site = Site::new();
    site.run("base lock own").exits(0);
    let contents = String::from_utf8(site.project.read("bases/own.contents.txt")).unwrap();
    for (from, to, says) in [
        (
            "/etc/a.conf  rootfs  f  0644",
            "/etc/a.conf  rootfs  f  0640",
            "`/etc/a.conf`: locked was",
        ),
        (
            "/etc/a.conf  rootfs",
            "/etc/aa.conf  rootfs",
            "`/etc/a.conf`, which the lock does not have",
        ),
        ("/etc/group  rootfs", "/etc/fstab  rootfs", "`/etc/fstab`, which is not made"),
    ] {
        // A lock whose checksum fits, of layers that nobody can make.
        let mut lock = Lock::parse("own", &site.lock()).unwrap();
        let other = contents.replace(from, to);
        assert_ne!(other, contents);
        lock.platforms[0].layers[0].digest = Digest::of(from.as_bytes());
        lock.contents = Digest::of(other.as_bytes());
        let before = site.lock();
        site.project.write("bases/own.lock.toml", lock.to_text("own"));
        site.project.write("bases/own.contents.txt", other);
        for line in ["base build own", "base verify own", "build --offline"] {
            site.run(line).exits(1).says(&["the layer `rootfs` of linux/amd64", says]);
        }
        site.project.write("bases/own.lock.toml", before);
    }
}

#[test]
fn one_digest_in_two_folders_under_two_masks_on_one_and_two_threads() {
    let mut digests = Vec::new();
    for (mask, threads) in [("022", 1), ("077", 2)] {
        let site = Site::new();
        let mirror = format!("file:{}", site.archive.root.display());
        let script = format!(
            "umask {mask} && {} base lock own >&2 && {} base build own --threads {threads}",
            crate::support::KARAT,
            crate::support::KARAT
        );
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .current_dir(site.project.root())
            .env("KARAT_CACHE", site.cache())
            .env("KARAT_DEBIAN_MIRROR", mirror)
            .env("TZ", if threads == 1 { "UTC" } else { "Asia/Kolkata" })
            .output()
            .expect("sh");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        digests.push(String::from_utf8(output.stdout).expect("text"));
    }
    assert_eq!(digests[0], digests[1]);
    assert!(digests[0].contains("own@sha256:"));
}

#[test]
fn freshness_is_a_finding_and_verify_judges_it() {
    let site = Site::new();
    let old = DEFINITION
        .replace("kind = \"packages\"", "kind = \"packages\"\nmaintained-until = \"2026-01-31\"");
    site.project.write("bases/own.toml", old);
    site.run("base lock own").exits(0);
    site.run("base verify own").exits(1).says(&["maintained until 2026-01-31"]);
    site.run("build").exits(1);
    let report = site.project.json("dist/app/report.json");
    let ids: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["rule"].as_str().unwrap())
        .collect();
    assert!(ids.contains(&"base-unmaintained"), "{ids:?}");
    let mut late = Site::of(debs());
    late.archive.release = [("Date", day(-100)), ("Valid-Until", String::new())].into();
    late.archive.write(&late.signer);
    late.run("base lock own").exits(0);
    late.run("base verify own").exits(1).says(&["at most 90"]);
    late.run("build").exits(0);
    let report = late.project.json("dist/app/report.json");
    let finding =
        report["findings"].as_array().unwrap().iter().find(|one| one["rule"] == "base-outdated");
    assert_eq!(finding.expect("a finding")["severity"], "medium");
    late.project
        .write("karat-policy.toml", "[policy]\nname = \"p\"\n[bases]\nmax-age = \"200d\"\n");
    late.run("base verify own").exits(0);
    late.project.write("karat-policy.toml", "[policy]\nname = \"p\"\n[bases]\nmax-age = \"10y\"\n");
    late.run("base verify own").exits(2).says(&["no age"]);
}

#[test]
fn mirrors_are_the_sites_choice() {
    let site = Site::new();
    let mirror = format!("file:{}", site.archive.root.display());
    site.project.write("karat-site.toml", format!("[mirrors]\ndebian = [\"{mirror}\"]\n"));
    let run = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        site.project.karat(&words).env("KARAT_CACHE", site.cache()).run()
    };
    run("base lock own").exits(0);
    // So is where packages are kept.
    let own = format!("[mirrors]\ndebian = [\"{mirror}\"]\n[cache]\nfolder = \"kept\"\n");
    site.project.write("karat-site.toml", own);
    let words = ["base", "build", "own"];
    site.project.karat(&words).env("HOME", site.project.outside()).run().exits(0);
    assert!(site.project.path("kept").is_dir() && !site.project.outside().join(".cache").exists());
    site.project.write("karat-site.toml", "[mirrors]\ndebian = [\"ftp://x\"]\n");
    run("base lock own").exits(2).says(&["no mirror", "karat-site.toml"]);
    site.karat("base lock own").env("KARAT_DEBIAN_MIRROR", "somewhere").run().exits(2);
}

/// An archive over http, with what a handler makes of a request for a package.
fn over_http(
    site: &Site,
    fault: impl Fn(&server::Asked) -> Option<server::Reply> + Send + Sync + 'static,
) -> (server::Server, String) {
    let root = site.archive.root.clone();
    let server = server::Server::start(move |asked| {
        if let Some(reply) = fault(asked) {
            return reply;
        }
        match fs::read(root.join(asked.path().trim_start_matches("/debian/"))) {
            Ok(bytes) => server::Reply::new(200).body(bytes),
            Err(_) => server::Reply::new(404),
        }
    });
    let address = format!("http://{}/debian", server.authority());
    (server, address)
}

#[track_caller]
fn lock_from(site: &Site, address: &str) -> Output {
    site.karat("base lock own")
        .env("KARAT_DEBIAN_MIRROR", address)
        .env("KARAT_HTTP_RETRIES", "1")
        .env("KARAT_HTTP_TIMEOUT", "1")
        .run()
}

#[test]
fn a_mirror_over_http_may_break_off_and_is_asked_again() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let site = Site::new();
    let times = AtomicUsize::new(0);
    let bytes = debs()[0].bytes();
    let (_server, address) = over_http(&site, move |asked| {
        let is_first =
            asked.path().ends_with("aa_1.0_all.deb") && times.fetch_add(1, Ordering::SeqCst) == 0;
        is_first.then(|| {
            let mut reply = server::Reply::new(200).body(bytes.clone());
            reply.cut = Some(100);
            reply
        })
    });
    lock_from(&site, &address).exits(0);
}

#[test]
fn a_mirror_over_http_that_does_wrong_is_reported() {
    for (fault, code, says) in [
        (
            server::Reply::new(200)
                .header("Content-Type", "text/html")
                .body("<html>sign in</html>"),
            3,
            "a web page",
        ),
        (
            server::Reply::new(302).header("Location", "http://other.example/InRelease"),
            3,
            "other.example",
        ),
        (server::Reply::new(500), 3, "500"),
        (
            server::Reply {
                hang: Some(std::time::Duration::from_secs(30)),
                ..server::Reply::new(200)
            },
            3,
            "in time",
        ),
        (server::Reply::new(404), 3, "is gone from the mirror"),
    ] {
        let site = Site::new();
        let (_server, address) = over_http(&site, move |asked| {
            asked.path().ends_with("InRelease").then(|| fault.clone())
        });
        let output = lock_from(&site, &address);
        assert_eq!(output.code, code, "{says}: {}", output.stderr);
        output.says(&[says]);
        assert!(!site.project.path("bases/own.lock.toml").exists());
    }
}
