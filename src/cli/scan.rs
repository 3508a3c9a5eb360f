//! `karat scan`, and the advisories of whatever else judges.

use super::args::{self, ScanFormat};
use super::failure::{CODE_DONE, CODE_REJECTED, Failure};
use super::meter::Meter;
use super::output::Output;
use super::{network, settings, site};
use karat::advisory::scanner::{self, Report, ScannerError};
use karat::advisory::{Database, DatabaseError, Matched, Outside, Scan, vex};
use karat::bom::{About, Detail, Subject};
use karat::finding::escape;
use karat::oci::{Digest, Platform, Reference};
use karat::pipeline::sbom::{Described, describe, opened};
use karat::pipeline::scan;
use karat::policy::{Advised, Reported};
use karat::settings::Policy;
use serde_json::json;
use std::path::{Path, PathBuf};

pub(super) fn run(args: &args::Scan, output: &Output) -> Result<u8, Failure> {
    let policy = settings::policy_here(&args.policy)?.policy;
    let root = settings::project(Path::new("."))?.root().to_owned();
    let advisories = demanded(&args.advisories, &policy, &root)?;
    let database = &advisories.database;
    let reference = Reference::parse(&args.reference, |path| path.symlink_metadata().is_ok())?;
    let platform = args.platform.as_deref().map(str::parse::<Platform>).transpose();
    let platform = platform.map_err(|error| Failure::usage(error.to_string()))?;
    let epoch = settings::epoch(args.source_date_epoch.as_deref())?;
    let scanned = match &reference {
        Reference::Registry { repository, .. } => {
            let origin = network::origin(&reference, &policy, args.offline, false, output)?;
            let _meter = Meter::start(repository, &origin.stored.progress, output);
            let describe = |platform: Option<&Platform>| {
                let (stored, root, detail) = (&origin.stored, &origin.root, Detail::Software);
                Ok(opened(repository.clone(), stored, root, platform, epoch, detail)?)
            };
            scanned(platform.as_ref(), &policy, &advisories, &describe)?
        }
        _ => {
            let describe = |platform: Option<&Platform>| {
                Ok(describe(&reference, platform, epoch, Detail::Software)?)
            };
            scanned(platform.as_ref(), &policy, &advisories, &describe)?
        }
    };
    let rules = &policy.gate.vulnerabilities;
    let rejects = |one: &Part| one.scan.found.iter().any(|found| scan::rejects(found, rules));
    let rejected = scanned.parts.iter().any(rejects);
    match (args.form, output.is_json(), &scanned.parts[..]) {
        (Some(ScanFormat::OpenVex), ..) => {
            let bytes = vex::to_bytes(&scanned.found(), &scanned.whole);
            output.document(&String::from_utf8_lossy(&bytes));
        }
        (None, true, [only]) if only.platform.is_none() => {
            output.json(&scan::to_json(&only.scan, &only.subject, database, rules));
        }
        (None, true, parts) => {
            let image = |part: &Part| {
                let mut one = scan::to_json(&part.scan, &part.subject, database, rules);
                one["platform"] = json!(part.platform.as_ref().map(Platform::to_string));
                one
            };
            let whole = &scanned.whole;
            output.json(&json!({
                "schema": "karat.scan/v1",
                "subject": {"name": whole.name, "digest": whole.digest},
                "database": {"digest": database.digest(), "sources": database.header().sources},
                "verdict": if rejected { "rejected" } else { "accepted" },
                "images": parts.iter().map(image).collect::<Vec<_>>(),
            }));
        }
        (None, false, parts) => {
            for part in parts {
                if let Some(platform) = &part.platform {
                    output.result(&format!("platform  {platform}"));
                }
                let text = scan::to_text(&part.scan, &part.subject, database, rules, args.all);
                output.document(&text);
            }
        }
    }
    Ok(if rejected { CODE_REJECTED } else { CODE_DONE })
}

/// What was looked up: of an image or a file, or of each platform of an image.
pub(super) struct Scanned {
    /// What it is of.
    pub(super) whole: Subject,
    /// Its platforms, or itself alone.
    pub(super) parts: Vec<Part>,
}

