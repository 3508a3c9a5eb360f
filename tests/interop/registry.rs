//! Registries that nobody here wrote, on loopback: Debian's `docker-registry` (2.8), the
//! distribution project's `registry` (3.1), and go-containerregistry's. crane, skopeo, oras and
//! cosign read what karat pushed, and karat reads what they pushed.

use crate::project::{Layout, Project, json, sha256};
use crate::support::{Outcome, Skip, command, fail, program, succeed};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

/// `user` with the password `pass`, by `htpasswd -nbB user pass`.
const HTPASSWD: &str = "user:$2y$05$lSja./x5i8ysxQOgzGw1Pu8kJnDl/Jsd5q8iQNUVbWjf2FKFmZtBi\n";

/// A registry that runs until it is dropped.
pub(crate) struct Registry {
    child: Child,
    host: String,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Which program serves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Debian,
    Distribution,
    Crane,
}

const KINDS: [Kind; 3] = [Kind::Debian, Kind::Distribution, Kind::Crane];

impl Registry {
    /// Starts a registry that keeps everything in the project's folder. `http` are further
    /// lines of the configuration.
    pub(crate) fn start(project: &Project, kind: Kind, further: &str) -> Result<Self, Skip> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr());
        let port = port.expect("a port").port();
        let host = format!("127.0.0.1:{port}");
        let folder = format!("registry-{port}");
        let mut serve = match kind {
            Kind::Crane => {
                let mut crane = command(program("crane")?);
                crane.args(["registry", "serve", "--address", &host]);
                crane
            }
            Kind::Debian | Kind::Distribution => {
                let name =
                    if matches!(kind, Kind::Debian) { "docker-registry" } else { "registry" };
                let mut registry = command(program(name)?);
                let configuration = format!(
                    "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
                     storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp:\n  addr: {host}\n{further}",
                    project.path(&folder).display()
                );
                project.write(&format!("{folder}.yml"), &configuration);
                registry.arg("serve").arg(project.path(&format!("{folder}.yml")));
                registry
            }
        };
        let log = fs::File::create(project.path(&format!("{folder}.log"))).expect("a log");
        let error = log.try_clone().expect("a log");
        let child = serve.stdout(Stdio::from(log)).stderr(Stdio::from(error)).spawn();
        let registry = Self { child: child.expect("the registry starts"), host };
        for _ in 0..500 {
            if TcpStream::connect(&registry.host).is_ok() {
                return Ok(registry);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{kind:?} does not answer");
    }

    pub(crate) fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }
}

/// Pushes the project's layout and returns the reference by digest.
fn push(project: &Project, registry: &Registry, layout: &Layout) -> String {
    let to = format!("docker://{}:v1", registry.place("golden/app"));
    let printed = succeed(project.karat().args(["push", "oci:layout:v1", &to]));
    let reference = format!("{}@{}", registry.place("golden/app"), layout.digest);
    assert_eq!(printed.trim_end(), reference);
    reference
}

pub(crate) fn crane_and_skopeo_read_what_karat_pushed() -> Outcome {
    let (crane, skopeo) = (program("crane")?, program("skopeo")?);
    let project = Project::of_a_go_program()?;
    let layout = project.signed();
    for kind in KINDS {
        let registry = Registry::start(&project, kind, "")?;
        let reference = push(&project, &registry, &layout);
        let tag = format!("{}:v1", registry.place("golden/app"));
        succeed(command(&crane).args(["validate", "--remote", &tag]));
        assert_eq!(succeed(command(&crane).args(["digest", &tag])).trim_end(), layout.digest);
        let manifest = succeed(command(&crane).args(["manifest", &reference]));
        assert_eq!(json(manifest.as_bytes()), json(&layout.blob(&layout.digest)), "{kind:?}");
        let mut inspect = command(&skopeo);
        inspect.args(["inspect", "--raw", "--tls-verify=false", &format!("docker://{reference}")]);
        assert_eq!(json(succeed(&mut inspect).as_bytes()), json(manifest.as_bytes()));
        // Once more, nothing is sent.
        let to = format!("docker://{tag}");
        let again = project.karat().args(["push", "oci:layout:v1", &to]).output().expect("karat");
        let said = String::from_utf8_lossy(&again.stderr).into_owned();
        assert!(said.contains("sent 0 blobs") && said.contains("wrote 0 manifests"), "{said}");
    }
    Ok(())
}

