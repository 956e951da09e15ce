//! What schedules, operators, Secrets Manager and Lambda can do to the rotation of a key, as random histories over stores in
//! memory: up to twenty runs at once, of every kind, that are cut off between any two calls or lose the answer of one; steps
//! that come twice and in any order; bad keys in the pool; keys that die in use; a provider that goes down.
//!
//! What must be true:
//!
//! 1. **At any time** exactly one version is current. A run puts only a key into its place that the provider has accepted twice
//!    and still accepts, and no run revokes the key in use.
//! 2. **In the end**, after some quiet checks, the key in use works if there was one left that did; no rotation is half done; no
//!    key in the pool has been used; and every key that was ever in use, but for the one that is, is refused by the provider.

use crate::cases::violations;
use domain::keys::pool::{KeySource, Pool, SourceError};
use domain::keys::rotation::{KeyRotation, RollbackReason, RotateKeyError, RotationRules, RotationStep, Trigger, is_ours};
use domain::keys::secret::{KeyBody, SecretState, SecretStore as _, SecretText};
use domain::keys::{ApiKey, KeyVersion, SecretStage};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use testkit::{
    CountingIds, MemoryAlerts, MemoryAuditLog, MemoryProvider, MemoryRefusals, MemorySecret, Outage, context, fixed_now,
};

/// The key in use at the beginning.
const FIRST: &str = "key-of-the-first-day";
/// After the history: so many hours of quiet checks.
const QUIET_HOURS: i64 = 24 * 6;

/// What a run does.
#[derive(Debug, Clone)]
enum Work {
    Rotate,
    RotateIfDue,
    Check,
    Tend,
    Rollback,
    /// Secrets Manager rotates: the steps as they arrive.
    Store(Vec<u8>),
}

/// One run of the function.
#[derive(Debug, Clone)]
struct Run {
    work: Work,
    /// After how many calls it dies, and whether that call has its effect all the same.
    dies: Option<(u64, bool)>,
    turns: Vec<u8>,
}

/// What happens to the keys themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Nothing,
    /// An operator adds a key.
    Add {
        is_good: bool,
    },
    /// An operator does what the alerts ask.
    Obey,
    /// The provider stops accepting the key in use.
    CurrentDies,
    /// Somebody puts something into use that is no key.
    ScribbleCurrent,
    /// Somebody puts something beside the key in use that is no key.
    ScribblePending,
    Down,
    Up,
}

/// Runs that go on at the same time, and the time after them.
#[derive(Debug, Clone)]
struct Slot {
    event: Event,
    runs: Vec<Run>,
    minutes: i64,
}

#[derive(Debug, Clone)]
struct History {
    is_minted: bool,
    mints_bad: bool,
    /// Whether the first key is in the secret as an operator put it in, or in the rotation's own form.
    is_plain: bool,
    pool: Vec<bool>,
    slots: Vec<Slot>,
}

fn histories() -> impl Strategy<Value = History> {
    let work = prop_oneof![
        4 => Just(Work::Rotate),
        2 => Just(Work::RotateIfDue),
        2 => Just(Work::Check),
        3 => Just(Work::Tend),
        1 => Just(Work::Rollback),
        2 => vec(0..4_u8, 1..8).prop_map(Work::Store),
        2 => Just(Work::Store(vec![0, 1, 2, 3])),
    ];
    let dies = prop_oneof![1 => Just(None), 1 => (0..20_u64, any::<bool>()).prop_map(Some)];
    let turns = vec(prop_oneof![3 => Just(0), 1 => 1..8_u8], 0..40);
    let run = (work, dies, turns).prop_map(|(work, dies, turns)| Run { work, dies, turns });
    let event = prop_oneof![
        8 => Just(Event::Nothing),
        3 => Just(Event::Add { is_good: true }),
        1 => Just(Event::Add { is_good: false }),
        2 => Just(Event::Obey),
        1 => Just(Event::CurrentDies),
        1 => Just(Event::ScribbleCurrent),
        1 => Just(Event::ScribblePending),
        1 => Just(Event::Down),
        2 => Just(Event::Up),
    ];
    let minutes = prop_oneof![Just(1_i64), Just(16), Just(61), Just(25 * 60), Just(31 * 24 * 60)];
    let slot = (event, vec(run, 2..21), minutes).prop_map(|(event, runs, minutes)| Slot { event, runs, minutes });
    let pool = vec(prop::bool::weighted(0.75), 0..4);
    (any::<bool>(), prop::bool::weighted(0.1), any::<bool>(), pool, vec(slot, 1..7))
        .prop_map(|(is_minted, mints_bad, is_plain, pool, slots)| History { is_minted, mints_bad, is_plain, pool, slots })
}

