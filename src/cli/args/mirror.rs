//! The arguments of `karat mirror`.

use super::{Advisories, EXIT_CODES, Policy, Require, Signer};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct MirrorCommands {
    #[command(subcommand)]
    pub(crate) command: MirrorCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MirrorCommand {
    /// Judges an upstream image, and writes what was found into `approved.lock.toml`; copies nothing.
    #[command(after_help = EXIT_CODES)]
    Approve(Box<Approve>),
    /// Copies what was approved and is not there yet: verified and judged first, by digest, with
    /// all that refers to it, the tag last.
    #[command(after_help = EXIT_CODES)]
    Run(Run),
    /// Says what has changed since: at the makers, and where it was copied to. Writes nothing.
    #[command(after_help = EXIT_CODES)]
    Check(Ground),
}

#[derive(Debug, Args)]
pub(crate) struct Approve {
    /// The image at its makers: `docker://HOST/REPO:TAG` or `docker://HOST/REPO@sha256:…`.
    #[arg(value_name = "REF")]
    pub(crate) reference: String,
    /// Where it goes, `HOST/REPO`; by default where `[registry] mirrors` of the policy says.
    #[arg(long, value_name = "HOST/REPO")]
    pub(crate) to: Option<String>,
    /// What must be signed of it; `signature` always.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STATEMENT")]
    pub(crate) require: Vec<Require>,
    /// The highest severity that a known vulnerability of it may have.
    #[arg(long, value_name = "SEVERITY", default_value = "medium")]
    pub(crate) max_severity: String,
    /// Who answers for it here.
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: String,
    /// Where it was decided.
    #[arg(long, value_name = "TICKET")]
    pub(crate) ticket: String,
    /// Why it is needed.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// The last day on which the approval holds, `YYYY-MM-DD`; by default 90 days from now.
    #[arg(long, value_name = "DAY")]
    pub(crate) expires: Option<String>,
    #[command(flatten)]
    pub(crate) signer: Signer,
    #[command(flatten)]
    pub(crate) advisories: Advisories,
    #[command(flatten)]
    pub(crate) policy: Policy,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Signs with this private key that each has passed the policy, the known vulnerabilities
    /// looked up: a summary of the verification, copied with it, and renewed in time.
    #[arg(long, value_name = "KEY")]
    pub(crate) sign: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) ground: Ground,
}

/// What approvals are acted on by.
#[derive(Debug, Args)]
pub(crate) struct Ground {
    /// The certificate authorities, logs and timestamp authorities that are trusted; by default
    /// those of the public good instance of sigstore.
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) advisories: Advisories,
    #[command(flatten)]
    pub(crate) policy: Policy,
}
