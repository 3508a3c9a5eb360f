//! What is refused, and that nothing of it gets out.

use crate::support::elf::{AARCH64, Elf, SCRIPT};
use crate::support::layout::Layout;
use crate::support::{
    Project, copy_folder, digest_of, is_digest, keys, recipe, recipe_on, rules, sha256,
};
use serde_json::{Value, json};
use std::fs;

/// Builds something that must be rejected by a rule, and returns the report.
#[track_caller]
fn rejected(bytes: &[u8], rule: &str) -> Value {
    let project = Project::small();
    project.write("bad", bytes);
    project.write("bad.karat.toml", recipe("bad", "bad"));
    let output = project.run("build bad.karat.toml").exits(1);
    assert_eq!(output.stdout, "", "no image, so nothing to name");
    let output = output.says(&[rule, "/usr/bin/bad"]);
    assert!(output.stderr.contains("REJECTED"), "{}", output.stderr);
    assert_eq!(project.names("dist/bad"), ["report.html", "report.json"]);
    project.is_tidy();
    let report = project.json("dist/bad/report.json");
    assert_eq!(report["verdict"], "rejected");
    assert!(rules(&report).contains(&rule.to_owned()), "{:?}", rules(&report));
    report
}

#[test]
fn script_as_a_binary_is_rejected() {
    rejected(SCRIPT, "script");
    rejected(b"#! /usr/bin/env python3\nprint(1)\n", "script");
    rejected(b"\xef\xbb\xbf#!/bin/sh\n", "not-an-executable");
}

#[test]
fn what_is_no_program_is_rejected_as_a_binary() {
    rejected(b"", "not-an-executable");
    rejected(b"just text\n", "not-an-executable");
    rejected(b"MZ\x90\0\x03\0\0\0", "not-an-executable");
    rejected(&[0; 4096], "not-an-executable");
    rejected(b"\x7fELF", "elf-malformed");
    rejected(&Elf::default().build()[..100], "elf-malformed");
}

#[test]
fn binary_for_another_machine_is_rejected() {
    let report = rejected(&Elf::arm64().build(), "elf-machine");
    let text = report.to_string();
    assert!(text.contains("arm64") && text.contains("linux/amd64"), "{text}");
    rejected(&Elf { machine: 0xbeef, ..Elf::default() }.build(), "elf-machine");
}

