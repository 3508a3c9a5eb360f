//! stub
use crate::image::Image;
use crate::oci::*;
use crate::time::Epoch;
pub struct Bom;
pub struct Subject {
    pub name: String,
    pub digest: Digest,
    pub size: u64,
    pub platform: Platform,
    pub base: Option<(String, Digest)>,
    pub epoch: Epoch,
}
pub fn of(_: &Image, _: &[crate::base::Package]) -> Bom {
    Bom
}
pub fn of_file(_: &str, _: &crate::store::Content) -> Bom {
    Bom
}
impl Bom {
    pub fn packages(&self) -> impl Iterator<Item = ()> {
        std::iter::empty()
    }
    pub fn report_packages(&self) -> Vec<crate::finding::report::Package> {
        vec![]
    }
}
pub mod spdx23 {
    use super::*;
    pub fn value(_: &Bom, _: &Subject) -> serde_json::Value {
        serde_json::json!({})
    }
    pub fn index(
        _: &str,
        _: &Digest,
        _: &[(Platform, Digest, u64)],
        _: Epoch,
    ) -> serde_json::Value {
        serde_json::json!({})
    }
}
pub mod cyclonedx {
    use super::*;
    pub fn value(_: &Bom, _: &Subject) -> serde_json::Value {
        serde_json::json!({})
    }
}
