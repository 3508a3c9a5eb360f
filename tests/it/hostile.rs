//! Bad input and bad surroundings: no panic, no half image, and a code that is true.

use crate::support::elf::{Elf, SCRIPT};
use crate::support::{KARAT, Project, keys, names, recipe, recipe_on, sha256};
use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Bytes without a pattern (xorshift64).
fn random(mut seed: u64, length: usize) -> Vec<u8> {
    std::iter::repeat_with(|| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_le_bytes()
    })
    .flatten()
    .take(length)
    .collect()
}

fn data(source: &str) -> String {
    recipe("app", "app") + &format!("[[file]]\nsource = {source:?}\npath = \"/srv\"\n")
}

#[track_caller]
fn no_image(project: &Project) {
    assert!(!project.path("dist/app/image").exists(), "an image in spite of it");
    project.is_tidy();
}

#[test]
fn cut_program_is_rejected_at_every_length() {
    let project = Project::small();
    let whole = Elf::default().build();
    let mut line = "inspect --format json".to_owned();
    // To the end of what is loaded; the tables behind it have a test of their own.
    for length in (4..188).step_by(2) {
        project.write(&format!("cut{length}"), &whole[..length]);
        line += &format!(" cut{length}");
    }
    let reports = project.run(&line).exits(1).json();
    let reports = reports["reports"].as_array().expect("reports");
    assert!(reports.len() > 90);
    for report in reports {
        assert_eq!(report["verdict"], "rejected", "{}", report["subject"]);
    }
    project.write("app", &whole[..whole.len() / 2]);
    project.run("build").exits(1);
    no_image(&project);
}

#[test]
fn program_with_changed_header_bytes_never_brings_karat_down() {
    let project = Project::new();
    let whole = Elf::dynamic().build();
    let mut line = "inspect --format json".to_owned();
    let seeds = random(1, 600);
    for (number, seed) in seeds.chunks(3).enumerate() {
        let mut changed = whole.clone();
        let at = (usize::from(seed[0]) | usize::from(seed[2] & 1) << 8) % changed.len();
        changed[at] = seed[1];
        project.write(&format!("x{number}"), changed);
        line += &format!(" x{number}");
    }
    let reports = project.run(&line).exits(1).json();
    assert_eq!(reports["reports"].as_array().map(Vec::len), Some(200), "one could not be judged");
}

#[test]
fn random_bytes_are_rejected_as_a_binary() {
    let project = Project::small();
    for seed in 1..4 {
        let mut bytes = random(seed, 5000);
        project.write("app", &bytes);
        project.run("build").exits(1).says(&["not-an-executable"]);
        bytes[..4].copy_from_slice(b"\x7fELF");
        project.write("app", &bytes);
        project.run("build").exits(1).says(&["elf-malformed"]);
        no_image(&project);
    }
}

