//! Assembly format 1, pinned: the same input gives these digests, for ever.
//!
//! When a test here fails, the bytes of images have changed. If that was not wanted, find
//! out what did it: an encoder's update is the usual reason. If it was, the new rules are
//! a new assembly format: raise `assemble::FORMAT`, describe it in
//! `docs/assembly-format.md`, and only then write the new digests here. The diff id of the
//! added layer is not pinned but computed here, byte by byte, without karat's code: while
//! `the_added_layer_is_the_tar_that_posix_describes` passes, only compression or the
//! documents can have changed.

use crate::support::elf::{AARCH64, Elf};
use crate::support::{Project, digest_of, recipe_on};

const EPOCH: u64 = 1_700_000_000;
const SCRATCH: &str = "sha256:7aea13484a053494d5defaca06ddfb1d638d3abf41f82bcbcfa70af07780ae91";
// These two also move with the lock of the built-in base, and with nothing else.
const DEBIAN: &str = "sha256:36ccafb2dddc0bdd8126a03c46ae92d57bd138fb6e4dd0b22f016dc6e39e1a86";
const ZSTD: &str = "sha256:4ae4649d44064026a16e4410b4e6066b2e561f7941164f3232943b829781f821";
const TWO: &str = "sha256:aa904ff6a2fd708d215a7eb096a5e2302668bc164e96ae0b8b247593ca5efa01";

fn project(base: &str, further: &str) -> Project {
    let project = Project::new();
    project.write("out/amd64", Elf::with("golden ".repeat(20_000)).build());
    project.write(
        "out/arm64",
        Elf { machine: AARCH64, payload: "golden".repeat(9).into(), ..Elf::default() }.build(),
    );
    project.write("data/config.json", "{\"answer\":42}\n");
    project.write("data/sub/empty", "");
    let text = recipe_on(base, further, "golden/format-1", "out/{arch}")
        + r#"path = "/usr/bin/golden"
[[file]]
source = "data"
path = "/etc/golden"
owner = "10:20"
mode = "0440"
[[directory]]
path = "/data"
[[link]]
path = "/golden"
target = "/usr/bin/golden"
"#;
    project.write("golden.karat.toml", text);
    project
}

fn build(project: &Project) -> String {
    project.done(&format!("build --source-date-epoch {EPOCH}")).digest()
}

#[test]
fn format_1_on_scratch_has_its_pinned_digest() {
    assert_eq!(build(&project("scratch", "")), SCRATCH);
}

#[test]
fn format_1_on_static_debian13_has_its_pinned_digest() {
    assert_eq!(build(&project("static-debian13", "")), DEBIAN);
}

#[test]
fn format_1_with_zstd_has_its_pinned_digest() {
    let project = project("scratch", "");
    let text = String::from_utf8(project.read("golden.karat.toml")).expect("text");
    project.write("golden.karat.toml", text + "[layer]\ncompression = \"zstd\"\n");
    assert_eq!(build(&project), ZSTD);
}

#[test]
fn format_1_of_two_platforms_has_its_pinned_digest() {
    let platforms = "platforms = [\"linux/amd64\", \"linux/arm64\"]\n";
    assert_eq!(build(&project("static-debian13", platforms)), TWO);
}

#[test]
fn the_added_layer_is_the_tar_that_posix_describes() {
    let project = project("scratch", "");
    build(&project);
    let layout = project.dist("golden/format-1");
    let app = project.read("out/amd64");
    let expected = [
        member("data/", b'5', 0o750, (65532, 65532), "", b""),
        member("etc/", b'5', 0o755, (0, 0), "", b""),
        member("etc/golden/", b'5', 0o755, (0, 0), "", b""),
        member("etc/golden/config.json", b'0', 0o440, (10, 20), "", b"{\"answer\":42}\n"),
        member("etc/golden/sub/", b'5', 0o755, (10, 20), "", b""),
        member("etc/golden/sub/empty", b'0', 0o440, (10, 20), "", b""),
        member("golden", b'2', 0o777, (0, 0), "/usr/bin/golden", b""),
        member("usr/", b'5', 0o755, (0, 0), "", b""),
        member("usr/bin/", b'5', 0o755, (0, 0), "", b""),
        member("usr/bin/golden", b'0', 0o555, (0, 0), "", &app),
        vec![0; 1024],
    ]
    .concat();
    let manifest = layout.manifest();
    let tar = layout.tar(&manifest["layers"][0]);
    if let Some(at) = tar.iter().zip(&expected).position(|(a, b)| a != b) {
        panic!("byte {} of block {} differs", at % 512, at / 512);
    }
    assert_eq!(tar.len(), expected.len());
    assert_eq!(layout.config()["rootfs"]["diff_ids"], serde_json::json!([digest_of(&expected)]));
}

/// Writes a member as POSIX.1-2017 `pax`, "ustar Interchange Format", describes it.
fn member(
    path: &str,
    kind: u8,
    mode: u64,
    (uid, gid): (u64, u64),
    target: &str,
    content: &[u8],
) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    let octal = |value: u64, digits: usize| format!("{value:0digits$o}\0").into_bytes();
    put(0, path.as_bytes());
    put(100, &octal(mode, 7));
    put(108, &octal(uid, 7));
    put(116, &octal(gid, 7));
    put(124, &octal(content.len() as u64, 11));
    put(136, &octal(EPOCH, 11));
    put(148, b"        ");
    put(156, &[kind]);
    put(157, target.as_bytes());
    put(257, b"ustar\x0000");
    put(329, &octal(0, 7));
    put(337, &octal(0, 7));
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    // The standard lets a number end in one or more NULs or spaces; this is one NUL.
    header[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
    let mut bytes = header.to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}
