//! Decompresses and hashes one layer on one thread, and does nothing else: what `scripts/bench
//! --inspect` measures inspection against.
//!
//!     cargo run --release --example unpack -- LAYER none|gzip|zstd

use karat::archive::reader::LayerReader;
use karat::archive::verified::HashingReader;
use karat::archive::{Compression, Limits};
use std::error::Error;
use std::fs::File;
use std::io::Read;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, compression] = &arguments[..] else {
        return Err("unpack LAYER none|gzip|zstd".into());
    };
    let compression = match compression.as_str() {
        "none" => Compression::None,
        "gzip" => Compression::Gzip,
        "zstd" => Compression::Zstd,
        other => return Err(format!("`{other}` is no compression").into()),
    };
    let mut blob = HashingReader::new(File::open(path)?);
    let reader = LayerReader::new(&mut blob, compression, &Limits::default())?;
    let mut plain = HashingReader::new(reader);
    let mut chunk = vec![0; 256 << 10];
    while plain.read(&mut chunk)? > 0 {}
    let (reader, diff_id, size) = plain.finish();
    reader.finish()?;
    let (_, digest, packed) = blob.finish();
    let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    println!("{packed} bytes, sha256:{}\n{size} bytes, sha256:{}", hex(digest), hex(diff_id));
    Ok(())
}
