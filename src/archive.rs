//! Reads and writes the byte formats of image layers: tar, gzip, zstd.
//!
//! Writing is deterministic: the bytes depend on the input and on a named
//! encoder version only, never on time, host, thread count or the sizes of the
//! caller's writes. Reading is strict: layer blobs are foreign, so every stream
//! is limited, read to its end, and refused as soon as two tar readers could
//! disagree about it.
//!
//! Input: bytes. Output: bytes, or [`tar_walk::Member`] values. This module
//! must not know images, policies, paths on disk, the clock or the terminal. Which
//! rule an error breaks is said in one place, `refusal`.

use std::io;

use thiserror::Error;

pub mod ambiguity;
pub mod gzip;
pub mod limits;
pub mod reader;
mod refusal;
mod tar_field;
mod tar_pax;
pub mod tar_walk;
#[cfg(test)]
mod tar_walk_test;
pub mod tar_write;
pub mod verified;
pub mod zstd;

pub use ambiguity::Ambiguity;
pub use limits::{LimitExceeded, Limits};
pub use reader::Compression;

/// Explains why a foreign layer could not be read to its end.
///
/// The readers of this module travel through [`std::io::Read`], so an `Error`
/// may arrive wrapped in an [`io::Error`]; `Error::from` unwraps it again and
/// no classification is lost on the way.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The source of the bytes failed; the archive itself is not to blame.
    #[error("read archive: {0}")]
    Io(#[source] io::Error),
    /// The first bytes of the blob contradict its media type.
    #[error("media type promises {expected} data but the blob starts as {found}")]
    CompressionMismatch {
        /// What the media type says.
        expected: Compression,
        /// What the magic bytes say.
        found: Compression,
    },
    /// The compressed stream is malformed, truncated, or followed by other bytes.
    #[error("decompress {compression} data: {source}")]
    Corrupt {
        /// The format that was being decoded.
        compression: Compression,
        /// What the decoder says.
        source: io::Error,
    },
    /// A configured limit ended the reading.
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
    /// Bytes that are no part of it follow a compressed stream.
    #[error("bytes follow the end of the {compression} data")]
    Trailing {
        /// The format of the stream before them.
        compression: Compression,
    },
    /// A zstd frame asks for more memory than readers give by default.
    #[error("a zstd frame asks for a window of more than 2^{log} bytes")]
    Window {
        /// Binary logarithm of the largest window.
        log: u32,
    },
    /// Two tar readers could see different contents.
    #[error("tar header at byte {offset}: {ambiguity}")]
    Ambiguous {
        /// Offset of the header block in the uncompressed stream.
        offset: u64,
        /// The name of the entry as far as it is known, not escaped; empty where there is none.
        entry: Vec<u8>,
        /// The rule that was broken.
        ambiguity: Ambiguity,
    },
    /// The bytes do not have the promised sha256.
    #[error("digest is sha256:{} but sha256:{} was promised", Hex(.actual), Hex(.expected))]
    DigestMismatch {
        /// The promised sha256.
        expected: [u8; 32],
        /// The sha256 of the bytes that came.
        actual: [u8; 32],
    },
    /// The stream is shorter or longer than promised.
    #[error("stream has {} {actual} bytes but {expected} were promised", if .actual > .expected { "at least" } else { "only" })]
    SizeMismatch {
        /// The promised number of bytes.
        expected: u64,
        /// The number of bytes seen; for a longer stream, those seen so far.
        actual: u64,
    },
}

impl Error {
    pub(crate) fn ambiguous(offset: u64, ambiguity: Ambiguity) -> Self {
        Self::Ambiguous { offset, entry: Vec::new(), ambiguity }
    }

    /// Names the entry of an ambiguity.
    fn in_entry(mut self, name: &[u8]) -> Self {
        if let Self::Ambiguous { entry, .. } = &mut self {
            *entry = name.to_vec();
        }
        self
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(Self::Io)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => error,
            other => Self::new(io::ErrorKind::InvalidData, other),
        }
    }
}

struct Hex<'a>(&'a [u8; 32]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_survives_a_trip_through_io() {
        let error = Error::SizeMismatch { expected: 3, actual: 4 };
        let back = Error::from(io::Error::from(error));
        assert_eq!(back.to_string(), "stream has at least 4 bytes but 3 were promised");
    }

    #[test]
    fn plain_io_error_stays_io() {
        assert!(matches!(Error::from(io::Error::other("disk")), Error::Io(_)));
    }
}
