//! A writer of small ELF files for tests.

use super::Layout;
use goblin::elf::{dynamic as dt, header as eh, program_header as ph, section_header as sh};

/// Where an `ET_EXEC` is loaded.
pub(crate) const BASE: u64 = 0x40_0000;
/// Offset of the first data byte: behind the file header and 64 program headers of 64 bits.
pub(crate) const DATA: usize = 64 + 64 * 56;

/// What goes into the file. One `PT_LOAD` covers everything but the section headers.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    pub(crate) layout: Layout,
    pub(crate) machine: u16,
    pub(crate) kind: u16,
    pub(crate) entry: u64,
    pub(crate) load_flags: u32,
    pub(crate) interpreter: Option<Vec<u8>>,
    /// Adds `PT_DYNAMIC` even when nothing below is set.
    pub(crate) dynamic: bool,
    /// Tags with strings, such as `DT_NEEDED`.
    pub(crate) strings: Vec<(u64, Vec<u8>)>,
    /// Tags with numbers.
    pub(crate) numbers: Vec<(u64, u64)>,
    pub(crate) stack_flags: Option<u32>,
    pub(crate) relro: bool,
    pub(crate) notes: Vec<u8>,
    /// Name, `sh_type`, content.
    pub(crate) sections: Vec<(String, u32, Vec<u8>)>,
    /// Bytes that are loaded but in no section.
    pub(crate) loose: Vec<u8>,
}

impl Writer {
    /// A static x86-64 executable.
    pub(crate) fn executable() -> Self {
        Self {
            layout: Layout { wide: true, little_endian: true },
            machine: eh::EM_X86_64,
            kind: eh::ET_EXEC,
            entry: BASE + 0x1000,
            load_flags: ph::PF_R | ph::PF_X,
            interpreter: None,
            dynamic: false,
            strings: Vec::new(),
            numbers: Vec::new(),
            stack_flags: Some(ph::PF_R | ph::PF_W),
            relro: false,
            notes: Vec::new(),
            sections: Vec::new(),
            loose: Vec::new(),
        }
    }

    /// A dynamic position independent x86-64 executable that needs `libc.so.6`.
    pub(crate) fn dynamic_pie() -> Self {
        Self { kind: eh::ET_DYN, entry: 0x1000, ..Self::executable() }
            .interpreter("/lib64/ld-linux-x86-64.so.2")
            .string(dt::DT_NEEDED, b"libc.so.6")
            .number(dt::DT_FLAGS_1, dt::DF_1_PIE | dt::DF_1_NOW)
    }

    pub(crate) fn interpreter(mut self, path: &str) -> Self {
        self.interpreter = Some([path.as_bytes(), b"\0"].concat());
        self
    }

    pub(crate) fn string(mut self, tag: u64, value: &[u8]) -> Self {
        self.strings.push((tag, value.to_vec()));
        self
    }

    pub(crate) fn number(mut self, tag: u64, value: u64) -> Self {
        self.numbers.push((tag, value));
        self
    }

    pub(crate) fn section(mut self, name: &str, content: &[u8]) -> Self {
        self.sections.push((name.to_owned(), sh::SHT_PROGBITS, content.to_vec()));
        self
    }

    pub(crate) fn loose(mut self, bytes: &[u8]) -> Self {
        self.loose.extend_from_slice(bytes);
        self
    }

    /// Adds a note to `PT_NOTE`.
    pub(crate) fn note(mut self, owner: &str, kind: u32, description: &[u8]) -> Self {
        let mut note = Vec::new();
        for number in [owner.len() + 1, description.len(), kind as usize] {
            put(self.layout, &mut note, number as u64, 4);
        }
        note.extend_from_slice(owner.as_bytes());
        note.push(0);
        note.resize(note.len().next_multiple_of(4), 0);
        note.extend_from_slice(description);
        note.resize(note.len().next_multiple_of(4), 0);
        self.notes.extend(note);
        self
    }

    /// Address of the data byte at file offset `offset`.
    pub(crate) fn address(&self, offset: usize) -> u64 {
        let base = if self.kind == eh::ET_EXEC { BASE } else { 0 };
        base + offset as u64
    }