#[test]
fn dynamic_binary_without_its_loader_is_rejected() {
    let report = rejected(&Elf::dynamic().build(), "elf-interpreter-missing");
    let text = report["findings"].to_string();
    for part in ["/lib64/ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn executable_stack_writable_code_and_removed_sections_are_rejected() {
    let elf = Elf::default().build();
    let patched = |at: usize, bytes: &[u8]| {
        let mut elf = elf.clone();
        elf[at..at + bytes.len()].copy_from_slice(bytes);
        elf
    };
    // p_flags of the first (PT_LOAD) and second (PT_GNU_STACK) program header.
    rejected(&patched(64 + 4, &[7]), "elf-writable-code");
    rejected(&patched(64 + 56 + 4, &[7]), "elf-executable-stack");
    // e_shoff, and e_shnum with e_shstrndx.
    let mut stripped = patched(40, &[0; 8]);
    stripped[60..64].copy_from_slice(&[0; 4]);
    rejected(&stripped, "elf-no-sections");
}

#[test]
fn executable_in_a_data_folder_is_rejected() {
    let project = Project::small();
    project.write("data/readme.txt", "text");
    project.write("data/sub/hidden.txt", Elf::with("hidden").build());
    project.write(
        "app.karat.toml",
        recipe("app", "app") + "[[file]]\nsource = \"data\"\npath = \"/srv\"\n",
    );
    project.run("build").exits(1).says(&["undeclared-executable", "/srv/sub/hidden.txt"]);
}

#[test]
fn script_in_a_data_folder_is_rejected() {
    let project = Project::small();
    project.write("data/run.txt", SCRIPT);
    let text = recipe("app", "app") + "[[file]]\nsource = \"data\"\npath = \"/srv\"\n";
    project.write("app.karat.toml", text);
    project.run("build").exits(1).says(&["script", "/srv/run.txt"]);
}

#[test]
fn mode_that_makes_data_executable_or_setuid_is_refused_in_the_recipe() {
    let project = Project::small();
    project.write("data.txt", "text");
    for mode in ["0555", "4444", "2644", "0445", "1444", "+r", "999", "-0444"] {
        let file =
            format!("[[file]]\nsource = \"data.txt\"\npath = \"/data.txt\"\nmode = \"{mode}\"\n");
        project.write("app.karat.toml", recipe("app", "app") + &file);
        project.run("build").exits(2).says(&["app.karat.toml:11:8"]);
    }
    for key in ["mode = \"4755\"", "setuid = true"] {
        project.write("app.karat.toml", recipe("app", "app") + key + "\n");
        project.run("build").exits(2).says(&["app.karat.toml:8:"]);
    }
    assert!(!project.path("dist").exists());
}

#[test]
fn root_as_user_is_refused_in_the_recipe() {
    let project = Project::small();
    for user in ["0", "0:0", "0:65532", "root", "nonroot", "", "65532:", "-1:5", "4294967295:1"] {
        let further = format!("user = \"{user}\"\n");
        project.write("app.karat.toml", recipe_on("scratch", &further, "app", "app"));
        project.run("build").exits(2).says(&["app.karat.toml:5:8"]);
    }
}

#[test]
fn other_identity_than_declared_is_rejected() {
    let project = Project::small();
    for identity in ["cargo:app", "go:example.org/app", "note:app"] {
        let text = recipe("app", "app") + &format!("identity = \"{identity}\"\n");
        project.write("app.karat.toml", text);
        project.run("build").exits(1).says(&["identity-differs", identity]);
    }
    project.write("app.karat.toml", recipe("app", "app") + "identity = \"npm:app\"\n");
    project.run("build").exits(2).says(&["app.karat.toml:8:"]);
}

#[test]
fn own_identity_is_accepted() {
    let project = Project::new();
    project.write("karat", fs::read(crate::support::KARAT).expect("karat"));
    let text = recipe("karat", "karat") + "identity = \"cargo:karat\"\n";
    project.write("karat.karat.toml", text);
    // A test build may be dynamic, which is another fault; its identity is what it is.
    let output = project.run("build");
    assert!(!output.stderr.contains("identity-differs"), "{}", output.stderr);
}

#[test]
fn forbidden_name_is_rejected_under_any_version() {
    let project = Project::small();
    for name in ["sh", "bash", "curl", "python3.13", "busybox", "APT-GET"] {
        let text = recipe("app", "app") + &format!("path = \"/usr/bin/{name}\"\n");
        project.write("app.karat.toml", text);
        project.run("build").exits(1).says(&["forbidden-name", name]);
    }
    for name in ["shared", "curly", "pythonic", "app.sh.d"] {
        let text = recipe("app", "app") + &format!("path = \"/usr/bin/{name}\"\n");
        project.write("app.karat.toml", text);
        project.done("build");
    }
}

/// Reads the first marks of a tool out of the table that the gate is made from.
fn marks(tool: &str, count: usize) -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/inspect/fingerprints.toml");
    let table: toml::Table =
        fs::read_to_string(path).expect("the table").parse().expect("the table is TOML");
    let found = table["fingerprint"]
        .as_array()
        .expect("fingerprints")
        .iter()
        .find(|one| one["tool"].as_str() == Some(tool))
        .unwrap_or_else(|| panic!("no {tool}"));
    let strings = found["strings"].as_array().expect("strings");
    let marks = strings.iter().take(count).filter_map(|one| one.as_str());
    marks.flat_map(|mark| mark.bytes().chain([0])).collect()
}

