//! Waivers, profiles and inputs: exceptions that hold, that do not, and what asks for one.

use crate::support::{Project, day, elf::SCRIPT, recipe, rules};

fn with_waiver(project: &Project, rule: &str, created: &str, expires: &str) {
    let waiver = format!(
        "\n[[waiver]]\nid = \"wv-1\"\nrule = \"{rule}\"\npath = \"/srv/run.txt\"\nreason = \"r\"\nowner = \"o\"\nticket = \"t\"\ncreated = \"{created}\"\nexpires = \"{expires}\"\n"
    );
    project.write("data/run.txt", SCRIPT);
    let data = "[[file]]\nsource = \"data\"\npath = \"/srv\"\n";
    project.write("app.karat.toml", recipe("app", "app") + data + &waiver);
}

#[test]
fn waiver_takes_one_finding_off_the_count_and_shows() {
    let project = Project::small();
    with_waiver(&project, "script", &day(-5), &day(60));
    project.done("build").says(&["wv-1"]);
    let report = project.json("dist/app/report.json");
    let waived = report["findings"]
        .as_array()
        .and_then(|all| all.iter().find(|one| one["rule"] == "script"))
        .expect("the finding stays in the report");
    assert_eq!(waived["status"], "waived");
    assert_eq!(waived["waiver"], "wv-1");
}

#[test]
fn waiver_that_is_expired_expires_for_any_source_date_epoch() {
    let project = Project::small();
    with_waiver(&project, "script", "2020-01-01", "2020-02-01");
    project.run("build").exits(1).says(&["waiver-expired"]);
    let output = project.karat(&["build"]).env("SOURCE_DATE_EPOCH", "1578000000").run();
    output.exits(1).says(&["waiver-expired"]);
    with_waiver(&project, "script", &day(2), &day(20));
    project.run("build").exits(1).says(&["waiver-future"]);
    with_waiver(&project, "script", &day(-20), &day(3));
    project.done("build").says(&["waiver-expiring"]);
}

#[test]
fn waiver_that_is_not_allowed_is_refused() {
    let project = Project::small();
    for (rule, created, expires) in [
        ("no-such-rule", day(-1), day(20)),
        ("shell", day(-1), day(20)),
        ("undeclared-executable", day(-1), day(20)),
        ("script", day(-1), day(120)),
    ] {
        with_waiver(&project, rule, &created, &expires);
        let output = project.run("build");
        assert!(output.code == 1 || output.code == 2, "{rule}: {}", output.stderr);
        output.says(&["waiver"]);
    }
}

#[test]
fn check_says_of_a_waiver_what_build_would() {
    for (rule, created, expires, said) in [
        ("script", 0, 30, None),
        ("script", -60, -1, Some("expired")),
        ("script", 1, 30, Some("begins")),
        ("script", 0, 91, Some("91 days")),
        ("shell", 0, 30, Some("cannot be waived")),
        ("scirpt", 0, 30, Some("did you mean `script`?")),
    ] {
        let project = Project::small();
        with_waiver(&project, rule, &day(created), &day(expires));
        match said {
            None => project.done("check"),
            Some(said) => project.run("check").exits(2).says(&["app.karat.toml", said]),
        };
    }
}

#[test]
fn waiver_without_a_file_is_wrong_input() {
    let project = Project::small();
    with_waiver(&project, "script", &day(-1), &day(20));
    let text = String::from_utf8(project.read("app.karat.toml")).expect("text");
    project.write("app.karat.toml", text.replace("path = \"/srv/run.txt\"\n", ""));
    project.run("build").exits(2).says(&["path", "sha256"]);
    project.write("app.karat.toml", text.replace("\"/srv/run.txt\"", "\"/srv/*\""));
    let output = project.run("build");
    assert_ne!(output.code, 0, "a pattern waives nothing");
}

const SHARED: &str = "[[waiver]]\nid = \"wv-9\"\nrule = \"script\"\npath = \"/srv/run.txt\"\nreason = \"r\"\nowner = \"o\"\nticket = \"SEC-1\"\n";

/// A project whose image holds a script, and a file of waivers beside it.
fn with_shared(further: &str, created: i64, expires: i64) -> Project {
    let project = Project::small();
    project.write("data/run.txt", SCRIPT);
    let data = "[[file]]\nsource = \"data\"\npath = \"/srv\"\n";
    project.write("app.karat.toml", recipe("app", "app") + data);
    let days = format!("created = \"{}\"\nexpires = \"{}\"\n", day(created), day(expires));
    project.write("waivers/team.toml", format!("{SHARED}{further}\n{days}"));
    project
}

