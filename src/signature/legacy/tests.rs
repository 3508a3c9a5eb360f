use super::super::test_keys::{COSIGN_KEY, COSIGN_PASSWORD, COSIGN_PUB, PKCS8};
use super::super::{PrivateKey, PublicKey};
use super::*;

const SUBJECT: [u8; 32] = [0xab; 32];

fn key() -> PrivateKey {
    PrivateKey::from_encrypted_pem(COSIGN_KEY, COSIGN_PASSWORD).unwrap()
}

/// What cosign 3.1.2 signs, with a space for each test to put something into.
fn payload(digest: &str, further: &str) -> String {
    format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"reg.example/app"}},"image":{{"docker-manifest-digest":"{digest}"{further}}},"type":"cosign container image signature"}},"optional":null}}"#
    )
}

fn subject() -> String {
    format!("sha256:{}", hex(&SUBJECT))
}

fn signed(payload: &str, key: &PrivateKey) -> BTreeMap<String, String> {
    let signature = STANDARD.encode(key.sign(payload.as_bytes()).unwrap());
    BTreeMap::from([(SIGNATURE.to_owned(), signature)])
}

fn judge(
    form: Form,
    layer: &str,
    annotations: &BTreeMap<String, String>,
) -> Result<Verified, Refusal> {
    let signer = Signer::Key(PublicKey::from_pem(COSIGN_PUB).unwrap());
    let root = TrustedRoot::public_good().unwrap();
    verify(form, layer.as_bytes(), annotations, &SUBJECT, &signer, &root)
}

#[test]
fn a_signature_over_the_document_of_the_image_counts() {
    let document = payload(&subject(), "");
    let verified = judge(Form::Signature, &document, &signed(&document, &key())).unwrap();
    assert!(matches!(verified.content, Content::Signature));
    assert!(!verified.logged && verified.certified.is_none() && verified.times.is_empty());
    // The specification writes the name in another way, and Go reads both.
    let upper = document.replace("docker-manifest-digest", "Docker-manifest-digest");
    judge(Form::Signature, &upper, &signed(&upper, &key())).unwrap();
}

