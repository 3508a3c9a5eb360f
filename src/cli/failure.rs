//! What goes wrong, with the exit code and with what helps.

use super::scan::OTHER_IMAGE;
use super::settings::SettingsError;
use karat::assemble::input::InputError;
use karat::assemble::{AssembleError, Fault, FaultError};
use karat::attest::recorded::RecordError;
use karat::base::assembly::AssemblyError;
use karat::base::lock::LockError;
use karat::base::mirror::MirrorError;
use karat::base::{self, BaseError};
use karat::finding::diagnostic::{Diagnostic, Diagnostics};
use karat::finding::escape;
use karat::http::{Fault as HttpFault, HttpError, Refused};
use karat::image::stored::StoredError;
use karat::oci::reference::InvalidReference;
use karat::pipeline::build::BuildError;
use karat::pipeline::clearance::ClearanceError;
use karat::pipeline::inspect::InspectError;
use karat::pipeline::mirror as mirroring;
use karat::pipeline::rebase::RebaseError;
use karat::pipeline::rebuild::RebuildError;
use karat::pipeline::sbom::SbomError;
use karat::pipeline::transfer::TransferError;
use karat::pipeline::vouched::VouchedError;
use karat::publish::PublishError;
use karat::publish::registry::PushError;
use karat::recipe::Recipe;
use karat::registry::{RegistryError, WriteError};
use karat::settings::ProfileTie;
use karat::signature;
use std::fmt::Write;
use std::path::Path;

/// How many missing inputs are listed.
const MISSING_SHOWN: usize = 20;

/// Done; for a judging command: accepted.
pub(super) const CODE_DONE: u8 = 0;
/// Judged and rejected.
pub(super) const CODE_REJECTED: u8 = 1;
/// What the user gave is wrong.
pub(super) const CODE_USAGE: u8 = 2;
/// The work could not be done; trying again may help.
pub(super) const CODE_FAILED: u8 = 3;

/// A command that did not do its work.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: u8,
    pub(super) message: String,
    pub(super) hint: Option<String>,
    /// The places in a file that a user wrote.
    pub(super) diagnostics: Option<Box<Diagnostics>>,
}

impl Failure {
    /// The user gave something wrong.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self { code: CODE_USAGE, message: message.into(), hint: None, diagnostics: None }
    }

    /// The work could not be done.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self { code: CODE_FAILED, ..Self::usage(message) }
    }

    /// Writes the failure for scripts, `karat.error/v1`.
    pub(super) fn to_json(&self) -> serde_json::Value {
        let mut error = serde_json::json!({
            "schema": "karat.error/v1",
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
        });
        if let Some(diagnostics) = &self.diagnostics {
            error["faults"] = serde_json::json!(diagnostics.located());
        }
        error
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Makes a failure of a build's error; the recipe gives its lines.
    pub(super) fn of_build(error: BuildError, recipe: &Recipe) -> Self {
        let diagnosed = |faults: Vec<Diagnostic>, code| {
            let diagnostics = Diagnostics::new(&recipe.file, &recipe.text, faults);
            Self {
                code,
                diagnostics: Some(Box::new(diagnostics)),
                ..Self::usage(format!("`{}` cannot be built", recipe.file))
            }
        };
        match error {
            BuildError::Assemble(AssembleError::Faults(faults)) => {
                let transient = faults.iter().all(|fault| {
                    matches!(&fault.error, FaultError::Input(input) if input.is_transient())
                });
                diagnosed(
                    faults.iter().map(|fault| diagnose(fault, recipe)).collect(),
                    if transient { CODE_FAILED } else { CODE_USAGE },
                )
            }
            BuildError::Base(error) | BuildError::Assemble(AssembleError::Base(error)) => {
                match *error {
                    BaseError::Unknown(_) => {
                        let known = base::names().map(|name| format!("`{name}`")).join(" and ");
                        let hint = format!(
                            "this version has {known}; a base of the project's own is `bases/NAME.toml`"
                        );
                        diagnosed(
                            vec![
                                Diagnostic::new(recipe.base.span.clone(), error.to_string())
                                    .hint(hint),
                            ],
                            CODE_USAGE,
                        )
                    }
                    BaseError::Platform { .. } => diagnosed(
                        vec![Diagnostic::new(recipe.base.span.clone(), error.to_string()).hint(
                            "take the platform out of `platforms`; or add it to the base's own and run `karat base lock`; or use `base = \"scratch\"`",
                        )],
                        CODE_USAGE,
                    ),
                    error => error.into(),
                }
            }
            BuildError::UnknownVar(_) => {
                let known: Vec<_> = recipe.vars.keys().map(|name| format!("`{name}`")).collect();
                let hint = if known.is_empty() {
                    "it declares none".to_owned()
                } else {
                    format!("it declares {}", known.join(", "))
                };
                Self::usage(error.to_string()).hint(hint)
            }
            BuildError::MissingVar(ref name) => {
                let hint = format!("give it: `--var {name}=VALUE`");
                Self::usage(error.to_string()).hint(hint)
            }
            BuildError::UnlistedPlatform(_) => {
                let listed: Vec<_> =
                    recipe.platforms.iter().map(|one| format!("`{one}`")).collect();
                Self::usage(error.to_string()).hint(format!("it lists {}", listed.join(", ")))
            }
            BuildError::VarValue { .. } => Self::usage(error.to_string()),
            BuildError::WaiverTwice(..) => Self::usage(error.to_string())
                .hint("a report names the waiver: give one of the two another name"),
            BuildError::OtherImage { .. } => {
                Self::usage(escape::terminal(&error.to_string())).hint(OTHER_IMAGE)
            }
            BuildError::Profile(error) => error.into(),
            BuildError::Publish(error) => error.into(),
            other => Self::failed(other.to_string()),
        }
    }
}

