//! The zstd reader. What it accepts, another decoder must read the same.
#![no_main]

use karat::archive::reader::LayerReader;
use karat::archive::{Compression, Limits};
use ruzstd::decoding::FrameDecoder;
use std::io::Read;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = Limits { max_uncompressed: 2 << 20, max_window_log: 23, ..Limits::default() };
    let Ok(mut reader) = LayerReader::new(data, Compression::Zstd, &limits) else { return };
    let mut bytes = Vec::new();
    let read = reader.read_to_end(&mut bytes);
    assert!(bytes.len() as u64 <= limits.max_uncompressed + (256 << 10));
    if read.is_err() {
        return;
    }
    if let Ok(totals) = reader.finish() {
        assert_eq!(totals.uncompressed, bytes.len() as u64);
        assert_eq!(totals.compressed, data.len() as u64);
        let mut other = vec![0; bytes.len() + 1];
        // It has limits of its own; what it reads must be the same.
        if let Ok(count) = FrameDecoder::new().decode_all(data, &mut other) {
            assert!(other[..count] == bytes);
        }
    }
});
