//! The journeys: the only place that calls several stations, one file a journey.

pub mod build;
pub mod inspect;
