//! A small archive of Debian packages, signed: made here, faults included.

use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, KeyType, SecretKeyParamsBuilder, SignedSecretKey,
};
use pgp::types::Password;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A key that signs releases.
pub(crate) struct Signer(SignedSecretKey);

impl Signer {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut params = SecretKeyParamsBuilder::default();
        params
            .key_type(KeyType::Ed25519Legacy)
            .can_certify(true)
            .can_sign(true)
            .primary_user_id("archive".into());
        Self(params.build().expect("a key").generate(&mut rng).expect("a key"))
    }

    pub(crate) fn public(&self) -> Vec<u8> {
        let key = self.0.to_public_key();
        key.to_armored_bytes(ArmorOptions::default()).expect("a key")
    }

    pub(crate) fn sign(&self, text: &str) -> Vec<u8> {
        let rng = StdRng::seed_from_u64(9);
        let key = &self.0.primary_key;
        let message = CleartextSignedMessage::sign(rng, text, key, &Password::empty());
        message.expect("signed").to_armored_bytes(ArmorOptions::default()).expect("armour")
    }
}

/// A member of a package.
pub(crate) enum Member {
    File(&'static str, u32, Vec<u8>),
    Folder(&'static str, u32),
    Link(&'static str, &'static str),
    /// A header as it is: path, type, target, mode.
    Raw(&'static str, u8, &'static str, u32),
}

fn header(path: &str, kind: u8, target: &str, mode: u32, size: usize) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..path.len()].copy_from_slice(path.as_bytes());
    let numbers =
        format!("{mode:07o}\0{0:07o}\0{0:07o}\0{size:011o}\0{1:011o}\0", 0, 1_700_000_000);
    header[100..100 + numbers.len()].copy_from_slice(numbers.as_bytes());
    header[156] = kind;
    header[157..157 + target.len()].copy_from_slice(target.as_bytes());
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

pub(crate) fn tar(members: &[Member]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for member in members {
        match member {
            Member::File(path, mode, content) => {
                bytes.extend(header(path, b'0', "", *mode, content.len()));
                bytes.extend(content);
                bytes.resize(bytes.len().next_multiple_of(512), 0);
            }
            Member::Folder(path, mode) => bytes.extend(header(path, b'5', "", *mode, 0)),
            Member::Link(path, target) => bytes.extend(header(path, b'2', target, 0o777, 0)),
            Member::Raw(path, kind, target, mode) => {
                bytes.extend(header(path, *kind, target, *mode, 0));
            }
        }
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn ar(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, content) in members {
        let head =
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, "100644", content.len());
        bytes.extend(head.into_bytes());
        bytes.extend(content);
        if content.len() % 2 == 1 {
            bytes.push(b'\n');
        }
    }
    bytes
}

/// A package of an archive.
pub(crate) struct Deb {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    pub(crate) depends: &'static str,
    pub(crate) members: Vec<Member>,
}

impl Deb {
    pub(crate) fn new(name: &'static str, version: &str, members: Vec<Member>) -> Self {
        Self { name, version: version.to_owned(), depends: "", members }
    }

    fn control(&self) -> String {
        let depends = match self.depends {
            "" => String::new(),
            depends => format!("Depends: {depends}\n"),
        };
        format!(
            "Package: {}\nVersion: {}\nArchitecture: all\n{depends}Description: a test\n",
            self.name, self.version
        )
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let control = tar(&[
            Member::File("./control", 0o644, self.control().into_bytes()),
            Member::File(
                "./md5sums",
                0o644,
                b"d41d8cd98f00b204e9800998ecf8427e  etc/a.conf\n".to_vec(),
            ),
        ]);
        ar(&[
            ("debian-binary", b"2.0\n".to_vec()),
            ("control.tar.gz", gzip(&control)),
            ("data.tar.gz", gzip(&tar(&self.members))),
        ])
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The date that many days from now, as archives write dates.
pub(crate) fn day(days: i64) -> String {
    let text = format!("{days:+} days");
    let output = Command::new("date")
        .args(["-u", "-d", &text, "+%a, %d %b %Y %H:%M:%S UTC"])
        .env("LC_ALL", "C")
        .output()
        .expect("date runs");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// An archive in a folder.
pub(crate) struct Archive {
    pub(crate) root: PathBuf,
    pub(crate) debs: Vec<Deb>,
    /// Fields of the release that take the place of what is right; an empty value takes one out.
    pub(crate) release: BTreeMap<&'static str, String>,
    /// What is replaced in the index after it was made.
    pub(crate) lie: Option<(&'static str, &'static str)>,
}

impl Archive {
    pub(crate) fn new(root: &Path, debs: Vec<Deb>) -> Self {
        Self { root: root.to_owned(), debs, release: BTreeMap::new(), lie: None }
    }

    fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(path, bytes).expect("a file");
    }

    pub(crate) fn pool(deb: &Deb) -> String {
        format!("pool/main/{}_{}_all.deb", deb.name, deb.version)
    }

    /// Writes everything, signed.
    pub(crate) fn write(&self, signer: &Signer) {
        let mut index = String::new();
        for deb in &self.debs {
            let bytes = deb.bytes();
            let path = Self::pool(deb);
            index += &format!(
                "{}Filename: {path}\nSize: {}\nSHA256: {}\n\n",
                deb.control(),
                bytes.len(),
                hex(&bytes)
            );
            self.put(&path, bytes);
        }
        if let Some((from, to)) = self.lie {
            assert!(index.contains(from), "{index}");
            index = index.replace(from, to);
        }
        let mut list = String::new();
        for architecture in ["amd64", "arm64"] {
            let path = format!("main/binary-{architecture}/Packages");
            let packed = gzip(index.as_bytes());
            for (path, bytes) in [(path.clone(), index.as_bytes()), (format!("{path}.gz"), &packed)]
            {
                list += &format!(" {} {} {path}\n", hex(bytes), bytes.len());
                self.put(&format!("dists/test/{path}"), bytes);
            }
        }
        let mut fields = BTreeMap::from([
            ("Codename", "test".to_owned()),
            ("Date", day(-1)),
            ("Valid-Until", day(6)),
            ("SHA256", format!("\n{list}").trim_end().to_owned()),
        ]);
        fields.extend(self.release.iter().map(|(key, value)| (*key, value.clone())));
        let mut text: String = fields
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| format!("{key}: {value}\n").replace(": \n", ":\n"))
            .collect();
        text.truncate(text.trim_end().len());
        self.put("dists/test/InRelease", signer.sign(&text));
    }
}
