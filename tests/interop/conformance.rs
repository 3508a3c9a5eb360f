//! The bundles of sigstore's own conformance suite: each is taken or refused as its name says,
//! and refused for what it is about.

use crate::support::{Outcome, account, command, corpus, finish};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The identity and issuer of the suite's bundles, where a case names no others.
const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// Every case that must be refused, with the word for what is wrong with it; `-` where the root of
/// trust itself cannot be used, which is no judgement on the bundle.
const REFUSED: [(&str, &str); 33] = [
    // It needs a log entry with a checkpoint before a certificate is looked at.
    ("bundle-empty-certificate-chain_fail", "bundle"),
    ("bundle-from-wrong-instance_fail", "inclusion-promise"),
    ("bundle-invalid-base64-signature_fail", "bundle"),
    ("bundle-malformed-json_fail", "bundle"),
    ("bundle-negative-log-index_fail", "bundle"),
    ("bundle-unknown-version_fail", "bundle"),
    ("checkpoint-bad-keyhint_fail", "checkpoint"),
    ("dsse-invalid-sig_fail", "signature"),
    ("dsse-mismatch-envelope_fail", "log-entry"),
    ("incorrect-public-key_fail", "inclusion-promise"),
    // The time is in the past by now, and behind the end of the certificate.
    ("integrated-time-in-future_fail", "certificate"),
    ("intoto-expired-certificate_fail", "certificate"),
    ("intoto-log-entry-mismatch_fail", "log-entry"),
    ("intoto-missing-inclusion-proof_fail", "bundle"),
    ("intoto-set-outside-signing-cert-validity_fail", "certificate"),
    ("invalid-checkpoint-signature_fail", "checkpoint"),
    ("invalid-inclusion-proof_fail", "bundle"),
    ("managed-key-no-key_fail", "key"),
    ("rekor2-checkpoint-missing-log-signature_fail", "bundle"),
    ("rekor2-checkpoint-missing-origin_fail", "bundle"),
    ("rekor2-checkpoint-missing-root-hash_fail", "bundle"),
    ("rekor2-checkpoint-no-matching-signature_fail", "checkpoint"),
    ("rekor2-dsse-invalid-sig_fail", "signature"),
    ("rekor2-dsse-mismatch-sig_fail", "log-entry"),
    ("rekor2-no-inclusion-proof_fail", "bundle"),
    ("rekor2-timestamp-outside-trust-root-tsa-validity_fail", "timestamp"),
    ("rekor2-timestamp-outside-tsa-cert-validity_fail", "timestamp"),
    ("rekor2-timestamp-untrusted-tsa-without-embedded-cert_fail", "timestamp"),
    // Its base64 is broken into lines; the next test joins them.
    ("rekor2-timestamp-with-incorrect-time_fail", "bundle"),
    ("signature-mismatch_fail", "signature"),
    ("trust-root-tlog-missing-validity-start_fail", "-"),
    ("wrong-hashedrekord-artifact_fail", "artifact"),
    ("wrong-hashedrekord-entry_fail", "artifact"),
];
/// How many cases must be taken.
const TAKEN: usize = 15;

