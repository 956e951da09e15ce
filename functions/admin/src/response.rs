//! A day's cost on the wire. Amounts are whole micro-dollars.

use domain::spending::{Cost, MicroDollars};
use serde::Serialize;

/// Wire form.
#[derive(Serialize)]
pub struct CostBody {
    day: String,
    spent: MicroDollars,
    reserved: MicroDollars,
    lapsed: MicroDollars,
    cap: MicroDollars,
    threshold: MicroDollars,
    department_cap: MicroDollars,
    person_cap: MicroDollars,
    forecast: MicroDollars,
    models: Vec<ModelBody>,
    departments: Vec<AccountBody>,
    people: Vec<AccountBody>,
    hours: [MicroDollars; 24],
    trace_id: String,
}

#[derive(Serialize)]
struct ModelBody {
    model: String,
    spent: MicroDollars,
    attempts: u64,
}

/// A department by name, or a person by pseudonym, and what is spent and reserved.
#[derive(Serialize)]
struct AccountBody {
    name: String,
    booked: MicroDollars,
}

impl CostBody {
    /// The wire form of a day.
    pub fn new(cost: &Cost, trace_id: &str) -> Self {
        let accounts = |accounts: &[(String, MicroDollars)]| {
            accounts.iter().map(|(name, booked)| AccountBody { name: name.clone(), booked: *booked }).collect()
        };
        let models = cost.models.iter();
        Self {
            day: cost.day.to_string(),
            spent: cost.spent,
            reserved: cost.reserved,
            lapsed: cost.lapsed,
            cap: cost.caps.deployment,
            threshold: cost.caps.threshold(),
            department_cap: cost.caps.department,
            person_cap: cost.caps.person,
            forecast: cost.forecast,
            models: models.map(|(model, s)| ModelBody { model: model.clone(), spent: s.spent, attempts: s.attempts }).collect(),
            departments: accounts(&cost.departments),
            people: accounts(&cost.people),
            hours: cost.hours,
            trace_id: trace_id.to_owned(),
        }
    }
}
