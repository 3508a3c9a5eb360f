//! Prepares what is compiled into karat: the fingerprint table, compressed so that
//! karat does not recognise itself, and the list of the crates it is built from.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

fn main() {
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let out = Path::new(&out);
    fingerprints(out);
    dependencies(out);
}

/// Keeps what is needed to recognise something; counts, provenance and notes stay in the
/// source. As JSON, because that is read ten times as fast, at the start of every run.
fn fingerprints(out: &Path) {
    const TABLE: &str = "src/inspect/fingerprints.toml";
    println!("cargo:rerun-if-changed={TABLE}");
    let text = fs::read_to_string(TABLE).expect("the fingerprint table is there");
    let needed = [
        "tool", "category", "need", "encoding", "strings", "prefix", "severity", "linked", "only",
        "name", "groups", "unless",
    ];
    let table: toml::Table = text.parse().expect("the fingerprint table is TOML");
    let sections = table.into_iter().filter_map(|(section, entries)| match entries {
        toml::Value::Array(entries) => Some((section, entries)),
        _ => None,
    });
    let kept: BTreeMap<String, Vec<toml::Table>> = sections
        .map(|(section, entries)| {
            let entries = entries.into_iter().map(|entry| {
                let toml::Value::Table(mut entry) = entry else { panic!("an entry is a table") };
                entry.retain(|key, _| needed.contains(&key));
                entry
            });
            (section, entries.collect())
        })
        .collect();
    let json = serde_json::to_vec(&kept).expect("the table is JSON too");
    write(out, "fingerprints.deflate", &miniz_oxide::deflate::compress_to_vec(&json, 9));
}

/// Writes the crates of this build in the form of cargo-auditable (its PARSING.md):
/// zlib-compressed JSON, build dependencies and procedural macros marked as such.
fn dependencies(out: &Path) {
    println!("cargo:rerun-if-changed=Cargo.lock");
    println!("cargo:rerun-if-changed=Cargo.toml");
    let all = tree("normal,build");
    let runtime = tree("normal,no-proc-macro");
    let list = match (all, runtime) {
        (Some(all), Some(runtime)) => compose(&all, &runtime),
        _ => {
            println!("cargo:warning=`cargo tree` failed: this build carries no dependency list");
            String::new()
        }
    };
    write(
        out,
        "dependencies.zlib",
        &miniz_oxide::deflate::compress_to_vec_zlib(list.as_bytes(), 9),
    );
}

/// Returns the lines of `cargo tree`: depth, then name, version and source.
fn tree(edges: &str) -> Option<String> {
    let cargo = env::var_os("CARGO")?;
    let features = env::var("CARGO_CFG_FEATURE").unwrap_or_default();
    let output = Command::new(cargo)
        .args(["tree", "--offline", "--locked", "--no-default-features", "--features", &features])
        .args(["--prefix", "depth", "--charset", "ascii", "--edges", edges])
        .args(["--target", &env::var("TARGET").ok()?])
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).ok())?
}

/// Name, version and source of a crate.
type Crate = (String, String, &'static str);

fn parse(line: &str) -> Option<(usize, Crate)> {
    let digits = line.find(|c: char| !c.is_ascii_digit())?;
    let depth = line[..digits].parse().ok()?;
    let mut words = line[digits..].split(' ');
    let name = words.next()?.to_owned();
    let version = words.next()?.trim_start_matches('v').to_owned();
    let mut source = "crates.io";
    for word in words.filter(|word| word.starts_with('(')) {
        if word.contains("://") {
            source = "git";
        } else if word != "(*)" && !word.starts_with("(proc-macro") {
            source = "local";
        }
    }
    Some((depth, (name, version, source)))
}

fn compose(all: &str, runtime: &str) -> String {
    let runtime: Vec<Crate> = runtime.lines().filter_map(parse).map(|(_, one)| one).collect();
    let mut edges: BTreeMap<Crate, Vec<Crate>> = BTreeMap::new();
    let mut above: Vec<Crate> = Vec::new();
    for (depth, one) in all.lines().filter_map(parse) {
        above.truncate(depth);
        edges.entry(one.clone()).or_default();
        if let Some(parent) = above.last() {
            let children = edges.entry(parent.clone()).or_default();
            if !children.contains(&one) {
                children.push(one.clone());
            }
        }
        above.push(one);
    }
    let root = all.lines().find_map(parse).map(|(_, one)| one);
    let index: BTreeMap<&Crate, usize> =
        edges.keys().enumerate().map(|(i, one)| (one, i)).collect();
    let mut json = String::from("{\"packages\":[");
    for (position, (one, children)) in edges.iter().enumerate() {
        let (name, version, source) = one;
        let comma = if position == 0 { "" } else { "," };
        let kind = if runtime.contains(one) { "" } else { ",\"kind\":\"build\"" };
        let root = if Some(one) == root.as_ref() { ",\"root\":true" } else { "" };
        let mut children: Vec<String> =
            children.iter().map(|child| index[child].to_string()).collect();
        children.sort_by_key(|index| index.parse::<usize>().unwrap_or(0));
        let children = children.join(",");
        write!(
            json,
            "{comma}{{\"name\":\"{name}\",\"version\":\"{version}\",\"source\":\"{source}\"{kind},\"dependencies\":[{children}]{root}}}"
        )
        .expect("text grows");
    }
    json + "],\"format\":1}"
}

fn write(out: &Path, name: &str, bytes: &[u8]) {
    let size = bytes.len();
    fs::write(out.join(name), bytes).expect("OUT_DIR is writable");
    println!("cargo:rustc-env=KARAT_{}={size}", name.replace('.', "_").to_uppercase());
}
