//! Scripts as the kernel starts them.
//!
//! Purpose: to tell which program really runs. Takes: the first 256 bytes of a file. Gives: a [`Shebang`].
//! Must not: look at the rest of the file or at other files.
//! Sources: Linux `fs/binfmt_script.c`; GNU coreutils manual, "env invocation".

/// The bytes of a file the kernel looks at (`BINPRM_BUF_SIZE`).
pub const HEAD: usize = 256;
/// Most nested `-S` arguments.
const NESTING_MAX: usize = 4;

/// The first line of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shebang {
    /// The path the kernel starts, with a carriage return if there is one.
    pub interpreter: Vec<u8>,
    /// The one argument the kernel passes before the path of the script: the rest of the line.
    pub argument: Option<Vec<u8>>,
    /// The program that runs in the end: what `env` starts, else the interpreter. Without a carriage return.
    pub program: Vec<u8>,
    /// Whether the line ends with CR LF: the kernel takes the CR as part of the path or argument.
    pub carriage_return: bool,
}

/// Why the kernel does not start a file that begins with `#!`. A shell still would, as its own script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no path.
    #[error("the first line has #! but no interpreter")]
    NoInterpreter,
    /// The path does not end within 256 bytes.
    #[error("the path of the interpreter does not end within 256 bytes")]
    TooLong,
}

impl Shebang {
    /// Returns the first line of a script as Linux reads it, `None` when the file does not begin with `#!`.
    ///
    /// `head` is the beginning of the file; only its first 256 bytes count. Source: Linux `load_script`.
    ///
    /// # Errors
    /// A [`Refusal`] when there is `#!` but the kernel answers `ENOEXEC`.
    pub fn parse(head: &[u8]) -> Result<Option<Self>, Refusal> {
        let head = &head[..head.len().min(HEAD)];
        let Some(rest) = head.strip_prefix(b"#!") else {
            return Ok(None);
        };
        // The kernel's buffer is padded with NUL, which ends a word; a full buffer without an end cuts the path off.
        let newline = rest.iter().position(|byte| *byte == b'\n');
        let line = &rest[..newline.unwrap_or(rest.len())];
        let line = trim_start(line);
        let end = line.iter().position(|byte| is_end(*byte));
        let cut_off = newline.is_none() && head.len() == HEAD;
        if cut_off && !line.is_empty() && end.is_none() {
            return Err(Refusal::TooLong);
        }
        // Where the line goes on, the kernel writes the NUL that ends it over the last byte.
        let line = if cut_off { &line[..line.len().saturating_sub(1)] } else { line };
        let end = end.filter(|end| *end < line.len());
        let (interpreter, behind) = line.split_at(end.unwrap_or(line.len()));
        if interpreter.is_empty() {
            return Err(Refusal::NoInterpreter);
        }
        // The kernel takes blanks off before the end of the line or before the last byte of its
        // buffer. A NUL ends the line, too: what is behind it is no argument, and blanks before
        // it stay, unless it is that last byte.
        let whole = newline.is_some_and(|end| !rest[..end].contains(&0)) || head.len() >= HEAD - 1;
        let behind = if whole { trim_end(behind) } else { behind };
        let behind = behind.split(|byte| *byte == 0).next().unwrap_or_default();
        let argument = Some(trim_start(behind)).filter(|argument| !argument.is_empty());
        let last = argument.unwrap_or(interpreter);
        let carriage_return = newline.is_some() && last.ends_with(b"\r");
        Ok(Some(Self {
            interpreter: interpreter.to_vec(),
            argument: argument.map(<[u8]>::to_vec),
            program: program(interpreter, argument),
            carriage_return,
        }))
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_end(byte: u8) -> bool {
    is_blank(byte) || byte == 0
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !is_blank(*byte)).unwrap_or(bytes.len());
    &bytes[start..]
}

fn trim_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !is_blank(*byte)).map_or(0, |last| last + 1);
    &bytes[..end]
}

fn without_return(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\r").filter(|rest| !rest.is_empty()).unwrap_or(bytes)
}

fn program(interpreter: &[u8], argument: Option<&[u8]>) -> Vec<u8> {
    let interpreter = without_return(interpreter);
    let name = interpreter.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let started = match argument {
        Some(argument) if name == b"env" => {
            let argument = without_return(argument);
            // Without -S the whole rest is one name, which hardly ever exists; its first word is what was meant.
            let words = if argument.starts_with(b"-") {
                vec![argument.to_vec()]
            } else {
                argument.split(|byte| is_blank(*byte)).map(<[u8]>::to_vec).collect()
            };
            started_by_env(words, 0)
        }
        _ => None,
    };
    started.unwrap_or_else(|| interpreter.to_vec())
}