    /// Returns the file.
    pub(crate) fn finish(&self) -> Vec<u8> {
        let mut file = vec![0; DATA];
        let mut segments: Vec<(u32, u32, usize, usize)> = Vec::new();
        let place = |file: &mut Vec<u8>, bytes: &[u8]| {
            file.resize(file.len().next_multiple_of(16), 0);
            let at = file.len();
            file.extend_from_slice(bytes);
            at
        };
        if let Some(path) = &self.interpreter {
            let at = place(&mut file, path);
            segments.push((ph::PT_INTERP, ph::PF_R, at, path.len()));
        }
        if self.dynamic || !self.strings.is_empty() || !self.numbers.is_empty() {
            let mut names = vec![0];
            let mut entries = self.numbers.clone();
            for (tag, value) in &self.strings {
                entries.push((*tag, names.len() as u64));
                names.extend_from_slice(value);
                names.push(0);
            }
            let at = place(&mut file, &names);
            entries.extend([
                (dt::DT_STRTAB, self.address(at)),
                (dt::DT_STRSZ, names.len() as u64),
                (0, 0),
            ]);
            let mut table = Vec::new();
            for number in entries.into_iter().flat_map(|(tag, value)| [tag, value]) {
                put(self.layout, &mut table, number, self.layout.word_size());
            }
            let at = place(&mut file, &table);
            segments.push((ph::PT_DYNAMIC, ph::PF_R | ph::PF_W, at, table.len()));
        }
        if !self.notes.is_empty() {
            let at = place(&mut file, &self.notes);
            segments.push((ph::PT_NOTE, ph::PF_R, at, self.notes.len()));
        }
        if self.relro {
            segments.push((ph::PT_GNU_RELRO, ph::PF_R, DATA, 8));
        }
        place(&mut file, &self.loose);
        let mut headers = vec![0; if self.layout.wide { 64 } else { 40 }];
        let mut names = b"\0.shstrtab\0".to_vec();
        let mut count = 1;
        for (name, kind, content) in &self.sections {
            let at = place(&mut file, content);
            self.section_header(&mut headers, names.len(), *kind, at, content.len());
            names.extend_from_slice(name.as_bytes());
            names.push(0);
            count += 1;
        }
        let at = place(&mut file, &names);
        self.section_header(&mut headers, 1, sh::SHT_STRTAB, at, names.len());
        segments.insert(0, (ph::PT_LOAD, self.load_flags, 0, file.len()));
        let table = if self.sections.is_empty() { 0 } else { place(&mut file, &headers) };
        let shape = if table == 0 { (0, 0) } else { (count + 1, count) };
        if let Some(flags) = self.stack_flags {
            segments.push((ph::PT_GNU_STACK, flags, 0, 0));
        }
        self.headers(&mut file, &segments, table, shape);
        file
    }

    fn headers(
        &self,
        file: &mut [u8],
        segments: &[(u32, u32, usize, usize)],
        table: usize,
        (count, names): (usize, usize),
    ) {
        let (layout, word) = (self.layout, self.layout.word_size());
        let (header_size, segment_size, section_size) =
            if layout.wide { (64, 56, 64) } else { (52, 32, 40) };
        let mut head = b"\x7fELF".to_vec();
        head.extend([if layout.wide { 2 } else { 1 }, if layout.little_endian { 1 } else { 2 }, 1]);
        head.resize(16, 0);
        let mut field = |value: u64, size| put(layout, &mut head, value, size);
        field(self.kind.into(), 2);
        field(self.machine.into(), 2);
        field(1, 4);
        for value in [self.entry, header_size, table as u64] {
            field(value, word);
        }
        field(0, 4);
        for value in [
            header_size,
            segment_size,
            segments.len() as u64,
            section_size,
            count as u64,
            names as u64,
        ] {
            field(value, 2);
        }
        for (kind, flags, offset, size) in segments {
            let stack = *kind == ph::PT_GNU_STACK;
            let address = if stack { 0 } else { self.address(*offset) };
            let (kind, flags, offset, size) =
                (u64::from(*kind), u64::from(*flags), *offset as u64, *size as u64);
            field(kind, 4);
            if layout.wide {
                field(flags, 4);
            }
            for value in [offset, address, address, size, size] {
                field(value, word);
            }
            if !layout.wide {
                field(flags, 4);
            }
            field(if kind == 1 { 4096 } else { 4 }, word);
        }
        file[..head.len()].copy_from_slice(&head);
    }

    fn section_header(
        &self,
        headers: &mut Vec<u8>,
        name: usize,
        kind: u32,
        offset: usize,
        size: usize,
    ) {
        let word = self.layout.word_size();
        let address = self.address(offset);
        for (value, size) in [
            (name as u64, 4),
            (kind.into(), 4),
            (2, word),
            (address, word),
            (offset as u64, word),
            (size as u64, word),
            (0, 4),
            (0, 4),
            (4, word),
            (0, word),
        ] {
            put(self.layout, headers, value, size);
        }
    }
}

/// Appends `value` in `size` bytes.
pub(crate) fn put(layout: Layout, bytes: &mut Vec<u8>, value: u64, size: usize) {
    if layout.little_endian {
        bytes.extend_from_slice(&value.to_le_bytes()[..size]);
    } else {
        bytes.extend_from_slice(&value.to_be_bytes()[8 - size..]);
    }
}

/// A generator of the same numbers in every run (xorshift64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    /// Changes one to six bytes, mostly among the first `front`, and sometimes cuts the end off.
    pub(crate) fn mutate(&mut self, file: &mut Vec<u8>, front: usize) {
        for _ in 0..=self.below(6) {
            let limit = if self.below(4) == 0 { file.len() } else { front.min(file.len()) };
            let at = self.below(limit);
            file[at] = match self.below(4) {
                0 => 0,
                1 => 0xff,
                2 => file[at] ^ (1 << self.below(8)),
                _ => self.below(256) as u8,
            };
        }
        if self.below(8) == 0 {
            let len = self.below(file.len()).max(1);
            file.truncate(len);
        }
    }
}
