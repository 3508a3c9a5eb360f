//! The gate's eyes: looks at every entry of every layer, and at the file system that
//! they make together.
//!
//! Takes an [`Image`] and [`Rules`], gives [`Inspected`]: the image and its findings,
//! inseparable. Decides nothing: whether a finding stops an image is the policy's.
//! Opens no path and unpacks nothing; every byte that it reads is hostile.

mod access;
mod ahead;
mod applets;
mod archive;
mod config;
mod entries;
#[cfg(test)]
mod every_rule;
mod executable;
mod family;
mod found;
mod hardening;
mod layers;
mod links;
mod loader;
mod lookalike;
mod multicall;
mod needles;
mod pass;
mod path;
mod places;
mod privilege;
mod recognise;
mod revision;
mod script;
mod secret;
mod structure;
mod writable;

use crate::binary::ReadAt as _;
use crate::binary::elf::View;
use crate::finding::report::RuleSet;
use crate::finding::{FileFacts, Finding, rules};
use crate::image::{Entry, Image, Kind, Layer, Origin, Tree};
use crate::oci::{DiffId, Digest, ImagePath, Platform, canonical};
use crate::store::Content;
use found::Found;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

pub use ahead::Ahead;

/// What an image is measured against, apart from the rules that hold for all.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// What the image runs on; none when its configuration names nothing that karat knows.
    pub platform: Option<Platform>,
    /// The executables that a recipe declares; none for images that nobody here has
    /// assembled. With a declaration, every other executable is refused.
    pub declared: Option<Vec<Declared>>,
    /// The commit that is checked out where the recipe is, in hexadecimal digits.
    pub commit: Option<String>,
}

/// An executable that a recipe declares.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Its path in the image, as the recipe writes it.
    pub path: ImagePath,
    /// What its bytes must say that it is: `go:…`, `cargo:…` or `note:…`.
    pub identity: Option<String>,
}

/// Something that was inspected, and what was found. Only this module makes one.
#[derive(Debug)]
pub struct Inspected<T> {
    subject: T,
    found: Vec<(Option<usize>, Finding)>,
}

impl<T> Inspected<T> {
    /// Returns what was inspected.
    pub fn subject(&self) -> &T {
        &self.subject
    }

    /// Splits into what was inspected and the findings, the worst first. `diff_ids` are
    /// the digests of the layers, for findings in layers that were not packed before.
    pub fn into_parts(self, diff_ids: &[DiffId]) -> (T, Vec<Finding>) {
        let place = |(layer, mut finding): (Option<usize>, Finding)| {
            finding.layer = layer.and_then(|layer| diff_ids.get(layer).copied());
            finding
        };
        let mut findings: Vec<_> = self.found.into_iter().map(place).collect();
        findings.sort_by(Finding::order);
        (self.subject, findings)
    }
}

/// Returns what images are inspected by: the rules and the table of programs.
pub fn rule_set() -> RuleSet {
    let mut hash = Vec::new();
    for rule in rules::all() {
        hash.extend_from_slice(&canonical::json(rule));
    }
    hash.extend_from_slice(recognise::table_digest().hex().as_bytes());
    RuleSet { version: rules::VERSION, digest: Digest::of(&hash) }
}

/// Reads the tables that inspecting needs. Worth a thread of its own while there is
/// nothing to inspect yet; not needed otherwise.
pub fn prepare() {
    recognise::prepare();
}

/// Inspects an image: each layer's entries, hidden ones too, then the whole. `ahead` is what
/// was seen of the files while the layers were read, if somebody looked.
pub fn image<'a>(image: &'a Image, rules: &Rules, ahead: &Ahead) -> Inspected<&'a Image> {
    let tree = image.tree();
    let mut look = Look::new(&tree, rules);
    look.ahead = Some(ahead);
    look.layers = image.layers.len();
    entries::check(&mut look, &image.layers);
    loader::check_orphans(&mut look);
    hardening::check_base(&mut look);
    multicall::check(&mut look);
    let runs = config::check(&mut look, image);
    writable::check(&mut look, &image.config, runs);
    places::check(&mut look, &image.layers, runs);
    links::check(&mut look, &image.layers);
    layers::check(&mut look, &image.layers);
    path::check_replaced(&mut look, &image.layers);
    if tree.went_too_far() {
        let message = "the links of the image lead too far to be followed";
        look.report(Finding::new(&rules::COULD_NOT_INSPECT, message));
    }
    Inspected { subject: image, found: look.gathered.found.finish() }
}

