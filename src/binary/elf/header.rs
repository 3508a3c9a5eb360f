//! File header, program headers and interpreter as `load_elf_binary` reads them.
//!
//! Takes: the first 64 bytes, the program header table, the bytes of `PT_INTERP`. Gives: checked values.
//! Must not: look at sections.

use super::{Kind, Layout, Machine, Refusal, Segment};
use crate::binary::ReadAt;
use goblin::container::{Container, Ctx, Endian};
use goblin::elf::{header as eh, program_header as ph};
use std::ops::Range;

/// Most program headers of a believable file; Linux allows as many as fit into 64 KiB.
const SEGMENTS_MAX: u16 = 64;
/// `PATH_MAX` of Linux, the limit of `load_elf_binary` for `PT_INTERP`.
const INTERPRETER_MAX: u64 = 4096;

/// The checked file header.
pub(super) struct Header {
    pub(super) machine: Machine,
    pub(super) layout: Layout,
    pub(super) os_abi: u8,
    pub(super) kind: Kind,
    pub(super) entry: u64,
    pub(super) segment_table: u64,
    pub(super) segment_count: u16,
    pub(super) section_table: u64,
    pub(super) section_size: u16,
    pub(super) section_count: u16,
    pub(super) section_names: u16,
}

impl Header {
    /// Reads and checks the header, `None` without the magic.
    pub(super) fn read(source: &dyn ReadAt) -> Result<Option<Self>, Refusal> {
        let bytes = source.read_vec(0, 64)?;
        if !bytes.starts_with(eh::ELFMAG) {
            return Ok(None);
        }
        let needed = if bytes.get(eh::EI_CLASS) == Some(&eh::ELFCLASS32) { 52 } else { 64 };
        let truncated = || Refusal::HeaderTruncated { size: bytes.len() as u64, needed };
        let [_, _, _, _, class, data, ident_version, os_abi] =
            *bytes.first_chunk::<8>().ok_or_else(truncated)?;
        let raw_machine = bytes
            .get(18..20)
            .and_then(|raw| <[u8; 2]>::try_from(raw).ok())
            .ok_or_else(truncated)?;

        let (machine, layout) = machine(raw_machine, class, data)?;
        if ident_version != 1 {
            return Err(Refusal::IdentVersion(ident_version));
        }
        let fields = |at| layout.u16(&bytes, at).ok_or_else(truncated);
        let version = layout.u32(&bytes, 20).ok_or_else(truncated)?;
        if version != 1 {
            return Err(Refusal::Version(version));
        }
        // Behind e_flags the two classes have the same fields at another place.
        let (header_size, segment_size, tail) =
            if layout.wide { (64, 56, 52) } else { (52, 32, 40) };
        let found = fields(tail)?;
        if found != header_size {
            return Err(Refusal::HeaderSize { found, expected: header_size });
        }
        let kind = kind(fields(16)?);
        let entry_size = fields(tail + 2)?;
        let segment_count = fields(tail + 4)?;
        // Object files have no program headers, and then no size of one either.
        let none = kind == Kind::Relocatable && segment_count == 0;
        if entry_size != segment_size && !(none && entry_size == 0) {
            return Err(Refusal::ProgramHeaderSize { found: entry_size, expected: segment_size });
        }
        if !none && !(1..=SEGMENTS_MAX).contains(&segment_count) {
            return Err(Refusal::ProgramHeaderCount(segment_count));
        }
        let word = layout.word_size();
        Ok(Some(Self {
            machine,
            layout,
            os_abi,
            kind,
            entry: layout.word(&bytes, 24).ok_or_else(truncated)?,
            segment_table: layout.word(&bytes, 24 + word).ok_or_else(truncated)?,
            segment_count,
            section_table: layout.word(&bytes, 24 + 2 * word).ok_or_else(truncated)?,
            section_size: fields(tail + 6)?,
            section_count: fields(tail + 8)?,
            section_names: fields(tail + 10)?,
        }))
    }
}

