use super::*;

const WHOLE: &str = r#"
[image]
name = "team/hello"
base = "static-debian13"
platforms = ["linux/amd64", "linux/arm64/v8"]
entrypoint = ["/usr/bin/hello", "--serve"]
cmd = ["--port=8080"]
user = "1000"
workdir = "/data"
env = { LOG = "info", VERSION = "{version}" }
ports = ["8080/tcp", "53/udp", "9000"]
stop-signal = "SIGTERM"
labels = { "app" = "{version}-{{x}}" }
annotations = { "org.opencontainers.image.source" = "https://git.example/hello" }

[[binary]]
source = "target/{rust-musl}/release/hello"
identity = "cargo:hello"
make = "cargo build --release --target {rust-musl}"

[[binary]]
source = { "linux/amd64" = "dist/a/tool", "linux/arm64" = "dist/b/tool" }
path = "/app/tool"

[[file]]
source = "config/"
path = "/etc/hello/"
exclude = ["**/*.map"]

[[directory]]
path = "/data"

[[link]]
path = "/app/server"
target = "/usr/bin/hello"

[vars]
version = { pattern = 'v\d+\.\d+\.\d+', default = "dev" }

[layer]
compression = "zstd"

[[waiver]]
id = "wv-1"
rule = "elf-not-pie"
path = "/usr/bin/hello"
reason = "known"
owner = "team-x"
ticket = "SEC-1"
created = "2026-11-20"
expires = "2027-01-31"
"#;

#[test]
fn a_whole_recipe_is_read() {
    let recipe = parse("r.toml", WHOLE, None).unwrap();
    assert_eq!(recipe.name, "team/hello");
    assert_eq!(
        recipe.platforms.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["linux/amd64", "linux/arm64"]
    );
    assert_eq!(recipe.user, User { uid: 1000, gid: 1000 });
    assert_eq!(recipe.ports, ["8080/tcp", "53/udp", "9000/tcp"]);
    assert_eq!(recipe.binaries[0].path.as_str(), "/usr/bin/hello");
    assert_eq!(
        recipe.binaries[0].source.path(&recipe.platforms[1]),
        "target/aarch64-unknown-linux-musl/release/hello"
    );
    assert_eq!(recipe.binaries[1].source.path(&recipe.platforms[1]), "dist/b/tool");
    assert_eq!(recipe.directories[0].owner, recipe.user);
    assert_eq!(recipe.directories[0].mode, 0o750);
    assert!(recipe.files[0].into);
    assert_eq!(recipe.compression, Compression::Zstd);
    assert!(recipe.vars["version"].pattern.is_match("v1.2.3"));
    assert!(!recipe.vars["version"].pattern.is_match("v1.2.3\n"));
    assert!(!recipe.vars["version"].pattern.is_match("xv1.2.3"));
    assert_eq!(recipe.waivers[0].expires.days_since(recipe.waivers[0].created), 72);
}

#[test]
fn a_single_binary_needs_nothing_else() {
    let text = "[image]\nname = \"hello\"\nbase = \"scratch\"\nplatforms = [\"host\"]\n[[binary]]\nsource = \"out/hello\"\n";
    let recipe = parse("r.toml", text, Some(&"linux/arm64".parse().unwrap())).unwrap();
    assert_eq!(recipe.entrypoint.value, ["/usr/bin/hello"]);
    assert_eq!(recipe.user.to_string(), "65532:65532");
    assert_eq!(recipe.workdir.as_str(), "/");
    assert_eq!(recipe.platforms[0].to_string(), "linux/arm64");
}

/// Replaces a line of the whole recipe and returns the messages, places and hints.
fn faults(from: &str, to: &str) -> Vec<(usize, String, String)> {
    assert!(WHOLE.contains(from), "{from}");
    let text = WHOLE.replacen(from, to, 1);
    match parse("r.toml", &text, None) {
        Ok(_) => Vec::new(),
        Err(diagnostics) => diagnostics
            .located()
            .iter()
            .map(|at| (at.line, at.message.to_owned(), at.hint.unwrap_or("").to_owned()))
            .collect(),
    }
}

