//! What a recipe must mean: every value read into its type, every fault gathered.

mod entries;

use super::placeholder::{self, Template};
use super::schema;
use super::{At, Compression, Recipe, User, Var};
use crate::finding::diagnostic::{Diagnostic, Span};
use crate::oci::reference::is_repository;
use crate::oci::{ImagePath, Platform};
use crate::strict_toml::{Spanned, suggestion};
use crate::waiver;
use entries::{binary, data, directory, link, one_entry_a_path};
use std::collections::BTreeMap;

/// The annotations that karat itself writes.
const RESERVED: [&str; 4] = [
    "org.opencontainers.image.base.name",
    "org.opencontainers.image.base.digest",
    "org.opencontainers.image.created",
    "org.opencontainers.image.ref.name",
];

type Faults = Vec<Diagnostic>;

/// Reads every value into its type.
///
/// # Errors
/// Every fault together.
pub(crate) fn check(
    file: &str,
    text: &str,
    written: schema::Recipe,
    host: Option<&Platform>,
) -> Result<Recipe, Faults> {
    let mut faults = Vec::new();
    let image = written.image.value;
    let platforms = platforms(&image.platforms, host, &mut faults);
    let vars = vars(written.vars, &mut faults);
    let user = match &image.user {
        Some(written) => user(written, &mut faults).unwrap_or(User::NONROOT),
        None => User::NONROOT,
    };
    if let Some(written) = image.user.filter(|_| user.uid == 0) {
        faults.push(
            Diagnostic::new(written.span, "the image would run as root")
                .hint("leave `user` out for `65532:65532`; a golden image never runs as user 0"),
        );
    }

    let binaries: Vec<_> =
        written.binary.into_iter().map(|one| binary(one, &platforms, &mut faults)).collect();
    let files: Vec<_> =
        written.file.into_iter().map(|one| data(one, &platforms, &mut faults)).collect();
    let directories: Vec<_> =
        written.directory.into_iter().map(|one| directory(one, user, &mut faults)).collect();
    let links: Vec<_> = written.link.into_iter().map(|one| link(one, &mut faults)).collect();
    one_entry_a_path(&binaries, &files, &directories, &links, &mut faults);

    let entrypoint = match image.entrypoint {
        Some(written) => {
            match written.value.first() {
                None => faults.push(
                    Diagnostic::new(written.span.clone(), "the entrypoint is empty")
                        .hint("name the program: `entrypoint = [\"/usr/bin/hello\"]`"),
                ),
                Some(program) => {
                    image_path_at(program, written.span.clone(), &mut faults);
                }
            }
            At { value: written.value, span: written.span }
        }
        None => match &binaries[..] {
            [Some(only)] => {
                At { value: vec![only.path.to_string()], span: only.source.span.clone() }
            }
            [None] => At { value: Vec::new(), span: written.image.span.clone() },
            [] => {
                faults.push(
                    Diagnostic::new(written.image.span.clone(), "the image has no entrypoint")
                        .hint("add a `[[binary]]` with its `source`, or name the `entrypoint`"),
                );
                At { value: Vec::new(), span: written.image.span.clone() }
            }
            several => {
                let paths: Vec<_> = several
                    .iter()
                    .flatten()
                    .map(|binary| format!("[\"{}\"]", binary.path))
                    .collect();
                faults.push(
                    Diagnostic::new(
                        written.image.span.clone(),
                        "with more than one `[[binary]]` the entrypoint must be named",
                    )
                    .hint(format!("`entrypoint = {}`", paths.join("` or `entrypoint = "))),
                );
                At { value: Vec::new(), span: written.image.span.clone() }
            }
        },
    };

    if !is_repository(&image.name.value) {
        faults.push(
            Diagnostic::new(image.name.span, format!("`{}` is no name of an image", image.name.value)).hint(
                "lower-case letters and digits, with single `.`, `_`, `-` or `/` between them, at most 255 bytes",
            ),
        );
    }
    if !is_base_name(&image.base.value) {
        let hint = if image.base.value.contains(['/', ':', '@']) {
            "a base is named, not addressed: `static-debian13` or `scratch`"
        } else {
            "lower-case letters, digits and `-`: `static-debian13`"
        };
        let message = format!("`{}` is no name of a base", image.base.value);
        faults.push(Diagnostic::new(image.base.span.clone(), message).hint(hint));
    }
    for (name, value) in &image.env {
        let mut bytes = name.bytes();
        let valid = bytes.next().is_some_and(|c| c.is_ascii_alphabetic() || c == b'_')
            && bytes.all(|c| c.is_ascii_alphanumeric() || c == b'_');
        if !valid {
            faults.push(
                Diagnostic::new(
                    value.span.clone(),
                    format!("`{name}` is no name of an environment variable"),
                )
                .hint("letters, digits and `_`, not starting with a digit"),
            );
        }
    }
    for (key, value) in image.labels.iter().chain(&image.annotations) {
        if RESERVED.contains(&key.as_str()) {
            faults.push(
                Diagnostic::new(value.span.clone(), format!("`{key}` is written by karat itself"))
                    .hint("remove the line"),
            );
        } else if key.is_empty() || key.chars().any(crate::oci::path::is_invisible) {
            faults.push(Diagnostic::new(value.span.clone(), "the key is empty or does not show"));
        }
    }
    let env = templates(image.env, &vars, &mut faults);
    let labels = templates(image.labels, &vars, &mut faults);
    let annotations = templates(image.annotations, &vars, &mut faults);
    let ports = image.ports.iter().filter_map(|written| port(written, &mut faults)).collect();
    if let Some(written) = &image.stop_signal {
        stop_signal(written, &mut faults);
    }
    let workdir = image
        .workdir
        .and_then(|written| image_path(&written, &mut faults))
        .unwrap_or_else(ImagePath::root);
    let compression = match written.layer.compression {
        None => Compression::Gzip,
        Some(written) => match written.value.as_str() {
            "gzip" => Compression::Gzip,
            "zstd" => Compression::Zstd,
            other => {
                let message = format!("`{other}` is no compression of layers");
                faults.push(Diagnostic::new(written.span, message).hint("`gzip` or `zstd`"));
                Compression::Gzip
            }
        },
    };
    let place = waiver::Place::Recipe(file, &image.name.value);
    let waivers = written.waiver.into_iter();
    let waivers = waivers.filter_map(|one| waiver::waiver(one, place, &mut faults)).collect();

    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Recipe {
        file: file.to_owned(),
        text: text.to_owned(),
        name: image.name.value,
        base: At { value: image.base.value, span: image.base.span },
        platforms,
        entrypoint,
        cmd: image.cmd,
        user,
        workdir,
        env,
        ports,
        stop_signal: image.stop_signal.map(|written| written.value),
        labels,
        annotations,
        binaries: binaries.into_iter().flatten().collect(),
        files: files.into_iter().flatten().collect(),
        directories: directories.into_iter().flatten().collect(),
        links: links.into_iter().flatten().collect(),
        vars,
        compression,
        waivers,
    })
}

