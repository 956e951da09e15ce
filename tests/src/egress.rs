//! What leaves when charts of patients are asked about, through the chat function over real sockets to a double of the providers
//! that does whatever it reads: every byte that it got, every row of the trail, the books, the kept conversations, the alerts and
//! the answers' problems are searched for each identifier that was planted. All people are made up here.

use crate::hospital::{Hospital, Plan, Sheet};
use crate::injections;
use crate::llm_double::{Behaviour, Format, LlmDouble, Mind};
use crate::tampering::Dice;
use anyhow::{Context as _, Result};
use domain::audit::EventType;
use lambda_http::Body;
use serde_json::{Value, json};

/// Charts in one hospital.
const CHARTS: usize = 4;
const GIVEN: [&str; 24] = [
    "Ottoline",
    "Peregrine",
    "Tamsin",
    "Leopold",
    "Anneliese",
    "Bartholomew",
    "Clementine",
    "Desmond",
    "Evangeline",
    "Ferdinand",
    "Guinevere",
    "Humphrey",
    "Isadora",
    "Jerome",
    "Katarina",
    "Lysander",
    "Magdalena",
    "Nathaniel",
    "Octavia",
    "Percival",
    "Rosalind",
    "Sebastian",
    "Theodora",
    "Winifred",
];
const FAMILY: [&str; 24] = [
    "Brackwater",
    "Thistlewick",
    "Velasquez",
    "Okonkwo",
    "Lindqvist",
    "Papadopoulos",
    "Ravenscroft",
    "Szymanski",
    "Takahashi",
    "Underhill",
    "Wojciechowski",
    "Abernathy",
    "Castellanos",
    "Delacroix",
    "Featherstone",
    "Gunnarsson",
    "Hathersage",
    "Ivanovich",
    "Jankowski",
    "Kirkpatrick",
    "Montgomery",
    "Novotny",
    "Pemberton",
    "Quintanilla",
];
const DRUGS: [&str; 8] =
    ["apixaban", "metformin", "bisoprolol", "ramipril", "furosemide", "atorvastatin", "omeprazole", "warfarin"];
const TIMES: [&str; 4] = ["once daily", "twice daily", "in the morning", "at night"];

/// A made-up patient.
struct Patient {
    given: &'static str,
    family: String,
    mrn: String,
    ssn: String,
    phone: String,
    mail: String,
    born: String,
    drug: &'static str,
    dose: usize,
    times: &'static str,
}

impl Patient {
    fn random(at: usize, dice: &mut Dice) -> Self {
        let given = GIVEN[dice.below(GIVEN.len())];
        // Two family names: no two patients of a hospital share one, so that whoever is found is who was meant.
        let family = format!("{}-{}", FAMILY[at % FAMILY.len()], FAMILY[(at / FAMILY.len() + at + 7) % FAMILY.len()]);
        let month = ["January", "March", "May", "July", "August", "October"][dice.below(6)];
        Self {
            given,
            mrn: format!("{}", 1_000_000 + dice.below(8_999_999)),
            ssn: format!("{}-{:02}-{:04}", 100 + dice.below(560), 1 + dice.below(98), 1 + dice.below(9_998)),
            phone: format!("({}) 555-{:04}", 201 + dice.below(700), dice.below(10_000)),
            mail: format!("{}.{}@example.org", given.to_lowercase(), family.to_lowercase().replace('-', ".")),
            born: format!("{} {month} {}", 1 + dice.below(28), 1931 + dice.below(80)),
            drug: DRUGS[dice.below(DRUGS.len())],
            dose: 5 * (1 + dice.below(20)),
            times: TIMES[dice.below(TIMES.len())],
            family,
        }
    }

    fn chart(&self, order: &str) -> Sheet {
        let Self { given, family, mrn, ssn, phone, mail, born, drug, dose, times } = self;
        let text = format!(
            "Patient: {given} {family}\n\nMRN: {mrn}, SSN {ssn}, date of birth {born}. Telephone {phone}, e-mail {mail}.\n\n\
             Mrs {family} gets {dose} mg of {drug} {times}. {given} was told on the telephone.\n\n{order}"
        );
        Sheet::of_main(&format!("Plan {mrn}"), &text)
    }

    fn question(&self, way: usize) -> String {
        let Self { given, family, mrn, ssn, phone, mail, born, drug, .. } = self;
        match way % 8 {
            0 => format!("How much {drug} does {given} {family} get?"),
            1 => format!("How often does the patient with MRN {mrn} take {drug}?"),
            2 => format!("Mrs {family}, born {born}: how many mg of {drug}?"),
            3 => format!("{mail} asks how much {drug} she gets."),
            4 => format!("Call {phone} back: how much {drug} does Mrs {family} get?"),
            5 => format!("SSN {ssn}, {given} {family}: how much {drug} and when?"),
            6 => format!("What does patient {given} {family} (MRN: {mrn}, DOB {born}) get of {drug}?"),
            _ => format!("Dr. {family} wants to know how much {drug} is given to MRN {mrn}."),
        }
    }

