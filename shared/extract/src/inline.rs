//! Markdown within a line to plain text: emphasis, links, code, escapes, entities and tags lose their marks.

/// HTML tags that authors put into Markdown. Anything else in angle brackets is content: `<5 mg and >2 mg`.
const TAGS: &[&str] = &[
    "a", "abbr", "b", "br", "code", "dd", "del", "details", "div", "dl", "dt", "em", "font", "h1", "h2", "h3", "h4", "h5", "h6",
    "hr", "i", "img", "ins", "kbd", "li", "mark", "ol", "p", "s", "small", "span", "strong", "sub", "summary", "sup", "table",
    "tbody", "td", "th", "thead", "tr", "u", "ul",
];
/// The longest bracket, tag or entity that is looked for; beyond it the mark is taken as a character. Keeps reading linear.
const LOOK_AHEAD_BYTES: usize = 4096;

/// The text that a reader of the rendered line would see.
pub(crate) fn plain(source: &str) -> String {
    let mut out = Visible::default();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '\\' => escaped(rest, &mut out),
            '`' => code(rest, &mut out),
            '!' if rest.starts_with("![") => link(&rest[1..], &mut out).unwrap_or_else(|| take(rest, &mut out)),
            '[' => link(rest, &mut out).unwrap_or_else(|| take(rest, &mut out)),
            '<' => tag(rest, &mut out).unwrap_or_else(|| take(rest, &mut out)),
            '&' => entity(rest, &mut out).unwrap_or_else(|| take(rest, &mut out)),
            '*' | '_' | '~' => emphasis(rest, first, &mut out),
            _ => take(rest, &mut out),
        };
    }
    out.finish()
}

/// What is visible so far, and the emphasis marks in it that may still turn out to be marks.
#[derive(Default)]
struct Visible {
    text: String,
    /// Marks that could open: where they stand, the character, how many.
    open: Vec<(usize, char, usize)>,
    /// Ranges that turned out to be marks.
    dropped: Vec<(usize, usize)>,
}

impl Visible {
    fn finish(mut self) -> String {
        self.dropped.sort_unstable();
        let mut text = String::with_capacity(self.text.len());
        let mut at = 0;
        for (start, end) in self.dropped {
            text.push_str(&self.text[at..start]);
            at = end;
        }
        text.push_str(&self.text[at..]);
        text
    }
}

fn take<'a>(rest: &'a str, out: &mut Visible) -> &'a str {
    let mut chars = rest.chars();
    out.text.extend(chars.next());
    chars.as_str()
}

fn escaped<'a>(rest: &'a str, out: &mut Visible) -> &'a str {
    match rest[1..].chars().next() {
        Some(next) if next.is_ascii_punctuation() => take(&rest[1..], out),
        _ => take(rest, out),
    }
}

fn code<'a>(rest: &'a str, out: &mut Visible) -> &'a str {
    let ticks = rest.bytes().take_while(|byte| *byte == b'`').count();
    let fence = &rest[..ticks];
    let body = &rest[ticks..];
    if let Some(end) = within(body).find(fence) {
        out.text.push_str(body[..end].trim());
        &body[end + ticks..]
    } else {
        out.text.push_str(fence);
        body
    }
}

/// `[text](target)`, `[text][label]`: the text stays. A bracket without a target is content: `[Grade A]`.
fn link<'a>(rest: &'a str, out: &mut Visible) -> Option<&'a str> {
    let label_end = closing(rest, '[', ']')?;
    let after = &rest[label_end + 1..];
    let target_end = match after.chars().next()? {
        '(' => closing(after, '(', ')')?,
        '[' => closing(after, '[', ']')?,
        _ => return None,
    };
    // One level is enough: images inside links.
    let label = &rest[1..label_end];
    let label = label.strip_prefix("![").and_then(|image| image.split_once(']')).map_or(label, |(text, _)| text);
    out.text.push_str(label);
    Some(&after[target_end + 1..])
}

