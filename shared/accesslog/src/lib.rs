//! The API's access log: what the gateway itself wrote of each request, in the form that the template tells it to.

mod record;

pub use record::{ReadRecordError, read};

use async_trait::async_trait;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config::http::HttpResponse;
use aws_sdk_cloudwatchlogs::error::{ProvideErrorMetadata, SdkError};
use aws_types::SdkConfig;
use domain::audit::coverage::{AccessPage, AccessRecords, LATE, Window};
use domain::fault::PortError;

const OPERATION: &str = "FilterLogEvents";

/// A log group that the API writes its access log to.
#[derive(Debug, Clone)]
pub struct AccessLog {
    client: Client,
    group: String,
}

impl AccessLog {
    /// A log group by name.
    pub fn new(config: &SdkConfig, group: String) -> Self {
        Self { client: Client::new(config), group }
    }
}

/// What an SDK failure means. Carries the service's code, never its message.
fn port_error<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> PortError {
    let code = error.code().unwrap_or("no answer").to_owned();
    match code.as_str() {
        "AccessDeniedException" | "InvalidParameterException" | "ResourceNotFoundException" => {
            PortError::Unexpected { operation: OPERATION, code }
        }
        _ => PortError::Unavailable { operation: OPERATION, code },
    }
}

#[async_trait]
impl AccessRecords for AccessLog {
    async fn page(&self, window: &Window, next: Option<&str>) -> Result<AccessPage, PortError> {
        // A line's time is that of its writing, which comes after the request's.
        let page = self
            .client
            .filter_log_events()
            .log_group_name(&self.group)
            .start_time(window.from.as_millisecond())
            .end_time((window.to + LATE).as_millisecond())
            .set_next_token(next.map(str::to_owned))
            .send()
            .await
            .map_err(|error| port_error(&error))?;
        let mut found = AccessPage { next: page.next_token.clone(), ..AccessPage::default() };
        for line in page.events().iter().filter_map(|event| event.message()) {
            match read(line) {
                Ok(record) => found.records.push(record),
                Err(ReadRecordError) => found.unreadable += 1,
            }
        }
        Ok(found)
    }
}
