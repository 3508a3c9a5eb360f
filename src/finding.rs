//! What karat has to say: rules, findings, and their text in every medium.
//!
//! A finding is a value: which rule, how severe, where, on what evidence, what helps.
//! An error, in contrast, says that nothing could be decided. Takes values, gives
//! values and text; decides nothing.

pub mod diagnostic;
pub mod escape;
pub mod junit;
pub mod report;
pub mod rule;
pub mod rules;
pub mod sarif;

use crate::oci::{DiffId, Digest};
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

pub use rule::Rule;

/// How bad a finding is. The order is from the mildest to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

impl FromStr for Severity {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical]
            .into_iter()
            .find(|severity| severity.to_string() == text)
            .ok_or(())
    }
}

/// Whether a finding counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It counts.
    Open,
    /// A waiver takes it off the count; it is still shown.
    Waived,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Open => "open",
            Self::Waived => "waived",
        })
    }
}

/// The file that a finding is about, by its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileFacts {
    /// The hash of the file's bytes.
    #[serde(serialize_with = "as_hex")]
    pub sha256: Digest,
    /// The number of the file's bytes.
    pub size: u64,
}

fn as_hex<S: serde::Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&digest.hex())
}

/// One thing that a rule found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The rule.
    #[serde(serialize_with = "as_id")]
    pub rule: &'static Rule,
    /// How bad it is here: the rule's own severity, unless the rule says less.
    pub severity: Severity,
    /// Whether it counts.
    pub status: Status,
    /// The path in the image, with invisible characters escaped; none for findings about
    /// the image as a whole.
    pub path: Option<String>,
    /// The layer that holds the file, by its uncompressed bytes.
    pub layer: Option<DiffId>,
    /// Whether that layer is of the base that the image stands on; none where no base of the
    /// project is known below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The file's content.
    pub file: Option<FileFacts>,
    /// What was found, in words.
    pub message: String,
    /// What the message rests on.
    pub evidence: Vec<String>,
    /// The waiver that takes the finding off the count.
    pub waiver: Option<String>,
    /// The vulnerability, for findings about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vulnerability: Option<Box<Vulnerability>>,
}

/// A known vulnerability of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vulnerability {
    /// Its ids, the one that it is called by first.
    pub ids: Vec<String>,
    /// The package URL of the package.
    pub package: Option<String>,
    /// How bad it is; none when nobody says it.
    pub severity: Option<Severity>,
    /// The first newer version without it; none when none is known.
    pub fixed: Option<String>,
    /// Whether the advisory is a mere notice, of a package that nobody maintains for one.
    pub notice: bool,
}

/// Who has made the layer that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Whoever made the base of this name.
    Base(String),
    /// Whoever made the image on it.
    Added,
}

impl Serialize for Origin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Base(_) => "base",
            Self::Added => "added",
        })
    }
}

fn as_id<S: serde::Serializer>(rule: &&'static Rule, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(rule.id)
}

impl Finding {
    /// Makes an open finding of a rule, with the rule's severity and no place yet.
    pub fn new(rule: &'static Rule, message: impl Into<String>) -> Self {
        Self {
            rule,
            severity: rule.severity,
            status: Status::Open,
            path: None,
            layer: None,
            origin: None,
            file: None,
            message: message.into(),
            evidence: Vec::new(),
            waiver: None,
            vulnerability: None,
        }
    }

    /// Names the path in the image.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Adds what the message rests on.
    #[must_use]
    pub fn because(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    /// Returns the name of the base that holds what was found.
    pub fn base(&self) -> Option<&str> {
        match &self.origin {
            Some(Origin::Base(name)) => Some(name),
            _ => None,
        }
    }

    /// Orders findings for a reader: the worst first, then by path, rule and message.
    pub fn order(&self, other: &Self) -> std::cmp::Ordering {
        (other.severity, &self.path, self.rule.id, &self.message).cmp(&(
            self.severity,
            &other.path,
            other.rule.id,
            &other.message,
        ))
    }
}
