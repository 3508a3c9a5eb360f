//! The rules of the gate, one entry each, with everything that is to be said about them.
//!
//! The ids are public and permanent. `docs/rules.md` is made from this file; a test
//! fails while a rule lacks a part of its entry or its heading there.

use super::Rule;
use super::Severity::{Critical, High, Low, Medium};

/// The number of this rule set: raised whenever a rule is added, changed or removed.
pub const VERSION: u32 = 1;

/// A command shell.
pub static SHELL: Rule = Rule {
    id: "shell",
    title: "a command shell",
    severity: Critical,
    rationale: "A shell turns any flaw that can start a program into full control of the container.",
    remedy: "Leave it out: what the application needs, it links in.",
    bad: "sh, bash, zsh or ash under any name",
    good: "a program that starts no other",
    waivable: false,
};

/// A multi-call toolbox.
pub static MULTICALL: Rule = Rule {
    id: "multicall",
    title: "a multi-call toolbox",
    severity: Critical,
    rationale: "One file that answers to dozens of tool names brings a shell and everything that an intruder needs.",
    remedy: "Leave it out: what the application needs, it links in.",
    bad: "BusyBox copied to /usr/bin/app",
    good: "the application's own binary",
    waivable: false,
};

/// A package manager.
pub static PACKAGE_MANAGER: Rule = Rule {
    id: "package-manager",
    title: "a package manager",
    severity: Critical,
    rationale: "It installs further software at run time, past every check that this image went through.",
    remedy: "Leave it out: what the application needs, it links in.",
    bad: "apt, dpkg, apk, rpm, pip",
    good: "packages are put together at build time",
    waivable: false,
};

/// A debugger or tracer.
pub static DEBUGGER: Rule = Rule {
    id: "debugger",
    title: "a debugger or tracer",
    severity: Critical,
    rationale: "It reads and changes the memory of other processes.",
    remedy: "Leave it out: what the application needs, it links in.",
    bad: "strace, gdb, ltrace, perf",
    good: "debug from an ephemeral container with its own image",
    waivable: true,
};

/// A network sniffer.
pub static SNIFFER: Rule = Rule {
    id: "sniffer",
    title: "a network sniffer",
    severity: Critical,
    rationale: "It captures or forges the traffic of the pod.",
    remedy: "Leave it out: what the application needs, it links in.",
    bad: "tcpdump, dumpcap",
    good: "capture on the node",
    waivable: true,
};

/// A network scanner.
pub static NETWORK_SCANNER: Rule = Rule {
    id: "network-scanner",
    title: "a network scanner",
    severity: Critical,
    rationale: "It maps or attacks the network around the container.",
    remedy: "Leave it out: what the application needs, it links in.",
    bad: "nmap, masscan, kubeletctl",
    good: "no tool",
    waivable: true,
};

/// A network client.
pub static NETWORK_CLIENT: Rule = Rule {
    id: "network-client",
    title: "a network client",
    severity: Critical,
    rationale: "It moves data in or out at the command of whoever can start it.",
    remedy: "Leave it out: what the application needs, it links in.",
    bad: "curl, wget, socat, nc",
    good: "the application's own HTTP client",
    waivable: true,
};

/// A remote access program.
pub static REMOTE_ACCESS: Rule = Rule {
    id: "remote-access",
    title: "a remote access program",
    severity: Critical,
    rationale: "It lets somebody log in, or copies files from and to other hosts.",
    remedy: "Leave it out: what the application needs, it links in.",
    bad: "sshd, dropbear, rsync",
    good: "logs and metrics leave by the platform's own ways",
    waivable: true,
};

/// A tunnel.
pub static TUNNEL: Rule = Rule {
    id: "tunnel",
    title: "a tunnel",
    severity: Critical,
    rationale: "It relays traffic past the rules of the network.",
    remedy: "Leave it out: what the application needs, it links in.",
    bad: "chisel, frpc, stunnel",
    good: "a service and a network policy",
    waivable: true,
};

/// A privilege tool.
pub static PRIVILEGE_TOOL: Rule = Rule {
    id: "privilege-tool",
    title: "a privilege tool",
    severity: Critical,
    rationale: "It changes who a process runs as.",
    remedy: "Leave it out: what the application needs, it links in.",
    bad: "su, sudo, setpriv, newuidmap",
    good: "the image's user is fixed",
    waivable: true,
};

