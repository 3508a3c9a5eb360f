//! What goes wrong between here and a server.

use super::policy::Refused;
use super::url::InvalidUrl;
use super::{Method, Url};
use crate::finding::escape;
use std::fmt;
use std::io;
use std::time::Duration;

/// A request that did not do its work: which one, and why. Shows neither queries nor
/// credentials.
#[derive(Debug, thiserror::Error)]
pub struct HttpError {
    /// The method.
    pub method: Method,
    /// The address, shown without its query.
    pub url: Url,
    /// What happened.
    pub fault: Fault,
}

/// What happened to a request.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Fault {
    #[error("not sent, for no connection may be opened (`--offline`)")]
    Offline,
    #[error("not sent: {0}")]
    Refused(#[from] Refused),
    #[error("the host is not known")]
    UnknownHost,
    #[error("no connection: {0}")]
    Connect(String),
    #[error("no trusted TLS connection: {0}")]
    Tls(String),
    #[error("no answer in time ({0})")]
    Timeout(&'static str),
    #[error("the bytes come slower than {0} a second")]
    Slow(u64),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("status {}{}", status_text(*.code), said_text(.said))]
    Status { code: u16, said: Vec<String>, after: Option<Duration> },
    #[error("it was redirected more than {0} times")]
    Redirects(usize),
    #[error("it was sent on to `{place}`: {error}")]
    RefusedRedirect { place: String, error: Refused },
    #[error("it was sent on to an address that is none: {0}")]
    Location(InvalidUrl),
    #[error("it was sent on without an address")]
    NoLocation,
    #[error("the answer is a web page, which nobody asked for")]
    WebPage,
    #[error("the answer is longer than {0} bytes")]
    Long(u64),
    #[error("the answer is not what was asked for: {0}")]
    Unexpected(String),
    #[error("what is to be sent could not be read: {0}")]
    Source(io::Error),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.method, self.url, self.fault)
    }
}

impl HttpError {
    /// Returns the status that the server gave, if it is what went wrong.
    pub fn status(&self) -> Option<u16> {
        match self.fault {
            Fault::Status { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Returns how long the server asked us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.fault {
            Fault::Status { after, .. } => after,
            _ => None,
        }
    }

    /// Says whether the same request may do better a little later.
    pub fn is_transient(&self) -> bool {
        match &self.fault {
            Fault::Connect(_) | Fault::Timeout(_) | Fault::Slow(_) | Fault::Broken(_) => true,
            Fault::Status { code, .. } => is_transient_status(*code),
            _ => false,
        }
    }

    /// Says whether a rule of ours, and no server, is the reason.
    pub fn is_refused(&self) -> bool {
        matches!(self.fault, Fault::Offline | Fault::Refused(_) | Fault::RefusedRedirect { .. })
    }

    /// Returns the error that a reader of a body has passed on, if it is one of these.
    pub fn of_io(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<HttpError> for io::Error {
    fn from(error: HttpError) -> Self {
        io::Error::other(error)
    }
}

/// Says whether a status speaks of the moment and not of the request (RFC 9110, section
/// 15.6; RFC 6585, section 4; `408` is what a server says before it closes an idle connection).
pub(super) fn is_transient_status(code: u16) -> bool {
    matches!(code, 408 | 429 | 500 | 502 | 503 | 504)
}

fn status_text(code: u16) -> String {
    match ureq::http::StatusCode::from_u16(code).ok().and_then(|code| code.canonical_reason()) {
        Some(reason) => format!("{code} {reason}"),
        None => code.to_string(),
    }
}

fn said_text(said: &[String]) -> String {
    let said: Vec<_> = said.iter().map(|one| escape::terminal(one)).collect();
    if said.is_empty() { String::new() } else { format!(": {}", said.join("; ")) }
}
