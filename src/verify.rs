//! Verification: is what lies there what was signed?
//!
//! Takes a stored image, a key and what is required, gives every candidate with the
//! reason why it was taken or refused. Reads every byte of the image, so that a changed
//! one shows, and trusts no annotation: what counts is what was signed.

use crate::image::stored::{Stored, StoredError};
use crate::oci::document::{MAX_MANIFEST, Manifest};
use crate::oci::legacy::Legacy;
use crate::oci::{Descriptor, Digest};
use crate::settings::Requirement;
use crate::signature::sigstore::Reason;
use crate::trust::{self, MAX_CANDIDATES, Refused, Signed};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

pub use crate::trust::Trust;

/// The outcome of a verification.
#[derive(Debug, Serialize)]
pub struct Verification {
    /// The digest that was verified.
    pub digest: Digest,
    /// Each digest that must be signed: the image, and the platforms of an index.
    pub subjects: Vec<Subject>,
    /// What of the stored bytes is not what its digest says.
    pub damage: Vec<String>,
    /// What of the digests is trusted no longer, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<String>,
}

/// One digest and what is signed about it.
#[derive(Debug, Serialize)]
pub struct Subject {
    /// The digest.
    pub digest: Digest,
    /// The platform, below an index.
    pub platform: Option<String>,
    /// Which requirements are met.
    pub met: BTreeMap<Requirement, bool>,
    /// What was looked at.
    pub candidates: Vec<Candidate>,
}

/// One signature that was looked at.
#[derive(Debug, Serialize)]
pub struct Candidate {
    /// The digest of the manifest that holds it.
    pub digest: Digest,
    /// The digest of the layer, of a manifest in cosign's old form, which may hold several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<Digest>,
    /// The signed predicate type; none when it was not verified.
    pub predicate_type: Option<String>,
    /// Why it does not count; none when it does.
    pub refused: Option<String>,
    /// What of its signature is wrong, in one word; none when that was not what was wrong.
    pub reason: Option<Reason>,
    /// The fingerprint of the key that signed, where a key was demanded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The identity that signed and its issuer, of a certificate that was verified.
    pub certified: Option<(String, String)>,
    /// Whether an entry of a trusted log was verified.
    pub logged: bool,
}

impl Subject {
    /// Says whether two signers have recorded, each for itself, how this digest was built: one who
    /// has built it, and one who has built it again.
    ///
    /// Source: slsa.dev/spec/v1.2/verified-properties, `SLSA_BUILD_REPRODUCED`.
    pub fn is_reproduced(&self) -> bool {
        let recorded = self.candidates.iter().filter(|one| {
            one.refused.is_none()
                && one.predicate_type.as_deref() == Some(Requirement::Provenance.predicate_type())
        });
        let signers: BTreeSet<_> = recorded
            .filter(|one| one.key.is_some() || one.certified.is_some())
            .map(|one| (&one.key, &one.certified))
            .collect();
        signers.len() > 1
    }
}

impl Verification {
    /// Says whether every subject has everything that is required, and every byte is right.
    pub fn accepted(&self) -> bool {
        self.damage.is_empty()
            && self.revoked.is_empty()
            && self.subjects.iter().all(|subject| subject.met.values().all(|met| *met))
    }

    /// Says whether everything that is required is there of the image as a whole, or of each of
    /// its platforms: makers often sign the index alone, which names its platforms by digest,
    /// and hang bills of materials on the platforms.
    pub fn accepted_as_whole(&self) -> bool {
        let Some((root, platforms)) = self.subjects.split_first() else { return false };
        let met = |(requirement, met): (&Requirement, &bool)| {
            let of = |platform: &Subject| platform.met.get(requirement) == Some(&true);
            *met || !platforms.is_empty() && platforms.iter().all(of)
        };
        self.damage.is_empty() && self.revoked.is_empty() && root.met.iter().all(met)
    }
}

/// Verifies a stored image.
///
/// # Errors
/// When the image cannot be read at all. What is there and wrong is in the outcome.
pub fn stored(
    stored: &Stored,
    root: &Descriptor,
    trust: &Trust,
    require: &[Requirement],
) -> Result<Verification, StoredError> {
    let mut verification = signed(stored, root, trust, require)?;
    let manifests = match stored.manifests(root) {
        Ok(manifests) => manifests,
        // Said already.
        Err(error) if error.is_judgement() => return Ok(verification),
        Err(error) => return Err(error),
    };
    for descriptor in &manifests {
        check_bytes(stored, descriptor, &mut verification.damage)?;
    }
    Ok(verification)
}

/// Verifies what is signed of a stored image, and reads none of its layers: for whoever reads
/// these anyway, against their digests.
///
/// # Errors
/// When the image cannot be read at all. What is there and wrong is in the outcome.
pub fn signed(
    stored: &Stored,
    root: &Descriptor,
    trust: &Trust,
    require: &[Requirement],
) -> Result<Verification, StoredError> {
    let mut damage = Vec::new();
    let mut subjects = Vec::new();
    let mut covered = vec![root.clone()];
    match stored.manifests(root) {
        Ok(manifests) if root.media_type.is_index() => covered.extend(manifests),
        Ok(_) => {}
        Err(error) if error.is_judgement() => damage.push(error.to_string()),
        Err(error) => return Err(error),
    }
    let referrers = read(stored, stored.artifacts());
    let legacy: Vec<Legacy> = stored.legacy().map(|(_, legacy)| legacy).collect();
    let manifests = read(stored, stored.legacy().map(|(descriptor, _)| descriptor));
    let legacy: Vec<_> = legacy.into_iter().zip(manifests).collect();
    let found = AllFound { referrers, legacy };
    for descriptor in &covered {
        let platform = descriptor.platform.as_ref().filter(|_| covered.len() > 1);
        subjects.push(subject(
            stored,
            descriptor,
            platform.and_then(|one| one.known()),
            &found,
            trust,
            require,
        ));
    }
    let revoked = covered.iter().filter_map(|one| {
        let why = trust.revoked_digest(&one.digest)?;
        Some(format!("{} is revoked: {why}", one.digest))
    });
    Ok(Verification { digest: root.digest, subjects, damage, revoked: revoked.collect() })
}

