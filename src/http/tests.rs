//! The client against a server that misbehaves.

#[expect(dead_code, reason = "the command's tests use all of it")]
#[path = "../../tests/it/support/server.rs"]
pub(crate) mod server;

use super::*;
use server::{Reply, Server};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

fn clock() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

fn settings() -> Settings {
    Settings {
        offline: false,
        proxies: Proxies::default(),
        tls: Tls::default(),
        tls_of: BTreeMap::new(),
        timeouts: Timeouts::of(Duration::from_millis(400)),
        retry: Retry { times: 2, pause: Duration::from_millis(1), longest: Duration::from_secs(2) },
        clock,
    }
}

fn client_of(servers: &[&Server], settings: Settings) -> Client {
    let mut policy = HostPolicy::new();
    for server in servers {
        policy.allow(&server.authority(), Access::WRITE).unwrap();
    }
    Client::new(settings, policy).unwrap()
}

fn url(server: &Server, path: &str) -> Url {
    Origin::new(Scheme::Http, &server.authority()).unwrap().at(path).unwrap()
}

/// Counts the calls of a handler.
fn counted(reply: impl Fn(usize, &server::Asked) -> Reply + Send + Sync + 'static) -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |asked| reply(count.fetch_add(1, Ordering::SeqCst), asked))
}

