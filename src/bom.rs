//! Bills of materials: what an image or an executable is made of, as far as its bytes say it.
//!
//! Takes an [`Image`] or one file, gives a [`Bom`]; [`spdx23`] and [`cyclonedx`] write it
//! down. Evidence is read apart from the writing: every form says the same. All that is read
//! is hostile: what cannot be believed is an entry in [`Bom::gaps`], never an error, and a
//! file that says nothing of its parts is still there with its hash.

mod apk;
mod builder;
mod cargo;
mod component;
pub mod cyclonedx;
mod debian;
mod document;
mod embedded;
mod executable;
mod golang;
pub mod licence;
mod listed;
mod owners;
mod sidecar;
pub mod spdx23;
pub mod spdx3;
mod subject;
mod traces;

pub use crate::oci::purl;
pub use component::{Archive, Completeness, Component, Evidence, File, Id, Kind, Source, sha512};
pub use listed::{Listed, Wanted};
pub use sidecar::Sidecar;
pub use subject::{About, Subject};

use crate::base::Package;
use crate::binary::banner::Banners;
use crate::image::tree::{Node, Unresolved};
use crate::image::{Image, Kind as EntryKind, Origin, Tree, shown};
use crate::store::Content;
use builder::Builder;
use owners::Owners;
use std::collections::BTreeSet;

/// What something is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bom {
    /// Everything that is known, ordered by kind, name, version and id.
    pub components: Vec<Component>,
    /// The components that are in no other one, in the order of `components`.
    pub roots: Vec<Id>,
    /// What is there and could not be read, in byte order.
    pub gaps: Vec<Gap>,
    /// Whether everything that the subject is made of is in a component.
    pub completeness: Completeness,
    /// Whether the bytes were put together by whoever asks; else they were found.
    pub built: bool,
}

/// Something that is there and could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// The path of the file, safe to show.
    pub path: String,
    /// What could not be read.
    pub what: &'static str,
    /// Why, safe to show.
    pub why: String,
}

impl Bom {
    /// Returns the component of an id.
    pub fn get(&self, id: &Id) -> Option<&Component> {
        self.components.iter().find(|component| component.id == *id)
    }

    /// Returns the copyright notices of everything in it, one a line; none unless those of
    /// every component that lies in it by itself are known.
    pub fn copyright(&self) -> Option<String> {
        let known = |id: &Id| self.get(id)?.copyright.as_deref();
        let texts: Option<Vec<&str>> = self.roots.iter().map(known).collect();
        let notices = |text: &&str| *text != traces::NO_NOTICE;
        let lines: BTreeSet<&str> =
            texts?.into_iter().filter(notices).flat_map(str::lines).collect();
        Some(match lines.is_empty() {
            true => traces::NO_NOTICE.to_owned(),
            false => lines.into_iter().collect::<Vec<_>>().join("\n"),
        })
    }

    /// Returns the ELF files.
    pub fn executables(&self) -> impl Iterator<Item = &Component> {
        self.components
            .iter()
            .filter(|component| matches!(component.kind, Kind::Executable | Kind::Library))
    }
}

/// Describes an image.
///
/// `packages` are the packages that the base's record names. Without a record they are read
/// out of `var/lib/dpkg/status.d/`, `var/lib/dpkg/status` and apk's database. The base's files
/// are described by its packages; of the other layers every ELF file is a component of its
/// own, in its package if one owns it, and so is every other file that no package owns.
pub fn of(image: &Image, packages: &[Package]) -> Bom {
    describe(image, packages, Detail::All)
}

/// Describes an image as [`of`] does, with documents that came with its executables.
pub fn with_sidecars(image: &Image, packages: &[Package], sidecars: &[Sidecar]) -> Bom {
    collect(image, packages, sidecars, Detail::All)
}

/// How much of the bytes is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Lists, notes and databases: what names packages.
    Lists,
    /// What advisories could be about: of programs without a list the crates too that their
    /// panics name.
    Software,
    /// Everything: further hashes, banners and notices, files that are in no package.
    All,
}

/// Describes an image as [`of`] does, in this detail.
pub fn describe(image: &Image, packages: &[Package], detail: Detail) -> Bom {
    collect(image, packages, &[], detail)
}

fn collect(image: &Image, packages: &[Package], sidecars: &[Sidecar], detail: Detail) -> Bom {
    let others = [Origin::Foreign, Origin::Upstream];
    let foreign = image.layers.iter().any(|layer| others.contains(&layer.origin));
    let tree = image.tree();
    let mut builder = Builder::default();
    let owners = match packages.is_empty() {
        true => debian::from_tree(&tree, detail, &mut builder),
        false => {
            debian::from_record(packages, &mut builder);
            Owners::default()
        }
    };
    for (path, node) in tree.iter().filter(|(_, node)| node.layer.origin != Origin::Base) {
        let content = match &node.entry.kind {
            EntryKind::File(content) => content,
            EntryKind::Hardlink(target) => match linked(&tree, node, target) {
                Ok(content) => content,
                Err(why) => {
                    builder.gap(shown(path), "a file under its other name", why);
                    continue;
                }
            },
            _ => continue,
        };
        let owner = match (owners.is_empty(), owners.of(path)) {
            (true, _) => Owner::Unasked,
            (false, None) => Owner::None,
            (false, Some(package)) => Owner::Package(package),
        };
        add_file(&mut builder, path, content, owner, detail);
    }
    for sidecar in sidecars {
        sidecar.merge(&mut builder);
    }
    // What could not be read of a foreign image may be anything.
    let complete = !foreign || detail == Detail::All && builder.is_without_gaps();
    let completeness = if complete { Completeness::Complete } else { Completeness::Incomplete };
    builder.finish(completeness, !foreign)
}

