//! What an image runs on: operating system, architecture, and variant.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A platform in the spelling of Go's `GOOS/GOARCH[/VARIANT]`, normalised: arm64 has
/// no variant (`v8` is its only one and left out), arm always has one.
///
/// Source: image-spec, image-index.md, "Platform Variants".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Platform {
    architecture: Architecture,
}

/// The architectures that karat can pack for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are those of the platforms")]
pub enum Architecture {
    Amd64,
    Arm64,
    ArmV6,
    ArmV7,
    I386,
    Ppc64le,
    Riscv64,
    S390x,
}

use Architecture::{Amd64, Arm64, ArmV6, ArmV7, I386, Ppc64le, Riscv64, S390x};

/// One row an architecture: spelling, and what the placeholders of a recipe stand for.
struct Row {
    architecture: Architecture,
    name: &'static str,
    goarch: &'static str,
    variant: Option<&'static str>,
    rust: &'static str,
    environment: &'static str,
}

const fn row(
    architecture: Architecture,
    name: &'static str,
    goarch: &'static str,
    variant: Option<&'static str>,
    rust: &'static str,
    environment: &'static str,
) -> Row {
    Row { architecture, name, goarch, variant, rust, environment }
}

const ROWS: [Row; 8] = [
    row(Amd64, "linux/amd64", "amd64", None, "x86_64", ""),
    row(Arm64, "linux/arm64", "arm64", None, "aarch64", ""),
    row(ArmV6, "linux/arm/v6", "arm", Some("v6"), "arm", "eabihf"),
    row(ArmV7, "linux/arm/v7", "arm", Some("v7"), "armv7", "eabihf"),
    row(I386, "linux/386", "386", None, "i686", ""),
    row(Ppc64le, "linux/ppc64le", "ppc64le", None, "powerpc64le", ""),
    row(Riscv64, "linux/riscv64", "riscv64", None, "riscv64gc", ""),
    row(S390x, "linux/s390x", "s390x", None, "s390x", ""),
];

/// The text names no platform that karat can pack for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a platform that karat packs for; known are {}", known().join(", "))]
pub struct UnknownPlatform {
    text: String,
}

fn known() -> Vec<&'static str> {
    ROWS.iter().map(|row| row.name).collect()
}

impl Platform {
    /// Returns the platform of an architecture; the system is always Linux.
    pub const fn new(architecture: Architecture) -> Self {
        Self { architecture }
    }

    /// Returns the platform of the machine that this program was compiled for, if it
    /// is one that karat packs for. The system is Linux even when the host's is not.
    pub fn host() -> Option<Self> {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => Amd64,
            "aarch64" => Arm64,
            "arm" => ArmV7,
            "x86" => I386,
            "powerpc64" if cfg!(target_endian = "little") => Ppc64le,
            "riscv64" => Riscv64,
            "s390x" => S390x,
            _ => return None,
        };
        Some(Self { architecture })
    }

    /// Returns the names of all platforms.
    pub fn names() -> Vec<&'static str> {
        known()
    }

    fn row(&self) -> &'static Row {
        // Every architecture has its row: `rows_cover_every_architecture` asserts it.
        ROWS.iter().find(|row| row.architecture == self.architecture).unwrap_or(&ROWS[0])
    }

    /// Returns the architecture with its variant as one value.
    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// Returns the operating system as Go spells it.
    pub fn os(&self) -> &'static str {
        "linux"
    }

    /// Returns the architecture as Go spells it, without the variant.
    pub fn goarch(&self) -> &'static str {
        self.row().goarch
    }

    /// Returns the variant, for the architectures that have more than one.
    pub fn variant(&self) -> Option<&'static str> {
        self.row().variant
    }

    /// Returns Rust's target triple with the musl C library.
    pub fn rust_musl(&self) -> String {
        format!("{}-unknown-linux-musl{}", self.row().rust, self.row().environment)
    }

    /// Returns Rust's target triple with the GNU C library.
    pub fn rust_gnu(&self) -> String {
        format!("{}-unknown-linux-gnu{}", self.row().rust, self.row().environment)
    }
}

impl FromStr for Platform {
    type Err = UnknownPlatform;

    fn from_str(text: &str) -> Result<Self, UnknownPlatform> {
        let canonical = match text {
            "linux/arm64/v8" => "linux/arm64",
            "linux/amd64/v1" => "linux/amd64",
            "linux/arm" => "linux/arm/v7",
            other => other,
        };
        ROWS.iter()
            .find(|row| row.name == canonical)
            .map(|row| Self::new(row.architecture))
            .ok_or_else(|| UnknownPlatform { text: text.chars().take(60).collect() })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().name)
    }
}

impl TryFrom<String> for Platform {
    type Error = UnknownPlatform;
    fn try_from(text: String) -> Result<Self, UnknownPlatform> {
        text.parse()
    }
}

impl From<Platform> for String {
    fn from(platform: Platform) -> String {
        platform.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_cover_every_architecture() {
        for architecture in [Amd64, Arm64, ArmV6, ArmV7, I386, Ppc64le, Riscv64, S390x] {
            let platform = Platform::new(architecture);
            assert_eq!(platform.row().architecture, architecture);
            assert_eq!(platform.to_string().parse(), Ok(platform));
        }
    }

    #[test]
    fn equal_platforms_are_one_value() {
        assert_eq!("linux/arm64/v8".parse::<Platform>(), "linux/arm64".parse());
        assert!("darwin/arm64".parse::<Platform>().is_err());
        assert!("linux/arm64/v9".parse::<Platform>().is_err());
    }
}
