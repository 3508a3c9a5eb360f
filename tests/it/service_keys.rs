//! Keys that services keep. The transit engine here is a fake that does what Vault's and OpenBao's
//! documentation says, with a real key; the plugin is a script that answers by the protocol of
//! sigstore's, with answers made before.

use crate::support::registry::{Registry, Ways};
use crate::support::server::{Asked, Reply, Server};
use crate::support::{Karat, Output, PASSWORD, Project, day, keys};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karat::signature::PrivateKey;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;
use std::time::Instant;

const TOKEN: &str = "hvs.secret-of-the-tests";

fn key() -> PrivateKey {
    PrivateKey::from_encrypted_pem(&keys().0, PASSWORD.as_bytes()).expect("a key")
}

/// Signs as services do: the same bytes get another signature the next time. Of `(r, s)` and
/// `(r, -s)` both are right.
fn another_time(sha256: [u8; 32], der: &[u8]) -> Vec<u8> {
    static TIMES: Mutex<BTreeMap<[u8; 32], usize>> = Mutex::new(BTreeMap::new());
    let mut times = TIMES.lock().expect("the times");
    let times = times.entry(sha256).or_default();
    *times += 1;
    if times.is_multiple_of(2) {
        return der.to_vec();
    }
    let signature = p256::ecdsa::Signature::from_der(der).expect("a signature");
    let (r, s) = signature.split_scalars();
    let other = p256::ecdsa::Signature::from_scalars(*r, -*s).expect("a signature");
    other.to_der().as_bytes().to_vec()
}

