//! DynamoDB, one file per table. Every write that decides something is one conditional write, never read-then-write.

mod alert_memory;
mod audit_images;
mod audit_state;
mod audit_table;
mod audit_trail;
mod documents_table;
mod engine_rows;
mod item;
mod ledger_rows;
mod ledger_table;
mod limits_table;
mod refusals;

pub use audit_state::AuditState;
pub use audit_table::{AuditIntake, AuditTable};
pub use audit_trail::AuditRows;
pub use documents_table::DocumentsTable;
pub use engine_rows::EngineRows;
pub use ledger_table::LedgerTable;
pub use limits_table::LimitsTable;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use domain::fault::PortError;

/// What an SDK failure means. Carries the service's code, never its message: that may quote a key.
fn port_error<E: ProvideErrorMetadata>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> PortError {
    let code = error.code().unwrap_or("no answer").to_owned();
    match code.as_str() {
        "ConditionalCheckFailedException" => PortError::Conflict { operation },
        "ValidationException" | "AccessDeniedException" | "ResourceNotFoundException" | "SerializationException" => {
            PortError::Unexpected { operation, code }
        }
        _ => PortError::Unavailable { operation, code },
    }
}
