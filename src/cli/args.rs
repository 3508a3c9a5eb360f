//! What a user types.

pub(super) mod fleet;
pub(super) mod mirror;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};

const EXIT_CODES: &str = "Exit codes: 0 done or accepted, 1 judged and rejected, 2 wrong input, 3 trying again may help.";

/// Builds golden container images: distroless, from static binaries and a pinned base.
/// No daemon, no root, no Dockerfile.
#[derive(Debug, Parser)]
#[command(name = "karat", version, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// One JSON document on standard output.
    Json,
    /// SARIF 2.1.0, of `build` and `inspect`: for code scanning services.
    Sarif,
    /// JUnit XML, of `build` and `inspect`: for the test views of CI services.
    Junit,
    /// A page for a browser, of `build` and `inspect`.
    Html,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Builds the image of a recipe: assembled, inspected, described, signed.
    #[command(after_help = EXIT_CODES)]
    Build(Build),
    /// Checks recipes without building anything; needs no inputs.
    #[command(after_help = EXIT_CODES)]
    Check(Check),
    /// Judges any image, archive or file by the rules of the gate.
    #[command(after_help = EXIT_CODES)]
    Inspect(Inspect),
    /// Verifies the signatures on an image and that its bytes are what was signed.
    #[command(after_help = EXIT_CODES)]
    Verify(Verify),
    /// Says what an image or a file is made of: its bill of materials.
    #[command(after_help = EXIT_CODES)]
    Sbom(Sbom),
    /// Looks up known vulnerabilities, offline: a rejection is exit code 1.
    Scan(Scan),
    /// Makes databases of advisories, and says what is in one.
    Db(Db),
    /// Signs an image that is there already, or any file into a bundle.
    #[command(after_help = EXIT_CODES)]
    Sign(Sign),
    /// Signs a statement about an image: an SBOM, the result of a scan, anything.
    #[command(after_help = EXIT_CODES)]
    Attest(Attest),
    /// Fetches an image from a registry, with all platforms and all that refers to it.
    #[command(after_help = EXIT_CODES)]
    Pull(Pull),
    /// Judges an image and publishes it to a registry; the tag last.
    #[command(after_help = EXIT_CODES)]
    Push(Push),
    /// Copies an image, with all platforms and all that refers to it; into the trust root only
    /// after it was judged.
    #[command(after_help = EXIT_CODES)]
    Copy(Push),
    /// Judges an image that waits in `[registry] staging`, and publishes it below `publish`.
    #[command(after_help = EXIT_CODES)]
    Promote(Promote),
    /// Puts a signed image of karat's on a newer base: judged, described and signed anew, without
    /// making its programs again.
    #[command(after_help = EXIT_CODES)]
    Rebase(Rebase),
    /// Proves an image by building it again from what its signed provenance names; what differs is
    /// exit code 1.
    #[command(after_help = EXIT_CODES)]
    Rebuild(Rebuild),
    /// Brings an image into an engine on this machine, to be tried out.
    #[command(after_help = EXIT_CODES)]
    Load(Load),
    /// What upstream images may be used here: approved, copied by digest, and watched.
    #[command(after_help = EXIT_CODES)]
    Mirror(mirror::MirrorCommands),
    /// What is published: judged again by its bills of materials, and searched.
    #[command(after_help = EXIT_CODES)]
    Fleet(fleet::FleetCommands),
    /// Tries out what publishing will need.
    #[command(after_help = EXIT_CODES)]
    Doctor(DoctorCommands),
    /// Pinned base layers: what there is, their locks, and that they can be made again.
    #[command(after_help = EXIT_CODES)]
    Base(BaseCommands),
    /// Makes and shows signing keys in cosign's format.
    #[command(after_help = EXIT_CODES)]
    Key(Key),
    /// Shows the policy that judges here.
    #[command(after_help = EXIT_CODES)]
    Policy(PolicyCommands),
    /// Lists the project's waivers, says which hold, and drafts new ones.
    #[command(after_help = EXIT_CODES)]
    Waivers(Waivers),
    /// Says what a rule means and what helps.
    #[command(after_help = EXIT_CODES)]
    Explain(Explain),
    /// Prints a JSON schema.
    #[command(after_help = EXIT_CODES)]
    Schema(Schema),
}

