//! The gate's rules about files and layers: for each one, an image that breaks this rule and
//! no other, and one as much like it as can be that is right.

use crate::support::elf::Elf;
use crate::support::foreign::{Image, Member, file, folder, link};
use crate::support::{Project, recipe_on, rules};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn app() -> Member {
    file("usr/bin/app", Elf::default().build())
}

fn image(layers: impl IntoIterator<Item = Vec<Member>>) -> Image {
    Image {
        run: json!({ "User": "65532:65532", "Entrypoint": ["/usr/bin/app"], "WorkingDir": "/" }),
        config: json!({}),
        annotations: json!({}),
        layers: layers.into_iter().collect(),
    }
}

/// An image of one layer: the program, and these.
fn one(members: impl IntoIterator<Item = Member>) -> Image {
    image([[app()].into_iter().chain(members).collect()])
}

/// Makes sure that an image breaks these rules and no other.
#[track_caller]
fn breaks(project: &Project, what: &str, image: &Image, expected: &[&str]) -> Value {
    let report = image.report(project);
    let found: BTreeSet<_> = rules(&report).into_iter().collect();
    let expected = expected.iter().copied().chain(["not-scanned"]).map(str::to_owned).collect();
    assert_eq!(found, expected, "{what}: {:#}", report["findings"]);
    report
}

#[test]
fn what_a_later_layer_hides_is_refused_and_told() {
    let project = Project::new();
    let bad = || file("opt/run", "#!/bin/sh\n");
    for (how, over) in [
        ("a whiteout", file("opt/.wh.run", "")),
        ("a whiteout of the folder", file(".wh.opt", "")),
        ("an opaque folder", file("opt/.wh..wh..opq", "")),
        ("another file", file("opt/run", "harmless")),
        ("a file over the folder", file("opt", "harmless")),
    ] {
        let image = image([vec![app(), bad()], vec![over]]);
        let report = breaks(&project, how, &image, &["script", "hidden-content"]);
        let findings = report["findings"].as_array().expect("findings");
        let script = findings.iter().find(|one| one["rule"] == "script").expect("the script");
        assert_eq!(script["path"], "/opt/run");
        let evidence = script["evidence"].to_string();
        assert!(evidence.contains("layer 1 of 2"), "{how}: {evidence}");
        assert!(evidence.contains("can still be pulled"), "{how}: {evidence}");
    }
    let again = image([vec![app(), bad()], vec![bad().mode(0o700)]]);
    let report = breaks(&project, "a new mode", &again, &["script"]);
    assert!(report["findings"].to_string().contains("/opt/run"));
}

#[test]
fn each_copy_of_the_same_bytes_is_told() {
    let project = Project::new();
    let copies = ["etc/one", "opt/two", "usr/bin/three"];
    let image = one(copies.map(|path| file(path, "#!/bin/sh\n")));
    let report = breaks(&project, "copies", &image, &["script"]);
    let findings = report["findings"].as_array().expect("findings").iter();
    let scripts = findings.filter(|finding| finding["rule"] == "script");
    let paths: BTreeSet<_> = scripts.map(|finding| finding["path"].to_string()).collect();
    assert_eq!(paths, copies.map(|path| format!("\"/{path}\"")).into());
}

#[test]
fn deletions_that_trick_readers_are_refused() {
    let project = Project::new();
    let base = || vec![app(), file("opt/a", "a"), folder("srv")];
    for (what, over, expected) in [
        ("in order", vec![file("opt/.wh.a", "")], &["hidden-content"][..]),
        ("opaque", vec![folder("srv"), file("srv/.wh..wh..opq", "")], &[]),
        ("of a folder", vec![file(".wh.srv", "")], &[]),
        ("of nothing", vec![file("opt/.wh.b", "")], &["whiteout-of-nothing"]),
        ("without a name", vec![file("opt/.wh.", "")], &["whiteout-odd"]),
        ("of the folder itself", vec![file("opt/.wh..", "")], &["whiteout-odd"]),
        ("of another builder", vec![file("opt/.wh..wh.plnk", "")], &["whiteout-odd"]),
        ("with content", vec![file("opt/.wh.a", "x")], &["whiteout-odd", "hidden-content"]),
        ("as a folder", vec![folder("srv/.wh.a")], &["whiteout-odd"]),
        ("beside its name", vec![file("opt/.wh.a", ""), file("opt/a", "a")], &["whiteout-odd"]),
    ] {
        breaks(&project, what, &image([base(), over]), expected);
    }
}

