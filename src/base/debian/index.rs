//! The `Packages` index: what an archive offers.
//!
//! Source: Debian wiki, "DebianRepository/Format", "Packages" indices.

use super::control::{ControlError, Limits, Paragraph, Paragraphs};
use super::relation::{self, Group, InvalidRelation};
use super::{Version, is_package_name, is_pool_path};
use crate::oci::Digest;
use std::io::BufRead;

/// A package as an archive offers it.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The name.
    pub name: String,
    /// The version.
    pub version: Version,
    /// Its architecture, or `all`.
    pub architecture: String,
    /// The source package, where it has another name or version: `glibc (2.41-12)`.
    pub source: Option<String>,
    /// The path below the mirror.
    pub path: String,
    /// How many bytes the package's file has.
    pub size: u64,
    /// What they hash to.
    pub sha256: Digest,
    /// `Pre-Depends` and `Depends`, as they are written: of most packages nobody asks.
    depends: [String; 2],
    provides: String,
}

impl Offer {
    /// Returns what the package must have beside it.
    ///
    /// # Errors
    /// When a field is none of dependencies.
    pub fn depends(&self) -> Result<Vec<Group>, InvalidRelation> {
        let mut groups = relation::parse(&self.depends[0])?;
        groups.extend(relation::parse(&self.depends[1])?);
        Ok(groups)
    }

    /// Returns what it provides beside its own name: alternatives whose versions, if they have
    /// one, are equal to what is provided.
    ///
    /// # Errors
    /// When the field is none of dependencies.
    pub fn provides(&self) -> Result<Vec<Group>, InvalidRelation> {
        relation::parse(&self.provides)
    }

    /// Says whether a name may be among what it provides, without reading all of it.
    pub fn may_provide(&self, name: &str) -> bool {
        self.provides.contains(name)
    }
}

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum IndexError {
    #[error("{0}")]
    Control(#[from] ControlError),
    #[error("package {0} has no `{1}`")]
    Missing(String, &'static str),
    #[error("package {0} has a `{1}` without a meaning: `{2}`")]
    Value(String, &'static str, String),
}

/// Reads an index, package by package.
///
/// # Errors
/// When it is no control file, or a package lacks a field or has one without a meaning.
pub fn read(
    source: impl BufRead,
    limits: Limits,
    take: &mut dyn FnMut(Offer),
) -> Result<(), IndexError> {
    let mut paragraphs = Paragraphs::new(source, limits);
    while let Some(paragraph) = paragraphs.next_paragraph()? {
        take(offer(paragraph)?);
    }
    Ok(())
}

fn offer(paragraph: &Paragraph) -> Result<Offer, IndexError> {
    let name = paragraph.get("Package").unwrap_or("?");
    let shown = || name.chars().take(60).collect::<String>();
    let text =
        |key: &'static str| paragraph.get(key).ok_or_else(|| IndexError::Missing(shown(), key));
    let wrong = |key: &'static str, value: &str| {
        IndexError::Value(shown(), key, value.chars().take(100).collect())
    };
    let fits = |key: &'static str, fits: fn(&str) -> bool| {
        let value = text(key)?;
        fits(value).then(|| value.to_owned()).ok_or_else(|| wrong(key, value))
    };
    let (version, size, sha256) = (text("Version")?, text("Size")?, text("SHA256")?);
    let plain = |text: &str| {
        (1..=32).contains(&text.len())
            && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
    };
    let or_empty = |key| paragraph.get(key).unwrap_or_default().to_owned();
    Ok(Offer {
        name: fits("Package", is_package_name)?,
        version: version.parse().map_err(|_| wrong("Version", version))?,
        architecture: fits("Architecture", plain)?,
        source: paragraph.get("Source").map(str::to_owned),
        path: fits("Filename", is_pool_path)?,
        size: size.parse().map_err(|_| wrong("Size", size))?,
        sha256: format!("sha256:{sha256}").parse().map_err(|_| wrong("SHA256", sha256))?,
        depends: [or_empty("Pre-Depends"), or_empty("Depends")],
        provides: or_empty("Provides"),
    })
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Writes the paragraph of a package; `more` is further fields.
    pub(crate) fn paragraph(name: &str, version: &str, more: &str) -> String {
        format!(
            "Package: {name}\nVersion: {version}\nArchitecture: all\nFilename: pool/main/{name}_{version}_all.deb\nSize: 1\nSHA256: {}\n{more}\n",
            Digest::of(name.as_bytes()).hex()
        )
    }

    /// Reads an index that is right.
    pub(crate) fn offers(text: &str) -> Vec<Offer> {
        let mut offers = Vec::new();
        read(text.as_bytes(), Limits::PACKAGES, &mut |offer| offers.push(offer)).unwrap();
        offers
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{offers, paragraph};
    use super::*;

    #[test]
    fn packages_are_read() {
        let text = paragraph(
            "libc6",
            "2.41-12",
            "Source: glibc\nPre-Depends: aa\nDepends: libgcc-s1, bb | cc\nProvides: libc6-2.41 (= 2.41)\n",
        ) + &paragraph("zz", "1", "");
        let offers = offers(&text);
        assert_eq!(offers.len(), 2);
        let depends = offers[0].depends().unwrap();
        assert_eq!(
            depends.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["aa", "libgcc-s1", "bb | cc"]
        );
        assert_eq!(offers[0].provides().unwrap()[0].to_string(), "libc6-2.41 (= 2.41)");
        assert!(offers[0].may_provide("libc6-2.41") && !offers[1].may_provide("libc6-2.41"));
        assert_eq!((offers[0].source.as_deref(), offers[0].size), (Some("glibc"), 1));
        assert!(offers[1].depends().unwrap().is_empty());
    }

    #[test]
    fn packages_that_cannot_be_fetched_or_compared_are_refused() {
        let good = paragraph("aa", "1", "");
        for (from, to) in [
            ("Package: aa", "Package: ../aa"),
            ("Version: 1", "Version: x"),
            ("Architecture: all", "Architecture: a/b"),
            ("Filename: pool", "Filename: /pool"),
            ("Filename: pool", "Filename: ../pool"),
            ("Size: 1", "Size: -1"),
            ("SHA256: ", "SHA256: 00"),
            ("Size: 1\n", ""),
            ("Filename", "File"),
        ] {
            let text = good.replacen(from, to, 1);
            assert_ne!(text, good);
            assert!(read(text.as_bytes(), Limits::PACKAGES, &mut |_| {}).is_err(), "{to}");
        }
    }
}
