//! Signing in cosign's old form, for those who read nothing else.

use crate::attest::Statement;
use crate::oci::document::{DocumentError, Manifest};
use crate::oci::{Descriptor, Digest, MediaType, legacy};
use crate::settings::Requirement;
use crate::signature::legacy::{self as old_form, Form, Layer};
use crate::signature::{self, KeyHandle};

/// With what is signed in the old form. There is no way for certificates: what this form has beside
/// them is the promise of a log of Rekor's first version alone.
#[derive(Clone, Copy)]
pub struct OldForm<'a> {
    /// The key.
    pub key: &'a dyn KeyHandle,
    /// The repository that signatures are for, `HOST/NAME`; empty where nobody knows it. cosign
    /// does not look at it, and `policy.json` of podman, skopeo and CRI-O does.
    pub reference: &'a str,
}

/// A layer that goes under a tag made of the digest of its subject.
#[derive(Debug, Clone)]
pub struct Legacy {
    /// What it is about.
    pub subject: Digest,
    /// What it is.
    pub form: Form,
    /// What describes it, with its annotations.
    pub layer: Descriptor,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A manifest of such layers.
#[derive(Debug, Clone)]
pub struct Attached {
    /// The manifest's entry in the index of a layout, which has its tag.
    pub entry: Descriptor,
    /// The bytes of all that is new: manifest, configuration, layers.
    pub blobs: Vec<Vec<u8>>,
    /// How many layers are new.
    pub added: usize,
}

/// Says what a statement is in this form: the one that an image is signed is a signature.
pub fn form(statement: &Statement) -> Form {
    match statement.predicate_type == Requirement::Signature.predicate_type() {
        true => Form::Signature,
        false => Form::Attestation,
    }
}

/// Signs a statement about a subject. What comes out was verified.
///
/// # Errors
/// When the statement cannot be signed.
pub fn sign(
    statement: &Statement,
    subject: &Digest,
    by: OldForm<'_>,
) -> Result<Legacy, signature::Error> {
    let Layer { form, bytes, annotations } = match form(statement) {
        Form::Signature => old_form::sign_image(by.reference, subject.bytes(), by.key)?,
        Form::Attestation => old_form::sign_statement(
            &statement.bytes,
            &statement.predicate_type,
            subject.bytes(),
            by.key,
        )?,
    };
    let media_type = MediaType::from(form.media_type().to_owned());
    let layer = Descriptor { annotations, ..Descriptor::of(media_type, &bytes) };
    Ok(Legacy { subject: *subject, form, layer, bytes })
}

/// Gathers layers by their tags, in the order in which the tags come first.
pub fn by_tag(layers: &[Legacy]) -> Vec<((Digest, Form), Vec<&Legacy>)> {
    let mut tags: Vec<((Digest, Form), Vec<&Legacy>)> = Vec::new();
    for layer in layers {
        let tag = (layer.subject, layer.form);
        match tags.iter_mut().find(|(known, _)| *known == tag) {
            Some((_, of_tag)) => of_tag.push(layer),
            None => tags.push((tag, vec![layer])),
        }
    }
    tags
}

/// Adds the layers of one tag to what is there under it. None when nothing is new.
///
/// # Errors
/// When they would be too many.
pub fn attach(
    (subject, form): &(Digest, Form),
    there: Option<&Manifest>,
    layers: &[&Legacy],
) -> Result<Option<Attached>, DocumentError> {
    let before = there.map_or(0, |there| there.layers.len());
    let more: Vec<_> = layers.iter().map(|one| one.layer.clone()).collect();
    let Some(joined) = legacy::joined(there, &more)? else { return Ok(None) };
    let media_type = there.and_then(|there| there.media_type.clone());
    let manifest = Descriptor::of(media_type.unwrap_or(MediaType::MANIFEST), &joined.manifest);
    let added = Manifest::parse(&joined.manifest)?.layers.len() - before;
    let mut blobs = vec![joined.manifest];
    blobs.extend(joined.config);
    blobs.extend(layers.iter().map(|one| one.bytes.clone()));
    let entry = legacy::entry(&manifest, &legacy::tag(subject, form.end()));
    Ok(Some(Attached { entry, blobs, added }))
}
