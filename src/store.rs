//! Bytes that karat keeps for itself while it works: copies of inputs that nobody else
//! can reach, so that what was inspected is what is packed.
//!
//! Takes readers, gives [`Spool`]s: hashed, immutable, in memory while they are small
//! and in an unlinked temporary file when they are not.

pub mod cache;
pub mod progress;

use crate::binary::ReadAt;
use crate::oci::Digest;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// The bytes that all spools of one [`SpoolRoom`] together keep in memory.
pub const MEMORY: usize = 28 << 20;
/// How much is read at a time.
const CHUNK: usize = 256 << 10;
/// The size from which a second thread helps to read a file.
const TWO_READERS: usize = 2 << 20;

/// The memory that spools share; what does not fit goes to unlinked files.
#[derive(Debug, Default)]
pub struct SpoolRoom {
    used: AtomicUsize,
}

/// An immutable copy of some bytes.
#[derive(Debug)]
pub struct Spool {
    bytes: Bytes,
    size: u64,
    /// Of bytes in memory, the hash is computed when it is first asked for, which may be on
    /// another thread; of a file it is there from the start, so that it is read once less.
    sha256: OnceLock<Digest>,
}

#[derive(Debug)]
enum Bytes {
    Memory(Vec<u8>),
    File(Positioned),
}

/// Why bytes could not be copied into a spool.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SpoolError {
    #[error("it is longer than {0} bytes")]
    Long(u64),
    #[error("it could not be read: {0}")]
    Read(io::Error),
    #[error("its copy could not be written to the temporary folder: {0}")]
    Write(io::Error),
}

impl SpoolRoom {
    /// Makes a room that keeps at most `bytes` in memory.
    pub fn of(bytes: usize) -> Self {
        Self { used: AtomicUsize::new(MEMORY.saturating_sub(bytes)) }
    }

    /// Copies everything that a reader gives, at most `limit` bytes, hashing on the way.
    ///
    /// `expected` is a guess of the size: what is expected to fit gets its memory at once.
    ///
    /// # Errors
    /// When the reader gives more than `limit` bytes or fails, or the temporary file cannot
    /// be written.
    pub fn copy(
        &self,
        mut reader: impl Read,
        expected: u64,
        limit: u64,
    ) -> Result<Spool, SpoolError> {
        let mut writer = self.writer();
        // What fits is read into its place at once; more than expected goes on below.
        if usize::try_from(expected).is_ok_and(|size| size <= self.room_left()) {
            writer.memory.reserve_exact(expected as usize);
            let whole = reader.by_ref().take(expected.min(limit)).read_to_end(&mut writer.memory);
            writer.size = whole.map_err(SpoolError::Read)? as u64;
        }
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = match reader.read(&mut chunk) {
                Ok(0) => return Ok(writer.finish()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(SpoolError::Read(error)),
            };
            if writer.size + count as u64 > limit {
                return Err(SpoolError::Long(limit));
            }
            writer.write_all(&chunk[..count]).map_err(SpoolError::Write)?;
        }
    }

    /// Copies an open file, at most `limit` bytes of it. What fits in memory is read by two
    /// threads at once, as the copy is what everything else waits for.
    ///
    /// # Errors
    /// As [`SpoolRoom::copy`]. A file that grows or shrinks meanwhile gives a copy of some
    /// size: the caller compares it with what it expects.
    pub fn copy_file(&self, file: &Positioned, limit: u64) -> Result<Spool, SpoolError> {
        let expected = usize::try_from(file.len()).unwrap_or(usize::MAX);
        if !(TWO_READERS..=self.room_left()).contains(&expected) || file.len() > limit {
            return self.copy(Cursor::new(file), file.len(), limit);
        }
        let mut memory = vec![0; expected];
        let next = Mutex::new(memory.chunks_mut(CHUNK).enumerate());
        let read = || -> io::Result<bool> {
            loop {
                // A thread that panicked took its piece with it; there is none that can.
                let piece = next.lock().map_err(|_| io::ErrorKind::Other)?.next();
                let Some((number, piece)) = piece else { return Ok(true) };
                if file.fill_at((number * CHUNK) as u64, piece)? < piece.len() {
                    return Ok(false);
                }
            }
        };
        let whole = std::thread::scope(|scope| {
            let other = scope.spawn(read);
            let own = read();
            Ok(own? & other.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))?)
        });
        if !whole.map_err(SpoolError::Read)? {
            // It shrank: nothing of it is of use.
            return Ok(Spool::of(Vec::new()));
        }
        self.used.fetch_add(expected, Ordering::Relaxed);
        Ok(Spool::of(memory))
    }

    fn room_left(&self) -> usize {
        MEMORY.saturating_sub(self.used.load(Ordering::Relaxed))
    }

    /// Starts an empty spool.
    pub fn writer(&self) -> SpoolWriter<'_> {
        let hash = Some(Sha256::new());
        SpoolWriter { room: self, memory: Vec::new(), file: None, hash, size: 0 }
    }

    /// Starts an empty spool of bytes whose hash somebody else computes: it is to be ended
    /// with [`SpoolWriter::finish_hashed`].
    pub fn writer_of_hashed(&self) -> SpoolWriter<'_> {
        SpoolWriter { hash: None, ..self.writer() }
    }
}

