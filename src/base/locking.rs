//! Makes a lock: signed releases, their indexes, the packages that are asked for and what they
//! depend on, and the layers that come out.

use super::assembly::{self, Made};
use super::closure::{self, Chosen, Offers};
use super::debian::clear_sign::{self, ClearSigned};
use super::debian::control::Limits;
use super::debian::keyring::AHEAD;
use super::debian::release::Index;
use super::debian::{Keyring, Release, index};
use super::definition::{Definition, Packages, Suite};
use super::error::BaseError;
use super::lock::{
    self, Lock, LockedLayer, LockedPackage, LockedPlatform, LockedSuite, debian_architecture,
};
use super::mirror::MirrorError;
use super::supply::{Supply, of_index};
use super::{Base, StoredLayer, needed};
use crate::archive::verified::VerifiedReader;
use crate::image::write::{self, Written};
use crate::image::{Layer, Origin};
use crate::oci::descriptor::MediaType;
use crate::oci::{Descriptor, Digest, Platform};
use crate::store::SpoolRoom;
use crate::time::{Epoch, Moment};
use std::borrow::Cow;
use std::io::{BufReader, Read};
use std::num::NonZeroUsize;

/// The longest index when it is unpacked, in bytes; Debian's largest has 60 MB.
const MAX_INDEX: u64 = 512 << 20;
/// What a decoder of xz may use, in KiB.
const XZ_MEMORY: u32 = 66 << 10;

/// A lock and the list of entries that belongs beside it.
#[derive(Debug)]
pub struct Locked {
    /// The lock.
    pub lock: Lock,
    /// The list.
    pub contents: String,
}

/// Makes the lock of a base of packages.
///
/// # Errors
/// When a release is not signed by the keyring or has expired, an index or a package is not
/// what was promised, packages cannot be chosen, no base may hold what they hold, or libraries
/// are missing.
pub fn lock(
    definition: &Definition,
    keyring: &Keyring,
    supply: Supply<'_>,
    now: Moment,
    threads: NonZeroUsize,
) -> Result<Locked, BaseError> {
    let Some(packages) = definition.packages() else {
        return Err(BaseError::Unsupported {
            name: definition.name.clone(),
            what: "a base of this kind has no packages to lock",
        });
    };
    let mut suites = Vec::new();
    let mut releases = Vec::new();
    for suite in &packages.suites {
        let (locked, release) = release(suite, keyring, supply, now)?;
        suites.push(locked);
        releases.push((suite, release));
    }
    let mut platforms = Vec::new();
    for platform in &definition.platforms {
        let architecture = debian_architecture(platform);
        let mut offers = Offers::default();
        for (suite, release) in &releases {
            offered(packages, suite, release, architecture, supply, &mut offers)?;
        }
        let chosen = closure::choose(packages, &offers)?;
        drop(offers);
        let chosen: Vec<LockedPackage> = chosen.into_iter().map(locked_package).collect();
        let room = SpoolRoom::default();
        let built = build(packages, &chosen, supply, &room, threads)?;
        let layers: Vec<LockedLayer> = built.iter().map(locked_layer).collect();
        let missing = missing(&built, architecture);
        if !missing.is_empty() {
            return Err(BaseError::Libraries(missing));
        }
        let locked = LockedPlatform {
            platform: platform.clone(),
            digest: Digest::of(b""),
            image: None,
            layers,
            packages: chosen,
        };
        let base = base(definition, &locked, &built);
        let (_, manifest) = base.manifest(platform);
        let made: Vec<Made> = built.into_iter().map(|(made, _)| made).collect();
        platforms.push((LockedPlatform { digest: manifest.digest, ..locked }, made));
    }
    let listed: Vec<_> = platforms.iter().map(|(locked, made)| (locked, &made[..])).collect();
    let contents = assembly::contents(&listed);
    let lock = Lock {
        definition: definition.digest(),
        assembly: lock::assembly(),
        contents: Digest::of(contents.as_bytes()),
        suites,
        image: None,
        platforms: platforms.into_iter().map(|(locked, _)| locked).collect(),
    };
    Ok(Locked { lock, contents })
}