/// Says whether a text may be the name of a base: the name of a file in `bases/`.
pub(crate) fn is_base_name(name: &str) -> bool {
    let alphanumeric = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=64).contains(&name.len())
        && name.bytes().all(|c| alphanumeric(c) || c == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn image_path_at(text: &str, span: Span, faults: &mut Faults) -> Option<ImagePath> {
    match text.parse::<ImagePath>() {
        Ok(path) => Some(path),
        Err(error) => {
            let fault = Diagnostic::new(span, error.to_string());
            let absolute = format!("/{text}");
            faults.push(match absolute.parse::<ImagePath>() {
                Ok(path) if !text.is_empty() => fault.hint(format!("did you mean `{path}`?")),
                _ => fault,
            });
            None
        }
    }
}

fn image_path(written: &Spanned<String>, faults: &mut Faults) -> Option<ImagePath> {
    image_path_at(&written.value, written.span.clone(), faults)
}

/// A path for an entry: the root itself is the base's.
fn entry_path(written: &Spanned<String>, faults: &mut Faults) -> Option<ImagePath> {
    let path = image_path(written, faults)?;
    if path == ImagePath::root() {
        faults.push(Diagnostic::new(written.span.clone(), "the path is the root itself"));
        return None;
    }
    Some(path)
}

fn platforms(
    written: &Spanned<Vec<Spanned<String>>>,
    host: Option<&Platform>,
    faults: &mut Faults,
) -> Vec<Platform> {
    let mut platforms = Vec::new();
    for one in &written.value {
        let platform = match (one.value.as_str(), host) {
            ("host", Some(host)) => Some(host.clone()),
            ("host", None) => {
                faults.push(
                    Diagnostic::new(
                        one.span.clone(),
                        "this machine is of no platform that karat packs for",
                    )
                    .hint("name the platform: `linux/amd64`"),
                );
                None
            }
            _ => match one.value.parse::<Platform>() {
                Ok(platform) => Some(platform),
                Err(error) => {
                    let fault = Diagnostic::new(one.span.clone(), error.to_string());
                    faults.push(match suggestion(&one.value, Platform::names().into_iter()) {
                        Some(known) => fault.hint(format!("did you mean `{known}`?")),
                        None => fault,
                    });
                    None
                }
            },
        };
        match platform {
            Some(platform) if platforms.contains(&platform) => {
                faults.push(Diagnostic::new(
                    one.span.clone(),
                    format!("`{platform}` is listed twice"),
                ));
            }
            Some(platform) => platforms.push(platform),
            None => {}
        }
    }
    if written.value.is_empty() {
        faults.push(
            Diagnostic::new(written.span.clone(), "no platform is listed")
                .hint("`platforms = [\"linux/amd64\"]`, or `[\"host\"]`"),
        );
    }
    platforms
}

fn vars(
    written: BTreeMap<String, Spanned<schema::Var>>,
    faults: &mut Faults,
) -> BTreeMap<String, Var> {
    let mut vars = BTreeMap::new();
    for (name, var) in written {
        let mut bytes = name.bytes();
        let valid = bytes.next().is_some_and(|c| c.is_ascii_lowercase())
            && bytes
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_');
        if !valid || placeholder::PLATFORM.contains(&name.as_str()) {
            faults.push(
                Diagnostic::new(var.span, format!("`{name}` cannot be the name of a var")).hint(format!(
                    "lower-case letters, digits, `-` and `_`, starting with a letter, and none of {}",
                    placeholder::PLATFORM.join(", ")
                )),
            );
            continue;
        }
        match regex::Regex::new(&format!(r"\A(?:{})\z", var.value.pattern.value)) {
            Ok(pattern) => {
                let written = var.value.pattern.value;
                vars.insert(name, Var { pattern, written, default: var.value.default });
            }
            Err(error) => faults.push(
                Diagnostic::new(var.value.pattern.span, "the pattern is no regular expression")
                    .hint(
                        error
                            .to_string()
                            .lines()
                            .last()
                            .unwrap_or("")
                            .trim_start_matches("error: ")
                            .to_owned(),
                    ),
            ),
        }
    }
    vars
}

fn templates(
    written: BTreeMap<String, Spanned<String>>,
    vars: &BTreeMap<String, Var>,
    faults: &mut Faults,
) -> BTreeMap<String, Template> {
    let mut templates = BTreeMap::new();
    for (key, text) in written {
        match Template::parse(&text.value) {
            Ok(template) => {
                for name in template.names().filter(|name| !vars.contains_key(*name)) {
                    let fault =
                        Diagnostic::new(text.span.clone(), format!("no var `{name}` is declared"));
                    faults.push(match suggestion(name, vars.keys()) {
                        Some(known) => fault.hint(format!("did you mean `{{{known}}}`?")),
                        None => fault.hint(format!(
                            "declare it: `[vars]` and `{name} = {{ pattern = '…' }}`; `{{{{` stands for a brace"
                        )),
                    });
                }
                templates.insert(key, template);
            }
            Err(error) => faults.push(Diagnostic::new(text.span, error.to_string())),
        }
    }
    templates
}

fn user(written: &Spanned<String>, faults: &mut Faults) -> Option<User> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let plain = digits && (text == "0" || !text.starts_with('0'));
        text.parse::<u32>().ok().filter(|id| plain && *id < 1 << 31)
    };
    let (uid, gid) = match written.value.split_once(':') {
        Some((uid, gid)) => (number(uid), number(gid)),
        None => (number(&written.value), number(&written.value)),
    };
    match (uid, gid) {
        (Some(uid), Some(gid)) => Some(User { uid, gid }),
        _ => {
            faults.push(
                Diagnostic::new(
                    written.span.clone(),
                    format!("`{}` is no user in numbers, `UID:GID`", written.value),
                )
                .hint(
                    "names cannot be verified by a cluster (`runAsNonRoot`): write `65532:65532`",
                ),
            );
            None
        }
    }
}

