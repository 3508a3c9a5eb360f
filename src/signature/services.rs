//! The services of a sigstore instance that a signature is made with, by its signing
//! configuration.
//!
//! Source: sigstore/protobuf-specs, `sigstore_trustroot.proto`, `SigningConfig` version 0.2. The
//! crate of sigstore reads it and knows which services hold now; how many are used is decided
//! here.

use super::error::quoted;
use super::json::{self, Limits};
use super::sigstore::{Reason, Refusal};
use sigstore_verify::trust_root::{
    SIGSTORE_PRODUCTION_SIGNING_CONFIG, ServiceConfiguration, ServiceEndpoint, ServiceSelector,
    SigningConfig,
};
use std::collections::BTreeSet;

/// The longest signing configuration that is read, in bytes.
pub const MAX_CONFIG: usize = 1 << 20;
/// The most services of a kind that are asked.
const MAX_SERVICES: usize = 8;

const LIMITS: Limits =
    Limits { what: "signing configuration", bytes: MAX_CONFIG, depth: 16, values: 10_000 };

/// The services that are asked for one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Services {
    /// Where Fulcio's interface, version 2, begins.
    pub authority: String,
    /// Where the logs are, and the version of their interface, 1 or 2.
    pub logs: Vec<(String, u32)>,
    /// The addresses that give timestamps.
    pub timestamps: Vec<String>,
}

impl Services {
    /// Reads a signing configuration and chooses the services that hold now.
    ///
    /// # Errors
    /// When it is no unambiguous JSON of version 0.2, or has fewer services than it demands.
    pub fn of(text: &[u8]) -> Result<Self, Refusal> {
        let refused = |message: String| Refusal::new(Reason::TrustedRoot, message);
        json::check(text, LIMITS).map_err(|error| refused(error.to_string()))?;
        let text = std::str::from_utf8(text).map_err(|error| refused(error.to_string()))?;
        let config = SigningConfig::from_json(text).map_err(|error| {
            refused(format!("signing configuration is not valid: {}", quoted(&error.to_string())))
        })?;
        let authority = config.fulcio_url().ok_or_else(|| {
            refused(
                "the signing configuration names no certificate authority that holds now"
                    .to_owned(),
            )
        })?;
        let logs = choose("log", config.eligible_rekor_urls(None), &config.rekor_tlog_config)?;
        let stamps = choose("timestamp authority", config.eligible_tsa_urls(), &config.tsa_config)?;
        Ok(Self {
            authority: authority.url.clone(),
            logs: logs.iter().map(|one| (one.url.clone(), one.major_api_version)).collect(),
            timestamps: stamps.iter().map(|one| one.url.clone()).collect(),
        })
    }

    /// Returns the services of the public good instance of sigstore, as they were when this program
    /// was made.
    ///
    /// # Errors
    /// None that is known: the configuration comes with the program.
    pub fn public_good() -> Result<Self, Refusal> {
        Self::of(SIGSTORE_PRODUCTION_SIGNING_CONFIG.as_bytes())
    }
}

/// Chooses as many services as a configuration demands, no two of one operator.
fn choose<'c>(
    what: &str,
    eligible: Vec<&'c ServiceEndpoint>,
    demanded: &ServiceConfiguration,
) -> Result<Vec<&'c ServiceEndpoint>, Refusal> {
    let mut operators = BTreeSet::new();
    let mut distinct: Vec<&ServiceEndpoint> = Vec::new();
    for one in eligible {
        // Who names no operator is taken for one of its own.
        if one.operator.as_ref().is_none_or(|operator| operators.insert(operator)) {
            distinct.push(one);
        }
    }
    let wanted = match demanded.selector {
        ServiceSelector::All => distinct.len(),
        ServiceSelector::Exact => demanded.count.unwrap_or(1) as usize,
        _ => distinct.len().min(1),
    };
    if wanted > distinct.len() || wanted > MAX_SERVICES {
        let message = format!(
            "the signing configuration demands {wanted} of kind {what}, and {} of different operators hold now",
            distinct.len()
        );
        return Err(Refusal::new(Reason::TrustedRoot, message));
    }
    distinct.truncate(wanted);
    Ok(distinct)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn service(url: &str, version: u32, operator: &str) -> Value {
        json!({ "url": url, "majorApiVersion": version, "operator": operator,
                "validFor": { "start": "2024-01-01T00:00:00Z" } })
    }

    fn config() -> Value {
        json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service("https://f", 1, "a")],
            "rekorTlogUrls": [
                service("https://old", 1, "a"), service("https://new", 2, "a"),
                service("https://other", 2, "b"), service("https://next", 3, "c"),
            ],
            "tsaUrls": [service("https://t", 1, "a")],
            "rekorTlogConfig": { "selector": "ANY" },
            "tsaConfig": { "selector": "ALL" },
        })
    }

    fn of(config: &Value) -> Result<Services, String> {
        Services::of(config.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn as_many_are_chosen_as_are_demanded() {
        let chosen = of(&config()).unwrap();
        assert_eq!(chosen.authority, "https://f");
        assert_eq!(chosen.logs, [("https://new".to_owned(), 2)]);
        assert_eq!(chosen.timestamps, ["https://t"]);
        let with = |selector: Value| {
            let mut changed = config();
            changed["rekorTlogConfig"] = selector;
            of(&changed).map(|chosen| chosen.logs.len())
        };
        assert_eq!(with(json!({ "selector": "ALL" })), Ok(2));
        assert_eq!(with(json!({ "selector": "EXACT", "count": 2 })), Ok(2));
        assert!(
            with(json!({ "selector": "EXACT", "count": 3 })).unwrap_err().contains("demands 3")
        );
    }

    #[test]
    fn what_does_not_hold_is_not_chosen() {
        let mut over = config();
        over["caUrls"][0]["validFor"]["end"] = "2025-01-01T00:00:00Z".into();
        assert!(of(&over).unwrap_err().contains("no certificate authority"));
        let mut none = config();
        none["tsaUrls"] = json!([]);
        none["rekorTlogUrls"] = json!([]);
        let none = of(&none).unwrap();
        assert!(none.logs.is_empty() && none.timestamps.is_empty());
        let mut other = config();
        other["mediaType"] = "application/vnd.dev.sigstore.signingconfig.v0.9+json".into();
        assert!(of(&other).is_err());
        assert!(Services::of(b"{\"a\":1,\"a\":1}").is_err());
        assert!(Services::of(&vec![b'['; MAX_CONFIG + 1]).is_err());
    }

    #[test]
    fn public_good_instance_is_known() {
        let services = Services::public_good().unwrap();
        assert!(services.authority.starts_with("https://"));
        assert_eq!(services.logs.len(), 1);
    }
}
