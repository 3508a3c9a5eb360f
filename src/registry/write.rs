//! Writing: blobs first, then manifests by digest, a tag last.
//!
//! Source: distribution-spec 1.1, "Pushing". What a failed write has left behind is asked for
//! before it is tried again: registries have been seen to keep a blob and to answer 500.

use super::{Document, RegistryError, Repository, Way, WriteError};
use crate::http::{Body, Fault, HttpError, Method, Request, Response, Source, Url};
use crate::oci::{Digest, MediaType};
use std::io::{self, Read};
use std::time::Duration;

/// The size from which a blob is sent in chunks, so that a broken connection costs one chunk.
const LARGE: u64 = 96 << 20;
/// How large a chunk is, unless the registry wants larger ones.
const CHUNK: u64 = 32 << 20;
/// The largest chunk that a registry may ask for.
const MAX_CHUNK: u64 = 1 << 30;

/// A blob that is to be sent.
pub trait Bytes: Sync {
    /// Returns its digest.
    fn digest(&self) -> Digest;
    /// Returns how many bytes it has.
    fn size(&self) -> u64;
    /// Starts with the byte at an offset. Reading to the end from 0 must verify the digest.
    ///
    /// # Errors
    /// When the bytes cannot be had.
    fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read + Send + '_>>;
}

/// How a blob got to where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobSent {
    /// It was there.
    Present,
    /// The registry took it from another repository of its own.
    Mounted,
    /// Its bytes were sent.
    Uploaded,
}

/// What a registry says about a manifest that was written.
pub(super) struct Kept {
    /// It keeps the list of its subject's referrers itself (`OCI-Subject`).
    pub(super) lists_referrers: bool,
}

/// The part of a blob from an offset on, at most so long.
struct Part<'a> {
    bytes: &'a dyn Bytes,
    offset: u64,
}

impl Source for Part<'_> {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        self.bytes.open_at(self.offset)
    }
}

impl Repository {
    /// Makes sure that a blob is in this repository: looks, mounts it from `mount_from`, or
    /// sends it.
    ///
    /// # Errors
    /// When it cannot be read, or the registry does not take it after several tries.
    pub fn put_blob(
        &self,
        bytes: &dyn Bytes,
        mount_from: Option<&str>,
    ) -> Result<BlobSent, RegistryError> {
        let digest = bytes.digest();
        if self.has_blob(&digest)? {
            return Ok(BlobSent::Present);
        }
        let mut session = None;
        if let Some(other) = mount_from.filter(|other| *other != self.name) {
            match self.mount(&digest, other)? {
                Mount::Done => return Ok(BlobSent::Mounted),
                Mount::Upload(place) => session = Some(place),
                Mount::No => {}
            }
        }
        let retry = self.registries.client.retry();
        let mut number = 0;
        loop {
            let place = match session.take() {
                Some(place) => place,
                None => self.start_upload()?,
            };
            let sent = if bytes.size() > LARGE {
                self.upload_in_chunks(bytes, place)
            } else {
                self.upload(bytes, place, 0)
            };
            let error = match sent {
                Ok(()) => return Ok(BlobSent::Uploaded),
                Err(error) => error,
            };
            if let RegistryError::Http(http) = &error
                && matches!(http.fault, Fault::Source(_))
            {
                return Err(source_error(digest, error));
            }
            // A registry that contradicts itself is not asked again.
            if error.http().is_none() {
                return Err(error);
            }
            // Some keep the blob and fail to say so.
            if self.has_blob(&digest)? {
                return Ok(BlobSent::Uploaded);
            }
            let pause = retry.pause(number, asked(&error)).filter(|_| is_worth_another(&error));
            let Some(pause) = pause else { return Err(error) };
            std::thread::sleep(pause);
            number += 1;
        }
    }

    /// Asks the registry to take a blob from another of its repositories.
    fn mount(&self, digest: &Digest, from: &str) -> Result<Mount, RegistryError> {
        let url = self.at("blobs/uploads/")?;
        let url = url.with_query("mount", &digest.to_string()).with_query("from", from);
        let answer = self.send(&Request::new(Method::Post, url), Way::Retried)?;
        match answer.status() {
            201 => Ok(Mount::Done),
            202 => Ok(Mount::Upload(self.upload_place(&answer)?)),
            // Whoever cannot mount can still be sent the bytes.
            _ => Ok(Mount::No),
        }
    }

