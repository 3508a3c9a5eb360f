//! Rules about images as a whole, and about what could not be judged.

use super::Severity::{Critical, High, Info, Low, Medium};

rules! {
    /// A file that could not be inspected.
    COULD_NOT_INSPECT {
        id: "could-not-inspect",
        title: "a file that could not be inspected",
        severity: Critical,
        rationale: "What was not read cannot be called clean.",
        remedy: "Find out why it cannot be read; a damaged file has no place in an image.",
        bad: "an archive that ends in the middle",
        good: "a whole file",
        waivable: false,
    }

    /// An archive that is two images.
    ARCHIVE_TWO_IMAGES {
        id: "archive-two-images",
        title: "an archive that is two images",
        severity: Critical,
        rationale: "One tool reads `index.json` and another `manifest.json`: what was inspected is not what is loaded.",
        remedy: "Have the image saved again, by one tool.",
        bad: "a manifest.json whose configuration the index does not list",
        good: "both name the same configuration and layers",
        waivable: false,
    }

    /// A file of the base replaced.
    BASE_FILE_REPLACED {
        id: "base-file-replaced",
        title: "a file of the base replaced",
        severity: Medium,
        rationale: "The pinned base is no longer what runs.",
        remedy: "Choose another path, or another base.",
        bad: "a [[file]] at /etc/passwd",
        good: "a new path",
        waivable: true,
    }

    /// Layers larger than the policy allows.
    IMAGE_TOO_LARGE {
        id: "image-too-large",
        title: "layers larger than the policy allows",
        severity: High,
        rationale: "Golden images are small; a large one has something in it that nobody meant.",
        remedy: "Find out what is large (`karat inspect` lists it), or raise `max-size` in the policy.",
        bad: "a 900 MiB layer",
        good: "a static binary of 20 MiB",
        waivable: true,
    }

    /// No vulnerability database.
    NOT_SCANNED {
        id: "not-scanned",
        title: "no vulnerability database",
        severity: Medium,
        rationale: "Nobody has looked for known vulnerabilities.",
        remedy: "Name a database with `--db FILE` or KARAT_DB; `karat db import` makes one.",
        bad: "a build without a database",
        good: "a build with a pinned database",
        waivable: true,
        on_release: Some(High),
    }

    /// A known vulnerability.
    VULNERABILITY {
        id: "vulnerability",
        title: "a known vulnerability",
        severity: Critical,
        rationale: "Somebody has published how a part of the image can be attacked. How bad that is, the advisory says; the policy's `[gate] vulnerabilities` says what rejects.",
        remedy: "Update the part to the version in which it is fixed. Where it does no harm here, say so: in an OpenVEX document below `vex/`, or in a waiver with `vulnerability` and `package`.",
        bad: "golang.org/x/net v0.30.0, fixed in v0.33.0",
        good: "golang.org/x/net v0.33.0",
        waivable: true,
    }

    /// Advisories that are old.
    ADVISORIES_STALE {
        id: "advisories-stale",
        title: "old advisories",
        severity: Medium,
        rationale: "What became known since their newest change was not looked up.",
        remedy: "Import newer dumps with `karat db import`.",
        bad: "a database whose newest advisory is of last year",
        good: "a database of this week",
        waivable: true,
    }

    /// A VEX document that no vulnerability needs.
    VEX_UNUSED {
        id: "vex-unused",
        title: "a VEX document that no vulnerability needs",
        severity: Low,
        rationale: "It would hide the next vulnerability that happens to fit it.",
        remedy: "Remove the document, or the statements in it that are over.",
        bad: "a document about a package that was updated since",
        good: "a document about a vulnerability of this image",
        waivable: true,
    }

    /// A base that nobody maintains any more.
    BASE_UNMAINTAINED {
        id: "base-unmaintained",
        title: "a base that nobody maintains any more",
        severity: High,
        rationale: "What is found wrong with its packages from now on stays wrong.",
        remedy: "Move to a base of a newer release.",
        bad: "static-debian12, after its last day",
        good: "static-debian13",
        waivable: true,
    }

    /// A base that was locked long ago.
    BASE_OUTDATED {
        id: "base-outdated",
        title: "a base that was locked too long ago",
        severity: Medium,
        rationale: "Its packages are those of that day; what was fixed since is missing.",
        remedy: "`karat base lock NAME`, review the difference, and commit it; of a built-in base, use a newer karat.",
        bad: "a lock of 100 days with max-age = \"90d\"",
        good: "a lock of this week",
        waivable: true,
    }

    /// A base without some files of its packages.
    BASE_EXCLUDES {
        id: "base-excludes",
        title: "a base without some files of its packages",
        severity: Info,
        rationale: "Packages bring scripts and manuals that no image needs; the definition of the base leaves them out, and says why.",
        remedy: "Nothing; read the list when a file is missed.",
        bad: "an exclusion that nobody wrote down",
        good: "[[exclude]] with a reason",
        waivable: true,
    }
}
