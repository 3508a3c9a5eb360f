//! `karat policy`.

use super::args::{self, PolicyCommand};
use super::failure::{CODE_DONE, Failure};
use super::output::Output;
use super::settings;
use karat::finding::escape;
use karat::settings::RuleLevel;
use karat::settings::file::Loaded;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn run(args: &args::PolicyCommands, output: &Output) -> Result<u8, Failure> {
    let PolicyCommand::Show(args) = &args.command;
    let loaded = settings::policy_here(args)?;
    let values = values(&loaded);
    let policy = &loaded.policy;
    if output.is_json() {
        let value = |(key, value, line): &(String, Value, Option<usize>)| {
            let file = line.and(loaded.file.as_ref());
            json!({ "key": key, "value": value, "file": file, "line": line })
        };
        output.json(&json!({
            "schema": "karat.policy/v1",
            "name": policy.name,
            "digest": policy.digest(),
            "file": loaded.file,
            "values": values.iter().map(value).collect::<Vec<_>>(),
        }));
        return Ok(CODE_DONE);
    }
    output.result(&format!("policy {} {}\n", policy.name, policy.digest()));
    let file = loaded.file.as_deref().unwrap_or_default();
    let shown: Vec<_> = values
        .iter()
        .map(|(key, value, line)| (format!("{key} = {}", toml(value)), line))
        .collect();
    let width = shown.iter().map(|(text, _)| text.chars().count()).max().unwrap_or(0).min(60);
    for (text, line) in shown {
        let origin = match line {
            Some(line) => format!("{file}:{line}"),
            None => "built in".to_owned(),
        };
        output.result(&escape::terminal(&format!("{text:<width$}  # {origin}")));
    }
    Ok(CODE_DONE)
}

/// The values of a policy by their dotted keys, each with its line in the file.
fn values(loaded: &Loaded) -> Vec<(String, Value, Option<usize>)> {
    let policy = &loaded.policy;
    let mut values = vec![
        ("policy.name".to_owned(), json!(policy.name)),
        ("gate.edition".to_owned(), json!(policy.gate.edition)),
        ("gate.fail-on".to_owned(), json!(policy.gate.fail_on)),
        ("bases.max-age".to_owned(), json!(format!("{}d", policy.bases.max_age))),
        ("gate.max-size".to_owned(), json!(policy.gate.max_size)),
        ("gate.require".to_owned(), json!(policy.gate.require)),
    ];
    values.extend(levels("gate", &policy.gate.rules));
    values.push(("waivers.max-days".to_owned(), json!(policy.waivers.max_days)));
    values.push(("waivers.never".to_owned(), json!(policy.waivers.never)));
    if let Some(approvers) = &policy.waivers.approvers {
        values.push(("waivers.approvers".to_owned(), json!(approvers)));
    }
    if let Some(registry) = &policy.registry {
        let written = serde_json::to_value(registry).unwrap_or_default();
        for (key, value) in written.as_object().into_iter().flatten() {
            values.push((format!("registry.{key}"), value.clone()));
        }
    }
    if let Some(sigstore) = &policy.sigstore {
        values.push(("sigstore.trusted-root".to_owned(), json!(sigstore.trusted_root)));
    }
    for (number, entry) in policy.trust.iter().enumerate() {
        let mut written = serde_json::to_value(entry).unwrap_or_default();
        let images = written["images"].take();
        values.push((format!("trust.{number}.images"), images));
        for (key, value) in written.as_object().into_iter().flatten() {
            if !value.is_null() {
                values.push((format!("trust.{number}.{key}"), value.clone()));
            }
        }
    }
    for (number, revoked) in policy.revoked.iter().enumerate() {
        values.push((format!("revoked.{number}"), json!(revoked)));
    }
    values
        .push(("verify.vsa-max-age".to_owned(), json!(format!("{}d", policy.verify.vsa_max_age))));
    for (number, profile) in policy.profile.iter().enumerate() {
        let table = format!("profile.{number}");
        values.push((format!("{table}.images"), json!(profile.images)));
        values.extend(levels(&table, &profile.rules));
        if let Some(until) = profile.report_until {
            values.push((format!("{table}.until"), json!(until)));
        }
    }
    let place = |(key, value): (String, Value)| {
        let line = loaded.lines.get(&key).copied();
        (key, value, line)
    };
    values.into_iter().map(place).collect()
}

/// The severities that differ from the rules' own, by their dotted keys.
fn levels(table: &str, rules: &BTreeMap<String, RuleLevel>) -> Vec<(String, Value)> {
    let value = |(rule, level): (&String, &RuleLevel)| {
        let severity = level.severity.map_or_else(|| "off".to_owned(), |one| one.to_string());
        let value = match &level.exception {
            None => json!(severity),
            Some(lowered) => json!({
                "severity": severity,
                "reason": lowered.reason,
                "owner": lowered.owner,
                "expires": lowered.expires,
            }),
        };
        (format!("{table}.rules.{rule}"), value)
    };
    rules.iter().map(value).collect()
}

/// Writes a value as a policy file has it.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let pairs: Vec<_> =
                table.iter().map(|(key, value)| format!("{key} = {}", toml(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Array(list) => {
            format!("[{}]", list.iter().map(toml).collect::<Vec<_>>().join(", "))
        }
        plain => plain.to_string(),
    }
}