#[derive(Debug, Args)]
pub(super) struct Build {
    /// Recipes, folders of recipes, or a static executable; by default the only recipe of the project.
    #[arg(value_name = "RECIPE|ELF")]
    pub(super) recipes: Vec<PathBuf>,
    /// Where the image goes: `oci:DIR[:TAG]` or `archive:FILE`; may be repeated. By default `dist/NAME/`.
    #[arg(long, short, value_name = "REF")]
    pub(super) output: Vec<String>,
    /// A value for a var that the recipe declares.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub(super) vars: Vec<String>,
    /// Builds these platforms only; may be repeated.
    #[arg(long = "platform", value_name = "PLATFORM")]
    pub(super) platforms: Vec<String>,
    /// Signs image, SBOM and provenance with this key file, whose password is read from
    /// `COSIGN_PASSWORD` or asked for; or `keyless`, with a certificate for an identity token.
    #[arg(long, value_name = "KEY|keyless")]
    pub(super) sign: Option<PathBuf>,
    /// In which form it is signed, with `--sign`.
    #[arg(long, value_enum, value_name = "FORM", default_value_t = SignatureFormat::Bundle, requires = "sign")]
    pub(super) signature_format: SignatureFormat,
    #[command(flatten)]
    pub(super) keyless: Keyless,
    /// Runs the `make` command of a binary whose file is missing.
    #[arg(long)]
    pub(super) make: bool,
    /// Stops at the first recipe that fails.
    #[arg(long)]
    pub(super) fail_fast: bool,
    /// The time that is written, in seconds since 1970.
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH", hide_env_values = true)]
    pub(super) source_date_epoch: Option<String>,
    #[command(flatten)]
    pub(super) advisories: Advisories,
    #[command(flatten)]
    pub(super) reports: ScannerReports,
    #[command(flatten)]
    pub(super) policy: Policy,
    /// Publishes the image below the policy's `[registry] publish`, by its digest; needs `--sign`.
    #[arg(long)]
    pub(super) push: bool,
    /// A tag that is to lead to the published image; may be repeated.
    #[arg(long = "tag", value_name = "TAG", requires = "push")]
    pub(super) tags: Vec<String>,
    /// Opens no connection.
    #[arg(long)]
    pub(super) offline: bool,
}

#[derive(Debug, Args)]
pub(super) struct Check {
    /// Recipes or folders of recipes; by default all of the project.
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) policy: Policy,
    /// Judges waivers as of this day, `YYYY-MM-DD`, instead of today.
    #[arg(long, value_name = "DAY")]
    pub(super) now: Option<String>,
}

/// By which policy is judged.
#[derive(Debug, Default, Args)]
pub(super) struct Policy {
    /// The policy file; by default `karat-policy.toml` in the project's root, else the built-in policy.
    #[arg(long = "policy", value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Refuses to run under any policy but the one with this digest.
    #[arg(long = "policy-digest", value_name = "DIGEST")]
    pub(super) digest: Option<String>,
}

/// What is known to be vulnerable.
#[derive(Debug, Default, Args)]
pub(super) struct Advisories {
    /// The database of advisories in which the parts of the image are looked up.
    #[arg(long, value_name = "FILE", env = "KARAT_DB")]
    pub(super) db: Option<PathBuf>,
    /// OpenVEX documents that say which vulnerabilities do not count, beside those in `vex/` of the
    /// project; the later ones win.
    #[arg(long, value_name = "FILE")]
    pub(super) vex: Vec<PathBuf>,
}

