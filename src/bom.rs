//! Bills of materials: what an image or an executable is made of, as far as its bytes say it.
//!
//! Takes an [`Image`] or one file, gives a [`Bom`]; [`spdx23`] and [`cyclonedx`] write it
//! down. Evidence is read apart from the writing: every form says the same. All that is read
//! is hostile: what cannot be believed is an entry in [`Bom::gaps`], never an error, and a
//! file that says nothing of its parts is still there with its hash.

mod builder;
mod cargo;
mod component;
pub mod cyclonedx;
mod debian;
mod document;
mod executable;
mod golang;
pub mod purl;
pub mod spdx23;
mod subject;

pub use component::{Archive, Completeness, Component, Evidence, File, Id, Kind, Source};
pub use subject::{About, Subject};

use crate::base::Package;
use crate::image::tree::{Node, Unresolved};
use crate::image::{Image, Kind as EntryKind, Origin, Tree, shown};
use crate::store::Content;
use builder::Builder;

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
/// out of `var/lib/dpkg/status.d/` and `var/lib/dpkg/status`. The base's files are described
/// by its packages; of the other layers every ELF file is a component of its own, and of
/// those that were made from a recipe every other file too.
pub fn of(image: &Image, packages: &[Package]) -> Bom {
    let others = [Origin::Foreign, Origin::Upstream];
    let foreign = image.layers.iter().any(|layer| others.contains(&layer.origin));
    let tree = image.tree();
    let mut builder = Builder::default();
    if packages.is_empty() {
        debian::from_tree(&tree, &mut builder);
    } else {
        debian::from_record(packages, &mut builder);
    }
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
        add_file(&mut builder, path, content, node.layer.origin == Origin::Added);
    }
    // Of a foreign image the files that are not ELF are in no component.
    let completeness = if foreign { Completeness::Incomplete } else { Completeness::Complete };
    builder.finish(completeness, !foreign)
}

/// Describes one file, which is the only root, by its bytes; `path` is what it is called.
pub fn file(path: &[u8], content: &Content) -> Bom {
    let mut builder = Builder::default();
    add_file(&mut builder, path.strip_prefix(b"/").unwrap_or(path), content, true);
    builder.finish(Completeness::Complete, false)
}

fn add_file(builder: &mut Builder, path: &[u8], content: &Content, with_data: bool) {
    match executable::examine(path, content) {
        Some(examined) => builder.add_examined(examined),
        None if with_data => builder.add(component::of_file(Kind::File, path, content)),
        None => {}
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
mod testing;

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
    fn a_foreign_image_lists_elf_files_only_and_is_incomplete() {
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
        assert_eq!(bom.components.len(), 2);
        assert_eq!(bom.completeness, Completeness::Incomplete);
        assert_eq!(bom.gaps.len(), 1);
        assert_eq!(bom.gaps[0].path, "/bin/lost");
    }

    #[test]
    fn one_file_is_never_an_empty_bill() {
        let content = testing::content(b"no executable at all");
        let bom = file(b"/tmp/notes.txt", &content);
        assert_eq!(bom.roots.len(), 1);
        assert_eq!(bom.components[0].kind, Kind::File);
        assert_eq!(bom.components[0].file.as_ref().unwrap().sha256, content.sha256());
    }
}
