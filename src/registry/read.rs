//! Reading: manifests, blobs, tags.

use super::{Document, Registries, RegistryError, Repository, Way};
use crate::archive::verified::VerifiedReader;
use crate::http::{Fault, HttpError, Method, Request, Response, Resuming, Url, resume};
use crate::oci::document::{DocumentError, MAX_MANIFEST};
use crate::oci::reference::{is_repository, is_tag};
use crate::oci::{Descriptor, Digest, MediaType};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;

/// The media types of manifests that are asked for.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";
/// The most tags that are listed, and the most pages of any list.
const MAX_TAGS: usize = 100_000;
pub(super) const MAX_PAGES: usize = 1000;
/// The longest page of a list, in bytes.
const MAX_PAGE: u64 = 8 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    #[serde(default)]
    media_type: Option<String>,
}

#[derive(Deserialize)]
struct Catalogue {
    #[serde(default)]
    repositories: Vec<String>,
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Registries {
    /// Lists the repositories of a registry, as far as it shows them (distribution, "Listing
    /// Repositories"; no part of the distribution specification, so that some have no such list).
    ///
    /// # Errors
    /// When the registry does not answer with a list, or with one without end.
    pub fn catalogue(&self, host: &str) -> Result<Vec<String>, RegistryError> {
        let (origin, answer) = self.find(host)?;
        let url =
            origin.at("/v2/_catalog?n=1000").map_err(|_| RegistryError::Host(host.to_owned()))?;
        let all = Repository {
            registries: self.clone(),
            origin,
            host: host.to_owned(),
            name: "_catalog".to_owned(),
            scopes: vec!["registry:catalog:*".to_owned()],
            authorization: Arc::default(),
        };
        if answer.status() == 401 {
            all.log_in(&answer)?;
        }
        let mut found = BTreeSet::new();
        all.pages(url, "repositories", &mut |bytes| {
            let page: Catalogue = serde_json::from_slice(bytes)?;
            // What is no repository could not be asked for.
            found.extend(page.repositories.into_iter().filter(|name| is_repository(name)));
            Ok(found.len())
        })?;
        Ok(found.into_iter().collect())
    }
}

impl Repository {
    /// Returns how messages show a part of this repository.
    pub(super) fn place(&self, reference: &str) -> String {
        let separator = if reference.starts_with("sha256:") { '@' } else { ':' };
        format!("{}/{}{separator}{reference}", self.host, self.name)
    }

    /// Reads a manifest by its digest, checked.
    ///
    /// # Errors
    /// When it is not there, or its bytes are others.
    pub fn manifest(&self, digest: &Digest) -> Result<Document, RegistryError> {
        let manifest = self.manifest_at(&digest.to_string())?;
        let found = manifest.descriptor.digest;
        if found != *digest {
            let place = self.place(&digest.to_string());
            return Err(RegistryError::Differs { place, expected: *digest, found });
        }
        Ok(manifest)
    }

    /// Reads the manifest that a tag leads to now, and its digest.
    ///
    /// # Errors
    /// When it is not there, or the registry contradicts itself.
    pub fn tagged(&self, tag: &str) -> Result<Document, RegistryError> {
        self.manifest_at(tag)
    }

    fn manifest_at(&self, reference: &str) -> Result<Document, RegistryError> {
        self.manifest_with_tag(reference).map(|(manifest, _)| manifest)
    }

    /// Reads a manifest, and the entity tag by which a later write can be made conditional.
    pub(super) fn manifest_with_tag(
        &self,
        reference: &str,
    ) -> Result<(Document, Option<String>), RegistryError> {
        let place = || self.place(reference);
        let url = self.at(&format!("manifests/{reference}"))?;
        let request = Request::get(url).header("accept", ACCEPT);
        let answer = self.send(&request, Way::Followed)?;
        if answer.status() == 404 {
            return Err(self.missing(reference, answer));
        }
        let answer = answer.expect(&[200])?;
        let promised = answer.header("docker-content-digest").map(str::parse::<Digest>);
        let said = answer.header("content-type").map(str::to_owned);
        let entity = answer.header("etag").map(str::to_owned);
        let error = |error| RegistryError::Document { place: place(), error };
        let bytes = match answer.bytes(MAX_MANIFEST) {
            Err(long) if matches!(long.fault, Fault::Long(_)) => {
                return Err(error(DocumentError::Long { kind: "manifest", limit: MAX_MANIFEST }));
            }
            read => read?,
        };
        let found = Digest::of(&bytes);
        if let Some(Ok(expected)) = promised
            && expected != found
        {
            return Err(RegistryError::Differs { place: place(), expected, found });
        }
        let kind: Kind = serde_json::from_slice(&bytes)
            .map_err(|json| error(DocumentError::Json { kind: "manifest", error: json }))?;
        // What the document says of itself counts; the header only where it says nothing.
        let said = said.as_deref().map(|said| said.split(';').next().unwrap_or_default().trim());
        let media_type = kind.media_type.as_deref().or(said).unwrap_or_default();
        let media_type = MediaType::from(media_type.to_owned());
        if !media_type.is_index() && !media_type.is_manifest() {
            let found = media_type.as_str().chars().take(100).collect();
            return Err(RegistryError::MediaType { place: place(), found });
        }
        let descriptor = Descriptor::new(media_type, found, bytes.len() as u64);
        Ok((Document { descriptor, bytes }, entity))
    }

