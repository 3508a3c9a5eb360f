//! Lists of parts that the tools of managed languages put into their programs.
//!
//! Takes: a source and its view. Gives: the document that GraalVM's native-image embeds (CycloneDX), or the
//! `deps.json` of a .NET program in a single file, as JSON. Must not: hold more than [`DOCUMENT_MAX`] of it.
//! Sources: GraalVM, "Embed a Software Bill of Materials": gzip, from the exported symbol `sbom`, as many bytes as
//! `sbom_length` says; .NET `src/native/corehost/bundle/{header,runner}.h` and `apphost/bundle_marker.h`.

use super::ReadAt;
use super::elf::View;
use super::search::scan;
use serde_json::Value;
use std::io::{self, Read as _};

/// Most bytes of a document, compressed or not.
pub const DOCUMENT_MAX: u64 = 8 << 20;
/// Most bytes of a table of symbols that is read, and of its names.
const SYMBOLS_MAX: u64 = 16 << 20;
/// Most bytes that are searched for the marker of a bundle.
const MARKER_WITHIN: u64 = 256 << 20;
/// Most bytes of a bundle's id.
const ID_MAX: usize = 256;
/// What stands behind the offset of a bundle's header: the SHA-256 of `.net core bundle`.
const MARKER: [u8; 32] = [
    0x8b, 0x12, 0x02, 0xb9, 0x6a, 0x61, 0x20, 0x38, 0x72, 0x7b, 0x93, 0x02, 0x14, 0xd7, 0xa0, 0x32,
    0x13, 0xf5, 0xb9, 0xe6, 0xef, 0xae, 0x33, 0x18, 0xee, 0x3b, 0x2d, 0xce, 0x24, 0xb3, 0x6a, 0xae,
];

/// Why a document that is there cannot be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it does not lie where the program says")]
    Elsewhere,
    #[error("it is longer than {DOCUMENT_MAX} bytes")]
    Long,
    #[error("it cannot be unpacked: {0}")]
    Gzip(io::Error),
    #[error("it is no JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Reads the bill of materials that native-image has embedded: in a section `.sbom`, or where the symbol `sbom` leads.
///
/// # Errors
/// When there is one and it cannot be read.
pub fn native_image(source: &dyn ReadAt, view: &View) -> Result<Option<Value>, Error> {
    let packed = match view.section(source, ".sbom")? {
        Some(range) => read(source, range.start, range.end.saturating_sub(range.start))?,
        None => {
            let Some((start, length)) = symbols(source, view)? else { return Ok(None) };
            let offset = view.file_offset(length).ok_or(Error::Elsewhere)?;
            let layout = view.layout();
            let bytes = source.read_vec(offset, layout.word_size())?;
            let length = layout.word(&bytes, 0).ok_or(Error::Elsewhere)?;
            if length > DOCUMENT_MAX {
                return Err(Error::Long);
            }
            let range = view.file_range(start, length).ok_or(Error::Elsewhere)?;
            read(source, range.start, length)?
        }
    };
    let mut text = Vec::new();
    let mut unpacked = flate2::read::GzDecoder::new(packed.as_slice()).take(DOCUMENT_MAX + 1);
    unpacked.read_to_end(&mut text).map_err(Error::Gzip)?;
    if text.len() as u64 > DOCUMENT_MAX {
        return Err(Error::Long);
    }
    Ok(Some(serde_json::from_slice(&text)?))
}

