//! Statements on whether vulnerabilities count: OpenVEX documents, read and written.
//!
//! Source: OpenVEX specification 0.2.0.

use super::matching::{Matched, Scan, State};
use crate::bom::Subject;
use crate::oci::purl;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The longest document that is read, in bytes.
pub const LONGEST: usize = 16 << 20;
/// The most statements of one document.
const STATEMENTS: usize = 50_000;

/// One statement about one vulnerability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Where it is from, as the user named it.
    pub source: String,
    /// The ids of the vulnerability.
    pub ids: Vec<String>,
    /// What it is about: package URLs, of images or of parts; none for all.
    pub products: Vec<String>,
    /// Whether it says that the vulnerability does not count.
    pub suppresses: bool,
    /// Its words: the status, and why.
    pub says: String,
}

/// Why a document cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum VexError {
    #[error("it is longer than {LONGEST} bytes")]
    Long,
    #[error("it is no OpenVEX document: {0}")]
    Form(String),
    #[error("statement {0} has the status `{1}`, which OpenVEX does not have")]
    Status(usize, String),
    #[error("statement {0} says `not_affected` and neither a justification nor an impact")]
    Unjustified(usize),
    #[error("it has more than {STATEMENTS} statements")]
    Many,
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "@context")]
    context: String,
    statements: Vec<Written>,
}

#[derive(Deserialize)]
struct Written {
    vulnerability: Vulnerability,
    #[serde(default)]
    products: Vec<Product>,
    status: String,
    #[serde(default)]
    justification: String,
    #[serde(default)]
    impact_statement: String,
}

#[derive(Deserialize)]
struct Vulnerability {
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
}

#[derive(Deserialize)]
struct Product {
    #[serde(rename = "@id", default)]
    id: String,
    #[serde(default)]
    subcomponents: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "@id", default)]
    id: String,
}

/// Reads a document; `source` is what it is called.
///
/// # Errors
/// When it is no OpenVEX document, or says what such a document cannot say.
pub fn read(source: &str, bytes: &[u8]) -> Result<Vec<Statement>, VexError> {
    if bytes.len() > LONGEST {
        return Err(VexError::Long);
    }
    let document: Document =
        serde_json::from_slice(bytes).map_err(|error| VexError::Form(error.to_string()))?;
    if !document.context.starts_with("https://openvex.dev/ns") {
        return Err(VexError::Form("its @context is not that of OpenVEX".to_owned()));
    }
    if document.statements.len() > STATEMENTS {
        return Err(VexError::Many);
    }
    let statement = |(number, one): (usize, Written)| {
        let suppresses = match one.status.as_str() {
            "not_affected" if one.justification.is_empty() && one.impact_statement.is_empty() => {
                return Err(VexError::Unjustified(number + 1));
            }
            "not_affected" | "fixed" => true,
            "affected" | "under_investigation" => false,
            other => return Err(VexError::Status(number + 1, other.chars().take(60).collect())),
        };
        // A part narrows its product down: the part is what the statement is about.
        let about =
            one.products.into_iter().flat_map(|product| match product.subcomponents.is_empty() {
                true => vec![product.id],
                false => product.subcomponents.into_iter().map(|part| part.id).collect(),
            });
        let why = [one.justification.as_str(), one.impact_statement.as_str()];
        let why: Vec<&str> = why.into_iter().filter(|text| !text.is_empty()).collect();
        let says = std::iter::once(one.status.as_str()).chain(why).collect::<Vec<_>>().join(": ");
        let ids =
            std::iter::once(one.vulnerability.name).chain(one.vulnerability.aliases).collect();
        let source = source.to_owned();
        Ok(Statement { source, ids, products: about.collect(), suppresses, says })
    };
    document.statements.into_iter().enumerate().map(statement).collect()
}

/// Sets the state of vulnerabilities, of each by the last statement that is about it. Returns the
/// documents of which no statement suppresses anything, each once, in order; those that want to
/// suppress nothing are not among them.
pub(super) fn apply(found: &mut [Matched], statements: &[Statement]) -> Vec<String> {
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for matched in found {
        let last = statements.iter().rev().find(|one| is_about(one, matched));
        let Some(statement) = last.filter(|one| one.suppresses) else { continue };
        // What its functions say already needs no statement, and one is no mistake.
        used.insert(&statement.source);
        if matched.state == State::Open {
            let by = format!("{} says {}", statement.source, statement.says);
            matched.state = State::Suppressed(by);
        }
    }
    let mut unused: Vec<String> = Vec::new();
    for statement in statements.iter().filter(|one| one.suppresses) {
        if !used.contains(&*statement.source) && !unused.contains(&statement.source) {
            unused.push(statement.source.clone());
        }
    }
    unused
}

/// Says whether a statement is about a vulnerability of a component: of a product without a
/// version, of every version.
fn is_about(statement: &Statement, matched: &Matched) -> bool {
    let is_product =
        |product: &String| matched.purl.as_deref().is_some_and(|own| purl::covers(product, own));
    statement.ids.iter().any(|id| matched.ids.contains(id))
        && (statement.products.is_empty() || statement.products.iter().any(is_product))
}

/// Writes what a scan has found as one document about the subject: what is open is `affected`,
/// what is not in the files is `not_affected` with `vulnerable_code_not_present`.
pub fn to_bytes(scan: &Scan, subject: &Subject) -> Vec<u8> {
    let product = subject.purl_of_any();
    let statement = |matched: &Matched| -> Value {
        let (name, aliases) = matched.ids.split_first().map_or(("", &[][..]), |(a, b)| (a, b));
        let part = matched.purl.clone().unwrap_or_else(|| matched.name.clone());
        let mut one = json!({
            "vulnerability": {"name": name, "aliases": aliases},
            "products": [{"@id": product, "subcomponents": [{"@id": part}]}],
            "timestamp": subject.epoch.to_string(),
        });
        let further = match &matched.state {
            State::Open => json!({
                "status": "affected",
                "action_statement": match &matched.fixed {
                    Some(fixed) => format!("{} has it no more", fixed),
                    None => "no version without it is known".to_owned(),
                },
            }),
            State::NotAffected => json!({
                "status": "not_affected",
                "justification": "vulnerable_code_not_present",
                "impact_statement": matched.evidence.join("; "),
            }),
            State::Suppressed(by) => json!({
                "status": "not_affected",
                "impact_statement": by,
            }),
        };
        if let (Value::Object(one), Value::Object(further)) = (&mut one, further) {
            one.extend(further);
        }
        one
    };
    let counted = scan.found.iter().filter(|matched| matched.notice.is_none());
    let statements: Vec<Value> = counted.map(statement).collect();
    let author = subject.supplier.clone().unwrap_or_else(|| "karat".to_owned());
    let document = Out {
        context: "https://openvex.dev/ns/v0.2.0",
        id: format!("https://openvex.dev/docs/karat/{}", subject.digest.hex()),
        author,
        timestamp: subject.epoch.to_string(),
        version: 1,
        tooling: concat!("karat ", env!("CARGO_PKG_VERSION")),
        statements,
    };
    let mut bytes = serde_json::to_vec_pretty(&document).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[derive(Serialize)]
struct Out {
    #[serde(rename = "@context")]
    context: &'static str,
    #[serde(rename = "@id")]
    id: String,
    author: String,
    timestamp: String,
    version: u32,
    tooling: &'static str,
    statements: Vec<Value>,
}
