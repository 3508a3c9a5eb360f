//! `karat pull`, `karat push`, `karat copy` and `karat promote`.

use super::args;
use super::clearance::{self, Seal};
use super::failure::{CODE_DONE, CODE_REJECTED, Failure};
use super::hand::Hand;
use super::meter::Meter;
use super::network;
use super::output::{Output, bytes};
use super::scan;
use super::settings;
use super::waiver_files;
use karat::finding::escape;
use karat::oci::Reference;
use karat::oci::reference::is_tag;
use karat::pipeline::clearance::{Demand, clear, is_vouched_for};
use karat::pipeline::statements;
use karat::pipeline::transfer::{self, Origin, TransferError};
use karat::policy::{Occasion, Terms};
use karat::publish::Destination;
use karat::publish::registry::Receipt;
use karat::registry::{Registries, RegistryError};
use karat::settings::{Policy, Standing, names_at};
use karat::time::Now;
use karat::verify::{self, Trust};
use serde_json::json;
use std::path::Path;
use std::time::SystemTime;

/// What all these commands are given.
struct Asked<'a> {
    source: Reference,
    destination: Reference,
    signer: Option<&'a args::Signer>,
    advisories: Option<&'a args::Advisories>,
    /// The key that signs that the image has passed.
    sign: Option<&'a Path>,
    offline: bool,
    policy: Policy,
    /// Tags beside that of the destination.
    tags: &'a [String],
}

pub(super) fn pull(args: &args::Pull, output: &Output) -> Result<u8, Failure> {
    let source = remote(&args.reference)?;
    let destination = reference(&args.destination)?;
    if matches!(destination, Reference::Registry { .. }) {
        return Err(Failure::usage(format!("`{destination}` is in a registry"))
            .hint("`karat copy` goes from one registry to another"));
    }
    let policy = settings::policy_here(&args.policy)?.policy;
    let offline = args.offline;
    let (signer, advisories, sign, tags) = (None, None, None, &[][..]);
    run(&Asked { source, destination, signer, advisories, sign, offline, policy, tags }, output)
}

pub(super) fn push(args: &args::Push, output: &Output) -> Result<u8, Failure> {
    let source = reference(&args.source)?;
    if matches!(source, Reference::Registry { .. }) {
        return Err(Failure::usage(format!("`{source}` is in a registry already"))
            .hint("`karat copy` goes from one registry to another"));
    }
    let destination = remote(&args.destination)?;
    let policy = settings::policy_here(&args.policy)?.policy;
    let (signer, offline) = (Some(&args.signer), args.offline);
    let (advisories, sign, tags) = (Some(&args.advisories), None, &[][..]);
    run(&Asked { source, destination, signer, advisories, sign, offline, policy, tags }, output)
}

pub(super) fn copy(args: &args::Push, output: &Output) -> Result<u8, Failure> {
    let (source, destination) = (reference(&args.source)?, reference(&args.destination)?);
    let policy = settings::policy_here(&args.policy)?.policy;
    let (signer, offline) = (Some(&args.signer), args.offline);
    let (advisories, sign, tags) = (Some(&args.advisories), None, &[][..]);
    run(&Asked { source, destination, signer, advisories, sign, offline, policy, tags }, output)
}

/// Brings an image from where the policy lets images wait to where it publishes them.
pub(super) fn promote(args: &args::Promote, output: &Output) -> Result<u8, Failure> {
    let policy = settings::policy_here(&args.policy)?.policy;
    let source = remote(&args.reference)?;
    check_tags(&args.tags)?;
    let registry = policy.registry.as_ref();
    let places = registry.and_then(|one| one.staging.as_deref().zip(one.publish.as_deref()));
    let Some((staging, publish)) = places else {
        return Err(Failure::usage(
            "the policy does not say where images wait and where they are published",
        )
        .hint("`[registry]` with `staging = \"HOST/REPO\"` and `publish = \"HOST/REPO\"`"));
    };
    let place = place(&source);
    let name = place.strip_prefix(staging).filter(|rest| rest.starts_with('/'));
    let Some(name) = name else {
        return Err(Failure::usage(format!("`{place}` does not lie below `{staging}`"))
            .hint("only what waits there is promoted; `karat copy` takes other places"));
    };
    let destination = reference(&format!("docker://{publish}{name}"))?;
    let (signer, offline) = (Some(&args.signer), args.offline);
    let (advisories, sign, tags) = (Some(&args.advisories), args.sign.as_deref(), &args.tags[..]);
    run(&Asked { source, destination, signer, advisories, sign, offline, policy, tags }, output)
}

