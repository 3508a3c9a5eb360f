//! What a site demands: the policy, built in or from a `karat-policy.toml`.
//!
//! Takes the text of a policy file, gives the effective [`Policy`] and where each of its
//! values is from. Opens no file.

mod advisories;
pub mod file;
mod mirror;
mod sigstore;
pub mod trust;

pub use sigstore::{Sigstore, TrustedRootFile};

use crate::finding::Severity;
use crate::oci::{Digest, RepositoryPattern, canonical};
use crate::time::Date;
use serde::Serialize;
use std::collections::BTreeMap;

pub use advisories::{Advisories, Verdict, Vulnerabilities};
pub use mirror::{DriftState, Mirror};

/// The rules by which images are judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// What the gate demands.
    pub gate: Gate,
    /// What waivers may do.
    pub waivers: Waivers,
    /// What bases must be.
    pub bases: Bases,
    /// By which advisories is judged.
    #[serde(skip_serializing_if = "Advisories::is_default")]
    pub advisories: Advisories,
    /// Where images are published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<Registry>,
    /// Who vouches for signatures; none for the public good instance of sigstore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigstore: Option<Sigstore>,
    /// Who may sign what.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trust: Vec<trust::TrustEntry>,
    /// What is trusted no longer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<trust::Revocation>,
    /// What is demanded of summaries of verifications.
    #[serde(skip_serializing_if = "Verify::is_built_in")]
    pub verify: Verify,
    /// What is mirrored, and which drift is refused.
    #[serde(skip_serializing_if = "Mirror::is_default")]
    pub mirror: Mirror,
    /// Other rules for some images.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub profile: Vec<Profile>,
}

/// What bases must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Bases {
    /// How many days old the lock of a base may be.
    pub max_age: u32,
}

/// What is demanded of summaries of verifications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verify {
    /// How many days old one may be.
    pub vsa_max_age: u32,
}

impl Default for Verify {
    fn default() -> Self {
        Self { vsa_max_age: 90 }
    }
}

impl Verify {
    /// Says whether it is what every policy has that says nothing of it.
    pub fn is_built_in(&self) -> bool {
        *self == Self::default()
    }
}

/// The single trust root: where images are published, and what may be reached for that.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Registry {
    /// The repository, with its host, below which images get their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish: Option<String>,
    /// Where images wait to be published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staging: Option<String>,
    /// The repositories, with their hosts, below which lies what may run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// The hosts that uploads and downloads may be redirected to, without credentials.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub storage_hosts: Vec<String>,
    /// The hosts that may be asked for tokens, with credentials.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub auth_hosts: Vec<String>,
    /// Where bases are read from instead: a host or a place, and what takes its stead.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mirrors: BTreeMap<String, String>,
    /// Whether no other host is reached.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allowlist_only: bool,
    /// Whether images in registries are to be named by digest.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub require_digest: bool,
    /// Whether a tag never moves to another digest.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub immutable_tags: bool,
}

/// What a policy says of a place in a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// What is there is trusted: it is judged before it enters.
    Trusted,
    /// What is there waits to be judged.
    Staging,
    /// The policy does not name it.
    Unknown,
}

impl Registry {
    /// Says what a `HOST/REPO` is to the policy. Whole path segments are compared.
    pub fn standing(&self, place: &str) -> Standing {
        let is_at = |root: &String| is_below(place, root);
        if self.publish.iter().chain(&self.allow).any(is_at) {
            Standing::Trusted
        } else if self.staging.iter().any(is_at) {
            Standing::Staging
        } else {
            Standing::Unknown
        }
    }

    /// Returns the place from which something of a `HOST/REPO` is read: its mirror, by the
    /// longest entry that fits, or itself.
    pub fn mirrored(&self, place: &str) -> String {
        let fitting = self.mirrors.iter().filter(|(from, _)| is_below(place, from));
        match fitting.max_by_key(|(from, _)| from.len()) {
            Some((from, to)) => format!("{to}{}", &place[from.len()..]),
            None => place.to_owned(),
        }
    }