/// A namespace tool.
pub static NAMESPACE_TOOL: Rule = Rule {
    id: "namespace-tool",
    title: "a namespace tool",
    severity: Critical,
    rationale: "It enters or makes namespaces, mounts and roots: the first step out of a container.",
    remedy: "Leave it out: what the application needs, it links in.",
    bad: "nsenter, unshare, chroot",
    good: "no tool",
    waivable: true,
};

/// A container tool.
pub static CONTAINER_TOOL: Rule = Rule {
    id: "container-tool",
    title: "a container tool",
    severity: Critical,
    rationale: "It drives a container engine or a cluster.",
    remedy: "Leave it out: what the application needs, it links in.",
    bad: "kubectl, docker, runc, ctr",
    good: "a service account with the rights that the application needs",
    waivable: true,
};

/// A compiler.
pub static COMPILER: Rule = Rule {
    id: "compiler",
    title: "a compiler",
    severity: High,
    rationale: "It makes new machine code inside the container.",
    remedy: "Leave it out: what the application needs, it links in.",
    bad: "gcc, tcc, as, go",
    good: "compile in the build",
    waivable: true,
};

/// An interpreter.
pub static INTERPRETER: Rule = Rule {
    id: "interpreter",
    title: "an interpreter",
    severity: High,
    rationale: "It runs text as a program, so whoever can write a file can run code.",
    remedy: "Leave it out: what the application needs, it links in.",
    bad: "python, perl, lua, awk",
    good: "a compiled program",
    waivable: true,
};

/// A program with a way to start others.
pub static SHELL_ESCAPE: Rule = Rule {
    id: "shell-escape",
    title: "a program with a way to start others",
    severity: High,
    rationale: "Editors, pagers and multiplexers start programs at a key press.",
    remedy: "Leave it out: what the application needs, it links in.",
    bad: "vim, less, tmux, git",
    good: "no tool",
    waivable: true,
};

/// A file tool.
pub static FILE_TOOL: Rule = Rule {
    id: "file-tool",
    title: "a file tool",
    severity: High,
    rationale: "It reads, writes or searches any file that the user may.",
    remedy: "Leave it out: what the application needs, it links in.",
    bad: "find, tar, sed, dd",
    good: "no tool",
    waivable: true,
};

/// A process tool.
pub static PROCESS_TOOL: Rule = Rule {
    id: "process-tool",
    title: "a process tool",
    severity: High,
    rationale: "It lists and signals the other processes of the pod.",
    remedy: "Leave it out: what the application needs, it links in.",
    bad: "ps, top, pkill",
    good: "no tool",
    waivable: true,
};

/// A firewall tool.
pub static FIREWALL_TOOL: Rule = Rule {
    id: "firewall-tool",
    title: "a firewall tool",
    severity: High,
    rationale: "It changes what packets pass.",
    remedy: "Leave it out: what the application needs, it links in.",
    bad: "iptables, nft",
    good: "a network policy",
    waivable: true,
};

/// An init system.
pub static INIT_SYSTEM: Rule = Rule {
    id: "init-system",
    title: "an init system",
    severity: High,
    rationale: "It starts services and scheduled jobs: an image has one program.",
    remedy: "Leave it out: what the application needs, it links in.",
    bad: "systemd, crond, runit",
    good: "one program an image; the platform restarts it",
    waivable: true,
};

/// An emulator.
pub static EMULATOR: Rule = Rule {
    id: "emulator",
    title: "an emulator",
    severity: High,
    rationale: "It runs programs of other machines, which no check of this image has seen as programs.",
    remedy: "Leave it out: what the application needs, it links in.",
    bad: "qemu-aarch64-static",
    good: "binaries for the platform",
    waivable: true,
};

/// A build with a sanitizer.
pub static SANITIZER: Rule = Rule {
    id: "sanitizer",
    title: "a build with a sanitizer",
    severity: High,
    rationale: "Sanitizers read their options from the environment and write files; they are for tests.",
    remedy: "Build without `-fsanitize`.",
    bad: "-fsanitize=address",
    good: "a release build",
    waivable: true,
};

/// A file that could not be inspected.
pub static COULD_NOT_INSPECT: Rule = Rule {
    id: "could-not-inspect",
    title: "a file that could not be inspected",
    severity: Critical,
    rationale: "What was not read cannot be called clean.",
    remedy: "Find out why it cannot be read; a damaged file has no place in an image.",
    bad: "an archive that ends in the middle",
    good: "a whole file",
    waivable: false,
};

