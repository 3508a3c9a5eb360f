//! What goes into the added layer: declared entries, and the folders above them that
//! the base does not have.

use super::input::InputError;
use super::sidecar::{self, MAX_SIDECAR, SidecarError};
use super::{AssembleError, Fault, FaultError, Input, Request, Role};
use crate::binary::ReadAt as _;
use crate::finding::diagnostic::Span;
use crate::image::tree::{self, Unresolved};
use crate::image::{Entry, Kind, Layer, Tree};
use crate::oci::ImagePath;
use crate::recipe::{self, User};
use crate::store::{Content, Spool, SpoolRoom};
use std::collections::BTreeMap;
use std::sync::Arc;

const ROOT: User = User { uid: 0, gid: 0 };
/// The mode of a folder that is made because something lies in it.
const FOLDER: u32 = 0o755;
/// The mode of an executable.
const EXECUTABLE: u32 = 0o555;

/// Reads the recipe's executables, in its order. Needs no base, unlike what follows.
pub(super) fn read_binaries(
    request: Request<'_>,
    room: &SpoolRoom,
) -> Vec<Result<Content, InputError>> {
    let read = |binary: &recipe::Binary| {
        let source = binary.source.path(request.platform);
        let located = request.project.locate(&source)?;
        Ok(Content::whole(Arc::new(request.project.copy(&source, &located, room)?)))
    };
    request.recipe.binaries.iter().map(read).collect()
}

/// Reads the other inputs and lists the entries of the added layer in byte order.
///
/// # Errors
/// Every fault of the recipe's lines together.
pub(super) fn entries(
    request: Request<'_>,
    base: &[Layer],
    binaries: Vec<Result<Content, InputError>>,
    room: &SpoolRoom,
) -> Result<(Vec<Entry>, Vec<Input>), AssembleError> {
    let mut rootfs = Rootfs {
        request,
        room,
        base: Tree::of(base),
        entries: BTreeMap::new(),
        inputs: Vec::new(),
        faults: Vec::new(),
    };
    for (binary, content) in request.recipe.binaries.iter().zip(binaries) {
        rootfs.binary(binary, content);
    }
    for file in &request.recipe.files {
        rootfs.file(file);
    }
    for directory in &request.recipe.directories {
        rootfs.put(
            &directory.path,
            Kind::Directory,
            directory.mode,
            directory.owner,
            &directory.span,
        );
    }
    for link in &request.recipe.links {
        let target = Kind::Symlink(link.target.as_str().as_bytes().to_vec());
        rootfs.put(&link.path, target, 0o777, ROOT, &link.span);
    }
    rootfs.finish()
}

struct Rootfs<'a> {
    request: Request<'a>,
    room: &'a SpoolRoom,
    base: Tree<'a>,
    entries: BTreeMap<Vec<u8>, Placed>,
    inputs: Vec<Input>,
    faults: Vec<Fault>,
}

struct Placed {
    entry: Entry,
    /// The line that declared it; none for folders that are made on the way.
    span: Option<Span>,
}

