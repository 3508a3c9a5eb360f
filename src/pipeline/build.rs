//! recipe → base → assemble → inspect → bill of materials → judgement → image →
//! attestations → signature → outputs.

use super::known::{self, Known};
use crate::advisory::scanner::{self, Identity};
use crate::advisory::{DatabaseError, Matched, vex};
use crate::assemble::input::Project;
use crate::assemble::sidecar::MAX_SIDECAR;
use crate::assemble::{self, AssembleError, Assembled, Input, Packed, Request, Role, config};
use crate::attest::ci::Ci;
use crate::attest::summary::Evidence;
use crate::attest::{self, provenance};
use crate::base::{Base, BaseError, Shelf};
use crate::binary::ReadAt as _;
use crate::bom::{self, Bom};
use crate::finding::report::{Report, ScannerReport, Subject, Verdict};
use crate::finding::{FileFacts, Finding, rules};
use crate::image::{Image, Origin};
use crate::inspect::{self, Ahead};
use crate::oci::layout::LayoutWriter;
use crate::oci::{Descriptor, Digest, Platform};
use crate::policy::{self, Advised, Cleared, Occasion, Reported, Terms};
use crate::publish::{self, Destination, Papers, PublishError, Release, Staging};
use crate::recipe::{Compression, Recipe};
use crate::settings::{Policy, ProfileTie};
use crate::sign;
use crate::sign::legacy::{self as old_form, OldForm};
use crate::signature::{self, Signing};
use crate::store::SpoolRoom;
use crate::time::{Epoch, Now};
use crate::waiver::Waiver;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::num::NonZeroUsize;

/// Everything that a build depends on.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// The recipe's path relative to the project root, for the provenance.
    pub recipe_path: &'a str,
    /// The project.
    pub project: &'a Project,
    /// The values that were given for vars.
    pub vars: &'a BTreeMap<String, String>,
    /// The platforms to build, of those of the recipe; none for all.
    pub platforms: Option<&'a [Platform]>,
    /// The time that is written.
    pub epoch: Epoch,
    /// The time that decides what has expired.
    pub now: Now,
    /// The policy.
    pub policy: &'a Policy,
    /// Where bases are.
    pub shelf: Shelf<'a>,
    /// The waivers of the project's `waivers/`.
    pub waivers: &'a [Waiver],
    /// The advisories in which its parts are looked up, if there are any.
    pub advised: Option<Advised<'a>>,
    /// What other scanners have found in this very image.
    pub reported: Reported<'a>,
    /// What version control holds, where the project is under it.
    pub checkout: Option<&'a Checkout>,
    /// The run of a CI system that builds, if one does.
    pub ci: Option<&'a Ci>,
    /// What the image is judged for.
    pub occasion: Occasion,
    /// Who signs bundles, if any are to be made.
    pub key: Option<&'a dyn Signing>,
    /// With what is signed in cosign's old form, if anything is.
    pub old_form: Option<OldForm<'a>>,
    /// How many threads compress.
    pub threads: NonZeroUsize,
    /// Where the image goes; at least one.
    pub destinations: &'a [Destination],
}

/// What version control holds of a project.
#[derive(Debug, Clone, Default)]
pub struct Checkout {
    /// The commit that is checked out, in hexadecimal digits; none before the first.
    pub commit: Option<String>,
    /// Whether that commit has the recipe as it is.
    pub holds_recipe: bool,
    /// The files that are held, relative to the project's root, with `/` between the components.
    pub tracked: BTreeSet<String>,
}

/// What a build has done.
#[derive(Debug)]
pub struct Built {
    /// The report, with its verdict.
    pub report: Report,
    /// The manifest, or the index over several; none for a rejected image.
    pub root: Option<Descriptor>,
    /// What was built, platform by platform.
    pub account: Vec<Account>,
    /// How many statements were signed.
    pub signed: usize,
}

