//! Mirroring what was approved: from its makers into the private registry, by digest only, and
//! what has changed on either side since.
//!
//! Takes approvals and connections, gives for each what was done or what differs. Writes
//! nothing but what an approval names, and reads its makers with GET only.

mod drift;

use super::clearance::{Clearance, ClearanceError, Demand, Voucher, clear, is_vouched_for};
use super::transfer::{self, Origin, TransferError};
use crate::approval::Artifact;
use crate::http::{Access, HostPolicy};
use crate::oci::{Descriptor, Digest, Platform, Reference};
use crate::policy::Terms;
use crate::publish::registry::{Receipt, has_tagged};
use crate::registry::{self, Purpose, Registries, RegistryError, Repository};
use crate::settings::{Policy, Requirement, Standing};
use crate::store::progress::Progress;
use crate::verify::Trust;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use drift::{Drift, ScanError, Stray, check, strays};

/// Why something was not mirrored or compared.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum MirrorError {
    #[error(transparent)]
    Transfer(Box<TransferError>),
    #[error(transparent)]
    Clearance(Box<ClearanceError>),
    #[error(transparent)]
    Scan(Box<drift::ScanError>),
    #[error("the policy does not let `{0}` be read: `[mirror] sources` does not name it")]
    Source(String),
    #[error("`{0}` is no place in a registry")]
    Place(String),
}

impl From<TransferError> for MirrorError {
    fn from(error: TransferError) -> Self {
        Self::Transfer(Box::new(error))
    }
}

impl From<RegistryError> for MirrorError {
    fn from(error: RegistryError) -> Self {
        TransferError::from(error).into()
    }
}

impl From<ClearanceError> for MirrorError {
    fn from(error: ClearanceError) -> Self {
        Self::Clearance(Box::new(error))
    }
}

impl From<drift::ScanError> for MirrorError {
    fn from(error: drift::ScanError) -> Self {
        Self::Scan(Box::new(error))
    }
}

/// What has become of one approval.
#[derive(Debug)]
pub enum Outcome {
    /// Everything is where it should be already.
    InSync,
    /// It was copied.
    Copied(Receipt),
    /// The approval has ended: nothing was copied.
    Expired,
    /// It was judged and rejected: nothing was copied.
    Rejected(Box<Clearance>),
}

/// Where something comes from and where it goes, as the policy lets it.
///
/// # Errors
/// A source that `[mirror] sources` does not name, where it must; a target that the policy
/// does not let be written.
pub fn hosts<'a>(
    policy: &Policy,
    places: impl Iterator<Item = (&'a Reference, Option<&'a Reference>)>,
    access: Access,
    plain: &[String],
) -> Result<HostPolicy, MirrorError> {
    let (mut sources, mut targets) = (Vec::new(), Vec::new());
    for (source, target) in places {
        may_read(policy, source)?;
        sources.push(source);
        if let Some(target) = target {
            may_write(policy, target)?;
            targets.push(target);
        }
    }
    // What may be read is decided; their hosts are beside those of the registry.
    let registry = policy.registry.clone();
    let registry = registry.map(|own| crate::settings::Registry { allowlist_only: false, ..own });
    let mut hosts = transfer::hosts(registry.as_ref(), &sources, None, plain)?;
    for target in targets {
        if let Reference::Registry { host, .. } = target {
            registry::allow(&mut hosts, host, access)?;
        }
    }
    Ok(hosts)
}

fn place(reference: &Reference) -> Result<String, MirrorError> {
    match reference {
        Reference::Registry { host, repository, .. } => Ok(format!("{host}/{repository}")),
        other => Err(MirrorError::Place(other.to_string())),
    }
}

/// Makes sure that a place may be read: one of `[mirror] sources`, where the policy has these or
/// lets no other host be reached.
fn may_read(policy: &Policy, source: &Reference) -> Result<(), MirrorError> {
    let place = place(source)?;
    let bound = !policy.mirror.sources.is_empty()
        || policy.registry.as_ref().is_some_and(|registry| registry.allowlist_only);
    let own = policy.registry.as_ref().is_some_and(|registry| {
        registry.standing(&place) != Standing::Unknown || registry.is_mirror(&place)
    });
    match !bound || own || policy.mirror.is_source(&place) {
        true => Ok(()),
        false => Err(MirrorError::Source(place)),
    }
}

/// Makes sure that a place may be written: one that the policy publishes to, or reads its bases
/// from in the stead of their makers.
fn may_write(policy: &Policy, target: &Reference) -> Result<(), MirrorError> {
    let place = place(target)?;
    match &policy.registry {
        Some(registry) if registry.is_mirror(&place) => Ok(()),
        registry => Ok(transfer::standing(registry.as_ref(), target).map(|_| ())?),
    }
}

/// Returns what must be signed of something for a place: what was approved, and in the trust root
/// what the policy demands of everything there.
pub fn required(policy: &Policy, target: &Reference, approved: &[Requirement]) -> Vec<Requirement> {
    let standing = transfer::standing(policy.registry.as_ref(), target);
    let trusted = matches!(standing, Ok(Standing::Trusted));
    let of_policy = policy.gate.require.iter().filter(|_| trusted);
    let all: BTreeSet<_> = approved.iter().chain(of_policy).copied().collect();
    all.into_iter().collect()
}

