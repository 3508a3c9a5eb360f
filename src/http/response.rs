//! What a server answers, read with limits.

use super::error::{Fault, HttpError};
use super::retry;
use super::url::Url;
use super::{Clock, Method};
use std::io::{self, Read};
use std::time::Duration;
use ureq::http::HeaderMap;

/// An answer whose body has not been read yet.
pub struct Response {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

/// The body of an answer, one byte after another: notices a server that gives them too
/// slowly, and one that stops before the end.
pub struct Body {
    pub(super) inner: ureq::BodyReader<'static>,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) clock: Clock,
    /// How long bytes may come more slowly than [`SLOWEST`].
    pub(super) patience: Duration,
    pub(super) waited: Duration,
    pub(super) seen: u64,
}

/// The fewest bytes a second that a server is waited for.
pub(super) const SLOWEST: u64 = 1024;

impl Response {
    /// Returns the status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the address that answered, after all redirects.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns a header's value, if it is there once and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    /// Returns all values of a header that are text.
    pub fn headers<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
    }

    /// Returns how long the body says that it is.
    pub fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// Returns how long the server asks us to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        retry::retry_after(self.header("retry-after")?, self.header("date"))
    }

    /// Says whether the body says of itself that it is a page for people.
    fn is_page(&self) -> bool {
        let kind = self.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        matches!(&kind[..], "text/html" | "application/xhtml+xml")
    }

    /// Makes sure of the status, and that the answer is no web page: captive portals and
    /// proxies answer everything with one.
    ///
    /// # Errors
    /// Another status, with the messages that registries give (distribution-spec, "Error Codes").
    pub fn expect(self, statuses: &[u16]) -> Result<Self, HttpError> {
        if !statuses.contains(&self.status) {
            return Err(self.into_error());
        }
        if self.is_page() {
            return Err(self.error(Fault::WebPage));
        }
        Ok(self)
    }

    /// Makes an error of the status and of what the body says about it.
    pub fn into_error(self) -> HttpError {
        let (method, url, code) = (self.method, self.url.clone(), self.status);
        let (page, after) = (self.is_page(), self.retry_after());
        let mut said = Vec::new();
        let mut bytes = Vec::new();
        // What cannot be read says nothing.
        if !page && self.body.take(MAX_SAID).read_to_end(&mut bytes).is_ok() {
            said = messages(&bytes);
        }
        HttpError { method, url, fault: Fault::Status { code, said, after } }
    }

    /// Makes an error about this answer.
    pub fn error(&self, fault: Fault) -> HttpError {
        HttpError { method: self.method, url: self.url.clone(), fault }
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// When it is longer than `limit`, or the connection fails.
    pub fn bytes(mut self, limit: u64) -> Result<Vec<u8>, HttpError> {
        if self.length().is_some_and(|length| length > limit) {
            return Err(self.error(Fault::Long(limit)));
        }
        let mut bytes = Vec::new();
        let read = self.body.by_ref().take(limit.saturating_add(1)).read_to_end(&mut bytes);
        match read {
            Ok(count) if count as u64 > limit => Err(self.error(Fault::Long(limit))),
            Ok(_) => Ok(bytes),
            Err(error) => Err(self.error(fault_of_io(error))),
        }
    }

    /// Gives the body to be read.
    pub fn into_body(self) -> Body {
        self.body
    }
}

/// The longest body of a refusal that is looked at, in bytes.
const MAX_SAID: u64 = 16 << 10;
/// How many messages of a refusal are shown, and how much of each, in characters.
const SHOWN: usize = 3;
const SHOWN_LENGTH: usize = 200;

/// Reads the messages of a refusal: a registry's `errors`, or OAuth's `error` (RFC 6749,
/// section 5.2) or `details`.
fn messages(bytes: &[u8]) -> Vec<String> {
    let Ok(document) = serde_json::from_slice::<serde_json::Value>(bytes) else {
        return Vec::new();
    };
    let cut = |text: String| text.chars().take(SHOWN_LENGTH).collect::<String>();
    let text = |value: &serde_json::Value, key: &str| {
        value.get(key).and_then(|value| value.as_str()).map(str::to_owned)
    };
    let errors = document.get("errors").and_then(|errors| errors.as_array());
    if let Some(errors) = errors {
        let one = |error: &serde_json::Value| match (text(error, "code"), text(error, "message")) {
            (Some(code), Some(message)) if !message.is_empty() => {
                Some(format!("{code}: {message}"))
            }
            (one, other) => one.or(other),
        };
        return errors.iter().filter_map(one).take(SHOWN).map(cut).collect();
    }
    ["details", "error_description", "error", "message"]
        .iter()
        .find_map(|key| text(&document, key))
        .map(cut)
        .into_iter()
        .collect()
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let start = (self.clock)();
        let read = self.inner.read(buf);
        self.waited += (self.clock)().saturating_sub(start);
        let fault = match read {
            Ok(count) => {
                self.seen += count as u64;
                let slow = self.waited > self.patience
                    && self.seen < SLOWEST.saturating_mul(self.waited.as_secs());
                if count == 0 || !slow {
                    return Ok(count);
                }
                Fault::Slow(SLOWEST)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => fault_of_io(error),
        };
        Err(HttpError { method: self.method, url: self.url.clone(), fault }.into())
    }
}

/// Returns what went wrong with a body.
fn fault_of_io(error: io::Error) -> Fault {
    match error.downcast::<HttpError>() {
        Ok(error) => error.fault,
        Err(error) => super::client::fault(ureq::Error::from(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_registries_and_token_servers_are_found() {
        let read = |text: &str| messages(text.as_bytes());
        assert_eq!(
            read(
                r#"{"errors":[{"code":"DENIED","message":"no"},{"code":"X"},{"message":"y"},{"code":"Z"}]}"#
            ),
            ["DENIED: no", "X", "y"]
        );
        assert_eq!(
            read(r#"{"details":"incorrect username or password"}"#),
            ["incorrect username or password"]
        );
        assert_eq!(read(r#"{"error":"invalid_grant"}"#), ["invalid_grant"]);
        assert!(read("<html>").is_empty());
        assert!(read(r#"{"errors":[1,"x",{}]}"#).is_empty());
        assert_eq!(read(&format!(r#"{{"error":"{}"}}"#, "x".repeat(9999)))[0].len(), SHOWN_LENGTH);
    }
}
