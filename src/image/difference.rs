//! The first difference between two stored images, in words.
//!
//! Takes two images, gives where they part: platform, layer, entry and byte, or the member of a
//! document. What is stored is read as by everybody else, strictly.

use super::read::{self, LayerError};
use super::stored::{Stored, StoredError};
use super::{Entry, Kind, Layer, Origin, shown};
use crate::archive::Limits;
use crate::archive::reader::LayerReader;
use crate::binary::ReadAt as _;
use crate::finding::escape;
use crate::oci::document::{MAX_MANIFEST, Manifest};
use crate::oci::{Descriptor, Platform};
use crate::store::{Content, SpoolRoom};
use serde::Serialize;
use serde_json::Value;
use std::io::Read;

/// How much of two streams is compared at a time, in bytes.
const CHUNK: usize = 64 << 10;
/// The longest value that is shown of a document, in characters.
const MAX_SHOWN: usize = 80;

/// One of the two images.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// What it is called in messages: `published`.
    pub name: &'a str,
    /// Where it is stored.
    pub stored: &'a Stored,
    /// Its manifest or index.
    pub root: &'a Descriptor,
}

/// Where two images part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// The platform; none for what is of the index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Which part differs: `index`, `layer`, `config` or `manifest`.
    pub part: Part,
    /// The number of the layer, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// The path of the entry, with its leading slash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The first byte that differs, counted from 0: of the entry's file, or of the layer's
    /// archive, or of its stored bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// What differs, in words.
    pub message: String,
}

/// A part of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The list of platforms.
    Index,
    /// One of the layers.
    Layer,
    /// The configuration.
    Config,
    /// The manifest.
    Manifest,
}

impl Difference {
    fn of(part: Part, message: String) -> Self {
        Self { platform: None, part, layer: None, path: None, offset: None, message }
    }
}

/// Returns where two images part; none where they are the same.
///
/// # Errors
/// When one of them cannot be read, or not in one way only.
pub fn first(one: Side<'_>, other: Side<'_>) -> Result<Option<Difference>, StoredError> {
    if one.root.digest == other.root.digest {
        return Ok(None);
    }
    let [ours, theirs] = [platforms(one)?, platforms(other)?];
    for (platform, manifest) in &ours {
        let Some((_, its)) = theirs.iter().find(|(name, _)| name == platform) else {
            return Ok(Some(lacks(platform, one, other)));
        };
        if manifest.digest != its.digest {
            let sides = [Side { root: manifest, ..one }, Side { root: its, ..other }];
            return Ok(Some(Difference { platform: platform.clone(), ..of_manifests(sides)? }));
        }
    }
    if let Some((platform, _)) =
        theirs.iter().find(|(name, _)| !ours.iter().any(|(of, _)| of == name))
    {
        return Ok(Some(lacks(platform, other, one)));
    }
    let bytes = |side: Side<'_>| side.stored.document(side.root, MAX_MANIFEST);
    let message = documents([(one.name, &bytes(one)?), (other.name, &bytes(other)?)]);
    Ok(Some(Difference::of(Part::Index, message)))
}

/// The manifests of an image, by the names of their platforms.
fn platforms(side: Side<'_>) -> Result<Vec<(Option<String>, Descriptor)>, StoredError> {
    let mut all = Vec::new();
    for manifest in side.stored.manifests(side.root)? {
        let named = manifest.platform.as_ref().and_then(|one| one.known());
        let platform = match named {
            Some(platform) => Some(platform),
            None => side.stored.documents(&manifest)?.1.platform().known(),
        };
        all.push((platform.as_ref().map(Platform::to_string), manifest));
    }
    Ok(all)
}

fn lacks(platform: &Option<String>, has: Side<'_>, lacks: Side<'_>) -> Difference {
    let shown = platform.as_deref().unwrap_or("a platform that it does not name");
    let message = format!("the {} image is for {shown}, the {} one is not", has.name, lacks.name);
    Difference::of(Part::Index, message)
}