#[test]
fn random_bytes_as_layout_archive_key_and_recipe_are_refused() {
    let project = Project::new();
    for seed in 5..9 {
        let bytes = random(seed, 3000);
        project.write("random", &bytes);
        project.write("layout/index.json", &bytes);
        project.write("layout/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
        let refused = |line: &str| {
            let code = project.run(line).code;
            assert!(code == 1 || code == 2, "{line}: {code}");
        };
        refused("inspect archive:random");
        refused("inspect oci:layout");
        refused("build random");
        refused("check random");
    }
}

#[test]
fn huge_sparse_file_is_refused_at_once() {
    let project = Project::small();
    fs::File::create(project.path("app")).and_then(|file| file.set_len(10 << 30)).expect("a file");
    let start = Instant::now();
    project.run("build").exits(2).says(&["`app`", "app.karat.toml:7:10"]);
    assert!(start.elapsed() < Duration::from_secs(200), "it was read");
    no_image(&project);
    // As a recipe it is not read into memory either.
    fs::rename(project.path("app"), project.path("huge.karat.toml")).expect("a rename");
    project.run("build huge.karat.toml").exits(2);
    project.run("check huge.karat.toml").exits(2);
}

#[test]
fn folder_where_a_file_is_due_is_wrong_input() {
    let project = Project::small();
    fs::create_dir(project.path("folder")).expect("a folder");
    project.write("app.karat.toml", recipe("app", "folder"));
    project.run("build").exits(2).says(&["`folder`", "folder"]);
    no_image(&project);
    fs::create_dir(project.path("x.karat.toml")).expect("a folder");
    project.run("check x.karat.toml").exits(2);
}

#[cfg(unix)]
#[test]
fn link_out_of_the_project_is_refused() {
    use std::os::unix::fs::symlink;
    let project = Project::small();
    let secret = project.outside().join("secret");
    fs::create_dir(&secret).expect("a folder");
    fs::write(secret.join("key"), "secret").expect("a file");
    fs::write(secret.join("app"), Elf::default().build()).expect("a file");
    symlink(secret.join("key"), project.path("direct")).expect("a link");
    symlink(&secret, project.path("parent")).expect("a link");
    symlink("parent/key", project.path("chain")).expect("a link");
    symlink("../secret/key", project.path("relative")).expect("a link");
    fs::create_dir(project.path("tree")).expect("a folder");
    symlink(secret.join("key"), project.path("tree/leaf")).expect("a link");
    fs::create_dir(project.path("wood")).expect("a folder");
    symlink(&secret, project.path("wood/branch")).expect("a link");
    for source in [
        "direct",
        "parent/key",
        "parent",
        "chain",
        "relative",
        "tree",
        "wood",
        "../secret/key",
        "tree/../../secret/key",
    ] {
        project.write("app.karat.toml", data(source));
        let output = project.run("build");
        assert_eq!(output.code, 2, "{source}: {}", output.stderr);
        no_image(&project);
    }
    let absolute = secret.join("key");
    project.write("app.karat.toml", data(absolute.to_str().expect("UTF-8")));
    project.run("build").exits(2);
    for source in ["parent/app", "../secret/app"] {
        project.write("app.karat.toml", recipe("app", source));
        project.run("build").exits(2).says(&["project"]);
    }
    no_image(&project);
}

#[cfg(unix)]
#[test]
fn link_to_nowhere_or_upwards_is_wrong_input() {
    use std::os::unix::fs::symlink;
    let project = Project::small();
    symlink("nowhere", project.path("dangling")).expect("a link");
    fs::create_dir(project.path("tree")).expect("a folder");
    symlink("..", project.path("tree/up")).expect("a link");
    for source in ["dangling", "tree"] {
        project.write("app.karat.toml", data(source));
        let output = project.run("build");
        assert_eq!(output.code, 2, "{source}: {}", output.stderr);
        no_image(&project);
    }
}

#[test]
fn names_that_no_image_may_hold_are_wrong_input() {
    let project = Project::small();
    let long = "x".repeat(300);
    for path in [
        "/etc/../x",
        "/./x",
        "relative",
        "",
        "/",
        "/a\\nb",
        "/a\\u0000b",
        "/.wh.x",
        "/a/.wh..wh..opq",
        &format!("/{long}"),
    ] {
        let text = recipe("app", "app") + &format!("path = \"{path}\"\n");
        project.write("app.karat.toml", text);
        let output = project.run("build");
        assert_eq!(output.code, 2, "{path}: {}", output.stderr);
        let output = output.says(&["app.karat.toml:8:8"]);
        assert!(!output.stderr.contains('\0'));
        no_image(&project);
    }
    for target in ["relative", "", "/x/../y", "/a\\nb"] {
        let text =
            recipe("app", "app") + &format!("[[link]]\npath = \"/l\"\ntarget = \"{target}\"\n");
        project.write("app.karat.toml", text);
        let output = project.run("build");
        assert_eq!(output.code, 2, "{target}: {}", output.stderr);
    }
    for name in ["App", "../app", "a//b", "/a", "a/", "a b", "", ".", "a\\nb", &long] {
        project.write("app.karat.toml", recipe(name, "app"));
        let output = project.run("build");
        assert_eq!(output.code, 2, "{name}: {}", output.stderr);
    }
    assert!(!project.path("dist").exists());
}

#[test]
fn source_with_odd_characters_is_no_fault_of_karat() {
    let project = Project::small();
    for source in ["a\\u0000b", "", " ", "{nonsense}", "{arch", "a\\nb"] {
        project.write("app.karat.toml", recipe("app", source));
        let output = project.run("build");
        assert_eq!(output.code, 2, "{source:?}: {}", output.stderr);
    }
    let long = "x".repeat(5000);
    project.write("app.karat.toml", recipe("app", &long));
    let output = project.run("build");
    assert_eq!(output.code, 2, "a name that is too long will be so next time: {}", output.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn name_that_is_no_utf8_is_wrong_input() {
    use std::os::unix::ffi::OsStrExt as _;
    let project = Project::small();
    let odd = std::ffi::OsStr::from_bytes(b"caf\xe9");
    fs::create_dir(project.path("data")).expect("a folder");
    fs::write(project.path("data").join(odd), "x").expect("a file");
    project.write("app.karat.toml", data("data"));
    project.run("build").exits(2).says(&["UTF-8", "caf\\xe9"]);
    no_image(&project);
    let odd = std::ffi::OsStr::from_bytes(b"caf\xe9.karat.toml");
    project.karat(&[std::ffi::OsStr::new("build"), odd]).run().exits(2);
    fs::write(project.path("").join(odd), recipe("cafe", "app")).expect("a file");
    let output = project.karat(&[std::ffi::OsStr::new("build"), odd]).run();
    assert!(output.code == 0 || output.code == 2, "{}", output.stderr);
    for flag in ["--output", "--var", "--sign", "--platform"] {
        let args = [std::ffi::OsStr::new("build"), std::ffi::OsStr::new(flag), odd];
        project.karat(&args).run().exits(2);
    }
    project.karat(&["build", "app.karat.toml"]).env("SOURCE_DATE_EPOCH", odd).run().exits(2);
}

#[test]
fn newline_in_the_name_of_a_packed_file_is_refused_or_packed_as_it_is() {
    if cfg!(windows) {
        return;
    }
    let project = Project::small();
    project.write("data/a\nb", "x");
    project.write("app.karat.toml", data("data"));
    let output = project.run("build");
    assert!(output.code == 1 || output.code == 2, "{}: {}", output.code, output.stderr);
    no_image(&project);
}

#[test]
fn two_entries_for_one_path_are_wrong_input() {
    let project = Project::small();
    project.write("text", "x");
    project.write("data/app", "x");
    let app = recipe_on("static-debian13", "entrypoint = [\"/usr/bin/app\"]\n", "app", "app");
    for second in [
        "[[binary]]\nsource = \"app\"\n",
        "[[binary]]\nsource = \"app\"\npath = \"/bin/app\"\n",
        "[[file]]\nsource = \"text\"\npath = \"/usr/bin/app\"\n",
        "[[file]]\nsource = \"data\"\npath = \"/usr/bin\"\n",
        "[[file]]\nsource = \"data\"\npath = \"/bin\"\n",
        "[[file]]\nsource = \"text\"\npath = \"//usr//bin/app\"\n",
        "[[directory]]\npath = \"/usr/bin/app\"\n",
        "[[directory]]\npath = \"/usr/bin/app/below\"\n",
        "[[link]]\npath = \"/usr/bin/app\"\ntarget = \"/x\"\n",
        "[[link]]\npath = \"/bin/app\"\ntarget = \"/x\"\n",
        "[[directory]]\npath = \"/d\"\n[[directory]]\npath = \"/d/\"\n",
        "[[file]]\nsource = \"text\"\npath = \"/d\"\n[[file]]\nsource = \"text\"\npath = \"/d/e\"\n",
        "[[link]]\npath = \"/l\"\ntarget = \"/x\"\n[[file]]\nsource = \"text\"\npath = \"/l/e\"\n",
    ] {
        project.write("app.karat.toml", app.clone() + second);
        let output = project.run("build");
        assert_eq!(output.code, 2, "{second}\n{}", output.stderr);
        assert!(output.stderr.contains("app.karat.toml:"), "{second}\n{}", output.stderr);
        no_image(&project);
    }
}

#[test]
fn folder_of_the_base_cannot_be_replaced() {
    let project = Project::small();
    project.write("text", "x");
    let app = recipe_on("static-debian13", "", "app", "app");
    for second in [
        "[[file]]\nsource = \"text\"\npath = \"/etc\"\n",
        "[[directory]]\npath = \"/tmp\"\n",
        "[[link]]\npath = \"/etc/ssl\"\ntarget = \"/x\"\n",
        "[[link]]\npath = \"/bin\"\ntarget = \"/x\"\n",
    ] {
        project.write("app.karat.toml", app.clone() + second);
        project.run("build").exits(2).says(&["base"]);
        no_image(&project);
    }
}

#[cfg(unix)]
#[test]
fn fifo_as_input_does_not_hang() {
    let project = Project::small();
    let made = std::process::Command::new("mkfifo").arg(project.path("fifo")).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no mkfifo");
        return;
    }
    project.write("app.karat.toml", recipe("app", "fifo"));
    project.run("build").exits(2);
    project.write("app.karat.toml", data("fifo"));
    project.run("build").exits(2);
    for line in [
        "inspect fifo",
        "check fifo",
        "build fifo",
        "build app.karat.toml --sign fifo",
        "build app.karat.toml --output archive:fifo",
        "build app.karat.toml --output oci:fifo",
    ] {
        let output = project.run(line);
        assert_eq!(output.code, 2, "{line}: {}", output.stderr);
    }
    no_image(&project);
}

/// Builds while `change` is called over and over; each build must pack what it judged.
fn changing(change: impl Fn(&Project, u64) + Sync) {
    let project = Project::new();
    change(&project, 0);
    project.write("app.karat.toml", recipe("app", "app"));
    let stop = AtomicBool::new(false);
    let mut built = 0;
    std::thread::scope(|scope| {
        let writer = || {
            let mut round = 1;
            while !stop.load(Ordering::Relaxed) {
                change(&project, round);
                round += 1;
                if round % 4 == 0 {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        };
        scope.spawn(writer);
        for _ in 0..15 {
            let output = project.run("build");
            match output.code {
                0 => {
                    let layout = project.dist("app");
                    layout.is_whole();
                    let packed = sha256(&layout.member("usr/bin/app").bytes);
                    let provenance = project.json("dist/app/provenance.json").to_string();
                    assert!(provenance.contains(&packed), "packed {packed}: {provenance}");
                    assert!(output.stderr.contains(&packed), "{}", output.stderr);
                    let sbom = project.json("dist/app/sbom.spdx.json").to_string();
                    assert!(sbom.contains(&packed), "packed {packed}: {sbom}");
                    built += 1;
                }
                // What was there for a moment was no program, and is not packed.
                1 => assert_eq!(project.names("dist/app"), ["report.html", "report.json"]),
                3 => assert!(output.stderr.contains("changed"), "{}", output.stderr),
                // Between two names there was none.
                2 => assert!(output.stderr.contains("does not exist"), "{}", output.stderr),
                other => panic!("{other}: {}", output.stderr),
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    eprintln!("{built} of 15 builds packed a file that kept changing");
    project.write("app", Elf::default().build());
    project.done("build");
    project.dist("app").is_whole();
}

#[test]
fn file_that_is_rewritten_while_it_is_read_is_packed_as_it_was_judged() {
    let versions: Vec<_> =
        (0..4).map(|seed| Elf::with(random(seed + 1, 1 << 20 | seed as usize)).build()).collect();
    changing(|project, round| {
        project.write("app", &versions[round as usize % versions.len()]);
    });
}

#[test]
fn file_that_is_replaced_while_it_is_read_is_packed_as_it_was_judged() {
    let versions: Vec<_> =
        (0..4).map(|seed| Elf::with(random(seed + 1, 1 << 20)).build()).collect();
    changing(|project, round| {
        project.write("app.new", &versions[round as usize % versions.len()]);
        fs::rename(project.path("app.new"), project.path("app")).expect("a rename");
    });
}

#[test]
fn killed_build_leaves_the_old_output_whole() {
    let project = Project::new();
    project.write("app", Elf::with(random(1, 4 << 20)).build());
    project.write("app.karat.toml", recipe("app", "app"));
    let outputs = ["--output", "oci:out:tag", "--output", "archive:out.tar"];
    let old = project.done("build").digest();
    let build = [&["build"][..], &outputs].concat();
    project.karat(&build).run().exits(0);
    let archive = project.read("out.tar");
    project.write("app", Elf::with(random(2, 4 << 20)).build());
    let start = Instant::now();
    let new = project.done("build --output oci:elsewhere").digest();
    let whole = start.elapsed();
    const ROUNDS: u32 = 10;
    for round in 0..ROUNDS {
        for args in [&["build"][..], &build] {
            let mut karat = project.karat(args);
            let command = karat.command().stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.spawn().expect("karat starts");
            std::thread::sleep(whole * round / (ROUNDS - 1));
            let _ = child.kill();
            child.wait().expect("karat ends");
        }
        for (layout, tag) in [(project.dist("app"), "local"), (project.layout("out"), "tag")] {
            let digest = layout.image(Some(tag))["digest"].as_str().expect("a digest").to_owned();
            assert!(digest == old || digest == new, "{digest} is neither old nor new");
            // Everything that the index leads to is there; blobs that a killed run brought and
            // nothing names yet are no damage.
            let manifest = layout.manifest();
            layout.blob(&manifest["config"]);
            layout.blob(&manifest["layers"][0]);
        }
        let now = project.read("out.tar");
        assert!(now == archive || names_digest(&now, &new), "the archive is half");
    }
    project.karat(&build).run().exits(0);
    let layout = project.layout("out");
    assert_eq!(layout.image(Some("tag"))["digest"], new);
    project.done("build");
    project.dist("app").is_whole();
    project.is_tidy();
}

/// What a run leaves that is killed before it can clean up, and what another one is still
/// working on.
#[cfg(unix)]
#[test]
fn next_build_removes_what_a_killed_one_left_and_nothing_that_is_in_use() {
    let project = Project::small();
    project.write("dist/.karat-tmp-killed/image/blobs/sha256/.tmp-half", "half");
    project.write("dist/.karat-tmp-living/image/index.json", "{}");
    let living = fs::File::open(project.path("dist/.karat-tmp-living")).expect("a folder");
    living.lock().expect("a lock");
    project.done("build");
    assert!(!project.path("dist/.karat-tmp-killed").exists());
    assert!(project.path("dist/.karat-tmp-living/image/index.json").exists());
    drop(living);
    project.done("build");
    project.is_tidy();
}

/// Says whether a tar is whole and leads to a digest.
fn names_digest(tar: &[u8], digest: &str) -> bool {
    let members = crate::support::layout::members(tar);
    let hex = digest.trim_start_matches("sha256:");
    members.iter().any(|one| one.path == format!("blobs/sha256/{hex}"))
        && members
            .iter()
            .filter_map(|one| Some((one.path.strip_prefix("blobs/sha256/")?, &one.bytes)))
            .all(|(name, bytes)| sha256(bytes) == name)
}

#[test]
fn builds_at_the_same_time_leave_a_whole_output() {
    let project = Project::small();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..3 {
                    project.done("build");
                }
            });
        }
    });
    project.dist("app").is_whole();
    project.is_tidy();
}

#[test]
fn builds_into_one_layout_at_the_same_time_do_not_lose_each_other() {
    let project = Project::small();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let project = &project;
            scope.spawn(move || {
                project.write(&format!("app{number}"), Elf::with(format!("{number}")).build());
                let name = format!("app{number}.karat.toml");
                project.write(&name, recipe("app", &format!("app{number}")));
                project.done(&format!("build {name} --output oci:out:t{number}"));
            });
        }
    });
    let layout = project.layout("out");
    for number in 0..4 {
        layout.image(Some(&format!("t{number}")));
    }
    layout.is_whole();
    project.is_tidy();
}

