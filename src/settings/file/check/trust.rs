//! What a policy says of who may sign what, and of what is trusted no longer.

use super::super::schema;
use super::Check;
use crate::finding::diagnostic::{Diagnostic, Span};
use crate::oci::Digest;
use crate::settings::Requirement;
use crate::settings::days;
use crate::settings::trust::{
    ImagePattern, Keyless, REPO, Revocation, RevokedThing, Subject, TrustEntry, TrustedSigner,
};
use crate::signature::sigstore::anchored;
use crate::signature::{PublicKey, key};
use crate::strict_toml::{Spanned, read};

/// The most entries of either list.
const MOST: usize = 1000;

impl Check<'_> {
    /// Takes who may sign what.
    pub(super) fn trust(&mut self, written: Vec<Spanned<schema::Trust>>) {
        for (number, Spanned { value, span }) in written.into_iter().enumerate() {
            if number == MOST {
                return self.fault(span, format!("more than {MOST} entries"), "write patterns");
            }
            for (key, at) in [
                ("images", Some(&value.images.span)),
                ("statements", Some(&value.statements.span)),
                ("signer", value.key.as_ref().map(|one| &one.span)),
                ("signer", value.keyless.as_ref().map(|one| &one.span)),
                ("transparency-log", value.transparency_log.as_ref().map(|one| &one.span)),
                ("not-before", value.not_before.as_ref().map(|one| &one.span)),
                ("not-after", value.not_after.as_ref().map(|one| &one.span)),
            ] {
                if let Some(at) = at {
                    self.set(&format!("trust.{number}.{key}"), at);
                }
            }
            if let Some(entry) = self.trust_entry(value, &span) {
                self.policy.trust.push(entry);
            }
        }
    }

    fn trust_entry(&mut self, written: schema::Trust, span: &Span) -> Option<TrustEntry> {
        let images: Option<ImagePattern> = match written.images.value.parse() {
            Ok(images) => Some(images),
            Err(error) => {
                let hint =
                    "`HOST/REPO`, in which `{repo}` is one whole segment, and `**` only without it";
                self.fault(written.images.span.clone(), error.to_string(), hint);
                None
            }
        };
        let statements = self.requirements(&written.statements);
        if written.statements.value.is_empty() {
            let hint = "`[\"signature\", \"sbom\", \"provenance\"]`";
            self.fault(written.statements.span.clone(), "they may state nothing", hint);
        }
        let signer = match (written.key, written.keyless) {
            (Some(path), None) => self.key_file(&path).map(TrustedSigner::Key),
            (None, Some(keyless)) => {
                let binds = images.as_ref().is_some_and(ImagePattern::binds);
                self.keyless(keyless.value, binds).map(TrustedSigner::Keyless)
            }
            _ => {
                let message = "an entry names a `key` or a `keyless` identity, one of the two";
                self.fault(span.clone(), message, "`key = \"cosign.pub\"`");
                None
            }
        };
        let log_required = match written.transparency_log {
            None => true,
            Some(Spanned { value, span }) => match (value.as_str(), &signer) {
                ("required", _) => true,
                ("none", Some(TrustedSigner::Keyless(_))) => {
                    let message = "without a log nobody knows when an identity has signed";
                    self.fault(span, message, "`none` is for keys; take the line out");
                    true
                }
                ("none", _) => false,
                (other, _) => {
                    self.fault(span, format!("`{other}` is not known"), "`required` or `none`");
                    true
                }
            },
        };
        let mut day = |written: Option<Spanned<String>>| {
            written.and_then(|written| read(&written, &mut self.faults))
        };
        let (not_before, not_after) = (day(written.not_before), day(written.not_after));
        if let (Some(first), Some(last)) = (not_before, not_after)
            && last < first
        {
            self.fault(span.clone(), "it ends before it begins", "`not-before`, `not-after`");
        }
        let (images, signer) = (images?, signer?);
        Some(TrustEntry { images, statements, signer, log_required, not_before, not_after })
    }

    /// Takes how waivers are approved, and by whom.
    pub(super) fn approval(
        &mut self,
        approval: Option<Spanned<String>>,
        approvers: Option<Spanned<Vec<Spanned<schema::Approver>>>>,
    ) {
        let Some(Spanned { value, span }) = approval else {
            if let Some(list) = approvers.filter(|list| !list.value.is_empty()) {
                let message = "nothing asks for what approvers sign";
                self.fault(list.span, message, "`approval = \"signed\"`");
            }
            return;
        };
        let approvers = approvers.map(|list| (list.value, list.span));
        match (value.as_str(), approvers) {
            ("code-review", None) => {}
            ("code-review", Some((list, _))) if list.is_empty() => {}
            ("code-review", Some((_, at))) => {
                let message = "in a code review nobody signs";
                self.fault(at, message, "`approval = \"signed\"`, or no `approvers`");
            }
            ("signed", Some((list, at))) if !list.is_empty() && list.len() <= MOST => {
                self.set("waivers.approvers", &at);
                let signers = list.into_iter().filter_map(|one| self.approver(one)).collect();
                self.policy.waivers.approvers = Some(signers);
            }
            ("signed", _) => self.fault(
                span,
                format!("signed approvals need from 1 to {MOST} `approvers`"),
                "`approvers = [{ key = \"approver.pub\" }]`",
            ),
            (other, _) => self.fault(
                span,
                format!("`{other}` is no way to approve waivers"),
                "`code-review` or `signed`",
            ),
        }
    }

    fn approver(&mut self, written: Spanned<schema::Approver>) -> Option<TrustedSigner> {
        match (written.value.key, written.value.keyless) {
            (Some(path), None) => self.key_file(&path).map(TrustedSigner::Key),
            (None, Some(one)) => self.keyless(one.value, false).map(TrustedSigner::Keyless),
            _ => {
                let message = "an approver is a `key` or a `keyless` identity, one of the two";
                self.fault(written.span, message, "`{ key = \"approver.pub\" }`");
                None
            }
        }
    }

    /// Reads names of statements.
    fn requirements(&mut self, written: &Spanned<Vec<Spanned<String>>>) -> Vec<Requirement> {
        let mut found = Vec::new();
        for one in &written.value {
            match Requirement::ALL.iter().find(|known| known.to_string() == one.value) {
                Some(known) => found.push(*known),
                None => {
                    let all: Vec<_> =
                        Requirement::ALL.iter().map(|known| format!("`{known}`")).collect();
                    let message = format!("`{}` is no statement", one.value);
                    self.fault(one.span.clone(), message, all.join(", "));
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }

    fn key_file(&mut self, path: &Spanned<String>) -> Option<PublicKey> {
        let bytes = self.file(path, key::MAX_FILE)?;
        let key = String::from_utf8(bytes).map_err(|error| error.to_string());
        match key.and_then(|text| PublicKey::from_pem(&text).map_err(|error| error.to_string())) {
            Ok(key) => Some(key),
            Err(error) => {
                let message = format!("`{}` is no public key: {error}", path.value);
                self.fault(path.span.clone(), message, "a `cosign.pub`");
                None
            }
        }
    }

    fn keyless(&mut self, written: schema::Keyless, binds: bool) -> Option<Keyless> {
        let texts =
            [Some(&written.issuer), written.subject.as_ref(), written.subject_regexp.as_ref()];
        let further = [written.source_repository.as_ref(), written.source_ref_regexp.as_ref()];
        for one in texts.into_iter().chain(further).flatten() {
            if one.value.is_empty() {
                self.fault(one.span.clone(), "it says nothing", "take the key out, or say who");
            } else if one.value.contains(REPO) && !binds {
                let message = format!("`images` has no `{REPO}` that this one could be");
                self.fault(one.span.clone(), message, "`HOST/REPO/{repo}`");
            }
        }
        if written.issuer.value.contains(REPO) {
            self.fault(written.issuer.span.clone(), "an issuer is exact", "an address");
        }
        for one in [&written.subject_regexp, &written.source_ref_regexp].into_iter().flatten() {
            // With any name in it, it is an expression or it is none.
            if let Err(error) = anchored(&one.value.replace(REPO, "x")) {
                let message = format!("this is no regular expression: {error}");
                self.fault(one.span.clone(), message, "it must match the whole text");
            }
        }
        let subject = match (written.subject, written.subject_regexp) {
            (Some(exact), None) => Subject::Exact(exact.value),
            (None, Some(pattern)) => Subject::Regexp(pattern.value),
            _ => {
                let message = "an identity has a `subject` or a `subject-regexp`, one of the two";
                self.fault(written.issuer.span, message, "as the certificate has it");
                return None;
            }
        };
        Some(Keyless {
            issuer: written.issuer.value,
            subject,
            source_repository: written.source_repository.map(|one| one.value),
            source_ref_regexp: written.source_ref_regexp.map(|one| one.value),
        })
    }

    /// Takes what is trusted no longer.
    pub(super) fn revoked(&mut self, written: Vec<Spanned<schema::Revoked>>) {
        for (number, Spanned { value, span }) in written.into_iter().enumerate() {
            if number == MOST {
                return self.fault(span, format!("more than {MOST} entries"), "take old ones out");
            }
            self.set(&format!("revoked.{number}"), &span);
            let what = match (value.digest, value.key) {
                (Some(digest), None) => {
                    let digest: Option<Digest> = read(&digest, &mut self.faults);
                    digest.map(RevokedThing::Digest)
                }
                (None, Some(path)) => {
                    self.key_file(&path).map(|key| RevokedThing::Key(key.fingerprint()))
                }
                _ => {
                    let message = "what is revoked is a `digest` or a `key`, one of the two";
                    self.faults.push(Diagnostic::new(span, message));
                    None
                }
            };
            if value.reason.value.trim().is_empty() {
                self.fault(value.reason.span.clone(), "`reason` says something", "why");
            }
            let since = read(&value.since, &mut self.faults);
            if let (Some(what), Some(since)) = (what, since) {
                self.policy.revoked.push(Revocation { what, since, reason: value.reason.value });
            }
        }
    }

    /// Takes what is demanded of summaries.
    pub(super) fn verify(&mut self, written: Option<Spanned<schema::Verify>>) {
        let Some(age) = written.and_then(|written| written.value.vsa_max_age) else { return };
        match days(&age.value) {
            Some(days) => self.policy.verify.vsa_max_age = days,
            None => {
                let message = format!("`{}` is no age", age.value);
                self.fault(age.span.clone(), message, "a number of days: `90d`");
            }
        }
        self.set("verify.vsa-max-age", &age.span);
    }
}
