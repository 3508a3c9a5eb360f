//! Moving images: from a registry to a layout or an archive, from a layout into a registry,
//! and from one registry to another, always with all platforms and all that refers to them.

use crate::http::{Access, HostPolicy};
use crate::image::graph::{Graph, GraphError};
use crate::image::stored::{Stored, StoredError};
use crate::oci::document::{MAX_MANIFEST, Manifest};
use crate::oci::layout::blob_path;
use crate::oci::legacy::{self, Legacy};
use crate::oci::{Descriptor, Digest, Reference};
use crate::publish::registry::{Push, PushError, Receipt, push};
use crate::publish::{self, Destination, PublishError, Release, Staging};
use crate::registry::{self, Purpose, Registries, RegistryError, Repository};
use crate::settings::{self, Standing};
use crate::sign::legacy as old_form;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// How many blobs travel at once.
const AT_ONCE: usize = 4;

/// Why an image was not moved.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TransferError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Stored(#[from] StoredError),
    #[error(transparent)]
    Graph(GraphError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Push(#[from] PushError),
    #[error("`{0}` is nothing that images are read from here")]
    Source(Reference),
    #[error("`{0}` is no place in a registry")]
    Destination(Reference),
    #[error(
        "`{place}` names an image by a tag, which leads to {digest} now, and the policy demands a digest"
    )]
    NoDigest { place: String, digest: Digest },
    #[error("the policy does not let anything be written to `{0}`")]
    NotAllowed(String),
    #[error("`{0}` is a host that the policy does not let be reached")]
    Host(String),
}

impl From<GraphError> for TransferError {
    fn from(error: GraphError) -> Self {
        match error {
            GraphError::Stored(error) => Self::Stored(error),
            other => Self::Graph(other),
        }
    }
}

/// An image where it is now.
#[derive(Debug)]
pub struct Origin {
    /// Its parts.
    pub stored: Stored,
    /// The manifest or index.
    pub root: Descriptor,
    /// The repository, when it is in a registry.
    pub repository: Option<Repository>,
    /// The tag that was asked for without a digest.
    pub by_tag: Option<String>,
}

/// What a pull has fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// How many blobs were fetched, manifests not counted.
    pub fetched: usize,
    /// How many bytes those have.
    pub bytes: u64,
    /// How many blobs were in the layout already.
    pub present: usize,
    /// How many manifests refer to the image.
    pub referrers: usize,
}

/// Says which hosts may be reached for these references: those that the policy names, each for
/// what it is named for, and, unless the policy forbids it, those of the references. Nothing
/// is written but to `destination`.
///
/// # Errors
/// A host that the policy does not let be reached.
pub fn hosts(
    policy: Option<&settings::Registry>,
    sources: &[&Reference],
    destination: Option<&Reference>,
    plain: &[String],
) -> Result<HostPolicy, TransferError> {
    let mut hosts = HostPolicy::new();
    let none = |host: &str| TransferError::Host(host.to_owned());
    for host in plain {
        hosts.allow_plain_http(host).map_err(|_| none(host))?;
    }
    let of = |reference: &Reference| match reference {
        Reference::Registry { host, .. } => Some(host.clone()),
        _ => None,
    };
    let named = sources.iter().filter_map(|one| of(one)).map(|host| (host, Access::READ));
    let named = named.chain(destination.and_then(of).map(|host| (host, Access::WRITE)));
    for (host, access) in named {
        if let Some(policy) = policy
            && policy.allowlist_only
            && !policy.hosts().any(|known| known == host)
        {
            return Err(none(&host));
        }
        registry::allow(&mut hosts, &host, access)?;
    }
    if let Some(policy) = policy {
        for host in &policy.storage_hosts {
            hosts.allow(host, Access::STORAGE).map_err(|_| none(host))?;
        }
        for host in &policy.auth_hosts {
            hosts.allow(host, Access::TOKENS).map_err(|_| none(host))?;
        }
    }
    Ok(hosts)
}

/// Returns the reference under which an image is read here: that of its mirror, where the policy
/// names one, or the same.
pub fn mirrored(policy: Option<&settings::Registry>, reference: &Reference) -> Reference {
    let Reference::Registry { host, repository, tag, digest } = reference else {
        return reference.clone();
    };
    let own = format!("{host}/{repository}");
    let place = policy.map_or_else(|| own.clone(), |policy| policy.mirrored(&own));
    match place.split_once('/') {
        Some((host, repository)) => Reference::Registry {
            host: host.to_owned(),
            repository: repository.to_owned(),
            tag: tag.clone(),
            digest: *digest,
        },
        None => reference.clone(),
    }
}

/// Makes sure that a policy lets something be written to a place, and says whether it is to be
/// judged first.
///
/// # Errors
/// When the policy has a list of places and this is on none.
pub fn standing(
    policy: Option<&settings::Registry>,
    destination: &Reference,
) -> Result<Standing, TransferError> {
    let Reference::Registry { host, repository, .. } = destination else {
        return Err(TransferError::Destination(destination.clone()));
    };
    let Some(policy) = policy else { return Ok(Standing::Unknown) };
    let place = format!("{host}/{repository}");
    match policy.standing(&place) {
        Standing::Unknown => Err(TransferError::NotAllowed(place)),
        known => Ok(known),
    }
}