#[test]
fn output_that_is_something_else_is_left_as_it_is() {
    let project = Project::small();
    let refused = |line: &str| {
        project.run(line).exits(2).says(&["exists"]);
    };
    project.write("dist/app", "precious");
    refused("build");
    assert_eq!(project.read("dist/app"), b"precious");
    fs::remove_file(project.path("dist/app")).expect("a file");
    project.write("dist/app/precious", "precious");
    refused("build");
    assert_eq!(project.read("dist/app/precious"), b"precious");
    refused("build --output oci:dist/app");
    refused("build --output archive:dist/app/precious");
    refused("build --output archive:dist/app");
    refused("build --output oci:dist/app/precious");
    assert_eq!(project.read("dist/app/precious"), b"precious");
    assert_eq!(project.names("dist/app"), ["precious"]);
    // One wrong output of several: nothing is written at all.
    refused("build --output oci:good --output archive:dist/app/precious");
    assert!(!project.path("good").exists());
    project.is_tidy();
}

#[cfg(unix)]
#[test]
fn output_that_is_a_link_does_not_lead_elsewhere() {
    use std::os::unix::fs::symlink;
    let project = Project::small();
    project.write("precious/report.json", "{}");
    project.write("precious/file", "precious");
    fs::create_dir(project.path("dist")).expect("a folder");
    symlink("../precious", project.path("dist/app")).expect("a link");
    project.run("build").exits(2);
    assert_eq!(project.names("precious"), ["file", "report.json"]);
    project.write("precious.tar", "precious");
    symlink("precious.tar", project.path("link.tar")).expect("a link");
    project.run("build --output archive:link.tar").exits(2);
    assert_eq!(project.read("precious.tar"), b"precious");
    symlink("nowhere", project.path("dangling")).expect("a link");
    let output = project.run("build --output oci:dangling");
    assert!(output.code == 2 || output.code == 3 || output.code == 0, "{}", output.stderr);
}

