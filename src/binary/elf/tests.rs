//! Tests of the view on hand-made files, and of the test executable.

mod hostile;

use super::testing::{BASE, DATA, Writer};
use super::*;
use goblin::elf::{dynamic as dt, header as eh, section_header as sh};

fn view(file: &[u8]) -> View {
    View::read(&file).unwrap().unwrap()
}

fn refusal(file: &[u8]) -> Refusal {
    View::read(&file).unwrap_err()
}

/// Offset of a field of program header `index` of a 64-bit file.
fn segment(index: usize, field: usize) -> usize {
    64 + 56 * index + field
}

fn index_of(view: &View, kind: u32) -> usize {
    view.segments.iter().position(|segment| segment.kind == kind).unwrap()
}

fn patched(file: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

#[test]
fn other_files_are_not_elf() {
    for bytes in [&b""[..], b"\x7f", b"\x7fEL", b"#!/bin/sh\n", &[0; 100]] {
        assert!(View::read(&bytes).unwrap().is_none());
    }
}

#[test]
fn static_executable() {
    let file = Writer::executable().finish();
    let view = view(&file);
    assert_eq!((view.machine, view.bits, view.little_endian), (Machine::X86_64, 64, true));
    assert_eq!((view.kind, view.entry), (Kind::Executable, BASE + 0x1000));
    assert_eq!((view.interpreter.as_deref(), view.dynamic.as_ref()), (None, None));
    assert_eq!((view.executable_stack, view.relro), (Some(false), false));
    assert_eq!((view.sections.claimed, view.sections.table), (0, SectionTable::Absent));
    assert_eq!((view.linkage(), view.relro_level()), (Linkage::Static, Relro::None));
    assert!(view.abi_is_linux());
    assert_eq!(view.file_offset(BASE + 100), Some(100));
    assert_eq!(view.file_range(BASE + 100, 10), Some(100..110));
    for (address, len) in
        [(BASE - 1, 1), (BASE, file.len() as u64 + 1), (BASE + 1, u64::MAX), (u64::MAX, 1)]
    {
        assert_eq!(view.file_range(address, len), None);
    }
}

#[test]
fn dynamic_facts() {
    let file = Writer::dynamic_pie()
        .string(dt::DT_NEEDED, b"lib\xff\n\\.so")
        .string(dt::DT_RPATH, b"$ORIGIN/../lib")
        .string(dt::DT_RUNPATH, b"first")
        .string(dt::DT_RUNPATH, b"last")
        .string(dt::DT_AUDIT, b"audit.so")
        .string(dt::DT_DEPAUDIT, b"depaudit.so")
        .string(0x7fff_ffff, b"filter.so")
        .number(dt::DT_TEXTREL, 0)
        .number(dt::DT_JMPREL, 0)
        .finish();
    let view = view(&file);
    let dynamic = view.dynamic.as_ref().unwrap();
    assert_eq!(dynamic.needed, ["libc.so.6", "lib\\xff\\x0a\\x5c.so"]);
    assert_eq!(dynamic.rpath.as_deref(), Some("$ORIGIN/../lib"));
    assert_eq!(dynamic.runpath.as_deref(), Some("last"));
    assert_eq!(dynamic.audit, ["audit.so", "depaudit.so"]);
    assert_eq!(dynamic.filters, ["filter.so"]);
    let all = Flags { bind_now: true, pie: true, textrel: true, audit: true, depaudit: true };
    assert_eq!(dynamic.flags, all);
    assert!(dynamic.lazy_calls);
    assert_eq!(view.interpreter.as_deref(), Some(&b"/lib64/ld-linux-x86-64.so.2"[..]));
}

#[test]
fn linkage_by_headers() {
    let of = |writer: Writer| view(&writer.finish()).linkage();
    let shared = || Writer { kind: eh::ET_DYN, entry: 0, ..Writer::executable() };
    let named = || shared().string(dt::DT_SONAME, b"libx.so.1");
    assert_eq!(of(Writer::dynamic_pie()), Linkage::DynamicPie);
    let fixed = Writer { kind: eh::ET_EXEC, ..Writer::dynamic_pie() };
    assert_eq!(of(fixed), Linkage::Dynamic);
    assert_eq!(of(named()), Linkage::SharedLibrary);
    assert_eq!(of(named().interpreter("/lib/ld.so")), Linkage::RunnableLibrary);
    assert_eq!(of(shared().string(dt::DT_NEEDED, b"libc.so")), Linkage::SharedLibrary);
    assert_eq!(of(shared().number(dt::DT_FLAGS_1, dt::DF_1_PIE)), Linkage::StaticPie);
    assert_eq!(of(Writer { entry: 0x1000, dynamic: true, ..shared() }), Linkage::StaticPie);
    assert_eq!(of(Writer { dynamic: true, ..shared() }), Linkage::SharedLibrary);
    assert_eq!(of(shared()), Linkage::Packed);
    let go = Writer { dynamic: true, ..shared() }.interpreter("/lib64/ld-linux-x86-64.so.2");
    assert_eq!(of(go), Linkage::InterpreterWithoutLibraries);
    assert_eq!(of(Writer { kind: eh::ET_REL, ..Writer::executable() }), Linkage::NotLoadable);
    assert_eq!(of(Writer { kind: eh::ET_CORE, ..Writer::executable() }), Linkage::NotLoadable);
    assert_eq!(view(&Writer { kind: 7, ..Writer::executable() }.finish()).kind, Kind::Other(7));
}

#[test]
fn relro_levels() {
    let of = |writer: Writer| view(&writer.finish()).relro_level();
    let relro = || Writer { relro: true, ..Writer::executable() };
    assert_eq!(of(relro()), Relro::Full);
    assert_eq!(of(relro().number(dt::DT_JMPREL, 0)), Relro::Partial);
    for (tag, value) in
        [(dt::DT_BIND_NOW, 0), (dt::DT_FLAGS, dt::DF_BIND_NOW), (dt::DT_FLAGS_1, dt::DF_1_NOW)]
    {
        assert_eq!(of(relro().number(dt::DT_JMPREL, 0).number(tag, value)), Relro::Full);
        assert_eq!(of(Writer::executable().number(tag, value)), Relro::None);
    }
}

#[test]
fn machines_have_their_layout() {
    for (number, wide, little_endian, machine) in [
        (183, true, true, Machine::Aarch64),
        (243, true, true, Machine::Riscv64),
        (3, false, true, Machine::I386),
        (40, false, true, Machine::Arm),
        (22, true, false, Machine::S390x),
        (21, true, true, Machine::Ppc64 { little_endian: true }),
        (21, true, false, Machine::Ppc64 { little_endian: false }),
        (8, false, false, Machine::Other(8)),
        (247, true, true, Machine::Other(247)),
        // Number 22 of a little endian file seen in the other order belongs to no kernel.
        (0x1600, true, true, Machine::S390x),
    ] {
        let layout = Layout { wide, little_endian };
        let writer = Writer { layout, machine: number, ..Writer::dynamic_pie() };
        let file = writer.section(".x", b"content").note("GNU", 3, &[7; 20]).finish();
        if number == 0x1600 {
            assert!(matches!(refusal(&file), Refusal::ByteOrder { expected: 2, found: 1, .. }));
            continue;
        }
        let view = view(&file);
        assert_eq!((view.machine, view.bits), (machine, layout.bits()));
        assert_eq!(view.little_endian, little_endian);
        assert_eq!(view.dynamic.as_ref().unwrap().needed, ["libc.so.6"]);
        let range = view.section(&file, ".x").unwrap().unwrap();
        assert_eq!(&file[range.start as usize..range.end as usize], b"content");
        assert_eq!(view.notes(&file).unwrap().build_id(), Some(&[7; 20][..]));
    }
}

#[test]
fn lies_about_class_and_order_are_refused() {
    let file = Writer::dynamic_pie().finish();
    for class in [0, 1, 3] {
        let found = refusal(&patched(&file, 4, &[class]));
        assert!(matches!(found, Refusal::Class { expected: 2, found, .. } if found == class));
    }
    for data in [0, 2, 3] {
        let found = refusal(&patched(&file, 5, &[data]));
        assert!(matches!(found, Refusal::ByteOrder { expected: 1, found, .. } if found == data));
    }
    // A big endian x86-64 file does not exist either.
    assert!(matches!(
        refusal(&patched(&file, 5, &[2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 62])),
        Refusal::ByteOrder { .. }
    ));
    assert!(matches!(
        refusal(&patched(&patched(&file, 18, &[8]), 4, &[7])),
        Refusal::Ident { class: 7, data: 1 }
    ));
    assert!(matches!(refusal(&patched(&file, 6, &[0])), Refusal::IdentVersion(0)));
    assert!(matches!(refusal(&patched(&file, 20, &[0])), Refusal::Version(0)));
    assert!(matches!(
        refusal(&patched(&file, 52, &[0])),
        Refusal::HeaderSize { found: 0, expected: 64 }
    ));
    assert!(!view(&patched(&file, 7, &[0xff])).abi_is_linux());
}

#[test]
fn wrong_program_header_tables_are_refused() {
    let file = Writer::dynamic_pie().finish();
    assert!(matches!(
        refusal(&patched(&file, 54, &[32])),
        Refusal::ProgramHeaderSize { found: 32, expected: 56 }
    ));
    for count in [0_u16, 65, 0xffff] {
        let found = refusal(&patched(&file, 56, &count.to_le_bytes()));
        assert!(matches!(found, Refusal::ProgramHeaderCount(found) if found == count));
    }
    for offset in [file.len() as u64 - 1, u64::MAX] {
        let found = refusal(&patched(&file, 32, &offset.to_le_bytes()));
        assert!(
            matches!(found, Refusal::ProgramHeadersOutside { offset: found, .. } if found == offset)
        );
    }
    for offset in [0_u64, 4, 63] {
        let found = refusal(&patched(&file, 32, &offset.to_le_bytes()));
        assert!(
            matches!(found, Refusal::ProgramHeadersInHeader { offset: found } if found == offset)
        );
    }
    assert!(matches!(refusal(&file[..40]), Refusal::HeaderTruncated { size: 40, needed: 64 }));
    assert!(matches!(refusal(b"\x7fELF"), Refusal::HeaderTruncated { size: 4, .. }));
}

#[test]
fn second_headers_are_refused() {
    let file = Writer::dynamic_pie().finish();
    let stack = index_of(&view(&file), ph::PT_GNU_STACK);
    for (kind, name) in [(ph::PT_INTERP, "PT_INTERP"), (ph::PT_DYNAMIC, "PT_DYNAMIC")] {
        let found = refusal(&patched(&file, segment(stack, 0), &kind.to_le_bytes()));
        assert!(
            matches!(found, Refusal::Duplicate { kind, index } if kind == name && index == stack)
        );
    }
    for (kind, name) in [(ph::PT_PHDR, "PT_PHDR"), (ph::PT_GNU_STACK, "PT_GNU_STACK")] {
        let both = patched(&file, segment(1, 0), &kind.to_le_bytes());
        let found = refusal(&patched(&both, segment(2, 0), &kind.to_le_bytes()));
        assert!(matches!(found, Refusal::Duplicate { kind, index: 2 } if kind == name));
    }
}

#[test]
fn wrong_segments_are_refused() {
    let file = Writer::dynamic_pie().finish();
    let put = |field, value: u64| refusal(&patched(&file, segment(0, field), &value.to_le_bytes()));
    assert!(matches!(put(40, 1), Refusal::SegmentSize { index: 0, memory_size: 1, .. }));
    assert!(matches!(put(8, 1), Refusal::SegmentOutside { index: 0, offset: 1, .. }));
    assert!(matches!(put(8, u64::MAX), Refusal::SegmentOutside { index: 0, .. }));
    assert!(matches!(put(16, u64::MAX), Refusal::SegmentAddress { index: 0, .. }));
    assert!(matches!(put(48, 3), Refusal::SegmentAlign { index: 0, align: 3 }));
    let stack = index_of(&view(&file), ph::PT_GNU_STACK);
    let second = patched(&file, segment(stack, 0), &ph::PT_LOAD.to_le_bytes());
    let inside = refusal(&patched(&second, segment(stack, 16), &100_u64.to_le_bytes()));
    assert!(matches!(inside, Refusal::SegmentOrder { address: 100, .. }));
    let small = Writer {
        layout: Layout { wide: false, little_endian: true },
        machine: 3,
        ..Writer::executable()
    };
    let wrapped = patched(&small.finish(), 52 + 20, &u32::MAX.to_le_bytes());
    assert!(matches!(refusal(&wrapped), Refusal::SegmentAddress { index: 0, .. }));
}

#[test]
fn interpreters_the_kernel_would_not_take_are_refused() {
    let of = |path: &[u8]| {
        let file = Writer { interpreter: Some(path.to_vec()), ..Writer::dynamic_pie() }.finish();
        View::read(&file).map(|view| view.unwrap().interpreter.unwrap())
    };
    for path in [&b"/lib/ld.so"[..], b"\0", b"x", b"\0x\0", &[b'a'; 4097]] {
        assert!(matches!(of(path), Err(Refusal::Interpreter { .. })), "{path:?}");
    }
    assert_eq!(of(b"/lib/\xff\0/other\0").unwrap(), b"/lib/\xff");
    let longest = [&[b'a'; 4095][..], b"\0"].concat();
    assert_eq!(of(&longest).unwrap().len(), 4095);
}

#[test]
fn wrong_dynamic_tables_are_refused() {
    let file = Writer::dynamic_pie().finish();
    let found = view(&file);
    let index = index_of(&found, ph::PT_DYNAMIC);
    let header = found.segments[index];
    let put =
        |field, value: u64| refusal(&patched(&file, segment(index, field), &value.to_le_bytes()));
    // By offset one table, by address another one.
    assert!(matches!(put(8, DATA as u64), Refusal::DynamicElsewhere { .. }));
    assert!(matches!(put(16, header.address + 16), Refusal::DynamicElsewhere { .. }));
    assert!(matches!(put(16, 1 << 40), Refusal::DynamicElsewhere { .. }));
    assert!(matches!(put(32, 0), Refusal::DynamicElsewhere { .. }));
    assert!(matches!(put(32, 16), Refusal::DynamicUnterminated { size: 16 }));
    assert!(matches!(put(32, 24), Refusal::DynamicSize { size: 24 }));
    // A table in zero memory is empty.
    let empty = patched(&file, segment(index, 32), &0_u64.to_le_bytes());
    let empty = patched(&empty, segment(index, 16), &(1_u64 << 40).to_le_bytes());
    assert_eq!(view(&empty).dynamic, Some(Dynamic::default()));

    let long = Writer { numbers: vec![(dt::DT_DEBUG, 0); 5000], ..Writer::dynamic_pie() };
    assert!(matches!(refusal(&long.finish()), Refusal::DynamicTooLong(4096)));
    let many = Writer { numbers: vec![(dt::DT_NEEDED, 1); 513], ..Writer::dynamic_pie() };
    assert!(matches!(refusal(&many.finish()), Refusal::TooManyNeeded(512)));
    let outside = Writer::dynamic_pie().number(dt::DT_NEEDED, 1 << 40).finish();
    assert!(matches!(refusal(&outside), Refusal::DynamicString { tag: dt::DT_NEEDED }));
    let overflow = Writer::dynamic_pie().number(dt::DT_SONAME, u64::MAX).finish();
    assert!(matches!(refusal(&overflow), Refusal::DynamicString { tag: dt::DT_SONAME }));
    let endless = Writer::dynamic_pie().string(dt::DT_SONAME, &[b'a'; 4096]).finish();
    assert!(matches!(refusal(&endless), Refusal::DynamicString { .. }));
    let longest = Writer::dynamic_pie().string(dt::DT_SONAME, &[b'a'; 4095]).finish();
    assert_eq!(view(&longest).dynamic.unwrap().soname.unwrap().len(), 4095);
}

#[test]
fn failures_of_the_medium_are_kept_apart() {
    struct Broken;
    impl ReadAt for Broken {
        fn len(&self) -> u64 {
            1000
        }
        fn read_at(&self, _: u64, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("broken"))
        }
    }
    assert!(matches!(View::read(&Broken), Err(Refusal::Io(_))));
}

