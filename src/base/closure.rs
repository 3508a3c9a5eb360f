//! Which packages a base is made of: those that are asked for, and what they depend on.

use super::debian::relation::{Alternative, Group};
use super::debian::{Offer, Version};
use super::definition::Packages;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The most packages of one base.
const MOST: usize = 2000;

/// What the suites offer, each package with the archive that has it.
#[derive(Debug, Default)]
pub struct Offers {
    newest: BTreeMap<String, (String, Offer)>,
}

/// A package that was chosen.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// What the archive says of it.
    pub offer: Offer,
    /// The archive.
    pub archive: String,
    /// The layer that it is part of.
    pub layer: String,
}

/// Why packages could not be chosen.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ClosureError {
    #[error("no suite has a package `{0}`")]
    Missing(String),
    #[error("`{0}` depends on `{1}`, which no suite has")]
    Unsatisfied(String, String),
    #[error("`{0}` depends on `{1}`, which several packages provide ({2}); list one of them")]
    Several(String, String, String),
    #[error("`{0}` depends on `{1}`, and {2} was chosen")]
    Version(String, String, String),
    #[error("`{0}` depends on what is no dependency: {1}")]
    Relation(String, String),
    #[error("more than {MOST} packages would be needed")]
    Many,
}

impl Offers {
    /// Takes an offer, if it is newer than what is known of its package.
    pub fn take(&mut self, archive: &str, offer: Offer) {
        match self.newest.get_mut(&offer.name) {
            Some((_, known)) if known.version >= offer.version => {}
            Some(known) => *known = (archive.to_owned(), offer),
            None => {
                self.newest.insert(offer.name.clone(), (archive.to_owned(), offer));
            }
        }
    }

    fn providers(&self, wanted: &Alternative) -> Vec<&str> {
        let provides = |(_, offer): &&(String, Offer)| provides(offer, wanted);
        self.newest.values().filter(provides).map(|(_, offer)| &offer.name[..]).collect()
    }
}

/// Says whether a package provides what an alternative names (Debian Policy, 7.5): without a
/// version it satisfies only what asks for none.
fn provides(offer: &Offer, wanted: &Alternative) -> bool {
    offer.may_provide(&wanted.name)
        && offer.provides().unwrap_or_default().iter().flat_map(|group| &group.0).any(|one| {
            let version: Option<&Version> = one.version.as_ref().map(|(_, version)| version);
            one.name == wanted.name && wanted.accepts(version)
        })
}

/// Chooses the packages of a definition, layer by layer; within a layer those that are asked
/// for first, then the others by name.
///
/// # Errors
/// When a package is missing, or a dependency cannot be satisfied in one way.
pub fn choose(definition: &Packages, offers: &Offers) -> Result<Vec<Chosen>, ClosureError> {
    let mut chosen: Vec<Chosen> = Vec::new();
    let asked: BTreeSet<&String> =
        definition.layers.iter().flat_map(|layer| &layer.packages).collect();
    let mut taken: BTreeSet<String> = asked.iter().map(|name| (*name).clone()).collect();
    for layer in &definition.layers {
        let mut queue: VecDeque<String> = layer.packages.iter().cloned().collect();
        let mut further: BTreeMap<String, Chosen> = BTreeMap::new();
        while let Some(name) = queue.pop_front() {
            let (archive, offer) =
                offers.newest.get(&name).ok_or_else(|| ClosureError::Missing(name.clone()))?;
            let one = Chosen {
                offer: offer.clone(),
                archive: archive.clone(),
                layer: layer.name.clone(),
            };
            match layer.packages.contains(&name) {
                true => chosen.push(one),
                false => drop(further.insert(name.clone(), one)),
            }
            if !layer.dependencies {
                continue;
            }
            let groups = offer
                .depends()
                .map_err(|error| ClosureError::Relation(name.clone(), error.to_string()))?;
            for group in groups {
                if let Some(next) = needed(&name, &group, offers, &taken)? {
                    if taken.len() == MOST {
                        return Err(ClosureError::Many);
                    }
                    taken.insert(next.clone());
                    queue.push_back(next);
                }
            }
        }
        chosen.extend(further.into_values());
    }
    Ok(chosen)
}