#[test]
fn layout_that_is_broken_is_left_as_it_is() {
    let project = Project::small();
    project.done("build --output oci:out:one");
    project.write("out/index.json", "{");
    let files = project.layout("out").files();
    project.run("build --output oci:out:two").exits(2).says(&["out"]);
    assert_eq!(project.layout("out").files(), files);
}

#[cfg(unix)]
#[test]
fn writing_that_fails_in_the_middle_leaves_the_old_output_whole() {
    // A limit on the size of files makes every longer write fail, as a full disk does.
    let project = Project::small();
    project.done("build");
    project.done("build --output oci:out:tag --output archive:out.tar");
    let (dist, out, tar) =
        (project.dist("app").files(), project.layout("out").files(), project.read("out.tar"));
    project.write("app", Elf::with(random(3, 300 << 10)).build());
    for arguments in [
        "",
        "--output oci:out:tag",
        "--output archive:out.tar",
        "--output oci:new",
        "--output archive:new.tar",
    ] {
        let script = format!("trap '' XFSZ; ulimit -f 64; exec \"$0\" build {arguments}");
        let output = std::process::Command::new("sh")
            .args(["-c", &script, KARAT])
            .current_dir(project.root())
            .stdin(Stdio::null())
            .output();
        let Ok(output) = output else {
            eprintln!("skipped: no sh");
            return;
        };
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{arguments}: {stderr}");
        assert!(!stderr.contains("panicked") && stderr.contains("error"), "{stderr}");
        assert!(output.stdout.is_empty(), "a digest of nothing");
        assert_eq!(project.dist("app").files(), dist);
        assert_eq!(project.layout("out").files(), out);
        assert_eq!(project.read("out.tar"), tar);
        assert!(!project.path("new").exists() && !project.path("new.tar").exists());
        project.is_tidy();
    }
}