/// Compares two manifests of one platform that differ: layers, configuration, the rest.
fn of_manifests(sides: [Side<'_>; 2]) -> Result<Difference, StoredError> {
    let [one, other] = sides;
    let bytes = |side: Side<'_>| side.stored.manifest_bytes(side.root);
    let written = [bytes(one)?, bytes(other)?];
    let [(ours, _), (theirs, _)] =
        [one.stored.documents(one.root)?, other.stored.documents(other.root)?];
    let count = ours.layers.len().max(theirs.layers.len());
    for number in 0..count {
        let (Some(a), Some(b)) = (ours.layers.get(number), theirs.layers.get(number)) else {
            let (has, of) =
                if ours.layers.len() > number { (one, &ours) } else { (other, &theirs) };
            let lacks = if ours.layers.len() > number { other } else { one };
            let message = format!(
                "the {} image has {} layers, the {} one only {number}",
                has.name,
                of.layers.len(),
                lacks.name
            );
            let layer = Some(number + 1);
            return Ok(Difference { layer, ..Difference::of(Part::Layer, message) });
        };
        if a.digest != b.digest {
            let found = layers([(one, a), (other, b)], (number, count))?;
            return Ok(Difference { layer: Some(number + 1), ..found });
        }
    }
    if ours.config.digest != theirs.config.digest {
        let config = |side: Side<'_>, manifest: &Manifest| {
            side.stored.document(&manifest.config, MAX_MANIFEST)
        };
        let written = [config(one, &ours)?, config(other, &theirs)?];
        let message = documents([(one.name, &written[0]), (other.name, &written[1])]);
        return Ok(Difference::of(Part::Config, message));
    }
    let message = documents([(one.name, &written[0]), (other.name, &written[1])]);
    Ok(Difference::of(Part::Manifest, message))
}

/// Compares two layers whose stored bytes differ.
fn layers(
    sides: [(Side<'_>, &Descriptor); 2],
    (number, count): (usize, usize),
) -> Result<Difference, StoredError> {
    let room = SpoolRoom::default();
    let read = |(side, layer): (Side<'_>, &Descriptor)| {
        let blob = side.stored.blob(layer)?;
        let (limits, origin) = (Limits::default(), Origin::Foreign);
        read::layer(&room, blob, &layer.media_type, None, &limits, origin)
            .map_err(|error| of_layer(layer, (number, count), error))
    };
    let names = sides.map(|(side, _)| side.name);
    let [(one, a), (other, b)] = sides;
    let (ours, theirs) = (read((one, a))?, read((other, b))?);
    if let Some(found) = entries(names, [&ours, &theirs])? {
        return Ok(found);
    }
    // The same entries: what differs is how they are written.
    if ours.diff_id != theirs.diff_id {
        let offset = first_byte(
            &mut unpacked(one, a, (number, count))?,
            &mut unpacked(other, b, (number, count))?,
        )?;
        let message = "the archives hold the same entries and write them in other bytes".to_owned();
        return Ok(Difference { offset, ..Difference::of(Part::Layer, message) });
    }
    let offset = first_byte(&mut one.stored.blob(a)?, &mut other.stored.blob(b)?)?;
    let message = match a.media_type == b.media_type {
        true => "the archives are the same, and compressed in another way".to_owned(),
        false => format!(
            "the archives are the same, and compressed as `{}` and as `{}`",
            a.media_type, b.media_type
        ),
    };
    Ok(Difference { offset, ..Difference::of(Part::Layer, message) })
}

fn of_layer(layer: &Descriptor, (number, count): (usize, usize), error: LayerError) -> StoredError {
    StoredError::Layer { digest: layer.digest, number: number + 1, count, error }
}

/// Opens the archive that a layer is.
fn unpacked<'a>(
    side: Side<'a>,
    layer: &Descriptor,
    place: (usize, usize),
) -> Result<impl Read + use<'a>, StoredError> {
    let blob = side.stored.blob(layer)?;
    let compression = read::compression(&layer.media_type)
        .ok_or_else(|| of_layer(layer, place, LayerError::MediaType(layer.media_type.clone())))?;
    LayerReader::new(blob, compression, &Limits::default())
        .map_err(|error| of_layer(layer, place, error.into()))
}

