//! The only code that opens a connection.
//!
//! Takes requests, gives answers or typed errors. Everything that decides is a value: which
//! hosts may be reached ([`HostPolicy`]), whether any may (`offline`), proxies, certificates,
//! patience. Nothing here reads the environment, a policy file or a clock: the binary reads
//! them once and hands them over in [`Settings`].
//!
//! Redirects are followed here and not by the HTTP crate, so that each address is held
//! against the policy first; credentials never leave the origin that they were given for.
//! Bodies have limits, and a peer that stalls or drips is noticed.

pub mod client;
pub mod error;
pub mod policy;
pub mod proxy;
pub mod response;
pub mod resume;
pub mod retry;
pub mod secret;
pub mod tls;
pub mod url;

pub use client::{Body, Client, Request, Settings, SetupError, Source, Timeouts};
pub use error::{Fault, HttpError};
pub use policy::{Access, HostPolicy, Refused};
pub use proxy::Proxies;
pub use response::Response;
pub use resume::Resuming;
pub use retry::Retry;
pub use secret::Secret;
pub use tls::Tls;
pub use url::{InvalidUrl, Origin, Scheme, Url};

use std::fmt;
use std::time::Duration;

/// Gives the time since some moment of this run.
pub type Clock = fn() -> Duration;

/// What is done at an address (RFC 9110, section 9; RFC 5789).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of HTTP")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// Returns the name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Says whether nothing changes on the server.
    pub fn only_reads(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
pub(crate) mod tests;
