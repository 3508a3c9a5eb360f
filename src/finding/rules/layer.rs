//! Rules about how layers lie on one another.

use super::Severity::{High, Low};

rules! {
    /// A file hidden that tells what is in the image.
    EVIDENCE_HIDDEN {
        id: "evidence-hidden",
        title: "a hidden file that tells who or what is in the image",
        severity: High,
        rationale: "Without accounts, certificates or the list of packages, programs fail and scanners call the image clean.",
        remedy: "Keep the file; build on a base that does not have the packages.",
        bad: "a whiteout of /var/lib/dpkg/status.d/openssl",
        good: "the file as the base has it",
        waivable: true,
    }

    /// Files that later layers hide.
    HIDDEN_CONTENT {
        id: "hidden-content",
        title: "files that later layers hide",
        severity: Low,
        rationale: "Hidden files can still be pulled, by whoever can pull the image.",
        remedy: "Build the image in one step that never adds the files.",
        bad: "a file in the first layer, a whiteout in the second",
        good: "a layer without the file",
        waivable: true,
    }

    /// A deletion that readers understand differently.
    WHITEOUT_ODD {
        id: "whiteout-odd",
        title: "a deletion that readers understand differently",
        severity: High,
        rationale: "What remains in the image depends on who unpacks it.",
        remedy: "Rebuild the layer with a current builder.",
        bad: "an entry .wh. without a name, .wh..wh.plnk, or app beside .wh.app",
        good: ".wh.app alone",
        waivable: true,
    }

    /// A deletion of nothing.
    WHITEOUT_OF_NOTHING {
        id: "whiteout-of-nothing",
        title: "a deletion of what is not there",
        severity: Low,
        rationale: "A layer is missing below, or was exchanged.",
        remedy: "Rebuild the image.",
        bad: ".wh.app, and no layer below has an app",
        good: ".wh.app over a layer with app",
        waivable: true,
    }

    /// A file below a link.
    WRITE_THROUGH_LINK {
        id: "write-through-link",
        title: "a file whose folder is a link",
        severity: High,
        rationale: "Unpackers disagree on where it lands: some follow the link, some replace it, some refuse.",
        remedy: "Pack the file under the path that the link leads to.",
        bad: "/bin -> usr/bin, and a file /bin/app",
        good: "a file /usr/bin/app",
        waivable: true,
    }
}
