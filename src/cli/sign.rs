//! `karat sign` and `karat attest`: statements about what is there already.

use super::args;
use super::beside::Placed;
use super::failure::{CODE_DONE, Failure};
use super::hand::Hand;
use super::meter::Meter;
use super::output::Output;
use super::{scan, settings, verify_bundle};
use karat::advisory::{Matched, vex};
use karat::attest::{self, Statement};
use karat::bom::{Detail, Subject};
use karat::image::stored::{Stored, StoredError};
use karat::oci::{Descriptor, Digest, Platform, Reference, strict_json};
use karat::pipeline::sbom;
use karat::pipeline::statements::{is_stated, is_stated_in_old_form};
use karat::pipeline::transfer::Origin;
use karat::settings::{Policy, Requirement};
use karat::sign;
use karat::signature::bundle;
use karat::time::Now;
use karat::verify::Trust;
use serde_json::{Value, json};
use std::path::Path;
use std::time::SystemTime;

/// The longest predicate that is read, in bytes: signed, it must fit into a bundle.
const MAX_PREDICATE: usize = bundle::MAX_SIZE / 2;

pub(super) fn sign(args: &args::Sign, output: &Output) -> Result<u8, Failure> {
    match &args.bundle {
        Some(bundle) => file(args, bundle, output),
        None => {
            let statement = |digest: &Digest| Ok(attest::signature(digest));
            About::open(&args.reference, &args.policy, output)?.state(
                &args.signing,
                &statement,
                output,
            )
        }
    }
}

pub(super) fn attest(args: &args::Attest, output: &Output) -> Result<u8, Failure> {
    let Some(predicate) = &args.predicate else { return looked_up(args, output) };
    let predicate_type = attest::predicate_type(&args.predicate_type).map_err(|error| {
        Failure::usage(error.to_string()).hint("what karat makes itself comes from `build --sign`")
    })?;
    let bytes = settings::file(predicate, "a predicate", MAX_PREDICATE)?;
    let wrong = |error: String| {
        Failure::usage(format!("`{}` is no JSON object: {error}", predicate.display()))
    };
    let predicate: Value = strict_json::value(&bytes).map_err(|error| wrong(error.to_string()))?;
    if !predicate.is_object() {
        return Err(wrong("it is another value".to_owned()));
    }
    let statement = |digest: &Digest| {
        Ok(attest::statement(
            &predicate_type,
            &json!({ "digest": { "sha256": digest.hex() } }),
            &predicate,
        ))
    };
    About::open(&args.reference, &args.policy, output)?.state(&args.signing, &statement, output)
}

/// States what is known of an image: looks it up, and signs it as an OpenVEX document or as a list
/// of vulnerabilities.
fn looked_up(args: &args::Attest, output: &Output) -> Result<u8, Failure> {
    let named = args.predicate_type.as_str();
    let kind = match named {
        "openvex" => Requirement::Vex,
        "vulnerabilities" => Requirement::Vulnerabilities,
        other => Requirement::of(other).unwrap_or(Requirement::Signature),
    };
    let is_vex = kind == Requirement::Vex;
    if !is_vex && kind != Requirement::Vulnerabilities {
        return Err(Failure::usage(format!("nothing says what is stated as `{named}`"))
            .hint("name it with `--predicate FILE`; what karat finds out by itself is `--type openvex` and `--type vulnerabilities`, with `--db FILE`"));
    }
    let policy = settings::policy_here(&args.policy)?.policy;
    let project = settings::project(Path::new("."))?;
    let advisories = scan::demanded(&args.advisories, &policy, project.root())?;
    let about = About::open(&args.reference, &args.policy, output)?;
    let epoch = settings::epoch(args.signing.source_date_epoch.as_deref())?;
    let Origin { stored, root, .. } = &about.placed.origin;
    let name = about.reference.short_name();
    let describe = |platform: Option<&Platform>| {
        let name = name.clone();
        Ok(sbom::opened(name, stored, root, platform, epoch, Detail::Software)?)
    };
    let scanned = {
        let _meter = Meter::start("reading", &stored.progress, output);
        scan::scanned(None, &policy, &advisories, &describe)?
    };
    let now = Now::new(SystemTime::now());
    let predicate = |digest: &Digest| {
        let is_it = |(_, subject): &&(&[Matched], &Subject)| subject.digest == *digest;
        let all = scanned.found();
        let of_one: Vec<_> = all.iter().filter(is_it).copied().collect();
        let (parts, whole) = match &of_one[..] {
            [(_, subject), ..] => (&of_one, *subject),
            [] if scanned.whole.digest == *digest => (&all, &scanned.whole),
            [] => {
                return Err(Failure::usage(format!("{digest} is of no platform that karat knows")));
            }
        };
        let found = parts.iter().flat_map(|(found, _)| *found);
        Ok(match is_vex {
            true => vex::to_value(parts, whole),
            false => attest::vulns::predicate(found, &advisories.database, now),
        })
    };
    let statement = |digest: &Digest| {
        let subject = json!({ "digest": { "sha256": digest.hex() } });
        Ok(attest::statement(kind.predicate_type(), &subject, &predicate(digest)?))
    };
    about.state(&args.signing, &statement, output)
}