/// Returns the addresses of `sbom` and `sbom_length`, where the program exports both.
fn symbols(source: &dyn ReadAt, view: &View) -> Result<Option<(u64, u64)>, Error> {
    let table = |name: &str| -> io::Result<Option<Vec<u8>>> {
        let Some(range) = view.section(source, name)? else { return Ok(None) };
        let size = range.end.saturating_sub(range.start).min(SYMBOLS_MAX);
        source.read_vec(range.start, usize::try_from(size).unwrap_or_default()).map(Some)
    };
    let Some(names) = table(".dynstr")? else { return Ok(None) };
    // Most programs export nothing of that name, and need no table to be read.
    if memchr::memmem::find(&names, b"\0sbom_length\0").is_none() {
        return Ok(None);
    }
    let Some(symbols) = table(".dynsym")? else { return Ok(None) };
    let layout = view.layout();
    // `Elf64_Sym` and `Elf32_Sym` (gABI, chapter 4, "Symbol Table").
    let (size, value) = if view.bits == 64 { (24, 8) } else { (16, 4) };
    let (mut start, mut length) = (None, None);
    for symbol in symbols.chunks_exact(size) {
        let name = layout.u32(symbol, 0).and_then(|at| names.get(usize::try_from(at).ok()?..));
        let name = name.and_then(|rest| rest.split(|byte| *byte == 0).next());
        match name {
            Some(b"sbom") => start = layout.word(symbol, value),
            Some(b"sbom_length") => length = layout.word(symbol, value),
            _ => {}
        }
    }
    Ok(start.zip(length))
}

/// Reads the `deps.json` of a .NET program that is bundled into one file, since .NET 5.
///
/// # Errors
/// When there is one and it cannot be read.
pub fn dotnet(source: &dyn ReadAt) -> Result<Option<Value>, Error> {
    let marker = scan(source, 0..MARKER_WITHIN, 2 * MARKER.len(), &mut |at, chunk| {
        let found = memchr::memmem::find(chunk, &MARKER)?;
        Some(at + found as u64)
    })?;
    let number = |at: u64| -> Result<u64, Error> {
        let bytes = source.read_vec(at, 8)?;
        bytes.try_into().map(u64::from_le_bytes).map_err(|_| Error::Elsewhere)
    };
    let Some(before) = marker.and_then(|at| at.checked_sub(8)) else { return Ok(None) };
    let header = number(before)?;
    // A host that nothing was bundled into.
    if header == 0 || header >= source.len() {
        return Ok(None);
    }
    let fixed = source.read_vec(header, 12 + 2 + ID_MAX)?;
    let major = fixed.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes));
    // The first version tells no places.
    if major.is_none_or(|major| major < 2) {
        return Ok(None);
    }
    // A text with its length in front, seven bits a byte.
    let (low, high) = (fixed.get(12), fixed.get(13));
    let id = match (low, high) {
        (Some(low), _) if *low < 0x80 => 1 + usize::from(*low),
        (Some(low), Some(high)) if *high < 0x80 => {
            2 + usize::from(*low & 0x7f) + (usize::from(*high) << 7)
        }
        _ => return Err(Error::Elsewhere),
    };
    let places = header.checked_add(12 + id as u64).ok_or(Error::Elsewhere)?;
    let (offset, size) = (number(places)?, number(places.saturating_add(8))?);
    if offset == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&read(source, offset, size)?)?))
}

