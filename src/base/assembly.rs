//! From packages to layers: what a lock says, made.
//!
//! Takes a definition, what was locked for a platform and the packages' bytes, gives the
//! entries of each layer. What comes out is a pure function of these and
//! [`super::lock::ASSEMBLY`]: no time, no user, no folder, no order of threads gets in.
//! Runs nothing of a package.

use super::debian::package::{self, Package, PackageError};
use super::definition::{Exclude, Packages};
use super::lock::{LockedPackage, LockedPlatform};
use crate::image::{Entry, Kind, shown};
use crate::oci::Digest;
use crate::store::{Content, Spool, SpoolRoom};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Read as _;
use std::sync::Arc;

/// Where each package's own records lie, as distroless images have them.
const STATUS: &str = "var/lib/dpkg/status.d";
/// The file of all certificates.
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";
/// The folder of the single certificates.
const SINGLE: &[u8] = b"usr/share/ca-certificates/";
/// The home of users that have none.
const NO_HOME: &str = "/nonexistent";
/// The longest certificate, in bytes.
const CERTIFICATE: u64 = 64 << 10;

/// A layer that was made.
#[derive(Debug)]
pub struct Made {
    /// Its name.
    pub name: String,
    /// What it holds, in byte order of the paths.
    pub entries: Vec<Entry>,
    /// The package that each entry is of, in the same order; none for the definition's own.
    pub owners: Vec<Option<String>>,
}

/// Why packages do not make a base.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum AssemblyError {
    #[error("the package `{name}`: {error}")]
    Package { name: String, error: PackageError },
    #[error("the package `{name}` says that it is {what}, and the lock has another")]
    Other { name: String, what: String },
    #[error("`{path}` of the package `{name}`: {why}")]
    Entry { name: String, path: String, why: String },
    #[error("`{path}` is in `{one}` and in `{other}`, and not alike")]
    Twice { path: String, one: String, other: String },
    #[error("`{path}` lies in a folder that nothing makes")]
    NoFolder { path: String },
    #[error("the exclusion `{0}` leaves nothing out")]
    Idle(String),
    #[error("no package `{0}` is there whose certificates are wanted")]
    NoCertificates(String),
}

/// Makes the layers of a base for a platform. `open` gives the bytes of a package, verified.
///
/// # Errors
/// The first package or entry that no base may hold, and what `open` reports.
pub fn layers<E: From<AssemblyError>>(
    definition: &Packages,
    locked: &[LockedPackage],
    room: &SpoolRoom,
    open: &dyn Fn(&LockedPackage) -> Result<Vec<u8>, E>,
) -> Result<Vec<Made>, E> {
    let mut making = Making {
        definition,
        room,
        seen: BTreeMap::new(),
        used: BTreeSet::new(),
        certificates: false,
    };
    let mut layers = Vec::new();
    for (number, layer) in definition.layers.iter().enumerate() {
        let mut entries = Vec::new();
        for package in locked.iter().filter(|one| one.layer == layer.name) {
            let bytes = open(package)?;
            making.package(package, &bytes, &mut entries)?;
        }
        if number == 0 {
            making.own(&mut entries)?;
        }
        entries.sort_by(|(one, _), (other, _): &(Entry, _)| one.path.cmp(&other.path));
        let (entries, owners) = entries.into_iter().unzip();
        layers.push(Made { name: layer.name.clone(), entries, owners });
    }
    making.finish()?;
    Ok(layers)
}

/// What is known of a path that has been made.
struct Seen {
    is_folder: bool,
    mode: u32,
    owner: (u64, u64),
    by: String,
}

struct Making<'a> {
    definition: &'a Packages,
    room: &'a SpoolRoom,
    seen: BTreeMap<Vec<u8>, Seen>,
    /// The exclusions that have left something out, by their numbers.
    used: BTreeSet<usize>,
    certificates: bool,
}

type Entries = Vec<(Entry, Option<String>)>;

