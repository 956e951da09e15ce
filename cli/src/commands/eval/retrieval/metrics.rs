//! The figures of a ranking, as the field defines them.

use serde::Serialize;
use std::collections::HashMap;

/// How deep nDCG, MRR and the larger recall look.
const DEPTH: usize = 10;
/// How deep the smaller recall looks.
const SHALLOW: usize = 5;

/// Figures of one question, or their mean over many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Discounted gain of the best ten over the best possible, with gain `2^grade - 1`.
    pub ndcg_at_10: f64,
    /// Share of the relevant documents among the best five.
    pub recall_at_5: f64,
    /// Share of the relevant documents among the best ten.
    pub recall_at_10: f64,
    /// One over the rank of the first relevant document, 0 behind the tenth.
    pub mrr_at_10: f64,
}

impl Figures {
    /// In the order of the table's columns.
    pub const fn values(&self) -> [f64; 4] {
        [self.ndcg_at_10, self.recall_at_5, self.recall_at_10, self.mrr_at_10]
    }

    /// The mean, 0 of nothing.
    pub fn mean(all: &[Self]) -> Self {
        let count = all.len().max(1) as f64;
        let mean = |of: fn(&Self) -> f64| all.iter().map(of).sum::<f64>() / count;
        Self {
            ndcg_at_10: mean(|f| f.ndcg_at_10),
            recall_at_5: mean(|f| f.recall_at_5),
            recall_at_10: mean(|f| f.recall_at_10),
            mrr_at_10: mean(|f| f.mrr_at_10),
        }
    }
}

/// The figures of a ranking (document places, best first) against the grades; `missing` are grades of relevant documents that
/// nobody can find.
pub fn figures(ranking: &[usize], grades: &HashMap<usize, f64>, missing: &[f64]) -> Figures {
    let found: Vec<f64> = ranking.iter().take(DEPTH).map(|place| grades.get(place).copied().unwrap_or(0.0)).collect();
    let mut ideal: Vec<f64> = grades.values().chain(missing).copied().filter(|grade| *grade > 0.0).collect();
    if ideal.is_empty() {
        return Figures::default();
    }
    ideal.sort_by(|a, b| b.total_cmp(a));
    let recall = |depth: usize| found.iter().take(depth).filter(|grade| **grade > 0.0).count() as f64 / ideal.len() as f64;
    Figures {
        ndcg_at_10: discounted_gain(&found) / discounted_gain(&ideal),
        recall_at_5: recall(SHALLOW),
        recall_at_10: recall(DEPTH),
        mrr_at_10: found.iter().position(|grade| *grade > 0.0).map_or(0.0, |at| 1.0 / (at + 1) as f64),
    }
}

fn discounted_gain(grades: &[f64]) -> f64 {
    grades.iter().take(DEPTH).enumerate().map(|(at, grade)| (grade.exp2() - 1.0) / ((at + 2) as f64).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-4, "{got} is not {expected}");
    }

    #[test]
    fn graded_figures_are_those_computed_by_hand() {
        // Found: grade 1 at rank 2, grade 2 at rank 4. Gains 1/log2(3) + 3/log2(5) = 0.63093 + 1.29203.
        // Best possible: 3/log2(2) + 1/log2(3) + 1/log2(4), for grades 2, 1, 1: 3 + 0.63093 + 0.5.
        let grades = HashMap::from([(1, 1.0), (3, 2.0), (40, 1.0)]);
        let got = figures(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 40], &grades, &[]);
        near(got.ndcg_at_10, 1.92296 / 4.13093);
        near(got.recall_at_5, 2.0 / 3.0);
        near(got.recall_at_10, 2.0 / 3.0);
        near(got.mrr_at_10, 0.5);
    }

    #[test]
    fn the_sixth_counts_for_ten_and_the_eleventh_for_nothing() {
        let got = figures(&[9, 8, 7, 6, 5, 1], &HashMap::from([(1, 1.0)]), &[]);
        near(got.ndcg_at_10, 1.0 / 7_f64.log2());
        assert_eq!((got.recall_at_5, got.recall_at_10), (0.0, 1.0));
        near(got.mrr_at_10, 1.0 / 6.0);
        let eleven: Vec<usize> = (10..20).chain([1]).collect();
        assert_eq!(figures(&eleven, &HashMap::from([(1, 1.0)]), &[]), Figures::default());
    }

    #[test]
    fn a_perfect_ranking_is_one_and_what_the_corpus_lacks_is_a_miss() {
        let perfect = figures(&[3, 5], &HashMap::from([(3, 2.0), (5, 1.0)]), &[]);
        assert_eq!(perfect, Figures { ndcg_at_10: 1.0, recall_at_5: 1.0, recall_at_10: 1.0, mrr_at_10: 1.0 });
        let lacking = figures(&[3], &HashMap::from([(3, 1.0)]), &[1.0]);
        near(lacking.ndcg_at_10, 1.0 / (1.0 + 1.0 / 3_f64.log2()));
        assert_eq!((lacking.recall_at_5, lacking.mrr_at_10), (0.5, 1.0));
        assert_eq!(figures(&[], &HashMap::new(), &[]), Figures::default());
    }

    #[test]
    fn more_than_ten_relevant_documents_can_still_be_ranked_perfectly() {
        let grades: HashMap<usize, f64> = (0..15).map(|place| (place, 1.0)).collect();
        let got = figures(&(0..15).collect::<Vec<_>>(), &grades, &[]);
        near(got.ndcg_at_10, 1.0);
        near(got.recall_at_10, 10.0 / 15.0);
    }

    #[test]
    fn the_mean_is_over_questions() {
        let (one, none) = (Figures { ndcg_at_10: 1.0, recall_at_5: 0.5, recall_at_10: 1.0, mrr_at_10: 1.0 }, Figures::default());
        let mean = Figures { ndcg_at_10: 0.5, recall_at_5: 0.25, recall_at_10: 0.5, mrr_at_10: 0.5 };
        assert_eq!(Figures::mean(&[one, none]), mean);
        assert_eq!(Figures::mean(&[]), Figures::default());
    }
}
