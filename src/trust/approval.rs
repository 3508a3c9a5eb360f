//! Has somebody whom a policy lets approve waivers signed these bytes?

use super::of_policy::identity;
use crate::oci::Digest;
use crate::settings::Policy;
use crate::settings::trust::{Bound, RevokedThing, TrustedSigner};
use crate::signature::sigstore::{self, Content, Signer, TrustedRoot};
use crate::time::Now;
use std::sync::Arc;

/// Says who of `approvers` has signed the bytes of a digest, by one of some bundles.
///
/// # Errors
/// When nobody has: in words, why each bundle does not count.
pub fn approval(
    digest: &Digest,
    bundles: &[Arc<[u8]>],
    approvers: &[TrustedSigner],
    policy: &Policy,
    now: Now,
) -> Result<String, String> {
    if bundles.is_empty() {
        return Err("nobody has signed it as it is now".to_owned());
    }
    let own = policy.sigstore.as_ref().map(|sigstore| sigstore.trusted_root.bytes());
    let root = own.map_or_else(TrustedRoot::public_good, TrustedRoot::parse);
    let root = root.map_err(|error| error.to_string())?;
    let is_revoked =
        |what: &RevokedThing| policy.revoked_on(now.date()).any(|one| one.what == *what);
    if is_revoked(&RevokedThing::Digest(*digest)) {
        return Err(format!("{digest} is revoked"));
    }
    let mut refused = Vec::new();
    for approver in approvers {
        let signer = match approver {
            TrustedSigner::Key(key) if is_revoked(&RevokedThing::Key(key.fingerprint())) => {
                refused.push(format!("the key {} is revoked", key.fingerprint()));
                continue;
            }
            TrustedSigner::Key(key) => Signer::Key(key.clone()),
            TrustedSigner::Keyless(one) => Signer::Identity(identity(one, &Bound::default())?),
        };
        for bundle in bundles {
            match sigstore::verify(bundle, digest.bytes(), &signer, &root) {
                Ok(verified) if matches!(verified.content, Content::Artifact) => {
                    return Ok(signer.to_string());
                }
                Ok(_) => refused.push("a statement about it is no approval".to_owned()),
                Err(refusal) => refused.push(format!("as {signer}: {refusal}")),
            }
        }
    }
    refused.dedup();
    Err(format!("no approver has signed it: {}", refused.join("; ")))
}
