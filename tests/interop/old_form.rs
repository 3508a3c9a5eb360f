//! cosign, and the policy of podman, skopeo and CRI-O, on what karat signs in cosign's old form.

use crate::project::{Layout, PASSWORD, Project, sha256};
use crate::registry::{Kind, Registry};
use crate::support::{Outcome, command, fail, program, succeed};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

const LEGACY: [&str; 2] = ["--signature-format", "legacy"];

/// A registry with the project's image, which nobody has signed: it, `HOST/NAME`, and the digests of
/// the image and its platforms.
fn unsigned(
    project: &Project,
    kind: Kind,
) -> Result<(Registry, String, Vec<String>), crate::support::Skip> {
    if !project.path("cosign.key").exists() {
        project.key();
    }
    let _ = fs::remove_dir_all(project.path("layout"));
    let digest = project.build(&["--output", "oci:layout:v1"]);
    let layout = Layout::open(project.path("layout"), digest.clone());
    let registry = Registry::start(project, kind, "")?;
    let place = registry.place("golden/app");
    let to = format!("docker://{place}:v1");
    succeed(project.karat().args(["push", "oci:layout:v1", &to]));
    let platforms = layout.manifests();
    let platforms = platforms.iter().map(|one| one["digest"].as_str().expect("one").to_owned());
    let mut digests = vec![digest];
    digests.extend(platforms);
    digests.dedup();
    Ok((registry, place, digests))
}

/// `cosign` with what its old form and a registry without TLS need.
fn cosign(project: &Project, program: &Path, line: &[&str]) -> Command {
    let mut cosign = command(program);
    cosign.args(line).args(["--new-bundle-format=false", "--allow-http-registry"]);
    cosign.current_dir(project.path("")).env("COSIGN_PASSWORD", PASSWORD);
    cosign
}

fn verify(project: &Project, program: &Path, key: &str, reference: &str) -> Command {
    let line = ["verify", "--insecure-ignore-tlog", "--key", key, reference];
    cosign(project, program, &line)
}

fn verify_attestation(project: &Project, program: &Path, kind: &str, reference: &str) -> Command {
    let line = ["verify-attestation", "--insecure-ignore-tlog", "--key", "cosign.pub"];
    let mut cosign = cosign(project, program, &line);
    cosign.args(["--type", kind, reference]);
    cosign
}

/// Signs with cosign, in its old form.
fn sign_with_cosign(project: &Project, program: &Path, key: &str, reference: &str) {
    let line = ["sign", "--yes", "--tlog-upload=false", "--use-signing-config=false", "--key", key];
    succeed(cosign(project, program, &line).arg(reference));
}

/// The same as a tag.
fn tag(digest: &str, end: &str) -> String {
    format!("{}.{end}", digest.replace(':', "-"))
}