/// Fetches and verifies the release of a suite.
fn release(
    suite: &Suite,
    keyring: &Keyring,
    supply: Supply<'_>,
    now: Moment,
) -> Result<(LockedSuite, Release), BaseError> {
    let name = || suite.name.clone();
    let path = format!("dists/{}/InRelease", suite.name);
    let bytes = supply.mirrors.read(&suite.archive, &path, clear_sign::MAX as u64)?;
    let document = ClearSigned::parse(&bytes)
        .map_err(|error| BaseError::ClearSign { suite: name(), error })?;
    let signed_by = keyring
        .signers(&document, now)
        .map_err(|error| BaseError::NotSigned { suite: name(), error })?;
    let release = Release::parse(document.text.as_bytes())
        .map_err(|error| BaseError::Release { suite: name(), error })?;
    let names = [&release.codename, &release.suite];
    if !names.into_iter().flatten().any(|known| *known == suite.name) {
        let found = release.codename.or(release.suite).unwrap_or_default();
        let found = crate::finding::escape::terminal(&found);
        return Err(BaseError::OtherSuite { suite: name(), found });
    }
    if release.date.seconds() > now.seconds() + AHEAD {
        return Err(BaseError::Future { suite: name(), date: release.date });
    }
    if let Some(until) = release.valid_until.filter(|until| *until < now) {
        return Err(BaseError::Expired { suite: name(), until, now });
    }
    let locked = LockedSuite {
        name: name(),
        archive: suite.archive.clone(),
        date: release.date,
        in_release: Digest::of(&bytes),
        signed_by,
    };
    Ok((locked, release))
}

/// Reads what a suite offers for an architecture.
fn offered(
    packages: &Packages,
    suite: &Suite,
    release: &Release,
    architecture: &str,
    supply: Supply<'_>,
    offers: &mut Offers,
) -> Result<(), BaseError> {
    let plain = format!("{}/binary-{architecture}/Packages", packages.component);
    let no_index = || BaseError::NoIndex { suite: suite.name.clone(), index: plain.clone() };
    let unpacked = release.index(&plain).ok_or_else(no_index)?;
    if unpacked.size > MAX_INDEX {
        return Err(MirrorError::Long { path: plain, limit: MAX_INDEX }.into());
    }
    let packed = ["xz", "gz"]
        .iter()
        .find_map(|ending| Some((*ending, release.index(&format!("{plain}.{ending}"))?)));
    let (ending, stored): (&str, &Index) = packed.unwrap_or(("", unpacked));
    let below = |path: &str| format!("dists/{}/{path}", suite.name);
    let (folder, _) = plain.rsplit_once('/').unwrap_or_default();
    let by_hash = below(&format!("{folder}/by-hash/SHA256/{}", stored.sha256.hex()));
    let by_name = below(&stored.path);
    let paths: &[&str] = if release.by_hash { &[&by_hash, &by_name] } else { &[&by_name] };
    let bytes = supply.get(&suite.archive, paths, &stored.sha256, stored.size)?;
    let reader: Box<dyn Read> = match ending {
        "xz" => Box::new(lzma_rust2::XzReader::new_mem_limit(&bytes[..], true, XZ_MEMORY)),
        "gz" => Box::new(flate2::read::MultiGzDecoder::new(&bytes[..])),
        _ => Box::new(&bytes[..]),
    };
    let reader = VerifiedReader::new(reader, *unpacked.sha256.bytes(), unpacked.size);
    let reader = BufReader::with_capacity(256 << 10, reader);
    let mut take = |offer: index::Offer| {
        if offer.architecture == architecture || offer.architecture == "all" {
            offers.take(&suite.archive, offer);
        }
    };
    index::read(reader, Limits::PACKAGES, &mut take)
        .map_err(|error| of_index(&suite.name, &plain, error))
}

fn locked_package(chosen: Chosen) -> LockedPackage {
    let offer = chosen.offer;
    LockedPackage {
        source: offer.source.unwrap_or_else(|| offer.name.clone()),
        name: offer.name,
        version: offer.version.to_string(),
        architecture: offer.architecture,
        archive: chosen.archive,
        path: offer.path,
        size: offer.size,
        sha256: offer.sha256,
        layer: chosen.layer,
    }
}

fn locked_layer((made, written): &(Made, Written)) -> LockedLayer {
    LockedLayer {
        name: made.name.clone(),
        digest: written.digest,
        diff_id: written.diff_id,
        size: written.bytes.len() as u64,
        media_type: None,
    }
}

/// Makes the layers of a base out of its packages.
pub(super) fn build(
    packages: &Packages,
    locked: &[LockedPackage],
    supply: Supply<'_>,
    room: &SpoolRoom,
    threads: NonZeroUsize,
) -> Result<Vec<(Made, Written)>, BaseError> {
    let made =
        assembly::layers::<BaseError>(packages, locked, room, &|package| supply.package(package))?;
    let write = |made: Made| {
        let written = write::gzipped(&made.entries, Epoch::default(), threads);
        written.map(|written| (made, written)).map_err(BaseError::Write)
    };
    made.into_iter().map(write).collect()
}

/// Returns the base that layers make.
pub(super) fn base(
    definition: &Definition,
    locked: &LockedPlatform,
    built: &[(Made, Written)],
) -> Base {
    let bytes = built.iter().map(|(_, written)| Cow::Owned(written.bytes.clone()));
    super::of_lock(definition, locked, None, bytes.collect())
}

