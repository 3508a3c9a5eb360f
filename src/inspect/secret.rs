//! Rules about secrets in documents and files.
//!
//! Only forms that nothing else has: prefixes that issuers chose to be found, with the
//! length and the characters that they publish. What was found is named, never shown.

use super::Look;
use crate::binary::ReadAt as _;
use crate::finding::{Finding, escape, rules};
use crate::image::{Entry, Image};
use crate::store::Content;
use memchr::memmem;
use std::io;

/// The form of a token: what it begins with, the characters that follow, and how many:
/// exactly so many, or at least.
struct Form {
    kind: &'static str,
    prefix: &'static str,
    allowed: fn(u8) -> bool,
    length: usize,
    exact: bool,
}

const fn form(
    kind: &'static str,
    prefix: &'static str,
    allowed: fn(u8) -> bool,
    length: usize,
    exact: bool,
) -> Form {
    Form { kind, prefix, allowed, length, exact }
}

fn upper(c: u8) -> bool {
    c.is_ascii_uppercase() || c.is_ascii_digit()
}

fn alnum(c: u8) -> bool {
    c.is_ascii_alphanumeric()
}

fn word(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_' || c == b'-'
}

const FORMS: [Form; 22] = [
    form("an AWS access key", "AKIA", upper, 16, true),
    form("an AWS access key", "ASIA", upper, 16, true),
    form("a GitHub token", "ghp_", alnum, 36, true),
    form("a GitHub token", "gho_", alnum, 36, true),
    form("a GitHub token", "ghu_", alnum, 36, true),
    form("a GitHub token", "ghs_", alnum, 36, true),
    form("a GitHub token", "ghr_", alnum, 36, true),
    form("a GitHub token", "github_pat_", word, 60, false),
    form("a GitLab token", "glpat-", word, 20, false),
    form("a Slack token", "xoxb-", word, 24, false),
    form("a Slack token", "xoxp-", word, 24, false),
    form("a Slack token", "xoxa-", word, 24, false),
    form("a Slack token", "xoxr-", word, 24, false),
    form("a Slack token", "xoxs-", word, 24, false),
    form("a Slack token", "xoxe-", word, 24, false),
    form("a Google API key", "AIza", word, 35, true),
    form("an npm token", "npm_", alnum, 36, true),
    form("a PyPI token", "pypi-AgEI", word, 50, false),
    form("a Stripe key", "sk_live_", alnum, 24, false),
    form("a Stripe key", "rk_live_", alnum, 24, false),
    form("a Docker Hub token", "dckr_pat_", word, 27, true),
    form("an age key", "AGE-SECRET-KEY-1", upper, 58, true),
];

/// The fewest different characters of a token; placeholders like `xxxx` have less.
const DIFFERENT: u32 = 8;
/// How much of a file is searched for a private key.
const SEARCHED: usize = 8 << 20;

/// Returns the first token in a text: its kind and where it begins.
fn token(text: &[u8]) -> Option<(&'static str, usize)> {
    let found = |form: &Form| {
        memmem::find_iter(text, form.prefix)
            .find(|at| fits(form, text, *at))
            .map(|at| (form.kind, at))
    };
    FORMS.iter().filter_map(found).min_by_key(|(_, at)| *at)
}

fn fits(form: &Form, text: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| text.get(at));
    if before.is_some_and(|c| c.is_ascii_alphanumeric() || *c == b'_') {
        return false;
    }
    let tail = text.get(at + form.prefix.len()..).unwrap_or_default();
    let length = tail.iter().take(form.length + 1).take_while(|c| (form.allowed)(**c)).count();
    if length < form.length || form.exact && length > form.length {
        return false;
    }
    let secret = tail.get(..form.length).unwrap_or_default();
    let seen = secret.iter().fold(0, |seen, c| seen | 1_u128 << (c & 127));
    seen.count_ones() >= DIFFERENT && !secret.ends_with(b"EXAMPLE")
}

