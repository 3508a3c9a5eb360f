//! dpkg orders versions, gpg signs, the site's mirror has packages: karat agrees with all.

use crate::project::Project;
use crate::support::{Outcome, Skip, command, finish, program, repository, succeed};
use karat::base::debian::clear_sign::ClearSigned;
use karat::base::debian::{Keyring, Version};
use karat::time::{Moment, Now};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::SystemTime;

/// How many pairs are compared.
const PAIRS: usize = 3000;

/// The versions that this machine's own indexes and database know.
fn versions() -> Result<Vec<String>, Skip> {
    let mut found = BTreeSet::new();
    let status = std::fs::read_to_string("/var/lib/dpkg/status").unwrap_or_default();
    let available = match program("apt-cache") {
        Ok(apt) => {
            String::from_utf8_lossy(&finish(command(apt).arg("dumpavail")).stdout).into_owned()
        }
        Err(_) => String::new(),
    };
    for text in [status, available] {
        found.extend(
            text.lines().filter_map(|line| line.strip_prefix("Version: ")).map(str::to_owned),
        );
    }
    match found.len() {
        0..200 => Err(Skip("this machine knows too few packages".to_owned())),
        _ => Ok(found.into_iter().collect()),
    }
}

pub(crate) fn versions_are_ordered_as_dpkg_orders_them() -> Outcome {
    let dpkg = program("dpkg")?;
    let versions = versions()?;
    // Neighbours in byte order are alike and tell more than any two; the rest comes from afar.
    let step = (versions.len() / (PAIRS / 2)).max(1);
    let near = versions.windows(2).step_by(step).map(|pair| (&pair[0], &pair[1]));
    let far = (0..PAIRS / 2)
        .map(|i| (&versions[i * 7919 % versions.len()], &versions[i * 104_729 % versions.len()]));
    let mut script = String::new();
    let mut ours = Vec::new();
    for (one, other) in near.chain(far) {
        let plain =
            |text: &str| text.bytes().all(|c| c.is_ascii_alphanumeric() || b".+-~:".contains(&c));
        assert!(plain(one) && plain(other));
        let (a, b): (Version, Version) = (one.parse().expect(one), other.parse().expect(other));
        let relation = match a.cmp(&b) {
            std::cmp::Ordering::Less => "lt",
            std::cmp::Ordering::Equal => "eq",
            std::cmp::Ordering::Greater => "gt",
        };
        ours.push(format!("{one} {relation} {other}"));
        script += &format!(
            "\"$0\" --compare-versions '{one}' {relation} '{other}' || echo '{one} {relation} {other}'\n"
        );
    }
    assert!(ours.len() >= 2000, "{} pairs", ours.len());
    let mut sh = command("sh")
        .args(["-s"])
        .arg(&dpkg)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh");
    let script = script.replace("\"$0\"", &dpkg.display().to_string());
    let mut input = sh.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || input.write_all(script.as_bytes()));
    let output = sh.wait_with_output().expect("sh ends");
    writer.join().expect("written").expect("written");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "dpkg says otherwise");
    Ok(())
}

