//! When a request is sent again, and after which pause.

use std::time::Duration;

/// How often a request that failed for the moment is sent again, and how soon.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// How often, after the first time.
    pub times: u32,
    /// The first pause; each further one is twice as long.
    pub pause: Duration,
    /// The longest pause, also of those that a server asks for.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { times: 4, pause: Duration::from_millis(250), longest: Duration::from_secs(60) }
    }
}

impl Retry {
    /// Returns the pause before the try of this number, the first being 0; none when there is
    /// to be no other, or the server asks for more patience than there is.
    pub fn pause(&self, number: u32, asked: Option<Duration>) -> Option<Duration> {
        if number >= self.times || asked.is_some_and(|asked| asked > self.longest) {
            return None;
        }
        let own = self.pause.saturating_mul(1 << number.min(16)).min(self.longest);
        Some(asked.map_or(own, |asked| asked.max(own)))
    }
}

/// Reads `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date, which is held against
/// the answer's own `Date`, so that no clock of ours is asked.
pub(super) fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    if value.len() <= 9 && !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return value.parse().ok().map(Duration::from_secs);
    }
    let seconds = http_date(value)?.checked_sub(http_date(date?.trim())?)?;
    Some(Duration::from_secs(seconds))
}

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT` into seconds, exact for differences (RFC 9110,
/// section 5.6.7; the two obsolete forms are not sent any more).
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let day: u64 = two(parts.next()?)?;
    let month = parts.next()?;
    let month = MONTHS.iter().position(|one| *one == month)? as u64 + 1;
    let year = parts.next().filter(|year| year.len() == 4)?;
    let year: u64 = year.parse().ok().filter(|year| (1900..=9999).contains(year))?;
    let mut clock = parts.next()?.split(':');
    let (hour, minute, second) = (two(clock.next()?)?, two(clock.next()?)?, two(clock.next()?)?);
    if parts.next() != Some("GMT") || day > 31 || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since the first of March of the year 0 (Howard Hinnant, `days_from_civil`).
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

fn two(text: &str) -> Option<u64> {
    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let retry =
            Retry { times: 3, pause: Duration::from_secs(1), longest: Duration::from_secs(30) };
        let seconds = |pause: Option<Duration>| pause.map(|pause| pause.as_secs());
        assert_eq!(
            [0, 1, 2, 3].map(|n| seconds(retry.pause(n, None))),
            [Some(1), Some(2), Some(4), None]
        );
        assert_eq!(seconds(retry.pause(0, Some(Duration::from_secs(7)))), Some(7));
        assert_eq!(seconds(retry.pause(2, Some(Duration::ZERO))), Some(4), "not sooner than ours");
        assert_eq!(retry.pause(0, Some(Duration::from_secs(31))), None);
    }

    #[test]
    fn both_forms_of_retry_after_are_read() {
        let date = "Sun, 28 Feb 2027 23:59:50 GMT";
        for (value, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("Mon, 01 Mar 2027 00:00:00 GMT", Some(10)),
            ("Tue, 29 Feb 2028 23:59:50 GMT", Some(366 * 86_400)),
            ("Sun, 28 Feb 2027 23:59:49 GMT", None),
            ("-1", None),
            ("1.5", None),
            ("99999999999999999999", None),
            ("Sun Nov  6 08:49:37 1994", None),
            ("Mon, 99 Mar 2027 00:00:00 GMT", None),
            ("", None),
        ] {
            let read = retry_after(value, Some(date)).map(|wait| wait.as_secs());
            assert_eq!(read, seconds, "{value}");
        }
        assert_eq!(retry_after("Mon, 01 Mar 2027 00:00:00 GMT", None), None);
    }
}
