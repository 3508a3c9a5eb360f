//! Control files: `Packages` with dependencies and versions, and single paragraphs.
#![no_main]

use karat::base::debian::control::Limits;
use karat::base::debian::relation;
use karat::base::debian::{Version, index, is_package_name, is_pool_path};
use karat_fuzz::mode;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = mode(data) else { return };
    if mode & 1 == 1 {
        let Ok(text) = std::str::from_utf8(rest) else { return };
        let groups = relation::parse(text).unwrap_or_default();
        let shown: Vec<_> = groups.iter().map(ToString::to_string).collect();
        assert_eq!(relation::parse(&shown.join(", ")).expect("what was written"), groups);
        let mut words = text.split_whitespace().filter_map(|word| word.parse::<Version>().ok());
        if let (Some(one), Some(other)) = (words.next(), words.next()) {
            assert_eq!(one.cmp(&other), other.cmp(&one).reverse());
        }
        return;
    }
    let limits = Limits { paragraph: 1 << 16, ..Limits::PACKAGES };
    let _ = index::read(rest, limits, &mut |offer| {
        assert!(is_package_name(&offer.name) && is_pool_path(&offer.path));
        let _ = (offer.depends(), offer.provides());
    });
});
