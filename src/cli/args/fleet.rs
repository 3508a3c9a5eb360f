//! The arguments of `karat fleet`.

use super::{Advisories, EXIT_CODES, Policy, Signer};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct FleetCommands {
    #[command(subcommand)]
    pub(crate) command: FleetCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FleetCommand {
    /// Judges again what is published: looks up its signed bills of materials in a newer database,
    /// without pulling a layer.
    #[command(after_help = EXIT_CODES)]
    Scan(Scan),
    /// Says which published images hold a package, a vulnerability or a file.
    #[command(after_help = EXIT_CODES)]
    Find(Find),
}

#[derive(Debug, Args)]
pub(crate) struct Scan {
    /// Repositories, `HOST/REPO`, of which everything that has a tag is judged; or single images,
    /// `docker://HOST/REPO@sha256:…`.
    #[arg(value_name = "REPO", required = true)]
    pub(crate) places: Vec<String>,
    #[command(flatten)]
    pub(crate) advisories: Advisories,
    #[command(flatten)]
    pub(crate) signer: Signer,
    #[command(flatten)]
    pub(crate) policy: Policy,
}

#[derive(Debug, Args)]
pub(crate) struct Find {
    /// A package URL (`pkg:golang/golang.org/x/net@v0.30.0`, without a version any), a vulnerability
    /// (`CVE-2026-1234`; needs `--db`), or the hash of a file, a layer or an image (`sha256:HEX`).
    #[arg(value_name = "PURL|CVE|sha256:HEX")]
    pub(crate) wanted: String,
    /// Repositories, `HOST/REPO`; by default all that the registry lists below `publish` and
    /// `allow` of the policy.
    #[arg(value_name = "REPO")]
    pub(crate) places: Vec<String>,
    /// The database of advisories.
    #[arg(long, value_name = "FILE", env = "KARAT_DB")]
    pub(crate) db: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) signer: Signer,
    #[command(flatten)]
    pub(crate) policy: Policy,
}