impl Making<'_> {
    fn package(
        &mut self,
        locked: &LockedPackage,
        bytes: &[u8],
        entries: &mut Entries,
    ) -> Result<(), AssemblyError> {
        let name = &locked.name;
        let of = |error| AssemblyError::Package { name: name.clone(), error };
        let read = Package::read(bytes, &package::limits(), self.room).map_err(of)?;
        let says = |key| read.fields.get(key).unwrap_or_default();
        let found = [says("Package"), says("Version"), says("Architecture")];
        if found != [&locked.name[..], &locked.version, &locked.architecture] {
            let what = crate::finding::escape::terminal(&found.join(" "));
            return Err(AssemblyError::Other { name: name.clone(), what });
        }
        let mut kept: BTreeSet<Vec<u8>> = BTreeSet::new();
        let mut certificates: Vec<Entry> = Vec::new();
        let mut files: BTreeMap<Vec<u8>, (Content, u32)> = BTreeMap::new();
        for mut entry in read.entries {
            let original = entry.path.clone();
            if self.definition.usr_merged && !merge(&mut entry) {
                continue;
            }
            if let Kind::Hardlink(target) = &entry.kind {
                // Layers and their readers are better off with a file more.
                let Some((content, mode)) = files.get(target) else {
                    let why = "it is a hard link to what the package does not hold before it";
                    return Err(self.entry(name, &entry, why));
                };
                (entry.kind, entry.mode) = (Kind::File(content.clone()), *mode);
            }
            if let Kind::File(content) = &entry.kind {
                files.insert(original.clone(), (content.clone(), entry.mode));
            }
            let is_wanted = self.definition.certificates.as_ref() == Some(name);
            if is_wanted && entry.path.starts_with(SINGLE) && entry.content().is_some() {
                certificates.push(entry.clone());
            }
            if self.is_left_out(name, &entry.path) {
                continue;
            }
            if let Some(why) = package::objection(&entry) {
                return Err(self.entry(name, &entry, &why));
            }
            kept.insert(original);
            self.put(entry, Some(name), entries)?;
        }
        if self.definition.certificates.as_ref() == Some(name) {
            self.certificates = true;
            let bundle = self.bundle(name, certificates)?;
            self.put(file(BUNDLE, bundle), Some(name), entries)?;
        }
        let path = format!("{STATUS}/{name}");
        self.put(file(&path, read.control), Some(name), entries)?;
        let sums = read.md5sums.unwrap_or_default();
        // Only of what is there: scanners compare.
        let is_kept = |line: &&[u8]| {
            let path = line.iter().position(|c| *c == b' ').map(|at| &line[at..]);
            path.is_some_and(|path| kept.contains(path.trim_ascii()))
        };
        let sums: Vec<u8> =
            sums.split_inclusive(|c| *c == b'\n').filter(is_kept).flatten().copied().collect();
        self.put(file(&format!("{path}.md5sums"), sums), Some(name), entries)
    }

    fn entry(&self, name: &str, entry: &Entry, why: &str) -> AssemblyError {
        AssemblyError::Entry { name: name.to_owned(), path: entry.shown(), why: why.to_owned() }
    }

    fn is_left_out(&mut self, name: &str, path: &[u8]) -> bool {
        let mut left_out = false;
        for (number, exclude) in self.definition.excludes.iter().enumerate() {
            if exclude.leaves_out(name, path) {
                self.used.insert(number);
                left_out = true;
            }
        }
        left_out
    }

    /// Takes an entry, unless it is a folder that is there already.
    fn put(
        &mut self,
        mut entry: Entry,
        owner: Option<&str>,
        entries: &mut Entries,
    ) -> Result<(), AssemblyError> {
        let by = owner.unwrap_or("the definition");
        let is_folder = matches!(entry.kind, Kind::Directory);
        let owners = (entry.uid, entry.gid);
        if let Some(seen) = self.seen.get(&entry.path) {
            return match seen.is_folder
                && is_folder
                && (seen.mode, seen.owner) == (entry.mode, owners)
            {
                true => Ok(()),
                false => Err(AssemblyError::Twice {
                    path: entry.shown(),
                    one: seen.by.clone(),
                    other: by.to_owned(),
                }),
            };
        }
        entry.mtime = 0;
        let seen = Seen { is_folder, mode: entry.mode, owner: owners, by: by.to_owned() };
        self.seen.insert(entry.path.clone(), seen);
        entries.push((entry, owner.map(str::to_owned)));
        Ok(())
    }

    /// Makes what no package has: accounts, homes, files, and the folder of the records.
    fn own(&mut self, entries: &mut Entries) -> Result<(), AssemblyError> {
        let (mut passwd, mut group) = (String::new(), String::new());
        for user in &self.definition.users {
            let (name, id) = (&user.name, user.id);
            let _ = writeln!(passwd, "{name}:x:{id}:{id}:{name}:{}:/sbin/nologin", user.home);
            let home = user.home.relative().as_bytes();
            if user.home.as_str() != NO_HOME && !self.seen.contains_key(home) {
                let id = u64::from(id);
                let home = Entry { uid: id, gid: id, ..folder(home, 0o700) };
                self.put(home, None, entries)?;
            }
        }
        for one in &self.definition.groups {
            let _ = writeln!(group, "{}:x:{}:", one.name, one.id);
        }
        for (path, text) in [("etc/passwd", passwd), ("etc/group", group)] {
            if !text.is_empty() {
                self.put(file(path, text.into_bytes()), None, entries)?;
            }
        }
        for own in &self.definition.files {
            let text = own.text.clone().into_bytes();
            self.put(file(own.path.relative(), text), None, entries)?;
        }
        self.put(folder(STATUS.as_bytes(), 0o755), None, entries)
    }

    /// Writes every certificate of a package, in byte order of their names.
    fn bundle(&self, name: &str, mut certificates: Vec<Entry>) -> Result<Vec<u8>, AssemblyError> {
        certificates.sort_by(|one, other| one.path.cmp(&other.path));
        let mut bundle = Vec::new();
        let mut seen: BTreeSet<Digest> = BTreeSet::new();
        for entry in certificates {
            let pem = certificate(&entry).map_err(|why| self.entry(name, &entry, why))?;
            if !seen.insert(Digest::of(&pem)) {
                return Err(self.entry(name, &entry, "the same certificate is there twice"));
            }
            bundle.extend_from_slice(&pem);
        }
        Ok(bundle)
    }

    fn finish(self) -> Result<(), AssemblyError> {
        if let Some(name) = self.definition.certificates.as_ref().filter(|_| !self.certificates) {
            return Err(AssemblyError::NoCertificates(name.clone()));
        }
        let idle = |(number, exclude): (usize, &Exclude)| {
            (!self.used.contains(&number)).then(|| exclude.path.clone())
        };
        if let Some(path) = self.definition.excludes.iter().enumerate().find_map(idle) {
            return Err(AssemblyError::Idle(path));
        }
        for path in self.seen.keys() {
            let (parent, _) = crate::image::tree::split(path);
            let is_folder = self.seen.get(parent).is_some_and(|seen| seen.is_folder);
            if !parent.is_empty() && !is_folder {
                return Err(AssemblyError::NoFolder { path: shown(path) });
            }
        }
        Ok(())
    }
}