/// An executable that readers understand differently.
pub static ELF_MALFORMED: Rule = Rule {
    id: "elf-malformed",
    title: "an executable that readers understand differently",
    severity: Critical,
    rationale: "Linux starts files that other readers refuse or misread, so a malformed header hides what runs.",
    remedy: "Build it again with an ordinary linker.",
    bad: "an ELF header that lies about its class",
    good: "an ELF file as the linker wrote it",
    waivable: false,
};

/// An object that is no program or library.
pub static ELF_KIND: Rule = Rule {
    id: "elf-kind",
    title: "an object that is no program or library",
    severity: High,
    rationale: "Relocatable objects, kernel modules and core dumps are leftovers of a build or of a crash.",
    remedy: "Leave it out.",
    bad: "main.o, core.1234",
    good: "a linked program",
    waivable: true,
};

/// An executable for another machine.
pub static ELF_MACHINE: Rule = Rule {
    id: "elf-machine",
    title: "an executable for another machine",
    severity: Critical,
    rationale: "It cannot start on this platform, or was put there to be looked at on another.",
    remedy: "Build it for the platform, or correct the `source` of that platform.",
    bad: "an arm64 binary in a linux/amd64 image",
    good: "one `source` a platform",
    waivable: false,
};

/// A dynamic executable without its loader.
pub static ELF_INTERPRETER_MISSING: Rule = Rule {
    id: "elf-interpreter-missing",
    title: "a dynamic executable without its loader",
    severity: Critical,
    rationale: "The kernel starts the loader that the file names; if it is not in the image, the container fails with `no such file or directory`.",
    remedy: "Link statically: `CGO_ENABLED=0` for Go; for Rust a musl target, or `-C target-feature=+crt-static`; `-static` for C. A base with a C library (`base = \"cc-debian13\"`) comes in a later version.",
    bad: "a glibc binary on static-debian13",
    good: "a static binary",
    waivable: false,
};

/// A dynamic executable without one of its libraries.
pub static ELF_LIBRARY_MISSING: Rule = Rule {
    id: "elf-library-missing",
    title: "a dynamic executable without one of its libraries",
    severity: High,
    rationale: "The loader stops when it cannot find a library.",
    remedy: "Link statically, or take a base that has the library.",
    bad: "libssl.so.3 needed, and not in the image",
    good: "all libraries in the base",
    waivable: true,
};

/// A packed executable.
pub static ELF_PACKED: Rule = Rule {
    id: "elf-packed",
    title: "a packed executable",
    severity: Critical,
    rationale: "Packing hides from every reader what will run.",
    remedy: "Ship the executable as the linker made it; the layer is compressed anyway.",
    bad: "upx --best app",
    good: "app",
    waivable: false,
};

/// An executable without a section table.
pub static ELF_NO_SECTIONS: Rule = Rule {
    id: "elf-no-sections",
    title: "an executable without a section table",
    severity: High,
    rationale: "No ordinary linker or strip leaves it out; who removes it hides something.",
    remedy: "Build it again without tools that strip section headers.",
    bad: "sstrip app",
    good: "strip app",
    waivable: true,
};

/// Memory that is writable and executable.
pub static ELF_WRITABLE_CODE: Rule = Rule {
    id: "elf-writable-code",
    title: "memory that is writable and executable",
    severity: High,
    rationale: "A flaw that writes memory becomes a flaw that runs code.",
    remedy: "Link without `-z execstack`, `-N` or hand-made segments.",
    bad: "a PT_LOAD with RWX",
    good: "code and data apart",
    waivable: true,
};

/// An executable stack.
pub static ELF_EXECUTABLE_STACK: Rule = Rule {
    id: "elf-executable-stack",
    title: "an executable stack",
    severity: High,
    rationale: "A flaw that writes the stack becomes a flaw that runs code.",
    remedy: "Link with `-z noexecstack`; mark assembly files with `.note.GNU-stack`.",
    bad: "PT_GNU_STACK with RWE",
    good: "PT_GNU_STACK with RW",
    waivable: true,
};

/// Code that is patched when it is loaded.
pub static ELF_TEXT_RELOCATIONS: Rule = Rule {
    id: "elf-text-relocations",
    title: "code that is patched when it is loaded",
    severity: High,
    rationale: "The loader has to make code writable.",
    remedy: "Compile with `-fPIC`.",
    bad: "DT_TEXTREL",
    good: "position-independent code",
    waivable: true,
};