/// Returns the repository of a reference, `HOST/REPO`.
fn place(reference: &Reference) -> String {
    match reference {
        Reference::Registry { host, repository, .. } => format!("{host}/{repository}"),
        other => other.to_string(),
    }
}

/// Makes sure that tags say something.
fn check_tags(tags: &[String]) -> Result<(), Failure> {
    for tag in tags {
        if tag == "latest" || !is_tag(tag) {
            return Err(Failure::usage(format!("`{tag}` is no tag to publish under"))
                .hint("one that says what it is: a version; `latest` says nothing"));
        }
    }
    Ok(())
}

fn reference(text: &str) -> Result<Reference, Failure> {
    Ok(Reference::parse(text, |path| path.symlink_metadata().is_ok())?)
}

fn remote(text: &str) -> Result<Reference, Failure> {
    match reference(text)? {
        found @ Reference::Registry { .. } => Ok(found),
        other => Err(Failure::usage(format!("`{other}` is in no registry"))
            .hint("`docker://HOST/REPO:TAG` or `docker://HOST/REPO@sha256:…`")),
    }
}

fn run(asked: &Asked<'_>, output: &Output) -> Result<u8, Failure> {
    let Asked { destination, policy, .. } = asked;
    let of_policy = policy.registry.as_ref();
    let source = &network::mirrored(of_policy, &asked.source, output);
    let to_registry = matches!(destination, Reference::Registry { .. });
    let standing =
        if to_registry { Some(transfer::standing(of_policy, destination)?) } else { None };
    if to_registry && of_policy.is_none() {
        output.tell(
            "warning: the policy has no `[registry]`: any registry is written to, and nothing is judged first",
        );
    }
    let hosts = transfer::hosts(
        of_policy,
        &[source],
        to_registry.then_some(destination),
        &network::plain_hosts()?,
    )?;
    let registries = network::registries(hosts, asked.offline, &[source, destination])?;
    let require_digest = of_policy.is_some_and(|one| one.require_digest);
    let mut origin = transfer::open(&registries, source, require_digest, true)?;
    if let Some(tag) = &origin.by_tag {
        output.tell(&format!("the tag `{tag}` leads to {} now", origin.root.digest));
    }
    if to_registry {
        return publish(asked, &registries, &mut origin, standing, output);
    }
    let name = match source {
        Reference::Registry { repository, .. } => repository.clone(),
        _ => "image".to_owned(),
    };
    let place = Destination::new(destination.clone())?;
    let pulled = {
        let _meter = Meter::start(&name, &origin.stored.progress, output);
        transfer::pull(&origin, &name, &place)?
    };
    output.tell(&format!(
        "fetched {} blobs, {}; {} were there; {} referrers",
        pulled.fetched,
        bytes(pulled.bytes),
        pulled.present,
        pulled.referrers
    ));
    let digest = origin.root.digest;
    if output.is_json() {
        output.json(&json!({
            "schema": "karat.transfer/v1",
            "source": source.to_string(),
            "reference": format!("{destination}@{digest}"),
            "digest": digest,
            "fetched": { "blobs": pulled.fetched, "bytes": pulled.bytes },
            "present": pulled.present,
            "referrers": pulled.referrers,
        }));
    } else {
        output.result(&escape::terminal(&format!("{destination}@{digest}")));
    }
    Ok(CODE_DONE)
}

