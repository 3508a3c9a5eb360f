//! The journeys: the only place that calls several stations, one file a journey.

pub mod advisories;
pub mod build;
pub mod clearance;
pub mod doctor;
pub mod fleet;
pub mod inspect;
mod known;
pub mod mirror;
pub mod rebase;
pub mod rebuild;
pub mod sbom;
pub mod scan;
pub mod signed_vex;
pub mod statements;
pub mod transfer;
pub mod vouched;

use crate::bom::{Bom, Kind};
use crate::finding::report::{Package, PolicyName, ProfileName};
use crate::policy::Terms;

/// Names the policy, and its profile for the image, as reports do.
fn policy_name(terms: &Terms<'_>) -> PolicyName {
    let mode = if terms.only_reports() { "report" } else { "enforce" };
    PolicyName {
        name: terms.policy().name.clone(),
        digest: terms.policy().digest(),
        profile: terms
            .profile()
            .map(|profile| ProfileName { images: profile.images.to_string(), mode }),
    }
}

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
