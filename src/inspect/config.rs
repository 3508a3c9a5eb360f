//! Rules about an image's configuration, and about whether it fits the file system.

use super::Look;
use crate::finding::{Finding, escape, rules};
use crate::image::{Kind, tree};
use crate::oci::document::Config;

/// Programs that run a text given as an argument.
const SHELLS: [&str; 8] = ["sh", "ash", "bash", "dash", "zsh", "ksh", "env", "busybox"];

/// Looks at the configuration.
pub(super) fn check(look: &mut Look<'_>, config: &Config) {
    let user = &config.config.user;
    let (name, group) = user.split_once(':').unwrap_or((user, ""));
    let uid = match name.parse::<u32>() {
        _ if name.is_empty() => Some(0),
        Ok(uid) => Some(uid),
        Err(_) if name == "root" || name.trim_matches([' ', '+', '0']).is_empty() => Some(0),
        Err(_) => None,
    };
    match uid {
        Some(0) => {
            let message = if user.is_empty() {
                "no user is set, so the image runs as root".to_owned()
            } else {
                format!("the user is `{}`, which is root", escape::terminal(user))
            };
            look.report(Finding::new(&rules::USER_ROOT, message));
        }
        Some(_) => {}
        None => {
            let message = format!("the user is the name `{}`", escape::terminal(user));
            look.report(Finding::new(&rules::USER_NOT_NUMERIC, message));
        }
    }
    entrypoint(
        look,
        config,
        uid.unwrap_or(u32::MAX),
        group.parse().ok().or(uid).unwrap_or(u32::MAX),
    );
}

fn entrypoint(look: &mut Look<'_>, config: &Config, uid: u32, gid: u32) {
    let run = &config.config;
    let Some(program) = run.entrypoint.first().or(run.cmd.first()) else {
        return look.report(Finding::new(
            &rules::ENTRYPOINT_MISSING,
            "there is no entrypoint and no command",
        ));
    };
    let shown = escape::terminal(program);
    let name = program.rsplit('/').next().unwrap_or_default();
    if SHELLS.contains(&name) {
        let message =
            format!("the entrypoint `{shown}` is a shell or starts what its arguments name");
        look.report(Finding::new(&rules::ENTRYPOINT_SHELL, message));
    }
    let missing = |message: String| Finding::new(&rules::ENTRYPOINT_MISSING, message);
    let Some(path) =
        candidates(config, program).into_iter().find(|path| look.tree.file(path).is_ok())
    else {
        let mut finding = missing(format!("the entrypoint `{shown}` is not in the image"));
        let same_name = look.tree.iter().find(|(path, _)| tree::split(path).1 == name.as_bytes());
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
    let may = |mode: u32, owner: u64, group: u64| {
        let class = match () {
            () if owner == u64::from(uid) => 0o100,
            () if group == u64::from(gid) => 0o010,
            () => 0o001,
        };
        mode & class != 0 || uid == 0
    };
    if !may(entry.mode, entry.uid, entry.gid) {
        return look.report(missing(format!(
            "user {uid}:{gid} may not execute the entrypoint `{shown}` (mode {:04o}, owner {}:{})",
            entry.mode, entry.uid, entry.gid
        )));
    }
    let Ok(resolved) = look.tree.resolve(&path) else { return };
    let mut folder = tree::split(&resolved).0;
    while !folder.is_empty() {
        if let Some(parent) = look.tree.get(folder).map(|node| node.entry)
            && !may(parent.mode, parent.uid, parent.gid)
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
