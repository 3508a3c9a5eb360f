//! What one ELF file says of itself: the component of the file and of its parts.

use super::embedded as lists;
use super::{
    Completeness, Component, Detail, Evidence, Id, Kind, cargo, component, golang, purl, traces,
};
use crate::binary::banner::Banners;
use crate::binary::elf::{Linkage, View};
use crate::binary::language::{Language, language};
use crate::binary::{ReadAt as _, embedded, go, rust};
use crate::finding::escape;
use crate::oci::Digest;
use crate::store::Content;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The magic of an ELF file (gABI, chapter 4, "ELF Identification").
const MAGIC: &[u8] = b"\x7fELF";
/// The most bytes of a name or a version that is believed.
pub(super) const NAME: usize = 1024;
/// Why the packages of a Go program without modules are not known.
const NO_TABLE: &str = "its table of functions is not there, not whole, or too large";
/// The most characters of a fact.
const FACT: usize = 1024;

/// An ELF file, its parts, and what could not be read: what, and why.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) executable: Component,
    pub(super) parts: Vec<Component>,
    pub(super) gaps: Vec<(&'static str, String)>,
}

/// The parts that one list names.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The components.
    pub(super) components: Vec<Component>,
    /// The one that is the program itself.
    pub(super) main: Option<Id>,
    /// Those that nothing else in the list leads to.
    pub(super) loose: BTreeSet<Id>,
    /// How many entries were not believed.
    pub(super) refused: usize,
}

impl Parts {
    /// Adds a component unless its name or version is longer than any real one.
    pub(super) fn push(&mut self, component: Component) -> Option<Id> {
        let version = component.version.as_ref().map_or(0, String::len);
        if component.name.is_empty() || component.name.len() > NAME || version > NAME {
            self.refused += 1;
            return None;
        }
        let id = component.id.clone();
        self.components.push(component);
        Some(id)
    }

    /// Adds a component that nothing else in the list leads to.
    pub(super) fn push_loose(&mut self, component: Component) {
        let id = self.push(component);
        self.loose.extend(id);
    }
}

/// Reads an ELF file, recognised by its content; none when it is something else.
pub(super) fn examine(path: &[u8], content: &Content, detail: Detail) -> Option<Examined> {
    let mut magic = [0; 4];
    let floor = |kind| Examined {
        executable: component::of_file(kind, path, content, detail),
        parts: Vec::new(),
        gaps: Vec::new(),
    };
    match content.fill_at(0, &mut magic) {
        Ok(count) if magic.get(..count) == Some(MAGIC) => {}
        Ok(_) => return None,
        Err(error) => {
            let mut examined = floor(Kind::File);
            examined.gaps.push(("the file", error.to_string()));
            return Some(examined);
        }
    }
    let view = match View::read(content) {
        Ok(Some(view)) => view,
        Ok(None) => return None,
        Err(refusal) => {
            let mut examined = floor(Kind::Executable);
            examined.gaps.push(("the ELF header", refusal.to_string()));
            return Some(examined);
        }
    };
    let linkage = view.linkage();
    let library = matches!(linkage, Linkage::SharedLibrary | Linkage::NotLoadable);
    let mut examined = floor(if library { Kind::Library } else { Kind::Executable });
    examined.fact("linkage", &format!("{linkage:?}"));
    if let Some(dynamic) = view.dynamic.as_ref().filter(|dynamic| !dynamic.needed.is_empty()) {
        examined.fact("needed", &dynamic.needed.join(" "));
    }
    examined.read_lists(content, &view);
    examined.read_notes(content, &view);
    let has_list = examined.executable.language.is_some();
    if detail == Detail::All || detail == Detail::Software && !has_list {
        examined.read_traces(content, &view);
    }
    if examined.executable.language.is_none() {
        match language(&view, content) {
            Ok(found) => examined.executable.language = Some(found),
            Err(error) => examined.gaps.push(("the language", error.to_string())),
        }
    }
    Some(examined)
}

impl Examined {
    fn fact(&mut self, name: &'static str, value: &str) {
        let value: String = value.chars().take(FACT).collect();
        self.executable.facts.insert(name, value);
    }