/// Says what is wrong with a line of the recipe, and how the search for it ends.
fn diagnose(fault: &Fault, recipe: &Recipe) -> Diagnostic {
    let diagnostic = Diagnostic::new(fault.span.clone(), fault.error.to_string());
    let hint = match &fault.error {
        FaultError::Input(InputError::Missing { source_path, looked_for, nearest }) => {
            let mut hint = format!("looked for {}", looked_for.display());
            let beside = Path::new(&recipe.file).parent().map(|folder| folder.join(source_path));
            if beside.is_some_and(|beside| beside.exists()) {
                hint.push_str("\nit lies beside the recipe, and sources are relative to the project's root");
            } else if let Some(nearest) = nearest {
                let _ = write!(hint, "\nnearby lies {}", nearest.display());
            }
            if Path::new(&recipe.file).parent().is_some_and(|folder| {
                folder.ends_with("recipes")
                    && folder.canonicalize().is_ok_and(|folder| looked_for.starts_with(folder))
            }) {
                hint.push_str("\nthe project's root is the recipe's own folder, for no folder above has a `.git` or a policy file");
            }
            if let Some(make) = &fault.make {
                let _ = write!(hint, "\nmake it with `{make}`, or let `karat build --make` do so");
            }
            hint
        }
        FaultError::Input(InputError::Outside { .. }) => {
            "every link is resolved, and inputs must lie below the project's root: copy the file into the project".to_owned()
        }
        FaultError::Input(InputError::Folder { .. }) => {
            "a `[[binary]]` is one file; a folder of data is packed by `[[file]]`".to_owned()
        }
        FaultError::Input(InputError::Changed { .. }) => {
            "something still writes to it: wait until the build that makes it is done".to_owned()
        }
        FaultError::Input(InputError::Spool { .. }) => "free some space, or set TMPDIR to a folder with more".to_owned(),
        FaultError::BaseFolder { .. } => "choose a path that the base does not have".to_owned(),
        FaultError::Taken { .. } => "one entry a path".to_owned(),
        FaultError::Pin { .. } => "the file is not the one that was reviewed: find out why, or change the pin".to_owned(),
        FaultError::Sidecar { .. } => {
            "make it again for this very file; the binary may have been rebuilt since".to_owned()
        }
        FaultError::NoFolder { .. } | FaultError::Path(_) | FaultError::Input(_) => return diagnostic,
    };
    diagnostic.hint(hint)
}

impl From<VouchedError> for Failure {
    fn from(error: VouchedError) -> Self {
        match error {
            VouchedError::Stored(error) => error.into(),
            VouchedError::Database(_) => Self::failed(error.to_string()),
        }
    }
}

