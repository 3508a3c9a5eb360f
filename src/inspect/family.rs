//! What the programs of a kind have in common, whoever wrote them.
//!
//! A fingerprint knows one program. A family knows what many need for what they do: a
//! debugger reads the memory of others, a shell has words for loops and jobs, an editor on
//! a terminal starts the user's shell. A family has groups of marks, and each group must be
//! reached; it speaks of programs only, since a library does nothing by itself.

use crate::binary::ReadAt;
use serde::Deserialize;
use std::io;

/// An entry `[[family]]` of the table.
#[derive(Deserialize)]
pub(super) struct Family {
    /// What the program is, in words.
    pub(super) tool: String,
    pub(super) category: String,
    groups: Vec<Group>,
    /// Marks of programs that have a use for all of this and are none of the kind.
    #[serde(default)]
    unless: Vec<String>,
}

#[derive(Deserialize)]
struct Group {
    /// How many of the strings must be there.
    need: usize,
    strings: Vec<String>,
}

/// A family with the numbers of its strings.
pub(super) struct Numbered {
    pub(super) family: Family,
    groups: Vec<Vec<usize>>,
    unless: Vec<usize>,
}

impl Numbered {
    /// Gives every string of a family a number by `number`.
    pub(super) fn new(family: Family, number: &mut dyn FnMut(&str) -> usize) -> Self {
        let mut all = |strings: &[String]| strings.iter().map(|text| number(text)).collect();
        let groups = family.groups.iter().map(|group| all(&group.strings)).collect();
        let unless = all(&family.unless);
        Self { groups, unless, family }
    }

    /// Returns what says that a program is of this family; `None` when it is not.
    pub(super) fn evidence(&self, found: &[bool]) -> Option<String> {
        if self.unless.iter().any(|number| found[*number]) {
            return None;
        }
        let mut quoted = Vec::new();
        for (group, numbers) in self.family.groups.iter().zip(&self.groups) {
            let pairs = group.strings.iter().zip(numbers);
            let here: Vec<_> = pairs.filter(|(_, number)| found[**number]).collect();
            if here.len() < group.need {
                return None;
            }
            let shown = here.iter().take(group.need.clamp(1, 4));
            quoted.extend(shown.map(|(text, _)| format!("\"{}\"", readable(text))));
        }
        Some(format!("it holds {}", quoted.join(", ")))
    }

    #[cfg(test)]
    pub(super) fn strings(&self) -> impl Iterator<Item = &String> {
        let groups = self.family.groups.iter();
        groups.flat_map(|group| &group.strings).chain(&self.family.unless)
    }

    /// Returns marks that are just enough.
    #[cfg(test)]
    pub(super) fn just_enough(&self) -> Vec<&str> {
        let groups = self.family.groups.iter();
        groups.flat_map(|group| group.strings.iter().take(group.need).map(String::as_str)).collect()
    }

    #[cfg(test)]
    pub(super) fn is_sound(&self) -> bool {
        let groups = &self.family.groups;
        !groups.is_empty()
            && groups.iter().all(|group| (1..=group.strings.len()).contains(&group.need))
    }
}

/// A mark as a reader sees it: without the zero bytes around a word.
fn readable(text: &str) -> String {
    text.trim_matches('\0').chars().flat_map(char::escape_default).collect()
}

/// The commands that POSIX has a shell do itself (XCU 1.6 and 2.15), and the usual ones.
const BUILTINS: [&str; 26] = [
    "alias", "bg", "break", "cd", "command", "continue", "eval", "exec", "exit", "export", "fc",
    "fg", "getopts", "hash", "jobs", "read", "readonly", "return", "set", "shift", "times", "trap",
    "ulimit", "umask", "unalias", "unset",
];
/// The reserved words of the language (XCU 2.4).
const RESERVED: [&str; 15] = [
    "case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "in", "then", "until",
    "while", "{", "}",
];
/// The longest of these words.
const LONGEST: usize = 8;
/// How many of each must be there; measured, see the head of the table.
const ENOUGH: (usize, usize) = (14, 8);
/// The words that are looked for in the first pass: without some of them, no second is made.
pub(super) const HINTS: [&str; 8] = [
    "\0export\0",
    "\0getopts\0",
    "\0readonly\0",
    "\0unalias\0",
    "\0ulimit\0",
    "\0return\0",
    "\0umask\0",
    "\0unset\0",
];
/// Words of other languages, in the programs that show them all in colours.
pub(super) const OTHERS: [&str; 2] = ["\0typedef\0", "\0protected\0"];
/// How many of [`HINTS`] there must be.
pub(super) const HINTED: usize = 3;
const CHUNK: usize = 64 << 10;