/// Signs the bytes of any file into a bundle.
fn file(args: &args::Sign, bundle: &Path, output: &Output) -> Result<u8, Failure> {
    let digest = verify_bundle::artifact(&args.reference)?;
    let policy = settings::policy_here(&args.policy)?.policy;
    let format = args.signing.signature_format;
    if format.has_old_form() {
        return Err(Failure::usage("cosign's old form is kept beside images, and a file has none")
            .hint("`--bundle` alone"));
    }
    let hand = Hand::read(args.signing.key(), &args.signing.keyless, format, &policy, false)?;
    let made = hand.artifact(digest.bytes())?;
    karat::oci::layout::write_whole(bundle, &made).map_err(|error| {
        Failure::failed(format!("`{}` cannot be written: {error}", bundle.display()))
    })?;
    output.tell(&format!("signed {digest} into {}", bundle.display()));
    Ok(CODE_DONE)
}

/// An image that statements are made about, with what is said of it.
struct About {
    placed: Placed,
    subjects: Vec<Descriptor>,
    reference: Reference,
    policy: Policy,
}

impl About {
    /// Opens an image and reads what is to be signed of it.
    fn open(reference: &str, policy: &args::Policy, output: &Output) -> Result<Self, Failure> {
        let reference = Reference::parse(reference, |path| path.symlink_metadata().is_ok())?;
        let policy = settings::policy_here(policy)?.policy;
        let placed = Placed::open(&reference, &policy, output)?;
        let Origin { stored, root, repository, .. } = &placed.origin;
        let subjects = subjects(stored, root, repository.is_none())?;
        Ok(Self { placed, subjects, reference, policy })
    }

    /// Makes a statement about the image and each of its platforms, signs it and puts it beside
    /// the image.
    fn state(
        mut self,
        signing: &args::Signing,
        statement: &dyn Fn(&Digest) -> Result<Statement, Failure>,
        output: &Output,
    ) -> Result<u8, Failure> {
        let epoch = settings::epoch(signing.source_date_epoch.as_deref())?;
        // Only now: whoever is asked for a password should know that it is of use.
        let format = signing.signature_format;
        let hand = Hand::read(signing.key(), &signing.keyless, format, &self.policy, false)?;
        let root = settings::trusted_root(signing.keyless.trusted_root.as_deref(), &self.policy)?;
        let trust = Trust::in_one(hand.signer(), root);
        let place = self.placed.repository().unwrap_or_default();
        let stored = &self.placed.origin.stored;
        let (mut referrers, mut layers) = (Vec::new(), Vec::new());
        for subject in &self.subjects {
            let statement = statement(&subject.digest)?;
            let digest = &subject.digest;
            if let Some(by) = hand.bundles(format)
                && !is_stated(stored, digest, &statement, &trust)?
            {
                referrers.push(sign::statement(&statement, subject, by, epoch)?);
            }
            if let Some(by) = hand.old_form(format, &place)
                && !is_stated_in_old_form(stored, digest, &statement, &place, &trust)?
            {
                layers.push(sign::legacy::sign(&statement, digest, by)?);
            }
        }
        let about = self.placed.origin.root.digest;
        match self.placed.put(&referrers, &layers)? {
            0 => output.tell(&format!("{about} has it already; nothing was added")),
            added => output.tell(&format!("added {added} to {about}")),
        }
        Ok(CODE_DONE)
    }
}

/// Returns the image's descriptor and, below an index, those of its platforms.
///
/// Of a layout all bytes are read: what is signed is what is there. A registry has checked them
/// when it took them, and whoever pulls checks them again.
fn subjects(
    stored: &Stored,
    root: &Descriptor,
    is_here: bool,
) -> Result<Vec<Descriptor>, StoredError> {
    let mut subjects = vec![root.clone()];
    let manifests = stored.manifests(root)?;
    if root.media_type.is_index() {
        subjects.extend(manifests);
    }
    for subject in subjects.iter().filter(|one| one.media_type.is_manifest()) {
        let (manifest, _) = stored.documents(subject)?;
        for layer in manifest.layers.iter().filter(|_| is_here) {
            stored.check(layer)?;
        }
    }
    Ok(subjects)
}
