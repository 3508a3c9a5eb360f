//! One tar that is both an OCI layout and loadable by `docker load`.

use super::{PublishError, Release, Staging, dist, layout, staging};
use crate::archive::tar_write::{self, END, Entry, Kind};
use crate::oci::document::{Index, MAX_MANIFESTS, Manifest};
use crate::oci::layout::{BLOBS, LAYOUT_FILE, blob_path, make_readable};
use crate::oci::{Descriptor, canonical};
use serde_json::json;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

/// The first entry of our archives, by which one is known.
const FIRST: &str = "oci-layout";

pub(super) fn check(file: &Path) -> Result<(), PublishError> {
    let something_else = |what| PublishError::SomethingElse { path: file.to_owned(), what };
    let write = |error| PublishError::Write { path: file.to_owned(), error };
    match file.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(write(error)),
        Ok(found) if !found.is_file() => Err(something_else("no file")),
        Ok(found) if found.len() == 0 => Ok(()),
        Ok(_) => {
            let mut head = Vec::new();
            File::open(file)
                .and_then(|file| file.take(512).read_to_end(&mut head))
                .map_err(write)?;
            let ours = head.starts_with(format!("{FIRST}\0").as_bytes());
            if ours { Ok(()) } else { Err(something_else("no image archive of karat")) }
        }
    }
}

/// Writes the archive from staged blobs, in a folder beside its place.
pub(super) fn write(
    release: &Release,
    staged: &Path,
    beside: &Staging,
    file: &Path,
) -> Result<(), PublishError> {
    let write = |error| PublishError::Write { path: file.to_owned(), error };
    let made = beside.folder().join("archive.tar");
    let tar = |mut made| tar(release, staged, &mut made).and_then(|()| make_readable(&made));
    File::create(&made).and_then(tar).map_err(write)?;
    let _place = staging::lock(file)?;
    check(file)?;
    fs::rename(made, file).map_err(write)
}

fn tar(release: &Release, staged: &Path, file: &mut File) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(256 << 10, file);
    let index = layout::index(release, Some(dist::TAG), Vec::new()).to_bytes();
    let manifest = docker_manifest(release, staged)?;
    put(&mut out, FIRST, LAYOUT_FILE.len() as u64, LAYOUT_FILE)?;
    put(&mut out, "index.json", index.len() as u64, &index[..])?;
    put(&mut out, "manifest.json", manifest.len() as u64, &manifest[..])?;
    let mut blobs: Vec<_> = staged
        .join(BLOBS)
        .read_dir()?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<io::Result<_>>()?;
    blobs.sort();
    for name in blobs {
        let blob = File::open(staged.join(BLOBS).join(&name))?;
        let size = blob.metadata()?.len();
        put(&mut out, &format!("blobs/sha256/{}", name.to_string_lossy()), size, blob)?;
    }
    out.write_all(&END)?;
    out.flush()
}

fn put(out: &mut impl Write, path: &str, size: u64, content: impl Read) -> io::Result<()> {
    let entry = Entry {
        path: path.as_bytes(),
        kind: Kind::File { size },
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: 0,
    };
    let header = tar_write::header(&entry).map_err(io::Error::other)?;
    out.write_all(&header)?;
    if io::copy(&mut content.take(size), out)? != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    out.write_all(&END[..tar_write::padding(size)])
}

/// Writes what `docker load` reads: the first platform's image (moby, `docker save` format).
fn docker_manifest(release: &Release, staged: &Path) -> io::Result<Vec<u8>> {
    let read = |descriptor: &Descriptor| fs::read(blob_path(staged, &descriptor.digest));
    let first = if release.root.media_type.is_index() {
        let index = Index::parse(&read(&release.root)?, MAX_MANIFESTS).map_err(io::Error::other)?;
        index.manifests.into_iter().next().ok_or(io::ErrorKind::InvalidData)?
    } else {
        release.root.clone()
    };
    let manifest = Manifest::parse(&read(&first)?).map_err(io::Error::other)?;
    let path = |descriptor: &Descriptor| format!("blobs/sha256/{}", descriptor.digest.hex());
    Ok(canonical::json(&json!([{
        "Config": path(&manifest.config),
        "RepoTags": [format!("{}:{}", release.name, dist::TAG)],
        "Layers": manifest.layers.iter().map(path).collect::<Vec<_>>(),
    }])))
}
