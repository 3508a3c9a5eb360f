//! TOML that users write: every unknown key and wrong type of a text at once, with its place.
//!
//! Decoding into types stops at the first fault; a user who wrote five wants to see five.
//! So a text is compared with a JSON schema first, which is made from the types. Reads the
//! part of JSON Schema that the schemas of this project use: `type`, `properties`,
//! `required`, `additionalProperties`, `items`, `anyOf`, `$ref`.

use crate::finding::diagnostic::{Diagnostic, Span};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use std::fmt::Display;
use std::str::FromStr;
use toml::de::{DeTable, DeValue};

/// The most faults that are reported of one file.
const MAX_FAULTS: usize = 50;
/// The largest file that is read, in bytes.
const MAX_TEXT: usize = 1 << 20;
/// The deepest nesting that is followed; the TOML parser itself stops at a similar depth.
const MAX_DEPTH: usize = 64;

/// A value with its place in the text.
#[derive(Debug, Clone)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = toml::Spanned::<T>::deserialize(deserializer)?;
        let span = spanned.span();
        Ok(Self { value: spanned.into_inner(), span })
    }
}

#[cfg(test)]
impl<T: schemars::JsonSchema> schemars::JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// Reads a text into its types, of which `schema` is the JSON schema.
///
/// # Errors
/// The faults of syntax, if there are any; else every unknown key, wrong type and
/// missing key.
pub(crate) fn parse<T: DeserializeOwned>(text: &str, schema: &str) -> Result<T, Vec<Diagnostic>> {
    check(text, schema)?;
    toml::from_str(text)
        .map_err(|error| vec![Diagnostic::new(error.span().unwrap_or(0..0), error.message())])
}

/// Reads a value, and notes a fault when it has no meaning.
pub(crate) fn read<T: FromStr<Err: Display>>(
    written: &Spanned<String>,
    faults: &mut Vec<Diagnostic>,
) -> Option<T> {
    match written.value.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            faults.push(Diagnostic::new(written.span.clone(), error.to_string()));
            None
        }
    }
}

fn check(text: &str, schema: &str) -> Result<(), Vec<Diagnostic>> {
    if text.len() > MAX_TEXT {
        return Err(vec![Diagnostic::whole(format!("the file is longer than {MAX_TEXT} bytes"))]);
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let fault = |error: &toml::de::Error| {
            Diagnostic::new(
                error.span().unwrap_or(0..0),
                error.message().trim_end().replace('\n', "; "),
            )
            .label("not TOML")
        };
        return Err(errors.iter().take(MAX_FAULTS).map(fault).collect());
    }
    let schema: Json = match serde_json::from_str(schema) {
        Ok(schema) => schema,
        Err(error) => {
            return Err(vec![Diagnostic::whole(format!("the built-in schema is broken: {error}"))]);
        }
    };
    let mut walk = Walk { root: &schema, faults: Vec::new() };
    let header = table.span().start..table.span().start;
    if table.get_ref().is_empty() {
        walk.faults.push(Diagnostic::whole("the file is empty"));
    }
    walk.table(table.get_ref(), header, &schema, "the file", MAX_DEPTH);
    walk.faults.truncate(MAX_FAULTS);
    if walk.faults.is_empty() { Ok(()) } else { Err(walk.faults) }
}

struct Walk<'s> {
    root: &'s Json,
    faults: Vec<Diagnostic>,
}

impl<'s> Walk<'s> {
    fn resolve(&self, schema: &'s Json) -> &'s Json {
        match schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
            Some(pointer) => self.root.pointer(pointer).unwrap_or(schema),
            None => schema,
        }
    }

    fn value(
        &mut self,
        value: &toml::Spanned<DeValue<'_>>,
        schema: &'s Json,
        place: &str,
        depth: usize,
    ) {
        let schema = self.resolve(schema);
        if depth == 0 {
            return self.faults.push(Diagnostic::new(value.span(), "the nesting is too deep"));
        }
        // A schema that says nothing takes anything.
        if schema == &Json::Bool(true) || schema.as_object().is_some_and(|all| all.is_empty()) {
            return;
        }
        if let Some(choices) = schema["anyOf"].as_array() {
            let fits = |choice: &&Json| fits(value.get_ref(), self.resolve(choice));
            match choices.iter().find(fits) {
                Some(choice) => self.value(value, choice, place, depth - 1),
                None => {
                    let wanted: Vec<_> =
                        choices.iter().filter_map(|choice| kind(self.resolve(choice))).collect();
                    self.wrong_type(value, &wanted.join(" or "), place);
                }
            }
            return;
        }
        if !fits(value.get_ref(), schema) {
            return self.wrong_type(value, kind(schema).unwrap_or("another value"), place);
        }
        match value.get_ref() {
            DeValue::Table(table) => self.table(table, value.span(), schema, place, depth - 1),
            DeValue::Array(items) => {
                for item in items.iter() {
                    self.value(item, &schema["items"], place, depth - 1);
                }
            }
            _ => {}
        }
    }

