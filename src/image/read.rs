//! Reads stored layers into lists of entries.

use super::{Entry, Kind, Layer, Origin};
use crate::archive::reader::LayerReader;
use crate::archive::tar_walk::{self, Member};
use crate::archive::{Compression, Error, LimitExceeded, Limits};
use crate::finding::{Rule, escape, rules};
use crate::oci::{DiffId, Digest, MediaType};
use crate::store::{Content, Spool, SpoolRoom};
use sha2::{Digest as _, Sha256};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Whoever wants to see the bytes of files while a layer is read, and not read them again.
pub trait Observer {
    /// A file of this size begins.
    fn begin(&mut self, size: u64);
    /// The next bytes of the file.
    fn bytes(&mut self, bytes: &[u8]);
    /// The file is at its end, and this is its hash.
    fn end(&mut self, sha256: Digest);
}

/// Nobody.
impl Observer for () {
    fn begin(&mut self, _: u64) {}
    fn bytes(&mut self, _: &[u8]) {}
    fn end(&mut self, _: Digest) {}
}

/// Why a layer could not be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum LayerError {
    #[error("`{0}` is no media type of a layer that karat reads")]
    MediaType(MediaType),
    #[error(transparent)]
    Archive(#[from] Error),
    #[error("the entry `{}` leads out of the root", escape::bytes(.0))]
    Escape(Vec<u8>),
    #[error("the path of the entry `{}` is absolute", escape::bytes(.0))]
    Absolute(Vec<u8>),
    #[error("the uncompressed bytes hash to {found}, and {expected} was promised")]
    DiffId { expected: DiffId, found: DiffId },
}

impl LayerError {
    /// Returns the rule that the layer breaks; none where the medium failed.
    pub fn rule(&self) -> Option<&'static Rule> {
        match self {
            Self::MediaType(_) => Some(&rules::LAYER_MEDIA_TYPE),
            Self::Archive(error) => error.rule(),
            Self::Absolute(_) => Some(&rules::PATH_ABSOLUTE),
            Self::Escape(_) => Some(&rules::PATH_ESCAPES),
            Self::DiffId { .. } => Some(&rules::DIFF_ID_MISMATCH),
        }
    }

    /// Returns the name of the entry that is at fault, as far as there is one.
    pub(super) fn entry(&self) -> Option<&[u8]> {
        match self {
            Self::Escape(path) | Self::Absolute(path) => Some(path),
            Self::Archive(error) => entry_of(error),
            Self::MediaType(_) | Self::DiffId { .. } => None,
        }
    }
}

/// Returns the name of the entry that makes an archive ambiguous.
pub(super) fn entry_of(error: &Error) -> Option<&[u8]> {
    match error {
        Error::Ambiguous { entry, .. } if !entry.is_empty() => Some(entry),
        _ => None,
    }
}

/// Brings the name of an entry into the form of a path, as far as that goes; for messages.
pub(super) fn simplified(name: &[u8]) -> Vec<u8> {
    normalise(name).unwrap_or_else(|| name.to_vec())
}

/// Returns how a layer of this media type is compressed; none for what is no layer.
pub fn compression(media_type: &MediaType) -> Option<Compression> {
    let known = [
        (MediaType::LAYER, Compression::None),
        (MediaType::LAYER_GZIP, Compression::Gzip),
        (MediaType::LAYER_ZSTD, Compression::Zstd),
        (MediaType::DOCKER_LAYER_GZIP, Compression::Gzip),
    ];
    known.into_iter().find(|(known, _)| known == media_type).map(|(_, compression)| compression)
}

/// How much is unpacked at a time, and how many pieces may wait for whoever walks them.
const PIECE: usize = 256 << 10;
const WAITING: usize = 4;

/// Reads a layer in one pass: decompressed and hashed by one thread, walked strictly by
/// another, and copied into a spool from which its files can be read again. Nothing is
/// unpacked.
///
/// # Errors
/// When the archive cannot be read to its end, is ambiguous, names entries outside the
/// root, or its uncompressed bytes are not those of `expected`. The first fault of the
/// stream is reported, however far ahead the other thread was.
pub fn layer(
    room: &SpoolRoom,
    blob: impl Read + Send,
    media_type: &MediaType,
    expected: Option<DiffId>,
    limits: &Limits,
    origin: Origin,
) -> Result<Layer, LayerError> {
    layer_observed(room, blob, media_type, expected, limits, origin, &mut ())
}

