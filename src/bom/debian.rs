//! The packages of a Debian system as components: out of a base's record, or out of dpkg's
//! database in an image.
//!
//! Sources: Debian Policy, 5.1 (control files) and 5.6.1 (`Source`); dpkg's `status` file, and
//! `status.d` as distroless images have it; os-release(5).

use super::builder::Builder;
use super::executable::NAME;
use super::owners::Owners;
use super::{Archive, Completeness, Component, Detail, Evidence, Id, Kind, Source, apk, purl};
use crate::base::Package;
use crate::binary::ReadAt as _;
use crate::image::tree::{Node, split};
use crate::image::{Tree, shown};
use std::collections::BTreeMap;

/// The longest database that is read, in bytes.
const FILE: u64 = 16 << 20;
/// The most packages of one image.
const PACKAGES: usize = 20_000;
/// The longest `os-release` that is read, in bytes.
const OS_RELEASE: usize = 64 << 10;

/// A distribution and its release, as in `os-release`.
#[derive(Debug, Default)]
struct System {
    id: String,
    release: String,
}

/// What is known of one package.
struct Facts<'a> {
    name: &'a str,
    version: &'a str,
    architecture: &'a str,
    source: &'a str,
}

/// Adds the packages of a base's record.
pub(super) fn from_record(packages: &[Package], builder: &mut Builder) {
    let mut systems: BTreeMap<(&str, &str), Vec<Component>> = BTreeMap::new();
    for package in packages {
        let system = System { id: package.distribution.clone(), release: package.release.clone() };
        let facts = Facts {
            name: &package.name,
            version: &package.version,
            architecture: &package.architecture,
            source: &package.source,
        };
        let mut component = component(&system, &facts, Evidence::BaseRecord);
        component.archive = Some(Archive { path: package.pool.clone(), sha256: package.sha256 });
        let key = (package.distribution.as_str(), package.release.as_str());
        systems.entry(key).or_default().push(component);
    }
    for ((id, release), components) in systems {
        let system = System { id: id.to_owned(), release: release.to_owned() };
        add(builder, &system, components, Evidence::BaseRecord, Completeness::Complete);
    }
}

/// Adds the packages of the databases in the merged tree, if there are any, and tells whose
/// files are whose.
pub(super) fn from_tree(tree: &Tree<'_>, detail: Detail, builder: &mut Builder) -> Owners {
    let system = system(tree);
    let mut owners = Owners::default();
    let release = (system.id.as_str(), system.release.as_str());
    if let Some((packages, parts)) = apk::from_tree(tree, release, &mut owners, builder) {
        add(builder, &system, packages, Evidence::ApkDatabase, parts);
    }
    let mut packages: BTreeMap<Id, Component> = BTreeMap::new();
    let mut complete = true;
    for (path, node) in databases(tree) {
        let shown = shown(&path);
        let Some(content) = node.entry.content() else { continue };
        if content.len() > FILE {
            builder.gap(shown, "the package database", format!("it is longer than {FILE} bytes"));
            complete = false;
            continue;
        }
        let bytes = match content.read_vec(0, FILE as usize) {
            Ok(bytes) => bytes,
            Err(error) => {
                builder.gap(shown, "the package database", error.to_string());
                complete = false;
                continue;
            }
        };
        for stanza in stanzas(&bytes) {
            match stanza {
                Ok(stanza) if !stanza.installed => {}
                Ok(_) if packages.len() >= PACKAGES => {
                    let why = format!("more than {PACKAGES} packages");
                    builder.gap(shown.clone(), "further packages", why);
                    complete = false;
                    break;
                }
                Ok(stanza) => {
                    let facts = stanza.facts();
                    let component = component(&system, &facts, Evidence::DpkgStatus);
                    // Whose the files are takes as long to read as the packages.
                    let lists = lists(&path, &facts);
                    for list in lists.into_iter().filter(|_| detail == Detail::All) {
                        let node = tree.file(&list).ok();
                        let content = node.and_then(|node| node.entry.content());
                        let Some(content) = content.filter(|content| content.len() <= FILE) else {
                            continue;
                        };
                        if let Ok(list) = content.read_vec(0, FILE as usize) {
                            owners.add_list(tree, &list, &component.id);
                        }
                    }
                    packages.insert(component.id.clone(), component);
                }
                Err(why) => {
                    builder.gap(shown.clone(), "a package of the database", why);
                    complete = false;
                }
            }
        }
    }
    let parts = match (packages.is_empty(), complete) {
        (true, _) => Completeness::Unknown,
        (false, true) => Completeness::Complete,
        (false, false) => Completeness::Incomplete,
    };
    if owners.truncated {
        builder.gap("/".to_owned(), "whose the files are", "packages own too many files");
    }
    if !packages.is_empty() || !system.id.is_empty() && owners.is_empty() {
        add(builder, &system, packages.into_values().collect(), Evidence::DpkgStatus, parts);
    }
    owners
}