/// Inspects one layer as the whole file system of an image without a configuration.
pub fn layer(layer: &Layer) -> Inspected<&Layer> {
    let layers = std::slice::from_ref(layer);
    let tree = Tree::of(layers);
    let rules = Rules::default();
    let mut look = Look::new(&tree, &rules);
    look.layers = 1;
    entries::check(&mut look, layers);
    loader::check_orphans(&mut look);
    places::check(&mut look, layers, None);
    links::check(&mut look, layers);
    Inspected { subject: layer, found: look.gathered.found.finish() }
}

/// Inspects one file as if it were the only one of an image that has no base.
///
/// `name` stands for the path in findings. No platform is demanded.
pub fn file<'a>(name: &str, content: &'a Content) -> Inspected<&'a Content> {
    let entry = Entry {
        path: name.trim_start_matches('/').as_bytes().to_vec(),
        kind: Kind::File(content.clone()),
        mode: 0o555,
        uid: 0,
        gid: 0,
        mtime: 0,
        xattrs: Vec::new(),
    };
    let tree = Tree::default();
    let rules = Rules::default();
    let mut look = Look::new(&tree, &rules);
    look.lone(&entry, content);
    Inspected { subject: content, found: look.gathered.found.finish() }
}

/// What one inspection knows and has found.
struct Look<'a> {
    tree: &'a Tree<'a>,
    /// What was seen of files before.
    ahead: Option<&'a Ahead>,
    platform: Option<&'a Platform>,
    commit: Option<&'a str>,
    /// The declared executables by where their paths lead.
    declared: Option<Arc<BTreeMap<Vec<u8>, &'a Declared>>>,
    /// The number of layers.
    layers: usize,
    /// The number of the entry that is looked at, among those that are looked at together.
    number: usize,
    layer: Option<usize>,
    /// Where the layer that is looked at is from.
    origin: Origin,
    /// Whether a later layer hides what is looked at.
    hidden: bool,
    gathered: Gathered,
}

/// What looking at entries gathers.
#[derive(Default)]
struct Gathered {
    found: Found,
    /// What may still be unpacked.
    budget: archive::Budget,
    /// The dynamic loaders, and the loaders that programs name.
    loaders: loader::Loaders,
    /// What the programs of the base have.
    base_hardening: hardening::Base,
}

impl Gathered {
    /// Adds what others have gathered of different entries, and says whether that is what would
    /// have been gathered without them; if not, nothing is added.
    fn merge(&mut self, parts: Vec<Self>) -> bool {
        let budgets: Vec<_> = parts.iter().map(|part| &part.budget).collect();
        let Some(budget) = self.budget.without(&budgets) else { return false };
        let loaders = parts.iter().map(|part| &part.loaders);
        if !self.loaders.have_room_for(loaders) {
            return false;
        }
        self.budget = budget;
        let (mut found, mut loaders) = (Vec::new(), Vec::new());
        for part in parts {
            found.push(part.found);
            loaders.push(part.loaders);
            self.base_hardening.add(&part.base_hardening);
        }
        self.found.merge(found);
        self.loaders.add(loaders.into_iter());
        true
    }
}

