//! `karat sbom`: what anything is made of.

use crate::support::elf::Elf;
use crate::support::{Project, digest_of, recipe_on};

/// A project with a layout of two platforms, `oci:two`, and one of a single one, `oci:one`.
fn project() -> Project {
    let project = Project::new();
    project.write("amd64/app", Elf::default().build());
    project.write("arm64/app", Elf::arm64().build());
    let platforms = "platforms = [\"linux/amd64\", \"linux/arm64\"]\n";
    project.write("one.karat.toml", recipe_on("static-debian13", "", "one", "amd64/app"));
    project.write("two.karat.toml", recipe_on("scratch", platforms, "two", "{arch}/app"));
    project.done("build one.karat.toml --output oci:one --output archive:one.tar");
    project.done("build two.karat.toml --output oci:two");
    project
}

#[test]
fn image_is_described_with_its_packages_and_the_same_way_each_time() {
    let project = project();
    let spdx = project.done("sbom oci:one").json();
    assert_eq!(spdx["spdxVersion"], "SPDX-2.3");
    let packages = spdx["packages"].as_array().expect("packages");
    let has = |name: &str| packages.iter().any(|package| package["name"] == name);
    // Of the base, by its own records, and of the layer above it.
    assert!(has("tzdata") && has("base-files") && has("app"), "{packages:#?}");
    let image = project.layout("one").image(None)["digest"].as_str().expect("a digest").to_owned();
    assert!(spdx.to_string().contains(image.trim_start_matches("sha256:")));
    let cyclonedx = project.done("sbom oci:one --as cyclonedx-1.6").json();
    assert_eq!(
        (&cyclonedx["bomFormat"], &cyclonedx["specVersion"]),
        (&"CycloneDX".into(), &"1.6".into())
    );
    let named = |reference: &str| project.done(&format!("sbom {reference} --name x")).stdout;
    assert_eq!(named("oci:one"), named("archive:one.tar"));
    assert_eq!(named("oci:one"), named("one"));
}

#[test]
fn index_is_described_as_one_and_each_platform_by_itself() {
    let project = project();
    let index = project.layout("two").image(None)["digest"].as_str().expect("a digest").to_owned();
    let whole = project.done("sbom oci:two");
    assert!(whole.stdout.contains(&index));
    for platform in project.layout("two").platforms(None) {
        let digest = platform["digest"].as_str().expect("a digest");
        assert!(whole.stdout.contains(digest));
        let architecture = platform["platform"]["architecture"].as_str().expect("a platform");
        let one = project.done(&format!("sbom oci:two --platform linux/{architecture}"));
        assert!(one.stdout.contains(digest) && !one.stdout.contains(&index));
    }
    for form in ["cyclonedx-1.6", "spdx-3.0"] {
        let whole = project.done(&format!("sbom oci:two --as {form}"));
        assert!(whole.stdout.contains(&index) && whole.stdout.contains("arch=arm64"), "{form}");
    }
    project.run("sbom oci:two --platform linux/s390x").exits(2).says(&["s390x", "linux/amd64"]);
    project.run("sbom oci:one --platform linux/arm64").exits(2);
    project.done("sbom oci:one --platform linux/amd64");
}

#[test]
fn file_is_described_by_its_bytes_and_never_by_nothing() {
    let project = project();
    let program = project.done("sbom amd64/app");
    let digest = digest_of(&project.read("amd64/app"));
    assert!(program.stdout.contains(digest.trim_start_matches("sha256:")));
    project.write("notes.txt", "no program");
    let digest = digest_of(b"no program");
    let text = project.done("sbom notes.txt --as cyclonedx-1.6");
    assert!(text.stdout.contains(digest.trim_start_matches("sha256:")));
}

#[test]
fn what_cannot_be_described_is_wrong_input() {
    let project = project();
    for (line, words) in [
        ("sbom nowhere", &["nowhere"][..]),
        ("sbom amd64", &["folder"]),
        ("sbom /dev/zero", &["/dev/zero"]),
        ("sbom oci:two --as spdx-9", &["spdx-2.3"]),
        ("sbom oci:two --platform amd64", &["amd64"]),
    ] {
        project.run(line).exits(2).says(words);
    }
}
