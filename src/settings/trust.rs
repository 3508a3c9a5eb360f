//! Who may sign what, and what is trusted no longer.

use super::Requirement;
use crate::oci::pattern::InvalidPattern;
use crate::oci::reference::is_hosted_repository;
use crate::oci::{Digest, RepositoryPattern};
use crate::signature::PublicKey;
use crate::time::Date;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// What stands for one segment of an image's repository, the same everywhere in an entry.
pub const REPO: &str = "{repo}";

/// Who may state what about which images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TrustEntry {
    /// The images.
    pub images: ImagePattern,
    /// What may be stated.
    pub statements: Vec<Requirement>,
    /// By whom.
    pub signer: TrustedSigner,
    /// Whether an entry of a trusted log is demanded of a key too.
    #[serde(rename = "transparency-log", serialize_with = "log")]
    pub log_required: bool,
    /// The first day on which they may have signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Date>,
    /// The last day on which they may have signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Date>,
}

/// A signer who is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum TrustedSigner {
    #[serde(serialize_with = "fingerprint")]
    Key(PublicKey),
    Keyless(Keyless),
}

fn log<S: Serializer>(required: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if *required { "required" } else { "none" })
}

fn fingerprint<S: Serializer>(key: &PublicKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&key.fingerprint())
}

/// An identity, as certificates have it. `{repo}` stands for what it is in the image's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Keyless {
    /// Who vouches for it.
    pub issuer: String,
    /// The identity.
    pub subject: Subject,
    /// The address of the repository that it must have worked from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_repository: Option<String>,
    /// What the branch or tag that it must have worked from matches, whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ref_regexp: Option<String>,
}

/// An identity, or an expression that must match the whole of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Subject {
    Exact(String),
    Regexp(String),
}

/// What is trusted no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Revocation {
    /// What it is.
    pub what: RevokedThing,
    /// The first day on which it is not trusted.
    pub since: Date,
    /// Why.
    pub reason: String,
}

/// A digest, or a key by its fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum RevokedThing {
    Digest(Digest),
    Key(String),
}

/// A pattern of repositories with their hosts, in which a segment may be `{repo}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePattern {
    pattern: RepositoryPattern,
    /// Which segments are `{repo}`.
    bound: Vec<usize>,
    written: String,
}

/// What a pattern has bound `{repo}` to; none where it has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bound(Option<String>);

impl Bound {
    /// Puts what `{repo}` stands for into a text; `write` says how.
    pub fn fill(&self, text: &str, write: impl Fn(&str) -> String) -> String {
        match &self.0 {
            Some(repo) => text.replace(REPO, &write(repo)),
            None => text.to_owned(),
        }
    }
}

impl ImagePattern {
    /// Says whether an image at `HOST/REPO` fits, and what `{repo}` stands for then.
    pub fn bind(&self, place: &str) -> Option<Bound> {
        if !self.pattern.fits(place) {
            return None;
        }
        let segments: Vec<&str> = place.split('/').collect();
        let mut values = self.bound.iter().map(|at| segments.get(*at).copied());
        let Some(first) = values.next() else { return Some(Bound(None)) };
        let repo = first?;
        values.all(|other| other == Some(repo)).then(|| Bound(Some(repo.to_owned())))
    }

    /// Says whether there is a `{repo}`.
    pub fn binds(&self) -> bool {
        !self.bound.is_empty()
    }

    /// Returns the pattern with any segment in the place of `{repo}`.
    pub fn pattern(&self) -> &RepositoryPattern {
        &self.pattern
    }
}

impl FromStr for ImagePattern {
    type Err = InvalidPattern;
    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let invalid = || InvalidPattern::of(text);
        let segments: Vec<&str> = text.split('/').collect();
        let bound: Vec<usize> = (0..segments.len()).filter(|at| segments[*at] == REPO).collect();
        // `{repo}` is a whole segment, and `**` before it would leave open which.
        let others = segments.iter().filter(|segment| **segment != REPO);
        let plain = others.clone().all(|segment| !segment.contains(['{', '}']));
        let open = segments.contains(&"**");
        let host = segments.first().is_some_and(|host| !host.contains(['*', '{']));
        let hosted = text.replace("**", "x").replace('*', "x").replace(REPO, "x");
        if !plain || !host || (open && !bound.is_empty()) || !is_hosted_repository(&hosted) {
            return Err(invalid());
        }
        let pattern = text.replace(REPO, "*").parse()?;
        Ok(Self { pattern, bound, written: text.to_owned() })
    }
}

