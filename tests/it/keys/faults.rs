//! Sixty ways in which a rotation goes wrong: what the provider, the store, the pool or the platform does, at each step, with a
//! key from the pool and with one that is made. None of them puts a key into use that was not tried, and each can be gone on from.

use super::house::{House, Source};
use domain::keys::SecretStage;
use domain::keys::rotation::{RotateKeyError, Verdict};
use domain::keys::secret::SecretStore as _;

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The new key is refused at this trial.
    Refused(usize),
    /// The provider answers like this at this trial.
    Unclear(usize, &'static str),
    /// The run ends before this call.
    Killed(u64),
    /// This call has its effect, and its answer is lost.
    Unheard(u64),
    /// An older version is left half introduced, with a key that is good or refused.
    StalePending(bool),
    /// There is no key.
    Empty,
    /// The next key is the one in use.
    Same,
}

fn faults() -> Vec<Fault> {
    let mut faults: Vec<Fault> = (0..2).map(Fault::Refused).collect();
    for trial in 0..2 {
        faults.extend(["rate_limited", "down", "timed_out", "no_budget"].map(|code| Fault::Unclear(trial, code)));
    }
    faults.extend((1..=8).map(Fault::Killed));
    faults.extend((1..=8).map(Fault::Unheard));
    faults.extend([Fault::StalePending(true), Fault::StalePending(false), Fault::Empty, Fault::Same]);
    faults
}

#[tokio::test]
async fn no_fault_puts_an_untested_key_into_use_and_each_can_be_gone_on_from() {
    let mut cases = 0;
    for source in [Source::Pool, Source::Minted] {
        for fault in faults() {
            cases += 1;
            let what = format!("{source:?} {fault:?}");
            let house = House::new(source, &["key-1", "key-2"]).await;
            arrange(&house, fault).await;
            let done = house.rotate().await;
            let key = house.key(SecretStage::Current);
            let is_new = key != "key-0";
            assert!(!is_new || house.provider.tested(&key) >= 2, "{what}: {key} is in use and untested");
            assert!(house.provider.accepts(&key), "{what}: {key} is in use and refused");
            let told = !house.alerts.alerts().is_empty();
            match (fault, &done) {
                (Fault::Refused(_) | Fault::StalePending(false), done) => {
                    assert!(matches!(done, Err(RotateKeyError::Refused { .. })), "{what}: {done:?}");
                    assert!(told && !is_new, "{what}: nobody was told");
                }
                (Fault::Unclear(_, expected), Err(RotateKeyError::Postponed { code })) => {
                    assert_eq!((*code, told, is_new), (expected, false, false), "{what}");
                    let kept = house.secret.text(SecretStage::Pending).is_some();
                    assert!(kept, "{what}: the key is not burnt");
                }
                (Fault::Killed(_) | Fault::Unheard(_), _) | (Fault::StalePending(true), Ok(_)) => {}
                (Fault::Empty, Err(RotateKeyError::Source(_))) if source_is(source, Source::Pool) => assert!(!is_new, "{what}"),
                (Fault::Same, Err(RotateKeyError::SameKey)) if source_is(source, Source::Pool) => {
                    assert!(told && !is_new, "{what}");
                }
                // A key is made whatever is in the pool.
                (Fault::Empty | Fault::Same, Ok(_)) if source_is(source, Source::Minted) => {}
                (_, done) => panic!("{what}: {done:?}"),
            }
            // Whatever it was, it is over: an operator has added a key, the provider is up.
            house.mend().await;
            house.rotate().await.unwrap_or_else(|error| panic!("{what}: not gone on from: {error}"));
            let key = house.key(SecretStage::Current);
            assert!(key != "key-0" && house.provider.accepts(&key) && house.provider.tested(&key) >= 2, "{what}: {key}");
            let state = house.secret.describe().await.expect("a secret");
            assert_eq!(state.in_stage(SecretStage::Pending), None, "{what}: {state:?}");
        }
    }
    assert_eq!(cases, 60);
}

fn source_is(source: Source, other: Source) -> bool {
    source == other
}

async fn arrange(house: &House, fault: Fault) {
    let after = |good: usize, then: Verdict| [vec![Verdict::Good; good], vec![then]].concat();
    match fault {
        Fault::Refused(trial) => house.provider.next(&after(trial, Verdict::Refused("bad_key"))),
        Fault::Unclear(trial, code) => house.provider.next(&after(trial, Verdict::Unclear(code))),
        Fault::Killed(calls) => house.outage.begin_after(calls * 3),
        Fault::Unheard(calls) => house.outage.lose_answer_after(calls * 3),
        Fault::StalePending(is_good) => house.leave_pending(is_good).await,
        Fault::Empty => house.empty_pool().await,
        Fault::Same => house.fill_pool_with_current(),
    }
}
