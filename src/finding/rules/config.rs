//! Rules about the configuration of an image.

use super::Severity::{Critical, High};

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
}
