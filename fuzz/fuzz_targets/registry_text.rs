//! Texts that registries send, and files of credentials: challenges, links, addresses,
//! references, docker's configuration.
#![no_main]

use karat::http::{Access, HostPolicy, Method, Url};
use karat::oci::Reference;
use karat::registry::credentials::Config;
use karat::registry::{challenge, link};
use karat_fuzz::mode;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = mode(data) else { return };
    if mode % 5 == 4 {
        if let Ok(config) = Config::parse(rest) {
            let _ = config.find("reg.example", "team/app");
            let _ = config.find("docker.io", "library/app");
        }
        return;
    }
    let Ok(text) = std::str::from_utf8(rest) else { return };
    match mode % 5 {
        0 => {
            for one in challenge::parse(text) {
                if let challenge::Challenge::Bearer(bearer) = one {
                    assert!(!bearer.realm.is_empty());
                    let _ = Url::parse(&bearer.realm);
                }
            }
        }
        1 => {
            if let Some(target) = link::next(text) {
                assert!(text.contains(&format!("<{target}>")));
            }
        }
        2 => {
            let base =
                Url::parse("https://reg.example:5000/v2/a/blobs/uploads/?x=1").expect("plain");
            let Ok(url) = base.join(text) else { return };
            let shown = url.to_string();
            // What is shown is what is asked: another reader finds the same host in it.
            let (scheme, after) = shown.split_once("://").expect("a scheme");
            let authority = after.split('/').next().expect("a host");
            assert!(scheme == "https" || scheme == "http");
            assert_eq!(authority, url.origin().authority());
            assert!(!shown.contains(['@', '\\', '#', '?', ' ']) || !authority.contains('@'));
            assert!(!url.path().split('/').any(|part| part == ".."));
            // A policy that names one host lets no other through.
            let mut policy = HostPolicy::new();
            policy.allow("reg.example:5000", Access::READ).expect("a host");
            if policy.check(Method::Get, &url, true).is_ok() {
                assert_eq!(authority, "reg.example:5000");
                assert_eq!(scheme, "https");
            }
        }
        _ => {
            if let Ok(reference) = Reference::parse(text, |_| false) {
                let shown = reference.to_string();
                let again = Reference::parse(&shown, |_| false);
                assert_eq!(again.as_ref(), Ok(&reference), "{shown}");
            }
        }
    }
});
