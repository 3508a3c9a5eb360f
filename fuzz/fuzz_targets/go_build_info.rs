//! Go's build information and function table, in sections of a whole program or found
//! without them.
#![no_main]

use karat::binary::elf::View;
use karat::binary::go::{self, BuildInfo};
use karat_fuzz::{elf, halves, mode};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = mode(data) else { return };
    let (info, table) = halves(rest);
    let names = if mode & 1 == 0 { [".go.buildinfo", ".gopclntab"] } else { [".x", ".y"] };
    let file = elf::program(&[(names[0], info), (names[1], table)]);
    let view = View::read(&file).expect("the program is whole").expect("it is one");
    if let Ok(Some(info)) = BuildInfo::read(&file, &view) {
        assert!(go::has_build_info(&file, &view).expect("memory does not fail"));
        for module in &info.deps {
            let _ = (module.effective(), module.is_directory());
        }
        let _ = info.setting("vcs.revision");
    }
    let mut visited = 0_usize;
    let _ = go::visit_functions(&file, &view, &mut |name| {
        visited += name.len() + 1;
        let _ = (go::package_of(name), go::function(name));
    });
    // A name costs its bytes: no table makes karat look at more than is there, but for
    // tables of old versions, whose entries may share names.
    assert!(visited <= file.len() * 64 + 1024 * 1024);
});
