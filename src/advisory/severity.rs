//! How bad a vulnerability is, and who says so.
//!
//! Sources: CVSS 2.0, 3.1 and 4.0 (scores by the crate `cvss`; levels as in CVSS 3.1, 5);
//! GitHub's and Debian's words in their OSV records.

use super::osv::{Affected, Record, Score};
use crate::finding::Severity;
use cvss::Cvss;

/// Returns how bad a record says that a vulnerability is in a package, and by what; none when
/// it says nothing.
pub(super) fn of(record: &Record, affected: &Affected) -> Option<(Severity, String)> {
    let vectors = |scores: &[Score]| {
        // The newest standard that a record uses is the one that its author means.
        ["CVSS_V4", "CVSS_V3", "CVSS_V2"].iter().find_map(|kind| {
            let of_kind = scores.iter().filter(|score| score.kind == *kind);
            of_kind.filter_map(|score| vector(&score.score)).max_by_key(|(level, _)| *level)
        })
    };
    let word = |text: &str| self::word(text).map(|level| (level, text.to_owned()));
    vectors(&affected.severity)
        .or_else(|| vectors(&record.severity))
        .or_else(|| word(&affected.database_specific.severity))
        .or_else(|| word(&record.database_specific.severity))
        .or_else(|| word(&affected.ecosystem_specific.urgency))
        .map(|(level, by)| (level, format!("{} says {by}", record.id)))
}

fn vector(text: &str) -> Option<(Severity, String)> {
    if text.len() > 500 {
        return None;
    }
    let score = match text.parse::<Cvss>() {
        Ok(cvss) => cvss.score(),
        // Vectors of version 2 have no prefix.
        Err(_) => text.parse::<cvss::v2::Vector>().ok().map(Cvss::CvssV20)?.score(),
    };
    Some((level(score), format!("{text} ({score:.1})")))
}

/// Returns the level of a score (CVSS 3.1, section 5).
pub(super) fn level(score: f64) -> Severity {
    match score {
        score if score >= 9.0 => Severity::Critical,
        score if score >= 7.0 => Severity::High,
        score if score >= 4.0 => Severity::Medium,
        score if score > 0.0 => Severity::Low,
        _ => Severity::Info,
    }
}

/// Reads GitHub's and Debian's words. Debian's `unimportant` is what it will not mend since it
/// harms nobody; its `not yet assigned` and `end-of-life` say nothing of how bad it is.
fn word(text: &str) -> Option<Severity> {
    Some(match text.trim_end_matches('*').to_ascii_lowercase().as_str() {
        "critical" => Severity::Critical,
        "high" => Severity::High,
        "moderate" | "medium" => Severity::Medium,
        "low" => Severity::Low,
        "unimportant" => Severity::Info,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(scores: &[(&str, &str)]) -> Option<Severity> {
        let score = |(kind, score): &(&str, &str)| Score {
            kind: (*kind).to_owned(),
            score: (*score).to_owned(),
        };
        let severity = scores.iter().map(score).collect();
        let record = Record { id: "X".to_owned(), severity, ..Record::default() };
        of(&record, &Affected::default()).map(|(level, _)| level)
    }

    #[test]
    fn vectors_become_levels() {
        // The scores are those of the standards' own calculators for these vectors.
        for (kind, vector, expected) in [
            ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Some(Severity::Critical)),
            ("CVSS_V3", "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", Some(Severity::High)),
            ("CVSS_V3", "CVSS:3.1/AV:L/AC:H/PR:L/UI:R/S:U/C:L/I:N/A:N", Some(Severity::Low)),
            ("CVSS_V2", "AV:N/AC:L/Au:N/C:P/I:P/A:P", Some(Severity::High)),
            (
                "CVSS_V4",
                "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
                Some(Severity::Critical),
            ),
            ("CVSS_V3", "CVSS:3.1/nonsense", None),
            ("Ubuntu", "high", None),
        ] {
            assert_eq!(scored(&[(kind, vector)]), expected, "{vector}");
        }
        let both = [
            ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
            ("CVSS_V4", "CVSS:4.0/AV:L/AC:H/AT:P/PR:H/UI:A/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N"),
        ];
        assert!(scored(&both) < Some(Severity::Critical));
        assert_eq!(scored(&[]), None);
    }

    #[test]
    fn words_are_the_last_resort() {
        let mut affected = Affected::default();
        affected.ecosystem_specific.urgency = "low**".to_owned();
        let mut record = Record::default();
        assert_eq!(of(&record, &affected).map(|(level, _)| level), Some(Severity::Low));
        record.database_specific.severity = "MODERATE".to_owned();
        assert_eq!(of(&record, &affected).map(|(level, _)| level), Some(Severity::Medium));
        for none in ["not yet assigned", "end-of-life", "unknown", ""] {
            assert_eq!(word(none), None, "{none}");
        }
    }
}
