//! Looks at every entry of every layer: by two threads where there is much to look at, with the
//! findings of one.

use super::{Gathered, Look};
use crate::binary::ReadAt as _;
use crate::image::{Entry, Layer, Origin};
use std::sync::atomic::{AtomicUsize, Ordering};

/// From how many bytes of files on a second thread is worth its start.
const SHARED: u64 = 1 << 20;
/// How many threads look.
const THREADS: usize = 2;
/// The size from which a file is looked at before the others, so that no thread has one left
/// when the other is done.
const LARGE: u64 = 1 << 20;

/// The entries of all layers, in order.
struct Entries<'a> {
    layers: &'a [Layer],
    /// The number of each layer's first entry.
    starts: Vec<usize>,
    count: usize,
}

/// An entry where it lies.
struct Place<'a> {
    layer: usize,
    origin: Origin,
    entry: &'a Entry,
}

impl<'a> Entries<'a> {
    fn of(layers: &'a [Layer]) -> Self {
        let mut count = 0;
        let start = |layer: &Layer| {
            count += layer.entries.len();
            count - layer.entries.len()
        };
        let starts = layers.iter().map(start).collect();
        Self { layers, starts, count }
    }

    fn get(&self, number: usize) -> Option<Place<'a>> {
        let layer = self.starts.partition_point(|start| *start <= number).checked_sub(1)?;
        let of = self.layers.get(layer)?;
        let entry = of.entries.get(number - self.starts.get(layer)?)?;
        Some(Place { layer, origin: of.origin, entry })
    }

    /// Returns the number of bytes of all files, or the first sum from `enough` on.
    fn bytes(&self, enough: u64) -> u64 {
        let mut entries = self.layers.iter().flat_map(|layer| &layer.entries);
        let sum = entries.try_fold(0, |sum, entry| {
            let sum = sum + size(entry);
            if sum < enough { Ok(sum) } else { Err(sum) }
        });
        sum.unwrap_or_else(|sum| sum)
    }
}

fn size(entry: &Entry) -> u64 {
    entry.content().map_or(0, |content| content.len())
}

/// Looks at the entries of all layers, hidden ones too.
pub(super) fn check(look: &mut Look<'_>, layers: &[Layer]) {
    let entries = Entries::of(layers);
    if entries.bytes(SHARED) < SHARED || !look_together(look, &entries) {
        look_alone(look, &entries);
    }
    (look.number, look.layer, look.hidden) = (0, None, false);
}

fn look_alone(look: &mut Look<'_>, entries: &Entries<'_>) {
    for number in 0..entries.count {
        look_at(look, entries, number, |_| true);
    }
}

/// Looks at an entry if it is of a size.
fn look_at(
    look: &mut Look<'_>,
    entries: &Entries<'_>,
    number: usize,
    is_due: impl Fn(u64) -> bool,
) {
    let Some(place) = entries.get(number).filter(|place| is_due(size(place.entry))) else { return };
    look.number = number;
    look.layer = Some(place.layer);
    look.origin = place.origin;
    look.hidden = look.is_hidden(place.entry);
    look.entry(place.entry);
}

/// Looks at entries by several threads, and says whether what they found is what one would have
/// found. It is not where limits that hold for all of them were reached: which entry reaches
/// them depends on the order. Then nothing of it is kept.
fn look_together(look: &mut Look<'_>, entries: &Entries<'_>) -> bool {
    // Of each sort the next entry.
    let next = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let work = |mut own: Look<'_>, is_large: bool| {
        let next = &next[usize::from(is_large)];
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= entries.count {
                return own.gathered;
            }
            look_at(&mut own, entries, number, |size| (size >= LARGE) == is_large);
        }
    };
    let parts: Vec<Gathered> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..THREADS)
            .map(|_| {
                let (large, small) = (look.fork(), look.fork());
                scope.spawn(|| [work(large, true), work(small, false)])
            })
            .collect();
        let own = [work(look.fork(), true), work(look.fork(), false)];
        let others = others
            .into_iter()
            .map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        std::iter::once(own).chain(others).flatten().collect()
    });
    look.gathered.merge(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Kind, Tree};
    use crate::inspect::Rules;
    use crate::store::{Content, Spool};
    use std::io::Write as _;
    use std::sync::Arc;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    /// Files that break rules of every sort, of some kilobytes each.
    fn layer(origin: Origin) -> Layer {
        let script = b"#!/bin/sh\nexec /bin/busybox\n".repeat(300);
        let loader = [&b"\x7fELF"[..], &[0; 5000]].concat();
        let token = [b"export KEY=AKIA", &b"Q3EGRZ7ALB5XD2WK"[..], b"\n"].concat().repeat(400);
        let large = script.repeat(1 + (LARGE as usize / script.len()));
        let files = [script.clone(), loader, token, gzip(&script), gzip(&gzip(&script)), script];
        let entry = |number: usize| Entry {
            path: format!("usr/bin/{:03}", number).into_bytes(),
            kind: match number % 8 {
                _ if number % 300 == 5 => {
                    Kind::File(Content::whole(Arc::new(Spool::of(large.clone()))))
                }
                7 => Kind::Symlink(b"../../../outside".to_vec()),
                6 => Kind::Directory,
                kind => Kind::File(Content::whole(Arc::new(Spool::of(files[kind].clone())))),
            },
            mode: if number.is_multiple_of(3) { 0o4755 } else { 0o777 },
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: Vec::new(),
        };
        Layer { origin, diff_id: None, entries: (0..1000).map(entry).collect() }
    }

    #[test]
    fn two_threads_find_what_one_finds_also_where_limits_end_it() {
        let layers = [layer(Origin::Foreign), layer(Origin::Upstream)];
        let tree = Tree::of(&layers);
        let rules = Rules::default();
        let entries = Entries::of(&layers);
        assert_eq!(entries.count, 2000);
        let mut together = Vec::new();
        for members in [10_000, 600, 120, 0] {
            let look = |members| {
                let mut look = Look::new(&tree, &rules);
                look.layers = 2;
                look.gathered.budget = look.gathered.budget.with_members(members);
                look
            };
            let (mut one, mut two) = (look(members), look(members));
            look_alone(&mut one, &entries);
            together.push(look_together(&mut two, &entries));
            if !together.last().unwrap() {
                look_alone(&mut two, &entries);
            }
            assert_eq!(
                format!("{:?}", two.gathered.loaders),
                format!("{:?}", one.gathered.loaders)
            );
            let (one, two) = (one.gathered.found.finish(), two.gathered.found.finish());
            assert!(one.len() > 2000, "{}", one.len());
            assert_eq!(format!("{two:?}"), format!("{one:?}"));
        }
        assert_eq!(together, [true, false, false, false]);
    }
}