/// What is to be said of one platform.
#[derive(Debug)]
pub struct Account {
    /// The platform.
    pub platform: Platform,
    /// The base and the digest of its manifest.
    pub base: (String, Option<Digest>),
    /// What was read, in byte order.
    pub inputs: Vec<Input>,
    /// The bytes of the stored layers, the base's and the added ones.
    pub stored: (u64, u64),
    /// How many packages the bill of materials lists.
    pub packages: usize,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BuildError {
    #[error("the recipe declares no var `{0}`")]
    UnknownVar(String),
    #[error("`{value}` is no value of the var `{name}`: it must match {pattern}")]
    VarValue { name: String, value: String, pattern: String },
    #[error("the var `{0}` has no default and was not given")]
    MissingVar(String),
    #[error("the recipe does not list the platform {0}")]
    UnlistedPlatform(Platform),
    #[error(transparent)]
    Base(Box<BaseError>),
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error("failed to write a document of the image: {0}")]
    Document(io::Error),
    #[error(transparent)]
    Profile(#[from] ProfileTie),
    #[error("two waivers have the name `{0}`: in `{1}` and `{2}`")]
    WaiverTwice(String, String, String),
    #[error("failed to sign: {0}")]
    Sign(#[from] signature::Error),
    #[error("the database of advisories: {0}")]
    Database(#[from] DatabaseError),
    #[error("the scanner's report `{file}` is about {subject}, and the image is {}", .images.join(" and "))]
    OtherImage { file: String, subject: String, images: Vec<String> },
}

impl From<BaseError> for BuildError {
    fn from(error: BaseError) -> Self {
        Self::Base(Box::new(error))
    }
}

/// Builds the image of a recipe.
///
/// # Errors
/// When nothing could be judged or written. A rejected image is no error: its report says so.
pub fn build(options: Options<'_>) -> Result<Built, BuildError> {
    let vars = vars(options.recipe, options.vars)?;
    let platforms = platforms(options)?;
    let waivers = waivers(options)?;
    let names = options.policy.names_of(&options.recipe.name);
    let terms = Terms::new(options.policy, &waivers, &names, options.occasion, options.now)?
        .advised(options.advised)
        .reported(options.reported);
    for destination in options.destinations {
        destination.check()?;
    }
    let Some(first) = options.destinations.first() else {
        return Err(BuildError::Document(io::Error::other("no destination was named")));
    };
    let staging = Staging::beside(first)?;
    let room = SpoolRoom::default();
    let images = platforms
        .iter()
        .map(|platform| one(options, &terms, platform, &vars, &staging.layout, &room))
        .collect::<Result<Vec<_>, _>>()?;
    all_are_about(options, &images)?;
    let accepted = images.iter().all(|image| image.judged.cleared.is_some());
    let manifest =
        |image: &Platformed| (image.account.platform.clone(), image.documents.descriptor.clone());
    let manifests: Vec<_> = images.iter().map(manifest).collect();
    let root = root(options.recipe, &vars, options.epoch, &manifests);
    let report = report(&terms, &images, accepted, &root.1, first);
    let mut built = Built { report, root: None, account: Vec::new(), signed: 0 };
    if accepted {
        let signed =
            papers_and_referrers(options, &images, &root, &vars, &built.report, &staging.layout)?;
        let mut papers = signed.papers;
        papers.push(("report.json".to_owned(), built.report.to_json()));
        papers.push(("report.html".to_owned(), built.report.to_html().into_bytes()));
        built.signed = signed.statements;
        let release = Release {
            root: root.1.clone(),
            referrers: signed.referrers,
            name: options.recipe.name.clone(),
        };
        publish::release(&release, staging, &papers, options.destinations)?;
        built.root = Some(root.1);
    } else {
        let papers = vec![
            ("report.json".to_owned(), built.report.to_json()),
            ("report.html".to_owned(), built.report.to_html().into_bytes()),
        ];
        publish::rejection(staging, &papers, options.destinations)?;
    }
    built.account = images.into_iter().map(|image| image.account).collect();
    Ok(built)
}

/// Returns the value of every var of a recipe: given, or by default.
pub(super) fn vars(
    recipe: &Recipe,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, BuildError> {
    let declared = &recipe.vars;
    for (name, value) in given {
        let var = declared.get(name).ok_or_else(|| BuildError::UnknownVar(name.clone()))?;
        if !var.pattern.is_match(value) {
            let pattern = var.written.clone();
            return Err(BuildError::VarValue { name: name.clone(), value: value.clone(), pattern });
        }
    }
    let value = |(name, var): (&String, &crate::recipe::Var)| {
        let value = given.get(name).or(var.default.as_ref());
        Ok((name.clone(), value.cloned().ok_or_else(|| BuildError::MissingVar(name.clone()))?))
    };
    declared.iter().map(value).collect()
}

fn platforms(options: Options<'_>) -> Result<Vec<Platform>, BuildError> {
    let listed = &options.recipe.platforms;
    let Some(wanted) = options.platforms else { return Ok(listed.clone()) };
    match wanted.iter().find(|platform| !listed.contains(platform)) {
        Some(unlisted) => Err(BuildError::UnlistedPlatform(unlisted.clone())),
        None => Ok(listed.iter().filter(|platform| wanted.contains(platform)).cloned().collect()),
    }
}

/// Makes sure that every report of another scanner is about what was built.
fn all_are_about(options: Options<'_>, images: &[Platformed]) -> Result<(), BuildError> {
    let taken = taken(images);
    let is_stray = |one: &&scanner::Report| !taken.iter().any(|taken| taken.digest == one.digest);
    let Some(stray) = options.reported.reports.iter().find(is_stray) else { return Ok(()) };
    let manifest = |image: &Platformed| image.documents.descriptor.digest.to_string();
    Err(BuildError::OtherImage {
        file: stray.file.clone(),
        subject: stray.subject(),
        images: images.iter().map(manifest).collect(),
    })
}

/// The reports of other scanners that were taken in, each once.
fn taken(images: &[Platformed]) -> BTreeSet<ScannerReport> {
    images.iter().flat_map(|image| image.known.reports.iter().cloned()).collect()
}

/// The image of one platform, judged.
struct Platformed {
    account: Account,
    base: Base,
    documents: config::Documents,
    bom: Bom,
    known: Known,
    judged: policy::Judged<()>,
}

fn one(
    options: Options<'_>,
    terms: &Terms<'_>,
    platform: &Platform,
    vars: &BTreeMap<String, String>,
    layout: &LayoutWriter,
    room: &SpoolRoom,
) -> Result<Platformed, BuildError> {
    let recipe = options.recipe;
    let base = options.shelf.resolve(&recipe.base.value, platform)?;
    let request = Request {
        recipe,
        platform,
        base: &base,
        project: options.project,
        vars,
        epoch: options.epoch,
    };
    let assembled = std::thread::scope(|scope| {
        scope.spawn(inspect::prepare);
        assemble::image(request, room)
    });
    let Assembled { image, inputs } = assembled?;
    let declared = recipe.binaries.iter().map(|binary| inspect::Declared {
        path: binary.path.clone(),
        identity: binary.identity.as_ref().map(ToString::to_string),
    });
    let rules = inspect::Rules {
        platform: Some(platform.clone()),
        declared: Some(declared.collect()),
        commit: options.checkout.and_then(|checkout| checkout.commit.clone()),
    };
    // Packing reads the same spools as looking: neither waits for the other.
    let (packed, inspected, bom) = std::thread::scope(|scope| {
        let packing = scope.spawn(|| {
            assemble::pack(
                &image,
                &base,
                layout,
                recipe.compression,
                options.epoch,
                options.threads,
            )
        });
        let inspected = inspect::image(&image, &rules, &Ahead::default());
        let bom = bom::with_sidecars(&image, &base.packages, &sidecars(&inputs));
        let packed = packing
            .join()
            .unwrap_or_else(|_| Err(AssembleError::Layer(io::Error::other("packing failed"))));
        (packed, inspected, bom)
    });
    let packed = packed?;
    let documents = config::documents(&image, &packed);
    let identity = Identity {
        manifest: documents.descriptor.digest,
        config: Digest::of(&documents.config),
        index: None,
        diff_ids: packed.diff_ids.clone(),
    };
    let executables = known::executables(&image, &bom);
    let mut known = known::known(&bom, &executables, Some(&identity), terms)?;
    let mut further = std::mem::take(&mut known.findings);
    further.extend(too_large(&image, &packed, &base, options.policy));
    further.extend(freshness(&base, options.policy, options.now));
    further.extend(excluded(&base));
    further.extend(untracked(options, &inputs));
    let bases = [base.known()];
    let judged = policy::judge(inspected, &packed.diff_ids, further, &terms.knowing(&bases));
    let known = known.waived(&judged.findings);
    let judged =
        policy::Judged { findings: judged.findings, cleared: judged.cleared.map(Cleared::forget) };
    for bytes in [&documents.config, &documents.manifest] {
        layout.write_blob(bytes).map_err(BuildError::Document)?;
    }
    let added = packed.added_size(&base);
    let all: u64 = packed.layers.iter().map(|layer| layer.size).sum();
    let account = Account {
        platform: platform.clone(),
        base: (base.name.clone(), base.digest),
        inputs,
        stored: (all - added, added),
        packages: super::packages(&bom).len(),
    };
    Ok(Platformed { account, base, documents, bom, known, judged })
}

/// Reads the documents that came with executables; each was bound to its file before.
fn sidecars(inputs: &[Input]) -> Vec<bom::Sidecar> {
    let of_role = |role: &Role| matches!(role, Role::Sbom);
    let read = |input: &Input| {
        let mut binaries = inputs.iter().filter(|one| matches!(one.role, Role::Binary));
        let binary = binaries.find(|one| one.path == input.path)?.content.sha256();
        let bytes = input.content.read_vec(0, MAX_SIDECAR as usize).ok()?;
        bom::Sidecar::read(&bytes, binary)
    };
    inputs.iter().filter(|input| of_role(&input.role)).filter_map(read).collect()
}

/// Says that the layers beside the base's are too large.
pub(super) fn too_large(
    image: &Image,
    packed: &Packed,
    base: &Base,
    policy: &Policy,
) -> Option<Finding> {
    let added = packed.added_size(base);
    let most = policy.gate.max_size;
    let message = format!("the added layers have {added} bytes, and the policy allows {most}");
    let unpacked = image.file_bytes(Origin::Added);
    let why = [format!("{unpacked} bytes of files before compression")];
    (added > most).then(|| Finding::new(&rules::IMAGE_TOO_LARGE, message).because(why))
}

/// Findings about the age of a base: past its last day, or locked too long ago.
pub(super) fn freshness(base: &Base, policy: &Policy, now: Now) -> Vec<Finding> {
    let today = now.date();
    let mut findings = Vec::new();
    if let Some(until) = base.maintained_until.filter(|until| *until < today) {
        let message = format!("the base `{}` was maintained until {until}", base.name);
        findings.push(Finding::new(&rules::BASE_UNMAINTAINED, message));
    }
    let most = base.max_age.map_or(policy.bases.max_age, |own| own.min(policy.bases.max_age));
    if let Some(locked) = base.locked_on {
        let age = today.days_since(locked);
        if age > i64::from(most) {
            let message = match base.origin {
                Origin::Upstream => {
                    format!(
                        "the image of the base `{}` was locked on {locked}, {age} days ago",
                        base.name
                    )
                }
                _ => format!(
                    "the packages of the base `{}` are those of {locked}, {age} days ago",
                    base.name
                ),
            };
            let why = [format!("at most {most} days are allowed")];
            findings.push(Finding::new(&rules::BASE_OUTDATED, message).because(why));
        }
    }
    findings
}

/// Says what a base leaves out of its packages.
pub(super) fn excluded(base: &Base) -> Option<Finding> {
    let message = format!("the base `{}` leaves out files of its packages", base.name);
    let evidence = base.excluded.iter().map(|(path, reason)| format!("{path}: {reason}"));
    let finding = Finding::new(&rules::BASE_EXCLUDES, message).because(evidence);
    (!base.excluded.is_empty()).then_some(finding)
}

/// Findings about files of packed folders that version control does not hold.
fn untracked(options: Options<'_>, inputs: &[Input]) -> Vec<Finding> {
    let Some(checkout) = options.checkout else { return Vec::new() };
    let named = |input: &Input, platform: &Platform| {
        options.recipe.files.iter().any(|file| file.source.path(platform) == input.source)
    };
    inputs
        .iter()
        // A file that the recipe names by itself was meant, built or not.
        .filter(|input| {
            input.role == Role::File
                && !options.recipe.platforms.iter().any(|platform| named(input, platform))
                && !checkout.tracked.contains(&input.source)
        })
        .map(|input| {
            let mut finding = Finding::new(
                &rules::UNTRACKED_INPUT,
                format!("git does not hold `{}`", input.source),
            )
            .at(input.path.as_str());
            finding.file =
                Some(FileFacts { sha256: input.content.sha256(), size: input.content.len() });
            finding
        })
        .collect()
}

/// The waivers of the recipe and of the project, no two with one name.
fn waivers(options: Options<'_>) -> Result<Vec<Waiver>, BuildError> {
    let mut names: BTreeMap<&str, &Waiver> = BTreeMap::new();
    let mut all = Vec::new();
    for waiver in options.recipe.waivers.iter().chain(options.waivers) {
        if let Some(other) = names.insert(&waiver.id, waiver) {
            return Err(BuildError::WaiverTwice(
                waiver.id.clone(),
                other.file.clone(),
                waiver.file.clone(),
            ));
        }
        all.push(waiver.clone());
    }
    Ok(all)
}

/// Makes the index over several platforms, or takes the only manifest.
pub(super) fn root(
    recipe: &Recipe,
    vars: &BTreeMap<String, String>,
    epoch: Epoch,
    manifests: &[(Platform, Descriptor)],
) -> (Option<Vec<u8>>, Descriptor) {
    if let [(_, only)] = manifests {
        return (None, only.clone());
    }
    let mut annotations = BTreeMap::from([(config::CREATED.to_owned(), epoch.to_string())]);
    let filled = recipe.annotations.iter().map(|(key, text)| (key.clone(), text.fill(vars)));
    annotations.extend(filled);
    let (bytes, descriptor) = config::index(manifests, &annotations);
    (Some(bytes), descriptor)
}

fn report(
    terms: &Terms<'_>,
    images: &[Platformed],
    accepted: bool,
    root: &Descriptor,
    destination: &Destination,
) -> Report {
    let policy = super::policy_name(terms);
    let rules = inspect::rule_set();
    let database = terms.advisories().map(|advised| advised.database.digest());
    let of = |digest, platform, verdict: bool, images| Report {
        schema: Report::SCHEMA,
        subject: Subject { reference: destination.to_string(), digest, platform },
        policy: policy.clone(),
        rules: rules.clone(),
        verdict: if verdict { Verdict::Accepted } else { Verdict::Rejected },
        findings: Vec::new(),
        packages: Vec::new(),
        vulnerabilities: Vec::new(),
        database,
        scanner_reports: Vec::new(),
        images,
    };
    let mut reports: Vec<Report> = images
        .iter()
        .map(|image| {
            let cleared = image.judged.cleared.is_some();
            let digest = cleared.then_some(image.documents.descriptor.digest);
            let platform = Some(image.account.platform.to_string());
            Report {
                findings: image.judged.findings.clone(),
                packages: super::packages(&image.bom),
                vulnerabilities: image.known.vulnerabilities.clone(),
                scanner_reports: image.known.reports.clone(),
                ..of(digest, platform, cleared, Vec::new())
            }
        })
        .collect();
    if reports.len() == 1
        && let Some(only) = reports.pop()
    {
        return only;
    }
    of(accepted.then_some(root.digest), None, accepted, reports)
}

/// What goes out beside the image.
struct Signed {
    papers: Papers,
    referrers: Vec<Descriptor>,
    /// How many statements were signed, in whatever form.
    statements: usize,
}

fn papers_and_referrers(
    options: Options<'_>,
    images: &[Platformed],
    (index, root): &(Option<Vec<u8>>, Descriptor),
    vars: &BTreeMap<String, String>,
    report: &Report,
    layout: &LayoutWriter,
) -> Result<Signed, BuildError> {
    let record = provenance::Record {
        recipe: options.recipe,
        recipe_path: options.recipe_path,
        vars,
        epoch: options.epoch,
        policy: options.policy,
        rules: inspect::rule_set(),
        database: options.advised.map(|advised| advised.database.digest()),
        reports: taken(images),
        encoder: match options.recipe.compression {
            Compression::Gzip => crate::archive::gzip::ENCODER_ID,
            Compression::Zstd => crate::archive::zstd::ENCODER_ID,
        },
        commit: options
            .checkout
            .filter(|checkout| checkout.holds_recipe)
            .and_then(|checkout| checkout.commit.as_deref()),
        ci: options.ci,
    };
    let made: Vec<_> = images
        .iter()
        .map(|image| provenance::Made {
            platform: &image.account.platform,
            base: &image.base,
            inputs: &image.account.inputs,
        })
        .collect();
    let mut papers = Vec::new();
    let mut referrers = Vec::new();
    let mut layers = Vec::new();
    let mut statements = 0;
    let mut attest = |subject: &Descriptor,
                      cleared: &Cleared<()>,
                      sbom: &Value,
                      provenance: &Value,
                      known: &[(&[Matched], &bom::Subject)],
                      whole: &bom::Subject| {
        if options.key.is_none() && options.old_form.is_none() {
            return Ok::<(), BuildError>(());
        }
        let mut put = |statement: &attest::Statement| {
            statements += 1;
            // What says this later: the layer, or the manifest of the bundle where there is one.
            let mut digest = subject.digest;
            if let Some(by) = options.old_form {
                let layer = old_form::sign(statement, &subject.digest, by)?;
                digest = layer.layer.digest;
                layers.push(layer);
            }
            if let Some(key) = options.key {
                let referrer = sign::statement(statement, subject, key, options.epoch)?;
                for bytes in [sign::EMPTY, &referrer.bundle, &referrer.manifest] {
                    layout.write_blob(bytes).map_err(BuildError::Document)?;
                }
                digest = referrer.descriptor.digest;
                referrers.push(referrer.descriptor);
            }
            Ok::<_, BuildError>(digest)
        };
        let name = &options.recipe.name;
        let mut inputs = Vec::new();
        for statement in attest::statements(cleared, name, &subject.digest, sbom, provenance) {
            inputs.push(put(&statement)?);
        }
        // Whoever has not looked for known vulnerabilities does not say that it has passed.
        if let Some(Advised { database, .. }) = options.advised {
            let (policy, digest, now) = (options.policy, &subject.digest, options.now);
            let vex = vex::to_value(known, whole);
            let found = known.iter().flat_map(|(found, _)| *found);
            let vulns = attest::vulns::predicate(found, database, now);
            for statement in attest::known(cleared, name, digest, &vex, &vulns) {
                inputs.push(put(&statement)?);
            }
            let evidence = Evidence { inputs, reproduced: false };
            for statement in
                attest::judgements(cleared, name, policy, report, digest, &evidence, now)
            {
                put(&statement)?;
            }
        }
        Ok(())
    };
    // Who gives the image away is for its maker to say, and this is where images say it.
    let said = |key: &str| {
        let recipe = options.recipe;
        let text = recipe.annotations.get(key).or_else(|| recipe.labels.get(key))?;
        Some(text.fill(vars))
    };
    let subject = |descriptor: &Descriptor, bytes: &[u8], about: bom::About| {
        let (name, epoch) = (options.recipe.name.clone(), options.epoch);
        let subject = bom::Subject::new(name, descriptor.digest, descriptor.size, about, epoch);
        bom::Subject { sha512: bom::sha512(&bytes).ok(), ..subject.says(said) }
    };
    let of_platform = |image: &Platformed| {
        let (base, base_digest) = &image.account.base;
        let about = bom::About::Image {
            platform: Some(image.account.platform.clone()),
            base: base_digest.map(|digest| (base.clone(), digest)),
        };
        subject(&image.documents.descriptor, &image.documents.manifest, about)
    };
    let subjects: Vec<bom::Subject> = images.iter().map(of_platform).collect();
    let known: Vec<(&[Matched], &bom::Subject)> =
        images.iter().map(|image| &image.known.found[..]).zip(&subjects).collect();
    let several = index.is_some();
    let whole = record.predicate(&made);
    papers.push(("provenance.json".to_owned(), pretty(&whole)));
    if let Some(bytes) = index {
        layout.write_blob(bytes).map_err(BuildError::Document)?;
        let platforms: Vec<_> = images
            .iter()
            .map(|image| {
                let descriptor = &image.documents.descriptor;
                (image.account.platform.clone(), descriptor.digest, descriptor.size)
            })
            .collect();
        let about = bom::About::Image { platform: None, base: None };
        let subject = subject(root, bytes, about);
        let sbom = bom::spdx23::index(&subject, &platforms);
        let value = serde_json::from_slice(&sbom).unwrap_or_default();
        papers.push(("sbom.spdx.json".to_owned(), sbom));
        if let Some(cleared) = images.first().and_then(|image| image.judged.cleared.as_ref()) {
            attest(root, cleared, &value, &whole, &known, &subject)?;
        }
    }
    for ((image, made), known) in images.iter().zip(&made).zip(&known) {
        let (descriptor, subject) = (&image.documents.descriptor, known.1);
        let suffix = if several {
            format!(".{}", image.account.platform.to_string().replace('/', "-"))
        } else {
            String::new()
        };
        papers
            .push((format!("sbom{suffix}.spdx.json"), bom::spdx23::to_bytes(&image.bom, subject)));
        papers.push((
            format!("sbom{suffix}.cdx.json"),
            bom::cyclonedx::to_bytes(&image.bom, subject),
        ));
        if let Some(cleared) = &image.judged.cleared {
            attest(
                descriptor,
                cleared,
                &bom::spdx23::to_value(&image.bom, subject),
                &record.predicate(std::slice::from_ref(made)),
                std::slice::from_ref(known),
                subject,
            )?;
        }
    }
    for (tag, layers) in old_form::by_tag(&layers) {
        let attached = old_form::attach(&tag, None, &layers).map_err(io::Error::other);
        if let Some(attached) = attached.map_err(BuildError::Document)? {
            for bytes in &attached.blobs {
                layout.write_blob(bytes).map_err(BuildError::Document)?;
            }
            referrers.push(attached.entry);
        }
    }
    Ok(Signed { papers, referrers, statements })
}

/// Writes a document for people: indented, with a final newline, keys sorted.
fn pretty(value: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