    /// Says whether a `HOST/REPO` is read in the stead of its makers' or lies below such a place.
    pub fn is_mirror(&self, place: &str) -> bool {
        self.mirrors.values().any(|mirror| is_below(place, mirror))
    }

    /// Returns the hosts of all repositories that the policy names.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        let places = self.publish.iter().chain(&self.staging).chain(&self.allow);
        let places = places.chain(self.mirrors.values());
        places.map(|place| place.split('/').next().unwrap_or_default())
    }
}

/// Says whether a place is another or lies below it, segment by segment.
fn is_below(place: &str, root: &str) -> bool {
    place.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Other rules for some images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Profile {
    /// The images.
    pub images: RepositoryPattern,
    /// Severities that differ from the gate's.
    pub rules: BTreeMap<String, RuleLevel>,
    /// The last day on which findings are only reported and reject nothing; none when they do.
    pub report_until: Option<Date>,
}

/// More than one profile is for an image, and none is narrower than the others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the profiles for `{0}` and `{1}` are both for the image `{2}`, and neither is narrower")]
pub struct ProfileTie(pub String, pub String, pub String);

/// What the gate demands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Gate {
    /// The number of the rule set that the policy was written for.
    pub edition: u32,
    /// The severities of which one open finding rejects an image.
    pub fail_on: Vec<Severity>,
    /// The most bytes that the stored layers beside the base's may have.
    pub max_size: u64,
    /// What must be signed for an image before it is released or accepted.
    pub require: Vec<Requirement>,
    /// What known vulnerabilities do.
    #[serde(skip_serializing_if = "Vulnerabilities::is_default")]
    pub vulnerabilities: Vulnerabilities,
    /// Severities that differ from the rules' own.
    pub rules: BTreeMap<String, RuleLevel>,
}

/// The severity that a policy gives a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RuleLevel {
    /// The severity; none when findings of the rule do not count at all.
    pub severity: Option<Severity>,
    /// Who answers for it when it is lower than the rule's own.
    pub exception: Option<Lowered>,
}

/// Who answers for a lower severity, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Lowered {
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// The last day on which it holds.
    pub expires: Date,
}

/// A signed statement that can be demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Requirement {
    /// A signature on the image.
    Signature,
    /// A bill of materials of the image.
    Sbom,
    /// How the image was made.
    Provenance,
    /// Known vulnerabilities of the image.
    Vulnerabilities,
    /// What the gate found.
    TestResult,
    /// That the image has passed a policy.
    Vsa,
    /// Which known vulnerabilities do not count.
    Vex,
}

impl Requirement {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Signature,
        Self::Sbom,
        Self::Provenance,
        Self::Vulnerabilities,
        Self::TestResult,
        Self::Vsa,
        Self::Vex,
    ];

    /// Returns the requirement of a name; none when there is none of it.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.to_string() == name)
    }

    /// Returns the predicate type of the statements that satisfy it: cosign 3's own for
    /// signatures, `spdx.dev/Document`, SLSA provenance v1 and verification summary v1, and
    /// in-toto's vulnerabilities v0.2 and test result v0.1, and OpenVEX v0.2.0.
    pub fn predicate_type(self) -> &'static str {
        match self {
            Self::Signature => "https://sigstore.dev/cosign/sign/v1",
            Self::Sbom => "https://spdx.dev/Document",
            Self::Provenance => "https://slsa.dev/provenance/v1",
            Self::Vulnerabilities => "https://in-toto.io/attestation/vulns/v0.2",
            Self::TestResult => "https://in-toto.io/attestation/test-result/v0.1",
            Self::Vsa => "https://slsa.dev/verification_summary/v1",
            Self::Vex => "https://openvex.dev/ns/v0.2.0",
        }
    }

    /// Tells which one a statement is, by its predicate type.
    pub fn of(predicate_type: &str) -> Option<Self> {
        // cosign names no version.
        if predicate_type == "https://openvex.dev/ns" {
            return Some(Self::Vex);
        }
        Self::ALL.into_iter().find(|one| one.predicate_type() == predicate_type)
    }
}

