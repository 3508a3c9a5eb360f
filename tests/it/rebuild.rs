//! `karat rebuild`: images that are built again from what their signed provenance names, and those
//! that differ from what it says.

use crate::scan::{advisory, database};
use crate::support::elf::Elf;
use crate::support::forged::{bundle, refer};
use crate::support::layout::Layout;
use crate::support::registry::{Registry, Ways};
use crate::support::{PASSWORD, Project, digest_of, raw_tar, recipe, recipe_on};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;

const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
const REBUILDER: &str = "urn:karat:builder:rebuild";

/// A project whose image of two platforms, on a base, with data and a var, is signed.
fn project() -> Project {
    let project = Project::new().with_keys();
    project.write("amd64/app", Elf::default().build());
    project.write("arm64/app", Elf::arm64().build());
    project.write("etc/app.conf", "a = 1\n");
    project.write("etc/more/b.conf", "b = 2\n");
    let further = "platforms = [\"linux/amd64\", \"linux/arm64\"]\n\
                   labels = { \"example.version\" = \"{version}\" }\n\
                   [vars]\nversion = { pattern = \"v[0-9]+\" }\n\
                   [[file]]\nsource = \"etc\"\npath = \"/etc/app\"\n";
    project.write("app.karat.toml", recipe_on("static-debian13", further, "app", "{arch}/app"));
    project
        .signed(
            "build app.karat.toml --output oci:image --sign cosign.key --var version=v7 \
             --source-date-epoch 1700000000",
        )
        .exits(0);
    project
}

fn root(project: &Project, layout: &str) -> String {
    project.layout(layout).image(None)["digest"].as_str().expect("a digest").to_owned()
}

#[test]
fn image_is_built_again_from_its_record() {
    let project = project();
    let done = project.run("rebuild oci:image --key cosign.pub").exits(0);
    done.prints(&["reproduced", &root(&project, "image")]).says(&["5 inputs"]);
    let told = project.done("rebuild oci:image --key cosign.pub --format json").json();
    assert_eq!(told["schema"], "karat.rebuild/v1");
    assert_eq!((&told["equal"], &told["difference"]), (&json!(true), &Value::Null));
    assert_eq!(
        (&told["digest"], &told["rebuilt"]),
        (&json!(root(&project, "image")), &told["digest"])
    );
    let kinds: Vec<_> =
        told["inputs"].as_array().expect("inputs").iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, ["recipe", "binary", "binary", "file", "file"]);
    // Nothing but the hashes counts: the names may be others, and more may lie there.
    for (number, path) in
        ["app.karat.toml", "amd64/app", "arm64/app", "etc/app.conf", "etc/more/b.conf"]
            .iter()
            .enumerate()
    {
        project.write(&format!("kept/{number}"), project.read(path));
        fs::remove_file(project.path(path)).expect("removed");
    }
    project.write("etc/stray.conf", "not of the image\n");
    project.run("rebuild oci:image --key cosign.pub --inputs kept").exits(0);
    project.run("rebuild oci:image --key cosign.pub").exits(0);
}

#[test]
fn lone_executable_is_built_again() {
    let project = Project::new().with_keys();
    project.write("app", Elf::default().build());
    project.signed("build app --output oci:image --sign cosign.key").exits(0);
    project.done("rebuild oci:image --key cosign.pub");
}

#[test]
fn image_of_a_registry_is_built_again_and_said_to_be_so() {
    let project = project();
    project.signed("key generate --output second").exits(0);
    let registry = Registry::start(Ways { referrers: true, ..Ways::default() });
    let run = |line: &str| {
        let args: Vec<_> = line.split_whitespace().collect();
        project
            .karat(&args)
            .env("COSIGN_PASSWORD", PASSWORD)
            .env("KARAT_HTTP_TIMEOUT", "1")
            .env("HOME", project.outside())
            .run()
    };
    let (host, digest) = (registry.host(), root(&project, "image"));
    run(&format!("push oci:image docker://{host}/golden/app:v1")).exits(0);
    let place = format!("docker://{host}/golden/app@{digest}");
    let line = format!("rebuild {place} --key cosign.pub");
    run(&line).exits(0);
    let before = registry.repository("golden/app");
    run(&format!("{line} --sign second.key --offline")).exits(2).says(&["--offline"]);
    run(&format!("{line} --sign second.key")).exits(0).says(&["added 3"]);
    let after = registry.repository("golden/app");
    assert_eq!(after.tags, before.tags);
    run(&format!("{line} --sign second.key")).exits(0).says(&["nothing was added"]);
    // The second one states how it was built, and not that a policy was passed.
    let line = format!("verify {place} --key second.pub --require provenance --format json");
    let answer = run(&line).exits(0).json();
    for subject in answer["verification"]["subjects"].as_array().expect("subjects") {
        assert_eq!(subject["met"], json!({ "provenance": true }));
    }
    run(&format!("verify {place} --key second.pub --require signature")).exits(1);
    run(&format!("pull {place} oci:got")).exits(0);
    let records = records(&project.layout("got"), &digest);
    let [own, again] = &records[..] else { panic!("{records:#?}") };
    let builder = |record: &Value| record["runDetails"]["builder"]["id"].clone();
    assert_ne!(builder(own), REBUILDER);
    assert_eq!(builder(again), REBUILDER);
    let of = |record: &Value| record["buildDefinition"]["externalParameters"].clone();
    assert_eq!(of(own), of(again));
    // The record of the second one can be followed as well.
    run(&format!("rebuild {place} --key second.pub")).exits(0);
}

