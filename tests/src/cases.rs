//! Random cases of a promise, the same ones in every run, each made as small as it can be before it is shown. proptest's own
//! macro stops at the first case and counts nothing; a figure needs all of them, and what they did.

use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Checks so many cases, each of which adds to the counts, and answers what was not as it must be, with the smallest case that
/// shows it.
pub fn violations<S: Strategy, C: Default>(
    cases: u32,
    strategy: &S,
    counts: &mut C,
    check: &impl AsyncFn(&S::Value, &mut C) -> Result<(), String>,
) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let mut violations = Vec::new();
    for _ in 0..cases {
        let mut tree = strategy.new_tree(&mut runner).expect("a case");
        let Err(mut violation) = runtime.block_on(check(&tree.current(), counts)) else { continue };
        let mut smallest = tree.current();
        let mut unused = C::default();
        while tree.simplify() {
            match runtime.block_on(check(&tree.current(), &mut unused)) {
                Err(still) => (violation, smallest) = (still, tree.current()),
                Ok(()) => while tree.complicate() && runtime.block_on(check(&tree.current(), &mut unused)).is_ok() {},
            }
        }
        violations.push(format!("{violation}\n{smallest:#?}"));
    }
    violations
}