pub(crate) fn cosign_verifies_what_karat_signs_in_the_old_form() -> Outcome {
    let (cosign, crane) = (program("cosign")?, program("crane")?);
    let project = Project::of_a_go_program()?;
    project.write("sbom.json", r#"{"spdxVersion":"SPDX-2.3"}"#);
    succeed(project.karat().args(["key", "generate", "--output", "other"]));
    for kind in [Kind::Debian, Kind::Distribution, Kind::Crane] {
        let (_registry, place, digests) = unsigned(&project, kind)?;
        let root = format!("{place}@{}", digests[0]);
        let remote = format!("docker://{root}");
        fail(&mut verify(&project, &cosign, "cosign.pub", &root));
        let sign = || {
            let line = ["sign", &remote, "--key", "cosign.key"];
            succeed(project.karat().args(line).args(LEGACY));
        };
        let attest = || {
            let line = ["attest", &remote, "--type", "spdxjson", "--predicate", "sbom.json"];
            let mut attest = project.karat();
            succeed(attest.args(line).args(["--key", "cosign.key"]).args(LEGACY));
        };
        sign();
        fail(&mut verify_attestation(&project, &cosign, "spdxjson", &root));
        attest();
        let line = ["attest", &remote, "--type", "custom", "--predicate", "sbom.json"];
        succeed(project.karat().args(line).args(["--key", "cosign.key"]).args(LEGACY));
        assert_eq!(digests.len(), 3);
        for digest in &digests {
            let reference = format!("{place}@{digest}");
            succeed(&mut verify(&project, &cosign, "cosign.pub", &reference));
            fail(&mut verify(&project, &cosign, "other.pub", &reference));
            for kind in ["spdxjson", "custom"] {
                succeed(&mut verify_attestation(&project, &cosign, kind, &reference));
            }
            fail(&mut verify_attestation(&project, &cosign, "cyclonedx", &reference));
        }
        // Once more, nothing is added.
        let at = |end: &str| {
            let tag = format!("{place}:{}", tag(&digests[0], end));
            succeed(command(&crane).args(["digest", &tag]))
        };
        let before = (at("sig"), at("att"));
        sign();
        attest();
        assert_eq!((at("sig"), at("att")), before, "{kind:?}");
        succeed(command(&crane).args(["validate", "--remote", &root]));
    }
    Ok(())
}

pub(crate) fn cosign_refuses_what_karat_signed_and_somebody_changed() -> Outcome {
    let cosign = program("cosign")?;
    let project = Project::of_a_c_program()?;
    project.write("sbom.json", r#"{"spdxVersion":"SPDX-2.3"}"#);
    let (registry, _, digests) = unsigned(&project, Kind::Distribution)?;
    succeed(project.karat().args(["sign", "oci:layout:v1", "--key", "cosign.key"]).args(LEGACY));
    let line = ["attest", "oci:layout:v1", "--type", "spdxjson", "--predicate", "sbom.json"];
    succeed(project.karat().args(line).args(["--key", "cosign.key"]).args(LEGACY));
    let layout = Layout::open(project.path("layout"), digests[0].clone());
    let entries = layout.index["manifests"].as_array().expect("manifests").clone();
    let tags = ["sig", "att"].map(|end| tag(&digests[0], end));
    let store = |bytes: &[u8]| {
        let digest = sha256(bytes);
        let file = digest.trim_start_matches("sha256:");
        fs::write(layout.path.join("blobs/sha256").join(file), bytes).expect("a blob");
        (Value::from(digest.as_str()), Value::from(bytes.len()))
    };
    let push = |name: &str| {
        let place = registry.place(name);
        let to = format!("docker://{place}:v1");
        succeed(project.karat().args(["push", "oci:layout:v1", &to]));
        format!("{place}@{}", digests[0])
    };
    let whole = push("whole/app");
    succeed(&mut verify(&project, &cosign, "cosign.pub", &whole));
    succeed(&mut verify_attestation(&project, &cosign, "spdxjson", &whole));
    let judges: [fn(&Project, &Path, &str) -> Command; 2] = [
        |project, cosign, reference| verify(project, cosign, "cosign.pub", reference),
        |project, cosign, reference| verify_attestation(project, cosign, "spdxjson", reference),
    ];
    for (number, (tag, judge)) in tags.iter().zip(judges).enumerate() {
        let named =
            |one: &Value| one["annotations"]["org.opencontainers.image.ref.name"] == tag.as_str();
        let at = entries.iter().position(named).expect("an entry");
        let mut manifest = layout.document(&entries[at]);
        let layer = manifest["layers"][0]["digest"].as_str().expect("a digest").to_owned();
        let mut bytes = layout.blob(&layer);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let (digest, size) = store(&bytes);
        manifest["layers"][0]["digest"] = digest;
        manifest["layers"][0]["size"] = size;
        let (digest, size) = store(manifest.to_string().as_bytes());
        let mut index = layout.index.clone();
        index["manifests"][at]["digest"] = digest;
        index["manifests"][at]["size"] = size;
        project.write("layout/index.json", &index.to_string());
        fail(&mut judge(&project, &cosign, &push(&format!("changed/app{number}"))));
    }
    Ok(())
}

pub(crate) fn what_cosign_signed_in_the_old_form_stays() -> Outcome {
    let (cosign, crane) = (program("cosign")?, program("crane")?);
    let project = Project::of_a_c_program()?;
    succeed(project.karat().args(["key", "generate", "--output", "their"]));
    for kind in [Kind::Debian, Kind::Distribution, Kind::Crane] {
        for theirs_first in [true, false] {
            let (_registry, place, digests) = unsigned(&project, kind)?;
            let reference = format!("{place}@{}", digests[0]);
            let remote = format!("docker://{reference}");
            let ours = || {
                let line = ["sign", &remote, "--key", "cosign.key"];
                succeed(project.karat().args(line).args(LEGACY));
            };
            let theirs = || sign_with_cosign(&project, &cosign, "their.key", &reference);
            let manifest = || {
                let tag = format!("{place}:{}", tag(&digests[0], "sig"));
                let manifest = succeed(command(&crane).args(["manifest", &tag]));
                let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
                manifest["layers"].as_array().expect("layers").clone()
            };
            if theirs_first {
                theirs()
            } else {
                ours()
            }
            let first = manifest();
            if theirs_first {
                ours()
            } else {
                theirs()
            }
            let both = manifest();
            assert_eq!((both.len(), &both[0]), (2, &first[0]), "{kind:?}");
            // cosign and karat sign the same document for the same image.
            assert_eq!(both[0]["digest"], both[1]["digest"], "{kind:?}");
            for key in ["cosign.pub", "their.pub"] {
                succeed(&mut verify(&project, &cosign, key, &reference));
                let karat = ["verify", &remote, "--key", key, "--require", "signature"];
                succeed(project.karat().args(karat));
            }
            ours();
            assert_eq!(manifest(), both);
        }
    }
    Ok(())
}

pub(crate) fn podmans_policy_takes_what_karat_signs_in_the_old_form() -> Outcome {
    let check = program("policy-check")?;
    let project = Project::of_a_go_program()?;
    succeed(project.karat().args(["key", "generate", "--output", "other"]));
    let (registry, place, digests) = unsigned(&project, Kind::Distribution)?;
    fs::create_dir_all(project.path("registries.d")).expect("a folder");
    let host = place.split('/').next().unwrap_or_default();
    let attachments = format!("docker:\n  {host}:\n    use-sigstore-attachments: true\n");
    project.write("registries.d/here.yaml", &attachments);
    for key in ["cosign", "other"] {
        let path = project.path(&format!("{key}.pub"));
        // Like cosign, karat signs for a repository, and not for a tag in it.
        let identity = json!({ "type": "matchRepository" });
        let signed = json!([
            { "type": "sigstoreSigned", "keyPath": path, "signedIdentity": identity },
        ]);
        let policy = json!({
            "default": [{ "type": "reject" }],
            "transports": { "docker": { host: signed } },
        });
        project.write(&format!("{key}.json"), &policy.to_string());
    }
    let judge = |key: &str, reference: &str| {
        let mut check = command(&check);
        check.arg(project.path(&format!("{key}.json"))).arg(project.path("registries.d"));
        check.arg(reference);
        check
    };
    let at = |place: &str| digests.iter().map(|one| format!("{place}@{one}")).collect::<Vec<_>>();
    let (here, there) = (at(&place), at(&registry.place("else/app")));
    let sign = |reference: &str, format: &str| {
        let line = ["sign", &format!("docker://{reference}"), "--key", "cosign.key"];
        succeed(project.karat().args(line).args(["--signature-format", format]));
    };
    let unsigned = fail(&mut judge("cosign", &here[0]));
    assert!(unsigned.contains("A signature was required"), "{unsigned}");
    // Bundles say nothing to it.
    sign(&here[0], "bundle");
    fail(&mut judge("cosign", &here[0]));
    sign(&here[0], "both");
    for reference in &here {
        succeed(&mut judge("cosign", reference));
        fail(&mut judge("other", reference));
    }
    // A copy elsewhere is signed for where it was, until it is signed there.
    let to = format!("docker://{}:v1", registry.place("else/app"));
    succeed(project.karat().args(["copy", &format!("docker://{}", here[0]), &to]));
    let moved = fail(&mut judge("cosign", &there[0]));
    assert!(moved.contains("Signature for identity"), "{moved}");
    sign(&there[0], "legacy");
    for reference in &there {
        succeed(&mut judge("cosign", reference));
    }
    // What somebody has changed: the tag of another image's signature.
    let mut crane = command(program("crane")?);
    let (from, to) = (tag(&digests[1], "sig"), tag(&digests[2], "sig"));
    succeed(crane.args(["copy", &format!("{place}:{from}"), &format!("{place}:{to}")]));
    fail(&mut judge("cosign", &here[2]));
    succeed(&mut judge("cosign", &here[1]));
    Ok(())
}

pub(crate) fn cosign_verifies_a_layout_signed_in_the_old_form() -> Outcome {
    let cosign = program("cosign")?;
    for project in [Project::of_a_c_program()?, Project::of_a_go_program()?] {
        project.key();
        let digest = project.build(&["--output", "oci:layout"]);
        succeed(project.karat().args(["key", "generate", "--output", "other"]));
        let verify = |key: &str| {
            let line = ["--local-image", "--insecure-ignore-tlog", "--key", key, "layout"];
            let mut cosign = command(&cosign);
            cosign.args(["verify", "--new-bundle-format=false"]).args(line);
            cosign.current_dir(project.path(""));
            cosign
        };
        fail(&mut verify("cosign.pub"));
        succeed(project.karat().args(["sign", "oci:layout", "--key", "cosign.key"]).args(LEGACY));
        let said = succeed(&mut verify("cosign.pub"));
        assert!(said.contains(&digest), "{said}");
        fail(&mut verify("other.pub"));
        succeed(
            project
                .karat()
                .args(["verify", "oci:layout", "--key", "cosign.pub"])
                .args(["--require", "signature"]),
        );
        // What a build signs itself.
        let line = ["--sign", "cosign.key", "--signature-format", "both", "--output", "oci:built"];
        assert_eq!(project.build(&line), digest);
        let line = ["--local-image", "--insecure-ignore-tlog", "--key", "cosign.pub", "built"];
        let mut built = command(&cosign);
        built.args(["verify", "--new-bundle-format=false"]).args(line);
        succeed(built.current_dir(project.path("")));
    }
    Ok(())
}
