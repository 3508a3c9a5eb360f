//! `karat fleet`.

use super::args::{self, fleet};
use super::failure::{CODE_DONE, CODE_FAILED, CODE_REJECTED, Failure};
use super::output::Output;
use super::{network, scan, settings};
use karat::advisory::vex::{Concerned, Statement};
use karat::advisory::{Matched, Outside, State};
use karat::bom::Wanted;
use karat::finding::escape;
use karat::oci::{Platform, Reference};
use karat::pipeline::fleet::{self as fleets, Part, Published};
use karat::pipeline::scan as scans;
use karat::pipeline::transfer;
use karat::registry::Registries;
use karat::settings::Policy;
use karat::verify::Trust;
use serde_json::{Value, json};
use std::path::Path;

pub(super) fn run(args: &fleet::FleetCommands, output: &Output) -> Result<u8, Failure> {
    match &args.command {
        fleet::FleetCommand::Scan(args) => judge(args, output),
        fleet::FleetCommand::Find(args) => find(args, output),
    }
}

/// A fleet: whose images, and how they are reached.
struct Fleet<'a> {
    registries: Registries,
    places: Vec<Reference>,
    signer: &'a args::Signer,
    policy: &'a Policy,
}

impl<'a> Fleet<'a> {
    fn open(
        places: &[String],
        signer: &'a args::Signer,
        policy: &'a Policy,
    ) -> Result<Self, Failure> {
        let place = |text: &String| {
            let text = text.strip_prefix("docker://").unwrap_or(text);
            Ok(Reference::parse(&format!("docker://{text}"), |_| false)?)
        };
        let places: Vec<Reference> = places.iter().map(place).collect::<Result<_, Failure>>()?;
        let all: Vec<&Reference> = places.iter().collect();
        let plain = network::plain_hosts()?;
        let hosts = transfer::hosts(policy.registry.as_ref(), &all, None, &plain)?;
        let registries = network::registries(hosts, false, &all)?;
        Ok(Self { registries, places, signer, policy })
    }

    /// Returns whose statements count about what is at a place.
    fn trust(&self, place: &Reference) -> Result<Trust, Failure> {
        let name = match place {
            Reference::Registry { host, repository, .. } => format!("{host}/{repository}"),
            other => other.to_string(),
        };
        super::verify::trust(self.signer, self.policy, Some(&name))
    }

    /// Goes through all images. One that cannot be read does not stop the others: returns
    /// whether there was one.
    fn each(&self, output: &Output, take: &mut dyn FnMut(&Published)) -> Result<bool, Failure> {
        let mut failed = false;
        let trusts: Vec<Trust> =
            self.places.iter().map(|place| self.trust(place)).collect::<Result<_, _>>()?;
        let require = &self.policy.gate.require;
        for (place, trust) in self.places.iter().zip(&trusts) {
            let images = match fleets::images(&self.registries, place) {
                Ok(images) => images,
                Err(error) => {
                    failed |= tell(&error.into(), output)?;
                    continue;
                }
            };
            if images.is_empty() {
                output.tell(&format!("`{place}` has no tags: name single images by digest"));
            }
            for (digest, tags) in images {
                match fleets::published(&self.registries, place, digest, tags, trust, require) {
                    Ok(published) => take(&published),
                    Err(error) => failed |= tell(&error.into(), output)?,
                }
            }
        }
        Ok(failed)
    }
}

/// Says what failed; what the user gave wrong ends the command.
fn tell(failure: &Failure, output: &Output) -> Result<bool, Failure> {
    if failure.code == super::failure::CODE_USAGE {
        return Err(Failure::usage(failure.message.clone()));
    }
    output.tell(&format!("failed    {}", failure.message));
    Ok(true)
}

fn platform(part: &Part) -> String {
    part.platform.as_ref().map_or_else(|| "unknown".to_owned(), Platform::to_string)
}

/// Names an image for people.
fn name(published: &Published) -> String {
    let tags = match published.tags.is_empty() {
        true => String::new(),
        false => format!("  {}", published.tags.join(", ")),
    };
    format!("{}@{}{tags}", published.place, published.digest)
}

