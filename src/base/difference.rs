//! What a new lock changes, for people who review.

use super::lock::{Lock, LockedImage, LockedPackage};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The most paths that are listed of one kind.
const MOST: usize = 40;

/// Describes the difference of two locks, and of their lists of entries: packages, files,
/// sizes. Empty when there is none.
pub fn text(old: Option<(&Lock, Option<&str>)>, new: (&Lock, &str)) -> String {
    let (lock, contents) = new;
    let Some((before, old_contents)) = old else {
        return first(lock);
    };
    let mut text = String::new();
    if before.definition != lock.definition {
        let _ = writeln!(text, "definition  changed");
    }
    if before.assembly != lock.assembly {
        let _ = writeln!(text, "assembly    {} -> {}", before.assembly, lock.assembly);
    }
    if let (Some(was), Some(image)) = (&before.image, &lock.image) {
        if was.digest != image.digest {
            let _ = writeln!(text, "image       {} -> {}", was.digest, image.digest);
        }
        if was.signature != image.signature {
            let (old, new) = (signer(was), signer(image));
            let _ = writeln!(text, "signature   {old} -> {new}");
        }
    } else if let Some(image) = &lock.image {
        of_image(&mut text, image);
    }
    for suite in &lock.suites {
        let was = before.suites.iter().find(|one| one.name == suite.name);
        match was {
            Some(was) if was == suite => {}
            Some(was) => {
                let (old, new) = (&was.date, &suite.date);
                let _ = writeln!(text, "suite       {}  {old} -> {new}", suite.name);
            }
            None => {
                let _ = writeln!(text, "suite       {}  new, {}", suite.name, suite.date);
            }
        }
    }
    for platform in &lock.platforms {
        let was = before.platform(&platform.platform);
        let packages = |packages: &[LockedPackage]| -> BTreeMap<String, (String, u64)> {
            packages.iter().map(|one| (one.name.clone(), (one.version.clone(), one.size))).collect()
        };
        let (old, new) = (
            was.map(|was| packages(&was.packages)).unwrap_or_default(),
            packages(&platform.packages),
        );
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let of = &platform.platform;
            match (old.get(name), new.get(name)) {
                (Some(a), Some(b)) if a != b => {
                    let _ = writeln!(
                        text,
                        "package     {of}  {name}  {} -> {}  ({} -> {} bytes)",
                        a.0, b.0, a.1, b.1
                    );
                }
                (Some(a), None) => {
                    let _ = writeln!(text, "package     {of}  {name}  {} -> gone", a.0);
                }
                (None, Some(b)) => {
                    let (version, size) = b;
                    let _ =
                        writeln!(text, "package     {of}  {name}  new, {version}  ({size} bytes)");
                }
                _ => {}
            }
        }
        let size =
            |layers: &[super::lock::LockedLayer]| layers.iter().map(|one| one.size).sum::<u64>();
        let (a, b) = (was.map_or(0, |was| size(&was.layers)), size(&platform.layers));
        if was.is_none_or(|was| was.layers != platform.layers) {
            let _ = writeln!(text, "stored      {}  {a} -> {b} bytes", platform.platform);
        }
    }
    if before.contents != lock.contents {
        files(&mut text, old_contents, contents);
    }
    text
}

/// Says who signed an image.
fn signer(image: &LockedImage) -> String {
    let by = image.signature.as_ref().map(|signature| signature.by.to_string());
    crate::finding::escape::terminal(&by.unwrap_or_else(|| "nobody who is asked for".to_owned()))
}

fn of_image(text: &mut String, image: &LockedImage) {
    let _ = writeln!(text, "image       {}, signed by {}", image.digest, signer(image));
}

fn first(lock: &Lock) -> String {
    let mut text = String::new();
    if let Some(image) = &lock.image {
        of_image(&mut text, image);
    }
    for suite in &lock.suites {
        let _ = writeln!(
            text,
            "suite       {}  {}, signed by {}",
            suite.name,
            suite.date,
            suite.signed_by.join(", ")
        );
    }
    for platform in &lock.platforms {
        for package in &platform.packages {
            let _ = writeln!(
                text,
                "package     {}  {}  {}  ({} bytes)",
                platform.platform, package.name, package.version, package.size
            );
        }
        let size: u64 = platform.layers.iter().map(|one| one.size).sum();
        let _ = writeln!(
            text,
            "stored      {}  {size} bytes in {} layers",
            platform.platform,
            platform.layers.len()
        );
    }
    text
}

fn files(text: &mut String, old: Option<&str>, new: &str) {
    let Some(old) = old else {
        let _ = writeln!(
            text,
            "files       the old list of entries is missing, so that no file can be compared"
        );
        return;
    };
    fn of(contents: &str) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut lines: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for line in contents.lines().filter(|line| line.starts_with('/')) {
            lines.entry(line.split("  ").next().unwrap_or_default()).or_default().insert(line);
        }
        lines
    }
    let (old, new) = (of(old), of(new));
    let added = new.keys().filter(|path| !old.contains_key(*path));
    let removed = old.keys().filter(|path| !new.contains_key(*path));
    let changed =
        new.iter().filter(|(path, lines)| old.get(*path).is_some_and(|was| was != *lines));
    list(text, "added", added.copied());
    list(text, "removed", removed.copied());
    list(text, "changed", changed.map(|(path, _)| *path));
}

fn list<'a>(text: &mut String, what: &str, paths: impl Iterator<Item = &'a str>) {
    let paths: Vec<_> = paths.collect();
    for path in paths.iter().take(MOST) {
        let _ = writeln!(text, "{what:<11} {path}");
    }
    if paths.len() > MOST {
        let _ = writeln!(text, "{what:<11} and {} more", paths.len() - MOST);
    }
}
