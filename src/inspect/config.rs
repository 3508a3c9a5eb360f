//! Rules about an image's configuration, and about whether it fits the file system.

mod environment;
mod start;
mod surface;
mod user;

use super::access::RunAs;
use super::{Look, secret};
use crate::image::Image;

pub(super) use start::program;

/// Looks at the configuration. Returns whom it runs as, where it says so.
pub(super) fn check(look: &mut Look<'_>, image: &Image) -> Option<RunAs> {
    let config = &image.config;
    let runs = user::check(look, &config.config.user);
    start::check(look, config, runs);
    environment::check(look, &config.config, runs);
    surface::check(look, image);
    secret::check_documents(look, image);
    runs
}
