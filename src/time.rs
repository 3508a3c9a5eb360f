//! The two times of karat: the one that is written, and the one that is judged by.
//!
//! Two types, so that an image never holds the wall clock, and so that setting
//! `SOURCE_DATE_EPOCH` never brings an expired waiver back to life.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

/// The time that is written into artifacts: seconds since 1970-01-01T00:00:00Z, 0 by default.
///
/// Source: reproducible-builds.org, `SOURCE_DATE_EPOCH` specification.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Epoch(u64);

/// The text is no `SOURCE_DATE_EPOCH`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no whole number of seconds between 0 and 8589934591 since 1970")]
pub struct InvalidEpoch(String);

impl Epoch {
    /// The largest epoch, in seconds: what the 11 octal digits of a tar header hold.
    pub const MAX: u64 = 0o77_777_777_777;

    /// Returns the seconds since 1970.
    pub fn seconds(self) -> u64 {
        self.0
    }
}

impl FromStr for Epoch {
    type Err = InvalidEpoch;
    fn from_str(text: &str) -> Result<Self, InvalidEpoch> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(seconds) if digits && seconds <= Self::MAX => Ok(Self(seconds)),
            _ => Err(InvalidEpoch(text.chars().take(40).collect())),
        }
    }
}

/// Writes RFC 3339 in UTC, with whole seconds and `Z`.
impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 as i64;
        let of_day = seconds % DAY;
        let date = Date::from_days(seconds / DAY);
        write!(f, "{date}T{:02}:{:02}:{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
    }
}

/// The wall clock, read once a command; it decides whether something has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now(u64);

impl Now {
    /// Takes a reading of the wall clock. A clock before 1970 counts as 1970.
    pub fn new(clock: SystemTime) -> Self {
        Self(clock.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }

    /// Returns the beginning of a day in UTC, for a user who asks about another day.
    pub fn on(day: Date) -> Self {
        Self(day.days.unsigned_abs() * DAY.unsigned_abs())
    }

    /// Returns the day in UTC.
    pub fn date(self) -> Date {
        Date::from_days(self.0 as i64 / DAY)
    }
}

/// A second of the calendar in UTC, from 1970 to 9999: when somebody else says that something
/// was made, or until when it holds. Written as RFC 3339 writes it, with `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

/// The text is no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no moment of the form YYYY-MM-DDThh:mm:ssZ")]
pub struct InvalidMoment(String);

impl Moment {
    /// Takes seconds since 1970; what is past the year 9999 counts as its end.
    pub fn from_seconds(seconds: u64) -> Self {
        Self(seconds.min(Date::LAST.unsigned_abs() * DAY.unsigned_abs()))
    }

    /// Returns the day.
    pub fn date(self) -> Date {
        Date::from_days((self.0 / DAY.unsigned_abs()) as i64)
    }

    /// Returns the seconds since 1970.
    pub fn seconds(self) -> u64 {
        self.0
    }
}

impl From<Now> for Moment {
    fn from(now: Now) -> Self {
        Self(now.0)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Epoch(self.0).fmt(f)
    }
}

impl FromStr for Moment {
    type Err = InvalidMoment;
    fn from_str(text: &str) -> Result<Self, InvalidMoment> {
        let invalid = || InvalidMoment(text.chars().take(40).collect());
        let (date, time) = text.split_once('T').ok_or_else(invalid)?;
        let date: Date = date.parse().map_err(|_| invalid())?;
        let number = |from: usize| {
            let digits = time.get(from..from + 2)?;
            digits.bytes().all(|c| c.is_ascii_digit()).then(|| digits.parse::<u64>().ok())?
        };
        let read = || Some((number(0)?, number(3)?, number(6)?));
        match read() {
            Some((hour @ 0..24, minute @ 0..60, second @ 0..60))
                if time.len() == 9
                    && time.get(2..3) == Some(":")
                    && time.get(5..6) == Some(":")
                    && time.ends_with('Z') =>
            {
                Ok(Self(
                    date.days.unsigned_abs() * DAY.unsigned_abs()
                        + hour * 3600
                        + minute * 60
                        + second,
                ))
            }
            _ => Err(invalid()),
        }
    }
}

/// A day of the Gregorian calendar, `YYYY-MM-DD`, from 1970 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    days: i64,
}

/// The text is no day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no day of the form YYYY-MM-DD between 1970 and 9999")]
pub struct InvalidDate(String);

impl Date {
    /// 9999-12-31, in days since 1970.
    const LAST: i64 = 2_932_896;

    fn from_days(days: i64) -> Self {
        Self { days }
    }

