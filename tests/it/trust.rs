//! Who may sign what: the policy's `[[trust]]` and `[[revoked]]`, and summaries of verifications.

use crate::registry::{policy, project, run};
use crate::support::registry::{Registry, Ways};
use crate::support::{PASSWORD, Project, day, digest_of, keys};
use karat::attest::{self, summary};
use karat::image::stored::Stored;
use karat::signature::PrivateKey;
use karat::time::Now;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

const ALL: &str = "statements = [\"signature\", \"sbom\", \"provenance\", \"vsa\"]\ntransparency-log = \"none\"\n";

/// An entry that trusts the key of all tests.
fn entry(images: &str, further: &str) -> String {
    format!("[[trust]]\nimages = \"{images}\"\nkey = \"cosign.pub\"\n{further}")
}

/// A project with signed layouts, another key, and a policy with these lines.
fn with(further: &str) -> Project {
    let project = project();
    let other = Project::new();
    other.signed("key generate").exits(0);
    project.write("other.pub", other.read("cosign.pub"));
    set(&project, further);
    project
}

fn set(project: &Project, further: &str) {
    project.write("karat-policy.toml", format!("[policy]\nname = \"mine\"\n{further}"));
}

fn verify(project: &Project, image: &str, further: &str) -> (i32, Value) {
    let line = format!("verify oci:one --as {image} --format json {further}");
    let output = project.run(&line);
    (output.code, output.json())
}

/// Why candidates were refused, each reason once.
fn why(answer: &Value) -> Vec<String> {
    let subjects = answer["verification"]["subjects"].as_array().expect("subjects");
    let candidates = subjects.iter().flat_map(|one| one["candidates"].as_array().expect("some"));
    let mut why: Vec<_> =
        candidates.filter_map(|one| one["refused"].as_str().map(str::to_owned)).collect();
    why.sort();
    why.dedup();
    why
}

#[test]
fn an_entry_says_for_which_images_a_key_signs() {
    let project = with(&entry("reg.example/golden/{repo}", ALL));
    let (code, answer) = verify(&project, "reg.example/golden/app", "");
    assert_eq!(code, 0, "{answer}");
    let fingerprint = answer["trust"][0]["signer"].as_str().expect("a signer").to_owned();
    assert!(fingerprint.starts_with("the key "), "{answer}");
    for other in [
        "reg.example/golden/a/app",
        "reg.example/goldene/app",
        "reg.example.evil.example/golden/app",
    ] {
        let (code, answer) = verify(&project, other, "");
        assert_eq!(code, 1, "{answer}");
        assert_eq!(why(&answer), ["the policy trusts nobody to sign this image"]);
    }
    // Somebody must say which image it is, and whoever names a key says enough.
    project.run("verify oci:one").exits(2).says(&["which image this is", "--as HOST/REPO"]);
    project.run("verify oci:one --as app").exits(2).says(&["no repository"]);
    project.done("verify oci:one --key cosign.pub");
    project.run("verify oci:one --key other.pub").exits(1);
    let shown =
        project.done("policy show").prints(&["trust.0.images", "reg.example/golden/{repo}"]);
    let line = |key: &str| shown.stdout.lines().find(|line| line.starts_with(key)).expect(key);
    assert!(line("trust.0.transparency-log").contains("\"none\""), "{}", shown.stdout);
    assert!(line("trust.0.signer").ends_with("karat-policy.toml:5"), "{}", shown.stdout);
}

#[test]
fn a_registry_says_itself_which_image_it_is() {
    let registry = Registry::start(Ways { referrers: true, ..Ways::default() });
    let host = registry.host();
    let project = project();
    let root = project.layout("one").image(None)["digest"].as_str().expect("one").to_owned();
    for name in ["golden/app", "other/app"] {
        run(&project, &format!("push oci:one docker://{host}/{name}:v1")).exits(0);
    }
    set(&project, &entry(&format!("{host}/golden/*"), ALL));
    let golden = format!("docker://{host}/golden/app@{root}");
    run(&project, &format!("verify {golden}")).exits(0);
    run(&project, &format!("verify docker://{host}/other/app@{root}"))
        .exits(1)
        .prints(&["trusts nobody"]);
    // It is no use to say that it is another.
    run(&project, &format!("verify docker://{host}/other/app@{root} --as {host}/golden/app"))
        .exits(2);
    run(&project, &format!("verify {golden} --as {host}/golden/app")).exits(0);
}