/// A binary that is not what the recipe says.
pub static IDENTITY_DIFFERS: Rule = Rule {
    id: "identity-differs",
    title: "a binary that is not what the recipe says",
    severity: Critical,
    rationale: "The recipe names the program, the bytes say another: a mixed-up path or an exchanged file.",
    remedy: "Correct `source` or `identity`.",
    bad: "identity = \"go:example.com/a\" and a binary of example.com/b",
    good: "the identity that the bytes carry",
    waivable: false,
};

/// An executable among the data.
pub static UNDECLARED_EXECUTABLE: Rule = Rule {
    id: "undeclared-executable",
    title: "an executable among the data",
    severity: Critical,
    rationale: "In an image built from a recipe every executable is declared; what is not declared was not meant.",
    remedy: "Declare it as a `[[binary]]`, or exclude it from the `[[file]]`.",
    bad: "config/helper in a [[file]] folder",
    good: "[[binary]]",
    waivable: false,
};

/// A declared binary that is no executable.
pub static NOT_AN_EXECUTABLE: Rule = Rule {
    id: "not-an-executable",
    title: "a declared binary that is no executable",
    severity: Critical,
    rationale: "The kernel cannot start it.",
    remedy: "Correct the `source`: it names a text file, an archive or an empty file.",
    bad: "source = \"README.md\"",
    good: "source = \"target/release/app\"",
    waivable: false,
};

/// A script.
pub static SCRIPT: Rule = Rule {
    id: "script",
    title: "a script",
    severity: Critical,
    rationale: "A script needs an interpreter, and a golden image has none; with one, it is a shell program.",
    remedy: "Replace it by a compiled program, or leave it out.",
    bad: "entrypoint.sh",
    good: "a static binary as entrypoint",
    waivable: true,
};

/// The name of a shell, package manager or debug tool.
pub static FORBIDDEN_NAME: Rule = Rule {
    id: "forbidden-name",
    title: "the name of a shell, package manager or debug tool",
    severity: High,
    rationale: "Whatever it is, it will be called by that name.",
    remedy: "Leave it out, or give your program another name.",
    bad: "/usr/bin/curl",
    good: "/usr/bin/fetcher",
    waivable: true,
};

/// Files of a package manager.
pub static PACKAGE_DATABASE: Rule = Rule {
    id: "package-database",
    title: "files of a package manager",
    severity: High,
    rationale: "Lists, caches and databases of package managers show that one was at work, and feed it if it comes back.",
    remedy: "Take a base without a package manager.",
    bad: "/var/lib/dpkg/status, /lib/apk/db",
    good: "/var/lib/dpkg/status.d",
    waivable: true,
};

/// A setuid or setgid file.
pub static SETUID: Rule = Rule {
    id: "setuid",
    title: "a setuid or setgid file",
    severity: Critical,
    rationale: "It hands another identity to whoever starts it.",
    remedy: "Remove the bit.",
    bad: "mode 4755",
    good: "mode 0555",
    waivable: true,
};

/// A file with capabilities.
pub static FILE_CAPABILITIES: Rule = Rule {
    id: "file-capabilities",
    title: "a file with capabilities",
    severity: Critical,
    rationale: "It hands kernel privileges to whoever starts it.",
    remedy: "Grant capabilities to the container, if at all, where a reviewer of the deployment sees them.",
    bad: "security.capability",
    good: "no extended attributes",
    waivable: true,
};

/// A device, FIFO or socket.
pub static SPECIAL_FILE: Rule = Rule {
    id: "special-file",
    title: "a device, FIFO or socket",
    severity: Critical,
    rationale: "A device gives raw access when the runtime keeps it; a FIFO hangs whoever opens it.",
    remedy: "Leave it out.",
    bad: "/dev/mem in a layer",
    good: "an empty /dev",
    waivable: false,
};

/// A path that everybody may write.
pub static WORLD_WRITABLE: Rule = Rule {
    id: "world-writable",
    title: "a path that everybody may write",
    severity: High,
    rationale: "Any process of the container can replace what others run or read.",
    remedy: "Take the bit away; directories for all get the sticky bit, mode 1777.",
    bad: "mode 0777",
    good: "mode 0555, or 1777 for /tmp",
    waivable: true,
};

/// A path that does not read as what it is.
pub static PATH_DECEPTIVE: Rule = Rule {
    id: "path-deceptive",
    title: "a path that does not read as what it is",
    severity: High,
    rationale: "Control characters and characters that reorder a line forge logs and reviews.",
    remedy: "Rename the file.",
    bad: "a name with an escape sequence",
    good: "a plain name",
    waivable: false,
};

