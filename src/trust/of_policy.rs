//! What a policy says of signatures on one image, made ready to judge them.

use super::{Trust, Trusted, VsaTerms};
use crate::settings::Policy;
use crate::settings::trust::{Bound, Keyless, Subject, TrustedSigner, entries_for};
use crate::signature::sigstore::{Identity, Signer, TrustedRoot};
use crate::time::Now;
use std::sync::Arc;

impl Trust {
    /// Takes those whom a policy trusts to sign an image at `HOST/REPO`: of several entries the
    /// narrowest, for each statement ([`entries_for`]). Nobody, where no entry fits.
    ///
    /// # Errors
    /// When an expression is none any more with the image's name in it.
    pub fn of_policy(
        policy: &Policy,
        place: &str,
        root: impl Into<Arc<TrustedRoot>>,
        now: Now,
    ) -> Result<Self, String> {
        let mut signers = Vec::new();
        for (entry, bound, statements) in entries_for(&policy.trust, place) {
            let signer = match &entry.signer {
                TrustedSigner::Key(key) => Signer::Key(key.clone()),
                TrustedSigner::Keyless(keyless) => Signer::Identity(identity(keyless, &bound)?),
            };
            signers.push(Trusted {
                signer,
                statements: Some(statements),
                needs_log: entry.log_required,
                period: (entry.not_before, entry.not_after),
            });
        }
        let root = root.into();
        let trust = Self { signers, root, revoked: Vec::new(), today: None, vsa: None };
        Ok(trust.under(policy, now))
    }

    /// Takes over what holds whoever signs: what a policy has revoked, and what it demands of
    /// summaries of verifications.
    #[must_use]
    pub fn under(mut self, policy: &Policy, now: Now) -> Self {
        let today = now.date();
        self.revoked = policy.revoked_on(today).cloned().collect();
        self.today = Some(today);
        let max_age = policy.verify.vsa_max_age;
        self.vsa = Some(VsaTerms { policy: policy.digest(), max_age, now });
        self
    }
}

/// Makes the identity of an entry, for an image.
pub(super) fn identity(keyless: &Keyless, bound: &Bound) -> Result<Identity, String> {
    let plain = |text: &str| bound.fill(text, str::to_owned);
    // A name is no expression: `a.b` is not to match `axb`.
    let escaped = |text: &str| bound.fill(text, regex::escape);
    let mut identity = match &keyless.subject {
        Subject::Exact(subject) => Identity::exact(plain(subject), &*keyless.issuer),
        Subject::Regexp(pattern) => Identity::matching(&escaped(pattern), &*keyless.issuer)?,
    };
    if let Some(address) = &keyless.source_repository {
        identity = identity.from_repository(plain(address));
    }
    match &keyless.source_ref_regexp {
        Some(pattern) => identity.from_ref_matching(&escaped(pattern)),
        None => Ok(identity),
    }
}