#[test]
fn waiver_in_the_projects_folder_is_for_the_images_that_it_names() {
    with_shared("images = \"app\"", -1, 60).done("build").says(&["wv-9"]);
    with_shared("images = \"other/*\"", -1, 60).run("build").exits(1).says(&["script"]);
    for (further, created, expires, said) in [
        ("images = \"*\"", -1, 60, "waiver-too-wide"),
        ("", -1, 60, "waiver-too-wide"),
        ("images = \"app\"", 1, 60, "waiver-future"),
        ("images = \"app\"", -60, -1, "waiver-expired"),
        ("images = \"app\"", -60, 60, "waiver-refused"),
    ] {
        let project = with_shared(further, created, expires);
        project.run("build").exits(1).says(&[said, "waivers/team.toml", "script"]);
        project.run("check").exits(2).says(&["waivers/team.toml:", "wv-9"]);
        project.run("waivers report").exits(1).prints(&[said, "DOES NOT HOLD"]);
        project.done("waivers list").prints(&[said]);
    }
}

#[test]
fn faults_of_a_waiver_file_stop_every_command_that_judges() {
    let project = with_shared("images = \"app\"\npath2 = \"x\"", -1, 60);
    for line in ["build", "check", "inspect app", "waivers list", "waivers report"] {
        project.run(line).exits(2).says(&["waivers/team.toml:9", "path2"]);
    }
    let project = with_shared("images = \"app\"", -1, 60);
    let text = String::from_utf8(project.read("waivers/team.toml")).expect("text");
    project.write("waivers/again.toml", text.replace("/srv/run.txt", "/other"));
    project.run("build").exits(2).says(&["wv-9", "waivers/again.toml", "waivers/team.toml"]);
    project.run("check").exits(2).says(&["wv-9", "waivers/again.toml"]);
    // Other files lie there too.
    project.write("waivers/again.toml", "");
    project.run("build").exits(2).says(&["waivers/again.toml", "empty"]);
    std::fs::remove_file(project.path("waivers/again.toml")).expect("the file");
    project.write("waivers/README.md", "Ask the security team.\n");
    project.done("check").prints(&["waivers/team.toml  1 waiver"]);
    project.done("check waivers/team.toml").prints(&["1 waiver"]);
}

#[test]
fn waivers_are_judged_as_of_another_day_only_where_asked() {
    let project = with_shared("images = \"app\"", -1, 60);
    project.done("waivers report").prints(&["holds until"]);
    project.run(&format!("waivers report --now {}", day(61))).exits(1).prints(&["expired"]);
    project.done(&format!("waivers report --now {}", day(50))).prints(&["EXPIRES on", "10 days"]);
    project.run(&format!("check --now {}", day(61))).exits(2).says(&["expired"]);
    project.run("waivers report --now soon").exits(2).says(&["--now"]);
    project.run(&format!("build --now {}", day(1))).exits(2);
    project.run(&format!("inspect app --now {}", day(1))).exits(2);
    let report = project.done("waivers report --format json").json();
    assert_eq!(report["schema"], "karat.waivers/v1");
    assert_eq!(report["waivers"][0]["standing"], "holds");
    assert_eq!(report["waivers"][0]["ticket"], "SEC-1");
    Project::new().done("waivers list").prints(&["there are no waivers"]);
}

#[test]
fn waivers_new_writes_blocks_that_hold_once_they_are_complete() {
    let project = Project::small();
    project.write("data/run.txt", SCRIPT);
    project.write("data/more/two.txt", [SCRIPT, b"# two\n"].concat());
    let data = "[[file]]\nsource = \"data\"\npath = \"/srv\"\n";
    project.write("app.karat.toml", recipe("app", "app") + data);
    project.run("build").exits(1);
    let empty = project.done("waivers new --from dist/app/report.json");
    let empty = empty.prints(&["path = \"/srv/run.txt\"", "reason = \"\""]).says(&["fill in"]);
    project.write("waivers/a.toml", &empty.stdout);
    project.run("check").exits(2).says(&["`reason` says something"]);
    let line =
        ["waivers", "new", "--from", "dist/app/report.json", "--images", "app", "--days", "20"];
    let said =
        ["--reason", "vendor script, never started", "--owner", "team-x", "--ticket", "SEC-2"];
    let drafted = project.karat(&[&line[..], &said[..]].concat()).run().exits(0);
    assert_eq!(drafted.stdout.matches("[[waiver]]").count(), 2, "{}", drafted.stdout);
    project.write("waivers/a.toml", &drafted.stdout);
    project.done("check");
    project.done("build").says(&["2 waived"]);
    // Bound to the bytes, they hold wherever the file is.
    let by_bytes = [&line[..4], &["--by-sha256", "--rule", "script"][..], &said[..]].concat();
    std::fs::remove_file(project.path("waivers/a.toml")).expect("the file");
    project.run("build").exits(1);
    let drafted = project.karat(&by_bytes).run().exits(0);
    project.write("waivers/a.toml", &drafted.stdout);
    project.done("build").says(&["2 waived"]);
}

