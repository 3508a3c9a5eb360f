//! The databases of dpkg and apk, with the lists of whose files are whose, and a document that
//! came with an executable.
#![no_main]

use karat::bom::{self, Kind, Sidecar};
use karat::image::{Entry, Image, Kind as EntryKind, Layer, Origin};
use karat::oci::document::Config;
use karat_fuzz::{content, halves};
use std::collections::BTreeMap;

fn entry(path: &str, bytes: &[u8]) -> Entry {
    Entry {
        path: path.as_bytes().to_vec(),
        kind: EntryKind::File(content(bytes)),
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: 0,
        xattrs: Vec::new(),
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (database, list) = halves(data);
    let elf = b"\x7fELF";
    let entries = vec![
        entry("etc/os-release", b"ID=debian\nVERSION_ID=13\n"),
        entry("usr/bin/app", elf),
        entry("usr/lib/apk/db/installed", database),
        entry("var/lib/dpkg/info/a.list", list),
        entry("var/lib/dpkg/status", database),
        entry("var/lib/dpkg/status.d/a", database),
        entry("var/lib/dpkg/status.d/a.md5sums", list),
    ];
    let app = entries[1].content().expect("a file").sha256();
    let layers = vec![Layer { origin: Origin::Foreign, diff_id: None, entries }];
    let image = Image { config: Config::default(), layers, annotations: BTreeMap::new() };
    let sidecars: Vec<Sidecar> = Sidecar::read(list, app).into_iter().collect();
    let bill = bom::with_sidecars(&image, &[], &sidecars);
    assert!(bill.components.iter().any(|component| component.kind == Kind::Executable));
    for component in &bill.components {
        for id in component.contains.iter().chain(&component.depends_on) {
            assert!(bill.get(id).is_some(), "{id} leads nowhere");
        }
    }
});
