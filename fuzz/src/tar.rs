//! Tar archives whose checksums are right, and another reader of them.

use std::io::{self, Read};

const BLOCK: usize = 512;

/// Sets the checksum of every block that looks like a header.
pub fn sum_up(archive: &mut [u8]) {
    for block in archive.chunks_exact_mut(BLOCK) {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

/// Path, data and link target of every entry, as the crate `tar` lists them.
pub type Listed = (Vec<u8>, Vec<u8>, Option<Vec<u8>>);

/// Lists an archive with the crate `tar`.
pub fn list(archive: &[u8]) -> io::Result<Vec<Listed>> {
    let mut archive = ::tar::Archive::new(archive);
    let mut seen = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        // It hands on global headers as entries.
        if entry.header().entry_type() == ::tar::EntryType::XGlobalHeader {
            continue;
        }
        let path = entry.path_bytes().into_owned();
        let kind = entry.header().entry_type();
        let link = (kind.is_symlink() || kind.is_hard_link())
            .then(|| entry.link_name_bytes().map(|name| name.into_owned()))
            .flatten();
        let mut data = Vec::new();
        entry.read_to_end(&mut data)?;
        seen.push((path, data, link));
    }
    Ok(seen)
}

/// One header block with its checksum.
pub fn header(kind: u8, path: &[u8], link: &[u8], mode: &str, size: usize) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    block[..path.len()].copy_from_slice(path);
    block[100..107].copy_from_slice(format!("{mode:0>7}").as_bytes());
    block[108..115].copy_from_slice(b"0000000");
    block[116..123].copy_from_slice(b"0000000");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[136..147].copy_from_slice(b"00000000000");
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    sum_up(&mut block);
    block
}

/// A member with its padded data.
pub fn member(kind: u8, path: &[u8], link: &[u8], mode: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = header(kind, path, link, mode, data.len());
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

/// Members and the two blocks that end an archive.
pub fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = members.concat();
    bytes.resize(bytes.len() + 2 * BLOCK, 0);
    bytes
}

/// One PAX record.
pub fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (rest + 1..).find(|total| total.to_string().len() + rest == *total);
    let length = length.expect("a number has few digits");
    [length.to_string().as_bytes(), b" ", key.as_bytes(), b"=", value, b"\n"].concat()
}