/// What other scanners have found.
#[derive(Debug, Default, Args)]
pub(super) struct ScannerReports {
    /// A JSON report of Trivy, Grype or OSV-Scanner about this very image: what it lists is judged
    /// too; may be repeated.
    #[arg(long = "scanner-report", value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// Layouts (`oci:DIR[:TAG]`), archives (`archive:FILE`), images in registries
    /// (`docker://HOST/REPO@sha256:…`), or paths of layouts, of archives as karat, docker, podman
    /// and BuildKit write them, of folders and of files; any number.
    #[arg(value_name = "REF|PATH", required = true)]
    pub(super) references: Vec<String>,
    /// Exits with 0 also when something is rejected, to take an inventory.
    #[arg(long)]
    pub(super) exit_zero: bool,
    /// The repository that the image is for, `HOST/REPO`: chooses the policy's profile and the
    /// waivers of `waivers/`.
    #[arg(long = "as", value_name = "HOST/REPO")]
    pub(super) place: Option<String>,
    #[command(flatten)]
    pub(super) advisories: Advisories,
    #[command(flatten)]
    pub(super) reports: ScannerReports,
    #[command(flatten)]
    pub(super) policy: Policy,
    /// Opens no connection.
    #[arg(long)]
    pub(super) offline: bool,
}

#[derive(Debug, Args)]
pub(super) struct Pull {
    /// The image: `docker://HOST/REPO@sha256:…` or `docker://HOST/REPO:TAG`.
    #[arg(value_name = "REF")]
    pub(super) reference: String,
    /// Where it goes: `oci:DIR[:TAG]` or `archive:FILE`.
    #[arg(value_name = "DESTINATION")]
    pub(super) destination: String,
    #[command(flatten)]
    pub(super) policy: Policy,
    /// Opens no connection.
    #[arg(long)]
    pub(super) offline: bool,
}

#[derive(Debug, Args)]
pub(super) struct Push {
    /// The image: `oci:DIR[:TAG]`, `archive:FILE`, or, to copy, `docker://HOST/REPO@sha256:…`.
    #[arg(value_name = "SOURCE")]
    pub(super) source: String,
    /// Where it goes: `docker://HOST/REPO[:TAG]`.
    #[arg(value_name = "DESTINATION")]
    pub(super) destination: String,
    #[command(flatten)]
    pub(super) signer: Signer,
    #[command(flatten)]
    pub(super) advisories: Advisories,
    #[command(flatten)]
    pub(super) policy: Policy,
    /// Opens no connection.
    #[arg(long)]
    pub(super) offline: bool,
}

#[derive(Debug, Args)]
pub(super) struct Promote {
    /// The image in staging: `docker://HOST/REPO@sha256:…` or `docker://HOST/REPO:TAG`.
    #[arg(value_name = "REF")]
    pub(super) reference: String,
    /// A tag that leads to it where it is published, set last; may be repeated. Not `latest`.
    #[arg(long = "tag", value_name = "TAG")]
    pub(super) tags: Vec<String>,
    /// Signs with this private key that it has passed the policy, the known vulnerabilities
    /// looked up: a summary of the verification, published with it.
    #[arg(long, value_name = "KEY")]
    pub(super) sign: Option<PathBuf>,
    #[command(flatten)]
    pub(super) signer: Signer,
    #[command(flatten)]
    pub(super) advisories: Advisories,
    #[command(flatten)]
    pub(super) policy: Policy,
    /// Opens no connection.
    #[arg(long)]
    pub(super) offline: bool,
}

#[derive(Debug, Args)]
pub(super) struct Rebase {
    /// The image: `oci:DIR[:TAG]`, `archive:FILE` or `docker://HOST/REPO@sha256:…`.
    #[arg(value_name = "REF")]
    pub(super) reference: String,
    /// The base that it is put on: one of the project's `bases/`, or a built-in one.
    #[arg(long, value_name = "NAME")]
    pub(super) base: String,
    /// What the image is called, without registry, tag and digest; in a registry, by default, what
    /// its repository is called below `publish` or `staging`.
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Signs the new image with this private key.
    #[arg(long, value_name = "KEY")]
    pub(super) sign: PathBuf,
    /// Where the new image goes: `oci:DIR[:TAG]` or `archive:FILE`; may be repeated. By default `dist/NAME/`.
    #[arg(long, short, value_name = "REF")]
    pub(super) output: Vec<String>,
    /// The time that is written, in seconds since 1970; 0 by default.
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH", hide_env_values = true)]
    pub(super) source_date_epoch: Option<String>,
    #[command(flatten)]
    pub(super) signer: Signer,
    #[command(flatten)]
    pub(super) advisories: Advisories,
    #[command(flatten)]
    pub(super) policy: Policy,
    /// Opens no connection.
    #[arg(long)]
    pub(super) offline: bool,
}

