use super::*;
use crate::inspect::pass::{CHUNK, ELF, ENCODED_ELF, PLACES};

fn seen(bytes: &[u8]) -> (Scan, Vec<bool>) {
    RECOGNISER.scan(RECOGNISER.pass(&bytes).unwrap())
}

#[test]
fn every_category_of_the_table_has_a_rule() {
    for (fingerprint, _) in &RECOGNISER.fingerprints {
        assert!(of_category(&fingerprint.category).is_some(), "{}", fingerprint.category);
        assert!(
            (1..=fingerprint.strings.len()).contains(&fingerprint.need),
            "{}",
            fingerprint.tool
        );
    }
    assert!(RECOGNISER.fingerprints.len() >= 177);
}

#[test]
fn families_are_known_by_just_enough_and_not_by_less() {
    for one in &RECOGNISER.families {
        let name = &one.family.tool;
        assert!(one.is_sound() && of_category(&one.family.category).is_some(), "{name}");
        assert!(one.strings().all(|text| text.len() >= SHORTEST), "{name}: a short string");
        let marks = one.just_enough();
        let scan = |marks: &[&str]| {
            let bytes = format!("\0{}\0", marks.join("\0\0\0\0"));
            let (_, found) = seen(bytes.as_bytes());
            one.evidence(&found)
        };
        assert!(scan(&marks).is_some(), "{name}: {marks:?}");
        assert_eq!(scan(&marks[1..]), None, "{name}");
    }
    assert!(RECOGNISER.families.len() >= 40);
}

#[test]
fn engine_of_go_is_told_from_a_program_that_has_one() {
    assert!(is_of_module("github.com/dop251/goja/goja", "github.com/dop251/goja"));
    assert!(is_of_module("go.starlark.net/cmd/starlark", "go.starlark.net/starlark"));
    assert!(!is_of_module("example.com/app", "github.com/dop251/goja"));
    assert!(!is_of_module("golang.org/x/tools/cmd/goimports", "golang.org/x/crypto/ssh"));
}

#[test]
fn go_packages_are_compared_by_whole_segments() {
    assert!(lies_below("mvdan.cc/sh/v3/interp", "mvdan.cc/sh/v3/interp"));
    assert!(lies_below("github.com/a/b/cmd/c", "github.com/a/b"));
    assert!(!lies_below("github.com/a/bc", "github.com/a/b"));
    assert!(!lies_below("github.com/a", "github.com/a/b"));
    let linked = RECOGNISER.go_packages.iter().filter(|known| known.linked).count();
    assert!(linked >= 4 && RECOGNISER.rust_crates.iter().any(|one| one.name == "uucore"));
}

/// The marks of the tools that the gate must know, planted in other bytes.
#[test]
fn marks_are_found_across_the_borders_of_chunks() {
    for tool in ["busybox", "dash", "bash", "dpkg", "curl", "wget", "strace", "gdb"] {
        let known = RECOGNISER.fingerprints.iter().map(|(known, _)| known);
        let fingerprint = known
            .filter(|known| known.tool.starts_with(tool))
            .max_by_key(|known| known.strings.len());
        let fingerprint = fingerprint.unwrap_or_else(|| panic!("{tool} is in the table"));
        let mut bytes = vec![b'x'; 3 * CHUNK];
        for (i, string) in fingerprint.strings.iter().take(fingerprint.need).enumerate() {
            let at =
                CHUNK * (1 + i % 2) + RECOGNISER.needles.overlap() - string.len() / 2 + i * 200;
            bytes[at..at + string.len()].copy_from_slice(string.as_bytes());
        }
        let text = seen(&bytes).0.known;
        assert_eq!(text, Vec::new(), "a text only speaks of {tool}");
        bytes[0] = 0;
        let found = seen(&bytes).0.known;
        assert!(found.iter().any(|one| one.tool == fingerprint.tool), "{tool}: {found:?}");
        let one_short = fingerprint.strings[0].as_bytes();
        assert_eq!(seen(one_short).0.known, Vec::new());
    }
}

#[test]
fn karat_does_not_recognise_itself() {
    let itself = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let found = seen(&itself).0.known;
    assert_eq!(found, Vec::new());
}

#[test]
fn executables_are_found_once_and_the_first_byte_is_not_inside() {
    let mut bytes = vec![b'x'; 2 * CHUNK];
    for at in [0, CHUNK - 2, CHUNK + RECOGNISER.needles.overlap() - 1] {
        bytes[at..at + 4].copy_from_slice(ELF);
    }
    bytes[500..505].copy_from_slice(ENCODED_ELF);
    let (scan, _) = seen(&bytes);
    let second = (CHUNK + RECOGNISER.needles.overlap() - 1) as u64;
    assert_eq!(scan.executables, [CHUNK as u64 - 2, second]);
    assert_eq!(scan.encoded, [500]);
    let many = ELF.repeat(1000);
    assert_eq!(seen(&many).0.executables.len(), PLACES - 1);
}

#[test]
fn abilities_are_read_out_of_programs() {
    let scan = |text: &str| seen(text.as_bytes()).0.starts_programs;
    assert_eq!(scan("\0syscall.forkExec\0").len(), 1);
    assert_eq!(scan("\0memfd_create\0 fexecve is long enough").len(), 1);
    assert_eq!(scan("\0memfd_create\0"), Vec::<&str>::new());
    assert_eq!(scan("syscall.forkExec"), Vec::<&str>::new(), "a text");
    assert_eq!(scan("\0net/http.Serve\0"), Vec::<&str>::new());
}