/// Reads bytes that must all be there.
fn read(source: &dyn ReadAt, start: u64, size: u64) -> Result<Vec<u8>, Error> {
    if size > DOCUMENT_MAX {
        return Err(Error::Long);
    }
    let bytes = source.read_vec(start, usize::try_from(size).map_err(|_| Error::Long)?)?;
    if bytes.len() as u64 == size { Ok(bytes) } else { Err(Error::Elsewhere) }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::binary::elf::testing::{BASE, DATA, Writer};
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    pub(crate) fn gzip(text: &str) -> Vec<u8> {
        let mut writer = GzEncoder::new(Vec::new(), Compression::default());
        writer.write_all(text.as_bytes()).unwrap();
        writer.finish().unwrap()
    }

    /// A program of native-image with a document of `length` bytes, as it says.
    pub(crate) fn exported(packed: &[u8], length: u64) -> Vec<u8> {
        let mut loose = length.to_le_bytes().to_vec();
        loose.extend_from_slice(packed);
        let names = b"\0main\0sbom\0sbom_length\0";
        let mut symbols = vec![0; 24];
        for (name, address) in
            [(1_u32, 0x10_u64), (6, BASE + DATA as u64 + 8), (11, BASE + DATA as u64)]
        {
            symbols.extend(name.to_le_bytes());
            symbols.extend([0x11, 0, 1, 0]);
            symbols.extend(address.to_le_bytes());
            symbols.extend(8_u64.to_le_bytes());
        }
        let mut writer = Writer::executable().loose(&loose);
        writer.load_flags = 4;
        writer.section(".dynsym", &symbols).section(".dynstr", names).finish()
    }

    /// A host with a bundle whose `deps.json` is this text.
    pub(crate) fn bundle(deps: &str) -> Vec<u8> {
        let host = Writer::executable().loose(&[&[0xee; 8][..], &MARKER].concat()).finish();
        let at = memchr::memmem::find(&host, &MARKER).unwrap();
        let mut file = host.clone();
        let offset = file.len() as u64;
        file.extend_from_slice(deps.as_bytes());
        let header = file.len() as u64;
        file[at - 8..at].copy_from_slice(&header.to_le_bytes());
        file.extend([6, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
        file.push(12);
        file.extend_from_slice(b"abcdefghijkl");
        for number in [offset, deps.len() as u64, 0, 0, 0] {
            file.extend(number.to_le_bytes());
        }
        file
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{bundle, exported, gzip};
    use super::*;
    use crate::binary::elf::testing::Writer;

    fn native(file: &[u8]) -> Result<Option<Value>, Error> {
        native_image(&file, &View::read(&file).unwrap().unwrap())
    }

    #[test]
    fn the_document_of_native_image_is_read() {
        let packed = gzip(r#"{"bomFormat":"CycloneDX"}"#);
        let whole = exported(&packed, packed.len() as u64);
        assert_eq!(native(&whole).unwrap().unwrap()["bomFormat"], "CycloneDX");
        let section = Writer::executable().section(".sbom", &packed).finish();
        assert_eq!(native(&section).unwrap().unwrap()["bomFormat"], "CycloneDX");
        assert!(native(&Writer::executable().finish()).unwrap().is_none());
    }

    #[test]
    fn what_lies_about_itself_is_no_document() {
        let packed = gzip(r#"{"a":1}"#);
        for (file, long) in [
            (exported(&packed, u64::MAX), true),
            (exported(&packed, DOCUMENT_MAX), false),
            (exported(&packed, 3), false),
            (exported(b"no gzip at all", 14), false),
            (exported(&gzip(&" ".repeat(DOCUMENT_MAX as usize + 1)), 8 << 10), true),
        ] {
            let found = native(&file);
            assert!(found.is_err(), "{found:?}");
            assert_eq!(
                matches!(found, Err(Error::Long)),
                long && !matches!(found, Err(Error::Gzip(_)))
            );
        }
    }

    #[test]
    fn the_list_of_a_bundle_is_read() {
        let file = bundle(r#"{"libraries":{}}"#);
        assert!(dotnet(&file.as_slice()).unwrap().unwrap()["libraries"].is_object());
        let host = Writer::executable().loose(&[&[0; 8][..], &MARKER].concat()).finish();
        assert!(dotnet(&host.as_slice()).unwrap().is_none());
        assert!(dotnet(&Writer::executable().finish().as_slice()).unwrap().is_none());
        // Cut anywhere, it is refused or not there, and nothing breaks.
        // Behind the place of the list stand those of other files, which are not looked at.
        for end in (0..file.len() - 24).step_by(7) {
            assert!(!matches!(dotnet(&&file[..end]), Ok(Some(_))), "{end}");
        }
        assert!(dotnet(&bundle("no JSON").as_slice()).is_err());
    }
}
