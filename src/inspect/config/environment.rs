//! The rules about environment variables and the working directory.

use super::super::Look;
use super::super::access::RunAs;
use crate::finding::{Finding, escape, rules};
use crate::image::Kind;
use crate::oci::document::RunConfig;

/// Variables from which the loader or a language takes code.
const LOADERS: [&str; 17] = [
    // the dynamic loader and the C library: ld.so(8), iconv_open(3)
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "GLIBC_TUNABLES",
    "GCONV_PATH", // shells
    "BASH_ENV",
    "ENV", // languages
    "PYTHONSTARTUP",
    "PERL5OPT",
    "PERL5DB",
    "RUBYOPT",
    "NODE_OPTIONS",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "DOTNET_STARTUP_HOOKS",
    "CORECLR_PROFILER_PATH",
];
/// The most folders of one PATH that are looked at.
const MAX_FOLDERS: usize = 256;

pub(super) fn check(look: &mut Look<'_>, run: &RunConfig, runs: Option<RunAs>) {
    for line in &run.env {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        // `ENV` is a file that a shell reads, and the name of an application's own setting.
        let loads = LOADERS.contains(&name) && (name != "ENV" || value.contains('/'));
        if loads && !value.is_empty() {
            let message = format!("the environment sets {name}");
            look.report(Finding::new(&rules::ENV_LOADS_CODE, message));
        }
        if name == "PATH" {
            search_path(look, value, runs);
        }
    }
    working_directory(look, &run.working_dir);
}

fn search_path(look: &mut Look<'_>, value: &str, runs: Option<RunAs>) {
    let mut evidence = Vec::new();
    for folder in value.split(':').take(MAX_FOLDERS) {
        let shown = escape::terminal(folder);
        if folder.is_empty() || folder == "." {
            evidence.push("an empty folder is the working directory".to_owned());
        } else if !folder.starts_with('/') {
            evidence.push(format!("`{shown}` is relative"));
        } else if let Some(runs) = runs.filter(|runs| runs.uid != 0)
            && let Some(why) = runs.fills(look.tree, folder.as_bytes())
        {
            evidence.push(format!("`{shown}`: {why}, or what would hold it"));
        }
    }
    if value.split(':').count() > MAX_FOLDERS {
        evidence.push(format!("it has more than {MAX_FOLDERS} folders"));
    }
    if !evidence.is_empty() {
        evidence.dedup();
        let message = "the environment's PATH leads to foreign programs";
        look.report(Finding::new(&rules::SEARCH_PATH_UNSAFE, message).because(evidence));
    }
}

fn working_directory(look: &mut Look<'_>, folder: &str) {
    if folder.is_empty() {
        return;
    }
    let shown = escape::terminal(folder);
    let why = if folder.starts_with('/') {
        let resolved = look.tree.resolve(folder.as_bytes());
        match resolved.map(|at| look.tree.get(&at).map(|node| node.entry)) {
            Err(error) => format!("cannot be entered: {error}"),
            Ok(Some(entry)) if !matches!(entry.kind, Kind::Directory) => "is no folder".to_owned(),
            Ok(Some(entry)) if entry.mode & 0o002 != 0 => {
                format!("can be written by everybody (mode {:04o})", entry.mode)
            }
            Ok(_) => return,
        }
    } else {
        "is relative".to_owned()
    };
    let message = format!("the working directory `{shown}` {why}");
    look.report(Finding::new(&rules::WORKDIR_UNSAFE, message));
}
