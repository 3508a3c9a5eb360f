//! Rules about executables and scripts.

use super::Severity::{Critical, High, Info, Low, Medium};

rules! {
    /// An executable that readers understand differently.
    ELF_MALFORMED {
        id: "elf-malformed",
        title: "an executable that readers understand differently",
        severity: Critical,
        rationale: "Linux starts files that other readers refuse or misread, so a malformed header hides what runs.",
        remedy: "Build it again with an ordinary linker.",
        bad: "an ELF header that lies about its class",
        good: "an ELF file as the linker wrote it",
        waivable: false,
    }

    /// An object that is no program or library.
    ELF_KIND {
        id: "elf-kind",
        title: "an object that is no program or library",
        severity: High,
        rationale: "Relocatable objects, kernel modules and core dumps are leftovers of a build or of a crash.",
        remedy: "Leave it out.",
        bad: "main.o, core.1234",
        good: "a linked program",
        waivable: true,
    }

    /// An executable for another machine.
    ELF_MACHINE {
        id: "elf-machine",
        title: "an executable for another machine",
        severity: Critical,
        rationale: "It cannot start on this platform, or was put there to be looked at on another.",
        remedy: "Build it for the platform, or correct the `source` of that platform.",
        bad: "an arm64 binary in a linux/amd64 image",
        good: "one `source` a platform",
        waivable: false,
    }

    /// A dynamic executable without its loader.
    ELF_INTERPRETER_MISSING {
        id: "elf-interpreter-missing",
        title: "a dynamic executable without its loader",
        severity: Critical,
        rationale: "The kernel starts the loader that the file names; if it is not in the image, the container fails with `no such file or directory`.",
        remedy: "Link statically: `CGO_ENABLED=0` for Go; for Rust a musl target, or `-C target-feature=+crt-static`; `-static` for C. Or take a base with a C library, `base = \"cc-debian13\"`.",
        bad: "a glibc binary on static-debian13",
        good: "a static binary",
        waivable: false,
    }

    /// A dynamic executable without one of its libraries.
    ELF_LIBRARY_MISSING {
        id: "elf-library-missing",
        title: "a dynamic executable without one of its libraries",
        severity: High,
        rationale: "The loader stops when it cannot find a library.",
        remedy: "Link statically, or take a base that has the library.",
        bad: "libssl.so.3 needed, and not in the image",
        good: "all libraries in the base",
        waivable: true,
    }

    /// A packed executable.
    ELF_PACKED {
        id: "elf-packed",
        title: "a packed executable",
        severity: Critical,
        rationale: "Packing hides from every reader what will run.",
        remedy: "Ship the executable as the linker made it; the layer is compressed anyway.",
        bad: "upx --best app",
        good: "app",
        waivable: false,
    }

    /// An executable without a section table.
    ELF_NO_SECTIONS {
        id: "elf-no-sections",
        title: "an executable without a section table",
        severity: High,
        rationale: "No ordinary linker or strip leaves it out; who removes it hides something.",
        remedy: "Build it again without tools that strip section headers.",
        bad: "sstrip app",
        good: "strip app",
        waivable: true,
    }

    /// Memory that is writable and executable.
    ELF_WRITABLE_CODE {
        id: "elf-writable-code",
        title: "memory that is writable and executable",
        severity: High,
        rationale: "A flaw that writes memory becomes a flaw that runs code.",
        remedy: "Link without `-z execstack`, `-N` or hand-made segments.",
        bad: "a PT_LOAD with RWX",
        good: "code and data apart",
        waivable: true,
    }

    /// An executable stack.
    ELF_EXECUTABLE_STACK {
        id: "elf-executable-stack",
        title: "an executable stack",
        severity: High,
        rationale: "A flaw that writes the stack becomes a flaw that runs code.",
        remedy: "Link with `-z noexecstack`; mark assembly files with `.note.GNU-stack`.",
        bad: "PT_GNU_STACK with RWE",
        good: "PT_GNU_STACK with RW",
        waivable: true,
    }

    /// Code that is patched when it is loaded.
    ELF_TEXT_RELOCATIONS {
        id: "elf-text-relocations",
        title: "code that is patched when it is loaded",
        severity: High,
        rationale: "The loader has to make code writable.",
        remedy: "Compile with `-fPIC`.",
        bad: "DT_TEXTREL",
        good: "position-independent code",
        waivable: true,
    }

    /// A binary that is not what the recipe says.
    IDENTITY_DIFFERS {
        id: "identity-differs",
        title: "a binary that is not what the recipe says",
        severity: Critical,
        rationale: "The recipe names the program, the bytes say another: a mixed-up path or an exchanged file.",
        remedy: "Correct `source` or `identity`.",
        bad: "identity = \"go:example.com/a\" and a binary of example.com/b",
        good: "the identity that the bytes carry",
        waivable: false,
    }

    /// An executable among the data.
    UNDECLARED_EXECUTABLE {
        id: "undeclared-executable",
        title: "an executable among the data",
        severity: Critical,
        rationale: "In an image built from a recipe every executable is declared; what is not declared was not meant.",
        remedy: "Declare it as a `[[binary]]`, or exclude it from the `[[file]]`.",
        bad: "config/helper in a [[file]] folder",
        good: "[[binary]]",
        waivable: false,
    }

    /// A declared binary that is no executable.
    NOT_AN_EXECUTABLE {
        id: "not-an-executable",
        title: "a declared binary that is no executable",
        severity: Critical,
        rationale: "The kernel cannot start it.",
        remedy: "Correct the `source`: it names a text file, an archive or an empty file.",
        bad: "source = \"README.md\"",
        good: "source = \"target/release/app\"",
        waivable: false,
    }

    /// A script.
    SCRIPT {
        id: "script",
        title: "a script",
        severity: Critical,
        rationale: "A script needs an interpreter, and a golden image has none; with one, it is a shell program.",
        remedy: "Replace it by a compiled program, or leave it out.",
        bad: "entrypoint.sh",
        good: "a static binary as entrypoint",
        waivable: true,
    }

    /// How a program is hardened.
    HARDENING {
        id: "hardening",
        title: "how a program is hardened",
        severity: Info,
        rationale: "What the compiler and the linker do against flaws shows in the file; what does not apply to a language, or cannot be seen, is said so.",
        remedy: "Nothing: this is a fact. What is missing has rules of its own.",
        bad: "NX: yes; RELRO: none; PIE: no",
        good: "NX: yes; RELRO: full; PIE: yes; canary: yes; FORTIFY: yes",
        waivable: true,
    }

    /// Loader tables that stay writable.
    ELF_NO_RELRO {
        id: "elf-no-relro",
        title: "a program without RELRO",
        severity: High,
        rationale: "Whoever can write one word of memory writes the address of a function, and the program calls it.",
        remedy: "Link with `-Wl,-z,relro,-z,now`; Rust does so unless it is told otherwise.",
        bad: "no PT_GNU_RELRO in a program of C or Rust",
        good: "PT_GNU_RELRO and DF_1_NOW",
        waivable: true,
    }

    /// Loader tables that stay writable in part.
    ELF_PARTIAL_RELRO {
        id: "elf-partial-relro",
        title: "a program with RELRO in part",
        severity: Low,
        rationale: "Addresses of functions that are bound at their first call stay writable.",
        remedy: "Link with `-Wl,-z,now`.",
        bad: "PT_GNU_RELRO without DF_BIND_NOW",
        good: "PT_GNU_RELRO and DF_1_NOW",
        waivable: true,
    }

    /// A program at a fixed address.
    ELF_NOT_PIE {
        id: "elf-not-pie",
        title: "a program at a fixed address",
        severity: Medium,
        rationale: "An intruder knows where the code lies, and a flaw becomes easier to use.",
        remedy: "Compile with `-fPIE` and link with `-pie`, or `-static-pie`; Rust does so unless it is told otherwise.",
        bad: "ET_EXEC from a C compiler",
        good: "ET_DYN with DF_1_PIE",
        waivable: true,
    }

    /// A program whose functions do not guard their stack.
    ELF_NO_CANARY {
        id: "elf-no-canary",
        title: "a program without stack canaries",
        severity: Medium,
        rationale: "A buffer that overflows on the stack writes over the address to return to, and nothing notices.",
        remedy: "Compile with `-fstack-protector-strong`.",
        bad: "a program of C that does not know __stack_chk_fail",
        good: "a program of C that imports __stack_chk_fail",
        waivable: true,
    }

    /// A program whose calls of the C library are not checked.
    ELF_NO_FORTIFY {
        id: "elf-no-fortify",
        title: "a program without FORTIFY",
        severity: Low,
        rationale: "The C library can check the size of many buffers, when the compiler calls the functions that do.",
        remedy: "Compile with `-O2 -D_FORTIFY_SOURCE=3`.",
        bad: "memcpy and printf, and no __memcpy_chk and no __printf_chk",
        good: "__memcpy_chk, __printf_chk",
        waivable: true,
    }
}