#[test]
fn summary_says_that_two_have_built_it() {
    let project = project();
    project.signed("key generate --output second").exits(0);
    database(&project, "Debian", &[advisory("DSA-1", "nowhere", "2.0", "high")]);
    let entry = |key: &str, statements: &str| {
        format!(
            "[[trust]]\nimages = \"registry.example/golden/{{repo}}\"\nkey = \"{key}\"\n\
             statements = [{statements}]\ntransparency-log = \"none\"\n"
        )
    };
    let policy = |of_second: &str| {
        project.write(
            "karat-policy.toml",
            "[policy]\nname = \"golden\"\n[registry]\npublish = \"registry.example/golden\"\n\
             [gate]\nrequire = [\"provenance\"]\n"
                .to_owned()
                + &entry("cosign.pub", "\"signature\", \"provenance\", \"vsa\"")
                + of_second,
        );
    };
    let place = "--as registry.example/golden/app";
    let levels = || {
        let line =
            format!("verify oci:image {place} --attest-vsa --sign cosign.key --db advisories.db");
        project.signed(&line).exits(0).says(&["added 3 summaries"]);
        let layout = project.layout("image");
        let last = layout.referrers().pop().expect("a referrer");
        let bundle = layout.document(&layout.document(&last)["layers"][0]);
        let payload = bundle["dsseEnvelope"]["payload"].as_str().expect("a payload");
        let statement: Value = serde_json::from_slice(&unbase64(payload)).expect("a statement");
        statement["predicate"]["verifiedLevels"].clone()
    };
    let unevaluated = "SLSA_BUILD_LEVEL_UNEVALUATED";
    policy("");
    project.signed(&format!("rebuild oci:image {place} --sign second.key")).exits(0);
    assert_eq!(levels(), json!([unevaluated]), "nobody trusts the second one");
    policy(&entry("second.pub", "\"signature\""));
    assert_eq!(levels(), json!([unevaluated]), "the second one may not state how it was built");
    policy(&entry("second.pub", "\"provenance\""));
    assert_eq!(levels(), json!([unevaluated, "SLSA_BUILD_REPRODUCED"]));
}

/// The records of a digest, by the time they were put there.
fn records(layout: &Layout, digest: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for referrer in layout.referrers() {
        let manifest = layout.document(&referrer);
        if manifest["subject"]["digest"] != digest
            || manifest["annotations"]["dev.sigstore.bundle.predicateType"] != PROVENANCE
        {
            continue;
        }
        let bundle = layout.document(&manifest["layers"][0]);
        let payload = bundle["dsseEnvelope"]["payload"].as_str().expect("a payload");
        let statement: Value = serde_json::from_slice(&unbase64(payload)).expect("a statement");
        found.push(statement["predicate"].clone());
    }
    found.sort_by_key(|record| record["runDetails"]["builder"]["id"] == REBUILDER);
    found
}

fn unbase64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
}

#[test]
fn what_is_not_there_is_said() {
    let project = project();
    project.run("rebuild oci:image").exits(2);
    project.run("rebuild oci:nowhere --key cosign.pub").exits(2);
    project
        .run("rebuild oci:image --key cosign.pub --inputs nowhere")
        .exits(2)
        .says(&["no folder"]);
    let listed = digest_of(&project.read("etc/app.conf"));
    project.write("etc/app.conf", "a = 2\n");
    project.run("rebuild oci:image --key cosign.pub").exits(2).says(&[
        "1 of 5 inputs",
        &listed,
        "file etc/app.conf",
        "--inputs DIR",
    ]);
    project.write("etc/app.conf", "a = 1\n");
    let text = project.read("app.karat.toml");
    project.write("app.karat.toml", "# changed\n");
    project.run("rebuild oci:image --key cosign.pub").exits(2).says(&["recipe app.karat.toml"]);
    project.write("app.karat.toml", text);
    // A record that nobody trusted has signed is none.
    project.signed("key generate --output second").exits(0);
    project.run("rebuild oci:image --key second.pub").exits(1).says(&["no provenance", "key"]);
    project.done("build app.karat.toml --output oci:unsigned --var version=v7");
    project.run("rebuild oci:unsigned --key cosign.pub").exits(1).says(&["nothing is stated"]);
    // A rebased image was not built.
    project
        .signed("rebase oci:image --base static-debian13 --name app --output oci:moved --key cosign.pub --sign cosign.key")
        .exits(0);
    project
        .run("rebuild oci:moved --key cosign.pub")
        .exits(2)
        .says(&["rebase", &root(&project, "image")]);
}

