//! What a multi-call program answers to: version and tools, read back out of it.
//!
//! BusyBox has the sorted names of its applets in one run of zero-terminated words, the
//! first of which are `[` and `[[`. Toybox has a help text an applet, `usage: NAME`, for all
//! but a few. Of uutils, each tool leaves the path of its source in messages of panics.

use crate::binary::ReadAt;
use std::collections::BTreeSet;
use std::io;

/// The most bytes that are searched; the largest of these programs has 15 MiB.
const SEARCHED: usize = 32 << 20;
/// The most applets, and the longest name of one; BusyBox has fewer than 450.
const APPLETS: usize = 2000;
const NAME: usize = 32;
/// The applets that a reader asks for first.
const NOTABLE: [&str; 16] = [
    "ash", "sh", "hush", "wget", "nc", "telnet", "telnetd", "vi", "awk", "su", "login", "chroot",
    "nsenter", "unshare", "dpkg", "tftp",
];

/// The name of a program, what stands before its version, and how its applets are read.
type Known = (&'static str, &'static [u8], fn(&[u8]) -> BTreeSet<String>);

/// What is known of a multi-call program beyond its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Applets {
    /// Such as `BusyBox 1.35.0, 269 applets`.
    pub(super) what: String,
    /// The applets among them that give most away.
    pub(super) notable: Vec<String>,
}

impl Applets {
    /// Reads a program that was recognised as `tool`; `None` when the tool is none of these
    /// or says nothing about itself.
    ///
    /// # Errors
    /// When the bytes cannot be read.
    pub(super) fn read(source: &dyn ReadAt, tool: &str) -> io::Result<Option<Self>> {
        let (name, banner, names): Known = match tool {
            "busybox" => ("BusyBox", b"BusyBox v", of_busybox),
            "toybox" => ("Toybox", b"toybox ", of_toybox),
            "uutils-coreutils" => ("uutils coreutils", b"coreutils-", of_uutils),
            _ => return Ok(None),
        };
        let length = usize::try_from(source.len()).unwrap_or(SEARCHED).min(SEARCHED);
        let bytes = source.read_vec(0, length)?;
        let version = version(&bytes, banner).or_else(|| match tool {
            // The version of Toybox stands before its first applet.
            "toybox" => before_first_applet(&bytes),
            _ => None,
        });
        let applets = names(&bytes);
        let mut what = name.to_owned();
        if let Some(version) = &version {
            what = format!("{what} {version}");
        }
        if applets.len() > 1 {
            let at_least = if tool == "busybox" { "" } else { "at least " };
            what = format!("{what}, {at_least}{} applets", applets.len());
        }
        if version.is_none() && applets.len() <= 1 {
            return Ok(None);
        }
        let notable = NOTABLE.iter().filter(|name| applets.contains(**name));
        Ok(Some(Self { what, notable: notable.map(|name| (*name).to_owned()).collect() }))
    }
}

/// Returns the version that follows a word: digits and dots, at least one of each.
fn version(bytes: &[u8], banner: &[u8]) -> Option<String> {
    memchr::memmem::find_iter(bytes, banner).find_map(|at| number(&bytes[at + banner.len()..]))
}

fn number(rest: &[u8]) -> Option<String> {
    let rest = &rest[..rest.len().min(20)];
    let end = rest.iter().position(|c| !c.is_ascii_digit() && *c != b'.').unwrap_or(rest.len());
    let text = std::str::from_utf8(&rest[..end]).ok()?.trim_end_matches('.');
    (text.contains('.') && text.starts_with(|c: char| c.is_ascii_digit())).then(|| text.to_owned())
}

fn before_first_applet(bytes: &[u8]) -> Option<String> {
    let end = memchr::memmem::find(bytes, b"\0acpi\0")?;
    let start = bytes[..end].iter().rposition(|c| *c == 0)? + 1;
    number(&bytes[start..end])
}

fn is_name(word: &[u8]) -> bool {
    let known = |c: &u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"_.+-[]".contains(c);
    (1..=NAME).contains(&word.len()) && word.iter().all(known)
}

fn of_busybox(bytes: &[u8]) -> BTreeSet<String> {
    let mut names: Vec<&[u8]> = Vec::new();
    if let Some(start) = memchr::memmem::find(bytes, b"\0[\0[[\0") {
        for word in bytes[start + 1..].split(|c| *c == 0).take(APPLETS) {
            if !is_name(word) || names.last().is_some_and(|last| word <= *last) {
                break;
            }
            names.push(word);
        }
    }
    names.into_iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

fn of_toybox(bytes: &[u8]) -> BTreeSet<String> {
    between(bytes, b"\0usage: ", |c| c == b' ' || c == b'\n')
}

fn of_uutils(bytes: &[u8]) -> BTreeSet<String> {
    between(bytes, b"src/uu/", |c| c == b'/')
}

/// Returns the names that stand behind a word, each up to a byte that ends it.
fn between(bytes: &[u8], word: &[u8], ends: fn(u8) -> bool) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for at in memchr::memmem::find_iter(bytes, word) {
        let rest = &bytes[at + word.len()..];
        let rest = &rest[..rest.len().min(NAME + 1)];
        let Some(end) = rest.iter().position(|c| ends(*c)) else { continue };
        if is_name(&rest[..end]) && names.len() < APPLETS {
            names.insert(String::from_utf8_lossy(&rest[..end]).into_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], tool: &str) -> Option<Applets> {
        Applets::read(&bytes, tool).unwrap()
    }

    #[test]
    fn busybox_tells_version_and_applets() {
        let text = b"x\0BusyBox v1.35.0 (Debian)\0..\0[\0[[\0ash\0nc\0wget\0yes\0aaa\0zzz\0";
        let read = read(text, "busybox").unwrap();
        assert_eq!(read.what, "BusyBox 1.35.0, 6 applets");
        assert_eq!(read.notable, ["ash", "wget", "nc"]);
    }

    #[test]
    fn toybox_and_uutils_tell_what_they_have() {
        let text = b"\0usage: cat [FILE]\n\0usage: ls\n\0usage: %s\0--long\x000.8.9\0acpi\0ab\0";
        assert_eq!(read(text, "toybox").unwrap().what, "Toybox 0.8.9, at least 2 applets");
        let text = b"registry/coreutils-0.0.30-2/src/uu/cat/src/cat.rs\0src/uu/ls/src\0src/uu/cat/";
        let one = read(text, "uutils-coreutils").unwrap();
        assert_eq!(one.what, "uutils coreutils 0.0.30, at least 2 applets");
    }

    #[test]
    fn what_says_nothing_gives_nothing() {
        for tool in ["busybox", "toybox", "uutils-coreutils", "bash"] {
            assert_eq!(read(b"", tool), None);
            assert_eq!(read(b"BusyBox v, toybox %s, coreutils-x \0[\0", tool), None, "{tool}");
        }
        let endless = [b"\0[\0[[\0".to_vec(), vec![b'a'; 1 << 20]].concat();
        assert_eq!(read(&endless, "busybox").unwrap().what, "BusyBox, 2 applets");
        let many: String = (0..APPLETS * 2).map(|n| format!("\0a{n:09}")).collect();
        let what = read(format!("\0[\0[[{many}\0").as_bytes(), "busybox").unwrap().what;
        assert_eq!(what, format!("BusyBox, {APPLETS} applets"));
    }
}