/// What a transit engine with the key `release` answers.
fn transit(asked: &Asked) -> Reply {
    let json = |value: Value| Reply::new(200).json(value.to_string());
    if asked.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return Reply::new(403).json(r#"{"errors":["permission denied"]}"#);
    }
    match (asked.method.as_str(), asked.path()) {
        ("GET", "/v1/transit/keys/release") => json(json!({ "data": {
            "type": "ecdsa-p256", "latest_version": 3,
            "keys": { "2": { "public_key": "old" }, "3": { "public_key": keys().1 } },
        } })),
        ("GET", "/v1/transit/keys/rsa") => json(json!({ "data": {
            "type": "rsa-2048", "latest_version": 1, "keys": { "1": { "public_key": "x" } },
        } })),
        ("POST", "/v1/transit/sign/release/sha2-256") => {
            let body: Value = serde_json::from_slice(&asked.body).expect("JSON");
            assert_eq!(
                (&body["prehashed"], &body["marshaling_algorithm"]),
                (&json!(true), &json!("asn1"))
            );
            let input = STANDARD.decode(body["input"].as_str().expect("text")).expect("base64");
            let sha256: [u8; 32] = input.try_into().expect("a hash");
            let signature = another_time(sha256, &key().sign_sha256(&sha256).expect("signed"));
            let signature = format!("vault:v3:{}", STANDARD.encode(signature));
            json(json!({ "data": { "signature": signature } }))
        }
        _ => Reply::new(404).json(r#"{"errors":[]}"#),
    }
}

struct Site {
    project: Project,
    service: Server,
}

impl Site {
    fn new(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let project = Project::small().with_keys();
        project.write("weights", "not many");
        Self { project, service: Server::start(answer) }
    }

    fn karat(&self, line: &str) -> Karat {
        let args: Vec<_> = line.split_whitespace().collect();
        self.project
            .karat(&args)
            .env("KARAT_HTTP_TIMEOUT", "2")
            .env("KARAT_HTTP_RETRIES", "1")
            .env("HOME", self.project.outside())
    }

    /// Runs karat with the address and the token of the service. The token is never shown.
    #[track_caller]
    fn run(&self, family: &str, line: &str) -> Output {
        let address = format!("http://{}/", self.service.authority());
        let karat = self.karat(line).env(&format!("{family}_ADDR"), address);
        let output = karat.env(&format!("{family}_TOKEN"), TOKEN).run();
        assert!(!format!("{}{}", output.stdout, output.stderr).contains(TOKEN));
        output
    }
}

#[test]
fn keys_of_the_transit_engine_sign() {
    let site = Site::new(transit);
    for (family, scheme) in [("VAULT", "hashivault"), ("BAO", "openbao"), ("VAULT", "openbao")] {
        let key = format!("--key {scheme}://release");
        let public = site.run(family, &format!("key public {key}")).exits(0);
        assert_eq!(public.stdout, keys().1);
        site.run(family, &format!("sign weights --bundle out.json {key}")).exits(0);
        site.project.done("verify weights --bundle out.json --key cosign.pub");
        site.run(family, &format!("verify weights --bundle out.json {key}")).exits(0);
        let build = format!("build app.karat.toml --output oci:image --sign {scheme}://release");
        site.run(family, &build).exits(0).says(&["3 statements signed"]);
        site.project.done("verify oci:image --key cosign.pub");
        site.run(family, &format!("sign oci:image {key}")).exits(0).says(&["nothing was added"]);
        let old = format!("sign oci:image {key} --signature-format legacy");
        site.run(family, &old).exits(0).says(&["added 1"]);
        site.run(family, &old).exits(0).says(&["nothing was added"]);
        let verify = "verify oci:image --key cosign.pub --require signature --format json";
        let answer = site.project.done(verify).json();
        let candidates = &answer["verification"]["subjects"][0]["candidates"];
        let of_old_form = candidates.as_array().expect("candidates").iter();
        let taken = of_old_form.filter(|one| one["layer"].is_string() && one["refused"].is_null());
        assert_eq!(taken.count(), 1);
    }
    // The token that logging in leaves.
    fs::write(site.project.outside().join(".vault-token"), format!("{TOKEN}\n")).expect("a token");
    let address = format!("http://{}", site.service.authority());
    let karat = site.karat("key public --key hashivault://release").env("VAULT_ADDR", address);
    karat.run().exits(0);
}

#[test]
fn faults_of_the_service_are_told() {
    let site = Site::new(transit);
    site.karat("key public --key hashivault://release").run().exits(2).says(&["VAULT_ADDR"]);
    site.karat("key public --key openbao://release").run().exits(2).says(&["BAO_ADDR"]);
    let address = format!("http://{}", site.service.authority());
    let karat = || site.karat("key public --key hashivault://release");
    karat().env("VAULT_ADDR", &address).run().exits(2).says(&["VAULT_TOKEN"]);
    let wrong = karat().env("VAULT_ADDR", &address).env("VAULT_TOKEN", "wrong").run();
    wrong.exits(2).says(&["release", "403"]);
    let far = karat().env("VAULT_ADDR", "http://vault.example").env("VAULT_TOKEN", TOKEN).run();
    far.exits(2).says(&["without TLS"]);
    site.run("VAULT", "key public --key hashivault://absent").exits(2).says(&["absent", "404"]);
    site.run("VAULT", "key public --key hashivault://rsa")
        .exits(2)
        .says(&["rsa-2048", "ecdsa-p256"]);
    for name in ["", "../sys/seal", "a?b", "a%2f"] {
        let line = format!("key public --key hashivault://{name}");
        site.run("VAULT", &line).exits(2).says(&["no name of a key"]);
    }
    let down = Site::new(|_| Reply::new(503));
    down.run("VAULT", "key public --key hashivault://release").exits(3).says(&["503"]);
    let odd = Site::new(|_| Reply::new(200).json("[".repeat(100_000)));
    odd.run("VAULT", "key public --key hashivault://release")
        .exits(3)
        .says(&["cannot be understood"]);
}

#[test]
fn a_signature_by_another_key_is_thrown_away() {
    let other = PrivateKey::generate().expect("a key");
    let site = Site::new(move |asked| match asked.method.as_str() {
        "POST" => {
            let signature = STANDARD.encode(other.sign(b"x").expect("signed"));
            let answer = json!({ "data": { "signature": format!("vault:v1:{signature}") } });
            Reply::new(200).json(answer.to_string())
        }
        _ => transit(asked),
    });
    site.run("VAULT", "sign weights --bundle out.json --key hashivault://release")
        .exits(3)
        .says(&["signature"]);
    assert!(!site.project.path("out.json").exists());
    let line = "build app.karat.toml --output oci:image --sign hashivault://release";
    assert_ne!(site.run("VAULT", line).code, 0);
    assert!(!site.project.path("image").exists());
}

/// A project with a plugin on its path, a script with this body.
fn plugin(body: &str) -> Project {
    let project = Project::new().with_keys();
    project.write("weights", "not many");
    let script = project.write("bin/sigstore-kms-tests", format!("#!/bin/sh\n{body}\n"));
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).expect("executable");
    project
}

fn run(project: &Project, line: &str) -> Output {
    let args: Vec<_> = line.split_whitespace().collect();
    let path = format!("{}:/usr/bin:/bin", project.path("bin").display());
    project.karat(&args).env("PATH", path).run()
}