impl fmt::Display for ImagePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.written)
    }
}

impl Serialize for ImagePattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Returns the entries that are for an image at `HOST/REPO`, each with what `{repo}` stands for
/// and what it may state about this image.
///
/// Of all entries that fit and may state a thing, only the narrowest count for that thing: an
/// entry for one image takes the place of one for many. Among equally narrow ones any counts.
pub fn entries_for<'e>(
    entries: &'e [TrustEntry],
    place: &str,
) -> Vec<(&'e TrustEntry, Bound, Vec<Requirement>)> {
    let fitting: Vec<_> = entries
        .iter()
        .filter_map(|entry| entry.images.bind(place).map(|bound| (entry, bound)))
        .collect();
    let is_narrowest = |entry: &TrustEntry, statement: Requirement| {
        let others = fitting.iter().filter(|(other, _)| other.statements.contains(&statement));
        others
            .clone()
            .all(|(other, _)| other.images.pattern().cmp_narrowness(entry.images.pattern()).is_le())
    };
    let of_entry = |(entry, bound): &(&'e TrustEntry, Bound)| {
        let statements = entry.statements.iter().copied();
        let may: Vec<_> = statements.filter(|one| is_narrowest(entry, *one)).collect();
        (!may.is_empty()).then(|| (*entry, bound.clone(), may))
    };
    fitting.iter().filter_map(of_entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::PrivateKey;

    fn bind(pattern: &str, place: &str) -> Option<Option<String>> {
        pattern.parse::<ImagePattern>().unwrap().bind(place).map(|bound| bound.0)
    }

    #[test]
    fn a_repo_is_one_segment_and_the_same_everywhere() {
        let some = |text: &str| Some(Some(text.to_owned()));
        assert_eq!(bind("reg.example/golden/{repo}", "reg.example/golden/app"), some("app"));
        assert_eq!(bind("reg.example/golden/{repo}", "reg.example/golden/a/app"), None);
        assert_eq!(bind("reg.example/golden/{repo}", "reg.example/golden"), None);
        assert_eq!(bind("reg.example/golden/{repo}", "reg.example/goldene/app"), None);
        assert_eq!(bind("reg.example/golden/{repo}", "reg.example.evil/golden/app"), None);
        assert_eq!(bind("reg.example/{repo}/x/{repo}", "reg.example/a/x/a"), some("a"));
        assert_eq!(bind("reg.example/{repo}/x/{repo}", "reg.example/a/x/b"), None);
        assert_eq!(bind("reg.example/a-*/{repo}", "reg.example/a-b/c"), some("c"));
        assert_eq!(bind("reg.example/**", "reg.example/a/b"), Some(None));
        for bad in [
            "{repo}/golden/a",
            "reg.example/{repo}-x",
            "reg.example/x{repo}",
            "reg.example/**/{repo}",
            "reg.example/{other}",
            "reg.example/{repo",
            "golden/{repo}",
            "*/golden",
            "reg.example",
            "",
        ] {
            assert!(bad.parse::<ImagePattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_narrowest_entry_of_each_statement_counts() {
        let key = PrivateKey::generate().unwrap().public_key().clone();
        let entry = |images: &str, statements: &[Requirement]| TrustEntry {
            images: images.parse().unwrap(),
            statements: statements.to_vec(),
            signer: TrustedSigner::Key(key.clone()),
            log_required: false,
            not_before: None,
            not_after: None,
        };
        use Requirement::{Provenance, Sbom, Signature};
        let entries = [
            entry("reg.example/golden/{repo}", &[Signature, Sbom]),
            entry("reg.example/golden/*", &[Provenance]),
            entry("reg.example/golden/payments", &[Signature]),
            entry("reg.example/golden/payments", &[Signature, Provenance]),
            entry("reg.example/other/{repo}", &[Signature]),
        ];
        let found = |place: &str| -> Vec<(usize, Vec<Requirement>)> {
            let at = |entry: &TrustEntry| entries.iter().position(|one| std::ptr::eq(one, entry));
            entries_for(&entries, place)
                .into_iter()
                .map(|(entry, _, may)| (at(entry).unwrap(), may))
                .collect()
        };
        assert_eq!(
            found("reg.example/golden/app"),
            [(0, vec![Signature, Sbom]), (1, vec![Provenance])]
        );
        assert_eq!(
            found("reg.example/golden/payments"),
            [(0, vec![Sbom]), (2, vec![Signature]), (3, vec![Signature, Provenance])]
        );
        assert_eq!(found("reg.example/elsewhere/app"), []);
    }
}
