//! Reports of Trivy, `trivy image --format json`, schema 2.

use super::{Names, Package, Reported, Scanner, ScannerError, digest, nullable, word};
use serde::Deserialize;

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "SchemaVersion")]
    schema_version: u32,
    #[serde(rename = "Trivy", default)]
    trivy: Program,
    #[serde(rename = "ArtifactType", default)]
    artifact_type: String,
    #[serde(rename = "Metadata", default)]
    metadata: Metadata,
    #[serde(rename = "Results", default, deserialize_with = "nullable")]
    results: Vec<Target>,
}

#[derive(Default, Deserialize)]
struct Program {
    #[serde(rename = "Version", default)]
    version: String,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(rename = "ImageID", default)]
    image_id: String,
    #[serde(rename = "RepoDigests", default, deserialize_with = "nullable")]
    repo_digests: Vec<String>,
}

#[derive(Deserialize)]
struct Target {
    #[serde(rename = "Target", default)]
    target: String,
    #[serde(rename = "Class", default)]
    class: String,
    #[serde(rename = "Vulnerabilities", default, deserialize_with = "nullable")]
    vulnerabilities: Vec<Vulnerability>,
}

#[derive(Deserialize)]
struct Vulnerability {
    #[serde(rename = "VulnerabilityID", default)]
    id: String,
    #[serde(rename = "VendorIDs", default, deserialize_with = "nullable")]
    vendor_ids: Vec<String>,
    #[serde(rename = "PkgName", default)]
    package: String,
    #[serde(rename = "PkgPath", default)]
    path: String,
    #[serde(rename = "PkgIdentifier", default)]
    identifier: Identifier,
    #[serde(rename = "InstalledVersion", default)]
    installed: String,
    #[serde(rename = "FixedVersion", default)]
    fixed: String,
    #[serde(rename = "Title", default)]
    title: String,
    #[serde(rename = "Severity", default)]
    severity: String,
}

#[derive(Default, Deserialize)]
struct Identifier {
    #[serde(rename = "PURL", default)]
    purl: Option<String>,
}

pub(super) fn read(bytes: &[u8]) -> Result<(Names, String, Vec<Reported>), ScannerError> {
    let form = |text: String| ScannerError::Form(Scanner::Trivy, text);
    let document: Document =
        serde_json::from_slice(bytes).map_err(|error| form(error.to_string()))?;
    if document.schema_version != 2 {
        return Err(form(format!("its SchemaVersion is {}, not 2", document.schema_version)));
    }
    let metadata = match document.artifact_type.as_str() {
        "container_image" => document.metadata,
        _ => return Err(ScannerError::NoImage(Scanner::Trivy)),
    };
    let repositories = metadata.repo_digests.iter().filter_map(|one| digest(one)).collect();
    let names = Names { id: digest(&metadata.image_id), repositories, ..Names::default() };
    let found = document.results.into_iter().flat_map(|target| {
        // Of a program the target is its file, of a distribution the image.
        let file = match target.class.as_str() {
            "lang-pkgs" => target.target,
            _ => String::new(),
        };
        target.vulnerabilities.into_iter().map(move |one| reported(one, &file))
    });
    Ok((names, document.trivy.version, found.collect()))
}

fn reported(one: Vulnerability, file: &str) -> Reported {
    let path = if one.path.is_empty() { file } else { &one.path };
    let paths = Some(path.trim_start_matches('/')).filter(|path| !path.is_empty());
    Reported {
        ids: std::iter::once(one.id).chain(one.vendor_ids).collect(),
        summary: one.title,
        package: Package {
            name: one.package,
            version: one.installed,
            purl: one.identifier.purl,
            ..Package::default()
        },
        fixed: Some(one.fixed),
        severity: word(&one.severity),
        word: one.severity,
        notice: None,
        paths: paths.map(|path| format!("/{path}")).into_iter().collect(),
    }
}
