//! Control files: paragraphs of fields (deb822(5)).
//!
//! Takes a stream of text, gives its paragraphs one after another, so that an index of
//! 60 MB costs the memory of its longest paragraph.

use std::io::{self, BufRead, Read as _};

/// Bounds what a control file may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest paragraph, in bytes.
    pub paragraph: usize,
    /// The most paragraphs.
    pub paragraphs: usize,
    /// The most fields of one paragraph.
    pub fields: usize,
}

impl Limits {
    /// For a package's own control file, and for `Packages` (the longest known paragraph of
    /// Debian has 60 kB).
    pub const PACKAGES: Self = Self { paragraph: 1 << 20, paragraphs: 400_000, fields: 200 };
    /// For `Release`, which is one long paragraph.
    pub const RELEASE: Self = Self { paragraph: 8 << 20, paragraphs: 1, fields: 200 };
}

/// Why a control file cannot be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ControlError {
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("paragraph {0} is longer than {1} bytes")]
    Long(usize, usize),
    #[error("there are more than {0} paragraphs")]
    Many(usize),
    #[error("paragraph {0} is no text: {1}")]
    NoText(usize, &'static str),
    #[error("paragraph {0} has a line that is no field: `{1}`")]
    NoField(usize, String),
    #[error("paragraph {0} has more than {1} fields")]
    Fields(usize, usize),
    #[error("paragraph {0} has the field `{1}` twice")]
    Twice(usize, String),
}

/// One paragraph.
#[derive(Debug, Default)]
pub struct Paragraph {
    text: String,
    /// Where each field's name begins and ends, and where its value ends.
    fields: Vec<(usize, usize, usize)>,
}

impl Paragraph {
    /// Returns the value of a field, by its name in any case, without blanks around it; lines
    /// that follow the first keep theirs.
    pub fn get(&self, name: &str) -> Option<&str> {
        let is = |(start, end, _): &&(usize, usize, usize)| {
            self.text[*start..*end].eq_ignore_ascii_case(name)
        };
        let (_, name_end, end) = self.fields.iter().find(is)?;
        Some(self.text[name_end + 1..*end].trim())
    }

    fn read(&mut self, number: usize, limits: &Limits) -> Result<(), ControlError> {
        self.fields.clear();
        let mut at = 0;
        for line in self.text.split_inclusive('\n') {
            let start = at;
            at += line.len();
            if line.starts_with([' ', '\t']) {
                let no_field = || ControlError::NoField(number, shortened(line));
                self.fields.last_mut().ok_or_else(no_field)?.2 = at;
                continue;
            }
            let name = line.split(':').next().unwrap_or_default();
            // deb822(5): printable ASCII without the colon, not beginning with `#` or `-`.
            let fits = name.len() < line.len()
                && !name.is_empty()
                && !name.starts_with(['#', '-'])
                && name.bytes().all(|c| c.is_ascii_graphic());
            if !fits {
                return Err(ControlError::NoField(number, shortened(line)));
            }
            if self.fields.len() == limits.fields {
                return Err(ControlError::Fields(number, limits.fields));
            }
            let is_there = |(from, to, _): &(usize, usize, usize)| {
                self.text[*from..*to].eq_ignore_ascii_case(name)
            };
            if self.fields.iter().any(is_there) {
                return Err(ControlError::Twice(number, shortened(name)));
            }
            self.fields.push((start, start + name.len(), at));
        }
        Ok(())
    }
}

fn shortened(text: &str) -> String {
    text.trim_end().chars().take(60).collect()
}

/// Reads paragraphs one after another.
#[derive(Debug)]
pub struct Paragraphs<R> {
    source: R,
    limits: Limits,
    number: usize,
    current: Paragraph,
    bytes: Vec<u8>,
}

impl<R: BufRead> Paragraphs<R> {
    /// Starts at the beginning of a control file.
    pub fn new(source: R, limits: Limits) -> Self {
        Self { source, limits, number: 0, current: Paragraph::default(), bytes: Vec::new() }
    }

    /// Reads the next paragraph; none at the end of the file.
    ///
    /// # Errors
    /// When a limit is exceeded, a line is no field, a field is there twice, or the text is no
    /// UTF-8 or holds a NUL or carriage return.
    pub fn next_paragraph(&mut self) -> Result<Option<&Paragraph>, ControlError> {
        let number = self.number + 1;
        let most = self.limits.paragraph;
        self.bytes.clear();
        loop {
            let before = self.bytes.len();
            let left = (most + 1 - before) as u64;
            let count = self.source.by_ref().take(left).read_until(b'\n', &mut self.bytes)?;
            if self.bytes.len() > most {
                return Err(ControlError::Long(number, most));
            }
            let line = &self.bytes[before..];
            let is_blank = line.iter().all(|c| matches!(c, b' ' | b'\t' | b'\n'));
            if is_blank {
                self.bytes.truncate(before);
            }
            match (is_blank, count, before) {
                (true, 0, 0) => return Ok(None),
                (true, _, 0) => {}
                (true, ..) => break,
                (false, ..) => {}
            }
        }
        if self.number == self.limits.paragraphs {
            return Err(ControlError::Many(self.limits.paragraphs));
        }
        self.number = number;
        if self.bytes.iter().any(|c| matches!(c, 0 | b'\r')) {
            return Err(ControlError::NoText(number, "it holds a NUL or a carriage return"));
        }
        let mut text = std::mem::take(&mut self.current.text).into_bytes();
        std::mem::swap(&mut text, &mut self.bytes);
        self.current.text =
            String::from_utf8(text).map_err(|_| ControlError::NoText(number, "it is not UTF-8"))?;
        self.current.read(number, &self.limits)?;
        Ok(Some(&self.current))
    }
}

