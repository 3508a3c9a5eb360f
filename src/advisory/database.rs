//! The packed database: advisories by ecosystem and package, in one file that is read by
//! position.
//!
//! The file, all numbers little-endian: 16 bytes `karat advisories`, the format's version (4
//! bytes), the length of the header (4 bytes), the header (JSON, [`Header`]), then tables of
//! 16 bytes an entry: package names in byte order (place and length of the name, its first
//! posting, their number), ids in byte order (place and length of the id, its record), records
//! (place, stored and full length); the postings, 4 bytes each; the texts; the records, each
//! deflated JSON. The same advisories give the same bytes.

use super::osv::{LONGEST, Record};
use crate::binary::ReadAt;
use crate::oci::Digest;
use crate::store::{Content, SpoolError, SpoolRoom};
use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

/// What every database begins with.
const MAGIC: &[u8; 16] = b"karat advisories";
/// The version of the format.
pub const FORMAT: u32 = 1;
/// The longest header, in bytes.
const HEADER: usize = 1 << 20;
/// The largest database, in bytes.
const LARGEST: u64 = 2 << 30;
/// The bytes of an entry of a table.
const ENTRY: u64 = 16;
/// The most records of one package that are looked at.
const POSTINGS: u32 = 20_000;

/// What is in a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Header {
    /// Where the advisories are from.
    pub sources: Vec<Source>,
    /// How many packages have advisories.
    pub packages: u32,
    /// How many ids lead to records.
    pub ids: u32,
    /// How many advisories there are.
    pub records: u32,
    /// How many postings there are.
    pub postings: u32,
    /// How long the texts are, in bytes.
    pub texts: u64,
}

