//! What an inspection has found: the first findings of each rule, and how many more there are.

use crate::finding::{Finding, Severity, rules};
use std::collections::BTreeMap;

/// The most findings of one rule that are kept; the rest is counted. Each names a path, and
/// an image has half a million of these.
pub(super) const MOST: usize = 1000;

/// Findings, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Found {
    kept: Vec<Kept>,
    /// How often each rule has found something, and the worst severity of what is not kept.
    counts: BTreeMap<&'static str, (usize, Option<Severity>)>,
}

#[derive(Debug)]
struct Kept {
    /// The number of the entry that was looked at.
    entry: usize,
    layer: Option<usize>,
    finding: Finding,
}

impl Found {
    /// Takes a finding that was made in a layer while an entry was looked at, unless there are
    /// enough of its rule.
    pub(super) fn add(&mut self, entry: usize, layer: Option<usize>, finding: Finding) {
        let (count, worst) = self.counts.entry(finding.rule.id).or_default();
        *count += 1;
        if *count > MOST {
            *worst = (*worst).max(Some(finding.severity));
            return;
        }
        self.kept.push(Kept { entry, layer, finding });
    }

    /// Adds what several have found who looked at different entries, as if one had looked at
    /// all of them, in the order of their numbers.
    pub(super) fn merge(&mut self, parts: impl IntoIterator<Item = Self>) {
        let mut kept = Vec::new();
        let mut rest = Vec::new();
        for part in parts {
            kept.extend(part.kept);
            rest.extend(part.counts.into_iter().filter(|(_, (count, _))| *count > MOST));
        }
        kept.sort_by_key(|one| one.entry);
        for Kept { entry, layer, finding } in kept {
            self.add(entry, layer, finding);
        }
        // Of these more than enough were kept already.
        for (id, (further, worse)) in rest {
            let (count, worst) = self.counts.entry(id).or_default();
            *count += further - MOST;
            *worst = (*worst).max(worse);
        }
    }

    /// Returns the findings with the numbers of their layers. What was not kept is one finding
    /// a rule, which names no file, so that no waiver for a file takes it away.
    pub(super) fn finish(self) -> Vec<(Option<usize>, Finding)> {
        let mut found: Vec<_> = self.kept.into_iter().map(|one| (one.layer, one.finding)).collect();
        for (id, (count, worst)) in &self.counts {
            if let Some((rule, worst)) = rules::find(id).zip(*worst) {
                let message = format!("there are {} more of this kind", count - MOST);
                let mut finding = Finding::new(rule, message);
                finding.severity = worst;
                found.push((None, finding));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_have_found_is_what_one_would_have_found() {
        let finding = |number: usize| {
            let rule = if number.is_multiple_of(3) { &rules::LINK_ESCAPES } else { &rules::SETUID };
            let mut finding = Finding::new(rule, format!("number {number}"));
            if number == 2500 {
                finding.severity = Severity::Critical;
            }
            finding
        };
        for (before, after) in [(0, 10), (0, 4000), (900, 5000), (4000, 4100)] {
            let mut one = Found::default();
            let mut two = Found::default();
            (0..before).for_each(|number| {
                one.add(number, Some(1), finding(number));
                two.add(number, Some(1), finding(number));
            });
            let mut parts = [Found::default(), Found::default(), Found::default()];
            for number in before..after {
                one.add(number, None, finding(number));
                parts[number * 7 % 11 % 3].add(number, None, finding(number));
            }
            two.merge(parts);
            assert_eq!(two.counts, one.counts, "{before} {after}");
            let shown = |found: Found| -> Vec<_> {
                let all = found.finish().into_iter();
                all.map(|(layer, one)| (layer, one.message, one.severity)).collect()
            };
            assert_eq!(shown(two), shown(one), "{before} {after}");
        }
    }
}
