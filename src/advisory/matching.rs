//! Which components of a bill have known vulnerabilities.
//!
//! Crates that are not from crates.io, modules that a folder stands in for, and versions that
//! nobody has released (pseudo-versions of a main module) match nothing: their names and
//! numbers are not those that advisories mean. Advisories that are one vulnerability under
//! several ids are one result a component.

use super::database::{Database, DatabaseError};
use super::osv::{Affected, Record};
use super::scanner::{self, Report};
use super::symbols::{Functions, Said};
use super::version::{self, Known};
use super::{severity, vex};
use crate::binary::ReadAt;
use crate::bom::{Bom, Component, Id, Kind};
use crate::finding::Severity;
use crate::oci::{Digest, purl};
use crate::settings::Vulnerabilities;
use std::collections::{BTreeMap, BTreeSet};

/// The most evidence of one vulnerability.
const EVIDENCE: usize = 8;

/// What was found in a bill.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    /// The vulnerabilities, the worst first.
    pub found: Vec<Matched>,
    /// How many components were looked up, by ecosystem.
    pub looked_up: BTreeMap<String, usize>,
    /// How many components no advisories are for, by kind: nothing is known of these.
    pub unknown: BTreeMap<&'static str, usize>,
    /// Of these, how many are of ecosystems that the database has no advisories of.
    pub lacking: BTreeMap<String, usize>,
    /// The documents of statements of which none suppresses anything here, in order.
    pub unused: Vec<String>,
}

/// A vulnerability of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// Its ids, the one that it is called by first.
    pub ids: Vec<String>,
    /// What it is, in a line.
    pub summary: String,
    /// The component.
    pub component: Id,
    /// Its name, as it is in the bill.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its package URL.
    pub purl: Option<String>,
    /// The first newer version without it.
    pub fixed: Option<String>,
    /// How bad it is; none when nobody says it.
    pub severity: Option<Severity>,
    /// Who says so.
    pub rated: Option<String>,
    /// What RustSec calls it when it is no vulnerability: `unmaintained`, `unsound`, `notice`.
    pub notice: Option<String>,
    /// The files that the component is in.
    pub paths: Vec<String>,
    /// Whether it counts.
    pub state: State,
    /// What says so.
    pub evidence: Vec<String>,
}

/// Whether a vulnerability counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It counts.
    Open,
    /// What is vulnerable is not in the file.
    NotAffected,
    /// Somebody has said that it does not count: who, and why.
    Suppressed(String),
}

/// What others say of what is scanned.
#[derive(Debug, Clone, Copy)]
pub struct Outside<'a> {
    /// What does not count.
    pub statements: &'a [vex::Statement],
    /// What other scanners have found in this very image.
    pub reports: &'a [&'a Report],
    /// The image that the statements must be about.
    pub image: vex::Concerned<'a>,
    /// What rejects: no report makes anything reject less.
    pub rules: &'a Vulnerabilities,
}

