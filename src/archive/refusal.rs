//! Which rule an archive breaks that is not read: the one table from errors to rules.
//!
//! Input: an [`Error`] or an [`Ambiguity`]. Output: a rule of `finding::rules`. A limit that
//! ends the reading is a decision of karat's and not a fault of its own, so all limits share
//! the rule `could-not-inspect`; a stream that grows without measure is a bomb.

use super::{Ambiguity, Error, LimitExceeded};
use crate::finding::{Rule, rules};

impl Error {
    /// Returns the rule that the bytes break; none where the medium failed and not the bytes.
    pub fn rule(&self) -> Option<&'static Rule> {
        Some(match self {
            Self::Io(_) => return None,
            Self::CompressionMismatch { .. } => &rules::COMPRESSION_MISMATCH,
            Self::Corrupt { .. } => &rules::LAYER_CORRUPT,
            Self::Trailing { .. } => &rules::LAYER_TRAILING_BYTES,
            Self::Window { .. } => &rules::ZSTD_WINDOW,
            Self::Limit(LimitExceeded { what: LimitExceeded::RATIO, .. }) => &rules::LAYER_BOMB,
            Self::Ambiguous { ambiguity, .. } => ambiguity.rule(),
            Self::Limit(_) | Self::DigestMismatch { .. } | Self::SizeMismatch { .. } => {
                &rules::COULD_NOT_INSPECT
            }
        })
    }
}

impl Ambiguity {
    /// Returns the rule that was broken.
    pub fn rule(&self) -> &'static Rule {
        match self {
            Self::SizeWithoutData { .. } => &rules::TAR_LINK_WITH_SIZE,
            Self::DuplicatePaxKey { .. } => &rules::TAR_DUPLICATE_PAX_KEY,
            Self::DuplicatePath { .. } => &rules::TAR_DUPLICATE_PATH,
            Self::Sparse => &rules::TAR_SPARSE,
            Self::MalformedPax { .. } => &rules::TAR_MALFORMED_PAX,
            Self::NulInExtendedName => &rules::TAR_NUL_IN_EXTENDED_NAME,
            Self::GlobalPax { .. } => &rules::TAR_GLOBAL_PAX,
            Self::TwoLongNames => &rules::TAR_TWO_LONG_NAMES,
            Self::LoneZeroBlock => &rules::TAR_LONE_ZERO_BLOCK,
            Self::AfterEnd { .. } => &rules::TAR_DATA_AFTER_END,
            Self::Truncated => &rules::TAR_TRUNCATED,
            Self::Checksum => &rules::TAR_BAD_CHECKSUM,
            Self::Number { .. } => &rules::TAR_BAD_NUMBER,
            Self::UnknownType { .. } => &rules::TAR_UNKNOWN_TYPE,
            Self::SlashAfterFile => &rules::TAR_SLASH_AFTER_FILE,
            Self::RepeatedExtension { .. } => &rules::TAR_REPEATED_EXTENSION,
            Self::DanglingExtension => &rules::TAR_DANGLING_EXTENSION,
            Self::PaxSize { .. } => &rules::TAR_PAX_SIZE,
            Self::PaxSizeBeforeLongName => &rules::TAR_PAX_SIZE_BEFORE_LONG_NAME,
            Self::BytesAfterNul { .. } => &rules::TAR_BYTES_AFTER_NUL,
            Self::Charset => &rules::TAR_CHARSET,
            Self::UnknownFormat => &rules::TAR_UNKNOWN_FORMAT,
            Self::EmptyName { .. } => &rules::TAR_EMPTY_NAME,
        }
    }
}
