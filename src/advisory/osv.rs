//! Records of the Open Source Vulnerability format, as far as matching needs them.
//!
//! Source: OSV schema 1.7; the Go vulnerability database and RustSec for what is specific to
//! their ecosystems.

use serde::{Deserialize, Deserializer, Serialize};

/// The longest record that is read, in bytes.
pub const LONGEST: usize = 4 << 20;
/// The longest summary that is kept, in characters.
const SUMMARY: usize = 300;

/// One advisory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its id: `GO-2021-0113`, `RUSTSEC-2020-0001`, `GHSA-…`, `CVE-…`.
    pub id: String,
    /// When it was last changed, RFC 3339.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub modified: String,
    /// When it was taken back; such a record matches nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<String>,
    /// Other ids of the same vulnerability.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Ids of the vulnerability that a distribution's record is about.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub upstream: Vec<String>,
    /// What it is, in a line.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// How bad it is.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub severity: Vec<Score>,
    /// What it is in.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub affected: Vec<Affected>,
    /// What the database adds.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub database_specific: Specific,
}

/// A score: a vector, or a word of a distribution.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    /// `CVSS_V2`, `CVSS_V3`, `CVSS_V4` or a distribution.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The vector.
    #[serde(default)]
    pub score: String,
}

/// A package that is affected, and in which versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affected {
    /// The package; none in records that name only repositories.
    #[serde(default, deserialize_with = "nullable")]
    pub package: Package,
    /// How bad it is there, in place of the record's own.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub severity: Vec<Score>,
    /// The versions, as ranges.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Range>,
    /// The versions, one by one.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// What the ecosystem adds.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub ecosystem_specific: Ecosystem,
    /// What the database adds.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub database_specific: Specific,
}

/// The name of a package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// `Go`, `crates.io`, `Debian:13`, …
    #[serde(default)]
    pub ecosystem: String,
    /// Its name there.
    #[serde(default)]
    pub name: String,
}

/// Versions between events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// `SEMVER`, `ECOSYSTEM` or `GIT`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// What happened in which version, in any order.
    #[serde(default, deserialize_with = "nullable")]
    pub events: Vec<Event>,
}

/// What happened in a version; one of these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The first version that has it; `0` is before all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introduced: Option<String>,
    /// The first version that has it no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
    /// The last version that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_affected: Option<String>,
    /// The first version of which nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
}

/// What Go's and Debian's records add about a package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ecosystem {
    /// The packages of a Go module, and what of them is vulnerable.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub imports: Vec<Import>,
    /// The tags of a Go module's repository that have it, where its versions cannot say it.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub custom_ranges: Vec<Range>,
    /// Debian's word for how bad it is.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub urgency: String,
}

/// A Go package, and what of it is vulnerable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// Its import path.
    #[serde(default)]
    pub path: String,
    /// Functions and methods, `T.M`; none for all of them.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub symbols: Vec<String>,
    /// The systems on which it is; none for all.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub goos: Vec<String>,
    /// The architectures on which it is; none for all.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub goarch: Vec<String>,
}

/// What a database adds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Specific {
    /// GitHub's word for how bad it is.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "String::is_empty")]
    pub severity: String,
    /// RustSec's word for what is no vulnerability: `unmaintained`, `unsound`, `notice`.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "String::is_empty")]
    pub informational: String,
    /// Whether a person of the Go team has looked at it.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "String::is_empty")]
    pub review_status: String,
}

impl Record {
    /// Reads a record.
    ///
    /// # Errors
    /// When it is too long, no JSON, or has no id.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > LONGEST {
            return Err(format!("it is longer than {LONGEST} bytes"));
        }
        let mut record: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if record.id.is_empty() || record.id.len() > 200 {
            return Err("it has no id, or one of more than 200 bytes".to_owned());
        }
        record.summary = record.summary.chars().take(SUMMARY).collect();
        // A range over commits says nothing of versions.
        for affected in &mut record.affected {
            affected.ranges.retain(|range| range.kind != "GIT");
            affected.ecosystem_specific.custom_ranges.retain(|range| range.kind != "GIT");
        }
        Ok(record)
    }

    /// Returns all ids of the vulnerability, its own first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let further = self.aliases.iter().chain(&self.upstream);
        std::iter::once(self.id.as_str()).chain(further.map(String::as_str))
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Takes `null` for nothing.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Takes what is no text for nothing: these fields are every database's own.
fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_str().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_and_unknown_fields_are_nothing() {
        let record = Record::read(
            br#"{"id":"X-1","aliases":null,"severity":[],"new":{"a":1},"affected":[{"package":{"ecosystem":"Go","name":"a.b/c"},
                "ranges":[{"type":"GIT","events":[{"introduced":"0"}]},{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.3"}]}],
                "ecosystem_specific":{"affects":{"arch":[]},"affected_functions":null,"imports":null},
                "database_specific":{"severity":7,"informational":null,"cvss":null}}]}"#,
        )
        .unwrap();
        assert_eq!(record.affected[0].ranges.len(), 1);
        assert_eq!(record.affected[0].database_specific, Specific::default());
        let again = Record::read(&serde_json::to_vec(&record).unwrap()).unwrap();
        assert_eq!(record, again);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let deep = "[".repeat(100_000);
        for text in ["", "{}", r#"{"id":""}"#, r#"{"id":7}"#, "[]", &deep] {
            assert!(Record::read(text.as_bytes()).is_err(), "{:.20}", text);
        }
    }
}