/// Returns the program among the arguments of `env`: the first that is neither an option nor `NAME=value`.
fn started_by_env(words: Vec<Vec<u8>>, depth: usize) -> Option<Vec<u8>> {
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if let Some(text) = split_string(&word) {
            if depth == NESTING_MAX {
                return None;
            }
            let text = if text.is_empty() { words.next()? } else { text };
            let inner = split_words(&text).into_iter().chain(words).collect();
            return started_by_env(inner, depth + 1);
        }
        if takes_value(&word) {
            words.next();
        } else if !word.starts_with(b"-") && !word.contains(&b'=') && !word.is_empty() {
            return Some(word);
        }
    }
    None
}

/// Returns the value of `-S` or `--split-string`, also in a group such as `-vS`.
fn split_string(word: &[u8]) -> Option<Vec<u8>> {
    if let Some(rest) = word.strip_prefix(b"--split-string") {
        return Some(rest.strip_prefix(b"=").unwrap_or(rest).to_vec());
    }
    let group = word.strip_prefix(b"-").filter(|group| !group.starts_with(b"-"))?;
    let at = group.iter().position(|letter| !matches!(letter, b'i' | b'0' | b'v'))?;
    (group[at] == b'S').then(|| group[at + 1..].to_vec())
}

/// Returns whether the next word belongs to the option `word`.
fn takes_value(word: &[u8]) -> bool {
    match word.strip_prefix(b"-") {
        Some(b"-unset" | b"-chdir" | b"-argv0") => true,
        Some(group) if !group.starts_with(b"-") => {
            matches!(group.last(), Some(b'u' | b'C' | b'P' | b'a'))
        }
        _ => false,
    }
}