/// Whose a file is.
#[derive(Clone, Copy)]
enum Owner<'a> {
    /// No package manager keeps lists there.
    Unasked,
    /// No package has it in its list.
    None,
    /// This one has.
    Package(&'a Id),
}

/// Describes one file, which is the only root, by its bytes; `path` is what it is called.
pub fn file(path: &[u8], content: &Content, detail: Detail) -> Bom {
    let mut builder = Builder::default();
    add_file(
        &mut builder,
        path.strip_prefix(b"/").unwrap_or(path),
        content,
        Owner::Unasked,
        detail,
    );
    builder.finish(Completeness::Complete, false)
}

fn add_file(
    builder: &mut Builder,
    path: &[u8],
    content: &Content,
    owner: Owner<'_>,
    detail: Detail,
) {
    let unowned = |component: &mut Component| {
        if matches!(owner, Owner::None) {
            component.facts.insert("owner", "none".to_owned());
        }
    };
    match executable::examine(path, content, detail) {
        Some(mut examined) => {
            unowned(&mut examined.executable);
            if let Owner::Package(package) = owner {
                builder.owned(package, &examined.executable.id);
            }
            builder.add_examined(examined);
        }
        // Other files of packages are described by these.
        None if matches!(owner, Owner::Package(_)) => {}
        // What is no program names no package, and an image has half a million of these.
        None if detail != Detail::All => {}
        None => {
            let mut file = component::of_file(Kind::File, path, content, detail);
            let banners = Banners::read(content).ok();
            file.copyright = banners.and_then(|banners| traces::copyright(&banners));
            unowned(&mut file);
            builder.add(file);
        }
    }
}

fn linked<'a>(tree: &Tree<'a>, node: Node<'a>, target: &[u8]) -> Result<&'a Content, String> {
    let found = tree.file(target).map_err(|error: Unresolved| error.to_string())?;
    // The link means the file of its own layer.
    if !std::ptr::eq(found.layer, node.layer) {
        return Err(format!("`{}` is from another layer", shown(target)));
    }
    found.entry.content().ok_or_else(|| format!("`{}` is no regular file", shown(target)))
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use super::testing::{entry, go_binary, image, layer};
    use super::*;
    use crate::base;
    use crate::binary::elf::testing::Writer;

    #[test]
    fn a_recipe_image_lists_base_packages_and_every_added_file() {
        let base = base::Shelf::builtin()
            .resolve("static-debian13", &"linux/amd64".parse().unwrap())
            .unwrap();
        let image = image(vec![
            layer(Origin::Base, vec![entry("usr/lib/ignored", b"text")]),
            layer(
                Origin::Added,
                vec![
                    entry("usr/bin/app", &go_binary("mod\texample.com/app\tv1.0.0\t\n")),
                    entry("etc/app.conf", b"x = 1"),
                    // A file of the recipe's that looks like package data is data.
                    entry("var/lib/dpkg/status.d/fake", b"Package: fake\nVersion: 1\n"),
                ],
            ),
        ]);
        let bom = of(&image, &base.packages);
        let of_kind = |kind| bom.components.iter().filter(move |c| c.kind == kind);
        assert_eq!(of_kind(Kind::Package).count(), base.packages.len());
        assert_eq!(of_kind(Kind::OperatingSystem).count(), 1);
        assert_eq!(of_kind(Kind::Executable).count(), 1);
        assert_eq!(of_kind(Kind::File).count(), 2);
        assert_eq!(bom.completeness, Completeness::Complete);
        assert!(bom.built && bom.gaps.is_empty(), "{:?}", bom.gaps);
        // The system, the executable and the two files; everything else is below them.
        assert_eq!(bom.roots.len(), 4);
    }

    #[test]
    fn a_foreign_image_lists_every_file_and_says_what_could_not_be_read() {
        let mut link = entry("bin/other", b"");
        link.kind = EntryKind::Hardlink(b"bin/app".to_vec());
        let mut lost = entry("bin/lost", b"");
        lost.kind = EntryKind::Hardlink(b"bin/none".to_vec());
        let elf = Writer::executable().finish();
        let image = image(vec![layer(
            Origin::Foreign,
            vec![entry("bin/app", &elf), link, lost, entry("etc/x", b"data")],
        )]);
        let bom = of(&image, &[]);
        let paths: Vec<_> =
            bom.executables().filter_map(|c| Some(c.file.as_ref()?.path.as_str())).collect();
        assert_eq!(paths, ["/bin/app", "/bin/other"]);
        assert_eq!(bom.components.len(), 3);
        assert_eq!(bom.completeness, Completeness::Incomplete);
        assert_eq!(bom.gaps.len(), 1);
        assert_eq!(bom.gaps[0].path, "/bin/lost");
    }

    #[test]
    fn one_file_is_never_an_empty_bill() {
        let content = testing::content(b"no executable at all");
        let bom = file(b"/tmp/notes.txt", &content, Detail::All);
        assert_eq!(bom.roots.len(), 1);
        assert_eq!(bom.components[0].kind, Kind::File);
        assert_eq!(bom.components[0].file.as_ref().unwrap().sha256, content.sha256());
    }
}