pub(crate) fn gpg_verifies_and_refuses_what_karat_does() -> Outcome {
    let gpg = program("gpg")?;
    let project = Project::new();
    let home = project.path("gnupg");
    std::fs::create_dir_all(&home).expect("a folder");
    let run = |args: &[&str]| {
        command(&gpg)
            .args(["--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", ""])
            .args(args)
            .env("GNUPGHOME", &home)
            .current_dir(project.path(""))
            .output()
            .expect("gpg")
    };
    for kind in ["rsa2048", "ed25519"] {
        let made = run(&["--quick-generate-key", kind, kind, "sign", "2y"]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::write(project.path("text"), "Origin: x  \n- dash\n\nlast\t\nend\n")
            .expect("a file");
        assert!(
            run(&["--local-user", kind, "--output", "signed", "--clear-sign", "text"])
                .status
                .success()
        );
        let keys = run(&["--export", kind]).stdout;
        let signed = std::fs::read(project.path("signed")).expect("signed");
        let keyring = Keyring::parse(&keys).expect("a keyring");
        let now = Moment::from(Now::new(SystemTime::now()));
        let document = ClearSigned::parse(&signed).expect("signed");
        assert_eq!(document.text, "Origin: x\n- dash\n\nlast\nend\n");
        assert_eq!(keyring.signers(&document, now).expect("signed").len(), 1, "{kind}");
        let later = "2032-01-01T00:00:00Z".parse().expect("a moment");
        assert!(
            keyring
                .signers(&document, later)
                .expect_err("it has expired")
                .to_string()
                .contains("expired")
        );
        let changed = String::from_utf8(signed).expect("text").replace("last", "lost");
        std::fs::write(project.path("signed"), &changed).expect("a file");
        assert!(!run(&["--verify", "signed"]).status.success());
        let document = ClearSigned::parse(changed.as_bytes()).expect("a frame");
        assert!(keyring.signers(&document, now).is_err());
    }
    Ok(())
}

/// Runs karat in karat's own repository, with the machine's mirrors.
fn karat(cache: &Path, args: &[&str]) -> std::process::Output {
    let mut karat = command(env!("CARGO_BIN_EXE_karat"));
    karat.args(args).current_dir(repository()).env("KARAT_CACHE", cache);
    finish(&mut karat)
}

/// Says whether a package is gone from the mirror, which is no fault of karat's and not red.
fn is_gone(output: &std::process::Output) -> bool {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let gone = said.contains("is gone from the mirror");
    match output.status.code() {
        Some(0) => false,
        Some(3) if gone => {
            let _ = writeln!(std::io::stderr(), "interop: {}", said.lines().next().unwrap_or(""));
            true
        }
        _ => panic!("{said}"),
    }
}

pub(crate) fn the_built_in_base_is_made_again_from_the_mirror() -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("layers");
    let out = out.to_str().expect("text");
    let line = ["base", "build", "static-debian13", "--output", out];
    if is_gone(&karat(&folder.path().join("cache"), &line)) {
        return Ok(());
    }
    let mut count = 0;
    for entry in std::fs::read_dir(out).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        let own = repository().join("bases/static-debian13").join(name);
        assert!(
            std::fs::read(&path).expect("made") == std::fs::read(&own).expect("compiled in"),
            "{}",
            own.display()
        );
        count += 1;
    }
    assert_eq!(count, 6);
    Ok(())
}

pub(crate) fn a_dynamic_program_stands_on_the_cc_base() -> Outcome {
    let cc = program("cc")?;
    let project = Project::new();
    let cache = project.path("cache");
    for file in ["cc-debian13.toml", "cc-debian13.lock.toml", "cc-debian13.contents.txt"] {
        let text = std::fs::read(repository().join("bases").join(file)).expect("a base");
        std::fs::create_dir_all(project.path("bases")).expect("a folder");
        std::fs::write(project.path("bases").join(file), text).expect("a file");
    }
    std::fs::write(project.path("app.c"), "#include <stdio.h>\nint main(void) { char text[64]; snprintf(text, sizeof text, \"%d\", 7); puts(text); return 0; }\n").expect("a file");
    succeed(
        command(cc)
            .args([
                "-O2",
                "-s",
                "-fPIE",
                "-pie",
                "-fstack-protector-strong",
                "-D_FORTIFY_SOURCE=2",
                "-Wl,-z,relro,-z,now",
                "-o",
                "app",
                "app.c",
            ])
            .current_dir(project.path("")),
    );
    std::fs::write(project.path("app.karat.toml"), "[image]\nname = \"app\"\nbase = \"cc-debian13\"\nplatforms = [\"linux/amd64\"]\n[[binary]]\nsource = \"app\"\n").expect("a file");
    let mut build = command(env!("CARGO_BIN_EXE_karat"));
    build.args(["build", "app.karat.toml"]).current_dir(project.path("")).env("KARAT_CACHE", cache);
    let output = finish(&mut build);
    if is_gone(&output) {
        return Ok(());
    }
    let report = std::fs::read(project.path("dist/app/report.json")).expect("a report");
    let report: serde_json::Value = serde_json::from_slice(&report).expect("JSON");
    let about = [
        "elf-interpreter-missing",
        "elf-library-missing",
        "elf-orphan-loader",
        "foreign-executable",
    ];
    let found: Vec<_> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter(|one| about.contains(&one["rule"].as_str().unwrap_or("")))
        .collect();
    assert!(found.is_empty(), "{found:?}");
    Ok(())
}
