//! The kernel's and the loader's view of an ELF file.
//!
//! Purpose: to compute from the program headers what runs, since section headers are only hints that anyone may edit.
//! Takes: a [`ReadAt`]. Gives: a [`View`], or the [`Refusal`] that says why the file cannot be believed.
//! Must not: trust `e_ident` over `e_machine`, copy a table of unbounded size, or follow sections to judge a file.
//! Sources: gABI chapters 4 and 5, Linux `fs/binfmt_elf.c`, glibc `elf/rtld.c`.

mod dynamic;
mod header;
mod layout;
mod notes;
mod refusal;
mod sections;
#[cfg(test)]
pub(crate) mod testing;

pub use dynamic::{Dynamic, Flags};
pub use notes::{Note, Notes};
pub use refusal::Refusal;
pub use sections::{Section, SectionTable, Sections};

pub(super) use layout::Layout;

use super::ReadAt;
use goblin::elf::program_header as ph;
use std::ops::Range;

/// The machine of `e_machine` (gABI chapter 4), the ones a Linux image may be built for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// x86-64, 64 bits little endian. The x32 ABI, of 32 bits, is refused.
    X86_64,
    /// ARM 64 bits, little endian.
    Aarch64,
    /// ARM 32 bits, little endian.
    Arm,
    /// x86, 32 bits little endian.
    I386,
    /// IBM Z, 64 bits big endian.
    S390x,
    /// POWER 64 bits, of either byte order.
    Ppc64 {
        /// Whether this is `ppc64le`.
        little_endian: bool,
    },
    /// RISC-V 64 bits, little endian.
    Riscv64,
    /// Any other machine by its number. Class and byte order are those of `e_ident` then, so a file of such a machine
    /// must never pass as fit for a platform.
    Other(u16),
}

/// The file type of `e_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `ET_EXEC`: loaded at a fixed address.
    Executable,
    /// `ET_DYN`: a shared object or a position independent executable.
    SharedOrPie,
    /// `ET_REL`: an object file or a kernel module.
    Relocatable,
    /// `ET_CORE`: a memory dump.
    Core,
    /// Any other number.
    Other(u16),
}

/// How a file gets its libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// A fixed-address executable without interpreter.
    Static,
    /// A position independent executable without interpreter.
    StaticPie,
    /// A fixed-address executable with interpreter and libraries.
    Dynamic,
    /// A position independent executable with interpreter and libraries.
    DynamicPie,
    /// A shared object.
    SharedLibrary,
    /// A shared object with a name of its own that also has an interpreter and so can be run, such as `libc.so.6`.
    RunnableLibrary,
    /// An executable that asks for an interpreter but for no library, such as a Go program of `-buildmode=pie`
    /// without cgo: it does not start where the interpreter is missing.
    InterpreterWithoutLibraries,
    /// `ET_DYN` without `PT_DYNAMIC`, as packers leave it.
    Packed,
    /// A relocatable, core or unknown file, which the kernel does not run.
    NotLoadable,
}

/// How far the tables of the loader are read-only at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relro {
    /// No `PT_GNU_RELRO`; binding early alone protects nothing.
    None,
    /// `PT_GNU_RELRO`, but functions are bound lazily.
    Partial,
    /// `PT_GNU_RELRO` and nothing left to bind later.
    Full,
}

/// One program header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// `p_type`.
    pub kind: u32,
    /// `p_flags`.
    pub flags: u32,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// Virtual address, before relocation.
    pub address: u64,
    /// Bytes in the file.
    pub file_size: u64,
    /// Bytes in memory.
    pub memory_size: u64,
    /// Alignment in bytes, 0 or a power of two.
    pub align: u64,
}

impl Segment {
    /// Returns whether this is a `PT_LOAD`.
    #[must_use]
    pub fn is_load(&self) -> bool {
        self.kind == ph::PT_LOAD
    }

    /// Returns whether the memory may be read.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.flags & ph::PF_R != 0
    }

    /// Returns whether the memory may be written.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.flags & ph::PF_W != 0
    }

    /// Returns whether the memory may be executed.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.flags & ph::PF_X != 0
    }

    /// Returns the bytes of the file that belong to this segment.
    #[must_use]
    pub fn file_range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.file_size)
    }
}

/// What the kernel and the loader see of one ELF file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The machine.
    pub machine: Machine,
    /// 32 or 64.
    pub bits: u8,
    /// Whether numbers are little endian.
    pub little_endian: bool,
    /// `EI_OSABI`.
    pub os_abi: u8,
    /// The file type.
    pub kind: Kind,
    /// The entry address, before relocation; 0 when there is none.
    pub entry: u64,
    /// The program headers in their order, at most 64.
    pub segments: Vec<Segment>,
    /// The path of the first `PT_INTERP` up to its NUL, which is the one the kernel uses. At most 4,095 bytes, not
    /// necessarily UTF-8.
    pub interpreter: Option<Vec<u8>>,
    /// The facts of `PT_DYNAMIC`; `None` when there is no such header.
    pub dynamic: Option<Dynamic>,
    /// What `PT_GNU_STACK` asks for: `Some(true)` is an executable stack, `None` a missing header.
    pub executable_stack: Option<bool>,
    /// Whether there is a `PT_GNU_RELRO`.
    pub relro: bool,
    /// What the section header table claims. Untrusted.
    pub sections: Sections,
}

