//! `karat sbom`.

use super::args::{self, SbomFormat};
use super::failure::{CODE_DONE, Failure};
use super::meter::Meter;
use super::output::Output;
use super::{network, settings};
use karat::bom::{Detail, Subject, cyclonedx, licence, spdx3, spdx23};
use karat::finding::escape;
use karat::oci::{Platform, Reference};
use karat::pipeline::sbom::{Described, describe, opened};

pub(super) fn run(args: &args::Sbom, output: &Output) -> Result<u8, Failure> {
    let reference = Reference::parse(&args.reference, |path| path.symlink_metadata().is_ok())?;
    let platform = args.platform.as_deref().map(str::parse::<Platform>).transpose();
    let platform = platform.map_err(|error| Failure::usage(error.to_string()))?;
    let epoch = settings::epoch(args.source_date_epoch.as_deref())?;
    let licence = args.license.as_deref().map(|text| {
        licence::expression(text).ok_or_else(|| {
            Failure::usage(format!("`{}` is no SPDX licence expression", escape::terminal(text)))
                .hint("one looks like `Apache-2.0`, `MIT OR Apache-2.0` or `LicenseRef-ours`")
        })
    });
    let licence = licence.transpose()?;
    // What is said here comes before what the image says of itself.
    let told = |subject: &mut Subject| {
        subject.name = args.name.clone().unwrap_or_else(|| std::mem::take(&mut subject.name));
        if args.supplier.is_some() {
            subject.supplier.clone_from(&args.supplier);
            subject.supplier_url.clone_from(&args.supplier_url);
        }
        subject.licence = licence.clone().or_else(|| subject.licence.take());
    };
    let described = match &reference {
        Reference::Registry { repository, .. } => {
            let policy = settings::policy_here(&args.policy)?.policy;
            let origin = network::origin(&reference, &policy, args.offline, false, output)?;
            let _meter = Meter::start(repository, &origin.stored.progress, output);
            let name = repository.clone();
            opened(name, &origin.stored, &origin.root, platform.as_ref(), epoch, Detail::All)?
        }
        _ => describe(&reference, platform.as_ref(), epoch, Detail::All)?,
    };
    let bytes = match described {
        Described::One(bom, mut subject, _) => {
            told(&mut subject);
            match args.form {
                SbomFormat::Spdx23 => spdx23::to_bytes(&bom, &subject),
                SbomFormat::Spdx30 => spdx3::to_bytes(&bom, &subject),
                SbomFormat::Cyclonedx16 => cyclonedx::to_bytes(&bom, &subject),
            }
        }
        Described::Index { mut subject, platforms } => {
            told(&mut subject);
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
