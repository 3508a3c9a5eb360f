//! Tar archives written byte by byte, valid or not.

/// The end of an archive.
pub(crate) const END: [u8; 1024] = [0; 1024];

/// A ustar header: mode 644, root's, all numbers zero.
#[derive(Clone)]
pub(crate) struct Header([u8; 512]);

impl Header {
    pub(crate) fn new(kind: u8, name: &[u8], size: u64) -> Self {
        Self([0; 512])
            .put(100, b"0000644")
            .put(108, b"0000000")
            .put(116, b"0000000")
            .put(136, b"00000000000")
            .put(0, name)
            .put(124, format!("{size:011o}").as_bytes())
            .put(156, &[kind])
            .put(257, b"ustar\x0000")
    }

    /// Writes bytes over a field, wherever it is.
    pub(crate) fn put(mut self, at: usize, bytes: &[u8]) -> Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(crate) fn target(self, target: &[u8]) -> Self {
        self.put(157, target)
    }

    pub(crate) fn mode(self, mode: u32) -> Self {
        self.put(100, format!("{mode:07o}").as_bytes())
    }

    /// Makes the header one of GNU tar's.
    pub(crate) fn gnu(self) -> Self {
        self.put(257, b"ustar  \0")
    }

    /// Writes the checksum.
    pub(crate) fn done(mut self) -> Vec<u8> {
        self.0[148..156].fill(b' ');
        let sum: u32 = self.0.iter().map(|&byte| u32::from(byte)).sum();
        self.put(148, format!("{sum:06o}\0 ").as_bytes()).0.to_vec()
    }
}

/// Fills up to the next block.
pub(crate) fn padded(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    data.resize(data.len().next_multiple_of(512), 0);
    data
}

/// An entry with its data.
pub(crate) fn entry(kind: u8, name: &[u8], data: &[u8]) -> Vec<u8> {
    [Header::new(kind, name, data.len() as u64).done(), padded(data)].concat()
}

/// A regular file.
pub(crate) fn file(name: &[u8], data: &[u8]) -> Vec<u8> {
    entry(b'0', name, data)
}

/// A link: `1` is a hard link, `2` a symbolic one.
pub(crate) fn link(kind: u8, name: &[u8], target: &[u8]) -> Vec<u8> {
    Header::new(kind, name, 0).target(target).done()
}

/// A record of a PAX header.
pub(crate) fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (1..).find(|length| rest + length.to_string().len() == *length);
    let length = length.expect("a length").to_string();
    [length.as_bytes(), b" ", key.as_bytes(), b"=", value, b"\n"].concat()
}

/// A PAX header for the next entry.
pub(crate) fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let data: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
    entry(b'x', b"PaxHeaders.0/x", &data)
}

/// A GNU header with the long name (`L`) or link target (`K`) of the next entry.
pub(crate) fn long(kind: u8, name: &[u8]) -> Vec<u8> {
    let data = [name, b"\0"].concat();
    let header = Header::new(kind, b"././@LongLink", data.len() as u64).gnu();
    [header.done(), padded(&data)].concat()
}
