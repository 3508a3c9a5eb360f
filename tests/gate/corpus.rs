//! Where the corpus is, and what is in it.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// `tests/gate/corpus.toml`, or `tests/gate/held-out.toml`.
#[derive(Deserialize)]
pub(crate) struct Corpus {
    pub(crate) tool: Vec<Tool>,
    ordinary: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
pub(crate) struct Tool {
    pub(crate) tool: String,
    package: String,
    path: String,
    pub(crate) rules: Vec<String>,
    places: Vec<String>,
    /// Of the tools that are held out: `unseen` or `newer`.
    #[serde(default)]
    pub(crate) set: String,
}

/// A tool on disk.
pub(crate) struct Sample<'a> {
    pub(crate) tool: &'a Tool,
    pub(crate) place: &'a str,
    pub(crate) path: PathBuf,
    /// The same, packed; none where UPX refused it or is not there.
    pub(crate) packed: Option<PathBuf>,
}

impl Corpus {
    pub(crate) fn read() -> Self {
        toml::from_str(include_str!("corpus.toml")).expect("tests/gate/corpus.toml is sound")
    }

    /// What the table was not made from.
    pub(crate) fn held_out() -> Self {
        toml::from_str(include_str!("held-out.toml")).expect("tests/gate/held-out.toml is sound")
    }

    /// Returns place and path of every tool, and place and package of what is ordinary.
    pub(crate) fn files(&self) -> impl Iterator<Item = (String, String)> {
        let tools = self.tool.iter().flat_map(|tool| {
            tool.places.iter().map(|place| {
                let path = tool.path.strip_prefix("usr/").unwrap_or(&tool.path);
                (place.clone(), format!("{}/{path}", tool.package))
            })
        });
        let ordinary = self.ordinary.iter().flat_map(|(place, packages)| {
            packages.iter().map(move |package| (place.clone(), package.clone()))
        });
        tools.chain(ordinary)
    }

    /// Returns every tool that is there, and the names of those that are not.
    pub(crate) fn samples(&self, folder: &Path) -> (Vec<Sample<'_>>, Vec<String>) {
        let (mut samples, mut missing) = (Vec::new(), Vec::new());
        for tool in &self.tool {
            for place in &tool.places {
                let package = folder.join(place).join(&tool.package);
                let forms = [package.join(&tool.path), package.join("usr").join(&tool.path)];
                let Some(path) = forms.into_iter().find(|path| path.is_file()) else {
                    missing.push(format!("{} of {place}", tool.tool));
                    continue;
                };
                let name = path.file_name().expect("a file has a name").to_string_lossy();
                let packed =
                    folder.join("packed").join(place).join(format!("{}-{name}", tool.package));
                let packed = Some(packed).filter(|packed| packed.is_file());
                samples.push(Sample { tool, place, path, packed });
            }
        }
        (samples, missing)
    }

    /// Returns every ordinary ELF file that is there, and the packages that are not.
    pub(crate) fn ordinary(&self, folder: &Path) -> (Vec<PathBuf>, Vec<String>) {
        let (mut files, mut missing) = (Vec::new(), Vec::new());
        for (place, packages) in &self.ordinary {
            for package in packages {
                let root = folder.join(place).join(package);
                if !root.is_dir() {
                    missing.push(format!("{package} of {place}"));
                    continue;
                }
                walk(&root, &mut files);
            }
        }
        files.sort();
        (files, missing)
    }
}

/// Adds every regular file below a folder.
pub(crate) fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the corpus") {
        let entry = entry.expect("an entry of the corpus");
        match entry.file_type().expect("its type") {
            kind if kind.is_dir() => walk(&entry.path(), files),
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
}

/// Returns the folder of the corpus, where `scripts/make-gate-corpus` puts it.
pub(crate) fn folder() -> PathBuf {
    let home = || std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    match std::env::var_os("KARAT_GATE_CORPUS") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::var_os("KARAT_TOOLS")
            .map_or_else(|| home().join(".cache/karat-tools"), PathBuf::from)
            .join("gate-corpus"),
    }
}
