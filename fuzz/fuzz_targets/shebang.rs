//! The first line of a script, compared with what Linux does (`fs/binfmt_script.c`).
#![no_main]

use karat::binary::script::Shebang;

const SIZE: usize = 256;

fn blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// What the kernel starts, with the one argument; none when it answers ENOEXEC or would
/// open an empty path.
fn kernel(head: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    // The buffer is filled up with NUL.
    let mut buffer = [0; SIZE];
    let count = head.len().min(SIZE);
    buffer[..count].copy_from_slice(&head[..count]);
    let last = SIZE - 1;
    let not_blank = |from: usize, to: usize| (from..=to).find(|at| !blank(buffer[*at]));
    let terminator =
        |from: usize, to: usize| (from..=to).find(|at| blank(buffer[*at]) || buffer[*at] == 0);
    let text = buffer.iter().position(|byte| *byte == 0).unwrap_or(SIZE);
    let mut end = match buffer[..text].iter().position(|byte| *byte == b'\n') {
        Some(end) => end,
        None => {
            terminator(not_blank(2, last)?, last)?;
            last
        }
    };
    while blank(buffer[end - 1]) {
        end -= 1;
    }
    let name = not_blank(2, end).filter(|name| *name != end)?;
    let argument = match terminator(name, end) {
        Some(separator) if buffer[separator] != 0 => not_blank(separator, end),
        _ => None,
    };
    let separator = terminator(name, end).unwrap_or(end);
    buffer[end] = 0;
    let string =
        |from: usize| buffer[from..].split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    let program = buffer[name..separator].to_vec();
    (!program.is_empty())
        .then(|| (program, argument.map(string).filter(|argument| !argument.is_empty())))
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match Shebang::parse(data) {
        Ok(None) => assert!(!data.starts_with(b"#!")),
        Ok(Some(line)) => {
            assert!(!line.program.is_empty());
            assert_eq!(Some((line.interpreter, line.argument)), kernel(data));
        }
        Err(_) => assert_eq!(kernel(data), None),
    }
});