/// A file system of a size, mounted for one test; none without the rights.
#[cfg(target_os = "linux")]
struct Mounted(std::path::PathBuf);

#[cfg(target_os = "linux")]
impl Mounted {
    fn new(place: std::path::PathBuf, size: &str) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        fs::create_dir_all(&place).expect("a folder");
        let root = fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0);
        let mounted = root
            && std::process::Command::new("mount")
                .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
                .arg(&place)
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success());
        if !mounted {
            eprintln!("skipped: no small file system can be mounted here");
        }
        mounted.then_some(Self(place))
    }
}

#[cfg(target_os = "linux")]
impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_under_the_output_leaves_the_old_image_whole() {
    let project = Project::small();
    let Some(disk) = Mounted::new(project.path("disk"), "256k") else { return };
    project.done("build --output oci:disk/out:tag");
    let files = project.layout("disk/out").files();
    project.write("app", Elf::with(random(4, 1 << 20)).build());
    for output in ["oci:disk/out:tag", "oci:disk/new", "archive:disk/new.tar"] {
        let run = project.run(&format!("build --output {output}")).exits(3);
        assert_eq!(run.stdout, "");
        assert_eq!(project.layout("disk/out").files(), files);
        assert_eq!(project.names("disk"), ["out"]);
    }
    // The first of two has room, the second has not: it is told, and nothing is half.
    project.run("build --output oci:roomy --output oci:disk/out:tag").exits(3);
    assert_eq!(project.layout("disk/out").files(), files);
    project.write("app", Elf::with("small").build());
    project.done("build --output oci:disk/out:tag");
    project.layout("disk/out").is_whole();
    drop(disk);
}

