//! What libraries and compilers leave in the bytes of an executable, whatever the file is
//! called: version banners of C libraries, paths of Rust crates, copyright notices.
//!
//! Purpose: to name what is linked in where no list does. Takes: a source. Gives:
//! [`Banners`], each with the place where it stands. Must not: believe a lone word; hold more
//! than a window of the bytes, or more than [`MOST`] of anything.
//! Sources: the version strings of the libraries named in [`LIBRARIES`]; cargo, "Cargo Home",
//! `registry/src`, for the paths.

use super::ReadAt;
use super::search::scan;
use aho_corasick::{AhoCorasick, Input, MatchKind};
use regex::bytes::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::LazyLock;

/// How many bytes around a mark belong to it, on each side.
const AROUND: usize = 256;
/// The most crates, and the most notices, of one file.
pub const MOST: usize = 2_000;
/// The most characters of a notice.
const NOTICE: usize = 200;

/// What stands in the bytes of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Banners {
    /// The C libraries, by name, each version once.
    pub libraries: Vec<Library>,
    /// The Rust crates by name and version, and whether they are from crates.io.
    pub crates: BTreeMap<(String, String), bool>,
    /// The commits of the Rust compilers whose standard library is in it.
    pub rustc: BTreeSet<String>,
    /// The copyright notices, safe to show.
    pub notices: BTreeSet<String>,
    /// Whether there are more crates or notices than are kept.
    pub truncated: bool,
}

/// A library that was recognised.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Library {
    /// Its name.
    pub name: &'static str,
    /// Its version; none when the bytes do not say it.
    pub version: Option<String>,
    /// The words that said it, safe to show.
    pub banner: String,
    /// Where they stand, in bytes from the start of the file.
    pub place: u64,
    /// How sure that is, in percent.
    pub confidence: u8,
}

/// How a library is recognised: the words that its banner begins with, what must follow, with
/// the version in the group `v`, and how sure that is in percent.
struct Form {
    name: &'static str,
    mark: &'static str,
    banner: &'static str,
    confidence: u8,
}

const fn form(
    name: &'static str,
    mark: &'static str,
    banner: &'static str,
    confidence: u8,
) -> Form {
    Form { name, mark, banner, confidence }
}

/// The libraries. No mark, and no pattern as it is written, is a banner: karat does not find
/// itself. A banner with a date or an owner is believed more than a name with a number.
const LIBRARIES: [Form; 20] = [
    form(
        "openssl",
        "OpenSSL ",
        r"^OpenSSL (?<v>\d+\.\d+\.\d+[a-z]*(?:-[a-z]+\d*)?)(?:\+[a-z]+)? +\d{1,2} [A-Z][a-z]{2} \d{4}",
        95,
    ),
    form("aws-lc", "AWS-LC ", r"^AWS-LC (?:FIPS )?(?<v>\d+\.\d+\.\d+)(?:[^\d.]|$)", 85),
    form("boringssl", "(compatible; ", r"^\(compatible; BoringSSL\)", 85),
    form("libressl", "LibreSSL ", r"^LibreSSL (?<v>\d+\.\d+\.\d+)[\x00\n]", 85),
    form("zlib", " deflate 1.", r"^ deflate (?<v>\d+(?:\.\d+){1,3}) Copyright \d{4}-\d{4} ", 95),
    form("zlib", " inflate 1.", r"^ inflate (?<v>\d+(?:\.\d+){1,3}) Copyright \d{4}-\d{4} ", 95),
    form("zlib-ng", " deflate 1.", r"^ deflate (?<v>\d+(?:\.\d+){1,3})\.zlib-ng", 85),
    form("curl", "libcurl/", r"^libcurl/(?<v>\d+\.\d+\.\d+)[\x00 -]", 70),
    form(
        "glibc",
        "GNU C Library (",
        r"^GNU C Library \([^)\x00]{1,80}\) (?:stable|development) release version (?<v>\d+\.\d+(?:\.\d+)?)",
        95,
    ),
    form("mbedtls", "bed TLS ", r"^bed TLS (?<v>\d+\.\d+\.\d+)\x00", 85),
    form("wolfssl", "wolfSSL ", r"^wolfSSL (?<v>\d+\.\d+\.\d+)\x00", 80),
    form("lua", "$LuaVersion: Lua ", r"^\$LuaVersion: Lua (?<v>5\.\d+\.\d+) ", 95),
    form("libpng", " libpng version ", r"^ libpng version (?<v>\d+\.\d+\.\d+)", 85),
    form("expat", "expat_", r"^expat_(?<v>\d+\.\d+\.\d+)\x00", 80),
    form("nghttp2", "nghttp2/", r"^nghttp2/(?<v>\d+\.\d+\.\d+)\x00", 75),
    form("jemalloc", "<jemalloc>", r"^<jemalloc>:\x20", 75),
    form("libssh2", "SSH-2.0-libssh2_", r"^SSH-2\.0-libssh2_(?<v>\d+\.\d+\.\d+)", 90),
    form("sqlite", "SQLite format 3", r"^SQLite format 3\x00", 60),
    form("musl", "No error information", r"^No error information\x00", 30),
    form("musl", "Symbolic link loop", r"^Symbolic link loop\x00", 30),
];
/// musl has no banner; two of its error texts that no other library has are one.
const MUSL: u8 = 60;

