//! Faults in what a user wrote: where, why, and what helps.

use super::escape;
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;
use std::ops::Range;

/// A range of bytes in a text.
pub type Span = Range<usize>;

/// One fault in a file that a user wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong.
    pub message: String,
    /// The bytes of the file that the message is about; none when it is about the whole file.
    pub span: Option<Span>,
    /// A few words to stand beside the marked bytes.
    pub label: Option<String>,
    /// What helps.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// Makes a diagnostic about some bytes of the file.
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self { message: message.into(), span: Some(span), label: None, hint: None }
    }

    /// Makes a diagnostic about the whole file.
    pub fn whole(message: impl Into<String>) -> Self {
        Self { message: message.into(), span: None, label: None, hint: None }
    }

    /// Adds a few words to stand beside the marked bytes.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds what helps.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The faults of one file, with its text, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    /// The name of the file, as the user knows it.
    pub file: String,
    /// The file's text.
    pub text: String,
    /// The faults, in the order of the text. Never empty.
    pub faults: Vec<Diagnostic>,
}

/// A fault as scripts read it.
#[derive(Debug, Serialize)]
pub struct Located<'a> {
    /// The name of the file.
    pub file: &'a str,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: &'a str,
    /// What helps.
    pub hint: Option<&'a str>,
}

impl Diagnostics {
    /// Gathers the faults of a file, in the order of its text.
    pub fn new(
        file: impl Into<String>,
        text: impl Into<String>,
        mut faults: Vec<Diagnostic>,
    ) -> Self {
        faults.sort_by_key(|fault| fault.span.as_ref().map_or(0, |span| span.start));
        Self { file: file.into(), text: text.into(), faults }
    }

    /// Returns the faults with their lines and columns.
    pub fn located(&self) -> Vec<Located<'_>> {
        let locate = |fault: &Diagnostic| {
            let start = fault.span.as_ref().map_or(0, |span| span.start);
            let before = self.text.get(..start.min(self.text.len())).unwrap_or("");
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
        };
        self.faults
            .iter()
            .map(|fault| {
                let (line, column) = locate(fault);
                Located {
                    file: &self.file,
                    line,
                    column,
                    message: &fault.message,
                    hint: fault.hint.as_deref(),
                }
            })
            .collect()
    }

    /// Shows every fault with its file, line, column, the line itself, and the hint.
    /// Invisible characters of the file are shown escaped: control characters and those that
    /// change the direction by the renderer, the others here.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let file = escape::terminal(&self.file);
        let mut shown = Vec::with_capacity(self.faults.len());
        for fault in &self.faults {
            let message = escape::terminal(&fault.message);
            let title = Level::ERROR.primary_title(message);
            let mut group = match &fault.span {
                Some(span) => {
                    let end = span.end.min(self.text.len());
                    let mut marked = AnnotationKind::Primary.span(span.start.min(end)..end);
                    if let Some(label) = &fault.label {
                        marked = marked.label(escape::terminal(label));
                    }
                    title.element(Snippet::source(&self.text).path(&file).annotation(marked))
                }
                None => title.element(annotate_snippets::Origin::path(&file)),
            };
            if let Some(hint) = &fault.hint {
                group = group.element(Level::HELP.message(escape_lines(hint)));
            }
            shown.push(visible(&renderer.render(&[group])));
        }
        shown.join("\n\n")
    }
}

/// Escapes what the renderer leaves of the file's invisible characters. Escape sequences
/// are its own, for it replaces those of the file.
fn visible(rendered: &str) -> String {
    rendered.split('\x1b').map(escape_lines).collect::<Vec<_>>().join("\x1b")
}

/// Escapes text of several lines, each for itself.
fn escape_lines(text: &str) -> String {
    text.split('\n').map(escape::terminal).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::path::is_invisible;

    #[test]
    fn a_fault_names_its_place_and_shows_its_line() {
        let text = "[image]\nname = \"é\"\nusr = 1\n";
        let fault = Diagnostic::new(20..23, "unknown key `usr`").hint("did you mean `user`?");
        let diagnostics = Diagnostics::new("recipes/x.toml", text, vec![fault]);
        let place = &diagnostics.located()[0];
        assert_eq!((place.line, place.column), (3, 1));
        let shown = diagnostics.render(false);
        assert!(shown.contains("recipes/x.toml:3:1"), "{shown}");
        assert!(shown.contains("usr = 1"), "{shown}");
        assert!(shown.contains("did you mean `user`?"), "{shown}");
    }

    #[test]
    fn nothing_invisible_of_the_file_is_shown() {
        let shown = |text: &str, colour| {
            let at = text.find('a').unwrap();
            let fault = Diagnostic::new(at..at + 1, "wrong");
            Diagnostics::new("x", text, vec![fault]).render(colour)
        };
        let hostile =
            "\u{feff}a\u{1b}[2J\u{ad}\u{202e}\u{200b}\u{180e}\u{e0041}\u{9b}\u{85}\u{2028} = 1\n";
        let plain = shown(hostile, false);
        assert!(!plain.chars().any(|c| c != '\n' && is_invisible(c)), "{plain:?}");
        let sequences = |text: &str| shown(text, true).matches('\x1b').count();
        assert_eq!(sequences(hostile), sequences("a = 1\n"));
    }

    #[test]
    fn a_hostile_name_stays_on_its_line() {
        let fault = Diagnostic::whole("no `a\u{1b}[2J\nok`");
        let shown = Diagnostics::new("x", "", vec![fault]).render(false);
        assert!(shown.contains("\\x1b[2J\\nok"), "{shown}");
    }
}
