//! What was signed of waivers, by what was signed.

use super::Waiver;
use crate::oci::Digest;
use crate::signature::claimed_digest;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How the name of a bundle beside waivers ends.
pub const ENDING: &str = ".sigstore.json";

/// The most bundles of one waiver that are looked at.
const MOST: usize = 16;

/// Bundles by the digests of what they sign. None of them was verified.
#[derive(Debug, Default)]
pub struct Approvals(BTreeMap<Digest, Vec<Arc<[u8]>>>);

impl Approvals {
    /// Takes the bytes of a bundle.
    ///
    /// # Errors
    /// When it is no bundle over the bytes of a file.
    pub fn add(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        let digest = claimed_digest(&bytes).map_err(|error| error.to_string())?;
        let digest = digest.ok_or("it is no bundle over the bytes of a waiver")?;
        self.0.entry(Digest::from(digest)).or_default().push(bytes.into());
        Ok(())
    }

    /// Gives each waiver what was signed of it as it is now.
    pub fn hand_out<'w>(&self, waivers: impl IntoIterator<Item = &'w mut Waiver>) {
        if self.0.is_empty() {
            return;
        }
        for waiver in waivers {
            let bundles = self.0.get(&waiver.digest()).into_iter().flatten();
            waiver.approvals = bundles.take(MOST).cloned().collect();
        }
    }
}
