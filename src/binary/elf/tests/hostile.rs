//! Tests that hostile files cost little and never panic.

use super::super::testing::{DATA, Random};
use super::*;

#[test]
fn hostile_notes_are_bounded() {
    let none = Writer { notes: vec![0; 3 << 20], ..Writer::executable() }.finish();
    let notes = view(&none).notes(&none).unwrap();
    assert!(!notes.complete && notes.notes.len() == 4096);
    let lie = Writer { notes: [[0xff; 8], [0; 8]].concat(), ..Writer::executable() }.finish();
    assert!(!view(&lie).notes(&lie).unwrap().complete);
    let text = Writer::executable().note("FDO", 0xcafe_1a7e, b"[1]").finish();
    assert_eq!(view(&text).notes(&text).unwrap().package(), None);
}

/// Finding 0.1 of the study: string tables that span a large file must not cost memory or time.
#[test]
fn string_tables_over_a_large_file_are_cheap() {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    struct Counted(Vec<u8>, AtomicU64);
    impl ReadAt for Counted {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }
        fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<usize> {
            self.1.fetch_add(buf.len() as u64, Relaxed);
            self.0.read_at(offset, buf)
        }
    }
    let mut file = Writer::dynamic_pie().section(".x", b"").section(".y", b"").finish();
    let headers = u64::from_le_bytes(file[40..48].try_into().unwrap()) as usize;
    file.resize(64 << 20, 0);
    let size = file.len() as u64;
    for index in 1..4 {
        file[headers + index * 64 + 4] = 3;
        file[headers + index * 64 + 24..headers + index * 64 + 32]
            .copy_from_slice(&0_u64.to_le_bytes());
        file[headers + index * 64 + 32..headers + index * 64 + 40]
            .copy_from_slice(&size.to_le_bytes());
    }
    file[segment(0, 32)..segment(0, 40)].copy_from_slice(&size.to_le_bytes());
    file[segment(0, 40)..segment(0, 48)].copy_from_slice(&size.to_le_bytes());
    let source = Counted(file, AtomicU64::new(0));
    let view = View::read(&source).unwrap().unwrap();
    assert_eq!(view.dynamic.as_ref().unwrap().needed, ["libc.so.6"]);
    assert_eq!(view.section(&source, ".z").unwrap(), None);
    view.notes(&source).unwrap();
    assert!(source.1.load(Relaxed) < 64 * 1024, "{:?}", source.1);
}

#[test]
fn most_headers_a_file_can_claim_are_bounded() {
    let mut file = Writer::executable().section(".x", b"").finish();
    let headers = file.len();
    file.resize(headers + 65_536 * 64, 0xff);
    file[40..48].copy_from_slice(&(headers as u64).to_le_bytes());
    file[60..64].copy_from_slice(&[0xff; 4]);
    // The first header tells the index of the names, the second one are the names.
    file[headers..headers + 128].fill(0);
    file[headers + 40..headers + 44].copy_from_slice(&1_u32.to_le_bytes());
    file[headers + 64 + 4..headers + 64 + 8].copy_from_slice(&3_u32.to_le_bytes());
    file[headers + 64 + 32..headers + 64 + 40].copy_from_slice(&(headers as u64).to_le_bytes());
    let found = view(&file);
    assert_eq!((found.sections.claimed, found.sections.table), (65_535, SectionTable::Readable));
    assert_eq!(found.section(&file, ".none").unwrap(), None);
    assert!(found.notes(&file).unwrap().complete);
    // The number in the first header may be above what e_shnum can hold; more than the limit is not read.
    file[60..62].fill(0);
    file[headers + 32..headers + 40].copy_from_slice(&65_536_u64.to_le_bytes());
    assert_eq!(view(&file).sections.table, SectionTable::Unreadable);
}

fn walk(file: &[u8]) {
    let Ok(Some(view)) = View::read(&file) else {
        return;
    };
    let _ = (view.linkage(), view.relro_level());
    view.notes(&file).unwrap();
    view.section(&file, ".x").unwrap();
    crate::binary::language::language(&view, &file).unwrap();
    let _ = crate::binary::rust::Dependencies::read(&file, &view);
}

fn rich() -> Writer {
    Writer::dynamic_pie()
        .string(dt::DT_SONAME, b"x")
        .note("GNU", 3, &[1; 20])
        .section(".x", b"x")
        .section(".dep-v0", b"x")
        .section(".comment", b"rustc")
}

#[test]
fn truncation_at_every_byte_is_survived() {
    for wide in [true, false] {
        let layout = Layout { wide, little_endian: true };
        let file = Writer { layout, machine: if wide { 62 } else { 3 }, ..rich() }.finish();
        for size in 0..=file.len() {
            walk(&file[..size]);
        }
    }
}

#[test]
fn mutants_are_survived() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let file = rich().finish();
    let view = view(&file);
    let front = 64 + 56 * view.segments.len();
    for round in 0..20_000 {
        let mut mutant = file.clone();
        // In turns: the headers, everything behind the free room for program headers.
        if round % 2 == 0 {
            random.mutate(&mut mutant, front);
        } else {
            let tail = &mut mutant.split_off(DATA);
            let len = tail.len();
            random.mutate(tail, len);
            mutant.append(tail);
        }
        walk(&mutant);
    }
}
