//! Prints what loading and embedding cost: CPU milliseconds of this process, and its memory.
//!
//! `cargo run --release -p embed --example embed_bench [model file]`, on Linux.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use embed::MiniLm;

/// CPU time of this process in milliseconds, from the scheduler's own count of nanoseconds.
fn cpu_ms() -> f64 {
    let text = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e6
}

/// A line of `/proc/self/status`, such as `VmRSS`.
fn memory(name: &str) -> String {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or(": unknown");
    line.trim_start_matches(':').trim().to_owned()
}

fn main() {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/minilm-l6-v2-int8.bin");
    let path = std::env::args_os().nth(1).map_or(default, PathBuf::from);
    let start = cpu_ms();
    let model = MiniLm::load(&path).expect("run `python3 models/fetch.py`");
    println!("load                {:8.2} ms", cpu_ms() - start);
    println!("memory after load   VmRSS {}, VmHWM {}", memory("VmRSS"), memory("VmHWM"));

    let query = "What is the maximum daily dose of paracetamol for adults with liver disease?";
    let words = "the patient should receive ceftriaxone two grams daily while blood cultures are pending and renal \
                 function is monitored every morning by the ward team until fever settles or the source is known ";
    let window = |count: usize| words.split(' ').cycle().filter(|word| !word.is_empty()).take(count).collect::<Vec<_>>();
    let texts = [
        ("query", query.to_owned(), 200_u32),
        ("60-word window", window(60).join(" "), 60),
        ("150-word window", window(150).join(" "), 30),
    ];
    for (name, text, repeats) in texts {
        let start = cpu_ms();
        let vector = model.embed(&text);
        let first = cpu_ms() - start;
        // The scheduler counts in ticks of up to 4 ms, so only a sum over many calls means something.
        let (start, clock) = (cpu_ms(), Instant::now());
        let mut least = f64::MAX;
        for _ in 0..repeats {
            let clock = Instant::now();
            std::hint::black_box(model.embed(&text));
            least = least.min(clock.elapsed().as_secs_f64() * 1e3);
        }
        let mean = (cpu_ms() - start) / f64::from(repeats);
        let wall = clock.elapsed().as_secs_f64() * 1e3 / f64::from(repeats);
        let tokens = model.token_ids(&text).len();
        println!(
            "{name:<16} {tokens:3} tokens: CPU first {first:6.2}, mean {mean:6.2}; wall mean {wall:6.2}, least {least:6.2} ms"
        );
        assert!((vector.iter().map(|value| value * value).sum::<f32>() - 1.0).abs() < 1e-4);
    }
    let long = window(150).join(" ").repeat(100);
    let start = cpu_ms();
    let pieces = model.count_tokens(&long);
    println!("count_tokens        {:8.2} ms for {pieces} pieces", cpu_ms() - start);
    println!("memory at the end   VmRSS {}, VmHWM {}", memory("VmRSS"), memory("VmHWM"));
}
