//! What upstream images may be mirrored: `approved.lock.toml`.
//!
//! Takes and gives text. An approval is of one digest, for one place, with who has signed it,
//! who answers for it here, and an end. The file is written by `karat mirror approve` and is
//! reviewed like code; it is the only source of what `karat mirror run` copies.

pub mod schema;

use crate::finding::Severity;
use crate::finding::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::oci::reference::{is_hosted_repository, is_tag};
use crate::oci::{Digest, Platform, Reference};
use crate::settings::Requirement;
use crate::strict_toml::{self, Spanned, read};
use crate::time::Date;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// The name of the file, in the root of a project.
pub const FILE: &str = "approved.lock.toml";
/// The version of the format.
const VERSION: u32 = 1;
/// The most days from an approval to its end.
pub const MAX_DAYS: u32 = 366;

/// What was approved, by target and digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approvals {
    /// In the order of their targets and digests.
    pub artifacts: Vec<Artifact>,
}

/// One image of somebody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Where it is from: `HOST/REPO`.
    pub source: String,
    /// The tag that was asked for.
    pub tag: Option<String>,
    /// Its digest.
    pub digest: Digest,
    /// Where it goes: `HOST/REPO`.
    pub target: String,
    /// What must be signed of it.
    pub require: Vec<Requirement>,
    /// The highest severity that a known vulnerability of it may have.
    pub max_severity: Severity,
    /// Who answers for it.
    pub owner: String,
    /// Where it was decided.
    pub ticket: String,
    /// Why it is needed.
    pub reason: Option<String>,
    /// The day on which it was approved.
    pub approved: Date,
    /// The last day on which that holds.
    pub expires: Date,
    /// Its platforms as they were found; those that karat knows.
    pub platforms: BTreeMap<Platform, Digest>,
    /// Who has signed it.
    pub signer: Signer,
}

/// Who has signed an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// Whoever has the private half of a key.
    Key {
        /// The file of the public key, relative to the root of the project.
        file: String,
        /// Its fingerprint when it was approved.
        fingerprint: String,
    },
    /// An identity.
    Identity {
        /// Who vouches for it.
        issuer: String,
        /// The identity.
        identity: String,
    },
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { file, .. } => write!(f, "the key `{file}`"),
            Self::Identity { issuer, identity } => write!(f, "{identity} of {issuer}"),
        }
    }
}

impl Artifact {
    /// Returns the reference by which it is read: by digest alone.
    pub fn reference(&self) -> Option<Reference> {
        of_place(&self.source, None, Some(self.digest))
    }

    /// Returns the reference of the tag that was asked for.
    pub fn tagged(&self) -> Option<Reference> {
        of_place(&self.source, Some(self.tag.clone()?), None)
    }

    /// Returns the reference of its place here, with the tag that is set there.
    pub fn destination(&self) -> Option<Reference> {
        of_place(&self.target, Some(self.target_tag()), None)
    }

    /// Returns the tag that it gets where it goes: the day of its approval and the start of its
    /// digest, so that it never moves, and no registry takes it for rubbish.
    pub fn target_tag(&self) -> String {
        let day: String = self.approved.to_string().chars().filter(char::is_ascii_digit).collect();
        format!("{day}-{}", &self.digest.hex()[..12])
    }

    /// Says whether the approval still holds on a day.
    pub fn holds_on(&self, day: Date) -> bool {
        day <= self.expires
    }
}

fn of_place(place: &str, tag: Option<String>, digest: Option<Digest>) -> Option<Reference> {
    let (host, repository) = place.split_once('/')?;
    let (host, repository) = (host.to_owned(), repository.to_owned());
    Some(Reference::Registry { host, repository, tag, digest })
}