/// A spool that is being filled.
pub struct SpoolWriter<'a> {
    room: &'a SpoolRoom,
    memory: Vec<u8>,
    file: Option<File>,
    /// Of what went to the file so far; none when somebody else hashes.
    hash: Option<Sha256>,
    size: u64,
}

impl SpoolWriter<'_> {
    /// Ends the copy: from now on it is immutable.
    pub fn finish(mut self) -> Spool {
        let hash = self.hash.take().filter(|_| self.file.is_some());
        let sha256 = hash.map(|hash| Digest::from(<[u8; 32]>::from(hash.finalize())));
        self.end(sha256)
    }

    /// Ends the copy of bytes whose hash is known.
    pub fn finish_hashed(self, sha256: Digest) -> Spool {
        self.end(Some(sha256))
    }

    fn end(self, sha256: Option<Digest>) -> Spool {
        let size = self.size;
        let bytes = match self.file {
            Some(file) => Bytes::File(Positioned { file, size }),
            None => {
                self.room.used.fetch_add(self.memory.len(), Ordering::Relaxed);
                Bytes::Memory(self.memory)
            }
        };
        Spool { bytes, size, sha256: sha256.map(OnceLock::from).unwrap_or_default() }
    }
}

impl Write for SpoolWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.is_none() && self.memory.len() + bytes.len() > self.room.room_left() {
            let mut spilled = tempfile::tempfile()?;
            spilled.write_all(&self.memory)?;
            if let Some(hash) = &mut self.hash {
                hash.update(&self.memory);
            }
            self.memory = Vec::new();
            self.file = Some(spilled);
        }
        match &mut self.file {
            Some(file) => {
                file.write_all(bytes)?;
                if let Some(hash) = &mut self.hash {
                    hash.update(bytes);
                }
            }
            None => self.memory.extend_from_slice(bytes),
        }
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Spool {
    /// Keeps bytes that are in memory already.
    pub fn of(bytes: Vec<u8>) -> Self {
        let size = bytes.len() as u64;
        Self { bytes: Bytes::Memory(bytes), size, sha256: OnceLock::new() }
    }

    /// Returns the hash of all bytes.
    pub fn sha256(&self) -> Digest {
        // `SpoolWriter::finish` has hashed every file.
        *self.sha256.get_or_init(|| Digest::of(self.in_memory().unwrap_or_default()))
    }

    fn in_memory(&self) -> Option<&[u8]> {
        match &self.bytes {
            Bytes::Memory(bytes) => Some(bytes),
            Bytes::File(_) => None,
        }
    }
}

impl ReadAt for Spool {
    fn len(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        match &self.bytes {
            Bytes::Memory(bytes) => bytes.read_at(offset, buf),
            Bytes::File(file) => file.read_at(offset, buf),
        }
    }
}

/// A file that is read at positions, without a cursor that another thread depends on.
#[derive(Debug)]
pub struct Positioned {
    file: File,
    size: u64,
}

impl Positioned {
    /// Takes an open file, with the size that it has now.
    ///
    /// # Errors
    /// When its size cannot be read.
    pub fn new(file: File) -> io::Result<Self> {
        Ok(Self::of(file.metadata()?.len(), file))
    }

    /// Takes an open file whose size is known.
    pub fn of(size: u64, file: File) -> Self {
        Self { file, size }
    }

    /// Returns what the system says of the file now.
    ///
    /// # Errors
    /// When it says nothing.
    pub fn metadata(&self) -> io::Result<std::fs::Metadata> {
        self.file.metadata()
    }
}

impl ReadAt for Positioned {
    fn len(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(&self.file, buf, offset);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(&self.file, buf, offset);
    }
}

/// A range of a spool: the content of one file.
#[derive(Debug, Clone)]
pub struct Content {
    spool: Arc<Spool>,
    offset: u64,
    size: u64,
    /// Of a part; the spool knows its own.
    sha256: Option<Digest>,
}

