//! Images in registries: pushed, pulled, copied and inspected, against a fake on loopback.

use crate::signing::signed;
use crate::support::proxy::Proxy;
use crate::support::registry::{Registry, Ways, digest};
use crate::support::server::{Asked, Reply, Server};
use crate::support::{Output, Project};
use serde_json::Value;
use std::time::Duration;

/// A policy with a registry for which nothing needs to be signed.
pub(crate) fn policy(host: &str, registry: &str, gate: &str) -> String {
    format!(
        "[policy]\nname = \"golden\"\n[registry]\npublish = \"{host}/golden\"\n{registry}\n\
         [gate]\n{gate}\n[gate.rules]\nnot-scanned = {{ severity = \"medium\", reason = \"r\", \
         owner = \"o\", expires = \"{}\" }}\n",
        crate::support::day(60)
    )
}

/// A project with the signed layouts of two platforms, `two`, and of one, `one`.
pub(crate) fn project() -> Project {
    let project = Project::new().with_keys();
    for name in ["one", "two", "plain"] {
        crate::support::copy_folder(&signed().path(name), &project.path(name));
    }
    project
}

/// Runs karat with little patience.
#[track_caller]
pub(crate) fn run(project: &Project, line: &str) -> Output {
    let args: Vec<_> = line.split_whitespace().collect();
    project
        .karat(&args)
        .env("KARAT_HTTP_TIMEOUT", "1")
        .env("KARAT_HTTP_RETRIES", "1")
        .env("HOME", project.outside())
        .run()
}

fn root_of(project: &Project, layout: &str) -> String {
    project.layout(layout).index()["manifests"][0]["digest"].as_str().expect("a digest").to_owned()
}

#[test]
fn an_image_is_pushed_and_pulled_with_all_that_refers_to_it() {
    for referrers in [true, false] {
        let registry = Registry::start(Ways { referrers, ..Ways::default() });
        let (project, host) = (project(), registry.host());
        let root = root_of(&project, "two");
        let pushed = run(&project, &format!("push oci:two docker://{host}/golden/app:v1")).exits(0);
        assert_eq!(pushed.stdout, format!("{host}/golden/app@{root}\n"));
        let pushed = pushed.says(&["warning", "no `[registry]`", "tagged v1"]);
        assert!(!pushed.stderr.contains("sent 0 blobs"), "{}", pushed.stderr);
        let held = registry.repository("golden/app");
        assert_eq!(held.tags.get("v1"), Some(&root));

        // Once more: nothing is sent.
        registry.server.forget();
        run(&project, &format!("push oci:two docker://{host}/golden/app:v1"))
            .exits(0)
            .says(&["sent 0 blobs", "wrote 0 manifests"]);
        assert!(registry.server.received() < 100_000, "bodies were sent");
        let again: Vec<_> = registry.server.lines();
        assert!(
            again.iter().all(|line| line.starts_with("HEAD")
                || line.starts_with("GET")
                || line.contains("/manifests/sha256:")),
            "{again:?}"
        );
        assert_eq!(registry.repository("golden/app").blobs.len(), held.blobs.len());

        let line = format!("pull docker://{host}/golden/app@{root} oci:got:v1");
        let pulled = run(&project, &line).exits(0);
        assert_eq!(pulled.stdout, format!("oci:got:v1@{root}\n"));
        project.done("verify oci:got:v1 --key cosign.pub");
        project.is_tidy();

        // What is there is not fetched again.
        registry.server.forget();
        run(&project, &line).exits(0).says(&["fetched 0 blobs"]);
        assert!(registry.server.lines().iter().all(|line| !line.contains("/blobs/")));
        project.done("verify oci:got:v1 --key cosign.pub");

        run(&project, &format!("pull docker://{host}/golden/app:v1 archive:got.tar"))
            .exits(0)
            .says(&["the tag `v1` leads to", &root]);
        project.done("verify archive:got.tar --key cosign.pub");
    }
}