pub(crate) fn every_bundle_is_judged_as_its_name_says() -> Outcome {
    let folder = corpus("sigstore-conformance")?;
    let expected: BTreeMap<&str, &str> = REFUSED.into();
    let mut names: Vec<String> = fs::read_dir(&folder)
        .expect("the corpus")
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    let mut wrong = Vec::new();
    let mut taken = 0;
    for name in &names {
        let case = folder.join(name);
        let (code, answer) = judge(&folder, &case, &case.join("bundle.sigstore.json"));
        let reason = answer["reason"].as_str().unwrap_or("-");
        let right = match (name.ends_with("_fail"), expected.get(name.as_str())) {
            (false, None) => {
                taken += 1;
                code == 0 && answer["verdict"] == "accepted"
            }
            (true, Some(&"-")) => {
                code == 2 && answer["message"].to_string().contains("root of trust")
            }
            (true, Some(expected)) => code == 1 && reason == *expected,
            _ => false,
        };
        if !right {
            wrong.push(format!("{name}: exit code {code}: {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((names.len(), taken), (REFUSED.len() + TAKEN, TAKEN));
    Ok(())
}

pub(crate) fn a_bundle_signed_after_its_certificate_is_refused_for_that() -> Outcome {
    let folder = corpus("sigstore-conformance")?;
    let case = folder.join("rekor2-timestamp-with-incorrect-time_fail");
    let text = fs::read_to_string(case.join("bundle.sigstore.json")).expect("the bundle");
    let own = tempfile::tempdir().expect("a folder");
    let mended = own.path().join("bundle.json");
    let mut bundle: Value = serde_json::from_str(&text).expect("JSON");
    let token = bundle
        .pointer_mut(
            "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp",
        )
        .expect("the timestamp");
    *token = token.as_str().expect("base64").replace('\n', "").into();
    fs::write(&mended, bundle.to_string()).expect("a copy");
    let (code, answer) = judge(&folder, &case, &mended);
    assert_eq!((code, answer["reason"].as_str()), (1, Some("certificate")), "{answer}");
    Ok(())
}

/// Asks karat for its judgement on a bundle of a case.
fn judge(folder: &Path, case: &Path, bundle: &Path) -> (i32, Value) {
    let own = |name: &str| Some(case.join(name)).filter(|path| path.is_file());
    let text = |name: &str, default: &str| match own(name) {
        Some(path) => fs::read_to_string(path).expect(name).trim().to_owned(),
        None => default.to_owned(),
    };
    let mut karat = command(env!("CARGO_BIN_EXE_karat"));
    karat.args(["verify", "--format", "json"]);
    karat.arg(own("artifact").unwrap_or_else(|| folder.join("a.txt")));
    karat.arg("--bundle").arg(bundle);
    if let Some(root) = own("trusted_root.json") {
        karat.arg("--trusted-root").arg(root);
    }
    match own("key.pub") {
        Some(key) => karat.arg("--key").arg(key),
        None => karat.args([
            "--identity",
            &text("identity", IDENTITY),
            "--issuer",
            &text("issuer", ISSUER),
        ]),
    };
    let output = finish(&mut karat);
    let answer = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", account(&karat, &output)));
    (output.status.code().expect("an exit code"), answer)
}

/// Reads the bundle of a case.
fn bundle(folder: &Path, case: &str) -> Value {
    let bytes = fs::read(folder.join(case).join("bundle.sigstore.json")).expect("the bundle");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// Writes the log entry of a bundle as cosign's annotation had it.
fn entry(bundle: &Value) -> Value {
    let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
    let text = |path: &str| entry.pointer(path).and_then(Value::as_str).expect(path).to_owned();
    let number = |path: &str| text(path).parse::<u64>().expect(path);
    let log = STANDARD.decode(text("/logId/keyId")).expect("base64");
    serde_json::json!({
        "SignedEntryTimestamp": text("/inclusionPromise/signedEntryTimestamp"),
        "Payload": {
            "body": text("/canonicalizedBody"),
            "integratedTime": number("/integratedTime"),
            "logIndex": number("/logIndex"),
            "logID": log.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        },
    })
}

fn pem(certificate: &Value) -> String {
    let der = certificate.as_str().expect("base64");
    format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n")
}

/// A bundle of the public good instance, taken apart into what an attestation was before bundles.
pub(crate) fn an_attestation_of_the_old_form_needs_certificate_log_and_time() -> Outcome {
    use karat::signature::legacy::{Form, verify};
    use karat::signature::sigstore::{Identity, Reason, Signer, TrustedRoot};
    const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
    const ENTRY: &str = "dev.sigstore.cosign/bundle";
    let folder = corpus("sigstore-conformance")?;
    let good = bundle(&folder, "happy-path-intoto-in-dsse-v3");
    let other = bundle(&folder, "happy-path-v0.1");
    let envelope = good["dsseEnvelope"].clone();
    let subject = *karat::oci::Digest::of(&fs::read(folder.join("a.txt")).expect("a file")).bytes();
    let annotations = BTreeMap::from([
        (CERTIFICATE.to_owned(), pem(&good["verificationMaterial"]["certificate"]["rawBytes"])),
        (ENTRY.to_owned(), entry(&good).to_string()),
    ]);
    let root = TrustedRoot::public_good().expect("a root");
    let judge = |envelope: &Value, annotations: &BTreeMap<String, String>, who: &str, by: &str| {
        let signer = Signer::Identity(Identity::exact(who, by));
        let bytes = envelope.to_string().into_bytes();
        verify(Form::Attestation, &bytes, annotations, &subject, &signer, &root)
    };
    let taken = judge(&envelope, &annotations, IDENTITY, ISSUER).expect("it is taken");
    assert_eq!(taken.certified, Some((IDENTITY.to_owned(), ISSUER.to_owned())));
    assert!(taken.logged && taken.times == [1_734_374_576], "{:?}", taken.times);
    let with = |name: &str, value: String| {
        let mut changed = annotations.clone();
        changed.insert(name.to_owned(), value);
        changed
    };
    let in_entry = |path: &str, value: Value| {
        let mut changed = entry(&good);
        *changed.pointer_mut(path).expect(path) = value;
        with(ENTRY, changed.to_string())
    };
    let without = |name: &str| {
        let mut changed = annotations.clone();
        changed.remove(name);
        changed
    };
    let promise = entry(&good)["SignedEntryTimestamp"].as_str().expect("one").to_owned();
    let mut flipped = STANDARD.decode(promise).expect("base64");
    *flipped.last_mut().expect("bytes") ^= 1;
    let theirs =
        pem(&other["verificationMaterial"]["x509CertificateChain"]["certificates"][0]["rawBytes"]);
    for (what, annotations, reasons) in [
        ("no entry", without(ENTRY), &[Reason::Bundle, Reason::NoTime][..]),
        ("no certificate", without(CERTIFICATE), &[Reason::Key]),
        (
            "another promise",
            in_entry("/SignedEntryTimestamp", STANDARD.encode(flipped).into()),
            &[Reason::InclusionPromise],
        ),
        (
            "another time",
            in_entry("/Payload/integratedTime", 1_734_374_577.into()),
            &[Reason::InclusionPromise],
        ),
        ("another place", in_entry("/Payload/logIndex", 1.into()), &[Reason::InclusionPromise]),
        (
            "another log",
            in_entry("/Payload/logID", "0".repeat(64).into()),
            &[Reason::InclusionPromise, Reason::UnknownLog],
        ),
        (
            "another's entry",
            with(ENTRY, entry(&other).to_string()),
            &[Reason::Certificate, Reason::Unsupported],
        ),
        (
            "another's certificate",
            with(CERTIFICATE, theirs),
            &[Reason::Certificate, Reason::Signature],
        ),
    ] {
        let refused = judge(&envelope, &annotations, IDENTITY, ISSUER).expect_err(what);
        assert!(reasons.contains(&refused.reason), "{what}: {refused:?}");
    }
    let refused = |envelope: &Value, who: &str, by: &str| {
        judge(envelope, &annotations, who, by).expect_err("it is refused").reason
    };
    assert_eq!(refused(&envelope, "somebody@example.com", ISSUER), Reason::Identity);
    assert_eq!(refused(&envelope, IDENTITY, "https://accounts.google.com"), Reason::Issuer);
    let mut changed = envelope.clone();
    let payload = changed["payload"].as_str().expect("base64");
    let text = String::from_utf8(STANDARD.decode(payload).expect("base64")).expect("text");
    changed["payload"] = STANDARD.encode(text + " ").into();
    assert_eq!(refused(&changed, IDENTITY, ISSUER), Reason::Signature);
    let elsewhere = verify(
        Form::Attestation,
        envelope.to_string().as_bytes(),
        &annotations,
        &[0; 32],
        &Signer::Identity(Identity::exact(IDENTITY, ISSUER)),
        &root,
    );
    assert_eq!(elsewhere.expect_err("it is about a.txt").reason, Reason::Artifact);
    Ok(())
}

pub(crate) fn the_root_of_trust_of_the_policy_judges() -> Outcome {
    let folder = corpus("sigstore-conformance")?;
    let own = folder.join("intoto-with-custom-trust-root");
    let project = tempfile::tempdir().expect("a folder");
    let policy = "[policy]\nname = \"p\"\n[sigstore]\ntrusted-root = \"root.json\"\n";
    fs::write(project.path().join("karat-policy.toml"), policy).expect("a policy");
    fs::copy(own.join("trusted_root.json"), project.path().join("root.json")).expect("a copy");
    let judge = |artifact: &Path, bundle: &Path, identity: &str, issuer: &str| {
        let mut karat = command(env!("CARGO_BIN_EXE_karat"));
        karat.current_dir(project.path()).args(["verify", "--format", "json"]).arg(artifact);
        karat.arg("--bundle").arg(bundle).args(["--identity", identity, "--issuer", issuer]);
        let output = finish(&mut karat);
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.code(), answer)
    };
    let text = |name: &str, default: &str| match fs::read_to_string(own.join(name)) {
        Ok(text) => text.trim().to_owned(),
        Err(_) => default.to_owned(),
    };
    let (identity, issuer) = (text("identity", IDENTITY), text("issuer", ISSUER));
    let bundle = own.join("bundle.sigstore.json");
    let (code, answer) = judge(&own.join("artifact"), &bundle, &identity, &issuer);
    assert_eq!(code, Some(0), "{answer}");
    // What the public good instance vouches for, this root does not.
    let bundle = folder.join("happy-path-v0.3/bundle.sigstore.json");
    let (code, answer) = judge(&folder.join("a.txt"), &bundle, IDENTITY, ISSUER);
    assert_eq!((code, &answer["verdict"]), (Some(1), &Value::from("rejected")), "{answer}");
    Ok(())
}

/// A certificate of the public good instance, judged by entries of a policy: the repository that
/// it names, its branch and its time are bound to the image.
pub(crate) fn the_policy_binds_certificates_to_images() -> Outcome {
    use karat::settings::file::Loaded;
    use karat::signature::sigstore::TrustedRoot;
    use karat::time::{Date, Now};
    use karat::trust::{self, Refused, Trust};
    let folder = corpus("sigstore-conformance")?;
    let case = folder.join("happy-path-intoto-in-dsse-v3/bundle.sigstore.json");
    let bundle = fs::read(case).expect("the bundle");
    let subject = karat::oci::Digest::of(&fs::read(folder.join("a.txt")).expect("a file"));
    let today: Date = "2026-11-23".parse().expect("a day");
    let judge = |entry: &str, place: &str| {
        let text = format!(
            "[policy]\nname = \"p\"\n[[trust]]\nimages = \"reg.example/golden/{{repo}}\"\nstatements = [\"provenance\"]\n{entry}"
        );
        let loaded = Loaded::parse("p.toml", &text);
        let policy = loaded.unwrap_or_else(|faults| panic!("{}", faults.render(false))).policy;
        let root = TrustedRoot::public_good().expect("a root");
        let trust = Trust::of_policy(&policy, place, root, Now::on(today)).expect("it is made");
        trust::bundle(&bundle, &subject, &trust)
    };
    let keyless = |further: &str| {
        format!(
            "keyless = {{ issuer = \"{ISSUER}\", subject-regexp = '''https://github\\.com/sigstore-conformance/.*''', {further} }}\n"
        )
    };
    let own = "reg.example/golden/extremely-dangerous-public-oidc-beacon";
    let source = "source-repository = \"https://github.com/sigstore-conformance/{repo}\"";
    let good = keyless(&format!("{source}, source-ref-regexp = \"refs/heads/.*\""));
    let taken = judge(&good, own).expect("it is taken");
    assert_eq!(taken.certified, Some((IDENTITY.to_owned(), ISSUER.to_owned())));
    assert!(taken.logged);
    let word = |entry: &str, place: &str| {
        let refused = judge(entry, place).expect_err("it is refused");
        match refused.reason() {
            Some(reason) => {
                serde_json::to_value(reason).expect("a word").as_str().map(str::to_owned)
            }
            None => Some(refused.to_string()),
        }
        .expect("a word")
    };
    // One service's certificate signs no other service's image.
    assert_eq!(word(&good, "reg.example/golden/payments"), "source");
    assert_eq!(
        word(&keyless(&format!("{source}, source-ref-regexp = \"refs/tags/.*\"")), own),
        "source"
    );
    assert_eq!(word(&keyless(&format!("{source}, source-ref-regexp = \"heads\"")), own), "source");
    assert_eq!(
        word(&good.replace("sigstore-conformance/.*", "sigstore-conformance/"), own),
        "identity"
    );
    assert_eq!(word(&good.replace(ISSUER, "https://accounts.google.com"), own), "issuer");
    let exact = format!("keyless = {{ issuer = \"{ISSUER}\", subject = \"{IDENTITY}\" }}\n");
    judge(&exact, own).expect("it is taken");
    let bound = exact.replace("extremely-dangerous-public-oidc-beacon", "{repo}");
    judge(&bound, own).expect("it is taken");
    assert_eq!(word(&bound, "reg.example/golden/payments"), "identity");
    // It was signed on 16 December 2024, whatever day it is.
    let until = |day: &str| format!("{exact}not-after = \"{day}\"\n");
    judge(&until("2024-12-16"), own).expect("it is taken");
    assert!(matches!(judge(&until("2024-12-15"), own), Err(Refused::Period(_))));
    let from = format!("{exact}not-before = \"2024-12-17\"\n");
    assert!(matches!(judge(&from, own), Err(Refused::Period(_))));
    assert!(matches!(judge(&exact, "reg.example/other/a"), Err(Refused::Nobody)));
    let other = exact.replace("keyless", "not-before = \"2024-01-01\"\nkeyless");
    judge(&other, own).expect("it is taken");
    Ok(())
}