/// What was looked up of one platform.
pub(super) struct Part {
    /// The platform, of an image of several.
    platform: Option<Platform>,
    pub(super) subject: Subject,
    pub(super) scan: Scan,
}

impl Scanned {
    /// Returns what was found, and of what.
    pub(super) fn found(&self) -> Vec<(&[Matched], &Subject)> {
        self.parts.iter().map(|part| (&part.scan.found[..], &part.subject)).collect()
    }
}

/// Looks up what `describe` gives for a platform; of an index each of its platforms, unless one was
/// chosen.
pub(super) fn scanned(
    platform: Option<&Platform>,
    policy: &Policy,
    advisories: &Advisories,
    describe: &dyn Fn(Option<&Platform>) -> Result<Described, Failure>,
) -> Result<Scanned, Failure> {
    let look = |described: Described, platform: Option<Platform>, whole: Option<&Subject>| {
        let Described::One(bom, subject, files) = described else {
            return Err(Failure::failed("a platform of the index is an index itself"));
        };
        // About a file any statement may be.
        let digests: Vec<Digest> = match &subject.about {
            About::File => Vec::new(),
            About::Image { .. } => {
                std::iter::once(&subject).chain(whole).map(|one| one.digest).collect()
            }
        };
        let outside = Outside {
            statements: &advisories.statements,
            reports: &[],
            image: vex::Concerned { digests: &digests, names: &[] },
            rules: &policy.gate.vulnerabilities,
        };
        let scan = scan::scan_with(&bom, &files, Some(&advisories.database), outside)
            .map_err(|error| Failure::failed(format!("the database of advisories: {error}")))?;
        Ok(Part { platform, subject, scan })
    };
    match describe(platform)? {
        Described::Index { subject: whole, platforms } => {
            if platforms.is_empty() {
                return Err(Failure::usage(
                    "the index has no image of a platform that karat knows",
                ));
            }
            let part = |(platform, ..): &(Platform, Digest, u64)| {
                look(describe(Some(platform))?, Some(platform.clone()), Some(&whole))
            };
            let parts = platforms.iter().map(part).collect::<Result<_, _>>()?;
            Ok(Scanned { whole, parts })
        }
        one => {
            let part = look(one, None, None)?;
            Ok(Scanned { whole: part.subject.clone(), parts: vec![part] })
        }
    }
}

/// A database that is open, and what was said of its advisories.
pub(super) struct Advisories {
    pub(super) database: Database,
    pub(super) statements: Vec<vex::Statement>,
}

impl Advisories {
    /// Returns them as judgements take them.
    pub(super) fn advised(&self) -> Advised<'_> {
        Advised { database: &self.database, statements: &self.statements }
    }
}

/// The folder of a project's OpenVEX documents.
const VEX: &str = "vex";
/// The most files in it.
const MAX_VEX: usize = 1000;

/// Opens the database that the user has named, which must be the one that the policy pins, and
/// reads the OpenVEX documents of the project and those that the user has named. None without a
/// database.
pub(super) fn advisories(
    args: &args::Advisories,
    policy: &Policy,
    root: &Path,
) -> Result<Option<Advisories>, Failure> {
    let Some(path) = args.db.as_ref().filter(|path| !path.as_os_str().is_empty()) else {
        return Ok(None);
    };
    let database = open(path)?;
    let found = database.digest();
    if let Some(wanted) = policy.advisories.database.filter(|wanted| *wanted != found) {
        return Err(Failure::usage(format!(
            "the database `{}` is {found}, and the policy demands {wanted}",
            path.display()
        ))
        .hint("`[advisories] database` of the policy pins it"));
    }
    let mut files = documents(root)?;
    files.extend(args.vex.iter().cloned());
    Ok(Some(Advisories { database, statements: statements(&files)? }))
}

/// The most reports of other scanners.
const MAX_REPORTS: usize = 50;

/// The reports of other scanners, and what was said of what they may hold.
#[derive(Default)]
pub(super) struct Reports {
    pub(super) reports: Vec<Report>,
    statements: Vec<vex::Statement>,
}