/// Returns where the lists of a package's files may be, beside the database that names it.
fn lists(database: &[u8], facts: &Facts<'_>) -> Vec<Vec<u8>> {
    let (folder, _) = split(database);
    let name = facts.name.as_bytes();
    let beside = |parts: &[&[u8]]| [&[folder, b"/"][..], parts].concat().concat();
    match folder.ends_with(b"/status.d") {
        true => vec![beside(&[name, b".md5sums"])],
        // Packages of several architectures have theirs in the name.
        false => vec![
            beside(&[b"info/", name, b".list"]),
            beside(&[b"info/", name, b":", facts.architecture.as_bytes(), b".list"]),
        ],
    }
}

/// Adds a system that contains its packages.
fn add(
    builder: &mut Builder,
    system: &System,
    packages: Vec<Component>,
    evidence: Evidence,
    parts: Completeness,
) {
    let name = if system.id.is_empty() { "debian" } else { &system.id };
    let id = Id::of(Kind::OperatingSystem, name, &[system.release.as_bytes()]);
    let mut whole = Component::new(id, Kind::OperatingSystem, name, evidence);
    whole.version = (!system.release.is_empty()).then(|| system.release.clone());
    whole.supplier = Some(supplier(name));
    whole.contains = packages.iter().map(|package| package.id.clone()).collect();
    whole.parts = parts;
    builder.add(whole);
    packages.into_iter().for_each(|package| builder.add(package));
}

fn supplier(id: &str) -> String {
    let mut chars = id.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn component(system: &System, facts: &Facts<'_>, evidence: Evidence) -> Component {
    let id = Id::of(
        Kind::Package,
        facts.name,
        &[facts.version.as_bytes(), facts.architecture.as_bytes(), facts.source.as_bytes()],
    );
    let mut component = Component::new(id, Kind::Package, facts.name, evidence);
    component.version = (!facts.version.is_empty()).then(|| facts.version.to_owned());
    let source = source(facts);
    let namespace = if system.id.is_empty() { "debian" } else { &system.id };
    let distro = match (system.id.is_empty(), system.release.is_empty()) {
        (false, false) => format!("{}-{}", system.id, system.release),
        _ => String::new(),
    };
    let upstream = match &source {
        Some(Source { name, version: Some(version) }) => format!("{name}@{version}"),
        Some(Source { name, version: None }) if name != facts.name => name.clone(),
        _ => String::new(),
    };
    component.purl = Some(purl::build(
        "deb",
        namespace,
        facts.name,
        facts.version,
        &[("arch", facts.architecture), ("distro", &distro), ("upstream", &upstream)],
    ));
    component.supplier = Some(supplier(namespace));
    component.source = source;
    component
}

/// Reads `NAME` or `NAME (VERSION)`; a package without the field is its own source.
fn source(facts: &Facts<'_>) -> Option<Source> {
    let (name, version) = match facts.source.split_once('(') {
        Some((name, rest)) => (name.trim(), rest.trim_end().strip_suffix(')').map(str::trim)),
        None => (facts.source.trim(), None),
    };
    let name = if name.is_empty() { facts.name } else { name };
    let version = version.filter(|version| *version != facts.version).map(str::to_owned);
    Some(Source { name: name.to_owned(), version })
}

/// Finds the files of dpkg's database, each once, in byte order.
fn databases<'a>(tree: &Tree<'a>) -> Vec<(Vec<u8>, Node<'a>)> {
    let Ok(folder) = tree.resolve(b"var/lib/dpkg") else { return Vec::new() };
    let below = [folder.as_slice(), b"/status.d/"].concat();
    let status = [folder.as_slice(), b"/status"].concat();
    let wanted = |path: &[u8]| {
        path == status
            || path.strip_prefix(below.as_slice()).is_some_and(|name| {
                // distroless keeps the checksums of the files beside each package.
                !name.contains(&b'/') && !name.ends_with(b".md5sums")
            })
    };
    let paths = tree.iter().map(|(path, _)| path).filter(|path| wanted(path));
    paths.filter_map(|path| Some((path.to_vec(), tree.file(path).ok()?))).collect()
}

