//! Random callers against the state machine: one probe at a time, nobody asks while it is open, and it always closes again.

use super::*;
use proptest::prelude::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).unwrap()
}

fn fail(state: &BreakerState, now: i64) -> BreakerState {
    state.after_call(&BreakerRules::default(), Permission::Ask, Shown::Unwell, at(now)).unwrap_or_else(|| state.clone())
}

#[test]
fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
    let rules = BreakerRules::default();
    let mut state = BreakerState::default();
    for second in [0, 1] {
        state = fail(&state, second);
    }
    assert_eq!(state.permission(&rules, Ulid::nil(), at(2)).0, Permission::Ask);
    state = state.after_call(&rules, Permission::Ask, Shown::Well, at(2)).unwrap();
    for second in [3, 4] {
        state = fail(&state, second);
    }
    // The third comes too late to be in a row.
    assert_eq!(fail(&state, 65), BreakerState::Closed { failures: 1, last: at(65) });
    assert_eq!(fail(&state, 5), BreakerState::Open { until: at(20), openings: 1 });
}

#[test]
fn a_probe_that_fails_doubles_the_wait_up_to_its_most() {
    let rules = BreakerRules::default();
    let mut state = BreakerState::Open { until: at(0), openings: 1 };
    let mut now = 0;
    let mut waits = Vec::new();
    for number in 1..8 {
        let (permission, next) = state.permission(&rules, Ulid::from_parts(1, number), at(now));
        state = next.unwrap().after_call(&rules, permission, Shown::Unwell, at(now)).unwrap();
        let BreakerState::Open { until, .. } = &state else { panic!("{state:?}") };
        waits.push(until.as_second() - at(now).as_second());
        now = until.as_second() - 1_000_000;
    }
    assert_eq!(waits, [30, 60, 120, 240, 300, 300, 300]);
}

#[test]
fn a_prober_that_dies_is_followed_by_another() {
    let rules = BreakerRules::default();
    let state = BreakerState::Open { until: at(0), openings: 1 };
    let (first, state) = state.permission(&rules, Ulid::from_parts(1, 1), at(0));
    let state = state.unwrap();
    assert_eq!(state.permission(&rules, Ulid::from_parts(1, 2), at(39)).0, Permission::Blocked { until: at(40) });
    let (second, state) = state.permission(&rules, Ulid::from_parts(1, 2), at(40));
    let state = state.unwrap();
    assert_eq!(second, Permission::Probe(Ulid::from_parts(1, 2)));
    // The first one's word comes too late.
    assert_eq!(state.after_call(&rules, first, Shown::Unwell, at(41)), None);
    assert_eq!(state.after_call(&rules, second, Shown::Well, at(42)), Some(BreakerState::default()));
}

#[test]
fn a_provider_that_says_how_long_it_is_busy_is_left_alone_so_long_but_not_for_ever() {
    let rules = BreakerRules::default();
    for (pause, expected) in [(0, 1), (42, 42), (86_400, 300)] {
        let shown = Shown::Busy(Duration::from_secs(pause));
        let state = BreakerState::default().after_call(&rules, Permission::Ask, shown, at(0)).unwrap();
        assert_eq!(state, BreakerState::Open { until: at(expected), openings: 1 });
    }
}

proptest! {
    #[test]
    fn one_probe_at_a_time_and_nobody_asks_while_it_is_open(
        steps in prop::collection::vec((0_i64..30, prop::sample::select(vec![Shown::Well, Shown::Unwell, Shown::Busy(Duration::from_secs(90))]), 0_usize..6), 1..200),
    ) {
        let rules = BreakerRules::default();
        let (mut state, mut now, mut under_way) = (BreakerState::default(), 0, Vec::<(Permission, i64)>::new());
        for (number, (gap, shown, which)) in steps.into_iter().enumerate() {
            now += gap;
            if which < 3 {
                let open_until = match &state {
                    BreakerState::Open { until, .. } | BreakerState::HalfOpen { until, .. } => Some(*until),
                    BreakerState::Closed { .. } => None,
                };
                let (permission, next) = state.permission(&rules, Ulid::from_parts(1, number as u128), at(now));
                match permission {
                    Permission::Ask => prop_assert_eq!(open_until, None),
                    Permission::Blocked { until } => prop_assert!(until > at(now)),
                    Permission::Probe(_) => {
                        prop_assert!(open_until.is_some_and(|until| until <= at(now)));
                        let probing = under_way.iter().filter(|(p, begun)| {
                            matches!(p, Permission::Probe(_)) && now - begun < rules.probe_seconds.into()
                        });
                        // Whoever still probes has been given up: its breaker was open or half open until now.
                        prop_assert_eq!(probing.filter(|(p, _)| matches!((&state, p),
                            (BreakerState::HalfOpen { probe, .. }, Permission::Probe(id)) if probe == id)).count(), 0);
                    }
                }
                state = next.unwrap_or(state);
                if !matches!(permission, Permission::Blocked { .. }) {
                    under_way.push((permission, now));
                }
            } else if !under_way.is_empty() {
                let (permission, _) = under_way.swap_remove(which % under_way.len());
                state = state.after_call(&rules, permission, shown, at(now)).unwrap_or(state);
            }
        }
        // Left alone for its longest wait, it lets one try, and one success closes it.
        now += i64::from(rules.open_seconds_max.max(rules.probe_seconds));
        let (permission, next) = state.permission(&rules, Ulid::from_parts(9, 9), at(now));
        let blocked = matches!(permission, Permission::Blocked { .. });
        prop_assert!(!blocked);
        let state = next.unwrap_or(state);
        let closed = state.after_call(&rules, permission, Shown::Well, at(now)).unwrap_or(state);
        prop_assert_eq!(closed.permission(&rules, Ulid::nil(), at(now)).0, Permission::Ask);
    }
}