impl<'a> Look<'a> {
    fn new(tree: &'a Tree<'a>, rules: &'a Rules) -> Self {
        let lead = |declared: &'a Declared| {
            let path = declared.path.relative().as_bytes();
            (tree.resolve(path).unwrap_or_else(|_| path.to_vec()), declared)
        };
        Self {
            tree,
            ahead: None,
            platform: rules.platform.as_ref(),
            commit: rules.commit.as_deref(),
            declared: rules
                .declared
                .as_ref()
                .map(|declared| Arc::new(declared.iter().map(lead).collect())),
            layers: 0,
            number: 0,
            layer: None,
            origin: Origin::Foreign,
            hidden: false,
            gathered: Gathered::default(),
        }
    }

    /// Returns somebody who looks at other entries of the same image and has found nothing yet.
    fn fork(&self) -> Self {
        let gathered = Gathered { budget: self.gathered.budget.fork(), ..Gathered::default() };
        Self { declared: self.declared.clone(), gathered, ..*self }
    }

    /// Says whether a later layer hides an entry. Deletions do not show and are not hidden.
    fn is_hidden(&self, entry: &Entry) -> bool {
        !self.tree.shows(entry) && !layers::is_deletion(entry)
    }

    /// Reads a file once and says what is in it, unless that was done while its layer was read.
    ///
    /// # Errors
    /// When the bytes cannot be read.
    fn scan(&self, content: &Content, view: Option<&View>) -> io::Result<recognise::Scan> {
        let seen = self.ahead.and_then(|ahead| ahead.pass(content.len(), || content.sha256()));
        recognise::scan(content, view, seen)
    }

    fn report(&mut self, mut finding: Finding) {
        if let Some(layer) = self.layer.filter(|_| self.hidden) {
            finding.evidence.push(format!(
                "it lies in layer {} of {}; a later layer hides it, and it can still be pulled",
                layer + 1,
                self.layers
            ));
        }
        self.gathered.found.add(self.number, self.layer, finding);
    }

    fn report_file(&mut self, entry: &Entry, content: &Content, mut finding: Finding) {
        finding.file = Some(FileFacts { sha256: content.sha256(), size: content.len() });
        self.report(finding.at(entry.shown()));
    }

    /// Looks at a file that is to be the program of an image.
    fn lone(&mut self, entry: &Entry, content: &Content) {
        path::check(self, entry, Origin::Foreign);
        let declared = Declared { path: ImagePath::root(), identity: None };
        self.content(entry, content, Some(Some(&declared)));
    }

    fn entry(&mut self, entry: &Entry) {
        path::check(self, entry, self.origin);
        privilege::check(self, entry);
        let Kind::File(content) = &entry.kind else { return };
        let declared = match (&self.declared, self.origin) {
            (Some(declared), Origin::Added) => Some(declared.get(&entry.path).copied()),
            _ => None,
        };
        // The same bytes are looked at again at every path: rules depend on where a file is,
        // and a waiver is for one path.
        self.content(entry, content, declared);
    }

    fn content(&mut self, entry: &Entry, content: &Content, declared: Option<Option<&Declared>>) {
        let checked = executable::check(self, entry, content, declared).and_then(|is_elf| {
            if is_elf {
                let declared = declared.is_some_and(|declared| declared.is_some());
                return revision::check(self, entry, content, declared);
            }
            script::check(self, entry, content, declared)?;
            structure::check(self, entry, content, declared)
        });
        if let Err(error) = checked {
            let finding = Finding::new(
                &rules::COULD_NOT_INSPECT,
                format!("the file cannot be read: {error}"),
            );
            self.report_file(entry, content, finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::found::MOST;
    use super::*;
    use crate::image::Layer;
    use crate::oci::document::Config;

    #[test]
    fn findings_beyond_the_most_are_counted_and_still_reject() {
        let link = |number: usize| Entry {
            path: format!("{number:06}").into_bytes(),
            kind: Kind::Symlink(b"../../nowhere".to_vec()),
            mode: 0o777,
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: Vec::new(),
        };
        let entries = (0..MOST + 7).map(link).collect();
        let layer = Layer { origin: Origin::Foreign, diff_id: None, entries };
        let (config, annotations) = (Config::default(), BTreeMap::new());
        let subject = Image { config, layers: vec![layer], annotations };
        let (_, found) = image(&subject, &Rules::default(), &Ahead::default()).into_parts(&[]);
        let of_rule: Vec<_> = found.iter().filter(|one| one.rule == &rules::LINK_ESCAPES).collect();
        assert_eq!(of_rule.len(), MOST + 1);
        let rest: Vec<_> = of_rule.iter().filter(|one| one.path.is_none()).collect();
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].message, "there are 7 more of this kind");
        assert_eq!(rest[0].severity, of_rule[1].severity);
    }
}