/// What came of many histories.
#[derive(Debug, Default)]
pub struct Report {
    /// How many were played.
    pub histories: u32,
    /// Runs of the function.
    pub runs: u64,
    /// Runs that were cut off on the way.
    pub killed: u64,
    /// Times that another version became current.
    pub promotions: u64,
    /// Keys that were refused by the provider after they had been in use.
    pub revoked: u64,
    /// What was not as it must be, with the smallest history that shows it.
    pub violations: Vec<String>,
}

/// Plays so many histories, the same ones in every run.
pub fn run(cases: u32) -> Report {
    let mut report = Report { histories: cases, ..Report::default() };
    report.violations = violations(cases, &histories(), &mut report, &check);
    report
}

/// What a witness has seen.
#[derive(Default)]
struct Seen {
    wrong: Vec<String>,
    current: Option<KeyVersion>,
    promotions: u64,
    ever_used: BTreeSet<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key_of(text: &str) -> String {
    KeyBody::parse(&SecretText::new(text.to_owned())).map_or_else(|_| String::new(), |body| body.key.expose().to_owned())
}

/// A deployment in memory.
struct House {
    is_minted: bool,
    secret: MemorySecret,
    pool: MemorySecret,
    provider: MemoryProvider,
    refusals: MemoryRefusals,
    alerts: MemoryAlerts,
    audit: MemoryAuditLog,
    ids: Arc<CountingIds>,
    seen: Arc<Mutex<Seen>>,
}

impl House {
    fn new(history: &History) -> Self {
        let provider = MemoryProvider::accepting(&[FIRST]);
        provider.set_mints_bad(history.mints_bad);
        let first = if history.is_plain { FIRST.to_owned() } else { format!("{{\"api_key\":\"{FIRST}\",\"key_id\":\"first\"}}") };
        let seen = Arc::new(Mutex::new(Seen { ever_used: BTreeSet::from([FIRST.to_owned()]), ..Seen::default() }));
        let secret = MemorySecret::of(&first);
        lock(&seen).current = secret.state().in_stage(SecretStage::Current).cloned();
        secret.enable_rotation();
        let (of, judge) = (seen.clone(), provider.clone());
        let secret = secret.watched_by(Arc::new(move |state, text| witness(&of, &judge, state, text)));
        Self {
            is_minted: history.is_minted,
            secret,
            pool: MemorySecret::default(),
            provider,
            refusals: MemoryRefusals::default(),
            alerts: MemoryAlerts::default(),
            audit: MemoryAuditLog::default(),
            ids: Arc::default(),
            seen,
        }
    }

    /// The rotation as a run has it, whose calls fail when its outage says so.
    fn rotation(&self, outage: &Outage) -> KeyRotation {
        let source: Arc<dyn KeySource> =
            if self.is_minted { Arc::new(self.provider.seen_through(outage.clone())) } else { Arc::new(self.stock(outage)) };
        KeyRotation {
            provider: "groq",
            store: Arc::new(self.secret.seen_through(outage.clone())),
            source,
            canary: Arc::new(self.provider.seen_through(outage.clone())),
            refusals: Arc::new(self.refusals.clone()),
            audit: Arc::new(self.audit.seen_through(outage.clone())),
            alerts: Arc::new(self.alerts.seen_through(outage.clone())),
            ids: self.ids.clone(),
            rules: RotationRules::default(),
        }
    }

    fn stock(&self, outage: &Outage) -> Pool {
        Pool { store: Arc::new(self.pool.seen_through(outage.clone())), ids: self.ids.clone(), clock: fixed_now }
    }

    fn current_key(&self) -> String {
        self.secret.text(SecretStage::Current).map_or_else(String::new, |text| key_of(&text))
    }

    async fn add(&self, number: usize, is_good: bool) {
        let key = format!("key-{number}");
        if is_good {
            self.provider.accept(&key);
        }
        let _ = self.stock(&Outage::default()).add(&ApiKey::new(&key), None).await;
    }