    fn read_lists(&mut self, content: &Content, view: &View) {
        let mut broken = false;
        let sha256 = content.sha256();
        match rust::Dependencies::read(content, view) {
            Ok(Some(list)) => {
                let compiler = rust::rustc_version(content, view).ok().flatten();
                self.executable.language = Some(Language::Rust);
                self.adopt(cargo::parts(&sha256, &list, compiler.as_deref()));
                // What a static program has of its C library is in no list of crates.
                let static_c = matches!(view.linkage(), Linkage::Static | Linkage::StaticPie);
                self.known(if static_c {
                    Completeness::Incomplete
                } else {
                    Completeness::Complete
                });
            }
            Ok(None) => {}
            Err(error) => {
                broken = true;
                self.gaps.push(("the list of crates", error.to_string()));
            }
        }
        match go::BuildInfo::read(content, view) {
            Ok(Some(info)) => {
                self.executable.language = Some(Language::Go);
                for (name, value) in golang::facts(&info) {
                    self.fact(name, value);
                }
                let listed = info.main.is_some() || !info.deps.is_empty();
                let pure = info.setting("CGO_ENABLED") == Some("0");
                self.adopt(golang::parts(&sha256, &info));
                self.known(match listed && pure {
                    true => Completeness::Complete,
                    false => Completeness::Incomplete,
                });
            }
            Ok(None) => {}
            Err(error) => {
                broken = true;
                self.gaps.push(("the list of Go modules", error.to_string()));
            }
        }
        if self.executable.language.is_none() && !broken {
            broken = self.read_embedded(content, view);
        }
        if broken {
            self.known(Completeness::Unknown);
        }
    }

    /// Reads what the tools of managed languages list. Returns whether a list is there that
    /// cannot be read.
    fn read_embedded(&mut self, content: &Content, view: &View) -> bool {
        let sha256 = content.sha256();
        let found = [
            (
                "the embedded bill of materials",
                embedded::native_image(content, view),
                lists::native_image as fn(&Digest, &Value) -> Option<Parts>,
            ),
            ("the list of .NET libraries", embedded::dotnet(content), lists::dotnet),
        ];
        let mut broken = false;
        for (what, document, parts) in found {
            match document.map(|document| document.map(|one| parts(&sha256, &one))) {
                Ok(Some(Some(parts))) => {
                    self.adopt(parts);
                    // What is linked in beside it is in no such list.
                    self.known(Completeness::Incomplete);
                }
                Ok(Some(None)) => {
                    broken = true;
                    self.gaps.push((what, "it lists no components".to_owned()));
                }
                Ok(None) => {}
                Err(error) => {
                    broken = true;
                    self.gaps.push((what, error.to_string()));
                }
            }
        }
        broken
    }

    fn read_notes(&mut self, content: &Content, view: &View) {
        let notes = match view.notes(content) {
            Ok(notes) => notes,
            Err(error) => return self.gaps.push(("the notes", error.to_string())),
        };
        if let Some(id) = notes.build_id() {
            self.fact("build-id", &crate::oci::digest::hex(id));
        }
        if let Some(note) = notes.package() {
            match noted(&content.sha256(), &note) {
                Some(package) => {
                    let mut parts = Parts::default();
                    parts.main = parts.push(package);
                    self.adopt(parts);
                    // The note names what the file is, and nothing of what is linked into it.
                    if self.executable.parts == Completeness::Unknown && self.gaps.is_empty() {
                        self.executable.parts = Completeness::Incomplete;
                    }
                }
                None => self.gaps.push(("the package note", "it names no package".to_owned())),
            }
        }
    }

