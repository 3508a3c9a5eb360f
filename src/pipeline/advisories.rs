//! Databases of advisories in registries: an artifact with one layer, the file as it is.

use crate::advisory::Database;
use crate::attest;
use crate::image::stored::{Stored, StoredError};
use crate::oci::document::{DocumentError, Index, MAX_MANIFEST, Manifest};
use crate::oci::layout::LayoutWriter;
use crate::oci::{Descriptor, Digest, MediaType};
use crate::sign;
use crate::signature::{self, Signing};
use crate::time::Epoch;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::Path;

/// The type of the artifact and of its layer.
pub const TYPE: &str = "application/vnd.karat.advisories.v1";
/// The largest database that is fetched, in bytes.
const MAX: u64 = 1 << 30;

/// Why no database was fetched.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum FetchError {
    #[error(transparent)]
    Stored(#[from] StoredError),
    #[error("{0} is no database of advisories of karat's")]
    NoDatabase(Digest),
    #[error("the database is {found}, and the policy demands {wanted}")]
    Pinned { found: Digest, wanted: Digest },
    #[error("the database has {0} bytes, and {MAX} are the most that is fetched")]
    Long(u64),
    #[error(transparent)]
    Write(io::Error),
}

/// Why no artifact was made.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PackError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("failed to sign: {0}")]
    Sign(#[from] signature::Error),
}

/// Writes the database of an artifact, and returns its hash. `pinned` is the only one that is
/// taken, where one is named.
///
/// # Errors
/// When the artifact is none of a database, is not the one that is pinned, cannot be read, or
/// is not what its digest says.
pub fn fetch(
    stored: &Stored,
    root: &Descriptor,
    pinned: Option<Digest>,
    out: &mut dyn Write,
) -> Result<Digest, FetchError> {
    let none = || FetchError::NoDatabase(root.digest);
    let bytes = stored.document(root, MAX_MANIFEST)?;
    let manifest =
        Manifest::parse(&bytes).map_err(|error: DocumentError| StoredError::from(error))?;
    let [layer] = &manifest.layers[..] else { return Err(none()) };
    let is_type = |found: &MediaType| found.as_str() == TYPE;
    if !manifest.artifact_type.as_ref().is_some_and(is_type) || !is_type(&layer.media_type) {
        return Err(none());
    }
    if let Some(wanted) = pinned.filter(|wanted| *wanted != layer.digest) {
        return Err(FetchError::Pinned { found: layer.digest, wanted });
    }
    if layer.size > MAX {
        return Err(FetchError::Long(layer.size));
    }
    let mut reader = stored.blob(layer)?;
    let mut chunk = vec![0; 256 << 10];
    loop {
        let count = match reader.read(&mut chunk) {
            Ok(0) => return Ok(layer.digest),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                use crate::archive::Error;
                return Err(FetchError::Stored(match Error::from(error) {
                    Error::Io(error) => StoredError::Io(error),
                    error => StoredError::Differs { digest: layer.digest, error },
                }));
            }
        };
        out.write_all(&chunk[..count]).map_err(FetchError::Write)?;
    }
}

/// Makes a layout of an artifact that holds a database, signed where there is a key.
///
/// # Errors
/// When something cannot be read, written or signed.
pub fn pack(
    folder: &Path,
    file: &Path,
    database: &Database,
    key: Option<&dyn Signing>,
) -> Result<Descriptor, PackError> {
    let layout = LayoutWriter::create(folder)?;
    let mut blob = layout.start_blob()?;
    let copied = io::copy(&mut File::open(file)?.take(database.size()), &mut blob)?;
    layout.finish_blob(blob, &database.digest())?;
    let media_type = MediaType::from(TYPE.to_owned());
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MediaType::MANIFEST),
        artifact_type: Some(media_type.clone()),
        config: Descriptor::of(MediaType::EMPTY, sign::EMPTY),
        layers: vec![Descriptor::new(media_type, database.digest(), copied)],
        subject: None,
        annotations: BTreeMap::new(),
    };
    let bytes = manifest.to_bytes();
    let root = Descriptor::of(MediaType::MANIFEST, &bytes);
    layout.write_blob(sign::EMPTY)?;
    layout.write_blob(&bytes)?;
    let mut listed = vec![root.clone()];
    if let Some(key) = key {
        let statement = attest::signature(&root.digest);
        let referrer = sign::statement(&statement, &root, key, Epoch::default())?;
        layout.write_blob(&referrer.bundle)?;
        layout.write_blob(&referrer.manifest)?;
        listed.push(referrer.descriptor);
    }
    layout.finish(&Index::new(listed).to_bytes())?;
    Ok(root)
}
