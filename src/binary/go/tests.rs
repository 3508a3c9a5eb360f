//! Tests of finding and decoding on forged executables.

use super::*;
use crate::binary::elf::testing::{Random, Writer, put};
use crate::binary::elf::{Layout, View};
use goblin::elf::program_header::{PF_R, PF_W};

const FRAME: &[u8; 16] = b"0123456789abcdef";

fn view(file: &[u8]) -> View {
    View::read(&file).unwrap().unwrap()
}

fn framed(text: &str) -> Vec<u8> {
    [FRAME, text.as_bytes(), FRAME].concat()
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A blob with inline strings.
fn blob(version: &str, modules: &[u8]) -> Vec<u8> {
    let mut bytes = b"\xff Go buildinf:\x08\x02".to_vec();
    bytes.resize(32, 0);
    for text in [version.as_bytes(), modules] {
        bytes.extend(varint(text.len() as u64));
        bytes.extend_from_slice(text);
    }
    bytes
}

fn read(file: &[u8]) -> Result<Option<BuildInfo>, Error> {
    BuildInfo::read(&file, &view(file))
}

fn in_section(content: &[u8]) -> Result<Option<BuildInfo>, Error> {
    read(&Writer::executable().section(".go.buildinfo", content).finish())
}

#[test]
fn inline_strings_are_read() {
    let modules = framed(&format!("path\ta.org/m\nbuild\tk={}\n", "x".repeat(300)));
    let info = in_section(&blob("go1.26.0", &modules)).unwrap().unwrap();
    assert_eq!((info.go_version.as_str(), info.path.as_str()), ("go1.26.0", "a.org/m"));
    assert_eq!(info.setting("k").unwrap().len(), 300);
}

#[test]
fn blob_is_found_without_sections() {
    let writable = || Writer { load_flags: PF_R | PF_W, ..Writer::executable() };
    // The magic at an odd place is no blob.
    let file = writable().loose(b"x\xff Go buildinf:").loose(&[0; 1]);
    let file = file.loose(&blob("go1.26.0", &framed("path\tx\n"))).finish();
    assert_eq!(read(&file).unwrap().unwrap().path, "x");
    let odd = writable().loose(b"x").loose(&blob("go1.26.0", b"")).finish();
    assert!(read(&odd).unwrap().is_none());
    let read_only = Writer::executable().loose(&blob("go1.26.0", b"")).finish();
    assert!(read(&read_only).unwrap().is_none());
    assert!(read(&Writer::executable().finish()).unwrap().is_none());
    // A section that lies about its place does not hide the real blob.
    let lie =
        writable().loose(&blob("go1.26.0", b"")).section(".go.buildinfo", b"nothing").finish();
    assert_eq!(read(&lie).unwrap().unwrap().go_version, "go1.26.0");
}

#[test]
fn search_for_the_blob_is_bounded() {
    let writer = Writer { load_flags: PF_R | PF_W, ..Writer::executable() };
    let file = writer.loose(&vec![0; 17 << 20]).loose(&blob("go1.26.0", b"")).finish();
    assert!(read(&file).unwrap().is_none());
}

/// A file of the pointer form for any layout, with string headers and strings at fixed places of the loose bytes.
fn pointers(layout: Layout, machine: u16) -> Vec<u8> {
    let word = layout.word_size();
    let writer = Writer { layout, machine, load_flags: PF_R | PF_W, ..Writer::executable() };
    let start = writer.address(crate::binary::elf::testing::DATA);
    let modules = framed("path\told\n");
    let mut bytes = b"\xff Go buildinf:".to_vec();
    bytes.extend([word as u8, u8::from(!layout.little_endian)]);
    for number in [start + 32, start + 48] {
        put(layout, &mut bytes, number, word);
    }
    bytes.resize(32, 0);
    for (address, size) in [(start + 64, 6), (start + 70, modules.len() as u64)] {
        put(layout, &mut bytes, address, word);
        put(layout, &mut bytes, size, word);
        bytes.resize(bytes.len().next_multiple_of(16), 0);
    }
    bytes.extend_from_slice(b"go1.16");
    bytes.extend_from_slice(&modules);
    writer.loose(&bytes).finish()
}

#[test]
fn strings_behind_pointers_are_read() {
    for (machine, wide, little_endian) in [(62, true, true), (22, true, false), (3, false, true)] {
        let info = read(&pointers(Layout { wide, little_endian }, machine)).unwrap().unwrap();
        assert_eq!((info.go_version.as_str(), info.path.as_str()), ("go1.16", "old"));
    }
}

#[test]
fn wrong_blobs_are_errors() {
    let malformed = |content: &[u8]| {
        assert!(matches!(in_section(content), Err(Error::Malformed(_))), "{content:?}")
    };
    malformed(&blob("", b""));
    let mut endless = blob("go1", b"");
    endless.truncate(32);
    endless.extend([0x80; 32]);
    malformed(&endless);
    let mut size = b"\xff Go buildinf:\x05\x00".to_vec();
    size.resize(64, 0);
    malformed(&size);
    let mut outside = b"\xff Go buildinf:\x08\x00".to_vec();
    outside.resize(64, 0xff);
    malformed(&outside);

    let sized = |size: u64| {
        let mut bytes = blob("go1", b"");
        bytes.pop();
        bytes.extend(varint(size));
        in_section(&bytes)
    };
    assert!(matches!(sized(16 << 20), Err(Error::Malformed(_))));
    for size in [(16 << 20) + 1, u64::MAX] {
        assert!(matches!(sized(size), Err(Error::TooLarge { what: "module list", .. })));
    }
}

#[test]
fn mutants_of_the_blob_are_survived() {
    let mut random = Random(77);
    let text = "path\ta\nmod\ta\tv1\t\ndep\tb\tv2\th1:x\n=>\t./c\t\t\nbuild\tk=\"v\\x41\"\n";
    let section =
        Writer::executable().section(".go.buildinfo", &blob("go1.26", &framed(text))).finish();
    let old = pointers(Layout { wide: true, little_endian: true }, 62);
    let new_table = table_file(0xffff_fff1, true);
    let old_table = table_file(0xffff_fffb, true);
    for file in [&section, &old, &new_table, &old_table] {
        let view = view(file);
        let split = crate::binary::elf::testing::DATA;
        for _ in 0..5_000 {
            let mut mutant = file.clone();
            let mut tail = mutant.split_off(split);
            let len = tail.len();
            random.mutate(&mut tail, len);
            mutant.append(&mut tail);
            let _ = BuildInfo::read(&mutant, &view);
            let _ = visit_functions(&mutant, &view, &mut |name| drop(function(name)));
        }
    }
}

#[test]
fn truncated_blobs_are_survived() {
    let file = Writer::executable()
        .section(".go.buildinfo", &blob("go1.26", &framed("path\ta\n")))
        .finish();
    let view = view(&file);
    for size in 0..file.len() {
        let _ = BuildInfo::read(&&file[..size], &view);
        let _ = visit_functions(&&file[..size], &view, &mut |_| {});
    }
}

const NAMES: &[u8] = b"main.main\0runtime.a\0\0a/b.(*T).M\0";

/// A function table of any version.
fn table(layout: Layout, magic: u32) -> Vec<u8> {
    let word = layout.word_size();
    let mut bytes = Vec::new();
    put(layout, &mut bytes, magic.into(), 4);
    bytes.extend([0, 0, 1, word as u8]);
    let mut words = |numbers: &[usize]| {
        numbers.iter().for_each(|number| put(layout, &mut bytes, *number as u64, word));
    };
    let header = 8 + 8 * word;
    let end = header + NAMES.len();
    match magic {
        0xffff_fffb => {
            // Two entries {pc, record}, each record {pc, name}; names at the end.
            let records = 8 + word + 4 * word;
            let names = records + 2 * (word + 4);
            words(&[2, 0, records, 0, records + word + 4]);
            for name in [names, names + 10] {
                put(layout, &mut bytes, 0, word);
                put(layout, &mut bytes, name as u64, 4);
            }
        }
        0xffff_fffa => words(&[2, 1, header, end, 0, 0, 0, 0]),
        _ => words(&[2, 1, 0, header, end, 0, 0, 0]),
    }
    bytes.extend_from_slice(NAMES);
    bytes
}

fn table_file(magic: u32, section: bool) -> Vec<u8> {
    let table = table(Layout { wide: true, little_endian: true }, magic);
    let writer = Writer::executable();
    if section { writer.section(".gopclntab", &table) } else { writer.loose(&table) }.finish()
}

fn functions(file: &[u8]) -> (Vec<String>, bool) {
    let mut names = Vec::new();
    let whole = visit_functions(&file, &view(file), &mut |name| {
        names.push(String::from_utf8(name.to_vec()).unwrap());
    });
    (names, whole.unwrap())
}

#[test]
fn function_tables_of_every_version_are_read() {
    for magic in [0xffff_fffb, 0xffff_fffa, 0xffff_fff0, 0xffff_fff1] {
        for (machine, wide, little_endian) in
            [(62, true, true), (22, true, false), (40, false, true)]
        {
            let layout = Layout { wide, little_endian };
            let table = table(layout, magic);
            let writer = || Writer { layout, machine, ..Writer::executable() };
            for writer in [
                writer().loose(&table),
                writer().section(".gopclntab", &table),
                writer().section(".data.rel.ro.gopclntab", &table),
            ] {
                let (names, whole) = functions(&writer.finish());
                let all = ["main.main", "runtime.a", "a/b.(*T).M"];
                let expected = if magic == 0xffff_fffb { &all[..2] } else { &all };
                assert_eq!((names.as_slice(), whole), (expected.map_strings().as_slice(), true));
            }
        }
    }
}

trait MapStrings {
    fn map_strings(&self) -> Vec<String>;
}

impl MapStrings for &[&str] {
    fn map_strings(&self) -> Vec<String> {
        self.iter().map(|name| (*name).to_owned()).collect()
    }
}

#[test]
fn wrong_tables_are_no_tables() {
    assert_eq!(functions(&Writer::executable().finish()), (vec![], false));
    let good = table(Layout { wide: true, little_endian: true }, 0xffff_fff1);
    // Magic, zeros, quantum, pointer size, number of functions, both ends of the names.
    for (at, byte) in [(0, 0), (4, 1), (6, 3), (7, 4), (15, 1), (39, 1), (32, 1), (47, 1), (40, 1)]
    {
        let mut wrong = good.clone();
        wrong[at] = byte;
        assert_eq!(
            functions(&Writer::executable().loose(&wrong).finish()),
            (vec![], false),
            "{at}"
        );
    }
}

#[test]
fn overlong_names_are_dropped_and_reported() {
    let mut table = table(Layout { wide: true, little_endian: true }, 0xffff_fff1);
    let long = [&[b'a'; 100_000][..], b"\0z.z\0"].concat();
    let end = table.len() as u64 + long.len() as u64;
    table.extend(long);
    table[40..48].copy_from_slice(&end.to_le_bytes());
    let (names, whole) = functions(&Writer::executable().loose(&table).finish());
    assert_eq!((names.last().unwrap().as_str(), names.len(), whole), ("z.z", 4, false));
}

#[test]
fn names_across_chunks_are_joined() {
    let mut table = table(Layout { wide: true, little_endian: true }, 0xffff_fff1);
    let many = "some/package.Function\0".repeat(40_000);
    let end = (table.len() + many.len()) as u64;
    table.extend(many.as_bytes());
    table[40..48].copy_from_slice(&end.to_le_bytes());
    let (names, whole) = functions(&Writer::executable().loose(&table).finish());
    assert!(whole && names[3..].iter().all(|name| name == "some/package.Function"));
    assert_eq!(names.len(), 40_003);
}