impl std::fmt::Display for Requirement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Signature => "signature",
            Self::Sbom => "sbom",
            Self::Provenance => "provenance",
            Self::Vulnerabilities => "vulnerabilities",
            Self::TestResult => "test-result",
            Self::Vsa => "vsa",
            Self::Vex => "vex",
        })
    }
}

/// What waivers may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Waivers {
    /// The most days from a waiver's creation to its end.
    pub max_days: u32,
    /// Rules that are never waived, beside those that cannot be; `*` at the end stands for anything.
    pub never: Vec<String>,
    /// Who approves waivers with a signature; none where whoever takes the change approves them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvers: Option<Vec<trust::TrustedSigner>>,
}

impl Waivers {
    /// Says whether findings of a rule are never waived.
    pub fn forbid(&self, rule: &str) -> bool {
        self.never.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => rule.starts_with(start),
            None => pattern == rule,
        })
    }
}

/// Reads a number of days: `90d`. At most ten years.
pub fn days(text: &str) -> Option<u32> {
    let digits = text.strip_suffix('d')?;
    let plain = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
    digits.parse().ok().filter(|days| plain && (1..=3660).contains(days))
}

impl Policy {
    /// Returns what is revoked on a day.
    pub fn revoked_on(&self, today: Date) -> impl Iterator<Item = &trust::Revocation> {
        self.revoked.iter().filter(move |one| one.since <= today)
    }

    /// Returns the built-in policy.
    pub fn golden() -> Self {
        let never = ["shell", "multicall", "package-manager", "secret-*", "user-root"];
        Self {
            name: "golden".to_owned(),
            gate: Gate {
                edition: 1,
                fail_on: vec![Severity::Critical, Severity::High],
                max_size: 256 << 20,
                require: vec![Requirement::Signature, Requirement::Sbom, Requirement::Provenance],
                vulnerabilities: Vulnerabilities::default(),
                rules: BTreeMap::new(),
            },
            waivers: Waivers {
                max_days: 90,
                never: never.map(str::to_owned).to_vec(),
                approvers: None,
            },
            bases: Bases { max_age: 90 },
            advisories: Advisories::default(),
            registry: None,
            sigstore: None,
            trust: Vec::new(),
            revoked: Vec::new(),
            verify: Verify::default(),
            mirror: Mirror::default(),
            profile: Vec::new(),
        }
    }

    /// Returns the names that an image of a recipe goes by: its own, and those with the place
    /// before it where images are published, with the host and without.
    pub fn names_of(&self, image: &str) -> Vec<String> {
        let mut names = vec![image.to_owned()];
        if let Some(publish) = self.registry.as_ref().and_then(|one| one.publish.as_ref()) {
            names.extend(names_at(&format!("{publish}/{image}")));
        }
        names
    }

    /// Returns the profile for an image that goes by these names: the narrowest that fits.
    ///
    /// # Errors
    /// When two fit and neither is narrower.
    pub fn profile_for(&self, names: &[String]) -> Result<Option<&Profile>, ProfileTie> {
        let fits = |profile: &&Profile| names.iter().any(|name| profile.images.fits(name));
        let mut fitting: Vec<&Profile> = self.profile.iter().filter(fits).collect();
        fitting.sort_by(|a, b| b.images.cmp_narrowness(&a.images));
        match fitting[..] {
            [first, second, ..] if first.images.cmp_narrowness(&second.images).is_eq() => {
                Err(ProfileTie(
                    first.images.to_string(),
                    second.images.to_string(),
                    names.last().cloned().unwrap_or_default(),
                ))
            }
            [first, ..] => Ok(Some(first)),
            [] => Ok(None),
        }
    }

    /// Returns the hash of the policy's canonical JSON: the same for everybody who judges alike.
    pub fn digest(&self) -> Digest {
        Digest::of(&canonical::json(self))
    }
}

