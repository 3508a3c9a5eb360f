//! What a waiver must mean: every value read into its type, every fault gathered.

use super::{Subject, Waiver, schema};
use crate::finding::diagnostic::Diagnostic;
use crate::strict_toml::{Spanned, read};
use std::collections::BTreeMap;

type Faults = Vec<Diagnostic>;

/// Where a waiver is written: in a recipe, or in a file of `waivers/`, by its name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    Recipe(&'a str),
    Shared(&'a str),
}

/// Reads every value of a waiver into its type; none, and faults, where one has no meaning.
pub(crate) fn waiver(
    written: Spanned<schema::Waiver>,
    place: Place<'_>,
    faults: &mut Faults,
) -> Option<Waiver> {
    let span = written.span;
    let written = written.value;
    for (key, text) in [
        ("id", &written.id),
        ("reason", &written.reason),
        ("owner", &written.owner),
        ("ticket", &written.ticket),
    ] {
        if text.value.trim().is_empty() {
            let message = format!("a waiver's `{key}` says something");
            faults.push(Diagnostic::new(text.span.clone(), message));
        }
    }
    for (key, text) in [("package", &written.package), ("vulnerability", &written.vulnerability)] {
        if let Some(text) = text {
            faults.push(
                Diagnostic::new(
                    text.span.clone(),
                    format!("this version of karat does not enforce `{key}` in a waiver yet"),
                )
                .hint(
                    "it finds no vulnerabilities, so that none can be waived: take the waiver out",
                ),
            );
        }
    }
    let subject = match (&written.path, &written.sha256) {
        (Some(path), None) => read(path, faults).map(Subject::Path),
        (None, Some(digest)) => {
            match format!("sha256:{}", digest.value.trim_start_matches("sha256:")).parse() {
                Ok(digest) => Some(Subject::Sha256(digest)),
                Err(_) => {
                    faults.push(Diagnostic::new(digest.span.clone(), "not 64 hexadecimal digits"));
                    None
                }
            }
        }
        _ => {
            faults.push(
                Diagnostic::new(
                    span.clone(),
                    "a waiver is bound to exactly one of `path` and `sha256`",
                )
                .hint("never to a pattern: an exception is for one file"),
            );
            None
        }
    };
    let images = match (&written.images, place) {
        (Some(images), Place::Recipe(_)) => {
            faults.push(
                Diagnostic::new(images.span.clone(), "`images` is for files in `waivers/`")
                    .hint("a waiver in a recipe is for its image alone: take the line out"),
            );
            None
        }
        (Some(images), Place::Shared(_)) => match images.value.parse() {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                faults.push(Diagnostic::new(images.span.clone(), format!("{error}")).hint(
                    "the name of an image, in which `*` stands for a part of one segment: `payments/*`",
                ));
                None
            }
        },
        (None, _) => None,
    };
    let created = read(&written.created, faults);
    let expires = read(&written.expires, faults);
    let (file, shared) = match place {
        Place::Recipe(file) => (file, false),
        Place::Shared(file) => (file, true),
    };
    Some(Waiver {
        id: written.id.value,
        rule: written.rule.value,
        subject: subject?,
        images,
        reason: written.reason.value,
        owner: written.owner.value,
        ticket: written.ticket.value,
        created: created?,
        expires: expires?,
        file: file.to_owned(),
        shared,
        span,
    })
}

/// Notes every waiver whose name another one has.
pub(super) fn one_waiver_a_name(waivers: &[Waiver], faults: &mut Faults) {
    let mut names = BTreeMap::new();
    for waiver in waivers {
        if names.insert(&waiver.id, ()).is_some() {
            let message = format!("another waiver has the name `{}`", waiver.id);
            faults.push(Diagnostic::new(waiver.span.clone(), message));
        }
    }
}
