//! Manifests, indexes and configurations; a configuration is inspected too.
#![no_main]

use karat::finding::Severity;
use karat::image::Image;
use karat::inspect::{self, Rules};
use karat::oci::document::{Config, Index, Manifest};
use karat_fuzz::{assert_shows, mode, report};
use std::collections::BTreeMap;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = mode(data) else { return };
    match mode % 3 {
        0 => {
            let Ok(manifest) = Manifest::parse(rest) else { return };
            assert_eq!(
                Manifest::parse(&manifest.to_bytes()).expect("what karat writes it reads"),
                manifest
            );
        }
        1 => {
            let Ok(index) = Index::parse(rest, 64) else { return };
            assert_eq!(
                Index::parse(&index.to_bytes(), 64).expect("what karat writes it reads"),
                index
            );
        }
        _ => {
            let Ok(config) = Config::parse(rest) else { return };
            assert_eq!(
                Config::parse(&config.to_bytes()).expect("what karat writes it reads"),
                config
            );
            let rules = Rules { platform: config.platform().known(), ..Rules::default() };
            let image = Image { config, layers: Vec::new(), annotations: BTreeMap::new() };
            let (_, findings) =
                inspect::image(&image, &rules, &inspect::Ahead::default()).into_parts(&[]);
            assert_shows(&report("image", findings).findings_text(Severity::Info));
        }
    }
});
