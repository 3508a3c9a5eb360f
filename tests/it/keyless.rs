//! Signing without a key, where something is missing or wrong. The services here are fakes, for
//! faults that the real ones do not show; `tests/interop/keyless.rs` has the real ones.

use crate::support::server::{Asked, Reply, Server};
use crate::support::{Output, Project};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A token that holds from now for so many seconds, which may be less than none.
fn token(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock").as_secs();
    let expires = now.checked_add_signed(seconds).expect("a time");
    let claims =
        json!({ "iss": "https://issuer.example", "sub": "secret-subject", "exp": expires });
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part("{}"), part(&claims.to_string()), part("secret-signature"))
}

struct Site {
    project: Project,
    services: Server,
}

impl Site {
    fn new(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let site = Self { project: Project::new(), services: Server::start(answer) };
        site.project.write("file", "what is signed");
        site.project.write("token", token(600));
        site.config(&format!("http://{}", site.services.authority()));
        site
    }

    fn config(&self, place: &str) {
        let service = json!([{ "url": place, "majorApiVersion": 1, "operator": "o",
                               "validFor": { "start": "2024-01-01T00:00:00Z" } }]);
        let config = json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": service, "rekorTlogUrls": service, "tsaUrls": service,
        });
        self.project.write("config.json", config.to_string());
    }

    /// Signs the file with further arguments. Whatever happens, nothing of the token is shown, and
    /// no bundle is left that does not verify.
    #[track_caller]
    fn sign(&self, further: &str) -> Output {
        let line = format!("sign file --bundle out.json --signing-config config.json {further}");
        let args: Vec<_> = line.split_whitespace().collect();
        let output = self
            .project
            .karat(&args)
            .env("KARAT_HTTP_TIMEOUT", "2")
            .env("KARAT_HTTP_RETRIES", "2")
            .run();
        let shown = format!("{}{}", output.stdout, output.stderr);
        for part in String::from_utf8(self.project.read("token")).expect("text").split('.') {
            assert!(part.len() < 5 || !shown.contains(part), "{shown}");
        }
        assert!(!self.project.path("out.json").exists());
        output
    }
}

#[test]
fn without_a_token_nobody_is_asked() {
    let site = Site::new(|_| Reply::new(500));
    site.sign("--keyless").exits(2).says(&[
        "identity token",
        "--identity-token",
        "SIGSTORE_ID_TOKEN",
    ]);
    for (token, words) in [
        (token(-86_400), "expired 864"),
        (token(0), "expired 0 seconds ago, by the clock of this machine"),
        ("secret-token".to_owned(), "three parts"),
        ("a.c2VjcmV0.b".to_owned(), "`iss` and `exp`"),
        (String::new(), "three parts"),
    ] {
        site.project.write("token", token);
        site.sign("--keyless --identity-token token").exits(2).says(&[words]);
    }
    site.sign("--keyless --identity-token nowhere").exits(2).says(&["nowhere"]);
    assert_eq!(site.services.lines(), Vec::<String>::new());
    let args = ["sign", "file", "--bundle", "out.json", "--keyless"];
    let job = site.project.karat(&args).env("GITHUB_ACTIONS", "true").run();
    job.exits(2).says(&["id-token: write"]);
    let job = site.project.karat(&args).env("GITLAB_CI", "true").run();
    job.exits(2).says(&["id_tokens"]);
    let job = site
        .project
        .karat(&args)
        .env("ACTIONS_ID_TOKEN_REQUEST_URL", "http://elsewhere.example/token?x=1")
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "secret-request-token")
        .run();
    let job = job.exits(2);
    assert!(job.stderr.contains("without TLS"), "{}", job.stderr);
    assert!(!job.stderr.contains("secret-request-token"));
}

#[test]
fn what_does_not_go_together_is_refused() {
    let site = Site::new(|_| Reply::new(500));
    site.sign("").exits(2).says(&["--key"]);
    site.sign("--keyless --key cosign.key").exits(2).says(&["cannot be used with"]);
    site.sign("--key cosign.key").exits(2).says(&["without a key"]);
    site.config("http://elsewhere.example");
    site.sign("--keyless --identity-token token").exits(2).says(&["without TLS", "elsewhere"]);
    site.config("nonsense");
    site.sign("--keyless --identity-token token").exits(2).says(&["nonsense"]);
    for (text, words) in [("{", "signing configuration"), ("{\"a\":1,\"a\":1}", "twice")] {
        site.project.write("config.json", text);
        site.sign("--keyless --identity-token token").exits(2).says(&[words]);
    }
    let args = ["build", "file", "--sign", "keyless", "--offline"];
    site.project.karat(&args).run().exits(2).says(&["--offline"]);
    assert_eq!(site.services.lines(), Vec::<String>::new());
}

#[test]
fn patience_that_is_asked_for_is_had() {
    let asked = AtomicUsize::new(0);
    let site = Site::new(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Reply::new(429).header("retry-after", "0"),
        _ => Reply::new(400).json(r#"{"code":3,"message":"no such issuer\u001b[31m"}"#),
    });
    let output = site.sign("--keyless --identity-token token");
    let output = output.exits(2);
    for words in ["the certificate authority", "400", "no such issuer"] {
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
    assert!(!output.stderr.contains('\u{1b}'));
    assert_eq!(site.services.lines(), ["POST /api/v2/signingCert"; 3]);
}

#[test]
fn an_outage_is_no_fault_of_the_user() {
    let site = Site::new(|_| Reply::new(503));
    site.sign("--keyless --identity-token token").exits(3).says(&["503"]);
}

#[test]
fn what_the_authority_answers_is_not_believed() {
    let certificate = |text: &str| {
        json!({ "signedCertificateEmbeddedSct": { "chain": { "certificates": [text] } } })
            .to_string()
    };
    let pem = |inner: &str| {
        certificate(&format!("-----BEGIN CERTIFICATE-----\n{inner}\n-----END CERTIFICATE-----\n"))
    };
    let many = json!({ "signedCertificateEmbeddedSct": { "chain":
        { "certificates": vec!["x"; 11] } } });
    for (body, words) in [
        ("nonsense".to_owned(), "cannot be understood"),
        ("{}".to_owned(), "cannot be understood"),
        ("[".repeat(100_000), "cannot be understood"),
        (many.to_string(), "a chain of 11"),
        (certificate("nonsense"), "no PEM"),
        (pem("!!!!"), "cannot be understood"),
        (pem("MAA="), "certificate"),
        (" ".repeat(2 << 20), "the certificate authority"),
    ] {
        let site = Site::new(move |_| Reply::new(201).json(body.clone()));
        site.sign("--keyless --identity-token token").exits(3).says(&[words]);
        assert_eq!(site.services.lines(), ["POST /api/v2/signingCert"]);
    }
}