/// An image of one platform, with its parts as they are stored, to be changed.
struct Parts {
    layers: Vec<Vec<u8>>,
    config: Value,
    manifest: Value,
}

type Change = fn(&mut Parts);

/// Changes the last layer, which is stored as gzip, by its archive.
fn archive(parts: &mut Parts, change: impl Fn(&mut Vec<u8>)) {
    let stored = parts.layers.last_mut().expect("a layer");
    let mut tar = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(&stored[..]);
    std::io::Read::read_to_end(&mut reader, &mut tar).expect("gzip");
    change(&mut tar);
    let mut writer = GzEncoder::new(Vec::new(), Compression::new(1));
    writer.write_all(&tar).expect("gzip");
    *stored = writer.finish().expect("gzip");
    let last = parts.layers.len() - 1;
    parts.config["rootfs"]["diff_ids"][last] = digest_of(&tar).into();
}

fn position(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).position(|window| window == wanted).expect("it is there")
}

/// Writes a header's checksum again.
fn sum_up(tar: &mut [u8], header: usize) {
    let block = &mut tar[header..header + 512];
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

#[test]
fn first_difference_is_named() {
    let cases: [(Change, Value); 9] = [
        (
            |parts| {
                archive(parts, |tar| {
                    let at = position(tar, b"a = 1\n");
                    tar[at + 4] = b'3';
                })
            },
            json!({"part": "layer", "path": "/etc/app.conf", "offset": 4,
                   "message": "its 6 bytes differ"}),
        ),
        (
            |parts| {
                archive(parts, |tar| {
                    let header = position(tar, b"a = 1\n") - 512;
                    tar[header + 100..header + 107].copy_from_slice(b"0000600");
                    sum_up(tar, header);
                })
            },
            json!({"part": "layer", "path": "/etc/app.conf",
                   "message": "its mode is 0600 in the published layer, 0444 in the rebuilt one"}),
        ),
        (
            |parts| {
                archive(parts, |tar| {
                    tar.truncate(tar.len() - raw_tar::END.len());
                    tar.extend(raw_tar::entry(b'0', b"zz/late", b"x"));
                    tar.extend(raw_tar::END);
                })
            },
            json!({"part": "layer", "path": "/zz/late",
                   "message": "only the published layer has it"}),
        ),
        (
            |parts| {
                archive(parts, |tar| {
                    let early = raw_tar::entry(b'0', b"aa", b"x");
                    tar.splice(0..0, early);
                })
            },
            json!({"part": "layer", "path": "/aa",
                   "message": "the rebuilt layer has `/etc/app.conf` in its place"}),
        ),
        (
            |parts| archive(parts, |_| {}),
            json!({"part": "layer", "message": "the archives are the same, and compressed in another way"}),
        ),
        (
            |parts| {
                archive(parts, |tar| {
                    // A name of the owner, which nobody reads.
                    let header = position(tar, b"a = 1\n") - 512;
                    tar[header + 265] = b'x';
                    sum_up(tar, header);
                })
            },
            json!({"part": "layer", 
                   "message": "the archives hold the same entries and write them in other bytes"}),
        ),
        (
            |parts| {
                parts.layers.pop();
                parts.config["rootfs"]["diff_ids"].as_array_mut().expect("ids").pop();
                parts.manifest["layers"].as_array_mut().expect("layers").pop();
            },
            json!({"part": "layer", 
                   "message": "the rebuilt image has 6 layers, the published one only 5"}),
        ),
        (
            |parts| parts.config["config"]["User"] = "0".into(),
            json!({"part": "config", "message":
                   "`/config/User` is `\"0\"` in the published one, `\"65532:65532\"` in the rebuilt one"}),
        ),
        (
            |parts| parts.manifest["annotations"]["evil"] = "\u{1b}[31m".into(),
            json!({"part": "manifest", "message":
                   "`/annotations/evil` is `\"\\u001b[31m\"` in the published one, absent in the rebuilt one"}),
        ),
    ];
    let project = Project::new().with_keys();
    project.write("app", Elf::default().build());
    project.write("app.conf", "a = 1\n");
    let data = "[[file]]\nsource = \"app.conf\"\npath = \"/etc/app.conf\"\n";
    project.write("app.karat.toml", recipe_on("static-debian13", "", "app", "app") + data);
    project.signed("build app.karat.toml --output oci:image --sign cosign.key").exits(0);
    let original = project.layout("image");
    let [predicate] = &records(&original, &root(&project, "image"))[..] else { panic!("one") };
    let layers = original.manifest()["layers"].as_array().expect("layers").len();
    assert_eq!(layers, 6, "five packages of the base, and its own");
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        let name = format!("changed-{number}");
        publish(&project, &original, predicate, change, &name);
        let told = project.run(&format!("rebuild oci:{name} --key cosign.pub --format json"));
        let told = told.exits(1).json();
        let mut found = told["difference"].clone();
        assert_eq!(found["platform"], "linux/amd64", "{number}");
        let found = found.as_object_mut().expect("an object");
        found.remove("platform");
        // The last one: those of the base come before.
        let layer = found.remove("layer");
        assert_eq!(layer.is_some(), found["part"] == "layer", "{number}");
        assert!(layer.is_none_or(|layer| layer == layers), "{number}");
        if expected.get("offset").is_none() {
            found.remove("offset");
        }
        assert_eq!(json!(found), expected, "{number}");
        assert_eq!(told["equal"], false);
        let text =
            project.signed(&format!("rebuild oci:{name} --key cosign.pub --sign cosign.key"));
        text.exits(1).prints(&["differs", "linux/amd64, "]).says(&["nothing was attested"]);
        assert_eq!(project.layout(&name).referrers().len(), 1);
    }
}