impl Approvals {
    /// Reads the file. `file` is the name that messages show.
    ///
    /// # Errors
    /// Every fault of the text together: syntax, unknown keys, wrong types, values without a
    /// meaning, and what is approved twice.
    pub fn parse(file: &str, text: &str) -> Result<Self, Box<Diagnostics>> {
        let diagnose = |faults| Box::new(Diagnostics::new(file, text, faults));
        let written: schema::File = strict_toml::parse(text, schema::JSON).map_err(diagnose)?;
        if written.version.value != VERSION {
            let message = format!("approvals of version {} are not known", written.version.value);
            return Err(diagnose(vec![
                Diagnostic::new(written.version.span, message).hint("use a later karat"),
            ]));
        }
        let mut faults = Vec::new();
        let mut approvals = Self::default();
        for one in written.artifact {
            let span = one.span;
            let Some(artifact) = artifact(one.value, &span, &mut faults) else { continue };
            if approvals.find(&artifact.target, &artifact.digest).is_some() {
                let message =
                    format!("{} is approved twice for `{}`", artifact.digest, artifact.target);
                faults.push(Diagnostic::new(span, message));
                continue;
            }
            approvals.insert(artifact);
        }
        if faults.is_empty() { Ok(approvals) } else { Err(diagnose(faults)) }
    }

    /// Returns what was approved for a place, by its digest.
    pub fn find(&self, target: &str, digest: &Digest) -> Option<&Artifact> {
        self.artifacts.iter().find(|one| one.target == target && one.digest == *digest)
    }

    /// Adds an approval, in the place of one for the same place and digest.
    pub fn insert(&mut self, artifact: Artifact) {
        self.artifacts.retain(|one| one.target != artifact.target || one.digest != artifact.digest);
        let key = |one: &Artifact| (one.target.clone(), one.digest);
        let at = self.artifacts.partition_point(|one| key(one) < key(&artifact));
        self.artifacts.insert(at, artifact);
    }

    /// Writes the file. The same approvals give the same text.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "# What may be mirrored from upstream. Made by `karat mirror approve`; a change is\n\
             # reviewed like code.\n\nversion = {VERSION}\n"
        );
        for artifact in &self.artifacts {
            artifact.write(&mut text);
        }
        text
    }
}

fn quoted(value: &str) -> String {
    toml::Value::String(value.to_owned()).to_string()
}

impl Artifact {
    fn write(&self, text: &mut String) {
        let tag = self.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let require: Vec<_> = self.require.iter().map(|one| format!("\"{one}\"")).collect();
        let platforms: Vec<_> = self
            .platforms
            .iter()
            .map(|(name, digest)| format!("\"{name}\" = \"{digest}\""))
            .collect();
        let platforms = match platforms.is_empty() {
            true => "{}".to_owned(),
            false => format!("{{ {} }}", platforms.join(", ")),
        };
        let signer = match &self.signer {
            Signer::Key { file, fingerprint } => {
                format!("key = {}, fingerprint = {}", quoted(file), quoted(fingerprint))
            }
            Signer::Identity { issuer, identity } => {
                format!("issuer = {}, identity = {}", quoted(issuer), quoted(identity))
            }
        };
        let lines = [
            ("source", format!("\"{}{tag}\"", self.source)),
            ("digest", format!("\"{}\"", self.digest)),
            ("target", format!("\"{}\"", self.target)),
            ("require", format!("[{}]", require.join(", "))),
            ("max-severity", format!("\"{}\"", self.max_severity)),
            ("owner", quoted(&self.owner)),
            ("ticket", quoted(&self.ticket)),
            ("reason", self.reason.as_deref().map(quoted).unwrap_or_default()),
            ("approved", format!("\"{}\"", self.approved)),
            ("expires", format!("\"{}\"", self.expires)),
            ("platforms", platforms),
            ("signer", format!("{{ {signer} }}")),
        ];
        text.push_str("\n[[artifact]]\n");
        for (key, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
            let _ = writeln!(text, "{key} = {value}");
        }
    }
}

type Faults = Vec<Diagnostic>;

