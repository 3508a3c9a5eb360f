//! `karat scan` and `karat db`.

use super::args::{self, DbCommand, ScanFormat};
use super::failure::{CODE_DONE, CODE_REJECTED, Failure};
use super::output::{self, Output};
use super::{network, settings};
use karat::advisory::{Database, DatabaseError, database, import, vex};
use karat::finding::escape;
use karat::oci::{Platform, Reference};
use karat::pipeline::sbom::{Described, describe, opened};
use karat::pipeline::scan;
use karat::store::{Content, SpoolRoom};
use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest dump that is imported, in bytes.
const DUMP: u64 = 4 << 30;

pub(super) fn run(args: &args::Scan, output: &Output) -> Result<u8, Failure> {
    let Some(path) = &args.db else {
        return Err(Failure::usage("NOT SCANNED for known vulnerabilities: there is no database")
            .hint("make one with `karat db import`, and name it with `--db FILE` or KARAT_DB"));
    };
    let database = open(path)?;
    let reference = Reference::parse(&args.reference, |path| path.symlink_metadata().is_ok())?;
    let platform = args.platform.as_deref().map(str::parse::<Platform>).transpose();
    let platform = platform.map_err(|error| Failure::usage(error.to_string()))?;
    let epoch = settings::epoch(args.source_date_epoch.as_deref())?;
    let described = match &reference {
        Reference::Registry { repository, .. } => {
            let policy = settings::policy_here(&args.policy)?.policy;
            let origin = network::origin(&reference, &policy, args.offline, false, output)?;
            let name = repository.clone();
            opened(name, &origin.stored, &origin.root, platform.as_ref(), epoch)?
        }
        _ => describe(&reference, platform.as_ref(), epoch)?,
    };
    let (bom, subject, files) = match described {
        Described::One(bom, subject, files) => (bom, subject, files),
        Described::Index { platforms, .. } => {
            let there: Vec<_> = platforms.iter().map(|(one, ..)| one.to_string()).collect();
            return Err(Failure::usage("the image is of several platforms")
                .hint(format!("choose one with `--platform`: {}", there.join(", "))));
        }
    };
    let statements = statements(&args.vex)?;
    let found =
        scan::scan(&bom, &files, &database, &statements).map_err(|error| unusable(path, &error))?;
    match (args.form, output.is_json()) {
        (Some(ScanFormat::OpenVex), _) => {
            output.document(&String::from_utf8_lossy(&vex::to_bytes(&found, &subject)));
        }
        (None, true) => output.json(&scan::to_json(&found, &subject, &database)),
        (None, false) => output.document(&scan::to_text(&found, &subject, &database, args.all)),
    }
    Ok(if found.found.iter().any(scan::rejects) { CODE_REJECTED } else { CODE_DONE })
}

pub(super) fn db(args: &args::Db, output: &Output) -> Result<u8, Failure> {
    match &args.command {
        DbCommand::Import { dumps, output: to } => imported(dumps, to, output),
        DbCommand::Info { file } => {
            let database = open(file)?;
            let header = database.header();
            if output.is_json() {
                let digest = database.digest();
                output.json(&serde_json::json!({"digest": digest, "format": database::FORMAT,
                    "size": database.size(), "contents": header}));
                return Ok(CODE_DONE);
            }
            let mut text = format!(
                "{}\nformat    {}\nsize      {}\nrecords   {} about {} packages\n",
                database.digest(),
                database::FORMAT,
                output::bytes(database.size()),
                header.records,
                header.packages
            );
            for source in &header.sources {
                let newest = if source.newest.is_empty() { "unknown" } else { &source.newest };
                text += &format!(
                    "source    {}: {} records, {} withdrawn, {} broken; newest change {}; {}\n",
                    escape::terminal(&source.ecosystem),
                    source.records,
                    source.withdrawn,
                    source.broken.len(),
                    escape::terminal(newest),
                    source.sha256
                );
                for (name, why) in &source.broken {
                    text += &format!(
                        "broken    {}: {}\n",
                        escape::terminal(name),
                        escape::terminal(why)
                    );
                }
            }
            output.document(&text);
            Ok(CODE_DONE)
        }
    }
}

/// Reads OpenVEX documents.
pub(super) fn statements(files: &[PathBuf]) -> Result<Vec<vex::Statement>, Failure> {
    let mut statements = Vec::new();
    for path in files {
        let shown = path.display().to_string();
        let bytes = std::fs::read(path)
            .map_err(|error| Failure::usage(format!("`{shown}` cannot be read: {error}")))?;
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

/// Reads the dumps of folders, `ECOSYSTEM/all.zip`, and writes one database.
fn imported(folders: &[PathBuf], to: &Path, output: &Output) -> Result<u8, Failure> {
    let (mut sources, mut records) = (Vec::new(), Vec::new());
    for (ecosystem, path) in dumps(folders)? {
        let shown = path.display().to_string();
        let failed = |error: &dyn std::fmt::Display| Failure::failed(format!("`{shown}`: {error}"));
        let file = File::open(&path).map_err(|error| failed(&error))?;
        let size = file.metadata().map_err(|error| failed(&error))?.len();
        let spool = SpoolRoom::of(32 << 20).copy(file, size, DUMP);
        let content = Content::whole(Arc::new(spool.map_err(|error| failed(&error))?));
        let (source, read) = import::read(&ecosystem, content.sha256(), &content)
            .map_err(|error| Failure::usage(format!("`{shown}`: {error}")))?;
        output.tell(&format!(
            "{}: {} advisories, {} broken",
            escape::terminal(&ecosystem),
            source.records,
            source.broken.len()
        ));
        for (name, why) in &source.broken {
            output.tell(&format!("  {name}: {why}"));
        }
        sources.push(source);
        records.extend(read);
    }
    let failed = |error: std::io::Error| {
        Failure::failed(format!("`{}` cannot be written: {error}", to.display()))
    };
    let bytes = database::pack(sources, records).map_err(failed)?;
    let folder = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    // Whoever may read what else is in the folder may read this.
    let readable = Permissions::from_mode(0o644);
    let mut file = tempfile::Builder::new()
        .permissions(readable)
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(failed)?;
    file.write_all(&bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(to).map_err(|error| failed(error.error))?;
    output.result(&open(to)?.digest().to_string());
    Ok(CODE_DONE)
}

/// Finds the dumps: of a folder every `ECOSYSTEM/all.zip`, in the order of their names.
fn dumps(folders: &[PathBuf]) -> Result<Vec<(String, PathBuf)>, Failure> {
    let mut found = Vec::new();
    for folder in folders {
        let shown = folder.display();
        let entries = std::fs::read_dir(folder)
            .map_err(|error| Failure::usage(format!("`{shown}` cannot be read: {error}")))?;
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        let before = found.len();
        for name in names {
            let dump = folder.join(&name).join("all.zip");
            if dump.is_file() {
                found.push((name, dump));
            }
        }
        if found.len() == before {
            return Err(Failure::usage(format!("`{shown}` has no dump of advisories"))
                .hint("a dump is `ECOSYSTEM/all.zip`, as OSV gives it out: `Go/all.zip`"));
        }
    }
    Ok(found)
}