#[test]
fn deleted_evidence_is_refused() {
    let project = Project::new();
    for path in ["etc/passwd", "etc/ssl/certs/ca-certificates.crt", "var/lib/dpkg/status.d/libc6"] {
        let (folder, name) = path.rsplit_once('/').expect("a folder");
        let base = || vec![app(), file(path, "text").mode(0o644)];
        let deleted = image([base(), vec![file(format!("{folder}/.wh.{name}"), "")]]);
        breaks(&project, path, &deleted, &["evidence-hidden", "hidden-content"]);
        let replaced = image([base(), vec![file(path, "other").mode(0o644)]]);
        breaks(&project, path, &replaced, &["hidden-content"]);
    }
}

#[test]
fn links_that_lead_out_or_nowhere_are_told() {
    let project = Project::new();
    let over = |base: Member, over: Member| image([vec![app(), base], vec![over]]);
    for (what, image, expected) in [
        ("inside", one([link("opt/x", "../usr/bin/app")]), &[][..]),
        ("absolute", one([link("opt/x", "/usr/bin/app")]), &[]),
        ("to what a runtime makes", one([link("etc/mtab", "/proc/mounts")]), &[]),
        ("to the root", one([link("opt/x", "..")]), &[]),
        ("outside", one([link("opt/x", "../../usr/bin/app")]), &["link-escapes"]),
        ("outside from the root", one([link("x", "../usr/bin/app")]), &["link-escapes"]),
        (
            "outside through a link of a layer below",
            over(link("opt/deep/er", "/usr"), link("opt/deep/x", "er/../../usr/bin/app")),
            &["link-escapes"],
        ),
        ("outside, hidden", over(link("x", "../etc/shadow"), file("x", "text")), &["link-escapes"]),
        ("to itself", one([link("x", "x")]), &["link-loop"]),
        ("in a circle", over(link("a", "b"), link("b", "a")), &["link-loop"]),
        ("nowhere", one([link("x", "/opt/missing")]), &["link-dangling"]),
        (
            "to what a later layer deletes",
            image([vec![app(), link("x", "opt/a"), folder("opt/a")], vec![file("opt/.wh.a", "")]]),
            &["link-dangling"],
        ),
    ] {
        breaks(&project, what, &image, expected);
    }
}

#[test]
fn file_that_is_written_through_a_link_is_refused() {
    let project = Project::new();
    let base = || vec![app(), folder("real"), link("way", "real")];
    let through = &["write-through-link"][..];
    breaks(&project, "later", &image([base(), vec![file("way/x", "x")]]), through);
    breaks(&project, "deeper", &image([base(), vec![file("way/a/b/x", "x")]]), through);
    let same: Vec<_> = base().into_iter().chain([file("way/x", "x")]).collect();
    breaks(&project, "in one layer", &image([same]), through);
    breaks(&project, "beside", &image([base(), vec![file("real/x", "x")]]), &[]);
    let replaced = vec![folder("way"), file("way/x", "x")];
    breaks(&project, "over a folder", &image([base(), replaced]), &[]);
}

