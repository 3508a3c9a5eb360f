//! What other scanners have found: their JSON reports, taken in as evidence.
//!
//! Takes the report of Trivy, Grype or OSV-Scanner, told apart by its content, gives what it
//! lists and which image it is about. A report only ever adds: [`add`] merges what was found
//! already as the same vulnerability of the same part, and makes nothing less bad.
//!
//! Sources: `pkg/types/report.go` and `pkg/types/vulnerability.go` of Trivy 0.7x (schema 2);
//! `grype/presenter/models` of Grype 0.1xx, `syft/source/image_metadata.go` of Syft;
//! `pkg/models/results.go` and `image.go` of OSV-Scanner 2.

mod add;
mod grype;
mod osv_scanner;
mod trivy;

use crate::finding::Severity;
use crate::oci::{DiffId, Digest, purl};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use std::fmt;

pub(super) use add::{Known, add};

/// The longest report that is read, in bytes.
pub const LONGEST: usize = 64 << 20;
/// The most vulnerabilities of one report.
const ENTRIES: usize = 100_000;
/// The most ids of one vulnerability, and the most files and fixed versions.
const LIST: usize = 200;
/// The longest id, in bytes.
const ID: usize = 200;
/// The longest other text that is kept, in characters.
const TEXT: usize = 500;

/// Who has made a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scanner {
    /// Trivy of Aqua Security.
    Trivy,
    /// Grype of Anchore.
    Grype,
    /// OSV-Scanner of Google.
    OsvScanner,
}

impl fmt::Display for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trivy => "Trivy",
            Self::Grype => "Grype",
            Self::OsvScanner => "OSV-Scanner",
        })
    }
}

/// The report of a scanner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What the file is called.
    pub file: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Who has made it.
    pub scanner: Scanner,
    /// The scanner's version, as far as the report tells it.
    pub version: String,
    names: Names,
    found: Vec<Reported>,
}

/// By what a report names its image. What stands first decides, where there is any of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Names {
    /// The id by which engines call it: the digest of its configuration, or, where the engine
    /// keeps images as registries do, of its manifest or index.
    id: Option<Digest>,
    /// The digest of its manifest.
    manifest: Option<Digest>,
    /// The digests under which repositories hold it.
    repositories: Vec<Digest>,
    /// The digests of its layers, in order.
    diff_ids: Vec<Digest>,
}

/// The image that a report must be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The digest of its configuration.
    pub config: Digest,
    /// The digest of the index that it is in.
    pub index: Option<Digest>,
    /// Its layers.
    pub diff_ids: Vec<DiffId>,
}

/// A vulnerability, as a report has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Reported {
    /// Its ids, the one that it is called by first.
    ids: Vec<String>,
    summary: String,
    package: Package,
    fixed: Option<String>,
    severity: Option<Severity>,
    /// The report's own word for how bad it is; may be empty.
    word: String,
    /// RustSec's word for what is no vulnerability.
    notice: Option<String>,
    paths: Vec<String>,
}

/// The package of a vulnerability.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Package {
    name: String,
    version: String,
    purl: Option<String>,
    /// The name of a distribution's source package, where that is what the report has.
    source: Option<String>,
    /// The package URLs, without versions, of what the advisories are about, where that is not the
    /// package that the report names.
    meant: Vec<String>,
}

/// Why a report cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ScannerError {
    #[error("it is longer than {LONGEST} bytes")]
    Long,
    #[error("it is no JSON report of Trivy, Grype or OSV-Scanner")]
    Unknown,
    #[error("it could be a report of {0} and of {1}")]
    Ambiguous(Scanner, Scanner),
    #[error("it is no report of {0}: {1}")]
    Form(Scanner, String),
    #[error("it is a report of {0} and does not say which image it is about")]
    NoImage(Scanner),
    #[error("it lists more than {ENTRIES} vulnerabilities")]
    Many,
    #[error("vulnerability {0} has no id, or one that is none")]
    Id(usize),
    #[error("vulnerability {0} names no package")]
    Package(usize),
}

/// The keys by which the formats are told apart.
#[derive(Deserialize)]
struct Probe {
    #[serde(rename = "SchemaVersion")]
    schema_version: Option<IgnoredAny>,
    matches: Option<IgnoredAny>,
    descriptor: Option<IgnoredAny>,
    results: Option<IgnoredAny>,
}

