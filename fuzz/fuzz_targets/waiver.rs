//! Waivers: whole recipes, waivers in a good recipe, files of waivers, and policy files.
#![no_main]

use karat::policy::{Occasion, Standing, Terms, standing};
use karat::settings::Policy;
use karat::settings::file::Loaded;
use karat::time::Now;
use karat::{inspect, policy, recipe};
use karat_fuzz::{assert_shows, content, mode, seeds};
use std::time::{Duration, UNIX_EPOCH};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = mode(data) else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let now = Now::new(UNIX_EPOCH + Duration::from_secs(1_795_392_000));
    if mode % 4 == 3 {
        if let Err(faults) = karat::waiver::parse("waivers/a.toml", text) {
            assert_shows(&faults.render(false));
        }
        return;
    }
    if mode % 4 == 0 {
        match Loaded::parse("karat-policy.toml", text) {
            Ok(loaded) => {
                let _ = (loaded.policy.digest(), loaded.policy.waivers.forbid("shell"));
            }
            Err(faults) => assert_shows(&faults.render(false)),
        }
        return;
    }
    let text = if mode % 4 == 1 { text.to_owned() } else { format!("{}{text}", seeds::RECIPE) };
    let recipe = match recipe::parse("app.karat.toml", &text, None) {
        Ok(recipe) => recipe,
        Err(faults) => return assert_shows(&faults.render(false)),
    };
    let policy = Policy::golden();
    let script = content(b"#!/bin/sh\n");
    let names = policy.names_of(&recipe.name);
    let Ok(terms) = Terms::new(&policy, &recipe.waivers, &names, Occasion::Local, now) else {
        return;
    };
    let judged = policy::judge(inspect::file("app", &script), &[], Vec::new(), &terms);
    // A script is refused by a rule that nobody can waive away altogether.
    for waiver in &recipe.waivers {
        if matches!(standing(waiver, &policy, now), Standing::Void(..)) {
            assert!(
                judged.findings.iter().all(|one| one.waiver.as_deref() != Some(&waiver.id))
                    || recipe.waivers.iter().filter(|one| one.id == waiver.id).count() > 1
            );
        }
    }
});
