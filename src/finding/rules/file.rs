//! Rules about files: their names, modes and kinds.

use super::Severity::{Critical, High};

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
}