/// Returns where a private key in PEM form begins: the line that opens it, with lines of
/// base64 or of headers behind it.
fn private_key(text: &[u8]) -> Option<usize> {
    let real = |marker: usize| {
        // The longest label is shorter than this.
        let line = marker.saturating_sub(60);
        let head = text.get(line..marker)?;
        let open = memmem::rfind(head, b"-----BEGIN ")?;
        let label = head.get(open + 11..)?;
        if label.len() > 40
            || !label.iter().all(|c| c.is_ascii_uppercase() || matches!(c, b' ' | b'0'..=b'9'))
        {
            return None;
        }
        let after = text.get(marker..)?;
        let end = memmem::find(after.get(..40.min(after.len()))?, b"-----")? + 5;
        // A line break, or one that is written as `\n` inside JSON or a variable.
        let mut rest = after.get(end..)?;
        for gap in [&b"\\r"[..], b"\r", b" ", b"\\n", b"\n"] {
            rest = rest.strip_prefix(gap).unwrap_or(rest);
        }
        let body = rest
            .iter()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'='));
        let headers = [&b"Proc-Type:"[..], b"Version:", b"Comment:", b"\n"];
        (body.take(24).count() >= 24 || headers.iter().any(|header| rest.starts_with(header)))
            .then_some(line + open)
    };
    memmem::find_iter(text, b"PRIVATE KEY").find_map(real)
}

/// Looks at a regular file that is no executable.
///
/// # Errors
/// When the bytes cannot be read.
pub(super) fn check_file(look: &mut Look<'_>, entry: &Entry, content: &Content) -> io::Result<()> {
    let bytes = content.read_vec(0, SEARCHED)?;
    if let Some(at) = private_key(&bytes) {
        let message = format!("the file holds a private key, at byte {at}");
        look.report_file(entry, content, Finding::new(&rules::SECRET_PRIVATE_KEY, message));
    }
    Ok(())
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
    let bytes = text.as_bytes();
    if let Some(at) = private_key(bytes) {
        return Some(Finding::new(
            &rules::SECRET_PRIVATE_KEY,
            format!("a private key, at byte {at}"),
        ));
    }
    let (kind, at) = token(bytes)?;
    Some(Finding::new(&rules::SECRET_TOKEN, format!("{kind}, at byte {at}")))
}

fn text_at(look: &mut Look<'_>, place: &str, text: &str) {
    if let Some(mut finding) = in_text(text) {
        finding.message = format!("{place} holds {}", finding.message);
        look.report(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &str = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1eF3hI5kL7nO9qR1tU3wX5z";

    fn some(length: usize) -> &'static str {
        &TAIL[..length]
    }

    #[test]
    fn tokens_are_found_by_their_form() {
        for (text, kind) in [
            (format!("x=ghp_{};", some(36)), Some("a GitHub token")),
            (format!("ghp_{}", some(35)), None),
            (format!("ghp_{}", some(37)), None),
            (format!("xghp_{}", some(36)), None),
            (format!("ghp_{}", "x".repeat(36)), None),
            (format!("glpat-{}", some(20)), Some("a GitLab token")),
            (format!("AIza{}", some(35)), Some("a Google API key")),
            (format!("npm_{}", some(36)), Some("an npm token")),
            (format!("pypi-AgEI{}", some(50)), Some("a PyPI token")),
            ("AKIAQ3ZT7WLM2XPNB4VC".to_owned(), Some("an AWS access key")),
            ("AKIAIOSFODNN7EXAMPLE".to_owned(), None),
            ("the AIza of it".to_owned(), None),
        ] {
            assert_eq!(token(text.as_bytes()).map(|(kind, _)| kind), kind, "{text}");
        }
    }

    #[test]
    fn private_keys_are_found_with_their_content_only() {
        let body = some(48);
        for (text, found) in [
            (format!("-----BEGIN PRIVATE KEY-----\n{body}\n"), true),
            (format!("x\n-----BEGIN RSA PRIVATE KEY-----\r\n{body}\r\n"), true),
            (format!("key: -----BEGIN EC PRIVATE KEY-----\\n{body}\\n"), true),
            (format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n"), true),
            ("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n".to_owned(), true),
            ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 1\n".to_owned(), true),
            (format!("-----BEGIN PUBLIC KEY-----\n{body}\n"), false),
            ("-----BEGIN PRIVATE KEY-----\n...\n".to_owned(), false),
            ("looks for `-----BEGIN PRIVATE KEY-----` in it".to_owned(), false),
            (format!("PRIVATE KEY-----\n{body}\n"), false),
        ] {
            assert_eq!(private_key(text.as_bytes()).is_some(), found, "{text}");
        }
    }
}
