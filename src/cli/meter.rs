//! How far a transfer is, on a terminal: one line that is written over and over, and gone when
//! it is done.

use super::output::{Output, bytes};
use karat::store::progress::{Progress, Snapshot};
use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the line is written.
const TICK: Duration = Duration::from_millis(200);
/// Over how many ticks the rate is measured.
const TICKS: usize = 15;

/// Shows how far something is until it is dropped. Without a terminal it shows nothing.
pub(super) struct Meter(Option<(Sender<()>, JoinHandle<()>)>);

impl Meter {
    /// Begins to watch. `what` names it: the image, mostly.
    pub(super) fn start(what: &str, progress: &Arc<Progress>, output: &Output) -> Self {
        if !output.is_interactive() {
            return Self(None);
        }
        let (sender, receiver) = mpsc::channel::<()>();
        let (what, progress) = (what.to_owned(), Arc::clone(progress));
        let watch = move || {
            let mut seen = VecDeque::from([(Instant::now(), 0)]);
            while receiver.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let now = progress.snapshot();
                seen.push_back((Instant::now(), now.read));
                if seen.len() > TICKS {
                    seen.pop_front();
                }
                show(&line(&what, now, rate(&seen)));
            }
            show("");
        };
        let name = "meter".to_owned();
        // Whoever cannot have another thread goes without.
        let thread = std::thread::Builder::new().name(name).spawn(watch);
        Self(thread.ok().map(|thread| (sender, thread)))
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.0.take() {
            drop(sender);
            let _ = thread.join();
        }
    }
}

/// Writes over the line that is there.
fn show(text: &str) {
    let mut err = io::stderr().lock();
    let _ = write!(err, "\r\x1b[K{text}").and_then(|()| err.flush());
}

/// Returns the bytes a second, over what was seen.
fn rate(seen: &VecDeque<(Instant, u64)>) -> u64 {
    let (Some((from, before)), Some((to, after))) = (seen.front(), seen.back()) else { return 0 };
    let millis = to.duration_since(*from).as_millis().max(1);
    // A new part of the work begins at nothing.
    let per_second = u128::from(after.saturating_sub(*before)) * 1000 / millis;
    u64::try_from(per_second).unwrap_or(u64::MAX)
}

/// Writes one line for people, of at most 79 columns.
fn line(what: &str, now: Snapshot, rate: u64) -> String {
    let mut text = match now.wanted {
        0 => format!("{} read", bytes(now.read)),
        // A part that was begun again is read twice.
        wanted => format!("{} of {}", bytes(now.read.min(wanted)), bytes(wanted)),
    };
    text.push_str(&format!(", {}/s", bytes(rate)));
    match now.skipped {
        0 => {}
        1 => text.push_str("; 1 blob is there already"),
        count => text.push_str(&format!("; {count} blobs are there already")),
    }
    let room = 79_usize.saturating_sub(text.len() + 2);
    let what = karat::finding::escape::terminal(what);
    let shown: String = match what.chars().count() > room {
        true => what.chars().take(room.saturating_sub(3)).chain("...".chars()).collect(),
        false => what,
    };
    format!("{shown}  {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_is_done_and_what_is_left_out() {
        let at = |read, wanted, skipped| Snapshot { read, wanted, skipped };
        assert_eq!(line("app", at(0, 0, 0), 0), "app  0 B read, 0 B/s");
        assert_eq!(
            line("app", at(1_500_000, 3_000_000, 0), 500_000),
            "app  1.5 MB of 3.0 MB, 500.0 kB/s"
        );
        assert_eq!(
            line("app", at(9, 4, 2), 1),
            "app  4 B of 4 B, 1 B/s; 2 blobs are there already"
        );
        let long = line(&"x/".repeat(200), at(1, 2, 1), 3);
        assert_eq!(long.chars().count(), 79, "{long}");
        assert!(long.contains("...  1 B of 2 B, 3 B/s; 1 blob is there already"), "{long}");
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let seen = VecDeque::from([(after(0), 100), (after(500), 200), (after(2000), 4100)]);
        assert_eq!(rate(&seen), 2000);
        assert_eq!(rate(&VecDeque::from([(after(0), 100), (after(1000), 0)])), 0);
        assert_eq!(rate(&VecDeque::new()), 0);
    }
}
