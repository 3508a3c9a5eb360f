//! Advisories: a record is read, packed and found again; a statement is read; and any bytes
//! are a database or are refused.
#![no_main]

use karat::advisory::osv::Record;
use karat::advisory::{Database, database, vex};
use karat_fuzz::{content, halves};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (record, other) = halves(data);
    let _ = vex::read("x", other);
    if let Ok(open) = Database::read(content(other)) {
        let _ = open.about("Go", "a.b/c");
        let _ = open.by_id("X-1");
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
