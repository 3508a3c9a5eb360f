//! What is published already: judged again by its signed bills of materials, and searched, without
//! pulling a layer.
//!
//! Takes places in registries, gives images with what their bills say. A bill counts when it
//! is signed by whom it must be; an image without one cannot be judged, which is said and is
//! never taken for clean.

use crate::bom::{Listed, Wanted, spdx23};
use crate::image::stored::{Stored, StoredError};
use crate::oci::{Descriptor, DiffId, Digest, Platform, Reference};
use crate::pipeline::signed_vex::{self, SignedVex};
use crate::pipeline::statements;
use crate::pipeline::transfer::{self, TransferError};
use crate::registry::{Purpose, Registries, RegistryError};
use crate::settings::Requirement;
use crate::trust::Trust;
use crate::verify;
use serde_json::Value;
use std::collections::BTreeMap;

/// The most images of one repository, and the most repositories.
const MAX_IMAGES: usize = 10_000;

/// An image that is published.
#[derive(Debug)]
pub struct Published {
    /// `HOST/REPO`.
    pub place: String,
    /// The digest of its manifest or index.
    pub digest: Digest,
    /// The tags that lead to it.
    pub tags: Vec<String>,
    /// Its platforms.
    pub parts: Vec<Part>,
    /// What of it is revoked, and what is required and not signed of it any more: a summary of
    /// a verification that is too old, for one.
    pub lacks: Vec<String>,
    /// The statements on its vulnerabilities that are signed, and the documents that do not count.
    pub vex: SignedVex,
}

/// An image of one platform.
#[derive(Debug)]
pub struct Part {
    /// The platform, where karat knows it.
    pub platform: Option<Platform>,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The digests of its configuration and its layers.
    pub blobs: Vec<Digest>,
    /// Its layers by what is in them.
    pub diff_ids: Vec<DiffId>,
    /// What its signed bill lists, or why there is none that counts.
    pub bill: Result<Listed, String>,
}