pub(crate) fn oras_and_cosign_find_what_refers_to_it() -> Outcome {
    let (oras, cosign) = (program("oras")?, program("cosign")?);
    let project = Project::of_a_c_program()?;
    let layout = project.signed();
    for kind in KINDS {
        let registry = Registry::start(&project, kind, "")?;
        let reference = push(&project, &registry, &layout);
        let mut discover = command(&oras);
        discover.args(["discover", "--plain-http", "--format", "json", &reference]);
        let found = json(succeed(&mut discover).as_bytes());
        let listed = found["referrers"].as_array().or_else(|| found["manifests"].as_array());
        let mut listed: Vec<_> = listed
            .expect("a list")
            .iter()
            .map(|one| {
                assert_eq!(one["artifactType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
                one["digest"].as_str().expect("a digest").to_owned()
            })
            .collect();
        listed.sort();
        let mut own: Vec<_> = layout.entries()[1..]
            .iter()
            .map(|one| one["digest"].as_str().expect("a digest").to_owned())
            .collect();
        own.sort();
        assert_eq!(listed, own, "{kind:?}");
        let mut verify = command(&cosign);
        verify.args(["verify", "--insecure-ignore-tlog", "--allow-http-registry", "--key"]);
        succeed(verify.arg(project.path("cosign.pub")).arg(&reference));
    }
    Ok(())
}

pub(crate) fn karat_signs_what_others_pushed() -> Outcome {
    let (crane, cosign) = (program("crane")?, program("cosign")?);
    let project = Project::of_a_c_program()?;
    let layout = project.signed();
    for kind in KINDS {
        let registry = Registry::start(&project, kind, "")?;
        // Without what refers to it.
        let tag = format!("{}:v1", registry.place("by/crane"));
        let single = layout.manifests()[0]["digest"].as_str().expect("a digest").to_owned();
        push(&project, &registry, &layout);
        let from = format!("{}@{single}", registry.place("golden/app"));
        succeed(command(&crane).args(["copy", &from, &tag]));
        let reference = format!("{}@{single}", registry.place("by/crane"));
        let verify = || {
            let mut verify = command(&cosign);
            verify.args(["verify", "--insecure-ignore-tlog", "--allow-http-registry", "--key"]);
            verify.arg(project.path("cosign.pub")).arg(&reference).output().expect("cosign")
        };
        assert!(!verify().status.success(), "nobody has signed yet, {kind:?}");
        let sign = ["sign", &format!("docker://{reference}"), "--key", "cosign.key"];
        succeed(project.karat().args(sign));
        assert!(verify().status.success(), "{kind:?}");
        assert_eq!(succeed(command(&crane).args(["digest", &tag])).trim_end(), single);
    }
    Ok(())
}

pub(crate) fn karat_reads_what_others_pushed() -> Outcome {
    let (crane, skopeo, oras) = (program("crane")?, program("skopeo")?, program("oras")?);
    let project = Project::of_a_go_program()?;
    let layout = project.signed();
    for kind in KINDS {
        let registry = Registry::start(&project, kind, "")?;
        let (one, two) = (registry.place("by/skopeo"), registry.place("by/crane"));
        let mut copy = command(&skopeo);
        copy.args(["copy", "--quiet", "--all", "--dest-tls-verify=false"]);
        succeed(copy.arg(layout.reference("v1")).arg(format!("docker://{one}:v1")));
        succeed(command(&crane).args(["copy", &format!("{one}:v1"), &format!("{two}:v1")]));
        // Something that refers to it, by oras.
        project.write("note.txt", "a note\n");
        let mut attach = command(&oras);
        attach.args(["attach", "--plain-http", "--artifact-type", "text/note"]);
        attach.arg(format!("{two}@{}", layout.digest)).arg("note.txt:text/plain");
        succeed(attach.current_dir(project.path("")));
        for (place, referrers) in [(one, "0 referrers"), (two, "1 referrers")] {
            let (from, to) = (format!("docker://{place}@{}", layout.digest), "oci:got");
            let pulled = project.karat().args(["pull", &from, to]).output().expect("karat");
            let said = String::from_utf8_lossy(&pulled.stderr).into_owned();
            assert!(pulled.status.success() && said.contains(referrers), "{kind:?}: {said}");
            let got = Layout::open(project.path("got"), layout.digest.clone());
            assert_eq!(got.manifests(), layout.manifests());
            for manifest in got.manifests() {
                let document = got.document(&manifest);
                for layer in document["layers"].as_array().expect("layers") {
                    got.blob(layer["digest"].as_str().expect("a digest"));
                }
            }
            succeed(project.karat().args(["inspect", &from]));
            fs::remove_dir_all(project.path("got")).expect("removed");
        }
    }
    Ok(())
}

pub(crate) fn copies_within_a_registry_mount() -> Outcome {
    let crane = program("crane")?;
    let project = Project::of_a_go_program()?;
    let layout = project.signed();
    for kind in [Kind::Debian, Kind::Distribution] {
        let registry = Registry::start(&project, kind, "")?;
        let reference = push(&project, &registry, &layout);
        let (from, to) = (format!("docker://{reference}"), registry.place("other/app"));
        let mut copy = project.karat();
        copy.args(["copy", &from, &format!("docker://{to}:v2")]);
        let copied = copy.output().expect("karat");
        let said = String::from_utf8_lossy(&copied.stderr).into_owned();
        assert!(copied.status.success() && said.contains("sent 0 blobs"), "{kind:?}: {said}");
        succeed(command(&crane).args(["validate", "--remote", &format!("{to}:v2")]));
        succeed(project.karat().args(["pull", &format!("docker://{to}:v2"), "oci:got"]));
        succeed(project.karat().args(["verify", "oci:got", "--key", "cosign.pub"]));
        fs::remove_dir_all(project.path("got")).expect("removed");
    }
    Ok(())
}

/// Makes an authority and a certificate of it for loopback.
fn certificates(project: &Project) -> Result<(), Skip> {
    let openssl = program("openssl")?;
    let run = |arguments: &[&str]| {
        succeed(command(&openssl).args(arguments).current_dir(project.path("")));
    };
    let subject = ["-subj", "/CN=karat test authority"];
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    run(&[
        &["req", "-x509", "-days", "2", "-keyout", "ca.key", "-out", "ca.crt"][..],
        &key,
        &subject,
    ]
    .concat());
    run(&[&["req", "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=registry"][..], &key]
        .concat());
    project.write("names", "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n");
    run(&[
        "x509",
        "-req",
        "-in",
        "tls.csr",
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        "names",
        "-out",
        "tls.crt",
    ]);
    Ok(())
}

pub(crate) fn passwords_and_a_private_authority() -> Outcome {
    let crane = program("crane")?;
    let project = Project::of_a_c_program()?;
    let layout = project.signed();
    certificates(&project)?;
    project.write("htpasswd", HTPASSWD);
    let path = |name: &str| project.path(name).display().to_string();
    let further = format!(
        "  tls: {{certificate: {}, key: {}}}\nauth: {{htpasswd: {{realm: test, path: {}}}}}\n",
        path("tls.crt"),
        path("tls.key"),
        path("htpasswd")
    );
    for kind in [Kind::Debian, Kind::Distribution] {
        let registry = Registry::start(&project, kind, &further)?;
        let to = format!("docker://{}:v1", registry.place("golden/app"));
        let push = || {
            let mut karat = project.karat();
            karat.args(["push", "oci:layout:v1", &to]).env_remove("SSL_CERT_FILE");
            karat.env("DOCKER_CONFIG", project.path("docker")).env("HOME", project.path("home"));
            karat
        };
        let _ = fs::remove_dir_all(project.path("docker"));
        let said = fail(&mut push());
        assert!(said.contains("TLS") && said.contains("certs.d"), "{said}");
        let said = fail(push().env("SSL_CERT_FILE", project.path("ca.crt")));
        assert!(said.contains("401") && said.contains("docker login"), "{said}");
        // What `crane auth login` writes is read.
        let mut login = command(&crane);
        login.args(["auth", "login", &registry.host, "-u", "user", "-p", "pass"]);
        succeed(login.env("DOCKER_CONFIG", project.path("docker")));
        let folder = format!("certs.d/{}/ca.crt", registry.host);
        project.write(&folder, &String::from_utf8_lossy(&project.read("ca.crt")));
        succeed(push().env("KARAT_CERTS_DIR", project.path("certs.d")));
        succeed(push().env("SSL_CERT_FILE", project.path("ca.crt")));
        project.write("karat-site.toml", "[network]\nca-file = \"ca.crt\"\n");
        succeed(&mut push());
        fs::remove_file(project.path("karat-site.toml")).expect("the site's file");
        let mut digest = command(&crane);
        digest.args(["digest", &format!("{}:v1", registry.place("golden/app"))]);
        digest.env("DOCKER_CONFIG", project.path("docker"));
        digest.env("SSL_CERT_FILE", project.path("ca.crt"));
        assert_eq!(succeed(&mut digest).trim_end(), layout.digest);
    }
    Ok(())
}

pub(crate) fn a_base_that_cosign_has_signed_is_locked() -> Outcome {
    let (crane, cosign) = (program("crane")?, program("cosign")?);
    let project = Project::new();
    fs::create_dir_all(project.path("bases")).expect("a folder");
    fs::create_dir_all(project.path("root/etc")).expect("a folder");
    project.write("root/etc/theirs", "theirs");
    succeed(
        command("tar")
            .args(["-C", "root", "-cf", "layer.tar", "etc"])
            .current_dir(project.path("")),
    );
    succeed(
        command(&cosign)
            .arg("generate-key-pair")
            .env("COSIGN_PASSWORD", "x")
            .current_dir(project.path("")),
    );
    for kind in KINDS {
        let registry = Registry::start(&project, kind, "")?;
        let place = registry.place("their/base");
        let tag = format!("{place}:v1");
        let layer = project.path("layer.tar");
        succeed(command(&crane).args(["append", "--insecure", "-t", &tag, "-f"]).arg(layer));
        let platform = ["mutate", "--insecure", "--set-platform", "linux/amd64", "-t", &tag, &tag];
        succeed(command(&crane).args(platform));
        let digest = succeed(command(&crane).args(["digest", "--insecure", &tag]));
        let reference = format!("{place}@{}", digest.trim_end());
        project.write("bases/up.toml", &format!("[base]\nkind = \"image\"\nplatforms = [\"linux/amd64\"]\n[image]\nreference = \"docker://{reference}\"\nsigner = {{ key = \"cosign.pub\" }}\n"));
        let cache = project.path("cache");
        let karat = |line: &[&str]| {
            let mut karat = project.karat();
            karat.args(line).env("KARAT_CACHE", &cache);
            karat
        };
        let refused = karat(&["base", "lock", "up"]).output().expect("karat");
        assert_eq!(refused.status.code(), Some(1), "nobody has signed yet, {kind:?}");
        let mut sign = command(&cosign);
        sign.args(["sign", "--yes", "--key", "cosign.key", "--tlog-upload=false"])
            .args(["--use-signing-config=false", "--new-bundle-format=true"])
            .args(["--allow-http-registry", &reference])
            .env("COSIGN_PASSWORD", "x")
            .current_dir(project.path(""));
        succeed(&mut sign);
        succeed(&mut karat(&["base", "lock", "up"]));
        drop(registry);
        let verified = succeed(&mut karat(&["base", "verify", "up", "--offline"]));
        assert!(verified.contains(digest.trim_end()), "{kind:?}: {verified}");
        fs::remove_file(project.path("bases/up.lock.toml")).expect("the lock");
        fs::remove_dir_all(&cache).expect("the cache");
    }
    Ok(())
}

pub(crate) fn doctor_leaves_a_registry_usable() -> Outcome {
    let project = Project::of_a_c_program()?;
    let layout = project.signed();
    for kind in KINDS {
        let registry = Registry::start(&project, kind, "")?;
        let place = registry.place("golden/app");
        let printed = succeed(project.karat().args(["doctor", "registry", &place]));
        assert!(printed.contains("ok       tag-moves"), "{kind:?}: {printed}");
        assert!(!printed.contains("FAILED"), "{kind:?}: {printed}");
        push(&project, &registry, &layout);
    }
    Ok(())
}

pub(crate) fn what_cosign_has_signed_is_mirrored() -> Outcome {
    let (crane, cosign) = (program("crane")?, program("cosign")?);
    let project = Project::of_a_c_program()?;
    let layout = project.signed();
    let mut keys = command(&cosign);
    keys.args(["generate-key-pair", "--output-key-prefix", "their"]);
    succeed(keys.env("COSIGN_PASSWORD", "x").current_dir(project.path("")));
    for (makers, own) in [
        (Kind::Debian, Kind::Crane),
        (Kind::Crane, Kind::Distribution),
        (Kind::Distribution, Kind::Debian),
    ] {
        let makers = Registry::start(&project, makers, "")?;
        let own = Registry::start(&project, own, "")?;
        let reference = push(&project, &makers, &layout);
        project.write(
            "karat-policy.toml",
            &format!(
                "[policy]\nname = \"golden\"\n[registry]\npublish = \"{0}/mirror\"\n\
                 mirrors = {{ \"{1}\" = \"{0}/mirror\" }}\nallowlist-only = true\n\
                 [mirror]\nsources = [\"{1}\"]\n[gate]\nrequire = [\"signature\"]\n[gate.rules]\n\
                 not-scanned = {{ severity = \"medium\", reason = \"r\", owner = \"o\", expires = \"2099-01-01\" }}\n",
                own.host, makers.host
            ),
        );
        let mirror = |line: &[&str]| {
            let mut karat = project.karat();
            karat.arg("mirror").args(line);
            karat
        };
        let tag = format!("docker://{}:v1", makers.place("golden/app"));
        let who = ["--key", "their.pub", "--owner", "team", "--ticket", "T-1"];
        let approve = [&["approve", &tag][..], &who].concat();
        assert_eq!(mirror(&approve).output().expect("karat").status.code(), Some(1));
        let mut sign = command(&cosign);
        sign.args(["sign", "--yes", "--key", "their.key", "--tlog-upload=false"])
            .args(["--use-signing-config=false", "--new-bundle-format=true"])
            .args(["--allow-http-registry", &reference])
            .env("COSIGN_PASSWORD", "x")
            .current_dir(project.path(""));
        succeed(&mut sign);
        succeed(&mut mirror(&approve));
        let ran = succeed(&mut mirror(&["run"]));
        assert!(ran.contains("copied"), "{ran}");
        let checked = succeed(&mut mirror(&["check"]));
        assert!(checked.starts_with("in-sync"), "{checked}");
        assert!(succeed(&mut mirror(&["run"])).contains("in-sync"));

        let copy = format!("{}@{}", own.place("mirror/golden/app"), layout.digest);
        succeed(command(&crane).args(["validate", "--remote", &copy]));
        for key in ["their.pub", "cosign.pub"] {
            let mut verify = command(&cosign);
            verify.args(["verify", "--insecure-ignore-tlog", "--allow-http-registry", "--key"]);
            succeed(verify.arg(project.path(key)).arg(&copy));
        }
        // What the registry lists below `publish` is found by its bill.
        let mut find = project.karat();
        let hash = sha256(&project.read("app"));
        let found = succeed(find.args(["fleet", "find", &hash, "--key", "cosign.pub"]));
        assert!(found.starts_with(&copy), "{found}");
        fs::remove_file(project.path("approved.lock.toml")).expect("approvals");
        fs::remove_file(project.path("karat-policy.toml")).expect("the policy");
    }
    Ok(())
}
pub(crate) fn what_cosign_signs_in_the_old_form_is_verified() -> Outcome {
    let cosign = program("cosign")?;
    let project = Project::of_a_c_program()?;
    project.key();
    let digest = project.build(&["--output", "oci:layout:v1"]);
    project.write("sbom.json", r#"{"spdxVersion":"SPDX-2.3"}"#);
    project.write("provenance.json", r#"{"buildDefinition":{}}"#);
    fs::create_dir_all(project.path("bases")).expect("a folder");
    for kind in [Kind::Debian, Kind::Distribution] {
        let registry = Registry::start(&project, kind, "")?;
        let place = registry.place("their/app");
        let push = |from: &str, to: &str| {
            succeed(project.karat().args(["push", from, &format!("docker://{place}:{to}")]));
        };
        push("oci:layout:v1", "v1");
        let reference = format!("{place}@{digest}");
        let cosign = |arguments: &[&str]| {
            let mut cosign = command(&cosign);
            cosign
                .args(arguments)
                .args(["--new-bundle-format=false", "--use-signing-config=false"]);
            cosign.args(["--tlog-upload=false", "--allow-http-registry", "--key", "cosign.key"]);
            cosign.arg(&reference).current_dir(project.path(""));
            succeed(cosign.env("COSIGN_PASSWORD", crate::project::PASSWORD));
        };
        let remote = format!("docker://{reference}");
        let verify = |further: &[&str]| {
            let mut karat = project.karat();
            karat.args(["verify", "--key", "cosign.pub"]).args(further);
            karat
        };
        let base = format!(
            "[base]\nkind = \"image\"\nplatforms = [\"linux/amd64\"]\n[image]\nreference = \"{remote}\"\nsigner = {{ key = \"cosign.pub\" }}\n"
        );
        project.write("bases/up.toml", &base);
        let cache = project.path(&format!("cache-{}", registry.host.replace(':', "-")));
        let lock = |line: &[&str]| {
            let mut karat = project.karat();
            karat.args(["base"]).args(line).env("KARAT_CACHE", &cache);
            karat
        };
        fail(&mut lock(&["lock", "up"]));
        fail(&mut verify(&[&remote]));
        cosign(&["sign", "--yes"]);
        succeed(&mut verify(&[&remote, "--require", "signature"]));
        let missing = verify(&[&remote]).output().expect("karat");
        let said = String::from_utf8_lossy(&missing.stdout).into_owned();
        assert_eq!(said.matches("MISSING").count(), 2, "{said}");
        succeed(&mut lock(&["lock", "up"]));
        cosign(&["attest", "--yes", "--type", "spdxjson", "--predicate", "sbom.json"]);
        cosign(&["attest", "--yes", "--type", "slsaprovenance1", "--predicate", "provenance.json"]);
        let verified = succeed(&mut verify(&[&remote]));
        assert!(verified.contains("accepted") && !verified.contains("MISSING"), "{verified}");
        let pulled = format!("pulled-{}", registry.host.replace(':', "-"));
        succeed(project.karat().args(["pull", &remote, &format!("oci:{pulled}")]));
        succeed(&mut verify(&[&format!("oci:{pulled}")]));
        drop(registry);
        succeed(&mut lock(&["verify", "up", "--offline"]));
        each_byte_of_the_old_form_counts(&project, &pulled, &digest);
        fs::remove_file(project.path("bases/up.lock.toml")).expect("the lock");
    }
    Ok(())
}

/// Changes what cosign has signed, with digests that are right again.
fn each_byte_of_the_old_form_counts(project: &Project, name: &str, digest: &str) {
    use crate::project::sha256;
    let layout = Layout::open(project.path(name), digest.to_owned());
    let store = |bytes: &[u8]| {
        let digest = sha256(bytes);
        let file = digest.trim_start_matches("sha256:");
        fs::write(layout.path.join("blobs/sha256").join(file), bytes).expect("a blob");
        (serde_json::Value::from(digest.as_str()), serde_json::Value::from(bytes.len()))
    };
    let verify = |index: &serde_json::Value| {
        project.write(&format!("{name}/index.json"), &index.to_string());
        let mut karat = project.karat();
        karat.args(["verify", "--key", "cosign.pub", &format!("oci:{name}")]);
        karat.output().expect("karat").status.code()
    };
    let entries = layout.index["manifests"].as_array().expect("manifests").len();
    assert_eq!(entries, 3, "the image, its signature and its attestations");
    for entry in 1..entries {
        let manifest = layout.document(&layout.index["manifests"][entry]);
        for number in 0..manifest["layers"].as_array().expect("layers").len() {
            let at = manifest["layers"][number]["digest"].as_str().expect("a digest").to_owned();
            let mut bytes = layout.blob(&at);
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            let (changed, size) = store(&bytes);
            let mut forged = manifest.clone();
            forged["layers"][number]["digest"] = changed;
            forged["layers"][number]["size"] = size;
            let mut index = layout.index.clone();
            let (changed, size) = store(forged.to_string().as_bytes());
            index["manifests"][entry]["digest"] = changed;
            index["manifests"][entry]["size"] = size;
            assert_eq!(verify(&index), Some(1), "layer {number} of entry {entry}");
        }
    }
    let mut index = layout.index.clone();
    index["manifests"][1]["annotations"]["org.opencontainers.image.ref.name"] =
        format!("sha256-{}.sig", "0".repeat(64)).into();
    assert_eq!(verify(&index), Some(1), "the signature of another image");
    assert_eq!(verify(&layout.index), Some(0));
}