/// Returns the package that a dependency brings in; none when what is taken satisfies it.
fn needed(
    name: &str,
    group: &Group,
    offers: &Offers,
    taken: &BTreeSet<String>,
) -> Result<Option<String>, ClosureError> {
    let offered = |name: &str| offers.newest.get(name).map(|(_, offer)| offer);
    let fits = |one: &&Alternative| {
        offered(&one.name).is_some_and(|offer| one.accepts(Some(&offer.version)))
    };
    let is_taken = |one: &Alternative| {
        let provided =
            || taken.iter().filter_map(|name| offered(name)).any(|offer| provides(offer, one));
        fits(&one) && taken.contains(&one.name) || provided()
    };
    if group.0.iter().any(is_taken) {
        return Ok(None);
    }
    if let Some(real) = group.0.iter().find(fits) {
        return Ok(Some(real.name.clone()));
    }
    for one in &group.0 {
        match offers.providers(one)[..] {
            [] => {}
            [only] => return Ok(Some(only.to_owned())),
            ref several => {
                return Err(ClosureError::Several(
                    name.to_owned(),
                    group.to_string(),
                    several.iter().take(10).copied().collect::<Vec<_>>().join(", "),
                ));
            }
        }
    }
    match group.0.iter().find_map(|one| offered(&one.name)) {
        Some(other) => Err(ClosureError::Version(
            name.to_owned(),
            group.to_string(),
            format!("{} {}", other.name, other.version),
        )),
        None => Err(ClosureError::Unsatisfied(name.to_owned(), group.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::debian::index::testing::{offers, paragraph};
    use super::super::definition::Definition;
    use super::*;

    fn choose_of(layers: &str, index: &[String]) -> Result<Vec<String>, ClosureError> {
        let text = format!(
            "[base]\nkind = \"packages\"\nplatforms = [\"linux/amd64\"]\n[debian]\nrelease = \"1\"\nkeyring = \"k\"\n[[debian.suite]]\nname = \"s\"\n{layers}"
        );
        let definition = Definition::parse("b", "b.toml", &text).unwrap();
        let mut all = Offers::default();
        for offer in offers(&index.join("\n")) {
            all.take("debian", offer);
        }
        let chosen = choose(definition.packages().unwrap(), &all)?;
        Ok(chosen
            .iter()
            .map(|one| format!("{}/{} {}", one.layer, one.offer.name, one.offer.version))
            .collect())
    }

    const DEEP: &str = "[[layer]]\nname = \"l\"\npackages = [\"aa\"]\ndependencies = true\n";

    #[test]
    fn the_closure_is_taken_and_the_newest_wins() {
        let index = [
            paragraph("aa", "1", "Depends: cc (>= 1), xx | bb\nPre-Depends: virtual\n"),
            paragraph("aa", "2~rc", "Depends: missing\n"),
            paragraph("aa", "2", "Depends: cc (>= 1), xx | bb\nPre-Depends: virtual\n"),
            paragraph("bb", "1", "Depends: aa\n"),
            paragraph("cc", "1", ""),
            paragraph("dd", "1", "Provides: virtual\n"),
        ];
        assert_eq!(choose_of(DEEP, &index).unwrap(), ["l/aa 2", "l/bb 1", "l/cc 1", "l/dd 1"]);
        let plain = DEEP.replace("true", "false");
        assert_eq!(choose_of(&plain, &index).unwrap(), ["l/aa 2"]);
        let two = format!("[[layer]]\nname = \"k\"\npackages = [\"cc\"]\n{DEEP}");
        assert_eq!(choose_of(&two, &index).unwrap()[..2], ["k/cc 1", "l/aa 2"]);
    }

    #[test]
    fn what_cannot_be_satisfied_is_said() {
        let with = |depends: &str, more: &[String]| {
            let mut index = vec![paragraph("aa", "1", &format!("Depends: {depends}\n"))];
            index.extend_from_slice(more);
            choose_of(DEEP, &index).unwrap_err()
        };
        assert!(matches!(with("nobody", &[]), ClosureError::Unsatisfied(..)));
        assert!(matches!(
            with("bb (>= 2)", &[paragraph("bb", "1", "")]),
            ClosureError::Version(..)
        ));
        let both = [paragraph("bb", "1", "Provides: vv\n"), paragraph("cc", "1", "Provides: vv\n")];
        assert!(matches!(with("vv", &both), ClosureError::Several(..)));
        assert!(matches!(with("vv (>= 1)", &both[..1]), ClosureError::Unsatisfied(..)));
        assert!(matches!(with("(broken", &[]), ClosureError::Relation(..)));
        assert!(matches!(choose_of(DEEP, &[]), Err(ClosureError::Missing(_))));
    }
}
