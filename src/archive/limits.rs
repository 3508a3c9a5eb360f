//! The bounds every foreign layer is read under.
//!
//! Input: none. Output: [`Limits`], and [`LimitExceeded`] when one is reached.
//! A limit is a decision of the reader, not a property of the archive: reaching
//! it means "could not decide", never "is fine".

use thiserror::Error;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// Bounds the work and memory that one layer may cost.
///
/// Sizes are bytes. A value equal to the limit is still accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Compressed bytes read from the blob.
    pub max_compressed: u64,
    /// Bytes after decompression.
    pub max_uncompressed: u64,
    /// Uncompressed bytes per compressed byte, checked beyond `ratio_grace`.
    pub max_ratio: u32,
    /// Uncompressed bytes for which the ratio is not checked.
    pub ratio_grace: u64,
    /// Tar members of one layer, PAX global headers included; of an image, those of all its
    /// layers.
    pub max_entries: u64,
    /// Bytes of all paths, link targets and attribute names of an image, which are kept.
    pub max_names: u64,
    /// Bytes of one regular file.
    pub max_file: u64,
    /// Bytes of one path or link target.
    pub max_path: usize,
    /// Bytes of one path component.
    pub max_component: usize,
    /// Bytes of all PAX, GNU `L` and GNU `K` data before one member; this
    /// bounds extended attributes too.
    pub max_header_bytes: u64,
    /// Zero bytes after the two blocks that end a tar archive.
    pub max_padding: u64,
    /// Binary logarithm of the largest zstd window, which is memory.
    pub max_window_log: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_compressed: 4 * GIB,
            max_uncompressed: 16 * GIB,
            max_ratio: 200,
            ratio_grace: 16 * MIB,
            max_entries: 500_000,
            max_names: 48 * MIB,
            max_file: 4 * GIB,
            max_path: 4096,
            max_component: 255,
            max_header_bytes: 64 * KIB,
            max_padding: 64 * KIB,
            // 32 MiB. Builders go up to that; only the program's levels behind `--ultra` and
            // its option `--long` go beyond.
            max_window_log: 25,
        }
    }
}

/// Names the limit that ended the reading, with its configured value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{what} exceeds the limit of {limit}")]
pub struct LimitExceeded {
    /// What was counted, as a noun with its unit.
    pub what: &'static str,
    /// The configured value.
    pub limit: u64,
}

impl LimitExceeded {
    /// What is counted when a stream grows more than is believable.
    pub const RATIO: &str = "compression ratio";
    /// What is counted of the members of one archive.
    pub const ENTRIES: &str = "tar entries";

    /// Refuses `actual` if it is greater than `limit`.
    ///
    /// # Errors
    ///
    /// The limit itself, when it is exceeded.
    pub fn check(what: &'static str, actual: u64, limit: u64) -> Result<(), Self> {
        if actual > limit {
            return Err(Self { what, limit });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_itself_is_allowed() {
        assert!(LimitExceeded::check("path bytes", 4096, 4096).is_ok());
        let error = LimitExceeded::check("path bytes", 4097, 4096).unwrap_err();
        assert_eq!(error.to_string(), "path bytes exceeds the limit of 4096");
    }
}