    /// Says that something is not there; a page that says so is none of a registry's.
    fn missing(&self, reference: &str, answer: Response) -> RegistryError {
        let error = answer.into_error();
        match &error.fault {
            Fault::Status { said, .. } if said.iter().any(|one| one.contains("NAME_UNKNOWN")) => {
                RegistryError::Missing(format!("{}/{}", self.host, self.name))
            }
            _ => RegistryError::Missing(self.place(reference)),
        }
    }

    /// Asks which digest a tag or a digest has, without reading it. None when it is not there.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub fn head(&self, reference: &str) -> Result<Option<Digest>, RegistryError> {
        let url = self.at(&format!("manifests/{reference}"))?;
        let request = Request::new(Method::Head, url).header("accept", ACCEPT);
        let answer = self.send(&request, Way::Followed)?;
        if answer.status() == 404 {
            return Ok(None);
        }
        let answer = answer.expect(&[200])?;
        match answer.header("docker-content-digest").and_then(|digest| digest.parse().ok()) {
            Some(digest) => Ok(Some(digest)),
            // Old registries leave it out.
            None => Ok(Some(self.manifest_at(reference)?.descriptor.digest)),
        }
    }

    /// Says whether a blob is there.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub fn has_blob(&self, digest: &Digest) -> Result<bool, RegistryError> {
        let request = Request::new(Method::Head, self.at(&format!("blobs/{digest}"))?);
        let answer = self.send(&request, Way::Followed)?;
        match answer.status() {
            404 => Ok(false),
            _ => answer.expect(&[200]).map(|_| true).map_err(RegistryError::from),
        }
    }

    /// Opens a blob. Reading it to the end checks its digest and size; a broken connection is
    /// taken up again where it broke.
    ///
    /// # Errors
    /// When it is not there, or the registry does not answer. Errors of the reader hold an
    /// [`HttpError`] where the connection failed for good.
    pub fn blob(
        &self,
        digest: &Digest,
        size: u64,
    ) -> Result<VerifiedReader<impl Read + Send + use<>>, RegistryError> {
        let url = self.at(&format!("blobs/{digest}"))?;
        let first = self.send(&Request::get(url.clone()), Way::Followed)?;
        if first.status() == 404 {
            return Err(RegistryError::Missing(self.place(&digest.to_string())));
        }
        let own = self.clone();
        let rest = Resuming::new(&self.registries.client, first, move |from| {
            let request = Request::get(url.clone()).header("range", resume::range(from));
            own.send(&request, Way::Followed).map_err(|error| match error {
                RegistryError::Http(error) => error,
                // Permission has run out and was not given again.
                other => HttpError {
                    method: Method::Get,
                    url: url.clone(),
                    fault: Fault::Unexpected(other.to_string()),
                },
            })
        })?;
        Ok(VerifiedReader::new(rest, *digest.bytes(), size))
    }

    /// Lists the tags, in the registry's order.
    ///
    /// # Errors
    /// When the registry does not answer with a list, or with one without end.
    pub fn tags(&self) -> Result<Vec<String>, RegistryError> {
        let mut found = BTreeSet::new();
        self.pages(self.at("tags/list")?, "tags", &mut |bytes| {
            let page: Tags = serde_json::from_slice(bytes)?;
            // What is no tag could not be asked for.
            found.extend(page.tags.unwrap_or_default().into_iter().filter(|tag| is_tag(tag)));
            Ok(found.len())
        })?;
        Ok(found.into_iter().collect())
    }

    /// Reads all pages of a list of `what`. `take` reads one and says how many entries there are
    /// now.
    pub(super) fn pages(
        &self,
        mut url: Url,
        what: &'static str,
        take: &mut dyn FnMut(&[u8]) -> Result<usize, serde_json::Error>,
    ) -> Result<(), RegistryError> {
        for _ in 0..MAX_PAGES {
            let answer = self.send(&Request::get(url.clone()), Way::Followed)?;
            if answer.status() == 404 {
                return Err(RegistryError::Missing(format!("{}/{}", self.host, self.name)));
            }
            let answer = answer.expect(&[200])?;
            let next = self.next_page(&answer)?;
            let at = answer.url().clone();
            let bytes = answer.bytes(MAX_PAGE)?;
            let count = take(&bytes).map_err(|error| HttpError {
                method: Method::Get,
                url: at,
                fault: Fault::Unexpected(error.to_string()),
            })?;
            if count > MAX_TAGS {
                let host = self.host.clone();
                return Err(RegistryError::Many { host, what, limit: MAX_TAGS });
            }
            match next {
                None => return Ok(()),
                Some(next) if next == url => break,
                Some(next) => url = next,
            }
        }
        Err(RegistryError::Endless(self.place(what)))
    }

    /// Returns the address of the next page: one of this registry, or none that is followed.
    pub(super) fn next_page(&self, answer: &Response) -> Result<Option<Url>, RegistryError> {
        let Some(link) = answer.header("link").and_then(super::link::next) else {
            return Ok(None);
        };
        let next = answer.url().join(link).map_err(|why| answer.error(Fault::Location(why)))?;
        if *next.origin() != self.origin {
            let fault = Fault::Unexpected("its next page is on another host".to_owned());
            return Err(answer.error(fault).into());
        }
        Ok(Some(next))
    }
}
