//! Rules about secrets in documents and files.
//!
//! Every file is searched, programs too; the forms that secrets have are in [`forms`]. What
//! was found is told by kind, place and hash, never shown.

mod forms;
mod search;

use super::Look;
use crate::finding::{Finding, Rule, escape, rules};
use crate::image::{Entry, Image};
use crate::store::Content;
use forms::{Form, Opens};

pub(super) use forms::REACH;
pub(super) use search::{MOST, SHARED, Secret, find};

/// How many secrets are named in a finding.
const NAMED: usize = 5;

fn rule(form: &Form) -> &'static Rule {
    match form.opens {
        Opens::Account => &rules::SECRET_TOKEN,
        Opens::Key => &rules::SECRET_PRIVATE_KEY,
        Opens::Login => &rules::SECRET_LOGIN,
    }
}

/// Reports the secrets that were found in a file: one finding a rule.
pub(super) fn report(look: &mut Look<'_>, entry: &Entry, content: &Content, secrets: &[Secret]) {
    for rule in [&rules::SECRET_TOKEN, &rules::SECRET_PRIVATE_KEY, &rules::SECRET_LOGIN] {
        let of_rule: Vec<&Secret> =
            secrets.iter().filter(|secret| self::rule(secret.form()) == rule).collect();
        let Some(first) = of_rule.first() else { continue };
        let message = match of_rule.len() {
            1 => format!("the file holds {}, at byte {}", first.form().what, first.place),
            count => format!(
                "the file holds {count} secrets, the first of which is {}, at byte {}",
                first.form().what,
                first.place
            ),
        };
        let evidence = of_rule.iter().take(NAMED).map(|secret| evidence(secret));
        look.report_file(entry, content, Finding::new(rule, message).because(evidence));
    }
}

/// Tells a secret without telling it: whoever has it can compare the hash.
fn evidence(secret: &Secret) -> String {
    let form = secret.form();
    format!(
        "{} at byte {}: `{}…`, {} bytes, sha256 {}…",
        form.id,
        secret.place,
        form.mark(),
        secret.length,
        secret.hash
    )
}

/// Looks at every text of the configuration and the manifest.
pub(super) fn check_documents(look: &mut Look<'_>, image: &Image) {
    let config = &image.config;
    let run = &config.config;
    for (number, line) in run.env.iter().enumerate() {
        let (name, value) = line.split_once('=').unwrap_or(("", line));
        named(look, "the environment variable", number, name, value);
    }
    for (number, (name, value)) in run.labels.iter().enumerate() {
        named(look, "the label", number, name, value);
    }
    for (number, (name, value)) in image.annotations.iter().enumerate() {
        named(look, "the annotation", number, name, value);
    }
    for (number, step) in config.history.iter().enumerate() {
        let texts = [&step.created_by, &step.comment];
        for text in texts.into_iter().flatten() {
            text_at(look, &format!("step {} of the history", number + 1), text);
        }
    }
    let health = config.config.healthcheck.as_ref().map_or(&[][..], |health| &health.test);
    let lists = [
        ("the entrypoint", &run.entrypoint[..]),
        ("the command", &run.cmd),
        ("the health check", health),
        ("ONBUILD", &run.on_build),
    ];
    for (what, texts) in lists {
        for (number, text) in texts.iter().enumerate() {
            text_at(look, &format!("part {} of {what}", number + 1), text);
        }
    }
}

/// Looks at a name and its value. A name that is itself a secret is not shown.
fn named(look: &mut Look<'_>, what: &str, number: usize, name: &str, value: &str) {
    let by_number = format!("{what} number {}", number + 1);
    let hide = name.is_empty() || name.len() > 100 || in_text(name).is_some();
    if in_text(name).is_some() {
        text_at(look, &by_number, name);
    }
    let place = if hide { by_number } else { format!("{what} `{}`", escape::terminal(name)) };
    text_at(look, &place, value);
}

fn in_text(text: &str) -> Option<Finding> {
    let secrets = search::in_text(text.as_bytes());
    let first = secrets.first()?;
    let message = format!("{}, at byte {}", first.form().what, first.place);
    let evidence = secrets.iter().take(NAMED).map(evidence);
    Some(Finding::new(rule(first.form()), message).because(evidence))
}

fn text_at(look: &mut Look<'_>, place: &str, text: &str) {
    if let Some(mut finding) = in_text(text) {
        finding.message = format!("{place} holds {}", finding.message);
        look.report(finding);
    }
}

#[cfg(test)]
mod tests;