#[test]
fn blobs_go_first_and_the_tag_last() {
    let registry = Registry::start(Ways { referrers: true, ..Ways::default() });
    let (project, host) = (project(), registry.host());
    run(&project, &format!("push oci:two docker://{host}/golden/app:v1")).exits(0);
    let log = registry.server.log();
    let writes: Vec<_> = log.iter().filter(|asked| asked.method == "PUT").collect();
    let is_blob = |at: &usize| writes[*at].path().contains("/blobs/uploads/");
    let last_blob = (0..writes.len()).rfind(is_blob).expect("a blob");
    let first_manifest = (0..writes.len()).find(|at| !is_blob(at)).expect("a manifest");
    assert!(last_blob < first_manifest);
    assert!(writes.last().expect("a write").path().ends_with("/manifests/v1"));
    // Between the last manifest by digest and the tag everything is read back.
    let root = root_of(&project, "two");
    let reads: Vec<_> = registry.server.lines();
    let tag = reads
        .iter()
        .rposition(|line| line.ends_with("PUT /v2/golden/app/manifests/v1"))
        .expect("the tag");
    assert!(reads[..tag].contains(&format!("GET /v2/golden/app/manifests/{root}")));
    assert!(reads[..tag].contains(&format!("GET /v2/golden/app/referrers/{root}")));
}

#[test]
fn the_fallback_list_is_written_to_the_letter() {
    let registry = Registry::start(Ways::default());
    let (project, host) = (project(), registry.host());
    let root = root_of(&project, "one");
    // Somebody else's entry is there already.
    let other = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;
    let tag = format!("sha256-{}", &root[7..]);
    let list = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{},"artifactType":"text/x"}}]}}"#,
        digest(other),
        other.len()
    );
    registry.change("app", |held| {
        let kind = "application/vnd.oci.image.manifest.v1+json".to_owned();
        held.manifests.insert(digest(other), (kind, other.to_vec()));
        let kind = "application/vnd.oci.image.index.v1+json".to_owned();
        held.manifests.insert(digest(list.as_bytes()), (kind, list.clone().into_bytes()));
        held.tags.insert(tag.clone(), digest(list.as_bytes()));
    });
    run(&project, &format!("push oci:one docker://{host}/app:v1")).exits(0);
    let held = registry.repository("app");
    let (_, bytes) = &held.manifests[&held.tags[&tag]];
    let index: Value = serde_json::from_slice(bytes).expect("JSON");
    let entries = index["manifests"].as_array().expect("a list");
    assert!(entries.iter().any(|one| one["digest"] == digest(other)), "the other entry is gone");
    let own: Vec<_> = entries.iter().filter(|one| one["digest"] != digest(other)).collect();
    assert!(!own.is_empty());
    for one in own {
        let (_, bytes) = &held.manifests[one["digest"].as_str().expect("a digest")];
        let manifest: Value = serde_json::from_slice(bytes).expect("JSON");
        assert_eq!(manifest["subject"]["digest"], root);
        assert_eq!(one["artifactType"], manifest["artifactType"]);
        assert_eq!(one["annotations"], manifest["annotations"]);
        assert_eq!(one["size"], bytes.len());
    }
}

#[test]
fn copies_within_a_registry_move_no_blob() {
    let registry = Registry::start(Ways { referrers: true, ..Ways::default() });
    let (project, host) = (project(), registry.host());
    let root = root_of(&project, "two");
    run(&project, &format!("push oci:two docker://{host}/golden/app:v1")).exits(0);
    // A signature in cosign's old form.
    let manifests = registry.repository("golden/app").manifests;
    let (one, _) = manifests.iter().find(|(digest, _)| **digest != root).expect("a manifest");
    let legacy = format!("sha256-{}.sig", &root[7..]);
    registry.change("golden/app", |held| drop(held.tags.insert(legacy.clone(), one.clone())));
    registry.server.forget();
    let from = format!("docker://{host}/golden/app@{root}");
    run(&project, &format!("copy {from} docker://{host}/other/app:v2"))
        .exits(0)
        .says(&["sent 0 blobs", "mounted"]);
    let log = registry.server.log();
    assert!(log.iter().all(|asked| asked.method != "PUT" || !asked.path().contains("/blobs/")));
    assert!(log.iter().all(|asked| asked.method != "GET" || !asked.path().contains("/blobs/")));
    let (from, to) = (registry.repository("golden/app"), registry.repository("other/app"));
    assert_eq!(to.blobs, from.blobs);
    assert_eq!(to.manifests.len(), from.manifests.len());
    assert_eq!(to.tags.get("v2"), Some(&root));
    assert_eq!(to.tags.get(&legacy), Some(one));
}