fn artifact(written: schema::Artifact, span: &Span, faults: &mut Faults) -> Option<Artifact> {
    for (key, text) in [("owner", &written.owner), ("ticket", &written.ticket)] {
        if text.value.trim().is_empty() {
            let message = format!("an approval's `{key}` says something");
            faults.push(Diagnostic::new(text.span.clone(), message));
        }
    }
    let source = source(&written.source, faults);
    let digest = read(&written.digest, faults);
    if !is_hosted_repository(&written.target.value) {
        let message = "this is no place in a registry";
        faults.push(Diagnostic::new(written.target.span.clone(), message).hint("`HOST/REPO`"));
    }
    let mut require = Vec::new();
    for one in &written.require {
        match Requirement::named(&one.value) {
            Some(known) if !require.contains(&known) => require.push(known),
            Some(_) => {}
            None => faults.push(
                Diagnostic::new(one.span.clone(), "nothing of this name can be required")
                    .hint("`signature`, `sbom` or `provenance`"),
            ),
        }
    }
    require.sort_unstable();
    if !require.contains(&Requirement::Signature) {
        let message = "what is mirrored is signed: `require` names `signature`";
        faults.push(Diagnostic::new(span.clone(), message));
    }
    let max_severity = written.max_severity.value.parse::<Severity>().ok();
    if max_severity.is_none() {
        let message = format!("`{}` is no severity", written.max_severity.value);
        faults.push(
            Diagnostic::new(written.max_severity.span.clone(), message)
                .hint("`critical`, `high`, `medium`, `low` or `info`"),
        );
    }
    let approved: Option<Date> = read(&written.approved, faults);
    let expires: Option<Date> = read(&written.expires, faults);
    if let Some((approved, expires)) = approved.zip(expires)
        && (expires < approved || expires > approved.plus(MAX_DAYS))
    {
        let message = format!("an approval ends at most {MAX_DAYS} days after it was given");
        faults.push(Diagnostic::new(written.expires.span.clone(), message));
    }
    let mut platforms = BTreeMap::new();
    for (name, digest) in &written.platforms {
        match name.parse::<Platform>() {
            Ok(platform) => {
                if let Some(digest) = read(digest, faults) {
                    platforms.insert(platform, digest);
                }
            }
            Err(error) => faults.push(Diagnostic::new(digest.span.clone(), error.to_string())),
        }
    }
    let signer = signer(written.signer, faults);
    let (source, tag) = source?;
    Some(Artifact {
        source,
        tag,
        digest: digest?,
        target: written.target.value,
        require,
        max_severity: max_severity?,
        owner: written.owner.value,
        ticket: written.ticket.value,
        reason: written.reason.map(|one| one.value).filter(|text| !text.trim().is_empty()),
        approved: approved?,
        expires: expires?,
        platforms,
        signer: signer?,
    })
}

/// Reads `HOST/REPO[:TAG]`.
fn source(written: &Spanned<String>, faults: &mut Faults) -> Option<(String, Option<String>)> {
    let text = written.value.as_str();
    // A colon before the last slash is that of a port.
    let after = text.rfind('/').unwrap_or_default();
    let (place, tag) = match text[after..].find(':') {
        Some(at) => (&text[..after + at], Some(&text[after + at + 1..])),
        None => (text, None),
    };
    if is_hosted_repository(place) && tag.is_none_or(is_tag) {
        return Some((place.to_owned(), tag.map(str::to_owned)));
    }
    let message = "this is no place in a registry";
    faults.push(
        Diagnostic::new(written.span.clone(), message).hint("`HOST/REPO:TAG` or `HOST/REPO`"),
    );
    None
}