    /// Returns the day so many days later, or the last day that there is.
    #[must_use]
    pub fn plus(self, days: u32) -> Self {
        Self { days: (self.days + i64::from(days)).min(Self::LAST) }
    }

    /// Returns the number of days from `earlier` to this day; negative when it is later.
    pub fn days_since(self, earlier: Self) -> i64 {
        self.days - earlier.days
    }

    /// Splits into year, month and day (Howard Hinnant, "chrono-Compatible Low-Level Date
    /// Algorithms", `civil_from_days`).
    fn civil(self) -> (i64, i64, i64) {
        let z = self.days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
    }

    /// The inverse of `civil` (the same paper, `days_from_civil`).
    fn from_civil(year: i64, month: i64, day: i64) -> Self {
        let y = if month <= 2 { year - 1 } else { year };
        let era = y.div_euclid(400);
        let yoe = y.rem_euclid(400);
        let mp = (month + 9) % 12;
        let doy = (153 * mp + 2) / 5 + day - 1;
        let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
        Self { days: era * 146_097 + doe - 719_468 }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl serde::Serialize for Date {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Date {
    type Err = InvalidDate;
    fn from_str(text: &str) -> Result<Self, InvalidDate> {
        let invalid = || InvalidDate(text.chars().take(40).collect());
        let digits = |range: std::ops::Range<usize>| {
            text.get(range)
                .filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|part| part.parse::<i64>().ok())
                .ok_or_else(invalid)
        };
        if text.len() != 10 || text.get(4..5) != Some("-") || text.get(7..8) != Some("-") {
            return Err(invalid());
        }
        let date = Self::from_civil(digits(0..4)?, digits(5..7)?, digits(8..10)?);
        // 2026-02-30 comes back as another day, and 1969 as a negative one.
        if date.days < 0 || date.to_string() != text { Err(invalid()) } else { Ok(date) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_are_written_in_utc() {
        // From `date -u -d @N +%FT%TZ` of GNU coreutils.
        for (seconds, text) in [
            ("0", "1970-01-01T00:00:00Z"),
            ("951782400", "2000-02-29T00:00:00Z"),
            ("1795392000", "2026-11-23T00:00:00Z"),
            ("4102444799", "2099-12-31T23:59:59Z"),
        ] {
            assert_eq!(seconds.parse::<Epoch>().unwrap().to_string(), text);
        }
        for bad in ["", "-1", "+1", "1.5", " 1", "0x10", "8589934592", "99999999999999999999"] {
            assert!(bad.parse::<Epoch>().is_err(), "{bad}");
        }
    }

    #[test]
    fn days_are_strict() {
        for good in ["1970-01-01", "2024-02-29", "2026-11-23", "9999-12-31"] {
            assert_eq!(good.parse::<Date>().unwrap().to_string(), good);
        }
        for bad in [
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "26-01-01",
            "2026/01/01",
            "2026-1-1",
            "1969-12-31",
            "",
        ] {
            assert!(bad.parse::<Date>().is_err(), "{bad}");
        }
        let day = |text: &str| text.parse::<Date>().unwrap();
        assert_eq!(day("2027-03-01").days_since(day("2026-12-01")), 90);
        assert_eq!(day("2026-12-01").plus(90), day("2027-03-01"));
        assert_eq!(day("2026-12-01").plus(u32::MAX), day("9999-12-31"));
        assert_eq!(Now::on(day("2026-11-23")).date(), day("2026-11-23"));
    }

    #[test]
    fn moments_are_strict() {
        let moment: Moment = "2026-11-23T00:00:01Z".parse().unwrap();
        assert_eq!(
            (moment.seconds(), moment.to_string()),
            (1_795_392_001, "2026-11-23T00:00:01Z".to_owned())
        );
        assert_eq!(moment.date().to_string(), "2026-11-23");
        for bad in [
            "",
            "2026-11-23",
            "2026-11-23T24:00:00Z",
            "2026-11-23T00:60:00Z",
            "2026-11-23T00:00:60Z",
            "2026-11-23T0:00:00Z",
            "2026-11-23T00:00:00",
            "2026-11-23T00:00:00+00:00",
            "2026-11-31T00:00:00Z",
            "2026-11-23T00-00-00Z",
            "2026-11-23T+1:00:00Z",
        ] {
            assert!(bad.parse::<Moment>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_clock_gives_its_day() {
        let clock = UNIX_EPOCH + std::time::Duration::from_secs(1_795_392_000 + 86_399);
        assert_eq!(Now::new(clock).date().to_string(), "2026-11-23");
    }
}