    fn start_upload(&self) -> Result<Url, RegistryError> {
        let request = Request::new(Method::Post, self.at("blobs/uploads/")?);
        let answer = self.send(&request, Way::Retried)?.expect(&[202])?;
        self.upload_place(&answer)
    }

    /// Returns where the next part of an upload goes.
    fn upload_place(&self, answer: &Response) -> Result<Url, RegistryError> {
        let place = || format!("{}/{}", self.host, self.name);
        let location = answer.header("location");
        let location = location.ok_or_else(|| WriteError::NoLocation(place()))?;
        let url = answer
            .url()
            .join(location)
            .map_err(|why| WriteError::Location { place: place(), why: why.to_string() })?;
        let credentials = *url.origin() == self.origin;
        self.registries.client.policy().check(Method::Put, &url, credentials).map_err(|error| {
            answer.error(Fault::RefusedRedirect { place: url.to_string(), error })
        })?;
        Ok(url)
    }

    /// Sends all that is left of a blob and closes the upload.
    fn upload(&self, bytes: &dyn Bytes, place: Url, from: u64) -> Result<(), RegistryError> {
        let digest = bytes.digest();
        let part = Part { bytes, offset: from };
        let size = bytes.size() - from;
        let body = if size == 0 { Body::Empty } else { Body::Stream { source: &part, size } };
        let request = Request::new(Method::Put, place.with_query("digest", &digest.to_string()))
            .header("content-type", "application/octet-stream")
            .body(body);
        let answer = self.send(&request, Way::Once)?.expect(&[200, 201, 204])?;
        self.check_digest(&answer, &digest)
    }

    /// Sends a large blob in chunks; what the registry has of it after a broken connection is
    /// not sent again.
    fn upload_in_chunks(&self, bytes: &dyn Bytes, place: Url) -> Result<(), RegistryError> {
        let retry = self.registries.client.retry();
        let (mut place, mut offset, mut number, mut chunk) = (place, 0, 0, CHUNK);
        while bytes.size() - offset > chunk {
            let part = Part { bytes, offset };
            let request = Request::new(Method::Patch, place.clone())
                .header("content-type", "application/octet-stream")
                .header("content-range", format!("{offset}-{}", offset + chunk - 1))
                .body(Body::Stream { source: &part, size: chunk });
            let sent =
                self.send(&request, Way::Once).and_then(|answer| Ok(answer.expect(&[202, 204])?));
            let error = match sent {
                Ok(answer) => {
                    let least = answer.header("oci-chunk-min-length");
                    let least = least.and_then(|least| least.parse().ok()).unwrap_or(0);
                    offset += chunk;
                    chunk = CHUNK.max(least).min(MAX_CHUNK);
                    place = self.upload_place(&answer)?;
                    continue;
                }
                Err(error) => error,
            };
            // 416: it has something else than we think.
            let is_range = error.http().and_then(HttpError::status) == Some(416);
            let pause = retry.pause(number, asked(&error));
            let pause = pause.filter(|_| is_range || is_worth_another(&error));
            let Some(pause) = pause else { return Err(error) };
            std::thread::sleep(pause);
            number += 1;
            (place, offset) = self.upload_state(&place, bytes.size())?;
        }
        self.upload(bytes, place, offset)
    }

    /// Asks how far an upload is: where it goes on, and at which byte.
    fn upload_state(&self, place: &Url, size: u64) -> Result<(Url, u64), RegistryError> {
        let answer = self.send(&Request::get(place.clone()), Way::Retried)?.expect(&[204])?;
        let last = answer.header("range").and_then(|range| range.rsplit_once('-'));
        let last: Option<u64> = last.and_then(|(_, last)| last.parse().ok());
        // `0-0` is what registries say of an upload that has nothing, and of one with a byte.
        let offset = last.filter(|last| *last > 0 && *last < size).map_or(0, |last| last + 1);
        let next = match answer.header("location") {
            Some(_) => self.upload_place(&answer)?,
            None => place.clone(),
        };
        Ok((next, offset))
    }