fn mode(written: &Spanned<String>, faults: &mut Faults) -> Option<u32> {
    let octal = (3..=4).contains(&written.value.len())
        && written.value.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    match u32::from_str_radix(&written.value, 8) {
        Ok(bits) if octal => Some(bits),
        _ => {
            let message = format!("`{}` is no mode of three or four octal digits", written.value);
            faults.push(Diagnostic::new(written.span.clone(), message).hint("`\"0444\"`"));
            None
        }
    }
}

fn port(written: &Spanned<String>, faults: &mut Faults) -> Option<String> {
    let (number, protocol) = written.value.split_once('/').unwrap_or((&written.value, "tcp"));
    let plain = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
    match number.parse::<u16>() {
        Ok(port) if plain && matches!(protocol, "tcp" | "udp" | "sctp") => {
            Some(format!("{port}/{protocol}"))
        }
        _ => {
            faults.push(
                Diagnostic::new(written.span.clone(), format!("`{}` is no port", written.value))
                    .hint("`\"8080/tcp\"`"),
            );
            None
        }
    }
}

fn stop_signal(written: &Spanned<String>, faults: &mut Faults) {
    let named = written.value.strip_prefix("SIG").is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .bytes()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, b'+' | b'-'))
    });
    let numbered = written.value.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number));
    if !named && !numbered {
        faults.push(
            Diagnostic::new(written.span.clone(), format!("`{}` is no signal", written.value))
                .hint("`SIGTERM`"),
        );
    }
}