/// Reads `ID` and `VERSION_ID` of the image's `os-release`; empty when there is none.
fn system(tree: &Tree<'_>) -> System {
    let mut system = System::default();
    let places: [&[u8]; 2] = [b"etc/os-release", b"usr/lib/os-release"];
    let Some(node) = places.iter().find_map(|path| tree.file(path).ok()) else { return system };
    let bytes = node.entry.content().map(|content| content.read_vec(0, OS_RELEASE));
    let Some(Ok(bytes)) = bytes else { return system };
    for line in String::from_utf8_lossy(&bytes).lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim().trim_matches(['"', '\'']);
        // Both are restricted to these characters by os-release(5).
        let fits = value.len() <= 64
            && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        match key.trim() {
            "ID" if fits => value.clone_into(&mut system.id),
            "VERSION_ID" if fits => value.clone_into(&mut system.release),
            _ => {}
        }
    }
    system
}

/// One paragraph of the database.
#[derive(Debug, Default, PartialEq, Eq)]
struct Stanza {
    name: String,
    version: String,
    architecture: String,
    source: String,
    installed: bool,
}

impl Stanza {
    fn facts(&self) -> Facts<'_> {
        Facts {
            name: &self.name,
            version: &self.version,
            architecture: &self.architecture,
            source: &self.source,
        }
    }
}

/// Reads the paragraphs of a database; those that cannot be believed give the reason.
fn stanzas(bytes: &[u8]) -> impl Iterator<Item = Result<Stanza, String>> {
    let mut lines = bytes.split(|byte| *byte == b'\n').map(|line| line.trim_ascii_end()).peekable();
    std::iter::from_fn(move || {
        while lines.next_if(|line| line.is_empty()).is_some() {}
        lines.peek()?;
        let paragraph = std::iter::from_fn(|| lines.next_if(|line| !line.is_empty()));
        Some(stanza(paragraph))
    })
}

