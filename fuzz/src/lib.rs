//! What the fuzz targets share: forged containers around the fuzzer's bytes, second
//! readers to compare with, and the seeds.
//!
//! A target takes the fuzzer's bytes behind a mode byte where one parser has several ways
//! in. Checksums that no mutation would get right are set right before the parser sees them.

pub mod elf;
pub mod gzip;
pub mod seeds;
pub mod tar;

use karat::finding::Finding;
use karat::finding::report::{PolicyName, Report, RuleSet, Subject, Verdict};
use karat::oci::Digest;
use karat::oci::path::is_invisible;
use karat::store::{Content, Spool};
use std::sync::Arc;

/// Splits off the mode byte; none for empty input.
pub fn mode(data: &[u8]) -> Option<(u8, &[u8])> {
    data.split_first().map(|(mode, rest)| (*mode, rest))
}

/// Splits at a length of two bytes that stands in front.
pub fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    let Some((length, rest)) = data.split_first_chunk::<2>() else { return (data, &[]) };
    rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()))
}

/// Writes what [`halves`] reads.
pub fn joined(first: &[u8], second: &[u8]) -> Vec<u8> {
    let length = u16::try_from(first.len()).expect("the first part is short");
    [&length.to_le_bytes(), first, second].concat()
}

/// Keeps bytes as the content of a file.
pub fn content(bytes: &[u8]) -> Content {
    Content::whole(Arc::new(Spool::of(bytes.to_vec())))
}

/// Makes a report of findings, under a made-up name.
pub fn report(reference: &str, findings: Vec<Finding>) -> Report {
    Report {
        schema: Report::SCHEMA,
        subject: Subject { reference: reference.to_owned(), digest: None, platform: None },
        policy: PolicyName { name: "fuzz".to_owned(), digest: Digest::of(b""), profile: None },
        rules: RuleSet { version: 0, digest: Digest::of(b"") },
        verdict: Verdict::Rejected,
        findings,
        packages: Vec::new(),
        vulnerabilities: Vec::new(),
        database: None,
        scanner_reports: Vec::new(),
        images: Vec::new(),
    }
}

/// Fails when text for a terminal holds what does not show, line ends apart.
pub fn assert_shows(text: &str) {
    let hidden = text.chars().find(|c| *c != '\n' && is_invisible(*c));
    assert!(hidden.is_none(), "{hidden:?} reaches the terminal");
}
