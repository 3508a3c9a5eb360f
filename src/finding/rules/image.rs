//! Rules about images as a whole, and about what could not be judged.

use super::Severity::{Critical, High, Medium};

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
        remedy: "Scanning comes with a later version of karat; until then, scan the SBOM with a scanner of your own.",
        bad: "a build without a database",
        good: "a build with a pinned database",
        waivable: true,
        on_release: Some(High),
    }
}