#[test]
fn busybox_is_known_by_its_content_under_an_innocent_name() {
    let report = rejected(&Elf::with(marks("busybox", 4)).build(), "multicall");
    let finding = report["findings"]
        .as_array()
        .and_then(|all| all.iter().find(|one| one["rule"] == "multicall"))
        .expect("a finding");
    assert_eq!(finding["severity"], "critical");
    assert!(finding["evidence"].as_array().is_some_and(|evidence| !evidence.is_empty()));
    rejected(&Elf::with(marks("bash", 4)).build(), "shell");
}

#[test]
fn one_mark_alone_is_no_tool() {
    let project = Project::small();
    project.write("app", Elf::with(marks("busybox", 1)).build());
    project.done("build");
}

#[test]
fn busybox_glued_behind_data_in_a_program_is_known() {
    let mut payload = vec![0; 300 << 10];
    payload.extend(marks("busybox", 4));
    rejected(&Elf::with(payload).build(), "multicall");
}

#[test]
fn report_has_every_field_of_its_schema() {
    let bytes = Elf::with(marks("busybox", 4)).build();
    let report = rejected(&bytes, "multicall");
    assert_eq!(report["schema"], "karat.report/v1");
    for field in [
        "subject",
        "policy",
        "rules",
        "verdict",
        "findings",
        "packages",
        "vulnerabilities",
        "images",
    ] {
        assert!(!report[field].is_null(), "{field} is missing");
    }
    assert_eq!(report["policy"]["name"], "golden");
    assert!(report["policy"]["digest"].as_str().is_some_and(is_digest));
    assert_eq!(report["subject"]["platform"], "linux/amd64");
    let finding = &report["findings"][0];
    for field in
        ["rule", "severity", "status", "path", "layer", "file", "message", "evidence", "waiver"]
    {
        assert!(
            finding.as_object().is_some_and(|one| one.contains_key(field)),
            "{field}: {finding}"
        );
    }
    assert_eq!(finding["path"], "/usr/bin/bad");
    assert_eq!(finding["status"], "open");
    assert_eq!(finding["waiver"], Value::Null);
    assert_eq!(finding["file"]["size"], bytes.len());
    let hash = finding["file"]["sha256"].as_str().expect("a hash");
    assert_eq!(hash.trim_start_matches("sha256:"), sha256(&bytes));
    assert!(finding["layer"].as_str().is_some_and(is_digest), "{finding}");
}

#[test]
fn findings_are_sorted_from_the_worst() {
    let report = rejected(&Elf::with(marks("busybox", 4)).build(), "multicall");
    let rank = |severity: &Value| {
        ["critical", "high", "medium", "low", "info"].iter().position(|one| severity == one)
    };
    let ranks: Vec<_> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|one| rank(&one["severity"]).expect("a severity"))
        .collect();
    assert!(ranks.is_sorted(), "{ranks:?}");
    assert!(rules(&report).contains(&"not-scanned".to_owned()));
}

#[test]
fn rejected_build_replaces_the_old_image_by_its_report() {
    let project = Project::small();
    project.done("build");
    project.write("app", SCRIPT);
    project.run("build").exits(1);
    assert_eq!(project.names("dist/app"), ["report.html", "report.json"]);
    project.write("app", Elf::default().build());
    project.done("build");
    project.dist("app").is_whole();
    project.is_tidy();
}

#[test]
fn rejected_build_leaves_other_outputs_as_they_were() {
    let project = Project::small();
    project.done("build --output oci:out:tag --output archive:out.tar");
    let (files, archive) = (project.layout("out").files(), project.read("out.tar"));
    project.write("app", SCRIPT);
    project.run("build --output oci:out:tag --output archive:out.tar --output oci:new").exits(1);
    assert_eq!(project.layout("out").files(), files);
    assert_eq!(project.read("out.tar"), archive);
    assert!(!project.path("new").exists());
    assert!(!project.path("dist").exists());
    project.is_tidy();
}

