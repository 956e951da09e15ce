//! The audit trail's API: other systems report events, auditors search and take parts out. Nobody changes anything.

mod config;
mod cursor;
mod export;
mod request;
mod response;

pub use config::Config;

use api::{Kind, Problem};
use domain::audit::receive::{EventIntake, ReceiveEvents, ReceiveEventsError};
use domain::audit::search::{AuditTrail, Purpose, SearchTrail, SearchTrailError};
use domain::audit::{AuditLog, Pseudonyms};
use domain::context::Context;
use domain::ids::IdSource;
use lambda_http::{Body, Error, Request, Response};
use runtime::ids::SystemIds;
use runtime::telemetry::Invocation;
use signing::KmsKey;
use store::{AuditIntake, AuditRows, AuditState, AuditTable};

/// What the pseudonyms' key is a code of. Another text would make every pseudonym another.
const PSEUDONYM_MESSAGE: &[u8] = b"clinchat audit pseudonyms 1";

/// What the function holds between invocations.
pub struct Audit {
    /// Takes other systems' events.
    pub intake: Box<dyn EventIntake>,
    /// The trail, to read.
    pub trail: Box<dyn AuditTrail>,
    /// The trail, to append to.
    pub audit: Box<dyn AuditLog>,
    /// New ids.
    pub ids: Box<dyn IdSource>,
    /// Hides other systems' identifiers.
    pub pseudonyms: Pseudonyms,
}

impl Audit {
    /// The function on AWS. The pseudonyms' key is made by KMS at each start and is kept nowhere.
    pub async fn connect(config: &Config, sdk: &aws_types::SdkConfig) -> Result<Self, Error> {
        let table = AuditTable::new(sdk, config.audit_table.clone());
        let state = AuditState::new(sdk, config.state_table.clone());
        let key = KmsKey::new(sdk, config.pseudonym_key.clone()).code(PSEUDONYM_MESSAGE).await?;
        Ok(Self {
            intake: Box::new(AuditIntake::new(table.clone(), state)),
            trail: Box::new(AuditRows::new(sdk, config.audit_table.clone())),
            audit: Box::new(table),
            ids: Box::new(SystemIds),
            pseudonyms: Pseudonyms::new(key)?,
        })
    }
}

/// Answers one request. Every outcome is a response.
pub async fn handle(app: &Audit, request: &Request) -> Response<Body> {
    let id = api::request_id(request);
    let invocation = Invocation::begin("audit", id.as_str());
    let (outcome, response) = match answer(app, request).await {
        Ok((outcome, response)) => (outcome, response),
        Err(problem) => {
            let problem = api::recorded(problem, request, runtime::ids::now(), app.audit.as_ref(), app.ids.as_ref()).await;
            (problem.code(), problem.into_response(id.as_str()))
        }
    };
    invocation.end(outcome);
    response
}

async fn answer(app: &Audit, request: &Request) -> Result<(&'static str, Response<Body>), Problem> {
    let context = api::context(request, runtime::ids::now())?;
    let receive = ReceiveEvents {
        intake: app.intake.as_ref(),
        audit: app.audit.as_ref(),
        ids: app.ids.as_ref(),
        pseudonyms: &app.pseudonyms,
    };
    let search =
        SearchTrail { trail: app.trail.as_ref(), audit: app.audit.as_ref(), ids: app.ids.as_ref(), pseudonyms: &app.pseudonyms };
    let (method, template) = api::route(request);
    Ok(match (method, template.as_str()) {
        ("POST", "/audit/events") => {
            // Who may not report does not learn what a report looks like.
            context.allow(domain::context::Act::ReportEvents).map_err(|error| not_received(&context, &error.into()))?;
            let batch = request::batch(request)?;
            let received = receive.run(&context, &batch).await.map_err(|error| not_received(&context, &error))?;
            ("received", api::json(200, &response::received(&received)))
        }
        ("GET", "/audit/events") => {
            let asked = request::search(request)?;
            let found = search.run(&context, &asked.filter, asked.after, asked.limit, Purpose::Look).await;
            let page = found.map_err(|error| not_searched(&context, &error))?;
            ("searched", api::json(200, &response::page(&page, &asked)))
        }
        ("GET", "/audit/export") => {
            let (asked, format) = request::export(request)?;
            let found = search.run(&context, &asked.filter, asked.after, asked.limit, Purpose::Export(format.name())).await;
            let page = found.map_err(|error| not_searched(&context, &error))?;
            let mut response = api::text(format.media_type(), format.write(&page.rows));
            if let Some(cursor) = page.next.map(|next| asked.cursor(next)) {
                let cursor = cursor.parse().map_err(|_| Problem::new(Kind::Internal, String::new()))?;
                response.headers_mut().insert("x-next-cursor", cursor);
            }
            ("exported", response)
        }
        _ => return Err(Problem::new(Kind::NoSuchRoute, "This function answers /v1/audit/events and /v1/audit/export.")),
    })
}

fn not_received(context: &Context, error: &ReceiveEventsError) -> Problem {
    tracing::warn!(request_id = context.request_id.as_str(), %error, detail = ?error, "not received");
    let detail = match error {
        ReceiveEventsError::Port(_) => String::new(),
        ours => ours.to_string(),
    };
    Problem::from_fault(error.fault(), Kind::BadBody, detail)
}

fn not_searched(context: &Context, error: &SearchTrailError) -> Problem {
    tracing::warn!(request_id = context.request_id.as_str(), %error, detail = ?error, "not searched");
    let detail = match error {
        SearchTrailError::Port(_) => String::new(),
        ours => ours.to_string(),
    };
    Problem::from_fault(error.fault(), Kind::BadParameter, detail)
}
