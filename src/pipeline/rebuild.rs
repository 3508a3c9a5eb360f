//! provenance → inputs → base → assemble → comparison: an image proved by building it again.
//!
//! Nothing is believed but the signed record, and of it only what the inputs' own hashes confirm:
//! each input is taken by its digest, the image is assembled as `build` does it, and what comes
//! out is compared byte by byte. Nothing is judged, and nothing is published.

use super::build::{self, BuildError};
use super::statements;
use crate::archive::verified::HashingReader;
use crate::assemble::input::{MAX_INPUT, Project};
use crate::assemble::{self, Assembled, Request, config};
use crate::attest::recorded::{Dependency, RecordError, Recorded};
use crate::base::Shelf;
use crate::finding::diagnostic::Diagnostics;
use crate::image::difference::{self, Difference, Side};
use crate::image::stored::{Stored, StoredError};
use crate::oci::document::Index;
use crate::oci::layout::LayoutWriter;
use crate::oci::{Descriptor, Digest, Platform};
use crate::recipe::{self, Compression, Recipe, infer};
use crate::settings::Requirement;
use crate::store::SpoolRoom;
use crate::trust::{Signed, Trust};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// The longest recipe that is read, in bytes.
const MAX_RECIPE: u64 = 1 << 20;
/// The most files that are looked through for an input.
const MAX_SEARCHED: usize = 100_000;
/// What the provenance calls a recipe that was inferred for a lone executable.
const INFERRED: &str = "inferred";
/// What the two images are called in messages.
const NAMES: [&str; 2] = ["published", "rebuilt"];

/// What an image is built again from.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Where the image is, with what refers to it.
    pub stored: &'a Stored,
    /// Its manifest or index.
    pub root: &'a Descriptor,
    /// Whose provenance counts.
    pub trust: &'a Trust,
    /// The folder that has the inputs.
    pub inputs: &'a Path,
    /// Where bases are.
    pub shelf: Shelf<'a>,
    /// How many threads compress.
    pub threads: NonZeroUsize,
}