/// Opens an image where a reference says that it is; with `referrers`, what refers to it is
/// listed too.
///
/// # Errors
/// When it is not there, or the policy demands a digest and there is none.
pub fn open(
    registries: &Registries,
    reference: &Reference,
    require_digest: bool,
    referrers: bool,
) -> Result<Origin, TransferError> {
    if !matches!(reference, Reference::Registry { .. }) {
        let Some(stored) = Stored::open(reference)? else {
            return Err(TransferError::Source(reference.clone()));
        };
        let tag = match reference {
            Reference::Layout { tag, .. } => tag.as_deref(),
            _ => None,
        };
        let root = stored.image(tag)?.clone();
        return Ok(Origin { stored, root, repository: None, by_tag: None });
    }
    let resolved = registries.resolve(reference)?;
    let digest = resolved.root.descriptor.digest;
    if require_digest && resolved.by_tag.is_some() {
        return Err(TransferError::NoDigest { place: reference.to_string(), digest });
    }
    Ok(Origin {
        stored: resolved.stored(referrers)?,
        root: resolved.root.descriptor.clone(),
        repository: Some(resolved.repository),
        by_tag: resolved.by_tag,
    })
}

impl Origin {
    /// Gathers all parts of the image and of what refers to it.
    ///
    /// # Errors
    /// When a document is missing, is not what its digest says, or cannot be read.
    pub fn graph(&self) -> Result<Graph, TransferError> {
        let own = self.covered()?;
        let mut referrers = Vec::new();
        for one in self.stored.artifacts() {
            // A layout may hold what refers to other images too.
            if self.repository.is_some() || self.is_about(one, &own)? {
                referrers.push(one.clone());
            }
        }
        Ok(Graph::of(&self.stored, &self.root, &referrers)?)
    }

    /// Puts layers in cosign's old form beside the image, after those that are there.
    ///
    /// # Errors
    /// When what is there cannot be read, or takes no more.
    pub fn add_layers(&mut self, layers: &[old_form::Legacy]) -> Result<(), TransferError> {
        for (tag, layers) in old_form::by_tag(layers) {
            let tagged = Legacy::Tagged(tag.0, tag.1.end());
            let there = self.stored.legacy().find(|(_, legacy)| *legacy == tagged);
            let there = there.map(|(descriptor, _)| self.stored.document(descriptor, MAX_MANIFEST));
            let there = there.transpose()?.map(|bytes| Manifest::parse(&bytes)).transpose();
            let there = there.map_err(StoredError::from)?;
            let attached = old_form::attach(&tag, there.as_ref(), &layers);
            if let Some(attached) = attached.map_err(StoredError::from)? {
                self.stored.add(attached.entry, attached.blobs);
            }
        }
        Ok(())
    }

    /// The digests that referrers may be about.
    pub(super) fn covered(&self) -> Result<Vec<Digest>, TransferError> {
        let mut own = vec![self.root.digest];
        if self.root.media_type.is_index() {
            own.extend(self.stored.manifests(&self.root)?.iter().map(|one| one.digest));
        }
        Ok(own)
    }

    fn is_about(&self, referrer: &Descriptor, own: &[Digest]) -> Result<bool, TransferError> {
        let bytes = self.stored.document(referrer, MAX_MANIFEST)?;
        let subject = Manifest::parse(&bytes).ok().and_then(|manifest| manifest.subject);
        Ok(subject.is_some_and(|subject| own.contains(&subject.digest)))
    }

    /// Finds signatures, attestations and SBOMs in cosign's old form, by their tags.
    pub(super) fn legacy(&self) -> Result<Vec<(String, Graph)>, TransferError> {
        let own = self.covered()?;
        let mut found = Vec::new();
        for (descriptor, legacy) in self.stored.legacy() {
            // One without a tag has none to be found by elsewhere.
            if let Legacy::Tagged(subject, end) = legacy
                && own.contains(&subject)
            {
                let graph = Graph::of(&self.stored, descriptor, &[])?;
                found.push((legacy::tag(&subject, end), graph));
            }
        }
        Ok(found)
    }
}

