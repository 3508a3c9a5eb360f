//! A Go program as an image of two platforms.

use crate::layout::architecture;
use crate::project::{Layout, Project, json, sha256};
use crate::run::Container;
use crate::support::{Outcome, command, program, root, succeed};
use std::path::Path;

const PLATFORMS: [&str; 2] = ["amd64", "arm64"];

fn inspect(skopeo: &Path, further: &[&str], reference: &str) -> String {
    succeed(command(skopeo).args(further).args(["inspect", reference]))
}

pub(crate) fn skopeo_picks_each_platform_of_a_go_program() -> Outcome {
    let skopeo = program("skopeo")?;
    let project = Project::of_a_go_program()?;
    let layout = project.signed();
    let reference = layout.reference("v1");
    let raw = succeed(command(&skopeo).args(["inspect", "--raw", &reference]));
    assert_eq!(sha256(raw.trim_end_matches('\n').as_bytes()), layout.digest);
    let manifests = layout.manifests();
    let listed: Vec<_> = manifests
        .iter()
        .map(|descriptor| {
            assert_eq!(descriptor["platform"]["os"], "linux");
            descriptor["platform"]["architecture"].as_str().expect("an architecture")
        })
        .collect();
    assert_eq!(listed, PLATFORMS);
    for (descriptor, platform) in manifests.iter().zip(PLATFORMS) {
        let found = inspect(&skopeo, &["--override-arch", platform], &reference);
        let found = json(found.as_bytes());
        assert_eq!(found["Architecture"], platform);
        assert_eq!(found["Os"], "linux");
        let manifest = layout.document(descriptor);
        let layers = manifest["layers"].as_array().expect("layers").iter();
        let layers: Vec<_> = layers.map(|layer| layer["digest"].clone()).collect();
        assert_eq!(found["Layers"].as_array(), Some(&layers), "{platform}");
    }
    Ok(())
}

pub(crate) fn skopeo_copies_both_platforms() -> Outcome {
    let skopeo = program("skopeo")?;
    let project = Project::of_a_go_program()?;
    let layout = project.signed();
    let copy = format!("oci:{}:copied", project.path("copy").display());
    let from = layout.reference("v1");
    succeed(command(&skopeo).args(["copy", "--quiet", "--all", &from, &copy]));
    let copied = Layout::open(project.path("copy"), layout.digest);
    assert_eq!(copied.manifests().len(), PLATFORMS.len());
    for descriptor in copied.manifests() {
        let manifest = copied.document(&descriptor);
        for layer in manifest["layers"].as_array().expect("layers") {
            copied.blob(layer["digest"].as_str().expect("a digest"));
        }
    }
    Ok(())
}

pub(crate) fn the_go_program_runs_and_finds_certificates_and_time_zones() -> Outcome {
    root()?;
    program("runc")?;
    let umoci = program("umoci")?;
    let skopeo = program("skopeo")?;
    let project = Project::of_a_go_program()?;
    let layout = project.signed();
    let own = architecture();
    assert!(PLATFORMS.contains(&own), "these tests do not know how to run on {own}");
    // umoci chooses no platform from an index: skopeo picks the machine's, then umoci unpacks.
    let copy = format!("oci:{}:own", project.path("own").display());
    succeed(command(skopeo).args(["copy", "--quiet", &layout.reference("v1"), &copy]));
    let names = succeed(command(umoci).args(["list", "--layout"]).arg(project.path("own")));
    assert_eq!(names, "own\n");
    let container = Container::of(&project.path("own"), "own")?;
    let expected = format!(
        "platform linux/{own}\narguments one two\ncertificates found\n\
         time 1970-01-01T01:00:00+01:00\nuser nonroot /home/nonroot\nhttps hello over TLS\n"
    );
    let output = container.run();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{complaints}");
    assert_eq!(output.status.code(), Some(0));
    Ok(())
}