#[test]
fn one_rejected_platform_rejects_the_whole_image() {
    let project = Project::new();
    project.write("amd64/app", Elf::default().build());
    project.write("arm64/app", Elf::default().build());
    let platforms = "platforms = [\"linux/amd64\", \"linux/arm64\"]\n";
    project.write("app.karat.toml", recipe_on("scratch", platforms, "app", "{arch}/app"));
    project.run("build").exits(1).says(&["elf-machine", "linux/arm64"]);
    let report = project.json("dist/app/report.json");
    assert_eq!(report["verdict"], "rejected");
    let verdicts: Vec<_> = report["images"].as_array().expect("images").iter().collect();
    assert_eq!(verdicts.len(), 2);
    assert_eq!(verdicts[0]["subject"]["platform"], "linux/amd64");
    assert_eq!(verdicts[0]["verdict"], "accepted");
    assert_eq!(verdicts[1]["verdict"], "rejected");
    assert_eq!(project.names("dist/app"), ["report.html", "report.json"]);
}

#[test]
fn inspect_accepts_what_build_made_in_every_form() {
    let project = Project::small();
    project.write("app.karat.toml", recipe_on("static-debian13", "", "app", "app"));
    let digest = project.done("build --output oci:out:one --output archive:out.tar").digest();
    for reference in ["oci:out", "oci:out:one", "out", "archive:out.tar", "out.tar"] {
        let output = project.done(&format!("inspect {reference}"));
        output.prints(&["accepted", &digest, "policy", "golden sha256:"]);
    }
    let report = project.done("inspect oci:out --format json").json();
    assert_eq!(report["schema"], "karat.report/v1");
    assert_eq!(report["subject"]["digest"], digest);
    assert_eq!(report["verdict"], "accepted");
    let app = project.done("inspect app --format json").json();
    assert_eq!(app["subject"]["digest"], digest_of(&project.read("app")));
    let several = project.done("inspect oci:out app --format json").json();
    assert_eq!(several["reports"].as_array().map(Vec::len), Some(2));
}

#[test]
fn inspect_rejects_a_lone_file_that_is_no_golden_program() {
    let project = Project::new();
    project.write("tool", Elf::with(marks("busybox", 4)).build());
    project.write("run.sh", SCRIPT);
    project.run("inspect tool").exits(1).prints(&["rejected", "multicall"]);
    project.run("inspect run.sh").exits(1).prints(&["rejected", "script"]);
    project.done("inspect tool --exit-zero").prints(&["rejected"]);
    project.done("inspect tool run.sh --exit-zero");
}

#[test]
fn inspect_of_what_is_not_there_is_wrong_input() {
    let project = Project::small();
    fs::create_dir(project.path("folder")).expect("a folder");
    for reference in ["folder", "nowhere", "oci:nowhere", "oci:folder", "nginx", ""] {
        let output = project.karat(&["inspect", reference]).run();
        assert_eq!(output.code, 2, "`{reference}`: {}{}", output.stdout, output.stderr);
        assert_eq!(project.karat(&["inspect", reference, "--exit-zero"]).run().code, 2);
    }
    project.run("inspect").exits(2);
    project.run("inspect nginx").exits(2).says(&["docker://"]);
    project.done("build --output oci:out:one");
    project.run("inspect oci:out:two").exits(2).says(&["two"]);
}

#[test]
fn inspect_of_a_layout_with_several_images_needs_a_tag() {
    let project = Project::small();
    project.done("build --output oci:out:one");
    project.write("app", Elf::with("two").build());
    project.done("build --output oci:out:two");
    project.run("inspect oci:out").exits(2).says(&["oci:DIR:TAG"]);
    project.done("inspect oci:out:one");
}