/// Fetches an image into a layout or an archive. What the layout has already is not fetched
/// again; what is fetched is checked while it comes, and the destination is replaced as one.
///
/// # Errors
/// When a part cannot be fetched or written. The destination is as it was then.
pub fn pull(
    origin: &Origin,
    name: &str,
    destination: &Destination,
) -> Result<Pulled, TransferError> {
    destination.check()?;
    let graph = origin.graph()?;
    let staging = Staging::beside(destination)?;
    let old = match destination {
        Destination::Layout { dir, .. } => Some(dir.as_path()),
        _ => None,
    };
    let write = |error| PublishError::Write { path: destination.path().to_owned(), error };
    let legacy = origin.legacy()?;
    let count = graph.referrers.len() + legacy.len();
    let mut pulled = Pulled { fetched: 0, bytes: 0, present: 0, referrers: count };
    for graph in std::iter::once(&graph).chain(legacy.iter().map(|(_, graph)| graph)) {
        for document in graph.documents() {
            staging.layout.write_blob(&document.bytes).map_err(write)?;
        }
        fetch(origin, graph, &staging, old, destination, &mut pulled)?;
    }
    let referrers = graph.referrers.iter().map(|document| {
        let mut listed = origin.stored.index.manifests.iter();
        let listed = listed.find(|one| one.digest == document.descriptor.digest);
        listed.cloned().unwrap_or_else(|| document.descriptor.clone())
    });
    // In a layout they are found by the name that was their tag.
    let referrers = referrers
        .chain(legacy.iter().map(|(tag, graph)| legacy::entry(&graph.root.descriptor, tag)));
    let release = Release {
        root: graph.root.descriptor.clone(),
        referrers: referrers.collect(),
        name: name.to_owned(),
    };
    publish::release(&release, staging, &Vec::new(), std::slice::from_ref(destination))?;
    Ok(pulled)
}

/// Fetches all blobs, several at once. The first fault ends it.
fn fetch(
    origin: &Origin,
    graph: &Graph,
    staging: &Staging,
    old: Option<&Path>,
    destination: &Destination,
    pulled: &mut Pulled,
) -> Result<(), TransferError> {
    let mut wanted: Vec<_> = graph.blobs.iter().collect();
    wanted.sort_by_key(|blob| std::cmp::Reverse(blob.size));
    let progress = &origin.stored.progress;
    progress.begin(graph.blob_bytes());
    let next = Mutex::new(wanted.into_iter());
    let failed = Mutex::new(None);
    let done = Mutex::new(pulled);
    let one = |blob: &Descriptor| -> Result<bool, TransferError> {
        if old.is_some_and(|old| is_whole(old, blob)) {
            return Ok(false);
        }
        let write = |error| PublishError::Write { path: destination.path().to_owned(), error };
        let mut file = staging.layout.start_blob().map_err(write)?;
        let mut reader = origin.stored.blob(blob)?;
        let mut chunk = vec![0; 256 << 10];
        loop {
            let count = match io::Read::read(&mut reader, &mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(of_read(blob, error)),
            };
            file.write_all(&chunk[..count]).map_err(write)?;
        }
        staging.layout.finish_blob(file, &blob.digest).map_err(write)?;
        Ok(true)
    };
    let work = || {
        loop {
            if lock(&failed).is_some() {
                return;
            }
            let Some(blob) = lock(&next).next() else { return };
            match one(blob) {
                Ok(fetched) => {
                    if !fetched {
                        progress.skip(blob.size);
                    }
                    let mut pulled = lock(&done);
                    pulled.present += usize::from(!fetched);
                    pulled.fetched += usize::from(fetched);
                    pulled.bytes += if fetched { blob.size } else { 0 };
                }
                Err(error) => {
                    lock(&failed).get_or_insert(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..AT_ONCE {
            scope.spawn(work);
        }
        work();
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Nobody panics while holding one of these.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says whether a layout holds a blob whole.
fn is_whole(layout: &Path, blob: &Descriptor) -> bool {
    let Ok(file) = File::open(blob_path(layout, &blob.digest)) else { return false };
    let is_file = file.metadata().is_ok_and(|found| found.is_file() && found.len() == blob.size);
    is_file
        && crate::archive::verified::VerifiedReader::new(file, *blob.digest.bytes(), blob.size)
            .finish()
            .is_ok()
}

/// Says what is wrong with a blob that was being read.
fn of_read(blob: &Descriptor, error: io::Error) -> TransferError {
    use crate::archive::Error;
    match Error::from(error) {
        Error::Io(error) => StoredError::Io(error).into(),
        error => StoredError::Differs { digest: blob.digest, error }.into(),
    }
}

/// Brings an image into a repository, with all that refers to it; the `tags` last.
///
/// The caller has made sure that the image may go there ([`standing`]) and has judged it.
///
/// # Errors
/// As [`push`].
pub fn publish(
    registries: &Registries,
    origin: &Origin,
    destination: &Reference,
    tags: &[String],
    immutable_tags: bool,
) -> Result<Receipt, TransferError> {
    let Reference::Registry { host, repository: name, .. } = destination else {
        return Err(TransferError::Destination(destination.clone()));
    };
    let beside = origin.repository.as_ref().filter(|one| one.host() == host);
    let mount_from = beside.map(|one| one.name().to_owned());
    let repository = registries.open(host, name, Purpose::Push, mount_from.as_deref())?;
    let graph = origin.graph()?;
    let receipt = push(&Push {
        stored: &origin.stored,
        graph: &graph,
        repository: &repository,
        mount_from: mount_from.as_deref(),
        tags,
        immutable_tags,
        tagged: &origin.legacy()?,
    })?;
    Ok(receipt)
}