/// A file of the base replaced.
pub static BASE_FILE_REPLACED: Rule = Rule {
    id: "base-file-replaced",
    title: "a file of the base replaced",
    severity: Medium,
    rationale: "The pinned base is no longer what runs.",
    remedy: "Choose another path, or another base.",
    bad: "a [[file]] at /etc/passwd",
    good: "a new path",
    waivable: true,
};

/// An image that runs as root.
pub static USER_ROOT: Rule = Rule {
    id: "user-root",
    title: "an image that runs as root",
    severity: Critical,
    rationale: "Most ways out of a container begin with user 0.",
    remedy: "Set `65532:65532`.",
    bad: "no user, or user 0",
    good: "user 65532:65532",
    waivable: false,
};

/// A user by name.
pub static USER_NOT_NUMERIC: Rule = Rule {
    id: "user-not-numeric",
    title: "a user by name",
    severity: High,
    rationale: "A cluster cannot verify a name (`runAsNonRoot`).",
    remedy: "Write numbers: `65532:65532`.",
    bad: "user nobody",
    good: "user 65532:65532",
    waivable: true,
};

/// An entrypoint that cannot start.
pub static ENTRYPOINT_MISSING: Rule = Rule {
    id: "entrypoint-missing",
    title: "an entrypoint that cannot start",
    severity: Critical,
    rationale: "The container fails when it is started.",
    remedy: "Name a program that is in the image and that the user may execute.",
    bad: "entrypoint /app, and the file is /usr/bin/app",
    good: "the path of the binary",
    waivable: false,
};

/// An entrypoint through a shell.
pub static ENTRYPOINT_SHELL: Rule = Rule {
    id: "entrypoint-shell",
    title: "an entrypoint through a shell",
    severity: Critical,
    rationale: "It cannot work without a shell, or there is one.",
    remedy: "Name the program and its arguments as a list.",
    bad: "[\"/bin/sh\", \"-c\", \"app\"]",
    good: "[\"/usr/bin/app\"]",
    waivable: true,
};

/// Layers larger than the policy allows.
pub static IMAGE_TOO_LARGE: Rule = Rule {
    id: "image-too-large",
    title: "layers larger than the policy allows",
    severity: High,
    rationale: "Golden images are small; a large one has something in it that nobody meant.",
    remedy: "Find out what is large (`karat inspect` lists it), or raise `max-size` in the policy.",
    bad: "a 900 MiB layer",
    good: "a static binary of 20 MiB",
    waivable: true,
};

/// No vulnerability database.
pub static NOT_SCANNED: Rule = Rule {
    id: "not-scanned",
    title: "no vulnerability database",
    severity: Medium,
    rationale: "Nobody has looked for known vulnerabilities.",
    remedy: "Scanning comes with a later version of karat; until then, scan the SBOM with a scanner of your own.",
    bad: "a build without a database",
    good: "a build with a pinned database",
    waivable: true,
};

/// A configuration that does not describe its layers.
pub static CONFIG_DIFFERS: Rule = Rule {
    id: "config-differs",
    title: "a configuration that does not describe its layers",
    severity: Critical,
    rationale: "Two readers of the image would see two different images.",
    remedy: "Rebuild the image.",
    bad: "two diff ids and three layers",
    good: "one diff id a layer",
    waivable: false,
};

/// A waiver that no longer holds.
pub static WAIVER_EXPIRED: Rule = Rule {
    id: "waiver-expired",
    title: "a waiver that does not hold today",
    severity: Medium,
    rationale: "The exception was for a time, and the time is over or has not begun.",
    remedy: "Remove the waiver and what it was for, or have it decided again.",
    bad: "expires = \"2026-01-31\", today",
    good: "a waiver within its days",
    waivable: false,
};

/// A waiver that will soon no longer hold.
pub static WAIVER_EXPIRING: Rule = Rule {
    id: "waiver-expiring",
    title: "a waiver that expires within 14 days",
    severity: Low,
    rationale: "When it expires, the build is rejected.",
    remedy: "Remove what it is for, or have it decided again in time.",
    bad: "a waiver with three days left",
    good: "a waiver with a month left",
    waivable: false,
};

