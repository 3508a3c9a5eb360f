//! Statements on whether vulnerabilities count: OpenVEX documents, read and written.
//!
//! Source: OpenVEX specification 0.2.0.

use super::matching::{Matched, State};
use crate::bom::Subject;
use crate::oci::{Digest, purl};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

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
    /// What it is about; none for all.
    pub products: Vec<About>,
    /// Whether somebody has signed it, who need not know of what is here.
    pub signed: bool,
    /// Whether it says that the vulnerability does not count.
    pub suppresses: bool,
    /// Its words: the status, and why.
    pub says: String,
}

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The package URL of an image; none for every image.
    pub image: Option<String>,
    /// That of a part; none for every part of the image.
    pub part: Option<String>,
}

/// Statements that somebody has signed about an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The digest of its manifest, or of the index that it is in.
    pub subject: Digest,
    /// What they say.
    pub statements: Vec<Statement>,
}

/// The image that statements must be about, where it is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Concerned<'a> {
    /// Its digests: of the manifest, the configuration, the index. None for what is no image, about
    /// which every statement may be.
    pub digests: &'a [Digest],
    /// The names that it goes by.
    pub names: &'a [String],
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
        let about = one.products.into_iter().flat_map(|product| {
            let (image, own) = match is_image(&product.id) {
                true => (Some(product.id), None),
                false => (None, Some(product.id)),
            };
            // A part narrows its product down: the part is what the statement is about.
            let parts = match product.subcomponents.is_empty() {
                true => vec![own],
                false => product.subcomponents.into_iter().map(|part| Some(part.id)).collect(),
            };
            parts.into_iter().map(move |part| About { image: image.clone(), part })
        });
        let why = [one.justification.as_str(), one.impact_statement.as_str()];
        let why: Vec<&str> = why.into_iter().filter(|text| !text.is_empty()).collect();
        let says = std::iter::once(one.status.as_str()).chain(why).collect::<Vec<_>>().join(": ");
        let ids =
            std::iter::once(one.vulnerability.name).chain(one.vulnerability.aliases).collect();
        let source = source.to_owned();
        let products = about.collect();
        Ok(Statement { source, ids, products, signed: false, suppresses, says })
    };
    document.statements.into_iter().enumerate().map(statement).collect()
}

fn is_image(id: &str) -> bool {
    purl::parse(id).is_some_and(|parsed| parsed.kind == "oci")
}

/// Sets the state of vulnerabilities, of each by the last statement that is about it. Returns the
/// documents of which no statement suppresses anything, each once, in order. Not among them are
/// those that want to suppress nothing, those that somebody has signed, and those that are about
/// other images alone: of another name or digest, or of packages that are not here, as
/// `has_package` says.
pub(super) fn apply(
    found: &mut [Matched],
    statements: &[Statement],
    image: Concerned<'_>,
    has_package: &dyn Fn(&str) -> bool,
) -> Vec<String> {
    let here: Vec<&Statement> = statements.iter().filter(|one| one.concerns(image)).collect();
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for matched in found {
        let last = here.iter().rev().find(|one| is_about(one, matched, image));
        let Some(statement) = last.filter(|one| one.suppresses) else { continue };
        // What its functions say already needs no statement, and one is no mistake.
        used.insert(&statement.source);
        if matched.state == State::Open {
            let by = format!("{} says {}", statement.source, statement.says);
            matched.state = State::Suppressed(by);
        }
    }
    let mut unused: Vec<String> = Vec::new();
    for statement in here.into_iter().filter(|one| one.suppresses && !one.signed) {
        let is_here = |about: &About| about.part.as_deref().is_none_or(has_package);
        let is_of_this = statement.products.is_empty() || statement.products.iter().any(is_here);
        if is_of_this && !used.contains(&*statement.source) && !unused.contains(&statement.source) {
            unused.push(statement.source.clone());
        }
    }
    unused
}

