//! The ways in which a tar archive can mean different things to different readers.
//!
//! One variant per rule of `finding::rules`, TAR-001 to TAR-019 of the inspection rules, and a few
//! siblings found while writing the walk. Each was seen to make two of GNU tar,
//! Go's archive/tar, Rust's tar and the kernel-side unpackers disagree.

use thiserror::Error;

/// Names the rule that an archive broke.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Ambiguity {
    /// TAR-001: a link, device, directory or fifo announces data.
    #[error("entry of type {kind:?} announces {size} bytes of data")]
    SizeWithoutData {
        /// Type flag of the header.
        kind: char,
        /// Announced bytes.
        size: u64,
    },
    /// TAR-002: one PAX header gives a key twice.
    #[error("PAX header repeats the key {key:?}")]
    DuplicatePaxKey {
        /// The key, invalid UTF-8 replaced.
        key: String,
    },
    /// TAR-003: two entries of one archive have the same path.
    #[error("path {path:?} occurs twice")]
    DuplicatePath {
        /// The path of the later entry, invalid UTF-8 replaced.
        path: String,
    },
    /// TAR-004: a sparse file in any of its formats.
    #[error("sparse file")]
    Sparse,
    /// TAR-005: a PAX record breaks the form `"%d %s=%s\n"`, or its value does not fit its key.
    #[error("malformed PAX record: {reason}")]
    MalformedPax {
        /// What is wrong.
        reason: &'static str,
    },
    /// TAR-006: a PAX or GNU name contains a NUL byte.
    #[error("extended name contains a NUL byte")]
    NulInExtendedName,
    /// TAR-007: a PAX global header sets more than a comment.
    #[error("PAX global header sets {key:?}")]
    GlobalPax {
        /// The key, invalid UTF-8 replaced.
        key: String,
    },
    /// TAR-008: PAX and GNU both give the path or the link target.
    #[error("PAX and GNU headers both name the same entry")]
    TwoLongNames,
    /// TAR-009: data follows a single zero block.
    #[error("data follows a single zero block")]
    LoneZeroBlock,
    /// TAR-010: something other than a little zero padding follows the end marker.
    #[error("{reason} after the end marker")]
    AfterEnd {
        /// What follows.
        reason: &'static str,
    },
    /// TAR-011: the stream ends inside a header or inside data.
    #[error("archive is truncated")]
    Truncated,
    /// TAR-012: the header checksum is wrong.
    #[error("header checksum is wrong")]
    Checksum,
    /// TAR-013: a numeric field is not octal, or negative, or above 2^63 - 1.
    #[error("header field {field} is not a number that all readers accept")]
    Number {
        /// The field.
        field: &'static str,
    },
    /// TAR-014: the type flag is not one of POSIX's or GNU's `L` and `K`, or an extension of a header without a magic.
    #[error("unknown entry type {kind:?}")]
    UnknownType {
        /// Type flag of the header.
        kind: char,
    },
    /// TAR-015: an entry that is no directory has a name that ends in a slash.
    #[error("name ends in a slash but the entry is not a directory")]
    SlashAfterFile,
    /// TAR-016: more than one `x`, `L` or `K` header before one entry.
    #[error("more than one extension header of type {kind:?} before one entry")]
    RepeatedExtension {
        /// Type flag of the second header.
        kind: char,
    },
    /// TAR-016: an extension header is followed by a global header or the end.
    #[error("extension header belongs to no entry")]
    DanglingExtension,
    /// TAR-017: PAX and ustar sizes differ although the size fits the ustar field.
    #[error("PAX size {pax} differs from header size {header}")]
    PaxSize {
        /// Size in the PAX record.
        pax: u64,
        /// Size in the ustar field.
        header: u64,
    },
    /// TAR-017: a PAX size stands before a GNU long name, whose size it would change for some.
    #[error("PAX size precedes a GNU long name")]
    PaxSizeBeforeLongName,
    /// TAR-018: bytes follow the NUL that ends a text field.
    #[error("bytes follow the NUL in header field {field}")]
    BytesAfterNul {
        /// The field.
        field: &'static str,
    },
    /// TAR-019: the PAX character set is neither UTF-8 nor binary.
    #[error("unknown PAX character set")]
    Charset,
    /// The magic is none of ustar, GNU and the empty one, so the prefix field is in doubt.
    #[error("unknown tar format")]
    UnknownFormat,
    /// An entry has no path, or a link no target.
    #[error("entry lacks its {field}")]
    EmptyName {
        /// The field.
        field: &'static str,
    },
}