#[test]
fn names_that_deceive_are_refused() {
    let project = Project::new();
    let deceptive = &["path-deceptive"][..];
    let collision = &["name-collision"][..];
    for (what, members, expected) in [
        ("plain", vec![file("opt/a.b c", "x")], &[][..]),
        ("letters of others", vec![file("opt/Főtanúsítvány.crt", "x")], &[]),
        ("a space at the end", vec![file("opt/a ", "x")], deceptive),
        ("a dot at the end", vec![file("opt/a.", "x")], deceptive),
        ("a line break", vec![file("opt/a\nb", "x")], deceptive),
        ("an escape", vec![file("opt/a\u{1b}[2J", "x")], deceptive),
        ("reordered", vec![file("opt/a\u{202e}b", "x")], deceptive),
        ("zero width", vec![file("opt/a\u{200b}", "x")], deceptive),
        ("no UTF-8", vec![file(b"opt/a\xff", "x")], deceptive),
        ("case in programs", vec![file("usr/bin/App", "x")], collision),
        ("case in libraries", vec![file("usr/lib/a", "x"), file("usr/lib/A", "x")], collision),
        ("case elsewhere", vec![file("opt/a", "x"), file("opt/A", "x")], &[]),
    ] {
        breaks(&project, what, &one(members), expected);
    }
    let two = image([vec![app()], vec![file("usr/bin/APP", "x")]]);
    breaks(&project, "across layers", &two, collision);
}

#[test]
fn what_the_user_may_change_is_refused() {
    let project = Project::new();
    let writable = &["writable-by-user"][..];
    let library = || file("usr/lib/libx.so.1", "x");
    for (what, image, expected) in [
        ("root's", one([library()]), &[][..]),
        ("data of the user's", one([file("data/x", "x").owner(65532, 65532)]), &[]),
        ("the program", image([vec![app().owner(65532, 0)]]), writable),
        ("by its group", image([vec![app().owner(0, 65532).mode(0o775)]]), writable),
        ("of the group, not writable", image([vec![app().owner(0, 65532)]]), &[]),
        ("of another group", image([vec![app().owner(0, 7).mode(0o775)]]), &[]),
        ("the folder", one([folder("usr/bin").owner(65532, 65532)]), writable),
        ("a folder further up", one([folder("usr").owner(65532, 65532)]), writable),
        ("a library", one([library().owner(65532, 65532)]), writable),
        ("its folder", one([library(), folder("usr/lib").owner(65532, 0)]), writable),
        (
            "whom it trusts",
            one([file("etc/ssl/certs/ca-certificates.crt", "x").owner(65532, 0)]),
            writable,
        ),
        ("everybody's", one([library().mode(0o666)]), &["world-writable"]),
        ("a folder of everybody's", one([folder("srv").mode(0o777)]), &["world-writable"]),
        ("with a sticky bit", one([folder("srv").mode(0o1777)]), &[]),
    ] {
        breaks(&project, what, &image, expected);
    }
}

#[test]
fn what_the_loader_takes_from_elsewhere_is_refused() {
    let project = Project::new();
    let conf = |text: &str| one([file("etc/ld.so.conf.d/x.conf", text).mode(0o644)]);
    let path = &["loader-path"][..];
    for (what, image, expected) in [
        ("usual", conf("# a remark\n/usr/local/lib\n/lib/x86_64-linux-gnu\n"), &[][..]),
        ("include", one([file("etc/ld.so.conf", "include ld.so.conf.d/*.conf\n")]), &[]),
        ("elsewhere", conf("/tmp\n"), path),
        ("relative", conf("lib\n"), path),
        ("around", conf("/usr/lib/../../tmp\n"), path),
        ("of musl", one([file("etc/ld-musl-x86_64.path", "/lib:/srv/lib")]), path),
        (
            "of the user",
            one([
                file("etc/ld.so.conf", "/usr/local/lib\n"),
                folder("usr/local/lib").owner(65532, 65532),
            ]),
            path,
        ),
        ("preload", one([file("etc/ld.so.preload", "/x.so\n")]), &["loader-preload"]),
        (
            "preload, hidden",
            image([
                vec![app(), folder("etc"), file("etc/ld.so.preload", "/x.so\n")],
                vec![file("etc/.wh.ld.so.preload", "")],
            ]),
            &["loader-preload", "hidden-content"],
        ),
    ] {
        breaks(&project, what, &image, expected);
    }
}