fn signer(written: Spanned<schema::Signer>, faults: &mut Faults) -> Option<Signer> {
    let one = written.value;
    let text = |part: Option<Spanned<String>>| part.map(|part| part.value);
    match (text(one.key), text(one.fingerprint), text(one.issuer), text(one.identity)) {
        (Some(file), Some(fingerprint), None, None) => Some(Signer::Key { file, fingerprint }),
        (None, None, Some(issuer), Some(identity)) => Some(Signer::Identity { issuer, identity }),
        _ => {
            let message = "who has signed is a `key` with its `fingerprint`, or an `issuer` and an `identity`";
            faults.push(Diagnostic::new(written.span, message));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(byte: u8) -> Digest {
        Digest::of(&[byte])
    }

    fn sample(byte: u8) -> Artifact {
        Artifact {
            source: "up.example:5000/distroless/static".to_owned(),
            tag: Some("nonroot".to_owned()),
            digest: digest(byte),
            target: "reg.example/mirror/static".to_owned(),
            require: vec![Requirement::Signature, Requirement::Sbom],
            max_severity: Severity::Medium,
            owner: "team \"x\"".to_owned(),
            ticket: "SEC-1".to_owned(),
            reason: None,
            approved: "2026-11-20".parse().unwrap(),
            expires: "2027-02-18".parse().unwrap(),
            platforms: [("linux/amd64".parse().unwrap(), digest(byte + 100))].into(),
            signer: Signer::Identity {
                issuer: "https://issuer.example".to_owned(),
                identity: "who@example.com".to_owned(),
            },
        }
    }

    fn faults(text: &str) -> Vec<String> {
        let found = Approvals::parse("approved.lock.toml", text).unwrap_err();
        found.faults.iter().map(|fault| fault.message.clone()).collect()
    }

    #[test]
    fn what_is_written_is_read_and_in_one_order() {
        let mut approvals = Approvals::default();
        for byte in [3, 1, 2] {
            approvals.insert(sample(byte));
        }
        let key =
            Signer::Key { file: "keys/up.pub".to_owned(), fingerprint: "sha256:00".to_owned() };
        let reason = Some("it is needed".to_owned());
        approvals.insert(Artifact { signer: key, tag: None, reason, ..sample(2) });
        assert_eq!(approvals.artifacts.len(), 3);
        let text = approvals.to_text();
        assert_eq!(Approvals::parse(FILE, &text).unwrap(), approvals);
        let mut other = Approvals::default();
        for artifact in approvals.artifacts.iter().rev() {
            other.insert(artifact.clone());
        }
        assert_eq!(other.to_text(), text);
        assert!(
            text.contains("source = \"up.example:5000/distroless/static:nonroot\"\n"),
            "{text}"
        );
    }

    #[test]
    fn the_tag_of_a_target_says_when_and_what() {
        let one = sample(1);
        assert_eq!(one.target_tag(), format!("20261120-{}", &digest(1).hex()[..12]));
        let (last, after) = ("2027-02-18".parse().unwrap(), "2027-02-19".parse().unwrap());
        assert!(one.holds_on(last) && !one.holds_on(after));
    }

    #[test]
    fn each_fault_of_a_file_is_told() {
        let good = Approvals { artifacts: vec![sample(1)] }.to_text();
        for (from, to, told) in [
            ("version = 1", "version = 2", "not known"),
            ("\"signature\", ", "", "what is mirrored is signed"),
            ("\"sbom\"", "\"slsa\"", "nothing of this name"),
            ("static:nonroot", "static:non root", "no place in a registry"),
            ("up.example:5000/", "https://up.example/", "no place in a registry"),
            ("reg.example/mirror/static", "reg.example", "no place in a registry"),
            ("2027-02-18", "2028-02-18", "at most 366 days"),
            ("2027-02-18", "2026-11-19", "at most 366 days"),
            ("SEC-1", " ", "`ticket` says something"),
            ("linux/amd64", "amiga/68000", ""),
            ("identity = \"who@example.com\"", "key = \"x\"", "who has signed"),
            ("max-severity = \"medium\"", "max-severity = \"bad\"", "no severity"),
            ("[[artifact]]", "[[artifacts]]", ""),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good, "{from}");
            let found = faults(&bad);
            assert!(found.iter().any(|message| message.contains(told)), "{from}: {found:?}");
        }
        let twice = format!("{good}{}", &good[good.find("\n[[artifact]]").unwrap()..]);
        assert!(faults(&twice)[0].contains("approved twice"));
        assert!(faults("").iter().any(|message| message.contains("empty")));
    }
}