fn stanza<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<Stanza, String> {
    let mut stanza = Stanza { installed: true, ..Stanza::default() };
    let mut fault = None;
    for line in lines {
        // Continuations belong to long fields, none of which is read.
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            continue;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (key, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if key.eq_ignore_ascii_case(b"Status") {
            // `want flag state`; the files of every state but these two are gone.
            let state = value.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
            stanza.installed = !matches!(state, b"not-installed" | b"config-files");
            continue;
        }
        let field = match key.to_ascii_lowercase().as_slice() {
            b"package" => &mut stanza.name,
            b"version" => &mut stanza.version,
            b"architecture" => &mut stanza.architecture,
            b"source" => &mut stanza.source,
            _ => continue,
        };
        let key = String::from_utf8_lossy(key);
        if value.len() > NAME {
            fault = Some(format!("`{key}` is longer than {NAME} bytes"));
        } else if !field.is_empty() {
            fault = Some(format!("`{key}` is there twice"));
        } else {
            *field = String::from_utf8_lossy(value).into_owned();
        }
    }
    match fault {
        Some(fault) => Err(fault),
        None if stanza.name.is_empty() => Err("it has no `Package`".to_owned()),
        None if stanza.version.is_empty() => Err(format!("`{}` has no `Version`", stanza.name)),
        None => Ok(stanza),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bom::testing::{entry, image, layer};
    use crate::bom::{self, Bom};
    use crate::image::Origin;

    fn bom(files: &[(&str, &[u8])]) -> Bom {
        let entries = files.iter().map(|(path, bytes)| entry(path, bytes)).collect();
        bom::of(&image(vec![layer(Origin::Foreign, entries)]), &[])
    }

    fn purls(bom: &Bom) -> Vec<&str> {
        bom.components.iter().filter_map(|component| component.purl.as_deref()).collect()
    }

    const OS: (&str, &[u8]) = ("etc/os-release", b"ID=debian\nVERSION_ID=\"13\"\n");

    #[test]
    fn packages_are_read_from_both_forms_of_the_database() {
        let found = bom(&[
            OS,
            ("var/lib/dpkg/status.d/libc6", b"Package: libc6\nVersion: 2.41-12+b1\nArchitecture: amd64\nSource: glibc (2.41-12)\nDescription: a\n b\n"),
            ("var/lib/dpkg/status.d/libc6.md5sums", b"00  usr/lib/x\n"),
            ("var/lib/dpkg/status", b"Package: tzdata\nStatus: install ok installed\nversion: 2026a-0\nArchitecture: all\n\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: netbase\nVersion: 6.5\nSource: netbase"),
        ]);
        assert!(found.gaps.is_empty(), "{:?}", found.gaps);
        assert_eq!(
            purls(&found),
            [
                "pkg:deb/debian/libc6@2.41-12%2Bb1?arch=amd64&distro=debian-13&upstream=glibc%402.41-12",
                "pkg:deb/debian/netbase@6.5?distro=debian-13",
                "pkg:deb/debian/tzdata@2026a-0?arch=all&distro=debian-13",
            ]
        );
        let system = &found.components[0];
        assert_eq!((system.name.as_str(), system.version.as_deref()), ("debian", Some("13")));
        assert_eq!((system.contains.len(), system.parts), (3, Completeness::Complete));
    }

    #[test]
    fn hostile_databases_leave_gaps_and_nothing_else() {
        let long = [b"Package: ".as_slice(), &b"x".repeat(1 << 20), b"\nVersion: 1\n"].concat();
        let found = bom(&[
            OS,
            ("var/lib/dpkg/status.d/long", &long),
            ("var/lib/dpkg/status.d/twice", b"Package: a\nVersion: 1\nVersion: 2\n"),
            ("var/lib/dpkg/status.d/nameless", b"Version: 1\n\xff\xfe\0"),
            ("var/lib/dpkg/status.d/good", b"Package: e\x1b[2J\"\xff\r\nVersion: 1?a=b"),
            ("var/lib/dpkg/status.d/same", b"Package: dup\nVersion: 1\n\nPackage: dup\nVersion: 1\n\nPackage: dup\nVersion: 2\n"),
        ]);
        assert_eq!(found.gaps.len(), 3, "{:?}", found.gaps);
        assert_eq!(
            purls(&found),
            [
                "pkg:deb/debian/dup@1?distro=debian-13",
                "pkg:deb/debian/dup@2?distro=debian-13",
                "pkg:deb/debian/e%1B%5B2j%22%EF%BF%BD@1%3Fa%3Db?distro=debian-13",
            ]
        );
        assert_eq!(found.components[0].parts, Completeness::Incomplete);
    }

    #[test]
    fn the_number_of_packages_is_bounded() {
        let many: String =
            (0..PACKAGES + 10).map(|i| format!("Package: p{i}\nVersion: 1\n\n")).collect();
        let found = bom(&[("var/lib/dpkg/status", many.as_bytes())]);
        assert_eq!(purls(&found).len(), PACKAGES);
        assert_eq!(found.gaps.len(), 1);
        // Without os-release the release is not made up.
        assert_eq!(purls(&found)[0], "pkg:deb/debian/p0@1");
    }
}
