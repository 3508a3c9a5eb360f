//! Why a file with the ELF magic cannot be believed.

use super::Machine;

/// The first contradiction found in a file that begins with the ELF magic.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The medium failed; this says nothing about the file.
    #[error("cannot read the ELF file: {0}")]
    Io(#[from] std::io::Error),
    /// The file ends within its header.
    #[error("ELF header needs {needed} bytes, the file has {size}")]
    HeaderTruncated {
        /// Bytes of the file.
        size: u64,
        /// Bytes of the header.
        needed: u64,
    },
    /// `EI_CLASS` is not what the machine runs (x32 included).
    #[error("EI_CLASS is {found}, but machine {machine:?} needs {expected}")]
    Class {
        /// The machine of `e_machine`.
        machine: Machine,
        /// What the file says.
        found: u8,
        /// What the kernel assumes.
        expected: u8,
    },
    /// `EI_DATA` is not the byte order of the machine.
    #[error("EI_DATA is {found}, but machine {machine:?} needs {expected}")]
    ByteOrder {
        /// The machine of `e_machine`.
        machine: Machine,
        /// What the file says.
        found: u8,
        /// What the kernel assumes.
        expected: u8,
    },
    /// `EI_CLASS` or `EI_DATA` of a machine this tool does not know has a value that means nothing.
    #[error("EI_CLASS is {class} and EI_DATA is {data}: each must be 1 or 2")]
    Ident {
        /// `EI_CLASS`.
        class: u8,
        /// `EI_DATA`.
        data: u8,
    },
    /// `EI_VERSION` is not 1.
    #[error("EI_VERSION is {0}, not 1")]
    IdentVersion(u8),
    /// `e_version` is not 1.
    #[error("e_version is {0}, not 1")]
    Version(u32),
    /// `e_ehsize` is not the size of the header.
    #[error("e_ehsize is {found}, not {expected}")]
    HeaderSize {
        /// What the file says.
        found: u16,
        /// The size of the class.
        expected: u16,
    },
    /// `e_phentsize` is not the size of a program header.
    #[error("e_phentsize is {found}, not {expected}")]
    ProgramHeaderSize {
        /// What the file says.
        found: u16,
        /// The size of the class.
        expected: u16,
    },
    /// `e_phnum` is 0, above 64, or the 0xffff extension.
    #[error("e_phnum is {0}, not between 1 and 64")]
    ProgramHeaderCount(u16),
    /// The program header table does not lie within the file.
    #[error(
        "program header table of {size} bytes at offset {offset} is outside of the file of {len} bytes"
    )]
    ProgramHeadersOutside {
        /// `e_phoff`.
        offset: u64,
        /// Bytes of the table.
        size: u64,
        /// Bytes of the file.
        len: u64,
    },
    /// The program header table begins within the file header, where parsers disagree whether there is one.
    #[error("program header table at offset {offset} lies within the ELF header")]
    ProgramHeadersInHeader {
        /// `e_phoff`.
        offset: u64,
    },
    /// Two headers of a kind of which kernel, loader and parsers would each take another one.
    #[error("program header {index} is a second {kind}")]
    Duplicate {
        /// Index of the second one.
        index: usize,
        /// Name of the kind.
        kind: &'static str,
    },
    /// A segment has more bytes in the file than in memory.
    #[error("program header {index}: p_filesz {file_size} is above p_memsz {memory_size}")]
    SegmentSize {
        /// Index of the header.
        index: usize,
        /// `p_filesz`.
        file_size: u64,
        /// `p_memsz`.
        memory_size: u64,
    },
    /// A segment does not lie within the file.
    #[error(
        "program header {index}: {size} bytes at offset {offset} are outside of the file of {len} bytes"
    )]
    SegmentOutside {
        /// Index of the header.
        index: usize,
        /// `p_offset`.
        offset: u64,
        /// `p_filesz`.
        size: u64,
        /// Bytes of the file.
        len: u64,
    },
    /// A segment ends behind the address space.
    #[error(
        "program header {index}: {size} bytes at address {address:#x} do not fit into the address space"
    )]
    SegmentAddress {
        /// Index of the header.
        index: usize,
        /// `p_vaddr`.
        address: u64,
        /// `p_memsz`.
        size: u64,
    },
    /// `p_align` is not a power of two.
    #[error("program header {index}: p_align {align} is not a power of two")]
    SegmentAlign {
        /// Index of the header.
        index: usize,
        /// `p_align`.
        align: u64,
    },
    /// The `PT_LOAD` headers do not ascend by address, or overlap in memory.
    #[error(
        "program header {index}: PT_LOAD at {address:#x} begins below the end of the one before"
    )]
    SegmentOrder {
        /// Index of the later header.
        index: usize,
        /// `p_vaddr`.
        address: u64,
    },
    /// The kernel would not accept the path of `PT_INTERP`: it needs 2 to 4,096 bytes, the last one NUL.
    #[error("PT_INTERP of {size} bytes is not a path of 1 to 4,095 bytes that ends with NUL")]
    Interpreter {
        /// `p_filesz`.
        size: u64,
    },
    /// `PT_DYNAMIC` names one place by offset and another one by address; the loader goes by address.
    #[error(
        "PT_DYNAMIC is at offset {offset}, but its address {address:#x} is not loaded from there"
    )]
    DynamicElsewhere {
        /// `p_offset`.
        offset: u64,
        /// `p_vaddr`.
        address: u64,
    },
    /// `p_filesz` of the dynamic table is no multiple of the size of an entry.
    #[error("dynamic table of {size} bytes is not a whole number of entries")]
    DynamicSize {
        /// `p_filesz`.
        size: u64,
    },
    /// The dynamic table has no `DT_NULL` where the header says it ends; the loader would read on.
    #[error("dynamic table of {size} bytes has no DT_NULL")]
    DynamicUnterminated {
        /// `p_filesz`.
        size: u64,
    },
    /// The dynamic table has more than 4,096 entries.
    #[error("dynamic table has more than {0} entries")]
    DynamicTooLong(usize),
    /// A string of the dynamic table is not loaded from the file, or not ended within 4,096 bytes.
    #[error("string of dynamic entry {tag:#x} is outside of the file or longer than 4,095 bytes")]
    DynamicString {
        /// `d_tag`.
        tag: u64,
    },
    /// There are more than 512 `DT_NEEDED`.
    #[error("more than {0} DT_NEEDED entries")]
    TooManyNeeded(usize),
}