#[derive(Debug, Args)]
pub(super) struct Rebuild {
    /// The image: `oci:DIR[:TAG]`, `archive:FILE` or `docker://HOST/REPO@sha256:…`.
    #[arg(value_name = "REF")]
    pub(super) reference: String,
    /// The folder that has the recipe and the inputs: under their names, or under others; they are
    /// known by their hashes. By default the project's root.
    #[arg(long, value_name = "DIR")]
    pub(super) inputs: Option<PathBuf>,
    /// Signs with this private key that the same image was built again, and puts that beside it.
    #[arg(long, value_name = "KEY")]
    pub(super) sign: Option<PathBuf>,
    /// The repository that an image on this machine is for: the policy's `[[trust]]` says who may
    /// state provenance there.
    #[arg(long = "as", value_name = "HOST/REPO")]
    pub(super) place: Option<String>,
    #[command(flatten)]
    pub(super) signer: Signer,
    #[command(flatten)]
    pub(super) policy: Policy,
    /// Opens no connection.
    #[arg(long)]
    pub(super) offline: bool,
}

#[derive(Debug, Args)]
pub(super) struct Load {
    /// The image: `oci:DIR[:TAG]`, `archive:FILE` or `docker://HOST/REPO@sha256:…`.
    #[arg(value_name = "REF")]
    pub(super) reference: String,
    /// The engine; by default docker, else podman, else nerdctl, whichever is installed.
    #[arg(long, value_name = "ENGINE")]
    pub(super) to: Option<Engine>,
    /// What the engine calls it, `NAME:local`; by default as the repository, or the folder that the layout lies in.
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// The platform, of those of the image; by default that of this machine.
    #[arg(long, value_name = "PLATFORM")]
    pub(super) platform: Option<String>,
    #[command(flatten)]
    pub(super) policy: Policy,
    /// Opens no connection.
    #[arg(long)]
    pub(super) offline: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Engine {
    /// `docker load`.
    Docker,
    /// `podman load`.
    Podman,
    /// containerd by `nerdctl load`.
    Nerdctl,
    /// containerd by `ctr images import`, in the namespace of Kubernetes.
    Ctr,
    /// The nodes of a cluster by `kind load image-archive`.
    Kind,
}

#[derive(Debug, Args)]
pub(super) struct DoctorCommands {
    #[command(subcommand)]
    pub(super) command: DoctorCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum DoctorCommand {
    /// Writes a few small things to a repository, reads them back, and removes them: says what
    /// the registry can do and what it lets be done.
    #[command(after_help = EXIT_CODES)]
    Registry(DoctorRegistry),
}

#[derive(Debug, Args)]
pub(super) struct DoctorRegistry {
    /// The repository, `HOST/REPO`.
    #[arg(value_name = "HOST/REPO")]
    pub(super) place: String,
    /// Another repository of the same host, `REPO`: tries to mount blobs from it, for which one is written to it.
    #[arg(long, value_name = "REPO")]
    pub(super) mount_from: Option<String>,
    #[command(flatten)]
    pub(super) policy: Policy,
}

/// Who must have signed, and by whom that is vouched for.
#[derive(Debug, Args)]
#[group(skip)]
pub(super) struct Signer {
    /// The public key that must have signed: a file, or `env://VARIABLE`.
    #[arg(long, value_name = "KEY")]
    pub(super) key: Option<PathBuf>,
    /// The identity that must have signed: a mail address or a URI, as the certificate has it.
    #[arg(
        long,
        alias = "certificate-identity",
        value_name = "IDENTITY",
        requires = "issuer",
        conflicts_with = "key"
    )]
    pub(super) identity: Option<String>,
    /// A regular expression that the whole identity must match.
    #[arg(
        long,
        alias = "certificate-identity-regexp",
        value_name = "PATTERN",
        requires = "issuer",
        conflicts_with_all = ["key", "identity"]
    )]
    pub(super) identity_regexp: Option<String>,
    /// The issuer that must have vouched for the identity.
    #[arg(long, alias = "certificate-oidc-issuer", value_name = "URL", conflicts_with = "key")]
    pub(super) issuer: Option<String>,
    /// The certificate authorities, logs and timestamp authorities that are trusted; by default
    /// those of the public good instance of sigstore.
    #[arg(long, value_name = "FILE")]
    pub(super) trusted_root: Option<PathBuf>,
}

