//! The rules of the gate, one entry each, with everything that is to be said about them.
//!
//! The ids are public and permanent. The pages under `docs/rules/` are made from these
//! entries; a test fails while a rule lacks a part of its entry or its page.

/// Defines rules and the list of them.
macro_rules! rules {
    ($($(#[$doc:meta])+ $name:ident { $($field:ident: $value:expr),+ $(,)? })+) => {
        $($(#[$doc])+ pub static $name: super::super::Rule = super::super::Rule {
            $($field: $value,)+
            ..super::super::Rule::PLAIN
        };)+

        /// Every rule of this file, in order.
        pub(super) const ALL: &[&super::super::Rule] = &[$(&$name),+];
    };
}

mod archive;
mod config;
mod elf;
mod file;
mod image;
mod layer;
mod recognised;
mod secret;
mod source;
mod structure;
mod waiver;

use super::{Rule, Severity};
pub use archive::*;
pub use config::*;
pub use elf::*;
pub use file::*;
pub use image::*;
pub use layer::*;
pub use recognised::*;
pub use secret::*;
pub use source::*;
pub use structure::*;
pub use waiver::*;

/// The number of this rule set: raised whenever a rule is added, changed or removed.
pub const VERSION: u32 = 7;

/// Returns every rule, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    let families = [
        recognised::ALL,
        elf::ALL,
        structure::ALL,
        file::ALL,
        layer::ALL,
        archive::ALL,
        secret::ALL,
        config::ALL,
        source::ALL,
        image::ALL,
        waiver::ALL,
    ];
    families.into_iter().flatten().copied()
}

/// Says whether a finding of a rule means that something was not read, or can be read in more
/// than one way: no mode of a policy lets that pass.
pub fn is_about_reading(rule: &Rule) -> bool {
    *rule == COULD_NOT_INSPECT || archive::ALL.contains(&rule)
}

/// Returns the rules about executables and about what is recognised.
#[cfg(test)]
pub(crate) fn about_programs() -> impl Iterator<Item = &'static Rule> {
    [recognised::ALL, elf::ALL].into_iter().flatten().copied()
}

/// Returns the rule of an id.
pub fn find(id: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    #[test]
    fn every_rule_is_whole_and_alone() {
        let ids: BTreeSet<_> = all().map(|rule| rule.id).collect();
        assert_eq!(ids.len(), all().count());
        for rule in all() {
            assert!(rule.id.bytes().all(|c| c.is_ascii_lowercase() || c == b'-'), "{}", rule.id);
            for text in [rule.title, rule.rationale, rule.remedy, rule.bad, rule.good] {
                assert!(!text.trim().is_empty(), "{} is not whole", rule.id);
            }
        }
    }

    fn page(rule: &Rule) -> String {
        let waivable = if rule.waivable { "may be waived" } else { "cannot be waived" };
        let release = match rule.on_release {
            Some(severity) => format!(", {severity} on release"),
            None => String::new(),
        };
        format!(
            "# `{}`\n\n{}: {}{release}; {waivable}.\n\n{}\n\n- Refused: {}\n- Right: {}\n- What helps: {}\n",
            rule.id, rule.title, rule.severity, rule.rationale, rule.bad, rule.good, rule.remedy
        )
    }

    /// The pages that there must be, by their names.
    fn pages() -> BTreeMap<String, String> {
        let mut list = String::from(
            "# Rules\n\nMade from `src/finding/rules/`; `karat explain RULE` prints the same.\n\n",
        );
        let mut pages = BTreeMap::new();
        for rule in all() {
            list += &format!("- [`{0}`]({0}.md): {1}; {2}\n", rule.id, rule.title, rule.severity);
            pages.insert(format!("{}.md", rule.id), page(rule));
        }
        pages.insert("README.md".to_owned(), list);
        pages
    }

    #[test]
    fn every_rule_has_its_page_and_no_page_is_left_over() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules");
        let pages = pages();
        if std::env::var_os("KARAT_UPDATE_DOCS").is_some() {
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).unwrap();
            for (name, text) in &pages {
                std::fs::write(folder.join(name), text).unwrap();
            }
        }
        let there: BTreeMap<_, _> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                (name, std::fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        assert_eq!(there, pages, "run `KARAT_UPDATE_DOCS=1 cargo test --lib`");
    }
}
