//! Opens foreign layer blobs: none, gzip or zstd compression, under limits.
//!
//! Runtimes unpack every gzip member and every zstd frame of a blob, so this
//! reader does too; a reader that stops earlier would inspect less than what
//! runs. Bytes after the last member, a wrong checksum and a truncated stream
//! are errors, and the end is always reached before success is reported.
//!
//! Input: blob bytes and what the media type promises. Output: tar bytes. The
//! blob's own digest is checked beneath ([`super::verified`]), not here.

use std::fmt;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use super::Error;
use super::limits::{LimitExceeded, Limits};

const BUFFER: usize = 128 * 1024;

/// What the zstd library (1.5.7, `zstd_errors.h`) says of bytes that begin no frame, and of a
/// window beyond the limit. The crate gives these names and no codes.
const ZSTD_NO_FRAME: &str = "Unknown frame descriptor";
const ZSTD_WINDOW: &str = "Frame requires too much memory for decoding";

/// Says how a layer blob is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Plain tar.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// Bytes that [`Self::detect`] wants to see.
    pub const MAGIC_LEN: usize = 4;

    /// Names the compression that the first bytes of a blob announce.
    ///
    /// Skippable zstd frames count as zstd. Whatever is unknown is
    /// [`Compression::None`]; the tar walk refuses it if it is not tar.
    pub fn detect(magic: &[u8]) -> Self {
        match magic {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "uncompressed",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// Reports what a completely read layer weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Bytes of the blob.
    pub compressed: u64,
    /// Bytes after decompression.
    pub uncompressed: u64,
}

/// Decompresses one layer blob.
///
/// Errors arrive as [`io::Error`]; [`Error::from`] recovers their kind. After
/// an error every further read fails. Memory is bounded by the largest zstd
/// window of the limits and small buffers.
pub struct LayerReader<R: Read> {
    decoder: Decoder<Source<R>>,
    /// Whether the first header of a gzip blob was right.
    whole_header: bool,
    limits: Limits,
    uncompressed: u64,
    failed: bool,
}

enum Decoder<S: Read> {
    None(BufReader<S>),
    Gzip(Box<MultiGzDecoder<BufReader<S>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<S>>>),
}

type Source<R> = Counting<Chain<Cursor<Vec<u8>>, R>>;

impl<R: Read> fmt::Debug for LayerReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerReader")
            .field("compression", &self.compression())
            .field("uncompressed", &self.uncompressed)
            .finish_non_exhaustive()
    }
}

impl<R: Read> LayerReader<R> {
    /// Opens `blob`, whose media type promises `expected`.
    ///
    /// # Errors
    ///
    /// [`Error::CompressionMismatch`] when the first bytes say otherwise, or
    /// the errors of reading them.
    pub fn new(mut blob: R, expected: Compression, limits: &Limits) -> Result<Self, Error> {
        let mut magic = Vec::with_capacity(Compression::MAGIC_LEN);
        blob.by_ref().take(Compression::MAGIC_LEN as u64).read_to_end(&mut magic)?;
        let found = Compression::detect(&magic);
        if found != expected {
            return Err(Error::CompressionMismatch { expected, found });
        }
        let source = Counting {
            inner: Cursor::new(magic).chain(blob),
            count: 0,
            limit: limits.max_compressed,
        };
        let source = BufReader::with_capacity(BUFFER, source);
        let decoder = match expected {
            Compression::None => Decoder::None(source),
            Compression::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(source))),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(source)?;
                // RFC 8878, section 3.1.1.1.2, asks decoders to set a limit.
                decoder.window_log_max(limits.max_window_log)?;
                Decoder::Zstd(Box::new(decoder))
            }
        };
        let whole_header = matches!(&decoder, Decoder::Gzip(decoder) if decoder.header().is_some());
        Ok(Self { decoder, whole_header, limits: limits.clone(), uncompressed: 0, failed: false })
    }

    /// Returns the compression of the blob.
    pub fn compression(&self) -> Compression {
        match self.decoder {
            Decoder::None(_) => Compression::None,
            Decoder::Gzip(_) => Compression::Gzip,
            Decoder::Zstd(_) => Compression::Zstd,
        }
    }

    /// Reads and checks all that is left, to the last byte of the blob.
    ///
    /// # Errors
    ///
    /// Those of reading: [`Error::Corrupt`], [`Error::Limit`], [`Error::Io`],
    /// and what a verifying reader beneath reports.
    pub fn finish(mut self) -> Result<Totals, Error> {
        io::copy(&mut self, &mut io::sink())?;
        let source = self.source();
        // Decoders stop at the end of their last frame; nothing may follow it.
        if !source.fill_buf()?.is_empty() {
            return Err(Error::Trailing { compression: self.compression() });
        }
        Ok(Totals { compressed: self.source().get_ref().count, uncompressed: self.uncompressed })
    }

    fn source(&mut self) -> &mut BufReader<Source<R>> {
        match &mut self.decoder {
            Decoder::None(source) => source,
            Decoder::Gzip(decoder) => decoder.get_mut(),
            Decoder::Zstd(decoder) => decoder.get_mut(),
        }
    }

    /// Tells what the decoder complains of: bytes behind a whole stream, or the stream itself.
    fn refuse(&self, source: io::Error) -> Error {
        let compression = self.compression();
        match &self.decoder {
            // A header that fails behind another is none: the member before it was whole.
            Decoder::Gzip(decoder) if self.whole_header && decoder.header().is_none() => {
                Error::Trailing { compression }
            }
            // The first four bytes of the blob are known to be right.
            Decoder::Zstd(_) if source.to_string() == ZSTD_NO_FRAME => {
                Error::Trailing { compression }
            }
            Decoder::Zstd(_) if source.to_string() == ZSTD_WINDOW => {
                Error::Window { log: self.limits.max_window_log }
            }
            _ => Error::Corrupt { compression, source },
        }
    }

    fn advance(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        let result = match &mut self.decoder {
            Decoder::None(source) => source.read(buf),
            Decoder::Gzip(decoder) => decoder.read(buf),
            Decoder::Zstd(decoder) => decoder.read(buf),
        };
        let count = match result.map_err(Error::from) {
            Ok(count) => count,
            // The source marks its own errors, so what is unmarked is the decoder's.
            Err(Error::Io(error)) => {
                return Err(match error.downcast::<SourceFailed>() {
                    Ok(SourceFailed(error)) => Error::Io(error),
                    Err(error) => self.refuse(error),
                });
            }
            Err(error) => return Err(error),
        };
        self.uncompressed += count as u64;
        self.check_limits()?;
        Ok(count)
    }

    fn check_limits(&mut self) -> Result<(), LimitExceeded> {
        let compressed = self.source().get_ref().count;
        let (bytes, limits) = (self.uncompressed, &self.limits);
        LimitExceeded::check("uncompressed layer bytes", bytes, limits.max_uncompressed)?;
        let allowed = compressed.saturating_mul(u64::from(limits.max_ratio));
        if bytes > limits.ratio_grace && bytes > allowed {
            return Err(LimitExceeded {
                what: LimitExceeded::RATIO,
                limit: u64::from(limits.max_ratio),
            });
        }
        Ok(())
    }
}

