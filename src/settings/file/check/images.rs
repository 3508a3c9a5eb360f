//! What a policy says of single images: where they are published, and their profiles.

use super::super::schema::{Mirror, Profile, Registry};
use super::Check;
use crate::finding::diagnostic::Span;
use crate::oci::RepositoryPattern;
use crate::oci::reference::{is_host, is_hosted_repository};
use crate::settings::{self, DriftState};
use crate::strict_toml::{Spanned, read};
use crate::time::Date;
use std::collections::BTreeMap;

impl Check<'_> {
    pub(super) fn registry(&mut self, written: Registry) {
        let publish = written.publish.and_then(|one| self.place("registry.publish", one));
        let staging = written.staging.and_then(|one| self.place("registry.staging", one));
        let mut registry = settings::Registry { publish, staging, ..Default::default() };
        if let Some(allow) = written.allow {
            self.set("registry.allow", &allow.span);
            let places = allow.value.into_iter();
            registry.allow = places.filter_map(|one| self.place("registry.allow", one)).collect();
        }
        registry.storage_hosts = self.hosts("registry.storage-hosts", written.storage_hosts);
        registry.auth_hosts = self.hosts("registry.auth-hosts", written.auth_hosts);
        if let Some(mirrors) = written.mirrors {
            for (from, to) in mirrors.value {
                let is_upstream = from.contains('.') && is_host(&from);
                if !is_upstream && !is_hosted_repository(&from) {
                    let message = format!("`{from}` is no host of a registry and no place in one");
                    self.fault(to.span.clone(), message, "`HOST` or `HOST/REPO`");
                }
                if let Some(to) = self.place("registry.mirrors", to) {
                    registry.mirrors.insert(from, to);
                }
            }
        }
        for (name, written, value) in [
            ("allowlist-only", written.allowlist_only, &mut registry.allowlist_only),
            ("require-digest", written.require_digest, &mut registry.require_digest),
            ("immutable-tags", written.immutable_tags, &mut registry.immutable_tags),
        ] {
            if let Some(written) = written {
                self.set(&format!("registry.{name}"), &written.span);
                *value = written.value;
            }
        }
        if registry != settings::Registry::default() {
            self.policy.registry = Some(registry);
        }
    }

    /// Takes what may be read from its makers, and which drift is refused.
    pub(super) fn mirror(&mut self, written: Option<Spanned<Mirror>>) {
        let Some(Spanned { value, .. }) = written else { return };
        if let Some(states) = value.fail_on_drift {
            self.set("mirror.fail-on-drift", &states.span);
            let mut refused = Vec::new();
            for one in states.value {
                match DriftState::of(&one.value) {
                    Some(state) => refused.push(state),
                    None => {
                        let known: Vec<_> =
                            DriftState::ALL.iter().map(|state| format!("`{state}`")).collect();
                        let message = format!("`{}` is no state of a mirror", one.value);
                        self.fault(one.span, message, known.join(", "));
                    }
                }
            }
            refused.sort_unstable();
            refused.dedup();
            self.policy.mirror.fail_on_drift = refused;
        }
        let Some(sources) = value.sources else { return };
        self.set("mirror.sources", &sources.span);
        for one in sources.value {
            if (one.value.contains('.') && is_host(&one.value)) || is_hosted_repository(&one.value)
            {
                self.policy.mirror.sources.push(one.value);
            } else {
                let message =
                    format!("`{}` is no host of a registry and no place in one", one.value);
                self.fault(one.span, message, "`HOST` or `HOST/REPO`");
            }
        }
    }

    /// Takes a place in a registry.
    fn place(&mut self, key: &str, written: Spanned<String>) -> Option<String> {
        self.set(key, &written.span);
        if is_hosted_repository(&written.value) {
            return Some(written.value);
        }
        let message = format!("`{}` is no place in a registry", written.value);
        self.fault(written.span, message, "`HOST/REPO`: `registry.internal.example/golden`");
        None
    }

    /// Takes hosts, whole ones only.
    fn hosts(&mut self, key: &str, written: Option<Spanned<Vec<Spanned<String>>>>) -> Vec<String> {
        let Some(written) = written else { return Vec::new() };
        self.set(key, &written.span);
        let mut hosts = Vec::new();
        for host in written.value {
            if is_host(&host.value) {
                hosts.push(host.value);
            } else {
                let message = format!("`{}` is no host", host.value);
                self.fault(
                    host.span,
                    message,
                    "`HOST` or `HOST:PORT`, in lower case, without patterns",
                );
            }
        }
        hosts
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
