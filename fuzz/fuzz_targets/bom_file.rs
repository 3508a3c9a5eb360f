//! One file as bill of materials and under the gate's eyes: lists, notes, banners, functions
//! and secrets, then every form of the document.
#![no_main]

use karat::bom::{self, About, Detail, Subject, cyclonedx, spdx3, spdx23};
use karat::inspect;
use karat::time::Epoch;
use karat_fuzz::content;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let content = content(data);
    let bill = bom::file(b"bin/app", &content, Detail::All);
    assert!(!bill.components.is_empty());
    let subject = Subject::new(
        "app".to_owned(),
        content.sha256(),
        data.len() as u64,
        About::File,
        Epoch::default(),
    );
    for bytes in [
        spdx23::to_bytes(&bill, &subject),
        spdx3::to_bytes(&bill, &subject),
        cyclonedx::to_bytes(&bill, &subject),
    ] {
        serde_json::from_slice::<serde_json::Value>(&bytes).expect("the document is JSON");
    }
    let (_, findings) = inspect::file("app", &content).into_parts(&[]);
    for finding in findings {
        assert!(!finding.message.contains('\u{1b}'));
    }
});
