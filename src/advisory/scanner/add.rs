//! What reports add to what is known already.

use super::{Package, Report, Reported};
use crate::advisory::database::{Database, DatabaseError};
use crate::advisory::matching::{Matched, State};
use crate::bom::{Bom, Component, Id, Kind};
use crate::oci::purl;
use crate::settings::Vulnerabilities;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of what was scanned.
pub(crate) struct Known<'a> {
    /// Its components.
    pub(crate) bom: &'a Bom,
    /// The files that each is in.
    pub(crate) paths: &'a dyn Fn(&Id) -> Vec<String>,
    /// The advisories, by which ids of one vulnerability are told to be the same.
    pub(crate) database: Option<&'a Database>,
    /// What rejects.
    pub(crate) rules: &'a Vulnerabilities,
}

/// Type, path and version of a package URL, so that those that different programs write of one
/// package are the same.
type Key = (String, String, String);

/// Adds what reports list: what is there already gets the report as evidence, and the rest an
/// entry of its own.
///
/// # Errors
/// When the database cannot be read.
pub(crate) fn add(
    found: &mut Vec<Matched>,
    reports: &[&Report],
    known: &Known<'_>,
) -> Result<(), DatabaseError> {
    if reports.is_empty() {
        return Ok(());
    }
    let parts = Parts::of(known.bom);
    let mut same = Same { database: known.database, ids: BTreeMap::new() };
    let mut by_id: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (number, one) in found.iter().enumerate() {
        for id in same.as_one(&one.ids)? {
            by_id.entry(id).or_default().push(number);
        }
    }
    for report in reports {
        for one in &report.found {
            let ids = same.as_one(&one.ids)?;
            let about: BTreeSet<usize> =
                ids.iter().filter_map(|id| by_id.get(id)).flatten().copied().collect();
            let components = parts.of_package(&one.package);
            let mut merged = false;
            for number in about {
                let there = &mut found[number];
                if is_of(there, &one.package, &components) {
                    confirm(there, report, one, known.rules);
                    merged = true;
                }
            }
            if !merged {
                let number = found.len();
                found.push(new(report, one, components.first().copied(), known));
                for id in ids {
                    by_id.entry(id).or_default().push(number);
                }
            }
        }
    }
    Ok(())
}

/// Which ids are one vulnerability.
struct Same<'a> {
    database: Option<&'a Database>,
    ids: BTreeMap<String, Vec<String>>,
}

impl Same<'_> {
    /// Returns some ids of a vulnerability with the others that the advisories give it.
    fn as_one(&mut self, ids: &[String]) -> Result<BTreeSet<String>, DatabaseError> {
        let mut all: BTreeSet<String> = ids.iter().cloned().collect();
        let Some(database) = self.database else { return Ok(all) };
        for id in ids {
            if !self.ids.contains_key(id) {
                let record = database.by_id(id)?;
                // A record that is upstream of this one alone is another vulnerability's too.
                let aliases = record.map(|one| one.aliases).unwrap_or_default();
                self.ids.insert(id.clone(), aliases);
            }
            all.extend(self.ids.get(id).into_iter().flatten().cloned());
        }
        Ok(all)
    }
}

/// The components of a bill, by their packages.
struct Parts<'a> {
    by_key: BTreeMap<Key, Vec<&'a Component>>,
    by_path: BTreeMap<(String, String), Vec<&'a Component>>,
    by_source: BTreeMap<&'a str, Vec<&'a Component>>,
}

impl<'a> Parts<'a> {
    fn of(bom: &'a Bom) -> Self {
        let (by_key, by_path, by_source) = Default::default();
        let mut parts = Self { by_key, by_path, by_source };
        for one in &bom.components {
            if let Some(key) = one.purl.as_deref().and_then(key) {
                let path = (key.0.clone(), key.1.clone());
                parts.by_path.entry(path).or_default().push(one);
                parts.by_key.entry(key).or_default().push(one);
            }
            if let Some(source) = one.source.as_ref().filter(|_| one.kind == Kind::Package) {
                parts.by_source.entry(&source.name).or_default().push(one);
            }
        }
        parts
    }