impl<R: Read> Read for LayerReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if self.failed {
            return Err(io::Error::other("layer stream has already failed"));
        }
        // MultiGzDecoder reports a wrong CRC once and then a clean end, hence the flag.
        self.advance(buf).map_err(|error| {
            self.failed = true;
            error.into()
        })
    }
}

/// Marks an error of the blob's source, to tell it from the decoder's.
#[derive(Debug, thiserror::Error)]
#[error("read layer blob: {0}")]
struct SourceFailed(io::Error);

/// Counts the compressed bytes and ends an over-long blob.
struct Counting<R> {
    inner: R,
    count: u64,
    limit: u64,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = loop {
            match self.inner.read(buf) {
                Ok(count) => break count,
                // Retried here, because above an error of any kind ends the stream.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(match Error::from(error) {
                        Error::Io(error) => io::Error::other(SourceFailed(error)),
                        error => error.into(),
                    });
                }
            }
        };
        self.count += count as u64;
        LimitExceeded::check("compressed layer bytes", self.count, self.limit)
            .map_err(Error::from)?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::gzip;
    use std::io::Write;
    use std::num::NonZeroUsize;

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = gzip::Encoder::new(Vec::new(), NonZeroUsize::MIN);
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zst(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = crate::archive::zstd::Encoder::new(Vec::new()).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(blob: &[u8], kind: Compression, limits: &Limits) -> Result<Vec<u8>, Error> {
        let mut reader = LayerReader::new(blob, kind, limits)?;
        let mut out = Vec::new();
        reader.read_to_end(&mut out)?;
        let totals = reader.finish()?;
        assert_eq!(totals.compressed, blob.len() as u64);
        assert_eq!(totals.uncompressed, out.len() as u64);
        Ok(out)
    }

    fn read_default(blob: &[u8], kind: Compression) -> Result<Vec<u8>, Error> {
        read(blob, kind, &Limits::default())
    }

    #[test]
    fn every_compression_round_trips() {
        for text in [&b""[..], b"x", b"some layer"] {
            assert_eq!(read_default(text, Compression::None).unwrap(), text);
            assert_eq!(read_default(&gz(text), Compression::Gzip).unwrap(), text);
            assert_eq!(read_default(&zst(text), Compression::Zstd).unwrap(), text);
        }
    }

    #[test]
    fn media_type_and_magic_must_agree() {
        let (gzip, zstd) = (gz(b"x"), zst(b"x"));
        let cases: [(&[u8], Compression); 7] = [
            (&gzip, Compression::None),
            (&gzip, Compression::Zstd),
            (&zstd, Compression::None),
            (&zstd, Compression::Gzip),
            (b"plain", Compression::Gzip),
            (b"plain", Compression::Zstd),
            (b"", Compression::Gzip),
        ];
        for (blob, expected) in cases {
            let result = read_default(blob, expected);
            assert!(matches!(result, Err(Error::CompressionMismatch { .. })));
        }
    }

    #[test]
    fn all_members_and_all_frames_are_read() {
        let gzip = [gz(b"one"), gz(b""), gz(b"two")].concat();
        assert_eq!(read_default(&gzip, Compression::Gzip).unwrap(), b"onetwo");
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0], &b"abc"[..]].concat();
        let zstd =
            [skippable.clone(), zst(b"one"), skippable.clone(), zst(b"two"), skippable].concat();
        assert_eq!(read_default(&zstd, Compression::Zstd).unwrap(), b"onetwo");
    }

    #[test]
    fn trailing_bytes_are_refused() {
        for junk in [&b"junk"[..], b"\0", b"\0\0\0\0\0\0\0\0\0\0\0\0", b"\x1f", b"\x1f\x8b"] {
            let gzip = [&gz(b"x"), junk].concat();
            let result = read_default(&gzip, Compression::Gzip);
            assert!(matches!(result, Err(Error::Trailing { .. })), "gzip {junk:?}: {result:?}");
            let zstd = [&zst(b"x"), junk].concat();
            let result = read_default(&zstd, Compression::Zstd);
            // Fewer bytes than a magic has may be the beginning of a frame that was cut off.
            let cut = matches!(result, Err(Error::Corrupt { .. })) && junk.len() < 4;
            assert!(cut || matches!(result, Err(Error::Trailing { .. })), "zstd {junk:?}");
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        for (blob, kind) in
            [(gz(b"some layer"), Compression::Gzip), (zst(b"some layer"), Compression::Zstd)]
        {
            for length in Compression::MAGIC_LEN..blob.len() {
                let result = read_default(&blob[..length], kind);
                assert!(matches!(result, Err(Error::Corrupt { .. })), "{kind} {length}");
            }
        }
    }

    #[test]
    fn wrong_checksums_are_refused_and_stay_refused() {
        for (mut blob, kind, from_end) in
            [(gz(b"x"), Compression::Gzip, 8), (zst(b"x"), Compression::Zstd, 1)]
        {
            let at = blob.len() - from_end;
            blob[at] ^= 1;
            assert!(matches!(read_default(&blob, kind), Err(Error::Corrupt { .. })));
            let mut reader = LayerReader::new(&blob[..], kind, &Limits::default()).unwrap();
            assert!(io::copy(&mut reader, &mut io::sink()).is_err());
            assert!(reader.read(&mut [0]).is_err());
            assert!(reader.finish().is_err());
        }
    }

    #[test]
    fn bombs_end_at_the_ratio() {
        let zeros = vec![0; 40 << 20];
        for (blob, kind) in [(gz(&zeros), Compression::Gzip), (zst(&zeros), Compression::Zstd)] {
            let result = read_default(&blob, kind);
            let Err(Error::Limit(limit)) = result else {
                panic!("{kind}: {result:?}");
            };
            assert_eq!(limit, LimitExceeded { what: "compression ratio", limit: 200 });
        }
        let small = vec![0; 16 << 20];
        assert!(read_default(&gz(&small), Compression::Gzip).is_ok());
    }

    #[test]
    fn sizes_are_limited_on_both_sides() {
        let limits = Limits { max_uncompressed: 99, ..Limits::default() };
        for (blob, kind) in [(vec![0; 100], Compression::None), (gz(&[0; 100]), Compression::Gzip)]
        {
            assert!(matches!(read(&blob, kind, &limits), Err(Error::Limit(_))));
        }
        let limits = Limits { max_compressed: 10, ..Limits::default() };
        for blob in [gz(b"x"), gz(&[7; 4096])] {
            assert!(matches!(read(&blob, Compression::Gzip, &limits), Err(Error::Limit(_))));
        }
    }

    #[test]
    fn zstd_window_is_limited() {
        // Magic, descriptor without single segment, window descriptor 2^26, one empty last block.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, (26 - 10) << 3, 1, 0, 0];
        let result = read_default(&frame, Compression::Zstd);
        assert!(matches!(result, Err(Error::Window { log: 25 })), "{result:?}");
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, (25 - 10) << 3, 1, 0, 0];
        assert!(read_default(&frame, Compression::Zstd).is_ok());
    }

    #[test]
    fn errors_keep_their_kind_through_the_decoder() {
        let blob = gz(b"some layer");
        let verified =
            super::super::verified::VerifiedReader::new(&blob[..], [0; 32], blob.len() as u64);
        let result =
            LayerReader::new(verified, Compression::Gzip, &Limits::default()).unwrap().finish();
        assert!(matches!(result, Err(Error::DigestMismatch { .. })), "{result:?}");
        let broken = (&blob[..5]).chain(Broken);
        let result =
            LayerReader::new(broken, Compression::Gzip, &Limits::default()).unwrap().finish();
        assert!(matches!(result, Err(Error::Io(_))), "{result:?}");
    }

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::ConnectionReset))
        }
    }
}
