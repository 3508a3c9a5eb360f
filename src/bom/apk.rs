//! The packages of an Alpine system as components, out of apk's database in an image.
//!
//! Source: Alpine, "APKINDEX format" and "Apk spec": the installed database is of the same
//! form, with the files of each package.

use super::builder::Builder;
use super::executable::NAME;
use super::owners::Owners;
use super::{Completeness, Component, Evidence, Id, Kind, Source, licence, purl};
use crate::binary::ReadAt as _;
use crate::image::{Tree, shown};

/// Where the database is, now and before.
const PLACES: [&[u8]; 2] = [b"usr/lib/apk/db/installed", b"lib/apk/db/installed"];
/// The longest database that is read, in bytes.
const FILE: u64 = 64 << 20;
/// The most packages of one image.
const PACKAGES: usize = 20_000;

/// One package, as far as it is read.
#[derive(Debug, Default)]
struct Package<'a> {
    name: &'a [u8],
    version: &'a [u8],
    architecture: &'a [u8],
    licence: &'a [u8],
    origin: &'a [u8],
    /// Folders and the names in them.
    files: Vec<(&'a [u8], &'a [u8])>,
}

/// Returns the packages of apk's database in the merged tree, and notes whose files are whose;
/// none without a database. `system` is name and release of the distribution.
pub(super) fn from_tree(
    tree: &Tree<'_>,
    system: (&str, &str),
    owners: &mut Owners,
    builder: &mut Builder,
) -> Option<(Vec<Component>, Completeness)> {
    let (path, node) = PLACES.iter().find_map(|path| Some((*path, tree.file(path).ok()?)))?;
    let content = node.entry.content()?;
    let mut gap = |why: String| builder.gap(shown(path), "the package database", why);
    if content.len() > FILE {
        gap(format!("it is longer than {FILE} bytes"));
        return Some((Vec::new(), Completeness::Unknown));
    }
    let bytes = match content.read_vec(0, FILE as usize) {
        Ok(bytes) => bytes,
        Err(error) => {
            gap(error.to_string());
            return Some((Vec::new(), Completeness::Unknown));
        }
    };
    let mut components = Vec::new();
    let mut complete = Completeness::Complete;
    for package in packages(&bytes) {
        match component(&package, system) {
            Ok(_) if components.len() >= PACKAGES => {
                gap(format!("more than {PACKAGES} packages"));
                complete = Completeness::Incomplete;
                break;
            }
            Ok(component) => {
                for (folder, name) in &package.files {
                    owners.add(tree, &[folder, &b"/"[..], name].concat(), &component.id);
                }
                components.push(component);
            }
            Err(why) => {
                gap(why);
                complete = Completeness::Incomplete;
            }
        }
    }
    Some((components, complete))
}

/// Splits the database at its empty lines.
fn packages(bytes: &[u8]) -> impl Iterator<Item = Package<'_>> {
    let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
    std::iter::from_fn(move || {
        while lines.next_if(|line| line.trim_ascii().is_empty()).is_some() {}
        lines.peek()?;
        let mut package = Package::default();
        let mut folder: &[u8] = b"";
        while let Some(line) = lines.next_if(|line| !line.trim_ascii().is_empty()) {
            let Some((key, value)) = line.split_at_checked(2) else { continue };
            let value = value.trim_ascii();
            match key {
                b"P:" => package.name = value,
                b"V:" => package.version = value,
                b"A:" => package.architecture = value,
                b"L:" => package.licence = value,
                b"o:" => package.origin = value,
                b"F:" => folder = value,
                b"R:" => package.files.push((folder, value)),
                _ => {}
            }
        }
        Some(package)
    })
}

