//! What the provenance of a build names, read back: everything to build the image again from.
//!
//! Takes the predicate of a statement that was verified. The bytes are foreign all the same: names
//! are paths that must stay below a folder.

use super::provenance::{BUILD_TYPE, REBASE_TYPE};
use crate::oci::{Digest, Platform};
use crate::time::Epoch;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Who says so: this program, building again what somebody else has built.
pub const REBUILDER: &str = "urn:karat:builder:rebuild";
/// The kinds of dependencies that decide the image; the others judged it.
const DECIDE: [&str; 8] =
    ["recipe", "base", "base-lock", "base-package", "binary", "file", "sbom", "provenance"];

/// How an image was built.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The recipe's path relative to its project, or `inferred`.
    pub recipe: Dependency,
    /// The value of every var.
    pub vars: BTreeMap<String, String>,
    /// The time that was written.
    pub epoch: Epoch,
    /// The version of the rules of assembly.
    pub format: u64,
    /// The encoder of the added layer.
    pub encoder: String,
    /// The platforms that the record covers.
    pub platforms: Vec<Platform>,
    /// The manifests of the bases, by platform.
    pub bases: Vec<(Platform, Digest)>,
    /// The files that were read.
    pub inputs: Vec<Dependency>,
    /// The version of karat that built it, as it says.
    pub karat: String,
    /// The commit of the recipe, where there is one.
    pub commit: Option<String>,
    predicate: Value,
}

/// One file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// `recipe`, `binary`, `file`, `sbom` or `provenance`.
    pub kind: String,
    /// The path relative to the project's root, with `/` between the components.
    pub name: String,
    /// The hash.
    pub digest: Digest,
    /// The bytes, where the record carries them.
    pub content: Option<Vec<u8>>,
}

/// Why nothing can be built again of a record.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum RecordError {
    #[error("it is no record of a build: {0}")]
    Malformed(String),
    #[error("it was built in a way that karat does not know, `{0}`")]
    BuildType(String),
    #[error("it was put on another base by `karat rebase`; what was built is the image {0}")]
    Rebased(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Predicate {
    build_definition: Definition,
    run_details: Details,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
    build_type: String,
    external_parameters: Value,
    internal_parameters: Value,
    resolved_dependencies: Vec<Resolved>,
}

#[derive(Deserialize)]
struct Resolved {
    name: String,
    digest: BTreeMap<String, String>,
    annotations: BTreeMap<String, Value>,
    content: Option<String>,
}

#[derive(Deserialize)]
struct Details {
    builder: Builder,
}

#[derive(Deserialize)]
struct Builder {
    #[serde(default)]
    version: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct External {
    recipe: String,
    vars: BTreeMap<String, String>,
    source_date_epoch: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Internal {
    assembly_format: u64,
    encoder: String,
    platforms: Vec<String>,
}

impl Recorded {
    /// Reads a predicate of the type `https://slsa.dev/provenance/v1`.
    ///
    /// # Errors
    /// When it is of another build type, or lacks what its type demands.
    pub fn read(predicate: &Value) -> Result<Self, RecordError> {
        let malformed = |why: String| RecordError::Malformed(why);
        let of_json = |error: serde_json::Error| malformed(error.to_string());
        let Predicate { build_definition: definition, run_details } =
            Predicate::deserialize(predicate).map_err(of_json)?;
        match definition.build_type.as_str() {
            BUILD_TYPE => {}
            REBASE_TYPE => {
                let image = &definition.external_parameters["image"];
                return Err(RecordError::Rebased(image.as_str().unwrap_or("?").to_owned()));
            }
            other => return Err(RecordError::BuildType(other.to_owned())),
        }
        let external = External::deserialize(definition.external_parameters).map_err(of_json)?;
        let internal = Internal::deserialize(definition.internal_parameters).map_err(of_json)?;
        let platform =
            |text: &str| text.parse::<Platform>().map_err(|error| malformed(error.to_string()));
        let platforms: Vec<_> =
            internal.platforms.iter().map(|text| platform(text)).collect::<Result<_, _>>()?;
        let (mut recipe, mut commit) = (None, None);
        let (mut bases, mut inputs) = (Vec::new(), Vec::new());
        for one in definition.resolved_dependencies {
            let kind = one.annotations.get("kind").and_then(Value::as_str).unwrap_or_default();
            if kind == "source" {
                commit = one.digest.get("gitCommit").cloned();
                continue;
            }
            if !DECIDE.contains(&kind) || matches!(kind, "base-lock" | "base-package") {
                continue;
            }
            let hex = one.digest.get("sha256").map(String::as_str).unwrap_or_default();
            let digest = format!("sha256:{hex}").parse::<Digest>();
            let digest = digest.map_err(|error| malformed(format!("`{}`: {error}", one.name)))?;
            if kind == "base" {
                let of = one.name.rsplit_once("?platform=").map(|(_, of)| of).unwrap_or_default();
                bases.push((platform(of)?, digest));
                continue;
            }
            if !stays_below(&one.name) {
                return Err(malformed(format!("`{}` is no path of a project", one.name)));
            }
            let content = one.content.map(|text| STANDARD.decode(text)).transpose();
            let content = content.map_err(|error| malformed(format!("`{}`: {error}", one.name)))?;
            let found = Dependency { kind: kind.to_owned(), name: one.name, digest, content };
            match kind {
                "recipe" => recipe = Some(found),
                _ => inputs.push(found),
            }
        }
        let recipe = recipe.filter(|recipe| recipe.name == external.recipe);
        Ok(Self {
            recipe: recipe.ok_or_else(|| malformed("it names no recipe".to_owned()))?,
            vars: external.vars,
            epoch: external
                .source_date_epoch
                .to_string()
                .parse()
                .map_err(|error: crate::time::InvalidEpoch| malformed(error.to_string()))?,
            format: internal.assembly_format,
            encoder: internal.encoder,
            platforms,
            bases,
            inputs,
            karat: run_details.builder.version.get("karat").cloned().unwrap_or_default(),
            commit,
            predicate: predicate.clone(),
        })
    }

    /// Writes the record of having built the same image again from the same inputs: what decided
    /// it, and nothing of who judged it.
    pub fn again(&self, ci: Option<&super::ci::Ci>) -> Value {
        let was = &self.predicate["buildDefinition"];
        let all = was["resolvedDependencies"].as_array().into_iter().flatten();
        let decides = |one: &&Value| {
            one["annotations"]["kind"].as_str().is_some_and(|kind| DECIDE.contains(&kind))
        };
        let of = |name: &str| was["internalParameters"][name].clone();
        let mut internal = json!({
            "assemblyFormat": of("assemblyFormat"),
            "encoder": of("encoder"),
            "platforms": of("platforms"),
        });
        if let Some(ci) = ci {
            internal["ci"] = json!(ci);
        }
        json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": was["externalParameters"],
                "internalParameters": internal,
                "resolvedDependencies": all.filter(decides).collect::<Vec<_>>(),
            },
            "runDetails": super::provenance::details(REBUILDER, ci),
        })
    }
}