impl From<BaseError> for Failure {
    fn from(error: BaseError) -> Self {
        let message = error.to_string();
        let code = match () {
            () if error.is_judgement() => CODE_REJECTED,
            () if error.is_transient() => CODE_FAILED,
            () => CODE_USAGE,
        };
        let failure = Self { code, ..Self::usage(message.clone()) };
        let relock = |name: &str| {
            format!("`karat base lock {name}` writes it; review and commit the difference")
        };
        match error {
            BaseError::Definition(diagnostics)
            | BaseError::Lock(LockError::Faults(diagnostics)) => diagnostics.into(),
            BaseError::Lock(LockError::Edited(_)) => failure
                .hint("take the committed lock back, or write it anew with `karat base lock`"),
            BaseError::NoLock { ref name, .. } | BaseError::Stale { ref name, .. } => {
                failure.hint(relock(name))
            }
            BaseError::Unknown(_) => {
                failure.hint("`karat base list` shows what there is; a base of the project's own is `bases/NAME.toml`")
            }
            BaseError::Shadow { .. } => failure.hint("give the base of the project another name"),
            BaseError::Mirror(MirrorError::Unknown(archive)) => failure.hint(format!(
                "set KARAT_DEBIAN_MIRROR, or name a mirror in `{}`: `[mirrors]` and `{archive} = [\"https://HOST/PATH\"]`",
                karat::site::FILE
            )),
            BaseError::Mirror(MirrorError::Gone { .. }) => failure.hint(
                "mirrors drop old versions: name one that keeps them, such as a snapshot service, in KARAT_DEBIAN_MIRROR; or lock the base again",
            ),
            BaseError::Mirror(MirrorError::Offline(_)) => {
                failure.hint("leave out `--offline` once, and what is needed is kept in the cache")
            }
            BaseError::Expired { .. } => failure.hint(
                "the mirror is behind or somebody keeps it so: use another, or set the clock right",
            ),
            BaseError::NotSigned { .. } => failure.hint(
                "a new release may have new keys: look at where the keyring is from before you change it",
            ),
            BaseError::Differs { .. } | BaseError::DiffersWhole { .. } => failure
                .hint("lock the base again with this karat, and review what changes"),
            BaseError::Libraries(_) => failure
                .hint("add the packages that hold them to a `[[layer]]`, or leave out who asks for them"),
            BaseError::Unconnected(error) => {
                let failure = Self { code: error.code, ..Self::usage(message) };
                match error.hint {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
            BaseError::Registry(error) => error.into(),
            BaseError::Stored { error, .. } if error.is_judgement() => {
                Self { code: CODE_REJECTED, ..Self::usage(message) }
            }
            BaseError::Stored { error, .. } => Self { message, ..(*error).into() },
            BaseError::Unsigned { .. } => failure.hint(
                "nothing was written; a base is never taken unverified: ask whoever makes the image, or look at where the key or identity is from before you change it",
            ),
            BaseError::NoPlatform { .. } => {
                failure.hint("take the platform out of the definition's `platforms`, or name another image")
            }
            BaseError::Image { ref name, .. } => failure.hint(relock(name)),
            BaseError::Assembly(AssemblyError::Entry { .. }) => {
                failure.hint("leave the path out with an `[[exclude]]`, or take another package")
            }
            _ => failure,
        }
    }
}

impl From<Box<Diagnostics>> for Failure {
    fn from(diagnostics: Box<Diagnostics>) -> Self {
        let count = diagnostics.faults.len();
        let message = match count {
            1 => format!("`{}` has a fault", diagnostics.file),
            _ => format!("`{}` has {count} faults", diagnostics.file),
        };
        Self { diagnostics: Some(diagnostics), ..Self::usage(message) }
    }
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        let message = error.to_string();
        match error {
            PublishError::SomethingElse { .. } => {
                Self::usage(message).hint("name another output, or move away what is there")
            }
            PublishError::Unsupported(_) => Self::usage(message).hint(
                "write `oci:DIR[:TAG]` or `archive:FILE`; `karat push` brings it to a registry",
            ),
            PublishError::Old { .. } => {
                Self::usage(message).hint("remove the broken layout, or name another")
            }
            PublishError::Held { .. } | PublishError::Write { .. } => Self::failed(message),
        }
    }
}

impl From<InvalidReference> for Failure {
    fn from(error: InvalidReference) -> Self {
        let failure = Self::usage(error.to_string());
        match error {
            InvalidReference::Nothing(text) if text.is_empty() => {
                failure.hint("name a layout, an archive or a file")
            }
            InvalidReference::Nothing(_) => failure
                .hint("paths are relative to the current folder; layouts are `oci:DIR[:TAG]`"),
            InvalidReference::NoHost(text) => failure.hint(format!(
                "no file of that name is here either; an image is named `oci:DIR[:TAG]`, `archive:FILE` or, in a registry, `docker://registry.example/{text}`"
            )),
            InvalidReference::NoDigest(text) => {
                failure.hint(format!("`{text}@sha256:…`, or `docker://{text}`"))
            }
            InvalidReference::Malformed { .. } => failure,
        }
    }
}

impl From<StoredError> for Failure {
    fn from(error: StoredError) -> Self {
        let message = error.to_string();
        match error {
            _ if error.is_judgement() => Self { code: CODE_REJECTED, ..Self::usage(message) },
            StoredError::Io(error) => match HttpError::of_io(&error) {
                Some(http) => Self::of_http(http),
                None => Self::failed(message),
            },
            // Here the medium has failed, or else it had been a judgement.
            StoredError::Layer { .. }
            | StoredError::SavedLayer { .. }
            | StoredError::Differs { .. }
            | StoredError::Archive { .. } => Self::failed(message),
            StoredError::Several(_) => Self::usage(message).hint("name one: `oci:DIR:TAG`"),
            _ => Self::usage(message),
        }
    }
}

impl Failure {
    /// Says what helps against what went wrong with a connection.
    pub(super) fn of_http(error: &HttpError) -> Self {
        let host = error.url.origin().authority();
        let failure = Self::failed(error.to_string());
        let named = |authority: &str| {
            format!(
                "if `{authority}` belongs to the registry, name it in the policy's `[registry]`: `storage-hosts = [\"{authority}\"]`"
            )
        };
        match &error.fault {
            HttpFault::Offline => failure.hint("leave `--offline` out, or use what is on this machine"),
            HttpFault::RefusedRedirect { error: Refused::Host(authority), .. } => {
                failure.hint(named(authority))
            }
            HttpFault::RefusedRedirect { error: Refused::PlainHttp(_), .. } => {
                failure.hint("the registry gives TLS up on the way: tell whoever runs it")
            }
            HttpFault::Refused(Refused::PlainHttp(authority)) => {
                failure.hint(format!("to do so all the same, set `KARAT_PLAIN_HTTP={authority}`"))
            }
            HttpFault::Refused(_) | HttpFault::RefusedRedirect { .. } => {
                failure.hint("the hosts that may be reached are those of the command and of the policy's `[registry]`")
            }
            HttpFault::UnknownHost => {
                failure.hint("check the name, the DNS of this machine, and `HTTPS_PROXY`")
            }
            HttpFault::Connect(_) => {
                failure.hint(format!("check that `{host}` runs, and `HTTPS_PROXY` and `NO_PROXY`"))
            }
            HttpFault::Tls(_) => failure.hint(format!(
                "a private authority goes into `~/.config/containers/certs.d/{host}/ca.crt` or the file of `SSL_CERT_FILE`; a registry without TLS into `KARAT_PLAIN_HTTP`"
            )),
            HttpFault::Timeout(_) | HttpFault::Slow(_) => {
                failure.hint("try again; `KARAT_HTTP_TIMEOUT` gives a slow network more seconds")
            }
            HttpFault::Status { code: 401, .. } => {
                failure.hint(format!("log in: `docker login {host}` or `podman login {host}`"))
            }
            HttpFault::Status { code: 403, .. } => {
                failure.hint("these credentials do not have the right: ask whoever runs the registry")
            }
            HttpFault::Status { code: 404 | 405, .. } => {
                failure.hint("check the repository's name, and that it exists")
            }
            HttpFault::Status { code: 413, .. } => failure
                .hint("a proxy before the registry takes no bodies of this size: ask whoever runs it"),
            HttpFault::Status { code: 429, .. } => {
                failure.hint("the registry wants fewer requests: try again later, or log in")
            }
            HttpFault::Status { code: 500..=599, .. } | HttpFault::Broken(_) => {
                failure.hint("try again: what was sent already is not sent twice")
            }
            HttpFault::WebPage => failure.hint(format!(
                "`{host}` is no registry, or a proxy or a login page stands before it"
            )),
            _ => failure,
        }
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let message = error.to_string();
        if error.is_judgement() {
            return Self { code: CODE_REJECTED, ..Self::usage(message) };
        }
        match error {
            RegistryError::Http(error) => Self::of_http(&error),
            RegistryError::Host(_) => Self::usage(message),
            RegistryError::Missing(_) => {
                Self::failed(message).hint("check repository, tag and digest, and that you may read it")
            }
            RegistryError::RealmRefused { why: Refused::Host(authority) | Refused::Credentials(authority), .. } => {
                Self::failed(message).hint(format!(
                    "if `{authority}` gives tokens for this registry, name it in the policy's `[registry]`: `auth-hosts = [\"{authority}\"]`"
                ))
            }
            RegistryError::Keyring(_) => {
                Self::failed(message).hint("log in again: `docker login HOST` or `podman login HOST`")
            }
            RegistryError::Write(WriteError::Source { error, .. }) => match error.downcast::<StoredError>() {
                Ok(stored) => stored.into(),
                Err(error) => match karat::archive::Error::from(error) {
                    karat::archive::Error::Io(error) => match HttpError::of_io(&error) {
                        Some(http) => Self::of_http(http),
                        None => Self::failed(message),
                    },
                    // The bytes are not those of their digest.
                    _ => Self { code: CODE_REJECTED, ..Self::usage(message) },
                },
            },
            RegistryError::Write(WriteError::LostUpdate { .. }) => {
                Self::failed(message).hint("try again when nobody else signs this image")
            }
            _ => Self::failed(message),
        }
    }
}

impl From<PushError> for Failure {
    fn from(error: PushError) -> Self {
        let message = error.to_string();
        match error {
            PushError::Registry(error) => error.into(),
            PushError::Stored(error) => error.into(),
            PushError::TagMoved { .. } => Self { code: CODE_REJECTED, ..Self::usage(message) }
                .hint("use another tag; nothing was written"),
        }
    }
}

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        let message = error.to_string();
        match error {
            TransferError::Registry(error) => error.into(),
            TransferError::Stored(error) => error.into(),
            TransferError::Publish(error) => error.into(),
            TransferError::Push(error) => error.into(),
            TransferError::Graph(_) => Self { code: CODE_REJECTED, ..Self::usage(message) },
            TransferError::NoDigest { digest, .. } => {
                Self::usage(message).hint(format!("name it with its digest: `@{digest}`"))
            }
            TransferError::NotAllowed(_) => Self { code: CODE_REJECTED, ..Self::usage(message) }
                .hint("`[registry]` lists the places: `publish`, `staging`, `allow`"),
            TransferError::Host(_) => Self { code: CODE_REJECTED, ..Self::usage(message) }
                .hint("with `allowlist-only`, only the hosts of `[registry]` are reached"),
            TransferError::Source(_) | TransferError::Destination(_) => Self::usage(message),
        }
    }
}

