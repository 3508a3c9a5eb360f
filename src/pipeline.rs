//! The journeys: the only place that calls several stations, one file a journey.

pub mod build;
pub mod inspect;

use crate::bom::{Bom, Kind};
use crate::finding::report::Package;

/// Lists the packages of a bill of materials: everything in it that is no file of the image.
fn packages(bom: &Bom) -> Vec<Package> {
    let of_file = [Kind::OperatingSystem, Kind::Executable, Kind::Library, Kind::File];
    bom.components
        .iter()
        .filter(|component| !of_file.contains(&component.kind))
        .map(|component| Package {
            purl: component.purl.clone(),
            name: component.name.clone(),
            version: component.version.clone(),
        })
        .collect()
}