/// Reads a layer as [`layer`] does, and shows the bytes of its files to an observer.
///
/// # Errors
/// As [`layer`].
pub fn layer_observed(
    room: &SpoolRoom,
    blob: impl Read + Send,
    media_type: &MediaType,
    expected: Option<DiffId>,
    limits: &Limits,
    origin: Origin,
    observer: &mut dyn Observer,
) -> Result<Layer, LayerError> {
    let compression =
        compression(media_type).ok_or_else(|| LayerError::MediaType(media_type.clone()))?;
    let reader = LayerReader::new(blob, compression, limits)?;
    let mut copy = room.writer_of_hashed();
    let (mut entries, sha256) = std::thread::scope(|scope| {
        let (full, pieces) = sync_channel(WAITING);
        let (empty, used) = sync_channel(WAITING + 2);
        let unpacking = scope.spawn(move || unpack(reader, &full, &used));
        let ahead =
            Ahead { pieces, empty, copy: &mut copy, piece: Vec::new(), position: 0, failed: false };
        // The walk ends with the stream, or drops it, which ends the other thread.
        let entries = entries(ahead, limits, observer)?;
        match unpacking.join() {
            Ok(Some(sha256)) => Ok::<_, LayerError>((entries, sha256)),
            // It stops early only when nobody takes its pieces.
            Ok(None) => Err(Error::Io(io::ErrorKind::UnexpectedEof.into()).into()),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    let diff_id = DiffId::from(*sha256.bytes());
    if let Some(expected) = expected.filter(|expected| *expected != diff_id) {
        return Err(LayerError::DiffId { expected, found: diff_id });
    }
    let spool = Arc::new(copy.finish_hashed(sha256));
    for entry in &mut entries {
        if let Kind::File(content) = &mut entry.kind {
            content.set_spool(spool.clone());
        }
    }
    Ok(Layer { origin, diff_id: Some(diff_id), entries })
}

/// Reads an uncompressed archive in one pass on this thread, copying it into a spool from which
/// its files can be read again: for the archives inside packages, of which many are small.
///
/// # Errors
/// As [`layer`], except for what is about compression.
pub fn archive(
    room: &SpoolRoom,
    source: &mut dyn Read,
    limits: &Limits,
) -> Result<Vec<Entry>, LayerError> {
    let mut copy = room.writer();
    let mut entries = entries(Copying { source, copy: &mut copy }, limits, &mut ())?;
    let spool = Arc::new(copy.finish());
    for entry in &mut entries {
        if let Kind::File(content) = &mut entry.kind {
            content.set_spool(spool.clone());
        }
    }
    Ok(entries)
}

/// Copies what is read.
struct Copying<'a, W> {
    source: &'a mut dyn Read,
    copy: &'a mut W,
}

impl<W: Write> Read for Copying<'_, W> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buf)?;
        self.copy.write_all(&buf[..count])?;
        Ok(count)
    }
}

/// Sends the uncompressed bytes in pieces, then the error that ended them, if one did.
/// Returns the hash of all; none when they were not read to their end.
fn unpack<R: Read>(
    mut reader: LayerReader<R>,
    full: &SyncSender<io::Result<Vec<u8>>>,
    used: &Receiver<Vec<u8>>,
) -> Option<Digest> {
    let mut hash = Sha256::new();
    loop {
        let mut piece = used.try_recv().unwrap_or_default();
        piece.clear();
        let read = reader.by_ref().take(PIECE as u64).read_to_end(&mut piece);
        hash.update(&piece);
        let ends = read.is_err() || piece.len() < PIECE;
        if !piece.is_empty() && full.send(Ok(piece)).is_err() {
            return None;
        }
        let error = match read {
            Ok(_) if !ends => continue,
            Ok(_) => reader.finish().err().map(io::Error::from),
            Err(error) => Some(error),
        };
        let Some(error) = error else {
            return Some(Digest::from(<[u8; 32]>::from(hash.finalize())));
        };
        let _ = full.send(Err(error));
        return None;
    }
}