impl From<ClearanceError> for Failure {
    fn from(error: ClearanceError) -> Self {
        let message = error.to_string();
        match error {
            ClearanceError::Stored(error) => error.into(),
            ClearanceError::Inspect(error) => error.into(),
            ClearanceError::Transfer(error) => (*error).into(),
            ClearanceError::Sign(_) => Self::failed(message),
            ClearanceError::NotTheirs(..) => Self { code: CODE_REJECTED, ..Self::usage(message) }
                .hint("a `[[trust]]` of the policy lets a key sign with `statements = [\"vsa\"]`"),
        }
    }
}

impl From<mirroring::MirrorError> for Failure {
    fn from(error: mirroring::MirrorError) -> Self {
        use mirroring::{MirrorError, ScanError};
        let message = error.to_string();
        match error {
            MirrorError::Transfer(error) => (*error).into(),
            MirrorError::Clearance(error) => (*error).into(),
            MirrorError::Scan(error) => match *error {
                ScanError::Sbom(error) => error.into(),
                ScanError::Database(_) => Self::failed(message),
            },
            MirrorError::Source(_) => Self { code: CODE_REJECTED, ..Self::usage(message) }
                .hint("add the host or the place to `[mirror] sources` of the policy"),
            MirrorError::Place(_) => Self::usage(message),
        }
    }
}

