//! The crates of a Rust program as components.
//!
//! Source: cargo-auditable, `cargo-auditable.schema.json`.

use super::executable::{NAME, Parts};
use super::{Completeness, Component, Evidence, Id, Kind, purl};
use crate::binary::rust::{Dependencies, Kind as CrateKind, Package};
use crate::oci::Digest;

/// The word for the public registry in the list.
pub(super) const CRATES_IO: &str = "crates.io";

/// Makes the components of a Rust program with the graph that the list has.
pub(super) fn parts(owner: &Digest, list: &Dependencies, compiler: Option<&str>) -> Parts {
    let mut parts = Parts::default();
    let standard_library = parts.push(standard_library(owner, compiler));
    let ids: Vec<Id> = list.packages.iter().map(|package| id(owner, package)).collect();
    for (package, id) in list.packages.iter().zip(&ids) {
        let mut component = component(package, id.clone());
        let needed = package.dependencies.iter().filter_map(|index| ids.get(*index));
        component.depends_on = needed.cloned().collect();
        component.edges = Completeness::Complete;
        if package.root {
            component.depends_on.extend(standard_library.clone());
            parts.main = parts.push(component);
        } else {
            parts.push(component);
        }
    }
    // What neither the root nor any other crate leads to would hang in the air.
    let mut reached = vec![false; ids.len()];
    for index in list.packages.iter().flat_map(|package| &package.dependencies) {
        if let Some(reached) = reached.get_mut(*index) {
            *reached = true;
        }
    }
    let loose = ids
        .iter()
        .zip(&reached)
        .filter(|(id, reached)| !**reached && parts.main.as_ref() != Some(*id));
    parts.loose = loose.map(|(id, _)| id.clone()).collect();
    if parts.main.is_none() {
        parts.loose.extend(standard_library);
    }
    parts
}

fn kind(package: &Package) -> Kind {
    match (package.root, package.kind) {
        (true, _) => Kind::CrateRoot,
        (false, CrateKind::Runtime) => Kind::Crate,
        (false, CrateKind::Build) => Kind::BuildCrate,
    }
}

fn id(owner: &Digest, package: &Package) -> Id {
    let fields = [owner.bytes(), package.version.as_bytes(), package.source.as_bytes()];
    Id::of(kind(package), &package.name, &fields)
}

fn component(package: &Package, id: Id) -> Component {
    let mut component = Component::new(id, kind(package), &package.name, Evidence::CargoAuditable);
    component.version = (!package.version.is_empty()).then(|| package.version.clone());
    let source: String = package.source.chars().take(NAME).collect();
    // The list says `git` without the repository; newer ones may append it.
    let repository = source.strip_prefix("git+").unwrap_or_default();
    let version = &package.version;
    let short = package.name.len() <= NAME && version.len() <= NAME;
    component.purl = match source.as_str() {
        _ if !short => None,
        CRATES_IO => Some(purl::build("cargo", "", &package.name, version, &[])),
        _ if !repository.is_empty() => {
            let at = [("vcs_url", source.as_str())];
            Some(purl::build("cargo", "", &package.name, version, &at))
        }
        _ => None,
    };
    component.supplier = (source == CRATES_IO).then(|| CRATES_IO.to_owned());
    component.facts.insert("cargo:source", source);
    component
}

/// The list never has the standard library, which is in every program that is no `no_std` one.
pub(super) fn standard_library(owner: &Digest, compiler: Option<&str>) -> Component {
    let compiler = compiler.unwrap_or_default();
    let id = Id::of(Kind::RustStandardLibrary, "std", &[owner.bytes(), compiler.as_bytes()]);
    let mut component =
        Component::new(id, Kind::RustStandardLibrary, "std", Evidence::CargoAuditable);
    component.version = compiler.split(' ').next().filter(|v| !v.is_empty()).map(str::to_owned);
    component.supplier = Some("The Rust Project".to_owned());
    component.licence = Some("MIT OR Apache-2.0".to_owned());
    if !compiler.is_empty() {
        component.facts.insert("rust:rustc", compiler.to_owned());
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, source: &str, root: bool, dependencies: &[usize]) -> Package {
        Package {
            name: name.to_owned(),
            version: "1.2.3".to_owned(),
            source: source.to_owned(),
            kind: CrateKind::Runtime,
            dependencies: dependencies.to_vec(),
            root,
        }
    }

    fn of(packages: Vec<Package>) -> Parts {
        parts(
            &Digest::of(b""),
            &Dependencies { format: 8, packages },
            Some("1.95.0 (f2d3ce0bd 2026-03-21)"),
        )
    }

    #[test]
    fn only_registries_give_package_urls() {
        let parts = of(vec![
            package("r", "local", true, &[1, 2, 3]),
            package("a", "crates.io", false, &[]),
            package("g", "git+https://git.example/g?rev=1#abc", false, &[]),
            package("h", "git", false, &[]),
        ]);
        let purl = |name: &str| {
            parts
                .components
                .iter()
                .find(|c| c.name == name)
                .unwrap()
                .purl
                .clone()
                .unwrap_or_default()
        };
        assert_eq!(purl("r"), "");
        assert_eq!(purl("a"), "pkg:cargo/a@1.2.3");
        assert_eq!(
            purl("g"),
            "pkg:cargo/g@1.2.3?vcs_url=git%2Bhttps:%2F%2Fgit.example%2Fg%3Frev%3D1%23abc"
        );
        assert_eq!(purl("h"), "");
        assert_eq!(purl("std"), "");
        let std = parts.components.iter().find(|c| c.name == "std").unwrap();
        assert_eq!(std.version.as_deref(), Some("1.95.0"));
    }

    #[test]
    fn nothing_hangs_in_the_air() {
        // A cycle that the reader refuses, a crate that nothing needs, two that are the same.
        let parts = of(vec![
            package("r", "local", true, &[1]),
            package("x", "local", false, &[2]),
            package("y", "local", false, &[1, 99]),
            package("alone", "local", false, &[]),
            package("alone", "local", false, &[]),
        ]);
        assert_eq!(parts.loose.len(), 1);
        assert!(parts.loose.iter().all(|id| id.as_str().starts_with("crate-alone-")));
    }
}
