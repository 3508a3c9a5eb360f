//! Readers and writers that hash what passes through them.
//!
//! Input: any stream. Output: the same stream, with its sha256 and length either
//! reported ([`HashingReader`], [`HashingWriter`]) or enforced
//! ([`VerifiedReader`]). Digests are plain `[u8; 32]`; naming them is not the
//! task of this module.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

use super::Error;

/// Passes a stream through while its sha256 and size match what was promised.
///
/// The bytes that complete the promised size are handed out only after the
/// source ended there and the digest matched, so a caller that has read
/// everything has read verified bytes. A longer source is cut off at the first
/// surplus byte. A caller that may stop early must call [`Self::finish`].
#[derive(Debug)]
pub struct VerifiedReader<R> {
    inner: R,
    hash: Sha256,
    expected: [u8; 32],
    size: u64,
    seen: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Verified,
    Failed,
}

impl<R: Read> VerifiedReader<R> {
    /// Promises that `inner` holds exactly `size` bytes with this sha256.
    pub fn new(inner: R, expected: [u8; 32], size: u64) -> Self {
        Self { inner, hash: Sha256::new(), expected, size, seen: 0, state: State::Reading }
    }

    /// Reads what is left, verifies everything and returns the source.
    ///
    /// # Errors
    ///
    /// [`Error::SizeMismatch`], [`Error::DigestMismatch`] or [`Error::Io`].
    pub fn finish(mut self) -> Result<R, Error> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(self.inner)
    }

    fn verify(&mut self) -> Result<(), Error> {
        if read_some(&mut self.inner, &mut [0])? != 0 {
            return Err(self.wrong_size(self.size.saturating_add(1)));
        }
        let actual: [u8; 32] = self.hash.finalize_reset().into();
        if actual != self.expected {
            let expected = self.expected;
            return Err(Error::DigestMismatch { expected, actual });
        }
        self.state = State::Verified;
        Ok(())
    }

    fn advance(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        let left = usize::try_from(self.size - self.seen).unwrap_or(usize::MAX);
        let room = buf.len().min(left);
        let count = if room == 0 {
            0
        } else {
            match read_some(&mut self.inner, &mut buf[..room])? {
                0 => return Err(self.wrong_size(self.seen)),
                count => count,
            }
        };
        self.hash.update(&buf[..count]);
        self.seen += count as u64;
        if self.seen == self.size {
            self.verify()?;
        }
        Ok(count)
    }

    fn wrong_size(&self, actual: u64) -> Error {
        Error::SizeMismatch { expected: self.size, actual }
    }
}

impl<R: Read> Read for VerifiedReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.state {
            _ if buf.is_empty() => Ok(0),
            State::Verified => Ok(0),
            State::Failed => Err(io::Error::other("stream failed its verification before")),
            State::Reading => self.advance(buf).map_err(|error| {
                self.state = State::Failed;
                error.into()
            }),
        }
    }
}

fn read_some(reader: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buf) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Passes reads through and hashes the bytes.
#[derive(Debug)]
pub struct HashingReader<R> {
    inner: R,
    hash: Sha256,
    count: u64,
}

impl<R: Read> HashingReader<R> {
    /// Starts with the next byte of `inner`.
    pub fn new(inner: R) -> Self {
        Self { inner, hash: Sha256::new(), count: 0 }
    }

    /// Returns the source, the sha256 of the bytes read and their number.
    pub fn finish(self) -> (R, [u8; 32], u64) {
        (self.inner, self.hash.finalize().into(), self.count)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buf)?;
        self.hash.update(&buf[..count]);
        self.count += count as u64;
        Ok(count)
    }
}

/// Passes writes through and hashes the bytes the inner writer accepted.
#[derive(Debug)]
pub struct HashingWriter<W> {
    inner: W,
    hash: Sha256,
    count: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Starts with the next byte written.
    pub fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new(), count: 0 }
    }

    /// Returns the writer, the sha256 of the bytes written and their number.
    ///
    /// Does not flush.
    pub fn finish(self) -> (W, [u8; 32], u64) {
        (self.inner, self.hash.finalize().into(), self.count)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(buf)?;
        self.hash.update(&buf[..count]);
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: [u8; 32] = [
        0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22,
        0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00,
        0x15, 0xad,
    ];

    fn read(bytes: &[u8], size: u64) -> (Vec<u8>, Result<(), Error>) {
        let mut out = Vec::new();
        let mut reader = VerifiedReader::new(bytes, ABC, size);
        let result = reader.read_to_end(&mut out).map(drop);
        (out, result.map_err(Error::from))
    }

    #[test]
    fn matching_stream_passes() {
        let (out, result) = read(b"abc", 3);
        assert_eq!(out, b"abc");
        result.unwrap();
    }

    #[test]
    fn wrong_bytes_are_never_completed() {
        let (out, result) = read(b"abd", 3);
        assert!(matches!(result, Err(Error::DigestMismatch { .. })));
        assert!(out.is_empty());
    }

    #[test]
    fn short_and_long_streams_are_size_mismatches() {
        let (_, result) = read(b"ab", 3);
        assert!(matches!(result, Err(Error::SizeMismatch { expected: 3, actual: 2 })));
        let (out, result) = read(b"abcd", 3);
        assert!(matches!(result, Err(Error::SizeMismatch { expected: 3, actual: 4 })));
        assert!(out.is_empty());
    }

    #[test]
    fn endless_stream_is_cut_off() {
        let mut reader = VerifiedReader::new(io::repeat(0), ABC, 10);
        assert!(io::copy(&mut reader, &mut io::sink()).is_err());
        assert!(reader.read(&mut [0; 8]).is_err());
    }

    #[test]
    fn empty_stream_is_verified_too() {
        let reader = VerifiedReader::new(io::empty(), ABC, 0);
        assert!(matches!(reader.finish(), Err(Error::DigestMismatch { .. })));
    }

    #[test]
    fn finish_checks_what_the_caller_did_not_read() {
        let mut reader = VerifiedReader::new(&b"abX"[..], ABC, 3);
        reader.read_exact(&mut [0; 1]).unwrap();
        assert!(matches!(reader.finish(), Err(Error::DigestMismatch { .. })));
    }

    #[test]
    fn hashing_reader_and_writer_agree() {
        let mut reader = HashingReader::new(&b"abc"[..]);
        let mut writer = HashingWriter::new(Vec::new());
        io::copy(&mut reader, &mut writer).unwrap();
        let (_, digest, count) = reader.finish();
        assert_eq!((digest, count), (ABC, 3));
        assert_eq!(writer.finish(), (b"abc".to_vec(), ABC, 3));
    }
}