    /// Returns the components that a report means.
    fn of_package(&self, package: &Package) -> Vec<&'a Component> {
        let meant = package.meant.iter().filter_map(|purl| key(purl));
        let meant: Vec<_> = meant
            .filter_map(|(kind, path, _)| self.by_path.get(&(kind, path)))
            .flatten()
            .copied()
            .collect();
        if !meant.is_empty() {
            return meant;
        }
        let exact = package.purl.as_deref().and_then(key).and_then(|key| self.by_key.get(&key));
        let found = exact.or_else(|| self.by_source.get(package.source.as_deref()?));
        found.cloned().unwrap_or_default()
    }
}

/// Reads a package URL. Versions of Go are written with and without `v` and `go` in front, epochs of
/// Debian's in the version or as a qualifier.
fn key(text: &str) -> Option<Key> {
    let parsed = purl::parse(text)?;
    let mut version = parsed.version.clone();
    if parsed.kind == "golang" {
        let bare = version.strip_prefix("go").or_else(|| version.strip_prefix('v'));
        version = bare.unwrap_or(&version).to_owned();
    }
    if let Some(epoch) = parsed.qualifier("epoch").filter(|_| !version.contains(':')) {
        version = format!("{epoch}:{version}");
    }
    let path = match parsed.kind {
        "golang" | "deb" | "apk" => parsed.path.to_lowercase(),
        _ => parsed.path,
    };
    Some((parsed.kind.to_owned(), path, version))
}

/// Says whether something found is of the package that a report means.
fn is_of(there: &Matched, package: &Package, components: &[&Component]) -> bool {
    if components.iter().any(|one| one.id == there.component) {
        return true;
    }
    match (there.purl.as_deref().and_then(key), package.purl.as_deref().and_then(key)) {
        (Some(own), Some(other)) => own == other,
        _ => {
            let bare = |version: &str| version.trim_start_matches('v').to_owned();
            there.name == package.name && bare(&there.version) == bare(&package.version)
        }
    }
}

fn says(report: &Report, one: &Reported) -> String {
    let word = if one.word.is_empty() { "unrated" } else { &one.word };
    let id = one.ids.first().map(String::as_str).unwrap_or_default();
    format!("{} reports {id} in `{}`: {word}", report.by(), report.file)
}

/// Takes a report as evidence of what is there. It can make it worse, and never less bad.
fn confirm(there: &mut Matched, report: &Report, one: &Reported, rules: &Vulnerabilities) {
    let says = says(report, one);
    if !there.evidence.contains(&says) {
        there.evidence.push(says);
    }
    if there.fixed.is_none() {
        there.fixed.clone_from(&one.fixed);
    }
    let fixed = there.fixed.is_some();
    let is_worse = one.severity.is_some()
        && match there.severity {
            Some(own) => Some(own) < one.severity,
            // What nobody has rated may reject more than a low rating would.
            None => !rules.reject(None, fixed) || rules.reject(one.severity, fixed),
        };
    if is_worse {
        there.severity = one.severity;
        there.rated = Some(rated(report, one));
    }
}

fn rated(report: &Report, one: &Reported) -> String {
    format!("{} says {}", report.by(), one.word)
}

fn new(
    report: &Report,
    one: &Reported,
    component: Option<&Component>,
    known: &Known<'_>,
) -> Matched {
    let package = &one.package;
    let fields = [package.version.as_bytes(), package.purl.as_deref().unwrap_or("").as_bytes()];
    let own = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let paths = component.map(|one| (known.paths)(&one.id)).filter(|paths| !paths.is_empty());
    Matched {
        ids: one.ids.clone(),
        summary: one.summary.clone(),
        component: component.map_or_else(
            || Id::of(Kind::ToldLibrary, &package.name, &fields),
            |component| component.id.clone(),
        ),
        name: component.map_or_else(|| package.name.clone(), |one| one.name.clone()),
        version: component
            .and_then(|one| one.version.clone())
            .unwrap_or_else(|| package.version.clone()),
        purl: component.and_then(|one| one.purl.clone()).or_else(|| package.purl.clone()),
        fixed: one.fixed.as_deref().and_then(own),
        severity: one.severity,
        rated: one.severity.map(|_| rated(report, one)),
        notice: one.notice.clone(),
        paths: paths.unwrap_or_else(|| one.paths.clone()),
        state: State::Open,
        evidence: vec![says(report, one)],
    }
}
