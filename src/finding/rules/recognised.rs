//! Rules about tools that are recognised by what they are.

use super::Severity::{Critical, High, Medium};

rules! {
    /// A command shell.
    SHELL {
        id: "shell",
        title: "a command shell",
        severity: Critical,
        rationale: "A shell turns any flaw that can start a program into full control of the container.",
        remedy: "Leave it out: what the application needs, it links in.",
        bad: "sh, bash, zsh or ash under any name",
        good: "a program that starts no other",
        waivable: false,
    }

    /// A multi-call toolbox.
    MULTICALL {
        id: "multicall",
        title: "a multi-call toolbox",
        severity: Critical,
        rationale: "One file that answers to dozens of tool names brings a shell and everything that an intruder needs.",
        remedy: "Leave it out: what the application needs, it links in.",
        bad: "BusyBox copied to /usr/bin/app",
        good: "the application's own binary",
        waivable: false,
    }

    /// A package manager.
    PACKAGE_MANAGER {
        id: "package-manager",
        title: "a package manager",
        severity: Critical,
        rationale: "It installs further software at run time, past every check that this image went through.",
        remedy: "Leave it out: what the application needs, it links in.",
        bad: "apt, dpkg, apk, rpm, pip",
        good: "packages are put together at build time",
        waivable: false,
    }

    /// A debugger or tracer.
    DEBUGGER {
        id: "debugger",
        title: "a debugger or tracer",
        severity: Critical,
        rationale: "It reads and changes the memory of other processes.",
        remedy: "Leave it out: what the application needs, it links in.",
        bad: "strace, gdb, ltrace, perf",
        good: "debug from an ephemeral container with its own image",
        waivable: true,
    }

    /// A network sniffer.
    SNIFFER {
        id: "sniffer",
        title: "a network sniffer",
        severity: Critical,
        rationale: "It captures or forges the traffic of the pod.",
        remedy: "Leave it out: what the application needs, it links in.",
        bad: "tcpdump, dumpcap",
        good: "capture on the node",
        waivable: true,
    }

    /// A network scanner.
    NETWORK_SCANNER {
        id: "network-scanner",
        title: "a network scanner",
        severity: Critical,
        rationale: "It maps or attacks the network around the container.",
        remedy: "Leave it out: what the application needs, it links in.",
        bad: "nmap, masscan, kubeletctl",
        good: "no tool",
        waivable: true,
    }

    /// A network client.
    NETWORK_CLIENT {
        id: "network-client",
        title: "a network client",
        severity: Critical,
        rationale: "It moves data in or out at the command of whoever can start it.",
        remedy: "Leave it out: what the application needs, it links in.",
        bad: "curl, wget, socat, nc",
        good: "the application's own HTTP client",
        waivable: true,
    }

    /// A remote access program.
    REMOTE_ACCESS {
        id: "remote-access",
        title: "a remote access program",
        severity: Critical,
        rationale: "It lets somebody log in, or copies files from and to other hosts.",
        remedy: "Leave it out: what the application needs, it links in.",
        bad: "sshd, dropbear, rsync",
        good: "logs and metrics leave by the platform's own ways",
        waivable: true,
    }

    /// A tunnel.
    TUNNEL {
        id: "tunnel",
        title: "a tunnel",
        severity: Critical,
        rationale: "It relays traffic past the rules of the network.",
        remedy: "Leave it out: what the application needs, it links in.",
        bad: "chisel, frpc, stunnel",
        good: "a service and a network policy",
        waivable: true,
    }

    /// A privilege tool.
    PRIVILEGE_TOOL {
        id: "privilege-tool",
        title: "a privilege tool",
        severity: Critical,
        rationale: "It changes who a process runs as.",
        remedy: "Leave it out: what the application needs, it links in.",
        bad: "su, sudo, setpriv, newuidmap",
        good: "the image's user is fixed",
        waivable: true,
    }

    /// A namespace tool.
    NAMESPACE_TOOL {
        id: "namespace-tool",
        title: "a namespace tool",
        severity: Critical,
        rationale: "It enters or makes namespaces, mounts and roots: the first step out of a container.",
        remedy: "Leave it out: what the application needs, it links in.",
        bad: "nsenter, unshare, chroot",
        good: "no tool",
        waivable: true,
    }

    /// A container tool.
    CONTAINER_TOOL {
        id: "container-tool",
        title: "a container tool",
        severity: Critical,
        rationale: "It drives a container engine or a cluster.",
        remedy: "Leave it out: what the application needs, it links in.",
        bad: "kubectl, docker, runc, ctr",
        good: "a service account with the rights that the application needs",
        waivable: true,
    }

    /// A compiler.
    COMPILER {
        id: "compiler",
        title: "a compiler",
        severity: High,
        rationale: "It makes new machine code inside the container.",
        remedy: "Leave it out: what the application needs, it links in.",
        bad: "gcc, tcc, as, go",
        good: "compile in the build",
        waivable: true,
    }

    /// An interpreter.
    INTERPRETER {
        id: "interpreter",
        title: "an interpreter",
        severity: High,
        rationale: "It runs text as a program, so whoever can write a file can run code.",
        remedy: "Leave it out: what the application needs, it links in.",
        bad: "python, perl, lua, awk",
        good: "a compiled program",
        waivable: true,
    }

    /// A program with a way to start others.
    SHELL_ESCAPE {
        id: "shell-escape",
        title: "a program with a way to start others",
        severity: High,
        rationale: "Editors, pagers and multiplexers start programs at a key press.",
        remedy: "Leave it out: what the application needs, it links in.",
        bad: "vim, less, tmux, git",
        good: "no tool",
        waivable: true,
    }

    /// A file tool.
    FILE_TOOL {
        id: "file-tool",
        title: "a file tool",
        severity: High,
        rationale: "It reads, writes or searches any file that the user may.",
        remedy: "Leave it out: what the application needs, it links in.",
        bad: "find, tar, sed, dd",
        good: "no tool",
        waivable: true,
    }

    /// A process tool.
    PROCESS_TOOL {
        id: "process-tool",
        title: "a process tool",
        severity: High,
        rationale: "It lists and signals the other processes of the pod.",
        remedy: "Leave it out: what the application needs, it links in.",
        bad: "ps, top, pkill",
        good: "no tool",
        waivable: true,
    }

    /// A firewall tool.
    FIREWALL_TOOL {
        id: "firewall-tool",
        title: "a firewall tool",
        severity: High,
        rationale: "It changes what packets pass.",
        remedy: "Leave it out: what the application needs, it links in.",
        bad: "iptables, nft",
        good: "a network policy",
        waivable: true,
    }

    /// An init system.
    INIT_SYSTEM {
        id: "init-system",
        title: "an init system",
        severity: High,
        rationale: "It starts services and scheduled jobs: an image has one program.",
        remedy: "Leave it out: what the application needs, it links in.",
        bad: "systemd, crond, runit",
        good: "one program an image; the platform restarts it",
        waivable: true,
    }

    /// An emulator.
    EMULATOR {
        id: "emulator",
        title: "an emulator",
        severity: High,
        rationale: "It runs programs of other machines, which no check of this image has seen as programs.",
        remedy: "Leave it out: what the application needs, it links in.",
        bad: "qemu-aarch64-static",
        good: "binaries for the platform",
        waivable: true,
    }

    /// A build with a sanitizer.
    SANITIZER {
        id: "sanitizer",
        title: "a build with a sanitizer",
        severity: High,
        rationale: "Sanitizers read their options from the environment and write files; they are for tests.",
        remedy: "Build without `-fsanitize`.",
        bad: "-fsanitize=address",
        good: "a release build",
        waivable: true,
    }

    /// A program that many names lead to.
    MANY_NAMES {
        id: "many-names",
        title: "a program that many names lead to",
        severity: Medium,
        rationale: "A multi-call program does what its name says: one file, and every tool that it brings.",
        remedy: "Keep the one name that the application uses, or leave the program out.",
        bad: "cat, ls, sh, vi and wget as links to /usr/bin/box",
        good: "one name a program",
        waivable: true,
    }
}