#[test]
fn sections_are_hints() {
    let file = Writer::executable().section(".one", b"1").section(".two", b"22").finish();
    let found = view(&file);
    assert_eq!((found.sections.claimed, found.sections.table), (4, SectionTable::Readable));
    let range = found.section(&file, ".two").unwrap().unwrap();
    assert_eq!(&file[range.start as usize..range.end as usize], b"22");
    assert_eq!(found.section(&file, ".three").unwrap(), None);
    // What the kernel does not read does not refuse the file.
    for (at, bytes) in [
        (40, &u64::MAX.to_le_bytes()[..]),
        (40, &(file.len() as u64 - 10).to_le_bytes()[..]),
        (40, &0_u64.to_le_bytes()[..]),
        (58, &1_u16.to_le_bytes()[..]),
        (60, &0xffff_u16.to_le_bytes()[..]),
        (60, &0_u16.to_le_bytes()[..]),
        (62, &0xffff_u16.to_le_bytes()[..]),
        (62, &9_u16.to_le_bytes()[..]),
    ] {
        let lie = patched(&file, at, bytes);
        let found = view(&lie);
        assert_eq!(found.sections.table, SectionTable::Unreadable, "{at} {bytes:?}");
        assert_eq!(found.section(&lie, ".two").unwrap(), None);
        assert_eq!(found.linkage(), Linkage::Static);
    }
    // A section that leaves the file has no range.
    let headers = u64::from_le_bytes(file[40..48].try_into().unwrap()) as usize;
    let lie = patched(&file, headers + 2 * 64 + 32, &u64::MAX.to_le_bytes());
    assert_eq!(view(&lie).section(&lie, ".two").unwrap(), None);
    let bits = patched(&file, headers + 2 * 64 + 4, &sh::SHT_NOBITS.to_le_bytes());
    assert_eq!(view(&bits).section(&bits, ".two").unwrap(), None);
}