#[test]
fn waivers_new_refuses_what_it_cannot_use() {
    let project = Project::small();
    project.run("waivers new --from none.json").exits(2).says(&["none.json", "karat build"]);
    project.write("text.json", "{");
    project.run("waivers new --from text.json").exits(2).says(&["no report"]);
    project.write("other.json", "{\"schema\":\"other/v1\"}");
    project.run("waivers new --from other.json").exits(2).says(&["other/v1"]);
    project.run("waivers new --from .").exits(2);
    project.run("waivers new --from text.json --days 91").exits(2).says(&["1 to 90"]);
    project.run("waivers new --from text.json --images A").exits(2).says(&["--images"]);
    // What cannot be waived is told, and no block is written.
    let output = project.run("inspect karat-it --format json");
    assert_eq!(output.code, 2);
    project.write("root.karat.toml", recipe("root", "app"));
    project.write("report.json", r#"{"schema":"karat.report/v1","findings":[{"rule":"shell","severity":"critical","status":"open","path":"/bin/sh","file":null,"message":"m\u001b[2J"}]}"#);
    let output = project.done("waivers new --from report.json");
    assert_eq!(output.stdout, "");
    output.says(&["`shell` at /bin/sh: the rule cannot be waived"]);
}

#[test]
fn profiles_are_for_the_images_that_they_name() {
    let project = with_shared("images = \"none\"", -1, 60);
    let profile = |images: &str, further: &str| {
        let text = format!(
            "[policy]\nname = \"mine\"\n[registry]\npublish = \"registry.example/golden\"\n\
             [[profile]]\nimages = \"{images}\"\n{further}\n"
        );
        project.write("karat-policy.toml", text);
    };
    let until = format!("mode = \"report\"\nuntil = \"{}\"", day(10));
    profile("registry.example/golden/*", &until);
    project.done("build").says(&["report-only", "script"]);
    let report = project.json("dist/app/report.json");
    assert_eq!(report["verdict"], "accepted");
    assert_eq!(report["policy"]["profile"]["mode"], "report");
    assert!(rules(&report).contains(&"script".to_owned()), "it still shows");
    profile("registry.example/silver/*", &until);
    project.run("build").exits(1);
    profile("golden/app", &format!("mode = \"report\"\nuntil = \"{}\"", day(-1)));
    project.run("build").exits(1).says(&["report-only-expired"]);
    let lowered = format!(
        "rules = {{ script = {{ severity = \"low\", reason = \"r\", owner = \"o\", expires = \"{}\" }} }}",
        day(30)
    );
    profile("golden/*", &lowered);
    project.done("build");
    project
        .done("policy show")
        .prints(&["profile.0.images = \"golden/*\"", "profile.0.rules.script"]);
    project.done("waivers list").prints(&["every file: low", "golden/*"]);
    // Of a foreign image or file, only the user can say what it is for.
    project.run("inspect data/run.txt").exits(1);
    project.done("inspect --as registry.example/golden/app data/run.txt");
    project.run("inspect --as golden data/run.txt").exits(2).says(&["HOST/REPO"]);
    let text = String::from_utf8(project.read("karat-policy.toml")).expect("text");
    let tie = text.replace("golden/*", "golden/*pp") + "[[profile]]\nimages = \"golden/ap*\"\n";
    project.write("karat-policy.toml", tie);
    project.run("build").exits(2).says(&["neither is narrower", "golden/*pp", "golden/ap*"]);
}

#[test]
fn files_that_git_does_not_hold_are_told() {
    let project = Project::small();
    std::fs::remove_dir(project.path(".git")).expect("the marker");
    project.write("config/app.conf", "a\n");
    project.write("config/.env", "PASSWORD=x\n");
    project.write("built.json", "{}\n");
    project.write(".gitignore", ".env\nbuilt.json\n/app\ndist\n");
    let data = "[[file]]\nsource = \"config\"\npath = \"/etc/app\"\n\
                [[file]]\nsource = \"built.json\"\npath = \"/etc/built.json\"\n";
    project.write("app.karat.toml", recipe("app", "app") + data);
    project.done("build");
    assert!(!rules(&project.json("dist/app/report.json")).contains(&"untracked-input".to_owned()));
    project.git("init -q");
    project.git("add .");
    project.git("commit -q -m first");
    project.write("config/late.conf", "b\n");
    project.done("build");
    let report = project.json("dist/app/report.json");
    let found: Vec<_> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter(|one| one["rule"] == "untracked-input")
        .map(|one| (one["path"].as_str().expect("a path"), one["severity"].as_str().expect("one")))
        .collect();
    assert_eq!(found, [("/etc/app/.env", "low"), ("/etc/app/late.conf", "low")]);
}

/// A policy by which waivers need the signature of the keys of `support::keys`.
const SIGNED: &str = "[policy]\nname = \"golden\"\n[waivers]\napproval = \"signed\"\napprovers = [{ key = \"cosign.pub\" }]\n";

/// A project with such a policy, with the approver's keys.
fn asking_for_approval(project: Project) -> Project {
    let project = project.with_keys();
    project.write("karat-policy.toml", SIGNED);
    project
}

fn bundles(project: &Project) -> Vec<String> {
    let Ok(folder) = std::fs::read_dir(project.path("waivers")) else { return Vec::new() };
    let names = folder.map(|entry| entry.expect("an entry").file_name().into_string());
    let mut names: Vec<_> = names.map(|name| name.expect("text")).collect();
    names.retain(|name| name.ends_with(".sigstore.json"));
    names.sort();
    names
}

#[test]
fn waiver_counts_once_an_approver_has_signed_it_as_it_is() {
    let shared = asking_for_approval(with_shared("images = \"app\"", -1, 60));
    let in_recipe = asking_for_approval(Project::small());
    with_waiver(&in_recipe, "script", &day(-1), &day(60));
    shared.done("policy show").prints(&["waivers.approvers", "sha256:", "karat-policy.toml:5"]);
    for (project, id) in [(&shared, "wv-9"), (&in_recipe, "wv-1")] {
        let say = ["waiver-not-approved", id, "nobody has signed it as it is now"];
        project.run("build").exits(1).says(&say);
        project.run("check").exits(2).says(&[id, "nobody has signed it"]);
        project.run("waivers report").exits(1).prints(&["waiver-not-approved", "DOES NOT HOLD"]);
        let approve = format!("waivers approve {id} --key cosign.key");
        project.signed(&approve).exits(0).says(&["approved the waiver", id, "waivers/"]);
        let made = bundles(project);
        assert_eq!(made.len(), 1, "{made:?}");
        assert!(made[0].starts_with(id), "{made:?}");
        project.done("build").says(&[id]);
        project.done("check");
        project.done("waivers report").prints(&["holds until"]);
        // Once is enough.
        project.signed(&approve).exits(0).says(&["already"]);
        assert_eq!(bundles(project), made);
        // It is a bundle like any other, over what is documented.
        let form = canonical(project, id);
        project.write("form.json", &form);
        let bundle = format!("waivers/{}", made[0]);
        project
            .done(&format!("verify form.json --bundle {bundle} --key cosign.pub"))
            .prints(&["accepted"]);
    }
    assert!(
        String::from_utf8(shared.read("form.json")).expect("text").contains("\"images\":\"app\"")
    );
}

/// The canonical form of the waivers of these tests, as the documentation describes it.
fn canonical(project: &Project, id: &str) -> String {
    let (from, image, days, texts) = match id {
        "wv-9" => ("images", "app", (day(-1), day(60)), ("o", "r", "SEC-1")),
        _ => ("image", "app", (day(-1), day(60)), ("o", "r", "t")),
    };
    assert!(project.path("app.karat.toml").is_file());
    let (created, expires) = days;
    let (owner, reason, ticket) = texts;
    let mut fields = vec![
        format!("\"created\":\"{created}\""),
        format!("\"expires\":\"{expires}\""),
        format!("\"id\":\"{id}\""),
        format!("\"{from}\":\"{image}\""),
        format!("\"owner\":\"{owner}\""),
        "\"path\":\"/srv/run.txt\"".to_owned(),
        format!("\"reason\":\"{reason}\""),
        "\"rule\":\"script\"".to_owned(),
        "\"schema\":\"karat.waiver/v1\"".to_owned(),
        format!("\"ticket\":\"{ticket}\""),
    ];
    fields.sort();
    format!("{{{}}}", fields.join(","))
}

#[test]
fn approval_of_another_waiver_or_by_somebody_else_does_not_count() {
    let project = asking_for_approval(with_shared("images = \"app\"", -1, 60));
    project.signed("waivers approve wv-9 --key cosign.key").exits(0);
    project.done("build");
    let text = String::from_utf8(project.read("waivers/team.toml")).expect("text");
    // Whatever is changed, it is another waiver.
    for (from, to) in [
        ("wv-9", "wv-8"),
        ("reason = \"r\"", "reason = \"q\""),
        ("owner = \"o\"", "owner = \"p\""),
        ("SEC-1", "SEC-2"),
        ("images = \"app\"", "images = \"ap*\""),
        (&day(60), &day(61)),
        (&day(-1), &day(-2)),
    ] {
        let changed = text.replace(from, to);
        assert_ne!(changed, text);
        project.write("waivers/team.toml", changed);
        project.run("build").exits(1).says(&["waiver-not-approved", "script"]);
    }
    project.write("waivers/team.toml", &text);
    project.done("build");

    // A waiver of a recipe is for its image alone, although the text is the same.
    let project = asking_for_approval(Project::small());
    with_waiver(&project, "script", &day(-1), &day(60));
    project.signed("waivers approve wv-1 --key cosign.key").exits(0);
    project.done("build");
    let recipe = String::from_utf8(project.read("app.karat.toml")).expect("text");
    project.write("app.karat.toml", recipe.replace("name = \"app\"", "name = \"other\""));
    project.run("build").exits(1).says(&["waiver-not-approved"]);
    project.write("app.karat.toml", &recipe);

    // A key that is no approver's.
    std::fs::remove_dir_all(project.path("waivers")).expect("the folder");
    project.signed("key generate --output other").exits(0);
    project
        .signed("waivers approve wv-1 --key other.key")
        .exits(2)
        .says(&["does not take this", "approvers"]);
    assert!(bundles(&project).is_empty());
    std::fs::remove_file(project.path("karat-policy.toml")).expect("the policy");
    project
        .signed("waivers approve wv-1 --key other.key")
        .exits(0)
        .says(&["does not ask for signed approvals"]);
    assert_eq!(bundles(&project).len(), 1);
    project.write("karat-policy.toml", SIGNED);
    project.run("build").exits(1).says(&["waiver-not-approved", "no approver has signed it"]);
    project.signed("waivers approve wv-1 --key cosign.key").exits(0);
    assert_eq!(bundles(&project).len(), 2, "each approver has a file");
    project.done("build");

    // A key that is trusted no longer.
    let print = String::from_utf8(project.read("cosign.pub")).expect("text");
    assert!(print.starts_with("-----BEGIN PUBLIC KEY"));
    let revoked = format!(
        "{SIGNED}[[revoked]]\nkey = \"cosign.pub\"\nreason = \"lost\"\nsince = \"{}\"\n",
        day(-1)
    );
    project.write("karat-policy.toml", revoked);
    project.run("build").exits(1).says(&["waiver-not-approved", "revoked"]);
}

#[test]
fn approving_says_what_is_wrong() {
    let project = asking_for_approval(Project::small());
    with_waiver(&project, "script", &day(-1), &day(60));
    for (line, says) in [
        ("waivers approve wv-2 --key cosign.key", "did you mean `wv-1`?"),
        ("waivers approve wv-1", "--key"),
        ("waivers approve wv-1 --key cosign.pub", "cosign.pub"),
        ("waivers approve wv-1 --key cosign.key --signature-format both", "old form"),
    ] {
        project.signed(line).exits(2).says(&[says]);
    }
    with_waiver(&project, "script", &day(-60), &day(-1));
    project.signed("waivers approve wv-1 --key cosign.key").exits(2).says(&["expired on"]);
    with_waiver(&project, "script", &day(-1), &day(60));
    // Beside waivers lie bundles, and nothing that only ends like one.
    project.write("waivers/x.sigstore.json", "{}");
    project.run("build").exits(2).says(&["waivers/x.sigstore.json", "no bundle"]);
    project.write("waivers/x.sigstore.json", "[".repeat(100_000));
    project.run("build").exits(2).says(&["waivers/x.sigstore.json"]);
    std::fs::remove_file(project.path("waivers/x.sigstore.json")).expect("the file");
    std::fs::create_dir_all(project.path("waivers/x.sigstore.json")).expect("a folder");
    project.run("build").exits(2).says(&["waivers/x.sigstore.json", "no regular file"]);
}