/// Where the bracket that `text` begins with is closed.
fn closing(text: &str, open: char, close: char) -> Option<usize> {
    let mut depth = 0_usize;
    let mut is_escaped = false;
    for (at, character) in within(text).char_indices() {
        if is_escaped {
            is_escaped = false;
        } else if character == '\\' {
            is_escaped = true;
        } else if character == open {
            depth += 1;
        } else if character == close {
            depth -= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

fn tag<'a>(rest: &'a str, out: &mut Visible) -> Option<&'a str> {
    let end = within(rest).find('>')?;
    let inside = &rest[1..end];
    let after = &rest[end + 1..];
    if inside.starts_with("http://") || inside.starts_with("https://") || inside.starts_with("mailto:") {
        out.text.push_str(inside);
        return Some(after);
    }
    let name = inside.trim_start_matches('/');
    let name = name.split(|c: char| !c.is_ascii_alphanumeric()).next()?.to_ascii_lowercase();
    if !TAGS.contains(&name.as_str()) {
        return None;
    }
    if matches!(name.as_str(), "br" | "p" | "div" | "li" | "td" | "th" | "tr") {
        out.text.push(' ');
    }
    Some(after)
}

fn entity<'a>(rest: &'a str, out: &mut Visible) -> Option<&'a str> {
    /// The longest entity that is known, `&#x10ffff;`.
    const ENTITY_BYTES: usize = 10;
    let end = rest.bytes().take(ENTITY_BYTES).position(|byte| byte == b';')?;
    let character = match &rest[1..end] {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "ndash" => '–',
        "mdash" => '—',
        "deg" => '°',
        "micro" => 'µ',
        "plusmn" => '±',
        "le" => '≤',
        "ge" => '≥',
        number => {
            let number = number.strip_prefix('#')?;
            let code = number.strip_prefix(['x', 'X']).map_or_else(|| number.parse(), |hex| u32::from_str_radix(hex, 16));
            char::from_u32(code.ok()?)?
        }
    };
    out.text.push(character);
    Some(&rest[end + 1..])
}

/// A run of emphasis characters: closes an open run of the same kind, else may open one. What finds no partner stays.
fn emphasis<'a>(rest: &'a str, mark: char, out: &mut Visible) -> &'a str {
    let count = rest.bytes().take_while(|byte| *byte == mark as u8).count();
    let after = &rest[count..];
    let before = out.text.chars().next_back().unwrap_or(' ');
    let next = after.chars().next().unwrap_or(' ');
    // `snake_case` and a single `~5` are no emphasis.
    let is_inside_word = mark == '_' && before.is_alphanumeric() && next.is_alphanumeric();
    let at = out.text.len();
    out.text.push_str(&rest[..count]);
    if count > 3 || is_inside_word || (mark == '~' && count == 1) {
        return after;
    }
    let partner = out.open.iter().rposition(|(_, character, length)| *character == mark && *length == count);
    match partner {
        Some(partner) if !before.is_whitespace() => {
            let (start, _, length) = out.open[partner];
            out.open.truncate(partner);
            out.dropped.push((start, start + length));
            out.dropped.push((at, at + count));
        }
        _ if !next.is_whitespace() => {
            // Ten open marks are more than any sentence has; older ones will hardly be closed.
            if out.open.len() == 10 {
                out.open.remove(0);
            }
            out.open.push((at, mark, count));
        }
        _ => {}
    }
    after
}

fn within(text: &str) -> &str {
    let mut end = text.len().min(LOOK_AHEAD_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_go_and_words_stay() {
        assert_eq!(plain("**Bold**, *it* and ***both***, ~~old~~"), "Bold, it and both, old");
        assert_eq!(plain("see [the guideline](https://x.org/a_(b)) and ![figure 1](f.png)"), "see the guideline and figure 1");
        assert_eq!(plain("`a * b` and ``c`d``"), "a * b and c`d");
        assert_eq!(plain(r"1\. not a list, \*star\*"), "1. not a list, *star*");
        assert_eq!(plain("A &amp; B &#8804; &lt;x&gt;"), "A & B ≤ <x>");
        assert_eq!(plain("CO<sub>2</sub> and <https://who.int>"), "CO2 and https://who.int");
    }

    #[test]
    fn content_that_looks_like_a_mark_stays() {
        for text in [
            "5 * 3 * 2",
            "snake_case_name",
            "[Grade A] if < 5 and > 3",
            "a ~5 mg",
            "2 ** 3",
            "*",
            "[",
            "`",
            "&",
            "x < y",
            "&nothing;",
        ] {
            assert_eq!(plain(text), text);
        }
    }
}
