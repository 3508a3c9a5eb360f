//! The bundles of sigstore's own conformance suite: each is taken or refused as its name says,
//! and refused for what it is about.

use crate::support::{Outcome, account, command, corpus, finish};
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
