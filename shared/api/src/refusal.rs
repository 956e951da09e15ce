//! Requests that are turned away leave a row in the trail like those that are answered: what reaches a function and leaves
//! none is what the reconciliation looks for.

use crate::caller::{context, unplaced};
use crate::problem::{Kind, Problem};
use crate::request::route;
use domain::audit::{AuditEvent, AuditLog};
use domain::ids::IdSource;
use jiff::Timestamp;
use lambda_http::Request;

/// Records a refusal and hands it on. One that cannot be recorded leaves as what kept it from being recorded.
pub async fn recorded(problem: Problem, request: &Request, now: Timestamp, audit: &dyn AuditLog, ids: &dyn IdSource) -> Problem {
    // Who asks too often is in the trail before that is known here.
    if problem.kind() == Kind::RateLimited {
        return problem;
    }
    let Some(context) = context(request, now).ok().or_else(|| unplaced(request, now)) else { return problem };
    let (method, template) = route(request);
    let event = if problem.is_denial() {
        AuditEvent::denied(ids, &context, method, &template, problem.code())
    } else {
        AuditEvent::refused(ids, &context, method, &template, problem.code())
    };
    match audit.append(&event).await {
        Ok(()) => problem,
        Err(error) => Problem::from_fault(error.fault(), Kind::Internal, String::new()),
    }
}
