//! Rules about what files are by their bytes, and about what is hidden in them.

use super::Severity::{High, Info, Low, Medium};

rules! {
    /// A program for something other than Linux.
    FOREIGN_EXECUTABLE {
        id: "foreign-executable",
        title: "a program for another system or a virtual machine",
        severity: High,
        rationale: "Programs of other systems, bytecode and libraries for linkers do not run by themselves on Linux: they are leftovers of a build, or wait for an interpreter.",
        remedy: "Leave it out; a program that loads modules on purpose gets a waiver for each.",
        bad: "helper.exe, module.pyc, libfoo.a",
        good: "one ELF program that holds everything it needs",
        waivable: true,
    }

    /// A file system in a file.
    FILESYSTEM_IMAGE {
        id: "filesystem-image",
        title: "a file system in a file",
        severity: High,
        rationale: "The gate does not read file systems, so whatever lies in one was not inspected.",
        remedy: "Put the files themselves into the image.",
        bad: "rootfs.squashfs, disk.ext4",
        good: "a folder of files",
        waivable: true,
    }

    /// An executable inside another file.
    EMBEDDED_EXECUTABLE {
        id: "embedded-executable",
        title: "an executable inside another file",
        severity: High,
        rationale: "A program that lies inside a file is run by whoever copies it out; it is neither declared nor seen by its name.",
        remedy: "Ship the program as a file of its own and declare it, or leave it out. Objects and libraries, which cannot be started, are found with severity medium.",
        bad: "a data file with a static program behind its first kilobyte",
        good: "data without programs",
        waivable: true,
    }

    /// An executable written as text.
    ENCODED_EXECUTABLE {
        id: "encoded-executable",
        title: "an executable written as text",
        severity: High,
        rationale: "Base64 of a program has no other use than to carry it past those who look for programs.",
        remedy: "Leave it out.",
        bad: "a text with 8 KiB of base64 that decode to an ELF file",
        good: "a declared program",
        waivable: true,
    }

    /// An archive of a kind that is not unpacked.
    ARCHIVE_NOT_INSPECTED {
        id: "archive-not-inspected",
        title: "an archive whose content was not inspected",
        severity: Medium,
        rationale: "What lies inside is unknown: karat unpacks gzip, zstd, xz, bzip2, zip, tar, ar and cpio only, and no encrypted files.",
        remedy: "Ship the files themselves, or an archive of a kind that is unpacked.",
        bad: "data.7z, data.rar, an encrypted zip file",
        good: "data.tar.gz",
        waivable: true,
    }

    /// An archive that cannot be read to its end.
    ARCHIVE_UNREADABLE {
        id: "archive-unreadable",
        title: "an archive that cannot be read to its end",
        severity: High,
        rationale: "It is damaged, means different things to different readers, or goes beyond a limit: what it holds was not inspected.",
        remedy: "Make it again with an ordinary tool, or ship the files themselves.",
        bad: "a gzip file that ends in the middle, archives four deep",
        good: "a whole tar.gz file",
        waivable: true,
    }

    /// Text with the right to be executed.
    TEXT_EXECUTABLE {
        id: "text-executable",
        title: "text that may be executed",
        severity: Medium,
        rationale: "A text without a first line that names an interpreter is handed to /bin/sh by most programs that start others.",
        remedy: "Take the execute bits away.",
        bad: "settings.txt with mode 0755",
        good: "settings.txt with mode 0644",
        waivable: true,
    }

    /// A program that can start others.
    CAN_START_PROGRAMS {
        id: "can-start-programs",
        title: "a program that can start others",
        severity: Info,
        rationale: "A flaw in a program that starts others is worth more to an intruder. Many good programs do; this is a fact for the reviewer.",
        remedy: "Nothing, if the program is meant to. Else drop the code that starts others.",
        bad: "os/exec linked in and not needed",
        good: "a program without os/exec or std::process::Command",
        waivable: true,
    }

    /// A place that libraries are searched in.
    ELF_SEARCH_PATH {
        id: "elf-search-path",
        title: "libraries searched where others may put them",
        severity: High,
        rationale: "The loader takes libraries from these folders before those of the system, so whoever writes there runs code in the program.",
        remedy: "Link without -rpath, or with $ORIGIN or a folder below /lib or /usr/lib.",
        bad: "RUNPATH /tmp/lib, an empty element, lib",
        good: "RUNPATH $ORIGIN/../lib",
        waivable: true,
    }

    /// A library that runs before the program.
    ELF_AUDIT_LIBRARY {
        id: "elf-audit-library",
        title: "a library that audits the program",
        severity: High,
        rationale: "The loader runs such a library before everything else, and it sees and changes every call.",
        remedy: "Link without --audit and --depaudit.",
        bad: "DT_AUDIT libtrace.so",
        good: "no DT_AUDIT",
        waivable: true,
    }

    /// A library that stands in for another.
    ELF_FILTER_LIBRARY {
        id: "elf-filter-library",
        title: "a library that stands in for another",
        severity: Low,
        rationale: "The loader takes functions from the library that is named here instead of from this one.",
        remedy: "Link without --filter and --auxiliary.",
        bad: "DT_AUXILIARY libother.so",
        good: "no filter",
        waivable: true,
    }

    /// Segments where no linker puts them.
    ELF_MEMORY_LAYOUT {
        id: "elf-memory-layout",
        title: "segments where no linker puts them",
        severity: High,
        rationale: "Memory at the lowest addresses makes flaws in the kernel and null pointers useful; segments of gigabytes hold nothing that a linker made.",
        remedy: "Link with the ordinary addresses.",
        bad: "a PT_LOAD at address 0 in a program of fixed address",
        good: "a PT_LOAD at 0x400000",
        waivable: true,
    }

    /// A loader that no program names.
    ELF_ORPHAN_LOADER {
        id: "elf-orphan-loader",
        title: "a dynamic loader that no program names",
        severity: High,
        rationale: "A loader starts any ELF file that it is given, without a look at its mode; nothing in the image needs this one.",
        remedy: "Take a base without a C library, or declare the program that needs it.",
        bad: "/lib64/ld-linux-x86-64.so.2 beside a static program",
        good: "a loader with a dynamic program",
        waivable: true,
    }

    /// Bytes behind the end of an executable.
    ELF_OVERLAY {
        id: "elf-overlay",
        title: "bytes behind the end of an executable",
        severity: Low,
        rationale: "No segment and no section holds them: something was appended after linking.",
        remedy: "Find out what was appended; link data in, or ship it as a file.",
        bad: "cat data >> app",
        good: "app",
        waivable: true,
    }

    /// Debug information.
    ELF_DEBUG_INFO {
        id: "elf-debug-info",
        title: "debug information in an executable",
        severity: Low,
        rationale: "It makes the image larger and tells an intruder how the program is built.",
        remedy: "strip --strip-debug, -ldflags=-w for Go, strip = \"debuginfo\" for Rust; keep the symbols elsewhere.",
        bad: ".debug_info in a shipped program",
        good: "a stripped program",
        waivable: true,
    }

    /// An executable that names another system.
    ELF_OS_ABI {
        id: "elf-os-abi",
        title: "an executable that names another system",
        severity: Low,
        rationale: "Linux starts it all the same, so a system that is named wrongly misleads only readers.",
        remedy: "Build it for Linux.",
        bad: "EI_OSABI 9 (FreeBSD)",
        good: "EI_OSABI 0 or 3",
        waivable: true,
    }
}