impl Statement {
    /// Says whether it is about an image or a part that may be in it.
    fn concerns(&self, image: Concerned<'_>) -> bool {
        self.products.is_empty() || self.products.iter().any(|about| about.concerns(image))
    }
}

impl About {
    /// Says whether it is about an image, where it names one: by the digest, or, without one, by
    /// the last part of the name.
    fn concerns(&self, image: Concerned<'_>) -> bool {
        let Some(named) = self.image.as_deref().and_then(purl::parse) else { return true };
        if image.digests.is_empty() {
            return true;
        }
        if !named.version.is_empty() {
            return image.digests.iter().any(|digest| digest.to_string() == named.version);
        }
        let last = |name: &str| name.rsplit('/').next().unwrap_or(name).to_lowercase();
        image.names.is_empty() || image.names.iter().any(|name| last(name) == last(&named.path))
    }
}

/// Says whether a statement is about a vulnerability of a component: of a product without a
/// version, of every version.
fn is_about(statement: &Statement, matched: &Matched, image: Concerned<'_>) -> bool {
    let is_product = |about: &About| {
        let is_part =
            |part: &str| matched.purl.as_deref().is_some_and(|own| purl::covers(part, own));
        about.concerns(image) && about.part.as_deref().is_none_or(is_part)
    };
    statement.ids.iter().any(|id| matched.ids.contains(id))
        && (statement.products.is_empty() || statement.products.iter().any(is_product))
}

/// Writes what was found as one document about a subject: of itself, or of its platforms. What is
/// open is `affected`, what is not in the files is `not_affected` with
/// `vulnerable_code_not_present`. What is said alike of several parts is one statement.
pub fn to_value(parts: &[(&[Matched], &Subject)], whole: &Subject) -> Value {
    let mut statements: Vec<Value> = Vec::new();
    let mut by_words: BTreeMap<String, usize> = BTreeMap::new();
    for (found, subject) in parts {
        let product = subject.purl_of_any();
        for matched in found.iter().filter(|matched| matched.notice.is_none()) {
            let one = statement(matched, whole);
            let number = *by_words.entry(one.to_string()).or_insert_with(|| {
                statements.push(one);
                statements.len() - 1
            });
            let part = matched.purl.clone().unwrap_or_else(|| matched.name.clone());
            if let Some(Value::Array(products)) = statements[number].get_mut("products") {
                add_part(products, &product, &part);
            }
        }
    }
    let author = whole.supplier.clone().unwrap_or_else(|| "karat".to_owned());
    let document = Out {
        context: "https://openvex.dev/ns/v0.2.0",
        id: format!("https://openvex.dev/docs/karat/{}", whole.digest.hex()),
        author,
        timestamp: whole.epoch.to_string(),
        version: 1,
        tooling: concat!("karat ", env!("CARGO_PKG_VERSION")),
        statements,
    };
    json!(document)
}

/// Writes what [`to_value`] gives, indented.
pub fn to_bytes(parts: &[(&[Matched], &Subject)], whole: &Subject) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(&to_value(parts, whole)).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Writes a statement that is about no product yet.
fn statement(matched: &Matched, whole: &Subject) -> Value {
    let (name, aliases) = matched.ids.split_first().map_or(("", &[][..]), |(a, b)| (a, b));
    let mut one = json!({
        "vulnerability": {"name": name, "aliases": aliases},
        "products": [],
        "timestamp": whole.epoch.to_string(),
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
}

/// Adds a part of a product to those that a statement is about.
fn add_part(products: &mut Vec<Value>, product: &str, part: &str) {
    let part = json!({"@id": part});
    match products.iter_mut().find(|one| one["@id"] == product) {
        Some(one) => {
            if let Some(Value::Array(parts)) = one.get_mut("subcomponents")
                && !parts.contains(&part)
            {
                parts.push(part);
            }
        }
        None => products.push(json!({"@id": product, "subcomponents": [part]})),
    }
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