/// Reads every byte that a manifest names.
fn check_bytes(
    stored: &Stored,
    descriptor: &Descriptor,
    damage: &mut Vec<String>,
) -> Result<(), StoredError> {
    let manifest = match stored.documents(descriptor) {
        Ok((manifest, _)) => manifest,
        Err(error) if error.is_judgement() => {
            damage.push(format!("of the image {}: {error}", descriptor.digest));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for layer in &manifest.layers {
        match stored.check(layer) {
            Ok(()) => {}
            Err(error) if error.is_judgement() => damage.push(format!("layer: {error}")),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A referrer and its manifest, or why that could not be read.
type Found = (Descriptor, Result<Manifest, String>);

/// All that may be about one of the digests.
struct AllFound {
    referrers: Vec<Found>,
    /// Those in cosign's old form.
    legacy: Vec<(Legacy, Found)>,
}

fn read<'s>(stored: &'s Stored, all: impl Iterator<Item = &'s Descriptor>) -> Vec<Found> {
    let read = |descriptor: &Descriptor| {
        let manifest = stored
            .document(descriptor, MAX_MANIFEST)
            .map_err(|error| error.to_string())
            .and_then(|bytes| Manifest::parse(&bytes).map_err(|error| error.to_string()));
        (descriptor.clone(), manifest)
    };
    all.map(read).collect()
}

fn subject(
    stored: &Stored,
    descriptor: &Descriptor,
    platform: Option<crate::oci::Platform>,
    found: &AllFound,
    trust: &Trust,
    require: &[Requirement],
) -> Subject {
    let mut subject = Subject {
        digest: descriptor.digest,
        platform: platform.map(|platform| platform.to_string()),
        met: require.iter().map(|requirement| (*requirement, false)).collect(),
        candidates: Vec::new(),
    };
    for (referrer, manifest) in &found.referrers {
        let judged = match manifest {
            Ok(manifest) => trust::referrer(stored, manifest, &descriptor.digest, trust),
            // One that cannot be read may be about this digest: it is shown.
            Err(unreadable) => Err(Refused::Unreadable(unreadable.clone())),
        };
        let judged = match trust.revoked_digest(&referrer.digest) {
            Some(why) => judged.and_then(|_| Err(Refused::Revoked(why.to_owned()))),
            None => judged,
        };
        subject.add(referrer.digest, None, judged);
    }
    for (legacy, (holder, manifest)) in &found.legacy {
        subject.add_legacy(stored, *legacy, holder, manifest, trust);
    }
    subject
}

impl Subject {
    /// Judges the layers of a manifest in cosign's old form.
    fn add_legacy(
        &mut self,
        stored: &Stored,
        legacy: Legacy,
        holder: &Descriptor,
        manifest: &Result<Manifest, String>,
        trust: &Trust,
    ) {
        match legacy {
            Legacy::Tagged(about, _) if about != self.digest => return,
            // It is about no signed statement.
            Legacy::Tagged(_, "sbom") => return,
            Legacy::Tagged(..) | Legacy::Untagged => {}
        }
        let manifest = match manifest {
            Ok(manifest) => manifest,
            Err(unreadable) => {
                let refused = Refused::Unreadable(unreadable.clone());
                return self.add(holder.digest, None, Err(refused));
            }
        };
        if let Some(why) = trust.revoked_digest(&holder.digest) {
            return self.add(holder.digest, None, Err(Refused::Revoked(why.to_owned())));
        }
        for layer in &manifest.layers {
            if self.candidates.len() == MAX_CANDIDATES {
                return;
            }
            let judged = trust::legacy_layer(stored, legacy, layer, &self.digest, trust);
            // What has no tag may be about any image of the layout.
            if legacy == Legacy::Untagged
                && judged.as_ref().is_err_and(|why| why.reason() == Some(Reason::Artifact))
            {
                continue;
            }
            self.add(holder.digest, Some(layer.digest), judged.map(|(signed, _)| signed));
        }
    }

    /// Takes what was judged.
    fn add(&mut self, digest: Digest, layer: Option<Digest>, judged: Result<Signed, Refused>) {
        if matches!(judged, Err(Refused::OtherSubject(_)))
            || self.candidates.len() == MAX_CANDIDATES
        {
            return;
        }
        if let Ok(signed) = &judged {
            for (requirement, met) in &mut self.met {
                *met |= requirement.predicate_type() == signed.predicate_type;
            }
        }
        self.candidates.push(match judged {
            Ok(signed) => Candidate {
                digest,
                layer,
                predicate_type: Some(signed.predicate_type),
                refused: None,
                reason: None,
                key: signed.key,
                certified: signed.certified,
                logged: signed.logged,
            },
            Err(refused) => Candidate {
                digest,
                layer,
                predicate_type: None,
                refused: Some(refused.to_string()),
                reason: refused.reason(),
                key: None,
                certified: None,
                logged: false,
            },
        });
    }
}
