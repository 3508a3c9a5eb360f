//! What a policy says of signatures: the root of trust.

use super::super::schema::Sigstore;
use super::Check;
use crate::settings::{self, TrustedRootFile};
use crate::signature::sigstore::{MAX_ROOT, TrustedRoot};
use crate::strict_toml::Spanned;

impl Check<'_> {
    /// Takes a private sigstore.
    pub(super) fn sigstore(&mut self, written: Option<Spanned<Sigstore>>) {
        let Some(Spanned { value, span }) = written else { return };
        self.later("signing-config", value.signing_config.map(|one| one.span));
        let Some(path) = value.trusted_root else {
            return self.fault(
                span,
                "`[sigstore]` names no root of trust",
                "`trusted-root = \"trusted_root.json\"`",
            );
        };
        self.set("sigstore.trusted-root", &path.span);
        let Some(bytes) = self.file(&path, MAX_ROOT) else { return };
        match TrustedRoot::parse(&bytes) {
            Ok(_) => {
                let trusted_root = TrustedRootFile::new(bytes);
                self.policy.sigstore = Some(settings::Sigstore { trusted_root });
            }
            Err(error) => self.fault(
                path.span,
                format!("`{}` is no root of trust: {error}", path.value),
                "a `trusted_root.json` of sigstore, as `cosign trusted-root create` writes one",
            ),
        }
    }

    /// Reads a file that the policy names.
    pub(super) fn file(&mut self, path: &Spanned<String>, limit: usize) -> Option<Vec<u8>> {
        let hint = "the path of a file in the policy's folder or below it";
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', ':']);
        if !path.value.split('/').all(plain) {
            let message = format!("`{}` is no path below the policy's folder", path.value);
            self.fault(path.span.clone(), message, hint);
            return None;
        }
        match (self.files)(&path.value, limit) {
            Ok(bytes) => Some(bytes),
            Err(why) => {
                let message = format!("`{}` cannot be read: {why}", path.value);
                self.fault(path.span.clone(), message, hint);
                None
            }
        }
    }
}
