//! A lone file through every rule about files: archives in archives above all.
#![no_main]

use karat::finding::Severity;
use karat::inspect;
use karat_fuzz::{assert_shows, content, mode, report, tar};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = mode(data) else { return };
    let mut bytes = rest.to_vec();
    if mode & 1 == 0 {
        tar::sum_up(&mut bytes);
    }
    let content = content(&bytes);
    let (_, findings) = inspect::file("app", &content).into_parts(&[]);
    assert_shows(&report("app", findings).findings_text(Severity::Info));
});
