//! Programs that keep credentials: `docker-credential-NAME get`.
//!
//! Source: docker/docker-credential-helpers, README, "Development". What such a program prints
//! is never shown: some print the secret when they fail.

use super::credentials::{Credential, credential};
use serde::Deserialize;
use std::io::{self, Read, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a helper may take; it may ask a person.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(5);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 << 10;

/// Why a helper gave nothing.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum HelperError {
    #[error("the credential helper `{name}` cannot be run: {error}")]
    Run { name: String, error: io::Error },
    #[error("the credential helper `{name}` does not answer within {} s", PATIENCE.as_secs())]
    Slow { name: String },
    #[error("the credential helper `{name}` failed{}", code.map(|code| format!(" with exit code {code}")).unwrap_or_default())]
    Failed { name: String, code: Option<i32> },
    #[error("the answer of the credential helper `{name}` cannot be read")]
    Answer { name: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: Zeroizing<String>,
}

/// Asks a helper for what it keeps for a server. It gives nobody when it keeps nothing.
///
/// # Errors
/// When it cannot be run, takes too long, or fails otherwise.
pub fn get(name: &str, server: &str) -> Result<Credential, HelperError> {
    get_from(&format!("docker-credential-{name}"), name, server, PATIENCE)
}

fn get_from(
    program: &str,
    name: &str,
    server: &str,
    patience: Duration,
) -> Result<Credential, HelperError> {
    let run = |error| HelperError::Run { name: name.to_owned(), error };
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(run)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read has an answer of its own.
        let _ = stdin.write_all(server.as_bytes());
    }
    let mut stdout = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut text = Zeroizing::new(Vec::new());
        if let Some(stdout) = &mut stdout {
            let _ = stdout.take(MAX_ANSWER).read_to_end(&mut text);
        }
        text
    });
    let mut waited = Duration::ZERO;
    let status = loop {
        match child.try_wait().map_err(run)? {
            Some(status) => break status,
            None if waited >= patience => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(HelperError::Slow { name: name.to_owned() });
            }
            None => {
                std::thread::sleep(PAUSE);
                waited += PAUSE;
            }
        }
    };
    let text = reader.join().unwrap_or_default();
    if !status.success() {
        // The one thing that it says in words of the protocol.
        if text.trim_ascii().starts_with(b"credentials not found") {
            return Ok(Credential::Anonymous);
        }
        return Err(HelperError::Failed { name: name.to_owned(), code: status.code() });
    }
    let answer: Answer =
        serde_json::from_slice(&text).map_err(|_| HelperError::Answer { name: name.to_owned() })?;
    if answer.username.is_empty() && answer.secret.is_empty() {
        return Ok(Credential::Anonymous);
    }
    Ok(credential(&answer.username, &answer.secret))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn asked(script: &str) -> Result<Credential, HelperError> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("helper");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        // Another thread may have been forking while the file was open for writing.
        for _ in 0..50 {
            match get_from(
                &program.display().to_string(),
                "x",
                "reg.example",
                Duration::from_millis(500),
            ) {
                Err(HelperError::Run { error, .. })
                    if error.kind() == io::ErrorKind::ExecutableFileBusy =>
                {
                    std::thread::sleep(PAUSE);
                }
                other => return other,
            }
        }
        panic!("busy");
    }

    #[test]
    fn answers_are_read_and_failures_show_nothing() {
        let Ok(Credential::Password { user, password }) = asked(
            r#"read s; echo "{\"ServerURL\":\"$s\",\"Username\":\"$1-$s\",\"Secret\":\"p\"}""#,
        ) else {
            panic!("no password");
        };
        assert_eq!((&user[..], password.expose()), ("get-reg.example", "p"));
        assert!(matches!(
            asked("echo credentials not found in native keychain; exit 1"),
            Ok(Credential::Anonymous)
        ));
        for script in
            ["echo s3cr3t; exit 7", "echo s3cr3t >&2; exit 7", "echo s3cr3t", "exec sleep 5"]
        {
            let error = asked(script).err().expect("a failure").to_string();
            assert!(!error.contains("s3cr3t") && error.contains("`x`"), "{error}");
        }
    }
}