    fn table(
        &mut self,
        table: &DeTable<'_>,
        span: Span,
        schema: &'s Json,
        place: &str,
        depth: usize,
    ) {
        let properties = &schema["properties"];
        let known = || properties.as_object().into_iter().flatten().map(|(name, _)| name);
        for (key, value) in table.iter() {
            let name = key.get_ref().as_ref();
            if let Some(property) = properties.get(name) {
                self.value(value, property, &format!("`{name}`"), depth);
            } else if let Some(any) =
                schema.get("additionalProperties").filter(|any| any.is_object())
            {
                self.value(value, any, &format!("`{name}`"), depth);
            } else {
                let fault = Diagnostic::new(key.span(), format!("unknown key `{name}` in {place}"));
                self.faults.push(match suggestion(name, known()) {
                    Some(known) => fault.hint(format!("did you mean `{known}`?")),
                    None => fault.hint(format!("known keys are {}", list(known()))),
                });
            }
        }
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str)
        {
            if !table.iter().any(|(key, _)| key.get_ref() == required) {
                let fault = Diagnostic::new(span.clone(), format!("{place} has no `{required}`"));
                let about =
                    properties.get(required).and_then(|property| property["description"].as_str());
                self.faults.push(match about {
                    Some(about) => {
                        fault.hint(format!("`{required}`: {}", about.replace('\n', " ")))
                    }
                    None => fault,
                });
            }
        }
    }

    fn wrong_type(&mut self, value: &toml::Spanned<DeValue<'_>>, wanted: &str, place: &str) {
        let found = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let fault = Diagnostic::new(value.span(), format!("{place} must be {wanted}, not {found}"));
        let bare = matches!(value.get_ref(), DeValue::Integer(_) | DeValue::Datetime(_));
        self.faults.push(if bare && wanted == "a string" {
            fault.hint("put it in quotes")
        } else {
            fault
        });
    }
}

fn types(schema: &Json) -> Vec<&str> {
    match &schema["type"] {
        Json::String(name) => vec![name],
        Json::Array(names) => names.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

fn fits(value: &DeValue<'_>, schema: &Json) -> bool {
    let types = types(schema);
    types.is_empty()
        || types.iter().any(|name| match *name {
            "string" => value.is_str(),
            "integer" => value.is_integer(),
            "number" => value.is_integer() || value.is_float(),
            "boolean" => value.is_bool(),
            "array" => value.is_array(),
            "object" => value.is_table(),
            _ => false,
        })
}

fn kind(schema: &Json) -> Option<&'static str> {
    types(schema).into_iter().find_map(|name| match name {
        "string" => Some("a string"),
        "integer" => Some("an integer"),
        "number" => Some("a number"),
        "boolean" => Some("true or false"),
        "array" => Some("a list"),
        "object" => Some("a table"),
        _ => None,
    })
}

fn list<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Returns the known name that a mistyped one most likely means.
pub fn suggestion<'a>(
    typed: &str,
    known: impl Iterator<Item = impl AsRef<str> + 'a>,
) -> Option<String> {
    let folded = typed.to_lowercase().replace('_', "-");
    known
        .map(|name| (strsim::jaro_winkler(&folded, name.as_ref()), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.as_ref().to_owned())
}

#[cfg(test)]
pub(crate) mod testing {
    /// Compares a schema in `schemas/` with the one that is made from the types, or writes it
    /// when `KARAT_UPDATE_SCHEMAS` is set.
    pub(crate) fn schema_is_made_from<T: schemars::JsonSchema>(name: &str) {
        let mut schema = schemars::schema_for!(T).to_value();
        schema["$id"] = format!("urn:karat:schema:{name}:v1").into();
        let made = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("schemas/{name}.schema.json"));
        if std::env::var_os("KARAT_UPDATE_SCHEMAS").is_some() {
            std::fs::write(&file, &made).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&file).unwrap(),
            made,
            "run `KARAT_UPDATE_SCHEMAS=1 cargo test schema` and review the difference"
        );
    }
}
