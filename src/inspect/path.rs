//! Rules about where things are and what they are called.

use super::{Look, lookalike};
use crate::finding::{Finding, Severity, rules};
use crate::image::{Entry, Kind, Layer, Origin, tree};
use crate::oci::path::is_invisible;

/// Names that give a program away, whatever it is. Content decides more; names catch what
/// no fingerprint knows, and links that answer to such a name.
const NAMES: [&str; 79] = [
    // shells
    "sh",
    "ash",
    "bash",
    "rbash",
    "dash",
    "zsh",
    "ksh",
    "mksh",
    "tcsh",
    "csh",
    "fish",
    "yash",
    "posh",
    "pwsh",
    "busybox",
    "toybox", // package managers
    "apt",
    "apt-get",
    "apt-cache",
    "dpkg",
    "dpkg-deb",
    "apk",
    "apk.static",
    "rpm",
    "yum",
    "dnf",
    "microdnf",
    "zypper",
    "pacman",
    "opkg",
    "pip",
    "pip3",
    "npm",
    "yarn",
    "gem",
    "conda", // debug and network tools
    "strace",
    "ltrace",
    "gdb",
    "gdbserver",
    "lldb",
    "perf",
    "bpftrace",
    "tcpdump",
    "nmap",
    "curl",
    "wget",
    "nc",
    "ncat",
    "netcat",
    "socat",
    "telnet",
    "ssh",
    "sshd",
    "scp",
    "sftp",
    "rsync",
    "dig",
    "nslookup",
    "dropbear",
    // identity, namespaces, engines
    "su",
    "sudo",
    "doas",
    "setpriv",
    "nsenter",
    "unshare",
    "chroot",
    "kubectl",
    "docker",
    "ctr",
    "crictl",
    "podman",
    "runc", // interpreters
    "perl",
    "ruby",
    "node",
    "lua",
    "awk",
    "python",
];

/// Places where package managers keep what they know. `/var/lib/dpkg/status.d` is the
/// form of images without one, and fine.
const DATABASES: [&str; 14] = [
    "var/lib/dpkg/status",
    "var/lib/dpkg/info",
    "var/lib/apt",
    "var/cache/apt",
    "etc/apt",
    "lib/apk",
    "usr/lib/apk",
    "etc/apk",
    "var/lib/rpm",
    "usr/lib/sysimage/rpm",
    "var/lib/dnf",
    "etc/zypp",
    "var/lib/pacman",
    "etc/opkg",
];

/// Looks at an entry's path.
pub(super) fn check(look: &mut Look<'_>, entry: &Entry, origin: Origin) {
    let at = entry.shown();
    let text = std::str::from_utf8(&entry.path);
    if text.map_or(true, |text| text.chars().any(is_invisible)) {
        let what =
            if text.is_ok() { "characters that do not show" } else { "bytes that are no UTF-8" };
        look.report(Finding::new(&rules::PATH_DECEPTIVE, format!("the path holds {what}")).at(&at));
    } else if (entry.path.ends_with(b" ") || entry.path.ends_with(b"."))
        && !super::layers::is_deletion(entry)
    {
        let message = "the name ends with a space or a dot, which does not show beside another";
        look.report(Finding::new(&rules::PATH_DECEPTIVE, message).at(&at));
    }
    if DATABASES.iter().any(|database| entry.path == database.as_bytes()) {
        look.report(
            Finding::new(&rules::PACKAGE_DATABASE, "this belongs to a package manager").at(&at),
        );
    }
    let name = String::from_utf8_lossy(tree::split(&entry.path).1).to_lowercase();
    if let Some(read) = lookalike::ascii(&name).filter(|read| NAMES.contains(&stem(read))) {
        let message = format!("the name looks like `{read}` and is written in other letters");
        look.report(Finding::new(&rules::PATH_DECEPTIVE, message).at(&at));
    }
    if matches!(entry.kind, Kind::Directory) || !NAMES.contains(&stem(&name)) {
        return;
    }
    let runs = match entry.kind {
        Kind::File(_) | Kind::Hardlink(_) => entry.mode & 0o111 != 0,
        // A link by such a name is how a multi-call program is started.
        Kind::Symlink(_) => {
            look.tree.file(&entry.path).is_ok_and(|file| file.entry.mode & 0o111 != 0)
        }
        _ => false,
    };
    let foreign = matches!(origin, Origin::Foreign | Origin::Upstream);
    if runs || foreign && in_path(&entry.path) {
        let message = format!("it is called `{}`", crate::finding::escape::terminal(&name));
        look.report(Finding::new(&rules::FORBIDDEN_NAME, message).at(&at));
    }
}

/// Strips what versions and packagers append: `python3.13`, `lua5.4`, `bash-static`.
fn stem(name: &str) -> &str {
    let name =
        [".real", ".orig", "-static"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    if bare.is_empty() || NAMES.contains(&name) { name } else { bare }
}

/// Says whether a file is named as a shared library: `libc.so.6`, `libssl.so`.
pub(super) fn is_library(name: &[u8]) -> bool {
    let mut parts = name.split(|byte| *byte == b'.');
    parts.next().is_some_and(|stem| !stem.is_empty())
        && parts.any(|part| part == b"so")
        && parts.all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
}

fn in_path(path: &[u8]) -> bool {
    let folder = tree::split(path).0;
    matches!(
        folder,
        b"bin" | b"sbin" | b"usr/bin" | b"usr/sbin" | b"usr/local/bin" | b"usr/local/sbin"
    )
}

/// Looks for files of the base that an added layer replaces.
pub(super) fn check_replaced(look: &mut Look<'_>, layers: &[Layer]) {
    let base: std::collections::BTreeMap<&[u8], &Entry> = layers
        .iter()
        .filter(|layer| matches!(layer.origin, Origin::Base | Origin::Upstream))
        .flat_map(|layer| &layer.entries)
        .map(|entry| (entry.path.as_slice(), entry))
        .collect();
    for (number, layer) in
        layers.iter().enumerate().filter(|(_, layer)| layer.origin == Origin::Added)
    {
        look.layer = Some(number);
        for entry in &layer.entries {
            if let Some(old) = base.get(entry.path.as_slice()) {
                let mut finding =
                    Finding::new(&rules::BASE_FILE_REPLACED, "this replaces a file of the base")
                        .at(entry.shown());
                let runs = old.mode & 0o111 != 0 || is_library(tree::split(&old.path).1);
                if matches!(&old.kind, Kind::File(_)) && runs {
                    finding.severity = Severity::High;
                }
                look.report(finding);
            }
        }
    }
    look.layer = None;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_known_by_their_names() {
        for (name, library) in [
            ("libc.so.6", true),
            ("libstdc++.so.6.0.33", true),
            ("ld-linux-x86-64.so.2", true),
            ("plugin.so", true),
            (".so", false),
            ("x.so.conf", false),
            ("also", false),
        ] {
            assert_eq!(is_library(name.as_bytes()), library, "{name}");
        }
    }

    #[test]
    fn versions_are_stripped_from_names() {
        for (name, bare) in [
            ("python3.13", "python"),
            ("lua5.4", "lua"),
            ("bash-static", "bash"),
            ("apk.static", "apk.static"),
            ("pip3", "pip3"),
            ("7z", "7z"),
            ("hello", "hello"),
        ] {
            assert_eq!(stem(name), bare);
        }
    }
}
