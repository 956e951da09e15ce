//! `status`: which stack, does it answer, who asks, how many documents.

use super::stack;
use crate::client::{Client, problem_status};
use crate::config::Config;
use crate::display::Screen;
use crate::display::measure::{count, size};
use crate::display::text::one_line;
use crate::outcome::Outcome;
use crate::profile::{Found, LOCAL, project};
use crate::session::Bearer;
use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Stdio;

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    profile: String,
    api_url: String,
    /// Whether the API answers.
    reachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_in: Option<Bearer>,
    /// State to number; absent where the person may not list.
    #[serde(skip_serializing_if = "Option::is_none")]
    documents: Option<BTreeMap<String, usize>>,
    /// Why something is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// What `local/stack.py status` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    local: Option<Value>,
}

/// Looks and tells. Fails if the API does not answer or nobody can sign in.
pub fn run(found: &Found, client: &Client, json: bool, config: &Config, screen: &mut Screen) -> Result<Outcome> {
    let mut report = Report {
        profile: found.name.clone(),
        api_url: found.profile.api_url.clone(),
        reachable: false,
        signed_in: None,
        documents: None,
        problem: None,
        local: (found.name == LOCAL).then(|| local(config)).flatten(),
    };
    let outcome = match look(client, &mut report) {
        Ok(()) => Outcome::Done,
        Err(error) => {
            report.reachable = problem_status(&error).is_some();
            report.problem = Some(one_line(&format!("{error:#}")));
            // A person who may not list is signed in all the same.
            if problem_status(&error) == Some(403) { Outcome::Done } else { Outcome::Failed }
        }
    };
    if json {
        screen.json(&report)?;
    } else {
        print(&report, screen)?;
    }
    Ok(outcome)
}

fn look(client: &Client, report: &mut Report) -> Result<()> {
    report.signed_in = Some(client.bearer()?);
    let mut by_state = BTreeMap::new();
    for document in client.documents(None)? {
        *by_state.entry(document.status.0).or_insert(0) += 1;
    }
    report.reachable = true;
    report.documents = Some(by_state);
    Ok(())
}

fn local(config: &Config) -> Option<Value> {
    let mut command = stack::command(&project(config)?, "status");
    let output = command.arg("--json").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    serde_json::from_slice(&output.stdout).ok()
}

fn print(report: &Report, screen: &mut Screen) -> Result<()> {
    let paint = screen.paint;
    let mut line = |name: &str, value: String| screen.line(format!("{} {value}", paint.faint(&format!("{name:<10}"))));
    line("profile", report.profile.clone())?;
    line("API", report.api_url.clone())?;
    line("reachable", if report.reachable { paint.good("yes") } else { paint.bad("no") })?;
    if let Some(bearer) = &report.signed_in {
        let roles = if bearer.roles.is_empty() { "no roles".to_owned() } else { bearer.roles.join(", ") };
        let tenant = bearer.tenant.as_deref().map(|tenant| format!(", tenant {tenant}")).unwrap_or_default();
        line("person", one_line(&format!("{} ({roles}{tenant})", bearer.person)))?;
    }
    if let Some(documents) = &report.documents {
        let states: Vec<String> =
            documents.iter().map(|(state, number)| format!("{number} {}", one_line(&state.replace('_', " ")))).collect();
        let states = if states.is_empty() { String::new() } else { format!(": {}", states.join(", ")) };
        line("documents", format!("{}{states}", documents.values().sum::<usize>()))?;
    }
    if let Some(local) = &report.local {
        let is = |name: &str| local[name].as_bool() == Some(true);
        let health = if is("healthy") {
            "healthy"
        } else if is("running") {
            "running, but does not answer"
        } else {
            "not running"
        };
        let process = local["pid"].as_u64().map(|pid| format!(", process {pid}")).unwrap_or_default();
        let data = local["data_bytes"].as_u64().map(|bytes| format!(", {} of data", size(bytes))).unwrap_or_default();
        line("local AWS", format!("{health}{process}{data}"))?;
    }
    if let Some(problem) = &report.problem {
        line("problem", paint.bad(problem))?;
    }
    if report.documents.as_ref().is_some_and(BTreeMap::is_empty) {
        screen.note(format!("There is nothing to ask yet ({}): `clinchat upload FILE`.", count(0, "document")));
    }
    Ok(())
}
