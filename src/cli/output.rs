//! The one place that prints: results to standard output, all else to standard error.

use super::args::Format;
use super::failure::Failure;
use karat::finding::report::Report;
use karat::finding::{Severity, escape, junit, sarif};
use serde_json::Value;
use std::cell::Cell;
use std::io::{self, IsTerminal as _, Write as _};

/// Where and how things are printed.
#[derive(Debug)]
pub(super) struct Output {
    format: Format,
    colour: bool,
    /// Whether standard error is a terminal that can write over a line.
    interactive: bool,
    /// Whether a result could not be printed.
    lost: Cell<bool>,
}

impl Output {
    /// Reads once whether standard error is a terminal that wants colour.
    pub(super) fn new(format: Format) -> Self {
        let interactive = io::stderr().is_terminal()
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { format, colour: interactive && !plain, interactive, lost: Cell::new(false) }
    }

    /// Says whether somebody watches who can be shown a line that changes.
    pub(super) fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Says whether results are JSON.
    pub(super) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Says whether results are lines for people and scripts, one after another.
    pub(super) fn is_text(&self) -> bool {
        self.format == Format::Text
    }

    /// Prints reports in one of the formats that are for reports alone. Each comes with the
    /// file that findings about the whole are shown at.
    pub(super) fn reports(&self, reports: &[(&str, &Report)], fail_on: &[Severity]) {
        match self.format {
            Format::Text | Format::Json => {}
            Format::Sarif => self.json(&sarif::log(reports, env!("CARGO_PKG_VERSION"))),
            Format::Junit => self.document(&junit::document(reports, fail_on)),
            Format::Html => {
                for (_, report) in reports {
                    self.document(&report.to_html());
                }
            }
        }
    }

    /// Prints a line of results. A reader that went away is no fault of ours.
    pub(super) fn result(&self, text: &str) {
        self.document(&format!("{text}\n"));
    }

    /// Prints a document of results as it is.
    pub(super) fn document(&self, text: &str) {
        let mut out = io::stdout();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => self.lost.set(true),
            _ => {}
        }
    }

    /// Prints a JSON document. Characters that do not show are written as JSON escapes.
    pub(super) fn json(&self, value: &Value) {
        self.result(&escape::json(&serde_json::to_string_pretty(value).unwrap_or_default()));
    }

    /// Says whether every result has reached whoever reads it.
    pub(super) fn is_whole(&self) -> bool {
        !self.lost.get()
    }

    /// Tells what is going on. Each line is escaped for itself.
    pub(super) fn tell(&self, text: &str) {
        for line in text.lines() {
            let _ = writeln!(io::stderr(), "{}", escape::terminal(line));
        }
    }

    /// Tells with a heading that stands out on a terminal.
    pub(super) fn heading(&self, text: &str) {
        let text = escape::terminal(text);
        let _ = match self.colour {
            true => writeln!(io::stderr(), "\x1b[1m{text}\x1b[0m"),
            false => writeln!(io::stderr(), "{text}"),
        };
    }

    /// Says what went wrong: for people on standard error, for scripts on standard output.
    pub(super) fn failure(&self, failure: &Failure) {
        if self.is_json() {
            return self.json(&failure.to_json());
        }
        let mut err = io::stderr();
        if let Some(diagnostics) = &failure.diagnostics {
            let _ = writeln!(err, "{}\n", diagnostics.render(self.colour));
        }
        let (start, end) = if self.colour { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
        let _ = writeln!(err, "{start}error{end}: {}", escape::terminal(&failure.message));
        for line in failure.hint.iter().flat_map(|hint| hint.lines()) {
            let _ = writeln!(err, "  help: {}", escape::terminal(line));
        }
    }
}

/// Writes a number of bytes for people, in powers of 1000.
pub(super) fn bytes(count: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit < units.len() - 1 {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_readable() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_999, "1.0 MB"),
            (18_200_000, "18.2 MB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