impl Signer {
    /// Says whether anybody is named.
    pub(super) fn is_named(&self) -> bool {
        self.key.is_some() || self.identity.is_some() || self.identity_regexp.is_some()
    }
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The image: `oci:DIR[:TAG]`, `archive:FILE`, `docker://HOST/REPO@sha256:…`, or the path of
    /// one. With `--bundle`: any file, or its digest, `sha256:HEX`.
    #[arg(value_name = "REF|FILE|sha256:HEX")]
    pub(super) reference: String,
    #[command(flatten)]
    pub(super) signer: Signer,
    /// The sigstore bundle of a file or digest.
    #[arg(long, value_name = "FILE")]
    pub(super) bundle: Option<PathBuf>,
    /// The predicate type that the bundle must have signed; by default any, which is printed.
    #[arg(long = "type", value_name = "URI", requires = "bundle")]
    pub(super) predicate_type: Option<String>,
    /// What must be signed of an image; by default what the policy requires.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "STATEMENT",
        conflicts_with = "bundle"
    )]
    pub(super) require: Vec<Require>,
    /// The repository that an image on this machine is judged for: the policy's `[[trust]]` says
    /// who signs what is there.
    #[arg(long = "as", value_name = "HOST/REPO", conflicts_with = "bundle")]
    pub(super) place: Option<String>,
    /// Judges the image as if it were published now, and puts beside it what says that it has
    /// passed: a signed summary (SLSA VSA). Needs `--sign`, and a database of advisories.
    #[arg(long, requires = "sign", conflicts_with_all = ["bundle", "require", "files"])]
    pub(super) attest_vsa: bool,
    /// The private key that signs the summary.
    #[arg(long, value_name = "KEY", requires = "attest_vsa")]
    pub(super) sign: Option<PathBuf>,
    #[command(flatten)]
    pub(super) advisories: Advisories,
    #[command(flatten)]
    pub(super) reports: ScannerReports,
    #[command(flatten)]
    pub(super) policy: Policy,
    /// Opens no connection.
    #[arg(long)]
    pub(super) offline: bool,
}