/// Reads a file of exactly one paragraph.
///
/// # Errors
/// As [`Paragraphs::next_paragraph`], and when there is none or another.
pub fn single(bytes: &[u8], limits: Limits) -> Result<Paragraph, ControlError> {
    let mut paragraphs = Paragraphs::new(bytes, Limits { paragraphs: 1, ..limits });
    if paragraphs.next_paragraph()?.is_none() {
        return Err(ControlError::NoText(1, "it is empty"));
    }
    let only = std::mem::take(&mut paragraphs.current);
    match paragraphs.next_paragraph()? {
        None => Ok(only),
        Some(_) => Err(ControlError::Many(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "Package: a1\nDescription: one\n two\n .\n\tthree\nX-Empty:\n\n\n \nPackage: b2\nversion:  1 \n";

    #[test]
    fn paragraphs_have_fields() {
        let mut paragraphs = Paragraphs::new(TEXT.as_bytes(), Limits::PACKAGES);
        let first = paragraphs.next_paragraph().unwrap().unwrap();
        assert_eq!(first.get("package"), Some("a1"));
        assert_eq!(first.get("Description"), Some("one\n two\n .\n\tthree"));
        assert_eq!((first.get("X-Empty"), first.get("Missing")), (Some(""), None));
        let second = paragraphs.next_paragraph().unwrap().unwrap();
        assert_eq!((second.get("Package"), second.get("Version")), (Some("b2"), Some("1")));
        assert!(paragraphs.next_paragraph().unwrap().is_none());
        assert!(paragraphs.next_paragraph().unwrap().is_none());
    }

    #[test]
    fn what_is_no_control_file_is_refused() {
        let refused = |text: &[u8]| single(text, Limits::PACKAGES).unwrap_err();
        assert!(matches!(refused(b""), ControlError::NoText(..)));
        assert!(matches!(refused(b"\n\n"), ControlError::NoText(..)));
        assert!(matches!(refused(b"<html>\n"), ControlError::NoField(..)));
        assert!(matches!(refused(b" begins: so\n"), ControlError::NoField(..)));
        assert!(matches!(refused(b"#a: b\n"), ControlError::NoField(..)));
        assert!(matches!(refused(b": b\n"), ControlError::NoField(..)));
        assert!(matches!(refused(b"A b: c\n"), ControlError::NoField(..)));
        assert!(matches!(refused(b"A: b\nB: c\na: d\n"), ControlError::Twice(..)));
        assert!(matches!(refused(b"A: b\0\n"), ControlError::NoText(..)));
        assert!(matches!(refused(b"A: b\r\n"), ControlError::NoText(..)));
        assert!(matches!(refused(b"A: \xff\n"), ControlError::NoText(..)));
        assert!(matches!(refused(b"A: b\n\nA: c\n"), ControlError::Many(1)));
        let many: String = (0..201).map(|i| format!("F{i}: x\n")).collect();
        assert!(matches!(refused(many.as_bytes()), ControlError::Fields(..)));
        let long = Limits { paragraph: 10, ..Limits::PACKAGES };
        assert!(single(b"A: 3456789", long).is_ok());
        assert!(matches!(single(b"A: 345678910", long), Err(ControlError::Long(..))));
        assert!(matches!(single(b"A: 345\n B: 6\n", long), Err(ControlError::Long(..))));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn fields_come_back(values in proptest::collection::vec("[ -~]{0,20}", 1..10)) {
            let text: String = values.iter().enumerate().map(|(i, value)| format!("F{i}: {value}\n")).collect();
            let paragraph = single(text.as_bytes(), Limits::PACKAGES).unwrap();
            for (i, value) in values.iter().enumerate() {
                prop_assert_eq!(paragraph.get(&format!("f{i}")), Some(value.trim()));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut paragraphs = Paragraphs::new(&bytes[..], Limits { paragraph: 100, paragraphs: 3, fields: 4 });
            for _ in 0..10 {
                match paragraphs.next_paragraph() {
                    Ok(Some(paragraph)) => { let _ = paragraph.get("a"); }
                    _ => break,
                }
            }
        }
    }
}
