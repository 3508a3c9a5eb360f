//! The client against a fake registry: what the command's tests cannot count.

#[path = "../../tests/it/support/registry.rs"]
mod fake;

use super::*;
use crate::http::tests::server;
use crate::http::{HostPolicy, Proxies, Retry, Settings, Timeouts, Tls};
use crate::oci::{Descriptor, Digest, MediaType};
use fake::{Ways, digest};
use server::{Asked, Reply};
use std::io::Read;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn clock() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

fn registries(host: &str, times: u32) -> Registries {
    let settings = Settings {
        offline: false,
        proxies: Proxies::default(),
        tls: Tls::default(),
        tls_of: BTreeMap::new(),
        timeouts: Timeouts::of(Duration::from_secs(5)),
        retry: Retry { times, pause: Duration::ZERO, longest: Duration::from_secs(1) },
        clock,
    };
    let mut policy = HostPolicy::new();
    policy.allow(host, Access::WRITE).unwrap();
    Registries::new(Client::new(settings, policy).unwrap(), Keyring::default())
}

fn open(registry: &fake::Registry, times: u32) -> Repository {
    registries(&registry.host(), times).open(&registry.host(), "a", Purpose::Push, None).unwrap()
}

/// Bytes in memory.
struct Memory(Vec<u8>);

impl Bytes for Memory {
    fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }

    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn open_at(&self, offset: u64) -> std::io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(&self.0[offset as usize..]))
    }
}

fn manifest_of(config: &[u8]) -> Document {
    let bytes = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{}","size":{}}},"layers":[]}}"#,
        MediaType::MANIFEST,
        digest(config),
        config.len()
    );
    let descriptor = Descriptor::of(MediaType::MANIFEST, bytes.as_bytes());
    Document { descriptor, bytes: bytes.into_bytes() }
}

#[test]
fn a_manifest_that_is_cut_at_any_byte_is_whole_or_not_there() {
    let manifest = manifest_of(b"{}");
    for cut in 0..=manifest.bytes.len() {
        let cuts = AtomicUsize::new(0);
        let registry = fake::Registry::cutting(
            Ways::default(),
            |_, _| None,
            move |asked: &Asked| {
                let first = asked.method == "PUT"
                    && asked.path().contains("/manifests/")
                    && cuts.fetch_add(1, Ordering::SeqCst) == 0;
                first.then_some(cut)
            },
        );
        let repository = open(&registry, 0);
        repository.put_blob(&Memory(b"{}".to_vec()), None).unwrap();
        registry.change("a", |held| drop(held.tags.insert("v1".to_owned(), "old".to_owned())));
        let error = repository.put("v1", &manifest).expect_err("it was cut");
        assert!(error.to_string().starts_with("PUT http://"), "{error}");
        let held = registry.repository("a");
        assert!(held.manifests.is_empty(), "cut at {cut}");
        assert_eq!(held.tags["v1"], "old");
        // Again, and it is there.
        repository.put("v1", &manifest).unwrap();
        assert_eq!(registry.repository("a").tags["v1"], manifest.descriptor.digest.to_string());
    }
}

#[test]
fn a_blob_that_is_cut_is_sent_in_a_new_session() {
    let blob = Memory((0..100_000_u32).map(|i| i as u8).collect());
    for cut in [0, 1, 50_000, 99_999, 100_000] {
        let cuts = AtomicUsize::new(0);
        let registry = fake::Registry::cutting(
            Ways::default(),
            |_, _| None,
            move |asked: &Asked| {
                let first = asked.method == "PUT" && cuts.fetch_add(1, Ordering::SeqCst) == 0;
                first.then_some(cut)
            },
        );
        assert_eq!(open(&registry, 1).put_blob(&blob, None).unwrap(), BlobSent::Uploaded);
        assert_eq!(registry.repository("a").blobs[&blob.digest().to_string()], blob.0);
        assert_eq!(open(&registry, 1).put_blob(&blob, None).unwrap(), BlobSent::Present);
    }
}

#[test]
fn large_blobs_go_in_chunks_and_a_broken_one_costs_one_chunk() {
    let blob = Memory(vec![7; (97 << 20) + 5]);
    let registry = fake::Registry::faulty(Ways::default(), |asked, before| {
        (asked.method == "PATCH" && before == 1).then(|| Reply::new(503))
    });
    assert_eq!(open(&registry, 2).put_blob(&blob, None).unwrap(), BlobSent::Uploaded);
    let log = registry.server.log();
    let ranges: Vec<_> = log.iter().filter_map(|asked| asked.header("content-range")).collect();
    let chunk = 32 << 20;
    let range = |number: usize| format!("{}-{}", number * chunk, (number + 1) * chunk - 1);
    assert_eq!(ranges, [range(0), range(1), range(1), range(2)]);
    assert!(log.iter().any(|asked| asked.method == "GET" && asked.path().contains("/uploads/")));
    assert_eq!(registry.repository("a").blobs[&blob.digest().to_string()].len(), blob.0.len());
}