/// Looks up the components of a bill, in a database where there is one. `files` gives the bytes of
/// an executable by its hash, for the functions of Go programs.
///
/// # Errors
/// When the database cannot be read.
pub fn scan(
    bom: &Bom,
    database: Option<&Database>,
    files: &dyn Fn(&Digest) -> Option<crate::store::Content>,
    outside: Outside<'_>,
) -> Result<Scan, DatabaseError> {
    let mut scan = Scan::default();
    let holders = holders(bom);
    if let Some(database) = database {
        scan.look_up(bom, database, &holders, files)?;
    }
    let paths = |id: &Id| {
        let holders = holders.get(id).into_iter().flatten();
        holders.map(|holder| holder.path.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let known = scanner::Known { bom, paths: &paths, database, rules: outside.rules };
    scanner::add(&mut scan.found, outside.reports, &known)?;
    let packages: BTreeSet<(String, String)> =
        bom.components.iter().filter_map(|one| package(one.purl.as_deref()?)).collect();
    let has_package = |purl: &str| package(purl).is_none_or(|one| packages.contains(&one));
    scan.unused = vex::apply(&mut scan.found, outside.statements, outside.image, &has_package);
    scan.found.sort_by(|a, b| {
        let rank = |one: &Matched| (one.state != State::Open, one.notice.is_some());
        rank(a)
            .cmp(&rank(b))
            .then(b.severity.cmp(&a.severity))
            .then_with(|| (&a.ids, &a.name, &a.component).cmp(&(&b.ids, &b.name, &b.component)))
    });
    Ok(scan)
}

/// Returns type and path of a package URL.
fn package(purl: &str) -> Option<(String, String)> {
    purl::parse(purl).map(|parsed| (parsed.kind.to_owned(), parsed.path))
}

impl Scan {
    /// Looks up the components of a bill in a database.
    fn look_up(
        &mut self,
        bom: &Bom,
        database: &Database,
        holders: &BTreeMap<&Id, Vec<Holder>>,
        files: &dyn Fn(&Digest) -> Option<crate::store::Content>,
    ) -> Result<(), DatabaseError> {
        let mut hits: Vec<Hit<'_>> = Vec::new();
        for component in &bom.components {
            let Some((ecosystem, name, text)) = coordinates(component) else {
                if is_software(component.kind) {
                    *self.unknown.entry(component.kind.word()).or_default() += 1;
                }
                continue;
            };
            let Some(known) = Known::parse(&ecosystem, &text) else {
                *self.unknown.entry(component.kind.word()).or_default() += 1;
                continue;
            };
            *self.looked_up.entry(ecosystem.clone()).or_default() += 1;
            let mut records = Vec::new();
            for record in database.about(&ecosystem, &name)? {
                let about = |one: &&Affected| {
                    one.package.ecosystem == ecosystem
                        && one.package.name == name
                        && version::is_affected(&known, one)
                };
                let affected: Vec<Affected> =
                    record.affected.iter().filter(about).cloned().collect();
                if !affected.is_empty() {
                    records.push((record, affected));
                }
            }
            hits.extend(groups(records).into_iter().map(|records| Hit {
                component,
                known: known.clone(),
                module: name.clone(),
                records,
            }));
        }
        let functions = functions(&hits, holders, files);
        for hit in &hits {
            let mut matched = hit.matched(database, holders)?;
            hit.judge(&mut matched, holders, &functions);
            self.found.push(matched);
        }
        let sources = &database.header().sources;
        let is_lacking = |(ecosystem, _): &(&String, &usize)| {
            // The dump of Debian has those of `Debian:13` too.
            let whole = ecosystem.split(':').next().unwrap_or_default();
            !sources.iter().any(|one| one.ecosystem == **ecosystem || one.ecosystem == whole)
        };
        let lacking = self.looked_up.iter().filter(is_lacking);
        self.lacking = lacking.map(|(name, count)| (name.clone(), *count)).collect();
        Ok(())
    }
}

/// Says whether advisories could be about a component of this kind.
fn is_software(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::OperatingSystem | Kind::Executable | Kind::Library | Kind::File | Kind::BuildCrate
    )
}

/// Returns ecosystem, name and version as advisories have them.
fn coordinates(component: &Component) -> Option<(String, String, String)> {
    let version = component.version.clone().unwrap_or_default();
    let of = |ecosystem: &str, name: &str| {
        Some((ecosystem.to_owned(), name.to_owned(), version.clone()))
    };
    match component.kind {
        // Made up by the Go command from the commit; no release is meant.
        Kind::GoMain if version.starts_with("v0.0.0-") || version.ends_with("+dirty") => None,
        Kind::GoMain | Kind::GoModule if component.purl.is_some() => of("Go", &component.name),
        Kind::GoStandardLibrary => of("Go", "stdlib"),
        Kind::Crate | Kind::CrateRoot => {
            let source = component.facts.get("cargo:source")?;
            (source == "crates.io").then(|| of("crates.io", &component.name)).flatten()
        }
        Kind::RustStandardLibrary => of("crates.io", "std"),
        Kind::Package => {
            let purl = component.purl.as_deref()?;
            let release = |of: &str| {
                let mut parts = purl.split(['?', '&']);
                parts.find_map(|part| part.strip_prefix("distro=")?.strip_prefix(of))
            };
            let source = component.source.as_ref()?;
            let version = source.version.clone().unwrap_or(version);
            let ecosystem = if purl.starts_with("pkg:apk/wolfi/") {
                "Wolfi".to_owned()
            } else if purl.starts_with("pkg:apk/chainguard/") {
                "Chainguard".to_owned()
            } else if purl.starts_with("pkg:apk/alpine/") {
                // Of `3.21.0` the branch, `v3.21`.
                let mut numbers = release("alpine-")?.split('.');
                format!("Alpine:v{}.{}", numbers.next()?, numbers.next()?)
            } else {
                format!("Debian:{}", release("debian-")?)
            };
            Some((ecosystem, source.name.clone(), version))
        }
        _ => None,
    }
}

/// An executable, and what it says of its build.
struct Holder {
    path: String,
    sha256: Digest,
    goos: Option<String>,
    goarch: Option<String>,
}

/// Returns the executables that each component is in.
fn holders(bom: &Bom) -> BTreeMap<&Id, Vec<Holder>> {
    let all: BTreeMap<&Id, &Component> = bom.components.iter().map(|one| (&one.id, one)).collect();
    let mut holders: BTreeMap<&Id, Vec<Holder>> = BTreeMap::new();
    for executable in bom.executables() {
        let Some(file) = &executable.file else { continue };
        let mut seen = BTreeSet::new();
        let mut next: Vec<&Id> = vec![&executable.id];
        while let Some(one) = next.pop().and_then(|id| all.get(id)) {
            for part in one.contains.iter().chain(&one.depends_on) {
                if seen.insert(part) {
                    next.push(part);
                    let fact = |name: &str| executable.facts.get(name).cloned();
                    holders.entry(part).or_default().push(Holder {
                        path: file.path.clone(),
                        sha256: file.sha256,
                        goos: fact("go:goos"),
                        goarch: fact("go:goarch"),
                    });
                }
            }
        }
    }
    holders
}

/// One vulnerability of a component, by all records that are about it.
struct Hit<'a> {
    component: &'a Component,
    known: Known,
    module: String,
    records: Vec<(Record, Vec<Affected>)>,
}

