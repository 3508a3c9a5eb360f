//! The rules about ports, volumes, the history, and what only builders read.

use super::super::Look;
use crate::finding::{Finding, escape, rules};
use crate::image::Image;

/// Ports behind which sits something that lets people in or steers.
const PORTS: [(u16, &str); 11] = [
    (22, "ssh"),
    (23, "telnet"),
    (2345, "a debugger for Go"),
    (2375, "a Docker engine"),
    (2376, "a Docker engine"),
    (3389, "a remote desktop"),
    (5005, "a debugger for Java"),
    (5900, "a remote desktop"),
    (6443, "a Kubernetes control plane"),
    (9229, "a debugger for Node.js"),
    (10250, "a kubelet"),
];
/// Folders whose content a volume must not hide.
const SYSTEM: [&str; 16] = [
    "", "bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "root", "run", "sbin", "sys",
    "usr", "var", "var/run",
];

pub(super) fn check(look: &mut Look<'_>, image: &Image) {
    let run = &image.config.config;
    for port in run.exposed_ports.keys() {
        let range = port.split('/').next().unwrap_or_default();
        let (first, end) = range.split_once('-').unwrap_or((range, range));
        let (Ok(first), Ok(end)) = (first.parse::<u16>(), end.parse::<u16>()) else { continue };
        if let Some((_, what)) = PORTS.iter().find(|(risky, _)| (first..=end).contains(risky)) {
            let message = format!("port `{}` is that of {what}", escape::terminal(port));
            look.report(Finding::new(&rules::PORT_RISKY, message));
        }
    }
    for volume in run.volumes.keys() {
        let path: Vec<_> =
            volume.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if SYSTEM.contains(&path.join("/").as_str()) || path.ends_with(&["docker.sock"]) {
            let message = format!("a volume lies on `{}`", escape::terminal(volume));
            look.report(Finding::new(&rules::VOLUME_ON_SYSTEM, message));
        }
    }
    if !run.on_build.is_empty() || !run.shell.is_empty() {
        let what = if run.on_build.is_empty() { "SHELL" } else { "ONBUILD" };
        let message = format!("the configuration has {what}");
        look.report(Finding::new(&rules::BUILD_TRIGGER, message));
    }
    let steps = image.config.history.iter().filter(|step| !step.empty_layer).count();
    if !image.config.history.is_empty() && steps != image.layers.len() {
        let message =
            format!("the history has {steps} steps with a layer, the image {}", image.layers.len());
        look.report(Finding::new(&rules::HISTORY_DIFFERS, message));
    }
}
