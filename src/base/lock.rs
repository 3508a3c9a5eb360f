//! Exactly what a base is made of, and what comes out: `bases/NAME.lock.toml`.
//!
//! Takes and gives text. A lock names no mirror: a path is below whatever mirror of its
//! archive a site has. Its own checksum tells a lock that a hand has changed.

pub mod schema;

use super::debian::{Version, is_package_name, is_pool_path};
use crate::archive::gzip;
use crate::finding::diagnostic::{Diagnostic, Diagnostics};
use crate::image::read::compression;
use crate::oci::{DiffId, Digest, MediaType, Platform, canonical};
use crate::strict_toml::{self, Spanned, read};
use crate::time::{Date, Moment};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The version of the format.
const VERSION: u32 = 1;
/// The version of the rules by which packages become layers. Any change that gives other bytes
/// for the same packages gets a new number.
pub const ASSEMBLY: u32 = 1;

/// What stands in the place of [`assembly`] where layers are taken as they are.
pub const AS_IT_IS: &str = "as-it-is";

/// Returns what decides the bytes of layers beside definition and packages.
pub fn assembly() -> String {
    format!("{ASSEMBLY}/{}", gzip::ENCODER_ID)
}

/// A lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Lock {
    /// The hash of what the definition means that it was made from.
    pub definition: Digest,
    /// What decides the bytes of layers: [`assembly`].
    pub assembly: String,
    /// The hash of the list of entries.
    pub contents: Digest,
    /// The suites.
    pub suites: Vec<LockedSuite>,
    /// The image that the layers are of; none for a base of packages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<LockedImage>,
    /// The platforms.
    pub platforms: Vec<LockedPlatform>,
}

/// A suite as it was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LockedSuite {
    /// The codename.
    pub name: String,
    /// The archive that has it.
    pub archive: String,
    /// When it was signed.
    #[serde(serialize_with = "as_text")]
    pub date: Moment,
    /// The hash of `InRelease`.
    pub in_release: Digest,
    /// The fingerprints of the keys that signed.
    pub signed_by: Vec<String>,
}

/// An image as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LockedImage {
    /// The digest of its manifest, or of the index over several.
    pub digest: Digest,
    /// How many bytes that has.
    pub size: u64,
    /// What it is.
    pub media_type: MediaType,
    /// The day on which this digest was first locked.
    pub locked: Date,
    /// Who signed it; none where nobody has to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<LockedSignature>,
}

/// A signature that was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LockedSignature {
    /// Who signed.
    pub by: SignedBy,
    /// What holds the signature.
    #[serde(flatten)]
    pub evidence: Evidence,
}

/// What holds a signature, by the digests of its bytes and how many these are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged, rename_all_fields = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Evidence {
    /// A sigstore bundle.
    Bundle { bundle: Digest, size: u64 },
    /// A document of cosign's old form that was signed, and the manifest that has the signature
    /// in the annotations of its layer.
    Legacy { payload: Digest, size: u64, manifest: Digest, manifest_size: u64 },
}

/// Who signed an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignedBy {
    /// Whoever has the private half of the key with this fingerprint.
    Key(String),
    /// An identity.
    Identity {
        /// Who vouches for it.
        issuer: String,
        /// The identity.
        identity: String,
    },
}

impl std::fmt::Display for SignedBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(fingerprint) => write!(f, "the key {fingerprint}"),
            Self::Identity { issuer, identity } => write!(f, "{identity} of {issuer}"),
        }
    }
}

/// The documents of an image of a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LockedManifest {
    /// How many bytes the manifest has.
    pub size: u64,
    /// What it is.
    pub media_type: MediaType,
    /// The digest of the configuration.
    pub config: Digest,
    /// How many bytes that has.
    pub config_size: u64,
}

/// What was chosen for a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LockedPlatform {
    /// The platform.
    pub platform: Platform,
    /// The digest of the manifest of the base as an image of its own.
    pub digest: Digest,
    /// The documents of the image; none for a base of packages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<LockedManifest>,
    /// The layers, in order.
    pub layers: Vec<LockedLayer>,
    /// The packages.
    pub packages: Vec<LockedPackage>,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub struct LockedLayer {
    pub name: String,
    pub digest: Digest,
    pub diff_id: DiffId,
    pub size: u64,
    /// What the stored bytes are; none for a tar that is compressed with gzip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
}

impl LockedLayer {
    /// Returns what the stored bytes are.
    pub fn media_type(&self) -> MediaType {
        self.media_type.clone().unwrap_or(MediaType::LAYER_GZIP)
    }
}

