//! What a policy file must mean: every value read into its type, every fault gathered.

mod images;
mod sigstore;
mod trust;

use super::schema::{
    Advisories, Bases, Exception, File, Gate, Head, Level, Vulnerabilities, Waivers,
};
use crate::finding::diagnostic::{Diagnostic, Span};
use crate::finding::{Rule, Severity, rules};
use crate::settings::{Lowered, Policy, Requirement, RuleLevel, Verdict, days};
use crate::strict_toml::{Spanned, read, suggestion};
use std::collections::BTreeMap;

/// The edition of the rules that this version has.
const EDITION: u32 = 1;
/// The longest that a waiver may be allowed to hold, in days.
const MOST_DAYS: u32 = 366;
const SEVERITIES: &str = "`critical`, `high`, `medium`, `low` or `info`";

/// The bytes at which values are written, by their dotted keys.
type Places = BTreeMap<String, usize>;

struct Check<'a> {
    files: super::Files<'a>,
    faults: Vec<Diagnostic>,
    places: Places,
    policy: Policy,
}

/// Reads every value into its type, over those of the built-in policy.
pub(super) fn check(
    written: File,
    files: super::Files<'_>,
) -> Result<(Policy, Places), Vec<Diagnostic>> {
    let (faults, places) = (Vec::new(), Places::new());
    let mut check = Check { files, faults, places, policy: Policy::golden() };
    check.head(written.policy);
    check.waivers(written.waivers);
    check.gate(written.gate);
    check.registry(written.registry);
    check.profiles(written.profile);
    check.bases(written.bases);
    check.advisories(written.advisories);
    check.mirror(written.mirror);
    check.sigstore(written.sigstore);
    check.trust(written.trust);
    check.revoked(written.revoked);
    check.verify(written.verify);
    let tables = [
        ("[cache]", written.cache),
        ("[weights]", written.weights),
        ("[defaults]", written.defaults),
    ];
    for (name, table) in tables {
        check.later(name, table.map(|table| table.span));
    }
    if check.faults.is_empty() { Ok((check.policy, check.places)) } else { Err(check.faults) }
}

