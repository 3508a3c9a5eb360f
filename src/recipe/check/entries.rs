//! The entries of a recipe: executables, data, folders and links.

use super::{Faults, entry_path, image_path, image_path_at, mode, user};
use crate::finding::diagnostic::{Diagnostic, Span};
use crate::oci::{ImagePath, Platform};
use crate::recipe::placeholder::{self, Template};
use crate::recipe::schema;
use crate::recipe::{Binary, Directory, File, Identity, Link, Place, Source, User};
use crate::strict_toml::Spanned;
use std::collections::BTreeMap;

fn source_of(
    written: Spanned<schema::Source>,
    platforms: &[Platform],
    faults: &mut Faults,
) -> Source {
    let span = written.span;
    let relative = |path: &str, faults: &mut Faults| {
        let escapes = path.split(['/', '\\']).any(|component| component == "..");
        let absolute = path.starts_with(['/', '\\']) || path.get(1..2) == Some(":");
        if path.is_empty() || path.contains('\0') {
            faults.push(Diagnostic::new(span.clone(), "the source is empty or holds a NUL"));
        } else if escapes || absolute {
            faults.push(
                Diagnostic::new(
                    span.clone(),
                    "the source lies outside: it must be a path below the project root, without `..`",
                )
                .hint(
                    "inputs lie in the project, so that a reviewer can tell where they come from",
                ),
            );
        }
    };
    let place = match written.value {
        schema::Source::Pattern(pattern) => {
            relative(&pattern, faults);
            match Template::parse(&pattern) {
                Err(error) => faults.push(Diagnostic::new(span.clone(), error.to_string())),
                Ok(template) => {
                    for name in
                        template.names().filter(|name| !placeholder::PLATFORM.contains(name))
                    {
                        let fault = Diagnostic::new(
                            span.clone(),
                            format!("a source has no placeholder `{{{name}}}`"),
                        );
                        let known: Vec<_> = placeholder::PLATFORM
                            .iter()
                            .map(|name| format!("{{{name}}}"))
                            .collect();
                        faults.push(fault.hint(format!("known are {}", known.join(" "))));
                    }
                }
            }
            Place::Pattern(pattern)
        }
        schema::Source::Table(table) => {
            let mut paths = BTreeMap::new();
            for (key, path) in table {
                relative(&path, faults);
                match key.parse::<Platform>() {
                    Ok(platform) => drop(paths.insert(platform, path)),
                    Err(error) => faults.push(Diagnostic::new(span.clone(), error.to_string())),
                }
            }
            for missing in platforms.iter().filter(|platform| !paths.contains_key(*platform)) {
                faults.push(
                    Diagnostic::new(
                        span.clone(),
                        format!("no source for `{missing}`, which `platforms` lists"),
                    )
                    .hint(format!("add `\"{missing}\" = \"…\"`")),
                );
            }
            Place::Table(paths)
        }
    };
    Source { place, span }
}

pub(super) fn binary(
    written: Spanned<schema::Binary>,
    platforms: &[Platform],
    faults: &mut Faults,
) -> Option<Binary> {
    let written = written.value;
    let source = source_of(written.source, platforms, faults);
    let path = match &written.path {
        Some(path) => {
            if path.value.ends_with('/') {
                faults.push(
                    Diagnostic::new(
                        path.span.clone(),
                        "the path of a `[[binary]]` names the file itself",
                    )
                    .hint("without a trailing slash"),
                );
            }
            entry_path(path, faults)
        }
        None => {
            let names: std::collections::BTreeSet<_> = platforms
                .iter()
                .map(|platform| source.path(platform).rsplit('/').next().unwrap_or("").to_owned())
                .collect();
            match names.first() {
                Some(name) if names.len() == 1 => {
                    image_path_at(&format!("/usr/bin/{name}"), source.span.clone(), faults)
                }
                _ => {
                    faults.push(
                        Diagnostic::new(
                            source.span.clone(),
                            "the sources have different names, so `path` must be given",
                        )
                        .hint("`path = \"/usr/bin/hello\"`"),
                    );
                    None
                }
            }
        }
    };
    let identity = written.identity.and_then(|text| match text.value.split_once(':') {
        Some(("go", name)) if !name.is_empty() => Some(Identity::Go(name.to_owned())),
        Some(("cargo", name)) if !name.is_empty() => Some(Identity::Cargo(name.to_owned())),
        Some(("note", name)) if !name.is_empty() => Some(Identity::Note(name.to_owned())),
        _ => {
            faults.push(
                Diagnostic::new(text.span, format!("`{}` is no identity", text.value))
                    .hint("`go:MODULE`, `cargo:CRATE` or `note:PACKAGE`"),
            );
            None
        }
    });
    let mut sha256 = BTreeMap::new();
    for (key, digest) in &written.sha256 {
        let platform = key.parse::<Platform>().map_err(|error| error.to_string());
        let parsed = format!("sha256:{}", digest.value.trim_start_matches("sha256:")).parse();
        match (platform, parsed) {
            (Ok(platform), Ok(parsed)) => drop(sha256.insert(platform, parsed)),
            (Err(error), _) => faults.push(Diagnostic::new(digest.span.clone(), error)),
            (_, Err(_)) => {
                faults.push(Diagnostic::new(digest.span.clone(), "not 64 hexadecimal digits"))
            }
        }
    }
    let sbom = written.sbom.map(|one| source_of(one, platforms, faults));
    let provenance = written.provenance.map(|one| source_of(one, platforms, faults));
    Some(Binary { source, path: path?, identity, sha256, sbom, provenance, make: written.make })
}

