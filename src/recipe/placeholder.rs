//! `{name}` in a recipe: platform facts in the paths of inputs, declared vars in texts.

use crate::oci::Platform;
use std::collections::BTreeMap;

/// The placeholders that stand for facts of a platform.
pub(crate) const PLATFORM: [&str; 6] = ["os", "arch", "variant", "goarch", "rust-musl", "rust-gnu"];

/// Text with places for declared vars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(String),
}

/// Why a text with placeholders cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InvalidTemplate {
    #[error("a `{{` is never closed; write `{{{{` for a brace")]
    Open,
    #[error("a `}}` was never opened; write `}}}}` for a brace")]
    Close,
    #[error("the placeholder is empty")]
    Empty,
}

impl Template {
    /// Reads a text. `{{` and `}}` stand for braces.
    ///
    /// # Errors
    /// On unbalanced braces and empty placeholders.
    pub fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(behind) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = behind;
                continue;
            }
            if brace == "}" {
                return Err(InvalidTemplate::Close);
            }
            let (name, behind) = rest.split_once('}').ok_or(InvalidTemplate::Open)?;
            if name.contains('{') {
                return Err(InvalidTemplate::Open);
            }
            if name.is_empty() {
                return Err(InvalidTemplate::Empty);
            }
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Name(name.to_owned()));
            rest = behind;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self(pieces))
    }

    /// Iterates over the names that the text has places for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Name(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// Fills the places. A name without a value stays empty; [`super::check`] has made
    /// sure that there is none.
    pub fn fill(&self, values: &BTreeMap<String, String>) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Name(name) => text.push_str(values.get(name).map_or("", String::as_str)),
            }
        }
        text
    }
}

/// Fills the placeholders of a path with the facts of a platform: `{os}`, `{arch}` and
/// `{goarch}` as Go spells them, `{variant}` (empty where there is one only), and Rust's
/// target triples `{rust-musl}` and `{rust-gnu}`.
pub fn for_platform(pattern: &str, platform: &Platform) -> String {
    let mut values = BTreeMap::new();
    for name in PLATFORM {
        let value = match name {
            "os" => platform.os().to_owned(),
            "arch" | "goarch" => platform.goarch().to_owned(),
            "variant" => platform.variant().unwrap_or("").to_owned(),
            "rust-musl" => platform.rust_musl(),
            _ => platform.rust_gnu(),
        };
        values.insert(name.to_owned(), value);
    }
    Template::parse(pattern).map_or_else(|_| pattern.to_owned(), |template| template.fill(&values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_fill_paths() {
        let path = |platform: &str| {
            for_platform("t/{rust-musl}/{os}-{arch}{variant}/{{x}}", &platform.parse().unwrap())
        };
        assert_eq!(path("linux/amd64"), "t/x86_64-unknown-linux-musl/linux-amd64/{x}");
        assert_eq!(path("linux/arm/v7"), "t/armv7-unknown-linux-musleabihf/linux-armv7/{x}");
    }

    #[test]
    fn unbalanced_braces_are_refused() {
        assert_eq!(Template::parse("a{b"), Err(InvalidTemplate::Open));
        assert_eq!(Template::parse("a{b{c}"), Err(InvalidTemplate::Open));
        assert_eq!(Template::parse("a}b"), Err(InvalidTemplate::Close));
        assert_eq!(Template::parse("{}"), Err(InvalidTemplate::Empty));
        let names = Template::parse("{a} {{no}} {b}").unwrap();
        assert_eq!(names.names().collect::<Vec<_>>(), ["a", "b"]);
    }
}
