//! A stretch of time, as people and models write one: days, or moments.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};

/// From a moment on, and before another; open where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// This moment and what is later.
    pub since: Option<DateTime<Utc>>,
    /// What is earlier than this moment.
    pub until: Option<DateTime<Utc>>,
}

impl Period {
    /// Reads days such as `2026-03-01`, in UTC and whole, and moments such as `2026-03-01T12:00:00Z`.
    ///
    /// # Errors
    /// Which of the two cannot be read or that nothing is between them, for whoever wrote it.
    pub fn read(since: Option<&str>, until: Option<&str>) -> Result<Self, String> {
        let read = |name: &str, text: Option<&str>, days: u64| match text.map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) => moment(text, days).map(Some).ok_or_else(|| {
                let shown: String = text.chars().take(40).collect();
                format!("{name}: `{shown}` is neither a day such as `2026-03-01` nor a moment such as `2026-03-01T12:00:00Z`")
            }),
            None => Ok(None),
        };
        let period = Self { since: read("since", since, 0)?, until: read("until", until, 1)? };
        match (period.since, period.until) {
            (Some(since), Some(until)) if since >= until => {
                Err("since is not before until, so nothing is between them".to_owned())
            }
            _ => Ok(period),
        }
    }

    /// Whether it is open on both sides.
    pub fn is_open(&self) -> bool {
        self.since.is_none() && self.until.is_none()
    }
}

/// The beginning of the day so many days after the one that is named, or the moment.
fn moment(text: &str, days: u64) -> Option<DateTime<Utc>> {
    // Years have four digits here: with two, somebody meant another century.
    if !text.as_bytes().first_chunk::<4>().is_some_and(|year| year.iter().all(u8::is_ascii_digit)) {
        return None;
    }
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Some(day.checked_add_days(Days::new(days))?.and_time(NaiveTime::MIN).and_utc());
    }
    DateTime::parse_from_rfc3339(text).ok().map(|moment| moment.to_utc())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn at(text: &str) -> Option<DateTime<Utc>> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_day_is_whole_and_a_moment_is_itself() {
        let march = Period::read(Some("2026-03-01"), Some("2026-03-31")).unwrap();
        assert_eq!((march.since, march.until), (at("2026-03-01T00:00:00Z"), at("2026-04-01T00:00:00Z")));
        let day = Period::read(Some("2026-03-14"), Some(" 2026-03-14 ")).unwrap();
        assert_eq!((day.since, day.until), (at("2026-03-14T00:00:00Z"), at("2026-03-15T00:00:00Z")));
        let hour = Period::read(Some("2026-03-14T10:00:00+02:00"), Some("2026-03-14T09:00:00Z")).unwrap();
        assert_eq!((hour.since, hour.until), (at("2026-03-14T08:00:00Z"), at("2026-03-14T09:00:00Z")));
        assert!(Period::read(None, Some("")).unwrap().is_open() && !march.is_open());
    }

    #[test]
    fn what_is_no_period_says_why() {
        for (since, until, why) in [
            (Some("yesterday"), None, "since: `yesterday` is neither a day"),
            (None, Some("2026-02-30"), "until: `2026-02-30` is neither"),
            (None, Some("+262142-12-31"), "until: `+262142-12-31` is neither"),
            (Some("-5000-01-01"), None, "since: `-5000-01-01` is neither"),
            (Some("26-03-01"), None, "since: `26-03-01` is neither"),
            (Some("2026-03-02"), Some("2026-03-01"), "nothing is between them"),
        ] {
            let said = Period::read(since, until).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}
