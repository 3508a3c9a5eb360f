//! Help, and what is printed where there is no terminal.

use crate::support::elf::{Elf, SCRIPT};
use crate::support::{Output, Project, recipe};

const COMMANDS: [&str; 18] = [
    "pull",
    "push",
    "copy",
    "build",
    "check",
    "inspect",
    "verify",
    "key",
    "key generate",
    "key public",
    "policy",
    "policy show",
    "waivers",
    "waivers list",
    "waivers new",
    "waivers report",
    "explain",
    "schema",
];

#[test]
fn help_of_every_command_exits_with_0_and_names_exit_codes() {
    let project = Project::new();
    let whole = project.done("--help");
    assert!(whole.stdout.contains("Exit codes"), "{}", whole.stdout);
    for command in COMMANDS {
        let help = project.done(&format!("{command} --help"));
        assert!(help.stdout.contains("Usage: karat"), "{}", help.stdout);
        let (first, _) = command.split_once(' ').unwrap_or((command, ""));
        assert!(whole.stdout.contains(first), "{first} is not listed");
    }
}

#[test]
fn version_is_that_of_the_package() {
    let output = Project::new().done("--version");
    assert_eq!(output.stdout, format!("karat {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn mistyped_commands_and_flags_are_wrong_input_with_a_suggestion() {
    let project = Project::small();
    project.run("biuld").exits(2).says(&["build"]);
    project.run("build --outptu oci:x").exits(2).says(&["--output"]);
    project.run("").exits(2);
    project.run("explain shel").exits(2).says(&["shell"]);
    project.run("schema nonsense").exits(2).says(&["recipe"]);
}

#[test]
fn every_rule_has_a_page() {
    let project = Project::new();
    let list = project.done("explain");
    let rules: Vec<_> =
        list.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(rules.len() > 30, "{rules:?}");
    for rule in
        ["shell", "multicall", "user-root", "elf-interpreter-missing", "undeclared-executable"]
    {
        assert!(rules.contains(&rule), "{rule}");
        project.done(&format!("explain {rule}")).prints(&[rule]);
    }
    let all = project.done("explain --format json").json();
    assert_eq!(all.as_array().map(Vec::len), Some(rules.len()));
}

#[test]
fn schema_of_recipes_is_json_and_knows_the_keys_of_the_contract() {
    let schema = Project::new().done("schema recipe").json();
    let keys = schema["properties"].as_object().expect("properties");
    for key in ["image", "binary", "file", "directory", "link", "vars", "layer", "waiver"] {
        assert!(keys.contains_key(key), "{key}");
    }
}

#[track_caller]
fn is_plain(output: &Output) {
    for (stream, text) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        let odd = text.chars().find(|c| {
            (c.is_control() && *c != '\n')
                || ('\u{202a}'..='\u{202e}').contains(c)
                || *c == '\u{200b}'
        });
        assert_eq!(odd, None, "on {stream}: {text:?}");
    }
}

#[test]
fn without_a_terminal_nothing_is_coloured() {
    let project = Project::small();
    project.write("script", SCRIPT);
    project.write("bad.karat.toml", recipe("bad", "script"));
    project.write("wrong.karat.toml", recipe("Wrong", "script"));
    let lines = [
        "build app.karat.toml",
        "build bad.karat.toml",
        "build wrong.karat.toml",
        "inspect script",
        "check",
        "explain",
        "explain shell",
        "--help",
        "build --help",
        "nonsense",
        "build nowhere",
    ];
    for line in lines {
        is_plain(&project.run(line));
        let args: Vec<_> = line.split_whitespace().collect();
        for (name, value) in [("NO_COLOR", "1"), ("TERM", "xterm-256color"), ("TERM", "dumb")] {
            is_plain(&project.karat(&args).env(name, value).run());
        }
        // Colour that somebody forces must not reach standard output's results either.
        is_plain(&project.karat(&args).env("NO_COLOR", "1").env("CLICOLOR_FORCE", "1").run());
    }
}

#[test]
fn hostile_text_of_recipes_is_escaped() {
    let project = Project::small();
    let odd = "\\u001B[31mred\\u202Etxt\\u0007\\u200B";
    for text in [
        format!(
            "[image]\nname = \"{odd}\"\nbase = \"{odd}\"\nplatforms = [\"{odd}\"]\nuser = \"{odd}\"\n[[binary]]\nsource = \"{odd}\"\npath = \"{odd}\"\n"
        ),
        recipe("app", odd),
        recipe("app", "app") + &format!("[[link]]\npath = \"/{odd}\"\ntarget = \"/{odd}\"\n"),
        recipe("app", "app") + &format!("[[file]]\nsource = \"{odd}\"\npath = \"/x\"\n"),
        recipe("app", "app") + &format!("\"{odd}\" = 1\n"),
    ] {
        project.write("app.karat.toml", text);
        let output = project.run("build").exits(2);
        is_plain(&output);
        // JSON escapes controls; what reorders text is for whoever shows its strings.
        let json = project.run("build --format json").exits(2).stdout;
        assert!(json.chars().all(|c| !c.is_control() || c == '\n'), "{json:?}");
        is_plain(&project.run("check app.karat.toml"));
    }
    // Controls that stand in the text itself.
    project.write("app.karat.toml", "[image]\nname = \"a\" # \u{1b}[31m \u{202e}\nbase = 1\n");
    is_plain(&project.run("build").exits(2));
}

#[cfg(unix)]
#[test]
fn hostile_names_of_files_are_escaped() {
    let project = Project::small();
    let odd = "x\u{1b}[31m\u{202e}\ny\u{7}";
    project.write(odd, SCRIPT);
    is_plain(&project.karat(&["inspect", odd]).run().exits(1));
    is_plain(&project.karat(&["build", odd]).run().exits(2));
    is_plain(&project.karat(&["verify", odd, "--key", odd]).run().exits(2));
    is_plain(&project.karat(&["build", "--output", odd]).run().exits(2));
    is_plain(&project.karat(&["build", "--var", odd]).run().exits(2));
    is_plain(&project.karat(&["build", "--sign", odd]).run().exits(2));
    is_plain(&project.karat(&["explain", odd]).run().exits(2));
    is_plain(&project.karat(&["build", "--platform", odd]).run().exits(2));
    // As the only recipe, found by itself, and as an executable.
    let name = format!("{odd}.karat.toml");
    let text = project.read("app.karat.toml");
    project.write(&name, &text);
    is_plain(&project.run("build").exits(2));
    is_plain(&project.run("check"));
}

#[test]
fn report_as_html_holds_no_markup_from_outside() {
    let project = Project::small();
    project.write("data/<script>alert(1)<!--'\".sh", SCRIPT);
    let text = recipe("app", "app") + "[[file]]\nsource = \"data\"\npath = \"/srv\"\n";
    project.write("app.karat.toml", text);
    project.run("build").exits(1);
    let html = String::from_utf8(project.read("dist/app/report.html")).expect("text");
    assert!(html.contains("&lt;script&gt;alert(1)"), "{html}");
    assert!(!html.contains("<script"), "{html}");
}

#[cfg(unix)]
#[test]
fn mistyped_command_with_hostile_characters_is_escaped() {
    is_plain(&Project::new().karat(&["x\u{202e}\ny"]).run().exits(2));
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
