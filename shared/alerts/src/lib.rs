//! Alerts to an SNS topic: text for a mailbox, JSON for a program, from the same [`Alert`]. Who gets which is decided by the
//! subscription's protocol, and a subscription's filter policy can choose by `severity` and `kind`.

mod message;

use async_trait::async_trait;
use aws_sdk_sns::Client;
use aws_sdk_sns::error::ProvideErrorMetadata as _;
use aws_sdk_sns::types::MessageAttributeValue;
use aws_types::SdkConfig;
use domain::alert::{Alert, AlertSink};
use domain::fault::PortError;

/// A topic.
#[derive(Debug, Clone)]
pub struct AlertTopic {
    client: Client,
    arn: String,
}

impl AlertTopic {
    /// A topic by its ARN.
    pub fn new(config: &SdkConfig, arn: String) -> Self {
        Self { client: Client::new(config), arn }
    }
}

fn attribute(value: &str) -> Result<MessageAttributeValue, PortError> {
    let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build();
    attribute.map_err(|_| PortError::Unexpected { operation: "Publish alert", code: "attribute".into() })
}

#[async_trait]
impl AlertSink for AlertTopic {
    async fn publish(&self, alert: &Alert) -> Result<(), PortError> {
        const OPERATION: &str = "Publish alert";
        let publish = self
            .client
            .publish()
            .topic_arn(&self.arn)
            .subject(message::subject(alert))
            .message_structure("json")
            .message(message::by_protocol(alert))
            .message_attributes("severity", attribute(alert.severity.as_str())?)
            .message_attributes("kind", attribute(&alert.kind)?);
        match publish.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let code = error.code().unwrap_or("no answer").to_owned();
                Err(match code.as_str() {
                    "InvalidParameter" | "InvalidParameterValue" | "AuthorizationError" | "NotFound" => {
                        PortError::Unexpected { operation: OPERATION, code }
                    }
                    _ => PortError::Unavailable { operation: OPERATION, code },
                })
            }
        }
    }
}