#[cfg(target_os = "linux")]
#[test]
fn full_temporary_folder_says_what_helps() {
    let project = Project::small();
    let Some(disk) = Mounted::new(project.path("disk"), "256k") else { return };
    // Larger than what is kept in memory.
    project.write("app", Elf::with(random(4, 40 << 20)).build());
    let output = project.karat(&["build"]).env("TMPDIR", project.path("disk")).run();
    output.exits(3).says(&["TMPDIR"]);
    assert!(!project.path("dist/app").exists());
    assert_eq!(project.names("disk"), [""; 0]);
    drop(disk);
}

#[cfg(unix)]
#[test]
fn reader_that_goes_away_brings_nothing_down() {
    let project = Project::small();
    let mut karat = project.karat(&["explain"]);
    let mut child =
        karat.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("karat");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("karat ends");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
}

/// Prepares karat as somebody without rights; none where that cannot be.
#[cfg(unix)]
fn unprivileged(project: &Project, args: &[&str]) -> Option<crate::support::Karat> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::os::unix::process::CommandExt as _;
    let mut karat = project.karat(args);
    if fs::metadata(project.root()).expect("a folder").uid() == 0 {
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(project.outside(), open).expect("a mode");
        karat.command().uid(65534).gid(65534);
        let mut probe = project.karat(&["--version"]);
        let starts = probe.command().uid(65534).gid(65534).stdout(Stdio::null()).status();
        if !starts.is_ok_and(|status| status.success()) {
            eprintln!("skipped: karat cannot be run as somebody else here");
            return None;
        }
    }
    Some(karat)
}

