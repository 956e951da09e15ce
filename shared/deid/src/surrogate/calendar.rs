//! The day that a written date means, for distances between dates.

use jiff::civil::Date;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Reads a whole date; month first where two readings are possible, as in the United States.
pub fn parse(text: &str) -> Option<Date> {
    let text = text.to_lowercase();
    let text = text
        .split(['t', ' '])
        .next()
        .filter(|first| first.len() == 10 && first.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or(&text)
        .to_owned();
    let parts: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).collect();
    let number = |part: &str| part.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse::<i16>().ok();
    let month = |part: &str| {
        MONTHS.iter().position(|month| part.len() >= 3 && part.starts_with(month)).and_then(|at| i16::try_from(at + 1).ok())
    };
    let date = |year: i16, month: i16, day: i16| {
        let year = match year {
            0..50 => 2000 + year,
            50..100 => 1900 + year,
            year => year,
        };
        Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
    };
    match parts.as_slice() {
        [one] if one.len() == 8 => date(one.get(..4)?.parse().ok()?, one.get(4..6)?.parse().ok()?, one.get(6..)?.parse().ok()?),
        [one, two, three] => {
            if let Some(month) = month(one) {
                return date(number(three)?, month, number(two)?);
            }
            if let Some(month) = month(two) {
                return date(number(three)?, month, number(one)?);
            }
            let (a, b, c) = (number(one)?, number(two)?, number(three)?);
            if one.len() == 4 { date(a, b, c) } else { date(c, a, b).or_else(|| date(c, b, a)) }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_ways_to_write_a_day_are_read() {
        let day = Date::constant(2021, 3, 14);
        for text in [
            "2021-03-14",
            "03/14/2021",
            "3-14-21",
            "14.03.2021",
            "March 14, 2021",
            "14 Mar 2021",
            "14-Mar-2021",
            "20210314",
            "2021-03-14T10:00:00Z",
        ] {
            assert_eq!(parse(text), Some(day), "{text}");
        }
        for text in ["March 2021", "3/14", "2021", "31.02.2021", "", "é"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