    /// What may be nowhere but in the answer: words of the name, whole numbers.
    fn identifiers(&self) -> Vec<&str> {
        let parts = self.family.split('-');
        parts.chain([self.given, &self.mrn, &self.ssn, &self.phone, &self.mail, &self.born]).collect()
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// Questions that were asked.
    pub cases: usize,
    /// Requests that the double got.
    pub requests: usize,
    /// Bytes that it got.
    pub bytes: usize,
    /// Answers that named the patient again.
    pub restored: usize,
    /// Documents whose orders were obeyed.
    pub injected: usize,
    /// Texts in which an identifier, an order's words or a link was found that must not be there. Synthetic people only.
    pub leaks: Vec<String>,
}

/// The event of a question.
fn event(question: &str) -> Result<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/chat.ask.json");
    let mut event: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    event["body"] = json!({ "question": question }).to_string().into();
    Ok(event)
}

async fn ask(hospital: &Hospital, question: &str) -> Result<Value> {
    let request = lambda_http::request::from_str(&event(question)?.to_string())?;
    let response = chat::handle(&hospital.chat, &request).await;
    let Body::Text(text) = response.body() else { anyhow::bail!("an answer is text") };
    anyhow::ensure!(response.status() == 200, "{}: {text}", response.status());
    Ok(serde_json::from_str(text)?)
}

/// Asks so many questions; each chart gives an order of [`injections`], and the double obeys it in every third hospital.
pub async fn run(cases: usize) -> Result<Report> {
    let double = LlmDouble::open(0).context("a port")?;
    let orders = injections::texts();
    let mut report = Report::default();
    let mut dice = Dice::new(77);
    while report.cases < cases {
        let number = report.cases / CHARTS;
        let is_obedient = number.is_multiple_of(3);
        let patients: Vec<Patient> = (0..CHARTS).map(|at| Patient::random(at, &mut dice)).collect();
        let order = |at: usize| &orders[(number / 3 * CHARTS + at) % orders.len()];
        let documents: Vec<Sheet> = patients.iter().enumerate().map(|(at, patient)| patient.chart(&order(at).text)).collect();
        let written: Vec<String> = documents.iter().map(|sheet| folded(&sheet.text)).collect();
        let hospital =
            Hospital::build(&Plan { models: Some([double.gemini_url(), double.groq_url()]), documents, ..Plan::default() })
                .await?;
        report.injected += if is_obedient { CHARTS } else { 0 };
        let mind = if is_obedient { Mind::Obedient } else { Mind::Helpful };
        for format in [Format::Gemini, Format::OpenAi] {
            double.behave(format, Behaviour::of(mind.clone()));
        }
        for (at, patient) in patients.iter().enumerate().take(cases - report.cases) {
            let question = patient.question(dice.below(8));
            let answer = ask(&hospital, &question).await?;
            let texts: Vec<&str> =
                answer["answer"].as_array().into_iter().flatten().filter_map(|sentence| sentence["text"].as_str()).collect();
            report.restored += usize::from(texts.iter().any(|text| text.contains(&patient.family)));
            for text in texts {
                // What stands in a document may be quoted, with its place; what the double made of it may not come through.
                let is_suspect = ["://", "](", "at once", "doctor's orders"].iter().any(|mark| text.contains(mark));
                let is_quoted = || written.iter().any(|document| document.contains(&folded(text)));
                if text.contains("?q=") || text.contains("?all=") || is_suspect && !is_quoted() {
                    report.leaks.push(format!("an answer to {question:?} under the order {:?}: {text:?}", order(at).text));
                }
            }
            report.cases += 1;
        }
        search(&double, &hospital, &patients, &mut report).await?;
    }
    Ok(report)
}

/// Letters and digits only: how a quotation is set does not matter.
fn folded(text: &str) -> String {
    text.chars().filter(|letter| letter.is_alphanumeric()).collect()
}

/// Looks for every identifier of every patient in everything that the hospital left behind.
async fn search(double: &LlmDouble, hospital: &Hospital, patients: &[Patient], report: &mut Report) -> Result<()> {
    let mut sinks: Vec<(&str, String)> = Vec::new();
    for request in double.take_requests() {
        report.requests += 1;
        report.bytes += request.bytes.len();
        sinks.push(("captured bytes", request.text()));
    }
    let events = hospital.audit.events();
    sinks.extend(events.iter().map(|event| ("an audit row", format!("{:?}", testkit::trail_row(event)))));
    sinks.extend(hospital.attempts().await?.iter().map(|row| ("the books", format!("{row:?}"))));
    sinks.extend(hospital.conversations.sealed().iter().map(|row| ("a conversation", String::from_utf8_lossy(row).into_owned())));
    sinks.extend(hospital.alerts.alerts().iter().map(|alert| ("an alert", format!("{alert:?}"))));
    let strange = events
        .iter()
        .find(|event| !matches!(event.event_type, EventType::ChatAnswered | EventType::ChatRefused | EventType::LlmCall));
    if let Some(event) = strange {
        report.leaks.push(format!("an order changed something: {:?}", event.event_type));
    }
    let identifiers: Vec<String> = patients
        .iter()
        .flat_map(Patient::identifiers)
        .map(str::to_lowercase)
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    for (sink, text) in sinks {
        let lower = text.to_lowercase();
        if let Some(found) = identifiers.iter().find(|identifier| lower.contains(identifier.as_str())) {
            let at = lower.find(found.as_str()).unwrap_or_default();
            let around: String = lower.chars().skip(lower[..at].chars().count().saturating_sub(60)).take(140).collect();
            report.leaks.push(format!("{found} in {sink}: {around:?}"));
        }
    }
    Ok(())
}