#[cfg(unix)]
#[test]
fn input_without_permission_is_a_failure_that_names_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = Project::small();
    fs::set_permissions(project.path("app"), fs::Permissions::from_mode(0o0)).expect("a mode");
    let writable = fs::Permissions::from_mode(0o777);
    fs::set_permissions(project.root(), writable).expect("a mode");
    let Some(karat) = unprivileged(&project, &["build"]) else { return };
    karat.run().exits(3).says(&["`app`", "ermission denied"]);
    no_image(&project);
}

#[cfg(unix)]
#[test]
fn output_without_permission_is_a_failure_that_names_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = Project::small();
    fs::create_dir(project.path("dist")).expect("a folder");
    fs::set_permissions(project.path("dist"), fs::Permissions::from_mode(0o555)).expect("a mode");
    let Some(karat) = unprivileged(&project, &["build"]) else { return };
    karat.run().exits(3).says(&["dist", "ermission denied"]);
    assert_eq!(project.names("dist"), [""; 0]);
    let Some(karat) = unprivileged(&project, &["build", "--output", "archive:dist/a.tar"]) else {
        return;
    };
    karat.run().exits(3);
    assert_eq!(project.names("dist"), [""; 0]);
    fs::set_permissions(project.path("dist"), fs::Permissions::from_mode(0o755)).expect("a mode");
}

#[test]
fn recipe_of_nested_brackets_does_not_overflow() {
    let project = Project::small();
    for text in [
        format!("x = {}", "[".repeat(200_000)),
        format!("x = {}", "{a=".repeat(100_000)),
        format!("[{}]", "a.".repeat(100_000) + "a"),
        "[[binary]]\nsource = \"app\"\n".repeat(5_000),
        "\"\"\"".repeat(1000),
    ] {
        project.write("app.karat.toml", text);
        let start = Instant::now();
        project.run("build app.karat.toml").exits(2);
        assert!(start.elapsed() < Duration::from_secs(200), "too slow");
    }
}

