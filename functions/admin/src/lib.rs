//! What operators ask. `GET /v1/admin/cost`: what language models cost today.

mod config;
mod response;

pub use config::Config;

use api::{Kind, Problem};
use domain::audit::AuditLog;
use domain::ids::IdSource;
use domain::spending::{Caps, LedgerStore, ViewCost, ViewCostError};
use lambda_http::{Body, Request, Response};
use runtime::ids::SystemIds;
use runtime::telemetry::Invocation;
use store::{AuditTable, LedgerTable};

/// What the function holds between invocations.
pub struct Admin {
    /// Where money is counted.
    pub ledger: Box<dyn LedgerStore>,
    /// What must not be passed.
    pub caps: Caps,
    /// The audit trail.
    pub audit: Box<dyn AuditLog>,
    /// New ids.
    pub ids: Box<dyn IdSource>,
}

impl Admin {
    /// The function on AWS.
    pub fn connect(config: &Config, sdk: &aws_types::SdkConfig) -> Self {
        Self {
            ledger: Box::new(LedgerTable::new(sdk, config.ledger_table.clone())),
            caps: config.caps,
            audit: Box::new(AuditTable::new(sdk, config.audit_table.clone())),
            ids: Box::new(SystemIds),
        }
    }
}

/// Answers one request. Every outcome is a response.
pub async fn handle(app: &Admin, request: &Request) -> Response<Body> {
    let id = api::request_id(request);
    let invocation = Invocation::begin("admin", id.as_str());
    let (outcome, response) = match cost(app, request).await {
        Ok(body) => ("shown", api::json(200, &body)),
        Err(problem) => {
            let problem = api::recorded(problem, request, runtime::ids::now(), app.audit.as_ref(), app.ids.as_ref()).await;
            (problem.code(), problem.into_response(id.as_str()))
        }
    };
    invocation.end(outcome);
    response
}

async fn cost(app: &Admin, request: &Request) -> Result<response::CostBody, Problem> {
    let context = api::context(request, runtime::ids::now())?;
    let (method, template) = api::route(request);
    if (method, template.as_str()) != ("GET", "/admin/cost") {
        return Err(Problem::new(Kind::NoSuchRoute, "This function answers GET /v1/admin/cost."));
    }
    let use_case = ViewCost { store: app.ledger.as_ref(), caps: &app.caps, audit: app.audit.as_ref(), ids: app.ids.as_ref() };
    let cost = use_case.run(&context).await.map_err(|error| {
        tracing::warn!(request_id = context.request_id.as_str(), %error, detail = ?error, "not shown");
        let detail = match &error {
            ViewCostError::NotAllowed(not_allowed) => not_allowed.to_string(),
            ViewCostError::Port(_) => String::new(),
        };
        Problem::from_fault(error.fault(), Kind::BadParameter, detail)
    })?;
    Ok(response::CostBody::new(&cost, context.request_id.as_str()))
}
