//! What a policy says of single images: where they are published, and their profiles.

use super::super::schema::{Profile, Registry};
use super::Check;
use crate::finding::diagnostic::Span;
use crate::oci::RepositoryPattern;
use crate::oci::reference::is_hosted_repository;
use crate::settings;
use crate::strict_toml::{Spanned, read};
use crate::time::Date;
use std::collections::BTreeMap;

impl Check {
    pub(super) fn registry(&mut self, registry: Registry) {
        if let Some(publish) = registry.publish {
            if !is_hosted_repository(&publish.value) {
                self.fault(
                    publish.span.clone(),
                    format!("`{}` is no place in a registry", publish.value),
                    "`HOST/REPO`: `registry.internal.example/golden`",
                );
            }
            self.set("registry.publish", &publish.span);
            self.policy.registry = Some(settings::Registry { publish: publish.value });
        }
        for (name, value) in [
            ("staging", registry.staging),
            ("allow", registry.allow),
            ("storage-hosts", registry.storage_hosts),
            ("mirrors", registry.mirrors),
            ("allowlist-only", registry.allowlist_only),
            ("require-digest", registry.require_digest),
            ("immutable-tags", registry.immutable_tags),
        ] {
            self.later(name, value.map(|value| value.span));
        }
    }

    pub(super) fn profiles(&mut self, profiles: Vec<Spanned<Profile>>) {
        for (number, profile) in profiles.into_iter().enumerate() {
            let (span, profile) = (profile.span, profile.value);
            let key = |name: &str| format!("profile.{number}.{name}");
            let images: RepositoryPattern = match profile.images.value.parse() {
                Ok(images) => images,
                Err(error) => {
                    let hint = "`registry.internal.example/golden/jvm/**`";
                    self.fault(profile.images.span, format!("{error}"), hint);
                    continue;
                }
            };
            if self.policy.profile.iter().any(|other| other.images == images) {
                let message = format!("another profile is for `{images}`");
                self.fault(profile.images.span.clone(), message, "make one of the two");
            }
            self.set(&key("images"), &profile.images.span);
            let mut rules = BTreeMap::new();
            for (id, level) in profile.rules {
                let span = level.span.clone();
                if let Some(level) = self.rule(&id, level) {
                    self.set(&key(&format!("rules.{id}")), &span);
                    rules.insert(id, level);
                }
            }
            let report_until = self.report_until(profile.mode, profile.until, &span);
            if let Some((_, span)) = &report_until {
                self.set(&key("until"), span);
            }
            let report_until = report_until.map(|(day, _)| day);
            self.policy.profile.push(settings::Profile { images, rules, report_until });
        }
    }

    fn report_until(
        &mut self,
        mode: Option<Spanned<String>>,
        until: Option<Spanned<String>>,
        profile: &Span,
    ) -> Option<(Date, Span)> {
        let report = match mode.as_ref().map(|mode| mode.value.as_str()) {
            None | Some("enforce") => false,
            Some("report") => true,
            Some(other) => {
                let message = format!("`{other}` is no mode of a profile");
                let span = mode.map_or(profile.clone(), |mode| mode.span);
                self.fault(span, message, "`enforce` or `report`");
                return None;
            }
        };
        match (report, until) {
            (false, None) => None,
            (true, Some(until)) => {
                let day = read(&until, &mut self.faults)?;
                Some((day, until.span))
            }
            (true, None) => {
                let span = mode.map_or(profile.clone(), |mode| mode.span);
                self.fault(span, "`report` has an end", "`until = \"YYYY-MM-DD\"`");
                None
            }
            (false, Some(until)) => {
                let hint = "`mode = \"report\"`, or take the line out";
                self.fault(until.span, "`until` is the end of `report`", hint);
                None
            }
        }
    }
}