/// Splits as `env -S` does: blanks separate, quotes and backslashes join; variables stay as they are.
fn split_words(text: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match (byte, quote) {
            (b'\'' | b'"', None) => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (_, Some(open)) if byte == open => quote = None,
            (b'\\', None | Some(b'"')) => match bytes.next() {
                Some(b'c') | None => break,
                Some(b'_') if quote.is_none() => words.extend(word.take()),
                Some(b'_') => word.get_or_insert_default().push(b' '),
                Some(escaped) => {
                    let meant = match escaped {
                        b'f' => 12,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'v' => 11,
                        other => other,
                    };
                    word.get_or_insert_default().push(meant);
                }
            },
            (b' ' | b'\t' | b'\n' | b'\r' | 11 | 12, None) => words.extend(word.take()),
            (b'#', None) if word.is_none() => break,
            _ => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(head: &[u8]) -> (String, Option<String>, String, bool) {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let shebang = Shebang::parse(head).unwrap().unwrap();
        (
            text(shebang.interpreter),
            shebang.argument.map(text),
            text(shebang.program),
            shebang.carriage_return,
        )
    }

    #[test]
    fn lines_are_read_as_by_the_kernel() {
        for (head, interpreter, argument) in [
            ("#!/bin/sh\necho", "/bin/sh", None),
            ("#!/bin/sh", "/bin/sh", None),
            ("#! \t/bin/sh \t\n", "/bin/sh", None),
            ("#!/bin/sh -e  -x \n", "/bin/sh", Some("-e  -x")),
            ("#!/bin/sh\0 -e\n", "/bin/sh", None),
            ("#!/bin/awk -f\0x\n", "/bin/awk", Some("-f")),
            ("#!sh\n", "sh", None),
        ] {
            let (found, found_argument, program, carriage_return) = parse(head.as_bytes());
            assert_eq!(
                (found.as_str(), found_argument.as_deref()),
                (interpreter, argument),
                "{head:?}"
            );
            assert_eq!(program, interpreter);
            assert!(!carriage_return);
        }
    }

    #[test]
    fn other_beginnings_are_no_scripts() {
        for head in ["", "#", " #!/bin/sh\n", "\u{feff}#!/bin/sh\n", "echo"] {
            assert_eq!(Shebang::parse(head.as_bytes()), Ok(None));
        }
    }

    #[test]
    fn unusable_lines_are_refused() {
        for head in ["#!", "#!\n/bin/sh", "#! \t \n", "#!\0/bin/sh\n"] {
            assert_eq!(Shebang::parse(head.as_bytes()), Err(Refusal::NoInterpreter), "{head:?}");
        }
        assert_eq!(
            Shebang::parse(&[b"#!".as_slice(), &[b' '; 300]].concat()),
            Err(Refusal::NoInterpreter)
        );
        let long = [b"#!/".as_slice(), &[b'a'; 300], b"\n"].concat();
        assert_eq!(Shebang::parse(&long), Err(Refusal::TooLong));
        // A path that ends in time with an argument that does not is cut, not refused.
        let cut = [b"#!/bin/sh ".as_slice(), &[b'a'; 300], b"\n"].concat();
        assert_eq!(parse(&cut).1.unwrap().len(), HEAD - 1 - 10);
        let last = [b"#!/".as_slice(), &[b'a'; 251], b" -x\n"].concat();
        assert_eq!((parse(&last).0.len(), parse(&last).1), (252, None));
    }

    #[test]
    fn blanks_behind_the_argument_stay_where_no_line_ends() {
        for (head, argument) in [
            ("#!/bin/sh -x \t\n", "-x"),
            ("#!/bin/sh -x \t", "-x \t"),
            ("#!/bin/sh -x \0\n", "-x "),
            ("#!/bin/sh -x \0", "-x "),
        ] {
            assert_eq!(parse(head.as_bytes()).1.as_deref(), Some(argument), "{head:?}");
        }
        let whole = [b"#!/".as_slice(), &[b'a'; 252], b"\n"].concat();
        assert_eq!(parse(&whole).0.len(), 253);
        // The blank stands before the last byte of the kernel's buffer, or one byte earlier.
        let one_byte_less = [b"#!/bin/sh ".as_slice(), &[b'a'; HEAD - 12], b" "].concat();
        assert_eq!(one_byte_less.len(), HEAD - 1);
        assert_eq!(parse(&one_byte_less).1.unwrap().len(), HEAD - 12);
        let two_bytes_less = [b"#!/bin/sh ".as_slice(), &[b'a'; HEAD - 13], b" "].concat();
        assert_eq!(parse(&two_bytes_less).1.unwrap().len(), HEAD - 12);
    }

    #[test]
    fn carriage_returns_are_noted() {
        assert_eq!(
            parse(b"#!/bin/sh\r\n"),
            ("/bin/sh\r".to_owned(), None, "/bin/sh".to_owned(), true)
        );
        let (interpreter, argument, program, noted) = parse(b"#!/usr/bin/env bash\r\n");
        assert_eq!((interpreter.as_str(), argument.as_deref()), ("/usr/bin/env", Some("bash\r")));
        assert_eq!((program.as_str(), noted), ("bash", true));
    }

    #[test]
    fn a_lone_carriage_return_is_a_path() {
        let (interpreter, argument, program, _) = parse(b"#! \r \n");
        assert_eq!((interpreter.as_str(), argument, program.as_str()), ("\r", None, "\r"));
    }

    #[test]
    fn env_is_resolved() {
        for (argument, program) in [
            ("python3", "python3"),
            ("python3 -u", "python3"),
            ("-S python3 -u", "python3"),
            ("-Spython3 -u", "python3"),
            ("-vS  python3", "python3"),
            ("-iS A=1 B=2 /bin/sh -c", "/bin/sh"),
            ("--split-string=bash -e", "bash"),
            ("--split-string bash -e", "bash"),
            ("-S -u HOME -i -C / perl", "perl"),
            ("-S --unset HOME perl", "perl"),
            ("-S \"my shell\" x", "my shell"),
            ("-S 'a'\\''b' x", "a'b"),
            ("-S ba\\sh", "bash"),
            ("-S sh\\_-x", "sh"),
            ("-S -S -S sh", "sh"),
            ("-S -- dash", "dash"),
            ("-S # comment", "/usr/bin/env"),
            ("-S ${SHELL}", "${SHELL}"),
            ("-i", "/usr/bin/env"),
            ("A=1", "/usr/bin/env"),
            ("-S", "/usr/bin/env"),
            ("-S -S -S -S -S -S sh", "/usr/bin/env"),
        ] {
            assert_eq!(
                parse(format!("#!/usr/bin/env {argument}\n").as_bytes()).2,
                program,
                "{argument}"
            );
        }
        assert_eq!(parse(b"#!/bin/busybox env\n").2, "/bin/busybox");
        assert_eq!(parse(b"#!env sh\n").2, "sh");
    }

    #[test]
    fn every_short_head_is_survived() {
        let alphabet = b"#!/ \t\n\0-S\\\"'=";
        let mut random = crate::binary::elf::testing::Random(9);
        for _ in 0..50_000 {
            let mut head = b"#!env -S".to_vec();
            head.truncate(2 + random.below(7));
            for _ in 0..random.below(300) {
                head.push(alphabet[random.below(alphabet.len())]);
            }
            let _ = Shebang::parse(&head);
        }
    }
}