/// Marks behind the libraries'.
const REGISTRY: &str = "/registry/src/";
const RUSTC: &str = "/rustc/";
const NOTICES: [&str; 2] = ["Copyright", "\u{a9}"];

/// The marks, each once, and for each what begins with it: the numbers of libraries, and behind
/// them of the other marks.
struct Marks {
    search: AhoCorasick,
    numbers: Vec<Vec<usize>>,
}

static MARKS: LazyLock<Option<Marks>> = LazyLock::new(|| {
    let mut texts: Vec<&str> = Vec::new();
    let mut numbers: Vec<Vec<usize>> = Vec::new();
    let libraries = LIBRARIES.iter().map(|form| form.mark);
    for (number, text) in libraries.chain([REGISTRY, RUSTC]).chain(NOTICES).enumerate() {
        match texts.iter().position(|known| *known == text) {
            Some(at) => numbers.get_mut(at)?.push(number),
            None => {
                texts.push(text);
                numbers.push(vec![number]);
            }
        }
    }
    // No mark begins with another, so that one search finds where each starts. A search for all
    // that overlap cannot skip bytes that begin none.
    let search = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(texts).ok()?;
    Some(Marks { search, numbers })
});
static FORMS: LazyLock<Vec<Option<Regex>>> =
    LazyLock::new(|| LIBRARIES.iter().map(|form| regex(form.banner)).collect());