/// Walks an archive. The contents of the files are ranges of a spool that is yet to come.
fn entries(
    archive: impl Read,
    limits: &Limits,
    observer: &mut dyn Observer,
) -> Result<Vec<Entry>, LayerError> {
    let nothing = Arc::new(Spool::of(Vec::new()));
    let mut chunk = vec![0; 64 << 10];
    let mut entries: Vec<Entry> = Vec::new();
    let mut left = limits.max_names;
    tar_walk::walk::<_, LayerError>(archive, limits, &mut |member, data| {
        let sha256 = match member.kind {
            tar_walk::Kind::File => {
                observer.begin(member.size);
                let sha256 = hash(data, &mut chunk, observer).map_err(Error::from)?;
                observer.end(sha256);
                sha256
            }
            _ => Digest::of(b""),
        };
        // The root itself is written as `/` by some builders, and is the same for everybody.
        if member.path.starts_with(b"/") && member.path.iter().any(|byte| *byte != b'/') {
            return Err(LayerError::Absolute(member.path));
        }
        let path =
            normalise(&member.path).ok_or_else(|| LayerError::Escape(member.path.clone()))?;
        let entry = entry(path, member, sha256, &nothing)?;
        left = left.checked_sub(names(&entry)).ok_or(Error::Limit(LimitExceeded {
            what: "bytes of paths and names",
            limit: limits.max_names,
        }))?;
        entries.push(entry);
        Ok(())
    })?;
    Ok(entries)
}

/// Takes what a layer holds off the limits of its image, for the layers above it.
pub fn take_off(limits: &mut Limits, layer: &Layer) {
    limits.max_entries = limits.max_entries.saturating_sub(layer.entries.len() as u64);
    let taken = layer.entries.iter().map(names).sum();
    limits.max_names = limits.max_names.saturating_sub(taken);
}

/// Returns how many bytes of path, target and attribute names an entry keeps.
fn names(entry: &Entry) -> u64 {
    let target = match &entry.kind {
        Kind::Symlink(target) | Kind::Hardlink(target) => target.len(),
        _ => 0,
    };
    let xattrs: usize = entry.xattrs.iter().map(String::len).sum();
    (entry.path.len() + target + xattrs) as u64
}

fn entry(
    path: Vec<u8>,
    member: Member,
    sha256: Digest,
    spool: &Arc<Spool>,
) -> Result<Entry, LayerError> {
    let kind = match member.kind {
        tar_walk::Kind::File => {
            Kind::File(Content::part(spool.clone(), member.data_offset, member.size, sha256))
        }
        tar_walk::Kind::Directory => Kind::Directory,
        tar_walk::Kind::Symlink { target } => Kind::Symlink(target),
        tar_walk::Kind::Hardlink { target } => Kind::Hardlink(
            normalise(&target).ok_or_else(|| LayerError::Escape(member.path.clone()))?,
        ),
        tar_walk::Kind::CharDevice { .. } => Kind::Special("character device"),
        tar_walk::Kind::BlockDevice { .. } => Kind::Special("block device"),
        tar_walk::Kind::Fifo => Kind::Special("FIFO"),
    };
    let name = |xattr: &tar_walk::Xattr| escape::bytes(xattr.name());
    Ok(Entry {
        path,
        kind,
        mode: member.mode & 0o7777,
        uid: member.uid,
        gid: member.gid,
        mtime: member.mtime,
        xattrs: member.xattrs.iter().map(name).collect(),
    })
}

fn hash(data: &mut dyn Read, chunk: &mut [u8], observer: &mut dyn Observer) -> io::Result<Digest> {
    let mut hash = Sha256::new();
    loop {
        let count = data.read(chunk)?;
        if count == 0 {
            return Ok(Digest::from(<[u8; 32]>::from(hash.finalize())));
        }
        hash.update(&chunk[..count]);
        observer.bytes(&chunk[..count]);
    }
}

