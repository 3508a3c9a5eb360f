//! What a definition must mean: every value read into its type, every fault gathered.

use super::{
    Exclude, Group, ImageBase, Kind, LayerPackages, OwnFile, Packages, Signer, Suite, User, schema,
};
use crate::base::debian::{is_package_name, is_pool_path};
use crate::finding::diagnostic::{Diagnostic, Span};
use crate::oci::{ImagePath, Platform, Reference};
use crate::strict_toml::{Spanned, read};
use std::collections::BTreeSet;
use std::path::Component;

type Faults = Vec<Diagnostic>;

/// The largest number of a user or group.
const MAX_ID: u32 = 0x7fff_fffe;

fn fault(faults: &mut Faults, span: &Span, message: impl Into<String>, hint: &str) {
    faults.push(Diagnostic::new(span.clone(), message).hint(hint));
}

/// Says whether a text is a plain word of at most 64 characters.
pub(super) fn is_word(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-._".contains(&c);
    (1..=64).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with(['-', '.'])
}

/// What holds for every kind of base, read.
pub(super) struct Head {
    pub(super) platforms: Vec<Platform>,
    pub(super) maintained_until: Option<crate::time::Date>,
    pub(super) max_age: Option<u32>,
    pub(super) env: Vec<(String, String)>,
}

pub(super) fn head(written: schema::Head, faults: &mut Faults) -> Head {
    let mut platforms: Vec<Platform> = Vec::new();
    for one in written.platforms.iter().flat_map(|list| &list.value) {
        if let Some(platform) = read::<Platform>(one, faults) {
            match platforms.contains(&platform) {
                true => fault(faults, &one.span, format!("`{platform}` is listed twice"), "once"),
                false => platforms.push(platform),
            }
        }
    }
    match (&written.kind.value[..], &written.platforms) {
        ("scratch", Some(list)) => {
            fault(faults, &list.span, "`scratch` is for every platform", "take the line out");
        }
        ("scratch", None) => {}
        (_, Some(list)) if list.value.is_empty() => {
            fault(faults, &list.span, "no platform is listed", "`[\"linux/amd64\"]`");
        }
        (_, None) => {
            fault(
                faults,
                &written.kind.span,
                "`[base]` has no `platforms`",
                "`platforms = [\"linux/amd64\"]`",
            );
        }
        _ => {}
    }
    let maintained_until = written.maintained_until.as_ref().and_then(|one| read(one, faults));
    let max_age = written.max_age.as_ref().and_then(|one| {
        let days = crate::settings::days(&one.value);
        if days.is_none() {
            fault(
                faults,
                &one.span,
                format!("`{}` is no age", one.value),
                "a number of days: `90d`",
            );
        }
        days
    });
    let mut env = Vec::new();
    for (name, value) in written.env {
        let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
        let fits = !name.is_empty()
            && name.bytes().all(plain)
            && !value.value.chars().any(crate::oci::path::is_invisible);
        match fits {
            true => env.push((name, value.value)),
            false => fault(
                faults,
                &value.span,
                format!("`{name}` cannot be set to this"),
                "`NAME = \"value\"`, of visible characters",
            ),
        }
    }
    Head { platforms, maintained_until, max_age, env }
}

