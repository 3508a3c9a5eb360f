//! The modules of a Go program as components.
//!
//! Source: Go `runtime/debug`, `BuildInfo`; "Go Modules Reference", "Versions".

use super::executable::{NAME, Parts};
use super::{Completeness, Component, Evidence, Id, Kind, purl};
use crate::binary::go::{BuildInfo, Module};
use crate::oci::Digest;

/// The build settings that are facts of the executable, and their names there.
const SETTINGS: [(&str, &str); 8] = [
    ("CGO_ENABLED", "go:cgo-enabled"),
    ("GOARCH", "go:goarch"),
    ("GOOS", "go:goos"),
    ("-buildmode", "go:buildmode"),
    ("-trimpath", "go:trimpath"),
    ("vcs.revision", "go:vcs.revision"),
    ("vcs.time", "go:vcs.time"),
    ("vcs.modified", "go:vcs.modified"),
];

/// The hosts whose first path segment names who keeps the module.
const CODE_HOSTS: [&str; 4] = ["github.com", "gitlab.com", "bitbucket.org", "codeberg.org"];

/// Returns the facts of a build by name.
pub(super) fn facts(info: &BuildInfo) -> Vec<(&'static str, &str)> {
    let settings = SETTINGS.iter().filter_map(|(key, name)| Some((*name, info.setting(key)?)));
    let mut facts: Vec<_> = settings.collect();
    facts.push(("go:version", &info.go_version));
    if !info.path.is_empty() {
        facts.push(("go:path", &info.path));
    }
    facts
}

/// Makes the components of a Go program: the main module leads to all others, since the list
/// does not say which module needs which.
pub(super) fn parts(owner: &Digest, info: &BuildInfo) -> Parts {
    let mut parts = Parts::default();
    let mut needed: Vec<Id> =
        info.deps.iter().filter_map(|dep| parts.push(module(owner, Kind::GoModule, dep))).collect();
    needed.extend(parts.push(standard_library(owner, &info.go_version)));
    let main = info.main.as_ref().map(|main| {
        let mut main = module(owner, Kind::GoMain, main);
        main.depends_on.extend(needed.iter().cloned());
        main.edges = Completeness::Incomplete;
        main
    });
    parts.main = main.and_then(|main| parts.push(main));
    if parts.main.is_none() {
        parts.loose.extend(needed);
    }
    parts
}

fn module(owner: &Digest, kind: Kind, listed: &Module) -> Component {
    let built = listed.effective();
    // A directory has no name of its own: the module keeps the one that it stands in for.
    let directory = built.is_directory();
    let named = if directory { listed } else { built };
    let version = built.version.as_str();
    let fields =
        [&listed.path, &listed.version, &listed.sum, &built.path, &built.version, &built.sum];
    let mut hashed: Vec<&[u8]> = vec![owner.bytes()];
    hashed.extend(fields.iter().map(|field| field.as_bytes()));
    let id = Id::of(kind, &named.path, &hashed);
    let mut component = Component::new(id, kind, &named.path, Evidence::GoBuildInfo);
    // `(devel)` is what the Go command writes for "not known".
    let known = !directory && !version.is_empty() && version != "(devel)";
    component.version = known.then(|| version.to_owned());
    let local = directory || named.path.len() > NAME;
    component.purl = (!local).then(|| purl::golang(&named.path, if known { version } else { "" }));
    component.supplier = (!directory).then(|| keeper(&named.path)).flatten();
    if !built.sum.is_empty() {
        component.facts.insert("go:sum", built.sum.chars().take(100).collect());
    }
    if listed.replaced_by.is_some() {
        let by = if directory { built } else { listed };
        let name = if directory { "go:replaced-by" } else { "go:replaces" };
        let text = format!("{} {}", by.path, by.version);
        component.facts.insert(name, text.trim_end().chars().take(NAME).collect());
    }
    component
}

/// Returns who keeps a module, by its path: the host, with the account on hosts that have
/// accounts. None for a path without a host, which no one but its author can fetch.
fn keeper(path: &str) -> Option<String> {
    let mut segments = path.split('/');
    let host = segments.next().filter(|host| host.contains('.') && path.contains('/'))?;
    match segments.next().filter(|_| CODE_HOSTS.contains(&host)) {
        Some(account) => Some(format!("{host}/{account}")),
        None => Some(host.to_owned()),
    }
}

fn standard_library(owner: &Digest, go_version: &str) -> Component {
    let id = Id::of(Kind::GoStandardLibrary, "stdlib", &[owner.bytes(), go_version.as_bytes()]);
    let mut component =
        Component::new(id, Kind::GoStandardLibrary, "stdlib", Evidence::GoBuildInfo);
    component.version = release(go_version).filter(|version| version.len() <= NAME);
    let version = component.version.as_deref().unwrap_or_default();
    component.purl = Some(purl::golang("stdlib", version));
    component.supplier = Some("The Go Authors".to_owned());
    component.licence = Some("BSD-3-Clause".to_owned());
    component
}

