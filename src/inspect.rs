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
#[cfg(test)]
mod every_rule;
mod executable;
mod family;
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
use crate::finding::{FileFacts, Finding, Severity, rules};
use crate::image::{Entry, Image, Kind, Layer, Origin, Tree};
use crate::oci::{DiffId, Digest, ImagePath, Platform, canonical};
use crate::store::Content;
use std::collections::BTreeMap;
use std::io;

pub use ahead::Ahead;

/// The most findings of one rule that are kept; the rest is counted. Each names a path, and
/// an image has half a million of these.
const MOST: usize = 1000;

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
    for (number, layer) in image.layers.iter().enumerate() {
        look.layer = Some(number);
        look.origin = layer.origin;
        for entry in &layer.entries {
            look.hidden = look.is_hidden(entry);
            look.entry(entry, layer.origin);
        }
    }
    look.layer = None;
    look.hidden = false;
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
    Inspected { subject: image, found: look.finish() }
}

/// Inspects one layer as the whole file system of an image without a configuration.
pub fn layer(layer: &Layer) -> Inspected<&Layer> {
    let layers = std::slice::from_ref(layer);
    let tree = Tree::of(layers);
    let rules = Rules::default();
    let mut look = Look::new(&tree, &rules);
    look.layers = 1;
    look.layer = Some(0);
    for entry in &layer.entries {
        look.entry(entry, layer.origin);
    }
    look.layer = None;
    loader::check_orphans(&mut look);
    places::check(&mut look, layers, None);
    links::check(&mut look, layers);
    Inspected { subject: layer, found: look.finish() }
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
    Inspected { subject: content, found: look.finish() }
}

/// What one inspection knows and has found.
struct Look<'a> {
    tree: &'a Tree<'a>,
    /// What was seen of files before.
    ahead: Option<&'a Ahead>,
    platform: Option<&'a Platform>,
    commit: Option<&'a str>,
    /// The declared executables by where their paths lead.
    declared: Option<BTreeMap<Vec<u8>, &'a Declared>>,
    layer: Option<usize>,
    /// Where the layer that is looked at is from.
    origin: Origin,
    /// The number of layers.
    layers: usize,
    /// Whether a later layer hides what is looked at.
    hidden: bool,
    found: Vec<(Option<usize>, Finding)>,
    /// How often each rule has found something, and the worst severity of what is not kept.
    counts: BTreeMap<&'static str, (usize, Option<Severity>)>,
    /// What may still be unpacked.
    budget: archive::Budget,
    /// The dynamic loaders, and the loaders that programs name.
    loaders: loader::Loaders,
    /// What the programs of the base have.
    base_hardening: hardening::Base,
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
            declared: rules.declared.as_ref().map(|declared| declared.iter().map(lead).collect()),
            layer: None,
            origin: Origin::Foreign,
            layers: 0,
            hidden: false,
            found: Vec::new(),
            counts: BTreeMap::new(),
            budget: archive::Budget::default(),
            loaders: loader::Loaders::default(),
            base_hardening: hardening::Base::default(),
        }
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
        let (count, worst) = self.counts.entry(finding.rule.id).or_default();
        *count += 1;
        if *count > MOST {
            *worst = (*worst).max(Some(finding.severity));
            return;
        }
        if let Some(layer) = self.layer.filter(|_| self.hidden) {
            finding.evidence.push(format!(
                "it lies in layer {} of {}; a later layer hides it, and it can still be pulled",
                layer + 1,
                self.layers
            ));
        }
        self.found.push((self.layer, finding));
    }

    /// Returns what was found. What was not kept is one finding a rule, which names no file,
    /// so that no waiver for a file takes it away.
    fn finish(mut self) -> Vec<(Option<usize>, Finding)> {
        for (id, (count, worst)) in &self.counts {
            if let Some((rule, worst)) = rules::find(id).zip(*worst) {
                let message = format!("there are {} more of this kind", count - MOST);
                let mut finding = Finding::new(rule, message);
                finding.severity = worst;
                self.found.push((None, finding));
            }
        }
        self.found
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

    fn entry(&mut self, entry: &Entry, origin: Origin) {
        path::check(self, entry, origin);
        privilege::check(self, entry);
        let Kind::File(content) = &entry.kind else { return };
        let declared = match (&self.declared, origin) {
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