/// An image of somebody else, made here: a setuid program, no user, a shell as entrypoint.
fn foreign(project: &Project, folder: &str, config: Value, members: &[(&str, u32, &[u8])]) {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, mode, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.set_mode(*mode);
        header.set_size(bytes.len() as u64);
        header.set_entry_type(tar::EntryType::Regular);
        tar.append_data(&mut header, path, *bytes).expect("a member");
    }
    let tar = tar.into_inner().expect("a tar");
    let blob = |bytes: &[u8], media_type: &str| {
        project.write(&format!("{folder}/blobs/sha256/{}", sha256(bytes)), bytes);
        json!({ "mediaType": media_type, "digest": digest_of(bytes), "size": bytes.len() })
    };
    let layer = blob(&tar, "application/vnd.oci.image.layer.v1.tar");
    let config = json!({ "architecture": "amd64", "os": "linux", "config": config,
        "rootfs": { "type": "layers", "diff_ids": [digest_of(&tar)] } });
    let config = blob(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest =
        json!({ "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer] });
    let manifest = blob(manifest.to_string().as_bytes(), media_type);
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    project.write(&format!("{folder}/index.json"), index.to_string());
    project.write(&format!("{folder}/oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
}

#[test]
fn inspect_finds_what_is_wrong_in_an_image_of_somebody_else() {
    let project = Project::new();
    let app = Elf::default().build();
    foreign(
        &project,
        "good",
        json!({ "User": "65532:65532", "Entrypoint": ["/app"] }),
        &[("app", 0o755, &app)],
    );
    project.done("inspect oci:good");
    foreign(&project, "root", json!({ "Entrypoint": ["/app"] }), &[("app", 0o755, &app)]);
    project.run("inspect oci:root").exits(1).prints(&["user-root"]);
    foreign(
        &project,
        "named",
        json!({ "User": "app", "Entrypoint": ["/app"] }),
        &[("app", 0o755, &app)],
    );
    project.run("inspect oci:named").exits(1).prints(&["user-not-numeric"]);
    let user = json!({ "User": "65532", "Entrypoint": ["/app"] });
    foreign(&project, "setuid", user.clone(), &[("app", 0o4755, &app)]);
    project.run("inspect oci:setuid").exits(1).prints(&["setuid", "/app"]);
    foreign(&project, "writable", user.clone(), &[("app", 0o755, &app), ("w", 0o666, b"x")]);
    project.run("inspect oci:writable").exits(1).prints(&["world-writable", "/w"]);
    foreign(&project, "missing", user, &[("other", 0o755, &app)]);
    project.run("inspect oci:missing").exits(1).prints(&["entrypoint-missing"]);
    let shell = json!({ "User": "1", "Entrypoint": ["/bin/sh", "-c", "x"] });
    foreign(&project, "shell", shell, &[("bin/sh", 0o755, &app)]);
    project.run("inspect oci:shell").exits(1).prints(&["entrypoint-shell", "forbidden-name"]);
}

#[test]
fn inspect_rejects_a_layout_whose_layer_was_changed() {
    let project = Project::small();
    project.done("build --output oci:out");
    let layout: Layout = project.layout("out");
    let layer = layout.manifest()["layers"][0]["digest"].as_str().expect("a digest").to_owned();
    copy_folder(&project.path("out"), &project.path("changed"));
    let blob = Layout::open(&project.path("changed")).blob_path(&layer);
    let mut bytes = fs::read(&blob).expect("a blob");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&blob, bytes).expect("a blob");
    project.run("inspect oci:changed").exits(1).prints(&["could-not-inspect"]);
}

#[test]
fn arm64_program_in_an_arm64_image_is_accepted() {
    let project = Project::new();
    project.write("app", Elf { machine: AARCH64, ..Elf::default() }.build());
    let platforms = "platforms = [\"linux/arm64\"]\n";
    project.write("app.karat.toml", recipe_on("scratch", platforms, "app", "app"));
    project.done("build");
}

#[test]
fn archive_that_is_not_there_is_wrong_input() {
    let project = Project::new();
    project.write("cosign.pub", &keys().1);
    project.run("inspect archive:nowhere.tar").exits(2).says(&["nowhere.tar"]);
    project.run("verify archive:nowhere.tar --key cosign.pub").exits(2).says(&["nowhere.tar"]);
}

#[test]
fn lone_file_that_is_no_program_is_not_accepted() {
    let project = Project::new();
    project.write("text", "text");
    project.write("empty", "");
    project.run("inspect text").exits(1);
    project.run("inspect empty").exits(1);
}