/// A package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LockedPackage {
    /// The name.
    pub name: String,
    /// The version.
    pub version: String,
    /// Its architecture, or `all`.
    pub architecture: String,
    /// The source package, with its version where that differs.
    pub source: String,
    /// The archive that has it.
    pub archive: String,
    /// The path below a mirror of the archive.
    pub path: String,
    /// How many bytes it has.
    pub size: u64,
    /// What they hash to.
    pub sha256: Digest,
    /// The layer that it is part of.
    pub layer: String,
}

fn as_text<S: serde::Serializer>(moment: &Moment, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(moment)
}

/// Why a lock cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum LockError {
    #[error("the lock `{}` cannot be read", .0.file)]
    Faults(Box<Diagnostics>),
    #[error("the lock `{0}` was changed by hand: its checksum is not that of its content")]
    Edited(String),
}

impl Lock {
    /// Reads a lock. `file` is the name that messages show.
    ///
    /// # Errors
    /// Every fault of the text together, and a checksum that is not that of the rest.
    pub fn parse(file: &str, text: &str) -> Result<Self, LockError> {
        let diagnose = |faults| LockError::Faults(Box::new(Diagnostics::new(file, text, faults)));
        let written: schema::File = strict_toml::parse(text, schema::JSON).map_err(diagnose)?;
        let mut faults = Vec::new();
        if written.version.value != VERSION {
            let message = format!("locks of version {} are not known", written.version.value);
            return Err(diagnose(vec![
                Diagnostic::new(written.version.span, message)
                    .hint("lock the base again, or use a later karat"),
            ]));
        }
        let checksum = read::<Digest>(&written.checksum, &mut faults);
        let lock = lock(written, &mut faults);
        match (lock, checksum) {
            (Some(lock), Some(checksum)) if faults.is_empty() => {
                match lock.checksum() == checksum {
                    true => Ok(lock),
                    false => Err(LockError::Edited(file.to_owned())),
                }
            }
            _ => Err(diagnose(faults)),
        }
    }

    /// Returns the digest that the lock writes of itself: of its canonical JSON.
    #[must_use]
    pub fn checksum(&self) -> Digest {
        Digest::of(&canonical::json(self))
    }

    /// Returns what was chosen for a platform.
    pub fn platform(&self, platform: &Platform) -> Option<&LockedPlatform> {
        self.platforms.iter().find(|one| one.platform == *platform)
    }

    /// Returns the day of the newest suite, or the one on which the image was locked.
    pub fn date(&self) -> Option<Date> {
        let of_suites = self.suites.iter().map(|suite| suite.date).max().map(Moment::date);
        of_suites.or_else(|| self.image.as_ref().map(|image| image.locked))
    }

    /// Writes the lock. The same lock gives the same text.
    pub fn to_text(&self, name: &str) -> String {
        let mut text = format!(
            "# Made by `karat base lock {name}`; do not edit.\n\nversion = {VERSION}\ndefinition = \"{}\"\nassembly = \"{}\"\ncontents = \"{}\"\nchecksum = \"{}\"\n",
            self.definition,
            self.assembly,
            self.contents,
            self.checksum()
        );
        for suite in &self.suites {
            let keys: Vec<_> = suite.signed_by.iter().map(|key| format!("\"{key}\"")).collect();
            let _ = write!(
                text,
                "\n[[suite]]\nname = \"{}\"\narchive = \"{}\"\ndate = \"{}\"\nin-release = \"{}\"\nsigned-by = [{}]\n",
                suite.name,
                suite.archive,
                suite.date,
                suite.in_release,
                keys.join(", ")
            );
        }
        if let Some(image) = &self.image {
            image.write(&mut text);
        }
        for platform in &self.platforms {
            let _ = write!(
                text,
                "\n[[platform]]\nname = \"{}\"\ndigest = \"{}\"\n",
                platform.platform, platform.digest
            );
            if let Some(image) = &platform.image {
                let _ = write!(
                    text,
                    "size = {}\nmedia-type = \"{}\"\nconfig = \"{}\"\nconfig-size = {}\n",
                    image.size, image.media_type, image.config, image.config_size
                );
            }
            for layer in &platform.layers {
                let _ = write!(
                    text,
                    "\n[[platform.layer]]\nname = \"{}\"\ndigest = \"{}\"\ndiff-id = \"{}\"\nsize = {}\n",
                    layer.name, layer.digest, layer.diff_id, layer.size
                );
                if let Some(media_type) = &layer.media_type {
                    let _ = writeln!(text, "media-type = \"{media_type}\"");
                }
            }
            for package in &platform.packages {
                let _ = write!(
                    text,
                    "\n[[platform.package]]\nname = \"{}\"\nversion = \"{}\"\narchitecture = \"{}\"\nsource = \"{}\"\narchive = \"{}\"\npath = \"{}\"\nsize = {}\nsha256 = \"{}\"\nlayer = \"{}\"\n",
                    package.name,
                    package.version,
                    package.architecture,
                    package.source,
                    package.archive,
                    package.path,
                    package.size,
                    package.sha256.hex(),
                    package.layer
                );
            }
        }
        text
    }
}