fn publish(
    asked: &Asked<'_>,
    registries: &Registries,
    origin: &mut Origin,
    standing: Option<Standing>,
    output: &Output,
) -> Result<u8, Failure> {
    let Reference::Registry { host, repository, digest, tag } = &asked.destination else {
        return Ok(CODE_DONE);
    };
    let place = format!("{host}/{repository}");
    let root = origin.root.digest;
    if digest.is_some_and(|wanted| wanted != root) {
        return Err(Failure::usage(format!(
            "the image is {root}, and `{}` names another digest",
            asked.destination
        )));
    }
    if standing == Some(Standing::Trusted)
        && !is_cleared(asked, registries, origin, &place, output)?
    {
        return Ok(CODE_REJECTED);
    }
    let immutable = asked.policy.registry.as_ref().is_some_and(|one| one.immutable_tags);
    let tags: Vec<String> = tag.iter().chain(asked.tags).cloned().collect();
    let receipt = {
        let _meter = Meter::start(&place, &origin.stored.progress, output);
        transfer::publish(registries, origin, &asked.destination, &tags, immutable)?
    };
    output.tell(&account(&receipt));
    if output.is_json() {
        output.json(&json!({
            "schema": "karat.transfer/v1",
            "source": asked.source.to_string(),
            "reference": format!("{place}@{root}"),
            "digest": root,
            "uploaded": { "blobs": receipt.uploaded, "bytes": receipt.bytes },
            "present": receipt.present,
            "mounted": receipt.mounted,
            "manifests": receipt.manifests,
            "referrers": receipt.referrers,
            "tagged": receipt.tagged,
        }));
    } else {
        output.result(&format!("{place}@{root}"));
    }
    Ok(CODE_DONE)
}

/// Says what was sent, what was not, and why.
fn account(receipt: &Receipt) -> String {
    format!(
        "sent {} blobs, {}; {} were there, {} mounted; wrote {} manifests; {} referrers{}",
        receipt.uploaded,
        bytes(receipt.bytes),
        receipt.present,
        receipt.mounted,
        receipt.manifests,
        receipt.referrers,
        receipt.tagged.iter().map(|tag| format!("; tagged {tag}")).collect::<String>()
    )
}

/// Where a build publishes to, read before anything is built.
pub(super) struct Publication {
    place: Reference,
    tags: Vec<String>,
}

impl Publication {
    /// Reads where the image of a recipe is published.
    pub(super) fn of(args: &args::Build, policy: &Policy, image: &str) -> Result<Self, Failure> {
        if args.sign.is_none() {
            return Err(Failure::usage("`--push` publishes only what is signed")
                .hint("name the key: `--sign cosign.key`"));
        }
        if args.offline {
            return Err(Failure::usage("`--push` needs a connection, and `--offline` forbids all"));
        }
        check_tags(&args.tags)?;
        let publish = policy.registry.as_ref().and_then(|registry| registry.publish.as_ref());
        let Some(publish) = publish else {
            return Err(Failure::usage("the policy does not say where images are published").hint(
                "`[registry]` with `publish = \"HOST/REPO\"`; `karat push` takes any place",
            ));
        };
        let place = reference(&format!("docker://{publish}/{image}"))?;
        Ok(Self { place, tags: args.tags.clone() })
    }

    /// Publishes what was built and returns `HOST/REPO@sha256:…`.
    pub(super) fn publish(
        &self,
        built: &Destination,
        policy: &Policy,
        hand: &Hand,
        trusted_root: Option<&Path>,
        output: &Output,
    ) -> Result<String, Failure> {
        let now = Now::new(SystemTime::now());
        let place_of = place(&self.place);
        let trust = clearance::of_signer(hand.signer(), trusted_root, policy, &place_of, now)?;
        let source = match built {
            Destination::Dist(path) => {
                Reference::Layout { dir: path.join("image"), tag: Some("local".to_owned()) }
            }
            Destination::Layout { dir, tag } => {
                Reference::Layout { dir: dir.clone(), tag: tag.clone() }
            }
            Destination::Archive(file) => Reference::Archive(file.clone()),
        };
        let of_policy = policy.registry.as_ref();
        let hosts = transfer::hosts(of_policy, &[], Some(&self.place), &network::plain_hosts()?)?;
        let registries = network::registries(hosts, false, &[&self.place])?;
        let mut origin = transfer::open(&registries, &source, false, true)?;
        // The gate has judged what is there; what is required must be there too.
        let verification =
            verify::stored(&origin.stored, &origin.root, &trust, &policy.gate.require)?;
        if !verification.accepted() {
            return Err(Failure {
                code: CODE_REJECTED,
                ..Failure::usage(format!("`{source}` lacks what the policy requires"))
            });
        }
        if !hand.is_deterministic() {
            self.leave_out_what_is_said(&mut origin, &registries, &trust)?;
        }
        let immutable = of_policy.is_some_and(|one| one.immutable_tags);
        let receipt = {
            let _meter = Meter::start(&self.place.to_string(), &origin.stored.progress, output);
            transfer::publish(&registries, &origin, &self.place, &self.tags, immutable)?
        };
        output.tell(&format!("  {:<10} {}", "published", account(&receipt)));
        let place = self.place.to_string();
        let place = place.strip_prefix("docker://").unwrap_or(&place);
        Ok(format!("{place}@{}", origin.root.digest))
    }
}

