//! Collects components and keeps the bill within bounds, whatever the files claim.

use super::executable::Examined;
use super::{Bom, Completeness, Component, Gap, Id, Kind};
use crate::finding::escape;
use crate::oci::Digest;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// The most parts of executables in one bill.
const PARTS: usize = 300_000;
/// The most edges between parts of executables in one bill.
const EDGES: usize = 2_000_000;
/// The most bytes of their texts.
const TEXT: usize = 128 << 20;
/// The most gaps that are told one by one.
const GAPS: usize = 10_000;

/// Makes a [`Bom`].
#[derive(Debug, Default)]
pub(super) struct Builder {
    components: BTreeMap<Id, Component>,
    gaps: BTreeSet<Gap>,
    parts: usize,
    edges: usize,
    text: usize,
}

impl Builder {
    /// Notes that something could not be read. `path` is safe to show already.
    pub(super) fn gap(&mut self, path: String, what: &'static str, why: impl AsRef<str>) {
        if self.gaps.len() < GAPS {
            let why: String = escape::terminal(why.as_ref()).chars().take(500).collect();
            self.gaps.insert(Gap { path, what, why });
        } else {
            let why = format!("more than {GAPS} things could not be read");
            self.gaps.insert(Gap { path: "/".to_owned(), what: "further files", why });
        }
    }

    /// Adds a component; one that is there already keeps its facts and gets the edges.
    pub(super) fn add(&mut self, component: Component) {
        match self.components.entry(component.id.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(component);
            }
            Entry::Occupied(mut occupied) => {
                occupied.get_mut().contains.extend(component.contains);
                occupied.get_mut().depends_on.extend(component.depends_on);
            }
        }
    }

    /// Tells whether everything could be read so far.
    pub(super) fn is_without_gaps(&self) -> bool {
        self.gaps.is_empty()
    }

    /// Returns the ELF file of a hash.
    pub(super) fn executable(&self, sha256: &Digest) -> Option<Id> {
        let is = |one: &&Component| {
            let elf = matches!(one.kind, Kind::Executable | Kind::Library);
            elf && one.file.as_ref().is_some_and(|file| file.sha256 == *sha256)
        };
        self.components.values().find(is).map(|one| one.id.clone())
    }

    /// Returns a component.
    pub(super) fn get_mut(&mut self, id: &Id) -> Option<&mut Component> {
        self.components.get_mut(id)
    }

    /// Returns everything that a component leads to.
    pub(super) fn below(&self, id: &Id) -> BTreeSet<Id> {
        let mut found = BTreeSet::new();
        let mut next = vec![id];
        while let Some(one) = next.pop().and_then(|id| self.components.get(id)) {
            for part in one.contains.iter().chain(&one.depends_on) {
                if part != id && found.insert(part.clone()) {
                    next.push(part);
                }
            }
        }
        found
    }

    /// Says that a package, which was added before, holds a file.
    pub(super) fn owned(&mut self, package: &Id, file: &Id) {
        if let Some(package) = self.components.get_mut(package) {
            package.contains.insert(file.clone());
        }
    }

    /// Adds an ELF file and its parts; without the parts when they are too many.
    pub(super) fn add_examined(&mut self, examined: Examined) {
        let Examined { mut executable, parts, gaps } = examined;
        let path = executable.file.as_ref().map(|file| file.path.clone()).unwrap_or_default();
        for (what, why) in gaps {
            self.gap(path.clone(), what, why);
        }
        let fresh = || parts.iter().filter(|part| !self.components.contains_key(&part.id));
        let count = self.parts + fresh().count();
        let edges = self.edges + fresh().map(|part| part.depends_on.len()).sum::<usize>();
        let text = self.text + fresh().map(Component::weight).sum::<usize>();
        if count > PARTS || edges > EDGES || text > TEXT {
            self.gap(path, "the list of parts", "all lists of this image together are too long");
            executable.parts = Completeness::Unknown;
            executable.edges = Completeness::Unknown;
        } else {
            (self.parts, self.edges, self.text) = (count, edges, text);
            parts.into_iter().for_each(|part| self.add(part));
        }
        self.add(executable);
    }

    /// Ends the collection.
    pub(super) fn finish(self, completeness: Completeness, built: bool) -> Bom {
        let ids: BTreeSet<Id> = self.components.keys().cloned().collect();
        let mut components: Vec<Component> = self.components.into_values().collect();
        for component in &mut components {
            let id = component.id.clone();
            // Parts that were dropped leave edges behind.
            component.contains.retain(|other| *other != id && ids.contains(other));
            component.depends_on.retain(|other| *other != id && ids.contains(other));
        }
        components.sort_by(|a, b| {
            (a.kind, &a.name, &a.version, &a.id).cmp(&(b.kind, &b.name, &b.version, &b.id))
        });
        let below: BTreeSet<&Id> = components
            .iter()
            .flat_map(|component| component.contains.iter().chain(&component.depends_on))
            .collect();
        let roots = components
            .iter()
            .map(|component| &component.id)
            .filter(|id| !below.contains(id))
            .cloned()
            .collect();
        Bom { components, roots, gaps: self.gaps.into_iter().collect(), completeness, built }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bom::testing::content;
    use crate::bom::{Detail, Evidence, component};

    fn examined(path: &str, parts: usize, text: usize) -> Examined {
        let mut executable = component::of_file(
            Kind::Executable,
            path.as_bytes(),
            &content(path.as_bytes()),
            Detail::All,
        );
        executable.parts = Completeness::Complete;
        let part = |index: usize| {
            let name = format!("{path}-{index}{}", "x".repeat(text));
            Component::new(
                Id::of(Kind::Crate, &name, &[]),
                Kind::Crate,
                &name,
                Evidence::CargoAuditable,
            )
        };
        let parts: Vec<_> = (0..parts).map(part).collect();
        executable.depends_on = parts.iter().map(|part| part.id.clone()).collect();
        Examined { executable, parts, gaps: Vec::new() }
    }

    #[test]
    fn lists_that_are_too_long_are_a_gap_and_the_file_stays() {
        let mut builder = Builder::default();
        builder.add_examined(examined("a", 3, 0));
        builder.add_examined(examined("b", 1, TEXT));
        builder.add_examined(examined("c", 3, 0));
        let bom = builder.finish(Completeness::Complete, true);
        assert_eq!(bom.gaps.len(), 1);
        assert_eq!(bom.gaps[0].path, "/b");
        assert_eq!(bom.components.len(), 3 + 6);
        let b = bom.components.iter().find(|c| c.name == "b").unwrap();
        assert_eq!(b.parts, Completeness::Unknown);
        assert!(b.depends_on.is_empty());
    }

    #[test]
    fn gaps_are_bounded_and_safe() {
        let mut builder = Builder::default();
        for index in 0..GAPS + 5 {
            builder.gap(format!("/{index}"), "a thing", "\u{1b}[2J");
        }
        let bom = builder.finish(Completeness::Complete, true);
        assert_eq!(bom.gaps.len(), GAPS + 1);
        assert!(bom.gaps.iter().all(|gap| !gap.why.contains('\u{1b}')));
    }
}