/// Returns the semantic version of a Go toolchain: `go1.21` is `1.21.0`, `go1.27rc2` is
/// `1.27.0-rc.2`, and what distributions and experiments append is cut; none for `devel`.
///
/// Source: "Go Toolchains", "Go versions"; the form is that of the Go vulnerability database.
fn release(go_version: &str) -> Option<String> {
    let text = go_version.strip_prefix("go")?;
    let text = text.split([' ', '+']).next().unwrap_or_default();
    let text =
        ["-X:", "-google"].iter().fold(text, |text, cut| text.split(cut).next().unwrap_or(text));
    let (numbers, snapshot) = text.split_once('-').map_or((text, None), |(a, b)| (a, Some(b)));
    let end = numbers.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(numbers.len());
    let (numbers, stage) = numbers.split_at(end);
    let mut parts: Vec<&str> = numbers.split('.').collect();
    let digits = parts.iter().all(|part| !part.is_empty());
    if !digits || !(2..=3).contains(&parts.len()) {
        return None;
    }
    parts.resize(3, "0");
    let stage = match stage.find(|c: char| c.is_ascii_digit()) {
        _ if stage.is_empty() => None,
        Some(at) if matches!(&stage[..at], "rc" | "beta" | "alpha") => {
            Some(format!("{}.{}", &stage[..at], &stage[at..]))
        }
        _ => return None,
    };
    let stage = stage.into_iter().chain(snapshot.map(str::to_owned)).collect::<Vec<_>>().join(".");
    let dash = if stage.is_empty() { "" } else { "-" };
    Some(format!("{}{dash}{stage}", parts.join(".")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bom::testing::{content, go_binary};
    use crate::bom::{self, Bom};

    fn bom(modules: &str) -> Bom {
        bom::file(b"app", &content(&go_binary(modules)), bom::Detail::All)
    }

    fn named<'a>(bom: &'a Bom, name: &str) -> &'a Component {
        let modules = [Kind::GoMain, Kind::GoModule, Kind::GoStandardLibrary];
        bom.components.iter().find(|c| modules.contains(&c.kind) && c.name == name).unwrap()
    }

    #[test]
    fn modules_hang_below_the_main_one() {
        let bom =
            bom("mod\texample.com/m\t(devel)\t\ndep\tgithub.com/BurntSushi/toml\tv1.4.0\th1:aa=\n\
             dep\tb.org/y\tv2.0.0\n=>\tc.org/z\tv2.1.0\th1:bb=\n\
             dep\td.org/w\tv0.1.0\n=>\t../w\t(devel)\t\nbuild\tCGO_ENABLED=0\n");
        let main = named(&bom, "example.com/m");
        assert_eq!((main.version.as_deref(), main.depends_on.len()), (None, 4));
        assert_eq!(main.edges, Completeness::Incomplete);
        let toml = named(&bom, "github.com/BurntSushi/toml");
        assert_eq!(toml.purl.as_deref(), Some("pkg:golang/github.com/burntsushi/toml@v1.4.0"));
        assert_eq!(toml.supplier.as_deref(), Some("github.com/BurntSushi"));
        let z = named(&bom, "c.org/z");
        assert_eq!(z.version.as_deref(), Some("v2.1.0"));
        assert_eq!(z.facts["go:replaces"], "b.org/y v2.0.0");
        let w = named(&bom, "d.org/w");
        assert_eq!((w.version.as_deref(), w.purl.as_deref()), (None, None));
        assert_eq!(w.facts["go:replaced-by"], "../w (devel)");
        // `go_binary` says go1.26.8.
        assert_eq!(named(&bom, "stdlib").purl.as_deref(), Some("pkg:golang/stdlib@1.26.8"));
        let app = bom.executables().next().unwrap();
        assert_eq!(app.parts, Completeness::Complete);
    }

    #[test]
    fn c_code_and_missing_lists_are_incomplete() {
        for modules in
            ["build\tCGO_ENABLED=0\n", "mod\ta.b/c\tv1.0.0\t\nbuild\tCGO_ENABLED=1\n", ""]
        {
            let bom = bom(modules);
            assert_eq!(bom.executables().next().unwrap().parts, Completeness::Incomplete);
            // The standard library is never lost.
            assert_eq!(bom.roots.len(), 1);
            assert_eq!(named(&bom, "stdlib").version.as_deref(), Some("1.26.8"));
        }
    }

    #[test]
    fn hostile_names_stay_in_their_place() {
        let bom = bom("mod\texample.com/m\tv1\t\ndep\ta\u{1b}[2J/\"x\tv1\n");
        let dep = named(&bom, "a\u{1b}[2J/\"x");
        assert_eq!(dep.purl.as_deref(), Some("pkg:golang/a%1B%5B2j/%22x@v1"));
        assert!(dep.id.as_str().is_ascii());
    }

    #[test]
    fn toolchain_versions_are_semantic() {
        for (go, expected) in [
            ("go1.26.8", Some("1.26.8")),
            ("go1.21", Some("1.21.0")),
            ("go1.27rc2", Some("1.27.0-rc.2")),
            ("go1.18beta1", Some("1.18.0-beta.1")),
            ("go1.25.1 X:boringcrypto", Some("1.25.1")),
            ("go1.26.0-X:jsonv2", Some("1.26.0")),
            ("go1.26.5 (Red Hat 1.26.5-1.el9)", Some("1.26.5")),
            ("go1.20.5-google", Some("1.20.5")),
            ("go1.22.1+auto", Some("1.22.1")),
            // A snapshot comes before its release.
            (
                "go1.25-20250209-RC00 cl/724970549 +ff27d270c9 X:fieldtrack,boringcrypto",
                Some("1.25.0-20250209-RC00"),
            ),
            ("devel go1.27-abcdef", None),
            ("go1", None),
            ("go1..2", None),
            ("go1.2x3", None),
            ("gox", None),
            ("", None),
        ] {
            assert_eq!(release(go).as_deref(), expected, "{go}");
        }
    }
}