    /// Whether the key before the one in use is labelled as replaced: whoever writes over both takes the trace of it away.
    fn is_marked(&self) -> bool {
        let state = self.secret.state();
        let previous = state.in_stage(SecretStage::Previous).and_then(|version| state.versions.get(version));
        previous.is_none_or(|previous| previous.labels.iter().any(|label| is_ours(label)))
    }

    /// Puts something beside the key in use that is no key, as somebody with too many rights may.
    async fn scribble_pending(&self, number: usize) {
        let token = KeyVersion(format!("scribbled-{number:022}"));
        let text = SecretText::new("{broken".to_owned());
        let _ = self.secret.put(&token, &text, SecretStage::Pending.as_str()).await;
    }

    /// Revokes what the alerts so far ask for, in the provider's console.
    fn obey(&self) {
        let asked: BTreeSet<String> = self
            .alerts
            .alerts()
            .iter()
            .filter(|alert| alert.kind == "key_to_revoke")
            .map(|alert| alert.headline.clone())
            .collect();
        for version in self.secret.state().versions.keys() {
            if asked.iter().any(|headline| headline.contains(&format!("(version {})", version.0)))
                && let Some(text) = self.secret.text_of(version)
            {
                self.provider.revoke_key(&key_of(&text));
            }
        }
    }
}

/// Each change of the secret.
fn witness(seen: &Mutex<Seen>, provider: &MemoryProvider, state: &SecretState, text: Option<&str>) {
    let mut seen = lock(seen);
    let holders = state.versions.values().filter(|version| version.labels.contains("AWSCURRENT")).count();
    if holders != 1 {
        seen.wrong.push(format!("{holders} versions are current"));
    }
    let current = state.in_stage(SecretStage::Current).cloned();
    if current == seen.current {
        return;
    }
    let key = text.map(key_of).unwrap_or_default();
    let is_back = seen.ever_used.contains(&key);
    if !provider.accepts(&key) {
        seen.wrong.push(format!("{key} became current, and the provider refuses it"));
    }
    if provider.tested(&key) < 2 {
        seen.wrong.push(format!("{key} became current and was tried {} times (used before: {is_back})", provider.tested(&key)));
    }
    seen.promotions += 1;
    seen.current = current;
    seen.ever_used.insert(key);
}

async fn check(history: &History, report: &mut Report) -> Result<(), String> {
    let house = House::new(history);
    let outcome = play(&house, history, report).await;
    let seen = lock(&house.seen);
    report.promotions += seen.promotions;
    report.revoked += seen.ever_used.iter().filter(|key| !house.provider.accepts(key)).count() as u64;
    if let Some(wrong) = seen.wrong.first() {
        return Err(wrong.clone());
    }
    drop(seen);
    outcome
}

async fn play(house: &House, history: &History, report: &mut Report) -> Result<(), String> {
    let mut added = 0;
    for is_good in &history.pool {
        added += 1;
        house.add(added, *is_good).await;
    }
    let mut now = fixed_now();
    let mut tokens = 0_u64;
    // Whether the world itself has killed a key: then there may be none left that works.
    let mut has_died = false;
    for (number, slot) in history.slots.iter().enumerate() {
        house.secret.set_time(now);
        match slot.event {
            Event::ScribbleCurrent if house.is_marked() => {
                has_died = true;
                house.secret.set_text("{\"api_key\": 5}");
                lock(&house.seen).current = house.secret.state().in_stage(SecretStage::Current).cloned();
            }
            Event::Nothing | Event::ScribbleCurrent => {}
            Event::Add { is_good } => {
                added += 1;
                house.add(added, is_good).await;
            }
            Event::Obey => house.obey(),
            Event::CurrentDies => {
                has_died = true;
                house.provider.revoke_key(&house.current_key());
            }
            Event::ScribblePending => house.scribble_pending(number).await,
            Event::Down => house.provider.set_down(true),
            Event::Up => house.provider.set_down(false),
        }
        let before = house.current_key();
        let was_good = house.provider.accepts(&before);
        let runs = slot.runs.iter().map(|run| {
            tokens += 1;
            let token = KeyVersion(format!("store-rotation-{tokens:021}"));
            let outage = Outage::default();
            outage.take_turns(run.turns.iter().copied());
            match run.dies {
                None => {}
                Some((calls, false)) => outage.begin_after(calls),
                Some((calls, true)) => outage.lose_answer_after(calls),
            }
            async move {
                work(house, &run.work, &token, &outage, now).await;
                outage.failures() > 0
            }
        });
        let killed = join_all(runs).await;
        report.runs += killed.len() as u64;
        report.killed += killed.iter().filter(|killed| **killed).count() as u64;
        let key = house.current_key();
        if was_good && slot.event != Event::ScribbleCurrent && !house.provider.accepts(&key) {
            return Err(format!("slot {number}: {before} was in use and worked, now {key} is and does not"));
        }
        now += SignedDuration::from_mins(slot.minutes);
    }
    finish(house, has_died, now).await
}

async fn work(house: &House, work: &Work, token: &KeyVersion, outage: &Outage, now: Timestamp) {
    let rotation = house.rotation(outage);
    let mut context = context("main", &[]);
    context.now = now;
    let context = &context;
    match work {
        Work::Rotate => drop(rotation.rotate(SignedDuration::ZERO, context).await),
        Work::RotateIfDue => drop(rotation.rotate(SignedDuration::from_hours(15 * 24), context).await),
        Work::Check => drop(rotation.check(context).await),
        Work::Tend => drop(rotation.tend(context).await),
        Work::Rollback => drop(rotation.roll_back(RollbackReason::Operator, context).await),
        Work::Store(steps) => {
            if house.secret.begin_rotation(token) {
                for step in steps {
                    let step = RotationStep::ALL[usize::from(*step) % 4];
                    // A step that fails is called again, and then the next one is called all the same.
                    if rotation.step(step, token, Trigger::Store, context).await.is_err() {
                        drop(rotation.step(step, token, Trigger::Store, context).await);
                    }
                }
            }
        }
    }
}

/// Hours of quiet: checks as scheduled, an operator who does what is asked.
async fn finish(house: &House, has_died: bool, begun: Timestamp) -> Result<(), String> {
    house.provider.set_down(false);
    let rotation = house.rotation(&Outage::default());
    let mut context = context("main", &[]);
    for hour in 0..QUIET_HOURS {
        context.now = begun + SignedDuration::from_hours(hour);
        house.secret.set_time(context.now);
        let tended = if hour % 24 == 0 {
            rotation.check(&context).await.map(|checked| checked.tended)
        } else {
            rotation.tend(&context).await
        };
        for error in tended.map_or_else(|error| vec![error], |tended| tended.troubles) {
            match error {
                // What only an operator can mend, and has been told of.
                RotateKeyError::Source(SourceError::EmptyPool) | RotateKeyError::Refused { .. } | RotateKeyError::SameKey => {}
                RotateKeyError::Raced if hour < 24 => {}
                error => return Err(format!("hour {hour}: {error}")),
            }
        }
        house.obey();
    }
    let state = house.secret.state();
    let current = state.in_stage(SecretStage::Current).ok_or("nothing is current")?;
    let key = house.current_key();
    if !house.provider.accepts(&key) && !has_died {
        return Err(format!("{key} is in use and refused"));
    }
    if !house.provider.accepts(&key) && house.stock(&Outage::default()).depth().await.ok() != Some(Some(0)) && !house.is_minted {
        return Err(format!("{key} is in use and refused, and there are others"));
    }
    // Secrets Manager has begun one, and there is no key: it waits for an operator to add one.
    let goes_on = |pending: &KeyVersion| house.is_minted || house.secret.text_of(pending).is_some();
    if state.in_stage(SecretStage::Pending).is_some_and(|pending| pending != current && goes_on(pending)) {
        return Err(format!("a rotation is half done: {state:?}"));
    }
    if state.versions.get(current).is_some_and(|version| version.labels.iter().any(|label| is_ours(label))) {
        return Err(format!("the version in use is labelled as replaced: {state:?}"));
    }
    if let Some(text) = house.pool.text(SecretStage::Current) {
        let used = lock(&house.seen).ever_used.iter().find(|key| text.contains(&format!("\"{key}\""))).cloned();
        if let Some(used) = used {
            return Err(format!("{used} has been used and is in the pool"));
        }
    }
    let forgotten: Vec<String> =
        lock(&house.seen).ever_used.iter().filter(|used| **used != key && house.provider.accepts(used)).cloned().collect();
    if forgotten.is_empty() {
        return Ok(());
    }
    // What happened, by the trail alone: this is what an operator would have to find it with.
    let trail: Vec<String> =
        house.audit.events().iter().map(|e| format!("{} {:?} {:?}", e.event_type.as_str(), e.outcome, e.details)).collect();
    Err(format!("{forgotten:?} were in use and nobody revokes them: {state:?}\n{}", trail.join("\n")))
}
