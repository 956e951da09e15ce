//! `cost`: what language models cost today, as tables and a small chart.

use crate::client::Client;
use crate::display::table::{Side, render};
use crate::display::text::one_line;
use crate::display::{Paint, Screen};
use crate::outcome::Outcome;
use crate::wire::{AccountCost, Cost};
use anyhow::Result;
use domain::spending::MicroDollars;

/// How many accounts are listed; `--json` has all.
const ACCOUNTS: usize = 10;
/// Columns of the budget's bar.
const BAR: u64 = 40;
/// Eighths of a line.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Asks and shows.
pub fn run(json: bool, client: &Client, screen: &mut Screen) -> Result<Outcome> {
    let cost = client.cost()?;
    if json {
        screen.json(&cost)?;
        return Ok(Outcome::Done);
    }
    for line in lines(&cost, screen.table_columns, screen.paint) {
        screen.line(line)?;
    }
    Ok(Outcome::Done)
}

fn lines(cost: &Cost, columns: Option<usize>, paint: Paint) -> Vec<String> {
    let bar = bar(cost);
    let painted = if cost.spent >= cost.cap {
        paint.bad(&bar)
    } else if cost.spent >= cost.threshold {
        paint.faint(&bar)
    } else {
        paint.good(&bar)
    };
    let mut lines = vec![
        format!("{} (UTC)  {} of {}, forecast {}", one_line(&cost.day), cost.spent, dollars(cost.cap), dollars(cost.forecast)),
        painted,
    ];
    for (what, amount) in [("reserved", cost.reserved), ("lapsed", cost.lapsed)] {
        if amount > MicroDollars::ZERO {
            lines.push(format!("{what} {amount}"));
        }
    }
    if cost.hours.iter().any(|hour| *hour > MicroDollars::ZERO) {
        lines.push(String::new());
        lines.push(format!("{}  most in an hour {}", chart(&cost.hours), cost.hours.iter().max().copied().unwrap_or_default()));
        lines.push(paint.faint("0     6     12    18"));
    }
    let models: Vec<Vec<String>> = cost
        .models
        .iter()
        .map(|model| vec![one_line(&model.model), model.attempts.to_string(), model.spent.to_string()])
        .collect();
    let head = [("MODEL", Side::Gives), ("CALLS", Side::Right), ("SPENT", Side::Right)];
    table(&mut lines, &head, &models, columns, paint);
    for (name, accounts) in [("DEPARTMENT", &cost.departments), ("PERSON", &cost.people)] {
        let head = [(name, Side::Gives), ("BOOKED", Side::Right)];
        table(&mut lines, &head, &rows(accounts), columns, paint);
    }
    lines
}

fn rows(accounts: &[AccountCost]) -> Vec<Vec<String>> {
    accounts.iter().take(ACCOUNTS).map(|account| vec![one_line(&account.name), account.booked.to_string()]).collect()
}

fn table(lines: &mut Vec<String>, head: &[(&str, Side)], rows: &[Vec<String>], columns: Option<usize>, paint: Paint) {
    if !rows.is_empty() {
        lines.push(String::new());
        lines.extend(render(head, rows, columns, paint));
    }
}

/// Whole cents, as caps are talked about.
fn dollars(amount: MicroDollars) -> String {
    format!("${}.{:02}", amount.micros() / 1_000_000, amount.micros() % 1_000_000 / 10_000)
}

/// The budget: what is spent, what is reserved, where the threshold is.
fn bar(cost: &Cost) -> String {
    let place = |amount: MicroDollars| (amount.micros().saturating_mul(BAR) / cost.cap.micros().max(1)).min(BAR);
    let (spent, booked, threshold) = (place(cost.spent), place(cost.spent.plus(cost.reserved)), place(cost.threshold));
    let cells = (0..BAR).map(|cell| match cell {
        cell if cell < spent => '█',
        cell if cell < booked => '▒',
        cell if cell == threshold => '|',
        _ => '·',
    });
    cells.collect()
}

/// One block for each hour, as high as what it cost; nothing is a dot.
fn chart(hours: &[MicroDollars]) -> String {
    let most = hours.iter().max().map_or(1, |most| most.micros().max(1));
    let block = |hour: &MicroDollars| match hour.micros() {
        0 => '·',
        micros => BLOCKS[usize::try_from((micros.saturating_mul(8)).div_ceil(most)).unwrap_or(8).clamp(1, 8) - 1],
    };
    hours.iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ModelCost;

    #[test]
    fn a_day_is_tables_and_a_chart() {
        let mut hours = vec![MicroDollars::ZERO; 24];
        (hours[8], hours[9]) = (MicroDollars::dollars(10), MicroDollars::dollars(40));
        let cost = Cost {
            day: "2026-11-22".into(),
            spent: MicroDollars::dollars(50),
            reserved: MicroDollars::dollars(5),
            lapsed: MicroDollars::ZERO,
            cap: MicroDollars::dollars(100),
            threshold: MicroDollars::dollars(80),
            department_cap: MicroDollars::dollars(100),
            person_cap: MicroDollars::dollars(10),
            forecast: MicroDollars::dollars(70),
            models: vec![ModelCost { model: "one".into(), spent: MicroDollars::dollars(50), attempts: 3 }],
            departments: vec![AccountCost { name: "icu".into(), booked: MicroDollars::dollars(55) }],
            people: Vec::new(),
            hours,
        };
        let expected = [
            "2026-11-22 (UTC)  $50.000000 of $100.00, forecast $70.00",
            "████████████████████▒▒··········|·······",
            "reserved $5.000000",
            "",
            "········▂█··············  most in an hour $40.000000",
            "0     6     12    18",
            "",
            "MODEL  CALLS       SPENT",
            "one        3  $50.000000",
            "",
            "DEPARTMENT      BOOKED",
            "icu         $55.000000",
        ];
        assert_eq!(lines(&cost, None, Paint::OFF), expected);
    }
}
