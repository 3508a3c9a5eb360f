//! Faults of karat that are known and not yet mended: each of these fails.

use crate::help::{COMMANDS, is_plain};
use crate::support::elf::Elf;
use crate::support::{Project, keys, recipe};
use std::fs;
use std::process::Stdio;

#[test]
fn check_finds_two_recipes_of_one_name() {
    let project = Project::new();
    project.write("app.karat.toml", recipe("app", "app"));
    project.write("recipes/app.toml", recipe("app", "app"));
    project.run("check").exits(2).says(&["app.karat.toml", "recipes/app.toml"]);
}

#[test]
fn json_faults_of_a_recipe_keep_their_places_when_several_are_built() {
    let project = Project::small();
    project.write("wrong.karat.toml", recipe("wrong", "not-there"));
    let alone = project.run("build wrong.karat.toml --format json").exits(2).json();
    assert_eq!(alone["faults"][0]["line"], 7, "{alone}");
    let several =
        project.run("build app.karat.toml wrong.karat.toml --format json").exits(2).json();
    assert_eq!(several["errors"][0]["faults"], alone["faults"], "{several}");
}

#[test]
fn one_image_below_the_folder_of_another_is_not_lost() {
    let project = Project::small();
    project.write("other.karat.toml", recipe("app/other", "app"));
    let output = project.run("build app.karat.toml other.karat.toml");
    // Either both are there, or the second is refused: never is one replaced by the other.
    match output.code {
        0 => {
            project.dist("app").is_whole();
            project.dist("app/other").is_whole();
            project.done("build app.karat.toml");
            project.dist("app/other").is_whole();
        }
        _ => assert_eq!(output.code, 2, "{}", output.stderr),
    }
}

#[test]
fn help_of_a_command_names_exit_codes() {
    let project = Project::new();
    for command in COMMANDS {
        let help = project.done(&format!("{command} --help"));
        assert!(help.stdout.contains("Exit codes"), "karat {command} --help:\n{}", help.stdout);
    }
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

#[cfg(unix)]
#[test]
fn mistyped_command_with_hostile_characters_is_escaped() {
    is_plain(&Project::new().karat(&["x\u{202e}\ny"]).run().exits(2));
}

#[test]
fn cut_lone_program_is_wrong_and_trying_again_does_not_help() {
    let project = Project::new();
    for length in [4, 20, 63] {
        project.write("tool", &Elf::default().build()[..length]);
        let output = project.run("build tool");
        assert!(output.code == 1 || output.code == 2, "{}: {}", output.code, output.stderr);
    }
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
        for line in
            ["inspect oci:out", "verify oci:out --key cosign.pub", "build --output oci:out:tag"]
        {
            let code = project.run(line).code;
            assert!(code == 1 || code == 2, "{line}: {code}");
        }
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

#[cfg(unix)]
#[test]
fn name_of_a_recipe_is_escaped_where_its_faults_are_shown() {
    let project = Project::small();
    let name = "x\u{1b}[31m\u{202e}\ny.karat.toml";
    project.write(name, recipe("Wrong", "app"));
    is_plain(&project.karat(&["build", name]).run().exits(2));
    is_plain(&project.karat(&["check", name]).run().exits(2));
}

#[cfg(unix)]
#[test]
fn name_of_a_lone_program_is_escaped_where_its_faults_are_shown() {
    let project = Project::new();
    let name = "x\u{1b}[31m\u{202e}\ny";
    project.write(name, Elf::default().build());
    is_plain(&project.karat(&["build", name]).run());
}
