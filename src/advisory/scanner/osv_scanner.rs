//! Reports of OSV-Scanner 2, `osv-scanner scan image --format json`.
//!
//! They hold whole records of OSV, and name an image by the digests of its layers alone.

use super::{Names, Package, Reported, Scanner, ScannerError, digest, nullable};
use crate::advisory::osv::{Affected, Record};
use crate::advisory::severity;
use crate::oci::purl;
use serde::Deserialize;

#[derive(Deserialize)]
struct Document {
    #[serde(deserialize_with = "nullable")]
    results: Vec<Source>,
    #[serde(default, deserialize_with = "nullable")]
    image_metadata: Image,
}

#[derive(Default, Deserialize)]
struct Image {
    #[serde(default, deserialize_with = "nullable")]
    layer_metadata: Vec<Layer>,
}

#[derive(Deserialize)]
struct Layer {
    #[serde(default)]
    diff_id: String,
    #[serde(default)]
    is_empty: bool,
}

#[derive(Deserialize)]
struct Source {
    #[serde(default, deserialize_with = "nullable")]
    source: Place,
    #[serde(default, deserialize_with = "nullable")]
    packages: Vec<Entry>,
}

#[derive(Default, Deserialize)]
struct Place {
    #[serde(default)]
    path: String,
}

#[derive(Deserialize)]
struct Entry {
    package: Named,
    #[serde(default, deserialize_with = "nullable")]
    vulnerabilities: Vec<Record>,
    #[serde(default, deserialize_with = "nullable")]
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
    #[serde(default)]
    os_package_name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    ecosystem: String,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default, deserialize_with = "nullable")]
    ids: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    aliases: Vec<String>,
    #[serde(default)]
    max_severity: String,
}

pub(super) fn read(bytes: &[u8]) -> Result<(Names, String, Vec<Reported>), ScannerError> {
    let document: Document = serde_json::from_slice(bytes)
        .map_err(|error| ScannerError::Form(Scanner::OsvScanner, error.to_string()))?;
    let layers = document.image_metadata.layer_metadata;
    // A step of the history that made no layer has no digest.
    let diff_ids = layers.iter().filter(|one| !one.is_empty || !one.diff_id.is_empty());
    let diff_ids: Option<Vec<_>> = diff_ids.map(|one| digest(&one.diff_id)).collect();
    let names = Names { diff_ids: diff_ids.unwrap_or_default(), ..Names::default() };
    let mut found = Vec::new();
    for Source { source, packages } in document.results {
        for entry in packages {
            for group in &entry.groups {
                found.push(grouped(&entry, group, &source.path));
            }
            let is_alone =
                |one: &&Record| !entry.groups.iter().any(|all| all.ids.contains(&one.id));
            let alone = entry.vulnerabilities.iter().filter(is_alone);
            found.extend(alone.map(|one| {
                let ids = one.ids().map(str::to_owned).collect();
                reported(&entry, &[one], ids, "", &source.path)
            }));
        }
    }
    Ok((names, String::new(), found))
}

fn grouped(entry: &Entry, group: &Group, path: &str) -> Reported {
    let records = entry.vulnerabilities.iter().filter(|one| group.ids.contains(&one.id));
    let records: Vec<&Record> = records.collect();
    let ids = group.ids.iter().chain(&group.aliases).cloned();
    let ids = ids.chain(records.iter().flat_map(|one| one.ids()).map(str::to_owned)).collect();
    reported(entry, &records, ids, &group.max_severity, path)
}

fn reported(
    entry: &Entry,
    records: &[&Record],
    mut ids: Vec<String>,
    max_severity: &str,
    path: &str,
) -> Reported {
    ids.sort_by_key(|id| (!id.starts_with("CVE-"), id.starts_with("GHSA-"), id.clone()));
    ids.dedup();
    let Named { name, os_package_name, version, ecosystem } = &entry.package;
    let here =
        |one: &&Affected| one.package.ecosystem.split(':').next() == ecosystem.split(':').next();
    let all = || records.iter().flat_map(|one| &one.affected).filter(here);
    // Of a Go program some versions name the main module, whichever module they mean.
    let is_meant = all().next().is_none() || all().any(|one| one.package.name == *name);
    let about = |one: &&Affected| here(one) && (!is_meant || one.package.name == *name);
    let none = Affected::default();
    let rates = records.iter().filter_map(|record| {
        let affected = record.affected.iter().find(about).unwrap_or(&none);
        severity::of(record, affected)
    });
    let rated = rates.max_by_key(|(level, _)| *level);
    let scored = || max_severity.parse().ok().map(|score| (severity::level(score), max_severity));
    let (severity, word) = match rated {
        Some((level, by)) => (Some(level), by),
        None => scored().map_or((None, String::new()), |(level, text)| {
            (Some(level), format!("a score of {text}"))
        }),
    };
    let notice = |record: &&Record| {
        let affected = record.affected.iter().find(about)?;
        let word = &affected.database_specific.informational;
        (!word.is_empty()).then(|| word.clone())
    };
    let notices: Vec<Option<String>> = records.iter().map(notice).collect();
    let only_notices = !notices.is_empty() && notices.iter().all(Option::is_some);
    let fixed = records.iter().flat_map(|one| one.affected.iter().filter(about));
    let mut fixed = fixed.flat_map(|one| &one.ranges).flat_map(|range| &range.events);
    let (own, source) = match os_package_name.is_empty() {
        true => (name, None),
        false => (os_package_name, Some(name.clone())),
    };
    let kind = ecosystem.split(':').next().unwrap_or_default();
    let purl = match kind {
        "Go" => Some(purl::golang(name, version)),
        "crates.io" => Some(purl::build("cargo", "", name, version, &[])),
        "Debian" => Some(purl::build("deb", "debian", own, version, &[])),
        "Alpine" => Some(purl::build("apk", "alpine", own, version, &[])),
        _ => None,
    };
    let meant = all().filter(|_| !is_meant).filter_map(|one| match kind {
        "Go" => Some(purl::golang(&one.package.name, "")),
        "crates.io" => Some(purl::build("cargo", "", &one.package.name, "", &[])),
        _ => None,
    });
    let meant = meant.collect();
    let is_system = matches!(kind, "Debian" | "Alpine");
    let path = Some(path.trim_start_matches('/')).filter(|path| !is_system && !path.is_empty());
    Reported {
        ids,
        summary: records.first().map(|one| one.summary.clone()).unwrap_or_default(),
        package: Package {
            name: own.clone(),
            version: version.clone(),
            purl,
            // Without the other the name is that of the source package.
            source: source.or_else(|| is_system.then(|| name.clone())),
            meant,
        },
        fixed: fixed.find_map(|event| event.fixed.clone()),
        severity,
        word,
        notice: notices.into_iter().flatten().next().filter(|_| only_notices),
        paths: path.map(|path| format!("/{path}")).into_iter().collect(),
    }
}
