//! Signatures in cosign's old form: a layer, and the annotations beside it.
#![no_main]

use karat::signature::PublicKey;
use karat::signature::legacy::{Form, image, verify};
use karat::signature::sigstore::{Content, Signer, TrustedRoot};
use karat_fuzz::{assert_shows, halves, mode, seeds};
use std::sync::OnceLock;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    static TRUST: OnceLock<(Signer, TrustedRoot)> = OnceLock::new();
    let (signer, root) = TRUST.get_or_init(|| {
        let key = PublicKey::from_pem(seeds::PUBLIC_KEY).expect("a key");
        (Signer::Key(key), TrustedRoot::public_good().expect("a root"))
    });
    let Some((mode, rest)) = mode(data) else { return };
    let (annotations, layer) = halves(rest);
    let Ok(annotations) = serde_json::from_slice(annotations) else { return };
    let form = if mode % 2 == 0 { Form::Signature } else { Form::Attestation };
    let subject = [0xab; 32];
    match verify(form, layer, &annotations, &subject, signer, root) {
        // Nobody has the private half, and a signature names the image.
        Ok(verified) => match verified.content {
            Content::Signature => assert_eq!(image(layer).expect("an image"), "ab".repeat(32)),
            Content::Statement(_) | Content::Artifact => {}
        },
        Err(refusal) => assert_shows(&refusal.to_string()),
    }
});
