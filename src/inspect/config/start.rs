//! The rules about what is started: entrypoint, command and health check.

use super::super::Look;
use super::super::access::RunAs;
use crate::finding::{Finding, escape, rules};
use crate::image::{Kind, tree};
use crate::oci::document::Config;

/// Programs that run a text or a file given as an argument.
const STARTERS: [&str; 37] = [
    // shells
    "sh", "ash", "bash", "dash", "zsh", "ksh", "mksh", "csh", "tcsh", "fish", "busybox", "toybox",
    "pwsh", // languages
    "python", "perl", "ruby", "node", "nodejs", "deno", "bun", "php", "lua", "luajit", "tclsh",
    "awk", // programs that start another one
    "env", "nohup", "timeout", "setsid", "xargs", "chroot", "setpriv", "su", "sudo", "gosu",
    "su-exec", "nsenter",
];

/// Looks at what is started. `runs` is whom it is started as, where that is known.
pub(super) fn check(look: &mut Look<'_>, config: &Config, runs: Option<RunAs>) {
    let run = &config.config;
    health(look, config);
    let Some(program) = run.entrypoint.first().or(run.cmd.first()) else {
        return look.report(missing("there is no entrypoint and no command".to_owned()));
    };
    let shown = escape::terminal(program);
    if starts_others(look, config, program) {
        let message =
            format!("the entrypoint `{shown}` is a shell or starts what its arguments name");
        look.report(Finding::new(&rules::ENTRYPOINT_SHELL, message));
    } else if run.cmd.get(1).is_some_and(|argument| argument == "-c")
        && run.cmd.first().is_some_and(|program| is_starter(last(program.as_bytes())))
    {
        let message = "the command is the text of a shell".to_owned();
        look.report(Finding::new(&rules::ENTRYPOINT_SHELL, message));
    }
    if !program.starts_with('/') {
        let message = format!("the entrypoint `{shown}` is no absolute path");
        look.report(Finding::new(&rules::ENTRYPOINT_RELATIVE, message));
    }
    startable(look, config, program, runs);
}

fn missing(message: String) -> Finding {
    Finding::new(&rules::ENTRYPOINT_MISSING, message)
}

fn health(look: &mut Look<'_>, config: &Config) {
    let Some(health) = &config.config.healthcheck else { return };
    let message = match health.test.first().map(String::as_str) {
        Some("CMD-SHELL") => "the health check is the text of a shell".to_owned(),
        Some("CMD") => match health.test.get(1) {
            Some(program) if starts_others(look, config, program) => format!(
                "the health check `{}` is a shell or starts what its arguments name",
                escape::terminal(program)
            ),
            _ => return,
        },
        _ => return,
    };
    look.report(Finding::new(&rules::ENTRYPOINT_SHELL, message));
}

/// Says whether a program is one of the [`STARTERS`], by its name or by where it leads.
fn starts_others(look: &Look<'_>, config: &Config, program: &str) -> bool {
    is_starter(last(program.as_bytes()))
        || find(look, config, program)
            .and_then(|path| look.tree.file(&path).ok())
            .is_some_and(|node| is_starter(last(&node.entry.path)))
}

fn last(path: &[u8]) -> &[u8] {
    tree::split(path).1
}

fn is_starter(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name).to_lowercase();
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    STARTERS.contains(&bare)
        || name.starts_with("ld-linux")
        || name.starts_with("ld-musl-")
        || name.starts_with("ld64.so")
        || name.starts_with("ld.so")
}

fn find(look: &Look<'_>, config: &Config, program: &str) -> Option<Vec<u8>> {
    candidates(config, program).into_iter().find(|path| look.tree.file(path).is_ok())
}

/// Returns the path of the program that is started, links followed.
pub(in crate::inspect) fn program(look: &Look<'_>, config: &Config) -> Option<Vec<u8>> {
    let run = &config.config;
    let program = run.entrypoint.first().or(run.cmd.first())?;
    let path = find(look, config, program)?;
    look.tree.file(&path).ok().map(|node| node.entry.path.clone())
}

fn startable(look: &mut Look<'_>, config: &Config, program: &str, runs: Option<RunAs>) {
    let shown = escape::terminal(program);
    let name = last(program.as_bytes());
    let Some(path) = find(look, config, program) else {
        let mut finding = missing(format!("the entrypoint `{shown}` is not in the image"));
        let same_name = look.tree.iter().find(|(path, _)| tree::split(path).1 == name);
        if let Some((path, _)) = same_name {
            finding = finding
                .because([format!("a file of that name is at {}", crate::image::shown(path))]);
        }
        return look.report(finding);
    };
    let Ok(node) = look.tree.file(&path) else { return };
    let entry = node.entry;
    if !matches!(entry.kind, Kind::File(_)) {
        return look.report(missing(format!("the entrypoint `{shown}` is no regular file")));
    }
    let RunAs { uid, gid } = runs.unwrap_or(RunAs { uid: u64::MAX, gid: u64::MAX });
    let runs = RunAs { uid, gid };
    if !runs.enters(entry) {
        return look.report(missing(format!(
            "user {uid}:{gid} may not execute the entrypoint `{shown}` (mode {:04o}, owner {}:{})",
            entry.mode, entry.uid, entry.gid
        )));
    }
    let Ok(resolved) = look.tree.resolve(&path) else { return };
    let mut folder = tree::split(&resolved).0;
    while !folder.is_empty() {
        if let Some(parent) = look.tree.get(folder).map(|node| node.entry)
            && !runs.enters(parent)
        {
            return look.report(missing(format!(
                "user {uid}:{gid} may not enter {} on the way to the entrypoint `{shown}` (mode {:04o}, owner {}:{})",
                parent.shown(),
                parent.mode,
                parent.uid,
                parent.gid
            )));
        }
        folder = tree::split(folder).0;
    }
}

/// Returns where a runtime looks for a program: at its path, below the working directory,
/// or in the folders of `PATH`.
fn candidates(config: &Config, program: &str) -> Vec<Vec<u8>> {
    let run = &config.config;
    let below = |folder: &str| {
        format!("{}/{program}", folder.trim_matches('/')).trim_start_matches('/').to_owned()
    };
    let paths: Vec<String> = if program.starts_with('/') {
        vec![program.trim_start_matches('/').to_owned()]
    } else if program.contains('/') {
        vec![below(&run.working_dir)]
    } else {
        let path = run.env.iter().find_map(|line| line.strip_prefix("PATH=")).unwrap_or("");
        path.split(':').map(below).collect()
    };
    paths.into_iter().map(String::into_bytes).collect()
}