fn judge(args: &fleet::Scan, output: &Output) -> Result<u8, Failure> {
    let policy = settings::policy_here(&args.policy)?.policy;
    let root = settings::project(Path::new("."))?.root().to_owned();
    let advisories = scan::demanded(&args.advisories, &policy, &root)?;
    let scan::Advisories { database, statements } = &advisories;
    let rules = &policy.gate.vulnerabilities;
    let fleet = Fleet::open(&args.places, &args.signer, &policy)?;
    let (mut rejected, mut documents, mut unread) = (false, Vec::new(), None);
    let failed = fleet.each(output, &mut |published| {
        let mut parts = Vec::new();
        let mut lines: Vec<String> = Vec::new();
        let mut bad = !published.lacks.is_empty();
        lines.extend(published.lacks.iter().map(|what| format!("  {what}")));
        lines.extend(
            published
                .vex
                .ignored
                .iter()
                .map(|(digest, why)| format!("  ignored the OpenVEX document {digest}: {why}")),
        );
        for part in &published.parts {
            let looked_up = match &part.bill {
                Err(why) => Err(why.clone()),
                Ok(listed) => {
                    let nothing = std::collections::BTreeMap::new();
                    let digests = [part.digest, published.digest];
                    let signed = &published.vex.signed;
                    let signed = signed.iter().filter(|one| digests.contains(&one.subject));
                    // What the project says wins over what came with the image.
                    let statements: Vec<Statement> =
                        signed.flat_map(|one| &one.statements).chain(statements).cloned().collect();
                    let names = [published.place.clone()];
                    let outside = Outside {
                        statements: &statements,
                        reports: &[],
                        image: Concerned { digests: &digests, names: &names },
                        rules,
                    };
                    let found = scans::scan_with(&listed.bom(), &nothing, Some(database), outside);
                    found.map_err(|error| {
                        unread.get_or_insert(error.to_string());
                        error.to_string()
                    })
                }
            };
            let platform = platform(part);
            match looked_up {
                Err(why) => {
                    bad = true;
                    lines.push(format!("  {platform}  could not be judged: {why}"));
                    parts.push(json!({"platform": platform, "digest": part.digest, "error": why}));
                }
                Ok(scan) => {
                    bad |= scan.found.iter().any(|one| scans::rejects(one, rules));
                    let open = scan.found.iter().filter(|one| one.state == State::Open);
                    lines.extend(open.map(|one| format!("  {platform}  {}", of_match(one))));
                    let found: Vec<Value> =
                        scan.found.iter().map(|one| scans::found(one, rules)).collect();
                    parts.push(json!({
                        "platform": platform,
                        "digest": part.digest,
                        "looked-up": scan.looked_up,
                        "unknown": scan.unknown,
                        "vulnerabilities": found,
                    }));
                }
            }
        }
        rejected |= bad;
        let verdict = if bad { "rejected" } else { "accepted" };
        if !output.is_json() {
            output.result(&escape::terminal(&format!("{verdict}  {}", name(published))));
            lines.iter().for_each(|line| output.result(&escape::terminal(line)));
        }
        documents.push(json!({
            "place": published.place,
            "digest": published.digest,
            "tags": published.tags,
            "verdict": verdict,
            "lacks": published.lacks,
            "images": parts,
        }));
    })?;
    if let Some(error) = unread {
        return Err(Failure::failed(format!("the database of advisories: {error}")));
    }
    if output.is_json() {
        output.json(&json!({
            "schema": "karat.fleet/v1",
            "database": {"digest": database.digest(), "sources": database.header().sources},
            "verdict": if rejected { "rejected" } else { "accepted" },
            "images": documents,
        }));
    }
    Ok(code(rejected, failed))
}

fn code(rejected: bool, failed: bool) -> u8 {
    match (rejected, failed) {
        (true, _) => CODE_REJECTED,
        (_, true) => CODE_FAILED,
        _ => CODE_DONE,
    }
}

fn of_match(matched: &Matched) -> String {
    let severity = matched.severity.map_or("unknown".to_owned(), |one| one.to_string());
    let id = matched.ids.first().map(String::as_str).unwrap_or_default();
    format!("{severity:<9} {id}  {} {}", matched.name, matched.version)
}

/// What is looked for.
enum Query {
    Listed(Wanted),
    Vulnerability(String),
}

/// Reads what is looked for.
fn query(text: &str) -> Result<Query, Failure> {
    if text.starts_with("pkg:") {
        return match karat::bom::purl::parse(text) {
            Some(_) => Ok(Query::Listed(Wanted::Purl(text.to_owned()))),
            None => Err(Failure::usage(format!("`{text}` is no package URL"))
                .hint("`pkg:TYPE/NAME@VERSION`, e.g. `pkg:golang/golang.org/x/net@v0.30.0`")),
        };
    }
    let hex = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Query::Listed(Wanted::Sha256(hex)));
    }
    let is_id = text.contains('-')
        && !text.starts_with("sha256:")
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match is_id {
        true => Ok(Query::Vulnerability(text.to_owned())),
        false => Err(Failure::usage(format!("`{text}` is nothing that can be looked for"))
            .hint("a package URL, `pkg:…`; a vulnerability, `CVE-…`; or a hash, `sha256:HEX`")),
    }
}

