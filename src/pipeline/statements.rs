//! What is stated beside an image: each referrer of it and its platforms, judged.
//!
//! Takes a stored image and whom to trust, gives every statement with who made it, or why it does
//! not count.

use crate::attest::Statement;
use crate::image::stored::{Stored, StoredError};
use crate::oci::document::{MAX_MANIFEST, Manifest};
use crate::oci::legacy::Legacy;
use crate::oci::{Descriptor, Digest};
use crate::sign;
use crate::signature::legacy::{self as old_form, Form};
use crate::trust::{self, MAX_CANDIDATES, Refused, Signed, Trust};
use std::collections::HashSet;

/// Says whether a statement is there already, byte for byte, about a digest and by somebody who is
/// trusted: signing it again would add nothing but a signature.
///
/// # Errors
/// When the image cannot be read for want of a registry or disk.
pub fn is_stated(
    stored: &Stored,
    subject: &Digest,
    statement: &Statement,
    trust: &Trust,
) -> Result<bool, StoredError> {
    let same = |one: &Stated<'_>| {
        one.judged
            .as_ref()
            .is_ok_and(|signed| signed.statement.as_deref() == Some(&statement.bytes[..]))
    };
    Ok(about(stored, &[*subject], trust)?.iter().any(same))
}

/// Says the same of cosign's old form. The signature of an image is there if somebody trusted has
/// signed the same document: signatures of one key over the same bytes may differ.
///
/// # Errors
/// As [`is_stated`].
pub fn is_stated_in_old_form(
    stored: &Stored,
    subject: &Digest,
    statement: &Statement,
    reference: &str,
    trust: &Trust,
) -> Result<bool, StoredError> {
    let form = sign::legacy::form(statement);
    let payload = old_form::payload(reference, subject.bytes()).ok();
    let mut looked_at = 0;
    for (holder, legacy) in stored.legacy() {
        let may_hold = match legacy {
            Legacy::Tagged(about, end) => about == *subject && end == form.end(),
            Legacy::Untagged => true,
        };
        if !may_hold {
            continue;
        }
        let manifest = match stored.document(holder, MAX_MANIFEST) {
            Ok(bytes) => Manifest::parse(&bytes),
            Err(error) if error.is_judgement() => continue,
            Err(error) => return Err(error),
        };
        for layer in manifest.iter().flat_map(|manifest| &manifest.layers) {
            looked_at += 1;
            if looked_at > MAX_CANDIDATES {
                return Ok(false);
            }
            match trust::legacy_layer(stored, legacy, layer, subject, trust) {
                Err(Refused::Stored(error)) if !error.is_judgement() => return Err(error),
                Err(_) => {}
                Ok((signed, bytes)) => {
                    let is_same = match form {
                        Form::Signature => signed.statement.is_none() && Some(bytes) == payload,
                        Form::Attestation => {
                            signed.statement.as_deref() == Some(&statement.bytes[..])
                        }
                    };
                    if is_same {
                        return Ok(true);
                    }
                }
            }
        }
    }
    Ok(false)
}

/// Returns the referrers of an image, if all of them say what is said of it elsewhere already, by
/// somebody who is trusted and byte for byte: who signs anew each time has added nothing with
/// them. None where something is new: a summary names the others as its evidence.
///
/// # Errors
/// When either cannot be read for want of a registry or disk.
pub fn repeated(
    here: &Stored,
    there: &Stored,
    root: &Descriptor,
    trust: &Trust,
) -> Result<Option<Vec<Digest>>, StoredError> {
    let subjects = subjects(here, root)?;
    let said = about(there, &subjects, trust)?;
    let statement = |one: &Stated<'_>| {
        let statement = one.judged.as_ref().ok()?.statement.clone()?;
        Some((one.subject, statement))
    };
    let said: HashSet<_> = said.iter().filter_map(statement).collect();
    let own = about(here, &subjects, trust)?;
    let is_said = |one: &Stated<'_>| statement(one).is_some_and(|own| said.contains(&own));
    Ok(own.iter().all(is_said).then(|| own.iter().map(|one| one.referrer.digest).collect()))
}

/// One referrer, judged.
pub(super) struct Stated<'a> {
    /// What it is about: the image or one of its platforms.
    pub(super) subject: Digest,
    /// What describes it.
    pub(super) referrer: &'a Descriptor,
    /// Its manifest.
    pub(super) manifest: Manifest,
    /// What is stated, or why it does not count.
    pub(super) judged: Result<Signed, Refused>,
}

/// Returns an image's digest and, below an index, those of its platforms. What an index cannot
/// list is left out: whoever judges the image says so.
///
/// # Errors
/// When the image cannot be read for want of a registry or disk.
pub(super) fn subjects(stored: &Stored, root: &Descriptor) -> Result<Vec<Digest>, StoredError> {
    let mut subjects = vec![root.digest];
    if root.media_type.is_index() {
        match stored.manifests(root) {
            Ok(manifests) => subjects.extend(manifests.iter().map(|one| one.digest)),
            Err(error) if error.is_judgement() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(subjects)
}

/// Judges what refers to any of `subjects`, at most [`MAX_CANDIDATES`] for each.
///
/// # Errors
/// When something cannot be read for want of a registry or disk.
pub(super) fn about<'a>(
    stored: &'a Stored,
    subjects: &[Digest],
    trust: &Trust,
) -> Result<Vec<Stated<'a>>, StoredError> {
    let mut found = Vec::new();
    for referrer in stored.artifacts() {
        let manifest = match stored.document(referrer, MAX_MANIFEST) {
            Ok(bytes) => Manifest::parse(&bytes),
            Err(error) if error.is_judgement() => continue,
            Err(error) => return Err(error),
        };
        let Ok(manifest) = manifest else { continue };
        let about = manifest.subject.as_ref().map(|about| about.digest);
        let Some(subject) = about.filter(|about| subjects.contains(about)) else { continue };
        if found.len() >= MAX_CANDIDATES * subjects.len() {
            break;
        }
        let judged = match trust.revoked_digest(&referrer.digest) {
            Some(why) => Err(Refused::Revoked(why.to_owned())),
            None => trust::referrer(stored, &manifest, &subject, trust),
        };
        match judged {
            Err(Refused::Stored(error)) if !error.is_judgement() => return Err(error),
            judged => found.push(Stated { subject, referrer, manifest, judged }),
        }
    }
    Ok(found)
}