/// A waiver for nothing.
pub static WAIVER_UNUSED: Rule = Rule {
    id: "waiver-unused",
    title: "a waiver that no finding needs",
    severity: Low,
    rationale: "It would hide the next thing that happens to fit it.",
    remedy: "Remove it.",
    bad: "a waiver for a file that was fixed",
    good: "a waiver for a finding of this image",
    waivable: false,
};

/// A waiver that is not allowed.
pub static WAIVER_REFUSED: Rule = Rule {
    id: "waiver-refused",
    title: "a waiver that is not allowed",
    severity: High,
    rationale: "Some rules cannot be waived, and no waiver holds longer than the policy allows.",
    remedy: "Remove what the rule found, or shorten the waiver.",
    bad: "a waiver for `shell`, or for a year",
    good: "a waiver for a waivable rule, at most 90 days",
    waivable: false,
};

/// All rules, programs by what they are first.
pub static ALL: [&Rule; 55] = [
    &SHELL,
    &MULTICALL,
    &PACKAGE_MANAGER,
    &DEBUGGER,
    &SNIFFER,
    &NETWORK_SCANNER,
    &NETWORK_CLIENT,
    &REMOTE_ACCESS,
    &TUNNEL,
    &PRIVILEGE_TOOL,
    &NAMESPACE_TOOL,
    &CONTAINER_TOOL,
    &COMPILER,
    &INTERPRETER,
    &SHELL_ESCAPE,
    &FILE_TOOL,
    &PROCESS_TOOL,
    &FIREWALL_TOOL,
    &INIT_SYSTEM,
    &EMULATOR,
    &SANITIZER,
    &COULD_NOT_INSPECT,
    &ELF_MALFORMED,
    &ELF_KIND,
    &ELF_MACHINE,
    &ELF_INTERPRETER_MISSING,
    &ELF_LIBRARY_MISSING,
    &ELF_PACKED,
    &ELF_NO_SECTIONS,
    &ELF_WRITABLE_CODE,
    &ELF_EXECUTABLE_STACK,
    &ELF_TEXT_RELOCATIONS,
    &IDENTITY_DIFFERS,
    &UNDECLARED_EXECUTABLE,
    &NOT_AN_EXECUTABLE,
    &SCRIPT,
    &FORBIDDEN_NAME,
    &PACKAGE_DATABASE,
    &SETUID,
    &FILE_CAPABILITIES,
    &SPECIAL_FILE,
    &WORLD_WRITABLE,
    &PATH_DECEPTIVE,
    &BASE_FILE_REPLACED,
    &USER_ROOT,
    &USER_NOT_NUMERIC,
    &ENTRYPOINT_MISSING,
    &ENTRYPOINT_SHELL,
    &IMAGE_TOO_LARGE,
    &NOT_SCANNED,
    &CONFIG_DIFFERS,
    &WAIVER_EXPIRED,
    &WAIVER_EXPIRING,
    &WAIVER_UNUSED,
    &WAIVER_REFUSED,
];

/// Returns the rule of an id.
pub fn find(id: &str) -> Option<&'static Rule> {
    ALL.into_iter().find(|rule| rule.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fmt::Write;

    #[test]
    fn every_rule_is_whole_and_alone() {
        let ids: BTreeSet<_> = ALL.iter().map(|rule| rule.id).collect();
        assert_eq!(ids.len(), ALL.len());
        for rule in ALL {
            assert!(rule.id.bytes().all(|c| c.is_ascii_lowercase() || c == b'-'), "{}", rule.id);
            for text in [rule.title, rule.rationale, rule.remedy, rule.bad, rule.good] {
                assert!(!text.trim().is_empty(), "{} is not whole", rule.id);
            }
        }
    }

    #[test]
    fn the_page_of_the_rules_is_made_from_them() {
        let mut page = String::from(
            "# Rules\n\nMade from `src/finding/rules.rs`; `karat explain RULE` prints the same.\n",
        );
        for rule in ALL {
            let waivable = if rule.waivable { "may be waived" } else { "cannot be waived" };
            write!(
                page,
                "\n## `{}`\n\n{}: {}; {waivable}.\n\n{}\n\n- Refused: {}\n- Right: {}\n- What helps: {}\n",
                rule.id, rule.title, rule.severity, rule.rationale, rule.bad, rule.good, rule.remedy
            )
            .unwrap();
        }
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md");
        if std::env::var_os("KARAT_UPDATE_DOCS").is_some() {
            std::fs::write(&file, &page).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&file).unwrap_or_default(),
            page,
            "run `KARAT_UPDATE_DOCS=1 cargo test`"
        );
    }
}
