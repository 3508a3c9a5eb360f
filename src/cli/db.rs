//! `karat db`: databases of advisories, made, shown, and kept in registries.

use super::args::{self, DbCommand};
use super::failure::{CODE_DONE, CODE_REJECTED, Failure};
use super::output::{self, Output};
use super::scan::open;
use super::{network, settings, verify};
use karat::advisory::{Database, database, import};
use karat::finding::escape;
use karat::image::stored::Stored;
use karat::oci::{Descriptor, Digest, Reference};
use karat::pipeline::advisories::{self, FetchError};
use karat::pipeline::transfer;
use karat::settings::Requirement;
use karat::store::{Content, SpoolRoom};
use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest dump that is imported, in bytes.
const DUMP: u64 = 4 << 30;

pub(super) fn run(args: &args::Db, output: &Output) -> Result<u8, Failure> {
    match &args.command {
        DbCommand::Import { dumps, output: to } => imported(dumps, to, output),
        DbCommand::Fetch(args) => fetch(args, output),
        DbCommand::Push(args) => push(args, output),
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
    let mut file = beside(to).map_err(failed)?;
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

/// Makes a file that will have the name `to` when it is whole.
fn beside(to: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    // Whoever may read what else is in the folder may read this.
    let readable = Permissions::from_mode(0o644);
    tempfile::Builder::new()
        .permissions(readable)
        .prefix(".tmp-")
        .tempfile_in(folder.unwrap_or(Path::new(".")))
}

fn remote(text: &str) -> Result<Reference, Failure> {
    match Reference::parse(text, |path| path.symlink_metadata().is_ok())? {
        found @ Reference::Registry { .. } => Ok(found),
        other => Err(Failure::usage(format!("`{other}` is in no registry"))
            .hint("`docker://HOST/REPO@sha256:…`")),
    }
}

/// Fetches a database out of a registry.
fn fetch(args: &args::DbFetch, output: &Output) -> Result<u8, Failure> {
    let policy = settings::policy_here(&args.policy)?.policy;
    let reference = remote(&args.reference)?;
    let Some(to) = &args.output else {
        return Err(Failure::usage("nothing says where the database goes")
            .hint("name the file, `--output FILE` or KARAT_DB"));
    };
    let pinned = policy.advisories.database;
    let trust = match args.signer.is_named() {
        true => Some(verify::trust(&args.signer, &policy, None)?),
        false if pinned.is_some() => None,
        false => {
            return Err(Failure::usage("nothing says who must have signed the database").hint(
                "name the public key, `--key cosign.pub`, or `--identity` with `--issuer`; or pin the database: `[advisories] database` of the policy",
            ));
        }
    };
    demand_digest(&reference, pinned)?;
    let origin = network::origin(&reference, &policy, false, trust.is_some(), output)?;
    let (stored, root) = (&origin.stored, &origin.root);
    if let Some(trust) = &trust {
        let require = [Requirement::Signature];
        let verification = karat::verify::signed(stored, root, trust, &require)?;
        if !verification.accepted() {
            let message = format!("{} is not signed as it must be, by {trust}", root.digest);
            return Err(Failure { code: CODE_REJECTED, ..Failure::usage(message) }
                .hint("`karat verify` shows what was looked at; nothing was written"));
        }
    }
    let failed = |error: std::io::Error| {
        Failure::failed(format!("`{}` cannot be written: {error}", to.display()))
    };
    let mut file = beside(to).map_err(failed)?;
    let digest =
        advisories::fetch(stored, root, pinned, file.as_file_mut()).map_err(
            |error| match error {
                FetchError::Stored(error) => error.into(),
                FetchError::Write(error) => failed(error),
                other => Failure { code: CODE_REJECTED, ..Failure::usage(other.to_string()) },
            },
        )?;
    // What cannot be used does not take the place of what could be.
    open(file.path())?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(to).map_err(|error| failed(error.error))?;
    output.tell(&format!("wrote {}", to.display()));
    if output.is_json() {
        output.json(&serde_json::json!({
            "schema": "karat.db-fetch/v1",
            "reference": reference.to_string(),
            "manifest": root.digest,
            "digest": digest,
        }));
    } else {
        output.result(&digest.to_string());
    }
    Ok(CODE_DONE)
}

/// A name alone leads to whatever it leads to today.
fn demand_digest(reference: &Reference, pinned: Option<Digest>) -> Result<(), Failure> {
    match reference {
        Reference::Registry { digest: None, .. } if pinned.is_none() => {
            Err(Failure::usage(format!("`{reference}` names a database by a tag"))
                .hint("name it with its digest, `@sha256:…`, or pin the database: `[advisories] database` of the policy"))
        }
        _ => Ok(()),
    }
}

/// Puts a database into a registry.
fn push(args: &args::DbPush, output: &Output) -> Result<u8, Failure> {
    let policy = settings::policy_here(&args.policy)?.policy;
    let destination = remote(&args.destination)?;
    let database = open(&args.database)?;
    let of_policy = policy.registry.as_ref();
    transfer::standing(of_policy, &destination)?;
    let key = args.sign.as_deref().map(settings::private_key).transpose()?;
    let staging = tempfile::tempdir()
        .map_err(|error| Failure::failed(format!("no room for a temporary folder: {error}")))?;
    let root = layout(staging.path(), &args.database, &database, key.as_ref().map(|key| key as _))?;
    let hosts = transfer::hosts(of_policy, &[], Some(&destination), &network::plain_hosts()?)?;
    let registries = network::registries(hosts, false, &[&destination])?;
    let source = Reference::Layout { dir: staging.path().to_owned(), tag: None };
    let origin = transfer::open(&registries, &source, false, true)?;
    let Reference::Registry { host, repository, tag, .. } = &destination else {
        return Ok(CODE_DONE);
    };
    let tags: Vec<String> = tag.iter().cloned().collect();
    let immutable = of_policy.is_some_and(|one| one.immutable_tags);
    transfer::publish(&registries, &origin, &destination, &tags, immutable)?;
    output.result(&format!("{host}/{repository}@{}", root.digest));
    Ok(CODE_DONE)
}

fn layout(
    folder: &Path,
    file: &Path,
    database: &Database,
    key: Option<&dyn karat::signature::Signing>,
) -> Result<Descriptor, Failure> {
    let failed =
        |error: advisories::PackError| Failure::failed(format!("`{}`: {error}", file.display()));
    let root = advisories::pack(folder, file, database, key).map_err(failed)?;
    // Read back: what is sent is what is named.
    Stored::open_folder(folder)?;
    Ok(root)
}
