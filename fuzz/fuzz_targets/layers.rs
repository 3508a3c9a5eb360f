//! Two layers as an image of somebody else: read, merged and inspected.
#![no_main]

use karat::archive::Limits;
use karat::finding::Severity;
use karat::image::{Image, Origin, read};
use karat::inspect::{self, Ahead, Rules};
use karat::oci::MediaType;
use karat::oci::document::Config;
use karat::store::SpoolRoom;
use karat_fuzz::{assert_shows, halves, report, seeds, tar};
use std::collections::BTreeMap;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (lower, upper) = halves(data);
    let room = SpoolRoom::default();
    let mut layers = Vec::new();
    for archive in [lower, upper] {
        let mut archive = archive.to_vec();
        tar::sum_up(&mut archive);
        let limits = Limits::default();
        let layer =
            read::layer(&room, &archive[..], &MediaType::LAYER, None, &limits, Origin::Foreign);
        let Ok(layer) = layer else { return };
        layers.push(layer);
    }
    let config = Config::parse(seeds::CONFIG.as_bytes()).expect("the configuration is whole");
    let rules = Rules { platform: config.platform().known(), ..Rules::default() };
    let image = Image { config, layers, annotations: BTreeMap::new() };
    for (path, node) in image.tree().iter() {
        assert!(
            !path.starts_with(b"/") && !path.split(|byte| *byte == b'/').any(|part| part == b"..")
        );
        assert_eq!(path, node.entry.path);
    }
    let (_, findings) = inspect::image(&image, &rules, &Ahead::default()).into_parts(&[]);
    assert_shows(&report("image", findings).findings_text(Severity::Info));
});