impl LockedImage {
    fn write(&self, text: &mut String) {
        let _ = write!(
            text,
            "\n[image]\ndigest = \"{}\"\nsize = {}\nmedia-type = \"{}\"\nlocked = \"{}\"\n",
            self.digest, self.size, self.media_type, self.locked
        );
        let Some(signature) = &self.signature else { return };
        let _ = text.write_str("\n[image.signature]\n");
        let quoted = |value: &String| toml::Value::String(value.clone()).to_string();
        let _ = match &signature.by {
            SignedBy::Key(fingerprint) => writeln!(text, "key = {}", quoted(fingerprint)),
            SignedBy::Identity { issuer, identity } => {
                writeln!(text, "issuer = {}\nidentity = {}", quoted(issuer), quoted(identity))
            }
        };
        let _ = match &signature.evidence {
            Evidence::Bundle { bundle, size } => {
                write!(text, "bundle = \"{bundle}\"\nsize = {size}\n")
            }
            Evidence::Legacy { payload, size, manifest, manifest_size } => write!(
                text,
                "payload = \"{payload}\"\nsize = {size}\nmanifest = \"{manifest}\"\nmanifest-size = {manifest_size}\n"
            ),
        };
    }
}

type Faults = Vec<Diagnostic>;

fn lock(written: schema::File, faults: &mut Faults) -> Option<Lock> {
    let definition = read(&written.definition, faults);
    let contents = read(&written.contents, faults);
    let suites: Vec<_> =
        written.suite.into_iter().filter_map(|one| suite(one.value, faults)).collect();
    let is_image = written.image.is_some();
    let image = match written.image {
        Some(written) => Some(image(written.value, faults)?),
        None => None,
    };
    let mut platforms: Vec<LockedPlatform> = Vec::new();
    for one in written.platform {
        let span = one.span;
        let Some(platform) = platform(one.value, faults) else { continue };
        if platform.image.is_some() != is_image || is_image && !platform.packages.is_empty() {
            let message = "a lock is of an image or of packages, and here is something of both";
            faults.push(Diagnostic::new(span.clone(), message));
        }
        match platforms.iter().any(|other| other.platform == platform.platform) {
            true => faults
                .push(Diagnostic::new(span, format!("`{}` is there twice", platform.platform))),
            false => platforms.push(platform),
        }
    }
    Some(Lock {
        definition: definition?,
        assembly: written.assembly.value,
        contents: contents?,
        suites,
        image,
        platforms,
    })
}

/// Takes a text that must be of a form.
fn of_form(
    written: &Spanned<String>,
    fits: impl Fn(&str) -> bool,
    what: &str,
    faults: &mut Faults,
) -> String {
    if !fits(&written.value) {
        let shown: String = written.value.chars().take(60).collect();
        faults.push(Diagnostic::new(written.span.clone(), format!("`{shown}` is no {what}")));
    }
    written.value.clone()
}

