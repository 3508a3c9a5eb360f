//! Where the fuzzer begins: inputs that reach deep into each parser, all made here.

use crate::tar::{archive, member, record};
use crate::{elf, gzip, joined};
use std::io::Write as _;
use std::process::Command;

/// The inputs of one target, with their names.
pub type Seeds = Vec<(&'static str, Vec<u8>)>;

/// A recipe that ends where waivers may follow.
pub const RECIPE: &str = r#"[image]
name = "team/app"
base = "static-debian13"
platforms = ["linux/amd64"]

[[binary]]
source = "app"

"#;

const WAIVER: &str = r#"[[waiver]]
id = "wv-1"
rule = "elf-not-pie"
path = "/usr/bin/app"
reason = "it is built so"
owner = "team-x"
ticket = "SEC-1"
created = "2026-11-20"
expires = "2027-01-31"
"#;

const BY_DIGEST: &str = r#"[[waiver]]
id = "wv-2"
rule = "script"
sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
reason = "r"
owner = "o"
ticket = "t"
created = "2026-02-28"
expires = "2026-03-01"
"#;

const WIDE: &str = r#"
[[file]]
source = "config/"
path = "/etc/app/"
mode = "0444"
exclude = ["**/*.map"]

[[directory]]
path = "/data"
owner = "65532:65532"

[[link]]
path = "/app"
target = "/usr/bin/app"

[vars]
version = { pattern = 'v\d+', default = "dev" }

[layer]
compression = "zstd"

"#;

const POLICY: &str = r#"[policy]
name = "golden"
karat-min = "0.1"

[gate]
edition = 1
fail-on = ["critical", "high"]
max-size = "256MiB"

[gate.rules]
elf-not-pie = { severity = "info", reason = "r", owner = "o", expires = "2027-01-31" }

[waivers]
max-days = 90
never = ["shell", "secret-*"]
"#;

/// A configuration of an ordinary image.
pub const CONFIG: &str = r#"{"architecture":"amd64","os":"linux","created":"1970-01-01T00:00:00Z",
"config":{"User":"65532:65532","ExposedPorts":{"8080/tcp":{}},"Env":["PATH=/usr/bin","TOKEN=x"],
"Entrypoint":["/usr/bin/app"],"Cmd":["--help"],"Volumes":{"/data":{}},"WorkingDir":"/","Labels":{"a":"b"},
"StopSignal":"SIGTERM"},"rootfs":{"type":"layers","diff_ids":[]},"history":[{"created_by":"x","empty_layer":true}]}"#;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Returns the seeds of a target, none for a name that is no target.
pub fn of(target: &str) -> Seeds {
    match target {
        "advisories" => advisories(),
        "base_files" => bases(),
        "legacy_signature" => legacy_signatures(),
        "bom_file" => files(),
        "deb_package" => debs(),
        "package_database" => databases(),
        "deb_control" => controls(),
        "in_release" => releases(),
        "tar_walk" => tars().into_iter().map(|(name, bytes)| (name, behind(0, &bytes))).collect(),
        "layer_gzip" => gzips(),
        "layer_zstd" => zstds(),
        "elf_view" => elfs(),
        "go_build_info" => go(),
        "rust_dependencies" => rust(),
        "shebang" => shebangs(),
        "waiver" => waivers(),
        "archive" => archives(),
        "layers" => layers(),
        "config_json" => documents(),
        "report_escape" => texts(),
        "registry_text" => registries(),
        _ => Vec::new(),
    }
}

fn behind(mode: u8, bytes: &[u8]) -> Vec<u8> {
    [&[mode], bytes].concat()
}