/// Says whether a path leads to a place below where it begins, on every system.
fn stays_below(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\\', '\0', ':'])
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below() {
        for path in ["a", "a/b", "a/..b", "a b", "日"] {
            assert!(stays_below(path), "{path}");
        }
        for path in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\\b", "C:a", "a\0"] {
            assert!(!stays_below(path), "{path}");
        }
    }

    fn record() -> Value {
        let hex = "a".repeat(64);
        json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "recipe": "app.karat.toml", "vars": {"v": "1"}, "sourceDateEpoch": 7,
                },
                "internalParameters": {
                    "assemblyFormat": 1, "encoder": "e", "platforms": ["linux/amd64"], "ci": {},
                    "ruleSet": {},
                },
                "resolvedDependencies": [
                    {"name": "app.karat.toml", "digest": {"sha256": hex}, "annotations": {"kind": "recipe"}},
                    {"name": "golden", "digest": {"sha256": hex}, "annotations": {"kind": "policy"}},
                    {"name": "app", "digest": {"sha256": hex}, "annotations": {"kind": "binary"}},
                    {"name": "b?platform=linux/amd64", "digest": {"sha256": hex}, "annotations": {"kind": "base"}},
                ],
            },
            "runDetails": {"builder": {"id": "x", "version": {"karat": "0.1.0"}}, "metadata": {}},
        })
    }

    #[test]
    fn record_is_read_back() {
        let read = Recorded::read(&record()).unwrap();
        assert_eq!((read.epoch.seconds(), read.format, read.inputs.len()), (7, 1, 1));
        assert_eq!(read.bases[0].0.to_string(), "linux/amd64");
        let again = read.again(None);
        let kinds: Vec<_> = again["buildDefinition"]["resolvedDependencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["annotations"]["kind"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["recipe", "binary", "base"], "the policy has not judged again");
        let internal = &again["buildDefinition"]["internalParameters"];
        assert!(internal.get("ci").is_none() && internal.get("ruleSet").is_none());
        assert_eq!(again["runDetails"]["builder"]["id"], REBUILDER);
        Recorded::read(&again).unwrap();
    }

    #[test]
    fn hostile_records_are_refused() {
        type Change = fn(&mut Value);
        let changes: [(&str, Change); 7] = [
            ("no path", |one| {
                one["buildDefinition"]["resolvedDependencies"][2]["name"] = "../x".into()
            }),
            ("no recipe", |one| {
                one["buildDefinition"]["externalParameters"]["recipe"] = "other".into()
            }),
            ("does not know", |one| one["buildDefinition"]["buildType"] = "other".into()),
            ("rebase", |one| one["buildDefinition"]["buildType"] = REBASE_TYPE.into()),
            ("no record", |one| {
                one["buildDefinition"]["internalParameters"]["assemblyFormat"] = (-1).into()
            }),
            ("no record", |one| {
                one["buildDefinition"]["resolvedDependencies"][2]["digest"] = json!({})
            }),
            ("no record", |one| {
                one["buildDefinition"]["internalParameters"]["platforms"][0] = "x".into()
            }),
        ];
        for (words, change) in changes {
            let mut changed = record();
            change(&mut changed);
            let error = Recorded::read(&changed).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
