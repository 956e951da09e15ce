//! Calls a function of the stack with the operator's AWS credentials: one signed request, so that no SDK is linked for it.

use anyhow::{Context, Result, bail};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_types::SdkConfig;
use serde_json::Value;
use std::time::{Duration, SystemTime};
use ureq::Agent;
use ureq::http::Request;

/// The longest answer takes a trial of a slow provider, several times over; the function itself ends after five minutes.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(310);
const ANSWER_BYTES_MAX: u64 = 6 << 20;

/// Where Lambda is in a region, or the stack's own endpoint.
fn address(sdk: &SdkConfig, region: &str, function: &str) -> String {
    let base = sdk.endpoint_url().map_or_else(|| format!("https://lambda.{region}.amazonaws.com"), str::to_owned);
    format!("{}/2015-03-31/functions/{function}/invocations", base.trim_end_matches('/'))
}

/// Calls and waits. The event may hold a key: it is in the body of this request and nowhere else.
pub async fn invoke(sdk: &SdkConfig, function: &str, event: &Value) -> Result<Value> {
    let region = sdk.region().context("The profile has no region.")?.as_ref().to_owned();
    let provider = sdk.credentials_provider().context("There are no AWS credentials.")?;
    let identity = provider.provide_credentials().await.context("There are no AWS credentials.")?.into();
    let (url, body) = (address(sdk, &region, function), event.to_string().into_bytes());
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&region)
        .name("lambda")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?;
    let signable = SignableRequest::new("POST", &url, std::iter::empty(), SignableBody::Bytes(&body))?;
    let (signature, _) = sign(signable, &params.into())?.into_parts();
    let mut request = Request::post(&url);
    for (name, value) in signature.headers() {
        request = request.header(name, value);
    }
    let agent: Agent =
        Agent::config_builder().http_status_as_error(false).timeout_global(Some(ANSWER_TIME_MAX)).build().new_agent();
    let mut answer = agent.run(request.body(body)?).context("The function cannot be reached.")?;
    let (status, failed) = (answer.status().as_u16(), answer.headers().contains_key("x-amz-function-error"));
    let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string()?;
    let said: Value = serde_json::from_str(&text).unwrap_or_default();
    if status == 200 && !failed {
        return Ok(said);
    }
    let message = ["errorMessage", "Message", "message"].iter().find_map(|name| said[*name].as_str()).unwrap_or("no message");
    match (status, failed) {
        (200, _) => bail!("The function failed: {message}"),
        (403, _) => bail!("You may not call {function}: it takes lambda:InvokeFunction. {message}"),
        (404, _) => bail!("There is no function {function}: add the profile again with `profile add --from-outputs`."),
        _ => bail!("Lambda answered {status}: {message}"),
    }
}