    /// Looks for what no list names: in a pure Go program that has its list, nothing but notices.
    fn read_traces(&mut self, content: &Content, view: &View) {
        let banners = match Banners::read(content) {
            Ok(banners) => banners,
            Err(error) => return self.gaps.push(("the banners of libraries", error.to_string())),
        };
        self.executable.copyright = traces::copyright(&banners);
        if self.executable.parts == Completeness::Complete {
            return;
        }
        let sha256 = content.sha256();
        let listed = |kind: Kind| self.parts.iter().any(|part| part.kind == kind);
        let mut found = vec![traces::libraries(&sha256, &banners.libraries)];
        if !listed(Kind::CrateRoot) && !listed(Kind::GoStandardLibrary) {
            let compiler = rust::rustc_version(content, view).ok().flatten();
            found.push(traces::crates(&sha256, &banners, compiler.as_deref()));
        }
        if listed(Kind::GoStandardLibrary) && !listed(Kind::GoModule) && !listed(Kind::GoMain) {
            match traces::go_packages(&sha256, content, view) {
                Some(packages) => found.push(packages),
                None => self.gaps.push(("the packages of a Go program", NO_TABLE.to_owned())),
            }
        }
        let some = found.iter().any(|parts| !parts.components.is_empty());
        found.into_iter().for_each(|parts| self.adopt(parts));
        // What was found by its looks is never all.
        if some && self.executable.parts == Completeness::Unknown {
            self.executable.parts = Completeness::Incomplete;
            self.executable.edges = Completeness::Incomplete;
        }
    }

    /// Takes parts over: the main one is in the file, loose ones are needed by it.
    fn adopt(&mut self, parts: Parts) {
        self.executable.contains.extend(parts.main);
        self.executable.depends_on.extend(parts.loose);
        self.parts.extend(parts.components);
        if parts.refused > 0 {
            let why = format!("{} entries have no name or one that is too long", parts.refused);
            self.gaps.push(("entries of a list of parts", why));
        }
    }

    /// Sets how much is known; of two lists the less complete one counts.
    fn known(&mut self, found: Completeness) {
        let refused =
            if self.gaps.is_empty() { found } else { found.max(Completeness::Incomplete) };
        let first = self.parts.is_empty() || self.executable.parts == Completeness::Unknown;
        self.executable.parts = if first { refused } else { self.executable.parts.max(refused) };
        // Shared libraries are in no list and no component stands for them yet.
        let shared = self.executable.facts.contains_key("needed");
        let least = if shared { Completeness::Incomplete } else { Completeness::Complete };
        self.executable.edges = self.executable.parts.max(least);
    }
}

