//! The command line of karat: reads arguments, environment, clock and terminal once,
//! and hands values to the library.

mod cli;

use std::process::ExitCode;

/// The crates that this binary is built from, in the form of cargo-auditable, so that any
/// scanner, karat among them, can list them. The section's name is what readers look for.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".dep-v0")]
static DEPENDENCIES: [u8; cli::DEPENDENCIES.len()] = *cli::DEPENDENCIES;

fn main() -> ExitCode {
    // Without a use, the linker drops the section as garbage.
    #[cfg(target_os = "linux")]
    std::hint::black_box(&DEPENDENCIES);
    cli::run()
}