impl Rootfs<'_> {
    fn fault(&mut self, span: &Span, error: impl Into<FaultError>) {
        self.faults.push(Fault { span: span.clone(), error: error.into(), make: None });
    }

    fn binary(&mut self, binary: &recipe::Binary, content: Result<Content, InputError>) {
        let platform = self.request.platform;
        let source = binary.source.path(platform);
        let span = &binary.source.span;
        match content {
            Ok(content) => {
                self.note(&source, &content, &binary.path, Role::Binary);
                if let Some(pin) =
                    binary.sha256.get(platform).filter(|pin| **pin != content.sha256())
                {
                    let (pinned, found) = (pin.to_string(), content.sha256().to_string());
                    self.fault(span, FaultError::Pin { pinned, found });
                }
                self.sidecars(binary, &content);
                self.put(&binary.path, Kind::File(content), EXECUTABLE, ROOT, span);
            }
            Err(error) => {
                let make = binary
                    .make
                    .as_deref()
                    .map(|make| recipe::placeholder::for_platform(make, platform));
                self.faults.push(Fault { span: span.clone(), error: error.into(), make });
            }
        }
    }

    /// Reads what comes with a binary, and makes sure that it is about these bytes.
    fn sidecars(&mut self, binary: &recipe::Binary, content: &Content) {
        type Check = fn(&[u8], &crate::oci::Digest) -> Result<(), SidecarError>;
        let sbom = binary.sbom.as_ref().map(|one| (one, sidecar::check_sbom as Check, false));
        let provenance =
            binary.provenance.as_ref().map(|one| (one, sidecar::check_provenance as Check, true));
        for (source, check, carried) in sbom.into_iter().chain(provenance) {
            let path = source.path(self.request.platform);
            match self.sidecar(&path) {
                Err(error) => self.fault(&source.span, error),
                Ok(bytes) => match check(&bytes, &content.sha256()) {
                    Err(error) => {
                        self.fault(&source.span, FaultError::Sidecar { source_path: path, error });
                    }
                    Ok(()) => {
                        let read = Content::whole(Arc::new(Spool::of(bytes.clone())));
                        let role = if carried { Role::Provenance(bytes) } else { Role::Sbom };
                        self.note(&path, &read, &binary.path, role);
                    }
                },
            }
        }
    }

    fn sidecar(&self, source: &str) -> Result<Vec<u8>, FaultError> {
        let located = self.request.project.locate(source)?;
        let spool = self.request.project.copy(source, &located, self.room)?;
        if spool.len() > MAX_SIDECAR {
            let error = SidecarError::Long;
            return Err(FaultError::Sidecar { source_path: source.to_owned(), error });
        }
        let read = spool.read_vec(0, MAX_SIDECAR as usize);
        read.map_err(|error| InputError::Read { source_path: source.to_owned(), error }.into())
    }

    fn note(&mut self, source: &str, content: &Content, path: &ImagePath, role: Role) {
        self.inputs.push(Input {
            source: source.trim_start_matches("./").to_owned(),
            path: path.clone(),
            content: content.clone(),
            role,
        });
    }

    fn copy(
        &mut self,
        source: &str,
        located: &std::path::Path,
        path: &ImagePath,
    ) -> Result<Content, InputError> {
        let spool = self.request.project.copy(source, located, self.room)?;
        let content = Content::whole(Arc::new(spool));
        self.note(source, &content, path, Role::File);
        Ok(content)
    }

    fn file(&mut self, file: &recipe::File) {
        let source = file.source.path(self.request.platform);
        let span = &file.source.span;
        let located = match self.request.project.locate(&source) {
            Ok(located) => located,
            Err(error) => return self.fault(span, error),
        };
        if located.is_dir() {
            return self.folder(file, &source, &located);
        }
        let path = if file.into {
            file.path.join(source.trim_end_matches('/').rsplit('/').next().unwrap_or_default())
        } else {
            Ok(file.path.clone())
        };
        match path {
            Err(error) => self.fault(span, error),
            Ok(path) => match self.copy(&source, &located, &path) {
                Ok(content) => self.put(&path, Kind::File(content), file.mode, file.owner, span),
                Err(error) => self.fault(span, error),
            },
        }
    }

    fn folder(&mut self, file: &recipe::File, source: &str, located: &std::path::Path) {
        let span = &file.source.span;
        let found = match self.request.project.list(source, located) {
            Ok(found) => found,
            Err(error) => return self.fault(span, error),
        };
        let mut exclude = globset::GlobSetBuilder::new();
        for glob in &file.exclude {
            exclude.add(glob.clone());
        }
        // `check` has built every glob once already.
        let exclude = exclude.build().unwrap_or_else(|_| globset::GlobSet::empty());
        let excluded = |below: &str| {
            let mut ends = below.match_indices('/').map(|(at, _)| at).chain([below.len()]);
            ends.any(|end| exclude.is_match(&below[..end]))
        };
        for one in found.iter().filter(|one| !excluded(&one.below)) {
            let path = match file.path.join(&one.below) {
                Ok(path) => path,
                Err(error) => {
                    self.fault(span, error);
                    continue;
                }
            };
            if one.folder {
                if !self.base.has_folder(path.relative().as_bytes()) {
                    self.put(&path, Kind::Directory, FOLDER, file.owner, span);
                }
                continue;
            }
            let shown = format!("{}/{}", source.trim_end_matches('/'), one.below);
            match self.copy(&shown, &one.file, &path) {
                Ok(content) => self.put(&path, Kind::File(content), file.mode, file.owner, span),
                Err(error) => self.fault(span, error),
            }
        }
    }

    /// Puts an entry where the base's links lead, with the folders above it.
    fn put(&mut self, path: &ImagePath, kind: Kind, mode: u32, owner: User, span: &Span) {
        let wanted = path.relative().as_bytes();
        let resolved = match self.base.resolve_parents(wanted) {
            Ok(resolved) => resolved,
            Err(
                Unresolved::NotAFolder(parent)
                | Unresolved::Loop(parent)
                | Unresolved::Missing(parent),
            ) => {
                return self.fault(span, FaultError::NoFolder { path: path.to_string(), parent });
            }
            // The base is pinned, and its links are few.
            Err(Unresolved::TooFar) => {
                let parent = crate::image::shown(wanted);
                return self.fault(span, FaultError::NoFolder { path: path.to_string(), parent });
            }
        };
        let is_folder_of_base = match self.base.resolve(&resolved) {
            Ok(at) => self.base.has_folder(&at),
            Err(_) => false,
        };
        if is_folder_of_base {
            return self.fault(span, FaultError::BaseFolder { path: path.to_string() });
        }
        let mut folder = tree::split(&resolved).0;
        while !folder.is_empty() && !self.base.has_folder(folder) {
            let implied =
                || Placed { entry: entry(folder, Kind::Directory, FOLDER, ROOT), span: None };
            let placed = self.entries.entry(folder.to_vec()).or_insert_with(implied);
            if !matches!(placed.entry.kind, Kind::Directory) {
                let parent = crate::image::shown(folder);
                return self.fault(span, FaultError::NoFolder { path: path.to_string(), parent });
            }
            folder = tree::split(folder).0;
        }
        let new = entry(&resolved, kind, mode, owner);
        match self.entries.get(&resolved) {
            // A folder that was made on the way takes the attributes that a line declares.
            Some(Placed { span: None, .. }) if matches!(new.kind, Kind::Directory) => {}
            None => {}
            Some(taken) => {
                let by = match &taken.span {
                    Some(by) => self.request.recipe.text.get(by.clone()).unwrap_or_default(),
                    None => "a folder that another entry lies in",
                };
                let by = by.lines().next().unwrap_or_default().to_owned();
                return self.fault(span, FaultError::Taken { path: path.to_string(), by });
            }
        }
        self.entries.insert(resolved, Placed { entry: new, span: Some(span.clone()) });
    }

    fn finish(mut self) -> Result<(Vec<Entry>, Vec<Input>), AssembleError> {
        if !self.faults.is_empty() {
            return Err(AssembleError::Faults(self.faults));
        }
        self.inputs.sort_by(|a, b| (&a.source, &a.path).cmp(&(&b.source, &b.path)));
        Ok((self.entries.into_values().map(|placed| placed.entry).collect(), self.inputs))
    }
}

fn entry(path: &[u8], kind: Kind, mode: u32, owner: User) -> Entry {
    Entry {
        path: path.to_vec(),
        kind,
        mode,
        uid: owner.uid.into(),
        gid: owner.gid.into(),
        // The epoch is written by `layer`, into every entry alike.
        mtime: 0,
        xattrs: Vec::new(),
    }
}