#[test]
fn each_fault_has_its_line_message_and_hint() {
    // (what is replaced, by what, the line of the fault, a part of the message, a part of the hint)
    let cases = [
        (
            "entrypoint =",
            "entrypiont =",
            6,
            "unknown key `entrypiont`",
            "did you mean `entrypoint`?",
        ),
        (
            "stop-signal",
            "stop_signal",
            12,
            "unknown key `stop_signal`",
            "did you mean `stop-signal`?",
        ),
        (
            "name = \"team/hello\"",
            "name = 7",
            3,
            "`name` must be a string, not an integer",
            "quotes",
        ),
        ("name = \"team/hello\"", "", 2, "has no `name`", "repository"),
        ("name = \"team/hello\"", "name = \"Team\"", 3, "no name of an image", "lower-case"),
        ("name = \"team/hello\"", "name = \"a/../b\"", 3, "no name of an image", "lower-case"),
        ("name = \"team/hello\"", "name = \"a\\nb\"", 3, "no name of an image", "lower-case"),
        (
            "base = \"static-debian13\"",
            "base = \"debian:13\"",
            4,
            "no name of a base",
            "named, not addressed",
        ),
        ("user = \"1000\"", "user = \"0\"", 8, "would run as root", "65532:65532"),
        ("user = \"1000\"", "user = \"0:1000\"", 8, "would run as root", "65532:65532"),
        ("user = \"1000\"", "user = \"00\"", 8, "no user in numbers", "65532:65532"),
        ("user = \"1000\"", "user = \"root\"", 8, "no user in numbers", "65532:65532"),
        ("user = \"1000\"", "user = \"+1\"", 8, "no user in numbers", "65532:65532"),
        ("user = \"1000\"", "user = \"4294967296\"", 8, "no user in numbers", "65532:65532"),
        ("user = \"1000\"", "user = 1000", 8, "must be a string, not an integer", "quotes"),
        ("workdir = \"/data\"", "workdir = \"data\"", 9, "relative", "did you mean `/data`?"),
        ("workdir = \"/data\"", "workdir = \"/a/../b\"", 9, "`..`", ""),
        ("LOG = \"info\"", "\"LO G\" = \"x\"", 10, "no name of an environment variable", "letters"),
        (
            "VERSION = \"{version}\"",
            "VERSION = \"{verison}\"",
            10,
            "no var `verison`",
            "did you mean `{version}`?",
        ),
        ("VERSION = \"{version}\"", "VERSION = \"{version\"", 10, "never closed", ""),
        ("\"9000\"", "\"9000/http\"", 11, "no port", "8080/tcp"),
        ("\"9000\"", "\"70000\"", 11, "no port", "8080/tcp"),
        ("SIGTERM", "TERM", 12, "no signal", "SIGTERM"),
        (
            "org.opencontainers.image.source",
            "org.opencontainers.image.base.name",
            14,
            "written by karat",
            "remove",
        ),
        ("target/{rust-musl}", "target/{rust}", 17, "no placeholder `{rust}`", "{rust-musl}"),
        ("target/{rust-musl}", "../{rust-musl}", 17, "below the project root", "reviewer"),
        ("target/{rust-musl}", "/target", 17, "below the project root", "reviewer"),
        ("cargo:hello\"", "npm:hello\"", 18, "no identity", "cargo:CRATE"),
        ("\"linux/arm64\" = \"dist/b/tool\"", "", 22, "no source for `linux/arm64`", "add"),
        ("\"linux/arm64\" = \"dist/b/tool\"", "\"linux/arm65\" = \"x\"", 22, "not a platform", ""),
        (
            "path = \"/app/tool\"",
            "path = \"app/tool\"",
            23,
            "relative",
            "did you mean `/app/tool`?",
        ),
        (
            "path = \"/app/tool\"",
            "path = \"/usr/bin/hello\"",
            22,
            "already taken",
            "one entry a path",
        ),
        ("path = \"/data\"", "path = \"/\"", 31, "root itself", ""),
        ("exclude = [\"**/*.map\"]", "mode = \"0555\"", 28, "never executable", "[[binary]]"),
        ("exclude = [\"**/*.map\"]", "mode = \"4644\"", 28, "setuid", "0444"),
        ("exclude = [\"**/*.map\"]", "mode = \"0666\"", 28, "writable by everyone", "0444"),
        ("exclude = [\"**/*.map\"]", "mode = \"rw\"", 28, "octal", "0444"),
        ("exclude = [\"**/*.map\"]", "exclude = [\"[\"]", 28, "character class", ""),
        ("exclude = [\"**/*.map\"]", "owner = \"root\"", 28, "no user in numbers", ""),
        (r"v\d+\.\d+\.\d+", r"v(\d+", 38, "no regular expression", "unclosed"),
        ("version = {", "os = {", 38, "cannot be the name of a var", "starting with a letter"),
        ("\"zstd\"", "\"xz\"", 41, "no compression", "gzip"),
        ("created = \"2026-11-20\"", "created = \"20.11.2026\"", 50, "YYYY-MM-DD", ""),
        (
            "path = \"/usr/bin/hello\"\nreason",
            "reason",
            43,
            "exactly one of `path` and `sha256`",
            "never to a pattern",
        ),
        ("\"linux/arm64/v8\"", "\"linux/amd64\"", 5, "listed twice", ""),
        ("\"linux/arm64/v8\"", "\"windows/amd64\"", 5, "not a platform", ""),
        ("[image]", "[image", 2, "", ""),
    ];
    for (from, to, line, message, hint) in cases {
        let found = faults(from, to);
        assert!(
            found.iter().any(|(at, text, help)| *at == line
                && text.contains(message)
                && help.contains(hint)),
            "{to}: wanted line {line}, `{message}`, `{hint}`; found {found:?}"
        );
    }
}

#[test]
fn several_faults_are_reported_together() {
    let text = WHOLE
        .replace("entrypoint =", "entrypiont =")
        .replace("user = \"1000\"", "user = 1000")
        .replace("exclude =", "excludes =");
    let found = parse("r.toml", &text, None).unwrap_err();
    assert_eq!(found.located().iter().map(|at| at.line).collect::<Vec<_>>(), [6, 8, 28]);
    let text = WHOLE
        .replace("user = \"1000\"", "user = \"0\"")
        .replace("SIGTERM", "x")
        .replace("\"9000\"", "\"0\"");
    let found = parse("r.toml", &text, None).unwrap_err();
    assert_eq!(found.located().iter().map(|at| at.line).collect::<Vec<_>>(), [8, 11, 12]);
}

#[test]
fn hostile_texts_end() {
    for text in [
        "x".repeat(2 << 20),
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{b = ".repeat(100_000)),
        "\u{0}".to_owned(),
        "[image]\n".repeat(10_000),
        "[[binary]]\n".repeat(10_000),
    ] {
        assert!(parse("r.toml", &text, None).is_err());
    }
}