#[test]
fn attributes_mounted_folders_and_leftovers_are_told() {
    let project = Project::new();
    let key = format!(
        "-----BEGIN {} KEY-----\n{}\n",
        "PRIVATE",
        "MIIEvQaB3dE5gH7jK9mN1pQ3sT5vW7".repeat(3)
    );
    let leftover = &["leftover"][..];
    let mounted = &["file-in-mount"][..];
    for (what, members, expected) in [
        (
            "capabilities",
            vec![file("x", "x").xattr("security.capability")],
            &["file-capabilities"][..],
        ),
        ("overlay", vec![folder("x").xattr("trusted.overlay.opaque")], &["extended-attribute"]),
        ("user", vec![file("x", "x").xattr("user.payload")], &["extended-attribute"]),
        ("mount points", vec![folder("proc"), folder("dev/pts"), file("dev/console", "")], &[]),
        ("usual links", vec![link("dev/fd", "/proc/self/fd")], &[]),
        ("/dev", vec![file("dev/x", "x")], mounted),
        ("/proc", vec![file("proc/a/x", "x")], mounted),
        ("/sys", vec![link("sys/x", "/usr/bin/app")], mounted),
        ("a name alike", vec![file("devices/x", "x"), file("srv/proc/x", "x")], &[]),
        (".git", vec![file("src/.git/config", "x"), file("src/.git/HEAD", "x")], leftover),
        (".ssh", vec![file("root/.ssh/known_hosts", "x")], leftover),
        ("a history", vec![file("root/.bash_history", "ls")], leftover),
        ("a cache", vec![file("root/.cache/x", "x")], leftover),
        ("names alike", vec![file("src/.gitignore", "x"), folder("root/.cache")], &[]),
        ("a key", vec![file("etc/x.pem", &key)], &["secret-private-key"]),
        ("a public key", vec![file("etc/x.pem", key.replace("PRIVATE", "PUBLIC"))], &[]),
        ("words about keys", vec![file("doc", "a PRIVATE KEY----- is\n")], &[]),
    ] {
        let report = breaks(&project, what, &one(members), expected);
        assert!(!report.to_string().contains("aB3dE5"), "{report}");
        let told = rules(&report).len();
        assert!(told <= 2, "{what}: told {told} times");
    }
}

#[test]
fn key_in_a_data_folder_of_a_recipe_is_refused() {
    let project = Project::small();
    let key = format!(
        "-----BEGIN {} KEY-----\n{}\n",
        "RSA PRIVATE",
        "MIIEvQaB3dE5gH7jK9mN1pQ3sT5".repeat(3)
    );
    let text =
        recipe_on("scratch", "", "app", "app") + "[[file]]\nsource = \"data\"\npath = \"/srv\"\n";
    project.write("app.karat.toml", text);
    project.write("data/server.pem", &key);
    project.run("build").exits(1).says(&["secret-private-key", "/srv/server.pem"]);
    project.write("data/server.pem", key.replace("RSA PRIVATE", "PUBLIC"));
    project.done("build");
}

#[test]
fn image_of_many_links_and_folders_is_judged_in_time() {
    let project = Project::new();
    let links = (0..20_000).map(|n| link(&format!("l/{n}"), &format!("{}", (n + 1) % 20_000)));
    let deep = (0..5_000).map(|n| file(format!("d/{n}/a/b/c/d/e/f/g/h/x"), "x"));
    let hidden = (0..20_000).map(|n| file(format!("h/{n}"), "x"));
    let image = image([
        [app()].into_iter().chain(links).chain(deep).chain(hidden).collect(),
        vec![file(".wh.h", "")],
    ]);
    image.write(&project, "image");
    project.run("inspect oci:image").exits(1).prints(&["link-loop", "hidden-content"]);
}
