//! Components that no list names: libraries by their banners, crates by the paths of their
//! panics, packages of Go programs by the names of their functions.

use super::executable::{NAME, Parts};
use super::{Component, Evidence, Id, Kind, cargo, purl};
use crate::binary::ReadAt;
use crate::binary::banner::{Banners, Library};
use crate::binary::elf::View;
use crate::binary::go;
use crate::oci::Digest;
use std::collections::BTreeSet;

/// The most packages of one Go program.
const PACKAGES: usize = 5_000;

/// What a copyright field says of bytes that hold no notice (SPDX 2.3, 7.17).
pub(super) const NO_NOTICE: &str = "NONE";

/// Makes the components of libraries that were recognised by their banners.
pub(super) fn libraries(owner: &Digest, found: &[Library]) -> Parts {
    let mut parts = Parts::default();
    for library in found {
        let version = library.version.as_deref().unwrap_or_default();
        let fields = [owner.bytes(), version.as_bytes()];
        let id = Id::of(Kind::NativeLibrary, library.name, &fields);
        let mut component = Component::new(id, Kind::NativeLibrary, library.name, Evidence::Banner);
        component.version.clone_from(&library.version);
        component.purl = Some(purl::build("generic", "", library.name, version, &[]));
        component.confidence = library.confidence;
        component.facts.insert("banner", library.banner.clone());
        component.facts.insert("offset", library.place.to_string());
        parts.push_loose(component);
    }
    parts
}

/// Makes the components of crates whose panics name their files: those that cannot panic, and
/// those of git and of folders, are not among them.
pub(super) fn crates(owner: &Digest, banners: &Banners, compiler: Option<&str>) -> Parts {
    let mut parts = Parts::default();
    for ((name, version), public) in &banners.crates {
        let fields = [owner.bytes(), version.as_bytes(), b"panic"];
        let id = Id::of(Kind::Crate, name, &fields);
        let mut component = Component::new(id, Kind::Crate, name, Evidence::PanicPath);
        component.version = Some(version.clone());
        component.purl = public.then(|| purl::build("cargo", "", name, version, &[]));
        component.supplier = public.then(|| cargo::CRATES_IO.to_owned());
        let source = if *public { cargo::CRATES_IO } else { "registry" };
        component.facts.insert("cargo:source", source.to_owned());
        parts.push_loose(component);
    }
    if let Some(commit) = banners.rustc.first() {
        let mut library = cargo::standard_library(owner, compiler);
        library.evidence = Evidence::PanicPath;
        library.confidence = Evidence::PanicPath.confidence();
        library.facts.insert("rust:commit", commit.clone());
        parts.push_loose(library);
    }
    parts
}

/// Makes the components of the packages that a Go program's functions are of, for programs
/// that were built without modules. None when the table cannot be read whole. Packages of the
/// standard library, whose paths have no host, are one component already.
pub(super) fn go_packages(owner: &Digest, source: &dyn ReadAt, view: &View) -> Option<Parts> {
    let mut packages = BTreeSet::new();
    let mut room = true;
    let whole = go::visit_functions(source, view, &mut |name| {
        let Some(package) = go::package_of(name) else { return };
        let host = package.split('/').next().unwrap_or_default();
        if host.contains('.') && package.contains('/') && !packages.contains(&*package) {
            room &= packages.len() < PACKAGES && package.len() <= NAME;
            if room {
                packages.insert(package.into_owned());
            }
        }
    });
    if !whole.unwrap_or(false) || !room {
        return None;
    }
    let mut parts = Parts::default();
    for package in packages {
        let id = Id::of(Kind::GoPackage, &package, &[owner.bytes()]);
        let mut component = Component::new(id, Kind::GoPackage, &package, Evidence::GoFunctions);
        component.purl = Some(purl::golang(&package, ""));
        parts.push_loose(component);
    }
    Some(parts)
}

/// Returns the copyright notices in the bytes of a file, one a line.
pub(super) fn copyright(banners: &Banners) -> Option<String> {
    let notices: Vec<&str> = banners.notices.iter().map(String::as_str).collect();
    match notices.is_empty() {
        true => Some(NO_NOTICE.to_owned()),
        false => (!banners.truncated).then(|| notices.join("\n")),
    }
}