impl Report {
    /// Reads a report; `file` is what it is called.
    ///
    /// # Errors
    /// When it is of none of the scanners, cannot be read whole, or names no image.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Self, ScannerError> {
        if bytes.len() > LONGEST {
            return Err(ScannerError::Long);
        }
        let probe: Probe = serde_json::from_slice(bytes).map_err(|_| ScannerError::Unknown)?;
        let is = [
            (Scanner::Trivy, probe.schema_version.is_some()),
            (Scanner::Grype, probe.matches.is_some() && probe.descriptor.is_some()),
            (Scanner::OsvScanner, probe.results.is_some()),
        ];
        let mut fitting = is.into_iter().filter(|(_, fits)| *fits).map(|(scanner, _)| scanner);
        let scanner = fitting.next().ok_or(ScannerError::Unknown)?;
        if let Some(other) = fitting.next() {
            return Err(ScannerError::Ambiguous(scanner, other));
        }
        let (names, version, mut found) = match scanner {
            Scanner::Trivy => trivy::read(bytes)?,
            Scanner::Grype => grype::read(bytes)?,
            Scanner::OsvScanner => osv_scanner::read(bytes)?,
        };
        if names == Names::default() {
            return Err(ScannerError::NoImage(scanner));
        }
        if found.len() > ENTRIES {
            return Err(ScannerError::Many);
        }
        for (number, one) in found.iter_mut().enumerate() {
            one.check(number + 1)?;
        }
        let version = cut(&version);
        let digest = Digest::of(bytes);
        Ok(Self { file: file.to_owned(), digest, scanner, version, names, found })
    }

    /// Says whether the report is about an image.
    pub fn is_about(&self, image: &Identity) -> bool {
        let Names { id, manifest, repositories, diff_ids } = &self.names;
        let stored = |digest: &Digest| *digest == image.manifest || Some(*digest) == image.index;
        if let Some(id) = id {
            return *id == image.config || stored(id);
        }
        if let Some(manifest) = manifest {
            return stored(manifest);
        }
        if !repositories.is_empty() {
            return repositories.iter().any(stored);
        }
        let own = image.diff_ids.iter().map(|one| one.to_string());
        !diff_ids.is_empty() && own.eq(diff_ids.iter().map(Digest::to_string))
    }

    /// Says which image the report is about, for people.
    pub fn subject(&self) -> String {
        let Names { id, manifest, repositories, diff_ids } = &self.names;
        let digest = id.as_ref().or(manifest.as_ref()).or(repositories.first());
        match (digest, diff_ids.last()) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(last)) => format!("the image of {} layers up to {last}", diff_ids.len()),
            (None, None) => "no image".to_owned(),
        }
    }

    /// Returns scanner and version, for people.
    fn by(&self) -> String {
        format!("{} {}", self.scanner, self.version).trim_end().to_owned()
    }
}

impl Reported {
    /// Makes sure of what everything else relies on, and cuts what is too long.
    fn check(&mut self, number: usize) -> Result<(), ScannerError> {
        let is_id = |id: &String| {
            !id.is_empty() && id.len() <= ID && id.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !self.ids.first().is_some_and(is_id) {
            return Err(ScannerError::Id(number));
        }
        self.ids.retain(is_id);
        let mut kept: Vec<String> = Vec::new();
        for id in std::mem::take(&mut self.ids).into_iter().take(LIST) {
            if !kept.contains(&id) {
                kept.push(id);
            }
        }
        self.ids = kept;
        let Package { name, version, purl, source, meant } = &mut self.package;
        meant.truncate(LIST);
        // What stands for the package in waivers and statements is one, or is not there.
        *purl = purl.take().filter(|text| text.len() <= TEXT && purl::parse(text).is_some());
        *source = source.take().map(|text| cut(&text));
        for text in [&mut *name, version, &mut self.summary, &mut self.word] {
            *text = cut(text);
        }
        if name.is_empty() {
            return Err(ScannerError::Package(number));
        }
        self.fixed = self.fixed.take().filter(|text| !text.is_empty()).map(|text| cut(&text));
        self.paths.truncate(LIST);
        self.paths = self.paths.iter().map(|path| cut(path)).collect();
        Ok(())
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT).collect()
}

/// Reads the words of Trivy and Grype. What they do not know is none.
fn word(text: &str) -> Option<Severity> {
    Some(match text.to_ascii_lowercase().as_str() {
        "critical" => Severity::Critical,
        "high" => Severity::High,
        "medium" => Severity::Medium,
        "low" => Severity::Low,
        "negligible" => Severity::Info,
        _ => return None,
    })
}

/// Takes the digest out of `NAME@sha256:…`, or a digest by itself.
fn digest(text: &str) -> Option<Digest> {
    text.rsplit('@').next()?.parse().ok()
}

/// Takes `null` for nothing.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests;
