//! Writes small ELF files: headers that hold together, and a program that exits with 0.

/// `e_machine` of x86-64.
pub(crate) const X86_64: u16 = 62;
/// `e_machine` of 64-bit ARM.
pub(crate) const AARCH64: u16 = 183;

const ADDRESS: u64 = 0x40_0000;
const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;

/// An executable to be built.
pub(crate) struct Elf {
    pub(crate) machine: u16,
    /// The path of the loader.
    pub(crate) interpreter: Option<&'static str>,
    /// The libraries.
    pub(crate) needed: Vec<&'static str>,
    /// Further tags of the dynamic table that name a string.
    pub(crate) tags: Vec<(u64, &'static str)>,
    /// Bytes that lie behind the code and mean nothing.
    pub(crate) payload: Vec<u8>,
}

impl Default for Elf {
    fn default() -> Self {
        Self {
            machine: X86_64,
            interpreter: None,
            needed: Vec::new(),
            tags: Vec::new(),
            payload: Vec::new(),
        }
    }
}

impl Elf {
    pub(crate) fn arm64() -> Self {
        Self { machine: AARCH64, ..Self::default() }
    }

    /// A dynamic executable as a C compiler makes it.
    pub(crate) fn dynamic() -> Self {
        Self {
            interpreter: Some("/lib64/ld-linux-x86-64.so.2"),
            needed: vec!["libc.so.6", "libm.so.6"],
            ..Self::default()
        }
    }

    /// One with this in its bytes, to tell it from others.
    pub(crate) fn with(payload: impl Into<Vec<u8>>) -> Self {
        Self { payload: payload.into(), ..Self::default() }
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        let dynamic = !self.needed.is_empty() || !self.tags.is_empty();
        let headers = 2 + usize::from(self.interpreter.is_some()) + usize::from(dynamic);
        let mut body: Vec<u8> = Vec::new();
        let start = HEADER + headers * PROGRAM_HEADER;
        let at = |body: &Vec<u8>| (start + body.len()) as u64;

        let entry = ADDRESS + at(&body);
        body.extend(match self.machine {
            // mov x8, 93; mov x0, 0; svc 0
            AARCH64 => [0xa8, 0x0b, 0x80, 0xd2, 0, 0, 0x80, 0xd2, 1, 0, 0, 0xd4],
            // mov eax, 60; xor edi, edi; syscall; nops
            _ => [0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05, 0x90, 0x90, 0x90],
        });
        body.extend(&self.payload);

        let mut segments: Vec<[u64; 6]> = Vec::new();
        if let Some(interpreter) = self.interpreter {
            let offset = at(&body);
            body.extend(interpreter.bytes().chain([0]));
            segments.push([3, 4, offset, offset, interpreter.len() as u64 + 1, 1]);
        }
        if dynamic {
            let mut strings = vec![0];
            let mut tags: Vec<[u64; 2]> = Vec::new();
            let needed = self.needed.iter().map(|library| (1, *library));
            for (tag, text) in needed.chain(self.tags.iter().copied()) {
                tags.push([tag, strings.len() as u64]);
                strings.extend(text.bytes().chain([0]));
            }
            let names = at(&body);
            body.extend(&strings);
            body.resize(body.len() + (8 - (start + body.len()) % 8) % 8, 0);
            tags.extend([[5, ADDRESS + names], [10, strings.len() as u64], [0, 0]]);
            let offset = at(&body);
            body.extend(tags.iter().flatten().flat_map(|word| word.to_le_bytes()));
            segments.push([2, 4, offset, offset, tags.len() as u64 * 16, 8]);
        }
        let loaded = at(&body);

        // The section table: the null section and the names of sections.
        const NAMES: &[u8] = b"\0.shstrtab\0";
        let names = at(&body);
        body.extend(NAMES);
        body.resize(body.len() + (8 - (start + body.len()) % 8) % 8, 0);
        let table = at(&body);
        body.extend([0; 64]);
        let mut section = Vec::new();
        section.extend(1_u32.to_le_bytes());
        section.extend(3_u32.to_le_bytes());
        for word in [0, 0, names, NAMES.len() as u64] {
            section.extend(word.to_le_bytes());
        }
        section.extend([0; 8]);
        section.extend(1_u64.to_le_bytes());
        section.extend(0_u64.to_le_bytes());
        body.extend(section);

        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        file.extend(2_u16.to_le_bytes());
        file.extend(self.machine.to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        file.extend(entry.to_le_bytes());
        file.extend((HEADER as u64).to_le_bytes());
        file.extend(table.to_le_bytes());
        file.extend(0_u32.to_le_bytes());
        for half in [HEADER as u16, PROGRAM_HEADER as u16, headers as u16, 64, 2, 1] {
            file.extend(half.to_le_bytes());
        }
        // The loader's path comes before what is loaded (gABI chapter 5, PT_INTERP).
        segments.sort_by_key(|segment| segment[0] != 3);
        let first = segments.iter().take_while(|segment| segment[0] == 3).count();
        segments.insert(first, [1, 5, 0, 0, loaded, 0x1000]);
        for [kind, flags, offset, address, size, align] in segments {
            program_header(&mut file, kind, flags, offset, ADDRESS + address, size, align);
        }
        // PT_GNU_STACK, not executable.
        program_header(&mut file, 0x6474_e551, 6, 0, 0, 0, 16);
        file.extend(body);
        file
    }
}

fn program_header(
    file: &mut Vec<u8>,
    kind: u64,
    flags: u64,
    offset: u64,
    address: u64,
    size: u64,
    align: u64,
) {
    file.extend((kind as u32).to_le_bytes());
    file.extend((flags as u32).to_le_bytes());
    for word in [offset, address, address, size, size, align] {
        file.extend(word.to_le_bytes());
    }
}

/// The head of a program that an interpreter runs.
pub(crate) const SCRIPT: &[u8] = b"#!/bin/sh\necho hello\n";

#[cfg(target_os = "linux")]
#[test]
fn the_built_program_runs() {
    use std::os::unix::fs::PermissionsExt as _;
    if cfg!(not(target_arch = "x86_64")) {
        eprintln!("skipped: this machine is no x86-64");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("program");
    std::fs::write(&path, Elf::with("payload").build()).expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let copy = folder.path().join("copy");
    // A file that this process has just written may still be open in a fork of another test.
    std::fs::copy(&path, &copy).expect("a copy");
    let mut tries = 0;
    let status = loop {
        match std::process::Command::new(&copy).status() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy && tries < 50 => {
                tries += 1;
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            other => break other.expect("the program starts"),
        }
    };
    assert!(status.success(), "{status}");
}
