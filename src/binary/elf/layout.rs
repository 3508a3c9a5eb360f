//! Numbers of either width and byte order.
//!
//! Takes: a slice and an index. Gives: the number, `None` where the slice ends. Must not: index.

/// Width and byte order of the numbers of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Whether addresses have 64 bits.
    pub(crate) wide: bool,
    /// Whether the least significant byte comes first.
    pub(crate) little_endian: bool,
}

impl Layout {
    /// Returns 32 or 64.
    pub(crate) fn bits(self) -> u8 {
        if self.wide { 64 } else { 32 }
    }

    /// Returns the bytes of the file header: 52 or 64.
    pub(crate) fn header_size(self) -> u64 {
        if self.wide { 64 } else { 52 }
    }

    /// Returns the bytes of an address: 4 or 8.
    pub(crate) fn word_size(self) -> usize {
        if self.wide { 8 } else { 4 }
    }

    /// Returns the 16-bit number at `at`.
    pub(crate) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let raw = array(bytes, at)?;
        Some(if self.little_endian { u16::from_le_bytes(raw) } else { u16::from_be_bytes(raw) })
    }

    /// Returns the 32-bit number at `at`.
    pub(crate) fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let raw = array(bytes, at)?;
        Some(if self.little_endian { u32::from_le_bytes(raw) } else { u32::from_be_bytes(raw) })
    }

    /// Returns the 64-bit number at `at`.
    pub(crate) fn u64(self, bytes: &[u8], at: usize) -> Option<u64> {
        let raw = array(bytes, at)?;
        Some(if self.little_endian { u64::from_le_bytes(raw) } else { u64::from_be_bytes(raw) })
    }

    /// Returns the address at `at`.
    pub(crate) fn word(self, bytes: &[u8], at: usize) -> Option<u64> {
        if self.wide { self.u64(bytes, at) } else { self.u32(bytes, at).map(u64::from) }
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}
