//! Small images and executables for the tests of this module.

use crate::binary::elf::testing::Writer;
use crate::image::{Entry, Image, Kind, Layer, Origin};
use crate::oci::document::Config;
use crate::store::{Content, Spool};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

pub(crate) fn content(bytes: &[u8]) -> Content {
    Content::whole(Arc::new(Spool::of(bytes.to_vec())))
}

pub(crate) fn entry(path: &str, bytes: &[u8]) -> Entry {
    Entry {
        path: path.as_bytes().to_vec(),
        kind: Kind::File(content(bytes)),
        mode: 0o555,
        uid: 0,
        gid: 0,
        mtime: 0,
        xattrs: Vec::new(),
    }
}

pub(crate) fn layer(origin: Origin, entries: Vec<Entry>) -> Layer {
    Layer { origin, diff_id: None, entries }
}

pub(crate) fn image(layers: Vec<Layer>) -> Image {
    Image { config: Config::default(), layers, annotations: BTreeMap::new() }
}

/// A static program with a module list, built by go1.26.8.
pub(crate) fn go_binary(modules: &str) -> Vec<u8> {
    let mut blob = b"\xff Go buildinf:\x08\x02".to_vec();
    blob.resize(32, 0);
    let framed = format!("{0}{modules}{0}", "0123456789abcdef");
    for text in ["go1.26.8", &framed] {
        let mut size = text.len();
        while size >= 0x80 {
            blob.push(size as u8 | 0x80);
            size >>= 7;
        }
        blob.push(size as u8);
        blob.extend_from_slice(text.as_bytes());
    }
    Writer::executable().section(".go.buildinfo", &blob).finish()
}

/// A static program with a list of crates.
pub(crate) fn auditable(json: &str) -> Vec<u8> {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(json.as_bytes()).unwrap();
    Writer::executable().section(".dep-v0", &zlib.finish().unwrap()).finish()
}