pub(super) fn data(
    written: Spanned<schema::File>,
    platforms: &[Platform],
    faults: &mut Faults,
) -> Option<File> {
    let written = written.value;
    let source = source_of(written.source, platforms, faults);
    let bits = match &written.mode {
        None => 0o444,
        Some(text) => {
            let bits = mode(text, faults).unwrap_or(0o444);
            if bits & 0o111 != 0 {
                faults.push(
                    Diagnostic::new(text.span.clone(), "a `[[file]]` is data, never executable")
                        .hint("programs are packed by `[[binary]]`; for data, `\"0444\"`"),
                );
            } else if bits & 0o7002 != 0 {
                faults.push(
                    Diagnostic::new(
                        text.span.clone(),
                        "a file may not be setuid, setgid or writable by everyone",
                    )
                    .hint("`\"0444\"`"),
                );
            }
            bits
        }
    };
    let owner = match &written.owner {
        Some(text) => user(text, faults)?,
        None => User { uid: 0, gid: 0 },
    };
    let exclude = written
        .exclude
        .iter()
        .filter_map(|glob| {
            match globset::GlobBuilder::new(&glob.value).literal_separator(true).build() {
                Ok(glob) => Some(glob),
                Err(error) => {
                    faults.push(Diagnostic::new(glob.span.clone(), error.kind().to_string()));
                    None
                }
            }
        })
        .collect();
    let into = written.path.value.ends_with('/');
    // Only a folder may be put "into" the root: its entries are named, the root is not.
    let path =
        if into { image_path(&written.path, faults) } else { entry_path(&written.path, faults) };
    Some(File { source, path: path?, into, mode: bits, owner, exclude })
}

pub(super) fn directory(
    written: Spanned<schema::Directory>,
    user_of_image: User,
    faults: &mut Faults,
) -> Option<Directory> {
    let span = written.span;
    let written = written.value;
    let bits = match &written.mode {
        None => 0o750,
        Some(text) => {
            let bits = mode(text, faults).unwrap_or(0o750);
            if bits & 0o6000 != 0 || bits & 0o1002 == 0o002 {
                faults.push(
                    Diagnostic::new(
                        text.span.clone(),
                        "a directory may not be setuid or setgid, nor writable by everyone without the sticky bit",
                    )
                    .hint("`\"0750\"`, or `\"1777\"` as `/tmp` has it"),
                );
            }
            bits
        }
    };
    let owner = match &written.owner {
        Some(text) => user(text, faults)?,
        None => user_of_image,
    };
    Some(Directory { path: entry_path(&written.path, faults)?, owner, mode: bits, span })
}

pub(super) fn link(written: Spanned<schema::Link>, faults: &mut Faults) -> Option<Link> {
    let path = entry_path(&written.value.path, faults);
    let target = image_path(&written.value.target, faults);
    Some(Link { path: path?, target: target?, span: written.span })
}

/// Notes every pair of declared entries that claim one path.
pub(super) fn one_entry_a_path(
    binaries: &[Option<Binary>],
    files: &[Option<File>],
    directories: &[Option<Directory>],
    links: &[Option<Link>],
    faults: &mut Faults,
) {
    let binaries = binaries.iter().flatten().map(|one| (&one.path, &one.source.span));
    // A `[[file]]` that goes into a folder has other paths than the folder's own.
    let files =
        files.iter().flatten().filter(|one| !one.into).map(|one| (&one.path, &one.source.span));
    let directories = directories.iter().flatten().map(|one| (&one.path, &one.span));
    let links = links.iter().flatten().map(|one| (&one.path, &one.span));
    let mut seen: BTreeMap<&ImagePath, &Span> = BTreeMap::new();
    for (path, span) in binaries.chain(files).chain(directories).chain(links) {
        if seen.insert(path, span).is_some() {
            faults.push(
                Diagnostic::new(
                    span.clone(),
                    format!("`{path}` is already taken by another entry"),
                )
                .hint("one entry a path"),
            );
        }
    }
}