#[test]
fn an_entry_says_what_and_when_and_whether_a_log_is_needed() {
    let project = with("");
    let image = "reg.example/golden/app";
    let some = "statements = [\"signature\"]\ntransparency-log = \"none\"\n";
    set(&project, &entry("reg.example/golden/{repo}", some));
    let (code, answer) = verify(&project, image, "");
    assert_eq!(code, 1);
    let refused = why(&answer);
    assert!(refused.iter().all(|one| one.contains("may not state")), "{refused:?}");
    assert_eq!(refused.len(), 2);
    assert_eq!(verify(&project, image, "--require signature").0, 0);

    let logged = "statements = [\"signature\", \"sbom\", \"provenance\"]\n";
    for further in [logged.to_owned(), format!("{logged}transparency-log = \"required\"\n")] {
        set(&project, &entry("reg.example/golden/{repo}", &further));
        let (code, answer) = verify(&project, image, "");
        assert_eq!(code, 1);
        assert_eq!(why(&answer), ["it has no entry in a trusted log, and one is demanded"]);
    }
    for (first, last, code) in [(-1, 1, 0), (0, 0, 0), (1, 2, 1), (-2, -1, 1)] {
        let period = format!("not-before = \"{}\"\nnot-after = \"{}\"\n", day(first), day(last));
        set(&project, &entry("reg.example/golden/{repo}", &format!("{ALL}{period}")));
        assert_eq!(verify(&project, image, "").0, code, "{period}");
    }
}

#[test]
fn of_several_entries_the_narrowest_counts() {
    let project = with("");
    let wide = entry("reg.example/golden/{repo}", ALL);
    let narrow = entry("reg.example/golden/payments", ALL).replace("cosign.pub", "other.pub");
    set(&project, &format!("{wide}{narrow}"));
    assert_eq!(verify(&project, "reg.example/golden/app", "").0, 0);
    let (code, answer) = verify(&project, "reg.example/golden/payments", "");
    assert_eq!(code, 1, "{answer}");
    assert_eq!(answer["trust"].as_array().expect("signers").len(), 1, "{answer}");
    // Two that are equally narrow: either's signature counts, and both say why not.
    let equal = narrow.replace("payments", "*");
    set(&project, &format!("{equal}{wide}"));
    assert_eq!(verify(&project, "reg.example/golden/app", "").0, 0);
    set(&project, &format!("{equal}{}", equal.replace("other.pub", "third.pub")));
    let third = Project::new();
    third.signed("key generate").exits(0);
    project.write("third.pub", third.read("cosign.pub"));
    let (code, answer) = verify(&project, "reg.example/golden/app", "");
    assert_eq!(code, 1);
    assert!(why(&answer)[0].matches("as the key ").count() == 2, "{answer}");
}

#[test]
fn what_is_revoked_does_not_count_whoever_has_signed_it() {
    let project = with("");
    let two = project.layout("two");
    let root = two.image(None)["digest"].as_str().expect("a digest").to_owned();
    let platform = two.platforms(None)[1]["digest"].as_str().expect("a digest").to_owned();
    let referrer = two.referrers()[0]["digest"].as_str().expect("a digest").to_owned();
    let revoked = |what: &str, since: i64| {
        set(
            &project,
            &format!("[[revoked]]\n{what}\nsince = \"{}\"\nreason = \"it leaked\"\n", day(since)),
        );
        project.run("verify oci:two --key cosign.pub")
    };
    for digest in [&root, &platform] {
        let output = revoked(&format!("digest = \"{digest}\""), 0).exits(1);
        output.prints(&["rejected", "REVOKED", digest, "it leaked"]);
    }
    revoked(&format!("digest = \"{referrer}\""), 0).exits(1).prints(&["refused", "it leaked"]);
    revoked("key = \"cosign.pub\"", -1).exits(1).prints(&["is revoked: it leaked"]);
    revoked("key = \"other.pub\"", -1).exits(0);
    revoked(&format!("digest = \"{root}\""), 1).exits(0);
    revoked("key = \"cosign.pub\"", 1).exits(0);
}