/// Returns the machine and the layout the kernel assumes for it, which `e_ident` has to agree with.
fn machine(raw: [u8; 2], class: u8, data: u8) -> Result<(Machine, Layout), Refusal> {
    let (little, big) = (u16::from_le_bytes(raw), u16::from_be_bytes(raw));
    let known = |number, little_endian| {
        Some(match number {
            eh::EM_X86_64 => Machine::X86_64,
            eh::EM_AARCH64 => Machine::Aarch64,
            eh::EM_RISCV => Machine::Riscv64,
            eh::EM_386 => Machine::I386,
            eh::EM_ARM => Machine::Arm,
            eh::EM_S390 => Machine::S390x,
            eh::EM_PPC64 => Machine::Ppc64 { little_endian },
            _ => return None,
        })
    };
    let big_only = |machine: &Machine| matches!(machine, Machine::S390x | Machine::Ppc64 { .. });
    // A number in the order of EI_DATA that no kernel of the machine would take as its own names another machine; in
    // the other order it is a lie about EI_DATA.
    let found =
        known(little, true).filter(|machine| *machine != Machine::S390x || data == eh::ELFDATA2LSB);
    let found = found.or_else(|| {
        known(big, false).filter(|machine| big_only(machine) || data == eh::ELFDATA2MSB)
    });
    let Some(machine) = found else {
        if !matches!((class, data), (1 | 2, 1 | 2)) {
            return Err(Refusal::Ident { class, data });
        }
        let number = if data == eh::ELFDATA2LSB { little } else { big };
        let layout =
            Layout { wide: class == eh::ELFCLASS64, little_endian: data == eh::ELFDATA2LSB };
        return Ok((Machine::Other(number), layout));
    };
    let wide = !matches!(machine, Machine::I386 | Machine::Arm);
    let little_endian = match machine {
        Machine::S390x => false,
        Machine::Ppc64 { little_endian } => little_endian,
        _ => true,
    };
    let expected = if wide { eh::ELFCLASS64 } else { eh::ELFCLASS32 };
    if class != expected {
        return Err(Refusal::Class { machine, found: class, expected });
    }
    let expected = if little_endian { eh::ELFDATA2LSB } else { eh::ELFDATA2MSB };
    if data != expected {
        return Err(Refusal::ByteOrder { machine, found: data, expected });
    }
    Ok((machine, Layout { wide, little_endian }))
}

fn kind(number: u16) -> Kind {
    match number {
        eh::ET_EXEC => Kind::Executable,
        eh::ET_DYN => Kind::SharedOrPie,
        eh::ET_REL => Kind::Relocatable,
        eh::ET_CORE => Kind::Core,
        other => Kind::Other(other),
    }
}

/// Reads and checks the program headers.
pub(super) fn segments(source: &dyn ReadAt, header: &Header) -> Result<Vec<Segment>, Refusal> {
    let container = if header.layout.wide { Container::Big } else { Container::Little };
    let endian = if header.layout.little_endian { Endian::Little } else { Endian::Big };
    let context = Ctx::new(container, endian);
    let size = usize::from(header.segment_count) * ph::ProgramHeader::size(context);
    // The kernel takes a table at offset 0 for real, others take it for none (gABI, "ELF Header": e_phoff is 0 without
    // a table), and no linker lets the two share bytes.
    if size > 0 && header.segment_table < header.layout.header_size() {
        return Err(Refusal::ProgramHeadersInHeader { offset: header.segment_table });
    }
    let outside = || Refusal::ProgramHeadersOutside {
        offset: header.segment_table,
        size: size as u64,
        len: source.len(),
    };
    let table = source.read_vec(header.segment_table, size)?;
    if table.len() != size {
        return Err(outside());
    }
    let parsed = ph::ProgramHeader::parse(&table, 0, usize::from(header.segment_count), context);
    let segments: Vec<Segment> = parsed
        .map_err(|_| outside())?
        .iter()
        .map(|raw| Segment {
            kind: raw.p_type,
            flags: raw.p_flags,
            offset: raw.p_offset,
            address: raw.p_vaddr,
            file_size: raw.p_filesz,
            memory_size: raw.p_memsz,
            align: raw.p_align,
        })
        .collect();
    check(&segments, source.len(), header.layout)?;
    Ok(segments)
}

