//! What a waiver must mean: every value read into its type, every fault gathered.

use super::{Subject, Waiver, schema};
use crate::finding::diagnostic::{Diagnostic, Span};
use crate::finding::rules::VULNERABILITY;
use crate::oci::purl;
use crate::strict_toml::{Spanned, read};
use std::collections::BTreeMap;

type Faults = Vec<Diagnostic>;

/// Where a waiver is written: in a recipe, or in a file of `waivers/`, by its name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// With the name of the recipe's image.
    Recipe(&'a str, &'a str),
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
    let of_vulnerability = written.rule.value == VULNERABILITY.id;
    let subject = match (&written.path, &written.sha256) {
        (None, None) if of_vulnerability => vulnerability(&written, &span, faults),
        _ if of_vulnerability || written.package.is_some() || written.vulnerability.is_some() => {
            faults.push(
                Diagnostic::new(
                    span.clone(),
                    "a waiver of the rule `vulnerability` is bound to `vulnerability` and `package`, and no other is",
                )
                .hint("`vulnerability = \"CVE-…\"` and `package = \"pkg:…\"`; no `path`, no `sha256`"),
            );
            None
        }
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
        (Some(images), Place::Recipe(..)) => {
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
    let (file, image) = match place {
        Place::Recipe(file, image) => (file, Some(image)),
        Place::Shared(file) => (file, None),
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
        shared: image.is_none(),
        span,
        image: image.map(str::to_owned),
        approvals: Vec::new(),
    })
}

/// Reads what a waiver of a vulnerability is bound to.
fn vulnerability(written: &schema::Waiver, span: &Span, faults: &mut Faults) -> Option<Subject> {
    let (Some(id), Some(package)) = (&written.vulnerability, &written.package) else {
        let message = "a waiver of a vulnerability names it and the package";
        faults.push(
            Diagnostic::new(span.clone(), message)
                .hint("`vulnerability = \"CVE-…\"` and `package = \"pkg:…\"`"),
        );
        return None;
    };
    let is_id = id.value.contains('-')
        && id.value.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'.');
    if !is_id {
        let message = format!("`{}` is no id of a vulnerability", id.value);
        faults.push(Diagnostic::new(id.span.clone(), message).hint("`CVE-2026-1234`"));
    }
    if purl::parse(&package.value).is_none() {
        let message = format!("`{}` is no package URL", package.value);
        let hint = "as the report writes it: `pkg:golang/golang.org/x/net@v0.30.0`";
        faults.push(Diagnostic::new(package.span.clone(), message).hint(hint));
    }
    Some(Subject::Vulnerability { id: id.value.clone(), package: package.value.clone() })
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
