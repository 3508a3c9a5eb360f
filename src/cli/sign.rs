//! `karat sign` and `karat attest`: statements about what is there already.

use super::args;
use super::failure::{CODE_DONE, Failure};
use super::output::Output;
use super::{settings, verify_bundle};
use karat::attest::{self, Statement};
use karat::image::stored::{Stored, StoredError};
use karat::oci::{Descriptor, Digest, Reference, strict_json};
use karat::publish;
use karat::sign;
use karat::signature::{PrivateKey, bundle};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The longest predicate that is read, in bytes: signed, it must fit into a bundle.
const MAX_PREDICATE: usize = bundle::MAX_SIZE / 2;

pub(super) fn sign(args: &args::Sign, output: &Output) -> Result<u8, Failure> {
    match &args.bundle {
        Some(bundle) => file(args, bundle, output),
        None => {
            let statement = |digest: &Digest| Ok(attest::signature(digest));
            refer(&args.reference, &args.signing, &statement, output)
        }
    }
}

pub(super) fn attest(args: &args::Attest, output: &Output) -> Result<u8, Failure> {
    let predicate_type = attest::predicate_type(&args.predicate_type).map_err(|error| {
        Failure::usage(error.to_string()).hint("what karat makes itself comes from `build --sign`")
    })?;
    let bytes = settings::file(&args.predicate, "a predicate", MAX_PREDICATE)?;
    let wrong = |error: String| {
        Failure::usage(format!("`{}` is no JSON object: {error}", args.predicate.display()))
    };
    let predicate: Value = strict_json::value(&bytes).map_err(|error| wrong(error.to_string()))?;
    if !predicate.is_object() {
        return Err(wrong("it is another value".to_owned()));
    }
    let statement = |digest: &Digest| {
        Ok(attest::statement(
            &predicate_type,
            &json!({ "digest": { "sha256": digest.hex() } }),
            &predicate,
        ))
    };
    refer(&args.reference, &args.signing, &statement, output)
}

/// Signs the bytes of any file into a bundle.
fn file(args: &args::Sign, bundle: &Path, output: &Output) -> Result<u8, Failure> {
    let key = settings::private_key(&args.signing.key)?;
    let digest = verify_bundle::artifact(&args.reference)?;
    let made = bundle::sign_artifact(digest.bytes(), &key)
        .map_err(|error| Failure::failed(error.to_string()))?;
    karat::oci::layout::write_whole(bundle, &made).map_err(|error| {
        Failure::failed(format!("`{}` cannot be written: {error}", bundle.display()))
    })?;
    output.tell(&format!("signed {digest} into {}", bundle.display()));
    Ok(CODE_DONE)
}

/// Makes a statement about an image and each of its platforms, signs it and puts it beside
/// the image.
fn refer(
    reference: &str,
    signing: &args::Signing,
    statement: &dyn Fn(&Digest) -> Result<Statement, Failure>,
    output: &Output,
) -> Result<u8, Failure> {
    let reference = Reference::parse(reference, |path| path.symlink_metadata().is_ok())?;
    let (folder, tag) = layout(&reference)?;
    let epoch = settings::epoch(signing.source_date_epoch.as_deref())?;
    let stored = Stored::open_folder(&folder)?;
    let root = stored.image(tag.as_deref())?.clone();
    let subjects = subjects(&stored, &root)?;
    // Only now: whoever is asked for a password should know that it is of use.
    let key: PrivateKey = settings::private_key(&signing.key)?;
    let mut referrers = Vec::new();
    for subject in &subjects {
        let made = sign::statement(&statement(&subject.digest)?, subject, &key, epoch);
        referrers.push(made.map_err(|error| Failure::usage(error.to_string()))?);
    }
    let added = publish::refer(&folder, &referrers)?;
    let about = root.digest;
    match added {
        0 => output.tell(&format!("{about} has it already; nothing was added")),
        added => output.tell(&format!("added {added} to {about}")),
    }
    Ok(CODE_DONE)
}

/// Returns the folder of a layout, and the image's name in it.
fn layout(reference: &Reference) -> Result<(PathBuf, Option<String>), Failure> {
    match reference {
        Reference::Layout { dir, tag } => Ok((dir.clone(), tag.clone())),
        Reference::Path(path) if path.join("index.json").is_file() => Ok((path.clone(), None)),
        other => Err(Failure::usage(format!(
            "`{other}` is no layout, to which a signature can be added"
        ))
        .hint("`oci:DIR[:TAG]`; for any other file, name the `--bundle` to write")),
    }
}

/// Returns the image's descriptor and, below an index, those of its platforms. All bytes are
/// read: what is signed is what is there.
fn subjects(stored: &Stored, root: &Descriptor) -> Result<Vec<Descriptor>, StoredError> {
    let mut subjects = vec![root.clone()];
    let manifests = stored.manifests(root)?;
    if root.media_type.is_index() {
        subjects.extend(manifests);
    }
    for subject in subjects.iter().filter(|one| one.media_type.is_manifest()) {
        let (manifest, _) = stored.documents(subject)?;
        for layer in &manifest.layers {
            stored.check(layer)?;
        }
    }
    Ok(subjects)
}
