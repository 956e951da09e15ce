//! Who asks: the claims that the gateway's Cognito authorizer has verified. A function is never reached without them; one
//! that says too little is refused, not defaulted.

use crate::problem::{Kind, Problem};
use domain::chat::conversation::PersonName;
use domain::context::{Actor, Context, Department, Role};
use domain::documents::attributes::Group;
use domain::ids::{RequestId, SubjectId, TenantId};
use jiff::Timestamp;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt as _};
use serde_json::Value;
use std::collections::BTreeSet;

/// The request's id as the gateway gave it: the extended one. The other one a caller may choose (`X-Amzn-RequestId`), and stands
/// in only for an event that no gateway made.
pub fn request_id(request: &Request) -> RequestId {
    let id = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => {
            let own = context.other.get("extendedRequestId").and_then(Value::as_str);
            own.filter(|own| !own.is_empty()).or(context.request_id.as_deref()).map(RequestId::new)
        }
        _ => None,
    };
    id.unwrap_or_else(|| RequestId::new(""))
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
    let (roles, groups) = memberships(claim("cognito:groups"));
    let department = department(claim("cognito:groups"));
    Ok(Context { actor: Actor { subject, roles, groups, department }, tenant, request_id: request_id(request), now })
}

/// The names of whoever asks, as the verified claims give them; of an address what stands before the `@`, if it looks like a name.
pub fn people(request: &Request) -> Vec<PersonName> {
    let Some(RequestContext::ApiGatewayV1(gateway)) = request.request_context_ref() else { return Vec::new() };
    let claims = gateway.authorizer.fields.get("claims");
    let claim = |name: &str| claims.and_then(|c| c.get(name)).and_then(Value::as_str).unwrap_or("");
    let mut names: Vec<&str> = ["name", "given_name", "middle_name", "family_name", "nickname"].map(claim).to_vec();
    // `ottoline.brackwater@...` is a name; `demo@...` and `ward3@...` are none.
    let own = claim("email").split_once('@').map_or("", |(own, _)| own);
    let parts: Vec<&str> = own.split(['.', '_', '-']).collect();
    let is_name = parts.len() > 1 && parts.iter().all(|part| part.len() > 1 && part.chars().all(char::is_alphabetic));
    let spelled = parts.join(" ");
    if is_name {
        names.push(&spelled);
    }
    names.into_iter().filter(|name| !name.trim().is_empty()).map(PersonName::new).collect()
}

/// The context of somebody whom no administrator has given a tenant: what they try belongs into a trail, and no tenant's is
/// the right one.
pub fn unplaced(request: &Request, now: Timestamp) -> Option<Context> {
    let Some(RequestContext::ApiGatewayV1(gateway)) = request.request_context_ref() else { return None };
    let subject = gateway.authorizer.fields.get("claims").and_then(|claims| claims.get("sub")).and_then(Value::as_str);
    let subject = subject.and_then(|subject| SubjectId::parse(subject).ok()).unwrap_or_else(|| SubjectId::system("nobody"));
    let actor = Actor { subject, roles: Vec::new(), groups: BTreeSet::new(), department: None };
    Some(Context { actor, tenant: TenantId::deployment(), request_id: request_id(request), now })
}

/// The pool's groups are roles (`clinician`) and access groups (`access:oncology`); others are a directory's own and say nothing
/// here. REST APIs hand them over as `a,b`, HTTP APIs as `[a b]`.
fn memberships(claim: &str) -> (Vec<Role>, BTreeSet<Group>) {
    let mut roles: Vec<Role> = names(claim).filter_map(Role::from_group).collect();
    roles.sort_unstable();
    roles.dedup();
    (roles, names(claim).filter_map(Group::from_claim).collect())
}

/// The department that pays (`department:icu`). Of somebody who is in several it is always the same one: the first by name.
fn department(claim: &str) -> Option<Department> {
    names(claim).filter_map(Department::from_claim).min()
}

fn names(claim: &str) -> impl Iterator<Item = &str> {
    claim.split(|c: char| c == ',' || c.is_whitespace() || c == '[' || c == ']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_come_in_two_spellings_and_strangers_are_no_role() {
        let both = vec![Role::Clinician, Role::DocumentAdmin];
        let roles = |claim| memberships(claim).0;
        assert_eq!(roles("clinician,document-admin"), both);
        assert_eq!(roles("[document-admin clinician clinician]"), both);
        assert_eq!(roles("all-staff, Clinician, access:clinician"), []);
        assert_eq!(roles(""), []);
    }

    #[test]
    fn one_department_pays() {
        let paying = |claim| department(claim).map(|department| department.as_str().to_owned());
        assert_eq!(paying("clinician,department:ward,department:icu").as_deref(), Some("icu"));
        assert_eq!(paying("clinician,access:icu,department:,department:ICU,department:a/b"), None);
    }

    #[test]
    fn access_groups_have_their_prefix_and_nothing_else_opens_a_document() {
        let groups = |claim| memberships(claim).1.into_iter().map(String::from).collect::<Vec<_>>();
        assert_eq!(groups("clinician,access:icu,access:oncology,access:icu"), ["icu", "oncology"]);
        assert_eq!(groups("[access:icu clinician]"), ["icu"]);
        assert_eq!(groups("icu,access:,access:*,access:../x,access:ICU,xaccess:icu"), [""; 0]);
    }
}