fn advisories() -> Seeds {
    let record = br#"{"id":"X-1","aliases":["CVE-1"],"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],"affected":[{"package":{"ecosystem":"Go","name":"a.b/c"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.3-rc.1"}]}],"versions":["1.0"],"ecosystem_specific":{"imports":[{"path":"a.b/c","symbols":["T.M"]}]}}]}"#;
    let statement = br#"{"@context":"https://openvex.dev/ns","statements":[{"vulnerability":{"name":"X-1"},"products":[{"@id":"pkg:a/b","subcomponents":[{"@id":"pkg:c/d"}]}],"status":"not_affected","justification":"x"}]}"#;
    let read = karat::advisory::osv::Record::read(record).expect("the record is whole");
    let packed = karat::advisory::database::pack(Vec::new(), vec![read]);
    let packed = packed.expect("one record is packed");
    vec![
        ("statement", crate::joined(record, statement)),
        ("database", crate::joined(record, &packed)),
        ("trivy", crate::joined(record, &report(r#""SchemaVersion":2,"Trivy":{"Version":"1"},"ArtifactType":"container_image","Metadata":{"ImageID":"DIGEST","RepoDigests":["a/b@DIGEST"]},"Results":[{"Target":"a","Class":"lang-pkgs","Vulnerabilities":[{"VulnerabilityID":"X-1","VendorIDs":["CVE-1"],"PkgName":"a","PkgIdentifier":{"PURL":"pkg:a/b@1"},"InstalledVersion":"1","FixedVersion":"2","Severity":"HIGH"}]}]"#))),
        ("grype", crate::joined(record, &report(r#""matches":[{"vulnerability":{"id":"X-1","severity":"High","fix":{"versions":["2"]}},"relatedVulnerabilities":[{"id":"CVE-1"}],"artifact":{"name":"a","version":"1","purl":"pkg:a/b@1","locations":[{"path":"/a"}]}}],"source":{"type":"image","target":{"imageID":"DIGEST","manifestDigest":"DIGEST","repoDigests":[]}},"descriptor":{"name":"grype","version":"1"}"#))),
        ("osv-scanner", crate::joined(record, &report(r#""results":[{"source":{"path":"a"},"packages":[{"package":{"name":"a","version":"1","ecosystem":"Go"},"vulnerabilities":[{"id":"X-1"}],"groups":[{"ids":["X-1"],"aliases":["CVE-1"],"max_severity":"7.5"}]}]}],"image_metadata":{"layer_metadata":[{"diff_id":"DIGEST","is_empty":false}]}"#))),
    ]
}

/// The report of a scanner about an image that is called by the same digest everywhere.
fn report(fields: &str) -> Vec<u8> {
    let digest = format!("sha256:{}", "a".repeat(64));
    format!("{{{}}}", fields.replace("DIGEST", &digest)).into_bytes()
}

/// Executables with lists, and with what names libraries, crates and secrets.
fn files() -> Seeds {
    let mut seeds: Seeds = elfs().into_iter().chain(go()).chain(rust()).collect();
    let words = b"\0OpenSSL 3.5.4 30 Sep 2025\0 deflate 1.3.1 Copyright 1995-2024 Jean-loup Gailly and Mark Adler \0\
        /registry/src/index.crates.io-1949cf8c6b5b557f/serde-1.0.0/src/lib.rs\0\
        /rustc/01f6ddf7588f42ae2d7eb0a2f21d44e8e96674cf/library\0SQLite format 3\x00\
        2024-05-23 13:25:27 96c92aba00c8375bc32fafcdf12429c58bd8aabfcadab6683e35bbb9cdebf19e\x003.46.0\0";
    let secrets = b"ghp_ github_pat_ xoxb-1 AccountKey= SG. eyJhbGciOiJIUzI1NiJ9.eyJ \
        -----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4\n\nMIIabc LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t \
        {\"auths\":{\"r\":{\"auth\": \"cm9ib3Q6aHVudGVyMg==\"}}} machine a.b login c password d \
        https://robot:hunter2@a.b/ PuTTY-User-Key-File-3: x\nPrivate-Lines: 1";
    seeds.push(("words", words.to_vec()));
    seeds.push(("secrets", secrets.to_vec()));
    seeds
}

fn databases() -> Seeds {
    let dpkg = b"Package: a\nStatus: install ok installed\nVersion: 1.0-1\nArchitecture: amd64\nSource: b (1.0)\n\n";
    let apk = b"P:musl\nV:1.2.5-r9\nA:x86_64\nL:MIT\no:musl\nF:usr/bin\nR:app\n\n";
    let list = b"/.\n/usr/bin/app\nd41d8cd98f00b204e9800998ecf8427e  usr/bin/app\n";
    let bill = br#"{"bomFormat":"CycloneDX","metadata":{"component":{"name":"app"}},"components":[{"group":"g","name":"n","version":"v1","purl":"pkg:a/b@1","licenses":[{"license":{"id":"MIT"}},{"expression":"0BSD"}],"supplier":{"name":"s"},"copyright":"c"}]}"#;
    vec![
        ("dpkg", crate::joined(dpkg, list)),
        ("apk", crate::joined(apk, list)),
        ("sidecar", crate::joined(dpkg, bill)),
    ]
}

fn registries() -> Seeds {
    let challenge = br#"Negotiate abc==, Bearer realm="https://auth.example/token",service="reg.example",scope="repository:a/b:pull,push", Basic realm=x"#;
    let link = br#"</v2/a/tags/list?last=b&n=2>; rel="next", </x>; title="a, b"; rel=prev"#;
    let digest = "0a".repeat(32);
    let reference = format!("docker://reg.example:5000/team/app:v1@sha256:{digest}");
    let config = br#"{"auths":{"reg.example":{"auth":"dTpw"},"https://index.docker.io/v1/":{"username":"u","password":"p","identitytoken":"t"}},"credHelpers":{"x.example":"pass"},"credsStore":"store"}"#;
    vec![
        ("challenge", behind(0, challenge)),
        ("link", behind(1, link)),
        ("absolute", behind(2, b"https://reg.example:5000/v2/a/x?state=%2F..")),
        ("elsewhere", behind(2, b"//user@[::1]:80/%2e%2E/x#y")),
        ("relative", behind(2, b"7f-a?x")),
        ("reference", behind(3, reference.as_bytes())),
        ("layout", behind(3, b"oci:dir/image:v1")),
        ("credentials", behind(4, config)),
    ]
}

fn tars() -> Seeds {
    let file = |path: &[u8]| member(b'0', path, b"", "644", b"content");
    let long = [&b"d/".repeat(60)[..], b"name\0"].concat();
    let attributes = [
        record("mtime", b"1.5"),
        record("path", b"other/name"),
        record("SCHILY.xattr.user.x", b"y"),
    ]
    .concat();
    let tree = [
        member(b'5', b"usr/", b"", "755", b""),
        member(b'5', b"usr/bin/", b"", "755", b""),
        member(b'0', b"usr/bin/app", b"", "755", b"\x7fELF"),
        member(b'2', b"bin", b"usr/bin", "777", b""),
        member(b'1', b"usr/bin/other", b"usr/bin/app", "755", b""),
        member(b'3', b"dev/null", b"", "666", b""),
        member(b'6', b"pipe", b"", "666", b""),
        file(b"./.wh.gone"),
    ];
    vec![
        ("tree", archive(&tree)),
        ("pax", archive(&[member(b'x', b"PaxHeaders/x", b"", "644", &attributes), file(b"cut")])),
        (
            "global",
            archive(&[
                member(b'g', b"pax_global_header", b"", "644", &record("comment", b"x")),
                file(b"a"),
            ]),
        ),
        (
            "gnu",
            archive(&[
                member(b'L', b"././@LongLink", b"", "644", &long),
                file(b"cut"),
                member(b'K', b"././@LongLink", b"", "644", &long),
                member(b'2', b"link", b"cut", "777", b""),
            ]),
        ),
        ("unmarked", file(b"a")),
        ("empty", archive(&[])),
    ]
}

fn deflated(bytes: &[u8], level: u8) -> Vec<u8> {
    miniz_oxide::deflate::compress_to_vec(bytes, level)
}

fn gzips() -> Seeds {
    let text = b"one line of text\n".repeat(40);
    let plain = |bytes: &[u8]| gzip::member(&deflated(bytes, 6)).expect("a stream");
    let mut named = plain(b"named");
    named[3] = 8;
    named.splice(10..10, *b"name\0");
    vec![
        ("stored", behind(0, &deflated(&text, 0))),
        ("fixed", behind(0, &deflated(b"aaa", 6))),
        ("dynamic", behind(0, &deflated(&text, 9))),
        ("tail", behind(0, &[deflated(&text, 6), b"tail".to_vec()].concat())),
        ("two", behind(1, &[plain(b"one"), plain(&text)].concat())),
        ("named", behind(1, &named)),
    ]
}

fn zstds() -> Seeds {
    let text = b"one line of text\n".repeat(40);
    let frame = |bytes: &[u8], level| zstd::encode_all(bytes, level).expect("memory takes it");
    let mut summed = zstd::Encoder::new(Vec::new(), 19).expect("the level is there");
    summed.include_checksum(true).expect("it is there");
    summed.write_all(&text).expect("memory takes it");
    let summed = summed.finish().expect("memory takes it");
    let skipped = b"\x50\x2a\x4d\x18\x04\0\0\0skip".to_vec();
    let noise: Vec<u8> =
        (0..600_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    vec![
        ("text", frame(&text, 3)),
        ("summed", summed.clone()),
        ("noise", frame(&noise, 1)),
        ("two", [frame(b"one", 3), skipped, summed].concat()),
        ("empty", frame(b"", 3)),
    ]
}

/// Programs that the C compiler links, small ones; it is there, for the fuzzer needs it.
fn compiled() -> Vec<Vec<u8>> {
    let folder = std::env::temp_dir().join(format!("karat-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
    let source = folder.join("a.c");
    std::fs::write(
        &source,
        "int answer(void) { return 42; }\nint main(void) { return answer(); }\n",
    )
    .expect("it is writable");
    let mut files = Vec::new();
    for options in [
        &["-s"][..],
        &["-s", "-no-pie", "-Wl,-rpath,$ORIGIN/../lib"],
        &["-s", "-shared", "-fPIC", "-Wl,-soname,liba.so.1"],
        &["-c"],
    ] {
        let out = folder.join("a.out");
        let linked = Command::new("cc").args(options).args([&source]).arg("-o").arg(&out).status();
        if linked.is_ok_and(|status| status.success()) {
            files.push(std::fs::read(&out).expect("it was made"));
        }
    }
    let _ = std::fs::remove_dir_all(folder);
    files
}

fn elfs() -> Seeds {
    let names = ["pie", "fixed", "library", "object"];
    let mut seeds: Seeds = names.into_iter().zip(compiled()).collect();
    assert!(!seeds.is_empty(), "the C compiler links nothing");
    seeds.push(("made", elf::program(&[(".data", b"data")])));
    for (name, big, machine) in [("arm", false, 40_u16), ("i386", false, 3), ("s390", true, 22)] {
        let number = |value: u32, size: usize| {
            let bytes = if big {
                value.to_be_bytes()[4 - size..].to_vec()
            } else {
                value.to_le_bytes()[..size].to_vec()
            };
            bytes
        };
        let mut file = vec![0x7f, b'E', b'L', b'F', 1, if big { 2 } else { 1 }, 1];
        file.resize(16, 0);
        for (value, size) in [
            (2, 2),
            (u32::from(machine), 2),
            (1, 4),
            (0x8054, 4),
            (52, 4),
            (0, 4),
            (0, 4),
            (52, 2),
            (32, 2),
            (1, 2),
            (0, 2),
            (0, 2),
            (0, 2),
        ] {
            file.extend(number(value, size));
        }
        for value in [1, 0, 0x8000, 0x8000, 0x80, 0x80, 5, 0x1000] {
            file.extend(number(value, 4));
        }
        file.resize(0x80, 0x90);
        seeds.push((name, file));
    }
    seeds
}

fn go() -> Seeds {
    let frame = b"0123456789abcdef";
    let modules = [&frame[..], b"path\ta.org/m/cmd\nmod\ta.org/m\tv1.0.0\th1:x=\ndep\tb.org/n\tv1.2.3\th1:y=\n=>\t./c\t\t\nbuild\t-compiler=gc\nbuild\tvcs.modified=true\n", frame].concat();
    let mut info = b"\xff Go buildinf:\x08\x02".to_vec();
    info.resize(32, 0);
    for text in [&b"go1.26.0"[..], &modules] {
        assert!(text.len() < 1 << 14);
        info.extend([(text.len() & 0x7f) as u8 | 0x80, (text.len() >> 7) as u8]);
        info.extend(text);
    }
    let mut old = b"\xff Go buildinf:\x08\x00".to_vec();
    old.extend([0; 16]);
    old.resize(64, 0);
    let names = b"main.main\0os/exec.Command\0type:.eq.a/b.C\0a.org/m.(*T[...]).F\0";
    // `debug/gosym`: magic, sizes, numbers, offsets; then the names.
    let table = |magic: u32, fields: &[u64]| {
        let mut bytes = magic.to_le_bytes().to_vec();
        bytes.extend([0, 0, 1, 8]);
        for field in fields {
            bytes.extend(field.to_le_bytes());
        }
        bytes.resize(72, 0);
        bytes.extend(names);
        bytes
    };
    let end = 72 + names.len() as u64;
    let new = table(0xffff_fff1, &[4, 1, 0x40_0000, 72, end, end, end, end]);
    let go116 = table(0xffff_fffa, &[4, 1, 72, end, end, end, end]);
    // Go 1.2: pairs of an address and the offset of a function, whose second word is a name's.
    let mut go12 = 0xffff_fffb_u32.to_le_bytes().to_vec();
    go12.extend([0, 0, 1, 8]);
    for word in [1_u64, 0x40_0000, 48, 0x40_0010, 0] {
        go12.extend(word.to_le_bytes());
    }
    go12.extend(0x40_0000_u64.to_le_bytes());
    go12.extend(60_u32.to_le_bytes());
    go12.extend(b"main.main\0");
    vec![
        ("new", behind(0, &joined(&info, &new))),
        ("loose", behind(1, &joined(&info, &new))),
        ("pointers", behind(0, &joined(&old, &go116))),
        ("go12", behind(0, &joined(&info, &go12))),
    ]
}

fn rust() -> Seeds {
    let list = br#"{"packages":[{"name":"app","version":"1.0.0","source":"local","dependencies":[1,2],"root":true},{"name":"serde","version":"1.0.1","source":"crates.io"},{"name":"cc","version":"1.1.0","source":"registry","kind":"build","dependencies":[1]}],"format":1}"#;
    let mut packed = miniz_oxide::deflate::compress_to_vec_zlib(list, 9);
    packed.extend(b"\0");
    vec![
        ("list", behind(0, list)),
        ("packed", behind(1, &packed)),
        ("comment", behind(1, b"\0rustc version 1.95.0 (f2d3ce0bd 2026-03-21)\0")),
    ]
}

fn shebangs() -> Seeds {
    let long = [&b"#!/"[..], &[b'a'; 260]].concat();
    vec![
        ("sh", b"#!/bin/sh\necho\n".to_vec()),
        ("argument", b"#! /usr/bin/perl -w -T \n".to_vec()),
        ("env", b"#!/usr/bin/env -S -i A=b python3 -u\r\n".to_vec()),
        ("nested", b"#!/usr/bin/env -vS --split-string='a \"b c\" \\$x'".to_vec()),
        ("nul", b"#!/bin/sh\0x\n".to_vec()),
        ("blank", b"#! \t \n".to_vec()),
        ("long", long),
    ]
}

/// A definition of each kind, and a lock of each kind as karat writes it.
fn bases() -> Seeds {
    use karat::base::lock::{
        Evidence, Lock, LockedImage, LockedLayer, LockedManifest, LockedPlatform, LockedSignature,
        SignedBy,
    };
    let image = format!(
        "[base]\nkind = \"image\"\nplatforms = [\"linux/amd64\"]\nmax-age = \"30d\"\nenv = {{ A = \"b\" }}\n[image]\nreference = \"docker://reg.example/up@{DIGEST}\"\nsigner = {{ issuer = \"https://i.example\", identity = \"a@b.example\" }}\n"
    );
    let digest: karat::oci::Digest = DIGEST.parse().expect("a digest");
    let lock = |evidence: Evidence| Lock {
        definition: digest,
        assembly: "as-it-is".to_owned(),
        contents: digest,
        suites: Vec::new(),
        image: Some(LockedImage {
            digest,
            size: 9,
            media_type: karat::oci::MediaType::INDEX,
            locked: "2026-11-23".parse().expect("a day"),
            signature: Some(LockedSignature { by: SignedBy::Key("00".repeat(32)), evidence }),
        }),
        platforms: vec![LockedPlatform {
            platform: "linux/amd64".parse().expect("a platform"),
            digest,
            image: Some(LockedManifest {
                size: 1,
                media_type: karat::oci::MediaType::MANIFEST,
                config: digest,
                config_size: 2,
            }),
            layers: vec![LockedLayer {
                name: "layer-1".to_owned(),
                digest,
                diff_id: DIGEST.parse().expect("a diff id"),
                size: 3,
                media_type: None,
            }],
            packages: Vec::new(),
        }],
    };
    let (payload, manifest) = (digest, digest);
    let bundle = lock(Evidence::Bundle { bundle: digest, size: 4 });
    let legacy = lock(Evidence::Legacy { payload, size: 5, manifest, manifest_size: 6 });
    vec![
        ("packages", behind(0, include_bytes!("../../bases/cc-debian13.toml"))),
        ("image", behind(0, image.as_bytes())),
        ("lock-packages", behind(1, include_bytes!("../../bases/static-debian13.lock.toml"))),
        ("lock-bundle", behind(1, bundle.to_text("up").as_bytes())),
        ("lock-legacy", behind(1, legacy.to_text("up").as_bytes())),
    ]
}

/// A key whose private half nobody has kept.
pub const PUBLIC_KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAErbqS3Qlbt+iKNkraHE0IVdAQQRrP
onXH7WEaHIAdbrV7osIR1RlYxUDBtjPYsxwfNIhWceN4fDLwy3AyVBULcA==
-----END PUBLIC KEY-----
";

fn legacy_signatures() -> Seeds {
    let document = format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"r.example/a"}},"image":{{"docker-manifest-digest":"sha256:{}"}},"type":"cosign container image signature"}},"optional":{{"a":"b"}}}}"#,
        "ab".repeat(32)
    );
    let signature = br#"{"dev.cosignproject.cosign/signature":"MAYCAQECAQE="}"#;
    let logged = br#"{"dev.cosignproject.cosign/signature":"MAYCAQECAQE=","dev.sigstore.cosign/bundle":"{\"SignedEntryTimestamp\":\"MAA=\",\"Payload\":{\"body\":\"eyJhcGlWZXJzaW9uIjoiMC4wLjEiLCJraW5kIjoiaGFzaGVkcmVrb3JkIiwic3BlYyI6e319\",\"integratedTime\":1700000000,\"logIndex\":7,\"logID\":\"c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d\"}}","dev.sigstore.cosign/rfc3161timestamp":"{\"SignedRFC3161Timestamp\":\"MAA=\"}","dev.sigstore.cosign/certificate":"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"}"#;
    let envelope = br#"{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"keyid":"","sig":"MAYCAQECAQE="}]}"#;
    vec![
        ("signature", behind(0, &joined(signature, document.as_bytes()))),
        ("logged", behind(0, &joined(logged, document.as_bytes()))),
        ("attestation", behind(1, &joined(b"{}", envelope))),
    ]
}

fn waivers() -> Seeds {
    vec![
        ("recipe", behind(1, format!("{RECIPE}{WIDE}{WAIVER}").as_bytes())),
        ("blocks", behind(2, format!("{WAIVER}{BY_DIGEST}").as_bytes())),
        ("policy", behind(0, POLICY.as_bytes())),
    ]
}

/// A zip file of these members (name, method, plain bytes).
fn zip(members: &[(&str, u64, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, method, plain) in members {
        let packed = if *method == 8 { deflated(plain, 6) } else { plain.to_vec() };
        let offset = file.len() as u64;
        let mut common = Vec::new();
        for (value, size) in [
            (20, 2),
            (0, 2),
            (*method, 2),
            (0, 4),
            (u64::from(gzip::crc32(plain)), 4),
            (packed.len() as u64, 4),
            (plain.len() as u64, 4),
            (name.len() as u64, 2),
            (0, 2),
        ] {
            elf::put(&mut common, value, size);
        }
        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend(name.as_bytes());
        file.extend(packed);
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&common);
        for (value, size) in [(0, 2), (0, 2), (0, 2), (0o100_755 << 16, 4), (offset, 4)] {
            elf::put(&mut directory, value, size);
        }
        directory.extend(name.as_bytes());
    }
    let start = file.len() as u64;
    file.extend(&directory);
    file.extend(b"PK\x05\x06");
    for (value, size) in [
        (0, 2),
        (0, 2),
        (members.len() as u64, 2),
        (members.len() as u64, 2),
        (directory.len() as u64, 4),
        (start, 4),
        (0, 2),
    ] {
        elf::put(&mut file, value, size);
    }
    file
}

fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        file.extend(
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_755, bytes.len())
                .as_bytes(),
        );
        file.extend(*bytes);
        file.resize(file.len().next_multiple_of(2), b'\n');
    }
    file
}

fn archives() -> Seeds {
    let program = elf::program(&[(".data", b"data")]);
    let tree = archive(&[
        member(b'0', b"a/app", b"", "755", &program),
        member(b'0', b"b.sh", b"", "755", b"#!/bin/sh\n"),
    ]);
    let zipped = zip(&[("a/", 0, b""), ("a/app", 8, &program), ("b.txt", 0, b"text")]);
    let packed = gzip::member(&deflated(&tree, 6)).expect("a stream");
    let encoded = b"f0VMRgIBAQAAAAAAAAAAAAIAPgABAAAA6AAAAAAAAABAAAAAAAAAAA==".to_vec();
    let key = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n"
        .to_vec();
    let all: Vec<(&str, Vec<u8>)> = vec![
        ("zip", zip(&[("in.zip", 0, &zipped), ("t.tar.gz", 8, &packed)])),
        ("zstd", zstd::encode_all(&tree[..], 3).expect("memory takes it")),
        ("gzip", packed),
        ("ar", ar(&[("debian-binary", b"2.0\n"), ("data.tar/", &tree), ("#1/4", b"nameodd")])),
        ("tar", tree),
        ("glued", [b"\x89PNG\r\n\x1a\n".as_slice(), &program, b"tail"].concat()),
        ("encoded", encoded),
        ("key", key),
        ("script", b"#!/usr/bin/env python3\nimport os\n".to_vec()),
        ("program", program),
    ];
    all.into_iter().map(|(name, bytes)| (name, behind(0, &bytes))).collect()
}

fn layers() -> Seeds {
    let tree = tars().swap_remove(0).1;
    let program = elf::program(&[(".data", b"data")]);
    let base = archive(&[
        member(b'5', b"etc/", b"", "755", b""),
        member(b'0', b"etc/passwd", b"", "644", b"root:x:0:0::/:/bin/sh\n"),
        member(b'0', b"etc/ld.so.conf", b"", "644", b"/tmp/lib\n"),
        member(b'5', b"usr/", b"", "755", b""),
        member(b'0', b"usr/app", b"", "4755", &program),
        member(b'2', b"lib", b"usr/lib", "777", b""),
    ]);
    let upper = archive(&[
        member(b'0', b"etc/.wh.passwd", b"", "644", b""),
        member(b'0', b"usr/.wh..wh..opq", b"", "644", b""),
        member(b'2', b"a", b"b/../c", "777", b""),
        member(b'2', b"c", b"/a", "777", b""),
        member(b'1', b"usr/sh", b"usr/app", "755", b""),
        member(b'0', b"lib/libc.so.6", b"", "755", b"x"),
    ]);
    vec![
        ("deleted", joined(&base, &upper)),
        ("tree", joined(&tree, &base)),
        ("empty", joined(&archive(&[]), &tree)),
    ]
}

fn documents() -> Seeds {
    let descriptor = |media: &str, more: &str| {
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.{media}","digest":"{DIGEST}","size":2{more}}}"#
        )
    };
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[{},{}],"annotations":{{"a":"b"}}}}"#,
        descriptor("config.v1+json", ""),
        descriptor("layer.v1.tar+gzip", ""),
        descriptor("layer.v1.tar+zstd", r#","urls":["x"]"#)
    );
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{},{}]}}"#,
        descriptor(
            "manifest.v1+json",
            r#","platform":{"architecture":"arm64","os":"linux","variant":"v8"}"#
        ),
        descriptor("manifest.v1+json", r#","annotations":{"x":"y"}"#)
    );
    let nulls = br#"{"architecture":"arm","os":"linux","variant":"v7","config":{"User":"root","Env":null,"Cmd":["sh","-c","x"],"OnBuild":["RUN x"],"Healthcheck":{"Test":["CMD-SHELL","true"],"Interval":1}},"rootfs":{"type":"layers","diff_ids":[]}}"#;
    vec![
        ("manifest", behind(0, manifest.as_bytes())),
        ("index", behind(1, index.as_bytes())),
        ("config", behind(2, CONFIG.as_bytes())),
        ("nulls", behind(2, nulls)),
    ]
}

