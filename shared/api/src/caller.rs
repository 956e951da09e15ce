//! Who asks: the claims that the gateway's Cognito authorizer has verified. A function is never reached without them; one
//! that says too little is refused, not defaulted.

use crate::problem::{Kind, Problem};
use domain::context::{Actor, Context, Role};
use domain::ids::{RequestId, SubjectId, TenantId};
use jiff::Timestamp;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt as _};
use serde_json::Value;

/// The request's id as the gateway gave it.
pub fn request_id(request: &Request) -> RequestId {
    let id = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.request_id.clone(),
        _ => None,
    };
    RequestId::new(&id.unwrap_or_default())
}

/// The context of a request, from the verified claims.
pub fn context(request: &Request, now: Timestamp) -> Result<Context, Problem> {
    let Some(RequestContext::ApiGatewayV1(gateway)) = request.request_context_ref() else {
        return Err(Problem::new(Kind::Denied, "The request did not come through the API."));
    };
    let claims = gateway.authorizer.fields.get("claims");
    let claim = |name: &str| claims.and_then(|c| c.get(name)).and_then(Value::as_str).unwrap_or("");
    let subject =
        SubjectId::parse(claim("sub")).map_err(|_| Problem::new(Kind::Denied, "The token names nobody. Sign in again."))?;
    let tenant = TenantId::parse(claim("custom:tenant"))
        .map_err(|_| Problem::new(Kind::Denied, "The account belongs to no tenant. An administrator must set it."))?;
    Ok(Context { actor: Actor { subject, roles: roles(claim("cognito:groups")) }, tenant, request_id: request_id(request), now })
}

/// REST APIs hand over the groups as `a,b`, HTTP APIs as `[a b]`.
fn roles(groups: &str) -> Vec<Role> {
    let separators = |c: char| c == ',' || c.is_whitespace() || c == '[' || c == ']';
    let mut roles: Vec<Role> = groups.split(separators).filter_map(Role::from_group).collect();
    roles.sort_unstable();
    roles.dedup();
    roles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_come_in_two_spellings_and_strangers_are_no_role() {
        let both = vec![Role::Clinician, Role::DocumentAdmin];
        assert_eq!(roles("clinician,document-admin"), both);
        assert_eq!(roles("[document-admin clinician clinician]"), both);
        assert_eq!(roles("all-staff, Clinician"), []);
        assert_eq!(roles(""), []);
    }
}