/// Reads what makes a base of its kind.
pub(super) fn kind(written: schema::File, faults: &mut Faults) -> Option<(Head, Kind)> {
    let kind = Spanned {
        value: written.base.value.kind.value.clone(),
        span: written.base.value.kind.span.clone(),
    };
    let mut strangers: Vec<(&str, Span)> = Vec::new();
    if kind.value != "packages" {
        strangers.extend(written.debian.as_ref().map(|one| ("[debian]", one.span.clone())));
        strangers.extend(written.layer.first().map(|one| ("[[layer]]", one.span.clone())));
        strangers.extend(written.exclude.first().map(|one| ("[[exclude]]", one.span.clone())));
        strangers.extend(written.user.first().map(|one| ("[[user]]", one.span.clone())));
        strangers.extend(written.group.first().map(|one| ("[[group]]", one.span.clone())));
        strangers.extend(written.file.first().map(|one| ("[[file]]", one.span.clone())));
    }
    if kind.value != "image" {
        strangers.extend(written.image.as_ref().map(|one| ("[image]", one.span.clone())));
    }
    for (table, span) in strangers {
        let message = format!("`{table}` is not for a base of the kind `{}`", kind.value);
        fault(faults, &span, message, "take it out, or choose another kind");
    }
    match &kind.value[..] {
        "scratch" => Some((head(written.base.value, faults), Kind::Scratch)),
        "image" => {
            let head = head(written.base.value, faults);
            let Some(image) = written.image else {
                fault(
                    faults,
                    &kind.span,
                    "a base of the kind `image` has `[image]`",
                    "`reference = \"docker://HOST/REPO@sha256:…\"`",
                );
                return None;
            };
            Some((head, Kind::Image(image_base(image.value, faults)?)))
        }
        "packages" => {
            let parts = Parts {
                layers: written.layer,
                excludes: written.exclude,
                users: written.user,
                groups: written.group,
                files: written.file,
            };
            let head = head(written.base.value, faults);
            let Some(debian) = written.debian else {
                fault(
                    faults,
                    &kind.span,
                    "a base of the kind `packages` has `[debian]`",
                    "it says where packages come from",
                );
                return None;
            };
            Some((head, Kind::Packages(Box::new(packages(debian, parts, faults)?))))
        }
        other => {
            fault(
                faults,
                &kind.span,
                format!("`{other}` is no kind of base"),
                "`packages`, `image` or `scratch`",
            );
            None
        }
    }
}

fn image_base(written: schema::Image, faults: &mut Faults) -> Option<ImageBase> {
    let span = &written.reference.span;
    let reference = match Reference::parse(&written.reference.value, |_| false) {
        Ok(Reference::Layout { dir, .. })
            if !dir.components().all(|part| matches!(part, Component::Normal(_))) =>
        {
            let message = format!("`{}` is no folder of the project", dir.display());
            fault(faults, span, message, "a path relative to the project's root: `oci:upstream`");
            None
        }
        Ok(reference @ Reference::Layout { .. }) => Some(reference),
        Ok(reference @ Reference::Registry { digest: Some(_), .. }) => Some(reference),
        Ok(_) => {
            fault(
                faults,
                span,
                "a base is named by its digest",
                "`docker://HOST/REPO@sha256:…`, or `oci:DIR` of a layout in the project",
            );
            None
        }
        Err(error) => {
            fault(faults, span, error.to_string(), "`docker://HOST/REPO@sha256:…`, or `oci:DIR`");
            None
        }
    };
    let mut signer = None;
    if let Some(one) = written.signer {
        let Spanned { value, span } = one;
        signer = match (value.key, value.issuer, value.identity) {
            (Some(key), None, None) => Some(Signer::Key(key.value)),
            (None, Some(issuer), Some(identity)) => {
                Some(Signer::Identity { issuer: issuer.value, identity: identity.value })
            }
            _ => {
                fault(
                    faults,
                    &span,
                    "a signer is a `key`, or an `issuer` and an `identity`",
                    "one of the two",
                );
                return None;
            }
        };
    }
    Some(ImageBase { reference: written.reference.value, parsed: reference?, signer })
}

struct Parts {
    layers: Vec<Spanned<schema::Layer>>,
    excludes: Vec<Spanned<schema::Exclude>>,
    users: Vec<Spanned<schema::User>>,
    groups: Vec<Spanned<schema::Group>>,
    files: Vec<Spanned<schema::TextFile>>,
}

fn word(written: &Spanned<String>, what: &str, faults: &mut Faults) {
    if !is_word(&written.value) {
        let message = format!("`{}` is no {what}", written.value);
        fault(faults, &written.span, message, "lower-case letters, digits, `-`, `.` and `_`");
    }
}

fn package(written: &Spanned<String>, faults: &mut Faults) {
    if !is_package_name(&written.value) {
        let message = format!("`{}` is no name of a package", written.value);
        fault(faults, &written.span, message, "lower-case letters, digits, `+`, `-` and `.`");
    }
}

fn unique<'a>(names: impl Iterator<Item = &'a Spanned<String>>, what: &str, faults: &mut Faults) {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(&name.value) {
            let message = format!("the {what} `{}` is there twice", name.value);
            fault(faults, &name.span, message, "once");
        }
    }
}