#[test]
fn what_is_wrong_with_a_document_is_refused_although_it_is_signed() {
    let digest = subject();
    let good = payload(&digest, "");
    let other = format!("sha256:{}", "0".repeat(64));
    let cases: Vec<(String, Reason, &str)> = vec![
        (payload(&other, ""), Reason::Artifact, "another image"),
        (good.replace("cosign container", "atomic container"), Reason::Unsupported, "atomic"),
        (good.replace(r#""type""#, r#""kind""#), Reason::Bundle, "no `type`"),
        (
            payload(&other, &format!(r#","docker-manifest-digest":"{digest}""#)),
            Reason::Bundle,
            "twice",
        ),
        (
            payload(&other, &format!(r#","Docker-Manifest-Digest":"{digest}""#)),
            Reason::Bundle,
            "more than one",
        ),
        (
            payload(&digest, &format!(r#","docker-manife\u017ft-digest":"{other}""#)),
            Reason::Bundle,
            "no plain letters",
        ),
        (payload(&digest.to_uppercase(), ""), Reason::Bundle, "no image"),
        (payload(&digest[..70], ""), Reason::Bundle, "no image"),
        (payload(&digest.replace("sha256", "sha512"), ""), Reason::Bundle, "no image"),
        (good.replace(&format!("\"{digest}\""), "17"), Reason::Bundle, "no text"),
        (good.replace("null}", "null}{}"), Reason::Bundle, "signed document"),
        ("[]".to_owned(), Reason::Bundle, "signed document"),
        (good.replace("null", &"[".repeat(100)), Reason::Bundle, "deeper"),
        (
            good.replace("null", &format!("\"{}\"", "x".repeat(MAX_PAYLOAD))),
            Reason::Bundle,
            "larger",
        ),
    ];
    for (document, reason, says) in cases {
        let refused = judge(Form::Signature, &document, &signed(&document, &key())).unwrap_err();
        assert_eq!(refused.reason, reason, "{document:.400}: {refused}");
        assert!(refused.to_string().contains(says), "{document:.400}: {refused}");
    }
}

#[test]
fn what_is_wrong_with_a_signature_is_refused() {
    let document = payload(&subject(), "");
    let good = signed(&document, &key());
    let other = PrivateKey::from_unencrypted_pem(PKCS8).unwrap();
    let with = |name: &str, value: &str| {
        let mut changed = good.clone();
        changed.insert(name.to_owned(), value.to_owned());
        changed
    };
    let certificate = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let body = STANDARD.encode(r#"{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{}}"#);
    let log = "c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d";
    let entry = |body: &str, log: &str, further: &str| {
        format!(
            r#"{{"SignedEntryTimestamp":"MAA=","Payload":{{"body":"{body}","integratedTime":1700000000,"logIndex":7,"logID":"{log}"{further}}}}}"#
        )
    };
    let cases: Vec<(BTreeMap<String, String>, &[Reason])> = vec![
        (BTreeMap::new(), &[Reason::Signature]),
        (with(SIGNATURE, ""), &[Reason::Signature, Reason::Bundle]),
        (with(SIGNATURE, "bm8"), &[Reason::Bundle]),
        (signed(&document, &other), &[Reason::Signature]),
        (signed(&document.replace("null", "{}"), &key()), &[Reason::Signature]),
        (with(CERTIFICATE, certificate), &[Reason::Key]),
        (with(CERTIFICATE, &certificate.repeat(2)), &[Reason::Certificate]),
        (with(CERTIFICATE, "no certificate"), &[Reason::Certificate]),
        (with(ENTRY, "{}"), &[Reason::Bundle]),
        (with(ENTRY, &entry(&body, log, "")), &[Reason::InclusionPromise, Reason::UnknownLog]),
        (with(ENTRY, &entry(&body, &log[1..], "")), &[Reason::LogEntry]),
        (with(ENTRY, &entry(&body, log, r#","logIndex":8"#)), &[Reason::Bundle]),
        (with(ENTRY, &entry("e30=", log, "")), &[Reason::Bundle]),
        (with(ENTRY, &entry("!", log, "")), &[Reason::Bundle]),
        (with(TIMESTAMP, r#"{"SignedRFC3161Timestamp":"MAA="}"#), &[Reason::Timestamp]),
        (with(TIMESTAMP, r#"{"SignedRFC3161Timestamp":"MAA=","x":1}"#), &[Reason::Bundle]),
    ];
    for (annotations, reasons) in cases {
        let refused = judge(Form::Signature, &document, &annotations).unwrap_err();
        assert!(reasons.contains(&refused.reason), "{annotations:?}: {refused:?}");
    }
    judge(Form::Signature, &document, &good).unwrap();
}

#[test]
fn a_key_is_no_identity() {
    let document = payload(&subject(), "");
    let signer = Signer::Identity(sigstore::Identity::exact("a@b.example", "https://c.example"));
    let root = TrustedRoot::public_good().unwrap();
    let annotations = signed(&document, &key());
    let form = Form::Signature;
    let refused = verify(form, document.as_bytes(), &annotations, &SUBJECT, &signer, &root);
    assert_eq!(refused.unwrap_err().reason, Reason::Key);
}

#[test]
fn an_attestation_is_its_envelope() {
    let statement = |subject: &str| {
        format!(
            r#"{{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","subject":[{{"name":"reg.example/app","digest":{{"sha256":"{subject}"}}}}],"predicate":{{}}}}"#
        )
    };
    let envelope = |kind: &str, statement: &str| {
        let made = Envelope::sign(kind, statement.as_bytes(), &key()).unwrap();
        String::from_utf8(made.to_json().unwrap()).unwrap()
    };
    const KIND: &str = "application/vnd.in-toto+json";
    let empty = BTreeMap::from([(SIGNATURE.to_owned(), String::new())]);
    let good = envelope(KIND, &statement(&hex(&SUBJECT)));
    let verified = judge(Form::Attestation, &good, &empty).unwrap();
    let Content::Statement(bytes) = verified.content else { panic!("no statement") };
    assert_eq!(bytes.as_bytes(), statement(&hex(&SUBJECT)).as_bytes());
    judge(Form::Attestation, &good, &BTreeMap::new()).unwrap();
    // cosign writes an empty name of the key.
    judge(Form::Attestation, &good.replace("{\"sig\"", "{\"keyid\":\"\",\"sig\""), &empty).unwrap();

    let signature = BTreeMap::from([(SIGNATURE.to_owned(), "MAA=".to_owned())]);
    let sig = good.split_once("\"signatures\":[").unwrap().1.split_once(']').unwrap().0;
    for (layer, annotations, reason) in [
        (envelope(KIND, &statement(&"0".repeat(64))), &empty, Reason::Artifact),
        (envelope("application/json", &statement(&hex(&SUBJECT))), &empty, Reason::Unsupported),
        (envelope(KIND, "{}"), &empty, Reason::Bundle),
        (good.replace(sig, &format!("{sig},{sig}")), &empty, Reason::Bundle),
        (good.replace(sig, ""), &empty, Reason::Bundle),
        (
            good.replace("\"signatures\"", "\"signatures\":[],\"signatures\""),
            &empty,
            Reason::Bundle,
        ),
        (good.clone(), &signature, Reason::Bundle),
        // The document of a signature is none of an attestation, and the other way round.
        (payload(&subject(), ""), &signed(&payload(&subject(), ""), &key()), Reason::Bundle),
    ] {
        let refused = judge(Form::Attestation, &layer, annotations).unwrap_err();
        assert_eq!(refused.reason, reason, "{layer:.300}: {refused}");
    }
    let annotations = signed(&good, &key());
    assert_eq!(judge(Form::Signature, &good, &annotations).unwrap_err().reason, Reason::Bundle);
    assert_eq!(Form::of("application/json"), None);
}