/// Writes a layout with the image changed, and the record of the original signed about it.
fn publish(project: &Project, original: &Layout, predicate: &Value, change: Change, name: &str) {
    let manifest = original.manifest();
    let blobs = manifest["layers"].as_array().expect("layers");
    let mut parts = Parts {
        layers: blobs.iter().map(|layer| original.blob(layer)).collect(),
        config: original.config(),
        manifest: manifest.clone(),
    };
    change(&mut parts);
    let blob = |bytes: &[u8]| {
        let digest = digest_of(bytes);
        project.write(&format!("{name}/blobs/sha256/{}", &digest[7..]), bytes);
        (Value::from(digest), Value::from(bytes.len()))
    };
    let layers = parts.layers.iter().zip(parts.manifest["layers"].as_array_mut().expect("layers"));
    for (bytes, descriptor) in layers {
        (descriptor["digest"], descriptor["size"]) = blob(bytes);
    }
    let config = &mut parts.manifest["config"];
    (config["digest"], config["size"]) = blob(parts.config.to_string().as_bytes());
    let (digest, size) = blob(parts.manifest.to_string().as_bytes());
    let image = json!({ "mediaType": parts.manifest["mediaType"], "digest": digest, "size": size });
    let index = json!({ "schemaVersion": 2, "manifests": [image] });
    project.write(&format!("{name}/index.json"), index.to_string());
    project.write(&format!("{name}/oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
    let hex = digest.as_str().expect("a digest").trim_start_matches("sha256:");
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "app", "digest": { "sha256": hex } }],
        "predicateType": PROVENANCE,
        "predicate": predicate,
    });
    refer(&project.layout(name), &image, &bundle(&statement), 1);
}

#[test]
fn hostile_record_takes_nothing_from_elsewhere() {
    let project = Project::new().with_keys();
    project.write("app", Elf::default().build());
    project.write("app.karat.toml", recipe("app", "app"));
    project.signed("build app.karat.toml --output oci:image --sign cosign.key").exits(0);
    let original = project.layout("image");
    let [predicate] = &records(&original, &root(&project, "image"))[..] else { panic!("one") };
    for (number, (path, value, code, words)) in [
        ("/buildDefinition/resolvedDependencies/0/name", json!("../app"), 1, "no path"),
        ("/buildDefinition/internalParameters/assemblyFormat", json!(99), 2, "format 99"),
        ("/buildDefinition/internalParameters/encoder", json!("other"), 2, "other"),
        ("/buildDefinition/buildType", json!("https://other.example"), 2, "other.example"),
        ("/buildDefinition/internalParameters/platforms", json!(["linux/arm64"]), 2, "arm64"),
        ("/buildDefinition/externalParameters/vars", json!({"x": "y"}), 2, "no var `x`"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut changed = predicate.clone();
        *changed.pointer_mut(path).expect("it is there") = value;
        let name = format!("hostile-{number}");
        publish(&project, &original, &changed, |_| {}, &name);
        project.run(&format!("rebuild oci:{name} --key cosign.pub")).exits(code).says(&[words]);
    }
}