#[test]
fn what_enters_the_trust_root_is_signed_by_whom_the_policy_trusts() {
    let registry = Registry::start(Ways { referrers: true, ..Ways::default() });
    let host = registry.host();
    let project = with("");
    let to = format!("docker://{host}/golden/app:v1");
    let trusting = |key: &str| {
        let entry = entry(&format!("{host}/golden/{{repo}}"), ALL).replace("cosign.pub", key);
        project.write("karat-policy.toml", format!("{}{entry}", policy(&host, "", "")));
    };
    trusting("other.pub");
    run(&project, &format!("push oci:one {to}")).exits(1).says(&["nothing was written"]);
    run(&project, &format!("push oci:one {to} --key cosign.pub"))
        .exits(2)
        .says(&["the policy says who may sign"]);
    assert!(registry.repository("golden/app").tags.is_empty());
    trusting("cosign.pub");
    run(&project, &format!("push oci:one {to}")).exits(0);
    assert!(registry.repository("golden/app").tags.contains_key("v1"));
    let revoked = format!(
        "{}[[revoked]]\ndigest = \"{}\"\nsince = \"{}\"\nreason = \"r\"\n",
        String::from_utf8(project.read("karat-policy.toml")).expect("text"),
        project.layout("one").image(None)["digest"].as_str().expect("a digest"),
        day(0)
    );
    project.write("karat-policy.toml", revoked);
    run(&project, &format!("push oci:one docker://{host}/golden/app:v2"))
        .exits(1)
        .says(&["revoked"]);
    assert!(!registry.repository("golden/app").tags.contains_key("v2"));
}

#[test]
fn each_fault_of_an_entry_is_told() {
    let project = with("");
    let keyless = |inner: &str| {
        format!(
            "[[trust]]\nimages = \"reg.example/golden/{{repo}}\"\nstatements = [\"signature\"]\nkeyless = {{ {inner} }}\n"
        )
    };
    let issuer = "issuer = \"https://i.example\"";
    for (text, says) in [
        (entry("golden/{repo}", ALL), "no pattern of repositories"),
        (entry("reg.example/x-{repo}", ALL), "no pattern of repositories"),
        (entry("reg.example/**/{repo}", ALL), "no pattern of repositories"),
        (entry("reg.example/a", "statements = []\n"), "nothing"),
        (entry("reg.example/a", "statements = [\"everything\"]\n"), "`everything` is no statement"),
        (entry("reg.example/a", ALL).replace("cosign.pub", "gone.pub"), "gone.pub"),
        (entry("reg.example/a", ALL).replace("cosign.pub", "one/index.json"), "no public key"),
        (entry("reg.example/a", ALL).replace("cosign.pub", "/cosign.pub"), "no path below"),
        (entry("reg.example/a", &ALL.replace("none", "maybe")), "`maybe`"),
        (entry("reg.example/a", &format!("{ALL}not-before = \"2026-13-01\"\n")), "no day"),
        (
            entry(
                "reg.example/a",
                &format!("{ALL}not-before = \"2026-02-01\"\nnot-after = \"2026-01-01\"\n"),
            ),
            "ends before",
        ),
        (entry("reg.example/a", ALL).replace("key = \"cosign.pub\"\n", ""), "one of the two"),
        (keyless(issuer), "`subject-regexp`"),
        (keyless(&format!("{issuer}, subject = \"a\", subject-regexp = \"a\"")), "one of the two"),
        (keyless(&format!("{issuer}, subject-regexp = \"a)|(b\"")), "no regular expression"),
        (keyless(&format!("{issuer}, subject = \"\"")), "says nothing"),
        (
            keyless(&format!(
                "{issuer}, subject = \"a\", source-repository = \"https://x/{{repo}}\""
            ))
            .replace("golden/{repo}", "golden/a"),
            "`images` has no `{repo}`",
        ),
        (
            format!(
                "{}transparency-log = \"none\"\n",
                keyless(&format!("{issuer}, subject = \"a\""))
            ),
            "without a log",
        ),
        (keyless("subject = \"a\""), "issuer"),
        (keyless(&format!("{issuer}, subject = \"a\", subjekt = \"b\"")), "subjekt"),
        ("[[revoked]]\nsince = \"2026-01-01\"\nreason = \"r\"\n".to_owned(), "`digest` or a `key`"),
        (
            "[[revoked]]\ndigest = \"sha256:12\"\nsince = \"2026-01-01\"\nreason = \"r\"\n"
                .to_owned(),
            "digest",
        ),
        (
            format!(
                "[[revoked]]\ndigest = \"{}\"\nsince = \"2026-01-01\"\nreason = \" \"\n",
                digest_of(b"x")
            ),
            "says something",
        ),
        ("[verify]\nvsa-max-age = \"long\"\n".to_owned(), "no age"),
    ] {
        set(&project, &text);
        project.run("check").exits(2).says(&["karat-policy.toml", says]);
    }
    set(
        &project,
        &keyless(&format!(
            "{issuer}, subject-regexp = '''https://x/{{repo}}/.*''', source-repository = \"https://x/{{repo}}\", source-ref-regexp = \"refs/tags/v.*\""
        )),
    );
    project.done("policy show").prints(&["source-repository", "refs/tags/v.*"]);
}

