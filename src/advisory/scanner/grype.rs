//! Reports of Grype, `grype IMAGE --output json`.

use super::{Names, Package, Reported, Scanner, ScannerError, digest, nullable, word};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Document {
    #[serde(deserialize_with = "nullable")]
    matches: Vec<Match>,
    source: Option<Source>,
    descriptor: Program,
}

#[derive(Deserialize)]
struct Program {
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: String,
}

#[derive(Deserialize)]
struct Source {
    #[serde(rename = "type", default)]
    kind: String,
    /// An object for images, text for what is none.
    #[serde(default)]
    target: Value,
}

#[derive(Deserialize)]
struct Match {
    vulnerability: Vulnerability,
    #[serde(rename = "relatedVulnerabilities", default, deserialize_with = "nullable")]
    related: Vec<Vulnerability>,
    artifact: Artifact,
}

#[derive(Deserialize)]
struct Vulnerability {
    #[serde(default)]
    id: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    description: String,
    #[serde(default, deserialize_with = "nullable")]
    fix: Fix,
}

#[derive(Default, Deserialize)]
struct Fix {
    #[serde(default, deserialize_with = "nullable")]
    versions: Vec<String>,
}

#[derive(Deserialize)]
struct Artifact {
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    purl: String,
    #[serde(default, deserialize_with = "nullable")]
    locations: Vec<Location>,
}

#[derive(Deserialize)]
struct Location {
    #[serde(default)]
    path: String,
}

pub(super) fn read(bytes: &[u8]) -> Result<(Names, String, Vec<Reported>), ScannerError> {
    let form = |text: String| ScannerError::Form(Scanner::Grype, text);
    let document: Document =
        serde_json::from_slice(bytes).map_err(|error| form(error.to_string()))?;
    if document.descriptor.name != "grype" {
        return Err(form("its descriptor names another program".to_owned()));
    }
    let Some(Source { target, .. }) = document.source.filter(|source| source.kind == "image")
    else {
        return Err(ScannerError::NoImage(Scanner::Grype));
    };
    let of = |key: &str| target.get(key).and_then(Value::as_str).and_then(digest);
    let repositories = target.get("repoDigests").and_then(Value::as_array);
    let repositories = repositories.into_iter().flatten().filter_map(Value::as_str);
    let names = Names {
        id: of("imageID"),
        manifest: of("manifestDigest"),
        repositories: repositories.filter_map(digest).collect(),
        diff_ids: Vec::new(),
    };
    let found = document.matches.into_iter().map(reported).collect();
    Ok((names, document.descriptor.version, found))
}

fn reported(one: Match) -> Reported {
    let Match { vulnerability, related, artifact } = one;
    // The same under another id may be rated where the distribution has rated nothing.
    let rating = [&vulnerability].into_iter().chain(&related);
    let rated = rating.filter_map(|one| Some((word(&one.severity)?, one.severity.clone()))).next();
    let (severity, word) = rated.unzip();
    let summary = vulnerability.description.lines().next().unwrap_or_default().to_owned();
    Reported {
        ids: std::iter::once(vulnerability.id)
            .chain(related.into_iter().map(|one| one.id))
            .collect(),
        summary,
        package: Package {
            name: artifact.name,
            version: artifact.version,
            purl: Some(artifact.purl),
            ..Package::default()
        },
        fixed: vulnerability.fix.versions.into_iter().next(),
        severity,
        word: word.unwrap_or(vulnerability.severity),
        notice: None,
        paths: artifact.locations.into_iter().map(|one| one.path).collect(),
    }
}