#[derive(Debug, Args)]
pub(super) struct Sbom {
    /// The image, `oci:DIR[:TAG]`, `archive:FILE` or `docker://HOST/REPO@sha256:…`, or the path of
    /// an image or a file.
    #[arg(value_name = "REF")]
    pub(super) reference: String,
    /// The form of the document.
    #[arg(long = "as", value_enum, value_name = "FORM", default_value = "spdx-2.3")]
    pub(super) form: SbomFormat,
    /// The platform of an image of several; by default the document is about the index.
    #[arg(long, value_name = "PLATFORM")]
    pub(super) platform: Option<String>,
    /// What the document calls its subject; by default what the file, folder or repository is
    /// called.
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Who gives the subject away; by default what the image says (`org.opencontainers.image.vendor`).
    #[arg(long, value_name = "NAME")]
    pub(super) supplier: Option<String>,
    /// Where more is known of who gives it away, a web address.
    #[arg(long, value_name = "URL", requires = "supplier")]
    pub(super) supplier_url: Option<String>,
    /// The licence of the subject, an SPDX expression; by default what the image says.
    #[arg(long, value_name = "EXPRESSION")]
    pub(super) license: Option<String>,
    #[command(flatten)]
    pub(super) policy: Policy,
    /// Opens no connection.
    #[arg(long)]
    pub(super) offline: bool,
    /// The time that is written, in seconds since 1970.
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH", hide_env_values = true)]
    pub(super) source_date_epoch: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Scan {
    /// The image, `oci:DIR[:TAG]`, `archive:FILE` or `docker://HOST/REPO@sha256:…`, or the path of
    /// an image or a file.
    #[arg(value_name = "REF")]
    pub(super) reference: String,
    #[command(flatten)]
    pub(super) advisories: Advisories,
    /// The form of a document to write instead of the account.
    #[arg(long = "as", value_enum, value_name = "FORM")]
    pub(super) form: Option<ScanFormat>,
    /// Shows what does not count too.
    #[arg(long)]
    pub(super) all: bool,
    /// One platform of an image of several; by default all of them are looked up.
    #[arg(long, value_name = "PLATFORM")]
    pub(super) platform: Option<String>,
    #[command(flatten)]
    pub(super) policy: Policy,
    /// Opens no connection.
    #[arg(long)]
    pub(super) offline: bool,
    /// The time that is written, in seconds since 1970.
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH", hide_env_values = true)]
    pub(super) source_date_epoch: Option<String>,
}

impl Signing {
    /// Returns the key, or the word that stands for none.
    pub(super) fn key(&self) -> &Path {
        self.key.as_deref().unwrap_or(Path::new("keyless"))
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum ScanFormat {
    #[value(name = "openvex")]
    OpenVex,
}

#[derive(Debug, Args)]
pub(super) struct Db {
    #[command(subcommand)]
    pub(super) command: DbCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum DbCommand {
    /// Reads the dumps that OSV gives out, `ECOSYSTEM/all.zip`, into one file.
    Import {
        /// Folders that hold dumps.
        #[arg(value_name = "DIR", required = true)]
        dumps: Vec<PathBuf>,
        /// The database to write.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Gets a database that a registry holds: by digest, signed by whom it must be, or the one that
    /// the policy pins.
    #[command(after_help = EXIT_CODES)]
    Fetch(Box<DbFetch>),
    /// Puts a database into a registry, as an artifact.
    #[command(after_help = EXIT_CODES)]
    Push(DbPush),
    /// Says what is in a database: sources, days, numbers, digest.
    Info {
        /// The database.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct DbFetch {
    /// The database: `docker://HOST/REPO@sha256:…`.
    #[arg(value_name = "REF")]
    pub(super) reference: String,
    /// The file to write.
    #[arg(long, value_name = "FILE", env = "KARAT_DB")]
    pub(super) output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) signer: Signer,
    #[command(flatten)]
    pub(super) policy: Policy,
}

#[derive(Debug, Args)]
pub(super) struct DbPush {
    /// The database.
    #[arg(value_name = "FILE")]
    pub(super) database: PathBuf,
    /// Where it goes: `docker://HOST/REPO[:TAG]`.
    #[arg(value_name = "DESTINATION")]
    pub(super) destination: String,
    /// Signs it with this private key.
    #[arg(long, value_name = "KEY")]
    pub(super) sign: Option<PathBuf>,
    #[command(flatten)]
    pub(super) policy: Policy,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum SbomFormat {
    #[value(name = "spdx-2.3")]
    Spdx23,
    #[value(name = "spdx-3.0")]
    Spdx30,
    #[value(name = "cyclonedx-1.6")]
    Cyclonedx16,
}

#[derive(Debug, Args)]
pub(super) struct Sign {
    /// The image, `oci:DIR[:TAG]` or `docker://HOST/REPO@sha256:…`: it and each of its platforms is
    /// signed. With `--bundle`: any file, or its digest, `sha256:HEX`.
    #[arg(value_name = "REF|FILE|sha256:HEX")]
    pub(super) reference: String,
    /// The sigstore bundle to write, over the bytes of a file.
    #[arg(long, value_name = "OUT")]
    pub(super) bundle: Option<PathBuf>,
    #[command(flatten)]
    pub(super) signing: Signing,
    #[command(flatten)]
    pub(super) policy: Policy,
}

#[derive(Debug, Args)]
pub(super) struct Attest {
    /// The image, `oci:DIR[:TAG]` or `docker://HOST/REPO@sha256:…`: the statement is made of it and
    /// of each of its platforms.
    #[arg(value_name = "REF")]
    pub(super) reference: String,
    /// What the statement is: a URI, or one of cosign's short names: `spdxjson`, `cyclonedx`,
    /// `vuln`, `openvex`, `link`, `custom`. Of `openvex` and `vulnerabilities` karat finds out by itself
    /// what to state, with `--db` and no `--predicate`.
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) predicate_type: String,
    /// What is stated, a JSON object.
    #[arg(long, value_name = "FILE")]
    pub(super) predicate: Option<PathBuf>,
    #[command(flatten)]
    pub(super) advisories: Advisories,
    #[command(flatten)]
    pub(super) signing: Signing,
    #[command(flatten)]
    pub(super) policy: Policy,
}

/// With what is signed without a key.
#[derive(Debug, Args)]
#[group(skip)]
pub(super) struct Keyless {
    /// A file with the identity token that a certificate is asked for with. By default the token is
    /// that of SIGSTORE_ID_TOKEN or of the CI system.
    #[arg(long, value_name = "FILE")]
    pub(super) identity_token: Option<PathBuf>,
    /// The services that are asked, a `signing_config.json`; by default those of the public good
    /// instance of sigstore.
    #[arg(long, value_name = "FILE")]
    pub(super) signing_config: Option<PathBuf>,
    /// The root of trust that what was signed is verified by; by default that of the policy, else
    /// that of the public good instance of sigstore.
    #[arg(long, value_name = "FILE")]
    pub(super) trusted_root: Option<PathBuf>,
}

impl Keyless {
    /// Says whether anything is named that only signing without a key needs.
    pub(super) fn is_named(&self) -> bool {
        self.identity_token.is_some() || self.signing_config.is_some()
    }
}

/// In which form a signature is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SignatureFormat {
    /// Sigstore bundles that refer to the image.
    Bundle,
    /// Cosign's old form, tags `sha256-….sig` and `.att`, for consumers that read nothing else;
    /// with a key.
    Legacy,
    /// Both.
    Both,
}

impl SignatureFormat {
    /// Says whether bundles are made.
    pub(super) fn has_bundles(self) -> bool {
        self != Self::Legacy
    }

    /// Says whether the old form is written.
    pub(super) fn has_old_form(self) -> bool {
        self != Self::Bundle
    }
}

/// With what a signature is made.
#[derive(Debug, Args)]
pub(super) struct Signing {
    /// The private key: a file, `env://VARIABLE`, or a key that a service or a token keeps, `hashivault://KEY`, `pkcs11:…`. The password of a file is read from
    /// `COSIGN_PASSWORD` or asked for.
    #[arg(long, value_name = "KEY", required_unless_present = "without_key")]
    key: Option<PathBuf>,
    /// Signs with a certificate for an identity token, and a key that nobody keeps.
    #[arg(id = "without_key", long = "keyless", conflicts_with = "key")]
    without_key: bool,
    /// In which form it is signed.
    #[arg(long, value_enum, value_name = "FORM", default_value_t = SignatureFormat::Bundle)]
    pub(super) signature_format: SignatureFormat,
    #[command(flatten)]
    pub(super) keyless: Keyless,
    /// The time that is written, in seconds since 1970.
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH", hide_env_values = true)]
    pub(super) source_date_epoch: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Require {
    Signature,
    Sbom,
    Provenance,
    Vsa,
}

#[derive(Debug, Args)]
pub(super) struct BaseCommands {
    #[command(subcommand)]
    pub(super) command: BaseCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum BaseCommand {
    /// Lists the bases of the project and those that karat has.
    #[command(after_help = EXIT_CODES)]
    List,
    /// Chooses the packages of a base anew and writes its lock; says what changes.
    #[command(after_help = EXIT_CODES)]
    Lock(LockBase),
    /// Makes a base again from its lock, and compares every byte.
    #[command(after_help = EXIT_CODES)]
    Build(BuildBase),
    /// Makes sure that a base's lock is whole and not too old, and that its bytes are the lock's.
    #[command(after_help = EXIT_CODES)]
    Verify(VerifyBase),
}

#[derive(Debug, Args)]
pub(super) struct LockBase {
    /// The bases; by default all of the project.
    #[arg(value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Writes nothing; exits with 1 when something would change.
    #[arg(long)]
    pub(super) check: bool,
    /// Opens no connection: everything must be in the cache or on a mirror in a folder.
    #[arg(long)]
    pub(super) offline: bool,
}

#[derive(Debug, Args)]
pub(super) struct BuildBase {
    /// The base.
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// Makes it for these platforms only; may be repeated.
    #[arg(long = "platform", value_name = "PLATFORM")]
    pub(super) platforms: Vec<String>,
    /// Writes the layers into this folder: `LAYER.tar.gz`, or `LAYER-ARCH.tar.gz` where
    /// platforms differ.
    #[arg(long, value_name = "DIR")]
    pub(super) output: Option<PathBuf>,
    /// How many threads compress.
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<std::num::NonZeroUsize>,
    /// Opens no connection.
    #[arg(long)]
    pub(super) offline: bool,
}

#[derive(Debug, Args)]
pub(super) struct VerifyBase {
    /// The bases, or images of which to know whether they stand on one; by default all bases of
    /// the project.
    #[arg(value_name = "NAME|REF")]
    pub(super) names: Vec<String>,
    /// Opens no connection.
    #[arg(long)]
    pub(super) offline: bool,
    #[command(flatten)]
    pub(super) policy: Policy,
}

#[derive(Debug, Args)]
pub(super) struct Key {
    #[command(subcommand)]
    pub(super) command: KeyCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Makes a key pair: `cosign.key`, encrypted with a password, and `cosign.pub`.
    Generate {
        /// The file names without their endings.
        #[arg(long, value_name = "PREFIX", default_value = "cosign")]
        output: PathBuf,
    },
    /// Prints the public key of a private key file.
    Public {
        /// The private key.
        #[arg(long, value_name = "KEY")]
        key: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct PolicyCommands {
    #[command(subcommand)]
    pub(super) command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Prints the effective policy, its digest, and where each value comes from.
    #[command(after_help = EXIT_CODES)]
    Show(Policy),
}

#[derive(Debug, Args)]
pub(super) struct Waivers {
    #[command(subcommand)]
    pub(super) command: WaiversCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum WaiversCommand {
    /// Lists every waiver of the project's recipes and of `waivers/`, and the rules that the policy lowers.
    #[command(after_help = EXIT_CODES)]
    List(Policy),
    /// Judges every waiver: exits with 1 when one does not hold.
    #[command(after_help = EXIT_CODES)]
    Report {
        #[command(flatten)]
        policy: Policy,
        /// Judges as of this day, `YYYY-MM-DD`, instead of today.
        #[arg(long, value_name = "DAY")]
        now: Option<String>,
    },
    /// Writes `[[waiver]]` blocks for the findings of a report that reject it.
    #[command(after_help = EXIT_CODES)]
    New(NewWaivers),
    /// Signs a waiver as it is now, for a policy that lets none count without an approver's signature.
    #[command(after_help = EXIT_CODES)]
    Approve(ApproveWaiver),
}

#[derive(Debug, Args)]
pub(super) struct ApproveWaiver {
    /// The waiver's id, as `karat waivers list` shows it.
    #[arg(value_name = "ID")]
    pub(super) id: String,
    #[command(flatten)]
    pub(super) signing: Signing,
    #[command(flatten)]
    pub(super) policy: Policy,
}

#[derive(Debug, Args)]
pub(super) struct NewWaivers {
    /// A report: `dist/NAME/report.json`, or what `--format json` has printed.
    #[arg(long, value_name = "REPORT")]
    pub(super) from: PathBuf,
    /// Only findings of this rule; may be repeated.
    #[arg(long = "rule", value_name = "RULE")]
    pub(super) rules: Vec<String>,
    /// Binds each waiver to the file's bytes instead of its path.
    #[arg(long)]
    pub(super) by_sha256: bool,
    /// The images they are for, for a file in `waivers/`: `payments/*`.
    #[arg(long, value_name = "PATTERN")]
    pub(super) images: Option<String>,
    /// Why.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(super) reason: String,
    /// Who answers for them.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(super) owner: String,
    /// Where it was decided.
    #[arg(long, value_name = "TICKET", default_value = "")]
    pub(super) ticket: String,
    /// For how many days from today they hold.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub(super) days: u32,
    #[command(flatten)]
    pub(super) policy: Policy,
}

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The rule's id; without it, all rules are listed.
    pub(super) rule: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Schema {
    /// Of which file.
    #[arg(value_enum)]
    pub(super) kind: SchemaKind,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum SchemaKind {
    Recipe,
    Base,
    BaseLock,
    Site,
    Policy,
    Waivers,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory as _;
        super::Arguments::command().debug_assert();
    }
}
