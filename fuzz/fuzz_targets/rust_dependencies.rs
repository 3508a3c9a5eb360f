//! The dependency list of cargo-auditable, as it stands in a file or before it is packed.
#![no_main]

use karat::binary::elf::View;
use karat::binary::rust::{self, Dependencies};
use karat_fuzz::{elf, mode};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = mode(data) else { return };
    let section = if mode & 1 == 0 {
        miniz_oxide::deflate::compress_to_vec_zlib(rest, 1)
    } else {
        rest.to_vec()
    };
    let file = elf::program(&[(".dep-v0", &section), (".comment", rest)]);
    let view = View::read(&file).expect("the program is whole").expect("it is one");
    if let Ok(Some(list)) = Dependencies::read(&file, &view) {
        assert!(list.root().is_some());
        for package in &list.packages {
            assert!(package.dependencies.iter().all(|index| *index < list.packages.len()));
        }
    }
    let _ = (rust::rustc_version(&file, &view), rust::is_rust(&file, &view));
});