fn component(package: &Package<'_>, (system, release): (&str, &str)) -> Result<Component, String> {
    let text = |bytes: &[u8]| -> Result<String, String> {
        match bytes.len() <= NAME {
            true => Ok(String::from_utf8_lossy(bytes).into_owned()),
            false => Err(format!("a field of a package is longer than {NAME} bytes")),
        }
    };
    let (name, version) = (text(package.name)?, text(package.version)?);
    let (architecture, origin) = (text(package.architecture)?, text(package.origin)?);
    if name.is_empty() || version.is_empty() {
        return Err("a package has no name or no version".to_owned());
    }
    let fields = [package.version, package.architecture, package.origin];
    let id = Id::of(Kind::Package, &name, &fields);
    let mut component = Component::new(id, Kind::Package, &name, Evidence::ApkDatabase);
    let namespace = if system.is_empty() { "alpine" } else { system };
    let distro = match (system.is_empty(), release.is_empty()) {
        (false, false) => format!("{system}-{release}"),
        _ => String::new(),
    };
    let upstream = if origin == name { "" } else { &origin };
    let qualifiers = [("arch", architecture.as_str()), ("distro", &distro), ("upstream", upstream)];
    component.purl = Some(purl::build("apk", namespace, &name, &version, &qualifiers));
    component.licence = licence::expression(&text(package.licence)?);
    let source = if origin.is_empty() { name } else { origin };
    component.source = Some(Source { name: source, version: None });
    component.version = Some(version);
    Ok(component)
}

#[cfg(test)]
mod tests {
    use crate::binary::elf::testing::Writer;
    use crate::bom::testing::{entry, image, layer};
    use crate::bom::{self, Bom, Completeness, Kind};
    use crate::image::Origin;

    const DATABASE: &str = "C:Q1abc=\nP:musl\nV:1.2.5-r9\nA:x86_64\nL:MIT\no:musl\nF:lib\nR:ld-musl-x86_64.so.1\nZ:Q1x=\n\n\
        C:Q1def=\nP:libcrypto3\nV:3.3.2-r4\nA:x86_64\nL:Apache-2.0\no:openssl\nF:usr/lib\nR:libcrypto.so.3\nR:gone\n\n\
        P:odd\nV:1-r0\nL:custom licence\n";

    fn bom(database: &str) -> Bom {
        let elf = Writer::dynamic_pie().finish();
        let entries = vec![
            entry("etc/os-release", b"ID=alpine\nVERSION_ID=3.21.0\n"),
            entry("lib/apk/db/installed", database.as_bytes()),
            entry("lib/ld-musl-x86_64.so.1", &elf),
            entry("usr/lib/libcrypto.so.3", &elf),
            entry("app", &elf),
            entry("etc/app.conf", b"x = 1"),
        ];
        bom::of(&image(vec![layer(Origin::Foreign, entries)]), &[])
    }

    #[test]
    fn packages_have_purls_licences_and_their_files() {
        let bom = bom(DATABASE);
        let package = |name: &str| {
            bom.components.iter().find(|c| c.kind == Kind::Package && c.name == name).unwrap()
        };
        let crypto = package("libcrypto3");
        assert_eq!(
            crypto.purl.as_deref(),
            Some(
                "pkg:apk/alpine/libcrypto3@3.3.2-r4?arch=x86_64&distro=alpine-3.21.0&upstream=openssl"
            )
        );
        assert_eq!(crypto.licence.as_deref(), Some("Apache-2.0"));
        assert_eq!(package("odd").licence, None);
        let path = |id| bom.get(id).unwrap().file.as_ref().unwrap().path.as_str();
        let owned: Vec<_> = crypto.contains.iter().map(path).collect();
        assert_eq!(owned, ["/usr/lib/libcrypto.so.3"]);
        // What no package owns is marked, and lies in the image by itself.
        let unowned: Vec<_> = bom
            .components
            .iter()
            .filter(|c| c.facts.get("owner").is_some_and(|owner| owner == "none"))
            .map(|c| path(&c.id))
            .collect();
        assert_eq!(unowned.len(), 4, "{unowned:?}");
        assert!(["/app", "/etc/app.conf"].iter().all(|path| unowned.contains(path)));
        let system = bom.components.iter().find(|c| c.kind == Kind::OperatingSystem).unwrap();
        assert_eq!((system.name.as_str(), system.parts), ("alpine", Completeness::Complete));
        assert_eq!(system.contains.len(), 3);
    }

    #[test]
    fn broken_databases_are_gaps() {
        let long = format!("P:{}\nV:1\n\nP:a\nV:1-r0\n", "x".repeat(2000));
        for (database, packages) in
            [("P:\nV:1\n\nP:a\nV:1\n", 1), (&*long, 1), ("\0\0\0", 0), ("P:a", 0), ("", 0)]
        {
            let bom = bom(database);
            let count = bom.components.iter().filter(|c| c.kind == Kind::Package).count();
            assert_eq!(count, packages, "{database:?}");
            assert_eq!(bom.gaps.is_empty(), database.is_empty(), "{:?}", bom.gaps);
        }
    }
}
