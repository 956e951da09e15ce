//! Holds tokenizer and forward pass to the reference implementation, on twenty texts.
//!
//! `golden.json` is written by `models/golden.py`. These tests need the model file; without it they fail.

use std::path::{Path, PathBuf};

use embed::{DIMENSIONS, LoadModelError, MODEL_ID, MiniLm, TOKENS_MAX, Vector};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    text: String,
    repeat: usize,
    tokens: Vec<u32>,
    vector: Vec<f32>,
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/minilm-l6-v2-int8.bin")
}

fn model() -> MiniLm {
    MiniLm::load(&path()).unwrap_or_else(|error| panic!("{error}: run `python3 models/fetch.py` and try again"))
}

fn cases() -> Vec<Case> {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden.json")).unwrap();
    assert_eq!(cases.len(), 20);
    cases
}

fn cosine(left: &[f32], right: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

/// For comparing vectors that must be the same, not close.
fn bits(vector: &Vector) -> [u32; DIMENSIONS] {
    vector.map(f32::to_bits)
}

#[test]
fn tokens_equal_the_reference() {
    let model = model();
    for case in cases() {
        let text = case.text.repeat(case.repeat);
        assert_eq!(model.token_ids(&text), case.tokens, "{}", case.text);
        let count = model.count_tokens(&text) + 2;
        assert_eq!(count.min(TOKENS_MAX), case.tokens.len(), "{}", case.text);
    }
}

#[test]
fn vectors_equal_the_reference() {
    let model = model();
    let mut lowest = 1.0_f64;
    for case in cases() {
        let vector = model.embed(&case.text.repeat(case.repeat));
        let cosine = cosine(&vector, &case.vector);
        // Activations of eight bits cost this much, which does not change what is found (docs/evaluation.md).
        assert!(cosine >= 0.999, "cosine {cosine} for {}", case.text);
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        assert!((length - 1.0).abs() < 1e-5, "length {length} for {}", case.text);
        lowest = lowest.min(cosine);
    }
    println!("lowest cosine {lowest:.9}");
}

#[test]
fn a_vector_depends_on_the_text_only() {
    let model = model();
    let text = "Give 10 units of insulin.";
    let first = model.embed(text);
    model.embed(&"another and longer text ".repeat(100));
    assert_eq!(bits(&first), bits(&model.embed(text)));
}

#[test]
fn bytes_and_path_give_the_same_model() {
    let bytes = std::fs::read(path()).expect("run `python3 models/fetch.py` and try again");
    let from_bytes = MiniLm::from_bytes(bytes).unwrap();
    assert_eq!(bits(&from_bytes.embed("sepsis")), bits(&model().embed("sepsis")));
    assert_eq!((from_bytes.model_id(), MODEL_ID, DIMENSIONS), (MODEL_ID, "minilm-l6-v2-int8-a8", 384));
}

#[test]
fn a_missing_or_damaged_file_is_a_typed_error() {
    assert!(matches!(MiniLm::load(Path::new("/nowhere/model.bin")), Err(LoadModelError::Read(_))));
    assert!(matches!(MiniLm::from_bytes(Vec::new()), Err(LoadModelError::Length { found: 0, .. })));
    let bytes = std::fs::read(path()).expect("run `python3 models/fetch.py` and try again");
    let damaged = |change: fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        MiniLm::from_bytes(bytes).err().expect("a damaged file was accepted")
    };
    assert!(matches!(damaged(|bytes| bytes.truncate(1_000_000)), LoadModelError::Length { .. }));
    assert!(matches!(damaged(|bytes| bytes[0] = b'X'), LoadModelError::Magic));
    assert!(matches!(damaged(|bytes| bytes[8] = 9), LoadModelError::Version { found: 9 }));
    assert!(matches!(damaged(|bytes| bytes[24] = b'X'), LoadModelError::Header));
    // The vocabulary starts at 16 KiB; its first piece becomes equal to no marker and its line break goes.
    assert!(matches!(damaged(|bytes| bytes[16 * 1024 + 5] = b'x'), LoadModelError::Tensor { .. }));
}
