//! An image's own layers on a newer base: verified, put together anew, inspected, judged,
//! described and signed again, without making its programs again.
//!
//! Which layers are the image's own, its history says: karat writes one step a layer. That is
//! believed only of an image that is signed as it must be.

use super::build::{excluded, freshness, too_large};
use super::known::{self, Known};
use crate::advisory::DatabaseError;
use crate::archive::Limits;
use crate::assemble::{Packed, config};
use crate::attest;
use crate::attest::ci::Ci;
use crate::attest::provenance::{self, Moved};
use crate::base::{Base, BaseError, Shelf};
use crate::bom::{self, Bom};
use crate::finding::report::{Report, Subject, Verdict};
use crate::image::stored::{Stored, StoredError};
use crate::image::{Image, Layer, Origin, read};
use crate::inspect::{self, Ahead};
use crate::oci::document::{Config, History, Index, MAX_MANIFEST, MAX_MANIFESTS, Manifest};
use crate::oci::layout::LayoutWriter;
use crate::oci::{Descriptor, Digest, Platform};
use crate::policy::{self, Advised, Cleared, Occasion, Terms};
use crate::publish::{self, Destination, Papers, PublishError, Release, Staging};
use crate::settings::{Policy, ProfileTie, Requirement};
use crate::sign;
use crate::signature::{self, Signing};
use crate::store::SpoolRoom;
use crate::time::{Epoch, Now};
use crate::verify::{self, Trust, Verification};
use crate::waiver::Waiver;
use std::collections::BTreeMap;
use std::io;

/// How the history of karat's images calls a layer of a base.
const OF_BASE: &str = "karat base ";
/// How it calls the layer that was made from a recipe.
const OWN: &str = "karat assembly format ";

/// Everything that a rebase depends on.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// The image.
    pub stored: &'a Stored,
    /// Its manifest or index.
    pub root: &'a Descriptor,
    /// Who must have signed it.
    pub trust: &'a Trust,
    /// What it is called, without registry, tag and digest.
    pub name: &'a str,
    /// The base that it is put on.
    pub base: &'a str,
    /// Where bases are.
    pub shelf: Shelf<'a>,
    /// The policy.
    pub policy: &'a Policy,
    /// The waivers of the project's `waivers/`.
    pub waivers: &'a [Waiver],
    /// What it is judged for.
    pub occasion: Occasion,
    /// The time that is written.
    pub epoch: Epoch,
    /// The advisories in which its parts are looked up, if there are any.
    pub advised: Option<Advised<'a>>,
    /// The run of a CI system that builds, if one does.
    pub ci: Option<&'a Ci>,
    /// The time that decides what has expired.
    pub now: Now,
    /// The key that signs.
    pub key: &'a dyn Signing,
    /// Where it goes; at least one.
    pub destinations: &'a [Destination],
}

/// What a rebase has done.
#[derive(Debug)]
pub struct Rebased {
    /// The report, with its verdict.
    pub report: Report,
    /// The new manifest, or the index over several; none for an image that was rejected.
    pub root: Option<Descriptor>,
    /// Platform by platform: the old base, and the digest of the new one.
    pub bases: Vec<(Platform, OldBase, Option<Digest>)>,
    /// How many statements were signed.
    pub signed: usize,
}