/// Where advisories are from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Source {
    /// The ecosystem, as OSV calls it.
    pub ecosystem: String,
    /// The hash of the archive that they were read from.
    pub sha256: Digest,
    /// How many were read.
    pub records: u32,
    /// How many of them were taken back by their authors, and match nothing.
    pub withdrawn: u32,
    /// Those that could not be read: the name in the archive, and why.
    pub broken: Vec<(String, String)>,
    /// The newest change of any of them; empty when none says it.
    pub newest: String,
}

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum DatabaseError {
    #[error("cannot open it: {0}")]
    Open(io::Error),
    #[error("cannot read it: {0}")]
    Read(#[from] io::Error),
    #[error("cannot read it: {0}")]
    Spool(#[from] SpoolError),
    #[error("it is no database of advisories; `karat db import` makes one")]
    Other,
    #[error("it has format {0}, and this version of karat reads {FORMAT}")]
    Format(u32),
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    #[error("it is {found}, and the policy wants {wanted}")]
    Pinned { wanted: Digest, found: Digest },
}

/// A database that is open.
#[derive(Debug)]
pub struct Database {
    content: Content,
    header: Header,
    names: u64,
    ids: u64,
    records: u64,
    postings: u64,
    texts: u64,
}

impl Database {
    /// Opens a database: takes a copy, so that it does not change while it is read, and reads
    /// its header.
    ///
    /// # Errors
    /// When it cannot be read, is none, is of another format, or contradicts itself.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let file = File::open(path).map_err(DatabaseError::Open)?;
        let size = file.metadata().map_err(DatabaseError::Open)?.len();
        let spool = SpoolRoom::of(16 << 20).copy(file, size, LARGEST)?;
        Self::read(Content::whole(Arc::new(spool)))
    }

    /// Reads a database's header.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn read(content: Content) -> Result<Self, DatabaseError> {
        let head = content.read_vec(0, 24)?;
        let number = |at: usize| -> Option<u32> {
            Some(u32::from_le_bytes(*head.get(at..)?.first_chunk::<4>()?))
        };
        if head.get(..16) != Some(MAGIC) {
            return Err(DatabaseError::Other);
        }
        match number(16) {
            Some(FORMAT) => {}
            Some(other) => return Err(DatabaseError::Format(other)),
            None => return Err(DatabaseError::Damaged("it ends in its first bytes")),
        }
        let length = number(20).map_or(usize::MAX, |length| length as usize);
        if length > HEADER {
            return Err(DatabaseError::Damaged("its header is too long"));
        }
        let header: Header = serde_json::from_slice(&content.read_vec(24, length)?)
            .map_err(|_| DatabaseError::Damaged("its header is not what it should be"))?;
        let names = 24 + length as u64;
        let ids = names + u64::from(header.packages) * ENTRY;
        let records = ids + u64::from(header.ids) * ENTRY;
        let postings = records + u64::from(header.records) * ENTRY;
        let texts = postings + u64::from(header.postings) * 4;
        let end = texts.checked_add(header.texts);
        if end.is_none_or(|end| end > content.len()) {
            return Err(DatabaseError::Damaged("its tables are longer than the file"));
        }
        Ok(Self { content, header, names, ids, records, postings, texts })
    }

    /// Returns what is in it.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns its hash.
    pub fn digest(&self) -> Digest {
        self.content.sha256()
    }

    /// Returns its length in bytes.
    pub fn size(&self) -> u64 {
        self.content.len()
    }

    /// Returns the advisories about a package.
    ///
    /// # Errors
    /// When it cannot be read, or contradicts itself.
    pub fn about(&self, ecosystem: &str, name: &str) -> Result<Vec<Record>, DatabaseError> {
        let key = key(ecosystem, name);
        let Some(entry) = self.find(self.names, self.header.packages, key.as_bytes())? else {
            return Ok(Vec::new());
        };
        let (first, count) = (word(&entry, 8)?, word(&entry, 12)?);
        if count > POSTINGS || first.checked_add(count).is_none_or(|end| end > self.header.postings)
        {
            return Err(DatabaseError::Damaged("a package has more advisories than there are"));
        }
        let numbers =
            self.content.read_vec(self.postings + u64::from(first) * 4, count as usize * 4)?;
        numbers.chunks_exact(4).map(|number| self.record(word(number, 0)?)).collect()
    }

    /// Returns the advisory of an id.
    ///
    /// # Errors
    /// When it cannot be read, or contradicts itself.
    pub fn by_id(&self, id: &str) -> Result<Option<Record>, DatabaseError> {
        match self.find(self.ids, self.header.ids, id.as_bytes())? {
            Some(entry) => self.record(word(&entry, 8)?).map(Some),
            None => Ok(None),
        }
    }

    fn record(&self, number: u32) -> Result<Record, DatabaseError> {
        if number >= self.header.records {
            return Err(DatabaseError::Damaged("it names an advisory that it has not"));
        }
        let entry =
            self.content.read_vec(self.records + u64::from(number) * ENTRY, ENTRY as usize)?;
        let place = entry.first_chunk::<8>().map(|place| u64::from_le_bytes(*place));
        let (stored, full) = (word(&entry, 8)? as usize, word(&entry, 12)? as usize);
        let place = place.ok_or(DatabaseError::Damaged("a table ends early"))?;
        if stored > LONGEST || full > LONGEST {
            return Err(DatabaseError::Damaged("an advisory is too long"));
        }
        let start = self.texts + self.header.texts;
        let at = start.checked_add(place).ok_or(DatabaseError::Damaged("a place is too far"))?;
        let bytes = self.content.read_vec(at, stored)?;
        let mut text = Vec::new();
        DeflateDecoder::new(&bytes[..])
            .take(full as u64 + 1)
            .read_to_end(&mut text)
            .map_err(|_| DatabaseError::Damaged("an advisory cannot be unpacked"))?;
        if text.len() != full {
            return Err(DatabaseError::Damaged("an advisory is not as long as it should be"));
        }
        serde_json::from_slice(&text)
            .map_err(|_| DatabaseError::Damaged("an advisory is not what it should be"))
    }

    /// Finds a text in a table of texts in byte order.
    fn find(
        &self,
        table: u64,
        count: u32,
        wanted: &[u8],
    ) -> Result<Option<Vec<u8>>, DatabaseError> {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.content.read_vec(table + u64::from(middle) * ENTRY, ENTRY as usize)?;
            let (place, length) = (word(&entry, 0)?, word(&entry, 4)?);
            if u64::from(place) + u64::from(length) > self.header.texts {
                return Err(DatabaseError::Damaged("a name lies outside"));
            }
            // A longer one is another one, and its beginning decides the order.
            let length = (length as usize).min(wanted.len() + 1);
            let text = self.content.read_vec(self.texts + u64::from(place), length)?;
            match text.as_slice().cmp(wanted) {
                std::cmp::Ordering::Equal => return Ok(Some(entry)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }
}

fn word(bytes: &[u8], at: usize) -> Result<u32, DatabaseError> {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    word.map(|word| u32::from_le_bytes(*word)).ok_or(DatabaseError::Damaged("a table ends early"))
}

/// Returns what a package is found by.
fn key(ecosystem: &str, name: &str) -> String {
    format!("{ecosystem}\0{name}")
}

/// Packs advisories. Of several with one id the one that was changed last counts; those that
/// were taken back are kept for their ids alone.
///
/// # Errors
/// When there are more than four bytes can count.
pub fn pack(sources: Vec<Source>, records: Vec<Record>) -> io::Result<Vec<u8>> {
    let mut by_id: BTreeMap<String, Record> = BTreeMap::new();
    for record in records {
        match by_id.get(&record.id) {
            Some(known) if known.modified >= record.modified => {}
            _ => drop(by_id.insert(record.id.clone(), record)),
        }
    }
    let mut names: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    let (mut table, mut blobs) = (Vec::new(), Vec::new());
    for (number, record) in (0_u32..).zip(by_id.values()) {
        for affected in record.affected.iter().filter(|_| record.withdrawn.is_none()) {
            let package = &affected.package;
            if !package.name.is_empty() {
                names.entry(key(&package.ecosystem, &package.name)).or_default().insert(number);
            }
        }
        let text = crate::oci::canonical::json(record);
        let mut stored = Vec::new();
        DeflateEncoder::new(&text[..], Compression::new(6)).read_to_end(&mut stored)?;
        table.extend_from_slice(&(blobs.len() as u64).to_le_bytes());
        table.extend_from_slice(&counted(stored.len())?.to_le_bytes());
        table.extend_from_slice(&counted(text.len())?.to_le_bytes());
        blobs.extend_from_slice(&stored);
    }
    let (mut texts, mut postings) = (Vec::new(), Vec::new());
    let (mut name_table, mut id_table) = (Vec::new(), Vec::new());
    let mut entry = |table: &mut Vec<u8>, text: &str, first: u32, second: u32| {
        for number in [counted(texts.len())?, counted(text.len())?, first, second] {
            table.extend_from_slice(&number.to_le_bytes());
        }
        texts.extend_from_slice(text.as_bytes());
        io::Result::Ok(())
    };
    for (name, numbers) in &names {
        let first = counted(postings.len() / 4)?;
        entry(&mut name_table, name, first, counted(numbers.len())?)?;
        numbers.iter().for_each(|number| postings.extend_from_slice(&number.to_le_bytes()));
    }
    for (number, id) in (0_u32..).zip(by_id.keys()) {
        entry(&mut id_table, id, number, 0)?;
    }
    let header = Header {
        sources,
        packages: counted(names.len())?,
        ids: counted(by_id.len())?,
        records: counted(by_id.len())?,
        postings: counted(postings.len() / 4)?,
        texts: texts.len() as u64,
    };
    let header = crate::oci::canonical::json(&header);
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&FORMAT.to_le_bytes());
    file.extend_from_slice(&counted(header.len())?.to_le_bytes());
    for part in [&header, &name_table, &id_table, &table, &postings, &texts, &blobs] {
        file.extend_from_slice(part);
    }
    Ok(file)
}

fn counted(number: usize) -> io::Result<u32> {
    u32::try_from(number).map_err(|_| io::Error::other("there are too many advisories"))
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::store::Spool;

    /// A database of records that are written as OSV has them.
    pub(in crate::advisory) fn database(records: &[serde_json::Value]) -> Database {
        let records =
            records.iter().map(|one| Record::read(one.to_string().as_bytes()).unwrap()).collect();
        of_bytes(pack(Vec::new(), records).unwrap()).unwrap()
    }

    pub(in crate::advisory) fn of_bytes(bytes: Vec<u8>) -> Result<Database, DatabaseError> {
        Database::read(Content::whole(Arc::new(Spool::of(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use super::testing::of_bytes;
    use super::*;

    fn record(id: &str, name: &str, modified: &str) -> Record {
        let text = format!(
            r#"{{"id":"{id}","modified":"{modified}","affected":[{{"package":{{"ecosystem":"Go","name":"{name}"}}}}]}}"#
        );
        Record::read(text.as_bytes()).unwrap()
    }

    fn some() -> Vec<Record> {
        (0..50).map(|n| record(&format!("X-{n}"), &format!("a.b/{}", n % 7), "")).collect()
    }

    #[test]
    fn what_is_packed_is_found_and_nothing_else() {
        let bytes = pack(Vec::new(), some()).unwrap();
        let mut reversed = some();
        reversed.reverse();
        assert_eq!(bytes, pack(Vec::new(), reversed).unwrap());
        let database = of_bytes(bytes).unwrap();
        for package in 0..7 {
            let found = database.about("Go", &format!("a.b/{package}")).unwrap();
            assert_eq!(found.len(), (0..50).filter(|n| n % 7 == package).count());
        }
        for n in 0..50 {
            assert_eq!(database.by_id(&format!("X-{n}")).unwrap().unwrap().id, format!("X-{n}"));
        }
        for (ecosystem, name) in [("Go", "a.b"), ("Go", "a.b/77"), ("Go", ""), ("npm", "a.b/1")] {
            assert!(database.about(ecosystem, name).unwrap().is_empty());
        }
        assert_eq!(database.by_id("X-").unwrap(), None);
        assert_eq!(database.header().records, 50);
    }

    #[test]
    fn the_newest_of_an_id_counts_and_what_was_withdrawn_matches_nothing() {
        let mut gone = record("X-2", "a.b/gone", "");
        gone.withdrawn = Some("2026-01-01T00:00:00Z".to_owned());
        let records = vec![
            record("X-1", "a.b/new", "2026-02-01T00:00:00Z"),
            record("X-1", "a.b/old", "2026-01-01T00:00:00Z"),
            gone,
        ];
        let database = of_bytes(pack(Vec::new(), records).unwrap()).unwrap();
        assert_eq!(database.about("Go", "a.b/new").unwrap().len(), 1);
        assert!(database.about("Go", "a.b/old").unwrap().is_empty());
        assert!(database.about("Go", "a.b/gone").unwrap().is_empty());
        assert!(database.by_id("X-2").unwrap().is_some());
    }

    #[test]
    fn other_files_and_damaged_ones_are_refused() {
        let bytes = pack(Vec::new(), some()).unwrap();
        assert!(matches!(of_bytes(b"PK\x03\x04".to_vec()), Err(DatabaseError::Other)));
        assert!(matches!(of_bytes(Vec::new()), Err(DatabaseError::Other)));
        let mut newer = bytes.clone();
        newer[16] = 2;
        assert!(matches!(of_bytes(newer), Err(DatabaseError::Format(2))));
        // Cut anywhere, and with every byte of the tables changed: an answer or an error.
        for length in 0..bytes.len() {
            if let Ok(database) = of_bytes(bytes[..length].to_vec()) {
                let _ = database.about("Go", "a.b/1");
                let _ = database.by_id("X-49");
            }
        }
        for at in 24..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0xff;
            if let Ok(database) = of_bytes(changed) {
                let _ = database.about("Go", "a.b/1");
                let _ = database.by_id("X-49");
            }
        }
    }
}