fn check(segments: &[Segment], len: u64, layout: Layout) -> Result<(), Refusal> {
    for (index, segment) in segments.iter().enumerate() {
        let single = match segment.kind {
            ph::PT_DYNAMIC => Some("PT_DYNAMIC"),
            ph::PT_INTERP => Some("PT_INTERP"),
            ph::PT_PHDR => Some("PT_PHDR"),
            ph::PT_GNU_STACK => Some("PT_GNU_STACK"),
            _ => None,
        };
        if let Some(kind) = single
            && segments[..index].iter().any(|earlier| earlier.kind == segment.kind)
        {
            return Err(Refusal::Duplicate { index, kind });
        }
        if segment.kind == ph::PT_NULL {
            continue;
        }
        let (file_size, memory_size) = (segment.file_size, segment.memory_size);
        if segment.is_load() && file_size > memory_size {
            return Err(Refusal::SegmentSize { index, file_size, memory_size });
        }
        // The kernel takes nothing but the flags from PT_GNU_STACK, and an empty segment has no place.
        let placed = segment.kind != ph::PT_GNU_STACK && file_size != 0;
        if placed && segment.offset.checked_add(file_size).is_none_or(|end| end > len) {
            return Err(Refusal::SegmentOutside {
                index,
                offset: segment.offset,
                size: file_size,
                len,
            });
        }
        let limit = if layout.wide { u64::MAX } else { 1 << 32 };
        if segment.address.checked_add(memory_size).is_none_or(|end| end > limit) {
            return Err(Refusal::SegmentAddress {
                index,
                address: segment.address,
                size: memory_size,
            });
        }
        if segment.align != 0 && !segment.align.is_power_of_two() {
            return Err(Refusal::SegmentAlign { index, align: segment.align });
        }
    }
    let mut end = 0;
    for (index, segment) in segments.iter().enumerate().filter(|(_, segment)| segment.is_load()) {
        if segment.address < end {
            return Err(Refusal::SegmentOrder { index, address: segment.address });
        }
        end = segment.address.saturating_add(segment.memory_size);
    }
    Ok(())
}

/// Reads the path of the first `PT_INTERP` as `load_elf_binary` does: by offset, NUL at the end, cut at the first NUL.
pub(super) fn interpreter(
    source: &dyn ReadAt,
    segments: &[Segment],
) -> Result<Option<Vec<u8>>, Refusal> {
    let Some(segment) = segments.iter().find(|segment| segment.kind == ph::PT_INTERP) else {
        return Ok(None);
    };
    let refusal = Refusal::Interpreter { size: segment.file_size };
    if !(2..=INTERPRETER_MAX).contains(&segment.file_size) {
        return Err(refusal);
    }
    let mut path = vec![0; usize::try_from(segment.file_size).unwrap_or_default()];
    source.read_exact_at(segment.offset, &mut path)?;
    if path.last() != Some(&0) || path.first() == Some(&0) {
        return Err(refusal);
    }
    path.truncate(path.iter().position(|byte| *byte == 0).unwrap_or(path.len()));
    Ok(Some(path))
}

/// Returns the bytes of the file from the one loaded at `address` to the end of its segment.
pub(super) fn file_rest(segments: &[Segment], address: u64) -> Option<Range<u64>> {
    segments.iter().filter(|segment| segment.is_load()).find_map(|segment| {
        let inside =
            address.checked_sub(segment.address).filter(|inside| *inside < segment.file_size)?;
        Some(segment.offset.checked_add(inside)?..segment.file_range().end)
    })
}
