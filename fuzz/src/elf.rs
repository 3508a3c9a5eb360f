//! Small executables around sections that the fuzzer fills.

/// Where the file is loaded.
const BASE: u64 = 0x40_0000;
/// The file header and the program headers: one PT_LOAD for code, one for data.
const FRONT: usize = 64 + 3 * 56;

/// Returns a static x86-64 program with these sections, which lie in its writable segment.
pub fn program(sections: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = vec![0; FRONT];
    // mov eax, 60; xor edi, edi; syscall
    file.extend(b"\xb8\x3c\x00\x00\x00\x31\xff\x0f\x05");
    file.resize(file.len().next_multiple_of(16), 0);
    let data = file.len();
    let mut names = b"\0.shstrtab\0".to_vec();
    let mut headers = vec![0; 64];
    for (name, content) in sections {
        file.resize(file.len().next_multiple_of(16), 0);
        section(&mut headers, names.len(), 1, file.len(), content.len());
        names.extend(name.as_bytes());
        names.push(0);
        file.extend_from_slice(content);
    }
    let end = file.len();
    section(&mut headers, 1, 3, end, names.len());
    file.extend(&names);
    file.resize(file.len().next_multiple_of(16), 0);
    let table = file.len();
    file.extend(&headers);

    let mut head = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let count = sections.len() as u64 + 2;
    for (value, size) in
        [(2, 2), (62, 2), (1, 4), (BASE + FRONT as u64, 8), (64, 8), (table as u64, 8)]
    {
        put(&mut head, value, size);
    }
    for (value, size) in [(0, 4), (64, 2), (56, 2), (3, 2), (64, 2), (count, 2), (count - 1, 2)] {
        put(&mut head, value, size);
    }
    for (kind, flags, from, to) in [(1, 5, 0, data), (1, 6, data, end), (0x6474_e551, 6, 0, 0)] {
        let (from, size) = (from as u64, (to - from) as u64);
        // Segments must not share a page with other rights.
        let address = if kind == 1 { BASE + from + if flags == 6 { 0x1000 } else { 0 } } else { 0 };
        put(&mut head, kind, 4);
        put(&mut head, flags, 4);
        for value in [from, address, address, size, size, if kind == 1 { 0x1000 } else { 16 }] {
            put(&mut head, value, 8);
        }
    }
    file[..FRONT].copy_from_slice(&head);
    file
}

fn section(headers: &mut Vec<u8>, name: usize, kind: u64, offset: usize, size: usize) {
    let address = BASE + 0x1000 + offset as u64;
    let fields = [
        (name as u64, 4),
        (kind, 4),
        (2, 8),
        (address, 8),
        (offset as u64, 8),
        (size as u64, 8),
        (0, 8),
        (16, 8),
        (0, 8),
    ];
    for (value, size) in fields {
        put(headers, value, size);
    }
}

/// Appends a number in `size` bytes, little endian.
pub fn put(bytes: &mut Vec<u8>, value: u64, size: usize) {
    bytes.extend_from_slice(&value.to_le_bytes()[..size]);
}
