//! One file a command; arguments as typed ([`args`]) apart from values ready to use
//! ([`settings`]); one way out ([`output`], [`failure`]).

mod args;
mod attest_vsa;
mod base;
mod beside;
mod build;
mod check;
mod checkout;
mod clearance;
mod db;
mod doctor;
mod explain;
mod failure;
mod fleet;
mod hand;
mod inspect;
mod key;
mod load;
mod meter;
mod mirror;
mod network;
mod output;
mod pkcs11;
mod policy;
mod rebase;
mod rebuild;
mod sbom;
mod scan;
mod service_key;
mod settings;
mod sign;
mod site;
mod stock;
mod transfer;
mod verify;
mod verify_bundle;
mod waiver_files;
mod waivers;

use args::{Arguments, Command};
use clap::Parser;
use failure::{CODE_FAILED, CODE_USAGE, Failure};
use output::Output;
use std::process::ExitCode;

/// The list of the crates of this build, as `build.rs` wrote it.
pub(crate) const DEPENDENCIES: &[u8; include_bytes!(concat!(
    env!("OUT_DIR"),
    "/dependencies.zlib"
))
 .len()] = include_bytes!(concat!(env!("OUT_DIR"), "/dependencies.zlib"));

/// Runs the command line and returns the process's exit code.
pub(crate) fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refused(&error),
    };
    let output = Output::new(arguments.format);
    let has_reports = matches!(arguments.command, Command::Build(_) | Command::Inspect(_));
    if !output.is_text() && !output.is_json() && !has_reports {
        let failure =
            Failure::usage("this format is for reports, which `build` and `inspect` make");
        Output::new(args::Format::Text).failure(&failure.hint("`--format text` or `json`"));
        return ExitCode::from(CODE_USAGE);
    }
    let done = match arguments.command {
        Command::Build(args) => build::run(&args, &output),
        Command::Check(args) => check::run(&args, &output),
        Command::Inspect(args) => inspect::run(&args, &output),
        Command::Verify(args) => verify::run(&args, &output),
        Command::Sbom(args) => sbom::run(&args, &output),
        Command::Scan(args) => scan::run(&args, &output),
        Command::Db(args) => db::run(&args, &output),
        Command::Sign(args) => sign::sign(&args, &output),
        Command::Attest(args) => sign::attest(&args, &output),
        Command::Pull(args) => transfer::pull(&args, &output),
        Command::Push(args) => transfer::push(&args, &output),
        Command::Copy(args) => transfer::copy(&args, &output),
        Command::Promote(args) => transfer::promote(&args, &output),
        Command::Rebase(args) => rebase::run(&args, &output),
        Command::Rebuild(args) => rebuild::run(&args, &output),
        Command::Load(args) => load::run(&args, &output),
        Command::Mirror(args) => mirror::run(&args, &output),
        Command::Fleet(args) => fleet::run(&args, &output),
        Command::Doctor(args) => doctor::run(&args, &output),
        Command::Base(args) => base::run(&args, &output),
        Command::Key(args) => key::run(&args, &output),
        Command::Policy(args) => policy::run(&args, &output),
        Command::Waivers(args) => waivers::run(&args, &output),
        Command::Explain(args) => explain::run(&args, &output),
        Command::Schema(args) => explain::schema(&args, &output),
    };
    match done {
        Ok(_) if !output.is_whole() => {
            output.failure(&Failure::failed("the result could not be printed"));
            ExitCode::from(CODE_FAILED)
        }
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.code)
        }
    }
}

/// Says what is wrong with the arguments, as JSON where that was asked for.
fn refused(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|argument| argument == "--format=json")
        || std::env::args_os()
            .zip(std::env::args_os().skip(1))
            .any(|(a, b)| a == "--format" && b == "json");
    if error.use_stderr() && json {
        let text = error.render().to_string();
        let message =
            text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Output::new(args::Format::Json)
            .failure(&Failure::usage(message).hint("see `karat --help`"));
        return ExitCode::from(CODE_USAGE);
    }
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    // The message repeats what was typed.
    Output::new(args::Format::Text).tell(&error.render().to_string());
    ExitCode::from(CODE_USAGE)
}
