//! Text from elsewhere, made fit for a terminal.

use console::measure_text_width;

/// Without anything that steers a terminal or turns the reading direction: titles and quotes come from strangers' files.
pub fn plain(text: &str) -> String {
    let is_steering =
        |c: char| c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if is_steering(c) { ' ' } else { c }).collect()
}

/// Plain, with single spaces.
pub fn one_line(text: &str) -> String {
    plain(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most so many columns; an ellipsis tells that something is missing.
pub fn cut(text: &str, columns: usize) -> String {
    console::truncate_str(text, columns, "…").into_owned()
}

/// Breaks prose into lines of at most `columns`; `first` and `rest` start them. Longer words stand alone.
pub fn wrap(text: &str, columns: usize, first: &str, rest: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in text.split_whitespace() {
        let needed = measure_text_width(&line) + usize::from(!is_empty) + measure_text_width(word);
        if !is_empty && needed > columns {
            lines.push(std::mem::replace(&mut line, rest.to_owned()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_cannot_steer_the_terminal() {
        assert_eq!(one_line("Sepsis\u{1b}[2J\r\nnow \u{202e}fdp"), "Sepsis [2J now fdp");
    }

    #[test]
    fn prose_is_broken_between_words() {
        let lines = wrap("Give antibiotics within one hour.", 20, "1. ", "   ");
        assert_eq!(lines, ["1. Give antibiotics", "   within one hour."]);
        assert_eq!(wrap("", 20, "- ", "  "), ["- "]);
        assert_eq!(wrap("Überaltertes 心房細動", 16, "", ""), ["Überaltertes", "心房細動"]);
    }
}