#[test]
fn a_list_of_referrers_that_another_overwrites_is_written_again() {
    let config = b"{}";
    let subject = manifest_of(config);
    let fallback = fallback_tag(&subject.descriptor.digest);
    let path = format!("/v2/a/manifests/{fallback}");
    // The first two writes are lost: somebody else's list takes their place.
    let registry = fake::Registry::faulty(Ways::default(), move |asked, before| {
        (asked.method == "PUT" && asked.path() == path && before < 2).then(|| Reply::new(201))
    });
    let repository = open(&registry, 0);
    repository.put_blob(&Memory(config.to_vec()), None).unwrap();
    repository.put(&subject.descriptor.digest.to_string(), &subject).unwrap();
    let text = String::from_utf8(manifest_of(config).bytes).unwrap();
    let text = text.replace(
        "\"layers\":[]",
        &format!(
            r#""layers":[],"artifactType":"text/x","annotations":{{"k":"v"}},"subject":{{"mediaType":"{}","digest":"{}","size":{}}}"#,
            MediaType::MANIFEST, subject.descriptor.digest, subject.bytes.len()
        ),
    );
    let descriptor = Descriptor::of(MediaType::MANIFEST, text.as_bytes());
    let referrer = Document { descriptor, bytes: text.into_bytes() };
    repository.put_referrer(&referrer).unwrap();
    let listed = repository.referrers(&subject.descriptor.digest).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].artifact_type.as_ref().map(MediaType::as_str), Some("text/x"));
    assert_eq!(listed[0].annotations["k"], "v");
    // Once more: nothing is added twice.
    repository.put_referrer(&referrer).unwrap();
    assert_eq!(repository.referrers(&subject.descriptor.digest).unwrap().len(), 1);
}

#[test]
fn a_tag_that_is_taken_for_a_digest_is_no_list() {
    let config = b"{}";
    let subject = manifest_of(config);
    let registry = fake::Registry::start(Ways::default());
    let repository = open(&registry, 0);
    repository.put_blob(&Memory(config.to_vec()), None).unwrap();
    repository.put(&fallback_tag(&subject.descriptor.digest), &subject).unwrap();
    assert!(repository.referrers(&subject.descriptor.digest).unwrap().is_empty());
    let other = manifest_of(b"{} ");
    repository.put_blob(&Memory(b"{} ".to_vec()), None).unwrap();
    repository.put(&fallback_tag(&other.descriptor.digest), &subject).unwrap();
    let error = repository.referrers(&other.descriptor.digest).unwrap_err();
    assert!(error.to_string().contains("else than a list"), "{error}");
}

#[test]
fn lists_have_pages_and_an_end() {
    let host: &'static OnceLock<String> = Box::leak(Box::new(OnceLock::new()));
    let registry = fake::Registry::faulty(Ways::default(), move |asked, _| {
        let page = |tags: &str, next: &str| {
            Some(
                Reply::new(200)
                    .header("Link", format!("<{next}>; rel=\"next\""))
                    .json(format!(r#"{{"name":"x","tags":{tags}}}"#)),
            )
        };
        match (asked.path(), asked.query("last").as_deref()) {
            ("/v2/a/tags/list", None) => page(r#"["b","a"]"#, "/v2/a/tags/list?last=b"),
            ("/v2/a/tags/list", Some("b")) => {
                Some(Reply::new(200).json(r#"{"name":"x","tags":["c","bad tag"]}"#))
            }
            ("/v2/endless/tags/list", _) => page("null", "/v2/endless/tags/list?last=1"),
            ("/v2/away/tags/list", _) => page("[]", "http://169.254.169.254/v2/"),
            _ => None,
        }
    });
    host.set(registry.host()).unwrap();
    let all = registries(&registry.host(), 0);
    let tags = |name: &str| all.open(&registry.host(), name, Purpose::Pull, None).unwrap().tags();
    assert_eq!(tags("a").unwrap(), ["a", "b", "c"]);
    assert!(matches!(tags("endless"), Err(RegistryError::Endless(_))));
    assert!(tags("away").unwrap_err().to_string().contains("another host"));
}

#[test]
fn a_token_is_asked_for_once_and_for_what_is_needed() {
    let host: &'static OnceLock<String> = Box::leak(Box::new(OnceLock::new()));
    let asked_for = |asked: &Asked| asked.query("scope");
    let registry = fake::Registry::faulty(Ways::default(), move |asked, _| {
        if asked.path() == "/token" {
            return Some(Reply::new(200).json(r#"{"access_token":"t0ken"}"#));
        }
        if asked.header("authorization") == Some("Bearer t0ken") {
            return None;
        }
        let realm = format!("http://{}/token?a=b", host.get().map_or("", |host| &host[..]));
        let challenge = format!(r#"Bearer realm="{realm}",service="s p""#);
        Some(Reply::new(401).header("WWW-Authenticate", challenge))
    });
    host.set(registry.host()).unwrap();
    let all = registries(&registry.host(), 0);
    let repository = all.open(&registry.host(), "a", Purpose::Push, Some("b")).unwrap();
    repository.put_blob(&Memory(b"{}".to_vec()), Some("b")).unwrap();
    let log = registry.server.log();
    let tokens: Vec<_> = log.iter().filter(|asked| asked.path() == "/token").collect();
    assert_eq!(tokens.len(), 1);
    assert!(tokens[0].target.contains("service=s%20p"));
    assert!(tokens[0].target.contains("repository%3Ab%3Apull"), "{}", tokens[0].target);
    assert_eq!(asked_for(tokens[0]).as_deref(), Some("repository:a:pull%2Cpush"));
}