impl Check<'_> {
    fn fault(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.faults.push(Diagnostic::new(span, message).hint(hint));
    }

    /// Refuses what is not enforced yet.
    fn later(&mut self, name: &str, span: Option<Span>) {
        if let Some(span) = span {
            self.fault(
                span,
                format!("this version of karat does not enforce `{name}` yet"),
                "a policy is not obeyed in part: take it out, or use a later version",
            );
        }
    }

    fn set(&mut self, key: &str, span: &Span) {
        self.places.insert(key.to_owned(), span.start);
    }

    fn head(&mut self, head: Head) {
        let name = head.name;
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if !(1..=64).contains(&name.value.len()) || !name.value.bytes().all(plain) {
            let message = format!("`{}` is no name of a policy", name.value);
            self.fault(name.span.clone(), message, "lower-case letters, digits and `-`");
        }
        self.set("policy.name", &name.span);
        self.policy.name = name.value;
        if let Some(least) = head.karat_min {
            let version = env!("CARGO_PKG_VERSION");
            match (numbers(&least.value), numbers(version)) {
                (Some(wanted), Some(own)) if wanted > own => self.fault(
                    least.span,
                    format!("the policy needs karat {}, and this is {version}", least.value),
                    "use a later version",
                ),
                (Some(_), _) => {}
                (None, _) => self.fault(
                    least.span,
                    format!("`{}` is no version", least.value),
                    "numbers with dots: `0.1`",
                ),
            }
        }
        self.later("from", head.from.map(|from| from.span));
        self.later("signer", head.signer.map(|signer| signer.span));
    }

    fn gate(&mut self, gate: Gate) {
        if let Some(edition) = gate.edition {
            if edition.value == EDITION {
                self.set("gate.edition", &edition.span);
            } else {
                self.fault(
                    edition.span,
                    format!("there is no edition {} of the rules", edition.value),
                    format!("this version has edition {EDITION}"),
                );
            }
        }
        if let Some(list) = gate.fail_on {
            self.policy.gate.fail_on = self.fail_on(&list);
            self.set("gate.fail-on", &list.span);
        }
        if let Some(size) = gate.max_size {
            match bytes(&size.value) {
                Some(bytes) => self.policy.gate.max_size = bytes,
                None => self.fault(
                    size.span.clone(),
                    format!("`{}` is no size", size.value),
                    "a number of bytes, or one with `KiB`, `MiB` or `GiB`: `256MiB`",
                ),
            }
            self.set("gate.max-size", &size.span);
        }
        if let Some(list) = gate.require {
            self.require(&list);
        }
        if let Some(table) = gate.vulnerabilities {
            self.vulnerabilities(table.value);
        }
        for (id, level) in gate.rules {
            let span = level.span.clone();
            if let Some(level) = self.rule(&id, level) {
                self.set(&format!("gate.rules.{id}"), &span);
                self.policy.gate.rules.insert(id, level);
            }
        }
    }

    /// Reads the severities that reject: from the worst on, none left out.
    fn fail_on(&mut self, list: &Spanned<Vec<Spanned<String>>>) -> Vec<Severity> {
        let mut severities: Vec<Severity> =
            list.value.iter().filter_map(|one| self.severity(&one.value, &one.span)).collect();
        severities.sort_by(|a, b| b.cmp(a));
        severities.dedup();
        // What rejects at one severity rejects at every worse one.
        let worst =
            [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];
        if !severities.is_empty() && !worst.starts_with(&severities) {
            self.fault(
                list.span.clone(),
                "`fail-on` leaves out a severity that is worse than one it names",
                "list them from `critical` on",
            );
        } else if list.value.is_empty() {
            self.fault(
                list.span.clone(),
                "nothing would reject an image",
                "`[\"critical\", \"high\"]`",
            );
        }
        severities
    }

    fn vulnerabilities(&mut self, written: Vulnerabilities) {
        if let Some(list) = written.fail_on {
            self.policy.gate.vulnerabilities.fail_on = self.fail_on(&list);
            self.set("gate.vulnerabilities.fail-on", &list.span);
        }
        let verdicts =
            [("unknown-severity", written.unknown_severity), ("unfixed", written.unfixed)];
        for (key, written) in verdicts {
            let Some(written) = written else { continue };
            let verdict = match written.value.as_str() {
                "fail" => Verdict::Fail,
                "inform" => Verdict::Inform,
                other => {
                    let message = format!("`{other}` is nothing that a vulnerability does");
                    self.fault(written.span, message, "`fail` or `inform`");
                    continue;
                }
            };
            self.set(&format!("gate.vulnerabilities.{key}"), &written.span);
            let rules = &mut self.policy.gate.vulnerabilities;
            match key {
                "unfixed" => rules.unfixed = verdict,
                _ => rules.unknown_severity = verdict,
            }
        }
    }

    fn advisories(&mut self, written: Option<Spanned<Advisories>>) {
        let Some(Spanned { value, .. }) = written else { return };
        if let Some(database) = value.database {
            self.set("advisories.database", &database.span);
            self.policy.advisories.database = read(&database, &mut self.faults);
        }
        if let Some(age) = value.max_age {
            match days(&age.value) {
                Some(days) => self.policy.advisories.max_age = days,
                None => self.fault(
                    age.span.clone(),
                    format!("`{}` is no age", age.value),
                    "a number of days: `7d`",
                ),
            }
            self.set("advisories.max-age", &age.span);
        }
    }

    fn bases(&mut self, bases: Bases) {
        let Some(age) = bases.max_age else { return };
        match days(&age.value) {
            Some(days) => self.policy.bases.max_age = days,
            None => self.fault(
                age.span.clone(),
                format!("`{}` is no age", age.value),
                "a number of days: `90d`",
            ),
        }
        self.set("bases.max-age", &age.span);
    }

    fn require(&mut self, list: &Spanned<Vec<Spanned<String>>>) {
        // What nothing writes yet cannot be required.
        const ALL: [Requirement; 4] =
            [Requirement::Signature, Requirement::Sbom, Requirement::Provenance, Requirement::Vsa];
        let mut require = Vec::new();
        for one in &list.value {
            match Requirement::named(&one.value).filter(|known| ALL.contains(known)) {
                Some(known) => require.push(known),
                None => self.fault(
                    one.span.clone(),
                    format!("`{}` cannot be required", one.value),
                    "`signature`, `sbom`, `provenance` or `vsa`",
                ),
            }
        }
        if list.value.is_empty() {
            self.fault(
                list.span.clone(),
                "nothing would have to be signed",
                "`[\"signature\", \"sbom\", \"provenance\"]`",
            );
        }
        require.sort();
        require.dedup();
        self.set("gate.require", &list.span);
        self.policy.gate.require = require;
    }

    fn severity(&mut self, text: &str, span: &Span) -> Option<Severity> {
        let severity = text.parse().ok();
        if severity.is_none() {
            let message = format!("`{text}` is no severity");
            self.fault(span.clone(), message, SEVERITIES);
        }
        severity
    }

    fn rule(&mut self, id: &str, level: Spanned<Level>) -> Option<RuleLevel> {
        let Some(rule) = rules::find(id) else {
            let hint = match suggestion(id, rules::all().map(|rule| rule.id)) {
                Some(known) => format!("did you mean `{known}`?"),
                None => "`karat explain` lists all rules".to_owned(),
            };
            self.fault(level.span, format!("there is no rule `{id}`"), hint);
            return None;
        };
        let (text, exception) = match level.value {
            Level::Severity(text) => (text, None),
            Level::Exception(exception) => (exception.severity.clone(), Some(exception)),
        };
        let severity = match text.as_str() {
            "off" => None,
            _ => Some(self.severity(&text, &level.span)?),
        };
        let lowers = severity.is_none_or(|severity| severity < rule.severity);
        let exception = match (lowers, exception) {
            (false, _) => None,
            (true, _) if self.is_fixed(rule) => {
                self.fault(
                    level.span,
                    format!("the rule `{id}` cannot be waived, and so not be lowered either"),
                    "take the line out",
                );
                return None;
            }
            (true, None) => {
                self.fault(
                    level.span,
                    format!("this lowers the rule `{id}`, which is {}, without a reason", rule.severity),
                    format!("`{id} = {{ severity = \"{text}\", reason = \"…\", owner = \"…\", expires = \"YYYY-MM-DD\" }}`"),
                );
                return None;
            }
            (true, Some(exception)) => Some(self.exception(exception, &level.span)?),
        };
        Some(RuleLevel { severity, exception })
    }

    fn is_fixed(&self, rule: &Rule) -> bool {
        !rule.waivable || self.policy.waivers.forbid(rule.id)
    }

    fn exception(&mut self, written: Exception, span: &Span) -> Option<Lowered> {
        for (key, text) in [("reason", &written.reason), ("owner", &written.owner)] {
            if text.trim().is_empty() {
                self.fault(span.clone(), format!("`{key}` says something"), "who, and why");
            }
        }
        match written.expires.parse() {
            Ok(expires) => Some(Lowered { reason: written.reason, owner: written.owner, expires }),
            Err(error) => {
                self.faults.push(Diagnostic::new(span.clone(), format!("`expires`: {error}")));
                None
            }
        }
    }

    fn waivers(&mut self, waivers: Waivers) {
        if let Some(days) = waivers.max_days {
            if !(1..=MOST_DAYS).contains(&days.value) {
                self.fault(
                    days.span.clone(),
                    format!("a waiver cannot hold {} days", days.value),
                    format!("from 1 to {MOST_DAYS}"),
                );
            }
            self.set("waivers.max-days", &days.span);
            self.policy.waivers.max_days = days.value;
        }
        self.approval(waivers.approval, waivers.approvers);
        if let Some(list) = waivers.never {
            for one in &list.value {
                let start = one.value.strip_suffix('*');
                let known = match start {
                    Some(start) => !start.is_empty(),
                    None => rules::find(&one.value).is_some(),
                };
                if !known {
                    let hint = match suggestion(&one.value, rules::all().map(|rule| rule.id)) {
                        Some(known) if start.is_none() => format!("did you mean `{known}`?"),
                        _ => "a rule's id, or the start of one and `*`".to_owned(),
                    };
                    self.fault(one.span.clone(), format!("there is no rule `{}`", one.value), hint);
                }
            }
            self.set("waivers.never", &list.span);
            self.policy.waivers.never = list.value.into_iter().map(|one| one.value).collect();
        }
    }
}

/// Reads a version of up to three numbers.
fn numbers(version: &str) -> Option<[u32; 3]> {
    let mut numbers = [0; 3];
    let parts: Vec<_> = version.split('.').collect();
    if parts.len() > numbers.len() {
        return None;
    }
    for (number, part) in numbers.iter_mut().zip(parts) {
        *number = part.parse().ok()?;
    }
    Some(numbers)
}

/// Reads a number of bytes: `1000`, `64KiB`, `256MiB`, `1GiB`.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor = match text[digits.len()..].trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}