/// Brings a path of an archive into the one form: relative, no empty or `.` components.
/// None when it holds `..`, which every unpacker treats in its own way.
fn normalise(path: &[u8]) -> Option<Vec<u8>> {
    let mut normal = Vec::with_capacity(path.len());
    for component in path.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => return None,
            component => {
                if !normal.is_empty() {
                    normal.push(b'/');
                }
                normal.extend_from_slice(component);
            }
        }
    }
    Some(normal)
}

/// The pieces of [`unpack`] as a stream, each copied when it comes.
struct Ahead<'a, W> {
    pieces: Receiver<io::Result<Vec<u8>>>,
    /// Where pieces go back to, to be filled again.
    empty: SyncSender<Vec<u8>>,
    copy: &'a mut W,
    piece: Vec<u8>,
    position: usize,
    failed: bool,
}

impl<W: Write> Read for Ahead<'_, W> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(io::Error::other("layer stream has already failed"));
        }
        if self.position == self.piece.len() {
            let next = match self.pieces.recv() {
                Ok(Ok(piece)) => self.copy.write_all(&piece).map(|()| piece),
                Ok(Err(error)) => Err(error),
                // The other thread has sent everything.
                Err(_) => return Ok(0),
            };
            self.position = 0;
            let next = next.inspect_err(|_| self.failed = true)?;
            let _ = self.empty.try_send(std::mem::replace(&mut self.piece, next));
        }
        let rest = &self.piece[self.position..];
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        self.position += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tar_write;

    /// A plain archive of empty files.
    fn archive(names: &[&str]) -> Vec<u8> {
        let header = |name: &&str| {
            let kind = tar_write::Kind::File { size: 0 };
            let path = name.as_bytes();
            let entry = tar_write::Entry { path, kind, mode: 0o644, uid: 0, gid: 0, mtime: 0 };
            tar_write::header(&entry).unwrap()
        };
        let mut bytes: Vec<u8> = names.iter().flat_map(header).collect();
        bytes.resize(bytes.len() + 1024, 0);
        bytes
    }

    fn read(archive: &[u8], limits: &Limits) -> Result<Layer, LayerError> {
        let room = SpoolRoom::default();
        layer(&room, archive, &MediaType::LAYER, None, limits, Origin::Foreign)
    }

    #[test]
    fn limits_are_those_of_all_layers_together() {
        let first = archive(&["one", "two"]);
        let mut limits = Limits { max_entries: 3, max_names: 12, ..Limits::default() };
        take_off(&mut limits, &read(&first, &Limits::default()).unwrap());
        assert_eq!((limits.max_entries, limits.max_names), (1, 6));
        assert!(read(&archive(&["three"]), &limits).is_ok());
        for names in [&["a", "b"][..], &["seven77"]] {
            assert!(matches!(
                read(&archive(names), &limits),
                Err(LayerError::Archive(Error::Limit(_)))
            ));
        }
    }

    #[test]
    fn a_layer_is_read_as_it_is_and_its_first_fault_is_reported() {
        let names: Vec<String> = (0..3000).map(|number| format!("file-{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let whole = archive(&names);
        assert!(whole.len() > 3 * PIECE);
        let layer = read(&whole, &Limits::default()).unwrap();
        assert_eq!(layer.diff_id, Some(DiffId::from(*Digest::of(&whole).bytes())));
        assert_eq!(layer.entries.len(), names.len());
        assert_eq!(layer.entries[2999].path, b"file-2999");
        // The walk fails before the stream does, and the other way round.
        let mut broken = whole.clone();
        broken[512 * 100 + 148] ^= 1;
        let limits = Limits { max_uncompressed: whole.len() as u64 - 1, ..Limits::default() };
        for _ in 0..20 {
            assert!(matches!(
                read(&broken, &limits),
                Err(LayerError::Archive(Error::Ambiguous { offset: 51_200, .. }))
            ));
            assert!(matches!(read(&whole, &limits), Err(LayerError::Archive(Error::Limit(_)))));
        }
    }

    #[test]
    fn paths_are_normalised_or_refused() {
        assert_eq!(normalise(b"./usr//bin/./x/").unwrap(), b"usr/bin/x");
        assert_eq!(normalise(b"/etc").unwrap(), b"etc");
        assert_eq!(normalise(b"./").unwrap(), b"");
        assert_eq!(normalise(b"a/../b"), None);
    }
}
