//! Writes the seeds of a target: `seeds TARGET FOLDER`.

use std::path::Path;

// Instrumented code calls the fuzzer, and the fuzzer wants a target.
libfuzzer_sys::fuzz_target!(|_data: &[u8]| {});

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, folder] = &arguments[..] else { panic!("seeds TARGET FOLDER") };
    let seeds = karat_fuzz::seeds::of(target);
    assert!(!seeds.is_empty(), "{target} has no seeds");
    std::fs::create_dir_all(folder).expect("the folder can be made");
    for (name, bytes) in seeds {
        std::fs::write(Path::new(folder).join(name), bytes).expect("the folder is writable");
    }
}