/// Returns where two lists of entries part.
fn entries(names: [&str; 2], layers: [&Layer; 2]) -> Result<Option<Difference>, StoredError> {
    let [a, b] = names;
    let count = layers.map(|layer| layer.entries.len()).into_iter().max().unwrap_or(0);
    for number in 0..count {
        let (ours, theirs) = (layers[0].entries.get(number), layers[1].entries.get(number));
        let (ours, theirs) = match (ours, theirs) {
            (Some(ours), Some(theirs)) => (ours, theirs),
            (Some(only), None) => return Ok(Some(at(only, format!("only the {a} layer has it")))),
            (None, Some(only)) => return Ok(Some(at(only, format!("only the {b} layer has it")))),
            (None, None) => return Ok(None),
        };
        if ours.path != theirs.path {
            let message = format!("the {b} layer has `{}` in its place", theirs.shown());
            return Ok(Some(at(ours, message)));
        }
        if let Some(message) = fields(names, [ours, theirs]) {
            return Ok(Some(at(ours, message)));
        }
        if let (Some(mine), Some(its)) = (ours.content(), theirs.content())
            && mine.sha256() != its.sha256()
        {
            return Ok(Some(contents(names, ours, [mine, its])?));
        }
    }
    Ok(None)
}

fn at(entry: &Entry, message: String) -> Difference {
    Difference { path: Some(entry.shown()), ..Difference::of(Part::Layer, message) }
}

/// Says which field of two entries of one path differs.
fn fields([a, b]: [&str; 2], [ours, theirs]: [&Entry; 2]) -> Option<String> {
    let differs = |what: &str, mine: String, its: String| {
        (mine != its)
            .then(|| format!("its {what} is {mine} in the {a} layer, {its} in the {b} one"))
    };
    let mode = |entry: &Entry| format!("{:04o}", entry.mode);
    let owner = |entry: &Entry| format!("{}:{}", entry.uid, entry.gid);
    let xattrs = |entry: &Entry| {
        let all: Vec<_> = entry.xattrs.iter().map(|name| escape::terminal(name)).collect();
        format!("[{}]", all.join(", "))
    };
    differs("kind", kind(ours), kind(theirs))
        .or_else(|| differs("mode", mode(ours), mode(theirs)))
        .or_else(|| differs("owner", owner(ours), owner(theirs)))
        .or_else(|| differs("time", ours.mtime.to_string(), theirs.mtime.to_string()))
        .or_else(|| differs("list of extended attributes", xattrs(ours), xattrs(theirs)))
}

fn kind(entry: &Entry) -> String {
    match &entry.kind {
        Kind::File(_) => "a file".to_owned(),
        Kind::Directory => "a folder".to_owned(),
        Kind::Symlink(target) => format!("a link to `{}`", escape::bytes(target)),
        Kind::Hardlink(target) => format!("another name of `{}`", shown(target)),
        Kind::Special(name) => format!("a {name}"),
    }
}

/// Says where two files part.
fn contents(
    [a, b]: [&str; 2],
    entry: &Entry,
    [mine, its]: [&Content; 2],
) -> Result<Difference, StoredError> {
    let offset = first_byte(&mut mine.reader(), &mut its.reader())?;
    let (first, second) = (mine.len(), its.len());
    let message = match first == second {
        true => format!("its {first} bytes differ"),
        false => format!("it has {first} bytes in the {a} layer, {second} in the {b} one"),
    };
    Ok(Difference { offset, ..at(entry, message) })
}

/// Returns the number of bytes that two streams share; none where they are the same.
fn first_byte(one: &mut dyn Read, other: &mut dyn Read) -> Result<Option<u64>, StoredError> {
    let mut offset = 0;
    let (mut ours, mut theirs) = (Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK));
    loop {
        ours.clear();
        theirs.clear();
        one.take(CHUNK as u64).read_to_end(&mut ours)?;
        other.take(CHUNK as u64).read_to_end(&mut theirs)?;
        let same = ours.iter().zip(&theirs).take_while(|(one, other)| one == other).count();
        offset += same as u64;
        if same < ours.len().max(theirs.len()) {
            return Ok(Some(offset));
        }
        if same < CHUNK {
            return Ok(None);
        }
    }
}

