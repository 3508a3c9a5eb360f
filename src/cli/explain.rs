//! `karat explain` and `karat schema`.

use super::args::{self, SchemaKind};
use super::failure::{CODE_DONE, Failure};
use super::output::Output;
use karat::finding::{Rule, rules};
use karat::strict_toml::suggestion;
use karat::{recipe, settings};
use serde_json::json;

pub(super) fn run(args: &args::Explain, output: &Output) -> Result<u8, Failure> {
    let Some(id) = &args.rule else {
        if output.is_json() {
            output.json(&json!(rules::all().map(document).collect::<Vec<_>>()));
        } else {
            for rule in rules::all() {
                output.result(&format!("{:<24} {:<8} {}", rule.id, rule.severity, rule.title));
            }
        }
        return Ok(CODE_DONE);
    };
    let Some(rule) = rules::find(id) else {
        let failure = Failure::usage(format!("there is no rule `{id}`"));
        let ids = rules::all().map(|rule| rule.id);
        return Err(match suggestion(id, ids) {
            Some(known) => failure.hint(format!("did you mean `{known}`?")),
            None => failure.hint("`karat explain` lists them all"),
        });
    };
    if output.is_json() {
        output.json(&document(rule));
        return Ok(CODE_DONE);
    }
    let waivable = if rule.waivable { "may be waived" } else { "cannot be waived" };
    output.result(&format!("{}: {}\n{}, {waivable}\n", rule.id, rule.title, rule.severity));
    output.result(&format!(
        "{}\n\n  refused:    {}\n  right:      {}\n  what helps: {}",
        rule.rationale, rule.bad, rule.good, rule.remedy
    ));
    Ok(CODE_DONE)
}

fn document(rule: &Rule) -> serde_json::Value {
    json!({
        "id": rule.id,
        "title": rule.title,
        "severity": rule.severity,
        "rationale": rule.rationale,
        "remedy": rule.remedy,
        "bad": rule.bad,
        "good": rule.good,
        "waivable": rule.waivable,
    })
}

pub(super) fn schema(args: &args::Schema, output: &Output) -> Result<u8, Failure> {
    match args.kind {
        SchemaKind::Recipe => output.document(recipe::schema::JSON),
        SchemaKind::Base => output.document(karat::base::definition::schema::JSON),
        SchemaKind::BaseLock => output.document(karat::base::lock::schema::JSON),
        SchemaKind::Site => output.document(karat::site::schema::JSON),
        SchemaKind::Policy => output.document(settings::file::schema::JSON),
        SchemaKind::Waivers => output.document(karat::waiver::schema::JSON),
    }
    Ok(CODE_DONE)
}