fn texts() -> Seeds {
    let hostile = "a\u{1b}[2J\r\n\u{202e}b]]><script>&amp;'\"%0A::error::|`\u{200b}";
    let all = [hostile.as_bytes(); 5].join(&[0xff][..]);
    vec![
        ("hostile", all),
        ("plain", b"oci:x\xfflinux/amd64\xff/usr/bin/app\xffthis is it\xff4 of 5".to_vec()),
    ]
}

fn debs() -> Seeds {
    let control = archive(&[member(
        b'0',
        b"./control",
        b"",
        "644",
        b"Package: aa\nVersion: 1\nArchitecture: all\n",
    )]);
    let data = archive(&[
        member(b'5', b"./etc/", b"", "755", b""),
        member(b'0', b"./etc/a", b"", "644", b"text"),
    ]);
    let zst = |bytes: &[u8]| zstd::encode_all(bytes, 1).expect("memory");
    let gz = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    };
    let format: (&str, &[u8]) = ("debian-binary", b"2.0\n");
    vec![
        ("plain", ar(&[format, ("control.tar", &control), ("data.tar", &data)])),
        ("gzip", ar(&[format, ("control.tar.gz", &gz(&control)), ("data.tar.gz", &gz(&data))])),
        (
            "zstd",
            ar(&[
                format,
                ("_x", b"y"),
                ("control.tar.zst", &zst(&control)),
                ("data.tar.zst", &zst(&data)),
            ]),
        ),
    ]
}

