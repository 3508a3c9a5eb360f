//! The gate's rules about the configuration of an image: for each one, an image that breaks
//! this rule and no other, and one as much like it as can be that is right.

use crate::support::elf::Elf;
use crate::support::foreign::{Image, Member, file, folder, link};
use crate::support::{Project, rules};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// An image with nothing to find, but that nobody scanned it for vulnerabilities.
fn good() -> Image {
    Image {
        run: json!({ "User": "65532:65532", "Entrypoint": ["/usr/bin/app"], "WorkingDir": "/" }),
        config: json!({}),
        annotations: json!({}),
        layers: vec![vec![
            folder("etc"),
            file("etc/passwd", "root:x:0:0:r:/:/x\nadmin:x:0:0:a:/:/x\nnobody:x:65534:65534:n:/:/x\nuser:x:1000:0:u:/:/x\n").mode(0o644),
            file("etc/group", "root:x:0:\nstaff:x:50:\n").mode(0o644),
            file("usr/bin/app", Elf::default().build()),
            folder("tmp").mode(0o1777),
            folder("data").owner(65532, 65532),
        ]],
    }
}

/// The good image, with this property of its run configuration.
fn with(key: &str, value: Value) -> Image {
    let mut image = good();
    image.run[key] = value;
    image
}

/// The good image with further entries.
fn holding(mut image: Image, members: impl IntoIterator<Item = Member>) -> Image {
    image.layers[0].extend(members);
    image
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
fn users_are_read_as_runtimes_read_them() {
    let project = Project::new();
    for (user, expected) in [
        ("65532:65532", &[][..]),
        ("65532:staff", &[]),
        ("65534", &[]),
        ("", &["user-root"]),
        ("0", &["user-root"]),
        ("0:65532", &["user-root"]),
        ("00", &["user-root"]),
        ("+0", &["user-root"]),
        ("-0", &["user-root"]),
        (" 0", &["user-root"]),
        ("root", &["user-root"]),
        ("root:staff", &["user-root"]),
        (":65532", &["user-root"]),
        ("admin", &["user-root"]),
        ("admin:65532", &["user-root"]),
        ("nobody", &["user-not-numeric"]),
        ("stranger:65532", &["user-not-numeric"]),
        ("2147483648:1", &["user-out-of-range"]),
        ("4294967296:1", &["user-out-of-range"]),
        ("99999999999999999999999:1", &["user-out-of-range"]),
        ("-1:1", &["user-out-of-range"]),
        ("2147483647:1", &[]),
        ("65532", &["group-root"]),
        ("65532:0", &["group-root"]),
        ("65532:root", &["group-root"]),
        ("1000", &["group-root"]),
    ] {
        breaks(&project, user, &with("User", json!(user)), expected);
    }
}

#[test]
fn what_starts_through_a_shell_is_refused() {
    let project = Project::new();
    let app = Elf::default().build();
    let health = |test: Value| with("Healthcheck", json!({ "Test": test }));
    let shell = &["entrypoint-shell"][..];
    // The shells are missing on purpose: their own rules are tested elsewhere.
    for (what, image, expected) in [
        ("good", good(), &[][..]),
        ("no check", health(json!(["NONE"])), &[]),
        ("a check", health(json!(["CMD", "/usr/bin/app", "--check"])), &[]),
        ("a null", health(Value::Null), &[]),
        ("a text as check", health(json!(["CMD-SHELL", "app --check"])), shell),
        ("a shell as check", health(json!(["CMD", "/bin/sh", "-c", "x"])), shell),
        ("a text as command", with("Cmd", json!(["/bin/sh", "-c", "x"])), shell),
        ("arguments", with("Cmd", json!(["-c", "sh"])), &[]),
        (
            "a shell",
            with("Entrypoint", json!(["/bin/sh", "-c", "x"])),
            &["entrypoint-shell", "entrypoint-missing"],
        ),
        (
            "env",
            with("Entrypoint", json!(["/usr/bin/env", "app"])),
            &["entrypoint-shell", "entrypoint-missing"],
        ),
        (
            "an interpreter",
            with("Entrypoint", json!(["/usr/bin/python3.13", "app.py"])),
            &["entrypoint-shell", "entrypoint-missing"],
        ),
        (
            "a loader",
            holding(
                with("Entrypoint", json!(["/lib64/ld-linux-x86-64.so.2", "/usr/bin/app"])),
                [file("lib64/ld-linux-x86-64.so.2", &app)],
            ),
            shell,
        ),
        (
            "a link to one",
            holding(
                with("Entrypoint", json!(["/start"])),
                [
                    link("start", "lib64/ld-linux-x86-64.so.2"),
                    file("lib64/ld-linux-x86-64.so.2", &app),
                ],
            ),
            shell,
        ),
        (
            "a link to the program",
            holding(with("Entrypoint", json!(["/start"])), [link("start", "usr/bin/app")]),
            &[],
        ),
    ] {
        breaks(&project, what, &image, expected);
    }
}

#[test]
fn relative_entrypoint_is_told() {
    let project = Project::new();
    let mut image = with("Entrypoint", json!(["app"]));
    image.run["Env"] = json!(["PATH=/usr/bin"]);
    breaks(&project, "by PATH", &image, &["entrypoint-relative"]);
    image.run["Entrypoint"] = json!(["./app"]);
    image.run["WorkingDir"] = json!("/usr/bin");
    breaks(&project, "by the working directory", &image, &["entrypoint-relative"]);
    image.run["Entrypoint"] = json!(["/usr/bin/app"]);
    breaks(&project, "absolute", &image, &[]);
}

#[test]
fn environment_that_leads_to_foreign_code_is_refused() {
    let project = Project::new();
    let unsafe_path = &["search-path-unsafe"][..];
    let loads = &["env-loads-code"][..];
    for (line, expected) in [
        ("PATH=/usr/local/bin:/usr/bin", &[][..]),
        ("PATH=/nowhere/bin", &[]),
        ("PATH=:/usr/bin", unsafe_path),
        ("PATH=/usr/bin:", unsafe_path),
        ("PATH=/usr/bin::/bin", unsafe_path),
        ("PATH=", unsafe_path),
        ("PATH=.:/usr/bin", unsafe_path),
        ("PATH=bin:/usr/bin", unsafe_path),
        ("PATH=/tmp:/usr/bin", unsafe_path),
        ("PATH=/tmp/bin:/usr/bin", unsafe_path),
        ("PATH=/data:/usr/bin", unsafe_path),
        ("LD_PRELOAD=/x.so", loads),
        ("LD_PRELOAD=", &[]),
        ("LD_LIBRARY_PATH=/opt/lib", loads),
        ("LD_AUDIT=/x.so", loads),
        ("GLIBC_TUNABLES=glibc.malloc.check=3", loads),
        ("GCONV_PATH=/x", loads),
        ("BASH_ENV=/x", loads),
        ("ENV=/etc/profile", loads),
        ("ENV=production", &[]),
        ("PYTHONSTARTUP=/x.py", loads),
        ("PERL5OPT=-Mx", loads),
        ("RUBYOPT=-rx", loads),
        ("NODE_OPTIONS=--require=/x.js", loads),
        ("JAVA_TOOL_OPTIONS=-javaagent:/x.jar", loads),
        ("_JAVA_OPTIONS=-javaagent:/x.jar", loads),
        ("MY_LD_PRELOAD=/x.so", &[]),
    ] {
        breaks(&project, line, &with("Env", json!([line])), expected);
    }
}

#[test]
fn ports_volumes_and_working_directories_that_are_risky_are_told() {
    let project = Project::new();
    let port = |port: &str| with("ExposedPorts", json!({ port: {} }));
    let volume = |path: &str| with("Volumes", json!({ path: {} }));
    let workdir = |path: &str| with("WorkingDir", json!(path));
    for (what, image, expected) in [
        ("8080", port("8080/tcp"), &[][..]),
        ("22", port("22/tcp"), &["port-risky"]),
        ("2375", port("2375"), &["port-risky"]),
        ("9229", port("9229/tcp"), &["port-risky"]),
        ("a range", port("9000-9300/tcp"), &["port-risky"]),
        ("another range", port("8000-8100/tcp"), &[]),
        ("/data", volume("/data"), &[]),
        ("/etc/app", volume("/etc/app"), &[]),
        ("/etc", volume("/etc/"), &["volume-on-system"]),
        ("/", volume("/"), &["volume-on-system"]),
        ("//usr/./", volume("//usr/./"), &["volume-on-system"]),
        ("docker.sock", volume("/var/run/docker.sock"), &["volume-on-system"]),
        ("no directory", workdir(""), &[]),
        ("/data as directory", workdir("/data"), &[]),
        ("missing", workdir("/nowhere"), &["workdir-unsafe"]),
        ("relative", workdir("usr"), &["workdir-unsafe"]),
        ("open", workdir("/tmp"), &["workdir-unsafe"]),
        ("a file", workdir("/usr/bin/app"), &["workdir-unsafe"]),
    ] {
        breaks(&project, what, &image, expected);
    }
}

#[test]
fn history_and_build_triggers_are_told() {
    let project = Project::new();
    let history = |steps: Value| Image { config: json!({ "history": steps }), ..good() };
    let step = json!({ "created_by": "COPY app" });
    let empty = json!({ "created_by": "ENV x", "empty_layer": true });
    for (what, image, expected) in [
        ("one step", history(json!([step, empty])), &[][..]),
        ("none", history(json!([])), &[]),
        ("two steps", history(json!([step, step])), &["history-differs"]),
        ("no step with a layer", history(json!([empty])), &["history-differs"]),
        ("ONBUILD", with("OnBuild", json!(["RUN make"])), &["build-trigger"]),
        ("SHELL", with("Shell", json!(["/bin/bash", "-c"])), &["build-trigger"]),
        ("nulls", with("OnBuild", Value::Null), &[]),
    ] {
        breaks(&project, what, &image, expected);
    }
}

/// A token of a form, which no issuer gave out. Put together here, so that this file holds none.
fn token(prefix: &str, length: usize) -> String {
    let characters = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1eF3hI5kL7nO9qR1tU3wX5zA2cD4".chars();
    prefix.chars().chain(characters.cycle().take(length)).collect()
}

#[test]
fn secrets_are_found_wherever_they_lie_and_never_shown() {
    let project = Project::new();
    let key = format!("-----BEGIN {} KEY-----\n{}\n", "PRIVATE", token("MIIEvQ", 80));
    let aws = "AKIA".to_owned() + "Q3ZT7WLM2XPNB4VC";
    // The example in which GitHub describes its checksum.
    let github = "ghp_zQWBuTSOoRi4A9spHc".to_owned() + "VY5ncnsDkxkJ0mLq17";
    let tokens = [
        (github, "secret-token"),
        (token("github_pat_", 22) + &token("_", 59), "secret-token"),
        (token("glpat-", 20), "secret-token"),
        (token("xoxb-4829104756-", 40), "secret-token"),
        (token("AIza", 35), "secret-token"),
        (token("npm_", 36), "secret-token"),
        (token("pypi-AgEIcHlwaS5vcmc", 57), "secret-token"),
        (aws, "secret-token"),
        (key, "secret-private-key"),
    ];
    for (secret, rule) in &tokens {
        let history = json!({ "history": [{ "created_by": format!("RUN login {secret}") }] });
        for (place, image) in [
            ("environment", with("Env", json!([format!("SETTING={secret}")]))),
            ("environment", with("Env", json!([secret]))),
            ("label", with("Labels", json!({ "a": secret }))),
            ("label", with("Labels", json!({ secret: "a" }))),
            ("annotation", Image { annotations: json!({ "a": secret }), ..good() }),
            ("history", Image { config: history, ..good() }),
            ("command", with("Cmd", json!(["--token", secret]))),
        ] {
            let report = breaks(&project, secret, &image, &[rule]);
            let text = report.to_string();
            assert!(text.contains(place), "{place}: {text}");
            assert!(!text.contains(&secret[..secret.len().min(40)]), "{text}");
            let tail = &secret[secret.len() - 12..secret.len() - 1];
            assert!(!text.contains(tail), "{tail}: {text}");
        }
    }
    for harmless in [
        token("ghp_", 35),
        token("ghp_", 36),
        token("xghp_", 36),
        format!("ghp_{}", "x".repeat(36)),
        "AKIA".to_owned() + "IOSFODNN7EXAMPLE",
        "password=hunter2".to_owned(),
        format!("-----BEGIN {} KEY-----\n{}\n", "PUBLIC", token("MIIEvQ", 40)),
    ] {
        breaks(&project, &harmless, &with("Env", json!([format!("X={harmless}")])), &[]);
    }
}

#[test]
fn image_of_the_built_in_base_has_nothing_new() {
    let project = Project::small();
    for base in ["static-debian13", "scratch"] {
        let text = crate::support::recipe_on(base, "workdir = \"/\"\n", "app", "app");
        project.write("app.karat.toml", text);
        project.done("build --output oci:out");
        let report = project.done("inspect oci:out --format json").json();
        assert_eq!(rules(&report), ["not-scanned"], "{base}: {report:#}");
        std::fs::remove_dir_all(project.path("out")).expect("a folder");
    }
}