impl View {
    /// Returns the view of `source`, or `None` when it does not begin with the ELF magic.
    ///
    /// Reads a few KiB, however large the file is. The rules are those of gABI chapters 4 and 5 and of Linux
    /// `load_elf_binary`, made stricter where parsers are known to disagree.
    ///
    /// # Errors
    /// A [`Refusal`] when there is the magic but anything contradicts itself or cannot be read; such a file must be
    /// rejected, never taken for something that is not ELF. [`Refusal::Io`] is a failure of the medium.
    pub fn read(source: &dyn ReadAt) -> Result<Option<Self>, Refusal> {
        let Some(header) = header::Header::read(source)? else {
            return Ok(None);
        };
        let segments = header::segments(source, &header)?;
        let runs = matches!(header.kind, Kind::Executable | Kind::SharedOrPie);
        let interpreter = if runs { header::interpreter(source, &segments)? } else { None };
        let dynamic = if runs { dynamic::read(source, header.layout, &segments)? } else { None };
        let stack = segments.iter().find(|segment| segment.kind == ph::PT_GNU_STACK);
        Ok(Some(Self {
            machine: header.machine,
            bits: header.layout.bits(),
            little_endian: header.layout.little_endian,
            os_abi: header.os_abi,
            kind: header.kind,
            entry: header.entry,
            interpreter,
            dynamic,
            executable_stack: stack.map(Segment::is_executable),
            relro: segments.iter().any(|segment| segment.kind == ph::PT_GNU_RELRO),
            sections: sections::Sections::read(source, &header)?,
            segments,
        }))
    }

    /// Returns how the file gets its libraries, by program headers and dynamic table only.
    #[must_use]
    pub fn linkage(&self) -> Linkage {
        let named = self.dynamic.as_ref().is_some_and(|dynamic| dynamic.soname.is_some());
        let needs = self.dynamic.as_ref().is_some_and(|dynamic| !dynamic.needed.is_empty());
        let position_independent = self.kind == Kind::SharedOrPie;
        if !position_independent && self.kind != Kind::Executable {
            return Linkage::NotLoadable;
        }
        if self.interpreter.is_some() {
            return match (named && position_independent, needs, position_independent) {
                (true, _, _) => Linkage::RunnableLibrary,
                (_, false, _) => Linkage::InterpreterWithoutLibraries,
                (_, true, true) => Linkage::DynamicPie,
                (_, true, false) => Linkage::Dynamic,
            };
        }
        match &self.dynamic {
            _ if !position_independent => Linkage::Static,
            None => Linkage::Packed,
            Some(dynamic) if dynamic.flags.pie => Linkage::StaticPie,
            // Linkers before 2018 and some musl tool chains do not set DF_1_PIE.
            Some(_) if self.entry != 0 && !named && !needs => Linkage::StaticPie,
            Some(_) => Linkage::SharedLibrary,
        }
    }

    /// Returns how far the loader's tables are read-only.
    ///
    /// Where nothing is bound lazily (no dynamic table or no `DT_JMPREL`) the header alone counts as full.
    #[must_use]
    pub fn relro_level(&self) -> Relro {
        let lazy = self
            .dynamic
            .as_ref()
            .is_some_and(|dynamic| dynamic.lazy_calls && !dynamic.flags.bind_now);
        match (self.relro, lazy) {
            (false, _) => Relro::None,
            (true, true) => Relro::Partial,
            (true, false) => Relro::Full,
        }
    }

    /// Returns whether `EI_OSABI` is one that Linux tool chains write: 0 (System V) or 3 (GNU/Linux).
    #[must_use]
    pub fn abi_is_linux(&self) -> bool {
        matches!(self.os_abi, 0 | 3)
    }

    /// Returns the offset in the file of the byte that is loaded at `address`, `None` if none is.
    #[must_use]
    pub fn file_offset(&self, address: u64) -> Option<u64> {
        header::file_rest(&self.segments, address).map(|rest| rest.start)
    }

    /// Returns where `len` bytes loaded at `address` lie in the file, `None` if any of them does not.
    #[must_use]
    pub fn file_range(&self, address: u64, len: u64) -> Option<Range<u64>> {
        let rest = header::file_rest(&self.segments, address)?;
        let end = rest.start.checked_add(len)?;
        (end <= rest.end).then_some(rest.start..end)
    }

    /// Returns the `PT_LOAD` segments in the order of their addresses.
    pub fn loads(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| segment.is_load())
    }

    /// Returns width and byte order for reading further tables.
    pub(super) fn layout(&self) -> Layout {
        Layout { wide: self.bits == 64, little_endian: self.little_endian }
    }
}

#[cfg(test)]
mod tests;