fn packages(
    written: Spanned<schema::Debian>,
    parts: Parts,
    faults: &mut Faults,
) -> Option<Packages> {
    let Spanned { value: debian, span } = written;
    let before = faults.len();
    word(&debian.release, "release", faults);
    let keyring = &debian.keyring;
    let is_path = is_pool_path(keyring.value.trim_start_matches('/'));
    if !is_word(&keyring.value) && !is_path {
        fault(
            faults,
            &keyring.span,
            format!("`{}` names no keyring", keyring.value),
            "`debian-archive`, or a path in the project",
        );
    }
    if debian.suite.is_empty() {
        fault(faults, &span, "no suite is listed", "`[[debian.suite]]`");
    }
    let component = debian.component.map_or("main".to_owned(), |one| {
        word(&one, "component", faults);
        one.value
    });
    unique(debian.suite.iter().map(|suite| &suite.value.name), "suite", faults);
    let mut suites = Vec::new();
    for suite in debian.suite {
        word(&suite.value.name, "suite", faults);
        let archive = suite.value.archive.map_or("debian".to_owned(), |one| {
            word(&one, "archive", faults);
            one.value
        });
        suites.push(Suite { name: suite.value.name.value, archive });
    }
    if let Some(one) = &debian.certificates {
        package(one, faults);
    }
    if parts.layers.is_empty() {
        fault(faults, &span, "no layer is listed", "`[[layer]]`, with a name and packages");
    }
    unique(parts.layers.iter().map(|layer| &layer.value.name), "layer", faults);
    unique(parts.layers.iter().flat_map(|layer| &layer.value.packages.value), "package", faults);
    let mut layers = Vec::new();
    for layer in parts.layers {
        word(&layer.value.name, "name of a layer", faults);
        let list = layer.value.packages;
        if list.value.is_empty() {
            fault(faults, &list.span, "a layer has packages", "`packages = [\"netbase\"]`");
        }
        list.value.iter().for_each(|one| package(one, faults));
        let packages = list.value.into_iter().map(|one| one.value).collect();
        layers.push(LayerPackages {
            name: layer.value.name.value,
            packages,
            dependencies: layer.value.dependencies,
        });
    }
    let mut excludes = Vec::new();
    for one in parts.excludes {
        let one = one.value;
        if let Some(name) = &one.package {
            package(name, faults);
        }
        if one.reason.value.trim().is_empty() {
            fault(faults, &one.reason.span, "the reason says something", "why is it left out?");
        }
        match Exclude::new(one.path.value, one.package.map(|one| one.value), one.reason.value) {
            Ok(exclude) => excludes.push(exclude),
            Err(why) => fault(faults, &one.path.span, why, "`/usr/share/man/**`"),
        }
    }
    unique(parts.users.iter().map(|one| &one.value.name), "user", faults);
    unique(parts.groups.iter().map(|one| &one.value.name), "group", faults);
    let mut id = |one: &Spanned<u32>| {
        if one.value > MAX_ID {
            fault(
                faults,
                &one.span,
                format!("{} is no number of a user or group", one.value),
                "at most 2147483646",
            );
        }
        one.value
    };
    let mut users = Vec::new();
    let mut groups = Vec::new();
    for user in &parts.users {
        users.push((user, id(&user.value.id)));
    }
    for group in &parts.groups {
        groups.push(Group { name: group.value.name.value.clone(), id: id(&group.value.id) });
    }
    let mut accounts = Vec::new();
    for (user, id) in users {
        if let Some(home) = read::<ImagePath>(&user.value.home, faults) {
            if home.as_str().contains(':') {
                fault(faults, &user.value.home.span, "a home has no `:`", "another path");
            }
            accounts.push(User { name: user.value.name.value.clone(), id, home });
        }
    }
    for name in parts
        .users
        .iter()
        .map(|one| &one.value.name)
        .chain(parts.groups.iter().map(|one| &one.value.name))
    {
        word(name, "name of a user or group", faults);
    }
    let mut files = Vec::new();
    unique(parts.files.iter().map(|one| &one.value.path), "file", faults);
    for file in parts.files {
        let Some(path) = read::<ImagePath>(&file.value.path, faults) else { continue };
        files.push(OwnFile { path, text: file.value.text });
    }
    (faults.len() == before).then_some(Packages {
        release: debian.release.value,
        keyring: debian.keyring.value,
        component,
        suites,
        usr_merged: debian.usr_merged,
        certificates: debian.certificates.map(|one| one.value),
        layers,
        excludes,
        users: accounts,
        groups,
        files,
    })
}
