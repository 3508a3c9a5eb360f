//! What enters the trust root is given a signed summary that it has passed: on `promote` and on
//! `mirror run`.

use crate::scan::{advisory, database};
use crate::support::registry::{Held, Registry, Ways};
use crate::support::{Output, PASSWORD, Project, day};

const VSA: &str = "https://slsa.dev/verification_summary/v1";

struct Site {
    project: Project,
    registry: Registry,
    root: String,
}

impl Site {
    /// An image of two platforms that waits in staging, signed, and a database that knows nothing
    /// of it.
    fn new() -> Self {
        let registry = Registry::start(Ways { referrers: true, ..Ways::default() });
        let project = crate::registry::project();
        project.signed("key generate --output other").exits(0);
        let index = project.layout("two").index();
        let root = index["manifests"][0]["digest"].as_str().expect("a digest").to_owned();
        database(&project, "Debian", &[advisory("DSA-1", "nowhere", "2.0", "high")]);
        let site = Self { project, registry, root };
        let host = site.host();
        site.run(&format!("push oci:two docker://{host}/staging/app:v1")).exits(0);
        site.run(&format!("push oci:two docker://{host}/up/app:v1")).exits(0);
        site.policy("golden", "cosign.pub");
        site
    }

    fn host(&self) -> String {
        self.registry.host()
    }

    /// Writes a policy that demands summaries, by the holder of a key, of all that is published
    /// and mirrored.
    fn policy(&self, name: &str, key: &str) {
        let host = self.host();
        let entry = |place: &str, statements: &str| {
            format!(
                "[[trust]]\nimages = \"{host}/{place}/{{repo}}\"\nkey = \"{key}\"\n\
                 statements = [{statements}]\ntransparency-log = \"none\"\n"
            )
        };
        let of_mirror = entry("mirror/up", "\"vsa\"");
        let signature = entry("golden", "\"signature\"").replace(key, "cosign.pub");
        self.project.write(
            "karat-policy.toml",
            format!(
                "[policy]\nname = \"{name}\"\n[registry]\npublish = \"{host}/golden\"\n\
                 staging = \"{host}/staging\"\nmirrors = {{ \"{host}/up\" = \"{host}/mirror/up\" }}\n\
                 [gate]\nrequire = [\"signature\", \"vsa\"]\n{signature}{}{of_mirror}",
                entry("golden", "\"vsa\"")
            ),
        );
    }

    fn run(&self, line: &str) -> Output {
        let args: Vec<_> = line.split_whitespace().collect();
        self.project
            .karat(&args)
            .env("COSIGN_PASSWORD", PASSWORD)
            .env("KARAT_HTTP_TIMEOUT", "1")
            .env("KARAT_HTTP_RETRIES", "1")
            .env("HOME", self.project.outside())
            .run()
    }

    fn promote(&self, further: &str) -> Output {
        self.run(&format!("promote docker://{}/staging/app:v1 --tag v1 {further}", self.host()))
    }
}

/// How many manifests of a repository hold a summary.
fn summaries(held: &Held) -> usize {
    let is_one = |(_, bytes): &&(String, Vec<u8>)| {
        let text = String::from_utf8_lossy(bytes);
        text.contains(VSA) && text.contains("\"subject\"")
    };
    held.manifests.values().filter(is_one).count()
}

#[test]
fn what_is_promoted_is_vouched_for() {
    let site = Site::new();
    let published = || site.registry.repository("golden/app");
    // The policy demands a summary, and there is none.
    site.promote("--db advisories.db").exits(1).says(&["missing   vsa"]);
    // What nobody looked up is not said to have passed.
    site.promote("--sign cosign.key").exits(2).says(&["--db FILE"]);
    // By somebody whose summaries do not count there.
    site.promote("--sign other.key --db advisories.db")
        .exits(1)
        .says(&["would not count", "[[trust]]"]);
    assert!(published().manifests.is_empty());

    site.promote("--sign cosign.key --db advisories.db").exits(0).says(&["tagged v1"]);
    let held = published();
    assert_eq!(held.tags.get("v1"), Some(&site.root));
    assert_eq!(summaries(&held), 3, "of the index and of both platforms");
    let place = format!("docker://{}/golden/app@{}", site.host(), site.root);
    let verified = site.run(&format!("verify {place} --format json")).exits(0).json();
    assert_eq!(verified["verification"]["subjects"][0]["met"]["vsa"], true);

    // Again: nothing is written, for somebody has vouched already.
    site.promote("--sign cosign.key --db advisories.db").exits(0).says(&["wrote 0 manifests"]);
    assert_eq!(published().manifests, held.manifests);

    // Another policy is another judgement.
    site.policy("stricter", "cosign.pub");
    site.run(&format!("verify {place}")).exits(1);
    site.promote("--sign cosign.key --db advisories.db").exits(0);
    assert_eq!(summaries(&published()), 6);
    site.run(&format!("verify {place}")).exits(0);
}

#[test]
fn a_run_that_broke_off_is_finished_and_vouches_once() {
    let site = Site::new();
    site.promote("--sign cosign.key --db advisories.db").exits(0);
    // As a run leaves it that was killed before the tag.
    site.registry.change("golden/app", |held| held.tags.clear());
    site.promote("--sign cosign.key --db advisories.db").exits(0).says(&["tagged v1"]);
    assert_eq!(summaries(&site.registry.repository("golden/app")), 3);
}