impl From<RebaseError> for Failure {
    fn from(error: RebaseError) -> Self {
        let message = error.to_string();
        match error {
            RebaseError::NotSigned(_) => Self { code: CODE_REJECTED, ..Self::usage(message) },
            RebaseError::NotOurs(..) => Self::usage(message).hint(
                "only what `karat build` has made on a base with layers is put on another; build the image again",
            ),
            RebaseError::Stored(error) if error.is_judgement() => {
                Self { code: CODE_REJECTED, ..Self::usage(message) }
            }
            RebaseError::Stored(error) => error.into(),
            RebaseError::Base(error) => (*error).into(),
            RebaseError::Publish(error) => error.into(),
            RebaseError::Profile(error) => error.into(),
            RebaseError::Write(_) | RebaseError::Sign(_) | RebaseError::Database(_) => {
                Self::failed(message)
            }
        }
    }
}

impl From<signature::Error> for Failure {
    fn from(error: signature::Error) -> Self {
        let message = error.to_string();
        match error {
            signature::Error::Service { may_help: false, .. } => Self::usage(message),
            signature::Error::Service { .. } | signature::Error::Unverified(_) => {
                Self::failed(message)
            }
            _ => Self::usage(message),
        }
    }
}

impl From<RebuildError> for Failure {
    fn from(error: RebuildError) -> Self {
        let message = error.to_string();
        let checkout = |commit: &Option<String>| match commit {
            Some(commit) => format!("the recipe is of the commit {commit}: check that out"),
            None => "check out the state that it was built from".to_owned(),
        };
        match error {
            RebuildError::NoProvenance { .. } => Self { code: CODE_REJECTED, ..Self::usage(message) }
                .hint("`karat verify` shows what was looked at; `karat build --sign` records how an image is built"),
            RebuildError::Record { error: RecordError::Malformed(_), .. } => {
                Self { code: CODE_REJECTED, ..Self::usage(message) }
            }
            RebuildError::Record { .. } => Self::usage(message),
            RebuildError::Format { karat, .. } => Self::usage(message).hint(format!(
                "it was built by karat {}",
                escape::terminal(&karat)
            )),
            RebuildError::Missing { missing, commit, .. } => {
                let shown = missing.iter().take(MISSING_SHOWN).map(|one| {
                    format!("  {} {} {}", one.digest, one.kind, escape::terminal(&one.name))
                });
                let list = shown.collect::<Vec<_>>().join("\n");
                let rest = match missing.len().saturating_sub(MISSING_SHOWN) {
                    0 => String::new(),
                    more => format!("\n  and {more} more"),
                };
                Self::usage(message).hint(format!(
                    "name the folder that has them, `--inputs DIR`; {}\n{list}{rest}",
                    checkout(&commit)
                ))
            }
            RebuildError::Many(_) => Self::usage(message).hint("name a smaller folder: `--inputs DIR`"),
            RebuildError::Recipe(diagnostics) => diagnostics.into(),
            RebuildError::Base { commit, .. } => Self::usage(message).hint(format!(
                "bases are those of the project here, by their locks; {}",
                checkout(&commit)
            )),
            RebuildError::Inputs { .. } => Self { code: CODE_REJECTED, ..Self::usage(message) },
            RebuildError::Build { error, recipe } => Self::of_build(*error, &recipe),
            RebuildError::Stored(error) => error.into(),
            RebuildError::Read { .. } | RebuildError::Write(_) => Self::failed(message),
        }
    }
}