    /// Writes a manifest under its digest or a tag.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub fn put(&self, reference: &str, manifest: &Document) -> Result<(), RegistryError> {
        self.put_manifest(reference, manifest).map(drop)
    }

    pub(super) fn put_manifest(
        &self,
        reference: &str,
        manifest: &Document,
    ) -> Result<Kept, RegistryError> {
        let digest = manifest.descriptor.digest;
        let request = Request::new(Method::Put, self.at(&format!("manifests/{reference}"))?)
            .header("content-type", content_type(&manifest.descriptor.media_type))
            .body(Body::Bytes(&manifest.bytes));
        let retry = self.registries.client.retry();
        let mut number = 0;
        loop {
            let sent = self
                .send(&request, Way::Once)
                .and_then(|answer| Ok(answer.expect(&[200, 201, 202])?));
            let error = match sent {
                Ok(answer) => {
                    self.check_digest(&answer, &digest)?;
                    let lists_referrers = answer.header("oci-subject").is_some();
                    return Ok(Kept { lists_referrers });
                }
                Err(error) => error,
            };
            if !is_worth_another(&error) {
                return Err(error);
            }
            if self.head(reference)? == Some(digest) {
                return Ok(Kept { lists_referrers: false });
            }
            let Some(pause) = retry.pause(number, asked(&error)) else { return Err(error) };
            std::thread::sleep(pause);
            number += 1;
        }
    }

    /// Removes a manifest, and with it every tag that leads to it.
    ///
    /// # Errors
    /// When it is not there, or the registry does not let that be done.
    pub fn delete(&self, digest: &Digest) -> Result<(), RegistryError> {
        let request = Request::new(Method::Delete, self.at(&format!("manifests/{digest}"))?);
        let answer = self.send(&request, Way::Retried)?;
        answer.expect(&[200, 202, 204]).map(drop).map_err(RegistryError::from)
    }

    /// Holds what the registry says that it has taken against what was sent.
    fn check_digest(&self, answer: &Response, expected: &Digest) -> Result<(), RegistryError> {
        match answer.header("docker-content-digest") {
            Some(found) if found != expected.to_string() => Err(WriteError::Digest {
                place: format!("{}/{}", self.host, self.name),
                expected: *expected,
                found: found.chars().take(100).collect(),
            }
            .into()),
            _ => Ok(()),
        }
    }

    /// Reads a manifest back that was written, byte for byte.
    ///
    /// # Errors
    /// When it is not there, or other bytes are.
    pub fn check_written(&self, manifest: &Document) -> Result<(), RegistryError> {
        let digest = manifest.descriptor.digest;
        match self.manifest(&digest) {
            Ok(found) if found.bytes == manifest.bytes => Ok(()),
            Ok(_) => Err(self.not_read_back(&digest.to_string(), "its manifest differs")),
            Err(RegistryError::Missing(_)) => {
                Err(self.not_read_back(&digest.to_string(), "it has no such manifest"))
            }
            Err(error) => Err(error),
        }
    }

    /// Says that something is not as it was written.
    pub fn not_read_back(&self, reference: &str, what: impl Into<String>) -> RegistryError {
        WriteError::ReadBack { place: self.place(reference), what: what.into() }.into()
    }
}

/// What became of the wish to mount.
enum Mount {
    Done,
    /// The registry wants the bytes here.
    Upload(Url),
    No,
}

fn content_type(media_type: &MediaType) -> String {
    media_type.as_str().to_owned()
}

/// Returns how long a registry asked us to wait.
fn asked(error: &RegistryError) -> Option<Duration> {
    error.http().and_then(HttpError::retry_after)
}

/// Says whether a write that failed may do better when it is done again. Beside what speaks of
/// the moment, these are answers of registries that have lost an upload (jib's
/// `BLOB_UPLOAD_UNKNOWN` and its like).
fn is_worth_another(error: &RegistryError) -> bool {
    error.http().is_some_and(|http| {
        http.is_transient()
            || matches!(&http.fault, Fault::Status { code: 400 | 404 | 416, said, .. }
                if said.iter().any(|one| one.contains("BLOB_UPLOAD")))
    })
}

fn source_error(digest: Digest, error: RegistryError) -> RegistryError {
    match error {
        RegistryError::Http(http) => match http.fault {
            Fault::Source(error) => WriteError::Source { digest, error }.into(),
            _ => RegistryError::Http(http),
        },
        other => other,
    }
}