#[test]
fn many_sections_with_long_names_are_read_piecewise() {
    let mut writer = Writer::executable();
    for index in 0..300 {
        writer = writer.section(&format!("{index:0>255}"), b"x");
    }
    // The name table is above 64 KiB now.
    let file = writer.section(".last", b"last").section(&"n".repeat(257), b"").finish();
    let view = view(&file);
    assert!(view.section(&file, ".last").unwrap().is_some());
    assert!(view.section(&file, &format!("{:0>255}", 299)).unwrap().is_some());
    assert!(view.section(&file, &"n".repeat(257)).unwrap().is_none());
}

#[test]
fn notes_are_read_from_segments_and_sections() {
    let package = br#"{"type":"deb","name":"systemd","version":"252"}"#;
    let file =
        Writer::executable().note("GNU", 3, &[1, 2, 3]).note("FDO", 0xcafe_1a7e, package).finish();
    let notes = view(&file).notes(&file).unwrap();
    assert!(notes.complete);
    assert_eq!(notes.build_id(), Some(&[1, 2, 3][..]));
    assert_eq!(notes.package().unwrap()["name"], "systemd");

    let mut writer = Writer::executable().note("GNU", 3, &[4]);
    let content = std::mem::take(&mut writer.notes);
    writer.sections.push((".note.x".to_owned(), sh::SHT_NOTE, content));
    let file = writer.finish();
    assert_eq!(view(&file).notes(&file).unwrap().build_id(), Some(&[4][..]));
}