/// Returns the names of an image that is at `HOST/REPO`: with the host and without.
pub fn names_at(place: &str) -> Vec<String> {
    let repository = place.split_once('/').map(|(_, repository)| repository.to_owned());
    [Some(place.to_owned()), repository].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(patterns: &[&str]) -> Policy {
        let profile = |images: &&str| Profile {
            images: images.parse().unwrap(),
            rules: BTreeMap::new(),
            report_until: None,
        };
        Policy {
            registry: Some(Registry {
                publish: Some("registry.example/golden".to_owned()),
                ..Registry::default()
            }),
            profile: patterns.iter().map(profile).collect(),
            ..Policy::golden()
        }
    }

    #[test]
    fn the_narrowest_profile_is_the_one() {
        let policy = with(&["registry.example/golden/**", "golden/jvm/*", "golden/*/api"]);
        let chosen = |name: &str| {
            let names = policy.names_of(name);
            policy.profile_for(&names).map(|one| one.map(|one| one.images.to_string()))
        };
        assert_eq!(chosen("web").unwrap().unwrap(), "registry.example/golden/**");
        assert_eq!(chosen("jvm/web").unwrap().unwrap(), "golden/jvm/*");
        assert!(chosen("jvm/api").is_err(), "two plain segments each, of nine bytes");
        assert_eq!(with(&[]).profile_for(&["web".to_owned()]), Ok(None));
        let policy = with(&["golden/jvm/**", "golden/jvm/api"]);
        let names = policy.names_of("jvm/api");
        assert_eq!(names, ["jvm/api", "registry.example/golden/jvm/api", "golden/jvm/api"]);
        assert_eq!(
            policy.profile_for(&names).unwrap().unwrap().images.to_string(),
            "golden/jvm/api"
        );
        assert!(policy.profile_for(&policy.names_of("other")).unwrap().is_none());
    }

    #[test]
    fn ages_are_days() {
        assert_eq!((days("90d"), days("1d"), days("3660d")), (Some(90), Some(1), Some(3660)));
        for bad in ["", "d", "90", "0d", "3661d", "-1d", "+1d", "1.5d", "90 d", "12w"] {
            assert_eq!(days(bad), None, "{bad}");
        }
    }

    #[test]
    fn places_are_compared_by_segments() {
        let registry = Registry {
            publish: Some("reg.example/golden".to_owned()),
            staging: Some("reg.example/golden-staging".to_owned()),
            allow: vec!["other.example:5000/x".to_owned()],
            mirrors: [("up.example", "reg.example/m/up"), ("up.example/a", "reg.example/a")]
                .map(|(from, to)| (from.to_owned(), to.to_owned()))
                .into(),
            ..Registry::default()
        };
        for (place, standing) in [
            ("reg.example/golden", Standing::Trusted),
            ("reg.example/golden/a/b", Standing::Trusted),
            ("reg.example/golden-staging/a", Standing::Staging),
            ("reg.example/golden-evil/a", Standing::Unknown),
            ("reg.example/goldena", Standing::Unknown),
            ("reg.example", Standing::Unknown),
            ("reg.example.evil.example/golden/a", Standing::Unknown),
            ("xreg.example/golden/a", Standing::Unknown),
            ("reg.example:5000/golden/a", Standing::Unknown),
            ("other.example:5000/x/y", Standing::Trusted),
            ("other.example/x/y", Standing::Unknown),
        ] {
            assert_eq!(registry.standing(place), standing, "{place}");
        }
        assert_eq!(registry.mirrored("up.example/b/c"), "reg.example/m/up/b/c");
        assert_eq!(registry.mirrored("up.example/a/c"), "reg.example/a/c");
        assert_eq!(registry.mirrored("up.example.evil/a"), "up.example.evil/a");
    }

    #[test]
    fn a_policy_without_profiles_has_the_digest_that_it_had() {
        let text = String::from_utf8(canonical::json(&Policy::golden())).unwrap();
        assert!(!text.contains("profile") && !text.contains("registry"), "{text}");
    }
}
