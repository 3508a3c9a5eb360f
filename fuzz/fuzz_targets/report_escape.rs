//! Foreign names in every form of a report: none may change what it says.
#![no_main]

use karat::finding::report::Report;
use karat::finding::{FileFacts, Finding, Severity, escape, junit, rules, sarif};
use karat::oci::Digest;
use karat::oci::path::is_invisible;
use karat_fuzz::{assert_shows, report};
use serde_json::Value;

/// The report of these texts.
fn of(texts: [&str; 5]) -> Report {
    let [reference, platform, path, message, evidence] = texts;
    let rule = rules::all().next().expect("there are rules");
    let mut finding = Finding::new(rule, message).at(path).because([evidence.to_owned()]);
    finding.file = Some(FileFacts { sha256: Digest::of(b""), size: 0 });
    finding.waiver = Some(evidence.to_owned());
    let mut report = report(reference, vec![finding]);
    report.subject.platform = Some(platform.to_owned());
    report
}

/// The tags of a document, in order.
fn tags(document: &str) -> Vec<&str> {
    document.split('<').skip(1).map(|part| part.split('>').next().unwrap_or_default()).collect()
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(5, |byte| *byte == 0xff).map(String::from_utf8_lossy);
    let texts: [_; 5] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let texts: [&str; 5] = std::array::from_fn(|at| texts[at].as_ref());
    let (hostile, plain) = (of(texts), of(["x"; 5]));
    let severities = [Severity::Critical, Severity::High];

    let text = hostile.findings_text(Severity::Info);
    assert_shows(&text);
    assert_eq!(text.lines().count(), plain.findings_text(Severity::Info).lines().count());

    let value: Value = serde_json::from_slice(&hostile.to_json()).expect("the report is JSON");
    assert_eq!(value["findings"][0]["path"], texts[2]);
    assert_eq!(value["findings"][0]["message"], texts[3]);
    let pretty = serde_json::to_string_pretty(&value).expect("text is written");
    let safe = escape::json(&pretty);
    assert_shows(&safe);
    assert_eq!(serde_json::from_str::<Value>(&safe).expect("it is JSON still"), value);

    let page = hostile.to_html();
    assert_eq!(tags(&page), tags(&plain.to_html()));
    assert_shows(&page);

    let xml = junit::document(&[(texts[0], &hostile)], &severities);
    roxmltree::Document::parse(&xml).expect("JUnit is XML");
    assert!(!xml.chars().any(|c| c != '\n' && is_invisible(c)));

    let log = sarif::log(&[(texts[0], &hostile)], "0");
    let place = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
        ["uri"];
    let uri = place.as_str().expect("a result has a place");
    assert!(!uri.is_empty() && uri.bytes().all(|byte| byte.is_ascii_graphic()), "{uri}");

    assert!(!escape::markdown(texts[3]).contains(['\n', '<']));
    assert!(!escape::workflow_command(texts[3]).contains(['\n', '\r', ':']));
});