impl Content {
    /// Takes the whole of a spool.
    pub fn whole(spool: Arc<Spool>) -> Self {
        Self { offset: 0, size: spool.size, sha256: None, spool }
    }

    /// Takes a range of a spool, whose hash the caller has computed.
    pub fn part(spool: Arc<Spool>, offset: u64, size: u64, sha256: Digest) -> Self {
        Self { spool, offset, size, sha256: Some(sha256) }
    }

    /// Moves the range to the same place of another spool: of a layer, the entries are known
    /// before its last byte is.
    pub fn set_spool(&mut self, spool: Arc<Spool>) {
        self.spool = spool;
    }

    /// Returns the hash of the bytes.
    pub fn sha256(&self) -> Digest {
        self.sha256.unwrap_or_else(|| self.spool.sha256())
    }

    /// Gives all bytes to a writer, in order: from memory without another copy, from a file
    /// through `chunk`.
    ///
    /// # Errors
    /// When the copy cannot be read or is shorter than it was, and what the writer reports.
    pub fn write_to(&self, out: &mut dyn Write, chunk: &mut [u8]) -> io::Result<()> {
        if let Some(bytes) = self.spool.in_memory() {
            let range = usize::try_from(self.offset).ok().zip(usize::try_from(self.size).ok());
            let bytes = range.and_then(|(from, size)| bytes.get(from..from.checked_add(size)?));
            let bytes = bytes.ok_or(io::ErrorKind::UnexpectedEof)?;
            // Piece by piece, so that a writer which passes them on finds them in the cache.
            return bytes.chunks(chunk.len().max(1)).try_for_each(|piece| out.write_all(piece));
        }
        let mut offset = 0;
        while offset < self.size {
            let count = self.fill_at(offset, chunk)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            out.write_all(&chunk[..count])?;
            offset += count as u64;
        }
        Ok(())
    }

    /// Returns the bytes one after another.
    pub fn reader(&self) -> Cursor<'_> {
        Cursor { source: self, position: 0 }
    }
}

impl ReadAt for Content {
    fn len(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let end = left.min(buf.len());
        self.spool.read_at(self.offset + offset.min(self.size), &mut buf[..end])
    }
}

/// Reads positioned bytes one after another.
pub struct Cursor<'a> {
    source: &'a dyn ReadAt,
    position: u64,
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte.
    pub fn new(source: &'a dyn ReadAt) -> Self {
        Self { source, position: 0 }
    }
}

impl Read for Cursor<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read_at(self.position, buf)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Cursor<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.source.len().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_that_is_read_by_two_threads_is_copied_as_it_is() {
        let bytes: Vec<u8> = (0..TWO_READERS + 12_345).map(|i| (i % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let positioned = Positioned::new(file.try_clone().unwrap()).unwrap();
        let spool = SpoolRoom::default().copy_file(&positioned, u64::MAX).unwrap();
        assert_eq!(spool.sha256(), Digest::of(&bytes));
        let content = Content::part(Arc::new(spool), 100, 70_000, Digest::of(b""));
        let mut written = Vec::new();
        content.write_to(&mut written, &mut [0; 999]).unwrap();
        assert_eq!(written, bytes[100..70_100]);
        file.set_len(TWO_READERS as u64).unwrap();
        let shrunk = SpoolRoom::default().copy_file(&positioned, u64::MAX).unwrap();
        assert_ne!(ReadAt::len(&shrunk), bytes.len() as u64, "a cut file is no copy");
        assert!(matches!(
            SpoolRoom::default().copy_file(&positioned, 1000),
            Err(SpoolError::Long(1000))
        ));
    }

    #[test]
    fn what_does_not_fit_in_memory_is_read_back_from_a_file() {
        let room = SpoolRoom::default();
        let big: Vec<u8> = (0..MEMORY + 100).map(|i| (i % 251) as u8).collect();
        let spool = room.copy(&big[..], big.len() as u64, u64::MAX).unwrap();
        assert!(matches!(spool.bytes, Bytes::File(_)));
        assert_eq!(spool.sha256(), Digest::of(&big));
        let content = Content::part(Arc::new(spool), 1000, 5000, Digest::of(b""));
        let mut read = Vec::new();
        content.reader().read_to_end(&mut read).unwrap();
        assert_eq!(read, big[1000..6000]);
        let small = room.copy(&b"abc"[..], 3, 3).unwrap();
        assert!(matches!(small.bytes, Bytes::Memory(_)));
        assert!(matches!(room.copy(&b"abcd"[..], 4, 3), Err(SpoolError::Long(3))));
    }
}