fn find(args: &fleet::Find, output: &Output) -> Result<u8, Failure> {
    let query = query(&args.wanted)?;
    if let (Query::Vulnerability(id), None) = (&query, &args.db) {
        return Err(Failure::usage(format!("what `{id}` is about is in a database"))
            .hint("name one with `--db FILE` or KARAT_DB; `karat db import` makes one"));
    }
    let policy = settings::policy_here(&args.policy)?.policy;
    let root = settings::project(Path::new("."))?.root().to_owned();
    let named = args::Advisories { db: args.db.clone(), vex: Vec::new() };
    let advisories = match &query {
        Query::Vulnerability(_) => Some(scan::demanded(&named, &policy, &root)?),
        Query::Listed(_) => None,
    };
    let database = advisories.as_ref().map(|one| &one.database);
    let fleet = match args.places.is_empty() {
        false => Fleet::open(&args.places, &args.signer, &policy)?,
        true => whole(&args.signer, &policy)?,
    };
    let (mut documents, mut unread, mut unknown) = (Vec::new(), None, 0);
    let failed = fleet.each(output, &mut |published| {
        for part in &published.parts {
            let found = match &query {
                Query::Listed(wanted) => {
                    let by_digest =
                        matches!(wanted, Wanted::Sha256(hex) if *hex == published.digest.hex());
                    let whole = by_digest && part.digest != published.digest;
                    let own = whole.then(|| ("the image itself".to_owned(), String::new()));
                    own.into_iter().chain(part.find(wanted)).collect()
                }
                Query::Vulnerability(id) => {
                    let listed = part.bill.as_ref().ok();
                    let nothing = std::collections::BTreeMap::new();
                    let scan = listed.zip(database).map(|(listed, database)| {
                        scans::scan(&listed.bom(), &nothing, database, &[])
                    });
                    match scan.transpose() {
                        Ok(scan) => affected(scan.into_iter().flat_map(|scan| scan.found), id),
                        Err(error) => {
                            unread.get_or_insert(error.to_string());
                            Vec::new()
                        }
                    }
                }
            };
            if let Err(why) = &part.bill {
                unknown += 1;
                let of = platform(part);
                output.tell(&format!("unknown   {}  {of}: {why}", name(published)));
            }
            for (what, version) in found {
                let of = platform(part);
                if !output.is_json() {
                    let line = format!("{}  {of}  {what} {version}", name(published));
                    output.result(&escape::terminal(line.trim_end()));
                }
                documents.push(json!({
                    "place": published.place,
                    "digest": published.digest,
                    "tags": published.tags,
                    "platform": of,
                    "name": what,
                    "version": version,
                }));
            }
        }
    })?;
    if let Some(error) = unread {
        return Err(Failure::failed(format!("the database: {error}")));
    }
    if documents.is_empty() {
        output.tell(&format!("no image is known to hold `{}`", args.wanted));
    }
    if output.is_json() {
        output.json(&json!({
            "schema": "karat.fleet-find/v1",
            "wanted": args.wanted,
            "found": documents,
            "unknown": unknown,
        }));
    }
    Ok(code(false, failed))
}

/// Returns everything that the registries list at the places where images are published.
fn whole<'a>(signer: &'a args::Signer, policy: &'a Policy) -> Result<Fleet<'a>, Failure> {
    let registry = policy.registry.as_ref();
    let roots: Vec<String> = registry
        .into_iter()
        .flat_map(|one| one.publish.iter().chain(&one.allow))
        .cloned()
        .collect();
    if roots.is_empty() {
        return Err(Failure::usage("nothing says which images there are")
            .hint("name repositories, `HOST/REPO`, or give the policy `[registry] publish`"));
    }
    let mut fleet = Fleet::open(&roots, signer, policy)?;
    let names = fleets::repositories(&fleet.registries, &roots).map_err(|error| {
        let failure = Failure::from(error);
        Failure {
            hint: Some("name the repositories: not every registry lists them".to_owned()),
            ..failure
        }
    })?;
    fleet.places = names
        .iter()
        .map(|name| Reference::parse(&format!("docker://{name}"), |_| false))
        .collect::<Result<_, _>>()?;
    Ok(fleet)
}

/// Returns the components that have a vulnerability of this id.
fn affected(found: impl Iterator<Item = Matched>, id: &str) -> Vec<(String, String)> {
    found
        .filter(|one| one.ids.iter().any(|known| known.eq_ignore_ascii_case(id)))
        .map(|one| (one.name, one.version))
        .collect()
}
