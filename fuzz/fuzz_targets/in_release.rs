//! Clear-signed releases: the frame, the signatures' packets, and the text.
#![no_main]

use karat::base::debian::clear_sign::ClearSigned;
use karat::base::debian::{Keyring, Release};
use karat_fuzz::mode;
use std::sync::OnceLock;

fn keyring() -> &'static Keyring {
    static KEYRING: OnceLock<Keyring> = OnceLock::new();
    KEYRING.get_or_init(|| {
        let keys = include_bytes!("../../bases/keyrings/debian-archive.gpg");
        Keyring::parse(keys).expect("the project's keyring")
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = mode(data) else { return };
    match mode % 3 {
        0 => drop(Release::parse(rest)),
        1 => drop(Keyring::parse(rest)),
        _ => {
            let Ok(document) = ClearSigned::parse(rest) else { return };
            assert!(document.text.is_empty() || document.text.ends_with('\n'));
            let now = "2026-11-23T00:00:00Z".parse().expect("a moment");
            // Nobody has Debian's keys: nothing that is made here is signed by them.
            assert!(keyring().signers(&document, now).is_err());
        }
    }
});