/// Puts a summary beside the image of a layout.
fn summarise(project: &Project, policy: &str, seconds: i64) {
    let key = PrivateKey::from_encrypted_pem(&keys().0, PASSWORD.as_bytes()).expect("a key");
    let ago = Duration::from_secs(seconds.unsigned_abs());
    let clock = SystemTime::now();
    let now = Now::new(if seconds < 0 { clock - ago } else { clock + ago });
    let stored = Stored::open_folder(&project.path("one")).expect("a layout");
    let image = stored.image(None).expect("an image").clone();
    let policy = policy.parse().expect("a digest");
    let predicate = summary::verification(
        "mine",
        &policy,
        "reg.example/golden/app",
        now,
        &summary::Evidence::default(),
    );
    let subject = json!({ "digest": { "sha256": image.digest.hex() } });
    let kind = "https://slsa.dev/verification_summary/v1";
    let statement = attest::statement(kind, &subject, &predicate);
    let made = karat::sign::statement(&statement, &image, &key, karat::time::Epoch::default());
    karat::publish::refer(&project.path("one"), &[made.expect("a referrer")], &[])
        .expect("it is written");
}

#[test]
fn a_summary_counts_for_this_policy_and_not_for_ever() {
    let gate = "[gate]\nrequire = [\"signature\", \"vsa\"]\n";
    let trusting = format!(
        "{gate}[verify]\nvsa-max-age = \"30d\"\n{}",
        entry("reg.example/golden/{repo}", ALL)
    );
    let image = "reg.example/golden/app";
    let digest = |project: &Project| {
        let shown = project.done("policy show --format json").json();
        shown["digest"].as_str().expect("a digest").to_owned()
    };
    const DAY: i64 = 86_400;
    for (seconds, code, says) in [
        (-60, 0, ""),
        (-29 * DAY, 0, ""),
        (-31 * DAY, 1, "30 days are allowed"),
        (2 * DAY, 1, "in the future"),
    ] {
        let project = with(&trusting);
        assert_eq!(verify(&project, image, "").0, 1, "there is none yet");
        summarise(&project, &digest(&project), seconds);
        let (found, answer) = verify(&project, image, "");
        assert_eq!(found, code, "{answer}");
        assert!(code == 0 || why(&answer).iter().any(|one| one.contains(says)), "{answer}");
    }
    let project = with(&trusting);
    summarise(&project, &digest_of(b"another policy"), 0);
    let (code, answer) = verify(&project, image, "");
    assert_eq!(code, 1);
    assert!(why(&answer).iter().any(|one| one.contains("judges here")), "{answer}");
    // Whoever may not state it has stated nothing.
    let project = with(&trusting.replace(", \"vsa\"]\ntransparency", "]\ntransparency"));
    summarise(&project, &digest(&project), 0);
    let (code, answer) = verify(&project, image, "");
    assert_eq!(code, 1);
    assert!(why(&answer).iter().any(|one| one.contains("may not state")), "{answer}");
    // A key in its place is held to the same policy and time.
    let project = with(gate);
    project.run("verify oci:one --key cosign.pub").exits(1).prints(&["vsa"]);
    summarise(&project, &digest(&project), 0);
    project.done("verify oci:one --key cosign.pub");
    project.done("verify oci:one --key cosign.pub --require vsa");
}