impl Reports {
    /// Returns them as judgements take them.
    pub(super) fn reported(&self) -> Reported<'_> {
        Reported { reports: &self.reports, statements: &self.statements }
    }
}

/// Reads the reports of other scanners, and, for a judgement without a database, the OpenVEX
/// documents of the project and those that the user has named.
pub(super) fn reports(
    args: &args::ScannerReports,
    advisories: &args::Advisories,
    root: &Path,
) -> Result<Reports, Failure> {
    if args.files.is_empty() {
        return Ok(Reports::default());
    }
    if args.files.len() > MAX_REPORTS {
        return Err(Failure::usage(format!("more than {MAX_REPORTS} reports of scanners")));
    }
    let read = |path: &PathBuf| {
        let shown = path.display().to_string();
        let bytes = settings::file(path, "reports of scanners", scanner::LONGEST)?;
        Report::read(&shown, &bytes).map_err(|error| {
            let message = format!("`{}`: {error}", escape::terminal(&shown));
            Failure::usage(escape::terminal(&message)).hint(match error {
                ScannerError::NoImage(_) => {
                    "scan the image itself, in a layout, an archive or a registry, and not a folder, a file or an SBOM"
                }
                _ => "`trivy image --format json`, `grype --output json`, `osv-scanner scan image --format json`",
            })
        })
    };
    let mut reports: Vec<Report> = args.files.iter().map(read).collect::<Result<_, _>>()?;
    reports.sort_by_key(|one| one.digest);
    reports.dedup_by_key(|one| one.digest);
    let mut files = documents(root)?;
    files.extend(advisories.vex.iter().cloned());
    Ok(Reports { reports, statements: statements(&files)? })
}

/// Says that a report is about another image.
pub(super) fn other_image(report: &Report, images: &[String]) -> Failure {
    let message = format!(
        "the scanner's report `{}` is about {}, and the image is {}",
        report.file,
        report.subject(),
        images.join(" and ")
    );
    Failure::usage(escape::terminal(&message)).hint(OTHER_IMAGE)
}

/// What helps when a report is about another image.
pub(super) const OTHER_IMAGE: &str =
    "scan this very image again: by its digest, or the layout that karat wrote";

/// Returns [`advisories`], which must be there.
pub(super) fn demanded(
    args: &args::Advisories,
    policy: &Policy,
    root: &Path,
) -> Result<Advisories, Failure> {
    advisories(args, policy, root)?.ok_or_else(|| {
        Failure::usage("NOT SCANNED for known vulnerabilities: there is no database")
            .hint("make one with `karat db import`, and name it with `--db FILE` or KARAT_DB")
    })
}

/// Lists a project's `vex/*.json` in byte order.
fn documents(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let folder = root.join(VEX);
    let entries = match folder.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(Failure::failed(format!("`{}`: {error}", folder.display())));
        }
    };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| site::from_here(&entry.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    if files.len() > MAX_VEX {
        return Err(Failure::usage(format!(
            "`{}` holds more than {MAX_VEX} files",
            folder.display()
        )));
    }
    files.sort();
    Ok(files)
}

/// Reads OpenVEX documents.
fn statements(files: &[PathBuf]) -> Result<Vec<vex::Statement>, Failure> {
    let mut statements = Vec::new();
    for path in files {
        let shown = path.display().to_string();
        let bytes = settings::file(path, "OpenVEX documents", vex::LONGEST)?;
        statements.extend(
            vex::read(&shown, &bytes).map_err(|error| {
                Failure::usage(format!("`{}`: {error}", escape::terminal(&shown)))
            })?,
        );
    }
    Ok(statements)
}

/// Opens a database.
pub(super) fn open(path: &Path) -> Result<Database, Failure> {
    Database::open(path).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &DatabaseError) -> Failure {
    let message = format!("the database `{}`: {error}", path.display());
    match error {
        DatabaseError::Read(_) | DatabaseError::Spool(_) => Failure::failed(message),
        DatabaseError::Format(_) => {
            Failure::usage(message).hint("use a karat as new as the one that made it")
        }
        _ => Failure::usage(message)
            .hint("`karat db import` makes a database of the dumps that OSV gives out"),
    }
}