fn is_word(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-._".contains(&c);
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

fn suite(written: schema::Suite, faults: &mut Faults) -> Option<LockedSuite> {
    let name = of_form(&written.name, is_word, "name of a suite", faults);
    let archive = of_form(&written.archive, is_word, "name of an archive", faults);
    let is_key =
        |key: &String| (32..=64).contains(&key.len()) && key.bytes().all(|c| c.is_ascii_hexdigit());
    if written.signed_by.is_empty() || !written.signed_by.iter().all(is_key) {
        let message = "`signed-by` lists the fingerprints of keys";
        faults.push(Diagnostic::new(written.name.span.clone(), message));
    }
    let date = read(&written.date, faults);
    let in_release = read(&written.in_release, faults);
    Some(LockedSuite {
        name,
        archive,
        date: date?,
        in_release: in_release?,
        signed_by: written.signed_by,
    })
}

/// Reads the type of a manifest or an index.
fn manifest_type(written: &Spanned<String>, faults: &mut Faults) -> MediaType {
    let media_type = MediaType::from(written.value.clone());
    if !media_type.is_index() && !media_type.is_manifest() {
        let message = "this is no type of a manifest or an index";
        faults.push(Diagnostic::new(written.span.clone(), message));
    }
    media_type
}

fn image(written: schema::Image, faults: &mut Faults) -> Option<LockedImage> {
    let digest = read(&written.digest, faults);
    let locked = read(&written.locked, faults);
    let media_type = manifest_type(&written.media_type, faults);
    let mut signature = None;
    if let Some(Spanned { value: one, span }) = written.signature {
        let by = match (one.key, one.issuer, one.identity) {
            (Some(key), None, None) => SignedBy::Key(key),
            (None, Some(issuer), Some(identity)) => SignedBy::Identity { issuer, identity },
            _ => {
                let message = "who signed is a `key`, or an `issuer` and an `identity`";
                faults.push(Diagnostic::new(span.clone(), message));
                return None;
            }
        };
        let size = one.size;
        let evidence = match (&one.bundle, &one.payload, &one.manifest, one.manifest_size) {
            (Some(bundle), None, None, None) => {
                Evidence::Bundle { bundle: read(bundle, faults)?, size }
            }
            (None, Some(payload), Some(manifest), Some(manifest_size)) => {
                let (payload, manifest) = (read(payload, faults), read(manifest, faults));
                Evidence::Legacy { payload: payload?, size, manifest: manifest?, manifest_size }
            }
            _ => {
                let message = "a signature is in a `bundle`, or in a `payload` with its `manifest` and `manifest-size`";
                faults.push(Diagnostic::new(span, message));
                return None;
            }
        };
        signature = Some(LockedSignature { by, evidence });
    }
    let size = written.size;
    Some(LockedImage { digest: digest?, size, media_type, locked: locked?, signature })
}

fn platform(written: schema::Platform, faults: &mut Faults) -> Option<LockedPlatform> {
    let platform: Option<Platform> = read(&written.name, faults);
    let digest = read(&written.digest, faults);
    let mut layers = Vec::new();
    for one in written.layer {
        let one = one.value;
        let name = of_form(&one.name, is_word, "name of a layer", faults);
        let digest = read(&one.digest, faults);
        let diff_id = read(&one.diff_id, faults);
        let media_type = one.media_type.map(|written| {
            let media_type = MediaType::from(written.value);
            if compression(&media_type).is_none() {
                let message = "this is no type of a layer that karat reads";
                faults.push(Diagnostic::new(written.span, message));
            }
            media_type
        });
        let Some((digest, diff_id)) = digest.zip(diff_id) else { continue };
        layers.push(LockedLayer { name, digest, diff_id, size: one.size, media_type });
    }
    let image = match (written.size, written.media_type, written.config, written.config_size) {
        (Some(size), Some(media_type), Some(config), Some(config_size)) => {
            let media_type = manifest_type(&media_type, faults);
            read(&config, faults).map(|config| LockedManifest {
                size,
                media_type,
                config,
                config_size,
            })
        }
        (None, None, None, None) => None,
        _ => {
            let message = "`size`, `media-type`, `config` and `config-size` belong together";
            faults.push(Diagnostic::new(written.name.span.clone(), message));
            None
        }
    };
    let platform = platform?;
    let mut packages: Vec<LockedPackage> = Vec::new();
    let mut names = BTreeSet::new();
    for one in written.package {
        let one = one.value;
        let name = of_form(&one.name, is_package_name, "name of a package", faults);
        if !names.insert(name.clone()) {
            faults.push(Diagnostic::new(one.name.span.clone(), format!("`{name}` is there twice")));
        }
        let own = debian_architecture(&platform);
        let architecture = one.architecture.value.clone();
        if architecture != "all" && architecture != own {
            let message = format!("`{name}` is for {architecture}, and this is {platform}");
            faults.push(Diagnostic::new(one.architecture.span.clone(), message));
        }
        let layer = one.layer.value.clone();
        if !layers.iter().any(|known| known.name == layer) {
            let message = format!("there is no layer `{layer}`");
            faults.push(Diagnostic::new(one.layer.span.clone(), message));
        }
        let plain = |text: &str| {
            (1..=200).contains(&text.len())
                && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-.:~() ".contains(&c))
        };
        let sha256 =
            Spanned { value: format!("sha256:{}", one.sha256.value), span: one.sha256.span };
        let package = LockedPackage {
            version: of_form(
                &one.version,
                |text| text.parse::<Version>().is_ok(),
                "version",
                faults,
            ),
            source: of_form(&one.source, plain, "source package", faults),
            archive: of_form(&one.archive, is_word, "name of an archive", faults),
            path: of_form(&one.path, is_pool_path, "path below a mirror", faults),
            size: one.size,
            sha256: match read(&sha256, faults) {
                Some(sha256) => sha256,
                None => continue,
            },
            name,
            architecture,
            layer,
        };
        packages.push(package);
    }
    Some(LockedPlatform { platform, digest: digest?, image, layers, packages })
}

/// Returns what Debian calls the architecture of a platform.
pub fn debian_architecture(platform: &Platform) -> &'static str {
    use crate::oci::platform::Architecture;
    match platform.architecture() {
        Architecture::Amd64 => "amd64",
        Architecture::Arm64 => "arm64",
        Architecture::ArmV7 => "armhf",
        Architecture::I386 => "i386",
        Architecture::Ppc64le => "ppc64el",
        Architecture::Riscv64 => "riscv64",
        Architecture::S390x => "s390x",
        // Debian's `armel` is for what is older.
        _ => "armel",
    }
}