static CRATE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    regex(
        r"^/registry/src/(?<h>[A-Za-z0-9.-]{1,100})-[0-9a-f]{16}/(?<n>[A-Za-z][A-Za-z0-9_-]{0,63})-(?<v>\d+\.\d+\.\d+(?:[-+][A-Za-z0-9.+-]{1,40})?)/",
    )
});
static COMMIT: LazyLock<Option<Regex>> = LazyLock::new(|| regex(r"^/rustc/(?<c>[0-9a-f]{40})/"));
static SOURCE_ID: LazyLock<Option<Regex>> =
    LazyLock::new(|| regex(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d [0-9a-f]{40}(?:[0-9a-f]{24})?"));
static SQLITE: LazyLock<Option<Regex>> =
    LazyLock::new(|| regex(r"\x00(?<v>3\.\d{1,3}\.\d{1,3}(?:\.\d{1,3})?)\x00"));

/// Bytes are searched, not characters.
fn regex(text: &str) -> Option<Regex> {
    regex::bytes::RegexBuilder::new(text).unicode(false).build().ok()
}

impl Banners {
    /// Reads a source once, and once more when it holds SQLite.
    ///
    /// # Errors
    /// When the bytes cannot be read.
    pub fn read(source: &dyn ReadAt) -> io::Result<Self> {
        let mut found = Self::default();
        let mut libraries: BTreeMap<(usize, Option<String>), Library> = BTreeMap::new();
        let Some(marks) = MARKS.as_ref() else { return Ok(found) };
        let end = source.len();
        scan(source, 0..u64::MAX, 2 * AROUND, &mut |at, chunk| {
            // What is near an end is whole in the neighbouring chunk.
            let first = if at == 0 { 0 } else { AROUND };
            let last = if at.saturating_add(chunk.len() as u64) >= end { 0 } else { AROUND };
            let own = first..chunk.len().saturating_sub(last);
            let mut from = 0;
            while let Some(hit) = marks.search.find(Input::new(chunk).range(from..)) {
                // Another may begin within this one.
                from = hit.start() + 1;
                if !own.contains(&hit.start()) {
                    continue;
                }
                let before = &chunk[hit.start().saturating_sub(AROUND)..hit.start()];
                let behind = &chunk[hit.start()..chunk.len().min(hit.start() + AROUND)];
                let place = at.saturating_add(hit.start() as u64);
                for number in marks.numbers.get(hit.pattern().as_usize()).into_iter().flatten() {
                    match number.checked_sub(LIBRARIES.len()) {
                        None => {
                            if let Some(library) = library(*number, behind, place) {
                                let key = (*number, library.version.clone());
                                libraries.entry(key).or_insert(library);
                            }
                        }
                        Some(0) => found.add_crate(behind),
                        Some(1) => found.add_commit(behind),
                        Some(_) => found.add_notice(before, behind),
                    }
                }
            }
            None::<()>
        })?;
        found.libraries = merged(libraries.into_values().collect());
        if let Some(at) = found.libraries.iter().position(|one| one.name == "sqlite") {
            match sqlite(source)? {
                Some((version, banner)) => {
                    let sqlite = &mut found.libraries[at];
                    (sqlite.version, sqlite.banner, sqlite.confidence) = (version, banner, 90);
                }
                // Only the name of the format: a program that reads such files, or tests for them.
                None => drop(found.libraries.remove(at)),
            }
        }
        Ok(found)
    }

    fn add_crate(&mut self, text: &[u8]) {
        let Some(found) = CRATE.as_ref().and_then(|crates| crates.captures(text)) else { return };
        let part = |name: &str| {
            let bytes = found.name(name).map_or(&[][..], |part| part.as_bytes());
            String::from_utf8_lossy(bytes).into_owned()
        };
        let public = ["index.crates.io", "github.com"].contains(&part("h").as_str());
        let key = (part("n"), part("v"));
        if self.crates.len() < MOST || self.crates.contains_key(&key) {
            *self.crates.entry(key).or_default() |= public;
        } else {
            self.truncated = true;
        }
    }

    fn add_commit(&mut self, text: &[u8]) {
        let found = COMMIT.as_ref().and_then(|commit| commit.captures(text)?.name("c"));
        if let Some(found) = found.filter(|_| self.rustc.len() < MOST) {
            self.rustc.insert(String::from_utf8_lossy(found.as_bytes()).into_owned());
        }
    }

    /// Adds the line around a mark when it names a year: a notice does, a manual page does not.
    fn add_notice(&mut self, before: &[u8], behind: &[u8]) {
        let ends = |c: &u8| *c < 0x20 || *c == 0x7f;
        let from = before.iter().rposition(ends).map_or(0, |at| at + 1);
        let to = behind.iter().position(ends).unwrap_or(behind.len());
        let line = [&before[from..], &behind[..to]].concat();
        let year = line.windows(4).any(|four| {
            matches!(four, [b'1', b'9', _, _] | [b'2', b'0', _, _])
                && four.iter().all(u8::is_ascii_digit)
        });
        let Ok(line) = std::str::from_utf8(&line) else { return };
        let line: String = line.trim().chars().take(NOTICE).collect();
        if !year || line.contains('%') {
            return;
        }
        match self.notices.len() < MOST {
            true => drop(self.notices.insert(line)),
            false => self.truncated |= !self.notices.contains(&line),
        }
    }
}

/// Reads one banner.
fn library(number: usize, text: &[u8], place: u64) -> Option<Library> {
    let form = LIBRARIES.get(number)?;
    let found = FORMS.get(number)?.as_ref()?.captures(text)?;
    let shown = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.trim_matches(|c: char| c.is_control() || c == ' ').to_owned()
    };
    Some(Library {
        name: form.name,
        version: found.name("v").map(|version| shown(version.as_bytes())),
        banner: shown(found.get_match().as_bytes()),
        place,
        confidence: form.confidence,
    })
}

/// Makes one of the banners of the same library and version, and one of musl's two texts.
fn merged(found: Vec<Library>) -> Vec<Library> {
    let texts_of_musl = found.iter().filter(|one| one.name == "musl").count();
    let mut libraries: Vec<Library> = Vec::new();
    for mut library in found {
        if library.name == "musl" {
            if texts_of_musl < 2 {
                continue;
            }
            library.confidence = MUSL;
        }
        // What BoringSSL and AWS-LC say of compatibility is no OpenSSL; their banners differ.
        let same = libraries
            .iter_mut()
            .find(|one| (one.name, &one.version) == (library.name, &library.version));
        match same {
            Some(one) => one.confidence = one.confidence.max(library.confidence),
            None => libraries.push(library),
        }
    }
    libraries.sort();
    libraries
}

/// Looks for SQLite's source id, and for its version: a string of its own. The version is
/// none when several strings look like one; nothing without a source id.
fn sqlite(source: &dyn ReadAt) -> io::Result<Option<(Option<String>, String)>> {
    let mut id = None;
    let mut versions: BTreeSet<String> = BTreeSet::new();
    let (Some(ids), Some(numbers)) = (SOURCE_ID.as_ref(), SQLITE.as_ref()) else {
        return Ok(None);
    };
    scan(source, 0..u64::MAX, AROUND, &mut |_, chunk| {
        if id.is_none() {
            let found = ids.find(chunk);
            id = found.map(|found| String::from_utf8_lossy(found.as_bytes()).into_owned());
        }
        for found in numbers.captures_iter(chunk).filter_map(|found| found.name("v")) {
            if versions.len() < 2 {
                versions.insert(String::from_utf8_lossy(found.as_bytes()).into_owned());
            }
        }
        None::<()>
    })?;
    let only = if versions.len() == 1 { versions.pop_first() } else { None };
    Ok(id.map(|id| (only, id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Banners {
        Banners::read(&bytes).unwrap()
    }

    #[test]
    fn banners_name_libraries_and_versions() {
        for (text, name, version) in [
            ("OpenSSL 3.5.4 30 Sep 2025", "openssl", Some("3.5.4")),
            ("OpenSSL 1.1.1w  11 Sep 2023", "openssl", Some("1.1.1w")),
            ("OpenSSL 3.0.2+quic 15 Mar 2022", "openssl", Some("3.0.2")),
            ("OpenSSL 1.1.1 (compatible; AWS-LC 1.69.0)", "aws-lc", Some("1.69.0")),
            ("OpenSSL 1.1.1 (compatible; BoringSSL)", "boringssl", None),
            ("LibreSSL 3.9.2\0", "libressl", Some("3.9.2")),
            (
                " deflate 1.3.1 Copyright 1995-2024 Jean-loup Gailly and Mark Adler ",
                "zlib",
                Some("1.3.1"),
            ),
            (" inflate 1.2.13 Copyright 1995-2022 Mark Adler ", "zlib", Some("1.2.13")),
            ("libcurl/8.5.0 OpenSSL/3.0.2", "curl", Some("8.5.0")),
            (
                "GNU C Library (Debian GLIBC 2.36-9+deb12u10) stable release version 2.36.\n",
                "glibc",
                Some("2.36"),
            ),
            ("Mbed TLS 3.6.2\0", "mbedtls", Some("3.6.2")),
            ("$LuaVersion: Lua 5.4.6  Copyright (C) 1994-2023", "lua", Some("5.4.6")),
            ("expat_2.5.0\0", "expat", Some("2.5.0")),
        ] {
            let found = read(format!("\0{text}\0").as_bytes()).libraries;
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert_eq!((found[0].name, found[0].version.as_deref()), (name, version), "{text}");
        }
    }

    #[test]
    fn marks_that_begin_in_each_other_are_all_found() {
        let marks = MARKS.as_ref().unwrap();
        let texts: Vec<&str> = LIBRARIES.iter().map(|form| form.mark).collect();
        let all: Vec<&str> =
            texts.iter().copied().chain([REGISTRY, RUSTC]).chain(NOTICES).collect();
        for one in &all {
            let is_front = |other: &&&str| **other != *one && other.starts_with(one);
            assert_eq!(all.iter().find(is_front), None, "{one}");
        }
        assert_eq!(marks.numbers.iter().map(Vec::len).sum::<usize>(), all.len());
        let commit = "a".repeat(40);
        let text =
            format!("/registry/src/rustc/{commit}/library OpenSSL OpenSSL 3.5.4 30 Sep 2025");
        let found = read(text.as_bytes());
        assert_eq!(found.rustc, BTreeSet::from([commit]));
        assert_eq!(found.libraries.len(), 1);
        // Both libraries of one mark are asked.
        let ng = read(b"\0 deflate 1.3.1.zlib-ng Copyright\0").libraries;
        assert_eq!(ng.iter().map(|one| one.name).collect::<Vec<_>>(), ["zlib-ng"]);
    }

    #[test]
    fn this_table_is_no_library() {
        let table: Vec<&str> =
            LIBRARIES.iter().flat_map(|form| [form.mark, form.banner, form.name]).collect();
        for between in ["", " "] {
            assert_eq!(read(table.join(between).as_bytes()).libraries, [], "{between:?}");
        }
    }

    #[test]
    fn words_alone_are_no_library() {
        for text in [
            "OpenSSL 3",
            "use OpenSSL 1.1.1 or newer",
            "OpenSSL 1.1.1 (compatible; something)",
            "BoringSSL is not supported",
            "AWS-LC is used",
            " deflate 1.0 or better",
            "inflate 1.2.3 Copyright",
            "GNU C Library (glibc) is needed",
            "No error information\0",
            "SQLite format 3\0",
            "<jemalloc>",
            "libcurl/x.y",
        ] {
            assert_eq!(read(text.as_bytes()).libraries, [], "{text}");
        }
    }

    #[test]
    fn musl_and_sqlite_need_more_than_one_mark() {
        let musl = read(b"No error information\0...Symbolic link loop\0").libraries;
        assert_eq!(musl.len(), 1);
        assert_eq!((musl[0].name, &musl[0].version, musl[0].confidence), ("musl", &None, MUSL));
        let id =
            "2024-05-23 13:25:27 96c92aba00c8375bc32fafcdf12429c58bd8aabfcadab6683e35bbb9cdebf19e";
        let sqlite = read(format!("SQLite format 3\0{id}\x003.46.0\0").as_bytes()).libraries;
        assert_eq!((sqlite[0].version.as_deref(), &*sqlite[0].banner), (Some("3.46.0"), id));
        let two = format!("SQLite format 3\0{id}\x003.46.0\0x\x003.9.1\0");
        assert_eq!(read(two.as_bytes()).libraries[0].version, None);
    }

    #[test]
    fn crates_are_in_the_paths_of_panics() {
        let found = read(
            b"/home/u/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/serde_json-1.0.140/src/de.rs\
            /c/registry/src/github.com-1ecc6299db9ec823/http-0.2.12-rc.1/src/lib.rs\
            /c/registry/src/mirror.example-0123456789abcdef/own-2.0.0/src/lib.rs\
            /c/registry/src/mirror.example-0123456789abcdef/../own-2.0.0/x\
            /rustc/01f6ddf7588f42ae2d7eb0a2f21d44e8e96674cf/library/core/src/x.rs",
        );
        let name = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        let expected = [
            (name("http", "0.2.12-rc.1"), true),
            (name("own", "2.0.0"), false),
            (name("serde_json", "1.0.140"), true),
        ];
        assert_eq!(found.crates, expected.into());
        assert_eq!(found.rustc, ["01f6ddf7588f42ae2d7eb0a2f21d44e8e96674cf".to_owned()].into());
    }

    #[test]
    fn notices_are_lines_with_a_year() {
        let found = read(
            "\0Copyright (C) 1994-2023 Lua.org\0see Copyright\0\u{a9} 2020 Us\n\
             Copyright %d 2020\0Copyright\u{1b}[2J 2020\0"
                .as_bytes(),
        );
        let notices: Vec<_> = found.notices.iter().map(String::as_str).collect();
        assert_eq!(notices, ["Copyright (C) 1994-2023 Lua.org", "\u{a9} 2020 Us"]);
    }

    #[test]
    fn what_lies_across_windows_is_found_once_and_hostile_files_stay_small() {
        let banner = b"\0OpenSSL 3.5.4 30 Sep 2025\0";
        for at in (262_144 - 600..262_144 + 100).step_by(7) {
            let mut bytes = vec![b'x'; 600_000];
            bytes[at..at + banner.len()].copy_from_slice(banner);
            let found = read(&bytes).libraries;
            assert_eq!(found.len(), 1, "{at}");
            assert_eq!(found[0].place, at as u64 + 1);
        }
        let many: String = (0..3 * MOST)
            .map(|n| {
                format!(
                    "\0Copyright 2020 {n}\0/registry/src/index.crates.io-1949cf8c6b5b557f/c{n}-1.0.0/"
                )
            })
            .collect();
        let found = read(many.as_bytes());
        assert_eq!((found.notices.len(), found.crates.len()), (MOST, MOST));
        assert!(found.truncated);
    }
}
