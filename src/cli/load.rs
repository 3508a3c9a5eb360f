//! `karat load`.

use super::args::{self, Engine};
use super::failure::{CODE_DONE, Failure};
use super::meter::Meter;
use super::output::{Output, bytes};
use super::{network, settings, verify};
use karat::finding::escape;
use karat::image::stored::Stored;
use karat::oci::reference::is_hosted_repository;
use karat::oci::{Descriptor, Platform, Reference};
use karat::pipeline::transfer::{self, Origin};
use karat::publish::Destination;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Those that are looked for when none is named.
const USUAL: [Engine; 3] = [Engine::Docker, Engine::Podman, Engine::Nerdctl];
/// The tag under which an image is loaded.
const TAG: &str = "local";

pub(super) fn run(args: &args::Load, output: &Output) -> Result<u8, Failure> {
    let reference = Reference::parse(&args.reference, |path| path.symlink_metadata().is_ok())?;
    let name = name(args.name.as_deref(), &reference)?;
    let platform = match &args.platform {
        Some(text) => Some(text.parse().map_err(|error| Failure::usage(format!("{error}")))?),
        None => None,
    };
    let (engine, program) = engine(args.to)?;
    let policy = settings::policy_here(&args.policy)?.policy;
    let mut origin = match &reference {
        Reference::Registry { .. } => {
            network::origin(&reference, &policy, args.offline, false, output)?
        }
        _ => {
            let (stored, root) = verify::local(&reference)?;
            Origin { stored, root, repository: None, by_tag: None }
        }
    };
    origin.root = of_platform(&origin.stored, &origin.root, platform)?;
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::failed(format!("a temporary folder cannot be made: {error}")))?;
    let file = folder.path().join("image.tar");
    let pulled = {
        let _meter = Meter::start(&name, &origin.stored.progress, output);
        transfer::pull(&origin, &name, &Destination::Archive(file.clone()))?
    };
    output.tell(&format!("{}, checked; goes to {}", bytes(pulled.bytes), program.display()));
    import(engine, &program, &file)?;
    let digest = origin.root.digest;
    if output.is_json() {
        output.json(&json!({
            "schema": "karat.load/v1",
            "source": reference.to_string(),
            "name": format!("{name}:{TAG}"),
            "digest": digest,
        }));
    } else {
        output.result(&escape::terminal(&format!("{name}:{TAG}")));
    }
    Ok(CODE_DONE)
}

/// Returns what the image is called in the engine.
fn name(named: Option<&str>, reference: &Reference) -> Result<String, Failure> {
    let of_folder = |dir: &Path| {
        let last = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        // `dist/NAME/image` is where a build puts it.
        match last(dir).as_deref() {
            Some("image") => dir.parent().and_then(last),
            _ => last(dir),
        }
    };
    let name = match (named, reference) {
        (Some(name), _) => Some(name.to_owned()),
        (None, Reference::Registry { repository, .. }) => Some(repository.clone()),
        (None, Reference::Layout { dir, .. }) => of_folder(dir),
        (None, Reference::Archive(path) | Reference::Path(path)) => {
            of_folder(&path.with_extension(""))
        }
        (None, _) => None,
    };
    let name = name.unwrap_or_default();
    match is_hosted_repository(&format!("registry.example/{name}")) {
        true => Ok(name),
        false => Err(Failure::usage(format!("`{name}` is no name of an image"))
            .hint("give one: `--name NAME`, of lower-case letters, digits, `-`, `.`, `_` and `/`")),
    }
}

/// Returns the program of an engine and where it is.
fn engine(named: Option<Engine>) -> Result<(Engine, PathBuf), Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = |engine: Engine| {
        let places = std::env::split_paths(&path).map(|folder| folder.join(program(engine)));
        places.into_iter().find(|place| place.is_file()).map(|place| (engine, place))
    };
    match named {
        Some(engine) => found(engine).ok_or_else(|| {
            Failure::failed(format!("there is no `{}` on this machine", program(engine)))
                .hint("install it, or name another engine: `--to`")
        }),
        None => USUAL.into_iter().find_map(found).ok_or_else(|| {
            Failure::failed("there is no docker, podman or nerdctl on this machine")
                .hint("install one, or copy the image to a layout: `karat pull`")
        }),
    }
}

fn program(engine: Engine) -> &'static str {
    match engine {
        Engine::Docker => "docker",
        Engine::Podman => "podman",
        Engine::Nerdctl => "nerdctl",
        Engine::Ctr => "ctr",
        Engine::Kind => "kind",
    }
}

/// Returns the manifest of the platform that is loaded: engines hold one.
fn of_platform(
    stored: &Stored,
    root: &Descriptor,
    named: Option<Platform>,
) -> Result<Descriptor, Failure> {
    let manifests = stored.manifests(root)?;
    let mut has = Vec::new();
    for manifest in &manifests {
        let (_, config) = stored.documents(manifest)?;
        has.push((config.platform().known(), manifest));
    }
    let wanted = named.clone().or_else(Platform::host);
    if let Some((_, manifest)) = has.iter().find(|(of, _)| of.is_some() && *of == wanted) {
        return Ok((*manifest).clone());
    }
    // What an emulator runs, it runs; nobody has asked for another.
    if let ([(_, only)], None) = (&has[..], named) {
        return Ok((*only).clone());
    }
    let names = has.iter().flat_map(|(of, _)| of).map(ToString::to_string);
    let names: Vec<_> = names.collect();
    Err(Failure::usage("the image has nothing for this platform")
        .hint(format!("it has {}: `--platform`", names.join(", "))))
}

/// Gives an archive to an engine.
fn import(engine: Engine, program: &Path, file: &Path) -> Result<(), Failure> {
    let words: &[&str] = match engine {
        Engine::Docker | Engine::Podman | Engine::Nerdctl => &["load", "--input"],
        Engine::Ctr => &["--namespace", "k8s.io", "images", "import"],
        Engine::Kind => &["load", "image-archive"],
    };
    let status = Command::new(program)
        .args(words)
        .arg(file)
        .stdin(Stdio::null())
        // The result is ours to print.
        .stdout(std::io::stderr())
        .status()
        .map_err(|error| {
            Failure::failed(format!("`{}` could not be run: {error}", program.display()))
        })?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::failed(format!(
            "`{} {}` failed: {status}",
            program.display(),
            words.join(" ")
        ))
        .hint("what it printed above says why; is its daemon running?")),
    }
}
