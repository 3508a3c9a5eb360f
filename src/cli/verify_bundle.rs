//! `karat verify FILE|sha256:HEX --bundle FILE`.

use super::failure::Failure;
use super::output::Output;
use super::verify::{code, demanded, verdict};
use super::{args, settings};
use karat::archive::verified::HashingReader;
use karat::finding::escape;
use karat::oci::Digest;
use karat::signature::sigstore::{self, Content, Refusal, Verified};
use karat::trust::Trust;
use serde::Deserialize;
use serde_json::json;
use std::fs::File;
use std::io;
use std::path::Path;

/// The one field of a statement that is asked for here (in-toto, Statement v1).
#[derive(Deserialize)]
struct Statement {
    #[serde(rename = "predicateType")]
    predicate_type: String,
}

pub(super) fn run(args: &args::Verify, bundle: &Path, output: &Output) -> Result<u8, Failure> {
    let policy = settings::policy_here(&args.policy)?.policy;
    let signer = settings::signer(&args.signer)?;
    let root = settings::trusted_root(args.signer.trusted_root.as_deref(), &policy)?;
    let bundle = settings::file(bundle, "a bundle", karat::signature::bundle::MAX_SIZE)?;
    let artifact = artifact(&args.reference)?;
    let verified = sigstore::verify(&bundle, artifact.bytes(), &signer, &root);
    let predicate_type = match &verified {
        Ok(Verified { content: Content::Statement(statement), .. }) => {
            let statement: Result<Statement, _> = serde_json::from_slice(statement.as_bytes());
            statement.ok().map(|statement| statement.predicate_type)
        }
        _ => None,
    };
    let other =
        args.predicate_type.as_ref().filter(|wanted| predicate_type.as_ref() != Some(wanted));
    let refused = match (&verified, other) {
        (Err(refusal), _) => Some(refusal.to_string()),
        (Ok(_), Some(wanted)) => {
            let found = predicate_type.as_deref().map_or("the bytes of the file", |found| found);
            Some(format!("what is signed is {found}, and {wanted} is demanded"))
        }
        (Ok(_), None) => None,
    };
    let accepted = refused.is_none();
    if output.is_json() {
        let mut document = json!({
            "schema": "karat.bundle-verification/v1",
            "verdict": verdict(accepted),
            "artifact": artifact,
            "predicateType": predicate_type,
            "refused": refused,
        });
        match &verified {
            Ok(Verified { certified, logged, times, .. }) => {
                document["certified"] = json!(certified);
                document["logged"] = json!(logged);
                document["times"] = json!(times);
            }
            Err(Refusal { reason, .. }) => document["reason"] = json!(reason),
        }
        demanded(&mut document, &Trust::in_one(signer, root));
        output.json(&document);
        return Ok(code(accepted));
    }
    let shown = escape::terminal(&args.reference);
    output.result(&format!("{}  {shown}  {artifact}", verdict(accepted)));
    if let Some(refused) = refused {
        output.result(&format!("  refused  {}", escape::terminal(&refused)));
    } else if let Ok(verified) = verified {
        let signs = predicate_type.as_deref().unwrap_or("the bytes of the file");
        output.result(&format!("  signed   {}", escape::terminal(signs)));
        if let Some((identity, issuer)) = &verified.certified {
            let (identity, issuer) = (escape::terminal(identity), escape::terminal(issuer));
            output.result(&format!("  by       {identity} of {issuer}"));
        }
        let log = if verified.logged { "in a trusted log" } else { "not in a log" };
        output.result(&format!("  entry    {log}"));
    }
    Ok(code(accepted))
}

/// Returns the digest that a user names, or that of the file that a user names.
pub(super) fn artifact(named: &str) -> Result<Digest, Failure> {
    named.parse::<Digest>().or_else(|_| digest_of(Path::new(named)))
}

/// Hashes a file of any length.
fn digest_of(path: &Path) -> Result<Digest, Failure> {
    let read = |error: io::Error| {
        let message = format!("`{}` cannot be read: {error}", path.display());
        match error.kind() {
            io::ErrorKind::NotFound => {
                Failure::usage(message).hint("name a file, or its digest: `sha256:HEX`")
            }
            io::ErrorKind::InvalidInput => Failure::usage(message),
            _ => Failure::failed(message),
        }
    };
    if !path.metadata().map_err(read)?.is_file() {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
        return Err(read(error));
    }
    let mut reader = HashingReader::new(File::open(path).map_err(read)?);
    io::copy(&mut reader, &mut io::sink()).map_err(read)?;
    let (_, sha256, _) = reader.finish();
    Ok(Digest::from(sha256))
}
