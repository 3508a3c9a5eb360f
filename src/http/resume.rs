//! A download that goes on where it broke off.

use super::client::{Client, Request};
use super::error::{Fault, HttpError};
use super::response::{Body, Response};
use super::url::Url;
use std::io::{self, Read};

/// Reads a body whose bytes somebody verifies, by digest and size: when the connection breaks,
/// the rest is asked for with `Range` (RFC 9110, section 14). A server that does not know
/// ranges is read from the start again, and what was seen is skipped.
///
/// Without a digest a resumed download could be made of two different files: then it must not
/// be used.
pub struct Resuming<F> {
    /// Asks for the body from this byte on.
    ask: F,
    body: Option<Body>,
    seen: u64,
    /// Bytes that come again and were seen already.
    skip: u64,
    tries: u32,
    client: Client,
}

impl<F: FnMut(u64) -> Result<Response, HttpError>> Resuming<F> {
    /// Goes on from the answer to a request for the whole. `ask` sends the request for what
    /// begins at an offset, with the `Range` of [`range`], and follows redirects.
    ///
    /// # Errors
    /// When the answer is not `200`.
    pub fn new(client: &Client, first: Response, ask: F) -> Result<Self, HttpError> {
        let body = Some(first.expect(&[200])?.into_body());
        Ok(Self { ask, body, seen: 0, skip: 0, tries: 0, client: client.clone() })
    }

    fn start(&mut self) -> Result<(), HttpError> {
        let answer = (self.ask)(self.seen)?.expect(&[200, 206])?;
        self.skip = match answer.status() {
            206 => {
                let from = answer.header("content-range").and_then(first_byte);
                if from != Some(self.seen) {
                    let fault = Fault::Unexpected("it is another range".to_owned());
                    return Err(answer.error(fault));
                }
                0
            }
            _ => self.seen,
        };
        self.body = Some(answer.into_body());
        Ok(())
    }

    /// Opens the rest after a fault, as long as there is patience.
    fn again(&mut self, mut error: io::Error) -> io::Result<()> {
        loop {
            let transient = HttpError::of_io(&error).is_some_and(HttpError::is_transient);
            let pause = self.client.retry().pause(self.tries, None);
            let Some(pause) = pause.filter(|_| transient) else { return Err(error) };
            self.body = None;
            std::thread::sleep(pause);
            self.tries += 1;
            match self.start() {
                Ok(()) => return Ok(()),
                Err(again) => error = again.into(),
            }
        }
    }
}

impl<F: FnMut(u64) -> Result<Response, HttpError>> Read for Resuming<F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(body) = &mut self.body else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            let room = usize::try_from(self.skip).unwrap_or(usize::MAX).min(buf.len());
            let read = if self.skip > 0 { body.read(&mut buf[..room]) } else { body.read(buf) };
            match read {
                Ok(0) if self.skip > 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) if self.skip > 0 => self.skip -= count as u64,
                Ok(count) => {
                    self.seen += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.again(error)?,
            }
        }
    }
}

/// Writes the value of `Range` for everything from a byte on.
pub fn range(from: u64) -> String {
    format!("bytes={from}-")
}

/// Reads where a `Content-Range` begins.
fn first_byte(value: &str) -> Option<u64> {
    let (first, _) = value.trim().strip_prefix("bytes ")?.split_once('-')?;
    first.parse().ok()
}

impl Client {
    /// Opens a file whose digest the caller knows and verifies while it reads.
    ///
    /// # Errors
    /// When the server does not answer with its bytes. What breaks later is resumed or is an
    /// error of the reader, which [`HttpError::of_io`] finds.
    pub fn download(&self, url: &Url) -> Result<impl Read + Send + use<>, HttpError> {
        let (client, url) = (self.clone(), url.clone());
        let first = self.follow(&Request::get(url.clone()))?;
        Resuming::new(self, first, move |from| {
            client.follow(&Request::get(url.clone()).header("range", range(from)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_written_and_read() {
        assert_eq!(range(7), "bytes=7-");
        assert_eq!(first_byte("bytes 7-99/100"), Some(7));
        assert_eq!(first_byte("bytes */100"), None);
        assert_eq!(first_byte("7-99"), None);
    }
}
