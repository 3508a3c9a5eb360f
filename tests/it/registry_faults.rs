//! Registries that misbehave: whatever they do, the exit code is right, the message says what
//! and where, and nothing is half-published or half-written.

use crate::registry::{project, run};
use crate::support::Project;
use crate::support::registry::{Registry, Ways};
use crate::support::server::{Asked, Reply, Server};
use std::time::Duration;

fn root_of(project: &Project, layout: &str) -> String {
    project.layout(layout).index()["manifests"][0]["digest"].as_str().expect("a digest").to_owned()
}

fn is_commit(asked: &Asked) -> bool {
    asked.method == "PUT" && asked.path().contains("/blobs/uploads/")
}

fn is_manifest_put(asked: &Asked) -> bool {
    asked.method == "PUT" && asked.path().contains("/manifests/sha256:")
}

/// A marker for the fake: do what was asked, and then answer so.
fn after_doing(status: u16) -> Reply {
    Reply::new(status).header("X-Done", "yes")
}

#[test]
fn faults_that_pass_are_overcome() {
    type Fault = fn(&Asked, usize) -> Option<Reply>;
    let cases: [(&str, Fault); 8] = [
        ("429", |_, before| (before == 0).then(|| Reply::new(429).header("Retry-After", "0"))),
        ("503 before each blob", |asked, before| {
            (is_commit(asked) && before == 0).then(|| Reply::new(503))
        }),
        ("500 after a blob was kept", |asked, before| {
            (is_commit(asked) && before == 0).then(|| after_doing(500))
        }),
        ("an upload that is forgotten", |asked, before| {
            (is_commit(asked) && before == 0)
                .then(|| Reply::new(404).json(r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}"#))
        }),
        ("500 after a manifest was kept", |asked, before| {
            (is_manifest_put(asked) && before == 0).then(|| after_doing(500))
        }),
        ("a manifest lost", |asked, before| {
            (is_manifest_put(asked) && before == 0).then(|| Reply::new(502))
        }),
        ("500 after the tag was set", |asked, before| {
            (asked.method == "PUT" && asked.path().ends_with("/v1") && before == 0)
                .then(|| after_doing(500))
        }),
        ("an answer that breaks off", |asked, before| {
            (asked.method == "GET" && asked.path().contains("/manifests/") && before == 0)
                .then(|| Reply { raw: Some(Vec::new()), ..Reply::new(0) })
        }),
    ];
    for (name, fault) in cases {
        for referrers in [true, false] {
            let registry = Registry::faulty(Ways { referrers, ..Ways::default() }, fault);
            let (project, host) = (project(), registry.host());
            let output = run(&project, &format!("push oci:two docker://{host}/app:v1"));
            assert_eq!(output.code, 0, "{name}: {}", output.stderr);
            let root = root_of(&project, "two");
            assert_eq!(registry.repository("app").tags.get("v1"), Some(&root), "{name}");
            let pull = format!("pull docker://{host}/app@{root} oci:got");
            let output = run(&project, &pull);
            assert_eq!(output.code, 0, "{name}: {}", output.stderr);
            project.done("verify oci:got --key cosign.pub");
        }
    }
}

#[test]
fn faults_that_stay_leave_the_tag_where_it_was() {
    type Fault = fn(&Asked, usize) -> Option<Reply>;
    let cases: [(&str, Fault, &[&str]); 14] = [
        (
            "no right",
            |asked, _| {
                (asked.method == "POST").then(|| {
                    Reply::new(403).json(r#"{"errors":[{"code":"DENIED","message":"read only"}]}"#)
                })
            },
            &["POST", "/v2/app/blobs/uploads/", "403", "DENIED: read only", "right"],
        ),
        (
            "too many requests",
            |_, _| Some(Reply::new(429).header("Retry-After", "9999")),
            &["GET", "/v2/", "429", "try again later"],
        ),
        (
            "no upload",
            |asked, _| is_commit(asked).then(|| Reply::new(500)),
            &["PUT", "/v2/app/blobs/uploads/", "500", "try again"],
        ),
        (
            "too large",
            |asked, _| is_commit(asked).then(|| Reply::new(413)),
            &["PUT", "413", "proxy"],
        ),
        (
            "no location",
            |asked, _| (asked.method == "POST").then(|| Reply::new(202)),
            &["names no place to upload to"],
        ),
        (
            "a location elsewhere",
            |asked, _| {
                (asked.method == "POST").then(|| {
                    Reply::new(202)
                        .header("Location", "http://169.254.169.254/latest/meta-data?x=s3cret")
                })
            },
            &["169.254.169.254", "storage-hosts"],
        ),
        (
            "a location that is none",
            |asked, _| {
                (asked.method == "POST")
                    .then(|| Reply::new(202).header("Location", "http://user:s3cret@127.0.0.1/x"))
            },
            &["no", "user name or a password"],
        ),
        (
            "another digest for a blob",
            |asked, _| {
                is_commit(asked).then(|| {
                    after_doing(201)
                        .header("Docker-Content-Digest", format!("sha256:{}", "0".repeat(64)))
                })
            },
            &["says that it holds"],
        ),
        (
            "another digest for a manifest",
            |asked, _| {
                is_manifest_put(asked).then(|| {
                    after_doing(201)
                        .header("Docker-Content-Digest", format!("sha256:{}", "0".repeat(64)))
                })
            },
            &["says that it holds"],
        ),
        (
            "a manifest that is not kept",
            |asked, _| is_manifest_put(asked).then(|| Reply::new(201).header("OCI-Subject", "x")),
            &["does not give back", "no such manifest"],
        ),
        (
            "a manifest that is refused",
            |asked, _| {
                is_manifest_put(asked)
                    .then(|| Reply::new(400).json(r#"{"errors":[{"code":"MANIFEST_INVALID"}]}"#))
            },
            &["PUT", "/v2/app/manifests/sha256:", "400", "MANIFEST_INVALID"],
        ),
        (
            "a page",
            |asked, _| {
                (asked.method == "GET" && asked.path().contains("/manifests/")).then(|| {
                    Reply::new(200).header("Content-Type", "text/html").body("<html>log in</html>")
                })
            },
            &["web page"],
        ),
        (
            "no tag",
            |asked, _| {
                (asked.method == "PUT" && asked.path().ends_with("/v1")).then(|| Reply::new(500))
            },
            &["PUT", "/v2/app/manifests/v1", "500"],
        ),
        (
            "silence",
            |asked, _| {
                (asked.method == "POST")
                    .then(|| Reply { hang: Some(Duration::from_secs(10)), ..Reply::new(0) })
            },
            &["POST", "no answer in time", "KARAT_HTTP_TIMEOUT"],
        ),
    ];
    for (name, fault, said) in cases {
        let registry = Registry::faulty(Ways { referrers: true, ..Ways::default() }, fault);
        let (project, host) = (project(), registry.host());
        registry.change("app", |held| drop(held.tags.insert("v1".to_owned(), "old".to_owned())));
        let output = run(&project, &format!("push oci:one docker://{host}/app:v1"));
        assert_eq!(output.code, 3, "{name}: {}", output.stderr);
        for part in said {
            assert!(
                output.stderr.contains(part),
                "{name}: `{part}` is not said: {}",
                output.stderr
            );
        }
        assert!(!output.stderr.contains("s3cret"), "{name}: {}", output.stderr);
        let tag = registry.repository("app").tags.get("v1").cloned();
        assert_eq!(tag.as_deref(), Some("old"), "{name}: the tag moved");
    }
}

#[test]
fn what_comes_is_checked() {
    type Fault = fn(&Asked, usize) -> Option<Reply>;
    fn blob(asked: &Asked) -> bool {
        asked.method == "GET" && asked.path().contains("/blobs/")
    }
    fn manifest(asked: &Asked) -> bool {
        asked.method == "GET" && asked.path().contains("/manifests/")
    }
    let cases: [(&str, Fault, i32, &[&str]); 10] = [
        (
            "other bytes for a blob",
            |asked, _| blob(asked).then(|| Reply::new(200).body("other")),
            1,
            &["is not what its digest says"],
        ),
        (
            "more bytes than promised",
            |asked, _| blob(asked).then(|| Reply::new(200).body(vec![0; 3_000_000])),
            1,
            &["is not what its digest says"],
        ),
        (
            "other bytes for a manifest",
            |asked, _| {
                manifest(asked).then(|| {
            Reply::new(200).json(r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#)
        })
            },
            1,
            &["other bytes than were asked for"],
        ),
        (
            "no JSON",
            |asked, _| manifest(asked).then(|| Reply::new(200).body("{")),
            1,
            &["cannot be read"],
        ),
        (
            "a manifest without end",
            |asked, _| manifest(asked).then(|| Reply::new(200).body(vec![b' '; 5 << 20])),
            1,
            &["longer than"],
        ),
        (
            "a page",
            |asked, _| {
                manifest(asked)
                    .then(|| Reply::new(200).header("Content-Type", "text/html").body("<html>"))
            },
            3,
            &["GET", "/v2/app/manifests/sha256:", "web page"],
        ),
        (
            "a blob that is always cut",
            |asked, _| {
                blob(asked).then(|| Reply { cut: Some(3), ..Reply::new(200).body("12345678") })
            },
            3,
            &["GET", "/v2/app/blobs/sha256:", "connection broke"],
        ),
        (
            "a length that lies",
            |asked, _| {
                blob(asked).then(|| Reply {
                    says_length: Some(1 << 40),
                    ..Reply::new(200).body("12345678")
                })
            },
            3,
            &["connection broke"],
        ),
        (
            "a slow drip",
            |asked, _| {
                manifest(asked).then(|| Reply {
                    drip: Some(Duration::from_millis(100)),
                    ..Reply::new(200).body(vec![b' '; 300])
                })
            },
            3,
            &["slower than"],
        ),
        (
            "a blob that is gone",
            |asked, _| blob(asked).then(|| Reply::new(404)),
            1,
            &["is missing"],
        ),
    ];
    let good = Registry::start(Ways::default());
    let start = project();
    run(&start, &format!("push oci:one docker://{}/app:v1", good.host())).exits(0);
    let root = root_of(&start, "one");
    for (name, fault, code, said) in cases {
        let registry = Registry::faulty(Ways::default(), fault);
        registry.change("app", |held| *held = good.repository("app"));
        let project = Project::new();
        let line = format!("pull docker://{}/app@{root} oci:got", registry.host());
        let output = run(&project, &line);
        assert_eq!(output.code, code, "{name}: {}", output.stderr);
        for part in said {
            assert!(
                output.stderr.contains(part),
                "{name}: `{part}` is not said: {}",
                output.stderr
            );
        }
        assert!(!project.path("got").exists(), "{name}: something was written");
        project.is_tidy();
    }
}

#[test]
fn a_download_that_breaks_is_taken_up_again() {
    let good = Registry::start(Ways::default());
    let start = project();
    run(&start, &format!("push oci:one docker://{}/app:v1", good.host())).exits(0);
    let held = good.repository("app");
    let whole = held.clone();
    let registry = Registry::faulty(Ways::default(), move |asked, before| {
        let digest = asked.path().strip_prefix("/v2/app/blobs/")?;
        let bytes = whole.blobs.get(digest)?.clone();
        (asked.method == "GET" && before == 0)
            .then(|| Reply { cut: Some(bytes.len() / 2), ..Reply::new(200).body(bytes) })
    });
    registry.change("app", |own| *own = held);
    let project = project();
    run(&project, &format!("pull docker://{}/app:v1 oci:got", registry.host())).exits(0);
    project.done("verify oci:got --key cosign.pub");
    assert!(registry.server.log().iter().any(|asked| asked.header("range").is_some()));
}

#[test]
fn storage_on_another_host_needs_the_policys_word_and_gets_no_credentials() {
    let back = Registry::start(Ways { referrers: true, ..Ways::default() });
    let front = Registry::start(Ways {
        referrers: true,
        basic: Some("user:pass".to_owned()),
        blobs_at: Some(format!("http://{}", back.host())),
        ..Ways::default()
    });
    let project = project();
    let login = format!(r#"{{"auths":{{"{}":{{"auth":"dXNlcjpwYXNz"}}}}}}"#, front.host());
    project.write("docker/config.json", login);
    let karat = |line: &str| {
        let args: Vec<_> = line.split_whitespace().collect();
        project.karat(&args).env("DOCKER_CONFIG", "docker").run()
    };
    karat(&format!("push oci:one docker://{}/app:v1", front.host())).exits(0);
    back.change("app", |held| *held = front.repository("app"));
    let pull = format!("pull docker://{}/app:v1 oci:got", front.host());
    karat(&pull).exits(3).says(&[&back.host(), "storage-hosts"]);
    assert!(back.server.lines().is_empty());
    let text =
        format!("[policy]\nname = \"golden\"\n[registry]\nstorage-hosts = [\"{}\"]\n", back.host());
    project.write("karat-policy.toml", text);
    let output = karat(&pull).exits(0);
    assert!(!output.stderr.contains("s3cret"));
    assert!(!back.server.lines().is_empty());
    assert!(back.server.log().iter().all(|asked| asked.header("authorization").is_none()));
    project.done("verify oci:got --key cosign.pub");
}

#[test]
fn mounting_that_is_answered_with_an_upload_goes_on_as_one() {
    let ways = Ways { no_mount: true, referrers: true, ..Ways::default() };
    let registry = Registry::start(ways);
    let (project, host) = (project(), registry.host());
    run(&project, &format!("push oci:one docker://{host}/a:v1")).exits(0);
    run(&project, &format!("copy docker://{host}/a:v1 docker://{host}/b:v1"))
        .exits(0)
        .says(&["0 mounted"]);
    assert_eq!(registry.repository("a").blobs, registry.repository("b").blobs);
    let posts = registry.server.lines();
    let posts = posts.iter().filter(|line| line.starts_with("POST /v2/b/"));
    assert_eq!(posts.count(), registry.repository("b").blobs.len(), "the session was not used");
}

#[test]
fn a_registry_that_is_none_is_told() {
    for (reply, said) in [
        (Reply::new(200).header("Content-Type", "text/html").body("<html>"), "web page"),
        (Reply::new(500), "500"),
        (Reply { raw: Some(b"220 mail.example ESMTP\r\n".to_vec()), ..Reply::new(0) }, "no HTTP"),
    ] {
        let server = Server::start(move |_| reply.clone());
        let project = project();
        let line = format!("inspect docker://{}/app:v1", server.authority());
        run(&project, &line).exits(3).says(&[said]);
    }
}
