//! What the commands have in common that let an image into a place which others trust.

use super::failure::Failure;
use super::output::Output;
use super::settings;
use karat::finding::{Severity, escape};
use karat::oci::Reference;
use karat::pipeline::clearance::{Clearance, Voucher};
use karat::settings::{Policy, Requirement};
use karat::signature::KeyHandle;
use karat::signature::sigstore::Signer;
use karat::time::{Epoch, Now};
use karat::verify::Trust;
use std::path::Path;

/// The key that signs summaries of verifications.
pub(super) struct Seal {
    key: Box<dyn KeyHandle>,
    epoch: Epoch,
}

impl Seal {
    /// Reads the key. `scanned` says whether known vulnerabilities are looked up: what was not
    /// looked at is not said to have passed.
    pub(super) fn read(path: Option<&Path>, scanned: bool) -> Result<Option<Self>, Failure> {
        let Some(path) = path else { return Ok(None) };
        if !scanned {
            return Err(Failure::usage(
                "`--sign` says that an image has passed, and nothing says which vulnerabilities are known",
            )
            .hint("name a database, `--db FILE`; `karat db fetch` gets one"));
        }
        let (key, epoch) = (settings::private_key(path)?, settings::epoch(None)?);
        Ok(Some(Self { key, epoch }))
    }

    /// Returns whose summaries count at a place. Those that have lived half of their time are to
    /// be renewed, before they are too old.
    pub(super) fn trust(&self, policy: &Policy, place: &str, now: Now) -> Result<Trust, Failure> {
        let own = Signer::Key(self.key.public_key().clone());
        let mut trust = of_signer(own, None, policy, place, now)?;
        if let Some(terms) = &mut trust.vsa {
            terms.max_age /= 2;
        }
        Ok(trust)
    }

    /// Says who vouches for what goes to a place.
    pub(super) fn voucher<'a>(
        &'a self,
        trust: &'a Trust,
        policy: &'a Policy,
        place: &'a str,
        now: Now,
    ) -> Voucher<'a> {
        Voucher { key: &self.key, trust, policy, place, epoch: self.epoch, now }
    }
}

/// Returns whom the policy trusts for an image at a place; where it names nobody, whoever has
/// signs here.
pub(super) fn of_signer(
    signer: Signer,
    trusted_root: Option<&Path>,
    policy: &Policy,
    place: &str,
    now: Now,
) -> Result<Trust, Failure> {
    let root = settings::trusted_root(trusted_root, policy)?;
    match policy.trust.is_empty() {
        true => Ok(Trust::in_one(signer, root).under(policy, now)),
        false => Trust::of_policy(policy, place, root, now).map_err(Failure::usage),
    }
}

/// Returns what must be there before a summary is written, which that summary itself is not.
pub(super) fn before(require: &[Requirement], seal: Option<&Seal>) -> Vec<Requirement> {
    let is_made = |one: &&Requirement| seal.is_some() && **one == Requirement::Vsa;
    require.iter().filter(|one| !is_made(one)).copied().collect()
}

/// Says why an image was rejected.
pub(super) fn rejected(
    source: &Reference,
    clearance: &Clearance,
    trust: Option<&Trust>,
    output: &Output,
) {
    let report = &clearance.report;
    let tell = |text: &str| output.tell(&escape::terminal(text));
    let digest = report.subject.digest.map(|digest| format!("  {digest}")).unwrap_or_default();
    tell(&format!("rejected  {source}{digest}: {}", report.counts()));
    for line in report.findings_text(Severity::Low).lines() {
        output.tell(line);
    }
    for (digest, why) in &clearance.ignored {
        tell(&format!("ignored   the OpenVEX document {digest}: {why}"));
    }
    let Some(verification) = &clearance.verification else { return };
    for damage in &verification.damage {
        tell(&format!("differs   {damage}"));
    }
    for revoked in &verification.revoked {
        tell(&format!("revoked   {revoked}"));
    }
    if clearance.is_signed() {
        return;
    }
    let by = trust.map(|trust| format!(", by {trust}")).unwrap_or_default();
    for subject in &verification.subjects {
        for (requirement, _) in subject.met.iter().filter(|(_, met)| !**met) {
            tell(&format!("missing   {requirement} of {}{by}", subject.digest));
        }
        for candidate in &subject.candidates {
            if let Some(why) = &candidate.refused {
                tell(&format!("refused   {}: {why}", candidate.digest));
            }
        }
    }
}
