//! What git holds of a project.

use super::output::Output;
use karat::pipeline::build::Checkout;
use std::path::Path;
use std::process::{Command, Stdio};

/// The longest path that git is asked about.
const MAX_PATH: usize = 4096;

/// Asks git for the commit and the files that it holds, and whether it has the recipe, path and
/// text, as it is; none outside of a checkout, and none, with a word about it, when git cannot say.
pub(super) fn of(root: &Path, recipe: Option<(&str, &str)>, output: &Output) -> Option<Checkout> {
    root.ancestors().find(|folder| folder.join(".git").exists())?;
    let files = match git(root, &["ls-files", "-z", "--cached", "--recurse-submodules"]) {
        Ok(files) => files,
        // A `.git` of nothing.
        Err(why) if why.contains("not a git repository") => return None,
        Err(why) => {
            output.tell(&format!(
                "git could not be asked about this checkout ({why}): nothing is compared with it"
            ));
            return None;
        }
    };
    // A checkout without a commit has none.
    let commit = git(root, &["rev-parse", "--verify", "--quiet", "HEAD"]).ok();
    let holds = |(path, text): (&str, &str)| {
        // The bytes of the object: no filter that the checkout configures is run.
        let object = format!("HEAD:./{path}");
        path.len() <= MAX_PATH
            && git(root, &["cat-file", "blob", &object]).is_ok_and(|found| found == text.as_bytes())
    };
    let tracked = files.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Some(Checkout {
        holds_recipe: commit.is_some() && recipe.is_some_and(holds),
        commit: commit.map(|text| String::from_utf8_lossy(&text).trim().to_owned()),
        tracked: tracked.map(|name| String::from_utf8_lossy(name).into_owned()).collect(),
    })
}

fn git(root: &Path, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let run = Command::new("git")
        // The checkout is somebody else's, perhaps: nothing that it configures is started.
        .args(["-c", "core.fsmonitor=false", "-c", "safe.directory=*", "-C"])
        .arg(root)
        .args(arguments)
        .env("GIT_OPTIONAL_LOCKS", "0")
        // What a partial clone lacks is not asked for elsewhere.
        .env("GIT_NO_LAZY_FETCH", "1")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if run.status.success() {
        return Ok(run.stdout);
    }
    let said = String::from_utf8_lossy(&run.stderr);
    Err(said.lines().next().map_or_else(|| run.status.to_string(), str::to_owned))
}
