//! Advisories: a record is read, packed and found again; a statement is read; any bytes are a
//! database or are refused; and the report of another scanner adds what it lists, each once.
#![no_main]

use karat::advisory::osv::Record;
use karat::advisory::scanner::Report;
use karat::advisory::{Database, Outside, database, scan, vex};
use karat::bom::{self, Detail};
use karat::settings::Vulnerabilities;
use karat_fuzz::{content, halves};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (record, other) = halves(data);
    let _ = vex::read("x", other);
    if let Ok(open) = Database::read(content(other)) {
        let _ = open.about("Go", "a.b/c");
        let _ = open.by_id("X-1");
    }
    if let Ok(report) = Report::read("x", other) {
        let (bom, rules) = (bom::file(b"x", &content(b""), Detail::Lists), Vulnerabilities::default());
        let reported = |reports| {
            let image = vex::Concerned::default();
            let outside = Outside { statements: &[], reports, image, rules: &rules };
            scan(&bom, None, &|_| None, outside).expect("there is no database to read").found
        };
        let (once, twice) = (reported(&[&report]), reported(&[&report, &report]));
        assert_eq!(once, twice);
        assert!(once.iter().all(|one| !one.ids.is_empty() && !one.name.is_empty()));
    }
    let Ok(record) = Record::read(record) else { return };
    let packed = database::pack(Vec::new(), vec![record.clone()]).expect("one record is packed");
    let open = Database::read(content(&packed)).expect("what was packed is read");
    let found = open.by_id(&record.id).expect("it can be read").expect("it is there");
    assert_eq!(found, record);
    for affected in record.affected.iter().filter(|_| record.withdrawn.is_none()) {
        let package = &affected.package;
        if !package.name.is_empty() {
            let about = open.about(&package.ecosystem, &package.name).expect("it can be read");
            assert_eq!(about, [record.clone()]);
        }
    }
});
