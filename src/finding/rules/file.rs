//! Rules about files: their names, modes and kinds.

use super::Severity::{Critical, High, Low, Medium};

rules! {
    /// The name of a shell, package manager or debug tool.
    FORBIDDEN_NAME {
        id: "forbidden-name",
        title: "the name of a shell, package manager or debug tool",
        severity: High,
        rationale: "Whatever it is, it will be called by that name.",
        remedy: "Leave it out, or give your program another name.",
        bad: "/usr/bin/curl",
        good: "/usr/bin/fetcher",
        waivable: true,
    }

    /// Files of a package manager.
    PACKAGE_DATABASE {
        id: "package-database",
        title: "files of a package manager",
        severity: High,
        rationale: "Lists, caches and databases of package managers show that one was at work, and feed it if it comes back.",
        remedy: "Take a base without a package manager.",
        bad: "/var/lib/dpkg/status, /lib/apk/db",
        good: "/var/lib/dpkg/status.d",
        waivable: true,
    }

    /// A setuid or setgid file.
    SETUID {
        id: "setuid",
        title: "a setuid or setgid file",
        severity: Critical,
        rationale: "It hands another identity to whoever starts it.",
        remedy: "Remove the bit.",
        bad: "mode 4755",
        good: "mode 0555",
        waivable: true,
    }

    /// A file with capabilities.
    FILE_CAPABILITIES {
        id: "file-capabilities",
        title: "a file with capabilities",
        severity: Critical,
        rationale: "It hands kernel privileges to whoever starts it.",
        remedy: "Grant capabilities to the container, if at all, where a reviewer of the deployment sees them.",
        bad: "security.capability",
        good: "no extended attributes",
        waivable: true,
    }

    /// A device, FIFO or socket.
    SPECIAL_FILE {
        id: "special-file",
        title: "a device, FIFO or socket",
        severity: Critical,
        rationale: "A device gives raw access when the runtime keeps it; a FIFO hangs whoever opens it.",
        remedy: "Leave it out.",
        bad: "/dev/mem in a layer",
        good: "an empty /dev",
        waivable: false,
    }

    /// A path that everybody may write.
    WORLD_WRITABLE {
        id: "world-writable",
        title: "a path that everybody may write",
        severity: High,
        rationale: "Any process of the container can replace what others run or read.",
        remedy: "Take the bit away; directories for all get the sticky bit, mode 1777.",
        bad: "mode 0777",
        good: "mode 0555, or 1777 for /tmp",
        waivable: true,
    }

    /// A path that does not read as what it is.
    PATH_DECEPTIVE {
        id: "path-deceptive",
        title: "a path that does not read as what it is",
        severity: High,
        rationale: "Control characters and characters that reorder a line forge logs and reviews.",
        remedy: "Rename the file.",
        bad: "a name with an escape sequence",
        good: "a plain name",
        waivable: false,
    }

    /// An extended attribute.
    EXTENDED_ATTRIBUTE {
        id: "extended-attribute",
        title: "an extended attribute",
        severity: High,
        rationale: "Attributes steer overlay file systems, grant access, or carry data that no scanner reads.",
        remedy: "Pack the files without extended attributes.",
        bad: "trusted.overlay.redirect, user.payload",
        good: "no extended attributes",
        waivable: true,
    }

    /// Two names that differ in case only.
    NAME_COLLISION {
        id: "name-collision",
        title: "two names that differ in case only",
        severity: High,
        rationale: "A reviewer takes one for the other, and on some file systems they are one file.",
        remedy: "Rename one of them.",
        bad: "/usr/bin/app and /usr/bin/App",
        good: "/usr/bin/app and /usr/bin/app-admin",
        waivable: true,
    }

    /// A program, library or certificate that the user may change.
    WRITABLE_BY_USER {
        id: "writable-by-user",
        title: "a program, library or certificate that the user may change",
        severity: High,
        rationale: "A fault in the program becomes a change that stays: it can replace itself, its libraries, or whom it trusts.",
        remedy: "Let them, and the folders above them, belong to root with no write bit for others.",
        bad: "/app with the owner 65532, run as 65532",
        good: "/app with the owner 0",
        waivable: true,
    }

    /// A library for every program.
    LOADER_PRELOAD {
        id: "loader-preload",
        title: "a library that is loaded into every program",
        severity: Critical,
        rationale: "The dynamic loader puts what /etc/ld.so.preload names into each process.",
        remedy: "Remove the file.",
        bad: "/etc/ld.so.preload",
        good: "no such file",
        waivable: true,
    }

    /// A folder of libraries where none belong.
    LOADER_PATH {
        id: "loader-path",
        title: "a folder of libraries where none belong",
        severity: High,
        rationale: "The dynamic loader takes libraries from there, into any program.",
        remedy: "Keep libraries below /lib, /usr/lib or /usr/local/lib, writable by root alone.",
        bad: "/tmp in /etc/ld.so.conf",
        good: "/usr/local/lib in /etc/ld.so.conf",
        waivable: true,
    }

    /// A file below /dev, /proc or /sys.
    FILE_IN_MOUNT {
        id: "file-in-mount",
        title: "a file below /dev, /proc or /sys",
        severity: High,
        rationale: "The runtime mounts over these folders, so that the file serves nobody but somebody who hides it.",
        remedy: "Leave the folders empty.",
        bad: "/proc/payload",
        good: "an empty /proc",
        waivable: true,
    }

    /// What a build or a person left behind.
    LEFTOVER {
        id: "leftover",
        title: "what a build or a person left behind",
        severity: Medium,
        rationale: "Repositories, key folders, histories and caches tell what nobody meant to publish.",
        remedy: "Copy only what the program needs.",
        bad: "/src/.git, /root/.bash_history",
        good: "neither",
        waivable: true,
    }

    /// A link that leads out of the root.
    LINK_ESCAPES {
        id: "link-escapes",
        title: "a link that leads out of the root",
        severity: High,
        rationale: "A container stops at its root. Tools that unpack or mount the image elsewhere may follow the link to a file of the host.",
        remedy: "Let the link lead to a path inside the image.",
        bad: "/etc/x -> ../../etc/shadow",
        good: "/etc/x -> ../usr/share/x",
        waivable: true,
    }

    /// A link that leads to itself.
    LINK_LOOP {
        id: "link-loop",
        title: "a link that leads to itself",
        severity: High,
        rationale: "It serves nothing, and makes tools that follow links fail or run for ever.",
        remedy: "Remove the link.",
        bad: "/a -> b, /b -> a",
        good: "/a -> b, and a file b",
        waivable: true,
    }

    /// A link that leads nowhere.
    LINK_DANGLING {
        id: "link-dangling",
        title: "a link that leads nowhere",
        severity: Low,
        rationale: "Something is missing, or somebody means to put it there later.",
        remedy: "Remove the link, or add what it names.",
        bad: "/app -> /opt/app, which is not there",
        good: "/app -> /usr/bin/app",
        waivable: true,
    }
}