#[test]
fn layout_with_hostile_documents_is_refused() {
    let project = Project::small();
    let deep = "[".repeat(100_000);
    for index in [
        deep.as_str(),
        "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:../../../../etc/passwd\",\"size\":1}]}",
        "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"md5:00\",\"size\":1}]}",
        "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\"size\":-1}]}",
        "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\"size\":18446744073709551615}]}",
    ] {
        project.write("layout/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
        project.write("layout/index.json", index);
        let code = project.run("inspect oci:layout").code;
        assert!(code == 1 || code == 2, "{code}: {index:.100}");
    }
}

#[test]
fn layer_that_unpacks_without_end_is_refused() {
    // A gzip bomb in an otherwise right image: 256 MiB of zeros after a member's header.
    use flate2::write::GzEncoder;
    let project = Project::small();
    project.done("build --output oci:out");
    let layout = project.layout("out");
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut header = tar::Header::new_ustar();
    header.set_path("big").expect("a path");
    header.set_size(2 << 30);
    header.set_mode(0o444);
    header.set_cksum();
    gzip.write_all(header.as_bytes()).expect("gzip");
    for _ in 0..256 {
        gzip.write_all(&vec![0; 1 << 20]).expect("gzip");
    }
    let bomb = gzip.finish().expect("gzip");
    let put = |bytes: &[u8]| {
        let digest = crate::support::digest_of(bytes);
        fs::write(layout.blob_path(&digest), bytes).expect("a blob");
        (serde_json::json!(digest), serde_json::json!(bytes.len()))
    };
    let mut manifest = layout.manifest();
    let (digest, size) = put(&bomb);
    manifest["layers"][0]["digest"] = digest;
    manifest["layers"][0]["size"] = size;
    let (digest, size) = put(manifest.to_string().as_bytes());
    let mut index = layout.index();
    index["manifests"][0]["digest"] = digest;
    index["manifests"][0]["size"] = size;
    project.write("out/index.json", index.to_string());
    project.run("inspect oci:out").exits(1).prints(&["layer-bomb"]);
}

#[test]
fn scripts_are_never_run_by_looking_at_them() {
    let project = Project::new();
    let script = format!("#!/bin/sh\ntouch {}\n", project.path("ran").display());
    project.write("run.sh", &script);
    project.write("app.karat.toml", recipe("app", "run.sh"));
    project.run("build").exits(1);
    project.run("build run.sh").exits(2);
    project.run("inspect run.sh").exits(1);
    assert_eq!(names(project.root()), [".git", "app.karat.toml", "dist", "run.sh"]);
    assert!(script.len() > SCRIPT.len());
}

#[test]
fn huge_sparse_file_cannot_be_inspected_and_trying_again_does_not_help() {
    let project = Project::new();
    fs::File::create(project.path("huge")).and_then(|file| file.set_len(10 << 30)).expect("a file");
    let output = project.run("inspect huge");
    assert!(output.code == 1 || output.code == 2, "{}: {}", output.code, output.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn result_that_cannot_be_printed_is_a_failure() {
    let project = Project::small();
    for args in
        [&["build"][..], &["build", "--format", "json"], &["explain"], &["schema", "recipe"]]
    {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let mut karat = project.karat(args);
        let status = karat.command().stdout(full).stderr(Stdio::null()).status();
        assert_eq!(status.expect("karat starts").code(), Some(3), "{args:?}: a script believes it");
    }
}

#[cfg(unix)]
#[test]
fn fifo_as_archive_does_not_hang() {
    let project = Project::new();
    project.write("cosign.pub", &keys().1);
    let made = std::process::Command::new("mkfifo").arg(project.path("fifo")).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no mkfifo");
        return;
    }
    project.run("inspect archive:fifo").exits(2);
    project.run("verify archive:fifo --key cosign.pub").exits(2);
}

#[cfg(unix)]
#[test]
fn fifo_in_a_layout_does_not_hang() {
    let project = Project::small().with_keys();
    project.done("build --output oci:out");
    let layer = project.layout("out").manifest()["layers"][0]["digest"].clone();
    for path in [
        project.layout("out").blob_path(layer.as_str().expect("a digest")),
        project.path("out/index.json"),
    ] {
        fs::remove_file(&path).expect("a file");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("skipped: no mkfifo");
            return;
        }
        for line in ["inspect oci:out", "verify oci:out --key cosign.pub"] {
            let code = project.run(line).code;
            assert!(code == 1 || code == 2, "{line}: {code}");
        }
        // A blob is put in the place of the FIFO; an index that cannot be read is left alone.
        let code = project.run("build --output oci:out:tag").code;
        assert!(code == 0 || code == 2, "{code}");
    }
}

#[cfg(unix)]
#[test]
fn source_that_is_a_link_to_itself_is_wrong_input() {
    let project = Project::small();
    std::os::unix::fs::symlink("loop", project.path("loop")).expect("a link");
    project.write("app.karat.toml", recipe("app", "loop"));
    project.run("build").exits(2);
}