#[test]
fn what_is_rejected_is_not_vouched_for() {
    let site = Site::new();
    site.project.write("amd64/own", crate::support::elf::Elf::with("own").build());
    let recipe = crate::support::recipe_on("static-debian13", "", "worse", "amd64/own");
    site.project.write("worse.karat.toml", recipe);
    site.run("build worse.karat.toml --output oci:worse --sign cosign.key").exits(0);
    site.run(&format!("push oci:worse docker://{}/staging/worse:v1", site.host())).exits(0);
    database(&site.project, "Debian", &[advisory("DSA-2", "tzdata", "9999", "high")]);
    site.run(&format!(
        "promote docker://{}/staging/worse:v1 --tag v1 --sign cosign.key --db advisories.db",
        site.host()
    ))
    .exits(1)
    .says(&["DSA-2", "nothing was written"]);
    assert!(site.registry.repository("golden/worse").manifests.is_empty());
}

#[test]
fn what_is_mirrored_is_vouched_for_and_renewed() {
    let site = Site::new();
    let host = site.host();
    let line = format!(
        "mirror approve docker://{host}/up/app:v1 --key cosign.pub --owner o --ticket t --db advisories.db"
    );
    site.run(&line).exits(0);
    let mirrored = || site.registry.repository("mirror/up/app");
    site.run("mirror run --sign cosign.key").exits(2).says(&["--db FILE"]);
    let run = "mirror run --sign cosign.key --db advisories.db";
    site.run(run).exits(0).prints(&["copied"]);
    let held = mirrored();
    assert_eq!(summaries(&held), 3);
    let expected = format!("{}-{}", day(0).replace('-', ""), &site.root[7..19]);
    assert_eq!(held.tags.get(&expected), Some(&site.root));
    site.run(run).exits(0).prints(&["in-sync"]);
    assert_eq!(mirrored().manifests, held.manifests);
    // The makers are none the wiser.
    assert_eq!(summaries(&site.registry.repository("up/app")), 0);

    // Under another policy it is judged again, and said again.
    site.policy("stricter", "cosign.pub");
    site.run("mirror run").exits(0).prints(&["in-sync"]);
    site.run(run).exits(0).prints(&["copied"]);
    assert_eq!(summaries(&mirrored()), 6);
    // By somebody whose summaries do not count there, nothing.
    site.policy("strictest", "other.pub");
    site.run(run).exits(1).prints(&["failed", "would not count"]);
    assert_eq!(summaries(&mirrored()), 6);
}

#[test]
fn what_is_published_already_is_vouched_for_anew() {
    let site = Site::new();
    site.promote("--sign cosign.key --db advisories.db").exits(0);
    let place = format!("docker://{}/golden/app@{}", site.host(), site.root);
    let held = || site.registry.repository("golden/app");
    let attest = |further: &str| site.run(&format!("verify {place} --attest-vsa {further}"));
    // The one of today counts.
    attest("--sign cosign.key --db advisories.db").exits(0).says(&["a fresh summary already"]);
    assert_eq!(summaries(&held()), 3);

    // A new policy: what has passed the old one is judged and vouched for again.
    site.policy("stricter", "cosign.pub");
    site.run(&format!("verify {place}")).exits(1);
    attest("").exits(2).says(&["--sign"]);
    attest("--sign cosign.key").exits(2).says(&["--db FILE"]);
    attest("--sign cosign.key --db advisories.db --offline").exits(2).says(&["--offline"]);
    attest("--sign other.key --db advisories.db").exits(1).says(&["would not count"]);
    assert_eq!(summaries(&held()), 3, "a refused summary was written");
    let tags = held().tags;
    let done = attest("--sign cosign.key --db advisories.db").exits(0);
    assert_eq!(done.stdout.trim_end(), place.trim_start_matches("docker://"));
    assert_eq!(summaries(&held()), 6);
    assert_eq!(held().tags, tags, "what is put beside an image moves no tag");
    site.run(&format!("verify {place}")).exits(0);

    // What does not pass any more is not vouched for.
    let mut text = String::from_utf8(site.project.read("karat-policy.toml")).expect("text");
    text += &format!(
        "[[revoked]]\ndigest = \"{}\"\nsince = \"{}\"\nreason = \"leaked\"\n",
        site.root,
        day(-1)
    );
    site.project.write("karat-policy.toml", text);
    let lost = attest("--sign cosign.key --db advisories.db").exits(1);
    lost.says(&["revoked", "nothing was attested"]);
    assert_eq!(summaries(&held()), 6);
}

#[test]
fn a_layout_is_vouched_for_under_the_name_that_it_will_have() {
    let site = Site::new();
    let name = format!("{}/golden/app", site.host());
    let verify = format!("verify oci:two --as {name}");
    site.run(&verify).exits(1);
    let attest = |further: &str| {
        site.run(&format!(
            "verify oci:two --attest-vsa --sign cosign.key --db advisories.db {further}"
        ))
    };
    attest("").exits(2).says(&["--as HOST/REPO"]);
    attest(&format!("--as {name}")).exits(0).says(&["added 3 summaries"]);
    site.run(&verify).exits(0);
    attest(&format!("--as {name}")).exits(0).says(&["a fresh summary already"]);
    // It goes where the image goes, and counts there.
    site.run(&format!("push oci:two docker://{name}:v1 --db advisories.db")).exits(0);
    site.run(&format!("verify docker://{name}@{}", site.root)).exits(0);
    site.project.is_tidy();
}