fn controls() -> Seeds {
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let index = format!(
        "Package: aa\nVersion: 1:2.0~rc1-3+b1\nArchitecture: amd64\nPre-Depends: bb\nDepends: cc (>= 1), dd | ee (<< 2~)\nProvides: ff (= 1)\nDescription: a\n b\n .\nFilename: pool/main/a/aa/aa_1_amd64.deb\nSize: 0\nSHA256: {hash}\n\nPackage: bb\n"
    );
    vec![
        ("index", behind(0, index.as_bytes())),
        ("depends", behind(1, b"aa (>= 1:2-3), bb | cc:any (<< 2~), dd (= 1)")),
        ("versions", behind(1, b"1.0~rc1-1 1.0-1+b2")),
    ]
}

fn releases() -> Seeds {
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let release = format!(
        "Suite: stable\nCodename: trixie\nDate: Sat, 21 Nov 2026 09:15:44 UTC\nValid-Until: Sat, 28 Nov 2026 09:15:44 UTC\nAcquire-By-Hash: yes\nSHA256:\n {hash} 0 main/binary-amd64/Packages\n"
    );
    let signed = format!(
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{release}-----BEGIN PGP SIGNATURE-----\n\niHUEARYKAB0WIQRBWH99uMd0vM8TFBZ2L2egssOd5AUCZxAAAAAKCRB2L2egssOd\n5AAAAAEAAAA=\n=AAAA\n-----END PGP SIGNATURE-----\n"
    );
    vec![
        ("release", behind(0, release.as_bytes())),
        (
            "keys",
            behind(
                1,
                include_bytes!("../../bases/keyrings/debian-archive.gpg")
                    .get(..2000)
                    .unwrap_or_default(),
            ),
        ),
        ("signed", behind(2, signed.as_bytes())),
    ]
}
