//! Compresses layers to zstd, as an alternative to gzip.
//!
//! One frame (RFC 8878), level 3, content checksum on, no content size, one
//! thread. The checksum costs four bytes and lets any reader notice damage
//! without knowing the layer's digest; the `zstd` program and containerd's
//! encoder write it too. Input is handed to the library in pieces of fixed size,
//! so the caller's write sizes cannot change the output.
//!
//! Input: tar bytes. Output: zstd bytes in the inner writer. Reading is in
//! [`super::reader`].

use std::io::{self, Write};

/// Identifies everything beside the input that decides the compressed bytes.
pub const ENCODER_ID: &str = "zstd-1.5.7/level-3/checksum";

const LEVEL: i32 = 3;

/// Input bytes per library call; the largest block of the format.
const PIECE: usize = 128 * 1024;

/// Compresses what is written to it into one zstd frame in `W`.
///
/// [`Write::flush`] flushes the inner writer only; it never ends a block.
/// Dropping an encoder without [`Encoder::finish`] leaves an incomplete frame.
pub struct Encoder<W: Write> {
    inner: ::zstd::stream::write::Encoder<'static, W>,
    piece: Vec<u8>,
    failed: bool,
}

impl<W: Write> std::fmt::Debug for Encoder<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

impl<W: Write> Encoder<W> {
    /// Creates an encoder that writes its frame to `inner`.
    ///
    /// # Errors
    ///
    /// Failure to allocate the compression context.
    pub fn new(inner: W) -> io::Result<Self> {
        let mut inner = ::zstd::stream::write::Encoder::new(inner, LEVEL)?;
        inner.include_checksum(true)?;
        Ok(Self { inner, piece: Vec::with_capacity(PIECE), failed: false })
    }

    /// Ends the frame and returns `W`, which is not flushed.
    ///
    /// # Errors
    ///
    /// Errors of `W`, or [`io::ErrorKind::BrokenPipe`] after a failed write.
    pub fn finish(mut self) -> io::Result<W> {
        self.refuse_after_failure()?;
        self.inner.write_all(&self.piece)?;
        self.inner.finish()
    }

    fn refuse_after_failure(&self) -> io::Result<()> {
        if self.failed {
            let message = "zstd encoder has already failed";
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, message));
        }
        Ok(())
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.refuse_after_failure()?;
        let taken = buf.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&buf[..taken]);
        if self.piece.len() == PIECE {
            if let Err(error) = self.inner.write_all(&self.piece) {
                self.failed = true;
                return Err(error);
            }
            self.piece.clear();
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.get_mut().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    fn encode(input: &[u8], chunk: usize) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new()).unwrap();
        for chunk in input.chunks(chunk) {
            encoder.write_all(chunk).unwrap();
        }
        encoder.finish().unwrap()
    }

    fn sample(length: u32) -> Vec<u8> {
        (0..length).map(|at| (at.wrapping_mul(at) >> 7) as u8 & 0x3f).collect()
    }

    /// Pinned to catch encoder drift; a change needs a new [`ENCODER_ID`].
    #[test]
    fn golden_digest() {
        let packed = encode(&sample(1_000_000), 4096);
        let digest: String =
            Sha256::digest(&packed).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            (ENCODER_ID, digest.as_str()),
            (
                "zstd-1.5.7/level-3/checksum",
                "c9aac2991f483f60a05cb5c4d90fa814bed924ee1a09ec232a518887fadb96de"
            )
        );
    }

    #[test]
    fn frame_has_a_checksum_and_no_content_size() {
        // RFC 8878, section 3.1.1.1.1: checksum flag is bit 2, content size bits 6 and 7.
        let packed = encode(b"some layer", 3);
        assert_eq!(packed[..4], [0x28, 0xb5, 0x2f, 0xfd]);
        assert_eq!(packed[4], 0x04);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn bytes_depend_on_the_input_alone(length in 0..600_000u32, chunk in 1..400_000usize) {
            let input = sample(length);
            let packed = encode(&input, chunk);
            prop_assert!(packed == encode(&input, input.len().max(1)));
            prop_assert!(::zstd::stream::decode_all(&packed[..]).unwrap() == input);
        }
    }
}
