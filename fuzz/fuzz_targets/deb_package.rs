//! Packages: the outer archive, both archives inside, the control file. Read or refused, within
//! bounds; what is read keeps below the root.
#![no_main]

use karat::archive::Limits;
use karat::base::debian::package::{Package, limits, objection};
use karat::store::SpoolRoom;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = Limits { max_uncompressed: 8 << 20, max_file: 8 << 20, ..limits() };
    let Ok(package) = Package::read(data, &limits, &SpoolRoom::default()) else { return };
    for entry in &package.entries {
        assert!(!entry.path.is_empty() && !entry.path.starts_with(b"/"));
        assert!(entry.path.split(|c| *c == b'/').all(|part| !matches!(part, b"" | b"." | b"..")));
        let _ = objection(entry);
    }
    let _ = package.fields.get("Package");
});
