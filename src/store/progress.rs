//! How far a transfer is, for whoever watches it.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How many bytes have been read of something, and how many are wanted. Shared between those who
/// read and one who watches.
#[derive(Debug, Default)]
pub struct Progress {
    read: AtomicU64,
    wanted: AtomicU64,
    skipped: AtomicUsize,
}

/// A [`Progress`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// How many bytes were read.
    pub read: u64,
    /// How many there will be; 0 where nobody knows.
    pub wanted: u64,
    /// How many parts are not read, because they are where they go.
    pub skipped: usize,
}

impl Progress {
    /// Begins anew, with so many bytes that are wanted.
    pub fn begin(&self, wanted: u64) {
        self.read.store(0, Ordering::Relaxed);
        self.skipped.store(0, Ordering::Relaxed);
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    /// Says of a part of so many bytes that it need not be read.
    pub fn skip(&self, size: u64) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
        let less = |wanted: u64| Some(wanted.saturating_sub(size));
        // It never fails: there is always a smaller number.
        let _ = self.wanted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Returns how far it is.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            read: self.read.load(Ordering::Relaxed),
            wanted: self.wanted.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
        }
    }
}

/// A reader that is watched.
#[derive(Debug)]
pub struct Watched<R> {
    inner: R,
    progress: Arc<Progress>,
}

impl<R> Watched<R> {
    /// Counts what is read.
    pub fn new(inner: R, progress: Arc<Progress>) -> Self {
        Self { inner, progress }
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.progress.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_and_what_is_not_is_counted() {
        let progress = Arc::new(Progress::default());
        progress.begin(30);
        progress.skip(20);
        let mut bytes = Vec::new();
        Watched::new(&b"0123456789"[..], Arc::clone(&progress)).read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"0123456789");
        assert_eq!(progress.snapshot(), Snapshot { read: 10, wanted: 10, skipped: 1 });
        progress.skip(100);
        assert_eq!(progress.snapshot().wanted, 0);
        progress.begin(5);
        assert_eq!(progress.snapshot(), Snapshot { read: 0, wanted: 5, skipped: 0 });
    }
}