#[test]
fn a_document_is_read_and_the_connection_kept() {
    let server = Server::start(|_| Reply::new(200).json("{}"));
    let client = client_of(&[&server], settings());
    for _ in 0..3 {
        assert_eq!(client.document(&url(&server, "/x"), 10).unwrap(), b"{}");
    }
    assert_eq!(server.lines(), ["GET /x", "GET /x", "GET /x"]);
    assert_eq!(
        server.log()[0].header("user-agent"),
        Some(concat!("karat/", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn nothing_is_sent_offline_or_to_hosts_that_nobody_named() {
    let server = Server::start(|_| Reply::new(200));
    let offline = client_of(&[&server], Settings { offline: true, ..settings() });
    let error = offline.document(&url(&server, "/x"), 10).unwrap_err();
    assert!(matches!(error.fault, Fault::Offline), "{error}");
    let other = client_of(&[], settings());
    let error = other.document(&url(&server, "/x?secret=1"), 10).unwrap_err();
    assert!(matches!(error.fault, Fault::Refused(Refused::Host(_))), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(server.lines().is_empty());
}

#[test]
fn moments_pass_and_refusals_do_not() {
    let server = counted(|number, _| match number {
        0 => Reply::new(503),
        1 => Reply::new(429).header("Retry-After", "1"),
        _ => Reply::new(200).body("ok"),
    });
    let client = client_of(&[&server], settings());
    let start = clock();
    assert_eq!(client.document(&url(&server, "/x"), 10).unwrap(), b"ok");
    assert!(clock() - start >= Duration::from_secs(1), "Retry-After was not obeyed");

    let server = Server::start(|_| {
        Reply::new(403).json(r#"{"errors":[{"code":"DENIED","message":"not you"}]}"#)
    });
    let client = client_of(&[&server], settings());
    let error = client.document(&url(&server, "/x"), 10).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("GET http://127.0.0.1:"), "{text}");
    assert!(text.ends_with("/x: status 403 Forbidden: DENIED: not you"), "{text}");
    assert_eq!(server.lines().len(), 1);

    let server = Server::start(|_| Reply::new(429).header("Retry-After", "3600"));
    let client = client_of(&[&server], settings());
    assert_eq!(client.document(&url(&server, "/x"), 10).unwrap_err().status(), Some(429));
    assert_eq!(server.lines().len(), 1, "an hour is not waited for");
}

#[test]
fn dead_slow_and_lying_peers_are_noticed() {
    type Case = (&'static str, Reply, fn(&Fault) -> bool);
    let cases: [Case; 7] = [
        ("hangs", Reply { hang: Some(Duration::from_secs(5)), ..Reply::new(200) }, |fault| {
            matches!(fault, Fault::Timeout(_))
        }),
        (
            "drips",
            Reply { drip: Some(Duration::from_millis(50)), ..Reply::new(200).body([b'x'; 200]) },
            |fault| matches!(fault, Fault::Slow(_)),
        ),
        (
            "says more than it gives",
            Reply { says_length: Some(90), ..Reply::new(200).body("short") },
            |fault| matches!(fault, Fault::Broken(_)),
        ),
        ("is cut", Reply { cut: Some(2), ..Reply::new(200).body("12345") }, |fault| {
            matches!(fault, Fault::Broken(_))
        }),
        ("is long", Reply::new(200).body([0; 300]), |fault| matches!(fault, Fault::Long(200))),
        ("is no HTTP", Reply { raw: Some(b"SSH-2.0-x\r\n".to_vec()), ..Reply::new(0) }, |fault| {
            matches!(fault, Fault::Broken(_))
        }),
        (
            "is a page",
            Reply::new(200).header("Content-Type", "text/html; charset=utf-8").body("<html>"),
            |fault| matches!(fault, Fault::WebPage),
        ),
    ];
    for (name, reply, expected) in cases {
        let server = Server::start(move |_| reply.clone());
        let retry = Retry { times: 0, ..settings().retry };
        let timeouts = Timeouts::of(Duration::from_millis(200));
        let client = client_of(&[&server], Settings { retry, timeouts, ..settings() });
        let start = clock();
        let error = client.document(&url(&server, "/x"), 200).unwrap_err();
        assert!(expected(&error.fault), "{name}: {error}");
        assert!(clock() - start < Duration::from_secs(4), "{name} took too long");
    }
}

#[test]
fn a_closed_port_is_no_connection() {
    let server = Server::start(|_| Reply::new(200));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut policy = HostPolicy::new();
    policy.allow(&closed.to_string(), Access::READ).unwrap();
    let client = client_of(&[&server], settings()).with_policy(policy);
    let origin = Origin::new(Scheme::Http, &closed.to_string()).unwrap();
    let error = client.document(&origin.at("/").unwrap(), 1).unwrap_err();
    assert!(matches!(error.fault, Fault::Connect(_)), "{error}");
}

#[test]
fn a_server_that_speaks_no_tls_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut hello = [0; 64];
            let _ = stream.read(&mut hello);
            let _ = stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n");
        }
    });
    let mut policy = HostPolicy::new();
    policy.allow(&address, Access::READ).unwrap();
    let client = Client::new(settings(), policy).unwrap();
    let origin = Origin::new(Scheme::Https, &address).unwrap();
    let error = client.document(&origin.at("/").unwrap(), 1).unwrap_err();
    assert!(matches!(error.fault, Fault::Tls(_)), "{error}");
}

#[test]
fn redirects_are_followed_where_the_policy_says_and_without_credentials() {
    let store = Server::start(|_| Reply::new(200).body("blob"));
    let place = format!("http://{}/blob?signature=s3cret", store.authority());
    let registry = Server::start(move |_| Reply::new(307).header("Location", &place));
    let secret = Secret::new("Bearer t0ken");
    let ask = |client: &Client| {
        let request = Request::get(url(&registry, "/v2/x")).authorized(Some(&secret));
        client.follow(&request)
    };
    let both = client_of(&[&registry, &store], settings());
    assert_eq!(ask(&both).unwrap().bytes(10).unwrap(), b"blob");
    assert_eq!(registry.log()[0].header("authorization"), Some("Bearer t0ken"));
    assert_eq!(store.log()[0].header("authorization"), None);
    assert_eq!(store.log()[0].query("signature").as_deref(), Some("s3cret"));

    let alone = client_of(&[&registry], settings());
    let Err(error) = ask(&alone) else { panic!("followed") };
    assert!(matches!(error.fault, Fault::RefusedRedirect { .. }), "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
    assert_eq!(store.lines().len(), 1);
}

#[test]
fn bad_redirects_are_faults() {
    for (location, expected) in [
        (Some("/again"), "more than 5 times"),
        (Some("http://user:pw@127.0.0.1/"), "a user name or a password"),
        (Some("/v2/../../x"), "upwards"),
        (Some("file:///etc/passwd"), "does not begin"),
        (None, "without an address"),
    ] {
        let server = Server::start(move |_| match location {
            Some(location) => Reply::new(302).header("Location", location),
            None => Reply::new(302),
        });
        let client = client_of(&[&server], settings());
        let error = client.document(&url(&server, "/x"), 1).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_download_goes_on_where_it_broke_off() {
    let whole: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
    // With ranges, without, and with a wrong one.
    for ranges in [true, false] {
        let bytes = whole.clone();
        let server = counted(move |number, asked| {
            let from = asked.header("range").and_then(|range| {
                range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok()
            });
            let (status, from) = if ranges { (206, from) } else { (200, None) };
            let part = bytes[from.unwrap_or(0)..].to_vec();
            let cut = (number < 2).then_some(70_000);
            let reply = Reply { cut, ..Reply::new(if from.is_some() { status } else { 200 }) };
            let end = bytes.len() - 1;
            reply
                .header("Content-Range", format!("bytes {}-{end}/{}", from.unwrap_or(0), end + 1))
                .body(part)
        });
        let client = client_of(&[&server], settings());
        let mut read = Vec::new();
        client.download(&url(&server, "/blob")).unwrap().read_to_end(&mut read).unwrap();
        assert!(read == whole, "{} bytes", read.len());
        assert_eq!(server.lines().len(), 3);
    }
    let server = counted(|number, _| match number {
        0 => Reply { cut: Some(3), ..Reply::new(200).body("abcdef") },
        _ => Reply::new(206).header("Content-Range", "bytes 0-5/6").body("abcdef"),
    });
    let client = client_of(&[&server], settings());
    let mut download = client.download(&url(&server, "/blob")).unwrap();
    let error = download.read_to_end(&mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("another range"), "{error}");
}

/// Bytes, or a file that is gone.
impl Source for Option<Vec<u8>> {
    fn open(&self) -> std::io::Result<Box<dyn std::io::Read + Send + '_>> {
        match self {
            Some(bytes) => Ok(Box::new(&bytes[..])),
            None => Err(std::io::ErrorKind::NotFound.into()),
        }
    }
}

#[test]
fn what_is_sent_is_sent_again_from_its_start() {
    let server = counted(|number, _| Reply::new(if number == 0 { 500 } else { 201 }));
    let client = client_of(&[&server], settings());
    let bytes = Some(vec![7_u8; 300_000]);
    let body = Body::Stream { source: &bytes, size: 300_000 };
    let request = Request::new(Method::Put, url(&server, "/up")).body(body);
    assert_eq!(client.retried(&request).unwrap().status(), 201);
    assert!(server.log().iter().all(|asked| Some(&asked.body) == bytes.as_ref()));
    let body = Body::Stream { source: &None, size: 5 };
    let request = Request::new(Method::Put, url(&server, "/up")).body(body);
    let Err(error) = client.retried(&request) else { panic!("sent") };
    assert!(matches!(error.fault, Fault::Source(_)), "{error}");
}

#[test]
fn proxies_that_cannot_be_used_are_refused() {
    for proxy in ["socks5://127.0.0.1:1080", "http://", "http://a b"] {
        let proxies = Proxies { https: Some(proxy.to_owned()), ..Proxies::default() };
        let made = Client::new(Settings { proxies, ..settings() }, HostPolicy::new());
        assert_eq!(made.err(), Some(SetupError::Proxy("HTTPS_PROXY")), "{proxy}");
    }
}
