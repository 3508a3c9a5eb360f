//! Reads the dumps that OSV gives out: one zip file an ecosystem, one JSON file an advisory.
//!
//! Nothing is unpacked to disk. A record that cannot be read is named and counted, and the
//! others are used.

use super::database::Source;
use super::osv::{LONGEST, Record};
use crate::binary::ReadAt;
use crate::finding::escape;
use crate::oci::Digest;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path};
use zip::ZipArchive;

/// The most members of one dump.
const MEMBERS: usize = 1_000_000;
/// The most bytes that one dump unpacks to.
const UNPACKED: u64 = 8 << 30;
/// The most broken records that are named; the rest is counted in the last of them.
const NAMED: usize = 100;

/// Why a dump cannot be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ImportError {
    #[error("it is no zip file: {0}")]
    Zip(String),
    #[error("it has more than {MEMBERS} members")]
    Members,
    #[error("it unpacks to more than {UNPACKED} bytes")]
    Bomb,
    #[error("it has no advisories: none of its members is a JSON record")]
    Empty,
}

/// Reads a dump of an ecosystem.
///
/// # Errors
/// When it is no zip file, goes beyond a limit, or has no record that can be read.
pub fn read(
    ecosystem: &str,
    sha256: Digest,
    dump: &dyn ReadAt,
) -> Result<(Source, Vec<Record>), ImportError> {
    let zipped = |error: zip::result::ZipError| ImportError::Zip(error.to_string());
    let mut archive = ZipArchive::new(Cursor { dump, at: 0 }).map_err(zipped)?;
    if archive.len() > MEMBERS {
        return Err(ImportError::Members);
    }
    let mut source = Source {
        ecosystem: ecosystem.to_owned(),
        sha256,
        records: 0,
        withdrawn: 0,
        broken: Vec::new(),
        newest: String::new(),
    };
    let mut records = Vec::new();
    let (mut unpacked, mut unnamed) = (0_u64, 0_usize);
    for number in 0..archive.len() {
        let name = match archive.name_for_index(number) {
            Some(Ok(name)) => name.into_owned(),
            Some(Err(_)) | None => format!("member {}, whose name cannot be read.json", number + 1),
        };
        if !name.ends_with(".json") {
            continue;
        }
        let mut text = Vec::new();
        let read = match leads_out(&name) {
            true => Err("its name leads out of the archive".to_owned()),
            false => member(&mut archive, number, &mut text),
        };
        unpacked += text.len() as u64;
        if unpacked > UNPACKED {
            return Err(ImportError::Bomb);
        }
        match read.and_then(|()| Record::read(&text)) {
            Ok(record) => {
                source.records += 1;
                source.withdrawn += u32::from(record.withdrawn.is_some());
                if record.modified > source.newest && !record.modified.starts_with("0001") {
                    source.newest.clone_from(&record.modified);
                }
                records.push(record);
            }
            Err(why) if source.broken.len() < NAMED => {
                let shown =
                    |text: &str| -> String { escape::terminal(text).chars().take(200).collect() };
                source.broken.push((shown(&name), shown(&why)));
            }
            Err(_) => unnamed += 1,
        }
    }
    if unnamed > 0 {
        source.broken.push((format!("{unnamed} more"), "they cannot be read".to_owned()));
    }
    if records.is_empty() {
        return Err(ImportError::Empty);
    }
    Ok((source, records))
}

fn member(
    archive: &mut ZipArchive<Cursor<'_>>,
    number: usize,
    text: &mut Vec<u8>,
) -> Result<(), String> {
    let file = archive.by_index(number).map_err(|error| error.to_string())?;
    // What the directory says of the length need not be true.
    file.take(LONGEST as u64 + 1).read_to_end(text).map_err(|error| error.to_string())?;
    Ok(())
}

fn leads_out(name: &str) -> bool {
    !Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Reads a dump from its positions.
struct Cursor<'a> {
    dump: &'a dyn ReadAt,
    at: u64,
}

impl Read for Cursor<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.dump.read_at(self.at, buf)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Cursor<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let moved = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.dump.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = moved.ok_or_else(|| io::Error::other("a place before the start"))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use zip::write::{SimpleFileOptions, ZipWriter};

    fn zipped(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, bytes) in members {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn import(bytes: &[u8]) -> Result<(Source, Vec<Record>), ImportError> {
        read("Go", Digest::of(bytes), &bytes)
    }

    #[test]
    fn one_broken_record_is_named_and_the_others_are_used() {
        let bytes = zipped(&[
            ("A.json", br#"{"id":"A","modified":"2026-01-02T00:00:00Z"}"#),
            ("B.json", b"{\"id\":"),
            ("../C.json", br#"{"id":"C"}"#),
            ("notes.txt", b"x"),
            ("D.json", br#"{"id":"D","withdrawn":"2026-01-01T00:00:00Z","modified":"0001-01-01T00:00:00Z"}"#),
        ]);
        let (source, records) = import(&bytes).unwrap();
        assert_eq!((source.records, source.withdrawn, records.len()), (2, 1, 2));
        let broken: Vec<_> = source.broken.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(broken, ["B.json", "../C.json"]);
        assert_eq!(source.newest, "2026-01-02T00:00:00Z");
    }

    #[test]
    fn a_bomb_ends_at_the_length_of_a_record() {
        let bomb = vec![b' '; 64 << 20];
        let bytes = zipped(&[("A.json", br#"{"id":"A"}"#), ("bomb.json", &bomb)]);
        let (source, records) = import(&bytes).unwrap();
        assert_eq!((records.len(), source.broken.len()), (1, 1));
        assert!(source.broken[0].1.contains("longer"), "{:?}", source.broken);
    }

    #[test]
    fn what_is_no_dump_is_refused() {
        let cut = zipped(&[("A.json", br#"{"id":"A"}"#)]);
        for bytes in [&b""[..], b"PK", b"[]", &cut[..cut.len() / 2]] {
            assert!(matches!(import(bytes), Err(ImportError::Zip(_))));
        }
        assert!(matches!(import(&zipped(&[("x.txt", b"")])), Err(ImportError::Empty)));
        assert!(matches!(import(&zipped(&[("x.json", b"")])), Err(ImportError::Empty)));
    }
}