/// Returns the repositories at or below some places, by the lists of their registries.
///
/// # Errors
/// When a registry does not answer, or has no such list.
pub fn repositories(
    registries: &Registries,
    places: &[String],
) -> Result<Vec<String>, RegistryError> {
    let mut found = Vec::new();
    let mut lists: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for place in places {
        let Some((host, root)) = place.split_once('/') else { continue };
        if !lists.contains_key(host) {
            lists.insert(host, registries.catalogue(host)?);
        }
        let is_below = |name: &&String| {
            name.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let names = lists.get(host).into_iter().flatten().filter(is_below);
        found.extend(names.map(|name| format!("{host}/{name}")));
    }
    found.sort();
    found.dedup();
    if found.len() > MAX_IMAGES {
        let host = places.first().cloned().unwrap_or_default();
        return Err(RegistryError::Many { host, what: "repositories", limit: MAX_IMAGES });
    }
    Ok(found)
}

/// Returns the images of a place: that of its digest where it has one, else everything that its
/// tags lead to.
///
/// # Errors
/// When the registry does not answer, or the place is none.
pub fn images(
    registries: &Registries,
    place: &Reference,
) -> Result<Vec<(Digest, Vec<String>)>, TransferError> {
    let Reference::Registry { host, repository: name, tag, digest } = place else {
        return Err(TransferError::Source(place.clone()));
    };
    if let Some(digest) = digest {
        return Ok(vec![(*digest, tag.iter().cloned().collect())]);
    }
    let repository = registries.open(host, name, Purpose::Pull, None)?;
    let tags = match tag {
        Some(tag) => vec![tag.clone()],
        None => repository.tags()?,
    };
    let mut found: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
    for tag in tags.into_iter().filter(|tag| !is_of_a_digest(tag)) {
        if let Some(digest) = repository.head(&tag)? {
            found.entry(digest).or_default().push(tag);
        }
        if found.len() > MAX_IMAGES {
            let (host, limit) = (host.clone(), MAX_IMAGES);
            return Err(RegistryError::Many { host, what: "images", limit }.into());
        }
    }
    Ok(found.into_iter().collect())
}

/// Says whether a tag belongs to a digest and is none of an image: lists of referrers, and
/// signatures in cosign's old form.
fn is_of_a_digest(tag: &str) -> bool {
    let front = tag.split('.').next().unwrap_or_default();
    front
        .strip_prefix("sha256-")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Reads the documents of an image and the bills that are signed of its platforms, and says what
/// of `require` is not signed of it today.
///
/// # Errors
/// When the registry does not answer, or the image cannot be read.
pub fn published(
    registries: &Registries,
    place: &Reference,
    digest: Digest,
    tags: Vec<String>,
    trust: &Trust,
    require: &[Requirement],
) -> Result<Published, TransferError> {
    let Reference::Registry { host, repository, .. } = place else {
        return Err(TransferError::Source(place.clone()));
    };
    let exact = Reference::Registry {
        host: host.clone(),
        repository: repository.clone(),
        tag: None,
        digest: Some(digest),
    };
    let origin = transfer::open(registries, &exact, true, true)?;
    let parts = parts(&origin.stored, &origin.root, trust)?;
    let verification = verify::signed(&origin.stored, &origin.root, trust, require)?;
    let missing = verification.subjects.iter().flat_map(|subject| {
        let lacking = subject.met.iter().filter(|(_, met)| !**met);
        lacking.map(|(requirement, _)| format!("no {requirement} of {} counts", subject.digest))
    });
    let lacks = verification.damage.iter().chain(&verification.revoked).cloned().chain(missing);
    let lacks = lacks.collect();
    let vex = signed_vex::of(&origin.stored, &origin.root, trust)?;
    let place = format!("{host}/{repository}");
    Ok(Published { place, digest, tags, parts, lacks, vex })
}

/// Returns the platforms of a stored image, with what is signed of each.
///
/// # Errors
/// When the image cannot be read.
pub fn parts(stored: &Stored, root: &Descriptor, trust: &Trust) -> Result<Vec<Part>, StoredError> {
    let manifests = stored.manifests(root)?;
    manifests.iter().map(|manifest| part(stored, manifest, trust)).collect()
}

fn part(stored: &Stored, descriptor: &Descriptor, trust: &Trust) -> Result<Part, StoredError> {
    let (manifest, config) = match stored.documents(descriptor) {
        Ok(documents) => documents,
        // A platform that is no image says nothing that could be judged.
        Err(error) if error.is_judgement() => {
            return Ok(Part {
                platform: None,
                digest: descriptor.digest,
                blobs: Vec::new(),
                diff_ids: Vec::new(),
                bill: Err(error.to_string()),
            });
        }
        Err(error) => return Err(error),
    };
    let named = descriptor.platform.as_ref().and_then(|fields| fields.known());
    let blobs = std::iter::once(manifest.config.digest)
        .chain(manifest.layers.iter().map(|layer| layer.digest))
        .collect();
    Ok(Part {
        platform: named.or_else(|| config.platform().known()),
        digest: descriptor.digest,
        blobs,
        diff_ids: config.rootfs.diff_ids,
        bill: bill(stored, &descriptor.digest, trust)?,
    })
}

/// Finds a signed bill of a digest.
fn bill(
    stored: &Stored,
    subject: &Digest,
    trust: &Trust,
) -> Result<Result<Listed, String>, StoredError> {
    let mut refused: Option<String> = None;
    for one in statements::about(stored, &[*subject], trust)? {
        match one.judged {
            Ok(signed) if signed.predicate_type == spdx23::PREDICATE_TYPE => {
                match signed.statement.as_deref().and_then(listed) {
                    Some(listed) => return Ok(Ok(listed)),
                    None => refused = Some("the bill that is signed cannot be read".to_owned()),
                }
            }
            Ok(_) => {}
            Err(why) => {
                refused.get_or_insert_with(|| why.to_string());
            }
        }
    }
    Ok(Err(match refused {
        Some(why) => format!("no bill of materials that is signed by {trust}: {why}"),
        None => "no signed bill of materials".to_owned(),
    }))
}

/// Reads the bill out of a signed statement (in-toto, Statement v1).
fn listed(statement: &[u8]) -> Option<Listed> {
    let statement: Value = serde_json::from_slice(statement).ok()?;
    Listed::read(statement.get("predicate")?)
}

impl Part {
    /// Returns what of it is the hash, or is listed as what is wanted: name and version.
    pub fn find(&self, wanted: &Wanted) -> Vec<(String, String)> {
        let mut found = Vec::new();
        if let Wanted::Sha256(hex) = wanted {
            if self.digest.hex() == *hex {
                found.push(("the image itself".to_owned(), String::new()));
            }
            if self.blobs.iter().any(|blob| blob.hex() == *hex) {
                found.push(("a layer or the configuration".to_owned(), String::new()));
            }
        }
        if let Ok(listed) = &self.bill {
            found.extend(listed.find(wanted));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_digests_are_none_of_images() {
        let hex = "a".repeat(64);
        for (tag, is) in [
            (format!("sha256-{hex}"), true),
            (format!("sha256-{hex}.sig"), true),
            (format!("sha256-{}", "a".repeat(63)), false),
            ("v1.2.3".to_owned(), false),
            ("sha256-x".to_owned(), false),
        ] {
            assert_eq!(is_of_a_digest(&tag), is, "{tag}");
        }
    }
}
