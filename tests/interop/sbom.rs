//! pyspdxtools, the NTIA checker and the CycloneDX library on karat's documents.

use crate::project::{Project, json};
use crate::support::{Outcome, Skip, command, finish, program, python, repository, succeed};
use serde_json::Value;
use std::path::PathBuf;

/// Images without packages of their own, with Rust crates, and with Go modules.
fn projects() -> Result<[(&'static str, Project); 3], Skip> {
    let projects = [
        ("app", Project::of_a_c_program()?),
        ("self", Project::of_karat()),
        ("hello", Project::of_a_go_program()?),
    ];
    for (_, project) in &projects {
        project.build(&[]);
    }
    Ok(projects)
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
