//! Archives that hold their members as they are: tar and ar.

use super::{Inside, Trouble, damaged};
use crate::archive::{Limits, tar_walk};
use crate::binary::{ReadAt, Window};
use crate::finding::{Finding, rules};
use crate::store::Cursor;
use std::io::Read;

impl Inside<'_, '_, '_> {
    /// Reads a tar archive, as strictly as a layer.
    pub(super) fn tar(&mut self) -> Result<(), Trouble> {
        let limits = Limits {
            max_entries: self.look.gathered.budget.members,
            max_file: self.look.gathered.budget.bytes,
            ..Limits::default()
        };
        let content = self.content;
        let mut visit = |member: tar_walk::Member, data: &mut dyn Read| -> Result<(), Trouble> {
            if member.kind == tar_walk::Kind::File {
                self.member(Some(&member.path), member.mode, data)?;
            }
            Ok(())
        };
        tar_walk::walk(content.reader(), &limits, &mut visit)?;
        Ok(())
    }

    /// Reads an ar archive, as of static libraries and Debian packages.
    pub(super) fn ar(&mut self) -> Result<(), Trouble> {
        let content = self.content;
        let mut position = 8;
        let mut is_package = false;
        while position < content.len() {
            let header = content.read_vec(position, 60)?;
            let text = |range: std::ops::Range<usize>| {
                let field = header.get(range).unwrap_or_default();
                String::from_utf8_lossy(field).trim().to_owned()
            };
            if header.get(58..60) != Some(b"`\n") {
                return Err(damaged("a header of a member is broken"));
            }
            let size: u64 = text(48..58).parse().map_err(|_| damaged("a size is no number"))?;
            let mode = u32::from_str_radix(&text(40..48), 8).unwrap_or(0);
            let name = text(0..16);
            is_package |= name.starts_with("debian-binary");
            // The names of BSD stand before the data.
            let before: u64 = name.strip_prefix("#1/").and_then(|n| n.parse().ok()).unwrap_or(0);
            let start = position + 60;
            let end = start.checked_add(size).filter(|end| *end <= content.len());
            let end = end.ok_or_else(|| damaged("a member ends behind the archive"))?;
            let window = Window::new(content, start.saturating_add(before)..end);
            let shown = name.trim_end_matches('/').to_owned();
            if !shown.is_empty() && shown != "/SYM64" {
                self.member(Some(shown.as_bytes()), mode, &mut Cursor::new(&window))?;
            }
            position = end + size % 2;
        }
        if !is_package {
            let finding = Finding::new(&rules::FOREIGN_EXECUTABLE, "this is a static library");
            self.look.report_file(self.entry, content, finding);
        }
        Ok(())
    }
}
