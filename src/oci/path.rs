//! Paths inside an image.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The longest path that is accepted, in bytes (Linux, `PATH_MAX` less the final NUL).
pub const MAX_PATH: usize = 4095;
/// The longest component that is accepted, in bytes (Linux, `NAME_MAX`).
pub const MAX_COMPONENT: usize = 255;

/// An absolute, normalised path inside an image: starts with `/`, has no empty, `.`
/// or `..` component and no trailing slash (the root itself is `/`), holds no control
/// character, and stays within Linux's limits of length.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ImagePath(String);

/// Why a text is not a path inside an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InvalidPath {
    #[error("the path is empty")]
    Empty,
    #[error("the path is relative; paths in an image start with `/`")]
    Relative,
    #[error("the path holds the component `{0}`")]
    Dots(&'static str),
    #[error("the path holds a control, bidirectional or zero-width character")]
    Control,
    #[error("a component of the path starts with `.wh.`, which marks deletions in layers")]
    Whiteout,
    #[error("the path is longer than {MAX_PATH} bytes")]
    Long,
    #[error("a component of the path is longer than {MAX_COMPONENT} bytes")]
    LongComponent,
}

impl ImagePath {
    /// Returns the root directory.
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// Returns the path as text, with its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path without its leading slash, as tar entries spell it; empty for the root.
    pub fn relative(&self) -> &str {
        &self.0[1..]
    }

    /// Returns the last component; empty for the root.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or("")
    }

    /// Returns the directory that holds this path; none for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.0 == "/" {
            return None;
        }
        match self.0.rfind('/') {
            Some(0) | None => Some(Self::root()),
            Some(end) => Some(Self(self.0[..end].to_owned())),
        }
    }

    /// Returns the path of an entry below this one. The text may have several components.
    ///
    /// # Errors
    /// When the result is not a path by this type's rules.
    pub fn join(&self, below: &str) -> Result<Self, InvalidPath> {
        if self.0 == "/" {
            format!("/{below}").parse()
        } else {
            format!("{}/{below}", self.0).parse()
        }
    }

    /// Says whether this path is `ancestor` or lies below it.
    pub fn starts_with(&self, ancestor: &Self) -> bool {
        ancestor.0 == "/"
            || self
                .0
                .strip_prefix(&ancestor.0)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Iterates over the components, from the root downwards.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|component| !component.is_empty())
    }
}

/// Says whether a character does not show, or changes how its neighbours show: C0 and
/// C1 controls, and the format characters that reorder or join text (Unicode, `Bidi_Control`
/// and zero-width characters). Names with these can forge a line of a report.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

impl FromStr for ImagePath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        if text.is_empty() {
            return Err(InvalidPath::Empty);
        }
        if text.chars().any(is_invisible) {
            return Err(InvalidPath::Control);
        }
        let Some(relative) = text.strip_prefix('/') else { return Err(InvalidPath::Relative) };
        let mut path = String::with_capacity(text.len());
        for component in relative.split('/') {
            match component {
                "" => continue,
                "." => return Err(InvalidPath::Dots(".")),
                ".." => return Err(InvalidPath::Dots("..")),
                _ if component.starts_with(".wh.") => return Err(InvalidPath::Whiteout),
                _ if component.len() > MAX_COMPONENT => return Err(InvalidPath::LongComponent),
                _ => {
                    path.push('/');
                    path.push_str(component);
                }
            }
        }
        if path.len() > MAX_PATH {
            return Err(InvalidPath::Long);
        }
        Ok(if path.is_empty() { Self::root() } else { Self(path) })
    }
}

impl TryFrom<String> for ImagePath {
    type Error = InvalidPath;
    fn try_from(text: String) -> Result<Self, InvalidPath> {
        text.parse()
    }
}

impl From<ImagePath> for String {
    fn from(path: ImagePath) -> String {
        path.0
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ImagePath {
        text.parse().unwrap()
    }

    #[test]
    fn slashes_are_normalised() {
        assert_eq!(path("//usr///bin/").as_str(), "/usr/bin");
        assert_eq!(path("/").relative(), "");
        assert_eq!(path("/a/b").parent(), Some(path("/a")));
        assert_eq!(path("/a").parent(), Some(ImagePath::root()));
        assert_eq!(ImagePath::root().parent(), None);
        assert!(path("/a/b").starts_with(&path("/a")));
        assert!(!path("/ab").starts_with(&path("/a")));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let long = format!("/{}", "x".repeat(256));
        let deep = "/abc".repeat(1100);
        for (text, error) in [
            ("", InvalidPath::Empty),
            ("usr/bin", InvalidPath::Relative),
            ("/a/../b", InvalidPath::Dots("..")),
            ("/./b", InvalidPath::Dots(".")),
            ("/a\nb", InvalidPath::Control),
            ("/a\u{1b}[2J", InvalidPath::Control),
            ("/a/\u{202e}txt.exe", InvalidPath::Control),
            ("/a/sh\u{200b}", InvalidPath::Control),
            ("/a/.wh.b", InvalidPath::Whiteout),
            (&long, InvalidPath::LongComponent),
            (&deep, InvalidPath::Long),
        ] {
            assert_eq!(text.parse::<ImagePath>(), Err(error), "{text:.40}");
        }
    }
}
