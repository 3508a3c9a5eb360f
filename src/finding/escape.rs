//! Text from outside, made safe for the medium that it goes to.
//!
//! Names and strings out of images, recipes and registries can hold escape sequences,
//! line breaks and characters that reorder a line. Everything of that kind passes one
//! of these functions, once, on its way out.

use crate::oci::path::is_invisible;
use std::fmt::Write;

/// Makes text safe for a terminal or a log: every character that does not show, or that
/// changes how others show, is written as `\n`, `\x1b` or `\u{202e}`. One line stays one line.
pub fn terminal(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c if is_invisible(c) && u32::from(c) < 0x80 => {
                let _ = write!(safe, "\\x{:02x}", u32::from(c));
            }
            c if is_invisible(c) => {
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Makes bytes safe for a terminal: what is not UTF-8 is written as `\xff`.
pub fn bytes(raw: &[u8]) -> String {
    let mut safe = String::with_capacity(raw.len());
    for chunk in raw.utf8_chunks() {
        safe.push_str(&terminal(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(safe, "\\x{byte:02x}");
        }
    }
    safe
}

/// Makes a JSON document safe for a terminal: characters inside its strings that do not
/// show are written as `\u202e`. The document means the same.
pub fn json(document: &str) -> String {
    let mut safe = String::with_capacity(document.len());
    for c in document.chars() {
        if is_invisible(c) && c != '\n' {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Makes text safe between the tags, and inside the quoted attributes, of HTML and XML.
pub fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in terminal(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// Makes text safe inside a line or a table cell of Markdown.
pub fn markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in html(text).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '#' | '|' | '!' | '~') {
            safe.push('\\');
        }
        safe.push(c);
    }
    safe
}

/// Makes text safe inside a workflow command of GitHub Actions (`::error::text`).
pub fn workflow_command(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
        .replace(':', "%3A")
        .replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_invisible_reaches_a_terminal() {
        let hostile = "a\u{1b}[2J\nFAIL: none\r\u{202e}gpj\u{200b}\u{7f}\u{9b}é";
        assert_eq!(
            terminal(hostile),
            "a\\x1b[2J\\nFAIL: none\\r\\u{202e}gpj\\u{200b}\\x7f\\u{9b}é"
        );
        assert!(!terminal(hostile).chars().any(is_invisible));
    }

    #[test]
    fn bytes_that_are_no_text_are_shown() {
        assert_eq!(bytes(b"bin/\xff\xc3\xa9\x1b"), "bin/\\xffé\\x1b");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let document = serde_json::json!({ "a": "x\u{202e}\u{e0001}\n" });
        let safe = json(&serde_json::to_string_pretty(&document).unwrap());
        assert!(!safe.chars().any(|c| is_invisible(c) && c != '\n'), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), document);
    }

    #[test]
    fn markup_is_text() {
        assert_eq!(html("<b a='\"'>&\n"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;\\n");
        assert_eq!(markdown("a|b `c` <i>"), "a\\|b \\`c\\` &lt;i&gt;");
        assert_eq!(workflow_command("x\n::error::y"), "x%0A%3A%3Aerror%3A%3Ay");
    }
}
