//! How alike two texts are, as the published comparisons of extractors count it.

use std::collections::HashMap;

/// The text as it is compared: ligatures spelled, the marks of Markdown and hyphens at line ends gone, single spaces.
pub fn normal(text: &str) -> String {
    let mut lines = String::with_capacity(text.len());
    for line in text.lines() {
        let line = line.trim();
        let is_mark = !line.is_empty() && line.chars().all(|c| matches!(c, '-' | '|' | ':' | ' ' | '`' | '='));
        if is_mark || line.starts_with("<!--") {
            continue;
        }
        let line = line.trim_start_matches('#').trim_start();
        lines.push_str(line.strip_prefix(['-', '*', '•']).map_or(line, str::trim_start));
        lines.push('\n');
    }
    let mut normal = String::with_capacity(lines.len());
    for character in lines.replace("-\n", "").chars() {
        match character {
            'ﬀ' => normal.push_str("ff"),
            'ﬁ' => normal.push_str("fi"),
            'ﬂ' => normal.push_str("fl"),
            'ﬃ' => normal.push_str("ffi"),
            'ﬄ' => normal.push_str("ffl"),
            '\\' => {}
            '|' | '*' | '`' => normal.push(' '),
            _ => normal.push(character),
        }
    }
    normal.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `Levenshtein.ratio`: twice the longest common subsequence over both lengths, 1 for equal texts. Hyyrö's bit-parallel
/// algorithm, so that a book takes seconds.
pub fn ratio(truth: &str, text: &str) -> f64 {
    let (truth, text): (Vec<char>, Vec<char>) = (truth.chars().collect(), text.chars().collect());
    if truth.is_empty() && text.is_empty() {
        return 1.0;
    }
    let words = truth.len().div_ceil(64);
    let mut places: HashMap<char, Vec<u64>> = HashMap::new();
    for (at, character) in truth.iter().enumerate() {
        places.entry(*character).or_insert_with(|| vec![0; words])[at / 64] |= 1 << (at % 64);
    }
    let mut row = vec![u64::MAX; words];
    for places in text.iter().filter_map(|character| places.get(character)) {
        let mut carry = false;
        for (word, places) in row.iter_mut().zip(places) {
            let (sum, over) = word.overflowing_add(*word & places);
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            carry = over || over_again;
            *word = sum | (*word & !places);
        }
    }
    let common: usize = row.iter().map(|word| word.count_zeros() as usize).sum();
    2.0 * common as f64 / (truth.len() + text.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn marks_do_not_count() {
        assert_eq!(
            normal("<!-- page 1 -->\n## Do\u{fb01}ne\n\n- a  **b**\n| x | y |\n|---|---|\nexam-\nple"),
            "Dofine a b x y example"
        );
    }

    proptest! {
        #[test]
        fn the_ratio_is_that_of_the_longest_common_subsequence(truth in "[abc ]{0,150}", text in "[abc ]{0,150}") {
            let (a, b): (Vec<char>, Vec<char>) = (truth.chars().collect(), text.chars().collect());
            let mut row = vec![0_usize; b.len() + 1];
            for x in &a {
                let mut diagonal = 0;
                for (at, y) in b.iter().enumerate() {
                    let above = row[at + 1];
                    row[at + 1] = if x == y { diagonal + 1 } else { above.max(row[at]) };
                    diagonal = above;
                }
            }
            let expected = if a.len() + b.len() == 0 { 1.0 } else { 2.0 * row[b.len()] as f64 / (a.len() + b.len()) as f64 };
            prop_assert!((ratio(&truth, &text) - expected).abs() < 1e-9);
        }
    }
}
