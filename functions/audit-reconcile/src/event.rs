//! What the schedule or an operator sends: which stretch of time is to be compared.

use domain::audit::coverage::Window;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

/// The event names no stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {{\"window\": \"hour\" or \"day\"}}, or {{\"from\", \"to\"}} with the earlier time first")]
pub struct ReadWindowError;

/// Wire form.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Asked {
    Last { window: Length },
    Between { from: Timestamp, to: Timestamp },
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Length {
    Hour,
    Day,
}

/// Reads the event.
pub fn read(event: &Value, now: Timestamp) -> Result<Window, ReadWindowError> {
    match serde_json::from_value(event.clone()).map_err(|_| ReadWindowError)? {
        Asked::Last { window: Length::Hour } => Ok(Window::last_closed(SignedDuration::from_hours(1), now)),
        Asked::Last { window: Length::Day } => Ok(Window::last_closed(SignedDuration::from_hours(24), now)),
        Asked::Between { from, to } => Window::new(from, to).ok_or(ReadWindowError),
    }
}