#[test]
fn plugins_of_sigstore_sign() {
    use sha2::Digest as _;
    let sha256: [u8; 32] = sha2::Sha256::digest(b"not many").into();
    let public = json!({ "publicKey": { "publicKeyPEM": STANDARD.encode(&keys().1) } });
    let signature = STANDARD.encode(key().sign_sha256(&sha256).expect("signed"));
    let signed = json!({ "signMessage": { "signature": signature } });
    // What it was asked stays, to be looked at. Its exit code means nothing.
    let project = plugin(&format!(
        "printf '%s\\n' \"$1\" \"$2\" >> asked\n\
         case \"$2\" in *'\"methodName\":\"publicKey\"'*) echo '{public}';; *) echo '{signed}';; esac\nexit 3"
    ));
    run(&project, "sign weights --bundle out.json --key tests://projects/p/keys/k").exits(0);
    project.done("verify weights --bundle out.json --key cosign.pub");
    let asked = String::from_utf8(project.read("asked")).expect("text");
    let asked: Vec<&str> = asked.lines().collect();
    assert_eq!((asked[0], asked[2]), ("v1", "v1"));
    let arguments: Value = serde_json::from_str(asked[3]).expect("JSON");
    assert_eq!(
        arguments["initOptions"],
        json!({ "protocolVersion": "v1", "keyResourceID": "projects/p/keys/k", "hashFunc": 5, "rpcOptions": {} })
    );
    let digest = &arguments["signMessage"]["signOptions"]["messageOptions"]["digest"];
    assert_eq!(*digest, json!(STANDARD.encode(sha256)));
}

#[test]
fn faults_of_a_plugin_are_told() {
    for (body, code, words) in [
        (r#"echo '{"errorMessage":"the token is locked"}'; exit 1"#, 2, "the token is locked"),
        ("echo nonsense", 3, "cannot be understood"),
        ("exit 0", 3, "cannot be understood"),
        ("echo '{}'", 3, "publicKeyPEM"),
        (r#"echo '{"publicKey":{"publicKeyPEM":"eA=="}}'"#, 2, "expected"),
        ("yes", 3, "more than 1 MiB"),
    ] {
        let project = plugin(body);
        let start = Instant::now();
        let output = run(&project, "sign weights --bundle out.json --key tests://k").exits(code);
        assert!(output.stderr.contains(words), "{body}: {}", output.stderr);
        assert!(start.elapsed().as_secs() < 20, "{body}");
    }
    let project = plugin("exit 0");
    run(&project, "key public --key absent://k").exits(2).says(&["sigstore-kms-absent", "PATH"]);
    for scheme in ["../tests", "T", ""] {
        run(&project, &format!("key public --key {scheme}://k")).exits(2).says(&["no kind of key"]);
    }
}

#[test]
fn a_second_build_with_another_signature_adds_nothing() {
    let registry = Registry::start(Ways { referrers: true, ..Ways::default() });
    let site = Site::new(transit);
    let host = registry.host();
    let policy = format!(
        "[policy]\nname = \"golden\"\n[gate.rules]\nnot-scanned = {{ severity = \"medium\", \
         reason = \"r\", owner = \"o\", expires = \"{}\" }}\n[registry]\npublish = \"{host}/golden\"\n",
        day(30)
    );
    site.project.write("karat-policy.toml", policy);
    let build = |line: &str| site.run("VAULT", &format!("build app.karat.toml --push {line}"));
    build("--sign hashivault://release --tag v1").exits(0).says(&["published"]);
    let held = registry.repository("golden/app");
    // Image, signature, provenance and SBOMs.
    assert!(held.manifests.len() >= 4, "{}", held.manifests.len());
    build("--sign hashivault://release --tag v2").exits(0);
    let again = registry.repository("golden/app");
    assert_eq!(
        again.manifests.keys().collect::<Vec<_>>(),
        held.manifests.keys().collect::<Vec<_>>()
    );
    assert!(again.tags.contains_key("v2"), "{:?}", again.tags);
    // What is not said yet is said with all of its evidence.
    let text = String::from_utf8(site.project.read("app.karat.toml")).expect("text");
    site.project.write("app.karat.toml", format!("{text}# reviewed again\n"));
    build("--sign hashivault://release --tag v3").exits(0);
    assert!(registry.repository("golden/app").manifests.len() > held.manifests.len());
}

#[test]
fn a_static_build_says_how_to_reach_keys_in_tokens() {
    let project = Project::small();
    for line in ["key public --key pkcs11:object=signer", "build --sign pkcs11:object=signer"] {
        project.run(line).exits(2).says(&["no keys in tokens", "--features pkcs11"]);
    }
    project.run("key public --key pkcs11:token=a").exits(2).says(&["names no key"]);
    let output = project.run("key public --key pkcs11:object=a?pin-value=648219").exits(2);
    output.says(&["COSIGN_PKCS11_PIN"]);
}
