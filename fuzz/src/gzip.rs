//! gzip with another decoder than karat's, and streams whose trailers are right.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

/// The most bytes that one member may grow to here.
const MOST: usize = 4 << 20;

/// Inflates one raw deflate stream; gives its bytes and how many of `data` it used.
pub fn inflate(data: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut state = DecompressorOxide::new();
    let mut out = vec![0; (data.len() * 4).clamp(1024, MOST)];
    let (mut used, mut filled) = (0, 0);
    loop {
        let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (status, read, written) =
            decompress(&mut state, &data[used..], &mut out, filled, flags);
        used += read;
        filled += written;
        match status {
            TINFLStatus::Done => {
                out.truncate(filled);
                return Some((out, used));
            }
            TINFLStatus::HasMoreOutput if out.len() < MOST => out.resize(out.len() * 2, 0),
            _ => return None,
        }
    }
}

/// Wraps a deflate stream into one gzip member with the right trailer; bytes behind the
/// stream come behind the member. None when it is no stream.
pub fn member(deflated: &[u8]) -> Option<Vec<u8>> {
    let (plain, used) = inflate(deflated)?;
    let mut file = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    file.extend(&deflated[..used]);
    file.extend(crc32(&plain).to_le_bytes());
    file.extend((plain.len() as u32).to_le_bytes());
    file.extend(&deflated[used..]);
    Some(file)
}

/// Reads all members of a gzip file (RFC 1952), every check made; none for what is wrong.
pub fn read(mut data: &[u8]) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    while !data.is_empty() {
        let whole = data;
        let header = data.split_off(..10)?;
        let flags = header[3];
        if header[..3] != [0x1f, 0x8b, 8] || flags & 0xe0 != 0 {
            return None;
        }
        if flags & 4 != 0 {
            let length = data.split_off(..2)?;
            data.split_off(..usize::from(u16::from_le_bytes([length[0], length[1]])))?;
        }
        for bit in [8, 16] {
            if flags & bit != 0 {
                let end = data.iter().position(|byte| *byte == 0)?;
                data.split_off(..=end)?;
            }
        }
        if flags & 2 != 0 {
            let sum = crc32(&whole[..whole.len() - data.len()]) as u16;
            if data.split_off(..2)? != sum.to_le_bytes() {
                return None;
            }
        }
        let (plain, used) = inflate(data)?;
        data = &data[used..];
        let trailer = data.split_off(..8)?;
        if trailer[..4] != crc32(&plain).to_le_bytes()
            || trailer[4..] != (plain.len() as u32).to_le_bytes()
        {
            return None;
        }
        all.extend(plain);
    }
    Some(all)
}

/// CRC-32 as gzip has it.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