/// Puts together the records that share an id, in whatever way round.
fn groups(records: Vec<(Record, Vec<Affected>)>) -> Vec<Vec<(Record, Vec<Affected>)>> {
    let mut leader: Vec<usize> = (0..records.len()).collect();
    fn find(leader: &mut [usize], mut one: usize) -> usize {
        while leader[one] != one {
            leader[one] = leader[leader[one]];
            one = leader[one];
        }
        one
    }
    let mut by_id: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, (record, _)) in records.iter().enumerate() {
        for id in record.ids() {
            match by_id.get(id) {
                Some(other) => {
                    let (a, b) = (find(&mut leader, number), find(&mut leader, *other));
                    leader[a.max(b)] = a.min(b);
                }
                None => drop(by_id.insert(id, number)),
            }
        }
    }
    let leaders: Vec<usize> = (0..records.len()).map(|one| find(&mut leader, one)).collect();
    let mut groups: BTreeMap<usize, Vec<(Record, Vec<Affected>)>> = BTreeMap::new();
    for (leader, record) in leaders.into_iter().zip(records) {
        groups.entry(leader).or_default().push(record);
    }
    groups.into_values().collect()
}

impl Hit<'_> {
    fn matched(
        &self,
        database: &Database,
        holders: &BTreeMap<&Id, Vec<Holder>>,
    ) -> Result<Matched, DatabaseError> {
        let all: BTreeSet<&str> =
            self.records.iter().flat_map(|(record, _)| record.ids()).collect();
        let mut ids: Vec<String> = all.iter().map(|id| (*id).to_owned()).collect();
        // What people call it: its CVE, else the ecosystem's own name for it.
        ids.sort_by_key(|id| (!id.starts_with("CVE-"), id.starts_with("GHSA-"), id.clone()));
        let rated = |records: &[(Record, Vec<Affected>)]| {
            let rates = records.iter().flat_map(|(record, affected)| {
                affected.iter().filter_map(|affected| severity::of(record, affected))
            });
            rates.max_by_key(|(level, _)| *level)
        };
        let mut rating = rated(&self.records);
        if rating.is_none() {
            // The same under another id, which need not name this package.
            for id in &ids {
                if let Some(record) = database.by_id(id)? {
                    let affected = record.affected.clone();
                    let none = vec![Affected::default()];
                    let affected = if affected.is_empty() { none } else { affected };
                    rating = rating.max(rated(&[(record, affected)]));
                }
            }
        }
        let first = |text: &dyn Fn(&Record) -> &String| {
            let texts = self.records.iter().map(|(record, _)| text(record));
            texts.into_iter().find(|text| !text.is_empty()).cloned().unwrap_or_default()
        };
        let fixes = self.records.iter().flat_map(|(_, affected)| affected);
        let notice = |(_, affected): &(Record, Vec<Affected>)| {
            let word = affected.first().map(|one| one.database_specific.informational.clone());
            word.filter(|word| !word.is_empty())
        };
        let notices: Vec<Option<String>> = self.records.iter().map(notice).collect();
        let only_notices = notices.iter().all(Option::is_some);
        let paths: BTreeSet<String> = holders
            .get(&self.component.id)
            .into_iter()
            .flatten()
            .map(|holder| holder.path.clone())
            .collect();
        let (severity, rated) = rating.unzip();
        Ok(Matched {
            ids,
            summary: first(&|record| &record.summary),
            component: self.component.id.clone(),
            name: self.component.name.clone(),
            version: self.component.version.clone().unwrap_or_default(),
            purl: self.component.purl.clone(),
            fixed: fixes.into_iter().find_map(|one| version::fixed_in(&self.known, one)),
            severity,
            rated,
            notice: notices.into_iter().flatten().next().filter(|_| only_notices),
            paths: paths.into_iter().collect(),
            state: State::Open,
            evidence: Vec::new(),
        })
    }

    /// The functions that any of the records names.
    fn imports(&self) -> Vec<super::osv::Import> {
        let affected = self.records.iter().flat_map(|(_, affected)| affected);
        affected.flat_map(|one| one.ecosystem_specific.imports.clone()).collect()
    }

    fn is_go(&self) -> bool {
        let kinds = [Kind::GoMain, Kind::GoModule, Kind::GoStandardLibrary];
        kinds.contains(&self.component.kind)
    }

    /// Asks the functions of every file that the component is in.
    fn judge(
        &self,
        matched: &mut Matched,
        holders: &BTreeMap<&Id, Vec<Holder>>,
        functions: &BTreeMap<Digest, Functions>,
    ) {
        let imports = self.imports();
        if !self.is_go() || imports.is_empty() {
            return;
        }
        let files = holders.get(&self.component.id).map_or(&[][..], Vec::as_slice);
        let mut absent = 0;
        for holder in files {
            let Some(functions) = functions.get(&holder.sha256) else { continue };
            let (goos, goarch) = (holder.goos.as_deref(), holder.goarch.as_deref());
            let says = match functions.say(&self.module, &imports, goos, goarch) {
                Said::Present(there) => {
                    let few = there.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
                    format!("{} holds {few}", holder.path)
                }
                Said::Absent => {
                    absent += 1;
                    format!(
                        "no function that the advisory names is in the table of functions of {} ({})",
                        holder.path, holder.sha256
                    )
                }
                Said::Nothing(why) => format!("{}: {why}", holder.path),
            };
            if matched.evidence.len() < EVIDENCE {
                matched.evidence.push(says);
            }
        }
        if absent > 0 && absent == files.len() {
            matched.state = State::NotAffected;
        }
    }
}

/// Reads the functions of every Go program that may have a vulnerability, each program once.
fn functions(
    hits: &[Hit<'_>],
    holders: &BTreeMap<&Id, Vec<Holder>>,
    files: &dyn Fn(&Digest) -> Option<crate::store::Content>,
) -> BTreeMap<Digest, Functions> {
    let mut wanted: BTreeMap<Digest, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for hit in hits.iter().filter(|hit| hit.is_go()) {
        let imports = hit.imports();
        for holder in holders.get(&hit.component.id).into_iter().flatten() {
            let (packages, modules) = wanted.entry(holder.sha256).or_default();
            packages.extend(imports.iter().map(|import| import.path.clone()));
            if !imports.is_empty() {
                modules.insert(hit.module.clone());
            }
        }
    }
    wanted
        .into_iter()
        .filter(|(_, (packages, _))| !packages.is_empty())
        .filter_map(|(sha256, (packages, modules))| {
            let content = files(&sha256)?;
            let source: &dyn ReadAt = &content;
            Some((sha256, Functions::read(source, &packages, &modules)))
        })
        .collect()
}

#[cfg(test)]
mod tests;
