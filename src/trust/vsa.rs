//! Summaries of verifications: does one say that an image has passed this very policy, lately?
//!
//! Source: slsa.dev/spec/v1.0/verification_summary.

use crate::oci::Digest;
use crate::time::{Moment, Now};
use serde_json::Value;

/// How far a clock may run ahead of ours, in seconds.
const AHEAD: u64 = 300;
const DAY: u64 = 86_400;

/// What is demanded of a summary.
#[derive(Debug, Clone, Copy)]
pub struct VsaTerms {
    /// The digest of the policy that must have been passed.
    pub policy: Digest,
    /// How many days old it may be.
    pub max_age: u32,
    /// The time now.
    pub now: Now,
}

impl VsaTerms {
    /// Judges a statement that is a summary by its type.
    ///
    /// # Errors
    /// Why it does not count.
    pub(super) fn judge(&self, statement: &[u8]) -> Result<(), String> {
        let statement: Value =
            serde_json::from_slice(statement).map_err(|error| error.to_string())?;
        let text = |path: &str| {
            let found = statement.pointer(path).and_then(Value::as_str);
            found.ok_or_else(|| format!("the summary has no `{}`", path.replace('/', ".")))
        };
        let result = text("/predicate/verificationResult")?;
        if result != "PASSED" {
            return Err(format!("the summary says {result:?}"));
        }
        let policy = text("/predicate/policy/digest/sha256")?;
        if policy != self.policy.hex() {
            return Err(format!(
                "the summary is of the policy sha256:{policy}, and {} judges here",
                self.policy
            ));
        }
        let time = text("/predicate/timeVerified")?;
        let time: Moment = time.parse().map_err(|error| format!("the summary: {error}"))?;
        let now = Moment::from(self.now).seconds();
        if time.seconds() > now.saturating_add(AHEAD) {
            return Err(format!("the summary is of {time}, which is in the future"));
        }
        if now.saturating_sub(time.seconds()) > u64::from(self.max_age) * DAY {
            return Err(format!("the summary is of {time}, and {} days are allowed", self.max_age));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attest::summary::{Evidence, verification};
    use serde_json::json;
    use std::time::{Duration, UNIX_EPOCH};

    const TIME: u64 = 1_795_392_000;

    fn at(seconds: u64) -> Now {
        Now::new(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    fn judge(predicate: &Value, now: u64) -> Result<(), String> {
        let terms = VsaTerms { policy: Digest::of(b"policy"), max_age: 90, now: at(now) };
        terms.judge(json!({ "predicate": predicate }).to_string().as_bytes())
    }

    #[test]
    fn a_summary_counts_for_its_policy_and_its_time() {
        let good = verification(
            "golden",
            &Digest::of(b"policy"),
            "reg.example/app",
            at(TIME),
            &Evidence::default(),
        );
        judge(&good, TIME).unwrap();
        judge(&good, TIME - 300).unwrap();
        judge(&good, TIME + 90 * 86_400).unwrap();
        let changed = |path: &str, value: Value| {
            let mut changed = good.clone();
            *changed.pointer_mut(path).unwrap() = value;
            judge(&changed, TIME).unwrap_err()
        };
        assert!(judge(&good, TIME - 301).unwrap_err().contains("in the future"));
        assert!(judge(&good, TIME + 90 * 86_400 + 1).unwrap_err().contains("90 days"));
        assert!(changed("/verificationResult", "FAILED".into()).contains("FAILED"));
        assert!(changed("/verificationResult", Value::Null).contains("verificationResult"));
        assert!(changed("/policy/digest/sha256", "00".into()).contains("judges here"));
        assert!(changed("/policy/digest", json!({})).contains("policy.digest"));
        assert!(changed("/timeVerified", "yesterday".into()).contains("no moment"));
    }
}
