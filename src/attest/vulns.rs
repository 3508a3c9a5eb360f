//! What is known of an image: the result of looking up its parts in a database of advisories.
//!
//! Source: in-toto attestation framework, `spec/predicates/vulns_02.md`, version 0.2.

use crate::advisory::{Database, Matched, State};
use crate::time::{Moment, Now};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Who has looked.
const SCANNER: &str = "urn:karat:scanner";

/// Writes the predicate of the vulnerabilities that count: that are open, and no mere notices. What
/// does not count is in the OpenVEX document beside it.
pub fn predicate<'a>(
    found: impl IntoIterator<Item = &'a Matched>,
    database: &Database,
    now: Now,
) -> Value {
    let counts = |one: &&Matched| one.state == State::Open && one.notice.is_none();
    let mut by_id: BTreeMap<&str, Vec<&Matched>> = BTreeMap::new();
    for one in found.into_iter().filter(counts) {
        by_id.entry(one.ids.first().map_or("", String::as_str)).or_default().push(one);
    }
    let results: Vec<Value> = by_id.into_iter().map(|(id, found)| result(id, &found)).collect();
    let newest = database.header().sources.iter().map(|source| source.newest.as_str()).max();
    let time = Moment::from(now).to_string();
    json!({
        "scanner": {
            "uri": SCANNER,
            "version": env!("CARGO_PKG_VERSION"),
            "db": {
                "uri": "urn:karat:advisories",
                "version": database.digest(),
                "lastUpdate": newest.filter(|text| !text.is_empty()).unwrap_or("1970-01-01T00:00:00Z"),
            },
            "result": results,
        },
        "metadata": { "scanStartedOn": time, "scanFinishedOn": time },
    })
}

/// Writes a vulnerability with the packages that have it, of whatever platform.
fn result(id: &str, found: &[&Matched]) -> Value {
    // What nobody has rated may be the worst.
    let is_rated = found.iter().all(|one| one.severity.is_some());
    let worst = found.iter().filter_map(|one| one.severity).max().filter(|_| is_rated);
    let mut annotations: Vec<Value> = Vec::new();
    for one in found {
        let annotation = json!({
            "aliases": one.ids.get(1..).unwrap_or_default(),
            "package": one.purl,
            "name": one.name,
            "version": one.version,
            "fixed": one.fixed,
            "rated-by": one.rated,
        });
        if !annotations.contains(&annotation) {
            annotations.push(annotation);
        }
    }
    let level = worst.map_or("unknown".to_owned(), |severity| severity.to_string());
    json!({
        "id": id,
        "severity": [{ "method": "level", "score": level }],
        "annotations": annotations,
    })
}