/// Returns what says that a program speaks the language of the shell: its builtin commands
/// and reserved words stand in it, each between zero bytes. `None` when too few do.
///
/// # Errors
/// When the bytes cannot be read.
pub(super) fn shell_words(source: &dyn ReadAt) -> io::Result<Option<String>> {
    let (mut builtins, mut reserved) = ([false; 26], [false; 15]);
    let mut buffer = vec![0; CHUNK];
    let (mut offset, mut kept) = (0, 0);
    loop {
        let count = source.fill_at(offset, &mut buffer[kept..])?;
        if count == 0 {
            break;
        }
        offset += count as u64;
        let filled = kept + count;
        let mut before: Option<usize> = None;
        for zero in memchr::memchr_iter(0, &buffer[..filled]) {
            if let Some(start) = before
                && (1..=LONGEST).contains(&(zero - start - 1))
            {
                let word = &buffer[start + 1..zero];
                for (words, seen) in
                    [(&BUILTINS[..], &mut builtins[..]), (&RESERVED[..], &mut reserved[..])]
                {
                    if let Some(at) = words.iter().position(|one| one.as_bytes() == word) {
                        seen[at] = true;
                    }
                }
            }
            before = Some(zero);
        }
        // A word may lie across the border, with the zero byte before it.
        kept = filled.min(LONGEST + 1);
        buffer.copy_within(filled - kept..filled, 0);
    }
    let named = |words: &[&'static str], seen: &[bool]| -> Vec<&'static str> {
        words.iter().zip(seen).filter(|(_, seen)| **seen).map(|(word, _)| *word).collect()
    };
    let builtins = named(&BUILTINS, &builtins);
    let reserved = named(&RESERVED, &reserved);
    if builtins.len() < ENOUGH.0 || reserved.len() < ENOUGH.1 {
        return Ok(None);
    }
    Ok(Some(format!(
        "{} of {} builtin commands ({}, ...) and {} of {} reserved words ({}, ...)",
        builtins.len(),
        BUILTINS.len(),
        builtins[..4].join(", "),
        reserved.len(),
        RESERVED.len(),
        reserved[..4].join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_is_known_by_its_words() {
        let words = |builtins: usize, reserved: usize, gap: &str| {
            let words = BUILTINS[..builtins].iter().chain(&RESERVED[..reserved]);
            let text: String = words.map(|word| format!("{gap}{word}\0")).collect();
            shell_words(&format!("\0{text}").as_bytes()).unwrap()
        };
        let evidence = words(14, 8, "").unwrap();
        assert!(evidence.starts_with("14 of 26 builtin commands (alias, bg"), "{evidence}");
        assert!(evidence.contains("8 of 15 reserved words (case, do"), "{evidence}");
        assert!(words(26, 15, "").is_some());
        assert_eq!(words(13, 15, ""), None);
        assert_eq!(words(26, 7, ""), None);
        assert_eq!(words(26, 15, "un"), None, "other words");
    }

    #[test]
    fn words_are_found_across_the_borders_of_chunks() {
        let all: Vec<&str> = BUILTINS.iter().chain(&RESERVED).copied().collect();
        let text = format!("\0{}\0", all.join("\0"));
        for shift in [0, 1, 7, 100] {
            let mut bytes = vec![b'x'; CHUNK - text.len() / 2 - shift];
            bytes.extend(text.as_bytes());
            let evidence = shell_words(&bytes).unwrap().unwrap();
            assert!(evidence.starts_with("26 of 26"), "{shift}: {evidence}");
            assert!(evidence.contains("15 of 15"), "{shift}: {evidence}");
        }
        assert_eq!(shell_words(&vec![0; 3 * CHUNK]).unwrap(), None);
        assert_eq!(shell_words(&b"".as_slice()).unwrap(), None);
    }

    #[test]
    fn evidence_is_safe_to_print() {
        assert_eq!(readable("\0ptrace\0"), "ptrace");
        assert_eq!(readable("\u{1b}[?1049h\n"), "\\u{1b}[?1049h\\n");
    }
}
