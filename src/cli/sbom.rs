//! `karat sbom`.

use super::args::{self, SbomFormat};
use super::failure::{CODE_DONE, Failure};
use super::output::Output;
use super::{network, settings};
use karat::bom::{cyclonedx, spdx3, spdx23};
use karat::oci::{Platform, Reference};
use karat::pipeline::sbom::{Described, describe, opened};

pub(super) fn run(args: &args::Sbom, output: &Output) -> Result<u8, Failure> {
    let reference = Reference::parse(&args.reference, |path| path.symlink_metadata().is_ok())?;
    let platform = args.platform.as_deref().map(str::parse::<Platform>).transpose();
    let platform = platform.map_err(|error| Failure::usage(error.to_string()))?;
    let epoch = settings::epoch(args.source_date_epoch.as_deref())?;
    let named = |name: String| args.name.clone().unwrap_or(name);
    let described = match &reference {
        Reference::Registry { repository, .. } => {
            let policy = settings::policy_here(&args.policy)?.policy;
            let origin = network::origin(&reference, &policy, args.offline, false, output)?;
            let name = repository.clone();
            opened(name, &origin.stored, &origin.root, platform.as_ref(), epoch)?
        }
        _ => describe(&reference, platform.as_ref(), epoch)?,
    };
    let bytes = match described {
        Described::One(bom, mut subject) => {
            subject.name = named(subject.name);
            match args.form {
                SbomFormat::Spdx23 => spdx23::to_bytes(&bom, &subject),
                SbomFormat::Spdx30 => spdx3::to_bytes(&bom, &subject),
                SbomFormat::Cyclonedx16 => cyclonedx::to_bytes(&bom, &subject),
            }
        }
        Described::Index { mut subject, platforms } => {
            subject.name = named(subject.name);
            match args.form {
                SbomFormat::Spdx23 => spdx23::index(&subject, &platforms),
                SbomFormat::Spdx30 => spdx3::index(&subject, &platforms),
                SbomFormat::Cyclonedx16 => cyclonedx::index(&subject, &platforms),
            }
        }
    };
    output.document(&String::from_utf8_lossy(&bytes));
    Ok(CODE_DONE)
}
