//! The parts of a program that its own tools have listed in it: of GraalVM's native-image, and of
//! .NET in a single file.
//!
//! Sources: CycloneDX 1.4 to 1.6, `component`; .NET, "runtime configuration files", `deps.json`.

use super::executable::Parts;
use super::sidecar::{self, Told};
use super::{Component, Evidence, Id, Kind, purl};
use crate::oci::Digest;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The most libraries of one list.
const LIBRARIES: usize = 100_000;

/// Makes the components of the document that native-image embeds; none where it is another.
pub(super) fn native_image(owner: &Digest, document: &Value) -> Option<Parts> {
    let told = sidecar::told(document)?;
    let mut parts = Parts::default();
    // The first is what the document is about: the program.
    for one in told.into_iter().skip(1).filter(|one| !one.name.is_empty()) {
        let address = if one.purl.is_empty() { maven(&one) } else { one.purl.clone() };
        let (name, version) = (one.name.clone(), one.version.clone());
        let mut component = library(owner, &name, &version, Some(address));
        one.describe(&mut component);
        parts.push_loose(component);
    }
    Some(parts)
}

/// The package URL of what Maven names: older documents have none.
fn maven(one: &Told) -> String {
    let (group, name) = one.name.rsplit_once('/').unwrap_or(("", &one.name));
    purl::build("maven", group, name, &one.version, &[])
}

/// Makes the components of a `deps.json`, with what each needs; none where it has no list.
pub(super) fn dotnet(owner: &Digest, document: &Value) -> Option<Parts> {
    let libraries = document["libraries"].as_object()?;
    if libraries.len() > LIBRARIES {
        return None;
    }
    let target = document["runtimeTarget"]["name"].as_str().unwrap_or_default();
    let nothing = Map::new();
    let targets = document["targets"][target].as_object().unwrap_or(&nothing);
    let mut parts = Parts::default();
    let mut by_name: BTreeMap<&str, Component> = BTreeMap::new();
    for (key, library_of) in libraries {
        let (name, version) = key.split_once('/').unwrap_or((key, ""));
        // A project is no package of nuget.org.
        let is_package = matches!(library_of["type"].as_str(), Some("package" | "runtimepack"));
        let bare = name.strip_prefix("runtimepack.").unwrap_or(name);
        let address = is_package.then(|| purl::build("nuget", "", bare, version, &[]));
        by_name.insert(key, library(owner, bare, version, address));
    }
    let ids: BTreeMap<&str, Id> = by_name.iter().map(|(key, one)| (*key, one.id.clone())).collect();
    let mut needed = std::collections::BTreeSet::new();
    for (key, component) in &mut by_name {
        let dependencies = targets.get(*key).and_then(|one| one["dependencies"].as_object());
        for (name, version) in dependencies.into_iter().flatten() {
            let wanted = format!("{name}/{}", version.as_str().unwrap_or_default());
            if let Some(id) = ids.get(wanted.as_str()).filter(|id| **id != component.id) {
                component.depends_on.insert(id.clone());
                needed.insert(id.clone());
            }
        }
    }
    for component in by_name.into_values() {
        match needed.contains(&component.id) {
            true => drop(parts.push(component)),
            false => parts.push_loose(component),
        }
    }
    Some(parts)
}

fn library(owner: &Digest, name: &str, version: &str, address: Option<String>) -> Component {
    let fields = [owner.bytes(), version.as_bytes()];
    let id = Id::of(Kind::ToldLibrary, name, &fields);
    let mut component = Component::new(id, Kind::ToldLibrary, name, Evidence::EmbeddedList);
    component.version = (!version.is_empty()).then(|| version.to_owned());
    component.purl = address.filter(|text| purl::parse(text).is_some());
    component
}