#[test]
fn test_executable_agrees_with_object() {
    use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};
    let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let view = view(&file);
    assert_eq!(view.sections.table, SectionTable::Readable);

    let data = &*file;
    let header = object::elf::FileHeader64::<object::Endianness>::parse(data).unwrap();
    let endian = header.endian().unwrap();
    assert_eq!(
        header.e_machine(endian).0,
        match view.machine {
            Machine::X86_64 => 62,
            Machine::Aarch64 => 183,
            other => panic!("unexpected {other:?}"),
        }
    );
    let segments = header.program_headers(endian, data).unwrap();
    assert_eq!(segments.len(), view.segments.len());
    let interpreter =
        segments.iter().find_map(|segment| segment.interpreter(endian, data).unwrap());
    assert_eq!(view.interpreter.as_deref(), interpreter);
    let dynamic = segments.iter().find_map(|segment| segment.dynamic(endian, data).unwrap());
    let sections = header.sections(endian, data).unwrap();
    let names = sections
        .dynamic(endian, data)
        .unwrap()
        .map(|(_, index)| sections.strings(endian, data, index).unwrap());
    let needed: Vec<String> = dynamic
        .unwrap_or_default()
        .iter()
        .filter(|entry| entry.d_tag(endian).0 == dt::DT_NEEDED as i64)
        .map(|entry| entry.string(endian, names.unwrap()).unwrap())
        .map(|name| String::from_utf8(name.to_vec()).unwrap())
        .collect();
    assert_eq!(view.dynamic.map(|dynamic| dynamic.needed).unwrap_or_default(), needed);
}
