//! pyspdxtools, the NTIA checker and the CycloneDX library on karat's documents.

use crate::project::{Project, json};
use crate::support::{Outcome, Skip, command, finish, program, python, repository, succeed};
use serde_json::Value;
use std::path::PathBuf;
use tempfile::TempDir;

/// Five images: without packages of their own, with Rust crates, with Go modules for two
/// platforms, and with nothing but a program of ours, of which everything is known.
fn projects() -> Result<[(&'static str, Project); 4], Skip> {
    let projects = [
        ("app", Project::of_a_c_program()?),
        ("self", Project::of_karat()),
        ("hello", Project::of_a_go_program()?),
        ("bare", Project::of_a_bare_program()?),
    ];
    for (_, project) in &projects {
        project.build(&[]);
    }
    Ok(projects)
}

/// Has `karat sbom` write documents of all images: of the index where there are several.
fn described(form: &str) -> Result<(TempDir, Vec<(String, PathBuf)>), Skip> {
    let folder = TempDir::with_prefix("karat-sbom-").expect("a temporary folder");
    let mut found = Vec::new();
    for (name, project) in projects()? {
        let reference = format!("oci:dist/{name}/image:local");
        let platforms: &[&str] = match name {
            "hello" => &["", "linux/amd64", "linux/arm64"],
            _ => &[""],
        };
        for platform in platforms {
            let mut karat = project.karat();
            karat.args(["sbom", &reference, "--as", form]);
            if !platform.is_empty() {
                karat.args(["--platform", platform]);
            }
            let text = succeed(&mut karat);
            let name = format!("{name}{}", platform.replace('/', "-"));
            let file = folder.path().join(format!("{name}.json"));
            std::fs::write(&file, text).expect("the document");
            found.push((name, file));
        }
    }
    assert_eq!(found.len(), 6, "five images and an index");
    Ok((folder, found))
}

/// The names of the documents of an image that end so, one a platform where there are several.
fn documents(project: &Project, name: &str, ending: &str) -> Vec<PathBuf> {
    let folder = project.path("dist").join(name);
    let entries = folder.read_dir().expect("the output");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let found: Vec<_> = paths.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    assert!(!found.is_empty(), "no document ends in {ending}: {}", folder.display());
    found
}

pub(crate) fn pyspdxtools_accepts_the_spdx_document() -> Outcome {
    let pyspdxtools = program("pyspdxtools")?;
    for (name, project) in projects()? {
        for document in documents(&project, name, ".spdx.json") {
            succeed(command(&pyspdxtools).arg("--infile").arg(document));
        }
    }
    Ok(())
}

/// The NTIA's elements but one: who supplies the user's own files only the user knows.
pub(crate) fn the_ntia_checker_finds_the_minimum_elements() -> Outcome {
    let checker = program("sbomcheck")?;
    for (name, project) in projects()? {
        for document in documents(&project, name, ".spdx.json") {
            let mut command = command(&checker);
            command.args(["--comply", "ntia", "--output", "json"]).arg(document);
            let output = finish(&mut command);
            let report = json(&output.stdout);
            for element in [
                "/authorNameProvided",
                "/timestampProvided",
                "/specVersionProvided",
                "/dependencyRelationshipsProvided",
                "/componentsEvaluated",
                "/componentNames/allProvided",
                "/componentVersions/allProvided",
                "/componentIdentifiers/allProvided",
            ] {
                let found = report.pointer(element);
                assert_eq!(found, Some(&true.into()), "{name}: {element}: {report:#}");
            }
            assert_eq!(report["validationMessages"], Value::Array(Vec::new()), "{name}");
            assert_eq!(report["parsingError"], Value::Array(Vec::new()), "{name}");
            let unsupplied = report["componentSuppliers"]["nonconformantComponents"].to_string();
            for supplied in ["base-files", "ca-certificates", "netbase", "tzdata", "media-types"] {
                let quoted = format!("\"{supplied}\"");
                assert!(!unsupplied.contains(&quoted), "{name}: {supplied} has no supplier");
            }
        }
    }
    Ok(())
}

pub(crate) fn the_cyclonedx_library_accepts_the_document() -> Outcome {
    let python = python()?;
    let script = repository().join("tests/interop/python/cyclonedx_check.py");
    for (name, project) in projects()? {
        for document in documents(&project, name, ".cdx.json") {
            let printed = succeed(command(&python).arg(&script).arg(document));
            assert_eq!(printed, "valid\n", "{name}");
        }
    }
    Ok(())
}

/// The documents of SPDX 3: the specification's own classes take them, and the checkers find
/// what each standard demands, all of it where all of it is known.
pub(crate) fn the_checkers_accept_the_spdx_3_document() -> Outcome {
    let checker = program("sbomcheck")?;
    let (_folder, documents) = described("spdx-3.0")?;
    for (name, document) in &documents {
        for standard in ["ntia", "fsct3-min", "bsi"] {
            let mut command = command(&checker);
            command.args(["--sbom-spec", "spdx3", "--comply", standard, "--output", "json"]);
            let output = finish(command.arg(document));
            let report = json(&output.stdout);
            for empty in ["validationMessages", "parsingError"] {
                assert_eq!(
                    report[empty],
                    Value::Array(Vec::new()),
                    "{name}: {standard}: {report:#}"
                );
            }
            for element in ["/componentNames/allProvided", "/timestampProvided"] {
                let found = report.pointer(element);
                assert_eq!(found, Some(&true.into()), "{name}: {element}: {report:#}");
            }
            if name == "bare" {
                assert!(output.status.success(), "{name}: {standard}: {report:#}");
            }
        }
    }
    Ok(())
}

/// What only SPDX 2.3 and CycloneDX have of it is said there too.
pub(crate) fn every_form_of_every_image_is_valid() -> Outcome {
    let (pyspdxtools, python) = (program("pyspdxtools")?, python()?);
    let script = repository().join("tests/interop/python/cyclonedx_check.py");
    let (_folder, documents) = described("spdx-2.3")?;
    for (_, document) in &documents {
        succeed(command(&pyspdxtools).arg("--infile").arg(document));
    }
    let (_folder, documents) = described("cyclonedx-1.6")?;
    for (name, document) in &documents {
        let printed = succeed(command(&python).arg(&script).arg(document));
        assert_eq!(printed, "valid\n", "{name}");
    }
    Ok(())
}