/// Says where two documents part that differ.
fn documents([(a, ours), (b, theirs)]: [(&str, &[u8]); 2]) -> String {
    let values = [ours, theirs].map(serde_json::from_slice::<Value>);
    let [Ok(one), Ok(other)] = &values else {
        return "the documents differ".to_owned();
    };
    let mut place = String::new();
    match member(one, other, &mut place) {
        Some((mine, its)) => {
            let place = if place.is_empty() { "the whole" } else { &place };
            format!(
                "`{}` is {} in the {a} one, {} in the {b} one",
                escape::terminal(place),
                told(mine),
                told(its)
            )
        }
        None => {
            let same = ours.iter().zip(theirs).take_while(|(one, other)| one == other).count();
            format!("the documents say the same in other bytes, from byte {same} on")
        }
    }
}

/// Finds the first member that differs, and writes its pointer (RFC 6901).
fn member<'v>(
    one: &'v Value,
    other: &'v Value,
    place: &mut String,
) -> Option<(Option<&'v Value>, Option<&'v Value>)> {
    let length = place.len();
    let mut below = |name: &str, mine: Option<&'v Value>, its: Option<&'v Value>| {
        place.push('/');
        place.push_str(&name.replace('~', "~0").replace('/', "~1"));
        let found = match (mine, its) {
            (Some(mine), Some(its)) => member(mine, its, place),
            (None, None) => None,
            only => Some(only),
        };
        if found.is_none() {
            place.truncate(length);
        }
        found
    };
    match (one, other) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let names = ours.keys().chain(theirs.keys().filter(|name| !ours.contains_key(*name)));
            names.into_iter().find_map(|name| below(name, ours.get(name), theirs.get(name)))
        }
        (Value::Array(ours), Value::Array(theirs)) => (0..ours.len().max(theirs.len()))
            .find_map(|at| below(&at.to_string(), ours.get(at), theirs.get(at))),
        (one, other) => (one != other).then_some((Some(one), Some(other))),
    }
}

fn told(value: Option<&Value>) -> String {
    let Some(value) = value else { return "absent".to_owned() };
    let text = escape::terminal(&value.to_string());
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("`{}…`", text.get(..end).unwrap_or_default()),
        None => format!("`{text}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_byte_that_differs_is_found() {
        let long = vec![7; 3 * CHUNK];
        let mut other = long.clone();
        other[2 * CHUNK + 5] = 8;
        for (one, other, expected) in [
            (&b""[..], &b""[..], None),
            (b"abc", b"abc", None),
            (b"abc", b"abd", Some(2)),
            (b"abc", b"ab", Some(2)),
            (b"", b"a", Some(0)),
            (&long, &long, None),
            (&long, &long[..CHUNK], Some(CHUNK as u64)),
            (&long, &other, Some(2 * CHUNK as u64 + 5)),
        ] {
            assert_eq!(first_byte(&mut &*one, &mut &*other).unwrap(), expected);
            assert_eq!(first_byte(&mut &*other, &mut &*one).unwrap(), expected);
        }
    }

    #[test]
    fn members_are_named_by_pointer() {
        for (one, other, expected) in [
            (
                r#"{"a":{"b":[1,2]}}"#,
                r#"{"a":{"b":[1,3]}}"#,
                "`/a/b/1` is `2` in the x one, `3` in the y one",
            ),
            (
                r#"{"a":1}"#,
                r#"{"a":1,"b/c":null}"#,
                "`/b~1c` is absent in the x one, `null` in the y one",
            ),
            (r#"[1]"#, r#"[1,"é"]"#, "`/1` is absent in the x one, `\"é\"` in the y one"),
            (r#"1"#, r#"2"#, "`the whole` is `1` in the x one, `2` in the y one"),
            (
                r#"{"a":1,"b":2}"#,
                r#"{"b":2,"a":1}"#,
                "the documents say the same in other bytes, from byte 2 on",
            ),
        ] {
            let found = documents([("x", one.as_bytes()), ("y", other.as_bytes())]);
            assert_eq!(found, expected);
        }
        let long = format!("\"{}\"", "é".repeat(200));
        assert!(documents([("x", long.as_bytes()), ("y", b"1")]).contains("é…`"));
    }
}