#[test]
fn copies_between_registries_pass_everything_on() {
    let from = Registry::start(Ways { referrers: true, ..Ways::default() });
    let to = Registry::start(Ways { basic: Some("user:pass".to_owned()), ..Ways::default() });
    let project = project();
    let root = root_of(&project, "two");
    run(&project, &format!("push oci:two docker://{}/a:v1", from.host())).exits(0);
    let login = format!(r#"{{"auths":{{"{}":{{"auth":"dXNlcjpwYXNz"}}}}}}"#, to.host());
    project.write("docker/config.json", login);
    let line = format!("copy docker://{}/a:v1 docker://{}/b/c:v1", from.host(), to.host());
    let args: Vec<_> = line.split_whitespace().collect();
    project.karat(&args).env("DOCKER_CONFIG", "docker").run().exits(0).says(&["leads to", &root]);
    assert_eq!(to.repository("b/c").tags.get("v1"), Some(&root));
    assert!(from.server.log().iter().all(|asked| asked.header("authorization").is_none()));
    // Without the login there is no way in, and what to do is said.
    run(&project, &line).exits(3).says(&["401", "docker login"]);
}

#[test]
fn an_image_in_a_registry_is_inspected() {
    let registry = Registry::start(Ways::default());
    let (project, host) = (project(), registry.host());
    let root = root_of(&project, "two");
    run(&project, &format!("push oci:two docker://{host}/app:v1")).exits(0);
    let local = run(&project, "inspect oci:two --format json").json();
    for name in [format!("docker://{host}/app@{root}"), format!("{host}/app@{root}")] {
        let remote = run(&project, &format!("inspect {name} --format json")).exits(0).json();
        assert_eq!(remote["images"].as_array().map(Vec::len), Some(2));
        assert_eq!(remote["subject"]["digest"], root);
        for at in [0, 1] {
            assert_eq!(remote["images"][at]["findings"], local["images"][at]["findings"]);
        }
    }
    run(&project, &format!("inspect docker://{host}/app:v1")).exits(0).says(&["leads to", &root]);
    run(&project, &format!("inspect --offline docker://{host}/app@{root}"))
        .exits(3)
        .says(&["--offline"]);
}

#[test]
fn an_image_in_a_registry_is_verified_and_described() {
    for referrers in [true, false] {
        let registry = Registry::start(Ways { referrers, ..Ways::default() });
        let (project, host) = (project(), registry.host());
        let root = root_of(&project, "two");
        run(&project, &format!("push oci:two docker://{host}/app:v1")).exits(0);
        let remote = format!("docker://{host}/app@{root}");
        let verified = run(&project, &format!("verify {remote} --key cosign.pub")).exits(0);
        verified.prints(&["accepted", &root, "provenance  verified"]);
        project.signed("key generate --output other").exits(0);
        let other = run(&project, &format!("verify {remote} --key other.pub")).exits(1);
        other.prints(&["rejected", "MISSING"]);
        for further in ["", " --platform linux/arm64 --as cyclonedx-1.6"] {
            let line = |reference: &str| format!("sbom {reference} --name app{further}");
            let local = run(&project, &line("oci:two")).exits(0).stdout;
            assert_eq!(run(&project, &line(&remote)).exits(0).stdout, local);
        }
        let missing = format!("docker://{host}/app@sha256:{}", "0".repeat(64));
        run(&project, &format!("verify {missing} --key cosign.pub")).exits(3);
        run(&project, &format!("verify {remote} --key cosign.pub --offline")).exits(3);
    }
}

#[test]
fn the_trust_root_takes_only_what_is_judged() {
    let registry = Registry::start(Ways { referrers: true, ..Ways::default() });
    let (project, host) = (project(), registry.host());
    let signed = "require = [\"signature\", \"sbom\", \"provenance\"]";
    project.write("karat-policy.toml", policy(&host, "immutable-tags = true", signed));
    let push = |layout: &str, place: &str, key: &str| {
        run(&project, &format!("push oci:{layout} docker://{host}/{place} {key}"))
    };
    push("two", "golden/app:v1", "").exits(2).says(&["--key"]);
    push("plain", "golden/app:v1", "--key cosign.pub").exits(1).says(&["missing", "signature"]);
    push("two", "other/app:v1", "--key cosign.pub").exits(1).says(&["does not let"]);
    push("two", "golden-evil/app:v1", "--key cosign.pub").exits(1).says(&["does not let"]);
    assert!(registry.held.lock().expect("held").values().all(|held| held.blobs.is_empty()));
    push("two", "golden/app:v1", "--key cosign.pub").exits(0);
    // A tag does not move, but the same image may be pushed again.
    push("two", "golden/app:v1", "--key cosign.pub").exits(0);
    let before = registry.repository("golden/app");
    push("one", "golden/app:v1", "--key cosign.pub").exits(1).says(&["do not move", ":v1`"]);
    assert_eq!(registry.repository("golden/app").tags, before.tags);
    assert_eq!(registry.repository("golden/app").blobs, before.blobs);
    // An image that the gate rejects.
    let gate =
        format!("{signed}\nmax-size = \"1KiB\"\nfail-on = [\"critical\", \"high\", \"medium\"]");
    project.write("strict.toml", policy(&host, "", &gate));
    push("two", "golden/new:v1", "--key cosign.pub --policy strict.toml")
        .exits(1)
        .says(&["rejected", "nothing was written"]);
    assert!(registry.repository("golden/new").blobs.is_empty());
}

#[test]
fn a_policy_may_demand_digests_and_hosts() {
    let registry = Registry::start(Ways::default());
    let other = Registry::start(Ways::default());
    let (project, host) = (project(), registry.host());
    run(&project, &format!("push oci:one docker://{}/a:v1", other.host())).exits(0);
    run(&project, &format!("push oci:one docker://{host}/golden/a:v1")).exits(0);
    let text = policy(&host, "require-digest = true\nallowlist-only = true", "");
    project.write("karat-policy.toml", text);
    let root = root_of(&project, "one");
    run(&project, &format!("inspect docker://{host}/golden/a:v1"))
        .exits(2)
        .says(&["demands a digest", &root]);
    run(&project, &format!("inspect docker://{host}/golden/a@{root}")).exits(0);
    other.server.forget();
    run(&project, &format!("inspect docker://{}/a@{root}", other.host()))
        .exits(1)
        .says(&["does not let be reached"]);
    assert!(other.server.lines().is_empty(), "the other host was reached");
}

#[test]
fn a_proxy_sees_only_the_hosts_that_the_policy_names() {
    let thief = "http://store.elsewhere.example:5000".to_owned();
    let ways = Ways { blobs_at: Some(thief), ..Ways::default() };
    let registry = Registry::start(ways);
    let proxy = Proxy::start(registry.host());
    let project = project();
    let host = "registry.internal.example:5000";
    let mut text = policy(host, "allowlist-only = true", "");
    project.write("karat-policy.toml", &text);
    let karat = |line: &str| {
        let args: Vec<_> = line.split_whitespace().collect();
        project
            .karat(&args)
            .env("HTTP_PROXY", format!("http://{}", proxy.address))
            .env("HTTPS_PROXY", format!("http://{}", proxy.address))
            .env("KARAT_PLAIN_HTTP", format!("{host},store.elsewhere.example:5000"))
            .env("KARAT_HTTP_RETRIES", "0")
            .run()
    };
    karat(&format!("push oci:two docker://{host}/golden/app:v1 --key cosign.pub")).exits(0);
    assert!(proxy.seen().iter().all(|one| one == host), "{:?}", proxy.seen());
    assert!(!proxy.seen().is_empty(), "the proxy was not used");
    // The registry sends us to another host: nobody goes there.
    karat(&format!("pull docker://{host}/golden/app:v1 oci:got")).exits(3).says(&["storage-hosts"]);
    karat("pull docker://other.example/app:v1 oci:got").exits(1).says(&["does not let be reached"]);
    assert!(proxy.seen().iter().all(|one| one == host), "{:?}", proxy.seen());
    // Unless the policy names it.
    text = policy(host, "storage-hosts = [\"store.elsewhere.example:5000\"]", "");
    project.write("karat-policy.toml", &text);
    karat(&format!("pull docker://{host}/golden/app:v1 oci:got")).exits(3);
    assert!(proxy.seen().iter().any(|one| one == "store.elsewhere.example:5000"));
    // What may not be reached without a proxy may not be with one either.
    assert!(!proxy.seen().iter().any(|one| one.starts_with("other.example")));
}

#[test]
fn credentials_go_nowhere_else() {
    let thief = Server::start(|_| Reply::new(200).json(r#"{"token":"t0ken"}"#));
    let realm = format!("http://{}/token", thief.authority());
    let registry = Registry::start(Ways { realm: Some(realm), ..Ways::default() });
    let project = project();
    let login = format!(r#"{{"auths":{{"{}":{{"auth":"dXNlcjpwYXNz"}}}}}}"#, registry.host());
    project.write("docker/config.json", login);
    let line = format!("push oci:one docker://{}/a:v1", registry.host());
    let args: Vec<_> = line.split_whitespace().collect();
    let with_login = || project.karat(&args).env("DOCKER_CONFIG", "docker");
    let refused = with_login().run().exits(3).says(&["asks for a token", "auth-hosts"]);
    assert!(!refused.stderr.contains("dXNlcjpwYXNz"), "{}", refused.stderr);
    assert!(thief.lines().is_empty(), "the realm was asked");
    // A policy that names the host.
    let text = format!(
        "[policy]\nname = \"golden\"\n[registry]\nstaging = \"{}/a\"\nauth-hosts = [\"{}\"]\n",
        registry.host(),
        thief.authority()
    );
    project.write("karat-policy.toml", text);
    with_login().run().exits(0);
    assert_eq!(thief.log()[0].header("authorization"), Some("Basic dXNlcjpwYXNz"));
    let scope = thief.log()[0].query("scope");
    assert_eq!(scope.as_deref(), Some("repository:a:pull%2Cpush"));
}

#[test]
fn helpers_and_their_silence() {
    let registry = Registry::start(Ways { basic: Some("user:pass".to_owned()), ..Ways::default() });
    let open = Registry::start(Ways::default());
    let project = project();
    let helper = "#!/bin/sh\nread server\ncase $server in\n\
        *:PORT) echo \"{\\\"ServerURL\\\":\\\"$server\\\",\\\"Username\\\":\\\"user\\\",\\\"Secret\\\":\\\"pass\\\"}\" ;;\n\
        *) echo credentials not found in native keychain; exit 1 ;;\nesac\n";
    let port = registry.host().rsplit_once(':').expect("a port").1.to_owned();
    let path = project.write("bin/docker-credential-fake", helper.replace("PORT", &port));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    project.write("docker/config.json", r#"{"credsStore":"fake"}"#);
    for host in [registry.host(), open.host()] {
        let line = format!("push oci:one docker://{host}/a:v1");
        let args: Vec<_> = line.split_whitespace().collect();
        let path = format!(
            "{}:{}",
            project.path("bin").display(),
            std::env::var("PATH").unwrap_or_default()
        );
        project.karat(&args).env("DOCKER_CONFIG", "docker").env("PATH", path).run().exits(0);
    }
}

#[test]
fn wrong_command_lines_are_told() {
    let project = project();
    for (line, said) in [
        ("push oci:one oci:two", "in no registry"),
        ("pull oci:one oci:three", "in no registry"),
        ("pull docker://127.0.0.1:1/a docker://127.0.0.1:1/b", "karat copy"),
        ("push docker://127.0.0.1:1/a docker://127.0.0.1:1/b", "karat copy"),
        ("push oci:one docker://Reg.example/a:v1", "no valid host"),
        ("push oci:one docker://user:pw@reg.example/a:v1", "no valid"),
        ("push oci:one docker://reg.example/a/../b:v1", "no valid repository"),
        ("push oci:one nginx", "no implicit Docker Hub"),
        ("push oci:nothing docker://127.0.0.1:1/a:v1", "no OCI image layout"),
    ] {
        run(&project, line).exits(2).says(&[said]);
    }
    run(&project, "push oci:one docker://127.0.0.1:1/a:v1").exits(3).says(&["no connection"]);
    run(&project, "push --offline oci:one docker://127.0.0.1:1/a:v1").exits(3).says(&["--offline"]);
}

#[test]
fn a_build_is_published() {
    let registry = Registry::start(Ways { referrers: true, ..Ways::default() });
    let project = Project::small().with_keys();
    let host = registry.host();
    let build = |further: &str| project.signed(&format!("build app.karat.toml {further}"));
    build("--push --sign cosign.key").exits(2).says(&["where images are published"]);
    project.write("karat-policy.toml", policy(&host, "immutable-tags = true", ""));
    build("--push").exits(2).says(&["--sign"]);
    build("--tag v1 --sign cosign.key").exits(2).says(&["--push"]);
    build("--push --offline --sign cosign.key").exits(2).says(&["--offline"]);
    build("--push --tag latest --sign cosign.key").exits(2).says(&["latest"]);
    build("--push --tag a/b --sign cosign.key").exits(2).says(&["a/b"]);
    project.signed("build app --push --sign cosign.key").exits(2).says(&["reviewed"]);
    assert!(registry.server.lines().is_empty(), "a registry was asked");
    let built = build("--push --tag v1 --tag 1.0 --sign cosign.key").exits(0);
    let digest = built.digest();
    assert_eq!(built.stdout, format!("{host}/golden/app@{digest}\n"));
    let held = registry.repository("golden/app");
    assert_eq!((held.tags.get("v1"), held.tags.get("1.0")), (Some(&digest), Some(&digest)));
    run(&project, &format!("pull docker://{host}/golden/app@{digest} oci:got")).exits(0);
    project.done("verify oci:got --key cosign.pub");
    // Without a tag, by its digest alone.
    build("--push --sign cosign.key").exits(0).says(&["sent 0 blobs"]);
    assert_eq!(registry.repository("golden/app").tags, held.tags);
    // In cosign's old form too, for where it is published.
    let both = "--push --sign cosign.key --signature-format both";
    build(both).exits(0).says(&["wrote 2 manifests"]);
    build(both).exits(0).says(&["wrote 0 manifests"]);
    let held = registry.repository("golden/app");
    let tag = format!("{}.sig", digest.replace(':', "-"));
    let manifest = &held.manifests[held.tags.get(&tag).expect("a signature")].1;
    let manifest: Value = serde_json::from_slice(manifest).expect("JSON");
    let payload = &held.blobs[manifest["layers"][0]["digest"].as_str().expect("a digest")];
    let payload: Value = serde_json::from_slice(payload).expect("JSON");
    let named = &payload["critical"]["identity"]["docker-reference"];
    assert_eq!(*named, format!("{host}/golden/app"));
    // On release, what nobody has scanned is rejected, unless the policy says otherwise.
    let strict = "[policy]\nname = \"golden\"\n[registry]\npublish = \"HOST/new\"\n";
    project.write("karat-policy.toml", strict.replace("HOST", &host));
    build("--push --sign cosign.key").exits(1).says(&["NOT SCANNED", "REJECTED"]);
    assert!(registry.repository("new/app").blobs.is_empty());
}

#[test]
fn what_waits_in_staging_is_promoted_when_it_is_judged() {
    let registry = Registry::start(Ways { referrers: true, ..Ways::default() });
    let (project, host) = (project(), registry.host());
    let text = policy(&host, &format!("staging = \"{host}/staging\"\nimmutable-tags = true"), "");
    project.write("karat-policy.toml", &text);
    let root = root_of(&project, "two");
    run(&project, &format!("push oci:two docker://{host}/staging/a/app:v1")).exits(0);
    run(&project, &format!("push oci:plain docker://{host}/staging/plain:v1")).exits(0);

    // By nobody's word, by another name, from elsewhere.
    run(&project, &format!("promote docker://{host}/staging/a/app:v1")).exits(2).says(&["by whom"]);
    let line = format!("promote docker://{host}/staging/plain:v1 --tag v1 --key cosign.pub");
    run(&project, &line).exits(1).says(&["missing   signature", "nothing was written"]);
    let line = format!("promote docker://{host}/golden/a/app:v1 --key cosign.pub");
    run(&project, &line).exits(2).says(&["does not lie below", "staging"]);
    let line = format!("promote docker://{host}/staging-evil/app:v1 --key cosign.pub");
    run(&project, &line).exits(2).says(&["does not lie below"]);
    let line = format!("promote docker://{host}/staging/a/app:v1 --tag latest --key cosign.pub");
    run(&project, &line).exits(2).says(&["no tag to publish under"]);
    assert!(registry.repository("golden/a/app").manifests.is_empty());
    assert!(registry.repository("golden/plain").manifests.is_empty());

    let line =
        format!("promote docker://{host}/staging/a/app:v1 --tag v1 --tag v1.0 --key cosign.pub");
    let done = run(&project, &line).exits(0).says(&["mounted", "tagged v1", "tagged v1.0"]);
    assert_eq!(done.stdout, format!("{host}/golden/a/app@{root}\n"));
    let held = registry.repository("golden/a/app");
    assert_eq!((held.tags.get("v1"), held.tags.get("v1.0")), (Some(&root), Some(&root)));
    run(&project, &format!("verify docker://{host}/golden/a/app@{root} --key cosign.pub")).exits(0);
    run(&project, &line).exits(0).says(&["sent 0 blobs"]);

    // Without a policy nobody knows what staging is.
    std::fs::remove_file(project.path("karat-policy.toml")).expect("the policy");
    run(&project, &line).exits(2).says(&["does not say where images wait"]);
}

#[test]
fn images_are_read_from_their_mirror() {
    let registry = Registry::start(Ways { referrers: true, ..Ways::default() });
    let (project, host) = (project(), registry.host());
    run(&project, &format!("push oci:two docker://{host}/mirror/up/app:v1")).exits(0);
    let root = root_of(&project, "two");
    let mirrors =
        format!("mirrors = {{ \"up.example\" = \"{host}/mirror/up\" }}\nallowlist-only = true");
    project.write("karat-policy.toml", policy(&host, &mirrors, ""));
    let upstream = format!("docker://up.example/app@{root}");
    let says = ["up.example", "read from its mirror", "mirror/up/app"];
    let pulled = run(&project, &format!("pull {upstream} oci:got:v1")).exits(0).says(&says);
    assert_eq!(pulled.stdout, format!("oci:got:v1@{root}\n"));
    run(&project, &format!("verify {upstream} --key cosign.pub")).exits(0).says(&says);
    let line = format!("copy {upstream} docker://{host}/golden/app:v1 --key cosign.pub");
    run(&project, &line).exits(0).says(&says);
    assert_eq!(registry.repository("golden/app").tags.get("v1"), Some(&root));
    // What has no mirror is another host, and not allowed.
    let line = format!("pull docker://up.example.evil.example/app@{root} oci:other");
    run(&project, &line).exits(1).says(&["does not let be reached"]);
}

/// A pseudoterminal: the end that a program writes to, and what arrives at the other.
#[cfg(target_os = "linux")]
fn terminal() -> (std::fs::File, std::thread::JoinHandle<String>) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let own = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudoterminal");
    grantpt(&own).expect("it is ours");
    unlockpt(&own).expect("it opens");
    let name = ptsname(&own, Vec::new()).expect("it has a name").into_string().expect("a path");
    let other = std::fs::OpenOptions::new().read(true).write(true).open(name).expect("it opens");
    let reader = std::thread::spawn(move || {
        let (mut own, mut seen) = (std::fs::File::from(own), Vec::new());
        // When the last writer is gone, reading a terminal fails.
        let _ = std::io::Read::read_to_end(&mut own, &mut seen);
        String::from_utf8(seen).expect("UTF-8")
    });
    (other, reader)
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_shows_how_far_it_is_and_nothing_else_does() {
    let slow = |asked: &Asked, _: usize| {
        if asked.method == "PUT" && asked.path().contains("/blobs/") {
            std::thread::sleep(Duration::from_millis(700));
        }
        None
    };
    let registry = Registry::faulty(Ways { referrers: true, ..Ways::default() }, slow);
    let (project, host) = (project(), registry.host());
    let push = |to: &str, term: &str| {
        let target = format!("docker://{host}/golden/{to}:v1");
        let (end, reader) = terminal();
        let mut karat = project.karat(&["push", "oci:one", &target]).env("TERM", term);
        let quiet = std::process::Stdio::null();
        let mut child = karat.command().stdout(quiet).stderr(end).spawn().expect("karat starts");
        // The command holds the writing end too.
        drop(karat);
        assert!(child.wait().expect("karat ends").success());
        reader.join().expect("what was shown")
    };
    let shown = push("a", "xterm");
    let line = shown.split("\r\x1b[K").find(|part| part.contains("/s")).expect("a line over it");
    assert!(line.contains("golden/a") && line.contains(" of ") && line.contains("B/s"), "{shown}");
    // The line is gone before anything else is said.
    let (over, said) = shown.rsplit_once("\r\x1b[K").expect("it is cleared");
    assert!(!said.contains("B/s") && said.contains("tagged v1"), "{shown}");
    assert!(!over.contains("tagged v1"), "{shown}");

    let plain = push("b", "dumb");
    assert!(!plain.contains('\x1b') && plain.contains("tagged v1"), "{plain}");
    let piped = run(&project, &format!("push oci:one docker://{host}/golden/c:v1")).exits(0);
    assert!(!piped.stderr.contains('\x1b') && !piped.stderr.contains("B/s"), "{}", piped.stderr);
}
