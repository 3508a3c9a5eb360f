//! Rules about where what is packed comes from.

use super::Severity::{High, Low};

rules! {
    /// A program that was built from changed sources.
    BINARY_DIRTY {
        id: "binary-dirty",
        title: "a program built from sources that no commit holds",
        severity: Low,
        rationale: "Nobody can read what it was built from, and nobody can build it again.",
        remedy: "Commit the change and build the program from a clean checkout.",
        bad: "a Go program with vcs.modified=true",
        good: "a program built from a commit",
        waivable: true,
        on_release: Some(High),
    }

    /// A program that was built from another commit than the recipe's.
    BINARY_REVISION_DIFFERS {
        id: "binary-revision-differs",
        title: "a program built from another commit than the recipe's",
        severity: Low,
        rationale: "What is reviewed beside the recipe is not what is packed: an old build is lying around.",
        remedy: "Build the program again from the commit that is checked out.",
        bad: "vcs.revision names the commit of last week",
        good: "vcs.revision names the commit that is checked out",
        waivable: true,
        on_release: Some(High),
    }

    /// A file of a packed folder that version control does not hold.
    UNTRACKED_INPUT {
        id: "untracked-input",
        title: "a packed file that version control does not hold",
        severity: Low,
        rationale: "Nobody has reviewed it, and it differs from machine to machine: an `.env`, a dump, a key.",
        remedy: "Commit it, take it out of the folder, or name it in `exclude`.",
        bad: "config/.env, ignored by git, in a [[file]] of config/",
        good: "a folder whose files are all committed",
        waivable: true,
        on_release: Some(High),
    }
}
