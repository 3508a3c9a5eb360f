//! The formats of a Debian archive: signed releases, indexes, packages.
//!
//! Every parser takes foreign bytes and limits, gives values or errors, and runs nothing:
//! maintainer scripts are bytes that nobody looks at.
//!
//! Sources: deb(5), deb822(5), deb-control(5), deb-version(5); Debian Policy, chapters 5 and 7;
//! the Debian wiki's "DebianRepository/Format".

pub mod ar;
pub mod clear_sign;
pub mod control;
pub mod index;
pub mod keyring;
pub mod package;
pub mod relation;
pub mod release;
pub mod version;

pub use index::Offer;
pub use keyring::Keyring;
pub use release::Release;
pub use version::Version;

/// Says whether a text is the name of a package (Debian Policy, 5.6.1): at least two
/// characters, lower-case letters, digits, `+`, `-` and `.`, starting with a letter or digit.
pub fn is_package_name(name: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    (2..=128).contains(&name.len())
        && name.bytes().next().is_some_and(plain)
        && name.bytes().all(|c| plain(c) || b"+-.".contains(&c))
}

/// Says whether a text is a path below a mirror: relative, of plain characters, without
/// empty, `.` or `..` components.
pub fn is_pool_path(path: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"+-._~:%".contains(&c);
    let component = |part: &str| {
        !matches!(part, "" | "." | "..") && part.bytes().all(plain) && part.len() <= 255
    };
    path.len() <= 1024 && path.split('/').all(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_are_plain() {
        for good in ["libc6", "libstdc++6", "0ad", "a.b-c"] {
            assert!(is_package_name(good), "{good}");
        }
        for bad in ["", "a", "A1", "lib c", "../x", "-a1", "libc6:amd64", "a\n1"] {
            assert!(!is_package_name(bad), "{bad}");
        }
        assert!(is_pool_path("pool/updates/main/o/openssl/libssl3t64_3.5.1-1+deb13u1_amd64.deb"));
        for bad in [
            "",
            "/pool/a",
            "pool//a",
            "pool/../a",
            "pool/./a",
            "a?b",
            "a b",
            "a#b",
            "a\\b",
            "pool/",
        ] {
            assert!(!is_pool_path(bad), "{bad}");
        }
    }
}