fn plain(path: &[u8], kind: Kind, mode: u32) -> Entry {
    Entry { path: path.to_vec(), kind, mode, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new() }
}

fn folder(path: &[u8], mode: u32) -> Entry {
    plain(path, Kind::Directory, mode)
}

fn file(path: &str, bytes: Vec<u8>) -> Entry {
    plain(path.as_bytes(), Kind::File(Content::whole(Arc::new(Spool::of(bytes)))), 0o644)
}

/// Moves an entry below `/usr` where its folder is a link to there; says whether it stays.
fn merge(entry: &mut Entry) -> bool {
    const MERGED: [&[u8]; 6] = [b"bin", b"sbin", b"lib", b"lib32", b"lib64", b"libx32"];
    let end = entry.path.iter().position(|c| *c == b'/').unwrap_or(entry.path.len());
    if !MERGED.contains(&&entry.path[..end]) {
        return true;
    }
    if end == entry.path.len() {
        // The link itself stays, the folder that other packages still have does not.
        return !matches!(entry.kind, Kind::Directory);
    }
    entry.path = [b"usr/", &entry.path[..]].concat();
    true
}

/// Returns the one certificate of a file, with a line feed behind it.
fn certificate(entry: &Entry) -> Result<Vec<u8>, &'static str> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----\n";
    const END: &str = "\n-----END CERTIFICATE-----";
    let content = entry.content().ok_or("it is no file")?;
    let mut bytes = Vec::new();
    content
        .reader()
        .take(CERTIFICATE + 1)
        .read_to_end(&mut bytes)
        .map_err(|_| "it cannot be read")?;
    if bytes.len() as u64 > CERTIFICATE {
        return Err("it is longer than any certificate");
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is no text")?.trim();
    let body = text.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
    let body: String = body.ok_or("it is not exactly one certificate")?.split('\n').collect();
    let der = STANDARD.decode(body).map_err(|_| "it is not exactly one certificate")?;
    // X.690: a sequence whose length is that of the rest.
    let whole = match der[..] {
        [0x30, 0x82, high, low, ..] => usize::from(high) << 8 | usize::from(low),
        _ => return Err("it is no X.509 certificate"),
    };
    match der.len() == whole + 4 {
        true => Ok(format!("{text}\n").into_bytes()),
        false => Err("it is no X.509 certificate"),
    }
}

/// Writes the list of a base's entries: for people who review, and to say where two differ.
/// Columns: platform, layer, path, type, mode, owner, size, hash or target, package.
pub fn contents(platforms: &[(&LockedPlatform, &[Made])]) -> String {
    let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (platform, layers) in platforms {
        for layer in *layers {
            for (entry, owner) in layer.entries.iter().zip(&layer.owners) {
                let line = line(&layer.name, entry, owner.as_deref());
                lines.entry(line).or_default().push(platform.platform.goarch().to_owned());
            }
        }
    }
    let mut text = String::from(
        "# Every entry: path, layer, type, mode, owner, size, hash or target, package or `-`, architectures.\n",
    );
    for (line, architectures) in lines {
        let _ = writeln!(text, "{line}  {}", architectures.join(","));
    }
    text
}

/// Describes an entry in one line, without its architectures.
pub fn line(layer: &str, entry: &Entry, owner: Option<&str>) -> String {
    let (kind, size, what) = match &entry.kind {
        Kind::File(content) => {
            use crate::binary::ReadAt as _;
            ("f", content.len(), content.sha256().hex())
        }
        Kind::Directory => ("d", 0, "-".to_owned()),
        Kind::Symlink(target) => ("l", 0, crate::finding::escape::bytes(target)),
        Kind::Hardlink(target) => ("h", 0, crate::finding::escape::bytes(target)),
        Kind::Special(what) => ("s", 0, (*what).to_owned()),
    };
    format!(
        "{}  {layer}  {kind}  {:04o}  {}:{}  {size}  {what}  {}",
        entry.shown(),
        entry.mode,
        entry.uid,
        entry.gid,
        owner.unwrap_or("-")
    )
}