impl From<InspectError> for Failure {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Stored(error) => error.into(),
            InspectError::Open { ref error, .. }
                if error.kind() == std::io::ErrorKind::NotFound =>
            {
                Self::usage(error.to_string())
            }
            InspectError::Open { .. } | InspectError::File { .. } => {
                Self::failed(error.to_string())
            }
            InspectError::Unsupported(_) => Self::usage(error.to_string())
                .hint("copy the image to a layout or an archive first"),
            InspectError::Folder(_) => Self::failed(error.to_string()),
            InspectError::Special { .. } | InspectError::Empty(_) => Self::usage(error.to_string()),
            InspectError::Database(_) => Self::failed(error.to_string()),
        }
    }
}

impl From<SbomError> for Failure {
    fn from(error: SbomError) -> Self {
        match error {
            SbomError::Inspect(error) => error.into(),
            SbomError::NoPlatform { .. } => Self::usage(error.to_string()),
            SbomError::Folder(_) => {
                Self::usage(error.to_string()).hint("name an image, or one file of the folder")
            }
        }
    }
}

impl From<ProfileTie> for Failure {
    fn from(error: ProfileTie) -> Self {
        Self::usage(error.to_string()).hint("make one of the two patterns narrower")
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        let failure = if error.is_transient() {
            Self::failed(error.to_string())
        } else {
            Self::usage(error.to_string())
        };
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
