//! The whole figure on a set of ten documents, with an embedder for which the same words are near.

use super::*;
use crate::display::testing::screen;
use tempfile::TempDir;
use testkit::WordEmbedder;

const TOPICS: [(&str, &str); 10] = [
    ("Sepsis", "Antibiotics are given within one hour of recognition, after blood cultures."),
    ("Falls", "Bed rails are raised at night for patients who have fallen before."),
    ("Visiting", "Visitors come between two and eight in the afternoon."),
    ("Insulin", "Glucose is measured before meals; below 4 mmol/L insulin is withheld."),
    ("Stroke", "A scan of the head comes before thrombolysis."),
    ("Isolation", "Gloves and gowns are worn in rooms with a red sign."),
    ("Discharge", "The letter goes to the general practitioner on the same day."),
    ("Pressure", "Skin is inspected twice a day and the patient is turned every four hours."),
    ("Fasting", "Clear fluids are allowed until two hours before anaesthesia."),
    ("Oxygen", "Saturation is kept between 88 and 92 percent in chronic obstructive disease."),
];
const QUESTIONS: [(&str, usize); 4] =
    [("When are antibiotics given?", 0), ("Are gloves worn?", 5), ("How often is skin inspected?", 7), ("Saturation?", 9)];

/// Writes the set; `relevant` says which document is judged relevant for the document that answers.
fn write_set(folder: &Path, relevant: impl Fn(usize) -> usize) {
    let lines = |values: Vec<Value>| values.iter().map(|value| value.to_string() + "\n").collect::<String>();
    let corpus = TOPICS.iter().enumerate().map(|(at, (title, text))| json!({"_id": at, "title": title, "text": text}));
    let unjudged = [json!({"_id": "unjudged", "text": "Anything?"})];
    let queries = QUESTIONS.iter().enumerate().map(|(at, (text, _))| json!({"_id": format!("q{at}"), "text": text}));
    let qrels: Vec<String> = QUESTIONS.iter().enumerate().map(|(at, (_, d))| format!("q{at}\t{}\t1\n", relevant(*d))).collect();
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("corpus.jsonl"), lines(corpus.collect())).unwrap();
    fs::write(folder.join("queries.jsonl"), lines(queries.chain(unjudged).collect())).unwrap();
    fs::write(folder.join("qrels.tsv"), format!("query-id\tcorpus-id\tscore\n{}", qrels.concat())).unwrap();
}

fn measured(folder: &Path, split: Split, json: bool) -> (String, String) {
    let (mut screen, out, notes) = screen();
    let options = Retrieval { folder: folder.to_owned(), split, model: None, json };
    let outcome = measure_all(&sets(folder).unwrap(), &options, &WordEmbedder, &mut screen).unwrap();
    screen.flush().unwrap();
    assert_eq!(outcome, Outcome::Done);
    (out.text(), notes.text())
}

#[test]
fn right_judgements_score_one_and_wrong_ones_do_not() {
    let home = TempDir::new().unwrap();
    write_set(&home.path().join("right"), |answer| answer);
    write_set(&home.path().join("wrong"), |answer| (answer + 1) % TOPICS.len());
    let (out, _) = measured(home.path(), Split::All, true);
    let value: Value = serde_json::from_str(&out).unwrap();
    let (right, wrong) = (&value["sets"][0], &value["sets"][1]);
    for system in ["bm25", "dense", "rrf_60", "ours"] {
        assert_eq!(right["systems"][system]["ndcg_at_10"], 1.0, "{system}");
        assert_eq!(right["systems"][system]["mrr_at_10"], 1.0, "{system}");
        assert!(wrong["systems"][system]["mrr_at_10"].as_f64().unwrap() <= 0.5, "{system}");
        let mean = f64::midpoint(1.0, wrong["systems"][system]["ndcg_at_10"].as_f64().unwrap());
        assert!((value["mean"][system]["ndcg_at_10"].as_f64().unwrap() - mean).abs() < 1e-9, "{system}");
    }
    assert_eq!((&right["name"], &right["documents"], &right["chunks"]), (&json!("right"), &json!(10), &json!(10)));
    assert_eq!((&right["questions"], &right["questions_without_judgement"]), (&json!(4), &json!(1)));
}

#[test]
fn the_table_has_a_line_for_each_system_and_says_what_was_left_out() {
    let home = TempDir::new().unwrap();
    write_set(home.path(), |answer| answer);
    let (out, notes) = measured(home.path(), Split::All, false);
    for name in ["nDCG@10", "BM25", "dense", "RRF-60", "ours", "10 documents, 10 chunks, 4 questions"] {
        assert!(out.contains(name), "{out} lacks {name}");
    }
    assert!(!out.contains("mean of"), "one set has no mean");
    assert_eq!(notes, "left out, nothing is judged relevant: 1 question\n");
}

#[test]
fn the_halves_add_up() {
    let home = TempDir::new().unwrap();
    write_set(home.path(), |answer| answer);
    let asked = |split| {
        let value: Value = serde_json::from_str(&measured(home.path(), split, true).0).unwrap();
        value["sets"][0]["questions"].as_u64().unwrap()
    };
    assert_eq!(asked(Split::Tune) + asked(Split::Report), asked(Split::All));
}

#[test]
fn a_folder_without_a_set_says_what_is_missing() {
    let home = TempDir::new().unwrap();
    let error = sets(home.path()).unwrap_err().to_string();
    assert!(error.contains("holds no corpus.jsonl"), "{error}");
    assert!(sets(&home.path().join("absent")).unwrap_err().to_string().contains("cannot be read"));
}
