//! The kernel's view of an ELF file. What it accepts, `object` must parse the same.
#![no_main]

use karat::binary::elf::{SectionTable, View};
use karat::binary::language::language;
use object::Endianness;
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _};
use std::ops::ControlFlow;

fn compare<H: FileHeader<Endian = Endianness>>(data: &[u8], view: &View) {
    let header = H::parse(data).expect("object reads the header");
    let endian = header.endian().expect("object knows the byte order");
    assert_eq!(header.e_entry(endian).into(), view.entry);
    let segments = header.program_headers(endian, data).expect("object reads the program headers");
    assert_eq!(segments.len(), view.segments.len());
    for (theirs, ours) in segments.iter().zip(&view.segments) {
        assert_eq!(theirs.p_type(endian).0, ours.kind);
        assert_eq!(theirs.p_offset(endian).into(), ours.offset);
        assert_eq!(theirs.p_vaddr(endian).into(), ours.address);
        assert_eq!(theirs.p_filesz(endian).into(), ours.file_size);
        assert_eq!(theirs.p_memsz(endian).into(), ours.memory_size);
    }
    if view.kind != karat::binary::elf::Kind::Executable
        && view.kind != karat::binary::elf::Kind::SharedOrPie
    {
        return;
    }
    let interpreter = segments.iter().find_map(|one| one.interpreter(endian, data).ok().flatten());
    assert_eq!(view.interpreter.as_deref(), interpreter);
    let dynamic = segments.iter().find_map(|one| one.dynamic(endian, data).ok().flatten());
    let needed = dynamic
        .unwrap_or_default()
        .iter()
        .take_while(|entry| entry.d_tag(endian).0 != 0)
        .filter(|entry| entry.d_tag(endian).0 == 1)
        .count();
    assert_eq!(view.dynamic.as_ref().map_or(0, |dynamic| dynamic.needed.len()), needed);
    if view.sections.table == SectionTable::Readable {
        header.section_headers(endian, data).expect("object reads the section headers");
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(Some(view)) = View::read(&data) else { return };
    let mut sections = 0_usize;
    let _ = view.visit_sections(&data, &mut |_| {
        sections += 1;
        ControlFlow::Continue(())
    });
    assert!(sections <= 65_535);
    let _ = view.notes(&data).map(|notes| (notes.build_id().is_some(), notes.package()));
    let _ = (view.linkage(), view.relro_level(), language(&view, &data));
    match view.bits {
        64 => compare::<object::elf::FileHeader64<Endianness>>(data, &view),
        _ => compare::<object::elf::FileHeader32<Endianness>>(data, &view),
    }
});
