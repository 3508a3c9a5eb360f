//! The gzip reader. What it accepts, another decoder must read the same.
#![no_main]

use karat::archive::reader::LayerReader;
use karat::archive::{Compression, Limits};
use karat_fuzz::{gzip, mode};
use std::io::Read;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = mode(data) else { return };
    // Mutations hit no checksum, so that most inputs get the right one.
    let blob = if mode & 1 == 0 { gzip::member(rest) } else { Some(rest.to_vec()) };
    let Some(blob) = blob else { return };
    let limits = Limits { max_uncompressed: 2 << 20, ..Limits::default() };
    let Ok(mut reader) = LayerReader::new(&blob[..], Compression::Gzip, &limits) else { return };
    let mut bytes = Vec::new();
    let read = reader.read_to_end(&mut bytes);
    assert!(bytes.len() as u64 <= limits.max_uncompressed + (256 << 10));
    if read.is_err() {
        return;
    }
    if let Ok(totals) = reader.finish() {
        assert_eq!(totals.uncompressed, bytes.len() as u64);
        assert_eq!(totals.compressed, blob.len() as u64);
        assert!(gzip::read(&blob).expect("another reader takes it") == bytes);
    }
});
