//! `karat key`.

use super::args::{self, KeyCommand};
use super::failure::{CODE_DONE, Failure};
use super::output::Output;
use super::settings;
use karat::signature::PrivateKey;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

pub(super) fn run(args: &args::Key, output: &Output) -> Result<u8, Failure> {
    match &args.command {
        KeyCommand::Generate { output: prefix } => generate(prefix, output),
        KeyCommand::Public { key } => {
            let key = settings::private_key(key)?;
            let pem =
                key.public_key().to_pem().map_err(|error| Failure::failed(error.to_string()))?;
            output.document(&pem);
            Ok(CODE_DONE)
        }
    }
}

fn generate(prefix: &Path, output: &Output) -> Result<u8, Failure> {
    let ending = |ending: &str| PathBuf::from(format!("{}.{ending}", prefix.display()));
    let (private, public) = (ending("key"), ending("pub"));
    for path in [&private, &public] {
        if path.symlink_metadata().is_ok() {
            return Err(Failure::usage(format!(
                "`{}` exists, and a key is never overwritten",
                path.display()
            ))
            .hint("choose another name with `--output PREFIX`"));
        }
    }
    let password = settings::password("Password for the new key: ", true)?;
    let failed = |error: karat::signature::Error| Failure::failed(error.to_string());
    let key = PrivateKey::generate().map_err(failed)?;
    let encrypted = key.to_encrypted_pem(password.as_bytes()).map_err(failed)?;
    let pem = key.public_key().to_pem().map_err(failed)?;
    write(&private, encrypted.as_bytes(), false)?;
    if let Err(failure) = write(&public, pem.as_bytes(), true) {
        // A private key whose public half was never seen is of no use.
        let _ = std::fs::remove_file(&private);
        return Err(failure);
    }
    output.tell(&format!(
        "wrote {} (private, keep it) and {} (public, hand it out)",
        private.display(),
        public.display()
    ));
    Ok(CODE_DONE)
}

/// Writes a file that must not exist, whole and onto the disk; the temporary file is for
/// its owner alone, and a private key stays so.
fn write(path: &Path, bytes: &[u8], readable: bool) -> Result<(), Failure> {
    let folder =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = NamedTempFile::with_prefix_in(".karat-", folder).and_then(|mut file| {
        file.write_all(bytes)?;
        if readable {
            karat::oci::layout::make_readable(file.as_file())?;
        }
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|error| error.error)
    });
    match written {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Failure::usage(format!(
            "`{}` exists, and a key is never overwritten",
            path.display()
        ))),
        Err(error) => {
            Err(Failure::failed(format!("`{}` cannot be written: {error}", path.display())))
        }
    }
}