/// The base that an image says it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldBase {
    /// Its name.
    pub name: String,
    /// The digest of its manifest.
    pub digest: Digest,
    /// How many layers it has.
    pub layers: usize,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum RebaseError {
    #[error("the image is not signed as it must be")]
    NotSigned(Box<Verification>),
    #[error("{0} is no image of karat's on a base: {1}")]
    NotOurs(Digest, String),
    #[error(transparent)]
    Stored(#[from] StoredError),
    #[error(transparent)]
    Base(#[from] Box<BaseError>),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Profile(#[from] ProfileTie),
    #[error("failed to write a part of the image: {0}")]
    Write(io::Error),
    #[error("failed to sign: {0}")]
    Sign(#[from] signature::Error),
    #[error("the database of advisories: {0}")]
    Database(#[from] DatabaseError),
}

/// The image of one platform on its new base, judged.
struct Moving {
    platform: Platform,
    old: OldBase,
    /// The manifest that it was.
    was: Digest,
    base: Base,
    documents: config::Documents,
    bom: Bom,
    known: Known,
    /// What it says of itself: its labels and annotations.
    said: BTreeMap<String, String>,
    findings: Vec<crate::finding::Finding>,
    cleared: Option<Cleared<()>>,
}

/// Puts an image on another base.
///
/// # Errors
/// When it is not signed as it must be, is no image of karat's, cannot be read or written, or
/// the base is not there. A rejected image is no error: its report says so.
pub fn rebase(options: &Options<'_>) -> Result<Rebased, RebaseError> {
    let Options { stored, root, policy, .. } = *options;
    let mut require = policy.gate.require.clone();
    if !require.contains(&Requirement::Signature) {
        require.push(Requirement::Signature);
    }
    let verification = verify::stored(stored, root, options.trust, &require)?;
    if !verification.accepted() {
        return Err(RebaseError::NotSigned(Box::new(verification)));
    }
    let names = policy.names_of(options.name);
    let terms = Terms::new(policy, options.waivers, &names, options.occasion, options.now)?
        .advised(options.advised);
    for destination in options.destinations {
        destination.check()?;
    }
    let Some(first) = options.destinations.first() else {
        return Err(RebaseError::Write(io::Error::other("no destination was named")));
    };
    let staging = Staging::beside(first)?;
    let room = SpoolRoom::default();
    let mut images = Vec::new();
    for descriptor in stored.manifests(root)? {
        images.push(one(options, &terms, &descriptor, &staging.layout, &room)?);
    }
    let accepted = !images.is_empty() && images.iter().all(|image| image.cleared.is_some());
    let (index, new_root) = new_root(options, &images)?;
    let report = report(&terms, &images, accepted, &new_root, first);
    let papers = vec![
        ("report.json".to_owned(), report.to_json()),
        ("report.html".to_owned(), report.to_html().into_bytes()),
    ];
    let bases = images.iter().map(|one| (one.platform.clone(), one.old.clone(), one.base.digest));
    let mut rebased = Rebased { report, root: None, bases: bases.collect(), signed: 0 };
    if !accepted {
        publish::rejection(staging, &papers, options.destinations)?;
        return Ok(rebased);
    }
    let (referrers, further) = attested(options, &images, &index, &new_root, &staging.layout)?;
    rebased.signed = referrers.len();
    let release = Release { root: new_root.clone(), referrers, name: options.name.to_owned() };
    let papers: Papers = papers.into_iter().chain(further).collect();
    publish::release(&release, staging, &papers, options.destinations)?;
    rebased.root = Some(new_root);
    Ok(rebased)
}

/// Reads out of a manifest and its history which layers are those of its base.
fn old_base(digest: Digest, manifest: &Manifest, config: &Config) -> Result<OldBase, RebaseError> {
    let not = |why: &str| RebaseError::NotOurs(digest, why.to_owned());
    let annotation = |name: &str| manifest.annotations.get(name);
    let name = annotation(config::BASE_NAME).ok_or_else(|| not("it names no base"))?;
    let of_digest = annotation(config::BASE_DIGEST).and_then(|text| text.parse().ok());
    let of_digest = of_digest.ok_or_else(|| not("it names no digest of its base"))?;
    let begins = |step: &History, start: &str| {
        !step.empty_layer && step.created_by.as_ref().is_some_and(|by| by.starts_with(start))
    };
    let of_base = format!("{OF_BASE}{name} ");
    let layers = config.history.iter().take_while(|step| begins(step, &of_base)).count();
    let rest = config.history.get(layers..).unwrap_or_default();
    if config.history.len() != manifest.layers.len()
        || layers == 0
        || !rest.iter().all(|step| begins(step, OWN))
    {
        return Err(not("its history does not tell its layers from those of its base"));
    }
    Ok(OldBase { name: name.clone(), digest: of_digest, layers })
}

fn one(
    options: &Options<'_>,
    terms: &Terms<'_>,
    descriptor: &Descriptor,
    layout: &LayoutWriter,
    room: &SpoolRoom,
) -> Result<Moving, RebaseError> {
    let stored = options.stored;
    let (manifest, config) = stored.documents(descriptor)?;
    let old = old_base(descriptor.digest, &manifest, &config)?;
    let platform = config.platform().known().ok_or_else(|| {
        RebaseError::NotOurs(descriptor.digest, "its platform is not known".to_owned())
    })?;
    let base = options.shelf.resolve(options.base, &platform).map_err(Box::new)?;
    let mut layers = base.read_layers(room).map_err(Box::new)?;
    let mut packed = Packed { layers: Vec::new(), diff_ids: Vec::new() };
    for one in &base.layers {
        layout.write_blob(&one.bytes).map_err(RebaseError::Write)?;
        packed.layers.push(one.descriptor.clone());
        packed.diff_ids.push(one.diff_id);
    }
    let own = manifest.layers.iter().zip(&config.rootfs.diff_ids).skip(old.layers);
    for (number, (layer, diff_id)) in own.enumerate() {
        layers.push(own_layer(stored, layer, *diff_id, room, (number, manifest.layers.len()))?);
        copy(stored, layer, layout)?;
        packed.layers.push(layer.bare());
        packed.diff_ids.push(*diff_id);
    }
    let image = image(options, &base, &old, (manifest, config), layers);
    let rules = inspect::Rules { platform: Some(platform.clone()), ..inspect::Rules::default() };
    let inspected = inspect::image(&image, &rules, &Ahead::default());
    let bom = bom::of(&image, &base.packages);
    let mut known = known::known(&bom, &known::executables(&image, &bom), None, terms)?;
    let mut about = std::mem::take(&mut known.findings);
    about.extend(too_large(&image, &packed, &base, options.policy));
    about.extend(freshness(&base, options.policy, options.now));
    about.extend(excluded(&base));
    let bases = [base.known()];
    let judged = policy::judge(inspected, &packed.diff_ids, about, &terms.knowing(&bases));
    let known = known.waived(&judged.findings);
    let (findings, cleared) = (judged.findings, judged.cleared.map(Cleared::forget));
    let documents = config::documents(&image, &packed);
    for bytes in [&documents.config, &documents.manifest] {
        layout.write_blob(bytes).map_err(RebaseError::Write)?;
    }
    let was = descriptor.digest;
    let mut said = image.config.config.labels.clone();
    said.extend(image.annotations.clone());
    Ok(Moving { platform, old, was, base, documents, bom, known, said, findings, cleared })
}

/// Reads a layer of the image's own.
fn own_layer(
    stored: &Stored,
    layer: &Descriptor,
    diff_id: crate::oci::DiffId,
    room: &SpoolRoom,
    (number, count): (usize, usize),
) -> Result<Layer, RebaseError> {
    let (media_type, limits) = (&layer.media_type, Limits::default());
    let blob = stored.blob(layer)?;
    read::layer(room, blob, media_type, Some(diff_id), &limits, Origin::Added).map_err(|error| {
        StoredError::Layer { digest: layer.digest, number: number + 1, count, error }.into()
    })
}

/// Copies a blob as it is stored.
fn copy(stored: &Stored, layer: &Descriptor, layout: &LayoutWriter) -> Result<(), RebaseError> {
    let mut file = layout.start_blob().map_err(RebaseError::Write)?;
    let mut blob = stored.blob(layer)?;
    io::copy(&mut blob, &mut file).map_err(RebaseError::Write)?;
    layout.finish_blob(file, &layer.digest).map_err(RebaseError::Write)
}

/// Makes the image: what it was, on the new base.
fn image(
    options: &Options<'_>,
    base: &Base,
    old: &OldBase,
    (manifest, was): (Manifest, Config),
    layers: Vec<Layer>,
) -> Image {
    let created = options.epoch.to_string();
    let mut annotations = manifest.annotations;
    annotations.insert(config::CREATED.to_owned(), created.clone());
    annotations.remove(config::BASE_NAME);
    annotations.remove(config::BASE_DIGEST);
    if let Some(digest) = base.digest {
        annotations.insert(config::BASE_NAME.to_owned(), base.name.clone());
        annotations.insert(config::BASE_DIGEST.to_owned(), digest.to_string());
    }
    let mut config = was;
    let own = config.history.split_off(old.layers.min(config.history.len()));
    config.history = base.history(Some(&created));
    config
        .history
        .extend(own.into_iter().map(|step| History { created: Some(created.clone()), ..step }));
    config.created = Some(created);
    // What the image sets stays; what only the new base sets is added.
    let name = |line: &str| line.split_once('=').map_or(line, |(name, _)| name).to_owned();
    let known: Vec<_> = config.config.env.iter().map(|line| name(line)).collect();
    let new = base.env.iter().filter(|line| !known.contains(&name(line))).cloned();
    config.config.env = new.chain(std::mem::take(&mut config.config.env)).collect();
    Image { config, layers, annotations }
}

/// Makes the index over several platforms, or takes the only manifest.
fn new_root(
    options: &Options<'_>,
    images: &[Moving],
) -> Result<(Option<Vec<u8>>, Descriptor), RebaseError> {
    if !options.root.media_type.is_index()
        && let [only] = images
    {
        return Ok((None, only.documents.descriptor.clone()));
    }
    let bytes = options.stored.document(options.root, MAX_MANIFEST)?;
    let index = Index::parse(&bytes, MAX_MANIFESTS).map_err(StoredError::Document)?;
    let mut annotations: BTreeMap<String, String> = index.annotations;
    annotations.insert(config::CREATED.to_owned(), options.epoch.to_string());
    let manifests: Vec<_> =
        images.iter().map(|one| (one.platform.clone(), one.documents.descriptor.clone())).collect();
    let (bytes, descriptor) = config::index(&manifests, &annotations);
    Ok((Some(bytes), descriptor))
}

fn report(
    terms: &Terms<'_>,
    images: &[Moving],
    accepted: bool,
    root: &Descriptor,
    destination: &Destination,
) -> Report {
    let whole = |accepted: bool, digest, platform| Report {
        schema: Report::SCHEMA,
        subject: Subject { reference: destination.to_string(), digest, platform },
        policy: super::policy_name(terms),
        rules: inspect::rule_set(),
        verdict: if accepted { Verdict::Accepted } else { Verdict::Rejected },
        findings: Vec::new(),
        packages: Vec::new(),
        vulnerabilities: Vec::new(),
        database: terms.advisories().map(|advised| advised.database.digest()),
        scanner_reports: Vec::new(),
        images: Vec::new(),
    };
    let of = |image: &Moving| {
        let cleared = image.cleared.is_some();
        let digest = cleared.then_some(image.documents.descriptor.digest);
        let mut one = whole(cleared, digest, Some(image.platform.to_string()));
        one.findings.clone_from(&image.findings);
        one.packages = super::packages(&image.bom);
        one.vulnerabilities.clone_from(&image.known.vulnerabilities);
        one
    };
    match images {
        [only] if root.digest == only.documents.descriptor.digest => of(only),
        several => {
            let mut report = whole(accepted, accepted.then_some(root.digest), None);
            report.images = several.iter().map(of).collect();
            report
        }
    }
}

/// Describes and signs what has passed.
fn attested(
    options: &Options<'_>,
    images: &[Moving],
    index: &Option<Vec<u8>>,
    root: &Descriptor,
    layout: &LayoutWriter,
) -> Result<(Vec<Descriptor>, Papers), RebaseError> {
    let mut referrers = Vec::new();
    let mut papers = Papers::new();
    let mut attest = |subject: &Descriptor, cleared: &Cleared<()>, sbom: &_, provenance: &_| {
        for statement in
            attest::statements(cleared, options.name, &subject.digest, sbom, provenance)
        {
            let referrer = sign::statement(&statement, subject, options.key, options.epoch)?;
            for bytes in [sign::EMPTY, &referrer.bundle, &referrer.manifest] {
                layout.write_blob(bytes).map_err(RebaseError::Write)?;
            }
            referrers.push(referrer.descriptor);
        }
        Ok::<(), RebaseError>(())
    };
    let moved: Vec<_> = images
        .iter()
        .map(|image| Moved {
            platform: &image.platform,
            was: image.was,
            old: (&image.old.name, image.old.digest),
            base: &image.base,
        })
        .collect();
    let predicate = |moved: &[Moved<'_>], was: Digest| {
        let database = options.advised.map(|advised| advised.database.digest());
        let judged = (options.policy, database);
        provenance::moved(options.name, was, moved, judged, options.epoch, options.ci)
    };
    let subject = |of: &Moving, descriptor: &Descriptor, bytes: &[u8], about: bom::About| {
        let (name, epoch) = (options.name.to_owned(), options.epoch);
        let subject = bom::Subject::new(name, descriptor.digest, descriptor.size, about, epoch);
        let subject = subject.says(|key| of.said.get(key).cloned());
        bom::Subject { sha512: bom::sha512(&bytes).ok(), ..subject }
    };
    let whole = predicate(&moved, options.root.digest);
    let mut text = serde_json::to_vec_pretty(&whole).unwrap_or_default();
    text.push(b'\n');
    papers.push(("provenance.json".to_owned(), text));
    if let Some(bytes) = index {
        layout.write_blob(bytes).map_err(RebaseError::Write)?;
        let platforms: Vec<_> = images
            .iter()
            .map(|one| {
                let descriptor = &one.documents.descriptor;
                (one.platform.clone(), descriptor.digest, descriptor.size)
            })
            .collect();
        if let Some(first) = images.first() {
            let about = bom::About::Image { platform: None, base: None };
            let sbom = bom::spdx23::index(&subject(first, root, bytes, about), &platforms);
            let value = serde_json::from_slice(&sbom).unwrap_or_default();
            papers.push(("sbom.spdx.json".to_owned(), sbom));
            if let Some(cleared) = &first.cleared {
                attest(root, cleared, &value, &whole)?;
            }
        }
    }
    for (image, moved) in images.iter().zip(&moved) {
        let descriptor = &image.documents.descriptor;
        let base = image.base.digest.map(|digest| (image.base.name.clone(), digest));
        let about = bom::About::Image { platform: Some(image.platform.clone()), base };
        let subject = subject(image, descriptor, &image.documents.manifest, about);
        let end = match index {
            Some(_) => format!(".{}", image.platform.to_string().replace('/', "-")),
            None => String::new(),
        };
        papers.push((format!("sbom{end}.spdx.json"), bom::spdx23::to_bytes(&image.bom, &subject)));
        papers
            .push((format!("sbom{end}.cdx.json"), bom::cyclonedx::to_bytes(&image.bom, &subject)));
        if let Some(cleared) = &image.cleared {
            let sbom = bom::spdx23::to_value(&image.bom, &subject);
            attest(descriptor, cleared, &sbom, &predicate(std::slice::from_ref(moved), image.was))?;
        }
    }
    Ok((referrers, papers))
}
