//! SLSA provenance v1: how an image was made, with everything that it was made from.
//!
//! Source: slsa.dev/spec/v1.0/provenance. `docs/provenance.md` documents the build type.
//! Says nothing of the time and the machine: the same inputs give the same record.

use super::ci::Ci;
use crate::assemble::{self, Input, Role};
use crate::base::Base;
use crate::finding::report::{RuleSet, ScannerReport};
use crate::oci::{Digest, Platform};
use crate::recipe::Recipe;
use crate::settings::Policy;
use crate::time::Epoch;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What this kind of build is, and how its record is to be read.
pub const BUILD_TYPE: &str = "urn:karat:build-type:assembly:v1";
/// Who says so: this program, run by whoever holds the key that signs.
pub const BUILDER: &str = "urn:karat:builder:local";

/// One platform of a build.
#[derive(Debug, Clone, Copy)]
pub struct Made<'a> {
    /// The platform.
    pub platform: &'a Platform,
    /// Its base.
    pub base: &'a Base,
    /// What was read for it.
    pub inputs: &'a [Input],
}

/// What the provenance of a build tells.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// The recipe's path relative to the project root.
    pub recipe_path: &'a str,
    /// The vars' values.
    pub vars: &'a BTreeMap<String, String>,
    /// The time that was written.
    pub epoch: Epoch,
    /// The policy that judged.
    pub policy: &'a Policy,
    /// The rules that it was inspected by.
    pub rules: RuleSet,
    /// The database in which known vulnerabilities were looked up; none when nobody has looked.
    pub database: Option<Digest>,
    /// The reports of other scanners that were taken in.
    pub reports: BTreeSet<ScannerReport>,
    /// The encoder of the added layer.
    pub encoder: &'a str,
    /// The commit that holds the recipe as it is, in hexadecimal digits, if one does.
    pub commit: Option<&'a str>,
    /// The run of a CI system that builds, if one does.
    pub ci: Option<&'a Ci>,
}

impl Record<'_> {
    /// Writes the predicate for the platforms that a digest covers.
    pub fn predicate(&self, made: &[Made<'_>]) -> Value {
        let mut dependencies = vec![
            dependency("recipe", self.recipe_path, &Digest::of(self.recipe.text.as_bytes())),
            dependency("policy", &self.policy.name, &self.policy.digest()),
        ];
        dependencies.extend(self.commit.map(|commit| source(self.recipe_path, commit)));
        if let Some(digest) = &self.database {
            dependencies.push(dependency("advisories", "database", digest));
        }
        for report in &self.reports {
            let name = format!("{} {}", report.scanner, report.version);
            dependencies.push(dependency("scanner-report", name.trim_end(), &report.digest));
        }
        for one in made {
            dependencies.extend(of_base(one.base, one.platform));
            for input in one.inputs {
                let kind = match input.role {
                    Role::Binary => "binary",
                    Role::File => "file",
                    Role::Sbom => "sbom",
                    Role::Provenance(_) => "provenance",
                };
                let mut dependency = dependency(kind, &input.source, &input.content.sha256());
                if let Role::Provenance(bytes) = &input.role {
                    // Carried on whole: who verifies the image can read how its binary was made.
                    dependency["content"] = STANDARD.encode(bytes).into();
                }
                dependencies.push(dependency);
            }
        }
        dependencies.sort_by_key(Value::to_string);
        dependencies.dedup();
        let mut internal = json!({
            "assemblyFormat": assemble::FORMAT,
            "encoder": self.encoder,
            "platforms": made.iter().map(|one| one.platform.to_string()).collect::<Vec<_>>(),
            "ruleSet": self.rules,
        });
        if let Some(ci) = self.ci {
            internal["ci"] = json!(ci);
        }
        json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "recipe": self.recipe_path,
                    "vars": self.vars,
                    "sourceDateEpoch": self.epoch.seconds(),
                },
                "internalParameters": internal,
                "resolvedDependencies": dependencies,
            },
            "runDetails": details(BUILDER, self.ci),
        })
    }
}

/// What kind of build a rebase is.
pub const REBASE_TYPE: &str = "urn:karat:build-type:rebase:v1";

/// One platform of an image that was put on another base.
#[derive(Debug, Clone, Copy)]
pub struct Moved<'a> {
    /// The platform.
    pub platform: &'a Platform,
    /// The manifest that it was.
    pub was: Digest,
    /// Name and digest of the base that it stood on.
    pub old: (&'a str, Digest),
    /// The base that it stands on now.
    pub base: &'a Base,
}

/// Writes the predicate of an image that was put on another base: what it was, `was`, both bases,
/// and by which policy and which database of advisories it was judged. How its own layers were made, the provenance of what it was tells.
pub fn moved(
    name: &str,
    was: Digest,
    moved: &[Moved<'_>],
    (policy, database): (&Policy, Option<Digest>),
    epoch: Epoch,
    ci: Option<&Ci>,
) -> Value {
    let mut dependencies =
        vec![dependency("image", name, &was), dependency("policy", &policy.name, &policy.digest())];
    dependencies.extend(database.map(|digest| dependency("advisories", "database", &digest)));
    for one in moved {
        let of = |name: &str| format!("{name}?platform={}", one.platform);
        dependencies.push(dependency("image", &of(name), &one.was));
        dependencies.push(dependency("old-base", &of(one.old.0), &one.old.1));
        dependencies.extend(of_base(one.base, one.platform));
    }
    dependencies.sort_by_key(Value::to_string);
    dependencies.dedup();
    let mut internal = json!({
        "platforms": moved.iter().map(|one| one.platform.to_string()).collect::<Vec<_>>(),
    });
    if let Some(ci) = ci {
        internal["ci"] = json!(ci);
    }
    json!({
        "buildDefinition": {
            "buildType": REBASE_TYPE,
            "externalParameters": {
                "image": was,
                "base": moved.first().map(|one| &one.base.name),
                "sourceDateEpoch": epoch.seconds(),
            },
            "internalParameters": internal,
            "resolvedDependencies": dependencies,
        },
        "runDetails": details(BUILDER, ci),
    })
}

/// Writes who has built, and in which run of a CI system.
pub(super) fn details(builder: &str, ci: Option<&Ci>) -> Value {
    let run = ci.and_then(|ci| ci.run.as_ref());
    json!({
        "builder": { "id": builder, "version": { "karat": env!("CARGO_PKG_VERSION") } },
        "metadata": match run {
            Some(run) => json!({ "invocationId": run }),
            None => json!({}),
        },
    })
}

/// Writes what a base of a platform consists of, and by which lock.
fn of_base<'a>(base: &'a Base, platform: &Platform) -> impl Iterator<Item = Value> + 'a {
    let name = format!("{}?platform={platform}", base.name);
    let manifest = base.digest.iter().map(move |digest| dependency("base", &name, digest));
    let lock = base.lock.iter().map(|digest| dependency("base-lock", &base.name, digest));
    let packages = base.packages.iter().map(|package| {
        let name = format!("{}_{}_{}", package.name, package.version, package.architecture);
        dependency("base-package", &name, &package.sha256)
    });
    manifest.chain(lock).chain(packages)
}

/// Writes the commit that a recipe is of.
fn source(recipe: &str, commit: &str) -> Value {
    json!({
        "name": recipe,
        "digest": { "gitCommit": commit },
        "annotations": { "kind": "source" },
    })
}

/// Writes a resolved dependency (`ResourceDescriptor` of in-toto).
fn dependency(kind: &str, name: &str, digest: &Digest) -> Value {
    json!({ "name": name, "digest": { "sha256": digest.hex() }, "annotations": { "kind": kind } })
}
