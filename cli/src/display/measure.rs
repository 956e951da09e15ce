//! Sizes and ages as people say them.

use jiff::Timestamp;

/// 1,024 steps, two digits where they tell something: `980 B`, `1.4 MB`, `12 MB`.
pub fn size(bytes: u64) -> String {
    let mut amount = bytes as f64;
    let mut unit = "B";
    for next in ["KB", "MB", "GB", "TB"] {
        // 1,023.5 would be shown as 1024.
        if amount < 1_023.5 {
            break;
        }
        amount /= 1_024.0;
        unit = next;
    }
    if unit == "B" || amount >= 9.95 { format!("{amount:.0} {unit}") } else { format!("{amount:.1} {unit}") }
}

/// How long ago: `12 s`, `3 days`. What cannot be read is shown as it is.
pub fn age(moment: &str, now: Timestamp) -> String {
    let Ok(moment) = moment.parse::<Timestamp>() else { return super::text::one_line(moment) };
    let seconds = now.as_second() - moment.as_second();
    match seconds {
        ..=0 => "now".into(),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        86_400..172_800 => "1 day".into(),
        172_800..5_184_000 => format!("{} days", seconds / 86_400),
        5_184_000.. => format!("{} months", seconds / 2_592_000),
    }
}

/// `1 page`, `2 pages`.
pub fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_digits() {
        let cases = [
            (0, "0 B"),
            (980, "980 B"),
            (1_024, "1.0 KB"),
            (10_240, "10 KB"),
            (1_048_500, "1.0 MB"),
            (52_428_800, "50 MB"),
            (5 << 40, "5.0 TB"),
        ];
        for (bytes, shown) in cases {
            assert_eq!(size(bytes), shown);
        }
    }

    #[test]
    fn ages_have_one_unit() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let cases = [
            ("2026-11-22T12:00:05Z", "now"),
            ("2026-11-22T11:59:18.25Z", "42 s"),
            ("2026-11-22T11:01:00Z", "59 min"),
            ("2026-11-21T12:00:01Z", "23 h"),
            ("2026-11-21T00:00:00Z", "1 day"),
            ("2026-11-01T12:00:00Z", "21 days"),
            ("2026-08-01T12:00:00Z", "3 months"),
            ("yesterday", "yesterday"),
        ];
        for (moment, shown) in cases {
            assert_eq!(age(moment, now), shown);
        }
    }
}