/// Returns the libraries that a base lacks.
fn missing(built: &[(Made, Written)], architecture: &str) -> Vec<String> {
    let triplet = match architecture {
        "amd64" => "x86_64-linux-gnu",
        "arm64" => "aarch64-linux-gnu",
        "armhf" => "arm-linux-gnueabihf",
        "armel" => "arm-linux-gnueabi",
        "i386" => "i386-linux-gnu",
        "ppc64el" => "powerpc64le-linux-gnu",
        "riscv64" => "riscv64-linux-gnu",
        _ => "s390x-linux-gnu",
    };
    let layer = |(made, _): &(Made, Written)| Layer {
        origin: Origin::Base,
        diff_id: None,
        entries: made.entries.clone(),
    };
    let layers: Vec<Layer> = built.iter().map(layer).collect();
    needed::missing(&layers, triplet)
}

/// Makes the layers of a locked platform again and compares them with the lock.
///
/// # Errors
/// As [`lock`], and the first entry of the first layer that differs; `contents` is the list
/// beside the lock, if it is there.
pub fn rebuild(
    definition: &Definition,
    locked: &LockedPlatform,
    contents: Option<&str>,
    supply: Supply<'_>,
    threads: NonZeroUsize,
) -> Result<Vec<(Made, Written)>, BaseError> {
    let Some(packages) = definition.packages() else { return Ok(Vec::new()) };
    let room = SpoolRoom::default();
    let built = build(packages, &locked.packages, supply, &room, threads)?;
    for (number, (made, written)) in built.iter().enumerate() {
        let wanted = locked.layers.get(number).filter(|layer| layer.name == made.name);
        let wanted_digest = wanted.map_or(Digest::of(b""), |layer| layer.digest);
        if wanted
            .is_none_or(|layer| layer.digest != written.digest || layer.diff_id != written.diff_id)
        {
            return Err(BaseError::Differs {
                platform: locked.platform.clone(),
                layer: made.name.clone(),
                found: written.digest,
                locked: wanted_digest,
                why: first_difference(made, &locked.platform, contents),
            });
        }
    }
    let (_, manifest) = base(definition, locked, &built).manifest(&locked.platform);
    match manifest.digest == locked.digest && built.len() == locked.layers.len() {
        true => Ok(built),
        false => Err(BaseError::DiffersWhole {
            platform: locked.platform.clone(),
            found: manifest.digest,
            locked: locked.digest,
        }),
    }
}

/// Says which entry of a layer is the first that is not in the list, or only there.
fn first_difference(made: &Made, platform: &Platform, contents: Option<&str>) -> String {
    let Some(contents) = contents else {
        return "the list of entries beside the lock is missing, which would say where".to_owned();
    };
    let wanted = |line: &&str| {
        let mut columns = line.rsplit("  ");
        columns.next().is_some_and(|last| last.split(',').any(|one| one == platform.goarch()))
            && line.split("  ").nth(1) == Some(&made.name)
    };
    let cut = |line: &str| line.rsplit_once("  ").map_or(line, |(line, _)| line).to_owned();
    let mut listed: Vec<String> = contents.lines().filter(wanted).map(cut).collect();
    let mut found: Vec<String> = made
        .entries
        .iter()
        .zip(&made.owners)
        .map(|(entry, owner)| assembly::line(&made.name, entry, owner.as_deref()))
        .collect();
    listed.sort();
    found.sort();
    let path = |line: &str| line.split("  ").next().unwrap_or_default().to_owned();
    let pairs = listed.iter().zip(&found).find(|(one, other)| one != other);
    match pairs {
        Some((one, other)) if path(one) == path(other) => {
            format!(
                "the first entry that differs is `{}`: locked was {one}, made was {other}",
                path(one)
            )
        }
        Some((one, other)) if one < other => {
            format!("the first entry that differs is `{}`, which is not made", path(one))
        }
        Some((_, other)) => format!(
            "the first entry that differs is `{}`, which the lock does not have",
            path(other)
        ),
        None => match (listed.get(found.len()), found.get(listed.len())) {
            (Some(line), _) => {
                format!("the first entry that differs is `{}`, which is not made", path(line))
            }
            (_, Some(line)) => format!(
                "the first entry that differs is `{}`, which the lock does not have",
                path(line)
            ),
            _ => "the entries are the same; only how they are packed differs".to_owned(),
        },
    }
}

/// Returns a stored layer.
pub(super) fn stored(layer: &LockedLayer, bytes: Cow<'static, [u8]>) -> StoredLayer {
    StoredLayer {
        file: layer.name.clone(),
        descriptor: Descriptor::new(MediaType::LAYER_GZIP, layer.digest, layer.size),
        diff_id: layer.diff_id,
        bytes,
    }
}
