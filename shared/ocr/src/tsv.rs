//! The program's table: a line for each word with its block, paragraph, line, place and confidence.

use domain::documents::ocr::{RecognisedPage, RecognisedParagraph};
use domain::documents::pages::BoundingBox;

/// Words of the table's `level` column.
const LEVEL_WORD: &str = "5";

/// Words to paragraphs of lines, with places in points.
pub(crate) fn page(table: &str, dots_per_inch: u32) -> RecognisedPage {
    let mut paragraphs: Vec<RecognisedParagraph> = Vec::new();
    let (mut paragraph, mut line) = (None, None);
    let (mut confidence, mut letters) = (0, 0);
    for row in table.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [level, page, block, par, ln, _, left, top, width, height, sure, word] = columns[..] else { continue };
        let word = word.trim();
        if level != LEVEL_WORD || word.is_empty() {
            continue;
        }
        let points = |pixels: &str| pixels.parse::<i64>().unwrap_or(0) * 72 / i64::from(dots_per_inch.max(1));
        let (left, top, width, height) = (points(left), points(top), points(width), points(height));
        let bounds =
            BoundingBox { left: left as i32, top: top as i32, right: (left + width) as i32, bottom: (top + height) as i32 };
        let count = word.chars().count();
        confidence += percent(sure) * count;
        letters += count;
        match paragraphs.last_mut().filter(|_| paragraph == Some((page, block, par))) {
            Some(open) => {
                open.text.push(if line == Some(ln) { ' ' } else { '\n' });
                open.text.push_str(word);
                open.bounds = open.bounds.around(bounds);
            }
            None => paragraphs.push(RecognisedParagraph { text: word.to_owned(), bounds }),
        }
        (paragraph, line) = (Some((page, block, par)), Some(ln));
    }
    let confidence = confidence.checked_div(letters).unwrap_or(0);
    RecognisedPage { paragraphs, confidence: u8::try_from(confidence).unwrap_or(100) }
}

/// `96.31` is 96; no number is no confidence.
fn percent(sure: &str) -> usize {
    sure.split('.').next().and_then(|whole| whole.parse().ok()).unwrap_or(0).min(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_paragraphs_of_lines() {
        let table = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n\
            4\t1\t1\t1\t1\t0\t0\t0\t9\t9\t-1\t\n\
            5\t1\t1\t1\t1\t1\t300\t300\t300\t150\t90\tGive\n\
            5\t1\t1\t1\t1\t2\t600\t300\t300\t150\t80\t5 \n\
            5\t1\t1\t1\t2\t1\t300\t600\t150\t150\t90\tmg.\n\
            5\t1\t1\t2\t1\t1\t300\t900\t150\t150\t60\tStop\n\
            broken line\n";
        let page = page(table, 300);
        let texts: Vec<_> = page.paragraphs.iter().map(|paragraph| paragraph.text.as_str()).collect();
        assert_eq!(texts, ["Give 5\nmg.", "Stop"]);
        assert_eq!(page.paragraphs[0].bounds, BoundingBox { left: 72, top: 72, right: 216, bottom: 180 });
        assert_eq!(page.confidence, 79);
    }

    #[test]
    fn nothing_recognised_is_an_empty_page() {
        assert_eq!(page("", 300), RecognisedPage { paragraphs: Vec::new(), confidence: 0 });
    }
}
