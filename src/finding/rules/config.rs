//! Rules about the configuration of an image.

use super::Severity::{Critical, High, Low, Medium};

rules! {
    /// An image that runs as root.
    USER_ROOT {
        id: "user-root",
        title: "an image that runs as root",
        severity: Critical,
        rationale: "Most ways out of a container begin with user 0.",
        remedy: "Set `65532:65532`.",
        bad: "no user, or user 0",
        good: "user 65532:65532",
        waivable: false,
    }

    /// A user by name.
    USER_NOT_NUMERIC {
        id: "user-not-numeric",
        title: "a user by name",
        severity: High,
        rationale: "A cluster cannot verify a name (`runAsNonRoot`).",
        remedy: "Write numbers: `65532:65532`.",
        bad: "user nobody",
        good: "user 65532:65532",
        waivable: true,
    }

    /// An entrypoint that cannot start.
    ENTRYPOINT_MISSING {
        id: "entrypoint-missing",
        title: "an entrypoint that cannot start",
        severity: Critical,
        rationale: "The container fails when it is started.",
        remedy: "Name a program that is in the image and that the user may execute.",
        bad: "entrypoint /app, and the file is /usr/bin/app",
        good: "the path of the binary",
        waivable: false,
    }

    /// An entrypoint through a shell.
    ENTRYPOINT_SHELL {
        id: "entrypoint-shell",
        title: "an entrypoint through a shell",
        severity: Critical,
        rationale: "It cannot work without a shell, or there is one.",
        remedy: "Name the program and its arguments as a list.",
        bad: "[\"/bin/sh\", \"-c\", \"app\"]",
        good: "[\"/usr/bin/app\"]",
        waivable: true,
    }

    /// A user whose number no runtime takes.
    USER_OUT_OF_RANGE {
        id: "user-out-of-range",
        title: "a user whose number no runtime takes",
        severity: High,
        rationale: "Runtimes take 0 to 2147483647. Some refuse other numbers, some wrap them around, and then the user may be root.",
        remedy: "Set `65532:65532`.",
        bad: "user 4294967296",
        good: "user 65532:65532",
        waivable: true,
    }

    /// The root group.
    GROUP_ROOT {
        id: "group-root",
        title: "a process in the root group",
        severity: Low,
        rationale: "Files that only the group root may read or write are open to the process. A user without a group gets this one, unless /etc/passwd says otherwise.",
        remedy: "Name a group: `65532:65532`.",
        bad: "user 65532:0, or 65532 alone",
        good: "user 65532:65532",
        waivable: true,
    }

    /// An entrypoint that is searched for.
    ENTRYPOINT_RELATIVE {
        id: "entrypoint-relative",
        title: "an entrypoint that is searched for",
        severity: Medium,
        rationale: "Which program starts depends on PATH or the working directory, which whoever runs the image may change.",
        remedy: "Write the whole path.",
        bad: "[\"app\"]",
        good: "[\"/usr/bin/app\"]",
        waivable: true,
    }

    /// A search path that leads to foreign programs.
    SEARCH_PATH_UNSAFE {
        id: "search-path-unsafe",
        title: "a PATH that leads to foreign programs",
        severity: High,
        rationale: "An empty, relative or writable folder in PATH lets whoever can write there choose what is started.",
        remedy: "Name absolute folders that only root may write.",
        bad: "PATH=:/usr/bin, PATH=/tmp:/usr/bin",
        good: "PATH=/usr/bin",
        waivable: true,
    }

    /// A variable that makes programs load code.
    ENV_LOADS_CODE {
        id: "env-loads-code",
        title: "a variable that makes programs load code",
        severity: High,
        rationale: "The loader or the language takes more code from it, into every process and past every review of the program itself.",
        remedy: "Remove the variable; what a program needs is built into it.",
        bad: "LD_PRELOAD=/lib/x.so",
        good: "no such variable",
        waivable: true,
    }

    /// A port of remote access, a debugger or a control plane.
    PORT_RISKY {
        id: "port-risky",
        title: "a port of remote access, a debugger or a control plane",
        severity: Medium,
        rationale: "Whoever reaches the port can enter or steer what runs behind it.",
        remedy: "Leave the service out of the image, or listen elsewhere.",
        bad: "port 22 or 9229",
        good: "port 8080",
        waivable: true,
    }

    /// A volume over a system folder.
    VOLUME_ON_SYSTEM {
        id: "volume-on-system",
        title: "a volume over a system folder",
        severity: Medium,
        rationale: "The volume hides what was inspected there, and can be written.",
        remedy: "Mount data in a folder of its own.",
        bad: "a volume on /etc",
        good: "a volume on /data",
        waivable: true,
    }

    /// A working directory that is not there or open to all.
    WORKDIR_UNSAFE {
        id: "workdir-unsafe",
        title: "a working directory that is not there, relative or open to all",
        severity: Medium,
        rationale: "A runtime makes a missing one in its own way, and in an open one other processes can put files in the program's way.",
        remedy: "Name an absolute folder that is in the image and that not everybody may write.",
        bad: "working directory /nowhere",
        good: "working directory /",
        waivable: true,
    }

    /// A history that does not fit the layers.
    HISTORY_DIFFERS {
        id: "history-differs",
        title: "a history that does not fit the layers",
        severity: Medium,
        rationale: "There are layers that nobody can attribute to a step, or steps whose layer is gone.",
        remedy: "Rebuild the image.",
        bad: "three layers, and a history of two",
        good: "one step a layer",
        waivable: true,
    }

    /// Commands for builds on top of the image.
    BUILD_TRIGGER {
        id: "build-trigger",
        title: "commands for builds on top of the image",
        severity: Medium,
        rationale: "ONBUILD steps run in the builds of others without being seen there, and a SHELL is only of use with a shell.",
        remedy: "Remove ONBUILD and SHELL.",
        bad: "ONBUILD RUN make",
        good: "neither",
        waivable: true,
    }
}
