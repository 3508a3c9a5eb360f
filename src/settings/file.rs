//! The policy file: strict, and read whole.
//!
//! Takes the text of a `karat-policy.toml`, gives the effective [`Policy`] with the origin
//! of each value, or every fault at once. What this version does not enforce yet is
//! refused in those words: half a policy is worse than none.

mod check;
pub mod schema;

use super::Policy;
use crate::finding::diagnostic::Diagnostics;
use crate::strict_toml;
use std::collections::BTreeMap;

/// Gives the bytes of a file that a policy names, at most so many, or says why not.
pub type Files<'a> = &'a dyn Fn(&str, usize) -> Result<Vec<u8>, String>;

/// A policy, and where its values are from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The effective policy.
    pub policy: Policy,
    /// The name of the file, as the user knows it; none for the built-in policy.
    pub file: Option<String>,
    /// The lines, from 1, of the values that the file sets, by their dotted keys. Every
    /// other value is built in.
    pub lines: BTreeMap<String, usize>,
}

impl Loaded {
    /// Returns the built-in policy.
    pub fn golden() -> Self {
        Self { policy: Policy::golden(), file: None, lines: BTreeMap::new() }
    }

    /// Reads a policy file. `file` is the name that messages show.
    ///
    /// # Errors
    /// Every fault of the text together: syntax, unknown keys, wrong types, values without a
    /// meaning, and what this version does not enforce.
    pub fn parse(file: &str, text: &str) -> Result<Self, Box<Diagnostics>> {
        Self::parse_beside(file, text, &|_, _| Err("no file is read here".to_owned()))
    }

    /// Reads a policy file that names others. `files` gives the bytes of a file by its path
    /// relative to the policy's folder, at most so many.
    ///
    /// # Errors
    /// As [`Loaded::parse`], and of each file that cannot be read or holds something else.
    pub fn parse_beside(
        file: &str,
        text: &str,
        files: Files<'_>,
    ) -> Result<Self, Box<Diagnostics>> {
        let diagnose = |faults| Box::new(Diagnostics::new(file, text, faults));
        let written = strict_toml::parse(text, schema::JSON).map_err(diagnose)?;
        let (policy, places) = check::check(written, files).map_err(diagnose)?;
        let line = |at: usize| text.get(..at).unwrap_or(text).matches('\n').count() + 1;
        let lines = places.into_iter().map(|(key, at)| (key, line(at))).collect();
        Ok(Self { policy, file: Some(file.to_owned()), lines })
    }
}

#[cfg(test)]
mod tests;
