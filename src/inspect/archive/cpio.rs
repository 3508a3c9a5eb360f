//! cpio archives of the new form, as initial RAM disks and RPM packages have them.
//!
//! Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst: fields of eight
//! hexadecimal digits, names and data padded to four bytes, several archives in a row.

use super::{Inside, NAME, Trouble, damaged};
use crate::binary::{ReadAt, Window};
use crate::store::Cursor;

/// The bytes of a header.
const HEADER: u64 = 110;
/// The longest name that is read.
const LONGEST: u64 = 4096;
/// The name that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";
/// The zero bytes that are read at a time between two archives.
const CHUNK: u64 = 64 << 10;

impl Inside<'_, '_, '_> {
    /// Reads cpio archives to the end of the file. What follows them is looked at as a file.
    pub(super) fn cpio(&mut self) -> Result<(), Trouble> {
        let content = self.content;
        let mut position = 0;
        loop {
            position = self.one_cpio(position)?;
            let Some(next) = after_zeros(content, position)? else { return Ok(()) };
            position = next;
            let magic = content.read_vec(position, 6)?;
            if !matches!(&magic[..], b"070701" | b"070702") {
                let rest = Window::new(content, position..content.len());
                self.member(Some(b"what follows the archive"), 0, &mut Cursor::new(&rest))?;
                return Ok(());
            }
        }
    }

    /// Reads one archive and returns where it ends.
    fn one_cpio(&mut self, mut position: u64) -> Result<u64, Trouble> {
        let content = self.content;
        loop {
            let header = content.read_vec(position, HEADER as usize)?;
            if !matches!(header.get(..6), Some(b"070701" | b"070702")) {
                return Err(damaged("a header of a member is broken"));
            }
            let field = |number: usize| {
                let at = 6 + number * 8;
                let text = header.get(at..at + 8).filter(|t| t.iter().all(u8::is_ascii_hexdigit));
                let text = text.and_then(|text| std::str::from_utf8(text).ok());
                text.and_then(|text| u64::from_str_radix(text, 16).ok())
                    .ok_or_else(|| damaged("a field of a header is no number"))
            };
            let (mode, size, length) = (field(1)?, field(6)?, field(11)?);
            if length == 0 || length > LONGEST {
                return Err(damaged("a name is empty or too long"));
            }
            let mut name = content.read_vec(position + HEADER, length as usize)?;
            if name.len() as u64 != length || name.pop() != Some(0) || name.contains(&0) {
                return Err(damaged("a name does not end where it says"));
            }
            let start = padded(position + HEADER + length);
            let end = start + size;
            if end > content.len() {
                return Err(damaged("a member ends behind the archive"));
            }
            position = padded(end);
            if name == TRAILER {
                return Ok(position.min(content.len()));
            }
            // Links hold their target and folders nothing; what runs is a regular file.
            if mode & 0o170_000 == 0o100_000 {
                let name = name.get(..NAME).unwrap_or(&name);
                let window = Window::new(content, start..end);
                self.member(Some(name), mode as u32, &mut Cursor::new(&window))?;
            } else if size > LONGEST {
                return Err(damaged("a member without content holds some"));
            }
        }
    }
}

fn padded(position: u64) -> u64 {
    position.next_multiple_of(4)
}

/// Returns where the next byte that is not zero lies.
fn after_zeros(content: &dyn ReadAt, mut position: u64) -> Result<Option<u64>, Trouble> {
    while position < content.len() {
        let chunk = content.read_vec(position, CHUNK as usize)?;
        if let Some(at) = chunk.iter().position(|byte| *byte != 0) {
            return Ok(Some(position + at as u64));
        }
        position += CHUNK;
    }
    Ok(None)
}