/// What was found of an image that is to be approved.
#[derive(Debug)]
pub struct Candidate {
    /// Its digest.
    pub digest: Digest,
    /// The tag that led to it.
    pub by_tag: Option<String>,
    /// Its platforms, those that karat knows.
    pub platforms: BTreeMap<Platform, Digest>,
    /// What the gate says of it, and what is signed.
    pub clearance: Clearance,
}

/// Looks at an image as [`run`] will.
///
/// # Errors
/// When it cannot be read.
pub fn candidate(
    registries: &Registries,
    source: &Reference,
    trust: &Trust,
    require: &[Requirement],
    terms: &Terms<'_>,
) -> Result<Candidate, MirrorError> {
    let origin = transfer::open(registries, source, false, true)?;
    let demand = Demand { trust, require, of_each: false };
    let clearance = clear(source, &origin, Some(demand), terms)?;
    Ok(Candidate {
        digest: origin.root.digest,
        by_tag: origin.by_tag.clone(),
        platforms: platforms(&origin)?,
        clearance,
    })
}

/// Returns the platforms of an image that karat knows, with the digests of their manifests.
fn platforms(origin: &Origin) -> Result<BTreeMap<Platform, Digest>, TransferError> {
    let known = |one: &Descriptor| one.platform.as_ref().and_then(|fields| fields.known());
    let mut found = BTreeMap::new();
    for one in origin.stored.manifests(&origin.root)? {
        let platform = match known(&one) {
            Some(platform) => Some(platform),
            // A lone manifest says its platform in its configuration.
            None if !origin.root.media_type.is_index() => {
                origin.stored.documents(&one)?.1.platform().known()
            }
            None => None,
        };
        if let Some(platform) = platform {
            found.insert(platform, one.digest);
        }
    }
    Ok(found)
}

/// Brings what was approved to where it was approved for, if it is not there yet: judged first,
/// by the digest that was approved, with all that refers to it, the tag last. A `voucher` signs
/// that it has passed, where nobody has lately. `watched` is given how far it is, once there is
/// something to do.
///
/// # Errors
/// When one of the two registries does not answer, or something cannot be read.
pub fn run(
    registries: &Registries,
    artifact: &Artifact,
    trust: &Trust,
    terms: &Terms<'_>,
    voucher: Option<&Voucher<'_>>,
    watched: &mut dyn FnMut(&Arc<Progress>),
) -> Result<Outcome, MirrorError> {
    if !artifact.holds_on(terms.now().date()) {
        return Ok(Outcome::Expired);
    }
    let (source, target) = ends(artifact)?;
    let mut origin = transfer::open(registries, &source, true, true)?;
    let missing = match voucher {
        Some(by) if !is_vouched_for(registries, &target, &origin, by.trust)? => Some(by),
        _ => None,
    };
    if missing.is_none() && is_whole(registries, artifact, &origin)? {
        return Ok(Outcome::InSync);
    }
    watched(&origin.stored.progress);
    let mut require = required(terms.policy(), &target, &artifact.require);
    // That it has passed is what is found out here.
    require.retain(|one| voucher.is_none() || *one != Requirement::Vsa);
    let demand = Demand { trust, require: &require, of_each: false };
    let clearance = clear(&source, &origin, Some(demand), terms)?;
    if !clearance.accepted() {
        return Ok(Outcome::Rejected(Box::new(clearance)));
    }
    if let Some(by) = missing {
        clearance.vouch(&mut origin, by)?;
    }
    let receipt = transfer::publish(registries, &origin, &target, &[artifact.target_tag()], true)?;
    Ok(Outcome::Copied(receipt))
}

/// Returns the two ends of an approval.
fn ends(artifact: &Artifact) -> Result<(Reference, Reference), MirrorError> {
    let none = |place: &String| MirrorError::Place(place.clone());
    let source = artifact.reference().ok_or_else(|| none(&artifact.source))?;
    let target = artifact.destination().ok_or_else(|| none(&artifact.target))?;
    Ok((source, target))
}

/// Opens the place that something was approved for.
fn target(registries: &Registries, artifact: &Artifact) -> Result<Repository, MirrorError> {
    let (_, target) = ends(artifact)?;
    match &target {
        Reference::Registry { host, repository, .. } => {
            Ok(registries.open(host, repository, Purpose::Pull, None)?)
        }
        other => Err(MirrorError::Place(other.to_string())),
    }
}

/// Says whether a target has the image, its tag, and everything that refers to it at its source.
fn is_whole(
    registries: &Registries,
    artifact: &Artifact,
    origin: &Origin,
) -> Result<bool, MirrorError> {
    let target = target(registries, artifact)?;
    if target.head(&artifact.target_tag())? != Some(artifact.digest) {
        return Ok(false);
    }
    Ok(lost(origin, &target)?.is_empty())
}

/// Returns what refers to an image at its source and does not where it went: digests of
/// manifests, and tags of cosign's old form.
fn lost(origin: &Origin, target: &Repository) -> Result<Vec<String>, MirrorError> {
    let mut there = BTreeSet::new();
    for subject in origin.covered()? {
        there.extend(target.referrers(&subject)?.iter().map(|one| one.digest));
    }
    let artifacts = origin.stored.artifacts().map(|one| one.digest);
    let mut lost: Vec<String> = artifacts
        .filter(|digest| !there.contains(digest))
        .map(|digest| digest.to_string())
        .collect();
    for (tag, graph) in origin.legacy()? {
        if !has_tagged(target, &tag, &graph.root)? {
            lost.push(tag);
        }
    }
    Ok(lost)
}