/// Makes the component of a package note (UAPI specification "Package Metadata for
/// Executable Files", "Well-known keys"); none without a name.
fn noted(owner: &crate::oci::Digest, note: &Map<String, Value>) -> Option<Component> {
    let text = |key: &str| note.get(key).and_then(Value::as_str).unwrap_or_default();
    let (name, version, kind, os) = (text("name"), text("version"), text("type"), text("os"));
    let too_long = ["name", "version", "type", "os", "osVersion", "architecture"]
        .iter()
        .any(|key| text(key).len() > NAME);
    if name.is_empty() || too_long {
        return None;
    }
    let fields = ["type", "name", "version", "os", "osVersion", "architecture"];
    let mut hashed: Vec<&[u8]> = vec![owner.bytes()];
    hashed.extend(fields.iter().map(|key| text(key).as_bytes()));
    let id = Id::of(Kind::NotedPackage, name, &hashed);
    let mut package = Component::new(id, Kind::NotedPackage, name, Evidence::PackageNote);
    package.version = (!version.is_empty()).then(|| version.to_owned());
    let os = os.to_lowercase();
    let known = matches!(kind, "deb" | "rpm" | "apk" | "alpm") && !os.is_empty();
    let release = if os.is_empty() || text("osVersion").is_empty() {
        String::new()
    } else {
        format!("{os}-{}", text("osVersion"))
    };
    let qualifiers = [("arch", text("architecture")), ("distro", release.as_str())];
    package.purl = Some(match known {
        true => purl::build(kind, &os, name, version, &qualifiers),
        false => purl::build("generic", "", name, version, &qualifiers),
    });
    package.supplier = (!os.is_empty()).then(|| escape::terminal(text("os")));
    Some(package)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::elf::testing::Writer;
    use crate::bom::testing::{auditable, content, go_binary};
    use crate::bom::{self, Bom};

    fn bom(bytes: &[u8]) -> Bom {
        bom::file(b"bin/app", &content(bytes), Detail::All)
    }

    fn named<'a>(bom: &'a Bom, kind: Kind, name: &str) -> &'a Component {
        bom.components.iter().find(|c| c.kind == kind && c.name == name).unwrap()
    }

    #[test]
    fn a_static_rust_program_has_its_graph_and_an_unlisted_c_library() {
        let bom = bom(&auditable(
            r#"{"packages":[
                {"name":"app","version":"1.0.0","source":"local","root":true,"dependencies":[1,2,3]},
                {"name":"a","version":"0.1.0","source":"crates.io","dependencies":[3]},
                {"name":"b","version":"0.2.0","source":"crates.io","kind":"build"},
                {"name":"c","version":"0.3.0","source":"registry"}]}"#,
        ));
        let root = named(&bom, Kind::CrateRoot, "app");
        let (a, c) = (named(&bom, Kind::Crate, "a"), named(&bom, Kind::Crate, "c"));
        assert_eq!(root.purl, None);
        assert_eq!(a.purl.as_deref(), Some("pkg:cargo/a@0.1.0"));
        assert_eq!(c.purl, None);
        assert_eq!(a.depends_on, [c.id.clone()].into());
        // Its three dependencies and the standard library.
        assert_eq!(root.depends_on.len(), 4);
        assert!(root.depends_on.contains(&named(&bom, Kind::BuildCrate, "b").id));
        let app = named(&bom, Kind::Executable, "app");
        assert_eq!(app.contains, [root.id.clone()].into());
        assert_eq!(app.parts, Completeness::Incomplete);
        assert_eq!(root.edges, Completeness::Complete);
        assert_eq!(bom.roots, std::slice::from_ref(&app.id));
    }

    #[test]
    fn shared_libraries_are_dependencies_that_are_not_listed() {
        let go = go_binary("mod\ta.b/c\tv1.0.0\t\nbuild\tCGO_ENABLED=0\n");
        let app = |bytes: &[u8]| bom(bytes).executables().next().cloned().unwrap();
        assert_eq!(app(&go).edges, Completeness::Complete);
        let dynamic = app(&Writer::dynamic_pie().finish());
        assert_eq!(dynamic.facts["needed"], "libc.so.6");
        assert_eq!(dynamic.edges, Completeness::Unknown);
    }

    #[test]
    fn forged_lists_are_gaps() {
        let cyclic = auditable(
            r#"{"packages":[{"name":"r","version":"1.0.0","source":"local","root":true,"dependencies":[1]},
                {"name":"x","version":"1.0.0","source":"local","dependencies":[2]},
                {"name":"y","version":"1.0.0","source":"local","dependencies":[1]}]}"#,
        );
        let garbage = Writer::executable().section(".dep-v0", b"not zlib").finish();
        let go = go_binary("dep\tonly-one-column\n");
        for bytes in [cyclic, garbage, go, b"\x7fELF".to_vec(), b"\x7fELF\x02\x01\x01".to_vec()] {
            let bom = bom(&bytes);
            assert_eq!(bom.gaps.len(), 1, "{:?}", bom.gaps);
            assert_eq!(bom.components.len(), 1);
            assert_eq!(bom.components[0].parts, Completeness::Unknown);
        }
    }

    #[test]
    fn a_name_that_is_too_long_is_left_out_and_told() {
        let long = "x".repeat(NAME + 1);
        let bom = bom(&go_binary(&format!(
            "mod\texample.com/m\tv1.0.0\t\ndep\t{long}\tv1.0.0\th1:a=\nbuild\tCGO_ENABLED=0\n"
        )));
        assert_eq!(bom.gaps.len(), 1);
        assert_eq!(named(&bom, Kind::Executable, "app").parts, Completeness::Incomplete);
        assert!(!bom.components.iter().any(|component| component.name == long));
    }

    #[test]
    fn the_package_note_gives_a_package_url() {
        let note = br#"{"type":"deb","os":"debian","name":"systemd","version":"252.38-1~deb12u1","architecture":"amd64","osVersion":"12"}"#;
        let found = bom(&Writer::executable().note("FDO", 0xcafe_1a7e, note).finish());
        let package = named(&found, Kind::NotedPackage, "systemd");
        assert_eq!(
            package.purl.as_deref(),
            Some("pkg:deb/debian/systemd@252.38-1~deb12u1?arch=amd64&distro=debian-12")
        );
        let nameless = Writer::executable().note("FDO", 0xcafe_1a7e, br#"{"name":7}"#).finish();
        assert_eq!(bom(&nameless).gaps.len(), 1);
    }

    #[test]
    fn lists_of_managed_languages_give_their_libraries() {
        use crate::binary::embedded::testing::{bundle, exported, gzip};
        let packed = gzip(
            r#"{"bomFormat":"CycloneDX","specVersion":"1.4","components":[
                {"type":"library","group":"io.netty","name":"netty-codec-http2","version":"4.1.76.Final"},
                {"type":"library","name":"x","version":"1","purl":"pkg:maven/org.x/x@1","licenses":[{"license":{"id":"MIT"}}]}]}"#,
        );
        let java = bom(&exported(&packed, packed.len() as u64));
        let netty = named(&java, Kind::ToldLibrary, "io.netty/netty-codec-http2");
        assert_eq!(
            netty.purl.as_deref(),
            Some("pkg:maven/io.netty/netty-codec-http2@4.1.76.Final")
        );
        assert_eq!((netty.evidence.word(), netty.confidence), ("embedded-list", 90));
        let x = named(&java, Kind::ToldLibrary, "x");
        assert_eq!(
            (x.purl.as_deref(), x.licence.as_deref()),
            (Some("pkg:maven/org.x/x@1"), Some("MIT"))
        );
        assert_eq!(named(&java, Kind::Executable, "app").parts, Completeness::Incomplete);
        assert!(java.gaps.is_empty(), "{:?}", java.gaps);

        let dotnet = bom(&bundle(
            r#"{"runtimeTarget":{"name":".NETCoreApp,Version=v8.0/linux-x64"},
                "targets":{".NETCoreApp,Version=v8.0/linux-x64":{
                    "app/1.0.0":{"dependencies":{"Newtonsoft.Json":"13.0.1"}},"Newtonsoft.Json/13.0.1":{}}},
                "libraries":{"app/1.0.0":{"type":"project"},"Newtonsoft.Json/13.0.1":{"type":"package"},
                    "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.1":{"type":"runtimepack"}}}"#,
        ));
        let json = named(&dotnet, Kind::ToldLibrary, "Newtonsoft.Json");
        assert_eq!(json.purl.as_deref(), Some("pkg:nuget/Newtonsoft.Json@13.0.1"));
        let app = named(&dotnet, Kind::ToldLibrary, "app");
        assert_eq!((&app.purl, &app.depends_on), (&None, &[json.id.clone()].into()));
        let runtime = named(&dotnet, Kind::ToldLibrary, "Microsoft.NETCore.App.Runtime.linux-x64");
        assert_eq!(runtime.version.as_deref(), Some("8.0.1"));
        let program = dotnet.executables().next().unwrap();
        assert!(program.depends_on.contains(&app.id) && !program.depends_on.contains(&json.id));
        // What cannot be read is a gap, and the file is there all the same.
        for bytes in [exported(b"no gzip", 7), bundle("{}"), bundle("[")] {
            let bom = bom(&bytes);
            assert_eq!((bom.gaps.len(), bom.components.len()), (1, 1), "{:?}", bom.gaps);
        }
    }

    #[test]
    fn an_opaque_program_is_known_by_its_hash_only() {
        let bom = bom(&Writer::executable().finish());
        assert_eq!(bom.components.len(), 1);
        assert!(bom.gaps.is_empty());
        assert_eq!(bom.components[0].parts, Completeness::Unknown);
        assert_eq!(bom.components[0].language, Some(Language::Other));
    }
}