/// The outcome.
#[derive(Debug)]
pub struct Rebuilt {
    /// The record that was followed.
    pub record: Recorded,
    /// The digest of the manifest that holds the record, and who signed it.
    pub by: (Digest, String),
    /// The digest of what was built.
    pub digest: Digest,
    /// Where it parts from the image; none when both are the same.
    pub difference: Option<Difference>,
    /// The records of the image and its platforms that the same signer has signed.
    pub records: Vec<(Descriptor, Recorded)>,
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum RebuildError {
    #[error("no provenance of {image} that counts: {why}")]
    NoProvenance { image: Digest, why: String },
    #[error("the provenance of {image}: {error}")]
    Record { image: Digest, error: RecordError },
    #[error(
        "the image was assembled by format {format} with the encoder `{encoder}`, and this karat knows format {} with `{ours}`",
        assemble::FORMAT
    )]
    Format { format: u64, encoder: String, ours: &'static str, karat: String },
    #[error("{} of {all} inputs are not below `{}`", .missing.len(), .folder.display())]
    Missing { folder: PathBuf, all: usize, missing: Vec<Dependency>, commit: Option<String> },
    #[error("`{}` holds more than {MAX_SEARCHED} files", .0.display())]
    Many(PathBuf),
    #[error("the recipe of the image has faults")]
    Recipe(Box<Diagnostics>),
    #[error("the base `{name}` is {found} here, and the image was built on {recorded}")]
    Base { name: String, found: String, recorded: String, commit: Option<String> },
    #[error("the record names {recorded} inputs for {platform}, and the recipe reads {read}")]
    Inputs { platform: Platform, recorded: usize, read: usize },
    #[error("{error}")]
    Build { error: Box<BuildError>, recipe: Box<Recipe> },
    #[error(transparent)]
    Stored(#[from] StoredError),
    #[error("`{}`: {error}", .path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("no room for the image in the temporary folder: {0}")]
    Write(io::Error),
}

/// Builds an image again and compares.
///
/// # Errors
/// When there is no record that counts, its inputs are not there, or something cannot be read or
/// written. An image that differs is no error.
pub fn rebuild(options: &Options<'_>) -> Result<Rebuilt, RebuildError> {
    let image = options.root.digest;
    let found = records(options)?;
    let Some((by, record)) = found.first else {
        let why = found.why.unwrap_or_else(|| "nothing is stated".to_owned());
        return Err(RebuildError::NoProvenance { image, why });
    };
    let record = record.map_err(|error| RebuildError::Record { image, error })?;
    let folder = tempfile::tempdir().map_err(RebuildError::Write)?;
    let recipe = recipe(options, &record)?;
    let encoder = match recipe.compression {
        Compression::Gzip => crate::archive::gzip::ENCODER_ID,
        Compression::Zstd => crate::archive::zstd::ENCODER_ID,
    };
    if record.format != u64::from(assemble::FORMAT) || record.encoder != encoder {
        return Err(RebuildError::Format {
            format: record.format,
            encoder: record.encoder,
            ours: encoder,
            karat: record.karat,
        });
    }
    let project = folder.path().join("project");
    fs::create_dir(&project).map_err(RebuildError::Write)?;
    gather(options.inputs, &record, &project)?;
    let project = Project::new(&project).map_err(RebuildError::Write)?;
    let layout = folder.path().join("image");
    let root = assembled(options, &record, &recipe, &project, &layout)?;
    let mine = Stored::open_folder(&layout)?;
    let sides = [
        Side { name: NAMES[0], stored: options.stored, root: options.root },
        Side { name: NAMES[1], stored: &mine, root: &root },
    ];
    let difference = difference::first(sides[0], sides[1])?;
    Ok(Rebuilt { record, by, digest: root.digest, difference, records: found.all })
}

/// What is recorded of an image.
#[derive(Default)]
struct Records {
    /// Of the image itself: the manifest that holds it, who signed it, and what it says.
    first: Option<((Digest, String), Result<Recorded, RecordError>)>,
    /// Of the image and its platforms, by the same signer.
    all: Vec<(Descriptor, Recorded)>,
    /// Why another one does not count.
    why: Option<String>,
}

fn records(options: &Options<'_>) -> Result<Records, RebuildError> {
    let Options { stored, root, trust, .. } = *options;
    let mut descriptors = vec![root.clone()];
    if root.media_type.is_index() {
        descriptors.extend(stored.manifests(root)?);
    }
    let subjects: Vec<_> = descriptors.iter().map(|one| one.digest).collect();
    let mut found = Records::default();
    let mut all = Vec::new();
    for one in statements::about(stored, &subjects, trust)? {
        let signed = match one.judged {
            Ok(signed) => signed,
            Err(why) => {
                found.why.get_or_insert_with(|| why.to_string());
                continue;
            }
        };
        if signed.predicate_type != Requirement::Provenance.predicate_type() {
            continue;
        }
        let (by, record) = (signer(&signed), read(&signed));
        if one.subject == root.digest && !matches!(found.first, Some((_, Ok(_)))) {
            found.first = Some(((one.referrer.digest, by.clone()), record));
            continue;
        }
        all.extend(record.ok().map(|record| (one.subject, by, record)));
    }
    if let Some(((_, by), Ok(record))) = &found.first {
        found.all.push((root.clone(), record.clone()));
        for descriptor in &descriptors[1..] {
            let of = |(subject, of, _): &&(Digest, String, Recorded)| {
                *subject == descriptor.digest && of == by
            };
            let own = all.iter().find(of).map(|(_, _, record)| record.clone());
            found.all.extend(own.map(|record| (descriptor.clone(), record)));
        }
    }
    Ok(found)
}

/// Says who has signed.
fn signer(signed: &Signed) -> String {
    match (&signed.key, &signed.certified) {
        (Some(key), _) => format!("the key {key}"),
        (None, Some((identity, issuer))) => format!("{identity} by {issuer}"),
        (None, None) => "somebody".to_owned(),
    }
}

fn read(signed: &Signed) -> Result<Recorded, RecordError> {
    let statement = signed.statement.as_deref().unwrap_or_default();
    let statement: Value = serde_json::from_slice(statement)
        .map_err(|error| RecordError::Malformed(error.to_string()))?;
    Recorded::read(&statement["predicate"])
}

/// Finds the recipe, or infers it again.
fn recipe(options: &Options<'_>, record: &Recorded) -> Result<Recipe, RebuildError> {
    let missing = || RebuildError::Missing {
        folder: options.inputs.to_owned(),
        all: record.inputs.len() + 1,
        missing: vec![record.recipe.clone()],
        commit: record.commit.clone(),
    };
    let platform = record.platforms.first();
    let text = if record.recipe.name == INFERRED {
        let binary = record.inputs.iter().find(|one| one.kind == "binary");
        let (binary, platform) = binary.zip(platform).ok_or_else(missing)?;
        infer::recipe(&binary.name, platform)
    } else {
        let found = Search::new(options.inputs).find(&record.recipe, MAX_RECIPE)?;
        let path = found.ok_or_else(missing)?;
        fs::read_to_string(&path).map_err(|error| RebuildError::Read { path, error })?
    };
    if Digest::of(text.as_bytes()) != record.recipe.digest {
        return Err(missing());
    }
    recipe::parse(&record.recipe.name, &text, platform).map_err(RebuildError::Recipe)
}

/// Copies the inputs into a folder of their own, each under its name, each hashed on the way.
fn gather(inputs: &Path, record: &Recorded, project: &Path) -> Result<(), RebuildError> {
    let mut search = Search::new(inputs);
    let mut missing = Vec::new();
    for input in &record.inputs {
        let target = project.join(&input.name);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(RebuildError::Write)?;
        }
        if let Some(content) = input.content.as_ref().filter(|one| Digest::of(one) == input.digest)
        {
            fs::write(&target, content).map_err(RebuildError::Write)?;
            continue;
        }
        match search.find(input, MAX_INPUT)? {
            Some(path) => {
                let read = |error| RebuildError::Read { path: path.clone(), error };
                let mut file = File::open(&path).map_err(read)?.take(MAX_INPUT);
                let mut copy = File::create(&target).map_err(RebuildError::Write)?;
                // What changed since it was hashed differs from the record, which is seen below.
                io::copy(&mut file, &mut copy).map_err(read)?;
            }
            None => missing.push(input.clone()),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(RebuildError::Missing {
        folder: inputs.to_owned(),
        all: record.inputs.len() + 1,
        missing,
        commit: record.commit.clone(),
    })
}

/// Looks for files by their hashes.
struct Search<'a> {
    folder: &'a Path,
    /// All files by hash, once one was not where its name says.
    all: Option<BTreeMap<Digest, PathBuf>>,
}

impl<'a> Search<'a> {
    fn new(folder: &'a Path) -> Self {
        Self { folder, all: None }
    }

    /// Finds a file: where its name says, or anywhere.
    fn find(&mut self, wanted: &Dependency, limit: u64) -> Result<Option<PathBuf>, RebuildError> {
        let named = self.folder.join(&wanted.name);
        if hash(&named, limit)? == Some(wanted.digest) {
            return Ok(Some(named));
        }
        if self.all.is_none() {
            self.all = Some(self.everything()?);
        }
        let all = self.all.as_ref().and_then(|all| all.get(&wanted.digest)).cloned();
        Ok(all.filter(|path| path.metadata().is_ok_and(|found| found.len() <= limit)))
    }

    fn everything(&self) -> Result<BTreeMap<Digest, PathBuf>, RebuildError> {
        let mut all = BTreeMap::new();
        let own = |entry: &walkdir::DirEntry| entry.file_name() != ".git";
        let walk = WalkDir::new(self.folder).sort_by_file_name().into_iter().filter_entry(own);
        for (count, entry) in walk.enumerate() {
            if count >= MAX_SEARCHED {
                return Err(RebuildError::Many(self.folder.to_owned()));
            }
            // What cannot be entered has no input that could be read.
            let Ok(entry) = entry else { continue };
            if entry.file_type().is_file()
                && let Some(digest) = hash(entry.path(), MAX_INPUT)?
            {
                all.entry(digest).or_insert_with(|| entry.path().to_owned());
            }
        }
        Ok(all)
    }
}

/// Hashes a file; none for what is no file, is longer than `limit`, or cannot be opened.
fn hash(path: &Path, limit: u64) -> Result<Option<Digest>, RebuildError> {
    // Before it is opened: opening a FIFO waits for a writer.
    if !path.metadata().is_ok_and(|found| found.is_file() && found.len() <= limit) {
        return Ok(None);
    }
    let Ok(file) = File::open(path) else { return Ok(None) };
    let mut reader = HashingReader::new(file.take(limit));
    io::copy(&mut reader, &mut io::sink())
        .map_err(|error| RebuildError::Read { path: path.to_owned(), error })?;
    Ok(Some(Digest::from(reader.finish().1)))
}

/// Assembles the image into a layout.
fn assembled(
    options: &Options<'_>,
    record: &Recorded,
    recipe: &Recipe,
    project: &Project,
    layout: &Path,
) -> Result<Descriptor, RebuildError> {
    let failed = |error: BuildError| RebuildError::Build {
        error: Box::new(error),
        recipe: Box::new(recipe.clone()),
    };
    let vars = build::vars(recipe, &record.vars).map_err(failed)?;
    let layout = LayoutWriter::create(layout).map_err(RebuildError::Write)?;
    let room = SpoolRoom::default();
    let mut manifests = Vec::new();
    for platform in &record.platforms {
        if !recipe.platforms.contains(platform) {
            return Err(failed(BuildError::UnlistedPlatform(platform.clone())));
        }
        let name = &recipe.base.value;
        let base = options.shelf.resolve(name, platform);
        let base = base.map_err(|error| failed(error.into()))?;
        let of = |(of, _): &&(Platform, Digest)| of == platform;
        let recorded = record.bases.iter().find(of).map(|(_, digest)| *digest);
        if base.digest != recorded {
            let shown = |digest: Option<Digest>| {
                digest.map_or_else(|| "without layers".to_owned(), |digest| digest.to_string())
            };
            return Err(RebuildError::Base {
                name: name.clone(),
                found: shown(base.digest),
                recorded: shown(recorded),
                commit: record.commit.clone(),
            });
        }
        let (epoch, vars) = (record.epoch, &vars);
        let request = Request { recipe, platform, base: &base, project, vars, epoch };
        let Assembled { image, inputs } =
            assemble::image(request, &room).map_err(|error| failed(error.into()))?;
        // What was copied is what is recorded: nothing has changed in between.
        let is_recorded = |read: &&assemble::Input| {
            let digest = read.content.sha256();
            record.inputs.iter().any(|one| one.name == read.source && one.digest == digest)
        };
        let known = inputs.iter().filter(is_recorded).count();
        if known != inputs.len() {
            return Err(RebuildError::Inputs {
                platform: platform.clone(),
                recorded: known,
                read: inputs.len(),
            });
        }
        let packed =
            assemble::pack(&image, &base, &layout, recipe.compression, epoch, options.threads)
                .map_err(|error| failed(error.into()))?;
        let documents = config::documents(&image, &packed);
        for bytes in [&documents.config, &documents.manifest] {
            layout.write_blob(bytes).map_err(RebuildError::Write)?;
        }
        manifests.push((platform.clone(), documents.descriptor));
    }
    let (index, root) = build::root(recipe, &vars, record.epoch, &manifests);
    if let Some(index) = index {
        layout.write_blob(&index).map_err(RebuildError::Write)?;
    }
    let listed = Index::new(vec![root.clone()]);
    layout.finish(&listed.to_bytes()).map_err(RebuildError::Write)?;
    Ok(root)
}