impl Publication {
    /// Leaves out what the repository holds in another signature of the same signer, so that a
    /// second run adds nothing.
    fn leave_out_what_is_said(
        &self,
        origin: &mut Origin,
        registries: &Registries,
        trust: &Trust,
    ) -> Result<(), Failure> {
        let Reference::Registry { host, repository, .. } = self.place.clone() else {
            return Ok(());
        };
        let digest = Some(origin.root.digest);
        let there = Reference::Registry { host, repository, tag: None, digest };
        let there = match transfer::open(registries, &there, false, true) {
            Ok(there) => there.stored,
            Err(TransferError::Registry(RegistryError::Missing(_))) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if let Some(repeated) = statements::repeated(&origin.stored, &there, &origin.root, trust)? {
            origin.stored.index.manifests.retain(|one| !repeated.contains(&one.digest));
        }
        Ok(())
    }
}

/// Returns what must be signed of an image for a place in the trust root, and by whom; none where
/// nothing has to be.
fn demanded(asked: &Asked<'_>, place: &str) -> Result<Option<Trust>, Failure> {
    let policy = &asked.policy;
    let named = asked.signer.filter(|signer| signer.is_named());
    // What enters is judged by the policy, and nothing on the command line replaces it.
    if named.is_some() && !policy.trust.is_empty() {
        return Err(Failure::usage(format!("the policy says who may sign what enters `{place}`"))
            .hint("leave `--key` and `--identity` out"));
    }
    match asked.signer {
        Some(signer) if named.is_some() || !policy.trust.is_empty() => {
            super::verify::trust(signer, policy, Some(place)).map(Some)
        }
        _ if policy.gate.require.is_empty() => Ok(None),
        _ => {
            let required: Vec<_> =
                policy.gate.require.iter().map(|one| format!("`{one}`")).collect();
            let required = required.join(", ");
            Err(Failure::usage(format!(
                "`{place}` takes only what is signed ({required}), and nothing says by whom"
            ))
            .hint("name the public key, `--key cosign.pub`, or `--identity` with `--issuer`"))
        }
    }
}

/// Judges an image for a place in the trust root, by the gate and by what must be signed, and
/// where somebody vouches for it, puts that beside it.
fn is_cleared(
    asked: &Asked<'_>,
    registries: &Registries,
    origin: &mut Origin,
    place: &str,
    output: &Output,
) -> Result<bool, Failure> {
    let policy = &asked.policy;
    let trust = demanded(asked, place)?;
    let root = settings::project(Path::new("."))?.root().to_owned();
    let waivers = waiver_files::shared(&root)?;
    let advisories = match asked.advisories {
        Some(args) => scan::advisories(args, policy, &root)?,
        None => None,
    };
    let seal = Seal::read(asked.sign, advisories.is_some())?;
    let names = names_at(place);
    let now = Now::new(SystemTime::now());
    let terms = Terms::new(policy, &waivers, &names, Occasion::Release, now)?
        .advised(advisories.as_ref().map(scan::Advisories::advised));
    let require = clearance::before(&policy.gate.require, seal.as_ref());
    let demand = trust.as_ref().map(|trust| Demand { trust, require: &require, of_each: true });
    let found = {
        let _meter = Meter::start("judging", &origin.stored.progress, output);
        clear(&asked.source, origin, demand, &terms)?
    };
    output.tell(&format!("policy {} {}", policy.name, policy.digest()));
    if !found.accepted() {
        clearance::rejected(&asked.source, &found, trust.as_ref(), output);
        if output.is_json() {
            output.json(&json!(found.report));
        }
        output.tell(&format!("nothing was written to {place}"));
        return Ok(false);
    }
    if let Some(seal) = &seal {
        let own = seal.trust(policy, place, now)?;
        if !is_vouched_for(registries, &asked.destination, origin, &own)? {
            found.vouch(origin, &seal.voucher(&own, policy, place, now))?;
        }
    }
    Ok(true)
}
