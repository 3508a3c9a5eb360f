//! pyspdxtools, the NTIA checker and the CycloneDX library on karat's documents.

use crate::project::{Project, json};
use crate::support::{Outcome, Skip, command, program, python, repository, succeed};

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
fn documents(project: &Project, name: &str, ending: &str) -> Vec<std::path::PathBuf> {
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

pub(crate) fn the_ntia_checker_finds_the_minimum_elements() -> Outcome {
    let checker = program("sbomcheck")?;
    for (name, project) in projects()? {
        for document in documents(&project, name, ".spdx.json") {
            let mut command = command(&checker);
            command.args(["--comply", "ntia", "--output", "json"]).arg(document);
            let report = json(succeed(&mut command).as_bytes());
            assert_eq!(report["isNtiaConformant"], true, "{name}: {report:#}");
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
